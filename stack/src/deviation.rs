//! Departures from the standard that are understood all the same.
//!
//! Deployed meters break rules in known ways. The decoders of [`crate::apdu`] and [`crate::acse`] accept the ways that
//! are known, and say which they met; links and associations do the same for theirs. [`crate::quirk::Quirks`] says
//! which of them a connection tolerates, [`DeviationCounts`] how often it met them.

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
    /// An APDU of a server behind the LLC header of commands, E6 E6 00.
    LlcDirection = "llc-direction",
    /// An APDU in an HDLC frame without an LLC header.
    MissingLlc = "missing-llc",
    /// An HDLC answer from an address of another width than was asked.
    AddressWidth = "address-width",
    /// SNRM is refused for its parameters, and taken without.
    RefusedParameters = "refused-parameters",
    /// Pushes in numbered HDLC frames, without a link.
    InformationPush = "information-push",
    /// Wrapper headers with the low octet first.
    LittleEndianWrapper = "little-endian-wrapper",
    /// Octets of a modem in front of the first wrapper header.
    WrapperPreamble = "wrapper-preamble",
    /// A datagram with more behind its APDU.
    DatagramTail = "datagram-tail",
    /// An M-Bus length octet that has run over: 01 for 257 octets.
    MbusLengthOverrun = "mbus-length-overrun",
    /// A meter that does not confirm the option that was selected in an IEC 62056-21 sign-on.
    UnconfirmedSignOn = "unconfirmed-sign-on",
    /// A challenge in the AARE without the diagnostic that announces it.
    UnannouncedChallenge = "unannounced-challenge",
    /// No system title in the AARE of a ciphered association: the configured one is taken.
    MissingSystemTitle = "missing-system-title",
    /// A system title in the AARE of an association without ciphering.
    UnneededSystemTitle = "unneeded-system-title",
    /// No mechanism name in the AARE although a mechanism was asked for.
    MissingMechanism = "missing-mechanism",
    /// Services in the AARE that were never proposed.
    ExtraConformance = "extra-conformance",
    /// A longest APDU of 0 octets, which means no limit.
    ZeroPduSize = "zero-pdu-size",
    /// A longest APDU under 12 octets, or under the 128 that every peer should take.
    SmallPduSize = "small-pdu-size",
    /// Blocks that are counted from 0.
    BlockNumberZero = "block-number-zero",
    /// A release that is refused or answered by an error.
    RefusedRelease = "refused-release",
    /// An error in clear inside a ciphered association. It is never taken for data.
    PlainError = "plain-error",
    /// A VAA name in the AARE that is not that of the referencing.
    VaaName = "vaa-name",
    /// A result of a method without the choice between data and an error: `C7 01 C1 00 01 09`, in pass 4 of HLS.
    MissingResultChoice = "missing-result-choice",
    /// Pass 3 of HLS to an association by its own number instead of the current one (0.0.40.0.0.255).
    HlsObject = "hls-object",
}

impl Deviation {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The deviation of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|deviation| deviation.name() == name)
    }

    const fn bit(self) -> u64 {
        1_u64.wrapping_shl(self as u32)
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The set of deviations that one APDU showed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Deviations(u64);

impl Deviations {
    /// No deviation.
    pub const NONE: Self = Self(0);

    /// Every deviation.
    pub const ALL: Self = Self(u64::MAX.wrapping_shr(u64::BITS.wrapping_sub(Deviation::COUNT as u32)));

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

    /// This set and `deviation`.
    #[must_use]
    pub const fn with(mut self, deviation: Deviation) -> Self {
        self.insert(deviation);
        self
    }

    /// Takes `deviation` out.
    pub const fn remove(&mut self, deviation: Deviation) {
        self.0 &= !deviation.bit();
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The first deviation in the set.
    #[must_use]
    pub fn first(self) -> Option<Deviation> {
        self.iter().next()
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

/// How often each deviation was met.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviationCounts([u32; Deviation::COUNT]);

impl DeviationCounts {
    /// None was met.
    pub const NONE: Self = Self([0; Deviation::COUNT]);

    /// Counts every deviation of the set once.
    pub fn count(&mut self, met: Deviations) {
        if met.is_empty() {
            return;
        }
        for (count, deviation) in self.0.iter_mut().zip(Deviation::ALL) {
            *count = count.saturating_add(u32::from(met.contains(*deviation)));
        }
    }

    /// How often `deviation` was met.
    #[must_use]
    pub fn of(&self, deviation: Deviation) -> u32 {
        self.iter().find(|(other, _)| *other == deviation).map_or(0, |(_, count)| count)
    }

    /// The deviations that were met, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Deviation, u32)> {
        Deviation::ALL.iter().copied().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl Default for DeviationCounts {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for DeviationCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
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
    fn names_lead_back_and_counts_add_up() {
        let mut counts = DeviationCounts::NONE;
        for deviation in Deviation::ALL {
            assert_eq!(Deviation::from_name(deviation.name()), Some(*deviation));
            assert!(Deviations::ALL.contains(*deviation));
        }
        assert_eq!(Deviations::ALL.iter().count(), Deviation::COUNT);
        counts.count([Deviation::PlainError, Deviation::LlcDirection].into_iter().collect());
        counts.count([Deviation::PlainError].into_iter().collect());
        counts.count(Deviations::NONE);
        assert_eq!((counts.of(Deviation::PlainError), counts.of(Deviation::MissingLlc)), (2, 0));
        assert_eq!(counts.iter().count(), 2);
    }

    #[test]
    fn a_set_prints_its_members() {
        let set: Deviations = [Deviation::TrailingOctets, Deviation::NonMinimalLength].into_iter().collect();
        assert_eq!(set.to_string(), "non-minimal-length, trailing-octets");
        assert_eq!(Deviations::NONE.to_string(), "none");
    }
}
