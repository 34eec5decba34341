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
use core::ops::Range;

use thiserror::Error;

use crate::apdu::{Apdu, DataNotificationConfirm, LongInvokeIdAndPriority};
#[cfg(feature = "alloc")]
use crate::association::client::General;
use crate::axdr::{DecodeError, Writer};
use crate::id::SystemTitle;
use crate::security::general::{self, Cipher, Layers, Opened};
#[cfg(feature = "alloc")]
use crate::security::general::{GeneralSession, TransactionId, TransactionMemory};
use crate::security::{
    Context, Crypto, Envelope, HEADROOM, KeyId, ProtectedHeader, Protection, ReceiveFloor, SecurityError,
    VerifiedCounter,
};
#[cfg(feature = "alloc")]
use crate::security::{CounterExhausted, Random};

/// Transaction-ids of a sender that are remembered, so that as many notifications may overtake each other.
#[cfg(feature = "alloc")]
const TRANSACTIONS: usize = 16;

/// A party that pushes: its keys, and what is demanded of it.
pub struct Sender<C: Crypto> {
    title: SystemTitle,
    context: Context<C>,
    unicast: ReceiveFloor,
    broadcast: ReceiveFloor,
    #[cfg(feature = "alloc")]
    general: Option<alloc::boxed::Box<GeneralSender<C>>>,
}

/// What general-ciphering and general-signing need beyond that. Apart, as few senders have it and it is large.
#[cfg(feature = "alloc")]
struct GeneralSender<C: Crypto> {
    keys: General,
    transactions: TransactionMemory<TRANSACTIONS>,
    messages: GeneralSession<C>,
}

impl<C: Crypto> Sender<C> {
    /// The sender with this system title. `context` has its keys and the own title; its APDUs must be protected at least
    /// as `required`, with invocation counters of `floor` or more.
    #[must_use]
    pub fn new(title: SystemTitle, mut context: Context<C>, required: Protection, floor: u32) -> Self {
        context.set_peer_title(title);
        context.set_required(required);
        Self {
            title,
            context,
            unicast: ReceiveFloor::new(floor),
            broadcast: ReceiveFloor::new(floor),
            #[cfg(feature = "alloc")]
            general: None,
        }
    }

    /// Also opens what the sender protects with general-ciphering and general-signing, whichever key it comes with, and
    /// confirms it alike; `keys.next_transaction` is not used for that. Of messages that only their transaction-id keeps fresh those from `lowest` on are accepted, each
    /// once.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn with_general(mut self, keys: General, lowest: u128) -> Self {
        let (transactions, messages) = (TransactionMemory::new(lowest), GeneralSession::unasked());
        self.general = Some(alloc::boxed::Box::new(GeneralSender { keys, transactions, messages }));
        self
    }

    /// Lowest transaction-id that is acceptable after a restart; `None` without keys for such messages.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn transaction_floor(&self) -> Option<u128> {
        self.general.as_ref().map(|general| general.transactions.floor())
    }

    /// Accepts invocation counters from `floor` on under the broadcast key, where the context accepts that key at all.
    /// Without this those from the floor of [`new`](Self::new) on are.
    #[must_use]
    pub const fn with_broadcast_floor(mut self, floor: u32) -> Self {
        self.broadcast = ReceiveFloor::new(floor);
        self
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

    /// The same under the broadcast key, for [`with_broadcast_floor`](Self::with_broadcast_floor).
    #[must_use]
    pub const fn broadcast_floor(&self) -> u32 {
        self.broadcast.lowest()
    }

    fn unprotect(&mut self, apdu: &mut [u8]) -> Result<Opened, SecurityError> {
        let (unicast, broadcast) = (self.unicast, self.broadcast);
        let floor = |key| match key {
            KeyId::Broadcast => broadcast,
            // A key that serves one message has no past.
            KeyId::Message => ReceiveFloor::new(0),
            _ => unicast,
        };
        #[cfg(feature = "alloc")]
        if let Some(general) = self.general.as_deref_mut() {
            let GeneralSender { keys, transactions, messages } = general;
            let opened = general::unprotect(&self.context, messages, &keys.keys(), apdu, floor)?;
            if let Some(transaction) = opened.transaction {
                transactions.accept(transaction)?;
                messages.accept(transaction);
            }
            if let Some(verified) = opened.counter {
                self.accept(verified);
            }
            return Ok(opened);
        }
        let opened = general::unprotect_envelope(&self.context, apdu, floor)?;
        if let Some(verified) = opened.counter {
            self.accept(verified);
        }
        Ok(opened)
    }

    fn accept(&mut self, verified: VerifiedCounter) {
        match verified.key() {
            KeyId::Broadcast => self.broadcast.accept(verified),
            KeyId::Message => {}
            _ => self.unicast.accept(verified),
        }
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
    /// How it was wrapped; `None` for one in clear, and in general-ciphering.
    pub envelope: Option<Envelope>,
    /// The same with general-ciphering and general-signing.
    pub layers: Layers,
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
        if !general::is_protected(apdu) {
            let required = find(self.senders.as_mut(), from)?.context.required();
            if !required.is_none() {
                return Err(SecurityError::PolicyNotMet { required, found: Protection::NONE }.into());
            }
            let (apdu, protection, layers) = (notification(apdu)?, Protection::NONE, Layers::default());
            return Ok(Received { apdu, sender: None, protection, envelope: None, layers, counter: None });
        }
        let title = match general::outer_header(apdu) {
            Ok(header) => SystemTitle::from_slice(header.originator),
            Err(_) => ProtectedHeader::parse(apdu)?.title,
        };
        let title = title.or(from);
        let sender = find(self.senders.as_mut(), title)?;
        let opened = sender.unprotect(apdu)?;
        Ok(Received {
            apdu: notification(apdu.get(opened.plain).unwrap_or_default())?,
            sender: title,
            protection: opened.layers.protection,
            envelope: match opened.layers.cipher {
                Some(Cipher::Envelope(envelope)) => Some(envelope),
                _ => None,
            },
            layers: opened.layers,
            counter: opened.counter.map(|verified| verified.counter()),
        })
    }

    /// Writes the confirmation of a notification into `out` and returns its place there: protected as the notification
    /// was, with the invocation counter `counter` of the own key, which must never have been used before.
    ///
    /// # Errors
    /// `UnknownSender`, or what the protection fails for; `Security(BufferTooSmall)` unless `out` has 48 octets;
    /// `Security(NoGeneralKey)` after general-ciphering and general-signing, which [`confirm_general`] confirms.
    ///
    /// [`confirm_general`]: Self::confirm_general
    pub fn confirm<C: Crypto>(
        &mut self,
        received: &Received<'_>,
        counter: u32,
        out: &mut [u8],
    ) -> Result<Range<usize>, PushError>
    where
        S: AsMut<[Sender<C>]>,
    {
        let plain = confirmation(received, HEADROOM, out)?;
        if received.protection.is_none() {
            return Ok(plain);
        }
        if received.layers.needs_transaction() {
            return Err(SecurityError::NoGeneralKey.into());
        }
        let context = &find(self.senders.as_mut(), received.sender)?.context;
        let control = context.control(received.protection);
        // The confirmation has no ciphered form of its own.
        Ok(context.protect(Envelope::GeneralGlobal, control, counter, out, plain)?)
    }

    /// The same for any notification, general-ciphering and general-signing included. `counter` gives a counter of the
    /// own global key that was never used before, `transaction` a transaction-id of the own system title; each is asked
    /// only where one is needed. Ids must come from one count for each own system title, the one that
    /// [`General::next_transaction`] of its associations is taken from: with the same id the static unified model gives
    /// the same key again.
    ///
    /// # Errors
    /// As [`confirm`](Self::confirm); `Security(BufferTooSmall)` unless `out` has 448 octets.
    #[cfg(feature = "alloc")]
    pub fn confirm_general<C: Crypto>(
        &mut self,
        received: &Received<'_>,
        counter: impl FnOnce() -> Result<u32, CounterExhausted>,
        transaction: impl FnOnce() -> Result<u64, CounterExhausted>,
        random: &mut dyn Random,
        out: &mut [u8],
    ) -> Result<Range<usize>, PushError>
    where
        S: AsMut<[Sender<C>]>,
    {
        if !received.layers.needs_transaction() {
            let counter = if received.protection.is_none() { 0 } else { counter().map_err(SecurityError::from)? };
            return self.confirm(received, counter, out);
        }
        let sender = find(self.senders.as_mut(), received.sender)?;
        let GeneralSender { keys, messages, .. } = sender.general.as_deref_mut().ok_or(SecurityError::NoGeneralKey)?;
        let id = TransactionId::new(transaction().map_err(SecurityError::from)?);
        let mut layers = received.layers;
        layers.cipher = match layers.cipher {
            Some(Cipher::Envelope(Envelope::Global)) => Some(Cipher::Envelope(Envelope::GeneralGlobal)),
            cipher => cipher,
        };
        let (front, back) = layers.room(sender.context.suite(), id.as_bytes().len());
        let plain = confirmation(received, front, out)?;
        if plain.end.saturating_add(back) > out.len() {
            return Err(SecurityError::BufferTooSmall.into());
        }
        let keys = &keys.keys();
        Ok(general::protect(&sender.context, messages, keys, &layers, &id, counter, random, out, plain)?)
    }
}

/// Writes the plain confirmation at `start` of `out`.
fn confirmation(received: &Received<'_>, start: usize, out: &mut [u8]) -> Result<Range<usize>, PushError> {
    let Some(invoke) = received.to_confirm() else {
        return Err(PushError::NotANotification { found: "notification without confirmation" });
    };
    let mut writer = Writer::new(out.get_mut(start..).unwrap_or_default());
    let confirm = DataNotificationConfirm { invoke, time: None };
    confirm.encode(&mut writer).map_err(|_| SecurityError::BufferTooSmall)?;
    Ok(start..start.saturating_add(writer.len()))
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
