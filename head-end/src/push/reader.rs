//! Readings and events out of pushes that were kept.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use dlms::{
    apdu::Apdu,
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    time::DateTime,
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::{
    Counts, Templates,
    body::{self, Body, Cell, Understood},
    learn,
};
use crate::{
    events::{EventLog, EventTable, derive},
    fleet::{moment, profile_rows},
    head_end::HeadEnd,
    meter::{MeterId, MeterRecord, TimeBasis, TimePolicy},
    operation::{CaptureColumn, CaptureRow, MeterAccess},
    registry::RegistryError,
    store::{
        AppendOutcome, CaptureBatch, EventOrigin, NewEvent, PushOutcome, PushState, Source, Store, StoreError,
        StoredPush,
    },
};

/// Pushes that are read at a time.
const ABREAST: usize = 8;
/// Pushes that are fetched at a time.
const PAGE: usize = 64;
/// How often what still waits is looked at again, and what is old is forgotten.
const AGAIN: Duration = Duration::from_secs(60);
/// Old pushes that are forgotten in one transaction.
const FORGET: usize = 1_000;

/// Reads pushes: one task for all of them.
#[derive(Debug)]
pub(super) struct Reader<S, A> {
    pub(super) head_end: HeadEnd<S, A>,
    pub(super) templates: Templates,
    pub(super) counts: Arc<Counts>,
    /// Something waits to be read.
    pub(super) kept: Arc<Notify>,
    /// How long pushes are kept after they were read.
    pub(super) keep: Duration,
    pub(super) stop: CancellationToken,
    /// Object lists that are being read, and those that could not be.
    pub(super) learning: Mutex<learn::Learning>,
}

/// What waits of one pass over the pushes: those behind it wait, too, so that what a meter sends is read in its order. All
/// pushes of a meter where the store failed, else those of the push setup whose object list is not known yet.
type Waiting = HashSet<(MeterId, Option<ObisCode>)>;

impl<S: Store, A: MeterAccess> Reader<S, A> {
    /// Runs until it is told to stop; what then waits is read at the next start.
    pub(super) async fn run(self: Arc<Self>) {
        let mut again = tokio::time::interval(AGAIN);
        let mut after = 0;
        let waiting = Mutex::new(Waiting::new());
        while !self.stop.is_cancelled() {
            if after == 0 {
                waiting.lock().await.clear();
            }
            let page = self.head_end.registry().store().waiting_pushes(after, PAGE).await;
            let page = page.unwrap_or_else(|error| {
                tracing::error!(%error, "pushes cannot be read");
                Vec::new()
            });
            if let Some(last) = page.last() {
                after = last.id;
                // The bits of an alarm descriptor are news by what stood before: one meter's pushes are read one by one.
                let mut meters: HashMap<MeterId, Vec<StoredPush>> = HashMap::new();
                for push in page {
                    meters.entry(push.meter.clone()).or_default().push(push);
                }
                let read = async |pushes: Vec<StoredPush>| {
                    for push in pushes {
                        self.read(push, &waiting).await;
                    }
                };
                stream::iter(meters.into_values()).for_each_concurrent(ABREAST, read).await;
                continue;
            }
            tokio::select! {
                () = self.kept.notified() => {}
                _ = again.tick() => {
                    after = 0;
                    self.forget().await;
                }
                () = self.stop.cancelled() => {}
            }
            if self.learning.lock().await.take_news() {
                after = 0;
            }
        }
    }

    async fn forget(&self) {
        let keep = jiff::SignedDuration::try_from(self.keep).unwrap_or(jiff::SignedDuration::MAX);
        let Ok(before) = Timestamp::now().checked_sub(keep) else { return };
        while let Ok(FORGET) = self.head_end.registry().store().forget_pushes(before, FORGET).await {
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// Reads one push and notes what became of it; one that cannot be read yet stays.
    async fn read(self: &Arc<Self>, push: StoredPush, waiting: &Mutex<Waiting>) {
        if waiting.lock().await.contains(&(push.meter.clone(), None)) {
            return;
        }
        let outcome = match self.make(&push, waiting).await {
            Ok(Made::Read(by)) => PushOutcome { state: PushState::Read, note: by },
            Ok(Made::Unread(why)) => PushOutcome { state: PushState::Unread, note: why },
            Ok(Made::Later(setup)) => {
                waiting.lock().await.insert((push.meter, Some(setup)));
                return;
            }
            Err(error) => {
                tracing::warn!(meter = %push.meter, push = push.id, %error, "a push is read later");
                waiting.lock().await.insert((push.meter, None));
                return;
            }
        };
        self.counts.read(outcome.state == PushState::Read);
        if let Err(error) = self.head_end.registry().store().finish_push(push.id, outcome).await {
            tracing::warn!(meter = %push.meter, push = push.id, %error, "a push will be read again");
        }
    }

    async fn make(self: &Arc<Self>, push: &StoredPush, waiting: &Mutex<Waiting>) -> Result<Made, StoreError> {
        let record = match self.head_end.registry().get(&push.meter).await {
            Ok(record) => record,
            Err(RegistryError::Store(StoreError::NotFound(_))) => {
                return Ok(Made::Unread("its meter is gone".to_owned()));
            }
            Err(RegistryError::Store(error)) => return Err(error),
            Err(error) => return Ok(Made::Unread(error.to_string())),
        };
        let Ok(apdu) = Apdu::decode(&push.apdu) else { return Ok(Made::Unread("it cannot be decoded".to_owned())) };
        let title = record.settings.system_title;
        let store = self.head_end.registry().store();
        let mut understood = body::understand(&apdu, title, &self.templates, None);
        if let Understood::Needs(setup) = understood {
            if waiting.lock().await.contains(&(push.meter.clone(), Some(setup))) {
                return Ok(Made::Later(setup));
            }
            let Some(objects) = store.profile_layout(&push.meter, setup).await? else {
                return Ok(self.later(push, setup).await);
            };
            understood = body::understand(&apdu, title, &self.templates, Some(&objects.columns));
        }
        match understood {
            Understood::Named(body) => {
                let by = body.by.clone();
                self.keep(push, &record, body).await.map(|()| Made::Read(by))
            }
            Understood::Unknown(why) => Ok(Made::Unread(why.to_owned())),
            // There was an object list, and it does not fit: it is read anew.
            Understood::Needs(setup) => Ok(self.later(push, setup).await),
        }
    }

    /// Has the object list of a push setup read, or says why it cannot be.
    async fn later(self: &Arc<Self>, push: &StoredPush, setup: ObisCode) -> Made {
        let learning = learn::objects(self, &push.meter, setup).await;
        learning.map_or(Made::Later(setup), |why| Made::Unread(why.to_owned()))
    }

    /// Keeps the values of a body as readings and events.
    async fn keep(&self, push: &StoredPush, record: &MeterRecord, body: Body) -> Result<(), StoreError> {
        let policy = record.settings.time_policy;
        let clock = body.cells.iter().find(|(column, _)| body::is_clock(column)).and_then(|(_, value)| clock(value));
        let clock = clock.or(body.time);
        let (time, time_basis) = dated(clock.as_ref(), &policy, push.received);
        let occasion =
            derive::Occasion { time, time_basis, clock, origin: EventOrigin::Pushed, received: push.received };
        let Body { push_setup, cells, .. } = body;
        // The push setup's own attributes say nothing about the meter.
        let (buffers, cells): (Vec<Cell>, Vec<Cell>) =
            cells.into_iter().filter(|(column, _)| column.class.0 != 40).partition(|(column, _)| is_buffer(column));
        if let Some(table) = self.head_end.events().table_of(record) {
            self.events(push, &cells, table, occasion).await?;
        }
        for (column, value) in buffers {
            self.rows(push, &column, &value, &policy).await?;
        }
        if cells.is_empty() {
            return Ok(());
        }
        let (columns, values): (Vec<CaptureColumn>, Vec<Value>) = cells.into_iter().unzip();
        let row = CaptureRow { time, time_basis, clock, status: None, values };
        self.capture(push, push_setup, columns.into(), 0, vec![row]).await
    }

    /// Keeps rows of a profile that a body brought along.
    async fn rows(
        &self,
        push: &StoredPush,
        column: &CaptureColumn,
        value: &Value,
        policy: &TimePolicy,
    ) -> Result<(), StoreError> {
        let store = self.head_end.registry().store();
        let Some(layout) = store.profile_layout(&push.meter, column.obis).await? else {
            tracing::warn!(meter = %push.meter, profile = %column.obis, "the layout of a pushed profile is not known");
            return Ok(());
        };
        match profile_rows(&layout, policy, &value.to_vec()) {
            Ok(rows) => {
                self.capture(push, Some(column.obis), layout.columns.as_slice().into(), layout.capture_period_s, rows)
                    .await
            }
            Err(error) => {
                tracing::warn!(meter = %push.meter, profile = %column.obis, %error, "pushed rows cannot be read");
                Ok(())
            }
        }
    }

    async fn capture(
        &self,
        push: &StoredPush,
        profile: Option<ObisCode>,
        columns: Arc<[CaptureColumn]>,
        period_s: u32,
        rows: Vec<CaptureRow>,
    ) -> Result<(), StoreError> {
        let batch = CaptureBatch {
            meter: push.meter.clone(),
            profile,
            columns,
            period_s,
            rows,
            flags: Vec::new(),
            source: Source::Pushed,
            received: push.received,
        };
        match self.head_end.keep(batch).await? {
            AppendOutcome::Stored(_) => Ok(()),
            // Memory is not the disk: the push stays until it is.
            AppendOutcome::Kept(error) => Err(error),
        }
    }

    /// Records what a body says of events and alarms.
    async fn events(
        &self,
        push: &StoredPush,
        cells: &[Cell],
        table: &EventTable,
        occasion: derive::Occasion,
    ) -> Result<(), StoreError> {
        let store = &**self.head_end.registry().store();
        let log: &EventLog = self.head_end.events();
        for (column, value) in cells.iter().filter(|(column, _)| column.attribute.0 == 2) {
            let number = || u32::try_from(value.as_data()?.as_u64()?).ok();
            let events = if derive::alarm_register(column.obis).is_some() {
                let Some(bits) = number() else { continue };
                // Of a descriptor that is pushed again with what stood before, only what is new is news.
                let standing = derive::of_alarms(&push.meter, column.obis, bits, table, occasion);
                log.record_alarms(store, &push.meter, column.obis, bits, standing).await?;
                continue;
            } else if derive::is_event_code(column.obis)
                && let Some(code) = number()
            {
                let derive::Occasion { time, time_basis, clock, origin, received } = occasion;
                let (meter, source) = (Some(push.meter.clone()), Some(column.obis));
                vec![NewEvent {
                    meter,
                    time,
                    time_basis,
                    clock,
                    origin,
                    source,
                    received,
                    ..derive::of_code(code, table)
                }]
            } else {
                continue;
            };
            log.record(store, events).await?;
        }
        Ok(())
    }
}

/// What was made of a push.
enum Made {
    /// Readings or events; and by what its values were named.
    Read(String),
    /// Nothing, and why.
    Unread(String),
    /// It waits for the object list of its push setup.
    Later(ObisCode),
}

fn clock(value: &Value) -> Option<DateTime> {
    value.as_data().and_then(|data| data.as_date_time()).or(match value {
        Value::DateTime(time) => Some(*time),
        _ => None,
    })
}

fn dated(clock: Option<&DateTime>, policy: &TimePolicy, received: Timestamp) -> (Timestamp, TimeBasis) {
    clock.and_then(|clock| moment(clock, policy)).unwrap_or((received, TimeBasis::Received))
}

/// Whether a column is the buffer of a profile.
fn is_buffer(column: &CaptureColumn) -> bool {
    column.class == ClassId(7) && column.attribute == AttributeId(2)
}
