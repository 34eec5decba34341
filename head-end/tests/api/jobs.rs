//! Jobs and the switching of supplies, on simulated meters.

use dlms_proto::v1::{
    self, Instruction, JobSpec, Target, control_client::ControlClient, job_spec, jobs_client::JobsClient, target,
};

use crate::support::{PATIENCE, Running, managed, simulated, tcp};

fn target(meter: &str) -> Option<Target> {
    Some(Target { kind: Some(target::Kind::Meter(format!("meters/{meter}"))) })
}

fn within_an_hour() -> Option<Instruction> {
    let expires = jiff::Timestamp::now().as_second() + 3_600;
    Some(Instruction {
        expires_at: Some(prost_types::Timestamp { seconds: expires, nanos: 0 }),
        ..Instruction::default()
    })
}

#[tokio::test]
async fn a_supply_is_switched_off_and_on_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(1).await;
    let running = Running::start(folder.path()).await;
    running.create(managed("m1", &tcp(&fleet, 0))).await.unwrap();
    let mut control = ControlClient::new(running.channel.clone());
    let register = v1::RegisterSelector { obis: "1-0:1.8.0".to_owned(), class_id: 3 };
    let spec = v1::DisconnectSupplySpec { registers: vec![register], ..Default::default() };
    let request = v1::DisconnectSupplyRequest { target: target("m1"), spec: Some(spec), instruction: within_an_hour() };
    let done = control.disconnect_supply(request).await.unwrap().into_inner().task.unwrap();
    assert_eq!(done.result(), v1::Result::Succeeded, "{done:?}");
    let supply = done.supply.unwrap();
    assert!(supply.switched && supply.before.unwrap().connected && !supply.after.unwrap().connected);
    assert!(supply.registers[0].reading.is_some());

    let request = v1::ReconnectSupplyRequest { target: target("m1"), instruction: within_an_hour(), spec: None };
    let done = control.reconnect_supply(request).await.unwrap().into_inner().task.unwrap();
    assert!(done.supply.unwrap().after.unwrap().connected);

    let request = v1::ReconnectSupplyRequest { target: target("m1"), instruction: None, spec: None };
    let refused = control.reconnect_supply(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = simulated(2).await;
    let running = Running::start(folder.path()).await;
    for meter in 0..2 {
        running.create(managed(&format!("m{meter}"), &tcp(&fleet, meter))).await.unwrap();
    }
    let mut jobs = JobsClient::new(running.channel.clone());
    let register = v1::RegisterSelector { obis: "1-0:1.8.0".to_owned(), class_id: 3 };
    let kind = job_spec::Kind::ReadRegisters(v1::ReadRegistersSpec { registers: vec![register] });
    let everybody = Target { kind: Some(target::Kind::Selector(v1::MeterSelector::default())) };
    let request =
        v1::SubmitRequest { target: Some(everybody), spec: Some(JobSpec { kind: Some(kind) }), instruction: None };
    let job = jobs.submit(request).await.unwrap().into_inner();
    let watch = v1::WatchJobRequest { name: job.name.clone(), ..Default::default() };
    let mut progress = jobs.watch(watch).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = tokio::time::timeout(PATIENCE, progress.message()).await.unwrap().unwrap() {
        last = message.job;
    }
    let last = last.unwrap();
    assert_eq!((last.state(), last.counts.unwrap().succeeded), (v1::JobState::Finished, 2));
    let request = v1::ListResultsRequest { job: job.name, ..Default::default() };
    let tasks = jobs.list_results(request).await.unwrap().into_inner().tasks;
    assert_eq!(tasks.iter().map(|task| task.meter.as_str()).collect::<Vec<_>>(), ["meters/m0", "meters/m1"]);
    running.stop().await;
}

#[tokio::test]
async fn who_follows_a_job_does_not_keep_the_head_end_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    running.create(managed("m1", "127.0.0.1:1")).await.unwrap();
    let mut jobs = JobsClient::new(running.channel.clone());
    let later = prost_types::Timestamp { seconds: jiff::Timestamp::now().as_second() + 1_800, nanos: 0 };
    let request = v1::SubmitRequest {
        target: target("m1"),
        spec: Some(JobSpec { kind: Some(job_spec::Kind::Ping(v1::PingSpec::default())) }),
        instruction: Some(Instruction { not_before: Some(later), ..within_an_hour().unwrap() }),
    };
    let job = jobs.submit(request).await.unwrap().into_inner();
    let watch = v1::WatchJobRequest { name: job.name, ..Default::default() };
    let mut progress = jobs.watch(watch).await.unwrap().into_inner();
    progress.message().await.unwrap().unwrap();
    let told = tokio::spawn(async move { progress.message().await });
    running.stop().await;
    let status = tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap().unwrap_err();
    assert_eq!((status.code(), status.message().contains("resume_token")), (tonic::Code::Unavailable, true));
}
