//! Where the rows of a simulated meter's profiles come from: computed when they are read.

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Cursor;
use dlms::axdr::Writer;
use dlms::cosem::Array;
use dlms::time::Date;

use super::Meter;
use super::events::{LogKind, code};
use crate::moment::Moment;
use crate::object::{Context, Read};
use crate::objects::{CaptureObject, RowRange, Rows};
use crate::simulator::record::record;

/// Seconds of a day; a profile with this period captures at local midnight.
const DAY_SECONDS: u32 = 86_400;

/// Columns that a client may configure at most.
const COLUMNS_MAX: usize = 32;

/// Capture periods that a client may set, in seconds.
const PERIODS: [u32; 8] = [60, 300, 600, 900, 1_800, 3_600, 7_200, DAY_SECONDS];

/// What clients changed about a profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProfileState {
    /// When it was emptied last; rows captured before are gone.
    emptied: Option<Moment>,
    period_seconds: Option<u32>,
    /// How often anything changed.
    generation: u32,
    columns: Option<Vec<CaptureObject>>,
}

record! {
    ProfileState { emptied, period_seconds, generation, columns }
}

/// When a profile captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    /// Every so many seconds; 86400 is each local midnight.
    Seconds(u32),
    /// At the start of each month by the local calendar.
    Month,
    /// When it is read. So that an answer in several blocks stays the same row, what is read together within a quarter
    /// of a minute is one capture.
    Current,
}

/// Seconds for which a capture of current values stands.
const CURRENT_SECONDS: u32 = 15;

/// Rows captured at fixed intervals, each computed from what its columns show at that moment.
///
/// A row's sequence number is its moment in intervals since 1970 (in days or months of the local calendar for a daily
/// or monthly profile), so any row is found without the others.
#[derive(Clone, Debug)]
pub(crate) struct PeriodicRows {
    /// Number of the profile's state in the meter.
    pub(crate) slot: usize,
    pub(crate) columns: Vec<CaptureObject>,
    pub(crate) interval: Interval,
    pub(crate) capacity: u32,
}

impl PeriodicRows {
    fn interval(&self, meter: &Meter) -> Interval {
        let configured = meter.profiles.get(&self.slot).and_then(|state| state.period_seconds);
        configured.map_or(self.interval, Interval::Seconds)
    }

    /// Seconds between rows, unless they follow the calendar.
    fn seconds(&self, meter: &Meter) -> Option<u32> {
        match self.interval(meter) {
            Interval::Month => None,
            Interval::Current => Some(CURRENT_SECONDS),
            Interval::Seconds(seconds) => Some(seconds),
        }
    }

    /// Sequence number of the newest row at or before `moment`.
    fn row_before(&self, meter: &Meter, moment: Moment) -> u64 {
        let date = meter.stamp(moment).date();
        let row = match self.seconds(meter) {
            None => {
                let (year, month) = (date.year().unwrap_or(1970), date.month().unwrap_or(1));
                let months = (i64::from(year) - 1970) * 12 + i64::from(month) - 1;
                return u64::try_from(months).unwrap_or(0) + meter.billing_resets(moment);
            }
            Some(DAY_SECONDS) => date.to_unix_days().unwrap_or(0),
            Some(seconds) => moment.as_seconds().div_euclid(i64::from(seconds.max(1))),
        };
        u64::try_from(row).unwrap_or(0)
    }

    fn moment_of(&self, meter: &Meter, row: u64) -> Moment {
        let mut row = row;
        if self.seconds(meter).is_none() {
            let ordinal = |at| self.row_before(meter, at) - meter.billing_resets(at);
            match meter.billing_reset(row, ordinal) {
                Ok(reset) => return reset,
                Err(month) => row = month,
            }
        }
        let row = i64::try_from(row).unwrap_or(i64::MAX);
        match self.seconds(meter) {
            None => {
                let year = u16::try_from((row / 12).saturating_add(1970)).ok();
                let month = u8::try_from(row % 12 + 1).ok();
                let date = year.zip(month).and_then(|(year, month)| Date::new(year, month, 1));
                let days = date.and_then(Date::to_unix_days);
                days.map_or(Moment::from_millis(i64::MAX), |days| meter.clock.settings.midnight(days))
            }
            Some(DAY_SECONDS) => meter.clock.settings.midnight(row),
            Some(seconds) => Moment::from_seconds(row.saturating_mul(i64::from(seconds))),
        }
    }

    fn change(&self, meter: &mut Meter, at: Moment, change: impl FnOnce(&mut ProfileState)) {
        let state = meter.profiles.entry(self.slot).or_default();
        change(state);
        state.emptied = Some(at);
        state.generation = state.generation.wrapping_add(1);
        meter.record(LogKind::Standard, at, code::PROFILE_CLEARED);
    }
}

impl Rows<Meter> for PeriodicRows {
    fn columns<'a>(&'a self, meter: &'a Meter) -> &'a [CaptureObject] {
        meter.profiles.get(&self.slot).and_then(|state| state.columns.as_deref()).unwrap_or(&self.columns)
    }

    fn capture_period(&self, meter: &Meter) -> u32 {
        match self.interval(meter) {
            Interval::Seconds(seconds) => seconds,
            // A month has no number of seconds: the class has 0 for "not by this attribute".
            Interval::Month | Interval::Current => 0,
        }
    }

    fn capacity(&self, _: &Meter) -> u32 {
        self.capacity
    }

    fn generation(&self, meter: &Meter) -> u32 {
        meter.profiles.get(&self.slot).map_or(0, |state| state.generation)
    }

    fn range(&self, meter: &Meter, cx: &Context<'_, Meter>) -> RowRange {
        let installed = Moment::from_millis(meter.consumption.installed_ms());
        let since = meter.profiles.get(&self.slot).and_then(|state| state.emptied).unwrap_or(installed);
        let oldest = self.row_before(meter, since).saturating_add(1);
        let newest = self.row_before(meter, cx.at);
        let count = newest.saturating_add(1).saturating_sub(oldest).min(u64::from(self.capacity));
        RowRange { first: newest.saturating_add(1).saturating_sub(count), count: u32::try_from(count).unwrap_or(0) }
    }

    fn row_time(&self, meter: &Meter, _: &Context<'_, Meter>, row: u64) -> Moment {
        self.moment_of(meter, row)
    }

    fn lower_bound(&self, meter: &Meter, cx: &Context<'_, Meter>, moment: Moment) -> u64 {
        let range = self.range(meter, cx);
        let (first, last) = (self.moment_of(meter, range.first), cx.at);
        if range.count == 0 || moment <= first {
            return range.first;
        }
        if moment > last {
            return range.first.saturating_add(u64::from(range.count));
        }
        let before = self.row_before(meter, moment);
        if self.moment_of(meter, before) < moment { before.saturating_add(1) } else { before }
    }

    fn write_value(
        &self,
        meter: &Meter,
        cx: &Context<'_, Meter>,
        row: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        captured(meter, cx, self.moment_of(meter, row), column, out)
    }

    fn set_columns(
        &self,
        meter: &mut Meter,
        cx: &Context<'_, Meter>,
        list: Array<'_, CaptureObject>,
    ) -> Result<(), DataAccessResult> {
        if list.is_empty() || list.len() > COLUMNS_MAX {
            return Err(DataAccessResult::OtherReason);
        }
        let mut columns = Vec::with_capacity(list.len());
        for item in list {
            let column = item.map_err(|_| DataAccessResult::TypeUnmatched)?;
            check_column(cx.table, &column).map_err(|_| DataAccessResult::ObjectUndefined)?;
            columns.push(column);
        }
        self.change(meter, cx.at, |state| state.columns = Some(columns));
        Ok(())
    }

    fn set_capture_period(
        &self,
        meter: &mut Meter,
        cx: &Context<'_, Meter>,
        seconds: u32,
    ) -> Result<(), DataAccessResult> {
        if !PERIODS.contains(&seconds) || !matches!(self.interval, Interval::Seconds(_)) {
            return Err(DataAccessResult::OtherReason);
        }
        self.change(meter, cx.at, |state| state.period_seconds = Some(seconds));
        Ok(())
    }

    fn reset(&self, meter: &mut Meter, cx: &Context<'_, Meter>) -> Result<(), ActionResult> {
        self.change(meter, cx.at, |_| {});
        Ok(())
    }

    fn capture(&self, meter: &mut Meter, cx: &Context<'_, Meter>) -> Result<(), ActionResult> {
        // Rows of a period are where its end is, whoever asks.
        if self.interval != Interval::Month {
            return Err(ActionResult::ReadWriteDenied);
        }
        meter.end_billing_period(cx.at);
        Ok(())
    }
}

/// The entries of an event log.
#[derive(Clone, Debug)]
pub(crate) struct EventRows {
    pub(crate) kind: LogKind,
    pub(crate) columns: Vec<CaptureObject>,
}

impl Rows<Meter> for EventRows {
    fn columns<'a>(&'a self, _: &'a Meter) -> &'a [CaptureObject] {
        &self.columns
    }

    fn capture_period(&self, _: &Meter) -> u32 {
        0
    }

    fn capacity(&self, meter: &Meter) -> u32 {
        meter.model.log_capacity(self.kind)
    }

    fn range(&self, meter: &Meter, cx: &Context<'_, Meter>) -> RowRange {
        meter.log(self.kind, cx.at).range()
    }

    fn row_time(&self, meter: &Meter, cx: &Context<'_, Meter>, row: u64) -> Moment {
        meter.log(self.kind, cx.at).entry(row).map_or(Moment::default(), |event| event.at)
    }

    fn write_value(
        &self,
        meter: &Meter,
        cx: &Context<'_, Meter>,
        row: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        // An entry that was dropped between two blocks of an answer can no longer be told.
        let event = meter.log(self.kind, cx.at).entry(row).ok_or(DataAccessResult::DataBlockUnavailable)?;
        let [_, _, c, d, e, _] = column.instance.0;
        if column.class_id.0 == 1 && (c, d, e) == (96, 11, self.kind.group_e()) {
            return Ok(out.unsigned(event.code)?);
        }
        captured(meter, cx, event.at, column, out)
    }

    fn reset(&self, meter: &mut Meter, cx: &Context<'_, Meter>) -> Result<(), ActionResult> {
        meter.clear_log(self.kind, cx.at);
        Ok(())
    }
}

/// The long power failures, each with the time of its end.
#[derive(Clone, Debug)]
pub(crate) struct FailureRows {
    /// Number of the profile's state in the meter.
    pub(crate) slot: usize,
    pub(crate) columns: Vec<CaptureObject>,
    pub(crate) capacity: u32,
}

impl FailureRows {
    /// When each ended; the number of a row is that of the failure since the meter is there.
    fn ends(&self, meter: &Meter, at: Moment) -> Vec<Moment> {
        meter.long_failures(at).into_iter().map(|failure| failure.end).collect()
    }
}

impl Rows<Meter> for FailureRows {
    fn columns<'a>(&'a self, _: &'a Meter) -> &'a [CaptureObject] {
        &self.columns
    }

    fn capture_period(&self, _: &Meter) -> u32 {
        0
    }

    fn capacity(&self, _: &Meter) -> u32 {
        self.capacity
    }

    fn range(&self, meter: &Meter, cx: &Context<'_, Meter>) -> RowRange {
        let ends = self.ends(meter, cx.at);
        let emptied = meter.profiles.get(&self.slot).and_then(|state| state.emptied);
        let gone = emptied.map_or(0, |emptied| ends.partition_point(|end| *end <= emptied));
        let count = u32::try_from(ends.len() - gone).unwrap_or(u32::MAX).min(self.capacity);
        RowRange { first: ends.len() as u64 + 1 - u64::from(count), count }
    }

    fn row_time(&self, meter: &Meter, cx: &Context<'_, Meter>, row: u64) -> Moment {
        let index = usize::try_from(row).ok().and_then(|row| row.checked_sub(1));
        index.and_then(|index| self.ends(meter, cx.at).get(index).copied()).unwrap_or_default()
    }

    fn write_value(
        &self,
        meter: &Meter,
        cx: &Context<'_, Meter>,
        row: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        captured(meter, cx, self.row_time(meter, cx, row), column, out)
    }

    fn reset(&self, meter: &mut Meter, cx: &Context<'_, Meter>) -> Result<(), ActionResult> {
        meter.profiles.entry(self.slot).or_default().emptied = Some(cx.at);
        Ok(())
    }
}

/// Writes what a column showed at a moment.
pub(super) fn captured(
    meter: &Meter,
    cx: &Context<'_, Meter>,
    at: Moment,
    column: &CaptureObject,
    out: &mut Writer<'_>,
) -> Result<(), DataAccessResult> {
    if column.class_id.0 == 8 && column.attribute.0 == 2 {
        return Ok(out.date_time(&meter.stamp(at))?);
    }
    let object = cx.table.find(column.class_id, column.instance).and_then(|index| cx.table.object(index));
    let object = object.ok_or(DataAccessResult::ObjectUndefined)?;
    if column.attribute.0 == 1 {
        return Ok(out.obis(column.instance)?);
    }
    let request = Read { attribute: column.attribute, selection: None };
    object.read(meter, &cx.at(at), request, &mut Cursor::default(), out).map(drop)
}

/// Why a column cannot be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ColumnError {
    #[error("there is no such object")]
    Undefined,
    #[error("the class has no such attribute")]
    Attribute,
    #[error("values of several parts (classes 7, 15 and 17) cannot be captured")]
    Parts,
    #[error("parts of an attribute (a data index other than 0) cannot be captured")]
    DataIndex,
}

/// Whether `column` can be captured by a profile of this table.
pub(crate) fn check_column(table: &dyn crate::ObjectTable<Meter>, column: &CaptureObject) -> Result<(), ColumnError> {
    let object = table.find(column.class_id, column.instance).and_then(|index| table.object(index));
    let object = object.ok_or(ColumnError::Undefined)?;
    if column.attribute.0 < 1 || column.attribute.0 > object.attributes() {
        return Err(ColumnError::Attribute);
    }
    if column.data_index != 0 {
        return Err(ColumnError::DataIndex);
    }
    match column.class_id.0 {
        7 | 15 | 17 => Err(ColumnError::Parts),
        _ => Ok(()),
    }
}
