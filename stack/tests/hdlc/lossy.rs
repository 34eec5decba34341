//! Whatever the line does, an APDU arrives once and in order, or the link fails with a typed error in bounded time.

use dlms::hdlc::{Frame, Kind, Parameters, Width};
use dlms::link::{LinkError, LinkEvent};

use crate::line::{Fault, Faults, Random};
use crate::pair::{Pair, Seen, Setup};

fn apdu(length: usize, salt: usize) -> Vec<u8> {
    // 7E and what looks like an LLC header occur inside.
    (0..length).map(|n| [0x7E, 0xE6, 0xE6, 0x00, 0xA0, (n + salt) as u8, (n >> 8) as u8][(n + salt) % 7]).collect()
}

fn link(information: u16, window: u8) -> Parameters {
    Parameters::symmetric(information, window)
}

/// Without faults: every length around the borders of segments and windows, every width of address, every window.
#[test]
fn lesson_06_07_33_every_length_width_and_window_on_a_good_line() {
    for width in Width::ALL {
        for window in 1..=7 {
            for information in [32, 33, 128, 2030] {
                let setup = Setup {
                    width,
                    client: link(information, window),
                    server: link(information, window),
                    ..Setup::default()
                };
                let mut pair = Pair::new(setup);
                pair.open();
                let info = usize::from(information);
                let mut lengths: Vec<usize> = (1..=40).collect();
                for segments in 1..=9 {
                    lengths.extend((info * segments).saturating_sub(5)..=info * segments + 1);
                }
                lengths.retain(|length| *length <= 4_093);
                for (n, length) in lengths.into_iter().enumerate() {
                    let request = apdu(length, n);
                    assert_eq!(pair.exchange(&request), Some(request), "{width:?} {window} {information} {length}");
                }
                pair.close();
                assert_eq!(pair.client.repetitions(), 0);
                assert_window_discipline(&pair, info, usize::from(window));
            }
        }
    }
}

/// No more frames than the window without F or P, no information field over what was agreed, and nobody speaks out of
/// turn.
fn assert_window_discipline(pair: &Pair, information: usize, window: usize) {
    let mut run = 0;
    let mut client_speaks = true;
    for (from_client, octets) in &pair.frames {
        let frame = Frame::new_checked(&octets[1..octets.len() - 1]).unwrap();
        assert_eq!(*from_client, client_speaks, "out of turn: {octets:02X?}");
        assert!(frame.information().len() <= information.max(23));
        if let Kind::I { .. } = frame.control().kind {
            run += 1;
            assert!(run <= window, "more than the window");
        }
        if frame.control().poll_final {
            (run, client_speaks) = (0, !client_speaks);
        }
    }
}

/// One fault at any place of an exchange costs a repetition, never the link and never a second delivery.
#[test]
fn lesson_15_any_single_fault_at_any_place_is_recovered() {
    for (window_up, window_down) in [(1, 1), (3, 2), (7, 7)] {
        let parameters =
            |transmit, receive| Parameters { window_transmit: transmit, window_receive: receive, ..link(32, 1) };
        let run = |up: Faults, down: Faults, seed| {
            let mut pair = Pair::new(Setup {
                client: parameters(window_up, window_down),
                server: parameters(window_down, window_up),
                up,
                down,
                seed,
                ..Setup::default()
            });
            pair.open();
            let requests = [apdu(100, 1), apdu(5, 2), apdu(300, 3), apdu(6, 4)];
            for request in &requests {
                let answer = pair.exchange(request);
                assert_eq!(answer.as_ref(), Some(request), "{:?}", pair.seen);
            }
            pair.close();
            assert_eq!(pair.served, requests, "each is served once, in order");
            assert_eq!(pair.apdus(), requests, "each is answered once, in order");
            (pair.up.frames_sent(), pair.down.frames_sent())
        };
        let (up, down) = run(Faults::default(), Faults::default(), 1);
        for fault in Fault::ALL {
            for at in 0..up {
                run(Faults { at: vec![(at, fault)], percent: 0 }, Faults::default(), at as u64);
            }
            for at in 0..down {
                run(Faults::default(), Faults { at: vec![(at, fault)], percent: 0 }, at as u64);
            }
        }
    }
}

/// Many seeds, any parameters, lines from good to hopeless.
#[test]
fn lesson_15_a_lossy_line_delivers_once_and_in_order_or_fails_in_bounded_time() {
    let (mut delivered, mut failed) = (0, 0);
    for seed in 0..1_500_u64 {
        let mut random = Random::new(seed);
        let mut parameters = || link([32, 48, 128, 512, 2030][random.below(5)], 1 + random.below(7) as u8);
        let (client, server) = (parameters(), parameters());
        let width = Width::ALL[random.below(3)];
        let percent = [2, 5, 10, 20, 40, 90][random.below(6)];
        let faults = || Faults { at: Vec::new(), percent };
        let mut pair =
            Pair::new(Setup { width, client, server, up: faults(), down: faults(), seed, ..Setup::default() });
        let started = pair.now;
        pair.open();
        let mut requests = Vec::new();
        while pair.failure().is_none() && requests.len() < 6 {
            let request = apdu(1 + random.below(1_500), requests.len());
            requests.push(request.clone());
            match pair.exchange(&request) {
                Some(answer) => assert_eq!(answer, request, "seed {seed}"),
                None => break,
            }
        }
        let answered = pair.apdus().len();
        delivered += answered;
        assert_eq!(pair.apdus(), requests[..answered], "seed {seed}");
        assert!(pair.served.len() >= answered && requests.starts_with(&pair.served), "seed {seed}: {:?}", pair.seen);
        match pair.failure() {
            Some(LinkEvent::Failed(error)) => {
                failed += 1;
                assert!(matches!(error, LinkError::NoResponse { attempts: 4 }), "seed {seed}: {error}");
                assert!(pair.now.since_ms(started) < 600_000, "seed {seed}");
            }
            other => {
                assert_eq!((other, answered), (None, 6), "seed {seed}");
                pair.close();
            }
        }
    }
    assert!(delivered > 4_000 && failed > 200, "{delivered} delivered, {failed} failed");
}

/// A dead line: every wait ends.
#[test]
fn lesson_15_silence_ends_every_wait() {
    let mut pair = Pair::new(Setup { up: Faults { at: Vec::new(), percent: 0 }, ..Setup::default() });
    pair.down.faults.at = (0..100).map(|n| (n, Fault::Lose)).collect();
    let start = pair.now;
    pair.open();
    assert_eq!(pair.seen, [Seen::Event(LinkEvent::Failed(LinkError::NoResponse { attempts: 4 }))]);
    assert_eq!(pair.now.since_ms(start), 4_000);

    let mut pair = Pair::new(Setup::default());
    pair.open();
    pair.down.faults.at = (1..100).map(|n| (n, Fault::Lose)).collect();
    let start = pair.now;
    assert_eq!(pair.exchange(&[1]), None);
    assert_eq!(pair.failure(), Some(LinkEvent::Failed(LinkError::NoResponse { attempts: 4 })));
    assert_eq!(pair.now.since_ms(start), 4_000);
    assert_eq!(pair.served.len(), 1, "what was lost is the answer: the request is not served again");
}

/// Every size of an information field, filled to the last octet and beyond, in every width of address.
#[test]
fn lesson_06_every_information_field_from_32_to_2030_octets() {
    for width in Width::ALL {
        for information in 32..=2030 {
            let parameters = link(information, 1 + (information % 7) as u8);
            let mut pair = Pair::new(Setup { width, client: parameters, server: parameters, ..Setup::default() });
            pair.open();
            // The LLC header takes three octets of the first segment.
            for length in [information - 3, information - 2] {
                let request = apdu(usize::from(length), usize::from(information));
                assert_eq!(pair.exchange(&request), Some(request), "{width:?} {information} {length}");
            }
            let segments = pair.frames.iter().filter(|(_, octets)| octets.len() > 60 && octets[1] & 8 != 0).count();
            assert!(segments <= 4 && pair.client.repetitions() == 0, "{width:?} {information}");
        }
    }
}

/// Every pattern of losses over the first frames of both directions, every window, with RR and with REJ.
#[test]
fn lesson_33_every_loss_pattern_and_window_delivers_exactly_once() {
    const FRAMES: usize = 4;
    for window in 1..=7 {
        for reject in [false, true] {
            for pattern in 0..1_u32 << (2 * FRAMES) {
                let lost = |shift: usize| {
                    let at = (0..FRAMES).filter(|frame| pattern >> (shift + frame) & 1 == 1);
                    // The set-up is passed over.
                    Faults { at: at.map(|frame| (frame + 1, Fault::Lose)).collect(), percent: 0 }
                };
                let mut pair = Pair::new(Setup {
                    client: link(32, window),
                    server: link(32, window),
                    up: lost(0),
                    down: lost(FRAMES),
                    retries: 12,
                    reject,
                    ..Setup::default()
                });
                pair.open();
                let requests = [apdu(100, 1), apdu(20, 2)];
                for request in &requests {
                    assert_eq!(pair.exchange(request).as_ref(), Some(request), "{window} {reject} {pattern:#x}");
                }
                assert_eq!(pair.served, requests, "{window} {reject} {pattern:#x}");
                assert_eq!(pair.apdus(), requests, "{window} {reject} {pattern:#x}");
            }
        }
    }
}
