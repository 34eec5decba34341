//! Charge (class 113, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::{BitString, BufferFull, Writer};
use dlms::cosem::charge::{self, ChargeScaling, ChargeTableElement};
use dlms::cosem::{Answer, Array, Tagged, ToData, Zero};
use dlms::obis::ObisCode;
use dlms::time::DateTime;

use super::account::{PrepaymentState, stamp};
use super::activity_calendar::name;
use super::values::write_array;
use crate::object::Context;
use crate::prepayment::{self, Price, UnitPrice};

type Answered = Result<Progress, DataAccessResult>;

/// One thing that is paid for.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// Logical name.
    pub instance: ObisCode,
    /// Place among the account's charges, from 0.
    pub place: usize,
}

serve!(charge: [S: PrepaymentState + ?Sized] Charge);

impl Charge {
    fn of<S: PrepaymentState + ?Sized>(self, state: &S) -> Result<&prepayment::Charge, DataAccessResult> {
        state.prepayment().charges.get(self.place).ok_or(DataAccessResult::ObjectUnavailable)
    }

    fn change<S: PrepaymentState + ?Sized>(
        self,
        state: &mut S,
        cx: &Context<'_, S>,
        change: impl FnOnce(&mut prepayment::Charge) -> Result<(), DataAccessResult>,
    ) -> Result<(), DataAccessResult> {
        let charge = state.prepayment_mut().charges.get_mut(self.place).ok_or(DataAccessResult::ObjectUnavailable)?;
        change(charge)?;
        state.prepayment_changed(cx.at);
        Ok(())
    }
}

fn write_price(price: &UnitPrice, out: &mut Writer<'_>) -> Result<(), BufferFull> {
    out.structure(3)?;
    ChargeScaling { commodity_scale: price.commodity_scale, price_scale: price.price_scale }.to_data(out)?;
    price.commodity.to_data(out)?;
    write_array(out, &price.prices, |price| ChargeTableElement {
        index: &price.tariff,
        charge_per_unit: price.per_unit,
    })
}

const fn action_result(refusal: DataAccessResult) -> ActionResult {
    match refusal {
        DataAccessResult::TypeUnmatched => ActionResult::TypeUnmatched,
        _ => ActionResult::OtherReason,
    }
}

macro_rules! fields {
    ($($get:ident, $type:ident, |$charge:ident| $value:expr;)*) => {$(
        fn $get(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, charge::$type>) -> Answered {
            let $charge = self.of(state)?;
            answer.value(&$value)
        }
    )*};
}

impl<'c, S: PrepaymentState + ?Sized> charge::Server<S, Context<'c, S>> for Charge {
    fields! {
        total_amount_paid, TotalAmountPaid, |charge| charge.paid;
        charge_type, Kind, |charge| charge.kind;
        priority, Priority, |charge| charge.priority;
        unit_charge_activation_time, UnitChargeActivationTime, |charge| charge.activation.0;
        period, Period, |charge| charge.period_s;
        last_collection_amount, LastCollectionAmount, |charge| charge.last_amount;
        total_amount_remaining, TotalAmountRemaining, |charge| charge.remaining;
        proportion, Proportion, |charge| charge.proportion;
    }

    fn unit_charge_active(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, charge::UnitChargeActive>,
    ) -> Answered {
        let price = &self.of(state)?.active;
        answer.written(|out| write_price(price, out))
    }

    fn unit_charge_passive(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, charge::UnitChargePassive>,
    ) -> Answered {
        let price = &self.of(state)?.passive;
        answer.written(|out| write_price(price, out))
    }

    fn charge_configuration(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, charge::Configuration>,
    ) -> Answered {
        let octet = [self.of(state)?.configuration];
        answer.written(|out| out.bit_string(&BitString::new(&octet, 2).unwrap_or(BitString::EMPTY)))
    }

    fn last_collection_time(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, charge::LastCollectionTime>,
    ) -> Answered {
        let collected = self.of(state)?.collected;
        answer.value(&Tagged(stamp(state, collected)))
    }

    fn set_unit_charge_activation_time(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: DateTime,
    ) -> Result<(), DataAccessResult> {
        let moment = state.settings().utc(value);
        self.change(state, cx, |charge| {
            charge.activation = (value, moment);
            Ok(())
        })
    }

    fn update_unit_charge(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        prices: Array<'_, ChargeTableElement<'_>>,
    ) -> Result<(), ActionResult> {
        let change = |charge: &mut prepayment::Charge| {
            let mut passive = charge.passive.prices.clone();
            for price in prices {
                let price = price.map_err(|_| DataAccessResult::TypeUnmatched)?;
                let price = Price { tariff: name(price.index)?, per_unit: price.charge_per_unit };
                match passive.iter_mut().find(|known| known.tariff == price.tariff) {
                    Some(known) => *known = price,
                    None => passive.push(price).map_err(|_| DataAccessResult::OtherReason)?,
                }
            }
            charge.passive.prices = passive;
            Ok(())
        };
        self.change(state, cx, change).map_err(action_result)
    }

    fn activate_passive_unit_charge(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        state.change_price(self.place, cx.at);
        Ok(())
    }

    fn collect(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        state.collect(self.place, cx.at);
        Ok(())
    }

    fn update_total_amount_remaining(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: i32,
    ) -> Result<(), ActionResult> {
        let change = |charge: &mut prepayment::Charge| {
            charge.remaining = charge.remaining.checked_add(value).ok_or(DataAccessResult::OtherReason)?;
            Ok(())
        };
        self.change(state, cx, change).map_err(action_result)
    }

    fn set_total_amount_remaining(&self, state: &mut S, cx: &Context<'c, S>, value: i32) -> Result<(), ActionResult> {
        let change = |charge: &mut prepayment::Charge| {
            charge.remaining = value;
            Ok(())
        };
        self.change(state, cx, change).map_err(action_result)
    }
}
