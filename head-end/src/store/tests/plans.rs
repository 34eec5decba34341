//! Plans, where their meters stand, and runs that were asked for.

use jiff::ToSpan;
use uuid::Uuid;

use super::*;
use crate::plan::{PlanId, PlanRecord, PlanSettings};

fn plan_id(text: &str) -> PlanId {
    text.parse().unwrap()
}

fn plan(name: &str, revision: u64) -> PlanRecord {
    let settings = PlanSettings { display_name: format!("revision {revision}"), ..PlanSettings::default() };
    PlanRecord { id: plan_id(name), revision, created: now(), updated: now(), settings }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

/// A plan with meters that are due at `now`.
async fn enrolled(store: &impl Store, meters: &[&str]) {
    store.create_plan(plan("p", 1), None).await.unwrap();
    for name in meters {
        store.create_meter(meter(name, 1), None).await.unwrap();
    }
    let mut all: Vec<_> = meters.iter().map(|name| (id(name), now())).collect();
    all.push((id("unknown"), now()));
    store.enrol(&plan_id("p"), all).await.unwrap();
}

async fn states(store: &impl Store) -> Vec<PlanState> {
    store.plan_states(&plan_id("p"), None, 100).await.unwrap()
}

fn run(meters: Option<&[&str]>, from: Option<Timestamp>) -> RunRequest {
    let meters = meters.map(|meters| meters.iter().map(|meter| id(meter)).collect());
    RunRequest { id: Uuid::now_v7(), plan: plan_id("p"), meters, from, until: now() + 1.hour(), now: now() }
}

async fn plans_are_made_changed_and_removed_under_their_revision(place: &impl Place) {
    let store = place.open().await;
    assert_eq!(store.create_plan(plan("p", 1), Some(request("r", 1))).await.unwrap(), plan("p", 1));
    assert_eq!(store.create_plan(plan("p", 7), Some(request("r", 1))).await.unwrap(), plan("p", 1));
    assert!(matches!(store.create_plan(plan("p", 1), None).await, Err(StoreError::AlreadyExists(_))));
    assert_eq!(store.update_plan(plan("p", 2), now(), false, None).await.unwrap(), plan("p", 2));
    let stale = store.update_plan(plan("p", 2), now(), false, None).await;
    assert!(matches!(stale, Err(StoreError::Conflict { found: 2, expected: 1, .. })), "{stale:?}");
    assert!(matches!(store.update_plan(plan("q", 2), now(), false, None).await, Err(StoreError::NotFound(_))));
    store.create_plan(plan("B", 1), None).await.unwrap();
    let names = async |after: Option<&str>| {
        let plans = store.list_plans(after.map(plan_id), 10).await.unwrap();
        plans.into_iter().map(|plan| plan.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None).await, ["B", "p"]);
    assert_eq!(names(Some("B")).await, ["p"]);
    drop(store);
    let store = place.open().await;
    assert_eq!(store.plan(&plan_id("p")).await.unwrap(), Some(plan("p", 2)));
    assert!(matches!(store.delete_plan(&plan_id("p"), Some(1), None).await, Err(StoreError::Conflict { .. })));
    for _ in 0..2 {
        store.delete_plan(&plan_id("p"), Some(2), Some(request("d", 1))).await.unwrap();
    }
    assert_eq!(store.plan(&plan_id("p")).await.unwrap(), None);
}

async fn meters_take_their_turns_and_states_come_back_as_written(place: &impl Place) {
    let store = place.open().await;
    enrolled(&store, &["m1", "m2"]).await;
    store.enrol(&plan_id("p"), vec![(id("m1"), now() + 9.hours())]).await.unwrap();
    assert_eq!(states(&store).await.len(), 2, "who is not registered is left out, who is in stays");
    assert_eq!(store.due_states(&plan_id("p"), now(), 10).await.unwrap().len(), 2);
    assert_eq!(store.due_states(&plan_id("p"), now() - 1.second(), 10).await.unwrap(), []);
    let written = PlanState {
        plan: plan_id("p"),
        meter: id("m1"),
        due: Some(now() + 1.hour()),
        watermark: Some(now()),
        attempt: 3,
        refusals: 1,
        error: Some(("UNREACHABLE".to_owned(), "nobody answers".to_owned())),
        attempted: Some(now()),
        succeeded: Some(now() - 1.hour()),
        contact: Some(now() - 2.hours()),
        registers: Some(now() - 3.hours()),
        request: None,
        until: None,
    };
    store.write_state(written.clone(), None).await.unwrap();
    assert_eq!(states(&store).await[0], written);
    assert_eq!(store.next_due(&plan_id("p"), now()).await.unwrap(), Some(now() + 1.hour()));
    assert_eq!(store.next_due(&plan_id("p"), now() + 1.hour()).await.unwrap(), None);
    store.write_state(PlanState { due: None, ..written.clone() }, None).await.unwrap();
    store.revive(&id("m1"), now() + 2.hours()).await.unwrap();
    let revived = states(&store).await.remove(0);
    assert_eq!((revived.due, revived.refusals, revived.attempt), (Some(now() + 2.hours()), 0, 3));
    store.update_plan(plan("p", 2), now(), true, None).await.unwrap();
    let anew = states(&store).await.remove(0);
    assert_eq!((anew.due, anew.watermark, anew.attempt), (Some(now()), None, 0));
    let after = store.plan_states(&plan_id("p"), Some(id("m1")), 10).await.unwrap();
    assert_eq!(after.into_iter().map(|state| state.meter).collect::<Vec<_>>(), [id("m2")]);
    store.create_plan(plan("another", 1), None).await.unwrap();
    store.enrol(&plan_id("another"), vec![(id("m1"), now() + 3.hours())]).await.unwrap();
    let of_m1 = store.meter_states(&id("m1")).await.unwrap();
    let plans: Vec<_> = of_m1.iter().map(|state| (state.plan.to_string(), state.due)).collect();
    assert_eq!(plans, [("another".to_owned(), Some(now() + 3.hours())), ("p".to_owned(), Some(now()))]);
    assert_eq!(of_m1[1], anew);
    assert_eq!(store.meter_states(&id("nobody")).await.unwrap(), []);
    store.delete_meter(&id("m2"), None, None).await.unwrap();
    assert_eq!(states(&store).await.len(), 1);
    store.write_state(PlanState { meter: id("m2"), ..written }, None).await.unwrap();
    assert_eq!(states(&store).await.len(), 1);
}

async fn a_run_that_was_asked_for_counts_how_its_meters_end(place: &impl Place) {
    let store = place.open().await;
    enrolled(&store, &["m1", "m2", "m3"]).await;
    let first = store.request_run(run(None, None), Some(request("r", 1))).await.unwrap();
    assert_eq!((first.meters, first.has_ended()), (3, false));
    assert_eq!(store.request_run(run(None, None), Some(request("r", 1))).await.unwrap(), first);
    let mut all = states(&store).await;
    assert!(all.iter().all(|state| state.request == Some(first.id) && state.until == Some(now() + 1.hour())));
    let (m1, m2) = (all.remove(0), all.remove(0));
    store.write_state(PlanState { watermark: Some(now()), ..m1.clone() }, Some(true)).await.unwrap();
    // Asked for anew before the first run has ended: that one ends as failed, and what is written late does not count.
    let back = now() - 24.hours();
    let second = store.request_run(run(Some(&["m1", "m2"]), Some(back)), None).await.unwrap();
    assert_eq!(second.meters, 2);
    store.write_state(PlanState { watermark: Some(now()), ..m2 }, Some(true)).await.unwrap();
    let all = states(&store).await;
    assert_eq!(all.iter().map(|state| state.watermark).collect::<Vec<_>>(), [Some(back), Some(back), None]);
    assert_eq!(all[1].request, Some(second.id));
    let counts = async |id| {
        let run = store.plan_run(id).await.unwrap().unwrap();
        (run.succeeded, run.failed)
    };
    assert_eq!(counts(first.id).await, (1, 1));
    store.dismiss(&plan_id("p"), vec![id("m3"), id("m1")]).await.unwrap();
    assert_eq!((counts(first.id).await, counts(second.id).await), ((1, 2), (0, 1)));
    assert!(store.plan_run(first.id).await.unwrap().unwrap().has_ended());
    assert_eq!(states(&store).await.len(), 1);
    let nowhere = RunRequest { plan: plan_id("q"), ..run(None, None) };
    assert!(matches!(store.request_run(nowhere, None).await, Err(StoreError::NotFound(_))));
}

on_every_store! {
    plans_are_made_changed_and_removed_under_their_revision
    meters_take_their_turns_and_states_come_back_as_written
    a_run_that_was_asked_for_counts_how_its_meters_end
}
