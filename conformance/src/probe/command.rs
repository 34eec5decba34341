//! The command line of probes.

use std::io::{IsTerminal, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use dlms::hdlc::scanner::{Config, Plan};
use dlms::hdlc::{Parameters, Width};

use super::address::{Found, scan};
use super::port::{Port, Serial};

/// What is to be found out.
#[derive(Debug, Subcommand)]
pub enum Probe {
    /// Find the HDLC address of a meter: addresses are asked one after the other, and what answers is printed.
    ///
    /// Exit status: 0 if a meter answered, 1 if none did, 2 if the line cannot be used.
    Address(Address),
}

impl Probe {
    /// Runs it.
    ///
    /// # Errors
    /// The line cannot be opened, or breaks; an argument that cannot be.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Address(address) => address.run(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object for each answer.
    Json,
}

/// Where a meter is looked for, and which addresses are tried.
#[derive(Debug, Args)]
pub struct Address {
    /// A gateway that carries HDLC frames over TCP.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "serial", conflicts_with = "serial")]
    tcp: Option<String>,
    /// A serial port with eight data bits and no parity.
    #[arg(long, value_name = "DEVICE")]
    serial: Option<String>,
    /// Rate of the serial port in bit/s.
    #[arg(long, value_name = "RATE", default_value_t = 9_600)]
    baud: u32,
    /// Client address; may be repeated.
    #[arg(long, value_name = "SAP", default_values_t = [16, 1])]
    client: Vec<u16>,
    /// Logical device, the upper address; may be repeated.
    #[arg(long, value_name = "SAP", default_values_t = [1])]
    logical_device: Vec<u16>,
    /// Octets of the server address: 1, 2 or 4; may be repeated.
    #[arg(long, value_name = "OCTETS", default_values_t = [1, 2, 4], value_parser = clap::value_parser!(u8))]
    width: Vec<u8>,
    /// Lower addresses, as FIRST-LAST.
    #[arg(long, value_name = "RANGE", default_value = "16-32", value_parser = range)]
    lower: (u16, u16),
    /// The meter's serial number: the lower addresses that common rules make of it are tried first.
    #[arg(long, value_name = "NUMBER")]
    serial_number: Option<u64>,
    /// How long an answer may take, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    timeout: u32,
    /// Pause between two addresses, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pause: u32,
    /// How often an address that is silent is asked again.
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u8,
    /// Propose information fields of so many octets, in windows of seven, instead of the defaults.
    #[arg(long, value_name = "OCTETS")]
    information: Option<u16>,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |part: &str| part.trim().parse::<u16>().map_err(|_| format!("{part:?} is no address"));
    let (first, last) = (number(first)?, number(last)?);
    if first > last || last > Width::Four.all_station() {
        return Err("a range is FIRST-LAST, up to 16383".to_owned());
    }
    Ok((first, last))
}

fn width(octets: u8) -> anyhow::Result<Width> {
    Width::ALL
        .into_iter()
        .find(|width| width.octets() == usize::from(octets))
        .with_context(|| format!("no address has {octets} octets: 1, 2 or 4"))
}

impl Address {
    fn run(self) -> anyhow::Result<ExitCode> {
        let widths = self.width.iter().map(|octets| width(*octets)).collect::<anyhow::Result<Vec<_>>>()?;
        let patience = Duration::from_millis(self.timeout.into()).max(Duration::from_secs(5));
        match (&self.tcp, &self.serial) {
            (Some(peer), _) => {
                let mut last = None;
                for address in peer.to_socket_addrs().with_context(|| format!("cannot resolve {peer}"))? {
                    match TcpStream::connect_timeout(&address, patience) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return self.scan(stream, &widths);
                        }
                        Err(error) => last = Some(error),
                    }
                }
                let error = last.context("the host has no address")?;
                Err(error).with_context(|| format!("cannot connect to {peer}"))
            }
            (None, Some(path)) => {
                let port = Serial::open(path, self.baud).with_context(|| format!("cannot open {path}"))?;
                self.scan(port, &widths)
            }
            (None, None) => anyhow::bail!("--tcp or --serial is needed"),
        }
    }

    fn scan(&self, mut port: impl Port, widths: &[Width]) -> anyhow::Result<ExitCode> {
        let plan = Plan {
            clients: &self.client,
            logical_devices: &self.logical_device,
            widths,
            lower: self.lower,
            serial: self.serial_number,
        };
        let config = Config {
            timeout_ms: self.timeout,
            retries: self.retries,
            pause_ms: self.pause,
            parameters: self.information.map_or(Parameters::DEFAULT, |octets| Parameters::symmetric(octets, 7)),
            ..Config::default()
        };
        // Told over and over in one line where a person watches, else now and then.
        let watched = std::io::stderr().is_terminal();
        let mut meters = 0_usize;
        let progress = |number: u32, total: usize, candidate: dlms::hdlc::scanner::Candidate| {
            let text = format!("{number} of {total}: client {}, server {}", candidate.client, candidate.server);
            if watched {
                eprint!("\r{text:<60}");
                let _ = std::io::stderr().flush();
            } else if number % 16 == 1 {
                eprintln!("{text}");
            }
        };
        let mut print = |found: Found| {
            meters += usize::from(found.is_meter());
            if found.reply == dlms::hdlc::scanner::Reply::Silence {
                return;
            }
            if watched {
                eprint!("\r{:<60}\r", "");
            }
            match self.format {
                Format::Text => println!("{found}"),
                Format::Json => println!("{}", found.to_json()),
            }
        };
        scan(&mut port, &plan, config, progress, &mut print).context("the line broke")?;
        if watched {
            eprintln!();
        }
        Ok(ExitCode::from(u8::from(meters == 0)))
    }
}
