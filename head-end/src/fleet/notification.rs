//! What meters send of their own accord while an association is open.

use dlms::{apdu::Apdu, axdr::Writer, security::Protection};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::meter::MeterId;

/// A DataNotification, EventNotification or InformationReport that arrived inside a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The meter whose session it arrived in.
    pub meter: MeterId,
    /// Kind of the APDU, such as `data-notification`.
    pub kind: &'static str,
    /// The plain APDU.
    pub apdu: Vec<u8>,
    /// The protection that it was found to have; without any, nothing proves who sent it.
    pub protection: Protection,
    /// When it reached us.
    pub received: Timestamp,
}

/// Where the notifications of one meter go. The queue behind it is bounded: what does not fit is counted, and no
/// session waits for it.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    meter: MeterId,
    queue: mpsc::Sender<Notification>,
}

impl Inbox {
    pub(super) const fn new(meter: MeterId, queue: mpsc::Sender<Notification>) -> Self {
        Self { meter, queue }
    }

    /// Hands a notification on; `false` when it had to be dropped.
    pub(super) fn deliver(&self, apdu: &Apdu<'_>, protection: Protection) -> bool {
        let Some(octets) = encode(apdu) else {
            tracing::warn!(meter = %self.meter, kind = apdu.name(), "notification dropped: it cannot be encoded");
            return false;
        };
        let notification = Notification {
            meter: self.meter.clone(),
            kind: apdu.name(),
            apdu: octets,
            protection,
            received: Timestamp::now(),
        };
        let delivered = self.queue.try_send(notification).is_ok();
        if !delivered {
            tracing::warn!(meter = %self.meter, kind = apdu.name(), "notification dropped: nobody takes them fast enough");
        }
        delivered
    }
}

/// The octets of an APDU.
pub(crate) fn encode(apdu: &Apdu<'_>) -> Option<Vec<u8>> {
    let mut octets = vec![0; usize::from(u16::MAX)];
    let mut writer = Writer::new(&mut octets);
    apdu.encode(&mut writer).ok()?;
    let length = writer.len();
    octets.truncate(length);
    octets.shrink_to_fit();
    Some(octets)
}
