//! Notifications that arrive within an association: which they are, and the confirmation that some ask for.

use core::ops::Range;

use super::{Connection, Place, State};
use crate::apdu::{DataNotificationConfirm, LongInvokeIdAndPriority, tag};
use crate::axdr::{Reader, Writer};
use crate::link::{Link, LinkError, Storage};
use crate::security::general;
use crate::security::{Crypto, Envelope, HEADROOM, ProtectedHeader, Protection, Random};

/// Confirmations that can wait; a notification whose confirmation found no place is sent again by the meter.
pub(super) const CONFIRMATIONS: usize = 4;

/// DataNotification, EventNotification, InformationReport in clear: nobody asked for them.
pub(super) const fn is_unsolicited(tag: u8) -> bool {
    matches!(tag, tag::DATA_NOTIFICATION | tag::EVENT_NOTIFICATION | tag::INFORMATION_REPORT)
}

/// Their ciphered forms, where the service has one.
pub(super) const fn is_ciphered_notification(tag: u8) -> bool {
    matches!(tag, 0xCA | 0xD2 | 0x38 | 0x58)
}

/// A confirmation that a notification in clear asks for.
pub(super) fn to_confirm(plain: &[u8]) -> Option<LongInvokeIdAndPriority> {
    let mut head = Reader::new(plain);
    let asked = head.u8().ok()? == tag::DATA_NOTIFICATION;
    let invoke = LongInvokeIdAndPriority(head.u32().ok()?);
    (asked && invoke.is_confirmed()).then_some(invoke)
}

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Whether a ciphered APDU that does not open in this association need not be the answer that is waited for: a
    /// notification under other keys. Answers come in the envelope of their request.
    pub(super) fn is_foreign(&mut self, place: Place, whole: &Range<usize>) -> bool {
        let State::Associated(session) = &self.state else { return false };
        let octets = match place {
            Place::Link => self.link.apdu(),
            Place::Long => self.long.as_mut(),
        };
        let apdu = octets.get(whole.clone()).unwrap_or_default();
        let Ok(header) = ProtectedHeader::parse(apdu) else { return false };
        if is_ciphered_notification(header.tag) {
            return true;
        }
        match &session.security {
            None => header.envelope.is_general(),
            Some(secured) => {
                let other_title = header.title.is_some_and(|title| secured.context.peer_title() != Some(title));
                header.envelope.is_general() && (header.envelope != secured.envelope() || other_title)
            }
        }
    }

    /// Whether general-ciphering or general-signing protects something else than the answer that is waited for, which
    /// echoes the transaction-id of its request. It is left as it came.
    pub(super) fn is_of_another_transaction(&mut self, place: Place, whole: &Range<usize>) -> bool {
        let State::Associated(session) = &self.state else { return false };
        let octets = match place {
            Place::Link => self.link.apdu(),
            Place::Long => self.long.as_mut(),
        };
        let Ok(header) = general::outer_header(octets.get(whole.clone()).unwrap_or_default()) else { return false };
        let own = session.security.as_ref().map(|secured| secured.transaction().as_bytes());
        own != Some(header.transaction_id)
    }

    /// Whether a notification with this protection is to be believed in this association.
    pub(super) fn is_protected_enough(&self, protection: Protection) -> bool {
        match &self.state {
            State::Associated(session) => {
                session.security.as_ref().is_none_or(|secured| protection.covers(secured.context.required()))
            }
            _ => false,
        }
    }

    /// Sends a confirmation that waits, between requests.
    pub(super) fn confirm_next(&mut self) {
        if self.pending.is_some() {
            return;
        }
        let Some((invoke, protection)) = self.confirmations.pop() else { return };
        match self.confirm(invoke, protection) {
            Ok(()) => {}
            Err(Some(LinkError::Busy)) => self.confirmations.push((invoke, protection)),
            // The meter sends the notification again.
            Err(_) => {}
        }
    }

    fn confirm(&mut self, invoke: LongInvokeIdAndPriority, protection: Protection) -> Result<(), Option<LinkError>> {
        let State::Associated(session) = &mut self.state else { return Err(None) };
        let mut out = Writer::new(self.out.as_mut().get_mut(HEADROOM..).unwrap_or_default());
        DataNotificationConfirm { invoke, time: None }.encode(&mut out).map_err(|_| None)?;
        let plain = HEADROOM..HEADROOM.saturating_add(out.len());
        let placed = match &mut session.security {
            Some(secured) if !protection.is_none() => {
                // The confirmation has no ciphered form of its own.
                let dedicated = secured.context.has_dedicated_key();
                let envelope = if dedicated { Envelope::GeneralDedicated } else { Envelope::GeneralGlobal };
                let (counter, buffer) = (&mut self.counter, self.out.as_mut());
                match self.general.as_mut().filter(|_| protection.signed) {
                    Some(general) => {
                        let protection = protection.union(secured.protection);
                        let random = &mut self.random;
                        secured.protect_general(general, protection, envelope, counter, random, buffer, plain)
                    }
                    None => secured.protect(envelope, counter, buffer, plain),
                }
                .map_err(|_| None)?
            }
            _ => plain,
        };
        let apdu = self.out.as_ref().get(placed).unwrap_or_default();
        self.link.send_unconfirmed(apdu, self.now).map_err(Some)
    }

    /// An APDU that answers nothing: late, or to another request. Counted and dropped.
    pub(super) fn count_late(&mut self) {
        self.late_answers = self.late_answers.saturating_add(1);
    }
}
