//! Payment metering of a simulated meter: when charges are collected, and what the switch does about it.

use dlms::cosem::token_gateway::TokenDeliveryMethod;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Meter;
use crate::moment::Moment;
use crate::objects::{ControlState, PrepaymentState, SwitchEvent, SwitchState};
use crate::prepayment::{Prepayment, Supply, TokenVerifier};

/// What a model says about payment.
pub(crate) struct ModelPrepayment {
    pub(crate) account: Prepayment,
    /// Key of the tokens of all its meters.
    pub(crate) token_key: Zeroizing<Vec<u8>>,
    /// Whether accounts are active from the beginning.
    pub(crate) active: bool,
}

/// Collections that are made up for after a jump through time: later ones take all that was consumed at once.
const COLLECTIONS_MAX: usize = 4;

/// The tokens of one meter: HMAC-SHA-256 of its system title and the token's body, its first twelve octets.
struct Tokens<'a> {
    key: &'a [u8],
    title: [u8; 8],
}

impl TokenVerifier for Tokens<'_> {
    fn verify(&self, body: &[u8], tag: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key) else { return false };
        mac.update(&self.title);
        mac.update(body);
        mac.verify_truncated_left(tag).is_ok()
    }
}

impl Meter {
    /// The account that the model gives the meter, active at `now` if it says so.
    pub(super) fn new_account(model: Option<&ModelPrepayment>, now: Moment) -> Option<Box<Prepayment>> {
        let model = model?;
        let mut account = Box::new(model.account.clone());
        if model.active {
            let _ = account.activate(now);
        }
        Some(account)
    }

    /// When a charge is collected next.
    pub(super) fn prepayment_due(&self) -> Option<Moment> {
        self.account.as_deref()?.next_due()
    }

    /// Collects what is due.
    pub(super) fn run_prepayment(&mut self, at: Moment) {
        let Some(account) = self.account.as_deref() else { return };
        let due: Vec<usize> = (0..account.charges.len())
            .filter(|number| {
                account.charges.get(*number).and_then(crate::prepayment::Charge::due).is_some_and(|due| due <= at)
            })
            .take(COLLECTIONS_MAX)
            .collect();
        if account.is_active() {
            for number in due {
                self.collect(number, at);
            }
        }
    }
}

impl PrepaymentState for Meter {
    fn prepayment(&self) -> &Prepayment {
        self.account.as_deref().unwrap_or_else(|| unreachable!("an object of payment in a model without an account"))
    }

    fn prepayment_mut(&mut self) -> &mut Prepayment {
        self.account
            .as_deref_mut()
            .unwrap_or_else(|| unreachable!("an object of payment in a model without an account"))
    }

    fn prepayment_changed(&mut self, at: Moment) {
        let account = self.prepayment();
        let (supply, enough) = (account.supply(), account.available() >= account.clearance_threshold);
        let event = match (supply, self.switch.state()) {
            (Supply::Unpaid, ControlState::Connected) => SwitchEvent::LocalDisconnect,
            // Only what was opened for want of credit is closed again: a remote disconnection stays.
            (Supply::Paid, ControlState::ReadyForReconnection) if self.unpaid && enough => SwitchEvent::LocalReconnect,
            _ => return,
        };
        self.unpaid = supply == Supply::Unpaid;
        // The mode may forbid it.
        let _ = self.operate(event, at);
    }

    fn collect(&mut self, number: usize, at: Moment) {
        let Some(charge) = self.prepayment().charges.get(number) else { return };
        let counted = self.monitored_value(charge.active.commodity, at).unwrap_or(0);
        let tariff = self.active_rate(0, at).map(|rate| [b'0' + rate]);
        let tariff = tariff.as_ref().map_or(&[][..], |name| name);
        self.prepayment_mut().collect(number, counted, tariff, at);
        self.prepayment_changed(at);
    }

    fn enter_token(&mut self, token: &[u8], at: Moment) {
        let Some(model) = self.model.prepayment.as_ref() else { return };
        let tokens = Tokens { key: &model.token_key, title: self.identity.system_title.0 };
        if let Some(account) = self.account.as_deref_mut() {
            account.enter(token, TokenDeliveryMethod::Remote, &tokens, at);
        }
        self.prepayment_changed(at);
    }
}
