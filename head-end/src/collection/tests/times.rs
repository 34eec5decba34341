use super::*;
use crate::store::CaptureFlags;

/// Three days around a change of the clock, one run after the other.
async fn around(first_now: &str, first: &str, last: &str, quarters: usize, next: [&str; 2]) {
    let world = World::new(1, first_now).await;
    world.plan(daily("Europe/Berlin")).await;
    for moment in next.into_iter().chain([last]) {
        world.until_known(moment).await;
        world.jump(SignedDuration::from_hours(24));
    }
    world.until("done", |state| state.error.is_none()).await;
    let captures = world.captures(0).await;
    let collected: Vec<_> = captures.into_iter().filter(|capture| capture.time <= at(last)).collect();
    assert_continuous(&collected, first, quarters);
}

#[tokio::test]
async fn the_day_of_23_hours_is_collected_once_and_whole() {
    let midnights = ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z"];
    around("2026-03-28T06:00:00Z", "2026-03-26T23:15:00Z", "2026-03-29T22:00:00Z", 96 + 96 + 92, midnights).await;
}

#[tokio::test]
async fn the_day_of_25_hours_is_collected_once_and_whole() {
    let midnights = ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z"];
    around("2026-10-24T06:00:00Z", "2026-10-22T22:15:00Z", "2026-10-25T23:00:00Z", 96 + 96 + 100, midnights).await;
}

#[tokio::test]
async fn a_meter_whose_clock_is_late_is_asked_again_and_loses_nothing() {
    let world = World::new(1, "2026-11-21T00:00:05Z").await;
    world.meters.set(&id(0), Behaviour { fast_s: -1_200, ..Behaviour::default() });
    world.plan(daily("UTC")).await;
    world.until("not yet", |state| state.error.as_ref().is_some_and(|error| error.0 == "NOT_YET")).await;
    let coverage = world.coverage(0, "2026-11-20T00:15:00Z", "2026-11-21T00:15:00Z").await;
    assert_eq!((coverage.held, coverage.absent), (94, 0));
    world.jump(SignedDuration::from_mins(25));
    world.until_known("2026-11-21T00:00:00Z").await;
    assert_continuous(&world.captures(0).await, "2026-11-20T00:15:00Z", 96);
}

#[tokio::test]
async fn captures_of_a_clock_that_is_fast_are_flagged_and_asked_for_again_when_it_was_set_right() {
    let world = World::new(1, "2026-11-21T00:00:05Z").await;
    // Three hours ahead: its newest captures are of a time that has not come.
    world.meters.set(&id(0), Behaviour { fast_s: 3 * 3_600, ..Behaviour::default() });
    let quarters = PlanSettings { cadence: Cadence::Seconds(900), backfill_s: 3_600, ..daily("UTC") };
    world.plan(quarters).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    let head_end = HeadEnd::new(Arc::clone(&world.registry), Arc::clone(&world.meters));
    let selection =
        crate::operation::ProfileSelection::Range { from: at("2026-11-21T00:00:00Z"), to: at("2026-11-22T00:00:00Z") };
    let what = crate::operation::ReadProfile { profile: LOAD, selection };
    head_end.read_profile(&id(0), what, tokio::time::Instant::now() + PATIENCE).await.unwrap();
    let ahead = world.captures(0).await.pop().unwrap();
    assert_eq!(ahead.time, at("2026-11-21T03:00:00Z"));
    assert!(ahead.flags.contains(CaptureFlags::CLOCK_SHIFT), "{:?}", ahead.flags);
    // Set right, it captures these moments again.
    world.meters.set(&id(0), Behaviour { adds: 7, ..Behaviour::default() });
    world.jump(SignedDuration::from_hours(4));
    world.until_known("2026-11-21T04:00:00Z").await;
    let captures = world.captures(0).await;
    let three = captures.iter().filter(|capture| capture.time == at("2026-11-21T03:00:00Z"));
    assert_eq!(three.map(|capture| capture.revision).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_capture_period_that_changes_at_noon_leaves_no_gap() {
    let world = World::new(1, "2026-11-20T11:00:00Z").await;
    world.plan(daily("UTC")).await;
    world.until_known("2026-11-20T00:00:00Z").await;
    let periods = vec![(Timestamp::UNIX_EPOCH, 900), (at("2026-11-20T12:00:00Z"), 1_800)];
    world.meters.set(&id(0), Behaviour { periods, ..Behaviour::default() });
    world.jump(SignedDuration::from_hours(24));
    world.until_known("2026-11-21T00:00:00Z").await;
    let coverage = world.coverage(0, "2026-11-20T00:15:00Z", "2026-11-21T00:15:00Z").await;
    assert_eq!((coverage.period_s, coverage.expected, coverage.held), (1_800, 48, 48));
    assert_eq!(coverage.gaps, []);
    let day = world.captures(0).await.into_iter().filter(|capture| capture.time > at("2026-11-20T00:00:00Z"));
    assert_eq!(day.count(), 47 + 25);
}

#[tokio::test]
async fn a_turn_that_was_noted_by_a_clock_that_was_ahead_is_not_waited_for() {
    let world = World::new(2, "2026-11-21T02:00:00Z").await;
    world.plan(daily("UTC")).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    world.jump(SignedDuration::from_hours(72));
    world.until_known("2026-11-24T00:00:00Z").await;
    world.jump(SignedDuration::from_hours(-72));
    let world = world.restart(CollectionOptions::default()).await;
    let right = at("2026-11-21T12:00:00Z");
    world.until("looked at again", |state| state.attempted.is_some_and(|attempted| attempted < right)).await;
    let next = at("2026-11-22T00:00:05Z");
    world.until("due as ever", |state| state.due.is_some_and(|due| due <= next)).await;
    world.until("known up to now and no longer", |state| state.watermark == Some(at("2026-11-21T00:00:00Z"))).await;
}

#[tokio::test]
async fn a_first_turn_that_was_missed_for_days_reaches_back_from_when_it_was_due() {
    let world = World::new(1, "2026-11-21T02:00:00Z").await;
    world.stop.cancel();
    world.tasks.close();
    world.tasks.wait().await;
    world.plan(daily("UTC")).await;
    let plan = world.collection.get(&plan_id()).await.unwrap();
    let schedule = plan.settings.schedule().unwrap();
    let now = world.clock.now();
    members::reconcile(&**world.registry.store(), &plan, &schedule, now).await.unwrap();
    world.clock.jump(SignedDuration::from_hours(72));
    let world = world.restart(CollectionOptions::default()).await;
    world.until_known("2026-11-24T00:00:00Z").await;
    assert_continuous(&world.captures(0).await, "2026-11-20T00:15:00Z", 4 * 96);
}
