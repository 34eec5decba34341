//! The orderly end of a head-end that has work to do.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use dlms_meter_server::simulator::{self, FleetConfig};
use dlms_proto::v1::{self, Job, JobSpec, Target, job_spec, jobs_client::JobsClient, target};

use crate::support::{PATIENCE, Running, managed, tcp};

const METERS: u32 = 40;

/// Follows the job until `enough`.
async fn watch(running: &Running, name: &str, enough: impl Fn(&Job) -> bool) -> Job {
    let request = v1::WatchJobRequest { name: name.to_owned(), ..Default::default() };
    let mut progress = JobsClient::new(running.channel.clone()).watch(request).await.unwrap().into_inner();
    loop {
        let message = tokio::time::timeout(PATIENCE, progress.message()).await.unwrap().unwrap();
        let job = message.expect("it comes so far").job.unwrap();
        if enough(&job) {
            return job;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_end_that_stops_releases_its_meters_and_goes_on_with_its_work_after_the_next_start() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    // Every answer is late, so that there is always something in flight.
    let faults = vec!["delay=200:1".parse().unwrap()];
    let config = FleetConfig { meters: METERS, tcp: Some(any), faults, ..FleetConfig::default() };
    let fleet = simulator::Fleet::start(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    for meter in 0..METERS as usize {
        // On one medium, of which a few sessions have room: the job takes a while.
        let meter = v1::Meter { route: "bus".into(), ..managed(&format!("m{meter}"), &tcp(&fleet, meter)) };
        running.create(meter).await.unwrap();
    }
    let register = v1::RegisterSelector { obis: "1-0:1.8.0".to_owned(), class_id: 3 };
    let kind = job_spec::Kind::ReadRegisters(v1::ReadRegistersSpec { registers: vec![register] });
    let everybody = Target { kind: Some(target::Kind::Selector(v1::MeterSelector::default())) };
    let spec = Some(JobSpec { kind: Some(kind) });
    let request = v1::SubmitRequest { target: Some(everybody), spec, instruction: None };
    let job = JobsClient::new(running.channel.clone()).submit(request).await.unwrap().into_inner();

    let begun = watch(&running, &job.name, |job| job.counts.as_ref().unwrap().succeeded >= 3).await;
    assert_eq!(begun.state(), v1::JobState::Running, "it is stopped in the middle: {begun:?}");
    let stopping = Instant::now();
    running.stop().await;
    // The bounds of parking and of releasing, and not the end of the job.
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
    let left = || fleet.counts().connections_opened - fleet.counts().connections_closed;
    let begun = Instant::now();
    while left() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} associations are still open", left());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let running = Running::start(folder.path()).await;
    let ended = watch(&running, &job.name, |job| job.state() == v1::JobState::Finished).await;
    assert_eq!(ended.counts.unwrap().succeeded, u64::from(METERS));
    running.stop().await;
}
