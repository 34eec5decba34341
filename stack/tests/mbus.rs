//! M-Bus as a carrier of pushes, as meters in the field really send them.

use std::path::PathBuf;

use dlms::Instant;
use dlms::apdu::Apdu;
use dlms::mbus::{FRAME_MAX, Frame, FrameError, Framer, Joiner, Listener, Route, SegmentError};
use serde_json::Value;

const T0: Instant = Instant::from_millis(0);

fn frame(information: u8, segment: &[u8]) -> Vec<u8> {
    let body = [&[0x53, 0xFF, information, 0x01, 0x67][..], segment].concat();
    let sum = body.iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
    [&[0x68, body.len() as u8, body.len() as u8, 0x68][..], &body, &[sum, 0x16]].concat()
}

fn listener(overrun: bool) -> Listener<Vec<u8>> {
    Listener::new(vec![0; FRAME_MAX], vec![0; 1_024], 100, overrun)
}

fn apdus(listener: &mut Listener<Vec<u8>>, octets: &[u8], size: usize) -> Vec<(Route, Vec<u8>)> {
    let mut found = Vec::new();
    for piece in octets.chunks(size.max(1)) {
        let mut rest = piece;
        loop {
            let used = listener.handle_input(rest, T0);
            rest = &rest[used..];
            match listener.poll_event() {
                Some(route) => {
                    found.push((route, listener.apdu().to_vec()));
                    listener.release_apdu();
                }
                None if rest.is_empty() => break,
                None => assert!(used > 0, "nothing taken and nothing told"),
            }
        }
    }
    found
}

fn records() -> Vec<Value> {
    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("mbus.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every capture: whole telegrams are found however the line cuts them, each a general-glo-ciphering.
#[test]
fn captured_telegrams_are_joined() {
    let (mut whole, mut overrun) = (0, 0);
    for record in records() {
        let id = record["id"].as_str().unwrap();
        let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let mut lenient = listener(true);
        let found = apdus(&mut lenient, &octets, octets.len());
        for size in [1, 7, 100] {
            assert_eq!(apdus(&mut listener(true), &octets, size), found, "{id} in pieces of {size}");
        }
        for (route, apdu) in &found {
            assert_eq!(*route, Route { address: 0xFF, source: 1, destination: 103 }, "{id}");
            assert!(matches!(Apdu::decode(apdu), Ok(Apdu::Ciphered(_))), "{id}: {}", hex::encode(apdu));
        }
        let strict = apdus(&mut listener(false), &octets, octets.len());
        assert!(strict.len() <= found.len());
        overrun += lenient.overruns();
        whole += found.len();
        match (record["malformed"].is_null(), record["expect"]["apdu"].is_null()) {
            (true, false) => assert_eq!((found.len(), lenient.frame_errors()), (1, 0), "{id}"),
            (true, true) => assert_eq!(found.len(), 0, "{id}: its end was not captured"),
            _ => {}
        }
    }
    assert!(records().is_empty() || (whole >= 6 && overrun >= 4), "{whole} telegrams, {overrun} lengths that ran over");
}

#[test]
fn lesson_12_a_length_that_ran_over_is_understood_where_that_is_tolerated() {
    let segment: Vec<u8> = (0..252).map(|n| n as u8).collect();
    let octets = frame(0x10, &segment);
    assert_eq!(octets[..4], [0x68, 0x01, 0x01, 0x68]);
    assert_eq!(Frame::parse(&octets), Err(FrameError::Length { length: 1 }));
    let (found, rest) = Frame::parse_lenient(&octets).unwrap();
    assert!(found.is_overrun() && rest.is_empty());
    assert_eq!((found.segment, found.length()), (&segment[..], 257));
    assert_eq!(apdus(&mut listener(false), &octets, 300), []);
    assert_eq!(apdus(&mut listener(true), &octets, 300)[0].1, segment);
}

#[test]
fn every_broken_frame_is_named() {
    let good = frame(0x10, &[1, 2, 3]);
    for length in 0..good.len() {
        let needed = if length < 4 { 4 } else { good.len() };
        assert_eq!(Frame::parse(&good[..length]), Err(FrameError::Truncated { needed, available: length }), "{length}");
    }
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << bit;
            assert!(Frame::parse(&damaged).is_err(), "bit {bit} of octet {at}");
            let mut listener = listener(true);
            let stream = [&damaged[..], &[0xE5], &good].concat();
            listener.handle_input(&stream, T0);
            listener.handle_timeout(T0.after_ms(200));
            let found = apdus(&mut listener, &good, 20);
            assert_eq!(found.last().map(|(_, apdu)| apdu.as_slice()), Some(&[1, 2, 3][..]), "{at} {bit}");
        }
    }
}

#[test]
fn frames_are_found_between_others_and_after_gaps() {
    let telegram = [frame(0x00, &[0x0F, 1]), vec![0xE5, 0x10, 0x40, 0x01, 0x41, 0x16], frame(0x11, &[2])].concat();
    let mut listener = listener(false);
    assert_eq!(apdus(&mut listener, &telegram, 1)[0].1, [0x0F, 1, 2]);
    // The end does not come; the gap ends the frame, and then the telegram.
    assert_eq!(apdus(&mut listener, &telegram[..9], 9), []);
    assert_eq!(listener.poll_timeout(), Some(T0.after_ms(100)));
    listener.handle_timeout(T0.after_ms(100));
    assert_eq!(listener.poll_timeout(), None);
    assert!(listener.frame_errors() > 0);
    apdus(&mut listener, &frame(0x00, &[0x0F]), 99);
    let deadline = listener.poll_timeout().unwrap();
    listener.handle_timeout(deadline);
    assert_eq!((listener.poll_timeout(), listener.broken_apdus()), (None, 1));
}

#[test]
fn segments_are_joined_in_order_and_between_the_same_two() {
    let octets: Vec<Vec<u8>> = (0..40_u8).map(|n| frame((n & 0x0F) | if n == 39 { 0x10 } else { 0 }, &[n])).collect();
    let mut joiner = Joiner::new([0; 64]);
    for (n, octets) in octets.iter().enumerate() {
        assert_eq!(joiner.push(&Frame::parse(octets).unwrap().0), Ok(n == 39), "{n}: numbers go on after fifteen");
    }
    assert_eq!(joiner.apdu(), (0..40).collect::<Vec<u8>>());
    let parse = |octets: &'static [u8]| Frame::parse(octets).unwrap().0;
    let leak = |octets: Vec<u8>| -> &'static [u8] { octets.leak() };
    joiner.push(&parse(leak(frame(0x00, &[1])))).unwrap();
    let skipping = parse(leak(frame(0x12, &[3])));
    assert_eq!(joiner.push(&skipping), Err(SegmentError::Number { expected: 1, found: 2 }));
    assert_eq!(joiner.push(&skipping), Err(SegmentError::Route), "what was there is gone");
    joiner.push(&parse(leak(frame(0x00, &[1])))).unwrap();
    let mut other = frame(0x11, &[2]);
    (other[7], other[8]) = (2, 0x66);
    assert_eq!(joiner.push(&parse(leak(other))), Err(SegmentError::Route));
    let mut small = Joiner::new([0; 2]);
    assert_eq!(small.push(&parse(leak(frame(0x10, &[1, 2, 3])))), Err(SegmentError::Oversize { limit: 2 }));
    assert!(small.apdu().is_empty() && !small.is_partial());
}

/// Any octets: bounded work, no panic, and a right telegram behind them is heard.
#[test]
fn any_octets_before_a_telegram() {
    let mut state = 7_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    for round in 0..2_000 {
        let mut listener = Listener::new(vec![0; [0, 3, 16, FRAME_MAX][round % 4]], vec![0; 64], 100, round % 3 == 0);
        let length = usize::from(random());
        let octets: Vec<u8> = (0..length)
            .map(|n| match random() % 4 {
                0 => 0x68,
                1 => [0x00, 0x05, 0x09][n % 3],
                _ => random(),
            })
            .collect();
        apdus(&mut listener, &octets, 1 + round % 40);
        listener.handle_timeout(T0.after_ms(1_000));
        listener.handle_timeout(T0.after_ms(20_000));
        while listener.poll_timeout().is_some() {
            listener.handle_timeout(T0.after_ms(40_000));
        }
        if round % 4 >= 2 {
            let found = apdus(&mut listener, &frame(0x10, &[0x0F, 9]), 1);
            assert_eq!(found.last().map(|(_, apdu)| apdu.clone()), Some(vec![0x0F, 9]), "round {round}");
        }
    }
    let mut framer = Framer::new([0; 8], 100, false);
    let (_, refused) = framer.push(&frame(0x10, &[1]), T0);
    assert_eq!(refused, Some(Err(FrameError::TooLong { length: 12, limit: 8 })));
}
