//! New firmware for a meter: class 18, image transfer.
//!
//! ```text
//!   look ─▶ begin ─▶ blocks, a portion at a time ─▶ verify ─▶ [wait] ─▶ activate ─▶ read the version back
//! ```
//!
//! What was done so far is in the checkpoint, and what the meter says goes before it: a transfer that was begun is gone
//! on with, without image_transfer_initiate, which would have every block sent again.

mod activate;
mod progress;
mod transfer;
mod versions;

use std::time::Duration;

use dlms::{
    axdr::{Data, Value},
    cosem::{
        Attribute,
        image_transfer::{ImageTransferStatus as Status, ToActivateInfo, TransferStatus},
    },
    id::AttributeId,
    obis::ObisCode,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use self::progress::{Phase, Progress};
pub use self::versions::{ReadVersions, VERSIONS};
use super::{attributes, get, refused, unexpected};
use crate::{
    jobs::{FirmwareReport, FirmwareStep, Procedure, Report, Resolution, Visit},
    operation::{AttributeRef, RequestError, RequestErrorKind as Kind},
    store::{ImageId, ImageRow},
};

/// How long after a look at a paused job the next one is.
const PAUSED: Duration = Duration::from_secs(60);

/// Brings an image to a meter, and has it verified and activated.
#[derive(Clone, Debug)]
pub struct UpdateFirmware {
    /// The image.
    pub image: ImageId,
    /// The image transfer object; 0-0:44.0.0 as a rule.
    pub object: ObisCode,
    /// The active firmware identifier (class 1); 1-0:0.2.0 as a rule.
    pub identifier: ObisCode,
    /// Whether it is transferred; otherwise only what the meter has verified is activated.
    pub transfer: bool,
    /// When it is activated.
    pub activation: Activation,
    /// How long the meter may take to verify.
    pub verify_timeout: Duration,
    /// How long the meter may take to activate, its restart included.
    pub activate_timeout: Duration,
}

/// When an image is activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// When somebody asks for it.
    OnRequest,
    /// As soon as it is verified.
    Immediate,
    /// At this moment, or as soon as it is verified afterwards.
    At(Timestamp),
}

impl UpdateFirmware {
    async fn update(&self, visit: &Visit<'_>) -> Result<Report, RequestError> {
        if visit.is_paused().await? {
            return Err(visit.go_on_after(PAUSED));
        }
        let image = visit.image(self.image).await?;
        let mut progress = match Progress::of(visit.checkpoint()) {
            Some(progress) => progress,
            None => {
                // Blocks of two images would end up in one.
                visit.registered().alone().await?;
                let before = self.version(visit).await?;
                let progress = Progress::new(before);
                if !image.version.is_empty() && progress.before.as_deref() == Some(&image.version) {
                    return Ok(self.report(FirmwareStep::UpToDate, &progress, progress.before.clone()));
                }
                progress
            }
        };
        if matches!(progress.phase, Phase::Activating { .. }) {
            return match self.await_activation(visit, &image, &progress).await? {
                Some(report) => Ok(report),
                None => self.activate(visit, &image, progress).await,
            };
        }
        if self.transfer {
            if !matches!(progress.phase, Phase::Verified) {
                transfer::run(self, visit, &image, &mut progress).await?;
            }
        } else if !self.is_verified(visit, &image).await? {
            return Err(refused("the meter has not verified this image: transfer it first"));
        }
        match self.activation {
            Activation::OnRequest => {
                let after = progress.before.clone();
                Ok(self.report(FirmwareStep::Verified, &progress, after))
            }
            Activation::At(when) if visit.now() < when => {
                progress.phase = Phase::Verified;
                visit.save(progress.encode()).await?;
                let wait = Duration::try_from(when.duration_since(visit.now())).unwrap_or_default();
                Err(visit.go_on_after(wait))
            }
            Activation::At(_) | Activation::Immediate => self.activate(visit, &image, progress).await,
        }
    }

    fn report(&self, step: FirmwareStep, progress: &Progress, after: Option<String>) -> Report {
        Report::Firmware(FirmwareReport {
            image: self.image,
            step,
            before: progress.before.clone(),
            after,
            blocks: progress.blocks,
            sent: progress.sent,
            resumed: progress.resumed,
        })
    }

    /// An attribute of the image transfer object.
    async fn read(&self, visit: &Visit<'_>, attribute: AttributeId) -> Result<Value, RequestError> {
        read(visit, AttributeRef::new(TransferStatus::CLASS_ID, self.object, attribute)).await
    }

    async fn status(&self, visit: &Visit<'_>) -> Result<Status, RequestError> {
        let value = self.read(visit, TransferStatus::ID).await?;
        let octets = value.to_vec();
        let data = Data::from_slice(&octets).map_err(|error| unexpected(&error.to_string()))?;
        TransferStatus::decode(data).map_err(|error| unexpected(&error.to_string()))
    }

    /// Whether image_to_activate_info names the image; not where the meter does not tell.
    async fn is_named(&self, visit: &Visit<'_>, image: &ImageRow) -> Result<bool, RequestError> {
        let value = match self.read(visit, ToActivateInfo::ID).await {
            Ok(value) => value,
            Err(error) if error.kind() == Kind::MeterRefused => return Ok(false),
            Err(error) => return Err(error),
        };
        let octets = value.to_vec();
        let Ok(data) = Data::from_slice(&octets) else { return Ok(false) };
        Ok(ToActivateInfo::decode(data).is_ok_and(|parts| {
            parts.iter().flatten().any(|part| {
                part.image_to_activate_identification == image.identification
                    && part.image_to_activate_size == image.size
            })
        }))
    }

    /// Whether the meter has verified the image.
    async fn is_verified(&self, visit: &Visit<'_>, image: &ImageRow) -> Result<bool, RequestError> {
        Ok(self.status(visit).await? == Status::VerificationSuccessful && self.is_named(visit, image).await?)
    }

    /// The active firmware identifier, where the meter tells.
    async fn version(&self, visit: &Visit<'_>) -> Result<Option<String>, RequestError> {
        versions::read(visit, self.identifier).await
    }
}

impl Procedure for UpdateFirmware {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(self.update(visit))
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move {
            match Progress::of(visit.checkpoint()) {
                Some(progress) if matches!(progress.phase, Phase::Activating { .. }) => {
                    self.resolve_activation(visit, progress).await
                }
                // A block may come twice, an image may be verified twice, and whether a transfer was begun is in doubt
                // only before its first block: going on asks the meter where it is.
                _ => Ok(Resolution::NotDone),
            }
        })
    }
}

/// One attribute.
async fn read(visit: &Visit<'_>, attribute: AttributeRef) -> Result<Value, RequestError> {
    let wanted = get(attribute.class, attribute.obis, &[attribute.attribute.0]);
    let values = attributes(visit.read(wanted).await?)?;
    let value = values.into_iter().next().ok_or_else(|| unexpected("the meter gave nothing"))?;
    Ok(value?.value)
}
