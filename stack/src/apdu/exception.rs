//! ExceptionResponse and ConfirmedServiceError: a request that was not served at all.

use core::fmt;

use crate::axdr::{BufferFull, Writer};
use crate::deviation::Deviation;
use crate::wire::{Cursor, Refused, Wire, codec};

use super::tag;

/// What state forbade the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateError {
    /// 1: known, but not allowed in this state or association.
    ServiceNotAllowed,
    /// 2: not known.
    ServiceUnknown,
    /// A code that the standard does not have.
    Other(u8),
}

impl StateError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::ServiceNotAllowed => 1,
            Self::ServiceUnknown => 2,
            Self::Other(code) => code,
        }
    }
}

impl From<u8> for StateError {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::ServiceNotAllowed,
            2 => Self::ServiceUnknown,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceNotAllowed => f.write_str("service-not-allowed"),
            Self::ServiceUnknown => f.write_str("service-unknown"),
            Self::Other(code) => write!(f, "state-error {code}"),
        }
    }
}

/// What was wrong with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceError {
    /// 1
    OperationNotPossible,
    /// 2
    ServiceNotSupported,
    /// 3
    OtherReason,
    /// 4: longer than the negotiated size.
    PduTooLong,
    /// 5: the tag, the key or the protection is wrong.
    DecipheringError,
    /// 6: the invocation counter is too low; carries the lowest one that the sender accepts. Older editions
    /// have no counter here.
    InvocationCounterError(Option<u32>),
    /// A code that the standard does not have.
    Other(u8),
}

impl ServiceError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::OperationNotPossible => 1,
            Self::ServiceNotSupported => 2,
            Self::OtherReason => 3,
            Self::PduTooLong => 4,
            Self::DecipheringError => 5,
            Self::InvocationCounterError(_) => 6,
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OperationNotPossible => f.write_str("operation-not-possible"),
            Self::ServiceNotSupported => f.write_str("service-not-supported"),
            Self::OtherReason => f.write_str("other-reason"),
            Self::PduTooLong => f.write_str("pdu-too-long"),
            Self::DecipheringError => f.write_str("deciphering-error"),
            Self::InvocationCounterError(Some(counter)) => write!(f, "invocation-counter-error ({counter})"),
            Self::InvocationCounterError(None) => f.write_str("invocation-counter-error"),
            Self::Other(code) => write!(f, "service-error {code}"),
        }
    }
}

/// ExceptionResponse: answers the outstanding request, as it has no invoke-id. It is normally sent in clear and
/// then proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExceptionResponse {
    /// What state forbade the service.
    pub state: StateError,
    /// What was wrong with the request.
    pub service: ServiceError,
}

impl fmt::Display for ExceptionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.state, self.service)
    }
}

codec!(ExceptionResponse);

impl Wire<'_> for ExceptionResponse {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        cursor.require("exception-response", tag::EXCEPTION_RESPONSE)?;
        let state = cursor.u8()?.into();
        let service = match cursor.u8()? {
            1 => ServiceError::OperationNotPossible,
            2 => ServiceError::ServiceNotSupported,
            3 => ServiceError::OtherReason,
            4 => ServiceError::PduTooLong,
            5 => ServiceError::DecipheringError,
            6 if cursor.remaining() >= 4 => ServiceError::InvocationCounterError(Some(cursor.u32()?)),
            6 => {
                cursor.note(Deviation::MissingCounter);
                ServiceError::InvocationCounterError(None)
            }
            other => ServiceError::Other(other),
        };
        ignore_tail(cursor)?;
        Ok(Self { state, service })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.bytes(&[tag::EXCEPTION_RESPONSE, self.state.code(), self.service.code()])?;
        match self.service {
            ServiceError::InvocationCounterError(Some(counter)) => writer.u32(counter),
            _ => Ok(()),
        }
    }
}

/// An error is an error whatever follows it.
fn ignore_tail(cursor: &mut Cursor<'_>) -> Result<(), Refused> {
    if !cursor.is_empty() {
        cursor.note(Deviation::TrailingOctets);
        let tail = cursor.remaining();
        cursor.bytes(tail)?;
    }
    Ok(())
}

/// ConfirmedServiceError: refuses an Initiate, a Read or a Write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfirmedServiceError {
    /// Which service: 1 initiate, 5 read, 6 write; the others are legacy.
    pub service: u8,
    /// Class of the error; see [`ConfirmedServiceError::class_name`].
    pub class: u8,
    /// The error within the class; see [`ConfirmedServiceError::reason`].
    pub value: u8,
}

impl ConfirmedServiceError {
    /// `service` of an InitiateRequest.
    pub const INITIATE: u8 = 1;
    /// `service` of a ReadRequest.
    pub const READ: u8 = 5;
    /// `service` of a WriteRequest.
    pub const WRITE: u8 = 6;

    /// The Initiate was refused for a reason of its own.
    pub const INITIATE_OTHER: Self = Self { service: Self::INITIATE, class: 6, value: 0 };
    /// The DLMS version is below 6.
    pub const VERSION_TOO_LOW: Self = Self { service: Self::INITIATE, class: 6, value: 1 };
    /// No common bit in the conformance blocks.
    pub const INCOMPATIBLE_CONFORMANCE: Self = Self { service: Self::INITIATE, class: 6, value: 2 };
    /// The client's receive size is too small.
    pub const PDU_SIZE_TOO_SHORT: Self = Self { service: Self::INITIATE, class: 6, value: 3 };
    /// The virtual distribution equipment's handler refused.
    pub const REFUSED_BY_VDE_HANDLER: Self = Self { service: Self::INITIATE, class: 6, value: 4 };
    /// The Initiate could not be deciphered.
    pub const DECIPHERING_ERROR: Self = Self { service: Self::INITIATE, class: 0, value: 6 };

    /// Name of the class.
    #[must_use]
    pub const fn class_name(self) -> Option<&'static str> {
        Some(match self.class {
            0 => "application-reference",
            1 => "hardware-resource",
            2 => "vde-state-error",
            3 => "service",
            4 => "definition",
            5 => "access",
            6 => "initiate",
            7 => "load-data-set",
            8 => "change-scope",
            9 => "task",
            _ => return None,
        })
    }

    /// Name of the error within its class.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        Some(match (self.class, self.value) {
            (0..=6, 0) => "other",
            (0, 1) => "time-elapsed",
            (0, 2) => "application-unreachable",
            (0, 3) => "application-reference-invalid",
            (0, 4) => "application-context-unsupported",
            (0, 5) => "provider-communication-error",
            (0, 6) => "deciphering-error",
            (1, 1) => "memory-unavailable",
            (1, 2) => "processor-resource-unavailable",
            (1, 3) => "mass-storage-unavailable",
            (1, 4) => "other-resource-unavailable",
            (2, 1) => "no-dlms-context",
            (2, 2) => "loading-data-set",
            (2, 3) => "status-nochange",
            (2, 4) => "status-inoperable",
            (3, 1) => "pdu-size",
            (3, 2) => "service-unsupported",
            (4, 1) => "object-undefined",
            (4, 2) => "object-class-inconsistent",
            (4, 3) => "object-attribute-inconsistent",
            (5, 1) => "scope-of-access-violated",
            (5, 2) => "object-access-violated",
            (5, 3) => "hardware-fault",
            (5, 4) => "object-unavailable",
            (6, 1) => "dlms-version-too-low",
            (6, 2) => "incompatible-conformance",
            (6, 3) => "pdu-size-too-short",
            (6, 4) => "refused-by-the-vde-handler",
            _ => return None,
        })
    }
}

impl fmt::Display for ConfirmedServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service {
            Self::INITIATE => f.write_str("initiate: ")?,
            Self::READ => f.write_str("read: ")?,
            Self::WRITE => f.write_str("write: ")?,
            other => write!(f, "service {other}: ")?,
        }
        match (self.class_name(), self.reason()) {
            (Some(class), Some(reason)) => write!(f, "{class}, {reason}"),
            (Some(class), None) => write!(f, "{class}, error {}", self.value),
            (None, _) => write!(f, "error {} of class {}", self.value, self.class),
        }
    }
}

codec!(ConfirmedServiceError);

impl Wire<'_> for ConfirmedServiceError {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        cursor.require("confirmed-service-error", tag::CONFIRMED_SERVICE_ERROR)?;
        let [service, class, value] = cursor.array()?;
        ignore_tail(cursor)?;
        Ok(Self { service, class, value })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.bytes(&[tag::CONFIRMED_SERVICE_ERROR, self.service, self.class, self.value])
    }
}
