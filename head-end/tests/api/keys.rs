//! Keys and security policies of simulated meters, renewed and strengthened; by security officers alone.

use dlms_head_end::{access::NewToken, api::SecurityFiles, config::Config};
use dlms_meter_server::simulator::Keys;
use dlms_proto::v1::{
    self, GetKeyStatusRequest, Instruction, JobSpec, KeyKind, KeyStatus, MessageProtection, RotateKeysRequest,
    RotateKeysSpec, SetSecurityPolicyRequest, SetSecurityPolicySpec, SubmitRequest, Target, job_spec,
    jobs_client::JobsClient, keys_outcome, meter_security_client::MeterSecurityClient, target, task_outcome,
};
use tonic::{Code, Request, transport::Channel};

use crate::support::{Running, managed, quick, simulated, tcp};

fn target(meter: &str) -> Option<Target> {
    Some(Target { kind: Some(target::Kind::Meter(format!("meters/{meter}"))) })
}

fn within_an_hour() -> Option<Instruction> {
    let seconds = jiff::Timestamp::now().as_second() + 3_600;
    let expires_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
    Some(Instruction { expires_at, ..Instruction::default() })
}

fn rotation(meter: &str, keys: &[KeyKind]) -> RotateKeysRequest {
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let spec = Some(RotateKeysSpec { keys, ..Default::default() });
    RotateKeysRequest { target: target(meter), spec, instruction: within_an_hour() }
}

/// The management client's meter with its master key.
fn mastered(id: &str, address: &str) -> v1::Meter {
    let mut meter = managed(id, address);
    meter.security.get_or_insert_default().master_key = Keys::DEMONSTRATION_MASTER.to_vec();
    meter
}

async fn status(client: &mut MeterSecurityClient<Channel>, meter: &str) -> KeyStatus {
    let request = GetKeyStatusRequest { meter: format!("meters/{meter}") };
    client.get_key_status(request).await.unwrap().into_inner()
}

async fn reads(running: &Running, meter: &str) -> v1::Result {
    let register = v1::RegisterSelector { obis: "1-0:1.8.0".to_owned(), class_id: 3 };
    let request = v1::ReadRegistersRequest { meter: format!("meters/{meter}"), registers: vec![register] };
    running.reading().read_registers(request).await.unwrap().into_inner().results[0].result()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_renewed_again_and_again_and_the_old_ones_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(1).await;
    let running = Running::with(quick(folder.path())).await;
    running.create(mastered("m1", &tcp(&fleet, 0))).await.unwrap();
    let mut security = MeterSecurityClient::new(running.channel.clone());
    assert_eq!(reads(&running, "m1").await, v1::Result::Succeeded);
    let before = status(&mut security, "m1").await;
    let kinds = |status: &KeyStatus| status.keys.iter().map(v1::KeyState::key).collect::<Vec<_>>();
    assert_eq!(kinds(&before), [KeyKind::Encryption, KeyKind::Authentication, KeyKind::Master]);

    // All of them, the master key among them; then with the new master key; then one alone.
    for keys in [
        &[KeyKind::Encryption, KeyKind::Authentication, KeyKind::Broadcast, KeyKind::Master][..],
        &[KeyKind::Encryption, KeyKind::Authentication],
        &[KeyKind::Encryption],
    ] {
        let task = security.rotate_keys(rotation("m1", keys)).await.unwrap().into_inner().task.unwrap();
        assert_eq!(task.result(), v1::Result::Succeeded, "{keys:?}: {task:?}");
        let Some(task_outcome::Kind::Keys(outcome)) = task.outcome.unwrap().kind else { panic!("no outcome of keys") };
        assert_eq!((outcome.state(), outcome.keys.len()), (keys_outcome::State::New, keys.len()));
        assert_eq!(reads(&running, "m1").await, v1::Result::Succeeded, "{keys:?}");
    }
    let after = status(&mut security, "m1").await;
    assert!(after.rotation.is_empty() && after.keys.iter().all(|key| key.new_since.is_none()), "{after:?}");
    assert_eq!(after.keys.len(), 4, "the broadcast key is held since it was made");
    let since = |status: &KeyStatus| status.keys[0].active_since.unwrap();
    assert!((since(&after).seconds, since(&after).nanos) > (since(&before).seconds, since(&before).nanos));

    // Whoever has the old keys only is refused.
    running.create(mastered("old", &tcp(&fleet, 0))).await.unwrap();
    let refused = security.rotate_keys(rotation("old", &[])).await;
    let result = refused.map(|done| done.into_inner().task.unwrap().result());
    assert!(!matches!(result, Ok(v1::Result::Succeeded)), "{result:?}");
    running.stop().await;
    // What is renewed outlives the process.
    let running = Running::with(quick(folder.path())).await;
    assert_eq!(reads(&running, "m1").await, v1::Result::Succeeded);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_strengthened_and_read_back_and_lock_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(1).await;
    let running = Running::with(quick(folder.path())).await;
    running.create(mastered("m1", &tcp(&fleet, 0))).await.unwrap();
    let mut security = MeterSecurityClient::new(running.channel.clone());
    let both = MessageProtection { authenticated: true, encrypted: true, signed: false };
    let set = |request: MessageProtection, response: MessageProtection| SetSecurityPolicyRequest {
        target: target("m1"),
        spec: Some(SetSecurityPolicySpec { request: Some(request), response: Some(response), ..Default::default() }),
        instruction: within_an_hour(),
    };
    let task = security.set_security_policy(set(both, both)).await.unwrap().into_inner().task.unwrap();
    assert_eq!(task.result(), v1::Result::Succeeded, "{task:?}");
    let Some(task_outcome::Kind::Policy(outcome)) = task.outcome.unwrap().kind else { panic!("no policy") };
    assert_eq!((outcome.request, outcome.response), (Some(both), Some(both)));
    assert_eq!(reads(&running, "m1").await, v1::Result::Succeeded);

    // Weaker: refused before anything is sent. Signed: our own requests would not meet it.
    let weaker = MessageProtection { encrypted: false, ..both };
    let task = security.set_security_policy(set(weaker, weaker)).await.unwrap().into_inner().task.unwrap();
    assert_eq!(task.result(), v1::Result::MeterRefused, "{task:?}");
    let signed = MessageProtection { signed: true, ..both };
    let task = security.set_security_policy(set(signed, both)).await.unwrap().into_inner().task.unwrap();
    assert_eq!(task.result(), v1::Result::Cancelled, "{task:?}");
    assert_eq!(reads(&running, "m1").await, v1::Result::Succeeded);
    running.stop().await;
}

#[tokio::test]
async fn only_security_officers_change_keys_not_even_by_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let (officer, operator) = (NewToken::draw().unwrap(), NewToken::draw().unwrap());
    let entry = |token: &NewToken, role: &str| {
        let (id, hash) = (&token.id, token.hash.text());
        format!("[[token]]\nid = {id:?}\nhash = {hash:?}\nsubject = {role:?}\nroles = [{role:?}]\n")
    };
    let path = folder.path().join("callers.toml");
    std::fs::write(&path, entry(&officer, "security_officer") + &entry(&operator, "operator")).unwrap();
    let files = SecurityFiles { callers: Some(path), ..Default::default() };
    let running = Running::with(Config { security: files, ..quick(folder.path()) }).await;
    fn by<T>(token: &NewToken, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let header = format!("Bearer {}", token.token.as_str());
        request.metadata_mut().insert("authorization", header.parse().unwrap());
        request
    }
    let create = v1::CreateMeterRequest { meter: Some(mastered("m1", "127.0.0.1:1")), ..Default::default() };
    running.registry().create_meter(by(&operator, create)).await.unwrap();
    let mut security = MeterSecurityClient::new(running.channel.clone());
    let refused = security.rotate_keys(by(&operator, rotation("m1", &[]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let asked = GetKeyStatusRequest { meter: "meters/m1".into() };
    let refused = security.get_key_status(by(&operator, asked.clone())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let kind = Some(job_spec::Kind::RotateKeys(RotateKeysSpec::default()));
    let submit = SubmitRequest { target: target("m1"), spec: Some(JobSpec { kind }), instruction: within_an_hour() };
    let refused = JobsClient::new(running.channel.clone()).submit(by(&operator, submit)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let status = security.get_key_status(by(&officer, asked)).await.unwrap().into_inner();
    assert_eq!(status.keys.len(), 3);
    running.stop().await;
}
