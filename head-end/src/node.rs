//! A whole head-end in one process: store, vault, registry, fleet and server put together.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::{self, ApiCodec, ApiCounts, Parts, Security, SecurityError, ServeError},
    clock::SystemClock,
    collection::Collection,
    config::{Config, StoreUrl},
    dial_in::{self, DialIn},
    events::EventLog,
    fleet::{Fleet, FleetError, Network},
    head_end::HeadEnd,
    jobs::{JobOptions, Jobs},
    metrics::{self, Metrics, Sources},
    push::{ListenError, Listeners},
    registry::{AnchorError, Anchors, Registry, RegistryError},
    store::{AnyStore, Store, StoreError, sqlite::SqliteStore},
    telegram::{self, Telegrams},
    upkeep,
    vault::{MasterKey, MasterKeyError, Vault},
};

/// Environment variable that may hold the master key instead of its file.
pub const MASTER_KEY_VARIABLE: &str = "HEADEND_MASTER_KEY";

/// A head-end that runs in this process.
#[derive(Debug)]
pub struct Node {
    head_end: HeadEnd<AnyStore, Fleet>,
    collection: Collection<AnyStore, Fleet>,
    config: Config,
    security: Security,
    jobs: Jobs<AnyStore, Fleet>,
    engines: Engines,
    listeners: Listeners,
    dial_in: DialIn,
    telegrams: Telegrams<AnyStore, Fleet>,
    metrics: Metrics,
    metrics_address: Option<SocketAddr>,
    api: Arc<ApiCounts>,
}

/// What runs beside the calls of the API, as long as the head-end does.
#[derive(Debug, Default)]
struct Engines {
    tasks: TaskTracker,
    /// Take up nothing new, finish or park what is in flight.
    stop: CancellationToken,
}

impl Engines {
    /// Waits until all have parked their work; what has not by `deadline` is left to the next start.
    async fn stop(&self, deadline: Instant) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout_at(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!(engines = self.tasks.len(), "engines did not stop in time");
        }
    }
}

/// Why a head-end does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The data directory cannot be made.
    #[error("cannot make the data directory {}", path.display())]
    DataDirectory {
        /// The directory.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The key file is gone, but the store holds what its key has sealed.
    #[error(
        "there is no master key file {}, but the store was made with a master key; put that file back, \
         or begin with an empty data directory",
        path.display()
    )]
    MasterKeyMissing {
        /// Where the file should be.
        path: std::path::PathBuf,
    },
    /// The store cannot be opened.
    #[error("cannot open the store in {}", directory.display())]
    Store {
        /// Its directory.
        directory: std::path::PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// What is said to be a database is none, or this head-end knows none.
    #[error("cannot use the database: {0}")]
    Database(String),
    /// The registry cannot be opened.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The authorities of meters cannot be read.
    #[error(transparent)]
    Anchors(#[from] AnchorError),
    /// The fleet cannot be started.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The callers or certificates cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The address can be reached from other machines, and the calls are not protected.
    #[error(
        "will not listen on {address}, which other machines reach: calls would not be {missing}; set that up, listen on a \
         loopback address, or say `--insecure` where a proxy in front does both"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
    /// Pushes cannot be listened for.
    #[error(transparent)]
    Push(#[from] ListenError),
    /// Meters cannot be listened for.
    #[error(transparent)]
    DialIn(#[from] dial_in::ListenError),
    /// Telegrams cannot be listened for.
    #[error(transparent)]
    Telegrams(#[from] telegram::ListenError),
    /// Metrics cannot be offered.
    #[error(transparent)]
    Metrics(#[from] metrics::ListenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl Node {
    /// Opens the store and starts the fleet. `master_key`, 64 hexadecimal digits, takes the place of
    /// the key file.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn open(config: Config, master_key: Option<&str>) -> Result<Self, NodeError> {
        let security = Security::open(config.security.clone())?;
        let directory = &config.data_dir;
        make_private(directory).map_err(|source| NodeError::DataDirectory { path: directory.clone(), source })?;
        let store = Arc::new(open_store(&config, true).await?);
        // After the store, whose lock keeps two processes from making a key at the same time.
        let (master, made) = match master_key {
            Some(text) => (MasterKey::from_hex(text, MASTER_KEY_VARIABLE)?, false),
            None => MasterKey::load_or_generate(&config.master_key_file)?,
        };
        let anchors = config.meter_ca_file.as_deref().map(Anchors::from_file).transpose()?.unwrap_or_default();
        let opened = Registry::open(store, Vault::new(&master), config.timeouts, config.system_title).await;
        let registry = match opened {
            // A key that opens nothing must not stay where the lost one belongs.
            Err(RegistryError::MasterKey) if made => {
                let path = config.master_key_file;
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!(file = %path.display(), %error, "a new master key that opens nothing stays behind");
                }
                return Err(NodeError::MasterKeyMissing { path });
            }
            opened => Arc::new(opened?.with_anchors(anchors)),
        };
        if made {
            let file = config.master_key_file.display();
            tracing::warn!(%file, "made a new master key; keep a copy, without it the meters' keys are lost");
        }
        let (fleet, notifications) = Fleet::start(Arc::clone(&registry), Network::default(), config.fleet.clone())?;
        let engines = Engines::default();
        let events = Arc::new(EventLog::new(config.event_tables.clone()));
        let (tasks, stop) = (&engines.tasks, &engines.stop);
        let keep = config.push.keep;
        let options = (config.push.clone(), !config.dial_in.listen.is_empty());
        let listening =
            Listeners::start(Arc::clone(&registry), Arc::clone(&events), notifications, options, tasks, stop).await;
        let head_end = HeadEnd::with_events(registry, Arc::new(fleet), events);
        let api = Arc::new(ApiCounts::default());
        match listening {
            Ok(listeners) => {
                listeners.read(head_end.clone(), config.templates.clone(), keep, tasks, stop);
                let collection = Collection::new(head_end.clone(), Arc::new(SystemClock), config.collection);
                collection.start(&engines.tasks, engines.stop.clone());
                #[cfg(feature = "mqtt")]
                if let Some(broker) = config.mqtt.clone() {
                    crate::mqtt::start(head_end.clone(), broker, tasks, stop);
                }
                let store = Arc::clone(head_end.registry().store());
                upkeep::start(store, config.upkeep, tasks, stop);
                let (codec, clock, stop) = (ApiCodec, Arc::new(SystemClock), engines.stop.clone());
                let options = JobOptions { second_person: security.knows_callers(), ..config.jobs.clone() };
                let jobs = Jobs::start(head_end.clone(), codec, clock, options, &engines.tasks, stop);
                let place = (Arc::clone(head_end.registry()), Arc::clone(head_end.events()));
                let (fleet, sink) = (Arc::clone(head_end.access()), listeners.sink());
                let options = (config.dial_in.clone(), config.push.unclaimed);
                let dial_in = match DialIn::start(place, fleet, sink, options, &engines.tasks, &engines.stop).await {
                    Ok(dial_in) => dial_in,
                    Err(error) => {
                        abandon(&engines, &head_end).await;
                        return Err(error.into());
                    }
                };
                let ports = config.telegrams.clone();
                let (unclaimed, stop) = (config.push.unclaimed, &engines.stop);
                let telegrams = Telegrams::start(head_end.clone(), ports, unclaimed, &engines.tasks, stop).await;
                let telegrams = match telegrams {
                    Ok(telegrams) => telegrams,
                    Err(error) => {
                        abandon(&engines, &head_end).await;
                        return Err(error.into());
                    }
                };
                let sources = Sources {
                    fleet: Arc::clone(head_end.access()),
                    push: Arc::clone(listeners.counts()),
                    telegrams: telegrams.clone(),
                    dial_in: Arc::clone(dial_in.counts()),
                    api: Arc::clone(&api),
                    store: Arc::clone(head_end.registry().store()),
                };
                let stop = engines.stop.clone();
                let metrics = Metrics::start(sources, collection.clone(), &engines.tasks, stop.clone());
                let offered = match config.metrics {
                    Some(address) => metrics::listen(metrics.clone(), address, &engines.tasks, stop).await.map(Some),
                    None => Ok(None),
                };
                let metrics_address = match offered {
                    Ok(address) => address,
                    Err(error) => {
                        abandon(&engines, &head_end).await;
                        return Err(error.into());
                    }
                };
                Ok(Self {
                    head_end,
                    collection,
                    jobs,
                    config,
                    security,
                    engines,
                    listeners,
                    dial_in,
                    telegrams,
                    metrics,
                    metrics_address,
                    api,
                })
            }
            Err(error) => {
                abandon(&engines, &head_end).await;
                Err(error.into())
            }
        }
    }

    /// The library's front, to be used without the server or beside it.
    #[must_use]
    pub const fn head_end(&self) -> &HeadEnd<AnyStore, Fleet> {
        &self.head_end
    }

    /// Plans.
    #[must_use]
    pub const fn collection(&self) -> &Collection<AnyStore, Fleet> {
        &self.collection
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The listeners for what meters send by themselves.
    #[must_use]
    pub const fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The listeners for meters that connect by themselves.
    #[must_use]
    pub const fn dial_in(&self) -> &DialIn {
        &self.dial_in
    }

    /// What takes telegrams of customer ports.
    #[must_use]
    pub const fn telegrams(&self) -> &Telegrams<AnyStore, Fleet> {
        &self.telegrams
    }

    /// What it does, as figures.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where metrics are read over HTTP, if anywhere.
    #[must_use]
    pub const fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Listens on the configured address.
    ///
    /// # Errors
    /// [`NodeError::Listen`]; [`NodeError::Unprotected`] for an address beyond loopback where anybody could call.
    pub async fn listen(&self) -> Result<TcpListener, NodeError> {
        let address = self.config.listen;
        let reached = if address.ip().to_canonical().is_loopback() { "this machine" } else { "this address" };
        match self.security.missing() {
            Some(missing) if reached == "this address" && !self.config.insecure => {
                return Err(NodeError::Unprotected { address, missing });
            }
            Some(missing) => tracing::warn!(%address, "calls are not {missing}: mind who reaches {reached}"),
            None => {}
        }
        TcpListener::bind(address).await.map_err(|source| NodeError::Listen { address, source })
    }

    /// Serves gRPC on `listener` until `stop` is ready, then ends in order: calls, associations, store.
    ///
    /// # Errors
    /// [`NodeError::Serve`]; also then everything is closed.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send) -> Result<(), NodeError> {
        let parts = Parts {
            head_end: self.head_end.clone(),
            collection: self.collection.clone(),
            jobs: self.jobs.clone(),
            telegrams: self.telegrams.clone(),
            counts: Arc::clone(&self.api),
        };
        let served = api::serve(parts, listener, self.config.server.clone(), self.security.clone(), stop).await;
        self.close().await;
        Ok(served?)
    }

    /// Stops the engines, releases the associations and closes the store, after writing what waits.
    pub async fn close(self) {
        self.engines.stop(Instant::now() + PARK).await;
        self.head_end.access().shutdown(Instant::now() + RELEASE).await;
        self.head_end.registry().store().close().await;
    }
}

/// Ends what was started of a head-end that cannot be.
async fn abandon(engines: &Engines, head_end: &HeadEnd<AnyStore, Fleet>) {
    engines.stop(Instant::now() + PARK).await;
    head_end.registry().store().close().await;
}

/// The store that `config` asks for; in a database beside another head-end, unless this is to be `alone`.
///
/// # Errors
/// [`NodeError::Database`], [`NodeError::Store`].
pub(crate) async fn open_store(config: &Config, alone: bool) -> Result<AnyStore, NodeError> {
    let Some(url) = &config.database else {
        let failed = |source| NodeError::Store { directory: config.data_dir.clone(), source };
        return SqliteStore::open(&config.data_dir, config.store).map(AnyStore::Sqlite).map_err(failed);
    };
    open_database(url, config, alone).await
}

#[cfg(feature = "postgres")]
async fn open_database(url: &StoreUrl, config: &Config, alone: bool) -> Result<AnyStore, NodeError> {
    use crate::store::postgres::{DatabaseUrl, DatabaseUrlError, PostgresOptions, PostgresStore};

    let wrong = |error: DatabaseUrlError| NodeError::Database(error.to_string());
    let url: DatabaseUrl = url.reveal().parse().map_err(wrong)?;
    let place = std::path::PathBuf::from(url.to_string());
    let defaults = PostgresOptions::new(url);
    let options = PostgresOptions {
        alone: defaults.alone.filter(|_| alone),
        connections: config.database_connections,
        statement: config.database_timeout,
        append_patience: config.store.append_patience,
        waiting_captures: config.store.waiting_captures,
        ..defaults
    };
    let opened = PostgresStore::open(options).await;
    opened.map(AnyStore::Postgres).map_err(|source| NodeError::Store { directory: place, source })
}

#[cfg(not(feature = "postgres"))]
fn open_database(_: &StoreUrl, _: &Config, _: bool) -> std::future::Ready<Result<AnyStore, NodeError>> {
    std::future::ready(Err(NodeError::Database("this head-end was built without the feature `postgres`".to_owned())))
}

/// How long engines may take to park what they have in flight.
const PARK: Duration = Duration::from_secs(10);

/// How long meters may take to release their associations at the end.
const RELEASE: Duration = Duration::from_secs(5);

/// Makes a directory that only its owner can look into; one that is there stays as it is.
fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;

    fn config(data: &std::path::Path) -> Config {
        Options { data_dir: Some(data.to_owned()), ..Options::default() }.resolve()
    }

    #[tokio::test]
    async fn a_lost_master_key_is_told_and_no_other_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        Node::open(config(folder.path()), None).await.unwrap().close().await;
        let (file, copy) = (folder.path().join("master.key"), folder.path().join("copy"));
        std::fs::rename(&file, &copy).unwrap();

        let refused = Node::open(config(folder.path()), None).await.unwrap_err();
        assert!(matches!(&refused, NodeError::MasterKeyMissing { path } if *path == file), "{refused}");
        assert!(!file.exists());

        std::fs::rename(&copy, &file).unwrap();
        Node::open(config(folder.path()), None).await.unwrap().close().await;
    }
}
