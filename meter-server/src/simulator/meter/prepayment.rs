//! Payment metering of a simulated meter: when charges are collected, and what the switch does about it.

use dlms::cosem::token_gateway::TokenDeliveryMethod;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Meter;
use super::security::Security;
use crate::moment::Moment;
use crate::objects::{ControlState, PrepaymentState, SwitchEvent, SwitchState};
use crate::prepayment::{CHARGES_MAX, Prepayment, Supply, TokenVerifier, UnitPrice};

/// What a model says about payment.
pub(crate) struct ModelPrepayment {
    pub(crate) account: Prepayment,
    /// Key of the tokens of all its meters.
    pub(crate) token_key: Zeroizing<Vec<u8>>,
    /// Whether accounts are active from the beginning.
    pub(crate) active: bool,
}

/// The tokens of one meter: HMAC-SHA-256 of its system title and the token's body, its first twelve octets.
struct Tokens<'a> {
    key: &'a [u8],
    title: [u8; 8],
    security: &'a mut Security,
}

impl TokenVerifier for Tokens<'_> {
    fn verify(&self, body: &[u8], tag: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key) else { return false };
        mac.update(&self.title);
        mac.update(body);
        mac.verify_truncated_left(tag).is_ok()
    }

    fn keep(&mut self, number: u32) -> bool {
        self.security.keep_token_number(number)
    }
}

impl Meter {
    /// The account that the model gives the meter, active at `now` if it says so. Of what was before only the number of the
    /// last token is known, if that.
    pub(super) fn new_account(
        model: Option<&ModelPrepayment>,
        token_number: u32,
        now: Moment,
    ) -> Option<Box<Prepayment>> {
        let model = model?;
        let mut account = Box::new(Prepayment { token_number, ..model.account.clone() });
        if model.active {
            let _ = account.activate(now);
        }
        Some(account)
    }

    /// When a charge is collected, or changes its price, next, on the way to `until`.
    pub(super) fn prepayment_due(&self, until: Moment) -> Option<Moment> {
        self.account.as_deref()?.next_due(until)
    }

    /// Collects what is due, and changes prices.
    pub(super) fn run_prepayment(&mut self, at: Moment, until: Moment) {
        for number in 0..CHARGES_MAX {
            let Some(account) = self.account.as_deref().filter(|account| account.is_active()) else { return };
            let Some(charge) = account.charges.get(number) else { return };
            let (collection, price) = (charge.collection_due(until), charge.activation.1);
            // A period that ends with a price still has it.
            if collection.is_some_and(|due| due <= at) {
                self.collect(number, at);
            }
            if price.is_some_and(|due| due <= at) {
                self.change_price(number, at);
            }
        }
    }

    /// What charge `number` is collected by: what its commodity's register shows, that of the price to come, and the
    /// tariff's name.
    fn counted(&self, number: usize, at: Moment) -> Option<(i64, i64, String)> {
        let charge = self.prepayment().charges.get(number)?;
        let shown = |price: &UnitPrice| self.monitored_value(price.commodity, at).unwrap_or(0);
        let tariff = self.active_rate(0, at).map_or_else(String::new, |rate| rate.to_string());
        Some((shown(&charge.active), shown(&charge.passive), tariff))
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
        let enough = account.available() >= account.clearance_threshold;
        match (account.supply(), self.switch.state()) {
            (Supply::Unpaid, ControlState::Connected) => {
                // The mode may forbid it.
                let _ = self.operate(SwitchEvent::LocalDisconnect, at);
                self.unpaid = !self.switch.is_connected();
            }
            // What was opened for want of credit is closed again, now or when the mode allows it.
            (Supply::Paid, ControlState::ReadyForReconnection) if self.unpaid && enough => {
                let _ = self.operate(SwitchEvent::LocalReconnect, at);
            }
            // A remote disconnection stays. Once it is taken back, want of credit alone keeps the switch open.
            (Supply::Unpaid, ControlState::Disconnected) => self.unpaid = true,
            (Supply::Paid, ControlState::Disconnected) if enough => self.unpaid = false,
            // What a hand or the limiter has opened is theirs to close.
            _ => {}
        }
    }

    fn collect(&mut self, number: usize, at: Moment) {
        let Some((counted, _, tariff)) = self.counted(number, at) else { return };
        self.prepayment_mut().collect(number, counted, tariff.as_bytes(), at);
        self.prepayment_changed(at);
    }

    fn change_price(&mut self, number: usize, at: Moment) {
        let Some((counted, coming, tariff)) = self.counted(number, at) else { return };
        self.prepayment_mut().change_price(number, counted, coming, tariff.as_bytes(), at);
        self.prepayment_changed(at);
    }

    fn enter_token(&mut self, token: &[u8], at: Moment) {
        let Some(model) = self.model.prepayment.as_ref() else { return };
        let security = &mut self.security;
        let mut tokens = Tokens { key: &model.token_key, title: self.identity.system_title.0, security };
        if let Some(account) = self.account.as_deref_mut() {
            account.enter(token, TokenDeliveryMethod::Remote, &mut tokens, at);
        }
        self.prepayment_changed(at);
    }
}
