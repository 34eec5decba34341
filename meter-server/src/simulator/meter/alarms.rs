//! Alarms of a simulated meter: set by events, acknowledged by clients, pushed.

use super::Meter;
use super::events::LogKind;
use crate::alarms::AlarmValue;
use crate::moment::Moment;

impl Meter {
    /// Sets the bits that an event stands for, and runs the script of the alarm monitors if a descriptor was 0.
    pub(super) fn raise_alarms(&mut self, at: Moment, event: u8) {
        let crossed = self.alarms.happened(event);
        if crossed.contains(&true)
            && let Some(script) = self.model.alarms.script
        {
            self.run_script(script, at);
        }
    }

    /// A client writes an alarm or error register, a filter or a descriptor.
    pub(super) fn set_alarm(&mut self, value: AlarmValue, written: u32, at: Moment) {
        if let Some(event) = self.alarms.set(value, written) {
            self.record(LogKind::Standard, at, event);
        }
    }
}
