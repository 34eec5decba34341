//! A request in JSON as one of gRPC.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Uri, Version, header};
use http_body_util::{BodyExt, Full, Limited};
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{Status, body::Body};

use crate::api::{frame, status};

/// The same call in gRPC: path, headers and extensions stay, so that all that comes behind sees no difference.
pub(super) async fn to_grpc(request: Request<Body>, method: &MethodDescriptor) -> Result<Request<Body>, Status> {
    let (mut head, body) = request.into_parts();
    let text = tokio::time::timeout(frame::PATIENCE, Limited::new(body, frame::LARGEST).collect()).await;
    let text = text.map_err(|_| Status::deadline_exceeded("the request did not come in"))?;
    let text = text.map_err(|error| status::unreadable(&error.to_string()))?.to_bytes();
    let frames = messages(&text, method)?;
    head.uri =
        Uri::builder().path_and_query(path(method)).build().map_err(|error| Status::internal(error.to_string()))?;
    head.version = Version::HTTP_2;
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    for gone in [header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING] {
        head.headers.remove(gone);
    }
    Ok(Request::from_parts(head, Body::new(Full::new(frames))))
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The messages in `text`, one for a method without a stream of them; no text at all stands for an empty one.
fn messages(text: &Bytes, method: &MethodDescriptor) -> Result<Bytes, Status> {
    if text.trim_ascii().is_empty() && !method.is_client_streaming() {
        return Ok(frame::frame(&[]));
    }
    let mut frames = BytesMut::new();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    loop {
        let message = DynamicMessage::deserialize(method.input(), &mut deserializer);
        let message = message.map_err(|error| status::unreadable(&error.to_string()))?;
        frames.extend_from_slice(&frame::frame(&message.encode_to_vec()));
        let ended = deserializer.end();
        match ended {
            Ok(()) => return Ok(frames.freeze()),
            Err(_) if method.is_client_streaming() => {}
            Err(error) => return Err(status::unreadable(&error.to_string())),
        }
    }
}
