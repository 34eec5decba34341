//! How a command ends.

use std::{error::Error, fmt::Write as _, process::ExitCode};

use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::Format;

/// How a command ended that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success,
    /// Something at the meter did not succeed.
    Partly,
    /// What was checked is not valid.
    Invalid,
}

impl Exit {
    /// Success if `all` is true.
    #[must_use]
    pub const fn of(all: bool) -> Self {
        if all { Self::Success } else { Self::Partly }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Partly => Self::from(1),
            Exit::Invalid => Self::from(2),
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    reason: String,
    message: String,
    details: Vec<(String, String)>,
}

impl Failure {
    /// Wrong usage that the parser of the command line cannot see.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, "USAGE", message.into())
    }

    /// A configuration that is not valid.
    #[must_use]
    pub fn configuration(error: &dyn Error) -> Self {
        Self::new(2, "CONFIGURATION", chain(error))
    }

    /// The head-end could not be reached.
    #[must_use]
    pub fn connect(server: &str, error: &dyn Error) -> Self {
        Self::new(4, "UNREACHABLE", format!("no head-end at {server}: {}", chain(error)))
    }

    /// The head-end could not start, or failed.
    #[must_use]
    pub fn start(error: &dyn Error) -> Self {
        Self::new(5, "FAILED", chain(error))
    }

    fn new(status: u8, reason: &str, message: String) -> Self {
        Self { status, reason: reason.to_owned(), message, details: Vec::new() }
    }

    /// Tells the user, and gives the exit status of the process.
    #[must_use]
    pub fn report(&self, format: Format) -> ExitCode {
        match format {
            Format::Json => {
                let details: serde_json::Map<_, _> =
                    self.details.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
                eprintln!("{}", json!({ "error": self.reason, "message": self.message, "details": details }));
            }
            Format::Table => {
                let mut text = format!("error: {}", self.message);
                for (key, value) in &self.details {
                    // Writing to a string does not fail.
                    let _ = write!(text, "\n  {key}: {value}");
                }
                eprintln!("{text}");
            }
        }
        ExitCode::from(self.status)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // A connection that breaks is reported as UNAVAILABLE too, but without our details.
        let details = status.get_error_details();
        let Some(info) = details.error_info() else {
            let exit = if status.code() == Code::Unavailable { 4 } else { 3 };
            let text =
                if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() };
            return Self::new(exit, &format!("{:?}", status.code()), text);
        };
        let mut shown: Vec<_> = info.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        shown.sort();
        Self { details: shown, ..Self::new(3, &info.reason, status.message().to_owned()) }
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}
