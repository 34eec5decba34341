//! The binary: what it prints, how it ends, and what it says about bad input.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use dlms::association::client::Config;
use support::client::{behind, public, tcp};
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

/// `run` with these arguments, and the lines of its first `meters` meters.
fn run(arguments: &[&str], meters: usize) -> (Running, Vec<serde_json::Value>) {
    let mut running =
        Running(binary().args(["run", "--format", "json"]).args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines().take(meters);
    let lines = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    (running, lines)
}

#[test]
fn run_puts_meters_behind_a_gateway_or_a_concentrator() {
    let of_line = ["--meters", "2", "--tcp", "127.0.0.1:0", "--line-baud", "1000000"];
    let (_running, lines) = run(&[&of_line[..], &["--gateway"]].concat(), 2);
    assert_eq!(lines[0]["tcp"], lines[1]["tcp"]);
    for (line, device) in lines.iter().zip(["0001", "0002"]) {
        assert_eq!(line["gateway"], serde_json::json!({ "network": 0, "device": device }));
        let address = line["tcp"].as_str().unwrap().parse().unwrap();
        let route = dlms::gateway::Route::new(0, &hex::decode(device).unwrap()).unwrap();
        let mut client = behind(address, route, public(), 0).associate().unwrap();
        let serial = line["meters"][0]["serial_number"].as_str().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), serial.as_bytes());
    }
    let (_running, lines) = run(&[&of_line[..], &["--concentrator"]].concat(), 2);
    for line in &lines {
        assert!(line["gateway"].is_null());
        let address = line["tcp"].as_str().unwrap().parse().unwrap();
        let server = dlms::id::ServerSap(line["meters"][0]["server"].as_u64().unwrap().try_into().unwrap());
        let mut client = tcp(address, Config { server, ..public() }, 0).associate().unwrap();
        let serial = line["meters"][0]["serial_number"].as_str().unwrap();
        assert_eq!(octets(&client.get(1, "0.0.96.1.0.255", 2)), serial.as_bytes());
    }
    assert_eq!(lines[1]["meters"][0]["server"], 2);
}

#[test]
fn bad_options_are_named() {
    let cases: [(&[&str], &str); 11] = [
        (&["run", "--gateway", "--concentrator"], "cannot be used with '--concentrator'"),
        (&["run", "--gateway", "--logical-devices"], "cannot be used with"),
        (&["run", "--line-baud", "9600"], "--gateway|--concentrator"),
        (&["run", "--gateway", "--udp", "127.0.0.1:0"], "the way to a gateway or concentrator"),
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
fn the_built_in_models_are_listed_shown_and_pass_the_check() {
    let listed = output(&["models"]);
    let list = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success());
    let folder = tempfile::tempdir().unwrap();
    let mut names = 0;
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/models")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(list.contains(&format!("{name}: ")), "{name} is not in\n{list}");
        let shown = output(&["model", "show", &name]);
        assert!(shown.status.success() && shown.stdout == fs::read(&path).unwrap(), "{name}");
        let file = folder.path().join("model.toml");
        fs::write(&file, &shown.stdout).unwrap();
        let checked = output(&["model", "check", file.to_str().unwrap()]);
        let text = String::from_utf8(checked.stdout).unwrap();
        assert!(checked.status.success() && text.contains(" objects; clients: public (16, "), "{text}");
        names += 1;
    }
    assert!(names >= 2);
    assert_eq!(output(&["model", "show"]).stdout, output(&["model", "show", "idis-three-phase"]).stdout);
}

#[test]
fn a_wrong_model_file_is_refused_with_place_line_and_expectation() {
    let shown = String::from_utf8(output(&["model", "show"]).stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let path = file.to_str().unwrap();
    let refused = |text: &str| {
        fs::write(&file, text).unwrap();
        let output = output(&["model", "check", path]);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), [].as_slice()));
        String::from_utf8(output.stderr).unwrap()
    };
    let line_of = |text: &str, line: &str| text.lines().position(|found| found == line).unwrap() + 1;

    let broken = shown.replacen("drift-ppm = 2.0", "drift = 2.0", 1);
    let line = line_of(&broken, "drift = 2.0");
    let margin = " ".repeat(line.to_string().len());
    let expected = format!("meter-server: {path}:{line}:1: unknown field `drift`, expected one of `time-zone`");
    let text = refused(&broken);
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.ends_with(&format!("\n{line} | drift = 2.0\n{margin} | ^\n")), "{text}");

    // The entry begins three lines above.
    let broken = shown.replacen("control-mode = 4", "control-mode = 9", 1);
    let line = line_of(&broken, "control-mode = 9") - 3;
    let text = refused(&broken);
    let expected = format!("{path}:{line}:1: object 0.0.96.3.10.255: the control mode is from 0 to 6");
    assert!(text.contains(&expected) && text.contains(&format!("{line} | [[object]]\n")), "{text}");

    // In the middle of a value.
    let broken = shown.replacen("\"ip(192.0.2.10)\"", "\"ip(192.0.2.256)\"", 1);
    let line = line_of(&broken, "IP_address = \"ip(192.0.2.256)\"");
    let text = refused(&broken);
    let expected =
        format!("{path}:{line}:18: object 0.0.25.1.0.255: attribute 3 (`IP_address`): `192.0.2.256` is no ip");
    assert!(text.contains(&expected), "{text}");

    assert!(refused("name = \"x\nidentity = 3").contains(&format!("{path}:1:")));
    let missing = output(&["model", "check", "/nonexistent/model.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("cannot read /nonexistent/model.toml"));
    let unknown = output(&["model", "show", "three-phase"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        String::from_utf8(unknown.stderr)
            .unwrap()
            .contains("`three-phase` is not a built-in model: idis-three-phase, ")
    );
    // A word that is neither a name nor a file.
    let unknown = output(&["run", "--model", "three-phase"]);
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("is not a built-in model: idis-three-phase, "));
    assert_eq!(output(&["model", "check"]).status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn a_shipment_is_for_its_owner_only_and_follows_from_the_seeds() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("seed"), "5a".repeat(32)).unwrap();
    fs::write(
        path("fleet.toml"),
        "meters = 40\naddressing = \"logical-devices\"\ntcp = \"127.0.0.1:0\"\n\
         [[group]]\nname = \"a\"\nmodel = \"idis-three-phase\"\nshare = 3\n\
         [[group]]\nname = \"b\"\nmodel = \"minimal-public\"\nshare = 1\n",
    )
    .unwrap();
    // One that others could read before.
    fs::write(path("shipment"), "").unwrap();
    let shipment = |seed: &[&str]| {
        let arguments = ["fleet", "--file", &path("fleet.toml"), "--shipment", &path("shipment"), "--shipment-only"];
        let output = output(&[&arguments, seed].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(fs::metadata(path("shipment")).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(path("shipment")).unwrap();
        // Ports are the system's choice.
        text.lines()
            .map(|line| line.split("\"links\"").map(|part| part.split(']').next_back().unwrap().to_owned()).collect())
            .collect::<Vec<Vec<_>>>()
    };
    let first = shipment(&["--master-seed", &path("seed")]);
    assert_eq!(first.len(), 41);
    assert_eq!(first, shipment(&["--master-seed", &path("seed")]));
    assert_ne!(first, shipment(&[]), "a random seed");
    assert_ne!(first, shipment(&["--shared-keys"]));
}

#[test]
fn a_fleet_says_what_it_is_and_keeps_to_the_descriptors() {
    let arguments =
        ["fleet", "--meters", "5000", "--by", "logical-devices", "--tcp", "127.0.0.1:0", "--descriptors", "500"];
    let mut running = Running(binary().args(arguments).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |start: &str| lines.find(|line| line.starts_with(start)).unwrap();
    until("5000 meters: ");
    let address = until("tcp ").trim_start_matches("tcp ").parse().unwrap();
    assert_eq!(until("serial numbers "), "serial numbers 10000001 to 10005000");
    assert_eq!(until("descriptors: "), "descriptors: 500; connections that fit: 435");
    until("running after ");
    tcp(address, public(), 0).associate().unwrap();
    let refused =
        output(&["fleet", "--meters", "600", "--by", "ports", "--udp", "127.0.0.1:0", "--descriptors", "500"]);
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("600 listening sockets and 64 more do not fit into the 500 descriptors"), "{message}");
    let refused = output(&["fleet", "--meters", "20000", "--by", "logical-devices"]);
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("20000 meters: from 1 to 16000 are possible"), "{message}");
}
