use super::*;
use crate::store::{COUNTER_BLOCK, HIGHEST_CLAIM};

const KEY: CounterId = CounterId([7; 16]);

#[tokio::test]
async fn blocks_follow_each_other_and_never_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let first = store.reserve_counters(KEY).await.unwrap();
    let second = store.reserve_counters(KEY).await.unwrap();
    assert_eq!(first, CounterBlock { next: 1, end: 1 + COUNTER_BLOCK });
    assert_eq!(second, CounterBlock { next: 1 + COUNTER_BLOCK, end: 1 + 2 * COUNTER_BLOCK });
    assert_eq!(store.reserve_counters(CounterId([8; 16])).await.unwrap().next, 1);
}

#[tokio::test]
async fn lesson_01_counters_resume_above_the_reservation_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        // Dropped without `close`, as a killed process would: nothing was used, all of it is gone.
        let store = open(folder.path());
        let block = store.reserve_counters(KEY).await.unwrap();
        assert!(block.next > last, "{block:?} after {last}");
        last = block.end - 1;
    }
}

#[tokio::test]
async fn a_counter_is_raised_and_never_lowered() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.raise_counter(KEY, 5000).await.unwrap();
    store.raise_counter(KEY, 10).await.unwrap();
    assert_eq!(store.reserve_counters(KEY).await.unwrap().next, 5001);
}

#[tokio::test]
async fn a_claim_that_would_use_the_key_up_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let refused = store.raise_counter(KEY, HIGHEST_CLAIM + 1).await;
    assert!(matches!(refused, Err(StoreError::CounterClaim(claim)) if claim == HIGHEST_CLAIM + 1));
    assert_eq!(store.reserve_counters(KEY).await.unwrap().next, 1);
    store.raise_counter(KEY, HIGHEST_CLAIM).await.unwrap();
    assert_eq!(store.reserve_counters(KEY).await.unwrap().next, HIGHEST_CLAIM + 1);
}

#[tokio::test]
async fn an_exhausted_counter_is_an_error_and_does_not_wrap() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let near_end = u32::MAX - 10;
    store
        .0
        .control
        .write(move |db| {
            db.execute("INSERT INTO counters (id, next) VALUES (?1, ?2)", rusqlite::params![KEY.0, near_end]).unwrap();
            Ok(())
        })
        .await
        .unwrap();
    let block = store.reserve_counters(KEY).await.unwrap();
    assert_eq!(block, CounterBlock { next: near_end, end: u32::MAX });
    assert!(matches!(store.reserve_counters(KEY).await, Err(StoreError::CounterExhausted)));
}

#[tokio::test]
async fn the_database_itself_refuses_a_lower_counter() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.reserve_counters(KEY).await.unwrap();
    let db = rusqlite::Connection::open(folder.path().join("control.sqlite3")).unwrap();
    assert!(db.execute("UPDATE counters SET next = 1", []).is_err());
    assert!(db.execute("DELETE FROM counters", []).is_err());
}

#[tokio::test]
async fn many_reservations_at_once_are_all_different() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let tasks: Vec<_> = (0..300)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.reserve_counters(KEY).await.unwrap().next })
        })
        .collect();
    let mut starts = Vec::new();
    for task in tasks {
        starts.push(task.await.unwrap());
    }
    starts.sort_unstable();
    let expected: Vec<u32> = (0..300).map(|n| 1 + n * COUNTER_BLOCK).collect();
    assert_eq!(starts, expected);
}
