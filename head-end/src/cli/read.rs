//! `head-end read`.

use clap::Args;
use dlms_proto::v1::{ReadRegistersRequest, RegisterSelector, Result as MeterResult};
use serde_json::{Value, json};

use super::{ClientOptions, Exit, Failure, Format, client, json, output, value};

/// Read registers of a meter now.
#[derive(Debug, Args)]
pub(super) struct Read {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// OBIS codes, each with its interface class in front where the head-end does not know it
    /// (`3/1-0:1.8.0`)
    #[arg(required = true, value_parser = selector)]
    obis: Vec<RegisterSelector>,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

pub(super) fn selector(text: &str) -> Result<RegisterSelector, String> {
    let (class, obis) = text.split_once('/').unwrap_or(("0", text));
    let class_id = class.parse::<u16>().map_err(|_| format!("{class:?} is not an interface class"))?;
    Ok(RegisterSelector { obis: client::obis(obis)?, class_id: class_id.into() })
}

impl Read {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let request = ReadRegistersRequest { meter: self.meter, registers: self.obis };
        let response = reading.read_registers(self.client.request(request)).await?.into_inner();
        match self.client.format {
            Format::Json => {
                let results: Vec<Value> = response.results.iter().map(json::register).collect();
                output::print_json(&json!({ "results": results, "stored": response.stored }));
            }
            Format::Table => {
                let mut table = output::table(&["OBIS", "VALUE", "RESULT", "CAPTURED", ""]);
                for result in &response.results {
                    table.add_row([
                        result.obis.clone(),
                        result.reading.as_ref().map(value::show_channel).unwrap_or_default(),
                        output::result_name(result.result),
                        result.capture_time.as_ref().map(|time| time.text.clone()).unwrap_or_default(),
                        output::failure_text(result.failure.as_ref()),
                    ]);
                }
                output::print_table(&table);
                if !response.stored {
                    output::note("note: the store could not take these readings yet");
                }
            }
        }
        Ok(Exit::of(response.results.iter().all(|result| result.result == MeterResult::Succeeded as i32)))
    }
}
