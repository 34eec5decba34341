//! A telegram from what a meter shows at a moment.

use dlms::axdr::Value;
use dlms::obis::ObisCode;
use dlms::p1::{EncodeError, NumberFormat, PrintedUnit, TELEGRAM_OCTETS_MAX, TelegramWriter, Timestamp};
use dlms::time::DateTime;
use dlms::unit::{Decimal, Unit};

use super::{P1Dialect, dialect};
use crate::moment::Moment;
use crate::simulator::consumption::Quantity;
use crate::simulator::meter::Meter;
use crate::simulator::meter::values::Instantaneous;

/// Months before the running one that e-MUCS tells.
const MONTHS: usize = 13;

/// Quarter-hour maxima of past months, which take long to find and stay what they are.
#[derive(Debug, Default)]
pub(crate) struct Peaks {
    /// The running month, for which they were found.
    month: Option<Moment>,
    found: Vec<(Moment, Option<(Moment, i64)>)>,
}

impl Peaks {
    /// Start of the following month, time of the peak and its power, of each past month, the newest first.
    fn of(&mut self, meter: &Meter, at: Moment) -> &[(Moment, Option<(Moment, i64)>)] {
        let month = meter.month_before(at);
        if self.month != Some(month) {
            self.month = Some(month);
            self.found.clear();
            let mut end = month;
            while self.found.len() < MONTHS && end > meter.installed() {
                let start = meter.month_before(end);
                self.found.push((end, meter.peak(start, end)));
                end = start;
            }
        }
        &self.found
    }
}

/// The telegram of a meter at a moment, plain.
pub(crate) fn telegram(
    meter: &Meter,
    dialect: P1Dialect,
    at: Moment,
    peaks: &mut Peaks,
) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = vec![0; TELEGRAM_OCTETS_MAX];
    let out = TelegramWriter::new(&mut buffer, &dialect::identification(dialect, meter))?;
    let mut page = Page { meter, at, peaks, out };
    dialect::lines(dialect, &mut page)?;
    Ok(page.out.finish()?.to_vec())
}

const KILOWATT_HOUR: NumberFormat = NumberFormat { digits: 9, places: 3, unit: PrintedUnit::KILOWATT_HOUR };
const KILOVAR_HOUR: NumberFormat = NumberFormat { digits: 9, places: 3, unit: PrintedUnit::KILOVAR_HOUR };
const KILOWATT: NumberFormat = NumberFormat { digits: 5, places: 3, unit: PrintedUnit::KILOWATT };
const KILOVAR: NumberFormat = NumberFormat { digits: 5, places: 3, unit: PrintedUnit::KILOVAR };
const KILOVOLT_AMPERE: NumberFormat = NumberFormat { digits: 5, places: 3, unit: PrintedUnit::KILOVOLT_AMPERE };
const CUBIC_METRE: NumberFormat =
    NumberFormat { digits: 8, places: 3, unit: PrintedUnit::new("m3", 0, Unit::CUBIC_METRE) };
const GIGAJOULE: NumberFormat = NumberFormat { digits: 8, places: 3, unit: PrintedUnit::GIGAJOULE };
const VOLT: NumberFormat = NumberFormat { digits: 4, places: 1, unit: PrintedUnit::VOLT };

type Written = Result<(), EncodeError>;

/// A telegram that is being written: each function writes a line.
pub(super) struct Page<'a, 'b> {
    meter: &'a Meter,
    at: Moment,
    peaks: &'a mut Peaks,
    out: TelegramWriter<'b>,
}

impl Page<'_, '_> {
    /// Whether the meter has this phase, by value group C.
    fn has(&self, c: u8) -> bool {
        !(self.meter.is_single_phase() && (41..=80).contains(&c))
    }

    /// A local time of the meter.
    fn stamp(&self, at: Moment) -> Option<Timestamp> {
        Timestamp::from_date_time(self.meter.stamp(at))
    }

    pub(super) fn text(&mut self, code: [u8; 5], text: &str) -> Written {
        self.out.object(full(code))?.text(text).map(drop)
    }

    pub(super) fn time(&mut self) -> Written {
        let stamp = self.stamp(self.at);
        match stamp {
            Some(stamp) => self.out.object(full([0, 0, 1, 0, 0]))?.time(stamp).map(drop),
            None => Ok(()),
        }
    }

    /// The serial number or the logical device name, as hexadecimal digits.
    pub(super) fn serial(&mut self, code: [u8; 5]) -> Written {
        self.out.object(full(code))?.octets(self.meter.identity().serial.as_bytes()).map(drop)
    }

    pub(super) fn device_name(&mut self) -> Written {
        let name = self.meter.identity().logical_device_name.as_bytes();
        self.out.object(full([0, 0, 42, 0, 0]))?.octets(name).map(drop)
    }

    /// Energy of quantity C and rate E.
    pub(super) fn energy(&mut self, c: u8, e: u8) -> Written {
        let format = if matches!(c, 1 | 2) { KILOWATT_HOUR } else { KILOVAR_HOUR };
        self.energy_as(c, e, format)
    }

    /// The same in single units, with nine digits.
    pub(super) fn whole_energy(&mut self, c: u8, e: u8) -> Written {
        let (text, unit) = if matches!(c, 1 | 2) { ("Wh", Unit::WATT_HOUR) } else { ("varh", Unit::VAR_HOUR) };
        let unit = PrintedUnit::new(text, 0, unit);
        self.energy_as(c, e, NumberFormat { digits: 9, places: 0, unit })
    }

    fn energy_as(&mut self, c: u8, e: u8, format: NumberFormat) -> Written {
        let energy = Quantity::from_group_c(c).map_or(0, |quantity| self.meter.energy_at(quantity, e, self.at));
        // A register of nine digits begins anew.
        let digits = i128::from(energy.rem_euclid(1_000_000_000));
        self.out.object(full([1, 0, c, 8, e]))?.number(Decimal { digits, exponent: 0 }, format).map(drop)
    }

    /// Power of value group C, phases included.
    pub(super) fn power(&mut self, c: u8) -> Written {
        let of_sum = if c > 20 { c % 20 } else { c };
        let format = match of_sum {
            1 | 2 => KILOWATT,
            9 | 10 => KILOVOLT_AMPERE,
            _ => KILOVAR,
        };
        self.power_as(c, format)
    }

    /// The same in single units, with nine digits.
    pub(super) fn whole_power(&mut self, c: u8) -> Written {
        let unit = if matches!(c, 1 | 2) { ("W", Unit::WATT) } else { ("var", Unit::VAR) };
        self.power_as(c, NumberFormat { digits: 9, places: 0, unit: PrintedUnit::new(unit.0, 0, unit.1) })
    }

    fn power_as(&mut self, c: u8, format: NumberFormat) -> Written {
        if !self.has(c) {
            return Ok(());
        }
        let power = Instantaneous::from_group_c(c).map_or(0.0, |quantity| quantity.read(self.meter, self.at));
        // The format's last digit is a single unit; what is more than it holds is the most that it holds.
        let most = 10_i128.pow(format.digits.into()) - 1;
        let digits = (power.round() as i128).clamp(0, most);
        self.out.object(full([1, 0, c, 7, 0]))?.number(Decimal { digits, exponent: 0 }, format).map(drop)
    }

    pub(super) fn voltages(&mut self) -> Written {
        [32, 52, 72].into_iter().try_for_each(|c| self.measured(c, VOLT))
    }

    /// Currents with so many digits, of which so many behind the point.
    pub(super) fn currents(&mut self, digits: u8, places: u8) -> Written {
        let format = NumberFormat { digits, places, unit: PrintedUnit::AMPERE };
        [31, 51, 71].into_iter().try_for_each(|c| self.measured(c, format))
    }

    fn measured(&mut self, c: u8, format: NumberFormat) -> Written {
        if !self.has(c) {
            return Ok(());
        }
        let value = Instantaneous::from_group_c(c).map_or(0.0, |quantity| quantity.read(self.meter, self.at));
        let steps = 10_f64.powi(format.places.into());
        let most = 10_i128.pow(format.digits.into()) - 1;
        let digits = ((value * steps).round() as i128).clamp(0, most);
        let exponent = -i8::try_from(format.places).unwrap_or(0);
        self.out.object(full([1, 0, c, 7, 0]))?.number(Decimal { digits, exponent }, format).map(drop)
    }

    pub(super) fn tariff(&mut self) -> Written {
        let rate = self.meter.rate_at(self.at);
        self.text([0, 0, 96, 14, 0], &format!("{rate:04}"))
    }

    /// What a Data or Register of the meter counts, with five digits; 0 at a meter without it.
    pub(super) fn count(&mut self, code: [u8; 5]) -> Written {
        if !self.has(code[2]) {
            return Ok(());
        }
        let code = full(code);
        let shown = [1, 3].into_iter().find_map(|class| self.meter.shown_value(class, code, 2, self.at));
        let digits = i128::from(shown.and_then(|value| number(&value)).unwrap_or(0)).clamp(0, 99_999);
        let format = NumberFormat { digits: 5, places: 0, unit: PrintedUnit::NONE };
        self.out.object(code)?.number(Decimal { digits, exponent: 0 }, format).map(drop)
    }

    /// The meter's log of long power failures.
    pub(super) fn failure_log(&mut self) -> Written {
        let code = full([1, 0, 99, 97, 0]);
        let rows = match self.meter.shown_value(7, code, 2, self.at) {
            Some(Value::Array(rows)) => rows,
            _ => Vec::new(),
        };
        let entry = |row: &Value| match row.elements() {
            Some([Value::OctetString(time), length]) => Some((DateTime::from_slice(time)?, number(length)?)),
            _ => None,
        };
        let entries: Vec<_> = rows.iter().filter_map(entry).take(10).collect();
        // Times without a deviation are read by the meter's own clock.
        let stamp =
            |time: DateTime| Some(Timestamp::from_date_time(self.meter.stamp(self.meter.moment_of(time)?))).flatten();
        let entries: Vec<_> = entries.into_iter().filter_map(|(time, length)| Some((stamp(time)?, length))).collect();
        let line = self.out.object(code)?;
        line.text(&entries.len().to_string())?.text("0-0:96.7.19")?;
        let format = NumberFormat { digits: 10, places: 0, unit: PrintedUnit::SECOND };
        for (time, length) in entries {
            line.time(time)?.number(Decimal { digits: length.into(), exponent: 0 }, format)?;
        }
        Ok(())
    }

    /// A message for the customer, as hexadecimal digits of its characters.
    pub(super) fn message(&mut self, e: u8) -> Written {
        let code = full([0, 0, 96, 13, e]);
        let text = match self.meter.shown_value(1, code, 2, self.at) {
            Some(Value::OctetString(octets) | Value::VisibleString(octets)) => octets,
            _ => Vec::new(),
        };
        self.out.object(code)?.octets(&text).map(drop)
    }

    /// Whether the main switch is closed.
    pub(super) fn switch(&mut self) -> Written {
        let state = self.meter.switch_state();
        self.text([0, 0, 96, 3, 10], &state.to_string())
    }

    /// The lines of M-Bus devices, channel by channel: type, identifier (value group E `identifier`), valve where the
    /// dialect has it, and the last reading (value group E `reading`).
    pub(super) fn mbus_devices(&mut self, identifier: u8, reading: u8, valve: bool) -> Written {
        for device in self.meter.shown_devices(self.at) {
            let code = |c: u8, d: u8, e: u8| full([0, device.channel, c, d, e]);
            self.out.object(code(24, 1, 0))?.text(&format!("{:03}", device.identity.device_type))?;
            let number = format!("{:08}", device.identity.number);
            self.out.object(code(96, 1, identifier))?.octets(number.as_bytes())?;
            if valve {
                self.out.object(code(24, 4, 0))?.text(&u8::from(device.valve).to_string())?;
            }
            let Some(stamp) = device.reading.at.and_then(|at| self.stamp(at)) else { continue };
            let (format, unit) = if device.is_heat { (GIGAJOULE, 6) } else { (CUBIC_METRE, -3) };
            let most = 99_999_999;
            let number = Decimal { digits: i128::from(device.reading.value.min(most)), exponent: unit };
            self.out.object(code(24, 2, reading))?.time(stamp)?.number(number, format)?;
        }
        Ok(())
    }

    /// Demand of the running quarter of an hour, its maximum of the running month and of the months before.
    pub(super) fn demand(&mut self) -> Written {
        let kilowatt = |power: i64| Decimal { digits: i128::from(power.clamp(0, 99_999)), exponent: 0 };
        let running = kilowatt(self.meter.running_demand(self.at));
        self.out.object(full([1, 0, 1, 4, 0]))?.number(running, KILOWATT)?;
        let month = self.meter.month_before(self.at);
        let peak = self.meter.peak(month, self.at);
        let time = peak.and_then(|(at, _)| self.stamp(at));
        let line = self.out.object(full([1, 0, 1, 6, 0]))?;
        let nothing = "632525252525W";
        match time {
            Some(time) => line.time(time)?,
            None => line.text(nothing)?,
        };
        line.number(kilowatt(peak.map_or(0, |(_, power)| power)), KILOWATT)?;
        let stamp = |meter: &Meter, at: Moment| Timestamp::from_date_time(meter.stamp(at));
        let months = self.peaks.of(self.meter, self.at);
        let line = self.out.object(full([0, 0, 98, 1, 0]))?;
        line.text(&months.len().to_string())?.text("1-0:1.6.0")?.text("1-0:1.6.0")?;
        for (end, peak) in months {
            match stamp(self.meter, *end) {
                Some(end) => line.time(end)?,
                None => line.text(nothing)?,
            };
            match peak.and_then(|(at, _)| stamp(self.meter, at)) {
                Some(time) => line.time(time)?,
                None => line.text(nothing)?,
            };
            line.number(kilowatt(peak.map_or(0, |(_, power)| power)), KILOWATT)?;
        }
        Ok(())
    }
}

const fn full([a, b, c, d, e]: [u8; 5]) -> ObisCode {
    ObisCode::new(a, b, c, d, e, 255)
}

fn number(value: &Value) -> Option<i64> {
    value.as_data()?.as_i64()
}
