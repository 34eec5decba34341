//! Fields of requests as values of the library; what is wrong is collected, all of it.

use dlms::{
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
};
use dlms_proto::v1;
use jiff::Timestamp;
use tonic::Status;
use tonic_types::FieldViolation;

use super::status;
use crate::{meter::MeterId, operation::AttributeRef, store::CaptureFilter};

/// The wrong fields found so far.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<FieldViolation>);

impl Violations {
    pub(super) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(FieldViolation::new(field, description));
    }

    /// The value of a field, or `None` after noting what is wrong with it.
    pub(super) fn check<T, E: ToString>(&mut self, field: impl Into<String>, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// Both ends of a stretch of time, which are required.
    pub(super) fn range(
        &mut self,
        from: Option<&prost_types::Timestamp>,
        to: Option<&prost_types::Timestamp>,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let mut bound = |field, time: Option<&prost_types::Timestamp>| {
            self.check(field, time.ok_or_else(|| "is required".to_owned()).and_then(timestamp))
        };
        let (from, to) = (bound("from", from), bound("to", to));
        self.order(from, to);
        (from, to)
    }

    /// Notes an end before the beginning.
    pub(super) fn order(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            self.add("to", "is before from");
        }
    }

    /// Rows of a profile, or registers that were read by themselves, or both.
    pub(super) fn capture_filter(&mut self, profile: &str, registers_only: bool) -> Option<CaptureFilter> {
        match (profile, registers_only) {
            ("", false) => Some(CaptureFilter::All),
            ("", true) => Some(CaptureFilter::Registers),
            (profile, false) => self.check("profile", obis(profile)).map(CaptureFilter::Profile),
            (_, true) => {
                self.add("registers_only", "is not possible together with profile");
                None
            }
        }
    }

    /// `value` where every field was right.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Status> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(status::invalid(self.0)),
        }
    }

    pub(super) fn into_result(self) -> Result<(), Vec<FieldViolation>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Items on a page: as many as were asked for, where that is not 0, with the default and the most that there may be.
pub(super) fn page_size(asked: u32, (default, most): (usize, usize)) -> usize {
    match asked as usize {
        0 => default,
        asked => asked.min(most),
    }
}

/// The meter of a resource name.
pub(super) fn meter_name(name: &str) -> Result<MeterId, String> {
    let id = name.strip_prefix("meters/").ok_or_else(|| "is of the form meters/{meter}".to_owned())?;
    MeterId::try_new(id).map_err(|error| error.to_string())
}

/// The one field `meter` or `name` of a request that has no other field to check.
pub(super) fn only_meter(field: &str, name: &str) -> Result<MeterId, Status> {
    let mut violations = Violations::default();
    let meter = violations.check(field, meter_name(name));
    violations.finish(meter)
}

pub(super) fn obis(text: &str) -> Result<ObisCode, String> {
    text.parse().map_err(|_| format!("{text:?} is not an OBIS code such as 1-0:1.8.0*255 or 1.0.1.8.0.255"))
}

pub(super) fn class(id: u32) -> Result<ClassId, &'static str> {
    u16::try_from(id).ok().filter(|id| *id != 0).map(ClassId).ok_or("an interface class is from 1 to 65535")
}

pub(super) fn attribute_id(id: i32) -> Result<AttributeId, &'static str> {
    i8::try_from(id).ok().filter(|id| *id != 0).map(AttributeId).ok_or("an attribute index is from -128 to 127, not 0")
}

pub(super) fn method_id(id: i32) -> Result<MethodId, &'static str> {
    i8::try_from(id).ok().filter(|id| *id != 0).map(MethodId).ok_or("a method index is from -128 to 127, not 0")
}

/// An attribute, whose wrong fields are noted under `field`.
pub(super) fn attribute(
    violations: &mut Violations,
    field: &str,
    attribute: Option<&v1::AttributeRef>,
) -> Option<AttributeRef> {
    let Some(attribute) = attribute else {
        violations.add(field, "is required");
        return None;
    };
    let class = violations.check(format!("{field}.class_id"), class(attribute.class_id));
    let obis = violations.check(format!("{field}.obis"), obis(&attribute.obis));
    let id = violations.check(format!("{field}.attribute"), attribute_id(attribute.attribute));
    Some(AttributeRef { class: class?, obis: obis?, attribute: id? })
}

/// Notes a number of items outside 1 to `most`.
pub(super) fn count(violations: &mut Violations, field: &str, items: usize, most: usize) {
    if !(1..=most).contains(&items) {
        violations.add(field, format!("from 1 to {most} items, not {items}"));
    }
}

/// Notes a request id that is too long; an empty one is none.
pub(super) fn request_id<'a>(violations: &mut Violations, id: &'a str) -> Option<&'a str> {
    if id.chars().count() > 64 {
        violations.add("request_id", "at most 64 characters");
    }
    (!id.is_empty()).then_some(id)
}

/// Characters of a reason, at most.
const REASON: usize = 500;

/// Notes a reason that is too long.
pub(super) fn reason(violations: &mut Violations, field: &str, reason: &str) {
    if reason.chars().count() > REASON {
        violations.add(field, format!("at most {REASON} characters"));
    }
}

pub(super) fn timestamp(time: &prost_types::Timestamp) -> Result<Timestamp, String> {
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err("nanos is from 0 to 999999999".to_owned());
    }
    Timestamp::new(time.seconds, time.nanos).map_err(|error| error.to_string())
}

pub(crate) fn to_timestamp(time: Timestamp) -> prost_types::Timestamp {
    // Protobuf counts the fraction upwards from the second before, also before 1970.
    let nanos = time.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
    let nanos = i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
    prost_types::Timestamp { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_go_both_ways_also_before_1970() {
        for text in ["2026-11-21T16:00:00.25Z", "1969-12-31T23:59:59.75Z", "1970-01-01T00:00:00Z"] {
            let time: Timestamp = text.parse().unwrap();
            let wire = to_timestamp(time);
            assert!((0..1_000_000_000).contains(&wire.nanos), "{wire:?}");
            assert_eq!(timestamp(&wire).unwrap(), time);
        }
        assert!(timestamp(&prost_types::Timestamp { seconds: 0, nanos: -1 }).is_err());
        assert!(timestamp(&prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }).is_err());
    }

    #[test]
    fn resource_names_have_their_collection_in_front() {
        assert_eq!(meter_name("meters/m1").unwrap().as_str(), "m1");
        for wrong in ["m1", "meters/", "meters/a/b", "Meters/m1"] {
            assert!(meter_name(wrong).is_err(), "{wrong}");
        }
    }
}
