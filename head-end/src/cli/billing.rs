//! `head-end billing`.

use clap::Args;
use dlms_proto::v1::{ReadBillingPeriodRequest, read_billing_period_request::Period};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ClientOptions, Exit, Failure, Format, client, json, moment, output, value};
use crate::api::to_timestamp;

/// Read the values of a billing period of a meter now.
#[derive(Debug, Args)]
pub(super) struct Billing {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Which period, counted back from the last one that has ended
    #[arg(long, default_value_t = 1, value_name = "N")]
    back: u32,
    /// Instead: the period that this moment lies in, such as 2026-11-21 (local)
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT", conflicts_with = "back")]
    at: Option<Timestamp>,
    /// OBIS code of the billing profile [default: the meter's, as far as its objects are known, else 0-0:98.1.0]
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Billing {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let period = self.at.map_or(Period::Back(self.back), |at| Period::At(to_timestamp(at)));
        let profile = self.profile.unwrap_or_default();
        let request = ReadBillingPeriodRequest { meter: self.meter, profile, period: Some(period) };
        let read = reading.read_billing_period(self.client.request(request)).await?.into_inner();
        let capture = read.capture.unwrap_or_default();
        match self.client.format {
            Format::Json => output::print_json(&json::object([
                ("start_time", json::time(read.start_time.as_ref())),
                ("capture", json::capture(&capture)),
                ("layout", read.layout.as_ref().map_or(Value::Null, json::layout)),
                ("stored", json!(read.stored)),
            ])),
            Format::Table => {
                let mut table = output::table(&["FROM (UTC)", "TO (UTC)", "OBIS", "VALUE"]);
                for reading in &capture.readings {
                    table.add_row([
                        output::time_text(read.start_time.as_ref()),
                        output::time_text(capture.capture_time.as_ref()),
                        reading.obis.clone(),
                        value::show_channel(reading),
                    ]);
                }
                output::print_table(&table);
                if !read.stored {
                    output::note("note: the store could not take these readings yet");
                }
            }
        }
        Ok(Exit::Success)
    }
}
