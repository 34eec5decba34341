//! Pushes that nobody asked for, as meters really send them.

use std::path::PathBuf;

use dlms::Instant;
use dlms::hdlc::{Address, FRAME_MAX, Listener, Push, Width};
use hex_literal::hex;
use serde_json::Value;

use crate::script::{Client, frame, sap};

fn listener(information_push: bool) -> Listener<Vec<u8>> {
    Listener::new(vec![0; FRAME_MAX], vec![0; 4_096], 100, information_push)
}

fn pushes(listener: &mut Listener<Vec<u8>>, octets: &[u8]) -> Vec<(Push, Vec<u8>)> {
    let (mut rest, mut found) = (octets, Vec::new());
    loop {
        let used = listener.handle_input(rest, Instant::from_millis(0));
        rest = &rest[used..];
        match listener.poll_event() {
            Some(push) => {
                found.push((push, listener.apdu().to_vec()));
                listener.release_apdu();
            }
            None if rest.is_empty() => return found,
            None => assert!(used > 0),
        }
    }
}

/// Addresses of field reports: two octets for the destination, no-station, 0/0 as the source.
#[test]
fn pushes_are_heard_whatever_their_addresses_are() {
    let four = |upper, lower| Address::new(upper, lower, Width::Four).unwrap();
    let two = |upper, lower| Address::new(upper, lower, Width::Two).unwrap();
    for (destination, source) in [
        (sap(21), sap(16)),
        (sap(32), two(4, 65)),
        (two(103, 127), sap(1)),
        (sap(103), four(0, 17)),
        (sap(0), two(0, 0)),
    ] {
        let mut listener = listener(false);
        let octets = frame(destination, source, 0x13, false, &hex!("E6E700 0F 01"));
        assert_eq!(pushes(&mut listener, &octets), [(Push { source, destination }, vec![0x0F, 1])]);
    }
}

#[test]
fn lesson_10_segments_are_joined_and_numbered_frames_are_pushes_only_where_said() {
    let part = |control, segmented, information: &[u8]| frame(sap(103), sap(1), control, segmented, information);
    let octets = [part(0x03, true, &hex!("E6E700 DB 01")), part(0x03, true, &[2]), part(0x13, false, &[3])].concat();
    assert_eq!(pushes(&mut listener(false), &octets)[0].1, [0xDB, 1, 2, 3]);
    let numbered = part(0x10, false, &hex!("E6E700 0F 09"));
    assert_eq!(pushes(&mut listener(false), &numbered), []);
    assert_eq!(pushes(&mut listener(true), &numbered)[0].1, [0x0F, 9]);
    let mut listener = listener(false);
    assert_eq!(pushes(&mut listener, &octets[..20]), []);
    let deadline = listener.poll_timeout().unwrap();
    listener.handle_timeout(deadline);
    listener.handle_timeout(listener.poll_timeout().unwrap_or(deadline).after_ms(20_000));
    assert_eq!(listener.poll_timeout(), None, "an end that does not come is not waited for for ever");
}

/// A client's session that has no link takes them too, where it was told so.
#[test]
fn a_client_without_a_link_takes_numbered_pushes_where_said() {
    let octets = frame(sap(0), Address::new(1, 0, Width::Two).unwrap(), 0x10, false, &hex!("E6E700 0F 01"));
    let mut client = Client::new(|config| config.information_push = true);
    client.input(&octets);
    assert_eq!(client.apdu(), Some(vec![0x0F, 1]));
    let mut client = Client::new(|_| ());
    client.input(&octets);
    assert_eq!(client.apdu(), None);
    let mut client = Client::opened(|config| config.information_push = true);
    client.input(&octets);
    assert_eq!(client.apdu(), None, "with a link numbers mean something");
    client.send(&[0xC0]);
    client.receive(0x30, false, &hex!("E6E700 C4"));
    assert_eq!(client.apdu(), Some(vec![0xC4]));
    assert!(client.session.is_open());
}

/// Every push of the collection that came over HDLC: its octets, joined, are those that an independent decoder read.
#[test]
fn captured_pushes_are_heard() {
    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join("hdlc.jsonl")) else { return };
    let (mut whole, mut numbered) = (0, 0);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let Some(frames) = record["expect"]["link"].as_array().filter(|frames| !frames.is_empty()) else { continue };
        let name = frames[0]["frame"].as_str().unwrap();
        let make = record["meter"]["make"].as_str().unwrap_or_default();
        let push = name == "UI" || (make == "Kaifa" && name.starts_with("I("));
        if !push || record["expect"]["segment"] == true || !record["session"].is_null() {
            continue;
        }
        let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let found = pushes(&mut listener(true), &octets);
        // A frame that noise has damaged is dropped.
        let damaged = record["verified"]["fcs"] == false;
        let complete = frames.iter().filter(|frame| !damaged && !frame["segmented"].as_bool().unwrap_or(false)).count();
        assert_eq!(found.len(), complete, "{}", record["id"]);
        assert!(found.iter().all(|(_, apdu)| !apdu.is_empty() && !apdu.starts_with(&[0xE6])), "{}", record["id"]);
        whole += found.len();
        numbered += usize::from(name != "UI");
    }
    assert!(whole > 30 && numbered > 5, "{whole} pushes, {numbered} of them numbered");
}
