//! The work with one meter: closing its gaps since the watermark, as far as its buffer reaches.

use std::{ops::Range, sync::Arc, time::Duration};

use dlms::{
    cosem::profile_generic,
    id::{AttributeId, ClassId},
    obis::ObisCode,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::gaps;
use crate::{
    head_end::HeadEnd,
    meter::MeterId,
    operation::{
        AttributeRef, GetAttribute, MeterAccess, Priority, ProfileLayout, ProfileSelection, ReadProfile, RegisterRef,
        RequestError, RequestErrorKind, Terms,
    },
    plan::{PlanRecord, Run, Schedule},
    store::{AppendOutcome, Grid, PlanState, Store, StoreError},
};

/// Requests for the gaps of one profile in one visit.
const REQUESTS: usize = 4;

/// Regular moments in one request: a month of quarter-hours. What was read before a line breaks is kept.
const LONGEST: i64 = 31 * 96;

/// Rounds of one profile: the first finds out the capture period, a later one follows a change of it.
const ROUNDS: usize = 3;

/// What came of a visit.
#[derive(Debug)]
pub(super) struct Visited {
    /// Everything up to here is held, or known not to exist.
    pub(super) watermark: Timestamp,
    /// Why it ended early.
    pub(super) error: Option<RequestError>,
    /// Whether the meter answered anything.
    pub(super) contact: bool,
    /// Whether the registers of the run have been read.
    pub(super) registers: bool,
}

/// One meter, one plan, one run.
pub(super) struct Visit<'a, S, A> {
    pub(super) head_end: &'a HeadEnd<S, A>,
    pub(super) plan: &'a PlanRecord,
    pub(super) schedule: &'a Schedule,
    pub(super) state: &'a PlanState,
    pub(super) run: Run,
    pub(super) now: Timestamp,
}

impl<S: Store, A: MeterAccess> Visit<'_, S, A> {
    fn store(&self) -> &S {
        self.head_end.registry().store()
    }

    fn meter(&self) -> &MeterId {
        &self.state.meter
    }

    fn terms(&self, deadline: Instant) -> Terms {
        Terms::by(deadline).with_priority(Priority::Low)
    }

    /// Up to where is collected.
    fn target(&self) -> Timestamp {
        self.state.until.map_or(self.run.target, |until| until.max(self.run.target))
    }

    /// From where.
    fn since(&self) -> Timestamp {
        let back = SignedDuration::from_secs(self.plan.settings.backfill_s.into());
        // From what was due when its first turn came, however long that was missed, and not from a run out of turn.
        let first = || {
            let turn = self.state.due.unwrap_or(self.now);
            let turn = turn.checked_sub(self.schedule.offset(self.meter())).unwrap_or(turn);
            let target = self.schedule.latest(turn).target.min(self.run.target);
            target.checked_sub(back).unwrap_or(Timestamp::MIN)
        };
        // One in the future was noted by a clock that was wrong.
        self.state.watermark.filter(|watermark| *watermark <= self.now).unwrap_or_else(first)
    }

    /// Collects what is missing.
    pub(super) async fn make(&self) -> Visited {
        let deadline = Instant::now() + Duration::from_secs(self.plan.settings.attempt_s.into());
        let mut visited = Visited { watermark: self.target(), error: None, contact: false, registers: false };
        for profile in &self.plan.settings.profiles {
            match self.profile(*profile, deadline, &mut visited.contact).await {
                Ok(watermark) => visited.watermark = visited.watermark.min(watermark),
                Err(error) => {
                    visited.watermark = self.since();
                    visited.error = Some(error);
                    return visited;
                }
            }
        }
        match self.registers(deadline, &mut visited.contact).await {
            Ok(()) => visited.registers = true,
            Err(error) => visited.error = Some(error),
        }
        visited
    }

    /// Collects one profile, and says up to where it is complete.
    async fn profile(
        &self,
        profile: ObisCode,
        deadline: Instant,
        contact: &mut bool,
    ) -> Result<Timestamp, RequestError> {
        let (since, target) = (self.since(), self.target());
        // The moment of the watermark itself is held; that of the target is due.
        let span = after(since)..after(target);
        if span.is_empty() {
            return Ok(target);
        }
        let zone = self.schedule.zone();
        let mut refreshed = false;
        let mut asked = false;
        for _ in 0..ROUNDS {
            let layout = self.store().profile_layout(self.meter(), profile).await?;
            let Some(grid) = layout.as_ref().and_then(|layout| Grid::new(layout.capture_period_s)) else {
                if layout.is_some() && asked {
                    // Captures on events: there is nothing to compare with.
                    return Ok(target);
                }
                self.read(profile, span.clone(), deadline, contact).await?;
                asked = true;
                continue;
            };
            let slots = grid.slots(span.clone(), zone);
            let missing = self.coverage(profile, &span).await?.missing(grid, slots.clone());
            if missing.is_empty() {
                return Ok(target);
            }
            let requests = gaps::requests(&missing, REQUESTS, LONGEST);
            let mut rows = 0;
            for request in &requests {
                rows += self.read(profile, grid.span(request.clone(), zone), deadline, contact).await?;
            }
            let still = gaps::still(&self.coverage(profile, &span).await?, grid, &missing);
            let expected: u64 = requests.iter().map(gaps::count).sum();
            // Another number of rows than there are moments: the profile may have been set up anew.
            if (!still.is_empty() || rows > expected) && !refreshed {
                refreshed = true;
                if self.refresh(profile, deadline).await? {
                    continue;
                }
            }
            return self.settle(profile, grid, slots, still).await;
        }
        Ok(since)
    }

    /// Notes what the meter does not have, and says up to where all is known.
    ///
    /// Only what lies before its newest capture is lost: what comes after may come yet, because its clock is late or
    /// its line was cut, and is asked for again in one request with the next run.
    async fn settle(
        &self,
        profile: ObisCode,
        grid: Grid,
        slots: Range<i64>,
        still: Vec<Range<i64>>,
    ) -> Result<Timestamp, RequestError> {
        if still.is_empty() {
            return Ok(self.target());
        }
        let newest = self.store().latest(self.meter(), Some(profile), after(self.now)).await?;
        let newest = newest.map_or(slots.start, |newest| grid.slot(newest.time, newest.clock.as_ref()));
        let absent: Vec<_> =
            still.iter().map(|run| run.start..run.end.min(newest)).filter(|run| !run.is_empty()).collect();
        if !absent.is_empty() {
            let captures: u64 = absent.iter().map(gaps::count).sum();
            tracing::info!(meter = %self.meter(), %profile, captures, "the meter does not have them");
            self.store().mark_absent(self.meter(), profile, grid, absent).await?;
        }
        let open = still.iter().find(|run| run.end > newest).map(|run| run.start.max(newest));
        Ok(match open {
            None => self.target(),
            Some(open) => {
                let complete = grid.moment(open - 1, self.schedule.zone());
                complete.clamp(self.since().min(self.target()), self.target())
            }
        })
    }

    async fn coverage(&self, profile: ObisCode, span: &Range<Timestamp>) -> Result<crate::store::Coverage, StoreError> {
        self.store().coverage(self.meter(), profile, span.clone()).await
    }

    /// Reads rows into the store; how many came.
    async fn read(
        &self,
        profile: ObisCode,
        span: Range<Timestamp>,
        deadline: Instant,
        contact: &mut bool,
    ) -> Result<u64, RequestError> {
        let selection = ProfileSelection::Range { from: span.start, to: span.end };
        let what = ReadProfile { profile, selection };
        let read = self.head_end.read_profile(self.meter(), what, self.terms(deadline)).await;
        *contact |= read.as_ref().map_or_else(answered, |_| true);
        let read = read?;
        match read.kept {
            Ok(AppendOutcome::Stored(_)) => {}
            Ok(AppendOutcome::Kept(error)) | Err(error) => return Err(error.into()),
        }
        match read.reading.interrupted {
            Some(error) => Err(error),
            None => Ok(read.reading.rows.len() as u64),
        }
    }

    /// Reads capture period and entries of a profile again; whether the period has changed.
    async fn refresh(&self, profile: ObisCode, deadline: Instant) -> Result<bool, RequestError> {
        let Some(layout) = self.store().profile_layout(self.meter(), profile).await? else { return Ok(true) };
        let attribute = |attribute| GetAttribute {
            attribute: AttributeRef::new(profile_generic::CLASS_ID, profile, AttributeId(attribute)),
            selection: None,
        };
        // Capture period, entries in use, profile entries.
        let asked = [4, 7, 8].map(attribute).to_vec();
        let values = self.head_end.get_attributes(self.meter(), asked, self.terms(deadline)).await?;
        let mut values = values.into_iter().map(|value| value.ok()?.value.as_data()?.as_u32());
        let mut next = || values.next().flatten();
        let period = next().unwrap_or(layout.capture_period_s);
        let entries_in_use = next().or(layout.entries_in_use);
        let profile_entries = next().or(layout.profile_entries);
        let changed = period != layout.capture_period_s;
        if changed {
            tracing::info!(meter = %self.meter(), %profile, from = layout.capture_period_s, to = period, "another capture period");
        }
        let layout = ProfileLayout { capture_period_s: period, entries_in_use, profile_entries, ..layout };
        self.store().save_profile_layout(self.meter(), Arc::new(layout)).await?;
        Ok(changed)
    }

    /// Reads the registers of this run, once.
    async fn registers(&self, deadline: Instant, contact: &mut bool) -> Result<(), RequestError> {
        let wanted = &self.plan.settings.registers;
        let done = self.state.registers.is_some_and(|read| read >= self.run.opens);
        if wanted.is_empty() || (done && self.state.request.is_none()) {
            return Ok(());
        }
        let registers =
            wanted.iter().map(|wanted| RegisterRef { obis: wanted.obis, class: wanted.class.map(ClassId) }).collect();
        let read = self.head_end.read_registers(self.meter(), registers, self.terms(deadline)).await;
        *contact |= read.as_ref().map_or_else(answered, |_| true);
        let read = read?;
        match read.kept {
            Ok(AppendOutcome::Stored(_)) => {}
            Ok(AppendOutcome::Kept(error)) | Err(error) => return Err(error.into()),
        }
        // A register that a meter refuses is refused the next time too; one that was lost with the line is not.
        let mut failed = read.results.into_iter().filter_map(Result::err);
        failed.find(|error| error.kind() == RequestErrorKind::Unreachable).map_or(Ok(()), Err)
    }
}

/// Whether an error was the meter's own word.
fn answered(error: &RequestError) -> bool {
    use RequestErrorKind::{MeterRefused, Protocol, SecurityFailed};
    matches!(error.kind(), MeterRefused | Protocol) || error.kind() == SecurityFailed && error.sent()
}

/// The first moment after `moment`, in whole milliseconds.
fn after(moment: Timestamp) -> Timestamp {
    moment.checked_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX)
}
