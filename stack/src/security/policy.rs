//! What protection is demanded.

use core::fmt;

/// How APDUs of one direction are protected, or must at least be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Protection {
    /// The APDU carries a tag over all of it.
    pub authenticated: bool,
    /// The APDU's content is enciphered.
    pub encrypted: bool,
    /// The APDU is signed by its originator (general-signing).
    pub signed: bool,
}

impl Protection {
    /// In clear.
    pub const NONE: Self = Self { authenticated: false, encrypted: false, signed: false };
    /// A tag, content in clear.
    pub const AUTHENTICATED: Self = Self { authenticated: true, encrypted: false, signed: false };
    /// Enciphered without a tag: flipped bits pass, and nothing proves who sent it.
    pub const ENCRYPTED: Self = Self { authenticated: false, encrypted: true, signed: false };
    /// Enciphered with a tag.
    pub const AUTHENTICATED_ENCRYPTED: Self = Self { authenticated: true, encrypted: true, signed: false };
    /// Signed, and nothing else.
    pub const SIGNED: Self = Self { authenticated: false, encrypted: false, signed: true };

    /// The same, and signed.
    #[must_use]
    pub const fn and_signed(self) -> Self {
        Self { signed: true, ..self }
    }

    /// What ciphering adds, without the signature.
    #[must_use]
    pub const fn without_signature(self) -> Self {
        Self { signed: false, ..self }
    }

    /// Whether this protection is at least `required`; more than required is acceptable.
    #[must_use]
    pub const fn covers(self, required: Self) -> bool {
        (self.authenticated || !required.authenticated)
            && (self.encrypted || !required.encrypted)
            && (self.signed || !required.signed)
    }

    /// What satisfies both: the policy of the Security setup joined with an object's access rights.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            authenticated: self.authenticated || other.authenticated,
            encrypted: self.encrypted || other.encrypted,
            signed: self.signed || other.signed,
        }
    }

    /// Whether nothing is protected.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.authenticated && !self.encrypted && !self.signed
    }

    /// The three bits of access rights and policies, lowest first: authenticated, encrypted, signed.
    #[must_use]
    pub const fn bits(self) -> u8 {
        (self.authenticated as u8) | ((self.encrypted as u8) << 1) | ((self.signed as u8) << 2)
    }

    /// From the three bits; those above are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self { authenticated: bits & 1 != 0, encrypted: bits & 2 != 0, signed: bits & 4 != 0 }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.authenticated, self.encrypted, self.signed) {
            (false, false, false) => "none",
            (true, false, false) => "authenticated",
            (false, true, false) => "encrypted",
            (true, true, false) => "authenticated and encrypted",
            (false, false, true) => "signed",
            (true, false, true) => "authenticated and signed",
            (false, true, true) => "encrypted and signed",
            (true, true, true) => "authenticated, encrypted and signed",
        })
    }
}

/// Security policy, attribute 2 of the Security setup class 64 (Blue Book, clause 4.4.7): the least protection
/// for each direction.
///
/// Version 0 of the class has an enum for both directions, version 1 a bit set for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct SecurityPolicy {
    /// Least protection of requests, which the server checks.
    pub request: Protection,
    /// Least protection of responses, which the client checks.
    pub response: Protection,
}

impl SecurityPolicy {
    /// Nothing is demanded.
    pub const NONE: Self = Self::both(Protection::NONE);

    /// The same protection in both directions.
    #[must_use]
    pub const fn both(protection: Protection) -> Self {
        Self { request: protection, response: protection }
    }

    /// From the enum of version 0; `None` for values over 3.
    #[must_use]
    pub const fn from_v0(value: u8) -> Option<Self> {
        if value > 3 { None } else { Some(Self::both(Protection::from_bits(value))) }
    }

    /// The enum of version 0; `None` when the directions differ or signatures are demanded.
    #[must_use]
    pub const fn to_v0(self) -> Option<u8> {
        let bits = self.request.bits();
        if bits == self.response.bits() && bits <= 3 { Some(bits) } else { None }
    }

    /// From the bit set of version 1; `None` with one of the reserved bits 0 and 1.
    #[must_use]
    pub const fn from_v1(bits: u8) -> Option<Self> {
        if bits & 0x03 != 0 {
            return None;
        }
        Some(Self { request: Protection::from_bits(bits >> 2), response: Protection::from_bits(bits >> 5) })
    }

    /// The bit set of version 1.
    #[must_use]
    pub const fn to_v1(self) -> u8 {
        (self.request.bits() << 2) | (self.response.bits() << 5)
    }

    /// What satisfies both: the policy joined with what an object's access rights (Association LN version 3) demand.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { request: self.request.union(other.request), response: self.response.union(other.response) }
    }

    /// Whether `security_activate` may replace this policy by `new`: only by one that demands at least as much.
    #[must_use]
    pub const fn may_become(self, new: Self) -> bool {
        new.request.covers(self.request) && new.response.covers(self.response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_protection_covers() {
        let all: [Protection; 8] = core::array::from_fn(|bits| Protection::from_bits(bits as u8));
        assert_eq!(all[3], Protection::AUTHENTICATED_ENCRYPTED);
        assert_eq!(all[5], Protection::AUTHENTICATED.and_signed());
        for (i, found) in all.into_iter().enumerate() {
            assert_eq!((found.is_none(), found.without_signature()), (i == 0, all[i & 3]));
            for (j, required) in all.into_iter().enumerate() {
                assert_eq!(found.covers(required), i & j == j, "{found} for {required}");
                assert_eq!(found.union(required), all[i | j]);
            }
        }
    }

    #[test]
    fn both_encodings_of_the_policy() {
        for value in 0..=3 {
            assert_eq!(SecurityPolicy::from_v0(value).unwrap().to_v0(), Some(value));
        }
        assert_eq!(SecurityPolicy::from_v0(4), None);
        assert_eq!(SecurityPolicy::from_v1(0x6C), Some(SecurityPolicy::both(Protection::AUTHENTICATED_ENCRYPTED)));
        let signed = Protection::AUTHENTICATED_ENCRYPTED.and_signed();
        assert_eq!(SecurityPolicy::from_v1(0xFC), Some(SecurityPolicy::both(signed)));
        assert_eq!(SecurityPolicy::both(signed).to_v0(), None);
        for bits in 0..=u8::MAX {
            let policy = SecurityPolicy::from_v1(bits);
            assert_eq!(policy.map(SecurityPolicy::to_v1), (bits & 3 == 0).then_some(bits));
        }
        let requests_only = SecurityPolicy::from_v1(0x0C).unwrap();
        assert_eq!(requests_only.to_v0(), None);
        assert_eq!(requests_only.to_v1(), 0x0C);
    }

    #[test]
    fn version_1_bits_lead_there_and_back() {
        for bits in 0..=u8::MAX {
            match SecurityPolicy::from_v1(bits) {
                Some(policy) => assert_eq!(policy.to_v1(), bits),
                None => assert_ne!(bits & 3, 0),
            }
        }
        let (read, write) = (SecurityPolicy::from_v1(0x20).unwrap(), SecurityPolicy::from_v1(0x0C).unwrap());
        assert_eq!(read.union(write).to_v1(), 0x2C);
        // `new & old == old`, as the rule is put for version 1.
        for old in (0..=u8::MAX).step_by(4) {
            for new in (0..=u8::MAX).step_by(4) {
                let may = SecurityPolicy::from_v1(old).unwrap().may_become(SecurityPolicy::from_v1(new).unwrap());
                assert_eq!(may, new & old == old, "{old:02X} to {new:02X}");
            }
        }
    }

    #[test]
    fn a_policy_only_strengthens() {
        let policy = |value| SecurityPolicy::from_v0(value).unwrap();
        for (old, new, allowed) in [(0, 1, true), (0, 2, true), (1, 3, true), (2, 3, true), (3, 3, true)]
            .into_iter()
            .chain([(1, 2, false), (2, 1, false), (3, 1, false), (3, 2, false), (1, 0, false), (3, 0, false)])
        {
            assert_eq!(policy(old).may_become(policy(new)), allowed, "{old} to {new}");
        }
    }
}
