//! `conformance`: replay a corpus, decode a frame, record an exchange.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use dlms_conformance::corpus::CorpusFile;
use dlms_conformance::open::{KeyArgument, Keys};
use dlms_conformance::probe::command::Probe;
use dlms_conformance::record::{Kind, Record, Security};
use dlms_conformance::recorder::Exchanged;
use dlms_conformance::values::Reported;
use dlms_conformance::{corpus, decode, recorder, replay};

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
    /// Pass one connection between a client and a server on, and write what was said as corpus records.
    Record {
        /// Where the client is expected; port 0 takes a free one, which is printed.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: String,
        /// The server.
        #[arg(long, value_name = "ADDRESS")]
        connect: String,
        /// Framing of the connection.
        #[arg(long, value_enum)]
        link: Link,
        /// Name of the session; names of records begin with it.
        #[arg(long)]
        session: String,
        /// Who talks to whom, for the records.
        #[arg(long)]
        document: String,
        /// The session's keys: guek, gak or dedicated, as ROLE=HEX.
        #[arg(long = "key", value_name = "ROLE=HEX")]
        keys: Vec<KeyArgument>,
        /// File to write, one record a line.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Find out about a live meter.
    #[command(subcommand)]
    Probe(Probe),
    /// Set the values that an independent implementation reported beside the records of its exchange.
    ///
    /// Exit status 1 if a value differs from what is decoded here, or was never answered.
    Annotate {
        /// Records written by `record`; replaced.
        records: PathBuf,
        /// JSON list of objects with class, obis, attribute, optional selector, and value.
        values: PathBuf,
        /// Name and version of the implementation.
        #[arg(long)]
        implementation: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Link {
    /// Wrapper over TCP.
    Wrapper,
    /// HDLC over TCP.
    Hdlc,
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
        Command::Record { listen, connect, link, session, document, keys, output } => {
            let listener = TcpListener::bind(&listen).with_context(|| format!("cannot listen on {listen}"))?;
            println!("listening on {}", listener.local_addr()?);
            let octets =
                recorder::proxy(&listener, &connect).with_context(|| format!("between client and {connect}"))?;
            let kind = match link {
                Link::Wrapper => Kind::Wrapper,
                Link::Hdlc => Kind::Hdlc,
            };
            let security = (!keys.is_empty()).then(|| Security::from_iter(keys));
            let records = recorder::records(&Exchanged { session, kind, security, document }, &octets);
            write_records(&output, &records)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Probe(probe) => probe.run(),
        Command::Annotate { records, values, implementation } => {
            let mut file = CorpusFile::read(&records).context("cannot read the records")?;
            let text = std::fs::read_to_string(&values).with_context(|| format!("cannot read {}", values.display()))?;
            let values: Vec<Reported> =
                serde_json::from_str(&text).context("the values are no JSON list of reports")?;
            match recorder::annotate(&mut file.records, &values, &implementation) {
                Ok(found) => {
                    write_records(&records, &file.records)?;
                    println!("{found} values agree");
                    Ok(ExitCode::SUCCESS)
                }
                Err(difference) => {
                    eprintln!("conformance: {difference}");
                    Ok(ExitCode::FAILURE)
                }
            }
        }
    }
}

fn write_records(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record)?);
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
