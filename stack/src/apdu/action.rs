//! ACTION: invoking methods by logical name.

use crate::axdr::{BufferFull, Data, DecodeError, Writer};
use crate::deviation::Deviation;
use crate::wire::{Cursor, Refused, Wire, codec, decode_whole};

use super::{ActionResult, DataBlock, GetDataResult, InvokeIdAndPriority, List, MethodDescriptor, MethodRequest, tag};

/// Action-Request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionRequest<'a> {
    /// One method.
    Normal {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to invoke.
        request: MethodRequest<'a>,
    },
    /// The next block of a long response.
    NextPBlock {
        /// That of the request that was answered.
        invoke: InvokeIdAndPriority,
        /// The last block received.
        number: u32,
    },
    /// Several methods at once.
    WithList {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to invoke.
        methods: List<'a, MethodDescriptor>,
        /// The parameters, in the same order; null-data where there is none.
        parameters: List<'a, Data<'a>>,
    },
    /// One method, the parameter in parts. The parts together are the `Data`, without a presence octet.
    WithFirstPBlock {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to invoke.
        method: MethodDescriptor,
        /// The first part.
        block: DataBlock<'a>,
    },
    /// Several methods, the parameters in parts. The parts together are the list of parameters.
    WithListAndFirstPBlock {
        /// Pairs the response with this request.
        invoke: InvokeIdAndPriority,
        /// What to invoke.
        methods: List<'a, MethodDescriptor>,
        /// The first part.
        block: DataBlock<'a>,
    },
    /// A further part.
    WithPBlock {
        /// That of the first part.
        invoke: InvokeIdAndPriority,
        /// The part.
        block: DataBlock<'a>,
    },
}

impl ActionRequest<'_> {
    /// The invoke-id, which every variant has.
    #[must_use]
    pub const fn invoke(&self) -> InvokeIdAndPriority {
        match self {
            Self::Normal { invoke, .. }
            | Self::NextPBlock { invoke, .. }
            | Self::WithList { invoke, .. }
            | Self::WithFirstPBlock { invoke, .. }
            | Self::WithListAndFirstPBlock { invoke, .. }
            | Self::WithPBlock { invoke, .. } => *invoke,
        }
    }

    /// The variant's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "action-request-normal",
            Self::NextPBlock { .. } => "action-request-next-pblock",
            Self::WithList { .. } => "action-request-with-list",
            Self::WithFirstPBlock { .. } => "action-request-with-first-pblock",
            Self::WithListAndFirstPBlock { .. } => "action-request-with-list-and-first-pblock",
            Self::WithPBlock { .. } => "action-request-with-pblock",
        }
    }
}

codec!(ActionRequest<'a>);

impl<'a> Wire<'a> for ActionRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("action-request", tag::ACTION_REQUEST)?;
        let at = cursor.offset();
        let choice = cursor.u8()?;
        let invoke = InvokeIdAndPriority::read(cursor)?;
        Ok(match choice {
            1 => Self::Normal { invoke, request: MethodRequest::read(cursor)? },
            2 => Self::NextPBlock { invoke, number: cursor.u32()? },
            3 => Self::WithList { invoke, methods: List::read(cursor)?, parameters: List::read(cursor)? },
            4 => Self::WithFirstPBlock {
                invoke,
                method: MethodDescriptor::read(cursor)?,
                block: DataBlock::read(cursor)?,
            },
            5 => Self::WithListAndFirstPBlock { invoke, methods: List::read(cursor)?, block: DataBlock::read(cursor)? },
            6 => Self::WithPBlock { invoke, block: DataBlock::read(cursor)? },
            found => return Err(cursor.unexpected(at, "action-request", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let choice = match self {
            Self::Normal { .. } => 1,
            Self::NextPBlock { .. } => 2,
            Self::WithList { .. } => 3,
            Self::WithFirstPBlock { .. } => 4,
            Self::WithListAndFirstPBlock { .. } => 5,
            Self::WithPBlock { .. } => 6,
        };
        writer.bytes(&[tag::ACTION_REQUEST, choice, self.invoke().0])?;
        match self {
            Self::Normal { request, .. } => request.write(writer),
            Self::NextPBlock { number, .. } => writer.u32(*number),
            Self::WithList { methods, parameters, .. } => {
                methods.write(writer)?;
                parameters.write(writer)
            }
            Self::WithFirstPBlock { method, block, .. } => {
                method.write(writer)?;
                block.write(writer)
            }
            Self::WithListAndFirstPBlock { methods, block, .. } => {
                methods.write(writer)?;
                block.write(writer)
            }
            Self::WithPBlock { block, .. } => block.write(writer),
        }
    }
}

/// Action-Response-With-Optional-Data: how one method went, and what it returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MethodResult<'a> {
    /// How it went.
    pub result: ActionResult,
    /// What it returned, if anything.
    pub data: Option<GetDataResult<'a>>,
}

impl<'a> MethodResult<'a> {
    /// Reads the joined blocks of a long response.
    ///
    /// Sources disagree about what the blocks are a part of; tried in this order: the whole of this type, a
    /// Get-Data-Result, a bare `Data`. Only one of them can use up the octets of a real answer.
    ///
    /// # Errors
    /// That of the first reading, when none fits.
    pub fn from_blocks(raw: &'a [u8]) -> Result<Self, DecodeError> {
        let whole = decode_whole::<Self>(raw).map(|(result, _)| result);
        let success = |data| Self { result: ActionResult::Success, data: Some(data) };
        whole
            .or_else(|error| decode_whole(raw).map(|(data, _)| success(data)).map_err(|_| error))
            .or_else(|error| Data::from_slice(raw).map(|data| success(GetDataResult::Data(data))).map_err(|_| error))
    }
}

impl<'a> Wire<'a> for MethodResult<'a> {
    const SMALLEST: usize = 2;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        Ok(Self { result: ActionResult::read(cursor)?, data: Option::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.result.write(writer)?;
        self.data.write(writer)
    }
}

/// Action-Response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActionResponse<'a> {
    /// How one method went.
    Normal {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// How it went and what it returned.
        result: MethodResult<'a>,
    },
    /// A part of a long answer; see [`MethodResult::from_blocks`] for the joined parts.
    WithPBlock {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// The part.
        block: DataBlock<'a>,
    },
    /// How several methods went, in the order of the request.
    WithList {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// How each went and what it returned.
        results: List<'a, MethodResult<'a>>,
    },
    /// A part of the parameter was received; the next may follow.
    NextPBlock {
        /// That of the request.
        invoke: InvokeIdAndPriority,
        /// The part received.
        number: u32,
    },
}

impl ActionResponse<'_> {
    /// The invoke-id, which every variant has.
    #[must_use]
    pub const fn invoke(&self) -> InvokeIdAndPriority {
        match self {
            Self::Normal { invoke, .. }
            | Self::WithPBlock { invoke, .. }
            | Self::WithList { invoke, .. }
            | Self::NextPBlock { invoke, .. } => *invoke,
        }
    }

    /// The variant's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "action-response-normal",
            Self::WithPBlock { .. } => "action-response-with-pblock",
            Self::WithList { .. } => "action-response-with-list",
            Self::NextPBlock { .. } => "action-response-next-pblock",
        }
    }
}

codec!(ActionResponse<'a>);

impl<'a> Wire<'a> for ActionResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("action-response", tag::ACTION_RESPONSE)?;
        let at = cursor.offset();
        let choice = cursor.u8()?;
        let invoke = InvokeIdAndPriority::read(cursor)?;
        Ok(match choice {
            1 => {
                let result = ActionResult::read(cursor)?;
                // Meters that refuse a method leave the presence octet out.
                let data = if cursor.is_empty() {
                    cursor.note(Deviation::MissingPresenceOctet);
                    None
                } else {
                    Option::read(cursor)?
                };
                Self::Normal { invoke, result: MethodResult { result, data } }
            }
            2 => Self::WithPBlock { invoke, block: DataBlock::read(cursor)? },
            3 => Self::WithList { invoke, results: List::read(cursor)? },
            4 => Self::NextPBlock { invoke, number: cursor.u32()? },
            found => return Err(cursor.unexpected(at, "action-response", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let choice = match self {
            Self::Normal { .. } => 1,
            Self::WithPBlock { .. } => 2,
            Self::WithList { .. } => 3,
            Self::NextPBlock { .. } => 4,
        };
        writer.bytes(&[tag::ACTION_RESPONSE, choice, self.invoke().0])?;
        match self {
            Self::Normal { result, .. } => result.write(writer),
            Self::WithPBlock { block, .. } => block.write(writer),
            Self::WithList { results, .. } => results.write(writer),
            Self::NextPBlock { number, .. } => writer.u32(*number),
        }
    }
}
