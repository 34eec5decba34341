//! The list of options.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
};

use clap::ValueEnum;
use dlms::id::SystemTitle;
use serde::Deserialize;

use super::{Addresses, Days, Span, StoreUrl};
use crate::api::Origins;

/// Options of `head-end serve`. Keys of the file have the names of the fields.
///
/// The master key itself is no option, because a flag is seen by every user of the machine: it comes
/// from its file or from the environment variable `HEADEND_MASTER_KEY`.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address and port of the gRPC server [default: 127.0.0.1:50051]
    #[arg(long, env = "HEADEND_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Listen beyond loopback although the calls are not encrypted, or their callers not asked who they are [default:
    /// false]
    #[arg(long, env = "HEADEND_INSECURE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub insecure: Option<bool>,
    /// File of callers: tokens, certificates and issuers of tokens, with their roles and tenants [default: none, which
    /// makes everybody the administrator]
    #[arg(long, env = "HEADEND_CALLERS", value_name = "FILE")]
    pub callers: Option<PathBuf>,
    /// Certificate chain of the server in PEM [default: none, calls are not encrypted]
    #[arg(long, env = "HEADEND_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of that certificate in PEM
    #[arg(long, env = "HEADEND_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities whose certificates clients may present, in PEM [default: none]
    #[arg(long, env = "HEADEND_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Directory of the store, made if it is not there [default: head-end-data]
    #[arg(long, env = "HEADEND_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// File of the master key, made at the first start [default: master.key in the data directory]
    #[arg(long, env = "HEADEND_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
    /// Our own system title, 16 hexadecimal digits; no two head-ends may have the same [default: drawn at the first
    /// start]
    #[arg(long, env = "HEADEND_SYSTEM_TITLE", value_name = "HEX")]
    pub system_title: Option<TitleText>,
    /// Authorities whose certificates of meters are believed, in PEM [default: none]
    #[arg(long, env = "HEADEND_METER_CA", value_name = "FILE")]
    pub meter_ca: Option<PathBuf>,
    /// File of quirks of meter models in TOML [default: those that are built in]
    #[arg(long, env = "HEADEND_QUIRKS", value_name = "FILE")]
    pub quirks: Option<PathBuf>,
    /// Deadline of calls that state none [default: 60s]
    #[arg(long, env = "HEADEND_REQUEST_TIMEOUT", value_name = "TIME")]
    pub request_timeout: Option<Span>,
    /// How long calls may go on after a signal to stop [default: 10s]
    #[arg(long, env = "HEADEND_DRAIN_TIMEOUT", value_name = "TIME")]
    pub drain_timeout: Option<Span>,
    /// Calls on one connection at the same time [default: 256]
    #[arg(long, env = "HEADEND_CONCURRENCY", value_name = "N")]
    pub concurrency: Option<NonZeroUsize>,
    /// Calls of one caller in a second, in the long run [default: 500]
    #[arg(long, env = "HEADEND_CALL_RATE", value_name = "N")]
    pub call_rate: Option<NonZeroU32>,
    /// Calls of one caller at once, after a pause [default: 1000]
    #[arg(long, env = "HEADEND_CALL_BURST", value_name = "N")]
    pub call_burst: Option<NonZeroU32>,
    /// Origins of web pages that may call, divided by commas, such as `https://dashboard.example` [default: none]
    #[arg(long, env = "HEADEND_CORS_ORIGINS", value_name = "ORIGINS")]
    pub cors_origins: Option<Origins>,
    /// Operations that may wait for one meter [default: 32]
    #[arg(long, env = "HEADEND_MAILBOX", value_name = "N")]
    pub mailbox: Option<NonZeroUsize>,
    /// Sessions on one route at the same time [default: 8]
    #[arg(long, env = "HEADEND_ROUTE_SESSIONS", value_name = "N")]
    pub route_sessions: Option<NonZeroUsize>,
    /// How long the task of a meter without work lives [default: 60s]
    #[arg(long, env = "HEADEND_ACTOR_IDLE", value_name = "TIME")]
    pub actor_idle: Option<Span>,
    /// Opening a connection to a meter that states nothing else [default: 10s]
    #[arg(long, env = "HEADEND_CONNECT_TIMEOUT", value_name = "TIME")]
    pub connect_timeout: Option<Span>,
    /// From a request to its answer, for a meter that states nothing else [default: 15s]
    #[arg(long, env = "HEADEND_RESPONSE_TIMEOUT", value_name = "TIME")]
    pub response_timeout: Option<Span>,
    /// How long an association without requests is kept open [default: 30s]
    #[arg(long, env = "HEADEND_IDLE_TIMEOUT", value_name = "TIME")]
    pub idle_timeout: Option<Span>,
    /// Between two octets of a frame on a serial line [default: 500ms]
    #[arg(long, env = "HEADEND_INTER_OCTET_TIMEOUT", value_name = "TIME")]
    pub inter_octet_timeout: Option<Span>,
    /// Meters of one job that may be cut off without a second person; without callers there is none, and a job above that
    /// is refused [default: 10]
    #[arg(long, env = "HEADEND_APPROVAL_ABOVE", value_name = "N")]
    pub approval_above: Option<u64>,
    /// Meters that are collected from at the same time [default: 256]
    #[arg(long, env = "HEADEND_COLLECTION_IN_FLIGHT", value_name = "N")]
    pub collection_in_flight: Option<NonZeroUsize>,
    /// URL of the PostgreSQL database that is the store, such as `postgres://user@host/database`; its password belongs
    /// into the environment or the file, because flags are seen by every user of the machine [default: none, the store
    /// is in the data directory]
    #[arg(long, env = "HEADEND_STORE", hide_env_values = true, value_name = "URL")]
    pub store: Option<StoreUrl>,
    /// Connections to the database at the same time [default: 16]
    #[arg(long, env = "HEADEND_STORE_CONNECTIONS", value_name = "N")]
    pub store_connections: Option<NonZeroUsize>,
    /// How long a statement of the database may take [default: 30s]
    #[arg(long, env = "HEADEND_STORE_TIMEOUT", value_name = "TIME")]
    pub store_timeout: Option<Span>,
    /// How long a write to the store waits for a lock of another process [default: 5s]
    #[arg(long, env = "HEADEND_STORE_BUSY_TIMEOUT", value_name = "TIME")]
    pub store_busy_timeout: Option<Span>,
    /// How long a call waits for a store that cannot write its readings [default: 5s]
    #[arg(long, env = "HEADEND_STORE_PATIENCE", value_name = "TIME")]
    pub store_patience: Option<Span>,
    /// Captures that memory holds while the store cannot write them [default: 200000]
    #[arg(long, env = "HEADEND_STORE_WAITING_CAPTURES", value_name = "N")]
    pub store_waiting_captures: Option<NonZeroUsize>,
    /// Addresses for pushes over TCP with the wrapper [default: none]
    #[arg(long, env = "HEADEND_PUSH_TCP", value_name = "ADDRESSES")]
    pub push_tcp: Option<Addresses>,
    /// Addresses for pushes over UDP with the wrapper [default: none]
    #[arg(long, env = "HEADEND_PUSH_UDP", value_name = "ADDRESSES")]
    pub push_udp: Option<Addresses>,
    /// Addresses for pushes in HDLC frames over TCP [default: none]
    #[arg(long, env = "HEADEND_PUSH_HDLC", value_name = "ADDRESSES")]
    pub push_hdlc: Option<Addresses>,
    /// Connections of pushing meters at the same time [default: 1024]
    #[arg(long, env = "HEADEND_PUSH_CONNECTIONS", value_name = "N")]
    pub push_connections: Option<NonZeroUsize>,
    /// Connections of pushing meters from one address at the same time [default: 256]
    #[arg(long, env = "HEADEND_PUSH_CONNECTIONS_PER_SOURCE", value_name = "N")]
    pub push_connections_per_source: Option<NonZeroUsize>,
    /// Notifications a minute from one address [default: 600]
    #[arg(long, env = "HEADEND_PUSH_RATE", value_name = "N")]
    pub push_rate: Option<u32>,
    /// Octets of one notification [default: 65535]
    #[arg(long, env = "HEADEND_PUSH_OCTETS", value_name = "N")]
    pub push_octets: Option<u16>,
    /// How long a connection of a pushing meter may be silent [default: 60s]
    #[arg(long, env = "HEADEND_PUSH_IDLE", value_name = "TIME")]
    pub push_idle: Option<Span>,
    /// How long pushes are kept as they came, after they were read [default: 168h]
    #[arg(long, env = "HEADEND_PUSH_KEEP", value_name = "TIME")]
    pub push_keep: Option<Span>,
    /// File of push templates in TOML, before those that are built in
    #[arg(long, env = "HEADEND_PUSH_TEMPLATES", value_name = "FILE")]
    pub push_templates: Option<PathBuf>,
    /// Addresses for meters that connect by themselves: TCP with the wrapper [default: none]
    #[arg(long, env = "HEADEND_DIAL_IN", value_name = "ADDRESSES")]
    pub dial_in: Option<Addresses>,
    /// Connections of such meters at the same time [default: 10000]
    #[arg(long, env = "HEADEND_DIAL_IN_CONNECTIONS", value_name = "N")]
    pub dial_in_connections: Option<NonZeroUsize>,
    /// Connections of such meters from one address at the same time [default: 256]
    #[arg(long, env = "HEADEND_DIAL_IN_CONNECTIONS_PER_SOURCE", value_name = "N")]
    pub dial_in_connections_per_source: Option<NonZeroUsize>,
    /// How long such a meter may be silent before it is asked who it is [default: 2s]
    #[arg(long, env = "HEADEND_DIAL_IN_FIRST", value_name = "TIME")]
    pub dial_in_first: Option<Span>,
    /// File of ports for telegrams of customer ports in TOML [default: none]
    #[arg(long, env = "HEADEND_TELEGRAMS", value_name = "FILE")]
    pub telegrams: Option<PathBuf>,
    /// File of event tables in TOML, before those that are built in
    #[arg(long, env = "HEADEND_EVENT_TABLES", value_name = "FILE")]
    pub event_tables: Option<PathBuf>,
    /// File of an MQTT broker in TOML, to which readings and events are published [default: none]
    #[arg(long, env = "HEADEND_MQTT", value_name = "FILE")]
    pub mqtt: Option<PathBuf>,
    /// Unknown devices that are remembered [default: 10000]
    #[arg(long, env = "HEADEND_UNCLAIMED", value_name = "N")]
    pub unclaimed: Option<NonZeroUsize>,
    /// How long jobs, their tasks and results are kept after they ended, from 2d [default: 90d]
    #[arg(long, env = "HEADEND_JOBS_KEEP", value_name = "DAYS")]
    pub jobs_keep: Option<Days>,
    /// How long events are kept, from 2d [default: 1100d]
    #[arg(long, env = "HEADEND_EVENTS_KEEP", value_name = "DAYS")]
    pub events_keep: Option<Days>,
    /// How long runs of plans that were asked for are kept, from 2d [default: 90d]
    #[arg(long, env = "HEADEND_RUNS_KEEP", value_name = "DAYS")]
    pub runs_keep: Option<Days>,
    /// Address of the HTTP endpoint `/metrics` for Prometheus, such as 127.0.0.1:9464 [default: none]
    #[arg(long, env = "HEADEND_METRICS", value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// OpenTelemetry collector that spans are sent to by OTLP over gRPC, such as http://127.0.0.1:4317 [default: none]
    #[arg(long, env = "HEADEND_OTLP", value_name = "URL")]
    pub otlp: Option<String>,
    /// What is logged, such as `info` or `warn,dlms_head_end=debug` [default: info]
    #[arg(long, env = "HEADEND_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged [default: text]
    #[arg(long, env = "HEADEND_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How log messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A system title, written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TitleText(pub SystemTitle);

impl FromStr for TitleText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut title = [0; 8];
        hex::decode_to_slice(text, &mut title).map_err(|_| "a system title is 16 hexadecimal digits")?;
        Ok(Self(SystemTitle(title)))
    }
}

impl TryFrom<String> for TitleText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
