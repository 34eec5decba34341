//! Addresses of clients and servers (IEC 62056-46).
//!
//! Each octet carries seven bits; its lowest bit is 1 in the last octet. A client has one octet. A server has
//! one (the upper address: the logical device), two (upper and lower address, 7 bits each) or four (14 bits each).

use core::fmt;

use super::FrameError;

/// How many octets an address takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// One octet: no lower address.
    One,
    /// Two octets: 7 bits each.
    Two,
    /// Four octets: 14 bits each.
    Four,
}

impl Width {
    /// The widths in rising order.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Four];

    /// Octets of an address of this width.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// The all-station address of this width, which is also the highest value of each part.
    #[must_use]
    pub const fn all_station(self) -> u16 {
        match self {
            Self::One | Self::Two => 0x7F,
            Self::Four => 0x3FFF,
        }
    }
}

/// An HDLC address: the two parts and the width they travel in, which is kept as received.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    upper: u16,
    lower: u16,
    width: Width,
}

impl Address {
    /// The largest number of octets of an address.
    pub const OCTETS_MAX: usize = 4;

    /// Address of a client; `None` over 127.
    #[must_use]
    pub const fn client(sap: u16) -> Option<Self> {
        Self::new(sap, 0, Width::One)
    }

    /// Address of logical device `upper` of physical device `lower`; `None` when a part does not fit into `width`. With
    /// [`Width::One`] there is no lower address, and `lower` must be 0.
    #[must_use]
    pub const fn new(upper: u16, lower: u16, width: Width) -> Option<Self> {
        let limit = width.all_station();
        let lower_limit = if matches!(width, Width::One) { 0 } else { limit };
        if upper > limit || lower > lower_limit { None } else { Some(Self { upper, lower, width }) }
    }

    /// The shortest address of logical device `upper` of physical device `lower`; `None` when a part is over 14 bits.
    #[must_use]
    pub const fn shortest(upper: u16, lower: Option<u16>) -> Option<Self> {
        match lower {
            None if upper <= 0x7F => Self::new(upper, 0, Width::One),
            None => Self::new(upper, 0, Width::Four),
            Some(lower) if upper <= 0x7F && lower <= 0x7F => Self::new(upper, lower, Width::Two),
            Some(lower) => Self::new(upper, lower, Width::Four),
        }
    }

    /// The upper address: the client, or the logical device.
    #[must_use]
    pub const fn upper(&self) -> u16 {
        self.upper
    }

    /// The lower address, which is the physical device; `None` in one octet.
    #[must_use]
    pub const fn lower(&self) -> Option<u16> {
        match self.width {
            Width::One => None,
            Width::Two | Width::Four => Some(self.lower),
        }
    }

    /// The width.
    #[must_use]
    pub const fn width(&self) -> Width {
        self.width
    }

    /// Whether upper or lower address is all-station.
    #[must_use]
    pub const fn is_broadcast(&self) -> bool {
        let all = self.width.all_station();
        self.upper == all || (!matches!(self.width, Width::One) && self.lower == all)
    }

    /// Whether the upper address is no-station, which belongs to nobody: it is neither asked nor does it answer.
    #[must_use]
    pub const fn is_no_station(&self) -> bool {
        self.upper == 0
    }

    /// Whether the lower address is that of the calling physical device: the one that has just called or pushed, whatever
    /// its own number is. One implementation knows it; it is not verified further.
    #[must_use]
    pub const fn is_calling(&self) -> bool {
        !matches!(self.width, Width::One) && self.lower == self.width.all_station() ^ 1
    }

    /// Whether `own` is among the stations that this address names: each part is the same, or all-station here, or not
    /// there in one of them.
    #[must_use]
    pub const fn includes(&self, own: &Self) -> bool {
        let all = self.width.all_station();
        let lower = match (self.lower(), own.lower()) {
            (Some(asked), Some(own)) => asked == own || asked == all,
            _ => true,
        };
        (self.upper == own.upper || self.upper == all) && lower
    }

    /// Whether both name the same station. Meters answer in another width than they were asked in, so widths are not
    /// compared, and a lower address only where both have one.
    #[must_use]
    pub const fn is_same_station(&self, other: &Self) -> bool {
        let same_lower = match (self.lower(), other.lower()) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        self.upper == other.upper && same_lower
    }

    /// The octets and how many of them are used.
    #[must_use]
    pub(super) const fn to_bytes(self) -> ([u8; Self::OCTETS_MAX], usize) {
        let bytes = match self.width {
            Width::One => [septet(self.upper) | 1, 0, 0, 0],
            Width::Two => [septet(self.upper), septet(self.lower) | 1, 0, 0],
            Width::Four => {
                [septet(self.upper >> 7), septet(self.upper), septet(self.lower >> 7), septet(self.lower) | 1]
            }
        };
        (bytes, self.width.octets())
    }

    /// The address at the start of `bytes` and how many octets it takes; `None` while `bytes` ends before it does.
    #[inline]
    pub(super) const fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        match bytes {
            [a, ..] if *a & 1 == 1 => Ok(Some((Self { upper: value(0, *a), lower: 0, width: Width::One }, 1))),
            [a, b, ..] if *b & 1 == 1 => {
                Ok(Some((Self { upper: value(0, *a), lower: value(0, *b), width: Width::Two }, 2)))
            }
            [_, _, c, ..] if *c & 1 == 1 => Err(FrameError::Address),
            [a, b, c, d, ..] if *d & 1 == 1 => {
                Ok(Some((Self { upper: value(*a, *b), lower: value(*c, *d), width: Width::Four }, 4)))
            }
            [_, _, _, _, ..] => Err(FrameError::Address),
            _ => Ok(None),
        }
    }
}

/// Seven bits of a part in their place in an octet.
const fn septet(part: u16) -> u8 {
    ((part & 0x7F) << 1) as u8
}

/// The part in two octets.
const fn value(high: u8, low: u8) -> u16 {
    (((high >> 1) as u16) << 7) | (low >> 1) as u16
}

/// `1`, or `1/17` with a lower address.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lower() {
            None => write!(f, "{}", self.upper),
            Some(lower) => write!(f, "{}/{lower}", self.upper),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self} in {} octets)", self.width.octets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn bytes(address: Address) -> std::vec::Vec<u8> {
        let (bytes, length) = address.to_bytes();
        bytes[..length].to_vec()
    }

    /// Published table of addresses.
    #[test]
    fn published_addresses() {
        let table: [(u16, u16, Width, &[u8]); 9] = [
            (1, 0, Width::One, &hex!("03")),
            (100, 0, Width::One, &hex!("C9")),
            (16, 0, Width::One, &hex!("21")),
            (1, 17, Width::Two, &hex!("0223")),
            (0, 0, Width::Two, &hex!("0001")),
            (1, 17, Width::Four, &hex!("00020023")),
            (145, 1, Width::Four, &hex!("02220003")),
            (1, 2836, Width::Four, &hex!("00022C29")),
            (16383, 16383, Width::Four, &hex!("FEFEFEFF")),
        ];
        for (upper, lower, width, expected) in table {
            let address = Address::new(upper, lower, width).unwrap();
            assert_eq!(bytes(address), expected, "{address:?}");
            assert_eq!(Address::parse(expected), Ok(Some((address, expected.len()))));
            for end in 0..expected.len() {
                assert_eq!(Address::parse(&expected[..end]), Ok(None), "{address:?} cut to {end}");
            }
        }
    }

    #[test]
    fn every_address_of_every_width_survives() {
        for width in Width::ALL {
            let limit = width.all_station();
            for upper in 0..=limit {
                for lower in [0, 1, 0x7E, 0x7F, 0x80, 0x3FFE, 0x3FFF] {
                    let Some(address) = Address::new(upper, lower, width) else { continue };
                    let bytes = bytes(address);
                    assert_eq!(bytes.len(), width.octets());
                    assert_eq!(Address::parse(&bytes), Ok(Some((address, bytes.len()))));
                }
            }
            assert_eq!(Address::new(limit + 1, 0, width), None);
        }
        assert_eq!(Address::new(1, 1, Width::One), None);
        assert_eq!(Address::new(1, 0x80, Width::Two), None);
    }

    #[test]
    fn three_octets_and_more_than_four_are_refused() {
        assert_eq!(Address::parse(&hex!("020223")), Err(FrameError::Address));
        assert_eq!(Address::parse(&hex!("0202020203")), Err(FrameError::Address));
    }

    #[test]
    fn lesson_07_stations_are_compared_by_value_not_by_width() {
        let address = |upper, lower, width| Address::new(upper, lower, width).unwrap();
        let wide = address(1, 17, Width::Four);
        assert!(wide.is_same_station(&address(1, 17, Width::Two)));
        assert!(wide.is_same_station(&address(1, 0, Width::One)));
        assert!(!wide.is_same_station(&address(1, 18, Width::Two)));
        assert!(!wide.is_same_station(&address(2, 17, Width::Two)));
        assert!(!address(1, 0, Width::Two).is_same_station(&address(1, 17, Width::Two)));
    }

    #[test]
    fn all_station_depends_on_the_width() {
        assert!(Address::new(0x7F, 0, Width::One).unwrap().is_broadcast());
        assert!(Address::new(0x7F, 1, Width::Two).unwrap().is_broadcast());
        assert!(Address::new(1, 0x7F, Width::Two).unwrap().is_broadcast());
        assert!(!Address::new(0x7F, 0x7F, Width::Four).unwrap().is_broadcast());
        assert!(Address::new(1, 0x3FFF, Width::Four).unwrap().is_broadcast());
    }

    #[test]
    fn the_shortest_width_is_chosen() {
        let width = |upper, lower| Address::shortest(upper, lower).map(|address| address.width());
        assert_eq!(width(1, None), Some(Width::One));
        assert_eq!(width(1, Some(17)), Some(Width::Two));
        assert_eq!(width(145, None), Some(Width::Four));
        assert_eq!(width(1, Some(2836)), Some(Width::Four));
        assert_eq!(width(0x4000, None), None);
    }
}
