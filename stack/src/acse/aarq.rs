//! AARQ: the request to open an association.

use core::fmt;

use crate::axdr::{BufferFull, Writer};
use crate::deviation::Deviation;
use crate::wire::{Cursor, Refused, Wire, codec};

use super::{AARQ, ApplicationContext, Mechanism, ber};

/// ACSE protocol-version, a BIT STRING: bit 0 is version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProtocolVersion {
    /// The first eight bits, version 1 in the highest.
    pub bits: u8,
    /// How many of them are unused, 0 to 7.
    pub unused: u8,
}

impl ProtocolVersion {
    /// Version 1, the only one there is.
    pub const VERSION_1: Self = Self { bits: 0x80, unused: 7 };

    /// Whether version 1 is among the versions offered.
    #[must_use]
    pub const fn includes_version_1(self) -> bool {
        self.bits & 0x80 != 0
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        let (bits, unused) = ber::bit_string(cursor, "protocol version")?;
        let version = Self { bits, unused };
        if version != Self::VERSION_1 {
            cursor.note(Deviation::ProtocolVersion);
        }
        Ok(version)
    }

    pub(super) fn write(self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        ber::bit_string_field(writer, 0x80, self.bits, self.unused)
    }
}

/// Authentication-value: a password or a challenge.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthenticationValue<'a> {
    /// `charstring`, which everybody sends.
    Charstring(&'a [u8]),
    /// `bitstring` of whole octets.
    Bitstring(&'a [u8]),
}

impl<'a> AuthenticationValue<'a> {
    /// The octets, whichever form they came in.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Charstring(octets) | Self::Bitstring(octets) => octets,
        }
    }

    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        const WHAT: &str = "authentication value";
        let at = cursor.offset();
        match cursor.u8()? {
            0x80 => cursor.octet_string(WHAT).map(Self::Charstring),
            0x81 => {
                let length = cursor.length(WHAT)?;
                cursor.bounded(length, |cursor| {
                    cursor.require("unused bits of the authentication value", 0)?;
                    let octets = cursor.remaining();
                    cursor.bytes(octets).map(Self::Bitstring)
                })
            }
            found => Err(cursor.unexpected(at, WHAT, found)),
        }
    }

    pub(super) fn write_field(self, writer: &mut Writer<'_>, tag: u8) -> Result<(), BufferFull> {
        ber::field(writer, tag, &|writer| match self {
            Self::Charstring(octets) => {
                writer.u8(0x80)?;
                writer.octet_string(octets)
            }
            Self::Bitstring(octets) => {
                writer.u8(0x81)?;
                writer.length(octets.len().saturating_add(1))?;
                writer.u8(0)?;
                writer.bytes(octets)
            }
        })
    }
}

/// Prints the length only: the octets may be a password.
impl fmt::Debug for AuthenticationValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthenticationValue({} octets)", self.as_bytes().len())
    }
}

/// AARQ: a client asks to open an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aarq<'a> {
    /// ACSE version; absent means version 1.
    pub protocol_version: Option<ProtocolVersion>,
    /// Logical or short names, ciphered or not.
    pub context: ApplicationContext,
    /// Title of the server, rarely sent.
    pub called_ap_title: Option<&'a [u8]>,
    /// Qualifier of the server, rarely sent.
    pub called_ae_qualifier: Option<&'a [u8]>,
    /// Invocation of the server's process, rarely sent.
    pub called_ap_invocation_id: Option<i32>,
    /// Invocation of the server's entity, rarely sent.
    pub called_ae_invocation_id: Option<i32>,
    /// System title of the client.
    pub calling_ap_title: Option<&'a [u8]>,
    /// Certificate of the client (security suites 1 and 2).
    pub calling_ae_qualifier: Option<&'a [u8]>,
    /// Invocation of the client's process, rarely sent.
    pub calling_ap_invocation_id: Option<i32>,
    /// Invocation of the client's entity: the user id, see [`Aarq::user_id`].
    pub calling_ae_invocation_id: Option<i32>,
    /// Sender-acse-requirements: whether the authentication unit is asked for.
    pub authentication: Option<bool>,
    /// How the client wants to be authenticated.
    pub mechanism: Option<Mechanism>,
    /// Password or challenge of the client.
    pub authentication_value: Option<AuthenticationValue<'a>>,
    /// Implementation-information, rarely sent.
    pub implementation_information: Option<&'a [u8]>,
    /// An InitiateRequest, plain or ciphered.
    pub user_information: Option<&'a [u8]>,
}

impl<'a> Aarq<'a> {
    /// A request without authentication.
    #[must_use]
    pub const fn new(context: ApplicationContext, user_information: &'a [u8]) -> Self {
        Self {
            protocol_version: None,
            context,
            called_ap_title: None,
            called_ae_qualifier: None,
            called_ap_invocation_id: None,
            called_ae_invocation_id: None,
            calling_ap_title: None,
            calling_ae_qualifier: None,
            calling_ap_invocation_id: None,
            calling_ae_invocation_id: None,
            authentication: None,
            mechanism: None,
            authentication_value: None,
            implementation_information: None,
            user_information: Some(user_information),
        }
    }

    /// The same request with the three fields that authentication takes.
    #[must_use]
    pub const fn with_authentication(self, mechanism: Mechanism, value: &'a [u8]) -> Self {
        Self {
            authentication: Some(true),
            mechanism: Some(mechanism),
            authentication_value: Some(AuthenticationValue::Charstring(value)),
            ..self
        }
    }

    /// The user id (an entry of an association's `user_list`) in calling-AE-invocation-id.
    ///
    /// Ids from 128 are accepted in one octet too, which BER reads as negative.
    #[must_use]
    pub fn user_id(&self) -> Option<u8> {
        match self.calling_ae_invocation_id {
            Some(id @ 0..=255) => u8::try_from(id).ok(),
            Some(id @ -128..0) => i8::try_from(id).ok().map(i8::cast_unsigned),
            _ => None,
        }
    }

    /// Whether version 1 of ACSE is acceptable to the client.
    #[must_use]
    pub const fn accepts_version_1(&self) -> bool {
        match self.protocol_version {
            Some(version) => version.includes_version_1(),
            None => true,
        }
    }
}

codec!(Aarq<'a>);

impl<'a> Wire<'a> for Aarq<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let start = cursor.offset();
        let mut context = None;
        let mut aarq = Self { user_information: None, ..Self::new(ApplicationContext::LogicalName, &[]) };
        ber::read_fields(cursor, "AARQ", AARQ, &mut |cursor, tag| {
            match tag {
                0x80 => aarq.protocol_version = Some(ProtocolVersion::read(cursor)?),
                0xA1 => context = Some(ApplicationContext::read(cursor)?),
                0xA2 => aarq.called_ap_title = Some(ber::octet_string(cursor, "called-AP-title")?),
                0xA3 => aarq.called_ae_qualifier = Some(ber::octet_string(cursor, "called-AE-qualifier")?),
                0xA4 => aarq.called_ap_invocation_id = Some(ber::integer(cursor, "called-AP-invocation-id")?),
                0xA5 => aarq.called_ae_invocation_id = Some(ber::integer(cursor, "called-AE-invocation-id")?),
                0xA6 => aarq.calling_ap_title = Some(ber::octet_string(cursor, "calling-AP-title")?),
                0xA7 => aarq.calling_ae_qualifier = Some(ber::octet_string(cursor, "calling-AE-qualifier")?),
                0xA8 => aarq.calling_ap_invocation_id = Some(ber::integer(cursor, "calling-AP-invocation-id")?),
                0xA9 => aarq.calling_ae_invocation_id = Some(ber::integer(cursor, "calling-AE-invocation-id")?),
                0x8A => aarq.authentication = Some(read_requirements(cursor)?),
                0x8B => aarq.mechanism = Some(Mechanism::read(cursor)?),
                0xAC => aarq.authentication_value = Some(AuthenticationValue::read(cursor)?),
                0xBD => aarq.implementation_information = Some(rest(cursor)?),
                ber::USER_INFORMATION => aarq.user_information = Some(ber::user_information(cursor)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        aarq.context = context.ok_or_else(|| ber::missing(cursor, start, "application context name of AARQ"))?;
        Ok(aarq)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        ber::field(writer, AARQ, &|writer| {
            if let Some(version) = self.protocol_version {
                version.write(writer)?;
            }
            ber::field(writer, 0xA1, &|writer| self.context.write(writer))?;
            ber::octet_string_field(writer, 0xA2, self.called_ap_title)?;
            ber::octet_string_field(writer, 0xA3, self.called_ae_qualifier)?;
            ber::integer_field(writer, 0xA4, self.called_ap_invocation_id)?;
            ber::integer_field(writer, 0xA5, self.called_ae_invocation_id)?;
            ber::octet_string_field(writer, 0xA6, self.calling_ap_title)?;
            ber::octet_string_field(writer, 0xA7, self.calling_ae_qualifier)?;
            ber::integer_field(writer, 0xA8, self.calling_ap_invocation_id)?;
            ber::integer_field(writer, 0xA9, self.calling_ae_invocation_id)?;
            write_authentication(writer, 0x8A, self.authentication, self.mechanism, self.authentication_value)?;
            write_end(writer, self.implementation_information, self.user_information)
        })
    }
}

/// Reads an acse-requirements field: whether the authentication functional unit is asked for.
pub(super) fn read_requirements(cursor: &mut Cursor<'_>) -> Result<bool, Refused> {
    ber::bit_string(cursor, "acse-requirements").map(|(bits, _)| bits & 0x80 != 0)
}

/// Takes what is left of a field.
pub(super) fn rest<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Refused> {
    let length = cursor.remaining();
    cursor.bytes(length)
}

/// Writes acse-requirements, mechanism name and authentication value: three fields whose tags follow each other,
/// from `first` on, in AARQ and AARE alike.
pub(super) fn write_authentication(
    writer: &mut Writer<'_>,
    first: u8,
    requirements: Option<bool>,
    mechanism: Option<Mechanism>,
    value: Option<AuthenticationValue<'_>>,
) -> Result<(), BufferFull> {
    if let Some(requirements) = requirements {
        ber::bit_string_field(writer, first, if requirements { 0x80 } else { 0x00 }, 7)?;
    }
    if let Some(mechanism) = mechanism {
        writer.u8(first.wrapping_add(1))?;
        writer.octet_string(mechanism.identifier().as_bytes())?;
    }
    match value {
        Some(value) => value.write_field(writer, first.wrapping_add(2) | 0x20),
        None => Ok(()),
    }
}

/// Writes the two fields that end AARQ and AARE.
pub(super) fn write_end(
    writer: &mut Writer<'_>,
    implementation: Option<&[u8]>,
    user: Option<&[u8]>,
) -> Result<(), BufferFull> {
    if let Some(octets) = implementation {
        writer.u8(0xBD)?;
        writer.octet_string(octets)?;
    }
    ber::octet_string_field(writer, ber::USER_INFORMATION, user)
}
