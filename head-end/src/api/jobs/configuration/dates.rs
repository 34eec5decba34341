//! Dates with wildcards and times of day, as people write them and as COSEM has them.

use super::super::spec::Parsed;

/// Not specified, in an octet; every year is two of them.
const ANY: u8 = 0xFF;
/// The last day of a month.
const LAST: u8 = 0xFE;

/// The five octets of a date: `2026-12-25`, `*-10-01`, `*-02-last`.
pub(super) fn date(text: &str) -> Parsed<[u8; 5]> {
    let wrong = || format!("{text:?} is no date such as 2026-12-25, *-10-01 or *-*-last");
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let number = |part: &str, from: u8, to: u8| {
        let number = part.parse::<u8>().ok().filter(|number| (from..=to).contains(number));
        number.ok_or_else(wrong)
    };
    let [high, low] = match year {
        "*" => [ANY, ANY],
        year => year.parse::<u16>().ok().filter(|year| (1..=9_999).contains(year)).ok_or_else(wrong)?.to_be_bytes(),
    };
    let month = if month == "*" { ANY } else { number(month, 1, 12)? };
    let day = match day {
        "*" => ANY,
        "last" => LAST,
        day => number(day, 1, 31)?,
    };
    Ok([high, low, month, day, ANY])
}

/// The four octets of a time of day: `06:00` or `06:00:30`.
pub(super) fn time(text: &str) -> Parsed<[u8; 4]> {
    let wrong = || format!("{text:?} is no time such as 06:00 or 06:00:30");
    let mut parts = text.split(':').map(str::parse::<u8>);
    let mut next = |most: u8| parts.next()?.ok().filter(|number| *number <= most);
    let (hour, minute) = (next(23).ok_or_else(wrong)?, next(59).ok_or_else(wrong)?);
    let second = if text.matches(':').count() == 2 { next(59).ok_or_else(wrong)? } else { 0 };
    if text.matches(':').count() > 2 {
        return Err(wrong());
    }
    Ok([hour, minute, second, 0])
}

/// The twelve octets of a local date-time; midnight where there is no time.
pub(super) fn date_time(date: &str, time: &str) -> Parsed<[u8; 12]> {
    let [y1, y2, month, day, weekday] = self::date(date).map_err(|error| format!("start_date: {error}"))?;
    let time = if time.is_empty() { "00:00" } else { time };
    let [hour, minute, second, hundredths] = self::time(time).map_err(|error| format!("start_time: {error}"))?;
    // The deviation is not specified, as it is in seasons of meters.
    Ok([y1, y2, month, day, weekday, hour, minute, second, hundredths, 0x80, 0, ANY])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_have_their_octets_or_their_reason() {
        assert_eq!(date("2026-12-25"), Ok([0x07, 0xEA, 12, 25, ANY]));
        assert_eq!(date("*-10-last"), Ok([ANY, ANY, 10, LAST, ANY]));
        for wrong in ["", "2026-12", "2026-13-01", "0-01-01", "*-00-01", "*-01-32", "*-01-01-01"] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
        assert_eq!((time("06:00"), time("23:59:58")), (Ok([6, 0, 0, 0]), Ok([23, 59, 58, 0])));
        for wrong in ["", "6", "24:00", "06:60", "06:00:00:00", "06:00:", "a:b"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        let start = date_time("*-10-01", "").unwrap();
        assert_eq!(start, [ANY, ANY, 10, 1, ANY, 0, 0, 0, 0, 0x80, 0, ANY]);
    }
}
