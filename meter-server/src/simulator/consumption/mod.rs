//! What flows through a simulated meter: a pure function of its seed and of time.
//!
//! Two curves, import and export, carry everything else: reactive energy follows from a power factor
//! per tariff rate, apparent energy from both, power is the slope of energy, current is apparent
//! power over voltage. So whatever a client reads agrees with whatever else it reads.

mod curve;
mod grid;
mod noise;
mod quantity;

use std::cell::Cell;
use std::sync::Arc;

use curve::Curve;
pub(crate) use curve::{DAY, Place, QUARTER, RATES, Shape};
pub(crate) use grid::{Grid, Phase};
pub(crate) use noise::Noise;
pub(crate) use quantity::Quantity;
use quantity::{EXPORT_TAN, IMPORT_TAN};

/// Milliseconds of a quarter of an hour.
const QUARTER_MS: i64 = QUARTER * 1000;

/// What the model says about the installation behind a meter.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    /// Consumption over day and year.
    pub(crate) import: Arc<Shape>,
    /// Watt-hours imported on an average day.
    pub(crate) import_daily_wh: f64,
    /// Consumption over day and year where there is generation: hours of generation import nothing.
    pub(crate) import_beside_generation: Arc<Shape>,
    /// Generation over day and year.
    pub(crate) export: Arc<Shape>,
    /// Watt-hours exported on an average day.
    pub(crate) export_daily_wh: f64,
    /// Part of the meters that have generation, from 0 to 1.
    pub(crate) generation_share: f64,
    /// Moment of installation, when all registers were zero: milliseconds since 1970-01-01 UTC.
    pub(crate) installed_ms: i64,
    /// Milliseconds from UTC to local standard time.
    pub(crate) standard_offset_ms: i64,
    /// Nominal voltage in volts.
    pub(crate) voltage: f64,
    /// Nominal frequency in hertz.
    pub(crate) frequency: f64,
}

/// A time during which nothing flowed, because the main switch was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interruption {
    from_ms: i64,
    /// `None` while it lasts.
    to_ms: Option<i64>,
}

/// Interruptions that one meter keeps apart. Beyond it the two oldest are told as one: a client that
/// works the switch all day must not make the simulator's memory grow.
const INTERRUPTIONS_MAX: usize = 256;

/// Watt-hours by rate, of import and export.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Flow {
    import: [f64; RATES],
    export: [f64; RATES],
}

impl Flow {
    fn combine(self, other: Self, sign: f64) -> Self {
        let add = |a: [f64; RATES], b: [f64; RATES]| std::array::from_fn(|rate| a[rate] + sign * b[rate]);
        Self { import: add(self.import, other.import), export: add(self.export, other.export) }
    }
}

/// The highest average power over a quarter of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maximum {
    /// In W, var or VA.
    pub(crate) power: i64,
    /// End of the quarter, milliseconds since 1970-01-01 UTC.
    pub(crate) end_ms: i64,
}

/// Everything measured by one simulated meter.
#[derive(Clone, Debug)]
pub(crate) struct Consumption {
    import: Curve,
    export: Curve,
    grid: Grid,
    standard_offset_ms: i64,
    installed_ms: i64,
    /// What the curves said at installation.
    origin: Flow,
    interruptions: Vec<Interruption>,
    /// The flow that was asked for last: the columns of a profile's row ask for the same moment.
    last: Cell<Option<(i64, Flow)>>,
}

impl Consumption {
    /// The consumption of the meter with `seed`.
    pub(crate) fn new(installation: &Installation, seed: u64) -> Self {
        let noise = Noise::new(seed);
        let individual = noise.stream(1);
        let generates = individual.unit(0) < installation.generation_share;
        let import_shape = if generates { &installation.import_beside_generation } else { &installation.import };
        let import_daily = installation.import_daily_wh * (0.5 + individual.unit(1));
        let export_daily = if generates { installation.export_daily_wh * (0.5 + individual.unit(2)) } else { 0.0 };
        let mut consumption = Self {
            import: Curve::new(Arc::clone(import_shape), import_daily, noise.stream(2)),
            export: Curve::new(Arc::clone(&installation.export), export_daily, noise.stream(3)),
            grid: Grid::new(installation.voltage, installation.frequency, noise.stream(4)),
            standard_offset_ms: installation.standard_offset_ms,
            installed_ms: installation.installed_ms,
            origin: Flow::default(),
            interruptions: Vec::new(),
            last: Cell::new(None),
        };
        consumption.origin = consumption.uninterrupted(installation.installed_ms);
        consumption
    }

    /// Moment of installation, milliseconds since 1970-01-01 UTC.
    pub(crate) const fn installed_ms(&self) -> i64 {
        self.installed_ms
    }

    /// The place of a moment of UTC on the curves.
    fn place(&self, at_ms: i64) -> Place {
        Place::at(at_ms.saturating_add(self.standard_offset_ms))
    }

    fn uninterrupted(&self, at_ms: i64) -> Flow {
        let place = self.place(at_ms);
        Flow { import: self.import.energy(place), export: self.export.energy(place) }
    }

    /// Watt-hours since installation.
    fn flow(&self, at_ms: i64) -> Flow {
        let at_ms = at_ms.max(self.installed_ms);
        if let Some((known_ms, flow)) = self.last.get()
            && known_ms == at_ms
        {
            return flow;
        }
        let mut flow = self.uninterrupted(at_ms).combine(self.origin, -1.0);
        for gap in self.interruptions.iter().filter(|gap| gap.from_ms < at_ms) {
            let end = gap.to_ms.map_or(at_ms, |to| to.min(at_ms));
            flow = flow.combine(self.uninterrupted(end), -1.0).combine(self.uninterrupted(gap.from_ms), 1.0);
        }
        self.last.set(Some((at_ms, flow)));
        flow
    }

    /// The energy register of `quantity` in Wh, varh or VAh; `rate` from 1 to 4, or 0 for the total, which is
    /// the sum of the rates' registers to the unit.
    pub(crate) fn energy(&self, quantity: Quantity, rate: u8, at_ms: i64) -> i64 {
        let flow = self.flow(at_ms);
        let of = |rate: usize| quantity.of(flow.import[rate], flow.export[rate], rate);
        match usize::from(rate) {
            0 => (0..RATES).map(of).sum(),
            rate if rate <= RATES => of(rate - 1),
            _ => 0,
        }
    }

    /// The tariff rate in force, from 1 to 4.
    pub(crate) fn rate(&self, at_ms: i64) -> u8 {
        u8::try_from(self.place(at_ms).rate() + 1).unwrap_or(1)
    }

    /// Whether nothing flows at this moment.
    fn interrupted(&self, at_ms: i64) -> bool {
        self.interruptions.iter().any(|gap| gap.from_ms <= at_ms && gap.to_ms.is_none_or(|to| at_ms < to))
    }

    /// Power of one phase in W, var or VA.
    pub(crate) fn phase_power(&self, quantity: Quantity, phase: Phase, at_ms: i64) -> i64 {
        if self.interrupted(at_ms) {
            return 0;
        }
        let place = self.place(at_ms);
        let share = self.grid.share(phase);
        quantity.of(self.import.power(place) * share, self.export.power(place) * share, place.rate())
    }

    /// Power of all phases in W, var or VA: the sum of the phases' values to the unit.
    pub(crate) fn power(&self, quantity: Quantity, at_ms: i64) -> i64 {
        Phase::ALL.iter().map(|phase| self.phase_power(quantity, *phase, at_ms)).sum()
    }

    /// Voltage of a phase in volts. It stays when the main switch is open: the meter is in front of it.
    pub(crate) fn voltage(&self, phase: Phase, at_ms: i64) -> f64 {
        self.grid.voltage(phase, at_ms)
    }

    /// Current of a phase in amperes.
    pub(crate) fn current(&self, phase: Phase, at_ms: i64) -> f64 {
        let apparent = self.phase_power(Quantity::ApparentImport, phase, at_ms)
            + self.phase_power(Quantity::ApparentExport, phase, at_ms);
        apparent as f64 / self.voltage(phase, at_ms)
    }

    /// Current in the neutral conductor in amperes, taking the phases a third of a turn apart.
    pub(crate) fn neutral_current(&self, at_ms: i64) -> f64 {
        let [a, b, c] = Phase::ALL.map(|phase| self.current(phase, at_ms));
        (a * a + b * b + c * c - a * b - b * c - c * a).max(0.0).sqrt()
    }

    /// Power factor: positive with import, negative with export, 1 when nothing flows.
    pub(crate) fn power_factor(&self, at_ms: i64) -> f64 {
        let place = self.place(at_ms);
        if self.interrupted(at_ms) {
            return 1.0;
        }
        let factor = |tan: f64| 1.0 / (1.0 + tan * tan).sqrt();
        if self.export.power(place) > self.import.power(place) {
            -factor(EXPORT_TAN[place.rate()])
        } else {
            factor(IMPORT_TAN[place.rate()])
        }
    }

    /// Frequency in hertz.
    pub(crate) fn frequency(&self, at_ms: i64) -> f64 {
        self.grid.frequency(at_ms)
    }

    /// Average power over a running quarter of an hour: the energy since its start over its whole length, so
    /// that it climbs from zero (class 5, `current_average_value`).
    pub(crate) fn running_average(&self, quantity: Quantity, at_ms: i64) -> i64 {
        let start = at_ms - at_ms.rem_euclid(QUARTER_MS);
        self.average(quantity, start, at_ms)
    }

    /// Average power over the last whole quarter of an hour.
    pub(crate) fn last_average(&self, quantity: Quantity, at_ms: i64) -> i64 {
        let end = at_ms - at_ms.rem_euclid(QUARTER_MS);
        self.average(quantity, end - QUARTER_MS, end)
    }

    fn average(&self, quantity: Quantity, from_ms: i64, to_ms: i64) -> i64 {
        let flow = self.flow(to_ms).combine(self.flow(from_ms), -1.0);
        let per_hour = (3_600_000 / QUARTER_MS) as f64;
        (0..RATES).map(|rate| quantity.of(flow.import[rate] * per_hour, flow.export[rate] * per_hour, rate)).sum()
    }

    /// The highest quarter-hour average from `from_ms` to `to_ms`, of one rate (1 to 4) or of all (0);
    /// `None` when no quarter ended in that time.
    pub(crate) fn maximum(&self, quantity: Quantity, rate: u8, from_ms: i64, to_ms: i64) -> Option<Maximum> {
        let offset = self.standard_offset_ms;
        let first = (from_ms.max(self.installed_ms) + offset).div_euclid(QUARTER_MS);
        let end = (to_ms + offset).div_euclid(QUARTER_MS);
        let mut best: Option<Maximum> = None;
        let per_day = DAY / QUARTER;
        for day in first.div_euclid(per_day)..=end.div_euclid(per_day) {
            let (import, export) = (self.import.quarters(day), self.export.quarters(day));
            for (number, (import, export)) in import.iter().zip(export).enumerate() {
                let index = day * per_day + i64::try_from(number).unwrap_or(0);
                let of_rate = curve::rate_of(number);
                if index < first || index >= end || (rate != 0 && of_rate + 1 != usize::from(rate)) {
                    continue;
                }
                let start_ms = index * QUARTER_MS - offset;
                let power = if self.disturbed(start_ms) {
                    self.average(quantity, start_ms, start_ms + QUARTER_MS)
                } else {
                    quantity.of(import * 4.0, export * 4.0, of_rate)
                };
                if best.is_none_or(|best| power > best.power) {
                    best = Some(Maximum { power, end_ms: start_ms + QUARTER_MS });
                }
            }
        }
        best
    }

    /// Whether an interruption touches the quarter that starts at `start_ms`.
    fn disturbed(&self, start_ms: i64) -> bool {
        let end_ms = start_ms + QUARTER_MS;
        self.interruptions.iter().any(|gap| gap.from_ms < end_ms && gap.to_ms.is_none_or(|to| to > start_ms))
    }

    /// The main switch opened (`connected` false) or closed at `at_ms`.
    pub(crate) fn switched(&mut self, connected: bool, at_ms: i64) {
        self.last.set(None);
        let open = self.interruptions.last_mut().filter(|gap| gap.to_ms.is_none());
        match (open, connected) {
            (Some(gap), true) => gap.to_ms = Some(at_ms.max(gap.from_ms)),
            (None, false) => {
                if self.interruptions.len() >= INTERRUPTIONS_MAX {
                    let oldest = self.interruptions.remove(0);
                    if let Some(next) = self.interruptions.first_mut() {
                        next.from_ms = oldest.from_ms;
                    }
                }
                self.interruptions.push(Interruption { from_ms: at_ms, to_ms: None });
            }
            (Some(_), false) | (None, true) => {}
        }
    }
}

#[cfg(test)]
mod tests;
