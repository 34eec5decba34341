//! What the head-end knows about one meter: its name, how to reach it, and how to talk to it.

mod customer_port;
mod id;
mod lifecycle;
mod link;
mod secret;
mod security;
mod settings;
mod tenant;
mod time_policy;

use std::{sync::Arc, time::Duration};

use dlms::id::{ClientSap, ServerSap, SystemTitle};

pub use self::{
    customer_port::{CustomerPort, EquipmentId, EquipmentIdError},
    id::{MeterId, MeterIdError},
    lifecycle::{Lifecycle, LifecycleError, LifecycleStatus},
    link::{AddressWidth, HdlcConfig, HostPort, HostPortError, LinkConfig, ModeE},
    secret::{CounterId, Secret},
    security::{Authentication, Ciphering, Envelope, HlsDigest, MeterKeys, PolicyBits},
    settings::{
        GatewaySettings, Mechanism, MeterRecord, MeterSettings, PushSettings, SecuritySettings, SettingsError,
        TimeoutSettings,
    },
    tenant::{Tenant, TenantError},
    time_policy::{TimeBasis, TimePolicy},
};

/// Everything that is needed to open an association with one meter, secrets included.
///
/// Only the registry makes it, from the store and the vault, and only the fleet reads it. Secrets
/// wipe themselves on drop and show nothing in `Debug`.
#[derive(Clone, Debug)]
pub struct MeterConfig {
    /// Which meter.
    pub id: MeterId,
    /// Changes whenever anything in this configuration changes.
    pub revision: u64,
    /// How its octets are carried.
    pub link: LinkConfig,
    /// Our own access point.
    pub client: ClientSap,
    /// The logical device to associate with.
    pub server: ServerSap,
    /// How the client proves who it is.
    pub authentication: Authentication,
    /// Ciphering; `None` sends and accepts plain APDUs only.
    pub ciphering: Option<Ciphering>,
    /// The meter's system title as registered; a different one in the AARE ends the association.
    pub meter_title: Option<SystemTitle>,
    /// How its date-times become UTC.
    pub time: TimePolicy,
    /// Name of the shared medium (modem pool, concentrator) whose limits this meter counts against.
    pub route: Option<Arc<str>>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Largest APDU that we accept, in octets, as proposed in the InitiateRequest.
    pub max_pdu: u16,
    /// Its place behind a gateway, which the link leads to.
    pub gateway: Option<dlms::gateway::Route>,
    /// Set while it is not known which of two generations of keys the meter has.
    pub rotation: Option<KeyRotation>,
}

/// The other generation of keys, while it is not known which of the two a meter has.
#[derive(Clone, Debug)]
pub struct KeyRotation {
    /// What the new keys were made for.
    pub id: Arc<str>,
    /// The same configuration with the keys of the other generation.
    pub other: Arc<MeterConfig>,
    /// Whether those of the other generation are the new ones.
    pub other_is_new: bool,
}

/// How long each step of a conversation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Opening the socket or port.
    pub connect: Duration,
    /// From one APDU sent to the first octets of its answer.
    pub response: Duration,
    /// How long an association without requests is kept open.
    pub idle: Duration,
    /// Between two octets of one HDLC frame on a serial line.
    pub inter_octet: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            response: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            inter_octet: Duration::from_millis(500),
        }
    }
}

/// Largest APDU proposed when nothing else is configured, in octets.
pub const DEFAULT_MAX_PDU: u16 = 1024;
