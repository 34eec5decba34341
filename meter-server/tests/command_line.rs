//! The binary: what it prints, how it ends, and what it says about bad input.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use support::client::{public, tcp};
use support::octets;

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meter-server"));
    command.env_remove("METER_SERVER_GUEK").env_remove("METER_SERVER_GAK").env_remove("METER_SERVER_LOG");
    command
}

fn output(arguments: &[&str]) -> Output {
    binary().args(arguments).output().unwrap()
}

/// A running server, ended whatever happens to the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn run_prints_a_line_for_each_meter_and_ends_in_good_order() {
    let arguments = ["run", "--tcp", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--meters", "3", "--format", "json"];
    let mut running = Running(binary().args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    for number in 1..=3 {
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let serial = format!("1000000{number}");
        assert_eq!(line["meters"][0]["serial_number"], serial.as_str());
        assert_eq!(line["meters"][0]["system_title"].as_str().unwrap().len(), 16);
        assert!(line["udp"].is_string());
        let address = line["tcp"].as_str().unwrap().parse().unwrap();
        let mut client = tcp(address, public(), 0).associate().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), serial.as_bytes());
    }
    let interrupted = Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn bad_options_are_named() {
    let cases: [(&[&str], &str); 7] = [
        (&["run", "--guek", "00"], "--guek has 1 octets instead of 16"),
        (&["run", "--gak", "xy"], "--gak is not hexadecimal"),
        (&["run", "--system-title", "0011"], "--system-title has not 8 octets"),
        (&["run", "--fault", "explode:1"], "explode"),
        (&["run", "--meters", "0"], "0 meters"),
        (&["run", "--serial", "/nonexistent/tty"], "cannot open serial port /nonexistent/tty"),
        (&["run", "--model", "/nonexistent/model.toml"], "cannot read /nonexistent/model.toml"),
    ];
    for (arguments, expected) in cases {
        let output = output(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn the_built_in_model_is_shown_and_passes_the_check() {
    let shown = output(&["model", "show"]);
    assert!(shown.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.toml");
    fs::write(&file, &shown.stdout).unwrap();
    let checked = output(&["model", "check", file.to_str().unwrap()]);
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && text.contains("clients: public (16), reader (17), management (1)"), "{text}");

    let broken = String::from_utf8(shown.stdout).unwrap().replace("control-mode = 4", "control-mode = 9");
    let line = broken.lines().position(|line| line == "control-mode = 9").unwrap();
    fs::write(&file, broken).unwrap();
    let refused = output(&["model", "check", file.to_str().unwrap()]);
    let text = String::from_utf8(refused.stderr).unwrap();
    // The entry begins three lines above, and lines count from 1.
    let expected = format!("line {}: object 0.0.96.3.10.255: the control mode is from 0 to 6", line - 2);
    assert!(!refused.status.success() && text.contains(&expected), "{text}");
}
