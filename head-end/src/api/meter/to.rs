//! A registered meter for an answer: never with secrets.

use dlms_proto::v1::{self, security::Policy};

use super::link;
use crate::{
    api::parse::to_timestamp,
    meter::{
        CustomerPort, Envelope, LifecycleStatus, Mechanism, MeterId, MeterRecord, MeterSettings, PolicyBits,
        PushSettings, SecuritySettings, TimeoutSettings,
    },
};

pub(in crate::api) fn to_proto(record: &MeterRecord) -> v1::Meter {
    let mut meter = settings(&record.settings);
    meter.name = record.id.resource_name();
    meter.etag = record.revision.to_string();
    meter.create_time = Some(to_timestamp(record.created));
    meter.update_time = Some(to_timestamp(record.updated));
    if let Some(authentication) = &mut meter.authentication {
        authentication.password_set = record.password_set;
    }
    if let Some(port) = &mut meter.customer_port {
        port.key_set = record.customer_port_key_set;
    }
    if let Some(security) = &mut meter.security {
        security.keys_set = record.encryption_key_set && record.authentication_key_set;
    }
    meter
}

/// The fields that an operator sets.
pub(super) fn settings(of: &MeterSettings) -> v1::Meter {
    use v1::authentication::Mechanism as Proto;
    let mechanism = match of.mechanism {
        Mechanism::None => Proto::None,
        Mechanism::Lls => Proto::Lls,
        Mechanism::HlsGmac => Proto::HlsGmac,
        Mechanism::HlsMd5 => Proto::HlsMd5,
        Mechanism::HlsSha1 => Proto::HlsSha1,
        Mechanism::HlsSha256 => Proto::HlsSha256,
        Mechanism::HlsEcdsa => Proto::HlsEcdsa,
    };
    v1::Meter {
        name: String::new(),
        display_name: of.display_name.clone(),
        tenant: of.tenant.clone().map(Into::into).unwrap_or_default(),
        labels: of.labels.clone(),
        link: Some(link::to_proto(&of.link)),
        client_sap: of.client_sap.into(),
        server_sap: of.server_sap.into(),
        authentication: Some(v1::Authentication {
            mechanism: mechanism.into(),
            password: Vec::new(),
            password_set: false,
            certificate: of.certificate.clone(),
        }),
        security: of.security.as_ref().map(security),
        system_title: of.system_title.map(|title| title.0.to_vec()).unwrap_or_default(),
        time_policy: Some(v1::TimePolicy {
            inverted_deviation: of.time_policy.inverted_deviation,
            fallback_offset_min: of.time_policy.fallback_offset_min.map(Into::into),
        }),
        route: of.route.clone(),
        timeouts: timeouts(of.timeouts),
        max_pdu_octets: of.max_pdu.into(),
        etag: String::new(),
        create_time: None,
        update_time: None,
        push: (of.push != PushSettings::default()).then(|| push(&of.push)),
        logical_device_name: of.logical_device_name.clone(),
        service_point: of.service_point.clone(),
        gateway: of.gateway.as_ref().map(|of| v1::Gateway { network: of.network.into(), device: of.device.clone() }),
        customer_port: of.customer_port.as_ref().map(customer_port),
        lifecycle_status: lifecycle(of.lifecycle.status).into(),
        lifecycle_time: of.lifecycle.since.map(to_timestamp),
        commission_time: of.lifecycle.found.map(to_timestamp),
        replaces: of.lifecycle.replaces.as_ref().map(MeterId::resource_name).unwrap_or_default(),
        replaced_by: of.lifecycle.replaced_by.as_ref().map(MeterId::resource_name).unwrap_or_default(),
    }
}

pub(in crate::api) const fn lifecycle(status: LifecycleStatus) -> v1::LifecycleStatus {
    match status {
        LifecycleStatus::Registered => v1::LifecycleStatus::Registered,
        LifecycleStatus::Commissioned => v1::LifecycleStatus::Commissioned,
        LifecycleStatus::Suspended => v1::LifecycleStatus::Suspended,
        LifecycleStatus::Decommissioned => v1::LifecycleStatus::Decommissioned,
    }
}

/// The status of a request.
pub(in crate::api) fn to_lifecycle(number: i32) -> Result<LifecycleStatus, &'static str> {
    let known = LifecycleStatus::ALL.into_iter().find(|status| lifecycle(*status) as i32 == number);
    known.ok_or("is no lifecycle status")
}

fn push(of: &PushSettings) -> v1::Push {
    v1::Push {
        protection: of.protection.map_or(Policy::Unspecified, policy).into(),
        plaintext_from: of.plaintext_from.map(|address| address.to_string()).unwrap_or_default(),
        device_name: of.device_name.clone(),
    }
}

fn customer_port(of: &CustomerPort) -> v1::CustomerPort {
    v1::CustomerPort {
        equipment_id: of.equipment_id.map(String::from).unwrap_or_default(),
        time_zone: of.time_zone.clone(),
        ..Default::default()
    }
}

fn policy(of: PolicyBits) -> Policy {
    match of {
        PolicyBits { authenticated: true, encrypted: false } => Policy::Authenticated,
        PolicyBits { authenticated: false, encrypted: true } => Policy::Encrypted,
        PolicyBits { .. } => Policy::AuthenticatedEncrypted,
    }
}

fn security(of: &SecuritySettings) -> v1::Security {
    use v1::security::Envelope as ProtoEnvelope;
    let envelope = match of.envelope {
        Envelope::ServiceSpecific => ProtoEnvelope::ServiceSpecific,
        Envelope::General => ProtoEnvelope::General,
    };
    v1::Security {
        suite: of.suite.into(),
        policy: policy(of.policy).into(),
        envelope: envelope.into(),
        dedicated_key: of.dedicated_key,
        client_system_title: of.client_title.map(|title| title.0.to_vec()).unwrap_or_default(),
        encryption_key: Vec::new(),
        authentication_key: Vec::new(),
        master_key: Vec::new(),
        broadcast_key: Vec::new(),
        keys_set: false,
    }
}

fn timeouts(of: TimeoutSettings) -> Option<v1::Timeouts> {
    let duration = |ms: Option<u64>| {
        ms.map(|ms| prost_types::Duration {
            seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            nanos: i32::try_from(ms % 1000 * 1_000_000).unwrap_or(0),
        })
    };
    let timeouts = v1::Timeouts {
        connect: duration(of.connect_ms),
        response: duration(of.response_ms),
        idle: duration(of.idle_ms),
        inter_octet: duration(of.inter_octet_ms),
    };
    (timeouts != v1::Timeouts::default()).then_some(timeouts)
}
