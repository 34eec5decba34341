//! The limiter, the disconnector and the supervision of fuses, over an association while time goes on.

mod support;

use dlms::apdu::DataAccessResult;
use dlms::axdr::{Data, Value, Writer};
use dlms::cosem::ToData;
use dlms::cosem::limiter::EmergencyProfile;
use dlms::time::DateTime;
use dlms_meter_server::Moment;
use dlms_meter_server::objects::{SwitchEvent, SwitchState};
use support::client::Management;
use support::{Server, elements, moment, number, rows};

const LIMITER: &str = "0.0.17.0.0.255";
const SWITCH: &str = "0.0.96.3.10.255";
/// 2026-03-16, a Monday, at 10:00: there is a load.
const START: &str = "2026-03-16T10:00:00+01:00";

fn set(client: &mut Management, class: u16, instance: &str, attribute: i8, value: Data<'_>) {
    assert_eq!(client.set(class, instance, attribute, value).unwrap(), DataAccessResult::Success, "{instance}");
}

/// Control state, and the power at this moment.
fn state(client: &mut Management) -> (i64, i64) {
    let power = client.number(3, "1.0.15.7.0.255", 2);
    let output = client.get(70, SWITCH, 2) == Value::Boolean(true);
    let state = client.number(70, SWITCH, 3);
    assert_eq!(output, state == 1);
    assert!(output || power == 0, "no power flows through an open switch");
    (state, power)
}

fn codes(client: &mut Management, log: u8) -> Vec<i64> {
    let log = rows(&client.get(7, &format!("0.0.99.98.{log}.255"), 2));
    log.iter().map(|row| number(&row[1])).collect()
}

/// The moment `seconds` after the start.
fn after(seconds: i64) -> Moment {
    moment(START).plus_millis(1000 * seconds)
}

#[test]
fn too_much_load_opens_the_switch_and_each_mode_closes_it_in_its_way() {
    for mode in 0..=6_u8 {
        let server = Server::standing_at(START);
        let mut client = server.management();
        set(&mut client, 70, SWITCH, 4, Data::Enum(mode));
        let (_, power) = state(&mut client);
        assert!(power > 20, "{power}");
        set(&mut client, 71, LIMITER, 4, Data::DoubleLongUnsigned(10));
        assert_eq!(client.number(71, LIMITER, 3), 10);
        server.fleet().jump(after(59));
        assert_eq!(state(&mut client).0, 1, "mode {mode}: not long enough");
        server.fleet().jump(after(61));
        // Mode 0 never disconnects.
        assert_eq!(state(&mut client).0, if mode == 0 { 1 } else { 2 }, "mode {mode}");
        // A limit that is kept, and time: modes 5 and 6 close by themselves.
        server.fleet().jump(after(200));
        let locally = matches!(mode, 5 | 6);
        let events = codes(&mut client, 2);
        match mode {
            0 => assert_eq!(events, [67, 65]),
            5 | 6 => assert_eq!(events[..5], [67, 65, 64, 66, 69], "mode {mode}"),
            _ => assert_eq!(events, [67, 65, 64, 66], "mode {mode}"),
        }
        if !locally && mode != 0 {
            // Ready for reconnection: by hand in every mode.
            assert_eq!(state(&mut client).0, 2, "mode {mode}");
            let by_hand = |device: &mut dlms_meter_server::simulator::PhysicalDevice| {
                device.operate_switch(dlms::id::ServerSap(1), SwitchEvent::ManualReconnect)
            };
            assert!(server.fleet().devices()[0].with(by_hand));
            assert_eq!(state(&mut client).0, 1, "mode {mode}");
            assert_eq!(codes(&mut client, 2).last(), Some(&61));
        }
        server.shutdown();
    }
}

#[test]
fn an_emergency_has_a_threshold_of_its_own_for_its_time() {
    let server = Server::standing_at(START);
    let mut client = server.management();
    set(&mut client, 70, SWITCH, 4, Data::Enum(5));
    set(&mut client, 71, LIMITER, 5, Data::DoubleLongUnsigned(5));
    let activation_time: DateTime = "2026-03-16T10:10:00+01:00".parse().unwrap();
    let mut emergency = |id| {
        let profile = EmergencyProfile { id, activation_time, duration: 600 };
        client.set_written(71, LIMITER, 8, |out| profile.to_data(out))
    };
    // The meter belongs to emergency 1.
    assert_eq!(emergency(2), DataAccessResult::Success);
    assert_eq!(emergency(1), DataAccessResult::Success);
    assert_eq!(client.get(71, LIMITER, 10), Value::Boolean(false));
    assert_eq!(client.number(71, LIMITER, 3), i64::from(u32::MAX));
    server.fleet().jump(after(610));
    assert_eq!(client.get(71, LIMITER, 10), Value::Boolean(true));
    assert_eq!(client.number(71, LIMITER, 3), 5);
    assert_eq!(state(&mut client).0, 1);
    server.fleet().jump(after(661));
    assert_eq!(state(&mut client).0, 2);
    // It goes on and off until the emergency is over.
    server.fleet().jump(after(1_400));
    assert_eq!(client.get(71, LIMITER, 10), Value::Boolean(false));
    assert_eq!(state(&mut client).0, 1);
    server.fleet().jump(after(5_000));
    assert_eq!(state(&mut client).0, 1);
    server.shutdown();
}

#[test]
fn the_switch_opens_the_second_after_the_load_has_passed_the_limit_for_its_time() {
    let server = Server::standing_at(START);
    let mut client = server.management();
    let (_, power) = state(&mut client);
    // A little more than flows now: it will be passed some time.
    let limit = u32::try_from(power + power / 4).unwrap();
    // When it is passed, by the load that another such meter shows second by second.
    let other = Server::standing_at(START);
    let mut seen = other.management();
    let mut passed = None;
    for second in 1..7_200 {
        other.fleet().jump(after(second));
        let over = seen.number(3, "1.0.15.7.0.255", 2) > i64::from(limit);
        let since = if over { passed.or(Some(second)) } else { None };
        if since.is_some_and(|since| second - since >= 60) {
            passed = since;
            break;
        }
        passed = since;
    }
    let passed = passed.unwrap();
    set(&mut client, 71, LIMITER, 4, Data::DoubleLongUnsigned(limit));
    server.fleet().jump(after(passed + 58));
    assert_eq!(state(&mut client).0, 1);
    server.fleet().jump(after(passed + 62));
    assert_eq!(state(&mut client).0, 2);
    let log = rows(&client.get(7, "0.0.99.98.2.255", 2));
    let opened = log.iter().find(|row| number(&row[1]) == 65).unwrap();
    assert!((support::seconds(&opened[0]) - after(passed + 60).as_seconds()).abs() <= 2);
    server.shutdown();
    other.shutdown();
}

#[test]
fn a_year_is_made_up_for_in_some_thousand_looks() {
    let server = Server::standing_at(START);
    let mut client = server.management();
    set(&mut client, 71, LIMITER, 4, Data::DoubleLongUnsigned(1_000_000));
    server.fleet().jump(after(366 * 86_400));
    // A million looks would take longer than this client waits.
    assert_eq!(state(&mut client).0, 1);
    server.shutdown();
}

#[test]
fn what_a_limiter_cannot_watch_is_refused() {
    let server = Server::standing_at(START);
    let mut client = server.management();
    let mut watch = |class: u16, instance: [u8; 6], attribute: i8| {
        client.set_written(71, LIMITER, 2, |out| {
            out.structure(3)?;
            out.long_unsigned(class)?;
            out.octets(&instance)?;
            out.integer(attribute)
        })
    };
    assert_eq!(watch(3, [1, 0, 1, 7, 0, 255], 2), DataAccessResult::Success);
    assert_eq!(watch(5, [1, 0, 15, 24, 0, 255], 3), DataAccessResult::Success);
    assert_eq!(watch(0, [0; 6], 0), DataAccessResult::Success);
    assert_eq!(watch(3, [1, 0, 1, 7, 9, 255], 2), DataAccessResult::OtherReason);
    assert_eq!(watch(3, [1, 0, 1, 7, 0, 255], 3), DataAccessResult::OtherReason);
    assert_eq!(client.set(71, LIMITER, 4, Data::OctetString(&[1])).unwrap(), DataAccessResult::TypeUnmatched);
    assert_eq!(client.set(71, LIMITER, 3, Data::DoubleLongUnsigned(1)).unwrap(), DataAccessResult::ReadWriteDenied);
    server.shutdown();
}

#[test]
fn a_fuse_that_carries_too_much_is_told_once_each_way() {
    let server = Server::standing_at(START);
    let mut client = server.management();
    let monitor = "1.0.51.4.0.255";
    let threshold = |limit: u16| {
        support::encoded(|out| {
            out.array(1)?;
            out.long_unsigned(limit)
        })
    };
    let low = threshold(0);
    set(&mut client, 21, monitor, 2, Data::from_slice(&low).unwrap());
    assert_eq!(number(&elements(&client.get(21, monitor, 2))[0]), 0);
    server.fleet().jump(after(3_600));
    let told = |client: &mut Management| -> Vec<i64> {
        // The quality of the voltage has events of its own.
        codes_of_quality(client).into_iter().filter(|code| (70..=75).contains(code)).collect()
    };
    assert_eq!(told(&mut client), [72]);
    assert_eq!(client.action(70, SWITCH, 1), dlms::apdu::ActionResult::Success);
    server.fleet().jump(after(3_700));
    assert_eq!(told(&mut client), [72, 73]);
    server.shutdown();
}

fn codes_of_quality(client: &mut Management) -> Vec<i64> {
    codes(client, 4)
}

#[test]
fn remote_and_local_transitions_are_told_apart() {
    let server = Server::standing_at(START);
    let mut client = server.management();
    // Mode 4: remote reconnection closes.
    assert_eq!(client.action(70, SWITCH, 1), dlms::apdu::ActionResult::Success);
    assert_eq!(state(&mut client).0, 0);
    assert_eq!(client.action(70, SWITCH, 2), dlms::apdu::ActionResult::Success);
    assert_eq!(state(&mut client).0, 1);
    assert_eq!(codes(&mut client, 2), [62, 63]);
    let switch = server.fleet().devices()[0].with(|device| device.meter(dlms::id::ServerSap(1)).unwrap().switch());
    assert!(switch.is_connected());
    server.shutdown();
}

#[test]
fn a_monitor_whose_script_writes_that_monitor_does_not_stop_the_meter() {
    const MONITOR: &str = "1.0.31.4.0.255";
    let server = Server::standing_at(START);
    let mut client = server.management();
    // A script that writes the threshold which it was run for.
    let threshold = client.get(21, MONITOR, 2);
    let value = elements(&threshold)[0].clone();
    let low = match value {
        Value::DoubleLongUnsigned(_) => Value::DoubleLongUnsigned(0),
        Value::LongUnsigned(_) => Value::LongUnsigned(0),
        Value::DoubleLong(_) => Value::DoubleLong(0),
        other => panic!("{other:?}"),
    };
    let structure = |fields: Vec<Value>| Value::Structure(fields);
    let octets = |code: &str| Value::OctetString(code.parse::<dlms::obis::ObisCode>().unwrap().0.to_vec());
    let thresholds = Value::Array(vec![low]);
    let write = structure(vec![
        Value::Enum(1),
        Value::LongUnsigned(21),
        octets(MONITOR),
        Value::Integer(2),
        thresholds.clone(),
    ]);
    let script = structure(vec![Value::LongUnsigned(1), Value::Array(vec![write])]);
    let run = |script: u16| structure(vec![octets("0.0.10.0.108.255"), Value::LongUnsigned(script)]);
    let mut set = |class: u16, instance: &str, attribute: i8, value: &Value| {
        let mut buffer = [0; 512];
        let mut out = Writer::new(&mut buffer);
        value.encode(&mut out).unwrap();
        let data = Data::from_slice(out.written()).unwrap();
        assert_eq!(client.set(class, instance, attribute, data).unwrap(), DataAccessResult::Success, "{instance}");
    };
    set(9, "0.0.10.0.108.255", 2, &Value::Array(vec![script]));
    set(21, MONITOR, 4, &Value::Array(vec![structure(vec![run(1), run(0)])]));
    set(21, MONITOR, 2, &thresholds);
    server.fleet().jump(after(300));
    assert!(client.number(3, "1.0.1.8.0.255", 2) > 0, "the meter answers");
}
