//! `head-end plans`.

mod show;

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    BackfillGapsRequest, CreatePlanRequest, DeletePlanRequest, GetCollectionPerformanceRequest, GetPlanRequest,
    GetPlanRunRequest, LabelSelector, ListPlanStatesRequest, ListPlansRequest, MeterList, PausePlanRequest, Plan,
    PlanPriority, PlanRegister, PlanRun, ResumePlanRequest, RunNowRequest, collection_client::CollectionClient, plan,
};
use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::Timestamp;
use tonic::transport::Channel;

use super::{ClientOptions, Exit, Failure, Format, client, meters, moment};
use crate::{api::to_timestamp, config::Span};

/// Collect by plans.
#[derive(Debug, Subcommand)]
pub(super) enum Plans {
    /// Make a plan
    Add(Box<Add>),
    /// List plans
    List(List),
    /// Show a plan
    Show(One),
    /// Let a plan rest
    Pause(One),
    /// Let a plan go on
    Resume(One),
    /// Remove a plan; readings stay
    Delete(One),
    /// Show where the meters of a plan stand
    States(One),
    /// Collect now, and wait for the end
    Run(Run),
    /// Show how much was here in time
    Performance(Performance),
}

/// Make a plan.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its name: 1 to 63 characters of A-Z a-z 0-9 . _ ~ -
    #[arg(value_parser = plan_name)]
    plan: String,
    /// Profile to collect; may be given more than once
    #[arg(long = "profile", value_parser = client::obis, value_name = "OBIS")]
    profiles: Vec<String>,
    /// Register to read along; may be given more than once
    #[arg(long = "register", value_parser = client::obis, value_name = "OBIS")]
    registers: Vec<String>,
    /// Only meters with this label, KEY=VALUE; may be given more than once [default: all meters]
    #[arg(long = "label", value_parser = meters::label, value_name = "KEY=VALUE")]
    labels: Vec<(String, String)>,
    /// Only this meter; may be given more than once
    #[arg(long = "meter", value_parser = client::meter_name, conflicts_with = "labels")]
    meters: Vec<String>,
    /// The meters of this group, as it is at each moment
    #[arg(long, value_parser = client::group_name, conflicts_with_all = ["labels", "meters"])]
    group: Option<String>,
    /// How often: a divisor of the day such as 15m, `daily` or `monthly`
    #[arg(long, default_value = "daily", value_parser = cadence)]
    every: plan::Cadence,
    /// IANA time zone of days and windows, such as Europe/Zurich [default: UTC]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ZONE")]
    time_zone: String,
    /// When the window opens, after local midnight [default: at midnight]
    #[arg(long, value_name = "TIME")]
    window_start: Option<Span>,
    /// Length of the window, over which meters are spread [default: 6h]
    #[arg(long, value_name = "TIME")]
    window: Option<Span>,
    /// From the opening of the window: by when the data should be here [default: 10h]
    #[arg(long, value_name = "TIME")]
    deadline: Option<Span>,
    /// How long after the deadline a run is still tried [default: 12h]
    #[arg(long, value_name = "TIME")]
    grace: Option<Span>,
    /// How far back the first run reaches [default: 24h]
    #[arg(long, value_name = "TIME")]
    backfill: Option<Span>,
    /// Share of the work beside other plans
    #[arg(long, value_enum, default_value = "normal")]
    priority: Priority,
    #[command(flatten)]
    client: ClientOptions,
}

/// Share of the work.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Priority {
    Low,
    Normal,
    High,
}

/// List plans.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    client: ClientOptions,
}

/// One plan.
#[derive(Debug, Args)]
pub(super) struct One {
    /// The plan
    #[arg(value_parser = plan_name)]
    plan: String,
    #[command(flatten)]
    client: ClientOptions,
}

/// Collect now, and wait for the end.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The plan
    #[arg(value_parser = plan_name)]
    plan: String,
    /// Only this meter; may be given more than once
    #[arg(long = "meter", value_parser = client::meter_name)]
    meters: Vec<String>,
    /// Look again at what is held from here on, and close gaps
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Option<Timestamp>,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    client: ClientOptions,
}

/// How much was here in time.
#[derive(Debug, Args)]
pub(super) struct Performance {
    /// The plan
    #[arg(value_parser = plan_name)]
    plan: String,
    /// First capture time
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Timestamp,
    /// First capture time that is no longer looked at [default: now]
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    to: Option<Timestamp>,
    #[command(flatten)]
    client: ClientOptions,
}

fn plan_name(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("plans/").unwrap_or(text);
    let id: Result<crate::plan::PlanId, _> = id.parse();
    id.map(|id| id.resource_name()).map_err(|error| error.to_string())
}

fn cadence(text: &str) -> Result<plan::Cadence, String> {
    match text {
        "daily" => Ok(plan::Cadence::Daily(Default::default())),
        "monthly" => Ok(plan::Cadence::Monthly(Default::default())),
        text => {
            let every: Span = text.parse().map_err(|error: crate::config::SpanError| error.to_string())?;
            let seconds = i64::try_from(every.duration().as_secs()).unwrap_or(i64::MAX);
            Ok(plan::Cadence::Every(prost_types::Duration { seconds, nanos: 0 }))
        }
    }
}

fn seconds(span: Option<Span>) -> Option<u32> {
    span.map(|span| u32::try_from(span.duration().as_secs()).unwrap_or(u32::MAX))
}

impl Plans {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Add(command) => &command.client,
            Self::List(command) => &command.client,
            Self::Show(command)
            | Self::Pause(command)
            | Self::Resume(command)
            | Self::Delete(command)
            | Self::States(command) => &command.client,
            Self::Run(command) => &command.client,
            Self::Performance(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.client().clone();
        let mut client = options.collection().await?;
        let format = options.format;
        match self {
            Self::Add(add) => {
                let request = CreatePlanRequest { plan: Some(add.plan()), ..Default::default() };
                show::plans(format, &[client.create_plan(options.request(request)).await?.into_inner()]);
            }
            Self::List(_) => show::plans(format, &list(&mut client, &options).await?),
            Self::Show(one) => {
                let request = GetPlanRequest { name: one.plan };
                show::plans(format, &[client.get_plan(options.request(request)).await?.into_inner()]);
            }
            Self::Pause(one) => {
                let request = PausePlanRequest { name: one.plan, ..Default::default() };
                show::plans(format, &[client.pause_plan(options.request(request)).await?.into_inner()]);
            }
            Self::Resume(one) => {
                let request = ResumePlanRequest { name: one.plan, ..Default::default() };
                show::plans(format, &[client.resume_plan(options.request(request)).await?.into_inner()]);
            }
            Self::Delete(one) => {
                let request = DeletePlanRequest { name: one.plan, ..Default::default() };
                client.delete_plan(options.request(request)).await?;
            }
            Self::States(one) => return states(&mut client, &options, one.plan).await,
            Self::Run(run) => return run.collect(&mut client, &options).await,
            Self::Performance(of) => {
                let request = GetCollectionPerformanceRequest {
                    plan: of.plan,
                    from: Some(to_timestamp(of.from)),
                    to: of.to.map(to_timestamp),
                };
                let answer = client.get_collection_performance(options.request(request)).await?.into_inner();
                show::performance(format, &answer);
            }
        }
        Ok(Exit::Success)
    }
}

impl Add {
    fn plan(self) -> Plan {
        let register = |obis| PlanRegister { obis, class_id: 0 };
        let target = match (self.group, self.meters.is_empty()) {
            (Some(group), _) => plan::Target::Group(group),
            (None, true) => plan::Target::Selector(LabelSelector { labels: self.labels.into_iter().collect() }),
            (None, false) => plan::Target::Meters(MeterList { meters: self.meters }),
        };
        Plan {
            name: self.plan,
            profiles: self.profiles,
            registers: self.registers.into_iter().map(register).collect(),
            target: Some(target),
            cadence: Some(self.every),
            time_zone: self.time_zone,
            window_start_s: seconds(self.window_start).unwrap_or_default(),
            window_length_s: seconds(self.window).unwrap_or_default(),
            deadline_s: seconds(self.deadline).unwrap_or_default(),
            grace_s: seconds(self.grace),
            backfill_s: seconds(self.backfill),
            priority: match self.priority {
                Priority::Low => PlanPriority::Low,
                Priority::Normal => PlanPriority::Normal,
                Priority::High => PlanPriority::High,
            }
            .into(),
            ..Plan::default()
        }
    }
}

async fn list(client: &mut CollectionClient<Channel>, options: &ClientOptions) -> Result<Vec<Plan>, Failure> {
    let mut plans = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListPlansRequest { page_size: 1000, page_token };
        let page = client.list_plans(options.request(request)).await?.into_inner();
        plans.extend(page.plans);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(plans);
        }
    }
}

async fn states(
    client: &mut CollectionClient<Channel>,
    options: &ClientOptions,
    plan: String,
) -> Result<Exit, Failure> {
    let mut states = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListPlanStatesRequest { plan: plan.clone(), page_size: 1000, page_token };
        let page = client.list_plan_states(options.request(request)).await?.into_inner();
        states.extend(page.states);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    show::states(options.format, &states);
    Ok(Exit::of(states.iter().all(|state| state.error.is_empty())))
}

impl Run {
    async fn collect(self, client: &mut CollectionClient<Channel>, options: &ClientOptions) -> Result<Exit, Failure> {
        let (plan, meters) = (self.plan, self.meters);
        let asked = match self.from {
            Some(from) => {
                let from = Some(to_timestamp(from));
                let request = BackfillGapsRequest { plan, meters, from, ..Default::default() };
                client.backfill_gaps(options.request(request)).await?
            }
            None => {
                let request = RunNowRequest { plan, meters, ..Default::default() };
                client.run_now(options.request(request)).await?
            }
        };
        let mut run: PlanRun = asked.into_inner();
        if !self.no_wait {
            let request = GetPlanRunRequest { name: run.name.clone() };
            // As long as it takes: the user ends it earlier.
            let mut messages = client.watch_plan_run(options.patient(request)).await?.into_inner();
            let bar = ProgressBar::new(run.meters);
            let hidden = options.format == Format::Json;
            bar.set_draw_target(if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() });
            while let Some(message) = messages.message().await? {
                bar.set_position(message.succeeded + message.failed);
                run = message;
            }
            bar.finish_and_clear();
        }
        show::run(options.format, &run);
        Ok(Exit::of(run.failed == 0))
    }
}
