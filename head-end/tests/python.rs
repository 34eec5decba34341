//! A client in Python, with gRPC's own libraries and modules made of the `.proto` files, against the built program
//! and simulated meters. Needs the Python environment that `./test peers` makes, named by `DLMS_CLIENT_PYTHON`.

use std::{
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A program that is killed when the test is done with it, or fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn head_end(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_head-end"));
    command.args(arguments);
    command
}

/// Starts the program and gives the lines that it prints.
fn start(arguments: &[&str]) -> (Running, Lines<BufReader<ChildStdout>>) {
    let mut child = head_end(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (Running(child), lines)
}

/// A token of a new caller in the file.
fn token(callers: &str, subject: &str, role: &str) -> String {
    let new = ["token", "new", subject, "--role", role, "--callers", callers, "--format", "json"];
    let output = head_end(&new).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn a_python_client_does_what_an_integrator_does_first() {
    let python = std::env::var("DLMS_CLIENT_PYTHON").expect("DLMS_CLIENT_PYTHON names a Python with gRPC");
    let folder = tempfile::tempdir().unwrap();
    let (_meters, announced) = start(&["demo-fleet", "--meters", "2", "--seed", "7"]);
    let meters: Vec<String> = announced
        .take(2)
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap())
        .map(|meter| meter["tcp"].as_str().unwrap().to_owned())
        .collect();

    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let callers = path("callers.toml");
    let (operator, viewer) = (token(&callers, "python", "administrator"), token(&callers, "onlooker", "viewer"));
    let data = path("data");
    let (_head_end, mut lines) =
        start(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data, "--callers", &callers, "--log", "warn"]);
    let line = lines.next().unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap();

    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python)
        .arg(here.join("tests/python/client.py"))
        .arg(here.join("../proto/proto"))
        .args([address, &meters[0], &meters[1]])
        .env("HEADEND_TOKEN", operator)
        .env("HEADEND_VIEWER_TOKEN", viewer)
        .stdin(Stdio::null())
        .output()
        .expect("Python starts");
    let (done, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "after {done}: {said}");
    println!("{}", done.trim_end());
    assert_eq!(done.lines().count(), 9, "{done}");
}
