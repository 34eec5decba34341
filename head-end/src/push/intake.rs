//! Belief: who sent a notification, whether it is new, and that it is kept before anybody is told so.

use std::{net::SocketAddr, ops::Range, sync::Arc};

use dlms::{
    apdu::{Apdu, DataNotificationConfirm, LongInvokeIdAndPriority},
    association::push::{PushError, Received, Receiver, Sender},
    axdr::{Data, Writer},
    id::SystemTitle,
    security::{ProtectedHeader, Protection, RustCrypto, general},
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::{Counts, Refused, alerts::Alerts, unclaimed::Unclaimed};
use crate::{
    fleet::encode,
    meter::MeterId,
    operation::MeterDirectory,
    registry::{Registry, RegistryError, push::PushSender},
    store::{Accepted, DeviceIdentity, NewPush, Store},
};

/// Octets that a confirmation takes, tag and header included.
const CONFIRMATION: usize = 64;

/// A notification that was believed and is durable.
#[derive(Debug)]
pub(super) struct Taken {
    /// Of which meter.
    pub(super) meter: MeterId,
    /// Its system title, where keys have proved it.
    pub(super) title: Option<SystemTitle>,
    /// What its sender wants to hear.
    pub(super) confirmation: Option<Vec<u8>>,
}

/// Takes notifications: identity, key, tag, counter, store, and only then a confirmation.
#[derive(Debug)]
pub(super) struct Intake<S> {
    registry: Arc<Registry<S>>,
    pub(super) counts: Arc<Counts>,
    pub(super) unclaimed: Unclaimed,
    pub(super) alerts: Alerts,
    /// Something was kept that waits to be read.
    pub(super) kept: Arc<Notify>,
}

impl<S: Store> Intake<S> {
    pub(super) fn new(registry: Arc<Registry<S>>, counts: Arc<Counts>, kept: Arc<Notify>) -> Self {
        Self { registry, counts, unclaimed: Unclaimed::default(), alerts: Alerts::default(), kept }
    }

    /// Takes a notification that came from `source`. What is refused is counted, and noted where it comes from a
    /// device that nobody knows.
    pub(super) async fn take(&self, apdu: &mut [u8], source: SocketAddr) -> Result<Taken, Refused> {
        let taken = match general::is_protected(apdu) {
            true => self.protected(apdu, source).await,
            false => self.plain(apdu, source).await,
        };
        match &taken {
            Ok(Taken { meter, title, .. }) => {
                let title = title.map(|title| title.to_string());
                tracing::debug!(%source, %meter, title, "push taken");
            }
            Err(refused) => self.refuse(refused, source),
        }
        taken
    }

    /// Counts what was refused.
    pub(super) fn refuse(&self, refused: &Refused, source: SocketAddr) {
        self.counts.refused(refused);
        self.alerts.refused(refused, source);
        let identity = match refused {
            Refused::UnknownTitle(title) => Some(DeviceIdentity::Title(*title)),
            Refused::Plaintext => Some(DeviceIdentity::Address(source.ip().to_canonical())),
            _ => None,
        };
        if identity.is_some_and(|identity| !self.unclaimed.heard(identity, source)) {
            self.counts.unclaimed_dropped();
        }
        tracing::debug!(%source, reason = refused.reason(), error = %refused, "push refused");
    }

    async fn protected(&self, apdu: &mut [u8], source: SocketAddr) -> Result<Taken, Refused> {
        let title = sender_title(apdu)?;
        let mut senders = self.registry.push_senders(title).await.map_err(registry)?;
        if senders.is_empty() {
            return Err(Refused::UnknownTitle(title));
        }
        let digest = Sha256::digest(&*apdu).into();
        // Mostly there is one. A meter may be registered once for each of its clients.
        let last = senders.pop();
        let mut refused = Refused::UnknownTitle(title);
        for sender in senders {
            let mut copy = apdu.to_vec();
            match self.verified(&mut copy, title, sender, digest, source).await {
                Err(error @ Refused::Security { .. }) => refused = error,
                done => return done,
            }
        }
        match last {
            Some(sender) => self.verified(apdu, title, sender, digest, source).await,
            None => Err(refused),
        }
    }

    /// Verifies with the keys of one meter, keeps, and makes the confirmation.
    async fn verified(
        &self,
        apdu: &mut [u8],
        title: SystemTitle,
        sender: PushSender,
        digest: [u8; 32],
        source: SocketAddr,
    ) -> Result<Taken, Refused> {
        let PushSender { meter, required, context, received: seen, sent } = sender;
        // Replays are found by the store, whose memory is longer than that of any receiver.
        let mut receiver = Receiver::new([Sender::new(title, context, required, 0)]);
        let received = receiver.open::<RustCrypto>(apdu, Some(title)).map_err(|error| refusal(error, &meter))?;
        let push = NewPush {
            meter: meter.clone(),
            counter: received.counter.map(|counter| (seen, counter)),
            apdu: encode(&received.apdu).ok_or(Refused::Malformed("a notification"))?,
            digest,
            protection: received.protection,
            source: source.to_string(),
            received: Timestamp::now(),
        };
        self.keep(push).await?;
        let confirmation = match received.to_confirm() {
            Some(_) => self.confirmation(&mut receiver, &received, sent, &meter).await,
            None => None,
        };
        Ok(Taken { meter, title: Some(title), confirmation })
    }

    /// The confirmation of what is durable. Without one the sender repeats itself, which does no harm.
    async fn confirmation(
        &self,
        receiver: &mut Receiver<[Sender<RustCrypto>; 1]>,
        received: &Received<'_>,
        sent: crate::meter::CounterId,
        meter: &MeterId,
    ) -> Option<Vec<u8>> {
        let block = match self.registry.reserve_counters(sent).await {
            Ok(block) => block,
            Err(error) => {
                tracing::warn!(%meter, %error, "a push is not confirmed: there is no counter for it");
                return None;
            }
        };
        let mut out = [0; CONFIRMATION];
        let place: Result<Range<usize>, PushError> = receiver.confirm(received, block.next, &mut out);
        match place {
            Ok(place) => out.get(place).map(<[u8]>::to_vec),
            Err(error) => {
                tracing::warn!(%meter, %error, "a push is not confirmed");
                None
            }
        }
    }

    async fn plain(&self, apdu: &[u8], source: SocketAddr) -> Result<Taken, Refused> {
        let notification = Apdu::decode(apdu).map_err(|_| Refused::Malformed("a notification"))?;
        let (body, to_confirm) = match &notification {
            Apdu::DataNotification(sent) => (sent.body, Some(sent.invoke).filter(|invoke| invoke.is_confirmed())),
            Apdu::EventNotification(sent) => (sent.value, None),
            Apdu::InformationReport(_) => (Data::Null, None),
            other => return Err(Refused::NotANotification(other.name())),
        };
        let mut senders = self.registry.plain_senders(source.ip()).await.map_err(registry)?;
        if senders.is_empty() {
            return Err(Refused::Plaintext);
        }
        if senders.len() > 1 {
            senders.retain(|sender| names(&body, sender.device_name.as_bytes()));
        }
        let meter = match (senders.pop(), senders.is_empty()) {
            (Some(sender), true) => sender.meter,
            _ => return Err(Refused::Ambiguous),
        };
        let push = NewPush {
            meter: meter.clone(),
            counter: None,
            apdu: apdu.to_vec(),
            digest: Sha256::digest(apdu).into(),
            protection: Protection::NONE,
            source: source.to_string(),
            received: Timestamp::now(),
        };
        self.keep(push).await?;
        Ok(Taken { meter, title: None, confirmation: to_confirm.and_then(plain_confirmation) })
    }

    /// Makes a push durable, unless it is a replay.
    pub(super) async fn keep(&self, push: NewPush) -> Result<(), Refused> {
        let (meter, counter) = (push.meter.clone(), push.counter.map_or(0, |(_, counter)| counter));
        match self.registry.store().accept_push(push).await? {
            Accepted::New(_) => {
                self.counts.accepted();
                self.kept.notify_one();
                Ok(())
            }
            Accepted::Repeated => {
                self.counts.repeated();
                Ok(())
            }
            Accepted::Replayed { last } => Err(Refused::Replay { meter, counter, last }),
        }
    }
}

fn registry(error: RegistryError) -> Refused {
    match error {
        RegistryError::Store(error) => Refused::Store(error),
        other => Refused::Registry(other.to_string()),
    }
}

/// The system title that a protected APDU names.
fn sender_title(apdu: &[u8]) -> Result<SystemTitle, Refused> {
    let title = match general::outer_header(apdu) {
        Ok(header) => SystemTitle::from_slice(header.originator),
        Err(_) => ProtectedHeader::parse(apdu).map_err(|_| Refused::Malformed("a ciphered APDU"))?.title,
    };
    title.ok_or(Refused::NoTitle)
}

fn refusal(error: PushError, meter: &MeterId) -> Refused {
    match error {
        PushError::Security(error) => Refused::Security { meter: meter.clone(), error },
        // What the key opens to nonsense was not made with it, where no tag says so.
        PushError::Decode(_) => Refused::Malformed("a notification"),
        PushError::NotANotification { found } => Refused::NotANotification(found),
        _ => Refused::Malformed("a notification"),
    }
}

fn plain_confirmation(invoke: LongInvokeIdAndPriority) -> Option<Vec<u8>> {
    let mut out = [0; CONFIRMATION];
    let mut writer = Writer::new(&mut out);
    DataNotificationConfirm { invoke, time: None }.encode(&mut writer).ok()?;
    Some(writer.written().to_vec())
}

/// Whether the body has this name among its first elements.
fn names(body: &Data<'_>, name: &[u8]) -> bool {
    let is_name = |element: &Data<'_>| element.as_bytes() == Some(name);
    !name.is_empty()
        && body.as_sequence().is_some_and(|elements| {
            elements.iter().take(16).any(|element| {
                is_name(&element)
                    || element.as_sequence().is_some_and(|inner| inner.iter().take(4).any(|inner| is_name(&inner)))
            })
        })
}
