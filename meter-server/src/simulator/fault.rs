//! Faults on demand: what a line does wrong, how often, and at which step.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::consumption::Noise;

/// What goes wrong instead of, or with, an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The connection is closed instead of answering.
    Close,
    /// The connection is reset (TCP RST) instead of answering.
    Reset,
    /// The meter reads on, but never answers again on this connection.
    Silence,
    /// The answer comes late.
    Delay(Duration),
    /// Random octets are sent instead of the answer.
    Garbage,
    /// Half of the answer is sent, then the connection is closed.
    Truncate,
    /// The answer is sent, then nothing ever again; what the client sends is taken, as by a peer that has closed its side.
    HalfClose,
    /// One octet of the answer is lost.
    Lose,
    /// One bit of the answer is flipped.
    Flip,
    /// The answer is sent twice.
    Duplicate,
    /// The answer takes as long as on a line of so many octets a second.
    Slow(u32),
    /// A notification that nobody asked for is sent ahead of the answer.
    Push,
    /// The meter starts anew instead of answering: all its connections are reset, its associations forgotten.
    Reboot,
}

/// A fault, and when it happens.
///
/// A step is one thing that the meter sends on a connection, counted from 1: the AARE of a wrapper connection is step
/// 1; over HDLC the UA is step 1 and the AARE step 2 or later. Each decision depends only on the seed, the meter, the
/// connection's number and the step, so that a run with faults can be repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The step at which it may happen; each one when `None`.
    pub step: Option<u32>,
    /// How likely it is then, from 0 to 1.
    pub rate: f64,
}

/// The text does not describe a fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseFaultError {
    /// No rate behind a colon.
    #[error("a fault is written KIND[@STEP]:RATE, such as close:0.01 or silence@2:1")]
    Form,
    /// A kind that does not exist.
    #[error(
        "`{0}` is none of close, reset, silence, delay=MILLISECONDS, garbage, truncate, half-close, lose, flip, duplicate, \
         slow=OCTETS_PER_SECOND, push and reboot"
    )]
    Kind(String),
    /// Not a step.
    #[error("`{0}` is not a step: steps count from 1")]
    Step(String),
    /// Not a rate.
    #[error("`{0}` is not a rate from 0 to 1")]
    Rate(String),
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let (what, rate) = text.rsplit_once(':').ok_or(ParseFaultError::Form)?;
        let (kind, step) = match what.split_once('@') {
            None => (what, None),
            Some((kind, step)) => {
                let number = step.parse().ok().filter(|number| *number > 0);
                (kind, Some(number.ok_or_else(|| ParseFaultError::Step(step.to_owned()))?))
            }
        };
        let kind = match kind.split_once('=') {
            Some(("delay", milliseconds)) => {
                let milliseconds = milliseconds.parse().map_err(|_| ParseFaultError::Kind(kind.to_owned()))?;
                FaultKind::Delay(Duration::from_millis(milliseconds))
            }
            Some(("slow", rate)) => {
                let rate = rate.parse().ok().filter(|rate| *rate > 0);
                FaultKind::Slow(rate.ok_or_else(|| ParseFaultError::Kind(kind.to_owned()))?)
            }
            None => match kind {
                "close" => FaultKind::Close,
                "reset" => FaultKind::Reset,
                "silence" => FaultKind::Silence,
                "garbage" => FaultKind::Garbage,
                "truncate" => FaultKind::Truncate,
                "half-close" => FaultKind::HalfClose,
                "lose" => FaultKind::Lose,
                "flip" => FaultKind::Flip,
                "duplicate" => FaultKind::Duplicate,
                "push" => FaultKind::Push,
                "reboot" => FaultKind::Reboot,
                _ => return Err(ParseFaultError::Kind(kind.to_owned())),
            },
            Some(_) => return Err(ParseFaultError::Kind(kind.to_owned())),
        };
        let rate = rate
            .parse()
            .ok()
            .filter(|rate| (0.0..=1.0).contains(rate))
            .ok_or_else(|| ParseFaultError::Rate(rate.to_owned()))?;
        Ok(Self { kind, step, rate })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Close => f.write_str("close"),
            FaultKind::Reset => f.write_str("reset"),
            FaultKind::Silence => f.write_str("silence"),
            FaultKind::Delay(delay) => write!(f, "delay={}", delay.as_millis()),
            FaultKind::Garbage => f.write_str("garbage"),
            FaultKind::Truncate => f.write_str("truncate"),
            FaultKind::HalfClose => f.write_str("half-close"),
            FaultKind::Lose => f.write_str("lose"),
            FaultKind::Flip => f.write_str("flip"),
            FaultKind::Duplicate => f.write_str("duplicate"),
            FaultKind::Slow(rate) => write!(f, "slow={rate}"),
            FaultKind::Push => f.write_str("push"),
            FaultKind::Reboot => f.write_str("reboot"),
        }?;
        if let Some(step) = self.step {
            write!(f, "@{step}")?;
        }
        write!(f, ":{}", self.rate)
    }
}

/// The faults of one connection.
#[derive(Clone, Debug)]
pub(crate) struct FaultPlan {
    faults: Arc<[Fault]>,
    noise: Noise,
    step: u32,
}

impl FaultPlan {
    /// The plan of connection number `connection` of a meter whose faults draw from `noise`.
    pub(crate) fn new(faults: Arc<[Fault]>, noise: Noise, connection: u64) -> Self {
        Self { faults, noise: noise.stream(connection), step: 0 }
    }

    /// What goes wrong at the next step.
    pub(crate) fn next(&mut self) -> Option<FaultKind> {
        self.step = self.step.saturating_add(1);
        let due = |fault: &&Fault| fault.step.is_none_or(|step| step == self.step);
        let mut number = 0;
        self.faults
            .iter()
            .filter(due)
            .find(|fault| {
                number += 1;
                self.noise.stream(number).unit(i64::from(self.step)) < fault.rate
            })
            .map(|fault| fault.kind)
    }

    /// A number below `bound`, which is not 0, at the present step.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let bits = self.noise.stream(u64::MAX - 1).bits(i64::from(self.step));
        usize::try_from(bits % u64::try_from(bound).unwrap_or(u64::MAX).max(1)).unwrap_or(0)
    }

    /// Octets that mean nothing, as many as `length` but at least one.
    pub(crate) fn garbage(&self, length: usize) -> Vec<u8> {
        let noise = self.noise.stream(u64::MAX);
        (0..length.max(1)).map(|at| noise.bits(i64::try_from(at).unwrap_or(0)).to_be_bytes()[0]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_as_they_are_read() {
        for text in [
            "close:0.5",
            "reset@3:1",
            "silence:0",
            "delay=250@2:0.1",
            "garbage:1",
            "truncate@1:1",
            "half-close@2:1",
            "lose:0.25",
            "flip:0.25",
            "duplicate:1",
            "slow=960:1",
            "push@4:1",
            "reboot@9:0.5",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused_with_its_part() {
        let error = |text: &str| text.parse::<Fault>().unwrap_err();
        assert_eq!(error("close"), ParseFaultError::Form);
        assert_eq!(error("explode:1"), ParseFaultError::Kind("explode".to_owned()));
        assert_eq!(error("delay=x:1"), ParseFaultError::Kind("delay=x".to_owned()));
        assert_eq!(error("slow=0:1"), ParseFaultError::Kind("slow=0".to_owned()));
        assert_eq!(error("close=5:1"), ParseFaultError::Kind("close=5".to_owned()));
        assert_eq!(error("close@0:1"), ParseFaultError::Step("0".to_owned()));
        assert_eq!(error("close:1.5"), ParseFaultError::Rate("1.5".to_owned()));
        assert_eq!(error("close:NaN"), ParseFaultError::Rate("NaN".to_owned()));
    }

    #[test]
    fn a_plan_keeps_to_step_and_rate_and_repeats_itself() {
        let plan =
            |text: &str, connection| FaultPlan::new(Arc::new([text.parse().unwrap()]), Noise::new(1), connection);
        let mut at_three = plan("close@3:1", 0);
        assert_eq!([(); 4].map(|()| at_three.next()), [None, None, Some(FaultKind::Close), None]);
        let happened = |connection| {
            let mut plan = plan("garbage:0.2", connection);
            (0..1_000).filter(|_| plan.next().is_some()).count()
        };
        assert!((120..280).contains(&happened(1)), "{}", happened(1));
        assert_eq!(happened(2), happened(2));
        assert_eq!(plan("garbage:1", 0).garbage(0).len(), 1);
    }
}
