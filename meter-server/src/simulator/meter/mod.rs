//! The state of one simulated meter, and what its objects ask of it.

mod agenda;
mod alarms;
mod billing;
pub(crate) mod clock;
mod constants;
mod defects;
pub(crate) mod events;
pub(crate) mod firmware;
pub(crate) mod fixed_rows;
pub(crate) mod kept;
pub(crate) mod mbus;
pub(crate) mod measured;
mod memory;
pub(crate) mod number;
mod outgoing;
pub(crate) mod prepayment;
pub(crate) mod push;
mod push_body;
mod push_protection;
pub(crate) mod rows;
mod schedules;
mod secrets;
pub(crate) mod security;
mod shown;
pub(crate) mod supervision;
pub(crate) mod supply;
pub(crate) mod tariff;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::security::general::{GeneralKeys, VerifiedTransaction};
use dlms::security::{KeyEncryptionKey, Random, RustCrypto, SecurityPolicy};
use dlms::time::ClockStatus;

pub use self::firmware::ImageBank;
pub use self::outgoing::{Carrier, Notification};

use self::agenda::Agenda;
use self::billing::Billing;
use self::clock::MeterClock;
use self::constants::Written;
use self::defects::Defects;
use self::events::{LogKind, Logs, code};
use self::firmware::Firmware;
use self::mbus::Mbus;
use self::measured::Measurement;
use self::memory::Memory;
use self::outgoing::Outgoing;
use self::push::Pushes;
use self::rows::ProfileState;
use self::security::{Security, Setup};
use self::supervision::Supervision;
use self::supply::Supply;
use self::tariff::Tariffs;
use crate::alarms::Alarms;
use crate::counters::Counters;
use crate::demand::DemandWindow;
use crate::moment::Moment;
use crate::objects::{
    AssociationDescription, AssociationState, ClockSettings, ClockState, ControlState, NewKeys, PrepaymentState,
    PublicKeys, SapState, SecurityDescription, SecurityState, Switch, SwitchEvent, SwitchState,
};
use crate::prepayment::Prepayment;
use crate::simulator::consumption::{Consumption, Noise};
use crate::simulator::defect::DefectKind;
use crate::simulator::model::Model;
use crate::simulator::small_map::SmallMap;
use crate::simulator::state::State;

/// Who a meter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterIdentity {
    /// The logical device's SAP.
    pub server: ServerSap,
    /// Serial number.
    pub serial: String,
    /// Logical device name: manufacturer, type, serial number.
    pub logical_device_name: String,
    /// System title.
    pub system_title: SystemTitle,
}

/// One simulated meter.
///
/// Everything measured is computed from the seed and the moment; what is kept here is what clients changed and what
/// security demands.
#[derive(Debug)]
pub struct Meter {
    model: Arc<Model>,
    identity: MeterIdentity,
    /// All logical devices of the same physical device.
    neighbours: Arc<[(ServerSap, String)]>,
    consumption: Consumption,
    measurement: Measurement,
    clock: MeterClock,
    switch: Switch,
    logs: Logs,
    alarms: Alarms,
    /// Values that clients wrote, as A-XDR, by slot.
    stored: SmallMap<usize, Box<[u8]>>,
    constants: Written,
    profiles: BTreeMap<usize, ProfileState>,
    security: Security,
    associated: BTreeMap<ClientSap, u32>,
    agenda: Agenda,
    outgoing: Outgoing,
    pushes: Pushes,
    /// Attributes that clients or scripts wrote, as A-XDR, by slot and attribute.
    kept: SmallMap<(usize, i8), Box<[u8]>>,
    /// Scripts that are running, each called by the one before.
    script_depth: u8,
    /// Steps that they have done.
    script_steps: u16,
    tariffs: Tariffs,
    defects: Defects,
    firmware: Firmware,
    billing: Billing,
    supervision: Supervision,
    /// Where supply is paid for in advance.
    account: Option<Box<Prepayment>>,
    /// The switch is open for want of credit, so that credit closes it.
    unpaid: bool,
    /// Demand registers that average otherwise than the model says, by slot.
    demands: BTreeMap<usize, DemandWindow>,
    /// A script runs because of what the meter has found itself.
    acts_locally: bool,
    mbus: Mbus,
    memory: Memory,
}

impl Meter {
    /// The meter `identity` of `model` with `seed`, at the simulated moment `now`.
    pub(crate) fn new(
        model: Arc<Model>,
        identity: MeterIdentity,
        neighbours: Arc<[(ServerSap, String)]>,
        seed: u64,
        now: Moment,
        security: Security,
    ) -> Self {
        let noise = Noise::new(seed).stream(100);
        let consumption = Consumption::new(&model.installation, seed);
        let installed = Moment::from_millis(consumption.installed_ms());
        let error_ms = (noise.signed(0) * model.clock_error_ms) as i64;
        let drift_ppm = noise.signed(1) * model.drift_ppm;
        let clock = MeterClock::new(model.clock.clone(), now, now.plus_millis(error_ms), drift_ppm);
        let supply = Supply::new(model.installation.voltage, model.limits);
        let logs = Logs::new(noise.stream(2), installed, supply, model.clock.clone());
        let account = Self::new_account(model.prepayment.as_ref(), security.token_number(), now);
        Self {
            alarms: Alarms::new(model.alarms.layout, model.alarms.filters),
            agenda: Agenda::new(now, &logs, model.alarms.layout),
            switch: model.switch,
            model,
            identity,
            neighbours,
            consumption,
            measurement: Measurement::default(),
            clock,
            logs,
            stored: SmallMap::default(),
            constants: Written::default(),
            profiles: BTreeMap::new(),
            security,
            associated: BTreeMap::new(),
            outgoing: Outgoing::default(),
            pushes: Pushes::new(noise.stream(3)),
            kept: SmallMap::default(),
            script_depth: 0,
            script_steps: 0,
            tariffs: Tariffs::default(),
            defects: Defects::default(),
            firmware: Firmware::default(),
            billing: Billing::default(),
            supervision: Supervision::default(),
            account,
            unpaid: false,
            demands: BTreeMap::new(),
            acts_locally: false,
            mbus: Mbus::new(seed),
            memory: Memory::default(),
        }
    }

    /// Who the meter is.
    pub const fn identity(&self) -> &MeterIdentity {
        &self.identity
    }

    /// The model it was made from.
    pub(crate) const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    fn setup(&self, number: u8) -> Option<&Setup> {
        self.security.setup(number)
    }

    /// Keys, counters and failed attempts.
    pub(crate) const fn security(&self) -> &Security {
        &self.security
    }

    /// Keys, counters and failed attempts, to be changed.
    pub(crate) const fn security_mut(&mut self) -> &mut Security {
        &mut self.security
    }

    /// The policy in force in a security setup.
    pub(crate) fn policy(&self, setup: u8) -> Option<SecurityPolicy> {
        self.setup(setup).map(|setup| setup.policy)
    }

    /// The counters of a security setup's encryption key, which all setups share.
    pub(crate) fn counters(&self, setup: u8) -> Option<&Counters<State>> {
        self.setup(setup).map(|_| self.security.counters())
    }

    /// The next transmit counter of a security setup.
    pub(crate) fn take_counter(&mut self, setup: u8) -> Option<u32> {
        self.setup(setup)?;
        self.repeated_counter(|meter| meter.security.counters_mut().take())
    }

    /// A counter of `peer` was verified.
    pub(crate) fn accept_counter(&mut self, setup: u8, peer: SystemTitle, counter: u32) {
        if let Some(setup) = self.security.setup_mut(setup) {
            setup.client_title = Some(peer);
            self.security.counters_mut().accept(peer, counter);
        }
    }

    /// Keys for general-ciphering, general-signing and HLS 7 between the meter and `peer`.
    pub(crate) fn general_keys(&self, peer: Option<SystemTitle>, at: Moment) -> GeneralKeys<'_> {
        self.security.general_keys(peer, self.trusted_time(at))
    }

    /// A transaction-id of `peer` was verified; whether it is new.
    pub(crate) fn accept_transaction(
        &mut self,
        setup: u8,
        peer: SystemTitle,
        transaction: VerifiedTransaction,
    ) -> bool {
        let accepted = self.setup(setup).is_some() && self.security.accept_transaction(peer, transaction);
        if let Some(setup) = self.security.setup_mut(setup).filter(|_| accepted) {
            setup.client_title = Some(peer);
        }
        accepted
    }

    /// The next transaction-id of what the meter sends of itself.
    pub(crate) fn take_transaction(&mut self, setup: u8) -> Option<u64> {
        self.setup(setup)?;
        self.security.take_transaction()
    }

    /// The secret that a client wrote, if it did.
    pub(crate) fn secret(&self, client: ClientSap) -> Option<&[u8]> {
        self.security.secret(client)
    }

    /// Counts open associations of a client.
    pub(crate) fn associated(&mut self, client: ClientSap, opened: bool) {
        let count = self.associated.entry(client).or_default();
        *count = if opened { count.saturating_add(1) } else { count.saturating_sub(1) };
        if self.associated.values().all(|count| *count == 0) {
            self.rest();
        }
    }

    /// Rests if nobody is associated, after the meter has done something by itself.
    pub(in crate::simulator) fn rest_alone(&mut self) {
        if self.associated.is_empty() {
            self.rest();
        }
    }

    /// Gives up memory for what can be worked out again: nobody is associated.
    fn rest(&mut self) {
        self.associated = BTreeMap::new();
        self.consumption.rest();
        self.mbus.rest();
        self.logs.close();
        self.tariffs.rest(&self.model.tariffs);
    }

    /// The start of the month at a moment, by the meter's calendar.
    fn start_of_month(&self, at: Moment) -> Moment {
        let date = self.stamp(at).date();
        let days = date.to_unix_days().unwrap_or(0) - i64::from(date.day().unwrap_or(1)) + 1;
        self.clock.settings.midnight(days)
    }
}

impl ClockState for Meter {
    fn settings(&self) -> &ClockSettings {
        &self.clock.settings
    }

    fn settings_mut(&mut self) -> &mut ClockSettings {
        self.times_changed();
        &mut self.clock.settings
    }

    fn shown(&self, at: Moment) -> Moment {
        self.clock.shown(at)
    }

    fn trust(&self, at: Moment) -> ClockStatus {
        self.clock.trust(at)
    }

    fn set_shown(&mut self, at: Moment, shown: Moment) {
        self.clock.set(at, shown);
        self.clock.is_valid(true, at);
        self.times_changed();
        self.record(LogKind::Standard, at, code::CLOCK_OLD_TIME);
        self.record(LogKind::Standard, at, code::CLOCK_NEW_TIME);
    }
}

impl SwitchState for Meter {
    fn switch(&self) -> Switch {
        self.switch
    }

    fn set_control_mode(&mut self, mode: u8) -> Result<(), DataAccessResult> {
        if self.switch.set_mode(mode) { Ok(()) } else { Err(DataAccessResult::OtherReason) }
    }

    fn operate(&mut self, event: SwitchEvent, at: Moment) -> Result<(), ActionResult> {
        let event = self.switch_event(event);
        if !self.switch.apply(event) {
            return Ok(());
        }
        if self.switch.is_connected() {
            self.unpaid = false;
        }
        self.consumption.switched(self.switch.is_connected(), at.as_millis());
        let code = match event {
            SwitchEvent::RemoteDisconnect => code::REMOTE_DISCONNECTION,
            SwitchEvent::RemoteReconnect if self.switch.state() == ControlState::ReadyForReconnection => {
                code::READY_FOR_RECONNECTION
            }
            SwitchEvent::RemoteReconnect => code::REMOTE_CONNECTION,
            SwitchEvent::ManualDisconnect => code::MANUAL_DISCONNECTION,
            SwitchEvent::ManualReconnect => code::MANUAL_CONNECTION,
            SwitchEvent::LocalDisconnect => code::LOCAL_DISCONNECTION,
            SwitchEvent::LocalReconnect => code::LOCAL_RECONNECTION,
        };
        self.record(LogKind::Disconnector, at, code);
        if self.switch.is_connected() && self.account.is_some() {
            // What is not paid for does not stay closed, whoever closes it.
            self.prepayment_changed(at);
        }
        Ok(())
    }
}

impl SapState for Meter {
    fn logical_devices(&self) -> usize {
        self.neighbours.len()
    }

    fn logical_device(&self, index: usize) -> Option<(ServerSap, &[u8])> {
        self.neighbours.get(index).map(|(sap, name)| (*sap, name.as_bytes()))
    }
}

impl SecurityState for Meter {
    type Crypto = RustCrypto;

    fn security(&self, setup: u8) -> Option<SecurityDescription> {
        let setup = self.setup(setup)?;
        Some(SecurityDescription {
            policy: setup.policy,
            suite: self.security.suite(),
            client_title: setup.client_title,
            server_title: self.identity.system_title,
        })
    }

    fn activate(&mut self, setup: u8, policy: SecurityPolicy) -> Result<(), ActionResult> {
        self.security.activate(setup, policy)
    }

    fn master_key(&self, setup: u8) -> Option<&KeyEncryptionKey> {
        self.setup(setup)?;
        self.security.master()
    }

    fn replace_keys(&mut self, _: u8, keys: NewKeys) -> Result<(), ActionResult> {
        if self.has_defect(DefectKind::RefuseKeys) {
            return Err(ActionResult::OtherReason);
        }
        self.security.replace(keys)
    }

    fn public_keys(&self, _: u8) -> Option<&PublicKeys> {
        self.security.public_keys()
    }

    fn public_keys_mut(&mut self, _: u8) -> Option<(&mut PublicKeys, &mut dyn Random)> {
        self.security.public_keys_mut()
    }

    fn keep_public_keys(&mut self, _: u8) -> bool {
        self.security.keep_public_keys()
    }

    /// The simulated time, whatever a client has made of the meter's clock.
    fn trusted_time(&self, at: Moment) -> Option<u64> {
        u64::try_from(at.as_seconds()).ok()
    }
}

impl AssociationState for Meter {
    fn description(&self, client: ClientSap) -> Option<AssociationDescription> {
        let association = self.model.association(client)?;
        Some(AssociationDescription {
            client,
            server: self.identity.server,
            ciphered: association.security_setup.is_some(),
            mechanism: association.mechanism,
            conformance: association.conformance,
            max_receive_pdu: association.max_pdu,
            max_send_pdu: association.max_pdu,
            security_setup: association.security_setup.map(|number| ObisCode::new(0, 0, 43, 0, number, 255)),
        })
    }

    fn is_associated(&self, client: ClientSap) -> bool {
        self.associated.get(&client).is_some_and(|count| *count > 0)
    }

    fn set_secret(&mut self, client: ClientSap, secret: &[u8]) -> Result<(), DataAccessResult> {
        self.security.set_secret(client, secret)
    }
}

#[cfg(test)]
mod tests;
