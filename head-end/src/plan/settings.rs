//! What a plan says.

use std::collections::{BTreeMap, BTreeSet};

use dlms::obis::ObisCode;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::{
    group::GroupId,
    meter::{MeterId, SettingsError},
    operation::Priority,
};

/// What a plan says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanSettings {
    /// Name for people.
    pub display_name: String,
    /// Profiles to collect: load and billing profiles and event logs alike.
    #[serde(with = "codes")]
    pub profiles: Vec<ObisCode>,
    /// Registers to read along with each run.
    pub registers: Vec<PlanRegister>,
    /// Of whom.
    pub target: PlanTarget,
    /// IANA name of the time zone of days and windows; empty is UTC.
    pub time_zone: String,
    /// How often.
    pub cadence: Cadence,
    /// Begin of the window in local time, in seconds from midnight; for days and months.
    pub window_start_s: u32,
    /// Length of the window in seconds: over it the meters are spread.
    pub window_s: u32,
    /// From the begin of the window: by when the data should be here, in seconds.
    pub deadline_s: u32,
    /// How long after the deadline a run is still tried, in seconds; what it did not get is left to the next run.
    pub grace_s: u32,
    /// How far back the first run of a meter reaches, in seconds before what is due.
    pub backfill_s: u32,
    /// How long one attempt with one meter may take, in seconds.
    pub attempt_s: u32,
    /// Share of the work in flight beside other plans: high has four times that of low.
    #[serde(with = "priority")]
    pub priority: Priority,
    /// Whether it rests.
    pub paused: bool,
}

/// A register that is read along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRegister {
    /// Its logical name.
    #[serde(with = "code")]
    pub obis: ObisCode,
    /// Its interface class; `None` looks it up.
    pub class: Option<u16>,
}

/// Of whom to collect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanTarget {
    /// Meters that have all of these labels; without labels, all meters.
    Labels(BTreeMap<String, String>),
    /// These meters.
    Meters(BTreeSet<String>),
    /// The meters of this group, as it is at each moment.
    Group(GroupId),
}

/// How often a plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// Every so many seconds, from midnight UTC: a divisor of the day.
    Seconds(u32),
    /// Every local day, for the data up to its midnight.
    Day,
    /// On the first of every local month, for the data up to its midnight.
    Month,
}

impl Cadence {
    /// Its length, in seconds; of a month the longest.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Day => 86_400,
            Self::Month => 31 * 86_400,
        }
    }
}

impl Default for PlanSettings {
    /// Every day in UTC, in the six hours from midnight.
    fn default() -> Self {
        Self {
            display_name: String::new(),
            profiles: Vec::new(),
            registers: Vec::new(),
            target: PlanTarget::Labels(BTreeMap::new()),
            time_zone: String::new(),
            cadence: Cadence::Day,
            window_start_s: 0,
            window_s: 6 * 3_600,
            deadline_s: 10 * 3_600,
            grace_s: 12 * 3_600,
            backfill_s: 86_400,
            attempt_s: 300,
            priority: Priority::Normal,
            paused: false,
        }
    }
}

/// Longest reach back: ten years.
const BACKFILL_MAX_S: u32 = 3_660 * 86_400;

impl PlanSettings {
    /// The time zone of days and windows; `None` where there is no such zone.
    #[must_use]
    pub fn zone(&self) -> Option<TimeZone> {
        match self.time_zone.as_str() {
            "" => Some(TimeZone::UTC),
            name => TimeZone::get(name).ok(),
        }
    }

    /// When it runs; `None` where the settings have problems.
    #[must_use]
    pub fn schedule(&self) -> Option<Schedule> {
        Some(Schedule::new(self.zone()?, self.cadence, self.window_start_s, self.window_s))
    }

    /// All rules that these settings break.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsError> {
        let mut problems = Vec::new();
        let mut rule = |holds: bool, field: &'static str, problem: &str| {
            if !holds {
                problems.push(SettingsError { field: field.into(), problem: problem.to_owned() });
            }
        };
        rule(self.display_name.chars().count() <= 200, "display_name", "at most 200 characters");
        let asked = !self.profiles.is_empty() || !self.registers.is_empty();
        rule(asked, "profiles", "at least one profile or register");
        rule(self.profiles.len() <= 32, "profiles", "at most 32");
        let distinct: BTreeSet<_> = self.profiles.iter().map(|profile| profile.0).collect();
        rule(distinct.len() == self.profiles.len(), "profiles", "each one once");
        rule(self.registers.len() <= 256, "registers", "at most 256");
        match &self.target {
            PlanTarget::Labels(labels) => rule(labels.len() <= 32, "labels", "at most 32"),
            PlanTarget::Meters(meters) => {
                rule((1..=10_000).contains(&meters.len()), "meters", "from 1 to 10000; more have a label in common");
                let named = meters.iter().all(|meter| MeterId::try_new(meter).is_ok());
                rule(named, "meters", "names of meters");
            }
            PlanTarget::Group(_) => {}
        }
        rule(self.zone().is_some(), "time_zone", "an IANA name such as Europe/Zurich, or empty for UTC");
        if let Cadence::Seconds(seconds) = self.cadence {
            let legal = (60..86_400).contains(&seconds) && 86_400 % seconds == 0;
            rule(legal, "every", "a divisor of the day from 1 minute, or a day, or a month");
        }
        rule(self.window_start_s < 86_400, "window.start", "a time of day");
        rule((1..=86_400).contains(&self.window_s), "window.length", "from 1 s to 24 h");
        rule((60..=31 * 86_400).contains(&self.deadline_s), "deadline", "from 1 minute to 31 days");
        rule(self.grace_s <= 31 * 86_400, "grace", "at most 31 days");
        rule(self.backfill_s <= BACKFILL_MAX_S, "backfill", "at most ten years");
        rule((10..=3_600).contains(&self.attempt_s), "attempt_timeout", "from 10 s to 1 h");
        problems
    }
}

/// An OBIS code as text.
mod code {
    use dlms::obis::ObisCode;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(code: &ObisCode, out: S) -> Result<S::Ok, S::Error> {
        code.to_string().serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ObisCode, D::Error> {
        String::deserialize(from)?.parse().map_err(|_| D::Error::custom("not an OBIS code"))
    }
}

/// OBIS codes as text.
mod codes {
    use dlms::obis::ObisCode;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(codes: &[ObisCode], out: S) -> Result<S::Ok, S::Error> {
        codes.iter().map(ToString::to_string).collect::<Vec<_>>().serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ObisCode>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(|_| D::Error::custom("not an OBIS code"))).collect()
    }
}

/// A priority by its name.
mod priority {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::operation::Priority;

    pub(super) fn serialize<S: Serializer>(priority: &Priority, out: S) -> Result<S::Ok, S::Error> {
        priority.name().serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Priority, D::Error> {
        let name = String::deserialize(from)?;
        let found = Priority::ALL.into_iter().find(|priority| priority.name() == name);
        found.ok_or_else(|| D::Error::custom("not a priority"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_way_through_the_store() {
        let settings = PlanSettings {
            profiles: vec![ObisCode([1, 0, 99, 1, 0, 255])],
            registers: vec![PlanRegister { obis: ObisCode([1, 0, 1, 8, 0, 255]), class: Some(3) }],
            target: PlanTarget::Meters(["m1".to_owned()].into()),
            time_zone: "Europe/Zurich".into(),
            cadence: Cadence::Seconds(900),
            priority: Priority::High,
            ..PlanSettings::default()
        };
        assert_eq!(settings.problems(), []);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<PlanSettings>(&text).unwrap(), settings, "{text}");
    }

    #[test]
    fn every_broken_rule_is_reported_at_once() {
        let settings = PlanSettings {
            time_zone: "Europe/Nowhere".into(),
            cadence: Cadence::Seconds(7),
            window_start_s: 86_400,
            window_s: 0,
            deadline_s: 0,
            grace_s: u32::MAX,
            backfill_s: u32::MAX,
            attempt_s: 0,
            target: PlanTarget::Meters(BTreeSet::new()),
            ..PlanSettings::default()
        };
        let fields: Vec<_> = settings.problems().into_iter().map(|problem| problem.field).collect();
        let expected = [
            "profiles",
            "meters",
            "time_zone",
            "every",
            "window.start",
            "window.length",
            "deadline",
            "grace",
            "backfill",
            "attempt_timeout",
        ];
        assert_eq!(fields, expected);
    }
}
