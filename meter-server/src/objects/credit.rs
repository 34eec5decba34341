//! Credit (class 112, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::BitString;
use dlms::cosem::credit;
use dlms::cosem::{Answer, Reply, Zero};
use dlms::obis::ObisCode;

use super::account::PrepaymentState;
use crate::object::Context;
use crate::prepayment;

type Answered = Result<Progress, DataAccessResult>;

/// One source of credit.
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    /// Logical name.
    pub instance: ObisCode,
    /// Place among the account's credits, from 0.
    pub place: usize,
}

serve!(credit: [S: PrepaymentState + ?Sized] Credit);

impl Credit {
    fn of<S: PrepaymentState + ?Sized>(self, state: &S) -> Result<&prepayment::Credit, DataAccessResult> {
        state.prepayment().credits.get(self.place).ok_or(DataAccessResult::ObjectUnavailable)
    }

    fn change<S: PrepaymentState + ?Sized>(
        self,
        state: &mut S,
        cx: &Context<'_, S>,
        change: impl FnOnce(&mut prepayment::Credit) -> bool,
    ) -> Result<(), ActionResult> {
        let credit = state.prepayment_mut().credits.get_mut(self.place).ok_or(ActionResult::ObjectUnavailable)?;
        if !change(credit) {
            return Err(ActionResult::OtherReason);
        }
        state.prepayment_mut().settle();
        state.prepayment_changed(cx.at);
        Ok(())
    }
}

macro_rules! fields {
    ($($get:ident, $type:ident, |$credit:ident| $value:expr;)*) => {$(
        fn $get(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, credit::$type>) -> Answered {
            let $credit = self.of(state)?;
            answer.value(&$value)
        }
    )*};
}

impl<'c, S: PrepaymentState + ?Sized> credit::Server<S, Context<'c, S>> for Credit {
    fields! {
        current_credit_amount, CurrentCreditAmount, |credit| credit.amount;
        credit_type, Kind, |credit| credit.kind;
        priority, Priority, |credit| credit.priority;
        warning_threshold, WarningThreshold, |credit| credit.warning;
        limit, Limit, |credit| credit.limit;
        credit_status, Status, |credit| credit.status;
        preset_credit_amount, PresetCreditAmount, |credit| credit.preset;
        credit_available_threshold, CreditAvailableThreshold, |credit| credit.available_threshold;
        period, Period, |credit| credit.period;
    }

    fn credit_configuration(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, credit::Configuration>,
    ) -> Answered {
        let octet = [self.of(state)?.configuration];
        answer.written(|out| out.bit_string(&BitString::new(&octet, 5).unwrap_or(BitString::EMPTY)))
    }

    fn set_warning_threshold(&self, state: &mut S, cx: &Context<'c, S>, value: i32) -> Result<(), DataAccessResult> {
        let set = |credit: &mut prepayment::Credit| {
            credit.warning = value;
            true
        };
        self.change(state, cx, set).map_err(|_| DataAccessResult::ObjectUnavailable)
    }

    fn set_preset_credit_amount(&self, state: &mut S, cx: &Context<'c, S>, value: i32) -> Result<(), DataAccessResult> {
        let set = |credit: &mut prepayment::Credit| {
            credit.preset = value;
            true
        };
        self.change(state, cx, set).map_err(|_| DataAccessResult::ObjectUnavailable)
    }

    fn update_amount(&self, state: &mut S, cx: &Context<'c, S>, value: i32) -> Result<(), ActionResult> {
        self.change(state, cx, |credit| {
            let amount = credit.amount.checked_add(value);
            credit.amount = amount.unwrap_or(credit.amount);
            amount.is_some()
        })
    }

    fn set_amount_to_value(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: i32,
        reply: Reply<'_, '_, credit::SetAmountToValue>,
    ) -> Result<(), ActionResult> {
        let before = self.of(state).map_err(|_| ActionResult::ObjectUnavailable)?.amount;
        self.change(state, cx, |credit| {
            credit.amount = value;
            true
        })?;
        reply.value(&before)
    }

    fn invoke_credit(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.change(state, cx, prepayment::Credit::invoke)
    }
}
