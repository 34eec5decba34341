//! A calendar of two seasons worked out by hand, and properties of any calendar.

use super::*;
use dlms::cosem::special_days_table::SpecialDay;
use dlms::obis::ObisCode;
use dlms::time::Date;
use proptest::prelude::*;

const SCRIPTS: ObisCode = ObisCode::new(0, 0, 10, 0, 100, 255);

fn name(text: &str) -> Name {
    Name::from_slice(text.as_bytes()).unwrap()
}

fn action(time: &str, script: u16) -> DayAction {
    let [hour, minute]: [u8; 2] =
        time.split(':').map(|part| part.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
    DayAction { start_time: Time::new(hour, minute, 0).unwrap(), script_table: SCRIPTS, script_selector: script }
}

fn day(id: u8, actions: &[(&str, u16)]) -> Day {
    Day { id, actions: actions.iter().map(|(time, script)| action(time, *script)).collect() }
}

fn season(name_of: &str, start: &str, week: &str) -> Season {
    Season { name: name(name_of), start: start.parse().unwrap(), week: name(week) }
}

/// Winter from the first of October, summer from the first of April; weekdays have a day and a night rate, and a peak in
/// winter evenings; Sundays nothing but the night rate, which goes on from Saturday evening.
fn two_seasons() -> Calendar {
    let mut calendar = Calendar::EMPTY;
    calendar.seasons.push(season("S", "*-04-01T00:00:00", "WS")).unwrap();
    calendar.seasons.push(season("W", "*-10-01T00:00:00", "WW")).unwrap();
    calendar.weeks.push(Week { name: name("WS"), days: [1, 1, 1, 1, 1, 1, 3] }).unwrap();
    calendar.weeks.push(Week { name: name("WW"), days: [2, 2, 2, 2, 2, 1, 3] }).unwrap();
    calendar.days.push(day(1, &[("06:00", 1), ("22:00", 2)])).unwrap();
    calendar.days.push(day(2, &[("06:00", 1), ("17:00", 3), ("20:00", 1), ("22:00", 2)])).unwrap();
    calendar.days.push(day(3, &[])).unwrap();
    calendar
}

fn local(text: &str) -> i64 {
    text.parse::<DateTime>().unwrap().to_local_seconds().unwrap()
}

#[test]
fn seasons_weekdays_and_times_of_day_pick_the_script() {
    let calendar = two_seasons();
    assert_eq!(calendar.check(), Ok(()));
    for (moment, script, since) in [
        // A Monday in winter.
        ("2026-11-23T05:59:59", 2, "2026-11-21T22:00:00"),
        ("2026-11-23T06:00:00", 1, "2026-11-23T06:00:00"),
        ("2026-11-23T17:00:00", 3, "2026-11-23T17:00:00"),
        ("2026-11-23T19:59:59", 3, "2026-11-23T17:00:00"),
        ("2026-11-23T20:00:00", 1, "2026-11-23T20:00:00"),
        ("2026-11-23T23:00:00", 2, "2026-11-23T22:00:00"),
        // A Saturday has no peak, and a Sunday is what Saturday left.
        ("2026-11-21T18:00:00", 1, "2026-11-21T06:00:00"),
        ("2026-11-22T12:00:00", 2, "2026-11-21T22:00:00"),
        // A Monday in summer.
        ("2026-07-06T18:00:00", 1, "2026-07-06T06:00:00"),
        // The last evening of winter is a Tuesday.
        ("2026-03-31T18:00:00", 3, "2026-03-31T17:00:00"),
        ("2026-04-01T18:00:00", 1, "2026-04-01T06:00:00"),
        // January belongs to the winter that began last year.
        ("2026-01-05T18:00:00", 3, "2026-01-05T17:00:00"),
    ] {
        let active = calendar.active(&SpecialDays::NONE, local(moment)).unwrap();
        assert_eq!((active.action.script_selector, active.at), (script, local(since)), "{moment}");
    }
    assert_eq!(calendar.season(local("2026-04-01T00:00:00")).unwrap().name, "S".as_bytes());
    assert_eq!(calendar.season(local("2026-03-31T23:59:59")).unwrap().name, "W".as_bytes());
}

#[test]
fn the_next_switch_is_found_over_days_without_any() {
    let calendar = two_seasons();
    for (after, at, script) in [
        ("2026-11-23T05:59:59", "2026-11-23T06:00:00", 1),
        ("2026-11-23T06:00:00", "2026-11-23T17:00:00", 3),
        ("2026-11-21T22:00:00", "2026-11-23T06:00:00", 1),
        ("2026-03-31T21:00:00", "2026-03-31T22:00:00", 2),
        ("2026-04-01T06:00:00", "2026-04-01T22:00:00", 2),
    ] {
        let next = calendar.next(&SpecialDays::NONE, local(after)).unwrap();
        assert_eq!((next.at, next.action.script_selector), (local(at), script), "{after}");
    }
}

#[test]
fn a_special_day_goes_before_season_and_week() {
    let calendar = two_seasons();
    let mut special = SpecialDays::NONE;
    let christmas = Date::from_bytes(&[0xFF, 0xFF, 12, 25, 0xFF]);
    assert!(special.insert(SpecialDay { index: 1, date: christmas, day_id: 3 }));
    // Christmas 2026 is a Friday.
    let active =
        |special: &SpecialDays, moment| calendar.active(special, local(moment)).unwrap().action.script_selector;
    assert_eq!(active(&SpecialDays::NONE, "2026-12-25T18:00:00"), 3);
    assert_eq!(active(&special, "2026-12-25T18:00:00"), 2);
    assert_eq!(active(&special, "2026-12-26T18:00:00"), 1);
    assert_eq!(calendar.next(&special, local("2026-12-24T23:00:00")).unwrap().at, local("2026-12-26T06:00:00"));
    // A special day that names no day profile of the calendar has nothing to run, as if the table were wrong.
    assert!(special.insert(SpecialDay { index: 0, date: christmas, day_id: 99 }));
    assert_eq!(calendar.day_at(&special, local("2026-12-25T18:00:00")), None);
}

#[test]
fn seasons_begin_within_a_day_on_weekdays_and_in_one_year() {
    let mut calendar = two_seasons();
    // The last Sunday of October at 03:00, instead of the first of the month.
    let last_sunday = Date::from_bytes(&[0xFF, 0xFF, 10, 0xFE, 7]);
    calendar.seasons[1].start = DateTime::new(last_sunday, Time::new(3, 0, 0).unwrap(), None, ClockStatus::UNSPECIFIED);
    let season = |calendar: &Calendar, moment| calendar.season(local(moment)).unwrap().name.clone();
    assert_eq!(season(&calendar, "2026-10-25T02:59:59"), "S".as_bytes());
    assert_eq!(season(&calendar, "2026-10-25T03:00:00"), "W".as_bytes());
    // A season of one year goes on until another begins.
    calendar.seasons[1].start = "2026-11-01T00:00:00".parse().unwrap();
    assert_eq!(season(&calendar, "2027-02-01T00:00:00"), "W".as_bytes());
    assert_eq!(season(&calendar, "2027-04-01T00:00:00"), "S".as_bytes());
    assert_eq!(season(&calendar, "2027-12-01T00:00:00"), "S".as_bytes());
    assert_eq!(season(&calendar, "2026-02-01T00:00:00"), "S".as_bytes());
    // One without a date has always begun.
    calendar.seasons.truncate(1);
    calendar.seasons[0].start = DateTime::UNSPECIFIED;
    assert_eq!(season(&calendar, "2026-02-01T00:00:00"), "S".as_bytes());
    calendar.seasons[0].start = "2026-11-01T00:00:00".parse().unwrap();
    assert_eq!(calendar.season(local("2026-02-01T00:00:00")), None);
    assert_eq!(calendar.active(&SpecialDays::NONE, local("2026-02-01T00:00:00")), None);
}

#[test]
fn what_is_missing_is_named() {
    let check = |change: fn(&mut Calendar)| {
        let mut calendar = two_seasons();
        change(&mut calendar);
        calendar.check()
    };
    assert_eq!(Calendar::EMPTY.check(), Err(CalendarError::NoSeason));
    assert_eq!(check(|calendar| calendar.seasons[0].week = name("?")), Err(CalendarError::Week));
    assert_eq!(check(|calendar| calendar.weeks[1].days[6] = 9), Err(CalendarError::Day(9)));
    assert_eq!(check(|calendar| calendar.days[1].actions.swap(0, 1)), Err(CalendarError::Time(2)));
    assert_eq!(
        check(|calendar| calendar.days[0].actions[0].start_time = Time::UNSPECIFIED),
        Err(CalendarError::Time(1))
    );
}

fn any_calendar() -> impl Strategy<Value = Calendar> {
    let times = proptest::collection::btree_map(0_u32..1_440, 1_u16..5, 0..6);
    let days = proptest::collection::vec(times, 1..5);
    let seasons = proptest::collection::vec((1_u8..13, 1_u8..29), 1..5);
    (days, seasons, proptest::array::uniform7(0_usize..5)).prop_map(|(days, seasons, week)| {
        let mut calendar = Calendar::EMPTY;
        let count = days.len();
        for (id, actions) in (0_u8..).zip(days) {
            let actions = actions.into_iter().map(|(minute, script)| DayAction {
                start_time: Time::new((minute / 60) as u8, (minute % 60) as u8, 0).unwrap(),
                script_table: SCRIPTS,
                script_selector: script,
            });
            calendar.days.push(Day { id, actions: actions.collect() }).unwrap();
        }
        for (number, (month, day)) in (0_usize..).zip(seasons) {
            let (text, shifted) = (number.to_string(), week.map(|id| ((id + number) % count) as u8));
            calendar.weeks.push(Week { name: name(&text), days: shifted }).unwrap();
            let date = Date::from_bytes(&[0xFF, 0xFF, month, day, 0xFF]);
            let start = DateTime::new(date, Time::MIDNIGHT, None, ClockStatus::UNSPECIFIED);
            calendar.seasons.push(Season { name: name(&text), start, week: name(&text) }).unwrap();
        }
        calendar
    })
}

proptest! {
    /// Walking from switch to switch visits each script that is in force, and nothing changes in between.
    #[test]
    fn nothing_changes_between_two_switches(calendar in any_calendar(), start in 0_i64..4_000_000_000) {
        let special = SpecialDays::NONE;
        let mut at = start;
        for _ in 0..20 {
            let Some(next) = calendar.next(&special, at) else { break };
            prop_assert!(next.at > at);
            let (before, just_before) = (calendar.active(&special, at), calendar.active(&special, next.at - 1));
            prop_assert_eq!(before.map(|switch| switch.at), just_before.map(|switch| switch.at));
            prop_assert_eq!(calendar.active(&special, next.at), Some(next));
            at = next.at;
        }
    }

    /// The script in force began in the past, and is the one that `next` announced then.
    #[test]
    fn what_is_active_began_before(calendar in any_calendar(), at in 0_i64..4_000_000_000) {
        prop_assert_eq!(calendar.check(), Ok(()));
        if let Some(active) = calendar.active(&SpecialDays::NONE, at) {
            prop_assert!(active.at <= at);
            prop_assert!(at - active.at < DAYS_LOOKED_THROUGH * SECONDS_OF_DAY);
        }
    }
}
