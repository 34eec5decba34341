//! Limits of a load: class 71, limiter.

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    time::{ClockStatus, DateTime},
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{attributes, get, refused, unexpected, wrong_type};
use crate::{
    jobs::{Procedure, Report, Resolution, Visit},
    operation::{AttributeRef, AttributeValue, ItemResult, Operation, Outcome, RequestError, SetAttribute},
};

const CLASS: ClassId = ClassId(71);
const THRESHOLD_NORMAL: i8 = 4;
const THRESHOLD_EMERGENCY: i8 = 5;
const MIN_OVER_THRESHOLD: i8 = 6;
const MIN_UNDER_THRESHOLD: i8 = 7;
const EMERGENCY_PROFILE: i8 = 8;
const EMERGENCY_GROUPS: i8 = 9;

/// Sets the threshold of a limiter.
#[derive(Clone, Copy, Debug)]
pub struct LoadLimit {
    /// The limiter, 0-0:17.0.0 as a rule.
    pub object: ObisCode,
    /// The threshold in the monitored value's own numbers, before its scaler.
    pub threshold: i64,
    /// Seconds over it before the meter acts; `None` leaves what is there.
    pub over_s: Option<u32>,
    /// Seconds under it before the meter acts; `None` leaves what is there.
    pub under_s: Option<u32>,
}

/// Sets the limit of an emergency.
#[derive(Clone, Copy, Debug)]
pub struct EmergencyLoadLimit {
    /// The limiter.
    pub object: ObisCode,
    /// The threshold as long as the emergency lasts.
    pub threshold: i64,
    /// Identifier of the emergency; the meter must belong to it (attribute 9).
    pub group: u16,
    /// When it begins.
    pub from: Timestamp,
    /// Seconds that it lasts.
    pub duration_s: u32,
}

impl LoadLimit {
    async fn assignments(&self, visit: &Visit<'_>) -> Result<Vec<SetAttribute>, RequestError> {
        let present = read(visit, self.object, &[THRESHOLD_NORMAL]).await?;
        let threshold = like(first(&present)?, self.threshold)?;
        let seconds = |attribute, value: Option<u32>| {
            value.map(|value| set(self.object, attribute, Value::DoubleLongUnsigned(value)))
        };
        let durations = [seconds(MIN_OVER_THRESHOLD, self.over_s), seconds(MIN_UNDER_THRESHOLD, self.under_s)];
        let mut assignments: Vec<_> = durations.into_iter().flatten().collect();
        // The threshold last: with it the limit counts.
        assignments.push(set(self.object, THRESHOLD_NORMAL, threshold));
        Ok(assignments)
    }
}

impl EmergencyLoadLimit {
    async fn assignments(&self, visit: &Visit<'_>) -> Result<Vec<SetAttribute>, RequestError> {
        let present = read(visit, self.object, &[THRESHOLD_EMERGENCY, EMERGENCY_GROUPS]).await?;
        let threshold = like(first(&present)?, self.threshold)?;
        let groups = match present.get(1).map(|groups| &groups.value) {
            Some(Value::Array(groups)) => groups,
            Some(other) => return Err(wrong_type("emergency_profile_group_id_list", other)),
            None => return Err(unexpected("the limiter's groups are missing")),
        };
        if !groups.contains(&Value::LongUnsigned(self.group)) {
            return Err(refused(format!("the meter does not belong to emergency {}", self.group)));
        }
        // In UTC, which the deviation of zero says.
        let from = DateTime::from_unix_seconds(self.from.as_second(), 0, ClockStatus(0));
        let profile = Value::Structure(vec![
            Value::LongUnsigned(self.group),
            Value::OctetString(from.to_bytes().to_vec()),
            Value::DoubleLongUnsigned(self.duration_s),
        ]);
        Ok(vec![set(self.object, THRESHOLD_EMERGENCY, threshold), set(self.object, EMERGENCY_PROFILE, profile)])
    }
}

/// Writes what is not there yet, and reads back.
pub(super) async fn write(visit: &Visit<'_>, assignments: Vec<SetAttribute>) -> Result<Report, RequestError> {
    let (present, same) = compare(visit, &assignments).await?;
    if same {
        return Ok(Report::Changed { after: present });
    }
    let outcome = visit.act(Vec::new(), Operation::SetAttributes(assignments.clone())).await?;
    if let Outcome::Set(results) = outcome
        && let Some(error) = results.into_iter().find_map(Result::err)
    {
        return Err(error);
    }
    let (after, same) = compare(visit, &assignments).await?;
    if !same {
        return Err(refused("the meter agreed, but has other values"));
    }
    Ok(Report::Changed { after })
}

/// The present values, and whether they are those of `assignments`.
pub(super) async fn compare(
    visit: &Visit<'_>,
    assignments: &[SetAttribute],
) -> Result<(Vec<ItemResult<AttributeValue>>, bool), RequestError> {
    let wanted = assignments
        .iter()
        .map(|of| crate::operation::GetAttribute { attribute: of.attribute, selection: None })
        .collect();
    let after = attributes(visit.read(Operation::GetAttributes(wanted)).await?)?;
    let mut same = true;
    for (value, assignment) in after.iter().zip(assignments) {
        let value = &value.as_ref().map_err(Clone::clone)?.value;
        same &= *value == assignment.value;
    }
    Ok((after, same))
}

pub(super) async fn resolve(visit: &Visit<'_>, assignments: Vec<SetAttribute>) -> Result<Resolution, RequestError> {
    let (after, same) = compare(visit, &assignments).await?;
    Ok(if same { Resolution::Done(Report::Changed { after }) } else { Resolution::NotDone })
}

impl Procedure for LoadLimit {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move { write(visit, self.assignments(visit).await?).await })
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move { resolve(visit, self.assignments(visit).await?).await })
    }
}

impl Procedure for EmergencyLoadLimit {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move { write(visit, self.assignments(visit).await?).await })
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move { resolve(visit, self.assignments(visit).await?).await })
    }
}

fn set(obis: ObisCode, attribute: i8, value: Value) -> SetAttribute {
    SetAttribute { attribute: AttributeRef::new(CLASS, obis, AttributeId(attribute)), selection: None, value }
}

async fn read(visit: &Visit<'_>, obis: ObisCode, wanted: &[i8]) -> Result<Vec<AttributeValue>, RequestError> {
    attributes(visit.read(get(CLASS, obis, wanted)).await?)?.into_iter().collect()
}

fn first(values: &[AttributeValue]) -> Result<&Value, RequestError> {
    values.first().map(|value| &value.value).ok_or_else(|| unexpected("the limiter gave nothing"))
}

/// `number` in the type of `present`: a threshold has the type of the monitored value.
fn like(present: &Value, number: i64) -> Result<Value, RequestError> {
    let value = match present {
        Value::DoubleLongUnsigned(_) => u32::try_from(number).ok().map(Value::DoubleLongUnsigned),
        Value::DoubleLong(_) => i32::try_from(number).ok().map(Value::DoubleLong),
        Value::LongUnsigned(_) => u16::try_from(number).ok().map(Value::LongUnsigned),
        Value::Long(_) => i16::try_from(number).ok().map(Value::Long),
        Value::Unsigned(_) => u8::try_from(number).ok().map(Value::Unsigned),
        Value::Integer(_) => i8::try_from(number).ok().map(Value::Integer),
        Value::Long64(_) => Some(Value::Long64(number)),
        Value::Long64Unsigned(_) => u64::try_from(number).ok().map(Value::Long64Unsigned),
        other => return Err(wrong_type("the threshold", other)),
    };
    value.ok_or_else(|| refused(format!("{number} is no {}, which the threshold is", present.type_name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_takes_the_type_of_the_present_one() {
        assert_eq!(like(&Value::DoubleLongUnsigned(1), 4_000), Ok(Value::DoubleLongUnsigned(4_000)));
        assert_eq!(like(&Value::Long(1), -4), Ok(Value::Long(-4)));
        assert!(like(&Value::LongUnsigned(1), 70_000).is_err());
        assert!(like(&Value::LongUnsigned(1), -1).is_err());
        assert!(like(&Value::Boolean(true), 1).is_err());
    }
}
