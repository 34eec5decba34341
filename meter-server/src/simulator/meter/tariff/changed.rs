//! What clients changed about a meter's tariffs, in a few hundred octets while nobody asks.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use dlms::obis::ObisCode;
use dlms::time::DateTime;

use super::ModelTariffs;
use super::rates::{Plan, RateTable};
use crate::moment::Moment;
use crate::objects::ClockSettings;
use crate::simulator::record::{Record, record};
use crate::tariff::{Calendar, Name, RegisterActivation, SpecialDays};

/// Turns that are told apart; beyond it the registers of the time before the oldest are settled.
const TURNS_MAX: usize = 8;
/// Octets of their plans.
const PLANS_OCTETS: usize = 1_024;

/// The tariffs of one meter: nothing while they are as its model says.
#[derive(Debug, Default)]
pub(crate) struct Tariffs {
    /// What was changed, as octets; nothing while it is open or nothing was changed.
    packed: Box<[u8]>,
    open: OnceCell<Box<Changed>>,
    /// When the passive calendar becomes the active one.
    pub(super) activate_at: Option<Moment>,
}

/// What clients changed.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) active: Calendar,
    pub(super) passive: Calendar,
    pub(super) special: SpecialDays,
    pub(super) activation_time: DateTime,
    /// Whether the passive calendar was written since it was activated last.
    pub(super) programmed: bool,
    pub(super) activations: BTreeMap<ObisCode, RegisterActivation>,
    /// Masks that were put in force by hand, until when.
    pub(super) masks: BTreeMap<ObisCode, (Moment, Name)>,
    /// What made the rates others than those of the model, in order of time.
    turns: Vec<Turn>,
    /// The rates of all days, worked out when they are asked for.
    rates: OnceCell<RateTable>,
}

/// From a quarter on there are other rates.
#[derive(Clone, Debug, PartialEq)]
struct Turn {
    from: i64,
    /// One rate until another quarter; otherwise by a calendar.
    by_hand: Option<(i64, u8)>,
    /// A [`PlanRecord`].
    plan: Box<[u8]>,
}

/// What the rates of a calendar come from.
struct PlanRecord {
    calendar: Calendar,
    special: SpecialDays,
    /// The rate, from 0, that each of its scripts puts in force.
    rates: Vec<(u16, u8)>,
}

/// [`Changed`] as octets: what a plan or the model has already is left out.
struct Packed {
    turns: Vec<Turn>,
    /// Where there is no plan.
    special: Option<SpecialDays>,
    passive: Option<Calendar>,
    passive_is_active: bool,
    activation_time: Option<DateTime>,
    activate_at: Option<Moment>,
    programmed: bool,
    activations: BTreeMap<ObisCode, RegisterActivation>,
    masks: BTreeMap<ObisCode, (Moment, Name)>,
}

record! {
    Turn { from, by_hand, plan }
    PlanRecord { calendar, special, rates }
    Packed { turns, special, passive, passive_is_active, activation_time, activate_at, programmed, activations, masks }
}

impl Tariffs {
    /// When a passive calendar becomes the active one.
    pub(crate) const fn next_due(&self) -> Option<Moment> {
        self.activate_at
    }

    /// What was changed, if anything was.
    pub(super) fn changed(&self, model: &ModelTariffs) -> Option<&Changed> {
        if self.packed.is_empty() {
            return self.open.get().map(AsRef::as_ref);
        }
        // Octets that this meter has written read back.
        Some(
            self.open.get_or_init(|| {
                Box::new(Changed::unpack(&self.packed, model).unwrap_or_else(|| Changed::none(model)).0)
            }),
        )
    }

    /// The same, to be changed.
    pub(super) fn changed_mut(&mut self, model: &ModelTariffs) -> &mut Changed {
        if self.changed(model).is_none() {
            let _ = self.open.set(Box::new(Changed::none(model).0));
        }
        self.packed = Box::default();
        match self.open.get_mut() {
            Some(open) => open,
            None => unreachable!("opened just now"),
        }
    }

    /// What was changed as octets; none when nothing was.
    pub(crate) fn octets(&self, model: &ModelTariffs) -> Vec<u8> {
        match self.open.get() {
            Some(open) if self.packed.is_empty() => open.pack(model, self.activate_at),
            _ => self.packed.to_vec(),
        }
    }

    /// Takes over what was kept; `None` when it does not fit.
    pub(crate) fn restore(&mut self, octets: &[u8], model: &ModelTariffs) -> Option<()> {
        if !octets.is_empty() {
            (_, self.activate_at) = Changed::unpack(octets, model)?;
        }
        (self.packed, self.open) = (octets.into(), OnceCell::new());
        Some(())
    }

    /// Nobody asks any more.
    pub(crate) fn rest(&mut self, model: &ModelTariffs) {
        if self.open.get().is_some() {
            self.packed = self.octets(model).into();
            self.open = OnceCell::new();
        }
    }
}

impl Changed {
    /// As the model has it.
    fn none(model: &ModelTariffs) -> (Self, Option<Moment>) {
        let changed = Self {
            active: model.active.clone(),
            passive: model.passive.clone(),
            special: model.special.clone(),
            activation_time: DateTime::UNSPECIFIED,
            programmed: false,
            activations: BTreeMap::new(),
            masks: BTreeMap::new(),
            turns: Vec::new(),
            rates: OnceCell::new(),
        };
        (changed, None)
    }

    fn pack(&self, model: &ModelTariffs, activate_at: Option<Moment>) -> Vec<u8> {
        let planned = self.turns.iter().any(|turn| turn.by_hand.is_none());
        let passive_is_active = self.passive == self.active;
        let own_passive = !passive_is_active && self.passive != model.passive;
        let packed = Packed {
            turns: self.turns.clone(),
            special: (!planned && self.special != model.special).then(|| self.special.clone()),
            passive: own_passive.then(|| self.passive.clone()),
            passive_is_active,
            activation_time: (self.activation_time != DateTime::UNSPECIFIED).then_some(self.activation_time),
            activate_at,
            programmed: self.programmed,
            activations: self.activations.clone(),
            masks: self.masks.clone(),
        };
        packed.to_octets()
    }

    fn unpack(octets: &[u8], model: &ModelTariffs) -> Option<(Self, Option<Moment>)> {
        let packed = Packed::from_octets(octets)?;
        let (mut changed, _) = Self::none(model);
        for turn in packed.turns.iter().filter(|turn| turn.by_hand.is_none()) {
            // The last one holds.
            let plan = PlanRecord::from_octets(&turn.plan)?;
            (changed.active, changed.special) = (plan.calendar, plan.special);
        }
        if let Some(special) = packed.special {
            changed.special = special;
        }
        if packed.passive_is_active {
            changed.passive = changed.active.clone();
        } else if let Some(passive) = packed.passive {
            changed.passive = passive;
        }
        changed.activation_time = packed.activation_time.unwrap_or(DateTime::UNSPECIFIED);
        changed.programmed = packed.programmed;
        (changed.activations, changed.masks, changed.turns) = (packed.activations, packed.masks, packed.turns);
        Some((changed, packed.activate_at))
    }

    /// From `quarter` on the rates follow the calendar as it is now.
    pub(super) fn follow(&mut self, quarter: i64, rate_of: impl Fn(u16) -> u8) {
        let mut rates: Vec<(u16, u8)> = Vec::new();
        for action in self.active.days.iter().flat_map(|day| &day.actions) {
            if rates.iter().all(|(script, _)| *script != action.script_selector) {
                rates.push((action.script_selector, rate_of(action.script_selector)));
            }
        }
        let plan = PlanRecord { calendar: self.active.clone(), special: self.special.clone(), rates };
        // What was to come later does not come.
        self.turns.retain(|turn| turn.from < quarter);
        let turn = Turn { from: quarter, by_hand: None, plan: plan.to_octets().into() };
        // The same calendar again changes nothing, but that masks of a hand do not hold any more.
        if self.turns.last().is_none_or(|last| last.by_hand.is_some() || last.plan != turn.plan) {
            self.turns.push(turn);
        }
        self.rates = OnceCell::new();
    }

    /// From quarter `from` to before `to` there is one rate.
    pub(super) fn put_between(&mut self, from: i64, to: i64, rate: u8) {
        self.turns.retain(|turn| turn.by_hand.is_none() || turn.from < from);
        self.turns.push(Turn { from, by_hand: Some((to, rate)), plan: Box::default() });
        self.rates = OnceCell::new();
    }

    /// The rates of all days, those of `model` until the first change; `None` while there was none.
    pub(super) fn rates(&self, model: impl Fn() -> RateTable, clock: &ClockSettings) -> Option<&RateTable> {
        if self.turns.is_empty() {
            return None;
        }
        Some(self.rates.get_or_init(|| {
            let mut table = model();
            for (number, turn) in self.turns.iter().enumerate() {
                if let Some((to, rate)) = turn.by_hand {
                    table.put_between(turn.from, to, rate);
                    continue;
                }
                // Octets that this meter has written read back.
                let Some(plan) = PlanRecord::from_octets(&turn.plan) else { continue };
                let next = self.turns[number + 1..].iter().find(|turn| turn.by_hand.is_none());
                let rate_of =
                    |script| plan.rates.iter().find(|(known, _)| *known == script).map_or(0, |(_, rate)| *rate);
                let PlanRecord { calendar, special, .. } = &plan;
                let first = RateTable::day_of_quarter(turn.from) - 1;
                let days = next.map(|next| RateTable::day_of_quarter(next.from) + 2 - first);
                let plan = Plan { calendar, special, clock, rate_of: &rate_of };
                table.go_on_with(turn.from, &RateTable::new(first, days, &plan));
            }
            table
        }))
    }

    /// The quarter before which registers are to be settled, so that turns stay few; one before `now`.
    pub(super) fn to_settle(&self, now: i64) -> Option<i64> {
        let octets: usize = self.turns.iter().map(|turn| turn.plan.len()).sum();
        let many = self.turns.len() > TURNS_MAX || octets > PLANS_OCTETS;
        let past = self.turns.iter().skip(1).filter(|turn| turn.from <= now);
        if many { past.map(|turn| turn.from).max() } else { None }
    }

    /// Forgets the turns before `quarter`, as far as they do not hold any more.
    pub(super) fn settle(&mut self, quarter: i64) {
        let holds = self.turns.iter().rposition(|turn| turn.by_hand.is_none() && turn.from <= quarter);
        let mut number = 0;
        self.turns.retain(|turn| {
            // What a hand did lasts until a switch of the calendar at most, and so does what it did later.
            let keep = turn.from >= quarter || Some(number) == holds;
            number += 1;
            keep
        });
        self.rates = OnceCell::new();
    }
}
