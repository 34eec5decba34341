//! Moments as people write them.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

/// A moment: RFC 3339 (`2026-11-21T10:00:00Z`), a local date or date and time (`2026-11-21`,
/// `2026-11-21T10:00`), `now`, `today`, `yesterday`, or how long ago (`24h`, `90m`, `30d`).
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, Timestamp::now(), &TimeZone::system())
}

fn parse_at(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong =
        || format!("{text:?} is not a moment such as 2026-11-21T10:00:00Z, 2026-11-21, yesterday, now or 24h (ago)");
    let local = |time: civil::DateTime| time.to_zoned(zone.clone()).map(|time| time.timestamp()).map_err(|_| wrong());
    let today = now.to_zoned(zone.clone()).date();
    match text {
        "now" => return Ok(now),
        "today" => return local(today.at(0, 0, 0, 0)),
        "yesterday" => return local(today.yesterday().map_err(|_| wrong())?.at(0, 0, 0, 0)),
        _ => {}
    }
    if let Some(ago) = ago(text) {
        return now.checked_sub(ago).map_err(|_| wrong());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(time) = text.parse::<civil::DateTime>() {
        return local(time);
    }
    text.parse::<civil::Date>().map_err(|_| wrong()).and_then(|date| local(date.at(0, 0, 0, 0)))
}

fn ago(text: &str) -> Option<SignedDuration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        let now: Timestamp = "2026-11-21T16:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Zurich").unwrap();
        let parse = |text: &str| parse_at(text, now, &zone).map(|moment| moment.to_string());
        let is = |text: &str, moment: &str| assert_eq!(parse(text).as_deref(), Ok(moment), "{text}");
        is("now", "2026-11-21T16:00:00Z");
        is("today", "2026-11-20T23:00:00Z");
        is("yesterday", "2026-11-19T23:00:00Z");
        is("24h", "2026-11-20T16:00:00Z");
        is("7d", "2026-11-14T16:00:00Z");
        is("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z");
        is("2026-11-01T01:00:00+01:00", "2026-11-01T00:00:00Z");
        is("2026-11-01", "2026-10-31T23:00:00Z");
        is("2026-07-01T12:30", "2026-07-01T10:30:00Z");
        for wrong in ["", "soon", "24", "24x", "2026-13-01", "99999999999999999999s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
