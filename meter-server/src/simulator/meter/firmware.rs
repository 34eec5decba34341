//! The firmware of one meter: images taken, verified and put in use.

use dlms::apdu::ActionResult;
use dlms::security::public_key::PublicKey;

use super::Meter;
use super::events::LogKind;
use super::memory::ImageFiles;
use crate::events::code;
use crate::moment::Moment;
use crate::objects::{ImageReceiver, ImageState, ImageStorage, Work};
use crate::simulator::defect::DefectKind;
use crate::simulator::firmware::verify_image;

/// What a model says of its firmware.
#[derive(Clone, Debug)]
pub(crate) struct ModelFirmware {
    pub(crate) version: String,
    /// Manufacturer and device type, which an image must name.
    pub(crate) kind: String,
    pub(crate) block_size: u32,
    pub(crate) octets_max: u32,
    /// The key that images must be signed with.
    pub(crate) key: Option<PublicKey>,
}

/// A transfer, of meters that have seen one.
#[derive(Debug, Default)]
pub(crate) struct Firmware(pub(super) Option<Box<ImageReceiver<ImageBank, Vec<u8>>>>);

/// Where a simulated meter puts an image, and the version in use.
#[derive(Clone, Debug)]
pub struct ImageBank {
    model: ModelFirmware,
    octets: Vec<u8>,
    /// Where the octets outlive a restart, if they do, and the file among those that they are in.
    files: Option<ImageFiles>,
    pub(super) file: u8,
    pub(super) version: Option<String>,
    coming: Option<String>,
    signature: Vec<u8>,
    /// No image verifies, none can be put in use.
    defects: (bool, bool),
    /// What has happened and is not in the log yet.
    events: Vec<u8>,
}

impl ImageBank {
    /// Of a model without images.
    pub(crate) fn none() -> Self {
        let (version, kind) = (String::new(), String::new());
        Self::new(ModelFirmware { version, kind, block_size: 1, octets_max: 0, key: None })
    }

    pub(crate) const fn new(model: ModelFirmware) -> Self {
        Self {
            model,
            octets: Vec::new(),
            files: None,
            file: 0,
            version: None,
            coming: None,
            signature: Vec::new(),
            defects: (false, false),
            events: Vec::new(),
        }
    }

    /// Goes on after a restart with the version in use.
    pub(super) fn go_on(&mut self, version: Option<String>, file: u8, files: &ImageFiles) {
        (self.version, self.file, self.files) = (version, file, Some(files.clone()));
    }

    /// Takes over the octets of an image in transfer; false when they are gone.
    pub(super) fn reload(&mut self, octets: Option<Vec<u8>>) -> bool {
        let there = octets.is_some();
        self.octets = octets.unwrap_or_default();
        there
    }

    /// Whether the image that is there may be put in use, which it is made ready for.
    pub(super) fn verifies(&mut self) -> bool {
        let image = verify_image(&self.octets, &self.model.kind, self.model.key.as_ref()).ok();
        let image = image.map(|image| (image.version.to_owned(), image.signature.to_vec()));
        let there = image.is_some();
        if let Some((version, signature)) = image {
            (self.coming, self.signature) = (Some(version), signature);
        }
        there
    }
}

impl ImageStorage for ImageBank {
    fn block_size(&self) -> u32 {
        self.model.block_size
    }

    fn begin(&mut self, _: &[u8], size: u32) -> Result<(), ActionResult> {
        if size > self.model.octets_max {
            return Err(ActionResult::OtherReason);
        }
        (self.coming, self.signature) = (None, Vec::new());
        self.octets = vec![0xFF; usize::try_from(size).map_err(|_| ActionResult::OtherReason)?];
        if let Some(files) = &self.files {
            // The one before stays until the record says that this one comes.
            self.file ^= 1;
            kept(files.begin(self.file, size.into()))?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, octets: &[u8]) -> Result<(), ActionResult> {
        let place =
            usize::try_from(offset).ok().and_then(|offset| self.octets.get_mut(offset..)?.get_mut(..octets.len()));
        place.ok_or(ActionResult::OtherReason)?.copy_from_slice(octets);
        self.files.as_ref().map_or(Ok(()), |files| kept(files.write(self.file, offset, octets)))
    }

    fn verify(&mut self) -> Work {
        let (bad, _) = self.defects;
        if !bad && self.verifies() {
            self.events.push(code::FIRMWARE_READY);
            return Work::Done;
        }
        tracing::debug!(bad, "firmware image refused");
        self.events.push(code::FIRMWARE_VERIFICATION_FAILED);
        Work::Failed
    }

    fn activate(&mut self) -> Work {
        let (_, stuck) = self.defects;
        let Some(version) = self.coming.take().filter(|_| !stuck) else {
            // The version in use stays in use.
            return Work::Failed;
        };
        // What is in use needs no second copy.
        self.octets = Vec::new();
        self.version = Some(version);
        self.events.push(code::FIRMWARE_ACTIVATED);
        Work::Done
    }

    fn signature(&self) -> &[u8] {
        &self.signature
    }
}

fn kept(written: std::io::Result<()>) -> Result<(), ActionResult> {
    written.map_err(|error| {
        tracing::error!(%error, "an image cannot be kept");
        ActionResult::OtherReason
    })
}

impl ImageState for Meter {
    type Storage = ImageBank;
    type Bitmap = Vec<u8>;

    fn image(&self) -> &ImageReceiver<ImageBank, Vec<u8>> {
        self.firmware.0.as_ref().map_or(&self.model.image, |own| own)
    }

    fn image_mut(&mut self) -> &mut ImageReceiver<ImageBank, Vec<u8>> {
        let defects = (self.has_defect(DefectKind::BadImage), self.has_defect(DefectKind::FailedActivation));
        let files = self.image_files();
        let own = self.firmware.0.get_or_insert_with(|| Box::new(self.model.image.clone()));
        let bank = own.storage_mut();
        bank.defects = defects;
        if files.is_some() {
            bank.files = files;
        }
        own
    }
}

impl Meter {
    /// The version of the firmware in use.
    pub(crate) fn firmware_version(&self) -> &str {
        let bank = self.image().storage();
        bank.version.as_ref().unwrap_or(&bank.model.version)
    }

    /// Due at once when something happened that the log does not have yet.
    pub(super) fn firmware_due(&self) -> Option<Moment> {
        let own = self.firmware.0.as_ref()?;
        (!own.storage().events.is_empty()).then(|| self.done_until())
    }

    /// Enters what happened.
    pub(super) fn note_firmware(&mut self, at: Moment) {
        let Some(own) = &mut self.firmware.0 else { return };
        for event in std::mem::take(&mut own.storage_mut().events) {
            self.record(LogKind::Standard, at, event);
        }
    }
}
