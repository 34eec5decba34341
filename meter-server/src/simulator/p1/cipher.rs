//! Ciphered telegrams: general-glo-ciphering around the text.

use dlms::id::SystemTitle;
use dlms::p1::LUXEMBOURG_AUTHENTICATION_KEY;
use dlms::security::{Context, Envelope, HEADROOM, KeySet, Protection, RustCrypto, SecurityError, Suite, TAG_LENGTH};

use super::{P1Dialect, P1Keys};

/// Enciphers a telegram of the meter with this title under a frame counter that was never used before with the key.
pub(super) fn seal(
    dialect: P1Dialect,
    keys: &P1Keys,
    title: SystemTitle,
    counter: u32,
    telegram: &[u8],
) -> Result<Vec<u8>, SecurityError> {
    let authentication: &[u8] = match dialect {
        P1Dialect::Luxembourg => &LUXEMBOURG_AUTHENTICATION_KEY,
        _ => &*keys.authentication,
    };
    let keys = KeySet::new(Suite::Suite0, &*keys.encryption, authentication)?;
    let context = Context::<RustCrypto>::new(title, &keys)?;
    let plain = HEADROOM..HEADROOM + telegram.len();
    let mut buffer = vec![0; plain.end + TAG_LENGTH];
    if let Some(room) = buffer.get_mut(plain.clone()) {
        room.copy_from_slice(telegram);
    }
    let protection = match dialect {
        P1Dialect::KaifaAustria => Protection::ENCRYPTED,
        _ => Protection::AUTHENTICATED_ENCRYPTED,
    };
    let control = context.control(protection);
    let sent = context.protect(Envelope::GeneralGlobal, control, counter, &mut buffer, plain)?;
    Ok(buffer.get(sent).unwrap_or_default().to_vec())
}
