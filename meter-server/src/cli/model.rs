//! `meter-server model`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use dlms_meter_server::simulator::{DEFAULT_MODEL, Model};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the built-in model file, to start one's own from.
    Show,
    /// Checks a model file and says in which line something is wrong.
    Check {
        /// Model file (TOML).
        file: PathBuf,
    },
}

impl Command {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Show => print!("{DEFAULT_MODEL}"),
            Self::Check { file } => {
                let model = read(&file)?;
                let clients: Vec<_> = model.clients().map(|(name, client)| format!("{name} ({client})")).collect();
                println!("{}: {}", file.display(), model.name());
                println!("{} objects; clients: {}", model.object_count(), clients.join(", "));
            }
        }
        Ok(())
    }
}

/// Reads a model file; errors name the file and the line.
pub(crate) fn read(file: &Path) -> anyhow::Result<Model> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Model::from_toml(&text).with_context(|| file.display().to_string())
}
