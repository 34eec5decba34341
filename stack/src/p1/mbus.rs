//! Meters for gas, water and heat behind the electricity meter.

use super::{Object, Quantity, Telegram, Timestamp, Value};
use crate::obis::ObisCode;

/// M-Bus channels of an electricity meter.
pub const MBUS_CHANNELS: usize = 4;

/// What a telegram says about the device on one M-Bus channel. Where a line is repeated, the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MbusDevice<'a> {
    /// Kind of the device, as in the M-Bus standard: 3 gas, 4 or 12 heat, 7 or 8 water, 2 electricity.
    pub device_type: Option<u8>,
    /// Identifier, [`Value::Octets`] as a rule. `None` without a line, [`Value::Empty`] without a device.
    pub equipment_id: Option<Value<'a>>,
    /// Number of the connection (EAN), in e-MUCS.
    pub connection_id: Option<Value<'a>>,
    /// The last reading; `None` as well when the meter prints that it has none.
    pub reading: Option<MbusReading>,
    /// Whether the valve or breaker is open for flow: 0 closed, 1 open, 2 ready to be opened by hand.
    pub valve: Option<u8>,
}

impl MbusDevice<'_> {
    /// Whether nothing was said about the channel.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        *self == Self::default()
    }
}

/// A reading of an M-Bus device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbusReading {
    /// The object that was read: value group E is 1 for the usual value, 3 for gas that is not temperature corrected.
    pub code: ObisCode,
    /// When it was read. DSMR 2.2 and 3.0 print no season.
    pub time: Timestamp,
    /// The number and its unit.
    pub quantity: Quantity,
}

impl<'a> Telegram<'a> {
    /// The devices on the M-Bus channels 1 to 4, in this order.
    #[must_use]
    pub fn mbus_devices(&self) -> [MbusDevice<'a>; MBUS_CHANNELS] {
        let mut devices = [MbusDevice::default(); MBUS_CHANNELS];
        for object in self.objects() {
            let [0, channel, c, d, e, _] = object.code().0 else { continue };
            let device = usize::from(channel).checked_sub(1).and_then(|index| devices.get_mut(index));
            let (Some(device), Some(first)) = (device, object.field(0)) else { continue };
            let number = || first.quantity().and_then(|quantity| u8::try_from(quantity.value.digits).ok());
            match (c, d, e) {
                (24, 1, 0) => device.device_type = number(),
                // e-MUCS moved the identifier by one, and put the number of the connection behind it.
                (96, 1, 0 | 1) => device.equipment_id = Some(first.value()),
                (96, 1, 2) => device.connection_id = Some(first.value()),
                (24, 2, _) => device.reading = reading(&object),
                (24, 3, _) => device.reading = reading_before_4(&object),
                (24, 4, 0) => device.valve = number(),
                _ => {}
            }
        }
        devices
    }
}

/// `(time)(value*unit)`
fn reading(object: &Object<'_>) -> Option<MbusReading> {
    let mut fields = object.fields();
    let time = fields.next()?.time().filter(|time| time.local().is_some())?;
    Some(MbusReading { code: object.code(), time, quantity: fields.next()?.quantity()? })
}

/// `(time)(status)(minutes between readings)(readings)(code)(unit)` and the value on the next line.
fn reading_before_4(object: &Object<'_>) -> Option<MbusReading> {
    let mut fields = object.fields();
    let time = fields.next()?.time().filter(|time| time.local().is_some())?;
    let Value::Obis(code) = fields.nth(3)?.value() else { return None };
    let unit = super::PrintedUnit::from_text(fields.next()?.text())?;
    let number = fields.next()?.quantity()?.value;
    let value = crate::unit::Decimal { exponent: number.exponent.checked_add(unit.power)?, ..number };
    Some(MbusReading { code, time, quantity: Quantity { value, unit: unit.unit } })
}
