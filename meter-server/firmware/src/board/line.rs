//! HDLC, the associations over it, and the memory of both.

use dlms::association::server::Connection;
use dlms::hdlc::server::{Config, Session, Station};
use dlms::hdlc::{Address, OVERHEAD_MAX, Parameters};
use dlms::id::{ClientSap, ServerSap};
use dlms::security::{HEADROOM, SmallCrypto, TAG_LENGTH};

use super::common::PDU_OCTETS;

/// Associations at a time.
const ASSOCIATIONS: usize = 2;
/// Storage of one association: a request whose answer leaves in blocks.
const STORAGE: usize = 128;
/// An APDU with its ciphering, and the LLC header of HDLC.
const BUFFER: usize = PDU_OCTETS as usize + HEADROOM + TAG_LENGTH + 3;
/// A frame with the information field that holds when nothing else is agreed.
const FRAME: usize = Parameters::DEFAULT.information_receive as usize + OVERHEAD_MAX;
/// Room for a frame with its flags.
pub const ROOM: usize = FRAME + 2;
/// Silence that ends a frame, in milliseconds: longer than a main loop is ever busy.
const INTER_OCTET_MS: u32 = 100;

type Octets = &'static mut [u8];
type Everyone = fn(ClientSap, Address) -> bool;

/// The line of this meter.
pub type Line =
    Connection<Station<Octets, [Session<Octets>; ASSOCIATIONS], Everyone>, SmallCrypto, Octets, ASSOCIATIONS>;

/// Octets that the line works with.
pub struct Memory {
    frame: [u8; FRAME],
    /// Received and sent.
    sessions: [[[u8; BUFFER]; 2]; ASSOCIATIONS],
    long: [[u8; STORAGE]; ASSOCIATIONS],
    out: [u8; BUFFER],
}

impl Memory {
    /// All of it zero.
    pub const fn new() -> Self {
        Self {
            frame: [0; FRAME],
            sessions: [[[0; BUFFER]; 2]; ASSOCIATIONS],
            long: [[0; STORAGE]; ASSOCIATIONS],
            out: [0; BUFFER],
        }
    }
}

fn is_ours(_: ClientSap, server: Address) -> bool {
    server.upper() == ServerSap::MANAGEMENT.0
}

/// A line that nobody has spoken on yet.
pub fn line(memory: &'static mut Memory) -> Line {
    let sessions = memory
        .sessions
        .each_mut()
        .map(|[receive, transmit]| Session::new(Config::default(), &mut receive[..], &mut transmit[..]));
    let station = Station::new(&mut memory.frame[..], INTER_OCTET_MS, sessions, is_ours as Everyone);
    let mut storages = memory.long.iter_mut();
    Connection::new(station, || storages.next().map_or(&mut [][..], |octets| &mut octets[..]), &mut memory.out[..])
}
