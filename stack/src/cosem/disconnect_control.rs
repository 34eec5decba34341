//! Class 70, Disconnect control: the breaker.

interface_class! {
    "Disconnect control" = 70, versions 0..=1;
    attributes {
        /// Whether the output is connected, physically.
        2 OutputState "output_state": bool;
        /// State of the control.
        3 State "control_state": ControlState;
        /// Which transitions are allowed: 0 none, up to 6, version 1 up to 7.
        4 Mode "control_mode": super::Enumerated;
    }
    methods {
        /// Disconnects, or takes back a readiness to reconnect.
        1 RemoteDisconnect "remote_disconnect": i8 => ();
        /// Reconnects, or makes ready for it, as the mode says.
        2 RemoteReconnect "remote_reconnect": i8 => ();
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
