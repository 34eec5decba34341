//! What is noticed about captures.

use dlms::axdr::Value;
use jiff::Timestamp;

use super::registers;
use crate::{
    meter::TimeBasis,
    operation::{CaptureColumn, CaptureRow},
    store::{CaptureBatch, CaptureFlags, Grid, StoredCapture},
};

/// How far from its regular moment a capture may lie: meters capture within seconds of it, and a clock that was set by
/// more shows so.
const SHIFT_S: i64 = 10;

/// Bit 3 of the AMR profile status says that daylight saving time is active, in the companion specifications that give
/// the bits a meaning; nothing is wrong then.
const STATUS_DAYLIGHT_SAVING: u64 = 1 << 3;

/// Bits of a clock status that cast doubt on the time: invalid, doubtful, invalid clock status.
fn is_doubtful(row: &CaptureRow) -> bool {
    let status = row.clock.and_then(|clock| clock.status());
    status.is_some_and(|status| status.invalid() || status.doubtful())
}

/// The capture before a row.
struct Before<'a> {
    time: Timestamp,
    slot: Option<i64>,
    columns: &'a [CaptureColumn],
    values: &'a [Value],
}

/// Flags the rows of a batch, which come in ascending order of time, `before` being the one before them.
pub(super) fn flag(batch: &mut CaptureBatch, before: Option<&StoredCapture>) {
    let grid = Grid::new(batch.period_s).filter(|_| batch.profile.is_some());
    batch.flags.resize(batch.rows.len(), CaptureFlags::default());
    let mut before = before.map(|before| Before {
        time: before.time,
        slot: grid
            .filter(|_| before.time_basis != TimeBasis::Received)
            .map(|grid| grid.slot(before.time, before.clock.as_ref())),
        columns: &before.columns,
        values: &before.values,
    });
    for (row, flags) in batch.rows.iter().zip(&mut batch.flags) {
        let slot =
            grid.filter(|_| row.time_basis != TimeBasis::Received).map(|grid| grid.slot(row.time, row.clock.as_ref()));
        *flags |= of_row(row, grid, batch.received);
        if let Some(before) = before.as_ref().filter(|before| before.time < row.time) {
            if let (Some(last), Some(slot)) = (before.slot, slot)
                && slot > last + 1
            {
                *flags |= CaptureFlags::MISSING;
            }
            let alike = before.columns == &*batch.columns;
            for (n, (column, value)) in batch.columns.iter().zip(&row.values).enumerate() {
                let place =
                    if alike { Some(n) } else { before.columns.iter().position(|other| is_same(other, column)) };
                *flags |= registers::flags(column, place.and_then(|place| before.values.get(place)), value);
            }
        }
        before = Some(Before { time: row.time, slot, columns: &batch.columns, values: &row.values });
    }
}

/// Whether two columns are of one thing, though one may know its scaler.
fn is_same(one: &CaptureColumn, other: &CaptureColumn) -> bool {
    let key = |of: &CaptureColumn| (of.class, of.obis, of.attribute, of.data_index);
    key(one) == key(other)
}

fn of_row(row: &CaptureRow, grid: Option<Grid>, received: Timestamp) -> CaptureFlags {
    let mut flags = CaptureFlags::default();
    if row.status.is_some_and(|status| status & !STATUS_DAYLIGHT_SAVING != 0) {
        flags |= CaptureFlags::STATUS;
    }
    if is_doubtful(row) {
        flags |= CaptureFlags::CLOCK_DOUBTFUL;
    }
    let dated = row.time_basis != TimeBasis::Received;
    let ahead = row.time.as_second() - received.as_second();
    if dated && (ahead > SHIFT_S || grid.is_some_and(|grid| is_beside(row.time, grid.period_s()))) {
        flags |= CaptureFlags::CLOCK_SHIFT;
    }
    flags
}

/// Whether a time lies beside the regular moments. Those of longer periods follow local time: every quarter of an hour
/// begins one somewhere.
fn is_beside(time: Timestamp, period_s: u32) -> bool {
    let step = i64::from(period_s).min(900);
    if step == 0 || 86_400 % step != 0 {
        return false;
    }
    let over = time.as_second().rem_euclid(step);
    over.min(step - over) > SHIFT_S.min(step / 4)
}

#[cfg(test)]
mod tests {
    use dlms::{
        id::{AttributeId, ClassId},
        obis::ObisCode,
        time::{ClockStatus, DateTime},
    };

    use super::*;
    use crate::store::Source;

    const IMPORT: ObisCode = ObisCode([1, 0, 1, 8, 0, 255]);

    fn row(second: i64, energy: u32) -> CaptureRow {
        CaptureRow {
            time: Timestamp::from_second(second).unwrap(),
            time_basis: TimeBasis::MeterDeviation,
            clock: Some(DateTime::from_unix_seconds(second, 0, ClockStatus(0))),
            status: Some(0),
            values: vec![Value::DoubleLongUnsigned(energy)],
        }
    }

    fn flags(rows: Vec<CaptureRow>, before: Option<StoredCapture>) -> Vec<CaptureFlags> {
        let column = |scaler_unit| CaptureColumn {
            class: ClassId(3),
            obis: IMPORT,
            attribute: AttributeId(2),
            data_index: 0,
            scaler_unit,
        };
        let values: Vec<_> = rows.iter().map(|row| row.values.clone()).collect();
        let mut batch = CaptureBatch {
            meter: "m1".parse().unwrap(),
            profile: Some(ObisCode([1, 0, 99, 1, 0, 255])),
            columns: [column(None)].into(),
            period_s: 900,
            rows,
            flags: Vec::new(),
            source: Source::Polled,
            received: Timestamp::from_second(86_400).unwrap(),
        };
        flag(&mut batch, before.as_ref());
        assert_eq!(batch.rows.iter().map(|row| row.values.clone()).collect::<Vec<_>>(), values, "values stay");
        batch.flags
    }

    #[test]
    fn regular_captures_have_no_flags() {
        assert_eq!(flags((0..10).map(|n| row(n * 900, 5)).collect(), None), [CaptureFlags::default(); 10]);
    }

    #[test]
    fn gaps_falls_and_shifts_are_flagged_on_the_row_behind_them() {
        let rows = vec![row(0, 100), row(2_700, 110), row(3_607, 90), row(4_545, 95), row(5_400, 99)];
        let none = CaptureFlags::default();
        let shift = CaptureFlags::CLOCK_SHIFT;
        assert_eq!(flags(rows, None), [none, CaptureFlags::MISSING, CaptureFlags::NON_MONOTONIC, shift, none]);
    }

    #[test]
    fn the_capture_before_the_batch_counts_too() {
        let before = StoredCapture {
            meter: "m1".parse().unwrap(),
            profile: Some(ObisCode([1, 0, 99, 1, 0, 255])),
            time: Timestamp::from_second(900).unwrap(),
            time_basis: TimeBasis::MeterDeviation,
            clock: None,
            status: None,
            flags: CaptureFlags::default(),
            source: Source::Polled,
            revision: 1,
            received: Timestamp::UNIX_EPOCH,
            columns: [CaptureColumn {
                class: ClassId(3),
                obis: IMPORT,
                attribute: AttributeId(2),
                data_index: 0,
                scaler_unit: Some(dlms::unit::ScalerUnit { scaler: 0, unit: dlms::unit::Unit(30) }),
            }]
            .into(),
            values: vec![Value::DoubleLongUnsigned(50)],
        };
        let both = CaptureFlags::MISSING | CaptureFlags::NON_MONOTONIC;
        assert_eq!(flags(vec![row(2_700, 40)], Some(before.clone())), [both]);
        assert_eq!(flags(vec![row(1_800, 60)], Some(before)), [CaptureFlags::default()]);
    }

    #[test]
    fn status_and_clock_status_and_the_future_are_flagged() {
        let status = |status| CaptureRow { status: Some(status), ..row(900, 1) };
        assert_eq!(flags(vec![status(8)], None), [CaptureFlags::default()], "daylight saving");
        assert_eq!(flags(vec![status(0x80)], None), [CaptureFlags::STATUS]);
        let doubtful = DateTime::from_unix_seconds(900, 0, ClockStatus(2));
        let doubtful = CaptureRow { clock: Some(doubtful), ..row(900, 1) };
        assert_eq!(flags(vec![doubtful], None), [CaptureFlags::CLOCK_DOUBTFUL]);
        assert_eq!(flags(vec![row(90_000, 1)], None), [CaptureFlags::CLOCK_SHIFT]);
    }
}
