//! `head-end meters commission`, `decommission` and `set-status`.

use clap::{Args, ValueEnum};
use dlms_proto::v1::{
    CommissionRequest, CommissionSpec, ConfigurationTemplate, DecommissionRequest, DecommissionSpec, LifecycleStatus,
    RegisterSelector, RotateKeysSpec, SetLifecycleStatusRequest, SynchronizeClockSpec,
};
use tonic::Request;

use crate::cli::{
    ClientOptions, Exit, Failure, client,
    config::files,
    instruct::{self, How, With},
    read,
};

/// Take meters into service.
#[derive(Debug, Args)]
pub(in crate::cli) struct Commission {
    #[command(flatten)]
    with: With,
    /// Use keys although nothing is registered that the meter could be known by
    #[arg(long)]
    trust_unidentified: bool,
    /// The meter has no public client that could ask who is there
    #[arg(long)]
    without_public_client: bool,
    /// Renew encryption and authentication key, for security officers
    #[arg(long)]
    rotate_keys: bool,
    /// Set the clock, where it is off
    #[arg(long)]
    set_clock: bool,
    /// Bring attributes to the values of this template
    #[arg(long, value_name = "FILE")]
    template: Option<std::path::PathBuf>,
    /// Register of the first reading; may be given more than once [default: 1-0:1.8.0]
    #[arg(long = "read", value_parser = read::selector, value_name = "OBIS")]
    registers: Vec<RegisterSelector>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// Take meters out of service.
#[derive(Debug, Args)]
pub(in crate::cli) struct Decommission {
    #[command(flatten)]
    with: With,
    /// Register of the last reading; may be given more than once
    #[arg(long = "read", value_parser = read::selector, value_name = "OBIS")]
    registers: Vec<RegisterSelector>,
    /// Profile that is read last, such as 0-0:98.1.0
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    /// Destroy the keys, for security officers
    #[arg(long)]
    destroy_keys: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Commission {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let template: Option<ConfigurationTemplate> = self.template.as_deref().map(files::template).transpose()?;
        let spec = Some(CommissionSpec {
            trust_unidentified: self.trust_unidentified,
            without_public_client: self.without_public_client,
            rotate_keys: self.rotate_keys.then(RotateKeysSpec::default),
            clock: self.set_clock.then(SynchronizeClockSpec::default),
            push: None,
            template,
            registers: self.registers,
        });
        let (target, instruction) = (self.with.target(), self.how.instruction());
        let mut registry = self.client.registry().await?;
        let request = CommissionRequest { target, spec, instruction };
        let answer = registry.commission(self.client.request(request)).await?.into_inner();
        instruct::conclude(&self.client, answer).await
    }
}

impl Decommission {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (registers, profile) = (self.registers, self.profile.unwrap_or_default());
        let spec = Some(DecommissionSpec { registers, profile, destroy_keys: self.destroy_keys });
        let (target, instruction) = (self.with.target(), self.how.instruction());
        let mut registry = self.client.registry().await?;
        let request = DecommissionRequest { target, spec, instruction };
        let answer = registry.decommission(self.client.request(request)).await?.into_inner();
        instruct::conclude(&self.client, answer).await
    }
}

/// Suspend a meter, let it go on, or take it out of service.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetStatus {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// How it is to be; commissioned only where it was before
    #[arg(value_enum)]
    status: Status,
    /// Only if this is its etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Why, for the audit log
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// A lifecycle status on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Registered,
    Commissioned,
    Suspended,
    Decommissioned,
}

impl SetStatus {
    pub(super) fn request(self) -> Request<SetLifecycleStatusRequest> {
        let status = match self.status {
            Status::Registered => LifecycleStatus::Registered,
            Status::Commissioned => LifecycleStatus::Commissioned,
            Status::Suspended => LifecycleStatus::Suspended,
            Status::Decommissioned => LifecycleStatus::Decommissioned,
        };
        self.client.request(SetLifecycleStatusRequest {
            name: self.meter,
            status: status.into(),
            etag: self.etag,
            request_id: uuid::Uuid::now_v7().to_string(),
            reason: self.reason,
        })
    }
}
