//! What is read from files and replaced while the head-end runs.

use std::{
    error::Error,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::{Duration, SystemTime},
};

/// A value that can be replaced; who holds the old one keeps it.
#[derive(Debug)]
pub struct Live<T>(RwLock<Arc<T>>);

impl<T> Live<T> {
    /// Begins with `value`.
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The present value.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        // Nothing panics while it is locked, and an Arc is whole in any case.
        Arc::clone(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Replaces it.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(value);
    }
}

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Files whose change is waited for.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    seen: Vec<Option<(SystemTime, u64)>>,
}

impl Files {
    /// These files as they are now.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let mut files = Self { paths, seen: Vec::new() };
        files.seen = files.look();
        files
    }

    fn look(&self) -> Vec<Option<(SystemTime, u64)>> {
        let look = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.paths.iter().map(look).collect()
    }

    /// Calls `load` whenever one of them changes, and whenever the process gets SIGHUP, for ever. What does not load is
    /// logged, and the old stays.
    pub async fn reload<E: Error + 'static>(mut self, what: &str, load: impl Fn() -> Result<(), E>) {
        let mut hangups = hangups();
        loop {
            let told = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = hangups.next() => true,
            };
            let now = self.look();
            if !told && now == self.seen {
                continue;
            }
            self.seen = now;
            match load() {
                Ok(()) => tracing::info!("read {what} again"),
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "cannot read {what} again, the old ones stay in use");
                }
            }
        }
    }
}

#[cfg(unix)]
struct Hangups(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
fn hangups() -> Hangups {
    Hangups(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
}

#[cfg(unix)]
impl Hangups {
    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Hangups;

#[cfg(not(unix))]
fn hangups() -> Hangups {
    Hangups
}

#[cfg(not(unix))]
impl Hangups {
    async fn next(&mut self) {
        std::future::pending().await
    }
}
