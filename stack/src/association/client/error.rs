//! What can go wrong for a client, by who must act.

use thiserror::Error;

use crate::acse::{AssociationResult, Diagnostic};
use crate::apdu::{ConfirmedServiceError, ExceptionResponse};
use crate::axdr::DecodeError;
use crate::deviation::Deviation;
use crate::link::LinkError;
use crate::security::SecurityError;

/// The caller broke the driving contract; nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// There is no association.
    #[error("not associated")]
    NotAssociated,
    /// An association is open or being opened already.
    #[error("an association is open already")]
    AlreadyOpen,
    /// A request is under way; one at a time.
    #[error("a request is under way")]
    RequestPending,
    /// An empty list of attributes or methods, or lists of different lengths.
    #[error("nothing was asked for, or the lists differ in length")]
    InvalidList,
    /// The server did not agree to this service.
    #[error("{service} was not negotiated")]
    NotNegotiated {
        /// The service, as the conformance block names it.
        service: &'static str,
    },
    /// The request is longer than the server accepts or the storage holds, and cannot be cut into blocks.
    #[error("the request is too long")]
    RequestTooLong,
    /// The reserved invocation counters are used up: reserve more.
    #[error("no invocation counter is left")]
    CounterExhausted,
    /// The keys do not fit the security suite, or ciphering was not configured where it is needed.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The link refused the request.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// The peer broke a rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// An answer of another kind than what was asked for.
    #[error("unexpected {found}")]
    UnexpectedApdu {
        /// The APDU that came.
        found: &'static str,
    },
    /// A list of results of another length than the list of requests.
    #[error("{found} results for {expected} requests")]
    ResultCount {
        /// Requests.
        expected: usize,
        /// Results.
        found: usize,
    },
    /// Not the block that comes next.
    #[error("block {found} instead of {expected}")]
    BlockNumber {
        /// The block that should have come.
        expected: u32,
        /// The block that came.
        found: u32,
    },
    /// A block without data that is not the last one: such blocks could come for ever.
    #[error("block {number} is empty and not the last")]
    EmptyBlock {
        /// Its number.
        number: u32,
    },
    /// The server accepted another application context than the proposed one.
    #[error("the server changed the application context")]
    ContextChanged,
    /// The server accepted another authentication mechanism than the proposed one, or none.
    #[error("the server changed the authentication mechanism")]
    MechanismChanged,
    /// High-level security without a challenge, or with an illegal one.
    #[error("the server's challenge is missing or illegal")]
    Challenge,
    /// No system title where one is needed, one of a wrong length, or another one than expected.
    #[error("the server's system title is missing or not the expected one")]
    SystemTitle,
    /// Accepted without an InitiateResponse.
    #[error("the server sent no InitiateResponse")]
    NoInitiateResponse,
    /// An InitiateResponse in clear inside a ciphered context.
    #[error("the InitiateResponse is not protected")]
    Unprotected,
}

/// Why an answer could not be had. The association stays, unless [`Event::Closed`](super::Event) follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server answered for the request as a whole. Not authenticated, even in a ciphered association.
    #[error("{0}")]
    Exception(ExceptionResponse),
    /// The server answered with a confirmed service error.
    #[error("{0}")]
    Service(ConfirmedServiceError),
    /// The answer could not be verified or is not protected well enough.
    #[error(transparent)]
    Security(SecurityError),
    /// The answer cannot be decoded.
    #[error(transparent)]
    Decode(DecodeError),
    /// The answer breaks a rule.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// An answer that has to be joined before it can be used is longer than the storage for it.
    #[error("the answer is longer than {limit} octets")]
    AnswerTooLong {
        /// Octets of the storage.
        limit: usize,
    },
    /// The answer can be understood, but deviates from the standard in a way that is not tolerated.
    #[error("deviates from the standard: {0}")]
    Deviates(Deviation),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// A further block could not be sent.
    #[error(transparent)]
    Usage(UsageError),
}

/// Why an association was not opened, or was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The link failed.
    #[error(transparent)]
    Link(LinkError),
    /// The server refused the association.
    #[error("association {result}: {diagnostic}")]
    Rejected {
        /// For good or for now.
        result: AssociationResult,
        /// Why.
        diagnostic: Diagnostic,
        /// What was wrong with the InitiateRequest, when the server says so.
        initiate: Option<ConfirmedServiceError>,
    },
    /// The server did not accept the client's HLS response.
    #[error("the server refused the HLS response")]
    HlsRefused,
    /// The server could not prove that it knows the keys: possibly not the meter it claims to be.
    #[error("the server failed to authenticate itself")]
    ServerNotAuthentic,
    /// Anything that can happen to a request, while opening.
    #[error(transparent)]
    Request(RequestError),
    /// The link was closed by the peer.
    #[error("closed by the peer")]
    ClosedByPeer,
}
