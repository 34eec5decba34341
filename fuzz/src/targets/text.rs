//! Text that people type, and the times of meters.

use std::fmt::Display;
use std::str::FromStr;

use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, Date, DateTime, Time};
use dlms::unit::{ScalerUnit, Unit};

/// What is printed is read as the same.
fn same<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(value) = T::from_str(text) {
        let printed = value.to_string();
        assert!(T::from_str(&printed).is_ok_and(|again| again == value), "{text} is printed as {printed}");
    }
}

pub(super) fn run(octets: &[u8]) {
    if let Ok(text) = std::str::from_utf8(octets) {
        same::<ObisCode>(text);
        same::<Date>(text);
        same::<Time>(text);
        same::<DateTime>(text);
        let _ = Unit::from_symbol(text);
    }
    if let Some((time, rest)) = octets.split_first_chunk::<12>() {
        let time = DateTime::from_bytes(time);
        let status = time.status().unwrap_or(ClockStatus::OK);
        let joined = DateTime::new(time.date(), time.time(), time.deviation_minutes(), status);
        assert_eq!((joined.date(), joined.time()), (time.date(), time.time()));
        let seconds = rest.first_chunk().map_or(1, |seconds| i64::from_be_bytes(*seconds));
        let _ = (time.to_string(), time.plus_seconds(seconds), time.with_inverted_deviation());
        if let Some(unix) = time.to_unix_seconds()
            && let (Some(deviation), Some(status)) = (time.deviation_minutes(), time.status())
        {
            let again = DateTime::from_unix_seconds(unix, deviation, status);
            assert_eq!(again.to_unix_seconds(), Some(unix), "{time}");
        }
    }
    if let Some((number, [scaler, unit, ..])) = octets.split_first_chunk::<16>() {
        let scaler_unit = ScalerUnit { scaler: *scaler as i8, unit: Unit(*unit) };
        let _ = scaler_unit.decimal(i128::from_be_bytes(*number)).to_string();
        let _ = scaler_unit.apply(1.0);
    }
}
