//! The clock: class 8.

use std::time::Duration;

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
    time::DateTime,
};
use futures_util::future::BoxFuture;

use super::{attributes, get, refused, unexpected, wrong_type};
use crate::{
    fleet::moment,
    jobs::{ClockMethod, ClockReport, Procedure, Report, Resolution, Visit},
    operation::{AttributeRef, InvokeMethod, Operation, Outcome, RequestError, RequestErrorKind as Kind, SetAttribute},
};

const CLASS: ClassId = ClassId(8);
const TIME: i8 = 2;
const ADJUST_TO_PRESET_TIME: MethodId = MethodId(4);
const PRESET_ADJUSTING_TIME: MethodId = MethodId(5);
const SHIFT_TIME: MethodId = MethodId(6);
/// Seconds that shift_time takes, at most.
const SHIFT_MAX: i64 = 900;
/// Seconds around a preset time in which it may be set.
const PRESET_VALID: i64 = 300;
/// Milliseconds by which a clock without fractions is late in the middle.
const HALF_SECOND: i64 = 500;

/// Sets a clock that is off.
#[derive(Clone, Copy, Debug)]
pub struct SynchronizeClock {
    /// The clock.
    pub object: ObisCode,
    /// Deviation that is left as it is.
    pub tolerance: Duration,
    /// Deviation up to which it is set.
    pub max_step: Duration,
    /// How; `None` tries one after the other.
    pub method: Option<ClockMethod>,
}

/// A clock as it was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    clock: DateTime,
    /// Milliseconds by which it is ahead.
    ahead_ms: i64,
    /// The middle of the round trip, in milliseconds of Unix time.
    at_ms: i64,
    round_trip_ms: i64,
}

impl SynchronizeClock {
    /// Reads the clock twice: the first time may have had to open the association.
    async fn look(&self, visit: &Visit<'_>) -> Result<Reading, RequestError> {
        let (first, second) = (self.read(visit).await?, self.read(visit).await?);
        Ok(if first.round_trip_ms < second.round_trip_ms { first } else { second })
    }

    async fn read(&self, visit: &Visit<'_>) -> Result<Reading, RequestError> {
        let asked = visit.now().as_millisecond();
        let values = attributes(visit.read(get(CLASS, self.object, &[TIME])).await?)?;
        let answered = visit.now().as_millisecond();
        let value = values.into_iter().next().ok_or_else(|| unexpected("the clock gave nothing"))??.value;
        let clock = match &value {
            Value::DateTime(clock) => Some(*clock),
            Value::OctetString(octets) => DateTime::from_slice(octets),
            _ => None,
        };
        let clock = clock.ok_or_else(|| wrong_type("time", &value))?;
        let policy = visit.time_policy().await?;
        let Some((shown, _)) = moment(&clock, &policy) else {
            return Err(refused(
                "the clock does not say how far its time is from UTC, and its time policy does not either",
            ));
        };
        let fraction = clock.hundredths().map_or(HALF_SECOND, |hundredths| i64::from(hundredths) * 10);
        let round_trip_ms = answered.saturating_sub(asked).max(0);
        let at_ms = asked + round_trip_ms / 2;
        Ok(Reading { clock, ahead_ms: shown.as_millisecond() + fraction - at_ms, at_ms, round_trip_ms })
    }

    fn is_good(&self, reading: &Reading) -> bool {
        reading.ahead_ms.unsigned_abs() <= millis(self.tolerance)
    }

    async fn synchronize(&self, visit: &Visit<'_>) -> Result<Report, RequestError> {
        if visit.checkpoint().is_none() {
            // What two measure at once and each sets right would be off by as much again.
            visit.registered().alone().await?;
        }
        let before = self.look(visit).await?;
        let report = |after: &Reading, method| {
            Report::Clock(ClockReport {
                before_ms: Some(before.ahead_ms),
                after_ms: after.ahead_ms,
                round_trip_ms: after.round_trip_ms.unsigned_abs(),
                method,
            })
        };
        if self.is_good(&before) {
            return Ok(report(&before, None));
        }
        let seconds = before.ahead_ms.unsigned_abs() / 1_000;
        if before.ahead_ms.unsigned_abs() > millis(self.max_step) {
            let most = self.max_step.as_secs();
            return Err(refused(format!(
                "the clock is {seconds} s off, more than the {most} s by which it may be set"
            )));
        }
        let shiftable = seconds <= SHIFT_MAX.unsigned_abs();
        let methods = match self.method {
            Some(ClockMethod::Shift) if !shiftable => {
                return Err(refused(format!("the clock is {seconds} s off, and shift_time takes {SHIFT_MAX} s")));
            }
            Some(method) => vec![method],
            None if shiftable => vec![ClockMethod::Shift, ClockMethod::Set, ClockMethod::Preset],
            None => vec![ClockMethod::Set, ClockMethod::Preset],
        };
        let mut refusal = None;
        for method in methods {
            match self.set(visit, method, &before).await {
                Ok(()) => {
                    let after = self.look(visit).await?;
                    if self.is_good(&after) {
                        return Ok(report(&after, Some(method)));
                    }
                    let off = after.ahead_ms as f64 / 1_000.0;
                    return Err(refused(format!("the meter agreed, but its clock is {off} s off")));
                }
                // Nothing of it was carried out.
                Err(error) if error.kind() == Kind::MeterRefused => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or_else(|| refused("the meter lets its clock be set in no way")))
    }

    async fn set(&self, visit: &Visit<'_>, method: ClockMethod, before: &Reading) -> Result<(), RequestError> {
        let checkpoint = before.ahead_ms.to_be_bytes().to_vec();
        // The meter's own words for the moment at which it will get this.
        let now = |extra: i64| {
            let later = visit.now().as_millisecond() + before.round_trip_ms / 2 - before.at_ms;
            let by = rounded(later - before.ahead_ms) + extra;
            let time = before.clock.plus_seconds(by).ok_or_else(|| refused("the clock shows no date"))?;
            Ok::<_, RequestError>(Value::OctetString(time.to_bytes().to_vec()))
        };
        let invoke = |method, parameter| {
            let parameter = Some(parameter);
            Operation::InvokeMethod(InvokeMethod { class: CLASS, obis: self.object, method, parameter })
        };
        match method {
            ClockMethod::Shift => {
                let by = i16::try_from(rounded(-before.ahead_ms)).map_err(|_| refused("shift_time takes 900 s"))?;
                visit.act(checkpoint, invoke(SHIFT_TIME, Value::Long(by))).await?;
            }
            ClockMethod::Set => {
                let attribute = AttributeRef::new(CLASS, self.object, AttributeId(TIME));
                let set = SetAttribute { attribute, selection: None, value: now(0)? };
                if let Outcome::Set(results) = visit.act(checkpoint, Operation::SetAttributes(vec![set])).await? {
                    results.into_iter().collect::<Result<Vec<()>, _>>()?;
                }
            }
            ClockMethod::Preset => {
                let preset = Value::Structure(vec![now(0)?, now(-PRESET_VALID)?, now(PRESET_VALID)?]);
                visit.act(checkpoint.clone(), invoke(PRESET_ADJUSTING_TIME, preset)).await?;
                visit.save(checkpoint.clone()).await?;
                visit.act(checkpoint, invoke(ADJUST_TO_PRESET_TIME, Value::Integer(0))).await?;
            }
        }
        Ok(())
    }
}

impl Procedure for SynchronizeClock {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(self.synchronize(visit))
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move {
            let after = self.look(visit).await?;
            if !self.is_good(&after) {
                // What it is now off by is measured anew before anything is sent.
                return Ok(Resolution::NotDone);
            }
            let before = visit.checkpoint().and_then(|octets| <[u8; 8]>::try_from(octets).ok());
            Ok(Resolution::Done(Report::Clock(ClockReport {
                before_ms: before.map(i64::from_be_bytes),
                after_ms: after.ahead_ms,
                round_trip_ms: after.round_trip_ms.unsigned_abs(),
                method: self.method,
            })))
        })
    }
}

fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds as the nearest number of seconds.
const fn rounded(ms: i64) -> i64 {
    ms.saturating_add(HALF_SECOND).div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_to_the_nearest_second() {
        for (ms, seconds) in [(0, 0), (499, 0), (500, 1), (-400, 0), (-600, -1), (61_999, 62), (-90_499, -90)] {
            assert_eq!(rounded(ms), seconds, "{ms}");
        }
    }
}
