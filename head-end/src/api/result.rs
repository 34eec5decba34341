//! What became of single items.

use dlms_proto::v1;

use crate::operation::{Layer, MeterAnswer, RequestError, RequestErrorKind};

/// The result that an error amounts to.
pub(super) const fn result(kind: RequestErrorKind) -> v1::Result {
    match kind {
        RequestErrorKind::MeterRefused => v1::Result::MeterRefused,
        RequestErrorKind::SecurityFailed => v1::Result::SecurityFailed,
        RequestErrorKind::Expired => v1::Result::Expired,
        RequestErrorKind::UnknownOutcome => v1::Result::UnknownOutcome,
        RequestErrorKind::Cancelled
        | RequestErrorKind::NotFound
        | RequestErrorKind::InvalidRequest
        | RequestErrorKind::ShuttingDown => v1::Result::Cancelled,
        RequestErrorKind::Unreachable
        | RequestErrorKind::Protocol
        | RequestErrorKind::Busy
        | RequestErrorKind::Store => v1::Result::Unreachable,
    }
}

/// Result and failure of an item.
pub(super) fn of<T>(item: &Result<T, RequestError>) -> (i32, Option<v1::Failure>) {
    match item {
        Ok(_) => (v1::Result::Succeeded.into(), None),
        Err(error) => (result(error.kind()).into(), Some(failure(error))),
    }
}

pub(super) fn failure(error: &RequestError) -> v1::Failure {
    v1::Failure {
        reason: error.kind().name().to_owned(),
        layer: layer(error.layer()).into(),
        message: error.to_string(),
        answer: error.answer().map(answer),
        sent: error.sent(),
        retryable: error.is_retryable(),
    }
}

const fn layer(layer: Layer) -> v1::Layer {
    match layer {
        Layer::Link => v1::Layer::Link,
        Layer::Association => v1::Layer::Association,
        Layer::Security => v1::Layer::Security,
        Layer::Meter => v1::Layer::Meter,
        Layer::Store => v1::Layer::Store,
        Layer::HeadEnd => v1::Layer::HeadEnd,
    }
}

fn answer(answer: MeterAnswer) -> v1::MeterAnswer {
    use v1::meter_answer::Kind;
    let kind = match answer {
        MeterAnswer::DataAccess(code) => Kind::DataAccessResult(code.into()),
        MeterAnswer::Action(code) => Kind::ActionResult(code.into()),
        MeterAnswer::Association { result, diagnostic } => {
            Kind::Association(v1::AssociationRejected { result: result.into(), diagnostic: diagnostic.into() })
        }
        MeterAnswer::Exception { state, service } => {
            Kind::Exception(v1::ExceptionAnswer { state_error: state.into(), service_error: service.into() })
        }
        MeterAnswer::ConfirmedService { service, error, value } => {
            Kind::ConfirmedServiceError(v1::ConfirmedServiceError {
                service: service.into(),
                error: error.into(),
                value: value.into(),
            })
        }
    };
    v1::MeterAnswer { kind: Some(kind), name: answer.name().unwrap_or_default() }
}
