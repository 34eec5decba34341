//! What is under way between blocks.

use super::action::LongResult;
use super::get::LongGet;
use super::long_request::LongRequest;
use super::short_name::LongRead;
use crate::security::Protection;

/// The block transfer of one association: one at a time, a new request ends it.
#[derive(Debug)]
pub(super) struct Transfers<B> {
    pub(super) transfer: Transfer,
    /// Holds a request that arrives in blocks, or the request of an answer that leaves in blocks.
    pub(super) long: B,
    /// Protection that access rights demand of the responses to the request under way.
    pub(super) response: Protection,
}

/// What is under way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transfer {
    None,
    Get(LongGet),
    /// A GET that is answered by general block transfer, its request in so many octets of the storage.
    General {
        request: usize,
    },
    Set(LongRequest),
    Action(LongRequest),
    ActionResult(LongResult),
    Read(LongRead),
    ReadRequest(LongRequest),
    WriteRequest(LongRequest),
}
