//! Decoding the records of a corpus and comparing each with what it should be.

pub mod report;
pub mod verdict;
