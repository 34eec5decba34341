//! `head-end intervals`.

use clap::{Args, ValueEnum};
use dlms_proto::v1::{CalendarUnit, Interval, QueryIntervalsRequest, query_intervals_request as ask};
use jiff::Timestamp;
use serde_json::json;

use super::{ClientOptions, Exit, Failure, Format, client, moment, output};
use crate::api::to_timestamp;

/// Show consumption or values of a meter by quarter of an hour, hour, day or month. JSON is one object a line.
#[derive(Debug, Args)]
pub(super) struct Intervals {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// The object, such as 1-0:1.8.0
    #[arg(value_parser = client::obis, value_name = "OBIS")]
    object: String,
    /// The profile that captures it; without, registers that were read by themselves
    #[arg(long, value_parser = client::obis, value_name = "OBIS")]
    profile: Option<String>,
    /// Length of an interval
    #[arg(long, default_value = "day")]
    by: By,
    /// What is made of the values
    #[arg(long, default_value = "difference")]
    method: Method,
    /// Time zone of hours, days and months, such as Europe/Amsterdam
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    zone: String,
    /// First moment: 2026-11-21T10:00:00Z, 2026-11-21 (local), yesterday, 24h (ago)
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Timestamp,
    /// Last moment
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    to: Timestamp,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Quarter,
    Hour,
    Day,
    Month,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    Difference,
    Last,
    Sum,
    Mean,
    Minimum,
    Maximum,
}

impl Intervals {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let calendar = |unit: CalendarUnit| ask::Resolution::Calendar(unit.into());
        let request = QueryIntervalsRequest {
            meter: self.meter,
            object: self.object,
            profile: self.profile.unwrap_or_default(),
            from: Some(to_timestamp(self.from)),
            to: Some(to_timestamp(self.to)),
            resolution: Some(match self.by {
                By::Quarter => ask::Resolution::Minutes(15),
                By::Hour => calendar(CalendarUnit::Hour),
                By::Day => calendar(CalendarUnit::Day),
                By::Month => calendar(CalendarUnit::Month),
            }),
            time_zone: self.zone,
            method: match self.method {
                Method::Difference => ask::Method::Difference,
                Method::Last => ask::Method::Last,
                Method::Sum => ask::Method::Sum,
                Method::Mean => ask::Method::Mean,
                Method::Minimum => ask::Method::Minimum,
                Method::Maximum => ask::Method::Maximum,
            }
            .into(),
            ..Default::default()
        };
        let mut data = self.client.data().await?;
        let mut pages = data.query_intervals(self.client.request(request)).await?.into_inner();
        let mut table = output::table(&["START (UTC)", "END (UTC)", "VALUE", "SAMPLES", "NOTE"]);
        while let Some(page) = pages.message().await? {
            for interval in &page.intervals {
                match self.client.format {
                    Format::Json => output::print_json(&to_json(interval)),
                    Format::Table => add_row(&mut table, interval),
                }
            }
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::Success)
    }
}

fn anomaly(interval: &Interval) -> Option<&'static str> {
    use dlms_proto::v1::interval::Anomaly;
    match interval.anomaly() {
        Anomaly::Unspecified => None,
        other => Some(other.as_str_name().trim_start_matches("ANOMALY_")),
    }
}

fn to_json(interval: &Interval) -> serde_json::Value {
    json!({
        "startTime": output::time_text(interval.start_time.as_ref()),
        "endTime": output::time_text(interval.end_time.as_ref()),
        "decimal": interval.decimal,
        "symbol": interval.symbol,
        "samples": interval.samples,
        "incomplete": interval.incomplete,
        "anomaly": anomaly(interval),
    })
}

fn add_row(table: &mut comfy_table::Table, interval: &Interval) {
    let notes = [interval.incomplete.then_some("INCOMPLETE"), anomaly(interval)];
    table.add_row([
        output::time_text(interval.start_time.as_ref()),
        output::time_text(interval.end_time.as_ref()),
        format!("{} {}", interval.decimal, interval.symbol).trim().to_owned(),
        interval.samples.to_string(),
        notes.into_iter().flatten().collect::<Vec<_>>().join(" "),
    ]);
}
