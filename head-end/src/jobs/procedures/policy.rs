//! Security policy of a meter: class 64, Security setup, method `security_activate`.

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
    security::{Protection, SecurityPolicy},
};
use futures_util::future::BoxFuture;

use super::{attributes, get, refused, unexpected, wrong_type};
use crate::{
    jobs::{PolicyReport, Procedure, Report, Resolution, Visit, procedure::invalid},
    operation::{InvokeMethod, ModelObject, Operation, Outcome, RequestError},
};

const CLASS: ClassId = ClassId(64);
const SECURITY_POLICY: AttributeId = AttributeId(2);
const SECURITY_ACTIVATE: MethodId = MethodId(1);

/// Makes a meter demand more protection. It never demands less again.
#[derive(Clone, Copy, Debug)]
pub struct SetSecurityPolicy {
    /// The Security setup, 0-0:43.0.0 as a rule.
    pub setup: ObisCode,
    /// What is to be demanded.
    pub policy: SecurityPolicy,
}

impl SetSecurityPolicy {
    /// The version of the meter's class, by which policies are written.
    async fn version(&self, visit: &Visit<'_>) -> Result<u8, RequestError> {
        let version = |object: &ModelObject| object.version;
        if let Some(model) = visit.registered().model().await?
            && let Some(object) = model.find(self.setup)
        {
            return Ok(version(object));
        }
        let Outcome::Objects(model) = visit.read(Operation::DiscoverObjects).await? else {
            return Err(unexpected("the fleet answered with something else than objects"));
        };
        let object = model.find(self.setup).ok_or_else(|| refused("the meter has no such Security setup"))?;
        Ok(version(object))
    }

    async fn present(&self, visit: &Visit<'_>, version: u8) -> Result<SecurityPolicy, RequestError> {
        let values = attributes(visit.read(get(CLASS, self.setup, &[SECURITY_POLICY.0])).await?)?;
        let value = values.into_iter().next().ok_or_else(|| unexpected("the policy is missing"))??.value;
        let Value::Enum(number) = value else { return Err(wrong_type("security_policy", &value)) };
        let policy = if version == 0 { SecurityPolicy::from_v0(number) } else { SecurityPolicy::from_v1(number) };
        policy.ok_or_else(|| unexpected(&format!("{number} is no policy of version {version}")))
    }

    fn written(&self, version: u8) -> Result<u8, RequestError> {
        if version != 0 {
            return Ok(self.policy.to_v1());
        }
        let both =
            "version 0 of the class knows policies that are the same for requests and responses, without signatures";
        self.policy.to_v0().ok_or_else(|| refused(both))
    }

    async fn activate(&self, visit: &Visit<'_>) -> Result<Report, RequestError> {
        self.keeps_us_in(visit).await?;
        let version = self.version(visit).await?;
        let before = self.present(visit, version).await?;
        let report = |after| Report::Policy(PolicyReport { version, before: Some(before), after });
        if before == self.policy {
            return Ok(report(before));
        }
        if !before.may_become(self.policy) {
            return Err(refused(
                "a policy can only be strengthened, and the present one demands what this one does not",
            ));
        }
        let parameter = Some(Value::Enum(self.written(version)?));
        let (class, obis, method) = (CLASS, self.setup, SECURITY_ACTIVATE);
        visit.act(Vec::new(), Operation::InvokeMethod(InvokeMethod { class, obis, method, parameter })).await?;
        let after = self.present(visit, version).await?;
        if after != self.policy {
            return Err(refused("the meter agreed, but has another policy"));
        }
        Ok(report(after))
    }

    /// A policy that our own requests do not meet would keep us out, for good.
    async fn keeps_us_in(&self, visit: &Visit<'_>) -> Result<(), RequestError> {
        let own = visit.registered().settings().await?.security.map_or(Protection::NONE, |security| Protection {
            authenticated: security.policy.authenticated,
            encrypted: security.policy.encrypted,
            signed: false,
        });
        match own.covers(self.policy.request) {
            true => Ok(()),
            false => Err(invalid("the head-end's own requests to this meter would not meet that policy")),
        }
    }
}

impl Procedure for SetSecurityPolicy {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(self.activate(visit))
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async {
            let version = self.version(visit).await?;
            let after = self.present(visit, version).await?;
            Ok(match after == self.policy {
                true => Resolution::Done(Report::Policy(PolicyReport { version, before: None, after })),
                false => Resolution::NotDone,
            })
        })
    }
}
