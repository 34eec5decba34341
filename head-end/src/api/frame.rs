//! The one message of a call without a stream of them.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::timeout;
use tonic::{Status, body::Body};

use super::status;

/// Largest request, in octets; what tonic takes too.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;

/// Octets in front of a message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// How long a request may take to come in.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the message of a unary call, and gives back a body that has it again.
pub(super) async fn read(body: Body) -> Result<(Bytes, Body), Status> {
    let whole = timeout(PATIENCE, Limited::new(body, LARGEST + HEAD).collect());
    let whole = whole.await.map_err(|_| Status::deadline_exceeded("the request did not come in"))?;
    let whole = whole.map_err(|error| status::unreadable(&error.to_string()))?.to_bytes();
    let message = message(&whole).ok_or_else(|| status::unreadable("the request is not one message"))?;
    Ok((message, Body::new(Full::new(whole))))
}

/// The message of a frame that is alone.
fn message(frame: &Bytes) -> Option<Bytes> {
    let mut rest = frame.clone();
    let (compressed, length) = (rest.try_get_u8().ok()?, rest.try_get_u32().ok()?);
    (compressed == 0 && usize::try_from(length).ok()? == rest.len()).then_some(rest)
}

/// A message with its head.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), message].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_read_and_still_there() {
        let (message, body) = read(Body::new(Full::new(frame(b"abc")))).await.unwrap();
        assert_eq!(message, "abc");
        assert_eq!(body.collect().await.unwrap().to_bytes(), frame(b"abc"));
        for wrong in
            [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x01a", b"\0\0\0\0\x02a", b"\0\0\0\0\x01ab", b"\0\xFF\xFF\xFF\xFFa"]
        {
            assert!(read(Body::new(Full::new(Bytes::from_static(wrong)))).await.is_err(), "{wrong:?}");
        }
        let long = Bytes::from(vec![0; LARGEST + HEAD + 1]);
        assert_eq!(read(Body::new(Full::new(long))).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
