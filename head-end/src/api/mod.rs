//! The gRPC services: parse, call the library, map what comes back. Nothing is decided here.

mod capture;
mod data;
mod deadline;
mod meter;
mod once;
mod parse;
mod reading;
mod registry;
mod result;
mod server;
mod status;
mod value;

use std::{sync::Arc, time::Duration};

use crate::head_end::HeadEnd;

pub(crate) use self::parse::to_timestamp;
pub use self::server::{ServeError, ServerOptions, serve};

/// What the services share.
#[derive(Debug)]
struct Api<S, A> {
    head_end: HeadEnd<S, A>,
    /// Deadline of a call that states none.
    default_timeout: Duration,
}

/// The services are clones of one handle.
#[derive(Debug)]
struct Service<S, A>(Arc<Api<S, A>>);

impl<S, A> Clone for Service<S, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
