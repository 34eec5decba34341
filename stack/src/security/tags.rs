//! Tags of ciphered APDUs and their plain counterparts (Green Book, clause 9.5: the APDUs' ASN.1).

use super::Envelope;

pub(super) const GENERAL_GLO: u8 = 0xDB;
pub(super) const GENERAL_DED: u8 = 0xDC;

/// (plain, glo, ded). The dedicated forms of the initiate services, 41 and 48, exist in the ASN.1 but are never used:
/// the initiate exchange is always global.
const FAMILIES: [(u8, u8, Option<u8>); 16] = [
    (0x01, 0x21, None),
    (0x05, 0x25, Some(0x45)),
    (0x06, 0x26, Some(0x46)),
    (0x08, 0x28, None),
    (0x0C, 0x2C, Some(0x4C)),
    (0x0D, 0x2D, Some(0x4D)),
    (0x0E, 0x2E, Some(0x4E)),
    (0x16, 0x36, Some(0x56)),
    (0x18, 0x38, Some(0x58)),
    (0xC0, 0xC8, Some(0xD0)),
    (0xC1, 0xC9, Some(0xD1)),
    (0xC2, 0xCA, Some(0xD2)),
    (0xC3, 0xCB, Some(0xD3)),
    (0xC4, 0xCC, Some(0xD4)),
    (0xC5, 0xCD, Some(0xD5)),
    (0xC7, 0xCF, Some(0xD7)),
];

/// Tag of the globally ciphered form of the plain APDU `plain`, if the service has one.
#[must_use]
pub fn global_tag(plain: u8) -> Option<u8> {
    FAMILIES.iter().find(|family| family.0 == plain).map(|family| family.1)
}

/// Tag of the form of the plain APDU `plain` that is ciphered with the dedicated key, if the service has one.
#[must_use]
pub fn dedicated_tag(plain: u8) -> Option<u8> {
    FAMILIES.iter().find(|family| family.0 == plain).and_then(|family| family.2)
}

/// Whether `apdu` is one of the ciphered forms that a [`Context`](super::Context) opens.
#[must_use]
pub fn is_protected(apdu: &[u8]) -> bool {
    apdu.first().is_some_and(|tag| unwrap_tag(*tag).is_some())
}

/// How the ciphered APDU `tag` is wrapped, and the tag that must be inside where the service fixes it.
pub(super) fn unwrap_tag(tag: u8) -> Option<(Envelope, Option<u8>)> {
    match tag {
        GENERAL_GLO => Some((Envelope::GeneralGlobal, None)),
        GENERAL_DED => Some((Envelope::GeneralDedicated, None)),
        _ => FAMILIES.iter().find_map(|&(plain, glo, ded)| {
            if tag == glo {
                Some((Envelope::Global, Some(plain)))
            } else if Some(tag) == ded {
                Some((Envelope::Dedicated, Some(plain)))
            } else {
                None
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_lead_there_and_back() {
        let mut ciphered = 0;
        for tag in 0..=u8::MAX {
            if let Some(glo) = global_tag(tag) {
                assert_eq!(unwrap_tag(glo), Some((Envelope::Global, Some(tag))));
            }
            if let Some(ded) = dedicated_tag(tag) {
                assert_eq!(unwrap_tag(ded), Some((Envelope::Dedicated, Some(tag))));
            }
            ciphered += usize::from(unwrap_tag(tag).is_some());
        }
        assert_eq!(ciphered, 16 + 14 + 2);
    }

    #[test]
    fn services_without_a_ciphered_tag_of_their_own() {
        for plain in [0xD9, 0xDA, 0x0F, 0xD8, 0xC6, 0xCE] {
            assert_eq!((global_tag(plain), dedicated_tag(plain)), (None, None));
        }
        assert_eq!((dedicated_tag(0x01), dedicated_tag(0x08)), (None, None));
        assert_eq!((unwrap_tag(0x41), unwrap_tag(0x48), unwrap_tag(0xCE), unwrap_tag(0xD6)), (None, None, None, None));
    }
}
