//! The PyPI packages as clients of `meter-server` with every mechanism that they have, and a key that is replaced.
//! Needs the Python environment that `./test peers` makes, named by `DLMS_PEERS_PYTHON`.

mod peer;

use dlms::obis::ObisCode;
use dlms_meter_server::simulator::Keys;
use serde_json::json;

use peer::case::Mechanism;
use peer::python::Python;
use peer::simulated::{MeterServer, SECRET, Truth, View, with_mechanism};
use peer::{AUTHENTICATION_KEY, Access, ENCRYPTION_KEY};

const MANAGEMENT: Access = Access::Ciphered { general: false };

const ENERGY: ObisCode = ObisCode::new(1, 0, 1, 8, 0, 255);

/// Every mechanism with a secret that the clients have, with and without ciphering, and each with a wrong secret.
#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn python_clients_authenticate_by_every_mechanism() {
    let python = Python::new();
    let truth = Truth::new();
    let view = View { access: Access::Password, max_pdu: 1024 };
    let expected = truth.read(view, 3, ENERGY, 2, None).expect("the register");
    for which in Mechanism::OTHERS {
        let (server, _) = with_mechanism(which, python.folder());
        let mechanism = which.in_plan();
        for stack in ["gurux-dlms", "dlms-cosem"] {
            if stack == "dlms-cosem" && mechanism != "hls2" {
                // It has none of the others.
                continue;
            }
            for (link, port) in
                [("wrapper", server.wrapper.port()), ("udp", server.udp.port()), ("hdlc", server.hdlc.port())]
            {
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
                        let report = python.report(&plan);
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
    let python = Python::new();
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
    let report = python.report(&plan);
    assert_eq!(report["values"][0]["value"], expected, "{report}");
    assert!(report["error"].is_null(), "{report}");
    // The old key opens nothing any more, the new one does.
    plan.as_object_mut().expect("an object").remove("transfer_key");
    plan["invocation_counter"] = json!(1_000);
    let report = python.report(&plan);
    assert!(report["error"].is_string(), "{report}");
    plan["encryption_key"] = json!(new_key);
    let report = python.report(&plan);
    assert_eq!(report["values"][0]["value"], expected, "{report}");
}
