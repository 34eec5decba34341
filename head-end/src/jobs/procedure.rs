//! What is done with each meter of a job.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::BoxFuture;

use super::Report;
use crate::{
    meter::MeterId,
    operation::{Operation, Outcome, RequestError, RequestErrorKind as Kind},
};

/// What a job does with each of its meters.
///
/// An instance is shared by all tasks of a job and keeps nothing between them: what a task must remember is in the
/// checkpoint of its actions.
pub trait Procedure: Debug + Send + Sync + 'static {
    /// Does it. What changes the meter goes through [`Visit::act`] and is called again from the beginning only where
    /// nothing of it was carried out.
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>>;

    /// Finds out what became of an action that was sent and not answered, by reading only.
    ///
    /// # Errors
    /// Where the meter could not be asked: it is asked again later.
    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>>;
}

/// What became of an action that was not answered.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// The meter has what was wanted of it.
    Done(Report),
    /// The meter is as it was before: it may be asked again while there is time.
    NotDone,
    /// Nothing that can be read tells.
    Unknown,
}

/// A job's specification as something that can be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name for lists and metrics.
    pub kind: &'static str,
    /// Whether it changes meters: then it has to say when it expires.
    pub mutating: bool,
    /// Whether it takes supply away: then it is guarded.
    pub interrupts: bool,
    /// What is done.
    pub procedure: Arc<dyn Procedure>,
}

/// One meter, for one attempt.
pub struct Visit<'a> {
    meter: &'a MeterId,
    port: &'a dyn Port,
    checkpoint: Option<&'a [u8]>,
    in_air: &'a AtomicBool,
}

/// What a visit needs from the engine.
pub(super) trait Port: Send + Sync {
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Outcome, RequestError>>;
    /// Durable before it returns; an error means that nothing may be sent.
    fn begin(&self, checkpoint: Vec<u8>) -> BoxFuture<'_, Result<(), RequestError>>;
    fn settle(&self, acted: bool, checkpoint: Option<Vec<u8>>) -> BoxFuture<'_, Result<(), RequestError>>;
}

impl<'a> Visit<'a> {
    pub(super) const fn new(
        meter: &'a MeterId,
        port: &'a dyn Port,
        checkpoint: Option<&'a [u8]>,
        in_air: &'a AtomicBool,
    ) -> Self {
        Self { meter, port, checkpoint, in_air }
    }

    /// Which meter.
    #[must_use]
    pub const fn meter(&self) -> &MeterId {
        self.meter
    }

    /// What was given to the last [`act`](Self::act) or [`save`](Self::save) of this task, be it in another attempt or another process.
    #[must_use]
    pub const fn checkpoint(&self) -> Option<&[u8]> {
        self.checkpoint
    }

    /// Reads.
    ///
    /// # Errors
    /// As [`MeterAccess::execute`](crate::operation::MeterAccess::execute); `InvalidRequest` for an operation that
    /// changes the meter.
    pub async fn read(&self, operation: Operation) -> Result<Outcome, RequestError> {
        if operation.is_mutating() {
            return Err(invalid("what changes a meter is an action"));
        }
        self.port.execute(operation).await
    }

    /// Changes the meter. That it is about to be sent is in the store before its first octet leaves, with `checkpoint`,
    /// which the resolver gets.
    ///
    /// # Errors
    /// `UnknownOutcome` where it was sent and not answered: the procedure ends with it, and the resolver is called.
    pub async fn act(&self, checkpoint: Vec<u8>, operation: Operation) -> Result<Outcome, RequestError> {
        self.port.begin(checkpoint).await?;
        self.in_air.store(true, Ordering::Release);
        let error = match self.port.execute(operation).await {
            Ok(outcome) => match (uncertain(&outcome), unsent(&outcome)) {
                (Some(error), _) => return Err(error.clone()),
                (None, Some(error)) => error.clone(),
                // It stays noted until the procedure has ended, or has saved how far it came.
                (None, None) => return Ok(outcome),
            },
            Err(error) if error.kind() == Kind::UnknownOutcome => return Err(error),
            Err(error) => error,
        };
        // Nothing was carried out. Where this cannot be kept, the resolver finds the same.
        self.port.settle(false, None).await.map_err(|error| error.with_kind(Kind::UnknownOutcome).with_sent(true))?;
        self.in_air.store(false, Ordering::Release);
        Err(error)
    }

    /// For a procedure of several actions: those so far are done, and another attempt goes on from `checkpoint`.
    ///
    /// # Errors
    /// Where the store did not take it: the procedure ends with it, and the resolver is called for the last action.
    pub async fn save(&self, checkpoint: Vec<u8>) -> Result<(), RequestError> {
        self.port.settle(true, Some(checkpoint)).await?;
        self.in_air.store(false, Ordering::Release);
        Ok(())
    }
}

/// Why nothing of it left for the meter, where nothing did.
fn unsent(outcome: &Outcome) -> Option<&RequestError> {
    let Outcome::Set(results) = outcome else { return None };
    let mut errors = results.iter().map(|result| result.as_ref().err().filter(|error| !error.sent()));
    let first = errors.next().flatten()?;
    errors.all(|error| error.is_some()).then_some(first)
}

/// The first item that may or may not have been carried out.
fn uncertain(outcome: &Outcome) -> Option<&RequestError> {
    let unknown = |error: &&RequestError| error.kind() == Kind::UnknownOutcome;
    match outcome {
        Outcome::Set(results) => results.iter().filter_map(|result| result.as_ref().err()).find(unknown),
        Outcome::Bundle(outcomes) => outcomes.iter().find_map(|outcome| match outcome {
            Ok(outcome) => uncertain(outcome),
            Err(error) => Some(error).filter(unknown),
        }),
        _ => None,
    }
}

pub(super) fn invalid(message: impl Into<String>) -> RequestError {
    RequestError::new(Kind::InvalidRequest, crate::operation::Layer::HeadEnd, message)
}
