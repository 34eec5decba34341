//! Seasons, weeks and days: an activity calendar (class 20) asked for a moment.
//!
//! Moments are local: seconds from 1970-01-01 00:00 to what the clock shows.

use dlms::cosem::activity_calendar::DayAction;
use dlms::time::{ClockStatus, DateTime, Time};

use super::date_rule::{SECONDS_OF_DAY, seconds_in_year, weekday_of};
use super::{Name, SpecialDays};

/// Seasons of a calendar.
pub const SEASONS_MAX: usize = 8;
/// Weeks of a calendar.
pub const WEEKS_MAX: usize = 8;
/// Day profiles of a calendar.
pub const DAYS_MAX: usize = 12;
/// Actions of a day profile.
pub const ACTIONS_MAX: usize = 12;

/// Days that are looked through for an action, backwards and forwards: days of a calendar may have none.
const DAYS_LOOKED_THROUGH: i64 = 32;

/// A season: from its start on, a week counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Season {
    /// Name.
    pub name: Name,
    /// When it begins, mostly with a wildcard for the year. One whose month and day are open has always begun.
    pub start: DateTime,
    /// Name of the week.
    pub week: Name,
}

/// A week: a day profile for each day.
#[derive(Clone, Debug, PartialEq)]
pub struct Week {
    /// Name.
    pub name: Name,
    /// Day profiles from Monday to Sunday.
    pub days: [u8; 7],
}

/// A day profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
    /// Identifier.
    pub id: u8,
    /// Scripts by time of day, the earliest first.
    pub actions: heapless::Vec<DayAction, ACTIONS_MAX>,
}

/// A script that takes over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Switching {
    /// Local seconds since 1970 at which it does, or did.
    pub at: i64,
    /// The script.
    pub action: DayAction,
}

/// Why a calendar cannot be put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarError {
    /// There is no season.
    NoSeason,
    /// A season names a week that is not there.
    Week,
    /// A week names a day profile that is not there.
    Day(u8),
    /// A time of day in this day profile is not complete, or an action is not later than the one before.
    Time(u8),
}

/// An activity calendar: one of the two that the class has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendar {
    /// Name.
    pub name: Name,
    /// Seasons.
    pub seasons: heapless::Vec<Season, SEASONS_MAX>,
    /// Weeks.
    pub weeks: heapless::Vec<Week, WEEKS_MAX>,
    /// Day profiles.
    pub days: heapless::Vec<Day, DAYS_MAX>,
}

impl Calendar {
    /// A calendar that says nothing.
    pub const EMPTY: Self = Self {
        name: Name::new(),
        seasons: heapless::Vec::new(),
        weeks: heapless::Vec::new(),
        days: heapless::Vec::new(),
    };

    /// Whether everything that is named is there, and each day in order.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self) -> Result<(), CalendarError> {
        if self.seasons.is_empty() {
            return Err(CalendarError::NoSeason);
        }
        if self.seasons.iter().any(|season| self.week(&season.week).is_none()) {
            return Err(CalendarError::Week);
        }
        for id in self.weeks.iter().flat_map(|week| week.days) {
            self.day(id).ok_or(CalendarError::Day(id))?;
        }
        for day in &self.days {
            let mut last = None;
            for action in &day.actions {
                let time = action.start_time.to_seconds().ok_or(CalendarError::Time(day.id))?;
                if last.is_some_and(|last| last >= time) {
                    return Err(CalendarError::Time(day.id));
                }
                last = Some(time);
            }
        }
        Ok(())
    }

    /// The day profile with this identifier.
    #[must_use]
    pub fn day(&self, id: u8) -> Option<&Day> {
        self.days.iter().find(|day| day.id == id)
    }

    /// The week with this name.
    #[must_use]
    pub fn week(&self, name: &[u8]) -> Option<&Week> {
        self.weeks.iter().find(|week| week.name.as_slice() == name)
    }

    /// The season at a local moment: the one that began last. `None` before the first one.
    #[must_use]
    pub fn season(&self, local: i64) -> Option<&Season> {
        let year = DateTime::from_unix_seconds(local, 0, ClockStatus::OK).year()?;
        let begun = |season: &Season| {
            if is_open(&season.start) {
                return Some(i64::MIN);
            }
            // Its last beginning was this year or the year before.
            [Some(year), year.checked_sub(1)]
                .into_iter()
                .flatten()
                .filter_map(|year| match season.start.year() {
                    // A season of one year goes on until another one begins.
                    Some(fixed) => seconds_in_year(&season.start, fixed),
                    None => seconds_in_year(&season.start, year),
                })
                .filter(|start| *start <= local)
                .max()
        };
        let begun = self.seasons.iter().filter_map(|season| Some((begun(season)?, season)));
        // Of seasons that began at the same moment the first one counts.
        begun.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, season)| season)
    }

    /// The day profile at a local moment: of a special day, or by season and day of the week.
    #[must_use]
    pub fn day_at(&self, special: &SpecialDays, local: i64) -> Option<&Day> {
        let date = DateTime::from_unix_seconds(local, 0, ClockStatus::OK).date();
        let id = special.day_id(date).or_else(|| {
            let week = self.week(&self.season(local)?.week)?;
            let weekday = weekday_of(local.div_euclid(SECONDS_OF_DAY));
            week.days.get(usize::from(weekday.checked_sub(1)?)).copied()
        })?;
        self.day(id)
    }

    /// The script in force at a local moment, and since when: the last one of the day, or of a day before.
    #[must_use]
    pub fn active(&self, special: &SpecialDays, local: i64) -> Option<Switching> {
        let midnight = local.saturating_sub(local.rem_euclid(SECONDS_OF_DAY));
        (0..DAYS_LOOKED_THROUGH).find_map(|days| {
            let start = midnight.checked_sub(days.checked_mul(SECONDS_OF_DAY)?)?;
            // The season may begin within the day: what counts is the profile at the moment asked about.
            let day = self.day_at(special, if days == 0 { local } else { last_second(start) })?;
            let mut begun = day.actions.iter().filter_map(|action| switching(start, action));
            begun.rfind(|switching| switching.at <= local)
        })
    }

    /// The next script after a local moment.
    #[must_use]
    pub fn next(&self, special: &SpecialDays, local: i64) -> Option<Switching> {
        let midnight = local.saturating_sub(local.rem_euclid(SECONDS_OF_DAY));
        (0..DAYS_LOOKED_THROUGH).find_map(|days| {
            let start = midnight.checked_add(days.checked_mul(SECONDS_OF_DAY)?)?;
            let day = self.day_at(special, if days == 0 { local } else { last_second(start) })?;
            day.actions.iter().filter_map(|action| switching(start, action)).find(|switching| switching.at > local)
        })
    }
}

/// Whether a season's start names no day at all.
fn is_open(start: &DateTime) -> bool {
    start.month().is_none() && start.day().is_none()
}

const fn last_second(midnight: i64) -> i64 {
    midnight.saturating_add(SECONDS_OF_DAY - 1)
}

fn switching(midnight: i64, action: &DayAction) -> Option<Switching> {
    let seconds = Time::to_seconds(action.start_time)?;
    Some(Switching { at: midnight.checked_add(i64::from(seconds))?, action: *action })
}

#[cfg(test)]
mod tests;
