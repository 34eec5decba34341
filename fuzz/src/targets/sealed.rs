//! APDUs of a peer that has the keys and says what it likes.

use dlms::id::SystemTitle;
use dlms::security::{Context, Envelope, HEADROOM, KeySet, Protection, RustCrypto, Suite, TAG_LENGTH};

/// How such an APDU is wrapped.
pub(super) struct Wrapping {
    pub(super) envelope: Envelope,
    pub(super) protection: Protection,
}

/// From an arbitrary octet; `None`: in clear.
pub(super) fn wrapping(octet: u8) -> Option<Wrapping> {
    let envelope = match octet & 0x03 {
        0 => Envelope::Global,
        1 => Envelope::GeneralGlobal,
        2 => return None,
        _ => Envelope::Dedicated,
    };
    let protection = match (octet >> 2) & 0x03 {
        0 | 1 => Protection::AUTHENTICATED_ENCRYPTED,
        2 => Protection::AUTHENTICATED,
        _ => Protection::ENCRYPTED,
    };
    Some(Wrapping { envelope, protection })
}

/// `plain`, protected by the owner of `title`; in clear where there is no such protection of it.
pub(super) fn sealed(keys: &KeySet, title: SystemTitle, wrapping: u8, counter: u32, plain: &[u8]) -> Vec<u8> {
    let Some(Wrapping { envelope, protection }) = self::wrapping(wrapping) else { return plain.to_vec() };
    let mut context = Context::<RustCrypto>::new(title, keys).expect("keys");
    context.set_dedicated_key(&[0xD4; 16]).expect("a key");
    let mut buffer = [&[0; HEADROOM][..], plain, &[0; TAG_LENGTH]].concat();
    let place = HEADROOM..HEADROOM + plain.len();
    let control = context.control(protection);
    match context.protect(envelope, control, counter, &mut buffer, place) {
        Ok(place) => buffer[place].to_vec(),
        Err(_) => plain.to_vec(),
    }
}

/// The keys that both sides of the tests have.
pub(super) fn keys(encryption: &[u8; 16], authentication: &[u8; 16]) -> KeySet {
    KeySet::new(Suite::Suite0, encryption, authentication).expect("keys of sixteen octets")
}
