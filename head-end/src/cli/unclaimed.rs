//! `head-end unclaimed`.

use clap::{Args, Subcommand};
use dlms_proto::v1::{self, ClaimUnclaimedDeviceRequest, ListUnclaimedDevicesRequest};
use serde_json::{Value, json};

use super::{
    ClientOptions, Exit, Failure, Format,
    json::{object, text, time},
    output,
};

/// Devices that push or send telegrams, and that no meter is registered for.
#[derive(Debug, Subcommand)]
pub(super) enum Unclaimed {
    /// Show them
    List(List),
    /// Make a meter of one, with the settings of another meter and keys of its own
    Claim(Box<Claim>),
}

/// Show devices that were heard and that no meter is registered for.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    client: ClientOptions,
}

/// Make a meter of an unknown device.
#[derive(Debug, Args)]
pub(super) struct Claim {
    /// The device: its system title, the address that it pushes from in clear, or `equipment-` and the identifier in its
    /// telegrams
    device: String,
    /// Name of the new meter
    meter: String,
    #[command(flatten)]
    settings: super::meters::Settings,
    #[command(flatten)]
    client: ClientOptions,
}

impl Unclaimed {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::List(command) => &command.client,
            Self::Claim(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::List(command) => command.run().await,
            Self::Claim(command) => {
                let Claim { device, meter, settings, client } = *command;
                let request = ClaimUnclaimedDeviceRequest {
                    name: format!("unclaimedDevices/{device}"),
                    meter_id: meter,
                    meter: Some(settings.meter(None)?),
                    request_id: uuid::Uuid::now_v7().to_string(),
                };
                let meter = client.registry().await?.claim_unclaimed_device(client.request(request)).await?;
                match client.format {
                    Format::Json => output::print_json(&super::json::meter(meter.get_ref())),
                    Format::Table => output::print(&meter.get_ref().name),
                }
                Ok(Exit::Success)
            }
        }
    }
}

impl List {
    async fn run(self) -> Result<Exit, Failure> {
        let mut registry = self.client.registry().await?;
        let mut table = output::table(&["DEVICE", "FROM", "FIRST SEEN (UTC)", "LAST SEEN (UTC)", "TIMES"]);
        let mut page_token = String::new();
        loop {
            let request = ListUnclaimedDevicesRequest { page_size: 1_000, page_token };
            let page = registry.list_unclaimed_devices(self.client.request(request)).await?.into_inner();
            for device in &page.devices {
                match self.client.format {
                    Format::Json => output::print_json(&to_json(device)),
                    Format::Table => {
                        table.add_row([
                            device.name.trim_start_matches("unclaimedDevices/").to_owned(),
                            device.source.clone(),
                            output::time_text(device.first_seen_time.as_ref()),
                            output::time_text(device.last_seen_time.as_ref()),
                            device.count.to_string(),
                        ]);
                    }
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::Success)
    }
}

fn to_json(of: &v1::UnclaimedDevice) -> Value {
    object([
        ("name", json!(of.name)),
        ("system_title", text(&hex::encode_upper(&of.system_title))),
        ("equipment_id", text(&of.equipment_id)),
        ("logical_device_name", text(&of.logical_device_name)),
        ("source", text(&of.source)),
        ("first_seen_time", time(of.first_seen_time.as_ref())),
        ("last_seen_time", time(of.last_seen_time.as_ref())),
        ("count", json!(of.count)),
    ])
}
