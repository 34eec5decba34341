//! What the board gives: here a few functions of the C library.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_short, c_ulong, c_void};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use dlms::security::Random;

unsafe extern "C" {
    #[link_name = "read"]
    fn c_read(fd: c_int, buffer: *mut c_void, count: usize) -> isize;
    #[link_name = "write"]
    fn c_write(fd: c_int, buffer: *const c_void, count: usize) -> isize;
    fn poll(wanted: *mut Wanted, count: c_ulong, ms: c_int) -> c_int;
    fn clock_gettime(clock: c_int, now: *mut Timespec) -> c_int;
    fn getrandom(buffer: *mut c_void, count: usize, flags: u32) -> isize;
    fn time(now: *mut i64) -> i64;
    fn abort() -> !;
}

/// `struct pollfd`.
#[repr(C)]
struct Wanted {
    fd: c_int,
    events: c_short,
    happened: c_short,
}

/// POLLIN (Linux).
const READABLE: c_short = 1;

/// `struct timespec` of 64-bit systems.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// CLOCK_MONOTONIC (Linux).
const MONOTONIC: c_int = 1;

/// Memory that is filled once, when the program begins, and lasts as long as it.
pub struct Place<T> {
    taken: AtomicBool,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value is reached through the one reference that `put` gives out, once, to whoever brought the value.
unsafe impl<T> Sync for Place<T> {}

impl<T> Place<T> {
    pub const fn new() -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Puts `value` here; `None` when there is one already.
    pub fn put(&'static self, value: T) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: nobody else gets here, before or after.
        Some(unsafe { (*self.value.get()).write(value) })
    }
}

/// Memory that has its value from the beginning, so that it never is on a stack, and is given out once.
pub struct Held<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through the one reference that `take` gives out, once.
unsafe impl<T: Send> Sync for Held<T> {}

impl<T> Held<T> {
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value; `None` when somebody has it already.
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: nobody else gets here, before or after.
        Some(unsafe { &mut *self.value.get() })
    }
}

/// Waits for octets from the line, `ms` milliseconds at most; whether there are any, or the line has ended.
pub fn readable(ms: u64) -> bool {
    let mut wanted = Wanted { fd: 0, events: READABLE, happened: 0 };
    // SAFETY: the pointer is that of one exclusive value.
    unsafe { poll(&mut wanted, 1, c_int::try_from(ms).unwrap_or(c_int::MAX)) > 0 }
}

/// Octets from the line; none when it has ended.
pub fn read(octets: &mut [u8]) -> usize {
    // SAFETY: the pointer and the length are those of one exclusive slice.
    let count = unsafe { c_read(0, octets.as_mut_ptr().cast(), octets.len()) };
    usize::try_from(count).unwrap_or(0)
}

/// Octets to the line; whether all were taken.
pub fn write(mut octets: &[u8]) -> bool {
    while !octets.is_empty() {
        // SAFETY: the pointer and the length are those of one slice.
        let count = unsafe { c_write(1, octets.as_ptr().cast(), octets.len()) };
        match usize::try_from(count) {
            Ok(count) if count > 0 => octets = &octets[count..],
            _ => return false,
        }
    }
    true
}

/// Seconds since 1970, UTC.
pub fn unix_seconds() -> i64 {
    // SAFETY: a null pointer is allowed: the time is returned only.
    unsafe { time(core::ptr::null_mut()) }
}

/// Milliseconds of a clock that does not go back; a board has a tick counter instead.
pub fn monotonic_ms() -> u64 {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: the pointer is that of one exclusive value.
    unsafe { clock_gettime(MONOTONIC, &mut now) };
    let ms = now.seconds.saturating_mul(1_000).saturating_add(now.nanoseconds / 1_000_000);
    u64::try_from(ms).unwrap_or(0)
}

/// The operating system's generator; a board has a hardware one.
pub struct Entropy;

impl Random for Entropy {
    fn fill(&mut self, octets: &mut [u8]) {
        let mut filled = 0;
        while filled < octets.len() {
            let rest = &mut octets[filled..];
            // SAFETY: the pointer and the length are those of one exclusive slice.
            let count = unsafe { getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
            match usize::try_from(count) {
                Ok(count) if count > 0 => filled += count,
                // A challenge that is not random must never leave the meter.
                // SAFETY: ends the process.
                _ => unsafe { abort() },
            }
        }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: ends the process.
    unsafe { abort() }
}

/// The precompiled `core` refers to it; nothing unwinds here, so that nothing calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
