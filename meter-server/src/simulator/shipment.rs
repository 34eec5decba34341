//! What a head-end has to know of the meters of a fleet: the shipment file. `docs/shipment.md` describes it.

use std::io::{self, Write};
use std::net::SocketAddr;

use dlms::acse::Mechanism;
use dlms::association::Referencing;
use dlms::security::{Crypto, RustCrypto, Suite};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::fleet::Fleet;
use super::fleet::handle::{DeviceHandle, LineAddress, Ports};
use super::keys::Keys;
use super::meter::MeterIdentity;
use super::meter::mbus::default_key;
use super::model::ModelAssociation;
use super::population::Members;

/// Octets of a line: it must not grow, as its old place would keep keys.
const LINE_OCTETS: usize = 8_192;
/// Octets that wrapping adds.
const WRAP_OVERHEAD: usize = 8;

#[derive(Serialize)]
struct Head {
    format: &'static str,
    version: u8,
    meters: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_wrap: Option<&'static str>,
}

#[derive(Serialize)]
struct Line<'a> {
    serial_number: &'a str,
    logical_device_name: &'a str,
    system_title: String,
    group: &'a str,
    model: &'a str,
    server: u16,
    links: Vec<Link>,
    security_suite: u8,
    clients: Vec<Client<'a>>,
    keys: LineKeys,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mbus_devices: Vec<MbusDevice>,
}

#[derive(Serialize)]
struct MbusDevice {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u8>,
    identification_number: String,
    manufacturer: String,
    device_type: u8,
    default_key: KeyText,
}

/// Hexadecimal digits of a key.
struct KeyText(Zeroizing<String>);

impl Serialize for KeyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[derive(Serialize)]
struct Link {
    link: &'static str,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayAddress>,
}

#[derive(Clone, Serialize)]
struct GatewayAddress {
    network: u8,
    device: String,
}

#[derive(Serialize)]
struct Client<'a> {
    name: &'a str,
    client: u16,
    referencing: &'static str,
    authentication: &'static str,
    ciphered: bool,
    max_pdu: u16,
}

#[derive(Serialize)]
struct LineKeys {
    guek: KeyText,
    gak: KeyText,
    #[serde(skip_serializing_if = "Option::is_none")]
    kek: Option<KeyText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gbek: Option<KeyText>,
    password: KeyText,
}

/// The key under which the keys of a shipment travel: 16 or 32 octets.
pub struct TransportKey(Zeroizing<Vec<u8>>);

impl TransportKey {
    /// Takes the octets; `None` where there are neither 16 nor 32.
    #[must_use]
    pub fn new(octets: Zeroizing<Vec<u8>>) -> Option<Self> {
        matches!(octets.len(), 16 | 32).then_some(Self(octets))
    }
}

impl core::fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TransportKey(redacted)")
    }
}

/// A key as the file has it: wrapped after RFC 3394 where there is a transport key.
fn key_text(key: &[u8], transport: Option<&TransportKey>) -> io::Result<KeyText> {
    let Some(transport) = transport else { return Ok(KeyText(Zeroizing::new(hex::encode(key)))) };
    let mut wrapped = vec![0; key.len().saturating_add(WRAP_OVERHEAD)];
    RustCrypto::wrap(&transport.0, key, &mut wrapped)
        .map_err(|_| io::Error::other("a key whose length no key wrap takes"))?;
    Ok(KeyText(Zeroizing::new(hex::encode(wrapped))))
}

impl Fleet {
    /// Writes what a head-end has to know of all meters, **their keys among it**, one line of JSON for each.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_shipment(&self, out: &mut impl Write) -> io::Result<()> {
        self.write_wrapped_shipment(out, None)
    }

    /// The same, with its keys wrapped under `transport`, if there is one.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_wrapped_shipment(&self, out: &mut impl Write, transport: Option<&TransportKey>) -> io::Result<()> {
        let meters = self.population().len();
        let key_wrap = transport.map(|_| "rfc3394");
        serde_json::to_writer(&mut *out, &Head { format: "dlms-shipment", version: 1, meters, key_wrap })?;
        out.write_all(b"\n")?;
        for device in self.devices() {
            // Not by `DeviceHandle::meters`, which remembers them.
            for (index, number) in device.site.numbers.clone().enumerate() {
                let population = self.population();
                let identity = population.identity(number, super::device::sap(index));
                let (Some(identity), Some(group)) = (identity, population.group(number)) else { continue };
                write_meter(out, device, &identity, group, transport)?;
            }
        }
        out.flush()
    }
}

fn write_meter(
    out: &mut impl Write,
    device: &DeviceHandle,
    identity: &MeterIdentity,
    group: &Members,
    transport: Option<&TransportKey>,
) -> io::Result<()> {
    let keys = group.keys(identity.system_title);
    let line = Line {
        serial_number: &identity.serial,
        logical_device_name: &identity.logical_device_name,
        system_title: identity.system_title.to_string(),
        group: &group.name,
        model: group.model.name(),
        server: match device.ports().behind {
            Some(LineAddress::Concentrator(server)) => server.0,
            _ => identity.server.0,
        },
        links: links(device.ports()),
        security_suite: match group.model.suite {
            Suite::Suite0 => 0,
            Suite::Suite1 => 1,
            Suite::Suite2 => 2,
        },
        clients: group.model.associations.iter().map(client).collect(),
        keys: line_keys(&keys, transport)?,
        mbus_devices: mbus_devices(&keys, identity, group, transport)?,
    };
    let mut room = Zeroizing::new(Vec::with_capacity(LINE_OCTETS));
    serde_json::to_writer(&mut *room, &line)?;
    room.push(b'\n');
    out.write_all(&room)
}

fn mbus_devices(
    keys: &Keys,
    identity: &MeterIdentity,
    group: &Members,
    transport: Option<&TransportKey>,
) -> io::Result<Vec<MbusDevice>> {
    let devices = group.model.mbus.identities(&identity.serial);
    devices
        .map(|(device, identity)| {
            Ok(MbusDevice {
                channel: device.channel,
                identification_number: format!("{:08}", identity.number),
                manufacturer: dlms::cosem::mbus_client::manufacturer(identity.manufacturer).iter().collect(),
                device_type: identity.device_type,
                default_key: key_text(&default_key(keys, identity.number)[..], transport)?,
            })
        })
        .collect()
}

fn links(ports: &Ports) -> Vec<Link> {
    let gateway = match ports.behind {
        Some(LineAddress::Gateway { network, device }) => Some(GatewayAddress { network, device: hex::encode(device) }),
        _ => None,
    };
    let link = |(link, address): (&'static str, Option<SocketAddr>)| {
        address.map(|address| Link { link, address: address.to_string(), gateway: gateway.clone() })
    };
    let sockets = [("wrapper-tcp", ports.tcp), ("hdlc-tcp", ports.hdlc_tcp), ("wrapper-udp", ports.udp)];
    let serial = ports.serial.as_ref().map(|path| Link {
        link: "hdlc-serial",
        address: path.display().to_string(),
        gateway: None,
    });
    sockets.into_iter().filter_map(link).chain(serial).collect()
}

fn client(association: &ModelAssociation) -> Client<'_> {
    Client {
        name: &association.name,
        client: association.client.0,
        referencing: match association.referencing {
            Referencing::LogicalName => "logical-name",
            Referencing::ShortName => "short-name",
        },
        authentication: match association.mechanism {
            Mechanism::Lowest => "none",
            Mechanism::Lls => "lls",
            Mechanism::Hls2 => "hls2",
            Mechanism::Md5 => "hls-md5",
            Mechanism::Sha1 => "hls-sha1",
            Mechanism::Gmac => "hls-gmac",
            Mechanism::Sha256 => "hls-sha256",
            Mechanism::Ecdsa => "hls-ecdsa",
            _ => "other",
        },
        ciphered: association.security_setup.is_some(),
        max_pdu: association.max_pdu,
    }
}

fn line_keys(keys: &Keys, transport: Option<&TransportKey>) -> io::Result<LineKeys> {
    let text = |key: &[u8]| key_text(key, transport);
    Ok(LineKeys {
        guek: text(keys.encryption.as_bytes())?,
        gak: text(keys.authentication.as_bytes())?,
        kek: keys.master.as_ref().map(|key| text(key.as_bytes())).transpose()?,
        gbek: keys.broadcast.as_ref().map(|key| text(key.as_bytes())).transpose()?,
        password: text(keys.password.as_bytes())?,
    })
}
