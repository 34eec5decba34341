//! The service MeterSecurity: keys and policies. Changes are jobs, and no octet of a key is answered.

use std::collections::BTreeSet;

use dlms::{
    id::SystemTitle,
    obis::ObisCode,
    security::{Protection, SecurityPolicy, Suite},
};
use dlms_proto::v1::{
    self, GetKeyStatusRequest, GetSigningKeyRequest, KeyKind, KeyState, KeyStatus, KeysOutcome, MessageProtection,
    PolicyOutcome, RecoverKeysRequest, RecoverKeysSpec, RotateKeysRequest, SecurityResponse, SetSecurityPolicyRequest,
    SigningKey, job_spec::Kind, keys_outcome::State, meter_security_server::MeterSecurity,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    Service,
    jobs::convert,
    parse::{self, to_timestamp},
    status,
};
use crate::{
    jobs::{
        KeysReport, KeysState, PolicyReport,
        procedures::{RotateKeys, SetSecurityPolicy},
    },
    operation::MeterAccess,
    store::Store,
    vault::SecretRole,
};

const SETUP: ObisCode = ObisCode([0, 0, 43, 0, 0, 255]);
const ASSOCIATION: ObisCode = ObisCode([0, 0, 40, 0, 0, 255]);

const fn kind(role: SecretRole) -> KeyKind {
    match role {
        SecretRole::EncryptionKey => KeyKind::Encryption,
        SecretRole::AuthenticationKey => KeyKind::Authentication,
        SecretRole::BroadcastKey => KeyKind::Broadcast,
        SecretRole::MasterKey => KeyKind::Master,
        SecretRole::Password => KeyKind::Password,
        SecretRole::CustomerPortKey => KeyKind::CustomerPort,
        SecretRole::CustomerPortAuthenticationKey => KeyKind::CustomerPortAuthentication,
    }
}

fn object(field: &str, text: &str, default: ObisCode) -> Result<ObisCode, String> {
    if text.is_empty() { Ok(default) } else { parse::obis(text).map_err(|error| format!("{field}: {error}")) }
}

/// What a rotation is to do.
pub(super) fn rotation(of: &v1::RotateKeysSpec) -> Result<RotateKeys, String> {
    let mut roles = BTreeSet::new();
    for (n, number) in of.keys.iter().enumerate() {
        let found = SecretRole::ALL.into_iter().find(|role| kind(*role) as i32 == *number);
        // The keys of a customer port are in no security setup that we reach.
        let found = found.filter(|role| !SecretRole::CUSTOMER_PORT.contains(role));
        let role = found.ok_or_else(|| format!("keys[{n}]: is no key that can be renewed"))?;
        if !roles.insert(role) {
            return Err(format!("keys[{n}]: is there twice"));
        }
    }
    if roles.is_empty() {
        roles.extend([SecretRole::EncryptionKey, SecretRole::AuthenticationKey]);
    }
    let proves = |role: &SecretRole| {
        matches!(role, SecretRole::EncryptionKey | SecretRole::AuthenticationKey | SecretRole::Password)
    };
    if !roles.iter().any(proves) {
        return Err("keys: broadcast and master key go with the encryption or the authentication key".to_owned());
    }
    if roles.contains(&SecretRole::Password) && roles.len() > 1 {
        return Err("keys: the password goes alone".to_owned());
    }
    let setup = object("setup", &of.setup, SETUP)?;
    Ok(RotateKeys { roles, setup, association: object("association", &of.association, ASSOCIATION)? })
}

/// Which policy is wanted.
pub(super) fn policy(of: &v1::SetSecurityPolicySpec) -> Result<SetSecurityPolicy, String> {
    let protection = |of: Option<&MessageProtection>| {
        of.map_or(Protection::NONE, |of| Protection {
            authenticated: of.authenticated,
            encrypted: of.encrypted,
            signed: of.signed,
        })
    };
    let policy =
        SecurityPolicy { request: protection(of.request.as_ref()), response: protection(of.response.as_ref()) };
    if policy == SecurityPolicy::NONE {
        return Err("request, response: at least one protection".to_owned());
    }
    Ok(SetSecurityPolicy { setup: object("setup", &of.setup, SETUP)?, policy })
}

fn kinds(roles: &BTreeSet<SecretRole>) -> Vec<i32> {
    roles.iter().map(|role| kind(*role).into()).collect()
}

pub(super) fn keys_outcome(report: &KeysReport) -> KeysOutcome {
    let state = match report.state {
        KeysState::Known => State::Known,
        KeysState::New => State::New,
        KeysState::Old => State::Old,
    };
    KeysOutcome { state: state.into(), keys: kinds(&report.roles) }
}

pub(super) fn policy_outcome(report: &PolicyReport) -> PolicyOutcome {
    let message = |of: Protection| MessageProtection {
        authenticated: of.authenticated,
        encrypted: of.encrypted,
        signed: of.signed,
    };
    PolicyOutcome {
        class_version: report.version.into(),
        request_before: report.before.map(|policy| message(policy.request)),
        response_before: report.before.map(|policy| message(policy.response)),
        request: Some(message(report.after.request)),
        response: Some(message(report.after.response)),
    }
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    async fn secure<T: Message>(
        &self,
        method: &'static str,
        request: Request<T>,
        parts: impl FnOnce(&T) -> (Option<v1::Target>, Kind, Option<v1::Instruction>),
    ) -> Result<Response<SecurityResponse>, Status> {
        let (job, task) = self.job_of_call(method, request, parts).await?;
        Ok(Response::new(SecurityResponse { job: Some(job), task: task.as_ref().map(convert::task) }))
    }
}

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> MeterSecurity for Service<S, A> {
    async fn rotate_keys(&self, request: Request<RotateKeysRequest>) -> Result<Response<SecurityResponse>, Status> {
        self.secure("RotateKeys", request, |request| {
            let spec = request.spec.clone().unwrap_or_default();
            (request.target.clone(), Kind::RotateKeys(spec), request.instruction.clone())
        })
        .await
    }

    async fn recover_keys(&self, request: Request<RecoverKeysRequest>) -> Result<Response<SecurityResponse>, Status> {
        self.secure("RecoverKeys", request, |request| {
            (request.target.clone(), Kind::RecoverKeys(RecoverKeysSpec {}), request.instruction.clone())
        })
        .await
    }

    async fn set_security_policy(
        &self,
        request: Request<SetSecurityPolicyRequest>,
    ) -> Result<Response<SecurityResponse>, Status> {
        self.secure("SetSecurityPolicy", request, |request| {
            let spec = request.spec.clone().unwrap_or_default();
            (request.target.clone(), Kind::SetSecurityPolicy(spec), request.instruction.clone())
        })
        .await
    }

    async fn get_signing_key(&self, request: Request<GetSigningKeyRequest>) -> Result<Response<SigningKey>, Status> {
        let request = request.into_inner();
        let mut violations = parse::Violations::default();
        let suite = u8::try_from(request.suite).ok().and_then(|id| Suite::from_id(id).ok());
        let suite = suite.filter(|suite| suite.curve().is_some()).ok_or("is 1 or 2");
        let suite = violations.check("suite", suite);
        let title = match &request.client_system_title[..] {
            [] => Some(None),
            octets => {
                let title = SystemTitle::from_slice(octets).ok_or("a system title has eight octets");
                violations.check("client_system_title", title).map(Some)
            }
        };
        let (suite, title) = violations.finish(suite.zip(title))?;
        let key = self.0.head_end.registry().signing_key(suite, title);
        let key = key.map_err(|error| Status::internal(format!("the signing key cannot be used: {error}")))?;
        Ok(Response::new(SigningKey {
            suite: suite.id().into(),
            system_title: key.title.0.to_vec(),
            public_key: key.public_key,
            certification_request: key.request,
        }))
    }

    async fn get_key_status(&self, request: Request<GetKeyStatusRequest>) -> Result<Response<KeyStatus>, Status> {
        let id = parse::only_meter("meter", &request.get_ref().meter)?;
        let failed = |error| status::registry(&error, Some(&id));
        let registry = self.0.head_end.registry();
        registry.get(&id).await.map_err(failed)?;
        let found = registry.key_status(&id).await.map_err(failed)?;
        let is_new = |role: &SecretRole| found.new.as_ref().filter(|new| new.roles.contains(role));
        let state = |role: SecretRole| {
            let active = found.active.get(&role);
            let new = is_new(&role).map(|new| to_timestamp(new.made));
            (active.is_some() || new.is_some()).then(|| KeyState {
                key: kind(role).into(),
                active_since: active.copied().flatten().map(to_timestamp),
                new_since: new,
            })
        };
        Ok(Response::new(KeyStatus {
            meter: id.resource_name(),
            keys: SecretRole::ALL.into_iter().filter_map(state).collect(),
            rotation: found.new.as_ref().map(|new| format!("jobs/{}", new.rotation)).unwrap_or_default(),
            confirmed: found.new.is_some_and(|new| new.confirmed),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_association_could_prove_is_not_rotated() {
        let ask = |keys: &[KeyKind]| {
            let keys = keys.iter().map(|key| (*key).into()).collect();
            rotation(&v1::RotateKeysSpec { keys, ..Default::default() }).map(|rotation| rotation.roles.len())
        };
        assert_eq!(ask(&[]), Ok(2));
        assert_eq!(ask(&[KeyKind::Master, KeyKind::Authentication]), Ok(2));
        assert_eq!(ask(&[KeyKind::Password]), Ok(1));
        for wrong in [
            &[KeyKind::Master][..],
            &[KeyKind::Broadcast, KeyKind::Master],
            &[KeyKind::Password, KeyKind::Encryption],
            &[KeyKind::Encryption, KeyKind::Encryption],
            &[KeyKind::Unspecified],
        ] {
            assert!(ask(wrong).is_err(), "{wrong:?}");
        }
    }
}
