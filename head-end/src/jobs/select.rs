//! The meters of a target, a page at a time.

use std::{collections::VecDeque, sync::Arc};

use super::{
    JobError, Jobs, Target,
    submit::{BATCH, checked},
};
use crate::{
    group::{GroupRecord, Members},
    meter::{LifecycleStatus, MeterId, MeterRecord, Tenant},
    operation::MeterAccess,
    registry::Registry,
    store::{MeterFilter, Store},
};

/// The meters of a target, in the order of their names.
#[derive(Debug)]
pub struct Selection<S> {
    registry: Arc<Registry<S>>,
    left: Left,
}

#[derive(Debug)]
enum Left {
    /// As they were named, registered or not.
    Named(VecDeque<MeterId>),
    /// Members of a group by name: those that are there, in service, and the tenant's.
    Members(VecDeque<MeterId>, Option<Tenant>),
    /// Those of a filter that are in service.
    Labelled { filter: MeterFilter, after: Option<MeterId> },
}

impl<S: Store, A: MeterAccess> Jobs<S, A> {
    /// The meters of `target`; of a group and of labels only those of `tenant`, where there is one.
    ///
    /// # Errors
    /// [`JobError::Invalid`], [`JobError::NoGroup`], or the store's own.
    pub async fn select(&self, target: Target, tenant: Option<Tenant>) -> Result<Selection<S>, JobError> {
        self.select_behind(checked(target)?, tenant, None).await
    }

    /// The same behind `after`, of a target that was checked before.
    pub(super) async fn select_behind(
        &self,
        target: Target,
        tenant: Option<Tenant>,
        after: Option<MeterId>,
    ) -> Result<Selection<S>, JobError> {
        let named = |names: &mut dyn Iterator<Item = &String>| {
            let ids = names.filter_map(|name| MeterId::try_new(name).ok());
            ids.filter(|meter| after.as_ref().is_none_or(|after| meter.as_str() > after.as_str())).collect()
        };
        let left = match target {
            Target::Meters(meters) => Left::Named(named(&mut meters.iter())),
            Target::Labels(labels) => Left::Labelled { filter: MeterFilter { labels, tenant }, after },
            Target::Group(group) => {
                let found = self.store().group(group.as_str()).await?;
                let GroupRecord { members, tenant: owner, .. } = found.ok_or(JobError::NoGroup(group))?;
                let tenant = tenant.or(owner);
                match members {
                    Members::Meters(meters) => Left::Members(named(&mut meters.iter()), tenant),
                    Members::Labels(labels) => Left::Labelled { filter: MeterFilter { labels, tenant }, after },
                }
            }
        };
        Ok(Selection { registry: Arc::clone(self.shared.head_end.registry()), left })
    }
}

impl<S: Store> Selection<S> {
    /// The next of them; none at the end.
    ///
    /// # Errors
    /// The store's own.
    pub async fn page(&mut self) -> Result<Vec<MeterId>, JobError> {
        match &mut self.left {
            Left::Named(meters) => Ok(take(meters)),
            Left::Members(meters, tenant) => loop {
                let page = take(meters);
                if page.is_empty() {
                    return Ok(page);
                }
                let mut owned = Vec::with_capacity(page.len());
                for meter in page {
                    let Some(stored) = self.registry.store().meter(&meter).await? else { continue };
                    let of_tenant = tenant.is_none() || stored.record.settings.tenant == *tenant;
                    if of_tenant && is_in_service(&stored.record) {
                        owned.push(meter);
                    }
                }
                if !owned.is_empty() {
                    return Ok(owned);
                }
            },
            Left::Labelled { filter, after } => loop {
                let page = self.registry.list(after.clone(), filter.clone(), BATCH).await?;
                let Some(last) = page.last() else { return Ok(Vec::new()) };
                *after = Some(last.id.clone());
                let meters: Vec<_> = page.into_iter().filter(is_in_service).map(|record| record.id).collect();
                if !meters.is_empty() {
                    return Ok(meters);
                }
            },
        }
    }
}

fn take(meters: &mut VecDeque<MeterId>) -> Vec<MeterId> {
    meters.drain(..BATCH.min(meters.len())).collect()
}

fn is_in_service(record: &MeterRecord) -> bool {
    record.settings.lifecycle.status != LifecycleStatus::Decommissioned
}
