//! Profiles whose rows the file gives: `rows = "fixed"`.

use dlms::axdr::Value;
use dlms::time::DateTime;
use toml::Spanned;

use super::constant::within;
use crate::moment::Moment;
use crate::objects::CaptureObject;
use crate::simulator::meter::fixed_rows::{FixedRow, FixedRows};
use crate::simulator::model::notation;
use crate::simulator::model::objects::{Problem, here};

/// Rows that a file may give.
const ROWS_MAX: usize = 1_000;

/// Reads the rows; the time of a row is its first column with the value of a clock. `time_zone_min` is for times without
/// a deviation.
pub(in crate::simulator::model) fn build(
    source: &str,
    entries: &[Spanned<String>],
    columns: Vec<CaptureObject>,
    capacity: u32,
    time_zone_min: i16,
) -> Result<FixedRows, Problem> {
    if entries.len() > ROWS_MAX || u32::try_from(entries.len()).is_ok_and(|rows| rows > capacity) {
        return Err(here(&format!("there are more rows than the capacity, or more than {ROWS_MAX}")));
    }
    let clock = columns.iter().position(|column| (column.class_id.0, column.attribute.0) == (8, 2));
    let mut rows: Vec<FixedRow> = Vec::with_capacity(entries.len());
    for entry in entries {
        let refused = |message: &str| Problem::At(entry.span(), message.to_owned());
        let row = notation::parse(entry.get_ref())
            .map_err(|error| Problem::At(within(source, entry.span(), entry.get_ref(), error.at), error.message))?;
        let Value::Structure(values) = row else { return Err(refused("a row is a structure")) };
        if values.len() != columns.len() {
            let message = format!("this row has {} values, the profile {} columns", values.len(), columns.len());
            return Err(refused(&message));
        }
        let time = clock.and_then(|clock| values.get(clock)).map(|value| match value {
            Value::OctetString(octets) => {
                DateTime::from_slice(octets).and_then(|time| time.to_unix_seconds_or(time_zone_min))
            }
            _ => None,
        });
        let at = match time {
            None => Moment::default(),
            Some(Some(seconds)) => Moment::from_seconds(seconds),
            Some(None) => return Err(refused("the clock's column is an octet-string with a date-time")),
        };
        if rows.last().is_some_and(|(before, _)| *before > at) {
            return Err(refused("rows stand in the order of their time"));
        }
        rows.push((at, values.iter().map(|value| value.to_vec().into()).collect()));
    }
    Ok(FixedRows { columns, rows, capacity })
}
