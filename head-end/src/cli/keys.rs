//! `head-end keys`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use dlms_proto::v1::{
    self, GetKeyStatusRequest, GetSigningKeyRequest, Instruction, KeyKind, KeyStatus, MessageProtection, MeterNames,
    MeterSelector, RecoverKeysRequest, RotateKeysRequest, RotateKeysSpec, SecurityResponse, SetSecurityPolicyRequest,
    SetSecurityPolicySpec, SigningKey, Target, meter_security_client::MeterSecurityClient, target, task_outcome,
};
use serde_json::{Value, json};

use super::{
    ClientOptions, Exit, Failure, Format, client,
    json::{object, text, time},
    meters, output,
};
use crate::config::{Span, TitleText};

/// Keys and security policies of meters, for security officers.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Show which keys of a meter are held, and since when; never the keys
    Status(Status),
    /// Renew keys
    Rotate(Rotate),
    /// Find out which keys meters have whose rotation broke off
    Recover(Recover),
    /// Make meters demand more protection
    Policy(Policy),
    /// Show the head-end's public key of digital signature, for meters that demand signatures
    Signing(Signing),
}

/// Show the head-end's public key of digital signature.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// Security suite: 1 or 2
    #[arg(long, value_name = "N")]
    suite: u32,
    /// System title that the certificate is to be for [default: the head-end's own]
    #[arg(long, value_name = "HEX")]
    client_title: Option<TitleText>,
    /// Write the certification request (PKCS#10, DER) into this file
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    #[command(flatten)]
    client: ClientOptions,
}

/// Show which keys of a meter are held.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    #[command(flatten)]
    client: ClientOptions,
}

/// Renew keys.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    of: Of,
    /// Which key; may be given more than once [default: encryption and authentication]
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<KeyName>,
    #[command(flatten)]
    client: ClientOptions,
}

/// Find out which keys meters have.
#[derive(Debug, Args)]
pub(super) struct Recover {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    client: ClientOptions,
}

/// Make meters demand more protection.
#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(flatten)]
    of: Of,
    /// Of requests; may be given more than once
    #[arg(long = "request", value_name = "PROTECTION", required_unless_present = "responses")]
    requests: Vec<ProtectionName>,
    /// Of responses; may be given more than once
    #[arg(long = "response", value_name = "PROTECTION")]
    responses: Vec<ProtectionName>,
    #[command(flatten)]
    client: ClientOptions,
}

/// Of which meters, until when, and why.
#[derive(Debug, Args)]
struct Of {
    /// The meters
    #[arg(value_parser = client::meter_name)]
    meters: Vec<String>,
    /// Those of this group
    #[arg(long, value_parser = client::group_name, conflicts_with = "meters")]
    group: Option<String>,
    /// Those with this label, KEY=VALUE; may be given more than once
    #[arg(long = "label", value_parser = meters::label, value_name = "KEY=VALUE", conflicts_with_all = ["meters", "group"])]
    labels: Vec<(String, String)>,
    /// How long it is tried
    #[arg(long, default_value = "1h", value_name = "TIME")]
    expires_in: Span,
    /// Why, for the audit log
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
}

/// A key on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KeyName {
    Encryption,
    Authentication,
    Broadcast,
    Master,
    Password,
}

/// A protection on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProtectionName {
    Authenticated,
    Encrypted,
    Signed,
}

impl KeyName {
    const fn kind(self) -> KeyKind {
        match self {
            Self::Encryption => KeyKind::Encryption,
            Self::Authentication => KeyKind::Authentication,
            Self::Broadcast => KeyKind::Broadcast,
            Self::Master => KeyKind::Master,
            Self::Password => KeyKind::Password,
        }
    }
}

fn protection(names: &[ProtectionName]) -> Option<MessageProtection> {
    Some(MessageProtection {
        authenticated: names.contains(&ProtectionName::Authenticated),
        encrypted: names.contains(&ProtectionName::Encrypted),
        signed: names.contains(&ProtectionName::Signed),
    })
}

impl Of {
    fn target(&self) -> Result<Option<Target>, Failure> {
        let kind = match (&self.meters[..], &self.group) {
            (_, Some(group)) => target::Kind::Group(group.clone()),
            ([], None) if self.labels.is_empty() => return Err(Failure::usage("name meters, a group or labels")),
            ([], None) => target::Kind::Selector(MeterSelector { labels: self.labels.iter().cloned().collect() }),
            ([meter], None) => target::Kind::Meter(meter.clone()),
            (meters, None) => target::Kind::Meters(MeterNames { meters: meters.to_vec() }),
        };
        Ok(Some(Target { kind: Some(kind) }))
    }

    fn instruction(&self) -> Option<Instruction> {
        let wait: Duration = self.expires_in.duration();
        let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let expires = jiff::Timestamp::now().as_second().saturating_add(seconds);
        Some(Instruction {
            request_id: uuid::Uuid::now_v7().to_string(),
            expires_at: Some(prost_types::Timestamp { seconds: expires, nanos: 0 }),
            reason: self.reason.clone(),
            ..Instruction::default()
        })
    }
}

impl Keys {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Status(command) => &command.client,
            Self::Rotate(command) => &command.client,
            Self::Recover(command) => &command.client,
            Self::Policy(command) => &command.client,
            Self::Signing(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let format = self.client().format;
        let mut security = MeterSecurityClient::new(self.client().connect().await?);
        let done = match self {
            Self::Status(command) => {
                let request = command.client.request(GetKeyStatusRequest { meter: command.meter });
                show_status(&security.get_key_status(request).await?.into_inner(), format);
                return Ok(Exit::Success);
            }
            Self::Signing(command) => {
                let title = command.client_title.map(|title| title.0.0.to_vec()).unwrap_or_default();
                let request = GetSigningKeyRequest { suite: command.suite, client_system_title: title };
                let key = security.get_signing_key(command.client.request(request)).await?.into_inner();
                if let Some(path) = &command.request {
                    std::fs::write(path, &key.certification_request)
                        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
                }
                show_signing(&key, format);
                return Ok(Exit::Success);
            }
            Self::Rotate(command) => {
                let keys = command.keys.iter().map(|key| key.kind().into()).collect();
                let spec = Some(RotateKeysSpec { keys, ..Default::default() });
                let (target, instruction) = (command.of.target()?, command.of.instruction());
                let request = RotateKeysRequest { target, spec, instruction };
                security.rotate_keys(command.client.request(request)).await?
            }
            Self::Recover(command) => {
                let (target, instruction) = (command.of.target()?, command.of.instruction());
                security.recover_keys(command.client.request(RecoverKeysRequest { target, instruction })).await?
            }
            Self::Policy(command) => {
                let (request, response) = (protection(&command.requests), protection(&command.responses));
                let spec = Some(SetSecurityPolicySpec { request, response, ..Default::default() });
                let (target, instruction) = (command.of.target()?, command.of.instruction());
                let request = SetSecurityPolicyRequest { target, spec, instruction };
                security.set_security_policy(command.client.request(request)).await?
            }
        };
        Ok(show(&done.into_inner(), format))
    }
}

fn show(done: &SecurityResponse, format: Format) -> Exit {
    let job = done.job.as_ref().map(|job| job.name.as_str()).unwrap_or_default();
    let Some(task) = &done.task else {
        match format {
            Format::Json => output::print_json(&json!({ "job": job })),
            Format::Table => output::print(job),
        }
        return Exit::Success;
    };
    let outcome = match task.outcome.as_ref().and_then(|outcome| outcome.kind.as_ref()) {
        Some(task_outcome::Kind::Keys(of)) => {
            format!("{} keys", of.state().as_str_name().trim_start_matches("STATE_").to_lowercase())
        }
        Some(task_outcome::Kind::Policy(of)) => {
            let shown = |of: Option<&MessageProtection>| {
                let of = of.copied().unwrap_or_default();
                let names = [("authenticated", of.authenticated), ("encrypted", of.encrypted), ("signed", of.signed)];
                names.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect::<Vec<_>>().join("+")
            };
            format!("requests {}, responses {}", shown(of.request.as_ref()), shown(of.response.as_ref()))
        }
        _ => output::failure_text(task.failure.as_ref()),
    };
    let result = output::result_name(task.result);
    match format {
        Format::Json => output::print_json(&json!({
            "job": job, "meter": task.meter, "result": result, "outcome": outcome,
        })),
        Format::Table => output::print(format_args!("{} {result} {outcome}", task.meter)),
    }
    Exit::of(task.result() == v1::Result::Succeeded)
}

fn show_signing(of: &SigningKey, format: Format) {
    let (title, key) = (hex::encode_upper(&of.system_title), hex::encode_upper(&of.public_key));
    match format {
        Format::Json => output::print_json(&json!({
            "suite": of.suite,
            "system_title": title,
            "public_key": key,
            "certification_request": hex::encode_upper(&of.certification_request),
        })),
        Format::Table => output::print(format_args!("suite {}, system title {title}, public key {key}", of.suite)),
    }
}

fn show_status(of: &KeyStatus, format: Format) {
    let name = |key: KeyKind| key.as_str_name().trim_start_matches("KEY_KIND_").to_owned();
    match format {
        Format::Json => {
            let key = |key: &v1::KeyState| -> Value {
                object([
                    ("key", json!(name(key.key()))),
                    ("active_since", time(key.active_since.as_ref())),
                    ("new_since", time(key.new_since.as_ref())),
                ])
            };
            let keys: Vec<_> = of.keys.iter().map(key).collect();
            output::print_json(&object([
                ("meter", json!(of.meter)),
                ("keys", json!(keys)),
                ("rotation", text(&of.rotation)),
                ("confirmed", json!(of.confirmed)),
            ]));
        }
        Format::Table => {
            let mut table = output::table(&["KEY", "IN USE SINCE (UTC)", "NEW ONE MADE (UTC)"]);
            for key in &of.keys {
                let moment = |time: Option<&prost_types::Timestamp>| output::time_text(time);
                table.add_row([name(key.key()), moment(key.active_since.as_ref()), moment(key.new_since.as_ref())]);
            }
            output::print_table(&table);
        }
    }
}
