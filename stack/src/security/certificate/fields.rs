//! Object identifiers (content octets) and the pieces of DER that they stand in.

use der::asn1::AnyRef;
use der::{Reader, SliceReader, Tag, TagNumber, Tagged};

use super::CertificateError;

/// Content octets of the object identifiers that the profile uses.
pub(super) mod oid {
    pub(in super::super) const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
    pub(in super::super) const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    pub(in super::super) const P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
    pub(in super::super) const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
    pub(in super::super) const ECDSA_SHA384: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03];
    pub(in super::super) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    pub(super) const PREFIX_EXTENSION: [u8; 2] = [0x55, 0x1D];
    pub(in super::super) const HARDWARE_MODULE_NAME: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x04];
    pub(in super::super) const SERVER_AUTH: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
    pub(in super::super) const CLIENT_AUTH: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
}

/// The extensions that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    SubjectKeyIdentifier,
    KeyUsage,
    SubjectAltName,
    BasicConstraints,
    AuthorityKeyIdentifier,
    ExtendedKeyUsage,
}

impl Extension {
    pub(super) fn of(oid: &[u8]) -> Option<Self> {
        let [prefix @ .., last] = oid else { return None };
        if prefix != oid::PREFIX_EXTENSION {
            return None;
        }
        match last {
            14 => Some(Self::SubjectKeyIdentifier),
            15 => Some(Self::KeyUsage),
            17 => Some(Self::SubjectAltName),
            19 => Some(Self::BasicConstraints),
            35 => Some(Self::AuthorityKeyIdentifier),
            37 => Some(Self::ExtendedKeyUsage),
            _ => None,
        }
    }

    /// One bit for each, to notice the second of a kind.
    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Reads the elements of one value, strictly in DER.
#[derive(Clone)]
pub(super) struct Elements<'a> {
    reader: SliceReader<'a>,
    what: &'static str,
}

impl<'a> Elements<'a> {
    pub(super) fn new(octets: &'a [u8], what: &'static str) -> Result<Self, CertificateError> {
        let reader = SliceReader::new(octets).map_err(|_| CertificateError::Malformed { what })?;
        Ok(Self { reader, what })
    }

    pub(super) const fn malformed(&self) -> CertificateError {
        CertificateError::Malformed { what: self.what }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }

    /// Whether the next element has this tag.
    pub(super) fn next_is(&self, tag: Tag) -> bool {
        !self.is_finished() && Tag::peek(&self.reader).is_ok_and(|found| found == tag)
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn value(&mut self, tag: Tag) -> Result<&'a [u8], CertificateError> {
        let any: AnyRef<'a> = self.reader.decode().map_err(|_| self.malformed())?;
        if any.tag() == tag { Ok(any.value()) } else { Err(self.malformed()) }
    }

    /// The next element, tag and length included.
    pub(super) fn whole(&mut self, tag: Tag) -> Result<&'a [u8], CertificateError> {
        if !self.next_is(tag) {
            return Err(self.malformed());
        }
        self.reader.tlv_bytes().map_err(|_| self.malformed())
    }

    /// The next element as a type of its own.
    pub(super) fn typed<T: der::Decode<'a>>(&mut self) -> Result<T, CertificateError> {
        self.reader.decode().map_err(|_| self.malformed())
    }

    /// The elements inside the next one.
    pub(super) fn inside(&mut self, tag: Tag, what: &'static str) -> Result<Self, CertificateError> {
        Elements::new(self.value(tag)?, what)
    }

    pub(super) fn finish(self) -> Result<(), CertificateError> {
        if self.is_finished() { Ok(()) } else { Err(self.malformed()) }
    }
}

/// A context-specific tag.
pub(super) const fn context(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific { constructed, number: TagNumber(number) }
}
