//! How much of what was due was here in time.

use std::{collections::BTreeMap, ops::Range};

use jiff::{SignedDuration, Timestamp};

use super::gaps::count;
use crate::{
    meter::MeterId,
    plan::{PlanRecord, Run, Schedule},
    store::{CoverageStore, Grid, ModelStore, PlanState, PlanStore, ReadingStore, Store, StoreError},
};

/// How much of what a plan had to bring was here in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performance {
    /// Over all meters of the plan.
    pub all: Timeliness,
    /// Over those that could be reached: they answered something since the begin of the time, or brought captures of
    /// it.
    pub available: Timeliness,
}

/// Counts of regular moments of profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeliness {
    /// Meters.
    pub meters: u64,
    /// Moments whose captures were due.
    pub due: u64,
    /// Held by the deadline of the plan.
    pub by_deadline: u64,
    /// Held within four hours of being due.
    pub within_4_h: u64,
    /// Held within eight hours.
    pub within_8_h: u64,
    /// Held within a day.
    pub within_24_h: u64,
    /// Held now.
    pub held: u64,
    /// Known not to exist at the meter.
    pub absent: u64,
}

impl Timeliness {
    pub(crate) fn add(&mut self, other: &Self) {
        self.meters += other.meters;
        self.due += other.due;
        self.by_deadline += other.by_deadline;
        self.within_4_h += other.within_4_h;
        self.within_8_h += other.within_8_h;
        self.within_24_h += other.within_24_h;
        self.held += other.held;
        self.absent += other.absent;
    }
}

/// States read at once.
const PAGE: usize = 1_000;

/// Counts the moments in `span` whose run has opened at `now`: a capture is due when the window of the first run behind
/// it opens.
pub(super) async fn of<S: Store>(
    store: &S,
    plan: &PlanRecord,
    span: Range<Timestamp>,
    now: Timestamp,
) -> Result<Performance, StoreError> {
    let Some(schedule) = plan.settings.schedule() else { return Ok(Performance::default()) };
    let runs = runs(&schedule, &span, now);
    let mut performance = Performance::default();
    let mut after = None;
    loop {
        let page = store.plan_states(&plan.id, after, PAGE).await?;
        after = page.last().map(|state| state.meter.clone());
        for state in &page {
            let (counts, seen) = meter(store, plan, &schedule, &state.meter, &runs).await?;
            performance.all.add(&counts);
            if seen || is_available(state, &span) {
                performance.available.add(&counts);
            }
        }
        if page.len() < PAGE {
            return Ok(performance);
        }
    }
}

fn is_available(state: &PlanState, span: &Range<Timestamp>) -> bool {
    state.contact.is_some_and(|contact| contact >= span.start)
}

/// The runs that were to bring captures of `span`, each with the part of it that it was to bring.
fn runs(schedule: &Schedule, span: &Range<Timestamp>, now: Timestamp) -> Vec<(Run, Range<Timestamp>)> {
    let mut found = Vec::new();
    let mut start = span.start;
    let mut run = schedule.of(start);
    while start < span.end && run.opens <= now {
        // The moment of the target belongs to the run.
        let end = run.target.checked_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX).min(span.end);
        if start < end {
            found.push((run, start..end));
            start = end;
        }
        let next = schedule.after(run);
        if next == run {
            break;
        }
        run = next;
    }
    found
}

/// The counts of one meter, and whether anything of it is held.
async fn meter<S: CoverageStore + ModelStore + ReadingStore + PlanStore>(
    store: &S,
    plan: &PlanRecord,
    schedule: &Schedule,
    meter: &MeterId,
    runs: &[(Run, Range<Timestamp>)],
) -> Result<(Timeliness, bool), StoreError> {
    let mut counts = Timeliness { meters: 1, ..Timeliness::default() };
    let (Some((_, first)), Some((_, last))) = (runs.first(), runs.last()) else { return Ok((counts, false)) };
    let whole = first.start..last.end;
    let zone = schedule.zone();
    for profile in &plan.settings.profiles {
        let layout = store.profile_layout(meter, *profile).await?;
        let Some(grid) = layout.and_then(|layout| Grid::new(layout.capture_period_s)) else { continue };
        let coverage = store.coverage(meter, *profile, whole.clone()).await?;
        let arrivals = arrivals(store, meter, *profile, grid, &whole, zone).await?;
        for (run, part) in runs {
            let slots = grid.slots(part.clone(), zone);
            counts.due += count(&slots);
            let deadline = SignedDuration::from_secs(plan.settings.deadline_s.into());
            let within = |span: SignedDuration| {
                let limit = run.opens.checked_add(span).unwrap_or(Timestamp::MAX);
                arrivals.range(slots.clone()).filter(|(_, arrival)| **arrival <= limit).count() as u64
            };
            counts.by_deadline += within(deadline);
            counts.within_4_h += within(SignedDuration::from_hours(4));
            counts.within_8_h += within(SignedDuration::from_hours(8));
            counts.within_24_h += within(SignedDuration::from_hours(24));
            for (state, run) in coverage.runs(grid, slots) {
                match state {
                    crate::store::SlotState::Held => counts.held += count(&run),
                    crate::store::SlotState::Absent => counts.absent += count(&run),
                    crate::store::SlotState::Missing => {}
                }
            }
        }
    }
    Ok((counts, counts.held > 0))
}

/// When the first capture of each slot came.
async fn arrivals<S: ReadingStore>(
    store: &S,
    meter: &MeterId,
    profile: dlms::obis::ObisCode,
    grid: Grid,
    span: &Range<Timestamp>,
    zone: &jiff::tz::TimeZone,
) -> Result<BTreeMap<i64, Timestamp>, StoreError> {
    let slots = grid.slots(span.clone(), zone);
    let mut arrivals = BTreeMap::new();
    for arrival in store.arrivals(meter, profile, grid.span(slots, zone)).await? {
        let slot = grid.slot(arrival.time, arrival.clock.as_ref());
        let first: &mut Timestamp = arrivals.entry(slot).or_insert(arrival.received);
        *first = (*first).min(arrival.received);
    }
    Ok(arrivals)
}
