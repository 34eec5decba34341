//! What protection is demanded.

use core::fmt;

/// How APDUs of one direction are protected, or must at least be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Protection {
    /// The APDU carries a tag over all of it.
    pub authenticated: bool,
    /// The APDU's content is enciphered.
    pub encrypted: bool,
}

impl Protection {
    /// In clear.
    pub const NONE: Self = Self { authenticated: false, encrypted: false };
    /// A tag, content in clear.
    pub const AUTHENTICATED: Self = Self { authenticated: true, encrypted: false };
    /// Enciphered without a tag: flipped bits pass, and nothing proves who sent it.
    pub const ENCRYPTED: Self = Self { authenticated: false, encrypted: true };
    /// Enciphered with a tag.
    pub const AUTHENTICATED_ENCRYPTED: Self = Self { authenticated: true, encrypted: true };

    /// Whether this protection is at least `required`; more than required is acceptable.
    #[must_use]
    pub const fn covers(self, required: Self) -> bool {
        (self.authenticated || !required.authenticated) && (self.encrypted || !required.encrypted)
    }

    /// What satisfies both: the policy of the Security setup joined with an object's access rights.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { authenticated: self.authenticated || other.authenticated, encrypted: self.encrypted || other.encrypted }
    }

    /// Whether nothing is protected.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.authenticated && !self.encrypted
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.authenticated, self.encrypted) {
            (false, false) => "none",
            (true, false) => "authenticated",
            (false, true) => "encrypted",
            (true, true) => "authenticated and encrypted",
        })
    }
}

/// Security policy, attribute 2 of the Security setup class 64 (Blue Book, clause 4.4.7): the least protection
/// for each direction.
///
/// Version 0 of the class has an enum for both directions, version 1 a bit set for each. Policies that
/// demand signatures are not representable, as general-signing is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct SecurityPolicy {
    /// Least protection of requests, which the server checks.
    pub request: Protection,
    /// Least protection of responses, which the client checks.
    pub response: Protection,
}

impl SecurityPolicy {
    /// The same protection in both directions.
    #[must_use]
    pub const fn both(protection: Protection) -> Self {
        Self { request: protection, response: protection }
    }

    /// From the enum of version 0; `None` for values over 3.
    #[must_use]
    pub const fn from_v0(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::both(Protection::NONE)),
            1 => Some(Self::both(Protection::AUTHENTICATED)),
            2 => Some(Self::both(Protection::ENCRYPTED)),
            3 => Some(Self::both(Protection::AUTHENTICATED_ENCRYPTED)),
            _ => None,
        }
    }

    /// The enum of version 0; `None` when the directions differ.
    #[must_use]
    pub const fn to_v0(self) -> Option<u8> {
        match (self.request, self.response) {
            (
                Protection { authenticated: a, encrypted: e },
                Protection { authenticated: response_a, encrypted: response_e },
            ) if a == response_a && e == response_e => Some((a as u8) | ((e as u8) << 1)),
            _ => None,
        }
    }

    /// From the bit set of version 1; `None` with a reserved bit or a bit that demands signatures.
    #[must_use]
    pub const fn from_v1(bits: u8) -> Option<Self> {
        if bits & !0x6C != 0 {
            return None;
        }
        Some(Self {
            request: Protection { authenticated: bits & 0x04 != 0, encrypted: bits & 0x08 != 0 },
            response: Protection { authenticated: bits & 0x20 != 0, encrypted: bits & 0x40 != 0 },
        })
    }

    /// The bit set of version 1.
    #[must_use]
    pub const fn to_v1(self) -> u8 {
        ((self.request.authenticated as u8) << 2)
            | ((self.request.encrypted as u8) << 3)
            | ((self.response.authenticated as u8) << 5)
            | ((self.response.encrypted as u8) << 6)
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
        const ALL: [Protection; 4] =
            [Protection::NONE, Protection::AUTHENTICATED, Protection::ENCRYPTED, Protection::AUTHENTICATED_ENCRYPTED];
        for (i, found) in ALL.into_iter().enumerate() {
            for (j, required) in ALL.into_iter().enumerate() {
                assert_eq!(found.covers(required), i & j == j, "{found} for {required}");
                assert_eq!(found.union(required), ALL[i | j]);
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
        assert_eq!(SecurityPolicy::from_v1(0xFC), None);
        assert_eq!(SecurityPolicy::from_v1(0x01), None);
        let requests_only = SecurityPolicy::from_v1(0x0C).unwrap();
        assert_eq!(requests_only.to_v0(), None);
        assert_eq!(requests_only.to_v1(), 0x0C);
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
