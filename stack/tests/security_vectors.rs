//! Published and independently computed vectors of `tests/vectors/security.toml`, all of them.
//!
//! Not carried, as the services are not supported: general-ciphering, general-signing, ECDSA, key
//! agreement, certificates, HLS mechanism 7.
#![cfg(feature = "rustcrypto")]

use dlms::acse::Mechanism;
use dlms::id::SystemTitle;
use dlms::security::hls::{self, Challenge, Exchange};
use dlms::security::{
    Context, Crypto, Envelope, ErrorClass, HEADROOM, KeyEncryptionKey, KeyId, KeySet, ProtectedHeader, Protection,
    ReceiveFloor, RustCrypto, SecurityControl, SecurityError, Suite, TAG_LENGTH, unwrap_key, wrap_key,
};
use serde::Deserialize;

const OWN: SystemTitle = SystemTitle(*b"OWN\0\0\0\0\x01");

#[derive(Deserialize)]
struct Vectors {
    aead: Vec<Aead>,
    hls: Vec<Hls>,
    negative: Vec<Negative>,
    parse_only: Vec<ParseOnly>,
    key_wrap: Vec<KeyWrap>,
}

#[derive(Deserialize)]
struct Aead {
    id: String,
    mode: String,
    suite: u8,
    key_used: String,
    sc: Hex,
    system_title: Hex,
    ic: Hex,
    ek: Hex,
    ak: Hex,
    plaintext: Hex,
    ciphertext: Hex,
    tag: Hex,
    apdu: Hex,
}

#[derive(Deserialize)]
struct Hls {
    id: String,
    mechanism: u8,
    #[serde(default)]
    suite: u8,
    #[serde(default)]
    secret: Hex,
    #[serde(default)]
    signer_system_title: Hex,
    #[serde(default)]
    ic: Hex,
    #[serde(default)]
    ek: Hex,
    #[serde(default)]
    ak: Hex,
    #[serde(default)]
    challenge: Hex,
    #[serde(default)]
    pass: u8,
    #[serde(default)]
    client_system_title: Hex,
    #[serde(default)]
    server_system_title: Hex,
    #[serde(default)]
    ctos: Hex,
    #[serde(default)]
    stoc: Hex,
    output: Hex,
}

#[derive(Deserialize)]
struct Negative {
    id: String,
    base: String,
    floor: Hex,
    apdu: Hex,
    expect: String,
}

#[derive(Deserialize)]
struct ParseOnly {
    id: String,
    apdu: Hex,
    system_title: Hex,
    sc: Hex,
    ic: Hex,
    ciphertext_and_tag: Hex,
}

#[derive(Deserialize)]
struct KeyWrap {
    id: String,
    kek: Hex,
    key: Hex,
    wrapped: Hex,
    valid: bool,
}

#[derive(Deserialize, Default, Clone, PartialEq, Debug)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

impl Hex {
    fn u32(&self) -> u32 {
        u32::from_be_bytes(self.0.as_slice().try_into().unwrap())
    }

    fn title(&self) -> SystemTitle {
        SystemTitle::from_slice(&self.0).unwrap()
    }
}

fn vectors() -> Vectors {
    toml::from_str(include_str!("vectors/security.toml")).unwrap()
}

impl Aead {
    fn control(&self) -> SecurityControl {
        SecurityControl(self.sc.0[0])
    }

    /// A context with the vector's key in the right place and other keys elsewhere, so that a wrong choice shows.
    fn context(&self, own: SystemTitle) -> Context<RustCrypto> {
        let suite = Suite::from_id(self.suite).unwrap();
        let other = vec![0x77; suite.key_length()];
        let key = |used| if self.key_used == used { &self.ek.0 } else { &other };
        let keys = if self.ak.0.is_empty() {
            KeySet::encryption_only(suite, key("guek"))
        } else {
            KeySet::new(suite, key("guek"), &self.ak.0)
        };
        let mut context = Context::new(own, &keys.unwrap().with_broadcast(key("gbek")).unwrap()).unwrap();
        context.set_dedicated_key(key("dedicated")).unwrap();
        context.set_broadcast_accepted(true);
        context
    }

    fn receiver(&self) -> Context<RustCrypto> {
        let mut context = self.context(OWN);
        context.set_peer_title(self.system_title.title());
        context.set_required(self.control().protection());
        context
    }

    fn key_id(&self) -> KeyId {
        match self.key_used.as_str() {
            "guek" => KeyId::Unicast,
            "gbek" => KeyId::Broadcast,
            "dedicated" => KeyId::Dedicated,
            other => panic!("unknown key {other}"),
        }
    }
}

/// The plaintext of this one is a cipher block, no APDU.
const NO_APDU: &str = "c-block16-ae";

#[test]
fn every_protected_apdu_is_unprotected() {
    let vectors = vectors();
    assert_eq!(vectors.aead.len(), 31);
    for vector in &vectors.aead {
        let mut octets = vector.apdu.0.clone();
        let result = vector.receiver().unprotect(&mut octets, |key| {
            assert_eq!(key, vector.key_id(), "{}", vector.id);
            ReceiveFloor::new(vector.ic.u32())
        });
        if vector.id == NO_APDU {
            assert_eq!(result, Err(SecurityError::InnerTag { outer: 0xC8 }));
            continue;
        }
        let received = result.unwrap_or_else(|error| panic!("{}: {error}", vector.id));
        assert_eq!(octets[received.plain], vector.plaintext.0, "{}", vector.id);
        assert_eq!(received.protection, vector.control().protection(), "{}", vector.id);
        assert_eq!((received.key, received.counter), (vector.key_id(), vector.ic.u32()), "{}", vector.id);
        let proven = received.verified.map(|verified| (verified.key(), verified.counter()));
        let expected = (vector.mode != "E").then_some((vector.key_id(), vector.ic.u32()));
        assert_eq!(proven, expected, "{}", vector.id);
    }
}

#[test]
fn every_plain_apdu_is_protected_to_the_same_octets() {
    for vector in vectors().aead.iter().filter(|vector| vector.id != NO_APDU) {
        let header = ProtectedHeader::parse(&vector.apdu.0).unwrap();
        if header.envelope == Envelope::GeneralGlobal && header.title.is_none() {
            // Received as such, but we always send our title.
            continue;
        }
        let context = vector.context(vector.system_title.title());
        let plain = HEADROOM..HEADROOM + vector.plaintext.0.len();
        let mut buffer = vec![0xEE; plain.end + TAG_LENGTH];
        buffer[plain.clone()].copy_from_slice(&vector.plaintext.0);
        let sent = context.protect(header.envelope, vector.control(), vector.ic.u32(), &mut buffer, plain);
        let sent = sent.unwrap_or_else(|error| panic!("{}: {error}", vector.id));
        assert_eq!(hex::encode(&buffer[sent.clone()]), hex::encode(&vector.apdu.0), "{}", vector.id);
        assert!(buffer[..sent.start].iter().chain(&buffer[sent.end..]).all(|octet| *octet == 0xEE), "{}", vector.id);
    }
}

#[test]
fn the_engine_alone_reproduces_every_figure() {
    for vector in vectors().aead {
        let key = RustCrypto::expand(&vector.ek.0).unwrap();
        let iv: [u8; 12] = [&vector.system_title.0[..], &vector.ic.0].concat().try_into().unwrap();
        let (sc, ak, plain) = (&vector.sc.0[..], &vector.ak.0[..], &vector.plaintext.0[..]);
        let mut text = plain.to_vec();
        let tag = match vector.mode.as_str() {
            "A" => RustCrypto::seal(&key, &iv, &[sc, ak, plain], &mut []).unwrap().to_vec(),
            "E" => RustCrypto::cipher(&key, &iv, &mut text).map(|()| Vec::new()).unwrap(),
            "AE" => RustCrypto::seal(&key, &iv, &[sc, ak], &mut text).unwrap().to_vec(),
            other => panic!("unknown mode {other}"),
        };
        assert_eq!(hex::encode(text), hex::encode(&vector.ciphertext.0), "{}", vector.id);
        assert_eq!(hex::encode(tag), hex::encode(&vector.tag.0), "{}", vector.id);
    }
}

#[test]
fn every_negative_vector_is_refused_for_its_reason() {
    let vectors = vectors();
    assert_eq!(vectors.negative.len(), 21);
    for negative in &vectors.negative {
        let base = vectors.aead.iter().find(|vector| vector.id == negative.base).unwrap();
        let mut octets = negative.apdu.0.clone();
        let result = base.receiver().unprotect(&mut octets, |_| ReceiveFloor::new(negative.floor.u32()));
        let error = result.expect_err(&negative.id);
        let right = match negative.expect.as_str() {
            "tag_error" => error == SecurityError::Tag,
            "policy_error" => {
                matches!(error, SecurityError::SuiteMismatch { .. } | SecurityError::PolicyNotMet { .. })
                    && error.class() == ErrorClass::Deciphering
            }
            "deciphering_error" => error.class() == ErrorClass::Deciphering && error != SecurityError::Tag,
            "parse_error" => error.class() == ErrorClass::Malformed,
            "ic_error" => error == SecurityError::Counter { lowest: negative.floor.u32() },
            "unknown_peer_or_tag_error" => matches!(error, SecurityError::UnknownPeer | SecurityError::Tag),
            other => panic!("unknown class {other}"),
        };
        assert!(right, "{}: {error:?}, expected {}", negative.id, negative.expect);
    }
}

#[test]
fn headers_are_read_without_a_key() {
    for vector in vectors().parse_only {
        let header = ProtectedHeader::parse(&vector.apdu.0).unwrap();
        assert_eq!(header.title, SystemTitle::from_slice(&vector.system_title.0), "{}", vector.id);
        assert_eq!((header.control.0, header.counter), (vector.sc.0[0], vector.ic.u32()));
        assert_eq!(&vector.apdu.0[header.text.start..header.tag_octets.end], vector.ciphertext_and_tag.0);
        assert_eq!(header.tag_octets.len(), TAG_LENGTH);
    }
}

#[test]
fn lesson_02_every_pass_of_hls_5_is_computed_and_verified() {
    let mut seen = 0;
    for vector in vectors().hls.iter().filter(|vector| vector.mechanism == 5) {
        seen += 1;
        let keys = KeySet::new(Suite::from_id(vector.suite).unwrap(), &vector.ek.0, &vector.ak.0).unwrap();
        let challenge = Challenge::from_peer(&vector.challenge.0).unwrap();
        let signer = Context::<RustCrypto>::new(vector.signer_system_title.title(), &keys).unwrap();
        let response = hls::gmac_response(&signer, vector.ic.u32(), &challenge).unwrap();
        assert_eq!(hex::encode(response), hex::encode(&vector.output.0), "{}", vector.id);

        let mut verifier = Context::<RustCrypto>::new(OWN, &keys).unwrap();
        let floor = ReceiveFloor::new(vector.ic.u32());
        let verify = |verifier: &Context<RustCrypto>, octets: &[u8]| {
            hls::verify_gmac(verifier, floor, &challenge, octets).map(|verified| (verified.key(), verified.counter()))
        };
        assert_eq!(verify(&verifier, &response), Err(SecurityError::NoPeerTitle));
        verifier.set_peer_title(vector.signer_system_title.title());
        assert_eq!(verify(&verifier, &response), Ok((KeyId::Unicast, vector.ic.u32())), "{}", vector.id);

        for bit in 0..response.len() * 8 {
            let mut forged = response;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&verifier, &forged).is_err(), "{}: bit {bit}", vector.id);
        }
        assert_eq!(verify(&verifier, &response[..16]), Err(SecurityError::Authentication));
        let above = ReceiveFloor::new(vector.ic.u32() + 1);
        assert_eq!(
            hls::verify_gmac(&verifier, above, &challenge, &response),
            Err(SecurityError::Counter { lowest: vector.ic.u32() + 1 })
        );
    }
    assert_eq!(seen, 6);
}

#[test]
fn every_pass_of_hls_2_is_computed_and_verified() {
    let mut seen = 0;
    for vector in vectors().hls.iter().filter(|vector| vector.mechanism == 2) {
        seen += 1;
        let challenge = Challenge::from_peer(&vector.challenge.0).unwrap();
        let exchange = Exchange {
            secret: &vector.secret.0,
            signer: None,
            verifier: None,
            challenge: &challenge,
            own: &Challenge::from_peer(&[1; 8]).unwrap(),
        };
        check_both_sides(Mechanism::Hls2, &exchange, vector);
    }
    assert_eq!(seen, 2);
    for length in [0, 17] {
        let error = hls::check_configuration::<RustCrypto>(Mechanism::Hls2, &vec![1; length], None).unwrap_err();
        assert_eq!(error, SecurityError::SecretLength { length });
    }
}

/// Computes a vector's answer, verifies it, and verifies nothing that differs from it.
fn check_both_sides(mechanism: Mechanism, exchange: &Exchange<'_>, vector: &Hls) {
    let response = hls::respond::<RustCrypto>(mechanism, exchange).unwrap();
    assert_eq!(hex::encode(response.as_bytes()), hex::encode(&vector.output.0), "{}", vector.id);
    let verify = |octets: &[u8]| hls::verify::<RustCrypto>(mechanism, exchange, octets);
    assert_eq!(verify(&vector.output.0), Ok(()));
    for bit in 0..vector.output.0.len() * 8 {
        let mut wrong = vector.output.0.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&wrong), Err(SecurityError::Authentication), "{}: bit {bit}", vector.id);
    }
    assert_eq!(verify(&vector.output.0[..15]), Err(SecurityError::Authentication));
    assert_eq!(verify(&[]), Err(SecurityError::Authentication));
    let nothing = Exchange { secret: &[], ..*exchange };
    assert_eq!(
        hls::verify::<RustCrypto>(mechanism, &nothing, &vector.output.0),
        Err(SecurityError::SecretLength { length: 0 })
    );
}

#[test]
fn every_pass_of_hls_3_4_and_6_is_computed_and_verified() {
    let mut seen = 0;
    for vector in vectors().hls.iter().filter(|vector| matches!(vector.mechanism, 3 | 4 | 6)) {
        seen += 1;
        let client_to_server = vector.pass == 3;
        fn order<T>(pass_3: bool, a: T, b: T) -> (T, T) {
            if pass_3 { (a, b) } else { (b, a) }
        }
        let titles = |of: &Hex| SystemTitle::from_slice(&of.0);
        let (signer, verifier) =
            order(client_to_server, titles(&vector.client_system_title), titles(&vector.server_system_title));
        let (challenge, own) = match vector.mechanism {
            6 => order(client_to_server, &vector.stoc.0, &vector.ctos.0),
            // The signer's own challenge has no part in these.
            _ => (&vector.challenge.0, &vector.output.0),
        };
        let (challenge, own) = (Challenge::from_peer(challenge).unwrap(), Challenge::from_peer(own).unwrap());
        let exchange = Exchange { secret: &vector.secret.0, signer, verifier, challenge: &challenge, own: &own };
        let mechanism = Mechanism::from_id(vector.mechanism);
        check_both_sides(mechanism, &exchange, vector);
        assert_eq!(hls::check_configuration::<RustCrypto>(mechanism, &vector.secret.0, signer), Ok(()));
        if vector.mechanism == 6 {
            // Neither title may be missing, and the roles cannot be exchanged: that is what keeps reflection out.
            let swapped = Exchange { signer: verifier, verifier: signer, ..exchange };
            let verify = |exchange: &Exchange<'_>| hls::verify::<RustCrypto>(mechanism, exchange, &vector.output.0);
            assert_eq!(verify(&swapped), Err(SecurityError::Authentication));
            assert_eq!(verify(&Exchange { signer: None, ..exchange }), Err(SecurityError::NoOwnTitle));
            assert_eq!(verify(&Exchange { verifier: None, ..exchange }), Err(SecurityError::NoPeerTitle));
        }
    }
    assert_eq!(seen, 8);
}

/// The answer inside was computed before the APDU around it, so that it has the lower counter: it is compared with the
/// floor from before that APDU.
#[test]
fn lesson_02_the_inner_counter_of_pass_3_is_compared_with_the_floor_before_the_outer_one() {
    let keys = KeySet::new(Suite::Suite0, &[1; 16], &[2; 16]).unwrap();
    let (client_title, server_title) = (SystemTitle(*b"CLI\0\0\0\0\x01"), SystemTitle(*b"SRV\0\0\0\0\x01"));
    let client = Context::<RustCrypto>::new(client_title, &keys).unwrap();
    let mut server = Context::<RustCrypto>::new(server_title, &keys).unwrap();
    server.set_peer_title(client_title);
    let challenge = Challenge::from_peer(b"server's challenge").unwrap();

    for (inner, outer) in [(1, 2), (1, 1)] {
        let response = hls::gmac_response(&client, inner, &challenge).unwrap();
        let mut buffer = vec![0; HEADROOM];
        buffer.push(0xC3);
        buffer.extend(response);
        let plain = HEADROOM..buffer.len();
        buffer.extend([0; TAG_LENGTH]);
        let control = client.control(Protection::AUTHENTICATED_ENCRYPTED);
        let sent = client.protect(Envelope::Global, control, outer, &mut buffer, plain).unwrap();

        let mut floor = ReceiveFloor::new(1);
        let before = floor;
        let apdu = &mut buffer[sent];
        let received = server.unprotect(apdu, |_| floor).unwrap();
        floor.accept(received.verified.unwrap());
        let response = &apdu[received.plain][1..];
        assert!(hls::verify_gmac(&server, floor, &challenge, response).is_err());
        floor.accept(hls::verify_gmac(&server, before, &challenge, response).unwrap());
        assert_eq!(floor.lowest(), outer + 1);
    }
}

#[test]
fn every_key_is_wrapped_and_unwrapped_and_the_broken_ones_are_refused() {
    let vectors = vectors().key_wrap;
    assert_eq!(vectors.len(), 10);
    for vector in vectors {
        let suite = if vector.kek.0.len() == 32 { Suite::Suite2 } else { Suite::Suite0 };
        let kek = KeyEncryptionKey::from_slice(suite, &vector.kek.0).unwrap();
        let unwrapped = unwrap_key::<RustCrypto>(suite, &kek, &vector.wrapped.0);
        if !vector.valid {
            assert_eq!(unwrapped.unwrap_err(), SecurityError::KeyUnwrap, "{}", vector.id);
            continue;
        }
        assert_eq!(hex::encode(unwrapped.unwrap().as_bytes()), hex::encode(&vector.key.0), "{}", vector.id);
        let wrapped = wrap_key::<RustCrypto>(suite, &kek, &vector.key.0).unwrap();
        assert_eq!(hex::encode(wrapped.as_bytes()), hex::encode(&vector.wrapped.0), "{}", vector.id);
        for bit in 0..vector.wrapped.0.len() * 8 {
            let mut flipped = vector.wrapped.0.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = unwrap_key::<RustCrypto>(suite, &kek, &flipped).unwrap_err();
            assert_eq!(error, SecurityError::KeyUnwrap, "{}: bit {bit}", vector.id);
        }
        let other = if suite == Suite::Suite2 { Suite::Suite0 } else { Suite::Suite2 };
        let error = SecurityError::KeyLength { found: suite.key_length() };
        assert_eq!(wrap_key::<RustCrypto>(other, &kek, &vector.key.0).unwrap_err(), error, "{}", vector.id);
        assert_eq!(unwrap_key::<RustCrypto>(other, &kek, &vector.wrapped.0).unwrap_err(), error, "{}", vector.id);
    }
}
