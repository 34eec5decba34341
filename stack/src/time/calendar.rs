//! The proleptic Gregorian calendar, days counted from 1970-01-01.

use super::{Date, Time};

pub(super) const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01, where the counting of leap years is simplest, to 1970-01-01.
const EPOCH_FROM_MARCH_0: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;
/// 0001-01-01 00:00:00.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 65534-12-31 23:59:59: year 65535 means "not specified".
const LAST_SECOND: i64 = 2_005_917_609_599;

pub(super) const fn days_in_month(year: u16, month: u8) -> Option<u8> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if is_leap(year) => Some(29),
        2 => Some(28),
        _ => None,
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970-01-01 to the date, or `None` when the calendar has no such date.
// Every operand is bounded by the field widths (16-bit year, month up to 12, day up to 31): nothing can overflow i64.
#[allow(clippy::arithmetic_side_effects)]
pub(super) fn days_from_civil(year: u16, month: u8, day: u8) -> Option<i64> {
    if day == 0 || day > days_in_month(year, month)? {
        return None;
    }
    let month = i64::from(month);
    // Years are counted from March, so that the leap day is the last day of a year.
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_MARCH_0)
}

/// 1 Monday to 7 Sunday; 1970-01-01 was a Thursday.
pub(super) fn weekday(days: i64) -> u8 {
    let from_monday = days.wrapping_add(3).rem_euclid(7);
    u8::try_from(from_monday).unwrap_or(0).wrapping_add(1)
}

/// Date and time `seconds` after 1970-01-01 00:00, at the nearest moment of the years 1 to 65534.
// `seconds` is clamped first: nothing below can overflow i64.
#[allow(clippy::arithmetic_side_effects)]
pub(super) fn civil_from_seconds(seconds: i64) -> (Date, Time) {
    let seconds = seconds.clamp(FIRST_SECOND, LAST_SECOND);
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);

    let shifted = days + EPOCH_FROM_MARCH_0;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);

    let [.., y0, y1] = year.to_be_bytes();
    let octet = |number: i64| number.to_be_bytes()[7];
    let date = Date([y0, y1, octet(month), octet(day), weekday(days)]);
    let time = Time([octet(second_of_day / 3600), octet(second_of_day / 60 % 60), octet(second_of_day % 60), 0]);
    (date, time)
}
