//! Frames of real meters and of other stacks, where the collection is present.

use std::path::PathBuf;

use dlms::Instant;
use dlms::hdlc::{Deframer, FRAME_MAX, Frame, Kind};
use serde_json::Value;

fn records() -> Option<Vec<Value>> {
    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("hdlc.jsonl")).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn name(frame: &Frame<'_>) -> String {
    let control = frame.control();
    match control.kind {
        Kind::I { send, receive } => format!("I(ns={send},nr={receive},pf={})", u8::from(control.poll_final)),
        Kind::Rr { receive } => format!("RR(nr={receive})"),
        Kind::Rnr { receive } => format!("RNR(nr={receive})"),
        Kind::Rej { receive } => format!("REJ(nr={receive})"),
        Kind::Snrm => "SNRM".into(),
        Kind::Disc => "DISC".into(),
        Kind::Ua => "UA".into(),
        Kind::Dm => "DM".into(),
        Kind::Frmr => "FRMR".into(),
        Kind::Ui => "UI".into(),
        Kind::Unknown(bare) => format!("{bare:02x}"),
    }
}

/// The frames found when the octets come in pieces of `size`, and then nothing more.
fn frames(octets: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::new([0; FRAME_MAX], 100);
    let mut found = Vec::new();
    let end = Instant::from_millis(1_000);
    for (piece, now) in octets.chunks(size).map(|piece| (piece, Instant::from_millis(0))).chain([(&[][..], end)]) {
        let mut rest = piece;
        loop {
            let (used, frame) = deframer.push(rest, now);
            rest = &rest[used..];
            match frame {
                Some(Ok(frame)) => found.push(frame.octets().to_vec()),
                Some(Err(_)) => {}
                None => break,
            }
        }
    }
    found
}

#[test]
fn captured_frames_decode_as_published() {
    let Some(records) = records() else { return };
    let (mut whole, mut damaged) = (0, 0);
    for record in &records {
        let id = record["id"].as_str().unwrap();
        let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let found = frames(&octets, octets.len());
        assert_eq!(frames(&octets, 1), found, "{id} octet by octet");
        assert_eq!(frames(&octets, 7), found, "{id} in pieces of seven");
        let layer = record["malformed"]["layer"].as_str().unwrap_or_default();
        if layer.starts_with("link") {
            assert!(found.is_empty(), "{id}: {found:02X?}");
            damaged += 1;
            continue;
        }
        let expected = record["expect"]["link"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(found.len(), expected.len(), "{id}");
        for (octets, expected) in found.iter().zip(expected) {
            let frame = Frame::new_checked(octets).unwrap();
            assert_eq!(name(&frame), expected["frame"].as_str().unwrap(), "{id}");
            let (destination, source) = (frame.destination().width().octets(), frame.source().width().octets());
            let source = &octets[2 + destination..2 + destination + source];
            assert_eq!(hex::encode(&octets[2..2 + destination]), expected["dst"].as_str().unwrap(), "{id}");
            assert_eq!(hex::encode(source), expected["src"].as_str().unwrap(), "{id}");
            assert_eq!(octets.len() as u64, expected["length"].as_u64().unwrap(), "{id}");
            assert_eq!(frame.is_segmented(), expected["segmented"].as_bool().unwrap_or(false), "{id}");
            if let Some(llc) = expected["llc"].as_str() {
                assert!(frame.information().starts_with(&hex::decode(llc).unwrap()), "{id}");
            }
            let mut again = [0; FRAME_MAX];
            let mut writer = dlms::axdr::Writer::new(&mut again);
            frame.repr().emit(&mut writer).unwrap();
            assert_eq!(writer.written()[1..=octets.len()], octets[..], "{id} emitted again");
            whole += 1;
        }
    }
    assert!(whole > 600 && damaged > 10, "{whole} whole frames, {damaged} damaged records");
}
