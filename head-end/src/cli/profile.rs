//! `head-end profile`.

use clap::Args;
use dlms_proto::v1::{
    Capture, EntryRange, ProfileLayout, ReadProfileRequest, ReadProfileSummary, TimeRange,
    read_profile_request::Selection, read_profile_response::Part,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ClientOptions, Exit, Failure, Format, client, json, moment, output, value};
use crate::api::to_timestamp;

/// Read rows of a profile of a meter now.
#[derive(Debug, Args)]
pub(super) struct Profile {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// OBIS code of the profile, such as 1-0:99.1.0
    #[arg(value_parser = client::obis)]
    obis: String,
    /// First moment: 2026-11-21T10:00:00Z, 2026-11-21 (local), yesterday, 24h (ago)
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Option<Timestamp>,
    /// First moment that is no longer wanted [default: now]
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT", requires = "from")]
    to: Option<Timestamp>,
    /// Rows by position instead: FIRST-LAST from 1, or FIRST- to the end
    #[arg(long, value_parser = entries, value_name = "RANGE", conflicts_with = "from")]
    entries: Option<EntryRange>,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

pub(super) fn entries(text: &str) -> Result<EntryRange, String> {
    let wrong = || format!("{text:?} is not a range such as 1-10 or 5-");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let from = from.parse().map_err(|_| wrong())?;
    let to = if to.is_empty() { 0 } else { to.parse().map_err(|_| wrong())? };
    Ok(EntryRange { from, to })
}

impl Profile {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let range = |from| TimeRange { from: Some(to_timestamp(from)), to: self.to.map(to_timestamp) };
        let selection = match (self.from, self.entries) {
            (Some(from), _) => Some(Selection::Range(range(from))),
            (None, Some(entries)) => Some(Selection::Entries(entries)),
            (None, None) => None,
        };
        let request = ReadProfileRequest { meter: self.meter, profile: self.obis, selection };
        let mut parts = reading.read_profile(self.client.request(request)).await?.into_inner();
        let mut layout = ProfileLayout::default();
        let mut captures: Vec<Capture> = Vec::new();
        let mut summary = ReadProfileSummary::default();
        while let Some(part) = parts.message().await? {
            match part.part {
                Some(Part::Layout(part)) => layout = part,
                Some(Part::Captures(part)) => captures.extend(part.captures),
                Some(Part::Summary(part)) => summary = part,
                None => {}
            }
        }
        match self.client.format {
            Format::Json => {
                let captures: Vec<Value> = captures.iter().map(json::capture).collect();
                output::print_json(&json!({
                    "layout": json::layout(&layout),
                    "captures": captures,
                    "new_rows": summary.new_rows,
                    "revised_rows": summary.revised_rows,
                    "stored": summary.stored,
                }));
            }
            Format::Table => show_table(&layout, &captures, summary),
        }
        Ok(Exit::Success)
    }
}

fn show_table(layout: &ProfileLayout, captures: &[Capture], summary: ReadProfileSummary) {
    let mut head = vec!["CAPTURED (UTC)".to_owned()];
    head.extend(layout.columns.iter().map(|column| {
        if column.attribute == 2 { column.obis.clone() } else { format!("{}#{}", column.obis, column.attribute) }
    }));
    let mut table = output::table(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for capture in captures {
        let cells = capture.readings.iter().map(value::show_channel);
        table.add_row(std::iter::once(output::time_text(capture.capture_time.as_ref())).chain(cells));
    }
    output::print_table(&table);
    let ReadProfileSummary { rows, new_rows, stored, .. } = summary;
    let kept = if stored { "" } else { "; the store could not take them yet" };
    output::note(format_args!("{rows} rows, {new_rows} of them new{kept}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_entries_have_one_or_two_ends() {
        assert_eq!(entries("1-10"), Ok(EntryRange { from: 1, to: 10 }));
        assert_eq!(entries("5-"), Ok(EntryRange { from: 5, to: 0 }));
        assert!(entries("5").is_err() && entries("-5").is_err() && entries("a-b").is_err());
    }
}
