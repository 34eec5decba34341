//! The activity calendar: class 20.

use dlms::{
    axdr::Value,
    id::{ClassId, MethodId},
    obis::ObisCode,
};
use futures_util::future::BoxFuture;

use super::{limit, refused};
use crate::{
    jobs::{Procedure, Report, Resolution, Visit},
    operation::{InvokeMethod, Operation, RequestError, SetAttribute},
};

const CLASS: ClassId = ClassId(20);
const ACTIVATE_PASSIVE_CALENDAR: MethodId = MethodId(1);
/// What is remembered while the method is in the air.
const ACTIVATING: &[u8] = b"activating";

/// Writes the passive calendar, and puts it in force.
#[derive(Clone, Debug)]
pub struct SetCalendar {
    /// The activity calendar.
    pub object: ObisCode,
    /// Attributes of the passive calendar.
    pub passive: Vec<SetAttribute>,
    /// Attributes of the active calendar as they are afterwards, where it is put in force by this.
    pub active: Option<Vec<SetAttribute>>,
}

impl SetCalendar {
    async fn set(&self, visit: &Visit<'_>) -> Result<Report, RequestError> {
        let Some(active) = &self.active else { return limit::write(visit, self.passive.clone()).await };
        let (after, same) = limit::compare(visit, active).await?;
        if same {
            return Ok(Report::Changed { after });
        }
        limit::write(visit, self.passive.clone()).await?;
        visit.save(Vec::new()).await?;
        let invoke = InvokeMethod {
            class: CLASS,
            obis: self.object,
            method: ACTIVATE_PASSIVE_CALENDAR,
            parameter: Some(Value::Integer(0)),
        };
        visit.act(ACTIVATING.to_vec(), Operation::InvokeMethod(invoke)).await?;
        match limit::compare(visit, active).await? {
            (after, true) => Ok(Report::Changed { after }),
            (_, false) => Err(refused("the meter agreed, but another calendar is active")),
        }
    }
}

impl Procedure for SetCalendar {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(self.set(visit))
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move {
            match &self.active {
                Some(active) if visit.checkpoint() == Some(ACTIVATING) => limit::resolve(visit, active.clone()).await,
                // Written again it is the same.
                Some(_) => Ok(Resolution::NotDone),
                None => limit::resolve(visit, self.passive.clone()).await,
            }
        })
    }
}
