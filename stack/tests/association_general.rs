//! Both sides of an association with general-ciphering, general-signing and HLS mechanism 7, in every suite.
#![cfg(feature = "public-key")]

mod pair;

use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeRequest, DataAccessResult};
use dlms::association::client::{Config, ConnectionError, General, RequestError, Security, UsageError};
use dlms::axdr::{Data, Value};
use dlms::id::{ClientSap, ServerSap};
use dlms::security::general::{KeyChoice, Order, TransactionMemory};
use dlms::security::public_key::Curve;
use dlms::security::{
    Curves, KeyEncryptionKey, KeySet, PrivateKey, Protection, PublicKey, RustCrypto, SecurityError, Suite,
};
use pair::*;

const AE: Protection = Protection::AUTHENTICATED_ENCRYPTED;
const REGISTER_VALUE: Happened = Happened::Value(Value::DoubleLongUnsigned(913));

/// Private keys: the client's for signing and agreement, then the meter's.
fn private(suite: Suite, which: u64) -> PrivateKey {
    let curve = suite.curve().unwrap_or(Curve::P256);
    RustCrypto::generate(curve, &mut Counting(1_000 * (which + 1))).unwrap()
}

fn public(suite: Suite, which: u64) -> PublicKey {
    RustCrypto::public_key(&private(suite, which)).unwrap()
}

fn kek(suite: Suite) -> KeyEncryptionKey {
    KeyEncryptionKey::from_slice(suite, &vec![0x60; suite.key_length()]).unwrap()
}

fn meter(suite: Suite) -> Meter {
    let keys = MeterKeys {
        suite,
        unicast: vec![0x11; suite.key_length()],
        authentication: vec![0x22; suite.key_length()],
        kek: kek(suite),
        signing: private(suite, 2),
        agreement: private(suite, 3),
        client_signature: public(suite, 0),
        client_agreement: public(suite, 1),
        transactions: TransactionMemory::new(0),
        next_transaction: None,
        push_policy: Protection::NONE,
    };
    Meter { rows: 40, row_octets: 30, keys: Some(Box::new(keys)), ..Meter::default() }
}

fn general(suite: Suite, cipher: Option<KeyChoice>, order: Order) -> General {
    let mut general = General::new(7_000);
    general.kek = Some(kek(suite));
    (general.signing, general.agreement) = (Some(private(suite, 0)), Some(private(suite, 1)));
    (general.peer_signature, general.peer_agreement) = (Some(public(suite, 2)), Some(public(suite, 3)));
    (general.cipher, general.order) = (cipher, order);
    general
}

fn config(suite: Suite, protection: Protection) -> Config {
    let ecdsa = suite != Suite::Suite0;
    let keys = KeySet::new(suite, &vec![0x11; suite.key_length()], &vec![0x22; suite.key_length()]);
    let security = Security { suite, keys: keys.unwrap(), protection, ..management().security.unwrap() };
    Config {
        client: if ecdsa { CIPHERED_ECDSA } else { ClientSap::MANAGEMENT },
        mechanism: if ecdsa { Mechanism::Ecdsa } else { Mechanism::Gmac },
        challenge_length: 32,
        max_pdu: 512,
        security: Some(security),
        ..Config::public(ServerSap::MANAGEMENT)
    }
}

fn pair(config: Config, meter: Meter, general: General) -> Pair {
    let mut pair = Pair::new(config, meter);
    pair.client = pair.client.with_general(general);
    pair
}

fn associated(config: Config, meter: Meter, general: General) -> Pair {
    let mut pair = pair(config, meter, general);
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    pair.seen.clear();
    pair
}

fn read(pair: &mut Pair) -> Vec<Happened> {
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    pair.drive()
}

fn choices(suite: Suite) -> Vec<Option<KeyChoice>> {
    let mut choices = vec![None, Some(KeyChoice::Unicast), Some(KeyChoice::Wrapped)];
    if suite != Suite::Suite0 {
        choices.extend([Some(KeyChoice::OnePass), Some(KeyChoice::StaticUnified)]);
    }
    choices
}

/// Every service, short and in blocks, in every wrapping, and each answer wrapped as its request was.
#[test]
fn lesson_23_every_service_in_every_wrapping_of_every_suite() {
    for suite in [Suite::Suite0, Suite::Suite1, Suite::Suite2] {
        for cipher in choices(suite) {
            for (signed, order) in
                [(false, Order::SignThenCipher), (true, Order::SignThenCipher), (true, Order::CipherThenSign)]
            {
                if signed && suite == Suite::Suite0 {
                    continue;
                }
                let protection = if signed { AE.and_signed() } else { AE };
                let what = format!("{suite:?} {cipher:?} {signed} {order:?}");
                let mut meter = meter(suite);
                meter.policy = Some(protection);
                let mut pair = associated(config(suite, protection), meter, general(suite, cipher, order));
                let outer = match (cipher, signed, order) {
                    (_, true, Order::CipherThenSign) => (0xDF, 0xDF),
                    (Some(_), ..) => (0xDD, 0xDD),
                    (None, true, Order::SignThenCipher) => (0xDB, 0xDB),
                    (None, ..) => (0xC8, 0xCC),
                };
                assert_eq!(read(&mut pair), [REGISTER_VALUE], "{what}");
                assert_eq!((pair.seen[0][0], pair.seen[1][0]), outer, "{what}");
                assert!(pair.seen.iter().all(|apdu| apdu.len() <= 512), "{what}");

                pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
                let rows = pair.drive();
                assert!(matches!(&rows[..], [Happened::Value(Value::Array(rows))] if rows.len() == 40), "{what}");
                let long = vec![0x5A; 1_200];
                pair.client.set(AttributeRequest::whole(TEXT), Data::OctetString(&long), pair.now).unwrap();
                assert_eq!(pair.drive(), [Happened::Set(DataAccessResult::Success)], "{what}");
                assert_eq!(pair.meter.text, long);
                pair.client.action(ECHO, Some(Data::OctetString(b"echo")), pair.now).unwrap();
                let echoed = Happened::Action(ActionResult::Success, Some(Value::OctetString(b"echo".to_vec())));
                assert_eq!(pair.drive(), [echoed], "{what}");
                let longest = pair.seen.iter().map(Vec::len).max().unwrap();
                assert!(longest <= 512, "{what}: {longest} octets, limit 512");
                pair.client.release(pair.now).unwrap();
                assert_eq!(pair.drive(), [Happened::Released], "{what}");
            }
        }
    }
}

#[test]
fn mechanism_7_proves_both_sides_with_and_without_ciphering() {
    for suite in [Suite::Suite1, Suite::Suite2] {
        let clear =
            Config { client: hls_client(7), security: None, system_title: Some(CLIENT_TITLE), ..config(suite, AE) };
        for proposed in [config(suite, AE), clear] {
            let ciphered = proposed.security.is_some();
            let general = || general(suite, None, Order::SignThenCipher);
            let renewed = |client| {
                let mut config = config(suite, AE);
                if !ciphered {
                    (config.security, config.system_title, config.client) = (None, Some(CLIENT_TITLE), client);
                }
                config
            };
            let client = proposed.client;
            let mut pair = associated(proposed, meter(suite), general());
            assert_eq!(read(&mut pair), [REGISTER_VALUE]);

            // A client with another key, one that verifies with another key, a meter with another key.
            let mut stranger = general();
            stranger.signing = Some(private(suite, 9));
            let mut pair = self::pair(renewed(client), meter(suite), stranger);
            pair.client.associate(pair.now).unwrap();
            assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::HlsRefused)]);
            assert!(!pair.server.is_open());
            let mut deceived = general();
            deceived.peer_signature = Some(public(suite, 9));
            let mut pair = self::pair(renewed(client), meter(suite), deceived);
            pair.client.associate(pair.now).unwrap();
            assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::ServerNotAuthentic)]);
        }
    }
    // What would fail in pass 3 is known before the first octet leaves.
    let suite = Suite::Suite1;
    let mut without = Pair::new(config(suite, AE), meter(suite));
    let missing = UsageError::Security(SecurityError::NoGeneralKey);
    assert_eq!(without.client.associate(without.now), Err(missing));
    let short = Config { challenge_length: 31, ..config(suite, AE) };
    let mut short = pair(short, meter(suite), general(suite, None, Order::SignThenCipher));
    let length = UsageError::Security(SecurityError::ChallengeLength { length: 31 });
    assert_eq!(short.client.associate(short.now), Err(length));
    // A meter without keys does not take part.
    let mut bare = pair(config(suite, AE), Meter::default(), general(suite, None, Order::SignThenCipher));
    bare.client.associate(bare.now).unwrap();
    assert!(matches!(bare.drive()[..], [Happened::Closed(_)]));
}

#[test]
fn a_replayed_request_is_refused_whatever_made_it_fresh() {
    for cipher in choices(Suite::Suite1) {
        for protection in [AE, AE.and_signed(), Protection::NONE.and_signed()] {
            let what = format!("{cipher:?} {protection}");
            let suite = Suite::Suite1;
            let mut meter = meter(suite);
            meter.policy = Some(protection);
            let mut pair = associated(config(suite, protection), meter, general(suite, cipher, Order::SignThenCipher));
            pair.client.action(ECHO, None, pair.now).unwrap();
            pair.drive();
            assert_eq!(pair.meter.invoked, 1, "{what}");
            let request = pair.seen[0].clone();
            let answer = pair.answer(&request);
            assert!(matches!(answer[..], [0xD8, 1, 5] | [0xD8, 1, 6, ..]), "{what}: {answer:02X?}");
            assert_eq!(pair.meter.invoked, 1, "{what}: executed twice");
            // Nor in a later association.
            pair.client.release(pair.now).unwrap();
            pair.drive();
            pair.client.associate(pair.now).unwrap();
            assert_eq!(pair.drive(), [Happened::Associated], "{what}");
            let answer = pair.answer(&request);
            assert!(matches!(answer[..], [0xD8, 1, 5] | [0xD8, 1, 6, ..]), "{what}: {answer:02X?}");
            assert_eq!(pair.meter.invoked, 1, "{what}: executed twice");
            assert_eq!(read(&mut pair), [REGISTER_VALUE], "{what}");
        }
    }
}

#[test]
fn a_device_that_remembers_no_transactions_accepts_none_that_need_it() {
    let suite = Suite::Suite1;
    let mut meter = meter(suite);
    meter.keys.as_mut().unwrap().transactions = TransactionMemory::new(u128::MAX);
    let mut pair = associated_without_general(meter);
    // The association itself is open; the first message with a key of its own is not taken.
    pair.client = pair.client.with_general(general(suite, Some(KeyChoice::Wrapped), Order::SignThenCipher));
    let happened = read(&mut pair);
    assert!(matches!(happened[..], [Happened::Failed(RequestError::Exception(_))]), "{happened:?}");
}

/// Suite 1 with mechanism 5, so that opening needs no transaction.
fn associated_without_general(meter: Meter) -> Pair {
    let gmac = Config { client: ClientSap::MANAGEMENT, mechanism: Mechanism::Gmac, ..config(Suite::Suite1, AE) };
    Pair::associated(gmac, meter)
}

#[test]
fn lesson_29_any_flipped_bit_of_a_general_answer_fails() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static BIT: AtomicUsize = AtomicUsize::new(0);
    for (cipher, protection) in [
        (Some(KeyChoice::Unicast), AE),
        (Some(KeyChoice::Wrapped), AE),
        (Some(KeyChoice::StaticUnified), AE),
        (None, Protection::AUTHENTICATED.and_signed()),
        (None, Protection::NONE.and_signed()),
    ] {
        let suite = Suite::Suite1;
        let mut meter = meter(suite);
        meter.policy = Some(protection);
        let mut pair = associated(config(suite, protection), meter, general(suite, cipher, Order::SignThenCipher));
        pair.tamper = Some(|apdu| {
            let bit = BIT.fetch_add(13, Ordering::Relaxed) % (apdu.len() * 8);
            apdu[bit / 8] ^= 1 << (bit % 8);
        });
        for _ in 0..60 {
            let happened = read(&mut pair);
            // With another title in front it is somebody else's, and the wait goes on.
            assert!(matches!(happened.last(), Some(Happened::Failed(_))), "{cipher:?}: {happened:?}");
            assert!(!happened.contains(&REGISTER_VALUE));
        }
        pair.tamper = None;
        assert_eq!(read(&mut pair), [REGISTER_VALUE], "{cipher:?}");
    }
}

/// An answer that was right once answers nothing else.
#[test]
fn an_old_answer_is_no_answer_to_a_new_request() {
    use std::sync::Mutex;
    static OLD: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    for (cipher, protection) in [
        (Some(KeyChoice::Unicast), AE),
        (Some(KeyChoice::Wrapped), AE),
        (Some(KeyChoice::OnePass), AE),
        (Some(KeyChoice::StaticUnified), AE),
        (None, Protection::NONE.and_signed()),
    ] {
        let suite = Suite::Suite1;
        let mut meter = meter(suite);
        meter.policy = Some(protection);
        let mut pair = associated(config(suite, protection), meter, general(suite, cipher, Order::SignThenCipher));
        assert_eq!(read(&mut pair), [REGISTER_VALUE]);
        *OLD.lock().unwrap() = pair.seen[1].clone();
        pair.tamper = Some(|apdu| *apdu = OLD.lock().unwrap().clone());
        for _ in 0..2 {
            let happened = read(&mut pair);
            // It names another transaction: the wait goes on.
            let failed = matches!(happened.last(), Some(Happened::Failed(RequestError::TimedOut)));
            assert!(failed && !happened.contains(&REGISTER_VALUE), "{cipher:?}: {happened:?}");
        }
        pair.tamper = None;
        assert_eq!(read(&mut pair), [REGISTER_VALUE], "{cipher:?}");
    }
}

#[test]
fn policies_that_demand_signatures_are_kept_in_each_direction() {
    let suite = Suite::Suite1;
    // The meter demands signed requests: unsigned ones are refused, in whatever cipher.
    for cipher in choices(suite) {
        let mut meter = meter(suite);
        meter.policy = Some(AE);
        let mut pair = associated(config(suite, AE), meter, general(suite, cipher, Order::SignThenCipher));
        pair.meter.policy = Some(AE.and_signed());
        pair.meter.response_policy = Some(AE);
        let happened = read(&mut pair);
        assert!(matches!(happened[..], [Happened::Failed(RequestError::Exception(_))]), "{cipher:?}: {happened:?}");
    }
    // The meter signs its answers although the request is not: with a counter of the association's key.
    let mut meter = meter(suite);
    meter.policy = Some(AE);
    meter.response_policy = Some(AE.and_signed());
    let demanding = Config { required_response: Some(AE.and_signed()), ..config(suite, AE) };
    let mut pair = associated(demanding, meter, general(suite, None, Order::SignThenCipher));
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    assert_eq!((pair.seen[0][0], pair.seen[1][0]), (0xC8, 0xDB));
    // A client that demands it does not take an answer without.
    pair.meter.response_policy = Some(AE);
    let happened = read(&mut pair);
    let lacking =
        matches!(happened[..], [Happened::Failed(RequestError::Security(SecurityError::PolicyNotMet { .. }))]);
    assert!(lacking, "{happened:?}");
    // A meter that cannot sign says so, and sends nothing less.
    pair.meter.response_policy = Some(AE.and_signed());
    pair.meter.keys.as_mut().unwrap().signing = private(Suite::Suite2, 2);
    let happened = read(&mut pair);
    assert!(matches!(happened[..], [Happened::Failed(RequestError::Exception(_))]), "{happened:?}");
}

#[test]
fn general_protection_is_used_only_where_it_was_negotiated() {
    use dlms::apdu::Conformance;
    let suite = Suite::Suite1;
    let mut narrow = config(suite, AE);
    narrow.conformance = Conformance::GET.union(Conformance::ACTION);
    let mut pair = pair(narrow, meter(suite), general(suite, Some(KeyChoice::Unicast), Order::SignThenCipher));
    pair.client.associate(pair.now).unwrap();
    let missing = UsageError::NotNegotiated { service: "general-protection" };
    assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::Request(RequestError::Usage(missing)))]);
}

#[test]
fn requests_too_long_for_the_storage_or_the_meter_are_not_sent() {
    let suite = Suite::Suite2;
    let mut meter = meter(suite);
    meter.policy = Some(AE.and_signed());
    let mut pair = associated(
        config(suite, AE.and_signed()),
        meter,
        general(suite, Some(KeyChoice::OnePass), Order::SignThenCipher),
    );
    // A list cannot go in blocks; 512 octets less two layers are left.
    let items = vec![AttributeRequest::whole(REGISTER); 20];
    assert_eq!(pair.client.get_list(&items, pair.now), Err(UsageError::RequestTooLong));
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
}
