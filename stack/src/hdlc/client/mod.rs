//! The client's station: it opens the link, and owns the right to send.

mod connectionless;
mod station;

pub use connectionless::Connectionless;

use super::address::Address;
use super::deframer::Deframer;
use super::frame::OVERHEAD_MAX;
use super::parameters::Parameters;
use crate::Instant;
use crate::deviation::Deviations;
use crate::link::{Link, LinkError, LinkEvent, Storage};

use station::Station;

/// How a client's station is to behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The client's own address, of one octet.
    pub client: Address,
    /// The server's address, in the width it is to be sent.
    pub server: Address,
    /// What to propose. With the profile's defaults the SNRM carries no parameters.
    pub parameters: Parameters,
    /// Silence after which the server is asked again, in milliseconds. 1.5 to 5 s on a direct serial line, 10 to 60 s over
    /// power line carrier or mobile networks. The time that frames take on the line comes on top: `octet_time_us`.
    pub response_timeout_ms: u32,
    /// How often it is asked again before the link fails.
    pub retries: u8,
    /// Gap inside a frame that ends it, in milliseconds: 25 on a serial line (the default of the IEC HDLC setup class),
    /// 100 to 500 over networks and USB.
    pub inter_octet_timeout_ms: u32,
    /// Pause before a server that is busy, or has no answer yet, is polled again, in milliseconds.
    pub poll_interval_ms: u32,
    /// How long a server may take to get on with an answer while it keeps the link alive, in milliseconds.
    pub answer_timeout_ms: u32,
    /// Idle time after which the link is kept alive by a poll, in milliseconds; 0: never. Servers drop an idle link, often
    /// after 120 s.
    pub keep_alive_ms: u32,
    /// Time of one octet on the line, in microseconds: 1042 at 9600 baud with 8 data bits and no parity; 0 where the
    /// line takes no time that matters.
    pub octet_time_us: u32,
    /// Whether everything sent comes back. Needs to be stated only where client and server have the same address: else
    /// an echo is known by its addresses.
    pub local_echo: bool,
    /// Whether a frame that was lost inside a window is asked for with REJ. RR with the same number does it too, and there
    /// are servers that take REJ for an error.
    pub reject: bool,
    /// Whether I frames that come without a link are taken for notifications, whatever their destination: there are meters
    /// that push in them (Kaifa at its customer port).
    pub information_push: bool,
}

impl Config {
    /// A station for a link over a network, with the profile's default parameters.
    #[must_use]
    pub const fn new(client: Address, server: Address) -> Self {
        Self {
            client,
            server,
            parameters: Parameters::DEFAULT,
            response_timeout_ms: 5_000,
            retries: 3,
            inter_octet_timeout_ms: 500,
            poll_interval_ms: 200,
            answer_timeout_ms: 60_000,
            keep_alive_ms: 0,
            octet_time_us: 0,
            local_echo: false,
            reject: false,
            information_push: false,
        }
    }
}

/// Client side of one HDLC link.
///
/// ```text
///            open               UA
///   Closed -------> Connecting ------> Connected --close--> Disconnecting --UA, DM--> Closed
///                       |                  |
///                       `-- DM, silence    `-- DM, FRMR, silence --> Closed (Failed)
/// ```
///
/// While connected the right to send is either here or with the server. It is handed over with P and comes
/// back with F, or is taken back when the server is silent for too long: then the server is polled (RR), and its
/// N(R) tells whether it or this station has to send the same octets again. Both are bounded by `retries`.
#[derive(Debug)]
pub struct Session<B> {
    deframer: Deframer<B>,
    station: Station<B>,
}

impl<B: Storage> Session<B> {
    /// A closed link. `frame` holds one received frame without flags: 15 octets more than the information field to be
    /// received; a smaller one lowers what is proposed. `receive` and `transmit` each hold one APDU and 3 octets.
    pub fn new(mut config: Config, frame: B, receive: B, transmit: B) -> Self {
        let fits = u16::try_from(frame.as_ref().len().saturating_sub(OVERHEAD_MAX)).unwrap_or(u16::MAX);
        config.parameters.information_receive = config.parameters.information_receive.min(fits);
        Self {
            deframer: Deframer::new(frame, config.inter_octet_timeout_ms),
            station: Station::new(config, receive, transmit),
        }
    }

    /// How the station behaves.
    pub const fn config(&self) -> &Config {
        self.station.config()
    }

    /// Whether the link is up.
    pub fn is_open(&self) -> bool {
        self.station.is_connected()
    }

    /// Sends an APDU outside the sequence (UI): to the server, or with an all-station address to many. It needs no link, is
    /// not acknowledged, and waits while the server has the right to send. An answer, if one comes, is a notification.
    ///
    /// # Errors
    /// `Busy` while an earlier one waits; `ApduTooLong`, also when a request that is being sent takes too much of the
    /// storage.
    pub fn send_unnumbered(&mut self, destination: Address, apdu: &[u8]) -> Result<(), LinkError> {
        self.station.send_unnumbered(destination, apdu)
    }

    /// Sets the time of one octet on the line: see [`Config::octet_time_us`]. For a rate that a sign-on has settled.
    pub const fn set_octet_time_us(&mut self, octet_time_us: u32) {
        self.station.set_octet_time_us(octet_time_us);
    }

    /// Broken frames received so far.
    pub const fn frame_errors(&self) -> u32 {
        self.deframer.errors()
    }

    /// Right frames from or for others so far, own echoes among them.
    pub const fn foreign_frames(&self) -> u32 {
        self.station.foreign()
    }

    /// How often the server was silent or a frame had to be sent again so far.
    pub const fn repetitions(&self) -> u32 {
        self.station.repeated()
    }

    /// Handles the frames in `bytes` up to one that completes an APDU; returns how many octets that were.
    fn pump(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut rest = bytes;
        while !self.station.is_held() {
            let (used, frame) = self.deframer.push(rest, now);
            rest = rest.get(used..).unwrap_or_default();
            match frame {
                Some(Ok(frame)) => self.station.handle_frame(&frame, now),
                Some(Err(_)) => {}
                None => break,
            }
        }
        bytes.len().saturating_sub(rest.len())
    }
}

impl<B: Storage> Link for Session<B> {
    fn open(&mut self, now: Instant) {
        self.deframer.reset();
        self.station.open(now);
    }

    fn close(&mut self, now: Instant) {
        self.station.close(now);
    }

    fn send(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        self.station.send(apdu, true, now)
    }

    fn send_unconfirmed(&mut self, apdu: &[u8], now: Instant) -> Result<(), LinkError> {
        self.station.send(apdu, false, now)
    }

    fn can_send(&self) -> bool {
        self.station.can_send()
    }

    fn expect(&mut self, now: Instant) {
        self.station.expect(now);
    }

    fn handle_input(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.pump(bytes, now)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.pump(&[], now);
        // A frame that is arriving is an answer: it is not asked for again before it has come to its end.
        let arriving = self.deframer.poll_timeout().is_some_and(|deadline| now < deadline);
        self.station.handle_timeout(now, arriving);
    }

    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        self.station.poll_transmit(out)
    }

    fn poll_event(&mut self) -> Option<LinkEvent> {
        self.station.poll_event()
    }

    fn apdu(&mut self) -> &mut [u8] {
        self.station.apdu()
    }

    fn release_apdu(&mut self) {
        self.station.release_apdu();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.station.poll_timeout(self.deframer.poll_timeout())
    }

    fn take_deviations(&mut self) -> Deviations {
        self.station.take_deviations()
    }
}
