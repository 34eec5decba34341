//! Field masks (AIP-134, AIP-161): which fields of a meter an update changes.

use dlms_proto::v1::{self, Meter};
use tonic_types::FieldViolation;

use super::{from, to};
use crate::{api::parse::Violations, meter::MeterSettings, registry::Change, vault::SecretRole};

/// All fields that an operator sets, as a whole.
const ALL: [&str; 18] = [
    "display_name",
    "tenant",
    "labels",
    "link",
    "client_sap",
    "server_sap",
    "authentication",
    "security",
    "system_title",
    "time_policy",
    "route",
    "timeouts",
    "max_pdu_octets",
    "push",
    "logical_device_name",
    "service_point",
    "gateway",
    "customer_port",
];

/// Fields that only we set: named in a mask, they are passed over, so that a meter that was read can
/// be written back.
const OUTPUT_ONLY: [&str; 11] = [
    "etag",
    "create_time",
    "update_time",
    "authentication.password_set",
    "security.keys_set",
    "customer_port.key_set",
    "lifecycle_status",
    "lifecycle_time",
    "commission_time",
    "replaces",
    "replaced_by",
];

/// What becomes of `current` when the fields of `mask` are taken from `update`.
pub(in crate::api) fn merge(
    current: &MeterSettings,
    update: &Meter,
    mask: Option<&prost_types::FieldMask>,
) -> Result<Change, Vec<FieldViolation>> {
    let mut merged = to::settings(current);
    let mut violations = Violations::default();
    let mut removed = Vec::new();
    for path in paths(update, mask) {
        if !take(&mut merged, update, path) && !OUTPUT_ONLY.contains(&path) {
            violations.add("update_mask", format!("{path:?} is not a field of a meter that can be changed"));
        }
        removed.extend(removed_secrets(update, path));
    }
    violations.into_result()?;
    let mut change = from::change(&merged)?;
    change.settings.lifecycle = current.lifecycle.clone();
    for role in removed {
        change.secrets.entry(role).or_insert(None);
    }
    Ok(change)
}

fn paths<'a>(update: &Meter, mask: Option<&'a prost_types::FieldMask>) -> Vec<&'a str> {
    match mask {
        Some(mask) if mask.paths.iter().any(|path| path == "*") => ALL.to_vec(),
        Some(mask) => mask.paths.iter().map(String::as_str).collect(),
        None => ALL.into_iter().filter(|path| is_set(update, path)).collect(),
    }
}

fn is_set(meter: &Meter, path: &str) -> bool {
    match path {
        "display_name" => !meter.display_name.is_empty(),
        "tenant" => !meter.tenant.is_empty(),
        "labels" => !meter.labels.is_empty(),
        "link" => meter.link.is_some(),
        "client_sap" => meter.client_sap != 0,
        "server_sap" => meter.server_sap != 0,
        "authentication" => meter.authentication.is_some(),
        "security" => meter.security.is_some(),
        "system_title" => !meter.system_title.is_empty(),
        "time_policy" => meter.time_policy.is_some(),
        "route" => !meter.route.is_empty(),
        "timeouts" => meter.timeouts.is_some(),
        "max_pdu_octets" => meter.max_pdu_octets != 0,
        "push" => meter.push.is_some(),
        "logical_device_name" => !meter.logical_device_name.is_empty(),
        "gateway" => meter.gateway.is_some(),
        "service_point" => !meter.service_point.is_empty(),
        "customer_port" => meter.customer_port.is_some(),
        _ => false,
    }
}

/// Takes one field; returns whether there is such a field.
fn take(merged: &mut Meter, update: &Meter, path: &str) -> bool {
    match path {
        "display_name" => merged.display_name.clone_from(&update.display_name),
        "tenant" => merged.tenant.clone_from(&update.tenant),
        "labels" => merged.labels.clone_from(&update.labels),
        "link" => merged.link.clone_from(&update.link),
        "client_sap" => merged.client_sap = update.client_sap,
        "server_sap" => merged.server_sap = update.server_sap,
        "authentication" => merged.authentication.clone_from(&update.authentication),
        "security" => merged.security.clone_from(&update.security),
        "system_title" => merged.system_title.clone_from(&update.system_title),
        "time_policy" => merged.time_policy = update.time_policy,
        "route" => merged.route.clone_from(&update.route),
        "timeouts" => merged.timeouts = update.timeouts,
        "max_pdu_octets" => merged.max_pdu_octets = update.max_pdu_octets,
        "push" => merged.push.clone_from(&update.push),
        "logical_device_name" => merged.logical_device_name.clone_from(&update.logical_device_name),
        "gateway" => merged.gateway.clone_from(&update.gateway),
        "service_point" => merged.service_point.clone_from(&update.service_point),
        "customer_port" => merged.customer_port.clone_from(&update.customer_port),
        _ => return take_inner(merged, update, path),
    }
    true
}

fn take_inner(merged: &mut Meter, update: &Meter, path: &str) -> bool {
    let Some((outer, inner)) = path.split_once('.') else { return false };
    match outer {
        "authentication" => {
            let from = update.authentication.clone().unwrap_or_default();
            authentication(merged.authentication.get_or_insert_default(), from, inner)
        }
        "security" => {
            let from = update.security.clone().unwrap_or_default();
            security(merged.security.get_or_insert_default(), from, inner)
        }
        "time_policy" => {
            let (to, from) = (merged.time_policy.get_or_insert_default(), update.time_policy.unwrap_or_default());
            match inner {
                "inverted_deviation" => to.inverted_deviation = from.inverted_deviation,
                "fallback_offset_min" => to.fallback_offset_min = from.fallback_offset_min,
                _ => return false,
            }
            true
        }
        "push" => {
            let (to, from) = (merged.push.get_or_insert_default(), update.push.clone().unwrap_or_default());
            match inner {
                "protection" => to.protection = from.protection,
                "plaintext_from" => to.plaintext_from = from.plaintext_from,
                "device_name" => to.device_name = from.device_name,
                _ => return false,
            }
            true
        }
        "customer_port" => {
            let (to, from) = (merged.customer_port.get_or_insert_default(), update.customer_port.clone());
            customer_port(to, from.unwrap_or_default(), inner)
        }
        "timeouts" => {
            let (to, from) = (merged.timeouts.get_or_insert_default(), update.timeouts.unwrap_or_default());
            match inner {
                "connect" => to.connect = from.connect,
                "response" => to.response = from.response,
                "idle" => to.idle = from.idle,
                "inter_octet" => to.inter_octet = from.inter_octet,
                _ => return false,
            }
            true
        }
        _ => false,
    }
}

fn authentication(to: &mut v1::Authentication, from: v1::Authentication, field: &str) -> bool {
    match field {
        "mechanism" => to.mechanism = from.mechanism,
        "password" => to.password = from.password,
        "certificate" => to.certificate = from.certificate,
        _ => return false,
    }
    true
}

fn customer_port(to: &mut v1::CustomerPort, from: v1::CustomerPort, field: &str) -> bool {
    match field {
        "equipment_id" => to.equipment_id = from.equipment_id,
        "time_zone" => to.time_zone = from.time_zone,
        "encryption_key" => to.encryption_key = from.encryption_key,
        "authentication_key" => to.authentication_key = from.authentication_key,
        _ => return false,
    }
    true
}

fn security(to: &mut v1::Security, from: v1::Security, field: &str) -> bool {
    match field {
        "suite" => to.suite = from.suite,
        "policy" => to.policy = from.policy,
        "envelope" => to.envelope = from.envelope,
        "dedicated_key" => to.dedicated_key = from.dedicated_key,
        "client_system_title" => to.client_system_title = from.client_system_title,
        "encryption_key" => to.encryption_key = from.encryption_key,
        "authentication_key" => to.authentication_key = from.authentication_key,
        "master_key" => to.master_key = from.master_key,
        "broadcast_key" => to.broadcast_key = from.broadcast_key,
        _ => return false,
    }
    true
}

/// Secrets that go with a path: one that is named and empty, or all of a message that is taken away.
fn removed_secrets(update: &Meter, path: &str) -> Vec<SecretRole> {
    match path {
        "authentication" if update.authentication.is_none() => vec![SecretRole::Password],
        "security" if update.security.is_none() => SecretRole::KEYS.to_vec(),
        "customer_port" if update.customer_port.is_none() => SecretRole::CUSTOMER_PORT.to_vec(),
        // A new value is among the secrets of the change already and wins over the removal.
        "authentication.password" => vec![SecretRole::Password],
        "security.encryption_key" => vec![SecretRole::EncryptionKey],
        "security.authentication_key" => vec![SecretRole::AuthenticationKey],
        "security.master_key" => vec![SecretRole::MasterKey],
        "security.broadcast_key" => vec![SecretRole::BroadcastKey],
        "customer_port.encryption_key" => vec![SecretRole::CustomerPortKey],
        "customer_port.authentication_key" => vec![SecretRole::CustomerPortAuthenticationKey],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Mechanism;

    fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
        Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
    }

    fn update() -> Meter {
        Meter {
            display_name: "new".into(),
            client_sap: 1,
            security: Some(v1::Security { encryption_key: vec![1; 16], dedicated_key: true, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn only_masked_fields_change() {
        let current = MeterSettings { route: "pool".into(), ..MeterSettings::default() };
        let change = merge(&current, &update(), mask(&["display_name", "route"]).as_ref()).unwrap();
        assert_eq!(change.settings.display_name, "new");
        assert_eq!(change.settings.route, "");
        assert_eq!(change.settings.client_sap, 16);
        assert!(change.settings.security.is_none() && change.secrets.is_empty());
    }

    #[test]
    fn without_a_mask_what_is_set_changes() {
        let current = MeterSettings { route: "pool".into(), ..MeterSettings::default() };
        let change = merge(&current, &update(), None).unwrap();
        assert_eq!((change.settings.client_sap, change.settings.route.as_str()), (1, "pool"));
        assert!(change.settings.security.unwrap().dedicated_key);
        assert_eq!(change.secrets.keys().collect::<Vec<_>>(), [&SecretRole::EncryptionKey]);
    }

    #[test]
    fn a_star_replaces_everything() {
        let current = MeterSettings { mechanism: Mechanism::Lls, route: "pool".into(), ..MeterSettings::default() };
        let mut update = update();
        update.link = to::settings(&current).link;
        let change = merge(&current, &update, mask(&["*"]).as_ref()).unwrap();
        assert_eq!((change.settings.mechanism, change.settings.route.as_str()), (Mechanism::None, ""));
        assert_eq!(change.secrets.get(&SecretRole::Password), Some(&None));
    }

    #[test]
    fn a_secret_that_is_named_and_empty_is_removed_and_else_it_stays() {
        let current = MeterSettings::default();
        let named = mask(&["security.authentication_key", "security.encryption_key"]);
        let change = merge(&current, &update(), named.as_ref()).unwrap();
        assert!(change.secrets[&SecretRole::EncryptionKey].is_some());
        assert!(change.secrets[&SecretRole::AuthenticationKey].is_none());
        let change = merge(&current, &update(), mask(&["security.suite"]).as_ref()).unwrap();
        assert!(change.secrets.is_empty());
    }

    #[test]
    fn unknown_and_immutable_fields_are_refused_and_output_fields_passed_over() {
        let current = MeterSettings::default();
        for path in ["name", "nonsense", "security.nonsense", "timeouts.x", "link.tcp_wrapper"] {
            let error = merge(&current, &update(), mask(&[path]).as_ref()).unwrap_err();
            assert_eq!(error[0].field, "update_mask", "{path}");
        }
        assert!(merge(&current, &update(), mask(&["etag", "security.keys_set"]).as_ref()).is_ok());
    }
}
