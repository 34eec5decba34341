//! What a model file says, before it is checked.
//!
//! Every table refuses keys that it does not know, so that a slip of the pen is an error with a line number.

use std::collections::BTreeMap;
use std::fmt;

use dlms::security::Protection;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::classes::action::PushSetupFile;
use super::classes::alarms::AlarmsFile;
use super::classes::constant::AttributesFile;
use super::classes::image_transfer::ImageTransferFile;
use super::classes::mbus::{ClientFile, DeviceFile};
use super::classes::prepayment::{AccountFile, ChargeFile, CreditFile, GatewayFile};
use super::classes::supervision::{LimiterFile, MonitorFile};
use super::classes::tariff::{ActivationFile, CalendarFile, SpecialDayFile};
use super::installation::InstallationFile;
use super::pattern::ObisPattern;
use super::rights::RightsList;
use crate::simulator::p1::P1Dialect;

/// A value that is written as text with a grammar of its own.
#[derive(Clone, Debug)]
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T> Deserialize<'de> for Parsed<T>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFile {
    /// What the model is, for people.
    pub(super) name: String,
    /// What it follows and what is simplified, for people.
    #[serde(default)]
    pub(super) about: String,
    /// What the customer port sends.
    #[serde(rename = "customer-port")]
    pub(super) customer_port: Option<Parsed<P1Dialect>>,
    pub(super) identity: Identity,
    pub(super) clock: ClockFile,
    pub(super) installation: InstallationFile,
    #[serde(default)]
    pub(super) alarms: AlarmsFile,
    #[serde(rename = "security-setup", default)]
    pub(super) security_setups: Vec<Spanned<SetupFile>>,
    #[serde(rename = "public-key")]
    pub(super) public_key: Option<Spanned<PublicKeyFile>>,
    #[serde(rename = "association")]
    pub(super) associations: Vec<Spanned<AssociationFile>>,
    /// Rights by name, then by name of the association.
    pub(super) access: BTreeMap<String, BTreeMap<Spanned<String>, Parsed<RightsList>>>,
    /// Meters on the M-Bus.
    #[serde(rename = "mbus-device", default)]
    pub(super) mbus_devices: Vec<Spanned<DeviceFile>>,
    #[serde(rename = "object")]
    pub(super) objects: Vec<Spanned<ObjectFile>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Identity {
    /// Three capitals: the FLAG identifier.
    pub(super) manufacturer: Spanned<String>,
    /// Three characters of the logical device name behind the manufacturer.
    pub(super) device_type: Spanned<String>,
    /// Serial number of the first meter.
    pub(super) first_serial: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ClockFile {
    /// Minutes from local standard time to UTC, as in attribute 3.
    pub(super) time_zone: Spanned<i16>,
    pub(super) daylight_begin: Option<ChangeRule>,
    pub(super) daylight_end: Option<ChangeRule>,
    #[serde(default)]
    pub(super) daylight_deviation: i8,
    #[serde(default)]
    pub(super) clock_base: u8,
    /// Largest drift of a meter in parts per million.
    #[serde(default)]
    pub(super) drift_ppm: f64,
    /// Largest error at the start of the simulation, in seconds.
    #[serde(default)]
    pub(super) error_seconds: f64,
}

/// When daylight saving changes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRule {
    pub(super) month: u8,
    pub(super) day: Day,
    /// 1 Monday to 7 Sunday.
    pub(super) weekday: Option<u8>,
    pub(super) hour: u8,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a day of the month, \"last\" or \"second-last\"")]
pub(super) enum Day {
    Number(u8),
    Named(NamedDay),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NamedDay {
    Last,
    SecondLast,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SetupFile {
    /// Value group E of the security setup object.
    pub(super) number: u8,
    /// Version of the class, 0 unless said otherwise: how the policy is written.
    #[serde(default)]
    pub(super) version: u8,
    /// Security suite, 0 unless said otherwise; the same for all setups.
    #[serde(default)]
    pub(super) suite: u8,
    pub(super) policy: PolicyFile,
    /// What responses and pushes are protected with, where it is another one than for requests (version 1).
    pub(super) response_policy: Option<PolicyFile>,
}

/// What meters of suite 1 or 2 begin with; certificates are DER in hexadecimal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PublicKeyFile {
    /// Certificates of authorities that are believed.
    #[serde(default)]
    pub(super) trust_anchors: Vec<Spanned<String>>,
    /// Further certificates: of authorities, each behind the one that issued it, of clients, and the meters' own.
    #[serde(default)]
    pub(super) certificates: Vec<Spanned<String>>,
    /// The private keys of the meters' own certificates.
    #[serde(default)]
    pub(super) private_keys: Vec<Spanned<SecretText>>,
}

/// Text that is wiped, and that `Debug` does not show.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct SecretText(zeroize::Zeroizing<String>);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(zeroize::Zeroizing::new(text))
    }
}

impl SecretText {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PolicyFile {
    None,
    Authenticated,
    Encrypted,
    AuthenticatedEncrypted,
    /// Signatures need version 1 and suite 1 or 2.
    Signed,
    AuthenticatedSigned,
    AuthenticatedEncryptedSigned,
}

impl PolicyFile {
    pub(super) fn protection(self) -> Protection {
        match self {
            Self::None => Protection::NONE,
            Self::Authenticated => Protection::AUTHENTICATED,
            Self::Encrypted => Protection::ENCRYPTED,
            Self::AuthenticatedEncrypted => Protection::AUTHENTICATED_ENCRYPTED,
            Self::Signed => Protection::NONE.and_signed(),
            Self::AuthenticatedSigned => Protection::AUTHENTICATED.and_signed(),
            Self::AuthenticatedEncryptedSigned => Protection::AUTHENTICATED_ENCRYPTED.and_signed(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AssociationFile {
    pub(super) name: String,
    pub(super) client: u16,
    #[serde(default)]
    pub(super) referencing: ReferencingFile,
    pub(super) mechanism: MechanismFile,
    pub(super) security_setup: Option<u8>,
    /// System title of the only client whose certificate opens the association, as hexadecimal digits.
    pub(super) client_title: Option<Spanned<String>>,
    /// Names of the conformance block's bits.
    pub(super) conformance: Vec<Spanned<String>>,
    pub(super) max_pdu: u16,
}

/// How the objects of an association are referred to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReferencingFile {
    #[default]
    LogicalName,
    ShortName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MechanismFile {
    None,
    Lls,
    Hls2,
    HlsMd5,
    HlsSha1,
    HlsGmac,
    HlsSha256,
    /// The meter's key pair and the client's certificate, of suite 1 or 2.
    HlsEcdsa,
}

/// An object or a family of objects. Which keys it needs depends on its class.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ObjectFile {
    pub(super) obis: Parsed<ObisPattern>,
    pub(super) class: u16,
    pub(super) access: Spanned<String>,
    /// Base name where objects are referred to by short names. The further objects of a family follow behind it.
    pub(super) base_name: Option<Spanned<u16>>,
    /// Version of the class (classes 12 and 72, and objects made of attributes); the newest when absent.
    pub(super) version: Option<u8>,
    /// Where the value comes from (classes 1, 3, 4 and 5).
    pub(super) value: Option<ValueName>,
    /// A value that stays, or that clients write (classes 1 and 3).
    pub(super) initial: Option<Spanned<Initial>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<TypeName>,
    pub(super) scaler: Option<i8>,
    /// Symbol of the unit; taken from the OBIS code when absent.
    pub(super) unit: Option<Spanned<String>>,
    /// Name of the association that an object of class 15 describes; the current one when absent.
    pub(super) association: Option<Spanned<String>>,
    /// Where rows come from (class 7).
    pub(super) rows: Option<RowsName>,
    /// Seconds between rows, or over which a profile status gathers its bits.
    pub(super) period: Option<u32>,
    /// Rows held.
    pub(super) capacity: Option<u32>,
    /// Captured attributes, `CLASS:OBIS:ATTRIBUTE`.
    pub(super) columns: Option<Vec<Spanned<String>>>,
    /// The rows themselves, each a structure (class 7 with fixed rows).
    pub(super) entries: Option<Vec<Spanned<String>>>,
    /// Control mode (class 70).
    pub(super) control_mode: Option<u8>,
    pub(super) activity_calendar: Option<CalendarFile>,
    pub(super) account: Option<AccountFile>,
    pub(super) credit: Option<CreditFile>,
    pub(super) charge: Option<ChargeFile>,
    pub(super) token_gateway: Option<GatewayFile>,
    pub(super) limiter: Option<LimiterFile>,
    pub(super) mbus_client: Option<ClientFile>,
    pub(super) register_monitor: Option<MonitorFile>,
    pub(super) special_day: Option<Vec<SpecialDayFile>>,
    pub(super) register_activation: Option<ActivationFile>,
    pub(super) image_transfer: Option<ImageTransferFile>,
    /// Attributes of an object that does nothing by itself, of any class.
    pub(super) attributes: Option<AttributesFile>,
    /// What is not an attribute of a push setup (class 40).
    pub(super) push_setup: Option<PushSetupFile>,
    /// Methods of such an object that are taken note of, with no effect, instead of being refused.
    pub(super) accepts: Option<Vec<Spanned<String>>>,
}

/// A constant of a model file.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number or a text")]
pub(super) enum Initial {
    Number(i64),
    Text(String),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ValueName {
    /// Cumulative energy of the quantity and rate in the OBIS code.
    Energy,
    /// Instantaneous value of the quantity and phase in the OBIS code: power, voltage, current, factor, frequency.
    Instantaneous,
    /// Average of such a value since the end of the last period.
    Average,
    /// Energy since the end of the last period.
    IntervalEnergy,
    /// Average power over quarters of an hour.
    Demand,
    /// The last such average.
    LastDemand,
    /// The highest such average of the running month.
    MaximumDemand,
    /// The same as `instantaneous` by way of the metering engine, from synthetic samples with harmonics and noise; and the
    /// distortion of a phase's voltage or current (1.b.c.7.124), in percent. Some milliseconds for each moment: for a few
    /// meters.
    Measured,
    /// Number of dips (1.b.c.32), swells (36) or losses (40) of the phase in the OBIS code, and duration in seconds (33, 37,
    /// 41) and voltage (34, 38, 42) of the last one.
    VoltageQuality,
    /// Number of power failures (0.b.96.7.0 and 21), of long ones (5 and 9), seconds of the last long one (15 and 19), or minutes of
    /// all together (0.b.94.91.8).
    PowerFailures,
    LogicalDeviceName,
    SerialNumber,
    /// Version of the firmware in use: see class 18.
    FirmwareVersion,
    ActiveTariff,
    /// Status octet of a profile's rows.
    ProfileStatus,
    LastEvent,
    /// The start of the running month, when billing values were captured last.
    BillingDate,
    /// How often billing values were captured.
    BillingCount,
    /// The error register 0.b.97.97.0, or alarm register, filter or descriptor 1 or 2 (0.b.97.98.e).
    Alarm,
    LocalTime,
    LocalDate,
    InvocationCounter,
    /// The value of the device on channel B, element E of its capture definition (0.b.24.2.e, class 4).
    MbusValue,
    /// Number of the device on channel B (class 1), empty without one.
    MbusDeviceNumber,
}

/// The types that a model file may give to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TypeName {
    Boolean,
    DoubleLong,
    DoubleLongUnsigned,
    OctetString,
    VisibleString,
    Integer,
    Long,
    Unsigned,
    LongUnsigned,
    #[serde(rename = "long64")]
    Long64,
    #[serde(rename = "long64-unsigned")]
    Long64Unsigned,
    Enum,
}

/// Where the rows of a profile come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RowsName {
    /// Every so many seconds.
    Periodic,
    /// At the start of each month.
    Monthly,
    /// One row, with the values of the last quarter of a minute.
    Current,
    /// The event log with this value group E.
    Events,
    /// The power failures that were longer than 0.b.96.7.20 says, with the time of their end.
    PowerFailures,
    /// Those that the file gives.
    Fixed,
    /// What the valve on channel B did (0.b.24.5.0).
    Valve,
}
