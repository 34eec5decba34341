//! Octets of unknown kind as an annotated tree.

use dlms::apdu::Apdu;
use dlms::axdr::Data;
use serde_json::{Value, json};

use crate::complaint::Complaint;
use crate::gbt;
use crate::line::{Line, LineApdu, LineReading};
use crate::open::{Keys, Opened, open};
use crate::p1;
use crate::record::Direction;
use crate::tree::{Place, Tree, apdu};

/// Everything that could be read.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Frames, APDUs and values in the order of their offsets, each with a name.
    parts: Vec<(&'static str, Tree)>,
    /// Names of departures from the standard that were understood all the same.
    deviations: Vec<&'static str>,
    /// Values with the OBIS codes that a push states.
    readings: Vec<Value>,
    /// Why the rest could not be read.
    pub complaint: Option<Complaint>,
}

impl Decoded {
    /// For people: offset, name and value, a line each.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.parts.iter().for_each(|(name, tree)| tree.write_text(&mut text, name, 0));
        for deviation in &self.deviations {
            text.push_str(&format!("deviates from the standard: {deviation}\n"));
        }
        for reading in &self.readings {
            text.push_str(&format!("reading {reading}\n"));
        }
        text
    }

    /// For programs: one object.
    pub fn to_json(&self) -> Value {
        json!({
            "parts": self.parts.iter().map(|(name, tree)| tree.to_annotated_json(name)).collect::<Vec<_>>(),
            "deviations": self.deviations,
            "readings": self.readings,
            "error": self.complaint,
        })
    }
}

/// Reads `octets`, whatever they are.
pub fn decode(octets: &[u8], mut keys: Keys) -> Decoded {
    let mut decoded = Decoded::default();
    if let Err(complaint) = read(octets, &mut keys, &mut decoded) {
        decoded.complaint = Some(complaint);
    }
    decoded
}

fn read(octets: &[u8], keys: &mut Keys, decoded: &mut Decoded) -> Result<(), Complaint> {
    let mut line = LineReading::default();
    let outcome = match octets {
        [0x7E, ..] => Line::default().hdlc(octets, &mut line),
        [0x68, _, _, 0x68, ..] => Line::default().mbus(octets, &mut line),
        [0x00, 0x01, ..] => Line::wrapper(octets, &mut line),
        [0x90, 0x01, 0x01, ..] => Line::plc(octets, &mut line),
        [b'/', ..] => {
            let telegram = Tree::from(p1::explained(octets)?);
            decoded.parts.push(("p1", telegram.at(0)));
            return Ok(());
        }
        _ => {
            Line::bare(octets, &mut line);
            Ok(())
        }
    };
    let frames = line.link.drain(..).map(|(offset, entry)| ("frame", Tree::from(entry).at(offset)));
    decoded.parts.extend(frames);
    let mut transfer = gbt::Joiner::default();
    for apdu in &line.apdus {
        read_apdu(apdu, keys, &mut transfer, decoded).or_else(|complaint| value(apdu, decoded).ok_or(complaint))?;
    }
    if !line.trailing.is_empty() {
        let offset = octets.len() - line.trailing.len();
        decoded.parts.push(("trailing-octets", Tree::hex(&line.trailing).at(offset)));
    }
    if line.segment {
        decoded.parts.push(("segment", Tree::from("more segments are needed")));
    }
    outcome
}

fn read_apdu(
    apdu: &LineApdu,
    keys: &mut Keys,
    transfer: &mut gbt::Joiner,
    decoded: &mut Decoded,
) -> Result<(), Complaint> {
    let opened = open(keys, &apdu.octets, apdu.offset, Direction::Unknown)?;
    push(opened, decoded);
    if let Ok(Apdu::GeneralBlockTransfer(block)) = Apdu::decode(&apdu.octets)
        && let (gbt::Step::Complete(joined), _) = transfer.push(&block)?
    {
        push(open(keys, &joined, 0, Direction::Unknown)?, decoded);
    }
    Ok(())
}

fn push(opened: Opened, decoded: &mut Decoded) {
    decoded.deviations.extend(opened.deviations.iter().map(|deviation| deviation.name()));
    decoded.readings.extend(opened.explained);
    decoded.parts.extend(opened.tree.map(|tree| ("apdu", tree)));
    decoded.parts.extend(opened.p1.map(|telegram| ("p1", Tree::from(telegram))));
}

/// Octets that are no APDU may be a bare A-XDR value.
fn value(octets: &LineApdu, decoded: &mut Decoded) -> Option<()> {
    let value = Data::from_slice(&octets.octets).ok()?;
    decoded.parts.push(("value", apdu::value(&value, Place::new(&octets.octets, octets.offset)).at(octets.offset)));
    Some(())
}
