//! What can be wrong with octets, and where.

use thiserror::Error;

/// The octets are not a legal encoding; says where the reader stood and what was wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} at offset {offset}")]
pub struct DecodeError {
    /// Octets from the start of the outermost input.
    pub offset: usize,
    /// What was wrong.
    pub kind: DecodeErrorKind,
}

/// Why octets were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends before the value does.
    #[error("truncated: {needed} more octet(s) needed, {available} left")]
    Truncated {
        /// Octets that the value still needs.
        needed: usize,
        /// Octets that are left.
        available: usize,
    },
    /// A tag or choice that this place does not allow.
    #[error("unexpected {what} tag {found:#04x}")]
    UnexpectedTag {
        /// What was being read.
        what: &'static str,
        /// The octet that was found.
        found: u8,
    },
    /// A length or count that cannot be: indefinite, over 32 bits, or more than the octets that are left.
    #[error("invalid length of {what}")]
    InvalidLength {
        /// What was being read.
        what: &'static str,
    },
    /// A value outside the set that this field allows.
    #[error("invalid {what}: {found}")]
    InvalidValue {
        /// The field.
        what: &'static str,
        /// The number that was found.
        found: u32,
    },
    /// A field that must be there is not.
    #[error("{what} is missing")]
    Missing {
        /// The field.
        what: &'static str,
    },
    /// Octets are left after a complete value.
    #[error("{count} octet(s) after the end")]
    TrailingOctets {
        /// How many.
        count: usize,
    },
    /// Arrays and structures nested deeper than the limit.
    #[error("nested too deeply")]
    TooDeep,
    /// More values than the work budget for this input allows.
    #[error("too many values")]
    TooManyValues,
}

/// The output buffer is too small for what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the output buffer is full")]
pub struct BufferFull;
