//! `head-end jobs`.

use clap::{Args, Subcommand, ValueEnum};
use dlms_proto::v1::{
    self, ApproveJobRequest, CancelJobRequest, GetJobRequest, JobState, ListJobsRequest, jobs_client::JobsClient,
};

use super::{ClientOptions, Exit, Failure, instruct, tasks};

/// Operations over many meters.
#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// List jobs, the newest first
    List(List),
    /// Show a job
    Show(One),
    /// Follow a job to its end
    Watch(One),
    /// Withdraw a job: meters that have not begun are left alone
    Cancel(One),
    /// Let a job run that somebody else has made and that needs a second person
    Approve(One),
    /// Show what became of the meters of a job
    Results(Results),
}

/// List jobs.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    client: ClientOptions,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    AwaitingApproval,
    Running,
    Cancelling,
    Finished,
    Cancelled,
}

/// One job.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The job
    #[arg(value_parser = job_name)]
    job: String,
    #[command(flatten)]
    client: ClientOptions,
}

/// What became of the meters of a job.
#[derive(Debug, Args)]
pub(super) struct Results {
    /// The job
    #[arg(value_parser = job_name)]
    job: String,
    /// Only those with this result, such as METER_REFUSED
    #[arg(long, value_parser = result, value_name = "RESULT")]
    result: Option<v1::Result>,
    #[command(flatten)]
    client: ClientOptions,
}

fn job_name(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("jobs/").unwrap_or(text);
    let id: Result<crate::store::JobId, _> = id.parse();
    id.map(|id| id.resource_name()).map_err(|error| error.to_string())
}

fn result(text: &str) -> Result<v1::Result, String> {
    let name = format!("RESULT_{}", text.to_uppercase().replace('-', "_"));
    v1::Result::from_str_name(&name).ok_or_else(|| format!("{text:?} is no result such as SUCCEEDED or METER_REFUSED"))
}

impl Jobs {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::List(command) => &command.client,
            Self::Show(command) | Self::Watch(command) | Self::Cancel(command) | Self::Approve(command) => {
                &command.client
            }
            Self::Results(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.client().clone();
        let mut jobs = JobsClient::new(options.connect().await?);
        match self {
            Self::List(of) => {
                let state = match of.state {
                    None => JobState::Unspecified,
                    Some(State::AwaitingApproval) => JobState::AwaitingApproval,
                    Some(State::Running) => JobState::Running,
                    Some(State::Cancelling) => JobState::Cancelling,
                    Some(State::Finished) => JobState::Finished,
                    Some(State::Cancelled) => JobState::Cancelled,
                };
                let request = ListJobsRequest { state: state.into(), page_size: of.limit, ..Default::default() };
                tasks::print_jobs(options.format, &jobs.list(options.request(request)).await?.into_inner().jobs);
            }
            Self::Show(of) => {
                let job = jobs.get(options.request(GetJobRequest { name: of.job })).await?.into_inner();
                instruct::show_job(options.format, &job);
            }
            Self::Watch(of) => {
                let job = instruct::follow(&mut jobs, &options, of.job).await?;
                instruct::show_job(options.format, &job);
                let counts = job.counts.unwrap_or_default();
                return Ok(Exit::of(counts.succeeded == counts.total));
            }
            Self::Cancel(of) => {
                let job = jobs.cancel(options.request(CancelJobRequest { name: of.job })).await?.into_inner();
                instruct::show_job(options.format, &job);
            }
            Self::Approve(of) => {
                let job = jobs.approve(options.request(ApproveJobRequest { name: of.job })).await?.into_inner();
                instruct::show_job(options.format, &job);
            }
            Self::Results(of) => {
                let only = of.result.unwrap_or(v1::Result::Unspecified);
                tasks::print(options.format, &instruct::results(&mut jobs, &options, of.job, only).await?);
            }
        }
        Ok(Exit::Success)
    }
}
