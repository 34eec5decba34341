//! A meter taken out of service: read a last time where that is wanted, and then left alone.

use dlms::obis::ObisCode;
use futures_util::future::BoxFuture;

use super::{Steps, Stop, strange};
use crate::{
    jobs::{Procedure, Report, Resolution, StepKind, StepResult, Visit, procedures::unexpected},
    meter::LifecycleStatus,
    operation::{Operation, Outcome, ProfileSelection, ReadProfile, RegisterRef, RequestError},
};

/// Takes a meter out of service.
#[derive(Clone, Debug)]
pub struct Decommission {
    /// What is read last.
    pub registers: Vec<RegisterRef>,
    /// A profile that is read last.
    pub profile: Option<ObisCode>,
    /// Whether its keys are destroyed.
    pub destroy_keys: bool,
}

impl Decommission {
    async fn profile(&self, steps: &mut Steps<'_>, profile: ObisCode) -> Result<(), Stop> {
        let kind = StepKind::ReadProfile;
        let what = ReadProfile { profile, selection: ProfileSelection::All };
        let reading = match steps.read(kind, steps.visit.read(Operation::ReadProfile(what)).await)? {
            Outcome::Profile(reading) => reading,
            other => return Err(steps.failed(kind, strange(&other))),
        };
        steps.read(kind, reading.interrupted.map_or(Ok(()), Err))?;
        steps.done(kind, format!("{} rows of {profile}", reading.rows.len()));
        Ok(())
    }

    async fn steps(&self, steps: &mut Steps<'_>) -> Result<(), Stop> {
        let registered = steps.visit.registered();
        let settings = registered.settings().await.map_err(Stop::Later)?;
        let (out, now) = (LifecycleStatus::Decommissioned, steps.visit.now());
        steps.report.status = settings.lifecycle.status;
        if settings.lifecycle.status == out {
            // By this job, which broke off then, or by somebody else: what is not in service any more is not read.
            steps.note(StepKind::ChangeStatus, StepResult::DoneBefore, "");
        } else {
            steps.registers(&self.registers).await?;
            if let Some(profile) = self.profile {
                self.profile(steps, profile).await?;
            }
            let amended = registered.amend(Box::new(move |settings| {
                // Any status becomes that.
                if let Ok(life) = settings.lifecycle.set(out, now) {
                    settings.lifecycle = life;
                }
            }));
            steps.report.status = steps.read(StepKind::ChangeStatus, amended.await)?.lifecycle.status;
            steps.done(StepKind::ChangeStatus, "");
        }
        if self.destroy_keys {
            steps.read(StepKind::DestroyKeys, registered.destroy_keys().await)?;
            steps.done(StepKind::DestroyKeys, "");
        }
        Ok(())
    }
}

impl Procedure for Decommission {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async move {
            let mut steps = Steps::new(visit);
            let ended = self.steps(&mut steps).await;
            steps.end(ended)
        })
    }

    fn resolve<'a>(&'a self, _: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async {
            Err(unexpected("taking a meter out of service sends nothing that would have to be resolved"))
        })
    }
}
