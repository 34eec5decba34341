//! Why the registry did not do what was asked.

use crate::{
    meter::{LifecycleError, SettingsError},
    operation::{Layer, RequestError, RequestErrorKind},
    store::StoreError,
    vault::VaultError,
};

/// Why the registry did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The settings break rules: all of them.
    #[error("the settings of the meter are not valid: {}", list(.0))]
    Invalid(Vec<SettingsError>),
    /// The store was made with another master key.
    #[error("the store was made with another master key; give that one, or begin with an empty data directory")]
    MasterKey,
    /// The life of the meter does not go on like that.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

fn list(problems: &[SettingsError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<RegistryError> for RequestError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => error.into(),
            RegistryError::Invalid(_) | RegistryError::Lifecycle(_) => {
                Self::new(RequestErrorKind::InvalidRequest, Layer::HeadEnd, error.to_string())
            }
            other => Self::new(RequestErrorKind::Store, Layer::Store, other.to_string()).with_source(other),
        }
    }
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::NotFound(_) => RequestErrorKind::NotFound,
            StoreError::CounterExhausted | StoreError::CounterClaim(_) => RequestErrorKind::SecurityFailed,
            StoreError::RequestMismatch(_) => RequestErrorKind::InvalidRequest,
            StoreError::Overloaded { .. } => RequestErrorKind::Busy,
            StoreError::Closed => RequestErrorKind::ShuttingDown,
            _ => RequestErrorKind::Store,
        };
        Self::new(kind, Layer::Store, error.to_string()).with_source(error)
    }
}
