//! Alarm registers, filters and descriptors, and the error register: what of the events a head-end has to hear of at once.
//!
//! An event that its filter lets through sets a bit in the alarm register and in the alarm descriptor. Both stay until a
//! client acknowledges them by writing the bits back as 0. A descriptor that is no longer 0 is what alarm monitors push.

use crate::events::{MBusEvent, code};

/// Which bits stand for which events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlarmLayout {
    /// As IDIS package 2 meters have it.
    #[default]
    Idis,
    /// As Dutch meters (DSMR, SMR) have it, whose event codes from 77 on are others than those of IDIS.
    Dsmr,
}

/// Alarm registers 1 and 2: 0.0.97.98.0.255 and 0.0.97.98.1.255.
pub const REGISTERS: usize = 2;

impl AlarmLayout {
    /// The register (0 or 1) and the bit that an event sets, if any.
    #[must_use]
    pub fn bit(self, event: u8) -> Option<(usize, u8)> {
        if let Some((event, channel)) = MBusEvent::from_code(event) {
            let channel = channel.saturating_sub(1);
            let (register, first) = match (self, event) {
                (_, MBusEvent::CommunicationError) => (0, 16),
                (_, MBusEvent::Fraud) => (0, 20),
                (Self::Idis, MBusEvent::PermanentError) => (0, 24),
                (Self::Idis, MBusEvent::Battery) => (0, 28),
                (Self::Idis, MBusEvent::NewDevice) => (1, 19),
                (Self::Idis, MBusEvent::ValveAlarm) => (1, 27),
                (Self::Dsmr, MBusEvent::NewDevice) => (0, 24),
                _ => return None,
            };
            return Some((register, channel.saturating_add(first)));
        }
        let common = match event {
            code::CLOCK_INVALID => Some(0),
            code::REPLACE_BATTERY => Some(1),
            code::PROGRAM_MEMORY_ERROR => Some(8),
            code::RAM_ERROR => Some(9),
            code::NV_MEMORY_ERROR => Some(10),
            code::MEASUREMENT_ERROR => Some(11),
            code::WATCHDOG_ERROR => Some(12),
            code::TERMINAL_COVER_REMOVED
            | code::MAGNETIC_FIELD
            | code::METER_COVER_REMOVED
            | code::AUTHENTICATION_FAILURE => Some(13),
            _ => None,
        };
        if let Some(bit) = common {
            return Some((0, bit));
        }
        let after = |first: u8, bit: u8| event.saturating_sub(first).saturating_add(bit);
        match self {
            Self::Idis => match event {
                code::DECRYPTION_FAILURE | code::REPLAY | 200..=202 => Some((0, 13)),
                code::POWER_DOWN => Some((1, 0)),
                code::POWER_UP => Some((1, 1)),
                code::MISSING_VOLTAGE_L1..=code::VOLTAGE_NORMAL_L3 => Some((1, after(code::MISSING_VOLTAGE_L1, 2))),
                code::MISSING_NEUTRAL => Some((1, 8)),
                code::PHASE_ASYMMETRY => Some((1, 9)),
                code::CURRENT_REVERSAL => Some((1, 10)),
                code::PHASE_SEQUENCE_REVERSAL => Some((1, 11)),
                code::UNEXPECTED_CONSUMPTION => Some((1, 12)),
                code::KEYS_CHANGED => Some((1, 13)),
                code::BAD_VOLTAGE_L1..=code::BAD_VOLTAGE_L3 => Some((1, after(code::BAD_VOLTAGE_L1, 14))),
                code::EXTERNAL_ALERT => Some((1, 17)),
                code::LOCAL_COMMUNICATION => Some((1, 18)),
                code::SWITCH_FAILURE => Some((1, 31)),
                _ => None,
            },
            Self::Dsmr => match event {
                code::POWER_UP => Some((0, 2)),
                code::PARAMETERS_CHANGED => Some((0, 13)),
                // Phase outage of L1 to L3, and its test.
                86..=89 => Some((0, after(86, 28))),
                // Sag and swell of L1 to L3.
                93..=98 => Some((1, after(93, 0))),
                _ => None,
            },
        }
    }
}

/// The alarms of a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarms {
    pub(crate) layout: AlarmLayout,
    pub(crate) registers: [u32; REGISTERS],
    pub(crate) descriptors: [u32; REGISTERS],
    pub(crate) filters: [u32; REGISTERS],
    pub(crate) errors: u32,
}

/// Which of a meter's alarm objects: each is there for register 1 and for register 2, but the error register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmValue {
    /// 0.0.97.97.0.255.
    Errors,
    /// 0.0.97.98.0.255 and 0.0.97.98.1.255.
    Register(usize),
    /// 0.0.97.98.10.255 and 0.0.97.98.11.255.
    Filter(usize),
    /// 0.0.97.98.20.255 and 0.0.97.98.21.255.
    Descriptor(usize),
}

impl AlarmValue {
    /// The value of an object 0.b.97.d.e.
    #[must_use]
    pub const fn from_groups(d: u8, e: u8) -> Option<Self> {
        Some(match (d, e) {
            (97, 0) => Self::Errors,
            (98, 0) => Self::Register(0),
            (98, 1) => Self::Register(1),
            (98, 10) => Self::Filter(0),
            (98, 11) => Self::Filter(1),
            (98, 20) => Self::Descriptor(0),
            (98, 21) => Self::Descriptor(1),
            _ => return None,
        })
    }
}

impl Alarms {
    /// No alarms, with what the filters let through.
    #[must_use]
    pub const fn new(layout: AlarmLayout, filters: [u32; REGISTERS]) -> Self {
        Self { layout, registers: [0; REGISTERS], descriptors: [0; REGISTERS], filters, errors: 0 }
    }

    /// An event happened. Returns whether a descriptor that was 0 is so no longer: what an alarm monitor with the
    /// threshold 0 acts on.
    pub fn happened(&mut self, event: u8) -> [bool; REGISTERS] {
        let mut crossed = [false; REGISTERS];
        let Some((register, bit)) = self.layout.bit(event) else { return crossed };
        let mask = 1_u32.checked_shl(bit.into()).unwrap_or(0);
        if register == 0 {
            // The error register has the layout of alarm register 1 and no filter.
            self.errors |= mask;
        }
        let filter = self.filters.get(register).copied().unwrap_or(0);
        if mask & filter == 0 {
            return crossed;
        }
        if let Some(found) = self.registers.get_mut(register) {
            *found |= mask;
        }
        if let (Some(found), Some(crossed)) = (self.descriptors.get_mut(register), crossed.get_mut(register)) {
            *crossed = *found == 0;
            *found |= mask;
        }
        crossed
    }

    /// Reads a value.
    #[must_use]
    pub fn get(&self, value: AlarmValue) -> u32 {
        match value {
            AlarmValue::Errors => Some(&self.errors),
            AlarmValue::Register(number) => self.registers.get(number),
            AlarmValue::Filter(number) => self.filters.get(number),
            AlarmValue::Descriptor(number) => self.descriptors.get(number),
        }
        .copied()
        .unwrap_or(0)
    }

    /// A client writes a value: a filter as it is, and of the others those bits go that are written as 0; none can be
    /// set. Returns the event that is to be entered, if any.
    pub fn set(&mut self, value: AlarmValue, written: u32) -> Option<u8> {
        let place = match value {
            AlarmValue::Errors => Some(&mut self.errors),
            AlarmValue::Register(number) => self.registers.get_mut(number),
            AlarmValue::Filter(number) => self.filters.get_mut(number),
            AlarmValue::Descriptor(number) => self.descriptors.get_mut(number),
        }?;
        *place = if matches!(value, AlarmValue::Filter(_)) { written } else { *place & written };
        match value {
            AlarmValue::Errors => Some(code::ERROR_REGISTER_CLEARED),
            AlarmValue::Register(_) => Some(code::ALARM_REGISTER_CLEARED),
            AlarmValue::Filter(_) => Some(code::PARAMETERS_CHANGED),
            AlarmValue::Descriptor(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_tables() {
        let idis = [
            (6, 0, 0),
            (7, 0, 1),
            (12, 0, 8),
            (16, 0, 11),
            (15, 0, 12),
            (40, 0, 13),
            (50, 0, 13),
            (201, 0, 13),
            (130, 0, 19),
            (103, 0, 20),
            (116, 0, 25),
            (132, 0, 31),
            (1, 1, 0),
            (2, 1, 1),
            (82, 1, 2),
            (87, 1, 7),
            (89, 1, 8),
            (91, 1, 10),
            (88, 1, 11),
            (52, 1, 12),
            (48, 1, 13),
            (94, 1, 16),
            (20, 1, 17),
            (158, 1, 18),
            (135, 1, 22),
            (164, 1, 27),
            (194, 1, 30),
            (68, 1, 31),
        ];
        for (event, register, bit) in idis {
            assert_eq!(AlarmLayout::Idis.bit(event), Some((register, bit)), "event {event}");
        }
        for (event, register, bit) in [(2, 0, 2), (44, 0, 13), (105, 0, 24), (88, 0, 30), (89, 0, 31), (95, 1, 2)] {
            assert_eq!(AlarmLayout::Dsmr.bit(event), Some((register, bit)), "event {event}");
        }
        for event in [0, 3, 5, 41, 60, 146, 255] {
            assert_eq!(AlarmLayout::Idis.bit(event), None, "event {event}");
        }
    }

    #[test]
    fn alarms_pass_their_filter_and_stay_until_they_are_acknowledged() {
        let mut alarms = Alarms::new(AlarmLayout::Idis, [1 << 13, 0]);
        assert_eq!(alarms.happened(code::POWER_DOWN), [false, false]);
        assert_eq!(alarms.get(AlarmValue::Register(1)), 0, "filtered");
        assert_eq!(alarms.happened(code::TERMINAL_COVER_REMOVED), [true, false]);
        assert_eq!(alarms.happened(code::MAGNETIC_FIELD), [false, false], "the descriptor is not 0 as it is");
        for value in [AlarmValue::Errors, AlarmValue::Register(0), AlarmValue::Descriptor(0)] {
            assert_eq!(alarms.get(value), 1 << 13);
        }
        assert_eq!(alarms.set(AlarmValue::Descriptor(0), !(1 << 13)), None);
        assert_eq!(alarms.get(AlarmValue::Descriptor(0)), 0);
        assert_eq!(alarms.get(AlarmValue::Register(0)), 1 << 13);
        assert_eq!(alarms.set(AlarmValue::Register(0), !0), Some(code::ALARM_REGISTER_CLEARED));
        assert_eq!(alarms.get(AlarmValue::Register(0)), 1 << 13, "writing sets nothing and clears 0s only");
        assert_eq!(alarms.happened(code::MAGNETIC_FIELD), [true, false]);
    }
}
