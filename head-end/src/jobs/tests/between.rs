//! Jobs that are caught between two states: cancelled while they are made, never approved, broken off.

use super::*;
use crate::{meter::Tenant, store::JobRow};

/// A job of which no task is written yet.
async fn begun(scene: &Scene, running: &Running, spec: &str, meters: &[usize]) -> JobId {
    let new = scene.job(spec, meters);
    let now = scene.clock.now();
    let row = JobRow {
        id: JobId::new(),
        tenant: None,
        creator: new.creator,
        kind: spec.to_owned(),
        spec: new.spec,
        target: serde_json::to_vec(&new.target).unwrap(),
        mutating: true,
        interrupts: false,
        priority: new.priority,
        not_before: now,
        expires: new.expires.unwrap(),
        reason: String::new(),
        state: JobState::Expanding,
        approver: None,
        created: now,
        updated: now,
    };
    let id = row.id;
    running.jobs.store().insert_job(row, None).await.unwrap();
    id
}

#[tokio::test]
async fn what_is_cancelled_while_it_is_made_is_not_begun() {
    let scene = Scene::new(3).await;
    let running = scene.start();
    // What a process before left has been taken up: otherwise the engine might make this job, too.
    assert_eq!(running.run(scene.job("ping", &[0])).await, [TaskResult::Succeeded]);
    let sent = scene.model().order.lock().unwrap().len();
    let job = begun(&scene, &running, "ping", &[0, 1, 2]).await;
    let store = running.jobs.store();
    let part = |meters: &[usize]| meters.iter().map(|meter| name(*meter).parse().unwrap()).collect();
    store.add_tasks(job, part(&[0])).await.unwrap();
    running.jobs.cancel(job).await.unwrap();
    // Whoever was making it does not know yet.
    store.add_tasks(job, part(&[1, 2])).await.unwrap();
    running.jobs.expand(job).await.unwrap();
    assert_eq!(running.results(job).await, [TaskResult::Cancelled]);
    assert_eq!(scene.model().order.lock().unwrap().len(), sent, "nothing more was sent");
    running.stop().await;
}

#[tokio::test]
async fn a_job_that_runs_gets_no_more_tasks() {
    let scene = Scene::new(2).await;
    let running = scene.start();
    let job = running.jobs.submit(scene.job("ping", &[0])).await.unwrap();
    running.jobs.store().add_tasks(job, vec![name(1).parse().unwrap()]).await.unwrap();
    // It would wait for its release for ever.
    assert_eq!(running.results(job).await, [TaskResult::Succeeded]);
    running.stop().await;
}

#[tokio::test]
async fn what_nobody_allows_in_time_expires() {
    let scene = Scene::new(4).await;
    let running = scene.start();
    let job = running.jobs.submit(scene.job("disconnect", &[0, 1, 2, 3])).await.unwrap();
    scene.clock.jump(SignedDuration::from_secs(3_601));
    running.jobs.shared.wake.notify_one();
    assert_eq!(running.results(job).await, [TaskResult::Expired; 4]);
    assert!(matches!(running.jobs.approve(job, "bob").await, Err(JobError::State(JobState::Cancelled))));
    assert_eq!((0..4).map(|meter| scene.model().actions(&name(meter))).sum::<u32>(), 0);
    running.stop().await;
}

#[tokio::test]
async fn what_the_store_broke_off_is_completed_without_a_new_start() {
    let scene = Scene::new(2).await;
    let running = scene.start();
    assert_eq!(running.run(scene.job("ping", &[0])).await, [TaskResult::Succeeded]);
    let job = begun(&scene, &running, "ping", &[0, 1]).await;
    running.jobs.shared.untidy.store(true, std::sync::atomic::Ordering::Release);
    scene.clock.jump(SignedDuration::from_secs(11));
    running.jobs.shared.wake.notify_one();
    assert_eq!(running.results(job).await, [TaskResult::Succeeded; 2]);
    running.stop().await;
}

#[tokio::test]
async fn a_task_that_panics_is_tried_again_and_ends_with_its_job() {
    let scene = Scene::new(2).await;
    let running = scene.start();
    // The model knows no such operation, and says so by a panic while it holds its lock: only this meter is asked.
    let job = running.jobs.submit(scene.job("panic", &[0])).await.unwrap();
    while running.tasks(job).await[0].attempts < 2 {
        tokio::task::yield_now().await;
    }
    scene.clock.jump(SignedDuration::from_secs(3_601));
    running.jobs.shared.wake.notify_one();
    assert_eq!(running.results(job).await, [TaskResult::Expired]);
    running.stop().await;
}

#[tokio::test]
async fn a_meter_that_was_given_to_another_tenant_is_left_alone() {
    let scene = Scene::new(2).await;
    let tenant = |name: &str| Some(name.parse::<Tenant>().unwrap());
    for (meter, owner) in [(0, "north"), (1, "south")] {
        let give = |settings: &MeterSettings| {
            let settings = MeterSettings { tenant: tenant(owner), ..settings.clone() };
            Ok(Change { settings, secrets: Default::default() })
        };
        scene.registry.update(&name(meter).parse().unwrap(), None, None, give).await.unwrap();
    }
    let running = scene.start();
    let all = || Target::Labels(BTreeMap::new());
    let south = NewJob { tenant: tenant("south"), target: all(), ..scene.job("set", &[]) };
    assert_eq!(running.run(south).await, [TaskResult::Succeeded]);
    let named = NewJob { tenant: tenant("north"), ..scene.job("set", &[0, 1]) };
    assert_eq!(running.run(named).await, [TaskResult::Succeeded, TaskResult::Cancelled]);
    assert_eq!((scene.model().actions("m000"), scene.model().actions("m001")), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn what_nobody_could_ever_allow_is_refused_when_it_is_asked_for() {
    let scene = Scene { options: JobOptions { second_person: false, ..options() }, ..Scene::new(4).await };
    let running = scene.start();
    let refused = running.jobs.submit(scene.job("disconnect", &[0, 1, 2, 3])).await;
    assert!(matches!(refused, Err(JobError::NobodyToApprove { asked: 4, most: 3 })), "{refused:?}");
    assert_eq!((0..4).map(|meter| scene.model().actions(&name(meter))).sum::<u32>(), 0);
    assert_eq!(running.run(scene.job("disconnect", &[0, 1, 2])).await, [TaskResult::Succeeded; 3]);
    running.stop().await;
}
