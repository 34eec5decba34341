//! Where a meter is in its life.

use jiff::Timestamp;
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
///
/// | from \ to | registered | commissioned | suspended | decommissioned |
/// |---|---|---|---|---|
/// | registered | | Commission | by hand | by hand, Decommission |
/// | commissioned | by hand | Commission | by hand | by hand, Decommission, Exchange |
/// | suspended | by hand | Commission; by hand where it was before | | by hand, Decommission, Exchange |
/// | decommissioned | by hand | | | |
///
/// Only [`commissioned`](Self::commissioned) makes a meter commissioned, for it is called by who has found the meter at
/// its place; a person may bring one back to it that was suspended. A meter that comes back from decommissioned begins
/// a new life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifecycle {
    /// Where it is.
    pub status: LifecycleStatus,
    /// Since when; `None` where it was registered like that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it was found at its place and to be what it is registered as; `None` where it was not, in this life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Timestamp>,
    /// The meter that was at its place before.
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_meter")]
    pub replaces: Option<MeterId>,
    /// The meter that took its place.
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_meter")]
    pub replaced_by: Option<MeterId>,
}

/// A change of a life that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a meter that is {} does not become {}: {}", from.name(), to.name(), self.reason())]
pub struct LifecycleError {
    /// Where it is.
    pub from: LifecycleStatus,
    /// Where it was to be.
    pub to: LifecycleStatus,
}

impl LifecycleError {
    const fn reason(&self) -> &'static str {
        match self.from {
            LifecycleStatus::Decommissioned => "it comes back as registered, to be looked at again",
            _ => "Commission does that, when it has found the meter",
        }
    }
}

impl Lifecycle {
    /// As a person wants it, at `now`. What is so already stays as it is.
    ///
    /// # Errors
    /// [`LifecycleError`] for a transition that is not a person's to make, or that there is not.
    pub fn set(&self, to: LifecycleStatus, now: Timestamp) -> Result<Self, LifecycleError> {
        use LifecycleStatus::{Commissioned, Decommissioned, Registered, Suspended};
        let from = self.status;
        let is_resumed = from == Suspended && self.found.is_some();
        if !from.may_become(to) || (to == Commissioned && from != to && !is_resumed) {
            return Err(LifecycleError { from, to });
        }
        Ok(match (from, to) {
            (from, to) if from == to => self.clone(),
            // Another life: what it was before is in the audit log, and with the meter that took its place.
            (Decommissioned, _) => Self { status: to, since: Some(now), ..Self::default() },
            (_, Registered) => Self { status: to, since: Some(now), found: None, ..self.clone() },
            (_, to) => Self { status: to, since: Some(now), ..self.clone() },
        })
    }

    /// After the meter was found at its place.
    ///
    /// # Errors
    /// [`LifecycleError`] for one that is out of service.
    pub fn commissioned(&self, now: Timestamp) -> Result<Self, LifecycleError> {
        let to = LifecycleStatus::Commissioned;
        if !self.status.may_become(to) {
            return Err(LifecycleError { from: self.status, to });
        }
        let since = if self.status == to { self.since } else { Some(now) };
        Ok(Self { status: to, since, found: Some(now), ..self.clone() })
    }
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
    fn each_transition_of_a_person_is_there_or_is_refused() {
        use LifecycleStatus::{Commissioned, Decommissioned, Registered, Suspended};
        let now = Timestamp::UNIX_EPOCH;
        let life = |status, found: bool| Lifecycle { status, found: found.then_some(now), ..Lifecycle::default() };
        // From, whether it was found, and what a person may make of it.
        let table = [
            (Registered, false, &[Registered, Suspended, Decommissioned][..]),
            (Commissioned, true, &[Registered, Commissioned, Suspended, Decommissioned]),
            (Suspended, false, &[Registered, Suspended, Decommissioned]),
            (Suspended, true, &[Registered, Commissioned, Suspended, Decommissioned]),
            (Decommissioned, true, &[Registered, Decommissioned]),
        ];
        for (from, found, allowed) in table {
            for to in LifecycleStatus::ALL {
                let set = life(from, found).set(to, now);
                assert_eq!(set.is_ok(), allowed.contains(&to), "{from:?} {found} {to:?}");
                match set {
                    Ok(set) => assert_eq!((set.status, set.since.is_some()), (to, from != to), "{from:?} {to:?}"),
                    Err(error) => assert_eq!((error.from, error.to), (from, to)),
                }
            }
        }
    }

    #[test]
    fn who_comes_back_has_another_life_and_is_to_be_found_again() {
        let (now, m2) = (Timestamp::UNIX_EPOCH, MeterId::try_new("m2").unwrap());
        let found = Lifecycle::default().commissioned(now).unwrap();
        assert_eq!((found.status, found.found), (LifecycleStatus::Commissioned, Some(now)));
        let out = Lifecycle { replaced_by: Some(m2), ..found.set(LifecycleStatus::Decommissioned, now).unwrap() };
        assert!(out.commissioned(now).is_err());
        let back = out.set(LifecycleStatus::Registered, now).unwrap();
        assert_eq!(back, Lifecycle { since: Some(now), ..Lifecycle::default() });
        assert_eq!(found.set(LifecycleStatus::Registered, now).unwrap().found, None);
    }

    #[test]
    fn a_life_survives_the_way_through_the_store() {
        let life = Lifecycle {
            status: LifecycleStatus::Decommissioned,
            since: Some(Timestamp::UNIX_EPOCH),
            found: None,
            replaces: None,
            replaced_by: Some(MeterId::try_new("m2").unwrap()),
        };
        let text = serde_json::to_string(&life).unwrap();
        assert_eq!(serde_json::from_str::<Lifecycle>(&text).unwrap(), life, "{text}");
        assert_eq!(serde_json::from_str::<Lifecycle>("{}").unwrap(), Lifecycle::default());
    }
}
