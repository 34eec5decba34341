//! Local time against published dates of change.

use super::*;
use dlms::time::{Date, Time};

fn central_europe() -> ClockSettings {
    let rule = |month, hour| {
        DateTime::new(
            Date::from_bytes(&[0xFF, 0xFF, month, 0xFE, 7]),
            Time::new(hour, 0, 0).unwrap(),
            None,
            ClockStatus::UNSPECIFIED,
        )
    };
    ClockSettings {
        time_zone_min: -60,
        daylight_begin: rule(3, 2),
        daylight_end: rule(10, 3),
        daylight_deviation_min: 60,
        daylight_enabled: true,
        clock_base: 1,
        measuring_period_seconds: 900,
        preset: None,
    }
}

fn local(year: u16, month: u8, day: u8, hour: u8, minute: u8) -> DateTime {
    DateTime::new(
        Date::new(year, month, day).unwrap(),
        Time::new(hour, minute, 0).unwrap(),
        None,
        ClockStatus::UNSPECIFIED,
    )
}

#[test]
fn central_european_summer_time_changes_at_one_o_clock_utc() {
    let clock = central_europe();
    // Sunday 2026-03-29 01:00 UTC and Sunday 2026-10-25 01:00 UTC.
    for (change, before, after) in [(1_774_746_000, false, true), (1_792_890_000, true, false)] {
        assert_eq!(clock.deviation(Moment::from_seconds(change - 1)).1, before);
        assert_eq!(clock.deviation(Moment::from_seconds(change)).1, after);
    }
    let summer = clock.local(Moment::from_seconds(1_774_746_000), ClockStatus::OK);
    assert_eq!((summer.hour(), summer.deviation_minutes()), (Some(3), Some(-120)));
    assert!(summer.status().unwrap().daylight_saving());
}

#[test]
fn local_time_without_deviation_is_understood_in_both_halves_of_the_year() {
    let clock = central_europe();
    let utc = |time| clock.utc(time).unwrap().as_seconds();
    // 2026-01-15 12:00 is 11:00 UTC, 2026-07-15 12:00 is 10:00 UTC.
    assert_eq!(utc(local(2026, 1, 15, 12, 0)), 1_768_474_800);
    assert_eq!(utc(local(2026, 7, 15, 12, 0)), 1_784_109_600);
    // 02:30 comes twice on 2026-10-25: first as summer time.
    assert_eq!(utc(local(2026, 10, 25, 2, 30)), 1_792_890_000 - 1800);
    assert_eq!(utc(local(2026, 10, 25, 2, 30).with_deviation(Some(-60))), 1_792_890_000 + 1800);
    assert_eq!(clock.utc(DateTime::UNSPECIFIED), None);
}

#[test]
fn every_moment_of_two_years_survives_the_way_to_local_time_and_back() {
    let clock = central_europe();
    for seconds in (1_760_000_000..1_823_000_000).step_by(1_711) {
        let shown = clock.local(Moment::from_seconds(seconds), ClockStatus::OK);
        assert_eq!(clock.utc(shown).unwrap().as_seconds(), seconds);
    }
}

#[test]
fn southern_rules_and_days_on_or_after() {
    // First Sunday on or after the 1st of October to the first Sunday of April, at 02:00 and 03:00.
    let rule = |month, hour| {
        DateTime::new(
            Date::from_bytes(&[0xFF, 0xFF, month, 1, 7]),
            Time::new(hour, 0, 0).unwrap(),
            None,
            ClockStatus::UNSPECIFIED,
        )
    };
    let clock = ClockSettings {
        time_zone_min: -600,
        daylight_begin: rule(10, 2),
        daylight_end: rule(4, 3),
        ..central_europe()
    };
    // Sydney: Sunday 2026-04-05 03:00 local is 2026-04-04 16:00 UTC.
    assert!(clock.deviation(Moment::from_seconds(1_775_318_400 - 1)).1);
    assert!(!clock.deviation(Moment::from_seconds(1_775_318_400)).1);
}

#[test]
fn midnight_is_local_on_the_days_of_change_too() {
    let clock = central_europe();
    for days in 20_400..20_800 {
        let shown = clock.local(clock.midnight(days), ClockStatus::OK);
        assert_eq!((shown.hour(), shown.minute()), (Some(0), Some(0)), "{shown}");
        assert_eq!(shown.date().to_unix_days(), Some(days));
    }
}

#[test]
fn adjusting_goes_to_the_nearest_multiple() {
    assert_eq!(nearest(Moment::from_seconds(29), 60_000), Moment::from_seconds(0));
    assert_eq!(nearest(Moment::from_seconds(30), 60_000), Moment::from_seconds(60));
    assert_eq!(nearest(Moment::from_seconds(1_000), 900_000), Moment::from_seconds(900));
    assert_eq!(nearest(Moment::from_seconds(5), 0), Moment::from_seconds(5));
}
