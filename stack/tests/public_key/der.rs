//! Certificates made to order, right and wrong ones: DER put together by hand.

use dlms::security::public_key::Curve;
use dlms::security::{Curves, PrivateKey, PublicKey, RustCrypto};

use crate::curves::Noise;

pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=0x7F => out.push(length as u8),
        length @ 0x80..=0xFF => out.extend([0x81, length as u8]),
        length => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

fn integer(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
    let pad: &[u8] = if octets[start] & 0x80 != 0 { &[0] } else { &[] };
    tlv(0x02, &[pad, &octets[start..]])
}

pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute = tlv(0x30, &[&[0x06, 3, 0x55, 4, 3], &tlv(0x0C, &[common_name.as_bytes()])]);
    tlv(0x30, &[&tlv(0x31, &[&attribute])])
}

pub(crate) fn extension(last: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[0x01, 1, 0xFF] } else { &[] };
    tlv(0x30, &[&[0x06, 3, 0x55, 0x1D, last], flag, &tlv(0x04, &[value])])
}

/// A party that certificates are about.
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) key: PrivateKey,
    pub(crate) id: Vec<u8>,
}

impl Party {
    pub(crate) fn new(name: &str, curve: Curve, seed: u64) -> Self {
        let key = RustCrypto::generate(curve, &mut Noise(seed)).unwrap();
        Self { name: name.to_owned(), key, id: seed.to_be_bytes().to_vec() }
    }
}

/// What a certificate says; the right thing unless it is changed.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) outer_algorithm: Option<Vec<u8>>,
    pub(crate) inner_algorithm: Option<Vec<u8>>,
    pub(crate) validity: [&'static str; 2],
    pub(crate) subject: Option<String>,
    pub(crate) point_prefix: u8,
    pub(crate) extensions: Vec<Vec<u8>>,
}

pub(crate) const DIGITAL_SIGNATURE: &[u8] = &[0x03, 2, 7, 0x80];
pub(crate) const KEY_AGREEMENT: &[u8] = &[0x03, 2, 3, 0x08];
pub(crate) const CERTIFICATE_SIGN: &[u8] = &[0x03, 2, 1, 0x06];

impl Spec {
    fn new(extensions: Vec<Vec<u8>>) -> Self {
        Self {
            version: vec![0xA0, 3, 2, 1, 2],
            serial: vec![0x02, 2, 0x10, 0x01],
            outer_algorithm: None,
            inner_algorithm: None,
            validity: ["240101000000Z", "491231235959Z"],
            subject: None,
            point_prefix: 4,
            extensions,
        }
    }

    /// An entity's, with this keyUsage.
    pub(crate) fn entity(subject: &Party, issuer: &Party, usage: &[u8]) -> Self {
        Self::new(vec![
            extension(35, false, &tlv(0x30, &[&tlv(0x80, &[&issuer.id])])),
            extension(14, false, &tlv(0x04, &[&subject.id])),
            extension(15, true, usage),
        ])
    }

    /// An authority's.
    pub(crate) fn authority(subject: &Party, issuer: &Party, path_length: Option<u8>) -> Self {
        let length = path_length.map(|length| integer(&[length])).unwrap_or_default();
        let mut spec = Self::entity(subject, issuer, CERTIFICATE_SIGN);
        spec.extensions.push(extension(19, true, &tlv(0x30, &[&[0x01, 1, 0xFF], &length])));
        spec
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Replaces the extension with this last arc.
    pub(crate) fn replace(&mut self, last: u8, by: Option<Vec<u8>>) {
        self.extensions.retain(|extension| extension[6] != last);
        self.extensions.extend(by);
    }

    pub(crate) fn signed(&self, subject: &Party, issuer: &Party) -> Vec<u8> {
        self.signed_for(&subject.name, &RustCrypto::public_key(&subject.key).unwrap(), issuer)
    }

    /// As [`signed`](Self::signed), for a key whose private half is somebody else's.
    pub(crate) fn signed_for(&self, subject: &str, public: &PublicKey, issuer: &Party) -> Vec<u8> {
        let right = algorithm(issuer.key.curve());
        let curve: &[u8] = match public.curve() {
            Curve::P256 => &[0x06, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7],
            Curve::P384 => &[0x06, 5, 0x2B, 0x81, 4, 0, 0x22],
        };
        let key = tlv(0x30, &[&[0x06, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1], curve]);
        let key = tlv(0x30, &[&key, &tlv(0x03, &[&[0, self.point_prefix], public.as_bytes()])]);
        let times = self.validity.map(|time| tlv(if time.len() == 13 { 0x17 } else { 0x18 }, &[time.as_bytes()]));
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let signed = tlv(
            0x30,
            &[
                &self.version,
                &self.serial,
                self.inner_algorithm.as_ref().unwrap_or(&right),
                &name(&issuer.name),
                &tlv(0x30, &[&times[0], &times[1]]),
                &name(self.subject.as_deref().unwrap_or(subject)),
                &key,
                &tlv(0xA3, &[&tlv(0x30, &extensions)]),
            ],
        );
        let signature = RustCrypto::sign(&issuer.key, &[&signed]).unwrap();
        let (r, s) = signature.as_bytes().split_at(signature.curve().width());
        let signature = tlv(0x03, &[&[0], &tlv(0x30, &[&integer(r), &integer(s)])]);
        tlv(0x30, &[&signed, self.outer_algorithm.as_ref().unwrap_or(&right), &signature])
    }
}

pub(crate) fn algorithm(curve: Curve) -> Vec<u8> {
    let last = if curve == Curve::P256 { 2 } else { 3 };
    tlv(0x30, &[&[0x06, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, last]])
}
