//! What a meter remembers of its M-Bus across restarts. Keys are wrapped under the fleet's master key, which is not kept.

use dlms::obis::ObisCode;
use dlms::security::{Crypto, KeyEncryptionKey, RustCrypto, Suite, TransferredKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::slave::Slave;
use super::spell::{Spell, Spells};
use super::{ChannelState, Neighbourhood};
use crate::mbus::{Answer, Element, Identity};
use crate::moment::Moment;
use crate::objects::{ControlState, Switch};

const KEY_OCTETS: usize = 16;
const WRAPPED_OCTETS: usize = 24;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    channels: Vec<ChannelRecord>,
    devices: Vec<DeviceRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ChannelRecord {
    port: [u8; 6],
    definition: Vec<(String, String)>,
    period_s: u32,
    address: u8,
    identity: IdentityRecord,
    last: (IdentityRecord, u8, u8, u16),
    alarm: u8,
    failing: bool,
    /// State and mode.
    valve: (u8, u8),
    key: Option<String>,
    transferred: bool,
    in_use: bool,
    /// From, device, captured (milliseconds) and period.
    spells: Vec<(i64, Option<usize>, i64, u32)>,
    counted: i64,
    dropped: u64,
    moved: Vec<(i64, u8)>,
}

type IdentityRecord = (u32, u16, u8, u8);

#[derive(Debug, Serialize, Deserialize)]
struct DeviceRecord {
    address: u8,
    key: Option<String>,
    alarm: u8,
    access_number: u8,
    movements: Vec<(i64, bool)>,
}

const fn identity_record(identity: &Identity) -> IdentityRecord {
    (identity.number, identity.manufacturer, identity.version, identity.device_type)
}

const fn identity((number, manufacturer, version, device_type): IdentityRecord) -> Identity {
    Identity { number, manufacturer, version, device_type }
}

/// `Some(None)` for no key, `None` when there is nothing to wrap one with.
fn wrapped(key: Option<&[u8]>, master: Option<&KeyEncryptionKey>) -> Option<Option<String>> {
    let Some(key) = key else { return Some(None) };
    let mut wrapped = [0; WRAPPED_OCTETS];
    RustCrypto::wrap(master?.as_bytes(), key, &mut wrapped).ok()?;
    Some(Some(hex::encode(wrapped)))
}

fn unwrapped(kept: Option<&String>, master: Option<&KeyEncryptionKey>) -> Option<Option<Zeroizing<[u8; KEY_OCTETS]>>> {
    let Some(kept) = kept else { return Some(None) };
    let mut key = Zeroizing::new([0; KEY_OCTETS]);
    RustCrypto::unwrap(master?.as_bytes(), &hex::decode(kept).ok()?, &mut *key).ok()?;
    Some(Some(key))
}

impl Record {
    /// `None` when there are keys and nothing to wrap them with.
    pub(super) fn of(all: &Neighbourhood, master: Option<&KeyEncryptionKey>) -> Option<Self> {
        let channels = all.channels.iter().map(|state| channel_record(state, master)).collect::<Option<_>>()?;
        let device = |slave: &Slave| {
            let key = wrapped(slave.key.as_ref().map(TransferredKey::as_bytes), master)?;
            let Slave { address, alarm, access_number, ref movements, .. } = *slave;
            Some(DeviceRecord { address, key, alarm, access_number, movements: movements.clone() })
        };
        Some(Self { channels, devices: all.devices.iter().map(device).collect::<Option<_>>()? })
    }

    /// Puts what was kept in the place of how a meter begins. `None` when it is that of another model, or wrapped under
    /// another key.
    pub(super) fn restore(self, all: &mut Neighbourhood, master: Option<&KeyEncryptionKey>) -> Option<()> {
        if (self.channels.len(), self.devices.len()) != (all.channels.len(), all.devices.len()) {
            return None;
        }
        let devices = self.devices.len();
        for (state, record) in all.channels.iter_mut().zip(self.channels) {
            restore_channel(state, record, devices, master)?;
        }
        for (slave, record) in all.devices.iter_mut().zip(self.devices) {
            slave.key = match unwrapped(record.key.as_ref(), master)? {
                Some(key) => Some(TransferredKey::from_slice(Suite::Suite0, &*key).ok()?),
                None => None,
            };
            slave.address = record.address;
            slave.alarm = record.alarm;
            slave.access_number = record.access_number;
            slave.movements = record.movements;
        }
        Some(())
    }
}

fn channel_record(state: &ChannelState, master: Option<&KeyEncryptionKey>) -> Option<ChannelRecord> {
    let channel = &state.channel;
    let (key, transferred, in_use) = channel.key();
    let Answer { identity, access_number, status, configuration } = channel.last;
    let spell = |spell: &Spell| (spell.from.as_millis(), spell.device, spell.captured.as_millis(), spell.period_s);
    Some(ChannelRecord {
        port: channel.port.0,
        definition: channel.definition.iter().map(|of| (hex::encode(&of.data), hex::encode(&of.value))).collect(),
        period_s: channel.period_s,
        address: channel.address,
        identity: identity_record(&channel.identity),
        last: (identity_record(&identity), access_number, status, configuration),
        alarm: channel.alarm,
        failing: channel.failing,
        valve: (channel.valve.state().into(), channel.valve.mode()),
        key: wrapped(key, master)?,
        transferred,
        in_use,
        spells: state.spells.0.iter().map(spell).collect(),
        counted: state.counted.as_millis(),
        dropped: state.valve_log.dropped,
        moved: state.valve_log.entries.iter().map(|(at, state)| (at.as_millis(), (*state).into())).collect(),
    })
}

fn restore_channel(
    state: &mut ChannelState,
    record: ChannelRecord,
    devices: usize,
    master: Option<&KeyEncryptionKey>,
) -> Option<()> {
    let channel = &mut state.channel;
    channel.port = ObisCode(record.port);
    channel.definition.clear();
    for (data, value) in &record.definition {
        let element = Element::new(&hex::decode(data).ok()?, &hex::decode(value).ok()?)?;
        channel.definition.push(element).ok()?;
    }
    channel.period_s = record.period_s;
    channel.address = record.address;
    channel.identity = identity(record.identity);
    let (who, access_number, status, configuration) = record.last;
    channel.last = Answer { identity: identity(who), access_number, status, configuration };
    channel.alarm = record.alarm;
    channel.failing = record.failing;
    channel.valve = Switch::restored(ControlState::from(record.valve.0), record.valve.1)?;
    let key = unwrapped(record.key.as_ref(), master)?;
    channel.restore_key(key.as_ref().map(|key| &key[..]), record.transferred, record.in_use).then_some(())?;
    let spell = |(from, device, captured, period_s): (i64, Option<usize>, i64, u32)| Spell {
        from: Moment::from_millis(from),
        device: device.filter(|device| *device < devices),
        captured: Moment::from_millis(captured),
        period_s,
    };
    state.spells = Spells(record.spells.into_iter().map(spell).collect());
    state.counted = Moment::from_millis(record.counted);
    state.valve_log.dropped = record.dropped;
    let moved = record.moved.into_iter().map(|(at, state)| (Moment::from_millis(at), ControlState::from(state)));
    state.valve_log.entries = moved.collect();
    Some(())
}
