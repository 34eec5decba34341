//! head-end
fn main() {}
