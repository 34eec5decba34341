//! What flows through a simulated meter: a pure function of its seed and of time.
//!
//! Two curves, import and export, carry everything else: reactive energy follows from a power factor by
//! part of the day, apparent energy from both, power is the slope of energy, current is apparent
//! power over voltage. So whatever a client reads agrees with whatever else it reads. Which tariff rate a quarter
//! of an hour belongs to is up to the meter's calendar: see [`tariff`].

mod curve;
mod customer;
mod flow;
mod grid;
mod noise;
mod quality;
mod quantity;
mod shape;
mod solar;
pub(crate) mod tariff;

use std::cell::RefCell;
use std::sync::Arc;

use curve::{Curve, Place, QUARTERS, risen, slope};
pub(crate) use curve::{DAY, QUARTER, RATES};
pub(crate) use customer::{Customer, CustomerKind};
use flow::{BANDS, Flow, band};
pub(crate) use grid::{Grid, Phase};
pub(crate) use noise::Noise;
pub(crate) use quality::{Disturbance, DisturbanceKind, Figure, Limit, Limits, Quality};
use quantity::Active;
pub(crate) use quantity::{Quantity, Tangents};
pub(crate) use shape::{Irregularity, Shape};
use tariff::{SINGLE, Tariff};

use super::record::record;

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
    /// Watt-hours imported on an average day where there is generation.
    pub(crate) import_beside_generation_daily_wh: f64,
    /// Generation over day and year, less what is used at once.
    pub(crate) export: Arc<Shape>,
    /// Watt-hours exported on an average day.
    pub(crate) export_daily_wh: f64,
    /// Part of the meters that have generation, from 0 to 1.
    pub(crate) generation_share: f64,
    /// How meters differ from the average.
    pub(crate) spread: Spread,
    /// Moment of installation, when all registers were zero: milliseconds since 1970-01-01 UTC.
    pub(crate) installed_ms: i64,
    /// Milliseconds from UTC to local standard time.
    pub(crate) standard_offset_ms: i64,
    /// Nominal voltage in volts.
    pub(crate) voltage: f64,
    /// Nominal frequency in hertz.
    pub(crate) frequency: f64,
    /// Whether there is one phase only.
    pub(crate) single_phase: bool,
    /// Phase angles.
    pub(crate) tangents: Tangents,
}

/// How the consumption of single meters differs from the average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spread {
    /// Evenly, from half to one and a half times the average.
    Even,
    /// Logarithms have about this standard deviation: some have several times the average.
    Logarithmic(f64),
}

impl Spread {
    /// The factor of one meter, of a mean of 1 over all.
    fn factor(self, individual: Noise, index: i64) -> f64 {
        match self {
            Self::Even => 0.5 + individual.unit(index),
            Self::Logarithmic(deviation) => {
                // The sum of three even numbers is as good as normal, and has no far ends.
                let normal: f64 = (0..3).map(|part| individual.stream(50).signed(index * 3 + part)).sum();
                (deviation * normal - deviation * deviation / 2.0).exp()
            }
        }
    }
}

/// The weather is the same for all meters.
const WEATHER: Noise = Noise::new(0x5EA5_0115);

/// A time during which nothing flowed, because the main switch was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interruption {
    from_ms: i64,
    /// `None` while it lasts.
    to_ms: Option<i64>,
}

record! {
    Interruption { from_ms, to_ms }
    Settled { until_ms, flow }
    Past { interruptions, settled }
}

/// Interruptions that one meter keeps apart. Beyond it the two oldest are told as one: a client that
/// works the switch all day must not make the simulator's memory grow.
const INTERRUPTIONS_MAX: usize = 256;

/// The highest average power over a quarter of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maximum {
    /// In W, var or VA.
    pub(crate) power: i64,
    /// End of the quarter, milliseconds since 1970-01-01 UTC.
    pub(crate) end_ms: i64,
}

/// Days that a read may be away from the one before it for the days in between to be walked.
const DAYS_WALKED: i64 = 10;

/// What was worked out last.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    /// The flow that was asked for last: the columns of a profile's row ask for the same moment, and the next row is
    /// not far from it.
    at_ms: i64,
    flow: Flow,
}

/// What had flowed until a moment. What came before is known as this sum alone: which rate which part of it had is told by
/// its shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) until_ms: i64,
    pub(crate) flow: Flow,
}

/// What of the past does not follow from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    interruptions: Vec<Interruption>,
    settled: Option<Box<Settled>>,
}

/// Everything measured by one simulated meter.
#[derive(Clone, Debug)]
pub(crate) struct Consumption {
    import: Curve,
    export: Curve,
    tangents: Tangents,
    quality: Quality,
    grid: Grid,
    standard_offset_ms: i64,
    installed_ms: i64,
    interruptions: Vec<Interruption>,
    /// Where the past is told as a sum.
    settled: Option<Box<Settled>>,
    /// Nothing is kept for a meter that nobody asked.
    remembered: RefCell<Option<Box<Remembered>>>,
}

impl Consumption {
    /// The consumption of the meter with `seed`.
    pub(crate) fn new(installation: &Installation, seed: u64) -> Self {
        let (noise, quality) = (Noise::new(seed), Quality::of_seed(seed));
        let individual = noise.stream(1);
        let generates = individual.unit(0) < installation.generation_share;
        let (import_shape, import_daily) = if generates {
            (&installation.import_beside_generation, installation.import_beside_generation_daily_wh)
        } else {
            (&installation.import, installation.import_daily_wh)
        };
        let import_daily = import_daily * installation.spread.factor(individual, 1);
        let export_daily =
            if generates { installation.export_daily_wh * Spread::Even.factor(individual, 2) } else { 0.0 };
        let (load, generation) = (noise.stream(2), noise.stream(3));
        Self {
            import: Curve::new(Arc::clone(import_shape), import_daily, load, load),
            export: Curve::new(Arc::clone(&installation.export), export_daily, WEATHER, generation),
            tangents: installation.tangents,
            quality,
            grid: Grid::new(
                installation.voltage,
                installation.frequency,
                installation.single_phase,
                noise.stream(4),
                quality,
            ),
            standard_offset_ms: installation.standard_offset_ms,
            installed_ms: installation.installed_ms,
            interruptions: Vec::new(),
            settled: None,
            remembered: RefCell::new(None),
        }
    }

    /// Gives up what is kept to answer the next question faster.
    pub(crate) fn rest(&mut self) {
        *self.remembered.get_mut() = None;
    }

    /// Moment of installation, milliseconds since 1970-01-01 UTC.
    pub(crate) const fn installed_ms(&self) -> i64 {
        self.installed_ms
    }

    /// The place of a moment of UTC on the curves.
    fn place(&self, at_ms: i64) -> Place {
        Place::at(at_ms.saturating_add(self.standard_offset_ms))
    }

    /// What would flow from one place to a later one of the same day. Only the quarters in between are worked out.
    fn within(&self, from: Place, to: Place, tariff: &dyn Tariff) -> Flow {
        let mut flow = Flow::default();
        // Where the place is the start of a quarter, nothing of it counts.
        let end = to.quarter + usize::from(to.passed > 0.0);
        if from.quarter >= end {
            return flow;
        }
        let (import, export) = (self.import.of_day(to.day), self.export.of_day(to.day));
        let rates = tariff.span(to.day).week[tariff::weekday(to.day)];
        for (quarter, rate) in rates.iter().enumerate().take(end).skip(from.quarter) {
            let (import, export) = (import(quarter), export(quarter));
            let split = Split::of(import, export);
            let until = |place: Place| {
                let part = |energy: i64, passed: f64| (energy as f64 * risen(passed)).round() as i64;
                (part(import, split.import(place.passed)), part(export, split.export(place.passed)))
            };
            let (before_import, before_export) = if quarter == from.quarter { until(from) } else { (0, 0) };
            let (import, export) = if quarter == to.quarter { until(to) } else { (import, export) };
            let rate = usize::from(*rate).min(RATES - 1);
            flow.import[rate][band(quarter)] += import - before_import;
            flow.export[rate][band(quarter)] += export - before_export;
        }
        flow
    }

    /// What would flow without interruptions.
    fn between(&self, from_ms: i64, to_ms: i64, tariff: &dyn Tariff) -> Flow {
        let (from, to) = (self.place(from_ms), self.place(to_ms));
        if from.day == to.day {
            return self.within(from, to, tariff);
        }
        let mut flow = self.within(Place::start_of(to.day, 0), to, tariff);
        let mut whole_days = from.day;
        if from != Place::start_of(from.day, 0) {
            flow.add(&self.within(from, Place::start_of(from.day, QUARTERS), tariff));
            whole_days += 1;
        }
        flow.add_days(&self.import, &self.export, whole_days, to.day, tariff);
        flow
    }

    /// Takes the interruptions off what would flow from `from_ms` to `to_ms`.
    fn interrupt(&self, flow: &mut Flow, from_ms: i64, to_ms: i64, tariff: &dyn Tariff) {
        for gap in &self.interruptions {
            let (start, end) = (gap.from_ms.max(from_ms), gap.to_ms.map_or(to_ms, |to| to.min(to_ms)));
            if start < end {
                flow.subtract(&self.between(start, end, tariff));
            }
        }
    }

    /// What flows from one moment to a later one.
    fn flowed(&self, from_ms: i64, to_ms: i64, tariff: &dyn Tariff) -> Flow {
        let mut flow = self.between(from_ms, to_ms, tariff);
        self.interrupt(&mut flow, from_ms, to_ms, tariff);
        flow
    }

    /// Milliwatt-hours since installation.
    fn flow(&self, at_ms: i64, tariff: &dyn Tariff) -> Flow {
        let at_ms = at_ms.max(self.installed_ms);
        let (base_ms, base) = match self.settled.as_deref() {
            None => (self.installed_ms, Flow::default()),
            Some(settled) if at_ms < settled.until_ms => return self.share(settled, at_ms),
            Some(settled) => (settled.until_ms, settled.flow),
        };
        let near = |known: &Remembered| (at_ms - known.at_ms).abs() <= DAYS_WALKED * DAY * 1000;
        let known = self.remembered.borrow().as_deref().filter(|known| near(known)).copied();
        let flow = match known {
            Some(known) if known.at_ms == at_ms => return known.flow,
            Some(known) => {
                let mut flow = known.flow;
                if known.at_ms < at_ms {
                    flow.add(&self.flowed(known.at_ms, at_ms, tariff));
                } else {
                    flow.subtract(&self.flowed(at_ms, known.at_ms, tariff));
                }
                flow
            }
            None => {
                let mut flow = base;
                flow.add(&self.flowed(base_ms, at_ms, tariff));
                flow
            }
        };
        let now = Remembered { at_ms, flow };
        match &mut *self.remembered.borrow_mut() {
            Some(known) => **known = now,
            nothing => *nothing = Some(Box::new(now)),
        }
        flow
    }

    /// What had flowed until a moment before the one that is told as a sum: the same share of each rate.
    fn share(&self, settled: &Settled, at_ms: i64) -> Flow {
        let (part, whole) = (
            self.between(self.installed_ms, at_ms, &SINGLE),
            self.between(self.installed_ms, settled.until_ms, &SINGLE),
        );
        let mut flow = settled.flow;
        flow.scale(&part, &whole);
        flow
    }

    /// What has flowed until a moment, to be [`settle`](Self::settle)d.
    pub(crate) fn settled(&self, until_ms: i64, tariff: &dyn Tariff) -> Settled {
        Settled { until_ms: until_ms.max(self.installed_ms), flow: self.flow(until_ms, tariff) }
    }

    /// From now on the past until a moment is told as a sum: rates and interruptions of that time need not be known any
    /// more. Registers never run backwards by it.
    pub(crate) fn settle(&mut self, settled: Settled) {
        self.interruptions.retain(|gap| gap.to_ms.is_none_or(|to| to > settled.until_ms));
        self.settled = Some(Box::new(settled));
        self.forget();
    }

    /// What of the past does not follow from the seed.
    pub(crate) fn past(&self) -> Past {
        Past { interruptions: self.interruptions.clone(), settled: self.settled.clone() }
    }

    /// The past of a meter that goes on after a restart.
    pub(crate) fn set_past(&mut self, past: Past) {
        (self.interruptions, self.settled) = (past.interruptions, past.settled);
        self.forget();
    }

    /// Forgets what was worked out: the calendar would now say something else about a day that has begun.
    pub(crate) fn forget(&self) {
        *self.remembered.borrow_mut() = None;
    }

    /// A quantity of one rate's energy, in whole units.
    fn of_rate(&self, quantity: Quantity, flow: &Flow, rate: usize) -> i64 {
        let watt_hours = |sums: [i64; BANDS]| sums.map(|sum| sum as f64 / 1000.0);
        let active = Active { import: watt_hours(flow.import[rate]), export: watt_hours(flow.export[rate]) };
        quantity.of(&active, &self.tangents)
    }

    /// The energy register of `quantity` in Wh, varh or VAh; `rate` from 1 to [`RATES`], or 0 for the total, which is
    /// the sum of the rates' registers to the unit.
    ///
    /// `tariff` is the meter's calendar, the same one at each call: see [`tariff`] and [`forget`](Self::forget).
    pub(crate) fn energy(&self, quantity: Quantity, rate: u8, at_ms: i64, tariff: &dyn Tariff) -> i64 {
        let flow = self.flow(at_ms, tariff);
        match usize::from(rate) {
            0 => (0..RATES).map(|rate| self.of_rate(quantity, &flow, rate)).sum(),
            rate if rate <= RATES => self.of_rate(quantity, &flow, rate - 1),
            _ => 0,
        }
    }

    /// The tariff rate in force, from 1 to [`RATES`].
    pub(crate) fn rate(&self, at_ms: i64, tariff: &dyn Tariff) -> u8 {
        let place = self.place(at_ms);
        u8::try_from(tariff.rate(place.day, place.quarter) + 1).unwrap_or(1)
    }

    /// Watts imported and exported at a place of the curves.
    fn active_power(&self, place: Place) -> (f64, f64) {
        let (import, export) =
            (self.import.quarter(place.day, place.quarter), self.export.quarter(place.day, place.quarter));
        let split = Split::of(import, export);
        // Milliwatt-hours of a quarter of an hour are four milliwatts each.
        let power = |energy: i64, part: f64, length: f64| {
            if (0.0..1.0).contains(&part) { energy as f64 * 0.004 * slope(part) / length } else { 0.0 }
        };
        (
            power(import, split.import_part(place.passed), split.0),
            power(export, split.export_part(place.passed), 1.0 - split.0),
        )
    }

    /// Whether nothing flows at this moment.
    fn interrupted(&self, at_ms: i64) -> bool {
        self.interruptions.iter().any(|gap| gap.from_ms <= at_ms && gap.to_ms.is_none_or(|to| at_ms < to))
    }

    /// Watts imported and exported now, and the part of the day that it is; `None` while the main switch is open.
    fn active(&self, at_ms: i64) -> Option<(f64, f64, usize)> {
        let place = self.place(at_ms);
        (!self.interrupted(at_ms)).then(|| {
            let (import, export) = self.active_power(place);
            (import, export, band(place.quarter))
        })
    }

    /// The part of a power in W, var or VA that one phase has.
    fn of_phase(&self, quantity: Quantity, phase: Phase, at_ms: i64, (import, export, band): (f64, f64, usize)) -> i64 {
        let share = self.grid.share(phase, at_ms);
        quantity.of(&Active::in_band(band, import * share, export * share), &self.tangents)
    }

    /// Power of one phase in W, var or VA.
    pub(crate) fn phase_power(&self, quantity: Quantity, phase: Phase, at_ms: i64) -> i64 {
        self.active(at_ms).map_or(0, |active| self.of_phase(quantity, phase, at_ms, active))
    }

    /// Power of all phases in W, var or VA: the sum of the phases' values to the unit.
    pub(crate) fn power(&self, quantity: Quantity, at_ms: i64) -> i64 {
        let Some(active) = self.active(at_ms) else { return 0 };
        Phase::ALL.iter().map(|phase| self.of_phase(quantity, *phase, at_ms, active)).sum()
    }

    /// Voltage of a phase in volts. It stays when the main switch is open: the meter is in front of it.
    pub(crate) fn voltage(&self, phase: Phase, at_ms: i64) -> f64 {
        self.grid.voltage(phase, at_ms)
    }

    /// Current of a phase in amperes.
    pub(crate) fn current(&self, phase: Phase, at_ms: i64) -> f64 {
        let both = [Quantity::ApparentImport, Quantity::ApparentExport];
        let apparent: i64 = self
            .active(at_ms)
            .map_or(0, |active| both.iter().map(|quantity| self.of_phase(*quantity, phase, at_ms, active)).sum());
        // Nothing flows on a phase that is away.
        if apparent == 0 { 0.0 } else { apparent as f64 / self.voltage(phase, at_ms) }
    }

    /// Current in the neutral conductor in amperes, taking the phases a third of a turn apart.
    pub(crate) fn neutral_current(&self, at_ms: i64) -> f64 {
        let [a, b, c] = Phase::ALL.map(|phase| self.current(phase, at_ms));
        (a * a + b * b + c * c - a * b - b * c - c * a).max(0.0).sqrt()
    }

    /// Power factor: positive with import, negative with export, 1 when nothing flows.
    pub(crate) fn power_factor(&self, at_ms: i64) -> f64 {
        let Some((import, export, band)) = self.active(at_ms) else { return 1.0 };
        let factor = |tan: f64| 1.0 / (1.0 + tan * tan).sqrt();
        if export > import { -factor(self.tangents.export[band]) } else { factor(self.tangents.import[band]) }
    }

    /// What a register of power quality shows.
    pub(crate) fn disturbances(
        &self,
        (kind, phase, figure): (DisturbanceKind, Phase, Figure),
        at_ms: i64,
        judge: impl Fn(Disturbance) -> Option<Disturbance>,
    ) -> f64 {
        let time = (self.installed_ms, at_ms);
        self.quality.figure(kind, phase, figure, self.grid.nominal_voltage(), time, judge)
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
    #[cfg(test)]
    pub(crate) fn last_average(&self, quantity: Quantity, at_ms: i64) -> i64 {
        let end = at_ms - at_ms.rem_euclid(QUARTER_MS);
        self.average(quantity, end - QUARTER_MS, end)
    }

    fn average(&self, quantity: Quantity, from_ms: i64, to_ms: i64) -> i64 {
        self.average_over(quantity, from_ms, to_ms, QUARTER_MS)
    }

    /// What flowed from `from_ms` to `to_ms` as an average over `window_ms`.
    pub(crate) fn average_over(&self, quantity: Quantity, from_ms: i64, to_ms: i64, window_ms: i64) -> i64 {
        let from_ms = from_ms.max(self.installed_ms);
        if from_ms >= to_ms {
            return 0;
        }
        let flow = self.flowed(from_ms, to_ms, &SINGLE);
        // A milliwatt-hour is 3.6 watt-seconds.
        let watts = |sums: [i64; BANDS]| sums.map(|sum| sum as f64 * 3_600.0 / window_ms as f64);
        quantity.of(&Active { import: watts(flow.import[0]), export: watts(flow.export[0]) }, &self.tangents)
    }

    /// The highest quarter-hour average from `from_ms` to `to_ms`, of one rate (1 to [`RATES`]) or of all (0);
    /// `None` when no quarter ended in that time.
    pub(crate) fn maximum(
        &self,
        quantity: Quantity,
        rate: u8,
        from_ms: i64,
        to_ms: i64,
        tariff: &dyn Tariff,
    ) -> Option<Maximum> {
        let offset = self.standard_offset_ms;
        let first = (from_ms.max(self.installed_ms) + offset).div_euclid(QUARTER_MS);
        let end = (to_ms + offset).div_euclid(QUARTER_MS);
        let mut best: Option<Maximum> = None;
        let per_day = DAY / QUARTER;
        for day in first.div_euclid(per_day)..=end.div_euclid(per_day) {
            let (import, export) = (self.import.day(day), self.export.day(day));
            let rates = tariff.span(day).week[tariff::weekday(day)];
            for (number, (import, export)) in import.into_iter().zip(export).enumerate() {
                let index = day * per_day + i64::try_from(number).unwrap_or(0);
                if index < first || index >= end || (rate != 0 && rates[number].saturating_add(1) != rate) {
                    continue;
                }
                let start_ms = index * QUARTER_MS - offset;
                let power = if self.disturbed(start_ms) {
                    self.average(quantity, start_ms, start_ms + QUARTER_MS)
                } else {
                    let active = Active::in_band(band(number), import as f64 * 0.004, export as f64 * 0.004);
                    quantity.of(&active, &self.tangents)
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
        self.forget();
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

/// Where a quarter of an hour that has both directions changes from import to export, as a part of it.
///
/// A meter does not import and export at once: clouds and kettles take turns.
#[derive(Clone, Copy, Debug)]
struct Split(f64);

impl Split {
    /// In proportion to the energies, so that power is as high before as behind.
    fn of(import: i64, export: i64) -> Self {
        if export <= 0 {
            Self(1.0)
        } else if import <= 0 {
            Self(0.0)
        } else {
            Self((import as f64 / (import + export) as f64).clamp(0.05, 0.95))
        }
    }

    /// The part of the time of import that has passed, beyond 1 behind it.
    fn import_part(self, passed: f64) -> f64 {
        if self.0 > 0.0 { passed / self.0 } else { 1.0 }
    }

    /// The part of the time of export that has passed, below 0 before it.
    fn export_part(self, passed: f64) -> f64 {
        if self.0 < 1.0 { (passed - self.0) / (1.0 - self.0) } else { -1.0 }
    }

    fn import(self, passed: f64) -> f64 {
        self.import_part(passed).clamp(0.0, 1.0)
    }

    fn export(self, passed: f64) -> f64 {
        self.export_part(passed).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests;
