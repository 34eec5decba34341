//! Pushes in wired M-Bus frames, out of a stream.

use dlms::Instant;
use dlms::mbus::{FRAME_MAX, Frame, Listener, Route};

use super::pieces;
use crate::bounded;

/// Octets of the longest APDU that is joined.
const STORAGE: usize = 600;

fn apdus<'a>(cut: impl Iterator<Item = &'a [u8]>, overrun: bool) -> Vec<(Route, Vec<u8>)> {
    let mut listener = Listener::new(vec![0; FRAME_MAX], vec![0; STORAGE], 1_000, overrun);
    let now = Instant::from_millis(0);
    let mut found = Vec::new();
    for mut rest in cut {
        loop {
            let taken = listener.handle_input(rest, now);
            rest = &rest[taken..];
            let Some(route) = listener.poll_event() else {
                assert!(rest.is_empty(), "without an APDU all octets are taken");
                break;
            };
            found.push((route, listener.apdu().to_vec()));
            listener.release_apdu();
        }
    }
    // Silence ends whatever is incomplete.
    for _ in 0..FRAME_MAX + 2 {
        let Some(due) = listener.poll_timeout() else { return found };
        listener.handle_timeout(due);
        listener.poll_event();
        listener.release_apdu();
    }
    panic!("something is waited for without end");
}

pub(super) fn run(octets: &[u8]) {
    let _ = bounded(0, || Frame::parse(octets).is_ok());
    let (seed, stream) = octets.split_first().unwrap_or((&0, octets));
    let overrun = seed % 2 == 1;
    let whole = apdus(std::iter::once(stream), overrun);
    assert!(whole.iter().map(|(_, apdu)| apdu.len()).sum::<usize>() <= stream.len());
    assert_eq!(whole, apdus(pieces(stream, *seed), overrun), "however the stream is cut");
}
