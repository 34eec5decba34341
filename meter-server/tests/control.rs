//! The control interface, as `curl` uses it.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dlms_meter_server::simulator::FleetConfig;
use serde_json::{Value, json};
use support::client::{public, tcp};
use support::{NOW, Server, stopped};

/// One request on a connection of its own: the status, and the body.
fn request(address: SocketAddr, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let body = body.unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: meters\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn server(meters: u32) -> (Server, SocketAddr) {
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let server = Server::start(FleetConfig { tcp: localhost, control: localhost, meters, ..stopped(7, NOW) });
    let address = server.fleet().control_addresses().control.unwrap();
    (server, address)
}

#[test]
fn meters_are_listed_and_broken_and_mended() {
    let (server, control) = server(3);
    let (status, fleet) = request(control, "GET", "/v1/fleet", None);
    let fleet: Value = serde_json::from_str(&fleet).unwrap();
    assert_eq!((status, &fleet["meters"], &fleet["time"]), (200, &json!(3), &json!("2026-03-15T12:07:30Z")));
    let (status, list) = request(control, "GET", "/v1/meters?first=1&limit=5", None);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((status, list.as_array().unwrap().len()), (200, 2));
    assert_eq!(list[0]["serial_number"], "10000002");
    assert_eq!(list[0]["tcp"], json!(server.ports(1).tcp.unwrap().to_string()));

    let meter = server.ports(1).tcp.unwrap();
    assert_eq!(request(control, "PUT", "/v1/meters/1/faults", Some(r#"["close:1"]"#)).0, 200);
    assert!(tcp(meter, public(), 0).associate().is_err());
    tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
    assert_eq!(request(control, "DELETE", "/v1/meters/1/faults", None).0, 200);
    tcp(meter, public(), 0).associate().unwrap();
    assert_eq!(request(control, "PUT", "/v1/faults", Some(r#"["reset@1:1"]"#)).0, 200);
    assert!((0..3).all(|number| tcp(server.ports(number).tcp.unwrap(), public(), 0).associate().is_err()));
    assert_eq!(request(control, "DELETE", "/v1/faults", None).0, 200);

    assert_eq!(request(control, "POST", "/v1/meters/2/defects", Some(r#"["wrong-keys", "clock=60"]"#)).0, 200);
    let (_, one) = request(control, "GET", "/v1/meters/2", None);
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["defects"], json!(["wrong-keys"]), "a clock is put once");
    assert_eq!(request(control, "DELETE", "/v1/meters/2/defects", None).0, 200);
    let (_, one) = request(control, "GET", "/v1/meters/2", None);
    assert!(one.contains(r#""defects":[]"#), "{one}");
    assert_eq!(request(control, "POST", "/v1/defects", Some(r#"["reboot:1", "full-log:0"]"#)), (200, "3".to_owned()));
}

#[test]
fn numbers_are_those_of_prometheus() {
    let (server, control) = server(2);
    tcp(server.ports(0).tcp.unwrap(), public(), 0).associate().unwrap();
    let (status, text) = request(control, "GET", "/metrics", None);
    assert_eq!(status, 200);
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} in {text}")).rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("meter_server_connections_opened_total"), 1.0);
    assert_eq!(value("meter_server_meters_made_total"), 1.0);
    assert_eq!(value("meter_server_meters"), 2.0);
    assert_eq!(value("meter_server_simulated_time_seconds"), NOW as f64);
    assert!(value("meter_server_sent_bytes_total") > 40.0);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn what_is_no_request_is_told_so() {
    let (_server, control) = server(1);
    for (method, path, body, status, reason) in [
        ("GET", "/v1/meters/1", None, 404, "no such meter"),
        ("GET", "/v1/meters/-1", None, 400, "-1"),
        ("GET", "/v1/nothing", None, 404, "no such page"),
        ("GET", "/v1/meters?page=3", None, 400, "page"),
        ("PUT", "/v1/meters/0/faults", Some(r#"["explode:1"]"#), 400, "explode"),
        ("PUT", "/v1/meters/0/faults", Some(r#"["close:1""#), 400, "parse"),
        ("PUT", "/v1/faults", Some("7"), 400, "JSON"),
        ("POST", "/v1/meters/0/defects", Some(r#"["clock=soon"]"#), 400, "clock=soon"),
        ("POST", "/v1/defects", Some(r#"["reboot"]"#), 400, "KIND:SHARE"),
    ] {
        let (found, answer) = request(control, method, path, body);
        let right = found == status || (status == 400 && found == 422);
        assert!(right && answer.contains(reason), "{method} {path}: {found} {answer}");
    }
    let many = serde_json::to_string(&vec!["close:1"; 65]).unwrap();
    assert_eq!(request(control, "PUT", "/v1/faults", Some(&many)).0, 400);
    let everywhere = FleetConfig { control: Some("0.0.0.0:0".parse().unwrap()), ..stopped(7, NOW) };
    let error = Server::try_start(everywhere).err().unwrap().to_string();
    assert!(error.contains("loopback"), "{error}");
}
