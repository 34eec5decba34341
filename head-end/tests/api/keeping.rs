//! Backup, restore and check by the built binary, beside a head-end that runs.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use dlms_proto::v1::{ReadRegistersRequest, RegisterSelector};

use crate::support::{Running, managed, quick, simulated, tcp};

async fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_head-end"));
    command.args(arguments).env_remove("HEADEND_MASTER_KEY").stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn read(running: &Running) {
    let register = RegisterSelector { obis: "1-0:1.8.0".into(), class_id: 3 };
    let request = ReadRegistersRequest { meter: "meters/m1".into(), registers: vec![register] };
    let response = running.reading().read_registers(request).await.unwrap().into_inner();
    assert_eq!(response.results[0].result, i32::from(dlms_proto::v1::Result::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_is_read_again_by_a_head_end_that_was_restored_from_a_backup_of_a_running_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let meters = simulated(1).await;
    let running = Running::with(quick(folder.path())).await;
    running.create(managed("m1", &tcp(&meters, 0))).await.unwrap();
    read(&running).await;
    let copied = run(&["backup", text(&path("copy")), "--data-dir", text(&path("data"))]).await;
    assert_eq!(copied.status.code(), Some(0), "{copied:?}");
    // Counters go on after the copy.
    read(&running).await;
    running.stop().await;

    let there = run(&["restore", text(&path("copy")), "--data-dir", text(&path("data"))]).await;
    assert_eq!(there.status.code(), Some(5), "{there:?}");
    let new = path("new/data");
    let restored = run(&["restore", text(&path("copy")), "--data-dir", text(&new), "--format", "json"]).await;
    let told: serde_json::Value = serde_json::from_slice(&restored.stdout).unwrap_or_else(|_| panic!("{restored:?}"));
    assert_eq!((&told["counters"], &told["jobs_cancelled"]), (&1.into(), &0.into()));
    std::fs::copy(path("data/master.key"), new.join("master.key")).unwrap();
    let running = Running::with(quick(&path("new"))).await;
    read(&running).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_place_and_what_to_do_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let data = path("data");
    let check = async |more: &[&str]| {
        let arguments = [&["check", "--listen", "127.0.0.1:0", "--data-dir", text(&data)], more].concat();
        let output = run(&arguments).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = check(&[]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(!data.exists(), "a check makes nothing");

    std::fs::write(path("head-end.toml"), "mailbox = 3\nmailbocks = 3\n").unwrap();
    let (code, told) = check(&["--config", text(&path("head-end.toml"))]).await;
    assert!(code == Some(2) && told.contains("head-end.toml:2") && told.contains("mailbocks"), "{told}");
    let (code, told) = check(&["--tls-cert", "/nonexistent/cert.pem", "--tls-key", "/nonexistent/key.pem"]).await;
    assert!(code == Some(2) && told.contains("error: callers and certificates"), "{told}");

    let running = Running::with(quick(folder.path())).await;
    let (code, told) = check(&[]).await;
    assert!(code == Some(0) && told.contains("is in use by a head-end"), "{told}");
    assert!(told.contains("opens the store's secrets"), "{told}");
    let address = running.address.to_string();
    let taken = run(&["check", "--listen", &address, "--data-dir", text(&path("other"))]).await;
    assert_eq!(taken.status.code(), Some(2), "{taken:?}");
    running.stop().await;

    std::fs::write(data.join("master.key"), "ab".repeat(32)).unwrap();
    let (code, told) = check(&[]).await;
    assert!(code == Some(2) && told.contains("does not open the store's secrets"), "{told}");
    std::fs::remove_file(data.join("master.key")).unwrap();
    let (code, told) = check(&[]).await;
    assert!(code == Some(2) && told.contains("is missing, but the store was made"), "{told}");
    assert!(!data.join("master.key").exists());
}

#[tokio::test]
async fn every_shell_is_told_of_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completion", shell]).await;
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("head-end") && script.contains("backup"), "{shell}");
    }
}
