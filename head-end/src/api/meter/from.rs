//! A meter of a request as settings and secrets.

use dlms::id::SystemTitle;
use dlms_proto::v1;
use prost_types::Duration;
use tonic_types::FieldViolation;

use super::link;
use crate::{
    api::parse::Violations,
    meter::{
        CustomerPort, DEFAULT_MAX_PDU, Envelope, EquipmentId, GatewaySettings, Lifecycle, Mechanism, MeterSettings,
        PolicyBits, PushSettings, Secret, SecuritySettings, TimePolicy, TimeoutSettings,
    },
    registry::{Change, Secrets},
    vault::SecretRole,
};

/// Settings and secrets of `meter`; a secret that is empty is not changed.
pub(in crate::api) fn change(meter: &v1::Meter) -> Result<Change, Vec<FieldViolation>> {
    let mut violations = Violations::default();
    let server_sap = if meter.server_sap == 0 { 1 } else { meter.server_sap };
    let link = link::from_proto(meter.link.as_ref(), server_sap, &mut violations);
    let tenant = match meter.tenant.as_str() {
        "" => None,
        name => violations.check("tenant", name.parse()),
    };
    let client_sap = sap(&mut violations, "client_sap", meter.client_sap, 16);
    let server_sap = sap(&mut violations, "server_sap", server_sap, 1);
    let mechanism = mechanism(&mut violations, meter.authentication.as_ref());
    let security = meter.security.as_ref().map(|of| security(&mut violations, of));
    let system_title = title(&mut violations, "system_title", &meter.system_title);
    let time_policy = time_policy(&mut violations, meter.time_policy);
    let timeouts = timeouts(&mut violations, meter.timeouts.unwrap_or_default());
    let max_pdu = match meter.max_pdu_octets {
        0 => DEFAULT_MAX_PDU,
        octets => violations
            .check("max_pdu_octets", u16::try_from(octets).map_err(|_| "from 64 to 65535"))
            .unwrap_or(DEFAULT_MAX_PDU),
    };
    let push = push(&mut violations, meter.push.as_ref());
    let gateway = meter.gateway.as_ref().and_then(|of| {
        let network = violations.check("gateway.network", u8::try_from(of.network).map_err(|_| "at most 255"))?;
        Some(GatewaySettings { network, device: of.device.clone() })
    });
    let customer_port = meter.customer_port.as_ref().map(|of| customer_port(&mut violations, of));
    violations.into_result()?;
    let settings = MeterSettings {
        display_name: meter.display_name.clone(),
        tenant,
        labels: meter.labels.clone(),
        // Without a link there was a violation.
        link: link.ok_or_else(Vec::new)?,
        client_sap,
        server_sap,
        mechanism,
        certificate: meter.authentication.as_ref().map(|of| of.certificate.clone()).unwrap_or_default(),
        security,
        system_title,
        time_policy,
        route: meter.route.clone(),
        timeouts,
        max_pdu,
        push,
        logical_device_name: meter.logical_device_name.clone(),
        gateway,
        service_point: meter.service_point.clone(),
        customer_port,
        // Changed by operations of its own.
        lifecycle: Lifecycle::default(),
    };
    Ok(Change { settings, secrets: secrets(meter) })
}

fn secrets(meter: &v1::Meter) -> Secrets {
    let password = meter.authentication.iter().map(|of| (SecretRole::Password, &of.password));
    let keys = meter.security.iter().flat_map(|of| {
        [
            (SecretRole::EncryptionKey, &of.encryption_key),
            (SecretRole::AuthenticationKey, &of.authentication_key),
            (SecretRole::MasterKey, &of.master_key),
            (SecretRole::BroadcastKey, &of.broadcast_key),
        ]
    });
    let port = meter.customer_port.iter().flat_map(|of| {
        [
            (SecretRole::CustomerPortKey, &of.encryption_key),
            (SecretRole::CustomerPortAuthenticationKey, &of.authentication_key),
        ]
    });
    password
        .chain(keys)
        .chain(port)
        .filter(|(_, octets)| !octets.is_empty())
        .map(|(role, octets)| (role, Some(Secret::new(octets.clone()))))
        .collect()
}

fn sap(violations: &mut Violations, field: &str, value: u32, default: u16) -> u16 {
    match value {
        0 => default,
        value => violations.check(field, u16::try_from(value).map_err(|_| "from 1 to 65535")).unwrap_or(default),
    }
}

fn title(violations: &mut Violations, field: &str, octets: &[u8]) -> Option<SystemTitle> {
    if octets.is_empty() {
        return None;
    }
    violations.check(field, SystemTitle::from_slice(octets).ok_or("a system title has eight octets"))
}

fn mechanism(violations: &mut Violations, authentication: Option<&v1::Authentication>) -> Mechanism {
    use v1::authentication::Mechanism as Proto;
    let number = authentication.map_or(0, |authentication| authentication.mechanism);
    match Proto::try_from(number) {
        Ok(Proto::Unspecified | Proto::None) => Mechanism::None,
        Ok(Proto::Lls) => Mechanism::Lls,
        Ok(Proto::HlsGmac) => Mechanism::HlsGmac,
        Ok(Proto::HlsMd5) => Mechanism::HlsMd5,
        Ok(Proto::HlsSha1) => Mechanism::HlsSha1,
        Ok(Proto::HlsSha256) => Mechanism::HlsSha256,
        Ok(Proto::HlsEcdsa) => Mechanism::HlsEcdsa,
        Err(_) => {
            violations.add("authentication.mechanism", format!("{number} is not a mechanism"));
            Mechanism::None
        }
    }
}

const BOTH: PolicyBits = PolicyBits { authenticated: true, encrypted: true };

/// The bits of a policy; `None` where none is stated.
fn policy(violations: &mut Violations, field: &str, policy: i32) -> Option<PolicyBits> {
    use v1::security::Policy;
    match Policy::try_from(policy) {
        Ok(Policy::Unspecified) => None,
        Ok(Policy::Authenticated) => Some(PolicyBits { authenticated: true, encrypted: false }),
        Ok(Policy::Encrypted) => Some(PolicyBits { authenticated: false, encrypted: true }),
        Ok(Policy::AuthenticatedEncrypted) => Some(BOTH),
        Err(_) => {
            violations.add(field, format!("{policy} is not a policy"));
            None
        }
    }
}

fn push(violations: &mut Violations, push: Option<&v1::Push>) -> PushSettings {
    let Some(push) = push else { return PushSettings::default() };
    let address = match push.plaintext_from.as_str() {
        "" => None,
        text => violations.check("push.plaintext_from", text.parse().map_err(|_| "is not an IP address")),
    };
    PushSettings {
        protection: policy(violations, "push.protection", push.protection),
        plaintext_from: address,
        device_name: push.device_name.clone(),
    }
}

fn customer_port(violations: &mut Violations, of: &v1::CustomerPort) -> CustomerPort {
    let equipment_id = match of.equipment_id.as_str() {
        "" => None,
        text => violations.check("customer_port.equipment_id", text.parse::<EquipmentId>()),
    };
    CustomerPort { equipment_id, time_zone: of.time_zone.clone() }
}

fn security(violations: &mut Violations, of: &v1::Security) -> SecuritySettings {
    use v1::security::Envelope as ProtoEnvelope;
    let policy = policy(violations, "security.policy", of.policy).unwrap_or(BOTH);
    let envelope = match ProtoEnvelope::try_from(of.envelope) {
        Ok(ProtoEnvelope::Unspecified | ProtoEnvelope::ServiceSpecific) => Envelope::ServiceSpecific,
        Ok(ProtoEnvelope::General) => Envelope::General,
        Err(_) => {
            violations.add("security.envelope", format!("{} is not an envelope", of.envelope));
            Envelope::ServiceSpecific
        }
    };
    SecuritySettings {
        suite: violations.check("security.suite", u8::try_from(of.suite).map_err(|_| "from 0 to 2")).unwrap_or(0),
        policy,
        envelope,
        dedicated_key: of.dedicated_key,
        client_title: title(violations, "security.client_system_title", &of.client_system_title),
    }
}

fn time_policy(violations: &mut Violations, policy: Option<v1::TimePolicy>) -> TimePolicy {
    let policy = policy.unwrap_or_default();
    let offset =
        policy.fallback_offset_min.map(|minutes| i16::try_from(minutes).map_err(|_| "from -720 to 840 minutes"));
    TimePolicy {
        inverted_deviation: policy.inverted_deviation,
        fallback_offset_min: violations.check("time_policy.fallback_offset_min", offset.transpose()).flatten(),
    }
}

fn timeouts(violations: &mut Violations, of: v1::Timeouts) -> TimeoutSettings {
    let mut ms = |field: &str, duration: Option<Duration>| {
        let parsed = duration.map(|duration| {
            std::time::Duration::try_from(duration)
                .ok()
                .and_then(|duration| u64::try_from(duration.as_millis()).ok())
                .ok_or("from 10 ms to 1 h")
        });
        violations.check(format!("timeouts.{field}"), parsed.transpose()).flatten()
    };
    TimeoutSettings {
        connect_ms: ms("connect", of.connect),
        response_ms: ms("response", of.response),
        idle_ms: ms("idle", of.idle),
        inter_octet_ms: ms("inter_octet", of.inter_octet),
    }
}
