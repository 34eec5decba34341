//! Disconnect control (class 70, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::disconnect_control::{self, ControlState};
use dlms::cosem::{Answer, Enumerated, Zero};
use dlms::obis::ObisCode;

use crate::moment::Moment;
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// What may change the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SwitchEvent {
    /// Method `remote_disconnect`, or a script that calls it.
    RemoteDisconnect,
    /// Method `remote_reconnect`, or a script that calls it.
    RemoteReconnect,
    /// By hand at the meter.
    ManualDisconnect,
    /// By hand at the meter.
    ManualReconnect,
    /// By the meter itself: limiter, prepayment.
    LocalDisconnect,
    /// By the meter itself.
    LocalReconnect,
}

/// The switch: state and control mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    pub(crate) state: ControlState,
    pub(crate) mode: u8,
}

impl Switch {
    /// Highest control mode of version 0.
    pub const MODE_MAX: u8 = 6;

    /// A closed switch with a control mode from 0 to 6; `None` for another mode.
    #[must_use]
    pub const fn new(mode: u8) -> Option<Self> {
        if mode <= Self::MODE_MAX { Some(Self { state: ControlState::Connected, mode }) } else { None }
    }

    /// The switch as it was left: `None` for a state or mode that there is not.
    #[must_use]
    pub const fn restored(state: ControlState, mode: u8) -> Option<Self> {
        let known = !matches!(state, ControlState::Other(_));
        if known && mode <= Self::MODE_MAX { Some(Self { state, mode }) } else { None }
    }

    /// The control state.
    #[must_use]
    pub const fn state(self) -> ControlState {
        self.state
    }

    /// The control mode.
    #[must_use]
    pub const fn mode(self) -> u8 {
        self.mode
    }

    /// Attribute 2, `output_state`: whether the load is connected.
    #[must_use]
    pub const fn is_connected(self) -> bool {
        matches!(self.state, ControlState::Connected)
    }

    /// Changes the mode; the state stays. Refused for a mode over 6.
    #[must_use]
    pub const fn set_mode(&mut self, mode: u8) -> bool {
        let known = mode <= Self::MODE_MAX;
        if known {
            self.mode = mode;
        }
        known
    }

    /// The state after `event`, or `None` when the event has no effect in this state and mode (Blue Book, table of
    /// disconnect control modes; the letters are the transitions' names there).
    #[must_use]
    pub const fn next(self, event: SwitchEvent) -> Option<ControlState> {
        use ControlState::{Connected, Disconnected, ReadyForReconnection};
        match (event, self.state, self.mode) {
            (_, _, 0) => None,
            // b, c
            (SwitchEvent::RemoteDisconnect, Connected | ReadyForReconnection, _) => Some(Disconnected),
            // a
            (SwitchEvent::RemoteReconnect, Disconnected, 2 | 4) => Some(Connected),
            // d
            (SwitchEvent::RemoteReconnect, Disconnected, _) => Some(ReadyForReconnection),
            // e
            (SwitchEvent::ManualReconnect, ReadyForReconnection, _) => Some(Connected),
            // f
            (SwitchEvent::ManualDisconnect, Connected, 1 | 2 | 5) => Some(ReadyForReconnection),
            // g
            (SwitchEvent::LocalDisconnect, Connected, _) => Some(ReadyForReconnection),
            // h
            (SwitchEvent::LocalReconnect, ReadyForReconnection, 5 | 6) => Some(Connected),
            _ => None,
        }
    }

    /// Applies `event`; true when the state changed.
    pub const fn apply(&mut self, event: SwitchEvent) -> bool {
        match self.next(event) {
            Some(state) => {
                self.state = state;
                true
            }
            None => false,
        }
    }
}

/// The supply switch of a meter.
pub trait SwitchState {
    /// The switch.
    fn switch(&self) -> Switch;

    /// Changes the control mode.
    ///
    /// # Errors
    /// What the client gets; the mode is unchanged then.
    fn set_control_mode(&mut self, mode: u8) -> Result<(), DataAccessResult>;

    /// Lets `event` act on the switch at this moment; an event without effect changes nothing.
    ///
    /// # Errors
    /// What the client gets; the state is unchanged then.
    fn operate(&mut self, event: SwitchEvent, at: Moment) -> Result<(), ActionResult>;
}

/// Which switch of the meter an object works.
pub trait SwitchPlace<S: ?Sized> {
    /// The switch.
    fn switch(&self, state: &S, cx: &Context<'_, S>) -> Switch;

    /// As [`SwitchState::set_control_mode`].
    ///
    /// # Errors
    /// What the client gets; the mode is unchanged then.
    fn set_control_mode(&self, state: &mut S, cx: &Context<'_, S>, mode: u8) -> Result<(), DataAccessResult>;

    /// As [`SwitchState::operate`].
    ///
    /// # Errors
    /// What the client gets; the state is unchanged then.
    fn operate(&self, state: &mut S, cx: &Context<'_, S>, event: SwitchEvent) -> Result<(), ActionResult>;
}

/// The supply switch.
#[derive(Clone, Copy, Debug)]
pub struct SupplySwitch;

impl<S: SwitchState + ?Sized> SwitchPlace<S> for SupplySwitch {
    fn switch(&self, state: &S, _: &Context<'_, S>) -> Switch {
        state.switch()
    }

    fn set_control_mode(&self, state: &mut S, _: &Context<'_, S>, mode: u8) -> Result<(), DataAccessResult> {
        state.set_control_mode(mode)
    }

    fn operate(&self, state: &mut S, cx: &Context<'_, S>, event: SwitchEvent) -> Result<(), ActionResult> {
        state.operate(event, cx.at)
    }
}

/// Connects and disconnects the premises, or what is supplied through an M-Bus device.
#[derive(Clone, Copy, Debug)]
pub struct DisconnectControl<P = SupplySwitch> {
    /// Logical name.
    pub instance: ObisCode,
    /// Which switch it is.
    pub place: P,
}

serve!(disconnect_control: [S: ?Sized, P: SwitchPlace<S>] DisconnectControl<P>);

impl<'c, S: ?Sized, P: SwitchPlace<S>> disconnect_control::Server<S, Context<'c, S>> for DisconnectControl<P> {
    fn class_version(&self) -> u8 {
        0
    }

    fn output_state(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, disconnect_control::OutputState>,
    ) -> Answered {
        answer.value(&self.place.switch(state, cx).is_connected())
    }

    fn control_state(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, disconnect_control::State>,
    ) -> Answered {
        answer.value(&self.place.switch(state, cx).state())
    }

    fn control_mode(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, disconnect_control::Mode>,
    ) -> Answered {
        answer.value(&Enumerated(self.place.switch(state, cx).mode()))
    }

    fn set_control_mode(&self, state: &mut S, cx: &Context<'c, S>, mode: Enumerated) -> Result<(), DataAccessResult> {
        self.place.set_control_mode(state, cx, mode.0)
    }

    fn remote_disconnect(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.place.operate(state, cx, SwitchEvent::RemoteDisconnect)
    }

    fn remote_reconnect(&self, state: &mut S, cx: &Context<'c, S>, _: Zero) -> Result<(), ActionResult> {
        self.place.operate(state, cx, SwitchEvent::RemoteReconnect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ControlState::{Connected, Disconnected, ReadyForReconnection};
    use SwitchEvent::*;

    /// Transitions by letter, and the letters of each mode, as the table of the class lists them.
    const TRANSITIONS: [(char, SwitchEvent, ControlState, ControlState); 8] = [
        ('a', RemoteReconnect, Disconnected, Connected),
        ('b', RemoteDisconnect, Connected, Disconnected),
        ('c', RemoteDisconnect, ReadyForReconnection, Disconnected),
        ('d', RemoteReconnect, Disconnected, ReadyForReconnection),
        ('e', ManualReconnect, ReadyForReconnection, Connected),
        ('f', ManualDisconnect, Connected, ReadyForReconnection),
        ('g', LocalDisconnect, Connected, ReadyForReconnection),
        ('h', LocalReconnect, ReadyForReconnection, Connected),
    ];
    const MODES: [&str; 7] = ["", "bcfgde", "bcfgae", "bcgde", "bcgae", "bcfgdeh", "bcgdeh"];

    #[test]
    fn every_mode_state_and_event_follows_the_table() {
        let events =
            [RemoteDisconnect, RemoteReconnect, ManualDisconnect, ManualReconnect, LocalDisconnect, LocalReconnect];
        for (mode, letters) in (0..).zip(MODES) {
            for state in [Disconnected, Connected, ReadyForReconnection] {
                for event in events {
                    let expected = TRANSITIONS
                        .iter()
                        .find(|(letter, by, from, _)| *by == event && *from == state && letters.contains(*letter))
                        .map(|(_, _, _, to)| *to);
                    let switch = Switch { state, mode };
                    assert_eq!(switch.next(event), expected, "mode {mode}, {state:?}, {event:?}");
                }
            }
        }
    }

    #[test]
    fn unknown_modes_are_refused() {
        assert_eq!(Switch::new(7), None);
        let mut switch = Switch::new(4).unwrap();
        assert!(!switch.set_mode(7));
        assert_eq!(switch.mode(), 4);
    }
}
