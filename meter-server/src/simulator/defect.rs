//! Defects: what is wrong with a meter itself, whatever its lines are like.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefectKind {
    /// It protects every answer with the same invocation counter.
    RepeatCounter,
    /// Its keys are not those that it was delivered with, as when a key was changed and nobody noted the new one.
    WrongKeys,
    /// It refuses new keys.
    RefuseKeys,
    /// Firmware images do not verify.
    BadImage,
    /// Verified firmware images cannot be put in use, and the version in use stays.
    FailedActivation,
    /// Its invocation counters begin at 0 again, and it has forgotten its clients': once, at the start or when it is told.
    ResetCounter,
    /// Its clock is put by so many seconds, once.
    Clock(i32),
    /// Its event logs are full, once.
    FullLog,
    /// The devices on its M-Bus do not answer.
    SilentMbus,
    /// The devices on its M-Bus report an alarm, once.
    MbusAlarm,
    /// It starts anew, once: a loss of power that ends all associations.
    Reboot,
    /// The same after so many seconds without power, which end now. After more than a week the clock is invalid until it is
    /// set.
    PowerCut(u32),
}

impl DefectKind {
    /// Whether it stays until it is mended; otherwise it happens once.
    #[must_use]
    pub const fn stays(self) -> bool {
        matches!(
            self,
            Self::RepeatCounter
                | Self::WrongKeys
                | Self::RefuseKeys
                | Self::BadImage
                | Self::FailedActivation
                | Self::SilentMbus
        )
    }
}

/// A defect, and which part of the meters has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// Part of the meters, from 0 to 1. Which ones they are depends on the seed alone.
    pub share: f64,
}

/// The text does not describe a defect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseDefectError {
    /// No share behind a colon.
    #[error("a defect is written KIND:SHARE, such as clock=-3600:0.01 or wrong-keys:0.001")]
    Form,
    /// A kind that does not exist.
    #[error(
        "`{0}` is none of repeat-counter, wrong-keys, refuse-keys, bad-image, failed-activation, reset-counter, clock=SECONDS, full-log, \
         silent-mbus, mbus-alarm, reboot and power-cut=SECONDS"
    )]
    Kind(String),
    /// Not a share.
    #[error("`{0}` is not a share from 0 to 1")]
    Share(String),
}

impl FromStr for DefectKind {
    type Err = ParseDefectError;

    fn from_str(text: &str) -> Result<Self, ParseDefectError> {
        let unknown = || ParseDefectError::Kind(text.to_owned());
        if let Some(seconds) = text.strip_prefix("power-cut=") {
            return seconds.parse().map(Self::PowerCut).map_err(|_| unknown());
        }
        if let Some(seconds) = text.strip_prefix("clock=") {
            return seconds.parse().map(Self::Clock).map_err(|_| unknown());
        }
        Ok(match text {
            "repeat-counter" => Self::RepeatCounter,
            "wrong-keys" => Self::WrongKeys,
            "refuse-keys" => Self::RefuseKeys,
            "bad-image" => Self::BadImage,
            "failed-activation" => Self::FailedActivation,
            "reset-counter" => Self::ResetCounter,
            "full-log" => Self::FullLog,
            "silent-mbus" => Self::SilentMbus,
            "mbus-alarm" => Self::MbusAlarm,
            "reboot" => Self::Reboot,
            _ => return Err(unknown()),
        })
    }
}

impl fmt::Display for DefectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepeatCounter => f.write_str("repeat-counter"),
            Self::WrongKeys => f.write_str("wrong-keys"),
            Self::RefuseKeys => f.write_str("refuse-keys"),
            Self::BadImage => f.write_str("bad-image"),
            Self::FailedActivation => f.write_str("failed-activation"),
            Self::ResetCounter => f.write_str("reset-counter"),
            Self::PowerCut(seconds) => write!(f, "power-cut={seconds}"),
            Self::Clock(seconds) => write!(f, "clock={seconds}"),
            Self::FullLog => f.write_str("full-log"),
            Self::SilentMbus => f.write_str("silent-mbus"),
            Self::MbusAlarm => f.write_str("mbus-alarm"),
            Self::Reboot => f.write_str("reboot"),
        }
    }
}

impl FromStr for Defect {
    type Err = ParseDefectError;

    fn from_str(text: &str) -> Result<Self, ParseDefectError> {
        let (kind, share) = text.rsplit_once(':').ok_or(ParseDefectError::Form)?;
        let kind = kind.parse()?;
        let part = share.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        Ok(Self { kind, share: part.ok_or_else(|| ParseDefectError::Share(share.to_owned()))? })
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defects_are_written_as_they_are_read() {
        for text in [
            "repeat-counter:0.5",
            "wrong-keys:1",
            "refuse-keys:0",
            "bad-image:0.1",
            "failed-activation:0.1",
            "reset-counter:1",
            "clock=-3600:0.25",
            "full-log:1",
            "silent-mbus:0.5",
            "mbus-alarm:0.5",
            "reboot:1",
            "power-cut=700000:0.5",
        ] {
            assert_eq!(text.parse::<Defect>().unwrap().to_string(), text);
        }
        let error = |text: &str| text.parse::<Defect>().unwrap_err();
        assert_eq!(error("wrong-keys"), ParseDefectError::Form);
        assert_eq!(error("rust:1"), ParseDefectError::Kind("rust".to_owned()));
        assert_eq!(error("clock=soon:1"), ParseDefectError::Kind("clock=soon".to_owned()));
        assert_eq!(error("full-log:2"), ParseDefectError::Share("2".to_owned()));
    }
}
