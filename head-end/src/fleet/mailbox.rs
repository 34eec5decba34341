//! What waits for a meter: bounded, and taken by priority, then deadline, then arrival.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::actor::Job;
use crate::operation::Priority;

/// Of how many places one is kept for what has high priority.
const KEPT: usize = 10;

/// The side that puts jobs in. Clones share it.
#[derive(Clone)]
pub(super) struct Sender(Arc<Shared>);

/// The side of the actor. What is still queued when it is dropped is dropped too.
pub(super) struct Receiver(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
    places: usize,
}

#[derive(Default)]
struct Queue {
    waiting: BinaryHeap<Waiting>,
    arrivals: u64,
    closed: bool,
}

/// Why a job was not taken.
pub(super) enum Refused {
    /// There is no place for one of its priority.
    Full,
    /// Nobody will take it out; it comes back.
    Closed(Job),
}

/// A mailbox with room for `places` jobs, a tenth of which is kept for those of high priority.
pub(super) fn mailbox(places: usize) -> (Sender, Receiver) {
    let shared = Arc::new(Shared { queue: Mutex::default(), arrived: Notify::new(), places });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Shared {
    /// Held for a few comparisons; a panic in them leaves the queue whole.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    /// Queues a job.
    pub(super) fn try_send(&self, job: Job) -> Result<(), Refused> {
        let places = self.0.places;
        let places = if job.priority >= Priority::High { places } else { places - places / KEPT };
        let mut queue = self.0.queue();
        if queue.closed {
            return Err(Refused::Closed(job));
        }
        if queue.waiting.len() >= places {
            // Those whose callers went away take up no room.
            queue.waiting.retain(|waiting| !waiting.job.reply.is_closed());
        }
        if queue.waiting.len() >= places {
            return Err(Refused::Full);
        }
        let arrival = queue.arrivals;
        queue.arrivals += 1;
        queue.waiting.push(Waiting { job, arrival });
        drop(queue);
        self.0.arrived.notify_one();
        Ok(())
    }

    /// How many jobs wait.
    pub(super) fn len(&self) -> usize {
        self.0.queue().waiting.len()
    }

    /// Whether nobody takes jobs out any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.queue().closed
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("places", &self.0.places).finish_non_exhaustive()
    }
}

impl Receiver {
    /// The next job; waits for one. Cancel safe.
    pub(super) async fn recv(&mut self) -> Job {
        loop {
            if let Some(job) = self.try_recv() {
                return job;
            }
            self.0.arrived.notified().await;
        }
    }

    /// The next job, if one waits.
    pub(super) fn try_recv(&mut self) -> Option<Job> {
        let waiting = self.0.queue().waiting.pop();
        waiting.map(|waiting| waiting.job)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.queue().waiting.is_empty()
    }

    /// No job is taken in any more; what waits can still be taken out.
    pub(super) fn close(&mut self) {
        self.0.queue().closed = true;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.closed = true;
        let left = std::mem::take(&mut queue.waiting);
        drop(queue);
        // Their callers are woken outside the lock.
        drop(left);
    }
}

struct Waiting {
    job: Job,
    arrival: u64,
}

impl Waiting {
    /// The greatest is taken first.
    fn rank(&self) -> impl Ord + use<> {
        (self.job.priority, Reverse(self.job.deadline), Reverse(self.arrival))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicBool, time::Duration};

    use tokio::{sync::oneshot, time::Instant};

    use super::*;
    use crate::operation::{Operation, Outcome, RequestError};

    type Answer = oneshot::Receiver<Result<Outcome, RequestError>>;

    fn put(sender: &Sender, priority: Priority, deadline: Instant, operation: Operation) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        let started = Arc::new(AtomicBool::new(false));
        sender.try_send(Job { operation, deadline, priority, started, reply }).is_ok().then_some(answer)
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_are_taken_by_priority_then_deadline_then_arrival() {
        let (sender, mut receiver) = mailbox(8);
        let (soon, late) = (Instant::now() + Duration::from_secs(1), Instant::now() + Duration::from_secs(9));
        let _answers = [
            put(&sender, Priority::Low, soon, Operation::Ping),
            put(&sender, Priority::Normal, late, Operation::DiscoverObjects),
            put(&sender, Priority::Normal, late, Operation::Ping),
            put(&sender, Priority::Normal, soon, Operation::Ping),
            put(&sender, Priority::High, late, Operation::Ping),
        ];
        let taken: Vec<_> = std::iter::from_fn(|| receiver.try_recv())
            .map(|job| (job.priority, job.deadline, job.operation.name()))
            .collect();
        let expected = [
            (Priority::High, late, "ping"),
            (Priority::Normal, soon, "ping"),
            (Priority::Normal, late, "discover_objects"),
            (Priority::Normal, late, "ping"),
            (Priority::Low, soon, "ping"),
        ];
        assert_eq!(taken, expected);
    }

    #[tokio::test]
    async fn a_tenth_of_the_places_is_kept_for_high_priority() {
        let (sender, _receiver) = mailbox(20);
        let now = Instant::now();
        let put = |priority| put(&sender, priority, now, Operation::Ping);
        let normal: Vec<_> = std::iter::from_fn(|| put(Priority::Normal)).collect();
        let high: Vec<_> = std::iter::from_fn(|| put(Priority::High)).collect();
        assert_eq!((normal.len(), high.len()), (18, 2));
    }

    #[tokio::test]
    async fn jobs_whose_callers_went_away_give_up_their_places() {
        let (sender, mut receiver) = mailbox(2);
        let now = Instant::now();
        let kept = put(&sender, Priority::Low, now, Operation::Ping);
        drop(put(&sender, Priority::Normal, now, Operation::Ping));
        let last = put(&sender, Priority::Low, now, Operation::DiscoverObjects);
        assert!(kept.is_some() && last.is_some());
        assert!(put(&sender, Priority::Low, now, Operation::Ping).is_none());
        let taken: Vec<_> = std::iter::from_fn(|| receiver.try_recv()).map(|job| job.operation.name()).collect();
        assert_eq!(taken, ["ping", "discover_objects"]);
    }

    #[tokio::test]
    async fn nothing_enters_a_closed_mailbox_and_what_is_dropped_with_it_is_told() {
        let (sender, mut receiver) = mailbox(2);
        let answer = put(&sender, Priority::Low, Instant::now(), Operation::Ping).unwrap();
        receiver.close();
        assert!(sender.is_closed());
        assert!(put(&sender, Priority::High, Instant::now(), Operation::Ping).is_none());
        drop(receiver);
        assert!(answer.await.is_err());
    }
}
