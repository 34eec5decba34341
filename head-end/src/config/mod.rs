//! How a head-end is set up: a file, flags and environment variables over defaults.
//!
//! [`Options`] is the one list of options: each of its fields is a flag of `head-end serve`, an
//! environment variable and a key of the configuration file. A flag wins over the environment
//! variable, that over the file, and that over the default.

mod options;
mod push;
mod quirks;
mod span;
mod store;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use dlms::id::SystemTitle;

pub use self::{
    options::{LogFormat, Options, TitleText},
    push::{Addresses, AddressesError},
    quirks::QuirkModels,
    span::{Days, DaysError, Span, SpanError},
    store::StoreUrl,
};
#[cfg(feature = "mqtt")]
use crate::mqtt::BrokerOptions;
use crate::{
    access::Rate,
    api::{SecurityFiles, ServerOptions},
    collection::CollectionOptions,
    dial_in::DialInOptions,
    events::EventTables,
    fleet::FleetOptions,
    jobs::JobOptions,
    meter::Timeouts,
    push::{PushOptions, Templates},
    store::sqlite::SqliteOptions,
    telegram::TelegramOptions,
    upkeep::UpkeepOptions,
    vault::MasterKeyError,
};

/// Largest configuration file that is read, in octets.
const LARGEST: u64 = 1024 * 1024;

/// A complete configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gRPC server listens.
    pub listen: SocketAddr,
    /// Whether it may listen beyond loopback without encryption or without asking who calls.
    pub insecure: bool,
    /// Who may call, and how calls are encrypted.
    pub security: SecurityFiles,
    /// Where the store lives, unless it is in a database; the master key does in any case.
    pub data_dir: PathBuf,
    /// The database that is the store.
    pub database: Option<StoreUrl>,
    /// Connections to the database at the same time.
    pub database_connections: usize,
    /// How long a statement of the database may take.
    pub database_timeout: Duration,
    /// Where the master key lives.
    pub master_key_file: PathBuf,
    /// Our own system title, if it is not to be drawn.
    pub system_title: Option<SystemTitle>,
    /// File of the authorities whose certificates of meters are believed, read when the head-end is started.
    pub meter_ca_file: Option<PathBuf>,
    /// File of quirks, read by whoever starts the head-end into [`FleetOptions::quirks`].
    pub quirks_file: Option<PathBuf>,
    /// Limits of the server.
    pub server: ServerOptions,
    /// Limits of the fleet.
    pub fleet: FleetOptions,
    /// Limits of jobs. Whether there may be a second person follows from [`security`](Self::security).
    pub jobs: JobOptions,
    /// Limits of collection.
    pub collection: CollectionOptions,
    /// Limits of the store.
    pub store: SqliteOptions,
    /// Timeouts of meters that state none.
    pub timeouts: Timeouts,
    /// Where pushes are listened for.
    pub push: PushOptions,
    /// File of push templates, read by whoever starts the head-end into `templates`.
    pub templates_file: Option<PathBuf>,
    /// What bodies of pushes mean that do not say it.
    pub templates: Templates,
    /// Where meters connect to.
    pub dial_in: DialInOptions,
    /// File of ports for telegrams, read by whoever starts the head-end into `telegrams`.
    pub telegrams_file: Option<PathBuf>,
    /// Where telegrams come from.
    pub telegrams: TelegramOptions,
    /// File of event tables, read by whoever starts the head-end into `event_tables`.
    pub event_tables_file: Option<PathBuf>,
    /// What codes of events mean.
    pub event_tables: EventTables,
    /// How long what is kept.
    pub upkeep: UpkeepOptions,
    /// Where metrics are read.
    pub metrics: Option<SocketAddr>,
    /// File of an MQTT broker, read by whoever starts the head-end into `mqtt`.
    pub mqtt_file: Option<PathBuf>,
    /// Where readings and events are published.
    #[cfg(feature = "mqtt")]
    pub mqtt: Option<BrokerOptions>,
    /// Collector that spans are sent to, by whoever starts the head-end.
    pub otlp: Option<String>,
    /// Which messages are logged, in the syntax of tracing's filters.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is larger than a configuration can be.
    #[error("the configuration file {} is larger than 1 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not valid; the message has the line, the column and the text there.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// The master key in the environment is not one.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn syntax(path: &Path, error: &toml::de::Error) -> ConfigError {
    ConfigError::Syntax { path: path.to_owned(), message: error.to_string().trim_end().to_owned() }
}

/// What `parse` makes of the text of a file.
pub(crate) fn toml_file<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, toml::de::Error>,
) -> Result<T, ConfigError> {
    parse(&read(path)?).map_err(|error| syntax(path, &error))
}

impl Options {
    /// The options in a file.
    ///
    /// # Errors
    /// [`ConfigError`] with the file and, where it applies, line and column.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        toml_file(path, Self::from_toml)
    }

    /// The options in the text of a file.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// These options, and those of `below` where nothing is set.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            insecure: self.insecure.or(below.insecure),
            callers: self.callers.or(below.callers),
            tls_cert: self.tls_cert.or(below.tls_cert),
            tls_key: self.tls_key.or(below.tls_key),
            tls_client_ca: self.tls_client_ca.or(below.tls_client_ca),
            data_dir: self.data_dir.or(below.data_dir),
            store: self.store.or(below.store),
            store_connections: self.store_connections.or(below.store_connections),
            store_timeout: self.store_timeout.or(below.store_timeout),
            master_key_file: self.master_key_file.or(below.master_key_file),
            system_title: self.system_title.or(below.system_title),
            meter_ca: self.meter_ca.or(below.meter_ca),
            quirks: self.quirks.or(below.quirks),
            request_timeout: self.request_timeout.or(below.request_timeout),
            drain_timeout: self.drain_timeout.or(below.drain_timeout),
            concurrency: self.concurrency.or(below.concurrency),
            call_rate: self.call_rate.or(below.call_rate),
            call_burst: self.call_burst.or(below.call_burst),
            cors_origins: self.cors_origins.or(below.cors_origins),
            mailbox: self.mailbox.or(below.mailbox),
            route_sessions: self.route_sessions.or(below.route_sessions),
            actor_idle: self.actor_idle.or(below.actor_idle),
            connect_timeout: self.connect_timeout.or(below.connect_timeout),
            response_timeout: self.response_timeout.or(below.response_timeout),
            idle_timeout: self.idle_timeout.or(below.idle_timeout),
            inter_octet_timeout: self.inter_octet_timeout.or(below.inter_octet_timeout),
            approval_above: self.approval_above.or(below.approval_above),
            collection_in_flight: self.collection_in_flight.or(below.collection_in_flight),
            store_busy_timeout: self.store_busy_timeout.or(below.store_busy_timeout),
            store_patience: self.store_patience.or(below.store_patience),
            store_waiting_captures: self.store_waiting_captures.or(below.store_waiting_captures),
            push_tcp: self.push_tcp.or(below.push_tcp),
            push_udp: self.push_udp.or(below.push_udp),
            push_hdlc: self.push_hdlc.or(below.push_hdlc),
            push_connections: self.push_connections.or(below.push_connections),
            push_connections_per_source: self.push_connections_per_source.or(below.push_connections_per_source),
            push_rate: self.push_rate.or(below.push_rate),
            push_octets: self.push_octets.or(below.push_octets),
            push_idle: self.push_idle.or(below.push_idle),
            push_keep: self.push_keep.or(below.push_keep),
            push_templates: self.push_templates.or(below.push_templates),
            dial_in: self.dial_in.or(below.dial_in),
            dial_in_connections: self.dial_in_connections.or(below.dial_in_connections),
            dial_in_connections_per_source: self
                .dial_in_connections_per_source
                .or(below.dial_in_connections_per_source),
            dial_in_first: self.dial_in_first.or(below.dial_in_first),
            telegrams: self.telegrams.or(below.telegrams),
            event_tables: self.event_tables.or(below.event_tables),
            mqtt: self.mqtt.or(below.mqtt),
            unclaimed: self.unclaimed.or(below.unclaimed),
            jobs_keep: self.jobs_keep.or(below.jobs_keep),
            events_keep: self.events_keep.or(below.events_keep),
            runs_keep: self.runs_keep.or(below.runs_keep),
            metrics: self.metrics.or(below.metrics),
            otlp: self.otlp.or(below.otlp),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
        }
    }

    /// The configuration, with defaults where nothing is set.
    #[must_use]
    pub fn resolve(self) -> Config {
        let span = |given: Option<Span>, default: Duration| given.map_or(default, Span::duration);
        let (push, dial_in) = (push::resolve(&self), push::dial_in(&self));
        let data_dir = self.data_dir.unwrap_or_else(|| PathBuf::from("head-end-data"));
        let server = ServerOptions::default();
        let fleet = FleetOptions::default();
        let (jobs, collection) = (JobOptions::default(), CollectionOptions::default());
        let (store, upkeep) = (SqliteOptions::default(), UpkeepOptions::default());
        let timeouts = Timeouts::default();
        Config {
            listen: self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT))),
            insecure: self.insecure.unwrap_or(false),
            security: SecurityFiles {
                callers: self.callers,
                certificate: self.tls_cert,
                key: self.tls_key,
                client_ca: self.tls_client_ca,
            },
            master_key_file: self.master_key_file.unwrap_or_else(|| data_dir.join("master.key")),
            data_dir,
            database: self.store,
            database_connections: self.store_connections.map_or(16, Into::into),
            database_timeout: span(self.store_timeout, Duration::from_secs(30)),
            system_title: self.system_title.map(|title| title.0),
            meter_ca_file: self.meter_ca,
            quirks_file: self.quirks,
            server: ServerOptions {
                default_timeout: span(self.request_timeout, server.default_timeout),
                drain: span(self.drain_timeout, server.drain),
                concurrency: self.concurrency.map_or(server.concurrency, Into::into),
                origins: self.cors_origins.unwrap_or_default(),
                rate: Rate {
                    per_second: self.call_rate.map_or(server.rate.per_second, Into::into),
                    burst: self.call_burst.map_or(server.rate.burst, Into::into),
                },
            },
            fleet: FleetOptions {
                mailbox: self.mailbox.map_or(fleet.mailbox, Into::into),
                route_sessions: self.route_sessions.map_or(fleet.route_sessions, Into::into),
                actor_idle: span(self.actor_idle, fleet.actor_idle),
                ..fleet
            },
            jobs: JobOptions { approval_above: self.approval_above.unwrap_or(jobs.approval_above), ..jobs },
            collection: CollectionOptions {
                in_flight: self.collection_in_flight.map_or(collection.in_flight, Into::into),
                ..collection
            },
            store: SqliteOptions {
                busy_timeout: span(self.store_busy_timeout, store.busy_timeout),
                append_patience: span(self.store_patience, store.append_patience),
                waiting_captures: self.store_waiting_captures.map_or(store.waiting_captures, Into::into),
                ..store
            },
            timeouts: Timeouts {
                connect: span(self.connect_timeout, timeouts.connect),
                response: span(self.response_timeout, timeouts.response),
                idle: span(self.idle_timeout, timeouts.idle),
                inter_octet: span(self.inter_octet_timeout, timeouts.inter_octet),
            },
            push,
            templates_file: self.push_templates,
            templates: Templates::built_in(),
            dial_in,
            telegrams_file: self.telegrams,
            telegrams: TelegramOptions::default(),
            event_tables_file: self.event_tables,
            event_tables: EventTables::built_in(),
            upkeep: UpkeepOptions {
                jobs: self.jobs_keep.map_or(upkeep.jobs, Days::duration),
                events: self.events_keep.map_or(upkeep.events, Days::duration),
                runs: self.runs_keep.map_or(upkeep.runs, Days::duration),
            },
            metrics: self.metrics,
            mqtt_file: self.mqtt,
            #[cfg(feature = "mqtt")]
            mqtt: None,
            otlp: self.otlp,
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format.unwrap_or_default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Options::default().resolve()
    }
}

/// Port of the gRPC server where nothing else is configured.
pub const DEFAULT_PORT: u16 = 50051;

#[cfg(test)]
mod tests;
