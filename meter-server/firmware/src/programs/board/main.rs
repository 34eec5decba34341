//! A whole meter without `std` and without an allocator, as it would be on a board with a UART and a flash memory.
//!
//! It serves a register, a clock, a load profile, its keys and its own firmware to a public client, to one with a password
//! and to a management client with HLS-GMAC. Here the wires of the UART are standard input and output, and the flash
//! memory is a file, whose name is the only argument. All memory is in `static`s, and nothing here could link if the
//! stack, or the server core, needed the standard library or an allocator.
#![no_std]
#![no_main]

mod flash;
#[path = "../system.rs"]
mod system;

use core::cell::RefCell;
use core::ffi::{c_char, c_int};

use dlms::Instant;
use dlms_meter_server::flash::Partition;
use dlms_meter_server::uart::Uart;

use firmware_meter::board::{Line, Memory, Meter, Places, ROOM, line};
use flash::FileFlash;
use system::{Entropy, Held, Place, monotonic_ms, read, readable, unix_seconds, write};

type Part = Partition<'static, FileFlash>;

/// What the interrupts and the main loop share.
static UART: Uart<256, 256> = Uart::new();
// All memory but the stack: what the linker counts is what the program needs.
static MEMORY: Held<Memory> = Held::new(Memory::new());
static FLASH: Place<RefCell<FileFlash>> = Place::new();
static LINE: Place<Line> = Place::new();
static METER: Place<Meter<Part>> = Place::new();

/// The receive interrupt, once for each octet.
fn on_received(octet: u8) {
    UART.on_received(octet);
}

/// The transmit interrupt, once for each octet that there is to send.
fn on_transmitter_free() -> Option<u8> {
    UART.next_to_send()
}

/// The parts of the flash memory, in blocks of 4096 octets.
fn places(flash: &'static RefCell<FileFlash>) -> Option<Places<Part>> {
    let part = |first, blocks| Partition::new(flash, first, blocks);
    Some(Places {
        settings: part(0, 2)?,
        counters: part(2, 2)?,
        transfer: part(4, 2)?,
        rows: part(6, 6)?,
        image: part(12, 17)?,
    })
}

/// The entry point that the C start-up code calls; a board calls it when it is reset.
///
/// # Safety
/// `arguments` has `count` pointers to strings that end with a zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    if count != 2 {
        return 2;
    }
    // SAFETY: there are two arguments.
    let name = unsafe { *arguments.add(1) };
    match (open(name), lay()) {
        (Some(meter), Some(line)) => serve(line, meter),
        _ => 3,
    }
}

// What is only needed to begin leaves the stack again: each of these has a frame of its own.

/// The meter that is in the flash memory.
#[inline(never)]
fn open(name: *const c_char) -> Option<&'static mut Meter<Part>> {
    let flash = FLASH.put(RefCell::new(FileFlash::open(name)?))?;
    METER.put(Meter::open(places(flash)?).ok()?)
}

/// The line, on which nobody has spoken yet.
#[inline(never)]
fn lay() -> Option<&'static mut Line> {
    LINE.put(line(MEMORY.take()?))
}

/// The main loop, until the line ends.
#[inline(never)]
fn serve(line: &mut Line, meter: &mut Meter<Part>) -> c_int {
    let mut room = [0; ROOM];
    loop {
        let now = Instant::from_millis(monotonic_ms());
        meter.tick(unix_seconds());
        let Ok(sending) = UART.turn(line, now, meter, &mut Entropy, &mut room) else { return 1 };
        if sending {
            while let Some(octet) = on_transmitter_free() {
                if !write(&[octet]) {
                    return 1;
                }
            }
            continue;
        }
        // Nothing to do until an octet comes, or a moment: a board sleeps.
        let due = line.poll_timeout().map_or(1_000, |due| due.as_millis().saturating_sub(now.as_millis()).min(1_000));
        if readable(due) {
            let mut octet = [0];
            if read(&mut octet) == 0 {
                line.close(meter);
                return 0;
            }
            octet.into_iter().for_each(on_received);
        }
    }
}
