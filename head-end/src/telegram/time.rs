//! Local times of telegrams as UTC.

use dlms::{p1, time::DateTime};
use jiff::{Timestamp, civil, tz::TimeZone};

/// When something was, and the meter's own words for it with the deviation that they were read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) time: Timestamp,
    pub(super) clock: DateTime,
}

/// The moment of a local time in `zone`; `None` when its digits name none.
///
/// The letter says whether it is summer time, which tells the two hours apart that a clock shows at its end. It is
/// believed before the calendar of the zone: Sweden's port prints standard time all the year.
pub(super) fn moment(time: p1::Timestamp, zone: &TimeZone) -> Option<Moment> {
    let local = time.local()?;
    let year = i16::try_from(local.year()?).ok()?;
    let offset_s = match time.season() {
        Some(p1::Season::Summer) => standard_s(year, zone)?.checked_add(3_600)?,
        Some(p1::Season::Winter) => standard_s(year, zone)?,
        None => {
            let of = |part: Option<u8>| part.and_then(|part| i8::try_from(part).ok());
            let (date, hour) = ((of(local.month())?, of(local.day())?), of(local.hour())?);
            let (minute, second) = (of(local.minute())?, of(local.second())?);
            let civil = civil::DateTime::new(year, date.0, date.1, hour, minute, second, 0).ok()?;
            zone.to_ambiguous_timestamp(civil).compatible().map(|at| zone.to_offset(at).seconds()).ok()?
        }
    };
    // The deviation counts from local time to UTC.
    let deviation_min = i16::try_from(offset_s / -60).ok()?;
    let clock = local.with_deviation(Some(deviation_min));
    let time = Timestamp::from_second(clock.to_unix_seconds()?).ok()?;
    Some(Moment { time, clock })
}

/// Seconds of a zone's standard time ahead of UTC in a year: the lesser of those in January and July, which are summer
/// and winter somewhere.
fn standard_s(year: i16, zone: &TimeZone) -> Option<i32> {
    let offset = |month| {
        let at = civil::date(year, month, 1).to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(zone.to_offset(at).seconds())
    };
    Some(offset(1)?.min(offset(7)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str, zone: &str) -> Option<String> {
        let zone = TimeZone::get(zone).unwrap();
        moment(p1::Timestamp::from_text(text).unwrap(), &zone).map(|moment| moment.time.to_string())
    }

    #[test]
    fn the_letter_tells_the_two_hours_of_autumn_apart() {
        assert_eq!(utc("251026023000S", "Europe/Amsterdam").as_deref(), Some("2025-10-26T00:30:00Z"));
        assert_eq!(utc("251026023000W", "Europe/Amsterdam").as_deref(), Some("2025-10-26T01:30:00Z"));
        assert_eq!(utc("250701120000W", "Europe/Stockholm").as_deref(), Some("2025-07-01T11:00:00Z"));
        assert_eq!(utc("250701120000S", "Europe/Dublin").as_deref(), Some("2025-07-01T11:00:00Z"));
        assert_eq!(utc("250101120000W", "Europe/Dublin").as_deref(), Some("2025-01-01T12:00:00Z"));
    }

    #[test]
    fn without_a_letter_the_calendar_of_the_zone_decides() {
        assert_eq!(utc("120517020000", "Europe/Amsterdam").as_deref(), Some("2012-05-17T00:00:00Z"));
        assert_eq!(utc("121117020000", "Europe/Amsterdam").as_deref(), Some("2012-11-17T01:00:00Z"));
    }

    #[test]
    fn digits_that_name_no_time_are_none() {
        assert_eq!(utc("632525252525W", "Europe/Brussels"), None);
        assert_eq!(utc("000000000000W", "Europe/Brussels"), None);
    }

    #[test]
    fn the_clock_keeps_what_was_printed() {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        let read = moment(p1::Timestamp::from_text("250701120000S").unwrap(), &zone).unwrap();
        assert_eq!((read.clock.hour(), read.clock.deviation_minutes()), (Some(12), Some(-120)));
        assert!(read.clock.status().is_some_and(|status| status.daylight_saving()));
    }
}
