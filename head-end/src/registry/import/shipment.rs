//! Lines of a shipment file (docs/shipment.md) as settings and secrets of meters.

use std::{borrow::Cow, collections::BTreeMap};

use dlms::{
    id::SystemTitle,
    security::{Crypto, RustCrypto},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Change, ImportOptions, Line};
use crate::{
    meter::{
        Envelope, GatewaySettings, HdlcConfig, HostPort, LinkConfig, Mechanism, MeterId, MeterSettings, PolicyBits,
        Secret, SecuritySettings,
    },
    registry::Secrets,
    vault::SecretRole,
};

/// What the meters of a shipment are named by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Their serial numbers.
    #[default]
    SerialNumber,
    /// Their logical device names.
    LogicalDeviceName,
    /// Their system titles.
    SystemTitle,
}

/// What is wrong with a line, and in which of its fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ShipmentError {
    /// The field; `line` for the line as a whole.
    pub field: Cow<'static, str>,
    /// What is wrong, without its value: it may be a key.
    pub problem: String,
}

fn wrong(field: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> ShipmentError {
    ShipmentError { field: field.into(), problem: problem.into() }
}

/// The newest version of the format that is read.
const VERSION: u64 = 1;
/// Octets that wrapping adds.
const WRAP_OVERHEAD: usize = 8;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u64,
    /// How keys are wrapped; absent: they stand in plain.
    #[serde(default, borrow)]
    key_wrap: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    serial_number: Cow<'a, str>,
    #[serde(borrow)]
    logical_device_name: Cow<'a, str>,
    #[serde(borrow)]
    system_title: Cow<'a, str>,
    #[serde(default, borrow)]
    group: Cow<'a, str>,
    #[serde(default, borrow)]
    model: Cow<'a, str>,
    server: u16,
    #[serde(borrow)]
    links: Vec<Link<'a>>,
    security_suite: u8,
    #[serde(borrow)]
    clients: Vec<Client<'a>>,
    #[serde(borrow)]
    keys: Keys<'a>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow)]
    link: Cow<'a, str>,
    #[serde(borrow)]
    address: Cow<'a, str>,
    #[serde(default, borrow)]
    gateway: Option<Gateway<'a>>,
}

#[derive(Deserialize)]
struct Gateway<'a> {
    network: u8,
    #[serde(borrow)]
    device: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Client<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    client: u16,
    #[serde(borrow)]
    referencing: Cow<'a, str>,
    #[serde(borrow)]
    authentication: Cow<'a, str>,
    ciphered: bool,
    max_pdu: u16,
}

/// Hexadecimal digits of keys, where they lie in the line: what escapes them would have to be copied is refused.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(default, borrow)]
    guek: Option<&'a str>,
    #[serde(default, borrow)]
    gak: Option<&'a str>,
    #[serde(default, borrow)]
    kek: Option<&'a str>,
    #[serde(default, borrow)]
    gbek: Option<&'a str>,
    #[serde(default, borrow)]
    password: Option<&'a str>,
}

/// Reads the lines of one shipment file, of which the first describes the others.
#[derive(Debug, Default)]
pub struct ShipmentReader {
    /// Whether keys are wrapped; `None` before the first line.
    wrapped: Option<bool>,
}

impl ShipmentReader {
    /// What the next line says: `None` for the first one, and for an empty one.
    ///
    /// # Errors
    /// [`ShipmentError`]. Where [`is_usable`](Self::is_usable) is false then, the file is none of ours.
    pub fn read(&mut self, line: &Line, options: &ImportOptions) -> Result<Option<(MeterId, Change)>, ShipmentError> {
        let text = line.text.as_ref().ok_or_else(|| wrong("line", format!("more than {} octets", super::LINE_MAX)))?;
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let Some(wrapped) = self.wrapped else {
            self.wrapped = Some(head(text, options)?);
            return Ok(None);
        };
        if text.is_empty() {
            return Ok(None);
        }
        let record: Record<'_> = serde_json::from_slice(text).map_err(|error| unread(&error))?;
        let unwrap = if wrapped { options.transport_key.as_ref() } else { None };
        meter(&record, unwrap, options).map(Some)
    }

    /// Whether the first line was read and understood.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.wrapped.is_some()
    }
}

/// What the parser says without the value, which may be a key.
fn unread(error: &serde_json::Error) -> ShipmentError {
    use serde_json::error::Category;
    let text = error.to_string();
    let problem = match error.classify() {
        Category::Data if text.starts_with("missing field") => {
            text.split(" at line").next().unwrap_or_default().to_owned()
        }
        Category::Data => format!("a field of another type, at octet {}", error.column()),
        _ => format!("is not JSON, from octet {}", error.column()),
    };
    wrong("line", problem)
}

/// Reads the first line; whether keys are wrapped.
fn head(text: &[u8], options: &ImportOptions) -> Result<bool, ShipmentError> {
    let head: Head<'_> = serde_json::from_slice(text).map_err(|error| unread(&error))?;
    if head.format != "dlms-shipment" {
        return Err(wrong("format", "is not dlms-shipment"));
    }
    if head.version > VERSION {
        return Err(wrong("version", format!("is {}, and up to {VERSION} is known", head.version)));
    }
    match (head.key_wrap.as_deref(), &options.transport_key) {
        (None, None) => Ok(false),
        (None, Some(_)) => Err(wrong("key_wrap", "the keys are not wrapped, but a transport key is given")),
        (Some("rfc3394"), Some(key)) if matches!(key.len(), 16 | 32) => Ok(true),
        (Some("rfc3394"), Some(_)) => Err(wrong("key_wrap", "the transport key has neither 16 nor 32 octets")),
        (Some("rfc3394"), None) => Err(wrong("key_wrap", "the keys are wrapped, and no transport key is given")),
        (Some(_), _) => Err(wrong("key_wrap", "is not rfc3394")),
    }
}

fn meter(
    record: &Record<'_>,
    transport: Option<&Secret>,
    options: &ImportOptions,
) -> Result<(MeterId, Change), ShipmentError> {
    let (field, name) = match options.naming {
        Naming::SerialNumber => ("serial_number", &record.serial_number),
        Naming::LogicalDeviceName => ("logical_device_name", &record.logical_device_name),
        Naming::SystemTitle => ("system_title", &record.system_title),
    };
    let id = MeterId::try_new(name).map_err(|error| wrong(field, error.to_string()))?;
    let mut title = [0; 8];
    hex::decode_to_slice(&*record.system_title, &mut title)
        .map_err(|_| wrong("system_title", "is not 16 hexadecimal digits"))?;
    let (client, mechanism) = client(record, &options.client)?;
    let (link, gateway) = link(record, &options.link)?;
    let security = client.ciphered.then_some(SecuritySettings {
        suite: record.security_suite,
        policy: PolicyBits { authenticated: true, encrypted: true },
        envelope: Envelope::ServiceSpecific,
        dedicated_key: false,
        client_title: None,
    });
    let label = |key: &str, value: &Cow<'_, str>| (!value.is_empty()).then(|| (key.to_owned(), value.to_string()));
    let labels: BTreeMap<_, _> =
        [label("serial-number", &record.serial_number), label("group", &record.group), label("model", &record.model)]
            .into_iter()
            .flatten()
            .collect();
    let settings = MeterSettings {
        labels,
        link,
        client_sap: client.client,
        server_sap: record.server,
        mechanism,
        security,
        system_title: Some(SystemTitle(title)),
        logical_device_name: record.logical_device_name.to_string(),
        max_pdu: client.max_pdu.clamp(64, crate::meter::DEFAULT_MAX_PDU),
        gateway,
        ..MeterSettings::default()
    };
    Ok((id, Change { settings, secrets: secrets(&record.keys, transport)? }))
}

/// The client to associate as, and how it proves itself.
fn client<'a>(record: &'a Record<'_>, wanted: &str) -> Result<(&'a Client<'a>, Mechanism), ShipmentError> {
    let usable = |client: &&Client<'_>| client.referencing == "logical-name" && mechanism(client).is_some();
    let found = match wanted {
        "" => record.clients.iter().filter(usable).max_by_key(|client| strength(client)),
        name => {
            let named = record.clients.iter().find(|client| client.name == name);
            let named = named.ok_or_else(|| wrong("clients", format!("none has the name {name:?}")))?;
            Some(named).filter(usable)
        }
    };
    let found = found.ok_or_else(|| {
        wrong("clients", "none that this head-end can be: by logical names, with none, lls, hls-gmac or a digest")
    })?;
    Ok((found, mechanism(found).unwrap_or_default()))
}

/// How it proves itself; `None` where this head-end cannot.
fn mechanism(client: &Client<'_>) -> Option<Mechanism> {
    match &*client.authentication {
        "none" => Some(Mechanism::None),
        "lls" => Some(Mechanism::Lls),
        "hls-gmac" if client.ciphered => Some(Mechanism::HlsGmac),
        "hls-md5" => Some(Mechanism::HlsMd5),
        "hls-sha1" => Some(Mechanism::HlsSha1),
        "hls-sha256" => Some(Mechanism::HlsSha256),
        _ => None,
    }
}

/// What is preferred: ciphering and proofs, and of those with both the one that may do most, which is named so.
fn strength(client: &Client<'_>) -> (bool, bool, bool, u8) {
    let hls = client.authentication == "hls-gmac";
    let proof = match &*client.authentication {
        "hls-sha256" => 4,
        "hls-sha1" => 3,
        "hls-md5" => 2,
        "lls" => 1,
        _ => 0,
    };
    (client.ciphered, hls, client.name == "management", proof)
}

/// The link to use, and the device behind it where it is a gateway's.
fn link(record: &Record<'_>, wanted: &str) -> Result<(LinkConfig, Option<GatewaySettings>), ShipmentError> {
    // A meter that nobody can connect to connects by itself.
    if record.links.is_empty() && (wanted.is_empty() || wanted == "dial-in") {
        return Ok((LinkConfig::DialIn, None));
    }
    let found = record.links.iter().find(|link| wanted.is_empty() || link.link == wanted);
    let link = found.ok_or_else(|| wrong("links", format!("none is {wanted:?}")))?;
    let address = || {
        let parsed: Result<HostPort, _> = link.address.parse();
        parsed.map_err(|error| wrong("links.address", error.to_string()))
    };
    let config = match &*link.link {
        "wrapper-tcp" => LinkConfig::TcpWrapper { address: address()? },
        "wrapper-udp" => LinkConfig::UdpWrapper { address: address()? },
        "hdlc-tcp" => LinkConfig::HdlcTcp { address: address()?, hdlc: HdlcConfig::default() },
        "hdlc-serial" => LinkConfig::HdlcSerial {
            device: link.address.to_string().into(),
            baud: 9_600,
            hdlc: HdlcConfig::default(),
            mode_e: None,
        },
        other => return Err(wrong("links.link", format!("{other:?} is not a link of this head-end"))),
    };
    let gateway = match &link.gateway {
        Some(gateway) => {
            let device = hex::decode(&*gateway.device);
            let device = device.map_err(|_| wrong("links.gateway.device", "is not hexadecimal digits"))?;
            Some(GatewaySettings { network: gateway.network, device })
        }
        None => None,
    };
    Ok((config, gateway))
}

fn secrets(keys: &Keys<'_>, transport: Option<&Secret>) -> Result<Secrets, ShipmentError> {
    let given = [
        (SecretRole::EncryptionKey, "keys.guek", keys.guek),
        (SecretRole::AuthenticationKey, "keys.gak", keys.gak),
        (SecretRole::MasterKey, "keys.kek", keys.kek),
        (SecretRole::BroadcastKey, "keys.gbek", keys.gbek),
        (SecretRole::Password, "keys.password", keys.password),
    ];
    let mut secrets = Secrets::new();
    for (role, field, digits) in given {
        let Some(digits) = digits else { continue };
        let octets = hex::decode(digits).map(Zeroizing::new);
        let octets = octets.map_err(|_| wrong(field, "is not hexadecimal digits"))?;
        let secret = match transport {
            Some(transport) => unwrapped(field, &octets, transport)?,
            None => Secret::new(octets.to_vec()),
        };
        secrets.insert(role, Some(secret));
    }
    Ok(secrets)
}

fn unwrapped(field: &'static str, octets: &[u8], transport: &Secret) -> Result<Secret, ShipmentError> {
    let length = octets.len().checked_sub(WRAP_OVERHEAD).filter(|length| *length >= 16 && length % 8 == 0);
    let length = length.ok_or_else(|| wrong(field, "has not the length of a wrapped key"))?;
    let mut plain = Zeroizing::new(vec![0; length]);
    RustCrypto::unwrap(transport.expose(), octets, &mut plain)
        .map_err(|_| wrong(field, "does not unwrap with the transport key"))?;
    Ok(Secret::new(std::mem::take(&mut *plain)))
}
