//! Selection against the usual octets of a range and of entries.

use super::*;
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::ClockStatus;

const COLUMNS: [CaptureObject; 3] = [
    CaptureObject::whole(ClassId(8), ObisCode::CLOCK, AttributeId(2)),
    CaptureObject::whole(ClassId(3), ObisCode::ACTIVE_IMPORT, AttributeId(2)),
    CaptureObject::whole(ClassId(3), ObisCode::ACTIVE_EXPORT, AttributeId(2)),
];

fn clock() -> ClockSettings {
    ClockSettings {
        time_zone_min: -60,
        daylight_begin: DateTime::UNSPECIFIED,
        daylight_end: DateTime::UNSPECIFIED,
        daylight_deviation_min: 60,
        daylight_enabled: false,
        clock_base: 1,
        measuring_period_seconds: 900,
        preset: None,
    }
}

/// A range from and to these twelve octets, restricted by the clock, with the given array of columns.
fn range(from: [u8; 12], to: [u8; 12], columns: &[u8]) -> Vec<u8> {
    // Structure of 4, restricting object 8, 0.0.1.0.0.255, 2, 0.
    let mut octets = hex("02 04 02 04 12 0008 09 06 0000010000FF 0F 02 12 0000 09 0C");
    octets.extend(from);
    octets.extend([9, 12]);
    octets.extend(to);
    octets.extend(columns);
    octets
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn select(selector: u8, octets: &[u8]) -> Result<BufferSelection, DataAccessResult> {
    let parameters = Data::from_slice(octets).unwrap();
    BufferSelection::new(Some(Selection { selector, parameters }), &COLUMNS, &clock())
}

fn time(hour: u8, deviation: Option<i16>) -> [u8; 12] {
    let date = Date::new(2026, 3, 1).unwrap();
    DateTime::new(date, Time::new(hour, 0, 0).unwrap(), deviation, ClockStatus::OK).to_bytes()
}

#[test]
fn a_range_includes_both_ends_and_takes_the_meters_own_deviation() {
    let expected = RowSelection::Between(
        Moment::from_seconds(1_772_319_600),
        Moment::from_seconds(1_772_323_200).plus_millis(999),
    );
    // 00:00 to 01:00 at UTC+1, with the deviation given and not given.
    for deviation in [Some(-60), None] {
        let octets = range(time(0, deviation), time(1, deviation), &[1, 0]);
        assert_eq!(select(RangeDescriptor::SELECTOR, &octets).unwrap().rows, expected);
    }
}

#[test]
fn lesson_14_wildcards_make_a_range_wider_and_no_year_leaves_it_open() {
    let mut from = time(5, None);
    let mut to = time(5, None);
    for octets in [&mut from, &mut to] {
        // Day of week, hour, minute, second and hundredths.
        octets[4..9].fill(0xFF);
    }
    let selected = select(RangeDescriptor::SELECTOR, &range(from, to, &[1, 0])).unwrap().rows;
    let day = Moment::from_seconds(1_772_319_600);
    assert_eq!(selected, RowSelection::Between(day, day.plus_millis(86_399_999)));

    let unspecified = DateTime::UNSPECIFIED.to_bytes();
    let selected = select(RangeDescriptor::SELECTOR, &range(unspecified, unspecified, &[1, 0])).unwrap().rows;
    assert_eq!(selected, RowSelection::Between(Moment::from_millis(i64::MIN), Moment::from_millis(i64::MAX)));
}

#[test]
fn columns_are_selected_by_name_and_by_number() {
    let by_name = hex("01 01 02 04 12 0003 09 06 0100020800FF 0F 02 12 0000");
    let selected = select(RangeDescriptor::SELECTOR, &range(time(0, None), time(1, None), &by_name)).unwrap().columns;
    assert_eq!([0, 1, 2].map(|index| selected.contains(index)), [false, false, true]);
    assert_eq!(selected.of(3), 1);

    let selected = select(EntryDescriptor::SELECTOR, &hex("02 04 06 00000002 06 00000000 12 0002 12 0000")).unwrap();
    assert_eq!(selected.rows, RowSelection::Entries(2, 0));
    assert_eq!([0, 1, 2].map(|index| selected.columns.contains(index)), [false, true, true]);
}

#[test]
fn what_cannot_be_selected_is_refused() {
    let unknown_column = hex("01 01 02 04 12 0003 09 06 0100030800FF 0F 02 12 0000");
    let by_register = hex("02 04 02 04 12 0003 09 06 0100010800FF 0F 02 12 0000 06 00000000 06 00000001 01 00");
    for octets in [
        range(time(0, None), time(1, None), &unknown_column),
        range(time(0, None), time(1, None), &[0]),
        range(
            [0xFF, 0xFF, 2, 30, 0xFF, 0, 0, 0, 0, 0x80, 0, 0],
            [0x07, 0xEA, 2, 30, 0xFF, 0, 0, 0, 0, 0x80, 0, 0],
            &[1, 0],
        ),
        by_register,
        hex("06 00000001"),
        hex("00"),
    ] {
        assert_eq!(select(RangeDescriptor::SELECTOR, &octets), Err(DataAccessResult::TypeUnmatched), "{octets:02X?}");
    }
    for octets in [hex("02 04 06 00000001 06 00000000 12 0004 12 0000"), hex("02 01 06 00000001")] {
        assert_eq!(select(EntryDescriptor::SELECTOR, &octets), Err(DataAccessResult::TypeUnmatched), "{octets:02X?}");
    }
    assert_eq!(select(3, &hex("00")), Err(DataAccessResult::TypeUnmatched));
}

#[test]
fn rows_stay_within_what_the_profile_holds() {
    let range = RowRange { first: 100, count: 10 };
    let rows = |rows| {
        BufferSelection { rows, columns: Columns::ALL }
            .rows(range, |moment| u64::try_from(moment.as_seconds()).unwrap_or(0))
    };
    assert_eq!(rows(RowSelection::All), (100, 10));
    assert_eq!(rows(RowSelection::Entries(1, 0)), (100, 10));
    assert_eq!(rows(RowSelection::Entries(0, 3)), (100, 3));
    assert_eq!(rows(RowSelection::Entries(3, 3)), (102, 1));
    assert_eq!(rows(RowSelection::Entries(9, 99)), (108, 2));
    assert_eq!(rows(RowSelection::Entries(11, 0)).1, 0);
    assert_eq!(rows(RowSelection::Entries(5, 4)).1, 0);
    let seconds = |from, to| RowSelection::Between(Moment::from_seconds(from), Moment::from_seconds(to));
    assert_eq!(rows(seconds(0, 1_000)), (100, 10));
    assert_eq!(rows(seconds(500, 1_000)).1, 0);
    assert_eq!(rows(seconds(104, 102)).1, 0);
}
