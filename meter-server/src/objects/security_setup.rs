//! Security setup (class 64, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{ClassId, MethodId, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::{SecurityPolicy, Suite};

use crate::object::{Context, Object, Read, done};

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

impl<S: SecurityState + ?Sized> Object<S> for SecuritySetup {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(64)
    }

    fn attributes(&self) -> i8 {
        5
    }

    fn methods(&self) -> i8 {
        2
    }

    fn read(
        &self,
        state: &S,
        _: &Context<'_, S>,
        request: Read<'_>,
        _: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let security = state.security(self.setup()).ok_or(DataAccessResult::ObjectUnavailable)?;
        match request.attribute.0 {
            2 => done(out.enumerated(security.policy.to_v0().ok_or(DataAccessResult::OtherReason)?)),
            3 => done(out.enumerated(security.suite.id())),
            4 => done(out.octets(security.client_title.as_ref().map_or(&[], |title| title.as_bytes().as_slice()))),
            5 => done(out.octets(security.server_title.as_bytes())),
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }

    fn invoke(
        &self,
        state: &mut S,
        _: &Context<'_, S>,
        method: MethodId,
        parameter: Option<Data<'_>>,
        _: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        if method.0 != 1 {
            return Err(ActionResult::ReadWriteDenied);
        }
        let Some(Data::Enum(value)) = parameter else { return Err(ActionResult::TypeUnmatched) };
        let policy = SecurityPolicy::from_v0(value).ok_or(ActionResult::OtherReason)?;
        let security = state.security(self.setup()).ok_or(ActionResult::ObjectUnavailable)?;
        if !security.policy.may_become(policy) {
            return Err(ActionResult::ReadWriteDenied);
        }
        state.activate(self.setup(), policy)
    }
}
