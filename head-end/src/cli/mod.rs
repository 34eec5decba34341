//! The command line: `serve`, clients of the gRPC API, and a demonstration.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the call was answered, but something at the meter did not succeed |
//! | 2 | wrong usage, or a configuration that is not valid |
//! | 3 | the head-end answered with an error |
//! | 4 | the head-end could not be reached |
//! | 5 | the head-end could not start, or failed |

mod attributes;
mod audit;
mod backup;
mod billing;
mod bundle;
mod check;
mod client;
mod comms;
mod completion;
mod config;
mod control;
mod coverage;
#[cfg(feature = "demo")]
mod demo;
mod discover;
mod events;
mod export;
mod failure;
mod firmware;
mod groups;
mod instruct;
mod intervals;
mod jobs;
mod json;
mod keys;
mod meters;
mod moment;
mod output;
mod ping;
mod plans;
mod profile;
mod read;
mod readings;
mod serve;
mod tasks;
mod telegram;
mod token;
mod trace;
mod unclaimed;
mod value;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::{
    client::ClientOptions,
    failure::{Exit, Failure},
    output::Format,
    serve::{Logging, init_logging},
};

/// Reads fleets of DLMS/COSEM meters and offers them over gRPC.
#[derive(Debug, Parser)]
#[command(name = "head-end", version, about, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: 0 done; 1 something at the meter did not succeed; 2 wrong usage or configuration;
3 the head-end answered with an error; 4 it could not be reached; 5 it could not start, or failed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the head-end
    Serve(Box<serve::Serve>),
    /// Check what `serve` would be started with, and change nothing
    Check(Box<check::Check>),
    /// Copy the store of a data directory, also while a head-end runs there
    Backup(backup::Backup),
    /// Make the store of a data directory from a copy
    Restore(backup::Restore),
    /// Write what a shell needs to complete our commands
    Completion(completion::Completion),
    /// What was changed, and by whom
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Make tokens for callers
    #[command(subcommand)]
    Token(token::Token),
    /// Start a fleet of simulated meters, and a head-end that reads it
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// The fleet of a demonstration, as a process of its own
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    DemoFleet(demo::DemoFleet),
    /// Register, show and change meters
    #[command(subcommand)]
    Meters(Box<meters::Meters>),
    /// Make, show and remove groups of meters
    #[command(subcommand)]
    Groups(groups::Groups),
    /// Renew keys of meters and strengthen their security policies
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Read registers of a meter now
    Read(read::Read),
    /// Read rows of a profile of a meter now
    Profile(profile::Profile),
    /// Read the values of a billing period of a meter now
    Billing(billing::Billing),
    /// Read attributes of a meter as they are
    Get(attributes::Get),
    /// Write an attribute of a meter
    Set(attributes::Set),
    /// Invoke a method of a meter
    Invoke(attributes::Invoke),
    /// Do several things with a meter in one association
    Bundle(bundle::Bundle),
    /// Ask meters whether they answer
    Ping(ping::Ping),
    /// Show what is known of the way to a meter
    Comms(comms::Comms),
    /// Read the object list of a meter
    Discover(discover::Discover),
    /// Show events and alarms, and see to them
    #[command(subcommand)]
    Events(events::Events),
    /// Show devices that were heard and that nobody registered, and register them
    #[command(subcommand)]
    Unclaimed(unclaimed::Unclaimed),
    /// Hand telegrams of customer ports to the head-end
    Telegram(telegram::Telegram),
    /// Follow what is said between the head-end and a meter
    Trace(trace::Trace),
    /// Show the newest readings of meters from the store
    Latest(readings::Latest),
    /// Show readings from the store
    Readings(readings::Readings),
    /// Collect by plans
    #[command(subcommand)]
    Plans(plans::Plans),
    /// Show what is held and what is missing of profiles of a meter
    Coverage(coverage::Coverage),
    /// Show consumption, or values by hour, day or month, from the store
    Intervals(intervals::Intervals),
    /// Follow operations over many meters, and let them run
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Switch supplies and loads
    #[command(subcommand)]
    Supply(Box<control::Supply>),
    /// Set load limits
    #[command(subcommand)]
    Limits(Box<control::Limits>),
    /// End the billing period, and with it reset the demand registers
    ResetDemand(Box<control::ResetDemand>),
    /// Set clocks
    #[command(subcommand)]
    Clock(Box<config::Clock>),
    /// Set meters up
    #[command(subcommand)]
    Config(Box<config::Config>),
    /// Bring firmware to meters
    #[command(subcommand)]
    Firmware(Box<firmware::Firmware>),
    /// Write readings from the store into a file
    Export(export::Export),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::start(&error).report(Format::Table),
    };
    let format = cli.command.format();
    match runtime.block_on(cli.command.run()) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(format),
    }
}

impl Command {
    async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Serve(command) => command.run().await,
            Self::Check(command) => command.run(),
            Self::Backup(command) => command.run(),
            Self::Restore(command) => command.run(),
            Self::Completion(command) => command.run(),
            Self::Audit(command) => command.run().await,
            Self::Token(command) => command.run(),
            #[cfg(feature = "demo")]
            Self::Demo(command) => command.run().await,
            #[cfg(feature = "demo")]
            Self::DemoFleet(command) => command.run().await,
            Self::Meters(command) => command.run().await,
            Self::Groups(command) => command.run().await,
            Self::Keys(command) => command.run().await,
            Self::Read(command) => command.run().await,
            Self::Profile(command) => command.run().await,
            Self::Get(command) => command.run().await,
            Self::Set(command) => command.run().await,
            Self::Invoke(command) => command.run().await,
            Self::Bundle(command) => command.run().await,
            Self::Ping(command) => command.run().await,
            Self::Billing(command) => command.run().await,
            Self::Latest(command) => command.run().await,
            Self::Comms(command) => command.run().await,
            Self::Discover(command) => command.run().await,
            Self::Events(command) => command.run().await,
            Self::Unclaimed(command) => command.run().await,
            Self::Telegram(command) => command.run().await,
            Self::Trace(command) => command.run().await,
            Self::Readings(command) => command.run().await,
            Self::Plans(command) => command.run().await,
            Self::Coverage(command) => command.run().await,
            Self::Intervals(command) => command.run().await,
            Self::Export(command) => command.run().await,
            Self::Jobs(command) => command.run().await,
            Self::Supply(command) => command.run().await,
            Self::Limits(command) => command.run().await,
            Self::ResetDemand(command) => command.run().await,
            Self::Clock(command) => command.run().await,
            Self::Config(command) => command.run().await,
            Self::Firmware(command) => command.run().await,
        }
    }

    fn format(&self) -> Format {
        match self {
            Self::Serve(_) | Self::Completion(_) => Format::Table,
            Self::Check(command) => command.format,
            Self::Backup(command) => command.format,
            Self::Restore(command) => command.format,
            Self::Audit(command) => command.format(),
            Self::Token(command) => command.format(),
            #[cfg(feature = "demo")]
            Self::Demo(command) => command.format,
            #[cfg(feature = "demo")]
            Self::DemoFleet(_) => Format::Table,
            Self::Meters(command) => command.client().format,
            Self::Groups(command) => command.client().format,
            Self::Keys(command) => command.client().format,
            Self::Read(command) => command.client.format,
            Self::Profile(command) => command.client.format,
            Self::Get(command) => command.client.format,
            Self::Set(command) => command.client.format,
            Self::Invoke(command) => command.client.format,
            Self::Bundle(command) => command.client.format,
            Self::Ping(command) => command.client.format,
            Self::Billing(command) => command.client.format,
            Self::Latest(command) => command.client.format,
            Self::Comms(command) => command.client.format,
            Self::Discover(command) => command.client.format,
            Self::Events(command) => command.client().format,
            Self::Unclaimed(command) => command.client().format,
            Self::Telegram(command) => command.client.format,
            Self::Trace(command) => command.client.format,
            Self::Readings(command) => command.client.format,
            Self::Plans(command) => command.client().format,
            Self::Coverage(command) => command.client.format,
            Self::Intervals(command) => command.client.format,
            Self::Export(command) => command.client.format,
            Self::Jobs(command) => command.client().format,
            Self::Supply(command) => command.client().format,
            Self::Limits(command) => command.client().format,
            Self::ResetDemand(command) => command.client.format,
            Self::Clock(command) => command.client().format,
            Self::Config(command) => command.client().format,
            Self::Firmware(command) => command.client().format,
        }
    }
}
