//! Where a meter is in its life.

use serde::{Deserialize, Serialize};

use super::MeterId;

/// Where a meter is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleStatus {
    /// Known, and not looked at yet.
    #[default]
    Registered,
    /// Found at its place, and found to be what it is registered as.
    Commissioned,
    /// Left alone by plans for a while.
    Suspended,
    /// Out of service: plans leave it alone, and what it pushes is refused. Its readings stay.
    Decommissioned,
}

impl LifecycleStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Registered, Self::Commissioned, Self::Suspended, Self::Decommissioned];

    /// Whether plans collect its data.
    #[must_use]
    pub const fn is_collected(self) -> bool {
        matches!(self, Self::Registered | Self::Commissioned)
    }

    /// Its name in messages for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Commissioned => "commissioned",
            Self::Suspended => "suspended",
            Self::Decommissioned => "decommissioned",
        }
    }

    /// Whether it may become `next`. What is out of service comes back as registered only, to be looked at again.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self == next || self != Self::Decommissioned || next == Self::Registered
    }
}

/// The life of a meter so far. Changed by its own operations, and by nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifecycle {
    /// Where it is.
    pub status: LifecycleStatus,
    /// The meter that was at its place before.
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_meter")]
    pub replaces: Option<MeterId>,
    /// The meter that took its place.
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_meter")]
    pub replaced_by: Option<MeterId>,
}

impl Lifecycle {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

mod optional_meter {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::MeterId;

    pub(super) fn serialize<S: Serializer>(id: &Option<MeterId>, out: S) -> Result<S::Ok, S::Error> {
        id.as_ref().map(MeterId::as_str).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MeterId>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| MeterId::try_new(&text).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_service_comes_back_as_registered_only() {
        use LifecycleStatus::{Commissioned, Decommissioned, Registered, Suspended};
        assert!(Decommissioned.may_become(Registered) && Decommissioned.may_become(Decommissioned));
        assert!(!Decommissioned.may_become(Commissioned) && !Decommissioned.may_become(Suspended));
        for from in [Registered, Commissioned, Suspended] {
            assert!(LifecycleStatus::ALL.into_iter().all(|next| from.may_become(next)), "{from:?}");
        }
    }

    #[test]
    fn a_life_survives_the_way_through_the_store() {
        let life = Lifecycle {
            status: LifecycleStatus::Decommissioned,
            replaces: None,
            replaced_by: Some(MeterId::try_new("m2").unwrap()),
        };
        let text = serde_json::to_string(&life).unwrap();
        assert_eq!(serde_json::from_str::<Lifecycle>(&text).unwrap(), life, "{text}");
        assert_eq!(serde_json::from_str::<Lifecycle>("{}").unwrap(), Lifecycle::default());
    }
}
