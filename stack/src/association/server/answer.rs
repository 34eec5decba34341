//! The response under construction: where it is written, how long it may get, how it is wrapped.

use core::ops::Range;

use crate::apdu::{ConfirmedServiceError, ExceptionResponse, ServiceError, StateError};
use crate::association::Referencing;
use crate::axdr::Writer;
use crate::security::HEADROOM;

/// No association, or not this service now.
pub(super) const SERVICE_NOT_ALLOWED: ExceptionResponse =
    ExceptionResponse { state: StateError::ServiceNotAllowed, service: ServiceError::OperationNotPossible };
/// Unknown, or not negotiated.
pub(super) const SERVICE_NOT_SUPPORTED: ExceptionResponse =
    ExceptionResponse { state: StateError::ServiceNotAllowed, service: ServiceError::ServiceNotSupported };
/// A known service that cannot be decoded.
pub(super) const OTHER_REASON: ExceptionResponse =
    ExceptionResponse { state: StateError::ServiceNotAllowed, service: ServiceError::OtherReason };
/// Even the shortest answer would be longer than the client takes, or than the buffer holds.
pub(super) const PDU_TOO_LONG: ExceptionResponse =
    ExceptionResponse { state: StateError::ServiceNotAllowed, service: ServiceError::PduTooLong };
/// Whatever is wrong with the protection: the client learns no more than that.
pub(super) const DECIPHERING_ERROR: ExceptionResponse =
    ExceptionResponse { state: StateError::ServiceNotAllowed, service: ServiceError::DecipheringError };

/// The invocation counter is below `floor`, the lowest acceptable one.
pub(super) const fn invocation_counter_error(floor: u32) -> ExceptionResponse {
    ExceptionResponse {
        state: StateError::ServiceNotAllowed,
        service: ServiceError::InvocationCounterError(Some(floor)),
    }
}

/// The ConfirmedServiceError that stands for an exception where objects are referred to by short names; `None` where the
/// exception itself is the answer: with logical names, and where it has to carry an invocation counter. `request` is the
/// tag of what is refused.
pub(super) fn service_error(
    referencing: Referencing,
    request: Option<u8>,
    exception: ExceptionResponse,
) -> Option<ConfirmedServiceError> {
    if referencing == Referencing::LogicalName {
        return None;
    }
    let service = match request {
        Some(0x05 | 0x25 | 0x45) => ConfirmedServiceError::READ,
        Some(0x06 | 0x26 | 0x46) => ConfirmedServiceError::WRITE,
        _ => ConfirmedServiceError::INITIATE,
    };
    // Before an association and for what is not supported one widespread server says the same: service-unsupported.
    let (class, value) = match exception.service {
        ServiceError::OperationNotPossible | ServiceError::ServiceNotSupported => (3, 2),
        ServiceError::PduTooLong => (3, 1),
        ServiceError::DecipheringError => (0, 6),
        ServiceError::InvocationCounterError(_) => return None,
        _ => (3, 0),
    };
    Some(ConfirmedServiceError { service, class, value })
}

/// One response APDU, written in place with room in front for a ciphering header and behind for a tag.
#[derive(Debug)]
pub(super) struct Answer<'b> {
    buffer: &'b mut [u8],
    /// Most octets that the plain APDU may have.
    limit: usize,
    /// Most octets that it may have to go out as one APDU.
    block_limit: usize,
    /// Octets of ciphering around it.
    overhead: usize,
    /// Whether it may be sent in general blocks.
    general: bool,
    /// The plain APDU in `buffer`; empty while there is none.
    plain: Range<usize>,
    /// Sent in clear even inside a ciphered association: exceptions.
    clear: bool,
}

impl<'b> Answer<'b> {
    /// An empty answer of at most `limit` octets plus `overhead` for ciphering, whatever `buffer` holds.
    pub(super) fn new(buffer: &'b mut [u8], limit: usize, overhead: usize) -> Self {
        let room = buffer.len().saturating_sub(HEADROOM).saturating_sub(overhead);
        let limit = limit.saturating_sub(overhead).min(room);
        Self { buffer, limit, block_limit: limit, overhead, general: false, plain: 0..0, clear: false }
    }

    /// Most octets that the plain APDU may have.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Lets the answer have `limit` octets, ciphering included, because it can be sent in blocks.
    pub(super) fn widen(&mut self, limit: usize) {
        let room = self.buffer.len().saturating_sub(HEADROOM).saturating_sub(self.overhead);
        self.limit = limit.saturating_sub(self.overhead).min(room);
        self.block_limit = self.block_limit.min(self.limit);
        self.general = true;
    }

    /// Most octets that the plain APDU may have to go out as one APDU: one that carries a block of a value.
    pub(super) const fn block_limit(&self) -> usize {
        self.block_limit
    }

    /// Whether it may be sent in general blocks that are read one by one: in clear.
    pub(super) const fn can_be_read_on(&self) -> bool {
        self.general && self.overhead == 0
    }

    /// Room for a body of at most `limit` octets behind a header of at most `header_max`.
    pub(super) fn body(&mut self, header_max: usize, limit: usize) -> &mut [u8] {
        let start = HEADROOM.saturating_add(header_max);
        let end = start.saturating_add(limit).min(self.buffer.len());
        self.buffer.get_mut(start..end).unwrap_or_default()
    }

    /// Puts `header` right in front of a body of `length` octets that [`body`](Self::body) was filled with.
    pub(super) fn finish(&mut self, header: &[u8], header_max: usize, length: usize) {
        let body = HEADROOM.saturating_add(header_max);
        let start = body.saturating_sub(header.len());
        if let Some(room) = self.buffer.get_mut(start..body) {
            room.copy_from_slice(header);
            self.plain = start..body.saturating_add(length);
        }
    }

    /// The whole plain APDU at once; nothing if it does not fit, which no fixed answer comes near to.
    pub(super) fn write(&mut self, apdu: &[u8]) {
        self.encode(|out| out.bytes(apdu));
    }

    /// The whole plain APDU, encoded in place. Returns whether it fitted.
    pub(super) fn encode<E>(&mut self, encode: impl FnOnce(&mut Writer<'_>) -> Result<(), E>) -> bool {
        let end = HEADROOM.saturating_add(self.limit).min(self.buffer.len());
        let mut out = Writer::new(self.buffer.get_mut(HEADROOM..end).unwrap_or_default());
        let fitted = encode(&mut out).is_ok();
        if fitted {
            self.plain = HEADROOM..HEADROOM.saturating_add(out.len());
        }
        fitted
    }

    /// Answers for the APDU as a whole, in clear.
    pub(super) fn exception(&mut self, exception: ExceptionResponse) {
        self.clear = true;
        self.encode(|out| exception.encode(out));
    }

    /// Answers for the APDU as a whole, as the referencing of the association has it.
    pub(super) fn refuse(&mut self, referencing: Referencing, request: Option<u8>, exception: ExceptionResponse) {
        match service_error(referencing, request, exception) {
            Some(error) => {
                self.encode(|out| error.encode(out));
            }
            None => self.exception(exception),
        }
    }

    /// Whether the answer goes out in clear although the request was protected.
    pub(super) const fn is_clear(&self) -> bool {
        self.clear
    }

    /// The plain APDU's place in the buffer; empty when there is nothing to send.
    pub(super) fn plain(&self) -> Range<usize> {
        self.plain.clone()
    }

    /// The buffer, to protect the plain APDU in place.
    pub(super) fn buffer(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// Nothing is to be sent.
    pub(super) fn clear(&mut self) {
        self.plain = 0..0;
    }
}
