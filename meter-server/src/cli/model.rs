//! `meter-server models` and `meter-server model`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Subcommand;
use dlms::acse::Mechanism;
use dlms_meter_server::simulator::{BuiltInModel, MODELS, Model};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the file of a built-in model, to start one's own from.
    Show {
        /// Name of a built-in model (see `meter-server models`).
        #[arg(default_value = MODELS[0].name)]
        name: String,
    },
    /// Checks a model file and says at which place something is wrong.
    ///
    /// Exit status 0 when the file is a model, 1 when it is not or cannot be read.
    Check {
        /// Model file (TOML).
        file: PathBuf,
    },
}

impl Command {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::Show { name } => {
                let model = BuiltInModel::find(&name).ok_or_else(|| anyhow!("{}", unknown(&name)))?;
                out.write_all(model.text.as_bytes())?;
            }
            Self::Check { file } => {
                let model = read(&file)?;
                writeln!(out, "{}: {}", file.display(), model.name())?;
                writeln!(out, "{} objects; clients: {}", model.object_count(), clients(&model))?;
            }
        }
        out.flush().context("cannot print")
    }
}

/// `meter-server models`.
pub(crate) fn list() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for built_in in MODELS {
        let model = built_in.model().map_err(|error| anyhow!("{}", error.in_file(built_in.name)))?;
        writeln!(out, "{}: {}", built_in.name, model.name())?;
        for line in model.about().lines() {
            writeln!(out, "    {line}")?;
        }
        writeln!(out, "    {} objects; clients: {}\n", model.object_count(), clients(&model))?;
    }
    writeln!(out, "meter-server run --model NAME runs one; meter-server model show NAME prints its file.")?;
    out.flush().context("cannot print")
}

/// `public (16, none), management (1, HLS GMAC, ciphered)`.
fn clients(model: &Model) -> String {
    let clients = model.clients().map(|(name, client)| {
        let (mechanism, ciphered) = model.mechanism(client).unwrap_or((Mechanism::Lowest, false));
        let mechanism = match mechanism {
            Mechanism::Lowest => "no authentication",
            Mechanism::Lls => "LLS",
            Mechanism::Hls2 => "HLS 2",
            Mechanism::Md5 => "HLS MD5",
            Mechanism::Sha1 => "HLS SHA-1",
            Mechanism::Gmac => "HLS GMAC",
            Mechanism::Sha256 => "HLS SHA-256",
            Mechanism::Ecdsa => "HLS ECDSA",
            _ => "another mechanism",
        };
        format!("{name} ({client}, {mechanism}{})", if ciphered { ", ciphered" } else { "" })
    });
    clients.collect::<Vec<_>>().join(", ")
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
    format!("`{name}` is not a built-in model: {}", names.join(", "))
}

/// A built-in model by its name, or else that of a file.
pub(crate) fn named(name: &str) -> anyhow::Result<Model> {
    if let Some(built_in) = BuiltInModel::find(name) {
        return built_in.model().map_err(|error| anyhow!("{}", error.in_file(name)));
    }
    let file = Path::new(name);
    // What looks like a name is told what names there are.
    if file.components().count() == 1 && file.extension().is_none() && !file.exists() {
        bail!("{}, nor is it a file", unknown(name));
    }
    read(file)
}

/// Reads a model file; errors name the file, the line and the column.
fn read(file: &Path) -> anyhow::Result<Model> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Model::from_toml(&text).map_err(|error| anyhow!("{}", error.in_file(&file.display().to_string())))
}
