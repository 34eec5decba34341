//! `head-end audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dlms_proto::v1::{QueryAuditLogRequest, admin_client::AdminClient};
use jiff::Timestamp;
use serde_json::json;

use super::{ClientOptions, Exit, Failure, Format, moment, output};
use crate::{
    api::to_timestamp,
    config::{Config, StoreUrl},
    node,
    store::{
        sqlite::{SqliteOptions, SqliteStore},
        verify_audit,
    },
};

/// What was changed, and by whom.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Show calls that changed something, the newest first
    List(Box<List>),
    /// Check that nothing was changed or removed in the log of a data directory; a head-end may run there
    Verify(Verify),
}

/// Show calls that changed something, the newest first. JSON is one object a line.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only calls by this caller
    #[arg(long, default_value = "", hide_default_value = true)]
    subject: String,
    /// Only calls of this method, such as CreateMeter
    #[arg(long, default_value = "", hide_default_value = true)]
    method: String,
    /// Only calls whose target contains this, such as meters/m1
    #[arg(long, default_value = "", hide_default_value = true)]
    target: String,
    /// First moment: 2026-11-21T10:00:00Z, 2026-11-21 (local), yesterday, 24h (ago)
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    from: Option<Timestamp>,
    /// First moment that is no longer wanted
    #[arg(long, value_parser = moment::parse, value_name = "MOMENT")]
    to: Option<Timestamp>,
    /// Only calls without an outcome
    #[arg(long)]
    open: bool,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    client: ClientOptions,
}

/// Check that nothing was changed or removed in the log of a data directory.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Directory of the store
    #[arg(long, env = "HEADEND_DATA_DIR", default_value = "head-end-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// URL of the database that is the store, in place of the directory
    #[arg(long, env = "HEADEND_STORE", hide_env_values = true, value_name = "URL")]
    store: Option<StoreUrl>,
    /// What an earlier check printed: the log must still contain that row
    #[arg(long, value_name = "NUMBER:DIGEST")]
    contains: Option<String>,
    /// How to print the result
    #[arg(long, env = "HEADEND_FORMAT", default_value = "table")]
    format: Format,
}

impl Audit {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Verify(verify) => verify.run().await,
        }
    }

    pub(super) const fn format(&self) -> Format {
        match self {
            Self::List(list) => list.client.format,
            Self::Verify(verify) => verify.format,
        }
    }
}

impl List {
    async fn run(self) -> Result<Exit, Failure> {
        let mut admin = AdminClient::new(self.client.connect().await?);
        let mut request = QueryAuditLogRequest {
            subject: self.subject,
            method: self.method,
            target: self.target,
            from: self.from.map(to_timestamp),
            to: self.to.map(to_timestamp),
            open: self.open,
            ..Default::default()
        };
        let mut table = output::table(&["NUMBER", "TIME (UTC)", "CALLER", "METHOD", "TARGET", "DETAILS", "OUTCOME"]);
        let mut left = self.limit;
        loop {
            let page = admin.query_audit_log(self.client.request(request.clone())).await?.into_inner();
            for call in page.calls.into_iter().take(left) {
                left = left.saturating_sub(1);
                let time = output::time_text(call.time.as_ref());
                match self.client.format {
                    Format::Json => output::print_json(&json!({
                        "number": call.number, "time": time, "subject": call.subject, "tenant": call.tenant,
                        "method": call.method, "target": call.target, "details": call.details,
                        "request_id": call.request_id, "peer": call.peer, "outcome": call.outcome,
                        "end_time": output::time_text(call.end_time.as_ref()),
                    })),
                    Format::Table => {
                        let method = call.method.rsplit('.').next().unwrap_or_default().to_owned();
                        let number = call.number.to_string();
                        table.add_row([number, time, call.subject, method, call.target, call.details, call.outcome]);
                    }
                }
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() || left == 0 {
                break;
            }
        }
        if self.client.format == Format::Table {
            output::print_table(&table);
        }
        Ok(Exit::Success)
    }
}

impl Verify {
    async fn run(self) -> Result<Exit, Failure> {
        let expected = self.contains.as_deref().map(row).transpose()?;
        let checked = match self.store {
            None => SqliteStore::verify_audit(&self.data_dir, SqliteOptions::default(), expected),
            Some(url) => {
                let config = Config { database: Some(url), ..Config::default() };
                let store = node::open_store(&config, false).await.map_err(|error| Failure::start(&error))?;
                verify_audit(&store, expected).await
            }
        };
        let head = checked.map_err(|error| Failure::start(&error))?.map_err(|error| Failure::start(&error))?;
        let digest = hex::encode(head.digest);
        match self.format {
            Format::Json => output::print_json(&json!({ "rows": head.number, "digest": digest })),
            Format::Table => output::print(format_args!("{}:{digest}", head.number)),
        }
        Ok(Exit::Success)
    }
}

fn row(text: &str) -> Result<crate::store::AuditHead, Failure> {
    let parsed = text.split_once(':').and_then(|(number, digest)| {
        let mut octets = [0; 32];
        hex::decode_to_slice(digest, &mut octets).ok()?;
        Some(crate::store::AuditHead { number: number.parse().ok()?, digest: octets })
    });
    parsed.ok_or_else(|| Failure::usage(format!("{text:?} is not NUMBER:DIGEST as an earlier check printed it")))
}
