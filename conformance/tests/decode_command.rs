//! `conformance decode` as a program.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn decode(arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_conformance")).arg("decode").args(arguments).output();
    program.expect("the program starts")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// Green Book: a ciphered get-request of the client `4d4d4d0000bc614e` for the clock.
const CIPHERED: &str = "c81e3001234567411312ff935a47566827c467bc7d825c3be4a77c3fcc056b6b";
const KEYS: [&str; 6] = [
    "--key",
    "guek=000102030405060708090a0b0c0d0e0f",
    "--key",
    "gak=d0d1d2d3d4d5d6d7d8d9dadbdcdddedf",
    "--key",
    "client-title=4d4d4d0000bc614e",
];

#[test]
fn a_ciphered_apdu_shows_its_content_with_offsets() {
    let output = decode(&[&[CIPHERED][..], &KEYS].concat());
    let shown = text(&output.stdout);
    assert!(shown.contains("gcm-tag-ok true"), "{shown}");
    assert!(shown.contains("00007    plain get-request-normal"), "{shown}");
    assert!(shown.contains("0000c      obis 0.0.1.0.0.255"), "{shown}");
    assert!(output.status.success());
}

#[test]
fn a_flipped_bit_is_refused_by_the_security_layer() {
    let damaged = CIPHERED.replace("411312", "411313");
    let output = decode(&[&[damaged.as_str()][..], &KEYS].concat());
    assert!(text(&output.stderr).contains("refused at security"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn without_keys_only_the_header_is_shown() {
    let shown = text(&decode(&[CIPHERED]).stdout);
    assert!(shown.contains("ciphertext-len 25"), "{shown}");
}

#[test]
fn kinds_are_told_apart_by_how_they_begin() {
    let cases = [
        ("7EA0070321930F017E", "frame SNRM"),
        ("0001 0010 0001 000D C001C100080000010000FF0200", "src_wport 16"),
        ("E6E600 C001C100080000010000FF0200", "llc e6e600"),
        ("900101 C001C100080000010000FF0200", "llc 900101"),
        ("C001C100080000010000FF0200", "apdu get-request-normal"),
        ("0906 0100010800FF", "value data octet-string 0100010800ff"),
    ];
    for (hex, expected) in cases {
        let output = decode(&[hex]);
        let shown = text(&output.stdout);
        assert!(shown.contains(expected), "{hex}: {shown}");
        assert!(output.status.success(), "{hex}");
    }
}

#[test]
fn json_carries_the_tree_and_the_error_with_its_offset() {
    let output = decode(&["c401c1000600", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["error"]["layer"], "apdu");
    assert_eq!(json["error"]["offset"], 5);
    assert_eq!(output.status.code(), Some(1));

    let output = decode(&["c401c100112a", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["parts"][0]["parts"][2]["name"], "data");
    assert_eq!(json["parts"][0]["parts"][2]["offset"], 4);
    assert_eq!(json["parts"][0]["parts"][2]["parts"][0]["value"], 42);
}

#[test]
fn hex_is_read_from_the_standard_input() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["decode", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    program.stdin.take().expect("a pipe").write_all(b"c4 01 c1 00\n11 2a\n").expect("written");
    let output = program.wait_with_output().expect("ended");
    assert!(text(&output.stdout).contains("00004    data unsigned 42"), "{}", text(&output.stdout));
}

#[test]
fn bad_arguments_are_told_from_bad_octets() {
    assert_eq!(decode(&["c4zz"]).status.code(), Some(2));
    let output = decode(&["c4", "--key", "guek=0011"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("2 octets, allowed are [16, 32]"), "{}", text(&output.stderr));
}
