//! Security of the application layer: suites, keys, invocation counters, protection of APDUs in place,
//! high-level-security responses (Green Book, clause 9.2; IEC 62056-5-3).
//!
//! The parts, in the order in which an association meets them:
//!
//! - [`KeySet`] holds the keys of one Security setup object; keys are wiped on drop and never printed.
//! - [`Context`] holds the expanded keys of one association and protects and unprotects its APDUs.
//! - [`InvocationCounter`] hands out transmit counters, [`ReceiveFloor`] refuses replays. A context
//!   owns neither: all associations that share a key share its counters.
//! - [`hls`] computes and verifies what high-level security exchanges.
//! - [`Crypto`] is the cipher behind all of it, [`RustCrypto`] the implementation that comes along.
//!
//! The receiver states the protection it demands ([`Context::set_required`]), the received octets never
//! do. A floor moves only with a [`VerifiedCounter`], which only a verified tag yields.
//!
//! - [`general`] protects with a key that the message names or brings along, and signs APDUs.
//! - `certificate` reads certificates, leads them to a trust anchor, keeps them, and writes requests for them.
//! - [`public_key`] signs, verifies and agrees on keys in suites 1 and 2, by the [`Curves`] of the engine.
//!
//! **Not supported:** compression (V.44).

#[cfg(feature = "public-key")]
pub mod certificate;
mod control;
mod counter;
mod crypto;
mod error;
pub mod general;
mod header;
pub mod hls;
mod keys;
#[cfg(feature = "alloc")]
mod on_heap;
mod policy;
mod protect;
pub mod public_key;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
#[cfg(feature = "rustcrypto")]
mod small;
mod suite;
mod tags;
mod wrap;

pub use control::SecurityControl;
pub use counter::{CounterExhausted, InvocationCounter, ReceiveFloor, VerifiedCounter};
pub use crypto::{Crypto, CryptoError, Digest, NoMessageKey, Random, TAG_LENGTH, Tag};
pub use error::{ErrorClass, SecurityError};
pub use header::{Envelope, ProtectedHeader};
pub use keys::{AgreedKey, AuthenticationKey, EncryptionKey, KeyEncryptionKey, KeyId, KeySet, TransferredKey};
#[cfg(feature = "alloc")]
pub use on_heap::OnHeap;
pub use policy::{Protection, SecurityPolicy};
pub use protect::{Context, HEADROOM, Unprotected};
pub use public_key::{Curve, Curves, NoCurves, PrivateKey, PublicKey, Signature};
#[cfg(feature = "rustcrypto")]
pub use rustcrypto::{RustCrypto, RustCryptoKey};
#[cfg(feature = "rustcrypto")]
pub use small::{SmallCrypto, SmallCryptoKey};
pub use suite::Suite;
pub use tags::{dedicated_tag, global_tag, is_protected};
pub use wrap::{WRAP_OVERHEAD, WrappedKey, unwrap_key, wrap_key};
