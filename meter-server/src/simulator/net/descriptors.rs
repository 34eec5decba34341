//! How many descriptors the process may open, and how many of them connections may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Kept free for what is no connection: standard streams, the runtime, files, and one that is refused.
pub(in crate::simulator) const RESERVED: usize = 64;

/// Places for connections, shared by all listeners of a fleet.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Descriptors {
    limit: Option<usize>,
    places: Arc<Semaphore>,
}

impl Descriptors {
    /// What a limit leaves beside `listening` sockets; `None` when that is nothing.
    pub(in crate::simulator) fn new(limit: Option<usize>, listening: usize) -> Option<Self> {
        let left = limit.map_or(Some(Semaphore::MAX_PERMITS), |limit| limit.checked_sub(listening + RESERVED));
        let left = left.filter(|left| *left > 0)?;
        Some(Self { limit, places: Arc::new(Semaphore::new(left.min(Semaphore::MAX_PERMITS))) })
    }

    /// The limit, where there is one.
    pub(in crate::simulator) const fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Connections that can still be opened.
    pub(in crate::simulator) fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// A place for one more connection.
    pub(in crate::simulator) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The same, after waiting for it.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }
}

/// Descriptors that this process may have open; `None` when nothing limits it or nobody knows.
#[cfg(unix)]
#[must_use]
pub fn descriptor_limit() -> Option<usize> {
    use nix::sys::resource::{Resource, getrlimit};
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    // "No limit" is the largest number there is.
    usize::try_from(soft).ok().filter(|soft| *soft < usize::MAX / 2)
}

/// Descriptors that this process may have open; `None` when nothing limits it or nobody knows.
#[cfg(not(unix))]
#[must_use]
pub const fn descriptor_limit() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_and_what_is_kept_free_is_no_connections() {
        let descriptors = Descriptors::new(Some(RESERVED + 12), 10).unwrap();
        assert_eq!((descriptors.limit(), descriptors.free()), (Some(RESERVED + 12), 2));
        let places = (descriptors.take().unwrap(), descriptors.take().unwrap());
        assert!(descriptors.take().is_none());
        drop(places);
        assert_eq!(descriptors.free(), 2);
        assert!(Descriptors::new(Some(RESERVED + 10), 10).is_none());
        assert!(Descriptors::new(Some(10), 0).is_none());
        assert!(Descriptors::new(None, 1_000_000).unwrap().free() > 1_000_000);
    }
}
