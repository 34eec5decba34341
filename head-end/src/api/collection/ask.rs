//! What is asked of collection.

use std::{ops::Range, str::FromStr};

use dlms::obis::ObisCode;
use dlms_proto::v1::GetCoverageRequest;
use jiff::{Timestamp, tz::TimeZone};
use tonic::Status;
use uuid::Uuid;

use crate::{
    api::parse::{self, Violations},
    collection::LONGEST_SPAN,
    meter::MeterId,
    plan::PlanId,
};

/// The plan of a resource name.
pub(super) fn plan_name(name: &str) -> Result<PlanId, String> {
    let id = name.strip_prefix("plans/").ok_or_else(|| "is of the form plans/{plan}".to_owned())?;
    id.parse().map_err(|error: crate::plan::PlanIdError| error.to_string())
}

/// The one field `field` of a request that has no other field to check.
pub(super) fn only_plan(field: &str, name: &str) -> Result<PlanId, Status> {
    let mut violations = Violations::default();
    let plan = violations.check(field, plan_name(name));
    violations.finish(plan)
}

/// The run that a request names.
pub(super) fn only_run(name: &str) -> Result<(PlanId, Uuid), Status> {
    let parts = name.rsplit_once("/runs/").and_then(|(plan, run)| Some((plan_name(plan).ok()?, run.parse().ok()?)));
    let mut violations = Violations::default();
    let run = violations.check("name", parts.ok_or("is of the form plans/{plan}/runs/{run}"));
    violations.finish(run)
}

/// Named meters; none of them named are all.
pub(super) fn meters(violations: &mut Violations, names: &[String]) -> Option<Option<Vec<MeterId>>> {
    if names.is_empty() {
        return Some(None);
    }
    if names.len() > 10_000 {
        violations.add("meters", "at most 10000");
        return None;
    }
    let meters = names.iter().enumerate();
    let meters: Vec<_> =
        meters.map(|(n, name)| violations.check(format!("meters[{n}]"), parse::meter_name(name))).collect();
    meters.into_iter().collect::<Option<Vec<_>>>().map(Some)
}

pub(super) fn required(time: Option<&prost_types::Timestamp>) -> Result<Timestamp, String> {
    parse::timestamp(time.ok_or("is required")?)
}

/// A time that has a begin; without an end it goes to now.
pub(super) fn span(
    violations: &mut Violations,
    from: Option<&prost_types::Timestamp>,
    to: Option<&prost_types::Timestamp>,
) -> Option<Range<Timestamp>> {
    let from = violations.check("from", required(from));
    let to = violations.check("to", to.map_or_else(|| Ok(Timestamp::now()), parse::timestamp));
    let (from, to) = (from?, to?);
    if to < from {
        violations.add("to", "is before from");
    } else if to.duration_since(from) > LONGEST_SPAN {
        violations.add("to", "is more than 400 days after from");
    }
    Some(from..to)
}

/// A question for coverage.
pub(super) struct Coverage {
    pub(super) meter: MeterId,
    pub(super) profiles: Vec<ObisCode>,
    pub(super) span: Range<Timestamp>,
    pub(super) zone: TimeZone,
}

pub(super) fn coverage(request: &GetCoverageRequest) -> Result<Coverage, Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    parse::count(&mut violations, "profiles", request.profiles.len(), 32);
    let profiles = request.profiles.iter().enumerate();
    let profiles: Vec<_> =
        profiles.map(|(n, text)| violations.check(format!("profiles[{n}]"), parse::obis(text))).collect();
    let span = span(&mut violations, request.from.as_ref(), request.to.as_ref());
    let zone = match request.time_zone.as_str() {
        "" => Some(TimeZone::UTC),
        name => violations.check("time_zone", TimeZone::get(name)),
    };
    let asked = (|| {
        Some(Coverage {
            meter: meter?,
            profiles: profiles.into_iter().collect::<Option<_>>()?,
            span: span?,
            zone: zone?,
        })
    })();
    violations.finish(asked)
}

pub(super) fn page_size(asked: u32, (default, most): (usize, usize)) -> usize {
    match asked as usize {
        0 => default,
        size => size.min(most),
    }
}

/// A page token is the name of the last item on the page before, in hexadecimal digits.
pub(super) fn to_token(last: &str) -> String {
    hex::encode(last)
}

pub(super) fn from_token<T: FromStr>(token: &str) -> Result<Option<T>, &'static str> {
    if token.is_empty() {
        return Ok(None);
    }
    let text = hex::decode(token).ok().and_then(|octets| String::from_utf8(octets).ok());
    text.and_then(|text| text.parse().ok()).map(Some).ok_or("is not a page token that was given out")
}
