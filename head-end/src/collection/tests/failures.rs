use super::*;
use crate::operation::RequestErrorKind;

#[tokio::test]
async fn what_a_meter_kept_while_it_was_away_is_made_up_for() {
    let world = World::new(1, "2026-11-21T00:30:00Z").await;
    world.meters.set(&id(0), Behaviour { fails: Some(RequestErrorKind::Unreachable), ..Behaviour::default() });
    world.plan(daily("UTC")).await;
    let error = |name: &'static str| move |state: &PlanState| state.error.as_ref().is_some_and(|error| error.0 == name);
    world.until("unreachable", error("UNREACHABLE")).await;
    let state = &world.states().await[0];
    let pause = state.due.unwrap().duration_since(world.clock.now());
    assert!(pause <= SignedDuration::from_secs(5), "the first pause is short: {pause:?}");
    assert_eq!((state.attempt, state.contact), (1, None));

    // Hours go by; then the line breaks after 50 rows, and only then all is well.
    world.meters.set(&id(0), Behaviour { breaks: Some(50), ..Behaviour::default() });
    world.jump(SignedDuration::from_hours(5));
    world.until("interrupted", |state| state.contact.is_some()).await;
    assert_eq!(world.captures(0).await.len(), 50, "what came before the line was lost is kept");
    world.meters.set(&id(0), Behaviour::default());
    world.jump(SignedDuration::from_hours(1));
    world.until_known("2026-11-21T00:00:00Z").await;
    assert_continuous(&world.captures(0).await, "2026-11-20T00:15:00Z", 96);
    let last = world.meters.asked().last().unwrap().2.clone();
    assert!(last.start > at("2026-11-20T12:00:00Z"), "only the rest was asked for: {last:?}");
    assert_eq!(world.states().await[0].error, None);
    let span = at("2026-11-20T00:00:01Z")..at("2026-11-21T00:00:01Z");
    let performance = world.collection.performance(&plan_id(), span).await.unwrap();
    assert_eq!((performance.all.within_4_h, performance.all.within_8_h), (0, 96));
}

#[tokio::test]
async fn what_the_buffer_has_lost_is_noted_and_not_asked_for_again() {
    let world = World::new(1, "2026-11-21T00:00:30Z").await;
    world.meters.set(&id(0), Behaviour { entries: 48, ..Behaviour::default() });
    world.plan(daily("UTC")).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    let coverage = world.coverage(0, "2026-11-20T00:15:00Z", "2026-11-21T00:15:00Z").await;
    assert_eq!((coverage.expected, coverage.held, coverage.absent), (96, 48, 48));
    let gap = &coverage.gaps[0];
    assert_eq!(
        (gap.from, gap.to),
        (at("2026-11-20T00:15:00Z"), at("2026-11-20T12:15:00Z") - SignedDuration::from_mins(15))
    );
    assert!(gap.absent && coverage.gaps.len() == 1);
    let asked = world.meters.asked().len();
    // Asked to look at all of it again, it asks the meter nothing.
    world.collection.run_now(&plan_id(), None, Some(at("2026-11-20T00:00:00Z")), None).await.unwrap();
    world.until("looked at", |state| state.request.is_none()).await;
    assert_eq!(world.meters.asked().len(), asked);
    world.meters.set(&id(0), Behaviour::default());
    world.jump(SignedDuration::from_hours(24));
    world.until_known("2026-11-22T00:00:00Z").await;
    let last = world.meters.asked().last().unwrap().2.clone();
    assert!(last.start >= at("2026-11-21T00:00:00Z"), "{last:?}");
}

#[tokio::test]
async fn two_failed_authentications_stop_a_meter_until_it_is_changed() {
    let world = World::new(2, "2026-11-21T00:30:00Z").await;
    world.meters.set(&id(0), Behaviour { fails: Some(RequestErrorKind::SecurityFailed), ..Behaviour::default() });
    world.plan(daily("UTC")).await;
    world.until("tried", |state| state.attempted.is_some()).await;
    world.jump(SignedDuration::from_mins(5));
    let stopped = |state: &PlanState| state.meter != id(0) || state.due.is_none();
    world.until("stopped", stopped).await;
    let state = world.states().await.remove(0);
    assert_eq!((state.refusals, state.error.unwrap().0.as_str()), (2, "SECURITY_FAILED"));
    world.meters.set(&id(0), Behaviour::default());
    world.jump(SignedDuration::from_hours(5));
    assert_eq!(world.states().await[0].due, None);
    let change = |settings: &MeterSettings| Ok(Change { settings: settings.clone(), secrets: Default::default() });
    world.registry.update(&id(0), None, None, change).await.unwrap();
    world.until_known("2026-11-21T00:00:00Z").await;
    assert_continuous(&world.captures(0).await, "2026-11-20T00:15:00Z", 96);
}

#[tokio::test]
async fn a_run_that_cannot_succeed_is_given_up_and_left_to_the_next() {
    let world = World::new(1, "2026-11-21T00:00:30Z").await;
    world.meters.set(&id(0), Behaviour { fails: Some(RequestErrorKind::Unreachable), ..Behaviour::default() });
    world.plan(PlanSettings { deadline_s: 3_600, grace_s: 0, ..daily("UTC") }).await;
    world.until("tried", |state| state.attempt == 1).await;
    world.jump(SignedDuration::from_hours(2));
    world.until("given up", |state| state.attempt == 0).await;
    assert_eq!(world.states().await[0].due, Some(at("2026-11-22T00:00:00Z")));
    world.meters.set(&id(0), Behaviour::default());
    world.jump(SignedDuration::from_hours(23));
    world.until_known("2026-11-22T00:00:00Z").await;
    assert_continuous(&world.captures(0).await, "2026-11-20T00:15:00Z", 2 * 96);
}

#[tokio::test]
async fn rows_that_come_twice_are_one_and_changed_ones_are_revisions() {
    let world = World::new(1, "2026-11-21T00:30:00Z").await;
    world.meters.set(&id(0), Behaviour { doubles: true, ..Behaviour::default() });
    world.plan(daily("UTC")).await;
    world.until_known("2026-11-21T00:00:00Z").await;
    assert_continuous(&world.captures(0).await, "2026-11-20T00:15:00Z", 96);
    // The meter was given another past.
    world.meters.set(&id(0), Behaviour { adds: 1, ..Behaviour::default() });
    let what = crate::operation::ReadProfile {
        profile: LOAD,
        selection: crate::operation::ProfileSelection::Range {
            from: at("2026-11-20T06:00:00Z"),
            to: at("2026-11-20T07:00:00Z"),
        },
    };
    let head_end = HeadEnd::new(Arc::clone(&world.registry), Arc::clone(&world.meters));
    head_end.read_profile(&id(0), what, tokio::time::Instant::now() + PATIENCE).await.unwrap();
    let captures = world.captures(0).await;
    let revised: Vec<_> = captures.iter().filter(|capture| capture.revision == 2).collect();
    assert_eq!((captures.len(), revised.len()), (100, 4));
    assert!(revised.iter().all(|capture| capture.flags.contains(crate::store::CaptureFlags::DUPLICATE)));
}
