//! COSEM values as people write and read them: `unsigned:5`, `structure(null, octet-string:0A0B)`.

use dlms::time::DateTime;
use dlms_proto::v1::{self, value::Kind};

/// Values inside values, at most; the API has the same limit.
const DEPTH: usize = 16;

/// What the syntax is, for the help of commands.
pub(super) const SYNTAX: &str = "\
Values are written TYPE:VALUE: boolean:true, unsigned:5, long:-3, double-long-unsigned:100, enum:1,
octet-string:0A0B (hexadecimal), visible-string:TEXT, date-time:2026-11-21T10:00:00+01:00 (as the
octet-string that most meters want: cosem-time:...), null, array(V, V), structure(V, V).";

/// The value in `text`.
pub(super) fn parse(text: &str) -> Result<v1::Value, String> {
    let mut rest = text.trim();
    let value = parse_nested(&mut rest, DEPTH)?;
    if rest.trim().is_empty() { Ok(value) } else { Err(format!("{rest:?} follows the value")) }
}

fn parse_nested(rest: &mut &str, depth: usize) -> Result<v1::Value, String> {
    let depth = depth.checked_sub(1).ok_or_else(|| format!("values nest at most {DEPTH} deep"))?;
    *rest = rest.trim_start();
    let end = rest.find([':', '(', ')', ',']).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    let name = name.trim();
    let kind = match behind.chars().next() {
        Some('(') => {
            *rest = behind.get(1..).unwrap_or_default();
            let list = v1::ValueList { elements: parse_list(rest, depth)? };
            match name {
                "array" => Kind::Array(list),
                "structure" => Kind::Structure(list),
                other => return Err(format!("{other:?} has no elements; array and structure have")),
            }
        }
        Some(':') => {
            let behind = behind.get(1..).unwrap_or_default();
            let end = behind.find([',', ')']).filter(|_| depth + 1 < DEPTH).unwrap_or(behind.len());
            let (text, behind) = behind.split_at(end);
            *rest = behind;
            scalar(name, text.trim())?
        }
        _ => {
            *rest = behind;
            match name {
                "null" => Kind::Null(0),
                "dont-care" => Kind::DontCare(v1::DontCare {}),
                other => return Err(format!("{other:?} is not a value; values are written TYPE:VALUE")),
            }
        }
    };
    Ok(v1::Value { kind: Some(kind) })
}

fn parse_list(rest: &mut &str, depth: usize) -> Result<Vec<v1::Value>, String> {
    let mut elements = Vec::new();
    loop {
        *rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix(')') {
            *rest = behind;
            return Ok(elements);
        }
        if !elements.is_empty() {
            *rest = rest.strip_prefix(',').ok_or_else(|| format!("a comma or ) is missing before {rest:?}"))?;
        }
        elements.push(parse_nested(rest, depth)?);
    }
}

fn scalar(name: &str, text: &str) -> Result<Kind, String> {
    let wrong = || format!("{text:?} is not a value of {name}");
    macro_rules! number {
        ($type:ty, $kind:ident) => {
            Kind::$kind(text.parse::<$type>().map_err(|_| wrong())?.into())
        };
    }
    let octets = || hex::decode(text.replace([' ', '_'], "")).map_err(|_| wrong());
    let time = || text.parse::<DateTime>().map(|time| time.to_bytes().to_vec()).map_err(|_| wrong());
    Ok(match name {
        "boolean" => number!(bool, Boolean),
        "bit-string" => Kind::BitString(bit_string(text).ok_or_else(wrong)?),
        "double-long" => number!(i32, DoubleLong),
        "double-long-unsigned" => number!(u32, DoubleLongUnsigned),
        "octet-string" => Kind::OctetString(octets()?),
        "visible-string" => Kind::VisibleString(text.as_bytes().to_vec()),
        "utf8-string" => Kind::Utf8String(text.as_bytes().to_vec()),
        "bcd" => number!(u8, Bcd),
        "integer" => number!(i8, Integer),
        "long" => number!(i16, Long),
        "unsigned" => number!(u8, Unsigned),
        "long-unsigned" => number!(u16, LongUnsigned),
        "long64" => number!(i64, Long64),
        "long64-unsigned" => number!(u64, Long64Unsigned),
        "enum" => number!(u8, Enumerated),
        "float32" => number!(f32, Float32),
        "float64" => number!(f64, Float64),
        "date-time" => Kind::DateTime(v1::DateTime { octets: time()?, ..Default::default() }),
        "cosem-time" => Kind::OctetString(time()?),
        "date" => Kind::Date(octets()?),
        "time" => Kind::Time(octets()?),
        other => return Err(format!("{other:?} is not the name of a type")),
    })
}

fn bit_string(text: &str) -> Option<v1::BitString> {
    let mut octets = vec![0_u8; text.len().div_ceil(8)];
    for (n, bit) in text.bytes().enumerate() {
        let octet = octets.get_mut(n / 8)?;
        match bit {
            b'0' => {}
            b'1' => *octet |= 0x80 >> (n % 8),
            _ => return None,
        }
    }
    Some(v1::BitString { octets, bits: u32::try_from(text.len()).ok()? })
}

/// A value in a few words for a table: numbers plain, octets as text or time where they are one.
pub(super) fn show(of: &v1::Value) -> String {
    match of.kind.as_ref() {
        None | Some(Kind::Null(_)) => "-".to_owned(),
        Some(Kind::Array(list)) => format!("[{}]", show_list(list)),
        Some(Kind::Structure(list)) => format!("{{{}}}", show_list(list)),
        Some(Kind::OctetString(octets)) => show_octets(octets),
        Some(Kind::VisibleString(octets) | Kind::Utf8String(octets)) => String::from_utf8_lossy(octets).into_owned(),
        Some(Kind::DateTime(time)) => time.text.clone(),
        Some(_) => match super::json::value(of).get("value") {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        },
    }
}

fn show_list(list: &v1::ValueList) -> String {
    list.elements.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn show_octets(octets: &[u8]) -> String {
    // Twelve octets with a plausible year are a date-time far more often than anything else.
    let time = DateTime::from_slice(octets).filter(|time| time.year().is_some_and(|year| (1970..2200).contains(&year)));
    if let Some(time) = time {
        return time.to_string();
    }
    let printable = !octets.is_empty() && octets.iter().all(|octet| (0x20..0x7F).contains(octet));
    if printable { String::from_utf8_lossy(octets).into_owned() } else { hex::encode_upper(octets) }
}

/// A reading for a table: its number with the unit, or the value.
pub(super) fn show_channel(of: &v1::ChannelReading) -> String {
    let unit = of.scaler_unit.as_ref().map(|of| of.symbol.as_str()).unwrap_or_default();
    match (of.decimal.as_str(), unit) {
        ("", _) => of.value.as_ref().map(show).unwrap_or_default(),
        (decimal, "") => decimal.to_owned(),
        (decimal, unit) => format!("{decimal} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        parse(text).map(|value| super::super::json::value(&value).to_string()).unwrap_or_else(|error| error)
    }

    #[test]
    fn simple_values_have_a_type_in_front() {
        assert_eq!(json("unsigned:5"), r#"{"type":"unsigned","value":5}"#);
        assert_eq!(json(" long:-3 "), r#"{"type":"long","value":-3}"#);
        assert_eq!(json("octet-string:0a 0B"), r#"{"type":"octet-string","value":"0A0B"}"#);
        assert_eq!(json("visible-string:a, b (c)"), r#"{"type":"visible-string","value":"a, b (c)"}"#);
        assert_eq!(
            json("bit-string:10100000 1".replace(' ', "").as_str()),
            r#"{"type":"bit-string","value":"101000001"}"#
        );
        assert_eq!(
            json("long64-unsigned:18446744073709551615"),
            r#"{"type":"long64-unsigned","value":"18446744073709551615"}"#
        );
        assert_eq!(json("null"), r#"{"type":"null","value":null}"#);
        let time = json("cosem-time:2026-11-21T10:00:00+01:00");
        assert_eq!(time, r#"{"type":"octet-string","value":"07EA0B15060A000000FFC4FF"}"#);
    }

    #[test]
    fn containers_nest() {
        let text = "structure( unsigned:1, array(null, enum:2), structure() )";
        let value = parse(text).unwrap();
        assert_eq!(show(&value), "{1, [-, 2], {}}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("5", "is not a value"),
            ("unsigned:256", "not a value of unsigned"),
            ("nonsense:1", "not the name of a type"),
            ("array(null", "missing"),
            ("array(null null)", "is not a value"),
            ("unsigned(null)", "has no elements"),
            ("null null", "is not a value"),
            ("array()x", "follows"),
            ("octet-string:0", "not a value of octet-string"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let deep = format!("{}null{}", "array(".repeat(20), ")".repeat(20));
        assert!(parse(&deep).unwrap_err().contains("deep"));
    }

    #[test]
    fn octets_show_as_time_text_or_digits() {
        let show = |octets: &[u8]| show_octets(octets);
        assert_eq!(show(b"ISK12345"), "ISK12345");
        assert_eq!(show(&[0, 1]), "0001");
        assert!(show(&[7, 0xEA, 11, 21, 6, 10, 0, 0, 0, 0xFF, 0xC4, 0]).starts_with("2026-11-21"));
    }
}
