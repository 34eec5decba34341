//! `head-end completion`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, Failure};

/// Write what a shell needs to complete our commands, such as `head-end completion bash > /etc/bash_completion.d/head-end`.
#[derive(Debug, Args)]
pub(super) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "head-end", &mut script);
        // There is nobody left to tell about an error on standard output.
        let _ = std::io::stdout().lock().write_all(&script);
        Ok(Exit::Success)
    }
}
