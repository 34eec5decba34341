//! Tariffs: which rate counts, by season, day of the week, time of day and special day.
//!
//! Pure logic in fixed memory: a [`Calendar`] and [`SpecialDays`] name the script that is in force at a local moment and
//! the next one, and [`RegisterActivation`] says which registers a mask switches on. Who runs the scripts is up to the
//! meter.

mod activation;
mod calendar;
mod date_rule;
mod special_days;

pub use activation::{INDICES_MAX, MASKS_MAX, Mask, REGISTERS_MAX, RegisterActivation};
pub use calendar::{
    ACTIONS_MAX, Calendar, CalendarError, DAYS_MAX, Day, SEASONS_MAX, Season, Switching, WEEKS_MAX, Week,
};
pub(crate) use date_rule::seconds_in_year;
pub use special_days::{SPECIAL_DAYS_MAX, SpecialDays};

/// Octets of the name of a calendar, a season, a week or a mask.
pub const NAME_OCTETS_MAX: usize = 16;

/// The name of a calendar, a season, a week or a mask.
pub type Name = heapless::Vec<u8, NAME_OCTETS_MAX>;
