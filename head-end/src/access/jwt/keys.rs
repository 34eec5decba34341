//! The keys of an issuer, fetched in the background and kept.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{
    Refused, fetch,
    jws::{self, Key},
};

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file with a JSON web key set.
    File(PathBuf),
    /// `https:`, or `http:` of this machine. With `discover`, the address of the issuer, whose own configuration says
    /// where the keys are. `ca` replaces the certificates that the system trusts.
    Url {
        /// The address.
        url: String,
        /// Whether it is the issuer's address instead of the keys'.
        discover: bool,
        /// File of certificates to trust, in PEM.
        ca: Option<PathBuf>,
    },
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The server did not give them.
    #[error("{url}: {reason}")]
    Fetch {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// What came is not a key set.
    #[error("not a JSON web key set: {0}")]
    Form(#[from] serde_json::Error),
    /// There is no key in it that could have signed a token.
    #[error("the key set has no key for signatures")]
    Empty,
}

/// How long fetched keys are good.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// From one attempt to the next at least, be it after a failure or for a key that is not known.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a call waits for a key that is not known yet.
const WAIT: Duration = Duration::from_secs(5);

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    fetched: watch::Receiver<Fetched>,
    wanted: Arc<Notify>,
    task: AbortHandle,
}

#[derive(Clone, Debug, Default)]
struct Fetched {
    /// Counts attempts, also those that failed.
    attempt: u64,
    keys: Arc<[Key]>,
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keys {
    pub(super) fn start(source: KeySource) -> Self {
        let (sender, fetched) = watch::channel(Fetched::default());
        let wanted = Arc::new(Notify::new());
        let task = tokio::spawn(run(source, sender, Arc::clone(&wanted))).abort_handle();
        Self { fetched, wanted, task }
    }

    /// All keys, after waiting a while for the one called `id` where it is not known yet.
    pub(super) async fn having(&self, id: Option<&str>) -> Result<Arc<[Key]>, Refused> {
        let known = |fetched: &Fetched| {
            id.map_or(!fetched.keys.is_empty(), |id| fetched.keys.iter().any(|key| key.id.as_deref() == Some(id)))
        };
        let mut fetched = self.fetched.clone();
        let now = fetched.borrow_and_update().clone();
        if known(&now) {
            return Ok(now.keys);
        }
        self.wanted.notify_one();
        let tried = |fetched: &Fetched| known(fetched) || fetched.attempt > now.attempt;
        let keys = match timeout(WAIT, fetched.wait_for(tried)).await {
            Ok(Ok(fetched)) if known(&fetched) => Some(Arc::clone(&fetched.keys)),
            _ => None,
        };
        keys.ok_or(Refused("the key that signed the token is not among those of its issuer"))
    }
}

async fn run(source: KeySource, sender: watch::Sender<Fetched>, wanted: Arc<Notify>) {
    loop {
        let begun = Instant::now();
        let fetched = match timeout(PATIENCE, load(&source)).await {
            Ok(result) => result,
            Err(_) => Err(JwksError::Fetch { url: format!("{source:?}"), reason: "no answer in time".to_owned() }),
        };
        let good = fetched.is_ok();
        if let Err(error) = &fetched {
            // Old keys stay in use: an issuer that is down must not lock everybody out.
            tracing::warn!(error = error as &dyn std::error::Error, "cannot fetch the keys of an issuer of tokens");
        }
        sender.send_modify(|known| {
            known.attempt = known.attempt.saturating_add(1);
            if let Ok(keys) = fetched {
                known.keys = keys.into();
            }
        });
        tokio::time::sleep_until(begun + PAUSE).await;
        if good {
            // Whether the time is over or a key is wanted, it is fetched.
            let _ = tokio::time::timeout_at(begun + FRESH, wanted.notified()).await;
        }
    }
}

async fn load(source: &KeySource) -> Result<Vec<Key>, JwksError> {
    let json = match source {
        KeySource::File(path) => {
            tokio::fs::read(path).await.map_err(|source| JwksError::Read { path: path.clone(), source })?
        }
        KeySource::Url { url, discover: false, ca } => fetch::get(url, ca.as_deref()).await?,
        KeySource::Url { url, discover: true, ca } => {
            let address = format!("{}/.well-known/openid-configuration", url.trim_end_matches('/'));
            let configuration: serde_json::Value = serde_json::from_slice(&fetch::get(&address, ca.as_deref()).await?)?;
            let keys = configuration.get("jwks_uri").and_then(serde_json::Value::as_str);
            let missing = || JwksError::Fetch { url: address.clone(), reason: "it has no jwks_uri".to_owned() };
            fetch::get(keys.ok_or_else(missing)?, ca.as_deref()).await?
        }
    };
    let keys = jws::keys(&json)?;
    if keys.is_empty() { Err(JwksError::Empty) } else { Ok(keys) }
}
