//! Holds the dependency tree against the policy of `deny.toml`: every licence is allowed, every
//! crate comes from crates.io, and no crate is there twice without having been written down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

struct Policy {
    allowed: BTreeSet<String>,
    exceptions: BTreeMap<String, BTreeSet<String>>,
    skipped: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn strings(value: &toml::Value) -> impl Iterator<Item = String> + '_ {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned))
}

fn policy() -> Policy {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let deny: toml::Value = toml::from_str(&text).expect("deny.toml is TOML");
    let exceptions = deny["licenses"]["exceptions"].as_array().expect("exceptions");
    Policy {
        allowed: strings(&deny["licenses"]["allow"]).collect(),
        exceptions: exceptions
            .iter()
            .map(|entry| (entry["crate"].as_str().expect("crate").to_owned(), strings(&entry["allow"]).collect()))
            .collect(),
        skipped: deny["bans"]["skip-tree"]
            .as_array()
            .expect("skip-tree")
            .iter()
            .map(|entry| entry["crate"].as_str().expect("crate").to_owned())
            .collect(),
    }
}

fn metadata() -> Value {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// True if a choice of the licences offered by an SPDX expression is allowed. `/` is the older
/// way of writing `OR`; `OR` binds weaker than `AND`.
fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let verdict = alternatives(&tokens, &mut at, allowed);
    verdict && at == tokens.len()
}

fn alternatives(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut any = all_of(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        // Both sides are parsed, whatever the first one gave.
        any = all_of(tokens, at, allowed) || any;
    }
    any
}

fn all_of(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut all = licence(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        all = licence(tokens, at, allowed) && all;
    }
    all
}

fn licence(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let inner = alternatives(tokens, at, allowed);
        let closed = tokens.get(*at) == Some(&")");
        *at += usize::from(closed);
        return inner && closed;
    }
    if tokens.get(*at) == Some(&"WITH") {
        // An exception only ever permits more.
        *at += 2;
    }
    allowed(token)
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = |name: &str| matches!(name, "MIT" | "Zlib");
    for expression in ["MIT", "GPL-3.0-only OR MIT", "GPL-3.0/MIT", "MIT AND Zlib", "(X OR MIT) AND Zlib", "MIT WITH y"]
    {
        assert!(is_allowed(expression, &allowed), "{expression}");
    }
    for expression in ["", "GPL-3.0-only", "MIT AND X", "X OR MIT AND X", "(MIT", "MIT Zlib", "MIT OR"] {
        let verdict = is_allowed(expression, &allowed);
        // `MIT OR` offers MIT even if the second choice is missing.
        assert_eq!(verdict, expression == "MIT OR", "{expression}");
    }
}

#[test]
fn every_licence_in_the_tree_is_allowed() {
    let policy = policy();
    let metadata = metadata();
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        let expression = package["license"].as_str().unwrap_or("");
        let exception = policy.exceptions.get(name);
        let allowed =
            |licence: &str| policy.allowed.contains(licence) || exception.is_some_and(|set| set.contains(licence));
        if !is_allowed(expression, &allowed) {
            refused.push(format!("{name}: {expression:?}"));
        }
    }
    assert!(refused.is_empty(), "licences that deny.toml does not allow: {refused:#?}");
}

#[test]
fn every_crate_comes_from_crates_io() {
    for package in metadata()["packages"].as_array().expect("packages") {
        // Members of the workspace have no source.
        let Some(source) = package["source"].as_str() else { continue };
        let from_crates_io = source.starts_with("registry+") && source.ends_with("/crates.io-index");
        assert!(from_crates_io, "{} comes from {source}", package["name"]);
    }
}

#[test]
fn no_crate_is_there_twice_unnoticed() {
    let policy = policy();
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        versions
            .entry(package["name"].as_str().expect("name"))
            .or_default()
            .insert(package["version"].as_str().expect("version"));
    }
    let skipped = |name: &str, version: &str| {
        policy.skipped.iter().any(|entry| match entry.split_once('@') {
            Some((skipped, prefix)) => {
                skipped == name && (version == prefix || version.starts_with(&format!("{prefix}.")))
            }
            None => false,
        })
    };
    let peer_only = reachable_only_through(&metadata, "dlms-cosem-rs");
    let mut surprises = Vec::new();
    for (name, versions) in &versions {
        let remaining: Vec<_> = versions
            .iter()
            .filter(|version| !skipped(name, version) && !peer_only.contains(&(name.to_string(), version.to_string())))
            .collect();
        if remaining.len() > 1 {
            surprises.push(format!("{name}: {remaining:?}"));
        }
    }
    assert!(surprises.is_empty(), "several versions: {surprises:#?}");
}

/// Packages that only the given package needs, itself included.
fn reachable_only_through(metadata: &Value, gate: &str) -> BTreeSet<(String, String)> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (node["id"].as_str().expect("id"), node))
        .collect();
    let names: BTreeMap<&str, (&str, &str)> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|p| {
            (
                p["id"].as_str().expect("id"),
                (p["name"].as_str().expect("name"), p["version"].as_str().expect("version")),
            )
        })
        .collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let members = metadata["workspace_members"].as_array().expect("members");
    let mut waiting: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
    while let Some(id) = waiting.pop() {
        if names[id].0 == gate || !seen.insert(id) {
            continue;
        }
        waiting.extend(nodes[id]["dependencies"].as_array().expect("dependencies").iter().filter_map(Value::as_str));
    }
    let unreached = names.iter().filter(|(id, _)| !seen.contains(**id));
    unreached.map(|(_, (name, version))| (name.to_string(), version.to_string())).collect()
}

/// Names of all that a package of the workspace is built from, itself included, tests and build scripts left out.
fn built_from(metadata: &Value, package: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (node["id"].as_str().expect("id"), node))
        .collect();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| (package["id"].as_str().expect("id"), package["name"].as_str().expect("name")))
        .collect();
    let mut waiting: Vec<&str> = names.iter().filter(|(_, name)| **name == package).map(|(id, _)| *id).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !found.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().expect("deps") {
            let normal = |kind: &Value| kind["kind"].is_null();
            if dependency["dep_kinds"].as_array().expect("kinds").iter().any(normal) {
                waiting.push(dependency["pkg"].as_str().expect("pkg"));
            }
        }
    }
    found.into_iter().map(|id| names[id].to_owned()).collect()
}

#[test]
fn lesson_41_the_stack_has_no_runtime_and_nobody_needs_a_system_library() {
    let metadata = metadata();
    let stack = built_from(&metadata, "dlms");
    assert!(stack.contains("aes-gcm"), "{stack:?}");
    for runtime in ["tokio", "async-io", "mio", "socket2", "bytes", "tracing", "log"] {
        assert!(!stack.contains(runtime), "dlms needs {runtime}");
    }
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        assert!(!matches!(name, "libudev" | "libudev-sys" | "openssl-sys" | "cmake"), "{name}");
    }
}
