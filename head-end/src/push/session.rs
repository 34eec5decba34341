//! Notifications that came inside a session of the fleet: they are kept as pushes are.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{Refused, Shared};
use crate::{
    fleet::Notification,
    store::{NewPush, Store},
};

/// Takes notifications until the engine stops.
pub(super) async fn listen<S: Store>(shared: Arc<Shared<S>>, mut notifications: mpsc::Receiver<Notification>) {
    while let Some(Some(notification)) = shared.stop.run_until_cancelled(notifications.recv()).await {
        let meter = notification.meter.clone();
        if let Err(refused) = take(&shared, notification).await {
            shared.intake.counts.refused(&refused);
            tracing::warn!(%meter, reason = refused.reason(), error = %refused, "a notification inside a session is lost");
        }
    }
}

async fn take<S: Store>(shared: &Shared<S>, notification: Notification) -> Result<(), Refused> {
    let Notification { meter, apdu, protection, received, .. } = notification;
    // The connection was made by us, and to the meter: what comes on it in clear is as good as its answers, unless those
    // are ciphered.
    if protection.is_none() {
        let record = shared.registry.get(&meter).await.map_err(|error| Refused::Registry(error.to_string()))?;
        if record.settings.security.is_some() && record.settings.push.plaintext_from.is_none() {
            return Err(Refused::Plaintext);
        }
    }
    let digest = Sha256::digest(&apdu).into();
    let source = "session".to_owned();
    shared.intake.keep(NewPush { meter, counter: None, apdu, digest, protection, source, received }).await
}
