//! What the stack and the transports say, in the words of an operation's result.

use dlms::{
    acse::{AssociationResult, Diagnostic, ServiceUserDiagnostic},
    apdu::{ConfirmedServiceError, ExceptionResponse, ServiceError},
    association::client::{ConnectionError, ProtocolError, RequestError as StackError, UsageError},
    link::LinkError,
};

use super::{driver::DriveError, transport::TransportError};
use crate::operation::{Layer, MeterAnswer, RequestError, RequestErrorKind as Kind};

/// An error that cannot be about one object.
pub(super) fn head_end(kind: Kind, message: impl Into<String>) -> RequestError {
    RequestError::new(kind, Layer::HeadEnd, message)
}

/// The deadline passed.
pub(super) fn expired(doing: &str) -> RequestError {
    head_end(Kind::Expired, format!("the deadline passed {doing}"))
}

pub(super) fn from_transport(error: TransportError) -> RequestError {
    RequestError::new(Kind::Unreachable, Layer::Link, error.to_string()).with_source(error)
}

pub(super) fn from_drive(error: DriveError, doing: &str) -> RequestError {
    match error {
        DriveError::Closed(error) => from_connection(error, doing),
        DriveError::Transport(error) => from_transport(error),
        DriveError::Deadline => expired(doing),
        DriveError::Counters(error) => error,
    }
}

/// An association that was not opened, or was lost.
pub(super) fn from_connection(error: ConnectionError, doing: &str) -> RequestError {
    let security = |message: &str| RequestError::new(Kind::SecurityFailed, Layer::Security, message);
    let mapped = match error {
        ConnectionError::Link(link) => from_link(link),
        ConnectionError::Rejected { result, diagnostic, initiate } => rejected(result, diagnostic, initiate),
        ConnectionError::HlsRefused => security("the meter refused the proof of our identity"),
        ConnectionError::ServerNotAuthentic => security("the meter could not prove that it knows the keys"),
        ConnectionError::Request(request) => return from_stack(request),
        ConnectionError::ClosedByPeer => {
            RequestError::new(Kind::Unreachable, Layer::Link, format!("the meter closed the connection {doing}"))
        }
        other => RequestError::new(Kind::Protocol, Layer::Association, other.to_string()),
    };
    mapped.with_source(error)
}

fn rejected(
    result: AssociationResult,
    diagnostic: Diagnostic,
    initiate: Option<ConfirmedServiceError>,
) -> RequestError {
    use ServiceUserDiagnostic as User;
    let credentials = match diagnostic {
        Diagnostic::ServiceUser(user) => matches!(
            user,
            User::AuthenticationFailure
                | User::AuthenticationRequired
                | User::MechanismNameNotRecognised
                | User::MechanismNameRequired
                | User::CallingApTitleNotRecognized
        ),
        _ => false,
    };
    let deciphering = initiate == Some(ConfirmedServiceError::DECIPHERING_ERROR);
    let (kind, layer) = match credentials || deciphering {
        true => (Kind::SecurityFailed, Layer::Security),
        false => (Kind::MeterRefused, Layer::Association),
    };
    let because = initiate.map(|error| format!(" ({error})")).unwrap_or_default();
    let message = format!("the meter refused the association: {result}, {diagnostic}{because}");
    let code = match diagnostic {
        Diagnostic::ServiceUser(user) => user.code(),
        Diagnostic::ServiceProvider(provider) => provider.code(),
    };
    let answer = MeterAnswer::Association { result: result.code(), diagnostic: code };
    RequestError::new(kind, layer, message).with_answer(answer).with_sent(true)
}

fn from_link(error: LinkError) -> RequestError {
    let kind = match error {
        LinkError::UnsupportedVersion { .. } | LinkError::Oversize { .. } | LinkError::FrameRejected { .. } => {
            Kind::Protocol
        }
        LinkError::ApduTooLong { .. } => Kind::InvalidRequest,
        _ => Kind::Unreachable,
    };
    RequestError::new(kind, Layer::Link, error.to_string())
}

/// A request that got no usable answer.
pub(super) fn from_stack(error: StackError) -> RequestError {
    let mapped = match error {
        StackError::Exception(exception) => from_exception(exception),
        StackError::Service(service) => from_service(service),
        StackError::Security(security) => {
            RequestError::new(Kind::SecurityFailed, Layer::Security, format!("the answer was refused: {security}"))
        }
        StackError::Decode(decode) => {
            RequestError::new(Kind::Protocol, Layer::Association, format!("the answer cannot be decoded: {decode}"))
        }
        StackError::Protocol(protocol) => from_protocol(protocol),
        StackError::TimedOut => RequestError::new(Kind::Unreachable, Layer::Link, "the meter did not answer in time"),
        StackError::Usage(usage) => return from_usage(usage),
        other => RequestError::new(Kind::Protocol, Layer::Association, other.to_string()),
    };
    mapped.with_source(error)
}

fn from_protocol(error: ProtocolError) -> RequestError {
    // Each of these is what somebody would do who wants weaker protection, or to be taken for the meter.
    let (kind, layer) = match error {
        ProtocolError::ContextChanged
        | ProtocolError::MechanismChanged
        | ProtocolError::Challenge
        | ProtocolError::SystemTitle
        | ProtocolError::Unprotected => (Kind::SecurityFailed, Layer::Security),
        _ => (Kind::Protocol, Layer::Association),
    };
    RequestError::new(kind, layer, error.to_string())
}

fn from_exception(exception: ExceptionResponse) -> RequestError {
    let answer = MeterAnswer::Exception { state: exception.state.code(), service: exception.service.code() };
    match exception.service {
        ServiceError::DecipheringError | ServiceError::InvocationCounterError(_) => {
            RequestError::new(Kind::SecurityFailed, Layer::Security, format!("the meter answered {exception}"))
                .with_answer(answer)
                .with_sent(true)
        }
        _ => RequestError::refused(answer),
    }
}

fn from_service(error: ConfirmedServiceError) -> RequestError {
    let ConfirmedServiceError { service, class, value } = error;
    let answer = MeterAnswer::ConfirmedService { service, error: class, value };
    if error == ConfirmedServiceError::DECIPHERING_ERROR {
        return RequestError::new(Kind::SecurityFailed, Layer::Security, format!("the meter answered {error}"))
            .with_answer(answer)
            .with_sent(true);
    }
    RequestError::refused(answer)
}

/// A request that was not sent.
pub(super) fn from_usage(error: UsageError) -> RequestError {
    let mapped = match error {
        UsageError::Link(link) => from_link(link),
        UsageError::CounterExhausted => {
            RequestError::new(Kind::SecurityFailed, Layer::Security, "no invocation counter is left under this key")
        }
        UsageError::Security(security) => {
            RequestError::new(Kind::SecurityFailed, Layer::Security, security.to_string())
        }
        UsageError::NotAssociated | UsageError::AlreadyOpen | UsageError::RequestPending => {
            RequestError::new(Kind::Unreachable, Layer::Association, error.to_string())
        }
        UsageError::NotNegotiated { service } => RequestError::new(
            Kind::InvalidRequest,
            Layer::Association,
            format!("the meter does not offer {service} in this association"),
        ),
        other => RequestError::new(Kind::InvalidRequest, Layer::Association, other.to_string()),
    };
    mapped.with_source(error)
}

/// Whether a refused opening may be the meter's way to say that our invocation counter is too low, and the lowest one
/// that it accepts, where it says so. None of it is authenticated.
pub(super) fn counter_refused(error: &DriveError) -> Option<Option<u32>> {
    let DriveError::Closed(error) = error else { return None };
    match error {
        ConnectionError::Request(request) => counter_refused_request(request),
        ConnectionError::Rejected { diagnostic, initiate, .. } => {
            let authentication = Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationFailure);
            let said = *diagnostic == authentication || *initiate == Some(ConfirmedServiceError::DECIPHERING_ERROR);
            said.then_some(None)
        }
        // Some meters close without a word.
        ConnectionError::HlsRefused | ConnectionError::ClosedByPeer => Some(None),
        _ => None,
    }
}

/// The same for a request in an open association.
pub(super) fn counter_refused_request(error: &StackError) -> Option<Option<u32>> {
    match error {
        StackError::Exception(ExceptionResponse { service: ServiceError::InvocationCounterError(lowest), .. }) => {
            Some(*lowest)
        }
        StackError::Exception(ExceptionResponse { service: ServiceError::DecipheringError, .. }) => Some(None),
        StackError::Service(error) if *error == ConfirmedServiceError::DECIPHERING_ERROR => Some(None),
        _ => None,
    }
}

/// What became of a request that changes something and has no proper answer: where octets of it have left, the meter
/// may have carried it out.
pub(super) fn after_sending(error: RequestError, sent: bool) -> RequestError {
    let unknown = sent && error.kind() != Kind::MeterRefused && error.kind() != Kind::InvalidRequest;
    let error = error.with_sent(sent);
    if unknown && !refused_unseen(&error) { error.with_kind(Kind::UnknownOutcome) } else { error }
}

/// The meter said that it could not even decipher the request: nothing was carried out.
fn refused_unseen(error: &RequestError) -> bool {
    matches!(error.answer(), Some(MeterAnswer::Exception { .. } | MeterAnswer::ConfirmedService { .. }))
}
