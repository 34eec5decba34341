//! Class 77, M-Bus diagnostic.

use super::{Array, Tagged, Zero};

interface_class! {
    "M-Bus diagnostic" = 77, versions 0..=0;
    attributes {
        /// Strength of the last signal received.
        2 ReceivedSignalStrength received_signal_strength, dynamic: u8;
        /// The channel in use.
        3 ChannelId channel_id, dynamic: u8;
        /// State of the link.
        4 Link link_status, dynamic: LinkStatus;
        /// Broadcasts received, for each client.
        5 BroadcastFramesCounter broadcast_frames_counter, dynamic: Array<'a, BroadcastFrames>;
        /// Frames sent.
        6 TransmissionsCounter transmissions_counter, dynamic: u32;
        /// Frames received with a right check sum.
        7 FcsOkFramesCounter fcs_ok_frames_counter "FCS_OK_frames_counter", dynamic: u32;
        /// Frames received with a wrong check sum.
        8 FcsNokFramesCounter fcs_nok_frames_counter "FCS_NOK_frames_counter", dynamic: u32;
        /// The attribute that changed last, and when.
        9 CaptureTime capture_time, dynamic: AttributeChange;
    }
    methods {
        /// Clears all counters.
        1 Reset reset: Zero;
    }
}

structure! {
    /// Broadcasts received from one client.
    BroadcastFrames "structure of broadcast counter" {
        /// The client.
        client_id: u8,
        /// How many.
        counter: u32,
        /// When the last one was received.
        time_stamp: Tagged,
    }
}

structure! {
    /// An attribute that changed, and when.
    AttributeChange "structure of attribute and time" {
        /// The attribute.
        attribute_id: u8,
        /// When it changed.
        time_stamp: Tagged,
    }
}

enumeration! {
    /// State of a link.
    LinkStatus "link status" {
        /// Never there.
        None = 0,
        /// Normal.
        Normal = 1,
        /// Interrupted for a short time.
        TemporarilyInterrupted = 2,
        /// Interrupted for good.
        PermanentlyInterrupted = 3,
    }
}
