//! The M-Bus of a meter: devices that are installed, read, keyed and shut off through the electricity meter.

mod support;

use std::sync::Arc;

use dlms::apdu::ActionResult;
use dlms::axdr::{Data, Value};
use dlms::id::ServerSap;
use dlms::security::{Crypto, RustCrypto};
use dlms_meter_server::Moment;
use dlms_meter_server::simulator::{BuiltInModel, DefectKind, Fleet, FleetConfig};
use support::{Client, NOW, elements, number, octets, seconds, start, stopped};

const HOUR: i64 = 3_600;
/// The last full hour before [`NOW`].
const FULL: i64 = NOW - NOW % HOUR;
const EVENTS: &str = "0.0.99.98.3.255";

/// A Dutch meter, with version 1 of the class.
fn dutch(config: FleetConfig) -> Fleet {
    start(FleetConfig { model: Arc::new(BuiltInModel::find("smr5").unwrap().model().unwrap()), ..config })
}

fn at(channel: u8, rest: &str) -> String {
    format!("0.{channel}.{rest}.255")
}

/// An attribute of an M-Bus client.
fn of(client: &Client, channel: u8, attribute: i8) -> i64 {
    client.number(72, &at(channel, "24.1.0"), attribute)
}

fn call(client: &Client, channel: u8, method: i8, parameter: Data<'_>) -> Result<(), ActionResult> {
    client.invoke(72, &at(channel, "24.1.0"), method, parameter)
}

/// Value and time of capture of a channel's first value; no time where nothing was captured.
fn reading(client: &Client, channel: u8) -> (i64, Option<i64>) {
    let time = client.read(4, &at(channel, "24.2.1"), 5).unwrap();
    let captured = octets(&time) != dlms::time::DateTime::UNSPECIFIED.to_bytes();
    (client.number(4, &at(channel, "24.2.1"), 2), captured.then(|| seconds(&time)))
}

fn events(client: &Client) -> Vec<i64> {
    client.rows(EVENTS, None).iter().map(|row| number(&row[1])).collect()
}

fn device_number(client: &Client, channel: u8) -> String {
    String::from_utf8(octets(&client.read(1, &at(channel, "96.1.0"), 2).unwrap()).to_vec()).unwrap()
}

#[test]
fn a_waiting_device_is_installed_and_taken_off_again() {
    let fleet = start(stopped(7, NOW));
    let client = Client::management(&fleet);
    assert_eq!((of(&client, 4, 5), of(&client, 4, 6), device_number(&client, 4)), (0, 0, String::new()));
    assert_eq!(reading(&client, 4), (0, None));
    assert!(call(&client, 4, 3, Data::Integer(0)).is_err(), "there is nothing to be read");
    assert!(call(&client, 1, 1, Data::Unsigned(0)).is_err(), "there is a device");
    assert!(call(&client, 4, 1, Data::Unsigned(2)).is_err(), "the address of the water meter");
    assert_eq!(call(&client, 4, 1, Data::Unsigned(0)), Ok(()));
    assert_eq!((of(&client, 4, 5), of(&client, 4, 9)), (4, 6), "the first free address, warm water");
    assert_eq!(events(&client), [135]);
    // Version 0 has the digits as they are.
    let digits = device_number(&client, 4);
    assert_eq!(format!("{:08x}", of(&client, 4, 6)), digits);
    let (value, captured) = reading(&client, 4);
    assert!(value > 10_000 && captured == Some(NOW), "{value} {captured:?}");
    assert!(call(&client, 4, 1, Data::Unsigned(0)).is_err(), "it is there already");

    assert_eq!(call(&client, 4, 2, Data::Integer(0)), Ok(()));
    assert_eq!((of(&client, 4, 5), of(&client, 4, 6), of(&client, 4, 9), reading(&client, 4)), (0, 0, 0, (0, None)));
    assert_eq!(call(&client, 4, 1, Data::Unsigned(77)), Ok(()));
    assert_eq!((of(&client, 4, 5), device_number(&client, 4), reading(&client, 4).0), (77, digits, value));
}

#[test]
fn each_device_has_its_own_number_kind_and_unit() {
    let client = start(stopped(7, NOW));
    let client = Client::reader(&client);
    let unit = |channel, value| {
        let scaler_unit = client.read(4, &at(channel, &format!("24.2.{value}")), 3).unwrap();
        let [scaler, unit] = elements(&scaler_unit) else { panic!("{scaler_unit:?}") };
        (number(scaler), number(unit))
    };
    assert_eq!([1, 2, 3].map(|channel| of(&client, channel, 9)), [3, 7, 4], "gas, water, heat");
    assert_eq!([unit(1, 1), unit(2, 1), unit(3, 1), unit(3, 2)], [(-3, 13), (-3, 13), (6, 25), (-3, 13)]);
    assert_eq!(unit(1, 2), (0, 255), "a gas meter has one value");
    let numbers: std::collections::BTreeSet<_> = (1..=3).map(|channel| device_number(&client, channel)).collect();
    assert_eq!(numbers.len(), 3);
    // SIM, as three letters of five bits.
    assert_eq!(of(&client, 1, 7), 0x4D2D);
    let (heat, water) = (client.number(4, "0.3.24.2.1.255", 2), client.number(4, "0.3.24.2.2.255", 2));
    assert_eq!(heat * 8, water);
    // In version 1 the number is plain.
    let fleet = dutch(stopped(7, NOW));
    let client = Client::management(&fleet);
    assert_eq!(format!("{:08}", of(&client, 1, 6)), device_number(&client, 1));
}

#[test]
fn a_capture_is_of_now_and_periods_end_on_the_hour() {
    let fleet = start(stopped(7, NOW));
    let client = Client::management(&fleet);
    let (before, captured) = reading(&client, 1);
    assert_eq!(captured, Some(FULL));
    let access = of(&client, 1, 10);
    assert_eq!(call(&client, 1, 3, Data::Integer(0)), Ok(()));
    let (now, captured) = reading(&client, 1);
    assert!(captured == Some(NOW) && now >= before, "{before} {now} {captured:?}");
    assert_eq!(of(&client, 1, 10), (access + 1) % 256);
    fleet.jump(Moment::from_seconds(FULL + 5 * HOUR + 1));
    let (later, captured) = reading(&client, 1);
    assert!(captured == Some(FULL + 5 * HOUR) && later > now);
    assert_eq!(of(&client, 1, 10), (access + 6) % 256);
    // Without a period only on request.
    client.write(72, "0.1.24.1.0.255", 4, Data::DoubleLongUnsigned(0)).unwrap();
    fleet.jump(Moment::from_seconds(FULL + 9 * HOUR));
    assert_eq!(reading(&client, 1), (later, captured));
    // Cubic metres in hundredths: the unit follows the definition.
    let definition = support::encoded(|out| {
        out.array(1)?;
        out.structure(2)?;
        out.octets(&[0x0C])?;
        out.octets(&[0x14])
    });
    client.write(72, "0.1.24.1.0.255", 3, Data::from_slice(&definition).unwrap()).unwrap();
    assert_eq!(reading(&client, 1).0, later / 10);
}

#[test]
fn rows_stay_what_they_were_whatever_becomes_of_the_device() {
    let fleet = start(stopped(7, NOW));
    let client = Client::management(&fleet);
    let profile = "0.1.24.3.0.255";
    let before = client.rows(profile, None);
    assert_eq!(before.len(), 240);
    let values: Vec<_> = before.iter().map(|row| number(&row[1])).collect();
    assert!(values.is_sorted() && values[0] < values[239]);
    for row in &before {
        assert_eq!(seconds(&row[0]), seconds(&row[2]), "captured at the end of the hour");
    }
    assert_eq!(number(&before[239][1]), reading(&client, 1).0);
    assert_eq!(call(&client, 1, 2, Data::Integer(0)), Ok(()));
    fleet.jump(Moment::from_seconds(NOW + 3 * HOUR));
    let after = client.rows(profile, None);
    assert_eq!(after[..237], before[3..]);
    assert!(after[237..].iter().all(|row| number(&row[1]) == 0), "{:?}", &after[237..]);
    // Two devices wait now: each drowns the other out, until one is installed.
    assert!(call(&client, 1, 1, Data::Unsigned(0)).is_err());
    fleet.jump(Moment::from_seconds(NOW + 6 * HOUR));
    assert_eq!(client.rows(profile, None)[..234], before[6..]);
}

#[test]
fn a_valve_stops_the_flow_and_its_log_tells() {
    let fleet = start(stopped(7, NOW));
    let client = Client::management(&fleet);
    let valve = "0.1.24.4.0.255";
    let operate = |method| client.invoke(70, valve, method, Data::Integer(0));
    assert_eq!((client.read(70, valve, 2), client.number(70, valve, 3)), (Ok(Value::Boolean(true)), 1));
    assert_eq!(operate(1), Ok(()));
    assert_eq!((client.read(70, valve, 2), client.number(70, valve, 3)), (Ok(Value::Boolean(false)), 0));
    fleet.jump(Moment::from_seconds(NOW + 24 * HOUR));
    let hours = client.rows("0.1.24.3.0.255", None);
    assert!(hours[217..].iter().all(|row| row[1] == hours[239][1]), "nothing flows");
    assert!(number(&hours[217][1]) >= number(&hours[215][1]));
    assert_eq!(client.number(70, "0.0.96.3.10.255", 3), 1, "the supply is another matter");
    assert_eq!(operate(2), Ok(()));
    fleet.jump(Moment::from_seconds(NOW + 48 * HOUR));
    assert!(reading(&client, 1).0 > number(&hours[239][1]));
    let log = client.rows("0.1.24.5.0.255", None);
    let log: Vec<_> = log.iter().map(|row| (seconds(&row[0]), number(&row[1]))).collect();
    assert_eq!(log, [(NOW, 0), (NOW + 24 * HOUR, 1)]);
    assert_eq!(events(&client), [162, 163]);
    assert!(client.invoke(70, "0.4.24.4.0.255", 1, Data::Integer(0)).is_err(), "nobody is on channel 4");
}

#[test]
fn devices_that_do_not_answer_leave_what_was_captured() {
    let fleet = start(stopped(7, NOW));
    let client = Client::management(&fleet);
    client.device.with(|device| device.suffer(ServerSap(1), DefectKind::SilentMbus)).unwrap();
    assert_eq!(events(&client), [100, 110, 120]);
    let before = reading(&client, 2);
    fleet.jump(Moment::from_seconds(NOW + 10 * HOUR));
    assert_eq!((reading(&client, 2), before.1), (before, Some(FULL)));
    assert_eq!(call(&client, 2, 3, Data::Integer(0)), Err(ActionResult::TemporaryFailure));
    assert_eq!(call(&client, 2, 5, Data::Integer(0)), Err(ActionResult::TemporaryFailure));
    assert!(call(&client, 4, 1, Data::Unsigned(0)).is_err());
    assert_eq!(events(&client).len(), 3, "told once");
    client.device.with(|device| device.mend(ServerSap(1))).unwrap();
    assert_eq!(events(&client)[3..], [101, 111, 121]);
    assert!(reading(&client, 2).0 > before.0 && reading(&client, 2).1 == Some(NOW + 10 * HOUR));
}

#[test]
fn an_alarm_stays_until_it_is_reset() {
    let fleet = start(stopped(7, NOW));
    let client = Client::management(&fleet);
    client.device.with(|device| device.suffer(ServerSap(1), DefectKind::MbusAlarm)).unwrap();
    assert_eq!((of(&client, 1, 12), of(&client, 1, 11)), (1, 0x10));
    assert_eq!(events(&client), [103, 113, 123]);
    // Bits 20 to 22 of alarm register 1 are fraud of channels 1 to 3.
    assert_eq!(client.number(1, "0.0.97.98.0.255", 2) >> 20 & 0xF, 7);
    assert_eq!(call(&client, 1, 4, Data::Integer(0)), Ok(()));
    assert_eq!(call(&client, 1, 3, Data::Integer(0)), Ok(()));
    assert_eq!((of(&client, 1, 12), of(&client, 1, 11), of(&client, 2, 12)), (0, 0, 1));
    assert_eq!(call(&client, 1, 5, Data::Integer(0)), Ok(()));
    assert_eq!(events(&client).last(), Some(&104));
    // Another primary address for the device: the channel finds it there once it is told so.
    let record = support::encoded(|out| {
        out.array(1)?;
        out.structure(3)?;
        out.octets(&[0x01])?;
        out.octets(&[0x7A])?;
        out.unsigned(40)
    });
    assert_eq!(call(&client, 1, 6, Data::from_slice(&record).unwrap()), Ok(()));
    assert!(call(&client, 1, 3, Data::Integer(0)).is_err());
    client.write(72, "0.1.24.1.0.255", 5, Data::Unsigned(40)).unwrap();
    assert_eq!(call(&client, 1, 3, Data::Integer(0)), Ok(()));
}

/// The key with which the first device of the meter was made, as it was delivered.
fn default_key(fleet: &Fleet) -> Vec<u8> {
    let mut shipment = Vec::new();
    fleet.write_shipment(&mut shipment).unwrap();
    let text = String::from_utf8(shipment).unwrap();
    let meter: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    hex::decode(meter["mbus_devices"][0]["default_key"].as_str().unwrap()).unwrap()
}

fn wrapped(fleet: &Fleet, key: &[u8; 16]) -> [u8; 24] {
    let mut wrapped = [0; 24];
    RustCrypto::wrap(&default_key(fleet), key, &mut wrapped).unwrap();
    wrapped
}

const KEY: [u8; 16] = *b"Key of gas meter";

fn give_key(fleet: &Fleet) {
    let client = Client::management(fleet);
    assert_eq!(call(&client, 1, 8, Data::OctetString(&wrapped(fleet, &KEY))), Ok(()));
    assert_eq!(call(&client, 1, 7, Data::OctetString(&KEY)), Ok(()));
}

#[test]
fn a_key_is_transferred_wrapped_and_never_seen_again() {
    let fleet = dutch(stopped(7, NOW));
    let client = Client::management(&fleet);
    let status = || of(&client, 1, 14);
    assert_eq!((status(), of(&client, 1, 13)), (0, 0));
    let mut spoiled = wrapped(&fleet, &KEY);
    spoiled[3] ^= 1;
    assert!(call(&client, 1, 8, Data::OctetString(&spoiled)).is_err());
    assert!(call(&client, 1, 8, Data::OctetString(&KEY)).is_err(), "not wrapped");
    assert_eq!(status(), 0);
    assert_eq!(call(&client, 1, 8, Data::OctetString(&wrapped(&fleet, &KEY))), Ok(()));
    assert_eq!((status(), of(&client, 1, 13)), (2, 0));
    // The device enciphers now, and the meter does not know with what.
    let before = reading(&client, 1);
    assert!(call(&client, 1, 3, Data::Integer(0)).is_err());
    assert_eq!(events(&client), [100]);
    assert_eq!(call(&client, 1, 7, Data::OctetString(&[1; 16])), Ok(()));
    assert_eq!((status(), reading(&client, 1)), (3, before));
    assert_eq!(call(&client, 1, 7, Data::OctetString(&KEY)), Ok(()));
    assert_eq!((status(), of(&client, 1, 13), reading(&client, 1).1), (4, 0x0510, Some(NOW)));
    assert_eq!(events(&client), [100, 101]);
    for attribute in 2..=14 {
        let value = client.parts(72, "0.1.24.1.0.255", attribute, None).unwrap().concat();
        assert!(!value.windows(4).any(|part| part == &KEY[..4]), "attribute {attribute}");
    }
    let shown = client.device.with(|device| format!("{device:?}"));
    assert!(!shown.contains("Key of") && !shown.contains("75, 101, 121"));
    // Keys are taken ciphered only, whatever a model's rights say.
    let plain = Client {
        access: dlms::association::server::Access { request: dlms::security::Protection::NONE, ..client.access },
        ..Client::management(&fleet)
    };
    assert!(call(&plain, 1, 7, Data::OctetString(&KEY)).is_err());
}

#[test]
fn what_is_installed_and_its_key_outlive_a_restart_and_a_cut_write() {
    let folder = tempfile::tempdir().unwrap();
    let config = || FleetConfig { state: Some(folder.path().to_owned()), ..stopped(7, NOW) };
    let fleet = dutch(config());
    give_key(&fleet);
    let captured = reading(&Client::management(&fleet), 1);
    drop(fleet);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&octets);
        assert!(!text.contains("Key of") && !text.contains(&hex::encode(&KEY[..6])));
    }
    let fleet = dutch(config());
    let client = Client::management(&fleet);
    assert_eq!((of(&client, 1, 14), reading(&client, 1)), (4, captured));
    assert_eq!(call(&client, 1, 3, Data::Integer(0)), Ok(()), "the device has kept its key too");
    assert_eq!(call(&client, 1, 2, Data::Integer(0)), Ok(()));
    assert_eq!((of(&client, 1, 5), of(&client, 1, 14)), (0, 0));
    drop((client, fleet));
    let fleet = dutch(config());
    assert_eq!(of(&Client::management(&fleet), 1, 5), 0);
    drop(fleet);
    // Power fails while the deinstallation is written: the meter is as it was before.
    let records = [0, 1].map(|slot| folder.path().join(format!("60000001.mbus.{slot}")));
    let sequence = |path: &std::path::PathBuf| std::fs::read(path).unwrap()[..4].to_vec();
    let newest = usize::from(sequence(&records[1]) > sequence(&records[0]));
    let whole = std::fs::read(&records[newest]).unwrap();
    for length in [0, 1, 9, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&records[newest], &whole[..length]).unwrap();
        let fleet = dutch(config());
        let client = Client::management(&fleet);
        assert_eq!((of(&client, 1, 5), of(&client, 1, 14)), (1, 4), "{length} octets");
        assert_eq!(call(&client, 1, 7, Data::OctetString(&KEY)), Ok(()));
        std::fs::write(&records[newest], &whole[..length]).unwrap();
    }
}
