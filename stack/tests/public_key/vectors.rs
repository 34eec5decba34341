//! The file of vectors, and a ledger of those that were matched.

use std::collections::BTreeSet;

use dlms::id::SystemTitle;
use dlms::security::public_key::Curve;
use dlms::security::{PrivateKey, PublicKey};
use toml::{Table, Value};

/// Ids of the vectors that a check has matched.
pub(crate) type Ledger = BTreeSet<String>;

/// One vector.
pub(crate) struct Vector(pub(crate) Table);

impl Vector {
    pub(crate) fn id(&self) -> &str {
        self.text("id")
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{:?} has no {name}", self.0.get("id")))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap()
    }

    pub(crate) fn number(&self, name: &str) -> u8 {
        self.0[name].as_integer().unwrap().try_into().unwrap()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn octets(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name)).unwrap_or_else(|error| panic!("{}: {name}: {error}", self.id()))
    }

    pub(crate) fn title(&self, name: &str) -> SystemTitle {
        SystemTitle::from_slice(&self.octets(name)).unwrap()
    }

    pub(crate) fn counter(&self) -> u32 {
        u32::from_be_bytes(self.octets("ic").try_into().unwrap())
    }

    pub(crate) fn curve(&self) -> Curve {
        match self.text("curve") {
            "p256" => Curve::P256,
            "p384" => Curve::P384,
            other => panic!("{}: curve {other}", self.id()),
        }
    }

    pub(crate) fn public(&self, name: &str) -> PublicKey {
        let octets = self.octets(name);
        PublicKey::from_slice(curve_of(octets.len() / 2), &octets).unwrap()
    }

    pub(crate) fn private(&self, name: &str) -> PrivateKey {
        let octets = self.octets(name);
        PrivateKey::from_slice(curve_of(octets.len()), &octets).unwrap()
    }
}

fn curve_of(width: usize) -> Curve {
    if width == 48 { Curve::P384 } else { Curve::P256 }
}

/// The vectors of a section.
pub(crate) fn section(name: &str) -> Vec<Vector> {
    let Some(Value::Array(vectors)) = all().remove(name) else { panic!("no section {name}") };
    vectors.into_iter().map(|vector| Vector(vector.try_into().unwrap())).collect()
}

/// The vector with this id.
pub(crate) fn named(name: &str, id: &str) -> Vector {
    section(name).into_iter().find(|vector| vector.id() == id).unwrap_or_else(|| panic!("no vector {id}"))
}

/// The whole file.
pub(crate) fn all() -> Table {
    toml::from_str(include_str!("../vectors/public-key.toml")).unwrap()
}

/// Runs a check with every engine that is built.
macro_rules! on_every_engine {
    ($name:ident, $check:ident) => {
        #[test]
        fn $name() {
            $check::<dlms::security::RustCrypto>(&mut Ledger::new());
            #[cfg(feature = "ring")]
            $check::<dlms::security::public_key::Ring>(&mut Ledger::new());
        }
    };
}
pub(crate) use on_every_engine;
