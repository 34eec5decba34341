//! Protected APDUs: layout only. Keys, counters and tags are the business of [`crate::security`].

use crate::axdr::{BufferFull, DecodeErrorKind, Writer};
use crate::deviation::Deviation;
use crate::id::SystemTitle;
use crate::wire::{Cursor, Refused, Wire, codec};

use super::tag::{self, ServiceTag};

/// What every protected APDU ends in: one octet string of security control, invocation counter and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected<'a> {
    /// Security control: suite in bits 0 to 3, then authenticated, encrypted, key set, compressed.
    pub control: u8,
    /// Invocation counter of the sender.
    pub counter: u32,
    /// Plain or ciphered text, with the tag behind it where the control says so.
    pub text: &'a [u8],
}

impl<'a> Protected<'a> {
    /// Octets of security control and invocation counter.
    const HEADER: usize = 5;
}

impl<'a> Wire<'a> for Protected<'a> {
    const SMALLEST: usize = 6;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let length = cursor.length("protected text")?;
        cursor.bounded(length, |cursor| {
            let control = cursor.u8()?;
            let counter = cursor.u32()?;
            let text = cursor.remaining();
            Ok(Self { control, counter, text: cursor.bytes(text)? })
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.length(self.text.len().saturating_add(Self::HEADER))?;
        writer.u8(self.control)?;
        writer.u32(self.counter)?;
        writer.bytes(self.text)
    }
}

/// Key-info of general-ciphering: which key protects the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyInfo<'a> {
    /// One that both sides have: 0 global unicast, 1 global broadcast.
    Identified(u8),
    /// One that is sent along, wrapped.
    Wrapped {
        /// The key that wraps: 0 is the master key.
        kek: u8,
        /// The wrapped key (RFC 3394).
        key: &'a [u8],
    },
    /// One that both sides derive.
    Agreed {
        /// Scheme: one octet, 01 ephemeral unified model, 02 static unified model.
        parameters: &'a [u8],
        /// Ephemeral public key and its signature, or nothing.
        ciphered: &'a [u8],
    },
}

impl<'a> Wire<'a> for KeyInfo<'a> {
    const SMALLEST: usize = 2;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        Ok(match cursor.u8()? {
            0 => Self::Identified(cursor.u8()?),
            1 => Self::Wrapped { kek: cursor.u8()?, key: cursor.octet_string("wrapped key")? },
            2 => Self::Agreed {
                parameters: cursor.octet_string("key parameters")?,
                ciphered: cursor.octet_string("key ciphered data")?,
            },
            found => return Err(cursor.unexpected(at, "key-info", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Identified(key) => writer.bytes(&[0, *key]),
            Self::Wrapped { kek, key } => {
                writer.bytes(&[1, *kek])?;
                writer.octet_string(key)
            }
            Self::Agreed { parameters, ciphered } => {
                writer.u8(2)?;
                writer.octet_string(parameters)?;
                writer.octet_string(ciphered)
            }
        }
    }
}

/// The fields that general-ciphering and general-signing begin with. They are authenticated as they stand, so
/// they stay octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct GeneralHeader<'a> {
    /// Pairs response and request; unique per originator.
    pub transaction_id: &'a [u8],
    /// System title of the originator, or nothing.
    pub originator: &'a [u8],
    /// System title of the recipient, or nothing.
    pub recipient: &'a [u8],
    /// Twelve octets of date-time, or nothing.
    pub date_time: &'a [u8],
    /// For companion specifications.
    pub other_information: &'a [u8],
}

impl<'a> Wire<'a> for GeneralHeader<'a> {
    const SMALLEST: usize = 5;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        Ok(Self {
            transaction_id: cursor.octet_string("transaction-id")?,
            originator: cursor.octet_string("originator system title")?,
            recipient: cursor.octet_string("recipient system title")?,
            date_time: cursor.octet_string("date-time")?,
            other_information: cursor.octet_string("other-information")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.octet_string(self.transaction_id)?;
        writer.octet_string(self.originator)?;
        writer.octet_string(self.recipient)?;
        writer.octet_string(self.date_time)?;
        writer.octet_string(self.other_information)
    }
}

/// A ciphered APDU in any of its wrappers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ciphered<'a> {
    /// glo- and ded-: one service, ciphered with the key of the association.
    Service {
        /// Which service, and which key.
        tag: ServiceTag,
        /// The text.
        protected: Protected<'a>,
    },
    /// general-glo-ciphering: any APDU, with a global key.
    GeneralGlobal {
        /// The sender; `None` (sent empty) where it is known from elsewhere.
        system_title: Option<SystemTitle>,
        /// The text.
        protected: Protected<'a>,
    },
    /// general-ded-ciphering: any APDU, with the dedicated key.
    GeneralDedicated {
        /// The sender; `None` (sent empty) where it is known from elsewhere.
        system_title: Option<SystemTitle>,
        /// The text.
        protected: Protected<'a>,
    },
    /// general-ciphering: any APDU, between any two parties.
    General {
        /// Who to whom.
        header: GeneralHeader<'a>,
        /// Which key; `None` for that of the message before.
        key: Option<KeyInfo<'a>>,
        /// The text.
        protected: Protected<'a>,
    },
}

impl<'a> Ciphered<'a> {
    /// The name of the APDU.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Service { tag, .. } => tag.name(),
            Self::GeneralGlobal { .. } => "general-glo-ciphering",
            Self::GeneralDedicated { .. } => "general-ded-ciphering",
            Self::General { .. } => "general-ciphering",
        }
    }

    /// The protected text.
    #[must_use]
    pub const fn protected(&self) -> Protected<'a> {
        match self {
            Self::Service { protected, .. }
            | Self::GeneralGlobal { protected, .. }
            | Self::GeneralDedicated { protected, .. }
            | Self::General { protected, .. } => *protected,
        }
    }
}

codec!(Ciphered<'a>);

impl<'a> Wire<'a> for Ciphered<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        match cursor.u8()? {
            tag::GENERAL_GLO_CIPHERING => {
                Ok(Self::GeneralGlobal { system_title: read_title(cursor)?, protected: Protected::read(cursor)? })
            }
            tag::GENERAL_DED_CIPHERING => {
                Ok(Self::GeneralDedicated { system_title: read_title(cursor)?, protected: Protected::read(cursor)? })
            }
            tag::GENERAL_CIPHERING => Ok(Self::General {
                header: GeneralHeader::read(cursor)?,
                key: Option::read(cursor)?,
                protected: Protected::read(cursor)?,
            }),
            octet => match ServiceTag::new(octet) {
                Some(tag) => Ok(Self::Service { tag, protected: Protected::read(cursor)? }),
                None => Err(cursor.unexpected(at, "ciphered APDU", octet)),
            },
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Service { tag, protected } => {
                writer.u8(tag.octet())?;
                protected.write(writer)
            }
            Self::GeneralGlobal { system_title, protected } => {
                writer.u8(tag::GENERAL_GLO_CIPHERING)?;
                write_title(writer, *system_title)?;
                protected.write(writer)
            }
            Self::GeneralDedicated { system_title, protected } => {
                writer.u8(tag::GENERAL_DED_CIPHERING)?;
                write_title(writer, *system_title)?;
                protected.write(writer)
            }
            Self::General { header, key, protected } => {
                writer.u8(tag::GENERAL_CIPHERING)?;
                header.write(writer)?;
                key.write(writer)?;
                protected.write(writer)
            }
        }
    }
}

/// Eight octets, or none where the receiver knows the sender.
fn read_title(cursor: &mut Cursor<'_>) -> Result<Option<SystemTitle>, Refused> {
    const WHAT: &str = "system title";
    let at = cursor.offset();
    let octets = cursor.octet_string(WHAT)?;
    if octets.is_empty() {
        cursor.note(Deviation::EmptySystemTitle);
        return Ok(None);
    }
    match SystemTitle::from_slice(octets) {
        Some(title) => Ok(Some(title)),
        None => Err(cursor.refuse(at, DecodeErrorKind::InvalidLength { what: WHAT })),
    }
}

fn write_title(writer: &mut Writer<'_>, title: Option<SystemTitle>) -> Result<(), BufferFull> {
    writer.octet_string(title.as_ref().map_or(&[], |title| title.as_bytes().as_slice()))
}

/// General-signing: an APDU, plain or ciphered, with a digital signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralSigning<'a> {
    /// Who to whom.
    pub header: GeneralHeader<'a>,
    /// The APDU that is signed.
    pub content: &'a [u8],
    /// r and s of the signature; nothing where a MAC around it takes its place.
    pub signature: &'a [u8],
}

codec!(GeneralSigning<'a>);

impl<'a> Wire<'a> for GeneralSigning<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("general-signing", tag::GENERAL_SIGNING)?;
        Ok(Self {
            header: GeneralHeader::read(cursor)?,
            content: cursor.octet_string("signed content")?,
            signature: cursor.octet_string("signature")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::GENERAL_SIGNING)?;
        self.header.write(writer)?;
        writer.octet_string(self.content)?;
        writer.octet_string(self.signature)
    }
}
