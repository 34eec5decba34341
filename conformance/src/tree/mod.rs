//! Decoded octets as a tree of names and values, in the shape of a corpus record's `decoded`.

pub mod apdu;
pub mod data;

use std::borrow::Cow;

use dlms::obis::{ObisCode, describe};
use serde_json::{Map, Value, json};

/// First parts that say what the whole is.
const TITLES: [&str; 2] = ["apdu", "frame"];

/// A decoded value with, where known, the offset of its first octet.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A number, text, hex string, boolean or null.
    Leaf(Value),
    /// Named parts, in the order of their encoding.
    Map(Vec<(Cow<'static, str>, Self)>),
    /// Elements in order.
    List(Vec<Self>),
    /// A value and the offset of its first octet.
    At(usize, Box<Self>),
}

impl Tree {
    /// Octets as lower-case hex.
    pub fn hex(octets: &[u8]) -> Self {
        Self::Leaf(Value::String(hex::encode(octets)))
    }

    /// A one-key map, as A-XDR values are written.
    pub fn typed(name: &'static str, value: impl Into<Self>) -> Self {
        Self::Map(vec![(Cow::Borrowed(name), value.into())])
    }

    /// Marks the offset of the first octet.
    #[must_use]
    pub fn at(self, offset: usize) -> Self {
        Self::At(offset, Box::new(self))
    }

    /// The tree without offsets.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Leaf(value) => value.clone(),
            Self::Map(parts) => Value::Object(
                parts.iter().map(|(name, part)| (name.to_string(), part.to_json())).collect::<Map<_, _>>(),
            ),
            Self::List(elements) => Value::Array(elements.iter().map(Self::to_json).collect()),
            Self::At(_, inner) => inner.to_json(),
        }
    }

    /// The tree with offsets: objects of `offset`, `name`, and `value` or `parts`.
    pub fn to_annotated_json(&self, name: &str) -> Value {
        let mut offset = None;
        let mut tree = self;
        while let Self::At(at, inner) = tree {
            offset.get_or_insert(*at);
            tree = inner;
        }
        let mut object = Map::new();
        object.insert("offset".to_owned(), json!(offset));
        object.insert("name".to_owned(), json!(name));
        match tree {
            Self::Leaf(value) => object.insert("value".to_owned(), value.clone()),
            Self::Map(parts) => object.insert(
                "parts".to_owned(),
                parts.iter().map(|(name, part)| part.to_annotated_json(name)).collect::<Value>(),
            ),
            Self::List(elements) => object.insert(
                "parts".to_owned(),
                elements.iter().enumerate().map(|(i, part)| part.to_annotated_json(&format!("[{i}]"))).collect(),
            ),
            Self::At(..) => None,
        };
        Value::Object(object)
    }

    /// Writes the tree for people: offset, indented name, value.
    pub fn write_text(&self, out: &mut String, name: &str, depth: usize) {
        self.write_line(out, name, depth, None);
    }

    fn write_line(&self, out: &mut String, name: &str, depth: usize, offset: Option<usize>) {
        use std::fmt::Write as _;
        let indent = 2 * depth;
        let place = offset.map_or_else(|| "     ".to_owned(), |offset| format!("{offset:05x}"));
        match self {
            Self::At(at, inner) => inner.write_line(out, name, depth, offset.or(Some(*at))),
            Self::Leaf(value) => {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let words =
                    obis(name, value).and_then(describe).map(|words| format!("  ({words})")).unwrap_or_default();
                let _ = writeln!(out, "{place}  {:indent$}{name} {text}{words}", "");
            }
            // One part: its name joins the line, as an A-XDR type does.
            Self::Map(parts) if parts.len() == 1 => {
                let (kind, part) = &parts[0];
                part.write_line(out, &format!("{name} {kind}"), depth, offset);
            }
            Self::Map(parts) => {
                // The name of an APDU or frame joins the line too.
                let (head, rest) = match parts.split_first() {
                    Some(((key, Self::Leaf(Value::String(kind))), rest)) if TITLES.contains(&key.as_ref()) => {
                        (Some(kind), rest)
                    }
                    _ => (None, parts.as_slice()),
                };
                let separator = if head.is_some() { " " } else { "" };
                let head = head.map_or("", String::as_str);
                let _ = writeln!(out, "{place}  {:indent$}{name}{separator}{head}", "");
                rest.iter().for_each(|(name, part)| part.write_line(out, name, depth + 1, None));
            }
            Self::List(elements) => {
                let _ = writeln!(out, "{place}  {:indent$}{name} ({})", "", elements.len());
                for (i, element) in elements.iter().enumerate() {
                    element.write_line(out, &format!("[{i}]"), depth + 1, None);
                }
            }
        }
    }
}

/// The OBIS code that a leaf is or may be: octet-strings of six octets that end as codes of current values do.
fn obis(name: &str, value: &Value) -> Option<ObisCode> {
    let text = value.as_str()?;
    if name == "obis" {
        return text.parse().ok();
    }
    let octets = name.ends_with("octet-string").then(|| hex::decode(text).ok())??;
    ObisCode::from_slice(&octets).filter(|code| code.0[5] == 0xFF)
}

impl From<Value> for Tree {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(parts) => {
                Self::Map(parts.into_iter().map(|(name, part)| (Cow::Owned(name), Self::from(part))).collect())
            }
            Value::Array(elements) => Self::List(elements.into_iter().map(Self::from).collect()),
            leaf => Self::Leaf(leaf),
        }
    }
}

macro_rules! leaf_from {
    ($($type:ty),*) => {$(
        impl From<$type> for Tree {
            fn from(value: $type) -> Self {
                Self::Leaf(Value::from(value))
            }
        }
    )*};
}
leaf_from!(bool, u8, u16, u32, u64, i8, i16, i32, i64, usize, f32, f64, &str, String);

impl From<Vec<Self>> for Tree {
    fn from(elements: Vec<Self>) -> Self {
        Self::List(elements)
    }
}

impl<T: Into<Self>> From<Option<T>> for Tree {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Leaf(Value::Null), Into::into)
    }
}

/// Where octets lie, so that the offsets of their parts can be told.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Place<'a> {
    /// `octets` begin at `offset`.
    pub const fn new(octets: &'a [u8], offset: usize) -> Self {
        Self { octets, offset }
    }

    /// Offset of the octet `index` octets behind the first.
    pub const fn at(&self, index: usize) -> usize {
        self.offset + index
    }

    /// Octets in all.
    pub const fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Where `part` begins, if it is a piece of these octets.
    pub fn offset_of(&self, part: &[u8]) -> Option<usize> {
        let inner = part.as_ptr().addr().checked_sub(self.octets.as_ptr().addr())?;
        (inner + part.len() <= self.octets.len()).then_some(self.offset + inner)
    }
}

/// Named parts in the order in which they are added.
#[derive(Debug, Default)]
pub struct Parts(Vec<(Cow<'static, str>, Tree)>);

impl Parts {
    /// Parts of an APDU, the first being its name.
    pub fn of(apdu: &str) -> Self {
        Self(vec![(Cow::Borrowed("apdu"), Tree::from(apdu))])
    }

    /// Adds a part.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Tree>) -> Self {
        self.0.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// States offsets of parts that have none, by their names.
    #[must_use]
    pub fn located(self, offset_of: impl Fn(&str) -> Option<usize>) -> Self {
        let locate = |(name, tree): (Cow<'static, str>, Tree)| match offset_of(&name) {
            Some(offset) if !matches!(tree, Tree::At(..)) => (name, tree.at(offset)),
            _ => (name, tree),
        };
        Self(self.0.into_iter().map(locate).collect())
    }

    /// Adds a part if there is one.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Tree>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

impl From<Parts> for Tree {
    fn from(parts: Parts) -> Self {
        Self::Map(parts.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let value = Tree::typed("array", vec![Tree::typed("integer", -1i8).at(9)]).at(7);
        Tree::from(Parts::of("get-response-normal").with("invoke", Tree::hex(&[0xC1]).at(2)).with("data", value)).at(0)
    }

    #[test]
    fn plain_json_has_no_offsets() {
        assert_eq!(
            sample().to_json(),
            json!({"apdu":"get-response-normal","invoke":"c1","data":{"array":[{"integer":-1}]}})
        );
    }

    #[test]
    fn text_shows_offset_name_type_and_value() {
        let mut text = String::new();
        sample().write_text(&mut text, "apdu", 0);
        assert!(text.contains("00002    invoke c1\n"), "{text}");
        assert!(text.contains("00009      [0] integer -1\n"), "{text}");
    }

    #[test]
    fn text_says_what_codes_mean() {
        let mut text = String::new();
        Tree::typed("octet-string", Tree::hex(&[1, 0, 1, 8, 0, 255])).write_text(&mut text, "data", 0);
        Tree::typed("octet-string", Tree::hex(b"serial")).write_text(&mut text, "data", 0);
        Tree::from("0.0.1.0.0.255").write_text(&mut text, "obis", 0);
        let expected =
            ["octet-string 0100010800ff  (active energy import)\n", "73657269616c\n", "0.0.1.0.0.255  (clock)\n"];
        for line in expected {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn annotated_json_names_every_part() {
        let json = sample().to_annotated_json("apdu");
        assert_eq!(json["offset"], 0);
        assert_eq!(json["parts"][2]["parts"][0]["parts"][0]["name"], "[0]");
        assert_eq!(json["parts"][2]["offset"], 7);
    }
}
