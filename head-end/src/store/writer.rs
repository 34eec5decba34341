//! The one writer of readings.
//!
//! Captures are encoded by whoever brings them, split by month, and wait in a bounded queue. The
//! writer, a thread, commits what waits together, a month at a time. What cannot be written stays in memory and
//! is tried again with growing pauses; after some patience its bringer learns so, and may go.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    AppendOutcome, Appended, CaptureBatch, StoreError,
    month::Month,
    pieces::{self, Piece},
};

/// What readings are written into.
pub(super) trait Sink: Send + 'static {
    /// Writes pieces of one month in one transaction. Returns what became of each, and the number of the newest change
    /// that is committed then.
    fn write(&mut self, month: Month, pieces: &[&Piece]) -> Result<(Vec<Appended>, u64), StoreError>;

    /// Lets go of what may be part of a failure to write into `month`.
    fn reset(&mut self, month: Month);
}

/// Limits of the writer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Captures that may wait.
    pub(super) captures: usize,
    /// How long an append waits before it answers that its captures are kept in memory.
    pub(super) patience: Duration,
    /// First and longest pause before a failed write is tried again.
    pub(super) retry: (Duration, Duration),
}

/// Pieces committed together, at most.
const GROUP: usize = 256;

/// Last attempts at closing, before what cannot be written is given up.
const CLOSING: Duration = Duration::from_secs(5);

/// Handle of the writer.
#[derive(Debug)]
pub(super) struct Readings {
    pieces: Mutex<Option<mpsc::Sender<Waiting>>>,
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    /// The newest change that is committed.
    newest: watch::Receiver<u64>,
}

/// A piece on its way into the store.
struct Waiting {
    piece: Piece,
    since: Instant,
    reply: Option<oneshot::Sender<AppendOutcome>>,
    room: Room,
}

/// The captures that a piece takes of the bound on waiting captures; given back on drop.
#[derive(Debug)]
struct Room {
    waiting: Arc<AtomicUsize>,
    captures: usize,
}

impl Room {
    fn take(waiting: &Arc<AtomicUsize>, captures: usize, limit: usize) -> Option<Self> {
        let before = waiting.fetch_add(captures, Ordering::Relaxed);
        let room = Self { waiting: Arc::clone(waiting), captures };
        // A batch larger than the limit is taken when nothing else waits: it could never be otherwise.
        (before == 0 || before.saturating_add(captures) <= limit).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.captures, Ordering::Relaxed);
    }
}

impl Readings {
    /// Starts the writer into `sink`, whose newest change is `newest`.
    pub(super) fn start(sink: impl Sink, newest: u64, limits: Limits) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let (announce, newest) = watch::channel(newest);
        let writer = Writer { sink, limits, backlog: BTreeMap::new(), pause: limits.retry.0, announce };
        thread::Builder::new().name("store-readings".to_owned()).spawn(move || {
            writer.run(receiver);
            // Nobody may be waiting for the end.
            let _ = end.send(());
        })?;
        Ok(Self {
            pieces: Mutex::new(Some(sender)),
            ended: tokio::sync::Mutex::new(Some(ended)),
            waiting: Arc::new(AtomicUsize::new(0)),
            limit: limits.captures,
            newest,
        })
    }

    pub(super) async fn append(&self, batch: CaptureBatch) -> Result<AppendOutcome, StoreError> {
        self.write(pieces::split(&batch)).await
    }

    /// Notes slots that the meter does not have.
    pub(super) async fn mark_absent(&self, pieces: Vec<Piece>) -> Result<(), StoreError> {
        match self.write(pieces).await? {
            AppendOutcome::Stored(_) => Ok(()),
            AppendOutcome::Kept(error) => Err(error),
        }
    }

    async fn write(&self, pieces: Vec<Piece>) -> Result<AppendOutcome, StoreError> {
        let captures = pieces.iter().map(|piece| piece.rows.len()).sum();
        let mut room =
            Room::take(&self.waiting, captures, self.limit).ok_or(StoreError::Overloaded { what: "captures" })?;
        let mut answers = Vec::new();
        {
            let guard = self.pieces.lock().map_err(|_| StoreError::Closed)?;
            let sender = guard.as_ref().ok_or(StoreError::Closed)?;
            for piece in pieces {
                let captures = piece.rows.len().min(room.captures);
                room.captures -= captures;
                let part = Room { waiting: Arc::clone(&self.waiting), captures };
                let (reply, answer) = oneshot::channel();
                let waiting = Waiting { piece, since: Instant::now(), reply: Some(reply), room: part };
                sender.send(waiting).map_err(|_| StoreError::Closed)?;
                answers.push(answer);
            }
        }
        let mut total = Appended::default();
        let mut kept = None;
        for answer in answers {
            match answer.await.map_err(|_| StoreError::Closed)? {
                AppendOutcome::Stored(part) => {
                    total.new += part.new;
                    total.revised += part.revised;
                    total.unchanged += part.unchanged;
                }
                AppendOutcome::Kept(error) => kept = Some(error),
            }
        }
        Ok(kept.map_or(AppendOutcome::Stored(total), AppendOutcome::Kept))
    }

    /// The newest change that is committed, and each one after it.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// Writes what waits, and ends.
    pub(super) async fn close(&self) {
        if let Ok(mut pieces) = self.pieces.lock() {
            *pieces = None;
        }
        if let Some(ended) = self.ended.lock().await.take() {
            // An error means that the thread is gone already.
            let _ = ended.await;
        }
    }
}

struct Writer<S> {
    sink: S,
    limits: Limits,
    backlog: BTreeMap<Month, VecDeque<Waiting>>,
    pause: Duration,
    announce: watch::Sender<u64>,
}

impl<S: Sink> Writer<S> {
    fn run(mut self, incoming: mpsc::Receiver<Waiting>) {
        loop {
            let closed = self.receive(&incoming);
            if closed {
                return self.finish();
            }
            self.write_all();
        }
    }

    /// Waits for something to write: a new piece or, with a backlog, the end of the pause. Returns
    /// whether the store is being closed.
    fn receive(&mut self, incoming: &mpsc::Receiver<Waiting>) -> bool {
        let first = if self.backlog.is_empty() {
            incoming.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        } else {
            incoming.recv_timeout(self.pause)
        };
        match first {
            Ok(first) => self.put(first),
            Err(mpsc::RecvTimeoutError::Timeout) => return false,
            Err(mpsc::RecvTimeoutError::Disconnected) => return true,
        }
        for _ in 1..GROUP {
            let Ok(next) = incoming.try_recv() else { break };
            self.put(next);
        }
        false
    }

    fn put(&mut self, waiting: Waiting) {
        self.backlog.entry(waiting.piece.month).or_default().push_back(waiting);
    }

    fn write_all(&mut self) {
        let mut failed = false;
        for (month, mut pieces) in std::mem::take(&mut self.backlog) {
            while !pieces.is_empty() {
                let group = pieces.len().min(GROUP);
                if let Err(error) = self.write_group(month, &mut pieces, group) {
                    tracing::warn!(%error, %month, pieces = pieces.len(), "readings wait to be written");
                    self.answer_impatient(&mut pieces, &error);
                    self.sink.reset(month);
                    failed = true;
                    break;
                }
            }
            if !pieces.is_empty() {
                self.backlog.insert(month, pieces);
            }
        }
        let (first, longest) = self.limits.retry;
        self.pause = if failed { (self.pause * 2).min(longest) } else { first };
    }

    /// Writes the first `group` pieces in one transaction, and takes them off once it is durable.
    fn write_group(&mut self, month: Month, pieces: &mut VecDeque<Waiting>, group: usize) -> Result<(), StoreError> {
        let group_pieces: Vec<_> = pieces.iter().take(group).map(|waiting| &waiting.piece).collect();
        // A panic must not take the thread with it: nothing could be written until the next start.
        let written = AssertUnwindSafe(|| self.sink.write(month, &group_pieces));
        let (counts, newest) =
            panic::catch_unwind(written).unwrap_or_else(|_| Err(StoreError::broken(month.to_string())))?;
        self.announce.send_replace(newest);
        for (waiting, count) in pieces.drain(..group).zip(counts) {
            if let Some(reply) = waiting.reply {
                // The caller may have gone away; its captures are stored all the same.
                let _ = reply.send(AppendOutcome::Stored(count));
            }
            drop(waiting.room);
        }
        Ok(())
    }

    fn answer_impatient(&self, pieces: &mut VecDeque<Waiting>, error: &StoreError) {
        for waiting in pieces.iter_mut().filter(|waiting| waiting.since.elapsed() >= self.limits.patience) {
            if let Some(reply) = waiting.reply.take() {
                // As above.
                let _ = reply.send(AppendOutcome::Kept(error.clone()));
            }
        }
    }

    fn finish(mut self) {
        let until = Instant::now() + CLOSING;
        self.write_all();
        while !self.backlog.is_empty() && Instant::now() < until {
            thread::sleep(self.limits.retry.0);
            self.write_all();
        }
        let lost: usize = self.backlog.values().flatten().map(|waiting| waiting.piece.rows.len()).sum();
        if lost > 0 {
            tracing::error!(captures = lost, "closing with captures that could not be written");
        }
    }
}
