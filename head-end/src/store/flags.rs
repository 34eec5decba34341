//! What was noticed about a capture when it came in.

use std::{fmt, ops};

/// What was noticed about a capture when it came in. Flags explain values, and never change them; they speak of the
/// moment of arrival: a gap before a capture may have been closed since, which the coverage tells.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CaptureFlags(pub u32);

impl CaptureFlags {
    /// Captures are missing between this one and the one before it.
    pub const MISSING: Self = Self(1);
    /// The moment was captured before, with other values.
    pub const DUPLICATE: Self = Self(1 << 1);
    /// The status of the row has bits set, other than that of daylight saving.
    pub const STATUS: Self = Self(1 << 2);
    /// The capture lies beside the regular moments of its profile, or after its arrival: the clock was set, or is wrong.
    pub const CLOCK_SHIFT: Self = Self(1 << 3);
    /// The meter itself says that its clock was invalid or doubtful.
    pub const CLOCK_DOUBTFUL: Self = Self(1 << 4);
    /// A register that only counts up is lower than before.
    pub const NON_MONOTONIC: Self = Self(1 << 5);
    /// A register went through its end and began again, or is at the end of its type's range.
    pub const OVERFLOW: Self = Self(1 << 6);

    /// Every flag with its name, as in API and tables.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::MISSING, "MISSING"),
        (Self::DUPLICATE, "DUPLICATE"),
        (Self::STATUS, "STATUS"),
        (Self::CLOCK_SHIFT, "CLOCK_SHIFT"),
        (Self::CLOCK_DOUBTFUL, "CLOCK_DOUBTFUL"),
        (Self::NON_MONOTONIC, "NON_MONOTONIC"),
        (Self::OVERFLOW, "OVERFLOW"),
    ];

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }
}

impl ops::BitOrAssign for CaptureFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl ops::BitOr for CaptureFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for CaptureFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
