//! Class 116, IEC 62055-41 attributes: payment metering with standard transfer tokens. Known from one source only.

use super::{Any, Text};

interface_class! {
    "IEC 62055-41 attributes" = 116, versions 0..=0;
    attributes {
        /// Primary account number of the meter, a structure.
        2 MeterPan meter_pan "meter_PAN", static: Any<'a>;
        /// What is sold.
        3 Commodity commodity, static: Text<'a>;
        /// Kinds of token carriers.
        4 TokenCarrierTypes token_carrier_types, static: Any<'a>;
        /// Encryption algorithm.
        5 EncryptionAlgorithm encryption_algorithm, static: u8;
        /// Supply group code.
        6 SupplyGroupCode supply_group_code, static: u32;
        /// Tariff index.
        7 TariffIndex tariff_index, static: u8;
        /// Revision of the key.
        8 KeyRevisionNumber key_revision_number, static: u8;
        /// Type of the key.
        9 KeyType key_type, static: u8;
        /// When the key expires.
        10 KeyExpiryNumber key_expiry_number, static: u8;
        /// Key change tokens that are supported.
        11 KeyChangeTokens no_of_kct_supported "no_of_KCT_supported", static: u8;
        /// Number of the certificate.
        12 CertificateNumber sts_certificate_no "STS_certificate_no", static: Text<'a>;
    }
    methods {}
}
