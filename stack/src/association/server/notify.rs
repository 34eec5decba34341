//! Notifications on the server's side: queued, protected, sent between answers, repeated until they are confirmed.

use core::ops::Range;

use thiserror::Error;

use super::association::{Association, State};
use super::connection::{Connection, ServerLink};
use super::device::{AuditEvent, Device, SecurityConfig};
use super::outbox::{Due, Outbox, PushProtection, PushTo, Queue};
use crate::Instant;
use crate::apdu::{Apdu, Conformance, DataNotificationConfirm, GeneralBlockTransfer, LongInvokeIdAndPriority};
use crate::association::UnconfirmedBlocks;
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::link::{LinkError, Storage};
use crate::security::general::{
    self, Cipher, GeneralSession, KeyChoice, LAYERS_BACK, LAYERS_FRONT, Layers, TransactionId,
};
use crate::security::{
    self, Context, CounterExhausted, Crypto, Envelope, HEADROOM, KeyId, KeySet, ProtectedHeader, Protection, Random,
    ReceiveFloor, SecurityError,
};

/// Most octets of a protected DataNotificationConfirm.
const CONFIRMATION_MAX: usize = LAYERS_FRONT + 20 + LAYERS_BACK;

/// Why a notification was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The connection has no storage for notifications.
    #[error("this connection sends no notifications")]
    NoOutbox,
    /// Too many notifications wait, or they are too long together.
    #[error("too many notifications wait")]
    Full,
    /// Not a DataNotification, EventNotification or InformationReport.
    #[error("{found} is no notification")]
    NotANotification {
        /// The APDU.
        found: &'static str,
    },
    /// In general-ciphering with the broadcast key or the key of a message before: neither is kept for notifications.
    #[error("no notification is sent with {0:?}")]
    Key(KeyChoice),
    /// The confirmed bit of the DataNotification and the configured confirmation do not go together.
    #[error("confirmed bit and confirmation do not go together")]
    Confirmation,
}

impl<L: ServerLink, C: Crypto, B: Storage, const N: usize> Connection<L, C, B, N> {
    /// Gives the connection a queue for notifications; `storage` holds the plain APDUs of all that wait.
    #[must_use]
    pub fn with_outbox<S: Storage>(self, storage: S) -> Connection<L, C, B, N, Outbox<S>> {
        let Self { link, associations, used, clock, deadlines, out, failed, outbox: (), sending, blocked, now } = self;
        let outbox = Outbox::new(storage);
        Connection { link, associations, used, clock, deadlines, out, failed, outbox, sending, blocked, now }
    }
}

impl<L: ServerLink, C: Crypto, B: Storage, const N: usize, Q: Queue> Connection<L, C, B, N, Q> {
    /// Queues a notification: sent as soon as the link is free, between two answers and never within one. What became
    /// of it is told by [`Device::audit`]. One that asks for a confirmation is sent again with the same long invoke-id,
    /// and a fresh invocation counter, until it is confirmed or its attempts are used up. One whose protection needs
    /// random numbers leaves with the next [`handle_timeout`](Self::handle_timeout), which is due at once.
    ///
    /// # Errors
    /// [`NotifyError`]; nothing was queued then.
    pub fn notify<D: Device>(
        &mut self,
        notification: &Apdu<'_>,
        to: PushTo,
        now: Instant,
        device: &mut D,
    ) -> Result<(), NotifyError> {
        let awaits = match notification {
            Apdu::DataNotification(notification) => Some(notification.invoke).filter(|invoke| invoke.is_confirmed()),
            Apdu::EventNotification(_) | Apdu::InformationReport(_) => None,
            other => return Err(NotifyError::NotANotification { found: other.name() }),
        };
        if awaits.is_some() != to.confirmation.is_some() {
            return Err(NotifyError::Confirmation);
        }
        if let PushProtection::Layers { layers, .. } = to.protection
            && let Some(Cipher::General(key @ (KeyChoice::Broadcast | KeyChoice::Previous))) = layers.cipher
        {
            return Err(NotifyError::Key(key));
        }
        let outbox = self.outbox.get_mut().ok_or(NotifyError::NoOutbox)?;
        outbox.push(to, awaits, |out| notification.encode(out)).map_err(|_| NotifyError::Full)?;
        self.flush(now, device, None);
        Ok(())
    }

    /// When a notification has to be sent or given up; `now` is the last moment this machine heard of.
    pub(super) fn notification_due(&self) -> Option<Instant> {
        if self.sending || self.blocked { None } else { self.outbox.get()?.poll_timeout(self.now) }
    }

    /// Sends what is due, as far as the link takes it, and `random` is there if it is needed.
    pub(super) fn flush<D: Device>(&mut self, now: Instant, device: &mut D, mut random: Option<&mut dyn Random>) {
        self.now = now;
        // An answer on its way is not interrupted.
        while !self.sending && !self.blocked {
            if self.send_block(now) {
                continue;
            }
            let Some(outbox) = self.outbox.get_mut() else { return };
            match outbox.due(now) {
                None => return,
                Some(Due::GivenUp(index)) => {
                    if let Some(entry) = outbox.remove(index) {
                        let PushTo { client, server, .. } = entry.to;
                        device.audit(AuditEvent::NotificationLost { client, server, invoke: entry.awaits });
                    }
                }
                Some(Due::Send(index)) => {
                    let Some(entry) = outbox.entry(index) else { return };
                    let PushTo { client, server, .. } = entry.to;
                    if random.is_none() && entry.to.protection.draws() {
                        return;
                    }
                    let random: &mut dyn Random = match &mut random {
                        Some(random) => *random,
                        None => &mut NotDrawn,
                    };
                    let protected = self.protect_notification(index, entry.to, device, random);
                    let sent = protected.and_then(|(place, protection)| {
                        let apdu = self.out.as_ref().get(place).unwrap_or_default();
                        if entry.to.max_pdu != 0 && apdu.len() > usize::from(entry.to.max_pdu) {
                            let kept =
                                self.outbox.get_mut().is_some_and(|outbox| outbox.start_cut(index, apdu, protection));
                            return if kept { Ok(None) } else { Err(NotSent::NoRoom) };
                        }
                        self.link.notify(client, server, apdu, now).map(|()| Some(protection)).map_err(NotSent::Link)
                    });
                    let Some(outbox) = self.outbox.get_mut() else { return };
                    let sent = match sent {
                        // It leaves in blocks, from now on.
                        Ok(None) => continue,
                        Ok(Some(protection)) => Ok(protection),
                        Err(error) => Err(error),
                    };
                    match sent {
                        Ok(protection) => {
                            self.sending = true;
                            outbox.sent(index, protection, now);
                        }
                        Err(NotSent::Link(LinkError::Busy)) => {
                            // On a half-duplex line the client has to hand over the right to send first.
                            self.blocked = true;
                            return;
                        }
                        Err(_) => {
                            outbox.remove(index);
                            device.audit(AuditEvent::NotificationLost { client, server, invoke: entry.awaits });
                        }
                    }
                }
            }
        }
    }

    /// Sends the next block of the notification that is going out in blocks; whether there is one.
    fn send_block(&mut self, now: Instant) -> bool {
        let Some((cut, apdu)) = self.outbox.get().and_then(Outbox::cut) else { return false };
        let Some(entry) = self.outbox.get().and_then(|outbox| outbox.entry(cut.index)) else { return false };
        let mut blocks = UnconfirmedBlocks::new(apdu, usize::from(entry.to.max_pdu));
        let mut length = None;
        for _ in 0..=cut.blocks {
            length = blocks.next_block(self.out.as_mut());
        }
        let Some(length) = length else {
            // The buffer holds no block: nothing further can be sent.
            self.blocked = true;
            return true;
        };
        let block = self.out.as_ref().get(..length).unwrap_or_default();
        let last = GeneralBlockTransfer::decode(block).is_ok_and(|block| block.control.is_last());
        let sent = self.link.notify(entry.to.client, entry.to.server, block, now);
        let Some(outbox) = self.outbox.get_mut() else { return true };
        match sent {
            Ok(()) => {
                self.sending = true;
                outbox.block_sent(last);
                if last {
                    outbox.sent(cut.index, cut.protection, now);
                }
            }
            Err(LinkError::Busy) => self.blocked = true,
            Err(_) => {
                // The rest has nowhere to go: it counts as an attempt, or as lost where there is only one.
                outbox.block_sent(true);
                outbox.sent(cut.index, cut.protection, now);
            }
        }
        true
    }

    /// Writes the APDU of an entry into the connection's buffer, protected.
    fn protect_notification<D: Device>(
        &mut self,
        index: usize,
        to: PushTo,
        device: &mut D,
        random: &mut dyn Random,
    ) -> Result<(Range<usize>, Protection), NotSent> {
        let apdu = self.outbox.get().map(|outbox| outbox.apdu(index)).unwrap_or_default();
        let plain = HEADROOM..HEADROOM.saturating_add(apdu.len());
        let room = self.out.as_mut().get_mut(plain.clone()).ok_or(SecurityError::BufferTooSmall)?;
        room.copy_from_slice(apdu);
        let tag = apdu.first().copied().unwrap_or_default();
        let (layers, recipient) = match to.protection {
            PushProtection::Clear => return Ok((plain, Protection::NONE)),
            PushProtection::Association { general } => {
                let own = |association: &&mut Association<C, B>| {
                    association.client() == to.client && association.server() == to.server
                };
                let association = self.associations.iter_mut().find(own).ok_or(NotSent::NoKeys)?;
                return association.protect_notification(tag, general, device, self.out.as_mut(), plain);
            }
            PushProtection::Keys(envelope) => (Layers::envelope(envelope, Protection::NONE), None),
            PushProtection::Layers { layers, recipient } => (layers, Some(recipient)),
        };
        let (mut context, setup, layers) = {
            let security = device.push_security(to.client, to.server).ok_or(NotSent::NoKeys)?;
            (push_context::<C>(&security)?, security.setup, layers.strengthened(security.policy.response))
        };
        let layers = match layers.cipher {
            // Not every notification has a ciphered form of its own.
            Some(Cipher::Envelope(Envelope::Global)) if security::global_tag(tag).is_none() => {
                Layers { cipher: Some(Cipher::Envelope(Envelope::GeneralGlobal)), ..layers }
            }
            _ => layers,
        };
        if let Some(recipient) = recipient {
            context.set_peer_title(recipient);
        }
        let counts = matches!(layers.cipher, Some(Cipher::Envelope(_) | Cipher::General(KeyChoice::Unicast)));
        let counter = if counts { Some(device.take_counter(to.server, setup).ok_or(NotSent::NoKeys)?) } else { None };
        let parties = (to.client, to.server);
        // Apart from answers, whose transaction-ids the client chooses.
        let messages = &mut GeneralSession::unasked();
        let place =
            protect(&context, messages, &layers, setup, parties, counter, device, random, self.out.as_mut(), plain)?;
        Ok((place, layers.protection))
    }

    /// A confirmation from within an association: verified by it already.
    pub(super) fn confirmed<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        (invoke, protection): (LongInvokeIdAndPriority, Protection),
        device: &mut D,
    ) {
        let Some(outbox) = self.outbox.get_mut() else { return };
        if outbox.confirm(client, server, invoke, protection).is_some() {
            device.audit(AuditEvent::NotificationConfirmed { client, server, invoke });
        }
    }

    /// A confirmation from a client without an association: in clear, or with the keys of pushes. Whether it was one.
    pub(super) fn confirmed_outside<D: Device>(
        &mut self,
        client: ClientSap,
        server: ServerSap,
        device: &mut D,
    ) -> bool {
        // Keys and signatures cost much: nobody makes this server work who is not waited for.
        let Some(outbox) = self.outbox.get_mut() else { return false };
        if !outbox.awaits(client, server) {
            return false;
        }
        let apdu = self.link.apdu();
        let confirmation = if general::is_protected(apdu) {
            open_confirmation::<C, D>(client, server, apdu, device)
        } else {
            DataNotificationConfirm::decode(apdu).ok().map(|confirm| (confirm.invoke, Protection::NONE))
        };
        let Some(confirmation) = confirmation else {
            outbox.refused(client, server);
            return false;
        };
        self.confirmed(client, server, confirmation, device);
        true
    }
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// Protects a notification of this association in place.
    fn protect_notification<D: Device>(
        &mut self,
        tag: u8,
        general: bool,
        device: &mut D,
        buffer: &mut [u8],
        plain: Range<usize>,
    ) -> Result<(Range<usize>, Protection), NotSent> {
        // A counter of new keys must not meet an old one.
        self.renew_keys(device);
        let (client, server) = (self.client(), self.server());
        let State::Associated(session) = &mut self.state else { return Err(NotSent::NoKeys) };
        let secured = session.security.as_mut().ok_or(NotSent::NoKeys)?;
        // As well as requests have to be protected, and answers.
        let policy = device.association(client, server).and_then(|config| config.security).map(|found| found.policy);
        let protection = policy.map_or(secured.context.required(), |policy| policy.request.union(policy.response));
        if protection.is_none() {
            return Ok((plain, protection));
        }
        let general = general || protection.signed || security::global_tag(tag).is_none();
        let envelope = match (secured.context.has_dedicated_key(), general) {
            (false, false) => Envelope::Global,
            (false, true) => Envelope::GeneralGlobal,
            (true, false) => Envelope::Dedicated,
            (true, true) => Envelope::GeneralDedicated,
        };
        let mut layers = Layers::envelope(envelope, protection);
        let mut counter = None;
        if protection.authenticated || protection.encrypted {
            counter = Some(secured.take_counter(envelope, server, device).ok_or(NotSent::NoKeys)?);
        } else {
            layers.cipher = None;
        }
        let (context, setup, messages) = (&secured.context, secured.setup, &mut secured.messages);
        let (parties, random) = ((client, server), &mut NotDrawn);
        let place = protect(context, messages, &layers, setup, parties, counter, device, random, buffer, plain)?;
        Ok((place, protection))
    }

    /// The confirmation of a notification that the APDU handled last was.
    pub(super) fn take_confirmation(&mut self) -> Option<(LongInvokeIdAndPriority, Protection)> {
        self.confirmation.take()
    }
}

/// Opens a confirmation that is protected with the keys of pushes.
fn open_confirmation<C: Crypto, D: Device>(
    client: ClientSap,
    server: ServerSap,
    apdu: &[u8],
    device: &mut D,
) -> Option<(LongInvokeIdAndPriority, Protection)> {
    // A copy: what is no confirmation is a request, and somebody else's to decipher.
    let mut room = [0; CONFIRMATION_MAX];
    let copy = room.get_mut(..apdu.len())?;
    copy.copy_from_slice(apdu);
    let peer = match general::outer_header(apdu) {
        Ok(header) => SystemTitle::from_slice(header.originator)?,
        Err(_) => ProtectedHeader::parse(apdu).ok()?.title?,
    };
    let (context, setup) = {
        let security = device.push_security(client, server)?;
        let mut context = push_context::<C>(&security).ok()?;
        context.set_peer_title(peer);
        context.set_required(security.policy.request);
        (context, security.setup)
    };
    let floor = ReceiveFloor::new(device.floor(server, setup, peer));
    // A key that serves one message has no past.
    let floor = |key| if key == KeyId::Message { ReceiveFloor::new(0) } else { floor };
    let keys = device.general_keys(client, server, Some(peer));
    let opened = if D::OFFER.has(Conformance::GENERAL_PROTECTION) {
        general::unprotect(&context, &mut GeneralSession::new(), &keys, copy, floor)
    } else {
        general::unprotect_envelope(&context, copy, floor)
    };
    let opened = opened.ok()?;
    let confirm = DataNotificationConfirm::decode(copy.get(opened.plain)?).ok()?;
    let fresh = match (opened.counter, opened.transaction) {
        (Some(verified), _) if verified.key() == KeyId::Unicast => {
            device.accept_counter(server, setup, peer, verified.counter());
            true
        }
        (_, Some(transaction)) => device.accept_transaction(server, setup, peer, transaction),
        _ => false,
    };
    fresh.then_some((confirm.invoke, opened.layers.protection))
}

/// Protects the notification `plain` of `buffer` in place, which is moved to make room.
#[allow(clippy::too_many_arguments, reason = "how, for whom, with whose keys, and the octets")]
fn protect<C: Crypto, D: Device>(
    context: &Context<C>,
    messages: &mut GeneralSession<C>,
    layers: &Layers,
    setup: u8,
    (client, server): (ClientSap, ServerSap),
    counter: Option<u32>,
    device: &mut D,
    random: &mut dyn Random,
    buffer: &mut [u8],
    plain: Range<usize>,
) -> Result<Range<usize>, NotSent> {
    if !layers.needs_transaction() {
        let (Some(Cipher::Envelope(envelope)), Some(counter)) = (layers.cipher, counter) else { return Ok(plain) };
        return Ok(context.protect(envelope, context.control(layers.protection), counter, buffer, plain)?);
    }
    if !D::OFFER.has(Conformance::GENERAL_PROTECTION) {
        return Err(NotSent::Security);
    }
    // Where a counter keeps it fresh there need be none.
    let id = device.take_transaction(server, setup).map(TransactionId::new).unwrap_or_default();
    let (front, back) = layers.room(context.suite(), id.as_bytes().len());
    let place = front..front.saturating_add(plain.len());
    if place.end.saturating_add(back) > buffer.len() {
        return Err(NotSent::NoRoom);
    }
    buffer.copy_within(plain, front);
    let keys = device.general_keys(client, server, context.peer_title());
    let counter = || counter.ok_or(CounterExhausted);
    Ok(general::protect(context, messages, &keys, layers, &id, counter, random, buffer, place)?)
}

/// For protection that asks for no random numbers.
struct NotDrawn;

impl Random for NotDrawn {
    fn fill(&mut self, _: &mut [u8]) {}
}

fn push_context<C: Crypto>(security: &SecurityConfig<'_>) -> Result<Context<C>, SecurityError> {
    let keys = KeySet::new(security.suite, security.encryption_key, security.authentication_key)?;
    Context::new(security.system_title, &keys)
}

/// Why a notification could not be handed to the link.
pub(super) enum NotSent {
    /// There are no keys for it, or no counter is left.
    NoKeys,
    /// The storage does not hold it beside what waits.
    NoRoom,
    Security,
    Link(LinkError),
}

impl From<SecurityError> for NotSent {
    fn from(_: SecurityError) -> Self {
        Self::Security
    }
}
