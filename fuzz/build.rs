//! Lists the interface classes by their tables in the stack, so that a class that is added is tried too.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stack/src/cosem");
    println!("cargo:rerun-if-changed={}", source.display());
    let mut arms = String::new();
    let mut files = rust_files(&source);
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let below = file.strip_prefix(&source).expect("below the folder").with_extension("");
        let module: Vec<_> = below.iter().filter_map(|part| part.to_str()).filter(|part| *part != "mod").collect();
        for table in text.split("\ninterface_class! {").skip(1) {
            class(table, &module.join("::"), &mut arms);
        }
    }
    assert!(!arms.is_empty(), "no interface class was found in {}", source.display());
    let output = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("classes.rs");
    let function =
        format!("fn class(id: u8, octets: &[u8]) {{\n    match id {{\n{arms}        _ => {{}}\n    }}\n}}\n");
    std::fs::write(output, function).expect("written");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// One class: its identifier in the first line, then its members by section.
fn class(table: &str, module: &str, arms: &mut String) {
    let table = table.split("\n}\n").next().expect("a table");
    let (_, after) = table.split_once("\" = ").expect("the identifier of a class");
    let id: u16 = after.split(',').next().and_then(|id| id.trim().parse().ok()).expect("a number");
    let mut kind = "";
    writeln!(arms, "        {id} => {{").expect("a string");
    for line in table.lines().map(str::trim) {
        if line.starts_with("attributes {") {
            kind = "attribute";
        } else if line.starts_with("methods {") {
            kind = "method";
        }
        let mut words = line.split_whitespace();
        if let (Some(number), Some(name)) = (words.next(), words.next())
            && number.parse::<i8>().is_ok()
            && name.starts_with(char::is_uppercase)
        {
            writeln!(arms, "            {kind}::<dlms::cosem::{module}::{name}>(octets);").expect("a string");
        }
    }
    writeln!(arms, "        }}").expect("a string");
}
