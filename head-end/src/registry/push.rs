//! What a receiver of pushes must know of their senders.

use std::net::IpAddr;

use dlms::{
    id::SystemTitle,
    security::{Context, KeySet, Protection, RustCrypto, Suite},
};

use super::{Registry, RegistryError};
use crate::{
    meter::{CounterId, LifecycleStatus, MeterConfig, MeterId, PolicyBits},
    store::{Store, StoredMeter},
    vault::Vault,
};

/// A meter that may push, and what its pushes are verified with.
#[derive(Debug)]
pub(crate) struct PushSender {
    pub(crate) meter: MeterId,
    /// The least protection that is demanded.
    pub(crate) required: Protection,
    /// Its keys, and our own title.
    pub(crate) context: Context<RustCrypto>,
    /// Whose counters its pushes have.
    pub(crate) received: CounterId,
    /// Where the counters of our confirmations are reserved.
    pub(crate) sent: CounterId,
}

/// A meter that may push in clear from an address.
#[derive(Debug)]
pub(crate) struct PlainSender {
    pub(crate) meter: MeterId,
    /// How it names itself; empty: not at all.
    pub(crate) device_name: String,
}

impl<S: Store> Registry<S> {
    /// The meters that may push under a system title. One whose keys cannot be used is passed over.
    pub(crate) async fn push_senders(&self, title: SystemTitle) -> Result<Vec<PushSender>, RegistryError> {
        let mut senders = Vec::new();
        for stored in self.store.meters_by_title(title).await? {
            if stored.record.settings.lifecycle.status == LifecycleStatus::Decommissioned {
                continue;
            }
            // Between old and new keys it may push with either.
            if let Some(new) = self.store.new_keys(&stored.record.id).await? {
                let mut renewed = stored.clone();
                renewed.secrets.extend(new.sealed);
                senders.extend(self.push_sender(title, renewed));
            }
            senders.extend(self.push_sender(title, stored));
        }
        Ok(senders)
    }

    fn push_sender(&self, title: SystemTitle, stored: StoredMeter) -> Option<PushSender> {
        let meter = stored.record.id.clone();
        let stated = stored.record.settings.push.protection;
        let config = match self.resolve(stored) {
            Ok(config) => config,
            Err(error) => {
                tracing::warn!(%meter, %error, "the keys of a meter that pushes cannot be had");
                return None;
            }
        };
        let MeterConfig { ciphering: Some(ciphering), .. } = config else { return None };
        let PolicyBits { authenticated, encrypted } = stated.unwrap_or(ciphering.policy);
        let keys = Suite::from_id(ciphering.suite).and_then(|suite| {
            KeySet::new(suite, ciphering.keys.encryption.expose(), ciphering.keys.authentication.expose())
        });
        match keys.and_then(|keys| Context::new(ciphering.client_title, &keys)) {
            Ok(context) => Some(PushSender {
                meter,
                required: Protection { authenticated, encrypted, signed: false },
                context,
                received: Vault::counter_id(&title, &ciphering.keys.encryption),
                sent: ciphering.counter,
            }),
            Err(error) => {
                tracing::warn!(%meter, %error, "the keys of a meter that pushes cannot be used");
                None
            }
        }
    }

    /// The meters that may push in clear from an address.
    pub(crate) async fn plain_senders(&self, address: IpAddr) -> Result<Vec<PlainSender>, RegistryError> {
        let stored = self.store.meters_by_push_source(address.to_canonical()).await?;
        let in_service =
            |stored: &StoredMeter| stored.record.settings.lifecycle.status != LifecycleStatus::Decommissioned;
        let sender = |StoredMeter { record, .. }| PlainSender {
            meter: record.id,
            device_name: record.settings.push.device_name,
        };
        Ok(stored.into_iter().filter(in_service).map(sender).collect())
    }
}
