//! Who belongs to a plan: state rows kept in step with the registry.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    group::Members,
    meter::{MeterId, MeterRecord, Tenant},
    plan::{PlanRecord, PlanTarget, Schedule},
    store::{MeterFilter, PlanState, Store, StoreError},
};

/// Meters read and written at once.
const PAGE: usize = 1_000;

/// When a meter that is new to a plan has its first turn: in the present window, or now where its turn has passed.
pub(super) fn first_turn(schedule: &Schedule, meter: &MeterId, now: Timestamp) -> Timestamp {
    let turn = schedule.latest(now).opens.checked_add(schedule.offset(meter)).unwrap_or(now);
    turn.max(now)
}

/// Brings the states of a plan in step with the registry, and with the clock where that was set back.
pub(super) async fn reconcile<S: Store>(
    store: &S,
    plan: &PlanRecord,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), StoreError> {
    let present = present(store, plan, schedule, now).await?;
    let mut wanted = BTreeSet::new();
    let (members, tenant) = target(store, plan).await?;
    match members {
        Members::Meters(meters) => {
            for meter in meters.iter().filter_map(|meter| MeterId::try_new(meter).ok()) {
                let record = store.meter(&meter).await?.map(|stored| stored.record);
                if record.is_none_or(|record| is_collected(&record, tenant.as_ref())) {
                    wanted.insert(meter);
                }
            }
        }
        Members::Labels(labels) => {
            let filter = MeterFilter { labels, tenant: tenant.clone() };
            let mut after = None;
            loop {
                let page = store.list_meters(after, filter.clone(), PAGE).await?;
                after = page.last().map(|meter| meter.id.clone());
                let full = page.len() >= PAGE;
                let collected = page.into_iter().filter(|record| is_collected(record, tenant.as_ref()));
                wanted.extend(collected.map(|meter| meter.id));
                if !full {
                    break;
                }
            }
        }
    }
    let new: Vec<_> = wanted.difference(&present).cloned().collect();
    for page in new.chunks(PAGE) {
        let meters = page.iter().map(|meter| (meter.clone(), first_turn(schedule, meter, now))).collect();
        store.enrol(&plan.id, meters).await?;
    }
    let gone: Vec<_> = present.difference(&wanted).cloned().collect();
    for page in gone.chunks(PAGE) {
        store.dismiss(&plan.id, page.to_vec()).await?;
    }
    Ok(())
}

/// Who is meant, and of which tenant alone.
async fn target<S: Store>(store: &S, plan: &PlanRecord) -> Result<(Members, Option<Tenant>), StoreError> {
    Ok(match &plan.settings.target {
        PlanTarget::Meters(meters) => (Members::Meters(meters.clone()), None),
        PlanTarget::Labels(labels) => (Members::Labels(labels.clone()), None),
        PlanTarget::Group(group) => match store.group(group.as_str()).await? {
            Some(group) => (group.members, group.tenant),
            // Nobody, until somebody makes it again.
            None => (Members::Meters(BTreeSet::new()), None),
        },
    })
}

fn is_collected(record: &MeterRecord, tenant: Option<&Tenant>) -> bool {
    let settings = &record.settings;
    settings.lifecycle.status.is_collected() && tenant.is_none_or(|tenant| settings.tenant.as_ref() == Some(tenant))
}

async fn holds<S: Store>(store: &S, plan: &PlanRecord, record: &MeterRecord) -> Result<bool, StoreError> {
    let (members, tenant) = target(store, plan).await?;
    Ok(is_collected(record, tenant.as_ref()) && members.hold(record))
}

/// The meters that have a state. Those whose turn is later than the next one of all, because the clock was ahead when it
/// was noted, have it now: nothing would be collected of them until that time comes.
async fn present<S: Store>(
    store: &S,
    plan: &PlanRecord,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<BTreeSet<MeterId>, StoreError> {
    let next = schedule.after(schedule.latest(now)).opens;
    let mut present = BTreeSet::new();
    let mut after = None;
    loop {
        let page = store.plan_states(&plan.id, after, PAGE).await?;
        after = page.last().map(|state| state.meter.clone());
        let full = page.len() >= PAGE;
        for state in page {
            let latest = next.checked_add(schedule.offset(&state.meter)).unwrap_or(Timestamp::MAX);
            present.insert(state.meter.clone());
            if state.due.is_some_and(|due| due > latest) {
                tracing::info!(meter = %state.meter, plan = %plan.id, "its turn was noted by a clock that was ahead");
                store.write_state(PlanState { due: Some(now), ..state }, None).await?;
            }
        }
        if !full {
            return Ok(present);
        }
    }
}

/// Brings one meter that was registered, changed or removed in step with a plan.
pub(super) async fn follow<S: Store>(
    store: &S,
    plan: &PlanRecord,
    schedule: &Schedule,
    meter: &MeterId,
    record: Option<&MeterRecord>,
    now: Timestamp,
) -> Result<(), StoreError> {
    match record {
        Some(record) if holds(store, plan, record).await? => {
            store.enrol(&plan.id, vec![(meter.clone(), first_turn(schedule, meter, now))]).await
        }
        // Its state went with it.
        None => Ok(()),
        Some(_) => store.dismiss(&plan.id, vec![meter.clone()]).await,
    }
}
