//! The PyPI package `gurux-dlms` as a meter, read by our client. Needs the Python environment that
//! `./test peers` makes, named by `DLMS_PEERS_PYTHON`.

mod peer;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use dlms::link::Link;
use serde_json::json;

use peer::Access;
use peer::exercise::{LDN, PROFILE, REGISTER, RELAY, attribute};
use peer::meter;
use peer::ours::{self, Answer, Ours};
use peer::python::Python;

struct Served(Child, std::net::SocketAddr);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(python: &Python, access: Access) -> Served {
    let mut command = python.command("gurux_meter.py");
    let mechanism = if access == Access::Public { "none" } else { "lls" };
    command.args([access.client().to_string().as_str(), mechanism]);
    let mut process = command.stdout(Stdio::piped()).spawn().expect("Python starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("it prints its port");
    let port: u16 = line.trim().parse().expect("a port");
    Served(process, ([127, 0, 0, 1], port).into())
}

/// What its server can; `peers/gurux_meter.py` says what it cannot.
fn exercise<L: Link>(ours: &mut Ours<L>) {
    assert_eq!(ours.associate(), Answer::Open);
    assert_eq!(ours.get(attribute(1, LDN, 2)), Answer::Value(json!(hex::encode(meter::NAME))));
    assert_eq!(
        ours.get_list(&[attribute(3, REGISTER, 2), attribute(3, REGISTER, 3)]),
        Answer::Values(vec![json!(meter::ENERGY), json!([-2, 30])])
    );
    assert_eq!(ours.get(attribute(7, PROFILE, 2)), Answer::Value(meter::rows(1, meter::ROWS)));
    assert_eq!(ours.get(attribute(70, RELAY, 2)), Answer::Value(json!(true)));
    assert_eq!(ours.release(), Answer::Released);
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn our_client_reads_a_meter_of_gurux_dlms() {
    let python = Python::new();
    for access in [Access::Public, Access::Password] {
        let served = serve(&python, access);
        let client = access.client();
        exercise(&mut Ours::connect(served.1, ours::wrapper(client), access, client, 0xFFFF));
        println!("gurux-dlms as server  wrapper {access:?}");
    }
}
