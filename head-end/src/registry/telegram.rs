//! What a receiver of telegrams must know of their senders.

use dlms::{
    id::SystemTitle,
    security::{KeySet, Suite},
};

use super::{Registry, RegistryError};
use crate::{
    meter::{EquipmentId, LifecycleStatus, MeterRecord},
    store::{Store, StoredMeter},
    vault::SecretRole,
};

/// A meter that sends ciphered telegrams, and what they are opened with.
pub(crate) struct TelegramSender {
    pub(crate) record: MeterRecord,
    pub(crate) keys: KeySet,
}

fn in_service(stored: &StoredMeter) -> bool {
    stored.record.settings.lifecycle.status != LifecycleStatus::Decommissioned
}

impl<S: Store> Registry<S> {
    /// The meters whose ciphered telegrams have this system title. One whose keys cannot be used is passed over.
    pub(crate) async fn telegram_senders(&self, title: SystemTitle) -> Result<Vec<TelegramSender>, RegistryError> {
        let found = self.store.meters_by_title(title).await?;
        Ok(found.into_iter().filter(in_service).filter_map(|stored| self.telegram_sender(stored)).collect())
    }

    fn telegram_sender(&self, stored: StoredMeter) -> Option<TelegramSender> {
        let StoredMeter { record, secrets } = stored;
        let open = |role| {
            let sealed = secrets.get(&role)?;
            let opened = self.vault.open(&record.id, role, sealed);
            opened.inspect_err(|error| tracing::warn!(meter = %record.id, %error, "a key of a customer port")).ok()
        };
        let encryption = open(SecretRole::CustomerPortKey)?;
        let keys = match secrets.contains_key(&SecretRole::CustomerPortAuthenticationKey) {
            // A key that does not open must not turn into no tag being asked for.
            true => {
                let authentication = open(SecretRole::CustomerPortAuthenticationKey)?;
                KeySet::new(Suite::Suite0, encryption.expose(), authentication.expose())
            }
            false => KeySet::encryption_only(Suite::Suite0, encryption.expose()),
        };
        let keys = keys.inspect_err(|error| tracing::warn!(meter = %record.id, %error, "a key of a customer port"));
        Some(TelegramSender { keys: keys.ok()?, record })
    }

    /// The meters whose customer port, or whose place behind another one, prints this identifier.
    pub(crate) async fn telegram_meters(&self, equipment: EquipmentId) -> Result<Vec<MeterRecord>, RegistryError> {
        let found = self.store.meters_by_equipment(equipment).await?;
        Ok(found.into_iter().filter(in_service).map(|stored| stored.record).collect())
    }
}
