//! The physical devices on a meter's M-Bus.

use std::f64::consts::TAU;
use std::sync::{Arc, LazyLock};

use dlms::cosem::mbus_client::DataRecord;
use dlms::security::{Crypto, RustCrypto, Suite, TransferredKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::mbus::{Answer, Bus, Identity, NoAnswer};
use crate::moment::Moment;
use crate::simulator::consumption::{Consumption, Installation, Irregularity, Shape, Spread, Tangents};
use crate::simulator::keys::Keys;

/// Octets of a device's key, and of one that is wrapped for it (RFC 3394).
const KEY_OCTETS: usize = 16;
const WRAPPED_OCTETS: usize = 24;
/// Movements of a valve that are remembered; beyond it the oldest interruption is forgotten.
const MOVEMENTS_MAX: usize = 64;
/// Status octet: an error that does not stay (EN 13757-3).
const STATUS_ALARM: u8 = 0x10;
/// Configuration field of an answer that is enciphered with AES-128 in one block (mode 5 of EN 13757-3).
const ENCIPHERED: u16 = 0x0510;

/// What a device measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Gas,
    Heat,
    WarmWater,
    Water,
}

impl DeviceKind {
    /// Device type of EN 13757-3.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Gas => 3,
            Self::Heat => 4,
            Self::WarmWater => 6,
            Self::Water => 7,
        }
    }

    /// Value information of what is counted: litres, of heat megajoules and litres. The data information of each says
    /// eight digits.
    pub(crate) const fn values(self) -> &'static [u8] {
        match self {
            Self::Heat => &[0x0E, 0x13],
            Self::Gas | Self::WarmWater | Self::Water => &[0x13],
        }
    }

    /// The count behind one of [`DeviceKind::values`]: a litre of heating water gives up about an eighth of a megajoule.
    const fn count(self, value: usize, counted: i64) -> i64 {
        if matches!(self, Self::Heat) && value == 1 { counted.saturating_mul(8) } else { counted }
    }

    fn shape(self) -> Arc<Shape> {
        static SHAPES: LazyLock<[Arc<Shape>; 2]> = LazyLock::new(|| {
            let irregularity = Irregularity { weeks: 0.2, days: 0.3, quarters: 0.5 };
            // Heating: mornings and evenings, twenty times as much in January as in July.
            let heating: [f64; 24] = std::array::from_fn(|hour| match hour {
                6..=8 => 2.0,
                17..=21 => 1.8,
                9..=16 | 22 => 1.0,
                _ => 0.4,
            });
            let water: [f64; 24] = std::array::from_fn(|hour| match hour {
                0..=4 => 0.05,
                6..=8 | 18..=20 => 2.0,
                _ => 1.0 + 0.2 * (TAU * hour as f64 / 24.0).sin(),
            });
            [
                Arc::new(Shape::from_hours(0.9, 15.0, irregularity, &heating)),
                Arc::new(Shape::from_hours(0.1, 200.0, irregularity, &water)),
            ]
        });
        let [heating, water] = &*SHAPES;
        Arc::clone(if matches!(self, Self::Gas | Self::Heat) { heating } else { water })
    }
}

/// A device of a model.
#[derive(Clone, Debug)]
pub(crate) struct ModelDevice {
    pub(crate) kind: DeviceKind,
    /// The channel it is installed on from the beginning, under the address with the same number; `None` for one that
    /// waits to be installed.
    pub(crate) channel: Option<u8>,
    pub(crate) manufacturer: u16,
    pub(crate) version: u8,
    /// Litres, or megajoules, that it counts in a day on the average.
    pub(crate) daily: f64,
}

impl ModelDevice {
    /// What flows through it at a meter whose installation is this one. Litres, or megajoules, take the place of
    /// watt-hours.
    pub(crate) fn consumption(&self, of_meter: &Installation, seed: u64) -> Consumption {
        let (shape, nothing) = (self.kind.shape(), self.daily);
        let installation = Installation {
            import: Arc::clone(&shape),
            import_daily_wh: nothing,
            import_beside_generation: Arc::clone(&shape),
            import_beside_generation_daily_wh: nothing,
            export: shape,
            export_daily_wh: 0.0,
            generation_share: 0.0,
            spread: Spread::Logarithmic(0.3),
            tangents: Tangents::default(),
            ..of_meter.clone()
        };
        Consumption::new(&installation, seed)
    }

    /// The value with this value information at a count; `None` when the device has none of the kind.
    pub(super) fn value(&self, information: &[u8], counted: i64) -> Option<u32> {
        let asked = information.first()? & 0x7F;
        // The low three bits are the power of ten.
        let values = self.kind.values();
        let (number, own) = values.iter().enumerate().find(|(_, own)| **own & 0x78 == asked & 0x78)?;
        let steps = 10_i64.pow(u32::from(asked.abs_diff(*own) & 0x07));
        let count = self.kind.count(number, counted);
        let shown = if asked > *own { count / steps } else { count.saturating_mul(steps) };
        Some(u32::try_from(shown.max(0)).unwrap_or(u32::MAX))
    }
}

/// The key with which a device is made, which wraps those that are sent to it: the first octets of HMAC-SHA-256 of the
/// text `dlms-mbus-key-1` and the device's number (four octets, the highest first), under the key encrypting key of its
/// meter, or the encryption key of one that has none.
pub(crate) fn default_key(keys: &Keys, number: u32) -> Zeroizing<[u8; KEY_OCTETS]> {
    let secret = keys.master.as_ref().map_or(keys.encryption.as_bytes(), |key| key.as_bytes());
    let mut key = Zeroizing::new([0; KEY_OCTETS]);
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) {
        mac.update(b"dlms-mbus-key-1");
        mac.update(&number.to_be_bytes());
        let whole = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        key.copy_from_slice(&whole[..KEY_OCTETS]);
    }
    key
}

/// A device as it is now.
#[derive(Debug)]
pub(super) struct Slave {
    pub(super) identity: Identity,
    pub(super) address: u8,
    /// The key that was sent to it: it enciphers from then on.
    pub(super) key: Option<TransferredKey>,
    pub(super) alarm: u8,
    /// Answers so far.
    pub(super) access_number: u8,
    /// When the valve closed (false) and opened, in milliseconds.
    pub(super) movements: Vec<(i64, bool)>,
}

impl Slave {
    pub(super) fn copy(&self) -> Self {
        let key = self.key.as_ref().and_then(|key| TransferredKey::from_slice(Suite::Suite0, key.as_bytes()).ok());
        let Self { identity, address, alarm, access_number, ref movements, .. } = *self;
        Self { identity, address, key, alarm, access_number, movements: movements.clone() }
    }
}

/// The bus of one meter.
pub(super) struct SimulatedBus<'a> {
    pub(super) slaves: &'a mut [Slave],
    pub(super) keys: &'a Keys,
    /// Nobody answers.
    pub(super) silent: bool,
}

impl SimulatedBus<'_> {
    /// The one device at an address: several speak at once, and nobody understands them.
    fn at(&mut self, address: u8) -> Option<&mut Slave> {
        if self.silent {
            return None;
        }
        let mut there = self.slaves.iter_mut().filter(|slave| slave.address == address);
        let first = there.next()?;
        there.next().is_none().then_some(first)
    }
}

impl Bus for SimulatedBus<'_> {
    fn request(&mut self, address: u8, key: Option<&[u8]>, _: Moment) -> Result<Answer, NoAnswer> {
        let slave = self.at(address).ok_or(NoAnswer::Silence)?;
        slave.access_number = slave.access_number.wrapping_add(1);
        if slave.key.as_ref().map(TransferredKey::as_bytes) != key {
            return Err(NoAnswer::Key);
        }
        Ok(Answer {
            identity: slave.identity,
            access_number: slave.access_number,
            status: if slave.alarm == 0 { 0 } else { STATUS_ALARM },
            configuration: if key.is_some() { ENCIPHERED } else { 0 },
        })
    }

    /// A device that gets address 0 is as it was made: without a key.
    fn set_address(&mut self, from: u8, to: u8) -> bool {
        let Some(slave) = self.at(from) else { return false };
        slave.address = to;
        if to == crate::mbus::UNCONFIGURED {
            slave.key = None;
        }
        true
    }

    fn reset_alarm(&mut self, address: u8) -> bool {
        self.at(address).map(|slave| slave.alarm = 0).is_some()
    }

    fn set_clock(&mut self, address: u8, _: Moment) -> bool {
        self.at(address).is_some()
    }

    /// Devices take their clock (time and date, types F and I), and another primary address.
    fn send(&mut self, address: u8, record: &DataRecord<'_>) -> bool {
        let free = |slaves: &[Slave], wanted: u8| slaves.iter().all(|slave| slave.address != wanted);
        match record.value_information_block {
            [0x6D] => self.at(address).is_some(),
            [0x7A] => {
                let wanted = record.data.as_i64().and_then(|wanted| u8::try_from(wanted).ok());
                let wanted = wanted.filter(|wanted| crate::mbus::ADDRESSES.contains(wanted));
                wanted.is_some_and(|wanted| free(self.slaves, wanted) && self.set_address(address, wanted))
            }
            _ => false,
        }
    }

    /// Under what a device's keys are wrapped, and how, is up to companion standards; here it is key wrap of RFC 3394
    /// under the key that the device was made with, as for all other keys.
    fn transfer_key(&mut self, address: u8, wrapped: &[u8]) -> bool {
        let keys = self.keys;
        let Some(slave) = self.at(address).filter(|_| wrapped.len() == WRAPPED_OCTETS) else { return false };
        let mut key = Zeroizing::new([0; KEY_OCTETS]);
        let unwrapped = RustCrypto::unwrap(&*default_key(keys, slave.identity.number), wrapped, &mut *key);
        if unwrapped.is_err() {
            return false;
        }
        slave.key = TransferredKey::from_slice(Suite::Suite0, &*key).ok();
        slave.key.is_some()
    }

    fn set_valve(&mut self, address: u8, open: bool, at: Moment) -> bool {
        let Some(slave) = self.at(address) else { return false };
        if slave.movements.len() >= MOVEMENTS_MAX {
            slave.movements.drain(..2);
        }
        slave.movements.push((at.as_millis(), open));
        true
    }
}
