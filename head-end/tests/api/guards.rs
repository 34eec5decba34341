//! What takes supply or keys from a customer is guarded by whichever name it is asked for.

use dlms_head_end::{access::NewToken, api::SecurityFiles, config::Config};
use dlms_proto::v1::{
    self, InvokeMethodRequest, Meter, control_client::ControlClient, job_spec, jobs_client::JobsClient,
};
use tonic::{Code, Request};

use crate::support::{PATIENCE, Running, fields, info, managed, plain, simulated, tcp};

fn target(meters: &[&str]) -> Option<v1::Target> {
    let meters = meters.iter().map(|meter| format!("meters/{meter}")).collect();
    Some(v1::Target { kind: Some(v1::target::Kind::Meters(v1::MeterNames { meters })) })
}

fn within_an_hour() -> Option<v1::Instruction> {
    let expires_at = prost_types::Timestamp { seconds: jiff::Timestamp::now().as_second() + 3_600, nanos: 0 };
    Some(v1::Instruction { expires_at: Some(expires_at), ..Default::default() })
}

fn value(kind: v1::value::Kind) -> Option<v1::Value> {
    Some(v1::Value { kind: Some(kind) })
}

/// remote_disconnect, as a raw method.
fn disconnect() -> v1::InvokeMethodSpec {
    v1::InvokeMethodSpec {
        class_id: 70,
        obis: "0-0:96.3.10".into(),
        method: 1,
        parameter: value(v1::value::Kind::Integer(0)),
    }
}

fn entry(token: &NewToken, subject: &str, role: &str) -> String {
    let (id, hash) = (&token.id, token.hash.text());
    format!("[[token]]\nid = {id:?}\nhash = {hash:?}\nsubject = {subject:?}\nroles = [{role:?}]\n")
}

/// A head-end that knows these callers.
async fn with_callers(folder: &std::path::Path, callers: &[String]) -> Running {
    let path = folder.join("callers.toml");
    std::fs::write(&path, callers.concat()).unwrap();
    let security = SecurityFiles { callers: Some(path), ..Default::default() };
    Running::with(Config { data_dir: folder.join("with-callers"), security, ..Config::default() }).await
}

#[tokio::test]
async fn a_raw_disconnection_meets_the_guards_of_control() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(2).await;
    let running = Running::start(folder.path()).await;
    running.create(managed("m1", &tcp(&fleet, 0))).await.unwrap();
    let labels = [("protected-customer".to_owned(), "yes".to_owned())].into();
    running.create(Meter { labels, ..managed("m2", &tcp(&fleet, 1)) }).await.unwrap();

    let v1::InvokeMethodSpec { class_id, obis, method, parameter } = disconnect();
    let request =
        InvokeMethodRequest { meter: "meters/m1".into(), class_id, obis, method, parameter, ..Default::default() };
    let refused = running.reading().invoke_method(request).await.unwrap_err();
    assert_eq!((refused.code(), info(&refused).reason.as_str()), (Code::FailedPrecondition, "GUARDED"));
    let limit = v1::AttributeRef { class_id: 71, obis: "0-0:17.0.0".into(), attribute: 4 };
    let assignment = v1::AttributeAssignment {
        attribute: Some(limit),
        value: value(v1::value::Kind::DoubleLongUnsigned(0)),
        ..Default::default()
    };
    let request = v1::SetAttributesRequest {
        meter: "meters/m1".into(),
        assignments: vec![assignment],
        request_id: String::new(),
    };
    let refused = running.reading().set_attributes(request).await.unwrap_err();
    assert_eq!(info(&refused).reason, "GUARDED");

    let anna = NewToken::draw().unwrap();
    let with_callers = with_callers(folder.path(), &[entry(&anna, "anna", "operator")]).await;
    let mut jobs = JobsClient::new(running.channel.clone());
    let item = v1::BundleItem { kind: Some(v1::bundle_item::Kind::InvokeMethod(disconnect())) };
    for kind in [
        job_spec::Kind::InvokeMethod(disconnect()),
        job_spec::Kind::Bundle(v1::BundleSpec { items: vec![item], stop_on_error: false }),
        job_spec::Kind::SetLoadLimit(v1::SetLoadLimitSpec::default()),
    ] {
        let spec = Some(v1::JobSpec { kind: Some(kind.clone()) });
        let request = v1::SubmitRequest { target: target(&["m2"]), spec: spec.clone(), instruction: within_an_hour() };
        let job = jobs.submit(request).await.unwrap().into_inner();
        let watch = v1::WatchJobRequest { name: job.name.clone(), ..Default::default() };
        let mut progress = jobs.watch(watch).await.unwrap().into_inner();
        while tokio::time::timeout(PATIENCE, progress.message()).await.unwrap().unwrap().is_some() {}
        let request = v1::ListResultsRequest { job: job.name, ..Default::default() };
        let task = jobs.list_results(request).await.unwrap().into_inner().tasks.remove(0);
        assert_eq!(task.result(), v1::Result::Cancelled, "{kind:?}: {task:?}");
        assert!(task.failure.unwrap().message.contains("protected"), "{kind:?}");

        let many: Vec<String> = (0..11).map(|n| format!("many{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let request = v1::SubmitRequest { target: target(&many), spec, instruction: within_an_hour() };
        // Without callers there is nobody else who could allow it.
        let refused = jobs.submit(request.clone()).await.unwrap_err();
        let told = (refused.code(), info(&refused).reason);
        assert_eq!(told, (Code::FailedPrecondition, "NOBODY_TO_APPROVE".to_owned()), "{kind:?}");
        let mut request = Request::new(request);
        let header = format!("Bearer {}", anna.token.as_str());
        request.metadata_mut().insert("authorization", header.parse().unwrap());
        let job = JobsClient::new(with_callers.channel.clone()).submit(request).await.unwrap().into_inner();
        assert_eq!(job.state(), v1::JobState::AwaitingApproval, "{kind:?}");
    }
    with_callers.stop().await;

    let mut control = ControlClient::new(running.channel.clone());
    for meter in ["meters/m1", "meters/m2"] {
        let target = Some(v1::Target { kind: Some(v1::target::Kind::Meter(meter.into())) });
        let request = v1::GetSupplyStatusRequest { target, ..Default::default() };
        let task = control.get_supply_status(request).await.unwrap().into_inner().task.unwrap();
        assert!(task.supply.unwrap().after.unwrap().connected, "{meter}");
    }
    running.stop().await;
}

#[tokio::test]
async fn keys_are_not_changed_by_who_may_only_talk_to_meters_and_request_ids_are_each_callers_own() {
    let folder = tempfile::tempdir().unwrap();
    let [anna, otto, root] = [(); 3].map(|()| NewToken::draw().unwrap());
    let callers =
        [entry(&anna, "anna", "operator"), entry(&otto, "otto", "operator"), entry(&root, "root", "administrator")];
    let running = with_callers(folder.path(), &callers).await;
    fn by<T>(token: &NewToken, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let header = format!("Bearer {}", token.token.as_str());
        request.metadata_mut().insert("authorization", header.parse().unwrap());
        request
    }
    let create = async |token: &NewToken, meter: &str| {
        let meter = Some(plain(meter, "127.0.0.1:1"));
        let request = v1::CreateMeterRequest { meter, request_id: "r1".into(), ..Default::default() };
        running.registry().create_meter(by(token, request)).await.map(|answer| answer.into_inner().name)
    };
    assert_eq!(create(&anna, "m1").await.unwrap(), "meters/m1");
    assert_eq!(create(&otto, "m2").await.unwrap(), "meters/m2", "his first request of that id");
    assert_eq!(create(&anna, "m1").await.unwrap(), "meters/m1", "a repetition");
    assert_eq!(fields(&create(&anna, "m3").await.unwrap_err()), ["request_id"]);

    // global_key_transfer of the security setup.
    let transfer = v1::InvokeMethodSpec { class_id: 64, obis: "0-0:43.0.0".into(), method: 2, parameter: None };
    let v1::InvokeMethodSpec { class_id, obis, method, parameter } = transfer.clone();
    let request =
        InvokeMethodRequest { meter: "meters/m1".into(), class_id, obis, method, parameter, ..Default::default() };
    let refused = running.reading().invoke_method(by(&anna, request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    let spec = Some(v1::JobSpec { kind: Some(job_spec::Kind::InvokeMethod(transfer)) });
    let request = v1::SubmitRequest { target: target(&["m1"]), spec, instruction: within_an_hour() };
    let submit = async |token, request| JobsClient::new(running.channel.clone()).submit(by(token, request)).await;
    let refused = submit(&anna, request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    // Who may change keys does so at once: a job would keep them.
    assert_eq!(fields(&submit(&root, request).await.unwrap_err()), ["spec"]);
    running.stop().await;
}
