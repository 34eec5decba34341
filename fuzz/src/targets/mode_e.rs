//! The sign-on of IEC 62056-21: anything at the ear of either side, with silence in between.

use dlms::Instant;
use dlms::mode_e::{Baud, client, server};

use super::pieces;
use crate::bounded;

/// Steps after which silence must have ended every wait.
const STEPS_MAX: usize = 32;

/// What both sides have in common.
trait Side {
    fn input(&mut self, octets: &[u8], now: Instant) -> usize;
    fn timeout(&mut self, now: Instant);
    fn due(&self) -> Option<Instant>;
    /// Takes what is to be told and sent; whether there was anything.
    fn drain(&mut self) -> bool;
}

macro_rules! side {
    ($type:ty) => {
        impl Side for $type {
            fn input(&mut self, octets: &[u8], now: Instant) -> usize {
                self.handle_input(octets, now)
            }

            fn timeout(&mut self, now: Instant) {
                self.handle_timeout(now);
            }

            fn due(&self) -> Option<Instant> {
                self.poll_timeout()
            }

            fn drain(&mut self) -> bool {
                let mut out = [0; 64];
                let told = self.poll_event().is_some();
                let sent = self.poll_transmit(&mut out).inspect(|sent| assert!(sent.len <= out.len())).is_some();
                told || sent
            }
        }
    };
}

side!(client::SignOn<[u8; 128]>);
side!(server::SignOn<&'static [u8]>);

fn hear(side: &mut impl Side, octets: &[u8], seed: u8) {
    let mut now = Instant::from_millis(0);
    for (index, piece) in pieces(octets, seed).enumerate() {
        let mut rest = piece;
        loop {
            let drained = side.drain();
            let taken = side.input(rest, now);
            rest = &rest[taken..];
            if !drained && taken == 0 {
                break;
            }
        }
        // Some pieces come in time, before others a deadline passes.
        if index % 3 == usize::from(seed % 3)
            && let Some(due) = side.due()
        {
            now = now.max(due);
            side.timeout(now);
        }
    }
    for _ in 0..STEPS_MAX {
        while side.drain() {}
        let Some(due) = side.due() else { return };
        now = now.max(due);
        side.timeout(now);
    }
    panic!("something is waited for without end");
}

pub(super) fn run(octets: &[u8]) {
    let [seed, stream @ ..] = octets else { return };
    let purpose = [client::Purpose::Hdlc, client::Purpose::HdlcOrReadout, client::Purpose::Readout];
    let config = client::Config { purpose: purpose[usize::from(*seed) % 3], ..client::Config::new() };
    bounded(0, || {
        let mut client = client::SignOn::new(config, [0; 128]);
        client.start(Instant::from_millis(0));
        hear(&mut client, stream, *seed);
    });
    bounded(0, || {
        let readout: &'static [u8] = if seed % 2 == 0 { b"" } else { b"1.8.0(000123.4*kWh)\r\n" };
        let mut meter = server::SignOn::new(server::Config::new(*b"DLM", Baud::HIGHEST), readout);
        hear(&mut meter, stream, *seed);
    });
}
