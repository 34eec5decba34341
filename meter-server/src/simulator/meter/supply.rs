//! How a meter judges its supply: thresholds of voltage and of power failures, as clients write them, and the power
//! failures themselves.

use dlms::obis::ObisCode;

use super::Meter;
use crate::moment::Moment;
use crate::simulator::consumption::{Disturbance, Limit, Limits};
use crate::simulator::record::{Record, record};

/// Values that held before are remembered so often.
const ERAS_MAX: usize = 8;
/// Cuts of power that are remembered, apart from those of the seed.
const CUTS_MAX: usize = 16;
/// Seconds for which a clock goes on without power. Meters have their own figures; a week is a common one.
pub(super) const CLOCK_RESERVE_S: u32 = 7 * 86_400;
/// Seconds from which on a power failure is a long one, unless the model says otherwise.
const LONG_FAILURE_S: f64 = 180.0;

/// A value, and what held before: what has happened is told by what held then.
#[derive(Clone, Debug)]
pub(crate) struct Eras<T> {
    first: T,
    later: Vec<(Moment, T)>,
}

impl<T: PartialEq> Eras<T> {
    pub(crate) const fn new(first: T) -> Self {
        Self { first, later: Vec::new() }
    }

    /// What holds at a moment.
    pub(crate) fn at(&self, at: Moment) -> &T {
        let found = self.later.iter().rev().find(|(from, _)| *from <= at);
        found.map_or(&self.first, |(_, value)| value)
    }

    /// What holds now.
    pub(crate) fn last(&self) -> &T {
        self.later.last().map_or(&self.first, |(_, value)| value)
    }

    /// Another value from a moment on. Of many the oldest are forgotten, as if what came next had held before.
    pub(crate) fn set(&mut self, from: Moment, value: T) {
        if value == *self.last() {
            return;
        }
        match self.later.last_mut() {
            Some((known, last)) if *known == from => *last = value,
            _ => self.later.push((from, value)),
        }
        if self.later.len() > ERAS_MAX {
            self.first = self.later.remove(0).1;
        }
    }
}

impl<T: Record> Record for Eras<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.first.put(out);
        self.later.put(out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let (first, later) = (T::take(octets)?, Vec::take(octets)?);
        (later.len() <= ERAS_MAX).then_some(Self { first, later })
    }
}

/// What a client sets to have its supply judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitKind {
    SagVolts,
    SwellVolts,
    CutVolts,
    SagSeconds,
    SwellSeconds,
    CutSeconds,
    LongFailureSeconds,
}

impl LimitKind {
    /// The limit with this logical name.
    pub(crate) const fn from_code(code: ObisCode) -> Option<Self> {
        Some(match code.0 {
            [1, _, 12, 31, 0, _] => Self::SagVolts,
            [1, _, 12, 35, 0, _] => Self::SwellVolts,
            [1, _, 12, 39, 0, _] => Self::CutVolts,
            [1, _, 12, 43, 0, _] => Self::SagSeconds,
            [1, _, 12, 44, 0, _] => Self::SwellSeconds,
            [1, _, 12, 45, 0, _] => Self::CutSeconds,
            [0, _, 96, 7, 20, _] => Self::LongFailureSeconds,
            _ => return None,
        })
    }
}

/// All of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SupplyLimits {
    voltage: Limits,
    long_failure_s: f64,
}

impl SupplyLimits {
    /// Those of a model that names none.
    pub(crate) const fn of_nominal(volts: f64) -> Self {
        Self { voltage: Limits::of_nominal(volts), long_failure_s: LONG_FAILURE_S }
    }

    pub(crate) const fn set(&mut self, kind: LimitKind, value: f64) {
        let Limits { sag, swell, cut } = &mut self.voltage;
        *match kind {
            LimitKind::SagVolts => &mut sag.volts,
            LimitKind::SwellVolts => &mut swell.volts,
            LimitKind::CutVolts => &mut cut.volts,
            LimitKind::SagSeconds => &mut sag.seconds,
            LimitKind::SwellSeconds => &mut swell.seconds,
            LimitKind::CutSeconds => &mut cut.seconds,
            LimitKind::LongFailureSeconds => &mut self.long_failure_s,
        } = value;
    }
}

/// What a meter judges its supply by.
#[derive(Clone, Debug)]
pub(crate) struct Supply {
    nominal: f64,
    pub(super) limits: Eras<SupplyLimits>,
    /// Cuts that were not the seed's: when the power came back, and after how many seconds.
    pub(super) cuts: Vec<Failure>,
}

/// A loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) end: Moment,
    pub(crate) seconds: u32,
}

record! {
    Limit { volts, seconds }
    Limits { sag, swell, cut }
    SupplyLimits { voltage, long_failure_s }
    Failure { end, seconds }
}

impl Supply {
    pub(crate) const fn new(nominal: f64, limits: SupplyLimits) -> Self {
        Self { nominal, limits: Eras::new(limits), cuts: Vec::new() }
    }

    /// What the meter makes of a disturbance, and when it has found it.
    pub(crate) fn judge(&self, found: Disturbance) -> Option<(Disturbance, i64)> {
        self.limits.at(Moment::from_millis(found.start_ms)).voltage.judge(found, self.nominal)
    }

    fn is_long(&self, failure: Failure) -> bool {
        f64::from(failure.seconds) >= self.limits.at(failure.end).long_failure_s
    }
}

/// What a register tells of power failures in all phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureFigure {
    /// How many there were.
    Count,
    /// How many long ones there were.
    LongCount,
    /// Seconds that the last long one took.
    LastLong,
    /// Minutes of all of them.
    Total,
}

impl FailureFigure {
    /// The register with this logical name: of failures in all phases or in any, which is the same for a meter that is
    /// without power.
    pub(crate) const fn from_code(code: ObisCode) -> Option<Self> {
        Some(match code.0 {
            [0, _, 96, 7, 0 | 21, _] => Self::Count,
            [0, _, 96, 7, 5 | 9, _] => Self::LongCount,
            [0, _, 96, 7, 15 | 19, _] => Self::LastLong,
            [0, _, 94, 91, 8, _] => Self::Total,
            _ => return None,
        })
    }
}

impl Meter {
    /// A client has written a limit.
    pub(super) fn set_limit(&mut self, kind: LimitKind, value: f64, at: Moment) {
        let mut limits = *self.logs.supply().limits.last();
        limits.set(kind, value);
        self.logs.supply_mut().limits.set(at, limits);
        // What the seed lets happen may be an alarm from now on, or none any more.
        self.look_for_alarms(at);
    }

    /// The power was away for so many seconds, and comes back now.
    pub(super) fn cut_off(&mut self, seconds: u32, at: Moment) {
        let cuts = &mut self.logs.supply_mut().cuts;
        if cuts.len() >= CUTS_MAX {
            cuts.remove(0);
        }
        cuts.push(Failure { end: at, seconds });
    }

    /// Power failures that have ended by `at`, in order. It costs a look at every day since the meter is there.
    pub(super) fn failures(&self, at: Moment) -> Vec<Failure> {
        let mut failures = self.logs.seed_failures(at);
        failures.extend(self.logs.supply().cuts.iter().filter(|cut| cut.end <= at));
        failures.sort_by_key(|failure| failure.end);
        failures
    }

    /// The long ones among them.
    pub(super) fn long_failures(&self, at: Moment) -> Vec<Failure> {
        let mut failures = self.failures(at);
        failures.retain(|failure| self.logs.supply().is_long(*failure));
        failures
    }

    /// What a register of power failures shows.
    pub(super) fn failure_figure(&self, figure: FailureFigure, at: Moment) -> f64 {
        match figure {
            FailureFigure::Count => self.failures(at).len() as f64,
            FailureFigure::LongCount => self.long_failures(at).len() as f64,
            FailureFigure::LastLong => self.long_failures(at).last().map_or(0.0, |last| f64::from(last.seconds)),
            FailureFigure::Total => self.failures(at).iter().map(|failure| f64::from(failure.seconds) / 60.0).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_then_is_told_of_then() {
        let at = Moment::from_seconds;
        let mut eras = Eras::new(0);
        eras.set(at(10), 1);
        eras.set(at(10), 2);
        eras.set(at(20), 2);
        eras.set(at(30), 3);
        assert_eq!([5, 10, 29, 30, 99].map(|second| *eras.at(at(second))), [0, 2, 2, 3, 3]);
        assert_eq!((*eras.last(), eras.later.len()), (3, 2));
        for second in 40..100 {
            eras.set(at(second), second);
        }
        assert_eq!((eras.later.len(), *eras.at(at(0)), *eras.at(at(95))), (ERAS_MAX, 91, 95));
    }
}
