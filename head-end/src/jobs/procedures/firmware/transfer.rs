//! The transfer and verification of an image, a portion at a time.

use std::time::Duration;

use dlms::{
    apdu::{ActionResult, AttributeDescriptor, DataAccessResult, MethodDescriptor},
    axdr::{Data, Value},
    cosem::image_transfer::{Ask, Failure, ImageTransferStatus as Status, Settings, Step, Transfer},
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    UpdateFirmware,
    progress::{Phase, Progress},
    read, refused, unexpected,
};
use crate::{
    jobs::Visit,
    operation::{
        AttributeRef, InvokeMethod, MeterAnswer, Operation, Outcome, RequestError, RequestErrorKind as Kind,
        SetAttribute,
    },
    store::{IMAGE_CHUNK, ImageRow},
};

/// How long blocks are sent to one meter before others have their turn. Each block is an operation of its own, so that
/// whoever waits for the meter is served between two of them.
const PORTION: Duration = Duration::from_secs(10);
/// Octets of a block, at least, for which there is room to note which are there; of smaller ones only the first missing
/// one is known.
const SMALLEST_BLOCK: u32 = 64;
/// Between two looks at a meter that verifies.
const POLL: Duration = Duration::from_secs(5);

/// Transfers what is missing of `image` and has it verified; an error where the next visit goes on, too.
pub(super) async fn run(
    of: &UpdateFirmware,
    visit: &Visit<'_>,
    image: &ImageRow,
    progress: &mut Progress,
) -> Result<(), RequestError> {
    let status = of.status(visit).await?;
    match progress.phase {
        Phase::Verifying { .. } if status == Status::VerificationFailed => {
            return Err(failed(Failure::VerificationFailed));
        }
        // Begun by somebody else, or by a task of ours that is no more: only the meter can tell.
        Phase::Initiating
            if matches!(status, Status::Initiated | Status::VerificationSuccessful)
                && of.is_named(visit, image).await? =>
        {
            (progress.phase, progress.resumed) = (Phase::Transferring, true);
        }
        _ => {}
    }
    let room = image.size.div_ceil(SMALLEST_BLOCK).div_ceil(8);
    let mut bitmap = vec![0; usize::try_from(room).unwrap_or(0)];
    let settings = Settings {
        instance: of.object,
        resume: progress.phase != Phase::Initiating,
        activate: false,
        poll_interval_ms: u64::try_from(POLL.as_millis()).unwrap_or(u64::MAX),
        // What the meter may take goes over visits, and is looked at below.
        verify_timeout_ms: u64::MAX,
        ..Settings::new(&image.identification, image.size)
    };
    let mut drive = Drive {
        of,
        visit,
        image,
        begun: Instant::now(),
        earlier: progress.sent,
        progress,
        chunk: None,
        transfer: Transfer::new(settings, &mut bitmap),
    };
    drive.finish().await
}

/// One visit.
struct Drive<'a, 'v> {
    of: &'a UpdateFirmware,
    visit: &'a Visit<'v>,
    image: &'a ImageRow,
    progress: &'a mut Progress,
    transfer: Transfer<'a>,
    begun: Instant,
    /// Blocks sent before this visit.
    earlier: u32,
    /// The chunk of the image that is in memory, and its number.
    chunk: Option<(u32, Vec<u8>)>,
}

impl Drive<'_, '_> {
    fn now(&self) -> dlms::Instant {
        dlms::Instant::from_millis(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn finish(&mut self) -> Result<(), RequestError> {
        loop {
            let step = self.transfer.step(self.now());
            self.progress.blocks = self.transfer.blocks().max(self.progress.blocks);
            self.progress.sent = self.earlier.saturating_add(self.transfer.sent());
            match step {
                Step::Ask(Ask::Get(attribute)) => self.get(attribute).await?,
                Step::Ask(Ask::Enable(attribute)) => self.enable(attribute).await?,
                Step::Ask(Ask::SendBlock { method, offset, length, .. }) => {
                    if self.begun.elapsed() >= PORTION {
                        self.visit.save(self.progress.encode()).await?;
                        return Err(self.visit.go_on_after(Duration::ZERO));
                    }
                    if self.progress.phase != Phase::Transferring {
                        // From here on a new visit goes on, and does not begin again.
                        self.progress.phase = Phase::Transferring;
                        self.visit.save(self.progress.encode()).await?;
                    }
                    let block = self.octets(offset, length).await?;
                    self.invoke(method, &block).await?;
                }
                Step::Ask(Ask::Invoke(method)) => self.step_of(method).await?,
                Step::Wait(_) => return Err(self.await_verification().await?),
                Step::Done(_) => {
                    self.progress.phase = Phase::Verified;
                    return self.visit.save(self.progress.encode()).await;
                }
                Step::Failed(failure) => return Err(failed(failure)),
            }
        }
    }

    async fn get(&mut self, attribute: AttributeDescriptor) -> Result<(), RequestError> {
        let attribute = AttributeRef::new(attribute.class, attribute.instance, attribute.attribute);
        let value = match read(self.visit, attribute).await {
            Ok(value) => value.to_vec(),
            Err(error) => {
                let result = data_access(error)?;
                self.transfer.handle_value(Err(result), self.now());
                return Ok(());
            }
        };
        let data = Data::from_slice(&value).map_err(|error| unexpected(&error.to_string()))?;
        let now = self.now();
        self.transfer.handle_value(Ok(data), now);
        Ok(())
    }

    async fn enable(&mut self, attribute: AttributeDescriptor) -> Result<(), RequestError> {
        let attribute = AttributeRef::new(attribute.class, attribute.instance, attribute.attribute);
        let assignment = SetAttribute { attribute, selection: None, value: Value::Boolean(true) };
        let progress = self.progress.encode();
        let set = self.visit.act_on(|| progress, Operation::SetAttributes(vec![assignment])).await;
        let result = match set {
            Ok(Outcome::Set(mut results)) => results.pop().unwrap_or(Ok(())),
            Ok(other) => return Err(unexpected(&format!("the fleet answered with {}", other.name()))),
            Err(error) => Err(error),
        };
        let result = result.map_or_else(data_access, |()| Ok(DataAccessResult::Success))?;
        self.transfer.handle_set(result, self.now());
        Ok(())
    }

    /// image_transfer_initiate and image_verify.
    async fn step_of(&mut self, method: MethodDescriptor) -> Result<(), RequestError> {
        use dlms::cosem::{Method, image_transfer::Verify};
        self.progress.phase = match method.method == Verify::ID {
            true => Phase::Verifying { until: after(self.visit.now(), self.of.verify_timeout) },
            false => {
                self.progress.resumed = false;
                Phase::Initiating
            }
        };
        // A note of its own: what it says is what the next visit begins with.
        self.visit.save(self.progress.encode()).await?;
        self.invoke(method, &[]).await
    }

    async fn invoke(&mut self, method: MethodDescriptor, block: &[u8]) -> Result<(), RequestError> {
        let mut buffer = vec![0; block.len() + self.image.identification.len() + 32];
        let parameter = self.transfer.parameter(block, &mut buffer).map(Value::from);
        let parameter = parameter.map_err(|_| unexpected("a parameter does not fit"))?;
        let MethodDescriptor { class, instance, method } = method;
        let invoke = InvokeMethod { class, obis: instance, method, parameter: Some(parameter) };
        let progress = &*self.progress;
        let done = self.visit.act_on(|| progress.encode(), Operation::InvokeMethod(invoke)).await;
        let result = done.map_or_else(action, |_| Ok(ActionResult::Success))?;
        self.transfer.handle_action(result, self.now());
        Ok(())
    }

    /// Octets of the image, a chunk of it in memory at a time.
    async fn octets(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, RequestError> {
        let damaged = || unexpected("the image in the store is damaged");
        let (mut at, mut left) = (as_usize(offset), as_usize(length));
        let mut octets = Vec::with_capacity(left.min(IMAGE_CHUNK));
        while left > 0 {
            let number = u32::try_from(at / IMAGE_CHUNK).map_err(|_| damaged())?;
            let chunk = match self.chunk.take() {
                Some((there, chunk)) if there == number => chunk,
                _ => self.visit.image_chunk(self.image.id, number).await?,
            };
            let part = chunk.get(at % IMAGE_CHUNK..).filter(|part| !part.is_empty()).ok_or_else(damaged)?;
            let part = part.get(..left.min(part.len())).unwrap_or_default();
            octets.extend_from_slice(part);
            (at, left) = (at + part.len(), left - part.len());
            self.chunk = Some((number, chunk));
        }
        Ok(octets)
    }

    /// What the visit ends with while the meter verifies.
    async fn await_verification(&mut self) -> Result<RequestError, RequestError> {
        let until = match self.progress.phase {
            Phase::Verifying { until } => until,
            // Somebody else had it verified.
            _ => after(self.visit.now(), self.of.verify_timeout),
        };
        if self.visit.now() >= until {
            return Err(failed(Failure::VerifyTimeout));
        }
        self.progress.phase = Phase::Verifying { until };
        self.visit.save(self.progress.encode()).await?;
        Ok(self.visit.go_on_after(POLL))
    }
}

/// A failure of the transfer as what the meter said.
fn failed(failure: Failure) -> RequestError {
    let error = refused(failure.to_string());
    match failure {
        Failure::Read { result, .. } | Failure::Enable(result) => {
            error.with_answer(MeterAnswer::DataAccess(result.code()))
        }
        Failure::Invoke { result, .. } => error.with_answer(MeterAnswer::Action(result.code())),
        _ => error,
    }
}

/// The meter's refusal, where the error is one.
fn data_access(error: RequestError) -> Result<DataAccessResult, RequestError> {
    match (error.kind(), error.answer()) {
        (Kind::MeterRefused, Some(MeterAnswer::DataAccess(code))) => Ok(DataAccessResult::from_code(code)),
        _ => Err(error),
    }
}

/// The meter's refusal, where the error is one.
pub(super) fn action(error: RequestError) -> Result<ActionResult, RequestError> {
    match (error.kind(), error.answer()) {
        (Kind::MeterRefused, Some(MeterAnswer::Action(code))) => Ok(ActionResult::from_code(code)),
        _ => Err(error),
    }
}

pub(super) fn after(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn as_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
