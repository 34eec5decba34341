//! Single action schedule (class 22, version 0).

use dlms::apdu::DataAccessResult;
use dlms::association::server::Progress;
use dlms::cosem::action::ActionItem;
use dlms::cosem::single_action_schedule::{self, ExecutionTimeDate, ScheduleType};
use dlms::cosem::{Answer, Array, ToData};
use dlms::id::AttributeId;
use dlms::obis::ObisCode;

use super::kept::{Kept, kept_value};
use crate::object::Context;
use crate::schedule::{LocalTime, next_after};

type Answered = Result<Progress, DataAccessResult>;

const SCRIPT: AttributeId = AttributeId(2);
const TYPE: AttributeId = AttributeId(3);
const TIMES: AttributeId = AttributeId(4);

/// Execution times that a client may write.
const TIMES_MAX: usize = 64;

/// Runs one script at given times.
#[derive(Clone, Debug)]
pub struct SingleActionSchedule<V> {
    /// Logical name.
    pub instance: ObisCode,
    /// Attributes 2 to 4.
    pub attributes: V,
}

impl<V> SingleActionSchedule<V> {
    /// When the script runs next after a local time. No times disable the schedule.
    pub fn next_after<S: ?Sized>(&self, state: &S, after: LocalTime) -> Option<LocalTime>
    where
        V: Kept<S>,
    {
        let times: Array<'_, ExecutionTimeDate> = kept_value(self.attributes.kept(state, TIMES))?;
        times.iter().flatten().filter_map(|entry| next_after(entry.date, entry.time, after)).min()
    }

    /// The script.
    pub fn script<S: ?Sized>(&self, state: &S) -> Option<ActionItem>
    where
        V: Kept<S>,
    {
        kept_value(self.attributes.kept(state, SCRIPT))
    }

    fn kind<S: ?Sized>(&self, state: &S) -> ScheduleType
    where
        V: Kept<S>,
    {
        kept_value(self.attributes.kept(state, TYPE)).unwrap_or(ScheduleType::AnyTimeWithWildcards)
    }
}

serve!(single_action_schedule: [S: ?Sized, V: Kept<S>] SingleActionSchedule<V>);

impl<'c, S: ?Sized, V: Kept<S>> single_action_schedule::Server<S, Context<'c, S>> for SingleActionSchedule<V> {
    fn executed_script(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, single_action_schedule::ExecutedScript>,
    ) -> Answered {
        answer.written(|out| out.bytes(self.attributes.kept(state, SCRIPT)))
    }

    fn set_executed_script(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        script: ActionItem,
    ) -> Result<(), DataAccessResult> {
        self.attributes.keep(state, cx, SCRIPT, &|out| script.to_data(out))
    }

    fn kind(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, single_action_schedule::Type>) -> Answered {
        answer.written(|out| out.bytes(self.attributes.kept(state, TYPE)))
    }

    fn set_kind(&self, state: &mut S, cx: &Context<'c, S>, kind: ScheduleType) -> Result<(), DataAccessResult> {
        if matches!(kind, ScheduleType::Other(_)) {
            return Err(DataAccessResult::OtherReason);
        }
        self.attributes.keep(state, cx, TYPE, &|out| kind.to_data(out))
    }

    fn execution_time(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, single_action_schedule::ExecutionTime>,
    ) -> Answered {
        answer.written(|out| out.bytes(self.attributes.kept(state, TIMES)))
    }

    fn set_execution_time(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        times: Array<'_, ExecutionTimeDate>,
    ) -> Result<(), DataAccessResult> {
        if times.len() > TIMES_MAX || !fits(self.kind(state), &times) {
            return Err(DataAccessResult::OtherReason);
        }
        self.attributes.keep(state, cx, TIMES, &|out| times.to_data(out))
    }
}

/// Whether execution times look as the type of the schedule allows.
fn fits(kind: ScheduleType, times: &Array<'_, ExecutionTimeDate>) -> bool {
    let plain = || times.iter().flatten().all(|entry| entry.date.to_unix_days().is_some());
    let same = || {
        let mut entries = times.iter().flatten().map(|entry| entry.time);
        let first = entries.next();
        entries.all(|time| Some(time) == first)
    };
    match kind {
        ScheduleType::OneWithWildcards => times.len() <= 1,
        ScheduleType::SameTime => same() && plain(),
        ScheduleType::SameTimeWithWildcards => same(),
        ScheduleType::AnyTime => plain(),
        _ => true,
    }
}
