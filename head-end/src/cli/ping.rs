//! `head-end ping`.

use clap::Args;
use dlms_proto::v1::{PingMetersRequest, PingMetersResponse, PingOutcome, Result as MeterResult};
use serde_json::{Value, json};

use super::{ClientOptions, Exit, Failure, Format, instruct::With, json, output, tasks};
use crate::config::Span;

/// Ask meters whether they answer.
#[derive(Debug, Args)]
pub(super) struct Ping {
    #[command(flatten)]
    with: With,
    /// How long each meter is waited for
    #[arg(long, default_value = "30s", value_name = "TIME")]
    patience: Span,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Ping {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let timeout = prost_types::Duration::try_from(self.patience.duration()).ok();
        let request = PingMetersRequest { target: self.with.target(), timeout };
        // How many meters there are is not known here: it ends when all have been asked.
        let mut answers = reading.ping_meters(self.client.patient(request)).await?.into_inner();
        let mut table = output::table(&["METER", "RESULT", "CONNECTION", "ASSOCIATION", "ROUND TRIP", "TIME", ""]);
        let mut all = true;
        while let Some(answer) = answers.message().await? {
            all &= answer.result == MeterResult::Succeeded as i32;
            match self.client.format {
                Format::Json => output::print_json(&to_json(&answer)),
                Format::Table => {
                    let ms = |of: Option<prost_types::Duration>| {
                        of.map(|of| format!("{} ms", tasks::millis(&of))).unwrap_or_default()
                    };
                    let line: PingOutcome = answer.outcome.unwrap_or_default();
                    table.add_row([
                        answer.meter.trim_start_matches("meters/").to_owned(),
                        output::result_name(answer.result),
                        ms(line.connection),
                        ms(line.association),
                        ms(line.round_trip),
                        ms(answer.elapsed),
                        output::failure_text(answer.failure.as_ref()),
                    ]);
                }
            }
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::of(all))
    }
}

fn to_json(of: &PingMetersResponse) -> Value {
    json::object([
        ("meter", json!(of.meter)),
        ("result", json!(output::result_name(of.result))),
        ("failure", json::failure(of.failure.as_ref())),
        ("elapsed_ms", of.elapsed.as_ref().map_or(Value::Null, |of| json!(tasks::millis(of)))),
        ("outcome", of.outcome.as_ref().map_or(Value::Null, tasks::ping)),
    ])
}
