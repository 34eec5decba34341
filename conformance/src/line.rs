//! From the octets of a line to APDUs: HDLC, wrapper, M-Bus, PLC and bare APDUs.

use std::collections::HashMap;

use dlms::hdlc::{FLAG, Frame, FrameError, Kind, LLC_COMMAND, LLC_RESPONSE};
use dlms::wrapper::{self, WrapperError};
use serde_json::{Map, Value, json};

use crate::complaint::Complaint;
use crate::mbus;
use crate::record::Layer;

/// LLC header of IEC 61334-4-32 in front of an APDU on power lines.
const LLC_PLC: [u8; 3] = [0x90, 0x01, 0x01];

/// An APDU as it came off the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineApdu {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Offset in the record; 0 when it was joined from several frames.
    pub offset: usize,
}

/// What a link layer made of the octets of one record.
#[derive(Debug, Default)]
pub struct LineReading {
    /// One entry per frame, with the offset of its first octet behind the flag.
    pub link: Vec<(usize, Value)>,
    /// Complete APDUs.
    pub apdus: Vec<LineApdu>,
    /// The record ends inside a segmented transfer.
    pub segment: bool,
    /// An information frame without information.
    pub empty_information: bool,
    /// Octets behind the last frame.
    pub trailing: Vec<u8>,
}

/// Transfers that several records of an exchange make up together.
#[derive(Debug, Default)]
pub struct Line {
    /// Segments so far, by the two addresses.
    segments: HashMap<(Vec<u8>, Vec<u8>), Vec<u8>>,
    mbus: mbus::Segments,
}

impl Line {
    /// Reads HDLC frames, with their flags. A flag may close one frame and open the next.
    pub fn hdlc(&mut self, octets: &[u8], reading: &mut LineReading) -> Result<(), Complaint> {
        let mut at = 0;
        while at < octets.len() {
            if octets[at] != FLAG {
                if reading.link.is_empty() {
                    return Err(Complaint::new(Layer::LinkFraming, "no flag").at(at));
                }
                reading.trailing = octets[at..].to_vec();
                return Ok(());
            }
            while octets.get(at) == Some(&FLAG) {
                at += 1;
            }
            if at == octets.len() {
                break;
            }
            if !reading.link.is_empty() && octets[at] & 0xF0 != 0xA0 {
                reading.trailing = octets[at..].to_vec();
                return Ok(());
            }
            let frame = frame_at(octets, at).map_err(|error| {
                let layer = match error {
                    FrameError::HeaderCheck | FrameError::FrameCheck => Layer::LinkCheck,
                    _ => Layer::LinkFraming,
                };
                Complaint::new(layer, error).at(at)
            })?;
            self.information(&frame, octets, reading);
            at += frame.octets().len();
        }
        Ok(())
    }

    fn information(&mut self, frame: &Frame<'_>, octets: &[u8], reading: &mut LineReading) {
        let control = frame.control();
        let information = frame.information();
        let mut entry = Map::new();
        let carries_apdu = matches!(control.kind, Kind::I { .. } | Kind::Ui);
        let name = match control.kind {
            Kind::I { send, receive } => {
                format!("I(ns={},nr={},pf={})", send.get(), receive.get(), u8::from(control.poll_final))
            }
            Kind::Rr { receive } => format!("RR(nr={})", receive.get()),
            Kind::Rnr { receive } => format!("RNR(nr={})", receive.get()),
            Kind::Rej { receive } => format!("REJ(nr={})", receive.get()),
            Kind::Snrm => "SNRM".to_owned(),
            Kind::Disc => "DISC".to_owned(),
            Kind::Ua => "UA".to_owned(),
            Kind::Dm => "DM".to_owned(),
            Kind::Frmr => "FRMR".to_owned(),
            Kind::Ui => "UI".to_owned(),
            other => format!("{other:?}"),
        };
        let whole = frame.octets();
        let destination_end = 2 + frame.destination().width().octets();
        let source_end = destination_end + frame.source().width().octets();
        let (destination, source) = (whole[2..destination_end].to_vec(), whole[destination_end..source_end].to_vec());
        entry.insert("frame".to_owned(), json!(name));
        entry.insert("dst".to_owned(), json!(hex::encode(&destination)));
        entry.insert("src".to_owned(), json!(hex::encode(&source)));
        entry.insert("length".to_owned(), json!(frame.octets().len()));
        if frame.is_segmented() {
            entry.insert("segmented".to_owned(), json!(true));
        }
        if carries_apdu {
            let pair = (destination, source);
            let continues = self.segments.contains_key(&pair);
            let llc = (!continues).then(|| llc_header(information)).flatten();
            if let Some(llc) = llc {
                entry.insert("llc".to_owned(), json!(hex::encode(llc)));
            }
            let body = &information[llc.map_or(0, |llc| llc.len())..];
            reading.empty_information |= information.is_empty();
            if frame.is_segmented() || continues {
                let mut joined = self.segments.remove(&pair).unwrap_or_default();
                joined.extend_from_slice(body);
                if frame.is_segmented() {
                    self.segments.insert(pair, joined);
                } else {
                    reading.apdus.push(LineApdu { octets: joined, offset: 0 });
                }
            } else if !body.is_empty() {
                let offset = body.as_ptr().addr() - octets.as_ptr().addr();
                reading.apdus.push(LineApdu { octets: body.to_vec(), offset });
            }
            reading.segment = frame.is_segmented();
        } else if !information.is_empty() {
            entry.insert("information".to_owned(), json!(hex::encode(information)));
        }
        let offset = frame.octets().as_ptr().addr() - octets.as_ptr().addr();
        reading.link.push((offset, Value::Object(entry)));
    }

    /// Reads wrapper headers, each with its APDU.
    pub fn wrapper(octets: &[u8], reading: &mut LineReading) -> Result<(), Complaint> {
        let mut at = 0;
        while at < octets.len() {
            let (header, apdu) = wrapper::decode_datagram(&octets[at..])
                .map_err(|error: WrapperError| Complaint::new(Layer::LinkFraming, error).at(at))?;
            let entry = json!({
                "src_wport": header.source,
                "dst_wport": header.destination,
                "length": header.length,
            });
            reading.link.push((at, entry));
            let offset = at + wrapper::Header::LENGTH;
            reading.apdus.push(LineApdu { octets: apdu.to_vec(), offset });
            at = offset + apdu.len();
        }
        Ok(())
    }

    /// Reads M-Bus long frames; an APDU ends with the segment that is marked as the last.
    pub fn mbus(&mut self, octets: &[u8], reading: &mut LineReading) -> Result<(), Complaint> {
        let mut rest = octets;
        while !rest.is_empty() {
            let (frame, after) = mbus::parse(rest)?;
            reading.link.push((octets.len() - rest.len(), mbus::to_json(&frame)));
            rest = after;
            let apdu = self.mbus.push(&frame)?;
            reading.segment = apdu.is_none();
            reading.apdus.extend(apdu.map(|octets| LineApdu { octets, offset: 0 }));
        }
        if reading.apdus.len() > 1 && reading.segment {
            return Err(Complaint::new(Layer::LinkFraming, "several telegrams and the beginning of another"));
        }
        Ok(())
    }

    /// Takes the LLC header of IEC 61334-4-32 off an APDU.
    pub fn plc(octets: &[u8], reading: &mut LineReading) -> Result<(), Complaint> {
        let apdu = octets
            .strip_prefix(&LLC_PLC)
            .ok_or_else(|| Complaint::new(Layer::LinkFraming, "does not begin with the LLC header 90 01 01"))?;
        reading.link.push((0, json!({ "llc": hex::encode(LLC_PLC) })));
        reading.apdus.push(LineApdu { octets: apdu.to_vec(), offset: LLC_PLC.len() });
        Ok(())
    }

    /// Takes the LLC header of HDLC, if it is there, off an APDU.
    pub fn bare(octets: &[u8], reading: &mut LineReading) {
        let llc = llc_header(octets);
        if let Some(llc) = llc {
            reading.link.push((0, json!({ "llc": hex::encode(llc) })));
        }
        let offset = llc.map_or(0, |llc| llc.len());
        reading.apdus.push(LineApdu { octets: octets[offset..].to_vec(), offset });
    }
}

/// The frame behind the flag before `at`, which must end in a flag where its length field says.
fn frame_at(octets: &[u8], at: usize) -> Result<Frame<'_>, FrameError> {
    let rest = &octets[at..];
    let Some(format) = rest.first_chunk() else {
        return Err(FrameError::Incomplete { length: 0, available: rest.len() });
    };
    let format = u16::from_be_bytes(*format);
    let length = usize::from(format) & dlms::hdlc::LENGTH_MAX;
    if format & 0xF000 == 0xA000 {
        let Some(closing) = rest.get(length) else {
            return Err(FrameError::Incomplete { length, available: rest.len() });
        };
        if *closing != FLAG {
            return Err(FrameError::ClosingFlag);
        }
    }
    Frame::new_checked(rest.get(..length).unwrap_or(rest))
}

fn llc_header(octets: &[u8]) -> Option<&[u8]> {
    let (head, _) = octets.split_at_checked(LLC_COMMAND.len())?;
    (head == LLC_COMMAND || head == LLC_RESPONSE).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hdlc(line: &mut Line, octets: &str) -> (LineReading, Result<(), Complaint>) {
        let mut reading = LineReading::default();
        let octets = hex::decode(octets.replace(' ', "")).unwrap();
        let outcome = line.hdlc(&octets, &mut reading);
        (reading, outcome)
    }

    const SNRM: &str = "7ea0070321930f017e";

    #[test]
    fn lesson_34_a_flag_may_be_shared_between_frames() {
        let (reading, outcome) = hdlc(&mut Line::default(), &format!("{SNRM}{}", &SNRM[2..]));
        assert_eq!(outcome, Ok(()));
        assert_eq!(reading.link.len(), 2);
        assert_eq!(reading.link[1].1, json!({"frame": "SNRM", "dst": "03", "src": "21", "length": 7}));
    }

    #[test]
    fn octets_behind_the_last_frame_are_reported() {
        let (reading, outcome) = hdlc(&mut Line::default(), &format!("{SNRM}2913"));
        assert_eq!((outcome, reading.trailing), (Ok(()), vec![0x29, 0x13]));
    }

    #[test]
    fn broken_frames_name_their_layer() {
        let layer = |octets: &str| hdlc(&mut Line::default(), octets).1.unwrap_err().layer;
        assert_eq!(layer("7ea0070321930f027e"), Layer::LinkCheck);
        assert_eq!(layer("7ea0070321930f01"), Layer::LinkFraming);
        assert_eq!(layer("7ea0070321930f0155"), Layer::LinkFraming);
        assert_eq!(layer("7e132b48a2d2e61e"), Layer::LinkFraming);
        assert_eq!(layer("55"), Layer::LinkFraming);
    }

    #[test]
    fn segments_of_several_records_are_joined() {
        let mut line = Line::default();
        // The published segment of a get-response, and its end.
        let (first, _) = hdlc(&mut line, "7ea816210330a4b5e6e700c401c100020109040a0b4b9a7e");
        assert!(first.segment && first.apdus.is_empty());
        let mut tail = [0; 64];
        let mut writer = dlms::axdr::Writer::new(&mut tail);
        let mut repr = Frame::new_checked(&hex::decode("a816210330a4b5e6e700c401c100020109040a0b4b9a").unwrap())
            .map(|frame| (frame.destination(), frame.source(), frame.control()))
            .unwrap();
        repr.2.poll_final = true;
        dlms::hdlc::Repr {
            destination: repr.0,
            source: repr.1,
            control: repr.2,
            segmented: false,
            information: &[0x0C, 0x0D],
        }
        .emit(&mut writer)
        .unwrap();
        let (second, _) = hdlc(&mut line, &hex::encode(writer.written()));
        assert_eq!(second.apdus, [LineApdu { octets: hex::decode("c401c100020109040a0b0c0d").unwrap(), offset: 0 }]);
    }

    #[test]
    fn a_wrapper_of_another_version_is_refused() {
        let octets = hex::decode("0002001000110001c0").unwrap();
        let complaint = Line::wrapper(&octets, &mut LineReading::default()).unwrap_err();
        assert_eq!(complaint.layer, Layer::LinkFraming);
    }
}
