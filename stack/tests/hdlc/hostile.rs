//! Right frames in the wrong order, and octets that are no frames: no panic, no endless output, every wait ends.

use dlms::Instant;
use dlms::hdlc::server::{Config, Session, Station};
use dlms::hdlc::{FRAME_MAX, Parameters};
use dlms::link::{Link, LinkEvent};

use crate::line::Random;
use crate::pair::Everyone;
use crate::script::{Client, frame, sap};

/// A frame with any control field, from or to the peer, sometimes with octets that look like parameters or an LLC header.
fn any_frame(random: &mut Random, from_client: bool) -> Vec<u8> {
    let information: &[u8] = match random.below(5) {
        0 => &[],
        1 => &[0x81, 0x80, 0x03, 0x05, 0x01, 0x01],
        2 => &[0xE6, 0xE7, 0x00, 0xC4],
        3 => &[0xE6, 0xE6],
        _ => &[0x7E; 130],
    };
    let control = random.next() as u8 | if random.percent(70) { 0x10 } else { 0 };
    let (to, from) = if from_client { (sap(1), sap(16)) } else { (sap(16), sap(1)) };
    let mut octets = frame(to, from, control, random.percent(30), information);
    if random.percent(5) {
        let at = random.below(octets.len());
        octets[at] ^= 1;
    }
    octets
}

#[test]
fn a_client_survives_any_server() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut client = Client::new(|config| config.parameters = Parameters::symmetric(64, 4));
        client.session.open(client.now);
        for _ in 0..60 {
            match random.below(8) {
                0 => drop(client.session.send(&[0xC0; 150], client.now)),
                1 => client.session.open(client.now),
                2 if random.percent(20) => client.session.close(client.now),
                3 if client.session.poll_timeout().is_some() => drop(client.wait()),
                _ => {
                    let octets = any_frame(&mut random, false);
                    let mut rest = octets.as_slice();
                    while !rest.is_empty() {
                        let used = client.session.handle_input(rest, client.now);
                        rest = &rest[used..];
                        client.session.release_apdu();
                    }
                }
            }
            let mut out = [0; FRAME_MAX];
            let sent = (0..20).take_while(|_| client.session.poll_transmit(&mut out).is_some()).count();
            assert!(sent <= 4, "seed {seed}: more than a window");
            let events = (0..20).take_while(|_| client.session.poll_event().is_some()).count();
            assert!(events <= 4, "seed {seed}");
        }
        // Left alone, the link comes to its end, or to rest.
        let end = client.now.after_ms(60_000);
        while client.session.poll_timeout().is_some() {
            client.wait();
            client.sent();
            assert!(client.now <= end, "seed {seed}: waits for ever");
        }
        while let Some(event) = client.session.poll_event() {
            assert_ne!(event, LinkEvent::Opened, "seed {seed}");
        }
    }
}

#[test]
fn a_server_survives_any_client() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let config = Config { parameters: Parameters::symmetric(64, 4), ..Config::default() };
        let session = || Session::new(config, vec![0; 200], vec![0; 200]);
        let everyone: Everyone = |_, _| true;
        let mut station = Station::new(vec![0; 100], 100, vec![session(), session()], everyone);
        let mut now = Instant::from_millis(0);
        for _ in 0..100 {
            now = now.after_ms(random.below(50) as u64);
            let octets = any_frame(&mut random, true);
            let mut rest = octets.as_slice();
            while !rest.is_empty() {
                let used = station.handle_input(rest, now);
                rest = &rest[used..];
            }
            let mut events = 0;
            while station.poll_event().is_some() {
                events += 1;
                assert!(events < 10, "seed {seed}");
            }
            if random.percent(50) {
                let _ = station.send(16.into(), 1.into(), &[0xC4; 150]);
                station.release_apdu();
            }
            let mut out = [0; FRAME_MAX];
            let sent = (0..20).take_while(|_| station.poll_transmit(&mut out).is_some()).count();
            assert!(sent <= 4, "seed {seed}: more than a window");
        }
        for _ in 0..3 {
            if let Some(next) = station.poll_timeout() {
                station.handle_timeout(next);
            }
        }
        assert_eq!(station.poll_timeout(), None, "seed {seed}: silence drops every link");
    }
}
