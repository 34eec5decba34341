use super::*;
use crate::store::{COUNTER_BLOCK, HIGHEST_CLAIM};

const KEY: CounterId = CounterId([7; 16]);

async fn blocks_follow_each_other_and_never_overlap(place: &impl Place) {
    let store = place.open().await;
    let first = store.reserve_counters(KEY).await.unwrap();
    let second = store.reserve_counters(KEY).await.unwrap();
    assert_eq!(first, CounterBlock { next: 1, end: 1 + COUNTER_BLOCK });
    assert_eq!(second, CounterBlock { next: 1 + COUNTER_BLOCK, end: 1 + 2 * COUNTER_BLOCK });
    assert_eq!(store.reserve_counters(CounterId([8; 16])).await.unwrap().next, 1);
}

async fn lesson_01_counters_resume_above_the_reservation_after_a_crash(place: &impl Place) {
    let mut last = 0;
    for _ in 0..3 {
        // Dropped without `close`, as a killed process would: nothing was used, all of it is gone.
        let store = place.open().await;
        let block = store.reserve_counters(KEY).await.unwrap();
        assert!(block.next > last, "{block:?} after {last}");
        last = block.end - 1;
    }
}

async fn a_counter_is_raised_and_never_lowered(place: &impl Place) {
    let store = place.open().await;
    store.raise_counter(KEY, 5000).await.unwrap();
    store.raise_counter(KEY, 10).await.unwrap();
    assert_eq!(store.reserve_counters(KEY).await.unwrap().next, 5001);
}

async fn a_claim_that_would_use_the_key_up_is_not_believed(place: &impl Place) {
    let store = place.open().await;
    let refused = store.raise_counter(KEY, HIGHEST_CLAIM + 1).await;
    assert!(matches!(refused, Err(StoreError::CounterClaim(claim)) if claim == HIGHEST_CLAIM + 1));
    assert_eq!(store.reserve_counters(KEY).await.unwrap().next, 1);
    store.raise_counter(KEY, HIGHEST_CLAIM).await.unwrap();
    assert_eq!(store.reserve_counters(KEY).await.unwrap().next, HIGHEST_CLAIM + 1);
}

async fn an_exhausted_counter_is_an_error_and_does_not_wrap(place: &impl Place) {
    let store = place.open().await;
    let near_end = u32::MAX - 10;
    store.reserve_counters(KEY).await.unwrap();
    place.execute(&format!("UPDATE counters SET next = {near_end}")).await.unwrap();
    let block = store.reserve_counters(KEY).await.unwrap();
    assert_eq!(block, CounterBlock { next: near_end, end: u32::MAX });
    assert!(matches!(store.reserve_counters(KEY).await, Err(StoreError::CounterExhausted)));
}

async fn the_database_itself_refuses_a_lower_counter(place: &impl Place) {
    let store = place.open().await;
    store.reserve_counters(KEY).await.unwrap();
    assert!(place.execute("UPDATE counters SET next = 1").await.is_err());
    assert!(place.execute("DELETE FROM counters").await.is_err());
}

async fn many_reservations_at_once_are_all_different(place: &impl Place) {
    let store = place.open().await;
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

on_every_store! {
    blocks_follow_each_other_and_never_overlap
    lesson_01_counters_resume_above_the_reservation_after_a_crash
    a_counter_is_raised_and_never_lowered
    a_claim_that_would_use_the_key_up_is_not_believed
    an_exhausted_counter_is_an_error_and_does_not_wrap
    the_database_itself_refuses_a_lower_counter
    many_reservations_at_once_are_all_different
}
