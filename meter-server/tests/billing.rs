//! Billing periods and demand, over an association while time goes on.

mod support;

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::axdr::Data;
use dlms::time::DateTime;
use support::client::Management;
use support::{Server, moment, number, octets, rows, seconds};

const BILLING: &str = "0.0.98.1.0.255";
const END: &str = "0.0.10.0.1.255";
const DEMAND: &str = "1.0.15.4.0.255";
const MAXIMUM: &str = "1.0.15.6.0.255";

fn end(client: &mut Management) {
    assert_eq!(client.action_with(9, END, 1, Data::LongUnsigned(1)), ActionResult::Success);
}

fn times(client: &mut Management) -> Vec<i64> {
    rows(&client.get(7, BILLING, 2)).iter().map(|row| seconds(&row[0])).collect()
}

fn at(time: &str) -> i64 {
    moment(time).as_seconds()
}

#[test]
fn a_period_that_a_client_ends_is_a_row_of_its_own_and_maxima_begin_anew() {
    let server = Server::standing_at("2026-03-16T10:00:00+01:00");
    let mut client = server.management();
    let before = rows(&client.get(7, BILLING, 2));
    assert_eq!(before.len(), 24);
    let counter = client.number(1, "1.0.0.1.0.255", 2);
    let peak = client.number(4, MAXIMUM, 2);
    assert!(peak > 0);
    end(&mut client);
    // Once more at the same moment changes nothing.
    end(&mut client);
    assert_eq!(client.number(1, "1.0.0.1.0.255", 2), counter + 1);
    let ended = DateTime::decode(octets(&client.get(1, "1.0.0.1.2.255", 2))).unwrap();
    assert_eq!(ended.to_unix_seconds(), Some(at("2026-03-16T10:00:00+01:00")));
    let now = rows(&client.get(7, BILLING, 2));
    assert_eq!((now.len(), &now[..23]), (24, &before[1..]));
    assert_eq!(seconds(&now[23][0]), at("2026-03-16T10:00:00+01:00"));
    assert_eq!(number(&now[23][1]), client.number(3, "1.0.1.8.0.255", 2));
    // No quarter of an hour has ended in the new period; then there is one.
    server.jump("2026-03-16T10:14:59+01:00");
    assert_eq!(client.number(4, MAXIMUM, 2), 0);
    server.jump("2026-03-16T10:15:00+01:00");
    let first = client.number(4, MAXIMUM, 2);
    assert_eq!(first, client.number(5, DEMAND, 3));
    server.jump("2026-04-02T10:00:00+02:00");
    let rows_then = times(&mut client);
    let expected = ["2026-03-01T00:00:00+01:00", "2026-03-16T10:00:00+01:00", "2026-04-01T00:00:00+02:00"].map(at);
    assert_eq!(rows_then[21..], expected);
    assert_eq!(client.number(1, "1.0.0.1.0.255", 2), counter + 2);
    server.shutdown();
}

#[test]
fn a_schedule_ends_periods_at_its_time() {
    let server = Server::standing_at("2026-03-16T10:00:00+01:00");
    let mut client = server.management();
    let noon = client.set_written(22, "0.0.15.0.0.255", 4, |out| {
        out.array(1)?;
        out.structure(2)?;
        out.octets(&[12, 0, 0, 0])?;
        out.octets(&[0xFF, 0xFF, 0xFF, 20, 0xFF])
    });
    assert_eq!(noon, DataAccessResult::Success);
    server.jump("2026-05-01T00:00:00+02:00");
    let last = times(&mut client);
    let expected = [
        "2026-03-20T12:00:00+01:00",
        "2026-04-01T00:00:00+02:00",
        "2026-04-20T12:00:00+02:00",
        "2026-05-01T00:00:00+02:00",
    ]
    .map(at);
    // The meter's own clock is a second or so off, and so is what it does by it.
    for (found, expected) in last[20..].iter().zip(expected) {
        assert!((found - expected).abs() <= 3, "{found} for {expected}");
    }
    server.shutdown();
}

#[test]
fn periods_that_end_all_the_time_do_not_pile_up() {
    let server = Server::standing_at("2026-03-16T10:00:00+01:00");
    let mut client = server.management();
    let counter = client.number(1, "1.0.0.1.0.255", 2);
    for minute in 0..100 {
        server.fleet().jump(moment("2026-03-16T10:00:00+01:00").plus_millis(60_000 * minute));
        end(&mut client);
    }
    assert_eq!(client.number(1, "1.0.0.1.0.255", 2), counter + 100);
    let times = times(&mut client);
    assert_eq!(times.len(), 24);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 60), "{times:?}");
    server.shutdown();
}

#[test]
fn demand_is_averaged_over_blocks_or_a_sliding_window() {
    let server = Server::standing_at("2026-03-16T10:10:00+01:00");
    let mut client = server.management();
    let energy = |client: &mut Management| client.number(3, "1.0.15.8.0.255", 2);
    // Sliding over three periods of five minutes; what was counted before does not count.
    assert_eq!(client.set(5, DEMAND, 8, Data::DoubleLongUnsigned(300)).unwrap(), DataAccessResult::Success);
    assert_eq!(client.set(5, DEMAND, 9, Data::LongUnsigned(3)).unwrap(), DataAccessResult::Success);
    assert_eq!((client.number(5, DEMAND, 8), client.number(5, DEMAND, 9)), (300, 3));
    assert_eq!(client.number(5, DEMAND, 2), 0);
    let mut sums = vec![energy(&mut client)];
    for minute in 1..=12 {
        server.jump(&format!("2026-03-16T{}:{:02}:00+01:00", 10 + (10 + 5 * minute) / 60, (10 + 5 * minute) % 60));
        sums.push(energy(&mut client));
        // Watt-hours of a quarter of an hour are four watts each.
        let from = sums[sums.len().saturating_sub(4)];
        let expected = 4 * (sums[sums.len() - 1] - from);
        let last = client.number(5, DEMAND, 3);
        assert!((last - expected).abs() <= 8, "{last} for {expected} after {minute} periods");
    }
    // A period that ends early, and a reset.
    server.jump("2026-03-16T11:12:00+01:00");
    let running = client.number(5, DEMAND, 2);
    assert_eq!(client.action(5, DEMAND, 2), ActionResult::Success);
    assert_eq!(client.number(5, DEMAND, 3), running);
    assert_eq!(client.action(5, DEMAND, 1), ActionResult::Success);
    assert_eq!((client.number(5, DEMAND, 2), client.number(5, DEMAND, 3)), (0, 0));
    assert_eq!(client.set(5, DEMAND, 8, Data::DoubleLongUnsigned(0)).unwrap(), DataAccessResult::OtherReason);
    assert_eq!(client.set(5, DEMAND, 9, Data::LongUnsigned(97)).unwrap(), DataAccessResult::OtherReason);
    // The other registers go on as they were.
    assert_eq!(client.number(5, "1.0.1.4.0.255", 8), 900);
    server.shutdown();
}

#[test]
fn a_tariff_script_puts_a_rate_in_force_until_the_calendar_switches() {
    let server = Server::standing_at("2026-03-16T10:00:00+01:00");
    let mut client = server.management();
    assert_eq!(client.action_with(9, "0.0.10.0.100.255", 1, Data::LongUnsigned(4)), ActionResult::Success);
    assert_eq!(octets(&client.get(1, "0.0.96.14.0.255", 2)), b"4");
    let register = |client: &mut Management, rate: u8| client.number(3, &format!("1.0.15.8.{rate}.255"), 2);
    let before = [1, 4].map(|rate| register(&mut client, rate));
    server.jump("2026-03-16T16:59:59+01:00");
    let after = [1, 4].map(|rate| register(&mut client, rate));
    assert!(after[0] == before[0] && after[1] > before[1], "{before:?} to {after:?}");
    server.jump("2026-03-16T17:00:00+01:00");
    assert_eq!(octets(&client.get(1, "0.0.96.14.0.255", 2)), b"3");
    server.shutdown();
}
