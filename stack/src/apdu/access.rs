//! ACCESS: reading, writing and invoking in one request.

use crate::axdr::{BufferFull, Data, Writer};
use crate::deviation::Deviation;
use crate::time::DateTime;
use crate::wire::{Cursor, Refused, Wire, codec};

use super::notification::{read_time, write_time};
use super::{
    ActionResult, AttributeDescriptor, DataAccessResult, List, LongInvokeIdAndPriority, MethodDescriptor, Selection,
    tag,
};

/// Access-Request-Specification: one item of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AccessSpecification<'a> {
    /// Read an attribute; its entry in the list of data is null-data.
    Get(AttributeDescriptor),
    /// Write an attribute.
    Set(AttributeDescriptor),
    /// Invoke a method; its entry in the list of data is the parameter or null-data.
    Action(MethodDescriptor),
    /// Read a part of an attribute.
    GetWithSelection {
        /// The attribute.
        attribute: AttributeDescriptor,
        /// The part.
        selection: Selection<'a>,
    },
    /// Write a part of an attribute.
    SetWithSelection {
        /// The attribute.
        attribute: AttributeDescriptor,
        /// The part.
        selection: Selection<'a>,
    },
}

impl<'a> Wire<'a> for AccessSpecification<'a> {
    const SMALLEST: usize = 10;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        Ok(match cursor.u8()? {
            1 => Self::Get(AttributeDescriptor::read(cursor)?),
            2 => Self::Set(AttributeDescriptor::read(cursor)?),
            3 => Self::Action(MethodDescriptor::read(cursor)?),
            4 => Self::GetWithSelection {
                attribute: AttributeDescriptor::read(cursor)?,
                selection: Selection::read(cursor)?,
            },
            5 => Self::SetWithSelection {
                attribute: AttributeDescriptor::read(cursor)?,
                selection: Selection::read(cursor)?,
            },
            found => return Err(cursor.unexpected(at, "access-request-specification", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Get(attribute) => {
                writer.u8(1)?;
                attribute.write(writer)
            }
            Self::Set(attribute) => {
                writer.u8(2)?;
                attribute.write(writer)
            }
            Self::Action(method) => {
                writer.u8(3)?;
                method.write(writer)
            }
            Self::GetWithSelection { attribute, selection } => {
                writer.u8(4)?;
                attribute.write(writer)?;
                selection.write(writer)
            }
            Self::SetWithSelection { attribute, selection } => {
                writer.u8(5)?;
                attribute.write(writer)?;
                selection.write(writer)
            }
        }
    }
}

/// Access-Response-Specification: how one item went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessResult {
    /// Reading.
    Get(DataAccessResult),
    /// Writing.
    Set(DataAccessResult),
    /// Invoking.
    Action(ActionResult),
}

impl Wire<'_> for AccessResult {
    const SMALLEST: usize = 2;

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        let at = cursor.offset();
        Ok(match cursor.u8()? {
            1 => Self::Get(DataAccessResult::read(cursor)?),
            2 => Self::Set(DataAccessResult::read(cursor)?),
            3 => Self::Action(ActionResult::read(cursor)?),
            found => return Err(cursor.unexpected(at, "access-response-specification", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.bytes(&match self {
            Self::Get(result) => [1, result.code()],
            Self::Set(result) => [2, result.code()],
            Self::Action(result) => [3, result.code()],
        })
    }
}

/// Access-Request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AccessRequest<'a> {
    /// Pairs the response with this request; says what happens when an item fails.
    pub invoke: LongInvokeIdAndPriority,
    /// When it was made.
    pub time: Option<DateTime>,
    /// What to do.
    pub specifications: List<'a, AccessSpecification<'a>>,
    /// One entry per item: value, parameter or null-data.
    pub data: List<'a, Data<'a>>,
}

codec!(AccessRequest<'a>);

impl<'a> Wire<'a> for AccessRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("access-request", tag::ACCESS_REQUEST)?;
        Ok(Self {
            invoke: LongInvokeIdAndPriority::read(cursor)?,
            time: read_time(cursor)?,
            specifications: List::read(cursor)?,
            data: List::read(cursor)?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::ACCESS_REQUEST)?;
        self.invoke.write(writer)?;
        write_time(writer, self.time)?;
        self.specifications.write(writer)?;
        self.data.write(writer)
    }
}

/// Access-Response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AccessResponse<'a> {
    /// That of the request.
    pub invoke: LongInvokeIdAndPriority,
    /// When it was made.
    pub time: Option<DateTime>,
    /// The request's items, when the request asked for a self-descriptive answer.
    pub specifications: Option<List<'a, AccessSpecification<'a>>>,
    /// One entry per item: value, or null-data.
    pub data: List<'a, Data<'a>>,
    /// How each item went.
    pub results: List<'a, AccessResult>,
}

codec!(AccessResponse<'a>);

impl<'a> AccessResponse<'a> {
    /// How each item went and what it returned (null-data for nothing), in the order of the request.
    pub fn items(&self) -> impl Iterator<Item = (AccessResult, Data<'a>)> + use<'a> {
        self.results.iter().zip(self.data.iter())
    }
}

impl<'a> Wire<'a> for AccessResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("access-response", tag::ACCESS_RESPONSE)?;
        Ok(Self {
            invoke: LongInvokeIdAndPriority::read(cursor)?,
            time: read_time(cursor)?,
            specifications: read_repeated(cursor)?,
            data: List::read(cursor)?,
            results: List::read(cursor)?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::ACCESS_RESPONSE)?;
        self.invoke.write(writer)?;
        write_time(writer, self.time)?;
        self.specifications.write(writer)?;
        self.data.write(writer)?;
        self.results.write(writer)
    }
}

/// The repeated request list is OPTIONAL, but decoders exist that expect it without its presence octet; both
/// forms are taken. Which one meters send is unverified.
fn read_repeated<'a>(cursor: &mut Cursor<'a>) -> Result<Option<List<'a, AccessSpecification<'a>>>, Refused> {
    let mut attempt = *cursor;
    let refused = match cursor.peek() {
        Some(0) => return cursor.u8().map(|_| None),
        Some(1) => {
            attempt.u8()?;
            let list = List::read(&mut attempt);
            if list.is_ok() {
                *cursor = attempt;
                return list.map(Some);
            }
            true
        }
        _ => false,
    };
    let list = List::read(cursor);
    if list.is_ok() {
        cursor.note(Deviation::MissingPresenceOctet);
    } else if refused {
        // The reason why the standard form was none says more.
        *cursor = attempt;
    }
    list.map(Some)
}
