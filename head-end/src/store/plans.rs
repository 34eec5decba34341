//! Plans, and where each of their meters stands.

use std::future::Future;

use jiff::Timestamp;
use uuid::Uuid;

use super::{RequestKey, StoreError};
use crate::{
    meter::MeterId,
    plan::{PlanId, PlanRecord},
};

/// Plans, and where each of their meters stands.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait PlanStore: Send + Sync + 'static {
    /// Makes a plan, unless its name is taken; with `request`, once for each request id.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::RequestMismatch`], or the store's own.
    fn create_plan(
        &self,
        plan: PlanRecord,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<PlanRecord, StoreError>> + Send;

    /// A plan.
    ///
    /// # Errors
    /// The store's own.
    fn plan(&self, id: &PlanId) -> impl Future<Output = Result<Option<PlanRecord>, StoreError>> + Send;

    /// Plans in the order of their names, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn list_plans(
        &self,
        after: Option<PlanId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<PlanRecord>, StoreError>> + Send;

    /// Changes a plan whose present revision is the one before that of `plan`. All its meters are due at `due` and
    /// those that were stopped go on; where `anew`, what they hold is looked at again from the beginning.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::RequestMismatch`], or the store's own.
    fn update_plan(
        &self,
        plan: PlanRecord,
        due: Timestamp,
        anew: bool,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<PlanRecord, StoreError>> + Send;

    /// Removes a plan with the states of its meters; readings stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`] when `revision` is given and not the stored one,
    /// [`StoreError::RequestMismatch`], or the store's own.
    fn delete_plan(
        &self,
        id: &PlanId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds meters to a plan, due at the moment beside each; those that are in it already stay as they are. Meters
    /// that are not registered any more are left out.
    ///
    /// # Errors
    /// The store's own.
    fn enrol(
        &self,
        plan: &PlanId,
        meters: Vec<(MeterId, Timestamp)>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes meters out of a plan. A run that was asked for counts them as failed.
    ///
    /// # Errors
    /// The store's own.
    fn dismiss(&self, plan: &PlanId, meters: Vec<MeterId>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets a meter that was stopped go on at `due`, in all plans.
    ///
    /// # Errors
    /// The store's own.
    fn revive(&self, meter: &MeterId, due: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// States of the meters of a plan in the order of their names, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn plan_states(
        &self,
        plan: &PlanId,
        after: Option<MeterId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<PlanState>, StoreError>> + Send;

    /// States of one meter in all plans, in the order of the plans' names.
    ///
    /// # Errors
    /// The store's own.
    fn meter_states(&self, meter: &MeterId) -> impl Future<Output = Result<Vec<PlanState>, StoreError>> + Send;

    /// States whose turn it is at `now`, the longest due first.
    ///
    /// # Errors
    /// The store's own.
    fn due_states(
        &self,
        plan: &PlanId,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<PlanState>, StoreError>> + Send;

    /// When the next turn of a plan after `after` is.
    ///
    /// # Errors
    /// The store's own.
    fn next_due(
        &self,
        plan: &PlanId,
        after: Timestamp,
    ) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Writes a state; where the meter is no longer in the plan, nothing. With `ended`, the run that was asked for has
    /// ended for this meter: it counts as succeeded where that is true, and the state has no request any more. A
    /// request that came since the state was read stays.
    ///
    /// # Errors
    /// The store's own.
    fn write_state(&self, state: PlanState, ended: Option<bool>)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Asks for a run of `plan` out of turn: its meters, or those named, are due at once, those that were stopped too.
    /// With `from`, what they hold is looked at again from there. A run that has not ended for a meter ends as failed
    /// for it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the plan; [`StoreError::RequestMismatch`], or the store's own.
    fn request_run(
        &self,
        run: RunRequest,
        request: Option<RequestKey>,
    ) -> impl Future<Output = Result<PlanRun, StoreError>> + Send;

    /// A run that was asked for.
    ///
    /// # Errors
    /// The store's own.
    fn plan_run(&self, id: Uuid) -> impl Future<Output = Result<Option<PlanRun>, StoreError>> + Send;
}

/// Where a meter of a plan stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanState {
    /// Which plan.
    pub plan: PlanId,
    /// Which meter.
    pub meter: MeterId,
    /// When it is its turn; `None` where it was stopped.
    pub due: Option<Timestamp>,
    /// Everything up to here is held, or known not to exist.
    pub watermark: Option<Timestamp>,
    /// Failed attempts since the last success.
    pub attempt: u32,
    /// Failed authentications among them.
    pub refusals: u32,
    /// What went wrong last: the name of the error, and a sentence.
    pub error: Option<(String, String)>,
    /// When it was attempted last.
    pub attempted: Option<Timestamp>,
    /// When it succeeded last.
    pub succeeded: Option<Timestamp>,
    /// When the meter answered last.
    pub contact: Option<Timestamp>,
    /// Opening of the run whose registers have been read.
    pub registers: Option<Timestamp>,
    /// A run that was asked for and has not ended for this meter.
    pub request: Option<Uuid>,
    /// Up to where that run collects.
    pub until: Option<Timestamp>,
}

/// A run to be asked for.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Its identifier.
    pub id: Uuid,
    /// Of which plan.
    pub plan: PlanId,
    /// Only these meters of the plan.
    pub meters: Option<Vec<MeterId>>,
    /// Look again from here.
    pub from: Option<Timestamp>,
    /// Collect up to here.
    pub until: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// A run that was asked for out of turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRun {
    /// Its identifier.
    pub id: Uuid,
    /// Of which plan.
    pub plan: PlanId,
    /// When it was asked for.
    pub created: Timestamp,
    /// How many meters.
    pub meters: u64,
    /// Meters of which everything is held, or known not to exist.
    pub succeeded: u64,
    /// Meters that were given up.
    pub failed: u64,
}

impl PlanRun {
    /// Whether it has ended for all of its meters.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.succeeded + self.failed >= self.meters
    }
}
