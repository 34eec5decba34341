//! Public-key operations by `ring`, which is several times faster on servers.
//!
//! `ring` opens no tag of 12 octets, takes no private key for an agreement and no generator that is handed in. AES
//! and agreements with a static key therefore stay with RustCrypto, and the nonces of signatures and the keys of
//! [`agree_once`](Curves::agree_once) come from the operating system.

use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::SystemRandom;
use ring::{digest, signature};
use std::vec::Vec;

use super::{Curve, Curves, Digest, PrivateKey, PublicKey, SharedSecret, Signature};
use crate::security::{Crypto, CryptoError, Random, RustCrypto, RustCryptoKey, Tag};

/// RustCrypto's AES with `ring`'s signatures and ephemeral agreements.
#[derive(Clone, Copy, Debug)]
pub struct Ring;

/// `ring` signs and verifies contiguous octets only.
fn joined(message: &[&[u8]]) -> Vec<u8> {
    message.concat()
}

impl Curves for Ring {
    fn generate(curve: Curve, random: &mut dyn Random) -> Result<PrivateKey, CryptoError> {
        RustCrypto::generate(curve, random)
    }

    fn public_key(key: &PrivateKey) -> Result<PublicKey, CryptoError> {
        RustCrypto::public_key(key)
    }

    fn check(key: &PublicKey) -> Result<(), CryptoError> {
        RustCrypto::check(key)
    }

    fn sign(key: &PrivateKey, message: &[&[u8]]) -> Result<Signature, CryptoError> {
        let algorithm = match key.curve() {
            Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let (public, length) = Self::public_key(key)?.to_sec1();
        let public = public.get(..length).unwrap_or_default();
        let random = SystemRandom::new();
        let pair = signature::EcdsaKeyPair::from_private_key_and_public_key(algorithm, key.as_bytes(), public, &random)
            .map_err(|_| CryptoError::PrivateKey)?;
        let signed = pair.sign(&random, &joined(message)).map_err(|_| CryptoError::Engine)?;
        Signature::from_slice(key.curve(), signed.as_ref()).map_err(|_| CryptoError::Engine)
    }

    fn verify(key: &PublicKey, message: &[&[u8]], signature: &Signature) -> Result<(), CryptoError> {
        if signature.curve() != key.curve() {
            return Err(CryptoError::Signature);
        }
        let algorithm = match key.curve() {
            Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
        };
        let (point, length) = key.to_sec1();
        let verifier = signature::UnparsedPublicKey::new(algorithm, point.get(..length).unwrap_or_default());
        match verifier.verify(&joined(message), signature.as_bytes()) {
            Ok(()) => Ok(()),
            // ring does not tell a wrong signature from a wrong point.
            Err(_) => Err(Self::check(key).err().unwrap_or(CryptoError::Signature)),
        }
    }

    fn agree(own: &PrivateKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        RustCrypto::agree(own, peer)
    }

    fn agree_once(peer: &PublicKey, _: &mut dyn Random) -> Result<(PublicKey, SharedSecret), CryptoError> {
        let curve = peer.curve();
        let algorithm = match curve {
            Curve::P256 => &agreement::ECDH_P256,
            Curve::P384 => &agreement::ECDH_P384,
        };
        let own = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).map_err(|_| CryptoError::Engine)?;
        let public = own.compute_public_key().map_err(|_| CryptoError::Engine)?;
        let public = public.as_ref().get(1..).unwrap_or_default();
        let public = PublicKey::from_slice(curve, public).map_err(|_| CryptoError::Engine)?;
        let (point, length) = peer.to_sec1();
        let point = UnparsedPublicKey::new(algorithm, point.get(..length).unwrap_or_default());
        let shared = agreement::agree_ephemeral(own, &point, |secret| SharedSecret::from_slice(curve, secret))
            .map_err(|_| CryptoError::PublicKey)?;
        Ok((public, shared.ok_or(CryptoError::Engine)?))
    }

    fn digest(curve: Curve, message: &[&[u8]]) -> Result<Digest, CryptoError> {
        let algorithm = match curve {
            Curve::P256 => &digest::SHA256,
            Curve::P384 => &digest::SHA384,
        };
        let mut context = digest::Context::new(algorithm);
        message.iter().for_each(|piece| context.update(piece));
        Digest::from_slice(curve, context.finish().as_ref()).ok_or(CryptoError::Engine)
    }
}

impl Crypto for Ring {
    type Key = RustCryptoKey;
    type MessageKey = RustCryptoKey;
    type Curves = Self;

    fn expand(key: &[u8]) -> Result<RustCryptoKey, CryptoError> {
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

    fn hash(digest: crate::security::Digest, pieces: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        RustCrypto::hash(digest, pieces, out)
    }
}
