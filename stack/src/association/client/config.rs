//! What a client wants of an association.

use core::fmt;

use super::error::UsageError;
use super::session::Session;
use crate::acse::Mechanism;
use crate::apdu::Conformance;
use crate::association::{Referencing, Secret};
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::quirk::Quirks;
use crate::security::{Crypto, KeyId, KeySet, Protection, SecurityError, Suite, hls};

/// What this stack's client uses. General block transfer is left to be added ([`Conformance::GENERAL_BLOCK_TRANSFER`]):
/// requests that are too long then leave in it instead of in blocks of the services' own, which more meters do well.
pub const CLIENT_CONFORMANCE: Conformance = Conformance::GET
    .union(Conformance::SET)
    .union(Conformance::ACTION)
    .union(Conformance::ACCESS)
    .union(Conformance::SELECTIVE_ACCESS)
    .union(Conformance::MULTIPLE_REFERENCES)
    .union(Conformance::BLOCK_TRANSFER_WITH_GET)
    .union(Conformance::BLOCK_TRANSFER_WITH_SET)
    .union(Conformance::BLOCK_TRANSFER_WITH_ACTION)
    .union(Conformance::PRIORITY_MANAGEMENT)
    .union(Conformance::DATA_NOTIFICATION)
    .union(Conformance::EVENT_NOTIFICATION)
    .union(Conformance::GENERAL_PROTECTION);

/// What this stack's client can use where objects are referred to by short names.
pub const SHORT_NAME_CONFORMANCE: Conformance = Conformance::READ
    .union(Conformance::WRITE)
    .union(Conformance::UNCONFIRMED_WRITE)
    .union(Conformance::PARAMETERIZED_ACCESS)
    .union(Conformance::MULTIPLE_REFERENCES)
    .union(Conformance::BLOCK_TRANSFER_WITH_GET)
    .union(Conformance::BLOCK_TRANSFER_WITH_SET)
    .union(Conformance::INFORMATION_REPORT)
    .union(Conformance::DATA_NOTIFICATION)
    .union(Conformance::GENERAL_PROTECTION);

/// What a client proposes, and what it demands of the server.
#[derive(Debug)]
pub struct Config {
    /// The client's service access point.
    pub client: ClientSap,
    /// The logical device.
    pub server: ServerSap,
    /// How objects are referred to; it decides which services there are.
    pub referencing: Referencing,
    /// How the client proves who it is.
    pub mechanism: Mechanism,
    /// LLS password or HLS secret.
    pub secret: Secret,
    /// Octets of the client's HLS challenge, 8 to 64; 16 suit every known meter.
    pub challenge_length: usize,
    /// Ciphering; `None` proposes the application context without ciphering.
    pub security: Option<Security>,
    /// Services that the client wants; the server's are intersected with them.
    pub conformance: Conformance,
    /// Longest APDU that the client accepts, in octets. The link's receive storage must hold it.
    pub max_pdu: u16,
    /// How long the client waits for each answer of the server, in milliseconds.
    pub response_timeout_ms: u64,
    /// How general block transfer is done, where it is negotiated.
    pub general_blocks: GeneralBlocks,
    /// Whether keys are used for ciphering. Without it they serve HLS mechanism 5 alone, in the application context
    /// without ciphering. Of no effect without [`security`](Self::security).
    pub ciphered_context: bool,
    /// The client's system title where there are no keys to go with it: HLS mechanisms 6 and 7 need one.
    pub system_title: Option<SystemTitle>,
    /// The meter's system title, as far as known, where there are no keys to go with it.
    pub peer_title: Option<SystemTitle>,
    /// Least protection of answers; that of requests when `None`.
    pub required_response: Option<Protection>,
    /// The association exists without being proposed: what would be negotiated is agreed on beforehand.
    pub pre_established: Option<PreEstablished>,
    /// Which deviations of the server are tolerated.
    pub quirks: Quirks,
}

/// How a client does general block transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralBlocks {
    /// Blocks that the server may send before it waits for an acknowledgement, 1 to 63.
    pub window: u8,
    /// How often blocks or acknowledgements that stay without effect are sent again, each time after
    /// [`response_timeout_ms`](Config::response_timeout_ms).
    pub retries: u8,
}

impl GeneralBlocks {
    /// A window that keeps a slow line busy, and three repetitions.
    pub const DEFAULT: Self = Self { window: 16, retries: 3 };
}

impl Default for GeneralBlocks {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What nobody negotiates in a pre-established association; services are those of [`Config::conformance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreEstablished {
    /// Longest APDU that the server accepts, in octets.
    pub server_max_pdu: u16,
}

impl Config {
    /// A public client's configuration: lowest-level security, no ciphering.
    #[must_use]
    pub const fn public(server: ServerSap) -> Self {
        Self {
            client: ClientSap::PUBLIC,
            server,
            referencing: Referencing::LogicalName,
            mechanism: Mechanism::Lowest,
            secret: Secret::NONE,
            challenge_length: 16,
            security: None,
            conformance: CLIENT_CONFORMANCE,
            max_pdu: 0xFFFF,
            response_timeout_ms: 10_000,
            general_blocks: GeneralBlocks::DEFAULT,
            ciphered_context: true,
            system_title: None,
            peer_title: None,
            required_response: None,
            pre_established: None,
            quirks: Quirks::LENIENT,
        }
    }

    /// The same with objects referred to by short names.
    #[must_use]
    pub fn with_short_names(self) -> Self {
        Self { referencing: Referencing::ShortName, conformance: SHORT_NAME_CONFORMANCE, ..self }
    }
}

impl Config {
    /// The client's system title, with its keys or without.
    pub(super) fn own_title(&self) -> Option<SystemTitle> {
        self.security.as_ref().map(|security| security.system_title).or(self.system_title)
    }

    /// The meter's system title as far as it was configured.
    pub(super) fn expected_title(&self) -> Option<SystemTitle> {
        self.security.as_ref().and_then(|security| security.peer_title).or(self.peer_title)
    }

    /// Finds out before the first octet leaves what would fail in the middle of the opening.
    pub(super) fn check<C: Crypto>(&self) -> Result<(), UsageError> {
        let missing = |error: SecurityError| Err(error.into());
        match (self.mechanism, &self.security) {
            (Mechanism::Gmac, None) => return missing(SecurityError::NoAuthenticationKey),
            (Mechanism::Gmac, Some(security)) if security.keys.authentication.is_none() => {
                return missing(SecurityError::NoAuthenticationKey);
            }
            // Keys decide, which the configuration does not hold.
            (Mechanism::Ecdsa, _) => {}
            _ => hls::check_configuration::<C>(self.mechanism, self.secret.as_bytes(), self.own_title())?,
        }
        if let Some(security) = &self.security {
            let demanded = security.protection.union(self.required_response.unwrap_or_default());
            if self.ciphered_context && demanded.authenticated && security.keys.authentication.is_none() {
                return missing(SecurityError::NoAuthenticationKey);
            }
            if self.pre_established.is_some() && security.peer_title.is_none() {
                return missing(SecurityError::NoPeerTitle);
            }
            // Nothing would carry it to the server, and each association would count with it from 0 again.
            if self.pre_established.is_some() && security.dedicated_key.is_some() {
                return missing(SecurityError::NoKey(KeyId::Dedicated));
            }
        }
        Ok(())
    }

    /// What a session has verified is a replay in every later one.
    pub(super) fn keep_floor<C: Crypto>(&mut self, session: &Session<C>) {
        if let (Some(secured), Some(security)) = (&session.security, &mut self.security) {
            security.receive_floor = security.receive_floor.max(secured.floor().lowest());
        }
    }
}

/// Keys and demands of a ciphered association.
pub struct Security {
    /// Security suite.
    pub suite: Suite,
    /// Global keys.
    pub keys: KeySet,
    /// A dedicated key for the association, of the suite's length; carried to the server under the global key. It
    /// serves the first association only: for each later one of the same connection another is drawn.
    pub dedicated_key: Option<Secret>,
    /// The client's system title.
    pub system_title: SystemTitle,
    /// The meter's system title, when it is known: another one is refused before any key is used for it.
    pub peer_title: Option<SystemTitle>,
    /// Protection of requests, and the least that answers must have.
    pub protection: Protection,
    /// Wrap in general-glo/general-ded instead of the service-specific glo/ded APDUs.
    pub general: bool,
    /// Lowest acceptable invocation counter of the meter, from earlier associations; raised when one ends.
    pub receive_floor: u32,
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security")
            .field("suite", &self.suite)
            .field("system_title", &self.system_title)
            .field("peer_title", &self.peer_title)
            .field("protection", &self.protection)
            .field("general", &self.general)
            .finish_non_exhaustive()
    }
}
