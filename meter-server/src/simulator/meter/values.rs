//! Where the values of a simulated meter's objects come from.

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::axdr::{Data, Writer};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};

use super::Meter;
use super::events::{LogKind, code};
use super::measured::Measured;
use super::number::NumberFormat;
use super::supply::{FailureFigure, LimitKind};
use crate::alarms::AlarmValue;
use crate::demand::{Counted, DemandWindow};
use crate::moment::Moment;
use crate::object::Context;
use crate::objects::{Captured, ClockState, Demand, Value};
use crate::simulator::consumption::{DisturbanceKind, Figure, Maximum, Phase, QUARTER, Quantity};

/// An instantaneous quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instantaneous {
    /// Power of all phases.
    Power(Quantity),
    /// Power of one phase.
    PhasePower(Quantity, Phase),
    Voltage(Phase),
    Current(Phase),
    CurrentSum,
    NeutralCurrent,
    PowerFactor,
    Frequency,
}

impl Instantaneous {
    /// The quantity of an OBIS code 1.b.c.7.e.f.
    pub(crate) fn from_code(code: ObisCode) -> Option<Self> {
        let [1, _, c, 7, 0, _] = code.0 else { return None };
        Self::from_group_c(c)
    }

    /// The quantity of value group C.
    pub(crate) fn from_group_c(c: u8) -> Option<Self> {
        let (of_sum, phase) = match c {
            0..=20 => (c, None),
            21..=40 => (c - 20, Some(Phase::L1)),
            41..=60 => (c - 40, Some(Phase::L2)),
            61..=80 => (c - 60, Some(Phase::L3)),
            90 => return Some(Self::CurrentSum),
            91 => return Some(Self::NeutralCurrent),
            _ => return None,
        };
        match (of_sum, phase) {
            // Without a phase it is any, and the only one of a meter with one phase.
            (11, phase) => Some(Self::Current(phase.unwrap_or(Phase::L1))),
            (12, phase) => Some(Self::Voltage(phase.unwrap_or(Phase::L1))),
            // The phase angle is the same on all phases here.
            (13, _) => Some(Self::PowerFactor),
            (14, _) => Some(Self::Frequency),
            (_, Some(phase)) => Quantity::from_group_c(of_sum).map(|quantity| Self::PhasePower(quantity, phase)),
            (_, None) => Quantity::from_group_c(of_sum).map(Self::Power),
        }
    }

    pub(crate) fn read(self, meter: &Meter, at: Moment) -> f64 {
        let (flow, at_ms) = (&meter.consumption, at.as_millis());
        match self {
            Self::Power(quantity) => flow.power(quantity, at_ms) as f64,
            Self::PhasePower(quantity, phase) => flow.phase_power(quantity, phase, at_ms) as f64,
            Self::Voltage(phase) => flow.voltage(phase, at_ms),
            Self::Current(phase) => flow.current(phase, at_ms),
            Self::CurrentSum => Phase::ALL.iter().map(|phase| flow.current(*phase, at_ms)).sum(),
            Self::NeutralCurrent => flow.neutral_current(at_ms),
            Self::PowerFactor => flow.power_factor(at_ms),
            Self::Frequency => flow.frequency(at_ms),
        }
    }
}

/// A register of power quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QualityRegister {
    pub(crate) kind: DisturbanceKind,
    pub(crate) phase: Phase,
    pub(crate) figure: Figure,
}

impl QualityRegister {
    /// The register of an OBIS code 1.b.{32,52,72}.d.0.f.
    pub(crate) fn from_code(code: ObisCode) -> Option<Self> {
        let [1, _, c, d, 0, _] = code.0 else { return None };
        let phase = match c {
            32 => Phase::L1,
            52 => Phase::L2,
            72 => Phase::L3,
            _ => return None,
        };
        let kind = match d {
            32..=34 => DisturbanceKind::Sag,
            36..=38 => DisturbanceKind::Swell,
            40..=42 => DisturbanceKind::Cut,
            _ => return None,
        };
        let figure = [Figure::Count, Figure::Duration, Figure::Magnitude][usize::from(d % 4)];
        Some(Self { kind, phase, figure })
    }
}

/// What a value is, and in what form it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Energy {
        quantity: Quantity,
        rate: u8,
        format: NumberFormat,
    },
    Instantaneous {
        quantity: Instantaneous,
        format: NumberFormat,
    },
    /// The mean since the end of the last period.
    Average {
        quantity: Instantaneous,
        period_seconds: u32,
        format: NumberFormat,
    },
    /// An instantaneous quantity by way of the metering engine.
    Measured {
        quantity: Measured,
        format: NumberFormat,
    },
    /// Dips, swells and losses of a phase.
    VoltageQuality {
        register: QualityRegister,
        format: NumberFormat,
    },
    /// Losses of power.
    PowerFailures {
        figure: FailureFigure,
        format: NumberFormat,
    },
    /// Energy since the end of the last period.
    IntervalEnergy {
        quantity: Quantity,
        period_seconds: u32,
        format: NumberFormat,
    },
    /// A value that stays until a client writes another: number of the slot, and the value as A-XDR.
    Stored {
        slot: usize,
        initial: Vec<u8>,
        /// What it changes about how the meter judges its supply, and what one stands for.
        limit: Option<(LimitKind, f64)>,
    },
    LogicalDeviceName,
    SerialNumber,
    FirmwareVersion,
    /// Number of the register activation that it follows.
    ActiveTariff {
        activation: usize,
    },
    /// Seconds of a capture period, over which status bits are gathered.
    ProfileStatus {
        period_seconds: u32,
    },
    LastEvent(LogKind),
    BillingDate,
    BillingCount {
        format: NumberFormat,
    },
    Alarm(AlarmValue),
    LocalTime,
    LocalDate,
    InvocationCounter {
        setup: u8,
    },
    MbusDeviceNumber {
        channel: u8,
    },
}

/// Moments at which an average looks.
const SAMPLES: i64 = 8;

/// The end of the last period before `at`: a period that ends at this very moment is still the running one, as it is for
/// the profile that captures then.
fn period_start(at: Moment, period_seconds: u32) -> Moment {
    let period_ms = 1000 * i64::from(period_seconds.max(1));
    Moment::from_millis((at.as_millis() - 1).div_euclid(period_ms) * period_ms)
}

/// The mean of a value after `from` until `to`.
fn average(meter: &Meter, quantity: Instantaneous, from: Moment, to: Moment) -> f64 {
    let length = to.as_millis() - from.as_millis();
    let sample = |number: i64| quantity.read(meter, from.plus_millis(length * number / SAMPLES));
    (1..=SAMPLES).map(sample).sum::<f64>() / SAMPLES as f64
}

/// Octets that a written value may have at most.
const STORED_OCTETS_MAX: usize = 256;

impl Value<Meter> for Source {
    fn get(&self, meter: &Meter, cx: &Context<'_, Meter>, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        match self {
            Self::Energy { quantity, rate, format } => {
                return format
                    .write_floor(meter.consumption.energy(*quantity, *rate, cx.at.as_millis(), meter.tariff()), out);
            }
            Self::Instantaneous { quantity, format } => {
                return format.write_nearest(quantity.read(meter, cx.at), out);
            }
            Self::Average { quantity, period_seconds, format } => {
                let from = period_start(cx.at, *period_seconds);
                return format.write_nearest(average(meter, *quantity, from, cx.at), out);
            }
            Self::Measured { quantity, format } => return format.write_nearest(quantity.read(meter, cx.at), out),
            Self::VoltageQuality { register: QualityRegister { kind, phase, figure }, format } => {
                let judge = |found| meter.logs.supply().judge(found).map(|(found, _)| found);
                let figure = (*kind, *phase, *figure);
                let shown = meter.consumption.disturbances(figure, cx.at.as_millis(), judge);
                return format.write_nearest(shown, out);
            }
            Self::PowerFailures { figure, format } => {
                return format.write_nearest(meter.failure_figure(*figure, cx.at), out);
            }
            Self::IntervalEnergy { quantity, period_seconds, format } => {
                let from = period_start(cx.at, *period_seconds);
                let energy = |at: Moment| meter.consumption.energy(*quantity, 0, at.as_millis(), meter.tariff());
                return format.write_floor(energy(cx.at) - energy(from), out);
            }
            Self::BillingDate => out.octets(meter.stamp(meter.billing_start(cx.at)).as_bytes()),
            Self::BillingCount { format } => {
                let month = |at: Moment| {
                    let date = meter.stamp(at).date();
                    i64::from(date.year().unwrap_or(0)) * 12 + i64::from(date.month().unwrap_or(0))
                };
                let installed = Moment::from_millis(meter.consumption.installed_ms());
                let resets = i64::try_from(meter.billing_resets(cx.at)).unwrap_or(i64::MAX);
                return format.write_floor(month(cx.at) - month(installed) + resets, out);
            }
            Self::Stored { slot, initial, .. } => out.bytes(meter.stored.get(slot).map_or(initial, |written| written)),
            Self::LogicalDeviceName => out.octets(meter.identity.logical_device_name.as_bytes()),
            Self::SerialNumber => out.octets(meter.identity.serial.as_bytes()),
            Self::FirmwareVersion => out.octets(meter.firmware_version().as_bytes()),
            Self::ActiveTariff { activation } => {
                let by_curve = || meter.consumption.rate(cx.at.as_millis(), meter.tariff());
                let rate = meter.active_rate(*activation, cx.at).unwrap_or_else(by_curve);
                out.octets(rate.to_string().as_bytes())
            }
            Self::ProfileStatus { period_seconds } => out.unsigned(meter.profile_status(cx.at, *period_seconds)),
            Self::LastEvent(kind) => {
                let code = meter.last_event(*kind, cx.at).map_or(0, |event| event.code);
                out.unsigned(code)
            }
            Self::Alarm(value) => out.double_long_unsigned(meter.alarms.get(*value)),
            Self::LocalTime => out.octets(&meter.local_time(cx.at).time().to_bytes()),
            Self::LocalDate => out.octets(&meter.local_time(cx.at).date().to_bytes()),
            Self::MbusDeviceNumber { channel } => {
                let digits = meter.mbus_number(*channel).map_or_else(String::new, |number| format!("{number:08}"));
                out.octets(digits.as_bytes())
            }
            Self::InvocationCounter { setup } => {
                let counter = meter.counters(*setup).ok_or(DataAccessResult::ObjectUnavailable)?.highest_floor();
                out.double_long_unsigned(counter)
            }
        }?;
        Ok(())
    }

    fn set(&self, meter: &mut Meter, cx: &Context<'_, Meter>, value: Data<'_>) -> Result<(), DataAccessResult> {
        if let Self::Alarm(alarm) = self {
            let Data::DoubleLongUnsigned(written) = value else { return Err(DataAccessResult::TypeUnmatched) };
            meter.set_alarm(*alarm, written, cx.at);
            return Ok(());
        }
        let Self::Stored { slot, initial, limit } = self else { return Err(DataAccessResult::ReadWriteDenied) };
        if initial.first() != Some(&value.tag()) {
            return Err(DataAccessResult::TypeUnmatched);
        }
        let mut buffer = [0; STORED_OCTETS_MAX];
        let mut writer = Writer::new(&mut buffer);
        // A value that is too long is one of the wrong type: the model's type has a length.
        value.encode(&mut writer).map_err(|_| DataAccessResult::TypeUnmatched)?;
        meter.stored.insert(*slot, writer.written().into());
        if let (Some((kind, one)), Some(number)) = (limit, value.as_f64()) {
            meter.set_limit(*kind, number * one, cx.at);
        }
        meter.record(LogKind::Standard, cx.at, code::PARAMETERS_CHANGED);
        Ok(())
    }
}

impl Meter {
    /// Status octet of a profile row captured at `at`: bit 1 clock invalid, bit 3 daylight saving, bit 5 clock adjusted and
    /// bit 7 power down within the capture period.
    fn profile_status(&self, at: Moment, period_seconds: u32) -> u8 {
        let from = at.plus_millis(-1000 * i64::from(period_seconds));
        let (_, daylight) = self.clock.settings.deviation(at);
        let happened = |code| self.event_happened(LogKind::Standard, code, from, at);
        let adjusted = self.clock.was_adjusted(from, at) || happened(code::CLOCK_NEW_TIME);
        let power_down = happened(code::POWER_DOWN);
        let invalid = self.clock.trust(at) != ClockStatus::OK;
        u8::from(invalid) << 1 | u8::from(daylight) << 3 | u8::from(adjusted) << 5 | u8::from(power_down) << 7
    }

    /// The local time of a moment as a row or a capture time has it: not the clock's error, but its time zone.
    pub(crate) fn stamp(&self, at: Moment) -> DateTime {
        self.clock.settings.local(at, self.clock.trust(at))
    }
}

/// Average power over periods (class 5), quarters of an hour unless a client writes otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AverageDemand {
    pub(crate) quantity: Quantity,
    pub(crate) format: NumberFormat,
    /// Number of the object in the model.
    pub(crate) slot: usize,
}

impl AverageDemand {
    fn window(&self, meter: &Meter) -> DemandWindow {
        meter.demands.get(&self.slot).copied().unwrap_or(QUARTERS)
    }

    fn change(&self, meter: &mut Meter, change: impl FnOnce(&mut DemandWindow)) {
        let mut window = self.window(meter);
        change(&mut window);
        meter.demands.insert(self.slot, window);
    }

    /// What was counted over a span, as an average over the whole window.
    fn write(
        &self,
        meter: &Meter,
        counted: Counted,
        window: DemandWindow,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        let (from, to) = (counted.from.as_millis(), counted.to.as_millis());
        self.format.write_floor(meter.consumption.average_over(self.quantity, from, to, window.window_ms()), out)
    }

    fn set(
        &self,
        meter: &mut Meter,
        cx: &Context<'_, Meter>,
        period_s: u32,
        periods: u16,
    ) -> Result<(), DataAccessResult> {
        let mut window = self.window(meter);
        if !window.set(period_s, periods, cx.at) {
            return Err(DataAccessResult::OtherReason);
        }
        self.change(meter, |kept| *kept = window);
        meter.record(LogKind::Standard, cx.at, code::PARAMETERS_CHANGED);
        Ok(())
    }
}

/// Block demand over quarters of an hour.
const QUARTERS: DemandWindow = match DemandWindow::new(900, 1) {
    Some(window) => window,
    None => unreachable!(),
};

/// The end of the last whole quarter of an hour.
fn quarter(at: Moment) -> Moment {
    Moment::from_millis(at.as_millis() - at.as_millis().rem_euclid(QUARTER * 1000))
}

impl Demand<Meter> for AverageDemand {
    fn current_average(
        &self,
        meter: &Meter,
        cx: &Context<'_, Meter>,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        let window = self.window(meter);
        self.write(meter, window.current(cx.at), window, out)
    }

    fn last_average(
        &self,
        meter: &Meter,
        cx: &Context<'_, Meter>,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        let window = self.window(meter);
        self.write(meter, window.last(cx.at), window, out)
    }

    fn capture_time(&self, meter: &Meter, cx: &Context<'_, Meter>) -> DateTime {
        meter.stamp(self.window(meter).period_start(cx.at))
    }

    fn start_time(&self, meter: &Meter, cx: &Context<'_, Meter>) -> DateTime {
        meter.stamp(self.window(meter).current(cx.at).from)
    }

    fn period_seconds(&self, meter: &Meter) -> u32 {
        self.window(meter).period_s()
    }

    fn periods(&self, meter: &Meter) -> u16 {
        self.window(meter).periods()
    }

    fn set_period(&self, meter: &mut Meter, cx: &Context<'_, Meter>, seconds: u32) -> Result<(), DataAccessResult> {
        self.set(meter, cx, seconds, self.window(meter).periods())
    }

    fn set_periods(&self, meter: &mut Meter, cx: &Context<'_, Meter>, periods: u16) -> Result<(), DataAccessResult> {
        self.set(meter, cx, self.window(meter).period_s(), periods)
    }

    fn reset(&self, meter: &mut Meter, cx: &Context<'_, Meter>) -> Result<(), ActionResult> {
        self.change(meter, |window| window.reset(cx.at));
        Ok(())
    }

    fn next_period(&self, meter: &mut Meter, cx: &Context<'_, Meter>) -> Result<(), ActionResult> {
        self.change(meter, |window| window.next_period(cx.at));
        Ok(())
    }
}

/// The last average power, with its time (class 4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LastDemand(pub(crate) AverageDemand);

impl Value<Meter> for LastDemand {
    fn get(&self, meter: &Meter, cx: &Context<'_, Meter>, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        self.0.last_average(meter, cx, out)
    }
}

impl Captured<Meter> for LastDemand {
    fn capture_time(&self, meter: &Meter, cx: &Context<'_, Meter>) -> DateTime {
        meter.stamp(quarter(cx.at))
    }
}

/// The highest average power of the running billing period, with its time (class 4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MaximumDemand {
    pub(crate) quantity: Quantity,
    /// Rate from 1 to 4, or 0 for all.
    pub(crate) rate: u8,
    pub(crate) format: NumberFormat,
}

impl MaximumDemand {
    fn find(&self, meter: &Meter, at: Moment) -> Option<Maximum> {
        // The first instant of a period still shows the period before, which is what a billing profile captures then.
        let from = meter.billing_start(at.plus_millis(-1));
        meter.consumption.maximum(self.quantity, self.rate, from.as_millis(), at.as_millis(), meter.tariff())
    }
}

impl Value<Meter> for MaximumDemand {
    fn get(&self, meter: &Meter, cx: &Context<'_, Meter>, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        self.format.write_floor(self.find(meter, cx.at).map_or(0, |maximum| maximum.power), out)
    }
}

impl Captured<Meter> for MaximumDemand {
    fn capture_time(&self, meter: &Meter, cx: &Context<'_, Meter>) -> DateTime {
        match self.find(meter, cx.at) {
            Some(maximum) => meter.stamp(Moment::from_millis(maximum.end_ms)),
            None => DateTime::UNSPECIFIED,
        }
    }
}
