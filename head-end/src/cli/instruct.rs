//! What commands that make jobs have in common: with which meters, how, and what came of it.

use clap::Args;
use dlms_proto::v1::{
    self, Instruction, JobResponse, MeterNames, MeterSelector, Target, jobs_client::JobsClient, target,
};
use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::{SignedDuration, Timestamp};
use tonic::transport::Channel;

use super::{ClientOptions, Exit, Failure, Format, client, meters, output, tasks};
use crate::{api::to_timestamp, config::Span};

/// With which meters.
#[derive(Clone, Debug, Args)]
#[group(id = "with", required = true, multiple = false)]
pub(super) struct With {
    /// Meters
    #[arg(value_parser = client::meter_name, value_name = "METER")]
    meters: Vec<String>,
    /// Instead: all meters with this label, KEY=VALUE; may be given more than once
    #[arg(long = "label", value_parser = meters::label, value_name = "KEY=VALUE")]
    labels: Vec<(String, String)>,
    /// Instead: all meters
    #[arg(long)]
    all: bool,
}

impl With {
    pub(super) fn target(self) -> Option<Target> {
        let kind = match <[String; 1]>::try_from(self.meters) {
            Ok([meter]) => target::Kind::Meter(meter),
            Err(meters) if !meters.is_empty() => target::Kind::Meters(MeterNames { meters }),
            Err(_) => target::Kind::Selector(MeterSelector { labels: self.labels.into_iter().collect() }),
        };
        Some(Target { kind: Some(kind) })
    }
}

/// How it is to be done.
#[derive(Clone, Debug, Args)]
pub(super) struct How {
    /// How long it may wait for meters that do not answer: nothing is begun afterwards
    #[arg(long, default_value = "1h", value_name = "TIME")]
    within: Span,
    /// Why, for the audit log
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    /// Before whom [default: as the head-end has it]
    #[arg(long, value_enum)]
    priority: Option<Priority>,
    /// Name of this request: given again, nothing is done twice
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    request_id: String,
}

/// Before whom.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Priority {
    Low,
    Normal,
    High,
}

impl How {
    pub(super) fn instruction(self) -> Option<Instruction> {
        let within = SignedDuration::try_from(self.within.duration()).unwrap_or(SignedDuration::MAX);
        let expires = Timestamp::now().saturating_add(within).unwrap_or(Timestamp::MAX);
        let priority = match self.priority {
            None => v1::Priority::Unspecified,
            Some(Priority::Low) => v1::Priority::Low,
            Some(Priority::Normal) => v1::Priority::Normal,
            Some(Priority::High) => v1::Priority::High,
        };
        Some(Instruction {
            request_id: self.request_id,
            priority: priority.into(),
            not_before: None,
            expires_at: Some(to_timestamp(expires)),
            reason: self.reason,
        })
    }
}

/// Prints what came of a call that made a job. One for several meters is followed to its end, with a bar; where a second
/// person has to agree first, that is told.
pub(super) async fn conclude(options: &ClientOptions, answer: JobResponse) -> Result<Exit, Failure> {
    conclude_if(options, answer, |_| true).await
}

/// The same, where a meter that was asked with success may still not be as it should.
pub(super) async fn conclude_if(
    options: &ClientOptions,
    answer: JobResponse,
    is_right: impl Fn(&v1::Task) -> bool,
) -> Result<Exit, Failure> {
    let job = answer.job.unwrap_or_default();
    if job.state() == v1::JobState::AwaitingApproval {
        output::note(format_args!("{} has to be approved by somebody else: head-end jobs approve", job.name));
        show_job(options.format, &job);
        return Ok(Exit::Partly);
    }
    let ended = match answer.task {
        Some(task) => vec![task],
        None => {
            let mut jobs = JobsClient::new(options.connect().await?);
            follow(&mut jobs, options, job.name.clone()).await?;
            results(&mut jobs, options, job.name.clone(), v1::Result::Unspecified).await?
        }
    };
    if let [task] = &ended[..]
        && task.state() != v1::TaskState::Ended
    {
        output::note(format_args!("not done yet: head-end jobs watch {}", job.name));
    }
    tasks::print(options.format, &ended);
    Ok(Exit::of(ended.iter().all(|task| task.result() == v1::Result::Succeeded && is_right(task))))
}

pub(super) fn show_job(format: Format, job: &v1::Job) {
    tasks::print_jobs(format, std::slice::from_ref(job));
}

/// Follows a job to its end, with a bar on the terminal; the job as it is then.
pub(super) async fn follow(
    jobs: &mut JobsClient<Channel>,
    options: &ClientOptions,
    name: String,
) -> Result<v1::Job, Failure> {
    let request = v1::WatchJobRequest { name, resume_token: String::new() };
    // As long as it takes: the user ends it earlier.
    let mut messages = jobs.watch(options.patient(request)).await?.into_inner();
    let bar = ProgressBar::new(0);
    let hidden = options.format == Format::Json;
    bar.set_draw_target(if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() });
    let mut last = v1::Job::default();
    while let Some(message) = messages.message().await? {
        last = message.job.unwrap_or_default();
        let counts = last.counts.unwrap_or_default();
        bar.set_length(counts.total);
        bar.set_position(counts.total.saturating_sub(counts.waiting + counts.running));
        if options.format == Format::Json {
            message.ended.iter().for_each(|task| output::print_json(&tasks::to_json(task)));
        }
    }
    bar.finish_and_clear();
    Ok(last)
}

/// All tasks of a job, with one result only unless that is UNSPECIFIED.
pub(super) async fn results(
    jobs: &mut JobsClient<Channel>,
    options: &ClientOptions,
    job: String,
    result: v1::Result,
) -> Result<Vec<v1::Task>, Failure> {
    let mut tasks = Vec::new();
    let mut request = v1::ListResultsRequest { job, result: result.into(), page_size: 1_000, ..Default::default() };
    loop {
        let page = jobs.list_results(options.request(request.clone())).await?.into_inner();
        tasks.extend(page.tasks);
        if page.next_page_token.is_empty() {
            return Ok(tasks);
        }
        request.page_token = page.next_page_token;
    }
}
