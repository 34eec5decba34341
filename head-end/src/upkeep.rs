//! What a head-end looks after from time to time: what nobody needs any more is forgotten.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::store::{Store, StoreError};

/// How often old rows are looked for, and when for the first time.
const EVERY: Duration = Duration::from_secs(3_600);
const FIRST: Duration = Duration::from_secs(60);
/// Rows in one transaction, and the pause behind it for those who wait.
const STEP: usize = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpkeepOptions {
    /// Jobs with their tasks and results, after they ended.
    pub jobs: Duration,
    /// Events, after they came.
    pub events: Duration,
    /// Runs of plans, after they were asked for.
    pub runs: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for UpkeepOptions {
    fn default() -> Self {
        Self { jobs: DAY * 90, events: DAY * 1_100, runs: DAY * 90 }
    }
}

/// Looks after `store` as a task of `tasks` until `stop`.
pub(crate) fn start<S: Store>(store: Arc<S>, options: UpkeepOptions, tasks: &TaskTracker, stop: &CancellationToken) {
    let stop = stop.clone();
    tasks.spawn(async move {
        let mut wait = FIRST;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            let forgotten = stop.run_until_cancelled(forget(&*store, &options, Timestamp::now())).await;
            if let Some(Err(error)) = forgotten {
                tracing::warn!(%error, "old rows are forgotten later");
            }
            wait = EVERY;
        }
    });
}

/// Forgets what is older than `options` say.
///
/// Cancel safety: what was forgotten is; the rest is next time.
async fn forget<S: Store>(store: &S, options: &UpkeepOptions, now: Timestamp) -> Result<(), StoreError> {
    let before = |keep: Duration| {
        let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
        now.saturating_sub(keep).unwrap_or(Timestamp::MIN)
    };
    let mut gone = 0;
    loop {
        let jobs = store.forget_jobs(before(options.jobs), STEP).await?;
        let events = store.forget_events(before(options.events), STEP).await?;
        let runs = store.forget_runs(before(options.runs), STEP).await?;
        if jobs + events + runs == 0 {
            break;
        }
        gone += jobs + events + runs;
        tokio::time::sleep(PAUSE).await;
    }
    if gone > 0 {
        tracing::info!(rows = gone, "old jobs, events and runs were forgotten");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::OwnEvent,
        store::{
            EventFilter, EventQuery, EventStore,
            sqlite::{SqliteOptions, SqliteStore},
        },
    };

    #[tokio::test]
    async fn forgetting_ends_when_nothing_old_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap();
        let old = || OwnEvent::UnclaimedDevice.event(None, "x");
        let events = (0..STEP + 1).map(|n| crate::store::NewEvent { detail: n.to_string(), ..old() }).collect();
        store.append_events(events).await.unwrap();
        let options = UpkeepOptions::default();
        forget(&store, &options, Timestamp::now()).await.unwrap();
        assert!(store.last_event().await.unwrap() > 0);
        let later = Timestamp::now().checked_add(SignedDuration::try_from(options.events * 2).unwrap()).unwrap();
        forget(&store, &options, later).await.unwrap();
        let query = EventQuery { filter: EventFilter::default(), after: None, descending: false, limit: 10 };
        assert_eq!(store.query_events(query).await.unwrap().len(), 1, "the newest stays");
    }
}
