//! Switching a supply or an auxiliary load: class 70, disconnect control.

use std::time::Duration;

use dlms::{
    axdr::Value,
    cosem::disconnect_control::ControlState,
    id::{ClassId, MethodId},
    obis::ObisCode,
};
use futures_util::future::BoxFuture;

use super::{attributes, get, refused, unexpected, wrong_type};
use crate::{
    jobs::{Procedure, Report, Resolution, SupplyReport, SupplyState, Visit},
    operation::{
        AttributeValue, InvokeMethod, ItemResult, Operation, Outcome, RegisterReading, RegisterRef, RequestError,
    },
};

const CLASS: ClassId = ClassId(70);
const OUTPUT_STATE: i8 = 2;
const CONTROL_STATE: i8 = 3;
const CONTROL_MODE: i8 = 4;
const REMOTE_DISCONNECT: MethodId = MethodId(1);
const REMOTE_RECONNECT: MethodId = MethodId(2);

/// How often a switch that has not moved yet is looked at, and the wait in between: motors take their time.
const LOOKS: u32 = 4;
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What is wanted of a supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupplyAction {
    /// Its state.
    Look,
    /// No supply.
    Disconnect,
    /// Supply.
    Reconnect,
    /// That somebody at the meter may switch it on.
    Arm,
}

/// Switches a disconnect control object: reads its state, acts only where that leads to what is wanted, and reads back.
#[derive(Clone, Debug)]
pub struct Supply {
    /// The object; the supply itself is 0-0:96.3.10.
    pub object: ObisCode,
    /// What is wanted.
    pub action: SupplyAction,
    /// Registers to read right before.
    pub registers: Vec<RegisterRef>,
}

impl Supply {
    /// Whether a switch in this state is as it is wanted.
    fn is_reached(&self, state: &SupplyState) -> bool {
        match self.action {
            SupplyAction::Look => true,
            SupplyAction::Disconnect => state.control == ControlState::Disconnected && !state.connected,
            SupplyAction::Reconnect => state.control == ControlState::Connected && state.connected,
            SupplyAction::Arm => state.control != ControlState::Disconnected,
        }
    }

    /// The method that leads from `state` to what is wanted, by the table of control modes of the class.
    fn method(&self, state: &SupplyState) -> Result<MethodId, RequestError> {
        let mode = state.mode;
        if mode == 0 {
            return Err(refused("control mode 0 allows no switching at all"));
        }
        match (self.action, state.control, mode) {
            (SupplyAction::Disconnect, ..) => Ok(REMOTE_DISCONNECT),
            (SupplyAction::Reconnect, ControlState::ReadyForReconnection, _) => {
                Err(refused("the supply is ready for reconnection: it is switched on at the meter itself"))
            }
            (SupplyAction::Reconnect, _, 2 | 4) | (SupplyAction::Arm, _, 1 | 3 | 5 | 6) => Ok(REMOTE_RECONNECT),
            (SupplyAction::Reconnect, ..) => {
                Err(refused(format!("control mode {mode} lets a supply be armed from afar, not reconnected")))
            }
            (SupplyAction::Arm, ..) => {
                Err(refused(format!("control mode {mode} reconnects a supply from afar, it cannot be armed")))
            }
            (SupplyAction::Look, ..) => Err(unexpected("looking switches nothing")),
        }
    }

    fn look(&self) -> Operation {
        get(CLASS, self.object, &[OUTPUT_STATE, CONTROL_STATE, CONTROL_MODE])
    }

    async fn state(&self, visit: &Visit<'_>) -> Result<SupplyState, RequestError> {
        state_of(attributes(visit.read(self.look()).await?)?)
    }

    /// State and billing registers, in one association.
    async fn before(&self, visit: &Visit<'_>) -> Result<(SupplyState, Vec<ItemResult<RegisterReading>>), RequestError> {
        if self.registers.is_empty() {
            return Ok((self.state(visit).await?, Vec::new()));
        }
        let bundle = Operation::bundle(vec![self.look(), Operation::ReadRegisters(self.registers.clone())]);
        let Outcome::Bundle(outcomes) = visit.read(bundle).await? else {
            return Err(unexpected("the fleet answered a bundle with something else"));
        };
        let mut outcomes = outcomes.into_iter();
        let state = outcomes.next().ok_or_else(|| unexpected("a bundle without its first part"))??;
        match outcomes.next() {
            Some(Ok(Outcome::Registers(registers))) => Ok((state_of(attributes(state)?)?, registers)),
            Some(Err(error)) => Err(error),
            _ => Err(unexpected("a bundle without its registers")),
        }
    }

    async fn switch(&self, visit: &Visit<'_>) -> Result<Report, RequestError> {
        let (before, registers) = self.before(visit).await?;
        let report = |after, switched, registers| {
            Ok(Report::Supply(SupplyReport { before: Some(before), after, switched, registers }))
        };
        if self.is_reached(&before) {
            return report(before, false, registers);
        }
        // A bill needs its registers: without them nothing is switched.
        if let Some(error) = registers.iter().find_map(|register| register.as_ref().err()) {
            return Err(error.clone());
        }
        let method = self.method(&before)?;
        let invoke = InvokeMethod { class: CLASS, obis: self.object, method, parameter: Some(Value::Integer(0)) };
        visit.act(Vec::new(), Operation::InvokeMethod(invoke)).await?;
        let mut after = self.state(visit).await?;
        for _ in 1..LOOKS {
            if self.is_reached(&after) {
                break;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
            after = self.state(visit).await?;
        }
        if !self.is_reached(&after) {
            let SupplyState { connected, control, .. } = after;
            let output = if connected { "connected" } else { "disconnected" };
            return Err(refused(format!("the meter agreed, but its control is {control:?} and its output {output}")));
        }
        report(after, true, registers)
    }
}

impl Procedure for Supply {
    fn run<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Report, RequestError>> {
        Box::pin(self.switch(visit))
    }

    fn resolve<'a>(&'a self, visit: &'a Visit<'a>) -> BoxFuture<'a, Result<Resolution, RequestError>> {
        Box::pin(async move {
            let after = self.state(visit).await?;
            if !self.is_reached(&after) {
                return Ok(Resolution::NotDone);
            }
            let report = SupplyReport { before: None, after, switched: true, registers: Vec::new() };
            Ok(Resolution::Done(Report::Supply(report)))
        })
    }
}

fn state_of(values: Vec<ItemResult<AttributeValue>>) -> Result<SupplyState, RequestError> {
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or_else(|| Err(unexpected("the state of the switch is incomplete")));
    let (output, control, mode) = (next()?, next()?, next()?);
    Ok(SupplyState {
        connected: match output.value {
            Value::Boolean(connected) => connected,
            other => return Err(wrong_type("output_state", &other)),
        },
        control: match control.value {
            Value::Enum(state @ 0..=2) => ControlState::from(state),
            other => return Err(wrong_type("control_state", &other)),
        },
        mode: match mode.value {
            Value::Enum(mode) => mode,
            other => return Err(wrong_type("control_mode", &other)),
        },
        read: output.received,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_and_state_has_its_method_or_its_reason() {
        use ControlState::{Connected, Disconnected, ReadyForReconnection};
        let method = |action, control, mode| {
            let supply = Supply { object: ObisCode([0, 0, 96, 3, 10, 255]), action, registers: Vec::new() };
            let state =
                SupplyState { connected: control == Connected, control, mode, read: jiff::Timestamp::UNIX_EPOCH };
            if supply.is_reached(&state) { Some(0) } else { supply.method(&state).ok().map(|method| method.0) }
        };
        for mode in 0..=6 {
            let may = |method| if mode == 0 { None } else { method };
            let direct = matches!(mode, 2 | 4);
            assert_eq!(method(SupplyAction::Disconnect, Connected, mode), may(Some(1)), "{mode}");
            assert_eq!(method(SupplyAction::Disconnect, ReadyForReconnection, mode), may(Some(1)), "{mode}");
            assert_eq!(method(SupplyAction::Disconnect, Disconnected, mode), Some(0), "{mode}");
            assert_eq!(method(SupplyAction::Reconnect, Disconnected, mode), direct.then_some(2), "{mode}");
            assert_eq!(method(SupplyAction::Reconnect, ReadyForReconnection, mode), None, "{mode}");
            assert_eq!(method(SupplyAction::Reconnect, Connected, mode), Some(0), "{mode}");
            assert_eq!(method(SupplyAction::Arm, Disconnected, mode), may((!direct).then_some(2)), "{mode}");
            assert_eq!(method(SupplyAction::Arm, ReadyForReconnection, mode), Some(0), "{mode}");
        }
    }
}
