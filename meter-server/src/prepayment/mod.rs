//! Payment metering in its basic cycle (classes 111, 112, 113 and 115): an account whose credits pay for charges.
//!
//! Pure logic in fixed memory and whole numbers: amounts are counted in the account's currency, a power of ten of it, and
//! what a collection leaves over of a smaller fraction is kept for the next one. The meter tells what was consumed, when
//! time has come, and works the switch.
//!
//! Left out: friendly credit periods, load limiting by credit, charges by payment event, limits of provision, and tokens
//! of IEC 62055-41 (STS). Tokens here are [`Token`]s of a simple form of our own.

mod charge;
mod credit;
mod token;

pub use charge::{COLLECTIONS_MAX, Charge, Price, TARIFFS_MAX, UnitPrice};
pub use credit::Credit;
pub use token::{TOKEN_OCTETS, Token, TokenVerifier};

use dlms::cosem::account::{AccountStatus, CurrencyUnit, PaymentMode};
use dlms::cosem::charge::ChargeType;
use dlms::cosem::credit::CreditStatus;
use dlms::cosem::token_gateway::{TokenDeliveryMethod, TokenStatusCode};

use crate::moment::Moment;

/// Credits of an account.
pub const CREDITS_MAX: usize = 4;
/// Charges of an account.
pub const CHARGES_MAX: usize = 4;

/// What amounts are counted in.
#[derive(Clone, Debug, PartialEq)]
pub struct Currency {
    /// Three letters as ISO 4217 has them.
    pub name: heapless::Vec<u8, 8>,
    /// Power of ten of an amount.
    pub scale: i8,
    /// Kind of the unit.
    pub unit: CurrencyUnit,
}

/// What became of the last token.
#[derive(Clone, Debug, PartialEq)]
pub struct LastToken {
    /// Its octets.
    pub token: heapless::Vec<u8, TOKEN_OCTETS>,
    /// When it came.
    pub at: Option<Moment>,
    /// The step that it reached.
    pub status: TokenStatusCode,
    /// How it came.
    pub delivery: TokenDeliveryMethod,
}

/// An account with its credits and charges.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepayment {
    /// Whether supply is paid for in advance.
    pub mode: PaymentMode,
    /// Whether charges are collected.
    pub status: AccountStatus,
    /// When it was activated.
    pub activated: Option<Moment>,
    /// When it was closed.
    pub closed: Option<Moment>,
    /// What amounts are counted in.
    pub currency: Currency,
    /// Amount that has to be available before supply is resumed.
    pub clearance_threshold: i32,
    /// Amount below which credit is low.
    pub low_credit_threshold: i32,
    /// Amount below which the next credit may be used.
    pub next_credit_threshold: i32,
    /// The credits.
    pub credits: heapless::Vec<Credit, CREDITS_MAX>,
    /// The charges.
    pub charges: heapless::Vec<Charge, CHARGES_MAX>,
    /// The last token.
    pub last_token: LastToken,
    /// Number of the last token that was executed: those after it are new.
    pub token_number: u32,
}

/// Whether there is supply, as far as credit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// It is paid for.
    Paid,
    /// There is no credit.
    Unpaid,
}

impl Prepayment {
    /// Whether charges are collected and credit matters.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == AccountStatus::Active
    }

    /// Number of the credit in use, from 1; 0 for none.
    #[must_use]
    pub fn credit_in_use(&self) -> u8 {
        let place = self.credits.iter().position(|credit| credit.status == CreditStatus::InUse);
        place.and_then(|place| u8::try_from(place.checked_add(1)?).ok()).unwrap_or(0)
    }

    /// Sum of what can be spent, without what nobody has chosen yet.
    #[must_use]
    pub fn available(&self) -> i32 {
        self.credits.iter().filter(|credit| credit.is_confirmed()).map(Credit::spendable).fold(0, i32::saturating_add)
    }

    /// What has been taken of credits that are to be paid back.
    #[must_use]
    pub fn to_clear(&self) -> i32 {
        self.credits.iter().map(Credit::to_pay_back).fold(0, i32::saturating_add)
    }

    /// What is still to be paid of charges.
    #[must_use]
    pub fn debt(&self) -> i32 {
        self.charges.iter().map(|charge| charge.remaining).fold(0, i32::saturating_add)
    }

    /// The eight bits of `current_credit_status`, the first the most significant.
    #[must_use]
    pub fn credit_status(&self) -> u8 {
        let any = |status: CreditStatus| self.credits.iter().any(|credit| credit.status == status);
        let (in_use, available) = (self.credit_in_use() != 0, self.available());
        let selectable_in_use =
            self.credits.iter().any(|credit| credit.status == CreditStatus::InUse && credit.needs_confirmation());
        let bits = [
            in_use && available > 0,
            in_use && available < self.low_credit_threshold,
            any(CreditStatus::Enabled),
            any(CreditStatus::Selectable),
            any(CreditStatus::Selected),
            selectable_in_use,
            self.supply() == Supply::Unpaid,
            false,
        ];
        bits.into_iter()
            .zip(0_u32..)
            .fold(0, |octet, (set, bit)| octet | if set { 0x80_u8.wrapping_shr(bit) } else { 0 })
    }

    /// Whether there is supply: always where it is paid for afterwards, or the account is not active.
    #[must_use]
    pub fn supply(&self) -> Supply {
        let unpaid = self.is_active() && self.mode == PaymentMode::Prepayment && self.credit_in_use() == 0;
        if unpaid { Supply::Unpaid } else { Supply::Paid }
    }

    /// Puts the account in force; false when it is not a new one.
    #[must_use]
    pub fn activate(&mut self, at: Moment) -> bool {
        if self.status != AccountStatus::New {
            return false;
        }
        (self.status, self.activated) = (AccountStatus::Active, Some(at));
        for charge in &mut self.charges {
            charge.begin(at);
        }
        self.settle();
        true
    }

    /// Closes the account; false when it is not active.
    #[must_use]
    pub fn close(&mut self, at: Moment) -> bool {
        if self.status != AccountStatus::Active {
            return false;
        }
        (self.status, self.closed) = (AccountStatus::Closed, Some(at));
        true
    }

    /// Makes a closed account new: credits as they begin, and no debts. False when it is not closed.
    #[must_use]
    pub fn reset(&mut self) -> bool {
        if self.status != AccountStatus::Closed {
            return false;
        }
        (self.status, self.activated, self.closed) = (AccountStatus::New, None, None);
        self.credits.iter_mut().for_each(Credit::begin);
        for charge in &mut self.charges {
            (charge.remaining, charge.collected, charge.paid) = (0, None, 0);
        }
        true
    }

    /// Which credit is in use, after amounts or choices have changed: of those with something left the one with the
    /// highest priority, which is the lowest number, unless it waits for a confirmation.
    pub fn settle(&mut self) {
        for credit in &mut self.credits {
            credit.consume();
        }
        let usable = |credit: &Credit| credit.priority > 0 && credit.spendable() > 0 && credit.is_confirmed();
        let best = self.credits.iter().filter(|credit| usable(credit)).map(|credit| credit.priority).min();
        // What waits for a confirmation can be chosen when what comes before it is nearly used up.
        let left =
            self.credits.iter().filter(|credit| usable(credit)).map(Credit::spendable).fold(0, i32::saturating_add);
        let offered = left <= self.next_credit_threshold;
        for credit in &mut self.credits {
            credit.settle(best == Some(credit.priority), offered);
        }
    }

    /// Takes an amount from the credits, one after the other. What no credit is left for is taken from the last one in use
    /// below its limit: energy that has flowed is paid for.
    fn debit(&mut self, amount: i32) {
        let mut left = amount;
        while left > 0 {
            let Some(credit) = self.credits.iter_mut().find(|credit| credit.status == CreditStatus::InUse) else {
                break;
            };
            let part = left.min(credit.spendable());
            credit.amount = credit.amount.saturating_sub(part);
            left = left.saturating_sub(part);
            self.settle();
        }
        if left > 0
            && let Some(credit) =
                self.credits.iter_mut().filter(|credit| credit.priority > 0).max_by_key(|credit| credit.is_confirmed())
        {
            credit.amount = credit.amount.saturating_sub(left);
            self.settle();
        }
    }

    /// When a charge is to be collected, or a price changes, next, for a meter that makes up for the time until `until`.
    #[must_use]
    pub fn next_due(&self, until: Moment) -> Option<Moment> {
        if !self.is_active() {
            return None;
        }
        self.charges.iter().filter_map(|charge| charge.due(until)).min()
    }

    /// Collects what charge `number` demands at the price in use, for all periods that have passed: `counted` is what its
    /// commodity's register shows, and `tariff` the name of the tariff in force.
    pub fn collect(&mut self, number: usize, counted: i64, tariff: &[u8], at: Moment) {
        let scale = self.currency.scale;
        let Some(charge) = self.charges.get_mut(number).filter(|_| self.status == AccountStatus::Active) else {
            return;
        };
        let amount = match charge.kind {
            ChargeType::Consumption => charge.consumed(counted, tariff, scale),
            ChargeType::Time => charge.passed(tariff, scale, at),
            _ => 0,
        };
        charge.take(amount, at);
        self.debit(amount);
    }

    /// Takes the price to come of charge `number` into use. What was consumed until now, which is `counted` by the register
    /// so far, has the price so far; `coming` is what the register of the price to come shows. A charge by time is collected
    /// when its period ends, and not because of its price.
    pub fn change_price(&mut self, number: usize, counted: i64, coming: i64, tariff: &[u8], at: Moment) {
        let due = |charge: &Charge| charge.kind == ChargeType::Consumption && charge.collected != Some(at);
        if self.charges.get(number).is_some_and(due) {
            self.collect(number, counted, tariff, at);
        }
        if let Some(charge) = self.charges.get_mut(number) {
            charge.change_price(coming);
        }
    }

    /// Place of the first credit that takes tokens, if `amount` fits there.
    fn room(&self, amount: i32) -> Option<usize> {
        let (place, credit) = self.credits.iter().enumerate().find(|(_, credit)| credit.takes_tokens())?;
        credit.amount.checked_add(amount).map(|_| place)
    }

    /// A payment of `amount`: first what is to be paid back, then the credit at `place`.
    fn top_up(&mut self, place: usize, amount: i32) {
        let mut left = amount;
        for credit in self.credits.iter_mut() {
            let part = left.min(credit.to_pay_back());
            credit.pay_back(part);
            left = left.saturating_sub(part);
        }
        if let Some(credit) = self.credits.get_mut(place) {
            credit.amount = credit.amount.saturating_add(left);
        }
        self.settle();
    }

    /// A token was entered. Returns what became of it; credit is there when it was executed.
    pub fn enter(
        &mut self,
        octets: &[u8],
        delivery: TokenDeliveryMethod,
        verifier: &mut dyn TokenVerifier,
        at: Moment,
    ) -> TokenStatusCode {
        let status = self.execute(octets, verifier);
        let token = octets.iter().copied().take(TOKEN_OCTETS).collect();
        self.last_token = LastToken { token, at: Some(at), status, delivery };
        status
    }

    fn execute(&mut self, octets: &[u8], verifier: &mut dyn TokenVerifier) -> TokenStatusCode {
        let Some(token) = Token::parse(octets) else { return TokenStatusCode::FormatFailure };
        if !token.is_authentic(octets, verifier) {
            return TokenStatusCode::AuthenticationFailure;
        }
        // Each token counts once, and none that is older than one that did.
        if token.number <= self.token_number || token.amount <= 0 {
            return TokenStatusCode::ValidationFailure;
        }
        let Some(place) = self.room(token.amount).filter(|_| self.is_active()) else {
            return TokenStatusCode::ExecutionFailure;
        };
        // Kept before there is credit: rather a token that is lost with the power than one that counts twice.
        if !verifier.keep(token.number) {
            return TokenStatusCode::ExecutionFailure;
        }
        self.token_number = token.number;
        self.top_up(place, token.amount);
        TokenStatusCode::ExecutionOk
    }
}

#[cfg(test)]
mod tests;
