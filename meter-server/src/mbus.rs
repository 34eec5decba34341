//! M-Bus channels: meters for gas, water and heat behind the electricity meter, which is the master of their bus.
//!
//! [`Channel`] keeps what an M-Bus client object (class 72) shows and decides what its methods do; the bus itself, with the
//! devices on it, is behind the trait [`Bus`]. Class descriptions that are public name the methods and say little about
//! their conditions: where a rule here is not verified against the Blue Book, it says so.

use dlms::apdu::ActionResult;
use dlms::cosem::Array;
use dlms::cosem::mbus_client::{Capture, DataRecord, KeyStatus};
use dlms::obis::ObisCode;
use dlms::security::{Suite, TransferredKey};
use dlms::unit::{ScalerUnit, Unit};
use heapless::Vec;

use crate::events::MBusEvent;
use crate::moment::Moment;
use crate::objects::Switch;

/// Channels of an electricity meter.
pub const CHANNELS: u8 = 4;
/// Values that are captured of a device at most: objects 0-b:24.2.1 to 0-b:24.2.4.
pub const VALUES: usize = 4;
/// Octets of a data or value information block (EN 13757-3: one, and ten that extend it).
pub const BLOCK_OCTETS: usize = 11;
/// Primary addresses that devices may have once they are installed (EN 13757-3).
pub const ADDRESSES: core::ops::RangeInclusive<u8> = 1..=250;
/// The primary address of a device that was never installed.
pub const UNCONFIGURED: u8 = 0;
/// M-Bus devices have AES-128 keys whatever the suite of the electricity meter is.
const KEY: Suite = Suite::Suite0;

/// Who a device is, as the head of its answers says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Number of eight digits.
    pub number: u32,
    /// Three letters, five bits each.
    pub manufacturer: u16,
    /// Version, as its maker counts.
    pub version: u8,
    /// Kind of device: 3 gas, 4 heat, 7 water.
    pub device_type: u8,
}

/// The head of a device's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Who answers.
    pub identity: Identity,
    /// Counts answers, over 255 back to 0.
    pub access_number: u8,
    /// Status octet.
    pub status: u8,
    /// Configuration field: how the answer is enciphered.
    pub configuration: u16,
}

/// Why a device was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// Nothing came, or what several devices said at once.
    Silence,
    /// It was enciphered with another key, or not at all where a key is set, or the other way round.
    Key,
}

/// The bus, as its master sees it: each call is an exchange on it, and over when it returns.
pub trait Bus {
    /// Asks the device at a primary address for its data, to be opened with `key`; without one the data is plain.
    ///
    /// # Errors
    /// [`NoAnswer`].
    fn request(&mut self, address: u8, key: Option<&[u8]>, at: Moment) -> Result<Answer, NoAnswer>;

    /// Gives the device at an address another one; whether it acknowledges that.
    fn set_address(&mut self, from: u8, to: u8) -> bool;

    /// Clears a device's alarm; whether it acknowledges that.
    fn reset_alarm(&mut self, address: u8) -> bool;

    /// Sets a device's clock; whether it acknowledges that.
    fn set_clock(&mut self, address: u8, at: Moment) -> bool;

    /// Sends a data record; whether the device takes it.
    fn send(&mut self, address: u8, record: &DataRecord<'_>) -> bool;

    /// Sends a new key, wrapped as the device wants it; whether it takes it.
    fn transfer_key(&mut self, address: u8, wrapped: &[u8]) -> bool;

    /// Opens or closes a device's valve; whether it acknowledges that.
    fn set_valve(&mut self, address: u8, open: bool, at: Moment) -> bool;
}

/// Which data of a device goes to one value object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Data information block.
    pub data: Vec<u8, BLOCK_OCTETS>,
    /// Value information block.
    pub value: Vec<u8, BLOCK_OCTETS>,
}

impl Element {
    /// `None` when a block is longer than there is.
    #[must_use]
    pub fn new(data: &[u8], value: &[u8]) -> Option<Self> {
        Some(Self { data: Vec::from_slice(data).ok()?, value: Vec::from_slice(value).ok()? })
    }

    /// As the class has it.
    #[must_use]
    pub fn capture(&self) -> Capture<'_> {
        Capture { data_information_block: &self.data, value_information_block: &self.value }
    }
}

/// What a value information block says that a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueInformation {
    /// Power of ten of the last digit, and the unit.
    pub scaler_unit: ScalerUnit,
}

impl ValueInformation {
    /// Unit and scaler of the primary codes for energy, volume and power (EN 13757-3); `None` for others.
    #[must_use]
    pub fn decode(block: &[u8]) -> Option<Self> {
        const JOULE: Unit = Unit(25);
        let code = block.first()? & 0x7F;
        let low = i8::try_from(code & 0x07).ok()?;
        let (scaler, unit) = match code & 0x78 {
            0x00 => (low.checked_sub(3)?, Unit::WATT_HOUR),
            0x08 => (low, JOULE),
            0x10 => (low.checked_sub(6)?, Unit::CUBIC_METRE),
            0x28 => (low.checked_sub(3)?, Unit::WATT),
            _ => return None,
        };
        Some(Self { scaler_unit: ScalerUnit { scaler, unit } })
    }
}

/// What came of a method.
#[derive(Debug)]
pub struct Outcome {
    /// What the client gets.
    pub result: Result<(), ActionResult>,
    /// What the log of M-Bus events is to tell.
    pub event: Option<MBusEvent>,
    /// Whether values were captured.
    pub captured: bool,
}

impl Outcome {
    const DONE: Self = Self { result: Ok(()), event: None, captured: false };

    const fn refused(why: ActionResult) -> Self {
        Self { result: Err(why), ..Self::DONE }
    }

    const fn of(acknowledged: bool) -> Self {
        if acknowledged { Self::DONE } else { Self::refused(ActionResult::TemporaryFailure) }
    }
}

/// One channel. Nothing but its key is secret, which nobody can read.
#[derive(Debug)]
pub struct Channel {
    /// Attribute 2, the port.
    pub port: ObisCode,
    /// Attribute 3: element n feeds value object n, from 1.
    pub definition: Vec<Element, VALUES>,
    /// Attribute 4, seconds between two captures; 0 for captures on request only.
    pub period_s: u32,
    /// Attribute 5; 0 without a device.
    pub address: u8,
    /// Attributes 6 to 9: who is there, or before that, who is expected.
    pub identity: Identity,
    /// Attributes 10, 11 and 13.
    pub last: Answer,
    /// Attribute 12.
    pub alarm: u8,
    /// The device did not answer when it was asked last.
    pub failing: bool,
    /// The valve behind the object of class 70.
    pub valve: Switch,
    key: Option<TransferredKey>,
    transferred: bool,
    /// An answer was opened with the key.
    in_use: bool,
}

impl Channel {
    /// A channel without a device.
    #[must_use]
    pub const fn new(port: ObisCode, definition: Vec<Element, VALUES>, period_s: u32, valve: Switch) -> Self {
        const NOBODY: Identity = Identity { number: 0, manufacturer: 0, version: 0, device_type: 0 };
        const NOTHING: Answer = Answer { identity: NOBODY, access_number: 0, status: 0, configuration: 0 };
        Self {
            port,
            definition,
            period_s,
            address: UNCONFIGURED,
            identity: NOBODY,
            last: NOTHING,
            alarm: 0,
            failing: false,
            valve,
            key: None,
            transferred: false,
            in_use: false,
        }
    }

    /// The same again, to go back to: its key is copied.
    #[must_use]
    pub fn copy(&self) -> Self {
        let key = self.key.as_ref().and_then(|key| TransferredKey::from_slice(KEY, key.as_bytes()).ok());
        let Self { port, period_s, address, identity, last, alarm, failing, valve, transferred, in_use, .. } = *self;
        let definition = self.definition.clone();
        Self { port, definition, period_s, address, identity, last, alarm, failing, valve, key, transferred, in_use }
    }

    /// Whether there is a device.
    #[must_use]
    pub const fn is_installed(&self) -> bool {
        self.address != UNCONFIGURED
    }

    /// The key that is set, whether one was sent to the device, and whether it is in use, to be kept.
    #[must_use]
    pub fn key(&self) -> (Option<&[u8]>, bool, bool) {
        (self.key.as_ref().map(TransferredKey::as_bytes), self.transferred, self.in_use)
    }

    /// Takes back what [`Channel::key`] gave; whether the key has the right length.
    #[must_use]
    pub fn restore_key(&mut self, key: Option<&[u8]>, transferred: bool, in_use: bool) -> bool {
        let restored = key.map(|key| TransferredKey::from_slice(KEY, key)).transpose();
        let Ok(key) = restored else { return false };
        self.key = key;
        self.transferred = transferred;
        self.in_use = in_use;
        true
    }

    /// Attribute 14.
    #[must_use]
    pub const fn key_status(&self) -> KeyStatus {
        match (self.key.is_some(), self.transferred, self.in_use) {
            (true, _, true) => KeyStatus::InUse,
            (true, true, false) => KeyStatus::SetAndTransferred,
            (true, false, false) => KeyStatus::Set,
            (false, true, _) => KeyStatus::Transferred,
            (false, false, _) => KeyStatus::None,
        }
    }

    /// Method 1: the one device with address 0 gets `wanted`, or for 0 the first address at which nobody answers.
    ///
    /// A channel takes a device only when it has none (its address is 0), and one that is expected, where a client has
    /// written a number before; neither condition is verified against the standard.
    pub fn install(&mut self, bus: &mut dyn Bus, wanted: u8, at: Moment) -> Outcome {
        const REFUSED: Outcome = Outcome::refused(ActionResult::OtherReason);
        if self.is_installed() || (wanted != UNCONFIGURED && !ADDRESSES.contains(&wanted)) {
            return REFUSED;
        }
        let Ok(found) = bus.request(UNCONFIGURED, None, at) else {
            return Outcome::refused(ActionResult::TemporaryFailure);
        };
        if self.identity.number != 0 && self.identity.number != found.identity.number {
            return REFUSED;
        }
        let mut free = |address: &u8| bus.request(*address, None, at) == Err(NoAnswer::Silence);
        let address = match wanted {
            UNCONFIGURED => ADDRESSES.into_iter().find(&mut free),
            wanted => Some(wanted).filter(&mut free),
        };
        let Some(address) = address else { return REFUSED };
        if !bus.set_address(UNCONFIGURED, address) {
            return Outcome::refused(ActionResult::TemporaryFailure);
        }
        self.address = address;
        self.identity = found.identity;
        self.forget_key();
        let outcome = self.capture(bus, at);
        Outcome { result: Ok(()), event: Some(MBusEvent::NewDevice), ..outcome }
    }

    /// Method 2: the device gets address 0 again, if it still answers, and the channel forgets it and its key.
    pub fn deinstall(&mut self, bus: &mut dyn Bus) -> Outcome {
        if !self.is_installed() {
            return Outcome::refused(ActionResult::OtherReason);
        }
        bus.set_address(self.address, UNCONFIGURED);
        self.address = UNCONFIGURED;
        self.identity = Identity::default();
        self.last = Answer::default();
        self.alarm = 0;
        self.failing = false;
        self.forget_key();
        Outcome::DONE
    }

    fn forget_key(&mut self) {
        self.key = None;
        self.transferred = false;
        self.in_use = false;
    }

    /// Method 3, and what is done at the end of each capture period: reads the device. An answer of another one than the
    /// channel's counts as none.
    pub fn capture(&mut self, bus: &mut dyn Bus, at: Moment) -> Outcome {
        if !self.is_installed() {
            return Outcome::refused(ActionResult::OtherReason);
        }
        let key = self.key.as_ref().map(TransferredKey::as_bytes);
        let answer = bus.request(self.address, key, at);
        let failed = self.failing;
        match answer {
            Ok(answer) if self.identity.number == 0 || answer.identity == self.identity => {
                self.in_use = key.is_some();
                self.identity = answer.identity;
                self.last = answer;
                self.failing = false;
                Outcome { event: failed.then_some(MBusEvent::CommunicationOk), captured: true, ..Outcome::DONE }
            }
            _ => {
                self.failing = true;
                let event = (!failed).then_some(MBusEvent::CommunicationError);
                Outcome { event, ..Outcome::refused(ActionResult::TemporaryFailure) }
            }
        }
    }

    /// What is sent to the device, whatever it is.
    fn tell(&mut self, tell: impl FnOnce(&mut Self) -> bool) -> Outcome {
        if !self.is_installed() {
            return Outcome::refused(ActionResult::OtherReason);
        }
        Outcome::of(tell(self))
    }

    /// Method 4.
    pub fn reset_alarm(&mut self, bus: &mut dyn Bus) -> Outcome {
        self.tell(|channel| {
            let cleared = bus.reset_alarm(channel.address);
            if cleared {
                channel.alarm = 0;
            }
            cleared
        })
    }

    /// Method 5.
    pub fn synchronize_clock(&mut self, bus: &mut dyn Bus, at: Moment) -> Outcome {
        let outcome = self.tell(|channel| bus.set_clock(channel.address, at));
        let event = outcome.result.is_ok().then_some(MBusEvent::ClockAdjusted);
        Outcome { event, ..outcome }
    }

    /// Method 6: record by record, until one is not taken.
    pub fn send(&mut self, bus: &mut dyn Bus, records: &Array<'_, DataRecord<'_>>) -> Outcome {
        self.tell(|channel| records.iter().all(|record| record.is_ok_and(|record| bus.send(channel.address, &record))))
    }

    /// Method 7: the key with which answers are opened from now on; none for plain answers. A channel with a key takes no
    /// plain answer, so the device must have been sent the key before.
    pub fn set_key(&mut self, bus: &mut dyn Bus, key: &[u8], at: Moment) -> Outcome {
        if !self.is_installed() {
            return Outcome::refused(ActionResult::OtherReason);
        }
        let key = match key {
            [] => None,
            octets => match TransferredKey::from_slice(KEY, octets) {
                Ok(key) => Some(key),
                Err(_) => return Outcome::refused(ActionResult::OtherReason),
            },
        };
        self.key = key;
        self.in_use = false;
        Outcome { result: Ok(()), ..self.capture(bus, at) }
    }

    /// Method 8: a key for the device, which only the device can unwrap.
    pub fn transfer_key(&mut self, bus: &mut dyn Bus, wrapped: &[u8]) -> Outcome {
        self.tell(|channel| {
            let taken = bus.transfer_key(channel.address, wrapped);
            channel.transferred |= taken;
            taken
        })
    }

    /// Lets `event` act on the valve, if the device acknowledges it.
    pub fn operate(&mut self, bus: &mut dyn Bus, event: crate::objects::SwitchEvent, at: Moment) -> Outcome {
        use crate::objects::SwitchEvent;
        let mut valve = self.valve;
        if !valve.apply(event) {
            return if self.is_installed() { Outcome::DONE } else { Outcome::refused(ActionResult::OtherReason) };
        }
        let told = self.tell(|channel| bus.set_valve(channel.address, valve.is_connected(), at));
        if told.result.is_err() {
            return told;
        }
        self.valve = valve;
        let event = match event {
            SwitchEvent::RemoteDisconnect | SwitchEvent::LocalDisconnect => MBusEvent::RemoteDisconnection,
            SwitchEvent::RemoteReconnect | SwitchEvent::LocalReconnect => MBusEvent::RemoteConnection,
            SwitchEvent::ManualDisconnect => MBusEvent::ManualDisconnection,
            SwitchEvent::ManualReconnect => MBusEvent::ManualConnection,
        };
        Outcome { event: Some(event), ..told }
    }
}

#[cfg(test)]
mod tests;
