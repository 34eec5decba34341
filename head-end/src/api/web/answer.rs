//! An answer of gRPC in JSON.

use std::sync::LazyLock;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use tonic::{Code, Status, body::Body};

use super::{JSON, LINES};

/// Octets in front of a message.
const HEAD: usize = 5;

/// The types of google.rpc.Status and its details.
static DETAILS: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET).ok());

/// The same answer in JSON: one message, or one a line for a stream.
pub(super) async fn from_grpc(response: Response<Body>, method: MethodDescriptor) -> Response<Body> {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers).filter(|status| status.code() != Code::Ok) {
        return error(&status);
    }
    if method.is_server_streaming() {
        let lines = StreamBody::new(lines(body, method.output()));
        return with(StatusCode::OK, LINES, Body::new(lines));
    }
    let collected = match body.collect().await {
        Ok(collected) => collected,
        Err(status) => return error(&status),
    };
    let ended = collected.trailers().and_then(Status::from_header_map);
    if let Some(status) = ended.filter(|status| status.code() != Code::Ok) {
        return error(&status);
    }
    let mut octets = BytesMut::from(collected.to_bytes().as_ref());
    match take(&mut octets).map(|message| to_json(&method.output(), message)) {
        Some(Ok(text)) => with(StatusCode::OK, JSON, Body::new(Full::new(text))),
        Some(Err(status)) => error(&status),
        None => error(&Status::internal("the answer has no message")),
    }
}

/// An error as google.rpc.Status in JSON, with the HTTP status that google.rpc.Code maps it to.
pub(super) fn error(status: &Status) -> Response<Body> {
    let text = Full::new(Bytes::from(error_text(status)));
    let mut response = with(http_status(status.code()), JSON, Body::new(text));
    if status.code() == Code::Unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn error_text(status: &Status) -> String {
    let detailed = || {
        let of = DETAILS.as_ref()?.get_message_by_name("google.rpc.Status")?;
        let message = DynamicMessage::decode(of, status.details()).ok()?;
        let known = message.fields().next().is_some();
        if known { serde_json::to_string(&message).ok() } else { None }
    };
    let plain = || serde_json::json!({ "code": status.code() as i32, "message": status.message() }).to_string();
    detailed().unwrap_or_else(plain)
}

fn with(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Takes a whole message from the front.
fn take(octets: &mut BytesMut) -> Option<Bytes> {
    let length = usize::try_from(octets.get(1..HEAD)?.get_u32()).ok()?;
    if octets.len().checked_sub(HEAD)? < length {
        return None;
    }
    octets.advance(HEAD);
    Some(octets.split_to(length).freeze())
}

/// Canonical JSON, with fields that have their default value, so that scripts find them.
fn to_json(of: &MessageDescriptor, message: Bytes) -> Result<Bytes, Status> {
    let unable = |error: &dyn std::error::Error| Status::internal(format!("the answer has no JSON form: {error}"));
    let message = DynamicMessage::decode(of.clone(), message).map_err(|error| unable(&error))?;
    let mut text = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(&mut text, &options).map_err(|error| unable(&error))?;
    Ok(text.into_inner().into())
}

/// Each message on a line; an error, `{"error": …}`, is the last one.
fn lines(body: Body, of: MessageDescriptor) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Send {
    let line = |text: &[u8]| Ok(Frame::data([text, b"\n"].concat().into()));
    stream::unfold(Some((body, BytesMut::new())), move |state| {
        let of = of.clone();
        async move {
            let (mut body, mut octets) = state?;
            let failed = |status: &Status| line(format!(r#"{{"error":{}}}"#, error_text(status)).as_bytes());
            loop {
                if let Some(message) = take(&mut octets) {
                    return Some(match to_json(&of, message) {
                        Ok(text) => (line(&text), Some((body, octets))),
                        Err(status) => (failed(&status), None),
                    });
                }
                match body.frame().await {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => octets.extend_from_slice(&data),
                        Err(frame) => {
                            let trailers: HeaderMap = frame.into_trailers().unwrap_or_default();
                            let status = Status::from_header_map(&trailers)?;
                            return (status.code() != Code::Ok).then(|| (failed(&status), None));
                        }
                    },
                    Some(Err(status)) => return Some((failed(&status), None)),
                    None => return None,
                }
            }
        }
    })
}

/// The mapping in the comments of google/rpc/code.proto.
const fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        // 499, client closed request, has no name.
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
