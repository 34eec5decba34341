//! The PyPI packages `gurux-dlms` and `dlms-cosem` read every model of `meter-server` whole: each attribute of each object
//! in the list of each association, which must be what the model holds, or refused where the list grants no reading.
//! Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`; `DLMS_PEERS_ONLY` names a part of
//! the cases, such as `dlms-cosem  smr5`. The model with short names is read in `peers_short_names`.

mod peer;

use dlms::acse::Mechanism;
use dlms::apdu::{Conformance, Selection};
use dlms::association::Referencing;
use dlms::association::server::Access;
use dlms::axdr::Value as Owned;
use dlms::id::{ClientSap, ServerSap};
use dlms::obis::ObisCode;
use dlms::security::Protection;
use dlms::time::{ClockStatus, DateTime};
use dlms_meter_server::simulator::MODELS;
use serde_json::{Value, json};

use peer::python::Python;
use peer::simulated::{MeterServer, NOW, Truth, is_beyond_dlms_cosem, without_types};
use peer::{AUTHENTICATION_KEY, ENCRYPTION_KEY, PASSWORD};

/// Rows beyond which a profile is read in part.
const WHOLE: usize = 60;

/// One client of one model, as one implementation.
struct Case {
    stack: &'static str,
    model: &'static str,
    client: ClientSap,
    mechanism: Mechanism,
    ciphered: bool,
}

impl Case {
    /// Its name for the plan; `None` for what the implementation cannot do.
    fn mechanism(&self) -> Option<&'static str> {
        match (self.mechanism, self.stack) {
            (Mechanism::Lowest, _) => Some("none"),
            (Mechanism::Gmac, _) => Some("gmac"),
            (Mechanism::Lls, _) => Some("lls"),
            // It expects another mechanism in the answer of a ciphered association.
            (Mechanism::Hls2, "dlms-cosem") if self.ciphered => None,
            (Mechanism::Hls2, _) => Some("hls2"),
            (Mechanism::Md5, "gurux-dlms") => Some("md5"),
            (Mechanism::Sha1, "gurux-dlms") => Some("sha1"),
            (Mechanism::Sha256, "gurux-dlms") => Some("sha256"),
            _ => None,
        }
    }

    fn asked(&self) -> Access {
        Access {
            referencing: Referencing::LogicalName,
            client: self.client,
            server: ServerSap(1),
            mechanism: self.mechanism,
            ciphered_context: self.ciphered,
            request: if self.ciphered { Protection::AUTHENTICATED_ENCRYPTED } else { Protection::NONE },
            broadcast: false,
            conformance: Conformance::GET | Conformance::SELECTIVE_ACCESS,
            client_max_pdu: 1024,
            server_max_pdu: 1024,
            client_title: None,
        }
    }
}

/// What must come of a request.
enum Expected {
    Value(Value),
    /// Something, which the association itself changes.
    Any,
    Refused,
}

/// The number that a value is.
fn count(octets: &[u8]) -> usize {
    let value = without_types(octets);
    value.as_u64().and_then(|value| usize::try_from(value).ok()).expect("a number")
}

/// Everything in the object list, and what must come of it.
fn requests(truth: &Truth, case: &Case) -> Vec<(Value, Expected)> {
    let asked = case.asked();
    let read = |class, obis, attribute| truth.octets(&asked, class, obis, attribute, None);
    let list = read(15, ObisCode::new(0, 0, 40, 0, 0, 255), 2).expect("the object list");
    let mut requests = Vec::new();
    for entry in without_types(&list).as_array().expect("a list") {
        let class = entry[0].as_u64().and_then(|class| u16::try_from(class).ok()).expect("a class");
        let octets = hex::decode(entry[2].as_str().expect("a logical name")).expect("hexadecimal");
        let obis = ObisCode::from_slice(&octets).expect("six octets");
        for right in entry[3][0].as_array().expect("rights") {
            let attribute = right[0].as_i64().and_then(|id| i8::try_from(id).ok()).expect("an attribute");
            let mut request = json!({ "class": class, "obis": obis.to_string(), "attribute": attribute });
            let mut selected = None;
            if (class, attribute) == (7, 2) && count(&read(7, obis, 7).expect("entries in use")) > WHOLE {
                let (parameters, selector) = if case.stack == "gurux-dlms" {
                    request["entries"] = json!([1, 5]);
                    (entries(1, 5), 2)
                } else {
                    // The last two days before the day before.
                    let (from, to) = (NOW - 3 * 86_400, NOW - 86_400);
                    request["range"] = json!([iso(from), iso(to)]);
                    (range(from, to), 1)
                };
                selected = Some((parameters, selector));
            }
            let selection = selected.as_ref().map(|(octets, selector)| Selection {
                selector: *selector,
                parameters: dlms::axdr::Data::from_slice(octets).expect("a value"),
            });
            let result = truth.octets(&asked, class, obis, attribute, selection);
            // The list says what the meter does: 0 nothing, 2 and 5 writing alone.
            let granted = right[1].as_u64().is_some_and(|mode| ![0, 2, 5].contains(&mode));
            assert_eq!(granted, result.is_ok(), "{} {request}: {result:?}", case.model);
            let expected = match (result, class, attribute) {
                (Err(_), ..) => Expected::Refused,
                // Status, negotiated context and title of the client; the counters of its ciphering.
                (Ok(_), 15, 5 | 8) | (Ok(_), 64, 4) => Expected::Any,
                (Ok(_), 1, 2) if obis.0[2..4] == [43, 1] => Expected::Any,
                (Ok(octets), ..) => {
                    let owned = Owned::from_slice(&octets).expect("the model writes A-XDR");
                    if matches!(owned, Owned::DateTime(_)) {
                        // Of what has the tag of a date-time, each makes an object of its own.
                        requests.push((request, Expected::Any));
                        continue;
                    }
                    if case.stack == "dlms-cosem" && is_beyond_dlms_cosem(&owned) {
                        continue;
                    }
                    Expected::Value(without_types(&octets))
                }
            };
            if case.stack == "dlms-cosem" && (class, attribute) == (15, 5) {
                continue;
            }
            requests.push((request, expected));
        }
    }
    requests
}

fn entries(first: u32, last: u32) -> Vec<u8> {
    let rows = [Owned::DoubleLongUnsigned(first), Owned::DoubleLongUnsigned(last)];
    let columns = [Owned::LongUnsigned(1), Owned::LongUnsigned(0)];
    Owned::Structure([rows, columns].concat()).to_vec()
}

fn range(from: i64, to: i64) -> Vec<u8> {
    let clock = Owned::Structure(vec![
        Owned::LongUnsigned(8),
        Owned::OctetString(vec![0, 0, 1, 0, 0, 255]),
        Owned::Integer(2),
        Owned::LongUnsigned(0),
    ]);
    let time = |seconds| {
        let time = DateTime::from_unix_seconds(seconds, 0, ClockStatus(0));
        Owned::OctetString(time.as_bytes().to_vec())
    };
    Owned::Structure(vec![clock, time(from), time(to), Owned::Array(Vec::new())]).to_vec()
}

fn iso(seconds: i64) -> String {
    let time = DateTime::from_unix_seconds(seconds, 0, ClockStatus(0));
    let part = |part: Option<u8>| part.expect("a full date");
    let (date, clock) = ([time.month(), time.day()].map(part), [time.hour(), time.minute(), time.second()].map(part));
    let [hour, minute, second] = clock;
    let year = time.year().expect("a year");
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}+00:00", date[0], date[1])
}

/// Reads all; returns how many values were right, and what was wrong.
fn run(python: &Python, server: &MeterServer, truth: &Truth, case: &Case, counter: u32) -> (usize, Vec<String>) {
    let requests = requests(truth, case);
    let mut plan = json!({
        "stack": case.stack, "host": "127.0.0.1", "port": server.wrapper.port(), "link": "wrapper",
        "client": case.client.0, "mechanism": case.mechanism(), "max_pdu": 1024,
        "requests": requests.iter().map(|(request, _)| request).collect::<Vec<_>>(),
    });
    if !matches!(case.mechanism, Mechanism::Lowest | Mechanism::Gmac) {
        plan["password"] = json!(hex::encode(PASSWORD));
    }
    if case.ciphered {
        // Titles of their own, so that the counters of the two have nothing to do with each other.
        let title = if case.stack == "gurux-dlms" { b"GRX\0\0\0\0\x01" } else { b"PYD\0\0\0\0\x01" };
        plan["client_title"] = json!(hex::encode(title));
        plan["encryption_key"] = json!(hex::encode(ENCRYPTION_KEY));
        plan["authentication_key"] = json!(hex::encode(AUTHENTICATION_KEY));
        plan["invocation_counter"] = json!(counter);
    }
    let report = python.report(&plan);
    let mut wrong: Vec<String> = report["error"].as_str().map(str::to_owned).into_iter().collect();
    let values = report["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    if values.len() < requests.len() {
        wrong.push(format!("{} of {} requests were made", values.len(), requests.len()));
    }
    let mut right = 0;
    for ((request, expected), found) in requests.iter().zip(values) {
        let fits = match expected {
            Expected::Refused => found.get("refused").is_some(),
            Expected::Any => found.get("value").is_some(),
            // gurux-dlms makes an empty array nothing.
            Expected::Value(expected) => found.get("value").is_some_and(|value| {
                value == expected || (value.is_null() && expected.as_array().is_some_and(Vec::is_empty))
            }),
        };
        if fits {
            right += 1;
        } else {
            let expected = match expected {
                Expected::Refused => "a refusal".to_owned(),
                Expected::Any => "a value".to_owned(),
                Expected::Value(value) => value.to_string().chars().take(160).collect(),
            };
            let found: String = found.to_string().chars().take(160).collect();
            wrong.push(format!("{request}: expected {expected}, found {found}"));
        }
    }
    (right, wrong)
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn python_clients_read_every_model() {
    let python = Python::new();
    let only = std::env::var("DLMS_PEERS_ONLY").unwrap_or_default();
    let mut failures = Vec::new();
    for built_in in MODELS.iter().filter(|model| model.name != "short-names") {
        let model = built_in.model().expect("the model");
        let clients: Vec<_> = model.clients().map(|(name, client)| (name.to_owned(), client)).collect();
        let ways: Vec<_> = clients.iter().map(|(_, client)| model.mechanism(*client).expect("a client")).collect();
        let truth = Truth::of(model);
        let server = MeterServer::start_with(&["--model", built_in.name]);
        let mut counter = 1;
        for stack in ["gurux-dlms", "dlms-cosem"] {
            let mut read = 0;
            for ((name, client), (mechanism, ciphered)) in clients.iter().zip(&ways) {
                let (client, mechanism, ciphered) = (*client, *mechanism, *ciphered);
                let case = Case { stack, model: built_in.name, client, mechanism, ciphered };
                let title = format!("{stack:<11} {:<18} {name:<16}", built_in.name);
                if case.mechanism().is_none() {
                    println!("{title} it cannot");
                    continue;
                }
                if !title.contains(&only) {
                    continue;
                }
                let (right, wrong) = run(&python, &server, &truth, &case, counter);
                counter += 100_000;
                println!("{title} {right:>5} values, {} wrong", wrong.len());
                failures.extend(wrong.iter().map(|wrong| format!("{title}: {wrong}")));
                read += right;
            }
            assert!(read > 40 || !only.is_empty(), "{stack} {}: {read} values", built_in.name);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
