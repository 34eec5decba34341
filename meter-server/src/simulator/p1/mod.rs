//! The customer port: telegrams and lists that a meter sends unasked, over TCP and serial ports.

mod cipher;
mod counter;
mod dialect;
mod page;
mod port;
mod push;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use dlms::obis::ObisCode;

use super::config::SerialConfig;

pub(crate) use self::page::{Peaks, telegram};
pub(super) use self::port::open;

/// Rate of a customer port since DSMR 4.
pub const P1_BAUD: u32 = 115_200;

/// What telegrams look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum P1Dialect {
    /// DSMR 5.0 of the Netherlands, each second.
    #[default]
    Dsmr5,
    /// e-MUCS of Belgium, with quarter-hour demand, each second.
    Emucs,
    /// Luxembourg, ciphered, each ten seconds. All meters have the same authentication key.
    Luxembourg,
    /// Austria (Sagemcom T210-D-r), ciphered, each five seconds.
    Austria,
    /// Norwegian lists of Aidon meters in HDLC frames, each two and a half, ten seconds and hour.
    Aidon,
    /// Those of Kaifa meters, each two, ten seconds and hour.
    Kaifa,
    /// Those of Kamstrup meters, each ten seconds and hour.
    Kamstrup,
    /// The list of Austrian Kaifa meters, ciphered without a tag over M-Bus, each five seconds.
    KaifaAustria,
    /// What push setup 0-8:25.9.0 lists, the list in front of it, as Swiss Landis+Gyr E450 have it: in blocks, each in an
    /// HDLC frame, each five seconds.
    LandisGyr,
    /// The same of push setup 0-6:25.9.0, as Swiss Iskraemeco AM550 have it: in segmented HDLC frames.
    Iskraemeco,
}

impl P1Dialect {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Dsmr5,
        Self::Emucs,
        Self::Luxembourg,
        Self::Austria,
        Self::Aidon,
        Self::Kaifa,
        Self::Kamstrup,
        Self::KaifaAustria,
        Self::LandisGyr,
        Self::Iskraemeco,
    ];

    /// What it is asked for by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dsmr5 => "dsmr5",
            Self::Emucs => "emucs",
            Self::Luxembourg => "luxembourg",
            Self::Austria => "austria",
            Self::Aidon => "aidon",
            Self::Kaifa => "kaifa",
            Self::Kamstrup => "kamstrup",
            Self::KaifaAustria => "kaifa-austria",
            Self::LandisGyr => "landis-gyr",
            Self::Iskraemeco => "iskraemeco",
        }
    }

    /// Milliseconds between telegrams or lists, as the country has it.
    #[must_use]
    pub const fn interval_ms(self) -> u32 {
        match self {
            Self::Dsmr5 | Self::Emucs => 1_000,
            Self::Kaifa => 2_000,
            Self::Aidon => 2_500,
            // The hour is told five seconds after it.
            Self::Austria | Self::KaifaAustria | Self::Kamstrup | Self::LandisGyr | Self::Iskraemeco => 5_000,
            Self::Luxembourg => 10_000,
        }
    }

    /// Whether lists are pushed, instead of telegrams of text.
    #[must_use]
    pub const fn is_push(self) -> bool {
        matches!(self, Self::Aidon | Self::Kaifa | Self::Kamstrup | Self::KaifaAustria) || self.push_setup().is_some()
    }

    /// The push setup (class 40) whose objects are pushed, where it is the meter's that says what is sent.
    #[must_use]
    pub const fn push_setup(self) -> Option<ObisCode> {
        match self {
            Self::LandisGyr => Some(ObisCode::new(0, 8, 25, 9, 0, 255)),
            Self::Iskraemeco => Some(ObisCode::new(0, 6, 25, 9, 0, 255)),
            _ => None,
        }
    }

    /// Whether telegrams are ciphered.
    #[must_use]
    pub const fn is_ciphered(self) -> bool {
        matches!(self, Self::Luxembourg | Self::Austria | Self::KaifaAustria)
    }
}

/// There is no such dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the dialects of the customer port are {}", P1Dialect::ALL.map(P1Dialect::name).join(", "))]
pub struct UnknownDialect;

impl FromStr for P1Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == text).ok_or(UnknownDialect)
    }
}

/// Keys of ciphered telegrams: those of the customer, not those with which the meter is managed. The same for all
/// meters; `Debug` shows none of them.
pub struct P1Keys {
    encryption: zeroize::Zeroizing<[u8; 16]>,
    authentication: zeroize::Zeroizing<[u8; 16]>,
}

impl P1Keys {
    /// Key of [`P1Keys::demonstration`].
    pub const DEMONSTRATION_ENCRYPTION: [u8; 16] =
        [0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF];

    /// An encryption key, and the authentication key; Luxembourg has a well-known one instead.
    #[must_use]
    pub fn new(encryption: [u8; 16], authentication: [u8; 16]) -> Self {
        Self { encryption: encryption.into(), authentication: authentication.into() }
    }

    /// Well-known keys, for demonstrations.
    #[must_use]
    pub fn demonstration() -> Self {
        Self::new(Self::DEMONSTRATION_ENCRYPTION, dlms::p1::LUXEMBOURG_AUTHENTICATION_KEY)
    }
}

impl std::fmt::Debug for P1Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("P1Keys").finish_non_exhaustive()
    }
}

/// Customer ports of a fleet's physical devices; of several logical devices it is the first one's.
#[derive(Clone, Debug)]
pub struct P1Config {
    /// Where TCP connections are accepted: device n (from 0) has this port plus n, or port 0 lets the system choose.
    pub tcp: Option<SocketAddr>,
    /// Serial ports, the first for the first device, and so on.
    pub serial: Vec<SerialConfig>,
    /// What telegrams look like.
    pub dialect: P1Dialect,
    /// Seconds of simulated time between telegrams; those of the dialect when `None`.
    pub interval_seconds: Option<u32>,
    /// Keys of ciphered dialects.
    pub keys: Arc<P1Keys>,
}

impl P1Config {
    /// A dialect without any port.
    #[must_use]
    pub fn new(dialect: P1Dialect) -> Self {
        Self { tcp: None, serial: Vec::new(), dialect, interval_seconds: None, keys: Arc::new(P1Keys::demonstration()) }
    }
}
