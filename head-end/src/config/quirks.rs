//! Quirks of meter models, as a file states them.

use std::{path::Path, sync::Arc};

use dlms::apdu::Conformance;
use dlms::deviation::{Deviation, Deviations};
use dlms::obis::ObisCode;
use dlms::quirk::{self, Identity, Model, Quirks};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::ConfigError;

/// The models of a quirks file, in its order, before those that are known anyway.
///
/// ```toml
/// [[model]]
/// name = "Kamstrup, first firmware"
/// manufacturer = "KAM"                  # three letters, as in the system title
/// system_title_prefix = "4B414D45"      # optional, hexadecimal digits
/// logical_device_name = "KAM*0001"      # optional, * and ? stand for any characters
/// strict = false                        # true: nothing is tolerated but what follows
/// tolerate = ["little-endian-wrapper"]
/// refuse = ["mechanism-top-bit"]
/// release = false                       # no RLRQ: the link is taken down at once
/// avoid = ["access"]                    # services that are not proposed: access, general-block-transfer and others
/// hls_object = "0-0:40.0.1.255"         # optional, the association object of passes 3 and 4 of HLS
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuirkModels(Arc<[OwnedModel]>);

impl QuirkModels {
    /// The models in a file.
    ///
    /// # Errors
    /// [`ConfigError`] with the file and, where it applies, line and column.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        super::toml_file(path, Self::from_toml)
    }

    /// The models in the text of a file.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        let file: File = toml::from_str(text)?;
        Ok(Self(file.model.into()))
    }

    /// What is tolerated of a meter: by the first model that it is of, in the file and then among the known ones.
    #[must_use]
    pub fn find(&self, identity: &Identity<'_>) -> Quirks {
        let stated = self.0.iter().find(|model| model.view().matches(identity)).map(|model| model.quirks());
        stated.unwrap_or_else(|| quirk::find(quirk::KNOWN, identity, Quirks::LENIENT))
    }

    /// What is not proposed to a meter, although it is used where others have it.
    #[must_use]
    pub fn avoided(&self, identity: &Identity<'_>) -> Conformance {
        let stated = self.0.iter().find(|model| model.view().matches(identity));
        stated.map_or(Conformance::NONE, |model| model.avoid)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<OwnedModel>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedModel {
    name: String,
    #[serde(default, deserialize_with = "letters")]
    manufacturer: Option<[u8; 3]>,
    #[serde(default, deserialize_with = "prefix")]
    system_title_prefix: Vec<u8>,
    #[serde(default)]
    logical_device_name: String,
    #[serde(default)]
    strict: bool,
    #[serde(default, deserialize_with = "names")]
    tolerate: Deviations,
    #[serde(default, deserialize_with = "names")]
    refuse: Deviations,
    #[serde(default = "yes")]
    release: bool,
    #[serde(default = "nothing", deserialize_with = "services")]
    avoid: Conformance,
    #[serde(default, deserialize_with = "object")]
    hls_object: Option<ObisCode>,
}

impl OwnedModel {
    fn quirks(&self) -> Quirks {
        let base = if self.strict { Quirks::STRICT } else { Quirks::LENIENT };
        Quirks {
            tolerated: base.tolerated.union(self.tolerate).without(self.refuse),
            release: self.release,
            hls_object: self.hls_object,
        }
    }

    fn view(&self) -> Model<'_> {
        Model {
            name: &self.name,
            manufacturer: self.manufacturer,
            system_title_prefix: &self.system_title_prefix,
            logical_device_name: &self.logical_device_name,
            quirks: self.quirks(),
        }
    }
}

const fn yes() -> bool {
    true
}

const fn nothing() -> Conformance {
    Conformance::NONE
}

/// Services that others do without, by their names.
fn services<'de, D: Deserializer<'de>>(from: D) -> Result<Conformance, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    names.iter().try_fold(Conformance::NONE, |found, name| match name.as_str() {
        "access" => Ok(found.union(Conformance::ACCESS)),
        "general-block-transfer" => Ok(found.union(Conformance::GENERAL_BLOCK_TRANSFER)),
        "multiple-references" => Ok(found.union(Conformance::MULTIPLE_REFERENCES)),
        "selective-access" => Ok(found.union(Conformance::SELECTIVE_ACCESS)),
        other => Err(D::Error::custom(format!(
            "{other:?} cannot be avoided: access, general-block-transfer, multiple-references or selective-access"
        ))),
    })
}

fn letters<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 3]>, D::Error> {
    let text = String::deserialize(from)?;
    let letters = <[u8; 3]>::try_from(text.as_bytes()).ok().filter(|text| text.iter().all(u8::is_ascii_uppercase));
    letters.map(Some).ok_or_else(|| D::Error::custom(format!("a manufacturer is three capital letters, not {text:?}")))
}

fn prefix<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let octets = hex::decode(&text).ok().filter(|octets| octets.len() <= 8);
    octets.ok_or_else(|| {
        D::Error::custom(format!("the beginning of a system title is up to 16 hexadecimal digits, not {text:?}"))
    })
}

fn object<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ObisCode>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|error| D::Error::custom(format!("{text:?} is no logical name: {error}")))
}

fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Deviations, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let one = |name: &String| {
        Deviation::from_name(name).ok_or_else(|| {
            let known: Vec<_> = Deviation::ALL.iter().map(|deviation| deviation.name()).collect();
            D::Error::custom(format!("{name:?} is no deviation; these are: {}", known.join(", ")))
        })
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlms::id::SystemTitle;

    const FILE: &str = r#"
        [[model]]
        name = "first firmware"
        manufacturer = "KAM"
        system_title_prefix = "4B414D45"
        tolerate = ["little-endian-wrapper"]
        refuse = ["mechanism-top-bit"]
        release = false

        [[model]]
        name = "to the letter"
        logical_device_name = "TST*1"
        strict = true
        tolerate = ["plain-error"]
        avoid = ["access", "general-block-transfer"]
    "#;

    #[test]
    fn models_are_found_in_order_and_known_ones_behind() {
        let models = QuirkModels::from_toml(FILE).unwrap();
        let title = |octets: &[u8; 8]| Identity { system_title: Some(SystemTitle(*octets)), logical_device_name: None };
        let first = models.find(&title(b"KAME\x01\x02\x03\x04"));
        assert!(first.tolerated.contains(Deviation::LittleEndianWrapper) && !first.release);
        assert!(!first.tolerated.contains(Deviation::MechanismTopBit));
        assert_eq!(models.find(&title(b"KAMF\x01\x02\x03\x04")), Quirks::LENIENT);
        let strict = models.find(&Identity { system_title: None, logical_device_name: Some(b"TST0001") });
        assert_eq!(strict, Quirks::STRICT.with(Deviation::PlainError));
        let avoided = models.avoided(&Identity { system_title: None, logical_device_name: Some(b"TST0001") });
        assert_eq!(avoided, Conformance::ACCESS.union(Conformance::GENERAL_BLOCK_TRANSFER));
        assert_eq!(models.avoided(&title(b"KAME\x01\x02\x03\x04")), Conformance::NONE);
        let kaifa = models.find(&title(b"KFM\x01\x02\x03\x04\x05"));
        assert!(kaifa.tolerated.contains(Deviation::InformationPush));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, reason) in [
            (
                "[[model]]\nname = \"x\"\ntolerate = [\"plain-eror\"]",
                "line 3",
                "\"plain-eror\" is no deviation; these are:",
            ),
            ("[[model]]\nname = \"x\"\nmanufacturer = \"Kam\"", "line 3", "three capital letters"),
            ("[[model]]\nname = \"x\"\nsystem_title_prefix = \"4B4\"", "line 3", "hexadecimal digits"),
            ("[[model]]\nname = \"x\"\n\nstrikt = true", "line 4", "unknown field `strikt`"),
            ("[[model]]\nname = \"x\"\navoid = [\"get\"]", "line 3", "\"get\" cannot be avoided"),
            ("[[model]]\nmanufacturer = \"KAM\"", "line 1", "missing field `name`"),
        ] {
            let error = QuirkModels::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(reason), "{text}: {error}");
        }
    }
}
