//! The PyPI package `gurux-dlms` as a client with general block transfer and ACCESS: what it reads must be what the
//! model holds. Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`.

mod peer;

use std::process::Command;

use dlms::obis::ObisCode;
use serde_json::{Value, json};

use peer::simulated::{MeterServer, Truth, View};
use peer::{Access, PASSWORD};

const PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);
const REGISTER: ObisCode = ObisCode::new(1, 0, 1, 8, 0, 255);
const NAME: ObisCode = ObisCode::new(0, 0, 42, 0, 0, 255);

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn gurux_dlms_reads_by_general_blocks_and_access_what_the_model_holds() {
    let python = std::env::var("DLMS_PEERS_PYTHON").expect("DLMS_PEERS_PYTHON names a Python with the peers");
    let folder = tempfile::tempdir().expect("a folder");
    let server = MeterServer::start();
    let truth = Truth::new();
    for (link, max_pdu) in [("wrapper", 256), ("wrapper", 1_024), ("hdlc", 256)] {
        let view = View { access: Access::Password, max_pdu };
        let attribute =
            |class: u16, obis: ObisCode, id: i8| json!({ "class": class, "obis": obis.to_string(), "attribute": id });
        let value = |class, obis, id| truth.read(view, class, obis, id, None).expect("readable");
        let mut entries = attribute(7, PROFILE, 2);
        entries["entries"] = json!([5, 120]);
        let wanted = [attribute(1, NAME, 2), attribute(3, REGISTER, 2)];
        let requests = [
            entries,
            attribute(3, REGISTER, 2),
            attribute(15, ObisCode::new(0, 0, 40, 0, 0, 255), 2),
            json!({ "access": wanted }),
        ];
        let expected = [
            truth.entries(view, PROFILE, 5, 120).expect("rows"),
            value(3, REGISTER, 2),
            value(15, ObisCode::new(0, 0, 40, 0, 0, 255), 2),
            json!([[0, value(1, NAME, 2)], [0, value(3, REGISTER, 2)]]),
        ];
        let port = if link == "hdlc" { server.hdlc.port() } else { server.wrapper.port() };
        let plan = json!({
            "stack": "gurux-dlms", "host": "127.0.0.1", "port": port, "client": Access::Password.client(), "link": link,
            "max_pdu": max_pdu, "general_blocks": true, "requests": requests, "mechanism": "lls",
            "password": hex::encode(PASSWORD),
        });
        let (plan_path, report_path) = (folder.path().join("plan.json"), folder.path().join("report.json"));
        std::fs::write(&plan_path, plan.to_string()).expect("a plan");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer.py");
        let output = Command::new(&python).arg(script).arg(&plan_path).arg(&report_path).output().expect("Python");
        let report = std::fs::read(&report_path);
        let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let report: Value = serde_json::from_slice(&report).expect("a report");
        assert_eq!(report.get("error"), None, "{link}: {}", report["error"].as_str().unwrap_or_default());
        let found: Vec<_> = report["values"].as_array().expect("values").iter().map(|found| &found["value"]).collect();
        assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{link} {max_pdu}");
        println!("gurux-dlms  {link:<8} general blocks and ACCESS {max_pdu:>5} {:>5} values", found.len());
    }
}
