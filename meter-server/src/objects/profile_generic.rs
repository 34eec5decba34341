//! Profile generic (class 7, version 1).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::Writer;
use dlms::cosem::profile_generic::{self, CaptureObject, SortMethod};
use dlms::cosem::{Answer, Array, Part, Zero};
use dlms::obis::ObisCode;

use super::clock::ClockState;
use super::profile_selection::BufferSelection;
use crate::moment::Moment;
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

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

    /// Another number whenever rows are no longer what they were: other columns, another period, emptied. An answer in
    /// several blocks that began before ends there.
    fn generation(&self, state: &S) -> u32 {
        let _ = state;
        0
    }

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
    fn set_columns(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        columns: Array<'_, CaptureObject>,
    ) -> Result<(), DataAccessResult> {
        let _ = (state, cx, columns);
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

    /// Captures one row now; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets.
    fn capture(&self, state: &mut S, cx: &Context<'_, S>) -> Result<(), ActionResult> {
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
        Part { selection, cursor, out }: Part<'_, '_>,
    ) -> Answered
    where
        R: Rows<S>,
    {
        let generation = self.rows.generation(state);
        let columns = self.rows.columns(state);
        let selection = BufferSelection::new(selection, columns, state.settings())?;
        let Some(number) = cursor.part.checked_sub(1) else {
            let range = self.rows.range(state, cx);
            let (first, count) = selection.rows(range, |moment| self.rows.lower_bound(state, cx, moment));
            cursor.anchor = first;
            cursor.extent = u64::from(generation) << 32 | u64::from(count);
            let count = usize::try_from(count).map_err(|_| DataAccessResult::OtherReason)?;
            out.array(count)?;
            return Ok(if count == 0 { Progress::Done } else { Progress::More });
        };
        // Rows of other columns, or none any more, must not follow those that have left.
        if cursor.extent >> 32 != u64::from(generation) {
            return Err(DataAccessResult::LongGetAborted);
        }
        let count = cursor.extent & u64::from(u32::MAX);
        let row = cursor.anchor.saturating_add(u64::from(number));
        out.structure(selection.columns.of(columns.len()))?;
        for (index, column) in columns.iter().enumerate() {
            if selection.columns.contains(index) {
                self.rows.write_value(state, cx, row, column, out)?;
            }
        }
        Ok(if u64::from(cursor.part) < count { Progress::More } else { Progress::Done })
    }
}

serve!(profile_generic: [S: ClockState + ?Sized, R: Rows<S>] ProfileGeneric<R>);

impl<'c, S: ClockState + ?Sized, R: Rows<S>> profile_generic::Server<S, Context<'c, S>> for ProfileGeneric<R> {
    fn buffer(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, profile_generic::Buffer>) -> Answered {
        self.read_buffer(state, cx, answer.into_part())
    }

    fn capture_objects(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, profile_generic::CaptureObjects>,
    ) -> Answered {
        answer.value(&Array::from(self.rows.columns(state)))
    }

    fn set_capture_objects(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        columns: Array<'_, CaptureObject>,
    ) -> Result<(), DataAccessResult> {
        self.rows.set_columns(state, cx, columns)
    }

    fn capture_period(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, profile_generic::CapturePeriod>,
    ) -> Answered {
        answer.value(&self.rows.capture_period(state))
    }

    fn set_capture_period(&self, state: &mut S, cx: &Context<'c, S>, seconds: u32) -> Result<(), DataAccessResult> {
        self.rows.set_capture_period(state, cx, seconds)
    }

    fn sort_method(&self, _: &S, _: &Context<'c, S>, answer: Answer<'_, '_, profile_generic::Sort>) -> Answered {
        answer.value(&SortMethod::Fifo)
    }

    fn sort_object(&self, _: &S, _: &Context<'c, S>, answer: Answer<'_, '_, profile_generic::SortObject>) -> Answered {
        answer.value(&CaptureObject::NONE)
    }

    fn entries_in_use(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, profile_generic::EntriesInUse>,
    ) -> Answered {
        answer.value(&self.rows.range(state, cx).count)
    }

    fn profile_entries(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, profile_generic::ProfileEntries>,
    ) -> Answered {
        answer.value(&self.rows.capacity(state))
    }

    fn reset(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.rows.reset(state, cx)
    }

    fn capture(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.rows.capture(state, cx)
    }
}
