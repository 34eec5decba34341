//! One certificate, taken apart and held against the profile.

use der::Tag;
use der::asn1::{BitStringRef, GeneralizedTime, UintRef, UtcTime};

use super::fields::{Elements, Extension, context, oid};
use super::{CertificateError, Entity, Purpose};
use crate::id::SystemTitle;
use crate::security::public_key::COORDINATE_MAX;
use crate::security::{Curve, Curves, PublicKey, Signature, Suite};

/// Most octets of a serial number (RFC 5280, 4.1.2.2).
const SERIAL_MAX: usize = 20;

/// keyUsage bits, those that the profile looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KeyUsage {
    /// The extension is marked critical.
    pub critical: bool,
    /// digitalSignature.
    pub digital_signature: bool,
    /// keyAgreement.
    pub key_agreement: bool,
    /// keyCertSign.
    pub certificate_sign: bool,
    /// Any bit other than these three and cRLSign.
    pub others: bool,
}

/// basicConstraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// The extension is marked critical.
    pub critical: bool,
    /// The key may sign certificates.
    pub authority: bool,
    /// How many authorities may follow on the path down.
    pub path_length: Option<u8>,
}

/// An X.509 certificate of version 3 with a key and a signature of the suites' curves, borrowed from its DER.
///
/// Parsing checks the structure and refuses what is not understood; it proves nothing. See
/// [`verify_chain`](super::verify_chain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    der: &'a [u8],
    signed: &'a [u8],
    signature: Signature,
    /// Content octets of the INTEGER.
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: u64,
    not_after: u64,
    key: PublicKey,
    common_name: Option<&'a [u8]>,
    alternative_name: &'a [u8],
    hardware_title: Option<SystemTitle>,
    key_usage: Option<KeyUsage>,
    constraints: Option<BasicConstraints>,
    for_tls: Option<bool>,
    authority_key: Option<&'a [u8]>,
    subject_key: Option<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// Takes a certificate apart.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], also for trailing octets and for BER that is not DER;
    /// [`CertificateError::Version`], [`CertificateError::SerialNumber`], [`CertificateError::Algorithm`],
    /// [`CertificateError::CriticalExtension`], [`CertificateError::DuplicateExtension`];
    /// [`CertificateError::SystemTitle`] for a hardware module name that is no system title.
    pub fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        let mut outer = Elements::new(der, "certificate")?;
        let mut whole = outer.inside(Tag::Sequence, "certificate")?;
        outer.finish()?;
        let signed = whole.whole(Tag::Sequence)?;
        let signing_curve = algorithm(&mut whole)?;
        let signature = whole.typed::<BitStringRef<'a>>()?;
        whole.finish()?;
        let signature = read_signature(signing_curve, signature)?;

        let mut to_be_signed = Elements::new(signed, "TBSCertificate")?;
        let mut fields = to_be_signed.inside(Tag::Sequence, "TBSCertificate")?;
        if !fields.next_is(context(0, true)) {
            return Err(CertificateError::Version);
        }
        let mut version = fields.inside(context(0, true), "version")?;
        if version.value(Tag::Integer)? != [2] {
            return Err(CertificateError::Version);
        }
        version.finish()?;
        let serial = read_serial(&mut fields)?;
        if algorithm(&mut fields)? != signing_curve {
            return Err(CertificateError::Algorithm);
        }
        let issuer = fields.whole(Tag::Sequence)?;
        let mut validity = fields.inside(Tag::Sequence, "validity")?;
        let (not_before, not_after) = (read_time(&mut validity)?, read_time(&mut validity)?);
        validity.finish()?;
        let subject = fields.whole(Tag::Sequence)?;
        let key = read_key(&mut fields)?;
        let mut certificate = Self {
            der,
            signed,
            signature,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            common_name: read_common_name(subject)?,
            alternative_name: &[],
            hardware_title: None,
            key_usage: None,
            constraints: None,
            for_tls: None,
            authority_key: None,
            subject_key: None,
        };
        // issuerUniqueID and subjectUniqueID, 1 and 2, must not be used (RFC 5280, 4.1.2.8).
        let mut extensions = fields.inside(context(3, true), "extensions")?;
        fields.finish()?;
        let mut list = extensions.inside(Tag::Sequence, "extensions")?;
        extensions.finish()?;
        let mut seen = 0;
        while !list.is_finished() {
            certificate.read_extension(&mut list, &mut seen)?;
        }
        Ok(certificate)
    }

    fn read_extension(&mut self, list: &mut Elements<'a>, seen: &mut u8) -> Result<(), CertificateError> {
        let mut extension = list.inside(Tag::Sequence, "extension")?;
        let id = extension.value(Tag::ObjectIdentifier)?;
        let critical = extension.next_is(Tag::Boolean) && extension.typed::<bool>()?;
        let octets = extension.value(Tag::OctetString)?;
        extension.finish()?;
        let Some(id) = Extension::of(id) else {
            return if critical { Err(CertificateError::CriticalExtension) } else { Ok(()) };
        };
        if *seen & id.bit() != 0 {
            return Err(CertificateError::DuplicateExtension);
        }
        *seen |= id.bit();
        let mut value = Elements::new(octets, "extension value")?;
        match id {
            Extension::SubjectKeyIdentifier => self.subject_key = Some(value.value(Tag::OctetString)?),
            Extension::KeyUsage => self.key_usage = Some(read_key_usage(&mut value, critical)?),
            Extension::BasicConstraints => self.constraints = Some(read_constraints(&mut value, critical)?),
            Extension::AuthorityKeyIdentifier => {
                let mut fields = value.inside(Tag::Sequence, "authorityKeyIdentifier")?;
                if fields.next_is(context(0, false)) {
                    self.authority_key = Some(fields.value(context(0, false))?);
                }
                // Issuer and serial number may follow; the path is found by key identifier and name.
            }
            Extension::ExtendedKeyUsage => {
                let mut purposes = value.inside(Tag::Sequence, "extKeyUsage")?;
                let mut tls = false;
                while !purposes.is_finished() {
                    let purpose = purposes.value(Tag::ObjectIdentifier)?;
                    tls |= purpose == oid::SERVER_AUTH || purpose == oid::CLIENT_AUTH;
                }
                self.for_tls = Some(tls);
            }
            Extension::SubjectAltName => {
                self.alternative_name = octets;
                let mut names = value.inside(Tag::Sequence, "subjectAltName")?;
                while !names.is_finished() {
                    if names.next_is(context(0, true)) {
                        let other = names.inside(context(0, true), "otherName")?;
                        self.hardware_title = read_hardware_title(other)?.or(self.hardware_title);
                    } else {
                        names.typed::<der::asn1::AnyRef<'a>>()?;
                    }
                }
            }
        }
        value.finish()
    }

    /// The whole certificate.
    #[must_use]
    pub const fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Content octets of the serial number, big endian.
    #[must_use]
    pub const fn serial_number(&self) -> &'a [u8] {
        self.serial
    }

    /// DER of the issuer's name.
    #[must_use]
    pub const fn issuer(&self) -> &'a [u8] {
        self.issuer
    }

    /// DER of the subject's name.
    #[must_use]
    pub const fn subject(&self) -> &'a [u8] {
        self.subject
    }

    /// DER of subjectAltName, or nothing.
    #[must_use]
    pub const fn subject_alt_name(&self) -> &'a [u8] {
        self.alternative_name
    }

    /// Common name of the subject: of an entity its system title, of an authority its name.
    #[must_use]
    pub const fn common_name(&self) -> Option<&'a [u8]> {
        self.common_name
    }

    /// First and last second of validity, since 1970 in UTC.
    #[must_use]
    pub const fn validity(&self) -> (u64, u64) {
        (self.not_before, self.not_after)
    }

    /// keyUsage.
    #[must_use]
    pub const fn key_usage(&self) -> Option<KeyUsage> {
        self.key_usage
    }

    /// basicConstraints.
    #[must_use]
    pub const fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.constraints
    }

    /// authorityKeyIdentifier, the key identifier in it.
    #[must_use]
    pub const fn authority_key_identifier(&self) -> Option<&'a [u8]> {
        self.authority_key
    }

    /// subjectKeyIdentifier.
    #[must_use]
    pub const fn subject_key_identifier(&self) -> Option<&'a [u8]> {
        self.subject_key
    }

    /// The system title of the subject: its common name of 16 upper-case hexadecimal digits, or the serial number of
    /// its hardware module name.
    ///
    /// # Errors
    /// [`CertificateError::SystemTitle`] when there is neither, or when the two differ.
    pub fn system_title(&self) -> Result<SystemTitle, CertificateError> {
        match (self.common_name.and_then(title_of_hex), self.hardware_title) {
            (Some(name), Some(hardware)) if name != hardware => Err(CertificateError::SystemTitle),
            (Some(title), _) | (None, Some(title)) => Ok(title),
            (None, None) => Err(CertificateError::SystemTitle),
        }
    }

    /// What the key is for, by keyUsage and extendedKeyUsage; `None` for none of the profile's purposes.
    #[must_use]
    pub fn purpose(&self) -> Option<Purpose> {
        let usage = self.key_usage?;
        if usage.certificate_sign {
            return Some(Purpose::Other);
        }
        match (usage.digital_signature, usage.key_agreement, self.for_tls) {
            (true, false, None) => Some(Purpose::Signature),
            (false, true, None) => Some(Purpose::KeyAgreement),
            (true, _, Some(true)) => Some(Purpose::Tls),
            _ => None,
        }
    }

    /// Whether the profile allows this certificate for `purpose` in `suite`, and for the entity with `title` if that
    /// is given. Neither chain nor validity is looked at.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, suite: Suite, purpose: Purpose, title: Option<SystemTitle>) -> Result<(), CertificateError> {
        let curve = suite.curve();
        if Some(self.key.curve()) != curve || Some(self.signature.curve()) != curve {
            return Err(CertificateError::Algorithm);
        }
        let usage = self.key_usage.filter(|usage| usage.critical && !usage.others).ok_or(CertificateError::KeyUsage)?;
        if purpose == Purpose::Other {
            return self.check_authority();
        }
        if self.constraints.is_some_and(|constraints| constraints.authority) {
            return Err(CertificateError::BasicConstraints);
        }
        match (purpose, usage.digital_signature, usage.key_agreement, usage.certificate_sign) {
            (Purpose::Signature, true, false, false)
            | (Purpose::KeyAgreement, false, true, false)
            | (Purpose::Tls, true, _, false) => {}
            _ => return Err(CertificateError::KeyUsage),
        }
        match (purpose, self.for_tls) {
            (Purpose::Tls, Some(true)) | (Purpose::Signature | Purpose::KeyAgreement, None) => {}
            _ => return Err(CertificateError::ExtendedKeyUsage),
        }
        if self.authority_key.is_none() {
            return Err(CertificateError::KeyIdentifier);
        }
        let found = self.system_title()?;
        if title.is_some_and(|title| title != found) { Err(CertificateError::SystemTitle) } else { Ok(()) }
    }

    /// Whether the profile allows the subject to sign certificates.
    ///
    /// # Errors
    /// [`CertificateError::BasicConstraints`], [`CertificateError::KeyUsage`], [`CertificateError::KeyIdentifier`].
    pub fn check_authority(&self) -> Result<(), CertificateError> {
        match self.constraints {
            Some(BasicConstraints { critical: true, authority: true, .. }) => {}
            _ => return Err(CertificateError::BasicConstraints),
        }
        match self.key_usage {
            Some(KeyUsage { critical: true, certificate_sign: true, others: false, .. }) => {}
            _ => return Err(CertificateError::KeyUsage),
        }
        if self.subject_key.is_none() { Err(CertificateError::KeyIdentifier) } else { Ok(()) }
    }

    /// Whether `now`, in seconds since 1970 in UTC, lies within the validity.
    ///
    /// # Errors
    /// [`CertificateError::Validity`].
    pub const fn check_validity(&self, now: u64) -> Result<(), CertificateError> {
        if now < self.not_before || now > self.not_after { Err(CertificateError::Validity) } else { Ok(()) }
    }

    /// Whether the certificate is signed by the key of `issuer`: names, key identifiers, signature.
    ///
    /// # Errors
    /// [`CertificateError::NoPath`] when it does not even claim to be, [`CertificateError::Signature`].
    pub fn check_issued_by<E: Curves>(&self, issuer: &Certificate<'_>) -> Result<(), CertificateError> {
        if !self.names_issuer(issuer) {
            return Err(CertificateError::NoPath);
        }
        Ok(E::verify(&issuer.key, &[self.signed], &self.signature)?)
    }

    /// Whether issuer name and key identifier are those of `issuer`.
    pub(super) fn names_issuer(&self, issuer: &Certificate<'_>) -> bool {
        let same_key = match (self.authority_key, issuer.subject_key) {
            (Some(named), Some(found)) => named == found,
            _ => true,
        };
        self.issuer == issuer.subject && same_key && issuer.key.curve() == self.signature.curve()
    }

    /// Whether issuer and subject are one.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whose certificate it is, as far as it says so itself.
    #[must_use]
    pub fn entity(&self, server: SystemTitle) -> Entity {
        if self.constraints.is_some_and(|constraints| constraints.authority) {
            return Entity::Authority;
        }
        match self.system_title() {
            Ok(title) if title == server => Entity::Server,
            Ok(_) => Entity::Client,
            Err(_) => Entity::Other,
        }
    }
}

/// AlgorithmIdentifier of a signature, which has no parameters; gives the curve of the signing key.
fn algorithm(fields: &mut Elements<'_>) -> Result<Curve, CertificateError> {
    let mut algorithm = fields.inside(Tag::Sequence, "signature algorithm")?;
    let curve = match algorithm.value(Tag::ObjectIdentifier)? {
        oid::ECDSA_SHA256 => Curve::P256,
        oid::ECDSA_SHA384 => Curve::P384,
        _ => return Err(CertificateError::Algorithm),
    };
    if algorithm.is_finished() { Ok(curve) } else { Err(CertificateError::Algorithm) }
}

/// Inside X.509 a signature is DER; everywhere else its halves have a fixed width.
fn read_signature(curve: Curve, bits: BitStringRef<'_>) -> Result<Signature, CertificateError> {
    let octets = bits.as_bytes().ok_or(CertificateError::Malformed { what: "signature" })?;
    let mut outer = Elements::new(octets, "signature")?;
    let mut halves = outer.inside(Tag::Sequence, "signature")?;
    outer.finish()?;
    let mut pair = [0; 2 * COORDINATE_MAX];
    let width = curve.width();
    for half in pair.chunks_exact_mut(width).take(2) {
        let number = halves.typed::<UintRef<'_>>()?;
        let start = width.checked_sub(number.as_bytes().len()).ok_or(CertificateError::Algorithm)?;
        half.iter_mut().skip(start).zip(number.as_bytes()).for_each(|(to, from)| *to = *from);
    }
    halves.finish()?;
    Ok(Signature::from_slice(curve, pair.get(..curve.double_width()).unwrap_or_default())?)
}

fn read_serial<'a>(fields: &mut Elements<'a>) -> Result<&'a [u8], CertificateError> {
    // Decoded once to be sure that it is a minimal, non-negative INTEGER; kept as it stands.
    let number = fields.clone().typed::<UintRef<'a>>().map_err(|_| CertificateError::SerialNumber)?;
    let content = fields.value(Tag::Integer)?;
    if number.as_bytes().iter().all(|octet| *octet == 0) || content.len() > SERIAL_MAX {
        return Err(CertificateError::SerialNumber);
    }
    Ok(content)
}

fn read_time(fields: &mut Elements<'_>) -> Result<u64, CertificateError> {
    if fields.next_is(Tag::UtcTime) {
        return Ok(fields.typed::<UtcTime>()?.to_unix_duration().as_secs());
    }
    Ok(fields.typed::<GeneralizedTime>()?.to_unix_duration().as_secs())
}

fn read_key(fields: &mut Elements<'_>) -> Result<PublicKey, CertificateError> {
    let mut info = fields.inside(Tag::Sequence, "subjectPublicKeyInfo")?;
    let mut algorithm = info.inside(Tag::Sequence, "subjectPublicKeyInfo")?;
    if algorithm.value(Tag::ObjectIdentifier)? != oid::EC_PUBLIC_KEY {
        return Err(CertificateError::Algorithm);
    }
    if !algorithm.next_is(Tag::ObjectIdentifier) {
        return Err(CertificateError::Algorithm);
    }
    let curve = match algorithm.value(Tag::ObjectIdentifier)? {
        oid::P256 => Curve::P256,
        oid::P384 => Curve::P384,
        _ => return Err(CertificateError::Algorithm),
    };
    algorithm.finish()?;
    let bits = info.typed::<BitStringRef<'_>>()?;
    info.finish()?;
    match bits.as_bytes() {
        Some([4, point @ ..]) => PublicKey::from_slice(curve, point).map_err(|_| CertificateError::Algorithm),
        _ => Err(CertificateError::Algorithm),
    }
}

/// The common name in a distinguished name, if there is one.
pub(super) fn common_name_of(name: &[u8]) -> Option<&[u8]> {
    read_common_name(name).ok().flatten()
}

/// The common name of a distinguished name, the last one where there are several.
fn read_common_name(name: &[u8]) -> Result<Option<&[u8]>, CertificateError> {
    let mut outer = Elements::new(name, "subject")?;
    let mut relative_names = outer.inside(Tag::Sequence, "subject")?;
    let mut found = None;
    while !relative_names.is_finished() {
        let mut attributes = relative_names.inside(Tag::Set, "subject")?;
        while !attributes.is_finished() {
            let mut attribute = attributes.inside(Tag::Sequence, "subject")?;
            let id = attribute.value(Tag::ObjectIdentifier)?;
            let value = attribute.typed::<der::asn1::AnyRef<'_>>()?;
            attribute.finish()?;
            if id == oid::COMMON_NAME {
                found = Some(value.value());
            }
        }
    }
    Ok(found)
}

/// hardwareModuleName in an otherName: SEQUENCE of hwType and hwSerialNum, the latter a system title.
fn read_hardware_title(mut other: Elements<'_>) -> Result<Option<SystemTitle>, CertificateError> {
    if other.value(Tag::ObjectIdentifier)? != oid::HARDWARE_MODULE_NAME {
        return Ok(None);
    }
    let mut explicit = other.inside(context(0, true), "hardwareModuleName")?;
    other.finish()?;
    let mut module = explicit.inside(Tag::Sequence, "hardwareModuleName")?;
    explicit.finish()?;
    module.value(Tag::ObjectIdentifier)?;
    let serial = module.value(Tag::OctetString)?;
    module.finish()?;
    SystemTitle::from_slice(serial).map(Some).ok_or(CertificateError::SystemTitle)
}

fn read_key_usage(value: &mut Elements<'_>, critical: bool) -> Result<KeyUsage, CertificateError> {
    let bits = value.typed::<BitStringRef<'_>>()?;
    let [first, second] = match bits.raw_bytes() {
        [first] => [*first, 0],
        [first, second] => [*first, *second],
        _ => return Err(value.malformed()),
    };
    // Bit 0 is the highest: digitalSignature 0, keyAgreement 4, keyCertSign 5, cRLSign 6.
    Ok(KeyUsage {
        critical,
        digital_signature: first & 0x80 != 0,
        key_agreement: first & 0x08 != 0,
        certificate_sign: first & 0x04 != 0,
        others: first & 0x71 != 0 || second != 0,
    })
}

fn read_constraints(value: &mut Elements<'_>, critical: bool) -> Result<BasicConstraints, CertificateError> {
    let mut fields = value.inside(Tag::Sequence, "basicConstraints")?;
    let authority = fields.next_is(Tag::Boolean) && fields.typed::<bool>()?;
    let path_length = if fields.is_finished() {
        None
    } else {
        let number = fields.typed::<UintRef<'_>>()?;
        match number.as_bytes() {
            [length] => Some(*length),
            // Longer than any path that is accepted.
            _ => Some(u8::MAX),
        }
    };
    fields.finish()?;
    Ok(BasicConstraints { critical, authority, path_length })
}

/// 16 upper-case hexadecimal digits.
fn title_of_hex(text: &[u8]) -> Option<SystemTitle> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    };
    let mut title = [0; 8];
    if text.len() != 16 {
        return None;
    }
    for (octet, pair) in title.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *octet = (digit(high)? << 4) | digit(low)?;
    }
    Some(SystemTitle(title))
}
