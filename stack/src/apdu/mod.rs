//! xDLMS APDUs (IEC 62056-5-3): one type per service, and [`Apdu`] for any of them.
//!
//! Decoding borrows from the octets and takes no memory; encoding writes into a buffer of the caller's. The two
//! are inverse. Decoders accept the deviations that deployed meters show; [`Apdu::decode_with_deviations`] names
//! them and [`Apdu::decode_strict`] refuses them. Lengths and counts inside a `Data` are not judged.

mod access;
mod action;
mod block;
mod ciphered;
mod conformance;
mod descriptor;
mod exception;
mod gateway;
mod get;
mod initiate;
mod invoke;
mod list;
mod notification;
mod result;
mod set;
mod short_name;
pub mod tag;

pub use access::{AccessRequest, AccessResponse, AccessResult, AccessSpecification};
pub use action::{ActionRequest, ActionResponse, MethodResult};
pub use block::{BlockControl, BlockResult, DataBlock, GeneralBlockTransfer};
pub use ciphered::{Ciphered, GeneralHeader, GeneralSigning, KeyInfo, Protected};
pub use conformance::Conformance;
pub use descriptor::{
    AttributeDescriptor, AttributeRequest, MemberDescriptor, MethodDescriptor, MethodRequest, Selection,
};
pub use exception::{ConfirmedServiceError, ExceptionResponse, ServiceError, StateError};
pub use gateway::Gateway;
pub use get::{GetRequest, GetResponse};
pub use initiate::{DLMS_VERSION, InitiateRequest, InitiateResponse};
pub use invoke::{InvokeIdAndPriority, LongInvokeIdAndPriority};
pub use list::{Iter, List};
pub use notification::{DataNotification, DataNotificationConfirm, EventNotification};
pub use result::{ActionResult, DataAccessResult, GetDataResult};
pub use set::{SetRequest, SetResponse};
pub use short_name::{
    InformationReport, JoinedRead, ReadRequest, ReadResponse, ReadResult, UnconfirmedWriteRequest, VariableAccess,
    WriteRequest, WriteResponse, WriteResult,
};
pub use tag::ServiceTag;

use crate::acse::{self, Aare, Aarq, Rlre, Rlrq};
use crate::axdr::{BufferFull, DecodeError, Writer};
use crate::deviation::{Deviations, StrictError};
use crate::wire::{Cursor, Refused, Wire, decode_whole, measure};

/// Any APDU that travels over HDLC, the wrapper or a gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Apdu<'a> {
    /// AARQ: opens an association.
    Aarq(Aarq<'a>),
    /// AARE: answers an AARQ.
    Aare(Aare<'a>),
    /// RLRQ: ends an association.
    Rlrq(Rlrq<'a>),
    /// RLRE: answers an RLRQ.
    Rlre(Rlre<'a>),
    /// InitiateRequest, within an AARQ or RLRQ.
    InitiateRequest(InitiateRequest<'a>),
    /// InitiateResponse, within an AARE or RLRE.
    InitiateResponse(InitiateResponse),
    /// Get-Request.
    GetRequest(GetRequest<'a>),
    /// Get-Response.
    GetResponse(GetResponse<'a>),
    /// Set-Request.
    SetRequest(SetRequest<'a>),
    /// Set-Response.
    SetResponse(SetResponse<'a>),
    /// Action-Request.
    ActionRequest(ActionRequest<'a>),
    /// Action-Response.
    ActionResponse(ActionResponse<'a>),
    /// Access-Request.
    AccessRequest(AccessRequest<'a>),
    /// Access-Response.
    AccessResponse(AccessResponse<'a>),
    /// ReadRequest.
    ReadRequest(ReadRequest<'a>),
    /// ReadResponse.
    ReadResponse(ReadResponse<'a>),
    /// WriteRequest.
    WriteRequest(WriteRequest<'a>),
    /// WriteResponse.
    WriteResponse(WriteResponse<'a>),
    /// UnconfirmedWriteRequest.
    UnconfirmedWriteRequest(UnconfirmedWriteRequest<'a>),
    /// InformationReport.
    InformationReport(InformationReport<'a>),
    /// EventNotification.
    EventNotification(EventNotification<'a>),
    /// DataNotification.
    DataNotification(DataNotification<'a>),
    /// DataNotification-Confirm.
    DataNotificationConfirm(DataNotificationConfirm),
    /// ExceptionResponse.
    ExceptionResponse(ExceptionResponse),
    /// ConfirmedServiceError.
    ConfirmedServiceError(ConfirmedServiceError),
    /// General-block-transfer.
    GeneralBlockTransfer(GeneralBlockTransfer<'a>),
    /// General-signing.
    GeneralSigning(GeneralSigning<'a>),
    /// A ciphered APDU in any wrapper: glo-, ded-, general-glo-, general-ded-, general-ciphering.
    Ciphered(Ciphered<'a>),
    /// An APDU with a gateway's prefix.
    Gateway(Gateway<'a>),
}

impl<'a> Apdu<'a> {
    /// Decodes `bytes`, all of them; known deviations are accepted.
    ///
    /// # Errors
    /// [`DecodeError`] with the place and the reason.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with_deviations(bytes).map(|(apdu, _)| apdu)
    }

    /// Decodes `bytes` like [`Apdu::decode`] and says which deviations were met.
    ///
    /// # Errors
    /// [`DecodeError`] with the place and the reason.
    pub fn decode_with_deviations(bytes: &'a [u8]) -> Result<(Self, Deviations), DecodeError> {
        decode_whole(bytes)
    }

    /// Decodes `bytes` and refuses every deviation.
    ///
    /// # Errors
    /// [`StrictError`]: not understood, or understood and against the rules.
    pub fn decode_strict(bytes: &'a [u8]) -> Result<Self, StrictError> {
        let (apdu, deviations) = Self::decode_with_deviations(bytes)?;
        if deviations.is_empty() { Ok(apdu) } else { Err(StrictError::Deviates(deviations)) }
    }

    /// Writes the encoding.
    ///
    /// # Errors
    /// [`BufferFull`] when it does not fit.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.write(writer)
    }

    /// Octets of the encoding.
    ///
    /// # Errors
    /// [`BufferFull`] when a part is longer than any buffer.
    pub fn encoded_len(&self) -> Result<usize, BufferFull> {
        measure(|writer| self.write(writer))
    }

    /// The name of the APDU and its variant in kebab case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Aarq(_) => "aarq",
            Self::Aare(_) => "aare",
            Self::Rlrq(_) => "rlrq",
            Self::Rlre(_) => "rlre",
            Self::InitiateRequest(_) => "initiate-request",
            Self::InitiateResponse(_) => "initiate-response",
            Self::GetRequest(apdu) => apdu.name(),
            Self::GetResponse(apdu) => apdu.name(),
            Self::SetRequest(apdu) => apdu.name(),
            Self::SetResponse(apdu) => apdu.name(),
            Self::ActionRequest(apdu) => apdu.name(),
            Self::ActionResponse(apdu) => apdu.name(),
            Self::AccessRequest(_) => "access-request",
            Self::AccessResponse(_) => "access-response",
            Self::ReadRequest(_) => "read-request",
            Self::ReadResponse(_) => "read-response",
            Self::WriteRequest(_) => "write-request",
            Self::WriteResponse(_) => "write-response",
            Self::UnconfirmedWriteRequest(_) => "unconfirmed-write-request",
            Self::InformationReport(_) => "information-report-request",
            Self::EventNotification(_) => "event-notification-request",
            Self::DataNotification(_) => "data-notification",
            Self::DataNotificationConfirm(_) => "data-notification-confirm",
            Self::ExceptionResponse(_) => "exception-response",
            Self::ConfirmedServiceError(_) => "confirmed-service-error",
            Self::GeneralBlockTransfer(_) => "general-block-transfer",
            Self::GeneralSigning(_) => "general-signing",
            Self::Ciphered(apdu) => apdu.name(),
            Self::Gateway(Gateway { response: false, .. }) => "gateway-request",
            Self::Gateway(Gateway { response: true, .. }) => "gateway-response",
        }
    }
}

impl<'a> Wire<'a> for Apdu<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let first = { *cursor }.u8()?;
        Ok(match first {
            acse::AARQ => Self::Aarq(Wire::read(cursor)?),
            acse::AARE => Self::Aare(Wire::read(cursor)?),
            acse::RLRQ => Self::Rlrq(Wire::read(cursor)?),
            acse::RLRE => Self::Rlre(Wire::read(cursor)?),
            tag::INITIATE_REQUEST => Self::InitiateRequest(Wire::read(cursor)?),
            tag::INITIATE_RESPONSE => Self::InitiateResponse(Wire::read(cursor)?),
            tag::GET_REQUEST => Self::GetRequest(Wire::read(cursor)?),
            tag::GET_RESPONSE => Self::GetResponse(Wire::read(cursor)?),
            tag::SET_REQUEST => Self::SetRequest(Wire::read(cursor)?),
            tag::SET_RESPONSE => Self::SetResponse(Wire::read(cursor)?),
            tag::ACTION_REQUEST => Self::ActionRequest(Wire::read(cursor)?),
            tag::ACTION_RESPONSE => Self::ActionResponse(Wire::read(cursor)?),
            tag::ACCESS_REQUEST => Self::AccessRequest(Wire::read(cursor)?),
            tag::ACCESS_RESPONSE => Self::AccessResponse(Wire::read(cursor)?),
            tag::READ_REQUEST => Self::ReadRequest(Wire::read(cursor)?),
            tag::READ_RESPONSE => Self::ReadResponse(Wire::read(cursor)?),
            tag::WRITE_REQUEST => Self::WriteRequest(Wire::read(cursor)?),
            tag::WRITE_RESPONSE => Self::WriteResponse(Wire::read(cursor)?),
            tag::UNCONFIRMED_WRITE_REQUEST => Self::UnconfirmedWriteRequest(Wire::read(cursor)?),
            tag::INFORMATION_REPORT => Self::InformationReport(Wire::read(cursor)?),
            tag::EVENT_NOTIFICATION => Self::EventNotification(Wire::read(cursor)?),
            tag::DATA_NOTIFICATION => Self::DataNotification(Wire::read(cursor)?),
            tag::DATA_NOTIFICATION_CONFIRM => Self::DataNotificationConfirm(Wire::read(cursor)?),
            tag::EXCEPTION_RESPONSE => Self::ExceptionResponse(Wire::read(cursor)?),
            tag::CONFIRMED_SERVICE_ERROR => Self::ConfirmedServiceError(Wire::read(cursor)?),
            tag::GENERAL_BLOCK_TRANSFER => Self::GeneralBlockTransfer(Wire::read(cursor)?),
            tag::GENERAL_SIGNING => Self::GeneralSigning(Wire::read(cursor)?),
            tag::GENERAL_GLO_CIPHERING | tag::GENERAL_DED_CIPHERING | tag::GENERAL_CIPHERING => {
                Self::Ciphered(Wire::read(cursor)?)
            }
            tag::GATEWAY_REQUEST | tag::GATEWAY_RESPONSE => Self::Gateway(Wire::read(cursor)?),
            octet if ServiceTag::new(octet).is_some() => Self::Ciphered(Wire::read(cursor)?),
            octet => return Err(cursor.unexpected(cursor.offset(), "APDU", octet)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Aarq(apdu) => apdu.write(writer),
            Self::Aare(apdu) => apdu.write(writer),
            Self::Rlrq(apdu) => apdu.write(writer),
            Self::Rlre(apdu) => apdu.write(writer),
            Self::InitiateRequest(apdu) => apdu.write(writer),
            Self::InitiateResponse(apdu) => apdu.write(writer),
            Self::GetRequest(apdu) => apdu.write(writer),
            Self::GetResponse(apdu) => apdu.write(writer),
            Self::SetRequest(apdu) => apdu.write(writer),
            Self::SetResponse(apdu) => apdu.write(writer),
            Self::ActionRequest(apdu) => apdu.write(writer),
            Self::ActionResponse(apdu) => apdu.write(writer),
            Self::AccessRequest(apdu) => apdu.write(writer),
            Self::AccessResponse(apdu) => apdu.write(writer),
            Self::ReadRequest(apdu) => apdu.write(writer),
            Self::ReadResponse(apdu) => apdu.write(writer),
            Self::WriteRequest(apdu) => apdu.write(writer),
            Self::WriteResponse(apdu) => apdu.write(writer),
            Self::UnconfirmedWriteRequest(apdu) => apdu.write(writer),
            Self::InformationReport(apdu) => apdu.write(writer),
            Self::EventNotification(apdu) => apdu.write(writer),
            Self::DataNotification(apdu) => apdu.write(writer),
            Self::DataNotificationConfirm(apdu) => apdu.write(writer),
            Self::ExceptionResponse(apdu) => apdu.write(writer),
            Self::ConfirmedServiceError(apdu) => apdu.write(writer),
            Self::GeneralBlockTransfer(apdu) => apdu.write(writer),
            Self::GeneralSigning(apdu) => apdu.write(writer),
            Self::Ciphered(apdu) => apdu.write(writer),
            Self::Gateway(apdu) => apdu.write(writer),
        }
    }
}
