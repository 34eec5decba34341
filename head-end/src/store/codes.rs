//! Numbers that stand for variants in the databases. They are never given to another variant.

use dlms::security::Protection;

use super::{EventOrigin, JobState, PushState, Source, TaskResult, TaskState, WavesState};
use crate::{meter::TimeBasis, operation::Priority};

/// Variants in the order of their numbers.
pub(super) struct Codes<T: 'static> {
    first: i16,
    all: &'static [T],
}

impl<T: Copy + PartialEq> Codes<T> {
    /// The number of a variant.
    pub(super) fn number(&self, of: T) -> i16 {
        let place = self.all.iter().position(|one| *one == of).and_then(|place| i16::try_from(place).ok());
        place.map_or(-1, |place| self.first.saturating_add(place))
    }

    /// The variant of a number.
    pub(super) fn variant(&self, number: i16) -> Option<T> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.all.get(place).copied()
    }
}

pub(super) const BASES: Codes<TimeBasis> =
    Codes { first: 1, all: &[TimeBasis::MeterDeviation, TimeBasis::ConfiguredOffset, TimeBasis::Received] };

pub(super) const SOURCES: Codes<Source> = Codes { first: 1, all: &[Source::Polled, Source::Pushed, Source::Telegram] };

pub(super) const ORIGINS: Codes<EventOrigin> =
    Codes { first: 1, all: &[EventOrigin::Log, EventOrigin::Pushed, EventOrigin::AlarmRegister, EventOrigin::HeadEnd] };

pub(super) const PUSH_STATES: Codes<PushState> =
    Codes { first: 0, all: &[PushState::Waiting, PushState::Read, PushState::Unread] };

pub(super) const PRIORITIES: Codes<Priority> = Codes { first: 0, all: &Priority::ALL };

pub(super) const JOB_STATES: Codes<JobState> = Codes { first: 0, all: &JobState::ALL };

pub(super) const TASK_STATES: Codes<TaskState> = Codes { first: 0, all: &TaskState::ALL };

pub(super) const WAVES_STATES: Codes<WavesState> = Codes { first: 0, all: &WavesState::ALL };

/// The numbers of the API.
pub(super) const TASK_RESULTS: Codes<TaskResult> = Codes { first: 1, all: &TaskResult::ALL };

/// Bits: 1 authenticated, 2 encrypted, 4 signed.
pub(super) fn protection_bits(of: Protection) -> i16 {
    i16::from(of.authenticated) | i16::from(of.encrypted) << 1 | i16::from(of.signed) << 2
}

pub(super) const fn protection(bits: i16) -> Protection {
    Protection { authenticated: bits & 1 != 0, encrypted: bits & 2 != 0, signed: bits & 4 != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_comes_back_from_its_number() {
        for state in TaskState::ALL {
            assert_eq!(TASK_STATES.variant(TASK_STATES.number(state)), Some(state));
        }
        for result in TaskResult::ALL {
            assert_eq!(TASK_RESULTS.variant(TASK_RESULTS.number(result)), Some(result));
        }
        assert_eq!((TASK_RESULTS.number(TaskResult::Succeeded), BASES.number(TimeBasis::Received)), (1, 3));
        assert_eq!((BASES.variant(0), BASES.variant(4), TASK_RESULTS.variant(i16::MIN)), (None, None, None));
        for bits in 0..8 {
            assert_eq!(protection_bits(protection(bits)), bits);
        }
    }
}
