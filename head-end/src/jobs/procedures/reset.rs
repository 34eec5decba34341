//! The end of a billing period, and with it the reset of the demand registers: a script.

use dlms::{
    axdr::Value,
    id::{ClassId, MethodId},
    obis::ObisCode,
};
use futures_util::future::BoxFuture;

use super::{attributes, get};
use crate::{
    jobs::{Procedure, Report, Resolution, Visit},
    operation::{AttributeValue, InvokeMethod, ItemResult, Operation, RequestError, RequestErrorKind},
};

/// Script table and its method execute.
const SCRIPT_TABLE: ClassId = ClassId(9);
const EXECUTE: MethodId = MethodId(1);
/// Profile generic and its attribute entries_in_use.
const PROFILE: ClassId = ClassId(7);
const ENTRIES_IN_USE: i8 = 7;

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

impl Procedure for ResetDemand {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let (before, _) = self.entries(visit).await?;
            let checkpoint = before.map(|entries| entries.to_be_bytes().to_vec()).unwrap_or_default();
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
            let before = visit.checkpoint().and_then(|octets| <[u8; 4]>::try_from(octets).ok()).map(u32::from_be_bytes);
            let (now, after) = self.entries(visit).await?;
            Ok(match (before, now) {
                (Some(before), Some(now)) if now > before => Resolution::Done(Report::Changed { after }),
                // A full buffer has as many entries after as before: a period must never be ended twice.
                _ => Resolution::Unknown,
            })
        })
    }
}
