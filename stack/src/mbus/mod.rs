//! Wired M-Bus (EN 13757-2) as a carrier of pushes: long frames, with an APDU in one or more of them (EN 13757-1).
//!
//! ```text
//!   68 L L 68   C   A   CI   source   destination   octets of the APDU   sum   16
//! ```
//!
//! L counts from C to the last octet of the APDU; the sum is of the same octets. CI numbers the segments in its low four
//! bits, from 0; bit 4 marks the last. Meters' customer ports in Austria and elsewhere push this way.

mod frame;
mod framer;
mod joiner;
mod listener;

pub use frame::{FRAME_MAX, Frame, FrameError, START, STOP};
pub use framer::Framer;
pub use joiner::{Joiner, Route, SegmentError};
pub use listener::Listener;
