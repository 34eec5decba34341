//! Data (class 1), Register (3), Extended register (4) and Demand register (5).
//!
//! Registers offer no method `reset`: measured values are not set back. What a demand register lets clients do is up to
//! the meter.

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::cosem::{Answer, ToData, Zero, data, demand_register, extended_register, register};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use dlms::unit::ScalerUnit;

use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// Writes an array of what `element` makes of each item.
pub(super) fn write_array<'i, I, T: ToData>(
    out: &mut Writer<'_>,
    items: &'i [I],
    element: impl Fn(&'i I) -> T,
) -> Result<(), BufferFull> {
    out.array(items.len())?;
    items.iter().try_for_each(|item| element(item).to_data(out))
}

/// Where the value of a [`DataObject`] or [`Register`] comes from.
pub trait Value<S: ?Sized> {
    /// Writes the value at the moment of `cx` as A-XDR `Data`.
    ///
    /// # Errors
    /// What the client gets instead.
    fn get(&self, state: &S, cx: &Context<'_, S>, out: &mut Writer<'_>) -> Result<(), DataAccessResult>;

    /// Takes a new value; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; the value is unchanged then.
    fn set(&self, state: &mut S, cx: &Context<'_, S>, value: Data<'_>) -> Result<(), DataAccessResult> {
        let _ = (state, cx, value);
        Err(DataAccessResult::ReadWriteDenied)
    }
}

/// A value that was captured at some moment, such as a maximum.
pub trait Captured<S: ?Sized>: Value<S> {
    /// When the value was captured; all fields unspecified when nothing was.
    fn capture_time(&self, state: &S, cx: &Context<'_, S>) -> DateTime;

    /// The value's status word.
    fn status(&self, state: &S, cx: &Context<'_, S>) -> u8 {
        let _ = (state, cx);
        0
    }
}

/// An average over periods of fixed length.
pub trait Demand<S: ?Sized> {
    /// Writes the average of the running period: what was counted since its start over its whole length, so that it
    /// climbs from zero.
    ///
    /// # Errors
    /// What the client gets instead.
    fn current_average(&self, state: &S, cx: &Context<'_, S>, out: &mut Writer<'_>) -> Result<(), DataAccessResult>;

    /// Writes the average of the last complete period.
    ///
    /// # Errors
    /// What the client gets instead.
    fn last_average(&self, state: &S, cx: &Context<'_, S>, out: &mut Writer<'_>) -> Result<(), DataAccessResult>;

    /// End of the last complete period.
    fn capture_time(&self, state: &S, cx: &Context<'_, S>) -> DateTime;

    /// Start of the running period.
    fn start_time(&self, state: &S, cx: &Context<'_, S>) -> DateTime {
        self.capture_time(state, cx)
    }

    /// Length of a period in seconds.
    fn period_seconds(&self, state: &S) -> u32;

    /// Periods that are averaged together; more than one makes a sliding average.
    fn periods(&self, state: &S) -> u16 {
        let _ = state;
        1
    }

    /// Changes the length of a period; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; nothing is changed then.
    fn set_period(&self, state: &mut S, cx: &Context<'_, S>, seconds: u32) -> Result<(), DataAccessResult> {
        let _ = (state, cx, seconds);
        Err(DataAccessResult::ReadWriteDenied)
    }

    /// Changes the number of periods; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; nothing is changed then.
    fn set_periods(&self, state: &mut S, cx: &Context<'_, S>, periods: u16) -> Result<(), DataAccessResult> {
        let _ = (state, cx, periods);
        Err(DataAccessResult::ReadWriteDenied)
    }

    /// Clears both averages and starts anew; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; nothing is changed then.
    fn reset(&self, state: &mut S, cx: &Context<'_, S>) -> Result<(), ActionResult> {
        let _ = (state, cx);
        Err(ActionResult::ReadWriteDenied)
    }

    /// Ends the running period early; refused unless overridden.
    ///
    /// # Errors
    /// What the client gets; nothing is changed then.
    fn next_period(&self, state: &mut S, cx: &Context<'_, S>) -> Result<(), ActionResult> {
        let _ = (state, cx);
        Err(ActionResult::ReadWriteDenied)
    }

    /// The last average's status word.
    fn status(&self, state: &S, cx: &Context<'_, S>) -> u8 {
        let _ = (state, cx);
        0
    }
}

/// An object with a value of any type: identifiers, status words, counters.
#[derive(Clone, Copy, Debug)]
pub struct DataObject<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attribute 2.
    pub value: V,
}

/// A number with a scaler and a unit.
#[derive(Clone, Copy, Debug)]
pub struct Register<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attribute 2.
    pub value: V,
    /// Attribute 3.
    pub scaler_unit: ScalerUnit,
}

/// A register that also says how and when its value came about.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedRegister<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attributes 2, 4 and 5.
    pub value: V,
    /// Attribute 3.
    pub scaler_unit: ScalerUnit,
}

/// Averages with a scaler and a unit.
#[derive(Clone, Copy, Debug)]
pub struct DemandRegister<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attributes 2, 3 and 5 to 9.
    pub demand: V,
    /// Attribute 4.
    pub scaler_unit: ScalerUnit,
}

serve!(data: [S: ?Sized, V: Value<S>] DataObject<V>);
serve!(register: [S: ?Sized, V: Value<S>] Register<V>);
serve!(extended_register: [S: ?Sized, V: Captured<S>] ExtendedRegister<V>);
serve!(demand_register: [S: ?Sized, V: Demand<S>] DemandRegister<V>);

impl<'c, S: ?Sized, V: Value<S>> data::Server<S, Context<'c, S>> for DataObject<V> {
    fn value(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, data::Value>) -> Answered {
        answer.written(|out| self.value.get(state, cx, out))
    }

    fn set_value(&self, state: &mut S, cx: &Context<'c, S>, value: Data<'_>) -> Result<(), DataAccessResult> {
        self.value.set(state, cx, value)
    }
}

impl<'c, S: ?Sized, V: Value<S>> register::Server<S, Context<'c, S>> for Register<V> {
    fn value(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, register::Value>) -> Answered {
        answer.written(|out| self.value.get(state, cx, out))
    }

    fn set_value(&self, state: &mut S, cx: &Context<'c, S>, value: Data<'_>) -> Result<(), DataAccessResult> {
        self.value.set(state, cx, value)
    }

    fn scaler_unit(&self, _: &S, _: &Context<'c, S>, answer: Answer<'_, '_, register::ScalerUnit>) -> Answered {
        answer.value(&self.scaler_unit)
    }
}

impl<'c, S: ?Sized, V: Captured<S>> extended_register::Server<S, Context<'c, S>> for ExtendedRegister<V> {
    fn value(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, extended_register::Value>) -> Answered {
        answer.written(|out| self.value.get(state, cx, out))
    }

    fn scaler_unit(
        &self,
        _: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, extended_register::ScalerUnit>,
    ) -> Answered {
        answer.value(&self.scaler_unit)
    }

    fn status(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, extended_register::Status>) -> Answered {
        answer.value(&Data::Unsigned(self.value.status(state, cx)))
    }

    fn capture_time(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, extended_register::CaptureTime>,
    ) -> Answered {
        answer.value(&self.value.capture_time(state, cx))
    }
}

impl<'c, S: ?Sized, V: Demand<S>> demand_register::Server<S, Context<'c, S>> for DemandRegister<V> {
    fn current_average_value(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, demand_register::CurrentAverageValue>,
    ) -> Answered {
        answer.written(|out| self.demand.current_average(state, cx, out))
    }

    fn last_average_value(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, demand_register::LastAverageValue>,
    ) -> Answered {
        answer.written(|out| self.demand.last_average(state, cx, out))
    }

    fn scaler_unit(&self, _: &S, _: &Context<'c, S>, answer: Answer<'_, '_, demand_register::ScalerUnit>) -> Answered {
        answer.value(&self.scaler_unit)
    }

    fn status(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, demand_register::Status>) -> Answered {
        answer.value(&Data::Unsigned(self.demand.status(state, cx)))
    }

    fn capture_time(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, demand_register::CaptureTime>,
    ) -> Answered {
        answer.value(&self.demand.capture_time(state, cx))
    }

    fn start_time_current(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, demand_register::StartTimeCurrent>,
    ) -> Answered {
        answer.value(&self.demand.start_time(state, cx))
    }

    fn period(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, demand_register::Period>) -> Answered {
        answer.value(&self.demand.period_seconds(state))
    }

    fn number_of_periods(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, demand_register::NumberOfPeriods>,
    ) -> Answered {
        answer.value(&self.demand.periods(state))
    }

    fn set_period(&self, state: &mut S, cx: &Context<'c, S>, seconds: u32) -> Result<(), DataAccessResult> {
        self.demand.set_period(state, cx, seconds)
    }

    fn set_number_of_periods(&self, state: &mut S, cx: &Context<'c, S>, periods: u16) -> Result<(), DataAccessResult> {
        self.demand.set_periods(state, cx, periods)
    }

    fn reset(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.demand.reset(state, cx)
    }

    fn next_period(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.demand.next_period(state, cx)
    }
}
