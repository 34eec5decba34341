//! `head-end supply`, `limits` and `reset-demand`: the service Control.

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    self, ArmForReconnectionRequest, ArmForReconnectionSpec, ControlResponse, DisconnectSupplyRequest,
    DisconnectSupplySpec, GetSupplyStatusRequest, GetSupplyStatusSpec, JobResponse, ReconnectSupplyRequest,
    ReconnectSupplySpec, RegisterSelector, ResetDemandRequest, ResetDemandSpec, SetEmergencyLoadLimitRequest,
    SetEmergencyLoadLimitSpec, SetLoadLimitRequest, SetLoadLimitSpec, SwitchAuxiliaryLoadRequest,
    SwitchAuxiliaryLoadSpec, Task, TaskOutcome, TaskState, control_client::ControlClient, task_outcome::Kind,
};
use jiff::Timestamp;

use super::{
    ClientOptions, Exit, Failure, client,
    instruct::{self, How, With},
    moment, read,
};
use crate::{api::to_timestamp, config::Span};

/// Switch supplies and loads.
#[derive(Debug, Subcommand)]
pub(super) enum Supply {
    /// Take supply away; guarded by approval, rates and the label protected-customer
    Disconnect(Switch),
    /// Give supply back
    Reconnect(Switch),
    /// Let somebody at the meter give supply back
    Arm(Look),
    /// Read the state of a supply
    Status(Look),
    /// Switch the relay of an auxiliary load, such as a boiler
    Load(Load),
}

/// Switch a supply.
#[derive(Debug, Args)]
pub(super) struct Switch {
    #[command(flatten)]
    with: With,
    /// Register to read right before; may be given more than once. Where one cannot be read, nothing is switched
    #[arg(long = "read", value_parser = read::selector, value_name = "OBIS")]
    registers: Vec<RegisterSelector>,
    #[command(flatten)]
    of: Object,
}

/// Look at a supply, or arm it.
#[derive(Debug, Args)]
pub(super) struct Look {
    #[command(flatten)]
    with: With,
    #[command(flatten)]
    of: Object,
}

/// The object, and how it is to be done.
#[derive(Debug, Args)]
struct Object {
    /// The disconnect control object [default: 0-0:96.3.10]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    object: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    client: ClientOptions,
}

/// Switch an auxiliary load.
#[derive(Debug, Args)]
pub(super) struct Load {
    #[command(flatten)]
    with: With,
    /// Number of the relay: the object 0-N:96.3.10
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    relay: u32,
    /// Whether it is to be on
    #[arg(long, value_enum)]
    to: OnOff,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OnOff {
    On,
    Off,
}

/// Set load limits.
#[derive(Debug, Subcommand)]
pub(super) enum Limits {
    /// Set the threshold of a limiter
    Set(SetLimit),
    /// Set the limit of an emergency
    Emergency(Emergency),
}

/// Set the threshold of a limiter.
#[derive(Debug, Args)]
pub(super) struct SetLimit {
    #[command(flatten)]
    with: With,
    /// The threshold in the monitored value's own numbers, before its scaler: W as a rule
    #[arg(long, allow_negative_numbers = true)]
    threshold: i64,
    /// How long over it before the meter acts [default: as it is]
    #[arg(long, value_name = "TIME")]
    over: Option<Span>,
    /// How long under it before the meter acts [default: as it is]
    #[arg(long, value_name = "TIME")]
    under: Option<Span>,
    #[command(flatten)]
    of: Limiter,
}

/// Set the limit of an emergency.
#[derive(Debug, Args)]
pub(super) struct Emergency {
    #[command(flatten)]
    with: With,
    /// The threshold as long as the emergency lasts
    #[arg(long, allow_negative_numbers = true)]
    threshold: i64,
    /// Identifier of the emergency, to which the meters must belong
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=65535))]
    emergency: u32,
    /// When it begins
    #[arg(long, default_value = "now", value_parser = moment::parse, value_name = "MOMENT")]
    begin: Timestamp,
    /// How long it lasts
    #[arg(long, value_name = "TIME")]
    duration: Span,
    #[command(flatten)]
    of: Limiter,
}

/// The limiter, and how it is to be done.
#[derive(Debug, Args)]
struct Limiter {
    /// The limiter [default: 0-0:17.0.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    object: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    client: ClientOptions,
}

/// End the billing period, and with it reset the demand registers.
#[derive(Debug, Args)]
pub(super) struct ResetDemand {
    #[command(flatten)]
    with: With,
    /// The script table [default: 0-0:10.0.1]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    script_table: Option<String>,
    /// The script
    #[arg(long, default_value_t = 1)]
    script: u16,
    /// The billing profile, which has one more entry afterwards [default: 0-0:98.1.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// As the API takes it, which refuses parts of a second where it counts in seconds.
pub(super) fn in_proto(span: Span) -> prost_types::Duration {
    let span = span.duration();
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or_default(),
    }
}

/// The answer in the form of other jobs.
fn job(of: ControlResponse) -> JobResponse {
    let task = of.task.map(|task| {
        let kind = match task.supply {
            Some(supply) => Some(Kind::Supply(supply)),
            None if task.attributes.is_empty() => None,
            None => Some(Kind::Attributes(v1::AttributeResults { results: task.attributes })),
        };
        let goes_on = task.result == v1::Result::Unspecified as i32;
        let state = if goes_on { TaskState::Running } else { TaskState::Ended };
        Task {
            meter: task.meter,
            state: state.into(),
            result: task.result,
            failure: task.failure,
            outcome: kind.map(|kind| TaskOutcome { kind: Some(kind) }),
            ..Task::default()
        }
    });
    JobResponse { job: of.job, task }
}

impl Supply {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Disconnect(command) | Self::Reconnect(command) => &command.of.client,
            Self::Arm(command) | Self::Status(command) => &command.of.client,
            Self::Load(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.client().clone();
        let mut control = ControlClient::new(options.connect().await?);
        let answer = match self {
            Self::Disconnect(Switch { with, registers, of }) => {
                let spec = Some(DisconnectSupplySpec { object: of.object.unwrap_or_default(), registers });
                let (target, instruction) = (with.target(), of.how.instruction());
                control
                    .disconnect_supply(options.request(DisconnectSupplyRequest { target, spec, instruction }))
                    .await?
            }
            Self::Reconnect(Switch { with, registers, of }) => {
                let spec = Some(ReconnectSupplySpec { object: of.object.unwrap_or_default(), registers });
                let (target, instruction) = (with.target(), of.how.instruction());
                control.reconnect_supply(options.request(ReconnectSupplyRequest { target, spec, instruction })).await?
            }
            Self::Arm(Look { with, of }) => {
                let spec = Some(ArmForReconnectionSpec { object: of.object.unwrap_or_default() });
                let (target, instruction) = (with.target(), of.how.instruction());
                let request = ArmForReconnectionRequest { target, spec, instruction };
                control.arm_for_reconnection(options.request(request)).await?
            }
            Self::Status(Look { with, of }) => {
                let spec = Some(GetSupplyStatusSpec { object: of.object.unwrap_or_default() });
                let (target, instruction) = (with.target(), of.how.instruction());
                control.get_supply_status(options.request(GetSupplyStatusRequest { target, spec, instruction })).await?
            }
            Self::Load(of) => {
                let spec = Some(SwitchAuxiliaryLoadSpec { relay: of.relay, on: of.to == OnOff::On });
                let (target, instruction) = (of.with.target(), of.how.instruction());
                let request = SwitchAuxiliaryLoadRequest { target, spec, instruction };
                control.switch_auxiliary_load(options.request(request)).await?
            }
        };
        instruct::conclude(&options, job(answer.into_inner())).await
    }
}

impl Limits {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Set(command) => &command.of.client,
            Self::Emergency(command) => &command.of.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.client().clone();
        let mut control = ControlClient::new(options.connect().await?);
        let answer = match self {
            Self::Set(SetLimit { with, threshold, over, under, of }) => {
                let spec = Some(SetLoadLimitSpec {
                    object: of.object.unwrap_or_default(),
                    threshold,
                    min_over_duration: over.map(in_proto),
                    min_under_duration: under.map(in_proto),
                });
                let (target, instruction) = (with.target(), of.how.instruction());
                control.set_load_limit(options.request(SetLoadLimitRequest { target, spec, instruction })).await?
            }
            Self::Emergency(Emergency { with, threshold, emergency, begin, duration, of }) => {
                let spec = Some(SetEmergencyLoadLimitSpec {
                    object: of.object.unwrap_or_default(),
                    threshold,
                    emergency,
                    begin_time: Some(to_timestamp(begin)),
                    duration: Some(in_proto(duration)),
                });
                let (target, instruction) = (with.target(), of.how.instruction());
                let request = SetEmergencyLoadLimitRequest { target, spec, instruction };
                control.set_emergency_load_limit(options.request(request)).await?
            }
        };
        instruct::conclude(&options, job(answer.into_inner())).await
    }
}

impl ResetDemand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.client.clone();
        let mut control = ControlClient::new(options.connect().await?);
        let spec = Some(ResetDemandSpec {
            script_table: self.script_table.unwrap_or_default(),
            script: self.script.into(),
            profile: self.profile.unwrap_or_default(),
        });
        let (target, instruction) = (self.with.target(), self.how.instruction());
        let answer = control.reset_demand(options.request(ResetDemandRequest { target, spec, instruction })).await?;
        instruct::conclude(&options, job(answer.into_inner())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_are_not_cut_off() {
        let of = |text: &str| in_proto(text.parse().unwrap());
        assert_eq!(of("500ms"), prost_types::Duration { seconds: 0, nanos: 500_000_000 });
        assert_eq!(of("2m"), prost_types::Duration { seconds: 120, nanos: 0 });
    }
}
