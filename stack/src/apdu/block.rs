//! Parts of values and APDUs that are too long for one APDU.

use core::fmt;

use crate::axdr::{BufferFull, Writer};
use crate::wire::{Cursor, Refused, Wire, codec};

use super::{DataAccessResult, tag};

/// DataBlock-SA: one part of what SET or ACTION carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataBlock<'a> {
    /// Whether this is the last part.
    pub last: bool,
    /// Number of the part, from 1.
    pub number: u32,
    /// The octets of the part.
    pub raw: &'a [u8],
}

impl<'a> Wire<'a> for DataBlock<'a> {
    const SMALLEST: usize = 6;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        Ok(Self { last: cursor.boolean()?, number: cursor.u32()?, raw: cursor.octet_string("data block")? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(u8::from(self.last))?;
        writer.u32(self.number)?;
        writer.octet_string(self.raw)
    }
}

/// What a block of a GET response carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockResult<'a> {
    /// The octets of the part.
    Raw(&'a [u8]),
    /// Why the transfer ends.
    Error(DataAccessResult),
}

impl<'a> Wire<'a> for BlockResult<'a> {
    const SMALLEST: usize = 2;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        match cursor.u8()? {
            0 => cursor.octet_string("data block").map(Self::Raw),
            1 => DataAccessResult::read(cursor).map(Self::Error),
            found => Err(cursor.unexpected(at, "data block result", found)),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Raw(raw) => {
                writer.u8(0)?;
                writer.octet_string(raw)
            }
            Self::Error(result) => writer.bytes(&[1, result.code()]),
        }
    }
}

/// Block-control of general block transfer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockControl(pub u8);

impl BlockControl {
    const LAST: u8 = 0x80;
    const STREAMING: u8 = 0x40;
    const WINDOW: u8 = 0x3F;

    /// The octet; `window` is cut to its six bits.
    #[must_use]
    pub const fn new(last: bool, streaming: bool, window: u8) -> Self {
        let mut octet = window & Self::WINDOW;
        if last {
            octet |= Self::LAST;
        }
        if streaming {
            octet |= Self::STREAMING;
        }
        Self(octet)
    }

    /// Whether this is the sender's last block.
    #[must_use]
    pub const fn is_last(self) -> bool {
        self.0 & Self::LAST != 0
    }

    /// Whether more blocks follow without an acknowledgement.
    #[must_use]
    pub const fn is_streaming(self) -> bool {
        self.0 & Self::STREAMING != 0
    }

    /// Blocks that the sender of this APDU is ready to receive in one burst, 0 to 63.
    #[must_use]
    pub const fn window(self) -> u8 {
        self.0 & Self::WINDOW
    }
}

impl fmt::Debug for BlockControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockControl")
            .field("last", &self.is_last())
            .field("streaming", &self.is_streaming())
            .field("window", &self.window())
            .finish()
    }
}

/// General-block-transfer: one part of a whole APDU, plain or ciphered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralBlockTransfer<'a> {
    /// Last block, streaming, window.
    pub control: BlockControl,
    /// Number of this block, from 1, counted per direction.
    pub number: u16,
    /// The highest number received in sequence; 0 before the first.
    pub acknowledged: u16,
    /// The octets of the part; none in a pure acknowledgement.
    pub data: &'a [u8],
}

codec!(GeneralBlockTransfer<'a>);

impl<'a> Wire<'a> for GeneralBlockTransfer<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        cursor.require("general-block-transfer", tag::GENERAL_BLOCK_TRANSFER)?;
        Ok(Self {
            control: BlockControl(cursor.u8()?),
            number: cursor.u16()?,
            acknowledged: cursor.u16()?,
            data: cursor.octet_string("block data")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.bytes(&[tag::GENERAL_BLOCK_TRANSFER, self.control.0])?;
        writer.u16(self.number)?;
        writer.u16(self.acknowledged)?;
        writer.octet_string(self.data)
    }
}
