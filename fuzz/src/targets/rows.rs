//! The rows of a profile: of the whole buffer, and of blocks as they come.

use dlms::axdr::{Data, Value};
use dlms::cosem::profile_generic::{CaptureObject, Column, Nulls, RowReader, Rows, Table, TableReader};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;

use super::pieces;
use crate::bounded;

/// Widest row that the borrowed reader has room for here.
const WIDEST: usize = 32;

fn columns(shape: u8) -> Vec<CaptureObject> {
    let register = CaptureObject::whole(ClassId(3), ObisCode::ACTIVE_IMPORT, AttributeId(2));
    let count = usize::from(shape & 0x07);
    (0..count).map(|column| if shape >> 4 == column as u8 { CaptureObject::CLOCK } else { register }).collect()
}

fn nulls(mode: u8) -> Nulls {
    match mode % 4 {
        0 => Nulls::Missing,
        1 => Nulls::AsBefore { step_seconds: 900 },
        2 => Nulls::AsBefore { step_seconds: -86_400 },
        _ => Nulls::AsBefore { step_seconds: 0 },
    }
}

/// Each row, or why it cannot be read.
type Read = Vec<Result<Vec<Value>, String>>;

fn of_blocks<'a>(columns: &[CaptureObject], nulls: Nulls, cut: impl Iterator<Item = &'a [u8]>) -> (Read, bool) {
    let mut reader = RowReader::new(columns, nulls);
    let mut rows: Read = Vec::new();
    for block in cut {
        reader.push(block);
        loop {
            match reader.next_row() {
                Ok(Some(row)) => rows.push(Ok(row.to_vec())),
                Ok(None) => break,
                Err(error) => {
                    let error = error.to_string();
                    // A final error is given again and again.
                    if rows.last() == Some(&Err(error.clone())) {
                        return (rows, false);
                    }
                    rows.push(Err(error));
                }
            }
        }
    }
    (rows, reader.finish().is_ok())
}

fn cells(table: &Table) -> Vec<Vec<Value>> {
    table.rows().map(|row| row.cells().map(Value::from).collect()).collect()
}

/// The rows that were read one by one are those of a table, up to the first that cannot be read.
fn tables(read: &Read, columns: &[CaptureObject], nulls: Nulls, buffer: &[u8], seed: u8) {
    let columns: Vec<_> = columns.iter().map(|object| Column::new(*object, None)).collect();
    let rows: Vec<_> = read.iter().map_while(|row| row.as_ref().ok().cloned()).collect();
    // A cell takes 16 octets, and compact arrays multiply.
    let limit = 16 * 8 * buffer.len() + 4_096;
    if let Ok(table) = bounded(limit, || Table::from_slice(buffer, &columns, nulls)) {
        assert_eq!(format!("{:?}", cells(&table)), format!("{rows:?}"), "a table of a whole buffer");
    }
    let mut reader = TableReader::new(&columns, nulls, usize::from(seed));
    let failed = pieces(buffer, seed).any(|block| reader.push(block).is_err());
    let expected = if failed { rows.get(..reader.table().len()).unwrap_or(&[]) } else { &rows[..] };
    assert_eq!(format!("{:?}", cells(reader.table())), format!("{expected:?}"), "a table of blocks");
}

pub(super) fn run(octets: &[u8]) {
    let [shape, mode, seed, buffer @ ..] = octets else { return };
    let (columns, nulls) = (columns(*shape), nulls(*mode));
    let whole = of_blocks(&columns, nulls, std::iter::once(buffer));
    // Compact arrays multiply, within their budget.
    assert!(whole.0.len() <= buffer.len() * 8 + 1, "{} rows of {} octets", whole.0.len(), buffer.len());
    let cut = of_blocks(&columns, nulls, pieces(buffer, *seed));
    assert_eq!(format!("{cut:?}"), format!("{whole:?}"), "however the buffer is cut");
    tables(&whole.0, &columns, nulls, buffer, *seed);

    let Ok(data) = Data::from_slice(buffer) else { return };
    let mut place = [Data::Null; WIDEST];
    let Ok(mut rows) = bounded(0, || Rows::new(data, &columns, nulls, &mut place)) else { return };
    let mut count = 0;
    while let Some(row) = bounded(0, || rows.next_row().map(|row| row.map(<[Data<'_>]>::len))) {
        if let (Ok(width), Some(Ok(other))) = (row, whole.0.get(count)) {
            assert_eq!(width, other.len());
        }
        count += 1;
    }
    assert!(count <= buffer.len() * 8);
}
