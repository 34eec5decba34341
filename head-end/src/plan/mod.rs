//! What is to be collected, of whom, when and by when.

mod schedule;
mod settings;

use std::{fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    schedule::{Run, Schedule},
    settings::{Cadence, PlanRegister, PlanSettings, PlanTarget},
};
use crate::meter::{MeterId, MeterIdError};

/// Identifier of a plan, the last part of the resource name `plans/{plan}`. It has the characters of a [`MeterId`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(Arc<str>);

impl PlanId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource name, `plans/{plan}`.
    #[must_use]
    pub fn resource_name(&self) -> String {
        format!("plans/{self}")
    }
}

/// A text that is not the identifier of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a plan: 1 to 63 characters of A-Z a-z 0-9 . _ ~ -, a letter or a digit first")]
pub struct PlanIdError(pub String);

impl FromStr for PlanId {
    type Err = PlanIdError;

    fn from_str(text: &str) -> Result<Self, PlanIdError> {
        let checked: Result<MeterId, MeterIdError> = MeterId::try_new(text);
        checked.map(|_| Self(text.into())).map_err(|_| PlanIdError(text.to_owned()))
    }
}

impl TryFrom<String> for PlanId {
    type Error = PlanIdError;

    fn try_from(text: String) -> Result<Self, PlanIdError> {
        text.parse()
    }
}

impl From<PlanId> for String {
    fn from(id: PlanId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanId({})", self.0)
    }
}

/// A plan as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Which plan.
    pub id: PlanId,
    /// 1 when it was made, one more with every change.
    pub revision: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// What it says.
    pub settings: PlanSettings,
}
