use super::*;
use hex_literal::hex;
use std::string::ToString;

/// Thursday 2025-05-29 10:15:30, UTC+2, daylight saving.
const SUMMER: DateTime = DateTime(hex!("07E9 05 1D 04 0A 0F 1E 00 FF88 80"));

#[test]
fn fields_of_the_worked_example() {
    assert_eq!((SUMMER.year(), SUMMER.month(), SUMMER.day()), (Some(2025), Some(5), Some(29)));
    assert_eq!(SUMMER.weekday(), Some(4));
    assert_eq!((SUMMER.hour(), SUMMER.minute(), SUMMER.second()), (Some(10), Some(15), Some(30)));
    assert_eq!(SUMMER.hundredths(), Some(0));
    assert_eq!(SUMMER.deviation_minutes(), Some(-120));
    assert!(SUMMER.status().unwrap().daylight_saving());
    assert_eq!(SUMMER.to_string(), "2025-05-29T10:15:30+02:00");
    // date -u -d 2025-05-29T08:15:30Z +%s
    assert_eq!(SUMMER.to_unix_seconds(), Some(1_748_506_530));
    assert_eq!(DateTime::from_unix_seconds(1_748_506_530, -120, ClockStatus::DAYLIGHT_SAVING), SUMMER);
}

#[test]
fn lesson_13_no_utc_without_a_deviation() {
    let open = SUMMER.with_deviation(None);
    assert_eq!(open.deviation_minutes(), None);
    assert_eq!(open.to_unix_seconds(), None);
    assert_eq!(open.to_unix_seconds_or(-120), SUMMER.to_unix_seconds());
    assert_eq!(open.to_local_seconds(), Some(1_748_506_530 + 7200));
    assert_eq!(open.to_string(), "2025-05-29T10:15:30");
}

#[test]
fn lesson_13_inverted_deviation_is_the_callers_choice() {
    let inverted = DateTime(hex!("07E9 05 1D 04 0A 0F 1E 00 0078 80"));
    assert_eq!(inverted.to_unix_seconds(), Some(1_748_506_530 + 4 * 3600));
    assert_eq!(inverted.with_inverted_deviation(), SUMMER);
    assert_eq!(DateTime::UNSPECIFIED.with_inverted_deviation(), DateTime::UNSPECIFIED);
}

#[test]
fn odd_octets_of_real_meters() {
    // Year 0 and deviation FFFF for "not specified".
    let odd = DateTime(hex!("0000 01 01 FF 00 00 00 FF FFFF 00"));
    assert_eq!((odd.year(), odd.deviation_minutes(), odd.hundredths()), (None, None, None));
    assert_eq!(odd.to_local_seconds(), None);
    // Hour 24 is the next midnight, a leap second the last one of the minute, seconds FF the full minute.
    let end = DateTime(hex!("07E9 0C 1F 03 18 00 00 00 0000 00"));
    assert_eq!(end.to_unix_seconds(), "2026-01-01T00:00:00Z".parse::<DateTime>().unwrap().to_unix_seconds());
    assert_eq!(Time([23, 59, 60, 0]).to_seconds(), Some(86_399));
    assert_eq!(Time([10, 15, 0xFF, 0xFF]).to_seconds(), Some(36_900));
    assert_eq!(Time([10, 0xFF, 0, 0]).to_seconds(), None);
    assert_eq!(Time([25, 0, 0, 0]).to_seconds(), None);
    // A wrong day of the week does not matter, a wrong day does.
    assert_eq!(Date([0x07, 0xE9, 5, 29, 0]).to_unix_days(), Some(20_237));
    assert_eq!(Date([0x07, 0xE9, 2, 29, 0]).to_unix_days(), None);
    assert_eq!(Date([0x07, 0xE8, 2, 29, 0]).to_unix_days(), Some(19_782));
    assert_eq!(Date([0x07, 0xE9, 13, 1, 0]).to_unix_days(), None);
    assert_eq!(Date([0x07, 0xE9, 0xFE, 1, 0]).to_unix_days(), None);
}

#[test]
fn an_empty_octet_string_is_an_unset_date() {
    assert_eq!(DateTime::decode(&[]), Ok(DateTime::UNSPECIFIED));
    assert_eq!(DateTime::decode(SUMMER.as_bytes()), Ok(SUMMER));
    assert!(DateTime::decode(&SUMMER.0[..11]).is_err());
    assert!(DateTime::decode(&[0; 13]).is_err());
}

#[test]
fn status_bits() {
    assert_eq!(DateTime::UNSPECIFIED.status(), None);
    assert!(!ClockStatus::UNSPECIFIED.invalid());
    assert!(ClockStatus(0x01).invalid() && !ClockStatus(0x02).invalid());
    assert!(ClockStatus(0x02).doubtful() && !ClockStatus(0x04).doubtful());
    assert!(ClockStatus(0x04).different_clock_base() && !ClockStatus(0x08).different_clock_base());
    assert!(ClockStatus(0x08).invalid_status() && !ClockStatus(0x01).invalid_status());
}

#[test]
fn text_of_partial_dates() {
    // Daylight saving begins on the last Sunday of March at 02:00.
    let begin = DateTime(hex!("FFFF 03 FE 07 02 00 00 00 8000 FF"));
    assert_eq!(begin.to_string(), "*-03-lastT02:00:00");
    for text in
        ["*-03-lastT02:00:00", "*-*-*T*:*:*", "*-dst-begin-01T00:00:00Z", "2025-dst-end-second-lastT01:02:03.45-05:30"]
    {
        assert_eq!(text.parse::<DateTime>().map(|value| value.to_string()).as_deref(), Ok(text));
    }
    assert_eq!("*-*-*T*:*:*".parse(), Ok(DateTime::UNSPECIFIED));
    assert_eq!("2025-05-29 10:15".parse::<DateTime>().unwrap().time(), Time([10, 15, 0, 0]));
    assert_eq!("2025-05-29T10:15:30.5Z".parse::<DateTime>().unwrap().hundredths(), Some(50));
}

#[test]
fn what_is_not_a_date_is_refused() {
    for text in [
        "",
        "2025-05-29",
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-05-29T24:00:00Z",
        "2025-05-29T10:60:00Z",
        "2025-05-29T10:15:30+2:00",
        "2025-05-29T10:15:30+15:00",
        // What the octets cannot hold: more than 14 hours, and the minute that stands for "not specified".
        "2025-05-29T10:15:30-14:01",
        "2025-05-29T10:15:30+00:01",
        "2025-05-29T10:15:30.Z",
        "0000-05-29T10:15:30Z",
        "65535-05-29T10:15:30Z",
        "25-05-29T10:15:30Z",
        "+025-05-29T10:15:30Z",
    ] {
        assert_eq!(text.parse::<DateTime>(), Err(ParseTimeError), "{text}");
    }
}

#[test]
fn moving_a_clock_keeps_deviation_status_and_hundredths() {
    let stamp = DateTime(hex!("07E8 02 1C 03 17 37 00 32 FFC4 02"));
    assert_eq!(stamp.plus_seconds(900), Some(DateTime(hex!("07E8 02 1D 04 00 0A 00 32 FFC4 02"))));
    assert_eq!(stamp.plus_seconds(900).unwrap().plus_seconds(-900), Some(stamp));
    let open = DateTime(hex!("07E9 05 1D 04 0A 0F 1E FF 8000 FF"));
    assert_eq!(open.plus_seconds(0), Some(open));
    assert_eq!(DateTime::UNSPECIFIED.plus_seconds(900), None);
}

#[test]
fn the_ends_of_the_calendar() {
    let first = DateTime::from_unix_seconds(i64::MIN, 0, ClockStatus::OK);
    assert_eq!(first.to_string(), "0001-01-01T00:00:00Z");
    let last = DateTime::from_unix_seconds(i64::MAX, 0, ClockStatus::OK);
    assert_eq!(last.to_string(), "65534-12-31T23:59:59Z");
    assert_eq!(last.to_string().parse::<DateTime>().unwrap().date(), last.date());
    assert_eq!(first.weekday(), Some(1));
}

proptest::proptest! {
    #[test]
    fn unix_seconds_round_trip(seconds in -62_135_596_800_i64 + 86_400..2_005_917_609_599 - 86_400, deviation in -720_i16..=840) {
        proptest::prop_assume!(deviation != -1);
        let stamp = DateTime::from_unix_seconds(seconds, deviation, ClockStatus::OK);
        proptest::prop_assert_eq!(stamp.to_unix_seconds(), Some(seconds));
        let parsed: DateTime = stamp.to_string().parse().unwrap();
        proptest::prop_assert_eq!(&parsed.0[..11], &stamp.0[..11]);
    }

    #[test]
    fn no_octets_panic(octets: [u8; 12], seconds: i64) {
        let stamp = DateTime::from_bytes(&octets);
        let _ = (stamp.to_unix_seconds(), stamp.to_string(), stamp.plus_seconds(seconds), stamp.with_inverted_deviation());
    }
}
