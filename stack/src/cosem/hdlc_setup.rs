//! Class 23, IEC HDLC setup: the parameters of an HDLC link.

use super::common::BaudRate;

interface_class! {
    "IEC HDLC setup" = 23, versions 0..=1;
    attributes {
        /// Speed.
        2 CommSpeed comm_speed/set_comm_speed, static: BaudRate;
        /// Frames that may be sent before one is acknowledged, 1 to 7.
        3 WindowSizeTransmit window_size_transmit/set_window_size_transmit, static: u8;
        /// Frames that are received before one is acknowledged, 1 to 7.
        4 WindowSizeReceive window_size_receive/set_window_size_receive, static: u8;
        /// Octets of information in a frame that is sent.
        5 MaxInfoFieldLengthTransmitV0 max_info_field_length_transmit_v0/set_max_info_field_length_transmit_v0
            "max_info_field_length_transmit", static until 0: u8;
        /// Octets of information in a frame that is sent, 32 to 2030.
        5 MaxInfoFieldLengthTransmit max_info_field_length_transmit/set_max_info_field_length_transmit,
            static since 1: u16;
        /// Octets of information in a frame that is received.
        6 MaxInfoFieldLengthReceiveV0 max_info_field_length_receive_v0/set_max_info_field_length_receive_v0
            "max_info_field_length_receive", static until 0: u8;
        /// Octets of information in a frame that is received, 32 to 2030.
        6 MaxInfoFieldLengthReceive max_info_field_length_receive/set_max_info_field_length_receive,
            static since 1: u16;
        /// Milliseconds after which a frame is taken for ended, 20 to 6000.
        7 InterOctetTimeOut inter_octet_time_out/set_inter_octet_time_out, static: u16;
        /// Seconds after which a silent link is disconnected; 0 for never.
        8 InactivityTimeOut inactivity_time_out/set_inactivity_time_out, static: u16;
        /// Lower HDLC address of the meter.
        9 DeviceAddress device_address/set_device_address, static: u16;
    }
    methods {}
}
