//! The life of a meter: taken into service, and out of it, in steps of which each is told.

mod commission;
mod decommission;

use dlms::{id::ClassId, obis::ObisCode};
use jiff::Timestamp;

pub use self::{commission::Commission, decommission::Decommission};
use super::unexpected;
use crate::{
    jobs::{LifecycleReport, LifecycleStep, Report, StepKind, StepResult, Visit},
    operation::{Operation, Outcome, RegisterRef, RequestError, RequestErrorKind as Kind},
};

/// The logical device name (Blue Book, 0-0:42.0.0.255).
pub(crate) const DEVICE_NAME: (ClassId, ObisCode) = (ClassId(1), ObisCode([0, 0, 42, 0, 0, 255]));

/// Why a procedure does not go on.
enum Stop {
    /// It may be tried again, or is to be resolved.
    Later(RequestError),
    /// A step has failed, and says why.
    Failed,
}

/// Steps as they are done.
struct Steps<'a> {
    visit: &'a Visit<'a>,
    report: LifecycleReport,
}

impl<'a> Steps<'a> {
    fn new(visit: &'a Visit<'a>) -> Self {
        Self { visit, report: LifecycleReport::default() }
    }

    /// Notes a step that has not failed.
    fn note(&mut self, kind: StepKind, result: StepResult, detail: impl Into<String>) {
        let at: Timestamp = self.visit.now();
        self.report.steps.push(LifecycleStep { kind, result, detail: detail.into(), failure: None, at });
    }

    fn done(&mut self, kind: StepKind, detail: impl Into<String>) {
        self.note(kind, StepResult::Done, detail);
    }

    /// Notes that a step has failed.
    fn failed(&mut self, kind: StepKind, error: RequestError) -> Stop {
        self.note(kind, StepResult::Failed, "");
        if let Some(step) = self.report.steps.last_mut() {
            step.failure = Some(error);
        }
        Stop::Failed
    }

    /// What a step that only reads gave; where trying it again would not help, that it failed is noted.
    fn read<T>(&mut self, kind: StepKind, result: Result<T, RequestError>) -> Result<T, Stop> {
        let decided =
            |of: Kind| matches!(of, Kind::MeterRefused | Kind::InvalidRequest | Kind::NotFound | Kind::SecurityFailed);
        result.map_err(|error| if decided(error.kind()) { self.failed(kind, error) } else { Stop::Later(error) })
    }

    /// The same of a step that changes the meter: what was sent and not answered has to be resolved.
    fn act<T>(&mut self, kind: StepKind, result: Result<T, RequestError>) -> Result<T, Stop> {
        let decided = |of: Kind| matches!(of, Kind::MeterRefused | Kind::InvalidRequest);
        result.map_err(|error| if decided(error.kind()) { self.failed(kind, error) } else { Stop::Later(error) })
    }

    /// Reads registers, all of them or none.
    async fn registers(&mut self, registers: &[RegisterRef]) -> Result<(), Stop> {
        let kind = StepKind::ReadRegisters;
        if registers.is_empty() {
            self.note(kind, StepResult::Skipped, "none");
            return Ok(());
        }
        let read = self.visit.read(Operation::ReadRegisters(registers.to_vec())).await;
        let results = match self.read(kind, read)? {
            Outcome::Registers(results) => results,
            other => return Err(self.failed(kind, strange(&other))),
        };
        let error = results.iter().find_map(|result| result.as_ref().err()).cloned();
        let read: Vec<_> = registers.iter().map(|register| register.obis).zip(results).collect();
        self.report.registers = read;
        match error {
            Some(error) => self.read(kind, Err(error)),
            None => {
                self.done(kind, format!("{} registers", registers.len()));
                Ok(())
            }
        }
    }

    /// What the procedure ends with.
    fn end(self, ended: Result<(), Stop>) -> Result<Report, RequestError> {
        match ended {
            Ok(()) | Err(Stop::Failed) => Ok(Report::Lifecycle(self.report)),
            Err(Stop::Later(error)) => Err(error),
        }
    }
}

fn strange(outcome: &Outcome) -> RequestError {
    unexpected(&format!("the fleet answered with {}", outcome.name()))
}

/// Octets of a name: text where they are printable, hexadecimal digits otherwise.
fn text(octets: &[u8]) -> String {
    let printable = octets.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ');
    if printable { octets.iter().copied().map(char::from).collect() } else { hex::encode_upper(octets) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_where_they_can_be() {
        assert_eq!(text(b"SIM1234567890123"), "SIM1234567890123");
        assert_eq!(text(b"\x00SIM"), "0053494D");
    }
}
