//! What a task gave.

use std::collections::BTreeSet;

use dlms::{axdr::Value, cosem::disconnect_control::ControlState, obis::ObisCode, security::SecurityPolicy};
use jiff::Timestamp;

use crate::{
    meter::LifecycleStatus,
    operation::{AttributeRef, AttributeValue, ItemResult, Outcome, RegisterReading, RequestError, RequestErrorKind},
    store::{ImageId, TaskResult},
    vault::SecretRole,
};

/// What a task gave.
#[derive(Clone, Debug)]
pub enum Report {
    /// Outcome of an operation.
    Operation(Outcome),
    /// State of a supply.
    Supply(SupplyReport),
    /// Keys of a meter.
    Keys(KeysReport),
    /// Security policy of a meter.
    Policy(PolicyReport),
    /// Attributes as they are after a change.
    Changed {
        /// What was written, or what tells of the change, as read back.
        after: Vec<ItemResult<AttributeValue>>,
    },
    /// How far the firmware of a meter came.
    Firmware(FirmwareReport),
    /// Firmware identifiers of a meter.
    Versions(Vec<FirmwareVersion>),
    /// A clock before and after.
    Clock(ClockReport),
    /// Steps of a meter's life.
    Lifecycle(LifecycleReport),
    /// How a meter differs from what it should be.
    Drift {
        /// Attributes compared.
        checked: usize,
        /// Those that differ.
        differences: Vec<AttributeDrift>,
    },
}

/// What has become of a meter on its way into service, or out of it.
#[derive(Clone, Debug, Default)]
pub struct LifecycleReport {
    /// Each step, in the order in which they were done.
    pub steps: Vec<LifecycleStep>,
    /// How it is now.
    pub status: LifecycleStatus,
    /// The reading that was taken on the way.
    pub registers: Vec<(ObisCode, ItemResult<RegisterReading>)>,
}

/// One step of a meter's life.
#[derive(Clone, Debug)]
pub struct LifecycleStep {
    /// Which one.
    pub kind: StepKind,
    /// How it ended.
    pub result: StepResult,
    /// What was found, in a few words for people.
    pub detail: String,
    /// Why it failed.
    pub failure: Option<RequestError>,
    /// When it ended.
    pub at: Timestamp,
}

/// Which step of a meter's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Who is there is asked without keys.
    Identify,
    /// The association that is registered is opened.
    Associate,
    /// Keys are renewed.
    RotateKeys,
    /// The object list is read.
    DiscoverObjects,
    /// The clock is set.
    SetClock,
    /// Pushes are set up.
    ConfigurePush,
    /// Attributes are brought to the values of a template.
    ApplyTemplate,
    /// Registers are read.
    ReadRegisters,
    /// A profile is read.
    ReadProfile,
    /// The lifecycle status is changed.
    ChangeStatus,
    /// Keys are destroyed.
    DestroyKeys,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// It was done.
    Done,
    /// An attempt before did it, and broke off later.
    DoneBefore,
    /// There was nothing to do, or it was not wanted.
    Skipped,
    /// It was not done, and ended the rest.
    Failed,
}

/// How far the firmware of a meter came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareReport {
    /// The image.
    pub image: ImageId,
    /// How far.
    pub step: FirmwareStep,
    /// The active firmware identifier as it was found.
    pub before: Option<String>,
    /// The same at the end.
    pub after: Option<String>,
    /// Blocks of the image, where they were asked for.
    pub blocks: u32,
    /// Blocks that were sent.
    pub sent: u32,
    /// Whether a transfer was gone on with that had been begun before.
    pub resumed: bool,
}

/// How far the firmware of a meter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwareStep {
    /// The meter runs it already.
    UpToDate,
    /// The meter has verified it, and does not run it yet.
    Verified,
    /// The meter runs it.
    Activated,
}

/// A clock before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReport {
    /// Milliseconds by which it was ahead; `None` where nobody remembers.
    pub before_ms: Option<i64>,
    /// Milliseconds by which it is ahead.
    pub after_ms: i64,
    /// Milliseconds that the last reading took: half of it is what a deviation may be wrong by.
    pub round_trip_ms: u64,
    /// How it was set, where it was and that is known.
    pub method: Option<ClockMethod>,
}

/// How a clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMethod {
    /// Method shift_time.
    Shift,
    /// The attribute time.
    Set,
    /// A preset time.
    Preset,
}

/// An attribute that is not as it should be.
#[derive(Clone, Debug)]
pub struct AttributeDrift {
    /// Which one.
    pub attribute: AttributeRef,
    /// As it should be.
    pub expected: Value,
    /// As it is, or why the meter does not tell.
    pub found: ItemResult<Value>,
}

/// A firmware identifier of a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareVersion {
    /// The object.
    pub object: ObisCode,
    /// Its value: text, or hexadecimal digits of what is none.
    pub version: String,
}

/// Which keys a meter has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysReport {
    /// Which generation.
    pub state: KeysState,
    /// The keys in question.
    pub roles: BTreeSet<SecretRole>,
}

/// Which generation of keys a meter has been proved to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysState {
    /// There was never a doubt.
    Known,
    /// The new ones, which are in use now.
    New,
    /// Those before; the new ones are forgotten.
    Old,
}

/// A security policy before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyReport {
    /// Version of the meter's Security setup.
    pub version: u8,
    /// As it was found.
    pub before: Option<SecurityPolicy>,
    /// As it was read back.
    pub after: SecurityPolicy,
}

/// A supply before and after.
#[derive(Clone, Debug)]
pub struct SupplyReport {
    /// As it was found.
    pub before: Option<SupplyState>,
    /// As it was left; what was found, where nothing had to be done.
    pub after: SupplyState,
    /// Whether the meter was told to switch.
    pub switched: bool,
    /// Billing registers, read in the association that switched, right before.
    pub registers: Vec<ItemResult<RegisterReading>>,
}

/// State of a disconnect control object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupplyState {
    /// Whether the output is connected, physically.
    pub connected: bool,
    /// State of the control.
    pub control: ControlState,
    /// Control mode, 0 to 6.
    pub mode: u8,
    /// When it was read.
    pub read: Timestamp,
}

impl Report {
    /// The first thing that did not succeed, and whether anything did.
    #[must_use]
    pub fn failure(&self) -> Option<(&RequestError, bool)> {
        let errors: Vec<Option<&RequestError>> = match self {
            Self::Operation(outcome) => errors(outcome),
            Self::Supply(report) => report.registers.iter().map(|item| item.as_ref().err()).collect(),
            Self::Keys(_) | Self::Policy(_) => vec![None],
            Self::Lifecycle(report) => report.steps.iter().map(|step| step.failure.as_ref()).collect(),
            Self::Changed { after } => after.iter().map(|item| item.as_ref().err()).collect(),
            Self::Firmware(_) | Self::Versions(_) | Self::Clock(_) | Self::Drift { .. } => vec![None],
        };
        let any = errors.iter().any(Option::is_none);
        errors.into_iter().flatten().next().map(|error| (error, any))
    }
}

fn errors(outcome: &Outcome) -> Vec<Option<&RequestError>> {
    match outcome {
        Outcome::Registers(items) => items.iter().map(|item| item.as_ref().err()).collect(),
        Outcome::Attributes(items) => items.iter().map(|item| item.as_ref().err()).collect(),
        Outcome::Set(items) => items.iter().map(|item| item.as_ref().err()).collect(),
        Outcome::Profile(reading) => vec![reading.interrupted.as_ref()],
        Outcome::Bundle(items) => items
            .iter()
            .flat_map(|item| match item {
                Ok(outcome) => errors(outcome),
                Err(error) => vec![Some(error)],
            })
            .collect(),
        Outcome::Method(_) | Outcome::Objects(_) | Outcome::Pong(_) | Outcome::Identity(_) => vec![None],
    }
}

impl From<RequestErrorKind> for TaskResult {
    fn from(kind: RequestErrorKind) -> Self {
        match kind {
            RequestErrorKind::MeterRefused => Self::MeterRefused,
            RequestErrorKind::SecurityFailed => Self::SecurityFailed,
            RequestErrorKind::Expired => Self::Expired,
            RequestErrorKind::UnknownOutcome => Self::UnknownOutcome,
            RequestErrorKind::Cancelled
            | RequestErrorKind::NotFound
            | RequestErrorKind::InvalidRequest
            | RequestErrorKind::ShuttingDown => Self::Cancelled,
            RequestErrorKind::Unreachable
            | RequestErrorKind::Protocol
            | RequestErrorKind::Busy
            | RequestErrorKind::Store => Self::Unreachable,
        }
    }
}
