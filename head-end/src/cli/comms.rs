//! `head-end comms`.

use clap::Args;
use dlms_proto::v1::{CommsDiagnostics, CommsPercentiles, CommsWindow, GetCommsDiagnosticsRequest, ModemStatus};
use serde_json::{Value, json};

use super::{ClientOptions, Exit, Failure, Format, client, json, output, tasks};

/// Show what is known of the way to a meter.
#[derive(Debug, Args)]
pub(super) struct Comms {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Ask the meter what its modem sees of the network
    #[arg(long)]
    modem: bool,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

impl Comms {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let mut reading = self.client.reading().await?;
        let request = GetCommsDiagnosticsRequest { meter: self.meter, read_modem: self.modem };
        let known = reading.get_comms_diagnostics(self.client.request(request)).await?.into_inner();
        match self.client.format {
            Format::Json => output::print_json(&to_json(&known)),
            Format::Table => {
                let mut table = output::table(&["", ""]);
                for (name, value) in lines(&known) {
                    table.add_row([name, value]);
                }
                output::print_table(&table);
            }
        }
        Ok(Exit::of(known.modem_failure.is_none()))
    }
}

fn ms(of: Option<&prost_types::Duration>) -> Value {
    of.map_or(Value::Null, |of| json!(tasks::millis(of)))
}

fn percentiles(of: Option<&CommsPercentiles>) -> Value {
    let Some(of) = of.filter(|of| of.samples > 0) else { return Value::Null };
    json!({
        "samples": of.samples,
        "p50_ms": ms(of.p50.as_ref()),
        "p90_ms": ms(of.p90.as_ref()),
        "p99_ms": ms(of.p99.as_ref()),
        "max_ms": ms(of.max.as_ref()),
    })
}

fn window(of: &CommsWindow) -> Value {
    json::object([
        ("seconds", of.length.map_or(Value::Null, |of| json!(of.seconds))),
        ("succeeded", json!(of.succeeded)),
        ("failed", json!(of.failed)),
        ("success_rate", of.success_rate.map_or(Value::Null, |of| json!(of))),
    ])
}

fn modem(of: &ModemStatus) -> Value {
    let number = |of: Option<u32>| of.map_or(Value::Null, |of| json!(of));
    let adjacent: Vec<_> =
        of.adjacent.iter().map(|of| json!({ "cell": of.cell, "signal_quality": of.signal_quality })).collect();
    json::object([
        ("object", json!(of.object)),
        ("operator", of.operator.as_ref().map_or(Value::Null, |of| json!(of))),
        ("registration", number(of.registration)),
        ("circuit_switched", number(of.circuit_switched)),
        ("packet_switched", number(of.packet_switched)),
        ("cell", number(of.cell)),
        ("area", number(of.area)),
        ("signal_quality", number(of.signal_quality)),
        ("signal_dbm", of.signal_dbm.map_or(Value::Null, |of| json!(of))),
        ("bit_error_rate", number(of.bit_error_rate)),
        ("mobile_country", number(of.mobile_country)),
        ("mobile_network", number(of.mobile_network)),
        ("channel", number(of.channel)),
        ("adjacent", json!(adjacent)),
        ("capture_time", of.capture_time.as_ref().map_or(Value::Null, |of| json!(of.text))),
    ])
}

fn to_json(of: &CommsDiagnostics) -> Value {
    let counters = of.counters.as_ref();
    let counters = counters
        .map(|of| json!({ "next": of.next, "reserved": of.reserved, "receive_floor": of.receive_floor }))
        .unwrap_or_default();
    let route = of
        .route
        .as_ref()
        .map(|of| json!({ "name": of.name, "capacity": of.capacity, "sessions": of.sessions, "waiting": of.waiting }));
    let plan = |of: &dlms_proto::v1::CommsPlan| {
        let state = of.state.clone().unwrap_or_default();
        json::object([
            ("plan", json!(of.plan)),
            ("attempt", json!(state.attempt)),
            ("due_time", json::time(state.due_time.as_ref())),
            ("success_time", json::time(state.success_time.as_ref())),
            ("error", json::text(&state.error)),
        ])
    };
    json::object([
        ("meter", json!(of.meter)),
        ("since", json::time(of.since.as_ref())),
        ("last_success_time", json::time(of.last_success_time.as_ref())),
        ("last_failure_time", json::time(of.last_failure_time.as_ref())),
        ("last_failure", json::failure(of.last_failure.as_ref())),
        ("failures_in_row", json!(of.failures_in_row)),
        ("windows", Value::Array(of.windows.iter().map(window).collect())),
        ("latency", percentiles(of.latency.as_ref())),
        ("opening", percentiles(of.opening.as_ref())),
        ("octets_sent", json!(of.octets_sent)),
        ("octets_received", json!(of.octets_received)),
        ("associations_opened", json!(of.associations_opened)),
        ("associations_failed", json!(of.associations_failed)),
        ("associated", json!(of.associated)),
        ("security_failures", json!(of.security_failures)),
        ("counters_raised", json!(of.counters_raised)),
        ("notifications", json!(of.notifications)),
        ("waiting", json!(of.waiting)),
        ("counters", counters),
        ("route", route.unwrap_or_default()),
        ("plans", Value::Array(of.plans.iter().map(plan).collect())),
        ("modems", Value::Array(of.modems.iter().map(modem).collect())),
        ("modem_failure", json::failure(of.modem_failure.as_ref())),
    ])
}

/// What people want to know first.
fn lines(of: &CommsDiagnostics) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push((name.to_owned(), value));
        }
    };
    line("meter", of.meter.trim_start_matches("meters/").to_owned());
    line("noted since (UTC)", output::time_text(of.since.as_ref()));
    line("last success (UTC)", output::time_text(of.last_success_time.as_ref()));
    line("last failure (UTC)", output::time_text(of.last_failure_time.as_ref()));
    line("", output::failure_text(of.last_failure.as_ref()));
    line("failures in a row", of.failures_in_row.to_string());
    for of in &of.windows {
        let hours = of.length.map_or(0, |of| of.seconds / 3_600);
        let rate = of.success_rate.map(|rate| format!(" ({:.1} %)", rate * 100.0)).unwrap_or_default();
        line(&format!("last {hours} h"), format!("{} succeeded, {} failed{rate}", of.succeeded, of.failed));
    }
    for (name, of) in [("latency", &of.latency), ("opening", &of.opening)] {
        let Some(of) = of.as_ref().filter(|of| of.samples > 0) else { continue };
        let ms = |of: &Option<prost_types::Duration>| of.as_ref().map(tasks::millis).unwrap_or_default();
        let shown = format!(
            "p50 {} ms, p90 {} ms, p99 {} ms, longest {} ms",
            ms(&of.p50),
            ms(&of.p90),
            ms(&of.p99),
            ms(&of.max)
        );
        line(name, shown);
    }
    line("octets", format!("{} sent, {} received", of.octets_sent, of.octets_received));
    let open = if of.associated { ", one is open" } else { "" };
    line("associations", format!("{} opened, {} failed{open}", of.associations_opened, of.associations_failed));
    line("security failures", of.security_failures.to_string());
    if let Some(counters) = &of.counters {
        line("invocation counter", format!("next {}, reserved up to {}", counters.next, counters.reserved));
    }
    if let Some(route) = &of.route {
        let (name, sessions, capacity, waiting) = (&route.name, route.sessions, route.capacity, route.waiting);
        line("route", format!("{name}: {sessions} of {capacity} sessions, {waiting} wait"));
    }
    for plan in &of.plans {
        let state = plan.state.clone().unwrap_or_default();
        let due = output::time_text(state.due_time.as_ref());
        line(&plan.plan, format!("{} failed in a row, next {due} {}", state.attempt, state.error));
    }
    for modem in &of.modems {
        let operator = modem.operator.clone().unwrap_or_default();
        let signal = modem.signal_dbm.map(|dbm| format!(" {dbm} dBm")).unwrap_or_default();
        let cell = modem.cell.map(|cell| format!(", cell {cell}")).unwrap_or_default();
        line(&format!("modem {}", modem.object), format!("{operator}{signal}{cell}"));
    }
    line("modem", output::failure_text(of.modem_failure.as_ref()));
    lines
}
