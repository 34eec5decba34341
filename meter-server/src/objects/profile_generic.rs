//! Profile generic (class 7, version 1).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::obis::ObisCode;

use super::CaptureObject;
use super::clock::ClockState;
use super::profile_selection::{BY_ENTRY, BY_RANGE, BufferSelection};
use crate::moment::Moment;
use crate::object::{Context, Object, Read, done, full};

/// The rows that a profile holds: consecutive sequence numbers, the oldest first.
///
/// A sequence number stays with its row, so that an answer in several blocks goes on with the same rows although
/// new ones were captured and old ones dropped meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowRange {
    /// Sequence number of the oldest row.
    pub first: u64,
    /// Number of rows.
    pub count: u32,
}

/// Where the rows of a profile come from.
pub trait Rows<S: ?Sized> {
    /// Attribute 3, at most 64 columns.
    fn columns<'a>(&'a self, state: &'a S) -> &'a [CaptureObject];

    /// Attribute 4: seconds between rows, 0 for a profile that captures on events only.
    fn capture_period(&self, state: &S) -> u32;

    /// Attribute 8: rows that the profile can hold.
    fn capacity(&self, state: &S) -> u32;

    /// The rows held at the moment of `cx`.
    fn range(&self, state: &S, cx: &Context<'_, S>) -> RowRange;

    /// When a row was captured.
    fn row_time(&self, state: &S, cx: &Context<'_, S>, row: u64) -> Moment;

    /// Sequence number of the first row captured at or after `moment`; the one behind the newest row when there is
    /// none. The default searches by halves.
    fn lower_bound(&self, state: &S, cx: &Context<'_, S>, moment: Moment) -> u64 {
        let range = self.range(state, cx);
        let (mut low, mut high) = (range.first, range.first.saturating_add(u64::from(range.count)));
        while low < high {
            let middle = low.midpoint(high);
            if self.row_time(state, cx, middle) < moment {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        low
    }

    /// Writes one value of a row.
    ///
    /// # Errors
    /// What the client gets instead of the buffer.
    fn write_value(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        row: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult>;

    /// Sets the columns, which empties the profile; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; nothing changed then.
    fn set_columns(&self, state: &mut S, cx: &Context<'_, S>, value: Data<'_>) -> Result<(), DataAccessResult> {
        let _ = (state, cx, value);
        Err(DataAccessResult::ReadWriteDenied)
    }

    /// Sets the capture period, which empties the profile; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; nothing changed then.
    fn set_capture_period(&self, state: &mut S, cx: &Context<'_, S>, seconds: u32) -> Result<(), DataAccessResult> {
        let _ = (state, cx, seconds);
        Err(DataAccessResult::ReadWriteDenied)
    }

    /// Empties the profile; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; nothing changed then.
    fn reset(&self, state: &mut S, cx: &Context<'_, S>) -> Result<(), ActionResult> {
        let _ = (state, cx);
        Err(ActionResult::ReadWriteDenied)
    }
}

/// Rows of captured values, first in first out.
///
/// The buffer is written row by row from wherever [`Rows`] has it: no row is held in memory. Ranges restrict the
/// clock column only. The method `capture` is not offered.
#[derive(Clone, Debug)]
pub struct ProfileGeneric<R> {
    /// Logical name.
    pub instance: ObisCode,
    /// The rows.
    pub rows: R,
}

impl<R> ProfileGeneric<R> {
    fn read_buffer<S: ClockState + ?Sized>(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        request: Read<'_>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult>
    where
        R: Rows<S>,
    {
        let columns = self.rows.columns(state);
        let selection = BufferSelection::new(request.selection, columns, state.settings())?;
        let Some(number) = cursor.part.checked_sub(1) else {
            let range = self.rows.range(state, cx);
            let (first, count) = selection.rows(range, |moment| self.rows.lower_bound(state, cx, moment));
            cursor.anchor = first;
            cursor.extent = u64::from(count);
            let count = usize::try_from(count).map_err(|_| DataAccessResult::OtherReason)?;
            done(out.array(count))?;
            return Ok(if count == 0 { Progress::Done } else { Progress::More });
        };
        let row = cursor.anchor.saturating_add(u64::from(number));
        out.structure(selection.columns.of(columns.len())).map_err(full)?;
        for (index, column) in columns.iter().enumerate() {
            if selection.columns.contains(index) {
                self.rows.write_value(state, cx, row, column, out)?;
            }
        }
        Ok(if u64::from(cursor.part) < cursor.extent { Progress::More } else { Progress::Done })
    }
}

impl<S: ClockState + ?Sized, R: Rows<S>> Object<S> for ProfileGeneric<R> {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(7)
    }

    fn version(&self) -> u8 {
        1
    }

    fn attributes(&self) -> i8 {
        8
    }

    fn methods(&self) -> i8 {
        2
    }

    fn selectors(&self, attribute: AttributeId) -> &'static [u8] {
        if attribute.0 == 2 { &[BY_RANGE, BY_ENTRY] } else { &[] }
    }

    fn read(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        request: Read<'_>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        match request.attribute.0 {
            2 => self.read_buffer(state, cx, request, cursor, out),
            3 => {
                let columns = self.rows.columns(state);
                out.array(columns.len()).map_err(full)?;
                columns.iter().try_for_each(|column| column.encode(out)).map_err(full)?;
                Ok(Progress::Done)
            }
            4 => done(out.double_long_unsigned(self.rows.capture_period(state))),
            // 1: first in, first out; such a profile has no sort object.
            5 => done(out.enumerated(1)),
            6 => done(CaptureObject::NONE.encode(out)),
            7 => done(out.double_long_unsigned(self.rows.range(state, cx).count)),
            8 => done(out.double_long_unsigned(self.rows.capacity(state))),
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }

    fn write(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        attribute: AttributeId,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        match (attribute.0, value) {
            (3, value) => self.rows.set_columns(state, cx, value),
            (4, Data::DoubleLongUnsigned(seconds)) => self.rows.set_capture_period(state, cx, seconds),
            (4, _) => Err(DataAccessResult::TypeUnmatched),
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }

    fn invoke(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        method: MethodId,
        _: Option<Data<'_>>,
        _: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        match method.0 {
            1 => self.rows.reset(state, cx),
            _ => Err(ActionResult::ReadWriteDenied),
        }
    }
}
