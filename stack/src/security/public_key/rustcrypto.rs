//! The default curves: RustCrypto's `p256` and `p384`, portable and constant-time in the private key.

use ::p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use sha2::{Sha256, Sha384};

use super::{Curve, Curves, Digest, PrivateKey, PublicKey, SharedSecret, Signature};
use crate::security::{CryptoError, Random, RustCrypto};

/// How often a generator is asked for a private key. One draw in 2^32 is above the order of P-256; a generator that
/// yields none in that many is stuck.
const DRAWS: usize = 16;

/// The two crates have the same shape, and no common trait that would be shorter than this.
macro_rules! on_curve {
    ($module:ident, $library:ident, $curve:ident) => {
        mod $module {
            use super::{CryptoError, Curve, Digest, PrehashSigner, PrehashVerifier, PrivateKey, PublicKey};
            use super::{SharedSecret, Signature};

            const CURVE: Curve = Curve::$curve;

            fn secret(key: &PrivateKey) -> Result<::$library::SecretKey, CryptoError> {
                ::$library::SecretKey::from_slice(key.as_bytes()).map_err(|_| CryptoError::PrivateKey)
            }

            fn point(key: &PublicKey) -> Result<::$library::PublicKey, CryptoError> {
                let (octets, length) = key.to_sec1();
                let octets = octets.get(..length).unwrap_or_default();
                ::$library::PublicKey::from_sec1_bytes(octets).map_err(|_| CryptoError::PublicKey)
            }

            pub(super) fn is_valid(key: &PrivateKey) -> bool {
                secret(key).is_ok()
            }

            pub(super) fn check(key: &PublicKey) -> Result<(), CryptoError> {
                point(key).map(drop)
            }

            pub(super) fn public_key(key: &PrivateKey) -> Result<PublicKey, CryptoError> {
                use ::$library::elliptic_curve::sec1::ToSec1Point as _;
                let point = secret(key)?.public_key().to_sec1_point(false);
                let octets = point.as_bytes().get(1..).unwrap_or_default();
                PublicKey::from_slice(CURVE, octets).map_err(|_| CryptoError::Engine)
            }

            pub(super) fn sign(key: &PrivateKey, digest: &Digest) -> Result<Signature, CryptoError> {
                let signer = ::$library::ecdsa::SigningKey::from(secret(key)?);
                let signature: ::$library::ecdsa::Signature =
                    signer.sign_prehash(digest.as_bytes()).map_err(|_| CryptoError::Engine)?;
                Signature::from_slice(CURVE, &signature.to_bytes()).map_err(|_| CryptoError::Engine)
            }

            pub(super) fn verify(key: &PublicKey, digest: &Digest, signature: &Signature) -> Result<(), CryptoError> {
                let signature = ::$library::ecdsa::Signature::from_slice(signature.as_bytes());
                let signature = signature.map_err(|_| CryptoError::Signature)?;
                let verifier = ::$library::ecdsa::VerifyingKey::from(point(key)?);
                verifier.verify_prehash(digest.as_bytes(), &signature).map_err(|_| CryptoError::Signature)
            }

            pub(super) fn agree(own: &PrivateKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
                let shared = secret(own)?.diffie_hellman(&point(peer)?);
                SharedSecret::from_slice(CURVE, shared.raw_secret_bytes()).ok_or(CryptoError::Engine)
            }
        }
    };
}

on_curve!(on_p256, p256, P256);
on_curve!(on_p384, p384, P384);

impl Curves for RustCrypto {
    fn generate(curve: Curve, random: &mut dyn Random) -> Result<PrivateKey, CryptoError> {
        for _ in 0..DRAWS {
            let mut octets = zeroize::Zeroizing::new([0; super::COORDINATE_MAX]);
            let drawn = octets.get_mut(..curve.width()).unwrap_or_default();
            random.fill(drawn);
            let key = PrivateKey::from_slice(curve, drawn).map_err(|_| CryptoError::Engine)?;
            let valid = match curve {
                Curve::P256 => on_p256::is_valid(&key),
                Curve::P384 => on_p384::is_valid(&key),
            };
            if valid {
                return Ok(key);
            }
        }
        Err(CryptoError::Engine)
    }

    fn public_key(key: &PrivateKey) -> Result<PublicKey, CryptoError> {
        match key.curve() {
            Curve::P256 => on_p256::public_key(key),
            Curve::P384 => on_p384::public_key(key),
        }
    }

    fn check(key: &PublicKey) -> Result<(), CryptoError> {
        match key.curve() {
            Curve::P256 => on_p256::check(key),
            Curve::P384 => on_p384::check(key),
        }
    }

    fn sign(key: &PrivateKey, message: &[&[u8]]) -> Result<Signature, CryptoError> {
        let digest = <Self as Curves>::digest(key.curve(), message)?;
        match key.curve() {
            Curve::P256 => on_p256::sign(key, &digest),
            Curve::P384 => on_p384::sign(key, &digest),
        }
    }

    fn verify(key: &PublicKey, message: &[&[u8]], signature: &Signature) -> Result<(), CryptoError> {
        if signature.curve() != key.curve() {
            return Err(CryptoError::Signature);
        }
        let digest = <Self as Curves>::digest(key.curve(), message)?;
        match key.curve() {
            Curve::P256 => on_p256::verify(key, &digest, signature),
            Curve::P384 => on_p384::verify(key, &digest, signature),
        }
    }

    fn agree(own: &PrivateKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        if own.curve() != peer.curve() {
            return Err(CryptoError::PublicKey);
        }
        match own.curve() {
            Curve::P256 => on_p256::agree(own, peer),
            Curve::P384 => on_p384::agree(own, peer),
        }
    }

    fn digest(curve: Curve, message: &[&[u8]]) -> Result<Digest, CryptoError> {
        fn over<D: sha2::Digest>(curve: Curve, message: &[&[u8]]) -> Option<Digest> {
            let mut hash = D::new();
            message.iter().for_each(|piece| hash.update(piece));
            Digest::from_slice(curve, &hash.finalize())
        }
        match curve {
            Curve::P256 => over::<Sha256>(curve, message),
            Curve::P384 => over::<Sha384>(curve, message),
        }
        .ok_or(CryptoError::Engine)
    }
}
