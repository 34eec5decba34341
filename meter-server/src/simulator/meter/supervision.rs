//! What a simulated meter watches: the limiter, and register monitors.
//!
//! A value is looked at every so often while a threshold is set that it could pass; a meter without one takes no time. What
//! flows is known ahead, so that each look finds the second at which the value passes a threshold before the next one, and
//! the meter acts then.

use std::collections::BTreeMap;
use std::sync::Arc;

use dlms::apdu::DataAccessResult;
use dlms::association::server::Cursor;
use dlms::axdr::{Data, Writer};
use dlms::cosem::action::{ActionItem, MonitoredValue};
use dlms::obis::ObisCode;

use super::Meter;
use super::events::{LogKind, code};
use crate::limiter::{LimiterAction, LimiterSettings, Limiting};
use crate::moment::Moment;
use crate::number::Number;
use crate::object::{Context, Read};
use crate::objects::{LimiterState, MonitorState, SwitchEvent};
use crate::register_monitor::{Crossing, MonitorSettings, Monitoring};
use crate::table::ObjectTable;

/// Milliseconds between two looks at a monitored value.
const LOOK_MS: i64 = 30_000;
/// Looks by which a meter that is late makes up for the time left. The longer that is, the further they are apart: a year
/// takes some thousands of them.
const LOOKS_MAX: i64 = 256;
/// How exactly the moment is found at which a value passes a threshold.
const EXACT_MS: i64 = 1_000;

/// What a model says about supervision.
#[derive(Debug, Default)]
pub(crate) struct ModelSupervision {
    pub(crate) limiter: Option<LimiterSettings>,
    pub(crate) monitors: BTreeMap<ObisCode, MonitorSettings>,
}

/// The supervision of one meter: what clients changed, and how far it is.
#[derive(Debug, Default)]
pub(crate) struct Supervision {
    pub(super) limiter: Option<Box<LimiterSettings>>,
    pub(super) limiting: Limiting,
    pub(super) monitors: BTreeMap<ObisCode, MonitorSettings>,
    pub(super) monitoring: BTreeMap<ObisCode, Monitoring>,
    /// When the values were looked at last, and when a threshold is passed next, if it is before the next look.
    looked: Option<(Moment, Option<Moment>)>,
    /// Values are being looked at: what scripts change meanwhile is looked at next time.
    looking: bool,
}

impl Supervision {
    /// Settings have changed: the values are looked at soon.
    const fn look_soon(&mut self) {
        if !self.looking {
            self.looked = None;
        }
    }
}

impl Meter {
    fn limiter_settings(&self) -> Option<&LimiterSettings> {
        self.supervision.limiter.as_deref().or(self.model.supervision.limiter.as_ref())
    }

    /// When a monitored value is looked at next.
    pub(super) fn supervision_due(&self, until: Moment) -> Option<Moment> {
        let limiter = self.limiter_settings().filter(|limiter| limiter.is_armed());
        let monitored = self.model.supervision.monitors.keys().any(|instance| self.monitor(*instance).is_armed());
        if limiter.is_none() && !monitored {
            return None;
        }
        let Some((looked, passed)) = self.supervision.looked else { return Some(Moment::from_millis(i64::MIN)) };
        let next = passed.unwrap_or(looked.plus_millis(look_ms(looked, until)));
        let sooner = limiter.and_then(|limiter| self.supervision.limiting.due(limiter)).filter(|due| *due > looked);
        let change = limiter.and_then(|limiter| limiter.next_change(looked));
        [Some(next), sooner, change].into_iter().flatten().min()
    }

    /// Looks at the monitored values, on the way to `until`.
    pub(super) fn run_supervision(&mut self, at: Moment, until: Moment) {
        if self.supervision_due(until).is_none_or(|due| due > at) {
            return;
        }
        self.supervision.looking = true;
        self.look_at_values(at);
        self.supervision.looking = false;
        let passed = self.passed_next(at, at.plus_millis(look_ms(at, until)));
        self.supervision.looked = Some((at, passed));
    }

    /// The first moment after `from`, at `to` at the latest, at which a monitored value is on another side of a threshold
    /// than at `from`, if it is at `to`, and if nothing happens until then that nobody knows of.
    fn passed_next(&self, from: Moment, to: Moment) -> Option<Moment> {
        let limiter = self.limiter_settings().filter(|limiter| limiter.is_armed());
        let of_limiter = limiter.map(|limiter| (limiter.monitored, vec![limiter.active_threshold(from).value()]));
        let monitors = self.model.supervision.monitors.keys().map(|instance| self.monitor(*instance));
        let of_monitors = monitors.filter(|monitor| monitor.is_armed()).map(|monitor| {
            (monitor.monitored, monitor.thresholds.iter().map(|threshold| threshold.value()).collect::<Vec<_>>())
        });
        of_limiter.into_iter().chain(of_monitors).fold(None, |first, (monitored, thresholds)| {
            let sides = |at: Moment| {
                let value = self.monitored_value(monitored, at)?;
                Some(thresholds.iter().map(|threshold| value > *threshold).collect::<Vec<_>>())
            };
            let Some(before) = sides(from) else { return first };
            let (mut low, mut high) = (from.as_millis(), first.unwrap_or(to).as_millis());
            if sides(Moment::from_millis(high)) == Some(before.clone()) {
                return first;
            }
            while high - low > EXACT_MS {
                let middle = low + (high - low) / 2;
                if sides(Moment::from_millis(middle)).as_ref() == Some(&before) { low = middle } else { high = middle }
            }
            Some(Moment::from_millis(high))
        })
    }

    fn look_at_values(&mut self, at: Moment) {
        if let Some(limiter) = self.limiter_settings().filter(|limiter| limiter.is_armed()).cloned()
            && let Some(value) = self.monitored_value(limiter.monitored, at)
        {
            match self.supervision.limiting.observe(&limiter, value, at) {
                Some(LimiterAction::Over) => {
                    self.record(LogKind::Disconnector, at, code::LIMITER_EXCEEDED);
                    self.run_local_script(limiter.actions.over_threshold, at);
                }
                Some(LimiterAction::Under) => {
                    self.record(LogKind::Disconnector, at, code::LIMITER_OK);
                    self.run_local_script(limiter.actions.under_threshold, at);
                }
                None => {}
            }
        }
        let model = Arc::clone(&self.model);
        for (number, instance) in (0_u8..).zip(model.supervision.monitors.keys()) {
            let settings = self.monitor(*instance).clone();
            let Some(value) = settings.is_armed().then(|| self.monitored_value(settings.monitored, at)).flatten()
            else {
                continue;
            };
            let monitoring = self.supervision.monitoring.entry(*instance).or_default();
            for (threshold, way) in monitoring.observe(&settings.thresholds, value, true) {
                let action = settings.actions.get(threshold);
                // The log knows three monitors with one threshold each.
                let event = (number < 3 && threshold == 0).then(|| code::MONITOR_1_EXCEEDED + 2 * number);
                let (event, script) = match way {
                    Crossing::Up => (event, action.map(|action| action.action_up)),
                    Crossing::Down => (event.map(|event| event + 1), action.map(|action| action.action_down)),
                };
                if let Some(event) = event {
                    self.record(LogKind::PowerQuality, at, event);
                }
                if let Some(script) = script {
                    self.run_local_script(script, at);
                }
            }
        }
    }

    /// Runs a script because of something that the meter itself has found: the disconnector takes it as local.
    pub(super) fn run_local_script(&mut self, script: ActionItem, at: Moment) {
        if script.script_selector == 0 {
            return;
        }
        self.acts_locally = true;
        self.run_script(script, at);
        self.acts_locally = false;
    }

    /// An event of the switch, which is a local one while the meter acts by itself.
    pub(super) const fn switch_event(&self, event: SwitchEvent) -> SwitchEvent {
        match event {
            SwitchEvent::RemoteDisconnect if self.acts_locally => SwitchEvent::LocalDisconnect,
            SwitchEvent::RemoteReconnect if self.acts_locally => SwitchEvent::LocalReconnect,
            event => event,
        }
    }

    /// The number that an attribute shows.
    pub(super) fn monitored_value(&self, monitored: MonitoredValue, at: Moment) -> Option<i64> {
        let access = self.own_access();
        let cx = Context { access: &access, at, table: &*self.model };
        let object = self.model.find(monitored.class_id, monitored.logical_name);
        let object = object.and_then(|index| self.model.object(index))?;
        let mut buffer = [0; 32];
        let mut out = Writer::new(&mut buffer);
        let request = Read { attribute: monitored.attribute_index, selection: None };
        object.read(self, &cx, request, &mut Cursor::default(), &mut out).ok()?;
        Some(Number::from_data(&Data::from_slice(out.written()).ok()?)?.value())
    }

    /// Whether there is a number to be watched, or nothing is to be.
    fn can_watch(&self, monitored: MonitoredValue, at: Moment) -> bool {
        monitored.class_id.0 == 0 || self.monitored_value(monitored, at).is_some()
    }
}

/// How long after a look the next one is, for a meter that makes up for the time until `until`.
fn look_ms(looked: Moment, until: Moment) -> i64 {
    until.as_millis().saturating_sub(looked.as_millis()).div_euclid(LOOKS_MAX).max(LOOK_MS)
}

impl LimiterState for Meter {
    fn limiter(&self) -> &LimiterSettings {
        match self.limiter_settings() {
            Some(limiter) => limiter,
            // There is no such object without settings in the model.
            None => unreachable!("a limiter without settings"),
        }
    }

    fn set_limiter(&mut self, settings: LimiterSettings, at: Moment) -> Result<(), DataAccessResult> {
        if !self.can_watch(settings.monitored, at) {
            return Err(DataAccessResult::OtherReason);
        }
        let before = self.limiter();
        let thresholds = |limiter: &LimiterSettings| (limiter.normal, limiter.emergency_threshold);
        let changed = thresholds(before) != thresholds(&settings);
        if before.monitored != settings.monitored {
            self.supervision.limiting = Limiting::default();
        }
        self.supervision.limiter = Some(Box::new(settings));
        self.supervision.look_soon();
        if changed {
            self.record(LogKind::Disconnector, at, code::LIMITER_CHANGED);
        } else {
            self.record(LogKind::Standard, at, code::PARAMETERS_CHANGED);
        }
        Ok(())
    }
}

/// What an object has that the model does not know of; there is none.
static NO_MONITOR: MonitorSettings = MonitorSettings {
    thresholds: heapless::Vec::new(),
    monitored: MonitoredValue {
        class_id: dlms::id::ClassId(0),
        logical_name: ObisCode([0; 6]),
        attribute_index: dlms::id::AttributeId(0),
    },
    actions: heapless::Vec::new(),
};

impl MonitorState for Meter {
    fn monitor(&self, instance: ObisCode) -> &MonitorSettings {
        let own = self.supervision.monitors.get(&instance);
        own.or_else(|| self.model.supervision.monitors.get(&instance)).unwrap_or(&NO_MONITOR)
    }

    fn set_monitor(
        &mut self,
        instance: ObisCode,
        settings: MonitorSettings,
        at: Moment,
    ) -> Result<(), DataAccessResult> {
        if !self.can_watch(settings.monitored, at) {
            return Err(DataAccessResult::OtherReason);
        }
        self.supervision.monitors.insert(instance, settings);
        self.supervision.monitoring.remove(&instance);
        self.supervision.look_soon();
        self.record(LogKind::Standard, at, code::PARAMETERS_CHANGED);
        Ok(())
    }
}
