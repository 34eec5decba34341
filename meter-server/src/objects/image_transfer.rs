//! Image transfer (class 18): firmware in blocks, straight into the meter's storage.

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::BitString;
use dlms::cosem::image_transfer::{
    self, ImageBlock, ImageToActivate, ImageToTransfer, ImageTransferStatus as Status, TransferredBlocksStatus,
};
use dlms::cosem::{Answer, Zero};
use dlms::obis::ObisCode;

use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// Octets of an image's name that are kept.
pub const IMAGE_IDENTIFIER_MAX: usize = 64;

/// How a step that may take long went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// It is under way, and [`ImageReceiver::poll`] asks again.
    Running,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
}

/// Where images are put: flash, a file, memory.
pub trait ImageStorage {
    /// Octets of a block.
    fn block_size(&self) -> u32;

    /// Makes room for an image. What was there is lost.
    ///
    /// # Errors
    /// What the client gets, for instance when the image is too large.
    fn begin(&mut self, identifier: &[u8], size: u32) -> Result<(), ActionResult>;

    /// Writes octets of the image. The same octets may come twice.
    ///
    /// # Errors
    /// What the client gets; the block counts as missing then.
    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), ActionResult>;

    /// Verifies the whole image: its signature, that it is for this meter, that it is not older than allowed. Nothing is
    /// ever activated that was not verified. Asked again while it is running.
    fn verify(&mut self) -> Work;

    /// Puts the verified image in use. Asked again while it is running.
    fn activate(&mut self) -> Work;

    /// The transfer is so far now; whether that is kept. Storage that outlives a restart writes it down, for
    /// [`ImageReceiver::resume`]; which blocks are there it knows by itself.
    fn keep(&mut self, transfer: &Transfer<'_>) -> bool {
        let _ = transfer;
        true
    }

    /// Signature of the verified image, told in `image_to_activate_info`.
    fn signature(&self) -> &[u8] {
        &[]
    }
}

/// How far a transfer is, for whoever keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// The step it is at.
    pub status: Status,
    /// Name of the image.
    pub identifier: &'a [u8],
    /// Octets of the image; 0 before a transfer.
    pub size: u32,
    /// Octets of a block; 0 before a transfer.
    pub block_size: u32,
}

/// The state of a transfer: which blocks are there, and how far it is. `B` holds one bit for each block.
#[derive(Clone, Debug)]
pub struct ImageReceiver<T, B> {
    storage: T,
    bitmap: B,
    enabled: bool,
    status: Status,
    size: u32,
    block_size: u32,
    identifier: [u8; IMAGE_IDENTIFIER_MAX],
    identifier_length: usize,
}

/// A meter that takes images.
pub trait ImageState {
    /// Where images are put.
    type Storage: ImageStorage;
    /// One bit for each block.
    type Bitmap: AsRef<[u8]> + AsMut<[u8]>;

    /// The transfer.
    fn image(&self) -> &ImageReceiver<Self::Storage, Self::Bitmap>;

    /// The transfer, to be changed.
    fn image_mut(&mut self) -> &mut ImageReceiver<Self::Storage, Self::Bitmap>;
}

impl<T: ImageStorage, B: AsRef<[u8]> + AsMut<[u8]>> ImageReceiver<T, B> {
    /// No transfer. Images of up to eight times as many blocks as `bitmap` has octets are taken.
    pub fn new(storage: T, bitmap: B) -> Self {
        Self {
            storage,
            bitmap,
            enabled: false,
            status: Status::NotInitiated,
            size: 0,
            block_size: 0,
            identifier: [0; IMAGE_IDENTIFIER_MAX],
            identifier_length: 0,
        }
    }

    /// A transfer that was kept, after a restart; `has` says which blocks are there. A step that was under way goes on
    /// with [`poll`](Self::poll). What does not fit is no transfer.
    pub fn resume(storage: T, bitmap: B, transfer: &Transfer<'_>, mut has: impl FnMut(&mut T, u32) -> bool) -> Self {
        let mut receiver = Self::new(storage, bitmap);
        let Some(name) = receiver.identifier.get_mut(..transfer.identifier.len()) else { return receiver };
        name.copy_from_slice(transfer.identifier);
        receiver.identifier_length = transfer.identifier.len();
        (receiver.size, receiver.block_size) = (transfer.size, transfer.block_size);
        receiver.bitmap.as_mut().fill(0);
        for number in 0..receiver.blocks() {
            let Some(octet) = usize::try_from(number >> 3).ok().and_then(|at| receiver.bitmap.as_mut().get_mut(at))
            else {
                (receiver.size, receiver.block_size) = (0, 0);
                return receiver;
            };
            if has(&mut receiver.storage, number) {
                *octet |= 0x80 >> (number & 7);
            }
        }
        receiver.status = transfer.status;
        receiver
    }

    /// Goes to a step, if that is kept.
    fn keep(&mut self, status: Status) -> bool {
        let identifier = self.identifier.get(..self.identifier_length).unwrap_or_default();
        let transfer = Transfer { status, identifier, size: self.size, block_size: self.block_size };
        let kept = self.storage.keep(&transfer);
        if kept {
            self.status = status;
        }
        kept
    }

    /// Whether images are taken; a meter may begin with `true`.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// How far the transfer is.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Where the image is.
    #[must_use]
    pub const fn storage(&self) -> &T {
        &self.storage
    }

    /// Where the image is, to be changed.
    pub const fn storage_mut(&mut self) -> &mut T {
        &mut self.storage
    }

    /// Goes on with a verification or activation that is running. To be called now and then.
    pub fn poll(&mut self) {
        match self.status {
            Status::VerificationInitiated => self.run_verification(),
            Status::ActivationInitiated => self.run_activation(),
            _ => {}
        }
    }

    /// Whether images are taken.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Octets of the image; 0 before a transfer.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Octets of the blocks of the image in transfer; 0 before a transfer.
    #[must_use]
    pub const fn size_of_blocks(&self) -> u32 {
        self.block_size
    }

    /// One bit for each block that is there, the first the most significant of the first octet.
    #[must_use]
    pub const fn bitmap(&self) -> &B {
        &self.bitmap
    }

    /// Name of the image.
    #[must_use]
    pub fn identifier(&self) -> &[u8] {
        self.identifier.get(..self.identifier_length).unwrap_or_default()
    }

    /// Octets of a block.
    fn block_size(&self) -> u32 {
        if self.block_size == 0 { self.storage.block_size() } else { self.block_size }
    }

    /// Blocks of the image.
    const fn blocks(&self) -> u32 {
        if self.block_size == 0 { 0 } else { self.size.div_ceil(self.block_size) }
    }

    fn status_bits(&self) -> Option<BitString<'_>> {
        let blocks = usize::try_from(self.blocks()).ok()?;
        BitString::new(self.bitmap.as_ref().get(..blocks.div_ceil(8))?, blocks)
    }

    fn first_missing(&self) -> u32 {
        let found = self.status_bits().and_then(|bits| bits.iter().position(|there| !there));
        found.and_then(|index| u32::try_from(index).ok()).unwrap_or(self.blocks())
    }

    pub(crate) fn initiate(&mut self, image: ImageToTransfer<'_>) -> Result<(), ActionResult> {
        let block_size = self.storage.block_size();
        let name = self.identifier.get_mut(..image.image_identifier.len()).ok_or(ActionResult::OtherReason)?;
        let blocks = image
            .image_size
            .checked_add(block_size.saturating_sub(1))
            .and_then(|octets| usize::try_from(octets.checked_div(block_size)?).ok().filter(|blocks| *blocks != 0));
        let room = self.bitmap.as_ref().len().saturating_mul(8);
        if blocks.is_none_or(|blocks| blocks > room) {
            return Err(ActionResult::OtherReason);
        }
        // From here on an earlier image is lost, so that it must not be activated any more.
        name.copy_from_slice(image.image_identifier);
        self.identifier_length = image.image_identifier.len();
        (self.size, self.block_size) = (0, 0);
        self.status = Status::NotInitiated;
        if !self.keep(Status::NotInitiated) {
            return Err(ActionResult::OtherReason);
        }
        self.storage.begin(image.image_identifier, image.image_size)?;
        (self.size, self.block_size) = (image.image_size, block_size);
        self.bitmap.as_mut().fill(0);
        if self.keep(Status::Initiated) { Ok(()) } else { Err(ActionResult::OtherReason) }
    }

    pub(crate) fn take(&mut self, block: ImageBlock<'_>) -> Result<(), ActionResult> {
        if self.status != Status::Initiated {
            return Err(ActionResult::OtherReason);
        }
        let number = block.image_block_number;
        let offset = number.checked_mul(self.block_size).ok_or(ActionResult::OtherReason)?;
        let left = self.size.checked_sub(offset).filter(|left| *left != 0).ok_or(ActionResult::OtherReason)?;
        if usize::try_from(left.min(self.block_size)) != Ok(block.image_block_value.len()) {
            return Err(ActionResult::TypeUnmatched);
        }
        self.storage.write(offset, block.image_block_value)?;
        let index = usize::try_from(number >> 3).map_err(|_| ActionResult::OtherReason)?;
        let octet = self.bitmap.as_mut().get_mut(index).ok_or(ActionResult::OtherReason)?;
        *octet |= 0x80 >> (number & 7);
        Ok(())
    }

    pub(crate) fn verify(&mut self) -> Result<(), ActionResult> {
        match self.status {
            Status::Initiated if self.first_missing() == self.blocks() => self.run_verification(),
            Status::VerificationInitiated => self.run_verification(),
            Status::VerificationSuccessful => {}
            _ => return Err(ActionResult::OtherReason),
        }
        match self.status {
            Status::VerificationSuccessful => Ok(()),
            Status::VerificationInitiated => Err(ActionResult::TemporaryFailure),
            _ => Err(ActionResult::OtherReason),
        }
    }

    pub(crate) fn activate(&mut self) -> Result<(), ActionResult> {
        match self.status {
            Status::VerificationSuccessful | Status::ActivationInitiated => self.run_activation(),
            _ => return Err(ActionResult::OtherReason),
        }
        match self.status {
            Status::ActivationSuccessful => Ok(()),
            Status::ActivationInitiated => Err(ActionResult::TemporaryFailure),
            _ => Err(ActionResult::OtherReason),
        }
    }

    fn run_verification(&mut self) {
        let status = match self.storage.verify() {
            Work::Running => Status::VerificationInitiated,
            Work::Done => Status::VerificationSuccessful,
            Work::Failed => Status::VerificationFailed,
        };
        if status != self.status && !self.keep(status) {
            self.status = Status::VerificationFailed;
        }
    }

    fn run_activation(&mut self) {
        let status = match self.storage.activate() {
            Work::Running => Status::ActivationInitiated,
            Work::Done => Status::ActivationSuccessful,
            Work::Failed => Status::ActivationFailed,
        };
        if status != self.status && !self.keep(status) {
            self.status = Status::ActivationFailed;
        }
    }

    /// While transfers are not enabled, every method fails.
    const fn enabled(&mut self) -> Result<&mut Self, ActionResult> {
        if self.enabled { Ok(self) } else { Err(ActionResult::ReadWriteDenied) }
    }
}

/// Takes firmware images.
#[derive(Clone, Copy, Debug)]
pub struct ImageTransfer {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(image_transfer: [S: ImageState + ?Sized] ImageTransfer);

impl<'c, S: ImageState + ?Sized> image_transfer::Server<S, Context<'c, S>> for ImageTransfer {
    fn image_block_size(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, image_transfer::BlockSize>,
    ) -> Answered {
        answer.value(&state.image().block_size())
    }

    fn image_transferred_blocks_status(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, TransferredBlocksStatus>,
    ) -> Answered {
        answer.value(&state.image().status_bits().unwrap_or(BitString::EMPTY))
    }

    fn image_first_not_transferred_block_number(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, image_transfer::FirstNotTransferredBlockNumber>,
    ) -> Answered {
        answer.value(&state.image().first_missing())
    }

    fn image_transfer_enabled(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, image_transfer::TransferEnabled>,
    ) -> Answered {
        answer.value(&state.image().enabled)
    }

    fn set_image_transfer_enabled(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        enabled: bool,
    ) -> Result<(), DataAccessResult> {
        state.image_mut().set_enabled(enabled);
        Ok(())
    }

    fn image_transfer_status(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, image_transfer::TransferStatus>,
    ) -> Answered {
        answer.value(&state.image().status)
    }

    fn image_to_activate_info(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, image_transfer::ToActivateInfo>,
    ) -> Answered {
        let image = state.image();
        let verified = matches!(
            image.status,
            Status::VerificationSuccessful | Status::ActivationInitiated | Status::ActivationSuccessful
        );
        answer.elements(usize::from(verified), |_| {
            Ok(ImageToActivate {
                image_to_activate_size: image.size,
                image_to_activate_identification: image.identifier(),
                image_to_activate_signature: image.storage.signature(),
            })
        })
    }

    fn image_transfer_initiate(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        image: ImageToTransfer<'_>,
    ) -> Result<(), ActionResult> {
        state.image_mut().enabled()?.initiate(image)
    }

    fn image_block_transfer(
        &self,
        state: &mut S,
        _: &Context<'c, S>,
        block: ImageBlock<'_>,
    ) -> Result<(), ActionResult> {
        state.image_mut().enabled()?.take(block)
    }

    fn image_verify(&self, state: &mut S, _: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        state.image_mut().enabled()?.verify()
    }

    fn image_activate(&self, state: &mut S, _: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        state.image_mut().enabled()?.activate()
    }
}
