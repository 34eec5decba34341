//! Notifications outside an association: verified with the sender's own keys.
//!
//! A meter pushes to a destination that it was given once: there is no association, and what arrives must be judged by
//! what the receiver knows of the sender. A [`Receiver`] holds keys, required protection and receive floor for each
//! system title, and gives out what passed.
//!
//! ```
//! use dlms::association::push::{Receiver, Sender};
//! use dlms::id::SystemTitle;
//! use dlms::security::{Context, KeySet, Protection, RustCrypto, Suite};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = KeySet::new(Suite::Suite0, &[0x11; 16], &[0x22; 16])?;
//! let meter = SystemTitle(*b"MMM\0\0\xBC\x61\x4E");
//! let context = Context::<RustCrypto>::new(SystemTitle(*b"HES\0\0\0\0\x01"), &keys)?;
//! let mut receiver = Receiver::new([Sender::new(meter, context, Protection::AUTHENTICATED_ENCRYPTED, 0)]);
//!
//! // What is not protected as was demanded, or by nobody who is known, is refused.
//! let mut clear = [0x0F, 0x00, 0x00, 0x01, 0xDB, 0x00, 0x06, 0x00, 0x00, 0x00, 0x2A];
//! assert!(receiver.open(&mut clear, Some(meter)).is_err());
//! # Ok(())
//! # }
//! ```

use core::fmt;

use thiserror::Error;

use crate::apdu::{Apdu, DataNotificationConfirm, LongInvokeIdAndPriority};
use crate::axdr::{DecodeError, Writer};
use crate::id::SystemTitle;
use crate::security::{
    self, Context, Crypto, Envelope, HEADROOM, KeyId, ProtectedHeader, Protection, ReceiveFloor, SecurityError,
};

/// A party that pushes: its keys, and what is demanded of it.
pub struct Sender<C: Crypto> {
    title: SystemTitle,
    context: Context<C>,
    unicast: ReceiveFloor,
    broadcast: ReceiveFloor,
}

impl<C: Crypto> Sender<C> {
    /// The sender with this system title. `context` has its keys and the own title; its APDUs must be protected at least
    /// as `required`, with invocation counters of `floor` or more.
    #[must_use]
    pub fn new(title: SystemTitle, mut context: Context<C>, required: Protection, floor: u32) -> Self {
        context.set_peer_title(title);
        context.set_required(required);
        Self { title, context, unicast: ReceiveFloor::new(floor), broadcast: ReceiveFloor::new(floor) }
    }

    /// The sender's system title.
    #[must_use]
    pub const fn title(&self) -> SystemTitle {
        self.title
    }

    /// Lowest invocation counter that is acceptable from now on, to be kept across restarts.
    #[must_use]
    pub const fn floor(&self) -> u32 {
        self.unicast.lowest()
    }

    fn unprotect(&mut self, apdu: &mut [u8]) -> Result<security::Unprotected, SecurityError> {
        let (unicast, broadcast) = (self.unicast, self.broadcast);
        let opened = self.context.unprotect(apdu, |key| if key == KeyId::Broadcast { broadcast } else { unicast })?;
        if let Some(verified) = opened.verified {
            match verified.key() {
                KeyId::Broadcast => self.broadcast.accept(verified),
                _ => self.unicast.accept(verified),
            }
        }
        Ok(opened)
    }
}

impl<C: Crypto> fmt::Debug for Sender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("title", &self.title).field("floor", &self.floor()).finish_non_exhaustive()
    }
}

/// A notification that passed.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// DataNotification, EventNotification or InformationReport.
    pub apdu: Apdu<'a>,
    /// Whose keys opened it; `None` for one in clear, which proves nothing.
    pub sender: Option<SystemTitle>,
    /// Protection that it was found to have.
    pub protection: Protection,
    /// How it was wrapped; `None` for one in clear.
    pub envelope: Option<Envelope>,
    /// Its invocation counter, if a tag proves it.
    pub counter: Option<u32>,
}

impl Received<'_> {
    /// The long invoke-id to be confirmed, if the notification asks for a confirmation.
    #[must_use]
    pub const fn to_confirm(&self) -> Option<LongInvokeIdAndPriority> {
        match self.apdu {
            Apdu::DataNotification(notification) if notification.invoke.is_confirmed() => Some(notification.invoke),
            _ => None,
        }
    }
}

/// Why a notification was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// The APDU names no sender, and the caller knows none, or it is one whose keys are not known.
    #[error("no keys of the sender are known")]
    UnknownSender,
    /// Not protected as demanded, a replay, or not by whom it claims to be.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// Not understood.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Another APDU than a notification.
    #[error("unexpected {found}")]
    NotANotification {
        /// The APDU that came.
        found: &'static str,
    },
}

/// Verifies notifications of many senders. `S` holds them: an array, a `Vec`, a slice.
///
/// Refused until a sender with these keys is known: one whose required protection is
/// [`Protection::NONE`] may push in clear, told apart by where its octets came from.
#[derive(Debug)]
pub struct Receiver<S> {
    senders: S,
}

impl<S> Receiver<S> {
    /// A receiver of notifications of `senders`.
    pub const fn new(senders: S) -> Self {
        Self { senders }
    }

    /// The senders, to add or remove some.
    pub const fn senders_mut(&mut self) -> &mut S {
        &mut self.senders
    }

    /// Verifies a notification, deciphering it in place. `from` is the system title that belongs to where the octets
    /// came from, if the caller knows it: it serves APDUs that name no sender, and does not override one that is named.
    ///
    /// # Errors
    /// [`PushError`]; no floor has moved then, unless what a known sender protected rightly is no notification.
    pub fn open<'a, C: Crypto>(
        &mut self,
        apdu: &'a mut [u8],
        from: Option<SystemTitle>,
    ) -> Result<Received<'a>, PushError>
    where
        S: AsMut<[Sender<C>]>,
    {
        if !security::is_protected(apdu) {
            let required = find(self.senders.as_mut(), from)?.context.required();
            if !required.is_none() {
                return Err(SecurityError::PolicyNotMet { required, found: Protection::NONE }.into());
            }
            let apdu = notification(apdu)?;
            return Ok(Received { apdu, sender: None, protection: Protection::NONE, envelope: None, counter: None });
        }
        let title = ProtectedHeader::parse(apdu)?.title.or(from);
        let sender = find(self.senders.as_mut(), title)?;
        let opened = sender.unprotect(apdu)?;
        Ok(Received {
            apdu: notification(apdu.get(opened.plain).unwrap_or_default())?,
            sender: title,
            protection: opened.protection,
            envelope: Some(opened.envelope),
            counter: opened.verified.map(|verified| verified.counter()),
        })
    }

    /// Writes the confirmation of a notification into `out` and returns its place there: protected as the notification
    /// was, with the invocation counter `counter` of the own key, which must never have been used before.
    ///
    /// # Errors
    /// `UnknownSender`, or what the protection fails for; `Security(BufferTooSmall)` unless `out` has 48 octets.
    pub fn confirm<C: Crypto>(
        &mut self,
        received: &Received<'_>,
        counter: u32,
        out: &mut [u8],
    ) -> Result<core::ops::Range<usize>, PushError>
    where
        S: AsMut<[Sender<C>]>,
    {
        let Some(invoke) = received.to_confirm() else {
            return Err(PushError::NotANotification { found: "notification without confirmation" });
        };
        let mut writer = Writer::new(out.get_mut(HEADROOM..).unwrap_or_default());
        let confirm = DataNotificationConfirm { invoke, time: None };
        confirm.encode(&mut writer).map_err(|_| SecurityError::BufferTooSmall)?;
        let plain = HEADROOM..HEADROOM.saturating_add(writer.len());
        if received.protection.is_none() {
            return Ok(plain);
        }
        let senders = self.senders.as_mut();
        let sender = senders.iter().find(|sender| Some(sender.title) == received.sender);
        let context = &sender.ok_or(PushError::UnknownSender)?.context;
        let control = context.control(received.protection);
        // The confirmation has no ciphered form of its own.
        Ok(context.protect(Envelope::GeneralGlobal, control, counter, out, plain)?)
    }
}

fn find<C: Crypto>(senders: &mut [Sender<C>], title: Option<SystemTitle>) -> Result<&mut Sender<C>, PushError> {
    senders.iter_mut().find(|sender| Some(sender.title) == title).ok_or(PushError::UnknownSender)
}

fn notification(plain: &[u8]) -> Result<Apdu<'_>, PushError> {
    let apdu = Apdu::decode(plain)?;
    match apdu {
        Apdu::DataNotification(_) | Apdu::EventNotification(_) | Apdu::InformationReport(_) => Ok(apdu),
        other => Err(PushError::NotANotification { found: other.name() }),
    }
}
