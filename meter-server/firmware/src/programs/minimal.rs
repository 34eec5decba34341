//! The least that a meter is, without `std` and without an allocator: its size is the size of the stack.
//!
//! It speaks the TCP/UDP wrapper over its standard input and output, as firmware would over a UART, and serves a
//! register, a clock and a load profile to a public client and to a management client with HLS-GMAC. All memory is
//! in [`Meter`]'s fields and in `main`'s buffers. Nothing here could link if the stack, or the server core, needed
//! the standard library or an allocator.
#![no_std]
#![no_main]

#[allow(dead_code)] // the other program uses the rest
mod system;

use dlms::Instant;
use dlms::association::server::Connection;
use dlms::security::{HEADROOM, SmallCrypto, TAG_LENGTH};
use dlms::wrapper::server::Wrapper;

use firmware_meter::minimal::{Meter, PDU_OCTETS};
use system::{Entropy, Place, monotonic_ms, read, unix_seconds, write};

/// Associations at a time.
const ASSOCIATIONS: usize = 2;
/// Storage of one association: a request whose answer leaves in blocks.
const STORAGE: usize = 128;
/// One buffer size for all: an APDU with its ciphering.
const BUFFER: usize = PDU_OCTETS as usize + HEADROOM + TAG_LENGTH;

/// Octets of one line, borrowed by the connection.
struct Memory {
    receive: [u8; BUFFER],
    transmit: [u8; BUFFER],
    out: [u8; BUFFER],
    long: [[u8; STORAGE]; ASSOCIATIONS],
}

type Line = Connection<Wrapper<&'static mut [u8]>, SmallCrypto, &'static mut [u8], ASSOCIATIONS>;

// All memory but the stack: what the linker counts is what the program needs.
static MEMORY: Place<Memory> = Place::new();
static LINE: Place<Line> = Place::new();
static METER: Place<Meter> = Place::new();

/// The entry point that the C start-up code calls.
///
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let memory =
        Memory { receive: [0; BUFFER], transmit: [0; BUFFER], out: [0; BUFFER], long: [[0; STORAGE]; ASSOCIATIONS] };
    let Some(memory) = MEMORY.put(memory) else { return 1 };
    let mut storages = memory.long.iter_mut();
    let link = Wrapper::new(&mut memory.receive[..], &mut memory.transmit[..], 5_000);
    let storage = || storages.next().map_or(&mut [][..], |storage| &mut storage[..]);
    let line = Line::new(link, storage, &mut memory.out[..]);
    let (Some(line), Some(meter)) = (LINE.put(line), METER.put(Meter::new())) else { return 1 };
    serve(line, meter)
}

/// Reads, answers and writes until the line ends.
fn serve(line: &mut Line, meter: &mut Meter) -> i32 {
    let mut octets = [0; 64];
    let mut entropy = Entropy;
    loop {
        let count = read(&mut octets);
        if count == 0 {
            line.close(meter);
            return 0;
        }
        let mut rest = &octets[..count];
        loop {
            let now = Instant::from_millis(monotonic_ms());
            meter.set_time(unix_seconds());
            match line.handle_input(rest, now, meter, &mut entropy) {
                Ok(taken) => rest = &rest[taken..],
                Err(_) => return 1,
            }
            let mut frame = [0; 64];
            let mut sent = false;
            while let Some(length) = line.poll_transmit(&mut frame) {
                sent = true;
                if !write(&frame[..length]) {
                    return 1;
                }
            }
            if rest.is_empty() && !sent {
                break;
            }
        }
    }
}
