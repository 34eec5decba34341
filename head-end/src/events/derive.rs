//! Events out of what meters keep and send: rows of event logs, bits of alarm registers.

use dlms::{axdr::Value, obis::ObisCode, time::DateTime};
use jiff::Timestamp;

use super::EventTable;
use crate::{
    meter::{MeterId, TimeBasis},
    operation::{CaptureColumn, CaptureRow},
    store::{CaptureBatch, EventCategory, EventOrigin, NewEvent, Source},
};

/// The column with the codes of an event log: the value of 0.x.96.11.x.
pub(crate) fn code_column(columns: &[CaptureColumn]) -> Option<usize> {
    columns.iter().position(|column| is_event_code(column.obis) && column.attribute.0 == 2)
}

/// Whether this is an event object (Blue Book: 0.x.96.11.x), whose value is the code of the last event.
pub(crate) const fn is_event_code(obis: ObisCode) -> bool {
    matches!(obis.0, [0, _, 96, 11, ..])
}

/// The number, from 1, of an alarm register (0.0.97.98.0 to 9) or alarm descriptor (20 to 29).
pub(crate) const fn alarm_register(obis: ObisCode) -> Option<u8> {
    match obis.0 {
        [0, _, 97, 98, n @ 0..=9, _] => Some(n + 1),
        [0, _, 97, 98, n @ 20..=29, _] => Some(n - 19),
        _ => None,
    }
}

/// The events of a batch that holds rows of an event log; none of any other.
pub(crate) fn of_batch(batch: &CaptureBatch, table: &EventTable) -> Vec<NewEvent> {
    let Some(column) = batch.profile.and(code_column(&batch.columns)) else { return Vec::new() };
    batch.rows.iter().filter_map(|row| of_row(batch, column, row, table)).collect()
}

fn of_row(batch: &CaptureBatch, column: usize, row: &CaptureRow, table: &EventTable) -> Option<NewEvent> {
    let code = u32::try_from(row.values.get(column)?.as_data()?.as_u64()?).ok()?;
    let others = batch.columns.iter().zip(&row.values).enumerate();
    let detail: Vec<String> = others
        .filter(|(place, (other, _))| *place != column && !is_time(other))
        .map(|(_, (other, value))| format!("{}={}", other.obis, text(value)))
        .collect();
    let event = of_code(code, table);
    Some(NewEvent {
        meter: Some(batch.meter.clone()),
        time: row.time,
        time_basis: row.time_basis,
        clock: row.clock,
        origin: if batch.source == Source::Polled { EventOrigin::Log } else { EventOrigin::Pushed },
        source: batch.profile,
        detail: detail.join(" "),
        received: batch.received,
        ..event
    })
}

/// An event with the meaning of its code; the rest is to be filled in.
pub(crate) fn of_code(code: u32, table: &EventTable) -> NewEvent {
    let meaning = table.event(code);
    NewEvent {
        meter: None,
        time: Timestamp::UNIX_EPOCH,
        time_basis: TimeBasis::Received,
        clock: None,
        origin: EventOrigin::Log,
        source: None,
        code: Some(code),
        name: meaning.map_or_else(|| format!("event {code}"), |meaning| meaning.name.to_owned()),
        category: meaning.map_or(EventCategory::Other, |meaning| meaning.category),
        iec_code: meaning.map(|meaning| meaning.iec_code.to_owned()).unwrap_or_default(),
        alarm: meaning.is_some_and(|meaning| meaning.alarm),
        detail: String::new(),
        received: Timestamp::UNIX_EPOCH,
    }
}

/// When something became known, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion {
    pub(crate) time: Timestamp,
    pub(crate) time_basis: TimeBasis,
    pub(crate) clock: Option<DateTime>,
    pub(crate) origin: EventOrigin,
    pub(crate) received: Timestamp,
}

/// The events of bits that are set in an alarm register.
pub(crate) fn of_alarms(
    meter: &MeterId,
    register: ObisCode,
    bits: u32,
    table: &EventTable,
    occasion: Occasion,
) -> Vec<NewEvent> {
    let Some(number) = alarm_register(register) else { return Vec::new() };
    let set = (0..32_u8).filter(|bit| bits & 1 << bit != 0);
    let event = |bit: u8| {
        let meaning = table.alarm(number, bit);
        NewEvent {
            meter: Some(meter.clone()),
            time: occasion.time,
            time_basis: occasion.time_basis,
            clock: occasion.clock,
            origin: occasion.origin,
            source: Some(register),
            code: Some(bit.into()),
            name: meaning.map_or_else(|| format!("alarm bit {bit} of register {number}"), |of| of.name.to_owned()),
            category: meaning.map_or(EventCategory::Other, |meaning| meaning.category),
            iec_code: meaning.map(|meaning| meaning.iec_code.to_owned()).unwrap_or_default(),
            alarm: true,
            detail: format!("bit {bit} of alarm register {number}"),
            received: occasion.received,
        }
    };
    set.map(event).collect()
}

fn is_time(column: &CaptureColumn) -> bool {
    column.class.0 == 8 && column.attribute.0 == 2
}

/// A value in a few words.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::VisibleString(octets) | Value::Utf8String(octets) => String::from_utf8_lossy(octets).into_owned(),
        Value::OctetString(octets) => hex::encode_upper(octets),
        other => match other.as_data().and_then(|data| data.as_i64()) {
            Some(number) => number.to_string(),
            None => hex::encode_upper(other.to_vec()),
        },
    }
}
