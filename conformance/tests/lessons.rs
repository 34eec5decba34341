//! Every row of `docs/lessons.md` has a test that can be found by its number.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rows that no test can show: what is still to come, and what benchmarks measure.
const WITHOUT_TEST: [u32; 2] = [25, 26];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Numbers in the name of a test: `lesson_06_and_07_every_length` and `lesson_06_07_33_every_length` are of several.
fn numbers(name: &str) -> Vec<u32> {
    name.split('_')
        .skip(1)
        .take_while(|word| *word == "and" || word.parse::<u32>().is_ok())
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The tests of each row: functions that stand under `#[test]` or in `proptest!`, so not in a comment.
fn tests() -> BTreeMap<u32, BTreeSet<String>> {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    let mut tests: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("source text");
        for line in text.lines().map(str::trim_start) {
            let Some((_, rest)) = line.split_once("fn lesson_").filter(|(before, _)| matches!(*before, "" | "async "))
            else {
                continue;
            };
            let name =
                format!("lesson_{}", rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""));
            for number in numbers(&name) {
                tests.entry(number).or_default().insert(name.clone());
            }
        }
    }
    tests
}

fn rows() -> Vec<u32> {
    let text = fs::read_to_string(root().join("docs/lessons.md")).expect("docs/lessons.md");
    text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()?.parse().ok()).collect()
}

#[test]
fn every_lesson_has_a_test_and_every_such_test_a_row() {
    let (rows, tests) = (rows(), tests());
    assert_eq!(rows, (1..=rows.len() as u32).collect::<Vec<_>>(), "rows are numbered from 1");
    let without: Vec<u32> =
        rows.iter().copied().filter(|row| !tests.contains_key(row) && !WITHOUT_TEST.contains(row)).collect();
    assert!(without.is_empty(), "rows without a test: {without:?}");
    let astray: Vec<_> = tests.iter().filter(|(number, _)| !rows.contains(number)).collect();
    assert!(astray.is_empty(), "tests without a row: {astray:?}");
}
