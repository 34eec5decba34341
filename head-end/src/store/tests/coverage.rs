use std::ops::Range;

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::{
    readings::{PROFILE, batch, rows},
    *,
};
use crate::store::{CaptureBatch, CoverageStore, Grid, SlotState};

const DAY: [&str; 2] = ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"];

fn day() -> Range<Timestamp> {
    DAY[0].parse().unwrap()..DAY[1].parse().unwrap()
}

pub(in crate::store) async fn runs(store: &impl Store, meter: &str) -> Vec<(SlotState, i64)> {
    let grid = Grid::new(900).unwrap();
    let coverage = store.coverage(&id(meter), PROFILE, day()).await.unwrap();
    let runs = coverage.runs(grid, grid.slots(day(), &TimeZone::UTC));
    runs.into_iter().map(|(state, slots)| (state, slots.end - slots.start)).collect()
}

async fn what_is_stored_is_covered_and_what_the_meter_lacks_is_absent(place: &impl Place) {
    let store = place.open().await;
    let mut some = rows(96);
    some.drain(10..20);
    some.drain(..4);
    store.append(batch("m1", some)).await.unwrap();
    assert_eq!(
        runs(&store, "m1").await,
        [(SlotState::Missing, 4), (SlotState::Held, 6), (SlotState::Missing, 10), (SlotState::Held, 76)]
    );
    let grid = Grid::new(900).unwrap();
    let first = grid.slots(day(), &TimeZone::UTC).start;
    store.mark_absent(&id("m1"), PROFILE, grid, vec![first..first + 2, first + 9..first + 12]).await.unwrap();
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!(
        runs(&store, "m1").await,
        [
            (SlotState::Absent, 2),
            (SlotState::Missing, 2),
            (SlotState::Held, 6),
            (SlotState::Absent, 2),
            (SlotState::Missing, 8),
            (SlotState::Held, 76)
        ]
    );
    // It comes all the same.
    store.append(batch("m1", rows(2))).await.unwrap();
    assert_eq!(runs(&store, "m1").await[0], (SlotState::Held, 2));
    assert_eq!(runs(&store, "m2").await, [(SlotState::Missing, 96)]);
}

async fn registers_and_captures_from_the_future_cover_nothing(place: &impl Place) {
    let store = place.open().await;
    store.append(CaptureBatch { profile: None, ..batch("m1", rows(96)) }).await.unwrap();
    let received = day().start + 1.hour();
    store.append(CaptureBatch { received, ..batch("m1", rows(96)) }).await.unwrap();
    assert_eq!(runs(&store, "m1").await, [(SlotState::Held, 6), (SlotState::Missing, 90)]);
}

async fn a_capture_before_midnight_of_a_month_is_the_first_of_the_next(place: &impl Place) {
    let store = place.open().await;
    let mut early = rows(1);
    early[0].time -= 5.seconds();
    store.append(batch("m1", early)).await.unwrap();
    assert_eq!(runs(&store, "m1").await[0], (SlotState::Held, 1));
}

on_every_store! {
    what_is_stored_is_covered_and_what_the_meter_lacks_is_absent
    registers_and_captures_from_the_future_cover_nothing
    a_capture_before_midnight_of_a_month_is_the_first_of_the_next
}
