//! A meter's M-Bus: gas, heat and water meters behind it, and what its channels have captured.
//!
//! As long as no client has changed anything, all follows from the model and the seed, and nothing is kept. What is
//! changed is told apart in time ([`spell`]), so that rows of profiles that were captured before stay what they were.

mod kept;
mod rows;
mod slave;
mod spell;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use dlms::apdu::ActionResult;
use dlms::obis::ObisCode;

use self::kept::Record;
pub(crate) use self::rows::ValveRows;
pub(crate) use self::slave::{DeviceKind, ModelDevice, default_key};
use self::slave::{SimulatedBus, Slave};
use self::spell::{Spell, Spells};
use super::Meter;
use super::events::LogKind;
use super::security::StateError;
use crate::events::MBusEvent;
use crate::journal::{Found, Journal, OVERHEAD};
use crate::mbus::{Bus, CHANNELS, Channel, Element, Identity, Outcome, UNCONFIGURED, VALUES};
use crate::moment::Moment;
use crate::objects::{ControlState, MBusReading, MBusState, Switch};
use crate::simulator::consumption::tariff::SINGLE;
use crate::simulator::consumption::{Consumption, Noise, Quantity};
use crate::simulator::defect::DefectKind;
use crate::simulator::state::State;

/// Devices on the bus of a meter.
pub(crate) const DEVICES_MAX: usize = 8;
/// Entries of the log of a valve.
const VALVE_ENTRIES_MAX: usize = 64;
/// Octets of the longest record.
const RECORD_OCTETS: usize = 32_768;

/// What a model says about the M-Bus.
#[derive(Debug, Default)]
pub(crate) struct ModelMbus {
    pub(crate) devices: Vec<ModelDevice>,
    /// Objects of class 72 by channel.
    pub(crate) clients: BTreeMap<u8, ModelClient>,
    /// Control modes of the objects of class 70, by channel.
    pub(crate) valves: BTreeMap<u8, Switch>,
}

impl ModelMbus {
    /// Who the devices of the meter with this serial number are, in their order: eight digits, of which the last tells
    /// them apart.
    pub(crate) fn identities(&self, serial: &str) -> impl Iterator<Item = (&ModelDevice, Identity)> {
        let serial = serial.parse::<u64>().ok().and_then(|serial| u32::try_from(serial % 10_000_000).ok()).unwrap_or(0);
        self.devices.iter().zip(0..).map(move |(device, number)| {
            let identity = Identity {
                number: serial * 10 + number,
                manufacturer: device.manufacturer,
                version: device.version,
                device_type: device.kind.code(),
            };
            (device, identity)
        })
    }
}

/// An M-Bus client of a model.
#[derive(Clone, Debug)]
pub(crate) struct ModelClient {
    pub(crate) port: ObisCode,
    pub(crate) period_s: u32,
    /// What is captured of a device; where nothing is given, all that the device has.
    pub(crate) definition: Option<heapless::Vec<Element, VALUES>>,
}

/// The log of one valve: its state after each movement.
#[derive(Clone, Debug, Default)]
struct ValveLog {
    entries: VecDeque<(Moment, ControlState)>,
    /// Entries that were dropped.
    dropped: u64,
}

/// One channel, and what it has captured.
#[derive(Debug)]
struct ChannelState {
    channel: Channel,
    spells: Spells,
    /// Up to where the answers of the device are counted.
    counted: Moment,
    valve_log: ValveLog,
}

/// All of it.
#[derive(Debug)]
struct Neighbourhood {
    channels: Vec<ChannelState>,
    devices: Vec<Slave>,
}

impl Neighbourhood {
    fn copy(&self) -> Self {
        let state = |state: &ChannelState| ChannelState {
            channel: state.channel.copy(),
            spells: state.spells.clone(),
            counted: state.counted,
            valve_log: state.valve_log.clone(),
        };
        Self {
            channels: self.channels.iter().map(state).collect(),
            devices: self.devices.iter().map(Slave::copy).collect(),
        }
    }

    fn channel(&self, number: u8) -> Option<&ChannelState> {
        self.channels.get(usize::from(number).checked_sub(1)?)
    }

    /// The device that a channel speaks to.
    fn device_of(&self, channel: &Channel) -> Option<usize> {
        let there = |slave: &Slave| channel.is_installed() && slave.address == channel.address;
        self.devices.iter().position(there)
    }
}

/// The M-Bus of a meter.
#[derive(Debug, Default)]
pub(crate) struct Mbus {
    seed: u64,
    /// What is no longer as the model and the seed have it.
    changed: Option<Box<Neighbourhood>>,
    /// Where that is remembered.
    journal: Option<Box<Journal<State>>>,
    /// What flows through devices that somebody reads, by index.
    flows: RefCell<Vec<(usize, Consumption)>>,
}

impl Mbus {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, changed: None, journal: None, flows: RefCell::new(Vec::new()) }
    }

    /// Gives up what is kept to answer the next question faster.
    pub(super) fn rest(&mut self) {
        *self.flows.get_mut() = Vec::new();
    }
}

/// A device as a customer port shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownDevice {
    pub(crate) channel: u8,
    pub(crate) identity: Identity,
    /// The first value of its capture definition.
    pub(crate) reading: MBusReading,
    /// Whether that are megajoules; litres otherwise.
    pub(crate) is_heat: bool,
    pub(crate) valve: ControlState,
}

impl Meter {
    /// Takes up what the meter remembers of its M-Bus in `folder`.
    pub(crate) fn open_mbus(&mut self, folder: Option<&Path>) -> Result<(), StateError> {
        if folder.is_none() || self.model.mbus.clients.is_empty() {
            return Ok(());
        }
        let mut room = vec![0; RECORD_OCTETS + OVERHEAD];
        let (journal, found) = Journal::open(State::new(folder, &self.identity.serial, "mbus"), &mut room);
        self.mbus.journal = Some(Box::new(journal));
        match found {
            Found::Nothing => Ok(()),
            Found::Lost => Err(StateError::Lost),
            Found::Record(length) => {
                let record: Record = serde_json::from_slice(room.get(..length).unwrap_or_default())?;
                let mut all = self.untouched();
                let master = self.security.keys().master.as_ref();
                record.restore(&mut all, master).ok_or(StateError::MBus)?;
                self.mbus.changed = Some(Box::new(all));
                Ok(())
            }
        }
    }

    /// The M-Bus as model and seed have it.
    fn untouched(&self) -> Neighbourhood {
        let (model, installed) = (&self.model.mbus, self.installed());
        let slave = |(device, identity): (&ModelDevice, Identity)| Slave {
            identity,
            address: device.channel.unwrap_or(UNCONFIGURED),
            key: None,
            alarm: 0,
            access_number: 0,
            movements: Vec::new(),
        };
        let devices: Vec<_> = model.identities(&self.identity.serial).map(slave).collect();
        let channel = |number: u8| {
            let client = model.clients.get(&number);
            let device = model.devices.iter().position(|device| device.channel == Some(number));
            let definition = client.and_then(|client| client.definition.clone());
            let definition = definition.unwrap_or_else(|| definition_of(device.map(|index| &model.devices[index])));
            let port = client.map_or(ObisCode::new(0, number, 24, 6, 0, 255), |client| client.port);
            let period_s = client.map_or(0, |client| client.period_s);
            let valve = model.valves.get(&number).copied().or(Switch::new(0));
            let valve = valve.unwrap_or_else(|| unreachable!("control mode 0 is known"));
            let mut channel = Channel::new(port, definition, period_s, valve);
            if let Some(slave) = device.and_then(|index| devices.get(index)) {
                channel.address = slave.address;
                channel.identity = slave.identity;
                channel.last.identity = slave.identity;
            }
            let spell = Spell { from: installed, device, captured: installed, period_s };
            let (spells, valve_log) = (Spells(vec![spell]), ValveLog::default());
            ChannelState { channel, spells, counted: installed, valve_log }
        };
        Neighbourhood { channels: (1..=CHANNELS).map(channel).collect(), devices }
    }

    /// Looks at the M-Bus.
    fn with_mbus<T>(&self, look: impl FnOnce(&Neighbourhood) -> T) -> T {
        match &self.mbus.changed {
            Some(all) => look(all),
            None => look(&self.untouched()),
        }
    }

    /// What has flowed through a device by a moment, in whole litres or megajoules.
    fn flowed(&self, all: &Neighbourhood, device: usize, at: Moment) -> i64 {
        let mut flows = self.mbus.flows.borrow_mut();
        let place = flows.iter().position(|(known, _)| *known == device).unwrap_or_else(|| {
            let seed = Noise::new(self.mbus.seed).stream(200).bits(i64::try_from(device).unwrap_or(0));
            let mut flow = self.model.mbus.devices[device].consumption(&self.model.installation, seed);
            for (at_ms, open) in &all.devices[device].movements {
                flow.switched(*open, *at_ms);
            }
            flows.push((device, flow));
            flows.len() - 1
        });
        flows[place].1.energy(Quantity::ActiveImport, 0, at.as_millis(), &SINGLE)
    }

    /// Keeps what has changed; whether it is kept for good.
    fn keep_mbus(&mut self, all: &Neighbourhood) -> bool {
        let Some(journal) = &mut self.mbus.journal else { return true };
        let master = self.security.keys().master.as_ref();
        let Some(record) = Record::of(all, master) else { return false };
        let Ok(json) = serde_json::to_vec(&record) else { return false };
        if json.len() > RECORD_OCTETS {
            return false;
        }
        let mut room = vec![0; json.len() + OVERHEAD];
        room[Journal::<State>::HEAD..Journal::<State>::HEAD + json.len()].copy_from_slice(&json);
        journal.keep(&mut room, json.len())
    }

    /// The devices answer no longer, or again: every channel notices at once.
    pub(super) fn mbus_disturbed(&mut self, at: Moment) {
        for channel in 1..=CHANNELS {
            if self.look(channel, at, Channel::is_installed) {
                // Whether it failed is what the channel shows.
                let _ = self.act(channel, at, |channel, bus| channel.capture(bus, at));
            }
        }
    }

    /// The devices on all channels report an alarm.
    pub(super) fn mbus_alarmed(&mut self, at: Moment) {
        for channel in 1..=CHANNELS {
            let Some(device) = self.with_mbus(|all| all.device_of(&all.channel(channel)?.channel)) else { continue };
            let mut all = self.with_mbus(Neighbourhood::copy);
            all.devices[device].alarm |= 1;
            if !self.keep_mbus(&all) {
                continue;
            }
            self.mbus.changed = Some(Box::new(all));
            let _ = self.act(channel, at, |channel, bus| {
                let outcome = channel.capture(bus, at);
                channel.alarm |= 1;
                Outcome { event: Some(MBusEvent::Fraud), ..outcome }
            });
        }
    }

    /// The devices that customer ports show.
    pub(crate) fn shown_devices(&self, at: Moment) -> Vec<ShownDevice> {
        let clients = self.model.mbus.clients.keys();
        let shown = |channel: &u8| {
            let (identity, valve) = self.look(*channel, at, |channel| {
                channel.is_installed().then(|| (channel.identity, channel.valve.state()))
            })?;
            let reading = self.reading(*channel, 1, at);
            let is_heat = matches!(identity.device_type, 4 | 12);
            Some(ShownDevice { channel: *channel, identity, reading, is_heat, valve })
        };
        clients.filter_map(shown).collect()
    }

    /// Number of the device on a channel, eight digits; `None` without one.
    pub(crate) fn mbus_number(&self, channel: u8) -> Option<u32> {
        self.with_mbus(|all| {
            let channel = &all.channel(channel)?.channel;
            channel.is_installed().then_some(channel.identity.number)
        })
    }
}

/// All that a device has; of a channel without one, a volume.
fn definition_of(device: Option<&ModelDevice>) -> heapless::Vec<Element, VALUES> {
    // Eight digits in binary coded decimal.
    const DATA: u8 = 0x0C;
    let values = device.map_or(&[0x13][..], |device| device.kind.values());
    values.iter().filter_map(|value| Element::new(&[DATA], &[*value])).take(VALUES).collect()
}

impl MBusState for Meter {
    fn look<T>(&self, channel: u8, at: Moment, look: impl FnOnce(&Channel) -> T) -> T {
        self.with_mbus(|all| {
            let Some(state) = all.channel(channel) else {
                let nothing = Switch::new(0).unwrap_or_else(|| unreachable!("control mode 0 is known"));
                return look(&Channel::new(ObisCode([0; 6]), heapless::Vec::new(), 0, nothing));
            };
            let captures = state.spells.at(at).map_or(0, |spell| spell.captures(state.counted, at));
            let mut now = state.channel.copy();
            now.last.access_number = counted_on(now.last.access_number, captures);
            look(&now)
        })
    }

    fn act(
        &mut self,
        number: u8,
        at: Moment,
        act: impl FnOnce(&mut Channel, &mut dyn Bus) -> Outcome,
    ) -> Result<(), ActionResult> {
        let mut all = self.with_mbus(Neighbourhood::copy);
        let silent = self.has_defect(DefectKind::SilentMbus);
        let index = usize::from(number).wrapping_sub(1);
        let Some(last) = all.channels.get(index).and_then(|state| state.spells.at(at).copied()) else {
            return Err(ActionResult::ObjectUnavailable);
        };
        let outcome = {
            let Neighbourhood { channels, devices } = &mut all;
            let state = &mut channels[index];
            let captures = last.captures(state.counted, at);
            state.counted = at.max(state.counted);
            if let Some(slave) = last.device.and_then(|device| devices.get_mut(device)) {
                slave.access_number = counted_on(slave.access_number, captures);
            }
            let channel = &mut state.channel;
            channel.last.access_number = counted_on(channel.last.access_number, captures);
            let (before, valve) = ((channel.address, channel.identity), channel.valve.state());
            let mut bus = SimulatedBus { slaves: devices, keys: self.security.keys(), silent };
            let mut outcome = act(channel, &mut bus);
            // Where a client has written another address or number, the next capture finds out who is there.
            let moved = channel.is_installed() && before != (channel.address, channel.identity);
            if moved && !outcome.captured && outcome.result.is_ok() {
                let found = channel.capture(&mut bus, at);
                outcome.captured = found.captured;
                outcome.event = outcome.event.or(found.event);
            }
            if channel.valve.state() != valve {
                state.valve_log.entries.push_back((at, channel.valve.state()));
                if state.valve_log.entries.len() > VALVE_ENTRIES_MAX {
                    state.valve_log.entries.pop_front();
                    state.valve_log.dropped += 1;
                }
            }
            outcome
        };
        let device = all.device_of(&all.channels[index].channel);
        let state = &mut all.channels[index];
        let (from, captured, period_s) = (at, last.captured_at(at), state.channel.period_s);
        state.spells.push(match &state.channel {
            channel if !channel.is_installed() => Spell { from, device: None, captured: at, period_s: 0 },
            channel if channel.failing => Spell { from, device: last.device, captured, period_s: 0 },
            _ if outcome.captured => Spell { from, device, captured: at, period_s },
            _ => Spell { from, device: last.device, captured, period_s },
        });
        if !self.keep_mbus(&all) {
            return Err(ActionResult::OtherReason);
        }
        self.mbus.changed = Some(Box::new(all));
        // A valve may have moved.
        self.mbus.rest();
        if let Some(code) = outcome.event.and_then(|event| event.code(number)) {
            self.record(LogKind::MBus, at, code);
        }
        outcome.result
    }

    /// Which element it is goes by the present capture definition, also for the past.
    fn reading(&self, channel: u8, number: u8, at: Moment) -> MBusReading {
        let read = |all: &Neighbourhood| {
            let state = all.channel(channel)?;
            let spell = state.spells.at(at)?;
            let element = state.channel.definition.get(usize::from(number).checked_sub(1)?)?;
            let captured = spell.captured_at(at);
            let device = spell.device?;
            let counted = self.flowed(all, device, captured);
            let value = self.model.mbus.devices[device].value(&element.value, counted)?;
            Some(MBusReading { value, at: Some(captured), status: state.channel.last.status })
        };
        self.with_mbus(read).unwrap_or_default()
    }
}

/// An access number some answers later.
fn counted_on(access_number: u8, answers: i64) -> u8 {
    let answers = u8::try_from(answers.max(0) % 256).unwrap_or(0);
    access_number.wrapping_add(answers)
}
