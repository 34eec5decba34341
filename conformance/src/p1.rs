//! P1 telegrams in the shape of the corpus.

use dlms::obis::describe;
use dlms::p1::{CrcRule, Line, Telegram, TelegramError};
use serde_json::{Value, json};

use crate::complaint::Complaint;
use crate::record::Layer;

/// Reads a telegram that is the outermost layer, checks its CRC if there is one, and names it.
pub fn telegram(octets: &[u8]) -> Result<Value, Complaint> {
    let telegram = Telegram::parse(octets, CrcRule::IfPresent).map_err(complaint)?;
    let mut object = to_json(&telegram);
    object["crc"] = json!(telegram.crc().map(|crc| format!("{crc:04X}")));
    Ok(object)
}

/// The same for people: each line says what its code means.
pub fn explained(octets: &[u8]) -> Result<Value, Complaint> {
    let mut object = telegram(octets)?;
    for line in object["lines"].as_array_mut().into_iter().flatten() {
        let code = line["obis"].as_str().and_then(|code| code.parse().ok());
        if let Some(words) = code.and_then(describe) {
            line["name"] = json!(words.to_string());
        }
    }
    Ok(object)
}

/// Reads a telegram that was ciphered, whose CRC proves nothing further.
pub fn deciphered(octets: &[u8]) -> Result<Value, Complaint> {
    Ok(to_json(&Telegram::parse(octets, CrcRule::Ignored).map_err(complaint)?))
}

fn complaint(error: TelegramError) -> Complaint {
    let layer = match error {
        TelegramError::NoCrc | TelegramError::CrcDigits | TelegramError::Crc { .. } => Layer::LinkCheck,
        _ => Layer::LinkFraming,
    };
    Complaint::new(layer, error)
}

/// Data lines whose code has no value group F, as records list them, and all other lines as they are.
fn to_json(telegram: &Telegram<'_>) -> Value {
    let (mut lines, mut other) = (Vec::new(), Vec::new());
    for line in telegram.lines() {
        match line {
            Line::Object(object) => {
                let values: Vec<_> = object.fields().map(|field| field.text()).collect();
                if object.printed_code().contains('*') {
                    other.push(
                        values.iter().fold(object.printed_code().to_owned(), |line, value| format!("{line}({value})")),
                    );
                } else {
                    lines.push(json!({ "obis": object.printed_code(), "values": values }));
                }
            }
            Line::Other(line) => other.push(line.to_owned()),
        }
    }
    let mut object = json!({ "ident": telegram.identification(), "lines": lines });
    if !other.is_empty() {
        object["other_lines"] = json!(other);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_short_or_missing_end_is_named_by_layer() {
        let text = "/ABC5X\r\n\r\n1-0:1.8.0(000025.653*kWh)\r\n1-0:0.0.0*255(7)\r\n!";
        let read = telegram(text.as_bytes()).unwrap();
        assert_eq!(read["lines"], json!([{ "obis": "1-0:1.8.0", "values": ["000025.653*kWh"] }]));
        assert_eq!((&read["other_lines"], &read["crc"]), (&json!(["1-0:0.0.0*255(7)"]), &Value::Null));
        assert_eq!(explained(text.as_bytes()).unwrap()["lines"][0]["name"], "active energy import");
        let layer = |text: &str| telegram(text.as_bytes()).unwrap_err().layer;
        assert_eq!(layer(&format!("{text}0000\r\n")), Layer::LinkCheck);
        assert_eq!(layer(&format!("{text}B9F\r\n")), Layer::LinkCheck);
        assert_eq!(layer(text.trim_end_matches('!')), Layer::LinkFraming);
    }
}
