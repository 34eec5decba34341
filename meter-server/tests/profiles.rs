//! Load profiles and logs: rows out of nothing, always the same ones.

mod support;

use dlms::apdu::{DataAccessResult, Selection};
use dlms::association::server::{Cursor, Device, Progress};
use dlms::axdr::{Data, Value, Writer};
use dlms::time::{ClockStatus, DateTime};
use dlms_meter_server::Moment;
use support::{Client, NOW, elements, number, octets, seconds, start, stopped};

const LOAD_PROFILE: &str = "1.0.99.1.0.255";
const DAILY_PROFILE: &str = "1.0.99.2.0.255";

/// The parameters of a range of the clock, both ends in seconds since 1970, with deviation -60 or none.
fn range(from: i64, to: i64, deviation: Option<i16>) -> Vec<u8> {
    let time = |at| DateTime::from_unix_seconds(at, -60, ClockStatus::OK).with_deviation(deviation);
    encoded(|out| {
        out.structure(4)?;
        out.structure(4)?;
        out.long_unsigned(8)?;
        out.octets(&[0, 0, 1, 0, 0, 255])?;
        out.integer(2)?;
        out.long_unsigned(0)?;
        out.date_time(&time(from))?;
        out.date_time(&time(to))?;
        out.array(0)
    })
}

fn entries(from: u32, to: u32, from_column: u16, to_column: u16) -> Vec<u8> {
    encoded(|out| {
        out.structure(4)?;
        out.double_long_unsigned(from)?;
        out.double_long_unsigned(to)?;
        out.long_unsigned(from_column)?;
        out.long_unsigned(to_column)
    })
}

fn encoded(write: impl FnOnce(&mut Writer<'_>) -> Result<(), dlms::axdr::BufferFull>) -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut out = Writer::new(&mut buffer);
    write(&mut out).unwrap();
    out.written().to_vec()
}

fn select(selector: u8, parameters: &[u8]) -> Option<Selection<'_>> {
    Some(Selection { selector, parameters: Data::from_slice(parameters).unwrap() })
}

#[test]
fn the_same_seed_has_the_same_history_whenever_it_is_read() {
    let parameters = range(NOW - 86_400, NOW - 3_600, Some(-60));
    let read = |seed, now| Client::reader(&start(stopped(seed, now))).rows(LOAD_PROFILE, select(1, &parameters));
    let history = read(3, NOW);
    assert_eq!(history.len(), (86_400 - 3_600) / 900);
    // A day later, in another process, the past is still the same.
    assert_eq!(read(3, NOW + 86_400), history);
    assert_ne!(read(4, NOW), history);
}

#[test]
fn rows_are_complete_in_order_and_energies_never_fall() {
    let fleet = start(stopped(3, NOW));
    let reader = Client::reader(&fleet);
    let rows = reader.rows(LOAD_PROFILE, None);
    assert_eq!(rows.len(), 8_640);
    assert_eq!(reader.number(7, LOAD_PROFILE, 7), 8_640);
    assert_eq!(seconds(&rows[8_639][0]), NOW - NOW % 900);
    for pair in rows.windows(2) {
        assert_eq!(seconds(&pair[1][0]) - seconds(&pair[0][0]), 900);
        for column in 2..6 {
            assert!(number(&pair[1][column]) >= number(&pair[0][column]), "{pair:?}");
        }
    }
    assert!(number(&rows[8_639][2]) > number(&rows[0][2]) + 100_000, "90 days of import");
}

#[test]
fn a_row_shows_what_the_registers_showed_at_its_moment() {
    let quarter = NOW - NOW % 900;
    let reader = Client::reader(&start(stopped(3, quarter)));
    let row = reader.rows(LOAD_PROFILE, select(2, &entries(8_640, 0, 1, 0))).remove(0);
    let registers = ["1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255", "1.0.4.8.0.255"];
    for (column, register) in row[2..].iter().zip(registers) {
        assert_eq!(number(column), reader.number(3, register, 2));
    }
    assert_eq!(seconds(&row[0]), quarter);
}

#[test]
fn lesson_14_a_range_includes_both_ends_with_or_without_a_deviation() {
    let reader = Client::reader(&start(stopped(3, NOW)));
    let (from, to) = (NOW - NOW % 900 - 7_200, NOW - NOW % 900 - 3_600);
    for deviation in [Some(-60), None] {
        let parameters = range(from, to, deviation);
        let rows = reader.rows(LOAD_PROFILE, select(1, &parameters));
        assert_eq!(rows.len(), 5);
        assert_eq!((seconds(&rows[0][0]), seconds(&rows[4][0])), (from, to));
    }
    // One second inside on either side leaves the outer rows out.
    assert_eq!(reader.rows(LOAD_PROFILE, select(1, &range(from + 1, to - 1, Some(-60)))).len(), 3);
    assert_eq!(reader.rows(LOAD_PROFILE, select(1, &range(from + 1, from + 899, Some(-60)))).len(), 0);
    assert_eq!(reader.rows(LOAD_PROFILE, select(1, &range(to, from, Some(-60)))).len(), 0);
    assert_eq!(reader.rows(LOAD_PROFILE, select(1, &range(0, NOW * 2, Some(-60)))).len(), 8_640);
    assert_eq!(reader.rows(LOAD_PROFILE, select(1, &range(NOW, NOW * 2, Some(-60)))).len(), 0);
}

#[test]
fn entries_and_columns_are_cut_out_of_the_whole_buffer() {
    let reader = Client::reader(&start(stopped(3, NOW)));
    let whole = reader.rows(DAILY_PROFILE, None);
    assert_eq!(whole.len(), 400);
    let some = reader.rows(DAILY_PROFILE, select(2, &entries(10, 20, 1, 0)));
    assert_eq!(some, whole[9..20]);
    let columns = reader.rows(DAILY_PROFILE, select(2, &entries(399, 0, 3, 4)));
    assert_eq!(columns.len(), 2);
    assert_eq!(columns[1], whole[399][2..4]);
    assert!(reader.rows(DAILY_PROFILE, select(2, &entries(401, 0, 1, 0))).is_empty());
    let refused = reader.read_selected(7, DAILY_PROFILE, 2, select(2, &entries(1, 0, 99, 0)));
    assert_eq!(refused, Err(DataAccessResult::TypeUnmatched));
}

#[test]
fn the_daily_profile_captures_at_local_midnight_on_both_sides_of_a_change() {
    // 2026-04-02: summer time has begun on the 29th of March.
    let reader = Client::reader(&start(stopped(3, 1_775_120_400)));
    let rows = reader.rows(DAILY_PROFILE, select(2, &entries(394, 0, 1, 2)));
    let mut lengths = Vec::new();
    for pair in rows.windows(2) {
        let time = DateTime::decode(octets(&pair[1][0])).unwrap();
        assert_eq!((time.hour(), time.minute()), (Some(0), Some(0)));
        lengths.push(seconds(&pair[1][0]) - seconds(&pair[0][0]));
    }
    assert_eq!(lengths, [86_400, 86_400, 82_800, 86_400, 86_400, 86_400]);
    let status = |row: &[Value]| number(&row[1]) & 0x08;
    assert_eq!((status(&rows[0]), status(&rows[6])), (0, 8));
}

#[test]
fn the_billing_profile_captures_the_months_and_their_maxima() {
    let reader = Client::reader(&start(stopped(3, NOW)));
    let billing = "0.0.98.1.0.255";
    let rows = reader.rows(billing, None);
    assert_eq!(rows.len(), 24);
    for row in &rows {
        let time = DateTime::decode(octets(&row[0])).unwrap();
        assert_eq!((time.day(), time.hour(), time.minute()), (Some(1), Some(0), Some(0)));
        // The maximum of import is of the month that ended.
        let length = seconds(&row[0]) - seconds(&row[10]);
        assert!(number(&row[9]) > 0 && (0..31 * 86_400 + 3_600).contains(&length), "{row:?}");
    }
    assert!(rows.windows(2).all(|pair| number(&pair[1][1]) > number(&pair[0][1])));
    assert_eq!(reader.number(7, billing, 4), 0);
    let parameters = range(NOW - 70 * 86_400, NOW, None);
    assert_eq!(reader.rows(billing, select(1, &parameters)), rows[22..]);
}

#[test]
fn lesson_38_an_answer_needs_room_for_one_row_however_long_the_profile_is() {
    let reader = Client::reader(&start(stopped(3, NOW)));
    let parts = reader.parts(7, LOAD_PROFILE, 2, None).unwrap();
    assert_eq!(parts.len(), 8_641);
    assert_eq!(parts[0], [1, 0x82, 0x21, 0xC0]);
    assert!(parts.iter().map(Vec::len).max().unwrap() <= 64);
}

#[test]
fn an_answer_in_parts_goes_on_with_its_rows_while_new_ones_are_captured() {
    use dlms::association::server::{Cursor, Device};
    let fleet = start(stopped(3, NOW));
    let reader = Client::reader(&fleet);
    let attribute = support::attribute_of(7, LOAD_PROFILE, 2);
    let mut cursor = Cursor::default();
    let mut times = Vec::new();
    for part in 0..20 {
        cursor.part = part;
        let mut buffer = [0; 256];
        let mut out = Writer::new(&mut buffer);
        reader.device.with(|device| device.read(&reader.access, attribute, None, &mut cursor, &mut out)).unwrap();
        if part > 0 {
            let row = Value::from(Data::from_slice(out.written()).unwrap());
            times.push(seconds(&elements(&row)[0]));
        }
        // Rows are captured between any two parts.
        fleet.jump(Moment::from_seconds(NOW + 3_600 * i64::from(part)));
    }
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 900), "{times:?}");
}

#[test]
fn emptying_a_profile_and_changing_its_columns_and_period() {
    let fleet = start(stopped(3, NOW));
    let management = Client::management(&fleet);
    management.invoke(7, LOAD_PROFILE, 1, Data::Integer(0)).unwrap();
    assert!(management.rows(LOAD_PROFILE, None).is_empty());
    assert_eq!(management.number(1, "0.0.96.11.0.255", 2), 254);
    let columns = encoded(|out| {
        out.array(2)?;
        for (class, code) in [(8, [0, 0, 1, 0, 0, 255]), (3, [1, 0, 32, 7, 0, 255])] {
            out.structure(4)?;
            out.long_unsigned(class)?;
            out.octets(&code)?;
            out.integer(2)?;
            out.long_unsigned(0)?;
        }
        Ok(())
    });
    management.write(7, LOAD_PROFILE, 3, Data::from_slice(&columns).unwrap()).unwrap();
    assert_eq!(elements(&management.read(7, LOAD_PROFILE, 3).unwrap()).len(), 2);
    management.write(7, LOAD_PROFILE, 4, Data::DoubleLongUnsigned(300)).unwrap();
    assert_eq!(management.number(7, LOAD_PROFILE, 4), 300);
    for (attribute, wrong) in
        [(4, Data::DoubleLongUnsigned(7)), (4, Data::DoubleLongUnsigned(0)), (3, Data::from_slice(&[1, 0]).unwrap())]
    {
        assert_eq!(management.write(7, LOAD_PROFILE, attribute, wrong), Err(DataAccessResult::OtherReason));
    }
    // A column of an object that is not there, and a profile as a column of a profile.
    for (class, code) in [(3, [1, 0, 99, 9, 9, 255]), (7, [1, 0, 99, 2, 0, 255])] {
        let column = encoded(|out| {
            out.array(1)?;
            out.structure(4)?;
            out.long_unsigned(class)?;
            out.octets(&code)?;
            out.integer(2)?;
            out.long_unsigned(0)
        });
        let refused = management.write(7, LOAD_PROFILE, 3, Data::from_slice(&column).unwrap());
        assert_eq!(refused, Err(DataAccessResult::ObjectUndefined));
    }
}

#[test]
fn an_answer_in_blocks_ends_where_the_rows_are_no_longer_what_they_were() {
    let fleet = start(stopped(3, NOW));
    let management = Client::management(&fleet);
    let buffer = support::attribute_of(7, LOAD_PROFILE, 2);
    let mut octets = [0; 512];
    let mut read = |cursor: &mut Cursor| {
        let mut out = Writer::new(&mut octets);
        management.device.with(|device| device.read(&management.access, buffer, None, cursor, &mut out))
    };
    let column = encoded(|out| {
        out.array(1)?;
        out.structure(4)?;
        out.long_unsigned(3)?;
        out.octets(&[1, 0, 32, 7, 0, 255])?;
        out.integer(2)?;
        out.long_unsigned(0)
    });
    let changes: [&dyn Fn(); 3] = [
        &|| management.write(7, LOAD_PROFILE, 3, Data::from_slice(&column).unwrap()).unwrap(),
        &|| management.write(7, LOAD_PROFILE, 4, Data::DoubleLongUnsigned(300)).unwrap(),
        &|| management.invoke(7, LOAD_PROFILE, 1, Data::Integer(0)).unwrap(),
    ];
    let mut cursor = Cursor::default();
    assert_eq!(read(&mut cursor), Ok(Progress::More));
    for (index, change) in changes.iter().enumerate() {
        cursor.part = 7;
        if index == 0 {
            assert_eq!(read(&mut cursor), Ok(Progress::More));
        }
        change();
        assert_eq!(read(&mut cursor), Err(DataAccessResult::LongGetAborted));
        // Another profile is not concerned.
        assert!(!management.rows(DAILY_PROFILE, None).is_empty());
    }
    assert_eq!(read(&mut Cursor::default()), Ok(Progress::Done));
}

#[test]
fn new_columns_are_captured_from_the_moment_they_are_set() {
    let fleet = start(stopped(3, NOW));
    let management = Client::management(&fleet);
    management.invoke(7, LOAD_PROFILE, 1, Data::Integer(0)).unwrap();
    fleet.jump(Moment::from_seconds(NOW + 200_000));
    let rows = management.rows(LOAD_PROFILE, None);
    assert_eq!(rows.len(), 200_000 / 900);
    assert!(rows.iter().all(|row| seconds(&row[0]) > NOW));
}

#[test]
fn the_event_log_is_read_by_range_and_cleared() {
    let fleet = start(stopped(3, NOW));
    let management = Client::management(&fleet);
    let log = "0.0.99.98.0.255";
    let whole = management.rows(log, None);
    assert!(whole.len() > 20);
    assert!(whole.is_sorted_by_key(|row| seconds(&row[0])));
    let (first, last) = (seconds(&whole[5][0]), seconds(&whole[9][0]));
    let parameters = range(first, last, Some(-60));
    let some = management.rows(log, select(1, &parameters));
    assert!(some.len() >= 5 && some.iter().all(|row| (first..=last).contains(&seconds(&row[0]))));
    management.invoke(7, log, 1, Data::Integer(0)).unwrap();
    let cleared = management.rows(log, None);
    assert_eq!(cleared.len(), 1);
    assert_eq!(number(&cleared[0][1]), 255);
}
