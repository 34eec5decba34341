//! `head-end telegram`.

use std::{fs::File, io::Read, path::PathBuf};

use clap::{Args, ValueEnum};
use dlms::p1::{Event, Framer, TELEGRAM_OCTETS_MAX};
use dlms_proto::v1::{IngestTelegramRequest, IngestTelegramResponse, ingest_telegram_request::CheckSum};
use serde_json::{Value, json};

use super::{
    ClientOptions, Exit, Failure, Format, client,
    json::{object, time},
    output,
};

/// Hand telegrams of a customer port (P1) to the head-end, one after the other, from a file or the standard input.
#[derive(Debug, Args)]
pub(super) struct Telegram {
    /// The file, such as a serial port that is set up already; the standard input without it
    file: Option<PathBuf>,
    /// The meter that they must be of
    #[arg(long, value_parser = client::meter_name)]
    meter: Option<String>,
    /// What is demanded of check sums
    #[arg(long, default_value = "required", value_name = "RULE")]
    check_sum: CheckSumText,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// What is demanded of check sums, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckSumText {
    /// Four digits that are right
    Required,
    /// Right, or none at all
    IfPresent,
    /// The same with leading zeros left out
    Unpadded,
}

impl Telegram {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let unreadable = |error| Failure::usage(format!("the telegrams cannot be read: {error}"));
        let mut input: Box<dyn Read + Send> = match &self.file {
            Some(path) => Box::new(File::open(path).map_err(unreadable)?),
            None => Box::new(std::io::stdin()),
        };
        let check_sum = match self.check_sum {
            CheckSumText::Required => CheckSum::Required,
            CheckSumText::IfPresent => CheckSum::IfPresent,
            CheckSumText::Unpadded => CheckSum::Unpadded,
        };
        let mut data = self.client.data().await?;
        let mut framer = Framer::new(vec![0; TELEGRAM_OCTETS_MAX], u32::MAX);
        let mut table = output::table(&["OUTCOME", "METER", "MADE (UTC)", "BEHIND IT"]);
        let mut room = [0; 4_096];
        let mut any = false;
        loop {
            let count = tokio::task::block_in_place(|| input.read(&mut room)).map_err(unreadable)?;
            // The end of the input ends a telegram that has no end of line.
            let mut rest = if count == 0 { &b"\n"[..] } else { room.get(..count).unwrap_or_default() };
            while !rest.is_empty() {
                let used = framer.handle_input(rest, dlms::Instant::from_millis(0));
                rest = rest.get(used..).unwrap_or_default();
                match framer.poll_event() {
                    Some(Event::Telegram | Event::Ciphered) => {
                        let request = IngestTelegramRequest {
                            meter: self.meter.clone().unwrap_or_default(),
                            telegram: framer.octets().to_vec(),
                            check_sum: check_sum.into(),
                        };
                        let taken = data.ingest_telegram(self.client.request(request)).await?.into_inner();
                        any = true;
                        match self.client.format {
                            Format::Json => output::print_json(&to_json(&taken)),
                            Format::Table => drop(table.add_row(row(&taken))),
                        }
                    }
                    Some(other) => eprintln!("passed over: {other:?}"),
                    None => {}
                }
            }
            if count == 0 {
                break;
            }
        }
        if !any {
            return Err(Failure::usage("there is no telegram in it".to_owned()));
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::Success)
    }
}

fn outcome(of: &IngestTelegramResponse) -> &'static str {
    of.outcome().as_str_name().trim_start_matches("OUTCOME_")
}

fn row(of: &IngestTelegramResponse) -> [String; 4] {
    let made = output::time_text(of.capture_time.as_ref());
    [outcome(of).to_owned(), of.meter.clone(), made, of.sub_meters.join(" ")]
}

fn to_json(of: &IngestTelegramResponse) -> Value {
    object([
        ("outcome", json!(outcome(of))),
        ("meter", json!(of.meter)),
        ("capture_time", time(of.capture_time.as_ref())),
        ("time_basis", json!(of.time_basis().as_str_name().trim_start_matches("TIME_BASIS_"))),
        ("sub_meters", json!(of.sub_meters)),
    ])
}
