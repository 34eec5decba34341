//! One operation while it is being carried out.

use tokio::time::Instant;

use super::failure::{expired, head_end};
use crate::operation::{RequestError, RequestErrorKind};

/// Until when, and for whom.
pub(super) struct Work<'a> {
    /// The caller's deadline.
    pub(super) deadline: Instant,
    /// Whether the caller went away.
    pub(super) abandoned: &'a (dyn Fn() -> bool + Send + Sync),
    /// Whether a meter that connects by itself is waited for.
    pub(super) waits: bool,
}

impl Work<'_> {
    /// Whether a further request may be sent.
    pub(super) fn check(&self) -> Result<(), RequestError> {
        if (self.abandoned)() {
            return Err(head_end(RequestErrorKind::Cancelled, "the caller went away before the request was sent"));
        }
        if Instant::now() >= self.deadline {
            return Err(expired("before the request was sent"));
        }
        Ok(())
    }
}
