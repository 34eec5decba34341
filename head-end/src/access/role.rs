//! Roles and what they permit.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// What a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees meters and what was read of them.
    Viewer,
    /// Talks to meters: reads, commands, plans, and their registration.
    Operator,
    /// Changes keys and security policies, and reads the audit log.
    SecurityOfficer,
    /// May do everything.
    Administrator,
}

/// What a method of the API needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Nothing: also who has not said who they are.
    Open,
    /// Seeing what the head-end knows.
    View,
    /// Making meters do something, be it an answer.
    Operate,
    /// Changing which meters there are, and how they are reached.
    Register,
    /// Changing keys, and what meters demand of those who talk to them.
    Secure,
    /// Reading the audit log.
    Audit,
    /// Changing the head-end itself.
    Administer,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::SecurityOfficer, Self::Administrator];

    /// Its name in files, claims and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::SecurityOfficer => "security_officer",
            Self::Administrator => "administrator",
        }
    }

    /// Whether the role has `permission`.
    #[must_use]
    pub const fn grants(self, permission: Permission) -> bool {
        match permission {
            Permission::Open | Permission::View => true,
            Permission::Operate | Permission::Register => matches!(self, Self::Operator | Self::Administrator),
            Permission::Secure | Permission::Audit => matches!(self, Self::SecurityOfficer | Self::Administrator),
            Permission::Administer => matches!(self, Self::Administrator),
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: viewer, operator, security_officer or administrator")]
pub struct RoleError(pub String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| RoleError(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// Whether any of them has `permission`.
    #[must_use]
    pub fn grant(self, permission: Permission) -> bool {
        self.iter().any(|role| role.grants(permission))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.0 & role.bit() != 0)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_permissions_and_no_other() {
        use Permission::{Administer, Audit, Open, Operate, Register, Secure, View};
        let all = [Open, View, Operate, Register, Secure, Audit, Administer];
        let granted = |role: Role| all.into_iter().filter(|permission| role.grants(*permission)).collect::<Vec<_>>();
        assert_eq!(granted(Role::Viewer), [Open, View]);
        assert_eq!(granted(Role::Operator), [Open, View, Operate, Register]);
        assert_eq!(granted(Role::SecurityOfficer), [Open, View, Secure, Audit]);
        assert_eq!(granted(Role::Administrator), all);
        assert!(all.iter().all(|permission| !Roles::default().grant(*permission)), "no role, no right");
    }

    #[test]
    fn roles_add_up_and_keep_their_names() {
        let roles = Roles::from_iter([Role::Operator, Role::SecurityOfficer]);
        assert!(roles.grant(Permission::Operate) && roles.grant(Permission::Secure));
        assert!(!roles.grant(Permission::Administer));
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("Root".parse::<Role>(), Err(RoleError("Root".to_owned())));
    }
}
