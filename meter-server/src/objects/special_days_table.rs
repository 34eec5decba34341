//! Special days table (class 11, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::special_days_table::{self, SpecialDay};
use dlms::cosem::{Answer, Array};
use dlms::obis::ObisCode;

use crate::moment::Moment;
use crate::object::Context;
use crate::tariff::SpecialDays;

/// A meter whose calendar has special days.
pub trait SpecialDaysState {
    /// The special days.
    fn special_days(&self) -> &SpecialDays;

    /// Replaces them at this moment.
    fn set_special_days(&mut self, days: SpecialDays, at: Moment);
}

/// Days that follow another day profile than the week says.
#[derive(Clone, Copy, Debug)]
pub struct SpecialDaysTable {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(special_days_table: [S: SpecialDaysState + ?Sized] SpecialDaysTable);

impl<'c, S: SpecialDaysState + ?Sized> special_days_table::Server<S, Context<'c, S>> for SpecialDaysTable {
    fn entries(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, special_days_table::Entries>,
    ) -> Result<Progress, DataAccessResult> {
        answer.value(&Array::from(state.special_days().entries()))
    }

    fn set_entries(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: Array<'_, SpecialDay>,
    ) -> Result<(), DataAccessResult> {
        let mut days = SpecialDays::NONE;
        for day in value {
            if !days.insert(day.map_err(|_| DataAccessResult::TypeUnmatched)?) {
                return Err(DataAccessResult::OtherReason);
            }
        }
        state.set_special_days(days, cx.at);
        Ok(())
    }

    fn insert(&self, state: &mut S, cx: &Context<'c, S>, day: SpecialDay) -> Result<(), ActionResult> {
        let mut days = state.special_days().clone();
        if !days.insert(day) {
            return Err(ActionResult::OtherReason);
        }
        state.set_special_days(days, cx.at);
        Ok(())
    }

    fn delete(&self, state: &mut S, cx: &Context<'c, S>, index: u16) -> Result<(), ActionResult> {
        let mut days = state.special_days().clone();
        if !days.delete(index) {
            return Err(ActionResult::OtherReason);
        }
        state.set_special_days(days, cx.at);
        Ok(())
    }
}
