//! Ciphered APDUs and wrapped keys, with keys that the sender of the octets may have or not.

use arbitrary::{Arbitrary, Unstructured};
use dlms::id::SystemTitle;
use dlms::security::{
    Context, Envelope, HEADROOM, KeyEncryptionKey, KeySet, Protection, ReceiveFloor, RustCrypto, SecurityControl,
    SecurityError, Suite, TAG_LENGTH, unwrap_key, wrap_key,
};

use crate::bounded;

const CLIENT: SystemTitle = SystemTitle(*b"CLI\0\0\0\0\x01");
const SERVER: SystemTitle = SystemTitle(*b"SRV\0\0\0\0\x01");

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// Octets of a peer without the keys.
    Raw { required: u8, floor: u32, apdu: &'a [u8] },
    /// An APDU of a peer with the keys, damaged on the way.
    Protected { control: u8, envelope: u8, suite: u8, counter: u32, floor: u32, plain: &'a [u8], flip: Option<u16> },
    /// A wrapped key.
    Wrapped { suite: u8, octets: &'a [u8] },
}

fn suite(octet: u8) -> Suite {
    [Suite::Suite0, Suite::Suite1, Suite::Suite2][usize::from(octet) % 3]
}

fn context(suite: Suite, own: SystemTitle, peer: SystemTitle) -> Context<RustCrypto> {
    let octets: [u8; 32] = std::array::from_fn(|index| index as u8);
    let key = |first: usize| &octets[first..][..suite.key_length().min(32 - first)];
    let long = &octets[..suite.key_length()];
    let keys = KeySet::new(suite, key(0), long).expect("lengths").with_broadcast(long).expect("lengths");
    let mut context = Context::new(own, &keys).expect("keys");
    context.set_peer_title(peer);
    context.set_dedicated_key(long).expect("length");
    context.set_broadcast_accepted(true);
    context
}

fn protection(octet: u8) -> Protection {
    Protection { authenticated: octet & 1 != 0, encrypted: octet & 2 != 0, ..Protection::NONE }
}

pub(super) fn run(octets: &[u8]) {
    match Input::arbitrary(&mut Unstructured::new(octets)) {
        Ok(Input::Raw { required, floor, apdu }) => raw(protection(required), floor, apdu),
        Ok(Input::Protected { control, envelope, suite: id, counter, floor, plain, flip }) => {
            let envelope = [Envelope::Global, Envelope::Dedicated, Envelope::GeneralGlobal, Envelope::GeneralDedicated]
                [usize::from(envelope) % 4];
            protected(suite(id), SecurityControl(control), envelope, counter, floor, plain, flip);
        }
        Ok(Input::Wrapped { suite: id, octets }) => wrapped(suite(id), octets),
        Err(_) => {}
    }
}

fn raw(required: Protection, floor: u32, apdu: &[u8]) {
    let mut context = context(Suite::Suite0, SERVER, CLIENT);
    context.set_required(required);
    let mut received = apdu.to_vec();
    match bounded(0, || context.unprotect(&mut received, |_| ReceiveFloor::new(floor))) {
        Ok(opened) => {
            assert!(opened.protection.covers(required), "{opened:?}");
            assert!(opened.counter >= floor && opened.plain.end <= apdu.len());
            assert_eq!(opened.verified.is_some(), opened.protection.authenticated);
        }
        // Found out only when the tag was right, or when there is none.
        Err(SecurityError::InnerTag { .. } | SecurityError::UnknownPeer) => {}
        Err(_) => assert_eq!(received, apdu, "what was not verified is left alone"),
    }
}

fn protected(
    suite: Suite,
    control: SecurityControl,
    envelope: Envelope,
    counter: u32,
    floor: u32,
    plain: &[u8],
    flip: Option<u16>,
) {
    let sender = context(suite, CLIENT, SERVER);
    let mut buffer = [&[0; HEADROOM][..], plain, &[0; TAG_LENGTH]].concat();
    let place = HEADROOM..HEADROOM + plain.len();
    let Ok(sent) = bounded(0, || sender.protect(envelope, control, counter, &mut buffer, place)) else { return };
    let mut apdu = buffer[sent].to_vec();
    let mut receiver = context(suite, SERVER, CLIENT);
    receiver.set_required(control.protection());
    if let Some(flip) = flip {
        let at = usize::from(flip) % (apdu.len() * 8);
        apdu[at / 8] ^= 1 << (at % 8);
    }
    let opened = bounded(0, || receiver.unprotect(&mut apdu, |_| ReceiveFloor::new(floor)));
    if flip.is_some() && control.protection().authenticated {
        assert!(opened.is_err(), "a flipped bit passed: {opened:?}");
    } else if flip.is_none() {
        let right = counter >= floor && !plain.is_empty();
        match opened {
            Ok(opened) => {
                assert!(right);
                assert_eq!(&apdu[opened.plain], plain);
            }
            Err(error) => assert!(!right, "{error}"),
        }
    }
}

fn wrapped(suite: Suite, octets: &[u8]) {
    let kek = KeyEncryptionKey::from_slice(suite, &[0x5A; 32][..suite.key_length()]).expect("length");
    if let Ok(key) = bounded(0, || unwrap_key::<RustCrypto>(suite, &kek, octets)) {
        let again = wrap_key::<RustCrypto>(suite, &kek, key.as_bytes()).expect("a key");
        assert_eq!(again.as_bytes(), octets);
    }
    if let Ok(wrapped) = bounded(0, || wrap_key::<RustCrypto>(suite, &kek, octets)) {
        let key = unwrap_key::<RustCrypto>(suite, &kek, wrapped.as_bytes()).expect("wrapped with the same key");
        assert_eq!(key.as_bytes(), octets);
    }
}
