//! Keys, signatures and secrets of the two curves, in buffers that hold the wider one.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::security::{SecurityError, Suite};

/// Octets of a coordinate of the wider curve.
pub const COORDINATE_MAX: usize = 48;

/// An elliptic curve of the suites, with its hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// secp256r1 with SHA-256, suite 1.
    P256,
    /// secp384r1 with SHA-384, suite 2.
    P384,
}

impl Curve {
    /// Octets of a coordinate, a private key, a shared secret or half of a signature.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// Octets of a public key and of a signature.
    #[must_use]
    pub const fn double_width(self) -> usize {
        match self {
            Self::P256 => 64,
            Self::P384 => 96,
        }
    }
}

impl Suite {
    /// The curve of this suite; suite 0 has none.
    #[must_use]
    pub const fn curve(self) -> Option<Curve> {
        match self {
            Self::Suite0 => None,
            Self::Suite1 => Some(Curve::P256),
            Self::Suite2 => Some(Curve::P384),
        }
    }
}

/// Two halves of a curve's width: a point, or a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pair {
    curve: Curve,
    octets: [u8; 2 * COORDINATE_MAX],
}

impl Pair {
    fn from_slice(curve: Curve, octets: &[u8]) -> Option<Self> {
        if octets.len() != curve.double_width() {
            return None;
        }
        let mut pair = Self { curve, octets: [0; 2 * COORDINATE_MAX] };
        pair.octets.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        Some(pair)
    }

    fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.curve.double_width()).unwrap_or_default()
    }
}

/// A public key, `x || y`. That it is a point of its curve is checked by [`Curves`](super::Curves) when it is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(Pair);

impl PublicKey {
    /// Takes the octets of the wire, `x || y` of 64 or 96 octets.
    ///
    /// # Errors
    /// [`SecurityError::PublicKey`] for another length.
    pub fn from_slice(curve: Curve, octets: &[u8]) -> Result<Self, SecurityError> {
        Pair::from_slice(curve, octets).map(Self).ok_or(SecurityError::PublicKey)
    }

    /// The octets, for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.0.curve
    }

    /// The point as SEC 1 writes it without compression: 04, x, y.
    #[cfg(feature = "public-key")]
    pub(crate) fn to_sec1(self) -> ([u8; 1 + 2 * COORDINATE_MAX], usize) {
        let mut octets = [0; 1 + 2 * COORDINATE_MAX];
        let point = core::iter::once(&4).chain(self.as_bytes());
        octets.iter_mut().zip(point).for_each(|(to, from)| *to = *from);
        (octets, self.curve().double_width().saturating_add(1))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} ", self.curve())?;
        self.as_bytes().iter().try_for_each(|octet| write!(f, "{octet:02X}"))?;
        f.write_str(")")
    }
}

/// A signature, `R || S`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(Pair);

impl Signature {
    /// Takes the octets of the wire, `R || S` of exactly 64 or 96 octets.
    ///
    /// # Errors
    /// [`SecurityError::Signature`] for another length.
    pub fn from_slice(curve: Curve, octets: &[u8]) -> Result<Self, SecurityError> {
        Pair::from_slice(curve, octets).map(Self).ok_or(SecurityError::Signature)
    }

    /// The octets, for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.0.curve
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?})", self.curve())
    }
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Deliberately neither `Clone` nor comparable; wiped on drop, and `Debug` prints no octet of it.
        pub struct $name {
            curve: Curve,
            octets: [u8; COORDINATE_MAX],
        }

        impl $name {
            /// The curve.
            #[must_use]
            pub const fn curve(&self) -> Curve {
                self.curve
            }

            /// The octets, as wide as the curve's field.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.octets.get(..self.curve.width()).unwrap_or_default()
            }

            /// Takes the octets if there are as many as the curve's field is wide.
            #[allow(dead_code, reason = "without an engine nothing makes a shared secret")]
            fn of(curve: Curve, octets: &[u8]) -> Option<Self> {
                if octets.len() != curve.width() {
                    return None;
                }
                let mut secret = Self { curve, octets: [0; COORDINATE_MAX] };
                secret.octets.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
                Some(secret)
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.octets.zeroize();
            }
        }

        impl ZeroizeOnDrop for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret!(
    /// A private key of either purpose. One key serves one purpose: signing, or key agreement.
    PrivateKey
);
secret!(
    /// What two parties agree on: the x coordinate of the shared point. Never a key by itself.
    SharedSecret
);

impl PrivateKey {
    /// Takes a private key of 32 or 48 octets. That it is below the curve's order is checked when it is used.
    ///
    /// # Errors
    /// [`SecurityError::KeyLength`].
    pub fn from_slice(curve: Curve, octets: &[u8]) -> Result<Self, SecurityError> {
        Self::of(curve, octets).ok_or(SecurityError::KeyLength { found: octets.len() })
    }
}

impl SharedSecret {
    /// Takes what an engine has computed; `None` for another length than the curve's field has.
    #[must_use]
    pub fn from_slice(curve: Curve, octets: &[u8]) -> Option<Self> {
        Self::of(curve, octets)
    }
}

/// A hash: 32 octets with P-256, 48 with P-384. Wiped on drop, as keys are cut from it.
pub struct Digest(SharedSecret);

impl Digest {
    /// Takes what an engine has computed; `None` for another length than the hash function has.
    #[must_use]
    pub fn from_slice(curve: Curve, octets: &[u8]) -> Option<Self> {
        SharedSecret::of(curve, octets).map(Self)
    }

    /// The octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(redacted)")
    }
}
