//! Payment in advance, over an association while time goes on: credit is used up, the switch opens, a token closes it.

mod support;

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::axdr::{Data, Value};
use dlms::cosem::ToData;
use dlms::id::ServerSap;
use dlms_meter_server::objects::SwitchEvent;
use dlms_meter_server::simulator::{FleetConfig, MODELS, Model, PhysicalDevice};
use hmac::{Hmac, KeyInit, Mac};
use support::client::{self, Management};
use support::{Server, elements, moment, number, rows};

const ACCOUNT: &str = "0.0.19.0.0.255";
const CREDIT: &str = "0.0.19.10.0.255";
const EMERGENCY: &str = "0.0.19.10.1.255";
const CONSUMPTION: &str = "0.0.19.20.0.255";
const DAYS: &str = "0.0.19.20.1.255";
const GATEWAY: &str = "0.0.19.40.0.255";
const START: &str = "2026-03-16T10:00:00Z";

fn server() -> Server {
    let model = MODELS.iter().find(|model| model.name == "prepayment").unwrap().model().unwrap();
    let config = FleetConfig { model: std::sync::Arc::new(model), ..FleetConfig::default() };
    Server::standing(config, START)
}

fn jump(server: &Server, hours: i64) {
    server.fleet().jump(moment(START).plus_millis(3_600_000 * hours));
}

/// A token as the model's file describes it.
fn token(server: &Server, number: u32, amount: i32) -> Vec<u8> {
    let title = server.fleet().devices()[0].meters()[0].system_title;
    let body = [&[1][..], &number.to_be_bytes(), &amount.to_be_bytes()].concat();
    let key: Vec<u8> = (0..16).collect();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(&title.0);
    mac.update(&body);
    [&body[..], &mac.finalize().into_bytes()[..12]].concat()
}

/// Status code of a token that is entered.
fn enter(client: &mut Management, token: &[u8]) -> i64 {
    let status = client.action_reply(115, GATEWAY, 1, Data::OctetString(token)).unwrap().unwrap();
    assert_eq!(client.get(115, GATEWAY, 6), status);
    number(&elements(&status)[0])
}

fn control_state(client: &mut Management) -> i64 {
    client.number(70, "0.0.96.3.10.255", 3)
}

#[test]
fn credit_is_used_up_the_switch_opens_and_a_token_closes_it() {
    let server = server();
    let mut client = server.management();
    assert_eq!((client.number(111, ACCOUNT, 5), client.number(111, ACCOUNT, 3)), (1_000, 1));
    let counted = client.number(3, "1.0.1.8.0.255", 2);
    jump(&server, 12);
    let paid = client.number(113, CONSUMPTION, 2);
    let consumed = client.number(3, "1.0.1.8.0.255", 2) - counted;
    // 30 cents for a kilowatt-hour; the first collection takes note of the register.
    let first = consumed * 3 / 100;
    assert!(paid > 0 && paid <= first && first - paid < 30, "{paid} of {first}");
    assert_eq!(client.number(112, CREDIT, 2), 1_000 - paid);
    assert_eq!(client.number(113, DAYS, 2), 0);
    jump(&server, 25);
    assert_eq!(client.number(113, DAYS, 2), 25);
    // Some days later nothing is left; nobody was there when the switch opened.
    jump(&server, 24 * 14);
    assert_eq!(control_state(&mut client), 2);
    assert_eq!((client.number(111, ACCOUNT, 3), client.number(112, CREDIT, 8)), (0, 4));
    let bits = client.get(111, ACCOUNT, 4);
    let Value::BitString(bits) = &bits else { panic!("{bits:?}") };
    assert_eq!(bits.as_bits().to_u64(), Some(0x12), "the next can be selected, and there is no credit");
    let log = rows(&client.get(7, "0.0.99.98.2.255", 2));
    assert_eq!(log.iter().map(|row| number(&row[1])).collect::<Vec<_>>(), [64]);
    // A forged token, one for another meter, and one that brings credit; the same again does not.
    let good = token(&server, 7, 5_000);
    let mut forged = good.clone();
    forged[8] ^= 1;
    assert_eq!(enter(&mut client, &forged), 5);
    assert_eq!(enter(&mut client, &good[..20]), 4);
    assert_eq!(control_state(&mut client), 2);
    let owed = client.number(112, CREDIT, 2);
    assert!(owed <= 0);
    assert_eq!(enter(&mut client, &good), 3);
    assert_eq!(client.number(112, CREDIT, 2), 5_000 + owed);
    assert_eq!((control_state(&mut client), client.number(111, ACCOUNT, 3)), (1, 1));
    assert_eq!(enter(&mut client, &good), 6);
    let log = rows(&client.get(7, "0.0.99.98.2.255", 2));
    assert_eq!(log.iter().map(|row| number(&row[1])).collect::<Vec<_>>(), [64, 69]);
    server.shutdown();
}

#[test]
fn nobody_closes_a_switch_that_is_not_paid_for() {
    for mode in [2, 4] {
        let server = server();
        let mut client = server.management();
        assert_eq!(client.set(70, "0.0.96.3.10.255", 4, Data::Enum(mode)).unwrap(), DataAccessResult::Success);
        jump(&server, 24 * 20);
        assert_eq!(control_state(&mut client), 2, "mode {mode}");
        // By a remote disconnection and reconnection, which these modes close by, and by hand.
        client.action(70, "0.0.96.3.10.255", 1);
        client.action(70, "0.0.96.3.10.255", 2);
        assert_ne!(control_state(&mut client), 1, "mode {mode}");
        let by_hand = |device: &mut PhysicalDevice| device.operate_switch(ServerSap(1), SwitchEvent::ManualReconnect);
        server.fleet().devices()[0].with(by_hand);
        assert_ne!(control_state(&mut client), 1, "mode {mode}");
        let paid = token(&server, 7, 20_000);
        assert_eq!(enter(&mut client, &paid), 3);
        // These modes leave it to a hand to close what was opened locally.
        server.fleet().devices()[0].with(by_hand);
        assert_eq!(control_state(&mut client), 1, "mode {mode}: paid");
        server.shutdown();
    }
}

#[test]
fn emergency_credit_is_chosen_and_paid_back() {
    let server = server();
    let mut client = server.management();
    // Not while there is enough.
    assert_eq!(client.action(112, EMERGENCY, 3), ActionResult::OtherReason);
    let before = client.action_reply(112, CREDIT, 2, Data::DoubleLong(50)).unwrap().unwrap();
    assert_eq!(number(&before), 1_000);
    assert_eq!(client.number(112, EMERGENCY, 8), 1);
    assert_eq!(client.action(112, EMERGENCY, 3), ActionResult::Success);
    jump(&server, 8);
    assert_eq!((control_state(&mut client), client.number(111, ACCOUNT, 3)), (1, 2));
    let to_clear = client.number(111, ACCOUNT, 6);
    assert!(to_clear > 0 && to_clear == 300 - client.number(112, EMERGENCY, 2));
    let token = token(&server, 1, 1_000);
    assert_eq!(enter(&mut client, &token), 3);
    assert_eq!((client.number(111, ACCOUNT, 6), client.number(112, EMERGENCY, 2)), (0, 300));
    assert_eq!(client.number(112, CREDIT, 2), 1_000 - to_clear);
    assert_eq!(client.number(111, ACCOUNT, 3), 1);
    server.shutdown();
}

#[test]
fn a_closed_account_pays_for_nothing_and_begins_anew() {
    let server = server();
    let mut client = server.management();
    assert_eq!(client.action(111, ACCOUNT, 1), ActionResult::OtherReason, "it is active");
    assert_eq!(client.action(111, ACCOUNT, 2), ActionResult::Success);
    jump(&server, 24 * 20);
    assert_eq!((client.number(112, CREDIT, 2), control_state(&mut client)), (1_000, 1));
    assert_eq!(client.action(111, ACCOUNT, 3), ActionResult::Success);
    assert_eq!(client.action(111, ACCOUNT, 1), ActionResult::Success);
    jump(&server, 24 * 21);
    assert!(client.number(112, CREDIT, 2) < 1_000);
    server.shutdown();
}

#[test]
fn prices_to_come_are_written_and_put_in_force() {
    let server = server();
    let mut client = server.management();
    let prices = support::encoded(|out| {
        out.array(1)?;
        out.structure(2)?;
        out.octets(b"")?;
        out.long(60)
    });
    let parameter = Data::from_slice(&prices).unwrap();
    assert_eq!(client.action_with(113, CONSUMPTION, 1, parameter), ActionResult::Success);
    let price = |client: &mut Management, attribute| {
        let price = client.get(113, CONSUMPTION, attribute);
        number(&elements(&elements(&elements(&price)[2])[0])[1])
    };
    assert_eq!((price(&mut client, 5), price(&mut client, 6)), (30, 60));
    assert_eq!(client.action(113, CONSUMPTION, 2), ActionResult::Success);
    assert_eq!(price(&mut client, 5), 60);
    assert_eq!(client.action(113, CONSUMPTION, 3), ActionResult::Success);
    assert_eq!(client.set(111, ACCOUNT, 16, Data::DoubleLong(5)).unwrap(), DataAccessResult::Success);
    assert_eq!(client.number(111, ACCOUNT, 16), 5);
    assert_eq!(client.set(112, CREDIT, 2, Data::DoubleLong(5)).unwrap(), DataAccessResult::ReadWriteDenied);
    server.shutdown();
}

/// The model with something else in it.
fn changed(change: impl FnOnce(&str) -> String) -> Server {
    let model = Model::from_toml(&change(include_str!("../models/prepayment.toml"))).unwrap();
    Server::standing(FleetConfig { model: std::sync::Arc::new(model), ..FleetConfig::default() }, START)
}

#[test]
fn a_charge_by_time_is_not_collected_because_of_its_price() {
    let server = server();
    let mut client = server.management();
    assert_eq!(client.action(113, DAYS, 2), ActionResult::Success);
    assert_eq!(client.number(113, DAYS, 2), 0);
    let five: dlms::time::DateTime = "2026-03-16T15:00:00Z".parse().unwrap();
    let written = client.set_written(113, DAYS, 7, |out| five.to_data(out));
    assert_eq!(written, DataAccessResult::Success);
    jump(&server, 6);
    assert_eq!(client.number(113, DAYS, 2), 0);
    jump(&server, 24);
    assert_eq!(client.number(113, DAYS, 2), 25);
    server.shutdown();
}

#[test]
fn a_token_counts_once_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let model = MODELS.iter().find(|model| model.name == "prepayment").unwrap().model().unwrap();
        let state = Some(folder.path().to_path_buf());
        let config = FleetConfig { model: std::sync::Arc::new(model), state, ..FleetConfig::default() };
        Server::standing(config, START)
    };
    let associated =
        |server: &Server, counter| client::tcp(server.ports(0).tcp.unwrap(), client::management(), counter).associate();
    let server = start();
    let mut client = associated(&server, 1).unwrap();
    let used = token(&server, 7, 500);
    assert_eq!(enter(&mut client, &used), 3);
    server.shutdown();
    let server = start();
    let mut client = associated(&server, 10_000).unwrap();
    assert_eq!(enter(&mut client, &used), 6);
    assert_eq!(client.number(112, CREDIT, 2), 1_500, "it has brought its credit once, and that is still there");
    let next = token(&server, 8, 500);
    assert_eq!(enter(&mut client, &next), 3);
    server.shutdown();
}

#[test]
fn a_token_closes_what_is_open_for_want_of_credit_and_nothing_else() {
    let mode = |client: &mut Management, mode| {
        assert_eq!(client.set(70, "0.0.96.3.10.255", 4, Data::Enum(mode)).unwrap(), DataAccessResult::Success);
    };
    // Credit runs out while the meter is disconnected: once that is taken back, only credit is wanting.
    let standing = server();
    let mut client = standing.management();
    assert_eq!(client.action_with(70, "0.0.96.3.10.255", 1, Data::Integer(0)), ActionResult::Success);
    jump(&standing, 24 * 60);
    assert_eq!((control_state(&mut client), client.number(111, ACCOUNT, 3)), (0, 0));
    assert_eq!(client.action_with(70, "0.0.96.3.10.255", 2, Data::Integer(0)), ActionResult::Success);
    assert_eq!(control_state(&mut client), 2);
    let bought = token(&standing, 1, 50_000);
    assert_eq!(enter(&mut client, &bought), 3);
    assert_eq!(control_state(&mut client), 1);
    standing.shutdown();

    // A mode that does not let the meter close it: it is closed when the mode does.
    let standing = server();
    let mut client = standing.management();
    jump(&standing, 24 * 14);
    assert_eq!(control_state(&mut client), 2);
    mode(&mut client, 1);
    assert_eq!(enter(&mut client, &bought), 3);
    assert_eq!(control_state(&mut client), 2);
    mode(&mut client, 5);
    jump(&standing, 24 * 14 + 1);
    assert_eq!(control_state(&mut client), 1);
    standing.shutdown();

    // A mode that does not let the meter open it: what a hand opens later stays open.
    let standing = server();
    let mut client = standing.management();
    mode(&mut client, 0);
    jump(&standing, 24 * 14);
    assert_eq!((control_state(&mut client), client.number(111, ACCOUNT, 3)), (1, 0));
    assert_eq!(enter(&mut client, &bought), 3);
    mode(&mut client, 5);
    let by_hand = |device: &mut PhysicalDevice| device.operate_switch(ServerSap(1), SwitchEvent::ManualDisconnect);
    assert!(standing.fleet().devices()[0].with(by_hand));
    jump(&standing, 24 * 14 + 1);
    assert_eq!(control_state(&mut client), 2);
    standing.shutdown();
}

/// One collection each would be millions of them.
#[test]
fn seconds_of_months_are_paid_for() {
    let by_second = "period = 1, price-scale = -6";
    let server = changed(|text| text.replace("period = 86400, price-scale = -2", by_second));
    let mut client = server.management();
    jump(&server, 24 * 100);
    // 25 millionths of a euro for each, in cents.
    assert_eq!(client.number(113, DAYS, 2), 8_640_000 * 25 / 10_000);
    server.shutdown();
}

#[test]
fn rates_have_names_up_to_the_last() {
    const ACTIVATION: &str = "0.0.14.0.1.255";
    let server = changed(|text| {
        let prices = "prices = [{ per-unit = 30 }]";
        assert!(text.contains(prices));
        let text = text.replace(prices, "prices = [{ tariff = \"210\", per-unit = 30 }]");
        text + "
[access.register-activation]
management = \"2-4:RWae m1,m2,m3:Xae\"

[[object]]
obis = \"0.0.96.14.0\"
class = 1
value = \"active-tariff\"
access = \"measurement\"

[[object]]
obis = \"0.0.14.0.1\"
class = 6
access = \"register-activation\"

[object.register-activation]
class = 3
registers = [\"1.0.1.8.{0,1}\"]
masks = [{ name = \"1\", rate = 1, script = 1 }]
"
    });
    let mut client = server.management();
    let register = support::encoded(|out| {
        out.structure(2)?;
        out.long_unsigned(3)?;
        out.octets(&[1, 0, 1, 8, 210, 255])
    });
    let mask = support::encoded(|out| {
        out.structure(2)?;
        out.octets(b"last")?;
        out.array(1)?;
        out.unsigned(3)
    });
    for (method, parameter) in [(1, &register), (2, &mask)] {
        let parameter = Data::from_slice(parameter).unwrap();
        assert_eq!(client.action_with(6, ACTIVATION, method, parameter), ActionResult::Success);
    }
    let written = client.set(6, ACTIVATION, 4, Data::OctetString(b"last")).unwrap();
    assert_eq!(written, DataAccessResult::Success);
    assert_eq!(support::octets(&client.get(1, "0.0.96.14.0.255", 2)), b"210");
    jump(&server, 12);
    assert!(client.number(113, CONSUMPTION, 2) > 0);
    server.shutdown();
}
