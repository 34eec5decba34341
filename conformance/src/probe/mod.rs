//! Asking a live meter, over a network or a serial port.

pub mod address;
pub mod command;
pub mod port;
