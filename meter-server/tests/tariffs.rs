//! Tariffs by calendar: which register counts, as a client sees it over an association while time goes on.

mod support;

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::axdr::{Value, Writer};
use dlms::cosem::ToData;
use dlms::cosem::special_days_table::SpecialDay;
use dlms::time::{Date, DateTime};
use support::client::Management;
use support::{Server, elements, number, octets, rows};

const CALENDAR: &str = "0.0.13.0.0.255";
const SPECIAL_DAYS: &str = "0.0.11.0.0.255";
const ENERGY: &str = "0.0.14.0.1.255";

/// The registers of the four rates, of import and export together: a house with a roof of cells imports nothing at noon.
fn rates(client: &mut Management) -> [i64; 4] {
    [1, 2, 3, 4].map(|rate| client.number(3, &format!("1.0.15.8.{rate}.255"), 2))
}

/// The active tariff and mask, which are one.
fn active(client: &mut Management) -> String {
    let tariff = octets(&client.get(1, "0.0.96.14.0.255", 2)).to_vec();
    assert_eq!(octets(&client.get(6, ENERGY, 4)), tariff);
    assert_eq!(octets(&client.get(6, "0.0.14.0.2.255", 4)), tariff);
    String::from_utf8(tariff).unwrap()
}

/// Codes in the standard event log, without the seed's own.
fn events(client: &mut Management) -> Vec<i64> {
    let log = rows(&client.get(7, "0.0.99.98.0.255", 2));
    log.iter().map(|row| number(&row[1])).filter(|code| ![1, 2, 4, 5].contains(code)).collect()
}

/// One season and week; every day the scripts of `day`, by hour.
fn program(client: &mut Management, name: &[u8], day: &[(u8, u16)]) {
    let set =
        |client: &mut Management, attribute, write: &dyn Fn(&mut Writer<'_>) -> Result<(), dlms::axdr::BufferFull>| {
            assert_eq!(client.set_written(20, CALENDAR, attribute, write), DataAccessResult::Success);
        };
    set(client, 6, &|out| out.octets(name));
    set(client, 7, &|out| {
        out.array(1)?;
        out.structure(3)?;
        out.octets(b"ALL")?;
        out.octets(&DateTime::UNSPECIFIED.to_bytes())?;
        out.octets(b"WEEK")
    });
    set(client, 8, &|out| {
        out.array(1)?;
        out.structure(8)?;
        out.octets(b"WEEK")?;
        (0..7).try_for_each(|_| out.unsigned(1))
    });
    set(client, 9, &|out| {
        out.array(1)?;
        out.structure(2)?;
        out.unsigned(1)?;
        out.array(day.len())?;
        // In the wrong order, which a meter puts right.
        day.iter().rev().try_for_each(|(hour, script)| {
            out.structure(3)?;
            out.octets(&[*hour, 0, 0, 0])?;
            out.octets(&[0, 0, 10, 0, 100, 255])?;
            out.long_unsigned(*script)
        })
    });
}

#[test]
fn registers_count_by_the_calendar() {
    // A Monday in winter.
    let server = Server::standing_at("2026-03-16T05:50:00+01:00");
    let mut client = server.management();
    assert_eq!(active(&mut client), "2");
    let before = rates(&mut client);
    server.jump("2026-03-16T06:00:00+01:00");
    assert_eq!(active(&mut client), "1");
    let night_over = rates(&mut client);
    assert!(night_over[1] >= before[1]);
    for (time, rate) in [("17:00:00", 1), ("20:00:00", 3), ("22:00:00", 4), ("23:59:59", 2)] {
        let before = rates(&mut client);
        server.jump(&format!("2026-03-16T{time}+01:00"));
        let after = rates(&mut client);
        for index in 0..4 {
            // Night counts on nothing but night, and so on; between the jumps one rate was in force.
            assert_eq!(after[index] > before[index], index + 1 == rate, "{time}: {before:?} to {after:?}");
        }
        let total = client.number(3, "1.0.15.8.0.255", 2);
        assert_eq!(total, after.iter().sum::<i64>());
    }
    // Sunday afternoon, which on a weekday has the day rate; the first of May, a Friday, and in summer time.
    server.jump("2026-03-22T15:00:00+01:00");
    assert_eq!(active(&mut client), "2");
    server.jump("2026-04-30T06:00:00+02:00");
    assert_eq!(active(&mut client), "1");
    server.jump("2026-05-01T15:00:00+02:00");
    assert_eq!(active(&mut client), "2");
    client.release().unwrap();
    server.shutdown();
}

#[test]
fn a_passive_calendar_takes_over_at_its_time_and_the_past_stays() {
    let server = Server::standing_at("2026-03-16T10:07:00+01:00");
    let mut client = server.management();
    let profile = client.get(7, "1.0.99.2.0.255", 2);
    // What the meter logged before the test, such as the change to winter time.
    let earlier = events(&mut client).len();
    program(&mut client, b"NEW", &[(0, 4), (13, 3)]);
    assert_eq!(events(&mut client)[earlier..], [19]);
    assert_eq!(octets(&client.get(20, CALENDAR, 2)), b"BASE");
    assert_eq!(octets(&client.get(20, CALENDAR, 6)), b"NEW");
    let at: DateTime = "2026-03-16T12:00:00+01:00".parse().unwrap();
    assert_eq!(client.set_written(20, CALENDAR, 10, |out| out.date_time(&at)), DataAccessResult::Success);
    server.jump("2026-03-16T11:59:59+01:00");
    assert_eq!((active(&mut client).as_str(), octets(&client.get(20, CALENDAR, 2))), ("1", &b"BASE"[..]));
    let before = rates(&mut client);
    // The client is away while it happens.
    server.jump("2026-03-16T12:30:00+01:00");
    assert_eq!((active(&mut client).as_str(), octets(&client.get(20, CALENDAR, 2))), ("4", &b"NEW"[..]));
    assert_eq!(events(&mut client)[earlier..], [19, 47, 9]);
    let after = rates(&mut client);
    assert!(after[3] > before[3] && after[0] - before[0] <= 1, "{before:?} to {after:?}");
    server.jump("2026-03-16T14:00:00+01:00");
    assert_eq!(active(&mut client), "3");
    assert!(rates(&mut client)[2] > after[2]);
    // What has been billed is as it was.
    assert_eq!(client.get(7, "1.0.99.2.0.255", 2), profile);
    // The days tell what was written, in order.
    let days = client.get(20, CALENDAR, 5);
    let hours: Vec<_> = elements(&elements(&elements(&days)[0])[1])
        .iter()
        .map(|action| (octets(&elements(action)[0])[0], number(&elements(action)[2])))
        .collect();
    assert_eq!(hours, [(0, 4), (13, 3)]);
    server.shutdown();
}

#[test]
fn a_calendar_is_activated_by_its_method_when_it_is_complete() {
    let server = Server::standing_at("2026-03-16T10:00:00+01:00");
    let mut client = server.management();
    program(&mut client, b"NEW", &[(0, 3)]);
    // A week that is not there.
    let season = |out: &mut Writer<'_>| {
        out.array(1)?;
        out.structure(3)?;
        out.octets(b"ALL")?;
        out.octets(&DateTime::UNSPECIFIED.to_bytes())?;
        out.octets(b"NONE")
    };
    assert_eq!(client.set_written(20, CALENDAR, 7, season), DataAccessResult::Success);
    assert_eq!(client.action(20, CALENDAR, 1), ActionResult::OtherReason);
    assert_eq!((active(&mut client).as_str(), octets(&client.get(20, CALENDAR, 2))), ("1", &b"BASE"[..]));
    program(&mut client, b"NEW", &[(0, 3)]);
    assert_eq!(client.action(20, CALENDAR, 1), ActionResult::Success);
    assert_eq!((active(&mut client).as_str(), octets(&client.get(20, CALENDAR, 2))), ("3", &b"NEW"[..]));
    // Too long a name, another type, and more than there is room for.
    assert_eq!(client.set_written(20, CALENDAR, 6, |out| out.octets(&[b'x'; 17])), DataAccessResult::OtherReason);
    assert_eq!(client.set_written(20, CALENDAR, 7, |out| out.octets(b"x")), DataAccessResult::TypeUnmatched);
    let nine = |out: &mut Writer<'_>| {
        out.array(9)?;
        (0..9).try_for_each(|_| {
            out.structure(8)?;
            out.octets(b"W")?;
            (0..7).try_for_each(|_| out.unsigned(1))
        })
    };
    assert_eq!(client.set_written(20, CALENDAR, 8, nine), DataAccessResult::OtherReason);
    assert_eq!(client.set_written(20, CALENDAR, 2, |out| out.octets(b"x")), DataAccessResult::ReadWriteDenied);
    server.shutdown();
}

#[test]
fn a_special_day_that_a_client_adds_switches_and_one_that_it_removes_does_not() {
    let server = Server::standing_at("2026-03-16T10:00:00+01:00");
    let mut client = server.management();
    let tomorrow = SpecialDay { index: 40, date: Date::new(2026, 3, 17).unwrap(), day_id: 3 };
    let insert = support::encoded(|out| tomorrow.to_data(out));
    let parameter = dlms::axdr::Data::from_slice(&insert).unwrap();
    assert_eq!(client.action_with(11, SPECIAL_DAYS, 1, parameter), ActionResult::Success);
    let entries = client.get(11, SPECIAL_DAYS, 2);
    assert_eq!(elements(&entries).len(), 5);
    server.jump("2026-03-17T10:00:00+01:00");
    assert_eq!(active(&mut client), "2");
    let before = rates(&mut client);
    server.jump("2026-03-17T11:00:00+01:00");
    let after = rates(&mut client);
    assert!(after[1] > before[1] && after[0] == before[0]);
    let delete = dlms::axdr::Data::LongUnsigned(40);
    assert_eq!(client.action_with(11, SPECIAL_DAYS, 2, delete), ActionResult::Success);
    assert_eq!(client.action_with(11, SPECIAL_DAYS, 2, delete), ActionResult::OtherReason);
    assert_eq!(active(&mut client), "1");
    let before = rates(&mut client);
    server.jump("2026-03-17T12:00:00+01:00");
    let after = rates(&mut client);
    assert!(after[0] > before[0] && after[1] == before[1]);
    server.shutdown();
}

#[test]
fn masks_say_which_register_counts() {
    let server = Server::standing_at("2026-03-16T10:00:00+01:00");
    let mut client = server.management();
    // From now on the mask of the day rate switches on the registers of rate 4.
    let registers = client.get(6, ENERGY, 2);
    let of_rate_4: Vec<u8> = (1..)
        .zip(elements(&registers))
        .filter(|(_, register)| octets(&elements(register)[1])[4] == 4)
        .map(|(index, _)| index)
        .collect();
    assert_eq!(of_rate_4.len(), 11);
    let mask = support::encoded(|out| {
        out.structure(2)?;
        out.octets(b"1")?;
        out.array(of_rate_4.len())?;
        of_rate_4.iter().try_for_each(|index| out.unsigned(*index))
    });
    let parameter = dlms::axdr::Data::from_slice(&mask).unwrap();
    let before = rates(&mut client);
    assert_eq!(client.action_with(6, ENERGY, 2, parameter), ActionResult::Success);
    server.jump("2026-03-16T11:00:00+01:00");
    let after = rates(&mut client);
    assert!(after[3] > before[3] && after[0] == before[0], "{before:?} to {after:?}");
    assert_eq!(client.get(6, ENERGY, 4), Value::OctetString(b"1".as_slice().into()));
    // Places that are not there, and a mask that is not.
    let nowhere = support::encoded(|out| {
        out.structure(2)?;
        out.octets(b"X")?;
        out.array(1)?;
        out.unsigned(200)
    });
    let parameter = dlms::axdr::Data::from_slice(&nowhere).unwrap();
    assert_eq!(client.action_with(6, ENERGY, 2, parameter), ActionResult::OtherReason);
    assert_eq!(client.action_with(6, ENERGY, 3, dlms::axdr::Data::OctetString(b"X")), ActionResult::OtherReason);
    server.shutdown();
}
