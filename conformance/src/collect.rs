//! Following the GET requests of an exchange to the values that answer them, across blocks.

use dlms::axdr::Data;
use serde_json::Value;

use crate::tree::{Place, data::data};
use crate::values::{Reported, plain};

/// The request under way and the blocks of its answer.
#[derive(Debug, Default)]
pub struct Collector {
    request: Option<Reported>,
    blocks: Vec<u8>,
}

impl Collector {
    /// Takes the next decoded APDU; gives the value when it completes one.
    pub fn push(&mut self, decoded: &Value) -> Option<Reported> {
        let apdu = innermost(decoded);
        match apdu["apdu"].as_str()? {
            "get-request-normal" => {
                self.blocks.clear();
                self.request = Some(Reported {
                    class: u16::try_from(apdu["class"].as_u64()?).ok()?,
                    obis: apdu["obis"].as_str()?.to_owned(),
                    attribute: i8::try_from(apdu["attribute"].as_i64()?).ok()?,
                    selector: apdu["access"]["selector"].as_u64().and_then(|selector| u8::try_from(selector).ok()),
                    value: Value::Null,
                });
                None
            }
            "get-response-normal" => {
                let value = plain(apdu.get("data")?);
                Some(Reported { value, ..self.request.take()? })
            }
            "get-response-with-datablock" => {
                self.blocks.extend(hex::decode(apdu["raw"].as_str()?).ok()?);
                if apdu["last"] != Value::Bool(true) {
                    return None;
                }
                let octets = std::mem::take(&mut self.blocks);
                let value = Data::from_slice(&octets).ok()?;
                let value = plain(&data(&value, Place::new(&[], 0)).to_json());
                Some(Reported { value, ..self.request.take()? })
            }
            _ => None,
        }
    }
}

/// The APDU inside what is ciphered or signed.
pub(crate) fn innermost(decoded: &Value) -> &Value {
    let mut apdu = decoded;
    while let Some(inner) = apdu.get("plain").or_else(|| apdu.get("content")) {
        apdu = inner;
    }
    apdu
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_of_a_ciphered_exchange_make_one_value() {
        let mut collector = Collector::default();
        let request = json!({"apdu": "get-request-normal", "class": 3, "obis": "1.0.1.8.0.255", "attribute": 2,
            "access": null});
        assert_eq!(collector.push(&json!({"apdu": "glo-get-request", "plain": request})), None);
        let block = |raw: &str, last: bool| json!({"apdu": "get-response-with-datablock", "last": last, "raw": raw});
        assert_eq!(collector.push(&block("0202112a", false)), None);
        assert_eq!(collector.push(&json!({"apdu": "get-request-next", "block": 1})), None);
        let reported = collector.push(&block("0900", true)).unwrap();
        assert_eq!((reported.class, reported.attribute, reported.value), (3, 2, json!([42, ""])));
    }

    #[test]
    fn a_refusal_is_no_value() {
        let mut collector = Collector::default();
        collector.push(&json!({"apdu": "get-request-normal", "class": 1, "obis": "0.0.42.0.0.255", "attribute": 2}));
        assert_eq!(collector.push(&json!({"apdu": "get-response-normal", "data-access-result": 4})), None);
    }
}
