//! Values of a model file as text: `structure(unsigned(1), octet-string("internet"))`.
//!
//! ```text
//! null-data                         boolean(true)                bit-string(0110)
//! integer(-3)  long(-300)  double-long(5)  long64(5)  enum(2)    float32(1.5)  float64(1.5)
//! unsigned(1)  long-unsigned(4059)  double-long-unsigned(5)  long64-unsigned(5)
//! octet-string("text")  octet-string(0A 00 FF)  visible-string("text")  utf8-string("text")
//! octet-string(2026-01-01T00:00:00) the twelve octets of a local date-time; date-time(…) with the tag of its own
//! logical-name(0.0.25.0.0)          an octet-string of six
//! ip(192.0.2.7)                     a double-long-unsigned
//! array(unsigned(1), unsigned(2))   structure(unsigned(1), enum(2))
//! ```

use dlms::axdr::Value;
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, Date, DateTime, Time};

/// Arrays and structures within each other.
const DEPTH_MAX: usize = 8;

/// What is wrong with a value, and at which octet of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotationError {
    pub(super) at: usize,
    pub(super) message: String,
}

/// The value that `text` stands for.
pub(super) fn parse(text: &str) -> Result<Value, NotationError> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.blank();
    if parser.rest().is_empty() { Ok(value) } else { Err(parser.error("nothing is expected behind the value")) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, message: impl Into<String>) -> NotationError {
        NotationError { at: self.at, message: message.into() }
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Goes past `sign` if it is next.
    fn take(&mut self, sign: char) -> bool {
        self.blank();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len_utf8();
        }
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), NotationError> {
        if self.take(sign) { Ok(()) } else { Err(self.error(format!("`{sign}` is expected"))) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, NotationError> {
        self.blank();
        let start = self.at;
        let end = self.rest().find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '-'));
        let name = self.rest().get(..end.unwrap_or(self.rest().len())).unwrap_or_default();
        self.at += name.len();
        match name {
            "null-data" => return Ok(Value::Null),
            "array" | "structure" if depth >= DEPTH_MAX => {
                return Err(self.error(format!("values are at most {DEPTH_MAX} deep")));
            }
            "array" => return self.elements(depth).map(Value::Array),
            "structure" => return self.elements(depth).map(Value::Structure),
            _ => {}
        }
        if !TYPES.contains(&name) {
            self.at = start;
            return Err(self.error(format!("a value begins with its type: {}", TYPES.join(", "))));
        }
        self.expect('(')?;
        self.blank();
        let inside = self.at;
        let content = self.content()?;
        let wrong = || NotationError { at: inside, message: format!("`{}` is no {name}", content.shown()) };
        let value = simple(name, &content).ok_or_else(wrong)?;
        self.expect(')')?;
        Ok(value)
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Value>, NotationError> {
        self.expect('(')?;
        let mut elements = Vec::new();
        if self.take(')') {
            return Ok(elements);
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.take(')') {
                return Ok(elements);
            }
            if !self.take(',') {
                return Err(self.error("`,` or `)` is expected"));
            }
        }
    }

    /// What stands between the parentheses: a quoted text or everything up to the closing one.
    fn content(&mut self) -> Result<Content<'a>, NotationError> {
        if self.take('"') {
            let length = self.rest().find('"').ok_or_else(|| self.error("the text has no closing `\"`"))?;
            let text = self.rest().get(..length).unwrap_or_default();
            self.at += length + 1;
            return Ok(Content::Quoted(text));
        }
        let length = self.rest().find(')').ok_or_else(|| self.error("`)` is expected"))?;
        let text = self.rest().get(..length).unwrap_or_default();
        self.at += length;
        Ok(Content::Bare(text.trim()))
    }
}

enum Content<'a> {
    Quoted(&'a str),
    Bare(&'a str),
}

impl Content<'_> {
    const fn shown(&self) -> &str {
        match self {
            Self::Quoted(text) | Self::Bare(text) => text,
        }
    }
}

const TYPES: &[&str] = &[
    "null-data",
    "array",
    "structure",
    "boolean",
    "bit-string",
    "integer",
    "long",
    "double-long",
    "long64",
    "unsigned",
    "long-unsigned",
    "double-long-unsigned",
    "long64-unsigned",
    "enum",
    "float32",
    "float64",
    "octet-string",
    "visible-string",
    "utf8-string",
    "date-time",
    "logical-name",
    "ip",
];

fn simple(name: &str, content: &Content<'_>) -> Option<Value> {
    let text = match (name, content) {
        ("octet-string", Content::Quoted(text)) => return Some(Value::OctetString(text.as_bytes().to_vec())),
        ("visible-string", Content::Quoted(text)) => {
            return text.is_ascii().then(|| Value::VisibleString(text.as_bytes().to_vec()));
        }
        ("utf8-string", Content::Quoted(text)) => return Some(Value::Utf8String(text.as_bytes().to_vec())),
        (_, Content::Quoted(_)) => return None,
        (_, Content::Bare(text)) => *text,
    };
    Some(match name {
        "boolean" => Value::Boolean(text.parse().ok()?),
        "bit-string" => Value::BitString(text.chars().map(bit).collect::<Option<Vec<_>>>()?.into_iter().collect()),
        "integer" => Value::Integer(text.parse().ok()?),
        "long" => Value::Long(text.parse().ok()?),
        "double-long" => Value::DoubleLong(text.parse().ok()?),
        "long64" => Value::Long64(text.parse().ok()?),
        "unsigned" => Value::Unsigned(text.parse().ok()?),
        "long-unsigned" => Value::LongUnsigned(text.parse().ok()?),
        "double-long-unsigned" => Value::DoubleLongUnsigned(text.parse().ok()?),
        "long64-unsigned" => Value::Long64Unsigned(text.parse().ok()?),
        "enum" => Value::Enum(text.parse().ok()?),
        "float32" => Value::Float32(text.parse().ok()?),
        "float64" => Value::Float64(text.parse().ok()?),
        "date-time" => {
            Value::DateTime(date_time(text).or_else(|| octets(text).and_then(|text| DateTime::from_slice(&text)))?)
        }
        "octet-string" => match date_time(text) {
            Some(time) => Value::OctetString(time.as_bytes().to_vec()),
            None => Value::OctetString(octets(text)?),
        },
        "logical-name" => Value::OctetString(text.parse::<ObisCode>().ok()?.0.to_vec()),
        "ip" => Value::DoubleLongUnsigned(text.parse::<std::net::Ipv4Addr>().ok()?.into()),
        _ => return None,
    })
}

fn octets(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_whitespace().collect();
    hex::decode(digits).ok()
}

/// `2026-01-01T00:00:00`, without deviation and status.
fn date_time(text: &str) -> Option<DateTime> {
    let time: jiff::civil::DateTime = text.parse().ok()?;
    let part = |number: i8| u8::try_from(number).ok();
    let date = Date::new(u16::try_from(time.year()).ok()?, part(time.month())?, part(time.day())?)?;
    let clock = Time::new(part(time.hour())?, part(time.minute())?, part(time.second())?)?;
    Some(DateTime::new(date, clock, None, ClockStatus(0xFF)))
}

const fn bit(sign: char) -> Option<bool> {
    match sign {
        '0' => Some(false),
        '1' => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(text: &str) -> String {
        hex::encode_upper(parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}")).to_vec())
    }

    #[test]
    fn each_type_is_written_as_the_standard_has_it() {
        for (text, expected) in [
            ("null-data", "00"),
            ("boolean(true)", "0301"),
            ("bit-string(0110 )", "040460"),
            ("bit-string()", "0400"),
            ("integer(-3)", "0FFD"),
            ("long(-300)", "10FED4"),
            ("double-long(5)", "0500000005"),
            ("long64(-1)", "14FFFFFFFFFFFFFFFF"),
            ("unsigned(255)", "11FF"),
            ("long-unsigned( 4059 )", "120FDB"),
            ("double-long-unsigned(7)", "0600000007"),
            ("long64-unsigned(7)", "150000000000000007"),
            ("enum(2)", "1602"),
            // The standard's examples of floating point numbers.
            ("float32(1)", "173F800000"),
            ("float64(1)", "183FF0000000000000"),
            ("octet-string(\"a)b,\")", "09046129622C"),
            ("octet-string(0A 00 fF)", "09030A00FF"),
            ("octet-string()", "0900"),
            ("visible-string(\"x\")", "0A0178"),
            ("utf8-string(\"é\")", "0C02C3A9"),
            ("octet-string(2026-01-01T12:30:00)", "090C07EA0101040C1E00 00 8000 FF"),
            ("date-time(FFFF0101FF000000FF8000FF)", "19FFFF0101FF000000FF8000FF"),
            ("logical-name(0.0.25.0.0)", "09060000190000FF"),
            ("ip(192.0.2.7)", "06C0000207"),
            ("array()", "0100"),
            ("structure(unsigned(1), array(enum(2),enum(3)), null-data)", "0203110101021602160300"),
        ] {
            assert_eq!(octets(text), expected.replace(' ', ""), "{text}");
        }
    }

    #[test]
    fn errors_say_where() {
        let error = |text: &str| {
            let error = parse(text).expect_err(text);
            (error.at, error.message)
        };
        let (at, message) = error("structure(unsigned(1), word(2))");
        assert!(at == 23 && message.starts_with("a value begins with its type: null-data, array"), "{at} {message}");
        assert_eq!(error("unsigned(256)"), (9, "`256` is no unsigned".to_owned()));
        assert_eq!(error("long(\"1\")"), (5, "`1` is no long".to_owned()));
        assert_eq!(error("octet-string(0A0)"), (13, "`0A0` is no octet-string".to_owned()));
        assert_eq!(error("logical-name(1.2)"), (13, "`1.2` is no logical-name".to_owned()));
        assert_eq!(error("visible-string(\"é\")"), (15, "`é` is no visible-string".to_owned()));
        assert_eq!(error("unsigned 1"), (9, "`(` is expected".to_owned()));
        assert_eq!(error("array(unsigned(1) unsigned(2))"), (18, "`,` or `)` is expected".to_owned()));
        assert_eq!(error("octet-string(\"x)"), (14, "the text has no closing `\"`".to_owned()));
        assert_eq!(error("unsigned(1"), (9, "`)` is expected".to_owned()));
        assert_eq!(error("unsigned(1))"), (11, "nothing is expected behind the value".to_owned()));
        let deep = "array(".repeat(9);
        assert_eq!(error(&deep), (53, "values are at most 8 deep".to_owned()));
        assert!(parse("").is_err());
    }
}
