//! GET: reading attributes by logical name.

use crate::axdr::{BufferFull, Writer};
use crate::wire::{Cursor, Refused, Wire, codec};

use super::{AttributeRequest, BlockResult, GetDataResult, InvokeIdAndPriority, List, tag};

/// Get-Request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GetRequest<'a> {
    /// One attribute.
    Normal {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to read.
        request: AttributeRequest<'a>,
    },
    /// The next block of a long response.
    Next {
        /// That of the request that was answered.
        invoke: InvokeIdAndPriority,
        /// The last block received.
        number: u32,
    },
    /// Several attributes at once.
    WithList {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to read.
        requests: List<'a, AttributeRequest<'a>>,
    },
}

impl GetRequest<'_> {
    /// The invoke-id, which every variant has.
    #[must_use]
    pub const fn invoke(&self) -> InvokeIdAndPriority {
        match self {
            Self::Normal { invoke, .. } | Self::Next { invoke, .. } | Self::WithList { invoke, .. } => *invoke,
        }
    }

    /// The variant's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "get-request-normal",
            Self::Next { .. } => "get-request-next",
            Self::WithList { .. } => "get-request-with-list",
        }
    }
}

codec!(GetRequest<'a>);

impl<'a> Wire<'a> for GetRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("get-request", tag::GET_REQUEST)?;
        let at = cursor.offset();
        let choice = cursor.u8()?;
        let invoke = InvokeIdAndPriority::read(cursor)?;
        Ok(match choice {
            1 => Self::Normal { invoke, request: AttributeRequest::read(cursor)? },
            2 => Self::Next { invoke, number: cursor.u32()? },
            3 => Self::WithList { invoke, requests: List::read(cursor)? },
            found => return Err(cursor.unexpected(at, "get-request", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let choice = match self {
            Self::Normal { .. } => 1,
            Self::Next { .. } => 2,
            Self::WithList { .. } => 3,
        };
        writer.bytes(&[tag::GET_REQUEST, choice, self.invoke().0])?;
        match self {
            Self::Normal { request, .. } => request.write(writer),
            Self::Next { number, .. } => writer.u32(*number),
            Self::WithList { requests, .. } => requests.write(writer),
        }
    }
}

/// Get-Response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GetResponse<'a> {
    /// One value.
    Normal {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// The value, or why there is none.
        result: GetDataResult<'a>,
    },
    /// A part of a long answer. The parts together are the `Data` of a normal response, or the list of
    /// results of a response with list.
    WithDataBlock {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// Whether this is the last part.
        last: bool,
        /// Number of the part, from 1.
        number: u32,
        /// The octets, or why the transfer ends.
        result: BlockResult<'a>,
    },
    /// Several values, in the order of the request.
    WithList {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// The values, or why there are none.
        results: List<'a, GetDataResult<'a>>,
    },
}

impl GetResponse<'_> {
    /// The invoke-id, which every variant has.
    #[must_use]
    pub const fn invoke(&self) -> InvokeIdAndPriority {
        match self {
            Self::Normal { invoke, .. } | Self::WithDataBlock { invoke, .. } | Self::WithList { invoke, .. } => *invoke,
        }
    }

    /// The variant's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "get-response-normal",
            Self::WithDataBlock { .. } => "get-response-with-datablock",
            Self::WithList { .. } => "get-response-with-list",
        }
    }
}

codec!(GetResponse<'a>);

impl<'a> Wire<'a> for GetResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("get-response", tag::GET_RESPONSE)?;
        let at = cursor.offset();
        let choice = cursor.u8()?;
        let invoke = InvokeIdAndPriority::read(cursor)?;
        Ok(match choice {
            1 => Self::Normal { invoke, result: GetDataResult::read(cursor)? },
            2 => Self::WithDataBlock {
                invoke,
                last: cursor.boolean()?,
                number: cursor.u32()?,
                result: BlockResult::read(cursor)?,
            },
            3 => Self::WithList { invoke, results: List::read(cursor)? },
            found => return Err(cursor.unexpected(at, "get-response", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let choice = match self {
            Self::Normal { .. } => 1,
            Self::WithDataBlock { .. } => 2,
            Self::WithList { .. } => 3,
        };
        writer.bytes(&[tag::GET_RESPONSE, choice, self.invoke().0])?;
        match self {
            Self::Normal { result, .. } => result.write(writer),
            Self::WithDataBlock { last, number, result, .. } => {
                writer.u8(u8::from(*last))?;
                writer.u32(*number)?;
                result.write(writer)
            }
            Self::WithList { results, .. } => results.write(writer),
        }
    }
}
