//! Services that a meter sends unasked, and the date-time field that they share with ACCESS.

use crate::axdr::{BufferFull, Data, DecodeErrorKind, Writer};
use crate::deviation::Deviation;
use crate::time::DateTime;
use crate::wire::{Cursor, Refused, Wire, codec};

use super::{AttributeDescriptor, LongInvokeIdAndPriority, tag};

/// Octets of a date-time.
const DATE_TIME: u8 = 0x0C;
/// Data tag of an octet-string: Kaifa and Kamstrup meters put it in front of the date-time's length.
const OCTET_STRING_TAG: u8 = 0x09;
/// Data tag of a date-time, which has no length.
const DATE_TIME_TAG: u8 = 0x19;

/// The date-time of a header: an octet string of length 0 or 12.
pub(super) fn read_time(cursor: &mut Cursor<'_>) -> Result<Option<DateTime>, Refused> {
    match cursor.peek() {
        Some(DATE_TIME_TAG) => {
            cursor.note(Deviation::DateTimeForm);
            cursor.u8()?;
            return cursor.array().map(|octets| Some(DateTime::from_bytes(&octets)));
        }
        Some(OCTET_STRING_TAG) => {
            cursor.note(Deviation::DateTimeForm);
            cursor.u8()?;
        }
        _ => {}
    }
    let at = cursor.offset();
    match cursor.length("date-time")? {
        0 => Ok(None),
        12 => cursor.array().map(|octets| Some(DateTime::from_bytes(&octets))),
        _ => Err(cursor.refuse(at, DecodeErrorKind::InvalidLength { what: "date-time" })),
    }
}

/// Writes what [`read_time`] reads.
pub(super) fn write_time(writer: &mut Writer<'_>, time: Option<DateTime>) -> Result<(), BufferFull> {
    match time {
        Some(time) => writer.octet_string(&time.to_bytes()),
        None => writer.u8(0),
    }
}

/// DataNotification: a push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataNotification<'a> {
    /// Identifies the push; its confirmed bit asks for a [`DataNotificationConfirm`].
    pub invoke: LongInvokeIdAndPriority,
    /// When it was made.
    pub time: Option<DateTime>,
    /// What is pushed, normally a structure in the order of the push object list.
    pub body: Data<'a>,
}

codec!(DataNotification<'a>);

impl<'a> Wire<'a> for DataNotification<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("data-notification", tag::DATA_NOTIFICATION)?;
        Ok(Self { invoke: LongInvokeIdAndPriority::read(cursor)?, time: read_time(cursor)?, body: cursor.data()? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::DATA_NOTIFICATION)?;
        self.invoke.write(writer)?;
        write_time(writer, self.time)?;
        self.body.encode(writer)
    }
}

/// DataNotification-Confirm (from Green Book 9 on): the answer to a confirmed push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataNotificationConfirm {
    /// That of the push.
    pub invoke: LongInvokeIdAndPriority,
    /// When it was made.
    pub time: Option<DateTime>,
}

codec!(DataNotificationConfirm);

impl Wire<'_> for DataNotificationConfirm {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        cursor.require("data-notification-confirm", tag::DATA_NOTIFICATION_CONFIRM)?;
        Ok(Self { invoke: LongInvokeIdAndPriority::read(cursor)?, time: read_time(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::DATA_NOTIFICATION_CONFIRM)?;
        self.invoke.write(writer)?;
        write_time(writer, self.time)
    }
}

/// EventNotification: one attribute, sent when something happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventNotification<'a> {
    /// When it happened.
    pub time: Option<DateTime>,
    /// The attribute.
    pub attribute: AttributeDescriptor,
    /// Its value.
    pub value: Data<'a>,
}

codec!(EventNotification<'a>);

impl<'a> Wire<'a> for EventNotification<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("event-notification-request", tag::EVENT_NOTIFICATION)?;
        Ok(Self {
            time: read_event_time(cursor)?,
            attribute: AttributeDescriptor::read(cursor)?,
            value: cursor.data()?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::EVENT_NOTIFICATION)?;
        writer.present(self.time.is_some())?;
        if self.time.is_some() {
            write_time(writer, self.time)?;
        }
        self.attribute.write(writer)?;
        self.value.encode(writer)
    }
}

/// The OPTIONAL time of an EventNotification. Stacks disagree on what follows the presence octet: an octet
/// string, one with its Data tag, a typed date-time, or the twelve octets alone. One meter sends the
/// octet-string tag in place of the presence octet.
fn read_event_time(cursor: &mut Cursor<'_>) -> Result<Option<DateTime>, Refused> {
    if cursor.peek() == Some(OCTET_STRING_TAG) {
        return read_time(cursor);
    }
    if !cursor.present()? {
        return Ok(None);
    }
    match cursor.peek() {
        // Present, but empty.
        Some(0) => {
            cursor.note(Deviation::DateTimeForm);
            read_time(cursor)
        }
        Some(DATE_TIME | OCTET_STRING_TAG | DATE_TIME_TAG) => read_time(cursor),
        _ => {
            cursor.note(Deviation::DateTimeForm);
            cursor.array().map(|octets| Some(DateTime::from_bytes(&octets)))
        }
    }
}
