//! The conformance statement: made of `conformance/statement.toml`, whose tests must exist and not be switched off.
//! `DLMS_STATEMENT_UPDATE=1 cargo test -p dlms-conformance --test statement` writes `docs/conformance.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    evidence: BTreeMap<String, Evidence>,
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    kind: Kind,
    test: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Vector,
    Capture,
    Peer,
    #[serde(rename = "self")]
    Own,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    area: String,
    item: String,
    #[serde(default)]
    client: Vec<String>,
    #[serde(default)]
    server: Vec<String>,
}

impl Evidence {
    fn parts(&self) -> (&str, &str) {
        self.test.split_once("::").unwrap_or_else(|| panic!("{}: a path and a test", self.test))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn statement() -> Statement {
    let text = std::fs::read_to_string(root().join("conformance/statement.toml")).expect("the statement");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_test_that_is_named_is_run() {
    for (name, evidence) in statement().evidence {
        let (path, test) = evidence.parts();
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{name}: {path}: {error}"));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let head = format!("fn {test}(");
        let at =
            lines.iter().position(|line| line.starts_with(&head)).unwrap_or_else(|| panic!("{name}: {path}: {test}"));
        let attributes: Vec<&str> = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
            .copied()
            .collect();
        assert!(attributes.contains(&"#[test]"), "{name}: {test} is no test");
        // Those that want another implementation are run by a step of their own.
        let ignored = attributes.iter().any(|line| line.starts_with("#[ignore"));
        let by_peers = attributes.iter().any(|line| line.contains("./test peers"));
        assert!(!ignored || by_peers, "{name}: {test} is not run");
    }
}

#[test]
fn all_evidence_is_used_and_known() {
    let statement = statement();
    let used: Vec<&String> = statement.row.iter().flat_map(|row| row.client.iter().chain(&row.server)).collect();
    for name in &used {
        assert!(statement.evidence.contains_key(*name), "there is no evidence {name}");
    }
    for name in statement.evidence.keys() {
        assert!(used.contains(&name), "{name} shows nothing");
    }
}

/// The evidence of one side: what others made, and apart from it what only agrees with itself.
fn cells(statement: &Statement, names: &[String]) -> [String; 2] {
    let link = |evidence: &Evidence| {
        let (path, test) = evidence.parts();
        let kind = match evidence.kind {
            Kind::Vector => "vector",
            Kind::Capture => "capture",
            Kind::Peer => "peer",
            Kind::Own => "own",
        };
        format!("[{kind}](../{path} \"{test}\")")
    };
    let mut found: Vec<&Evidence> = names.iter().map(|name| &statement.evidence[name]).collect();
    found.sort_by_key(|evidence| evidence.kind);
    let (own, others): (Vec<&Evidence>, Vec<&Evidence>) =
        found.into_iter().partition(|evidence| evidence.kind == Kind::Own);
    [others, own].map(|side| match side[..] {
        [] if names.is_empty() => "not implemented".to_owned(),
        [] => "–".to_owned(),
        _ => side.into_iter().map(link).collect::<Vec<_>>().join(", "),
    })
}

fn document(statement: &Statement) -> String {
    let mut text = String::from(
        "# Conformance statement\n\n\
         What is implemented on which side, and what shows it. Made of `conformance/statement.toml`; every entry is a link\n\
         to the test that stands for it, and a test of the statement sees that it exists and is run.\n\n\
         - **vector**: figures that were published, or computed by an independent program\n\
         - **capture**: traffic that others recorded\n\
         - **peer**: another implementation at the other end (see [the matrix](peers-matrix.md))\n\
         - **own**: both sides are ours; agreement with oneself proves that the parts fit, not that they are right\n",
    );
    let mut area = "";
    for row in &statement.row {
        if row.area != area {
            area = &row.area;
            text += &format!(
                "\n## {area}\n\n\
                 | | client, by others | client, own | server, by others | server, own |\n|---|---|---|---|---|\n"
            );
        }
        let [client, client_own] = cells(statement, &row.client);
        let [server, server_own] = cells(statement, &row.server);
        text += &format!("| {} | {client} | {client_own} | {server} | {server_own} |\n", row.item);
    }
    text
}

#[test]
fn the_document_is_up_to_date() {
    let document = document(&statement());
    let path = root().join("docs/conformance.md");
    if std::env::var_os("DLMS_STATEMENT_UPDATE").is_some() {
        std::fs::create_dir_all(root().join("docs")).expect("a folder");
        std::fs::write(&path, &document).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == document,
        "docs/conformance.md: DLMS_STATEMENT_UPDATE=1 cargo test -p dlms-conformance --test statement"
    );
}
