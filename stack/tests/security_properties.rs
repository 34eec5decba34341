//! Properties of protection: no flipped bit passes, no failure moves a counter, nothing is accepted or sent twice.
#![cfg(feature = "rustcrypto")]

use std::cell::Cell;
use std::collections::HashSet;

use dlms::id::SystemTitle;
use dlms::security::{
    Context, CounterExhausted, Crypto, CryptoError, Envelope, HEADROOM, InvocationCounter, KeyId, KeySet,
    ProtectedHeader, Protection, ReceiveFloor, RustCrypto, RustCryptoKey, SecurityControl, SecurityError, Suite,
    TAG_LENGTH, Tag, Unprotected,
};
use proptest::prelude::*;

const CLIENT: SystemTitle = SystemTitle(*b"CLI\0\0\0\0\x01");
const SERVER: SystemTitle = SystemTitle(*b"SRV\0\0\0\0\x01");
const ENVELOPES: [Envelope; 4] =
    [Envelope::Global, Envelope::Dedicated, Envelope::GeneralGlobal, Envelope::GeneralDedicated];
const AUTHENTICATED: [Protection; 2] = [Protection::AUTHENTICATED, Protection::AUTHENTICATED_ENCRYPTED];

fn context(own: SystemTitle, peer: SystemTitle) -> Context<RustCrypto> {
    let keys = KeySet::new(Suite::Suite0, &[0xA1; 16], &[0xB2; 16]).unwrap().with_broadcast(&[0xC3; 16]).unwrap();
    let mut context = Context::new(own, &keys).unwrap();
    context.set_peer_title(peer);
    context.set_dedicated_key(&[0xD4; 16]).unwrap();
    context
}

/// A get-request with `rest` behind its tag, protected by the client.
fn protected(envelope: Envelope, control: SecurityControl, counter: u32, rest: &[u8]) -> Vec<u8> {
    try_protected(envelope, control, counter, rest).unwrap()
}

fn try_protected(
    envelope: Envelope,
    control: SecurityControl,
    counter: u32,
    rest: &[u8],
) -> Result<Vec<u8>, SecurityError> {
    let mut buffer = vec![0; HEADROOM];
    buffer.push(0xC0);
    buffer.extend(rest);
    let plain = HEADROOM..buffer.len();
    buffer.extend([0; TAG_LENGTH]);
    let sent = context(CLIENT, SERVER).protect(envelope, control, counter, &mut buffer, plain)?;
    Ok(buffer[sent].to_vec())
}

/// A receiver as an association is one: it owns the floor and moves it with verified counters only.
struct Receiver {
    context: Context<RustCrypto>,
    floor: ReceiveFloor,
}

impl Receiver {
    fn new(required: Protection) -> Self {
        let mut context = context(SERVER, CLIENT);
        context.set_required(required);
        Self { context, floor: ReceiveFloor::default() }
    }

    fn receive(&mut self, apdu: &[u8]) -> Result<(Vec<u8>, Unprotected), SecurityError> {
        let mut octets = apdu.to_vec();
        let received = self.context.unprotect(&mut octets, |_| self.floor)?;
        if let Some(verified) = received.verified {
            self.floor.accept(verified);
        }
        Ok((octets[received.plain.clone()].to_vec(), received))
    }
}

fn control(protection: Protection) -> SecurityControl {
    SecurityControl::new(Suite::Suite0, protection)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lesson_29_a_flipped_bit_anywhere_in_a_protected_apdu_fails(
        rest in prop::collection::vec(any::<u8>(), 0..140),
        envelope in prop::sample::select(&ENVELOPES),
        protection in prop::sample::select(&AUTHENTICATED),
        counter in 0..u32::MAX,
    ) {
        let apdu = protected(envelope, control(protection), counter, &rest);
        let mut receiver = Receiver::new(protection);
        for bit in 0..apdu.len() * 8 {
            let mut flipped = apdu.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(receiver.receive(&flipped).is_err(), "bit {bit} of {}", hex::encode(&apdu));
            prop_assert_eq!(receiver.floor.lowest(), 0);
        }
        let (plain, _) = receiver.receive(&apdu).unwrap();
        prop_assert_eq!(&plain[1..], &rest[..]);
        prop_assert_eq!(receiver.floor.lowest(), counter + 1);
    }

    #[test]
    fn what_was_protected_is_unprotected_in_place_and_nothing_else_is_touched(
        rest in prop::collection::vec(any::<u8>(), 0..400),
        envelope in prop::sample::select(&ENVELOPES),
        authenticated in any::<bool>(),
        encrypted in any::<bool>(),
        spare in 0..40_usize,
    ) {
        let protection = Protection { authenticated, encrypted, signed: false };
        let mut buffer = vec![0x55; HEADROOM + spare];
        buffer.push(0xC0);
        buffer.extend(&rest);
        let plain = HEADROOM + spare..buffer.len();
        buffer.extend([0x55; TAG_LENGTH]);
        let sender = context(CLIENT, SERVER);
        let sent = sender.protect(envelope, control(protection), 9, &mut buffer, plain.clone()).unwrap();
        prop_assert!(buffer[..sent.start].iter().chain(&buffer[sent.end..]).all(|octet| *octet == 0x55));
        if encrypted && rest.len() > 8 {
            prop_assert_ne!(&buffer[plain.start + 1..plain.end], &rest[..]);
        }
        let (received, what) = Receiver::new(protection).receive(&buffer[sent]).unwrap();
        prop_assert_eq!(&received[1..], &rest[..]);
        prop_assert_eq!((what.envelope, what.protection, what.counter), (envelope, protection, 9));
        prop_assert_eq!(what.verified.is_some(), authenticated);
    }

    #[test]
    fn no_octets_make_the_receiver_panic_or_move_its_floor(
        tag in prop::sample::select(&[0xC8, 0xD0, 0xDB, 0xDC, 0x21, 0x00][..]),
        rest in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut apdu = vec![tag];
        apdu.extend(rest);
        let mut receiver = Receiver::new(Protection::NONE);
        let _ = receiver.receive(&apdu);
        prop_assert_eq!(receiver.floor.lowest(), 0);
    }

    /// Threat P1: every order, with duplicates, accepts each APDU at most once and with rising counters only.
    #[test]
    fn a_permutation_with_duplicates_accepts_each_apdu_at_most_once(
        order in prop::collection::vec(0..12_u32, 1..60),
        protection in prop::sample::select(&AUTHENTICATED),
    ) {
        let sent: Vec<_> = (0..12).map(|i| protected(Envelope::Global, control(protection), i * 3, &[i as u8])).collect();
        let mut receiver = Receiver::new(protection);
        let mut last = None;
        for number in order {
            let before = receiver.floor;
            match receiver.receive(&sent[number as usize]) {
                Ok(_) => {
                    prop_assert!(last < Some(number), "{number} after {last:?}");
                    last = Some(number);
                }
                Err(error) => {
                    prop_assert_eq!(error, SecurityError::Counter { lowest: before.lowest() });
                    prop_assert!(Some(number) <= last);
                    prop_assert_eq!(receiver.floor, before);
                }
            }
        }
    }

    /// Threat P4: whatever is taken, reserved and skipped, no counter protects two APDUs.
    #[test]
    fn no_two_protected_apdus_share_a_counter(
        steps in prop::collection::vec((0..4_u8, 0..40_u32), 1..80),
    ) {
        let mut counter = InvocationCounter::new(0, 0);
        let mut used = HashSet::new();
        let mut reserved = 0;
        for (step, amount) in steps {
            match step {
                0 => {
                    reserved = counter.end().max(amount);
                    counter.extend(amount);
                }
                1 => counter.advance(amount),
                _ => match counter.take() {
                    Ok(value) => {
                        let envelope = if step == 2 { Envelope::Global } else { Envelope::GeneralGlobal };
                        let apdu = protected(envelope, control(Protection::AUTHENTICATED_ENCRYPTED), value, &[]);
                        let header = ProtectedHeader::parse(&apdu).unwrap();
                        prop_assert!(used.insert(header.counter), "{} twice", header.counter);
                        prop_assert!(header.counter < reserved);
                    }
                    Err(CounterExhausted) => prop_assert_eq!(counter.remaining(), 0),
                },
            }
        }
    }
}

#[test]
fn lesson_28_a_forged_counter_locks_nobody_out() {
    let required = Protection::AUTHENTICATED_ENCRYPTED;
    let genuine = protected(Envelope::Global, control(required), 7, &[1, 0x81]);
    for (name, forged) in [
        ("tag", {
            let mut apdu = protected(Envelope::Global, control(required), u32::MAX - 1, &[1, 0x81]);
            *apdu.last_mut().unwrap() ^= 0x80;
            apdu
        }),
        ("clear", protected(Envelope::Global, control(Protection::NONE), u32::MAX - 1, &[1, 0x81])),
        ("encrypted only", protected(Envelope::Global, control(Protection::ENCRYPTED), u32::MAX - 1, &[1, 0x81])),
        ("authenticated only", protected(Envelope::Global, control(Protection::AUTHENTICATED), u32::MAX - 1, &[1])),
    ] {
        let mut receiver = Receiver::new(required);
        assert!(receiver.receive(&forged).is_err(), "{name}");
        assert_eq!(receiver.floor.lowest(), 0, "{name}");
        assert!(receiver.receive(&genuine).is_ok(), "{name}");
    }
}

#[test]
fn lesson_28_the_received_octets_never_state_the_policy() {
    let all = [Protection::NONE, Protection::AUTHENTICATED, Protection::ENCRYPTED, Protection::AUTHENTICATED_ENCRYPTED];
    for required in all {
        for found in all {
            let apdu = protected(Envelope::Global, control(found), 1, &[1, 0x81]);
            let result = Receiver::new(required).receive(&apdu).map(|_| ());
            let expected =
                if found.covers(required) { Ok(()) } else { Err(SecurityError::PolicyNotMet { required, found }) };
            assert_eq!(result, expected, "{found} where {required} is required");
        }
    }
    // A context demands both until it is told otherwise.
    assert_eq!(context(SERVER, CLIENT).required(), Protection::AUTHENTICATED_ENCRYPTED);
}

/// Without a tag nothing proves the counter: an encrypted-only APDU is read where that is allowed, but moves no floor.
#[test]
fn an_unauthenticated_counter_proves_nothing() {
    for protection in [Protection::NONE, Protection::ENCRYPTED] {
        let apdu = protected(Envelope::Global, control(protection), u32::MAX - 1, &[1, 0x81]);
        let mut receiver = Receiver::new(Protection::NONE);
        let (_, received) = receiver.receive(&apdu).unwrap();
        assert_eq!((received.counter, received.verified), (u32::MAX - 1, None));
        assert_eq!(receiver.floor.lowest(), 0);
    }
}

#[test]
fn a_wrong_tag_leaves_the_octets_unchanged() {
    for protection in AUTHENTICATED {
        let mut apdu = protected(Envelope::Global, control(protection), 1, &[5; 50]);
        apdu[20] ^= 1;
        let before = apdu.clone();
        let result = context(SERVER, CLIENT).unprotect(&mut apdu, |_| ReceiveFloor::default());
        assert!(result.is_err());
        assert_eq!(apdu, before);
    }
}

#[test]
fn the_broadcast_key_is_accepted_only_where_it_is_allowed() {
    let protection = Protection::AUTHENTICATED_ENCRYPTED;
    let broadcast = protected(Envelope::Global, control(protection).with_broadcast_key(), 1, &[1, 0x81]);
    let mut receiver = Receiver::new(protection);
    assert_eq!(receiver.receive(&broadcast).unwrap_err(), SecurityError::NoKey(KeyId::Broadcast));
    receiver.context.set_broadcast_accepted(true);
    assert_eq!(receiver.receive(&broadcast).unwrap().1.key, KeyId::Broadcast);

    for envelope in [Envelope::Dedicated, Envelope::GeneralDedicated] {
        let refused = try_protected(envelope, control(protection).with_broadcast_key(), 1, &[]);
        assert_eq!(refused, Err(SecurityError::BroadcastDedicated));
        let mut apdu = protected(envelope, control(protection), 2, &[]);
        let control_at = if envelope == Envelope::Dedicated { 2 } else { 11 };
        apdu[control_at] |= 0x40;
        assert_eq!(receiver.receive(&apdu).unwrap_err(), SecurityError::BroadcastDedicated);
    }
}

#[test]
fn a_key_that_is_not_there_is_an_error() {
    let protection = Protection::AUTHENTICATED_ENCRYPTED;
    let keys = KeySet::encryption_only(Suite::Suite0, &[0xA1; 16]).unwrap();
    let mut bare = Context::<RustCrypto>::new(SERVER, &keys).unwrap();
    let mut unprotect = |apdu: &[u8], title: Option<SystemTitle>| {
        if let Some(title) = title {
            bare.set_peer_title(title);
        }
        bare.unprotect(&mut apdu.to_vec(), |_| ReceiveFloor::default()).unwrap_err()
    };
    let glo = protected(Envelope::Global, control(protection), 1, &[]);
    let ded = protected(Envelope::Dedicated, control(protection), 1, &[]);
    assert_eq!(unprotect(&ded, None), SecurityError::NoKey(KeyId::Dedicated));
    assert_eq!(unprotect(&glo, None), SecurityError::NoPeerTitle);
    assert_eq!(unprotect(&glo, Some(CLIENT)), SecurityError::NoAuthenticationKey);
}

#[test]
fn a_title_that_is_not_the_peers_is_refused_even_with_a_right_tag() {
    let apdu = protected(Envelope::GeneralGlobal, control(Protection::AUTHENTICATED_ENCRYPTED), 1, &[]);
    let mut receiver = Receiver::new(Protection::AUTHENTICATED_ENCRYPTED);
    receiver.context.set_peer_title(SystemTitle(*b"OTHER\0\0\x01"));
    assert_eq!(receiver.receive(&apdu).unwrap_err(), SecurityError::UnknownPeer);
    assert_eq!(receiver.floor.lowest(), 0);
}

#[test]
fn services_without_a_ciphered_tag_need_a_general_envelope() {
    let sender = context(CLIENT, SERVER);
    let control = control(Protection::AUTHENTICATED_ENCRYPTED);
    for (plain_tag, envelope, possible) in [
        (0xD9, Envelope::Global, false),
        (0x0F, Envelope::Dedicated, false),
        (0x01, Envelope::Dedicated, false),
        (0x01, Envelope::Global, true),
        (0x0F, Envelope::GeneralGlobal, true),
        (0xD9, Envelope::GeneralDedicated, true),
    ] {
        let mut buffer = [0; HEADROOM + 2 + TAG_LENGTH];
        buffer[HEADROOM] = plain_tag;
        let result = sender.protect(envelope, control, 1, &mut buffer, HEADROOM..HEADROOM + 2);
        let expected = Err(SecurityError::NoCounterpart { tag: plain_tag });
        assert!(if possible { result.is_ok() } else { result == expected }, "{plain_tag:02X} in {envelope:?}");
    }
}

#[test]
fn too_little_room_is_an_error_not_a_panic() {
    let sender = context(CLIENT, SERVER);
    let control = control(Protection::AUTHENTICATED_ENCRYPTED);
    for (front, behind, fits) in [(7, 12, true), (6, 12, false), (7, 11, false), (0, 0, false)] {
        let mut buffer = vec![0xC0; front + 13 + behind];
        let result = sender.protect(Envelope::Global, control, 1, &mut buffer, front..front + 13);
        assert_eq!(result.is_ok(), fits, "{front} octets in front, {behind} behind");
        if !fits {
            assert_eq!(result, Err(SecurityError::BufferTooSmall));
        }
    }
    let mut buffer = [0xC0; 8];
    for plain in [4..20, 9..12, 0..usize::MAX] {
        let result = sender.protect(Envelope::Global, control, 1, &mut buffer, plain);
        assert_eq!(result, Err(SecurityError::BufferTooSmall));
    }
}

#[test]
fn a_spent_counter_protects_nothing() {
    let control = control(Protection::AUTHENTICATED_ENCRYPTED);
    assert_eq!(try_protected(Envelope::Global, control, u32::MAX, &[]).unwrap_err(), CounterExhausted.into());
}

#[test]
fn lesson_24_a_control_octet_of_another_suite_or_compressed_is_neither_sent_nor_received() {
    for (octet, error) in [
        (0x31, SecurityError::SuiteMismatch { found: 1 }),
        (0x33, SecurityError::UnknownSuite { id: 3 }),
        (0xB0, SecurityError::Compressed),
    ] {
        assert_eq!(try_protected(Envelope::Global, SecurityControl(octet), 1, &[]).unwrap_err(), error);
        let mut apdu = protected(Envelope::Global, control(Protection::AUTHENTICATED_ENCRYPTED), 1, &[]);
        apdu[2] = octet;
        assert_eq!(Receiver::new(Protection::NONE).receive(&apdu).unwrap_err(), error);
    }
}

#[test]
fn a_key_of_the_wrong_length_is_refused() {
    let mut context = context(CLIENT, SERVER);
    for length in (0..=33).filter(|length| *length != 16) {
        let error = SecurityError::KeyLength { found: length };
        let key = vec![1; length];
        assert_eq!(KeySet::new(Suite::Suite0, &key, &[1; 16]).unwrap_err(), error);
        assert_eq!(KeySet::new(Suite::Suite0, &[1; 16], &key).unwrap_err(), error);
        assert_eq!(context.set_dedicated_key(&key).unwrap_err(), error);
    }
    assert_eq!(KeySet::new(Suite::Suite2, &[1; 32], &[1; 16]).unwrap_err(), SecurityError::KeyLength { found: 16 });
}

/// The default engine, which counts how often a key is expanded.
struct Counting;

thread_local! {
    static EXPANDED: Cell<usize> = const { Cell::new(0) };
}

impl Crypto for Counting {
    type Key = RustCryptoKey;
    type MessageKey = RustCryptoKey;
    type Curves = dlms::security::NoCurves;

    fn expand(key: &[u8]) -> Result<RustCryptoKey, CryptoError> {
        EXPANDED.set(EXPANDED.get() + 1);
        RustCrypto::expand(key)
    }

    fn expand_message(key: &[u8]) -> Result<RustCryptoKey, CryptoError> {
        Self::expand(key)
    }

    fn seal(key: &RustCryptoKey, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8]) -> Result<Tag, CryptoError> {
        RustCrypto::seal(key, iv, aad, text)
    }

    fn open(key: &RustCryptoKey, iv: &[u8; 12], aad: &[&[u8]], text: &mut [u8], tag: &Tag) -> Result<(), CryptoError> {
        RustCrypto::open(key, iv, aad, text, tag)
    }

    fn cipher(key: &RustCryptoKey, iv: &[u8; 12], text: &mut [u8]) -> Result<(), CryptoError> {
        RustCrypto::cipher(key, iv, text)
    }

    fn encrypt_blocks(key: &[u8], blocks: &mut [[u8; 16]]) -> Result<(), CryptoError> {
        RustCrypto::encrypt_blocks(key, blocks)
    }

    fn wrap(kek: &[u8], key: &[u8], wrapped: &mut [u8]) -> Result<(), CryptoError> {
        RustCrypto::wrap(kek, key, wrapped)
    }

    fn unwrap(kek: &[u8], wrapped: &[u8], key: &mut [u8]) -> Result<(), CryptoError> {
        RustCrypto::unwrap(kek, wrapped, key)
    }
}

#[test]
fn lesson_37_keys_are_expanded_once_for_an_association() {
    let keys = KeySet::new(Suite::Suite0, &[1; 16], &[2; 16]).unwrap().with_broadcast(&[3; 16]).unwrap();
    let mut context = Context::<Counting>::new(CLIENT, &keys).unwrap();
    context.set_peer_title(CLIENT);
    context.set_dedicated_key(&[4; 16]).unwrap();
    assert_eq!(EXPANDED.get(), 3);
    for counter in 0..10 {
        for envelope in ENVELOPES {
            let mut buffer = [0xC0; HEADROOM + 4 + TAG_LENGTH];
            let control = context.control(Protection::AUTHENTICATED_ENCRYPTED);
            let sent = context.protect(envelope, control, counter, &mut buffer, HEADROOM..HEADROOM + 4).unwrap();
            context.unprotect(&mut buffer[sent], |_| ReceiveFloor::default()).unwrap();
        }
    }
    assert_eq!(EXPANDED.get(), 3);
}

#[test]
fn debug_output_holds_no_key() {
    let key = RustCrypto::expand(&[0xA1; 16]).unwrap();
    for text in [format!("{:?}", context(CLIENT, SERVER)), format!("{key:?}"), format!("{key:#?}")] {
        let text = text.to_lowercase();
        for octet in [0xA1_u8, 0xB2, 0xC3, 0xD4] {
            for shown in
                [format!("{octet:02x}{octet:02x}"), format!("{octet}, {octet}"), format!("{octet:x}, {octet:x}")]
            {
                assert!(!text.contains(&shown), "{text}");
            }
        }
    }
}
