//! Client and server together: every service in every variant, with and without ciphering.

mod pair;

use dlms::apdu::{ActionResult, AttributeRequest, DataAccessResult};
use dlms::association::Secret;
use dlms::association::client::{Config, ConnectionError, RequestError};
use dlms::axdr::{Data, Value};
use dlms::id::ServerSap;
use pair::*;

fn whole(attribute: dlms::apdu::AttributeDescriptor) -> AttributeRequest<'static> {
    AttributeRequest::whole(attribute)
}

/// Public, reader with password, management with keys, the same with a dedicated key, and with general ciphering.
fn configurations() -> Vec<(&'static str, Config)> {
    let dedicated = |general| {
        let mut config = management();
        let security = config.security.as_mut().unwrap();
        security.dedicated_key = Some(Secret::new(&[0x42; 16]).unwrap());
        security.general = general;
        config
    };
    let mut general = management();
    general.security.as_mut().unwrap().general = true;
    vec![
        ("public", Config::public(ServerSap::MANAGEMENT)),
        ("reader", reader(PASSWORD)),
        ("management, global", management()),
        ("management, dedicated", dedicated(false)),
        ("management, general-glo", general),
        ("management, general-ded", dedicated(true)),
    ]
}

#[test]
fn every_service_in_every_variant() {
    for max_pdu in [128, 140, 300, 1_024] {
        for (name, mut config) in configurations() {
            config.max_pdu = max_pdu;
            let meter = Meter { rows: 200, row_octets: 20, max_pdu, ..Meter::default() };
            let mut pair = Pair::associated(config, meter);
            let name = format!("{name}, {max_pdu} octets");

            pair.client.get(whole(REGISTER), pair.now).unwrap();
            assert_eq!(pair.drive(), [Happened::Value(Value::DoubleLongUnsigned(913))], "{name}");

            pair.client.get(whole(DENIED), pair.now).unwrap();
            assert_eq!(pair.drive(), [Happened::Refused(DataAccessResult::ReadWriteDenied)], "{name}");

            pair.client.get(whole(PROFILE), pair.now).unwrap();
            let profile = match &pair.drive()[..] {
                [Happened::Value(value @ Value::Array(rows))] if rows.len() == 200 => value.clone(),
                other => panic!("{name}: {other:?}"),
            };

            pair.client.get_list(&[whole(REGISTER), whole(DENIED), whole(PROFILE)], pair.now).unwrap();
            let expected =
                vec![Ok(Value::DoubleLongUnsigned(913)), Err(DataAccessResult::ReadWriteDenied), Ok(profile)];
            assert_eq!(pair.drive(), [Happened::Values(expected)], "{name}");

            for length in [10, 100, 1_000] {
                let text = vec![7; length];
                pair.client.set(whole(TEXT), Data::OctetString(&text), pair.now).unwrap();
                assert_eq!(pair.drive(), [Happened::Set(DataAccessResult::Success)], "{name}");
                assert_eq!(pair.meter.text, text, "{name}");

                let values = [Data::Unsigned(1), Data::OctetString(&text[1..])];
                pair.client.set_list(&[whole(REGISTER), whole(TEXT)], &values, pair.now).unwrap();
                let results = vec![DataAccessResult::ReadWriteDenied, DataAccessResult::Success];
                assert_eq!(pair.drive(), [Happened::SetList(results)], "{name}");
                assert_eq!(pair.meter.text, text[1..], "{name}");
            }
            pair.client.action(ECHO, None, pair.now).unwrap();
            assert_eq!(pair.drive(), [Happened::Action(ActionResult::Success, None)], "{name}");
            // Long parameters leave in blocks, long results come in blocks, but not both for one method.
            for length in [10, 60] {
                let invoked = pair.meter.invoked;
                let text = vec![9; length];
                pair.client.action(ECHO, Some(Data::OctetString(&text)), pair.now).unwrap();
                let echoed = Some(Value::OctetString(text));
                assert_eq!(pair.drive(), [Happened::Action(ActionResult::Success, echoed)], "{name}");
                assert_eq!(pair.meter.invoked, invoked + 1, "{name}");
            }
            pair.client.action_list(&[ECHO, ECHO], &[Data::Unsigned(5), Data::Null], pair.now).unwrap();
            let results = vec![(ActionResult::Success, Some(Value::Unsigned(5))), (ActionResult::Success, None)];
            assert_eq!(pair.drive(), [Happened::ActionList(results)], "{name}");

            pair.client.release(pair.now).unwrap();
            assert_eq!(pair.drive(), [Happened::Released], "{name}");
            assert!(!pair.server.is_open(), "{name}");
        }
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let mut pair = Pair::new(reader(b"12345679"), Meter::default());
    pair.client.associate(pair.now).unwrap();
    match &pair.drive()[..] {
        [Happened::Closed(ConnectionError::Rejected { diagnostic, .. })] => {
            assert_eq!(format!("{diagnostic}"), "authentication failure");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lesson_39_silence_ends_at_a_deadline_of_the_callers_clock() {
    let mut pair = Pair::associated(management(), Meter::default());
    pair.silent = true;
    pair.client.get(whole(REGISTER), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Failed(RequestError::TimedOut)]);
    pair.silent = false;
    pair.client.get(whole(REGISTER), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Value(Value::DoubleLongUnsigned(913))]);
}
