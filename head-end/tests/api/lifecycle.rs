//! The life of a meter: by hand, and by the jobs that take it into service and out of it.

use dlms_meter_server::simulator::Keys;
use dlms_proto::v1::{
    self, CommissionRequest, CommissionSpec, DecommissionRequest, DecommissionSpec, Instruction, LifecycleOutcome,
    LifecycleStatus, Meter, QueryAuditLogRequest, SetLifecycleStatusRequest, Target, Task,
    admin_client::AdminClient,
    lifecycle_step::{Kind, Result as StepResult},
    meter_security_client::MeterSecurityClient,
    target, task_outcome,
};
use tonic::{Code, Status};

use crate::support::{Running, fields, info, managed, plain, quick, simulated, tcp};

const ADDRESS: &str = "127.0.0.1:4059";

async fn set(running: &Running, meter: &str, status: LifecycleStatus) -> Result<Meter, Status> {
    let request = SetLifecycleStatusRequest {
        name: format!("meters/{meter}"),
        status: status.into(),
        reason: "moved out".to_owned(),
        ..Default::default()
    };
    running.registry().set_lifecycle_status(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_person_suspends_meters_and_takes_them_out_but_commissions_none() {
    use LifecycleStatus::{Commissioned, Decommissioned, Registered, Suspended, Unspecified};
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let created = running.create(Meter { service_point: "NMI 1".to_owned(), ..plain("m1", ADDRESS) }).await.unwrap();
    assert_eq!((created.lifecycle_status(), created.lifecycle_time), (Registered, None));
    let refused = set(&running, "m1", Commissioned).await.unwrap_err();
    assert_eq!((refused.code(), info(&refused).reason.as_str()), (Code::FailedPrecondition, "LIFECYCLE"));
    let suspended = set(&running, "m1", Suspended).await.unwrap();
    assert_eq!(suspended.lifecycle_status(), Suspended);
    assert!(suspended.lifecycle_time.is_some() && suspended.commission_time.is_none());
    // It was never commissioned: there is nothing to come back to.
    assert_eq!(info(&set(&running, "m1", Commissioned).await.unwrap_err()).reason, "LIFECYCLE");
    let out = set(&running, "m1", Decommissioned).await.unwrap();
    assert_eq!((out.lifecycle_status(), out.service_point.as_str()), (Decommissioned, "NMI 1"));
    assert_eq!(info(&set(&running, "m1", Suspended).await.unwrap_err()).reason, "LIFECYCLE");
    let again = set(&running, "m1", Decommissioned).await.unwrap();
    assert_eq!(again.lifecycle_time, out.lifecycle_time, "what is so already stays as it is");
    let back = set(&running, "m1", Registered).await.unwrap();
    assert_eq!((back.lifecycle_status(), back.service_point.as_str()), (Registered, ""));

    assert_eq!(fields(&set(&running, "m1", Unspecified).await.unwrap_err()), ["status"]);
    assert_eq!(set(&running, "m2", Suspended).await.unwrap_err().code(), Code::NotFound);
    let name = "meters/m1".to_owned();
    let stale = SetLifecycleStatusRequest { name, status: Suspended.into(), etag: created.etag, ..Default::default() };
    let refused = running.registry().set_lifecycle_status(stale).await.unwrap_err();
    assert_eq!(info(&refused).reason, "ETAG_MISMATCH");
    // An update says nothing of it.
    let update = Meter { name: "meters/m1".into(), display_name: "cellar".into(), ..Default::default() };
    let request = v1::UpdateMeterRequest { meter: Some(update), ..Default::default() };
    let updated = running.registry().update_meter(request).await.unwrap().into_inner();
    assert_eq!((updated.lifecycle_status(), updated.lifecycle_time), (Registered, back.lifecycle_time));
    let asked = QueryAuditLogRequest { method: "SetLifecycleStatus".into(), page_size: 1, ..Default::default() };
    let log = AdminClient::new(running.channel.clone()).query_audit_log(asked).await.unwrap().into_inner();
    assert_eq!((log.calls[0].target.as_str(), log.calls[0].outcome.as_str()), ("meters/m1", "ABORTED"));
    running.stop().await;
}

/// Expires in an hour.
fn within_an_hour() -> Option<Instruction> {
    let seconds = jiff::Timestamp::now().as_second() + 3_600;
    Some(Instruction { expires_at: Some(prost_types::Timestamp { seconds, nanos: 0 }), ..Instruction::default() })
}

fn target(meter: &str) -> Option<Target> {
    Some(Target { kind: Some(target::Kind::Meter(format!("meters/{meter}"))) })
}

fn register(obis: &str) -> v1::RegisterSelector {
    v1::RegisterSelector { obis: obis.to_owned(), class_id: 3 }
}

async fn commission(running: &Running, meter: &str, spec: CommissionSpec) -> Task {
    let request = CommissionRequest { target: target(meter), spec: Some(spec), instruction: within_an_hour() };
    running.registry().commission(request).await.unwrap().into_inner().task.unwrap()
}

async fn decommission(running: &Running, meter: &str, spec: DecommissionSpec) -> Task {
    let request = DecommissionRequest { target: target(meter), spec: Some(spec), instruction: within_an_hour() };
    running.registry().decommission(request).await.unwrap().into_inner().task.unwrap()
}

async fn update(running: &Running, meter: Meter) {
    let request = v1::UpdateMeterRequest { meter: Some(meter), ..Default::default() };
    running.registry().update_meter(request).await.unwrap();
}

async fn get(running: &Running, meter: &str) -> Meter {
    let name = format!("meters/{meter}");
    running.registry().get_meter(v1::GetMeterRequest { name }).await.unwrap().into_inner()
}

fn outcome(task: &Task) -> &LifecycleOutcome {
    match task.outcome.as_ref().and_then(|outcome| outcome.kind.as_ref()) {
        Some(task_outcome::Kind::Lifecycle(outcome)) => outcome,
        other => panic!("{other:?} {task:?}"),
    }
}

/// The steps that were done, and how they ended.
fn steps(task: &Task) -> Vec<(Kind, StepResult)> {
    outcome(task).steps.iter().map(|step| (step.kind(), step.result())).collect()
}

/// A meter with its master key, and the name that it says it has.
fn named(id: &str, address: &str, name: &str) -> Meter {
    let mut meter = Meter { logical_device_name: name.to_owned(), ..managed(id, address) };
    meter.security.get_or_insert_default().master_key = Keys::DEMONSTRATION_MASTER.to_vec();
    meter
}

/// What a meter of the fleet calls itself, as anybody may ask it.
async fn device_name(running: &Running, address: &str) -> String {
    let asker = format!("asker-{}", address.replace(':', "-"));
    running.create(plain(&asker, address)).await.unwrap();
    let attribute = v1::AttributeRef { class_id: 1, obis: "0-0:42.0.0".to_owned(), attribute: 2 };
    let attributes = vec![v1::AttributeSelector { attribute: Some(attribute), selection: None }];
    let request = v1::GetAttributesRequest { meter: format!("meters/{asker}"), attributes };
    let answer = running.reading().get_attributes(request).await.unwrap().into_inner();
    match answer.results[0].value.clone().unwrap().kind.unwrap() {
        v1::value::Kind::OctetString(octets) => String::from_utf8(octets).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn reads(running: &Running, meter: &str) -> Result<v1::Result, Status> {
    let request = v1::ReadRegistersRequest { meter: format!("meters/{meter}"), registers: vec![register("1-0:1.8.0")] };
    running.reading().read_registers(request).await.map(|answer| answer.into_inner().results[0].result())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_is_known_before_its_keys_are_used_and_then_taken_into_service_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(2).await;
    let running = Running::with(quick(folder.path())).await;
    let name = device_name(&running, &tcp(&fleet, 0)).await;

    // Nothing is known of it: no key is used, and it says what it would be known by.
    running.create(named("m1", &tcp(&fleet, 0), "")).await.unwrap();
    let task = commission(&running, "m1", CommissionSpec::default()).await;
    assert_eq!(steps(&task), [(Kind::Identify, StepResult::Failed)], "{task:?}");
    let failure = task.failure.clone().unwrap();
    assert_eq!((task.result(), failure.reason.as_str()), (v1::Result::Cancelled, "INVALID_REQUEST"));
    assert!(failure.message.contains(&name), "{failure:?}");
    // Another meter is at its place.
    update(
        &running,
        Meter { name: "meters/m1".into(), logical_device_name: "XYZ0000000000001".into(), ..Meter::default() },
    )
    .await;
    let task = commission(&running, "m1", CommissionSpec::default()).await;
    assert_eq!(task.result(), v1::Result::SecurityFailed, "{task:?}");
    assert_eq!(steps(&task), [(Kind::Identify, StepResult::Failed)], "{task:?}");
    assert_eq!(get(&running, "m1").await.lifecycle_status(), LifecycleStatus::Registered);

    // It is the one that it should be.
    update(&running, Meter { name: "meters/m1".into(), logical_device_name: name.clone(), ..Meter::default() }).await;
    let assignment = v1::AttributeAssignment {
        attribute: Some(v1::AttributeRef { class_id: 1, obis: "0-0:96.1.3".to_owned(), attribute: 2 }),
        value: Some(v1::Value { kind: Some(v1::value::Kind::OctetString(b"cellar".to_vec())) }),
        ..Default::default()
    };
    let template = v1::ConfigurationTemplate { name: "place".to_owned(), attributes: vec![assignment] };
    let spec = CommissionSpec {
        rotate_keys: Some(v1::RotateKeysSpec::default()),
        clock: Some(v1::SynchronizeClockSpec::default()),
        template: Some(template),
        registers: vec![register("1-0:1.8.0"), register("1-0:2.8.0")],
        ..Default::default()
    };
    let task = commission(&running, "m1", spec.clone()).await;
    assert_eq!(task.result(), v1::Result::Succeeded, "{task:?}");
    let done = [
        Kind::Identify,
        Kind::Associate,
        Kind::RotateKeys,
        Kind::DiscoverObjects,
        Kind::SetClock,
        Kind::ApplyTemplate,
        Kind::ReadRegisters,
        Kind::ChangeStatus,
    ];
    assert_eq!(steps(&task), done.map(|kind| (kind, StepResult::Done)), "{task:?}");
    let given = outcome(&task);
    assert_eq!((given.status(), given.registers.len()), (LifecycleStatus::Commissioned, 2));
    assert!(given.registers.iter().all(|read| read.result() == v1::Result::Succeeded && read.reading.is_some()));
    let meter = get(&running, "m1").await;
    assert_eq!(meter.lifecycle_status(), LifecycleStatus::Commissioned);
    assert!(meter.commission_time.is_some() && meter.commission_time == meter.lifecycle_time);
    assert_eq!(meter.system_title.len(), 8, "what the association has proved is kept");
    let cached = v1::DiscoverObjectsRequest { meter: "meters/m1".into(), cached: true };
    let objects = running.reading().discover_objects(cached).await.unwrap().into_inner();
    assert!(objects.objects.len() > 20 && !objects.profiles.is_empty());
    assert_eq!(reads(&running, "m1").await.unwrap(), v1::Result::Succeeded);

    // The first reading is in the store, and who has the keys of the shipment only is refused.
    let now = jiff::Timestamp::now().as_second();
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let query = v1::QueryReadingsRequest {
        meter: "meters/m1".into(),
        registers_only: true,
        from: time(now - 600),
        to: time(now + 600),
        ..Default::default()
    };
    let mut stored = running.data().query_readings(query).await.unwrap().into_inner();
    assert!(stored.message().await.unwrap().is_some());
    running.create(named("old", &tcp(&fleet, 0), &name)).await.unwrap();
    assert_eq!(commission(&running, "old", CommissionSpec::default()).await.result(), v1::Result::SecurityFailed);

    // Done again it is looked at again, and nothing is renewed that nobody asked for.
    let task = commission(&running, "m1", CommissionSpec::default()).await;
    assert_eq!(task.result(), v1::Result::Succeeded, "{task:?}");
    assert_eq!(get(&running, "m1").await.lifecycle_time, meter.lifecycle_time);
    // A person suspends it, and lets it go on.
    set(&running, "m1", LifecycleStatus::Suspended).await.unwrap();
    set(&running, "m1", LifecycleStatus::Commissioned).await.unwrap();

    // Without a word of the public client the title is compared by the association.
    running.create(Meter { system_title: vec![1; 8], ..named("m2", &tcp(&fleet, 1), "") }).await.unwrap();
    let unasked = CommissionSpec { without_public_client: true, ..Default::default() };
    assert_eq!(commission(&running, "m2", unasked).await.result(), v1::Result::SecurityFailed);
    assert_eq!(get(&running, "m2").await.lifecycle_status(), LifecycleStatus::Registered);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_is_read_a_last_time_its_keys_go_and_it_comes_back_as_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(1).await;
    let running = Running::with(quick(folder.path())).await;
    running.create(named("m1", &tcp(&fleet, 0), "")).await.unwrap();
    // What cannot be read keeps it in service.
    let spec = DecommissionSpec { registers: vec![register("1-0:99.99.0")], ..Default::default() };
    let task = decommission(&running, "m1", spec).await;
    assert_eq!(task.result(), v1::Result::MeterRefused, "{task:?}");
    assert_eq!(steps(&task), [(Kind::ReadRegisters, StepResult::Failed)]);
    assert_eq!(get(&running, "m1").await.lifecycle_status(), LifecycleStatus::Registered);

    let spec = DecommissionSpec {
        registers: vec![register("1-0:1.8.0")],
        profile: "0-0:98.1.0".to_owned(),
        destroy_keys: true,
    };
    let task = decommission(&running, "m1", spec.clone()).await;
    assert_eq!(task.result(), v1::Result::Succeeded, "{task:?}");
    let done = [Kind::ReadRegisters, Kind::ReadProfile, Kind::ChangeStatus, Kind::DestroyKeys];
    assert_eq!(steps(&task), done.map(|kind| (kind, StepResult::Done)));
    assert_eq!(outcome(&task).registers[0].result(), v1::Result::Succeeded);
    let meter = get(&running, "m1").await;
    assert_eq!(meter.lifecycle_status(), LifecycleStatus::Decommissioned);
    assert!(!meter.security.unwrap().keys_set);
    let asked = v1::GetKeyStatusRequest { meter: "meters/m1".into() };
    let held = MeterSecurityClient::new(running.channel.clone()).get_key_status(asked).await.unwrap().into_inner();
    assert!(held.keys.is_empty(), "{held:?}");
    assert!(reads(&running, "m1").await.is_err());
    // Again: there is nothing left to do.
    let task = decommission(&running, "m1", spec).await;
    assert_eq!(task.result(), v1::Result::Succeeded, "{task:?}");
    assert_eq!(steps(&task)[0], (Kind::ChangeStatus, StepResult::DoneBefore));
    assert_eq!(commission(&running, "m1", CommissionSpec::default()).await.result(), v1::Result::Cancelled);

    // It comes back with keys only.
    let refused = set(&running, "m1", LifecycleStatus::Registered).await.unwrap_err();
    assert_eq!(fields(&refused), ["meter.security.encryption_key", "meter.security.authentication_key"]);
    let keys = managed("m1", &tcp(&fleet, 0)).security;
    update(&running, Meter { name: "meters/m1".into(), security: keys, ..Meter::default() }).await;
    set(&running, "m1", LifecycleStatus::Registered).await.unwrap();
    assert_eq!(reads(&running, "m1").await.unwrap(), v1::Result::Succeeded);
    running.stop().await;
}
