//! Keys of meters between old and new: drawn, sealed and wrapped here, and never shown.

use std::collections::{BTreeMap, BTreeSet};

use dlms::security::{KeyEncryptionKey, RustCrypto, Suite, wrap_key};
use jiff::Timestamp;

use super::{Change, Registry, RegistryError, Secrets, now};
use crate::{
    meter::{Mechanism, MeterId, MeterSettings, Secret},
    store::{NewKeys, Store, StoreError, StoredMeter},
    vault::{SecretRole, VaultError},
};

/// Octets of a new password: printable ones, as some meters take no others.
const PASSWORD_OCTETS: usize = 16;

/// New keys of a meter, as they travel to it.
#[derive(Debug)]
pub struct StagedKeys {
    /// Identifier of each key in `key_transfer`, and the key, wrapped under the master key in use.
    pub wrapped: Vec<(u8, Vec<u8>)>,
    /// The new password, where that is what is changed.
    pub password: Option<Secret>,
    /// Whether the meter said that it has taken them.
    pub confirmed: bool,
}

/// Why no keys are made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The meter is not one whose keys can be changed like that.
    #[error("{0}")]
    Unfit(&'static str),
    /// It is not known which of its keys the meter has.
    #[error("a rotation of the meter's keys is pending: recover them first")]
    Pending,
    /// The registry, the store or the vault failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Which keys of a meter are held, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// Those in use; the time where it is known.
    pub active: BTreeMap<SecretRole, Option<Timestamp>>,
    /// Those that the meter may have been given.
    pub new: Option<PendingKeys>,
}

/// Keys that the meter may have been given, and that are not proved to be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingKeys {
    /// What they were made for.
    pub rotation: String,
    /// Which ones.
    pub roles: BTreeSet<SecretRole>,
    /// When they were made.
    pub made: Timestamp,
    /// Whether the meter said that it has taken them.
    pub confirmed: bool,
}

/// Identifier of a key in the methods of a Security setup (Blue Book, class 64).
const fn key_id(role: SecretRole) -> Option<u8> {
    match role {
        SecretRole::EncryptionKey => Some(0),
        SecretRole::BroadcastKey => Some(1),
        SecretRole::AuthenticationKey => Some(2),
        SecretRole::MasterKey => Some(3),
        SecretRole::Password | SecretRole::CustomerPortKey | SecretRole::CustomerPortAuthenticationKey => None,
    }
}

impl<S: Store> Registry<S> {
    /// Makes new keys for a meter and keeps them beside those in use; those that were made for the same rotation
    /// before are given again, as the meter may have them.
    ///
    /// # Errors
    /// [`KeyError`]; the meter is not to be told anything then.
    pub async fn stage_keys(
        &self,
        id: &MeterId,
        rotation: &str,
        roles: &BTreeSet<SecretRole>,
    ) -> Result<StagedKeys, KeyError> {
        let stored = self.store.meter(id).await.map_err(RegistryError::from)?;
        let stored = stored.ok_or_else(|| RegistryError::from(StoreError::NotFound(id.resource_name())))?;
        let suite = fit(&stored.record.settings, roles)?;
        let mut sealed = BTreeMap::new();
        for role in roles {
            let secret = draw(*role, suite)?;
            sealed.insert(*role, self.vault.seal(id, *role, &secret).map_err(RegistryError::from)?);
        }
        let new = NewKeys { rotation: rotation.to_owned(), sealed, made: now(), confirmed: false };
        let kept = match self.store.stage_keys(id, new).await {
            Err(StoreError::AlreadyExists(_)) => return Err(KeyError::Pending),
            kept => kept.map_err(RegistryError::from)?,
        };
        self.wrap(id, &stored, suite, &kept)
    }

    /// The new keys wrapped under the master key in use.
    fn wrap(&self, id: &MeterId, stored: &StoredMeter, suite: Suite, kept: &NewKeys) -> Result<StagedKeys, KeyError> {
        let mut staged = StagedKeys { wrapped: Vec::new(), password: None, confirmed: kept.confirmed };
        for (role, sealed) in &kept.sealed {
            let secret = self.vault.open(id, *role, sealed).map_err(RegistryError::from)?;
            let Some(key_id) = key_id(*role) else {
                staged.password = Some(secret);
                continue;
            };
            let master = stored.secrets.get(&SecretRole::MasterKey);
            let master = master.ok_or(KeyError::Unfit("the meter's master key is not held"))?;
            let master = self.vault.open(id, SecretRole::MasterKey, master).map_err(RegistryError::from)?;
            let unfit = |_| KeyError::Unfit("a key has not the length that the meter's security suite demands");
            let master = KeyEncryptionKey::from_slice(suite, master.expose()).map_err(unfit)?;
            let wrapped = wrap_key::<RustCrypto>(suite, &master, secret.expose()).map_err(unfit)?;
            staged.wrapped.push((key_id, wrapped.as_bytes().to_vec()));
        }
        Ok(staged)
    }

    /// The new keys of a meter, if it has any; never their octets.
    ///
    /// # Errors
    /// The store's own.
    pub async fn pending_keys(&self, id: &MeterId) -> Result<Option<PendingKeys>, RegistryError> {
        Ok(self.store.new_keys(id).await?.map(|keys| PendingKeys {
            rotation: keys.rotation,
            roles: keys.sealed.into_keys().collect(),
            made: keys.made,
            confirmed: keys.confirmed,
        }))
    }

    /// Which keys of a meter are held, and since when.
    ///
    /// # Errors
    /// The store's own.
    pub async fn key_status(&self, id: &MeterId) -> Result<KeyStatus, RegistryError> {
        Ok(KeyStatus { active: self.store.key_times(id).await?, new: self.pending_keys(id).await? })
    }

    /// Notes that the meter said that it has taken the keys of this rotation: they are tried first from now on.
    ///
    /// # Errors
    /// The store's own.
    pub async fn confirm_keys(&self, id: &MeterId, rotation: &str) -> Result<(), RegistryError> {
        Ok(self.store.confirm_keys(id, rotation).await?)
    }

    /// An association has proved that the meter has the keys of this rotation: they take the place of those before.
    ///
    /// # Errors
    /// The store's own.
    pub async fn promote_keys(&self, id: &MeterId, rotation: &str) -> Result<bool, RegistryError> {
        let promoted = self.store.promote_keys(id, rotation, now()).await?;
        if promoted {
            tracing::info!(meter = %id, "new keys are proved and in use");
            self.changed(id);
        }
        Ok(promoted)
    }

    /// Destroys the secrets of a meter that is out of service, those between old and new among them.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a meter in service that needs them; the store's own.
    pub async fn destroy_keys(&self, id: &MeterId) -> Result<(), RegistryError> {
        if let Some(pending) = self.store.new_keys(id).await? {
            self.store.drop_keys(id, &pending.rotation).await?;
        }
        let secrets: Secrets = SecretRole::ALL.into_iter().map(|role| (role, None)).collect();
        let change = |current: &MeterSettings| Ok(Change { settings: current.clone(), secrets: secrets.clone() });
        self.update(id, None, None, change).await.map(drop)
    }

    /// Forgets the keys of this rotation: the meter has not got them.
    ///
    /// # Errors
    /// The store's own.
    pub async fn drop_keys(&self, id: &MeterId, rotation: &str) -> Result<bool, RegistryError> {
        Ok(self.store.drop_keys(id, rotation).await?)
    }
}

/// Whether keys of these roles can be given to a meter and proved afterwards; its suite.
fn fit(settings: &MeterSettings, roles: &BTreeSet<SecretRole>) -> Result<Suite, KeyError> {
    if roles.contains(&SecretRole::Password) {
        if roles.len() > 1 {
            return Err(KeyError::Unfit("a password is changed by itself, not together with keys"));
        }
        if settings.mechanism != Mechanism::Lls {
            return Err(KeyError::Unfit("the meter is not registered with a password"));
        }
        return Ok(Suite::Suite0);
    }
    let security = settings.security.ok_or(KeyError::Unfit("the meter is registered without ciphering"))?;
    // A meter refuses keys in requests with less, and without a tag an association proves nothing.
    if !security.policy.authenticated || !security.policy.encrypted {
        return Err(KeyError::Unfit("keys travel in requests that are authenticated and encrypted only"));
    }
    if !roles.contains(&SecretRole::EncryptionKey) && !roles.contains(&SecretRole::AuthenticationKey) {
        return Err(KeyError::Unfit(
            "without an encryption or authentication key no association could prove the others",
        ));
    }
    Suite::from_id(security.suite).map_err(|_| KeyError::Unfit("the security suite is not known"))
}

fn draw(role: SecretRole, suite: Suite) -> Result<Secret, KeyError> {
    let mut octets = zeroize::Zeroizing::new(match role {
        SecretRole::Password => vec![0; PASSWORD_OCTETS],
        _ => vec![0; suite.key_length()],
    });
    getrandom::fill(&mut octets).map_err(|_| RegistryError::Vault(VaultError::Random))?;
    if role == SecretRole::Password {
        // 64 characters: six random bits each.
        const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for octet in octets.iter_mut() {
            *octet = CHARACTERS.get(usize::from(*octet & 0x3F)).copied().unwrap_or(b'-');
        }
    }
    Ok(Secret::new(std::mem::take(&mut *octets)))
}
