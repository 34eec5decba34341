//! Edges of associations: answers that end at a block's border, lists that go wrong midway, releases that fail,
//! keys and titles that are used twice.

mod pair;

use dlms::apdu::{ActionResult, AttributeRequest, DataAccessResult};
use dlms::association::Secret;
use dlms::association::client::{Config, ConnectionError, ProtocolError, RequestError, UsageError};
use dlms::axdr::{Data, Value};
use dlms::security::{InvocationCounter, Protection, SecurityError};
use hex_literal::hex;
use pair::*;

fn ask(pair: &mut Pair, apdu: &[u8]) -> Vec<u8> {
    let mut out = [0; 1_024];
    let place = pair.server.handle(&mut apdu.to_vec(), pair.now, &mut pair.meter, &mut pair.random, &mut out);
    place.map(|place| out[place].to_vec()).unwrap_or_default()
}

/// With a client that takes `max_pdu` octets.
fn narrow(max_pdu: u16, meter: Meter) -> Pair {
    Pair::associated(Config { max_pdu, ..reader(PASSWORD) }, meter)
}

#[test]
fn an_error_in_a_list_may_lie_across_two_blocks() {
    // Whatever length the value in front of it has, the error arrives as one item.
    for length in 0..80 {
        let text = vec![0x55; length];
        let mut pair = narrow(64, Meter { text: text.clone(), ..Meter::default() });
        let wanted = [TEXT, DENIED, REGISTER, REGISTER, REGISTER].map(AttributeRequest::whole);
        pair.client.get_list(&wanted, pair.now).unwrap();
        let expected = vec![
            Ok(Value::OctetString(text)),
            Err(DataAccessResult::ReadWriteDenied),
            Ok(Value::DoubleLongUnsigned(913)),
            Ok(Value::DoubleLongUnsigned(913)),
            Ok(Value::DoubleLongUnsigned(913)),
        ];
        assert_eq!(pair.drive(), [Happened::Values(expected)], "{length} octets");
    }
}

#[test]
fn nothing_is_set_from_behind_a_value_that_cannot_be_decoded() {
    let mut pair = narrow(512, Meter::default());
    // Two values, the first nested too deep; what its innermost levels hold looks like a right value.
    let mut value = hex!("01 00000001 26 02").to_vec();
    (0..17).for_each(|_| value.extend(hex!("01 01")));
    value.extend(hex!("09 01 41"));
    let mut request = hex!("C1 05 C1 02").to_vec();
    for _ in 0..2 {
        request.extend(hex!("0001 0000600103FF 02 00"));
    }
    request.extend(&value);
    assert_eq!(ask(&mut pair, &request), hex!("C5 04 C1 02 0C 0C 00000001"));
    assert!(pair.meter.text.is_empty());
    // A method is not invoked with such a parameter either.
    let mut request = hex!("C3 05 C1 02").to_vec();
    for _ in 0..2 {
        request.extend(hex!("0009 00000A0000FF 01"));
    }
    request.extend(&value);
    assert_eq!(ask(&mut pair, &request), hex!("C7 03 C1 02 0C 00 0C 00"));
    assert_eq!(pair.meter.invoked, 0);
}

#[test]
fn lesson_40_a_list_whose_results_do_not_fit_is_refused_before_anything_is_done() {
    let mut pair = narrow(64, Meter::default());
    let mut request = vec![0xC1, 4, 0xC1, 100];
    (0..100).for_each(|_| request.extend(hex!("0001 0000600103FF 02 00")));
    request.push(100);
    (0..100).for_each(|_| request.extend(hex!("09 01 41")));
    assert_eq!(ask(&mut pair, &request), hex!("C5 01 C1 FA"));
    assert!(pair.meter.text.is_empty());

    let mut request = vec![0xC3, 3, 0xC1, 100];
    (0..100).for_each(|_| request.extend(hex!("0009 00000A0000FF 01")));
    request.push(100);
    (0..100).for_each(|_| request.push(0));
    assert_eq!(ask(&mut pair, &request), hex!("C7 01 C1 FA 00"));
    assert_eq!(pair.meter.invoked, 0);
}

#[test]
fn what_a_method_of_a_list_returns_leaves_room_for_the_results_behind_it() {
    let mut pair = narrow(64, Meter::default());
    let long = vec![0x55; 54];
    pair.client.action_list(&[ECHO, ECHO], &[Data::OctetString(&long), Data::Null], pair.now).unwrap();
    let expected = vec![(ActionResult::OtherReason, None), (ActionResult::Success, None)];
    assert_eq!(pair.drive(), [Happened::ActionList(expected)]);
    assert_eq!(pair.meter.invoked, 2);
}

#[test]
fn a_long_parameter_may_have_a_long_result() {
    let mut pair = narrow(64, Meter { max_pdu: 64, ..Meter::default() });
    let long = vec![0x55; 300];
    pair.client.action(ECHO, Some(Data::OctetString(&long)), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Action(ActionResult::Success, Some(Value::OctetString(long)))]);
    assert_eq!(pair.meter.invoked, 1);
}

#[test]
fn a_release_that_cannot_be_sent_leaves_the_association_open() {
    let mut pair = Pair::associated(management(), Meter::default());
    let left = pair.client.counter_mut().remaining();
    let spent = InvocationCounter::new(pair.client.counter_mut().next() + left, pair.client.counter_mut().end());
    let kept = std::mem::replace(pair.client.counter_mut(), spent);
    assert_eq!(pair.client.release(pair.now), Err(UsageError::CounterExhausted));
    assert!(pair.client.is_associated());
    *pair.client.counter_mut() = kept;
    pair.client.release(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Released]);
}

/// Three independent clients release a ciphered association without a ciphered Initiate; what is there is verified.
#[test]
fn a_release_needs_no_initiate_but_a_forged_one_releases_nothing() {
    let mut pair = Pair::associated(management(), Meter::default());
    let forged = hex!("6210800100BE0B0409210730000000FF000000");
    assert_eq!(ask(&mut pair, &forged)[0], 0xD8);
    assert!(pair.server.is_open());
    assert_eq!(ask(&mut pair, &hex!("6203800100")), hex!("6303800100"));
    assert!(!pair.server.is_open());
}

#[test]
fn lesson_01_no_two_associations_share_a_dedicated_key() {
    let mut config = management();
    config.security.as_mut().unwrap().dedicated_key = Secret::new(&[0x33; 16]);
    let mut pair = Pair::associated(config, Meter::default());
    let first = read_ciphered(&mut pair);
    pair.client.release(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Released]);
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    let second = read_ciphered(&mut pair);
    // Same counter, nearly the same request: with the same key the ciphertext would be the same but for the invoke-id.
    assert_eq!(first[..7], second[..7]);
    assert_ne!(first[10..20], second[10..20]);
}

fn read_ciphered(pair: &mut Pair) -> Vec<u8> {
    pair.seen.clear();
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Value(Value::DoubleLongUnsigned(913))]);
    pair.seen[0].clone()
}

#[test]
fn neither_side_talks_to_its_own_title() {
    let mut config = management();
    config.security.as_mut().unwrap().system_title = SERVER_TITLE;
    let mut pair = Pair::new(config, Meter::default());
    pair.client.associate(pair.now).unwrap();
    match &pair.drive()[..] {
        [Happened::Closed(ConnectionError::Rejected { .. })] => {}
        other => panic!("{other:?}"),
    }

    let mut pair = Pair::new(management(), Meter::default());
    pair.tamper = Some(|apdu| {
        let at = apdu.windows(8).position(|window| window == SERVER_TITLE.as_bytes()).unwrap();
        apdu[at..at + 8].copy_from_slice(CLIENT_TITLE.as_bytes());
    });
    pair.client.associate(pair.now).unwrap();
    let error = ConnectionError::Request(RequestError::Protocol(ProtocolError::SystemTitle));
    assert_eq!(pair.drive(), [Happened::Closed(error)]);
}

#[test]
fn lesson_10_a_push_while_the_association_opens_is_delivered() {
    let mut pair = Pair::new(reader(PASSWORD), Meter::default());
    pair.tamper = Some(|apdu| *apdu = hex!("0F 00000001 00 06 00000391").to_vec());
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive()[0], Happened::Notification);
}

#[test]
fn a_block_that_cannot_be_decoded_ends_the_request() {
    let mut pair = narrow(64, Meter { rows: 20, row_octets: 10, ..Meter::default() });
    // The raw data claims more octets than there are.
    pair.tamper = Some(|apdu| apdu.truncate(20));
    pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
    match &pair.drive()[..] {
        [Happened::Failed(RequestError::Decode(_))] => {}
        other => panic!("{other:?}"),
    }
    assert!(!pair.client.is_pending());
}

#[test]
fn a_dedicated_key_never_travels_in_clear() {
    for protection in [Protection::NONE, Protection::AUTHENTICATED] {
        let mut config = management();
        let security = config.security.as_mut().unwrap();
        (security.dedicated_key, security.protection) = (Secret::new(&[0x33; 16]), protection);
        let mut pair = Pair::new(config, Meter { policy: Some(Protection::NONE), ..Meter::default() });
        pair.client.associate(pair.now).unwrap();
        let error = SecurityError::PolicyNotMet { required: Protection::ENCRYPTED, found: protection };
        let error = ConnectionError::Request(RequestError::Usage(UsageError::Security(error)));
        assert_eq!(pair.drive(), [Happened::Closed(error)]);
        assert!(pair.seen.is_empty());
    }
}

#[test]
fn lesson_01_the_receive_floor_outlives_a_lost_association() {
    let mut pair = Pair::associated(management(), Meter::default());
    let floor = pair.client.receive_floor();
    assert!(floor > Some(0));
    pair.client.handle_close(pair.now);
    assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::ClosedByPeer)]);
    assert_eq!(pair.client.receive_floor(), floor);
    // A meter that has lost its counter answers with what was accepted already.
    pair.meter.counter = 0;
    pair.client.associate(pair.now).unwrap();
    let error = ConnectionError::Request(RequestError::Security(SecurityError::Counter { lowest: floor.unwrap() }));
    assert_eq!(pair.drive(), [Happened::Closed(error)]);
}

#[test]
fn a_stronger_policy_holds_for_what_is_open_already() {
    let mut config = management();
    config.security.as_mut().unwrap().protection = Protection::AUTHENTICATED;
    let mut pair = Pair::associated(config, Meter { policy: Some(Protection::AUTHENTICATED), ..Meter::default() });
    read_ciphered(&mut pair);
    pair.meter.policy = Some(Protection::AUTHENTICATED_ENCRYPTED);
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    match &pair.drive()[..] {
        [Happened::Failed(RequestError::Exception(_))] => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_was_associated_is_released() {
    let mut pair = Pair::new(management(), Meter::default());
    pair.tamper = Some(|apdu| apdu[0] = 0);
    pair.client.associate(pair.now).unwrap();
    pair.drive();
    assert!(pair.server.is_open());
    pair.server.reset(&mut pair.meter);
    assert!(!pair.meter.audit.iter().any(|event| event.starts_with("Released")), "{:?}", pair.meter.audit);
}
