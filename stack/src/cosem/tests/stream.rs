use super::profile::{COLUMNS, EXAMPLE, QUARTER_HOURS};
use super::*;
use crate::axdr::{DecodeError, DecodeErrorKind, Value};
use crate::cosem::profile_generic::{self, CaptureObject, Nulls, ROW_OCTETS_MAX, RowError, RowErrorKind, RowReader};
use hex_literal::hex;
use proptest::prelude::*;

pub(super) type Rows = Vec<Result<Vec<Value>, RowError>>;

/// A reader fed with blocks of `size` octets.
fn read_in_blocks(buffer: &[u8], size: usize, columns: &[CaptureObject], nulls: Nulls) -> (Rows, Result<(), RowError>) {
    let mut reader = RowReader::new(columns, nulls);
    let mut rows = std::vec![];
    for block in buffer.chunks(size) {
        reader.push(block);
        loop {
            match reader.next_row() {
                Ok(Some(row)) => rows.push(Ok(row.to_vec())),
                Ok(None) => break,
                Err(error) => {
                    if rows.last() == Some(&Err(error)) {
                        break;
                    }
                    rows.push(Err(error));
                }
            }
        }
    }
    (rows, reader.finish())
}

pub(super) fn read_at_once(buffer: &[u8], columns: &[CaptureObject], nulls: Nulls) -> Rows {
    let mut row = [Data::Null; 8];
    let mut rows = profile_generic::Rows::new(Data::from_slice(buffer).unwrap(), columns, nulls, &mut row).unwrap();
    let mut found = std::vec![];
    while let Some(row) = rows.next_row() {
        found.push(row.map(|row| row.iter().copied().map(Value::from).collect()));
    }
    found
}

/// Every way of telling rows: nulls, differences, compact arrays, bad rows, nested cells.
pub(super) const BUFFERS: &[&[u8]] = &[
    EXAMPLE,
    &hex!("01 04 02 01 06 00000064 02 01 1F 05 02 01 1C FF 02 01 00"),
    &hex!("01 05 02 01 11 FF 11 07 02 02 11 01 11 02 02 01 1F 01 02 01 00"),
    &hex!("01 03 02 02 11 01 11 FF 02 02 11 09 1F 01 02 02 00 00"),
    &hex!("01 02 02 02 01 03 11 01 11 02 11 03 13 09 04 01 41 01 42 02 02 00 02 01 04 03 A0"),
    &hex!("13 02 02 19 06 20 07E9051D040A000000FF8880 00000001 07E9051D040A0F0000FF8880 00000002"),
    &hex!("13 02 02 09 01 0002 11 09 01 41 01 02 02 42 43 03 04"),
    &hex!("01 00"),
    &hex!("13 02 01 11 00"),
    &hex!("01 82 0002 02 01 0A 81 03 414243 02 01 00"),
];

#[test]
fn lesson_38_rows_come_the_same_however_the_blocks_are_cut() {
    for buffer in BUFFERS {
        for columns in [&COLUMNS[..], &COLUMNS[..1], &[]] {
            let expected = read_at_once(buffer, columns, QUARTER_HOURS);
            for size in 1..=buffer.len() {
                let (rows, end) = read_in_blocks(buffer, size, columns, QUARTER_HOURS);
                assert_eq!(rows, expected, "blocks of {size} of {buffer:02X?}");
                assert_eq!(end, Ok(()));
            }
        }
    }
}

#[test]
fn a_row_is_given_as_soon_as_its_last_octet_is_there() {
    let mut reader = RowReader::new(&COLUMNS, QUARTER_HOURS);
    let first_row_end = 2 + 2 + 14 + 5 + 2;
    reader.push(&EXAMPLE[..first_row_end - 1]);
    assert_eq!(reader.next_row(), Ok(None));
    reader.push(&EXAMPLE[first_row_end - 1..first_row_end]);
    assert_eq!(reader.next_row().unwrap().unwrap()[1], Value::DoubleLong(100));
    assert_eq!(reader.next_row(), Ok(None));
    assert_eq!(reader.rows_read(), 1);
}

#[test]
fn what_is_missing_or_too_much_shows_at_the_end() {
    for length in 0..EXAMPLE.len() {
        let (_, end) = read_in_blocks(&EXAMPLE[..length], 7, &COLUMNS, QUARTER_HOURS);
        assert_eq!(end.unwrap_err().kind, RowErrorKind::Incomplete, "{length}");
    }
    let (rows, end) = read_in_blocks(&[EXAMPLE, &[0]].concat(), 7, &COLUMNS, QUARTER_HOURS);
    assert_eq!(rows.len(), 2);
    let trailing = DecodeError { offset: EXAMPLE.len(), kind: DecodeErrorKind::TrailingOctets { count: 1 } };
    assert_eq!(end, Err(RowError { row: 2, kind: RowErrorKind::Decode(trailing) }));
}

#[test]
fn illegal_octets_end_the_reading_where_they_stand() {
    // The second row holds a tag that does not exist, at offset 8.
    let buffer = hex!("01 03 02 01 11 01 02 01 07 00 02 01 11 02");
    for size in 1..=buffer.len() {
        let (rows, end) = read_in_blocks(&buffer, size, &[], QUARTER_HOURS);
        let kind = DecodeErrorKind::UnexpectedTag { what: "data", found: 7 };
        let error = RowError { row: 1, kind: RowErrorKind::Decode(DecodeError { offset: 8, kind }) };
        assert_eq!(rows, [Ok(std::vec![Value::Unsigned(1)]), Err(error)]);
        assert_eq!(end.unwrap_err().kind, error.kind);
    }
    let (rows, _) = read_in_blocks(&hex!("11 01"), 1, &[], QUARTER_HOURS);
    assert_eq!(rows[0].as_ref().unwrap_err().kind, RowErrorKind::NoArray { found: "unsigned" });
}

#[test]
fn contents_of_a_compact_array_that_cannot_be_completed() {
    let buffer = hex!("13 02 01 09 03 05 41 42 00 00");
    let (rows, end) = read_in_blocks(&buffer, 4, &[], QUARTER_HOURS);
    assert!(matches!(rows[0].as_ref().unwrap_err().kind, RowErrorKind::Decode(_)), "{rows:?}");
    assert!(end.is_err());
}

#[test]
fn lesson_30_a_row_without_end_is_refused() {
    let mut reader = RowReader::new(&[], QUARTER_HOURS);
    reader.push(&hex!("01 01 02 82 7FFF"));
    let mut pushed = 0;
    let error = loop {
        reader.push(&[0x09, 0x81, 0x80]);
        reader.push(&[0x41; 128]);
        pushed += 131;
        match reader.next_row() {
            Ok(None) => assert!(pushed < 2 * ROW_OCTETS_MAX),
            Ok(Some(_)) => panic!("a row of 32767 columns"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, RowErrorKind::TooLong { limit: ROW_OCTETS_MAX });
    // The limit is the same when the row is there at once.
    let mut buffer = hex!("01 01 02 02 09 83 00FF00").to_vec();
    buffer.extend([0x41; 0xFF00]);
    buffer.extend(hex!("09 82 0100"));
    buffer.extend([0x41; 0x100]);
    let (rows, _) = read_in_blocks(&buffer, buffer.len(), &[], QUARTER_HOURS);
    assert_eq!(rows[0].as_ref().unwrap_err().kind, RowErrorKind::TooLong { limit: ROW_OCTETS_MAX });
}

/// What is wrong with `buffer`, and with which row: the same in blocks of these sizes and at once.
fn refused_alike(buffer: &[u8], sizes: impl IntoIterator<Item = usize>) -> RowError {
    let (expected, expected_end) = read_in_blocks(buffer, buffer.len(), &COLUMNS[..1], QUARTER_HOURS);
    for size in sizes {
        let (rows, end) = read_in_blocks(buffer, size, &COLUMNS[..1], QUARTER_HOURS);
        assert_eq!(rows, expected, "blocks of {size}");
        assert_eq!(end, expected_end, "blocks of {size}");
    }
    expected_end.unwrap_err()
}

#[test]
fn counts_near_the_limit_of_a_row_are_refused_alike_however_the_blocks_are_cut() {
    // 65,538 members do not fit the 65,536 octets of a row, as many as may be there already.
    let members = hex!("01 03 02 01 1F 05 16 01 02 83 010002 00 00 00 00 00 00 00 00");
    let error = refused_alike(&members, 1..members.len());
    let kind = DecodeErrorKind::InvalidLength { what: "structure" };
    assert_eq!(error, RowError { row: 2, kind: RowErrorKind::Decode(DecodeError { offset: 9, kind }) });
    // The same in the type description of a compact array, inside a row and of the whole buffer.
    let inside = hex!("01 01 02 01 13 02 83 010002 00 00 00 00 00 00 00 00");
    let error = refused_alike(&inside, 1..inside.len());
    assert_eq!(error.kind, RowErrorKind::Decode(DecodeError { offset: 5, kind }));
    let whole = hex!("13 02 82 1002 00 00 00 00 00 00");
    let error = refused_alike(&whole, 1..whole.len());
    assert_eq!(error.kind, RowErrorKind::Decode(DecodeError { offset: 1, kind }));
}

#[test]
fn what_is_wrong_behind_the_limit_of_a_row_is_not_looked_at() {
    let limit = RowErrorKind::TooLong { limit: ROW_OCTETS_MAX };
    // The 65,540th octet of the row is a tag that does not exist.
    let mut tagged = hex!("01 01 02 02 09 83 00FFFB").to_vec();
    tagged.resize(tagged.len() + 0xFFFB, 0x41);
    tagged.extend([7, 0, 0]);
    assert_eq!(refused_alike(&tagged, [1, 1000, ROW_OCTETS_MAX, ROW_OCTETS_MAX + 5]).kind, limit);
    // A string that is longer than the contents of the compact array, which are longer than a row.
    let mut compact = hex!("13 02 01 09 83 010010 83 020000").to_vec();
    compact.resize(compact.len() + 0x1000C, 0x41);
    assert_eq!(refused_alike(&compact, [1, 1000, ROW_OCTETS_MAX, ROW_OCTETS_MAX + 5]).kind, limit);
}

#[test]
fn lesson_31_compact_rows_are_bounded_as_a_whole() {
    let bomb = hex!("13 02 02 01 FFFF 01 FFFF 00 11 02 00 00");
    let (rows, _) = read_in_blocks(&bomb, 3, &[], QUARTER_HOURS);
    let RowErrorKind::Decode(error) = rows[0].as_ref().unwrap_err().kind else { panic!() };
    assert_eq!(error.kind, DecodeErrorKind::TooManyValues);
}

proptest! {
    #[test]
    fn any_octets_in_any_blocks_are_read_or_refused(
        octets in proptest::collection::vec(0_u8..0x24, 0..80),
        size in 1_usize..20,
    ) {
        let (in_blocks, end) = read_in_blocks(&octets, size, &COLUMNS[..1], QUARTER_HOURS);
        if let Ok(data) = Data::from_slice(&octets)
            && data.as_array().is_some()
        {
            prop_assert_eq!(in_blocks, read_at_once(&octets, &COLUMNS[..1], QUARTER_HOURS));
            prop_assert_eq!(end, Ok(()));
        } else {
            prop_assert!(end.is_err());
        }
    }
}
