//! Rows as they arrive: decoded, dated, put in order, without duplicates.

use std::ops::ControlFlow;

use dlms::{
    apdu::{AttributeRequest, Selection},
    axdr::Value,
    cosem::{
        Attribute,
        profile_generic::{self, CaptureObject, Nulls, RowError, RowErrorKind, RowReader, SortMethod},
    },
    time::DateTime,
};
use jiff::Timestamp;

use super::time::moment;
use crate::{
    fleet::{
        registers::date_time,
        session::{Part, Session},
        work::Work,
    },
    meter::{TimeBasis, TimePolicy},
    operation::{AttributeRef, CaptureRow, Layer, ObjectRef, ProfileLayout, RequestError, RequestErrorKind},
};

/// Rows that one request may bring: ten years of quarter-hours are 350,400.
const ROWS_MAX: usize = 400_000;

/// Rows of a profile, as they arrive.
pub(super) struct Rows<'a> {
    layout: &'a ProfileLayout,
    policy: &'a TimePolicy,
    nulls: Nulls,
    columns: Vec<CaptureObject>,
    clock: Option<usize>,
    status: Option<usize>,
}

/// Why rows could not be had.
pub(super) enum RowsError {
    /// The rows are not of the layout: the profile was set up anew since it was read.
    Layout,
    /// Anything else.
    Request(RequestError),
}

impl<'a> Rows<'a> {
    pub(super) fn new(layout: &'a ProfileLayout, policy: &'a TimePolicy, nulls: Nulls) -> Self {
        let columns = super::layout::capture_objects_of(layout);
        let clock = columns.iter().position(CaptureObject::is_clock_time);
        let status = columns.iter().position(is_status);
        Self { layout, policy, nulls, columns, clock, status }
    }

    /// The column with the time of the clock.
    pub(super) fn clock_column(&self) -> Option<CaptureObject> {
        self.clock.and_then(|index| self.columns.get(index)).copied()
    }

    /// Reads the rows that `selection` selects, in the meter's order, each decoded as soon as its octets are there.
    /// What was read before an error stays in `rows`.
    pub(super) async fn read(
        &self,
        session: &mut Session,
        selection: Option<Selection<'_>>,
        work: &Work<'_>,
        rows: &mut Vec<CaptureRow>,
    ) -> Result<(), RowsError> {
        let attribute = profile_generic::Buffer::of(self.layout.profile);
        let mut reader = Some(RowReader::new(&self.columns, self.nulls));
        let mut failed = None;
        let request = AttributeRequest { attribute, selection };
        let streamed = session.stream(request, work, |part| {
            let encoded;
            let (octets, last) = match part {
                Part::Block { raw, last } => (raw, last),
                Part::Whole(data) => {
                    encoded = Value::from(data).to_vec();
                    (encoded.as_slice(), true)
                }
            };
            // After a row that cannot be read the rest is taken and thrown away: breaking off would cost the
            // association.
            if let (Some(ready), None) = (&mut reader, &failed) {
                ready.push(octets);
                failed = self.take(ready, rows).err();
            }
            if !last {
                return ControlFlow::Continue(());
            }
            if let (Some(ready), None) = (reader.take(), &failed) {
                failed = ready.finish().err();
            }
            ControlFlow::Break(Ok(()))
        });
        streamed.await.map_err(RowsError::Request)?;
        match failed {
            None => Ok(()),
            Some(RowError { kind: RowErrorKind::Columns { .. }, .. }) => Err(RowsError::Layout),
            Some(error) => Err(RowsError::Request(self.malformed(error))),
        }
    }

    fn take(&self, reader: &mut RowReader, rows: &mut Vec<CaptureRow>) -> Result<(), RowError> {
        while let Some(cells) = reader.next_row()? {
            if rows.len() >= ROWS_MAX {
                let row = rows.len();
                return Err(RowError { row, kind: RowErrorKind::TooLong { limit: ROWS_MAX } });
            }
            rows.push(self.row(cells));
        }
        Ok(())
    }

    fn row(&self, cells: &[Value]) -> CaptureRow {
        let clock = self.clock.and_then(|index| cells.get(index)).and_then(date_time);
        let (time, time_basis) = clock
            .as_ref()
            .and_then(|clock| moment(clock, self.policy))
            .unwrap_or_else(|| (Timestamp::now(), TimeBasis::Received));
        let status = self.status.and_then(|index| cells.get(index)?.as_data()?.as_u64());
        CaptureRow { time, time_basis, clock, status, values: cells.to_vec() }
    }

    fn malformed(&self, error: RowError) -> RequestError {
        let attribute = AttributeRef::new(
            profile_generic::CLASS_ID,
            self.layout.profile,
            <profile_generic::Buffer as Attribute>::ID,
        );
        RequestError::new(RequestErrorKind::Protocol, Layer::Meter, format!("the buffer cannot be read: {error}"))
            .with_object(ObjectRef::Attribute(attribute))
            .with_source(error)
            .with_sent(true)
    }
}

/// Rows in the encoding of a buffer, such as a push brings along.
pub(crate) fn profile_rows(
    layout: &ProfileLayout,
    policy: &TimePolicy,
    octets: &[u8],
) -> Result<Vec<CaptureRow>, RowError> {
    let rows = Rows::new(layout, policy, Nulls::as_before(layout.capture_period_s, SortMethod::Fifo));
    let mut reader = RowReader::new(&rows.columns, rows.nulls);
    reader.push(octets);
    let mut taken = Vec::new();
    rows.take(&mut reader, &mut taken)?;
    reader.finish()?;
    Ok(ordered(taken))
}

/// AMR profile status: 0.x.96.10.x, value.
fn is_status(column: &CaptureObject) -> bool {
    matches!(column.instance.0, [0, _, 96, 10, _, _]) && column.attribute.0 == 2
}

/// Ascending by time, each row once. Rows of one time with other values are kept: the hour that comes twice in autumn
/// has two, and a corrected row is news.
pub(super) fn ordered(mut rows: Vec<CaptureRow>) -> Vec<CaptureRow> {
    rows.sort_by_key(|row| row.time);
    let mut kept: Vec<CaptureRow> = Vec::with_capacity(rows.len());
    for row in rows {
        let twin = kept.iter().rev().take_while(|before| before.time == row.time).any(|before| *before == row);
        if !twin {
            kept.push(row);
        }
    }
    kept
}

/// Moments between two rows that are further apart than one period: what the meter did not capture, or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Time of the last row before it.
    pub after: Timestamp,
    /// Time of the first row behind it.
    pub before: Timestamp,
    /// How many rows are missing.
    pub missing: u64,
}

/// The gaps in rows that are in ascending order; none where the capture period is not known.
#[must_use]
pub fn gaps(rows: &[CaptureRow], capture_period_s: u32) -> Vec<Gap> {
    let period = i64::from(capture_period_s);
    let dated = |row: &&CaptureRow| row.time_basis != TimeBasis::Received;
    let times: Vec<Timestamp> = rows.iter().filter(dated).map(|row| row.time).collect();
    let between = |pair: &[Timestamp]| {
        let [after, before] = *pair else { return None };
        // Rows that come late by less than half a period are late, not missing.
        let steps = (before.as_second() - after.as_second() + period / 2).checked_div(period)?;
        let missing = u64::try_from(steps.checked_sub(1)?).ok().filter(|missing| *missing > 0)?;
        Some(Gap { after, before, missing })
    };
    times.windows(2).filter_map(between).collect()
}

/// The meter's own time of a row, for a search.
pub(super) fn dated(row: &CaptureRow) -> Option<(Timestamp, DateTime)> {
    row.clock.filter(|_| row.time_basis != TimeBasis::Received).map(|clock| (row.time, clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(second: i64, value: u32) -> CaptureRow {
        CaptureRow {
            time: Timestamp::from_second(second).unwrap(),
            time_basis: TimeBasis::MeterDeviation,
            clock: None,
            status: None,
            values: vec![Value::DoubleLongUnsigned(value)],
        }
    }

    #[test]
    fn lesson_14_rows_come_in_order_and_once() {
        let rows = vec![row(1_800, 2), row(900, 1), row(1_800, 2), row(1_800, 3), row(2_700, 4)];
        assert_eq!(ordered(rows), [row(900, 1), row(1_800, 2), row(1_800, 3), row(2_700, 4)]);
    }

    #[test]
    fn lesson_14_gaps_are_counted_in_capture_periods() {
        let rows = [row(0, 0), row(900, 0), row(900, 1), row(3_600, 0), row(4_530, 0)];
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(gaps(&rows, 900), [Gap { after: at(900), before: at(3_600), missing: 2 }]);
        assert_eq!(gaps(&rows, 0), []);
        assert_eq!(gaps(&[], 900), []);
    }
}
