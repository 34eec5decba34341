//! A register monitor (class 21): what happens when a value crosses thresholds.

use dlms::cosem::action::{ActionSet, MonitoredValue};

use crate::number::Number;

/// Thresholds of one monitor.
pub const THRESHOLDS_MAX: usize = 8;

/// What a register monitor goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorSettings {
    /// The thresholds.
    pub thresholds: heapless::Vec<Number, THRESHOLDS_MAX>,
    /// What is compared with them.
    pub monitored: MonitoredValue,
    /// What runs when a threshold is crossed: one for each.
    pub actions: heapless::Vec<ActionSet, THRESHOLDS_MAX>,
}

impl MonitorSettings {
    /// Whether there is a threshold that could be crossed.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.monitored.class_id.0 != 0 && self.thresholds.iter().any(|threshold| !threshold.is_max())
    }
}

/// Which way a threshold was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossing {
    /// The value has become greater than the threshold.
    Up,
    /// It is not greater any more.
    Down,
}

/// Which of a monitor's thresholds the value was above when it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Monitoring {
    pub(crate) above: Option<u8>,
}

impl Monitoring {
    /// Looks at the value; tells for each threshold that was crossed since the last look its number, from 0, and the way.
    /// The first look only takes note, unless `from_start` takes what was before as below everything.
    pub fn observe(
        &mut self,
        thresholds: &[Number],
        value: i64,
        from_start: bool,
    ) -> impl Iterator<Item = (usize, Crossing)> + use<> {
        let above = thresholds.iter().zip(0_u32..8).fold(0_u8, |above, (threshold, bit)| {
            if value > threshold.value() { above | 1_u8.wrapping_shl(bit) } else { above }
        });
        let before = self.above.replace(above).unwrap_or(if from_start { 0 } else { above });
        let changed = above ^ before;
        (0_u32..8).filter(move |bit| changed & 1_u8.wrapping_shl(*bit) != 0).map(move |bit| {
            let way = if above & 1_u8.wrapping_shl(bit) != 0 { Crossing::Up } else { Crossing::Down };
            (bit as usize, way)
        })
    }

    /// Forgets what was seen: thresholds or the monitored value have changed.
    pub const fn forget(&mut self) {
        self.above = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::NumberKind;
    use Crossing::{Down, Up};

    fn threshold(value: i64) -> Number {
        Number::new(NumberKind::LongUnsigned, value).unwrap()
    }

    #[test]
    fn each_crossing_is_told_once() {
        let thresholds = [10, 100].map(threshold);
        let mut monitoring = Monitoring::default();
        let mut look = |value| monitoring.observe(&thresholds, value, true).collect::<Vec<_>>();
        assert_eq!(look(10), []);
        assert_eq!(look(11), [(0, Up)]);
        assert_eq!(look(50), []);
        assert_eq!(look(1_000), [(1, Up)]);
        assert_eq!(look(0), [(0, Down), (1, Down)]);
        assert_eq!(look(1_000), [(0, Up), (1, Up)]);
    }

    #[test]
    fn the_first_look_takes_note_only() {
        let thresholds = [threshold(0)];
        let mut monitoring = Monitoring::default();
        assert_eq!(monitoring.observe(&thresholds, 5, false).count(), 0);
        assert_eq!(monitoring.observe(&thresholds, 0, false).collect::<Vec<_>>(), [(0, Down)]);
        monitoring.forget();
        assert_eq!(monitoring.observe(&thresholds, 5, false).count(), 0);
    }
}
