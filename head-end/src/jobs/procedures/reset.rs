//! The end of a billing period, and with it the reset of the demand registers: a script.

use dlms::{
    axdr::Value,
    id::{ClassId, MethodId},
    obis::ObisCode,
};
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::{attributes, get, unexpected};
use crate::{
    jobs::{Procedure, Report, Resolution, Visit},
    operation::{
        AttributeValue, CaptureRow, InvokeMethod, ItemResult, Operation, Outcome, ProfileSelection, ReadProfile,
        RequestError, RequestErrorKind,
    },
};

/// Script table and its method execute.
const SCRIPT_TABLE: ClassId = ClassId(9);
const EXECUTE: MethodId = MethodId(1);
/// Profile generic and its attribute entries_in_use.
const PROFILE: ClassId = ClassId(7);
const ENTRIES_IN_USE: i8 = 7;
/// How far the capture time of an entry may lie from when the script was sent for it to be that script's: the way there,
/// and the error of a clock that is kept.
const NEAR: SignedDuration = SignedDuration::from_mins(5);

/// Ends the billing period by a script of the meter.
#[derive(Clone, Copy, Debug)]
pub struct ResetDemand {
    /// The script table; "MDI reset / end of billing period" is 0-0:10.0.1.
    pub script_table: ObisCode,
    /// The script.
    pub script: u16,
    /// The billing profile, which has one more entry afterwards.
    pub profile: ObisCode,
}

impl ResetDemand {
    fn look(&self) -> Operation {
        get(PROFILE, self.profile, &[ENTRIES_IN_USE])
    }

    /// Entries of the billing profile, where the meter tells.
    async fn entries(&self, visit: &Visit<'_>) -> Result<(Option<u32>, Vec<ItemResult<AttributeValue>>), RequestError> {
        let values = attributes(visit.read(self.look()).await?)?;
        match values.first() {
            Some(Err(error)) if error.kind() != RequestErrorKind::MeterRefused => Err(error.clone()),
            Some(Ok(AttributeValue { value: Value::DoubleLongUnsigned(entries), .. })) => Ok((Some(*entries), values)),
            _ => Ok((None, values)),
        }
    }
}

/// What stood before the script was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    /// Entries of the billing profile.
    entries: u32,
    /// When it was sent.
    sent: Timestamp,
}

impl Before {
    fn to_bytes(self) -> Vec<u8> {
        [&self.entries.to_be_bytes()[..], &self.sent.as_millisecond().to_be_bytes()].concat()
    }

    fn from_bytes(octets: &[u8]) -> Option<Self> {
        let (entries, sent) = octets.split_first_chunk::<4>()?;
        let sent = Timestamp::from_millisecond(i64::from_be_bytes(sent.try_into().ok()?)).ok()?;
        Some(Self { entries: u32::from_be_bytes(*entries), sent })
    }

    /// Whether an entry is the script's: captured when that was sent, and not when meters end periods by themselves,
    /// which is on the hour.
    fn explains(&self, row: &CaptureRow) -> bool {
        let on_the_hour = match row.clock.and_then(|clock| clock.minute().zip(clock.second())) {
            Some(time) => time == (0, 0),
            None => row.time.as_second().rem_euclid(3_600) == 0,
        };
        !on_the_hour && row.time.duration_since(self.sent).abs() <= NEAR
    }
}

impl Procedure for ResetDemand {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let (before, _) = self.entries(visit).await?;
            let before = before.map(|entries| Before { entries, sent: visit.now() });
            let checkpoint = before.map(Before::to_bytes).unwrap_or_default();
            let execute = InvokeMethod {
                class: SCRIPT_TABLE,
                obis: self.script_table,
                method: EXECUTE,
                parameter: Some(Value::LongUnsigned(self.script)),
            };
            visit.act(checkpoint, Operation::InvokeMethod(execute)).await?;
            // It is done, also where the meter does not tell its entries or cannot be asked any more.
            let after = self.entries(visit).await.map_or_else(|_| Vec::new(), |(_, after)| after);
            Ok(Report::Changed { after: after.into_iter().filter(Result::is_ok).collect() })
        })
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move {
            // A full buffer has as many entries after as before: a period must never be ended twice.
            let Some(before) = visit.checkpoint().and_then(Before::from_bytes) else { return Ok(Resolution::Unknown) };
            let (now, after) = self.entries(visit).await?;
            if now.is_none_or(|now| now <= before.entries) {
                return Ok(Resolution::Unknown);
            }
            // There is another one; the meter may have made it at the end of its own month.
            let (from, to) = (before.sent.saturating_sub(NEAR), before.sent.saturating_add(NEAR));
            let (Ok(from), Ok(to)) = (from, to) else { return Ok(Resolution::Unknown) };
            let read = ReadProfile { profile: self.profile, selection: ProfileSelection::Range { from, to } };
            let Outcome::Profile(reading) = visit.read(Operation::ReadProfile(read)).await? else {
                return Err(unexpected("the fleet answered with something else than rows"));
            };
            Ok(match reading.rows.iter().any(|row| before.explains(row)) {
                true => Resolution::Done(Report::Changed { after }),
                false => Resolution::Unknown,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use dlms::time::{ClockStatus, DateTime};

    use super::*;
    use crate::meter::TimeBasis;

    #[test]
    fn an_entry_of_the_meters_own_month_end_is_not_taken_for_the_scripts() {
        let sent: Timestamp = "2026-11-30T22:58:30Z".parse().unwrap();
        let before = Before { entries: 7, sent };
        assert_eq!(Before::from_bytes(&before.to_bytes()), Some(before));
        assert_eq!(Before::from_bytes(&7_u32.to_be_bytes()), None, "of a version before");
        let row = |time: &str, deviation_min| {
            let time: Timestamp = time.parse().unwrap();
            let clock = DateTime::from_unix_seconds(time.as_second(), deviation_min, ClockStatus(0));
            let (status, values) = (None, Vec::new());
            CaptureRow { time, time_basis: TimeBasis::MeterDeviation, clock: Some(clock), status, values }
        };
        assert!(before.explains(&row("2026-11-30T22:58:34Z", -60)));
        assert!(!before.explains(&row("2026-11-30T23:00:00Z", -60)), "midnight in the meter's zone");
        assert!(!before.explains(&CaptureRow { clock: None, ..row("2026-11-30T23:00:00Z", 0) }));
        assert!(!before.explains(&row("2026-11-30T22:50:00Z", -60)), "somebody else's, before");
        assert!(!before.explains(&row("2026-11-30T23:10:00Z", -60)), "or long after");
    }
}
