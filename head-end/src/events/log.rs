//! The one way of events into the store, and out again as they come.

use tokio::sync::watch;

use super::{EventTable, EventTables, TABLE_LABEL, derive};
use crate::{
    meter::MeterRecord,
    registry::Registry,
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
        let stored = store.append_events(events).await?;
        if let Some(sequence) = stored {
            self.last.send_if_modified(|last| {
                let news = sequence > *last;
                *last = sequence.max(*last);
                news
            });
        }
        Ok(())
    }

    /// Whether a batch of readings holds rows of an event log.
    pub(crate) fn holds_events(batch: &CaptureBatch) -> bool {
        batch.profile.is_some() && derive::code_column(&batch.columns).is_some()
    }

    /// Stores the events of a batch of readings, where it holds rows of an event log.
    pub(crate) async fn record_batch<S: Store>(&self, registry: &Registry<S>, batch: &CaptureBatch) {
        let meter = &batch.meter;
        let record = match registry.get(meter).await {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%meter, %error, "events of a log have no table");
                return;
            }
        };
        let Some(table) = self.table_of(&record) else { return };
        let events = derive::of_batch(batch, table);
        if let Err(error) = self.record(&**registry.store(), events).await {
            tracing::error!(%meter, %error, "events were not taken by the store");
        }
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new(EventTables::built_in())
    }
}
