//! Captures as flat rows, one for each value: what files of tables hold.

use dlms::axdr::Value;
use jiff::Timestamp;

use crate::{
    operation::CaptureColumn,
    series::{Channel, Sample},
    store::{CaptureFlags, Source, StoredCapture},
};

/// One value of a capture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// The capture that it is part of.
    pub(crate) capture: &'a StoredCapture,
    /// What it is.
    pub(crate) column: &'a CaptureColumn,
    /// The raw value.
    pub(crate) value: &'a Value,
}

/// The values of a capture.
pub(crate) fn rows(capture: &StoredCapture) -> impl Iterator<Item = Row<'_>> {
    capture.columns.iter().zip(&capture.values).map(move |(column, value)| Row { capture, column, value })
}

impl Row<'_> {
    /// The value as a number with its scaler applied, where it is one.
    #[must_use]
    pub(crate) fn sample(&self) -> Option<Sample> {
        let CaptureColumn { class, obis, attribute, data_index, .. } = *self.column;
        Channel { obis, class: Some(class), attribute: Some(attribute), data_index }.sample(self.capture)
    }

    /// The value as text: numbers with their scaler applied, text as it is, octets in hexadecimal digits,
    /// anything else as A-XDR in hexadecimal digits behind `axdr:`.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        if let Some(sample) = self.sample() {
            return sample.value.to_string();
        }
        match self.value {
            Value::Null => String::new(),
            Value::Boolean(value) => value.to_string(),
            Value::Enum(value) => value.to_string(),
            Value::OctetString(octets) => hex::encode(octets),
            Value::VisibleString(text) | Value::Utf8String(text) => match std::str::from_utf8(text) {
                Ok(text) => text.to_owned(),
                Err(_) => hex::encode(text),
            },
            other => format!("axdr:{}", hex::encode(other.to_vec())),
        }
    }

    /// Symbol of the unit, empty where there is none.
    #[must_use]
    pub(crate) fn unit(&self) -> &'static str {
        self.column.scaler_unit.and_then(|scaler_unit| scaler_unit.unit.symbol()).unwrap_or_default()
    }
}

/// The name of how a capture came to us.
#[must_use]
pub(crate) const fn source(source: Source) -> &'static str {
    match source {
        Source::Polled => "polled",
        Source::Pushed => "pushed",
        Source::Telegram => "telegram",
    }
}

/// The names of what was noticed, with spaces between them.
#[must_use]
pub(crate) fn flags(flags: CaptureFlags) -> String {
    flags.names().collect::<Vec<_>>().join(" ")
}

/// A moment as RFC 3339 in UTC, to the millisecond.
#[must_use]
pub(crate) fn moment(time: Timestamp) -> String {
    format!("{time:.3}")
}
