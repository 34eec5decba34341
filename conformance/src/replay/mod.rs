//! Decoding the records of a corpus and comparing each with what it should be.

pub mod mbus;
pub mod p1;
pub mod report;
pub mod verdict;
