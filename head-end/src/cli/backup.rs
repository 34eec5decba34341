//! `head-end backup` and `head-end restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Exit, Failure, Format, output};
use crate::store::sqlite::{RESTORE_JUMP, SqliteOptions, SqliteStore};

/// Copy the store of a data directory, also while a head-end runs there. The master key is not part of the copy.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// Where to; a directory that is not there yet
    #[arg(value_name = "DIR")]
    into: PathBuf,
    /// Directory of the store
    #[arg(long, env = "HEADEND_DATA_DIR", default_value = "head-end-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// How to print the result
    #[arg(long, env = "HEADEND_FORMAT", default_value = "table")]
    pub(super) format: Format,
}

/// Make the store of a data directory from a copy. Invocation counters go on far above it, and jobs that had not ended are
/// cancelled. Nothing that is there is replaced.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The copy
    #[arg(value_name = "DIR")]
    backup: PathBuf,
    /// Directory of the new store
    #[arg(long, env = "HEADEND_DATA_DIR", default_value = "head-end-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// How to print the result
    #[arg(long, env = "HEADEND_FORMAT", default_value = "table")]
    pub(super) format: Format,
}

impl Backup {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let copied = SqliteStore::back_up(&self.data_dir, &self.into, SqliteOptions::default());
        let manifest = copied.map_err(|error| Failure::start(&error))?;
        let octets: u64 = manifest.files.iter().map(|file| file.octets).sum();
        let (files, into) = (manifest.files.len(), self.into.display());
        match self.format {
            Format::Json => output::print_json(&json!({
                "directory": into.to_string(), "created": manifest.created.to_string(), "files": files, "octets": octets,
            })),
            Format::Table => output::print(format_args!("{files} files, {octets} octets, in {into}")),
        }
        output::note("the master key is not among them: keep a copy of it elsewhere");
        Ok(Exit::Success)
    }
}

impl Restore {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let made = SqliteStore::restore(&self.backup, &self.data_dir, SqliteOptions::default());
        let restored = made.map_err(|error| Failure::start(&error))?;
        let created = restored.manifest.created;
        match self.format {
            Format::Json => output::print_json(&json!({
                "directory": self.data_dir.display().to_string(), "created": created.to_string(),
                "counters": restored.counters, "jobs_cancelled": restored.jobs,
            })),
            Format::Table => output::print(format_args!(
                "the store of {created}, in {}: {} invocation counters moved up by {RESTORE_JUMP}, {} jobs cancelled",
                self.data_dir.display(),
                restored.counters,
                restored.jobs
            )),
        }
        output::note("put the master key back before the head-end is started");
        Ok(Exit::Success)
    }
}
