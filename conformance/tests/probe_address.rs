//! The command that finds a meter's address, on a line of several meters behind a TCP gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::time::Instant;

use dlms::hdlc::server::{Config, Session, Station};
use dlms::hdlc::{Address, FRAME_MAX, Parameters};
use dlms::id::ClientSap;
use serde_json::Value;

type Meter = Station<Vec<u8>, Vec<Session<Vec<u8>>>, fn(ClientSap, Address) -> bool>;

fn meter(information: u16, window: u8, ours: fn(ClientSap, Address) -> bool) -> Meter {
    let config = Config { parameters: Parameters::symmetric(information, window), ..Config::default() };
    Station::new(vec![0; FRAME_MAX], 100, vec![Session::new(config, vec![0; 64], vec![0; 64])], ours)
}

/// A gateway for one connection: all meters hear everything, and what they say goes back.
fn gateway(mut meters: Vec<Meter>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (start, mut room) = (Instant::now(), [0; 512]);
        while let Ok(count @ 1..) = stream.read(&mut room) {
            let now = dlms::Instant::from_millis(start.elapsed().as_millis() as u64);
            for meter in &mut meters {
                meter.handle_input(&room[..count], now);
                while meter.poll_event().is_some() {}
                let mut out = [0; FRAME_MAX];
                while let Some(length) = meter.poll_transmit(&mut out) {
                    stream.write_all(&out[..length]).expect("the client listens");
                }
            }
        }
    });
    address
}

fn probe(address: SocketAddr, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["probe", "address", "--tcp", &address.to_string(), "--timeout", "300", "--pause", "5"])
        .args(arguments)
        .output()
        .expect("the command runs")
}

#[test]
fn meters_behind_a_gateway_are_found() {
    let meters = vec![
        meter(128, 1, |_, server| server.upper() == 1 && server.lower() == Some(17)),
        meter(512, 7, |client, server| client.0 == 16 && server.lower() == Some(2_836)),
    ];
    let address = gateway(meters);
    let output = probe(address, &["--serial-number", "98761836", "--lower", "17-17", "--format", "json"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("of 20"), "progress is shown: {errors}");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|found| (found["client"].as_u64(), found["lower"].as_u64(), found["octets"].as_u64()))
        .collect();
    let expected = [(16, 17, 2), (1, 17, 2), (16, 2_836, 4), (16, 17, 4), (1, 17, 4)];
    assert_eq!(seen, expected.map(|(client, lower, octets)| (Some(client), Some(lower), Some(octets))));
    assert!(lines.iter().all(|found| found["answer"] == "UA"));
    assert_eq!(lines[2]["parameters"]["window_receive"], 1, "nothing more than the default was proposed");
}

#[test]
fn silence_is_an_exit_status_and_a_closed_line_an_error() {
    let address = gateway(vec![meter(128, 1, |_, _| false)]);
    let output = probe(address, &["--width", "1", "--client", "16"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || drop(listener.accept()));
    let output = probe(address, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("closed"), "{output:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["probe", "address", "--tcp", "127.0.0.1:1", "--lower", "9-3"])
        .output()
        .expect("the command runs");
    assert_eq!(output.status.code(), Some(2), "a range that ends before it begins");
}
