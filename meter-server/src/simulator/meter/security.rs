//! Keys, counters, policies and failed attempts of one simulated meter, and what of them outlives a restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::{Attempts, FailedAttempts, Source};
use dlms::id::{ClientSap, SystemTitle};
use dlms::security::certificate::{CertificateError, Purpose};
use dlms::security::general::{GeneralKeys, VerifiedTransaction};
use dlms::security::{
    KeyEncryptionKey, Random, RustCrypto, SecurityPolicy, Suite, TransferredKey, unwrap_key, wrap_key,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::counters::Counters;
use crate::journal::{Found, Journal, OVERHEAD};
use crate::moment::Moment;
use crate::objects::{ClientKey, NewKeys, PUBLIC_KEYS_RECORD, PublicKeys};
use crate::simulator::keys::Keys;
use crate::simulator::meter::MeterIdentity;
use crate::simulator::meter::secrets::Secrets;
use crate::simulator::model::Model;
use crate::simulator::net::OsRandom;
use crate::simulator::small_map::SmallMap;
use crate::simulator::state::State;
use crate::transactions::Transactions;

/// 2026-01-01 00:00 UTC in seconds.
const EPOCH_SECONDS: i64 = 1_767_225_600;
/// Values set aside for each second of the wall clock; 32 bits last for eight years of them.
const PER_SECOND: i64 = 16;
/// Octets of the longest record.
const RECORD_OCTETS: usize = 4_096;
/// Sources whose failed attempts are told apart, for each client.
const SOURCES: usize = 8;
/// Keys that are transferred.
const PURPOSES: [WrappedFor; 4] =
    [WrappedFor::Unicast, WrappedFor::Broadcast, WrappedFor::Authentication, WrappedFor::Master];

/// What a meter kept cannot be used.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error("both copies are broken")]
    Lost,
    #[error("the record cannot be read: {0}")]
    Record(#[from] serde_json::Error),
    #[error("keys that were transferred are wrapped under another master key")]
    Keys,
    #[error("passwords that were set are wrapped under another master key")]
    Secrets,
    #[error("key pairs and certificates are those of another suite or under another master key")]
    PublicKeys,
    #[error("what was kept of the M-Bus is of another model, or wrapped under another master key")]
    MBus,
    #[error("a certificate of the model does not fit this meter: {0}")]
    Certificate(CertificateError),
}

/// One security setup of one meter.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) number: u8,
    pub(super) policy: SecurityPolicy,
    /// The client heard last.
    pub(super) client_title: Option<SystemTitle>,
}

/// What is kept of a meter's security besides its counters. Keys are wrapped under the fleet's master key, which is not
/// kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Policy of each setup, as the bits of version 1.
    policies: BTreeMap<u8, u8>,
    /// How often the unicast and the broadcast key were replaced.
    unicast_generation: u32,
    broadcast_generation: u32,
    keys: BTreeMap<WrappedFor, String>,
    /// Client, source and failures.
    #[serde(default)]
    failures: Vec<(u16, u64, u32)>,
    /// Where each client succeeded last.
    #[serde(default)]
    succeeded: BTreeMap<u16, u64>,
    /// Passwords and HLS secrets that clients have set, wrapped.
    #[serde(default)]
    secrets: BTreeMap<u16, String>,
    /// Number of the last token that was executed.
    #[serde(default)]
    token_number: u32,
}

/// What is kept of a client's failures.
fn failures<'a>(client: &'a ClientSap, attempts: &'a Attempts<SOURCES>) -> impl Iterator<Item = (u16, u64, u32)> + 'a {
    let failing = attempts.iter().filter(|(_, attempts)| attempts.count > 0);
    failing.map(|(source, attempts)| (client.0, source.0, attempts.count))
}

/// The attempts of a client as which nobody fails, and which succeeded last from there.
fn beginning(succeeded: Option<&Source>) -> Box<Attempts<SOURCES>> {
    let mut attempts = Box::<Attempts<SOURCES>>::default();
    if let Some(source) = succeeded {
        attempts.set(*source, FailedAttempts::NONE);
    }
    attempts
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrappedFor {
    Unicast,
    Broadcast,
    Authentication,
    Master,
}

/// Security of one meter. All its setups share its keys, and therefore its counters: were each setup to count for
/// itself, two of them would use the same nonces, and what one has taken could be replayed to the other.
#[derive(Debug)]
pub(crate) struct Security {
    fleet: Arc<Keys>,
    suite: Suite,
    /// In suites 1 and 2.
    public_keys: Option<Box<PublicKeys>>,
    public_keys_journal: Journal<State>,
    /// Those of clients that its certificates lead to.
    client_keys: Vec<ClientKey>,
    /// `None` before the first use where nothing is remembered.
    transactions: Option<Box<Transactions<State>>>,
    /// The first own transaction-id where nothing is remembered.
    first_transaction: u64,
    random: OsRandom,
    /// Keys that were transferred; the fleet's hold where there is none.
    own: NewKeys,
    /// The master key among them.
    master: Option<KeyEncryptionKey>,
    /// Keys that will be in force once the response to their transfer is made.
    coming: Option<Box<NewKeys>>,
    unicast_generation: u32,
    broadcast_generation: u32,
    /// Changes with any key.
    generation: u32,
    pub(super) setups: Vec<Setup>,
    counters: Counters<State>,
    /// `None` before the first use where nothing is remembered.
    broadcast_counters: Option<Box<Counters<State>>>,
    /// Where each client succeeded last, so that no others keep it out from there.
    succeeded: SmallMap<ClientSap, Source>,
    /// Of clients that somebody fails as.
    failed: SmallMap<ClientSap, Box<Attempts<SOURCES>>>,
    secrets: Secrets,
    /// Of the last token that was executed.
    token_number: u32,
    /// Whether it remembers anything at all.
    is_kept: bool,
    journal: Journal<State>,
}

impl Security {
    /// What the meter with this serial number remembers in `folder`, or how it begins.
    ///
    /// A simulator without a folder remembers nothing, yet must never use a counter twice with the same key. So the
    /// transmit counter starts from the wall clock, which goes on while the simulator is down; as long as a meter
    /// sends no more than 16 APDUs a second on the average, a restart starts above what was used. Floors start at zero: a
    /// simulator that forgets accepts what its predecessor would have called a replay.
    pub(crate) fn open(
        fleet: Arc<Keys>,
        model: &Model,
        folder: Option<&Path>,
        identity: &MeterIdentity,
        wall: Moment,
    ) -> Result<Self, StateError> {
        let (suite, serial) = (model.suite, identity.serial.as_str());
        let (public_keys_journal, public_keys) = open_public_keys(&fleet, model, folder, identity)?;
        let mut room = vec![0; RECORD_OCTETS + OVERHEAD];
        let (journal, found) = Journal::open(State::new(folder, serial, "security"), &mut room);
        let record = match found {
            Found::Nothing => Record::default(),
            Found::Record(length) => serde_json::from_slice(room.get(..length).unwrap_or_default())?,
            Found::Lost => return Err(StateError::Lost),
        };
        let mut own = NewKeys::default();
        for (purpose, wrapped) in &record.keys {
            let wrapped = hex::decode(wrapped).map_err(|_| StateError::Keys)?;
            let master = fleet.master.as_ref().ok_or(StateError::Keys)?;
            let key = unwrap_key::<RustCrypto>(suite, master, &wrapped).map_err(|_| StateError::Keys)?;
            *place(&mut own, *purpose) = Some(key);
        }
        let setups = model.setups.iter().map(|setup| Setup {
            number: setup.number,
            policy: record
                .policies
                .get(&setup.number)
                .and_then(|bits| SecurityPolicy::from_v1(*bits))
                .unwrap_or(setup.policy),
            client_title: None,
        });
        let counters = |record: &str, generation: u32| {
            // A key that was transferred was never used before.
            let first = if generation == 0 { first_counter(wall) } else { 0 };
            Counters::open(State::new(folder, serial, record), generation, first).map_err(|_| StateError::Lost)
        };
        // Time without power does not count: a lockout begins anew with the simulator.
        let last = dlms::Instant::from_millis(0);
        let known = record.succeeded.iter().map(|(client, source)| (ClientSap(*client), Source(*source)));
        let succeeded: SmallMap<_, _> = known.collect();
        let mut failed = SmallMap::<_, Box<Attempts<SOURCES>>>::default();
        for (client, source, count) in &record.failures {
            let attempts = FailedAttempts { count: *count, last };
            let client = ClientSap(*client);
            let all = failed.get_or_insert_with(client, || beginning(succeeded.get(&client)));
            all.set(Source(*source), attempts);
        }
        let secrets = Secrets::unwrapped(&record.secrets, fleet.master.as_ref()).ok_or(StateError::Secrets)?;
        let first_transaction = first_transaction(wall);
        let transactions = match folder {
            None => None,
            Some(_) => {
                let slots = State::new(folder, serial, "transactions");
                let opened = Transactions::open(slots, first_transaction).map_err(|_| StateError::Lost)?;
                Some(Box::new(opened))
            }
        };
        let client_keys = client_keys(suite, public_keys.as_deref());
        Ok(Self {
            client_keys,
            transactions,
            first_transaction,
            secrets,
            token_number: record.token_number,
            is_kept: folder.is_some(),
            master: own.master.as_ref().and_then(|key| as_master(suite, key)),
            suite,
            public_keys,
            public_keys_journal,
            random: OsRandom,
            own,
            coming: None,
            unicast_generation: record.unicast_generation,
            broadcast_generation: record.broadcast_generation,
            generation: 0,
            setups: setups.collect(),
            counters: counters("counters", record.unicast_generation)?,
            broadcast_counters: match folder {
                Some(_) => Some(Box::new(counters("broadcast-counters", record.broadcast_generation)?)),
                None => None,
            },
            succeeded,
            failed,
            fleet,
            journal,
        })
    }

    /// The keys that the meter was delivered with.
    pub(super) fn keys(&self) -> &Keys {
        &self.fleet
    }

    pub(crate) fn encryption(&self) -> &[u8] {
        self.own.unicast.as_ref().map_or(self.fleet.encryption.as_bytes(), TransferredKey::as_bytes)
    }

    /// Password, or HLS secret, of clients that have set none.
    pub(crate) fn password(&self) -> &[u8] {
        self.fleet.password.as_bytes()
    }

    /// The secret that a client has set, if it did.
    pub(crate) fn secret(&self, client: ClientSap) -> Option<&[u8]> {
        self.secrets.get(client)
    }

    /// Sets a secret, if it can be kept.
    pub(super) fn set_secret(&mut self, client: ClientSap, secret: &[u8]) -> Result<(), DataAccessResult> {
        let before = self.secrets.replace(client, Some(secret)).ok_or(DataAccessResult::OtherReason)?;
        if self.keep() {
            return Ok(());
        }
        self.secrets.replace(client, before.as_deref());
        Err(DataAccessResult::OtherReason)
    }

    /// Number of the last token that was executed.
    pub(super) const fn token_number(&self) -> u32 {
        self.token_number
    }

    /// Keeps the number of a token that is about to be executed.
    pub(super) fn keep_token_number(&mut self, number: u32) -> bool {
        let before = std::mem::replace(&mut self.token_number, number);
        let kept = self.keep();
        if !kept {
            self.token_number = before;
        }
        kept
    }

    pub(crate) fn authentication(&self) -> &[u8] {
        self.own.authentication.as_ref().map_or(self.fleet.authentication.as_bytes(), TransferredKey::as_bytes)
    }

    pub(crate) fn broadcast(&self) -> Option<&[u8]> {
        let fleet = self.fleet.broadcast.as_ref().map(|key| key.as_bytes());
        self.own.broadcast.as_ref().map(TransferredKey::as_bytes).or(fleet)
    }

    pub(crate) fn master(&self) -> Option<&KeyEncryptionKey> {
        self.master.as_ref().or(self.fleet.master.as_ref())
    }

    pub(crate) const fn suite(&self) -> Suite {
        self.suite
    }

    pub(super) fn public_keys(&self) -> Option<&PublicKeys> {
        self.public_keys.as_deref()
    }

    pub(super) fn public_keys_mut(&mut self) -> Option<(&mut PublicKeys, &mut dyn Random)> {
        let keys = self.public_keys.as_deref_mut()?;
        Some((keys, &mut self.random))
    }

    /// Keeps key pairs and certificates, private keys wrapped under the fleet's master key.
    pub(super) fn keep_public_keys(&mut self) -> bool {
        let (Some(keys), Some(master)) = (&self.public_keys, &self.fleet.master) else { return false };
        let mut room = vec![0; PUBLIC_KEYS_RECORD + OVERHEAD];
        let record = room.get_mut(Journal::<State>::HEAD..).unwrap_or_default();
        let Some(length) = keys.encode::<RustCrypto>(master, record) else { return false };
        let kept = self.public_keys_journal.keep(&mut room, length);
        if kept {
            self.client_keys = client_keys(self.suite, Some(keys));
        }
        kept
    }

    /// Keys between the meter and `peer`, at a moment in seconds since 1970 in UTC.
    pub(super) fn general_keys(&self, peer: Option<SystemTitle>, now: Option<u64>) -> GeneralKeys<'_> {
        let own = |purpose| self.public_keys.as_ref().and_then(|keys| keys.private_key(purpose));
        let of_peer = |purpose| {
            let keys = self.client_keys.iter();
            let mut keys = keys.filter(|known| Some(known.client) == peer && known.purpose == purpose);
            keys.find(|known| known.is_valid(now)).map(|known| &known.key)
        };
        GeneralKeys {
            kek: self.master(),
            signing: own(Purpose::Signature),
            agreement: own(Purpose::KeyAgreement),
            peer_signature: of_peer(Purpose::Signature),
            peer_agreement: of_peer(Purpose::KeyAgreement),
            ..GeneralKeys::default()
        }
    }

    fn transactions(&mut self) -> Option<&mut Transactions<State>> {
        if self.transactions.is_none() {
            let nothing_kept = Transactions::open(State::new(None, "", ""), self.first_transaction);
            self.transactions = nothing_kept.ok().map(Box::new);
        }
        self.transactions.as_deref_mut()
    }

    /// A transaction-id of `peer` was verified; whether it is new, and kept for good.
    pub(super) fn accept_transaction(&mut self, peer: SystemTitle, transaction: VerifiedTransaction) -> bool {
        self.transactions().is_some_and(|transactions| transactions.accept(peer, transaction))
    }

    /// The next transaction-id of what the meter sends of itself.
    pub(super) fn take_transaction(&mut self) -> Option<u64> {
        self.transactions()?.take()
    }

    pub(super) fn setup(&self, number: u8) -> Option<&Setup> {
        self.setups.iter().find(|setup| setup.number == number)
    }

    pub(super) fn setup_mut(&mut self, number: u8) -> Option<&mut Setup> {
        self.setups.iter_mut().find(|setup| setup.number == number)
    }

    /// The counters of the unicast key.
    pub(crate) const fn counters(&self) -> &Counters<State> {
        &self.counters
    }

    pub(crate) const fn counters_mut(&mut self) -> &mut Counters<State> {
        &mut self.counters
    }

    /// The lowest counter of the broadcast key that is acceptable from `peer`.
    pub(crate) fn broadcast_floor(&self, peer: SystemTitle) -> u32 {
        self.broadcast_counters.as_ref().map_or(0, |counters| counters.floor(peer))
    }

    /// A counter of the broadcast key was verified.
    pub(crate) fn accept_broadcast(&mut self, peer: SystemTitle, counter: u32) {
        if self.broadcast_counters.is_none() {
            let nothing_kept = Counters::open(State::new(None, "", ""), self.broadcast_generation, 0);
            self.broadcast_counters = nothing_kept.ok().map(Box::new);
        }
        if let Some(counters) = &mut self.broadcast_counters {
            counters.accept(peer, counter);
        }
    }

    /// The counters of the unicast key begin anew, and those of its clients are forgotten.
    pub(crate) fn reset_counters(&mut self) {
        self.counters.restart(self.unicast_generation);
        if let Some(counters) = &mut self.broadcast_counters {
            counters.restart(self.broadcast_generation);
        }
    }

    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn failed_attempts(&self, client: ClientSap, source: Source) -> FailedAttempts {
        self.failed.get(&client).map_or(FailedAttempts::NONE, |attempts| attempts.get(source))
    }

    pub(crate) fn set_failed_attempts(&mut self, client: ClientSap, source: Source, attempts: FailedAttempts) {
        let mut changed = false;
        if self.failed.contains_key(&client) || attempts != FailedAttempts::NONE {
            let all = self.failed.get_or_insert_with(client, || beginning(self.succeeded.get(&client)));
            changed = all.get(source) != attempts;
            all.set(source, attempts);
            if !all.is_failing() {
                self.failed.remove(&client);
            }
        }
        if attempts == FailedAttempts::NONE {
            changed |= self.succeeded.insert(client, source) != Some(source);
        }
        if changed {
            self.keep();
        }
    }

    /// Puts a policy in force, if it can be kept.
    pub(super) fn activate(&mut self, number: u8, policy: SecurityPolicy) -> Result<(), ActionResult> {
        let setup = self.setup_mut(number).ok_or(ActionResult::ObjectUnavailable)?;
        let before = std::mem::replace(&mut setup.policy, policy);
        if self.keep() {
            return Ok(());
        }
        if let Some(setup) = self.setup_mut(number) {
            setup.policy = before;
        }
        Err(ActionResult::OtherReason)
    }

    /// Keeps new keys; they are put in force by [`answered`](Self::answered).
    pub(super) fn replace(&mut self, mut keys: NewKeys) -> Result<(), ActionResult> {
        let before = self.coming.is_some();
        let given = PURPOSES.map(|purpose| (purpose, key(&keys, purpose).is_some()));
        let swap = |coming: &mut NewKeys, keys: &mut NewKeys| {
            for (purpose, _) in given.iter().filter(|(_, given)| *given) {
                std::mem::swap(place(coming, *purpose), place(keys, *purpose));
            }
        };
        // A request with several transfers puts all of them in force together.
        swap(self.coming.get_or_insert_default(), &mut keys);
        if self.keep() {
            return Ok(());
        }
        match &mut self.coming {
            Some(coming) if before => swap(coming, &mut keys),
            coming => *coming = None,
        }
        Err(ActionResult::OtherReason)
    }

    /// Generations of the keys as they will be when the present request is answered: what is kept with the keys to come.
    fn coming_generations(&self) -> (u32, u32) {
        let of = |generation: u32, purpose: WrappedFor| {
            let comes = self.coming.as_ref().is_some_and(|keys| key(keys, purpose).is_some());
            generation.saturating_add(u32::from(comes))
        };
        (of(self.unicast_generation, WrappedFor::Unicast), of(self.broadcast_generation, WrappedFor::Broadcast))
    }

    /// Puts keys in force that came with the request which is answered now; those that are kept already if power fails
    /// here. Returns whether there were any.
    pub(crate) fn answered(&mut self) -> bool {
        let Some(coming) = self.coming.take() else { return false };
        self.generation = self.generation.wrapping_add(1);
        let NewKeys { unicast, broadcast, authentication, master } = *coming;
        if unicast.is_some() {
            self.unicast_generation = self.unicast_generation.saturating_add(1);
            self.counters.restart(self.unicast_generation);
            self.own.unicast = unicast;
        }
        if broadcast.is_some() {
            self.broadcast_generation = self.broadcast_generation.saturating_add(1);
            if let Some(counters) = &mut self.broadcast_counters {
                counters.restart(self.broadcast_generation);
            }
            self.own.broadcast = broadcast;
        }
        if authentication.is_some() {
            self.own.authentication = authentication;
        }
        if master.is_some() {
            self.master = master.as_ref().and_then(|key| as_master(self.suite, key));
            self.own.master = master;
        }
        true
    }

    /// Keeps policies, keys and failed attempts.
    fn keep(&mut self) -> bool {
        let (unicast_generation, broadcast_generation) = self.coming_generations();
        let mut record = Record {
            policies: self.setups.iter().map(|setup| (setup.number, setup.policy.to_v1())).collect(),
            unicast_generation,
            broadcast_generation,
            keys: BTreeMap::new(),
            succeeded: self.succeeded.iter().map(|(client, source)| (client.0, source.0)).collect(),
            failures: self.failed.iter().flat_map(|(client, attempts)| failures(client, attempts)).collect(),
            secrets: BTreeMap::new(),
            token_number: self.token_number,
        };
        if self.is_kept {
            // Without a master key there is nothing that they could be kept under.
            let Some(secrets) = self.secrets.wrapped(self.fleet.master.as_ref()) else { return false };
            record.secrets = secrets;
        }
        for purpose in PURPOSES {
            let coming = self.coming.as_ref().and_then(|keys| key(keys, purpose));
            let Some(key) = coming.or(key(&self.own, purpose)) else { continue };
            let Some(master) = &self.fleet.master else { return false };
            let Ok(wrapped) = wrap_key::<RustCrypto>(self.suite, master, key.as_bytes()) else { return false };
            record.keys.insert(purpose, hex::encode(wrapped.as_bytes()));
        }
        let Ok(json) = serde_json::to_vec(&record) else { return false };
        let mut room = vec![0; json.len() + OVERHEAD];
        room[Journal::<State>::HEAD..Journal::<State>::HEAD + json.len()].copy_from_slice(&json);
        json.len() <= RECORD_OCTETS && self.journal.keep(&mut room, json.len())
    }
}

fn as_master(suite: Suite, key: &TransferredKey) -> Option<KeyEncryptionKey> {
    KeyEncryptionKey::from_slice(suite, key.as_bytes()).ok()
}

/// Key pairs and certificates that the meter remembers, or else those that its model begins with; `None` in suite 0.
fn open_public_keys(
    fleet: &Keys,
    model: &Model,
    folder: Option<&Path>,
    identity: &MeterIdentity,
) -> Result<(Journal<State>, Option<Box<PublicKeys>>), StateError> {
    let slots = State::new(folder, &identity.serial, "certificates");
    if model.suite.curve().is_none() {
        return Ok((Journal::open(slots, &mut []).0, None));
    }
    let mut room = vec![0; PUBLIC_KEYS_RECORD + OVERHEAD];
    let (journal, found) = Journal::open(slots, &mut room);
    let keys = match found {
        Found::Lost => return Err(StateError::Lost),
        Found::Record(length) => {
            let master = fleet.master.as_ref().ok_or(StateError::PublicKeys)?;
            let record = room.get(..length).unwrap_or_default();
            PublicKeys::decode::<RustCrypto>(model.suite, master, record).ok_or(StateError::PublicKeys)?
        }
        Found::Nothing => {
            let initial = model.initial_keys.of_meter(model.suite, identity.system_title);
            initial.map_err(StateError::Certificate)?
        }
    };
    Ok((journal, Some(Box::new(keys))))
}

const fn key(keys: &NewKeys, purpose: WrappedFor) -> Option<&TransferredKey> {
    match purpose {
        WrappedFor::Unicast => keys.unicast.as_ref(),
        WrappedFor::Broadcast => keys.broadcast.as_ref(),
        WrappedFor::Authentication => keys.authentication.as_ref(),
        WrappedFor::Master => keys.master.as_ref(),
    }
}

const fn place(keys: &mut NewKeys, purpose: WrappedFor) -> &mut Option<TransferredKey> {
    match purpose {
        WrappedFor::Unicast => &mut keys.unicast,
        WrappedFor::Broadcast => &mut keys.broadcast,
        WrappedFor::Authentication => &mut keys.authentication,
        WrappedFor::Master => &mut keys.master,
    }
}

/// The first transmit counter of a simulator that starts at the wall-clock moment `now` and remembers none.
pub(in crate::simulator) fn first_counter(now: Moment) -> u32 {
    let passed_ms = now.as_millis().saturating_sub(EPOCH_SECONDS * 1000).max(0);
    u32::try_from(passed_ms.saturating_mul(PER_SECOND) / 1000).unwrap_or(u32::MAX)
}

/// The same for transaction-ids, of which there are enough.
fn first_transaction(now: Moment) -> u64 {
    let passed_ms = now.as_millis().saturating_sub(EPOCH_SECONDS * 1000);
    u64::try_from(passed_ms.saturating_mul(PER_SECOND)).unwrap_or(0)
}

/// What certificates say of clients, verified once.
fn client_keys(suite: Suite, keys: Option<&PublicKeys>) -> Vec<ClientKey> {
    keys.map_or_else(Vec::new, |keys| keys.client_keys::<RustCrypto>(suite).collect())
}
