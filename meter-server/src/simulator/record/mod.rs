//! Values as octets, short: what a meter keeps across restarts, and what is packed while nobody asks for it.
//!
//! Numbers are in groups of seven bits, the lowest first; a list has its length in front. What was written by another layout
//! does not read back, and is told from garbage by whoever keeps the octets.

mod types;

use std::collections::{BTreeMap, VecDeque};

use super::small_map::SmallMap;

/// A value that is written as octets and read back.
pub(crate) trait Record: Sized {
    /// Writes the value behind `out`.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes a value off the front of `octets`; `None` when there is none of its kind.
    fn take(octets: &mut &[u8]) -> Option<Self>;

    /// The value alone.
    fn to_octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// The value that these octets are, all of them.
    fn from_octets(mut octets: &[u8]) -> Option<Self> {
        let value = Self::take(&mut octets)?;
        octets.is_empty().then_some(value)
    }
}

/// Structures by their fields.
macro_rules! record {
    ($($type:ty { $($field:tt),* $(,)? })*) => { $(
        impl $crate::simulator::record::Record for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::simulator::record::Record::put(&self.$field, out);)*
            }

            fn take(octets: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::simulator::record::Record::take(octets)?),* })
            }
        }
    )* };
}
pub(crate) use record;

impl Record for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        while left >= 0x80 {
            out.push((left & 0x7F) as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let mut value: Self = 0;
        for shift in (0..64).step_by(7) {
            let (octet, rest) = octets.split_first()?;
            *octets = rest;
            let part = Self::from(octet & 0x7F);
            if (part << shift) >> shift != part {
                return None;
            }
            value |= part << shift;
            if octet & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl Record for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        // The sign is the lowest bit, so that small negative numbers are short too.
        ((*self << 1) ^ (*self >> 63)).cast_unsigned().put(out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let folded = u64::take(octets)?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

macro_rules! integers {
    ($($type:ty as $wide:ty),*) => { $(
        impl Record for $type {
            fn put(&self, out: &mut Vec<u8>) {
                <$wide>::try_from(*self).unwrap_or_default().put(out);
            }

            fn take(octets: &mut &[u8]) -> Option<Self> {
                Self::try_from(<$wide>::take(octets)?).ok()
            }
        }
    )* };
}

integers!(u16 as u64, u32 as u64, usize as u64, i8 as i64, i16 as i64, i32 as i64);

impl Record for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        Some(*octet)
    }
}

impl Record for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let (head, rest) = octets.split_first_chunk()?;
        *octets = rest;
        Some(Self::from_be_bytes(*head))
    }
}

impl Record for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        match u8::take(octets)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Record> Record for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|value| value.put(out));
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        if bool::take(octets)? { T::take(octets).map(Some) } else { Some(None) }
    }
}

impl<T: Record> Record for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        T::take(octets).map(Self::new)
    }
}

/// Writes a list.
fn put_all<'a, T: Record + 'a>(items: impl ExactSizeIterator<Item = &'a T>, out: &mut Vec<u8>) {
    items.len().put(out);
    items.for_each(|item| item.put(out));
}

/// Reads a list of any kind. Its length is not believed before its items are there.
fn take_all<T: Record, C: FromIterator<T>>(octets: &mut &[u8]) -> Option<C> {
    let count = usize::take(octets)?;
    (0..count).map(|_| T::take(octets)).collect()
}

macro_rules! lists {
    ($($type:ty: $item:ident),*) => { $(
        impl<$item: Record> Record for $type {
            fn put(&self, out: &mut Vec<u8>) {
                put_all(self.iter(), out);
            }

            fn take(octets: &mut &[u8]) -> Option<Self> {
                take_all(octets)
            }
        }
    )* };
}

lists!(Vec<T>: T, VecDeque<T>: T, Box<[T]>: T);

impl<T: Record, const N: usize> Record for heapless::Vec<T, N> {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self.iter(), out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let mut list = Self::new();
        for _ in 0..usize::take(octets)? {
            list.push(T::take(octets)?).ok()?;
        }
        Some(list)
    }
}

impl<T: Record + Copy + Default, const N: usize> Record for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.put(out));
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        let mut array = [T::default(); N];
        for item in &mut array {
            *item = T::take(octets)?;
        }
        Some(array)
    }
}

impl<K: Record + Ord, V: Record> Record for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        take_all::<(K, V), _>(octets)
    }
}

impl<K: Record + Ord, V: Record> Record for SmallMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for (key, value) in self.iter() {
            key.put(out);
            value.put(out);
        }
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        take_all::<(K, V), _>(octets)
    }
}

impl<A: Record, B: Record> Record for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        Some((A::take(octets)?, B::take(octets)?))
    }
}

impl<A: Record, B: Record, C: Record> Record for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        Some((A::take(octets)?, B::take(octets)?, C::take(octets)?))
    }
}

impl Record for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self.as_bytes().iter(), out);
    }

    fn take(octets: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Vec::take(octets)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Everything = (Vec<(i64, u32, Option<i16>)>, BTreeMap<u16, Box<[u8]>>, (String, bool));

    proptest! {
        #[test]
        fn what_was_written_reads_back_and_nothing_shorter(
            numbers: Vec<(i64, u32, Option<i16>)>,
            map: BTreeMap<u16, Vec<u8>>,
            text: String,
            flag: bool,
        ) {
            let map = map.into_iter().map(|(key, octets)| (key, octets.into_boxed_slice())).collect();
            let value: Everything = (numbers, map, (text, flag));
            let octets = value.to_octets();
            prop_assert_eq!(Everything::from_octets(&octets[..octets.len() - 1]), None);
            prop_assert_eq!(Everything::from_octets(&octets), Some(value));
        }

        #[test]
        fn garbage_is_refused_without_taking_memory_for_it(octets: Vec<u8>) {
            let _ = Everything::from_octets(&octets);
            let long = [&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F][..], &octets].concat();
            prop_assert_eq!(Vec::<u64>::from_octets(&long), None);
        }
    }

    #[test]
    fn numbers_are_short_and_the_ends_fit() {
        assert_eq!(i64::MIN.to_octets().len(), 10);
        for number in [i64::MIN, -65, -64, -1, 0, 63, 64, i64::MAX] {
            assert_eq!(i64::from_octets(&number.to_octets()), Some(number));
        }
        assert_eq!((63_i64.to_octets().len(), 127_u64.to_octets().len()), (1, 1));
        assert_eq!(u64::from_octets(&[0xFF; 10]), None, "more than 64 bits");
        assert_eq!(u16::from_octets(&70_000_u32.to_octets()), None);
    }
}
