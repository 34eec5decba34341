//! What really happened, and what must never happen.

use std::collections::BTreeSet;

use dlms::{
    acse::{Aarq, Rlrq},
    apdu::tag,
    id::SystemTitle,
    security::{Context, KeySet, ReceiveFloor, RustCrypto, Suite, is_protected},
};
use dlms_meter_server::simulator::Keys;

/// One relay action that a meter carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) meter: usize,
    /// Method of class 70: 1 disconnects, 2 reconnects.
    pub(crate) method: i8,
    pub(crate) at_ms: i64,
}

/// The record of a run.
#[derive(Default)]
pub(crate) struct Truth {
    /// Invocation counters that have left the head-end under the one key and title that it has.
    counters: BTreeSet<u32>,
    pub(crate) executed: Vec<Executed>,
    /// Rules that were broken, in words.
    pub(crate) broken: Vec<String>,
    /// Every thing that happened, for whoever replays a seed.
    pub(crate) log: Vec<String>,
}

impl Truth {
    pub(crate) fn counters(&self) -> usize {
        self.counters.len()
    }

    /// An APDU has left for a meter with this title.
    pub(crate) fn left(&mut self, meter: SystemTitle, client: SystemTitle, apdu: &[u8]) {
        let counters = counters_of(meter, client, apdu);
        for counter in counters {
            if !self.counters.insert(counter) {
                self.broken.push(format!("invocation counter {counter} was used twice"));
            }
        }
    }
}

/// The invocation counters in an APDU of the client: its own, and in pass 3 of HLS also that of the GMAC within.
fn counters_of(meter: SystemTitle, client: SystemTitle, apdu: &[u8]) -> Vec<u32> {
    // What opens and closes an association has its protected part within.
    let protected = match apdu.first() {
        Some(0x60) => Aarq::decode(apdu).expect("the client's AARQ").user_information,
        Some(0x62) => Rlrq::decode(apdu).expect("the client's RLRQ").user_information,
        _ => Some(apdu),
    };
    let Some(mut whole) = protected.filter(|apdu| is_protected(apdu)).map(<[u8]>::to_vec) else { return Vec::new() };
    let (encryption, authentication) = (Keys::DEMONSTRATION_ENCRYPTION, Keys::DEMONSTRATION_AUTHENTICATION);
    let keys = KeySet::new(Suite::Suite0, &encryption, &authentication).unwrap();
    let mut context = Context::<RustCrypto>::new(meter, &keys).unwrap();
    context.set_peer_title(client);
    let opened = context.unprotect(&mut whole, |_| ReceiveFloor::new(0));
    let opened = opened.unwrap_or_else(|error| panic!("what the head-end sends: {error}: {apdu:02X?}"));
    let mut counters = vec![opened.counter];
    let plain = &whole[opened.plain];
    // ACTION request, normal: class 15, method 1, parameter of security control, counter and tag.
    if plain.starts_with(&[tag::ACTION_REQUEST, 1]) && plain.get(3..5) == Some(&[0, 15]) {
        let gmac = plain.last_chunk::<17>().expect("a GMAC");
        counters.push(u32::from_be_bytes([gmac[1], gmac[2], gmac[3], gmac[4]]));
    }
    counters
}
