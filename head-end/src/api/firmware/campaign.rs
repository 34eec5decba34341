//! Campaigns: jobs in waves, under another name.

use dlms_proto::v1::{
    self, Campaign, CampaignState, FirmwareActivation, Instruction, JobSpec, UpdateFirmwareSpec, job_spec::Kind,
};
use prost::Message;
use tonic::Status;

use super::{CAMPAIGN, failed};
use crate::{
    access::Caller,
    api::{
        Service,
        parse::{Violations, to_timestamp},
        status,
    },
    jobs::JobError,
    operation::MeterAccess,
    store::{JobId, JobState, Store, WavesState},
};

/// An activation after the end is never done.
pub(super) fn check_times(spec: &UpdateFirmwareSpec, instruction: &Instruction) -> Result<(), Status> {
    let mut violations = Violations::default();
    if let (FirmwareActivation::At, Some(when), Some(end)) =
        (spec.activation(), &spec.activate_time, &instruction.expires_at)
        && (when.seconds, when.nanos) >= (end.seconds, end.nanos)
    {
        violations.add("spec.activate_time", "is not before instruction.expires_at");
    }
    violations.finish(Some(()))
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    /// The job of a campaign, if the caller sees it.
    pub(super) async fn seen_campaign(&self, caller: &Caller, name: &str) -> Result<JobId, Status> {
        let mut violations = Violations::default();
        let id: Option<JobId> = name.strip_prefix("campaigns/").and_then(|id| id.parse().ok());
        if id.is_none() {
            violations.add("name", "is of the form campaigns/{campaign}");
        }
        let id = violations.finish(id)?;
        let row = self.0.jobs.store().job(id).await.map_err(failed)?;
        let row = row.filter(|row| row.kind == CAMPAIGN && caller.sees(row.tenant.as_ref()));
        row.map(|row| row.id).ok_or_else(|| status::job(&JobError::NotFound(id)))
    }

    /// A campaign as it stands.
    pub(super) async fn campaign(&self, id: JobId) -> Result<Campaign, Status> {
        let missing = || status::job(&JobError::NotFound(id));
        let row = self.0.jobs.store().job(id).await.map_err(failed)?.ok_or_else(missing)?;
        let waves = self.0.jobs.waves(id).await.map_err(|error| status::job(&error))?.ok_or_else(missing)?;
        let job: v1::Job = self.job_message(id).await?;
        let spec = match JobSpec::decode(row.spec.as_slice()).ok().and_then(|spec| spec.kind) {
            Some(Kind::UpdateFirmware(spec)) => Some(spec),
            _ => None,
        };
        let state = match (row.state, waves.state) {
            (JobState::Finished, _) => CampaignState::Finished,
            (JobState::Cancelled, _) => CampaignState::Aborted,
            (JobState::Cancelling, _) => CampaignState::Aborting,
            (_, WavesState::Running) => CampaignState::Running,
            (_, WavesState::Paused) => CampaignState::Paused,
            (_, WavesState::Stopped) => CampaignState::Stopped,
        };
        let total = job.counts.as_ref().map(|counts| counts.total).unwrap_or_default();
        Ok(Campaign {
            name: format!("campaigns/{id}"),
            job: Some(job),
            spec,
            state: state.into(),
            wave: waves.wave,
            released: waves.target.min(total),
            next_wave_time: waves.next.map(to_timestamp),
            stop_reason: waves.reason,
        })
    }
}
