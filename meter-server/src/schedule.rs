//! Dates and times with wildcards: when they come next.
//!
//! What single action schedules (class 22) and the communication windows of push setups (class 40) go by.

use dlms::time::{Date, Time};

/// A day and a second of it, by the local calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    /// Days since 1970-01-01.
    pub days: i64,
    /// Second of the day.
    pub second: u32,
}

/// Years that are looked into: every date that the calendar has comes within them, but for the rarest weekdays of
/// 29 February.
const YEARS: u16 = 12;

/// When a date and time with wildcards comes next, after `after`.
///
/// The last and the second last day of the month, and a weekday beside a day, are as in the Blue Book. A wildcard for the
/// hour or the minute means each of them, as meters have it; the second of a wildcard is 0, so that nothing happens every
/// second. The marks for the beginning and the end of daylight saving as the month never come.
#[must_use]
pub fn next_after(date: Date, time: Time, after: LocalTime) -> Option<LocalTime> {
    let [year_high, year_low, month, ..] = date.to_bytes();
    let year = u16::from_be_bytes([year_high, year_low]);
    let today = after_date(after.days)?;
    let years = match year {
        0xFFFF => today.0..=today.0.checked_add(YEARS)?,
        fixed => fixed.max(today.0)..=fixed,
    };
    for year in years {
        let months = if month == 0xFF { 1..=12 } else { month..=month };
        for month in months.filter(|month| (1..=12).contains(month)) {
            if (year, month) < (today.0, today.1) {
                continue;
            }
            let first = Date::new(year, month, 1)?.to_unix_days()?;
            let length = month_length(year, month);
            let passed = u8::try_from(after.days.saturating_sub(first)).unwrap_or(0);
            for day in passed..length {
                let days = first.checked_add(i64::from(day))?;
                if !is_day(date, days, day.checked_add(1)?, length) {
                    continue;
                }
                let from = if days == after.days { after.second.checked_add(1)? } else { 0 };
                if let Some(second) = next_second(time, from) {
                    return Some(LocalTime { days, second });
                }
            }
        }
    }
    None
}

/// Whether a moment is within a window: its end comes before its next start.
#[must_use]
pub fn is_within(start: (Date, Time), end: (Date, Time), at: LocalTime) -> bool {
    match (next_after(start.0, start.1, at), next_after(end.0, end.1, at)) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(start), Some(end)) => end <= start,
    }
}

fn after_date(days: i64) -> Option<(u16, u8)> {
    let local =
        dlms::time::DateTime::from_unix_seconds(days.checked_mul(86_400)?, 0, dlms::time::ClockStatus::UNSPECIFIED);
    Some((local.year()?, local.month()?))
}

const fn month_length(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Whether the day is one that the date names. `day` counts from 1.
fn is_day(date: Date, days: i64, day: u8, length: u8) -> bool {
    let [.., wanted, weekday] = date.to_bytes();
    // 1970-01-01 was a Thursday, the fourth day of the week.
    let this = days.saturating_add(3).rem_euclid(7).saturating_add(1);
    let weekday = (1..=7).contains(&weekday).then(|| i64::from(weekday));
    if weekday.is_some_and(|weekday| weekday != this) {
        return false;
    }
    let week_from = |first: u8| (first..first.saturating_add(7)).contains(&day);
    match (wanted, weekday) {
        (0xFF, _) => true,
        // With a weekday: the last, or second last, such day of the month.
        (Date::LAST_DAY, Some(_)) => week_from(length.saturating_sub(6)),
        (Date::SECOND_LAST_DAY, Some(_)) => week_from(length.saturating_sub(13)),
        (Date::LAST_DAY, None) => day == length,
        (Date::SECOND_LAST_DAY, None) => day.saturating_add(1) == length,
        // With a weekday: the first such day on or after the day.
        (first, Some(_)) => week_from(first),
        (exact, None) => day == exact,
    }
}

/// The first second of the day from `from` on that the time names.
fn next_second(time: Time, from: u32) -> Option<u32> {
    let hours = time.hour().map_or(0..=23, |hour| hour..=hour);
    for hour in hours.filter(|hour| *hour < 24) {
        let minutes = time.minute().map_or(0..=59, |minute| minute..=minute);
        for minute in minutes.filter(|minute| *minute < 60) {
            let second = u32::from(time.second().unwrap_or(0));
            let second = u32::from(hour)
                .saturating_mul(3600)
                .saturating_add(u32::from(minute).saturating_mul(60))
                .saturating_add(second);
            if second >= from {
                return Some(second);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(year: u16, month: u8, day: u8, hour: u32, minute: u32) -> LocalTime {
        let days = Date::new(year, month, day).unwrap().to_unix_days().unwrap();
        LocalTime { days, second: hour * 3600 + minute * 60 }
    }

    fn date(octets: [u8; 5]) -> Date {
        Date::from_bytes(&octets)
    }

    #[test]
    fn wildcards_name_the_days_of_the_calendar() {
        let ten = Time::new(10, 0, 0).unwrap();
        let after = local(2026, 1, 31, 10, 0);
        let next = |octets| next_after(date(octets), ten, after);
        assert_eq!(next([0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Some(local(2026, 2, 1, 10, 0)));
        assert_eq!(next([0xFF, 0xFF, 0xFF, 1, 0xFF]), Some(local(2026, 2, 1, 10, 0)));
        assert_eq!(next([0xFF, 0xFF, 0xFF, Date::LAST_DAY, 0xFF]), Some(local(2026, 2, 28, 10, 0)));
        assert_eq!(next([0xFF, 0xFF, 0xFF, Date::SECOND_LAST_DAY, 0xFF]), Some(local(2026, 2, 27, 10, 0)));
        // 2026-02-02 is a Monday; the last Sunday of March is the 29th, and the first Monday from the 8th on the 9th.
        assert_eq!(next([0xFF, 0xFF, 0xFF, 0xFF, 1]), Some(local(2026, 2, 2, 10, 0)));
        assert_eq!(next([0xFF, 0xFF, 3, Date::LAST_DAY, 7]), Some(local(2026, 3, 29, 10, 0)));
        assert_eq!(next([0xFF, 0xFF, 0xFF, 8, 1]), Some(local(2026, 2, 9, 10, 0)));
        assert_eq!(next([0xFF, 0xFF, 2, 29, 0xFF]), Some(local(2028, 2, 29, 10, 0)));
        assert_eq!(next([0x07, 0xEA, 1, 31, 0xFF]), None, "this very moment is not after itself");
        assert_eq!(next([0x07, 0xEB, 1, 31, 0xFF]), Some(local(2027, 1, 31, 10, 0)));
        assert_eq!(next([0x07, 0xE9, 0xFF, 0xFF, 0xFF]), None);
        assert_eq!(next([0xFF, 0xFF, 2, 31, 0xFF]), None);
        assert_eq!(next([0xFF, 0xFF, 0xFE, 1, 0xFF]), None);
    }

    #[test]
    fn wildcards_of_the_time_mean_each() {
        let every = date([0xFF; 5]);
        let after = local(2026, 1, 31, 23, 30);
        let next = |octets| next_after(every, Time::from_bytes(&octets), after);
        assert_eq!(next([0xFF, 0, 0, 0]), Some(local(2026, 2, 1, 0, 0)));
        assert_eq!(next([0xFF, 45, 0, 0]), Some(local(2026, 1, 31, 23, 45)));
        assert_eq!(next([0xFF, 0xFF, 0xFF, 0xFF]), Some(local(2026, 1, 31, 23, 31)));
        assert_eq!(next([24, 0, 0, 0]), None);
    }

    #[test]
    fn windows_open_and_close() {
        let day = date([0xFF; 5]);
        let at = |hour| Time::new(hour, 0, 0).unwrap();
        let within =
            |start, end, hour, minute| is_within((day, at(start)), (day, at(end)), local(2026, 5, 1, hour, minute));
        assert!(within(8, 10, 8, 0) && within(8, 10, 9, 59));
        assert!(!within(8, 10, 10, 0) && !within(8, 10, 7, 59) && !within(8, 10, 0, 0));
        assert!(within(22, 4, 23, 0) && within(22, 4, 3, 59) && !within(22, 4, 12, 0), "over midnight");
        let fixed = |month| (Date::new(2026, month, 1).unwrap(), at(0));
        assert!(is_within(fixed(4), fixed(6), local(2026, 5, 1, 0, 0)));
        assert!(!is_within(fixed(6), fixed(7), local(2026, 5, 1, 0, 0)));
        assert!(!is_within(fixed(2), fixed(3), local(2026, 5, 1, 0, 0)));
    }
}
