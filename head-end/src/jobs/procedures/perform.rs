//! One operation, as it is.

use futures_util::future::BoxFuture;

use super::attributes;
use crate::{
    jobs::{Procedure, Report, Resolution, Visit},
    operation::{GetAttribute, Operation, Outcome, RequestError, RequestErrorKind, SetAttribute},
};

/// One operation, as it is.
#[derive(Clone, Debug)]
pub struct Perform(pub Operation);

impl Procedure for Perform {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let operation = self.0.clone();
            let outcome = match operation.is_mutating() {
                true => visit.act(Vec::new(), operation).await?,
                false => visit.read(operation).await?,
            };
            Ok(Report::Operation(outcome))
        })
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move {
            match &self.0 {
                Operation::SetAttributes(assignments) => read_back(visit, assignments).await,
                // What a method does is its own matter, and what a bundle did would have to be undone in parts.
                _ => Ok(Resolution::Unknown),
            }
        })
    }
}

/// Whether the meter has what was written. Writing it again is the same as writing it once, so that a part is as good
/// as nothing.
async fn read_back(visit: &Visit<'_>, assignments: &[SetAttribute]) -> Result<Resolution, RequestError> {
    if assignments.iter().any(|assignment| assignment.selection.is_some()) {
        return Ok(Resolution::Unknown);
    }
    let wanted = assignments.iter().map(|of| GetAttribute { attribute: of.attribute, selection: None }).collect();
    let values = attributes(visit.read(Operation::GetAttributes(wanted)).await?)?;
    let mut same = true;
    for (value, assignment) in values.into_iter().zip(assignments) {
        match value {
            Ok(value) => same &= value.value == assignment.value,
            Err(error) if error.kind() == RequestErrorKind::MeterRefused => return Ok(Resolution::Unknown),
            Err(error) => return Err(error),
        }
    }
    Ok(match same {
        true => Resolution::Done(Report::Operation(Outcome::Set(assignments.iter().map(|_| Ok(())).collect()))),
        false => Resolution::NotDone,
    })
}
