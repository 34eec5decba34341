//! The PyPI package `gurux-dlms` as a client that refers to objects by short names: what it reads must be what the model
//! holds. Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`.
//!
//! Its other limits are its own: it cannot cipher an association with short names, and it cannot join blocks of Read.

mod peer;

use std::process::Command;

use dlms::obis::ObisCode;
use dlms_meter_server::simulator::{Model, SHORT_NAME_MODEL};
use serde_json::{Value, json};

use peer::simulated::{MeterServer, Truth, View};
use peer::{Access, PASSWORD};

const ASSOCIATION: ObisCode = ObisCode::new(0, 0, 40, 0, 0, 255);
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../meter-server/models/short-names.toml");

/// Class, logical name and readable attributes of every object, as both lists of the association say.
fn objects(truth: &Truth, view: View) -> Vec<(u16, ObisCode, Vec<i8>)> {
    let list = truth.read(view, 12, ASSOCIATION, 2, None).expect("the object list");
    let rights = truth.read(view, 12, ASSOCIATION, 3, None).expect("the access rights");
    let (list, rights) = (list.as_array().expect("a list"), rights.as_array().expect("a list"));
    assert_eq!(list.len(), rights.len());
    list.iter()
        .zip(rights)
        .map(|(object, rights)| {
            assert_eq!(object[0], rights[0]);
            let class = object[1].as_u64().and_then(|class| u16::try_from(class).ok()).expect("a class");
            let obis = object[3].as_str().and_then(|text| ObisCode::from_slice(&hex::decode(text).ok()?));
            let readable = |right: &&Value| right[1].as_u64().is_some_and(|mode| mode & 1 != 0);
            let ids = rights[1].as_array().expect("rights").iter().filter(readable);
            let ids = ids.filter_map(|right| i8::try_from(right[0].as_i64()?).ok()).collect();
            (class, obis.expect("a logical name"), ids)
        })
        .collect()
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn gurux_dlms_reads_by_short_names_what_the_model_holds() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let folder = tempfile::tempdir().expect("a folder");
    let server = MeterServer::start_with(&["--model", MODEL]);
    let truth = Truth::of(Model::from_toml(SHORT_NAME_MODEL).expect("the model"));
    for (access, framing) in [(Access::Public, "wrapper"), (Access::Password, "wrapper"), (Access::Password, "hdlc")] {
        let view = View { access, max_pdu: 0xFFFF };
        let mut requests = Vec::new();
        let mut expected = Vec::new();
        for (class, obis, ids) in objects(&truth, view) {
            // A whole profile would come in blocks; it is read by entries below.
            for id in ids.into_iter().filter(|id| (class, *id) != (7, 2)) {
                requests.push(json!({ "class": class, "obis": obis.to_string(), "attribute": id }));
                expected.push(truth.read(view, class, obis, id, None).expect("readable"));
            }
        }
        let profile = ObisCode::new(1, 0, 99, 1, 0, 255);
        if access == Access::Password {
            requests.push(json!({ "class": 7, "obis": profile.to_string(), "attribute": 2, "entries": [3, 10] }));
            expected.push(truth.entries(view, profile, 3, 10).expect("rows"));
        }
        let port = if framing == "hdlc" { server.hdlc.port() } else { server.wrapper.port() };
        let mut plan = json!({
            "stack": "gurux-dlms", "host": "127.0.0.1", "port": port, "client": access.client(), "link": framing,
            "max_pdu": 0xFFFF, "referencing": "short-name", "requests": requests,
        });
        if access == Access::Password {
            plan["mechanism"] = json!("lls");
            plan["password"] = json!(hex::encode(PASSWORD));
        }
        let (plan_path, report_path) = (folder.path().join("plan.json"), folder.path().join("report.json"));
        std::fs::write(&plan_path, plan.to_string()).expect("a plan");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer.py");
        let output = Command::new(&python).arg(script).arg(&plan_path).arg(&report_path).output().expect("Python");
        let report = std::fs::read(&report_path);
        let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let report: Value = serde_json::from_slice(&report).expect("a report");
        assert_eq!(report.get("error"), None, "{framing}: {}", report["error"].as_str().unwrap_or_default());
        let values = report["values"].as_array().expect("values");
        assert_eq!(values.len(), expected.len());
        let wrong: Vec<String> = requests
            .iter()
            .zip(&expected)
            .zip(values)
            .filter(|((_, expected), found)| found.get("value") != Some(*expected))
            .map(|((request, expected), found)| format!("{request}: expected {expected}, found {found}"))
            .collect();
        assert!(wrong.is_empty(), "{framing}: {}", wrong.join("\n"));
        println!("gurux-dlms  {framing:<8} short names {:>5} values", values.len());
    }
}
