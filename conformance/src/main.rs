//! `conformance`: replay a corpus, decode a frame, record an exchange.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use dlms_conformance::open::{KeyArgument, Keys};
use dlms_conformance::{corpus, decode, replay};

/// DLMS/COSEM conformance tools.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Decode every record of a corpus and compare it with what it should be.
    ///
    /// Exit status: 0 if no record differs, 1 if one does, 2 if a corpus cannot be read.
    Replay {
        /// Folders of `.jsonl` files, or single files.
        #[arg(required = true, value_name = "DIR")]
        folders: Vec<PathBuf>,
        /// What to print: a table for people, or, as the last line, counts for programs.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print a frame or an APDU as a tree of offsets, names and values.
    ///
    /// HDLC frames, wrapped APDUs, M-Bus frames, P1 telegrams, LLC headers, bare APDUs and A-XDR values are told
    /// apart by how they begin. Exit status: 0 if everything was understood, 1 if not, 2 for a bad argument.
    Decode {
        /// The octets in hex, spaces allowed; `-` reads them from the standard input.
        #[arg(value_name = "HEX")]
        hex: String,
        /// A key or system title as ROLE=HEX; roles: guek, gak, dedicated, general, mac, client-title, server-title,
        /// title (of whoever sent it).
        #[arg(long = "key", value_name = "ROLE=HEX")]
        keys: Vec<KeyArgument>,
        /// What to print: an indented tree, or one JSON object.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Replay { folders, format } => {
            let mut files = Vec::new();
            for folder in &folders {
                files.extend(corpus::read(folder).context("cannot read the corpus")?);
            }
            let report = replay::replay(&files);
            let totals = report.totals();
            if format == Format::Json {
                // The table goes where it does not disturb a program that reads the last line.
                eprint!("{}", report.to_text());
                println!("{}", serde_json::to_string(&totals)?);
            } else {
                print!("{}", report.to_text());
            }
            Ok(ExitCode::from(u8::from(totals.failed > 0)))
        }
        Command::Decode { hex, keys, format } => {
            let text = if hex == "-" { std::io::read_to_string(std::io::stdin())? } else { hex };
            let digits: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
            let octets = hex::decode(&digits).context("the input is not hex")?;
            let decoded = decode::decode(&octets, keys.into_iter().collect::<Keys>());
            match format {
                Format::Text => print!("{}", decoded.to_text()),
                Format::Json => println!("{}", decoded.to_json()),
            }
            let Some(complaint) = decoded.complaint else { return Ok(ExitCode::SUCCESS) };
            if format == Format::Text {
                eprintln!("refused at {complaint}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}
