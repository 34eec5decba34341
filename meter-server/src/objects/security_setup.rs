//! Security setup (class 64, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::{Answer, Enumerated, security_setup};
use dlms::id::SystemTitle;
use dlms::obis::ObisCode;
use dlms::security::{SecurityPolicy, Suite};

use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// What a security setup tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityDescription {
    /// Least protection of requests and responses.
    pub policy: SecurityPolicy,
    /// Security suite.
    pub suite: Suite,
    /// System title of the client, as far as known.
    pub client_title: Option<SystemTitle>,
    /// System title of the meter.
    pub server_title: SystemTitle,
}

/// The security setups of the meter.
pub trait SecurityState {
    /// Setup number `setup`: value group E of its logical name.
    fn security(&self, setup: u8) -> Option<SecurityDescription>;

    /// Puts a stronger policy in force.
    ///
    /// # Errors
    /// What the client gets; the policy is unchanged then.
    fn activate(&mut self, setup: u8, policy: SecurityPolicy) -> Result<(), ActionResult>;
}

/// Policy, suite and system titles. Keys cannot be read, and `global_key_transfer` is not offered: this server
/// does not unwrap keys.
#[derive(Clone, Copy, Debug)]
pub struct SecuritySetup {
    /// Logical name.
    pub instance: ObisCode,
}

impl SecuritySetup {
    const fn setup(&self) -> u8 {
        let [_, _, _, _, e, _] = self.instance.0;
        e
    }
}

serve!(security_setup: [S: SecurityState + ?Sized] SecuritySetup);

impl SecuritySetup {
    fn describe<S: SecurityState + ?Sized>(&self, state: &S) -> Result<SecurityDescription, DataAccessResult> {
        state.security(self.setup()).ok_or(DataAccessResult::ObjectUnavailable)
    }
}

impl<'c, S: SecurityState + ?Sized> security_setup::Server<S, Context<'c, S>> for SecuritySetup {
    fn class_version(&self) -> u8 {
        0
    }

    fn security_policy_v0(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::PolicyV0>,
    ) -> Answered {
        let policy = self.describe(state)?.policy.to_v0().ok_or(DataAccessResult::OtherReason)?;
        answer.value(&Enumerated(policy))
    }

    fn security_suite(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, security_setup::Suite>) -> Answered {
        answer.value(&Enumerated(self.describe(state)?.suite.id()))
    }

    fn client_system_title(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::ClientSystemTitle>,
    ) -> Answered {
        answer.value(&self.describe(state)?.client_title.as_ref().map_or(&[], |title| title.as_bytes()))
    }

    fn server_system_title(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, security_setup::ServerSystemTitle>,
    ) -> Answered {
        answer.value(&self.describe(state)?.server_title.as_bytes().as_slice())
    }

    fn security_activate_v0(&self, state: &mut S, _: &Context<'c, S>, policy: Enumerated) -> Result<(), ActionResult> {
        let policy = SecurityPolicy::from_v0(policy.0).ok_or(ActionResult::OtherReason)?;
        let security = state.security(self.setup()).ok_or(ActionResult::ObjectUnavailable)?;
        if !security.policy.may_become(policy) {
            return Err(ActionResult::ReadWriteDenied);
        }
        state.activate(self.setup(), policy)
    }
}
