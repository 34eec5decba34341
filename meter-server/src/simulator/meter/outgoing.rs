//! Notifications that a meter has to send and that nobody has taken yet.

use std::collections::VecDeque;

use dlms::id::{ClientSap, ServerSap};

use super::Meter;

/// Notifications of one meter that wait to be taken. The driver takes them whenever it looks at the meter, so that they
/// are this many only when the meter does as much at one moment.
pub(crate) const OUTGOING_MAX: usize = 32;

/// What carries a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// Wrapper on TCP.
    Tcp,
    /// Wrapper on UDP.
    Udp,
    /// HDLC UI frames, on TCP or on a serial line.
    Hdlc,
}

/// A notification on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What carries it.
    pub carrier: Carrier,
    /// Where to: `host:port`, or the device file of a serial line.
    pub destination: String,
    /// SAP of the client that it is for.
    pub client: ClientSap,
    /// SAP of the logical device that it is from.
    pub server: ServerSap,
    /// The APDU, protected.
    pub apdu: Vec<u8>,
    /// Whether the receiver is to confirm it.
    pub confirmed: bool,
    /// Number by which the meter is told what became of it.
    pub ticket: u32,
}

/// The queue: no memory at all while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(VecDeque<Notification>);

impl Meter {
    /// Queues a notification; gives it back when too many wait.
    #[expect(dead_code, reason = "called by the push setups")]
    pub(crate) fn send(&mut self, notification: Notification) -> Result<(), Notification> {
        let queue = &mut self.outgoing.0;
        if queue.len() >= OUTGOING_MAX {
            return Err(notification);
        }
        queue.push_back(notification);
        Ok(())
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
