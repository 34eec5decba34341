//! Class 45, GPRS modem setup: access to a packet network.

interface_class! {
    "GPRS modem setup" = 45, versions 0..=0;
    attributes {
        /// Access point name.
        2 Apn apn/set_apn "APN", static: &'a [u8];
        /// Personal identification number of the SIM.
        3 PinCode pin_code/set_pin_code "PIN_code", static: u16;
        /// Quality of service.
        4 QualityOfService quality_of_service/set_quality_of_service, static: QualityOfServices;
    }
    methods {}
}

structure! {
    /// Qualities of service.
    QualityOfServices "structure of qualities of service" {
        /// The least that is accepted.
        default: Quality,
        /// The wanted one.
        requested: Quality,
    }
}

structure! {
    /// A quality of service, in the classes of the mobile network (3GPP 24.008).
    Quality "structure of quality of service" {
        /// Precedence class.
        precedence: u8,
        /// Delay class.
        delay: u8,
        /// Reliability class.
        reliability: u8,
        /// Peak throughput class.
        peak_throughput: u8,
        /// Mean throughput class.
        mean_throughput: u8,
    }
}
