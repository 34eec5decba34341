//! What simulated meters push, from the socket to readings and events.

use std::time::Duration;

use dlms_head_end::config::Config;
use dlms_meter_server::{
    Moment,
    simulator::{self, DEFAULT_MODEL, FleetConfig, Model},
};
use dlms_proto::v1::{self, events_client::EventsClient};
use tonic::transport::Channel;

use crate::support::{PATIENCE, Running, managed, quick, tcp};

/// A head-end that listens for pushes, and a meter that pushes there.
struct Setup {
    running: Running,
    meters: simulator::Fleet,
    _folder: tempfile::TempDir,
}

/// Eleven minutes before a quarter of an hour: 2026-03-15 11:49 UTC.
const START: i64 = 1_773_575_340;

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config: Config = quick(folder.path());
        config.push.tcp = vec!["127.0.0.1:0".parse().unwrap()];
        let running = Running::with(config).await;
        // Nothing is pushed unless somebody says so, and then at once.
        let quiet = DEFAULT_MODEL.replace("at-start = true, ", "");
        let prompt = quiet.replace("randomisation_start_interval = 60\n", "randomisation_start_interval = 0\n");
        let model = Model::from_toml(&prompt).unwrap();
        let meters = simulator::Fleet::start(FleetConfig {
            tcp: Some("127.0.0.1:0".parse().unwrap()),
            push_to: Some(running.push.to_string()),
            start: Some(Moment::from_seconds(START)),
            model: model.into(),
            ..FleetConfig::default()
        })
        .await
        .unwrap();
        Self { running, meters, _folder: folder }
    }

    fn meter(&self) -> v1::Meter {
        let mut meter = managed("m1", &tcp(&self.meters, 0));
        meter.system_title = b"SIM\x00\x00\x98\x96\x81".to_vec();
        meter
    }

    fn events(&self) -> EventsClient<Channel> {
        EventsClient::new(self.running.channel.clone())
    }

    /// Lets the meter push what a setup has.
    async fn push(&self, setup: &str) {
        let integer = v1::Value { kind: Some(v1::value::Kind::Integer(0)) };
        let request = v1::InvokeMethodRequest {
            meter: "meters/m1".into(),
            class_id: 40,
            obis: setup.into(),
            method: 1,
            parameter: Some(integer),
            ..Default::default()
        };
        let answer = self.running.reading().invoke_method(request).await.unwrap().into_inner();
        assert_eq!(answer.result, i32::from(v1::Result::Succeeded), "{answer:?}");
    }

    async fn captures(&self, profile: &str) -> Vec<v1::Capture> {
        let request =
            v1::QueryReadingsRequest { meter: "meters/m1".into(), profile: profile.into(), ..Default::default() };
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut pages = self.running.data().query_readings(request.clone()).await.unwrap().into_inner();
            let captures = pages.message().await.unwrap().map(|page| page.captures).unwrap_or_default();
            if !captures.is_empty() {
                return captures;
            }
            assert!(tokio::time::Instant::now() < until, "nothing of {profile}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_register_and_a_pushed_row_become_readings() {
    let setup = Setup::new().await;
    setup.running.create(setup.meter()).await.unwrap();
    setup.push("0-1:25.9.0").await;
    let captures = setup.captures("0-1:25.9.0").await;
    assert_eq!(captures.len(), 1);
    let capture = &captures[0];
    assert_eq!(capture.source(), v1::Source::Pushed);
    assert_eq!(capture.time_basis(), v1::TimeBasis::MeterDeviation);
    assert!((capture.capture_time.unwrap().seconds - START).abs() < 120, "{capture:?}");
    let import = capture.readings.iter().find(|reading| reading.obis == "1.0.1.8.0.255").unwrap();
    assert!(import.decimal.parse::<f64>().unwrap() > 0.0, "{import:?}");
    assert_eq!(import.scaler_unit.as_ref().unwrap().symbol, "Wh");
    // The last row of the load profile comes under the profile's own name, as if it had been read.
    setup.push("0-2:25.9.0").await;
    let rows = setup.captures("1-0:99.1.0").await;
    assert_eq!((rows.len(), rows[0].source()), (1, v1::Source::Pushed));
    assert_eq!(rows[0].capture_time.unwrap().seconds % 900, 0);
    setup.running.stop().await;
    setup.meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_reaches_a_subscriber_once_and_is_cleared_and_acknowledged() {
    let setup = Setup::new().await;
    setup.running.create(setup.meter()).await.unwrap();
    let request = v1::SubscribeEventsRequest {
        filter: Some(v1::EventFilter { alarms_only: true, ..Default::default() }),
        resume_token: String::new(),
    };
    let mut subscription = setup.events().subscribe_events(request.clone()).await.unwrap().into_inner();
    let begin = subscription.message().await.unwrap().unwrap();
    assert!(begin.events.is_empty() && begin.resume_token == "0");
    // A client that fails to authenticate is fraud to the meter, which pushes its alarm descriptors.
    let mut wrong = managed("m2", &tcp(&setup.meters, 0));
    wrong.security.as_mut().unwrap().authentication_key = vec![7; 16];
    setup.running.create(wrong).await.unwrap();
    let registers = vec![v1::RegisterSelector { obis: "1-0:1.8.0".into(), class_id: 3 }];
    let read = v1::ReadRegistersRequest { meter: "meters/m2".into(), registers };
    setup.running.reading().read_registers(read).await.unwrap_err();

    let news = tokio::time::timeout(PATIENCE, subscription.message()).await.expect("an alarm").unwrap().unwrap();
    let alarm = &news.events[0];
    assert_eq!((alarm.meter.as_str(), alarm.display_name.as_str()), ("meters/m1", "fraud attempt"), "{alarm:?}");
    assert_eq!((alarm.origin(), alarm.category()), (v1::EventOrigin::Pushed, v1::EventCategory::Tamper));
    assert_eq!((alarm.source.as_str(), alarm.code), ("0.0.97.98.20.255", Some(13)));

    let read = v1::ReadAlarmRegisterRequest { meter: "meters/m1".into(), number: 1 };
    let register = setup.events().read_alarm_register(read.clone()).await.unwrap().into_inner();
    assert_eq!((register.register, register.descriptor), (Some(1 << 13), Some(1 << 13)));
    assert_eq!(register.alarms[0].display_name, "fraud attempt");
    let clear =
        v1::ClearAlarmRegisterRequest { meter: "meters/m1".into(), request_id: "c1".into(), ..Default::default() };
    for _ in 0..2 {
        let cleared = setup.events().clear_alarm_register(clear.clone()).await.unwrap().into_inner();
        assert_eq!((cleared.register, cleared.descriptor), (Some(0), Some(0)), "{cleared:?}");
    }
    let set = v1::SetAlarmFilterRequest { meter: "meters/m1".into(), filter: Some(0), ..Default::default() };
    let set = setup.events().set_alarm_filter(set).await.unwrap().into_inner();
    assert_eq!(set.result(), v1::Result::Succeeded);
    assert_eq!(setup.events().read_alarm_register(read).await.unwrap().into_inner().filter, Some(0));

    let acknowledge =
        v1::AcknowledgeAlarmRequest { name: alarm.name.clone(), note: "seen to".into(), request_id: String::new() };
    let seen = setup.events().acknowledge_alarm(acknowledge).await.unwrap().into_inner();
    assert_eq!(seen.acknowledgement.unwrap().note, "seen to");
    let filter = v1::EventFilter { alarms_only: true, unacknowledged_only: true, ..Default::default() };
    let query = v1::QueryEventsRequest { filter: Some(filter), ..Default::default() };
    let left = setup.events().query_events(query).await.unwrap().into_inner().events;
    assert!(left.iter().all(|event| event.name != alarm.name), "{left:?}");
    // A subscriber that was away hears what it missed.
    let resumed = v1::SubscribeEventsRequest { resume_token: "0".into(), ..request };
    let mut resumed = setup.events().subscribe_events(resumed).await.unwrap().into_inner();
    assert!(resumed.message().await.unwrap().unwrap().events.is_empty());
    assert_eq!(resumed.message().await.unwrap().unwrap().events[0].name, alarm.name);
    drop((subscription, resumed));

    // The log itself, read like any profile, says what it was.
    let read = v1::ReadProfileRequest { meter: "meters/m1".into(), profile: "0-0:99.98.1".into(), selection: None };
    for _ in 0..2 {
        let mut parts = setup.running.reading().read_profile(read.clone()).await.unwrap().into_inner();
        while parts.message().await.unwrap().is_some() {}
    }
    let filter = v1::EventFilter { source: "0-0:99.98.1".into(), ..Default::default() };
    let query = v1::QueryEventsRequest { filter: Some(filter), ..Default::default() };
    let log = setup.events().query_events(query).await.unwrap().into_inner().events;
    let failed: Vec<_> = log.iter().filter(|event| event.code == Some(49)).collect();
    assert_eq!(failed.len(), 1, "{log:?}");
    assert_eq!(failed[0].display_name, "decryption or authentication failed several times");
    setup.running.stop().await;
    setup.meters.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_meter_is_listed_and_claimed() {
    let setup = Setup::new().await;
    // Registered under no title, it can be made to push, and its pushes are nobody's.
    let mut meter = setup.meter();
    meter.system_title = Vec::new();
    setup.running.create(meter).await.unwrap();
    setup.push("0-1:25.9.0").await;
    let until = tokio::time::Instant::now() + PATIENCE;
    let device = loop {
        let request = v1::ListUnclaimedDevicesRequest::default();
        let listed = setup.running.registry().list_unclaimed_devices(request).await.unwrap().into_inner();
        if let Some(device) = listed.devices.into_iter().next() {
            break device;
        }
        assert!(tokio::time::Instant::now() < until, "no device");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(device.name, "unclaimedDevices/53494D0000989681");
    let mut meter = setup.meter();
    meter.name = String::new();
    meter.system_title = Vec::new();
    let claim = v1::ClaimUnclaimedDeviceRequest {
        name: device.name,
        meter_id: "claimed".into(),
        meter: Some(meter),
        request_id: "once".into(),
    };
    let claimed = setup.running.registry().claim_unclaimed_device(claim.clone()).await.unwrap().into_inner();
    assert_eq!((claimed.name.as_str(), claimed.system_title.len()), ("meters/claimed", 8));
    let again = setup.running.registry().claim_unclaimed_device(claim.clone()).await.unwrap().into_inner();
    assert_eq!(again, claimed);
    let other = v1::ClaimUnclaimedDeviceRequest { meter_id: "other".into(), request_id: String::new(), ..claim };
    let gone = setup.running.registry().claim_unclaimed_device(other).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
    setup.running.stop().await;
    setup.meters.shutdown().await;
}
