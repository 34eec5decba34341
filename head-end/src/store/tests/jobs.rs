//! Jobs: made once, done by who claims them, and ended in an order that a watcher can follow.

use std::time::Duration;

use jiff::ToSpan;

use super::*;
use crate::operation::Priority;

pub(in crate::store) fn job(now: Timestamp) -> JobRow {
    JobRow {
        id: JobId::new(),
        tenant: None,
        creator: "anna".to_owned(),
        kind: "disconnect".to_owned(),
        spec: vec![1],
        target: vec![2],
        mutating: true,
        interrupts: true,
        priority: Priority::Low,
        not_before: now,
        expires: now + 1.hour(),
        reason: "test".to_owned(),
        state: JobState::Running,
        approver: None,
        created: now,
        updated: now,
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn end(result: TaskResult) -> TaskEnd {
    TaskEnd { result, failure: Some(vec![9]), outcome: Some(vec![8]), at: now() }
}

fn of(job: JobId, meter: &str) -> TaskRef {
    TaskRef { job, meter: id(meter) }
}

/// A job with tasks that are due.
async fn running(store: &impl Store, row: JobRow, meters: &[&str]) -> JobId {
    let job = row.id;
    store.insert_job(JobRow { state: JobState::Expanding, ..row }, None).await.unwrap();
    store.add_tasks(job, meters.iter().map(|meter| id(meter)).collect()).await.unwrap();
    assert!(store.move_job(job, JobState::Expanding, JobState::Running, None).await.unwrap());
    store.add_tasks(job, vec![id("late")]).await.unwrap();
    store.release_tasks(job, 100).await.unwrap();
    job
}

async fn a_job_is_made_once_and_comes_back_as_it_was(place: &impl Place) {
    let store = place.open().await;
    let row = JobRow { tenant: "north".parse().ok(), approver: Some("ben".to_owned()), ..job(now()) };
    assert_eq!(store.insert_job(row.clone(), Some(request("r", 1))).await.unwrap(), Inserted::New);
    let again = JobRow { id: JobId::new(), ..row.clone() };
    assert_eq!(store.insert_job(again.clone(), Some(request("r", 1))).await.unwrap(), Inserted::Repeated(row.id));
    assert!(matches!(store.insert_job(again, Some(request("r", 2))).await, Err(StoreError::RequestMismatch(_))));
    assert_eq!(store.job(row.id).await.unwrap(), Some(row.clone()));
    assert!(matches!(store.add_tasks(JobId::new(), vec![id("m")]).await, Err(StoreError::NotFound(_))));
    let second = job(now());
    store.insert_job(second.clone(), None).await.unwrap();
    let names = async |filter, after| {
        let jobs = store.list_jobs(filter, after, 10).await.unwrap();
        jobs.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(names(JobFilter::default(), None).await, [second.id, row.id]);
    assert_eq!(names(JobFilter::default(), Some(second.id)).await, [row.id]);
    assert_eq!(names(JobFilter { tenant: row.tenant, ..Default::default() }, None).await, [row.id]);
    assert_eq!(names(JobFilter { state: Some(JobState::Finished), ..Default::default() }, None).await, []);
    assert_eq!(names(JobFilter { kind: Some("other"), ..Default::default() }, None).await, []);
    assert!(!store.move_job(second.id, JobState::Expanding, JobState::Running, None).await.unwrap());
    assert!(store.move_job(second.id, JobState::Running, JobState::Cancelling, Some("eva".into())).await.unwrap());
    assert_eq!(store.job(second.id).await.unwrap().unwrap().approver.as_deref(), Some("eva"));
    assert_eq!(store.open_jobs(JobState::Cancelling).await.unwrap(), [second.id]);
}

async fn tasks_are_claimed_by_importance_and_age_and_once(place: &impl Place) {
    let store = place.open().await;
    let low = running(&store, job(now()), &["a", "b"]).await;
    let high = JobRow { priority: Priority::High, not_before: now() - 1.hour(), ..job(now()) };
    let high = running(&store, high, &["c"]).await;
    running(&store, JobRow { not_before: now() + 1.hour(), ..job(now()) }, &["later"]).await;
    assert_eq!(store.last_task(low).await.unwrap(), Some(id("b")));
    assert_eq!(store.next_task_due().await.unwrap(), Some(now() - 1.hour()));
    let claim = async |priority, limit| {
        let claimed = store.claim_tasks(now(), priority, limit).await.unwrap();
        claimed.into_iter().map(|claimed| claimed.task).collect::<Vec<_>>()
    };
    assert_eq!(claim(Priority::High, 5).await, [of(high, "c")]);
    assert_eq!(claim(Priority::Low, 1).await.len(), 1);
    assert_eq!(claim(Priority::Low, 5).await.len(), 1);
    assert_eq!(claim(Priority::Low, 5).await, []);
    assert_eq!(store.count_tasks(low).await.unwrap().running, 2);
    drop(store);
    let store = place.open().await;
    assert_eq!(store.recover_tasks(now()).await.unwrap(), 3);
    assert_eq!(store.claim_tasks(now(), Priority::Low, 9).await.unwrap().len(), 3);
    // What waits for another attempt is hastened beyond a limit; what waits for its job's beginning is not.
    let retry = |due| Retry { due, attempts: 1, refusals: 0, failure: None };
    store.requeue_task(of(low, "a"), retry(now() + 30.hours())).await.unwrap();
    store.requeue_task(of(low, "b"), retry(now() + 1.hour())).await.unwrap();
    assert_eq!(store.hasten_tasks(now() + 2.hours(), now()).await.unwrap(), 1);
    assert_eq!(store.hasten_tasks(now() - 1.hour(), now() - 1.hour()).await.unwrap(), 2);
    let hastened = store.claim_tasks(now() - 1.hour(), Priority::Low, 9).await.unwrap();
    assert_eq!(hastened.into_iter().filter(|claimed| claimed.task.job == low).count(), 2);
    // Made when the clock was ahead, to begin at once.
    let ahead = now() + 26.hours();
    let ahead = running(&store, JobRow { created: ahead, not_before: ahead, ..job(now()) }, &["a"]).await;
    assert_eq!(store.hasten_tasks(now() + 2.hours(), now()).await.unwrap(), 1);
    let hastened = store.claim_tasks(now(), Priority::Low, 9).await.unwrap();
    assert_eq!(hastened.into_iter().map(|claimed| claimed.task).collect::<Vec<_>>(), [of(ahead, "a")]);
}

async fn ends_are_followed_in_their_order_and_the_last_one_ends_the_job(place: &impl Place) {
    let store = place.open().await;
    let job = running(&store, job(now()), &["a", "b", "c"]).await;
    store.claim_tasks(now(), Priority::Low, 9).await.unwrap();
    store.end_task(of(job, "c"), end(TaskResult::Unreachable)).await.unwrap();
    store.end_task(of(job, "a"), end(TaskResult::Succeeded)).await.unwrap();
    store.end_task(of(job, "a"), end(TaskResult::Expired)).await.unwrap();
    let ended = async |after| store.ended_tasks(job, after, 10).await.unwrap();
    let first = ended(0).await;
    assert_eq!(first.iter().map(|(_, task)| task.meter.as_str()).collect::<Vec<_>>(), ["c", "a"]);
    assert_eq!(first[0].1.failure.as_deref(), Some(&[9][..]));
    assert_eq!((first[1].1.result, first[1].1.failure.clone()), (Some(TaskResult::Succeeded), None));
    assert_eq!(first[1].1.outcome.as_deref(), Some(&[8][..]));
    assert_eq!(store.job(job).await.unwrap().unwrap().state, JobState::Running);
    store.end_task(of(job, "b"), end(TaskResult::MeterRefused)).await.unwrap();
    assert_eq!(ended(first[1].0).await.len(), 1);
    assert_eq!(store.job(job).await.unwrap().unwrap().state, JobState::Finished);
    let counts = store.count_tasks(job).await.unwrap();
    assert_eq!((counts.of(TaskResult::Succeeded), counts.ended(), counts.total()), (1, 3, 3));
    let refused = TaskFilter { result: Some(TaskResult::MeterRefused) };
    assert_eq!(store.list_tasks(job, refused, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.list_tasks(job, TaskFilter::default(), Some(id("a")), 10).await.unwrap().len(), 2);
}

async fn an_action_is_noted_before_it_leaves_and_not_after_a_cancellation(place: &impl Place) {
    let store = place.open().await;
    let job = running(&store, job(now()), &["a", "b", "c"]).await;
    store.claim_tasks(now(), Priority::Low, 9).await.unwrap();
    let begin = async |meter, at, limit| store.begin_action(of(job, meter), at, vec![7], limit).await.unwrap();
    assert_eq!(begin("a", now(), None).await, Permit::Go);
    let task = store.task(of(job, "a")).await.unwrap().unwrap();
    assert_eq!((task.state, task.sent), (TaskState::Running, Some(now())));
    store.move_job(job, JobState::Running, JobState::Cancelling, None).await.unwrap();
    assert_eq!(begin("b", now(), None).await, Permit::Cancelled);
    let retry = || Retry { due: now(), attempts: 2, refusals: 1, failure: Some(vec![1]) };
    // What is in the air is resolved; what is not ends.
    store.requeue_task(of(job, "a"), retry()).await.unwrap();
    store.requeue_task(of(job, "b"), retry()).await.unwrap();
    let claimed = store.claim_tasks(now(), Priority::Low, 9).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].attempts, claimed[0].refusals, claimed[0].sent), (2, 1, Some(now())));
    assert_eq!(claimed[0].checkpoint.as_deref(), Some(&[7][..]));
    store.settle_action(of(job, "a"), true, None).await.unwrap();
    store.requeue_task(of(job, "c"), retry()).await.unwrap();
    assert_eq!(store.end_waiting(job, end(TaskResult::Cancelled), 10).await.unwrap(), 0);
    store.requeue_task(of(job, "a"), retry()).await.unwrap();
    assert_eq!(store.job(job).await.unwrap().unwrap().state, JobState::Cancelled);
    assert_eq!(store.count_tasks(job).await.unwrap().of(TaskResult::Cancelled), 3);
}

async fn tasks_that_wait_are_ended_together_and_no_others(place: &impl Place) {
    let store = place.open().await;
    let job = running(&store, job(now()), &["a", "b", "c", "d"]).await;
    let claimed = store.claim_tasks(now(), Priority::Low, 1).await.unwrap();
    assert_eq!(store.end_waiting(job, end(TaskResult::Expired), 2).await.unwrap(), 2);
    assert_eq!(store.end_waiting(job, end(TaskResult::Expired), 5).await.unwrap(), 1);
    assert_eq!(store.ended_tasks(job, 0, 10).await.unwrap().len(), 3);
    assert_eq!(store.job(job).await.unwrap().unwrap().state, JobState::Running);
    store.end_task(claimed[0].task.clone(), end(TaskResult::Succeeded)).await.unwrap();
    assert_eq!(store.job(job).await.unwrap().unwrap().state, JobState::Finished);
}

async fn interruptions_of_a_tenant_are_counted_and_limited(place: &impl Place) {
    let store = place.open().await;
    let job_of = |tenant: Option<&str>| JobRow { tenant: tenant.map(|name| name.parse().unwrap()), ..job(now()) };
    let north = running(&store, job_of(Some("north")), &["a", "b", "c"]).await;
    let nobody = running(&store, job_of(None), &["a", "b"]).await;
    store.claim_tasks(now(), Priority::Low, 9).await.unwrap();
    let limit = Some(RateLimit { most: 2, within: Duration::from_secs(60) });
    let begin = async |job, meter, at| store.begin_action(of(job, meter), at, Vec::new(), limit).await.unwrap();
    assert_eq!(begin(north, "a", now()).await, Permit::Go);
    assert_eq!(begin(nobody, "a", now()).await, Permit::Go);
    assert_eq!(begin(north, "b", now() + 10.seconds()).await, Permit::Go);
    let later = now() + 60.seconds() + 1.millisecond();
    assert_eq!(begin(north, "c", now() + 20.seconds()).await, Permit::NotBefore(later));
    assert_eq!(begin(nobody, "b", now() + 20.seconds()).await, Permit::Go, "each tenant has its own");
    assert_eq!(begin(north, "c", later).await, Permit::Go);
    let tenant = || "north".parse().ok();
    assert_eq!(store.count_interrupted(tenant(), now() - 1.hour(), nobody).await.unwrap(), 3);
    assert_eq!(store.count_interrupted(tenant(), now() - 1.hour(), north).await.unwrap(), 0);
    assert_eq!(store.count_interrupted(None, now() - 1.hour(), north).await.unwrap(), 2);
    store.settle_action(of(north, "b"), false, None).await.unwrap();
    store.end_task(of(north, "b"), end(TaskResult::MeterRefused)).await.unwrap();
    assert_eq!(store.count_interrupted(tenant(), now() - 1.hour(), nobody).await.unwrap(), 2, "it was not carried out");
}

async fn a_rival_is_another_job_of_the_same_kind_that_has_begun(place: &impl Place) {
    let store = place.open().await;
    let one = running(&store, job(now()), &["m1"]).await;
    assert_eq!(store.claim_tasks(now(), Priority::Low, 10).await.unwrap().len(), 1);
    let two = running(&store, job(now()), &["m1"]).await;
    let other = running(&store, JobRow { kind: "ping".to_owned(), ..job(now()) }, &["m1"]).await;
    assert_eq!(store.rival(of(two, "m1")).await.unwrap(), Some(one));
    assert_eq!(store.rival(of(two, "m2")).await.unwrap(), None, "another meter");
    assert_eq!(store.rival(of(other, "m1")).await.unwrap(), None, "another kind");
    assert_eq!(store.rival(of(one, "m1")).await.unwrap(), None, "neither itself nor one that has not begun");
    // Between two attempts it remembers something, and is still at work.
    store.begin_action(of(one, "m1"), now(), vec![1], None).await.unwrap();
    store.settle_action(of(one, "m1"), true, None).await.unwrap();
    let retry = Retry { due: now() + 1.hour(), attempts: 1, refusals: 0, failure: None };
    store.requeue_task(of(one, "m1"), retry).await.unwrap();
    assert_eq!(store.rival(of(two, "m1")).await.unwrap(), Some(one));
    store.end_task(of(one, "m1"), end(TaskResult::Succeeded)).await.unwrap();
    assert_eq!(store.rival(of(two, "m1")).await.unwrap(), None);
}

on_every_store! {
    a_rival_is_another_job_of_the_same_kind_that_has_begun
    a_job_is_made_once_and_comes_back_as_it_was
    tasks_are_claimed_by_importance_and_age_and_once
    ends_are_followed_in_their_order_and_the_last_one_ends_the_job
    an_action_is_noted_before_it_leaves_and_not_after_a_cancellation
    tasks_that_wait_are_ended_together_and_no_others
    interruptions_of_a_tenant_are_counted_and_limited
}
