//! The built binary.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::support::{Running, managed, quick, simulated, tcp};

const KEYS: [&str; 4] = ["--guek", "000102030405060708090A0B0C0D0E0F", "--gak", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"];

/// Runs `head-end` off the runtime's threads.
async fn run(server: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_head-end"));
    command.args(arguments).env("HEADEND_SERVER", server).env("HEADEND_TIMEOUT", "30s").stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

fn error(output: &Output) -> Value {
    serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_is_added_read_shown_and_deleted_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(1).await;
    let running = Running::with(quick(folder.path())).await;
    let server = running.address.to_string();
    let call = async |arguments: &[&str]| run(&server, arguments).await;
    let address = tcp(&meters, 0);
    let mut add = vec!["meters", "add", "m1", "--tcp", &address, "--client-sap", "1", "--authentication", "hls-gmac"];
    add.extend(KEYS);
    add.extend(["--label", "site=a", "--format", "json"]);
    let added = json(&call(&add).await);
    assert_eq!((&added["name"], &added["security"]["keys_set"]), (&"meters/m1".into(), &true.into()));
    assert!(!added.to_string().contains("0001020304"));

    let read = call(&["read", "m1", "1-0:1.8.0", "0-0:96.1.0", "--format", "json"]).await;
    let read = json(&read);
    assert_eq!(read["results"][0]["result"], "SUCCEEDED");
    assert_eq!(read["results"][0]["reading"]["unit"], "Wh");
    assert!(read["results"][0]["reading"]["value"].is_string());
    assert_eq!(read["stored"], true);

    let table = stdout(&call(&["read", "m1", "1-0:1.8.0"]).await);
    assert!(table.starts_with("OBIS") && table.contains("Wh") && !table.contains('\u{1b}'), "{table}");

    let refused = call(&["read", "m1", "3/1-0:99.99.99", "--format", "json"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(refused["results"][0]["failure"]["answer"]["name"], "object-undefined");

    let profile = call(&["profile", "m1", "1-0:99.1.0", "--from", "24h", "--format", "json"]).await;
    let profile = json(&profile);
    assert!(profile["captures"].as_array().unwrap().len() >= 95);
    let readings =
        stdout(&call(&["readings", "m1", "--profile", "1-0:99.1.0", "--limit", "3", "--format", "json"]).await);
    let lines: Vec<Value> = readings.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["capture_time"], profile["captures"][0]["capture_time"]);

    let got = json(&call(&["get", "m1", "8/0-0:1.0.0/2", "--format", "json"]).await);
    assert_eq!(got["results"][0]["value"]["type"], "octet-string");
    let set = json(&call(&["set", "m1", "8/0-0:1.0.0/3", "long:-60", "--format", "json"]).await);
    assert_eq!(set["results"][0]["result"], "SUCCEEDED");
    let invoked = json(&call(&["invoke", "m1", "7/1-0:99.1.0/1", "integer:0", "--format", "json"]).await);
    assert_eq!(invoked["result"], "SUCCEEDED");
    let objects = json(&call(&["discover", "m1", "--format", "json"]).await);
    assert_eq!(json(&call(&["discover", "m1", "--cached", "--format", "json"]).await)["objects"], objects["objects"]);
    assert!(objects["objects"].as_array().unwrap().len() > 10);

    let updated = json(&call(&["meters", "update", "m1", "--display-name", "cellar", "--format", "json"]).await);
    assert_eq!((&updated["display_name"], &updated["security"]["keys_set"]), (&"cellar".into(), &true.into()));
    let listed = json(&call(&["meters", "list", "--label", "site=a", "--format", "json"]).await);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(json(&call(&["meters", "delete", "m1", "--format", "json"]).await)["deleted"], "meters/m1");
    let gone = call(&["meters", "show", "m1", "--format", "json"]).await;
    assert_eq!((gone.status.code(), &error(&gone)["error"]), (Some(3), &"NOT_FOUND".into()));
    running.stop().await;
}

#[tokio::test]
async fn exit_statuses_tell_what_kind_of_failure_it_was() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let unreachable = run(&nobody, &["meters", "list", "--format", "json"]).await;
    assert_eq!((unreachable.status.code(), &error(&unreachable)["error"]), (Some(4), &"UNREACHABLE".into()));
    assert_eq!(run(&nobody, &["read", "m1"]).await.status.code(), Some(2));
    assert_eq!(run(&nobody, &["read", "m1", "not-an-obis"]).await.status.code(), Some(2));
    assert_eq!(run(&nobody, &["set", "m1", "8/0-0:1.0.0/3", "long:99999"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_configuration_that_is_not_valid_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head-end.toml");
    std::fs::write(&path, "listen = \"127.0.0.1:0\"\nmailbocks = 3\n").unwrap();
    let output = run("", &["serve", "--config", path.to_str().unwrap()]).await;
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("head-end.toml") && text.contains("line 2") && text.contains("mailbocks"), "{text}");
    let missing = run("", &["serve", "--config", "/nonexistent/head-end.toml"]).await;
    assert_eq!(missing.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_where_it_listens_and_ends_in_order_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let (child, address) = serve(folder.path()).await;
    let listed = run(&address, &["meters", "list", "--format", "json"]).await;
    assert_eq!(json(&listed), serde_json::json!([]));
    let output = terminate(child).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let key = std::fs::read_to_string(folder.path().join("data/master.key")).unwrap();
    assert!(log.contains("master key") && !log.contains(key.trim()), "{log}");
}

/// Starts `head-end serve`, and returns it with the address it told.
pub(crate) async fn serve(directory: &Path) -> (std::process::Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_head-end"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    started(command).await
}

/// The program that `command` starts, and the address that it told.
pub(crate) async fn started(mut command: Command) -> (std::process::Child, String) {
    tokio::task::spawn_blocking(move || {
        use std::io::{BufRead, BufReader};
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        (child, address)
    })
    .await
    .unwrap()
}

pub(crate) async fn terminate(child: std::process::Child) -> Output {
    tokio::task::spawn_blocking(move || {
        let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn supplies_are_switched_and_jobs_are_followed_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(2).await;
    let running = Running::with(quick(folder.path())).await;
    for number in 0..2 {
        running.create(managed(&format!("m{number}"), &tcp(&meters, number))).await.unwrap();
    }
    let server = running.address.to_string();
    let call = async |arguments: &[&str]| run(&server, arguments).await;
    let off = call(&["supply", "disconnect", "m0", "--read", "3/1-0:1.8.0", "--reason", "moved out"]).await;
    let table = stdout(&off);
    assert!(table.contains("SUCCEEDED") && table.contains("CONNECTED -> DISCONNECTED"), "{table}");
    let status = stdout(&call(&["supply", "status", "--all", "--format", "json"]).await);
    let status: Vec<Value> = status.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |meter: &str| {
        let line = status.iter().rfind(|line| line["meter"] == format!("meters/{meter}"));
        line.map(|line| line["outcome"]["after"]["connected"].clone()).unwrap()
    };
    assert_eq!((of("m0"), of("m1")), (false.into(), true.into()), "{status:?}");
    let limited = stdout(&call(&["limits", "set", "m1", "--threshold", "4000"]).await);
    assert!(limited.contains("SUCCEEDED") && limited.contains("4000"), "{limited}");

    let listed = stdout(&call(&["jobs", "list", "--state", "finished", "--format", "json"]).await);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = listed.iter().map(|job| job["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["set_load_limit", "get_supply_status", "disconnect_supply"]);
    assert_eq!(listed[2]["reason"], "moved out");
    let name = listed[1]["name"].as_str().unwrap();
    let watched = stdout(&call(&["jobs", "watch", name]).await);
    assert!(watched.contains("FINISHED") && watched.contains("get_supply_status"), "{watched}");
    let results = stdout(&call(&["jobs", "results", name, "--result", "succeeded"]).await);
    assert_eq!(results.lines().count(), 3, "{results}");
    let approve = call(&["jobs", "approve", name, "--format", "json"]).await;
    assert_eq!((approve.status.code(), &error(&approve)["error"]), (Some(3), &"JOB_STATE".into()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn firmware_is_uploaded_and_brought_to_meters_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(2).await;
    let running = Running::with(quick(folder.path())).await;
    for number in 0..2 {
        running.create(managed(&format!("m{number}"), &tcp(&meters, number))).await.unwrap();
    }
    let server = running.address.to_string();
    let call = async |arguments: &[&str]| run(&server, arguments).await;
    let file = folder.path().join("image.bin");
    let image = dlms_meter_server::simulator::make_image("SIM3PH", "SIM-A-3.1.0", &[7; 600_000], None);
    std::fs::write(&file, &image.as_ref().unwrap()[..]).unwrap();
    let too_large_for_the_meter = file.to_str().unwrap();
    let upload = ["firmware", "upload", too_large_for_the_meter, "--identification", "A-3.1.0", "--format", "json"];
    let large = json(&call(&upload).await);
    assert_eq!(large["size"], image.unwrap().len());
    let image = dlms_meter_server::simulator::make_image("SIM3PH", "SIM-A-3.1.0", &[7; 2_000], None).unwrap();
    std::fs::write(&file, image).unwrap();
    let uploaded = json(&call(&[&upload[..], &["--version", "SIM-A-3.1.0"]].concat()).await);
    let listed = stdout(&call(&["firmware", "images"]).await);
    assert_eq!(listed.lines().count(), 3, "{listed}");

    let campaign = async |image: &Value| {
        let image = image["name"].as_str().unwrap();
        let create = ["firmware", "campaign", "--all", "--image", image, "--identifier", "1-1:0.2.0"];
        let how = ["--activate", "now", "--canary", "1", "--pause", "1s", "--format", "json"];
        json(&call(&[&create[..], &how].concat()).await)["name"].as_str().unwrap().to_owned()
    };
    let refused = campaign(&large).await;
    let stopped =
        async { while json(&call(&["firmware", "show", &refused, "--format", "json"]).await)["state"] != "STOPPED" {} };
    tokio::time::timeout(crate::support::PATIENCE, stopped).await.expect("the canary refuses it");
    let aborted = json(&call(&["firmware", "abort", &refused, "--reason", "wrong image", "--format", "json"]).await);
    assert!(["ABORTED", "ABORTING"].contains(&aborted["state"].as_str().unwrap()), "{aborted}");

    let good = campaign(&uploaded).await;
    let watched = stdout(&call(&["firmware", "watch", &good]).await);
    assert!(watched.contains("FINISHED"), "{watched}");
    let versions = stdout(&call(&["firmware", "versions", "m0", "m1", "--object", "1-1:0.2.0"]).await);
    assert_eq!(versions.matches("SIM-A-3.1.0").count(), 2, "{versions}");
    let gone = call(&["firmware", "delete-image", large["name"].as_str().unwrap()]).await;
    assert_eq!(gone.status.code(), Some(0), "{gone:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_that_differ_from_a_template_are_told_by_the_exit_status_however_many_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(2).await;
    let running = Running::with(quick(folder.path())).await;
    for meter in 0..2 {
        running.create(managed(&format!("m{meter}"), &tcp(&meters, meter))).await.unwrap();
    }
    let server = running.address.to_string();
    let verify = async |zone: &str, meters: &[&str]| {
        let file = folder.path().join("template.toml");
        let attribute = format!("[[attribute]]\nattribute = \"8/0-0:1.0.0/3\"\nvalue = \"long:{zone}\"\n");
        std::fs::write(&file, format!("name = \"zone\"\n{attribute}")).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let done =
            run(&server, &[&["config", "verify"], meters, &["--file", &file, "--format", "json"]].concat()).await;
        done.status.code()
    };
    let set = run(&server, &["set", "m0", "8/0-0:1.0.0/3", "long:-60"]).await;
    assert_eq!(set.status.code(), Some(0), "{set:?}");
    let set = run(&server, &["set", "m1", "8/0-0:1.0.0/3", "long:-60"]).await;
    assert_eq!(set.status.code(), Some(0), "{set:?}");
    assert_eq!(verify("-60", &["m0", "m1"]).await, Some(0));
    assert_eq!(verify("-120", &["m0"]).await, Some(1));
    assert_eq!(verify("-120", &["m0", "m1"]).await, Some(1), "two are no better than one");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn telegrams_are_handed_over_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::with(quick(folder.path())).await;
    let server = running.address.to_string();
    let call = async |arguments: &[&str]| run(&server, arguments).await;
    let file = folder.path().join("telegrams.txt");
    // The second telegram is of the same quarter of an hour, the third is cut off.
    let telegram = |time: &str| {
        let text = format!("/KFM5X\r\n\r\n0-0:96.1.0(4B38)\r\n0-0:1.0.0({time})\r\n1-0:1.8.0(000025.653*kWh)\r\n!");
        format!("{text}{:04X}\r\n", dlms::p1::crc16(text.as_bytes()))
    };
    let text = telegram("260701120000S") + &telegram("260701120010S") + "/KFM5X\r\n1-0:1.8.0(0000";
    std::fs::write(&file, format!("noise{text}")).unwrap();
    let path = file.to_str().unwrap();
    let unknown = call(&["telegram", path, "--format", "json"]).await;
    assert_eq!(
        (unknown.status.code(), error(&unknown)["error"].as_str()),
        (Some(3), Some("UNKNOWN_DEVICE")),
        "{unknown:?}"
    );
    let key = "000102030405060708090A0B0C0D0E0F";
    let add =
        ["meters", "add", "m1", "--tcp", "127.0.0.1:1", "--equipment-id", "K8", "--telegram-zone", "Europe/Vienna"];
    let added = json(&call(&[&add[..], &["--format", "json"]].concat()).await);
    assert_eq!(added["customer_port"]["equipment_id"], "K8");
    let taken = stdout(&call(&["telegram", path, "--format", "json"]).await);
    let lines: Vec<Value> = taken.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["STORED", "UNCHANGED"]);
    assert_eq!(lines[0]["capture_time"], "2026-07-01T10:00:00Z");
    let table = stdout(&call(&["readings", "m1"]).await);
    assert!(table.contains("1.0.1.8.0.255") && table.contains("Wh"), "{table}");
    let set = json(&call(&["meters", "update", "m1", "--telegram-key", key, "--format", "json"]).await);
    let port = &set["customer_port"];
    assert_eq!((&port["key_set"], &port["equipment_id"]), (&true.into(), &"K8".into()));
    assert!(!set.to_string().contains(key));
    let clear = call(&["telegram", path, "--format", "json"]).await;
    assert_eq!(error(&clear)["error"].as_str(), Some("PLAINTEXT"), "in clear, with a key");
    running.stop().await;
}
