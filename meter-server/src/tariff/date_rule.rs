//! Dates with wildcards (Blue Book, date and date-time).

use dlms::time::{Date, DateTime};

/// Seconds of a day of the calendar.
pub(crate) const SECONDS_OF_DAY: i64 = 86_400;

/// 1 Monday to 7 Sunday, for days after 1970-01-01, a Thursday.
pub(crate) const fn weekday_of(days: i64) -> u8 {
    // From 1 to 7.
    #[allow(clippy::cast_possible_truncation)]
    {
        days.saturating_add(3).rem_euclid(7).saturating_add(1) as u8
    }
}

/// Days from 1970-01-01 to where a rule with wildcards applies in `year`: the last or second last day of a month, the
/// last such weekday, a weekday on or after a day, or a plain date. `None` for another year, and for a rule that does
/// not name one day of the year.
pub(crate) fn day_in_year(rule: Date, year: u16) -> Option<i64> {
    if rule.year().is_some_and(|fixed| fixed != year) {
        return None;
    }
    let [_, _, month, day, weekday] = rule.to_bytes();
    let first = Date::new(year, month, 1)?.to_unix_days()?;
    let next_month =
        if month == 12 { Date::new(year.checked_add(1)?, 1, 1)? } else { Date::new(year, month.checked_add(1)?, 1)? };
    let end = next_month.to_unix_days()?;
    let weekday = (1..=7).contains(&weekday).then_some(weekday);
    let until = |from: i64, weekday: u8| i64::from(weekday).checked_sub(i64::from(weekday_of(from)));
    match (day, weekday) {
        (Date::LAST_DAY, None) => end.checked_sub(1),
        (Date::SECOND_LAST_DAY, None) => end.checked_sub(2),
        (Date::LAST_DAY, Some(weekday)) => {
            let last = end.checked_sub(1)?;
            last.checked_sub(until(last, weekday)?.checked_neg()?.rem_euclid(7))
        }
        (1..=31, weekday) => {
            let from = first.checked_add(i64::from(day).checked_sub(1)?)?;
            match weekday {
                // A full date with its own weekday names that day.
                Some(weekday) => from.checked_add(until(from, weekday)?.rem_euclid(7)),
                None => Some(from),
            }
        }
        _ => None,
    }
}

/// Local seconds from 1970 to where a rule applies in `year`; parts of the time that are open count as 0.
pub(crate) fn seconds_in_year(rule: &DateTime, year: u16) -> Option<i64> {
    let days = day_in_year(rule.date(), year)?;
    let time = rule.time();
    let field = |value: Option<u8>| i64::from(value.unwrap_or(0));
    let seconds = field(time.hour())
        .saturating_mul(3600)
        .saturating_add(field(time.minute()).saturating_mul(60))
        .saturating_add(field(time.second()));
    days.checked_mul(SECONDS_OF_DAY)?.checked_add(seconds)
}

/// Whether a date with wildcards is this day of the calendar. Any field may be open; the day may be the last or second
/// last of the month, and a weekday beside a day means the first such one on or after it, as above.
pub(crate) fn matches_date(rule: Date, day: Date) -> bool {
    let (Some(year), Some(days)) = (day.year(), day.to_unix_days()) else { return false };
    if rule.year().is_some_and(|fixed| fixed != year) {
        return false;
    }
    match (rule.month(), rule.day()) {
        (Some(month), _) if Some(month) != day.month() => false,
        (_, None) => rule.weekday().is_none_or(|weekday| weekday == weekday_of(days)),
        (month, Some(_)) => {
            let [high, low, _, of_month, weekday] = rule.to_bytes();
            let Some(month) = month.or(day.month()) else { return false };
            day_in_year(Date::from_bytes(&[high, low, month, of_month, weekday]), year) == Some(days)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        let [year, month, day]: [u16; 3] =
            text.split('-').map(|part| part.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
        Date::new(year, month as u8, day as u8).unwrap()
    }

    #[test]
    fn days_that_a_rule_names() {
        // From the Blue Book's explanation of wildcards: the first Sunday, and the fourth Friday.
        let first_sunday = Date::from_bytes(&[0xFF, 0xFF, 9, 1, 7]);
        let fourth_friday = Date::from_bytes(&[0xFF, 0xFF, 9, 0x16, 5]);
        let last_sunday = Date::from_bytes(&[0xFF, 0xFF, 3, 0xFE, 7]);
        for (rule, expected) in [
            (first_sunday, "2026-09-06"),
            (fourth_friday, "2026-09-25"),
            (last_sunday, "2026-03-29"),
            (Date::from_bytes(&[0xFF, 0xFF, 2, 0xFE, 0xFF]), "2026-02-28"),
            (Date::from_bytes(&[0xFF, 0xFF, 2, 0xFD, 0xFF]), "2026-02-27"),
            (Date::from_bytes(&[0x07, 0xEA, 5, 1, 0xFF]), "2026-05-01"),
        ] {
            assert_eq!(day_in_year(rule, 2026), day(expected).to_unix_days(), "{expected}");
            assert!(matches_date(rule, day(expected)));
            let matching = (0..365).filter(|after| {
                let days = day("2026-01-01").to_unix_days().unwrap() + after;
                matches_date(rule, DateTime::from_unix_seconds(days * 86_400, 0, dlms::time::ClockStatus::OK).date())
            });
            assert_eq!(matching.count(), 1, "{expected}");
        }
        assert_eq!(day_in_year(Date::from_bytes(&[0x07, 0xE9, 5, 1, 0xFF]), 2026), None);
    }

    #[test]
    fn open_fields_match_anything() {
        let sundays = Date::from_bytes(&[0xFF, 0xFF, 0xFF, 0xFF, 7]);
        assert!(matches_date(sundays, day("2026-11-22")) && !matches_date(sundays, day("2026-11-21")));
        let fifteenth = Date::from_bytes(&[0xFF, 0xFF, 0xFF, 15, 0xFF]);
        assert!(matches_date(fifteenth, day("2026-11-15")) && matches_date(fifteenth, day("2027-02-15")));
        assert!(!matches_date(fifteenth, day("2026-11-16")));
        let month_end = Date::from_bytes(&[0xFF, 0xFF, 0xFF, 0xFE, 0xFF]);
        assert!(matches_date(month_end, day("2028-02-29")) && !matches_date(month_end, day("2028-02-28")));
    }
}
