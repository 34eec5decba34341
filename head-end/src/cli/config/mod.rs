//! `head-end clock` and `head-end config`: the service Configuration.

pub(super) mod files;
mod templates;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    self, ApplyTemplateRequest, ApplyTemplateSpec, CalendarActivation, CapturedObject, ConfigurationTemplate,
    ConfigureLoadProfileRequest, ConfigureLoadProfileSpec, ConfigurePushRequest, ConfigurePushSpec, JobResponse,
    PushDestination, SetActivityCalendarRequest, SetSpecialDaysRequest, SynchronizeClockRequest, SynchronizeClockSpec,
    VerifyConfigurationRequest, VerifyConfigurationSpec, configuration_client::ConfigurationClient,
};
use jiff::Timestamp;
use tonic::transport::Channel;

use self::templates::Templates;
use super::{
    ClientOptions, Exit, Failure, client,
    control::in_proto,
    instruct::{self, How, With},
    moment,
};
use crate::{api::to_timestamp, config::Span};

/// Set clocks.
#[derive(Debug, Subcommand)]
pub(super) enum Clock {
    /// Set clocks that are off, and read them back
    Sync(Sync),
}

/// Set clocks that are off.
#[derive(Debug, Args)]
pub(super) struct Sync {
    #[command(flatten)]
    with: With,
    /// The clock [default: 0-0:1.0.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    object: Option<String>,
    /// Deviation that is left as it is
    #[arg(long, default_value = "3s", value_name = "TIME")]
    tolerance: Span,
    /// Deviation up to which a clock is set; one that is further off is refused
    #[arg(long, default_value = "15m", value_name = "TIME")]
    max_step: Span,
    /// How it is set [default: what the meter allows]
    #[arg(long, value_enum)]
    method: Option<Method>,
    #[command(flatten)]
    call: Call,
}

/// How a clock is set.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Method {
    /// Moved, by up to 900 seconds
    Shift,
    /// Written
    Set,
    /// Preset, and taken over
    Preset,
}

/// Set meters up.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Set the activity calendar, which switches tariffs
    Calendar(Calendar),
    /// Set the special days
    SpecialDays(File),
    /// Set what a profile captures, and how often; clears it, after its rows were read
    LoadProfile(LoadProfile),
    /// Set what is pushed, and where to
    Push(Push),
    /// Bring attributes to the values of a template
    Apply(OfTemplate),
    /// Show how meters differ from a template
    Verify(OfTemplate),
    /// Keep, show and remove templates
    #[command(subcommand)]
    Template(Templates),
}

/// What a template says.
#[derive(Debug, Args)]
pub(super) struct OfTemplate {
    #[command(flatten)]
    with: With,
    /// File in TOML, see docs/configuration.md
    #[arg(long, value_name = "FILE", required_unless_present = "template", conflicts_with = "template")]
    file: Option<PathBuf>,
    /// Instead: one that the head-end keeps, NAME or NAME@REVISION
    #[arg(long, value_parser = templates::name, value_name = "NAME")]
    template: Option<String>,
    #[command(flatten)]
    call: Call,
}

impl OfTemplate {
    /// The template of the file, or the name of one that is kept.
    fn contents(&self) -> Result<(Option<ConfigurationTemplate>, String), Failure> {
        let template = self.file.as_deref().map(files::template).transpose()?;
        Ok((template, self.template.clone().unwrap_or_default()))
    }
}

/// What a file says.
#[derive(Debug, Args)]
pub(super) struct File {
    #[command(flatten)]
    with: With,
    /// File in TOML, see docs/configuration.md
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    call: Call,
}

/// Set the activity calendar.
#[derive(Debug, Args)]
pub(super) struct Calendar {
    #[command(flatten)]
    of: File,
    /// When it takes the place of the active one: `later` (not by this), `now`, or a moment
    #[arg(long, default_value = "later", value_parser = activation, value_name = "WHEN")]
    activate: Activation,
}

#[derive(Clone, Copy, Debug)]
enum Activation {
    Later,
    Now,
    At(Timestamp),
}

/// Set what a profile captures.
#[derive(Debug, Args)]
pub(super) struct LoadProfile {
    #[command(flatten)]
    with: With,
    /// The profile [default: 1-0:99.1.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    /// Time between two captures [default: as it is]
    #[arg(long, value_name = "TIME")]
    period: Option<Span>,
    /// What is captured, CLASS/OBIS/ATTRIBUTE; may be given more than once, all of them in order [default: as it is]
    #[arg(long = "column", value_parser = captured, value_name = "ATTRIBUTE")]
    columns: Vec<CapturedObject>,
    /// Do not read the rows first: what was not collected is lost
    #[arg(long)]
    discard_rows: bool,
    #[command(flatten)]
    call: Call,
}

/// Set what is pushed.
#[derive(Debug, Args)]
pub(super) struct Push {
    #[command(flatten)]
    with: With,
    /// The push setup [default: 0-0:25.9.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    object: Option<String>,
    /// Version of its class, as `head-end discover` shows it
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=2), value_name = "VERSION")]
    class_version: u32,
    /// What is sent, CLASS/OBIS/ATTRIBUTE; may be given more than once, all of them in order [default: as it is]
    #[arg(long = "column", value_parser = captured, value_name = "ATTRIBUTE")]
    columns: Vec<CapturedObject>,
    /// Where to: host:port, a telephone number and the like [default: as it is]
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Transport service by its number in class 40: 0 TCP, 1 UDP, 4 SMS, 5 HDLC
    #[arg(long, default_value_t = 0, requires = "to", value_name = "NUMBER")]
    transport: u8,
    /// Message type by its number in class 40: 0 A-XDR, 1 XML
    #[arg(long, default_value_t = 0, requires = "to", value_name = "NUMBER")]
    message_type: u8,
    /// Random delay before sending [default: as it is]
    #[arg(long, value_name = "TIME")]
    randomisation: Option<Span>,
    /// How often sending is tried again [default: as it is]
    #[arg(long)]
    retries: Option<u8>,
    /// Time between two attempts [default: as it is]
    #[arg(long, value_name = "TIME")]
    repetition_delay: Option<Span>,
    #[command(flatten)]
    call: Call,
}

/// How it is to be done, and by whom.
#[derive(Debug, Args)]
struct Call {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    client: ClientOptions,
}

fn activation(text: &str) -> Result<Activation, String> {
    match text {
        "later" => Ok(Activation::Later),
        "now" => Ok(Activation::Now),
        moment => moment::parse(moment).map(Activation::At),
    }
}

/// CLASS/OBIS/ATTRIBUTE, the attribute as it is.
fn captured(text: &str) -> Result<CapturedObject, String> {
    let v1::AttributeRef { class_id, obis, attribute } = super::attributes::attribute(text)?;
    Ok(CapturedObject { class_id, obis, attribute, data_index: 0 })
}

impl Clock {
    pub(super) const fn client(&self) -> &ClientOptions {
        let Self::Sync(of) = self;
        &of.call.client
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let Self::Sync(Sync { with, object, tolerance, max_step, method, call }) = self;
        let method = match method {
            None => v1::ClockMethod::Unspecified,
            Some(Method::Shift) => v1::ClockMethod::Shift,
            Some(Method::Set) => v1::ClockMethod::Set,
            Some(Method::Preset) => v1::ClockMethod::Preset,
        };
        let spec = Some(SynchronizeClockSpec {
            object: object.unwrap_or_default(),
            tolerance: Some(in_proto(tolerance)),
            max_step: Some(in_proto(max_step)),
            method: method.into(),
        });
        let Call { how, client } = call;
        let (target, instruction) = (with.target(), how.instruction());
        let request = client.request(SynchronizeClockRequest { target, spec, instruction });
        let answer = ConfigurationClient::new(client.connect().await?).synchronize_clock(request).await?;
        instruct::conclude(&client, answer.into_inner()).await
    }
}

impl Config {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Calendar(Calendar { of, .. }) | Self::SpecialDays(of) => &of.call.client,
            Self::Apply(of) | Self::Verify(of) => &of.call.client,
            Self::Template(of) => of.client(),
            Self::LoadProfile(of) => &of.call.client,
            Self::Push(of) => &of.call.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.client().clone();
        let mut client = ConfigurationClient::new(options.connect().await?);
        if let Self::Template(of) = self {
            return of.run(client).await;
        }
        let verifies = matches!(self, Self::Verify(_));
        let answer = self.call(&mut client, &options).await?;
        // A meter that differs was asked with success.
        let is_right = |task: &v1::Task| match task.outcome.as_ref().and_then(|of| of.kind.as_ref()) {
            Some(v1::task_outcome::Kind::Drift(of)) => !verifies || of.differences.is_empty(),
            _ => true,
        };
        instruct::conclude_if(&options, answer, is_right).await
    }

    async fn call(
        self,
        client: &mut ConfigurationClient<Channel>,
        options: &ClientOptions,
    ) -> Result<JobResponse, Failure> {
        let answer = match self {
            Self::Calendar(Calendar { of: File { with, file, call }, activate }) => {
                let mut spec = files::calendar(&file)?;
                spec.set_activation(match activate {
                    Activation::Later => CalendarActivation::Later,
                    Activation::Now => CalendarActivation::Now,
                    Activation::At(_) => CalendarActivation::At,
                });
                if let Activation::At(when) = activate {
                    spec.activate_time = Some(to_timestamp(when));
                }
                let (target, instruction, spec) = (with.target(), call.how.instruction(), Some(spec));
                let request = SetActivityCalendarRequest { target, spec, instruction };
                client.set_activity_calendar(options.request(request)).await?
            }
            Self::SpecialDays(File { with, file, call }) => {
                let (target, instruction) = (with.target(), call.how.instruction());
                let request = SetSpecialDaysRequest { target, spec: Some(files::special_days(&file)?), instruction };
                client.set_special_days(options.request(request)).await?
            }
            Self::LoadProfile(of) => {
                let spec = Some(ConfigureLoadProfileSpec {
                    profile: of.profile.unwrap_or_default(),
                    capture_period: of.period.map(in_proto),
                    capture_objects: of.columns,
                    discard_rows: of.discard_rows,
                });
                let (target, instruction) = (of.with.target(), of.call.how.instruction());
                let request = ConfigureLoadProfileRequest { target, spec, instruction };
                client.configure_load_profile(options.request(request)).await?
            }
            Self::Push(of) => {
                let destination = of.to.map(|to| PushDestination {
                    transport: of.transport.into(),
                    address: to.into_bytes(),
                    message_type: of.message_type.into(),
                });
                let spec = Some(ConfigurePushSpec {
                    object: of.object.unwrap_or_default(),
                    version: of.class_version,
                    objects: of.columns,
                    destination,
                    randomisation: of.randomisation.map(in_proto),
                    retries: of.retries.map(u32::from),
                    repetition_delay: of.repetition_delay.map(in_proto),
                });
                let (target, instruction) = (of.with.target(), of.call.how.instruction());
                client.configure_push(options.request(ConfigurePushRequest { target, spec, instruction })).await?
            }
            Self::Template(_) => return Err(Failure::usage("templates are kept without a job")),
            Self::Apply(of) => {
                let (template, stored) = of.contents()?;
                let spec = Some(ApplyTemplateSpec { template, stored });
                let (target, instruction) = (of.with.target(), of.call.how.instruction());
                client.apply_template(options.request(ApplyTemplateRequest { target, spec, instruction })).await?
            }
            Self::Verify(of) => {
                let (template, stored) = of.contents()?;
                let spec = Some(VerifyConfigurationSpec { template, stored });
                let (target, instruction) = (of.with.target(), of.call.how.instruction());
                let request = VerifyConfigurationRequest { target, spec, instruction };
                client.verify_configuration(options.request(request)).await?
            }
        };
        Ok(answer.into_inner())
    }
}
