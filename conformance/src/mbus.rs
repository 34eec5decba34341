//! Wired M-Bus long frames as the corpus describes them; the stack reads them.

use dlms::mbus::{Frame, FrameError, Joiner, SegmentError};
use serde_json::{Value, json};

use crate::complaint::Complaint;
use crate::record::Layer;

/// The longest APDU that is joined, in octets.
const APDU_MAX: usize = 0x1_0000;

/// Reads the frame at the start of `octets` and returns what follows it.
pub fn parse(octets: &[u8]) -> Result<(Frame<'_>, &[u8]), Complaint> {
    Frame::parse(octets).map_err(|error| {
        let layer = if let FrameError::Checksum { .. } = error { Layer::LinkCheck } else { Layer::LinkFraming };
        Complaint::new(layer, error)
    })
}

/// The link entry of a corpus record.
pub fn to_json(frame: &Frame<'_>) -> Value {
    json!({
        "C": format!("{:02x}", frame.control()),
        "A": format!("{:02x}", frame.address()),
        "CI": format!("{:02x}", frame.control_information()),
        "stsap": frame.route().source,
        "dtsap": frame.route().destination,
        // The length octet: C, A, CI and the access points count.
        "length": frame.length(),
    })
}

/// Joins segments to an APDU.
#[derive(Debug)]
pub struct Segments(Joiner<Vec<u8>>);

impl Default for Segments {
    fn default() -> Self {
        Self(Joiner::new(vec![0; APDU_MAX]))
    }
}

impl Segments {
    /// Adds a segment; gives the APDU when it was the last one.
    pub fn push(&mut self, frame: &Frame<'_>) -> Result<Option<Vec<u8>>, Complaint> {
        let complete = self.0.push(frame).map_err(|error: SegmentError| Complaint::new(Layer::Transfer, error))?;
        Ok(complete.then(|| self.0.apdu().to_vec()))
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
        [&[0x68, length, length, 0x68][..], &body, &[sum, 0x16]].concat()
    }

    #[test]
    fn two_segments_make_one_apdu() {
        let octets = [frame(0x00, &[0x0F, 0x00]), frame(0x11, &[0x01])].concat();
        let (first, rest) = parse(&octets).unwrap();
        let (second, rest) = parse(rest).unwrap();
        assert!(rest.is_empty());
        let mut segments = Segments::default();
        assert_eq!(segments.push(&first), Ok(None));
        assert_eq!(segments.push(&second), Ok(Some(vec![0x0F, 0x00, 0x01])));
        assert_eq!(to_json(&first)["length"], 7);
    }

    #[test]
    fn every_broken_frame_names_its_layer() {
        let good = frame(0x00, &[1, 2, 3]);
        for length in 0..good.len() {
            assert_eq!(parse(&good[..length]).unwrap_err().layer, Layer::LinkFraming, "{length}");
        }
        let mut noisy = good.clone();
        noisy[6] ^= 1;
        assert_eq!(parse(&noisy).unwrap_err().layer, Layer::LinkCheck);
        let mut segments = Segments::default();
        let skipping = frame(0x02, &[1]);
        assert_eq!(segments.push(&parse(&skipping).unwrap().0).unwrap_err().layer, Layer::Transfer);
    }
}
