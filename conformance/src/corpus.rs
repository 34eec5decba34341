//! Finding and reading the files of a corpus.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::record::Record;

/// Why a corpus could not be read.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A folder or file cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A folder holds no `.jsonl` file.
    #[error("{0}: no .jsonl file in this folder")]
    Empty(PathBuf),
    /// A line is no record.
    #[error("{path}:{line}: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The records of one file, in its order.
#[derive(Debug)]
pub struct CorpusFile {
    /// Where they come from.
    pub path: PathBuf,
    /// The records.
    pub records: Vec<Record>,
}

impl CorpusFile {
    /// File name for reports.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Reads a file of one JSON object per line; empty lines are skipped.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let io = |source| CorpusError::Io { path: path.to_owned(), source };
        let reader = BufReader::new(File::open(path).map_err(io)?);
        let mut records = Vec::new();
        for (index, line) in reader.lines().enumerate() {
            let line = line.map_err(io)?;
            if line.trim().is_empty() {
                continue;
            }
            let record = serde_json::from_str(&line).map_err(|source| CorpusError::Line {
                path: path.to_owned(),
                line: index + 1,
                source,
            })?;
            records.push(record);
        }
        Ok(Self { path: path.to_owned(), records })
    }
}

/// Reads every `.jsonl` file of a folder in the order of their names, or the one file named.
pub fn read(path: &Path) -> Result<Vec<CorpusFile>, CorpusError> {
    let io = |source| CorpusError::Io { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(vec![CorpusFile::read(path)?]);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let name = entry.map_err(io)?.path();
        if name.extension().is_some_and(|extension| extension == "jsonl") {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(CorpusError::Empty(path.to_owned()));
    }
    names.sort();
    names.iter().map(|name| CorpusFile::read(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_by_file_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        std::fs::write(&file, "{\"id\":\"x\",\"kind\":\"apdu\",\"hex\":\"c0\"}\n\n{\"id\":\"y\"}\n").unwrap();
        let message = read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("a.jsonl:3: missing field `kind`"), "{message}");
    }

    #[test]
    fn odd_hex_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.jsonl"), "{\"id\":\"x\",\"kind\":\"apdu\",\"hex\":\"c0f\"}\n").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("hex: Odd number of digits"));
    }

    #[test]
    fn a_missing_or_empty_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(CorpusError::Empty(_))));
        assert!(matches!(read(&folder.path().join("none")), Err(CorpusError::Io { .. })));
    }

    #[test]
    fn files_are_read_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.jsonl", "a.jsonl", "notes.txt"] {
            std::fs::write(folder.path().join(name), "{\"id\":\"x\",\"kind\":\"data\"}\n").unwrap();
        }
        let files = read(folder.path()).unwrap();
        assert_eq!(files.iter().map(CorpusFile::name).collect::<Vec<_>>(), ["a.jsonl", "b.jsonl"]);
    }
}
