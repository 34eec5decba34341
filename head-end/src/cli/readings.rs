//! `head-end readings`.

use clap::Args;
use dlms_proto::v1::{Capture, QueryReadingsRequest};
use jiff::Timestamp;

use super::{ClientOptions, Exit, Failure, Format, client, json, moment, output, value};
use crate::api::to_timestamp;

/// Show readings from the store. JSON is one object a line.
#[derive(Debug, Args)]
pub(super) struct Readings {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Only rows of this profile
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    /// Only registers that were read by themselves
    #[arg(long, conflicts_with = "profile")]
    registers: bool,
    /// Only readings of this object; may be given more than once
    #[arg(long = "object", value_parser = client::obis, value_name = "OBIS")]
    objects: Vec<String>,
    /// First moment: 2026-11-21T10:00:00Z, 2026-11-21 (local), yesterday, 24h (ago)
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Option<Timestamp>,
    /// First moment that is no longer wanted
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    to: Option<Timestamp>,
    /// All revisions and not only the latest
    #[arg(long)]
    all_revisions: bool,
    /// At most so many captures
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
    limit: u64,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Readings {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut data = self.client.data().await?;
        let request = QueryReadingsRequest {
            meter: self.meter,
            profile: self.profile.unwrap_or_default(),
            registers_only: self.registers,
            from: self.from.map(to_timestamp),
            to: self.to.map(to_timestamp),
            objects: self.objects,
            all_revisions: self.all_revisions,
            limit: self.limit,
        };
        let mut pages = data.query_readings(self.client.request(request)).await?.into_inner();
        let mut table = output::table(&["CAPTURED (UTC)", "PROFILE", "OBIS", "VALUE", "REV", "STATUS"]);
        while let Some(page) = pages.message().await? {
            for capture in &page.captures {
                match self.client.format {
                    Format::Json => output::print_json(&json::capture(capture)),
                    Format::Table => add_rows(&mut table, capture),
                }
            }
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::Success)
    }
}

fn add_rows(table: &mut comfy_table::Table, capture: &Capture) {
    for reading in &capture.readings {
        table.add_row([
            output::time_text(capture.capture_time.as_ref()),
            capture.profile.clone(),
            reading.obis.clone(),
            value::show_channel(reading),
            capture.revision.to_string(),
            capture.status.map(|status| format!("{status:#X}")).unwrap_or_default(),
        ]);
    }
}
