//! Lines with several entries: power failures, and peaks of past months.

use core::iter::FusedIterator;

use thiserror::Error;

use super::{Fields, Object, Quantity, Telegram, Timestamp, Value};
use crate::obis::ObisCode;

/// Why a line with several entries cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The line does not begin with a number of entries.
    #[error("no number of entries")]
    NoCount,
    /// There are more or fewer entries than the line says.
    #[error("{announced} entries announced, {found} found")]
    Count {
        /// As the line says.
        announced: u8,
        /// Complete entries that are there.
        found: u8,
    },
    /// An entry is not of the form that the object has.
    #[error("entry {index} is malformed")]
    Entry {
        /// Which entry, from 0.
        index: u8,
    },
}

macro_rules! log {
    (
        $(#[$doc:meta])* $log:ident of $(#[$entry_doc:meta])* $entry:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $read:expr,)*
        } at $code:expr, names $names:literal, width $width:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $log<'a> {
            fields: Fields<'a>,
            left: u8,
        }

        $(#[$entry_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $entry {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'a> $log<'a> {
            /// The object that has the entries.
            pub const CODE: ObisCode = $code;

            /// Reads the line, if the telegram has it.
            ///
            /// # Errors
            /// [`LogError`].
            pub fn of(telegram: &Telegram<'a>) -> Result<Option<Self>, LogError> {
                telegram.object(Self::CODE).map(|object| Self::new(&object)).transpose()
            }

            /// Reads a line and checks all entries.
            ///
            /// # Errors
            /// [`LogError`].
            pub fn new(object: &Object<'a>) -> Result<Self, LogError> {
                let (fields, announced, found) = entries(object, $names, $width)?;
                let log = Self { fields, left: announced };
                if announced != found {
                    return Err(LogError::Count { announced, found });
                }
                let mut fields = fields;
                for index in 0..announced {
                    Self::entry(&mut fields).ok_or(LogError::Entry { index })?;
                }
                Ok(log)
            }

            fn entry(fields: &mut Fields<'a>) -> Option<$entry> {
                Some($entry { $($field: $read(fields.next()?.value())?,)* })
            }
        }

        impl Iterator for $log<'_> {
            type Item = $entry;

            fn next(&mut self) -> Option<$entry> {
                self.left = self.left.checked_sub(1)?;
                Self::entry(&mut self.fields)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (usize::from(self.left), Some(usize::from(self.left)))
            }
        }

        impl ExactSizeIterator for $log<'_> {}
        impl FusedIterator for $log<'_> {}
    };
}

log! {
    /// The log of long power failures: `1-0:99.97.0`.
    PowerFailures of
    /// A long power failure.
    PowerFailure {
        /// When it ended.
        end: Timestamp = time,
        /// How long it lasted, in seconds. Some meters print 2147483647 for the time before they were installed.
        duration_s: u32 = seconds,
    } at ObisCode::new(1, 0, 99, 97, 0, 255), names 1, width 2
}

log! {
    /// The highest quarter-hour demand of each past month (e-MUCS): `0-0:98.1.0`.
    MonthlyPeaks of
    /// The highest quarter-hour demand of a month.
    MonthlyPeak {
        /// When the value was stored: the first moment of the month after.
        stored: Timestamp = time,
        /// When the peak was. Of no month's peak the digits name no time.
        peak: Timestamp = time,
        /// The average power of that quarter hour.
        demand: Quantity = number,
    } at ObisCode::new(0, 0, 98, 1, 0, 255), names 2, width 3
}

fn time(value: Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Time(time) => Some(time),
        _ => None,
    }
}

fn number(value: Value<'_>) -> Option<Quantity> {
    match value {
        Value::Number(quantity) => Some(quantity),
        _ => None,
    }
}

fn seconds(value: Value<'_>) -> Option<u32> {
    let value = number(value)?.value;
    u32::try_from(value.digits).ok().filter(|_| value.exponent == 0)
}

/// The values behind the number of entries and `names` codes, the number, and how many entries of `width` values there
/// are. Without entries the codes may be missing or empty.
fn entries<'a>(object: &Object<'a>, names: usize, width: usize) -> Result<(Fields<'a>, u8, u8), LogError> {
    let mut fields = object.fields();
    let count = fields.next().and_then(|field| number(field.value())).ok_or(LogError::NoCount)?;
    let announced = u8::try_from(count.value.digits).map_err(|_| LogError::NoCount)?;
    let mut index = 0;
    for _ in 0..names {
        match fields.next().map(|field| field.value()) {
            Some(Value::Obis(_) | Value::Empty) => {}
            None if announced == 0 => {}
            _ => return Err(LogError::Entry { index }),
        }
        index = 0;
    }
    let values = fields.count();
    let found = values.checked_div(width).and_then(|found| u8::try_from(found).ok()).unwrap_or(u8::MAX);
    let whole = values.is_multiple_of(width) || announced != found;
    if whole { Ok((fields, announced, found)) } else { Err(LogError::Entry { index: found }) }
}
