//! What the server asks of the application behind it.

use super::lockout::{FailedAttempts, Source};
use super::member::Member;
use super::offer::Offer;
use super::route::{Routed, Routing};
use crate::acse::Mechanism;
use crate::apdu::{
    ActionResult, AttributeDescriptor, Conformance, DataAccessResult, LongInvokeIdAndPriority, MemberDescriptor,
    MethodDescriptor, Selection,
};
use crate::association::Referencing;
use crate::axdr::{Data, Writer};
use crate::deviation::Deviations;
use crate::id::{ClientSap, ServerSap, ShortName, SystemTitle};
use crate::quirk::Quirks;
use crate::security::general::{GeneralKeys, VerifiedTransaction};
use crate::security::{KeySet, Protection, SecurityError, SecurityPolicy, Suite};

/// The application of a meter: its logical devices, their objects, access rights and security material.
///
/// The server calls it only inside an open association, with the protection that the request was found
/// to have. What a client may do is the device's decision; everything else (block transfer, ciphering,
/// invocation identifiers) is the server's.
pub trait Device {
    /// What its associations can offer at most: what is left out is refused, and not linked.
    const OFFER: Offer = Offer::EVERYTHING;

    /// The association that `client` may open with logical device `server`; `None` when that pair does
    /// not exist.
    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>>;

    /// Writes one part of an attribute's value as A-XDR `Data`.
    ///
    /// A value is served in parts: part 0 is the whole of a simple value, or tag and count of an array,
    /// and part n its n-th element. A part that does not fit into the rest of a block is asked for again
    /// when the next block is due, so the same cursor must give the same octets. `out` never refuses
    /// octets: what does not fit is dropped and counted by the server.
    ///
    /// # Errors
    /// The result that the client is to get instead of data.
    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult>;

    /// Sets an attribute.
    ///
    /// # Errors
    /// The result that the client is to get.
    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult>;

    /// Invokes a method once. What it returns, if anything, is written to `out` as A-XDR `Data`.
    ///
    /// # Errors
    /// The result that the client is to get.
    fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult>;

    /// What a short name stands for in the logical device `access.server`; `None` for nothing. The arithmetic is in
    /// [`cosem::short_name`](crate::cosem::short_name). Asked only in associations that refer to objects by short names.
    fn short_name(&self, access: &Access, name: ShortName) -> Option<MemberDescriptor> {
        let _ = (access, name);
        None
    }

    /// The next transmit invocation counter of a security setup's encryption key. One authority per key:
    /// all associations, pushes and exceptions that use the key take from it, and a value is never given
    /// out twice, across restarts too. `None` when the key is exhausted.
    fn take_counter(&mut self, server: ServerSap, setup: u8) -> Option<u32>;

    /// The lowest invocation counter that is acceptable from `peer` under a security setup's encryption key.
    fn floor(&self, server: ServerSap, setup: u8, peer: SystemTitle) -> u32;

    /// An APDU of `peer` with this invocation counter was verified: the floor moves above it, for good. A device that
    /// cannot keep it gives FFFFFFFF as the [`floor`](Self::floor) from then on; the APDU is then not executed.
    fn accept_counter(&mut self, server: ServerSap, setup: u8, peer: SystemTitle, counter: u32);

    /// The keys with which a logical device protects what it pushes to a client outside an association, and the policy
    /// that they are used with; `None` when there are none.
    fn push_security(&self, client: ClientSap, server: ServerSap) -> Option<SecurityConfig<'_>> {
        let _ = (client, server);
        None
    }

    /// Takes an APDU for a device behind this server, if it is a gateway.
    fn route(&mut self, routed: &Routed<'_>) -> Routing {
        let _ = routed;
        Routing::NotAGateway
    }

    /// As [`floor`](Self::floor), under the broadcast key. Nothing is acceptable unless this is implemented together
    /// with [`accept_broadcast_counter`](Self::accept_broadcast_counter).
    fn broadcast_floor(&self, server: ServerSap, setup: u8, peer: SystemTitle) -> u32 {
        let _ = (server, setup, peer);
        u32::MAX
    }

    /// As [`accept_counter`](Self::accept_counter), under the broadcast key.
    fn accept_broadcast_counter(&mut self, server: ServerSap, setup: u8, peer: SystemTitle, counter: u32) {
        let _ = (server, setup, peer, counter);
    }

    /// A number that changes whenever a key of this security setup does. Associations that are open look at it before
    /// each request and take the new keys.
    fn key_generation(&self, server: ServerSap, setup: u8) -> u32 {
        let _ = (server, setup);
        0
    }

    /// The response to a request is made, with the keys that were in force when it came: those that the request has
    /// replaced (`key_transfer`) are put in force now, with counters of their own.
    fn answered(&mut self, server: ServerSap) {
        let _ = server;
    }

    /// How often `client` has failed to authenticate from `source` since it last succeeded:
    /// [`Attempts`](super::Attempts) counts it. Without this and [`set_failed_attempts`](Self::set_failed_attempts)
    /// nobody is ever locked out.
    fn failed_attempts(&self, client: ClientSap, server: ServerSap, source: Source) -> FailedAttempts {
        let _ = (client, server, source);
        FailedAttempts::NONE
    }

    /// Keeps what [`failed_attempts`](Self::failed_attempts) is to give back, over all lines of the meter. Also called
    /// with [`FailedAttempts::NONE`] after a success, which [`Attempts`](super::Attempts) remembers: a device that forgets
    /// it lets many sources that fail keep out the one that succeeded.
    fn set_failed_attempts(&mut self, client: ClientSap, server: ServerSap, source: Source, attempts: FailedAttempts) {
        let _ = (client, server, source, attempts);
    }

    /// Protection that the client's access rights demand of a response which carries this attribute or the result of
    /// this method (Association LN version 3, bits 5 to 7). It is joined with the security policy's.
    fn response_protection(&self, access: &Access, member: Member) -> Protection {
        let _ = (access, member);
        Protection::NONE
    }

    /// Keys for general-ciphering, general-signing and HLS mechanism 7 between `client` and this logical device: its own
    /// and the client's public ones, from certificates that were led to a trust anchor. What has no key is refused.
    ///
    /// `peer` is the system title that the client has stated, or that a notification is for: it chooses the certificate,
    /// and proves nothing before a signature or a tag does. `None` where nobody has stated any.
    fn general_keys(&self, client: ClientSap, server: ServerSap, peer: Option<SystemTitle>) -> GeneralKeys<'_> {
        let _ = (client, server, peer);
        GeneralKeys::default()
    }

    /// A message of `peer` was verified, and nothing but its transaction-id keeps it from being a replay: one with a
    /// key of its own, or one that is signed only. Whether the id is new; it is remembered then, across restarts too
    /// ([`TransactionMemory`](crate::security::general::TransactionMemory)), for all setups that have the same keys, as the
    /// answer echoes it. Without this every such message is refused.
    fn accept_transaction(
        &mut self,
        server: ServerSap,
        setup: u8,
        peer: SystemTitle,
        transaction: VerifiedTransaction,
    ) -> bool {
        let _ = (server, setup, peer, transaction);
        false
    }

    /// The next transaction-id of what this logical device sends of itself: notifications whose protection has no counter,
    /// or whose receiver wants one. Like an invocation counter it only ever increases, across restarts too, and is never
    /// given out twice: a key of the static unified model depends on nothing else. One count for each system title, over
    /// all setups that have the same keys. The time alone will not do, as it stands still between two messages and may be
    /// set back; it may raise a count that is kept. Without it no such notification is sent.
    fn take_transaction(&mut self, server: ServerSap, setup: u8) -> Option<u64> {
        let _ = (server, setup);
        None
    }

    /// What is tolerated of `client`, of which [`deviated`](Self::deviated) is told then. `None`, which costs nothing: all
    /// that is understood, and nothing is told.
    fn quirks(&self, client: ClientSap, server: ServerSap) -> Option<Quirks> {
        let _ = (client, server);
        None
    }

    /// What a client has done against the standard in one APDU, tolerated or not, to be counted
    /// ([`DeviationCounts`](crate::deviation::DeviationCounts)).
    fn deviated(&mut self, client: ClientSap, server: ServerSap, met: Deviations) {
        let _ = (client, server, met);
    }

    /// Something that an operator may want to know; refusals included.
    fn audit(&mut self, event: AuditEvent) {
        let _ = event;
    }
}

/// One association that a logical device offers to one client.
#[derive(Clone, Copy)]
pub struct AssociationConfig<'a> {
    /// How objects are referred to: one application context with and one without ciphering go with it.
    pub referencing: Referencing,
    /// How the client proves who it is.
    pub mechanism: Mechanism,
    /// LLS password or HLS secret; empty for lowest level and for HLS-GMAC.
    pub secret: &'a [u8],
    /// Ciphering; `None` offers the application context without ciphering only.
    pub security: Option<SecurityConfig<'a>>,
    /// Services that the server offers.
    pub conformance: Conformance,
    /// Longest APDU that the server accepts, in octets.
    pub max_pdu: u16,
    /// The server's system title where there is no security setup to name it: HLS mechanisms 6 and 7 need one.
    pub system_title: Option<SystemTitle>,
    /// User ids that the client may state (`user_list` of the association object); `None` when users are not told
    /// apart.
    pub users: Option<&'a [u8]>,
    /// The association exists without being proposed: it is open as soon as the link is, and cannot be released.
    pub pre_established: Option<PreEstablished>,
}

impl AssociationConfig<'_> {
    /// Lowest-level security, no ciphering.
    #[must_use]
    pub const fn public(conformance: Conformance, max_pdu: u16) -> Self {
        Self {
            referencing: Referencing::LogicalName,
            mechanism: Mechanism::Lowest,
            secret: &[],
            security: None,
            conformance,
            max_pdu,
            system_title: None,
            users: None,
            pre_established: None,
        }
    }

    /// The server's system title.
    pub(super) fn own_title(&self) -> Option<SystemTitle> {
        self.security.as_ref().map(|security| security.system_title).or(self.system_title)
    }
}

/// What nobody negotiates in a pre-established association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreEstablished {
    /// Longest APDU that the client accepts, in octets; 0 stands for no limit.
    pub client_max_pdu: u16,
    /// The client's system title; with a security setup there must be one, as its keys would serve anybody otherwise.
    pub client_title: Option<SystemTitle>,
}

/// The security setup behind an association.
#[derive(Clone, Copy)]
pub struct SecurityConfig<'a> {
    /// Instance of the security setup object: the E field of its logical name 0.0.43.0.e.255.
    pub setup: u8,
    /// Security suite.
    pub suite: Suite,
    /// Protection that every request must have at least, and that every response gets at least.
    pub policy: SecurityPolicy,
    /// Global unicast encryption key.
    pub encryption_key: &'a [u8],
    /// Authentication key.
    pub authentication_key: &'a [u8],
    /// Global broadcast encryption key: unconfirmed requests may use it. Any meter of the group can forge such a
    /// request, see [`Access::broadcast`].
    pub broadcast_key: Option<&'a [u8]>,
    /// The server's system title.
    pub system_title: SystemTitle,
}

impl<'a> SecurityConfig<'a> {
    /// Setup 0 of suite 0, which demands authentication and encryption both ways.
    #[must_use]
    pub const fn new(encryption_key: &'a [u8], authentication_key: &'a [u8], system_title: SystemTitle) -> Self {
        Self {
            setup: 0,
            suite: Suite::Suite0,
            policy: SecurityPolicy::both(Protection::AUTHENTICATED_ENCRYPTED),
            encryption_key,
            authentication_key,
            broadcast_key: None,
            system_title,
        }
    }
}

impl SecurityConfig<'_> {
    /// The keys, as their suite wants them.
    pub(super) fn keys(&self) -> Result<KeySet, SecurityError> {
        let keys = KeySet::new(self.suite, self.encryption_key, self.authentication_key)?;
        match self.broadcast_key {
            Some(key) => keys.with_broadcast(key),
            None => Ok(keys),
        }
    }
}

impl core::fmt::Debug for AssociationConfig<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AssociationConfig").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for SecurityConfig<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SecurityConfig").field("setup", &self.setup).field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// Who asks, and how well protected.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// How objects are referred to.
    pub referencing: Referencing,
    /// The client.
    pub client: ClientSap,
    /// The logical device.
    pub server: ServerSap,
    /// How the client proved who it is.
    pub mechanism: Mechanism,
    /// Whether the association's application context allows ciphering.
    pub ciphered_context: bool,
    /// Protection that the request was found to have.
    pub request: Protection,
    /// Whether the request came under the broadcast key, which a whole group of meters holds: nothing that harms
    /// may be granted to it.
    pub broadcast: bool,
    /// Services negotiated for this association.
    pub conformance: Conformance,
    /// Longest APDU that the client accepts, in octets.
    pub client_max_pdu: u16,
    /// Longest APDU that the server accepts, in octets.
    pub server_max_pdu: u16,
    /// The client's system title, as far as known.
    pub client_title: Option<SystemTitle>,
}

impl Access {
    /// Whether a service was negotiated that `D` can offer at all.
    pub(super) const fn has<D: Device>(&self, service: Conformance) -> bool {
        D::OFFER.has(service) && self.conformance.contains(service)
    }
}

/// Where the reading of one attribute stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Part to be written: 0 for a simple value or an array's head, n for the array's n-th element.
    pub part: u32,
    /// The object's own note, kept unchanged between parts: for instance the sequence number of the first
    /// selected row, set at part 0 so that rows captured meanwhile do not shift the answer.
    pub anchor: u64,
    /// The object's second note, for instance the number of rows selected at part 0.
    pub extent: u64,
}

/// Whether a value has further parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// That was the last part.
    Done,
    /// At least one more part follows.
    More,
}

/// What an operator may want to know.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AuditEvent {
    /// An association was opened.
    Associated {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
    },
    /// A client failed to prove who it is: wrong password, wrong HLS response, refused parameters.
    AuthenticationFailed {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
    },
    /// A protected APDU was refused.
    SecurityFailed {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
        /// Why; the client learns less.
        error: SecurityError,
    },
    /// A client that has failed to authenticate too often is refused unseen for a while.
    LockedOut {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
        /// Failures since the last success.
        failures: u32,
    },
    /// Further failures on a line were not told of, because they came too fast.
    Suppressed {
        /// How many.
        count: u32,
    },
    /// An association was released or lost.
    Released {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
    },
    /// A client may not read what it asked for, or there is no such thing. It comes as often as a client asks: a device
    /// that keeps such events bounds them.
    ReadRefused {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
        /// What it asked for.
        attribute: AttributeDescriptor,
        /// What it was told.
        result: DataAccessResult,
    },
    /// The same for writing.
    WriteRefused {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
        /// What it wanted to write.
        attribute: AttributeDescriptor,
        /// What it was told.
        result: DataAccessResult,
    },
    /// The same for a method.
    ActionRefused {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
        /// What it wanted to invoke.
        method: MethodDescriptor,
        /// What it was told.
        result: ActionResult,
    },
    /// A client has confirmed a notification.
    NotificationConfirmed {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
        /// The notification's long invoke-id.
        invoke: LongInvokeIdAndPriority,
    },
    /// A notification could not be sent, or was not confirmed in any of its attempts.
    NotificationLost {
        /// The client.
        client: ClientSap,
        /// The logical device.
        server: ServerSap,
        /// The notification's long invoke-id, if it was to be confirmed.
        invoke: Option<LongInvokeIdAndPriority>,
    },
}
