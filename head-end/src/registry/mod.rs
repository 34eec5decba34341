//! The meters that this head-end knows: checked settings in the store, secrets in the vault.

mod directory;
mod error;
mod identity;
mod import;
mod keys;
pub(crate) mod push;
pub(crate) mod telegram;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use dlms::{
    id::SystemTitle,
    security::{Suite, certificate::CertificateError},
};
use jiff::Timestamp;
use tokio::sync::broadcast;

use self::identity::SigningKeys;
pub use self::{
    error::RegistryError,
    identity::{AnchorError, Anchors, SigningKey},
    import::{ImportError, ImportOptions, Imported, LINE_MAX, Line, Lines, Naming, ShipmentError, ShipmentReader},
    keys::{KeyError, KeyStatus, PendingKeys, StagedKeys},
};
use crate::{
    meter::{LifecycleStatus, MeterId, MeterRecord, MeterSettings, Secret, SettingsError, Tenant, Timeouts},
    store::{MeterFilter, NewMeter, RequestKey, SecretChange, Store, StoreError, Written},
    vault::{Sealed, SecretRole, Vault},
};

/// Secrets to set or, with `None`, to remove; those that are not named stay.
pub type Secrets = BTreeMap<SecretRole, Option<Secret>>;

/// What an update makes of the present settings.
#[derive(Clone, Debug)]
pub struct Change {
    /// The settings as they are to be.
    pub settings: MeterSettings,
    /// Secrets to change.
    pub secrets: Secrets,
}

/// Changes that wait for those who want to know of them.
const CHANGES: usize = 4_096;

/// Attempts of an update without a given revision, while others change the same meter.
const ATTEMPTS: usize = 5;

/// The registry over a store and a vault.
#[derive(Debug)]
pub struct Registry<S> {
    store: Arc<S>,
    vault: Vault,
    timeouts: Timeouts,
    title: SystemTitle,
    signing: SigningKeys,
    anchors: Anchors,
    changes: broadcast::Sender<MeterId>,
}

impl<S: Store> Registry<S> {
    /// Opens the registry. `title` is our own system title where the configuration states one; else
    /// it is drawn at random at the first start and kept, so that no two head-ends share one.
    ///
    /// # Errors
    /// [`RegistryError::MasterKey`] when the store was made with another master key; the store's own.
    pub async fn open(
        store: Arc<S>,
        vault: Vault,
        timeouts: Timeouts,
        title: Option<SystemTitle>,
    ) -> Result<Self, RegistryError> {
        let check = vault.seal_check()?.as_bytes().to_vec();
        let check = Sealed::from_bytes(store.instance_value("master-key-check", check).await?);
        vault.verify_check(&check).map_err(|_| RegistryError::MasterKey)?;
        let title = match title {
            Some(title) => title,
            None => kept_title(&*store).await?,
        };
        let signing = SigningKeys::open(&*store, &vault).await?;
        let (anchors, changes) = (Anchors::default(), broadcast::channel(CHANGES).0);
        Ok(Self { store, vault, timeouts, title, signing, anchors, changes })
    }

    /// The same, with the authorities whose certificates of meters are believed.
    #[must_use]
    pub fn with_anchors(self, anchors: Anchors) -> Self {
        Self { anchors, ..self }
    }

    /// Our public key of digital signature in `suite`, and the request for its certificate, for `title` or our own.
    ///
    /// # Errors
    /// [`CertificateError::Algorithm`] for suite 0, which has none.
    pub fn signing_key(&self, suite: Suite, title: Option<SystemTitle>) -> Result<SigningKey, CertificateError> {
        let key = self.signing.of(suite).ok_or(CertificateError::Algorithm)?;
        identity::signing_key(suite, key, title.unwrap_or(self.title))
    }

    /// Our own system title, for meters that do not state another.
    #[must_use]
    pub const fn title(&self) -> SystemTitle {
        self.title
    }

    /// Names of meters that are registered, changed or removed from now on. Who does not keep up with them is told so.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<MeterId> {
        self.changes.subscribe()
    }

    /// Tells whoever wants to know. Nobody may.
    fn changed(&self, meter: &MeterId) {
        let _ = self.changes.send(meter.clone());
    }

    /// The store below.
    #[must_use]
    pub const fn store(&self) -> &Arc<S> {
        &self.store
    }

    /// The key of a request in the store: two callers may choose the same id. `contents` are recognised by a keyed
    /// digest.
    #[must_use]
    pub fn request_key(&self, caller: &str, method: &'static str, id: &str, contents: &[u8]) -> RequestKey {
        let digest = self.vault.fingerprint(&[method.as_bytes(), contents]);
        // With the length in front no part of a name can be taken for one of an id.
        RequestKey { method, id: format!("{}:{caller}/{id}", caller.len()), digest }
    }

    /// Registers a meter.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] with every rule that is broken; the store's own.
    pub async fn create(
        &self,
        id: MeterId,
        change: Change,
        request: Option<RequestKey>,
    ) -> Result<MeterRecord, RegistryError> {
        let new = self.checked(id, change)?;
        let record = record_of(self.store.create_meter(new, request).await?);
        self.changed(&record.id);
        Ok(record)
    }

    /// A meter, without its secrets.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] inside [`RegistryError::Store`]; the store's own.
    pub async fn get(&self, id: &MeterId) -> Result<MeterRecord, RegistryError> {
        let stored = self.store.meter(id).await?.ok_or_else(|| StoreError::NotFound(id.resource_name()))?;
        Ok(stored.record)
    }

    /// Whose meter it is, if there is such a meter.
    ///
    /// # Errors
    /// The store's own.
    pub async fn owner(&self, id: &MeterId) -> Result<Option<Option<Tenant>>, RegistryError> {
        Ok(self.store.meter(id).await?.map(|stored| stored.record.settings.tenant))
    }

    /// Meters in the order of their names, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    pub async fn list(
        &self,
        after: Option<MeterId>,
        filter: MeterFilter,
        limit: usize,
    ) -> Result<Vec<MeterRecord>, RegistryError> {
        Ok(self.store.list_meters(after, filter, limit).await?)
    }

    /// Changes a meter: `change` makes the new settings from the present ones. With `revision`, only
    /// if that is the present one; without, it is tried again when somebody else was quicker.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`]; [`StoreError::Conflict`] or [`StoreError::NotFound`] inside
    /// [`RegistryError::Store`]; the store's own.
    pub async fn update(
        &self,
        id: &MeterId,
        revision: Option<u64>,
        request: Option<RequestKey>,
        change: impl Fn(&MeterSettings) -> Result<Change, Vec<SettingsError>> + Send,
    ) -> Result<MeterRecord, RegistryError> {
        self.change(id, revision, request, move |current| change(current).map_err(RegistryError::Invalid)).await
    }

    /// The same with any reason not to change it.
    async fn change(
        &self,
        id: &MeterId,
        revision: Option<u64>,
        request: Option<RequestKey>,
        change: impl Fn(&MeterSettings) -> Result<Change, RegistryError> + Send,
    ) -> Result<MeterRecord, RegistryError> {
        let mut attempt = 1;
        loop {
            let current = self.get(id).await?;
            // The store compares again; a mismatch here is still let through where the request is a
            // repetition, which only the store can tell.
            let base = revision.unwrap_or(current.revision);
            let change = change(&current.settings)?;
            let short = keys_of_another_length(&current.settings, &change);
            if !short.is_empty() {
                return Err(RegistryError::Invalid(short));
            }
            let record =
                MeterRecord { revision: base.saturating_add(1), updated: now(), settings: change.settings, ..current };
            let new = self.prepare(record, &change.secrets)?;
            match self.store.update_meter(new, request.clone()).await {
                Err(StoreError::Conflict { .. }) if revision.is_none() && attempt < ATTEMPTS => attempt += 1,
                written => {
                    let record = record_of(written?);
                    self.changed(id);
                    return Ok(record);
                }
            }
        }
    }

    /// Lets the life of a meter go on as a person wants it. One that comes back from decommissioned has no place yet.
    ///
    /// # Errors
    /// [`RegistryError::Lifecycle`]; as [`update`](Self::update).
    pub async fn set_lifecycle(
        &self,
        id: &MeterId,
        to: LifecycleStatus,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<MeterRecord, RegistryError> {
        let now = now();
        let change = |current: &MeterSettings| {
            let mut settings = current.clone();
            settings.lifecycle = current.lifecycle.set(to, now)?;
            if current.lifecycle.status == LifecycleStatus::Decommissioned && to != current.lifecycle.status {
                settings.service_point.clear();
            }
            Ok(Change { settings, secrets: Secrets::default() })
        };
        self.change(id, revision, request, change).await
    }

    /// Removes a meter with its secrets.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] or [`StoreError::NotFound`] inside [`RegistryError::Store`]; the store's own.
    pub async fn delete(
        &self,
        id: &MeterId,
        revision: Option<u64>,
        request: Option<RequestKey>,
    ) -> Result<(), RegistryError> {
        self.store.delete_meter(id, revision, request).await?;
        self.changed(id);
        Ok(())
    }

    /// A new meter, checked and sealed.
    fn checked(&self, id: MeterId, change: Change) -> Result<NewMeter, RegistryError> {
        let now = now();
        let record = MeterRecord {
            id,
            revision: 1,
            created: now,
            updated: now,
            settings: change.settings,
            encryption_key_set: false,
            authentication_key_set: false,
            password_set: false,
            customer_port_key_set: false,
        };
        self.prepare(record, &change.secrets)
    }

    /// What is wrong with the certificate of a meter, if it has one.
    fn certificate_problem(&self, settings: &MeterSettings) -> Option<SettingsError> {
        if settings.certificate.is_empty() {
            return None;
        }
        let problem = match self.anchors.verify(&settings.certificate, settings.system_title) {
            Err(_) if self.anchors.is_empty() => {
                "cannot be checked: no trust anchors are configured (--meter-ca)".to_owned()
            }
            Err(error) => error.to_string(),
            Ok(verified) => match settings.security {
                Some(security) if security.suite != verified.suite.id() => {
                    format!("is one of suite {}, not of suite {}", verified.suite.id(), security.suite)
                }
                _ => return None,
            },
        };
        Some(SettingsError { field: "authentication.certificate".into(), problem })
    }

    /// Checks a record with its secrets as they will be, and seals what is new.
    fn prepare(&self, mut record: MeterRecord, secrets: &Secrets) -> Result<NewMeter, RegistryError> {
        let mut changes: Vec<SecretChange> = Vec::new();
        for (&role, secret) in secrets {
            match role {
                SecretRole::EncryptionKey => record.encryption_key_set = secret.is_some(),
                SecretRole::AuthenticationKey => record.authentication_key_set = secret.is_some(),
                SecretRole::Password => record.password_set = secret.is_some(),
                // Not needed to talk to the meter.
                SecretRole::MasterKey | SecretRole::BroadcastKey | SecretRole::CustomerPortAuthenticationKey => {}
                SecretRole::CustomerPortKey => record.customer_port_key_set = secret.is_some(),
            }
            let sealed = secret.as_ref().map(|secret| self.vault.seal(&record.id, role, secret)).transpose()?;
            changes.push((role, sealed));
        }
        let mut problems = record.settings.problems();
        problems.extend(secret_problems(&record, secrets));
        problems.extend(self.certificate_problem(&record.settings));
        if problems.is_empty() {
            Ok(NewMeter { record, secrets: changes })
        } else {
            Err(RegistryError::Invalid(problems))
        }
    }
}

/// Keys that are held and have not the length that a new suite demands.
fn keys_of_another_length(current: &MeterSettings, change: &Change) -> Vec<SettingsError> {
    let length = |settings: &MeterSettings| settings.security.map(|security| security.key_length());
    let wanted = length(&change.settings);
    if length(current).is_none() || wanted.is_none() || length(current) == wanted {
        return Vec::new();
    }
    let keys = [
        (SecretRole::EncryptionKey, "security.encryption_key"),
        (SecretRole::AuthenticationKey, "security.authentication_key"),
    ];
    let missing = keys.into_iter().filter(|(role, _)| !change.secrets.contains_key(role));
    let problem = |(_, field): (SecretRole, &'static str)| SettingsError {
        field: field.into(),
        problem: format!("{} octets with the new suite", wanted.unwrap_or_default()),
    };
    missing.map(problem).collect()
}

fn secret_problems(record: &MeterRecord, secrets: &Secrets) -> Vec<SettingsError> {
    let mut problems = Vec::new();
    let mut add = |field: &'static str, problem: &str| {
        problems.push(SettingsError { field: Cow::Borrowed(field), problem: problem.to_owned() })
    };
    let octets = |role| secrets.get(&role).and_then(Option::as_ref).map(Secret::len);
    let length = record.settings.security.map_or(Suite::Suite0.key_length(), |security| security.key_length());
    for (role, field) in [
        (SecretRole::EncryptionKey, "security.encryption_key"),
        (SecretRole::AuthenticationKey, "security.authentication_key"),
        (SecretRole::MasterKey, "security.master_key"),
        (SecretRole::BroadcastKey, "security.broadcast_key"),
    ] {
        if octets(role).is_some_and(|octets| octets != length) {
            add(field, &format!("{length} octets with this suite"));
        }
    }
    let of_port = [
        (SecretRole::CustomerPortKey, "customer_port.encryption_key"),
        (SecretRole::CustomerPortAuthenticationKey, "customer_port.authentication_key"),
    ];
    for (role, field) in of_port {
        if octets(role).is_some_and(|octets| octets != Suite::Suite0.key_length()) {
            add(field, "16 octets");
        }
    }
    if octets(SecretRole::CustomerPortAuthenticationKey).is_some() && !record.customer_port_key_set {
        add("customer_port.authentication_key", "is of no use without an encryption key");
    }
    if octets(SecretRole::Password).is_some_and(|octets| !(1..=64).contains(&octets)) {
        add("authentication.password", "from 1 to 64 octets");
    }
    // Who is out of service is not spoken to: keys may have been destroyed.
    if record.settings.lifecycle.status == LifecycleStatus::Decommissioned {
        return problems;
    }
    if record.settings.security.is_some() {
        if !record.encryption_key_set {
            add("security.encryption_key", "is needed for ciphering");
        }
        if !record.authentication_key_set {
            add("security.authentication_key", "is needed for ciphering");
        }
    }
    if record.settings.mechanism.has_secret() && !record.password_set {
        add("authentication.password", "is needed for this mechanism");
    }
    problems
}

fn record_of(written: Written) -> MeterRecord {
    match written {
        Written::Done(record) | Written::Repeated(record) => record,
    }
}

/// Now, as precise as the store keeps it: what is returned at once must equal what is read later.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Our system title, drawn at the first start. Two head-ends that share keys must not share a title:
/// the same title and counter under one key would repeat an initialisation vector.
async fn kept_title<S: Store>(store: &S) -> Result<SystemTitle, RegistryError> {
    let mut title = *b"DHE\0\0\0\0\0";
    if let Some(serial) = title.get_mut(3..) {
        getrandom::fill(serial).map_err(|_| RegistryError::Vault(crate::vault::VaultError::Random))?;
    }
    let kept = store.instance_value("system-title", title.to_vec()).await?;
    SystemTitle::from_slice(&kept).ok_or(RegistryError::Store(StoreError::Corrupt {
        file: "control.sqlite3".to_owned(),
        reason: "the system title of this installation does not have eight octets".to_owned(),
    }))
}

#[cfg(test)]
mod tests;
