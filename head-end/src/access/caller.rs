//! Who calls.

use std::sync::Arc;

use super::{Permission, Role, Roles};
use crate::meter::Tenant;

/// Who calls, as proven by a token or a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name of the caller; it stands in the audit log.
    pub subject: Arc<str>,
    /// What the caller is.
    pub roles: Roles,
    /// Whose meters the caller sees and touches; `None` for all of them.
    pub tenant: Option<Tenant>,
}

impl Caller {
    /// Whoever calls a head-end that asks nobody who they are: it may do everything.
    #[must_use]
    pub fn local() -> Self {
        Self { subject: "local".into(), roles: Roles::from_iter([Role::Administrator]), tenant: None }
    }

    /// Who has not said who they are, and may do nothing.
    #[must_use]
    pub fn nobody() -> Self {
        Self { subject: "nobody".into(), roles: Roles::default(), tenant: None }
    }

    /// Whether one of the caller's roles has `permission`.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.roles.grant(permission)
    }

    /// Whether the caller sees what belongs to `owner`.
    #[must_use]
    pub fn sees(&self, owner: Option<&Tenant>) -> bool {
        self.tenant.is_none() || self.tenant.as_ref() == owner
    }
}
