//! The tariffs of a simulated meter: calendars, special days, and the registers that masks switch.
//!
//! Nothing is kept of a meter whose tariffs are as its model says. Which rate counts is a function of time even then when
//! a client has changed something: changes are kept as the calendars that were in force since, as octets.

mod changed;
mod rates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, DateTime};

pub(crate) use self::changed::Tariffs;
pub(crate) use self::rates::{Plan, RateTable};

use self::changed::Changed;
use super::Meter;
use super::events::{LogKind, code};
use crate::moment::Moment;
use crate::objects::{ActivationState, CalendarState, SpecialDaysState};
use crate::simulator::consumption::tariff::{self, Tariff};
use crate::tariff::{Calendar, Name, RegisterActivation, SpecialDays};

/// What a model says about tariffs.
#[derive(Debug)]
pub(crate) struct ModelTariffs {
    pub(crate) active: Calendar,
    pub(crate) passive: Calendar,
    pub(crate) special: SpecialDays,
    pub(crate) activations: BTreeMap<ObisCode, ModelActivation>,
    /// The rates of all days, worked out when they are asked for first.
    pub(crate) rates: OnceLock<RateTable>,
}

/// What a model says about one register activation.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelActivation {
    pub(crate) activation: RegisterActivation,
    /// The mask that each script of the tariff script table puts in force.
    pub(crate) scripts: BTreeMap<u16, Name>,
}

impl Default for ModelTariffs {
    fn default() -> Self {
        Self {
            active: Calendar::EMPTY,
            passive: Calendar::EMPTY,
            special: SpecialDays::NONE,
            activations: BTreeMap::new(),
            rates: OnceLock::new(),
        }
    }
}

impl ModelTariffs {
    /// The rate, from 0, that a script puts in force: of the first register activation, which is that of energy.
    pub(crate) fn rate_of(&self, script: u16) -> u8 {
        let first = self.activations.values().next();
        first.and_then(|model| Some(rate_of_mask(&model.activation, model.scripts.get(&script)?))).unwrap_or(0)
    }
}

/// The rate, from 0, of a mask: value group E of the registers that count under it.
fn rate_of_mask(activation: &RegisterActivation, name: &[u8]) -> u8 {
    let rates = activation.active(name).map(|register| register.logical_name.0[4]);
    rates.filter(|rate| *rate > 0).min().map_or(0, |rate| rate - 1)
}

impl Meter {
    /// The calendar that tells which rate energy is counted under.
    pub(crate) fn tariff(&self) -> &dyn Tariff {
        if let Some(rates) = self.own_rates() {
            return rates;
        }
        if self.model.tariffs.active.seasons.is_empty() { &tariff::USUAL } else { self.rates_of_model() }
    }

    fn rates_of_model(&self) -> &RateTable {
        let tariffs = &self.model.tariffs;
        tariffs.rates.get_or_init(|| {
            let rate_of = |script| tariffs.rate_of(script);
            let (calendar, special, clock) = (&tariffs.active, &tariffs.special, &self.model.clock);
            let first = Moment::from_millis(self.model.installation.installed_ms);
            RateTable::new(day_of(first) - 1, None, &Plan { calendar, special, clock, rate_of: &rate_of })
        })
    }

    /// The rates since a client changed something, if one did.
    fn own_rates(&self) -> Option<&RateTable> {
        self.changed()?.rates(|| self.rates_of_model().clone(), &self.model.clock)
    }

    fn changed(&self) -> Option<&Changed> {
        self.tariffs.changed(&self.model.tariffs)
    }

    fn changed_tariffs(&mut self) -> &mut Changed {
        self.tariffs.changed_mut(&self.model.tariffs)
    }

    /// The mask that a script puts in force in a register activation.
    fn mask_of_script(&self, instance: ObisCode, script: u16) -> Option<&Name> {
        self.model.tariffs.activations.get(&instance)?.scripts.get(&script)
    }

    /// The rate, from 0, that a script puts in force.
    fn rate_of_script(&self, script: u16) -> u8 {
        let Some(instance) = self.model.tariffs.activations.keys().next() else { return 0 };
        let name = self.mask_of_script(*instance, script);
        name.map_or(0, |name| rate_of_mask(self.activation(*instance), name))
    }

    /// The rate in force, from 1, by a register activation; `None` where the model has none.
    pub(crate) fn active_rate(&self, number: usize, at: Moment) -> Option<u8> {
        let instance = *self.model.tariffs.activations.keys().nth(number)?;
        Some(rate_of_mask(self.activation(instance), &self.active_mask(instance, at)) + 1)
    }

    /// Seconds of local time at a moment.
    fn local_seconds(&self, at: Moment) -> i64 {
        self.stamp(at).to_local_seconds().unwrap_or(0)
    }

    /// The script of the calendar in force at a moment.
    fn active_script(&self, at: Moment) -> Option<u16> {
        let active = self.active_calendar().active(self.special_days(), self.local_seconds(at))?;
        Some(active.action.script_selector)
    }

    /// When the calendar switches next.
    fn next_switch(&self, at: Moment) -> Moment {
        let next = self.active_calendar().next(self.special_days(), self.local_seconds(at));
        let stamp =
            next.map(|next| DateTime::from_unix_seconds(next.at, 0, ClockStatus::UNSPECIFIED).with_deviation(None));
        let moment = stamp.and_then(|stamp| self.clock.settings.utc(stamp)).filter(|moment| *moment > at);
        moment.unwrap_or(Moment::from_millis(i64::MAX))
    }

    /// Lets the rates follow the calendar as it is now, from this moment on.
    fn follow_calendar(&mut self, at: Moment) {
        let scripts: BTreeSet<u16> = self
            .active_calendar()
            .days
            .iter()
            .flat_map(|day| &day.actions)
            .map(|action| action.script_selector)
            .collect();
        let rates: BTreeMap<u16, u8> =
            scripts.into_iter().map(|script| (script, self.rate_of_script(script))).collect();
        let quarter = RateTable::quarter_from(at, &self.model.clock);
        let changed = self.changed_tariffs();
        changed.follow(quarter, |script| rates.get(&script).copied().unwrap_or(0));
        changed.masks.clear();
        self.rates_changed(at);
    }

    /// Lets registers show what they do by the rates as they are now. Of many changes the oldest are settled: what was
    /// counted until then stays as a sum.
    fn rates_changed(&mut self, at: Moment) {
        self.consumption.forget();
        let now = RateTable::quarter_from(at, &self.model.clock) - 1;
        let Some(quarter) = self.changed().and_then(|changed| changed.to_settle(now)) else { return };
        let until = RateTable::start_of_quarter(quarter, &self.model.clock);
        let settled = self.consumption.settled(until.as_millis(), self.tariff());
        self.consumption.settle(settled);
        self.changed_tariffs().settle(quarter);
        self.consumption.forget();
    }

    /// Puts the passive calendar in force when its time has come.
    pub(crate) fn run_tariffs(&mut self, at: Moment) {
        if self.tariffs.next_due().is_some_and(|due| due <= at) {
            self.tariffs.activate_at = None;
            // A calendar that is not complete stays passive: there is nobody to tell.
            let _ = self.activate_calendar(at);
        }
    }
}

/// The day by UTC, which is within a day of the one by any local time.
const fn day_of(at: Moment) -> i64 {
    at.as_seconds().div_euclid(86_400)
}

impl CalendarState for Meter {
    fn active_calendar(&self) -> &Calendar {
        self.changed().map_or(&self.model.tariffs.active, |changed| &changed.active)
    }

    fn passive_calendar(&self) -> &Calendar {
        self.changed().map_or(&self.model.tariffs.passive, |changed| &changed.passive)
    }

    fn passive_calendar_mut(&mut self, at: Moment) -> &mut Calendar {
        // One event for all attributes of a calendar.
        if !std::mem::replace(&mut self.changed_tariffs().programmed, true) {
            self.record(LogKind::Standard, at, code::PASSIVE_TARIFF_PROGRAMMED);
        }
        &mut self.changed_tariffs().passive
    }

    fn activation_time(&self) -> DateTime {
        self.changed().map_or(DateTime::UNSPECIFIED, |changed| changed.activation_time)
    }

    fn set_activation_time(&mut self, time: DateTime, at: Moment) -> Result<(), DataAccessResult> {
        let moment = self.clock.settings.utc(time);
        // A time in the past: the calendar is to be in force already.
        if moment.is_some_and(|moment| moment <= at) && self.passive_calendar().check().is_err() {
            return Err(DataAccessResult::OtherReason);
        }
        self.changed_tariffs().activation_time = time;
        self.tariffs.activate_at = moment;
        self.record(LogKind::Standard, at, code::PARAMETERS_CHANGED);
        Ok(())
    }

    fn activate_calendar(&mut self, at: Moment) -> Result<(), ActionResult> {
        self.passive_calendar().check().map_err(|_| ActionResult::OtherReason)?;
        let changed = self.changed_tariffs();
        changed.active = changed.passive.clone();
        changed.programmed = false;
        self.follow_calendar(at);
        self.record(LogKind::Standard, at, code::TARIFF_ACTIVATED);
        Ok(())
    }
}

impl SpecialDaysState for Meter {
    fn special_days(&self) -> &SpecialDays {
        self.changed().map_or(&self.model.tariffs.special, |changed| &changed.special)
    }

    fn set_special_days(&mut self, days: SpecialDays, at: Moment) {
        self.changed_tariffs().special = days;
        self.follow_calendar(at);
        self.record(LogKind::Standard, at, code::PARAMETERS_CHANGED);
    }
}

/// What an object has that the model does not know of; there is none.
static NO_ACTIVATION: RegisterActivation =
    RegisterActivation { registers: heapless::Vec::new(), masks: heapless::Vec::new() };

impl ActivationState for Meter {
    fn activation(&self, instance: ObisCode) -> &RegisterActivation {
        let own = self.changed().and_then(|changed| changed.activations.get(&instance));
        let model = || self.model.tariffs.activations.get(&instance).map(|model| &model.activation);
        own.or_else(model).unwrap_or(&NO_ACTIVATION)
    }

    fn set_activation(
        &mut self,
        instance: ObisCode,
        to: RegisterActivation,
        at: Moment,
    ) -> Result<(), DataAccessResult> {
        self.changed_tariffs().activations.insert(instance, to);
        self.follow_calendar(at);
        self.record(LogKind::Standard, at, code::PARAMETERS_CHANGED);
        Ok(())
    }

    fn active_mask(&self, instance: ObisCode, at: Moment) -> Name {
        let by_hand = self.changed().and_then(|changed| changed.masks.get(&instance));
        if let Some((_, name)) = by_hand.filter(|(until, _)| at < *until) {
            return name.clone();
        }
        let by_calendar = self.active_script(at).and_then(|script| self.mask_of_script(instance, script));
        let first = || self.activation(instance).masks.first().map(|mask| &mask.name);
        by_calendar.or_else(first).cloned().unwrap_or_default()
    }

    fn set_active_mask(&mut self, instance: ObisCode, name: &[u8], at: Moment) -> Result<(), DataAccessResult> {
        let activation = self.activation(instance);
        let mask = activation.mask(name).ok_or(DataAccessResult::OtherReason)?;
        let (name, rate) = (mask.name.clone(), rate_of_mask(activation, name));
        let until = self.next_switch(at);
        // Energy follows the first of the objects.
        if self.model.tariffs.activations.keys().next() == Some(&instance) {
            let clock = &self.model.clock;
            let from = RateTable::quarter_from(at, clock);
            // Without a calendar a mask stays for as long as the table goes: thirty days are told ahead at a time.
            let to = RateTable::quarter_from(until.min(at.plus_millis(30 * 86_400_000)), clock);
            if from < to {
                self.changed_tariffs().put_between(from, to, rate);
                self.rates_changed(at);
            }
        }
        self.changed_tariffs().masks.insert(instance, (until, name));
        Ok(())
    }
}
