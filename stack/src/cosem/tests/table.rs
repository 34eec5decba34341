use super::profile::{COLUMNS, EXAMPLE, QUARTER_HOURS};
use super::stream::{BUFFERS, Rows, read_at_once};
use super::*;
use crate::axdr::{DecodeError, DecodeErrorKind, Value};
use crate::cosem::profile_generic::*;
use crate::unit::{ScalerUnit, Unit};
use hex_literal::hex;
use proptest::prelude::*;

const ENERGY: ScalerUnit = ScalerUnit { scaler: 1, unit: Unit::WATT_HOUR };

fn columns(objects: &[CaptureObject]) -> Vec<Column> {
    objects.iter().map(|object| Column::new(*object, object.scaler_unit().map(|_| ENERGY))).collect()
}

fn values(table: &Table) -> Vec<Vec<Value>> {
    table.rows().map(|row| row.cells().map(Value::from).collect()).collect()
}

/// A table filled from blocks of `size` octets.
fn fill(buffer: &[u8], size: usize, columns: &[Column], nulls: Nulls, rows: usize) -> Result<Table, RowError> {
    let mut reader = TableReader::new(columns, nulls, rows);
    let mut sum = 0;
    for block in buffer.chunks(size) {
        match reader.push(block) {
            Ok(rows) => sum += rows,
            Err(error) => {
                assert_eq!((reader.push(&[0]), reader.table().len()), (Err(error), error.row));
                return Err(error);
            }
        }
        assert_eq!(reader.table().len(), sum);
    }
    reader.finish()
}

/// What a table must hold: all rows, or those before the first error and that error.
fn expected(rows: Rows) -> Result<Vec<Vec<Value>>, RowError> {
    rows.into_iter().collect()
}

#[test]
fn a_table_holds_the_rows_that_are_read_one_by_one() {
    for buffer in BUFFERS {
        for objects in [&COLUMNS[..], &COLUMNS[..1], &[]] {
            let columns = columns(objects);
            for nulls in [QUARTER_HOURS, Nulls::Missing] {
                let expected = expected(read_at_once(buffer, objects, nulls));
                let table = Table::from_slice(buffer, &columns, nulls);
                assert_eq!(table.map(|table| values(&table)), expected, "{buffer:02X?}");
                for (size, rows) in (1..=buffer.len()).flat_map(|size| [(size, 0), (size, usize::MAX)]) {
                    let table = fill(buffer, size, &columns, nulls, rows);
                    assert_eq!(table.map(|table| values(&table)), expected, "blocks of {size} of {buffer:02X?}");
                }
            }
        }
    }
}

#[test]
fn cells_have_their_meaning_by_row_and_column() {
    let table = Table::from_slice(EXAMPLE, &columns(&COLUMNS), QUARTER_HOURS).unwrap();
    assert_eq!((table.len(), table.width(), table.columns().len(), table.is_empty()), (2, 3, 3, false));
    let Some(Reading::Time(time)) = table.reading(1, 0) else { panic!() };
    assert_eq!((time.hour(), time.minute()), (Some(10), Some(15)));
    assert!(time.status().unwrap().daylight_saving());
    let quantity = Reading::Quantity { value: ENERGY.decimal(101), unit: Unit::WATT_HOUR };
    assert_eq!(table.reading(1, 1), Some(quantity));
    assert_eq!((table.cell(1, 1), table.cell(1, 2)), (Some(Data::DoubleLong(101)), Some(Data::Enum(0))));
    let row = table.row(1).unwrap();
    assert_eq!(row.readings().collect::<Vec<_>>(), [0, 1, 2].map(|column| table.reading(1, column).unwrap()));
    for (row, column) in [(0, 3), (2, 0), (usize::MAX, 1), (0, usize::MAX)] {
        assert_eq!((table.cell(row, column), table.reading(row, column)), (None, None));
    }
    assert!(table.row(2).is_none());
    // Without columns there are cells, but nothing is known of their meaning.
    let table = Table::from_slice(EXAMPLE, &[], QUARTER_HOURS).unwrap();
    assert_eq!((table.cell(1, 1), table.reading(1, 1)), (Some(Data::DoubleLong(101)), None));
}

#[test]
fn what_is_wrong_is_said_with_its_row_and_place() {
    let fails = |buffer: &[u8]| Table::from_slice(buffer, &[], QUARTER_HOURS).unwrap_err();
    assert_eq!(fails(&hex!("11 01")).kind, RowErrorKind::NoArray { found: "unsigned" });
    let bad_tag = fails(&hex!("01 03 02 01 11 01 02 01 07 00 02 01 11 02"));
    let kind = DecodeErrorKind::UnexpectedTag { what: "data", found: 7 };
    assert_eq!(bad_tag, RowError { row: 1, kind: RowErrorKind::Decode(DecodeError { offset: 8, kind }) });
    let trailing = fails(&[EXAMPLE, &[0]].concat());
    let kind = DecodeErrorKind::TrailingOctets { count: 1 };
    let offset = EXAMPLE.len();
    assert_eq!(trailing, RowError { row: 2, kind: RowErrorKind::Decode(DecodeError { offset, kind }) });
    for length in 0..EXAMPLE.len() {
        let kind = fails(&EXAMPLE[..length]).kind;
        assert!(matches!(kind, RowErrorKind::Decode(_)), "{length}: {kind}");
        let kind = fill(&EXAMPLE[..length], 7, &[], QUARTER_HOURS, 2).unwrap_err().kind;
        assert_eq!(kind, RowErrorKind::Incomplete, "{length}");
    }
    // As deep as values go anywhere, and a step deeper.
    let nested = |depth: usize| [&hex!("01 01 02 01")[..], &[1, 1].repeat(depth), &[0]].concat();
    assert_eq!(values(&Table::from_slice(&nested(14), &[], QUARTER_HOURS).unwrap()).len(), 1);
    assert!(Data::from_slice(&nested(14)).is_ok() && Data::from_slice(&nested(15)).is_err());
    let RowErrorKind::Decode(error) = fails(&nested(15)).kind else { panic!() };
    assert_eq!(error.kind, DecodeErrorKind::TooDeep);
}

proptest! {
    #[test]
    fn any_octets_make_the_same_table_as_rows(
        octets in proptest::collection::vec(0_u8..0x24, 0..80),
        size in 1_usize..20,
    ) {
        let table = Table::from_slice(&octets, &columns(&COLUMNS[..1]), QUARTER_HOURS);
        let by_blocks = fill(&octets, size, &columns(&COLUMNS[..1]), QUARTER_HOURS, 3);
        if let Ok(data) = Data::from_slice(&octets)
            && data.as_array().is_some()
        {
            let expected = expected(read_at_once(&octets, &COLUMNS[..1], QUARTER_HOURS));
            prop_assert_eq!(&table.map(|table| values(&table)), &expected);
            prop_assert_eq!(&by_blocks.map(|table| values(&table)), &expected);
        } else {
            prop_assert!(table.is_err() && by_blocks.is_err());
        }
    }
}
