//! Attributes as they should be: written where they differ, or only compared.

use dlms::obis::ObisCode;
use futures_util::future::BoxFuture;

use super::{attributes, limit, unexpected};
use crate::{
    jobs::{AttributeDrift, Procedure, Report, Resolution, Visit},
    operation::{
        GetAttribute, Operation, Outcome, ProfileSelection, ReadProfile, RequestError, RequestErrorKind as Kind,
        SetAttribute,
    },
};

/// Brings attributes to values, and reads them back.
#[derive(Clone, Debug)]
pub struct Configure {
    /// The attributes, in the order in which they are written.
    pub assignments: Vec<SetAttribute>,
    /// A profile whose rows are read and kept before anything is written, because they are lost with it.
    pub read_out: Option<ObisCode>,
}

impl Procedure for Configure {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let (after, same) = limit::compare(visit, &self.assignments).await?;
            if same {
                return Ok(Report::Changed { after });
            }
            if let Some(profile) = self.read_out {
                let read = ReadProfile { profile, selection: ProfileSelection::All };
                match visit.read(Operation::ReadProfile(read)).await? {
                    Outcome::Profile(reading) => reading.interrupted.map_or(Ok(()), Err)?,
                    other => return Err(unexpected(&format!("the fleet answered with {}", other.name()))),
                }
            }
            limit::write(visit, self.assignments.clone()).await
        })
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(limit::resolve(visit, self.assignments.clone()))
    }
}

/// Compares attributes with values.
#[derive(Clone, Debug)]
pub struct VerifyConfiguration {
    /// The attributes as they should be.
    pub expected: Vec<SetAttribute>,
}

impl Procedure for VerifyConfiguration {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let wanted = self.expected.iter().map(|of| GetAttribute { attribute: of.attribute, selection: None });
            let found = attributes(visit.read(Operation::GetAttributes(wanted.collect())).await?)?;
            let mut differences = Vec::new();
            for (of, found) in self.expected.iter().zip(found) {
                let found = match found {
                    Ok(found) if found.value == of.value => continue,
                    Ok(found) => Ok(found.value),
                    Err(error) if error.kind() == Kind::MeterRefused => Err(error),
                    Err(error) => return Err(error),
                };
                differences.push(AttributeDrift { attribute: of.attribute, expected: of.value.clone(), found });
            }
            Ok(Report::Drift { checked: self.expected.len(), differences })
        })
    }

    fn resolve<'a>(&'a self, _: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        // It changes nothing.
        Box::pin(async { Ok(Resolution::NotDone) })
    }
}
