//! Firmware images of simulated meters.
//!
//! | octets | what |
//! |---|---|
//! | 4 | `MSFW` |
//! | 1, n | length and text of the kind of meter: manufacturer and device type as in the logical device name |
//! | 1, n | length and text of the version |
//! | any | whatever the image is to weigh |
//! | 32 | SHA-256 of everything before |
//! | 64 | with a model that has a key for it: ECDSA (P-256, SHA-256) signature of everything before, R and S |

use dlms::security::RustCrypto;
use dlms::security::public_key::{Curve, Curves, PrivateKey, PublicKey, Signature};
use sha2::{Digest, Sha256};
use thiserror::Error;

const MAGIC: &[u8] = b"MSFW";
const HASH_OCTETS: usize = 32;
const SIGNATURE_OCTETS: usize = 64;
/// Octets of the texts in an image.
const TEXT_MAX: usize = 32;

/// Why an image is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Not an image, or not all of it.
    #[error("not a firmware image of this format")]
    Format,
    /// A kind of meter or version that cannot be written.
    #[error("`{0}` is not from 1 to 32 printable characters")]
    Text(String),
    /// The check sum is wrong.
    #[error("the hash is wrong: the image is damaged")]
    Hash,
    /// The signature is wrong, or there is none.
    #[error("the signature is wrong or missing")]
    Signature,
    /// It is for other meters.
    #[error("the image is for {found}, the meter is a {expected}")]
    Kind {
        /// Of the image.
        found: String,
        /// Of the meter.
        expected: String,
    },
}

/// Makes an image for meters of `kind` with this payload, signed if there is a key.
///
/// # Errors
/// A kind or version that cannot be written, or a key that is none of P-256.
pub fn make_image(kind: &str, version: &str, payload: &[u8], key: Option<&PrivateKey>) -> Result<Vec<u8>, ImageError> {
    let mut image = MAGIC.to_vec();
    for text in [kind, version] {
        let length = Some(text).filter(|text| is_text(text.as_bytes())).and_then(|text| u8::try_from(text.len()).ok());
        image.push(length.ok_or_else(|| ImageError::Text(text.to_owned()))?);
        image.extend_from_slice(text.as_bytes());
    }
    image.extend_from_slice(payload);
    let hash = Sha256::digest(&image);
    image.extend_from_slice(&hash);
    if let Some(key) = key {
        let signature = <RustCrypto as Curves>::sign(key, &[&image]).map_err(|_| ImageError::Signature)?;
        image.extend_from_slice(signature.as_bytes());
    }
    Ok(image)
}

/// What an image says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image<'a> {
    pub(crate) version: &'a str,
    /// The signature, or the hash of an image that has none.
    pub(crate) signature: &'a [u8],
}

/// Verifies an image for a meter of `kind`; with a key it must be signed by it.
pub(crate) fn verify_image<'a>(octets: &'a [u8], kind: &str, key: Option<&PublicKey>) -> Result<Image<'a>, ImageError> {
    let (hashed, signature) = match key {
        None => (octets, None),
        Some(key) => {
            let end = octets.len().checked_sub(SIGNATURE_OCTETS).ok_or(ImageError::Format)?;
            let (signed, signature) = octets.split_at(end);
            let parsed = Signature::from_slice(Curve::P256, signature).map_err(|_| ImageError::Signature)?;
            <RustCrypto as Curves>::verify(key, &[signed], &parsed).map_err(|_| ImageError::Signature)?;
            (signed, Some(signature))
        }
    };
    let end = hashed.len().checked_sub(HASH_OCTETS).ok_or(ImageError::Format)?;
    let (body, hash) = hashed.split_at(end);
    if Sha256::digest(body).as_slice() != hash {
        return Err(ImageError::Hash);
    }
    let rest = body.strip_prefix(MAGIC).ok_or(ImageError::Format)?;
    let (found, rest) = text(rest).ok_or(ImageError::Format)?;
    let (version, _) = text(rest).ok_or(ImageError::Format)?;
    if found != kind {
        return Err(ImageError::Kind { found: found.to_owned(), expected: kind.to_owned() });
    }
    Ok(Image { version, signature: signature.unwrap_or(hash) })
}

fn is_text(octets: &[u8]) -> bool {
    (1..=TEXT_MAX).contains(&octets.len()) && octets.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ')
}

/// A text with its length, and what follows it.
fn text(octets: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = octets.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    if !is_text(text) {
        return None;
    }
    Some((str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::net::OsRandom;

    #[test]
    fn an_image_verifies_for_its_kind_of_meter_only() {
        let image = make_image("SIM3PH", "2.0", &[7; 1_000], None).unwrap();
        assert_eq!(verify_image(&image, "SIM3PH", None).unwrap().version, "2.0");
        assert!(matches!(verify_image(&image, "SIM1PH", None), Err(ImageError::Kind { .. })));
        for at in [0, 4, 5, 12, 500, image.len() - 1] {
            let mut damaged = image.clone();
            damaged[at] ^= 1;
            assert_eq!(verify_image(&damaged, "SIM3PH", None), Err(ImageError::Hash), "{at}");
        }
        assert!(verify_image(&[], "SIM3PH", None).is_err());
        assert!(make_image("", "2.0", &[], None).is_err());
        assert!(make_image("SIM3PH", &"2".repeat(33), &[], None).is_err());
    }

    #[test]
    fn where_a_signature_is_demanded_nothing_else_will_do() {
        let key = <RustCrypto as Curves>::generate(Curve::P256, &mut OsRandom).unwrap();
        let public = <RustCrypto as Curves>::public_key(&key).unwrap();
        let signed = make_image("SIM3PH", "2.0", b"payload", Some(&key)).unwrap();
        assert_eq!(verify_image(&signed, "SIM3PH", Some(&public)).unwrap().signature.len(), 64);
        let unsigned = make_image("SIM3PH", "2.0", &[0; 100], None).unwrap();
        assert_eq!(verify_image(&unsigned, "SIM3PH", Some(&public)), Err(ImageError::Signature));
        let other = <RustCrypto as Curves>::generate(Curve::P256, &mut OsRandom).unwrap();
        let forged = make_image("SIM3PH", "2.0", b"payload", Some(&other)).unwrap();
        assert_eq!(verify_image(&forged, "SIM3PH", Some(&public)), Err(ImageError::Signature));
    }
}
