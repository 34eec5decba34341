//! First octets of xDLMS APDUs (IEC 62056-5-3, the `XDLMS-APDU` choice).

#![allow(missing_docs, reason = "each constant is the name of the APDU it starts")]

use core::fmt;

pub const INITIATE_REQUEST: u8 = 0x01;
pub const READ_REQUEST: u8 = 0x05;
pub const WRITE_REQUEST: u8 = 0x06;
pub const INITIATE_RESPONSE: u8 = 0x08;
pub const READ_RESPONSE: u8 = 0x0C;
pub const WRITE_RESPONSE: u8 = 0x0D;
pub const CONFIRMED_SERVICE_ERROR: u8 = 0x0E;
pub const DATA_NOTIFICATION: u8 = 0x0F;
pub const DATA_NOTIFICATION_CONFIRM: u8 = 0x10;
pub const UNCONFIRMED_WRITE_REQUEST: u8 = 0x16;
pub const INFORMATION_REPORT: u8 = 0x18;
pub const GET_REQUEST: u8 = 0xC0;
pub const SET_REQUEST: u8 = 0xC1;
pub const EVENT_NOTIFICATION: u8 = 0xC2;
pub const ACTION_REQUEST: u8 = 0xC3;
pub const GET_RESPONSE: u8 = 0xC4;
pub const SET_RESPONSE: u8 = 0xC5;
pub const ACTION_RESPONSE: u8 = 0xC7;
pub const EXCEPTION_RESPONSE: u8 = 0xD8;
pub const ACCESS_REQUEST: u8 = 0xD9;
pub const ACCESS_RESPONSE: u8 = 0xDA;
pub const GENERAL_GLO_CIPHERING: u8 = 0xDB;
pub const GENERAL_DED_CIPHERING: u8 = 0xDC;
pub const GENERAL_CIPHERING: u8 = 0xDD;
pub const GENERAL_SIGNING: u8 = 0xDF;
pub const GENERAL_BLOCK_TRANSFER: u8 = 0xE0;
pub const GATEWAY_REQUEST: u8 = 0xE6;
pub const GATEWAY_RESPONSE: u8 = 0xE7;

/// Tag of a service that is ciphered on its own: glo- with the global key, ded- with the dedicated one.
///
/// ACCESS, DataNotification and ExceptionResponse have no such tag; only general- APDUs protect them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceTag(u8);

macro_rules! services {
    ($($plain:ident $global:literal $dedicated:literal $name:literal,)*) => {
        impl ServiceTag {
            /// `octet`, when it is such a tag.
            #[must_use]
            pub const fn new(octet: u8) -> Option<Self> {
                match octet {
                    $($global | $dedicated => Some(Self(octet)),)*
                    _ => None,
                }
            }

            /// The tag under which the APDU with the tag `plain` travels ciphered; `None` when it has none.
            #[must_use]
            pub const fn of(plain: u8, dedicated: bool) -> Option<Self> {
                match plain {
                    $($plain => Some(Self(if dedicated { $dedicated } else { $global })),)*
                    _ => None,
                }
            }

            /// The tag of the APDU inside.
            #[must_use]
            pub const fn plain(self) -> u8 {
                match self.0 {
                    $($global | $dedicated => $plain,)*
                    // `new` and `of` make no other value.
                    other => other,
                }
            }

            /// Whether the key is the dedicated one.
            #[must_use]
            pub const fn is_dedicated(self) -> bool {
                matches!(self.0, $($dedicated)|*)
            }

            /// The name of the ciphered APDU.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($global => concat!("glo-", $name), $dedicated => concat!("ded-", $name),)*
                    _ => "ciphered",
                }
            }
        }
    };
}

services! {
    INITIATE_REQUEST 0x21 0x41 "initiate-request",
    READ_REQUEST 0x25 0x45 "read-request",
    WRITE_REQUEST 0x26 0x46 "write-request",
    INITIATE_RESPONSE 0x28 0x48 "initiate-response",
    READ_RESPONSE 0x2C 0x4C "read-response",
    WRITE_RESPONSE 0x2D 0x4D "write-response",
    CONFIRMED_SERVICE_ERROR 0x2E 0x4E "confirmed-service-error",
    UNCONFIRMED_WRITE_REQUEST 0x36 0x56 "unconfirmed-write-request",
    INFORMATION_REPORT 0x38 0x58 "information-report-request",
    GET_REQUEST 0xC8 0xD0 "get-request",
    SET_REQUEST 0xC9 0xD1 "set-request",
    EVENT_NOTIFICATION 0xCA 0xD2 "event-notification-request",
    ACTION_REQUEST 0xCB 0xD3 "action-request",
    GET_RESPONSE 0xCC 0xD4 "get-response",
    SET_RESPONSE 0xCD 0xD5 "set-response",
    ACTION_RESPONSE 0xCF 0xD7 "action-response",
}

impl ServiceTag {
    /// The octet on the wire.
    #[must_use]
    pub const fn octet(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for ServiceTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceTag({:#04X} {})", self.0, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ciphered_tag_leads_to_its_plain_tag_and_back() {
        let tags = (0..=u8::MAX).filter_map(ServiceTag::new);
        assert_eq!(tags.clone().count(), 32);
        for tag in tags {
            assert_eq!(ServiceTag::of(tag.plain(), tag.is_dedicated()), Some(tag));
            assert!(tag.name().starts_with(if tag.is_dedicated() { "ded-" } else { "glo-" }));
        }
    }

    #[test]
    fn services_without_a_ciphered_tag_have_none() {
        for plain in [DATA_NOTIFICATION, ACCESS_REQUEST, ACCESS_RESPONSE, EXCEPTION_RESPONSE, GENERAL_SIGNING] {
            assert_eq!(ServiceTag::of(plain, false), None);
            assert_eq!(ServiceTag::of(plain, true), None);
        }
    }
}
