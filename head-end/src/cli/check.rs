//! `head-end check`.

use std::{
    error::Error,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::{Timestamp, civil::date, tz::TimeZone};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use super::{Exit, Failure, Format, failure::chain, output};
use crate::{
    api::Security,
    config::{Config, Options, QuirkModels},
    events::EventTables,
    node::MASTER_KEY_VARIABLE,
    push::Templates,
    registry::Anchors,
    store::sqlite::{Inspection, SqliteStore},
    telegram::TelegramOptions,
    vault::{MasterKey, Sealed, Vault},
};

/// Check what `serve` would be started with: files, addresses, certificates, store, master key and clock. Nothing is
/// changed, and a head-end may run meanwhile. The exit status is 0 if it would start, 2 if not.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Configuration file in TOML
    #[arg(long, env = "HEADEND_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    /// How to print what was found
    #[arg(long, env = "HEADEND_FORMAT", default_value = "table")]
    pub(super) format: Format,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// It is as it should be.
    Fine,
    /// It works, and should be looked at.
    Warning,
    /// The head-end would not start, or could not work.
    Wrong,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    weight: Weight,
    /// File, with its line where that is known, address or option.
    place: String,
    what: String,
    /// What to do about it.
    next: &'static str,
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, place: impl ToString, what: impl ToString, next: &'static str) {
        self.0.push(Finding { weight, place: place.to_string(), what: what.to_string(), next });
    }

    fn fine(&mut self, place: impl ToString, what: impl ToString) {
        self.add(Weight::Fine, place, what, "");
    }

    fn wrong(&mut self, place: impl ToString, what: impl ToString, next: &'static str) {
        self.add(Weight::Wrong, place, what, next);
    }

    /// A file that was read or was not.
    fn file<T, E: Error>(&mut self, path: &Path, read: Result<T, E>, next: &'static str) -> Option<T> {
        match read {
            Ok(value) => {
                self.fine(path.display(), "is valid");
                Some(value)
            }
            Err(error) => {
                let what = chain(&error);
                self.wrong(place(path, &what), what, next);
                None
            }
        }
    }
}

/// The file with the line that the reason names.
fn place(path: &Path, what: &str) -> String {
    let line: Option<String> =
        what.split_once("line ").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect());
    match line {
        Some(line) if !line.is_empty() => format!("{}:{}", path.display(), line),
        _ => path.display().to_string(),
    }
}

impl Check {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let mut findings = Findings::default();
        let file = match &self.config {
            Some(path) => {
                let next = "mend the line; its keys are the options of `head-end serve --help` with underscores";
                findings.file(path, Options::from_file(path), next)
            }
            None => Some(Options::default()),
        };
        // What an unreadable file would have said is not known: nothing is said about it.
        if let Some(file) = file {
            look(&self.options.over(file).resolve(), &mut findings);
        }
        let wrong = findings.0.iter().filter(|finding| finding.weight == Weight::Wrong).count();
        for finding in &findings.0 {
            print(finding, self.format);
        }
        Ok(if wrong == 0 { Exit::Success } else { Exit::Invalid })
    }
}

fn print(finding: &Finding, format: Format) {
    let Finding { weight, place, what, next } = finding;
    let name = match weight {
        Weight::Fine => "ok",
        Weight::Warning => "warning",
        Weight::Wrong => "error",
    };
    match format {
        Format::Json => {
            output::print_json(&json!({ "result": name, "place": place, "what": what, "next": next }));
        }
        Format::Table if next.is_empty() => output::print(format_args!("{name}: {place}: {what}")),
        Format::Table => output::print(format_args!("{name}: {place}: {what}\n  -> {next}")),
    }
}

fn look(config: &Config, findings: &mut Findings) {
    if let Err(error) = EnvFilter::try_new(&config.log) {
        findings.wrong("log", format!("{:?} is no filter: {error}", config.log), "such as `info` or `warn,dlms=debug`");
    }
    if let Some(path) = &config.quirks_file {
        findings.file(path, QuirkModels::from_file(path), "mend the line, or leave --quirks out");
    }
    if let Some(path) = &config.meter_ca_file {
        findings.file(path, Anchors::from_file(path), "give authorities in PEM, or leave --meter-ca out");
    }
    if let Some(path) = &config.templates_file {
        findings.file(path, Templates::from_file(path), "mend the line, or leave --push-templates out; docs/pushes.md");
    }
    if let Some(path) = &config.telegrams_file {
        let next = "mend the line, or leave --telegrams out; docs/telegrams.md";
        findings.file(path, TelegramOptions::from_file(path), next);
    }
    if let Some(path) = &config.event_tables_file {
        findings.file(path, EventTables::from_file(path), "mend the line, or leave --event-tables out");
    }
    let security = Security::open(config.security.clone());
    let missing = match &security {
        Ok(security) => {
            findings.fine("callers and certificates", "can be used");
            security.missing()
        }
        Err(error) => {
            findings.wrong("callers and certificates", chain(error), "see docs/security-of-the-api.md");
            None
        }
    };
    if let (Some(missing), false) = (missing, config.listen.ip().to_canonical().is_loopback()) {
        let (weight, next) = match config.insecure {
            true => (Weight::Warning, "mind that a proxy in front does it"),
            false => (Weight::Wrong, "set it up, listen on a loopback address, or say --insecure behind a proxy"),
        };
        findings.add(weight, config.listen, format!("calls would not be {missing}"), next);
    }
    let in_use = store(config, findings);
    addresses(config, in_use, findings);
    clock(Timestamp::now(), findings);
}

/// Looks at data directory, store and master key; whether a head-end uses them.
fn store(config: &Config, findings: &mut Findings) -> bool {
    let directory = &config.data_dir;
    let place = directory.display();
    if directory.exists() && !directory.is_dir() {
        findings.wrong(place, "is no directory", "name another one with --data-dir");
        return false;
    }
    let inspected = match SqliteStore::inspect(directory, config.store) {
        Ok(Some(inspected)) => inspected,
        Ok(None) => {
            let parent = directory.ancestors().find(|path| path.is_dir() || path.as_os_str().is_empty());
            let writable = parent.is_none_or(|path| path.as_os_str().is_empty() || is_writable(path));
            match writable {
                true => findings.fine(place, "has no store yet; the first start makes it, and a master key"),
                false => findings.wrong(place, "may not be written", "give the head-end's user the directory"),
            }
            return false;
        }
        Err(error) => {
            findings.wrong(
                place,
                chain(&error),
                "if it is damaged, `head-end restore` a backup into another directory",
            );
            return false;
        }
    };
    let (found, known) = inspected.schema;
    let newer =
        if found < known { format!(", and will be brought from schema {found} to {known}") } else { String::new() };
    let used = if inspected.in_use { " and is in use by a head-end" } else { "" };
    findings.fine(place, format!("the store can be read{used}{newer}"));
    if !is_writable(directory) {
        findings.wrong(directory.display(), "may not be written", "give the head-end's user the directory");
    }
    master_key(config, &inspected, findings);
    inspected.in_use
}

fn master_key(config: &Config, inspected: &Inspection, findings: &mut Findings) {
    let path = &config.master_key_file;
    let (place, key) = match std::env::var(MASTER_KEY_VARIABLE).map(zeroize::Zeroizing::new) {
        Ok(text) => (MASTER_KEY_VARIABLE.to_owned(), MasterKey::from_hex(&text, MASTER_KEY_VARIABLE)),
        // Without its file a key would be made, which opens nothing here.
        Err(_) if !path.exists() => {
            let next = "put the file back where the store was made; without it the meters' keys cannot be opened";
            return findings.wrong(path.display(), "is missing, but the store was made with a master key", next);
        }
        Err(_) => (path.display().to_string(), MasterKey::load_or_generate(path).map(|(key, _)| key)),
    };
    let next = "use the key that the store was made with";
    match (key, &inspected.key_check) {
        (Err(error), _) => findings.wrong(place, chain(&error), next),
        (Ok(key), Some(check)) => {
            let opens = Vault::new(&key).verify_check(&Sealed::from_bytes(check.clone()));
            match opens {
                Ok(()) => findings.fine(place, "opens the store's secrets"),
                Err(_) => findings.wrong(place, "does not open the store's secrets", next),
            }
        }
        (Ok(_), None) => findings.fine(place, "is a master key; the store has nothing sealed yet"),
    }
}

fn is_writable(directory: &Path) -> bool {
    let probe = directory.join(format!(".check-{}", std::process::id()));
    let made = std::fs::File::create_new(&probe).is_ok();
    made && std::fs::remove_file(&probe).is_ok()
}

/// Looks whether there can be listened on every address. Of a head-end that runs, the addresses are taken.
fn addresses(config: &Config, in_use: bool, findings: &mut Findings) {
    let push = &config.push;
    let streams = [("listen", config.listen)].into_iter().chain(config.metrics.map(|address| ("metrics", address)));
    let streams = streams
        .chain(push.tcp.iter().map(|address| ("push_tcp", *address)))
        .chain(push.hdlc_tcp.iter().map(|address| ("push_hdlc", *address)))
        .map(|(option, address)| (option, address, TcpListener::bind(address).map(drop)));
    let datagrams = push.udp.iter().map(|address| ("push_udp", *address, UdpSocket::bind(*address).map(drop)));
    for (option, address, bound) in streams.chain(datagrams) {
        let place = format!("{option} {address}");
        match bound {
            Ok(()) => findings.fine(place, "can be listened on"),
            Err(error) if in_use && error.kind() == std::io::ErrorKind::AddrInUse => {
                findings.fine(place, "is taken, as it is by the head-end that runs");
            }
            Err(error) => {
                let next = "stop who listens there, name another address, or one of this machine";
                findings.wrong(place, error, next);
            }
        }
    }
    duplicate(config, findings);
}

fn duplicate(config: &Config, findings: &mut Findings) {
    let mut seen: Vec<SocketAddr> = Vec::new();
    let push = &config.push;
    let streams = [config.listen].into_iter().chain(config.metrics);
    for address in streams.chain(push.tcp.iter().copied()).chain(push.hdlc_tcp.iter().copied()) {
        if address.port() != 0 && seen.contains(&address) {
            findings.wrong(address, "is configured twice", "give each listener an address of its own");
        }
        seen.push(address);
    }
}

/// Before this moment there was no head-end of this version.
fn clock(now: Timestamp, findings: &mut Findings) {
    let made = date(2026, 1, 1).to_zoned(TimeZone::UTC).map(|moment| moment.timestamp());
    if made.is_ok_and(|made| now < made) {
        let next = "set the clock before the start (chrony, ntp): meters' clocks and schedules follow it";
        findings.wrong("clock", format!("says {now}, before this version was made"), next);
    } else {
        findings.fine("clock", now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_with_a_line_is_told_with_its_place() {
        let path = Path::new("a.toml");
        assert_eq!(place(path, "TOML parse error at line 12, column 3"), "a.toml:12");
        assert_eq!(place(path, "no such file"), "a.toml");
        assert_eq!(place(path, "the line is long"), "a.toml");
    }

    #[test]
    fn a_clock_that_was_never_set_is_noticed() {
        let mut findings = Findings::default();
        clock(Timestamp::UNIX_EPOCH, &mut findings);
        clock("2026-11-22T00:00:00Z".parse().unwrap(), &mut findings);
        let weights: Vec<_> = findings.0.iter().map(|finding| finding.weight).collect();
        assert_eq!(weights, [Weight::Wrong, Weight::Fine]);
    }
}
