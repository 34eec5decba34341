//! What a client wants of an association.

use core::fmt;

use super::session::Session;
use crate::acse::Mechanism;
use crate::apdu::Conformance;
use crate::association::{Referencing, Secret};
use crate::id::{ClientSap, ServerSap, SystemTitle};
use crate::security::{Crypto, KeySet, Protection, Suite};

/// What this stack's client can use.
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
        }
    }

    /// The same with objects referred to by short names.
    #[must_use]
    pub fn with_short_names(self) -> Self {
        Self { referencing: Referencing::ShortName, conformance: SHORT_NAME_CONFORMANCE, ..self }
    }
}

impl Config {
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
