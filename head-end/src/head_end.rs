//! The library's front: operations on meters, and what they read kept in the store.

use std::sync::Arc;

use crate::{
    billing::{self, BillingPeriod, BillingRead},
    events::EventLog,
    ingest::{self, Kept},
    meter::{MeterId, TimeBasis},
    operation::{
        AttributeRef, AttributeValue, CaptureColumn, CaptureRow, GetAttribute, InvokeMethod, ItemResult, Layer,
        MeterAccess, ObjectModel, Operation, Outcome, ProfileReading, ReadProfile, RegisterReading, RegisterRef,
        RequestError, RequestErrorKind, SetAttribute, Terms,
    },
    registry::Registry,
    store::{AppendOutcome, CaptureBatch, CapturePage, CaptureQuery, Source, Store},
};
use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
};
use jiff::Timestamp;

/// A head-end: a registry of meters, a fleet that talks to them, and a store for what they say.
#[derive(Debug)]
pub struct HeadEnd<S, A> {
    registry: Arc<Registry<S>>,
    access: Arc<A>,
    events: Arc<EventLog>,
}

impl<S, A> Clone for HeadEnd<S, A> {
    fn clone(&self) -> Self {
        Self {
            registry: Arc::clone(&self.registry),
            access: Arc::clone(&self.access),
            events: Arc::clone(&self.events),
        }
    }
}

/// Registers as read, and whether the store has them.
#[derive(Clone, Debug)]
pub struct RegistersRead {
    /// One for each register asked, in that order.
    pub results: Vec<ItemResult<RegisterReading>>,
    /// What became of them in the store.
    pub kept: Kept,
}

/// Rows as read, and whether the store has them.
#[derive(Clone, Debug)]
pub struct ProfileRead {
    /// Layout and rows.
    pub reading: ProfileReading,
    /// What became of them in the store.
    pub kept: Kept,
}

impl<S: Store, A: MeterAccess> HeadEnd<S, A> {
    /// A head-end over its parts.
    #[must_use]
    pub fn new(registry: Arc<Registry<S>>, access: Arc<A>) -> Self {
        Self::with_events(registry, access, Arc::default())
    }

    /// The same with an event log of its own.
    #[must_use]
    pub const fn with_events(registry: Arc<Registry<S>>, access: Arc<A>, events: Arc<EventLog>) -> Self {
        Self { registry, access, events }
    }

    /// Where events go.
    #[must_use]
    pub const fn events(&self) -> &Arc<EventLog> {
        &self.events
    }

    /// Keeps readings, and the events of those that are rows of an event log.
    ///
    /// # Errors
    /// As [`ReadingStore::append`](crate::store::ReadingStore::append); also where the events were not taken.
    pub async fn keep(&self, batch: CaptureBatch) -> Kept {
        let log = EventLog::holds_events(&batch).then(|| batch.clone());
        let kept = ingest::keep(&**self.registry.store(), batch).await;
        if let (Ok(_), Some(log)) = (&kept, log)
            && let Err(error) = self.events.record_batch(&self.registry, &log).await
        {
            // Whoever collects them asks for the rows again, and does not take them for done.
            tracing::error!(meter = %log.meter, %error, "events were not taken by the store");
            return Err(error);
        }
        kept
    }

    /// The registry.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry<S>> {
        &self.registry
    }

    /// The fleet.
    #[must_use]
    pub const fn access(&self) -> &Arc<A> {
        &self.access
    }

    /// Reads registers and keeps what was read.
    ///
    /// # Errors
    /// When the operation failed as a whole. A store that cannot take the readings is no error: they
    /// were read, and [`RegistersRead::kept`] says what became of them.
    pub async fn read_registers(
        &self,
        meter: &MeterId,
        registers: Vec<RegisterRef>,
        terms: impl Into<Terms>,
    ) -> Result<RegistersRead, RequestError> {
        match self.access.execute(meter, Operation::ReadRegisters(registers), terms.into()).await? {
            Outcome::Registers(results) => {
                let kept = self.keep_registers(meter, &results).await;
                Ok(RegistersRead { results, kept })
            }
            other => Err(unexpected(meter, &other)),
        }
    }

    /// Reads rows of a profile and keeps them.
    ///
    /// # Errors
    /// As [`read_registers`](Self::read_registers).
    pub async fn read_profile(
        &self,
        meter: &MeterId,
        what: ReadProfile,
        terms: impl Into<Terms>,
    ) -> Result<ProfileRead, RequestError> {
        match self.access.execute(meter, Operation::ReadProfile(what), terms.into()).await? {
            Outcome::Profile(reading) => {
                let kept = self.keep_profile(meter, &reading).await;
                Ok(ProfileRead { reading, kept })
            }
            other => Err(unexpected(meter, &other)),
        }
    }

    /// Reads the values of a billing period, and keeps the rows that were read for it.
    ///
    /// # Errors
    /// As [`read_registers`](Self::read_registers); [`RequestErrorKind::NotFound`] where the meter does not hold that
    /// period, or it has not ended.
    pub async fn read_billing_period(
        &self,
        meter: &MeterId,
        profile: Option<ObisCode>,
        period: BillingPeriod,
        terms: impl Into<Terms>,
    ) -> Result<BillingRead, RequestError> {
        let profile = match profile {
            Some(profile) => profile,
            None => billing::profile_of(self.discovered_objects(meter).await?.as_ref()),
        };
        let what = ReadProfile { profile, selection: period.selection(Timestamp::now()) };
        let ProfileRead { reading, kept } = self.read_profile(meter, what, terms).await?;
        if let Some(interrupted) = reading.interrupted {
            return Err(interrupted);
        }
        let (row, start) = period.find(&reading.rows).map_err(|error| error.with_meter(meter))?;
        Ok(BillingRead { layout: reading.layout, row, start, received: reading.received, kept })
    }

    /// Reads attributes as they are.
    ///
    /// # Errors
    /// When the operation failed as a whole.
    pub async fn get_attributes(
        &self,
        meter: &MeterId,
        attributes: Vec<GetAttribute>,
        terms: impl Into<Terms>,
    ) -> Result<Vec<ItemResult<AttributeValue>>, RequestError> {
        match self.access.execute(meter, Operation::GetAttributes(attributes), terms.into()).await? {
            Outcome::Attributes(results) => Ok(results),
            other => Err(unexpected(meter, &other)),
        }
    }

    /// Writes attributes.
    ///
    /// # Errors
    /// When the operation failed as a whole; [`RequestErrorKind::UnknownOutcome`] when it may have
    /// been carried out.
    pub async fn set_attributes(
        &self,
        meter: &MeterId,
        attributes: Vec<SetAttribute>,
        terms: impl Into<Terms>,
    ) -> Result<Vec<ItemResult<()>>, RequestError> {
        match self.access.execute(meter, Operation::SetAttributes(attributes), terms.into()).await? {
            Outcome::Set(results) => Ok(results),
            other => Err(unexpected(meter, &other)),
        }
    }

    /// Invokes a method.
    ///
    /// # Errors
    /// When it was refused or failed; [`RequestErrorKind::UnknownOutcome`] when it may have been
    /// carried out.
    pub async fn invoke_method(
        &self,
        meter: &MeterId,
        method: InvokeMethod,
        terms: impl Into<Terms>,
    ) -> Result<Option<Value>, RequestError> {
        match self.access.execute(meter, Operation::InvokeMethod(method), terms.into()).await? {
            Outcome::Method(returned) => Ok(returned),
            other => Err(unexpected(meter, &other)),
        }
    }

    /// Does an operation, whichever, and keeps what was read by it. What the store cannot take is logged.
    ///
    /// # Errors
    /// As [`MeterAccess::execute`].
    pub async fn perform(
        &self,
        meter: &MeterId,
        operation: Operation,
        terms: impl Into<Terms>,
    ) -> Result<Outcome, RequestError> {
        let outcome = self.access.execute(meter, operation, terms.into()).await?;
        self.keep_outcome(meter, &outcome).await;
        if let Outcome::Bundle(outcomes) = &outcome {
            for outcome in outcomes.iter().flatten() {
                self.keep_outcome(meter, outcome).await;
            }
        }
        Ok(outcome)
    }

    async fn keep_outcome(&self, meter: &MeterId, outcome: &Outcome) {
        // What became of it is logged where it is kept.
        let _ = match outcome {
            Outcome::Registers(results) => self.keep_registers(meter, results).await,
            Outcome::Profile(reading) => self.keep_profile(meter, reading).await,
            _ => return,
        };
    }

    /// Reads the object list of the association and keeps it.
    ///
    /// # Errors
    /// When the operation failed, or the store could not keep the model.
    pub async fn discover_objects(
        &self,
        meter: &MeterId,
        terms: impl Into<Terms>,
    ) -> Result<Arc<ObjectModel>, RequestError> {
        match self.access.execute(meter, Operation::DiscoverObjects, terms.into()).await? {
            Outcome::Objects(model) => {
                self.registry.store().save_object_model(meter, Arc::clone(&model)).await?;
                Ok(model)
            }
            other => Err(unexpected(meter, &other)),
        }
    }

    /// The object model as it was discovered last.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn discovered_objects(&self, meter: &MeterId) -> Result<Option<ObjectModel>, RequestError> {
        Ok(self.registry.store().object_model(meter).await?)
    }

    /// A page of stored readings.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn query(&self, query: CaptureQuery) -> Result<CapturePage, RequestError> {
        Ok(self.registry.store().query(query).await?)
    }

    async fn keep_profile(&self, meter: &MeterId, reading: &ProfileReading) -> Kept {
        let batch = CaptureBatch {
            meter: meter.clone(),
            profile: Some(reading.layout.profile),
            columns: reading.layout.columns.as_slice().into(),
            period_s: reading.layout.capture_period_s,
            rows: reading.rows.clone(),
            flags: Vec::new(),
            source: Source::Polled,
            received: reading.received,
        };
        self.keep(batch).await
    }

    async fn keep_registers(&self, meter: &MeterId, results: &[ItemResult<RegisterReading>]) -> Kept {
        let readings: Vec<&RegisterReading> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        let Some(received) = readings.iter().map(|reading| reading.received).max() else {
            return Ok(AppendOutcome::Stored(Default::default()));
        };
        let (columns, values) = readings.iter().flat_map(|reading| cells(reading)).unzip::<_, _, Vec<_>, _>();
        let row = CaptureRow { time: received, time_basis: TimeBasis::Received, clock: None, status: None, values };
        let batch = CaptureBatch {
            meter: meter.clone(),
            profile: None,
            columns: columns.into(),
            period_s: 0,
            rows: vec![row],
            flags: Vec::new(),
            source: Source::Polled,
            received,
        };
        self.keep(batch).await
    }
}

/// A register as columns of a row: its value, and its status and capture time where it has them.
fn cells(reading: &RegisterReading) -> Vec<(CaptureColumn, Value)> {
    let AttributeRef { class, obis, attribute } = reading.attribute;
    let column = |attribute, scaler_unit| CaptureColumn { class, obis, attribute, data_index: 0, scaler_unit };
    let mut cells = vec![(column(attribute, reading.scaler_unit), reading.value.clone())];
    // Extended registers (class 4) keep status and capture time in attributes 4 and 5, demand
    // registers (class 5) in 5 and 6.
    let status = AttributeId(if class == ClassId(5) { 5 } else { 4 });
    let capture_time = AttributeId(if class == ClassId(5) { 6 } else { 5 });
    if let Some(value) = &reading.status {
        cells.push((column(status, None), value.clone()));
    }
    if let Some(time) = reading.capture_time {
        cells.push((column(capture_time, None), Value::OctetString(time.to_bytes().to_vec())));
    }
    cells
}

fn unexpected(meter: &MeterId, outcome: &Outcome) -> RequestError {
    let message = format!("the fleet answered with {}", outcome.name());
    RequestError::new(RequestErrorKind::Protocol, Layer::HeadEnd, message).with_meter(meter)
}
