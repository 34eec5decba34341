//! Which captures of a profile the store holds, as bitmaps.

use std::{
    collections::BTreeMap,
    future::Future,
    ops::{Range, RangeInclusive},
};

use dlms::obis::ObisCode;
use jiff::{SignedDuration, Timestamp};

use super::{Grid, StoreError};
use crate::meter::MeterId;

/// Coverage of profiles: a bitmap for each meter, profile and day, written with the captures themselves by
/// [`ReadingStore::append`](super::ReadingStore::append).
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait CoverageStore: Send + Sync + 'static {
    /// The coverage of a profile in `span`, and a day to both sides of it.
    ///
    /// # Errors
    /// The store's own.
    fn coverage(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        span: Range<Timestamp>,
    ) -> impl Future<Output = Result<Coverage, StoreError>> + Send;

    /// Notes that the meter does not have the captures of `slots`: nobody asks for them again. Slots that are held,
    /// or come later all the same, stay held.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`], or the store's own.
    fn mark_absent(
        &self,
        meter: &MeterId,
        profile: ObisCode,
        grid: Grid,
        slots: Vec<Range<i64>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What is known of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlotState {
    /// The store has it.
    Held,
    /// The meter was asked, and does not have it.
    Absent,
    /// The store does not have it.
    Missing,
}

/// The bitmaps of one day: bit n of octet n / 8, from the lowest, stands for slot n of the day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayCoverage {
    /// Slots that are held.
    pub held: Vec<u8>,
    /// Slots that the meter does not have.
    pub absent: Vec<u8>,
}

/// Which captures of a profile the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By capture period in seconds and day since 1970: a profile that was set up anew has days of several periods.
    days: BTreeMap<u32, BTreeMap<i64, DayCoverage>>,
}

impl Coverage {
    /// Adds the bitmaps of a day to what is known of it.
    pub fn add(&mut self, period_s: u32, day: i64, held: &[u8], absent: &[u8]) {
        let known = self.days.entry(period_s).or_default().entry(day).or_default();
        unite(&mut known.held, held);
        unite(&mut known.absent, absent);
    }

    /// What is known of a slot. A slot that is not held itself is, where a capture of another period stands for its
    /// moment.
    #[must_use]
    pub fn state(&self, grid: Grid, slot: i64) -> SlotState {
        let mut absent = false;
        for (period, days) in &self.days {
            let Some(other) = Grid::new(*period) else { continue };
            // The first slot of the other period that ends with this one or later: it contains this one.
            let moment = slot.saturating_mul(grid.period_s().into());
            let standing = if other == grid { slot } else { -(-moment).div_euclid(i64::from(*period)) };
            let day = other.day(standing);
            let Some(bitmaps) = days.get(&day) else { continue };
            let bit = standing - other.first(day);
            if is_set(&bitmaps.held, bit) {
                return SlotState::Held;
            }
            absent |= is_set(&bitmaps.absent, bit);
        }
        if absent { SlotState::Absent } else { SlotState::Missing }
    }

    /// Neighbouring slots of one state, in order.
    #[must_use]
    pub fn runs(&self, grid: Grid, slots: Range<i64>) -> Vec<(SlotState, Range<i64>)> {
        let mut runs: Vec<(SlotState, Range<i64>)> = Vec::new();
        for slot in slots {
            let state = self.state(grid, slot);
            match runs.last_mut() {
                Some((last, run)) if *last == state => run.end = slot + 1,
                _ => runs.push((state, slot..slot + 1)),
            }
        }
        runs
    }

    /// The runs of slots that are missing.
    #[must_use]
    pub fn missing(&self, grid: Grid, slots: Range<i64>) -> Vec<Range<i64>> {
        let runs = self.runs(grid, slots).into_iter();
        runs.filter(|(state, _)| *state == SlotState::Missing).map(|(_, run)| run).collect()
    }
}

/// A capture lies up to half a day beside its slot, and a local date up to 14 hours beside that of UTC.
const MARGIN: SignedDuration = SignedDuration::from_hours(48);

/// `span` with all days whose bitmaps may speak of it.
pub(super) fn around(span: Range<Timestamp>) -> Range<Timestamp> {
    let start = span.start.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
    start..span.end.checked_add(MARGIN).unwrap_or(Timestamp::MAX)
}

/// Days since 1970 that `span` touches.
pub(super) fn days(span: &Range<Timestamp>) -> RangeInclusive<i64> {
    span.start.as_second().div_euclid(86_400)..=span.end.as_second().div_euclid(86_400)
}

/// Adds the bits of `from` to `into`.
pub(super) fn unite(into: &mut Vec<u8>, from: &[u8]) {
    if into.len() < from.len() {
        into.resize(from.len(), 0);
    }
    into.iter_mut().zip(from).for_each(|(into, from)| *into |= from);
}

/// Sets a bit of a day's bitmap, which grows where it must.
pub(super) fn set(bits: &mut Vec<u8>, bit: i64) {
    let Ok(bit) = usize::try_from(bit) else { return };
    if bits.len() <= bit / 8 {
        bits.resize(bit / 8 + 1, 0);
    }
    if let Some(octet) = bits.get_mut(bit / 8) {
        *octet |= 1 << (bit % 8);
    }
}

fn is_set(bits: &[u8], bit: i64) -> bool {
    usize::try_from(bit).is_ok_and(|bit| bits.get(bit / 8).is_some_and(|octet| octet & (1 << (bit % 8)) != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(grid: Grid, held: &[i64], absent: &[i64]) -> Coverage {
        let mut coverage = Coverage::default();
        let bits = |slot: i64| {
            let mut bits = Vec::new();
            set(&mut bits, slot - grid.first(grid.day(slot)));
            bits
        };
        held.iter().for_each(|slot| coverage.add(grid.period_s(), grid.day(*slot), &bits(*slot), &[]));
        absent.iter().for_each(|slot| coverage.add(grid.period_s(), grid.day(*slot), &[], &bits(*slot)));
        coverage
    }

    #[test]
    fn runs_go_on_over_midnight_and_held_wins_over_absent() {
        let grid = Grid::new(900).unwrap();
        let coverage = of(grid, &[94, 95, 96, 99], &[97, 99]);
        let runs = coverage.runs(grid, 93..101);
        assert_eq!(
            runs,
            [
                (SlotState::Missing, 93..94),
                (SlotState::Held, 94..97),
                (SlotState::Absent, 97..98),
                (SlotState::Missing, 98..99),
                (SlotState::Held, 99..100),
                (SlotState::Missing, 100..101),
            ]
        );
        assert_eq!(coverage.missing(grid, 94..98), []);
    }

    #[test]
    fn captures_of_a_former_period_stand_for_those_of_the_present_one() {
        let (quarters, hours) = (Grid::new(900).unwrap(), Grid::new(3_600).unwrap());
        let coverage = of(hours, &[2], &[]);
        let first = |missing: Vec<Range<i64>>| (missing.len(), missing.into_iter().next());
        assert_eq!(
            first(coverage.missing(quarters, 4..9)),
            (1, Some(4..5)),
            "00:15 past one to two o'clock are in the hour"
        );
        let coverage = of(quarters, &[4, 5, 6, 7], &[]);
        assert_eq!(first(coverage.missing(hours, 1..3)), (1, Some(2..3)));
    }
}
