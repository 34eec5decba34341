//! The one way of events into the store, and out again as they come.

use dlms::obis::ObisCode;
use tokio::sync::watch;

use super::{EventTable, EventTables, TABLE_LABEL, derive};
use crate::{
    meter::{MeterId, MeterRecord},
    registry::{Registry, RegistryError},
    store::{CaptureBatch, NewEvent, Store, StoreError},
};

/// Takes events, and tells whoever waits for them.
#[derive(Debug)]
pub struct EventLog {
    tables: EventTables,
    /// The highest sequence number that was stored by this process.
    last: watch::Sender<i64>,
}

impl EventLog {
    /// A log whose codes mean what `tables` say.
    #[must_use]
    pub fn new(tables: EventTables) -> Self {
        Self { tables, last: watch::Sender::new(0) }
    }

    /// The tables.
    #[must_use]
    pub const fn tables(&self) -> &EventTables {
        &self.tables
    }

    /// The table of a meter.
    #[must_use]
    pub fn table_of(&self, meter: &MeterRecord) -> Option<&EventTable> {
        let label = meter.settings.labels.get(TABLE_LABEL).map(String::as_str);
        self.tables.find(label, meter.settings.system_title)
    }

    /// Changes whenever an event was stored. The value says nothing about events of before.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }

    /// Stores events and wakes those who wait for them.
    ///
    /// # Errors
    /// The store's own.
    pub async fn record<S: Store>(&self, store: &S, events: Vec<NewEvent>) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.tell(store.append_events(events).await?);
        Ok(())
    }

    /// Stores `events`, one for each bit of an alarm register or descriptor that stands, as far as they are news.
    ///
    /// # Errors
    /// The store's own; nothing is taken for told then.
    pub async fn record_alarms<S: Store>(
        &self,
        store: &S,
        meter: &MeterId,
        register: ObisCode,
        value: u32,
        events: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        self.tell(store.append_alarms(meter, register, value, events).await?);
        Ok(())
    }

    fn tell(&self, stored: Option<i64>) {
        let Some(sequence) = stored else { return };
        self.last.send_if_modified(|last| {
            let news = sequence > *last;
            *last = sequence.max(*last);
            news
        });
    }

    /// Whether a batch of readings holds rows of an event log.
    pub(crate) fn holds_events(batch: &CaptureBatch) -> bool {
        batch.profile.is_some() && derive::code_column(&batch.columns).is_some()
    }

    /// Stores the events of a batch of readings, where it holds rows of an event log.
    ///
    /// # Errors
    /// The store's own; read again, the rows give the same events.
    pub(crate) async fn record_batch<S: Store>(
        &self,
        registry: &Registry<S>,
        batch: &CaptureBatch,
    ) -> Result<(), StoreError> {
        let meter = &batch.meter;
        let record = match registry.get(meter).await {
            Ok(record) => record,
            Err(RegistryError::Store(error)) if !matches!(error, StoreError::NotFound(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(%meter, %error, "events of a log have no table");
                return Ok(());
            }
        };
        let Some(table) = self.table_of(&record) else { return Ok(()) };
        self.record(&**registry.store(), derive::of_batch(batch, table)).await
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new(EventTables::built_in())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dlms::{
        axdr::Value,
        id::{AttributeId, ClassId},
    };
    use jiff::Timestamp;

    use super::*;
    use crate::{
        head_end::HeadEnd,
        meter::{MeterSettings, TimeBasis, Timeouts},
        operation::{CaptureColumn, CaptureRow, MeterAccess, Operation, Outcome, RequestError, Terms},
        registry::Change,
        store::{
            AppendOutcome, EventFilter, EventQuery, EventStore, Source,
            sqlite::{SqliteOptions, SqliteStore},
        },
        vault::{MasterKey, Vault},
    };

    /// No meter is asked here.
    struct Nobody;

    impl MeterAccess for Nobody {
        async fn execute(&self, _: &MeterId, operation: Operation, _: Terms) -> Result<Outcome, RequestError> {
            panic!("{operation:?}")
        }

        fn invalidate(&self, _: &MeterId) {}
    }

    #[tokio::test]
    async fn rows_of_an_event_log_are_not_taken_for_kept_before_their_events_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap());
        let vault = Vault::new(&MasterKey::from_hex(&hex::encode([1; 32]), "test").unwrap());
        let registry = Registry::open(Arc::clone(&store), vault, Timeouts::default(), None).await.unwrap();
        let labels = [(TABLE_LABEL.to_owned(), "idis".to_owned())].into();
        let settings = MeterSettings { labels, ..MeterSettings::default() };
        registry.create("m1".parse().unwrap(), Change { settings, secrets: Default::default() }, None).await.unwrap();
        let head_end = HeadEnd::new(Arc::new(registry), Arc::new(Nobody));
        let column = CaptureColumn {
            class: ClassId(1),
            obis: ObisCode([0, 0, 96, 11, 0, 255]),
            attribute: AttributeId(2),
            data_index: 0,
            scaler_unit: None,
        };
        let row = CaptureRow {
            time: Timestamp::from_second(1_790_000_000).unwrap(),
            time_basis: TimeBasis::MeterDeviation,
            clock: None,
            status: None,
            values: vec![Value::Unsigned(1)],
        };
        let batch = CaptureBatch {
            meter: "m1".parse().unwrap(),
            profile: Some(ObisCode([0, 0, 99, 98, 0, 255])),
            columns: [column].into(),
            period_s: 0,
            rows: vec![row],
            flags: Vec::new(),
            source: Source::Polled,
            received: Timestamp::from_second(1_790_000_100).unwrap(),
        };
        let other = rusqlite::Connection::open(folder.path().join("control.sqlite3")).unwrap();
        let full = "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no events'); END";
        other.execute_batch(full).unwrap();
        head_end.keep(batch.clone()).await.unwrap_err();
        other.execute_batch("DROP TRIGGER full").unwrap();
        // Asked for again, they are there, and so are their events.
        let kept = head_end.keep(batch).await;
        assert!(matches!(kept, Ok(AppendOutcome::Stored(counts)) if counts.unchanged == 1), "{kept:?}");
        let query = EventQuery { filter: EventFilter::default(), after: None, descending: false, limit: 10 };
        let events = store.query_events(query).await.unwrap();
        assert_eq!(events.iter().map(|stored| stored.event.name.as_str()).collect::<Vec<_>>(), ["power down"]);
    }
}
