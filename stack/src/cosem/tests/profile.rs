use super::*;
use crate::cosem::profile_generic::*;
use crate::id::{AttributeId, ClassId};
use crate::obis::ObisCode;
use crate::time::DateTime;
use crate::unit::{ScalerUnit, Unit};
use hex_literal::hex;

/// The example of the rules of null-data: 2 rows of a time, a number and a status.
pub(super) const EXAMPLE: &[u8] =
    &hex!("01 02 02 03 09 0C 07E9051D040A000000FF8880 05 00000064 16 00 02 03 00 05 00000065 00");
pub(super) const COLUMNS: [CaptureObject; 3] = [
    CaptureObject::CLOCK,
    CaptureObject::whole(ClassId(3), ObisCode::ACTIVE_IMPORT, AttributeId(2)),
    CaptureObject::whole(ClassId(1), ObisCode::new(0, 0, 96, 10, 1, 255), AttributeId(2)),
];
pub(super) const QUARTER_HOURS: Nulls = Nulls::AsBefore { step_seconds: 900 };

type Row<'a> = Result<Vec<Data<'a>>, RowErrorKind>;

fn rows<'a>(buffer: &'a [u8], columns: &[CaptureObject], nulls: Nulls) -> Vec<Row<'a>> {
    let mut row = [Data::Null; 8];
    let mut rows = Rows::new(Data::from_slice(buffer).unwrap(), columns, nulls, &mut row).unwrap();
    let mut found = std::vec![];
    while let Some(row) = rows.next_row() {
        found.push(row.map(<[_]>::to_vec).map_err(|error| {
            assert_eq!(error.row, found.len());
            error.kind
        }));
    }
    found
}

fn time(minute: u8) -> DateTime {
    let mut octets = hex!("07E9051D040A000000FF8880");
    octets[6] = minute;
    DateTime::from_bytes(&octets)
}

#[test]
fn null_data_repeats_and_steps() {
    let rows = rows(EXAMPLE, &COLUMNS, QUARTER_HOURS);
    assert_eq!(rows[0], Ok(std::vec![Data::DateTime(time(0)), Data::DoubleLong(100), Data::Enum(0)]));
    assert_eq!(rows[1], Ok(std::vec![Data::DateTime(time(15)), Data::DoubleLong(101), Data::Enum(0)]));
    assert_eq!(rows.len(), 2);
}

#[test]
fn null_data_may_mean_no_value() {
    let rows = rows(EXAMPLE, &COLUMNS, Nulls::Missing);
    assert_eq!(rows[1], Ok(std::vec![Data::Null, Data::DoubleLong(101), Data::Null]));
}

#[test]
fn the_direction_of_time_follows_the_order() {
    assert_eq!(Nulls::as_before(900, SortMethod::Fifo), QUARTER_HOURS);
    assert_eq!(Nulls::as_before(900, SortMethod::Smallest), QUARTER_HOURS);
    for newest_first in [SortMethod::Lifo, SortMethod::Largest] {
        assert_eq!(Nulls::as_before(900, newest_first), Nulls::AsBefore { step_seconds: -900 });
    }
    let rows = rows(EXAMPLE, &COLUMNS, Nulls::as_before(900, SortMethod::Lifo));
    let Data::DateTime(stamp) = rows[1].as_ref().unwrap()[0] else { panic!() };
    assert_eq!((stamp.hour(), stamp.minute()), (Some(9), Some(45)));
}

#[test]
fn without_a_period_a_missing_time_stays_missing() {
    let unknown = rows(EXAMPLE, &COLUMNS, Nulls::AsBefore { step_seconds: 0 });
    assert_eq!(unknown[1], Ok(std::vec![Data::Null, Data::DoubleLong(101), Data::Enum(0)]));
    // So does one after a time that is not specified, and every one after it.
    let buffer = hex!("01 03 02 01 09 0C FFFFFFFFFFFFFFFFFF8000FF 02 01 00 02 01 00");
    let rows = rows(&buffer, &COLUMNS[..1], QUARTER_HOURS);
    assert_eq!(rows[1..], [Ok(std::vec![Data::Null]), Ok(std::vec![Data::Null])]);
}

#[test]
fn without_columns_nothing_is_a_clock() {
    let rows = rows(EXAMPLE, &[], QUARTER_HOURS);
    let stamp = Data::OctetString(&EXAMPLE[6..18]);
    assert_eq!(rows[0].as_ref().unwrap()[0], stamp);
    assert_eq!(rows[1], Ok(std::vec![stamp, Data::DoubleLong(101), Data::Enum(0)]));
}

#[test]
fn times_as_unix_seconds() {
    let buffer = hex!("01 03 02 01 06 68381700 02 01 00 02 01 00");
    let rows = rows(&buffer, &COLUMNS[..1], QUARTER_HOURS);
    assert_eq!(rows[1], Ok(std::vec![Data::DoubleLongUnsigned(0x6838_1700 + 900)]));
    assert_eq!(rows[2], Ok(std::vec![Data::DoubleLongUnsigned(0x6838_1700 + 1800)]));
}

#[test]
fn differences_are_added_up() {
    let buffer = hex!("01 04 02 01 06 00000064 02 01 1F 05 02 01 1C FF 02 01 00");
    let rows = rows(&buffer, &COLUMNS[1..2], QUARTER_HOURS);
    let values: Vec<_> = rows.into_iter().map(|row| row.unwrap()[0]).collect();
    assert_eq!(values, [100, 105, 104, 104].map(Data::DoubleLongUnsigned));
}

#[test]
fn an_unreadable_row_is_one_error() {
    let buffer = hex!("01 05 02 01 11 FF 11 07 02 02 11 01 11 02 02 01 1F 01 02 01 00");
    let rows = rows(&buffer, &COLUMNS[1..2], QUARTER_HOURS);
    assert_eq!(rows[0], Ok(std::vec![Data::Unsigned(255)]));
    assert_eq!(rows[1], Err(RowErrorKind::NoStructure { found: "unsigned" }));
    assert_eq!(rows[2], Err(RowErrorKind::Columns { expected: 1, found: 2 }));
    assert_eq!(rows[3], Err(RowErrorKind::Delta { column: 0 }));
    assert_eq!(rows[4], Ok(std::vec![Data::Null]));
}

#[test]
fn a_failed_difference_fails_its_cell_alone() {
    let buffer = hex!("01 03 02 02 11 01 11 FF 02 02 11 09 1F 01 02 02 00 00");
    let rows = rows(&buffer, &[], QUARTER_HOURS);
    assert_eq!(rows[1], Err(RowErrorKind::Delta { column: 1 }));
    assert_eq!(rows[2], Ok(std::vec![Data::Unsigned(9), Data::Null]));
}

#[test]
fn compact_arrays_have_rows_too() {
    let buffer = hex!("13 02 02 19 06 20 07E9051D040A000000FF8880 00000001 07E9051D040A0F0000FF8880 00000002");
    let rows = rows(&buffer, &COLUMNS[..2], QUARTER_HOURS);
    assert_eq!(rows[1], Ok(std::vec![Data::DateTime(time(15)), Data::DoubleLongUnsigned(2)]));
}

#[test]
fn buffers_that_are_none_and_places_that_are_too_small() {
    let mut row = [Data::Null; 2];
    let error = Rows::new(Data::Unsigned(1), &[], Nulls::Missing, &mut row).unwrap_err();
    assert_eq!(error.kind, RowErrorKind::NoArray { found: "unsigned" });
    let buffer = Data::from_slice(EXAMPLE).unwrap();
    let error = Rows::new(buffer, &COLUMNS, Nulls::Missing, &mut row).unwrap_err();
    assert_eq!(error.kind, RowErrorKind::Columns { expected: 2, found: 3 });
    let mut rows = Rows::new(buffer, &[], Nulls::Missing, &mut row).unwrap();
    let error = rows.next_row().unwrap().unwrap_err();
    assert_eq!(error.kind, RowErrorKind::Columns { expected: 2, found: 3 });
}

#[test]
fn lesson_14_selection_by_range_of_time() {
    let (from, to) = (time(0), time(45));
    let range = RangeDescriptor::between(CaptureObject::CLOCK, &from, &to);
    let mut buffer = [0; 64];
    let selection = range.selection(&mut buffer).unwrap();
    assert_eq!(selection.selector, 1);
    let expected = hex!(
        "02 04 02 04 12 0008 09 06 0000010000FF 0F 02 12 0000
         09 0C 07E9051D040A000000FF8880 09 0C 07E9051D040A2D0000FF8880 01 00"
    );
    assert_eq!(written(&selection.parameters), expected);
    assert_eq!(read(&expected), Ok(range));
    assert!(range.selection(&mut [0; 20]).is_err());
}

#[test]
fn lesson_14_selection_by_entries() {
    let mut buffer = [0; 64];
    let selection = EntryDescriptor::rows(1, 96).selection(&mut buffer).unwrap();
    let expected = hex!("02 04 06 00000001 06 00000060 12 0001 12 0000");
    assert_eq!((selection.selector, written(&selection.parameters)), (2, expected.to_vec()));
    assert_eq!(read(&expected), Ok(EntryDescriptor::rows(1, 96)));

    let columns = |first, last| {
        let entries = EntryDescriptor { from_selected_value: first, to_selected_value: last, ..EntryDescriptor::ALL };
        entries.columns(&COLUMNS)
    };
    assert_eq!(columns(1, 0), COLUMNS);
    assert_eq!(columns(2, 2), &COLUMNS[1..2]);
    assert_eq!(columns(2, 99), &COLUMNS[1..]);
    assert_eq!((columns(3, 1).len(), columns(9, 0).len()), (0, 0));
}

#[test]
fn lesson_14_unusual_columns_stay_what_they_are() {
    let octets =
        hex!("01 02 02 04 12 0007 09 06 0100630100FF 0F 00 12 0000 02 04 12 0003 09 06 0100010800FF 0F FF 12 0002");
    let columns: crate::cosem::Array<'_, CaptureObject> = read(&octets).unwrap();
    let columns: Vec<_> = columns.iter().map(Result::unwrap).collect();
    assert_eq!((columns[0].attribute, columns[1].attribute), (AttributeId(0), AttributeId(-1)));
    assert_eq!(columns[1].data_index, 2);
    assert!(!columns[0].is_clock_time());
    assert_eq!(written(&crate::cosem::Array::from(&columns[..])), octets);
    // The status of a clock is no time.
    let status = CaptureObject { attribute: AttributeId(4), ..CaptureObject::CLOCK };
    assert!(!status.is_clock_time() && CaptureObject::CLOCK.is_clock_time());
}

#[test]
fn cells_mean_what_their_columns_capture() {
    let energy = ScalerUnit { scaler: 1, unit: Unit::WATT_HOUR };
    let columns =
        [Column::new(COLUMNS[0], None), Column::new(COLUMNS[1], Some(energy)), Column::new(COLUMNS[2], Some(energy))];
    let mut row = [Data::Null; 3];
    let mut rows = Rows::new(Data::from_slice(EXAMPLE).unwrap(), &COLUMNS, QUARTER_HOURS, &mut row).unwrap();
    let mut found = std::vec![];
    while let Some(row) = rows.next_row() {
        let readings = columns.iter().zip(row.unwrap()).map(|(column, cell)| column.reading(*cell));
        found.push(readings.collect::<Vec<_>>());
    }
    let watt_hours = |digits| Reading::Quantity { value: energy.decimal(digits), unit: Unit::WATT_HOUR };
    // A status has no unit, whatever is said of it.
    assert_eq!(found[0], [Reading::Time(time(0)), watt_hours(100), Reading::Other(Data::Enum(0))]);
    assert_eq!(found[1], [Reading::Time(time(15)), watt_hours(101), Reading::Other(Data::Enum(0))]);
    // The time of a row has the status of its clock.
    let Reading::Time(stamp) = found[1][0] else { panic!() };
    assert!(stamp.status().unwrap().daylight_saving());
}

#[test]
fn readings_of_unusual_cells() {
    let register = COLUMNS[1];
    let volts = ScalerUnit { scaler: -1, unit: Unit::VOLT };
    let column = Column::new(register, Some(volts));
    assert_eq!(column.reading(Data::Null), Reading::Missing);
    assert_eq!(column.reading(Data::Float32(2304.0)), Reading::Real { value: 230.4, unit: Unit::VOLT });
    assert_eq!(column.reading(Data::OctetString(b"x")), Reading::Other(Data::OctetString(b"x")));
    let unknown = Column::new(register, None);
    assert_eq!(unknown.reading(Data::Unsigned(5)), Reading::Other(Data::Unsigned(5)));
    // Parts of an attribute, all attributes of an object, and proprietary ones are not what the class says.
    for (attribute, data_index) in [(2, 1), (0, 0), (-1, 0), (3, 0)] {
        let object = CaptureObject { attribute: AttributeId(attribute), data_index, ..register };
        assert_eq!(object.scaler_unit(), None);
        let column = Column::new(object, Some(volts));
        assert_eq!(column.reading(Data::Unsigned(5)), Reading::Other(Data::Unsigned(5)), "{attribute} {data_index}");
    }
    // The capture time of a maximum, as Unix time too.
    let captured = CaptureObject { class_id: ClassId(4), attribute: AttributeId(5), ..register };
    let Reading::Time(time) = Column::new(captured, None).reading(Data::DoubleLongUnsigned(0x6838_1700)) else {
        panic!()
    };
    assert_eq!(time.to_unix_seconds(), Some(0x6838_1700));
}

#[test]
fn where_scalers_and_units_are() {
    let holder = |class, attribute| {
        let object = CaptureObject::whole(ClassId(class), ObisCode::ACTIVE_IMPORT, AttributeId(attribute));
        object.scaler_unit().map(|held| (held.class.0, held.attribute.0))
    };
    assert_eq!((holder(3, 2), holder(4, 2)), (Some((3, 3)), Some((4, 3))));
    assert_eq!((holder(5, 2), holder(5, 3)), (Some((5, 4)), Some((5, 4))));
    assert_eq!((holder(3, 1), holder(5, 6), holder(1, 2), holder(8, 2)), (None, None, None, None));
}
