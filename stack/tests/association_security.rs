//! What a hostile or broken peer can send, on both sides of an association.

mod pair;

use dlms::apdu::{AttributeRequest, DataAccessResult};
use dlms::association::Secret;
use dlms::association::client::{Config, ConnectionError, ProtocolError, RequestError, UsageError};
use dlms::axdr::{Data, Value};
use dlms::id::{ServerSap, SystemTitle};
use dlms::security::{InvocationCounter, KeySet, Protection, SecurityError, Suite};
use hex_literal::hex;
use pair::*;

const REGISTER_VALUE: Happened = Happened::Value(Value::DoubleLongUnsigned(913));

fn read(pair: &mut Pair) -> Vec<Happened> {
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    pair.drive()
}

fn ask(pair: &mut Pair, apdu: &[u8]) -> Vec<u8> {
    let mut out = [0; 1_024];
    let place = pair.server.handle(&mut apdu.to_vec(), pair.now, &mut pair.meter, &mut pair.random, &mut out);
    place.map(|place| out[place].to_vec()).unwrap_or_default()
}

/// The request that a client with its own counters would send, without sending it.
fn ciphered_request(pair: &mut Pair) -> Vec<u8> {
    pair.seen.clear();
    assert_eq!(read(pair), [REGISTER_VALUE]);
    pair.seen[0].clone()
}

#[test]
fn lesson_28_an_answer_in_clear_is_no_answer() {
    let mut pair = Pair::associated(management(), Meter::default());
    pair.tamper = Some(|apdu| *apdu = hex!("C401C1000600000391").to_vec());
    match &read(&mut pair)[..] {
        [Happened::Failed(RequestError::Security(SecurityError::PolicyNotMet { .. }))] => {}
        other => panic!("{other:?}"),
    }
    // Nor is one whose security control octet says that it is not protected.
    pair.tamper = Some(|apdu| *apdu = hex!("CC0E0000000FFFC401C2000600000391").to_vec());
    match &read(&mut pair)[..] {
        [Happened::Failed(RequestError::Security(SecurityError::PolicyNotMet { .. }))] => {}
        other => panic!("{other:?}"),
    }
    pair.tamper = None;
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}

#[test]
fn lesson_29_any_flipped_bit_of_an_answer_fails() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BIT: AtomicUsize = AtomicUsize::new(0);
    let mut pair = Pair::associated(management(), Meter::default());
    pair.tamper = Some(|apdu| {
        let bit = BIT.fetch_add(1, Ordering::Relaxed);
        apdu[bit / 8 % 20] ^= 1 << (bit % 8);
    });
    for bit in 0..160 {
        assert!(matches!(read(&mut pair)[..], [Happened::Failed(_)]), "bit {bit} was not noticed");
    }
    // The counter of a forged answer does not lock the true meter out.
    pair.tamper = None;
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}

#[test]
fn lesson_05_an_exception_in_clear_is_a_refusal_not_data() {
    let mut pair = Pair::associated(management(), Meter::default());
    pair.tamper = Some(|apdu| *apdu = hex!("D80103").to_vec());
    match &read(&mut pair)[..] {
        [Happened::Failed(RequestError::Exception(exception))] => {
            assert_eq!(format!("{exception}"), "service-not-allowed, other-reason");
        }
        other => panic!("{other:?}"),
    }
    pair.tamper = Some(|apdu| *apdu = hex!("0E050401").to_vec());
    assert!(matches!(read(&mut pair)[..], [Happened::Failed(RequestError::Service(_))]));
    pair.tamper = None;
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}

#[test]
fn lesson_10_a_push_between_request_and_answer() {
    let mut pair = Pair::associated(Config::public(ServerSap::MANAGEMENT), Meter::default());
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    let push = hex!("0001 0001 0010 000B 0F000001DB 00 060000002A");
    assert_eq!(pair.client.handle_input(&push, pair.now), push.len());
    assert_eq!(pair.drive(), [Happened::Notification, REGISTER_VALUE]);
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_one() {
    let mut pair = Pair::associated(Config::public(ServerSap::MANAGEMENT), Meter::default());
    pair.silent = true;
    assert_eq!(read(&mut pair), [Happened::Failed(RequestError::TimedOut)]);
    pair.silent = false;
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    let late = hex!("0001 0001 0010 0009 C401C1000600000001");
    assert_eq!(pair.client.handle_input(&late, pair.now), late.len());
    assert_eq!(pair.drive(), [REGISTER_VALUE]);
}

#[test]
fn lesson_36_the_answer_is_wrapped_as_the_request_was() {
    for (general, dedicated, request, response) in
        [(false, false, 0xC8, 0xCC), (true, false, 0xDB, 0xDB), (false, true, 0xD0, 0xD4), (true, true, 0xDC, 0xDC)]
    {
        let mut config = management();
        let security = config.security.as_mut().unwrap();
        security.general = general;
        security.dedicated_key = dedicated.then(|| Secret::new(&[9; 16]).unwrap());
        let mut pair = Pair::associated(config, Meter::default());
        pair.seen.clear();
        assert_eq!(read(&mut pair), [REGISTER_VALUE]);
        assert_eq!((pair.seen[0][0], pair.seen[1][0]), (request, response));
    }
}

#[test]
fn lesson_35_no_answer_is_longer_than_the_client_takes() {
    for max_pdu in [64, 65, 127, 128, 129, 200, 255, 256, 300] {
        for mut config in [Config::public(ServerSap::MANAGEMENT), management()] {
            config.max_pdu = max_pdu;
            let meter = Meter { rows: 50, row_octets: 90, max_pdu: 1_000, ..Meter::default() };
            let mut pair = Pair::associated(config, meter);
            pair.seen.clear();
            pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
            assert!(matches!(&pair.drive()[..], [Happened::Value(Value::Array(rows))] if rows.len() == 50));
            let longest = pair.seen.iter().skip(1).step_by(2).map(Vec::len).max().unwrap();
            assert!(longest <= usize::from(max_pdu), "{longest} octets, limit {max_pdu}");
        }
    }
}

#[test]
fn a_replayed_request_is_refused_and_not_executed() {
    let mut pair = Pair::associated(management(), Meter::default());
    pair.seen.clear();
    pair.client.action(ECHO, None, pair.now).unwrap();
    pair.drive();
    let request = pair.seen[0].clone();
    assert_eq!(pair.meter.invoked, 1);
    let floor = pair.meter.floors[&CLIENT_TITLE];
    let mut expected = hex!("D80106").to_vec();
    expected.extend(floor.to_be_bytes());
    assert_eq!(ask(&mut pair, &request), expected);
    assert_eq!(pair.meter.invoked, 1);
    assert_eq!(pair.meter.floors[&CLIENT_TITLE], floor);
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}

#[test]
fn forged_requests_move_nothing() {
    let mut pair = Pair::associated(management(), Meter::default());
    let request = ciphered_request(&mut pair);
    let floor = pair.meter.floors[&CLIENT_TITLE];
    // A counter far ahead under a wrong tag, which elsewhere locks the true client out.
    let mut forged = request.clone();
    forged[3..7].copy_from_slice(&hex!("FFFFFFFE"));
    assert_eq!(ask(&mut pair, &forged), hex!("D80105"));
    for changed in 0..request.len() {
        let mut forged = request.clone();
        forged[changed] ^= 0x04;
        let answer = ask(&mut pair, &forged);
        assert!(answer.first() == Some(&0xD8), "octet {changed}: {answer:02X?}");
    }
    assert_eq!(ask(&mut pair, &hex!("C001C100030100010800FF0200")), hex!("D80105"));
    assert_eq!(pair.meter.floors[&CLIENT_TITLE], floor);
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}

#[test]
fn every_truncation_of_a_request_is_refused() {
    let whole = ciphered_request(&mut Pair::associated(management(), Meter::default())).len();
    for length in 0..whole {
        // Each in an association of its own: too many of them on one end it.
        let mut pair = Pair::associated(management(), Meter::default());
        let request = ciphered_request(&mut pair);
        let answer = ask(&mut pair, &request[..length]);
        assert!(answer.is_empty() || answer[0] == 0xD8, "{length} octets: {answer:02X?}");
        assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    }
}

#[test]
fn nothing_is_read_before_authentication_is_complete() {
    let mut pair = Pair::new(management(), Meter::default());
    assert_eq!(ask(&mut pair, &hex!("C001C100030100010800FF0200")), hex!("D80101"));
    let mut other = Pair::new(management(), Meter::default());
    other.client.associate(other.now).unwrap();
    assert!(other.client.poll_event().is_none());
    let mut line = [0; 512];
    let length = other.client.poll_transmit(&mut line).unwrap();
    assert_eq!(ask(&mut pair, &line[8..length])[0], 0x61);
    // A GET instead of the answer to the challenge, correctly ciphered by somebody who has the keys but no challenge.
    assert_eq!(ask(&mut pair, &hex!("C001C100030100010800FF0200")), hex!("D80105"));
    assert!(pair.server.is_open());
}

#[test]
fn wrong_keys_open_nothing() {
    for (encryption, authentication) in [([7; 16], GAK), (GUEK, [7; 16])] {
        let mut config = management();
        config.security.as_mut().unwrap().keys = KeySet::new(Suite::Suite0, &encryption, &authentication).unwrap();
        let mut pair = Pair::new(config, Meter::default());
        pair.client.associate(pair.now).unwrap();
        match &pair.drive()[..] {
            [Happened::Closed(ConnectionError::Request(RequestError::Exception(exception)))] => {
                assert_eq!(format!("{exception}"), "service-not-allowed, deciphering-error");
            }
            other => panic!("{other:?}"),
        }
        assert!(!pair.server.is_open());
        assert!(pair.meter.floors.is_empty());
    }
}

#[test]
fn lesson_01_a_meter_with_another_title_is_refused_before_its_keys_are_used() {
    let mut config = management();
    config.security.as_mut().unwrap().peer_title = Some(SystemTitle(*b"XYZ\0\0\0\0\x01"));
    let mut pair = Pair::new(config, Meter::default());
    pair.client.associate(pair.now).unwrap();
    let wrong = ConnectionError::Request(RequestError::Protocol(ProtocolError::SystemTitle));
    assert_eq!(pair.drive(), [Happened::Closed(wrong)]);
}

#[test]
fn a_downgrade_is_refused() {
    // The server says that a password is enough.
    let mut pair = Pair::new(management(), Meter::default());
    pair.tamper = Some(|apdu| {
        let mechanism = apdu.windows(7).position(|window| window == hex!("60857405080205")).unwrap();
        apdu[mechanism + 6] = 1;
    });
    pair.client.associate(pair.now).unwrap();
    let changed = ConnectionError::Request(RequestError::Protocol(ProtocolError::MechanismChanged));
    assert_eq!(pair.drive(), [Happened::Closed(changed)]);

    let mut pair = Pair::new(management(), Meter::default());
    pair.tamper = Some(|apdu| {
        let context = apdu.windows(7).position(|window| window == hex!("60857405080103")).unwrap();
        apdu[context + 6] = 1;
    });
    pair.client.associate(pair.now).unwrap();
    let changed = ConnectionError::Request(RequestError::Protocol(ProtocolError::ContextChanged));
    assert_eq!(pair.drive(), [Happened::Closed(changed)]);
}

/// As dlms-cosem-rs 0.1.0 answers: a challenge, but no diagnostic that announces it. Whatever the AARE says, a client
/// that is to prove itself does, and demands the same of the server.
#[test]
fn a_challenge_that_is_not_announced_is_answered_all_the_same() {
    let mut pair = Pair::new(management(), Meter::default());
    pair.tamper = Some(|apdu| {
        if let Some(diagnostic) = apdu.windows(6).position(|window| window == hex!("A305A1030201")) {
            apdu[diagnostic + 6] = 0;
        }
    });
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    assert!(pair.server.is_open());
}

#[test]
fn an_initiate_response_in_clear_is_refused() {
    let mut pair = Pair::new(management(), Meter::default());
    pair.tamper = Some(|apdu| {
        let plain = hex!("BE10040E0800065F1F0400001E1D02000007");
        let at = apdu.windows(2).position(|window| window == hex!("BE23")).unwrap();
        apdu.truncate(at);
        apdu.extend(plain);
        apdu[1] = (apdu.len() - 2) as u8;
    });
    pair.client.associate(pair.now).unwrap();
    match &pair.drive()[..] {
        [Happened::Closed(ConnectionError::Request(RequestError::Security(SecurityError::PolicyNotMet { .. })))] => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn lesson_03_no_two_sessions_share_a_challenge() {
    let mut pair = Pair::new(management(), Meter::default());
    let mut challenges = Vec::new();
    for _ in 0..50 {
        pair.client.associate(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Associated]);
        let aarq = dlms::acse::Aarq::decode(&pair.seen[0]).unwrap();
        let aare = dlms::acse::Aare::decode(&pair.seen[1]).unwrap();
        for value in [aarq.authentication_value, aare.authentication_value] {
            challenges.push(value.unwrap().as_bytes().to_vec());
        }
        pair.client.release(pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Released]);
        pair.seen.clear();
    }
    let count = challenges.len();
    challenges.sort();
    challenges.dedup();
    assert_eq!(challenges.len(), count);
}

#[test]
fn a_new_aarq_replaces_the_association() {
    let mut pair = Pair::associated(management(), Meter::default());
    let old = ciphered_request(&mut pair);
    pair.client.handle_close(pair.now);
    assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::ClosedByPeer)]);
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    assert_eq!(ask(&mut pair, &old)[..3], hex!("D80106"));
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}

#[test]
fn blocks_out_of_order_end_the_transfer() {
    let config = Config { max_pdu: 128, ..Config::public(ServerSap::MANAGEMENT) };
    let meter = Meter { rows: 20, row_octets: 50, max_pdu: 128, ..Meter::default() };
    let mut pair = Pair::associated(config, meter);
    let first = ask(&mut pair, &hex!("C001C100070100630100FF0200"));
    assert_eq!(first[..8], hex!("C402C10000000001"));
    let second = ask(&mut pair, &hex!("C002C100000001"));
    assert_eq!(second[..8], hex!("C402C10000000002"));
    // The client did not get it: the same block again, octet for octet.
    assert_eq!(ask(&mut pair, &hex!("C002C100000001")), second);
    assert_eq!(ask(&mut pair, &hex!("C002C100000002"))[..8], hex!("C402C10000000003"));
    assert_eq!(ask(&mut pair, &hex!("C002C100000009")), hex!("C402C10100000009 01 13"));
    assert_eq!(ask(&mut pair, &hex!("C002C100000003")), hex!("C402C10100000003 01 10"));

    // SET: an unknown block, a wrong number, and a value that is longer than the storage.
    assert_eq!(ask(&mut pair, &hex!("C103C1 01 00000002 01 00")), hex!("C501C112"));
    let start = hex!("C102C1 00010000600103FF02 00 00 00000001 02 0903");
    assert_eq!(ask(&mut pair, &start), hex!("C502C100000001"));
    assert_eq!(ask(&mut pair, &hex!("C103C1 00 00000003 01 41")), hex!("C501C113"));
    assert_eq!(ask(&mut pair, &hex!("C103C1 01 00000002 01 41")), hex!("C501C112"));
    assert!(pair.meter.text.is_empty());
}

#[test]
fn what_was_not_negotiated_is_not_asked_for() {
    let mut config = Config::public(ServerSap::MANAGEMENT);
    config.conformance = dlms::apdu::Conformance::GET;
    let mut pair = Pair::associated(config, Meter { rows: 100, row_octets: 50, ..Meter::default() });
    let register = AttributeRequest::whole(REGISTER);
    assert_eq!(
        pair.client.get_list(&[register], pair.now),
        Err(UsageError::NotNegotiated { service: "multiple-references" })
    );
    assert_eq!(pair.client.set(register, Data::Null, pair.now), Err(UsageError::NotNegotiated { service: "set" }));
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    // A client without block transfer gets a result instead of blocks that it did not agree to.
    pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
    assert!(matches!(pair.drive()[..], [Happened::Value(_)]));
    assert_eq!(ask(&mut pair, &hex!("C101C100010000600103FF0200 0900")), hex!("D80102"));
}

#[test]
fn counters_that_run_out_stop_everything_before_anything_leaves() {
    let mut pair = Pair::associated(management(), Meter::default());
    *pair.client.counter_mut() = InvocationCounter::new(50, 51);
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    pair.seen.clear();
    let refused = pair.client.get(AttributeRequest::whole(REGISTER), pair.now);
    assert_eq!(refused, Err(UsageError::CounterExhausted));
    assert!(pair.drive().is_empty() && pair.seen.is_empty());
    pair.client.counter_mut().extend(60);
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}

#[test]
fn encryption_alone_does_not_satisfy_a_policy_of_both() {
    let mut config = management();
    config.security.as_mut().unwrap().protection = Protection::ENCRYPTED;
    let mut pair = Pair::new(config, Meter::default());
    pair.client.associate(pair.now).unwrap();
    assert!(matches!(pair.drive()[..], [Happened::Closed(ConnectionError::Request(RequestError::Exception(_)))]));
    assert_eq!(DataAccessResult::Success.code(), 0);
}
