//! Notifications that a meter has to send and that nobody has taken yet.

use std::collections::VecDeque;

use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::security::general::Layers;

use super::Meter;

/// Notifications of one meter that wait to be taken. The driver takes them whenever it looks at the meter, and each push
/// setup has one on its way at most, so that there are never more unless a model has more push setups.
pub(crate) const OUTGOING_MAX: usize = 32;

/// What carries a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// Wrapper on TCP.
    Tcp,
    /// Wrapper on UDP.
    Udp,
    /// HDLC UI frames on TCP.
    Hdlc,
    /// HDLC UI frames on the serial line of the device.
    Line,
}

/// A notification on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What carries it.
    pub carrier: Carrier,
    /// Where to: `host:port`, or empty for the serial line.
    pub destination: String,
    /// SAP of the client that it is for.
    pub client: ClientSap,
    /// SAP of the logical device that it is from.
    pub server: ServerSap,
    /// The plain APDU, a DataNotification.
    pub apdu: Vec<u8>,
    /// How it is to be protected, with the keys of the security setup `setup`.
    pub layers: Layers,
    /// Longest APDU that the client takes, in octets, 0 for no limit: a longer one goes out in blocks.
    pub max_pdu: u16,
    /// Who is to open it, where its protection names somebody.
    pub recipient: Option<SystemTitle>,
    /// Number of the security setup.
    pub setup: u8,
    /// Number by which the meter is told what became of it.
    pub ticket: u32,
}

/// The queue: no memory at all while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(VecDeque<Notification>);

impl Meter {
    /// Queues a notification; whether there was room.
    pub(crate) fn send(&mut self, notification: Notification) -> bool {
        let room = self.outgoing.0.len() < OUTGOING_MAX;
        if room {
            self.outgoing.0.push_back(notification);
        }
        room
    }

    /// Whether any notification waits.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.0.is_empty()
    }

    /// Takes all that wait, the oldest first.
    pub(in crate::simulator) fn take_outgoing(&mut self) -> VecDeque<Notification> {
        std::mem::take(&mut self.outgoing.0)
    }
}
