//! What a client connection has to tell.

use super::error::{ConnectionError, RequestError};
use crate::apdu::{
    AccessResponse, Apdu, Conformance, DataAccessResult, GetDataResult, List, MethodResult, ReadResult, WriteResult,
};
use crate::axdr::DecodeError;
use crate::deviation::Deviation;
use crate::id::SystemTitle;
use crate::security::Protection;

/// What a client connection has to tell; octets are borrowed from the link's receive storage.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The association is open, both sides have proved who they are.
    Associated(Negotiated),
    /// An answer to the request, or one block of it.
    Response(Response<'a>),
    /// The request has failed.
    Failed(RequestError),
    /// Something that the server sent of its own accord.
    Notification {
        /// DataNotification, EventNotification or InformationReport.
        apdu: Apdu<'a>,
        /// Protection that it was found to have; check it before believing.
        protection: Protection,
    },
    /// A ciphered APDU that is no answer and that the keys of the association do not open: a notification under other
    /// keys, for a [`push::Receiver`](crate::association::push::Receiver).
    Foreign(&'a [u8]),
    /// Something that the server sent of its own accord, and that cannot be decoded.
    Unreadable(DecodeError),
    /// Something that the server sent of its own accord, and that deviates from the standard in a way that is not
    /// tolerated.
    Refused(Deviation),
    /// The association was released and the link closed, as asked for.
    Released,
    /// The association was not opened, or is lost.
    Closed(ConnectionError),
}

/// What client and server agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Services that both sides support.
    pub conformance: Conformance,
    /// Longest APDU that the server accepts, in octets; 0xFFFF when it stated no limit.
    pub server_max_pdu: u16,
    /// The server's system title, if it gave one.
    pub server_title: Option<SystemTitle>,
}

/// An answer to a request.
#[derive(Clone, Copy, Debug)]
pub enum Response<'a> {
    /// Of one attribute.
    Get(GetDataResult<'a>),
    /// Of a list of attributes, in the order of the request.
    GetList(List<'a, GetDataResult<'a>>),
    /// A block of a long answer to GET; the blocks' octets joined are the `Data` of one attribute, or the
    /// count and results of a list. The next block is asked for as soon as this event is taken.
    GetBlock {
        /// Octets of the answer.
        raw: &'a [u8],
        /// Whether the answer is complete with it.
        last: bool,
    },
    /// Of one attribute that was set.
    Set(DataAccessResult),
    /// Of a list of attributes that were set, in the order of the request.
    SetList(List<'a, DataAccessResult>),
    /// Of one method.
    Action(MethodResult<'a>),
    /// Of a list of methods, in the order of the request.
    ActionList(List<'a, MethodResult<'a>>),
    /// Of an ACCESS request: [`AccessResponse::items`] goes through results and data in the order of the request.
    Access(AccessResponse<'a>),
    /// A block of a long answer to ACTION. Implementations differ in what the joined octets are: `Data` alone,
    /// or with the choice, presence and result octets of a normal answer in front.
    ActionBlock {
        /// Octets of the answer.
        raw: &'a [u8],
        /// Whether the answer is complete with it.
        last: bool,
    },
    /// Of variables that were read by short names, in the order of the request.
    Read(List<'a, ReadResult<'a>>),
    /// A block of a long answer to Read; see [`JoinedRead`](crate::apdu::JoinedRead) for the joined octets.
    ReadBlock {
        /// Octets of the answer.
        raw: &'a [u8],
        /// Whether the answer is complete with it.
        last: bool,
    },
    /// Of variables that were written by short names, in the order of the request.
    Write(List<'a, WriteResult>),
}

impl Response<'_> {
    /// How many results a list has; `None` for anything else.
    pub(super) const fn count(&self) -> Option<usize> {
        match self {
            Self::GetList(list) => Some(list.len()),
            Self::SetList(list) => Some(list.len()),
            Self::ActionList(list) => Some(list.len()),
            Self::Access(response) => Some(response.results.len()),
            Self::Read(list) => Some(list.len()),
            Self::Write(list) => Some(list.len()),
            _ => None,
        }
    }
}
