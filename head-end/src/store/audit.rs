//! The audit log: what was changed, by whom, with which outcome.

use std::future::Future;

use sha2::{Digest, Sha256};

use super::StoreError;
use crate::meter::Tenant;

/// Rows of the log that are shown or checked at a time.
pub(super) const PAGE: usize = 1000;

/// The audit log. It is only ever added to, and each row holds a digest of the one before.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait AuditStore: Send + Sync + 'static {
    /// Adds a row, and returns its number.
    ///
    /// # Errors
    /// The store's own.
    fn append_audit(&self, row: AuditRow) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Calls with what became of them, the newest first.
    ///
    /// # Errors
    /// The store's own.
    fn query_audit(&self, query: AuditQuery) -> impl Future<Output = Result<Vec<AuditedCall>, StoreError>> + Send;

    /// The rows behind number `after` as they are stored, in their order, for who checks the chain.
    ///
    /// # Errors
    /// The store's own.
    fn audit_links(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<AuditLink>, StoreError>> + Send;
}

/// A row: a call is written down before it is carried out, and its outcome after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditRow {
    /// Somebody is about to change something.
    Intent(AuditIntent),
    /// What became of it.
    Outcome {
        /// Number of the intent.
        intent: u64,
        /// When it ended, in ms since 1970 UTC.
        time_ms: i64,
        /// Name of a gRPC status code; `ABANDONED` when the caller went away before there was an answer.
        outcome: String,
    },
}

/// Who is about to change what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditIntent {
    /// When, in ms since 1970 UTC.
    pub time_ms: i64,
    /// Who.
    pub subject: String,
    /// The tenant of who.
    pub tenant: Option<Tenant>,
    /// Service and method.
    pub method: String,
    /// Resource names in the request.
    pub target: String,
    /// Which objects of the target; never values.
    pub details: String,
    /// The caller's request id.
    pub request_id: String,
    /// Where the call came from.
    pub peer: String,
}

/// A call in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedCall {
    /// Number of its first row.
    pub number: u64,
    /// Who and what.
    pub intent: AuditIntent,
    /// When it ended and with which code; `None` while it runs, and for ever if the head-end broke down meanwhile.
    pub outcome: Option<(i64, String)>,
}

/// A row with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLink {
    /// Its number, from 1 without gaps.
    pub number: u64,
    /// Its contents.
    pub row: AuditRow,
    /// The digest that was stored with it.
    pub digest: [u8; 32],
}

/// Which calls to show. Empty texts stand for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only older ones than this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// By this caller.
    pub subject: String,
    /// Of callers of this tenant.
    pub tenant: Option<Tenant>,
    /// Method, or its end.
    pub method: String,
    /// Part of the target.
    pub target: String,
    /// From this moment on, in ms since 1970 UTC.
    pub from_ms: Option<i64>,
    /// Up to before this moment.
    pub to_ms: Option<i64>,
    /// Only those without an outcome.
    pub open: bool,
}

/// What the chain begins with.
pub const AUDIT_START: [u8; 32] = [0; 32];

impl AuditRow {
    /// The digest of this row as number `number`, behind a row with the digest `before`: SHA-256 over both and over all
    /// fields, each with its length.
    #[must_use]
    pub fn digest(&self, before: &[u8; 32], number: u64) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(before);
        digest.update(number.to_be_bytes());
        let mut field = |octets: &[u8]| {
            digest.update((octets.len() as u64).to_be_bytes());
            digest.update(octets);
        };
        match self {
            Self::Intent(AuditIntent { time_ms, subject, tenant, method, target, details, request_id, peer }) => {
                field(b"intent");
                field(&time_ms.to_be_bytes());
                let tenant = tenant.as_ref().map_or("", Tenant::as_str);
                for text in [subject, tenant, method, target, details, request_id, peer] {
                    field(text.as_bytes());
                }
            }
            Self::Outcome { intent, time_ms, outcome } => {
                field(b"outcome");
                field(&time_ms.to_be_bytes());
                field(&intent.to_be_bytes());
                field(outcome.as_bytes());
            }
        }
        digest.finalize().into()
    }
}

/// The end of a chain that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Number of the last row; 0 for an empty log.
    pub number: u64,
    /// Its digest.
    pub digest: [u8; 32],
}

/// Checks the chain of a log, and that it still goes through `through`, the head of an earlier check. The inner result
/// says where it is broken.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub async fn verify_audit(
    store: &impl AuditStore,
    through: Option<AuditHead>,
) -> Result<Result<AuditHead, AuditBreak>, StoreError> {
    let mut head = AuditHead::START;
    loop {
        let page = store.audit_links(head.number, PAGE).await?;
        head = match head.follow_all(&page, through) {
            Ok(head) => head,
            Err(broken) => return Ok(Err(broken)),
        };
        if page.len() < PAGE {
            return Ok(head.through(through));
        }
    }
}

/// Where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditBreak {
    /// A row is missing.
    #[error("row {0} of the audit log is missing")]
    Missing(u64),
    /// A row, or one before it, was changed.
    #[error("row {0} of the audit log does not fit to its digest: it or a row before was changed")]
    Changed(u64),
}

impl AuditHead {
    /// Before the first row.
    pub const START: Self = Self { number: 0, digest: AUDIT_START };

    /// The head behind `link`, if that fits.
    ///
    /// # Errors
    /// [`AuditBreak`].
    pub fn follow(self, link: &AuditLink) -> Result<Self, AuditBreak> {
        let number = self.number.saturating_add(1);
        if link.number != number {
            return Err(AuditBreak::Missing(number));
        }
        if link.row.digest(&self.digest, number) != link.digest {
            return Err(AuditBreak::Changed(number));
        }
        Ok(Self { number, digest: link.digest })
    }

    /// The head behind all of `links`, if they fit and the chain goes through `through`, the head of an earlier check.
    pub(super) fn follow_all(mut self, links: &[AuditLink], through: Option<Self>) -> Result<Self, AuditBreak> {
        for link in links {
            self = self.follow(link)?;
            if through.is_some_and(|through| through.number == self.number && through.digest != self.digest) {
                return Err(AuditBreak::Changed(self.number));
            }
        }
        Ok(self)
    }

    /// This head as the end of the log, if the log is as long as it was: rows cut off at the end leave a shorter chain
    /// that holds.
    pub(super) fn through(self, through: Option<Self>) -> Result<Self, AuditBreak> {
        match through.filter(|through| through.number > self.number) {
            Some(through) => Err(AuditBreak::Missing(through.number)),
            None => Ok(self),
        }
    }
}
