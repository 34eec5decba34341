//! Values told by difference to the value before them, in a profile's buffer: null-data and the delta types.
//!
//! Whether a meter means "as before" or "no value" by null-data is not visible on the wire, so restoring is the
//! caller's choice. The delta types are known from one implementation; that the sign is fixed by the type (an
//! unsigned delta is added, never subtracted) is not double-checked.

use super::Data;

macro_rules! widths {
    ($previous:expr, $sum:expr; $($variant:ident)*) => {
        match $previous {
            $(Self::$variant(_) => Self::$variant($sum.try_into().ok()?),)*
            _ => return None,
        }
    };
}

impl<'a> Data<'a> {
    /// What a delta type adds to the value before.
    #[must_use]
    pub fn as_delta(&self) -> Option<i64> {
        Some(match *self {
            Self::DeltaInteger(value) => value.into(),
            Self::DeltaLong(value) => value.into(),
            Self::DeltaDoubleLong(value) => value.into(),
            Self::DeltaUnsigned(value) => value.into(),
            Self::DeltaLongUnsigned(value) => value.into(),
            Self::DeltaDoubleLongUnsigned(value) => value.into(),
            _ => return None,
        })
    }

    /// The value that is meant after `previous`: null-data repeats it, a delta type is added to it, anything else
    /// speaks for itself. The sum has the type of `previous`.
    ///
    /// `None` for a delta that `previous` cannot take: it is no integer, or the sum does not fit its type.
    #[must_use]
    pub fn restored(&self, previous: &Self) -> Option<Self> {
        if self.is_null() {
            return Some(*previous);
        }
        let Some(delta) = self.as_delta() else { return Some(*self) };
        let sum = previous.as_i128()?.checked_add(i128::from(delta))?;
        Some(widths!(previous, sum;
            Integer Long DoubleLong Long64 Unsigned LongUnsigned DoubleLongUnsigned Long64Unsigned))
    }

    /// The shortest way to tell this value after `previous` without delta types: null-data when nothing changed.
    ///
    /// A value that is null-data itself stays so, and is then read as `previous`: a profile with values that may be
    /// missing must not be compressed.
    #[must_use]
    pub fn compressed(&self, previous: &Self) -> Self {
        if self == previous { Self::Null } else { *self }
    }

    /// The shortest way to tell this value after `previous`, delta types included; for associations that negotiated
    /// `delta-value-encoding`.
    #[must_use]
    pub fn delta_compressed(&self, previous: &Self) -> Self {
        if self == previous {
            return Self::Null;
        }
        let same_type = self.tag() == previous.tag() && !matches!(self, Self::Enum(_) | Self::Bcd(_));
        let (true, Some(now), Some(before)) = (same_type, self.as_i128(), previous.as_i128()) else { return *self };
        let Some(delta) = now.checked_sub(before) else { return *self };
        let encoded = if let Ok(delta) = u8::try_from(delta) {
            Self::DeltaUnsigned(delta)
        } else if let Ok(delta) = i8::try_from(delta) {
            Self::DeltaInteger(delta)
        } else if let Ok(delta) = u16::try_from(delta) {
            Self::DeltaLongUnsigned(delta)
        } else if let Ok(delta) = i16::try_from(delta) {
            Self::DeltaLong(delta)
        } else if let Ok(delta) = u32::try_from(delta) {
            Self::DeltaDoubleLongUnsigned(delta)
        } else if let Ok(delta) = i32::try_from(delta) {
            Self::DeltaDoubleLong(delta)
        } else {
            return *self;
        };
        // A delta as wide as the value saves nothing.
        if encoded.fixed_size() < self.fixed_size() { encoded } else { *self }
    }

    const fn fixed_size(&self) -> u8 {
        match super::tag::body(self.tag()) {
            super::tag::Body::Fixed(size) => size,
            _ => u8::MAX,
        }
    }
}
