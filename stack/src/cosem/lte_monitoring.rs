//! Class 151, LTE monitoring: timers and quality of an LTE connection.

use super::Enumerated;

interface_class! {
    "LTE monitoring" = 151, versions 0..=1;
    attributes {
        /// Timers and quality, in the units of 3GPP 24.301 and 36.133.
        2 NetworkParametersV0 lte_network_parameters_v0 "LTE_network_parameters", dynamic until 0: NetworkV0;
        /// Timers.
        2 NetworkParameters lte_network_parameters "LTE_network_parameters", dynamic since 1: Network;
        /// Quality.
        3 QualityOfService lte_quality_of_service "LTE_quality_of_service", dynamic since 1: Quality;
    }
    methods {}
}

structure! {
    /// Timers and quality, in version 0.
    NetworkV0 "structure of network parameters" {
        /// T3402: seconds before an attach is tried again.
        t3402: u16,
        /// T3412: seconds between two tracking area updates.
        t3412: u16,
        /// Reference signal received quality.
        rsrq: u8,
        /// Reference signal received power.
        rsrp: u8,
        /// Least level for choosing the cell.
        q_rx_lev_min: i8,
    }
}

structure! {
    /// Timers, from version 1 on.
    Network "structure of network parameters" {
        /// T3402: seconds before an attach is tried again.
        t3402: u16,
        /// T3412: seconds between two tracking area updates.
        t3412: u16,
        /// T3412 extended 2: seconds between two tracking area updates of a sleeping device.
        t3412_ext2: u32,
        /// T3324: seconds of activity before sleep.
        t3324: u16,
        /// Extended discontinuous reception cycle, in hundredths of a second.
        te_drx: u32,
        /// Paging time window, in hundredths of a second.
        tptw: u16,
        /// Least level for choosing the cell.
        q_rx_lev_min: i8,
        /// The same in coverage enhancement.
        q_rx_lev_min_ce: i8,
        /// The same in coverage enhancement mode B.
        q_rx_lev_min_ce1: i8,
    }
}

structure! {
    /// Quality of a connection.
    Quality "structure of quality of service" {
        /// Reference signal received quality.
        rsrq: i8,
        /// Reference signal received power.
        rsrp: i8,
        /// Signal to noise ratio.
        snr: i8,
        /// Coverage enhancement: 0 level 0, 1 mode A, 2 mode B.
        coverage_enhancement: Enumerated,
    }
}
