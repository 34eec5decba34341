//! The examples, as programs: the meter serves, the readers read.
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// `cargo test` builds the examples beside the tests.
fn example(name: &str) -> Command {
    let deps = std::env::current_exe().expect("a path");
    let built: PathBuf =
        deps.parent().and_then(|deps| deps.parent()).expect("target folder").join("examples").join(name);
    assert!(built.exists(), "{} is not built: cargo build -p dlms --examples", built.display());
    Command::new(built)
}

struct Meter {
    process: Child,
    address: String,
}

impl Meter {
    fn start() -> Self {
        let mut process = example("meter").arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("the meter starts");
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().expect("output")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Self { process, address }
    }

    fn read(&self, reader: &str, arguments: &[&str]) -> (bool, String) {
        let output = example(reader).arg(&self.address).args(arguments).output().expect("the reader runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_register_is_read_with_its_unit() {
    let meter = Meter::start();
    for options in [&[][..], &["--client", "17", "--password", "12345678"]] {
        let (success, printed) = meter.read("read_register", options);
        assert!(success && printed.trim_end().ends_with(" Wh"), "{printed}");
    }
    assert!(!meter.read("read_register", &["--client", "17", "--password", "12345679"]).0);
}

#[test]
fn the_profile_is_read_row_by_row() {
    let meter = Meter::start();
    let (success, printed) = meter.read("read_profile", &["12345678"]);
    assert!(success, "{printed}");
    let rows: Vec<i64> = printed
        .lines()
        .filter_map(|line| line.split_once("Z  "))
        .map(|(_, energy)| energy.parse().expect("a number"))
        .collect();
    assert_eq!(rows.len(), 960);
    // One watt-hour a second, a row each quarter of an hour.
    assert!(rows.windows(2).all(|pair| pair[1] - pair[0] == 900));
}

#[test]
fn a_telegram_of_the_customer_port_is_read_with_names_and_units() {
    let mut reader = example("read_p1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let telegram = b"0)\r\n!\r\n/KFM5KAIFA-METER\r\n\r\n1-0:1.8.0(000025.653*kWh)\r\n!537B\r\n";
    reader.stdin.take().expect("input").write_all(telegram).expect("written");
    let output = reader.wait_with_output().expect("it ends");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.starts_with("KFM5KAIFA-METER\n"), "{printed}");
    assert!(printed.contains("active energy import") && printed.contains(" 25653 Wh"), "{printed}");
}
