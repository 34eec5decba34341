//! P1 telegrams (DSMR, e-MUCS and their relatives): text lines between `/` and `!`, with a CRC.

use serde_json::{Value, json};

use crate::complaint::Complaint;
use crate::record::Layer;

/// A telegram taken apart; every value stays text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Telegram<'a> {
    ident: &'a str,
    /// OBIS code and bracketed values of each data line.
    lines: Vec<(&'a str, Vec<&'a str>)>,
    /// Lines that are no data lines, for instance with an OBIS code of another form.
    other: Vec<&'a str>,
    /// The four hex digits behind the exclamation mark.
    crc: Option<&'a str>,
}

impl<'a> Telegram<'a> {
    /// Takes a telegram apart and checks the CRC if there is one.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Complaint> {
        let telegram = Self::split(octets)?;
        let text_end = octets.iter().position(|&octet| octet == b'!').map_or(octets.len(), |at| at + 1);
        let Some(crc) = telegram.crc else { return Ok(telegram) };
        let printed = u16::from_str_radix(crc, 16)
            .ok()
            .filter(|_| crc.len() == 4)
            .ok_or_else(|| Complaint::new(Layer::LinkCheck, format_args!("CRC {crc:?} is not of four hex digits")))?;
        let start = octets.iter().position(|&octet| octet == b'/').unwrap_or(0);
        let computed = crc16_arc(&octets[start..text_end]);
        if printed != computed {
            return Err(Complaint::new(
                Layer::LinkCheck,
                format_args!("CRC printed {printed:04X}, computed {computed:04X}"),
            ));
        }
        Ok(telegram)
    }

    /// Takes a telegram apart without looking at its CRC.
    pub fn split(octets: &'a [u8]) -> Result<Self, Complaint> {
        let framing = |message: &str| Complaint::new(Layer::LinkFraming, message);
        let end = octets.iter().position(|&octet| octet == b'!').ok_or_else(|| framing("no exclamation mark"))?;
        let start = octets[..end].iter().position(|&o| o == b'/').ok_or_else(|| framing("no slash before the text"))?;
        let text = std::str::from_utf8(&octets[start + 1..end]).map_err(|_| framing("the text is not ASCII"))?;
        let crc_end = octets[end + 1..].iter().position(|octet| !octet.is_ascii_alphanumeric());
        let crc = &octets[end + 1..crc_end.map_or(octets.len(), |length| end + 1 + length)];
        let crc = std::str::from_utf8(crc).ok().filter(|crc| !crc.is_empty());

        let mut lines = text.lines().map(str::trim_end);
        let mut telegram = Telegram { ident: lines.next().unwrap_or(""), crc, ..Telegram::default() };
        for line in lines.filter(|line| !line.is_empty()) {
            let (code, values) = line.split_at(line.find('(').unwrap_or(line.len()));
            // DSMR 2 puts the reading of a gas meter on a line of its own.
            if code.is_empty()
                && let Some((_, last)) = telegram.lines.last_mut()
            {
                last.extend(bracketed(values));
            } else if is_short_obis(code) {
                telegram.lines.push((code, bracketed(values).collect()));
            } else {
                telegram.other.push(line);
            }
        }
        Ok(telegram)
    }

    /// The telegram as corpus records write it; the CRC only where the telegram is the outermost layer.
    pub fn to_json(&self, with_crc: bool) -> Value {
        let lines: Vec<_> = self.lines.iter().map(|(obis, values)| json!({ "obis": obis, "values": values })).collect();
        let mut object = json!({ "ident": self.ident, "lines": lines });
        if with_crc {
            object["crc"] = json!(self.crc.filter(|crc| crc.len() == 4));
        }
        if !self.other.is_empty() {
            object["other_lines"] = json!(self.other);
        }
        object
    }
}

fn bracketed(text: &str) -> impl Iterator<Item = &str> {
    text.split('(').skip(1).map(|value| value.split(')').next().unwrap_or(value))
}

/// `A-B:C.D.E`, all decimal.
fn is_short_obis(code: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_digit());
    let Some((a, rest)) = code.split_once('-') else { return false };
    let Some((b, rest)) = rest.split_once(':') else { return false };
    let cde: Vec<_> = rest.split('.').collect();
    number(a) && number(b) && cde.len() == 3 && cde.into_iter().all(number)
}

/// CRC-16/ARC: polynomial 0xA001 reflected, start 0.
fn crc16_arc(octets: &[u8]) -> u16 {
    octets.iter().fold(0, |crc, &octet| {
        (0..8).fold(crc ^ u16::from(octet), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "/ABC5X\r\n\r\n1-0:1.8.0(000025.653*kWh)\r\n0-1:24.3.0(220317130000)(00)\r\n(22806.137)\r\n1-0:0.0.0*255(7)\r\n!";

    #[test]
    fn the_crc_is_the_published_arc() {
        assert_eq!(crc16_arc(b"123456789"), 0xBB3D);
    }

    #[test]
    fn lines_values_and_leftovers_are_told_apart() {
        let telegram = Telegram::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(telegram.ident, "ABC5X");
        assert_eq!(telegram.lines[0], ("1-0:1.8.0", vec!["000025.653*kWh"]));
        assert_eq!(telegram.lines[1].1, ["220317130000", "00", "22806.137"]);
        assert_eq!(telegram.other, ["1-0:0.0.0*255(7)"]);
        assert_eq!(telegram.crc, None);
    }

    #[test]
    fn a_wrong_short_or_missing_end_is_named_by_layer() {
        let good = format!("{TEXT}{:04X}\r\n", crc16_arc(TEXT.as_bytes()));
        assert!(Telegram::parse(good.as_bytes()).is_ok());
        let layer = |text: &str| Telegram::parse(text.as_bytes()).unwrap_err().layer;
        assert_eq!(layer(&good.replace("000025", "000026")), Layer::LinkCheck);
        assert_eq!(layer(&format!("{TEXT}B9F\r\n")), Layer::LinkCheck);
        assert_eq!(layer(TEXT.trim_end_matches('!')), Layer::LinkFraming);
    }
}
