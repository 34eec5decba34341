//! One long frame.

use thiserror::Error;

use super::Route;

/// The octet that begins a long frame, twice.
pub const START: u8 = 0x68;
/// The last octet of a frame.
pub const STOP: u8 = 0x16;
/// Octets of the longest frame, also of one whose length octet has run over.
pub const FRAME_MAX: usize = HEADER + 255 + 256 + TRAILER;

/// 68 L L 68.
const HEADER: usize = 4;
/// Sum and stop octet.
const TRAILER: usize = 2;
/// C, A, CI and the two access points.
const FIELDS: usize = 5;
/// CI bit of the last segment; the low four bits count.
const LAST_SEGMENT: u8 = 0x10;

/// Why octets are not a long frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// More octets are needed.
    #[error("ends inside the frame: {needed} octet(s) needed, {available} there")]
    Truncated {
        /// Octets that the frame takes, as far as it is known.
        needed: usize,
        /// Octets that are there.
        available: usize,
    },
    /// Not `68 L L 68`.
    #[error("no long frame header 68 L L 68")]
    Header,
    /// The length leaves no place for C, A, CI and the access points.
    #[error("a length of {length} leaves no place for the access points")]
    Length {
        /// The length octet.
        length: u8,
    },
    /// The sum is wrong.
    #[error("checksum sent {found:02x}, computed {computed:02x}")]
    Checksum {
        /// As sent.
        found: u8,
        /// As it should be.
        computed: u8,
    },
    /// No 16 where the frame ends.
    #[error("no stop octet 16 at the announced length")]
    Stop,
    /// The frame is longer than the storage.
    #[error("a frame of {length} octets, limit {limit}")]
    TooLong {
        /// Octets of the frame.
        length: usize,
        /// Octets that fit.
        limit: usize,
    },
}

/// A view on one long frame that carries a segment of an APDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    fields: [u8; FIELDS],
    /// Octets of the APDU.
    pub segment: &'a [u8],
    length: u8,
}

/// How many octets the frame at the start of `octets` takes. With `overrun` a length that is too small for any frame is
/// taken as 256 more: there are meters that fill 257 octets and send 01.
pub(super) fn frame_octets(octets: &[u8], overrun: bool) -> Result<usize, FrameError> {
    let &[start, length, repeated, second] =
        octets.first_chunk().ok_or(FrameError::Truncated { needed: HEADER, available: octets.len() })?;
    if start != START || second != START || length != repeated {
        return Err(FrameError::Header);
    }
    let body = match usize::from(length) {
        short if short < FIELDS && overrun => short.saturating_add(256),
        short if short < FIELDS => return Err(FrameError::Length { length }),
        body => body,
    };
    Ok(HEADER.saturating_add(body).saturating_add(TRAILER))
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of `octets`; returns it and what follows it.
    ///
    /// # Errors
    /// The first rule of [`FrameError`] that is broken.
    pub fn parse(octets: &'a [u8]) -> Result<(Self, &'a [u8]), FrameError> {
        Self::parse_with(octets, false)
    }

    /// As [`parse`](Self::parse), and accepts a length octet that has run over: see
    /// [`Deviation::MbusLengthOverrun`](crate::deviation::Deviation::MbusLengthOverrun). [`is_overrun`](Self::is_overrun)
    /// says whether it had.
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_lenient(octets: &'a [u8]) -> Result<(Self, &'a [u8]), FrameError> {
        Self::parse_with(octets, true)
    }

    pub(super) fn parse_with(octets: &'a [u8], overrun: bool) -> Result<(Self, &'a [u8]), FrameError> {
        let needed = frame_octets(octets, overrun)?;
        let truncated = FrameError::Truncated { needed, available: octets.len() };
        let (whole, rest) = octets.split_at_checked(needed).ok_or(truncated)?;
        let length = whole.get(1).copied().unwrap_or_default();
        let inner = whole.get(HEADER..).unwrap_or_default();
        let (body, &[found, stop]) = inner.split_last_chunk().ok_or(truncated)?;
        if stop != STOP {
            return Err(FrameError::Stop);
        }
        let computed = body.iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
        if found != computed {
            return Err(FrameError::Checksum { found, computed });
        }
        let (fields, segment) = body.split_first_chunk().ok_or(FrameError::Length { length })?;
        Ok((Self { fields: *fields, segment, length }, rest))
    }

    /// The control field: 53 or 73, SND-UD.
    #[must_use]
    pub const fn control(&self) -> u8 {
        self.fields[0]
    }

    /// The address field; FF: everybody.
    #[must_use]
    pub const fn address(&self) -> u8 {
        self.fields[1]
    }

    /// The control information field.
    #[must_use]
    pub const fn control_information(&self) -> u8 {
        self.fields[2]
    }

    /// Who sends it, and to which access point.
    #[must_use]
    pub const fn route(&self) -> Route {
        Route { address: self.fields[1], source: self.fields[3], destination: self.fields[4] }
    }

    /// Whether the APDU is complete with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.control_information() & LAST_SEGMENT != 0
    }

    /// Number of the segment, from 0, modulo 16.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.control_information() & 0x0F
    }

    /// Whether the length octet has run over.
    #[must_use]
    pub const fn is_overrun(&self) -> bool {
        (self.length as usize) < FIELDS
    }

    /// Octets from C to the end of the APDU.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.segment.len().saturating_add(FIELDS)
    }
}
