//! Class 20, Activity calendar: seasons, weeks and days that switch tariffs.

use super::{Array, Zero};
use crate::obis::ObisCode;
use crate::time::{DateTime, Time};

interface_class! {
    "Activity calendar" = 20, versions 0..=0, methods at 0x50;
    attributes {
        /// Name of the calendar in force.
        2 CalendarNameActive calendar_name_active, static: &'a [u8];
        /// When its seasons begin.
        3 SeasonProfileActive season_profile_active, static: Array<'a, Season<'a>>;
        /// Its weeks.
        4 WeekProfileTableActive week_profile_table_active, static: Array<'a, Week<'a>>;
        /// Its days.
        5 DayProfileTableActive day_profile_table_active, static: Array<'a, Day<'a>>;
        /// Name of the calendar to come.
        6 CalendarNamePassive calendar_name_passive/set_calendar_name_passive, static: &'a [u8];
        /// When its seasons begin.
        7 SeasonProfilePassive season_profile_passive/set_season_profile_passive, static: Array<'a, Season<'a>>;
        /// Its weeks.
        8 WeekProfileTablePassive week_profile_table_passive/set_week_profile_table_passive, static:
            Array<'a, Week<'a>>;
        /// Its days.
        9 DayProfileTablePassive day_profile_table_passive/set_day_profile_table_passive, static: Array<'a, Day<'a>>;
        /// When it takes the place of the one in force; never while not specified.
        10 ActivatePassiveCalendarTime activate_passive_calendar_time/set_activate_passive_calendar_time, static:
            DateTime;
    }
    methods {
        /// Puts the calendar to come in force.
        1 ActivatePassiveCalendar activate_passive_calendar: Zero;
    }
}

structure! {
    /// A season.
    Season<'a> "structure of season" {
        /// Name.
        season_profile_name: &'a [u8],
        /// When it begins, mostly with a wildcard for the year.
        season_start: DateTime,
        /// The week that it follows.
        week_name: &'a [u8],
    }
}

structure! {
    /// A week: a day profile for each day.
    #[derive(Eq, Hash)]
    Week<'a> "structure of week" {
        /// Name.
        week_profile_name: &'a [u8],
        /// Day profile of Mondays.
        monday: u8,
        /// Day profile of Tuesdays.
        tuesday: u8,
        /// Day profile of Wednesdays.
        wednesday: u8,
        /// Day profile of Thursdays.
        thursday: u8,
        /// Day profile of Fridays.
        friday: u8,
        /// Day profile of Saturdays.
        saturday: u8,
        /// Day profile of Sundays.
        sunday: u8,
    }
}

structure! {
    /// A day profile.
    Day<'a> "structure of day profile" {
        /// Identifier.
        day_id: u8,
        /// What runs in the course of the day.
        day_schedule: Array<'a, DayAction>,
    }
}

structure! {
    /// A script at a time of day.
    #[derive(Eq)]
    DayAction "structure of day profile action" {
        /// When it runs.
        start_time: Time,
        /// Logical name of the script table.
        script_table: ObisCode,
        /// Identifier of the script.
        script_selector: u16,
    }
}
