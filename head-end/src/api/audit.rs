//! Calls that change something, written down before and after.

use std::sync::Arc;

use jiff::Timestamp;
use tonic::{Code, Status};

use super::{incoming::Peer, schema::Mentioned, status};
use crate::{
    access::{Caller, Method},
    store::{AuditIntent, AuditRow, AuditStore, StoreError},
};

/// A call that was written down and has no outcome yet. Dropped, it was abandoned.
pub(super) struct Open<S: AuditStore> {
    store: Arc<S>,
    intent: u64,
    ended: bool,
}

/// Writes down that `caller` is about to change something; without that nothing may be done.
pub(super) async fn begin<S: AuditStore>(
    store: &Arc<S>,
    method: &Method,
    caller: &Caller,
    mentioned: &Mentioned,
    peer: Option<&Peer>,
) -> Result<Open<S>, Status> {
    let intent = AuditIntent {
        time_ms: Timestamp::now().as_millisecond(),
        subject: caller.subject.to_string(),
        tenant: caller.tenant.clone(),
        method: method.path.to_owned(),
        target: mentioned.target(),
        details: mentioned.details.trim_start().to_owned(),
        request_id: mentioned.request_id.clone(),
        peer: peer.and_then(|peer| peer.address).map(|address| address.to_string()).unwrap_or_default(),
    };
    let number = store.append_audit(AuditRow::Intent(intent)).await.map_err(|error| status::store(&error, None))?;
    Ok(Open { store: Arc::clone(store), intent: number, ended: false })
}

impl<S: AuditStore> Open<S> {
    /// Writes down how it ended.
    pub(super) async fn end(mut self, code: Code) {
        self.ended = true;
        let (store, row) = (Arc::clone(&self.store), outcome(self.intent, name(code)));
        // On a task of its own, because the caller may go away while it is written.
        let written = tokio::spawn(async move { store.append_audit(row).await });
        log(self.intent, written.await.unwrap_or(Err(StoreError::Closed)));
    }
}

impl<S: AuditStore> Drop for Open<S> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, intent) = (Arc::clone(&self.store), self.intent);
            runtime.spawn(async move { log(intent, store.append_audit(outcome(intent, "ABANDONED")).await) });
        }
    }
}

fn outcome(intent: u64, outcome: &str) -> AuditRow {
    AuditRow::Outcome { intent, time_ms: Timestamp::now().as_millisecond(), outcome: outcome.to_owned() }
}

fn log(intent: u64, written: Result<u64, StoreError>) {
    if let Err(error) = written {
        tracing::error!(intent, %error, "the outcome of a call is not in the audit log");
    }
}

/// The name of a status code, as google.rpc.Code has it.
pub(super) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
