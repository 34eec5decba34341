use std::sync::atomic::Ordering;

use super::*;
use crate::{
    plan::{PlanRegister, PlanTarget},
    store::StoreError,
};

#[tokio::test]
async fn a_day_is_collected_completely_and_in_time() {
    let world = World::new(20, "2026-11-21T02:00:00Z").await;
    let registers = vec![PlanRegister { obis: ObisCode([1, 0, 1, 8, 0, 255]), class: Some(3) }];
    world.plan(PlanSettings { registers, ..daily("Europe/Berlin") }).await;
    world.until_known("2026-11-20T23:00:00Z").await;
    for meter in 0..20 {
        assert_continuous(&world.captures(meter).await, "2026-11-19T23:15:00Z", 96);
    }
    let registers = CaptureQuery {
        filter: CaptureFilter::Registers,
        meter: id(3),
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        all_revisions: true,
        after: None,
        limit: 10,
    };
    assert_eq!(world.registry.store().query(registers).await.unwrap().captures.len(), 1);
    let span = at("2026-11-19T23:00:01Z")..at("2026-11-20T23:00:01Z");
    let performance = world.collection.performance(&plan_id(), span).await.unwrap();
    let all = Timeliness {
        meters: 20,
        due: 1_920,
        by_deadline: 1_920,
        within_4_h: 1_920,
        within_8_h: 1_920,
        within_24_h: 1_920,
        held: 1_920,
        absent: 0,
    };
    assert_eq!(performance, Performance { all, available: all });
    // The next turn is tomorrow's.
    assert!(world.states().await.iter().all(|state| state.due > Some(at("2026-11-21T22:59:00Z"))));
}

#[tokio::test]
async fn two_thousand_meters_share_a_bounded_number_of_places() {
    let options = CollectionOptions { in_flight: 128, ..CollectionOptions::default() };
    let world = World::with(2_000, "2026-11-21T12:00:00Z", options).await;
    let mut progress = world.collection.watch();
    world.plan(PlanSettings { backfill_s: 3_600, ..daily("UTC") }).await;
    timeout(PATIENCE * 2, progress.wait_for(|visits| *visits >= 2_000)).await.unwrap().unwrap();
    world.until_known("2026-11-21T00:00:00Z").await;
    let asked = world.meters.asked().len();
    let most = world.meters.at_once.1.load(Ordering::SeqCst);
    assert!((2..=128).contains(&most), "{most} at once");
    assert!(asked <= 2_000 * 2, "{asked} requests");
    let states = world.states().await;
    assert_eq!(states.len(), 2_000);
    for meter in [0, 999, 1_999] {
        assert_continuous(&world.captures(meter).await, "2026-11-20T23:15:00Z", 4);
    }
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_and_doubles_nothing() {
    let one = CollectionOptions { in_flight: 1, ..CollectionOptions::default() };
    let world = World::with(60, "2026-11-21T12:00:00Z", one).await;
    let mut progress = world.collection.watch();
    world.plan(daily("UTC")).await;
    timeout(PATIENCE, progress.wait_for(|visits| *visits >= 5)).await.unwrap().unwrap();
    let world = world.restart(CollectionOptions::default()).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    for meter in 0..60 {
        assert_continuous(&world.captures(meter).await, "2026-11-20T00:15:00Z", 96);
    }
    // What had been collected before was not asked for again.
    let asked = world.meters.asked().len();
    assert!(asked <= 60 - 4, "{asked} requests");
}

#[tokio::test]
async fn a_plan_that_is_changed_in_the_middle_goes_on_as_changed() {
    let one = CollectionOptions { in_flight: 1, ..CollectionOptions::default() };
    let world = World::with(40, "2026-11-21T12:00:00Z", one).await;
    let mut progress = world.collection.watch();
    world.plan(daily("UTC")).await;
    timeout(PATIENCE, progress.wait_for(|visits| *visits >= 3)).await.unwrap().unwrap();
    let change = |settings: PlanSettings| {
        let meters = (0..30).map(|n| format!("m{n}")).collect();
        Ok(PlanSettings { profiles: vec![LOAD, SECOND], target: PlanTarget::Meters(meters), ..settings })
    };
    let updated = world.collection.update(&plan_id(), Some(1), None, change).await.unwrap();
    assert_eq!(updated.revision, 2);
    let again = world.collection.update(&plan_id(), Some(1), None, Ok).await;
    assert!(matches!(again, Err(CollectionError::Store(StoreError::Conflict { found: 2, .. }))), "{again:?}");
    let since = updated.updated;
    world.until("collected as changed", |state| state.succeeded.is_some_and(|succeeded| succeeded >= since)).await;
    assert_eq!(world.states().await.len(), 30);
    for meter in [0, 29] {
        assert_continuous(&world.captures(meter).await, "2026-11-20T00:15:00Z", 96);
        let span = at("2026-11-20T00:15:00Z")..at("2026-11-21T00:15:00Z");
        let second = world.collection.coverage(&id(meter), SECOND, span, &jiff::tz::TimeZone::UTC).await.unwrap();
        assert_eq!((second.expected, second.held), (96, 96));
    }
}

#[tokio::test]
async fn a_run_out_of_turn_collects_up_to_now_and_tells_when_it_has_ended() {
    let world = World::new(5, "2026-11-21T12:07:00Z").await;
    world.plan(daily("UTC")).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    let run = world.collection.run_now(&plan_id(), Some(vec![id(1), id(2)]), None, None).await.unwrap();
    assert_eq!((run.meters, run.has_ended()), (2, false));
    let mut progress = world.collection.watch();
    let ended = timeout(PATIENCE, async {
        loop {
            progress.mark_unchanged();
            let now = world.collection.run(&plan_id(), run.id).await.unwrap();
            if now.has_ended() {
                return now;
            }
            progress.changed().await.unwrap();
        }
    });
    assert_eq!(ended.await.unwrap().succeeded, 2);
    assert_continuous(&world.captures(1).await, "2026-11-20T00:15:00Z", 96 + 48);
    assert_continuous(&world.captures(3).await, "2026-11-20T00:15:00Z", 96);

    // Further back than the plan has ever been.
    let from = at("2026-11-18T00:00:00Z");
    world.collection.run_now(&plan_id(), None, Some(from), None).await.unwrap();
    world.until("collected from there", |state| state.request.is_none()).await;
    assert_continuous(&world.captures(4).await, "2026-11-18T00:15:00Z", 3 * 96 + 48);
}

#[tokio::test]
async fn a_run_that_is_asked_for_during_visits_begins_behind_them() {
    let world = World::new(3, "2026-11-21T12:07:00Z").await;
    world.plan(daily("UTC")).await;
    let visited = timeout(PATIENCE, async {
        while world.meters.at_once.0.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    });
    visited.await.expect("a visit");
    world.collection.run_now(&plan_id(), None, None, None).await.unwrap();
    world.until("collected up to now", |state| state.request.is_none()).await;
    assert_continuous(&world.captures(2).await, "2026-11-20T00:15:00Z", 96 + 48);
}

#[tokio::test]
async fn a_plan_at_rest_runs_nothing_and_makes_up_for_it() {
    let world = World::new(2, "2026-11-21T12:00:00Z").await;
    world.plan(daily("UTC")).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    world.collection.pause(&plan_id(), true, None).await.unwrap();
    let refused = world.collection.run_now(&plan_id(), None, None, None).await;
    assert!(matches!(refused, Err(CollectionError::Paused(_))), "{refused:?}");
    let asked = world.meters.asked().len();
    // Three runs are missed.
    world.jump(SignedDuration::from_hours(72));
    world.collection.pause(&plan_id(), false, None).await.unwrap();
    world.until_known("2026-11-24T00:00:00Z").await;
    assert_continuous(&world.captures(0).await, "2026-11-20T00:15:00Z", 4 * 96);
    assert_eq!(world.meters.asked().len(), asked + 2, "one request makes up for all that was missed");
}

#[tokio::test]
async fn a_meter_that_is_registered_or_removed_is_followed() {
    let world = World::new(1, "2026-11-21T12:00:00Z").await;
    world.plan(daily("UTC")).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    let change = Change { settings: MeterSettings::default(), secrets: Default::default() };
    let mut progress = world.collection.watch();
    world.registry.create(id(1), change, None).await.unwrap();
    timeout(PATIENCE, async {
        while world.captures(1).await.len() < 96 {
            progress.changed().await.unwrap();
        }
    })
    .await
    .unwrap();
    world.registry.delete(&id(0), None, None).await.unwrap();
    assert_eq!(world.states().await.len(), 1);
}
