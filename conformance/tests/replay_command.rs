//! `conformance replay` as a program: its exit status and its last line.

use std::path::Path;
use std::process::{Command, Output};

fn replay(folder: &Path, arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_conformance")).arg("replay").arg(folder).args(arguments).output();
    program.expect("the program starts")
}

fn folder(lines: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.jsonl"), lines.join("\n")).expect("a file");
    folder
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

/// A published get-request for the clock.
const RIGHT: &str = r#"{"id":"right","kind":"apdu","hex":"c001c100080000010000ff0200","expect":{"apdu":["get-request-normal"],
"decoded":{"apdu":"get-request-normal","invoke":"c1","class":8,"obis":"0.0.1.0.0.255","attribute":2,"access":null}}}"#;

#[test]
fn a_corpus_that_matches_ends_with_0() {
    let right = RIGHT.replace('\n', "");
    let cut = r#"{"id":"cut","kind":"apdu","hex":"c001c10008","expect":{},
        "malformed":{"layer":"apdu","cause":"damaged","reason":"cut off"}}"#
        .replace('\n', "");
    let output = replay(folder(&[&right, &cut]).path(), &["--format", "json"]);
    assert_eq!(last_line(&output), r#"{"records":2,"matched":2,"failed":0,"unsupported":0}"#);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_difference_ends_with_1_and_is_named() {
    let wrong = RIGHT.replace('\n', "").replace("\"attribute\":2", "\"attribute\":3");
    let folder = folder(&[&wrong]);
    let output = replay(folder.path(), &["--format", "json"]);
    assert_eq!(last_line(&output), r#"{"records":1,"matched":0,"failed":1,"unsupported":0}"#);
    assert_eq!(output.status.code(), Some(1));
    let text = replay(folder.path(), &[]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("FAILED a.jsonl right: decoded.attribute: expected 3, found 2"), "{text}");
}

#[test]
fn an_unreadable_corpus_ends_with_2() {
    let output = replay(Path::new("/nonexistent-corpus"), &[]);
    assert_eq!(output.status.code(), Some(2));
    let output = replay(folder(&["{}", "not JSON"]).path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("a.jsonl:1: missing field `id`"), "{message}");
}

/// Records of a session stand in any order in the file; `seq` orders them, and a segment waits for the next.
#[test]
fn a_segmented_apdu_is_compared_where_it_completes() {
    let address = |sap| dlms::hdlc::Address::client(sap).expect("a client address");
    let frame = |send, segmented, information: &[u8]| {
        let mut octets = [0; 64];
        let mut writer = dlms::axdr::Writer::new(&mut octets);
        let kind = dlms::hdlc::Kind::I { send: dlms::hdlc::Sequence::new(send), receive: dlms::hdlc::Sequence::ZERO };
        let control = dlms::hdlc::Control::with_poll_final(kind);
        let (destination, source) = (address(16), address(1));
        dlms::hdlc::Repr { destination, source, control, segmented, information }.emit(&mut writer).expect("room");
        hex::encode(writer.written())
    };
    let first = frame(0, true, &[0xE6, 0xE7, 0x00, 0xC4, 0x01, 0xC1, 0x00]);
    let second = frame(1, false, &[0x11, 0x2A]);
    let lines = [
        format!(
            r#"{{"id":"b","kind":"hdlc","session":"s","seq":2,"hex":"{second}","expect":{{
            "link":[{{"frame":"I(ns=1,nr=0,pf=1)","dst":"21","src":"03","length":11}}],"apdu":["get-response-normal"],
            "decoded":{{"apdu":"get-response-normal","invoke":"c1","data":{{"unsigned":42}}}}}}}}"#
        ),
        format!(
            r#"{{"id":"a","kind":"hdlc","session":"s","seq":1,"hex":"{first}","expect":{{"segment":true,
            "link":[{{"frame":"I(ns=0,nr=0,pf=1)","dst":"21","src":"03","length":16,"segmented":true,"llc":"e6e700"}}]}}}}"#
        ),
    ];
    let lines = lines.map(|line| line.replace('\n', ""));
    let output = replay(folder(&[&lines[0], &lines[1]]).path(), &["--format", "json"]);
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(last_line(&output), r#"{"records":2,"matched":2,"failed":0,"unsupported":0}"#, "{report}");
}
