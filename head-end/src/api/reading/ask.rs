//! Requests as operations.

use dlms::obis::ObisCode;
use dlms_proto::v1::{
    GetAttributesRequest, InvokeMethodRequest, ReadBillingPeriodRequest, ReadProfileRequest, ReadRegistersRequest,
    RegisterSelector, RunBundleRequest, SelectiveAccess, SetAttributesRequest, read_billing_period_request,
    read_profile_request,
};
use jiff::Timestamp;
use tonic::Status;

use crate::{
    api::{
        jobs::spec,
        parse::{self, Violations},
        value,
    },
    billing::BillingPeriod,
    meter::MeterId,
    operation::{
        GetAttribute, InvokeMethod, Operation, ProfileSelection, ReadProfile, RegisterRef, Selection, SetAttribute,
    },
};

/// Items of one request, at most.
const ITEMS: usize = 256;
/// How many billing periods back one may ask, at most.
const BILLING_PERIODS: u32 = 1_000;

pub(in crate::api) fn registers(request: &ReadRegistersRequest) -> Result<(MeterId, Vec<RegisterRef>), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    parse::count(&mut violations, "registers", request.registers.len(), ITEMS);
    let registers: Option<Vec<_>> = collect(&request.registers, |n, selector: &RegisterSelector| {
        let obis = violations.check(format!("registers[{n}].obis"), parse::obis(&selector.obis));
        let class = match selector.class_id {
            0 => Some(None),
            id => violations.check(format!("registers[{n}].class_id"), parse::class(id)).map(Some),
        };
        Some(RegisterRef { obis: obis?, class: class? })
    });
    violations.finish(meter.zip(registers))
}

pub(in crate::api) fn profile(request: &ReadProfileRequest) -> Result<(MeterId, ReadProfile), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    let profile = violations.check("profile", parse::obis(&request.profile));
    let selection = match &request.selection {
        None => Some(ProfileSelection::All),
        Some(read_profile_request::Selection::Range(range)) => time_range(&mut violations, range),
        Some(read_profile_request::Selection::Entries(entries)) => {
            let from = entries.from.max(1);
            if entries.to != 0 && entries.to < from {
                violations.add("entries.to", "is before from");
            }
            Some(ProfileSelection::Entries { from, to: entries.to })
        }
    };
    let what = (|| Some((meter?, ReadProfile { profile: profile?, selection: selection? })))();
    violations.finish(what)
}

fn time_range(violations: &mut Violations, range: &dlms_proto::v1::TimeRange) -> Option<ProfileSelection> {
    let from = match &range.from {
        Some(from) => violations.check("range.from", parse::timestamp(from)),
        None => {
            violations.add("range.from", "is required");
            None
        }
    };
    let to = match &range.to {
        Some(to) => violations.check("range.to", parse::timestamp(to)),
        None => Some(Timestamp::now()),
    };
    let (from, to) = (from?, to?);
    if from >= to {
        violations.add("range.to", "is not after from");
    }
    Some(ProfileSelection::Range { from, to })
}

pub(in crate::api) fn billing_period(
    request: &ReadBillingPeriodRequest,
) -> Result<(MeterId, Option<ObisCode>, BillingPeriod), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    let profile = match request.profile.as_str() {
        "" => Some(None),
        profile => violations.check("profile", parse::obis(profile)).map(Some),
    };
    let period = match &request.period {
        None => Some(BillingPeriod::Back(1)),
        Some(read_billing_period_request::Period::Back(count)) => {
            let count = Some((*count).max(1)).filter(|count| *count <= BILLING_PERIODS).ok_or("is at most 1000");
            violations.check("back", count).map(BillingPeriod::Back)
        }
        Some(read_billing_period_request::Period::At(moment)) => {
            violations.check("at", parse::timestamp(moment)).map(BillingPeriod::At)
        }
    };
    let what = (|| Some((meter?, profile?, period?)))();
    violations.finish(what)
}

pub(in crate::api) fn attributes(request: &GetAttributesRequest) -> Result<(MeterId, Vec<GetAttribute>), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    parse::count(&mut violations, "attributes", request.attributes.len(), ITEMS);
    let attributes: Option<Vec<_>> = collect(&request.attributes, |n, asked| {
        let field = format!("attributes[{n}]");
        let attribute = parse::attribute(&mut violations, &format!("{field}.attribute"), asked.attribute.as_ref());
        let selection = selection(&mut violations, &field, asked.selection.as_ref());
        Some(GetAttribute { attribute: attribute?, selection: selection? })
    });
    violations.finish(meter.zip(attributes))
}

pub(in crate::api) fn assignments(request: &SetAttributesRequest) -> Result<(MeterId, Vec<SetAttribute>), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    parse::request_id(&mut violations, &request.request_id);
    parse::count(&mut violations, "assignments", request.assignments.len(), ITEMS);
    let assignments: Option<Vec<_>> = collect(&request.assignments, |n, asked| {
        let field = format!("assignments[{n}]");
        let attribute = parse::attribute(&mut violations, &format!("{field}.attribute"), asked.attribute.as_ref());
        let selection = selection(&mut violations, &field, asked.selection.as_ref());
        let value = required_value(&mut violations, &format!("{field}.value"), asked.value.as_ref());
        Some(SetAttribute { attribute: attribute?, selection: selection?, value: value? })
    });
    violations.finish(meter.zip(assignments))
}

pub(in crate::api) fn method(request: &InvokeMethodRequest) -> Result<(MeterId, InvokeMethod), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    parse::request_id(&mut violations, &request.request_id);
    let class = violations.check("class_id", parse::class(request.class_id));
    let obis = violations.check("obis", parse::obis(&request.obis));
    let method = violations.check("method", parse::method_id(request.method));
    let parameter = request.parameter.as_ref().map(value::from_proto).transpose();
    let parameter = violations.check("parameter", parameter);
    let what =
        (|| Some((meter?, InvokeMethod { class: class?, obis: obis?, method: method?, parameter: parameter? })))();
    violations.finish(what)
}

pub(in crate::api) fn bundle(request: &RunBundleRequest) -> Result<(MeterId, Operation), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    parse::request_id(&mut violations, &request.request_id);
    let bundle = request.bundle.as_ref().ok_or_else(|| "is required".to_owned()).and_then(spec::bundle);
    let bundle = violations.check("bundle", bundle);
    violations.finish(meter.zip(bundle))
}

fn required_value(
    violations: &mut Violations,
    field: &str,
    of: Option<&dlms_proto::v1::Value>,
) -> Option<dlms::axdr::Value> {
    match of {
        Some(of) => violations.check(field, value::from_proto(of)),
        None => {
            violations.add(field, "is required");
            None
        }
    }
}

fn selection(violations: &mut Violations, field: &str, of: Option<&SelectiveAccess>) -> Option<Option<Selection>> {
    let Some(of) = of else { return Some(None) };
    let selector =
        violations.check(format!("{field}.selection.selector"), u8::try_from(of.selector).map_err(|_| "from 0 to 255"));
    let parameters = required_value(violations, &format!("{field}.selection.parameters"), of.parameters.as_ref());
    Some(Some(Selection { selector: selector?, parameters: parameters? }))
}

/// All items parsed, or `None`; every item is looked at, so that all that is wrong is noted.
fn collect<T, U>(items: &[T], mut parse: impl FnMut(usize, &T) -> Option<U>) -> Option<Vec<U>> {
    let parsed: Vec<Option<U>> = items.iter().take(ITEMS).enumerate().map(|(n, item)| parse(n, item)).collect();
    parsed.into_iter().collect()
}
