//! Times as telegrams print them: `YYMMDDhhmmssX`.

use core::fmt;

use crate::time::{ClockStatus, Date, DateTime, Time};

/// Whether a local time is summer time, the letter behind the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Season {
    /// `S`: daylight saving time.
    Summer,
    /// `W`: standard time. The Swedish port prints it all year.
    Winter,
}

/// A local time of the meter, two digits for each field. DSMR 2.2 and 3.0 print no season.
///
/// Meters print digits that name no time, such as `632525252525W` (octets FF pushed through BCD) or zeros, where there
/// is none: those are kept, and give no date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    fields: [u8; 6],
    season: Option<Season>,
}

impl Timestamp {
    /// Reads twelve digits and a letter, or twelve digits alone.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (digits, letter) = text.as_bytes().split_first_chunk::<12>()?;
        let season = match letter {
            [] => None,
            [b'S' | b's'] => Some(Season::Summer),
            [b'W' | b'w'] => Some(Season::Winter),
            _ => return None,
        };
        let mut fields = [0_u8; 6];
        for (field, pair) in fields.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                if !digit.is_ascii_digit() {
                    return None;
                }
                *field = field.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0'));
            }
        }
        Some(Self { fields, season })
    }

    /// The time of a clock, whose status says whether it is summer; `None` when it is not fully specified or lies
    /// outside the years 2000 to 2099.
    #[must_use]
    pub fn from_date_time(moment: DateTime) -> Option<Self> {
        let year = u8::try_from(moment.year()?.checked_sub(2000)?).ok().filter(|year| *year < 100)?;
        let summer = moment.status().is_some_and(ClockStatus::daylight_saving);
        moment.to_local_seconds()?;
        Some(Self {
            fields: [year, moment.month()?, moment.day()?, moment.hour()?, moment.minute()?, moment.second()?],
            season: Some(if summer { Season::Summer } else { Season::Winter }),
        })
    }

    /// The season, where one is printed.
    #[must_use]
    pub const fn season(self) -> Option<Season> {
        self.season
    }

    /// The numbers to be printed with two digits each, and the letter.
    pub(super) const fn printed(self) -> ([u8; 6], &'static str) {
        let season = match self.season {
            Some(Season::Summer) => "S",
            Some(Season::Winter) => "W",
            None => "",
        };
        (self.fields, season)
    }

    /// The local time without a deviation from UTC; `None` when the digits name no time.
    #[must_use]
    pub fn local(self) -> Option<DateTime> {
        let [year, month, day, hour, minute, second] = self.fields;
        let date = Date::new(u16::from(year).saturating_add(2000), month, day)?;
        let status = match self.season {
            Some(Season::Summer) => ClockStatus::DAYLIGHT_SAVING,
            Some(Season::Winter) => ClockStatus::OK,
            None => ClockStatus::UNSPECIFIED,
        };
        Some(DateTime::new(date, Time::new(hour, minute, second)?, None, status))
    }

    /// The time where standard time deviates by `standard_deviation_min` (-60 in central Europe, 0 in Ireland); summer
    /// time is an hour more. Without a season the deviation stays open, as the hour at its end is ambiguous. `None`
    /// when the digits name no time.
    #[must_use]
    pub fn date_time(self, standard_deviation_min: i16) -> Option<DateTime> {
        let deviation = self.season.map(|season| match season {
            Season::Summer => standard_deviation_min.saturating_sub(60),
            Season::Winter => standard_deviation_min,
        });
        self.local().map(|local| local.with_deviation(deviation))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fields, season) = self.printed();
        fields.iter().try_for_each(|field| write!(f, "{field:02}"))?;
        f.write_str(season)
    }
}
