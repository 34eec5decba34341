//! The library's front: operations on meters, and what they read kept in the store.

use std::sync::Arc;

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
};
use tokio::time::Instant;

use crate::{
    meter::{MeterId, TimeBasis},
    operation::{
        AttributeRef, AttributeValue, CaptureColumn, CaptureRow, GetAttribute, InvokeMethod, ItemResult, Layer,
        MeterAccess, ObjectModel, Operation, Outcome, ProfileReading, ReadProfile, RegisterReading, RegisterRef,
        RequestError, RequestErrorKind, SetAttribute,
    },
    registry::Registry,
    store::{AppendOutcome, CaptureBatch, CapturePage, CaptureQuery, Source, Store, StoreError},
};

/// A head-end: a registry of meters, a fleet that talks to them, and a store for what they say.
#[derive(Debug)]
pub struct HeadEnd<S, A> {
    registry: Arc<Registry<S>>,
    access: Arc<A>,
}

impl<S, A> Clone for HeadEnd<S, A> {
    fn clone(&self) -> Self {
        Self { registry: Arc::clone(&self.registry), access: Arc::clone(&self.access) }
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

/// What became of readings in the store.
pub type Kept = Result<AppendOutcome, StoreError>;

impl<S: Store, A: MeterAccess> HeadEnd<S, A> {
    /// A head-end over its parts.
    #[must_use]
    pub const fn new(registry: Arc<Registry<S>>, access: Arc<A>) -> Self {
        Self { registry, access }
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
        deadline: Instant,
    ) -> Result<RegistersRead, RequestError> {
        match self.access.execute(meter, Operation::ReadRegisters(registers), deadline).await? {
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
        deadline: Instant,
    ) -> Result<ProfileRead, RequestError> {
        match self.access.execute(meter, Operation::ReadProfile(what), deadline).await? {
            Outcome::Profile(reading) => {
                let batch = CaptureBatch {
                    meter: meter.clone(),
                    profile: Some(reading.layout.profile),
                    columns: reading.layout.columns.as_slice().into(),
                    rows: reading.rows.clone(),
                    source: Source::Polled,
                    received: reading.received,
                };
                let kept = self.keep(batch).await;
                Ok(ProfileRead { reading, kept })
            }
            other => Err(unexpected(meter, &other)),
        }
    }

    /// Reads attributes as they are.
    ///
    /// # Errors
    /// When the operation failed as a whole.
    pub async fn get_attributes(
        &self,
        meter: &MeterId,
        attributes: Vec<GetAttribute>,
        deadline: Instant,
    ) -> Result<Vec<ItemResult<AttributeValue>>, RequestError> {
        match self.access.execute(meter, Operation::GetAttributes(attributes), deadline).await? {
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
        deadline: Instant,
    ) -> Result<Vec<ItemResult<()>>, RequestError> {
        match self.access.execute(meter, Operation::SetAttributes(attributes), deadline).await? {
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
        deadline: Instant,
    ) -> Result<Option<Value>, RequestError> {
        match self.access.execute(meter, Operation::InvokeMethod(method), deadline).await? {
            Outcome::Method(returned) => Ok(returned),
            other => Err(unexpected(meter, &other)),
        }
    }

    /// Reads the object list of the association and keeps it.
    ///
    /// # Errors
    /// When the operation failed, or the store could not keep the model.
    pub async fn discover_objects(&self, meter: &MeterId, deadline: Instant) -> Result<Arc<ObjectModel>, RequestError> {
        match self.access.execute(meter, Operation::DiscoverObjects, deadline).await? {
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

    async fn keep_registers(&self, meter: &MeterId, results: &[ItemResult<RegisterReading>]) -> Kept {
        let readings: Vec<&RegisterReading> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        let Some(received) = readings.iter().map(|reading| reading.received).max() else {
            return Ok(AppendOutcome::Stored(Default::default()));
        };
        let (columns, values) = readings.iter().flat_map(|reading| cells(reading)).unzip::<_, _, Vec<_>, _>();
        let row = CaptureRow { time: received, time_basis: TimeBasis::Received, clock: None, status: None, values };
        self.keep(CaptureBatch {
            meter: meter.clone(),
            profile: None,
            columns: columns.into(),
            rows: vec![row],
            source: Source::Polled,
            received,
        })
        .await
    }

    async fn keep(&self, batch: CaptureBatch) -> Kept {
        let meter = batch.meter.clone();
        let kept = self.registry.store().append(batch).await;
        match &kept {
            Ok(AppendOutcome::Stored(_)) => {}
            Ok(AppendOutcome::Kept(error)) => tracing::warn!(%meter, %error, "readings wait in memory"),
            Err(error) => tracing::error!(%meter, %error, "readings were not taken by the store"),
        }
        kept
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
