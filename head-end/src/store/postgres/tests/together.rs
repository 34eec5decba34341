//! Several stores on one schema, as several processes have them.

use futures_util::future::join_all;
use jiff::Timestamp;

use super::*;
use crate::{
    meter::CounterId,
    operation::Priority,
    store::{
        AuditIntent, AuditRow, AuditStore, CounterStore, EventQuery, EventStore, JobRow, JobState, JobStore,
        StoreError,
        tests::{
            events::event,
            id,
            jobs::job,
            readings::{all, batch as captures, query, rows},
        },
    },
};

#[tokio::test]
async fn a_second_head_end_is_kept_out_until_the_first_has_gone() {
    let Some(place) = Schema::new().await else { return };
    let alone = |patience| PostgresOptions { alone: Some(patience), ..place.options() };
    let first = PostgresStore::open(alone(Duration::ZERO)).await.unwrap();
    let refused = PostgresStore::open(alone(Duration::ZERO)).await;
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    // Dropped without `close`, as a killed process would.
    drop(first);
    let second = PostgresStore::open(alone(Duration::from_secs(20))).await.unwrap();
    second.reserve_counters(CounterId([1; 16])).await.unwrap();
    second.close().await;
    PostgresStore::open(alone(Duration::from_secs(20))).await.unwrap();
}

#[tokio::test]
async fn a_head_end_whose_lock_is_gone_acts_no_more() {
    let Some(place) = Schema::new().await else { return };
    let alone = PostgresOptions { alone: Some(Duration::ZERO), ..place.options() };
    let store = PostgresStore::open(alone).await.unwrap();
    store.reserve_counters(CounterId([1; 16])).await.unwrap();
    let other = place.client().await;
    let steal = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
                 AND classid = 1145587011 AND objid = (hashtext(current_schema() || '/head-end')::bigint & 4294967295)::oid
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(other.query(steal, &[]).await.unwrap().len(), 1);
    let take = "SELECT pg_advisory_lock(1145587011, hashtext(current_schema() || '/head-end'))";
    other.query(take, &[]).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let refused = loop {
        match store.reserve_counters(CounterId([1; 16])).await {
            Err(error @ StoreError::InUse { .. }) => break error,
            _ => assert!(std::time::Instant::now() < until),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(matches!(refused, StoreError::InUse { .. }));
    drop(other);
    while store.reserve_counters(CounterId([1; 16])).await.is_err() {
        assert!(std::time::Instant::now() < until, "it goes on when the other one has gone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn starts_at_the_same_time_make_one_schema() {
    let Some(place) = Schema::new().await else { return };
    let stores = join_all((0..4).map(|_| place.open())).await;
    assert_eq!(place.execute("UPDATE sequences SET last = last").await, Ok(2));
    join_all(stores.iter().map(Store::close)).await;
}

#[tokio::test]
async fn two_write_counters_audit_and_captures_without_a_doublet() {
    let Some(place) = Schema::new().await else { return };
    let (one, other) = (place.open().await, place.open().await);
    let work = async |store: &PostgresStore, name: &str| {
        let mut starts = Vec::new();
        for _ in 0..10 {
            starts.push(store.reserve_counters(CounterId([9; 16])).await.unwrap().next);
            let intent = AuditIntent { subject: name.to_owned(), ..AuditIntent::default() };
            store.append_audit(AuditRow::Intent(intent)).await.unwrap();
        }
        let outcome = store.append(captures("shared", rows(50))).await.unwrap();
        let AppendOutcome::Stored(counts) = outcome else { panic!("{outcome:?}") };
        (starts, counts)
    };
    let (first, second) = tokio::join!(work(&one, "one"), work(&other, "other"));
    let mut starts = [first.0, second.0].concat();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 20);
    assert_eq!((first.1.new + second.1.new, first.1.unchanged + second.1.unchanged), (50, 50));
    assert_eq!(place.verify_audit(None).await.unwrap().number, 20);
    assert_eq!(query(&one, all("shared")).await.len(), 50);
}

#[tokio::test]
async fn a_task_is_claimed_by_one() {
    let Some(place) = Schema::new().await else { return };
    let (one, other) = (place.open().await, place.open().await);
    let now = Timestamp::now();
    let row = JobRow { state: JobState::Expanding, ..job(now) };
    let id_of = row.id;
    one.insert_job(row, None).await.unwrap();
    one.add_tasks(id_of, (0..200).map(|n| id(&format!("m{n}"))).collect()).await.unwrap();
    assert!(one.move_job(id_of, JobState::Expanding, JobState::Running, None).await.unwrap());
    one.release_tasks(id_of, 1000).await.unwrap();
    let claim = async |store: &PostgresStore| {
        let mut found = Vec::new();
        loop {
            let claimed = store.claim_tasks(now, Priority::Low, 7).await.unwrap();
            if claimed.is_empty() {
                return found;
            }
            found.extend(claimed.into_iter().map(|claimed| claimed.task.meter));
        }
    };
    let (first, second) = tokio::join!(claim(&one), claim(&other));
    let mut all = [first, second].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 200);
}

#[tokio::test]
async fn who_follows_events_and_changes_misses_none_that_commits_late() {
    let Some(place) = Schema::new().await else { return };
    let store = place.open().await;
    // A transaction that has a number and does not end yet.
    let late = place.client().await;
    let take = "BEGIN; UPDATE sequences SET last = last + 1";
    late.batch_execute(take).await.unwrap();
    let writer = store.clone();
    let writes = tokio::spawn(async move {
        let appended = writer.append_events(vec![event("m1", 1, 100)]).await.unwrap();
        (appended, writer.append(captures("m1", rows(1))).await.unwrap())
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = async |number| {
        let query = EventQuery { filter: Default::default(), after: Some(number), descending: false, limit: 10 };
        store.query_events(query).await.unwrap().into_iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(after(0).await, [0; 0], "nothing behind a number that may still come");
    assert_eq!(store.changes(0, 10).await.unwrap(), []);
    late.batch_execute("COMMIT").await.unwrap();
    let (appended, _) = writes.await.unwrap();
    assert_eq!((appended, after(0).await), (Some(2), vec![2]));
    let changes = store.changes(0, 10).await.unwrap();
    assert_eq!(changes.iter().map(|change| change.sequence).collect::<Vec<_>>(), [2]);
    assert_eq!(*store.newest_change().borrow(), 2);
}
