//! Clock (class 8, version 0).

mod settings;

pub use settings::{ClockSettings, PresetTime};

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::{Answer, Zero, clock};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};

use crate::moment::Moment;
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// Bounds of `shift_time`, in seconds (Blue Book, clock, method 6).
const SHIFT_SECONDS_MIN: i16 = -900;
const SHIFT_SECONDS_MAX: i16 = 900;

/// The clock of a meter: a display of true time that may be off.
pub trait ClockState {
    /// Time zone and daylight saving rules.
    fn settings(&self) -> &ClockSettings;

    /// Time zone and daylight saving rules, to be changed.
    fn settings_mut(&mut self) -> &mut ClockSettings;

    /// What the clock takes the true moment `at` for.
    fn shown(&self, at: Moment) -> Moment;

    /// Sets the clock: at the true moment `at` it is to show `shown`.
    fn set_shown(&mut self, at: Moment, shown: Moment);

    /// Status bits that say how far the clock can be trusted; the daylight saving bit is added by the object.
    fn trust(&self, at: Moment) -> ClockStatus {
        let _ = at;
        ClockStatus::OK
    }

    /// The true moment `at` as the clock shows it.
    fn local_time(&self, at: Moment) -> DateTime {
        self.settings().local(self.shown(at), self.trust(at))
    }
}

/// The meter's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(clock: [S: ClockState + ?Sized] Clock);

impl<'c, S: ClockState + ?Sized> clock::Server<S, Context<'c, S>> for Clock {
    fn time(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, clock::Time>) -> Answered {
        answer.value(&state.local_time(cx.at))
    }

    fn set_time(&self, state: &mut S, cx: &Context<'c, S>, value: DateTime) -> Result<(), DataAccessResult> {
        let shown = state.settings().utc(value).ok_or(DataAccessResult::OtherReason)?;
        state.set_shown(cx.at, shown);
        Ok(())
    }

    fn time_zone(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, clock::TimeZone>) -> Answered {
        answer.value(&state.settings().time_zone_min)
    }

    fn set_time_zone(&self, state: &mut S, _: &Context<'c, S>, value: i16) -> Result<(), DataAccessResult> {
        if !(-840..=840).contains(&value) {
            return Err(DataAccessResult::TypeUnmatched);
        }
        state.settings_mut().time_zone_min = value;
        Ok(())
    }

    fn status(&self, state: &S, cx: &Context<'c, S>, answer: Answer<'_, '_, clock::Status>) -> Answered {
        answer.value(&state.local_time(cx.at).status().unwrap_or(ClockStatus::OK))
    }

    fn daylight_savings_begin(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, clock::DaylightSavingsBegin>,
    ) -> Answered {
        answer.value(&state.settings().daylight_begin)
    }

    fn set_daylight_savings_begin(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        value: DateTime,
    ) -> Result<(), DataAccessResult> {
        state.settings_mut().daylight_begin = value;
        Ok(())
    }

    fn daylight_savings_end(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, clock::DaylightSavingsEnd>,
    ) -> Answered {
        answer.value(&state.settings().daylight_end)
    }

    fn set_daylight_savings_end(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        value: DateTime,
    ) -> Result<(), DataAccessResult> {
        state.settings_mut().daylight_end = value;
        Ok(())
    }

    fn daylight_savings_deviation(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, clock::DaylightSavingsDeviation>,
    ) -> Answered {
        answer.value(&state.settings().daylight_deviation_min)
    }

    fn set_daylight_savings_deviation(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        value: i8,
    ) -> Result<(), DataAccessResult> {
        if !(-120..=120).contains(&value) {
            return Err(DataAccessResult::TypeUnmatched);
        }
        state.settings_mut().daylight_deviation_min = value;
        Ok(())
    }

    fn daylight_savings_enabled(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, clock::DaylightSavingsEnabled>,
    ) -> Answered {
        answer.value(&state.settings().daylight_enabled)
    }

    fn set_daylight_savings_enabled(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        value: bool,
    ) -> Result<(), DataAccessResult> {
        state.settings_mut().daylight_enabled = value;
        Ok(())
    }

    fn clock_base(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, clock::Base>) -> Answered {
        answer.value(&state.settings().clock_base.into())
    }

    fn adjust_to_quarter(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        adjust(state, cx.at, 900_000);
        Ok(())
    }

    fn adjust_to_measuring_period(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        let seconds = state.settings().measuring_period_seconds;
        adjust(state, cx.at, i64::from(seconds).saturating_mul(1000));
        Ok(())
    }

    fn adjust_to_minute(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        adjust(state, cx.at, 60_000);
        Ok(())
    }

    fn adjust_to_preset_time(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        let shown = state.shown(cx.at);
        let preset = state.settings().preset.ok_or(ActionResult::TemporaryFailure)?;
        if shown < preset.valid_from || shown > preset.valid_to {
            return Err(ActionResult::TemporaryFailure);
        }
        state.settings_mut().preset = None;
        state.set_shown(cx.at, preset.time);
        Ok(())
    }

    fn preset_adjusting_time(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        preset: clock::PresetTime,
    ) -> Result<(), ActionResult> {
        let settings = state.settings_mut();
        let moment = |time| settings.utc(time).ok_or(ActionResult::OtherReason);
        settings.preset = Some(PresetTime {
            time: moment(preset.preset_time)?,
            valid_from: moment(preset.validity_interval_start)?,
            valid_to: moment(preset.validity_interval_end)?,
        });
        Ok(())
    }

    fn shift_time(&self, state: &mut S, cx: &Context<'c, S>, seconds: i16) -> Result<(), ActionResult> {
        if !(SHIFT_SECONDS_MIN..=SHIFT_SECONDS_MAX).contains(&seconds) {
            return Err(ActionResult::OtherReason);
        }
        let shown = state.shown(cx.at).plus_millis(i64::from(seconds).saturating_mul(1000));
        state.set_shown(cx.at, shown);
        Ok(())
    }
}

/// Sets the clock to the nearest multiple of `unit_ms`.
fn adjust<S: ClockState + ?Sized>(state: &mut S, at: Moment, unit_ms: i64) {
    let adjusted = nearest(state.shown(at), unit_ms);
    state.set_shown(at, adjusted);
}

/// The multiple of `unit_ms` that is nearest; the later one when both are equally near.
fn nearest(moment: Moment, unit_ms: i64) -> Moment {
    let unit_ms = unit_ms.max(1);
    let raised = moment.as_millis().saturating_add(unit_ms.wrapping_div(2));
    Moment::from_millis(raised.saturating_sub(raised.rem_euclid(unit_ms)))
}

#[cfg(test)]
mod tests;
