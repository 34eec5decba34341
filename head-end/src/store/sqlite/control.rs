//! The one writer of the control database.
//!
//! Writes that wait together are committed together, each in a savepoint of its own: a refused one
//! leaves nothing behind, and one synchronisation of the disk serves them all.

use std::{
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    SqliteOptions,
    failure::Context,
    file::{self, CONTROL},
};
use crate::store::{StoreCounts, StoreError};

/// Name of the file in errors.
pub(super) const FILE: &str = "control.sqlite3";

/// Writes committed together, at most: it bounds how long the first of them waits.
const GROUP: usize = 128;

/// Called with the end of the transaction that a job was part of.
type Completion = Box<dyn FnOnce(&Result<(), StoreError>) + Send>;

/// Does its work, or learns why there is no transaction to do it in.
type Job = Box<dyn FnOnce(Result<&Connection, &StoreError>) -> Completion + Send>;

/// Handle of the writer.
#[derive(Debug)]
pub(super) struct Control {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    ended: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl Control {
    pub(super) fn start(path: &Path, options: SqliteOptions, counts: Arc<StoreCounts>) -> Result<Self, StoreError> {
        let db = file::open_writer(path, &CONTROL, options)?;
        let (sender, receiver) = mpsc::channel(options.control_queue);
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("store-control".to_owned())
            .spawn(move || {
                run(&db, receiver, &counts);
                drop(db);
                // Nobody may be waiting for the end.
                let _ = end.send(());
            })
            .map_err(file::io("start the writer of", path))?;
        Ok(Self { jobs: Mutex::new(Some(sender)), ended: tokio::sync::Mutex::new(Some(ended)) })
    }

    /// Runs `work` in a transaction and returns once it is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let result = match db {
                Ok(db) => in_savepoint(db, work),
                Err(error) => Err(error.clone()),
            };
            Box::new(move |committed| {
                let result = match committed {
                    Ok(()) => result,
                    Err(error) => result.and_then(|_| Err(error.clone())),
                };
                // The caller may have gone away; the work is done all the same.
                let _ = reply.send(result);
            })
        });
        let sender = self.jobs.lock().map_err(|_| StoreError::Closed)?.clone().ok_or(StoreError::Closed)?;
        sender.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded { what: "control writes" },
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        // Without an answer the work panicked, or the writer has ended.
        answer.await.unwrap_or_else(|_| {
            Err(if sender.is_closed() { StoreError::Closed } else { StoreError::broken(FILE.to_owned()) })
        })
    }

    /// Finishes what was accepted, and closes the file.
    pub(super) async fn close(&self) {
        if let Ok(mut jobs) = self.jobs.lock() {
            *jobs = None;
        }
        if let Some(ended) = self.ended.lock().await.take() {
            // An error means that the thread is gone already.
            let _ = ended.await;
        }
    }
}

fn in_savepoint<T>(db: &Connection, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
    db.execute_batch("SAVEPOINT job").context(FILE, "beginning")?;
    let result = work(db);
    // After a full disk SQLite may have rolled the whole transaction back, savepoints included.
    if !db.is_autocommit() {
        let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
        db.execute_batch(end).context(FILE, "ending")?;
    }
    result
}

fn run(db: &Connection, mut jobs: mpsc::Receiver<Job>, counts: &StoreCounts) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = Vec::with_capacity(GROUP);
        group.push(first);
        while group.len() < GROUP {
            let Ok(job) = jobs.try_recv() else { break };
            group.push(job);
        }
        carry_out(db, group.into_iter(), counts);
    }
}

/// Runs a group of jobs; begins again behind a job that made SQLite roll the transaction back.
fn carry_out(db: &Connection, mut group: impl ExactSizeIterator<Item = Job>, counts: &StoreCounts) {
    while group.len() > 0 {
        let began = Instant::now();
        if let Err(error) = db.execute_batch("BEGIN IMMEDIATE").context(FILE, "beginning") {
            tracing::warn!(%error, waiting = group.len(), "control database refuses writes");
            counts.control.committed(0, began.elapsed(), false);
            group.for_each(|job| job(Err(&error))(&Err(error.clone())));
            return;
        }
        let mut done: Vec<Completion> = Vec::with_capacity(group.len());
        let mut failed = None;
        for job in group.by_ref() {
            // A panic must not take the thread with it: nothing could be written until the next start.
            match std::panic::catch_unwind(AssertUnwindSafe(|| job(Ok(db)))) {
                Ok(complete) => done.push(complete),
                Err(_) => failed = Some(panicked(db)),
            }
            if db.is_autocommit() {
                failed = failed.or_else(|| Some(StoreError::Full { file: FILE.to_owned() }));
                break;
            }
        }
        let committed = failed.map_or_else(|| commit(db), Err);
        counts.control.committed(done.len(), began.elapsed(), committed.is_ok());
        done.into_iter().for_each(|complete| complete(&committed));
    }
}

/// Takes back what a job that panicked left half done, with all that waited for the same commit; they may be tried again.
fn panicked(db: &Connection) -> StoreError {
    tracing::error!("a write of the control database panicked");
    // What cannot be rolled back is rolled back by the next start of the process.
    let _ = db.execute_batch("ROLLBACK");
    StoreError::broken(FILE.to_owned())
}

fn commit(db: &Connection) -> Result<(), StoreError> {
    let committed = db.execute_batch("COMMIT").context(FILE, "committing");
    if let Err(error) = &committed {
        tracing::error!(%error, "control database did not commit");
        if !db.is_autocommit() {
            // What cannot be rolled back is rolled back by the next start of the process.
            let _ = db.execute_batch("ROLLBACK");
        }
    }
    committed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_that_panics_leaves_nothing_behind_and_the_writer_alive() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::start(&folder.path().join(FILE), SqliteOptions::default(), Arc::default()).unwrap();
        let add = |db: &Connection, name: &str| {
            db.execute("INSERT INTO instance (name, value) VALUES (?1, x'00')", [name])
                .map(drop)
                .context(FILE, "adding")
        };
        let broken = control
            .write::<()>(move |db| {
                add(db, "half")?;
                panic!("as the test wants it")
            })
            .await;
        assert!(matches!(broken, Err(StoreError::Database { .. })), "{broken:?}");
        control.write(move |db| add(db, "whole")).await.unwrap();
        let names = control
            .write(|db| {
                let query = db.query_row("SELECT group_concat(name) FROM instance", [], |row| row.get::<_, String>(0));
                query.context(FILE, "reading")
            })
            .await;
        assert_eq!(names.unwrap(), "whole");
        control.close().await;
    }
}
