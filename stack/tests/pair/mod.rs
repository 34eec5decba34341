//! A client and a server in one process: bytes go over by hand, time is a number.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod line;
mod meter;

use dlms::id::{ClientSap, SystemTitle};
use dlms::security::Random;

pub use self::line::*;
pub use self::meter::*;

pub const GUEK: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
pub const GAK: [u8; 16] =
    [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF];
/// The key of pushes, which no association uses.
pub const PUSH_KEY: [u8; 16] = [0x77; 16];
pub const CLIENT_TITLE: SystemTitle = SystemTitle(*b"MMM\0\0\0\0\x01");
pub const SERVER_TITLE: SystemTitle = SystemTitle(*b"MMM\0\0\xBCaN");
pub const READER: ClientSap = ClientSap(17);
/// Clients whose associations refer to objects by short names: in clear, and ciphered.
pub const SHORT_NAME_PUBLIC: ClientSap = ClientSap(32);
pub const SHORT_NAME_MANAGEMENT: ClientSap = ClientSap(33);
pub const SHORT_NAME_CIPHERED_LLS: ClientSap = ClientSap(34);
pub const SHORT_NAME_CIPHERED_SHA256: ClientSap = ClientSap(35);
pub const PASSWORD: &[u8] = b"12345678";

/// Random numbers that tests can tell apart; never the same twice.
pub struct Counting(pub u64);

impl Random for Counting {
    fn fill(&mut self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(8) {
            self.0 += 1;
            chunk.copy_from_slice(&self.0.to_be_bytes()[..chunk.len()]);
        }
    }
}
