//! What a meter tells of its supply and its clock: thresholds that clients write, power failures, changes of daylight
//! saving.

mod support;

use dlms::axdr::{Data, Value};
use dlms_meter_server::simulator::{Fleet, FleetConfig};
use support::{Client, NOW, moment, number, seconds, start, stopped};

const DAY: i64 = 86_400;
const STANDARD: &str = "0.0.99.98.0.255";
const FAILURES: &str = "1.0.99.97.0.255";

/// Two meters that are alike but for their seed.
fn two(seed: u64) -> (Fleet, [Client; 2]) {
    let fleet = start(FleetConfig { meters: 2, ..stopped(seed, NOW) });
    let client = |device: usize| Client { device: fleet.devices()[device].clone(), ..Client::management(&fleet) };
    let clients = [client(0), client(1)];
    (fleet, clients)
}

/// Moments and codes of a log, those of `codes` only.
fn events(client: &Client, log: &str, codes: std::ops::RangeInclusive<i64>) -> Vec<(i64, i64)> {
    let rows = client.rows(log, None);
    rows.iter().map(|row| (seconds(&row[0]), number(&row[1]))).filter(|(_, code)| codes.contains(code)).collect()
}

fn write_number(client: &Client, instance: &str, value: u16) {
    client.write(3, instance, 2, Data::LongUnsigned(value)).unwrap();
}

#[test]
fn thresholds_count_from_when_they_are_written() {
    let (fleet, [plain, deaf]) = two(7);
    let log = "0.0.99.98.4.255";
    let counters = ["1.0.32.32.0.255", "1.0.52.36.0.255", "1.0.72.32.0.255"];
    let before = events(&deaf, log, 76..=87);
    let counted = counters.map(|counter| deaf.number(1, counter, 2));
    assert!(before.len() > 10 && counted.iter().sum::<i64>() > 3);
    // Nothing is low or high enough any more.
    write_number(&deaf, "1.0.12.31.0.255", 0);
    write_number(&deaf, "1.0.12.39.0.255", 0);
    write_number(&deaf, "1.0.12.35.0.255", 900);
    let old = plain.rows(log, None).len();
    fleet.jump(moment("2027-03-15T13:00:00+01:00"));
    assert_eq!(events(&deaf, log, 76..=87), before, "nothing new, and what was told stays told");
    assert_eq!(counters.map(|counter| deaf.number(1, counter, 2)), counted);
    assert!(plain.rows(log, None).len() > old + 10);

    // Only what lasts for more than a minute; each is noticed when that has passed.
    let since = moment("2027-03-15T13:00:00+01:00").as_seconds();
    for (client, limit) in [(&plain, 60), (&deaf, 0)] {
        for time in ["1.0.12.43.0.255", "1.0.12.44.0.255", "1.0.12.45.0.255"] {
            write_number(client, time, limit);
        }
    }
    fleet.jump(moment("2028-12-15T13:00:00+01:00"));
    let late: Vec<_> = events(&plain, log, 76..=87).into_iter().filter(|(at, _)| *at > since).collect();
    let starts = late.iter().filter(|(_, code)| *code <= 84).count();
    let ends = late.iter().filter(|(_, code)| *code >= 85).count();
    assert!(starts == ends && starts > 3, "{late:?}");
    // A limit that is missing voltage for one meter is undervoltage for another.
    let codes = |client: &Client| events(client, log, 82..=84).into_iter().filter(|(at, _)| *at > since).count();
    let cuts = codes(&plain);
    write_number(&plain, "1.0.12.39.0.255", 220);
    fleet.jump(moment("2030-12-15T13:00:00+01:00"));
    assert!(codes(&plain) > cuts + 5);
}

#[test]
fn changes_of_daylight_saving_are_in_the_standard_log() {
    let (fleet, [europe, abroad]) = two(11);
    let changes =
        |client: &Client| -> Vec<i64> { events(client, STANDARD, 3..=3).into_iter().map(|(at, _)| at).collect() };
    let expected = ["2025-03-30T03:00:00+02:00", "2025-10-26T02:00:00+01:00"].map(|time| moment(time).as_seconds());
    let all = changes(&europe);
    assert!(all.ends_with(&expected), "{all:?}");
    // Attribute 8: daylight saving is no longer observed.
    abroad.write(8, "0.0.1.0.0.255", 8, Data::Boolean(false)).unwrap();
    fleet.jump(moment("2026-11-15T12:00:00+01:00"));
    assert_eq!(changes(&abroad), all);
    assert_eq!(changes(&europe).len(), all.len() + 2);
}

#[test]
fn power_failures_are_counted_and_the_long_ones_logged() {
    let (fleet, [client, other]) = two(5);
    let rows = |client: &Client| -> Vec<(i64, i64)> {
        client.rows(FAILURES, None).iter().map(|row| (seconds(&row[0]), number(&row[1]))).collect()
    };
    let all = client.number(1, "0.0.96.7.21.255", 2);
    let long = rows(&client);
    assert!(all > 10 && (5..all).contains(&(long.len() as i64)), "{} of {all}", long.len());
    assert!(long.iter().all(|(_, seconds)| *seconds >= 180) && long.is_sorted());
    assert_eq!(client.number(1, "0.0.96.7.9.255", 2), long.len() as i64);
    assert_eq!(client.number(3, "0.0.96.7.19.255", 2), long.last().unwrap().1);
    // Power came back when the standard log says so.
    let ups = events(&client, STANDARD, 2..=2);
    assert!(long.iter().rev().take(5).all(|(end, _)| ups.iter().any(|(at, _)| at == end)));

    // Two cuts: one is long by what holds when it ends.
    fleet.devices()[0].cut_power(200);
    fleet.jump(moment("2026-03-15T14:00:00+01:00"));
    write_number(&client, "0.0.96.7.20.255", 300);
    fleet.jump(moment("2026-03-15T14:01:00+01:00"));
    fleet.devices()[0].cut_power(200);
    let after = rows(&client);
    assert_eq!(after[..long.len()], long);
    assert_eq!(after[long.len()..], [(NOW, 200)]);
    let registers = ["0.0.96.7.0.255", "0.0.96.7.5.255"].map(|name| client.number(1, name, 2));
    assert_eq!(registers, [all + 2, long.len() as i64 + 1]);
    client.invoke(7, FAILURES, 1, Data::Integer(0)).unwrap();
    assert_eq!(rows(&client), []);
    assert!(!rows(&other).is_empty(), "another meter's");
}

#[test]
fn a_clock_without_power_for_too_long_is_invalid_until_it_is_set() {
    let (fleet, [client, _]) = two(5);
    let status = || number(&client.read(8, "0.0.1.0.0.255", 4).unwrap());
    let last = || events(&client, STANDARD, 0..=255).last().copied();
    fleet.devices()[0].cut_power(u32::try_from(7 * DAY).unwrap());
    assert_eq!((status(), last().unwrap().1), (0, 2));
    fleet.devices()[0].cut_power(u32::try_from(8 * DAY).unwrap());
    assert_eq!((status(), last()), (1, Some((NOW, 6))));
    // A row of the load profile says so too, and one before does not.
    fleet.jump(moment("2026-03-15T13:16:00+01:00"));
    assert_eq!(number(&client.read(1, "0.0.96.10.1.255", 2).unwrap()) & 2, 2);
    let time = client.read(8, "0.0.1.0.0.255", 2).unwrap();
    let Value::OctetString(time) = time else { panic!("{time:?}") };
    client.write(8, "0.0.1.0.0.255", 2, Data::OctetString(&time)).unwrap();
    assert_eq!(status(), 0);
}
