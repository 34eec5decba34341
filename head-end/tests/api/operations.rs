use dlms_meter_server::simulator::FleetConfig;
use dlms_proto::v1::{
    self, AttributeRef, AttributeSelector, DiscoverObjectsRequest, GetAttributesRequest, InvokeMethodRequest,
    QueryReadingsRequest, ReadProfileRequest, ReadRegistersRequest, RegisterSelector, Result as MeterResult,
    SetAttributesRequest, TimeRange, read_profile_request::Selection, read_profile_response::Part, value::Kind,
};
use rusqlite::Connection;
use tonic::Code;

use crate::support::{PATIENCE, Running, info, managed, plain, quick, simulated, tcp};

fn selector(obis: &str) -> RegisterSelector {
    RegisterSelector { obis: obis.into(), class_id: 0 }
}

fn attribute(class_id: u32, obis: &str, attribute: i32) -> Option<AttributeRef> {
    Some(AttributeRef { class_id, obis: obis.into(), attribute })
}

/// A head-end with one simulated meter, registered for the management client as `m1`.
struct Setup {
    running: Running,
    meters: dlms_meter_server::simulator::Fleet,
    folder: tempfile::TempDir,
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let meters = simulated(1).await;
        let running = Running::with(quick(folder.path())).await;
        running.create(managed("m1", &tcp(&meters, 0))).await.unwrap();
        Self { running, meters, folder }
    }

    async fn query(&self, request: QueryReadingsRequest) -> Vec<v1::Capture> {
        let request = QueryReadingsRequest { meter: "meters/m1".into(), ..request };
        let mut pages = self.running.data().query_readings(request).await.unwrap().into_inner();
        let mut captures = Vec::new();
        while let Some(page) = pages.message().await.unwrap() {
            captures.extend(page.captures);
        }
        captures
    }

    async fn set(&self, request_id: &str, value: Kind) -> v1::SetAttributesResponse {
        let request = SetAttributesRequest {
            meter: "meters/m1".into(),
            assignments: vec![v1::AttributeAssignment {
                // Threshold or control attributes differ by model; the clock's time zone is writable on all.
                attribute: attribute(8, "0-0:1.0.0", 3),
                selection: None,
                value: Some(v1::Value { kind: Some(value) }),
            }],
            request_id: request_id.into(),
        };
        self.running.reading().set_attributes(request).await.unwrap().into_inner()
    }
}

#[tokio::test]
async fn registers_are_read_and_kept_with_refusals_beside_them() {
    let setup = Setup::new().await;
    let request = ReadRegistersRequest {
        meter: "meters/m1".into(),
        registers: vec![
            selector("1-0:1.8.0"),
            RegisterSelector { obis: "1-0:99.99.99".into(), class_id: 3 },
            selector("0-0:96.1.0"),
        ],
    };
    let response = setup.running.reading().read_registers(request).await.unwrap().into_inner();
    assert!(response.stored);
    let results: Vec<_> = response.results.iter().map(v1::RegisterResult::result).collect();
    assert_eq!(results, [MeterResult::Succeeded, MeterResult::MeterRefused, MeterResult::Succeeded]);
    let energy = response.results[0].reading.clone().unwrap();
    assert_eq!(energy.scaler_unit.clone().unwrap().symbol, "Wh");
    assert!(!energy.decimal.is_empty());
    let failure = response.results[1].failure.clone().unwrap();
    assert_eq!((failure.reason.as_str(), failure.layer(), failure.sent), ("METER_REFUSED", v1::Layer::Meter, true));
    let answer = failure.answer.unwrap();
    assert_eq!(answer.kind, Some(v1::meter_answer::Kind::DataAccessResult(4)), "{answer:?}");
    assert_eq!(answer.name, "object-undefined");
    let kept = setup.query(QueryReadingsRequest { registers_only: true, ..Default::default() }).await;
    assert_eq!(kept.len(), 1);
    let kept_energy = kept[0].readings.iter().find(|reading| reading.obis == "1.0.1.8.0.255").unwrap();
    assert_eq!(*kept_energy, energy);
    assert_eq!(kept[0].time_basis(), v1::TimeBasis::Received);
    setup.running.stop().await;
}

#[tokio::test]
async fn a_profile_is_streamed_kept_once_and_answered_from_the_store() {
    let setup = Setup::new().await;
    let read = async |selection| {
        let request = ReadProfileRequest { meter: "meters/m1".into(), profile: "1-0:99.1.0".into(), selection };
        let mut parts = setup.running.reading().read_profile(request).await.unwrap().into_inner();
        let (mut layout, mut captures, mut summary) = (None, Vec::new(), None);
        while let Some(part) = parts.message().await.unwrap() {
            match part.part.unwrap() {
                Part::Layout(part) => layout = Some(part),
                Part::Captures(part) => captures.extend(part.captures),
                Part::Summary(part) => summary = Some(part),
            }
        }
        (layout.unwrap(), captures, summary.unwrap())
    };
    let now = jiff::Timestamp::now().as_second();
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let range = || Some(Selection::Range(TimeRange { from: at(now - 86_400), to: at(now) }));
    let (layout, captures, summary) = read(range()).await;
    assert_eq!(layout.capture_period_s, 900);
    assert!((95..=97).contains(&captures.len()), "{} rows", captures.len());
    assert_eq!((summary.rows, summary.new_rows), (captures.len() as u64, captures.len() as u64));
    assert!(summary.stored);
    assert!(captures.iter().all(|capture| capture.readings.len() == layout.columns.len()));
    let (_, again, summary) = read(range()).await;
    let known = |row: &&v1::Capture| captures.iter().any(|capture| capture.capture_time == row.capture_time);
    assert_eq!(
        (summary.new_rows, summary.revised_rows),
        ((again.len() - again.iter().filter(known).count()) as u64, 0)
    );
    let kept =
        setup.query(QueryReadingsRequest { profile: "1.0.99.1.0.255".into(), to: at(now), ..Default::default() }).await;
    assert!(kept.len() >= captures.len());
    for capture in &captures {
        let stored = kept.iter().find(|kept| kept.capture_time == capture.capture_time).unwrap();
        assert_eq!(
            (&stored.readings, &stored.clock, stored.status),
            (&capture.readings, &capture.clock, capture.status)
        );
        assert_eq!(stored.revision, 1);
    }
    let (_, first, _) = read(Some(Selection::Entries(v1::EntryRange { from: 1, to: 3 }))).await;
    assert_eq!(first.len(), 3);
    let one = QueryReadingsRequest {
        objects: vec!["1-0:1.8.0".into()],
        from: at(now - 86_400),
        limit: 5,
        ..Default::default()
    };
    let one = setup.query(one).await;
    assert_eq!(one.len(), 5);
    assert!(one.iter().all(|capture| capture.readings.iter().all(|reading| reading.obis == "1.0.1.8.0.255")));
    setup.running.stop().await;
}

#[tokio::test]
async fn attributes_are_read_as_they_are() {
    let setup = Setup::new().await;
    let request = GetAttributesRequest {
        meter: "meters/m1".into(),
        attributes: [attribute(8, "0-0:1.0.0", 2), attribute(8, "0-0:1.0.0", 99)]
            .map(|attribute| AttributeSelector { attribute, selection: None })
            .to_vec(),
    };
    let response = setup.running.reading().get_attributes(request).await.unwrap().into_inner();
    let [time, refused] = response.results.try_into().unwrap();
    assert_eq!(time.result(), MeterResult::Succeeded);
    let Some(Kind::OctetString(octets)) = time.value.unwrap().kind else { panic!("not an octet-string") };
    assert_eq!(octets.len(), 12);
    assert_eq!(refused.result(), MeterResult::MeterRefused);
    assert_eq!(refused.attribute.unwrap().attribute, 99);
    setup.running.stop().await;
}

#[tokio::test]
async fn a_repeated_write_is_answered_from_the_store_and_another_under_its_name_refused() {
    let setup = Setup::new().await;
    let first = setup.set("w1", Kind::Long(-60)).await;
    assert_eq!(first.results[0].result(), MeterResult::Succeeded, "{first:?}");
    // The answer comes without the meter: it is gone.
    let Setup { running, meters, folder } = setup;
    drop(meters);
    let setup = Setup { running, meters: simulated(1).await, folder };
    assert_eq!(setup.set("w1", Kind::Long(-60)).await, first);
    let mut request = SetAttributesRequest {
        meter: "meters/m1".into(),
        assignments: vec![v1::AttributeAssignment {
            attribute: attribute(8, "0-0:1.0.0", 3),
            selection: None,
            value: Some(v1::Value { kind: Some(Kind::Long(0)) }),
        }],
        request_id: "w1".into(),
    };
    let status = setup.running.reading().set_attributes(request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    request.assignments[0].value = Some(v1::Value { kind: Some(Kind::Long(40_000)) });
    let status = setup.running.reading().set_attributes(request).await.unwrap_err();
    assert_eq!(crate::support::fields(&status), ["assignments[0].value"]);
    setup.running.stop().await;
}

#[tokio::test]
async fn a_method_is_invoked_and_a_refused_one_says_so() {
    let setup = Setup::new().await;
    let invoke = async |obis: &str, method| {
        let request = InvokeMethodRequest {
            meter: "meters/m1".into(),
            class_id: 7,
            obis: obis.into(),
            method,
            parameter: Some(v1::Value { kind: Some(Kind::Integer(0)) }),
            request_id: String::new(),
        };
        setup.running.reading().invoke_method(request).await.unwrap().into_inner()
    };
    let done = invoke("1-0:99.1.0", 1).await;
    assert_eq!(done.result(), MeterResult::Succeeded, "{done:?}");
    let refused = invoke("1-0:99.1.99", 1).await;
    assert_eq!(refused.result(), MeterResult::MeterRefused);
    assert!(refused.failure.unwrap().answer.is_some());
    setup.running.stop().await;
}

#[tokio::test]
async fn objects_are_discovered_once_and_then_known() {
    let setup = Setup::new().await;
    let discover = async |cached| {
        let request = DiscoverObjectsRequest { meter: "meters/m1".into(), cached };
        setup.running.reading().discover_objects(request).await.map(tonic::Response::into_inner)
    };
    let status = discover(true).await.unwrap_err();
    assert_eq!((status.code(), info(&status).reason.as_str()), (Code::FailedPrecondition, "NOT_DISCOVERED"));
    let found = discover(false).await.unwrap();
    assert!(found.objects.iter().any(|object| object.obis == "1.0.99.1.0.255" && object.class_id == 7));
    assert!(
        found.profiles.iter().any(|profile| profile.profile == "1.0.99.1.0.255" && profile.capture_period_s == 900)
    );
    let known = discover(true).await.unwrap();
    assert_eq!(known.objects.len(), found.objects.len());
    setup.running.stop().await;
}

#[tokio::test]
async fn wrong_keys_are_a_security_failure_and_disturb_nobody() {
    let setup = Setup::new().await;
    let mut meter = managed("wrong", &tcp(&setup.meters, 0));
    meter.security.as_mut().unwrap().encryption_key = vec![9; 16];
    setup.running.create(meter).await.unwrap();
    let read = async |meter: &str| {
        let request = ReadRegistersRequest { meter: meter.into(), registers: vec![selector("1-0:1.8.0")] };
        tokio::time::timeout(PATIENCE, setup.running.reading().read_registers(request)).await.unwrap()
    };
    let status = read("meters/wrong").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(["SECURITY_FAILED", "METER_REFUSED"].contains(&info(&status).reason.as_str()), "{status:?}");
    assert_eq!(info(&status).metadata["meter"], "meters/wrong");
    assert!(read("meters/m1").await.unwrap().into_inner().stored);
    setup.running.stop().await;
}

#[tokio::test]
async fn a_meter_that_is_not_there_is_unavailable_with_the_layer() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::with(quick(folder.path())).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    running.create(plain("gone", &gone.to_string())).await.unwrap();
    let request = ReadRegistersRequest { meter: "meters/gone".into(), registers: vec![selector("1-0:1.8.0")] };
    let status = running.reading().read_registers(request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let info = info(&status);
    assert_eq!((info.reason.as_str(), info.metadata["layer"].as_str()), ("UNREACHABLE", "link"));
    assert_eq!((info.metadata["sent"].as_str(), info.metadata["retryable"].as_str()), ("false", "true"));
    let unknown = ReadRegistersRequest { meter: "meters/unknown".into(), ..request };
    assert_eq!(running.reading().read_registers(unknown).await.unwrap_err().code(), Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn readings_of_a_locked_store_reach_the_caller_and_are_kept_later() {
    let setup = Setup::new().await;
    let read = async || {
        let request = ReadRegistersRequest { meter: "meters/m1".into(), registers: vec![selector("1-0:1.8.0")] };
        setup.running.reading().read_registers(request).await.unwrap().into_inner()
    };
    assert!(read().await.stored);
    let month = std::fs::read_dir(setup.folder.path().join("data/readings"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "sqlite3"))
        .unwrap();
    let other = Connection::open(month).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = read().await;
    assert!(!waiting.stored && waiting.results[0].result() == MeterResult::Succeeded);
    other.execute_batch("COMMIT").unwrap();
    let registers = QueryReadingsRequest { registers_only: true, ..Default::default() };
    tokio::time::timeout(PATIENCE, async {
        while setup.query(registers.clone()).await.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("what waited is written");
    setup.running.stop().await;
}

#[tokio::test]
async fn consumption_by_hour_is_what_the_register_counted_and_the_file_holds_the_same() {
    let setup = Setup::new().await;
    let now = jiff::Timestamp::now().as_second();
    let (from, to) = ((now / 3_600 - 24) * 3_600, now / 3_600 * 3_600);
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = ReadProfileRequest {
        meter: "meters/m1".into(),
        profile: "1-0:99.1.0".into(),
        selection: Some(Selection::Range(TimeRange { from: at(from), to: at(to + 1) })),
    };
    let mut parts = setup.running.reading().read_profile(request).await.unwrap().into_inner();
    while parts.message().await.unwrap().is_some() {}

    let request = v1::QueryIntervalsRequest {
        meter: "meters/m1".into(),
        object: "1-0:1.8.0".into(),
        profile: "1-0:99.1.0".into(),
        from: at(from),
        to: at(to),
        resolution: Some(v1::query_intervals_request::Resolution::Calendar(v1::CalendarUnit::Hour.into())),
        ..Default::default()
    };
    let mut pages = setup.running.data().query_intervals(request).await.unwrap().into_inner();
    let mut intervals = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        intervals.extend(page.intervals);
    }
    let whole: Vec<_> = intervals.iter().filter(|interval| !interval.incomplete).collect();
    assert_eq!(whole.len(), 24, "{intervals:#?}");
    assert!(whole.iter().all(|hour| hour.samples == 4 && hour.symbol == "Wh"));

    let captures = setup
        .query(QueryReadingsRequest {
            profile: "1-0:99.1.0".into(),
            objects: vec!["1-0:1.8.0".into()],
            from: at(from),
            to: at(to + 1),
            ..Default::default()
        })
        .await;
    let counter = |capture: &v1::Capture| capture.readings[0].decimal.parse::<i64>().unwrap();
    let counted = counter(captures.last().unwrap()) - counter(&captures[0]);
    assert_eq!(whole.iter().map(|hour| hour.decimal.parse::<i64>().unwrap()).sum::<i64>(), counted);
    assert!(counted > 0);

    let request = v1::ExportReadingsRequest {
        meters: vec!["meters/m1".into()],
        profile: "1-0:99.1.0".into(),
        from: at(from),
        to: at(to + 1),
        ..Default::default()
    };
    let mut pieces = setup.running.data().export_readings(request).await.unwrap().into_inner();
    let mut file = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        assert_eq!(piece.media_type.as_str(), if file.is_empty() { "text/csv" } else { "" });
        file.extend(piece.octets);
    }
    let text = String::from_utf8(file).unwrap();
    let energy: Vec<i64> = text
        .lines()
        .filter(|line| line.contains(",1.0.1.8.0.255,"))
        .map(|line| line.split(',').nth(8).unwrap().parse().unwrap())
        .collect();
    assert_eq!(energy, captures.iter().map(counter).collect::<Vec<_>>());
    setup.running.stop().await;
}

#[tokio::test]
async fn a_subscriber_gets_what_is_stored_and_goes_on_behind_its_token_after_a_restart() {
    let setup = Setup::new().await;
    let from_the_beginning =
        |token: &str| v1::SubscribeReadingsRequest { resume_token: token.into(), ..Default::default() };
    let mut live = setup.running.data().subscribe_readings(from_the_beginning("")).await.unwrap().into_inner();
    let read = async |running: &Running| {
        let request = ReadRegistersRequest { meter: "meters/m1".into(), registers: vec![selector("1-0:1.8.0")] };
        running.reading().read_registers(request).await.unwrap().into_inner()
    };
    read(&setup.running).await;
    let first = live.message().await.unwrap().unwrap();
    assert_eq!(first.captures.len(), 1);
    assert_eq!(first.captures[0].readings[0].obis, "1.0.1.8.0.255");
    read(&setup.running).await;
    let second = live.message().await.unwrap().unwrap();
    assert_ne!(first.resume_token, second.resume_token);
    drop(live);

    let Setup { running, meters: _meters, folder } = setup;
    running.stop().await;
    let running = Running::with(quick(folder.path())).await;
    let mut again =
        running.data().subscribe_readings(from_the_beginning(&first.resume_token)).await.unwrap().into_inner();
    assert_eq!(again.message().await.unwrap().unwrap(), second);
    let mut all = running.data().subscribe_readings(from_the_beginning("0")).await.unwrap().into_inner();
    assert_eq!(all.message().await.unwrap().unwrap(), first);
    assert_eq!(all.message().await.unwrap().unwrap(), second);
    let ahead = running.data().subscribe_readings(from_the_beginning("99")).await.unwrap_err();
    assert_eq!(ahead.code(), Code::OutOfRange);
    let wrong =
        v1::SubscribeReadingsRequest { resume_token: "x".into(), meters: vec!["m1".into()], profile: "y".into() };
    let wrong = running.data().subscribe_readings(wrong).await.unwrap_err();
    assert_eq!(crate::support::fields(&wrong), ["resume_token", "meters[0]", "profile"]);
    // A subscription has no end of its own: the head-end ends it, and says why.
    running.stop().await;
    assert_eq!(all.message().await.unwrap_err().code(), Code::Unavailable);
}

/// Whoever does not want an answer any more must not keep a meter from others.
#[tokio::test]
async fn a_cancelled_call_frees_its_meter_after_the_exchange_that_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    // Each answer takes most of a second, and the whole buffer more answers than anybody waits for here.
    let faults = vec!["delay=700:1".parse().unwrap()];
    let meters = FleetConfig { tcp: Some(any), faults, ..FleetConfig::default() };
    let meters = dlms_meter_server::simulator::Fleet::start(meters).await.unwrap();
    let running = Running::with(quick(folder.path())).await;
    running.create(managed("m1", &tcp(&meters, 0))).await.unwrap();
    let mut client = running.reading();
    let profile = ReadProfileRequest { meter: "meters/m1".into(), profile: "1-0:99.1.0".into(), selection: None };
    let long = client.read_profile(profile.clone());
    assert!(tokio::time::timeout(std::time::Duration::from_secs(8), long).await.is_err(), "it takes longer than that");
    let energy = RegisterSelector { obis: "1-0:1.8.0".into(), class_id: 3 };
    let mut request = tonic::Request::new(ReadRegistersRequest { meter: "meters/m1".into(), registers: vec![energy] });
    request.set_timeout(std::time::Duration::from_secs(10));
    let read = running.reading().read_registers(request).await.unwrap().into_inner();
    assert_eq!(read.results[0].result(), MeterResult::Succeeded);
    running.stop().await;
}
