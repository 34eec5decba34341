//! What a meter does by itself, in order of time: whether a client is there or not.
//!
//! A part of the meter that acts at certain moments has a method that says when it does next, listed in
//! [`Meter::next_due`], and one that acts, called by [`Meter::run_due`]. Nothing is counted per tick: between two due
//! moments a meter takes no time at all.

use super::Meter;
use super::events::Logs;
use crate::alarms::AlarmLayout;
use crate::moment::Moment;

/// Times that parts of a meter may act at one moment: a defect of the simulator must not hold up a whole fleet.
const TURNS_MAX: u32 = 1_000;

/// Where a meter stands in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agenda {
    /// Up to where everything due has been done.
    done: Moment,
    /// When the fleet's driver looks at the meter next, as far as it knows.
    scheduled: Option<Moment>,
    /// The driver has been told that this has changed.
    woken: bool,
    /// When the seed lets something happen next.
    seed: Option<Moment>,
    /// A part is due again and again at one moment: it waits for the next client.
    stuck: bool,
    /// When a schedule runs next; unknown since clock or schedules changed.
    schedule: Schedule,
}

#[derive(Clone, Copy, Debug)]
enum Schedule {
    Known(Option<Moment>),
    Unknown,
}

impl Agenda {
    pub(crate) fn new(now: Moment, logs: &Logs, layout: AlarmLayout) -> Self {
        let seed = logs.seed().next_alarm(layout, now);
        Self { done: now, scheduled: None, woken: false, seed, stuck: false, schedule: Schedule::Unknown }
    }
}

impl Meter {
    /// Clock or schedules have changed, so that something may be due at another moment.
    pub(crate) const fn times_changed(&mut self) {
        self.agenda.schedule = Schedule::Unknown;
    }

    fn schedule_due(&self) -> Option<Moment> {
        match self.agenda.schedule {
            Schedule::Known(due) => due,
            Schedule::Unknown => self.next_schedule(self.agenda.done),
        }
    }

    /// Up to where everything due has been done.
    pub(super) const fn done_until(&self) -> Moment {
        self.agenda.done
    }

    /// When the meter has something to do by itself next: the earliest moment of its parts. A part whose moment has
    /// passed already is due at once.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.next_due_until(self.agenda.done)
    }

    /// The same for a meter that makes up for the time until `until`.
    fn next_due_until(&self, until: Moment) -> Option<Moment> {
        let parts = [
            self.agenda.seed,
            self.tariffs.next_due(),
            self.schedule_due(),
            self.push_due(),
            self.firmware_due(),
            self.supervision_due(until),
            self.prepayment_due(until),
        ];
        parts.into_iter().flatten().min()
    }

    /// Lets everything happen that happens by itself until `now`, in order of time; returns whether anything did.
    pub(crate) fn advance(&mut self, now: Moment) -> bool {
        let mut any = false;
        let mut turns: u32 = 0;
        // What a client has set just before holds from then on.
        self.logs.follow_clock(self.agenda.done, &self.clock.settings);
        self.agenda.schedule = Schedule::Known(self.schedule_due());
        while let Some(due) = self.next_due_until(now).filter(|due| *due <= now) {
            // What was late happens now, not in a past in which it was not there.
            let due = due.max(self.agenda.done);
            turns = if due == self.agenda.done { turns + 1 } else { 0 };
            if turns > TURNS_MAX {
                tracing::error!(meter = %self.identity.serial, "a part of a meter is due for ever at one moment");
                self.agenda.stuck = true;
                break;
            }
            self.agenda.done = due;
            self.run_due(due, now);
            any = true;
        }
        self.agenda.done = self.agenda.done.max(now);
        any
    }

    /// Does what is due at this moment, on the way to `until`. Each part must have a later moment afterwards, or none.
    fn run_due(&mut self, due: Moment, until: Moment) {
        if self.agenda.seed.is_some_and(|seed| seed <= due) {
            for event in self.logs.seed().at(due) {
                self.raise_alarms(due, event);
            }
            self.agenda.seed = self.logs.seed().next_alarm(self.model.alarms.layout, due);
        }
        // Tariffs before schedules of the same moment, which may bill them.
        self.run_tariffs(due);
        if self.schedule_due().is_some_and(|schedule| schedule <= due) {
            self.run_schedules(due);
            self.agenda.schedule = Schedule::Known(self.next_schedule(due));
        }
        self.note_firmware(due);
        self.run_prepayment(due, until);
        self.run_supervision(due, until);
        self.run_pushes(due);
    }

    /// What the seed lets happen next is no longer what it was.
    pub(super) fn look_for_alarms(&mut self, at: Moment) {
        self.agenda.seed = self.logs.seed().next_alarm(self.model.alarms.layout, at);
    }

    /// Whether the driver has to look at the meter before it would, of which it is to be told just once.
    pub(in crate::simulator) fn wants_driver(&mut self) -> bool {
        if self.agenda.woken {
            return false;
        }
        let sooner = match (self.next_due(), self.agenda.scheduled) {
            (Some(next), Some(known)) => next < known,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        self.agenda.woken = sooner || self.has_outgoing();
        self.agenda.woken
    }

    /// The driver has looked at the meter; returns when it was to look, and when it has to next.
    pub(in crate::simulator) fn looked_at(&mut self) -> (Option<Moment>, Option<Moment>) {
        let next = if std::mem::take(&mut self.agenda.stuck) { None } else { self.next_due() };
        self.agenda.woken = false;
        (std::mem::replace(&mut self.agenda.scheduled, next), next)
    }
}
