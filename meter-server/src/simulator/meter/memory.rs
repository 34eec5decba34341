//! What a meter remembers across restarts beside its security: what clients changed, what has happened, and how far things
//! are.
//!
//! All of it is one record of a journal, written before the request that changed it is answered and after what the meter
//! did by itself: whenever power fails, the meter goes on from before or from after. The octets of an image are in files of
//! their own, as they are many: an image that comes is written beside the one that the record tells of.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dlms::cosem::image_transfer::ImageTransferStatus;

use super::Meter;
use super::billing::Billing;
use super::security::StateError;
use crate::journal::{Found, Journal, OVERHEAD, crc32};
use crate::objects::{ImageReceiver, ImageState, Transfer};
use crate::simulator::model::Model;
use crate::simulator::record::{Record, record};
use crate::simulator::state::State;
use crate::table::ObjectTable;

/// Version of the record's layout.
const VERSION: u8 = 2;
/// Octets of the longest record: what a journal holds.
const RECORD_OCTETS: usize = u16::MAX as usize;

/// Where a meter keeps what it is to remember; nothing for one that forgets.
#[derive(Debug, Default)]
pub(super) struct Memory(Option<Box<Kept>>);

#[derive(Debug)]
struct Kept {
    journal: Journal<State>,
    /// What was kept last.
    last: u64,
    /// The last record could not be kept.
    failed: bool,
    /// Which model's objects the record is about.
    model: u32,
    images: ImageFiles,
}

/// Two files of image octets, used in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageFiles([PathBuf; 2]);

impl ImageFiles {
    fn new(folder: &Path, serial: &str) -> Self {
        Self([0, 1].map(|number| folder.join(format!("{serial}.image.{number}"))))
    }

    fn path(&self, number: u8) -> &Path {
        let [even, odd] = &self.0;
        if number & 1 == 0 { even } else { odd }
    }

    /// Makes a file of so many octets.
    pub(super) fn begin(&self, number: u8, octets: u64) -> io::Result<()> {
        let file = File::create(self.path(number))?;
        file.set_len(octets)?;
        file.sync_all()
    }

    /// Writes a block, which stays from now on.
    pub(super) fn write(&self, number: u8, offset: u32, octets: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(self.path(number))?;
        file.seek(SeekFrom::Start(offset.into()))?;
        file.write_all(octets)?;
        file.sync_data()
    }

    fn read(&self, number: u8) -> io::Result<Vec<u8>> {
        std::fs::read(self.path(number))
    }
}

/// An image in transfer, or in use.
struct Image {
    enabled: bool,
    status: ImageTransferStatus,
    identifier: Vec<u8>,
    size: u32,
    block_size: u32,
    blocks: Vec<u8>,
    /// The file that it is in.
    file: u8,
    version: Option<String>,
}

record! {
    Image { enabled, status, identifier, size, block_size, blocks, file, version }
    Billing { resets, forgotten }
}

/// A number that another model has not.
fn fingerprint(model: &Model) -> u32 {
    let objects = (0..model.len()).filter_map(|index| model.object(index));
    let octets: Vec<u8> =
        objects.flat_map(|object| [&object.class().0.to_be_bytes()[..], &object.instance().0].concat()).collect();
    crc32(&octets)
}

impl Meter {
    /// Remembers in a folder from now on, beginning with what is remembered already.
    pub(in crate::simulator) fn remember_in(&mut self, folder: &Path) -> Result<(), StateError> {
        let slots = State::new(Some(folder), &self.identity.serial, "memory");
        let mut room = vec![0; RECORD_OCTETS + OVERHEAD];
        let (journal, found) = Journal::open(slots, &mut room);
        let images = ImageFiles::new(folder, &self.identity.serial);
        let model = fingerprint(&self.model);
        match found {
            Found::Nothing => {}
            Found::Lost => return Err(StateError::Lost),
            Found::Record(length) => self.restore(room.get(..length).unwrap_or_default(), model, &images)?,
        }
        let last = hash(&self.record_octets(model));
        self.memory = Memory(Some(Box::new(Kept { journal, last, failed: false, model, images })));
        self.times_changed();
        Ok(())
    }

    /// Keeps what has changed since the last time; whether everything is kept.
    pub(in crate::simulator) fn remember(&mut self) -> bool {
        let Some(model) = self.memory.0.as_ref().map(|kept| kept.model) else { return true };
        let octets = self.record_octets(model);
        let now = hash(&octets);
        let Some(kept) = &mut self.memory.0 else { return true };
        if now == kept.last && !kept.failed {
            return true;
        }
        let head = Journal::<State>::HEAD;
        let mut room = vec![0; octets.len() + OVERHEAD];
        room[head..head + octets.len()].copy_from_slice(&octets);
        kept.failed = octets.len() > RECORD_OCTETS || !kept.journal.keep(&mut room, octets.len());
        kept.last = now;
        if kept.failed {
            tracing::error!(meter = %self.identity.serial, octets = octets.len(), "what has changed cannot be kept");
        }
        !kept.failed
    }

    /// Where the octets of images are kept, if they are.
    pub(super) fn image_files(&self) -> Option<ImageFiles> {
        self.memory.0.as_ref().map(|kept| kept.images.clone())
    }

    fn record_octets(&self, model: u32) -> Vec<u8> {
        let mut out = Vec::new();
        VERSION.put(&mut out);
        model.put(&mut out);
        self.clock.settings.put(&mut out);
        self.clock.set_at.put(&mut out);
        self.clock.set_to.put(&mut out);
        self.clock.adjusted.put(&mut out);
        self.clock.valid.put(&mut out);
        self.switch.put(&mut out);
        self.unpaid.put(&mut out);
        self.consumption.past().put(&mut out);
        self.alarms.put(&mut out);
        self.logs.recorded.put(&mut out);
        self.logs.supply().limits.put(&mut out);
        self.logs.supply().cuts.put(&mut out);
        self.logs.seed().clock.put(&mut out);
        self.stored.put(&mut out);
        self.constants.0.put(&mut out);
        self.profiles.put(&mut out);
        self.kept.put(&mut out);
        self.tariffs.octets(&self.model.tariffs).put(&mut out);
        self.firmware.0.as_ref().map(|image| self.image_record(image)).put(&mut out);
        self.billing.put(&mut out);
        self.supervision.limiter.put(&mut out);
        self.supervision.limiting.put(&mut out);
        self.supervision.monitors.put(&mut out);
        self.supervision.monitoring.put(&mut out);
        self.account.put(&mut out);
        self.demands.put(&mut out);
        out
    }

    fn image_record(&self, image: &ImageReceiver<super::ImageBank, Vec<u8>>) -> Image {
        Image {
            enabled: image.is_enabled(),
            status: image.status(),
            identifier: image.identifier().to_vec(),
            size: image.size(),
            block_size: image.size_of_blocks(),
            blocks: image.bitmap().clone(),
            file: image.storage().file,
            version: image.storage().version.clone(),
        }
    }

    /// Takes over a record. One of another layout or another model is about other objects: the meter begins anew.
    fn restore(&mut self, octets: &[u8], model: u32, images: &ImageFiles) -> Result<(), StateError> {
        let mut octets = octets;
        let of = (u8::take(&mut octets), u32::take(&mut octets));
        if of != (Some(VERSION), Some(model)) {
            tracing::warn!(meter = %self.identity.serial, "what was remembered is of another model, and is left aside");
            return Ok(());
        }
        self.restore_parts(&mut octets, images).filter(|()| octets.is_empty()).ok_or(StateError::Lost)
    }

    fn restore_parts(&mut self, octets: &mut &[u8], images: &ImageFiles) -> Option<()> {
        fn next<T: Record>(octets: &mut &[u8]) -> Option<T> {
            T::take(octets)
        }
        self.clock.settings = next(octets)?;
        (self.clock.set_at, self.clock.set_to) = (next(octets)?, next(octets)?);
        self.clock.adjusted = next(octets)?;
        self.clock.valid = next(octets)?;
        (self.switch, self.unpaid) = (next(octets)?, next(octets)?);
        self.consumption.set_past(next(octets)?);
        self.alarms = next(octets)?;
        self.logs.recorded = next(octets)?;
        let supply = self.logs.supply_mut();
        (supply.limits, supply.cuts) = (next(octets)?, next(octets)?);
        self.logs.seed.clock = next(octets)?;
        // What the seed lets happen is judged by them: what is an alarm next may be another event.
        self.look_for_alarms(self.done_until());
        self.stored = next(octets)?;
        self.constants.0 = next(octets)?;
        self.profiles = next(octets)?;
        self.kept = next(octets)?;
        let tariffs: Vec<u8> = next(octets)?;
        self.tariffs.restore(&tariffs, &self.model.tariffs)?;
        if let Some(image) = next::<Option<Image>>(octets)? {
            self.restore_image(&image, images);
        }
        self.billing = next(octets)?;
        self.supervision.limiter = next(octets)?;
        self.supervision.limiting = next(octets)?;
        self.supervision.monitors = next(octets)?;
        self.supervision.monitoring = next(octets)?;
        let number = self.security.token_number();
        self.account = next(octets)?;
        if let Some(account) = &mut self.account {
            // A token that was noted and brought nothing any more is lost with the power: rather that than one that counts
            // twice.
            account.token_number = account.token_number.max(number);
        }
        self.demands = next(octets)?;
        Some(())
    }

    fn restore_image(&mut self, kept: &Image, files: &ImageFiles) {
        let (mut bank, bitmap) = {
            let begun = self.image_mut();
            (begun.storage().clone(), begun.bitmap().clone())
        };
        bank.go_on(kept.version.clone(), kept.file, files);
        let in_transfer =
            !matches!(kept.status, ImageTransferStatus::NotInitiated | ImageTransferStatus::ActivationSuccessful);
        let mut transfer = Transfer {
            status: kept.status,
            identifier: &kept.identifier,
            size: kept.size,
            block_size: kept.block_size,
        };
        if in_transfer && !bank.reload(files.read(kept.file).ok().filter(|octets| octets.len() == kept.size as usize)) {
            tracing::error!(meter = %self.identity.serial, "the image in transfer is gone");
            transfer = Transfer { status: ImageTransferStatus::NotInitiated, size: 0, block_size: 0, ..transfer };
        }
        // Nothing is put in use that was not verified, by this program too.
        if transfer.status == ImageTransferStatus::VerificationSuccessful && !bank.verifies() {
            transfer.status = ImageTransferStatus::VerificationFailed;
        }
        let has = |number: u32| {
            let octet = usize::try_from(number >> 3).ok().and_then(|at| kept.blocks.get(at));
            octet.is_some_and(|octet| octet & (0x80 >> (number & 7)) != 0)
        };
        let mut receiver = ImageReceiver::resume(bank, bitmap, &transfer, |_, number| has(number));
        receiver.set_enabled(kept.enabled);
        self.firmware.0 = Some(Box::new(receiver));
    }

    /// Whether what has changed last could not be kept.
    pub(in crate::simulator) fn forgets(&self) -> bool {
        self.memory.0.as_ref().is_some_and(|kept| kept.failed)
    }
}

fn hash(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    hasher.finish()
}
