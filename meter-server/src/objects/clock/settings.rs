//! Time zone and daylight saving: from UTC to what a clock shows, and back.

use dlms::time::{ClockStatus, DateTime};

use crate::moment::Moment;
use crate::tariff::seconds_in_year;

const DAY_SECONDS: i64 = 86_400;

/// How a clock turns UTC into local time: attributes 3 and 5 to 9 of the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockSettings {
    /// Minutes from local standard time to UTC: -60 for Central Europe.
    pub time_zone_min: i16,
    /// When daylight saving begins, in local time before the change; the year is usually a wildcard.
    pub daylight_begin: DateTime,
    /// When it ends, in local time before the change.
    pub daylight_end: DateTime,
    /// By how many minutes the clock is put forward.
    pub daylight_deviation_min: i8,
    /// Whether daylight saving is observed.
    pub daylight_enabled: bool,
    /// Where the clock gets its time from: 1 crystal, 2 mains frequency, and so on.
    pub clock_base: u8,
    /// Period that `adjust_to_measuring_period` goes by, in seconds.
    pub measuring_period_seconds: u32,
    /// What `preset_adjusting_time` left.
    pub preset: Option<PresetTime>,
}

/// A time to be put in force by `adjust_to_preset_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresetTime {
    /// The time.
    pub time: Moment,
    /// Earliest time at which it may be put in force.
    pub valid_from: Moment,
    /// Latest time at which it may be put in force.
    pub valid_to: Moment,
}

impl ClockSettings {
    /// Minutes from local time to UTC at a moment, and whether daylight saving is in force.
    #[must_use]
    pub fn deviation(&self, utc: Moment) -> (i16, bool) {
        if self.daylight_enabled && self.is_daylight(utc.as_seconds()) {
            (self.daylight_deviation(), true)
        } else {
            (self.time_zone_min, false)
        }
    }

    const fn daylight_deviation(&self) -> i16 {
        self.time_zone_min.saturating_sub(self.daylight_deviation_min as i16)
    }

    fn is_daylight(&self, utc: i64) -> bool {
        let standard = DateTime::from_unix_seconds(utc, self.time_zone_min, ClockStatus::OK);
        let Some(year) = standard.year() else { return false };
        let switch = |rule: &DateTime, deviation_min: i16| {
            seconds_in_year(rule, year).map(|local| local.saturating_add(i64::from(deviation_min).saturating_mul(60)))
        };
        let begin = switch(&self.daylight_begin, self.time_zone_min);
        let end = switch(&self.daylight_end, self.daylight_deviation());
        match (begin, end) {
            (Some(begin), Some(end)) if begin <= end => begin <= utc && utc < end,
            // South of the equator the year begins and ends with daylight saving.
            (Some(begin), Some(end)) => utc >= begin || utc < end,
            _ => false,
        }
    }

    /// A moment in local time.
    #[must_use]
    pub fn local(&self, utc: Moment, trust: ClockStatus) -> DateTime {
        let (deviation_min, daylight) = self.deviation(utc);
        let status = ClockStatus(if daylight { trust.0 | ClockStatus::DAYLIGHT_SAVING.0 } else { trust.0 });
        DateTime::from_unix_seconds(utc.as_seconds(), deviation_min, status)
    }

    /// The moment that a local time names. Without a deviation the daylight saving rules decide; of an hour that
    /// comes twice the first one is taken unless the status says otherwise. `None` unless year to minute are given.
    #[must_use]
    pub fn utc(&self, time: DateTime) -> Option<Moment> {
        if let Some(utc) = time.to_unix_seconds() {
            return Some(Moment::from_seconds(utc));
        }
        let standard = time.to_unix_seconds_or(self.time_zone_min)?;
        if !self.daylight_enabled {
            return Some(Moment::from_seconds(standard));
        }
        let daylight = time.to_unix_seconds_or(self.daylight_deviation())?;
        let second_time = time.status().is_some_and(|status| !status.daylight_saving()) && !self.is_daylight(standard);
        let chosen = if self.is_daylight(daylight) && !second_time { daylight } else { standard };
        Some(Moment::from_seconds(chosen))
    }

    /// The moment of local midnight at the start of the day `days` after 1970-01-01.
    #[must_use]
    pub fn midnight(&self, days: i64) -> Moment {
        let local = days.saturating_mul(DAY_SECONDS);
        let standard = local.saturating_add(i64::from(self.time_zone_min).saturating_mul(60));
        let (deviation_min, _) = self.deviation(Moment::from_seconds(standard));
        Moment::from_seconds(local.saturating_add(i64::from(deviation_min).saturating_mul(60)))
    }
}
