//! The corpus as it lies in the tree: a file for each target, an input a line, in hex.

use std::path::{Path, PathBuf};

use crate::TARGETS;

fn path(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{target}.hex"))
}

/// What `fuzz/run` does with the corpus:
///
/// ```text
/// list                    names of the targets, the longest input worth trying, and how many a fixed run makes
/// unpack TARGET FOLDER    writes each input to a file, as the engine wants them
/// pack TARGET FOLDER      replaces the target's inputs by the files of a folder
/// ```
///
/// # Panics
/// For any other command, and where files cannot be read or written.
pub fn command(words: &[&str]) {
    match *words {
        ["list"] => TARGETS.iter().for_each(|target| println!("{} {} {}", target.name, target.longest, target.runs)),
        ["unpack", name, folder] => {
            std::fs::create_dir_all(folder).expect("a folder");
            for (number, octets) in read(name).iter().enumerate() {
                std::fs::write(Path::new(folder).join(format!("kept-{number:04}")), octets).expect("written");
            }
        }
        ["pack", name, folder] => {
            let files = std::fs::read_dir(folder).expect("a folder");
            write(name, files.map(|file| std::fs::read(file.expect("an entry").path()).expect("a file")).collect());
        }
        _ => panic!("no such command: {words:?}"),
    }
}

/// The inputs that are kept for a target.
///
/// # Panics
/// When a line is no hex.
pub fn read(target: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path(target)).unwrap_or_default();
    text.lines().map(octets).collect()
}

/// Keeps these inputs, short ones first.
///
/// # Panics
/// When the file cannot be written.
pub fn write(target: &str, mut inputs: Vec<Vec<u8>>) {
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    let line = |octets: &Vec<u8>| octets.iter().map(|octet| format!("{octet:02x}")).chain(["\n".to_owned()]).collect();
    std::fs::write(path(target), inputs.iter().map(line).collect::<Vec<String>>().concat()).expect("written");
}

/// The octets of a line of hex.
///
/// # Panics
/// When it is no hex.
pub fn octets(line: &str) -> Vec<u8> {
    assert!(line.len().is_multiple_of(2) && line.is_ascii(), "half an octet: {line}");
    let digits = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap_or_else(|_| panic!("no hex: {line}"));
    (0..line.len()).step_by(2).map(digits).collect()
}
