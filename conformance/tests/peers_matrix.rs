//! Independent implementations over link × mechanism × envelope × PDU size × window: the PyPI packages `gurux-dlms` and
//! `dlms-cosem` as clients of `meter-server`, and the crate `dlms-cosem-rs` in both roles. What is read must be what the
//! model holds, and the table in `docs/peers-matrix.md` must say what came of it: `DLMS_PEERS_UPDATE=1` writes it anew.
//! Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`; `DLMS_PEERS_ONLY` names a part
//! of the cases, such as `gurux-dlms  wrapper`.

mod peer;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use dlms::apdu::Selection;
use dlms::axdr::Data;
use dlms::hdlc::Parameters;
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};
use dlms_cosem_rs::transport::hdlc::Parameters as Proposed;
use serde_json::{Value, json};

use peer::exercise::{exercise, read_all};
use peer::ours::Ours;
use peer::reader::Reader;
use peer::simulated::{MeterServer, NOW, Truth, View, encoded};
use peer::{AUTHENTICATION_KEY, Access, ENCRYPTION_KEY, Framing, PASSWORD, meter, ours};

const LOAD_PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);
const MANAGEMENT: Access = Access::Ciphered { general: false };

/// One run of one implementation.
#[derive(Clone, Copy, Debug)]
struct Case {
    stack: &'static str,
    framing: Framing,
    access: Access,
    envelope: Envelope,
    max_pdu: u16,
    information: u16,
    window: u8,
}

/// How requests are wrapped where they are ciphered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Envelope {
    Service { dedicated: bool },
    General { dedicated: bool },
}

impl Envelope {
    const fn name(self, access: Access) -> &'static str {
        match (access, self) {
            (Access::Public | Access::Password, _) => "plain",
            (_, Self::Service { dedicated: false }) => "glo",
            (_, Self::Service { dedicated: true }) => "ded",
            (_, Self::General { dedicated: false }) => "general-glo",
            (_, Self::General { dedicated: true }) => "general-ded",
        }
    }
}

/// Stack × link × mechanism, each with a PDU that fits most answers and ones that force block transfer on top of
/// segmentation; then what only gurux-dlms can: other envelopes, and longer information fields.
fn matrix() -> Vec<Case> {
    let mut cases = Vec::new();
    let general = Envelope::General { dedicated: false };
    for (stack, sizes) in [("gurux-dlms", &[1024, 256, 128][..]), ("dlms-cosem", &[1024, 256])] {
        for framing in [Framing::Wrapper, Framing::Hdlc] {
            for access in [Access::Public, Access::Password, MANAGEMENT] {
                cases.extend(sizes.iter().map(|max_pdu| Case {
                    stack,
                    framing,
                    access,
                    envelope: general,
                    max_pdu: *max_pdu,
                    information: 128,
                    window: 1,
                }));
            }
        }
    }
    let (stack, information, window) = ("gurux-dlms", 128, 1);
    for framing in [Framing::Wrapper, Framing::Hdlc] {
        for envelope in [
            Envelope::Service { dedicated: false },
            Envelope::Service { dedicated: true },
            Envelope::General { dedicated: true },
        ] {
            cases.push(Case { stack, framing, access: MANAGEMENT, envelope, max_pdu: 256, information, window });
        }
    }
    for access in [Access::Password, MANAGEMENT] {
        let framing = Framing::Hdlc;
        cases.push(Case { stack, framing, access, envelope: general, max_pdu: 0xFFFF, information: 248, window });
    }
    cases
}

/// What is read in each case, and what must come of it (`None`: refused).
fn requests(truth: &Truth, view: View, title: [u8; 8]) -> Vec<(Value, Option<Value>)> {
    let mut requests = Vec::new();
    let mut ask = |class: u16, obis: ObisCode, attribute: i8| {
        let expected = match (class, obis.0[4], attribute) {
            // What the association itself changes: its own status (2: associated), and the client's title.
            (15, 3, 8) => Some(json!(2)),
            (64, 0, 4) => Some(json!(hex::encode(title))),
            _ => truth.read(view, class, obis, attribute, None).ok(),
        };
        requests.push((json!({ "class": class, "obis": obis.to_string(), "attribute": attribute }), expected));
    };
    for (class, obis, attributes) in truth.objects(view) {
        for attribute in attributes {
            // Whole load profiles are read in parts below. Counters move with every association.
            let whole_profile = class == 7 && attribute == 2 && obis.0[2] == 99 && obis.0[0] == 1;
            let counter = class == 1 && obis.0[2] == 43;
            if !whole_profile && !counter {
                ask(class, obis, attribute);
            }
        }
    }
    if view.access == Access::Public {
        // Metering data is not for everybody.
        ask(3, ObisCode::new(1, 0, 1, 8, 0, 255), 2);
        return requests;
    }
    let day = 86_400;
    let from = (NOW / day - 2) * day;
    requests.extend([by_range(truth, view, from, from + day), by_entry(truth, view, 5, 120)]);
    requests
}

fn by_range(truth: &Truth, view: View, from: i64, to: i64) -> (Value, Option<Value>) {
    let time = |seconds| DateTime::from_unix_seconds(seconds, 0, ClockStatus(0));
    let parameters = encoded(|writer| {
        writer.structure(4)?;
        writer.structure(4)?;
        writer.long_unsigned(8)?;
        writer.obis(ObisCode::new(0, 0, 1, 0, 0, 255))?;
        writer.integer(2)?;
        writer.long_unsigned(0)?;
        writer.date_time(&time(from))?;
        writer.date_time(&time(to))?;
        writer.array(0)
    });
    let parameters = Data::from_slice(&parameters).expect("a value");
    let expected = truth.read(view, 7, LOAD_PROFILE, 2, Some(Selection { selector: 1, parameters }));
    let texts = [from, to].map(|seconds| format!("{}+00:00", iso(seconds)));
    let request = json!({ "class": 7, "obis": LOAD_PROFILE.to_string(), "attribute": 2, "range": texts });
    (request, Some(expected.expect("rows")))
}

fn by_entry(truth: &Truth, view: View, first: u32, last: u32) -> (Value, Option<Value>) {
    let expected = truth.entries(view, LOAD_PROFILE, first, last).expect("rows");
    let request = json!({ "class": 7, "obis": LOAD_PROFILE.to_string(), "attribute": 2, "entries": [first, last] });
    (request, Some(expected))
}

fn iso(seconds: i64) -> String {
    let time = DateTime::from_unix_seconds(seconds, 0, ClockStatus(0));
    let part = |part: Option<u8>| part.expect("a full date");
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        time.year().expect("a year"),
        part(time.month()),
        part(time.day()),
        part(time.hour()),
        part(time.minute()),
        part(time.second())
    )
}

/// Runs a case; returns what was wrong, and how many values were right.
fn run(python: &str, folder: &Path, server: &MeterServer, truth: &Truth, case: &Case, counter: &mut u32) -> Outcome {
    // Titles of their own, so that the invocation counters of the two stacks have nothing to do with each other.
    let title = if case.stack == "gurux-dlms" { *b"GRX\0\0\0\0\x01" } else { *b"PYD\0\0\0\0\x01" };
    let mut requests = requests(truth, View { access: case.access, max_pdu: case.max_pdu }, title);
    if case.stack == "dlms-cosem" {
        // It decodes no bit-string, which xDLMS context info begins with, and asks for no entries.
        requests.retain(|(request, _)| {
            (&request["class"], &request["attribute"]) != (&json!(15), &json!(5)) && request.get("entries").is_none()
        });
    }
    if matches!((case.access, case.envelope), (Access::Ciphered { .. }, Envelope::Service { .. })) {
        // Without general protection it proposes something else than the model is asked with.
        requests.retain(|(request, _)| (&request["class"], &request["attribute"]) != (&json!(15), &json!(5)));
    }
    let port = match case.framing {
        Framing::Wrapper => server.wrapper.port(),
        Framing::Hdlc => server.hdlc.port(),
    };
    // The object model of gurux-dlms reads everything again by its own classes: once for each link is enough.
    let typed = case.stack == "gurux-dlms" && case.access == MANAGEMENT && case.max_pdu == 1024;
    let mut plan = json!({
        "stack": case.stack, "host": "127.0.0.1", "port": port, "client": case.access.client(),
        "link": if case.framing == Framing::Hdlc { "hdlc" } else { "wrapper" },
        "general": matches!(case.envelope, Envelope::General { .. }),
        "max_pdu": case.max_pdu, "information_field": case.information, "window": case.window,
        "requests": requests.iter().map(|(request, _)| request).collect::<Vec<_>>(), "typed": typed,
    });
    match case.access {
        Access::Public => {}
        Access::Password => {
            plan["mechanism"] = json!("lls");
            plan["password"] = json!(hex::encode(PASSWORD));
        }
        Access::Ciphered { .. } => {
            plan["mechanism"] = json!("gmac");
            plan["encryption_key"] = json!(hex::encode(ENCRYPTION_KEY));
            plan["authentication_key"] = json!(hex::encode(AUTHENTICATION_KEY));
            plan["client_title"] = json!(hex::encode(title));
            plan["invocation_counter"] = json!(*counter);
            if matches!(case.envelope, Envelope::Service { dedicated: true } | Envelope::General { dedicated: true }) {
                plan["dedicated_key"] = json!(hex::encode([0xD4; 16]));
            }
        }
    }
    let (plan_path, report_path) = (folder.join("plan.json"), folder.join("report.json"));
    std::fs::write(&plan_path, plan.to_string()).expect("a plan");
    let _ = std::fs::remove_file(&report_path);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer.py");
    let output = Command::new(python).arg(script).arg(&plan_path).arg(&report_path).output().expect("Python starts");
    let Ok(report) = std::fs::read(&report_path) else {
        return Outcome { wrong: vec![String::from_utf8_lossy(&output.stderr).into_owned()], ..Outcome::default() };
    };
    let report: Value = serde_json::from_slice(&report).expect("a report");
    if matches!(case.access, Access::Ciphered { .. }) {
        // Both stacks say the counter they would use next; the next case goes on behind it.
        let next = report["counter"].as_u64().and_then(|next| u32::try_from(next).ok());
        *counter = next.unwrap_or(*counter + 100_000) + 10;
    }
    let mut outcome = Outcome { seconds: report["seconds"].as_f64().unwrap_or_default(), ..Outcome::default() };
    outcome.wrong.extend(report["error"].as_str().map(str::to_owned));
    let values = report["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    for ((request, expected), found) in requests.iter().zip(values) {
        outcome.compare(request, expected.as_ref(), found);
    }
    if values.len() < requests.len() {
        outcome.wrong.push(format!("{} of {} requests were made", values.len(), requests.len()));
    }
    if typed {
        let expected: BTreeMap<String, Option<&Value>> =
            requests.iter().map(|(request, expected)| (key(request), expected.as_ref())).collect();
        let reports = report["typed"].as_array().map(Vec::as_slice).unwrap_or_default();
        outcome.wrong.extend(reports.is_empty().then(|| "the object model read nothing".to_owned()));
        for found in reports {
            if let Some(expected) = expected.get(&key(found)) {
                outcome.compare(found, *expected, found);
            }
        }
    }
    outcome
}

fn key(request: &Value) -> String {
    format!("{} {} {}", request["class"], request["obis"], request["attribute"])
}

#[derive(Debug, Default)]
struct Outcome {
    right: usize,
    wrong: Vec<String>,
    seconds: f64,
}

impl Outcome {
    fn compare(&mut self, request: &Value, expected: Option<&Value>, found: &Value) {
        let right = match expected {
            // gurux-dlms makes an empty array nothing.
            Some(expected) => found.get("value").is_some_and(|value| {
                value == expected || (value.is_null() && expected.as_array().is_some_and(Vec::is_empty))
            }),
            None => found.get("refused").is_some(),
        };
        if right {
            self.right += 1;
        } else {
            let expected = expected.map_or_else(|| "a refusal".to_owned(), Value::to_string);
            let shorten = |text: String| text.chars().take(160).collect::<String>();
            self.wrong.push(format!(
                "{}: expected {}, found {}",
                key(request),
                shorten(expected),
                shorten(found.to_string())
            ));
        }
    }
}

/// A line of the table: everything but the PDU size, and what came of it.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    what: [String; 6],
    max_pdu: u16,
    values: usize,
}

fn row(peer: &str, role: &str, framing: Framing, access: Access, envelope: &str, window: u8, max_pdu: u16) -> Row {
    let (link, window) = match framing {
        Framing::Wrapper => ("wrapper, TCP", "–".to_owned()),
        Framing::Hdlc => ("HDLC", window.to_string()),
    };
    let mechanism = match access {
        Access::Public => "none",
        Access::Password => "LLS",
        Access::Ciphered { .. } => "HLS 5 (GMAC)",
    };
    let what = [peer, role, link, mechanism, envelope, &window].map(str::to_owned);
    Row { what, max_pdu, values: 0 }
}

/// dlms-cosem-rs as a client of meter-server and as a server for our client.
fn rust_rows(server: &MeterServer, truth: &Truth) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut counter = 0;
    for framing in [Framing::Wrapper, Framing::Hdlc] {
        let address = if framing == Framing::Hdlc { server.hdlc } else { server.wrapper };
        for access in [Access::Public, Access::Password, MANAGEMENT] {
            for (max_pdu, window) in [(1024, 1_u8), (256, 7), (128, 3)] {
                let parameters = Proposed { window_tx: window.into(), window_rx: window.into(), ..Proposed::DEFAULT };
                let mut reader = Reader::open(address, framing, access, max_pdu, counter, parameters).expect("open");
                let values = read_all(&mut reader, truth, View { access, max_pdu });
                counter = reader.counter().max(counter);
                reader.close().expect("a release");
                let envelope = if access == MANAGEMENT { "glo" } else { "plain" };
                let row = row("dlms-cosem-rs 0.1.0", "client", framing, access, envelope, window, max_pdu);
                rows.push(Row { values, ..row });
            }
        }
    }
    for framing in [Framing::Wrapper, Framing::Hdlc] {
        for (access, envelope) in [
            (Access::Public, "plain"),
            (Access::Password, "plain"),
            (MANAGEMENT, "glo"),
            (Access::Ciphered { general: true }, "general-glo"),
        ] {
            for max_pdu in [0xFFFF, 512, 128] {
                let client = access.client();
                let (address, thread) = meter::start(framing, access, client, max_pdu);
                let blocks = max_pdu < 2_400;
                let values = match framing {
                    Framing::Wrapper => {
                        exercise(&mut Ours::connect(address, ours::wrapper(client), access, client, max_pdu), blocks)
                    }
                    Framing::Hdlc => {
                        let link = ours::hdlc(client, Parameters::DEFAULT);
                        exercise(&mut Ours::connect(address, link, access, client, max_pdu), blocks)
                    }
                };
                thread.join().expect("no panic").expect("no error");
                rows.push(Row {
                    values,
                    ..row("dlms-cosem-rs 0.1.0", "server", framing, access, envelope, 1, max_pdu)
                });
            }
        }
    }
    rows
}

/// The document, PDU sizes of one case in one line.
fn document(rows: &[Row]) -> String {
    let mut lines: Vec<(&[String; 6], Vec<String>, Vec<usize>)> = Vec::new();
    for row in rows {
        match lines.iter_mut().find(|(what, ..)| *what == &row.what) {
            Some((_, sizes, values)) => {
                sizes.push(row.max_pdu.to_string());
                values.push(row.values);
            }
            None => lines.push((&row.what, vec![row.max_pdu.to_string()], vec![row.values])),
        }
    }
    let table: String = lines
        .iter()
        .map(|(what, sizes, values)| {
            let values: Vec<String> = values.iter().map(usize::to_string).collect();
            format!("| {} | {} | {} |\n", what.join(" | "), sizes.join(", "), values.join(", "))
        })
        .collect();
    format!("{HEAD}{table}{FOOT}")
}

const HEAD: &str = "\
# Other implementations at the other end

Written by `conformance/tests/peers_matrix.rs`, which `./test peers` runs; it fails when a case fails or when this page
says something else than what came of it. A client reads every attribute that the simulated meter shows it, and parts
of the load profile by range and by entry; each value must be the model's. A server is read, written and invoked by
our client. The numbers at the end are the values that agreed, for each PDU size.

| peer | its role | link | mechanism | envelope | window | longest APDU | values |
|---|---|---|---|---|---|---|---|
";

const FOOT: &str = "
## What is not in the table, and why

| combination | reason |
|---|---|
| `gurux-dlms`, `dlms-cosem`: windows over 1 | neither sends or takes several frames at a time |
| `dlms-cosem`: information fields, PDUs under 256 | it proposes no HDLC parameters |
| `dlms-cosem`: entries, bit-strings | it cannot encode an entry descriptor nor decode a bit-string, which the context information of the association begins with |
| `dlms-cosem`, `dlms-cosem-rs`: dedicated keys | neither proposes one |
| `gurux-dlms` as server | its server is a skeleton whose objects and sockets are for the user to write |
| UDP | none of the three opens a UDP socket by itself |
| HLS 2, 3, 4, 6 | `peers_mechanisms.rs`: `gurux-dlms` over the wrapper and HDLC, plain and ciphered, with a right and a wrong secret; `dlms-cosem` has HLS 2 alone, plain |
| HLS 7, suites 1 and 2 | none of the three has them in a form that is on a registry; vectors and another X.509 stack stand for them |
| short names | `peers_short_names.rs`: `gurux-dlms` as client, plain, over the wrapper and HDLC |
";

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn independent_implementations_over_the_matrix() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let only = std::env::var("DLMS_PEERS_ONLY").unwrap_or_default();
    let folder = tempfile::tempdir().expect("a folder");
    let server = MeterServer::start();
    let truth = Truth::new();
    let (mut counters, mut rows, mut failed) = (BTreeMap::new(), Vec::new(), 0);
    for case in matrix() {
        let version = if case.stack == "gurux-dlms" { "gurux-dlms 1.0.203" } else { "dlms-cosem 25.1.0" };
        let envelope = case.envelope.name(case.access);
        let row = row(version, "client", case.framing, case.access, envelope, case.window, case.max_pdu);
        let name = format!("{} {}", row.what.join(" "), row.max_pdu);
        if !name.contains(&only) {
            continue;
        }
        let counter = counters.entry(case.stack).or_insert(1);
        let outcome = run(&python, folder.path(), &server, &truth, &case, counter);
        println!("{name}: {} values, {:.2} s", outcome.right, outcome.seconds);
        for wrong in outcome.wrong.iter().take(8) {
            println!("    WRONG {wrong}");
        }
        failed += usize::from(!outcome.wrong.is_empty());
        rows.push(Row { values: outcome.right, ..row });
    }
    assert_eq!(failed, 0, "cases failed");
    if !only.is_empty() {
        return;
    }
    rows.extend(rust_rows(&server, &truth));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/peers-matrix.md");
    let document = document(&rows);
    if std::env::var_os("DLMS_PEERS_UPDATE").is_some() {
        std::fs::write(&path, &document).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == document, "docs/peers-matrix.md is out of date: DLMS_PEERS_UPDATE=1 ./test peers");
}
