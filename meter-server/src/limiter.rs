//! A limiter (class 71): what happens when a value is over a threshold for too long.
//!
//! Pure logic in fixed memory. The meter shows it the monitored value whenever it has measured it, and runs the scripts
//! that it asks for.

use dlms::cosem::action::MonitoredValue;
use dlms::cosem::limiter::{EmergencyProfile, LimiterActions};

use crate::moment::Moment;
use crate::number::Number;

/// Emergencies that a meter can belong to.
pub const EMERGENCY_GROUPS_MAX: usize = 16;

/// What a limiter goes by; thresholds are in the monitored value's own numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct LimiterSettings {
    /// The value that is watched; class 0 switches the limiter off.
    pub monitored: MonitoredValue,
    /// The threshold as a rule.
    pub normal: Number,
    /// The threshold in an emergency.
    pub emergency_threshold: Number,
    /// Seconds over the threshold before something is done.
    pub min_over_s: u32,
    /// Seconds not over it before something is done.
    pub min_under_s: u32,
    /// The emergency, as it was written.
    pub emergency: EmergencyProfile,
    /// When it begins, by the meter's time zone; never while `None`.
    pub activation: Option<Moment>,
    /// The emergencies that the meter belongs to.
    pub groups: heapless::Vec<u16, EMERGENCY_GROUPS_MAX>,
    /// What is done.
    pub actions: LimiterActions,
}

/// Which script is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimiterAction {
    /// `action_over_threshold`.
    Over,
    /// `action_under_threshold`.
    Under,
}

/// On which side of the threshold the value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    /// Nothing was done yet, or the value was under the threshold for long enough.
    #[default]
    Under,
    /// It was over it for long enough.
    Over,
}

/// How far a limiter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limiting {
    pub(crate) side: Side,
    /// Since when the value is on the other side.
    pub(crate) crossed: Option<Moment>,
}

impl LimiterSettings {
    /// Whether the emergency is on: one of the meter's groups, begun, and not over.
    #[must_use]
    pub fn emergency_active(&self, at: Moment) -> bool {
        self.emergency_span().is_some_and(|(begin, end)| begin <= at && at < end)
    }

    /// From when to when the emergency is on, if it is one of the meter's groups.
    fn emergency_span(&self) -> Option<(Moment, Moment)> {
        let begin = self.activation.filter(|_| self.groups.contains(&self.emergency.id))?;
        Some((begin, due(begin, self.emergency.duration)))
    }

    /// Whether there is a value that could be over a threshold.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        let possible = !self.normal.is_max() || (!self.emergency_threshold.is_max() && self.activation.is_some());
        possible && self.monitored.class_id.0 != 0
    }

    /// The threshold that counts (attribute 3).
    #[must_use]
    pub fn active_threshold(&self, at: Moment) -> Number {
        if self.emergency_active(at) { self.emergency_threshold } else { self.normal }
    }

    /// When the threshold that counts changes next by itself.
    #[must_use]
    pub fn next_change(&self, after: Moment) -> Option<Moment> {
        let (begin, end) = self.emergency_span()?;
        [begin, end].into_iter().find(|change| *change > after)
    }
}

impl Limiting {
    /// Whether the value was over the threshold for too long, and has not been under it long enough since.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self.side, Side::Over)
    }

    /// The monitored value at a moment, not before the last one; returns what is to be done, each once for a crossing.
    pub fn observe(&mut self, settings: &LimiterSettings, value: i64, at: Moment) -> Option<LimiterAction> {
        let over = value > settings.active_threshold(at).value();
        let (other_side, wait_s) = match self.side {
            Side::Under => (over, settings.min_over_s),
            Side::Over => (!over, settings.min_under_s),
        };
        if !other_side {
            self.crossed = None;
            return None;
        }
        let since = *self.crossed.get_or_insert(at);
        if at < due(since, wait_s) {
            return None;
        }
        self.crossed = None;
        Some(match self.side {
            Side::Under => {
                self.side = Side::Over;
                LimiterAction::Over
            }
            Side::Over => {
                self.side = Side::Under;
                LimiterAction::Under
            }
        })
    }

    /// When something will be done if the value stays where it is.
    #[must_use]
    pub fn due(self, settings: &LimiterSettings) -> Option<Moment> {
        let wait_s = match self.side {
            Side::Under => settings.min_over_s,
            Side::Over => settings.min_under_s,
        };
        Some(due(self.crossed?, wait_s))
    }
}

const fn due(since: Moment, wait_s: u32) -> Moment {
    since.plus_millis((wait_s as i64).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::NumberKind;
    use LimiterAction::{Over, Under};
    use dlms::cosem::action::ActionItem;
    use dlms::id::{AttributeId, ClassId};
    use dlms::obis::ObisCode;
    use dlms::time::DateTime;
    use proptest::prelude::*;

    fn settings() -> LimiterSettings {
        let number = |value| Number::new(NumberKind::DoubleLongUnsigned, value).unwrap();
        let instance = ObisCode::new(1, 0, 1, 7, 0, 255);
        let script = |script_selector| ActionItem { script_logical_name: instance, script_selector };
        LimiterSettings {
            monitored: MonitoredValue { class_id: ClassId(3), logical_name: instance, attribute_index: AttributeId(2) },
            normal: number(1_000),
            emergency_threshold: number(200),
            min_over_s: 60,
            min_under_s: 30,
            emergency: EmergencyProfile { id: 0, activation_time: DateTime::UNSPECIFIED, duration: 0 },
            activation: None,
            groups: heapless::Vec::new(),
            actions: LimiterActions { over_threshold: script(1), under_threshold: script(2) },
        }
    }

    fn at(seconds: i64) -> Moment {
        Moment::from_seconds(seconds)
    }

    #[test]
    fn scripts_run_once_after_the_time_over_and_under() {
        let (settings, mut limiting) = (settings(), Limiting::default());
        for (second, value, expected) in [
            (0, 900, None),
            (10, 1_001, None),
            (69, 5_000, None),
            // A moment at the threshold, which is not over it, and the time begins anew.
            (70, 1_000, None),
            (80, 1_001, None),
            (139, 1_001, None),
            (140, 1_001, Some(Over)),
            (1_000, 1_001, None),
            (1_001, 0, None),
            (1_020, 1_001, None),
            (1_030, 0, None),
            (1_059, 0, None),
            (1_060, 0, Some(Under)),
            (5_000, 0, None),
        ] {
            assert_eq!(limiting.observe(&settings, value, at(second)), expected, "second {second}");
        }
    }

    #[test]
    fn an_emergency_counts_for_its_groups_and_for_its_time() {
        let mut settings = settings();
        settings.emergency = EmergencyProfile { id: 7, activation_time: DateTime::UNSPECIFIED, duration: 50 };
        settings.activation = Some(at(100));
        assert!(!settings.emergency_active(at(120)), "the meter does not belong to it");
        assert_eq!(settings.next_change(at(0)), None);
        settings.groups.extend([3, 7]);
        let threshold = |second| settings.active_threshold(at(second)).value();
        assert_eq!([99, 100, 149, 150].map(threshold), [1_000, 200, 200, 1_000]);
        assert_eq!([0, 100, 150].map(|second| settings.next_change(at(second))), [Some(at(100)), Some(at(150)), None]);
        let mut limiting = Limiting::default();
        assert_eq!(limiting.observe(&settings, 500, at(90)), None);
        assert_eq!(limiting.observe(&settings, 500, at(100)), None);
        assert_eq!(limiting.due(&settings), Some(at(160)), "over the lower threshold from now on");
        settings.normal = Number::new(NumberKind::DoubleLongUnsigned, i64::from(u32::MAX)).unwrap();
        assert!(settings.is_armed());
        settings.activation = None;
        assert!(!settings.is_armed());
    }

    proptest! {
        /// Over and under take turns, and none comes earlier than its time after the other.
        #[test]
        fn actions_take_turns(steps in proptest::collection::vec((1_i64..100, 0_i64..2_000), 1..200)) {
            let (settings, mut limiting) = (settings(), Limiting::default());
            let (mut now, mut last) = (0, None);
            for (wait, value) in steps {
                now += wait;
                let Some(action) = limiting.observe(&settings, value, at(now)) else { continue };
                match last {
                    None => prop_assert_eq!(action, Over),
                    Some((before, when)) => {
                        prop_assert_ne!(action, before);
                        let least = if action == Over { 60 } else { 30 };
                        prop_assert!(now - when >= least);
                    }
                }
                prop_assert_eq!(value > 1_000, action == Over);
                prop_assert_eq!(limiting.is_over(), action == Over);
                last = Some((action, now));
            }
        }
    }
}
