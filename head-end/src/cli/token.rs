//! `head-end token`.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Exit, Failure, Format, output};
use crate::{
    access::{NewToken, Role},
    meter::Tenant,
};

/// Tokens of callers.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Draw a token for a caller; it is shown once
    New(New),
}

/// Draw a token for a caller.
#[derive(Debug, Args)]
pub(super) struct New {
    /// Name of the caller, as it will stand in the audit log
    subject: String,
    /// What the caller may do: viewer, operator, security_officer or administrator; may be given more than once
    #[arg(long = "role", required = true, value_name = "ROLE")]
    roles: Vec<Role>,
    /// Whose meters the caller sees [default: all meters]
    #[arg(long, value_name = "TENANT")]
    tenant: Option<Tenant>,
    /// Days until it expires [default: it does not]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    days: Option<u16>,
    /// File of callers to add it to, made if it is not there [default: the entry is shown]
    #[arg(long, env = "HEADEND_CALLERS", value_name = "FILE")]
    callers: Option<PathBuf>,
    /// How to print it
    #[arg(long, env = "HEADEND_FORMAT", default_value = "table")]
    format: Format,
}

impl Token {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let Self::New(new) = self;
        new.run()
    }

    pub(super) const fn format(&self) -> Format {
        let Self::New(new) = self;
        new.format
    }
}

impl New {
    fn run(self) -> Result<Exit, Failure> {
        if !(1..=200).contains(&self.subject.chars().count()) {
            return Err(Failure::usage("the subject of a caller has 1 to 200 characters"));
        }
        let token = NewToken::draw().map_err(|error| Failure::start(&error))?;
        let entry = self.entry(&token)?;
        if let Some(path) = &self.callers {
            let failed = |error| Failure::usage(format!("cannot write {}: {error}", path.display()));
            let mut options = OpenOptions::new();
            options.create(true).append(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path).map_err(failed)?;
            file.write_all(entry.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        match self.format {
            Format::Json => output::print(json!({ "id": token.id, "token": token.token.as_str(), "entry": entry })),
            Format::Table => {
                output::print(token.token.as_str());
                match &self.callers {
                    Some(path) => eprintln!("Its hash is in {}. Nobody can show the token again.", path.display()),
                    None => eprintln!("Nobody can show the token again. For the file of callers:\n{entry}"),
                }
            }
        }
        Ok(Exit::Success)
    }

    fn entry(&self, token: &NewToken) -> Result<String, Failure> {
        let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let roles: Vec<_> = self.roles.iter().map(|role| text(role.name())).collect();
        let mut entry = format!(
            "\n[[token]]\nid = {}\nhash = {}\nsubject = {}\nroles = [{}]\n",
            text(&token.id),
            text(&token.hash.text()),
            text(&self.subject),
            roles.join(", ")
        );
        if let Some(tenant) = &self.tenant {
            entry.push_str(&format!("tenant = {}\n", text(tenant.as_str())));
        }
        if let Some(days) = self.days {
            let end = Timestamp::now().checked_add(SignedDuration::from_hours(24 * i64::from(days)));
            let end = end.map_err(|error| Failure::start(&error))?;
            entry.push_str(&format!("expires = {}\n", text(&format!("{end:.0}"))));
        }
        Ok(entry)
    }
}
