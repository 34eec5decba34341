//! A meter as it is registered: everything but its secrets.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr, time::Duration};

use dlms::{
    gateway::Route,
    id::{ClientSap, SystemTitle},
    security::Suite,
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    CustomerPort, Envelope, HdlcConfig, Lifecycle, LinkConfig, MeterId, ModeE, PolicyBits, Tenant, TimePolicy,
};

/// What an operator says about a meter. Secrets are kept beside it, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterSettings {
    /// Name for people.
    #[serde(default)]
    pub display_name: String,
    /// Whose meter it is: callers of a tenant see no other tenant's.
    #[serde(default)]
    pub tenant: Option<Tenant>,
    /// Free attributes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How its octets are carried.
    pub link: LinkConfig,
    /// Client service access point.
    pub client_sap: u16,
    /// Server service access point.
    pub server_sap: u16,
    /// Authentication mechanism.
    pub mechanism: Mechanism,
    /// Certificate of digital signature of the meter, in DER; empty where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "octets")]
    pub certificate: Vec<u8>,
    /// Ciphering.
    pub security: Option<SecuritySettings>,
    /// The meter's system title.
    #[serde(default, with = "optional_title")]
    pub system_title: Option<SystemTitle>,
    /// How its date-times become UTC.
    #[serde(default)]
    pub time_policy: TimePolicy,
    /// Shared medium; empty for none.
    #[serde(default)]
    pub route: String,
    /// Own timeouts.
    #[serde(default)]
    pub timeouts: TimeoutSettings,
    /// Largest APDU that we accept, in octets.
    pub max_pdu: u16,
    /// What it may send of itself.
    #[serde(default, skip_serializing_if = "PushSettings::is_default")]
    pub push: PushSettings,
    /// Its logical device name (0-0:42.0.0); empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub logical_device_name: String,
    /// Where it is behind a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewaySettings>,
    /// Where it measures, by the utility's own name; empty for nowhere yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_point: String,
    /// Its customer port, whose telegrams are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_port: Option<CustomerPort>,
    /// Where it is in its life.
    #[serde(default, skip_serializing_if = "Lifecycle::is_default")]
    pub lifecycle: Lifecycle,
}

/// The place of a meter behind a gateway: the prefix in front of every APDU.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// The network behind the gateway.
    pub network: u8,
    /// Physical address of the device in it: up to 32 octets.
    #[serde(with = "octets")]
    pub device: Vec<u8>,
}

impl GatewaySettings {
    /// As the stack's link takes it; `None` for an address that is too long.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        Route::new(self.network, &self.device)
    }
}

/// What a meter may send of itself, and how it is known to be the sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushSettings {
    /// The least protection of its pushes; `None` takes that of its security. Encryption alone proves no sender and no
    /// counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<PolicyBits>,
    /// Where pushes without any protection may come from; `None` refuses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plaintext_from: Option<IpAddr>,
    /// How it names itself in the bodies of such pushes, where several meters push from one address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device_name: String,
}

impl PushSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Authentication mechanism.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// Lowest level.
    #[default]
    None,
    /// Low level security.
    Lls,
    /// High level security with GMAC.
    HlsGmac,
    /// High level security with MD5.
    HlsMd5,
    /// High level security with SHA-1.
    HlsSha1,
    /// High level security with SHA-256.
    HlsSha256,
    /// High level security with ECDSA.
    HlsEcdsa,
}

impl Mechanism {
    /// Whether it is proved with a password or a secret.
    #[must_use]
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::Lls | Self::HlsMd5 | Self::HlsSha1 | Self::HlsSha256)
    }
}

/// Ciphering, without its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecuritySettings {
    /// Security suite.
    pub suite: u8,
    /// Protection.
    pub policy: PolicyBits,
    /// How protected APDUs are wrapped.
    #[serde(default)]
    pub envelope: Envelope,
    /// Whether to propose a dedicated key.
    #[serde(default)]
    pub dedicated_key: bool,
    /// Our own system title for this meter; `None` takes the head-end's.
    #[serde(default, with = "optional_title")]
    pub client_title: Option<SystemTitle>,
}

impl SecuritySettings {
    /// Octets of each of its keys; those of suite 0 where the suite is none.
    #[must_use]
    pub fn key_length(&self) -> usize {
        Suite::from_id(self.suite).unwrap_or_default().key_length()
    }
}

/// Timeouts of one meter; `None` takes the head-end's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// Opening the socket or port, in ms.
    pub connect_ms: Option<u64>,
    /// From one APDU sent to the first octets of its answer, in ms.
    pub response_ms: Option<u64>,
    /// How long an association without requests is kept, in ms.
    pub idle_ms: Option<u64>,
    /// Between two octets of one frame on a serial line, in ms.
    pub inter_octet_ms: Option<u64>,
}

/// A meter in the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterRecord {
    /// Which meter.
    #[serde(with = "meter_id")]
    pub id: MeterId,
    /// 1 when it was registered, one more with every change.
    pub revision: u64,
    /// When it was registered.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// What is registered.
    pub settings: MeterSettings,
    /// Whether the encryption key is held.
    pub encryption_key_set: bool,
    /// Whether the authentication key is held.
    pub authentication_key_set: bool,
    /// Whether a password is held.
    pub password_set: bool,
    /// Whether the encryption key of its customer port is held.
    #[serde(default)]
    pub customer_port_key_set: bool,
}

/// A rule that settings break, and the field that breaks it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SettingsError {
    /// The field, as the API names it.
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    pub problem: String,
}

/// Largest certificate that is taken, in octets; those of the profile have a third of it.
const CERTIFICATE_MAX: usize = 2_048;
/// Smallest and largest timeout that makes sense.
const TIMEOUT_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

impl MeterSettings {
    /// All rules that these settings break, so that an operator can mend them at once.
    #[must_use]
    pub fn problems(&self) -> Vec<SettingsError> {
        let mut rules = Rules::default();
        rules.check(self.display_name.chars().count() <= 200, "display_name", || "at most 200 characters".into());
        rules.check(self.labels.len() <= 32, "labels", || "at most 32 labels".into());
        for (key, value) in &self.labels {
            let legal = (1..=63).contains(&key.chars().count()) && value.chars().count() <= 200;
            rules.check(legal, "labels", || format!("{key:?}: keys have 1 to 63 characters and values at most 200"));
        }
        rules.check(self.client_sap != 0, "client_sap", || "from 1 to 65535".into());
        rules.check(self.server_sap != 0, "server_sap", || "from 1 to 65535".into());
        rules.check(self.max_pdu >= 64, "max_pdu_octets", || "from 64 to 65535".into());
        rules.check(self.route.chars().count() <= 200, "route", || "at most 200 characters".into());
        let offset = self.time_policy.fallback_offset_min;
        rules.check(
            offset.is_none_or(|minutes| (-720..=840).contains(&minutes)),
            "time_policy.fallback_offset_min",
            || "from -720 to 840 minutes".into(),
        );
        let certified = self.mechanism != Mechanism::HlsEcdsa || !self.certificate.is_empty();
        rules.check(certified, "authentication.certificate", || "is needed for HLS-ECDSA".into());
        rules.check(self.certificate.len() <= CERTIFICATE_MAX, "authentication.certificate", || {
            format!("at most {CERTIFICATE_MAX} octets")
        });
        let hls = self.mechanism == Mechanism::HlsGmac;
        rules.check(!hls || self.security.is_some(), "security", || "HLS-GMAC needs the keys of a security".into());
        if let Some(security) = &self.security {
            rules.check(Suite::from_id(security.suite).is_ok(), "security.suite", || "from 0 to 2".into());
        }
        // At most 16 octets by the Blue Book; longer ones have been seen.
        rules.check(self.logical_device_name.len() <= 64, "logical_device_name", || "at most 64 octets".into());
        rules.check(self.service_point.chars().count() <= 200, "service_point", || "at most 200 characters".into());
        let placed = self.gateway.as_ref().is_none_or(|gateway| gateway.route().is_some());
        rules.check(placed, "gateway.device", || "at most 32 octets".into());
        rules.check(self.push.device_name.len() <= 64, "push.device_name", || "at most 64 octets".into());
        rules.check(self.push.protection.is_none() || self.security.is_some(), "push.protection", || {
            "needs the keys of a security".into()
        });
        if let Some(port) = &self.customer_port {
            let zone = || "an IANA name such as Europe/Amsterdam, or empty for that of the head-end".to_owned();
            rules.check(port.zone().is_some(), "customer_port.time_zone", zone);
        }
        self.timeouts.problems(&mut rules);
        self.link_problems(&mut rules);
        rules.0
    }

    fn link_problems(&self, rules: &mut Rules) {
        let (hdlc, field) = match &self.link {
            LinkConfig::TcpWrapper { .. } | LinkConfig::UdpWrapper { .. } | LinkConfig::DialIn => return,
            LinkConfig::HdlcTcp { hdlc, .. } => (hdlc, "link.hdlc_tcp.hdlc"),
            LinkConfig::HdlcSerial { hdlc, baud, device, mode_e } => {
                rules.check((50..=4_000_000).contains(baud), "link.hdlc_serial.baud", || {
                    "from 50 to 4000000 bit/s".into()
                });
                rules.check(!device.as_os_str().is_empty(), "link.hdlc_serial.device", || "may not be empty".into());
                if let Some(ModeE { device_address }) = mode_e {
                    let legal = dlms::mode_e::DeviceAddress::new(device_address.as_bytes()).is_some();
                    rules.check(legal, "link.hdlc_serial.mode_e", || {
                        "device_address: up to 32 letters, digits and spaces".into()
                    });
                    rules.check(*baud >= 300, "link.hdlc_serial.mode_e", || "baud: from 300 bit/s".into());
                }
                (hdlc, "link.hdlc_serial.hdlc")
            }
        };
        rules.check((1..=7).contains(&hdlc.window), field, || "window: from 1 to 7 frames".into());
        rules.check((32..=2030).contains(&hdlc.information_field), field, || {
            "information_field_octets: from 32 to 2030".into()
        });
        rules.check(address_fits(hdlc, self.server_sap), field, || {
            format!(
                "address: an address of {} octets has {} lower part and parts up to {}",
                hdlc.width.octets(),
                if hdlc.width.octets() == 1 { "no" } else { "a" },
                hdlc.width.largest()
            )
        });
        rules.check(self.client_sap <= 0x7F, "client_sap", || {
            "at most 127 with HDLC, whose client address is one octet".into()
        });
    }
}

fn address_fits(hdlc: &HdlcConfig, upper: u16) -> bool {
    let largest = hdlc.width.largest();
    let lower_fits = match (hdlc.width.octets(), hdlc.lower) {
        (1, lower) => lower.is_none(),
        (_, Some(lower)) => lower <= largest,
        (_, None) => false,
    };
    lower_fits && upper <= largest
}

/// The broken rules found so far.
#[derive(Default)]
struct Rules(Vec<SettingsError>);

impl Rules {
    fn check(&mut self, legal: bool, field: &'static str, problem: impl FnOnce() -> String) {
        if !legal {
            self.0.push(SettingsError { field: field.into(), problem: problem() });
        }
    }
}

impl TimeoutSettings {
    fn problems(&self, rules: &mut Rules) {
        let each = [
            ("timeouts.connect", self.connect_ms),
            ("timeouts.response", self.response_ms),
            ("timeouts.idle", self.idle_ms),
            ("timeouts.inter_octet", self.inter_octet_ms),
        ];
        for (field, value) in each {
            let legal = value.is_none_or(|ms| TIMEOUT_RANGE.contains(&Duration::from_millis(ms)));
            rules.check(legal, field, || "from 10 ms to 1 h".into());
        }
    }
}

impl Default for MeterSettings {
    /// A meter behind a wrapper on this host, read by the public client; the address is to be replaced.
    fn default() -> Self {
        Self {
            display_name: String::new(),
            tenant: None,
            labels: BTreeMap::new(),
            link: LinkConfig::TcpWrapper { address: super::HostPort::localhost(4059) },
            client_sap: ClientSap::PUBLIC.0,
            server_sap: 1,
            mechanism: Mechanism::None,
            certificate: Vec::new(),
            security: None,
            system_title: None,
            time_policy: TimePolicy::default(),
            route: String::new(),
            timeouts: TimeoutSettings::default(),
            max_pdu: super::DEFAULT_MAX_PDU,
            push: PushSettings::default(),
            logical_device_name: String::new(),
            gateway: None,
            service_point: String::new(),
            customer_port: None,
            lifecycle: Lifecycle::default(),
        }
    }
}

/// A system title as 16 hexadecimal digits.
mod optional_title {
    use super::{Deserialize, Deserializer, Serialize, Serializer, SystemTitle};

    pub(super) fn serialize<S: Serializer>(title: &Option<SystemTitle>, out: S) -> Result<S::Ok, S::Error> {
        title.map(|title| title.to_string()).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTitle>, D::Error> {
        use serde::de::Error;
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let mut title = [0; 8];
        hex::decode_to_slice(&text, &mut title)
            .map_err(|_| D::Error::custom("a system title is 16 hexadecimal digits"))?;
        Ok(Some(SystemTitle(title)))
    }
}

/// Octets as hexadecimal digits.
mod octets {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(octets: &[u8], out: S) -> Result<S::Ok, S::Error> {
        hex::encode(octets).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

mod meter_id {
    use super::{Deserialize, Deserializer, MeterId, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &MeterId, out: S) -> Result<S::Ok, S::Error> {
        id.as_str().serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MeterId, D::Error> {
        MeterId::try_new(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_way_through_the_store() {
        let settings = MeterSettings {
            link: LinkConfig::HdlcTcp { address: super::super::HostPort::localhost(1), hdlc: HdlcConfig::default() },
            mechanism: Mechanism::HlsGmac,
            security: Some(SecuritySettings {
                suite: 0,
                policy: PolicyBits { authenticated: true, encrypted: true },
                envelope: Envelope::General,
                dedicated_key: true,
                client_title: Some(SystemTitle(*b"DHE\0\0\0\0\x01")),
            }),
            system_title: Some(SystemTitle(*b"ISK\0\0\0\0\x02")),
            ..MeterSettings::default()
        };
        assert_eq!(settings.problems(), []);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<MeterSettings>(&text).unwrap(), settings);
    }

    #[test]
    fn every_broken_rule_is_reported_at_once() {
        let settings = MeterSettings {
            client_sap: 0,
            server_sap: 200,
            mechanism: Mechanism::HlsGmac,
            link: LinkConfig::HdlcSerial {
                device: "".into(),
                baud: 1,
                hdlc: HdlcConfig { window: 8, information_field: 8, ..HdlcConfig::default() },
                mode_e: None,
            },
            max_pdu: 63,
            timeouts: TimeoutSettings { idle_ms: Some(9), ..TimeoutSettings::default() },
            time_policy: TimePolicy { fallback_offset_min: Some(900), ..TimePolicy::default() },
            labels: BTreeMap::from([(String::new(), String::new())]),
            ..MeterSettings::default()
        };
        let fields: Vec<_> = settings.problems().into_iter().map(|problem| problem.field).collect();
        assert_eq!(
            fields,
            [
                "labels",
                "client_sap",
                "max_pdu_octets",
                "time_policy.fallback_offset_min",
                "security",
                "timeouts.idle",
                "link.hdlc_serial.baud",
                "link.hdlc_serial.device",
                "link.hdlc_serial.hdlc",
                "link.hdlc_serial.hdlc",
                "link.hdlc_serial.hdlc"
            ]
        );
    }

    #[test]
    fn hdlc_addresses_must_fit_their_width() {
        use super::super::AddressWidth::{Four, One, Two};
        let fits = |width, lower, upper| address_fits(&HdlcConfig { lower, width, ..HdlcConfig::default() }, upper);
        assert!(fits(One, None, 0x7F) && fits(Two, Some(0x7F), 0x7F) && fits(Four, Some(0x3FFF), 0x3FFF));
        assert!(!fits(One, None, 0x80) && !fits(One, Some(1), 1) && !fits(Two, None, 1));
        assert!(!fits(Two, Some(0x80), 1) && !fits(Four, Some(0x4000), 1));
    }
}
