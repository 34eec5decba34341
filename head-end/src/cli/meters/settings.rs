//! Settings of a meter as flags.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dlms_proto::v1::{self, authentication::Mechanism, link::Kind, security};

use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::super::Failure;
use crate::config::{Span, TitleText};

/// Settings of a meter.
#[derive(Debug, Args)]
#[command(next_help_heading = "Meter")]
pub(in crate::cli) struct Settings {
    /// Wrapper over TCP
    #[arg(long, value_name = "HOST:PORT", group = "link")]
    tcp: Option<String>,
    /// Wrapper over UDP
    #[arg(long, value_name = "HOST:PORT", group = "link")]
    udp: Option<String>,
    /// Wrapper over TCP, on a connection that the meter makes to the head-end
    #[arg(long, group = "link")]
    dial_in: bool,
    /// HDLC over TCP
    #[arg(long, value_name = "HOST:PORT", group = "link")]
    hdlc_tcp: Option<String>,
    /// HDLC on a serial port of the head-end
    #[arg(long, value_name = "DEVICE", group = "link")]
    serial: Option<String>,
    /// Line rate of the serial port in bit/s
    #[arg(long, requires = "serial", value_name = "RATE")]
    baud: Option<u32>,
    /// Sign on at 300 baud first (IEC 62056-21 mode E), with the address of the device if it is given
    #[arg(long, requires = "serial", value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "")]
    mode_e: Option<String>,
    /// Lower HDLC address, the physical device
    #[arg(long, value_name = "N", requires = "link")]
    hdlc_lower: Option<u32>,
    /// Octets of the HDLC server address: 1, 2 or 4
    #[arg(long, value_name = "N", requires = "link")]
    hdlc_octets: Option<u32>,
    /// HDLC window: 1 to 7 frames
    #[arg(long, value_name = "N", requires = "link")]
    hdlc_window: Option<u32>,
    /// Largest HDLC information field in octets
    #[arg(long, value_name = "N", requires = "link")]
    hdlc_information: Option<u32>,
    /// Client service access point, our side
    #[arg(long, value_name = "SAP")]
    client_sap: Option<u32>,
    /// Server service access point, the logical device
    #[arg(long, value_name = "SAP")]
    server_sap: Option<u32>,
    /// Authentication
    #[arg(long, value_name = "MECHANISM")]
    authentication: Option<AuthenticationText>,
    /// Password of LLS, or secret of HLS with a digest: text, or @FILE to keep it out of the list of processes
    #[arg(long, env = "HEADEND_METER_PASSWORD", hide_env_values = true, value_name = "TEXT")]
    password: Option<String>,
    /// Certificate of digital signature of the meter, for hls-ecdsa, in PEM or DER
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Security suite: 0, 1 or 2
    #[arg(long, value_name = "N")]
    suite: Option<u32>,
    /// Global unicast encryption key: hexadecimal digits, or @FILE
    #[arg(long, env = "HEADEND_METER_GUEK", hide_env_values = true, value_name = "HEX")]
    guek: Option<String>,
    /// Authentication key: hexadecimal digits, or @FILE
    #[arg(long, env = "HEADEND_METER_GAK", hide_env_values = true, value_name = "HEX")]
    gak: Option<String>,
    /// Master key (key encrypting key), for the renewal of the others: hexadecimal digits, or @FILE
    #[arg(long, env = "HEADEND_METER_KEK", hide_env_values = true, value_name = "HEX")]
    kek: Option<String>,
    /// Global broadcast encryption key: hexadecimal digits, or @FILE
    #[arg(long, env = "HEADEND_METER_GBEK", hide_env_values = true, value_name = "HEX")]
    gbek: Option<String>,
    /// Protection of every APDU
    #[arg(long, value_name = "POLICY")]
    policy: Option<PolicyText>,
    /// Wrap APDUs in general-glo- and general-ded-ciphering
    #[arg(long)]
    general_ciphering: bool,
    /// Propose a dedicated key
    #[arg(long)]
    dedicated_key: bool,
    /// Our own system title for this meter, 16 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    client_title: Option<TitleText>,
    /// The meter's system title, 16 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    system_title: Option<TitleText>,
    /// The meter counts its deviation from UTC to local time
    #[arg(long)]
    inverted_deviation: bool,
    /// Local time minus UTC in minutes, where the meter does not say
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    utc_offset: Option<i32>,
    /// Shared medium whose limits count
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Its logical device name (0-0:42.0.0)
    #[arg(long, value_name = "TEXT")]
    logical_device_name: Option<String>,
    /// Where it measures, by the utility's own name
    #[arg(long, value_name = "TEXT")]
    service_point: Option<String>,
    /// Name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Label, KEY=VALUE; may be given more than once
    #[arg(long = "label", value_parser = label, value_name = "KEY=VALUE")]
    labels: Vec<(String, String)>,
    /// Opening the connection
    #[arg(long, value_name = "TIME")]
    connect_timeout: Option<Span>,
    /// From a request to its answer
    #[arg(long, value_name = "TIME")]
    response_timeout: Option<Span>,
    /// How long an association without requests is kept
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<Span>,
    /// Between two octets of a frame on a serial line
    #[arg(long, value_name = "TIME")]
    inter_octet_timeout: Option<Span>,
    /// Largest APDU that we accept, in octets
    #[arg(long, value_name = "OCTETS")]
    max_pdu: Option<u32>,
    /// The least protection of what it pushes, where that is not the policy
    #[arg(long, value_name = "POLICY")]
    push_protection: Option<PolicyText>,
    /// IP address that it may push from in clear
    #[arg(long, value_name = "ADDRESS")]
    push_from: Option<String>,
    /// Equipment identifier that its telegrams print, or those of the meter that it is behind
    #[arg(long, value_name = "ID")]
    equipment_id: Option<String>,
    /// IANA name of the zone of local times in its telegrams
    #[arg(long, value_name = "ZONE")]
    telegram_zone: Option<String>,
    /// Encryption key of its telegrams: hexadecimal digits, or @FILE
    #[arg(long, env = "HEADEND_METER_TELEGRAM_KEY", hide_env_values = true, value_name = "HEX")]
    telegram_key: Option<String>,
    /// Authentication key of its telegrams: hexadecimal digits, or @FILE
    #[arg(long, env = "HEADEND_METER_TELEGRAM_AUTHENTICATION_KEY", hide_env_values = true, value_name = "HEX")]
    telegram_authentication_key: Option<String>,
    /// How it names itself in pushes in clear, where several meters push from one address
    #[arg(long, value_name = "TEXT")]
    push_name: Option<String>,
}

/// Authentication on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AuthenticationText {
    None,
    Lls,
    HlsGmac,
    HlsMd5,
    HlsSha1,
    HlsSha256,
    HlsEcdsa,
}

/// Policy on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PolicyText {
    Authenticated,
    Encrypted,
    AuthenticatedEncrypted,
}

impl PolicyText {
    const fn proto(self) -> security::Policy {
        match self {
            Self::Authenticated => security::Policy::Authenticated,
            Self::Encrypted => security::Policy::Encrypted,
            Self::AuthenticatedEncrypted => security::Policy::AuthenticatedEncrypted,
        }
    }
}

/// KEY=VALUE.
pub(in crate::cli) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not of the form KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Settings {
    /// The meter that the flags describe, over `current` where it is changed.
    pub(in crate::cli) fn meter(&self, current: Option<&v1::Meter>) -> Result<v1::Meter, Failure> {
        let current = current.cloned().unwrap_or_default();
        let mut labels = current.labels;
        labels.extend(self.labels.iter().cloned());
        Ok(v1::Meter {
            display_name: self.display_name.clone().unwrap_or(current.display_name),
            labels,
            link: self.link().or(current.link),
            client_sap: self.client_sap.unwrap_or(current.client_sap),
            server_sap: self.server_sap.unwrap_or(current.server_sap),
            authentication: self.authentication()?.or(current.authentication),
            security: self.security(current.security)?,
            system_title: self.system_title.map_or(current.system_title, |title| title.0.0.to_vec()),
            time_policy: Some(self.time_policy(current.time_policy.unwrap_or_default())),
            route: self.route.clone().unwrap_or(current.route),
            timeouts: Some(self.timeouts(current.timeouts.unwrap_or_default())),
            max_pdu_octets: self.max_pdu.unwrap_or(current.max_pdu_octets),
            push: self.push(current.push),
            customer_port: self.customer_port(current.customer_port)?,
            logical_device_name: self.logical_device_name.clone().unwrap_or(current.logical_device_name),
            service_point: self.service_point.clone().unwrap_or(current.service_point),
            ..Default::default()
        })
    }

    /// Fields that the flags change.
    pub(super) fn paths(&self) -> Vec<String> {
        let given = [
            ("display_name", self.display_name.is_some()),
            ("labels", !self.labels.is_empty()),
            ("link", self.link().is_some()),
            ("client_sap", self.client_sap.is_some()),
            ("server_sap", self.server_sap.is_some()),
            ("authentication", self.authentication.is_some() || self.password.is_some() || self.certificate.is_some()),
            ("security", self.changes_security()),
            ("system_title", self.system_title.is_some()),
            ("time_policy", self.inverted_deviation || self.utc_offset.is_some()),
            ("route", self.route.is_some()),
            ("timeouts", self.timeouts(v1::Timeouts::default()) != v1::Timeouts::default()),
            ("max_pdu_octets", self.max_pdu.is_some()),
            ("push", self.push(None).is_some()),
            ("customer_port", self.changes_customer_port()),
            ("logical_device_name", self.logical_device_name.is_some()),
            ("service_point", self.service_point.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(path, _)| path.to_owned()).collect()
    }

    fn link(&self) -> Option<v1::Link> {
        let hdlc = Some(v1::Hdlc {
            lower_address: self.hdlc_lower,
            address_octets: self.hdlc_octets.unwrap_or(0),
            window: self.hdlc_window.unwrap_or(0),
            information_field_octets: self.hdlc_information.unwrap_or(0),
        });
        let ip = |address: &String| v1::IpLink { address: address.clone() };
        let kind = if self.dial_in {
            Kind::DialIn(v1::DialInLink {})
        } else if let Some(address) = &self.tcp {
            Kind::TcpWrapper(ip(address))
        } else if let Some(address) = &self.udp {
            Kind::UdpWrapper(ip(address))
        } else if let Some(address) = &self.hdlc_tcp {
            Kind::HdlcTcp(v1::HdlcTcpLink { address: address.clone(), hdlc })
        } else {
            let device = self.serial.clone()?;
            let mode_e = self.mode_e.clone().map(|device_address| v1::ModeE { device_address });
            Kind::HdlcSerial(v1::HdlcSerialLink { device, baud: self.baud.unwrap_or(0), hdlc, mode_e })
        };
        Some(v1::Link { kind: Some(kind) })
    }

    fn authentication(&self) -> Result<Option<v1::Authentication>, Failure> {
        let password = self.password.as_deref().map(secret_text).transpose()?;
        let certificate = self.certificate.as_deref().map(certificate).transpose()?.unwrap_or_default();
        let mechanism = match (self.authentication, &password) {
            (None, None) if certificate.is_empty() => return Ok(None),
            (None, None) => Mechanism::HlsEcdsa,
            (Some(AuthenticationText::None), _) => Mechanism::None,
            (Some(AuthenticationText::Lls), _) | (None, Some(_)) => Mechanism::Lls,
            (Some(AuthenticationText::HlsGmac), _) => Mechanism::HlsGmac,
            (Some(AuthenticationText::HlsMd5), _) => Mechanism::HlsMd5,
            (Some(AuthenticationText::HlsSha1), _) => Mechanism::HlsSha1,
            (Some(AuthenticationText::HlsSha256), _) => Mechanism::HlsSha256,
            (Some(AuthenticationText::HlsEcdsa), _) => Mechanism::HlsEcdsa,
        };
        let password = password.unwrap_or_default().into_bytes();
        Ok(Some(v1::Authentication { mechanism: mechanism.into(), password, password_set: false, certificate }))
    }

    const fn changes_security(&self) -> bool {
        self.guek.is_some()
            || self.gak.is_some()
            || self.kek.is_some()
            || self.gbek.is_some()
            || self.suite.is_some()
            || self.policy.is_some()
            || self.general_ciphering
            || self.dedicated_key
            || self.client_title.is_some()
    }

    fn security(&self, current: Option<v1::Security>) -> Result<Option<v1::Security>, Failure> {
        if !self.changes_security() {
            return Ok(current);
        }
        let mut security = current.unwrap_or_default();
        if let Some(suite) = self.suite {
            security.suite = suite;
        }
        if let Some(key) = &self.guek {
            security.encryption_key = secret_hex("--guek", key)?;
        }
        if let Some(key) = &self.gak {
            security.authentication_key = secret_hex("--gak", key)?;
        }
        if let Some(key) = &self.kek {
            security.master_key = secret_hex("--kek", key)?;
        }
        if let Some(key) = &self.gbek {
            security.broadcast_key = secret_hex("--gbek", key)?;
        }
        if let Some(policy) = self.policy {
            security.policy = policy.proto().into();
        }
        if self.general_ciphering {
            security.envelope = security::Envelope::General.into();
        }
        security.dedicated_key |= self.dedicated_key;
        if let Some(title) = self.client_title {
            security.client_system_title = title.0.0.to_vec();
        }
        Ok(Some(security))
    }

    const fn changes_customer_port(&self) -> bool {
        self.equipment_id.is_some()
            || self.telegram_zone.is_some()
            || self.telegram_key.is_some()
            || self.telegram_authentication_key.is_some()
    }

    fn customer_port(&self, current: Option<v1::CustomerPort>) -> Result<Option<v1::CustomerPort>, Failure> {
        if !self.changes_customer_port() {
            return Ok(current);
        }
        let mut port = current.unwrap_or_default();
        if let Some(equipment_id) = &self.equipment_id {
            port.equipment_id.clone_from(equipment_id);
        }
        if let Some(zone) = &self.telegram_zone {
            port.time_zone.clone_from(zone);
        }
        if let Some(key) = &self.telegram_key {
            port.encryption_key = secret_hex("--telegram-key", key)?;
        }
        if let Some(key) = &self.telegram_authentication_key {
            port.authentication_key = secret_hex("--telegram-authentication-key", key)?;
        }
        Ok(Some(port))
    }

    fn push(&self, current: Option<v1::Push>) -> Option<v1::Push> {
        let Self { push_protection, push_from, push_name, .. } = self;
        if push_protection.is_none() && push_from.is_none() && push_name.is_none() {
            return current;
        }
        let current = current.unwrap_or_default();
        Some(v1::Push {
            protection: push_protection.map_or(current.protection, |policy| policy.proto().into()),
            plaintext_from: push_from.clone().unwrap_or(current.plaintext_from),
            device_name: push_name.clone().unwrap_or(current.device_name),
        })
    }

    const fn time_policy(&self, current: v1::TimePolicy) -> v1::TimePolicy {
        v1::TimePolicy {
            inverted_deviation: self.inverted_deviation || current.inverted_deviation,
            fallback_offset_min: match self.utc_offset {
                Some(minutes) => Some(minutes),
                None => current.fallback_offset_min,
            },
        }
    }

    fn timeouts(&self, current: v1::Timeouts) -> v1::Timeouts {
        // A span is at most 30 days, which every protobuf duration holds.
        let or = |own: Option<Span>, current: Option<prost_types::Duration>| {
            own.and_then(|span| prost_types::Duration::try_from(span.duration()).ok()).or(current)
        };
        v1::Timeouts {
            connect: or(self.connect_timeout, current.connect),
            response: or(self.response_timeout, current.response),
            idle: or(self.idle_timeout, current.idle),
            inter_octet: or(self.inter_octet_timeout, current.inter_octet),
        }
    }
}

/// The first certificate of a file, in DER.
fn certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = std::fs::read(path);
    let octets = read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    match CertificateDer::from_pem_slice(&octets) {
        Ok(certificate) => Ok(certificate.to_vec()),
        // DER begins with a SEQUENCE.
        Err(_) if octets.first() == Some(&0x30) => Ok(octets),
        Err(error) => Err(Failure::usage(format!("{} has no certificate: {error}", path.display()))),
    }
}

/// A secret, or the first line of the file that `@FILE` names.
fn secret_text(text: &str) -> Result<String, Failure> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    let contents = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read the secret in {path}: {error}")))?;
    Ok(contents.lines().next().unwrap_or_default().to_owned())
}

pub(super) fn secret_hex(flag: &str, text: &str) -> Result<Vec<u8>, Failure> {
    // The digits themselves are not repeated: they are a key.
    hex::decode(secret_text(text)?.trim()).map_err(|_| Failure::usage(format!("{flag} needs hexadecimal digits")))
}
