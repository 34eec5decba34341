//! Certification requests, PKCS#10 (RFC 2986): what method 5 of class 64 returns.

use core::ops::Range;

use super::CertificateError;
use super::fields::oid;
use super::write::Backward;
use crate::id::SystemTitle;
use crate::security::{Curve, Curves, PrivateKey, PublicKey, Signature};

/// Octets that suffice for a request on either curve.
pub const REQUEST_MAX: usize = 320;
/// Octets that suffice for what is signed of it.
const INFO_MAX: usize = 192;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
/// [0], constructed: the attributes.
const ATTRIBUTES: u8 = 0xA0;

/// Writes a request for a certificate of `title` over the key pair of `key`, signed with it, as DER into `out` and
/// returns its place there. There are no attributes; the subject's common name is the system title.
///
/// # Errors
/// [`CertificateError::Full`] when `out` is shorter than the request, [`REQUEST_MAX`] suffices; what the engine
/// refuses.
pub fn certification_request<E: Curves>(
    key: &PrivateKey,
    title: SystemTitle,
    out: &mut [u8],
) -> Result<Range<usize>, CertificateError> {
    let public = E::public_key(key)?;
    let mut scratch = [0; INFO_MAX];
    let mut info = Backward::new(&mut scratch);
    write_info(&mut info, &public, title)?;
    let signature = E::sign(key, &[info.written()])?;

    let length = out.len();
    let mut request = Backward::new(out);
    let end = request.mark();
    write_signature(&mut request, &signature)?;
    let algorithm = match key.curve() {
        Curve::P256 => oid::ECDSA_SHA256,
        Curve::P384 => oid::ECDSA_SHA384,
    };
    let inner = request.mark();
    request.element(OBJECT_IDENTIFIER, algorithm)?;
    request.wrap(SEQUENCE, inner)?;
    request.octets(info.written())?;
    request.wrap(SEQUENCE, end)?;
    Ok(request.mark()..length)
}

/// CertificationRequestInfo.
fn write_info(out: &mut Backward<'_>, public: &PublicKey, title: SystemTitle) -> Result<(), CertificateError> {
    let end = out.mark();
    out.element(ATTRIBUTES, &[])?;
    write_public_key(out, public)?;
    write_name(out, title)?;
    out.unsigned(&[0])?;
    out.wrap(SEQUENCE, end)
}

/// SubjectPublicKeyInfo.
fn write_public_key(out: &mut Backward<'_>, public: &PublicKey) -> Result<(), CertificateError> {
    let end = out.mark();
    out.octets(public.as_bytes())?;
    // No unused bits; not compressed.
    out.octets(&[0, 4])?;
    out.wrap(BIT_STRING, end)?;
    let algorithm = out.mark();
    let curve = match public.curve() {
        Curve::P256 => oid::P256,
        Curve::P384 => oid::P384,
    };
    out.element(OBJECT_IDENTIFIER, curve)?;
    out.element(OBJECT_IDENTIFIER, oid::EC_PUBLIC_KEY)?;
    out.wrap(SEQUENCE, algorithm)?;
    out.wrap(SEQUENCE, end)
}

/// Name of one common name, the system title in upper-case hexadecimal digits.
fn write_name(out: &mut Backward<'_>, title: SystemTitle) -> Result<(), CertificateError> {
    let digit =
        |value: u8| if value < 10 { b'0'.wrapping_add(value) } else { b'A'.wrapping_add(value.wrapping_sub(10)) };
    let mut text = [0; 16];
    let digits = title.as_bytes().iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 0x0F)]);
    text.iter_mut().zip(digits).for_each(|(to, from)| *to = from);
    let end = out.mark();
    out.element(UTF8_STRING, &text)?;
    out.element(OBJECT_IDENTIFIER, oid::COMMON_NAME)?;
    out.wrap(SEQUENCE, end)?;
    out.wrap(SET, end)?;
    out.wrap(SEQUENCE, end)
}

/// The signature as DER in a BIT STRING.
fn write_signature(out: &mut Backward<'_>, signature: &Signature) -> Result<(), CertificateError> {
    let (r, s) = signature.as_bytes().split_at_checked(signature.curve().width()).unwrap_or_default();
    let end = out.mark();
    out.unsigned(s)?;
    out.unsigned(r)?;
    out.wrap(SEQUENCE, end)?;
    out.octets(&[0])?;
    out.wrap(BIT_STRING, end)
}
