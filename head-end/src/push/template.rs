//! What the values of a body are where the body does not say it: data.

use std::{path::Path, sync::Arc};

use dlms::{
    cosem::push_setup::{PushList, push_list},
    id::{AttributeId, ClassId, SystemTitle},
    obis::ObisCode,
    unit::{ScalerUnit, Unit},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    config::{ConfigError, toml_file},
    operation::CaptureColumn,
};

/// Templates in order: those of a file before those that are built in.
#[derive(Clone, Debug)]
pub struct Templates(Arc<[Template]>);

/// What the values of a body are.
///
/// ```toml
/// [[template]]
/// name = "acme, daily"
/// manufacturer = "ACM"                # optional, the letters that the system title begins with
/// system-title-prefix = "41434D07"    # optional, hexadecimal digits
/// push-setup = "0-1:25.9.0"           # optional, the push setup that the body names among its first elements
/// objects = [                         # one for each value of the body
///     { class = 8, obis = "0-0:1.0.0" },
///     { class = 3, obis = "1-0:1.8.0", attribute = 2, scaler = 1, unit = 30 },
/// ]
/// ```
///
/// In place of `objects`, `published = "KFM_"` names a list of a manufacturer that the head-end knows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Template {
    name: String,
    #[serde(default)]
    manufacturer: String,
    #[serde(default, deserialize_with = "octets")]
    system_title_prefix: Vec<u8>,
    #[serde(default, deserialize_with = "obis")]
    push_setup: Option<ObisCode>,
    #[serde(default)]
    objects: Vec<ObjectText>,
    #[serde(default, deserialize_with = "published")]
    published: Option<&'static PushList>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectText {
    class: u16,
    #[serde(deserialize_with = "obis")]
    obis: Option<ObisCode>,
    #[serde(default = "value")]
    attribute: i8,
    #[serde(default)]
    index: u16,
    scaler: Option<i8>,
    unit: Option<u8>,
}

const fn value() -> i8 {
    2
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    template: Vec<Template>,
}

fn octets<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let octets = hex::decode(&text).ok().filter(|octets| octets.len() <= 8);
    octets.ok_or_else(|| {
        D::Error::custom(format!("the beginning of a system title is up to 16 hexadecimal digits, not {text:?}"))
    })
}

fn obis<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ObisCode>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|error| D::Error::custom(format!("{text:?} is no logical name: {error}")))
}

fn published<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static PushList>, D::Error> {
    let text = String::deserialize(from)?;
    push_list(text.as_bytes())
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is no list that was published, such as KFM_")))
}

impl ObjectText {
    fn column(&self) -> Option<CaptureColumn> {
        Some(CaptureColumn {
            class: ClassId(self.class),
            obis: self.obis?,
            attribute: AttributeId(self.attribute),
            data_index: self.index,
            scaler_unit: match (self.scaler, self.unit) {
                (None, None) => None,
                (scaler, unit) => Some(ScalerUnit { scaler: scaler.unwrap_or(0), unit: Unit(unit.unwrap_or(255)) }),
            },
        })
    }
}

impl Template {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The push setup that it is for.
    #[must_use]
    pub const fn push_setup(&self) -> Option<ObisCode> {
        self.push_setup
    }

    /// What the values are, one for each; `None` for a published list.
    #[must_use]
    pub fn columns(&self) -> Option<Vec<CaptureColumn>> {
        (!self.objects.is_empty()).then(|| self.objects.iter().filter_map(ObjectText::column).collect())
    }

    /// The list of a manufacturer.
    #[must_use]
    pub const fn published(&self) -> Option<&'static PushList> {
        self.published
    }

    fn fits(&self, body: &BodyShape) -> bool {
        let title = body.title.as_ref().map(|title| title.as_bytes().as_slice()).unwrap_or_default();
        let counted = match self.published {
            Some(list) => list.layout(body.values).is_some(),
            None => self.objects.len() == body.values,
        };
        counted
            && title.starts_with(self.manufacturer.as_bytes())
            && title.starts_with(&self.system_title_prefix)
            && (self.push_setup.is_none() || self.push_setup == body.push_setup)
    }
}

/// What a template is looked up by.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyShape {
    /// Whose body it is.
    pub title: Option<SystemTitle>,
    /// The push setup that it names.
    pub push_setup: Option<ObisCode>,
    /// How many values it has.
    pub values: usize,
}

impl Templates {
    /// Those that are built in.
    #[must_use]
    pub fn built_in() -> Self {
        // A test reads them.
        Self::from_toml("").unwrap_or_else(|_| Self(Arc::new([])))
    }

    /// Those of a file, before those that are built in.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, line and column.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        toml_file(path, Self::from_toml)
    }

    /// Those in a text, before those that are built in.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        let own: File = toml::from_str(text)?;
        let built_in: File = toml::from_str(include_str!("templates.toml"))?;
        for template in &own.template {
            if template.objects.is_empty() == template.published.is_none() {
                let name = &template.name;
                return Err(toml::de::Error::custom(format!(
                    "the template {name:?} needs either objects or published"
                )));
            }
        }
        Ok(Self(own.template.into_iter().chain(built_in.template).collect()))
    }

    /// The first template that fits a body.
    #[must_use]
    pub fn find(&self, body: &BodyShape) -> Option<&Template> {
        self.0.iter().find(|template| template.fits(body))
    }
}

impl Default for Templates {
    fn default() -> Self {
        Self::built_in()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_templates_come_before_those_that_are_built_in() {
        let text = "[[template]]\nname = \"own\"\nmanufacturer = \"ACM\"\nobjects = [\n\
                    { class = 3, obis = \"1-0:1.8.0\", scaler = 1, unit = 30 }]";
        let templates = Templates::from_toml(text).unwrap();
        let acme = BodyShape { title: Some(SystemTitle(*b"ACM\0\0\0\0\x01")), push_setup: None, values: 1 };
        let found = templates.find(&acme).unwrap();
        assert_eq!((found.name(), found.columns().unwrap()[0].scaler_unit.unwrap().scaler), ("own", 1));
        assert!(templates.find(&BodyShape { values: 2, ..acme }).is_none());
        let kaifa = BodyShape { title: Some(SystemTitle(*b"KFM\0\0\0\0\x01")), ..acme };
        assert!(templates.find(&kaifa).unwrap().published().is_some());
        let alarm = BodyShape { push_setup: Some(ObisCode([0, 4, 25, 9, 0, 255])), values: 5, ..acme };
        assert_eq!(templates.find(&alarm).unwrap().name(), "IDIS alarm with time");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, reason) in [
            ("[[template]]\nname = \"x\"\npublished = \"ABC\"", "no list that was published"),
            ("[[template]]\nname = \"x\"\npush-setup = \"hello\"", "no logical name"),
            ("[[template]]\nname = \"x\"\nobjets = []", "unknown field `objets`"),
        ] {
            let error = Templates::from_toml(text).unwrap_err().to_string();
            assert!(error.contains("line 3") && error.contains(reason), "{error}");
        }
        let empty = Templates::from_toml("[[template]]\nname = \"x\"").unwrap_err().to_string();
        assert!(empty.contains("either objects or published"), "{empty}");
    }
}
