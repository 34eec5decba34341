//! Activity calendar (class 20, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::activity_calendar::{self, Day, Season, Week};
use dlms::cosem::{Answer, Array, Zero};
use dlms::obis::ObisCode;
use dlms::time::DateTime;

use super::values::write_array;
use crate::moment::Moment;
use crate::object::Context;
use crate::tariff::{self, Calendar, Name};

type Answered = Result<Progress, DataAccessResult>;
type Written = Result<(), DataAccessResult>;

/// A meter with a calendar in force, and one to come.
pub trait CalendarState {
    /// The calendar in force.
    fn active_calendar(&self) -> &Calendar;

    /// The calendar to come.
    fn passive_calendar(&self) -> &Calendar;

    /// The calendar to come, to be changed at this moment. It may be incomplete until it is put in force.
    fn passive_calendar_mut(&mut self, at: Moment) -> &mut Calendar;

    /// When the calendar to come takes the place of the other one by itself.
    fn activation_time(&self) -> DateTime;

    /// Changes that time; never when it is not specified.
    ///
    /// # Errors
    /// What the client gets; the time is unchanged then.
    fn set_activation_time(&mut self, time: DateTime, at: Moment) -> Written;

    /// Copies the calendar to come to the one in force.
    ///
    /// # Errors
    /// What the client gets, for a calendar that is not complete; nothing is changed then.
    fn activate_calendar(&mut self, at: Moment) -> Result<(), ActionResult>;
}

/// Seasons, weeks and days that switch tariffs.
#[derive(Clone, Copy, Debug)]
pub struct ActivityCalendar {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(activity_calendar: [S: CalendarState + ?Sized] ActivityCalendar);

/// A name that was received; `OtherReason` for a longer one than is kept.
pub(super) fn name(octets: &[u8]) -> Result<Name, DataAccessResult> {
    Name::from_slice(octets).map_err(|_| DataAccessResult::OtherReason)
}

fn write_seasons<A: dlms::cosem::Attribute>(calendar: &Calendar, answer: Answer<'_, '_, A>) -> Answered {
    answer.written(|out| {
        write_array(out, &calendar.seasons, |season| Season {
            season_profile_name: &season.name,
            season_start: season.start,
            week_name: &season.week,
        })
    })
}

fn write_weeks<A: dlms::cosem::Attribute>(calendar: &Calendar, answer: Answer<'_, '_, A>) -> Answered {
    answer.written(|out| {
        write_array(out, &calendar.weeks, |week| {
            let [monday, tuesday, wednesday, thursday, friday, saturday, sunday] = week.days;
            Week { week_profile_name: &week.name, monday, tuesday, wednesday, thursday, friday, saturday, sunday }
        })
    })
}

fn write_days<A: dlms::cosem::Attribute>(calendar: &Calendar, answer: Answer<'_, '_, A>) -> Answered {
    answer.written(|out| {
        write_array(out, &calendar.days, |day| Day {
            day_id: day.id,
            day_schedule: Array::from(day.actions.as_slice()),
        })
    })
}

/// Too many elements, or one that is of another type.
fn element<T>(item: Result<T, dlms::cosem::TypeError>) -> Result<T, DataAccessResult> {
    item.map_err(|_| DataAccessResult::TypeUnmatched)
}

impl<'c, S: CalendarState + ?Sized> activity_calendar::Server<S, Context<'c, S>> for ActivityCalendar {
    fn calendar_name_active(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::CalendarNameActive>,
    ) -> Answered {
        answer.value(&&*state.active_calendar().name)
    }

    fn season_profile_active(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::SeasonProfileActive>,
    ) -> Answered {
        write_seasons(state.active_calendar(), answer)
    }

    fn week_profile_table_active(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::WeekProfileTableActive>,
    ) -> Answered {
        write_weeks(state.active_calendar(), answer)
    }

    fn day_profile_table_active(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::DayProfileTableActive>,
    ) -> Answered {
        write_days(state.active_calendar(), answer)
    }

    fn calendar_name_passive(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::CalendarNamePassive>,
    ) -> Answered {
        answer.value(&&*state.passive_calendar().name)
    }

    fn set_calendar_name_passive(&self, state: &mut S, cx: &Context<'c, S>, value: &[u8]) -> Written {
        let name = name(value)?;
        state.passive_calendar_mut(cx.at).name = name;
        Ok(())
    }

    fn season_profile_passive(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::SeasonProfilePassive>,
    ) -> Answered {
        write_seasons(state.passive_calendar(), answer)
    }

    fn set_season_profile_passive(&self, state: &mut S, cx: &Context<'c, S>, value: Array<'_, Season<'_>>) -> Written {
        let mut seasons = heapless::Vec::new();
        for item in value {
            let item = element(item)?;
            let (name, week) = (name(item.season_profile_name)?, name(item.week_name)?);
            let season = tariff::Season { name, start: item.season_start, week };
            seasons.push(season).map_err(|_| DataAccessResult::OtherReason)?;
        }
        state.passive_calendar_mut(cx.at).seasons = seasons;
        Ok(())
    }

    fn week_profile_table_passive(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::WeekProfileTablePassive>,
    ) -> Answered {
        write_weeks(state.passive_calendar(), answer)
    }

    fn set_week_profile_table_passive(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        value: Array<'_, Week<'_>>,
    ) -> Written {
        let mut weeks = heapless::Vec::new();
        for item in value {
            let item = element(item)?;
            let Week { monday, tuesday, wednesday, thursday, friday, saturday, sunday, .. } = item;
            let days = [monday, tuesday, wednesday, thursday, friday, saturday, sunday];
            let week = tariff::Week { name: name(item.week_profile_name)?, days };
            weeks.push(week).map_err(|_| DataAccessResult::OtherReason)?;
        }
        state.passive_calendar_mut(cx.at).weeks = weeks;
        Ok(())
    }

    fn day_profile_table_passive(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::DayProfileTablePassive>,
    ) -> Answered {
        write_days(state.passive_calendar(), answer)
    }

    fn set_day_profile_table_passive(&self, state: &mut S, cx: &Context<'c, S>, value: Array<'_, Day<'_>>) -> Written {
        let mut days = heapless::Vec::new();
        for item in value {
            let item = element(item)?;
            let mut day = tariff::Day { id: item.day_id, actions: heapless::Vec::new() };
            for action in item.day_schedule {
                day.actions.push(element(action)?).map_err(|_| DataAccessResult::OtherReason)?;
            }
            // Clients write the actions in any order.
            day.actions.sort_unstable_by_key(|action| action.start_time.to_seconds());
            days.push(day).map_err(|_| DataAccessResult::OtherReason)?;
        }
        state.passive_calendar_mut(cx.at).days = days;
        Ok(())
    }

    fn activate_passive_calendar_time(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, activity_calendar::ActivatePassiveCalendarTime>,
    ) -> Answered {
        answer.value(&state.activation_time())
    }

    fn set_activate_passive_calendar_time(&self, state: &mut S, cx: &Context<'c, S>, value: DateTime) -> Written {
        state.set_activation_time(value, cx.at)
    }

    fn activate_passive_calendar(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        state.activate_calendar(cx.at)
    }
}
