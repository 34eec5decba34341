//! One source of credit (class 112).

use dlms::cosem::credit::{CreditStatus, CreditType};
use dlms::obis::ObisCode;
use dlms::time::DateTime;

/// Bits of `credit_configuration`, the first the most significant of the octet.
const CONFIRMATION: u8 = 0x40;
const PAID_BACK: u8 = 0x20;
const TAKES_TOKENS: u8 = 0x08;

/// A credit of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    /// Logical name.
    pub instance: ObisCode,
    /// What is left.
    pub amount: i32,
    /// Kind.
    pub kind: CreditType,
    /// Order of use: 1 comes first, 0 is never used.
    pub priority: u8,
    /// Amount below which a warning is given.
    pub warning: i32,
    /// Amount at which it is used up.
    pub limit: i32,
    /// Five bits from the most significant on: shown, needs confirmation, has to be paid back, can be reset, takes tokens.
    pub configuration: u8,
    /// Status.
    pub status: CreditStatus,
    /// Amount that it begins with.
    pub preset: i32,
    /// Amount from which on it can be chosen.
    pub available_threshold: i32,
    /// When it begins anew.
    pub period: DateTime,
}

impl Credit {
    /// Makes it as it begins.
    pub(super) fn begin(&mut self) {
        (self.amount, self.status) = (self.preset, CreditStatus::Enabled);
    }

    /// What can be taken of it before it is used up.
    #[must_use]
    pub fn spendable(&self) -> i32 {
        self.amount.saturating_sub(self.limit).max(0)
    }

    pub(super) const fn needs_confirmation(&self) -> bool {
        self.configuration & CONFIRMATION != 0
    }

    /// Whether payments go to it.
    #[must_use]
    pub const fn takes_tokens(&self) -> bool {
        self.configuration & TAKES_TOKENS != 0
    }

    /// Whether it may be used: at once, or because somebody has chosen it.
    pub(super) fn is_confirmed(&self) -> bool {
        !self.needs_confirmation() || matches!(self.status, CreditStatus::Selected | CreditStatus::InUse)
    }

    /// What has been taken of it, if that is to be paid back.
    pub(super) fn to_pay_back(&self) -> i32 {
        if self.configuration & PAID_BACK == 0 { 0 } else { self.preset.saturating_sub(self.amount).max(0) }
    }

    pub(super) fn pay_back(&mut self, amount: i32) {
        self.amount = self.amount.saturating_add(amount);
        // Paid back in full, it waits to be chosen again.
        if amount > 0 && self.to_pay_back() == 0 {
            self.status = CreditStatus::Enabled;
        }
    }

    /// Notes that it is used up.
    pub(super) fn consume(&mut self) {
        let spent = self.spendable() == 0;
        match self.status {
            CreditStatus::Consumed if !spent => self.status = CreditStatus::Enabled,
            CreditStatus::Consumed => {}
            _ if spent && self.priority > 0 => self.status = CreditStatus::Consumed,
            _ => {}
        }
    }

    /// Takes the place that is left to it: in use if it is the `best`; one that needs a confirmation may be chosen while it
    /// is `offered`.
    pub(super) fn settle(&mut self, best: bool, offered: bool) {
        self.status = match self.status {
            CreditStatus::Consumed => CreditStatus::Consumed,
            _ if best && self.is_confirmed() && self.priority > 0 => CreditStatus::InUse,
            CreditStatus::InUse | CreditStatus::Selected if self.needs_confirmation() => CreditStatus::Selected,
            _ if self.needs_confirmation() && offered && self.amount >= self.available_threshold => {
                CreditStatus::Selectable
            }
            _ => CreditStatus::Enabled,
        };
    }

    /// Somebody chooses it; false when it cannot be chosen now.
    #[must_use]
    pub fn invoke(&mut self) -> bool {
        let possible = self.status == CreditStatus::Selectable;
        if possible {
            self.status = CreditStatus::Selected;
        }
        possible
    }
}
