//! Initiate: what both sides can do, carried in the user-information of AARQ and AARE.

use core::fmt;

use crate::axdr::{BufferFull, Writer};
use crate::deviation::Deviation;
use crate::wire::{Cursor, Refused, Wire, codec};

use super::{Conformance, tag};

/// The only version of xDLMS there is.
pub const DLMS_VERSION: u8 = 6;

/// InitiateRequest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InitiateRequest<'a> {
    /// Key for this association; allowed only where this APDU travels ciphered.
    pub dedicated_key: Option<&'a [u8]>,
    /// Whether the server answers; false only in unconfirmed associations.
    pub response_allowed: bool,
    /// Not used by DLMS; any value is accepted.
    pub quality_of_service: Option<i8>,
    /// [`DLMS_VERSION`].
    pub version: u8,
    /// What the client would like to use.
    pub conformance: Conformance,
    /// Octets of the largest APDU that the client takes; 0 for no limit.
    pub max_receive_pdu: u16,
}

impl InitiateRequest<'_> {
    /// A request for `conformance` that takes answers of up to `max_receive_pdu` octets.
    #[must_use]
    pub const fn new(conformance: Conformance, max_receive_pdu: u16) -> Self {
        Self {
            dedicated_key: None,
            response_allowed: true,
            quality_of_service: None,
            version: DLMS_VERSION,
            conformance,
            max_receive_pdu,
        }
    }
}

/// Prints whether there is a dedicated key, never the key.
impl fmt::Debug for InitiateRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitiateRequest")
            .field("dedicated_key", &self.dedicated_key.map(|_| "redacted"))
            .field("response_allowed", &self.response_allowed)
            .field("quality_of_service", &self.quality_of_service)
            .field("version", &self.version)
            .field("conformance", &self.conformance)
            .field("max_receive_pdu", &self.max_receive_pdu)
            .finish()
    }
}

codec!(InitiateRequest<'a>);

impl<'a> Wire<'a> for InitiateRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("initiate-request", tag::INITIATE_REQUEST)?;
        let dedicated_key = if cursor.present()? { Some(cursor.octet_string("dedicated key")?) } else { None };
        let response_allowed = if cursor.present()? {
            let allowed = cursor.boolean()?;
            if allowed {
                cursor.note(Deviation::ExplicitDefault);
            }
            allowed
        } else {
            true
        };
        Ok(Self {
            dedicated_key,
            response_allowed,
            quality_of_service: read_quality(cursor)?,
            version: cursor.u8()?,
            conformance: Conformance::read(cursor)?,
            max_receive_pdu: cursor.u16()?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::INITIATE_REQUEST)?;
        writer.present(self.dedicated_key.is_some())?;
        if let Some(key) = self.dedicated_key {
            writer.octet_string(key)?;
        }
        writer.present(!self.response_allowed)?;
        if !self.response_allowed {
            writer.u8(0)?;
        }
        write_quality(writer, self.quality_of_service)?;
        writer.u8(self.version)?;
        self.conformance.write(writer)?;
        writer.u16(self.max_receive_pdu)
    }
}

/// InitiateResponse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitiateResponse {
    /// Not used by DLMS; any value is accepted.
    pub quality_of_service: Option<i8>,
    /// [`DLMS_VERSION`].
    pub version: u8,
    /// What the association may use.
    pub conformance: Conformance,
    /// Octets of the largest APDU that the server takes; 0 for no limit.
    pub max_receive_pdu: u16,
    /// 0007 for logical names, the base name of the association object (FA00) for short names. Some meters
    /// send anything, so the context name decides, not this.
    pub vaa_name: u16,
}

impl InitiateResponse {
    /// `vaa_name` of an association with logical names.
    pub const VAA_LOGICAL_NAME: u16 = 0x0007;
    /// `vaa_name` of an association with short names.
    pub const VAA_SHORT_NAME: u16 = 0xFA00;
}

codec!(InitiateResponse);

impl Wire<'_> for InitiateResponse {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        cursor.require("initiate-response", tag::INITIATE_RESPONSE)?;
        Ok(Self {
            quality_of_service: read_quality(cursor)?,
            version: cursor.u8()?,
            conformance: Conformance::read(cursor)?,
            max_receive_pdu: cursor.u16()?,
            vaa_name: cursor.u16()?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::INITIATE_RESPONSE)?;
        write_quality(writer, self.quality_of_service)?;
        writer.u8(self.version)?;
        self.conformance.write(writer)?;
        writer.u16(self.max_receive_pdu)?;
        writer.u16(self.vaa_name)
    }
}

fn read_quality(cursor: &mut Cursor<'_>) -> Result<Option<i8>, Refused> {
    if cursor.present()? { cursor.i8().map(Some) } else { Ok(None) }
}

fn write_quality(writer: &mut Writer<'_>, quality: Option<i8>) -> Result<(), BufferFull> {
    writer.present(quality.is_some())?;
    quality.map_or(Ok(()), |quality| writer.i8(quality))
}
