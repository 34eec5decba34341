//! What is registered of a task's meter, for procedures.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use super::{procedure::invalid, task::Access};
use crate::{
    meter::MeterSettings,
    operation::{Layer, MeterAccess, ObjectModel, RequestError, RequestErrorKind},
    registry::{Change, KeyError, PendingKeys, Registry, RegistryError, StagedKeys},
    store::{Store, TaskRef, TaskState},
    vault::SecretRole,
};

type Answer<'a, T> = BoxFuture<'a, Result<T, RequestError>>;
/// What becomes of settings.
pub type Amend = Box<dyn Fn(&mut MeterSettings) + Send + Sync>;

/// What is registered of a task's meter. What is changed is durable before it returns.
pub trait Registered: Send + Sync {
    /// Its settings.
    fn settings(&self) -> Answer<'_, MeterSettings>;
    /// Changes its settings.
    fn amend(&self, amend: Amend) -> Answer<'_, MeterSettings>;
    /// Its objects, as discovered last.
    fn model(&self) -> Answer<'_, Option<ObjectModel>>;
    /// New keys for it; those that this job has made before, if it has.
    fn stage_keys<'a>(&'a self, roles: &'a BTreeSet<SecretRole>) -> Answer<'a, StagedKeys>;
    /// Its keys between old and new, whatever they were made for.
    fn pending_keys(&self) -> Answer<'_, Option<PendingKeys>>;
    /// The meter said that it has taken the keys of this job.
    fn confirm_keys(&self) -> Answer<'_, ()>;
    /// The meter has not got the keys of this rotation.
    fn drop_keys<'a>(&'a self, rotation: &'a str) -> Answer<'a, ()>;
    /// Destroys its secrets, those between old and new among them. It has to be out of service.
    fn destroy_keys(&self) -> Answer<'_, ()>;
    /// Lets the next request open another association, with what is registered then.
    fn renew(&self);
    /// Whether these keys were made by this job.
    fn is_own(&self, keys: &PendingKeys) -> bool;
    /// Refuses for now what another job of the same kind is at work on. A task that has begun does not ask.
    fn alone(&self) -> Answer<'_, ()>;
    /// Whether the job that made these keys may still send them to the meter.
    fn is_rotating<'a>(&'a self, keys: &'a PendingKeys) -> Answer<'a, bool>;
}

impl<S: Store, A: MeterAccess> Access<'_, S, A> {
    fn registry(&self) -> &Registry<S> {
        self.jobs.shared.head_end.registry()
    }

    fn rotation(&self) -> String {
        self.task.job.to_string()
    }

    /// Does what changes the store, between two moments at which this process may die.
    async fn durably<T, E: Into<RequestError>>(
        &self,
        change: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, RequestError> {
        self.jobs.step().await;
        let done = change.await.map_err(Into::into)?;
        self.jobs.step().await;
        Ok(done)
    }
}

impl<S: Store, A: MeterAccess> Registered for Access<'_, S, A> {
    fn settings(&self) -> Answer<'_, MeterSettings> {
        Box::pin(async { Ok(self.registry().get(&self.task.meter).await?.settings) })
    }

    fn amend(&self, amend: Amend) -> Answer<'_, MeterSettings> {
        Box::pin(async move {
            let change = |current: &MeterSettings| {
                let mut settings = current.clone();
                amend(&mut settings);
                Ok(Change { settings, secrets: Default::default() })
            };
            let record = self.durably(self.registry().update(&self.task.meter, None, None, change)).await?;
            self.renew();
            Ok(record.settings)
        })
    }

    fn model(&self) -> Answer<'_, Option<ObjectModel>> {
        Box::pin(async { Ok(self.registry().store().object_model(&self.task.meter).await?) })
    }

    fn stage_keys<'a>(&'a self, roles: &'a BTreeSet<SecretRole>) -> Answer<'a, StagedKeys> {
        Box::pin(async {
            let staged = self.durably(self.registry().stage_keys(&self.task.meter, &self.rotation(), roles)).await?;
            // Whoever speaks to the meter from now on knows that there are two generations.
            self.renew();
            Ok(staged)
        })
    }

    fn pending_keys(&self) -> Answer<'_, Option<PendingKeys>> {
        Box::pin(async { Ok(self.registry().pending_keys(&self.task.meter).await?) })
    }

    fn confirm_keys(&self) -> Answer<'_, ()> {
        Box::pin(async { self.durably(self.registry().confirm_keys(&self.task.meter, &self.rotation())).await })
    }

    fn drop_keys<'a>(&'a self, rotation: &'a str) -> Answer<'a, ()> {
        Box::pin(async {
            self.durably(self.registry().drop_keys(&self.task.meter, rotation)).await?;
            self.renew();
            Ok(())
        })
    }

    fn destroy_keys(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.durably(self.registry().destroy_keys(&self.task.meter)).await?;
            self.renew();
            Ok(())
        })
    }

    fn renew(&self) {
        self.jobs.shared.head_end.access().invalidate(&self.task.meter);
    }

    fn is_own(&self, keys: &PendingKeys) -> bool {
        keys.rotation == self.rotation()
    }

    fn alone(&self) -> Answer<'_, ()> {
        Box::pin(async {
            match self.jobs.store().rival(self.task.clone()).await? {
                Some(other) => {
                    let message = format!("another job is at work on the meter: {}", other.resource_name());
                    Err(RequestError::new(RequestErrorKind::Busy, Layer::HeadEnd, message))
                }
                None => Ok(()),
            }
        })
    }

    fn is_rotating<'a>(&'a self, keys: &'a PendingKeys) -> Answer<'a, bool> {
        Box::pin(async {
            let Ok(job) = keys.rotation.parse() else { return Ok(false) };
            let task = self.jobs.store().task(TaskRef { job, meter: self.task.meter.clone() }).await?;
            Ok(task.is_some_and(|task| task.state != TaskState::Ended))
        })
    }
}

impl From<KeyError> for RequestError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Registry(error) => RegistryError::into(error),
            other => invalid(other.to_string()),
        }
    }
}
