//! Account (class 111, version 0), and the state that all objects of payment metering share.

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::BitString;
use dlms::cosem::account::{self, AccountModeAndStatus, CreditCharge, Currency, TokenShare};
use dlms::cosem::{Answer, ToData, Utf8, Zero};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};

use super::clock::ClockState;
use crate::moment::Moment;
use crate::object::Context;
use crate::prepayment::Prepayment;

type Answered = Result<Progress, DataAccessResult>;
type Written = Result<(), DataAccessResult>;

/// A meter with an account.
pub trait PrepaymentState: ClockState {
    /// The account with its credits and charges.
    fn prepayment(&self) -> &Prepayment;

    /// The account, to be changed.
    fn prepayment_mut(&mut self) -> &mut Prepayment;

    /// The account was changed at this moment: the switch may have to follow.
    fn prepayment_changed(&mut self, at: Moment);

    /// Collects charge `number` at this moment.
    fn collect(&mut self, number: usize, at: Moment);

    /// Takes the price to come of charge `number` into use at this moment.
    fn change_price(&mut self, number: usize, at: Moment);

    /// A client enters a token.
    fn enter_token(&mut self, token: &[u8], at: Moment);
}

/// A moment by the meter's clock; not specified where there is none.
pub(super) fn stamp<S: ClockState + ?Sized>(state: &S, at: Option<Moment>) -> DateTime {
    at.map_or(DateTime::UNSPECIFIED, |at| state.settings().local(at, ClockStatus::OK))
}

/// The sum of credits and charges.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(account: [S: PrepaymentState + ?Sized] Account);

impl Account {
    fn change<S: PrepaymentState + ?Sized>(
        self,
        state: &mut S,
        at: Moment,
        change: impl FnOnce(&mut Prepayment) -> bool,
    ) -> Result<(), ActionResult> {
        if !change(state.prepayment_mut()) {
            return Err(ActionResult::OtherReason);
        }
        state.prepayment_changed(at);
        Ok(())
    }
}

macro_rules! amount {
    ($get:ident, $set:ident, $type:ident, $field:ident) => {
        fn $get(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, account::$type>) -> Answered {
            answer.value(&state.prepayment().$field)
        }

        fn $set(&self, state: &mut S, cx: &Context<'c, S>, value: i32) -> Written {
            state.prepayment_mut().$field = value;
            state.prepayment_mut().settle();
            state.prepayment_changed(cx.at);
            Ok(())
        }
    };
}

impl<'c, S: PrepaymentState + ?Sized> account::Server<S, Context<'c, S>> for Account {
    fn account_mode_and_status(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::ModeAndStatus>,
    ) -> Answered {
        let Prepayment { mode, status, .. } = *state.prepayment();
        answer.value(&AccountModeAndStatus { mode, status })
    }

    fn current_credit_in_use(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::CurrentCreditInUse>,
    ) -> Answered {
        answer.value(&state.prepayment().credit_in_use())
    }

    fn current_credit_status(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::CurrentCreditStatus>,
    ) -> Answered {
        let octet = [state.prepayment().credit_status()];
        answer.written(|out| out.bit_string(&BitString::new(&octet, 8).unwrap_or(BitString::EMPTY)))
    }

    fn available_credit(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::AvailableCredit>,
    ) -> Answered {
        answer.value(&state.prepayment().available())
    }

    fn amount_to_clear(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::AmountToClear>,
    ) -> Answered {
        answer.value(&state.prepayment().to_clear())
    }

    amount!(clearance_threshold, set_clearance_threshold, ClearanceThreshold, clearance_threshold);
    amount!(low_credit_threshold, set_low_credit_threshold, LowCreditThreshold, low_credit_threshold);
    amount!(
        next_credit_available_threshold,
        set_next_credit_available_threshold,
        NextCreditAvailableThreshold,
        next_credit_threshold
    );

    fn aggregated_debt(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::AggregatedDebt>,
    ) -> Answered {
        answer.value(&state.prepayment().debt())
    }

    fn credit_reference_list(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::CreditReferenceList>,
    ) -> Answered {
        answer.written(|out| super::values::write_array(out, &state.prepayment().credits, |credit| credit.instance))
    }

    fn charge_reference_list(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::ChargeReferenceList>,
    ) -> Answered {
        answer.written(|out| super::values::write_array(out, &state.prepayment().charges, |charge| charge.instance))
    }

    /// Every credit pays for every charge, connected or not.
    fn credit_charge_configuration(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::CreditChargeConfiguration>,
    ) -> Answered {
        let account = state.prepayment();
        answer.written(|out| {
            out.array(account.credits.len().saturating_mul(account.charges.len()))?;
            for credit in &account.credits {
                for charge in &account.charges {
                    let pays = CreditCharge {
                        credit_reference: credit.instance,
                        charge_reference: charge.instance,
                        collection_configuration: BitString::new(&[0x80], 3).unwrap_or(BitString::EMPTY),
                    };
                    pays.to_data(out)?;
                }
            }
            Ok::<_, DataAccessResult>(())
        })
    }

    /// All of a payment goes to the first credit that takes tokens, after what is paid back.
    fn token_gateway_configuration(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::TokenGatewayConfiguration>,
    ) -> Answered {
        let first = state.prepayment().credits.iter().find(|credit| credit.takes_tokens());
        answer.written(|out| {
            out.array(first.iter().count())?;
            match first {
                Some(credit) => TokenShare { credit_reference: credit.instance, proportion: 100 }.to_data(out),
                None => Ok(()),
            }
        })
    }

    fn account_activation_time(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::AccountActivationTime>,
    ) -> Answered {
        answer.value(&stamp(state, state.prepayment().activated))
    }

    fn account_closure_time(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::AccountClosureTime>,
    ) -> Answered {
        answer.value(&stamp(state, state.prepayment().closed))
    }

    fn currency(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, account::CurrencyInUse>) -> Answered {
        let currency = &state.prepayment().currency;
        answer.value(&Currency { name: Utf8(&currency.name), scale: currency.scale, unit: currency.unit })
    }

    /// Provision is not limited.
    fn max_provision(&self, _: &S, _: &Context<'c, S>, answer: Answer<'_, '_, account::MaxProvision>) -> Answered {
        answer.value(&0)
    }

    fn max_provision_period(
        &self,
        _: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, account::MaxProvisionPeriod>,
    ) -> Answered {
        answer.value(&0)
    }

    fn activate_account(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.change(state, cx.at, |account| account.activate(cx.at))
    }

    fn close_account(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.change(state, cx.at, |account| account.close(cx.at))
    }

    fn reset_account(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.change(state, cx.at, Prepayment::reset)
    }
}
