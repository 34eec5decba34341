//! `head-end readings` and `latest`.

use clap::Args;
use dlms_proto::v1::{Capture, GetLatestReadingsRequest, QueryReadingsRequest};
use jiff::Timestamp;

use serde_json::json;

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

/// Show the newest readings of meters from the store. JSON is one object a line.
#[derive(Debug, Args)]
pub(super) struct Latest {
    /// Meters
    #[arg(required = true, value_parser = client::meter_name, value_name = "METER")]
    meters: Vec<String>,
    /// Rows of this profile, instead of registers that were read by themselves
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    /// The newest value of this object; may be given more than once
    #[arg(long = "object", value_parser = client::obis, value_name = "OBIS")]
    objects: Vec<String>,
    /// Only what was captured before this moment [default: now]
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    before: Option<Timestamp>,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Latest {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut data = self.client.data().await?;
        let request = GetLatestReadingsRequest {
            meters: self.meters,
            profile: self.profile.unwrap_or_default(),
            objects: self.objects,
            before: self.before.map(to_timestamp),
        };
        let response = data.get_latest_readings(self.client.request(request)).await?.into_inner();
        let mut table = output::table(&["METER", "CAPTURED (UTC)", "OBIS", "VALUE"]);
        for of in &response.meters {
            if self.client.format == Format::Json {
                let captures: Vec<_> = of.captures.iter().map(json::capture).collect();
                output::print_json(&json!({ "meter": of.meter, "captures": captures, "missing": of.missing }));
                continue;
            }
            let meter = of.meter.trim_start_matches("meters/");
            for capture in &of.captures {
                for reading in &capture.readings {
                    let time = output::time_text(capture.capture_time.as_ref());
                    table.add_row([meter.to_owned(), time, reading.obis.clone(), value::show_channel(reading)]);
                }
            }
            for obis in &of.missing {
                table.add_row([meter.to_owned(), String::new(), obis.clone(), "no reading".to_owned()]);
            }
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::Success)
    }
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
