//! The service Reading beyond single reads and writes.

use std::collections::BTreeMap;

use dlms_meter_server::simulator::Fleet;
use dlms_proto::v1::{
    self, BundleItem, BundleSpec, Result as MeterResult, RunBundleRequest, bundle_item::Kind, task_outcome, value,
};
use tempfile::TempDir;
use tonic::Code;

use crate::support::{PATIENCE, Running, fields, info, managed, plain, quick, simulated, tcp};

/// A head-end with one simulated meter, registered for the management client as `m1`.
pub(crate) async fn setup() -> (Running, Fleet, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(1).await;
    let running = Running::with(quick(folder.path())).await;
    running.create(managed("m1", &tcp(&meters, 0))).await.unwrap();
    (running, meters, folder)
}

fn item(kind: Kind) -> BundleItem {
    BundleItem { kind: Some(kind) }
}

fn attribute(class_id: u32, obis: &str, attribute: i32) -> Option<v1::AttributeRef> {
    Some(v1::AttributeRef { class_id, obis: obis.into(), attribute })
}

fn get(class_id: u32, obis: &str, index: i32) -> BundleItem {
    let attributes = vec![v1::AttributeSelector { attribute: attribute(class_id, obis, index), selection: None }];
    item(Kind::GetAttributes(v1::GetAttributesSpec { attributes }))
}

fn set(class_id: u32, obis: &str, index: i32, kind: value::Kind) -> BundleItem {
    let value = Some(v1::Value { kind: Some(kind) });
    let assignment = v1::AttributeAssignment { attribute: attribute(class_id, obis, index), selection: None, value };
    item(Kind::SetAttributes(v1::SetAttributesSpec { assignments: vec![assignment] }))
}

fn rows(profile: &str, from: u32, to: u32) -> BundleItem {
    let selection = Some(v1::read_profile_spec::Selection::Entries(v1::EntryRange { from, to }));
    item(Kind::ReadProfile(v1::ReadProfileSpec { profile: profile.into(), selection }))
}

fn register(obis: &str) -> BundleItem {
    let register = v1::RegisterSelector { obis: obis.into(), class_id: 3 };
    item(Kind::ReadRegisters(v1::ReadRegistersSpec { registers: vec![register] }))
}

/// execute of the predefined script table of the meter's tariffs, a script that does not exist.
fn no_such_script() -> BundleItem {
    item(Kind::InvokeMethod(v1::InvokeMethodSpec {
        class_id: 9,
        obis: "0-0:10.0.100".into(),
        method: 1,
        parameter: Some(v1::Value { kind: Some(value::Kind::LongUnsigned(999)) }),
    }))
}

async fn run(
    running: &Running,
    request_id: &str,
    stop_on_error: bool,
    items: Vec<BundleItem>,
) -> Vec<v1::BundleItemOutcome> {
    let bundle = Some(BundleSpec { items, stop_on_error });
    let request = RunBundleRequest { meter: "meters/m1".into(), bundle, request_id: request_id.into() };
    running.reading().run_bundle(request).await.unwrap().into_inner().items
}

fn kind(of: &v1::BundleItemOutcome) -> task_outcome::Kind {
    of.outcome.clone().and_then(|of| of.kind).unwrap_or_else(|| panic!("{of:?}"))
}

#[tokio::test]
async fn a_bundle_is_done_in_one_association_and_in_order() {
    let (running, meters, _folder) = setup().await;
    let zone = |minutes| set(8, "0-0:1.0.0", 3, value::Kind::Long(minutes));
    let items = vec![
        zone(-60),
        get(8, "0-0:1.0.0", 3),
        zone(-120),
        get(8, "0-0:1.0.0", 3),
        register("1-0:1.8.0"),
        rows("1-0:99.1.0", 1, 3),
        no_such_script(),
        get(8, "0-0:1.0.0", 99),
    ];
    let done = run(&running, "b1", false, items.clone()).await;
    // One for the invocation counter of a key that was never used, one for the bundle.
    assert_eq!(meters.counts().connections_opened, 2);
    let results: Vec<_> = done.iter().map(v1::BundleItemOutcome::result).collect();
    let refused = done[6].failure.clone().unwrap_or_default();
    assert_eq!(results[..6], [MeterResult::Succeeded; 6], "{done:?}");
    assert_eq!((results[6], refused.reason.as_str()), (MeterResult::MeterRefused, "METER_REFUSED"), "{refused:?}");
    for (place, minutes) in [(1, -60), (3, -120)] {
        let task_outcome::Kind::Attributes(read) = kind(&done[place]) else { panic!("{:?}", done[place]) };
        assert_eq!(read.results[0].value.clone().unwrap().kind, Some(value::Kind::Long(minutes)));
    }
    let task_outcome::Kind::Registers(energy) = kind(&done[4]) else { panic!() };
    assert_eq!(energy.results[0].reading.clone().unwrap().scaler_unit.unwrap().symbol, "Wh");
    let task_outcome::Kind::Profile(profile) = kind(&done[5]) else { panic!() };
    assert_eq!((profile.rows, profile.interrupted), (3, None));
    // The item was carried out; its attribute was refused.
    let task_outcome::Kind::Attributes(read) = kind(&done[7]) else { panic!() };
    assert_eq!((results[7], read.results[0].result()), (MeterResult::Succeeded, MeterResult::MeterRefused));

    // What was read is kept.
    let query = v1::QueryReadingsRequest { meter: "meters/m1".into(), ..Default::default() };
    let mut pages = running.data().query_readings(query).await.unwrap().into_inner();
    let kept = pages.message().await.unwrap().unwrap().captures;
    assert_eq!(kept.iter().filter(|capture| capture.profile.is_empty()).count(), 1);
    assert_eq!(kept.iter().filter(|capture| !capture.profile.is_empty()).count(), 3);

    // A repetition does nothing, and another bundle under its name is refused.
    assert_eq!(run(&running, "b1", false, items).await, done);
    let other = RunBundleRequest {
        meter: "meters/m1".into(),
        bundle: Some(BundleSpec { items: vec![zone(0)], stop_on_error: false }),
        request_id: "b1".into(),
    };
    assert_eq!(running.reading().run_bundle(other).await.unwrap_err().code(), Code::InvalidArgument);
    running.stop().await;
}

#[tokio::test]
async fn a_bundle_stops_where_it_was_told_to() {
    let (running, _meters, _folder) = setup().await;
    let zone = |minutes| set(8, "0-0:1.0.0", 3, value::Kind::Long(minutes));
    let items = vec![zone(-60), get(8, "0-0:1.0.0", 99), zone(-120), get(8, "0-0:1.0.0", 3)];
    let done = run(&running, "", true, items).await;
    let results: Vec<_> = done.iter().map(v1::BundleItemOutcome::result).collect();
    use MeterResult::{Cancelled, Succeeded};
    assert_eq!(results, [Succeeded, Succeeded, Cancelled, Cancelled], "{done:?}");
    assert!(done[2..].iter().all(|item| item.failure.as_ref().is_some_and(|failure| !failure.sent)));
    let after = run(&running, "", true, vec![get(8, "0-0:1.0.0", 3)]).await;
    let task_outcome::Kind::Attributes(read) = kind(&after[0]) else { panic!() };
    assert_eq!(read.results[0].value.clone().unwrap().kind, Some(value::Kind::Long(-60)), "the second was not written");
    running.stop().await;
}

/// A bundle is no way round the guards of raw writes, and nothing of one that is refused is sent.
#[tokio::test]
async fn a_bundle_meets_the_guards_of_raw_writes() {
    let (running, _meters, _folder) = setup().await;
    let disconnect = item(Kind::InvokeMethod(v1::InvokeMethodSpec {
        class_id: 70,
        obis: "0-0:96.3.10".into(),
        method: 1,
        parameter: Some(v1::Value { kind: Some(value::Kind::Integer(0)) }),
    }));
    let zone = set(8, "0-0:1.0.0", 3, value::Kind::Long(-240));
    let request = |items| RunBundleRequest {
        meter: "meters/m1".into(),
        bundle: Some(BundleSpec { items, stop_on_error: false }),
        request_id: String::new(),
    };
    let limit = set(71, "0-0:17.0.0", 4, value::Kind::DoubleLongUnsigned(0));
    for guarded in [disconnect, limit] {
        let refused = running.reading().run_bundle(request(vec![zone.clone(), guarded])).await.unwrap_err();
        assert_eq!((refused.code(), info(&refused).reason.as_str()), (Code::FailedPrecondition, "GUARDED"));
    }
    let after = run(&running, "", false, vec![get(8, "0-0:1.0.0", 3)]).await;
    let task_outcome::Kind::Attributes(read) = kind(&after[0]) else { panic!() };
    assert_ne!(read.results[0].value.clone().unwrap().kind, Some(value::Kind::Long(-240)));

    for (items, field) in
        [(vec![], "bundle"), (vec![BundleItem::default()], "bundle"), (vec![get(0, "x", 0)], "bundle")]
    {
        let wrong = running.reading().run_bundle(request(items)).await.unwrap_err();
        assert_eq!(fields(&wrong), [field], "{wrong:?}");
    }
    running.stop().await;
}

/// The answers of PingMeters, by meter.
async fn ping(running: &Running, kind: v1::target::Kind, timeout_ms: i32) -> BTreeMap<String, v1::PingMetersResponse> {
    let timeout = Some(prost_types::Duration { seconds: 0, nanos: timeout_ms * 1_000_000 });
    let request = v1::PingMetersRequest { target: Some(v1::Target { kind: Some(kind) }), timeout };
    let mut answers = running.reading().ping_meters(request).await.unwrap().into_inner();
    let mut all = BTreeMap::new();
    while let Some(answer) = tokio::time::timeout(PATIENCE, answers.message()).await.unwrap().unwrap() {
        assert!(answer.elapsed.is_some(), "{answer:?}");
        assert!(all.insert(answer.meter.clone(), answer).is_none(), "each meter once");
    }
    all
}

#[tokio::test]
async fn meters_are_pinged_together_and_each_says_how_far_it_came() {
    let (running, meters, _folder) = setup().await;
    // Who takes the connection and never says a word.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute_at = mute.local_addr().unwrap().to_string();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let north = || [("region".to_owned(), "north".to_owned())].into();
    let mut wrong = managed("wrong", &tcp(&meters, 0));
    wrong.security.as_mut().unwrap().encryption_key = vec![9; 16];
    running.create(v1::Meter { labels: north(), ..plain("mute", &mute_at) }).await.unwrap();
    running.create(v1::Meter { labels: north(), ..plain("closed", &closed) }).await.unwrap();
    running.create(v1::Meter { labels: north(), ..wrong }).await.unwrap();

    let names = ["m1", "mute", "closed", "wrong", "nobody", "m1"].map(|id| format!("meters/{id}"));
    let named = || v1::target::Kind::Meters(v1::MeterNames { meters: names.to_vec() });
    let began = std::time::Instant::now();
    let all = ping(&running, named(), 900).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "one after the other");
    assert_eq!(all.len(), 5);
    let of = |id: &str| &all[&format!("meters/{id}")];
    let m1 = of("m1").outcome.unwrap_or_else(|| panic!("{:?}", of("m1")));
    assert_eq!(of("m1").result(), MeterResult::Succeeded);
    let steps = [m1.connection, m1.association, m1.opening, m1.round_trip].map(|of| of.expect("it was opened for it"));
    let nanos = steps.map(|of| of.seconds * 1_000_000_000 + i64::from(of.nanos));
    assert!(nanos[0] > 0 && nanos[1] > 0 && nanos[0] + nanos[1] <= nanos[2], "{nanos:?}");
    // The association stands: the second ping is the round trip alone.
    let again = ping(&running, v1::target::Kind::Meter("meters/m1".into()), 900).await;
    let again = again["meters/m1"].outcome.unwrap();
    assert_eq!((again.opening, again.connection, again.association), (None, None, None));

    let why = |id: &str| of(id).failure.clone().map(|failure| (failure.reason.clone(), failure.layer()));
    assert_eq!(
        (of("mute").result(), why("mute")),
        (MeterResult::Expired, Some(("EXPIRED".into(), v1::Layer::HeadEnd)))
    );
    let refused = (MeterResult::Unreachable, Some(("UNREACHABLE".into(), v1::Layer::Link)));
    assert_eq!((of("closed").result(), why("closed")), refused);
    assert_eq!(of("wrong").result(), MeterResult::SecurityFailed, "{:?}", of("wrong"));
    assert_eq!((of("nobody").result(), why("nobody").unwrap().0.as_str()), (MeterResult::Cancelled, "NOT_FOUND"));

    let labelled = v1::target::Kind::Selector(v1::MeterSelector { labels: north() });
    let labelled: Vec<_> = ping(&running, labelled, 900).await.into_keys().collect();
    assert_eq!(labelled, ["meters/closed", "meters/mute", "meters/wrong"]);

    let refused = |target, timeout| running_refuses(&running, target, timeout);
    assert_eq!(refused(None, 0).await, ["target", "timeout"]);
    let group = v1::Target { kind: Some(v1::target::Kind::Group("groups/none".into())) };
    let request = v1::PingMetersRequest { target: Some(group), timeout: None };
    assert_eq!(running.reading().ping_meters(request).await.err().unwrap().code(), Code::NotFound);
    running.stop().await;
}

async fn running_refuses(running: &Running, target: Option<v1::Target>, seconds: i64) -> Vec<String> {
    let request = v1::PingMetersRequest { target, timeout: Some(prost_types::Duration { seconds, nanos: 0 }) };
    fields(&running.reading().ping_meters(request).await.err().unwrap())
}

fn seconds(of: &Option<prost_types::Timestamp>) -> i64 {
    of.expect("a time").seconds
}

#[tokio::test]
async fn billing_periods_are_read_by_number_and_by_date_with_their_units() {
    let (running, _meters, _folder) = setup().await;
    use v1::read_billing_period_request::Period;
    let read = async |period| {
        let request = v1::ReadBillingPeriodRequest { meter: "meters/m1".into(), profile: String::new(), period };
        running.reading().read_billing_period(request).await.map(tonic::Response::into_inner)
    };
    let last = read(None).await.unwrap();
    let before = read(Some(Period::Back(2))).await.unwrap();
    assert!(last.stored);
    let (ends, starts) = (seconds(&last.capture.as_ref().unwrap().capture_time), seconds(&last.start_time));
    assert_eq!(starts, seconds(&before.capture.as_ref().unwrap().capture_time), "one begins where the other ends");
    assert!((27..=32).contains(&((ends - starts) / 86_400)), "a month: {starts} to {ends}");
    assert!(ends <= jiff::Timestamp::now().as_second());
    let energy = last.capture.as_ref().unwrap().readings.iter().find(|of| of.obis.starts_with("1.0.1.8.")).unwrap();
    assert_eq!(energy.scaler_unit.as_ref().unwrap().symbol, "Wh");
    assert!(!energy.decimal.is_empty());
    assert_eq!(last.layout.as_ref().unwrap().columns.len(), last.capture.as_ref().unwrap().readings.len());

    // By date: the end of a period belongs to it, a second later is the next one.
    let at = |seconds| Some(Period::At(prost_types::Timestamp { seconds, nanos: 0 }));
    let same = |one: &v1::ReadBillingPeriodResponse, other: &v1::ReadBillingPeriodResponse| {
        let end = |of: &v1::ReadBillingPeriodResponse| of.capture.clone().map(|of| (of.capture_time, of.readings));
        (end(one), one.start_time) == (end(other), other.start_time)
    };
    assert!(same(&read(at(starts + 1)).await.unwrap(), &last));
    assert!(same(&read(at(ends)).await.unwrap(), &last));
    assert!(same(&read(at(starts)).await.unwrap(), &before));
    let open = read(at(ends + 1)).await.unwrap_err();
    assert_eq!(open.code(), Code::NotFound, "{open:?}");
    assert_eq!(read(Some(Period::Back(999))).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fields(&read(Some(Period::Back(1_001))).await.unwrap_err()), ["back"]);

    // The rows are in the store; the newest of them is the latest.
    let request = v1::GetLatestReadingsRequest {
        meters: vec!["meters/m1".into()],
        profile: "0-0:98.1.0".into(),
        before: Some(prost_types::Timestamp { seconds: ends + 1, nanos: 0 }),
        ..Default::default()
    };
    let latest = running.data().get_latest_readings(request).await.unwrap().into_inner();
    let stored = &latest.meters[0].captures[0];
    assert_eq!((&stored.readings, seconds(&stored.capture_time)), (&last.capture.unwrap().readings, ends));
    running.stop().await;
}

#[tokio::test]
async fn the_newest_value_of_each_object_is_found_wherever_it_lies() {
    let (running, _meters, _folder) = setup().await;
    running.create(plain("silent", "127.0.0.1:1")).await.unwrap();
    let read = async |obis: &[&str]| {
        let registers = obis.iter().map(|obis| v1::RegisterSelector { obis: (*obis).into(), class_id: 3 }).collect();
        let request = v1::ReadRegistersRequest { meter: "meters/m1".into(), registers };
        running.reading().read_registers(request).await.unwrap().into_inner()
    };
    read(&["1-0:1.8.0", "1-0:2.8.0"]).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    read(&["1-0:1.8.0"]).await;
    let latest = async |meters: &[&str], objects: &[&str]| {
        let request = v1::GetLatestReadingsRequest {
            meters: meters.iter().map(|id| format!("meters/{id}")).collect(),
            objects: objects.iter().map(|obis| (*obis).to_owned()).collect(),
            ..Default::default()
        };
        running.data().get_latest_readings(request).await.map(|answer| answer.into_inner().meters)
    };
    let shown = |of: &v1::LatestReadings| {
        let names = |capture: &v1::Capture| capture.readings.iter().map(|of| of.obis.clone()).collect::<Vec<_>>();
        of.captures.iter().map(names).collect::<Vec<_>>()
    };
    let all = latest(&["m1", "silent"], &["1-0:2.8.0", "1-0:1.8.0", "1-0:3.8.0"]).await.unwrap();
    assert_eq!(shown(&all[0]), [["1.0.1.8.0.255"], ["1.0.2.8.0.255"]], "the newest first, and each object once");
    assert_eq!(all[0].missing, ["1.0.3.8.0.255"]);
    assert_eq!((all[1].meter.as_str(), all[1].captures.len(), all[1].missing.len()), ("meters/silent", 0, 3));
    let whole = latest(&["m1"], &[]).await.unwrap();
    assert_eq!(shown(&whole[0]), [["1.0.1.8.0.255"]]);
    assert_eq!(latest(&["m1", "nobody"], &[]).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fields(&latest(&["m1", "a/b"], &["x"]).await.unwrap_err()), ["meters[1]", "objects[0]"]);
    assert_eq!(fields(&latest(&[], &[]).await.unwrap_err()), ["meters"]);
    running.stop().await;
}

async fn diagnostics(running: &Running, id: &str, read_modem: bool) -> v1::CommsDiagnostics {
    let request = v1::GetCommsDiagnosticsRequest { meter: format!("meters/{id}"), read_modem };
    running.reading().get_comms_diagnostics(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn what_is_known_of_the_way_to_a_meter_is_told_without_asking_it() {
    let (running, meters, _folder) = setup().await;
    assert_eq!(diagnostics(&running, "m1", false).await.since, None, "nobody has spoken to it");
    let read = async |obis: &str| {
        let registers = vec![v1::RegisterSelector { obis: obis.into(), class_id: 3 }];
        running.reading().read_registers(v1::ReadRegistersRequest { meter: "meters/m1".into(), registers }).await
    };
    for _ in 0..3 {
        read("1-0:1.8.0").await.unwrap();
    }
    let before = meters.counts();
    let known = diagnostics(&running, "m1", false).await;
    assert_eq!(meters.counts().answers, before.answers, "the meter was not asked");
    assert!(seconds(&known.since) <= seconds(&known.last_success_time));
    assert_eq!((known.last_failure.clone(), known.failures_in_row), (None, 0));
    let windows: Vec<_> =
        known.windows.iter().map(|of| (of.length.unwrap().seconds, of.succeeded, of.failed)).collect();
    assert_eq!(windows, [(3_600, 3, 0), (86_400, 3, 0), (604_800, 3, 0)]);
    assert!(known.windows.iter().all(|of| of.success_rate == Some(1.0)));
    assert_eq!((known.latency.unwrap().samples, known.opening.unwrap().samples), (3, 1));
    assert!(known.latency.unwrap().p50.unwrap().nanos > 0);
    assert_eq!((known.octets_sent, known.octets_received), (before.received_octets, before.sent_octets));
    assert_eq!((known.associations_opened, known.associations_failed, known.associated), (1, 0, true));
    let counters = known.counters.unwrap();
    assert!(counters.next >= 4 && counters.next < counters.reserved && counters.receive_floor > 0, "{counters:?}");
    assert_eq!((known.route, known.plans.len(), known.modems.len(), known.security_failures), (None, 0, 0, 0));

    // The meter goes away, and its place on a route is shown.
    drop(meters);
    running.create(v1::Meter { route: "pool".into(), ..plain("m2", "127.0.0.1:1") }).await.unwrap();
    for _ in 0..2 {
        read("1-0:1.8.0").await.unwrap_err();
    }
    let known = diagnostics(&running, "m1", false).await;
    assert_eq!((known.failures_in_row, known.windows[0].succeeded, known.windows[0].failed), (2, 3, 2));
    assert_eq!((known.windows[2].success_rate, known.associated), (Some(0.6), false));
    let failure = known.last_failure.unwrap();
    assert_eq!((failure.reason.as_str(), failure.layer()), ("UNREACHABLE", v1::Layer::Link));
    ping(&running, v1::target::Kind::Meter("meters/m2".into()), 900).await;
    let route = diagnostics(&running, "m2", false).await.route.unwrap();
    assert_eq!((route.name.as_str(), route.capacity, route.sessions, route.waiting), ("pool", 8, 0, 0));
    let unknown = v1::GetCommsDiagnosticsRequest { meter: "meters/none".into(), read_modem: false };
    assert_eq!(running.reading().get_comms_diagnostics(unknown).await.unwrap_err().code(), Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn failures_of_security_are_told_apart_and_plans_say_when_they_try_again() {
    let (running, meters, _folder) = setup().await;
    let mut wrong = managed("wrong", &tcp(&meters, 0));
    wrong.security.as_mut().unwrap().encryption_key = vec![9; 16];
    running.create(wrong).await.unwrap();
    ping(&running, v1::target::Kind::Meter("meters/wrong".into()), 900).await;
    let known = diagnostics(&running, "wrong", false).await;
    assert!(known.security_failures >= 1 && known.associations_opened == 0, "{known:?}");
    assert!(known.associations_failed >= 1);
    assert_eq!(known.last_failure.unwrap().reason, "SECURITY_FAILED");

    running.create(plain("gone", "127.0.0.1:1")).await.unwrap();
    let mut plans = v1::collection_client::CollectionClient::new(running.channel.clone());
    let plan = v1::Plan {
        profiles: vec!["1-0:99.1.0".into()],
        target: Some(v1::plan::Target::Meters(v1::MeterList { meters: vec!["meters/gone".into()] })),
        cadence: Some(v1::plan::Cadence::Every(prost_types::Duration { seconds: 900, nanos: 0 })),
        ..Default::default()
    };
    let request = v1::CreatePlanRequest { plan: Some(plan), plan_id: "quarter".into(), ..Default::default() };
    plans.create_plan(request).await.unwrap();
    let run = v1::RunNowRequest { plan: "plans/quarter".into(), ..Default::default() };
    plans.run_now(run).await.unwrap();
    let state = async {
        loop {
            let known = diagnostics(&running, "gone", false).await;
            if let [plan] = &known.plans[..]
                && let Some(state) = plan.state.clone().filter(|state| state.attempt > 0)
            {
                return (plan.plan.clone(), state);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let (plan, state) = tokio::time::timeout(PATIENCE, state).await.unwrap();
    assert_eq!((plan.as_str(), state.error.as_str()), ("plans/quarter", "UNREACHABLE"));
    assert!(state.due_time.is_some());
    running.stop().await;
}

#[tokio::test]
async fn what_a_modem_sees_is_read_where_it_is_asked_for() {
    let (running, _meters, _folder) = setup().await;
    let known = diagnostics(&running, "m1", true).await;
    assert_eq!(known.modem_failure, None);
    let [modem] = &known.modems[..] else { panic!("{:?}", known.modems) };
    assert_eq!(modem.object, "0.0.25.6.0.255");
    assert_eq!(
        (modem.operator.as_deref(), modem.registration, modem.packet_switched),
        (Some("00101"), Some(1), Some(5))
    );
    assert_eq!((modem.cell, modem.area, modem.channel), (Some(123_456), Some(4_660), Some(6_300)));
    assert_eq!((modem.signal_quality, modem.signal_dbm), (Some(21), Some(-71)));
    assert_eq!(modem.adjacent, [v1::AdjacentCell { cell: 123_457, signal_quality: 14, signal_dbm: Some(-85) }]);
    assert!(modem.capture_time.is_some());

    // A meter without a modem says so, and the rest is told all the same.
    running.create(plain("m2", "127.0.0.1:1")).await.unwrap();
    let known = diagnostics(&running, "m2", true).await;
    assert_eq!(known.modem_failure.unwrap().reason, "UNREACHABLE");
    assert_eq!(known.failures_in_row, 1);
    running.stop().await;
}

/// How many answers a meter gives to a reading of 40 registers in an association that is open, and what became of them.
async fn exchanges(quirks: &str, max_pdu_octets: u32) -> (u64, Vec<(MeterResult, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(1).await;
    let mut config = quick(folder.path());
    config.fleet.quirks = dlms_head_end::config::QuirkModels::from_toml(quirks).unwrap();
    let running = Running::with(config).await;
    running.create(v1::Meter { max_pdu_octets, ..managed("m1", &tcp(&meters, 0)) }).await.unwrap();
    let read = async |obis: Vec<String>| {
        let registers = obis.into_iter().map(|obis| v1::RegisterSelector { obis, class_id: 3 }).collect();
        let request = v1::ReadRegistersRequest { meter: "meters/m1".into(), registers };
        running.reading().read_registers(request).await.unwrap().into_inner().results
    };
    read(vec!["1-0:32.7.0".into()]).await;
    let before = meters.counts().answers;
    let registers = (1..=10).flat_map(|c| (0..4).map(move |e| format!("1-0:{c}.8.{e}")));
    let results = read(registers.collect()).await;
    let answers = meters.counts().answers - before;
    let shown = |of: &v1::RegisterResult| {
        let unit = of.reading.as_ref().and_then(|of| of.scaler_unit.as_ref()).map(|of| of.symbol.clone());
        (of.result(), unit.unwrap_or_default())
    };
    let results = results.iter().map(shown).collect();
    running.stop().await;
    (answers, results)
}

#[tokio::test]
async fn many_registers_need_few_exchanges_where_the_meter_offers_it() {
    let model = |avoid: &str| format!("[[model]]\nname = \"any\"\navoid = [{avoid}]\n");
    let (by_access, read) = exchanges("", 0).await;
    assert!(read.iter().filter(|(result, unit)| *result == MeterResult::Succeeded && !unit.is_empty()).count() > 10);
    let (by_lists, same) = exchanges(&model("\"access\""), 0).await;
    assert_eq!(same, read);
    let (one_by_one, same) = exchanges(&model("\"access\", \"multiple-references\""), 0).await;
    assert_eq!(same, read);
    // 80 attributes: 64 and 16; five lists of 16; each for itself.
    assert_eq!((by_access, by_lists, one_by_one), (2, 5, 80));
    // Answers that are too long for one APDU come in blocks, and say the same.
    let (in_blocks, same) = exchanges("", 200).await;
    assert_eq!(same, read);
    assert!(in_blocks > by_access, "{in_blocks}");
}
