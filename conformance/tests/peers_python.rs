//! The PyPI packages `gurux-dlms` and `dlms-cosem` as clients of `meter-server`: what they read must be what the
//! model holds. Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`.

mod peer;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use dlms::apdu::Selection;
use dlms::axdr::Data;
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};
use serde_json::{Value, json};

use dlms_meter_server::simulator::Keys;
use peer::simulated::{MeterServer, NOW, Truth, View, encoded};
use peer::{AUTHENTICATION_KEY, Access, ENCRYPTION_KEY, Framing, PASSWORD};

const LOAD_PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);
const MANAGEMENT: Access = Access::Ciphered { general: false };

/// One run of one implementation.
#[derive(Clone, Copy, Debug)]
struct Case {
    stack: &'static str,
    framing: Framing,
    access: Access,
    max_pdu: u16,
    information: u16,
    window: u8,
}

/// Stack x link x mechanism, each with a PDU that fits most answers and one that forces block transfer on top of
/// segmentation. dlms-cosem proposes no HDLC parameters, and neither takes a window of several frames.
fn matrix() -> Vec<Case> {
    let mut cases = Vec::new();
    for stack in ["gurux-dlms", "dlms-cosem"] {
        for access in [Access::Public, Access::Password, MANAGEMENT] {
            for max_pdu in [1024, 256] {
                let case = Case { stack, framing: Framing::Wrapper, access, max_pdu, information: 128, window: 1 };
                cases.extend([case, Case { framing: Framing::Hdlc, ..case }]);
            }
        }
    }
    for access in [Access::Password, MANAGEMENT] {
        let (stack, framing) = ("gurux-dlms", Framing::Hdlc);
        cases.push(Case { stack, framing, access, max_pdu: 0xFFFF, information: 248, window: 1 });
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
    let port = match case.framing {
        Framing::Wrapper => server.wrapper.port(),
        Framing::Hdlc => server.hdlc.port(),
    };
    // The object model of gurux-dlms reads everything again by its own classes: once for each link is enough.
    let typed = case.stack == "gurux-dlms" && case.access == MANAGEMENT && case.max_pdu == 1024;
    let mut plan = json!({
        "stack": case.stack, "host": "127.0.0.1", "port": port, "client": case.access.client(),
        "link": if case.framing == Framing::Hdlc { "hdlc" } else { "wrapper" },
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

/// Has a client of another implementation do what a plan says; its report.
fn report_of(python: &str, folder: &Path, plan: &Value) -> Value {
    let (plan_path, report_path) = (folder.join("plan.json"), folder.join("report.json"));
    std::fs::write(&plan_path, plan.to_string()).expect("a plan");
    let _ = std::fs::remove_file(&report_path);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer.py");
    let output = Command::new(python).arg(script).arg(&plan_path).arg(&report_path).output().expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    let report = std::fs::read(&report_path).unwrap_or_else(|error| panic!("{error}: {errors}"));
    serde_json::from_slice(&report).expect("a report")
}

/// Sixteen octets: one of the clients sends its secret as its challenge, and ciphers it as one block.
const SECRET: &str = "0123456789ABCDEF";
const ENERGY: ObisCode = ObisCode::new(1, 0, 1, 8, 0, 255);

/// Every mechanism with a secret that the clients have, with and without ciphering, and each with a wrong secret.
#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn python_clients_authenticate_by_every_mechanism() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let folder = tempfile::tempdir().expect("a folder");
    let truth = Truth::new();
    let view = View { access: Access::Password, max_pdu: 1024 };
    let expected = truth.read(view, 3, ENERGY, 2, None).expect("the register");
    for (mechanism, name) in [("hls2", "hls2"), ("md5", "hls-md5"), ("sha1", "hls-sha1"), ("sha256", "hls-sha256")] {
        let model = dlms_meter_server::simulator::DEFAULT_MODEL
            .replace("mechanism = \"lls\"", &format!("mechanism = \"{name}\""))
            .replace("mechanism = \"hls-gmac\"", &format!("mechanism = \"{name}\""));
        let path = folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, model).expect("a model");
        let path = path.to_str().expect("text");
        let server = MeterServer::start_with(&["--model", path, "--lls-password", SECRET]);
        for stack in ["gurux-dlms", "dlms-cosem"] {
            if stack == "dlms-cosem" && mechanism != "hls2" {
                // It has none of the others.
                continue;
            }
            for (link, port) in [("wrapper", server.wrapper.port()), ("hdlc", server.hdlc.port())] {
                for ciphered in [false, true] {
                    if ciphered && stack == "dlms-cosem" {
                        // It expects another mechanism in the answer of a ciphered association.
                        continue;
                    }
                    for secret in [SECRET, "0123456789ABCDEX"] {
                        let mut plan = json!({
                            "stack": stack, "host": "127.0.0.1", "port": port, "link": link, "mechanism": mechanism,
                            "client": if ciphered { 1 } else { 17 }, "max_pdu": 1024,
                            "password": hex::encode(secret), "client_title": hex::encode(b"GRX\0\0\0\0\x01"),
                            "requests": [{ "class": 3, "obis": ENERGY.to_string(), "attribute": 2 }],
                        });
                        if ciphered {
                            plan["encryption_key"] = json!(hex::encode(ENCRYPTION_KEY));
                            plan["authentication_key"] = json!(hex::encode(AUTHENTICATION_KEY));
                            let counter = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                            // Later cases count on from earlier ones.
                            plan["invocation_counter"] = json!(counter.expect("a date").as_millis() as u32 >> 1);
                        }
                        let report = report_of(&python, folder.path(), &plan);
                        let what = format!("{stack} {link} {mechanism} ciphered: {ciphered}, {secret}: {report}");
                        if secret == SECRET {
                            assert_eq!(report["values"][0]["value"], expected, "{what}");
                            assert!(report["error"].is_null(), "{what}");
                            println!(
                                "{stack:<11} {link:<8} {mechanism:<7} {}",
                                if ciphered { "ciphered" } else { "plain" }
                            );
                        } else {
                            assert!(
                                report["error"].is_string() && report["values"].as_array().is_some_and(Vec::is_empty),
                                "{what}"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// gurux-dlms replaces the unicast key by key_transfer and goes on with the new one; a later association needs it.
#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn a_python_client_transfers_a_key() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let folder = tempfile::tempdir().expect("a folder");
    let truth = Truth::new();
    let expected = truth.read(View { access: MANAGEMENT, max_pdu: 1024 }, 3, ENERGY, 2, None).expect("the register");
    let server = MeterServer::start();
    let new_key = hex::encode([0x5A; 16]);
    let mut plan = json!({
        "stack": "gurux-dlms", "host": "127.0.0.1", "port": server.wrapper.port(), "link": "wrapper", "client": 1,
        "mechanism": "gmac", "max_pdu": 1024, "client_title": hex::encode(b"GRX\0\0\0\0\x01"), "invocation_counter": 1,
        "encryption_key": hex::encode(ENCRYPTION_KEY), "authentication_key": hex::encode(AUTHENTICATION_KEY),
        "transfer_key": [hex::encode(Keys::DEMONSTRATION_MASTER), new_key],
        "requests": [{ "class": 3, "obis": ENERGY.to_string(), "attribute": 2 }],
    });
    let report = report_of(&python, folder.path(), &plan);
    assert_eq!(report["values"][0]["value"], expected, "{report}");
    assert!(report["error"].is_null(), "{report}");
    // The old key opens nothing any more, the new one does.
    plan.as_object_mut().expect("an object").remove("transfer_key");
    plan["invocation_counter"] = json!(1_000);
    let report = report_of(&python, folder.path(), &plan);
    assert!(report["error"].is_string(), "{report}");
    plan["encryption_key"] = json!(new_key);
    let report = report_of(&python, folder.path(), &plan);
    assert_eq!(report["values"][0]["value"], expected, "{report}");
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn python_clients_read_what_the_model_holds() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let only = std::env::var("DLMS_PEERS_ONLY").unwrap_or_default();
    let folder = tempfile::tempdir().expect("a folder");
    let server = MeterServer::start();
    let truth = Truth::new();
    let mut counters = BTreeMap::new();
    let mut failed = 0;
    println!(
        "{:<11} {:<8} {:<10} {:>6} {:>5} {:>7} {:>8}",
        "client", "link", "access", "pdu", "info", "values", "seconds"
    );
    for case in matrix() {
        let access = match case.access {
            Access::Public => "public",
            Access::Password => "lls",
            Access::Ciphered { .. } => "hls-gmac",
        };
        let name = format!(
            "{:<11} {:<8} {access:<10} {:>6} {:>5}",
            case.stack,
            format!("{:?}", case.framing).to_lowercase(),
            case.max_pdu,
            if case.framing == Framing::Hdlc { case.information.to_string() } else { "-".to_owned() }
        );
        if !name.contains(&only) {
            continue;
        }
        let counter = counters.entry(case.stack).or_insert(1);
        let outcome = run(&python, folder.path(), &server, &truth, &case, counter);
        println!("{name} {:>7} {:>8.2}", outcome.right, outcome.seconds);
        for wrong in outcome.wrong.iter().take(8) {
            println!("    WRONG {wrong}");
        }
        if outcome.wrong.len() > 8 {
            println!("    … and {} more", outcome.wrong.len() - 8);
        }
        failed += usize::from(!outcome.wrong.is_empty());
    }
    assert_eq!(failed, 0, "cases failed");
}
