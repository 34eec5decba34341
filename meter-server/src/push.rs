//! The push process of a push setup: when to send, and when to send again.
//!
//! A trigger (a schedule, an alarm, a client) starts the process. It waits for a random time, then for the communication
//! window, sends, and repeats as often as the setup allows. Triggers that come meanwhile are counted up to a bound; what
//! they stand for is sent afterwards, once for each.

use dlms::cosem::push_setup::Delay;

use crate::moment::Moment;

/// Triggers that are remembered while a push is on its way; more change nothing.
pub const TRIGGERS_MAX: u8 = 4;

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is to be sent.
    Idle,
    /// Something is to be sent at a moment, after so many failures.
    Waiting(Moment),
    /// It is on its way; somebody will tell what became of it.
    Sending,
    /// It is on its way, but nobody wants it any more.
    Cancelled,
}

/// One push process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushProcess {
    state: State,
    failures: u8,
    triggers: u8,
    /// Triggers that were lost because too many waited.
    lost: u32,
}

/// How often and when a push is repeated: attributes 6 and 7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repetition {
    /// Repetitions at most.
    pub retries: u8,
    /// Time between two attempts.
    pub delay: Delay,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived, as far as anybody can know.
    Done,
    /// It is tried again.
    Again,
    /// It was given up.
    GivenUp,
    /// The process was reset while it was on its way, and it did not arrive.
    Cancelled,
}

impl Default for PushProcess {
    fn default() -> Self {
        Self { state: State::Idle, failures: 0, triggers: 0, lost: 0 }
    }
}

impl PushProcess {
    /// Something to be pushed has come up. It is sent `delay_ms` milliseconds later, or after what is on its way.
    pub const fn trigger(&mut self, at: Moment, delay_ms: i64) {
        match self.state {
            State::Idle => {
                self.state = State::Waiting(at.plus_millis(delay_ms));
                self.failures = 0;
            }
            _ if self.triggers < TRIGGERS_MAX => self.triggers = self.triggers.saturating_add(1),
            _ => self.lost = self.lost.saturating_add(1),
        }
    }

    /// When something is to be sent.
    #[must_use]
    pub const fn due(&self) -> Option<Moment> {
        match self.state {
            State::Waiting(due) => Some(due),
            State::Idle | State::Sending | State::Cancelled => None,
        }
    }

    /// The communication window opens at a later moment only.
    pub const fn postpone(&mut self, to: Moment) {
        if matches!(self.state, State::Waiting(_)) {
            self.state = State::Waiting(to);
        }
    }

    /// It is on its way from now on.
    pub const fn sending(&mut self) {
        self.state = State::Sending;
    }

    /// Forgets what waits. What is on its way cannot be called back, but is not repeated; nothing else is sent before its
    /// end is known.
    pub const fn reset(&mut self) {
        self.triggers = 0;
        self.state = match self.state {
            State::Idle | State::Waiting(_) => State::Idle,
            State::Sending | State::Cancelled => State::Cancelled,
        };
    }

    /// What was on its way has arrived, or not. The next trigger is taken up after `delay_ms` milliseconds.
    pub fn finished(&mut self, arrived: bool, at: Moment, repetition: Repetition, delay_ms: i64) -> Outcome {
        let cancelled = matches!(self.state, State::Cancelled);
        if !arrived && !cancelled && self.failures < repetition.retries {
            self.failures = self.failures.saturating_add(1);
            let pause_s = i64::from(repetition.delay.seconds(self.failures)).max(1);
            self.state = State::Waiting(at.plus_millis(pause_s.saturating_mul(1000)));
            return Outcome::Again;
        }
        self.state = State::Idle;
        if let Some(left) = self.triggers.checked_sub(1) {
            self.triggers = left;
            self.trigger(at, delay_ms);
        }
        match (arrived, cancelled) {
            (true, _) => Outcome::Done,
            (false, true) => Outcome::Cancelled,
            (false, false) => Outcome::GivenUp,
        }
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Triggers that were lost because too many waited.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment::from_seconds(1_000);
    const TWICE: Repetition = Repetition { retries: 2, delay: Delay { min: 10, exponent: 200, max: 15 } };

    #[test]
    fn a_push_is_repeated_with_growing_pauses_and_then_given_up() {
        let mut process = PushProcess::default();
        process.trigger(AT, 2_500);
        assert_eq!(process.due(), Some(AT.plus_millis(2_500)));
        process.postpone(AT.plus_millis(9_000));
        assert_eq!(process.due(), Some(AT.plus_millis(9_000)));
        process.sending();
        assert_eq!((process.due(), process.is_idle()), (None, false));
        assert_eq!(process.finished(false, AT, TWICE, 0), Outcome::Again);
        assert_eq!(process.due(), Some(AT.plus_millis(10_000)));
        process.sending();
        assert_eq!(process.finished(false, AT, TWICE, 0), Outcome::Again);
        assert_eq!(process.due(), Some(AT.plus_millis(15_000)), "twice as long, but not longer than the maximum");
        process.sending();
        assert_eq!(process.finished(false, AT, TWICE, 0), Outcome::GivenUp);
        assert!(process.is_idle());
    }

    #[test]
    fn a_process_that_is_reset_sends_nothing_before_the_end_of_what_is_on_its_way() {
        let mut process = PushProcess::default();
        process.trigger(AT, 0);
        process.reset();
        assert!(process.is_idle());
        process.trigger(AT, 0);
        process.sending();
        process.trigger(AT, 0);
        for _ in 0..9 {
            process.reset();
            assert!(!process.is_idle());
            process.trigger(AT, 0);
            assert_eq!(process.due(), None);
        }
        assert_eq!(process.finished(false, AT, TWICE, 500), Outcome::Cancelled, "not tried again");
        assert_eq!(process.due(), Some(AT.plus_millis(500)), "what was triggered after the last reset");
        process.sending();
        assert_eq!(process.finished(true, AT, TWICE, 0), Outcome::Done);
        assert!(process.is_idle());
    }

    #[test]
    fn each_trigger_is_sent_once_up_to_the_bound() {
        for triggers in 1..20_u8 {
            let mut process = PushProcess::default();
            (0..triggers).for_each(|_| process.trigger(AT, 0));
            let mut sent = 0;
            while process.due().is_some() {
                process.sending();
                sent += 1;
                assert_eq!(process.finished(true, AT, TWICE, 0), Outcome::Done);
            }
            assert_eq!(sent, triggers.min(TRIGGERS_MAX + 1));
            assert_eq!(process.lost(), u32::from(triggers - sent));
        }
    }
}
