//! What a client may do with an attribute or method.
//!
//! Nothing is allowed unless a right says so. The bits are those of the association class's version 3
//! (Blue Book, `access_mode`); versions 1 and 2 know fewer cases and get the nearest one.

use dlms::security::Protection;

/// Rights on one attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AttributeAccess(u8);

/// Rights on one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MethodAccess(u8);

const AUTHENTICATED: u8 = 0x04;
const ENCRYPTED: u8 = 0x08;
const SIGNED: u8 = 0x10;

const fn required(bits: u8) -> Protection {
    Protection::from_bits(bits >> 2)
}

/// Bits of the response lie three above those of the request.
const RESPONSE: u8 = 5;

const fn responding(bits: u8, protection: Protection) -> u8 {
    bits | (protection.bits() << RESPONSE)
}

const fn requiring(bits: u8, protection: Protection) -> u8 {
    let bits = if protection.authenticated { bits | AUTHENTICATED } else { bits };
    let bits = if protection.encrypted { bits | ENCRYPTED } else { bits };
    if protection.signed { bits | SIGNED } else { bits }
}

impl AttributeAccess {
    /// Neither read nor written.
    pub const NONE: Self = Self(0);
    /// Read.
    pub const READ: Self = Self(0x01);
    /// Written.
    pub const WRITE: Self = Self(0x02);
    /// Read and written.
    pub const READ_WRITE: Self = Self(0x03);

    /// The same right, but only for requests with at least this protection.
    #[must_use]
    pub const fn requiring(self, protection: Protection) -> Self {
        Self(requiring(self.0, protection))
    }

    /// Both rights together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the attribute may be read.
    #[must_use]
    pub const fn readable(self) -> bool {
        self.0 & Self::READ.0 != 0
    }

    /// Whether the attribute may be written.
    #[must_use]
    pub const fn writable(self) -> bool {
        self.0 & Self::WRITE.0 != 0
    }

    /// The same right, but responses have at least this protection.
    #[must_use]
    pub const fn responding(self, protection: Protection) -> Self {
        Self(responding(self.0, protection))
    }

    /// Protection that a response must have.
    #[must_use]
    pub const fn response(self) -> Protection {
        Protection::from_bits(self.0 >> RESPONSE)
    }

    /// Protection that a request must have.
    #[must_use]
    pub const fn required(self) -> Protection {
        required(self.0)
    }

    /// The `access_mode` of version 3 of the Association LN and version 4 of the Association SN: a bit mask.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The `access_mode` of association versions 1 and 2: 0 no access, 1 to 3 read, write, both, 4 to 6 the same
    /// for authenticated requests.
    #[must_use]
    pub const fn mode(self) -> u8 {
        let kind = self.0 & Self::READ_WRITE.0;
        if kind != 0 && self.0 & (AUTHENTICATED | ENCRYPTED) != 0 { kind.saturating_add(3) } else { kind }
    }
}

impl MethodAccess {
    /// Not invoked.
    pub const NONE: Self = Self(0);
    /// Invoked.
    pub const INVOKE: Self = Self(0x01);

    /// The same right, but only for requests with at least this protection.
    #[must_use]
    pub const fn requiring(self, protection: Protection) -> Self {
        Self(requiring(self.0, protection))
    }

    /// Whether the method may be invoked.
    #[must_use]
    pub const fn invocable(self) -> bool {
        self.0 & Self::INVOKE.0 != 0
    }

    /// The same right, but responses have at least this protection.
    #[must_use]
    pub const fn responding(self, protection: Protection) -> Self {
        Self(responding(self.0, protection))
    }

    /// Protection that a response must have.
    #[must_use]
    pub const fn response(self) -> Protection {
        Protection::from_bits(self.0 >> RESPONSE)
    }

    /// Protection that a request must have.
    #[must_use]
    pub const fn required(self) -> Protection {
        required(self.0)
    }

    /// The `access_mode` of version 3 of the Association LN and version 4 of the Association SN: a bit mask.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The `access_mode` of association versions 1 and 2: 0 no access, 1 access, 2 authenticated access.
    #[must_use]
    pub const fn mode(self) -> u8 {
        match (self.invocable(), self.0 & (AUTHENTICATED | ENCRYPTED)) {
            (false, _) => 0,
            (true, 0) => 1,
            (true, _) => 2,
        }
    }
}

/// The rights of one client on one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights<'a> {
    attributes: &'a [AttributeAccess],
    methods: &'a [MethodAccess],
}

impl<'a> Rights<'a> {
    /// No rights at all: the object does not exist for the client.
    pub const NONE: Self = Self { attributes: &[], methods: &[] };

    /// Rights on attributes 1, 2, … and methods 1, 2, …; what is not listed is denied.
    #[must_use]
    pub const fn new(attributes: &'a [AttributeAccess], methods: &'a [MethodAccess]) -> Self {
        Self { attributes, methods }
    }

    /// The right on attribute `id`.
    #[must_use]
    pub fn attribute(&self, id: i8) -> AttributeAccess {
        nth(self.attributes, id).unwrap_or(AttributeAccess::NONE)
    }

    /// The right on method `id`.
    #[must_use]
    pub fn method(&self, id: i8) -> MethodAccess {
        nth(self.methods, id).unwrap_or(MethodAccess::NONE)
    }

    /// Whether anything at all is allowed.
    #[must_use]
    pub fn any(&self) -> bool {
        self.attributes.iter().any(|access| *access != AttributeAccess::NONE)
            || self.methods.iter().any(|access| access.invocable())
    }
}

fn nth<T: Copy>(list: &[T], id: i8) -> Option<T> {
    let index = usize::try_from(id).ok()?.checked_sub(1)?;
    list.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_denied() {
        let rights = Rights::new(&[AttributeAccess::READ, AttributeAccess::NONE], &[MethodAccess::INVOKE]);
        assert!(rights.attribute(1).readable() && !rights.attribute(1).writable());
        for id in [i8::MIN, -1, 0, 2, 3, i8::MAX] {
            assert_eq!(rights.attribute(id), AttributeAccess::NONE, "{id}");
        }
        assert!(rights.method(1).invocable() && !rights.method(2).invocable() && !rights.method(0).invocable());
        assert!(rights.any() && !Rights::NONE.any());
        assert!(!Rights::new(&[AttributeAccess::NONE], &[MethodAccess::NONE]).any());
    }

    #[test]
    fn modes_are_those_of_the_association_class() {
        let secured = Protection::AUTHENTICATED_ENCRYPTED;
        let modes = [
            (AttributeAccess::NONE, 0),
            (AttributeAccess::READ, 1),
            (AttributeAccess::WRITE, 2),
            (AttributeAccess::READ_WRITE, 3),
            (AttributeAccess::READ.requiring(secured), 4),
            (AttributeAccess::WRITE.requiring(secured), 5),
            (AttributeAccess::READ_WRITE.requiring(Protection::AUTHENTICATED), 6),
            (AttributeAccess::NONE.requiring(secured), 0),
        ];
        for (access, mode) in modes {
            assert_eq!(access.mode(), mode, "{access:?}");
        }
        assert_eq!(MethodAccess::NONE.requiring(secured).mode(), 0);
        assert_eq!(MethodAccess::INVOKE.mode(), 1);
        assert_eq!(MethodAccess::INVOKE.requiring(secured).mode(), 2);
        assert_eq!(MethodAccess::INVOKE.requiring(secured).required(), secured);
    }
}
