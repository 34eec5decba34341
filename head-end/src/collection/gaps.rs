//! What is missing of a profile.

use std::ops::Range;

use dlms::obis::ObisCode;
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    meter::MeterId,
    store::{Coverage, CoverageStore, Grid, ModelStore, SlotState, StoreError},
};

/// Neighbouring regular moments of a profile without captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First moment that is missing.
    pub from: Timestamp,
    /// Last moment that is missing.
    pub to: Timestamp,
    /// How many are.
    pub captures: u64,
    /// Whether the meter was asked and does not have them.
    pub absent: bool,
}

/// What is held and what is missing of a profile of a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapMap {
    /// Of which meter.
    pub meter: MeterId,
    /// Of which profile.
    pub profile: ObisCode,
    /// Capture period in seconds; 0 where it is not known or the profile has none: then there is nothing to compare
    /// with.
    pub period_s: u32,
    /// Regular moments in the time that was asked for.
    pub expected: u64,
    /// Those of them that are held.
    pub held: u64,
    /// Those that the meter does not have.
    pub absent: u64,
    /// Where there is none, in order.
    pub gaps: Vec<Gap>,
}

/// The gaps of a profile between two moments, by its capture period as it was read last.
pub(super) async fn map<S: CoverageStore + ModelStore>(
    store: &S,
    meter: &MeterId,
    profile: ObisCode,
    span: Range<Timestamp>,
    zone: &TimeZone,
) -> Result<GapMap, StoreError> {
    let layout = store.profile_layout(meter, profile).await?;
    let period_s = layout.map_or(0, |layout| layout.capture_period_s);
    let mut map = GapMap { meter: meter.clone(), profile, period_s, expected: 0, held: 0, absent: 0, gaps: Vec::new() };
    let Some(grid) = Grid::new(period_s) else { return Ok(map) };
    let coverage = store.coverage(meter, profile, span.clone()).await?;
    for (state, slots) in coverage.runs(grid, grid.slots(span, zone)) {
        let captures = count(&slots);
        map.expected += captures;
        match state {
            SlotState::Held => map.held += captures,
            SlotState::Absent | SlotState::Missing => {
                let absent = state == SlotState::Absent;
                map.absent += if absent { captures } else { 0 };
                let (from, to) = (grid.moment(slots.start, zone), grid.moment(slots.end - 1, zone));
                map.gaps.push(Gap { from, to, captures, absent });
            }
        }
    }
    Ok(map)
}

/// How many slots.
pub(super) fn count(slots: &Range<i64>) -> u64 {
    u64::try_from(slots.end - slots.start).unwrap_or_default()
}

/// Missing slots as few requests: neighbours that are near are asked for together with what lies between them, and no
/// request is for more than `longest`.
pub(super) fn requests(missing: &[Range<i64>], most: usize, longest: i64) -> Vec<Range<i64>> {
    let mut joined: Vec<Range<i64>> = missing.to_vec();
    while joined.len() > most.max(1) {
        let nearest = joined
            .windows(2)
            .enumerate()
            .min_by_key(|(_, pair)| match pair {
                [before, after] => after.start - before.end,
                _ => i64::MAX,
            })
            .map(|(index, _)| index);
        let Some(index) = nearest else { break };
        let after = joined.remove(index + 1);
        if let Some(before) = joined.get_mut(index) {
            before.end = after.end;
        }
    }
    let longest = longest.max(1);
    let split = |run: Range<i64>| {
        let mut start = run.start;
        std::iter::from_fn(move || {
            let part = start..run.end.min(start + longest);
            start = part.end;
            (!part.is_empty()).then_some(part)
        })
    };
    joined.into_iter().flat_map(split).collect()
}

/// The slots of `slots` that are missing still.
pub(super) fn still(coverage: &Coverage, grid: Grid, slots: &[Range<i64>]) -> Vec<Range<i64>> {
    slots.iter().flat_map(|run| coverage.missing(grid, run.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_that_are_near_are_one_request_and_long_ones_several() {
        let missing = [0..2, 4..5, 50..51, 53..60, 200..201];
        assert_eq!(requests(&missing, 8, 100), missing);
        assert_eq!(requests(&missing, 3, 100), [0..5, 50..60, 200..201]);
        let (whole, long) = (std::slice::from_ref(&(0..201)), std::slice::from_ref(&(0..25)));
        assert_eq!(requests(&missing, 0, 1_000), whole);
        assert_eq!(requests(long, 4, 10), [0..10, 10..20, 20..25]);
        assert_eq!(requests(&[], 4, 10), []);
    }
}
