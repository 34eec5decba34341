//! Independent implementations over link × mechanism × envelope × PDU size × window: the PyPI packages `gurux-dlms` and
//! `dlms-cosem` as clients of `meter-server`, and the crate `dlms-cosem-rs` in both roles. What is read must be what the
//! model holds, and the table in `docs/peers-matrix.md` must say what came of it: `DLMS_PEERS_UPDATE=1` writes it anew.
//! Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`; `DLMS_PEERS_ONLY` names a part
//! of the cases, such as `wrapper, UDP`.

mod peer;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use dlms::apdu::Selection;
use dlms::axdr::{Data, Value as Owned};
use dlms::hdlc::Parameters;
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};
use dlms_cosem_rs::transport::hdlc::Parameters as Proposed;
use serde_json::{Value, json};

use peer::case::{Case, Envelope, Mechanism, matrix, rust_matrix};
use peer::exercise::{exercise, read_all};
use peer::ours::Ours;
use peer::python::Python;
use peer::reader::Reader;
use peer::simulated::{self, MeterServer, NOW, SECRET, Truth, View, encoded, is_beyond_dlms_cosem, without_types};
use peer::table::{Row, document, holds};
use peer::{AUTHENTICATION_KEY, Access, ENCRYPTION_KEY, Framing, PASSWORD, ours};

const LOAD_PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);

/// What is read in each case, and what must come of it (`None`: refused).
fn requests(truth: &Truth, view: View, title: [u8; 8]) -> Vec<(Value, Option<Value>)> {
    let mut requests = Vec::new();
    let mut ask = |class: u16, obis: ObisCode, attribute: i8| {
        let seen = truth.seen(view, class, obis, attribute, None);
        let bits =
            seen.as_ref().is_ok_and(|octets| is_beyond_dlms_cosem(&Owned::from_slice(octets).expect("the model's")));
        let expected = match (class, obis.0[4], attribute) {
            // What the association itself changes: its own status (2: associated), and the client's title.
            (15, 3, 8) => Some(json!(2)),
            (64, 0, 4) => Some(json!(hex::encode(title))),
            _ => match seen {
                // Of what has the tag of a date-time, each makes an object of its own.
                Ok(octets) if octets.first() == Some(&25) => Some(json!({ "anything": "date-time" })),
                Ok(octets) => Some(without_types(&octets)),
                Err(_) => None,
            },
        };
        requests.push((
            json!({ "class": class, "obis": obis.to_string(), "attribute": attribute, "bits": bits }),
            expected,
        ));
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
fn run(python: &Python, meter: &Meter, case: &Case, counter: &mut u32) -> Outcome {
    // Titles of their own, so that the invocation counters of the two stacks have nothing to do with each other.
    let title = if case.stack == "gurux-dlms" { *b"GRX\0\0\0\0\x01" } else { *b"PYD\0\0\0\0\x01" };
    let access = case.access();
    let mut requests = requests(&meter.truth, View { access, max_pdu: case.max_pdu }, title);
    if case.stack == "dlms-cosem" {
        // It decodes no bit-string, and asks for no entries.
        requests.retain(|(request, _)| request["bits"] != json!(true) && request.get("entries").is_none());
    }
    if matches!(case.envelope, Envelope::Service { .. }) {
        // Without general protection it proposes something else than the model is asked with.
        requests.retain(|(request, _)| !is_context_info(request));
    }
    if Mechanism::OTHERS.contains(&case.mechanism) {
        // What is read has nothing to do with who reads; the parts of the profile are at the end.
        let profile = requests.split_off(requests.len() - 2);
        requests = requests.into_iter().step_by(8).chain(profile).collect();
    }
    // The object model of gurux-dlms reads everything again by its own classes: once is enough.
    let typed = (case.stack, case.framing, case.mechanism, case.max_pdu, case.envelope)
        == ("gurux-dlms", Framing::Wrapper, Mechanism::Gmac, 1024, Envelope::General { dedicated: false });
    let mut plan = json!({
        "stack": case.stack, "host": "127.0.0.1", "port": meter.server.address(case.framing).port(),
        "client": access.client(), "link": case.framing.in_plan(), "mechanism": case.mechanism.in_plan(),
        "general": case.envelope.is_general(), "max_pdu": case.max_pdu,
        "information_field": case.information, "window": case.window,
        "requests": requests.iter().map(|(request, _)| request).collect::<Vec<_>>(), "typed": typed,
    });
    match case.mechanism {
        Mechanism::None | Mechanism::Gmac => {}
        Mechanism::Lls => plan["password"] = json!(hex::encode(PASSWORD)),
        _ => {
            plan["password"] = json!(hex::encode(SECRET));
            plan["client_title"] = json!(hex::encode(title));
        }
    }
    if let Access::Ciphered { .. } = access {
        plan["encryption_key"] = json!(hex::encode(ENCRYPTION_KEY));
        plan["authentication_key"] = json!(hex::encode(AUTHENTICATION_KEY));
        plan["client_title"] = json!(hex::encode(title));
        plan["invocation_counter"] = json!(*counter);
        if case.envelope.is_dedicated() {
            plan["dedicated_key"] = json!(hex::encode([0xD4; 16]));
        }
    }
    let report = match python.try_report(&plan) {
        Ok(report) => report,
        Err(said) => return Outcome { wrong: vec![said], ..Outcome::default() },
    };
    if let Access::Ciphered { .. } = access {
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

/// xDLMS context info of the association.
fn is_context_info(request: &Value) -> bool {
    (&request["class"], &request["attribute"]) == (&json!(15), &json!(5))
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
            Some(Value::Object(_)) => found.get("value").is_some_and(|value| !value.is_null()),
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

/// A simulated meter and what it holds.
struct Meter {
    server: MeterServer,
    truth: Truth,
}

impl Meter {
    /// Whose clients prove themselves by this mechanism.
    fn new(mechanism: Mechanism, folder: &Path) -> Self {
        if !Mechanism::OTHERS.contains(&mechanism) {
            return Self { server: MeterServer::start(), truth: Truth::new() };
        }
        let (server, truth) = simulated::with_mechanism(mechanism, folder);
        Self { server, truth }
    }
}

/// dlms-cosem-rs as a client of meter-server, and as a server for our client.
fn rust_rows(meter: &Meter) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut counter = 0;
    let started = Instant::now();
    for case in rust_matrix(true) {
        let window = u32::from(case.window);
        let parameters = Proposed { window_tx: window, window_rx: window, ..Proposed::DEFAULT };
        let (address, access) = (meter.server.address(case.framing), case.access());
        let mut reader =
            Reader::open(address, case.framing, access, case.max_pdu, counter, parameters).expect("an association");
        let values = read_all(&mut reader, &meter.truth, View { access, max_pdu: case.max_pdu });
        counter = reader.counter().max(counter);
        reader.close().expect("a release");
        rows.push(Row { what: case.row("client"), max_pdu: case.max_pdu, values });
    }
    for case in rust_matrix(false) {
        let (access, client, max_pdu) = (case.access(), case.access().client(), case.max_pdu);
        let (address, thread) = peer::meter::start(case.framing, access, client, max_pdu);
        let blocks = max_pdu < 2_400;
        let values = match case.framing {
            Framing::Wrapper => {
                exercise(&mut Ours::connect(address, ours::wrapper(client), access, client, max_pdu), blocks)
            }
            Framing::Udp => {
                exercise(&mut Ours::connect_udp(address, ours::wrapper(client), access, client, max_pdu), blocks)
            }
            Framing::Hdlc => {
                let link = ours::hdlc(client, Parameters::symmetric(case.information, case.window));
                exercise(&mut Ours::connect(address, link, access, client, max_pdu), blocks)
            }
        };
        thread.join().expect("no panic").expect("no error");
        rows.push(Row { what: case.row("server"), max_pdu, values });
    }
    println!("dlms-cosem-rs: {} cases, {:.2} s", rows.len(), started.elapsed().as_secs_f64());
    rows
}

#[test]
fn a_kept_table_holds_while_nothing_is_lost() {
    let row = |max_pdu: u16, values: usize, peer: &str| Row {
        what: [peer, "client", "HDLC", "none", "plain", "1 × 128"].map(str::to_owned),
        max_pdu,
        values,
    };
    let table = |first, second| document(&[row(1024, first, "one"), row(256, second, "one"), row(256, 7, "other")]);
    assert!(holds(&table(20, 30), &table(20, 30)));
    assert!(holds(&table(20, 30), &table(21, 300)));
    assert!(!holds(&table(20, 30), &table(21, 29)));
    assert!(!holds(&table(20, 30), &document(&[row(1024, 20, "one"), row(256, 30, "one")])));
    assert!(!holds(&table(20, 30), &document(&[row(1024, 20, "one"), row(256, 30, "one"), row(256, 7, "third")])));
    assert!(!holds(&table(20, 30), &document(&[row(1024, 20, "one"), row(128, 30, "one"), row(256, 7, "other")])));
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn independent_implementations_over_the_matrix() {
    let python = Python::new();
    let only = std::env::var("DLMS_PEERS_ONLY").unwrap_or_default();
    let usual = Meter::new(Mechanism::None, python.folder());
    let (mut others, mut counters) = (BTreeMap::new(), BTreeMap::new());
    let (mut rows, mut failed) = (Vec::new(), 0);
    for case in matrix() {
        let row = Row { what: case.row("client"), max_pdu: case.max_pdu, values: 0 };
        let name = format!("{} {}", row.what.join(" "), row.max_pdu);
        if !name.contains(&only) {
            continue;
        }
        let meter = if Mechanism::OTHERS.contains(&case.mechanism) {
            others.entry(case.mechanism).or_insert_with(|| Meter::new(case.mechanism, python.folder()))
        } else {
            &usual
        };
        let counter = counters.entry(case.stack).or_insert(1);
        let outcome = run(&python, meter, &case, counter);
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
    rows.extend(rust_rows(&usual));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/peers-matrix.md");
    let document = document(&rows);
    if std::env::var_os("DLMS_PEERS_UPDATE").is_some() {
        std::fs::write(&path, &document).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(holds(&kept, &document), "docs/peers-matrix.md is out of date: DLMS_PEERS_UPDATE=1 ./test peers");
}
