//! The customer port of a smart meter: P1 (DSMR 2.2 to 5, e-MUCS, Luxembourg, Austria) and its relatives such as the
//! Swedish H1 (IEC 62056-21, mode D): telegrams of text lines, sent unasked every second to every ten seconds.
//!
//! - [`Framer`] cuts telegrams out of what a serial line brings, plain or ciphered.
//! - [`Telegram`] is one of them, checked and borrowed: [`Telegram::objects`] walks through its lines, and every line
//!   gives its OBIS code and its values, typed.
//! - [`Telegram::mbus_devices`], [`PowerFailures`] and [`MonthlyPeaks`] read what takes more than one value or line.
//! - [`Decipherer`] opens the ciphered form with keys from the grid operator.
//! - [`TelegramWriter`] writes telegrams, for meters.
//!
//! Nothing here allocates, and the time that reading takes grows with the length of a telegram only.
//!
//! ```
//! use dlms::obis::ObisCode;
//! use dlms::p1::{CrcRule, Telegram, Value};
//!
//! let octets = b"/KFM5KAIFA-METER\r\n\r\n1-0:1.8.0(000025.653*kWh)\r\n!537B\r\n";
//! let telegram = Telegram::parse(octets, CrcRule::Required)?;
//! let energy = telegram.object(ObisCode::ACTIVE_IMPORT).and_then(|object| object.quantity()).unwrap();
//! assert_eq!((energy.value.to_string().as_str(), energy.unit.symbol()), ("25653", Some("Wh")));
//! # Ok::<(), dlms::p1::TelegramError>(())
//! ```
//!
//! Two things that a telegram does not say: in the Netherlands tariff 1 is the low one (night), in Flanders it is the
//! high one (day); and a time is local, so that the zone comes from the country (see [`Timestamp::date_time`]).

mod cipher;
mod crc;
mod framer;
mod log;
mod mbus;
mod object;
mod quantity;
mod telegram;
mod timestamp;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub use cipher::{CipheredError, Decipherer, LUXEMBOURG_AUTHENTICATION_KEY};
pub use crc::crc16;
pub use framer::{Dropped, Event, Framer, TELEGRAM_OCTETS_MAX};
pub use log::{LogError, MonthlyPeak, MonthlyPeaks, PowerFailure, PowerFailures};
pub use mbus::{MBUS_CHANNELS, MbusDevice, MbusReading};
pub use object::{Field, Fields, Object};
pub use quantity::{PrintedUnit, Quantity};
pub use telegram::{CrcRule, Line, Lines, Telegram, TelegramError};
pub use timestamp::{Season, Timestamp};
pub use value::{Hex, Value};
pub use writer::{EncodeError, NumberFormat, TelegramWriter};
