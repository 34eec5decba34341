//! What a telegram says, as columns and values.

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    p1::{self, MBUS_CHANNELS, MbusReading, MonthlyPeaks, Object, PowerFailures, Quantity, Telegram},
};
use jiff::tz::TimeZone;

use super::time::{Moment, moment};
use crate::{
    meter::{EquipmentId, TimeBasis},
    operation::{CaptureColumn, CaptureRow},
};

/// Where meters print their identifier. Some print their type as 0-0:96.1.1 beside an identifier as 0-0:96.1.0.
const IDENTIFIERS: [ObisCode; 5] = [
    ObisCode([0, 0, 96, 1, 0, 255]),
    ObisCode([0, 0, 96, 1, 1, 255]),
    ObisCode([0, 0, 42, 0, 0, 255]),
    ObisCode([0, 0, 96, 1, 255, 255]),
    ObisCode([1, 0, 0, 0, 0, 255]),
];
/// The peaks of past months (e-MUCS), kept as a profile of this name.
pub(super) const PEAKS: ObisCode = MonthlyPeaks::CODE;
/// The peak of the present month, which those rows are copies of.
const PEAK: ObisCode = ObisCode([1, 0, 1, 6, 0, 255]);

/// The identifier of the meter itself.
pub(super) fn identifier(telegram: &Telegram<'_>) -> Option<EquipmentId> {
    let printed = |code: ObisCode| EquipmentId::printed(telegram.object(code)?.field(0)?.value());
    IDENTIFIERS.into_iter().find_map(printed)
}

/// A device on an M-Bus channel that has an identifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device {
    /// From 1.
    pub(super) channel: u8,
    pub(super) equipment: EquipmentId,
    pub(super) reading: Option<MbusReading>,
}

/// The devices behind the meter.
pub(super) fn devices(telegram: &Telegram<'_>) -> Vec<Device> {
    let device = |(channel, device): (u8, p1::MbusDevice<'_>)| {
        let equipment = EquipmentId::printed(device.equipment_id?)?;
        Some(Device { channel, equipment, reading: device.reading })
    };
    (1..).zip(telegram.mbus_devices()).filter_map(device).collect()
}

/// Columns with their values, each column once: where a line is repeated, the last one counts.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) columns: Vec<CaptureColumn>,
    pub(super) values: Vec<Value>,
}

impl Cells {
    fn put(&mut self, column: CaptureColumn, value: Value) {
        match self.columns.iter().position(|held| held == &column) {
            Some(place) => {
                if let Some(held) = self.values.get_mut(place) {
                    *held = value;
                }
            }
            None => {
                self.columns.push(column);
                self.values.push(value);
            }
        }
    }

    /// A value with the time that it was captured at: value and capture time of an extended register.
    fn put_timed(&mut self, obis: ObisCode, quantity: Quantity, at: Option<Moment>) {
        let Some(value) = number(quantity) else { return };
        let column = |attribute| CaptureColumn { class: ClassId(4), ..simple(obis, attribute) };
        self.put(CaptureColumn { scaler_unit: Some(quantity.scaler_unit()), ..column(2) }, value);
        if let Some(at) = at {
            self.put(column(5), octets(at));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

/// What one device behind a meter was read to be.
pub(super) fn of_device(reading: &MbusReading) -> Cells {
    let mut cells = Cells::default();
    cells.put_timed(reading.code, reading.quantity, None);
    cells
}

/// All that the meter says, without the channels in `elsewhere`.
pub(super) fn of_meter(telegram: &Telegram<'_>, elsewhere: &[u8], zone: &TimeZone) -> Cells {
    let mut cells = Cells::default();
    for object in telegram.objects().filter(|object| !is_passed_over(object.code(), elsewhere)) {
        put_object(&mut cells, &object, zone);
    }
    for (channel, device) in (1..=MBUS_CHANNELS as u8).zip(telegram.mbus_devices()) {
        if let (false, Some(reading)) = (elsewhere.contains(&channel), device.reading) {
            cells.put_timed(reading.code, reading.quantity, moment(reading.time, zone));
        }
    }
    cells
}

/// What is no reading, or is read as a whole: clock, identifiers, versions, logs, and what belongs to another meter.
fn is_passed_over(code: ObisCode, elsewhere: &[u8]) -> bool {
    match code.0 {
        [0, 0, 1, 0, 0, _] | [0, 0, 42, 0, 0, _] | [0, _, 96, 1, ..] | [1, 3, 0, 2, 8, _] | [1, 0, 0, 0, ..] => true,
        // Readings of M-Bus devices, of DSMR 4 and before it.
        [0, 1..=4, 24, 2 | 3, ..] => true,
        [0, channel @ 1..=4, 24, ..] => elsewhere.contains(&channel),
        _ => code == PEAKS || code == PowerFailures::CODE,
    }
}

fn put_object(cells: &mut Cells, object: &Object<'_>, zone: &TimeZone) {
    let obis = object.code();
    let mut fields = object.fields();
    if let (Some(time), Some(quantity)) = (object.time(), object.field(1).and_then(|field| field.quantity())) {
        return cells.put_timed(obis, quantity, moment(time, zone));
    }
    let first = fields.next().map(|field| (0, field.value()));
    // Several values of one line are elements of its value, counted from 1.
    let many = object.field(1).is_some();
    for (place, value) in first.into_iter().chain((1..).zip(fields.map(|field| field.value()))) {
        let data_index = if many { place + 1 } else { 0 };
        let (class, attribute) = class_of(obis, &value);
        let column = CaptureColumn { class, data_index, ..simple(obis, attribute) };
        match value {
            p1::Value::Empty => {}
            p1::Value::Number(quantity) if class.0 == 70 || class.0 == 72 => {
                let code = u8::try_from(quantity.value.digits);
                let value = code.map(|code| if class.0 == 70 { Value::Enum(code) } else { Value::Unsigned(code) });
                if let Ok(value) = value {
                    cells.put(column, value);
                }
            }
            p1::Value::Number(quantity) => {
                if let Some(value) = number(quantity) {
                    cells.put(CaptureColumn { scaler_unit: Some(quantity.scaler_unit()), ..column }, value);
                }
            }
            p1::Value::Time(time) => {
                if let Some(at) = moment(time, zone) {
                    cells.put(column, octets(at));
                }
            }
            p1::Value::Octets(hex) => cells.put(column, Value::OctetString(hex.octets().collect())),
            p1::Value::Obis(code) => cells.put(column, Value::OctetString(code.0.to_vec())),
            p1::Value::Text(text) => cells.put(column, Value::VisibleString(text.as_bytes().to_vec())),
        }
    }
}

/// The interface class and attribute that a line is the value of: telegrams do not say, the companion specifications do.
fn class_of(obis: ObisCode, value: &p1::Value<'_>) -> (ClassId, i8) {
    match (obis.0, value) {
        // Control state of breakers and valves, type of an M-Bus device.
        ([0, _, 96, 3, 10, _] | [0, 1..=4, 24, 4, 0, _], p1::Value::Number(_)) => (ClassId(70), 3),
        ([0, 1..=4, 24, 1, 0, _], p1::Value::Number(_)) => (ClassId(72), 9),
        (_, p1::Value::Number(quantity)) if quantity.unit != dlms::unit::Unit::COUNT => (ClassId(3), 2),
        _ => (ClassId(1), 2),
    }
}

const fn simple(obis: ObisCode, attribute: i8) -> CaptureColumn {
    CaptureColumn { class: ClassId(3), obis, attribute: AttributeId(attribute), data_index: 0, scaler_unit: None }
}

/// A number as an integer; what has more than 64 bits is none that a register could hold.
fn number(of: Quantity) -> Option<Value> {
    let digits = of.value.digits;
    Some(match digits {
        0.. => match u32::try_from(digits) {
            Ok(short) => Value::DoubleLongUnsigned(short),
            Err(_) => Value::Long64Unsigned(u64::try_from(digits).ok()?),
        },
        _ => match i32::try_from(digits) {
            Ok(short) => Value::DoubleLong(short),
            Err(_) => Value::Long64(i64::try_from(digits).ok()?),
        },
    })
}

fn octets(at: Moment) -> Value {
    Value::OctetString(at.clock.to_bytes().to_vec())
}

/// The columns of the profile of peaks: when a month's was, and how much.
pub(super) fn peak_columns() -> [CaptureColumn; 2] {
    let column = |attribute| CaptureColumn { class: ClassId(4), ..simple(PEAK, attribute) };
    // Peaks are printed in kilowatts with three decimals; what is printed otherwise is brought to watts.
    let scaler_unit = dlms::unit::ScalerUnit { scaler: 0, unit: dlms::unit::Unit::WATT };
    [column(5), CaptureColumn { scaler_unit: Some(scaler_unit), ..column(2) }]
}

/// The peaks of past months, a row for each month that had one; none when the line is not of that form, as in Hungary,
/// where another list has its name.
pub(super) fn peaks(telegram: &Telegram<'_>, zone: &TimeZone) -> Vec<CaptureRow> {
    let Ok(Some(peaks)) = MonthlyPeaks::of(telegram) else { return Vec::new() };
    let row = |peak: p1::MonthlyPeak| {
        let (stored, at) = (moment(peak.stored, zone)?, moment(peak.peak, zone)?);
        if peak.demand.unit != dlms::unit::Unit::WATT {
            return None;
        }
        let watts = match u32::try_from(peak.demand.value.exponent) {
            Ok(power) => peak.demand.value.digits.checked_mul(10_i128.checked_pow(power)?)?,
            Err(_) => {
                peak.demand.value.digits / 10_i128.checked_pow(u32::from(peak.demand.value.exponent.unsigned_abs()))?
            }
        };
        let watts = Value::DoubleLongUnsigned(u32::try_from(watts).ok()?);
        Some(CaptureRow {
            time: stored.time,
            time_basis: TimeBasis::ConfiguredOffset,
            clock: Some(stored.clock),
            status: None,
            values: vec![octets(at), watts],
        })
    };
    peaks.filter_map(row).collect()
}

/// A long power failure that a telegram tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) end: Moment,
    pub(super) duration_s: u32,
}

/// The long power failures that the telegram tells of; none when the line is malformed. An entry of the time before the
/// meter was installed is none: its duration is longer than the meter has known time.
pub(super) fn failures(telegram: &Telegram<'_>, zone: &TimeZone) -> Vec<Failure> {
    let Ok(Some(failures)) = PowerFailures::of(telegram) else { return Vec::new() };
    let failure = |of: p1::PowerFailure| Some(Failure { end: moment(of.end, zone)?, duration_s: of.duration_s });
    failures.filter_map(failure).filter(|failure| failure.duration_s < i32::MAX.unsigned_abs()).collect()
}
