//! The server's side: a meter with a bit of everything.

use std::collections::BTreeMap;

use dlms::acse::Mechanism;
use dlms::apdu::*;
use dlms::association::Referencing;
use dlms::association::client;
use dlms::association::server::{
    Access, AssociationConfig, Attempts, AuditEvent, Cursor, Device, FailedAttempts, Member, PreEstablished, Progress,
    Routed, Routing, SecurityConfig, Source,
};
use dlms::axdr::{Data, Writer};
use dlms::cosem::short_name::NamedObject;
use dlms::deviation::{DeviationCounts, Deviations};
use dlms::id::{AttributeId, ClassId, ClientSap, MethodId, ServerSap, ShortName, SystemTitle};
use dlms::obis::ObisCode;
use dlms::quirk::Quirks;
use dlms::security::general::{GeneralKeys, TransactionMemory, VerifiedTransaction};
use dlms::security::{KeyEncryptionKey, PrivateKey, Protection, PublicKey, SecurityPolicy, Suite};

use super::{CLIENT_TITLE, GAK, GUEK, PASSWORD, PUSH_KEY, SERVER_TITLE};

/// A meter with a register, a long profile, a writable text and a method that echoes.
#[derive(Default)]
pub struct Meter {
    pub rows: u32,
    pub row_octets: usize,
    /// The row from which on the profile is no longer what it was.
    pub changed_at: Option<u32>,
    pub text: Vec<u8>,
    pub counter: u32,
    pub floors: BTreeMap<SystemTitle, u32>,
    pub audit: Vec<String>,
    pub invoked: u32,
    /// Writes of TEXT that were executed.
    pub written: u32,
    /// What the last write was told of the client's authentication.
    pub mechanism: Option<Mechanism>,
    /// Pushes use the keys of the associations.
    pub has_one_key: bool,
    pub max_pdu: u16,
    pub policy: Option<Protection>,
    /// APDUs for the device "slave" of network 0 are taken, those for others refused.
    pub is_gateway: bool,
    pub routed: Vec<Vec<u8>>,
    /// Demanded of responses, when it is something else than of requests.
    pub response_policy: Option<Protection>,
    /// Demanded of the response that carries the register.
    pub register_response: Protection,
    pub attempts: BTreeMap<ClientSap, Attempts<4>>,
    pub broadcast_floors: BTreeMap<SystemTitle, u32>,
    /// Whether the last request came under the broadcast key.
    pub broadcast: bool,
    /// The unicast key, when it is another one than at first.
    pub new_key: Vec<u8>,
    pub generation: u32,
    /// Whether ECHO's parameter becomes the unicast key once it is answered.
    pub takes_keys: bool,
    pub coming_key: Vec<u8>,
    /// What is tolerated of clients, if anybody wants to know.
    pub quirks: Option<Quirks>,
    pub deviations: DeviationCounts,
    /// Counters cannot be kept any more.
    pub memory_fails: bool,
    /// Another suite than 0, and keys for general-ciphering, general-signing and mechanism 7.
    pub keys: Option<Box<MeterKeys>>,
}

/// A meter's keys of suites 1 and 2.
pub struct MeterKeys {
    pub suite: Suite,
    pub unicast: Vec<u8>,
    pub authentication: Vec<u8>,
    pub kek: KeyEncryptionKey,
    pub signing: PrivateKey,
    pub agreement: PrivateKey,
    pub client_signature: PublicKey,
    pub client_agreement: PublicKey,
    pub transactions: TransactionMemory<8>,
    /// The next transaction-id of notifications, if there are any.
    pub next_transaction: Option<u64>,
    /// Demanded of notifications and their confirmations.
    pub push_policy: Protection,
}

/// What the meter offers with logical names.
const SERVICES: Conformance = client::CLIENT_CONFORMANCE.union(Conformance::GENERAL_BLOCK_TRANSFER);
/// HLS secret of the clients whose mechanism has one.
pub const SECRET: &[u8] = b"the hls secret";
pub const GBEK: [u8; 16] = [0xB0; 16];
/// A client with HLS mechanism `id`, without ciphering.
pub const fn hls_client(id: u8) -> ClientSap {
    ClientSap(60 + id as u16)
}
/// HLS-ECDSA with ciphering.
pub const CIPHERED_ECDSA: ClientSap = ClientSap(47);
/// HLS-SHA-256 with ciphering.
pub const CIPHERED_SHA256: ClientSap = ClientSap(46);
/// A password, and users who are told apart: 3 and 7.
pub const USERS: ClientSap = ClientSap(50);
/// Pre-established, without keys and with keys.
pub const STANDING: ClientSap = ClientSap(51);
pub const STANDING_CIPHERED: ClientSap = ClientSap(52);
/// Pre-established without keys, with a mechanism that nobody goes through.
pub const STANDING_MECHANISM: ClientSap = ClientSap(53);

pub const REGISTER: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(3), ObisCode([1, 0, 1, 8, 0, 255]), AttributeId(2));
pub const PROFILE: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(7), ObisCode([1, 0, 99, 1, 0, 255]), AttributeId(2));
pub const TEXT: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(1), ObisCode([0, 0, 96, 1, 3, 255]), AttributeId(2));
pub const DENIED: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(1), ObisCode([0, 0, 96, 1, 4, 255]), AttributeId(2));
pub const ECHO: MethodDescriptor = MethodDescriptor::new(ClassId(9), ObisCode([0, 0, 10, 0, 0, 255]), MethodId(1));

impl Device for Meter {
    fn association(&self, client: ClientSap, _: ServerSap) -> Option<AssociationConfig<'_>> {
        let policy = self.policy.unwrap_or(Protection::AUTHENTICATED_ENCRYPTED);
        let policy = SecurityPolicy { request: policy, response: self.response_policy.unwrap_or(policy) };
        let key = if self.new_key.is_empty() { &GUEK[..] } else { &self.new_key };
        let mut keys = SecurityConfig { policy, ..SecurityConfig::new(key, &GAK, SERVER_TITLE) };
        if let Some(own) = &self.keys {
            (keys.suite, keys.encryption_key, keys.authentication_key) = (own.suite, &own.unicast, &own.authentication);
        }
        let max_pdu = if self.max_pdu == 0 { 512 } else { self.max_pdu };
        let mut offered = AssociationConfig::public(SERVICES, max_pdu);
        match client.0 {
            62..=64 | 66 => {
                offered.mechanism = Mechanism::from_id((client.0 - 60) as u8);
                (offered.secret, offered.system_title) = (SECRET, Some(SERVER_TITLE));
                return Some(offered);
            }
            65 => {
                offered.mechanism = Mechanism::Gmac;
                offered.security = Some(SecurityConfig { policy: SecurityPolicy::NONE, ..keys });
                return Some(offered);
            }
            67 => {
                (offered.mechanism, offered.system_title) = (Mechanism::Ecdsa, Some(SERVER_TITLE));
                return Some(offered);
            }
            47 => {
                (offered.mechanism, offered.security) = (Mechanism::Ecdsa, Some(keys));
                return Some(offered);
            }
            46 => {
                (offered.mechanism, offered.secret) = (Mechanism::Sha256, SECRET);
                offered.security = Some(keys);
                return Some(offered);
            }
            50 => {
                (offered.mechanism, offered.secret) = (Mechanism::Lls, PASSWORD);
                offered.users = Some(&[3, 7]);
                return Some(offered);
            }
            51 | 53 => {
                if client == STANDING_MECHANISM {
                    (offered.mechanism, offered.secret) = (Mechanism::Lls, PASSWORD);
                }
                offered.pre_established = Some(PreEstablished { client_max_pdu: 200, client_title: None });
                return Some(offered);
            }
            52 => {
                let client_title = Some(CLIENT_TITLE);
                offered.pre_established = Some(PreEstablished { client_max_pdu: 200, client_title });
                offered.security = Some(SecurityConfig { broadcast_key: Some(&GBEK), ..keys });
                return Some(offered);
            }
            _ => {}
        }
        let (mechanism, secret, security): (_, &[u8], _) = match client.0 {
            16 | 32 => (Mechanism::Lowest, &[], None),
            17 => (Mechanism::Lls, PASSWORD, None),
            1 | 33 => (Mechanism::Gmac, &[], Some(keys)),
            34 => (Mechanism::Lls, PASSWORD, Some(keys)),
            35 => (Mechanism::Sha256, SECRET, Some(keys)),
            _ => return None,
        };
        if client.0 >= 32 {
            offered.referencing = Referencing::ShortName;
            offered.conformance = client::SHORT_NAME_CONFORMANCE.union(Conformance::GENERAL_BLOCK_TRANSFER);
        }
        Some(AssociationConfig { mechanism, secret, security, ..offered })
    }

    fn read(
        &mut self,
        _: &Access,
        attribute: AttributeDescriptor,
        _: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let full = |_| DataAccessResult::OtherReason;
        match attribute {
            REGISTER => out.double_long_unsigned(913).map_err(full)?,
            TEXT => out.octets(&self.text).map_err(full)?,
            PROFILE if cursor.part == 0 => {
                out.array(self.rows as usize).map_err(full)?;
                return Ok(if self.rows == 0 { Progress::Done } else { Progress::More });
            }
            PROFILE if self.changed_at.is_some_and(|row| cursor.part >= row) => {
                return Err(DataAccessResult::LongGetAborted);
            }
            PROFILE => {
                out.structure(2).map_err(full)?;
                out.double_long_unsigned(cursor.part).map_err(full)?;
                out.octets(&vec![cursor.part as u8; self.row_octets]).map_err(full)?;
                return Ok(if cursor.part < self.rows { Progress::More } else { Progress::Done });
            }
            DENIED => return Err(DataAccessResult::ReadWriteDenied),
            _ => return Err(DataAccessResult::ObjectUndefined),
        }
        Ok(Progress::Done)
    }

    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        _: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        self.broadcast = access.broadcast;
        self.mechanism = Some(access.mechanism);
        match (attribute, value) {
            (TEXT, Data::OctetString(text)) => {
                self.written += 1;
                self.text = text.to_vec();
            }
            (TEXT, _) => return Err(DataAccessResult::TypeUnmatched),
            _ => return Err(DataAccessResult::ReadWriteDenied),
        }
        Ok(())
    }

    fn invoke(
        &mut self,
        _: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        if method != ECHO {
            return Err(ActionResult::ObjectUndefined);
        }
        self.invoked += 1;
        if let (true, Some(Data::OctetString(key))) = (self.takes_keys, parameter) {
            self.coming_key = key.to_vec();
        }
        match parameter {
            Some(parameter) => parameter.encode(out).map_err(|_| ActionResult::OtherReason),
            None => Ok(()),
        }
    }

    fn short_name(&self, _: &Access, name: ShortName) -> Option<MemberDescriptor> {
        let objects = [
            (0x0100, TEXT.class, TEXT.instance, 2, 0),
            (0x0200, DENIED.class, DENIED.instance, 2, 0),
            (0x1000, PROFILE.class, PROFILE.instance, 8, 2),
            (0x2C00, REGISTER.class, REGISTER.instance, 3, 1),
            (0x3000, ECHO.class, ECHO.instance, 2, 1),
        ];
        objects.into_iter().find_map(|(base, class, instance, attributes, methods)| {
            NamedObject::new(ShortName(base), class, 0, instance).member(name, attributes, methods)
        })
    }

    fn push_security(&self, _: ClientSap, _: ServerSap) -> Option<SecurityConfig<'_>> {
        if self.has_one_key {
            return Some(SecurityConfig::new(&GUEK, &GAK, SERVER_TITLE));
        }
        if let Some(keys) = &self.keys {
            let security = SecurityConfig::new(&keys.unicast, &keys.authentication, SERVER_TITLE);
            return Some(SecurityConfig {
                suite: keys.suite,
                policy: SecurityPolicy::both(keys.push_policy),
                ..security
            });
        }
        Some(SecurityConfig { setup: 1, ..SecurityConfig::new(&PUSH_KEY, &GAK, SERVER_TITLE) })
    }

    fn route(&mut self, routed: &Routed<'_>) -> Routing {
        match (routed.network, routed.device) {
            (_, _) if !self.is_gateway => Routing::NotAGateway,
            (0, b"slave") => {
                self.routed.push(routed.apdu.to_vec());
                Routing::Taken
            }
            _ => Routing::Unreachable,
        }
    }

    fn take_counter(&mut self, _: ServerSap, _: u8) -> Option<u32> {
        self.counter += 1;
        Some(self.counter)
    }

    fn floor(&self, _: ServerSap, _: u8, peer: SystemTitle) -> u32 {
        self.floors.get(&peer).copied().unwrap_or(0)
    }

    fn accept_counter(&mut self, _: ServerSap, _: u8, peer: SystemTitle, counter: u32) {
        let floor = self.floors.entry(peer).or_insert(0);
        *floor = if self.memory_fails { u32::MAX } else { (*floor).max(counter + 1) };
    }

    fn broadcast_floor(&self, _: ServerSap, _: u8, peer: SystemTitle) -> u32 {
        self.broadcast_floors.get(&peer).copied().unwrap_or(0)
    }

    fn accept_broadcast_counter(&mut self, _: ServerSap, _: u8, peer: SystemTitle, counter: u32) {
        let floor = self.broadcast_floors.entry(peer).or_insert(0);
        *floor = (*floor).max(counter + 1);
    }

    fn key_generation(&self, _: ServerSap, _: u8) -> u32 {
        self.generation
    }

    fn answered(&mut self, _: ServerSap) {
        if !self.coming_key.is_empty() {
            self.new_key = std::mem::take(&mut self.coming_key);
            self.generation += 1;
            self.counter = 0;
            self.floors.clear();
        }
    }

    fn failed_attempts(&self, client: ClientSap, _: ServerSap, source: Source) -> FailedAttempts {
        self.attempts.get(&client).map_or(FailedAttempts::NONE, |attempts| attempts.get(source))
    }

    fn set_failed_attempts(&mut self, client: ClientSap, _: ServerSap, source: Source, attempts: FailedAttempts) {
        self.attempts.entry(client).or_default().set(source, attempts);
    }

    fn response_protection(&self, _: &Access, member: Member) -> Protection {
        if member == Member::Attribute(REGISTER) { self.register_response } else { Protection::NONE }
    }

    fn general_keys(&self, _: ClientSap, _: ServerSap, _: Option<SystemTitle>) -> GeneralKeys<'_> {
        let Some(keys) = &self.keys else { return GeneralKeys::default() };
        GeneralKeys {
            kek: Some(&keys.kek),
            signing: Some(&keys.signing),
            agreement: Some(&keys.agreement),
            peer_signature: Some(&keys.client_signature),
            peer_agreement: Some(&keys.client_agreement),
            ..GeneralKeys::default()
        }
    }

    fn accept_transaction(&mut self, _: ServerSap, _: u8, peer: SystemTitle, transaction: VerifiedTransaction) -> bool {
        assert_eq!(peer, CLIENT_TITLE);
        self.keys.as_mut().is_some_and(|keys| keys.transactions.accept(transaction).is_ok())
    }

    fn quirks(&self, _: ClientSap, _: ServerSap) -> Option<Quirks> {
        self.quirks
    }

    fn deviated(&mut self, _: ClientSap, _: ServerSap, met: Deviations) {
        assert!(!met.is_empty());
        self.deviations.count(met);
    }

    fn take_transaction(&mut self, _: ServerSap, _: u8) -> Option<u64> {
        let next = self.keys.as_mut()?.next_transaction.as_mut()?;
        *next += 1;
        Some(*next)
    }

    fn audit(&mut self, event: AuditEvent) {
        self.audit.push(format!("{event:?}"));
    }
}
