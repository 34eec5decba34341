//! A store with something in front of every call.

use std::{fmt::Debug, future::Future};

use super::{Store, StoreCounts, StoreError};

/// What stands in front of a store: it counts, delays, refuses or traces its calls, or plays a process that dies between
/// two of them.
pub trait Hook: Debug + Send + Sync + 'static {
    /// Makes a call of the store's method `name`, or does not.
    ///
    /// # Errors
    /// The store's own, or what the hook says instead.
    fn call<T: Send>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

/// A store behind a hook, through which all calls go that wait for an answer.
#[derive(Clone, Debug)]
pub struct Hooked<S, H> {
    store: S,
    hook: H,
}

impl<S, H> Hooked<S, H> {
    /// `store` behind `hook`.
    #[must_use]
    pub const fn new(store: S, hook: H) -> Self {
        Self { store, hook }
    }

    /// The store itself.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// What stands in front of it.
    #[must_use]
    pub const fn hook(&self) -> &H {
        &self.hook
    }
}

impl<S: Store, H: Hook> Store for Hooked<S, H> {
    async fn close(&self) {
        self.store.close().await;
    }

    fn counts(&self) -> Option<&StoreCounts> {
        self.store.counts()
    }
}
