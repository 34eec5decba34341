//! Groups: selections of meters that have a name, for jobs and plans.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::meter::{MeterId, MeterIdError, MeterRecord, SettingsError, Tenant};

/// Identifier of a group, the last part of the resource name `groups/{group}`; formed like that of a meter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupId(MeterId);

impl GroupId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The resource name, `groups/{group}`.
    #[must_use]
    pub fn resource_name(&self) -> String {
        format!("groups/{}", self.0)
    }

    /// The identifier in a resource name.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn from_resource_name(name: &str) -> Result<Self, String> {
        let id = name.strip_prefix("groups/").ok_or_else(|| "is of the form groups/{group}".to_owned())?;
        id.parse().map_err(|error: MeterIdError| error.to_string())
    }
}

impl FromStr for GroupId {
    type Err = MeterIdError;

    fn from_str(text: &str) -> Result<Self, MeterIdError> {
        MeterId::try_new(text).map(Self)
    }
}

impl TryFrom<String> for GroupId {
    type Error = MeterIdError;

    fn try_from(text: String) -> Result<Self, MeterIdError> {
        text.parse()
    }
}

impl From<GroupId> for String {
    fn from(id: GroupId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which meters belong to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    /// Those that have all of these labels at the moment of asking.
    Labels(BTreeMap<String, String>),
    /// These.
    Meters(BTreeSet<String>),
}

impl Members {
    /// Whether a meter belongs to them.
    #[must_use]
    pub fn hold(&self, meter: &MeterRecord) -> bool {
        match self {
            Self::Labels(labels) => labels.iter().all(|(key, value)| meter.settings.labels.get(key) == Some(value)),
            Self::Meters(meters) => meters.contains(meter.id.as_str()),
        }
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Which one.
    pub id: GroupId,
    /// Name for people.
    pub display_name: String,
    /// Whose it is; it never holds meters of others then.
    pub tenant: Option<Tenant>,
    /// Who belongs to it.
    pub members: Members,
    /// When it was made.
    pub created: Timestamp,
}

/// Meters that a group names, at most; more have a label in common.
pub const METERS_MAX: usize = 10_000;
/// Labels of a group, at most: as many as a meter has.
const LABELS_MAX: usize = 32;

impl GroupRecord {
    /// All rules that it breaks.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsError> {
        let mut problems = Vec::new();
        let mut rule = |holds: bool, field: &'static str, problem: String| {
            if !holds {
                problems.push(SettingsError { field: field.into(), problem });
            }
        };
        rule(self.display_name.chars().count() <= 200, "display_name", "at most 200 characters".to_owned());
        match &self.members {
            Members::Labels(labels) => {
                // None at all would be every meter, which a group is not needed for.
                let legal = (1..=LABELS_MAX).contains(&labels.len());
                rule(legal, "selector.labels", format!("from 1 to {LABELS_MAX}"));
            }
            Members::Meters(meters) => {
                let legal = (1..=METERS_MAX).contains(&meters.len());
                rule(legal, "meters", format!("from 1 to {METERS_MAX}; more have a label in common"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_have_their_collection_in_front() {
        assert_eq!(GroupId::from_resource_name("groups/north-1").unwrap().as_str(), "north-1");
        for wrong in ["north-1", "meters/north-1", "groups/", "groups/a/b"] {
            assert!(GroupId::from_resource_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_group_without_anybody_is_refused() {
        let group = |members| GroupRecord {
            id: "g".parse().unwrap(),
            display_name: String::new(),
            tenant: None,
            members,
            created: Timestamp::UNIX_EPOCH,
        };
        let fields = |members| group(members).problems().into_iter().map(|wrong| wrong.field).collect::<Vec<_>>();
        assert_eq!(fields(Members::Labels(BTreeMap::new())), ["selector.labels"]);
        assert_eq!(fields(Members::Meters(BTreeSet::new())), ["meters"]);
        assert!(fields(Members::Meters(BTreeSet::from(["m1".to_owned()]))).is_empty());
    }
}
