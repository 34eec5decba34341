//! The client's side of an image transfer.

use thiserror::Error;

use super::blocks::Blocks;
use super::{
    Activate, BlockSize, BlockTransfer, FirstNotTransferredBlockNumber, ImageBlock, ImageToTransfer,
    ImageTransferStatus as Status, ToActivateInfo, TransferEnabled, TransferInitiate, TransferStatus,
    TransferredBlocksStatus, Verify,
};
use crate::apdu::{ActionResult, AttributeDescriptor, DataAccessResult, MethodDescriptor};
use crate::axdr::{BufferFull, Data, Reader, Writer};
use crate::cosem::{Attribute, Method, ToData, TypeError, Zero};
use crate::instant::Instant;
use crate::obis::ObisCode;

/// Blocks refused one after the other after which there is no use in sending more.
const REFUSALS_MAX: u8 = 8;

/// What to transfer, and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The image transfer object.
    pub instance: ObisCode,
    /// Name of the image.
    pub identifier: &'a [u8],
    /// Octets of the image.
    pub size: u32,
    /// Whether a transfer of this very image was begun before, and may be gone on with. The meter does not tell which
    /// image a transfer is of, and to initiate it anew would discard every block.
    pub resume: bool,
    /// Whether to activate the image; else the transfer ends when it is verified.
    pub activate: bool,
    /// Milliseconds between two looks at a meter that verifies or activates.
    pub poll_interval_ms: u64,
    /// Milliseconds that the meter may take to verify.
    pub verify_timeout_ms: u64,
    /// Milliseconds that the meter may take to activate, restart included.
    pub activate_timeout_ms: u64,
    /// How often blocks that turn out to be missing are sent again.
    pub repairs_max: u8,
}

impl<'a> Settings<'a> {
    /// A new transfer to the image transfer object 0.0.44.0.0.255, activated at its end: looks every 5 seconds, 10
    /// minutes for the meter to verify, as many to activate, three repairs.
    #[must_use]
    pub const fn new(identifier: &'a [u8], size: u32) -> Self {
        Self {
            instance: ObisCode([0, 0, 44, 0, 0, 255]),
            identifier,
            size,
            resume: false,
            activate: true,
            poll_interval_ms: 5_000,
            verify_timeout_ms: 600_000,
            activate_timeout_ms: 600_000,
            repairs_max: 3,
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Ask the meter, and hand its answer to [`Transfer::handle_value`], [`Transfer::handle_set`] or
    /// [`Transfer::handle_action`].
    Ask(Ask),
    /// Nothing until this moment.
    Wait(Instant),
    /// It is over.
    Done(Outcome),
    /// It failed.
    Failed(Failure),
}

/// What to ask the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// GET this attribute.
    Get(AttributeDescriptor),
    /// SET this attribute to true.
    Enable(AttributeDescriptor),
    /// ACTION with [`Transfer::parameter`].
    Invoke(MethodDescriptor),
    /// ACTION with [`Transfer::parameter`], which takes these octets of the image.
    SendBlock {
        /// The method.
        method: MethodDescriptor,
        /// Number of the block.
        number: u32,
        /// Where in the image the block begins.
        offset: u32,
        /// Octets of the block.
        length: u32,
    },
}

/// How a transfer ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The image was verified, and is not to be activated.
    Verified,
    /// The meter says that the image is in use.
    Activated,
    /// The meter knows of no transfer any more, which is what some do once they run the new image: compare the firmware
    /// identifiers.
    Restarted,
}

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Failure {
    /// The meter does not let an attribute be read.
    #[error("reading {attribute}: {result}")]
    Read {
        /// Name of the attribute.
        attribute: &'static str,
        /// Why.
        result: DataAccessResult,
    },
    /// The meter does not let image transfers be enabled.
    #[error("enabling image transfers: {0}")]
    Enable(DataAccessResult),
    /// The meter refuses a method.
    #[error("{method}: {result}")]
    Invoke {
        /// Name of the method.
        method: &'static str,
        /// Why.
        result: ActionResult,
    },
    /// The meter answers with something else than the class has.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// The meter takes blocks of 0 octets.
    #[error("blocks of 0 octets")]
    BlockSize,
    /// Blocks stay missing, however often they are sent.
    #[error("block {missing} is missing still")]
    Incomplete {
        /// The first of them.
        missing: u32,
    },
    /// The meter finds that the image is not good.
    #[error("the meter could not verify the image")]
    VerificationFailed,
    /// The meter did not put the image in use.
    #[error("the meter could not activate the image")]
    ActivationFailed,
    /// The meter is in a state in which the transfer cannot go on.
    #[error("the transfer is in state {0:?}")]
    State(Status),
    /// The meter takes too long to verify.
    #[error("verification takes too long")]
    VerifyTimeout,
    /// The meter takes too long to activate.
    #[error("activation takes too long")]
    ActivateTimeout,
}

/// An image transfer, one request at a time and without input or output of its own.
///
/// ```text
/// step(now) ─▶ Ask ─▶ (request, answer) ─▶ handle_value | handle_set | handle_action ─▶ step(now) ... Done | Failed
///              Wait ─▶ (wait) ─▶ step(now)
/// ```
///
/// [`step`](Self::step) says the same again until the answer was handed in. After a lost association
/// [`handle_lost`](Self::handle_lost) and a new one it goes on where the meter is. Of the image it holds nothing; memory
/// is what the caller lends to note which blocks are there, one bit each. With less, only the first missing block is
/// known, and more may be sent than is missing.
#[derive(Debug)]
pub struct Transfer<'a> {
    settings: Settings<'a>,
    blocks: Blocks<'a>,
    state: State,
    /// Whether the meter has been told of this image.
    begun: bool,
    /// Whether the meter has answered the request to activate.
    accepted: bool,
    repairs: u8,
    /// Blocks that were refused one after the other.
    refusals: u8,
    sent: u32,
    /// Until when the meter may take, once it verifies or activates.
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    ReadStatus,
    ReadEnabled,
    Enable,
    ReadBlockSize,
    Initiate,
    ReadMissing,
    ReadFirstMissing,
    SendBlocks,
    /// All were sent: is one missing still?
    CheckComplete,
    Verify,
    PollVerify(Instant),
    /// Verified before: is it this image?
    ReadInfo,
    Activate,
    PollActivate(Instant),
    Done(Outcome),
    Failed(Failure),
}

impl<'a> Transfer<'a> {
    /// A transfer; `bitmap` is the place for one bit for each block.
    #[must_use]
    pub fn new(settings: Settings<'a>, bitmap: &'a mut [u8]) -> Self {
        let blocks = Blocks::new(settings.size, bitmap);
        let begun = settings.resume;
        Self {
            settings,
            blocks,
            state: State::ReadStatus,
            begun,
            accepted: false,
            repairs: 0,
            refusals: 0,
            sent: 0,
            deadline: None,
        }
    }

    /// Blocks of the image, once the meter has said how long they are; 0 before.
    #[must_use]
    pub const fn blocks(&self) -> u32 {
        match self.state {
            State::ReadStatus | State::ReadEnabled | State::Enable | State::ReadBlockSize => 0,
            _ => self.blocks.count(),
        }
    }

    /// Blocks that the meter took from this transfer.
    #[must_use]
    pub const fn sent(&self) -> u32 {
        self.sent
    }

    /// What to do next.
    pub fn step(&mut self, now: Instant) -> Step {
        if let Some(deadline) = self.deadline
            && now >= deadline
        {
            let activating = matches!(self.state, State::PollActivate(_));
            self.fail(if activating { Failure::ActivateTimeout } else { Failure::VerifyTimeout });
        }
        match self.state {
            State::PollVerify(at) | State::PollActivate(at) if now < at => Step::Wait(at),
            State::Done(outcome) => Step::Done(outcome),
            State::Failed(failure) => Step::Failed(failure),
            _ => match self.ask() {
                Some(ask) => Step::Ask(ask),
                // All blocks were sent.
                None => {
                    self.state = State::CheckComplete;
                    self.step(now)
                }
            },
        }
    }

    fn ask(&mut self) -> Option<Ask> {
        let instance = self.settings.instance;
        Some(match self.state {
            State::ReadStatus | State::PollVerify(_) | State::PollActivate(_) => Ask::Get(TransferStatus::of(instance)),
            State::ReadEnabled => Ask::Get(TransferEnabled::of(instance)),
            State::Enable => Ask::Enable(TransferEnabled::of(instance)),
            State::ReadBlockSize => Ask::Get(BlockSize::of(instance)),
            State::Initiate => Ask::Invoke(TransferInitiate::of(instance)),
            State::ReadMissing => Ask::Get(TransferredBlocksStatus::of(instance)),
            State::ReadFirstMissing | State::CheckComplete => Ask::Get(FirstNotTransferredBlockNumber::of(instance)),
            State::SendBlocks => {
                let (number, offset, length) = self.blocks.current()?;
                Ask::SendBlock { method: BlockTransfer::of(instance), number, offset, length }
            }
            State::Verify => Ask::Invoke(Verify::of(instance)),
            State::ReadInfo => Ask::Get(ToActivateInfo::of(instance)),
            State::Activate => Ask::Invoke(Activate::of(instance)),
            State::Done(_) | State::Failed(_) => return None,
        })
    }

    /// The parameter of the method that is to be invoked, encoded into `buffer`. `block` is the octets of the image that
    /// [`Ask::SendBlock`] named, and not looked at for other methods.
    ///
    /// # Errors
    /// [`BufferFull`]: a block needs 16 octets more than it has, `image_transfer_initiate` as many more than the
    /// identifier.
    pub fn parameter<'b>(&mut self, block: &[u8], buffer: &'b mut [u8]) -> Result<Data<'b>, BufferFull> {
        let mut writer = Writer::new(buffer);
        match self.state {
            State::Initiate => {
                ImageToTransfer { image_identifier: self.settings.identifier, image_size: self.settings.size }
                    .to_data(&mut writer)?;
            }
            State::SendBlocks => {
                let (number, _, _) = self.blocks.current().unwrap_or_default();
                ImageBlock { image_block_number: number, image_block_value: block }.to_data(&mut writer)?;
            }
            _ => Zero.to_data(&mut writer)?,
        }
        Data::from_checked(&mut Reader::new(writer.into_written())).ok_or(BufferFull)
    }

    /// Takes the answer to [`Ask::Get`].
    pub fn handle_value(&mut self, answer: Result<Data<'_>, DataAccessResult>, now: Instant) {
        let result = match (self.state, answer) {
            (State::ReadMissing, Err(_)) => {
                // Some meters do not give it. The first missing block is known all the same.
                self.state = State::ReadFirstMissing;
                Ok(())
            }
            (State::ReadEnabled, Err(_)) => {
                self.state = State::ReadBlockSize;
                Ok(())
            }
            (State::ReadInfo, Err(_)) => {
                self.restart();
                Ok(())
            }
            (_, Err(result)) => Err(Failure::Read { attribute: self.attribute(), result }),
            (_, Ok(data)) => self.value(data, now),
        };
        if let Err(failure) = result {
            self.fail(failure);
        }
    }

    /// Takes the answer to [`Ask::Enable`].
    pub fn handle_set(&mut self, result: DataAccessResult, _now: Instant) {
        if self.state != State::Enable {
            return;
        }
        if result.is_success() {
            self.state = State::ReadBlockSize;
        } else {
            self.fail(Failure::Enable(result));
        }
    }

    /// Takes the answer to [`Ask::Invoke`] and [`Ask::SendBlock`].
    pub fn handle_action(&mut self, result: ActionResult, now: Instant) {
        match self.state {
            State::Initiate if result.is_success() => {
                self.begun = true;
                self.blocks.send_from(0);
                self.state = State::SendBlocks;
            }
            State::Initiate => self.refused(TransferInitiate::NAME, result),
            State::SendBlocks => {
                if result.is_success() {
                    (self.sent, self.refusals) = (self.sent.saturating_add(1), 0);
                } else {
                    self.refusals = self.refusals.saturating_add(1);
                    if self.refusals >= REFUSALS_MAX {
                        return self.refused(BlockTransfer::NAME, result);
                    }
                }
                // What was refused shows as missing once all were sent.
                self.blocks.advance();
            }
            State::Verify if result.is_success() => self.verified(),
            // It runs, or it failed: the status tells which.
            State::Verify => {
                let first = if result == ActionResult::TemporaryFailure { self.settings.poll_interval_ms } else { 0 };
                self.deadline = Some(now.after_ms(self.settings.verify_timeout_ms));
                self.state = State::PollVerify(now.after_ms(first));
            }
            State::Activate if result.is_success() || result == ActionResult::TemporaryFailure => {
                self.accepted = true;
                self.await_activation(now);
            }
            State::Activate => self.refused(Activate::NAME, result),
            _ => {}
        }
    }

    /// The association was lost, and a request may be unanswered. The transfer goes on from what the meter says, over a
    /// new association.
    pub fn handle_lost(&mut self, now: Instant) {
        match self.state {
            State::Done(_) | State::Failed(_) | State::PollVerify(_) | State::PollActivate(_) => {}
            // The meter may restart before it answers. Whether to ask again, its status tells.
            State::Activate => self.await_activation(now),
            _ => self.state = State::ReadStatus,
        }
    }

    /// Name of the attribute that was asked for.
    const fn attribute(&self) -> &'static str {
        match self.state {
            State::ReadEnabled => TransferEnabled::NAME,
            State::ReadBlockSize => BlockSize::NAME,
            State::ReadMissing => TransferredBlocksStatus::NAME,
            State::ReadFirstMissing | State::CheckComplete => FirstNotTransferredBlockNumber::NAME,
            State::ReadInfo => ToActivateInfo::NAME,
            _ => TransferStatus::NAME,
        }
    }

    fn value(&mut self, data: Data<'_>, now: Instant) -> Result<(), Failure> {
        match self.state {
            State::ReadStatus => match TransferStatus::decode(data)? {
                Status::VerificationInitiated if self.begun => {
                    self.deadline = Some(now.after_ms(self.settings.verify_timeout_ms));
                    self.state = State::PollVerify(now.after_ms(self.settings.poll_interval_ms));
                }
                Status::VerificationSuccessful if self.begun => self.state = State::ReadInfo,
                Status::ActivationInitiated if self.begun && self.settings.activate => self.await_activation(now),
                // An image that is being verified or activated is not this one, and not to be disturbed.
                status @ (Status::VerificationInitiated | Status::ActivationInitiated) => {
                    return Err(Failure::State(status));
                }
                status => {
                    // Only a transfer under way can be gone on with.
                    self.begun = self.begun && status == Status::Initiated;
                    self.state = State::ReadEnabled;
                }
            },
            State::ReadEnabled => {
                self.state = if TransferEnabled::decode(data)? { State::ReadBlockSize } else { State::Enable };
            }
            State::ReadBlockSize => {
                if !self.blocks.cut(BlockSize::decode(data)?) {
                    return Err(Failure::BlockSize);
                }
                self.state = if self.begun { State::ReadMissing } else { State::Initiate };
            }
            State::ReadMissing => {
                let known = self.blocks.send_missing(&TransferredBlocksStatus::decode(data)?);
                self.state = if known { State::SendBlocks } else { State::ReadFirstMissing };
            }
            State::ReadFirstMissing => {
                self.blocks.send_from(FirstNotTransferredBlockNumber::decode(data)?);
                self.state = State::SendBlocks;
            }
            State::CheckComplete => {
                let missing = FirstNotTransferredBlockNumber::decode(data)?;
                if missing >= self.blocks.count() {
                    self.state = State::Verify;
                } else if self.repairs < self.settings.repairs_max {
                    self.repairs = self.repairs.saturating_add(1);
                    self.state = State::ReadMissing;
                } else {
                    return Err(Failure::Incomplete { missing });
                }
            }
            State::PollVerify(_) => match TransferStatus::decode(data)? {
                Status::VerificationSuccessful => self.verified(),
                Status::VerificationFailed => return Err(Failure::VerificationFailed),
                Status::VerificationInitiated => {
                    self.state = State::PollVerify(now.after_ms(self.settings.poll_interval_ms));
                }
                status => return Err(Failure::State(status)),
            },
            State::ReadInfo => {
                let mut images = ToActivateInfo::decode(data)?.iter().flatten();
                let size = self.settings.size;
                let same = images.any(|image| {
                    let name = image.image_to_activate_identification;
                    name == self.settings.identifier && image.image_to_activate_size == size
                });
                if same { self.verified() } else { self.restart() }
            }
            State::PollActivate(_) => match TransferStatus::decode(data)? {
                Status::ActivationSuccessful => self.finish(Outcome::Activated),
                Status::NotInitiated => self.finish(Outcome::Restarted),
                Status::ActivationFailed => return Err(Failure::ActivationFailed),
                // The request was lost with the association, and the meter has not acted on it.
                Status::VerificationSuccessful if !self.accepted => self.verified(),
                // Not begun yet, or under way.
                Status::VerificationSuccessful | Status::ActivationInitiated => {
                    self.state = State::PollActivate(now.after_ms(self.settings.poll_interval_ms));
                }
                status => return Err(Failure::State(status)),
            },
            _ => {}
        }
        Ok(())
    }

    /// What the meter has is another image: from the beginning.
    const fn restart(&mut self) {
        self.begun = false;
        self.state = State::ReadEnabled;
    }

    const fn verified(&mut self) {
        self.deadline = None;
        self.state = if self.settings.activate { State::Activate } else { State::Done(Outcome::Verified) };
    }

    fn await_activation(&mut self, now: Instant) {
        self.deadline = Some(now.after_ms(self.settings.activate_timeout_ms));
        self.state = State::PollActivate(now.after_ms(self.settings.poll_interval_ms));
    }

    const fn refused(&mut self, method: &'static str, result: ActionResult) {
        self.fail(Failure::Invoke { method, result });
    }

    const fn finish(&mut self, outcome: Outcome) {
        self.deadline = None;
        self.state = State::Done(outcome);
    }

    const fn fail(&mut self, failure: Failure) {
        self.deadline = None;
        self.state = State::Failed(failure);
    }
}
