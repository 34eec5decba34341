//! Long services under signatures and keys of general-ciphering, whose overhead is most of a short PDU: each APDU keeps
//! to what its receiver takes, over every size from the shortest on.
#![cfg(feature = "public-key")]

mod pair;

use dlms::acse::Mechanism;
use dlms::apdu::{AttributeRequest, DataAccessResult};
use dlms::association::client::{Config, General, Security};
use dlms::axdr::{Data, Value};
use dlms::id::ServerSap;
use dlms::security::general::{KeyChoice, Order, TransactionMemory};
use dlms::security::public_key::Curve;
use dlms::security::{Curves, KeyEncryptionKey, KeySet, PrivateKey, Protection, PublicKey, RustCrypto, Suite};
use pair::*;

fn private(curve: Curve, which: u64) -> PrivateKey {
    RustCrypto::generate(curve, &mut Counting(1_000 * (which + 1))).unwrap()
}

fn public(curve: Curve, which: u64) -> PublicKey {
    RustCrypto::public_key(&private(curve, which)).unwrap()
}

/// How one run is protected.
#[derive(Clone, Copy, Debug)]
struct Wrapping {
    suite: Suite,
    curve: Curve,
    cipher: Option<KeyChoice>,
    order: Order,
}

fn associated(wrapping: Wrapping, towards_client: u16, towards_server: u16) -> Pair {
    let Wrapping { suite, curve, cipher, order } = wrapping;
    let protection = Protection::AUTHENTICATED_ENCRYPTED.and_signed();
    let key = |octet: u8| vec![octet; suite.key_length()];
    let kek = || KeyEncryptionKey::from_slice(suite, &key(0x60)).unwrap();
    let keys = MeterKeys {
        suite,
        unicast: key(0x11),
        authentication: key(0x22),
        kek: kek(),
        signing: private(curve, 2),
        agreement: private(curve, 3),
        client_signature: public(curve, 0),
        client_agreement: public(curve, 1),
        transactions: TransactionMemory::new(0),
        next_transaction: None,
        push_policy: Protection::NONE,
    };
    let meter = Meter {
        rows: 12,
        row_octets: 30,
        max_pdu: towards_server,
        policy: Some(protection),
        keys: Some(Box::new(keys)),
        ..Meter::default()
    };
    let mut general = General::new(7_000);
    general.kek = Some(kek());
    (general.signing, general.agreement) = (Some(private(curve, 0)), Some(private(curve, 1)));
    (general.peer_signature, general.peer_agreement) = (Some(public(curve, 2)), Some(public(curve, 3)));
    (general.cipher, general.order) = (cipher, order);
    let keys = KeySet::new(suite, &key(0x11), &key(0x22)).unwrap();
    let config = Config {
        client: CIPHERED_ECDSA,
        mechanism: Mechanism::Ecdsa,
        challenge_length: 32,
        max_pdu: towards_client,
        security: Some(Security { suite, keys, protection, ..management().security.unwrap() }),
        ..Config::public(ServerSap::MANAGEMENT)
    };
    let mut pair = Pair::new(config, meter);
    pair.client = pair.client.with_general(general);
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    pair.seen.clear();
    pair
}

/// A read and a write, each in blocks of whatever fits.
fn exercise(wrapping: Wrapping, towards_client: u16, towards_server: u16) {
    let what = format!("{wrapping:?}, {towards_client} and {towards_server} octets");
    let mut pair = associated(wrapping, towards_client, towards_server);
    pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
    match &pair.drive()[..] {
        [Happened::Value(Value::Array(rows))] => assert_eq!(rows.len(), 12, "{what}"),
        other => panic!("{what}: {other:?}"),
    }
    let long = vec![0x5A; 500];
    pair.client.set(AttributeRequest::whole(TEXT), Data::OctetString(&long), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Set(DataAccessResult::Success)], "{what}");
    assert_eq!(pair.meter.text, long, "{what}");
    // Requests and answers take turns.
    for pair in pair.seen.chunks(2) {
        assert!(pair[0].len() <= usize::from(towards_server), "{what}: {} octets to the server", pair[0].len());
        assert!(pair[1].len() <= usize::from(towards_client), "{what}: {} octets to the client", pair[1].len());
    }
}

/// With the shortest PDU that holds pass 3 of mechanism 7, which has a signature in a signed and ciphered APDU and is not
/// cut.
const SUITES: [(Suite, Curve, u16); 2] = [(Suite::Suite1, Curve::P256, 400), (Suite::Suite2, Curve::P384, 600)];

#[test]
fn lesson_35_signed_apdus_keep_to_every_size() {
    for (suite, curve, smallest) in SUITES {
        for cipher in [None, Some(KeyChoice::OnePass)] {
            for order in [Order::SignThenCipher, Order::CipherThenSign] {
                let wrapping = Wrapping { suite, curve, cipher, order };
                for (client, server) in [
                    (smallest, smallest),
                    (smallest, 0xFFFF),
                    (0xFFFF, smallest),
                    (smallest + 1, 512),
                    (0xFFFF, 0xFFFF),
                ] {
                    exercise(wrapping, client, server);
                }
            }
        }
    }
}

/// Around where the length of a block's length changes.
#[test]
fn lesson_35_every_size_under_a_signature() {
    let wrapping = Wrapping { suite: Suite::Suite1, curve: Curve::P256, cipher: None, order: Order::SignThenCipher };
    for size in (280..=560).step_by(93) {
        exercise(wrapping, size, 1_000 - size);
    }
}
