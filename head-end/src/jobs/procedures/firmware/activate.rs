//! The activation of an image that the meter has verified.

use std::time::Duration;

use dlms::{
    apdu::ActionResult,
    axdr::Value,
    cosem::{
        Method,
        image_transfer::{Activate, ImageTransferStatus as Status},
    },
};

use super::{
    UpdateFirmware,
    progress::{Phase, Progress},
    refused,
    transfer::{action, after},
};
use crate::{
    jobs::{FirmwareStep, Report, Resolution, Visit},
    operation::{InvokeMethod, Layer, Operation, RequestError, RequestErrorKind as Kind},
    store::ImageRow,
};

/// Between two looks at a meter that activates.
const POLL: Duration = Duration::from_secs(5);

impl UpdateFirmware {
    /// Tells the meter to activate the image, and waits until it runs.
    pub(super) async fn activate(
        &self,
        visit: &Visit<'_>,
        image: &ImageRow,
        mut progress: Progress,
    ) -> Result<Report, RequestError> {
        let until = after(visit.now(), self.activate_timeout);
        progress.phase = Phase::Activating { until, accepted: false };
        let descriptor = Activate::of(self.object);
        let invoke = InvokeMethod {
            class: descriptor.class,
            obis: descriptor.instance,
            method: descriptor.method,
            parameter: Some(Value::Integer(0)),
        };
        let told = visit.act(progress.encode(), Operation::InvokeMethod(invoke)).await;
        if let Err(error) = told {
            let result = action(error.clone())?;
            // Another refusal may have been the end of it: then the status says so.
            if result != ActionResult::TemporaryFailure && self.status(visit).await? != Status::ActivationFailed {
                return Err(error);
            }
        }
        progress.phase = Phase::Activating { until, accepted: true };
        visit.save(progress.encode()).await?;
        let report = self.await_activation(visit, image, &progress).await?;
        report.ok_or_else(|| refused("the meter has forgotten that it was told to activate the image"))
    }

    /// Looks how far the activation is; `None` where the meter has to be told, perhaps again.
    pub(super) async fn await_activation(
        &self,
        visit: &Visit<'_>,
        image: &ImageRow,
        progress: &Progress,
    ) -> Result<Option<Report>, RequestError> {
        let Phase::Activating { until, accepted } = progress.phase else { return Ok(None) };
        match self.status(visit).await? {
            // Some know of no transfer any more once they run the new image.
            Status::ActivationSuccessful | Status::NotInitiated => {
                self.activated(visit, image, progress).await.map(Some)
            }
            Status::ActivationFailed => Err(refused("the meter could not activate the image")),
            // The request was lost, and the meter has not acted on it.
            Status::VerificationSuccessful if !accepted => Ok(None),
            Status::VerificationSuccessful | Status::ActivationInitiated if visit.now() < until => {
                visit.save(progress.encode()).await?;
                Err(visit.go_on_after(POLL))
            }
            Status::VerificationSuccessful | Status::ActivationInitiated => Err(refused("activation takes too long")),
            status => Err(refused(format!("the transfer is in state {status:?}"))),
        }
    }

    /// The report of a meter that says it is done, if it runs what it should.
    async fn activated(
        &self,
        visit: &Visit<'_>,
        image: &ImageRow,
        progress: &Progress,
    ) -> Result<Report, RequestError> {
        let after = self.version(visit).await?;
        match &after {
            Some(version) if !image.version.is_empty() && *version != image.version => {
                Err(refused(format!("the meter runs {version:?} after the activation, not {:?}", image.version)))
            }
            _ => Ok(self.report(FirmwareStep::Activated, progress, after)),
        }
    }

    /// What became of an activation that was not answered.
    pub(super) async fn resolve_activation(
        &self,
        visit: &Visit<'_>,
        progress: Progress,
    ) -> Result<Resolution, RequestError> {
        let Phase::Activating { until, .. } = progress.phase else { return Ok(Resolution::NotDone) };
        match self.status(visit).await? {
            Status::ActivationSuccessful | Status::NotInitiated => {
                let image = visit.image(self.image).await?;
                Ok(match self.activated(visit, &image, &progress).await {
                    Ok(report) => Resolution::Done(report),
                    // What it runs instead is told by another look.
                    Err(error) if error.kind() == Kind::MeterRefused => Resolution::NotDone,
                    Err(error) => return Err(error),
                })
            }
            Status::ActivationInitiated if visit.now() < until => {
                Err(RequestError::new(Kind::Busy, Layer::Meter, "the meter is activating the image"))
            }
            Status::ActivationInitiated => Ok(Resolution::Unknown),
            _ => Ok(Resolution::NotDone),
        }
    }
}
