//! `head-end meters import`.

use std::{io::Read, path::PathBuf};

use clap::{Args, ValueEnum};
use dlms_proto::v1::{
    ImportCounts, ImportError, ImportErrorReason, ImportMetersRequest, ImportNaming, ImportOptions,
    import_meters_request::Part,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{
    super::{ClientOptions, Exit, Failure, Format, output},
    settings::{label, secret_hex},
};

/// Octets that are sent together.
const CHUNK: usize = 64 * 1024;
/// Chunks that wait to be sent.
const AHEAD: usize = 8;

/// Register the meters of a shipment file.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The shipment file; `-` for standard input
    file: PathBuf,
    /// Check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The key under which the file's keys are wrapped: hexadecimal digits, or @FILE
    #[arg(long, env = "HEADEND_TRANSPORT_KEY", hide_env_values = true, value_name = "HEX")]
    transport_key: Option<String>,
    /// Whose meters they are
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TENANT")]
    tenant: String,
    /// Label that each gets, KEY=VALUE; may be given more than once
    #[arg(long = "label", value_parser = label, value_name = "KEY=VALUE")]
    labels: Vec<(String, String)>,
    /// Name of the client to associate as [default: the strongest that can be used]
    #[arg(long = "client", default_value = "", hide_default_value = true, value_name = "NAME")]
    client_name: String,
    /// The link to use, such as hdlc-tcp [default: the first]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "LINK")]
    link: String,
    /// What the meters are named by
    #[arg(long, default_value = "serial-number")]
    name_by: NameBy,
    /// Change meters that are registered with other settings; their keys are never changed
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// What meters are named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NameBy {
    SerialNumber,
    LogicalDeviceName,
    SystemTitle,
}

impl Import {
    fn options(&self) -> Result<ImportOptions, Failure> {
        let naming = match self.name_by {
            NameBy::SerialNumber => ImportNaming::SerialNumber,
            NameBy::LogicalDeviceName => ImportNaming::LogicalDeviceName,
            NameBy::SystemTitle => ImportNaming::SystemTitle,
        };
        let transport_key = self.transport_key.as_deref().map(|key| secret_hex("--transport-key", key)).transpose()?;
        Ok(ImportOptions {
            dry_run: self.dry_run,
            transport_key: transport_key.unwrap_or_default(),
            tenant: self.tenant.clone(),
            labels: self.labels.iter().cloned().collect(),
            client: self.client_name.clone(),
            link: self.link.clone(),
            naming: naming.into(),
            update_existing: self.update,
        })
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let options = self.options()?;
        let mut file: Box<dyn Read + Send> = match self.file.to_str() {
            Some("-") => Box::new(std::io::stdin()),
            _ => {
                let file = std::fs::File::open(&self.file);
                let told = |error| Failure::usage(format!("cannot read {}: {error}", self.file.display()));
                Box::new(file.map_err(told)?)
            }
        };
        let mut registry = self.client.registry().await?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        // On a thread of its own: a pipe may keep it waiting.
        let reading = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            let mut part = Part::Options(options);
            let mut room = Zeroizing::new(vec![0; CHUNK]);
            while sender.blocking_send(ImportMetersRequest { part: Some(part) }).is_ok() {
                match file.read(&mut room)? {
                    0 => break,
                    octets => part = Part::Chunk(room.get(..octets).unwrap_or_default().to_vec()),
                }
            }
            Ok(())
        });
        let requests = stream::unfold(receiver, async |mut receiver| {
            let request = receiver.recv().await?;
            Some((request, receiver))
        });
        // However long it takes: it goes on as long as the head-end answers.
        let mut answers = registry.import_meters(self.client.patient(requests)).await?.into_inner();
        let mut counts = ImportCounts::default();
        while let Some(answer) = answers.message().await? {
            for error in &answer.errors {
                refused(error, self.client.format);
            }
            counts = answer.counts.unwrap_or(counts);
        }
        if let Ok(Err(error)) = reading.await {
            return Err(Failure::usage(format!("cannot read {}: {error}", self.file.display())));
        }
        total(&counts, self.dry_run, self.client.format);
        Ok(Exit::of(counts.refused == 0))
    }
}

fn refused(error: &ImportError, format: Format) {
    match format {
        Format::Json => {
            let reason = ImportErrorReason::try_from(error.reason).unwrap_or_default().as_str_name();
            output::print_json(&json!({
                "line": error.line,
                "meter": Value::from(error.meter.as_str()),
                "field": error.field,
                "problem": error.problem,
                "reason": reason.trim_start_matches("IMPORT_ERROR_REASON_"),
            }));
        }
        Format::Table => {
            let field = if error.field.is_empty() { String::new() } else { format!("{}: ", error.field) };
            output::note(format_args!("line {}: {field}{}", error.line, error.problem));
        }
    }
}

fn total(counts: &ImportCounts, dry_run: bool, format: Format) {
    let ImportCounts { lines, created, updated, unchanged, refused } = counts;
    match format {
        Format::Json => output::print_json(&json!({
            "lines": lines, "created": created, "updated": updated, "unchanged": unchanged, "refused": refused,
            "dry_run": dry_run,
        })),
        Format::Table => {
            let what = if dry_run { " (nothing was changed)" } else { "" };
            output::print(format_args!(
                "{lines} meters: {created} new, {updated} changed, {unchanged} as before, {refused} refused{what}"
            ));
        }
    }
}
