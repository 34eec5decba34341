//! meter-server
fn main() {}
