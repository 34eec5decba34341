//! `head-end meters`.

mod import;
mod lifecycle;
mod settings;

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    CreateMeterRequest, DeleteMeterRequest, GetMeterRequest, ListMetersRequest, Meter, UpdateMeterRequest,
};
use serde_json::{Value, json};

pub(in crate::cli) use self::settings::Settings;
pub(super) use self::settings::label;
use super::{ClientOptions, Exit, Failure, Format, client, json, output};

/// Register, show and change meters.
#[derive(Debug, Subcommand)]
pub(super) enum Meters {
    /// Register a meter
    Add(Add),
    /// Register the meters of a shipment file
    Import(import::Import),
    /// List meters
    List(List),
    /// Show a meter
    Show(Show),
    /// Change a meter; only what is given changes
    Update(Update),
    /// Take meters into service
    Commission(Box<lifecycle::Commission>),
    /// Take meters out of service
    Decommission(lifecycle::Decommission),
    /// Suspend a meter, let it go on, or take it out of service
    SetStatus(lifecycle::SetStatus),
    /// Remove a meter; its readings stay
    Delete(Delete),
}

/// Register a meter.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its name here: 1 to 63 characters of A-Z a-z 0-9 . _ ~ -
    #[arg(value_parser = client::meter_name)]
    meter: String,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    client: ClientOptions,
}

/// List meters.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only meters with this label, KEY=VALUE; may be given more than once
    #[arg(long = "label", value_parser = settings::label, value_name = "KEY=VALUE")]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    client: ClientOptions,
}

/// Show a meter.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    #[command(flatten)]
    client: ClientOptions,
}

/// Change a meter.
#[derive(Debug, Args)]
pub(super) struct Update {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Only if this is its etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// A field to set back, such as security or timeouts.idle; may be given more than once
    #[arg(long = "clear", value_name = "FIELD")]
    clear: Vec<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    client: ClientOptions,
}

/// Remove a meter.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Only if this is its etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    #[command(flatten)]
    client: ClientOptions,
}

impl Meters {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::Add(command) => &command.client,
            Self::Import(command) => &command.client,
            Self::List(command) => &command.client,
            Self::Show(command) => &command.client,
            Self::Update(command) => &command.client,
            Self::Commission(command) => &command.client,
            Self::Decommission(command) => &command.client,
            Self::SetStatus(command) => &command.client,
            Self::Delete(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Import(command) => command.run().await,
            Self::Commission(command) => command.run().await,
            Self::Decommission(command) => command.run().await,
            other => other.registered().await,
        }
    }

    /// Changes and shows what is registered.
    async fn registered(self) -> Result<Exit, Failure> {
        let format = self.client().format;
        let mut registry = self.client().registry().await?;
        match self {
            Self::Add(command) => {
                let mut meter = command.settings.meter(None)?;
                meter.name = command.meter;
                let request = CreateMeterRequest { meter: Some(meter), ..Default::default() };
                let meter = registry.create_meter(command.client.request(request)).await?.into_inner();
                show(&meter, format);
            }
            // They are no matter of the registry alone.
            Self::Import(_) | Self::Commission(_) | Self::Decommission(_) => {}
            Self::List(command) => {
                let mut request = ListMetersRequest {
                    labels: command.labels.into_iter().collect(),
                    page_size: 1000,
                    ..Default::default()
                };
                let mut meters = Vec::new();
                loop {
                    let page = registry.list_meters(command.client.request(request.clone())).await?.into_inner();
                    meters.extend(page.meters);
                    if page.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = page.next_page_token;
                }
                list(&meters, format);
            }
            Self::Show(command) => {
                let request = GetMeterRequest { name: command.meter };
                show(&registry.get_meter(command.client.request(request)).await?.into_inner(), format);
            }
            Self::Update(command) => {
                let request = GetMeterRequest { name: command.meter.clone() };
                let current = registry.get_meter(command.client.request(request)).await?.into_inner();
                let mut meter = command.settings.meter(Some(&current))?;
                let mut paths = command.settings.paths();
                paths.extend(command.clear);
                if paths.is_empty() {
                    return Err(Failure::usage("nothing to change was given"));
                }
                meter.name = command.meter;
                // What the new settings were made from must still be there.
                meter.etag = if command.etag.is_empty() { current.etag } else { command.etag };
                let request = UpdateMeterRequest {
                    meter: Some(meter),
                    update_mask: Some(prost_types::FieldMask { paths }),
                    ..Default::default()
                };
                show(&registry.update_meter(command.client.request(request)).await?.into_inner(), format);
            }
            Self::SetStatus(command) => {
                show(&registry.set_lifecycle_status(command.request()).await?.into_inner(), format);
            }
            Self::Delete(command) => {
                let request =
                    DeleteMeterRequest { name: command.meter.clone(), etag: command.etag, ..Default::default() };
                registry.delete_meter(command.client.request(request)).await?;
                match format {
                    Format::Json => output::print_json(&json!({ "deleted": command.meter })),
                    Format::Table => output::print(format_args!("{} deleted", command.meter)),
                }
            }
        }
        Ok(Exit::Success)
    }
}

fn list(meters: &[Meter], format: Format) {
    match format {
        Format::Json => output::print_json(&Value::Array(meters.iter().map(json::meter).collect())),
        Format::Table => {
            let mut table =
                output::table(&["METER", "LINK", "CLIENT", "SERVER", "AUTHENTICATION", "CIPHERED", "LABELS"]);
            for meter in meters {
                let labels = meter.labels.iter().map(|(key, value)| format!("{key}={value}"));
                let of = json::meter(meter);
                let text = |pointer: &str| of.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                let end = [text("/link/address"), text("/link/device")].concat();
                table.add_row([
                    meter.name.trim_start_matches("meters/").to_owned(),
                    format!("{} {end}", text("/link/kind")),
                    meter.client_sap.to_string(),
                    meter.server_sap.to_string(),
                    text("/authentication/mechanism"),
                    text("/security/policy"),
                    labels.collect::<Vec<_>>().join(" "),
                ]);
            }
            output::print_table(&table);
        }
    }
}

fn show(meter: &Meter, format: Format) {
    let of = json::meter(meter);
    match format {
        Format::Json => output::print_json(&of),
        Format::Table => {
            let mut table = output::table(&["FIELD", "VALUE"]);
            if let Value::Object(fields) = &of {
                for (field, value) in fields {
                    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                    table.add_row([field.clone(), text]);
                }
            }
            output::print_table(&table);
        }
    }
}
