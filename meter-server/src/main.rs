//! Simulated DLMS/COSEM meters on TCP, UDP and serial ports.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meter-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
