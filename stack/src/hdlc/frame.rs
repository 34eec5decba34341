//! Frames of format type 3 (IEC 62056-46): a view on received octets, and a value to be sent.

use thiserror::Error;

use super::address::Address;
use super::control::Control;
use super::fcs::Fcs;
use crate::axdr::{BufferFull, Writer};

/// The octet that opens and closes every frame. There is no transparency: it may occur anywhere inside.
pub const FLAG: u8 = 0x7E;

/// The largest value of the length field: all octets between the flags.
pub const LENGTH_MAX: usize = 0x07FF;

/// Octets of the largest frame with its flags: the size a transmit buffer needs at most.
pub const FRAME_MAX: usize = LENGTH_MAX + 2;

/// Octets that a frame with information takes beyond it, flags not counted, with two addresses of four octets.
pub const OVERHEAD_MAX: usize = 2 + 2 * Address::OCTETS_MAX + 1 + 2 + 2;

/// The smallest length: format, two addresses, control, check sequence.
pub(super) const LENGTH_MIN: usize = 7;

/// Type 3 in the highest four bits of the format field.
const TYPE_3: u16 = 0xA000;
/// The segmentation bit of the format field.
const SEGMENTED: u16 = 0x0800;
/// Format, addresses, control, header check sequence.
const HEADER_MAX: usize = 2 + 2 * Address::OCTETS_MAX + 1 + 2;

/// Why octets are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The format field does not name type 3.
    #[error("format field {format:#06x} is not of type 3")]
    Format {
        /// The format field.
        format: u16,
    },
    /// The length field is smaller than the fields that every frame has, or leaves no place for both check sequences.
    #[error("impossible length {length}")]
    Length {
        /// The length field.
        length: usize,
    },
    /// The frame is longer than the receiver holds.
    #[error("frame of {length} octets, limit {limit}")]
    TooLong {
        /// The length field.
        length: usize,
        /// Octets that fit.
        limit: usize,
    },
    /// The octets between the flags are not as many as the length field says, or did not arrive in time.
    #[error("incomplete frame: {length} octets announced, {available} there")]
    Incomplete {
        /// The length field; 0 when it did not arrive.
        length: usize,
        /// Octets that are there.
        available: usize,
    },
    /// An address of three octets, or of more than four.
    #[error("address of three or more than four octets")]
    Address,
    /// The header check sequence is wrong.
    #[error("wrong header check sequence")]
    HeaderCheck,
    /// The frame check sequence is wrong.
    #[error("wrong frame check sequence")]
    FrameCheck,
    /// No flag follows where the length field says that the frame ends.
    #[error("no closing flag")]
    ClosingFlag,
}

/// The fields before the information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The length field.
    pub(super) length: usize,
    /// Octets up to and with the control field.
    pub(super) octets: usize,
    segmented: bool,
    destination: Address,
    source: Address,
    control: Control,
}

impl Header {
    /// The header at the start of `bytes`, which begin after the opening flag; `None` while more octets are needed. Its
    /// check sequence is verified, where there is one.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some((format, rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let format = u16::from_be_bytes(*format);
        if format & 0xF000 != TYPE_3 {
            return Err(FrameError::Format { format });
        }
        let length = usize::from(format) & LENGTH_MAX;
        if length < LENGTH_MIN {
            return Err(FrameError::Length { length });
        }
        let Some((destination, destination_octets)) = Address::parse(rest)? else { return Ok(None) };
        let rest = rest.get(destination_octets..).unwrap_or_default();
        let Some((source, source_octets)) = Address::parse(rest)? else { return Ok(None) };
        let Some(control) = rest.get(source_octets) else { return Ok(None) };
        let octets = 3_usize.saturating_add(destination_octets).saturating_add(source_octets);
        match length.checked_sub(octets) {
            // No information: the frame check sequence is the only one.
            Some(2) => {}
            None | Some(0 | 1 | 3) => return Err(FrameError::Length { length }),
            Some(_) => {
                let Some(checked) = bytes.get(..octets.saturating_add(2)) else { return Ok(None) };
                if !Fcs::new().update(checked).is_valid() {
                    return Err(FrameError::HeaderCheck);
                }
            }
        }
        Ok(Some(Self {
            length,
            octets,
            segmented: format & SEGMENTED != 0,
            destination,
            source,
            control: Control::from_byte(*control),
        }))
    }

    /// Octets before the information: the header's own check sequence is there only with information.
    const fn information_at(&self) -> usize {
        if self.length == self.octets.saturating_add(2) { self.octets } else { self.octets.saturating_add(2) }
    }

    /// Verifies the frame's check sequence over `bytes`, which are as many as the length field says.
    #[inline]
    pub(super) fn verify(&self, bytes: &[u8]) -> Result<(), FrameError> {
        let start = self.information_at();
        let fcs = if start == self.octets {
            Fcs::new().update(bytes)
        } else {
            // The header was found right when it was parsed; the register after it is known.
            Fcs::after_valid().update(bytes.get(start..).unwrap_or_default())
        };
        if fcs.is_valid() { Ok(()) } else { Err(FrameError::FrameCheck) }
    }

    /// A view on `bytes`, which were verified.
    #[inline]
    pub(super) fn view(self, bytes: &[u8]) -> Frame<'_> {
        let end = bytes.len().saturating_sub(2);
        Frame { header: self, information: bytes.get(self.information_at()..end).unwrap_or_default(), octets: bytes }
    }
}

/// A view on one received frame. Once [`new_checked`](Self::new_checked) has returned it, nothing about it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    header: Header,
    information: &'a [u8],
    octets: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Checks `octets`, which are all those between the two flags: format, length, addresses, both check sequences.
    ///
    /// # Errors
    /// The first rule of [`FrameError`] that is broken.
    #[inline]
    pub fn new_checked(octets: &'a [u8]) -> Result<Self, FrameError> {
        let available = octets.len();
        let Some(header) = Header::parse(octets)? else {
            return Err(FrameError::Incomplete { length: 0, available });
        };
        if header.length != available {
            return Err(FrameError::Incomplete { length: header.length, available });
        }
        header.verify(octets)?;
        Ok(header.view(octets))
    }

    /// Who it is for.
    #[must_use]
    pub const fn destination(&self) -> Address {
        self.header.destination
    }

    /// Who sent it.
    #[must_use]
    pub const fn source(&self) -> Address {
        self.header.source
    }

    /// What it is.
    #[must_use]
    pub const fn control(&self) -> Control {
        self.header.control
    }

    /// Whether more segments of the same APDU follow.
    #[must_use]
    pub const fn is_segmented(&self) -> bool {
        self.header.segmented
    }

    /// The information field.
    #[must_use]
    pub const fn information(&self) -> &'a [u8] {
        self.information
    }

    /// All octets between the flags.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The same frame as a value.
    #[must_use]
    pub const fn repr(&self) -> Repr<'a> {
        Repr {
            destination: self.header.destination,
            source: self.header.source,
            control: self.header.control,
            segmented: self.header.segmented,
            information: self.information,
        }
    }
}

/// A frame as a value: to be compared, shown or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    /// Who it is for.
    pub destination: Address,
    /// Who sends it.
    pub source: Address,
    /// What it is.
    pub control: Control,
    /// Whether more segments of the same APDU follow.
    pub segmented: bool,
    /// The information field; empty: none.
    pub information: &'a [u8],
}

impl Repr<'_> {
    /// The value of the length field; over [`LENGTH_MAX`] the frame cannot be sent.
    #[must_use]
    pub const fn length(&self) -> usize {
        let header =
            3_usize.saturating_add(self.destination.width().octets()).saturating_add(self.source.width().octets());
        let checks: usize = if self.information.is_empty() { 2 } else { 4 };
        header.saturating_add(checks).saturating_add(self.information.len())
    }

    /// Octets on the line, flags included.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        self.length().saturating_add(2)
    }

    /// Writes the frame with its flags.
    ///
    /// # Errors
    /// [`BufferFull`], also for a frame over [`LENGTH_MAX`].
    pub fn emit(&self, out: &mut Writer<'_>) -> Result<(), BufferFull> {
        let length = self.length();
        if length > LENGTH_MAX || out.free() < self.encoded_len() {
            return Err(BufferFull);
        }
        let format = TYPE_3 | if self.segmented { SEGMENTED } else { 0 } | (length as u16);
        let mut header = [0; HEADER_MAX];
        let mut writer = Writer::new(&mut header);
        writer.u16(format)?;
        for (bytes, count) in [self.destination.to_bytes(), self.source.to_bytes()] {
            writer.bytes(bytes.get(..count).unwrap_or_default())?;
        }
        writer.u8(self.control.to_byte())?;
        let mut fcs = Fcs::new().update(writer.written());
        if !self.information.is_empty() {
            writer.bytes(&fcs.to_bytes())?;
            fcs = Fcs::after_valid().update(self.information);
        }
        out.u8(FLAG)?;
        out.bytes(writer.written())?;
        out.bytes(self.information)?;
        out.bytes(&fcs.to_bytes())?;
        out.u8(FLAG)
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Width;
    use super::super::control::{Kind, Sequence};
    use super::*;
    use hex_literal::hex;
    use std::vec::Vec;

    fn client(sap: u16) -> Address {
        Address::client(sap).unwrap()
    }

    fn emitted(repr: &Repr<'_>) -> Vec<u8> {
        let mut out = [0; FRAME_MAX];
        let mut writer = Writer::new(&mut out);
        repr.emit(&mut writer).unwrap();
        assert_eq!(writer.len(), repr.encoded_len());
        writer.written().to_vec()
    }

    fn parsed(flagged: &[u8]) -> Frame<'_> {
        Frame::new_checked(&flagged[1..flagged.len() - 1]).unwrap()
    }

    #[test]
    fn a_published_snrm() {
        let snrm = Repr {
            destination: client(1),
            source: client(16),
            control: Control::with_poll_final(Kind::Snrm),
            segmented: false,
            information: &[],
        };
        assert_eq!(emitted(&snrm), hex!("7EA0070321930F017E"));
        assert_eq!(parsed(&hex!("7EA0070321930F017E")).repr(), snrm);
    }

    #[test]
    fn a_published_segment() {
        let segment = Repr {
            destination: client(16),
            source: client(1),
            control: Control::with_poll_final(Kind::I { send: Sequence::ZERO, receive: Sequence::new(1) }),
            segmented: true,
            information: &hex!("E6E700C401C100020109040A0B"),
        };
        let octets = hex!("7EA816210330A4B5E6E700C401C100020109040A0B4B9A7E");
        assert_eq!(emitted(&segment), octets);
        assert_eq!(parsed(&octets).repr(), segment);
    }

    /// Every length that eleven bits hold, in every width of address, and every octet of the longest damaged.
    #[test]
    fn lesson_06_and_07_every_length_in_every_address_width() {
        let information: Vec<u8> = (0..LENGTH_MAX).map(|n| (n * 7) as u8).collect();
        let control =
            Control { kind: Kind::I { send: Sequence::new(5), receive: Sequence::new(2) }, poll_final: false };
        for width in Width::ALL {
            let lower = if width == Width::One { 0 } else { 17 };
            let server = Address::new(1, lower, width).unwrap();
            for (destination, source) in [(server, client(16)), (client(16), server)] {
                let mut lengths = 0;
                for length in 0..information.len() {
                    let repr =
                        Repr { destination, source, control, segmented: true, information: &information[..length] };
                    if repr.length() > LENGTH_MAX {
                        let mut out = [0; FRAME_MAX + 8];
                        assert_eq!(repr.emit(&mut Writer::new(&mut out)), Err(BufferFull));
                        continue;
                    }
                    let octets = emitted(&repr);
                    assert_eq!(parsed(&octets).repr(), repr);
                    lengths += 1;
                }
                assert_eq!(lengths, LENGTH_MAX - (4 + 4 + width.octets()) + 1);
            }
        }
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let frame = hex!("A0190321326FD8E6E600C001C100080000010000FF0200601A");
        for octet in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame;
                damaged[octet] ^= 1 << bit;
                assert!(Frame::new_checked(&damaged).is_err(), "octet {octet} bit {bit}");
            }
        }
    }

    #[test]
    fn the_broken_rule_is_named() {
        let error = |octets: &[u8]| Frame::new_checked(octets).unwrap_err();
        assert_eq!(error(&[]), FrameError::Incomplete { length: 0, available: 0 });
        assert_eq!(error(&hex!("90070321930F01")), FrameError::Format { format: 0x9007 });
        assert_eq!(error(&hex!("A0060321930F01")), FrameError::Length { length: 6 });
        assert_eq!(error(&hex!("A00A0321930F02000000")), FrameError::HeaderCheck);
        assert_eq!(error(&hex!("A0080321930F01")), FrameError::Length { length: 8 });
        assert_eq!(error(&hex!("A0070321930F0100")), FrameError::Incomplete { length: 7, available: 8 });
        assert_eq!(error(&hex!("A009020203219300 00")), FrameError::Address);
        assert_eq!(error(&hex!("A0070321930F02")), FrameError::FrameCheck);
        assert_eq!(error(&hex!("A0190321326FD9E6E600C001C100080000010000FF0200601A")), FrameError::HeaderCheck);
    }

    #[test]
    fn an_empty_information_field_with_both_checks_is_accepted() {
        let head = hex!("A009032110");
        let fcs = Fcs::new().update(&head);
        let mut octets = head.to_vec();
        octets.extend_from_slice(&fcs.to_bytes());
        octets.extend_from_slice(&fcs.update(&fcs.to_bytes()).to_bytes());
        let frame = Frame::new_checked(&octets).unwrap();
        assert!(frame.information().is_empty());
        assert_eq!(frame.control().to_byte(), 0x10);
    }
}
