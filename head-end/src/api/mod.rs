//! The gRPC services: parse, call the library, map what comes back. Nothing is decided here.

mod admin;
mod audit;
mod caller;
mod capture;
mod collection;
mod configuration;
mod control;
mod counts;
mod data;
mod deadline;
mod events;
mod firmware;
mod frame;
mod gate;
mod guard;
mod incoming;
mod jobs;
mod keys;
mod meter;
mod once;
mod parse;
mod reading;
mod registry;
mod result;
mod schema;
mod security;
mod server;
mod status;
mod templates;
mod trace;
mod value;
mod web;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{collection::Collection, head_end::HeadEnd, jobs::Jobs, telegram::Telegrams};

pub use self::counts::ApiCounts;
pub use self::jobs::ApiCodec;
pub(crate) use self::parse::to_timestamp;
pub use self::security::{Security, SecurityError, SecurityFiles};
pub use self::server::{Parts, ServeError, ServerOptions, serve};
pub use self::web::Origins;

/// What the services share.
#[derive(Debug)]
struct Api<S, A> {
    head_end: HeadEnd<S, A>,
    collection: Collection<S, A>,
    jobs: Jobs<S, A>,
    telegrams: Telegrams<S, A>,
    counts: Arc<ApiCounts>,
    /// Deadline of a call that states none.
    default_timeout: Duration,
    /// Streams without an end of their own end with it.
    stopping: CancellationToken,
}

/// The services are clones of one handle.
#[derive(Debug)]
struct Service<S, A>(Arc<Api<S, A>>);

impl<S, A> Clone for Service<S, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
