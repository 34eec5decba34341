//! Objects of any class that do nothing by themselves: `[object.attributes]`.

use std::collections::BTreeMap;
use std::ops::Range;

use dlms::axdr::Data;
use dlms::cosem::{AttributeInfo, ClassVersion, Nature};
use dlms::id::{AttributeId, MethodId};
use dlms::obis::ObisCode;
use serde::Deserialize;
use toml::Spanned;

use crate::objects::{Constant, Constants};
use crate::simulator::model::objects::{Built, Problem, here};
use crate::simulator::model::schema::ObjectFile;
use crate::simulator::model::{SharedObject, notation};

/// Octets of one attribute.
const OCTETS_MAX: usize = 4_096;

/// Attributes by their name in the Blue Book or their number.
pub(in crate::simulator::model) type AttributesFile = BTreeMap<Spanned<String>, Spanned<AttributeFile>>;

/// A value: a number, true or false where the class leaves no doubt of the type, otherwise as text with its type.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number, true, false, or a text such as \"octet-string(0A00)\"")]
pub(in crate::simulator::model) enum AttributeFile {
    Boolean(bool),
    Number(i64),
    Text(String),
}

/// Attributes as A-XDR.
pub(super) type Values = Vec<(AttributeId, Box<[u8]>)>;

/// The attributes of one object, and the methods that are taken note of.
#[derive(Debug)]
struct Fixed {
    attributes: Values,
    accepted: Vec<MethodId>,
}

impl Constants for Fixed {
    fn attribute(&self, id: AttributeId) -> Option<&[u8]> {
        self.attributes.iter().find(|(known, _)| *known == id).map(|(_, value)| value.as_ref())
    }

    fn accepts(&self, method: MethodId) -> bool {
        self.accepted.contains(&method)
    }
}

/// Makes the object; secrets without a value are noted as unreadable.
pub(in crate::simulator::model) fn build(
    source: &str,
    file: &ObjectFile,
    attributes: &AttributesFile,
    instance: ObisCode,
    built: &mut Built,
) -> Result<SharedObject, Problem> {
    let (class, attributes) = read(source, file, attributes, &[], built)?;
    let mut accepted = Vec::new();
    for name in file.accepts.iter().flatten() {
        let info = member(class.methods().map(|info| (info.id.0, info.name, info)), name.get_ref());
        let info = info.ok_or_else(|| Problem::At(name.span(), unknown(class, "method", name.get_ref())))?;
        accepted.push(info.id);
    }
    Ok(Box::new(Constant { instance, class, attributes: Fixed { attributes, accepted } }))
}

/// Class and attributes of an object, of which those in `computed` are not given; secrets without a value are noted as
/// unreadable.
pub(super) fn read(
    source: &str,
    file: &ObjectFile,
    attributes: &AttributesFile,
    computed: &[i8],
    built: &mut Built,
) -> Result<(ClassVersion, Values), Problem> {
    if [12, 15, 17, 64].contains(&file.class) {
        return Err(here(&format!("class {} follows from the associations and is not made of attributes", file.class)));
    }
    let described = dlms::cosem::class(dlms::id::ClassId(file.class));
    let described = described.ok_or_else(|| here(&format!("class {} is not known", file.class)))?;
    let version = file.version.unwrap_or(described.version);
    let Some(class) = described.in_version(version) else {
        let newest = described.version;
        return Err(here(&format!("class {} ({}) has versions from 0 to {newest}", described.id, described.name)));
    };
    let mut values = Values::new();
    // What is wrong first in the file is told first.
    let mut attributes: Vec<_> = attributes.iter().collect();
    attributes.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in attributes {
        let info = member(class.attributes().map(|info| (info.id.0, info.name, info)), name.get_ref())
            .ok_or_else(|| Problem::At(name.span(), unknown(class, "attribute", name.get_ref())))?;
        if values.iter().any(|(id, _)| *id == info.id) {
            return Err(Problem::At(name.span(), format!("attribute {} comes twice", info.id)));
        }
        values.push((info.id, octets(source, info, value)?));
    }
    let given = |info: &AttributeInfo| values.iter().any(|(id, _)| *id == info.id) || computed.contains(&info.id.0);
    for info in class.attributes().filter(|info| !given(info)) {
        if info.nature != Nature::Secret {
            let (id, name, expected) = (info.id, info.name, info.data_type);
            return Err(here(&format!("attribute {id} (`{name}`, {expected}) of class {} is missing", described.id)));
        }
        built.unreadable.push((built.objects.len(), info.id, info.name));
    }
    Ok((class, values))
}

/// The member with a name or number.
fn member<T>(mut members: impl Iterator<Item = (i8, &'static str, T)>, wanted: &str) -> Option<T> {
    let number = wanted.parse::<i8>().ok();
    members.find(|(id, name, _)| *name == wanted || Some(*id) == number).map(|(_, _, info)| info)
}

fn unknown(class: ClassVersion, what: &str, name: &str) -> String {
    let list = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
    let known = if what == "method" {
        list(&mut class.methods().map(|info| info.name))
    } else {
        list(&mut class.attributes().map(|info| info.name))
    };
    let (id, title, version) = (class.class().id, class.class().name, class.version());
    let known = if known.is_empty() { "none".to_owned() } else { known };
    format!("class {id} ({title}, version {version}) has no {what} `{name}`; it has {known}")
}

/// The value of an attribute as A-XDR, checked against the class.
fn octets(source: &str, info: &AttributeInfo, value: &Spanned<AttributeFile>) -> Result<Box<[u8]>, Problem> {
    let refused =
        |message: String| Problem::At(value.span(), format!("attribute {} (`{}`): {message}", info.id, info.name));
    let octets = match value.get_ref() {
        AttributeFile::Text(text) => notation::parse(text)
            .map_err(|error| {
                let place = within(source, value.span(), text, error.at);
                Problem::At(place, format!("attribute {} (`{}`): {}", info.id, info.name, error.message))
            })?
            .to_vec(),
        AttributeFile::Boolean(flag) => vec![3, u8::from(*flag)],
        AttributeFile::Number(number) => typed(info, *number).ok_or_else(|| {
            refused(format!("{number} alone does not tell the type; the class says {}", info.data_type))
        })?,
    };
    if octets.len() > OCTETS_MAX {
        return Err(refused(format!("the value has {} octets; at most {OCTETS_MAX} are allowed", octets.len())));
    }
    let data = Data::from_slice(&octets).map_err(|error| refused(error.to_string()))?;
    info.check(data).map_err(|error| refused(format!("expected {}, found {}", error.expected, error.found)))?;
    Ok(octets.into())
}

/// A number in the one type that the class has for the attribute.
fn typed(info: &AttributeInfo, number: i64) -> Option<Vec<u8>> {
    use dlms::axdr::Value;
    let candidates = [
        number.try_into().ok().map(Value::Unsigned),
        number.try_into().ok().map(Value::LongUnsigned),
        number.try_into().ok().map(Value::DoubleLongUnsigned),
        number.try_into().ok().map(Value::Long64Unsigned),
        number.try_into().ok().map(Value::Integer),
        number.try_into().ok().map(Value::Long),
        number.try_into().ok().map(Value::DoubleLong),
        Some(Value::Long64(number)),
        number.try_into().ok().map(Value::Enum),
    ];
    let mut fitting = candidates.into_iter().flatten().map(|value| value.to_vec());
    let mut fitting =
        fitting.by_ref().filter(|octets| Data::from_slice(octets).is_ok_and(|data| info.check(data).is_ok()));
    let only = fitting.next()?;
    // A CHOICE takes several.
    fitting.next().is_none().then_some(only)
}

/// The place in the file of an octet of a text, which TOML may have written with escapes.
pub(super) fn within(source: &str, span: Range<usize>, text: &str, at: usize) -> Range<usize> {
    let written = source.get(span.clone()).unwrap_or_default();
    match written.find(text) {
        Some(quotes) if !text.is_empty() => span.start + quotes + at..span.end,
        _ => span,
    }
}
