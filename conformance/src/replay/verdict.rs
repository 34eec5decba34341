//! Comparing what was read with what a record expects.

use serde_json::{Map, Value};

use crate::complaint::Complaint;
use crate::record::{Cause, Layer, Record};

/// What this build says about the octets of one record.
#[derive(Debug, Default)]
pub struct Reading {
    /// The same fields as `expect`, as far as they arose.
    pub fields: Map<String, Value>,
    /// The first complaint, if the octets were refused.
    pub complaint: Option<Complaint>,
    /// Set when a needed function does not exist in this build.
    pub unsupported: Option<String>,
}

impl Reading {
    /// Sets a field.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Records a refusal; the first one stays.
    pub fn refuse(&mut self, complaint: Complaint) {
        self.complaint.get_or_insert(complaint);
    }
}

/// Outcome of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything expected was found and nothing else.
    Matched(How),
    /// A difference, described.
    Failed(String),
    /// This build lacks a function the record needs.
    Unsupported(String),
}

/// How a record matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Well-formed, and equal in every field.
    Equal,
    /// Malformed, and refused at the layer that should.
    Refused,
    /// Malformed as deployed equipment is, and read as its owners read it.
    Tolerated,
}

/// Fields of `expect` that are compared; the others state what the source said in its own terms.
const COMPARED: [&str; 12] = [
    "link",
    "apdu",
    "decoded",
    "plaintext",
    "segment",
    "gbt",
    "gbt_abandoned",
    "empty_information",
    "trailing_octets",
    "notification_time",
    "readings",
    "p1",
];

/// Compares a reading with the record it was made of.
pub fn judge(record: &Record, reading: &Reading) -> Verdict {
    if let Some(reason) = &reading.unsupported {
        return Verdict::Unsupported(reason.clone());
    }
    let Some(malformed) = &record.malformed else {
        return match (&reading.complaint, first_difference(&record.expect, &reading.fields)) {
            (Some(complaint), _) => Verdict::Failed(format!("refused at {complaint}")),
            (None, Some(difference)) => Verdict::Failed(difference),
            (None, None) => Verdict::Matched(How::Equal),
        };
    };
    if let Some(complaint) = &reading.complaint {
        return if complaint.layer == malformed.layer {
            Verdict::Matched(How::Refused)
        } else {
            Verdict::Failed(format!("refused at {complaint} and not at {}: {}", malformed.layer, malformed.reason))
        };
    }
    // A checksum that does not match is never a matter of tolerance.
    let tolerable = record.expect.contains_key("decoded") || record.expect.contains_key("p1");
    let above_link = matches!(malformed.layer, Layer::Transfer | Layer::Apdu | Layer::Content);
    if tolerable && (above_link || malformed.cause == Cause::Deployed) {
        return match first_difference(&record.expect, &reading.fields) {
            None => Verdict::Matched(How::Tolerated),
            Some(difference) => Verdict::Failed(format!("tolerant reading differs: {difference}")),
        };
    }
    Verdict::Failed(format!("accepted although {} is broken: {}", malformed.layer, malformed.reason))
}

fn first_difference(expected: &Map<String, Value>, found: &Map<String, Value>) -> Option<String> {
    COMPARED.iter().find_map(|name| match (expected.get(*name), found.get(*name)) {
        (None, None) => None,
        (Some(expected), None) => Some(format!("{name}: expected {}, found nothing", short(expected))),
        (None, Some(found)) => Some(format!("{name}: expected nothing, found {}", short(found))),
        (Some(expected), Some(found)) => difference(name, expected, found),
    })
}

/// The path of the first difference between two trees, with both sides.
fn difference(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let path = format!("{path}.{key}");
                match b.get(key) {
                    None => return Some(format!("{path}: expected {}, found nothing", short(value))),
                    Some(other) => {
                        if let Some(text) = difference(&path, value, other) {
                            return Some(text);
                        }
                    }
                }
            }
            let extra = b.iter().find(|(key, _)| !a.contains_key(*key))?;
            Some(format!("{path}.{}: expected nothing, found {}", extra.0, short(extra.1)))
        }
        (Value::Array(a), Value::Array(b)) => {
            let inner = a.iter().zip(b).enumerate().find_map(|(i, (x, y))| difference(&format!("{path}[{i}]"), x, y));
            inner.or_else(|| {
                (a.len() != b.len()).then(|| format!("{path}: expected {} elements, found {}", a.len(), b.len()))
            })
        }
        (a, b) => (a != b).then(|| format!("{path}: expected {}, found {}", short(a), short(b))),
    }
}

fn short(value: &Value) -> String {
    const LIMIT: usize = 96;
    let text = value.to_string();
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(value: Value) -> Record {
        serde_json::from_value(value).unwrap()
    }

    fn reading(fields: Value, complaint: Option<Layer>) -> Reading {
        let Value::Object(fields) = fields else { panic!("an object is needed") };
        Reading { fields, complaint: complaint.map(|layer| Complaint::new(layer, "no")), unsupported: None }
    }

    #[test]
    fn equal_trees_match_whatever_the_order_of_their_keys() {
        let record = record(json!({"id":"a","kind":"apdu","expect":{"decoded":{"x":1,"y":[2]},"source_values":[9]}}));
        let found = reading(json!({"decoded":{"y":[2],"x":1}}), None);
        assert_eq!(judge(&record, &found), Verdict::Matched(How::Equal));
    }

    #[test]
    fn the_place_of_a_difference_is_named() {
        let record = record(json!({"id":"a","kind":"apdu","expect":{"decoded":{"x":[{"y":1}]}}}));
        let cases = [
            (json!({"decoded":{"x":[{"y":2}]}}), "decoded.x[0].y: expected 1, found 2"),
            (json!({"decoded":{"x":[]}}), "decoded.x: expected 1 elements, found 0"),
            (json!({"decoded":{"x":[{"y":1,"z":3}]}}), "decoded.x[0].z: expected nothing, found 3"),
            (json!({"decoded":{"x":[{"y":1}]},"plaintext":"00"}), "plaintext: expected nothing, found \"00\""),
            (json!({}), "decoded: expected {\"x\":[{\"y\":1}]}, found nothing"),
        ];
        for (found, reason) in cases {
            assert_eq!(judge(&record, &reading(found, None)), Verdict::Failed(reason.to_owned()));
        }
    }

    #[test]
    fn a_well_formed_record_must_not_be_refused() {
        let record = record(json!({"id":"a","kind":"apdu","expect":{}}));
        assert!(matches!(judge(&record, &reading(json!({}), Some(Layer::Apdu))), Verdict::Failed(_)));
    }

    #[test]
    fn a_damaged_record_must_be_refused_at_its_layer() {
        let record = record(json!({"id":"a","kind":"hdlc","expect":{"decoded":{"x":1}},
            "malformed":{"layer":"link-check","cause":"damaged","reason":"noise"}}));
        let found = json!({"decoded":{"x":1}});
        assert_eq!(judge(&record, &reading(json!({}), Some(Layer::LinkCheck))), Verdict::Matched(How::Refused));
        assert!(matches!(judge(&record, &reading(json!({}), Some(Layer::Apdu))), Verdict::Failed(_)));
        assert!(matches!(judge(&record, &reading(found, None)), Verdict::Failed(_)));
    }

    #[test]
    fn deployed_deviations_may_be_read_tolerantly_but_only_correctly() {
        let record = record(json!({"id":"a","kind":"apdu","expect":{"decoded":{"x":1}},
            "malformed":{"layer":"apdu","cause":"deployed","reason":"extra tag"}}));
        assert_eq!(judge(&record, &reading(json!({"decoded":{"x":1}}), None)), Verdict::Matched(How::Tolerated));
        assert!(matches!(judge(&record, &reading(json!({"decoded":{"x":2}}), None)), Verdict::Failed(_)));
    }

    #[test]
    fn a_tolerant_reading_needs_something_to_be_compared_with() {
        let record = record(json!({"id":"a","kind":"apdu","expect":{},
            "malformed":{"layer":"apdu","cause":"deployed","reason":"untyped"}}));
        assert!(matches!(judge(&record, &reading(json!({"decoded":{"x":1}}), None)), Verdict::Failed(_)));
    }
}
