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
        let shown = self.clock.shown(at);
        let (deviation_min, _) = self.clock.settings.deviation(shown);
        let seconds = shown.as_seconds() - 60 * i64::from(deviation_min);
        let second = u32::try_from(seconds.rem_euclid(DAY_SECONDS)).unwrap_or(0);
        LocalTime { days: seconds.div_euclid(DAY_SECONDS), second }
    }

    /// When the meter's clock will show a local time.
    pub(super) fn when_shown(&self, local: LocalTime) -> Option<Moment> {
        let day = DateTime::from_unix_seconds(local.days.checked_mul(DAY_SECONDS)?, 0, ClockStatus::UNSPECIFIED);
        let second = local.second;
        let part = |value: u32| u8::try_from(value).ok();
        let time = Time::new(part(second / 3600)?, part(second / 60 % 60)?, part(second % 60)?)?;
        let date = Date::new(day.year()?, day.month()?, day.day()?)?;
        let shown = self.clock.settings.utc(DateTime::new(date, time, None, ClockStatus::UNSPECIFIED))?;
        Some(self.clock.when_shown(shown))
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
        let (before, now) = (self.local_clock(due.plus_millis(-1)), self.local_clock(due));
        let is_due = |schedule: &&SingleActionSchedule<KeptSlot>| {
            schedule.next_after(self, before).is_some_and(|next| next <= now)
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
}
