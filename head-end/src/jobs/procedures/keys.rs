//! Keys of a meter renewed in two phases, and found out after a loss: class 64, Security setup.
//!
//! New keys are in the vault before they are sent, and those before them stay until an association has proved that the
//! meter has the new ones. At each moment in between both are known; the fleet tries one and, once, the other.

use std::collections::BTreeSet;

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
};
use futures_util::future::BoxFuture;

use super::{refused, unexpected};
use crate::{
    jobs::{KeysReport, KeysState, Procedure, Report, Resolution, Visit},
    operation::{
        AttributeRef, InvokeMethod, Layer, Operation, Outcome, RequestError, RequestErrorKind as Kind, SetAttribute,
    },
    registry::StagedKeys,
    vault::SecretRole,
};

const SECURITY_SETUP: ClassId = ClassId(64);
/// `global_key_transfer` in version 0, `key_transfer` in version 1.
const KEY_TRANSFER: MethodId = MethodId(2);
const ASSOCIATION_LN: ClassId = ClassId(15);
/// `secret` of an association: the LLS password.
const SECRET: AttributeId = AttributeId(7);

/// Renews keys of a meter.
#[derive(Clone, Debug)]
pub struct RotateKeys {
    /// Which ones.
    pub roles: BTreeSet<SecretRole>,
    /// The Security setup, 0-0:43.0.0 as a rule.
    pub setup: ObisCode,
    /// The association whose password is changed, 0-0:40.0.0 for the present one.
    pub association: ObisCode,
}

/// Finds out which keys a meter has, where that is not known, and puts them in force.
#[derive(Clone, Copy, Debug)]
pub struct RecoverKeys;

/// What an association has shown.
enum Proof {
    /// The meter has the new keys; they are in use.
    New,
    /// It has those before.
    Old,
}

/// Opens another association. What opened it is the proof.
async fn prove(visit: &Visit<'_>) -> Result<Proof, RequestError> {
    let registered = visit.registered();
    registered.renew();
    visit.read(Operation::Ping).await?;
    Ok(if registered.pending_keys().await?.is_none() { Proof::New } else { Proof::Old })
}

impl RotateKeys {
    fn report(&self, state: KeysState) -> Report {
        Report::Keys(KeysReport { state, roles: self.roles.clone() })
    }

    /// What takes the keys to the meter: wrapped, but for a password, which the association ciphers if it can.
    fn transfer(&self, staged: &StagedKeys) -> Operation {
        if let Some(password) = &staged.password {
            let attribute = AttributeRef::new(ASSOCIATION_LN, self.association, SECRET);
            let value = Value::OctetString(password.expose().to_vec());
            return Operation::SetAttributes(vec![SetAttribute { attribute, selection: None, value }]);
        }
        let key = |(id, wrapped): &(u8, Vec<u8>)| {
            Value::Structure(vec![Value::Enum(*id), Value::OctetString(wrapped.clone())])
        };
        let keys = Value::Array(staged.wrapped.iter().map(key).collect());
        let (class, obis, method) = (SECURITY_SETUP, self.setup, KEY_TRANSFER);
        Operation::InvokeMethod(InvokeMethod { class, obis, method, parameter: Some(keys) })
    }

    async fn rotate(&self, visit: &Visit<'_>) -> Result<Report, RequestError> {
        let registered = visit.registered();
        let staged = registered.stage_keys(&self.roles).await?;
        let sent = match visit.act(Vec::new(), self.transfer(&staged)).await {
            Ok(Outcome::Set(results)) => results.into_iter().find_map(Result::err).map_or(Ok(()), Err),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            if error.kind() != Kind::MeterRefused {
                return Err(error);
            }
            let Some(keys) = registered.pending_keys().await?.filter(|keys| registered.is_own(keys)) else {
                return Err(error);
            };
            // What it refuses it may have taken before, or in part: only an association tells.
            return match prove(visit).await {
                Ok(Proof::New) => Ok(self.report(KeysState::New)),
                Ok(Proof::Old) => {
                    registered.drop_keys(&keys.rotation).await?;
                    Err(error)
                }
                Err(unknown) => {
                    tracing::warn!(meter = %visit.meter(), %unknown, "refused keys stay until they are recovered");
                    Err(error)
                }
            };
        }
        registered.confirm_keys().await?;
        match prove(visit).await? {
            Proof::New => Ok(self.report(KeysState::New)),
            // Both stay: it may put them in force later.
            Proof::Old => Err(refused("the meter agreed, but the keys before are still in force; recover them later")),
        }
    }
}

impl Procedure for RotateKeys {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(self.rotate(visit))
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async {
            Ok(match prove(visit).await? {
                Proof::New => Resolution::Done(self.report(KeysState::New)),
                // The same keys are sent again.
                Proof::Old => Resolution::NotDone,
            })
        })
    }
}

impl Procedure for RecoverKeys {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(async {
            let registered = visit.registered();
            let Some(pending) = registered.pending_keys().await? else {
                visit.read(Operation::Ping).await?;
                let roles = BTreeSet::new();
                return Ok(Report::Keys(KeysReport { state: KeysState::Known, roles }));
            };
            // Looked at before the proof: a rotation that has ended sends these keys to nobody any more, and one that has
            // not may do so right after it.
            if registered.is_rotating(&pending).await? {
                let message = format!("jobs/{} has not ended with this meter's keys", pending.rotation);
                return Err(RequestError::new(Kind::Busy, Layer::HeadEnd, message));
            }
            let state = match prove(visit).await? {
                Proof::New => KeysState::New,
                Proof::Old => {
                    registered.drop_keys(&pending.rotation).await?;
                    KeysState::Old
                }
            };
            Ok(Report::Keys(KeysReport { state, roles: pending.roles }))
        })
    }

    fn resolve<'a>(&'a self, _: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async { Err(unexpected("finding out keys sends nothing that would have to be resolved")) })
    }
}
