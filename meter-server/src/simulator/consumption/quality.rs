//! Dips, swells and losses of single phases at one meter: a pure function of its seed and of time.
//!
//! They are what the voltage shows meanwhile. What the power quality log and the alarms tell of them, and the counters of
//! value groups D = 32 to 42, is what the meter finds with its [`Limits`].

use super::Phase;
use super::noise::Noise;

/// Milliseconds of a day of UTC; one phase is disturbed once in it at most.
const DAY_MS: i64 = 86_400_000;

/// What is wrong with a voltage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DisturbanceKind {
    /// Too low (D = 32 to 34).
    Sag,
    /// Too high (D = 36 to 38).
    Swell,
    /// Away (D = 40 to 42).
    Cut,
}

/// A voltage that was disturbed for some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Disturbance {
    pub(crate) kind: DisturbanceKind,
    pub(crate) phase: Phase,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// What is left of the nominal voltage.
    pub(crate) level: f64,
}

/// From which voltage on, and after how long, a meter takes it for disturbed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) volts: f64,
    pub(crate) seconds: f64,
}

/// The thresholds 1.b.12.{31,35,39} and the times 1.b.12.{43,44,45}.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Undervoltage below it.
    pub(crate) sag: Limit,
    /// Overvoltage above it.
    pub(crate) swell: Limit,
    /// Missing voltage below it.
    pub(crate) cut: Limit,
}

impl Limits {
    /// Those of a meter whose model names none: a tenth up and down as EN 50160 has it, and half for a voltage that is away.
    pub(crate) const fn of_nominal(volts: f64) -> Self {
        Self {
            sag: Limit { volts: volts * 0.9, seconds: 0.0 },
            swell: Limit { volts: volts * 1.1, seconds: 0.0 },
            cut: Limit { volts: volts * 0.5, seconds: 0.0 },
        }
    }

    /// What a meter makes of a disturbance, and when it has found it: after its time. `None` for nothing.
    pub(crate) fn judge(&self, found: Disturbance, nominal: f64) -> Option<(Disturbance, i64)> {
        let volts = found.level * nominal;
        let (kind, limit) = match volts {
            _ if volts < self.cut.volts => (DisturbanceKind::Cut, self.cut),
            _ if volts < self.sag.volts => (DisturbanceKind::Sag, self.sag),
            _ if volts > self.swell.volts => (DisturbanceKind::Swell, self.swell),
            _ => return None,
        };
        let noticed_ms = found.start_ms.saturating_add((limit.seconds * 1000.0) as i64);
        (noticed_ms <= found.end_ms).then_some((Disturbance { kind, ..found }, noticed_ms))
    }
}

/// What a register tells of the disturbances of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// How many have ended.
    Count,
    /// Seconds that the last one took.
    Duration,
    /// Volts of the last one: the lowest, or for a swell the highest.
    Magnitude,
}

/// The disturbances of one meter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality(Noise);

impl Quality {
    /// Those of the meter with `seed`.
    pub(crate) const fn of_seed(seed: u64) -> Self {
        Self::new(Noise::new(seed).stream(100).stream(2).stream(4))
    }

    /// Those of a stream of noise.
    pub(crate) const fn new(noise: Noise) -> Self {
        Self(noise)
    }

    /// The disturbance that begins on a day (since 1970, UTC), if there is one: on twenty days of a year.
    pub(crate) fn of_day(self, day: i64) -> Option<Disturbance> {
        let chance = self.0.unit(day);
        let (kind, longest_s, levels) = match chance {
            ..0.03 => (DisturbanceKind::Sag, 120.0, (0.52, 0.88)),
            ..0.05 => (DisturbanceKind::Swell, 120.0, (1.11, 1.18)),
            ..0.055 => (DisturbanceKind::Cut, 900.0, (0.0, 0.03)),
            _ => return None,
        };
        let part = |stream: u64| self.0.stream(stream).unit(day);
        let phase = Phase::ALL[((part(9) * 3.0) as usize).min(2)];
        let start_ms = day * DAY_MS + (part(7) * 80_000.0) as i64 * 1000;
        let end_ms = start_ms + (10 + (part(8) * longest_s) as i64) * 1000;
        let level = levels.0 + (levels.1 - levels.0) * part(10);
        Some(Disturbance { kind, phase, start_ms, end_ms, level })
    }

    /// The disturbance at a moment. None of them goes on past midnight.
    pub(crate) fn at(self, at_ms: i64) -> Option<Disturbance> {
        let of_day = self.of_day(at_ms.div_euclid(DAY_MS))?;
        (of_day.start_ms..of_day.end_ms).contains(&at_ms).then_some(of_day)
    }

    /// What a register shows at `at_ms` about a kind of disturbance of a phase, counted from `since_ms` on, where the
    /// nominal voltage is `nominal` and `judge` says what the meter makes of each. It costs a look at every day since.
    pub(crate) fn figure(
        self,
        kind: DisturbanceKind,
        phase: Phase,
        figure: Figure,
        nominal: f64,
        (since_ms, at_ms): (i64, i64),
        judge: impl Fn(Disturbance) -> Option<Disturbance>,
    ) -> f64 {
        let days = since_ms.div_euclid(DAY_MS)..=at_ms.div_euclid(DAY_MS);
        let mut found = days.filter_map(|day| self.of_day(day).and_then(&judge)).filter(|disturbance| {
            let in_time = disturbance.start_ms >= since_ms && disturbance.end_ms <= at_ms;
            in_time && (disturbance.kind, disturbance.phase) == (kind, phase)
        });
        match figure {
            Figure::Count => found.count() as f64,
            Figure::Duration => found.next_back().map_or(0.0, |last| (last.end_ms - last.start_ms) as f64 / 1000.0),
            Figure::Magnitude => found.next_back().map_or(0.0, |last| last.level * nominal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_count_what_has_ended_and_tell_the_last() {
        let quality = Quality::of_seed(11);
        let since = 19_000 * DAY_MS;
        let all: Vec<_> = (19_000..20_000).filter_map(|day| quality.of_day(day)).collect();
        assert!((30..90).contains(&all.len()), "{}", all.len());
        for kind in [DisturbanceKind::Sag, DisturbanceKind::Swell] {
            for phase in Phase::ALL {
                let figure = |figure, at| quality.figure(kind, phase, figure, 230.0, (since, at), Some);
                assert_eq!(figure(Figure::Count, since), 0.0);
                assert_eq!(figure(Figure::Magnitude, since), 0.0);
                let own = all.iter().filter(|disturbance| (disturbance.kind, disturbance.phase) == (kind, phase));
                for (number, disturbance) in own.enumerate() {
                    let Disturbance { start_ms, end_ms, level, .. } = *disturbance;
                    assert_eq!(figure(Figure::Count, end_ms - 1), number as f64);
                    assert_eq!(figure(Figure::Count, end_ms), number as f64 + 1.0);
                    assert_eq!(figure(Figure::Duration, end_ms), (end_ms - start_ms) as f64 / 1000.0);
                    assert!((figure(Figure::Magnitude, end_ms) - 230.0 * level).abs() < 1e-9);
                    assert_eq!(quality.at(start_ms), Some(*disturbance));
                    assert_eq!(quality.at(start_ms - 1), None);
                    assert_eq!(quality.at(end_ms), None);
                    assert!((0.3..1.2).contains(&level) && !(0.9..1.1).contains(&level));
                    assert_eq!(start_ms.div_euclid(DAY_MS), end_ms.div_euclid(DAY_MS));
                }
            }
        }
    }
}
