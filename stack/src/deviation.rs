//! Departures from the standard that are understood all the same.
//!
//! Deployed meters send APDUs that break a rule in a known way. The decoders of [`crate::apdu`] and
//! [`crate::acse`] accept the ways that are known, and say which they met: a head-end can count them per
//! meter model, and a test tool can refuse them.

use core::fmt;

use thiserror::Error;

use crate::axdr::DecodeError;

macro_rules! deviations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One known departure from the standard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Deviation {
            $($(#[$doc])* $name,)*
        }

        impl Deviation {
            /// Every known deviation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// A name in kebab case that stays the same between versions, for metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

deviations! {
    /// A length or count that is not in its shortest form, as `82 00 35`.
    NonMinimalLength = "non-minimal-length",
    /// A presence octet that is neither 00 nor 01.
    PresenceOctet = "presence-octet",
    /// The presence octet of an OPTIONAL field at the end is missing: `C7 01 C1 FA`.
    MissingPresenceOctet = "missing-presence-octet",
    /// A DEFAULT field that carries its default value.
    ExplicitDefault = "explicit-default",
    /// Conformance under the one-octet tag `5F` instead of `5F 1F`.
    ConformanceTag = "conformance-tag",
    /// A date-time with a Data tag in front (`09 0C` or `19`) where a bare octet string belongs, or without
    /// a length where one belongs.
    DateTimeForm = "date-time-form",
    /// Octets after the end of an error APDU.
    TrailingOctets = "trailing-octets",
    /// An invocation-counter-error without the counter (editions before Green Book 8).
    MissingCounter = "missing-counter",
    /// A general-glo- or general-ded-ciphering with an empty system title.
    EmptySystemTitle = "empty-system-title",
    /// An ACSE field with a tag that the standard does not have; it was skipped.
    UnknownField = "unknown-field",
    /// The outer BER length ends before the APDU does; user-information was read to the end of the APDU.
    ShortOuterLength = "short-outer-length",
    /// User-information that is not exactly one octet string; its octets were taken as they are.
    UserInformationForm = "user-information-form",
    /// An ACSE protocol-version other than version 1 alone.
    ProtocolVersion = "protocol-version",
    /// A mechanism name whose last octet has its top bit set.
    MechanismTopBit = "mechanism-top-bit",
}

impl Deviation {
    const fn bit(self) -> u32 {
        1_u32.wrapping_shl(self as u32)
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The set of deviations that one APDU showed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Deviations(u32);

impl Deviations {
    /// No deviation.
    pub const NONE: Self = Self(0);

    /// Whether the octets kept every rule that is checked.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `deviation` was met.
    #[must_use]
    pub const fn contains(self, deviation: Deviation) -> bool {
        self.0 & deviation.bit() != 0
    }

    /// Adds `deviation`.
    pub const fn insert(&mut self, deviation: Deviation) {
        self.0 |= deviation.bit();
    }

    /// This set and `other` together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The deviations in the set.
    pub fn iter(self) -> impl Iterator<Item = Deviation> {
        Deviation::ALL.iter().copied().filter(move |deviation| self.contains(*deviation))
    }
}

impl FromIterator<Deviation> for Deviations {
    fn from_iter<I: IntoIterator<Item = Deviation>>(iter: I) -> Self {
        iter.into_iter().fold(Self::NONE, |mut set, deviation| {
            set.insert(deviation);
            set
        })
    }
}

impl fmt::Display for Deviations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, deviation) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(deviation.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Deviations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Why a strict decoder refused octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StrictError {
    /// The octets cannot be understood.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The octets can be understood, but break rules of the standard.
    #[error("deviates from the standard: {0}")]
    Deviates(Deviations),
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_deviation_has_its_own_bit_and_name() {
        for (index, deviation) in Deviation::ALL.iter().enumerate() {
            let alone: Deviations = [*deviation].into_iter().collect();
            assert_eq!(alone.iter().collect::<std::vec::Vec<_>>(), [*deviation]);
            for other in &Deviation::ALL[index + 1..] {
                assert!(!alone.contains(*other));
                assert_ne!(deviation.name(), other.name());
            }
        }
    }

    #[test]
    fn a_set_prints_its_members() {
        let set: Deviations = [Deviation::TrailingOctets, Deviation::NonMinimalLength].into_iter().collect();
        assert_eq!(set.to_string(), "non-minimal-length, trailing-octets");
        assert_eq!(Deviations::NONE.to_string(), "none");
    }
}
