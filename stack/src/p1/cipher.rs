//! Ciphered telegrams, as in Luxembourg and Austria: a whole plain telegram inside general-glo-ciphering, without any
//! APDU around it.

use thiserror::Error;

use super::{CrcRule, Telegram, TelegramError};
use crate::security::{Context, Crypto, KeySet, Protection, ReceiveFloor, SecurityError};

/// The authentication key of all meters in Luxembourg, which makes the tag prove no more than the encryption key does.
/// Austrian meters have one each.
pub const LUXEMBOURG_AUTHENTICATION_KEY: [u8; 16] =
    [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF];

/// Why a ciphered telegram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CipheredError {
    /// Header, policy, counter or tag. A wrong key and a damaged telegram both show as a wrong tag.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// What was deciphered is not a telegram; without a tag that is how a wrong key shows.
    #[error("deciphered: {0}")]
    Telegram(#[from] TelegramError),
}

/// Opens the ciphered telegrams of one meter and refuses those that were seen before.
///
/// A meter makes them with [`Context::protect`] in [`Envelope::GeneralGlobal`](crate::security::Envelope::GeneralGlobal).
/// The key of the meter belongs to its customer, who gets it from the grid operator. The meter's system title travels
/// in each telegram; the first one whose tag is right fixes it.
pub struct Decipherer<C: Crypto> {
    context: Context<C>,
    floor: ReceiveFloor,
}

impl<C: Crypto> Decipherer<C> {
    /// Takes the keys, and the lowest frame counter that is acceptable: 0, or what [`floor`](Self::floor) gave before
    /// a restart. Demanded is encryption and, where `keys` has an authentication key, a tag.
    ///
    /// # Errors
    /// [`SecurityError::Engine`], when the cryptographic engine refuses a key.
    pub fn new(keys: &KeySet, floor: ReceiveFloor) -> Result<Self, SecurityError> {
        // The own title is used for sending only, which this port does not do.
        let mut context = Context::new(crate::id::SystemTitle([0; 8]), keys)?;
        context.set_required(match keys.authentication {
            Some(_) => Protection::AUTHENTICATED_ENCRYPTED,
            None => Protection::ENCRYPTED,
        });
        Ok(Self { context, floor })
    }

    /// The lowest frame counter that will be accepted: one more than that of the last telegram with a right tag. The
    /// meter's counter begins anew with each new key.
    #[must_use]
    pub const fn floor(&self) -> ReceiveFloor {
        self.floor
    }

    /// Deciphers a telegram in place and takes it apart.
    ///
    /// A tag has proven the text; without one the text's own check sum has to.
    ///
    /// # Errors
    /// [`CipheredError`]. The octets are unchanged unless the tag was right.
    pub fn open<'a>(&mut self, octets: &'a mut [u8]) -> Result<Telegram<'a>, CipheredError> {
        let title = crate::security::ProtectedHeader::parse(octets)?.title;
        let opened = self.context.unprotect(octets, |_key| self.floor)?;
        if let Some(verified) = opened.verified {
            self.floor.accept(verified);
            if let Some(title) = title {
                self.context.set_peer_title(title);
            }
        }
        let rule = if opened.verified.is_some() { CrcRule::Ignored } else { CrcRule::Required };
        Ok(Telegram::parse(octets.get(opened.plain).unwrap_or_default(), rule)?)
    }
}
