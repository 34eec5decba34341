//! The command line.

mod fleet;
mod model;
mod p1;
mod run;
mod signals;

use clap::{Parser, Subcommand};

/// Simulated DLMS/COSEM meters on TCP, UDP and serial ports.
#[derive(Debug, Parser)]
#[command(name = "meter-server", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs meters until interrupted (ctrl-c).
    ///
    /// Prints one line for each physical device: where it listens, its serial number and its system title. Without any
    /// port it listens on TCP 127.0.0.1:4059.
    Run(Box<run::Run>),
    /// Runs a fleet of up to a million meters until interrupted (ctrl-c).
    ///
    /// Meters have a loopback address each behind one socket for each protocol, unless told otherwise, and keys of their
    /// own. Prints what the fleet consists of and how many connections fit into the descriptors of the process.
    Fleet(Box<fleet::FleetCommand>),
    /// Lists and explains the models that are part of the program.
    Models,
    /// Shows or checks model files.
    Model {
        #[command(subcommand)]
        command: model::Command,
    },
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(run) => run.execute(),
            Command::Fleet(fleet) => fleet.execute(),
            Command::Models => model::list(),
            Command::Model { command } => command.execute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
