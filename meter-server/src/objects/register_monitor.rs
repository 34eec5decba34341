//! Register monitor (class 21, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::Progress;
use dlms::axdr::Data;
use dlms::cosem::action::{ActionSet, MonitoredValue};
use dlms::cosem::register_monitor;
use dlms::cosem::{Answer, Array};
use dlms::obis::ObisCode;

use super::values::write_array;
use crate::moment::Moment;
use crate::number::Number;
use crate::object::Context;
use crate::register_monitor::MonitorSettings;

type Answered = Result<Progress, DataAccessResult>;
type Written = Result<(), DataAccessResult>;

/// A meter that watches values. It may have several such objects.
pub trait MonitorState {
    /// What the monitor with this logical name goes by.
    fn monitor(&self, instance: ObisCode) -> &MonitorSettings;

    /// Replaces that at this moment.
    ///
    /// # Errors
    /// What the client gets; nothing is changed then.
    fn set_monitor(&mut self, instance: ObisCode, settings: MonitorSettings, at: Moment) -> Written;
}

/// Runs scripts when a value crosses thresholds.
#[derive(Clone, Copy, Debug)]
pub struct RegisterMonitor {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(register_monitor: [S: MonitorState + ?Sized] RegisterMonitor);

impl RegisterMonitor {
    fn change<S: MonitorState + ?Sized>(
        self,
        state: &mut S,
        cx: &Context<'_, S>,
        change: impl FnOnce(&mut MonitorSettings),
    ) -> Written {
        let mut settings = state.monitor(self.instance).clone();
        change(&mut settings);
        state.set_monitor(self.instance, settings, cx.at)
    }
}

impl<'c, S: MonitorState + ?Sized> register_monitor::Server<S, Context<'c, S>> for RegisterMonitor {
    fn thresholds(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, register_monitor::Thresholds>,
    ) -> Answered {
        answer.written(|out| write_array(out, &state.monitor(self.instance).thresholds, |threshold| *threshold))
    }

    fn set_thresholds(&self, state: &mut S, cx: &Context<'c, S>, value: Array<'_, Data<'_>>) -> Written {
        let mut thresholds = heapless::Vec::new();
        for threshold in value {
            let threshold = threshold.ok().and_then(|threshold| Number::from_data(&threshold));
            let threshold = threshold.ok_or(DataAccessResult::TypeUnmatched)?;
            thresholds.push(threshold).map_err(|_| DataAccessResult::OtherReason)?;
        }
        self.change(state, cx, |settings| settings.thresholds = thresholds)
    }

    fn monitored_value(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, register_monitor::Monitored>,
    ) -> Answered {
        answer.value(&state.monitor(self.instance).monitored)
    }

    fn set_monitored_value(&self, state: &mut S, cx: &Context<'c, S>, value: MonitoredValue) -> Written {
        self.change(state, cx, |settings| settings.monitored = value)
    }

    fn actions(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, register_monitor::Actions>) -> Answered {
        answer.value(&Array::from(state.monitor(self.instance).actions.as_slice()))
    }

    fn set_actions(&self, state: &mut S, cx: &Context<'c, S>, value: Array<'_, ActionSet>) -> Written {
        let mut actions = heapless::Vec::new();
        for action in value {
            let action = action.map_err(|_| DataAccessResult::TypeUnmatched)?;
            actions.push(action).map_err(|_| DataAccessResult::OtherReason)?;
        }
        self.change(state, cx, |settings| settings.actions = actions)
    }
}
