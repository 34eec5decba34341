//! Ten-minute values on the clock.

use super::PHASES;
use super::interval::Interval;
use crate::moment::Moment;

/// Values of a period of the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aggregate {
    /// The end of the period.
    pub end: Moment,
    /// Intervals in it; 3000 make up ten minutes.
    pub intervals: u32,
    /// Root of the mean of squares of the intervals' voltages.
    pub voltage: [f64; PHASES],
    /// The lowest of the intervals' voltages.
    pub voltage_min: [f64; PHASES],
    /// The highest of the intervals' voltages.
    pub voltage_max: [f64; PHASES],
    /// Root of the mean of squares of the intervals' currents.
    pub current: [f64; PHASES],
    /// Mean frequency, of the intervals that have one.
    pub frequency: Option<f64>,
    /// Mean active power of all phases in watts.
    pub active_power: f64,
    /// Whether a dip or swell touched any interval.
    pub disturbed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    /// Number of the period since 1970.
    period: i64,
    intervals: u32,
    voltage: [f64; PHASES],
    lowest: [f64; PHASES],
    highest: [f64; PHASES],
    current: [f64; PHASES],
    frequency: (f64, u32),
    active_power: f64,
    disturbed: bool,
}

impl Running {
    const fn new(period: i64) -> Self {
        Self {
            period,
            intervals: 0,
            voltage: [0.0; PHASES],
            lowest: [f64::INFINITY; PHASES],
            highest: [0.0; PHASES],
            current: [0.0; PHASES],
            frequency: (0.0, 0),
            active_power: 0.0,
            disturbed: false,
        }
    }

    fn add(&mut self, interval: &Interval) {
        self.intervals = self.intervals.saturating_add(1);
        for (index, values) in interval.phases.iter().enumerate() {
            let add = |sums: &mut [f64; PHASES], value: f64| {
                if let Some(sum) = sums.get_mut(index) {
                    *sum += value * value;
                }
            };
            add(&mut self.voltage, values.voltage);
            add(&mut self.current, values.current);
            if let Some(lowest) = self.lowest.get_mut(index) {
                *lowest = lowest.min(values.voltage);
            }
            if let Some(highest) = self.highest.get_mut(index) {
                *highest = highest.max(values.voltage);
            }
        }
        if let Some(frequency) = interval.frequency {
            self.frequency = (self.frequency.0 + frequency, self.frequency.1.saturating_add(1));
        }
        self.active_power += interval.active_power();
        self.disturbed |= interval.disturbed;
    }

    fn finish(&self, period_ms: i64) -> Aggregate {
        let count = f64::from(self.intervals.max(1));
        let root = |sums: [f64; PHASES]| sums.map(|sum| libm::sqrt(sum / count));
        let (frequency, measured) = self.frequency;
        Aggregate {
            end: Moment::from_millis(self.period.saturating_add(1).saturating_mul(period_ms)),
            intervals: self.intervals,
            voltage: root(self.voltage),
            voltage_min: self.lowest,
            voltage_max: self.highest,
            current: root(self.current),
            frequency: (measured > 0).then(|| frequency / f64::from(measured)),
            active_power: self.active_power / count,
            disturbed: self.disturbed,
        }
    }
}

/// Gathers intervals into periods that begin at multiples of their length since 1970 (UTC), as tens of minutes of any
/// time zone do.
///
/// An interval belongs to the period in which it ends. The first and the last period after a start, or around a change
/// of the clock, have fewer intervals, as [`Aggregate::intervals`] tells.
#[derive(Clone, Copy, Debug)]
pub struct Aggregator {
    period_ms: i64,
    running: Option<Running>,
}

impl Aggregator {
    /// Periods of `seconds`, 600 for ten minutes; at least one.
    #[must_use]
    pub fn new(seconds: u32) -> Self {
        Self { period_ms: i64::from(seconds.max(1)).saturating_mul(1000), running: None }
    }

    /// Adds an interval that ended at `end`; returns the period that it is the first one behind.
    pub fn add(&mut self, interval: &Interval, end: Moment) -> Option<Aggregate> {
        // What ends with the period's last instant belongs to it.
        let period = end.as_millis().saturating_sub(1).div_euclid(self.period_ms);
        let finished = self.running.take_if(|running| running.period != period);
        self.running.get_or_insert(Running::new(period)).add(interval);
        finished.map(|running| running.finish(self.period_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metering::PhaseValues;

    #[test]
    fn periods_are_those_of_the_clock() {
        let mut aggregator = Aggregator::new(600);
        let start = 1_700_000_400_000 - 400;
        assert_eq!((start + 400) % 600_000, 0);
        let mut periods = Vec::new();
        for number in 0..6_010_u32 {
            let voltage = if number % 2 == 0 { 220.0 } else { 240.0 };
            let phase = PhaseValues { voltage, current: 2.0, active_power: 100.0, ..PhaseValues::default() };
            let interval = Interval {
                end_sample: 0,
                frequency: (number % 4 == 0).then_some(50.0),
                phases: [phase; 3],
                disturbed: number == 4_000,
            };
            let end = Moment::from_millis(start + 200 * (i64::from(number) + 1));
            periods.extend(aggregator.add(&interval, end));
        }
        let shown: Vec<_> = periods.iter().map(|period| (period.end.as_millis() - start, period.intervals)).collect();
        assert_eq!(shown, [(400, 2), (600_400, 3000), (1_200_400, 3000)]);
        let whole = periods[1];
        assert!((whole.voltage[0] - (220.0_f64.powi(2) / 2.0 + 240.0_f64.powi(2) / 2.0).sqrt()).abs() < 1e-9);
        assert_eq!((whole.voltage_min[1], whole.voltage_max[2]), (220.0, 240.0));
        assert!((whole.current[0] - 2.0).abs() < 1e-9 && (whole.active_power - 300.0).abs() < 1e-9);
        assert_eq!(whole.frequency, Some(50.0));
        assert_eq!(periods.iter().map(|period| period.disturbed).collect::<Vec<_>>(), [false, false, true]);
    }
}
