//! What is printed: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use dlms_proto::v1;
use serde_json::Value;

/// How to print what comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs.
    Json,
}

/// Whether standard output may be decorated: a terminal, and `NO_COLOR` not set (no-color.org).
fn decorated() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A table with its head.
pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    if decorated() {
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(head.iter().map(|text| Cell::new(text).add_attribute(Attribute::Bold)));
    } else {
        // Columns by blanks: easy to read in a log and to cut in a pipe.
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(head);
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
    }
    table
}

/// Prints a line. A reader that went away (`| head`) is no error.
pub(super) fn print(text: impl std::fmt::Display) {
    // There is nobody left to tell about an error on standard output.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a table.
pub(super) fn print_table(table: &Table) {
    print(table.trim_fmt());
}

/// Prints a JSON value, on one line.
pub(super) fn print_json(value: &Value) {
    print(value);
}

/// Prints a line beside the data.
pub(super) fn note(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// Name of a result.
pub(super) fn result_name(result: i32) -> String {
    let name = v1::Result::try_from(result).map(|result| result.as_str_name());
    name.map_or_else(|_| result.to_string(), |name| name.trim_start_matches("RESULT_").to_owned())
}

/// A failure in a few words.
pub(super) fn failure_text(failure: Option<&v1::Failure>) -> String {
    failure.map(|failure| failure.message.clone()).unwrap_or_default()
}

/// A time in UTC.
pub(super) fn time_text(time: Option<&prost_types::Timestamp>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok());
    time.map_or_else(String::new, |time| time.to_string())
}
