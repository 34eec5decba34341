//! What is forgotten, in small steps, and what stays.

use jiff::ToSpan;
use uuid::Uuid;

use super::*;
use crate::plan::{PlanId, PlanRecord, PlanSettings};

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

async fn jobs_that_ended_long_ago_are_forgotten_and_no_others(place: &impl Place) {
    let store = place.open().await;
    let meters = ["m1", "m2", "m3", "m4", "m5"];
    let job = async |ended: bool| {
        let row = jobs::job(now());
        store.insert_job(JobRow { state: JobState::Expanding, ..row.clone() }, None).await.unwrap();
        store.add_tasks(row.id, meters.iter().map(|meter| id(meter)).collect()).await.unwrap();
        store.move_job(row.id, JobState::Expanding, JobState::Running, None).await.unwrap();
        store.release_tasks(row.id, 100).await.unwrap();
        for meter in meters.iter().filter(|_| ended) {
            let end = TaskEnd { result: TaskResult::Succeeded, failure: None, outcome: None, at: now() };
            store.end_task(TaskRef { job: row.id, meter: id(meter) }, end).await.unwrap();
        }
        row.id
    };
    let (old, other, running) = (job(true).await, job(true).await, job(false).await);
    assert_eq!(store.job(old).await.unwrap().unwrap().state, JobState::Finished);
    let hour_ago = Timestamp::now() - 1.hour();
    assert_eq!(store.forget_jobs(hour_ago, 100).await.unwrap(), 0, "they ended just now");
    let later = Timestamp::now() + 1.hour();
    let mut steps = 0;
    loop {
        let gone = store.forget_jobs(later, 2).await.unwrap();
        assert!(gone <= 5, "{gone} rows in a step of two of each sort");
        if gone == 0 {
            break;
        }
        steps += 1;
        assert!(steps < 100);
    }
    assert!(steps >= 6, "two jobs with five tasks took {steps} steps");
    for job in [old, other] {
        assert_eq!(store.job(job).await.unwrap(), None);
        assert_eq!(store.list_tasks(job, TaskFilter::default(), None, 10).await.unwrap(), []);
        assert_eq!(store.ended_tasks(job, 0, 10).await.unwrap(), []);
    }
    assert!(store.job(running).await.unwrap().is_some());
    assert_eq!(store.count_tasks(running).await.unwrap().waiting, 5);
}

async fn old_events_and_runs_are_forgotten_and_numbers_go_on(place: &impl Place) {
    let store = place.open().await;
    let event = |second: i64| events::event("m1", 1, second);
    let last = store.append_events((0..5).map(|n| event(n * 100)).collect()).await.unwrap().unwrap();
    // They came a second after they happened.
    let before = Timestamp::from_second(301).unwrap();
    assert_eq!(store.forget_events(before, 2).await.unwrap(), 2);
    assert_eq!(store.forget_events(before, 2).await.unwrap(), 1);
    assert_eq!(store.forget_events(before, 2).await.unwrap(), 0);
    let query = EventQuery { filter: EventFilter::default(), after: None, descending: false, limit: 10 };
    let left = store.query_events(query).await.unwrap();
    assert_eq!(left.iter().map(|event| event.sequence).collect::<Vec<_>>(), [last - 1, last]);
    assert_eq!(store.forget_events(Timestamp::MAX, 10).await.unwrap(), 1);
    assert_eq!(store.forget_events(Timestamp::MAX, 10).await.unwrap(), 0);
    assert_eq!(store.last_event().await.unwrap(), last, "who reads on from there is not behind the store");
    assert_eq!(store.append_events(vec![event(900)]).await.unwrap(), Some(last + 1), "no number is given out again");

    let plan: PlanId = "p".parse().unwrap();
    let settings = PlanSettings::default();
    let record = PlanRecord { id: plan.clone(), revision: 1, created: now(), updated: now(), settings };
    store.create_plan(record, None).await.unwrap();
    let run = async |at: Timestamp| {
        let id = Uuid::now_v7();
        let request = RunRequest { id, plan: plan.clone(), meters: None, from: None, until: at + 1.hour(), now: at };
        store.request_run(request, None).await.unwrap();
        id
    };
    let (old, new) = (run(now()).await, run(now() + 2.hours()).await);
    assert_eq!(store.forget_runs(now() + 1.hour(), 10).await.unwrap(), 1);
    assert_eq!(store.forget_runs(now() + 1.hour(), 10).await.unwrap(), 0);
    assert!(store.plan_run(old).await.unwrap().is_none() && store.plan_run(new).await.unwrap().is_some());
}

on_every_store! {
    jobs_that_ended_long_ago_are_forgotten_and_no_others
    old_events_and_runs_are_forgotten_and_numbers_go_on
}
