//! Values that an independent implementation reported, beside what this one decodes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::Record;

/// One value that was read, reduced to numbers, text, hex strings and lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// Class id of the object.
    pub class: u16,
    /// Logical name of the object.
    pub obis: String,
    /// Attribute.
    pub attribute: i8,
    /// Selector of selective access; absent for the whole attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<u8>,
    /// The value.
    pub value: Value,
}

impl Reported {
    /// What a record of a recorded exchange says was reported, if anything.
    pub fn of(record: &Record) -> Option<Self> {
        serde_json::from_value(record.expect.get("source_values")?.clone()).ok()
    }

    /// Whether two reports are of the same request.
    pub fn answers_same(&self, other: &Self) -> bool {
        (self.class, &self.obis, self.attribute, self.selector)
            == (other.class, &other.obis, other.attribute, other.selector)
    }
}

/// A decoded value without its types: `{"structure":[{"unsigned":1},{"octet-string":"0a"}]}` becomes `[1,"0a"]`.
pub fn plain(value: &Value) -> Value {
    let Some((_, content)) = value.as_object().and_then(|object| object.iter().next()) else {
        return value.clone();
    };
    match content {
        Value::Array(elements) => elements.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_taken_off_at_every_depth() {
        let value = json!({"array": [{"structure": [{"octet-string": "0a0b"}, {"null": null}, {"enum": 30}]}]});
        assert_eq!(plain(&value), json!([["0a0b", null, 30]]));
        assert_eq!(plain(&json!({"boolean": true})), json!(true));
    }
}
