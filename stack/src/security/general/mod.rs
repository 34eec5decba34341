//! general-ciphering and general-signing: protection between any two parties, with a key that the message names.
//!
//! Where the `glo-` and `ded-` APDUs take their key from the association, general-ciphering says in its key-info
//! which key is used ([`KeyChoice`]); general-signing carries the originator's signature. Both authenticate a header
//! with a transaction-id, both titles, a date-time and other information.
//!
//! [`Layers`] says how a request is wrapped, [`unprotect`] finds out how a received one was, so that the response can
//! be wrapped the same. At most one layer ciphers and one signs, in either order; the usual order is to sign first.
//!
//! **Freshness.** Identified keys continue the counters that `glo-` APDUs use. A key that comes with the message
//! begins its counter anew and a signature has none at all, so what keeps those from being replayed is the
//! transaction-id: [`TransactionMemory`] remembers the verified ones.
//!
//! ```
//! use dlms::id::SystemTitle;
//! use dlms::security::general::*;
//! use dlms::security::{
//!     Context, KeyEncryptionKey, KeySet, Protection, Random, ReceiveFloor, RustCrypto, SecurityError, Suite,
//! };
//!
//! # struct FromTheSystem;
//! # impl Random for FromTheSystem {
//! #     fn fill(&mut self, octets: &mut [u8]) {
//! #         octets.fill(0x5A);
//! #     }
//! # }
//! # fn main() -> Result<(), SecurityError> {
//! # let mut random = FromTheSystem;
//! let (client, server) = (SystemTitle(*b"MMM\0\0\0\0\x01"), SystemTitle(*b"MMM\0\0\xBC\x61\x4E"));
//! let keys = KeySet::new(Suite::Suite0, &[0x11; 16], &[0x22; 16])?;
//! let kek = KeyEncryptionKey::from_slice(Suite::Suite0, &[0x33; 16])?;
//! let general = GeneralKeys { kek: Some(&kek), ..GeneralKeys::default() };
//! let mut sender = Context::<RustCrypto>::new(client, &keys)?;
//! let mut receiver = Context::<RustCrypto>::new(server, &keys)?;
//! sender.set_peer_title(server);
//! receiver.set_peer_title(client);
//!
//! // A key of its own for this message, wrapped with the key encrypting key.
//! let layers = Layers {
//!     cipher: Some(Cipher::General(KeyChoice::Wrapped)),
//!     protection: Protection::AUTHENTICATED_ENCRYPTED,
//!     order: Order::SignThenCipher,
//! };
//! let plain = [0xC0, 0x01, 0x81, 0x00, 0x08, 0, 0, 1, 0, 0, 0xFF, 0x02, 0x00];
//! let place = LAYERS_FRONT..LAYERS_FRONT + plain.len();
//! let mut buffer = [0; LAYERS_FRONT + 13 + LAYERS_BACK];
//! buffer[place.clone()].copy_from_slice(&plain);
//! let (mut session, id) = (GeneralSession::new(), TransactionId::new(1_700_000_000_000));
//! // Asked for only where the key is one of the association's.
//! let counter = || Ok(1);
//! let sent = protect(&sender, &mut session, &general, &layers, &id, counter, &mut random, &mut buffer, place)?;
//!
//! let (mut session, mut memory) = (GeneralSession::new(), TransactionMemory::<16>::new(0));
//! let apdu = &mut buffer[sent];
//! let opened = unprotect(&receiver, &mut session, &general, apdu, |_key| ReceiveFloor::new(0))?;
//! if let Some(transaction) = opened.transaction {
//!     memory.accept(transaction)?;
//!     session.accept(transaction);
//! }
//! assert_eq!((&apdu[opened.plain], opened.layers), (&plain[..], layers));
//! # Ok(())
//! # }
//! ```

mod cipher;
mod layers;
mod sign;
mod transaction;

pub use cipher::{GeneralSession, GeneralUnprotected, protect_general, unprotect_general};
pub(crate) use layers::unprotect_envelope;
pub use layers::{
    Cipher, LAYERS_BACK, LAYERS_FRONT, Layers, Opened, Order, is_protected, outer_header, protect, unprotect,
};
pub use sign::{Signed, sign, verify};
pub use transaction::{TRANSACTION_ID_MAX, TransactionId, TransactionMemory, VerifiedTransaction};

use super::{KeyEncryptionKey, PrivateKey, PublicKey};

/// Which key a general-ciphering APDU uses: its key-info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyChoice {
    /// Identified key 0: the global unicast key.
    Unicast,
    /// Identified key 1: the global broadcast key.
    Broadcast,
    /// A key drawn for the message, wrapped with the key encrypting key.
    Wrapped,
    /// Agreed key, one-pass Diffie-Hellman C(1e, 1s).
    OnePass,
    /// Agreed key, static unified model C(0e, 2s).
    StaticUnified,
    /// No key-info: the key that the sender's message before came with.
    Previous,
}

impl KeyChoice {
    /// Whether the message comes with a key of its own, whose counter begins anew.
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::Wrapped | Self::OnePass | Self::StaticUnified)
    }
}

/// What general-ciphering authenticates in front of the content. Receiver and sender must be set alike; they never
/// try both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum AuthenticatedFields {
    /// Control octet, authentication key and header fields: what the text of the standard says as far as known,
    /// and what a deployed head-end does.
    #[default]
    Fields,
    /// The initialization vector between authentication key and fields: with this, and only with this, both
    /// published worked examples verify.
    IvAndFields,
}

/// What a signature covers behind the header fields. Unverified against a meter; to be set for each peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SignedContent {
    /// The content without its length octets, as two other implementations have it.
    #[default]
    Value,
    /// The content with its length octets, a literal reading of the standard's text.
    LengthAndValue,
}

/// The keys that general-ciphering and general-signing need besides those of a [`Context`](super::Context), and how
/// the peer reads the standard. What has no key is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeneralKeys<'a> {
    /// Key encrypting key, for wrapped keys.
    pub kek: Option<&'a KeyEncryptionKey>,
    /// Own private key of digital signature.
    pub signing: Option<&'a PrivateKey>,
    /// Own private key of key agreement.
    pub agreement: Option<&'a PrivateKey>,
    /// The peer's public key of digital signature, from a verified certificate.
    pub peer_signature: Option<&'a PublicKey>,
    /// The peer's public key of key agreement, from a verified certificate.
    pub peer_agreement: Option<&'a PublicKey>,
    /// What the tag of general-ciphering covers.
    pub authenticated_fields: AuthenticatedFields,
    /// What a signature covers.
    pub signed_content: SignedContent,
}
