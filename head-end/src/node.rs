//! A whole head-end in one process: store, vault, registry, fleet and server put together.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, time::Instant};

use crate::{
    api::{self, ServeError},
    config::Config,
    fleet::{Fleet, FleetError, Network, Notification},
    head_end::HeadEnd,
    registry::{Registry, RegistryError},
    store::{Store, StoreError, sqlite::SqliteStore},
    vault::{MasterKey, MasterKeyError, Vault},
};

/// Environment variable that may hold the master key instead of its file.
pub const MASTER_KEY_VARIABLE: &str = "HEADEND_MASTER_KEY";

/// A head-end that runs in this process.
#[derive(Debug)]
pub struct Node {
    head_end: HeadEnd<SqliteStore, Fleet>,
    config: Config,
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
    /// The registry cannot be opened.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The fleet cannot be started.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
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
        let directory = &config.data_dir;
        make_private(directory).map_err(|source| NodeError::DataDirectory { path: directory.clone(), source })?;
        let failed = |source| NodeError::Store { directory: directory.clone(), source };
        let store = Arc::new(SqliteStore::open(directory, config.store).map_err(failed)?);
        // After the store, whose lock keeps two processes from making a key at the same time.
        let (master, made) = match master_key {
            Some(text) => (MasterKey::from_hex(text, MASTER_KEY_VARIABLE)?, false),
            None => MasterKey::load_or_generate(&config.master_key_file)?,
        };
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
            opened => Arc::new(opened?),
        };
        if made {
            let file = config.master_key_file.display();
            tracing::warn!(%file, "made a new master key; keep a copy, without it the meters' keys are lost");
        }
        let (fleet, notifications) = Fleet::start(Arc::clone(&registry), Network, config.fleet.clone())?;
        tokio::spawn(log_notifications(notifications));
        Ok(Self { head_end: HeadEnd::new(registry, Arc::new(fleet)), config })
    }

    /// The library's front, to be used without the server or beside it.
    #[must_use]
    pub const fn head_end(&self) -> &HeadEnd<SqliteStore, Fleet> {
        &self.head_end
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Listens on the configured address.
    ///
    /// # Errors
    /// [`NodeError::Listen`].
    pub async fn listen(&self) -> Result<TcpListener, NodeError> {
        let address = self.config.listen;
        TcpListener::bind(address).await.map_err(|source| NodeError::Listen { address, source })
    }

    /// Serves gRPC on `listener` until `stop` is ready, then ends in order: calls, associations, store.
    ///
    /// # Errors
    /// [`NodeError::Serve`]; also then everything is closed.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send) -> Result<(), NodeError> {
        let served = api::serve(self.head_end.clone(), listener, self.config.server, stop).await;
        self.close().await;
        Ok(served?)
    }

    /// Releases the associations and closes the store, after writing what waits.
    pub async fn close(self) {
        self.head_end.access().shutdown(Instant::now() + RELEASE).await;
        self.head_end.registry().store().close().await;
    }
}

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

/// What meters send of their own accord inside a session is logged, never with its contents.
async fn log_notifications(mut notifications: mpsc::Receiver<Notification>) {
    while let Some(Notification { meter, kind, apdu, protection, .. }) = notifications.recv().await {
        tracing::info!(%meter, kind, octets = apdu.len(), ?protection, "notification");
    }
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
