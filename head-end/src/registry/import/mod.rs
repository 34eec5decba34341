//! Meters by the thousand: shipment files and streams of records, each line for itself.
//!
//! What is wrong with a line is told with its number and does not keep the others out. A line that says what is
//! registered already changes nothing, so that an import that broke off is simply repeated.

mod lines;
mod shipment;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

pub use self::{
    lines::{LINE_MAX, Line, Lines},
    shipment::{Naming, ShipmentError, ShipmentReader},
};
use super::{Change, Registry, RegistryError};
use crate::{
    meter::{MeterId, MeterSettings, Secret, SettingsError, Tenant},
    store::{Store, StoreError, StoredMeter},
};

/// What holds for all lines of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Check everything, and write nothing.
    pub dry_run: bool,
    /// Whose meters they are.
    pub tenant: Option<Tenant>,
    /// Labels that each gets beside those of its line.
    pub labels: BTreeMap<String, String>,
    /// Name of the client of a shipment's line to associate as; empty takes the strongest that can be used.
    pub client: String,
    /// The link of a shipment's line to use, such as `hdlc-tcp`; empty takes the first that can be used.
    pub link: String,
    /// What a shipment's meter is named by.
    pub naming: Naming,
    /// The key under which a shipment's keys are wrapped (RFC 3394).
    pub transport_key: Option<Secret>,
    /// Whether meters that are registered with other settings are changed; their keys never are.
    pub update: bool,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The meter is new; in a dry run, it would be.
    Created,
    /// Its settings were changed, or would be.
    Updated,
    /// It is registered like that already.
    Unchanged,
}

/// Why a line was not imported.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is no record of a meter, or one that this head-end cannot speak to.
    #[error(transparent)]
    Shipment(#[from] ShipmentError),
    /// The settings that it gives break rules.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<SettingsError>),
    /// There is such a meter, with other settings.
    #[error("{meter} is registered with other settings: {}", .fields.join(", "))]
    Differs {
        /// Which meter.
        meter: MeterId,
        /// In what it differs.
        fields: Vec<&'static str>,
    },
    /// There is such a meter, with other keys, which no import replaces.
    #[error("{0} is registered with other keys, which an import does not replace")]
    OtherKeys(MeterId),
    /// It would give a tenant's meter away.
    #[error("{0} is registered for another tenant")]
    OtherTenant(MeterId),
    /// The registry or the store failed.
    #[error(transparent)]
    Registry(RegistryError),
}

/// How often a write is tried while the store has no room in its queue, and the wait in between.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

impl<S: Store> Registry<S> {
    /// Registers a meter of an import, unless it is registered already.
    ///
    /// # Errors
    /// [`ImportError`]; nothing was changed then.
    pub async fn import(
        &self,
        id: MeterId,
        mut change: Change,
        options: &ImportOptions,
    ) -> Result<Imported, ImportError> {
        if options.tenant.is_some() {
            change.settings.tenant.clone_from(&options.tenant);
        }
        let own = std::mem::take(&mut change.settings.labels);
        change.settings.labels = options.labels.clone();
        change.settings.labels.extend(own);
        let mut attempt = 0;
        loop {
            match self.import_once(&id, &change, options).await {
                // There is no room in the queue, or somebody else was quicker: it is compared again.
                Err(ImportError::Registry(RegistryError::Store(
                    StoreError::Overloaded { .. } | StoreError::Conflict { .. },
                ))) if attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    async fn import_once(
        &self,
        id: &MeterId,
        change: &Change,
        options: &ImportOptions,
    ) -> Result<Imported, ImportError> {
        if options.dry_run {
            return match self.store.meter(id).await.map_err(failed)? {
                Some(stored) => self.compare(id, stored, change, options).await,
                None => self.checked(id.clone(), change.clone()).map(|_| Imported::Created).map_err(refused),
            };
        }
        match self.create(id.clone(), change.clone(), None).await {
            Ok(_) => Ok(Imported::Created),
            Err(RegistryError::Store(StoreError::AlreadyExists(_))) => {
                let gone = || failed(StoreError::NotFound(id.resource_name()));
                let stored = self.store.meter(id).await.map_err(failed)?.ok_or_else(gone)?;
                self.compare(id, stored, change, options).await
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// What is to be done with a meter that is registered.
    async fn compare(
        &self,
        id: &MeterId,
        stored: StoredMeter,
        change: &Change,
        options: &ImportOptions,
    ) -> Result<Imported, ImportError> {
        let current = &stored.record.settings;
        if current.tenant != change.settings.tenant {
            return Err(ImportError::OtherTenant(id.clone()));
        }
        for (role, secret) in &change.secrets {
            let held = stored.secrets.get(role).map(|sealed| self.vault.open(id, *role, sealed)).transpose();
            let held = held.map_err(|error| ImportError::Registry(error.into()))?;
            if held.as_ref() != secret.as_ref() {
                return Err(ImportError::OtherKeys(id.clone()));
            }
        }
        let fields = differences(current, &change.settings);
        if fields.is_empty() {
            return Ok(Imported::Unchanged);
        }
        if !options.update {
            return Err(ImportError::Differs { meter: id.clone(), fields });
        }
        let settings = merged(current, &change.settings);
        if options.dry_run {
            let problems = settings.problems();
            return if problems.is_empty() { Ok(Imported::Updated) } else { Err(ImportError::Invalid(problems)) };
        }
        let updated = |_: &MeterSettings| Ok(Change { settings: settings.clone(), secrets: Default::default() });
        // What was compared is what is changed: it may have become another tenant's meanwhile.
        self.update(id, Some(stored.record.revision), None, updated).await.map_err(refused)?;
        Ok(Imported::Updated)
    }
}

fn failed(error: StoreError) -> ImportError {
    ImportError::Registry(error.into())
}

fn refused(error: RegistryError) -> ImportError {
    match error {
        RegistryError::Invalid(problems) => ImportError::Invalid(problems),
        other => ImportError::Registry(other),
    }
}

/// What is registered, with what an import says: the fields that are compared. Labels that people gave, and all that an
/// import does not know of, stay.
fn merged(current: &MeterSettings, import: &MeterSettings) -> MeterSettings {
    let mut labels = current.labels.clone();
    labels.extend(import.labels.clone());
    MeterSettings {
        labels,
        link: import.link.clone(),
        client_sap: import.client_sap,
        server_sap: import.server_sap,
        mechanism: import.mechanism,
        security: import.security,
        system_title: import.system_title,
        logical_device_name: import.logical_device_name.clone(),
        max_pdu: import.max_pdu,
        gateway: import.gateway.clone(),
        ..current.clone()
    }
}

/// The fields in which what is registered differs from what an import says; what only people and later operations
/// fill in is not compared.
fn differences(current: &MeterSettings, import: &MeterSettings) -> Vec<&'static str> {
    let labels = import.labels.iter().all(|(key, value)| current.labels.get(key) == Some(value));
    [
        ("labels", labels),
        ("link", current.link == import.link),
        ("client_sap", current.client_sap == import.client_sap),
        ("server_sap", current.server_sap == import.server_sap),
        ("authentication", current.mechanism == import.mechanism),
        ("security", current.security == import.security),
        ("system_title", current.system_title == import.system_title),
        ("logical_device_name", current.logical_device_name == import.logical_device_name),
        ("max_pdu_octets", current.max_pdu == import.max_pdu),
        ("gateway", current.gateway == import.gateway),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}
