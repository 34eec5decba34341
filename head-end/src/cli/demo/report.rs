//! What the demonstration shows.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::collect::Collected;
use crate::cli::output::{self, Format, print as line};

/// Prints what was read; whether every meter was read completely.
pub(super) fn show(collected: &[Collected], seconds: f64, format: Format) -> bool {
    let succeeded = collected.iter().filter(|meter| meter.outcome.is_ok()).count();
    let intervals: u64 = collected.iter().filter_map(|meter| meter.outcome.as_ref().ok()).map(|v| v.intervals).sum();
    for meter in collected {
        if let Err(error) = &meter.outcome {
            eprintln!("{}: {error:#}", meter.meter);
        }
    }
    match format {
        Format::Json => output::print_json(&json!({
            "meters": collected.len(),
            "succeeded": succeeded,
            "intervals": intervals,
            "seconds": (seconds * 1_000.0).round() / 1_000.0,
        })),
        Format::Table => {
            let mut table =
                output::table(&["meter", "link", "serial", "import", "export", "U L1", "P", "yesterday's intervals"]);
            for meter in collected {
                let Ok(values) = &meter.outcome else { continue };
                let mut row = vec![meter.meter.clone(), meter.link.to_owned()];
                row.extend(values.registers.iter().cloned());
                row.push(values.intervals.to_string());
                table.add_row(row);
            }
            output::print_table(&table);
            line(format!(
                "{succeeded} of {} meters read with authenticated encryption, {intervals} intervals, {seconds:.1} s",
                collected.len()
            ));
        }
    }
    succeeded == collected.len()
}

/// Prints what to try next.
pub(super) fn what_next(address: SocketAddr, data_dir: &Path) {
    let server = format!("--server http://{address}");
    line(format!("\nServing gRPC at {address}, data in {}. In another terminal:", data_dir.display()));
    for command in ["meters list", "read METER 1-0:1.8.0 1-0:32.7.0", "discover METER", "readings METER"] {
        line(format!("  head-end {command} {server}"));
    }
    line("Ctrl-C ends it.");
}
