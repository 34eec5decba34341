//! `head-end events`.

use clap::{Args, Subcommand};
use dlms_proto::v1::{
    self, AcknowledgeAlarmRequest, ClearAlarmRegisterRequest, EventFilter, QueryEventsRequest,
    ReadAlarmRegisterRequest, SetAlarmFilterRequest, SubscribeEventsRequest,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    ClientOptions, Exit, Failure, Format, client,
    json::{failure, object, text, time},
    moment, output,
};
use crate::{api::to_timestamp, store::EventCategory};

/// Events and alarms of meters, and what the head-end notices.
#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// Show events from the store, the latest first
    List(List),
    /// Show events as they come, until interrupted
    Follow(Follow),
    /// Note that somebody has seen to an event
    Acknowledge(Acknowledge),
    /// Read an alarm register of a meter now
    Alarms(Alarms),
    /// Clear bits of an alarm register of a meter
    Clear(Clear),
    /// Set which events of a meter become alarms
    Filter(Filter),
}

/// Which events.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Only of this meter; may be given more than once
    #[arg(long = "meter", value_parser = client::meter_name, value_name = "METER")]
    meters: Vec<String>,
    /// Only of this category; may be given more than once
    #[arg(long = "category", value_name = "CATEGORY", value_parser = category)]
    categories: Vec<v1::EventCategory>,
    /// Only with this code; may be given more than once
    #[arg(long = "code", value_name = "N")]
    codes: Vec<u32>,
    /// Only what somebody should look at
    #[arg(long)]
    alarms: bool,
    /// Only what nobody has acknowledged
    #[arg(long)]
    unacknowledged: bool,
    /// First moment: 2026-11-21T10:00:00Z, 2026-11-21 (local), yesterday, 24h (ago)
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Option<Timestamp>,
    /// First moment that is no longer wanted
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    to: Option<Timestamp>,
}

impl Which {
    fn filter(self) -> EventFilter {
        EventFilter {
            meters: self.meters,
            categories: self.categories.into_iter().map(Into::into).collect(),
            codes: self.codes,
            source: String::new(),
            alarms_only: self.alarms,
            unacknowledged_only: self.unacknowledged,
            from: self.from.map(to_timestamp),
            to: self.to.map(to_timestamp),
        }
    }
}

fn category(name: &str) -> Result<v1::EventCategory, String> {
    let proto = format!("EVENT_CATEGORY_{}", name.to_uppercase().replace('-', "_"));
    let found = EventCategory::from_name(&name.to_lowercase()).and_then(|_| v1::EventCategory::from_str_name(&proto));
    found.ok_or_else(|| {
        let known: Vec<_> = EventCategory::ALL.iter().map(|category| category.name()).collect();
        format!("{name:?} is no category; these are: {}", known.join(", "))
    })
}

/// Show events from the store, the latest first. JSON is one object a line.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    which: Which,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    client: ClientOptions,
}

/// Show events as they come, until interrupted. JSON is one object a line.
#[derive(Debug, Args)]
pub(super) struct Follow {
    #[command(flatten)]
    which: Which,
    /// Begin behind the event with this number; 0 begins with the first
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// End after so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    client: ClientOptions,
}

/// Note that somebody has seen to an event.
#[derive(Debug, Args)]
pub(super) struct Acknowledge {
    /// The event's number
    event: u64,
    /// What is to be said about it
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
    #[command(flatten)]
    client: ClientOptions,
}

/// Read an alarm register of a meter now.
#[derive(Debug, Args)]
pub(super) struct Alarms {
    #[command(flatten)]
    register: Register,
    #[command(flatten)]
    client: ClientOptions,
}

/// A register of a meter.
#[derive(Debug, Args)]
pub(super) struct Register {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// Which register, from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10), value_name = "N")]
    number: u32,
}

/// Clear bits of an alarm register of a meter.
#[derive(Debug, Args)]
pub(super) struct Clear {
    #[command(flatten)]
    register: Register,
    /// Bits to clear, as a number such as 0x2000 [default: all]
    #[arg(long, value_parser = bits, value_name = "BITS")]
    mask: Option<u32>,
    #[command(flatten)]
    client: ClientOptions,
}

/// Set which events of a meter become alarms.
#[derive(Debug, Args)]
pub(super) struct Filter {
    #[command(flatten)]
    register: Register,
    /// The filter, as a number such as 0xFFFFFFFF
    #[arg(value_parser = bits)]
    filter: u32,
    #[command(flatten)]
    client: ClientOptions,
}

fn bits(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text:?} is not a number of 32 bits such as 0x2000"))
}

impl Events {
    pub(super) const fn client(&self) -> &ClientOptions {
        match self {
            Self::List(command) => &command.client,
            Self::Follow(command) => &command.client,
            Self::Acknowledge(command) => &command.client,
            Self::Alarms(command) => &command.client,
            Self::Clear(command) => &command.client,
            Self::Filter(command) => &command.client,
        }
    }

    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let format = self.client().format;
        match self {
            Self::List(command) => command.run().await,
            Self::Follow(command) => command.run().await,
            Self::Acknowledge(Acknowledge { event, note, client }) => {
                let name = format!("events/{event}");
                let request = AcknowledgeAlarmRequest { name, note, request_id: String::new() };
                let event = client.events().await?.acknowledge_alarm(client.request(request)).await?.into_inner();
                show(format, [event].iter());
                Ok(Exit::Success)
            }
            Self::Alarms(Alarms { register: Register { meter, number }, client }) => {
                let request = ReadAlarmRegisterRequest { meter, number };
                let read = client.events().await?.read_alarm_register(client.request(request)).await?.into_inner();
                Ok(show_register(format, &read))
            }
            Self::Clear(Clear { register: Register { meter, number }, mask, client }) => {
                let request_id = uuid::Uuid::now_v7().to_string();
                let request = ClearAlarmRegisterRequest { meter, number, mask, request_id };
                let read = client.events().await?.clear_alarm_register(client.request(request)).await?.into_inner();
                Ok(show_register(format, &read))
            }
            Self::Filter(Filter { register: Register { meter, number }, filter, client }) => {
                let request_id = uuid::Uuid::now_v7().to_string();
                let request = SetAlarmFilterRequest { meter, number, filter: Some(filter), request_id };
                let done = client.events().await?.set_alarm_filter(client.request(request)).await?.into_inner();
                match format {
                    Format::Json => output::print_json(&object([
                        ("result", json!(output::result_name(done.result))),
                        ("failure", failure(done.failure.as_ref())),
                    ])),
                    Format::Table => {
                        let why = output::failure_text(done.failure.as_ref());
                        output::print(format_args!("{} {why}", output::result_name(done.result)));
                    }
                }
                Ok(exit(done.result))
            }
        }
    }
}

fn exit(result: i32) -> Exit {
    Exit::of(result == i32::from(v1::Result::Succeeded))
}

impl List {
    async fn run(self) -> Result<Exit, Failure> {
        let mut events = self.client.events().await?;
        let filter = Some(self.which.filter());
        let (mut left, mut page_token, mut found) = (self.limit, String::new(), Vec::new());
        while left > 0 {
            let page_size = u32::try_from(left.min(1_000)).unwrap_or(1_000);
            let request = QueryEventsRequest { filter: filter.clone(), page_size, page_token };
            let page = events.query_events(self.client.request(request)).await?.into_inner();
            left = left.saturating_sub(page.events.len());
            found.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        show(self.client.format, found.iter());
        Ok(Exit::Success)
    }
}

impl Follow {
    async fn run(self) -> Result<Exit, Failure> {
        let mut events = self.client.events().await?;
        let resume_token = self.after.map(|after| after.to_string()).unwrap_or_default();
        let request = SubscribeEventsRequest { filter: Some(self.which.filter()), resume_token };
        // No deadline: it goes on until it is interrupted.
        let mut request = self.client.request(request);
        request.metadata_mut().remove("grpc-timeout");
        let mut answers = events.subscribe_events(request).await?.into_inner();
        let mut left = self.limit.unwrap_or(usize::MAX);
        while left > 0 {
            let Some(answer) = answers.message().await? else { break };
            for event in answer.events.iter().take(left) {
                match self.client.format {
                    Format::Json => output::print_json(&to_json(event)),
                    Format::Table => output::print(line(event)),
                }
            }
            left = left.saturating_sub(answer.events.len());
        }
        Ok(Exit::Success)
    }
}

fn number(event: &v1::Event) -> &str {
    event.name.trim_start_matches("events/")
}

fn category_name(event: &v1::Event) -> String {
    event.category().as_str_name().trim_start_matches("EVENT_CATEGORY_").to_lowercase().replace('_', "-")
}

fn line(event: &v1::Event) -> String {
    let meter = if event.meter.is_empty() { "head-end" } else { event.meter.trim_start_matches("meters/") };
    let (time, alarm) = (output::time_text(event.time.as_ref()), if event.alarm { " ALARM" } else { "" });
    format!("{} {time} {meter} {}{alarm}: {} {}", number(event), category_name(event), event.display_name, event.detail)
}

fn show<'a>(format: Format, events: impl Iterator<Item = &'a v1::Event>) {
    let mut table =
        output::table(&["EVENT", "TIME (UTC)", "METER", "CATEGORY", "CODE", "NAME", "ALARM", "ACKNOWLEDGED"]);
    for event in events {
        match format {
            Format::Json => output::print_json(&to_json(event)),
            Format::Table => {
                table.add_row([
                    number(event).to_owned(),
                    output::time_text(event.time.as_ref()),
                    event.meter.trim_start_matches("meters/").to_owned(),
                    category_name(event),
                    event.code.map(|code| code.to_string()).unwrap_or_default(),
                    event.display_name.clone(),
                    if event.alarm { "yes".to_owned() } else { String::new() },
                    event.acknowledgement.as_ref().map(|by| by.subject.clone()).unwrap_or_default(),
                ]);
            }
        }
    }
    if format == Format::Table {
        output::print_table(&table);
    }
}

fn to_json(of: &v1::Event) -> Value {
    let acknowledgement = of.acknowledgement.as_ref().map_or(Value::Null, |by| {
        object([("subject", text(&by.subject)), ("time", time(by.time.as_ref())), ("note", text(&by.note))])
    });
    object([
        ("name", json!(of.name)),
        ("meter", text(&of.meter)),
        ("time", time(of.time.as_ref())),
        ("clock", of.clock.as_ref().map_or(Value::Null, |clock| json!(clock.text))),
        ("receive_time", time(of.receive_time.as_ref())),
        ("origin", json!(of.origin().as_str_name().trim_start_matches("EVENT_ORIGIN_"))),
        ("source", text(&of.source)),
        ("code", of.code.map_or(Value::Null, |code| json!(code))),
        ("display_name", json!(of.display_name)),
        ("category", json!(category_name(of))),
        ("iec_code", text(&of.iec_code)),
        ("alarm", json!(of.alarm)),
        ("detail", text(&of.detail)),
        ("acknowledgement", acknowledgement),
    ])
}

fn show_register(format: Format, of: &v1::AlarmRegister) -> Exit {
    let hex = |bits: Option<u32>| bits.map(|bits| format!("{bits:#010X}"));
    match format {
        Format::Json => {
            let bits = |bits: Option<u32>| bits.map_or(Value::Null, |bits| json!(bits));
            let alarm = |alarm: &v1::Alarm| json!({ "bit": alarm.bit, "display_name": alarm.display_name });
            output::print_json(&object([
                ("meter", json!(of.meter)),
                ("number", json!(of.number)),
                ("result", json!(output::result_name(of.result))),
                ("register", bits(of.register)),
                ("filter", bits(of.filter)),
                ("descriptor", bits(of.descriptor)),
                ("alarms", Value::Array(of.alarms.iter().map(alarm).collect())),
                ("failure", failure(of.failure.as_ref())),
            ]));
        }
        Format::Table => {
            let mut table = output::table(&["BIT", "ALARM"]);
            for alarm in &of.alarms {
                table.add_row([alarm.bit.to_string(), alarm.display_name.clone()]);
            }
            let parts = [("register", of.register), ("filter", of.filter), ("descriptor", of.descriptor)];
            let parts = parts.map(|(name, bits)| format!("{name} {}", hex(bits).unwrap_or_else(|| "-".to_owned())));
            output::note(format_args!("{} {}", parts.join(", "), output::failure_text(of.failure.as_ref())));
            output::print_table(&table);
        }
    }
    exit(of.result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_and_bits_are_written_as_people_do() {
        assert_eq!(category("sub-meter"), Ok(v1::EventCategory::SubMeter));
        for name in EventCategory::ALL {
            assert!(category(name.name()).is_ok(), "{name}");
        }
        assert!(category("wind").unwrap_err().contains("tamper"));
        assert_eq!((bits("0x2000"), bits("7")), (Ok(0x2000), Ok(7)));
        assert!(bits("0x100000000").is_err());
    }
}
