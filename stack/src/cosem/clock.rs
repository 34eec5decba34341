//! Class 8, Clock.

use super::Zero;
use crate::time::{ClockStatus, DateTime};

interface_class! {
    "Clock" = 8, versions 0..=0, methods at 0x60;
    attributes {
        /// Local time, with deviation and status.
        2 Time time/set_time, dynamic: DateTime;
        /// Minutes from local standard time to UTC: -60 for central Europe.
        3 TimeZone time_zone/set_time_zone, static: i16;
        /// Status, as in the time.
        4 Status status, dynamic: ClockStatus;
        /// When daylight saving begins, in local time before the change; mostly with wildcards.
        5 DaylightSavingsBegin daylight_savings_begin/set_daylight_savings_begin, static: DateTime;
        /// When daylight saving ends, in local time before the change.
        6 DaylightSavingsEnd daylight_savings_end/set_daylight_savings_end, static: DateTime;
        /// Minutes by which daylight saving moves the clock, -120 to 120.
        7 DaylightSavingsDeviation daylight_savings_deviation/set_daylight_savings_deviation, static: i8;
        /// Whether daylight saving is in use.
        8 DaylightSavingsEnabled daylight_savings_enabled/set_daylight_savings_enabled, static: bool;
        /// What drives the clock.
        9 Base clock_base, static: ClockBase;
    }
    methods {
        /// Sets the clock to the nearest quarter of an hour.
        1 AdjustToQuarter adjust_to_quarter: Zero;
        /// Sets the clock to the nearest start of a measuring period.
        2 AdjustToMeasuringPeriod adjust_to_measuring_period: Zero;
        /// Sets the clock to the nearest minute.
        3 AdjustToMinute adjust_to_minute: Zero;
        /// Sets the clock to the time preset with method 5.
        4 AdjustToPresetTime adjust_to_preset_time: Zero;
        /// Presets a time and says when it may be used.
        5 PresetAdjustingTime preset_adjusting_time: PresetTime;
        /// Moves the clock by -900 to 900 seconds.
        6 ShiftTime shift_time: i16;
    }
}

enumeration! {
    /// What drives a clock.
    ClockBase "clock base" {
        /// Not defined.
        NotDefined = 0,
        /// A crystal.
        InternalCrystal = 1,
        /// The mains, 50 Hz.
        Mains50Hz = 2,
        /// The mains, 60 Hz.
        Mains60Hz = 3,
        /// The Global Positioning System.
        Gps = 4,
        /// Radio.
        Radio = 5,
    }
}

structure! {
    /// A time to be set later, and when it may be.
    PresetTime "structure of preset time" {
        /// The time to set.
        preset_time: DateTime,
        /// First moment at which it may be set.
        validity_interval_start: DateTime,
        /// Last moment at which it may be set.
        validity_interval_end: DateTime,
    }
}
