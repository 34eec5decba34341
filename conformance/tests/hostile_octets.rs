//! No octets, however damaged, bring the decoder down: it decodes or refuses.

use std::path::Path;

use dlms_conformance::corpus;
use dlms_conformance::decode::decode;
use dlms_conformance::line::{Line, LineReading};
use dlms_conformance::open::{Keys, open};
use dlms_conformance::record::{Direction, Kind, Record};

fn records() -> Vec<Record> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = corpus::read(&folder).expect("the corpus");
    // A few of each file: all kinds of APDUs occur among them.
    files.into_iter().flat_map(|file| file.records.into_iter().step_by(7)).collect()
}

/// Octets that break lengths, counts and tags.
const SPOILERS: [u8; 6] = [0x00, 0x01, 0x7F, 0x80, 0x84, 0xFF];

fn damaged(octets: &[u8], step: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    let cut = (0..octets.len()).step_by(step).map(|length| octets[..length].to_vec());
    let spoilt = (0..octets.len()).step_by(step).flat_map(move |place| {
        SPOILERS.into_iter().map(move |spoiler| {
            let mut octets = octets.to_vec();
            octets[place] = spoiler;
            octets
        })
    });
    cut.chain(spoilt)
}

#[test]
fn damaged_frames_are_decoded_or_refused() {
    for record in records() {
        for octets in damaged(record.hex.as_ref(), 3) {
            let decoded = decode(&octets, Keys::default());
            assert!(!decoded.to_text().is_empty() || decoded.complaint.is_some() || octets.is_empty());
        }
    }
}

/// Behind the check sequences and lengths of the link, with the keys of the record.
#[test]
fn damaged_apdus_are_decoded_or_refused() {
    for record in records() {
        let mut line = LineReading::default();
        let outcome = match record.kind {
            Kind::Hdlc => Line::default().hdlc(record.hex.as_ref(), &mut line),
            _ => Line::wrapper(record.hex.as_ref(), &mut line),
        };
        outcome.expect("a frame of the corpus");
        let keys = record.security.as_ref().map(Keys::new).unwrap_or_default();
        for apdu in &line.apdus {
            for octets in damaged(&apdu.octets, 1 + apdu.octets.len() / 40) {
                // Either way is fine; what counts is that it returns.
                let _ = open(&mut keys.clone(), &octets, 0, Direction::Unknown);
            }
        }
    }
}
