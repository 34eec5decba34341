//! Limiter (class 71, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::Progress;
use dlms::axdr::Data;
use dlms::cosem::action::MonitoredValue;
use dlms::cosem::limiter::{self, EmergencyProfile, LimiterActions};
use dlms::cosem::{Answer, Array, ToData};
use dlms::obis::ObisCode;

use super::clock::ClockState;
use crate::limiter::LimiterSettings;
use crate::moment::Moment;
use crate::number::Number;
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;
type Written = Result<(), DataAccessResult>;

/// A meter that limits the load.
pub trait LimiterState: ClockState {
    /// What the limiter goes by.
    fn limiter(&self) -> &LimiterSettings;

    /// Replaces that at this moment.
    ///
    /// # Errors
    /// What the client gets; nothing is changed then.
    fn set_limiter(&mut self, settings: LimiterSettings, at: Moment) -> Written;
}

/// Runs a script when a value is over its threshold for too long.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(limiter: [S: LimiterState + ?Sized] Limiter);

fn change<S: LimiterState + ?Sized>(
    state: &mut S,
    cx: &Context<'_, S>,
    change: impl FnOnce(&mut LimiterSettings),
) -> Written {
    let mut settings = state.limiter().clone();
    change(&mut settings);
    state.set_limiter(settings, cx.at)
}

fn number(value: &Data<'_>) -> Result<Number, DataAccessResult> {
    Number::from_data(value).ok_or(DataAccessResult::TypeUnmatched)
}

impl<'c, S: LimiterState + ?Sized> limiter::Server<S, Context<'c, S>> for Limiter {
    fn monitored_value(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, limiter::Monitored>) -> Answered {
        answer.value(&state.limiter().monitored)
    }

    fn set_monitored_value(&self, state: &mut S, cx: &Context<'c, S>, value: MonitoredValue) -> Written {
        change(state, cx, |settings| settings.monitored = value)
    }

    fn threshold_active(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, limiter::ThresholdActive>,
    ) -> Answered {
        answer.written(|out| state.limiter().active_threshold(cx.at).to_data(out))
    }

    fn threshold_normal(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, limiter::ThresholdNormal>,
    ) -> Answered {
        answer.written(|out| state.limiter().normal.to_data(out))
    }

    fn set_threshold_normal(&self, state: &mut S, cx: &Context<'c, S>, value: Data<'_>) -> Written {
        let value = number(&value)?;
        change(state, cx, |settings| settings.normal = value)
    }

    fn threshold_emergency(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, limiter::ThresholdEmergency>,
    ) -> Answered {
        answer.written(|out| state.limiter().emergency_threshold.to_data(out))
    }

    fn set_threshold_emergency(&self, state: &mut S, cx: &Context<'c, S>, value: Data<'_>) -> Written {
        let value = number(&value)?;
        change(state, cx, |settings| settings.emergency_threshold = value)
    }

    fn min_over_threshold_duration(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, limiter::MinOverThreshold>,
    ) -> Answered {
        answer.value(&state.limiter().min_over_s)
    }

    fn set_min_over_threshold_duration(&self, state: &mut S, cx: &Context<'c, S>, value: u32) -> Written {
        change(state, cx, |settings| settings.min_over_s = value)
    }

    fn min_under_threshold_duration(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, limiter::MinUnderThreshold>,
    ) -> Answered {
        answer.value(&state.limiter().min_under_s)
    }

    fn set_min_under_threshold_duration(&self, state: &mut S, cx: &Context<'c, S>, value: u32) -> Written {
        change(state, cx, |settings| settings.min_under_s = value)
    }

    fn emergency_profile(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, limiter::Emergency>) -> Answered {
        answer.value(&state.limiter().emergency)
    }

    fn set_emergency_profile(&self, state: &mut S, cx: &Context<'c, S>, value: EmergencyProfile) -> Written {
        // A time that is not complete is one that never comes.
        let activation = state.settings().utc(value.activation_time);
        change(state, cx, |settings| {
            settings.emergency = value;
            settings.activation = activation;
        })
    }

    fn emergency_profile_group_id_list(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, limiter::EmergencyGroups>,
    ) -> Answered {
        answer.value(&Array::from(state.limiter().groups.as_slice()))
    }

    fn set_emergency_profile_group_id_list(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: Array<'_, u16>,
    ) -> Written {
        let mut groups = heapless::Vec::new();
        for group in value {
            let group = group.map_err(|_| DataAccessResult::TypeUnmatched)?;
            groups.push(group).map_err(|_| DataAccessResult::OtherReason)?;
        }
        change(state, cx, |settings| settings.groups = groups)
    }

    fn emergency_profile_active(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, limiter::EmergencyActive>,
    ) -> Answered {
        answer.value(&state.limiter().emergency_active(cx.at))
    }

    fn actions(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, limiter::Actions>) -> Answered {
        answer.value(&state.limiter().actions)
    }

    fn set_actions(&self, state: &mut S, cx: &Context<'c, S>, value: LimiterActions) -> Written {
        change(state, cx, |settings| settings.actions = value)
    }
}
