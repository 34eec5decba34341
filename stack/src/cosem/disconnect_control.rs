//! Class 70, Disconnect control: the breaker.

use super::Zero;

interface_class! {
    "Disconnect control" = 70, versions 0..=1, methods at 0x20;
    attributes {
        /// Whether the output is connected, physically.
        2 OutputState output_state, dynamic: bool;
        /// State of the control.
        3 State control_state, dynamic: ControlState;
        /// Which transitions are allowed: 0 none, up to 6, version 1 up to 7.
        4 Mode control_mode/set_control_mode, static: super::Enumerated;
    }
    methods {
        /// Disconnects, or takes back a readiness to reconnect.
        1 RemoteDisconnect remote_disconnect: Zero;
        /// Reconnects, or makes ready for it, as the mode says.
        2 RemoteReconnect remote_reconnect: Zero;
    }
}

enumeration! {
    /// State of a disconnect control.
    ControlState "control state" {
        /// Disconnected.
        Disconnected = 0,
        /// Connected.
        Connected = 1,
        /// Disconnected; somebody has to reconnect it by hand.
        ReadyForReconnection = 2,
    }
}
