//! How the meter's own types, and those of the interface classes, are written down.

use dlms::axdr::{Data, Reader, Writer};
use dlms::cosem::account::{AccountStatus, CurrencyUnit, PaymentMode};
use dlms::cosem::action::{ActionItem, ActionSet, MonitoredValue};
use dlms::cosem::activity_calendar::DayAction;
use dlms::cosem::association_ln::ObjectId;
use dlms::cosem::charge::ChargeType;
use dlms::cosem::credit::{CreditStatus, CreditType};
use dlms::cosem::image_transfer::ImageTransferStatus;
use dlms::cosem::limiter::{EmergencyProfile, LimiterActions};
use dlms::cosem::profile_generic::CaptureObject;
use dlms::cosem::special_days_table::SpecialDay;
use dlms::cosem::token_gateway::{TokenDeliveryMethod, TokenStatusCode};
use dlms::cosem::{FromData, ToData};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::{Date, DateTime, Time};

use super::{Record, record};
use crate::alarms::Alarms;
use crate::demand::DemandWindow;
use crate::events::LogKind;
use crate::limiter::{LimiterSettings, Limiting, Side};
use crate::moment::Moment;
use crate::number::{Number, NumberKind};
use crate::objects::{ClockSettings, ControlState, PresetTime, Switch};
use crate::prepayment::{Charge, Credit, Currency, LastToken, Prepayment, Price, UnitPrice};
use crate::register_monitor::{MonitorSettings, Monitoring};
use crate::tariff::{Calendar, Day, Mask, RegisterActivation, Season, SpecialDays, Week};

/// Octets of the longest structure that is written as A-XDR.
const AXDR_MAX: usize = 128;

/// Structures of the classes as A-XDR.
macro_rules! as_axdr {
    ($($type:ty),* $(,)?) => { $(
        impl Record for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let mut room = [0; AXDR_MAX];
                let mut writer = Writer::new(&mut room);
                // All of them are shorter by far.
                let _ = self.to_data(&mut writer);
                out.extend_from_slice(writer.written());
            }

            fn take(octets: &mut &[u8]) -> Option<Self> {
                let mut reader = Reader::new(octets);
                let data = Data::decode(&mut reader).ok()?;
                let value = Self::from_data(data).ok()?;
                *octets = reader.rest();
                Some(value)
            }
        }
    )* };
}

as_axdr! {
    AccountStatus, ActionItem, ActionSet, CaptureObject, ChargeType, ControlState, CreditStatus, CreditType, CurrencyUnit, EmergencyProfile,
    ImageTransferStatus, LimiterActions, MonitoredValue, ObjectId, PaymentMode, TokenDeliveryMethod,
    TokenStatusCode,
}

macro_rules! as_octets {
    ($($type:ty: $octets:literal, $to:expr, $from:expr;)*) => { $(
        impl Record for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let to: fn(&Self) -> [u8; $octets] = $to;
                out.extend_from_slice(&to(self));
            }

            fn take(octets: &mut &[u8]) -> Option<Self> {
                let (head, rest) = octets.split_first_chunk::<$octets>()?;
                *octets = rest;
                let from: fn(&[u8; $octets]) -> Self = $from;
                Some(from(head))
            }
        }
    )* };
}

as_octets! {
    ObisCode: 6, |code| code.0, |octets| Self(*octets);
    Date: 5, |date| date.to_bytes(), Self::from_bytes;
    DateTime: 12, |time| time.to_bytes(), Self::from_bytes;
    Time: 4, |time| time.to_bytes(), Self::from_bytes;
}

impl Record for Moment {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_millis().put(out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        i64::take(octets).map(Self::from_millis)
    }
}

/// Kinds by a number.
macro_rules! as_number {
    ($($type:ty { $($number:literal = $kind:ident),* $(,)? })*) => { $(
        impl Record for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$kind => $number),* });
            }

            fn take(octets: &mut &[u8]) -> Option<Self> {
                match u8::take(octets)? {
                    $($number => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    )* };
}

as_number! {
    LogKind { 0 = Standard, 1 = Fraud, 2 = Disconnector, 3 = MBus, 4 = PowerQuality, 5 = Communication }
    Side { 0 = Under, 1 = Over }
    NumberKind {
        0 = Integer, 1 = Long, 2 = DoubleLong, 3 = Long64,
        4 = Unsigned, 5 = LongUnsigned, 6 = DoubleLongUnsigned, 7 = Long64Unsigned,
    }
}

record! {
    ClassId { 0 }
    AttributeId { 0 }
    ClockSettings {
        time_zone_min, daylight_begin, daylight_end, daylight_deviation_min, daylight_enabled, clock_base,
        measuring_period_seconds, preset,
    }
    PresetTime { time, valid_from, valid_to }
    Switch { state, mode }
    Alarms { layout, registers, descriptors, filters, errors }
    DemandWindow { period_s, periods, origin, since, cut }
    LimiterSettings {
        monitored, normal, emergency_threshold, min_over_s, min_under_s, emergency, activation, groups, actions,
    }
    Limiting { side, crossed }
    MonitorSettings { thresholds, monitored, actions }
    Monitoring { above }
    Number { kind, value }
    Mask { name, indices }
    RegisterActivation { registers, masks }
    Season { name, start, week }
    Week { name, days }
    SpecialDay { index, date, day_id }
    SpecialDays { entries }
    Currency { name, scale, unit }
    LastToken { token, at, status, delivery }
    Credit {
        instance, amount, kind, priority, warning, limit, configuration, status, preset, available_threshold, period,
    }
    Price { tariff, per_unit }
    UnitPrice { commodity_scale, price_scale, commodity, prices }
    Charge {
        instance, paid, kind, priority, active, passive, activation, period_s, configuration, collected, last_amount,
        remaining, proportion, counted, fraction,
    }
    Prepayment {
        mode, status, activated, closed, currency, clearance_threshold, low_credit_threshold, next_credit_threshold, credits,
        charges, last_token, token_number,
    }
}

as_number! {
    crate::alarms::AlarmLayout { 0 = Idis, 1 = Dsmr }
}

/// The time of a switching, which is mostly a whole minute: twice the minute of the day, or 1 and what the time is.
fn put_start(time: Time, out: &mut Vec<u8>) {
    match time.to_bytes() {
        [hour @ 0..24, minute @ 0..60, 0, 0] => ((u16::from(hour) * 60 + u16::from(minute)) * 2).put(out),
        _ => {
            1_u16.put(out);
            time.put(out);
        }
    }
}

fn take_start(octets: &mut &[u8]) -> Option<Time> {
    let minute = match u16::take(octets)? {
        1 => return Time::take(octets),
        twice if twice % 2 == 0 => twice / 2,
        _ => return None,
    };
    Some(Time::from_bytes(&[u8::try_from(minute / 60).ok()?, u8::try_from(minute % 60).ok()?, 0, 0]))
}

/// The script tables that days name are mostly one: each is written once.
impl Record for Calendar {
    fn put(&self, out: &mut Vec<u8>) {
        self.name.put(out);
        self.seasons.put(out);
        self.weeks.put(out);
        let mut tables: Vec<ObisCode> = Vec::new();
        for action in self.days.iter().flat_map(|day| &day.actions) {
            if !tables.contains(&action.script_table) {
                tables.push(action.script_table);
            }
        }
        tables.put(out);
        self.days.len().put(out);
        for day in &self.days {
            day.id.put(out);
            day.actions.len().put(out);
            for action in &day.actions {
                put_start(action.start_time, out);
                tables.iter().position(|table| *table == action.script_table).unwrap_or(0).put(out);
                action.script_selector.put(out);
            }
        }
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let (name, seasons, weeks) = (Record::take(octets)?, Record::take(octets)?, Record::take(octets)?);
        let tables = Vec::<ObisCode>::take(octets)?;
        let mut days = heapless::Vec::new();
        for _ in 0..usize::take(octets)? {
            let mut day = Day { id: u8::take(octets)?, actions: heapless::Vec::new() };
            for _ in 0..usize::take(octets)? {
                let start_time = take_start(octets)?;
                let script_table = *tables.get(usize::take(octets)?)?;
                let action = DayAction { start_time, script_table, script_selector: u16::take(octets)? };
                day.actions.push(action).ok()?;
            }
            days.push(day).ok()?;
        }
        Some(Self { name, seasons, weeks, days })
    }
}
