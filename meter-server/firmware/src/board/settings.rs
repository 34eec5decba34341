//! What clients change, in one record of flash memory: keys, password, clock.

use dlms::apdu::DataAccessResult;
use dlms::association::server::SecurityConfig;
use dlms::axdr::{BufferFull, Reader, Writer};
use dlms::security::{KeyEncryptionKey, Suite};
use dlms::time::DateTime;
use dlms_meter_server::Moment;
use dlms_meter_server::flash::FlashSlots;
use dlms_meter_server::flash::nor_flash::NorFlash;
use dlms_meter_server::journal::{Found, Journal, OVERHEAD};
use dlms_meter_server::objects::{ClockSettings, NewKeys, PresetTime};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Lost;
use super::common::{FACTORY_CLOCK, SYSTEM_TITLE, counted};

/// Version of the record's layout.
const VERSION: u8 = 1;
/// Octets of a record: version, number of the key, three keys, password, clock, times of daylight saving, preset time.
const RECORD: usize = 1 + 4 + 3 * 16 + 1 + PASSWORD_MAX + 8 + 2 + 1 + 1 + 2 * 12 + 3 * 8;
const ROOM: usize = RECORD + OVERHEAD;
/// Longest password, in octets.
const PASSWORD_MAX: usize = 16;

/// Bits of the record's octet for what is on or off.
mod bit {
    pub(super) const DAYLIGHT: u8 = 1;
    pub(super) const PRESET: u8 = 2;
    pub(super) const IMAGES: u8 = 4;
}

/// Keys and passwords, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Keys {
    /// How often the encryption key was replaced: the number that its invocation counters belong to.
    pub(super) number: u32,
    encryption: [u8; 16],
    authentication: [u8; 16],
    /// Wipes itself.
    #[zeroize(skip)]
    pub(super) master: KeyEncryptionKey,
    password: [u8; PASSWORD_MAX],
    password_length: u8,
}

impl Keys {
    fn factory() -> Result<Self, Lost> {
        let mut keys = Self::new(0, counted(0), counted(0xD0), &counted(0x70))?;
        keys.set_password(b"12345678").ok_or(Lost)?;
        Ok(keys)
    }

    fn new(number: u32, encryption: [u8; 16], authentication: [u8; 16], master: &[u8; 16]) -> Result<Self, Lost> {
        let master = KeyEncryptionKey::from_slice(Suite::Suite0, master).map_err(|_| Lost)?;
        Ok(Self { number, encryption, authentication, master, password: [0; PASSWORD_MAX], password_length: 0 })
    }

    fn copy(&self) -> Option<Self> {
        let master = self.master.as_bytes().first_chunk()?;
        let mut copy = Self::new(self.number, self.encryption, self.authentication, master).ok()?;
        (copy.password, copy.password_length) = (self.password, self.password_length);
        Some(copy)
    }

    /// These keys with those that came. An encryption key that comes once more is no new one: its counters go on.
    pub(super) fn with(&self, new: &NewKeys) -> Option<Self> {
        let mut keys = self.copy()?;
        if let Some(key) = &new.unicast
            && key.as_bytes() != self.encryption
        {
            keys.encryption.copy_from_slice(key.as_bytes());
            keys.number = self.number.checked_add(1)?;
        }
        if let Some(key) = &new.authentication {
            keys.authentication.copy_from_slice(key.as_bytes());
        }
        if let Some(key) = &new.master {
            keys.master = KeyEncryptionKey::from_slice(Suite::Suite0, key.as_bytes()).ok()?;
        }
        Some(keys)
    }

    pub(super) fn config(&self) -> SecurityConfig<'_> {
        SecurityConfig::new(&self.encryption, &self.authentication, SYSTEM_TITLE)
    }

    /// Of the client that reads.
    pub(super) fn password(&self) -> &[u8] {
        self.password.get(..usize::from(self.password_length)).unwrap_or_default()
    }

    /// `None` for one that is empty or too long.
    fn set_password(&mut self, password: &[u8]) -> Option<()> {
        let length = u8::try_from(password.len()).ok().filter(|length| *length != 0)?;
        self.password.get_mut(..password.len())?.copy_from_slice(password);
        self.password_length = length;
        Some(())
    }
}

/// What clients see of what they change.
#[derive(Clone, PartialEq)]
pub(super) struct Shown {
    /// What the meter's clock is ahead of the board's, in milliseconds.
    pub(super) ahead_ms: i64,
    pub(super) clock: ClockSettings,
    /// Whether images are taken.
    pub(super) images: bool,
}

impl Shown {
    const FACTORY: Self = Self { ahead_ms: 0, clock: FACTORY_CLOCK, images: true };
}

/// All of it, and where it is kept.
pub(super) struct Settings<F> {
    journal: Journal<FlashSlots<F>>,
    pub(super) keys: Keys,
    pub(super) shown: Shown,
}

impl<F: NorFlash> Settings<F> {
    pub(super) fn open(slots: FlashSlots<F>) -> Result<Self, Lost> {
        let mut room = Zeroizing::new([0; ROOM]);
        let (journal, found) = Journal::open(slots, room.as_mut_slice());
        let (keys, shown) = match found {
            Found::Nothing => (Keys::factory()?, Shown::FACTORY),
            Found::Record(length) => read(room.get(..length).unwrap_or_default()).ok_or(Lost)?,
            Found::Lost => return Err(Lost),
        };
        Ok(Self { journal, keys, shown })
    }

    /// Keeps everything, with `keys` instead of those in force; whether it will survive a loss of power from now on.
    pub(super) fn keep(&mut self, keys: Option<&Keys>) -> bool {
        let mut room = Zeroizing::new([0; ROOM]);
        let Some(record) = room.get_mut(Journal::<FlashSlots<F>>::HEAD..) else { return false };
        let mut out = Writer::new(record);
        if write(keys.unwrap_or(&self.keys), &self.shown, &mut out).is_err() {
            return false;
        }
        let length = out.written().len();
        self.journal.keep(room.as_mut_slice(), length)
    }

    /// Changes the password, for good.
    pub(super) fn set_password(&mut self, password: &[u8]) -> Result<(), DataAccessResult> {
        let mut keys = self.keys.copy().ok_or(DataAccessResult::OtherReason)?;
        keys.set_password(password).ok_or(DataAccessResult::TypeUnmatched)?;
        if !self.keep(Some(&keys)) {
            return Err(DataAccessResult::TemporaryFailure);
        }
        self.keys = keys;
        Ok(())
    }
}

fn write(keys: &Keys, shown: &Shown, out: &mut Writer<'_>) -> Result<(), BufferFull> {
    let Shown { ahead_ms, clock, images } = shown;
    let preset = clock.preset;
    let bits = if clock.daylight_enabled { bit::DAYLIGHT } else { 0 }
        | if preset.is_some() { bit::PRESET } else { 0 }
        | if *images { bit::IMAGES } else { 0 };
    out.bytes(&[VERSION])?;
    out.u32(keys.number)?;
    for octets in [&keys.encryption, &keys.authentication, keys.master.as_bytes(), &keys.password] {
        out.bytes(octets)?;
    }
    out.bytes(&[keys.password_length, bits])?;
    out.bytes(&ahead_ms.to_be_bytes())?;
    out.bytes(&clock.time_zone_min.to_be_bytes())?;
    out.i8(clock.daylight_deviation_min)?;
    out.bytes(clock.daylight_begin.as_bytes())?;
    out.bytes(clock.daylight_end.as_bytes())?;
    for moment in preset.map_or([Moment::default(); 3], |preset| [preset.time, preset.valid_from, preset.valid_to]) {
        out.bytes(&moment.as_millis().to_be_bytes())?;
    }
    Ok(())
}

fn read(record: &[u8]) -> Option<(Keys, Shown)> {
    let mut reader = Reader::new(record);
    if reader.u8().ok()? != VERSION {
        return None;
    }
    let number = reader.u32().ok()?;
    let mut key = || reader.array::<16>().ok();
    let (encryption, authentication, master, password) = (key()?, key()?, key()?, key()?);
    let mut keys = Keys::new(number, encryption, authentication, &master).ok()?;
    (keys.password, keys.password_length) = (password, reader.u8().ok()?);
    let bits = reader.u8().ok()?;
    let ahead_ms = i64::from_be_bytes(reader.array().ok()?);
    let time_zone_min = i16::from_be_bytes(reader.array().ok()?);
    let daylight_deviation_min = reader.i8().ok()?;
    let daylight_begin = DateTime::from_bytes(&reader.array().ok()?);
    let daylight_end = DateTime::from_bytes(&reader.array().ok()?);
    let mut moment = || reader.array().ok().map(|octets| Moment::from_millis(i64::from_be_bytes(octets)));
    let preset = PresetTime { time: moment()?, valid_from: moment()?, valid_to: moment()? };
    let clock = ClockSettings {
        time_zone_min,
        daylight_begin,
        daylight_end,
        daylight_deviation_min,
        daylight_enabled: bits & bit::DAYLIGHT != 0,
        preset: (bits & bit::PRESET != 0).then_some(preset),
        ..FACTORY_CLOCK
    };
    Some((keys, Shown { ahead_ms, clock, images: bits & bit::IMAGES != 0 }))
}
