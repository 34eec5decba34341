//! Wired M-Bus long frames (EN 13757-2) that carry a DLMS APDU in segments (EN 13757-1).

use serde_json::{Value, json};

use crate::complaint::Complaint;
use crate::record::Layer;

/// Start octet of a long frame.
const START: u8 = 0x68;
/// Last octet of a frame.
const STOP: u8 = 0x16;
/// CI bit that marks the last segment; the low four bits count segments.
const LAST_SEGMENT: u8 = 0x10;

/// One long frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    control: u8,
    address: u8,
    information: u8,
    source: u8,
    destination: u8,
    /// APDU octets of this segment.
    pub segment: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of `octets` and returns what follows it.
    pub fn parse(octets: &'a [u8]) -> Result<(Self, &'a [u8]), Complaint> {
        let framing = |message: &str| Complaint::new(Layer::LinkFraming, message);
        let (&[start, length, repeated, second], rest) =
            octets.split_first_chunk().ok_or_else(|| framing("shorter than a long frame's header"))?;
        if start != START || second != START || length != repeated {
            return Err(framing("no long frame header 68 L L 68"));
        }
        let (body, rest) =
            rest.split_at_checked(usize::from(length)).ok_or_else(|| framing("ends inside the frame"))?;
        let (&[checksum, stop], rest) = rest.split_first_chunk().ok_or_else(|| framing("ends before the checksum"))?;
        if stop != STOP {
            return Err(framing("no stop octet 16 at the announced length"));
        }
        let computed = body.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet));
        if checksum != computed {
            return Err(Complaint::new(
                Layer::LinkCheck,
                format_args!("checksum sent {checksum:02x}, computed {computed:02x}"),
            ));
        }
        let (&[control, address, information, source, destination], segment) =
            body.split_first_chunk().ok_or_else(|| framing("no room for C, A, CI and the access points"))?;
        Ok((Self { control, address, information, source, destination, segment }, rest))
    }

    /// The link entry of a corpus record.
    pub fn to_json(&self) -> Value {
        json!({
            "C": format!("{:02x}", self.control),
            "A": format!("{:02x}", self.address),
            "CI": format!("{:02x}", self.information),
            "stsap": self.source,
            "dtsap": self.destination,
            // The length octet: C, A, CI and the access points count.
            "length": self.segment.len() + 5,
        })
    }

    /// True for the last segment of an APDU.
    pub fn is_last(&self) -> bool {
        self.information & LAST_SEGMENT != 0
    }

    /// Number of the segment, from 0, modulo 16.
    pub fn number(&self) -> u8 {
        self.information & 0x0F
    }
}

/// Joins segments to an APDU.
#[derive(Debug, Default)]
pub struct Joiner {
    apdu: Vec<u8>,
    next: u8,
}

impl Joiner {
    /// Adds a segment; gives the APDU when it was the last one.
    pub fn push(&mut self, frame: &Frame<'_>) -> Result<Option<Vec<u8>>, Complaint> {
        if frame.number() == 0 {
            self.apdu.clear();
        } else if frame.number() != self.next {
            return Err(Complaint::new(
                Layer::Transfer,
                format_args!("segment {} instead of {}", frame.number(), self.next),
            ));
        }
        self.apdu.extend_from_slice(frame.segment);
        self.next = (frame.number() + 1) & 0x0F;
        Ok(frame.is_last().then(|| std::mem::take(&mut self.apdu)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(information: u8, segment: &[u8]) -> Vec<u8> {
        let mut body = vec![0x53, 0xFF, information, 0x01, 0x67];
        body.extend_from_slice(segment);
        let length = u8::try_from(body.len()).unwrap();
        let sum = body.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet));
        [&[START, length, length, START][..], &body, &[sum, STOP]].concat()
    }

    #[test]
    fn two_segments_make_one_apdu() {
        let octets = [frame(0x00, &[0x0F, 0x00]), frame(0x11, &[0x01])].concat();
        let (first, rest) = Frame::parse(&octets).unwrap();
        let (second, rest) = Frame::parse(rest).unwrap();
        assert!(rest.is_empty());
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(&first), Ok(None));
        assert_eq!(joiner.push(&second), Ok(Some(vec![0x0F, 0x00, 0x01])));
        assert_eq!(first.to_json()["length"], 7);
    }

    #[test]
    fn every_broken_frame_names_its_layer() {
        let good = frame(0x00, &[1, 2, 3]);
        for length in 0..good.len() {
            assert_eq!(Frame::parse(&good[..length]).unwrap_err().layer, Layer::LinkFraming, "{length}");
        }
        let mut noisy = good.clone();
        noisy[6] ^= 1;
        assert_eq!(Frame::parse(&noisy).unwrap_err().layer, Layer::LinkCheck);
        let mut joiner = Joiner::default();
        let skipping = frame(0x02, &[1]);
        assert_eq!(joiner.push(&Frame::parse(&skipping).unwrap().0).unwrap_err().layer, Layer::Transfer);
    }
}
