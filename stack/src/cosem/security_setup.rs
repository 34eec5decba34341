//! Class 64, Security setup: policy, suite, system titles and keys.

mod certificates;

pub use certificates::{CertificateEntity, CertificateIdentification, CertificateType};

use super::{Array, Enumerated};

interface_class! {
    "Security setup" = 64, versions 0..=1, methods at 0x28, 0x30 since 1;
    attributes {
        /// Policy as an enumeration: see [`SecurityPolicy::from_v0`](crate::security::SecurityPolicy::from_v0).
        2 PolicyV0 security_policy_v0 "security_policy", static until 0: Enumerated;
        /// Policy as a bit set: see [`SecurityPolicy::from_v1`](crate::security::SecurityPolicy::from_v1).
        2 Policy security_policy, static since 1: Enumerated;
        /// Suite: 0 AES-GCM-128; 1 and 2 add signatures and key agreement.
        3 Suite security_suite, static: Enumerated;
        /// System title of the client.
        4 ClientSystemTitle client_system_title, dynamic: &'a [u8];
        /// System title of the server.
        5 ServerSystemTitle server_system_title, static: &'a [u8];
        /// The certificates that the server has.
        6 Certificates certificates, dynamic since 1: Array<'a, CertificateInfo<'a>>;
    }
    methods {
        /// Sets a policy that demands more.
        1 SecurityActivateV0 security_activate_v0 "security_activate" until 0: Enumerated;
        /// Sets a policy that demands more.
        1 SecurityActivate security_activate since 1: Enumerated;
        /// Replaces keys. The reply is still protected with the old ones.
        2 GlobalKeyTransfer global_key_transfer until 0: Array<'a, KeyTransferData<'a>>;
        /// Replaces keys. The reply is still protected with the old ones.
        2 KeyTransfer key_transfer since 1: Array<'a, KeyTransferData<'a>>;
        /// Agrees on keys with ephemeral key pairs.
        3 KeyAgreement key_agreement since 1: Array<'a, KeyAgreementData<'a>> => Array<'a, KeyAgreementData<'a>>;
        /// Makes a key pair for the server.
        4 GenerateKeyPair generate_key_pair since 1: CertificateType;
        /// Asks for a certificate signing request (PKCS #10) for a key pair of the server.
        5 GenerateCertificateRequest generate_certificate_request since 1: CertificateType => &'a [u8];
        /// Hands over a certificate (X.509 DER).
        6 ImportCertificate import_certificate since 1: &'a [u8];
        /// Asks for a certificate, by entity or by serial number.
        7 ExportCertificate export_certificate since 1: CertificateIdentification<'a> => &'a [u8];
        /// Removes a certificate.
        8 RemoveCertificate remove_certificate since 1: CertificateIdentification<'a>;
    }
}

enumeration! {
    /// Which key.
    KeyId "key identifier" {
        /// Global unicast encryption key.
        GlobalUnicastEncryption = 0,
        /// Global broadcast encryption key.
        GlobalBroadcastEncryption = 1,
        /// Authentication key.
        Authentication = 2,
        /// Master key, from version 1 on.
        Master = 3,
    }
}

structure! {
    /// A new key, wrapped under the master key (RFC 3394).
    KeyTransferData<'a> "structure of key identifier and wrapped key" {
        /// Which key.
        key_id: KeyId,
        /// The wrapped key: 24 octets for a key of 16, 40 for one of 32.
        key_wrapped: &'a [u8],
    }
}

structure! {
    /// One side of a key agreement.
    KeyAgreementData<'a> "structure of key identifier and key data" {
        /// Which key.
        key_id: KeyId,
        /// Ephemeral public key, then its signature.
        key_data: &'a [u8],
    }
}

impl<'a> KeyAgreementData<'a> {
    /// Ephemeral public key and signature, which have the same length: 64 octets each in suite 1, 96 in suite 2. `None`
    /// for any other length.
    #[must_use]
    pub fn public_key_and_signature(&self) -> Option<(&'a [u8], &'a [u8])> {
        matches!(self.key_data.len(), 128 | 192).then(|| self.key_data.split_at_checked(self.key_data.len() / 2))?
    }
}

structure! {
    /// What a certificate says about itself.
    CertificateInfo<'a> "structure of certificate information" {
        /// Whose it is.
        entity: CertificateEntity,
        /// What it is for.
        certificate_type: CertificateType,
        /// Serial number.
        serial_number: &'a [u8],
        /// Issuer.
        issuer: &'a [u8],
        /// Subject.
        subject: &'a [u8],
        /// Alternative name of the subject.
        subject_alt_name: &'a [u8],
    }
}
