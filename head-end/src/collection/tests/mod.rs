//! Collection with a real store, a clock that jumps, and meters that behave as a test wants them to.

mod failures;
mod meters;
mod runs;
mod times;

use std::{sync::Arc, time::Duration};

use dlms::obis::ObisCode;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::meters::{Behaviour, Meters};
use super::*;
use crate::{
    clock::{Clock, TestClock},
    head_end::HeadEnd,
    meter::{MeterId, MeterSettings, Timeouts},
    plan::{Cadence, PlanId, PlanSettings},
    registry::{Change, Registry},
    store::{CaptureFilter, CaptureQuery, PlanState, ReadingStore, Store, StoredCapture, sqlite::SqliteStore},
    vault::{MasterKey, Vault},
};

const LOAD: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);
const SECOND: ObisCode = ObisCode([1, 0, 99, 2, 0, 255]);

/// Long enough for a busy machine; a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    folder: TempDir,
    clock: Arc<TestClock>,
    meters: Arc<Meters>,
    registry: Arc<Registry<SqliteStore>>,
    collection: Collection<SqliteStore, Meters>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

fn id(n: usize) -> MeterId {
    format!("m{n}").parse().unwrap()
}

fn plan_id() -> PlanId {
    "load".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Every day the day before, at once.
fn daily(zone: &str) -> PlanSettings {
    PlanSettings { profiles: vec![LOAD], time_zone: zone.to_owned(), window_s: 1, ..PlanSettings::default() }
}

impl World {
    /// `meters` meters, and the clock at `now`.
    async fn new(meters: usize, now: &str) -> Self {
        Self::with(meters, now, CollectionOptions::default()).await
    }

    async fn with(meters: usize, now: &str, options: CollectionOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self::open(folder, Arc::new(TestClock::new(at(now))), options).await;
        let new = (0..meters).map(|n| {
            let change = Change { settings: MeterSettings::default(), secrets: Default::default() };
            world.registry.create(id(n), change, None)
        });
        join_all(new).await.into_iter().for_each(|made| drop(made.unwrap()));
        world
    }

    async fn open(folder: TempDir, clock: Arc<TestClock>, options: CollectionOptions) -> Self {
        let store = Arc::new(SqliteStore::open(folder.path(), Default::default()).unwrap());
        let master = MasterKey::from_hex(&"11".repeat(32), "test").unwrap();
        let registry = Registry::open(Arc::clone(&store), Vault::new(&master), Timeouts::default(), None).await;
        let registry = Arc::new(registry.unwrap());
        let meters = Arc::new(Meters::new(store, Arc::clone(&clock)));
        let head_end = HeadEnd::new(Arc::clone(&registry), Arc::clone(&meters));
        let collection = Collection::new(head_end, Arc::clone(&clock) as Arc<dyn Clock>, options);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        collection.start(&tasks, stop.clone());
        Self { folder, clock, meters, registry, collection, tasks, stop }
    }

    /// Ends it, and begins again on what it left.
    async fn restart(self, options: CollectionOptions) -> Self {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.registry.store().close().await;
        let Self { folder, clock, meters, registry, collection, .. } = self;
        drop((meters, registry, collection));
        Self::open(folder, clock, options).await
    }

    async fn plan(&self, settings: PlanSettings) {
        self.collection.create(plan_id(), settings, None).await.unwrap();
    }

    fn jump(&self, by: SignedDuration) {
        self.clock.jump(by);
        self.collection.look();
    }

    async fn states(&self) -> Vec<PlanState> {
        self.collection.states(&plan_id(), None, 10_000).await.unwrap()
    }

    /// Waits until the states of all meters are as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&PlanState) -> bool) {
        let mut progress = self.collection.watch();
        let waited = timeout(PATIENCE, async {
            loop {
                progress.mark_unchanged();
                let states = self.states().await;
                if !states.is_empty() && states.iter().all(&wanted) {
                    return;
                }
                progress.changed().await.unwrap();
            }
        });
        if waited.await.is_err() {
            panic!(
                "not {what}: {:#?}",
                self.states().await.iter().filter(|state| !wanted(state)).take(3).collect::<Vec<_>>()
            );
        }
    }

    /// Waits until everything up to `moment` is known of all meters.
    async fn until_known(&self, moment: &str) {
        let moment = at(moment);
        self.until("known", |state| state.watermark.is_some_and(|watermark| watermark >= moment)).await;
    }

    async fn captures(&self, meter: usize) -> Vec<StoredCapture> {
        let query = CaptureQuery {
            meter: id(meter),
            filter: CaptureFilter::Profile(LOAD),
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            all_revisions: true,
            after: None,
            limit: 10_000,
        };
        self.registry.store().query(query).await.unwrap().captures
    }

    async fn coverage(&self, meter: usize, from: &str, to: &str) -> GapMap {
        let span = at(from)..at(to);
        self.collection.coverage(&id(meter), LOAD, span, &jiff::tz::TimeZone::UTC).await.unwrap()
    }
}

/// Every one once, one period after the other.
fn assert_continuous(captures: &[StoredCapture], first: &str, count: usize) {
    assert_eq!(captures.len(), count);
    assert_eq!(captures[0].time, at(first));
    for pair in captures.windows(2) {
        assert_eq!(pair[1].time.as_second() - pair[0].time.as_second(), 900, "behind {}", pair[0].time);
    }
    assert!(captures.iter().all(|capture| capture.revision == 1));
}
