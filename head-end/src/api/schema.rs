//! The messages of the API as data: what a request names, whatever its type.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::Arc,
};

use dlms_proto::v1::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage, Value};

/// Every method of our own services, by the path of its calls.
#[derive(Clone, Debug)]
pub(super) struct Schema(Arc<HashMap<String, MethodDescriptor>>);

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mentioned {
    /// Resource names, `meters/m1` among them; whatever has the form of one counts.
    pub(super) names: Vec<String>,
    /// The same, to be found again.
    known: HashSet<String>,
    /// Whether one of them stands where the request says what it is about, and not in a text such as its reason.
    pub(super) refers: bool,
    /// Whether meters are selected by what they have in common, and not by their names.
    pub(super) selects: bool,
    /// Objects of them and the like, from [`DETAILS`].
    pub(super) details: String,
    /// `request_id`.
    pub(super) request_id: String,
}

/// Fields whose values may stand in the audit log. What is not here does not, so that no secret ever does.
const DETAILS: [&str; 10] =
    ["obis", "class_id", "attribute", "method", "update_mask", "reason", "meter_id", "tenant", "priority", "status"];

/// Fields that say what a request is about.
const REFERENCES: [&str; 4] = ["meter", "meters", "group", "name"];

/// Longest text of details, in octets.
const LONGEST: usize = 1000;

impl Schema {
    pub(super) fn new() -> Result<Self, DescriptorError> {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let named =
            methods.map(|method| (format!("/{}/{}", method.parent_service().full_name(), method.name()), method));
        Ok(Self(Arc::new(named.collect())))
    }

    pub(super) fn method(&self, path: &str) -> Option<&MethodDescriptor> {
        self.0.get(path)
    }
}

impl Mentioned {
    pub(super) fn of(message: &DynamicMessage) -> Self {
        let mut mentioned = Self::default();
        mentioned.walk(message);
        mentioned
    }

    fn walk(&mut self, message: &DynamicMessage) {
        let of = message.descriptor();
        self.selects |= of.name().ends_with("Selector") && of.get_field_by_name("labels").is_some();
        for (field, value) in message.fields() {
            self.value(field.name(), value);
        }
    }

    fn value(&mut self, field: &str, value: &Value) {
        match value {
            Value::Message(message)
                if DETAILS.contains(&field) && message.descriptor().full_name().starts_with("google.") =>
            {
                message.fields().for_each(|(_, inner)| self.detail(field, inner));
            }
            Value::Message(message) => self.walk(message),
            Value::List(values) => values.iter().for_each(|value| self.value(field, value)),
            Value::Map(values) => values.values().for_each(|value| self.value(field, value)),
            Value::String(id) if field == "request_id" => self.request_id = id.chars().take(64).collect(),
            Value::String(text) if is_name(text) => self.name(field, text),
            _ if DETAILS.contains(&field) => self.detail(field, value),
            _ => {}
        }
    }

    fn name(&mut self, field: &str, text: &str) {
        self.refers |= REFERENCES.contains(&field);
        if self.known.insert(text.to_owned()) {
            self.names.push(text.to_owned());
        }
    }

    /// Whether meters that are named, and groups of them, are all that the request is about.
    pub(super) fn is_of_meters_alone(&self) -> bool {
        self.refers
            && !self.selects
            && self.names.iter().all(|name| name.starts_with("meters/") || name.starts_with("groups/"))
    }

    fn detail(&mut self, field: &str, value: &Value) {
        // Writing to a string does not fail.
        let _ = match value {
            Value::String(text) => write!(self.details, " {field}={}", text.chars().take(100).collect::<String>()),
            Value::List(values) => return values.iter().for_each(|value| self.detail(field, value)),
            Value::I32(number) | Value::EnumNumber(number) => write!(self.details, " {field}={number}"),
            Value::U32(number) => write!(self.details, " {field}={number}"),
            _ => return,
        };
        let end = self.details.floor_char_boundary(LONGEST);
        self.details.truncate(end);
    }

    /// The meters that are named, be it as part of a longer name.
    pub(super) fn meters(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| name.strip_prefix("meters/")?.split('/').next())
    }

    /// The names in one line.
    pub(super) fn target(&self) -> String {
        const SHOWN: usize = 20;
        let mut target = self.names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.names.len() > SHOWN {
            let _ = write!(target, " and {} more", self.names.len() - SHOWN);
        }
        target
    }
}

/// Whether a text has the form of a resource name: `collection/id`, perhaps with more of them.
fn is_name(text: &str) -> bool {
    let legal = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._~-".contains(&octet))
    };
    let collection = text.split('/').next().unwrap_or_default();
    collection.starts_with(|first: char| first.is_ascii_lowercase())
        && collection.bytes().all(|octet| octet.is_ascii_alphabetic())
        && text.contains('/')
        && text.split('/').all(legal)
}

#[cfg(test)]
mod tests {
    use dlms_proto::v1;
    use prost::Message;

    use super::*;

    fn mentioned<M: Message>(path: &str, message: &M) -> Mentioned {
        let schema = Schema::new().unwrap();
        let input = schema.method(path).unwrap().input();
        Mentioned::of(&DynamicMessage::decode(input, message.encode_to_vec().as_slice()).unwrap())
    }

    #[test]
    fn names_and_objects_are_found_and_secrets_are_not() {
        let security = v1::Security { encryption_key: b"0123456789abcdef".to_vec(), ..Default::default() };
        let authentication = v1::Authentication { password: b"swordfish".to_vec(), ..Default::default() };
        let meter = v1::Meter {
            name: "meters/m1".into(),
            display_name: "swordfish".into(),
            security: Some(security),
            authentication: Some(authentication),
            ..Default::default()
        };
        let mask = prost_types::FieldMask { paths: vec!["security.encryption_key".into(), "route".into()] };
        let request = v1::UpdateMeterRequest { meter: Some(meter), update_mask: Some(mask), request_id: "r-1".into() };
        let found = mentioned("/dlms.headend.v1.MeterRegistry/UpdateMeter", &request);
        assert_eq!(found.names, ["meters/m1"]);
        assert_eq!(found.meters().collect::<Vec<_>>(), ["m1"]);
        assert_eq!(found.request_id, "r-1");
        assert_eq!(found.details, " update_mask=security.encryption_key update_mask=route");
        assert!(!format!("{found:?}").contains("swordfish") && !format!("{found:?}").contains("0123456789"));
    }

    #[test]
    fn a_name_in_a_text_does_not_say_what_a_request_is_about() {
        let submit = |kind, reason: &str| {
            let target = Some(v1::Target { kind: Some(kind) });
            let instruction = Some(v1::Instruction { reason: reason.to_owned(), ..Default::default() });
            let request = v1::SubmitRequest { target, instruction, ..Default::default() };
            mentioned("/dlms.headend.v1.Jobs/Submit", &request)
        };
        let named =
            || v1::target::Kind::Meters(v1::MeterNames { meters: vec!["meters/m1".into(), "meters/m2".into()] });
        let labels = |value: &str| {
            let labels = [("site".to_owned(), value.to_owned())].into();
            v1::target::Kind::Selector(v1::MeterSelector { labels })
        };
        assert!(submit(named(), "").is_of_meters_alone());
        assert!(submit(named(), "because of meters/m3").is_of_meters_alone());
        assert!(!submit(named(), "plans/p1").is_of_meters_alone());
        for (kind, reason) in [
            (labels("a"), "meters/m1"),
            (labels("meters/m1"), ""),
            (v1::target::Kind::Selector(v1::MeterSelector::default()), "meters/m1"),
            (v1::target::Kind::Meters(v1::MeterNames::default()), "meters/m1"),
        ] {
            assert!(!submit(kind.clone(), reason).is_of_meters_alone(), "{kind:?} {reason}");
        }
        let plan = v1::Plan { display_name: "meters/m1".into(), ..Default::default() };
        let request = v1::CreatePlanRequest { plan: Some(plan), ..Default::default() };
        assert!(!mentioned("/dlms.headend.v1.Collection/CreatePlan", &request).is_of_meters_alone());
    }

    #[test]
    fn many_names_take_no_longer_each_than_few() {
        let meters: Vec<String> = (0..100_000).map(|n| format!("meters/m{n}")).collect();
        let target = Some(v1::Target { kind: Some(v1::target::Kind::Meters(v1::MeterNames { meters })) });
        let request = v1::SubmitRequest { target, ..Default::default() };
        let began = std::time::Instant::now();
        assert_eq!(mentioned("/dlms.headend.v1.Jobs/Submit", &request).meters().count(), 100_000);
        // A second on a slow machine; comparing each name with all before it takes more than a minute.
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn names_have_the_form_of_names() {
        for name in ["meters/m1", "jobs/0193", "meters/m1/objects/1.0.1.8.0.255"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["meters", "meters/", "/m1", "Meters/m1", "a b/c", "meters/a b", "https://x/y", "1/2", ""] {
            assert!(!is_name(text), "{text}");
        }
    }
}
