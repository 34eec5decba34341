//! Devices that are heard and that no meter is registered for: gathered in memory, written now and then.

use std::{collections::HashMap, sync::Mutex};

use jiff::Timestamp;

use crate::store::{DeviceIdentity, PushStore, Sighting};

/// Devices that are gathered between two writes; others wait until they are heard again.
const GATHERED: usize = 64;

/// Sightings since the last write.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed(Mutex<HashMap<DeviceIdentity, Sighting>>);

impl Unclaimed {
    /// Notes that a device was heard; `false` when there is no room.
    pub(crate) fn heard(&self, identity: DeviceIdentity, source: impl ToString) -> bool {
        let Ok(mut gathered) = self.0.lock() else { return false };
        if gathered.len() >= GATHERED && !gathered.contains_key(&identity) {
            return false;
        }
        let sighting = gathered.entry(identity).or_insert_with(|| Sighting {
            identity,
            source: String::new(),
            count: 0,
            at: Timestamp::UNIX_EPOCH,
        });
        sighting.source = source.to_string();
        sighting.count = sighting.count.saturating_add(1);
        sighting.at = Timestamp::now();
        true
    }

    /// Writes what was gathered, with at most `most` devices on the list; returns those that are new on it.
    pub(crate) async fn write<S: PushStore>(&self, store: &S, most: usize) -> Vec<Sighting> {
        let gathered = self.0.lock().map(|mut gathered| std::mem::take(&mut *gathered)).unwrap_or_default();
        let mut new = Vec::new();
        for sighting in gathered.into_values() {
            match store.note_unclaimed(sighting.clone(), most).await {
                Ok(true) => new.push(sighting),
                Ok(false) => {}
                Err(error) => {
                    let device = sighting.identity.text();
                    tracing::warn!(device, %error, "an unclaimed device could not be noted");
                }
            }
        }
        new
    }
}
