//! The bank that a firmware image is kept in until it is activated.

use dlms::apdu::ActionResult;
use dlms::hdlc::Fcs;
use dlms_meter_server::flash::nor_flash::MultiwriteNorFlash;
use dlms_meter_server::flash::{BlockStore, FlashSlots};
use dlms_meter_server::journal::{Found, Journal, OVERHEAD};
use dlms_meter_server::objects::{IMAGE_IDENTIFIER_MAX, ImageReceiver, ImageState, ImageStorage, Transfer, Work};

use super::Meter;

/// Octets of a block.
const BLOCK: usize = 128;
/// Blocks of the longest image.
const BLOCKS: usize = 512;
/// Octets of the longest image.
pub const IMAGE_OCTETS: usize = BLOCK * BLOCKS;
/// Octets of a record in front of the names: status, size, octets of a block, lengths of the names.
const HEAD: usize = 1 + 4 + 4 + 1 + 1;
const ROOM: usize = OVERHEAD + HEAD + 2 * IMAGE_IDENTIFIER_MAX;

/// A transfer into the bank.
pub type Receiver<F> = ImageReceiver<Bank<F>, [u8; BLOCKS / 8]>;

/// A name with its length.
type Name = ([u8; IMAGE_IDENTIFIER_MAX], u8);

/// The image that arrives, how far it is, and the name of the one that runs.
pub struct Bank<F> {
    blocks: BlockStore<F>,
    journal: Journal<FlashSlots<F>>,
    size: usize,
    active: Name,
}

fn of(name: &Name) -> &[u8] {
    name.0.get(..usize::from(name.1)).unwrap_or_default()
}

impl<F: MultiwriteNorFlash> Bank<F> {
    /// The bank with the transfer that was under way. `None` when the memory has no room, or what was kept is lost.
    pub(super) fn receiver(image: F, slots: FlashSlots<F>) -> Option<Receiver<F>> {
        let mut room = [0; ROOM];
        let (journal, found) = Journal::open(slots, &mut room);
        let blocks = BlockStore::new(image, BLOCK)?;
        let mut bank = Self { blocks, journal, size: 0, active: ([0; IMAGE_IDENTIFIER_MAX], 0) };
        let record = match found {
            Found::Nothing => return Some(Receiver::new(bank, [0; BLOCKS / 8])),
            Found::Record(length) => room.get(..length)?,
            Found::Lost => return None,
        };
        let (&[status, a, b, c, d, e, f, g, h, next, active], names) = record.split_first_chunk::<HEAD>()?;
        let (identifier, active_name) = names.split_at_checked(usize::from(next))?;
        bank.active.0.get_mut(..usize::from(active))?.copy_from_slice(active_name.get(..usize::from(active))?);
        bank.active.1 = active;
        let size = u32::from_be_bytes([a, b, c, d]);
        bank.size = usize::try_from(size).ok()?;
        let transfer =
            Transfer { status: status.into(), identifier, size, block_size: u32::from_be_bytes([e, f, g, h]) };
        Some(Receiver::resume(bank, [0; BLOCKS / 8], &transfer, |bank, number| bank.blocks.has(number)))
    }

    /// Name of the image that runs.
    pub(super) fn active(&self) -> &[u8] {
        of(&self.active)
    }
}

impl<F: MultiwriteNorFlash> ImageStorage for Bank<F> {
    fn block_size(&self) -> u32 {
        BLOCK as u32
    }

    fn begin(&mut self, _: &[u8], size: u32) -> Result<(), ActionResult> {
        let fits = usize::try_from(size).ok().filter(|size| *size <= self.blocks.capacity());
        self.size = fits.ok_or(ActionResult::OtherReason)?;
        self.blocks.clear().ok_or(ActionResult::TemporaryFailure)
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), ActionResult> {
        self.blocks.write(offset / BLOCK as u32, octets).ok_or(ActionResult::TemporaryFailure)
    }

    /// An image ends with the check sequence over it. A product verifies a signature.
    fn verify(&mut self) -> Work {
        let (mut sum, mut at) = (Fcs::new(), 0);
        let mut part = [0; 32];
        while at < self.size {
            let length = part.len().min(self.size - at);
            let Some(part) = part.get_mut(..length) else { return Work::Failed };
            if self.blocks.read(at, part).is_none() {
                return Work::Failed;
            }
            sum = sum.update(part);
            at += length;
        }
        if sum.is_valid() { Work::Done } else { Work::Failed }
    }

    /// Only the name: there is nothing to start here.
    fn activate(&mut self) -> Work {
        Work::Done
    }

    fn keep(&mut self, transfer: &Transfer<'_>) -> bool {
        let activated = transfer.status == dlms::cosem::image_transfer::ImageTransferStatus::ActivationSuccessful;
        let name = transfer.identifier;
        let mut active = self.active;
        if activated && let Some(place) = active.0.get_mut(..name.len()) {
            place.copy_from_slice(name);
            active.1 = name.len() as u8;
        }
        let mut room = [0; ROOM];
        let [a, b, c, d] = transfer.size.to_be_bytes();
        let [e, f, g, h] = transfer.block_size.to_be_bytes();
        let head = [transfer.status.into(), a, b, c, d, e, f, g, h, name.len() as u8, active.1];
        let mut length = 0;
        let record = head.iter().chain(name).chain(of(&active));
        for (to, octet) in room.iter_mut().skip(Journal::<FlashSlots<F>>::HEAD).zip(record) {
            *to = *octet;
            length += 1;
        }
        let kept = self.journal.keep(&mut room, length);
        if kept {
            self.active = active;
        }
        kept
    }
}

impl<F: MultiwriteNorFlash + 'static> ImageState for Meter<F> {
    type Storage = Bank<F>;
    type Bitmap = [u8; BLOCKS / 8];

    fn image(&self) -> &Receiver<F> {
        &self.image
    }

    fn image_mut(&mut self) -> &mut Receiver<F> {
        &mut self.image
    }
}
