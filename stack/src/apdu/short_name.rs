//! Read, Write, UnconfirmedWrite and InformationReport: access by short names.

use crate::axdr::{BufferFull, Data, DecodeError, DecodeErrorKind, Writer};
use crate::wire::{Cursor, Refused, Wire, codec, decode_whole};

use crate::id::ShortName;

use super::{DataAccessResult, List, tag};

/// Variable-Access-Specification: what a request with short names is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VariableAccess<'a> {
    /// An attribute, by its name: the object's base name + 8 * (attribute - 1).
    Name(i16),
    /// A part of an attribute, or a method with its parameter.
    Parameterized {
        /// Name of the attribute or method.
        name: i16,
        /// Selector that the class defines.
        selector: u8,
        /// Parameters of the selector or method.
        parameters: Data<'a>,
    },
    /// Read: asks for the next block of a long answer.
    BlockNumber(u16),
    /// Read: a part of a long request.
    ReadBlock {
        /// Whether this is the last part.
        last: bool,
        /// Number of the part, from 1.
        number: u16,
        /// The octets of the part.
        raw: &'a [u8],
    },
    /// Write: a part of a long request; its octets are in the list of data.
    WriteBlock {
        /// Whether this is the last part.
        last: bool,
        /// Number of the part, from 1.
        number: u16,
    },
}

impl<'a> Wire<'a> for VariableAccess<'a> {
    const SMALLEST: usize = 3;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        Ok(match cursor.u8()? {
            2 => Self::Name(cursor.i16()?),
            4 => Self::Parameterized { name: cursor.i16()?, selector: cursor.u8()?, parameters: cursor.data()? },
            5 => Self::BlockNumber(cursor.u16()?),
            6 => Self::ReadBlock {
                last: cursor.boolean()?,
                number: cursor.u16()?,
                raw: cursor.octet_string("read block")?,
            },
            7 => Self::WriteBlock { last: cursor.boolean()?, number: cursor.u16()? },
            found => return Err(cursor.unexpected(at, "variable-access-specification", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Name(name) => {
                writer.u8(2)?;
                writer.bytes(&name.to_be_bytes())
            }
            Self::Parameterized { name, selector, parameters } => {
                writer.u8(4)?;
                writer.bytes(&name.to_be_bytes())?;
                writer.u8(*selector)?;
                parameters.encode(writer)
            }
            Self::BlockNumber(number) => {
                writer.u8(5)?;
                writer.u16(*number)
            }
            Self::ReadBlock { last, number, raw } => {
                writer.bytes(&[6, u8::from(*last)])?;
                writer.u16(*number)?;
                writer.octet_string(raw)
            }
            Self::WriteBlock { last, number } => {
                writer.bytes(&[7, u8::from(*last)])?;
                writer.u16(*number)
            }
        }
    }
}

/// ReadRequest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadRequest<'a> {
    /// What to read; a single variable is a list of one.
    pub variables: List<'a, VariableAccess<'a>>,
}

impl VariableAccess<'_> {
    /// An attribute, or a method without a parameter.
    #[must_use]
    pub fn named(name: ShortName) -> Self {
        Self::Name(name.into())
    }
}

/// One answer within a [`ReadResponse`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReadResult<'a> {
    /// The value.
    Data(Data<'a>),
    /// Why there is none.
    Error(DataAccessResult),
    /// A part of a long answer.
    Block {
        /// Whether this is the last part.
        last: bool,
        /// Number of the part, from 1.
        number: u16,
        /// The octets of the part.
        raw: &'a [u8],
    },
    /// A part of a long request was received; the next may follow.
    BlockNumber(u16),
}

impl<'a> Wire<'a> for ReadResult<'a> {
    const SMALLEST: usize = 2;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        Ok(match cursor.u8()? {
            0 => Self::Data(cursor.data()?),
            1 => Self::Error(DataAccessResult::read(cursor)?),
            2 => {
                Self::Block { last: cursor.boolean()?, number: cursor.u16()?, raw: cursor.octet_string("read block")? }
            }
            3 => Self::BlockNumber(cursor.u16()?),
            found => return Err(cursor.unexpected(at, "read result", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Data(data) => {
                writer.u8(0)?;
                data.encode(writer)
            }
            Self::Error(result) => writer.bytes(&[1, result.code()]),
            Self::Block { last, number, raw } => {
                writer.bytes(&[2, u8::from(*last)])?;
                writer.u16(*number)?;
                writer.octet_string(raw)
            }
            Self::BlockNumber(number) => {
                writer.u8(3)?;
                writer.u16(*number)
            }
        }
    }
}

/// What the joined blocks of a long answer to a Read are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JoinedRead<'a> {
    /// The value of the one variable that was asked for.
    Data(Data<'a>),
    /// The answers, in the order of the request.
    Results(List<'a, ReadResult<'a>>),
}

impl<'a> JoinedRead<'a> {
    /// Reads the joined raw data of the blocks that answer a Read of `variables` variables.
    ///
    /// Sources disagree about what the blocks of a single variable are a part of: count, choice and value, or the value
    /// alone. Only one of them can use up the octets.
    ///
    /// # Errors
    /// [`DecodeError`], when it is neither.
    pub fn from_blocks(raw: &'a [u8], variables: usize) -> Result<Self, DecodeError> {
        let results = decode_whole::<List<'a, ReadResult<'a>>>(raw).map(|(results, _)| results);
        let complete = |results: &List<'a, ReadResult<'a>>| {
            let whole = |result| matches!(result, ReadResult::Data(_) | ReadResult::Error(_));
            results.len() == variables && results.iter().all(whole)
        };
        match results {
            Ok(results) if complete(&results) => Ok(Self::Results(results)),
            other if variables == 1 => {
                Data::from_slice(raw).map(Self::Data).map_err(|error| other.err().unwrap_or(error))
            }
            Ok(_) => Err(DecodeError { offset: 0, kind: DecodeErrorKind::InvalidLength { what: "read results" } }),
            Err(error) => Err(error),
        }
    }
}

/// ReadResponse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadResponse<'a> {
    /// The answers, in the order of the request.
    pub results: List<'a, ReadResult<'a>>,
}

/// WriteRequest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteRequest<'a> {
    /// What to write.
    pub variables: List<'a, VariableAccess<'a>>,
    /// The values, in the same order.
    pub values: List<'a, Data<'a>>,
}

/// One answer within a [`WriteResponse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// It was written.
    Success,
    /// Why it was not.
    Error(DataAccessResult),
    /// A part of a long request was received; the next may follow.
    BlockNumber(u16),
}

impl Wire<'_> for WriteResult {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        let at = cursor.offset();
        Ok(match cursor.u8()? {
            0 => Self::Success,
            1 => Self::Error(DataAccessResult::read(cursor)?),
            2 => Self::BlockNumber(cursor.u16()?),
            found => return Err(cursor.unexpected(at, "write result", found)),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Success => writer.u8(0),
            Self::Error(result) => writer.bytes(&[1, result.code()]),
            Self::BlockNumber(number) => {
                writer.u8(2)?;
                writer.u16(*number)
            }
        }
    }
}

/// WriteResponse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteResponse<'a> {
    /// The answers, in the order of the request.
    pub results: List<'a, WriteResult>,
}

/// UnconfirmedWriteRequest: a write that is not answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnconfirmedWriteRequest<'a> {
    /// What to write.
    pub variables: List<'a, VariableAccess<'a>>,
    /// The values, in the same order.
    pub values: List<'a, Data<'a>>,
}

/// InformationReport: variables that a meter sends unasked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InformationReport<'a> {
    /// When it was made: GeneralizedTime, ASCII `YYYYMMDDHHMMSS…`. Few meters send it.
    pub time: Option<&'a [u8]>,
    /// What is reported.
    pub variables: List<'a, VariableAccess<'a>>,
    /// The values, in the same order.
    pub values: List<'a, Data<'a>>,
}

codec!(
    ReadRequest<'a>,
    ReadResponse<'a>,
    WriteRequest<'a>,
    WriteResponse<'a>,
    UnconfirmedWriteRequest<'a>,
    InformationReport<'a>,
);

impl<'a> Wire<'a> for ReadRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("read-request", tag::READ_REQUEST)?;
        Ok(Self { variables: List::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::READ_REQUEST)?;
        self.variables.write(writer)
    }
}

impl<'a> Wire<'a> for ReadResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("read-response", tag::READ_RESPONSE)?;
        Ok(Self { results: List::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::READ_RESPONSE)?;
        self.results.write(writer)
    }
}

impl<'a> Wire<'a> for WriteRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("write-request", tag::WRITE_REQUEST)?;
        Ok(Self { variables: List::read(cursor)?, values: List::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::WRITE_REQUEST)?;
        self.variables.write(writer)?;
        self.values.write(writer)
    }
}

impl<'a> Wire<'a> for WriteResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("write-response", tag::WRITE_RESPONSE)?;
        Ok(Self { results: List::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::WRITE_RESPONSE)?;
        self.results.write(writer)
    }
}

impl<'a> Wire<'a> for UnconfirmedWriteRequest<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("unconfirmed-write-request", tag::UNCONFIRMED_WRITE_REQUEST)?;
        Ok(Self { variables: List::read(cursor)?, values: List::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::UNCONFIRMED_WRITE_REQUEST)?;
        self.variables.write(writer)?;
        self.values.write(writer)
    }
}

impl<'a> Wire<'a> for InformationReport<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("information-report-request", tag::INFORMATION_REPORT)?;
        let time = if cursor.present()? { Some(cursor.octet_string("generalized time")?) } else { None };
        Ok(Self { time, variables: List::read(cursor)?, values: List::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(tag::INFORMATION_REPORT)?;
        writer.present(self.time.is_some())?;
        if let Some(time) = self.time {
            writer.octet_string(time)?;
        }
        self.variables.write(writer)?;
        self.values.write(writer)
    }
}
