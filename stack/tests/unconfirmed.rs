//! Services without an answer, invoke-ids, and answers that come too late.

mod pair;

use dlms::apdu::*;
use dlms::association::client::{AccessItem, AccessOptions, RequestError};
use dlms::axdr::{Data, Value};
use hex_literal::hex;
use pair::*;

#[test]
fn unconfirmed_set_and_action_are_executed_and_not_answered() {
    for config in [reader(PASSWORD), management()] {
        let mut pair = Pair::associated(config, Meter::default());
        let before = pair.seen.len();
        pair.client.set_unconfirmed(AttributeRequest::whole(TEXT), Data::OctetString(b"quiet"), pair.now).unwrap();
        assert!(!pair.client.is_pending());
        assert_eq!(pair.drive(), []);
        pair.client.action_unconfirmed(ECHO, Some(Data::Unsigned(1)), pair.now).unwrap();
        assert_eq!(pair.drive(), []);
        assert_eq!((pair.meter.text.as_slice(), pair.meter.invoked), (b"quiet".as_slice(), 1));
        let items = [AccessItem::Set(AttributeRequest::whole(TEXT), Data::OctetString(b"access"))];
        pair.client.access_unconfirmed(&items, AccessOptions::default(), pair.now).unwrap();
        assert_eq!(pair.drive(), []);
        assert_eq!(pair.meter.text, b"access");
        // One APDU each, and an answer to ACCESS alone, which is dropped; then an ordinary request.
        assert_eq!(pair.seen.len(), before + 4);
        assert_eq!(pair.client.late_answers(), 1);
        pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Value(Value::DoubleLongUnsigned(913))]);
    }
}

#[test]
fn what_is_not_to_be_answered_is_not_refused_either() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    let unanswered = [
        // SET and ACTION of what may not be set or does not exist, a SET that ends in the middle, a list, a first block.
        hex!("C101 81 0001 0000600104FF 02 00 1101").as_slice(),
        &hex!("C301 01 0001 0000600104FF 01 00"),
        &hex!("C101 01 0001 00006001"),
        &hex!("C104 01 01 0001 0000600104FF 02 00 01 1101"),
        &hex!("C102 01 0001 0000600103FF 02 00 00 00000001 03 090241"),
        // A confirmation of nothing.
        &hex!("10 40000001 00"),
    ];
    for apdu in unanswered {
        assert_eq!(pair.answer(apdu), [], "{}", hex::encode(apdu));
    }
    assert_eq!(pair.meter.text, b"");
    // ACCESS with its confirmed bit clear is the exception: recorded clients wait for its answer.
    let access = hex!("D9 00000001 00 01 02 0001 0000600103FF 02 01 0901 42");
    assert_eq!(pair.answer(&access), hex!("DA 00000001 00 00 01 00 01 02 00"));
    assert_eq!(pair.meter.text, b"B");
    // The same with the confirmed bit are answered.
    assert_eq!(pair.answer(&hex!("C101 C1 0001 0000600104FF 02 00 1101")), hex!("C501 C1 03"));
    // Before an association nothing is executed, and nothing said.
    let mut pair = Pair::new(reader(PASSWORD), Meter::default());
    assert_eq!(pair.answer(&hex!("C101 01 0001 0000600103FF 02 00 0901 41")), []);
    assert_eq!(pair.meter.text, []);
    assert_eq!(pair.answer(&hex!("C101 C1 0001 0000600103FF 02 00 0901 41")), hex!("D8 01 01"));
}

#[test]
fn invoke_ids_cycle_and_are_echoed_with_their_priority() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    let mut ids = Vec::new();
    for _ in 0..33 {
        pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Value(Value::DoubleLongUnsigned(913))]);
        let [.., request, response] = &pair.seen[..] else { panic!("two APDUs") };
        assert_eq!(request[2], response[2]);
        ids.push(request[2] & 0x0F);
    }
    assert!(ids.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 16), "{ids:?}");
    for invoke in [0x40, 0x4F, 0xC5, 0x7A] {
        let mut get = hex!("C001 00 0003 0100010800FF 02 00");
        get[2] = invoke;
        assert_eq!(pair.answer(&get)[2], invoke, "{invoke:02X}");
    }
}

#[test]
fn late_answers_are_dropped_and_counted() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    pair.silent = true;
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Failed(RequestError::TimedOut)]);
    pair.silent = false;
    // The answer of the request that was given up comes first, in place of the one that is waited for.
    pair.tamper = Some(|apdu| apdu[2] = (apdu[2] & 0xF0) | ((apdu[2].wrapping_sub(1)) & 0x0F));
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Failed(RequestError::TimedOut)]);
    assert_eq!(pair.client.late_answers(), 1);
    // One of another service, too.
    pair.tamper = Some(|apdu| *apdu = vec![0xC5, 1, apdu[2], 0]);
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Failed(RequestError::TimedOut)]);
    assert_eq!(pair.client.late_answers(), 2);
    pair.tamper = None;
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Value(Value::DoubleLongUnsigned(913))]);
}
