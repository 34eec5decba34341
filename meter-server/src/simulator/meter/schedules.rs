//! Single action schedules of a simulated meter, and the scripts that run by themselves.

use std::sync::Arc;

use dlms::acse::Mechanism;
use dlms::apdu::Conformance;
use dlms::association::Referencing;
use dlms::association::server::Access;
use dlms::cosem::action::ActionItem;
use dlms::id::ClientSap;
use dlms::security::Protection;
use dlms::time::{ClockStatus, Date, DateTime, Time};
use tracing::debug;

use super::Meter;
use super::kept::KeptSlot;
use crate::moment::Moment;
use crate::object::Context;
use crate::objects::{ScriptState, SingleActionSchedule, run_script};
use crate::schedule::LocalTime;

const DAY_SECONDS: i64 = 86_400;
/// Times of an hour that comes twice, which are passed over the second time.
const SECOND_HOUR_TIMES_MAX: usize = 4_000;

impl Meter {
    /// What the meter's clock shows at a moment, by the local calendar.
    pub(super) fn local_clock(&self, at: Moment) -> LocalTime {
        self.local_of(self.clock.shown(at))
    }

    /// A moment that the clock shows, by the local calendar.
    fn local_of(&self, shown: Moment) -> LocalTime {
        let (deviation_min, _) = self.clock.settings.deviation(shown);
        let seconds = shown.as_seconds() - 60 * i64::from(deviation_min);
        let second = u32::try_from(seconds.rem_euclid(DAY_SECONDS)).unwrap_or(0);
        LocalTime { days: seconds.div_euclid(DAY_SECONDS), second }
    }

    /// When the meter's clock will show a local time, or has passed it over: a time of the hour that is left out in spring
    /// comes when the clock goes forward, so that later times never come earlier.
    pub(super) fn when_shown(&self, local: LocalTime) -> Option<Moment> {
        let day = DateTime::from_unix_seconds(local.days.checked_mul(DAY_SECONDS)?, 0, ClockStatus::UNSPECIFIED);
        let second = local.second;
        let part = |value: u32| u8::try_from(value).ok();
        let time = Time::new(part(second / 3600)?, part(second / 60 % 60)?, part(second % 60)?)?;
        let date = Date::new(day.year()?, day.month()?, day.day()?)?;
        let shown = self.clock.settings.utc(DateTime::new(date, time, None, ClockStatus::UNSPECIFIED))?;
        Some(self.clock.when_shown(self.not_passed_over(shown, local)))
    }

    /// `shown`, unless the clock goes forward over `local` before: then the moment at which it does.
    fn not_passed_over(&self, shown: Moment, local: LocalTime) -> Moment {
        let found = self.local_of(shown);
        if found <= local {
            return shown;
        }
        let seconds = |time: LocalTime| time.days * DAY_SECONDS + i64::from(time.second);
        let (mut before, mut behind) = (shown.as_seconds() - (seconds(found) - seconds(local)), shown.as_seconds());
        while behind - before > 1 {
            let middle = before + (behind - before) / 2;
            if self.local_of(Moment::from_seconds(middle)) < local { before = middle } else { behind = middle }
        }
        Moment::from_seconds(behind)
    }

    /// The first moment after `after` that `next` names on the meter's clock.
    pub(super) fn first_after(&self, after: Moment, next: impl Fn(LocalTime) -> Option<LocalTime>) -> Option<Moment> {
        let mut local = self.local_clock(after);
        for _ in 0..SECOND_HOUR_TIMES_MAX {
            local = next(local)?;
            let moment = self.when_shown(local)?;
            // In an hour that comes twice everything happens the first time.
            if moment > after {
                return Some(moment);
            }
        }
        None
    }

    /// The schedules, but for those that only push while there is nowhere to push to: a fleet that pushes nothing is not
    /// woken for it.
    fn schedules(&self) -> impl Iterator<Item = &SingleActionSchedule<KeptSlot>> {
        let all = self.pushes_by_default() || !self.kept.is_empty();
        let idle = self.model.idle_schedules.iter();
        let schedules = self.model.schedules.iter().zip(idle).filter(move |(_, idle)| all || !**idle);
        schedules.map(|(schedule, _)| schedule)
    }

    /// When the first schedule after a moment runs.
    pub(super) fn next_schedule(&self, after: Moment) -> Option<Moment> {
        let next = |local| self.schedules().filter_map(|schedule| schedule.next_after(self, local)).min();
        self.first_after(after, next)
    }

    /// Runs the scripts of all schedules that are due at a moment, those with the smaller identifier first.
    pub(super) fn run_schedules(&mut self, due: Moment) {
        let before = due.plus_millis(-1);
        let is_due = |schedule: &&SingleActionSchedule<KeptSlot>| {
            self.first_after(before, |local| schedule.next_after(self, local)).is_some_and(|next| next <= due)
        };
        let mut scripts: Vec<ActionItem> =
            self.schedules().filter(is_due).filter_map(|schedule| schedule.script(self)).collect();
        scripts.sort_by_key(|script| script.script_selector);
        for script in scripts {
            self.run_script(script, due);
        }
    }

    /// Runs a script with the meter's own rights.
    pub(crate) fn run_script(&mut self, script: ActionItem, at: Moment) {
        let model = Arc::clone(&self.model);
        let access = self.own_access();
        let cx = Context { access: &access, at, table: &*model };
        let result = run_script(self, &cx, script);
        let (table, selector) = (script.script_logical_name, script.script_selector);
        debug!(serial = self.identity.serial, %table, selector, ?result, "script executed");
    }

    /// Who asks when the meter acts by itself.
    pub(crate) const fn own_access(&self) -> Access {
        Access {
            referencing: Referencing::LogicalName,
            client: ClientSap(0),
            server: self.identity.server,
            mechanism: Mechanism::Lowest,
            ciphered_context: false,
            request: Protection::AUTHENTICATED_ENCRYPTED,
            broadcast: false,
            conformance: Conformance::NONE,
            client_max_pdu: 0,
            server_max_pdu: u16::MAX,
            client_title: None,
        }
    }
}

impl ScriptState for Meter {
    fn script_depth(&mut self) -> &mut u8 {
        &mut self.script_depth
    }

    fn script_steps(&mut self) -> &mut u16 {
        &mut self.script_steps
    }
}

#[cfg(test)]
mod tests {
    use dlms::apdu::ActionResult;
    use dlms::axdr::{Data, Value};
    use dlms::id::{AttributeId, ClassId, ServerSap, SystemTitle};
    use dlms::obis::ObisCode;

    use super::*;
    use crate::simulator::keys::Keys;
    use crate::simulator::meter::{MeterIdentity, Security};
    use crate::simulator::model::Model;
    use crate::table::ObjectTable;

    fn meter(now: Moment) -> Meter {
        let model = Model::built_in();
        let identity = MeterIdentity {
            server: ServerSap(1),
            serial: String::new(),
            logical_device_name: String::new(),
            system_title: SystemTitle(*b"TSTMETR1"),
        };
        let security = Security::open(Arc::new(Keys::demonstration()), &model, None, &identity, now).unwrap();
        Meter::new(Arc::new(model), identity, Arc::default(), 1, now, security)
    }

    fn write(meter: &mut Meter, class: u16, instance: ObisCode, attribute: i8, value: &Value, at: Moment) {
        let model = Arc::clone(&meter.model);
        let access = meter.own_access();
        let cx = Context { access: &access, at, table: &*model };
        let object = model.find(ClassId(class), instance).and_then(|index| model.object(index)).unwrap();
        let octets = value.to_vec();
        object.write(meter, &cx, AttributeId(attribute), Data::from_slice(&octets).unwrap()).unwrap();
        meter.times_changed();
    }

    /// Disconnects at a time of 2026-03-29, when the clocks of Central Europe go from 2:00 to 3:00.
    const SCHEDULE: ObisCode = ObisCode([0, 0, 15, 0, 1, 255]);
    /// When they do.
    const FORWARD: Moment = Moment::from_seconds(1_774_746_000);

    fn disconnect_at(meter: &mut Meter, hour: u8, minute: u8) {
        let time = Value::Structure(vec![
            Value::OctetString(vec![hour, minute, 0, 0]),
            Value::OctetString(vec![0x07, 0xEA, 3, 29, 0xFF]),
        ]);
        write(meter, 22, SCHEDULE, 4, &Value::Array(vec![time]), FORWARD.plus_millis(-3_600_000));
    }

    #[test]
    fn what_is_due_in_the_hour_that_is_left_out_happens_when_the_clock_goes_forward() {
        for (hour, minute, after_s) in [(2, 15, 0), (2, 0, 0), (3, 0, 0), (1, 59, -60), (3, 5, 300)] {
            let mut meter = meter(FORWARD.plus_millis(-3_600_000));
            disconnect_at(&mut meter, hour, minute);
            // The meter's clock is off by a second and a half at most.
            meter.advance(FORWARD.plus_millis(after_s * 1000 - 3_000));
            assert_eq!(meter.switch_state(), 1, "{hour}:{minute:02} too early");
            meter.advance(FORWARD.plus_millis(after_s * 1000 + 3_000));
            assert_eq!(meter.switch_state(), 0, "{hour}:{minute:02} never");
        }
    }

    #[test]
    fn scripts_that_call_each_other_end_after_so_many_steps() {
        const OUTER: ObisCode = ObisCode([0, 0, 10, 0, 108, 255]);
        const INNER: ObisCode = ObisCode([0, 0, 10, 0, 100, 255]);
        let mut meter = meter(FORWARD);
        // Forty calls of `selector` of a table; script 0 does nothing.
        let scripts = |instance: ObisCode, selector| {
            let step = Value::Structure(vec![
                Value::Enum(2),
                Value::LongUnsigned(9),
                Value::OctetString(instance.0.to_vec()),
                Value::Integer(1),
                Value::LongUnsigned(selector),
            ]);
            Value::Array(vec![Value::Structure(vec![Value::LongUnsigned(1), Value::Array(vec![step; 40])])])
        };
        write(&mut meter, 9, INNER, 2, &scripts(INNER, 0), FORWARD);
        write(&mut meter, 9, OUTER, 2, &scripts(INNER, 1), FORWARD);
        let mut run = |script_logical_name| {
            let model = Arc::clone(&meter.model);
            let access = meter.own_access();
            let cx = Context { access: &access, at: FORWARD, table: &*model };
            let result = run_script(&mut meter, &cx, ActionItem { script_logical_name, script_selector: 1 });
            (result, meter.script_depth)
        };
        assert_eq!(run(OUTER), (Err(ActionResult::OtherReason), 0));
        assert_eq!(run(INNER), (Ok(()), 0), "the next run has all its steps");
    }
}
