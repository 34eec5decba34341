//! Integers as attributes hold them: a value and the A-XDR type that it is written in.

use dlms::axdr::{BufferFull, Data, Writer};
use dlms::cosem::ToData;

/// An integer of one of the types that registers and thresholds have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub(crate) kind: NumberKind,
    pub(crate) value: i64,
}

/// A type of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// `integer`.
    Integer,
    /// `long`.
    Long,
    /// `double-long`.
    DoubleLong,
    /// `long64`.
    Long64,
    /// `unsigned`.
    Unsigned,
    /// `long-unsigned`.
    LongUnsigned,
    /// `double-long-unsigned`.
    DoubleLongUnsigned,
    /// `long64-unsigned`, as far as it fits into 63 bits.
    Long64Unsigned,
}

impl NumberKind {
    /// The greatest value of the type.
    #[must_use]
    pub const fn max(self) -> i64 {
        match self {
            Self::Integer => i8::MAX as i64,
            Self::Long => i16::MAX as i64,
            Self::DoubleLong => i32::MAX as i64,
            Self::Unsigned => u8::MAX as i64,
            Self::LongUnsigned => u16::MAX as i64,
            Self::DoubleLongUnsigned => u32::MAX as i64,
            Self::Long64 | Self::Long64Unsigned => i64::MAX,
        }
    }

    const fn min(self) -> i64 {
        match self {
            Self::Integer => i8::MIN as i64,
            Self::Long => i16::MIN as i64,
            Self::DoubleLong => i32::MIN as i64,
            Self::Long64 => i64::MIN,
            _ => 0,
        }
    }
}

impl Number {
    /// `value` in a type; `None` when it does not fit.
    #[must_use]
    pub const fn new(kind: NumberKind, value: i64) -> Option<Self> {
        if kind.min() <= value && value <= kind.max() { Some(Self { kind, value }) } else { None }
    }

    /// The integer in `data`; `None` for anything else.
    #[must_use]
    pub fn from_data(data: &Data<'_>) -> Option<Self> {
        let (kind, value) = match *data {
            Data::Integer(value) => (NumberKind::Integer, value.into()),
            Data::Long(value) => (NumberKind::Long, value.into()),
            Data::DoubleLong(value) => (NumberKind::DoubleLong, value.into()),
            Data::Long64(value) => (NumberKind::Long64, value),
            Data::Unsigned(value) => (NumberKind::Unsigned, value.into()),
            Data::LongUnsigned(value) => (NumberKind::LongUnsigned, value.into()),
            Data::DoubleLongUnsigned(value) => (NumberKind::DoubleLongUnsigned, value.into()),
            Data::Long64Unsigned(value) => (NumberKind::Long64Unsigned, value.try_into().ok()?),
            _ => return None,
        };
        Some(Self { kind, value })
    }

    /// The type.
    #[must_use]
    pub const fn kind(self) -> NumberKind {
        self.kind
    }

    /// The value.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.value
    }

    /// Whether no value of the type is greater: as a threshold, the way to switch a supervision off.
    #[must_use]
    pub const fn is_max(self) -> bool {
        self.value == self.kind.max()
    }

    fn as_data(self) -> Option<Data<'static>> {
        let value = self.value;
        Some(match self.kind {
            NumberKind::Integer => Data::Integer(value.try_into().ok()?),
            NumberKind::Long => Data::Long(value.try_into().ok()?),
            NumberKind::DoubleLong => Data::DoubleLong(value.try_into().ok()?),
            NumberKind::Long64 => Data::Long64(value),
            NumberKind::Unsigned => Data::Unsigned(value.try_into().ok()?),
            NumberKind::LongUnsigned => Data::LongUnsigned(value.try_into().ok()?),
            NumberKind::DoubleLongUnsigned => Data::DoubleLongUnsigned(value.try_into().ok()?),
            NumberKind::Long64Unsigned => Data::Long64Unsigned(value.try_into().ok()?),
        })
    }
}

impl ToData for Number {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        // A number is made of what fits its type.
        self.as_data().unwrap_or(Data::Null).encode(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_their_own_type() {
        for data in [
            Data::Integer(-5),
            Data::Long(-300),
            Data::DoubleLong(i32::MIN),
            Data::Long64(i64::MIN),
            Data::Unsigned(255),
            Data::LongUnsigned(65_535),
            Data::DoubleLongUnsigned(u32::MAX),
            Data::Long64Unsigned(u64::MAX / 2),
        ] {
            let number = Number::from_data(&data).unwrap();
            assert_eq!(number.as_data(), Some(data));
            assert_eq!(Number::new(number.kind(), number.value()), Some(number));
        }
        assert_eq!(Number::from_data(&Data::Long64Unsigned(u64::MAX)), None);
        assert_eq!(Number::from_data(&Data::Enum(1)), None);
        assert_eq!(Number::new(NumberKind::Unsigned, 256), None);
        assert_eq!(Number::new(NumberKind::LongUnsigned, -1), None);
        assert!(Number::new(NumberKind::Unsigned, 255).unwrap().is_max());
    }
}
