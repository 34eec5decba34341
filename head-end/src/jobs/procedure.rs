//! What is done with each meter of a job.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{Registered, Report, WavePolicy};
use crate::{
    meter::{MeterId, TimePolicy},
    operation::{Layer, Operation, Outcome, RequestError, RequestErrorKind as Kind},
    store::{ImageId, ImageRow},
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
    /// How its tasks are let run, where not all at once.
    pub waves: Option<WavePolicy>,
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
    fn registered(&self) -> &dyn Registered;
    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Outcome, RequestError>>;
    /// Durable before it returns; an error means that nothing may be sent.
    fn begin(&self, checkpoint: Vec<u8>) -> BoxFuture<'_, Result<(), RequestError>>;
    fn settle(&self, acted: bool, checkpoint: Option<Vec<u8>>) -> BoxFuture<'_, Result<(), RequestError>>;
    fn now(&self) -> Timestamp;
    /// How the meter's times become UTC.
    fn time_policy(&self) -> BoxFuture<'_, Result<TimePolicy, RequestError>>;
    /// Whether somebody paused the job.
    fn is_paused(&self) -> BoxFuture<'_, Result<bool, RequestError>>;
    /// The next attempt, which follows one that ends with an error, comes after `wait` and counts as the first.
    fn go_on_after(&self, wait: Duration);
    fn image(&self, id: ImageId) -> BoxFuture<'_, Result<Option<ImageRow>, RequestError>>;
    fn image_chunk(&self, id: ImageId, number: u32) -> BoxFuture<'_, Result<Option<Vec<u8>>, RequestError>>;
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

    /// What is registered of the meter.
    #[must_use]
    pub fn registered(&self) -> &dyn Registered {
        self.port.registered()
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

    /// As [`act`](Self::act), except that what was noted for the action before, if its outcome has not been saved, counts
    /// for this one too: for actions that may be repeated, many of them in a row.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    pub async fn act_on(
        &self,
        checkpoint: impl FnOnce() -> Vec<u8> + Send,
        operation: Operation,
    ) -> Result<Outcome, RequestError> {
        if !self.in_air.load(Ordering::Acquire) {
            return self.act(checkpoint(), operation).await;
        }
        let outcome = self.port.execute(operation).await?;
        uncertain(&outcome).map_or(Ok(()), |error| Err(error.clone())).map(|()| outcome)
    }

    /// What a procedure ends with that is not done: the next attempt goes on after `wait`. What it did has to be
    /// [saved](Self::save) before.
    #[must_use]
    pub fn go_on_after(&self, wait: Duration) -> RequestError {
        self.port.go_on_after(wait);
        RequestError::new(Kind::Busy, Layer::HeadEnd, "goes on later")
    }

    /// Whether somebody paused the job: then nothing more of it is begun.
    ///
    /// # Errors
    /// Where the store does not tell.
    pub async fn is_paused(&self) -> Result<bool, RequestError> {
        self.port.is_paused().await
    }

    /// How the meter's times become UTC.
    ///
    /// # Errors
    /// Where the registry does not tell.
    pub async fn time_policy(&self) -> Result<TimePolicy, RequestError> {
        self.port.time_policy().await
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.port.now()
    }

    /// A firmware image.
    ///
    /// # Errors
    /// `InvalidRequest` where it is not there any more.
    pub async fn image(&self, id: ImageId) -> Result<ImageRow, RequestError> {
        self.port.image(id).await?.ok_or_else(|| gone(id))
    }

    /// A chunk of a firmware image.
    ///
    /// # Errors
    /// `InvalidRequest` where it is not there any more.
    pub async fn image_chunk(&self, id: ImageId, number: u32) -> Result<Vec<u8>, RequestError> {
        self.port.image_chunk(id, number).await?.ok_or_else(|| gone(id))
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

/// The way of a part of a procedure that is a procedure itself: its notes carry its number in front.
struct Part<'a> {
    port: &'a dyn Port,
    number: u8,
}

impl Part<'_> {
    fn note(&self, note: &[u8]) -> Vec<u8> {
        [&[self.number], note].concat()
    }
}

impl Port for Part<'_> {
    fn registered(&self) -> &dyn Registered {
        self.port.registered()
    }

    fn execute(&self, operation: Operation) -> BoxFuture<'_, Result<Outcome, RequestError>> {
        self.port.execute(operation)
    }

    fn begin(&self, checkpoint: Vec<u8>) -> BoxFuture<'_, Result<(), RequestError>> {
        self.port.begin(self.note(&checkpoint))
    }

    fn settle(&self, acted: bool, checkpoint: Option<Vec<u8>>) -> BoxFuture<'_, Result<(), RequestError>> {
        self.port.settle(acted, checkpoint.map(|note| self.note(&note)))
    }

    fn now(&self) -> Timestamp {
        self.port.now()
    }

    fn time_policy(&self) -> BoxFuture<'_, Result<TimePolicy, RequestError>> {
        self.port.time_policy()
    }

    fn is_paused(&self) -> BoxFuture<'_, Result<bool, RequestError>> {
        self.port.is_paused()
    }

    fn go_on_after(&self, wait: Duration) {
        self.port.go_on_after(wait);
    }

    fn image(&self, id: ImageId) -> BoxFuture<'_, Result<Option<ImageRow>, RequestError>> {
        self.port.image(id)
    }

    fn image_chunk(&self, id: ImageId, number: u32) -> BoxFuture<'_, Result<Option<Vec<u8>>, RequestError>> {
        self.port.image_chunk(id, number)
    }
}

impl Visit<'_> {
    /// Does a part of a procedure that is a procedure itself. Where it does not end, the first octet of the
    /// [checkpoint](Self::checkpoint) is its number.
    ///
    /// # Errors
    /// Those of the part.
    pub async fn part(&self, number: u8, of: &dyn Procedure) -> Result<Report, RequestError> {
        let port = Part { port: self.port, number };
        of.run(&self.inside(&port)).await
    }

    /// Finds out what became of an action of a part.
    ///
    /// # Errors
    /// Those of the part.
    pub async fn resolve_part(&self, number: u8, of: &dyn Procedure) -> Result<Resolution, RequestError> {
        let port = Part { port: self.port, number };
        of.resolve(&self.inside(&port)).await
    }

    fn inside<'a>(&'a self, port: &'a Part<'a>) -> Visit<'a> {
        let note = self.checkpoint.and_then(<[u8]>::split_first).filter(|(number, _)| **number == port.number);
        Visit { meter: self.meter, port, checkpoint: note.map(|(_, rest)| rest), in_air: self.in_air }
    }
}

/// Why nothing that changes the meter left for it, where nothing did. Of a bundle only what another attempt may mend: its
/// items are told one by one otherwise.
fn unsent(outcome: &Outcome) -> Option<&RequestError> {
    let mut first = None;
    let bundle = matches!(outcome, Outcome::Bundle(_));
    if !is_unsent(outcome, &mut first) {
        return None;
    }
    first.filter(|error| !bundle || error.is_retryable() || error.kind() == Kind::Expired)
}

fn is_unsent<'a>(outcome: &'a Outcome, first: &mut Option<&'a RequestError>) -> bool {
    let mut unsent = |error: &'a RequestError| {
        first.get_or_insert(error);
        !error.sent()
    };
    match outcome {
        Outcome::Set(results) => results.iter().all(|result| result.as_ref().err().is_some_and(&mut unsent)),
        Outcome::Bundle(outcomes) => outcomes.iter().all(|outcome| match outcome {
            Ok(outcome) => is_unsent(outcome, first),
            Err(error) => {
                first.get_or_insert(error);
                !error.sent()
            }
        }),
        Outcome::Method(_) => false,
        // What was read changed nothing.
        _ => true,
    }
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

fn gone(id: ImageId) -> RequestError {
    invalid(format!("there is no {} any more", id.resource_name()))
}

pub(super) fn invalid(message: impl Into<String>) -> RequestError {
    RequestError::new(Kind::InvalidRequest, Layer::HeadEnd, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_of_writes_of_which_nothing_left_may_be_tried_again() {
        let error = |kind, sent| RequestError::new(kind, Layer::Link, "as the test wants it").with_sent(sent);
        let lost = || error(Kind::Unreachable, false);
        let set = |results: Vec<Result<(), RequestError>>| Ok(Outcome::Set(results));
        let read = || Ok(Outcome::Attributes(Vec::new()));
        let retried = |items| unsent(&Outcome::Bundle(items)).map(RequestError::kind);
        assert_eq!(retried(vec![read(), set(vec![Err(lost()), Err(lost())]), Err(lost())]), Some(Kind::Unreachable));
        assert_eq!(retried(vec![Err(error(Kind::Expired, false))]), Some(Kind::Expired));
        // Something may have left, or has.
        assert_eq!(retried(vec![set(vec![Ok(()), Err(lost())])]), None);
        assert_eq!(retried(vec![Ok(Outcome::Method(None)), Err(lost())]), None);
        assert_eq!(retried(vec![Err(lost()), Err(error(Kind::Unreachable, true))]), None);
        // Another attempt would end like this one; its items are told.
        assert_eq!(retried(vec![read(), Err(error(Kind::InvalidRequest, false))]), None);
        assert_eq!(retried(vec![read()]), None);
        assert_eq!(unsent(&Outcome::Set(vec![Err(lost())])).map(RequestError::kind), Some(Kind::Unreachable));
        assert!(unsent(&Outcome::Set(vec![])).is_none());
    }
}
