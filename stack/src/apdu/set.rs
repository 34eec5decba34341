//! SET: writing attributes by logical name.

use crate::axdr::{BufferFull, Data, Writer};
use crate::wire::{Cursor, Refused, Wire, codec};

use super::{AttributeRequest, DataAccessResult, DataBlock, InvokeIdAndPriority, List, tag};

/// Set-Request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SetRequest<'a> {
    /// One attribute.
    Normal {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to write.
        request: AttributeRequest<'a>,
        /// The value.
        value: Data<'a>,
    },
    /// One attribute, the value in parts. The parts together are the `Data`.
    WithFirstDataBlock {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to write.
        request: AttributeRequest<'a>,
        /// The first part.
        block: DataBlock<'a>,
    },
    /// A further part.
    WithDataBlock {
        /// That of the first part.
        invoke: InvokeIdAndPriority,
        /// The part.
        block: DataBlock<'a>,
    },
    /// Several attributes at once.
    WithList {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to write.
        requests: List<'a, AttributeRequest<'a>>,
        /// The values, in the same order.
        values: List<'a, Data<'a>>,
    },
    /// Several attributes, the values in parts. The parts together are the list of values.
    WithListAndFirstDataBlock {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to write.
        requests: List<'a, AttributeRequest<'a>>,
        /// The first part.
        block: DataBlock<'a>,
    },
}

impl SetRequest<'_> {
    /// The invoke-id, which every variant has.
    #[must_use]
    pub const fn invoke(&self) -> InvokeIdAndPriority {
        match self {
            Self::Normal { invoke, .. }
            | Self::WithFirstDataBlock { invoke, .. }
            | Self::WithDataBlock { invoke, .. }
            | Self::WithList { invoke, .. }
            | Self::WithListAndFirstDataBlock { invoke, .. } => *invoke,
        }
    }

    /// The variant's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "set-request-normal",
            Self::WithFirstDataBlock { .. } => "set-request-with-first-datablock",
            Self::WithDataBlock { .. } => "set-request-with-datablock",
            Self::WithList { .. } => "set-request-with-list",
            Self::WithListAndFirstDataBlock { .. } => "set-request-with-list-and-first-datablock",
        }
    }
}

codec!(SetRequest<'a>);

impl<'a> Wire<'a> for SetRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("set-request", tag::SET_REQUEST)?;
        let at = cursor.offset();
        let choice = cursor.u8()?;
        let invoke = InvokeIdAndPriority::read(cursor)?;
        Ok(match choice {
            1 => Self::Normal { invoke, request: AttributeRequest::read(cursor)?, value: cursor.data()? },
            2 => Self::WithFirstDataBlock {
                invoke,
                request: AttributeRequest::read(cursor)?,
                block: DataBlock::read(cursor)?,
            },
            3 => Self::WithDataBlock { invoke, block: DataBlock::read(cursor)? },
            4 => Self::WithList { invoke, requests: List::read(cursor)?, values: List::read(cursor)? },
            5 => Self::WithListAndFirstDataBlock {
                invoke,
                requests: List::read(cursor)?,
                block: DataBlock::read(cursor)?,
            },
            found => return Err(cursor.unexpected(at, "set-request", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let choice = match self {
            Self::Normal { .. } => 1,
            Self::WithFirstDataBlock { .. } => 2,
            Self::WithDataBlock { .. } => 3,
            Self::WithList { .. } => 4,
            Self::WithListAndFirstDataBlock { .. } => 5,
        };
        writer.bytes(&[tag::SET_REQUEST, choice, self.invoke().0])?;
        match self {
            Self::Normal { request, value, .. } => {
                request.write(writer)?;
                value.encode(writer)
            }
            Self::WithFirstDataBlock { request, block, .. } => {
                request.write(writer)?;
                block.write(writer)
            }
            Self::WithDataBlock { block, .. } => block.write(writer),
            Self::WithList { requests, values, .. } => {
                requests.write(writer)?;
                values.write(writer)
            }
            Self::WithListAndFirstDataBlock { requests, block, .. } => {
                requests.write(writer)?;
                block.write(writer)
            }
        }
    }
}

/// Set-Response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SetResponse<'a> {
    /// How writing one attribute went.
    Normal {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// How it went.
        result: DataAccessResult,
    },
    /// A part was received; the next may follow.
    DataBlock {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// The part received.
        number: u32,
    },
    /// The last part was received.
    LastDataBlock {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// How writing went.
        result: DataAccessResult,
        /// The part received.
        number: u32,
    },
    /// The last part of a list was received.
    LastDataBlockWithList {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// How writing each attribute went.
        results: List<'a, DataAccessResult>,
        /// The part received.
        number: u32,
    },
    /// How writing several attributes went, in the order of the request.
    WithList {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// How each went.
        results: List<'a, DataAccessResult>,
    },
}

impl SetResponse<'_> {
    /// The invoke-id, which every variant has.
    #[must_use]
    pub const fn invoke(&self) -> InvokeIdAndPriority {
        match self {
            Self::Normal { invoke, .. }
            | Self::DataBlock { invoke, .. }
            | Self::LastDataBlock { invoke, .. }
            | Self::LastDataBlockWithList { invoke, .. }
            | Self::WithList { invoke, .. } => *invoke,
        }
    }

    /// The variant's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "set-response-normal",
            Self::DataBlock { .. } => "set-response-datablock",
            Self::LastDataBlock { .. } => "set-response-last-datablock",
            Self::LastDataBlockWithList { .. } => "set-response-last-datablock-with-list",
            Self::WithList { .. } => "set-response-with-list",
        }
    }
}

codec!(SetResponse<'a>);

impl<'a> Wire<'a> for SetResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("set-response", tag::SET_RESPONSE)?;
        let at = cursor.offset();
        let choice = cursor.u8()?;
        let invoke = InvokeIdAndPriority::read(cursor)?;
        Ok(match choice {
            1 => Self::Normal { invoke, result: DataAccessResult::read(cursor)? },
            2 => Self::DataBlock { invoke, number: cursor.u32()? },
            3 => Self::LastDataBlock { invoke, result: DataAccessResult::read(cursor)?, number: cursor.u32()? },
            4 => Self::LastDataBlockWithList { invoke, results: List::read(cursor)?, number: cursor.u32()? },
            5 => Self::WithList { invoke, results: List::read(cursor)? },
            found => return Err(cursor.unexpected(at, "set-response", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let choice = match self {
            Self::Normal { .. } => 1,
            Self::DataBlock { .. } => 2,
            Self::LastDataBlock { .. } => 3,
            Self::LastDataBlockWithList { .. } => 4,
            Self::WithList { .. } => 5,
        };
        writer.bytes(&[tag::SET_RESPONSE, choice, self.invoke().0])?;
        match self {
            Self::Normal { result, .. } => result.write(writer),
            Self::DataBlock { number, .. } => writer.u32(*number),
            Self::LastDataBlock { result, number, .. } => {
                result.write(writer)?;
                writer.u32(*number)
            }
            Self::LastDataBlockWithList { results, number, .. } => {
                results.write(writer)?;
                writer.u32(*number)
            }
            Self::WithList { results, .. } => results.write(writer),
        }
    }
}
