//! The bank that a firmware image is kept in until it is activated.

use dlms::apdu::ActionResult;
use dlms::hdlc::Fcs;
use dlms_meter_server::objects::{ImageReceiver, ImageState, ImageStorage, Work};

use super::Meter;

/// Octets of a block.
const BLOCK: u32 = 64;
/// Blocks that the bank holds. A product has a flash bank here.
const BLOCKS: usize = 16;
const BANK: usize = BLOCK as usize * BLOCKS;
/// Longest name of an image, in octets.
const NAME: usize = 16;

/// A transfer into the bank.
pub type Receiver = ImageReceiver<Bank, [u8; BLOCKS / 8]>;

/// The image that arrives, and the name of the one that runs.
pub struct Bank {
    octets: [u8; BANK],
    size: usize,
    /// Names of the image in the bank and of the one that runs, each with its length.
    next: ([u8; NAME], usize),
    active: ([u8; NAME], usize),
}

impl Bank {
    const EMPTY: Self = Self { octets: [0; BANK], size: 0, next: ([0; NAME], 0), active: ([0; NAME], 0) };

    /// A meter's first bank; images may come at once.
    pub fn receiver() -> Receiver {
        let mut receiver = Receiver::new(Self::EMPTY, [0; BLOCKS / 8]);
        receiver.set_enabled(true);
        receiver
    }

    /// Name of the image that runs.
    pub fn active(&self) -> &[u8] {
        self.active.0.get(..self.active.1).unwrap_or_default()
    }
}

impl ImageStorage for Bank {
    fn block_size(&self) -> u32 {
        BLOCK
    }

    fn begin(&mut self, identifier: &[u8], size: u32) -> Result<(), ActionResult> {
        let refused = ActionResult::OtherReason;
        self.size = usize::try_from(size).ok().filter(|size| (1..=BANK).contains(size)).ok_or(refused)?;
        self.next.0.get_mut(..identifier.len()).ok_or(refused)?.copy_from_slice(identifier);
        self.next.1 = identifier.len();
        Ok(())
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), ActionResult> {
        let place = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(octets.len())?));
        let place = place.and_then(|place| self.octets.get_mut(place)).ok_or(ActionResult::OtherReason)?;
        place.copy_from_slice(octets);
        Ok(())
    }

    /// An image ends with the check sequence over it. A product verifies a signature.
    fn verify(&mut self) -> Work {
        match self.octets.get(..self.size) {
            Some(image) if Fcs::new().update(image).is_valid() => Work::Done,
            _ => Work::Failed,
        }
    }

    fn activate(&mut self) -> Work {
        self.active = self.next;
        Work::Done
    }
}

impl ImageState for Meter {
    type Storage = Bank;
    type Bitmap = [u8; BLOCKS / 8];

    fn image(&self) -> &Receiver {
        &self.image
    }

    fn image_mut(&mut self) -> &mut Receiver {
        &mut self.image
    }
}
