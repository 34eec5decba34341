//! `head-end coverage`.

use clap::Args;
use dlms_proto::v1::GetCoverageRequest;
use jiff::Timestamp;
use serde_json::json;

use super::{ClientOptions, Exit, Failure, Format, client, json::time, moment, output};
use crate::api::to_timestamp;

/// Show what is held and what is missing of profiles of a meter. Ends with status 1 where something is missing.
#[derive(Debug, Args)]
pub(super) struct Coverage {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// The profile; more than one may be given
    #[arg(value_parser = client::obis, value_name = "OBIS", required = true)]
    profiles: Vec<String>,
    /// First moment
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT", default_value = "yesterday")]
    from: Timestamp,
    /// First moment that is no longer looked at [default: now]
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    to: Option<Timestamp>,
    /// IANA time zone of days, for daily profiles [default: UTC]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ZONE")]
    time_zone: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Coverage {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut client = self.client.collection().await?;
        let request = GetCoverageRequest {
            meter: self.meter,
            profiles: self.profiles,
            from: Some(to_timestamp(self.from)),
            to: self.to.map(to_timestamp),
            time_zone: self.time_zone,
        };
        let answer = client.get_coverage(self.client.request(request)).await?.into_inner();
        let mut table =
            output::table(&["PROFILE", "HELD", "FIRST MISSING (UTC)", "LAST MISSING (UTC)", "CAPTURES", "WHY"]);
        for of in &answer.profiles {
            let gaps = of.gaps.iter().map(|gap| {
                json!({
                    "first": time(gap.first.as_ref()),
                    "last": time(gap.last.as_ref()),
                    "captures": gap.captures,
                    "absent": gap.absent,
                })
            });
            if self.client.format == Format::Json {
                output::print_json(&json!({
                    "profile": of.profile,
                    "capture_period_s": of.capture_period_s,
                    "expected": of.expected,
                    "held": of.held,
                    "absent": of.absent,
                    "gaps": gaps.collect::<Vec<_>>(),
                }));
                continue;
            }
            let empty = String::new;
            table.add_row([
                of.profile.clone(),
                format!("{} of {}", of.held, of.expected),
                empty(),
                empty(),
                empty(),
                empty(),
            ]);
            for gap in &of.gaps {
                table.add_row([
                    empty(),
                    empty(),
                    output::time_text(gap.first.as_ref()),
                    output::time_text(gap.last.as_ref()),
                    gap.captures.to_string(),
                    if gap.absent { "not in the meter" } else { "not collected" }.to_owned(),
                ]);
            }
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::of(answer.profiles.iter().all(|of| of.held == of.expected)))
    }
}
