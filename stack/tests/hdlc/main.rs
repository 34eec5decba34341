//! The HDLC link from outside: published frames and exchanges, captured traffic, and both stations joined by a
//! line that loses, doubles and damages frames.

mod captures;
mod exchange;
mod hostile;
mod line;
mod listener;
mod lossy;
mod multi_drop;
mod pair;
mod scan;
mod script;
mod stations;
mod supervision;
mod vectors;
