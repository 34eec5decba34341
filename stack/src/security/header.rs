//! The header of a ciphered APDU.

use core::ops::Range;

use super::tags::unwrap_tag;
use super::{KeyId, SecurityControl, SecurityError, TAG_LENGTH};
use crate::axdr::Reader;
use crate::id::SystemTitle;

/// How an APDU is wrapped. A response is wrapped as its request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// Service-specific, global key: `glo-get-request` and the like.
    Global,
    /// Service-specific, dedicated key: `ded-get-request` and the like.
    Dedicated,
    /// `general-glo-ciphering`, with the sender's system title: any service.
    GeneralGlobal,
    /// `general-ded-ciphering`: any service.
    GeneralDedicated,
}

impl Envelope {
    /// Whether the dedicated key is used.
    #[must_use]
    pub const fn is_dedicated(self) -> bool {
        matches!(self, Self::Dedicated | Self::GeneralDedicated)
    }

    /// Whether it needs the conformance bit general-protection.
    #[must_use]
    pub const fn is_general(self) -> bool {
        matches!(self, Self::GeneralGlobal | Self::GeneralDedicated)
    }

    /// The key that this envelope and this security control octet select.
    ///
    /// # Errors
    /// [`SecurityError::BroadcastDedicated`].
    pub const fn key(self, control: SecurityControl) -> Result<KeyId, SecurityError> {
        match (self.is_dedicated(), control.is_broadcast()) {
            (false, false) => Ok(KeyId::Unicast),
            (false, true) => Ok(KeyId::Broadcast),
            (true, false) => Ok(KeyId::Dedicated),
            (true, true) => Err(SecurityError::BroadcastDedicated),
        }
    }
}

/// What stands in front of the protected octets of an APDU, in clear and not yet to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedHeader {
    /// Tag of the ciphered APDU.
    pub tag: u8,
    /// How the APDU is wrapped.
    pub envelope: Envelope,
    /// Tag that the plain APDU must have, where the outer tag fixes it.
    pub inner_tag: Option<u8>,
    /// System title in a general-glo or general-ded header; `None` when it is left out.
    pub title: Option<SystemTitle>,
    /// The security control octet.
    pub control: SecurityControl,
    /// The invocation counter.
    pub counter: u32,
    /// Where the content is: plain APDU or ciphertext, without the tag.
    pub text: Range<usize>,
    /// Where the tag is; empty when the APDU is not authenticated.
    pub tag_octets: Range<usize>,
}

impl ProtectedHeader {
    /// Reads the header of a complete ciphered APDU.
    ///
    /// # Errors
    /// [`SecurityError::NotCiphered`], [`SecurityError::Malformed`] (also for trailing octets),
    /// [`SecurityError::TitleLength`], [`SecurityError::NoRoomForTag`].
    pub fn parse(apdu: &[u8]) -> Result<Self, SecurityError> {
        let mut reader = Reader::new(apdu);
        let tag = reader.u8()?;
        let (envelope, inner_tag) = unwrap_tag(tag).ok_or(SecurityError::NotCiphered { tag })?;
        let title = if envelope.is_general() {
            let octets = reader.octet_string("system-title")?;
            match SystemTitle::from_slice(octets) {
                Some(title) => Some(title),
                None if octets.is_empty() => None,
                None => return Err(SecurityError::TitleLength { length: octets.len() }),
            }
        } else {
            None
        };
        let length = reader.length("ciphered-content")?;
        let mut body = Reader::with_offset(reader.bytes(length)?, reader.offset().saturating_sub(length));
        reader.finish()?;
        let control = SecurityControl(body.u8()?);
        let counter = body.u32()?;
        let tag_length = if control.protection().authenticated { TAG_LENGTH } else { 0 };
        let text_length = body.remaining().checked_sub(tag_length).ok_or(SecurityError::NoRoomForTag)?;
        let start = body.offset();
        let end = start.saturating_add(text_length);
        Ok(Self {
            tag,
            envelope,
            inner_tag,
            title,
            control,
            counter,
            text: start..end,
            tag_octets: end..end.saturating_add(tag_length),
        })
    }

    /// The key that the sender says it used, whose floor applies.
    ///
    /// # Errors
    /// [`SecurityError::BroadcastDedicated`].
    pub const fn key(&self) -> Result<KeyId, SecurityError> {
        self.envelope.key(self.control)
    }
}
