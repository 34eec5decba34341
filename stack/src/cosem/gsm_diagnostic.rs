//! Class 47, GSM diagnostic: what the modem sees of its network.

use super::{Array, Tagged, Text};

interface_class! {
    "GSM diagnostic" = 47, versions 0..=2;
    attributes {
        /// Name of the network operator.
        2 Operator operator, dynamic: Text<'a>;
        /// Registration with the network.
        3 Status status, dynamic: RegistrationStatus;
        /// Circuit switched attachment.
        4 CsAttachment cs_attachment, dynamic: CircuitSwitchedStatus;
        /// Packet switched status.
        5 PsStatus ps_status, dynamic: PacketSwitchedStatus;
        /// The cell in use.
        6 CellInfoV0 cell_info_v0 "cell_info", dynamic until 0: CellV0;
        /// The cell in use.
        6 CellInfo cell_info, dynamic since 1: Cell;
        /// Cells around it.
        7 AdjacentCellsV0 adjacent_cells_v0 "adjacent_cells", dynamic until 0: Array<'a, AdjacentCellV0>;
        /// Cells around it.
        7 AdjacentCells adjacent_cells, dynamic since 1: Array<'a, AdjacentCell>;
        /// When the values were taken.
        8 CaptureTime capture_time, dynamic: Tagged;
    }
    methods {}
}

structure! {
    /// The cell in use, in version 0.
    CellV0 "structure of cell information" {
        /// Cell identifier.
        cell_id: u16,
        /// Location area code.
        location_id: u16,
        /// Signal quality: see [`dbm`].
        signal_quality: u8,
        /// Bit error rate class, 0 to 7; 99 not known.
        ber: u8,
    }
}

structure! {
    /// The cell in use.
    Cell "structure of cell information" {
        /// Cell identifier.
        cell_id: u32,
        /// Location area code, or tracking area code in LTE.
        location_id: u16,
        /// Signal quality: see [`dbm`].
        signal_quality: u8,
        /// Bit error rate class, 0 to 7; 99 not known.
        ber: u8,
        /// Mobile country code.
        mcc: u16,
        /// Mobile network code.
        mnc: u16,
        /// Number of the radio channel.
        channel_number: u32,
    }
}

structure! {
    /// A cell around the one in use, in version 0.
    AdjacentCellV0 "structure of adjacent cell" {
        /// Cell identifier.
        cell_id: u16,
        /// Signal quality: see [`dbm`].
        signal_quality: u8,
    }
}

structure! {
    /// A cell around the one in use.
    AdjacentCell "structure of adjacent cell" {
        /// Cell identifier.
        cell_id: u32,
        /// Signal quality: see [`dbm`].
        signal_quality: u8,
    }
}

/// A signal quality from 0 to 31 in dBm; `None` for 99, which says that it is not known, and other values.
#[must_use]
pub const fn dbm(signal_quality: u8) -> Option<i16> {
    match signal_quality {
        steps @ 0..=31 => Some((steps as i16).saturating_mul(2).saturating_sub(113)),
        _ => None,
    }
}

enumeration! {
    /// Registration with a mobile network.
    RegistrationStatus "registration status" {
        /// Not registered, and not looking for a network.
        NotRegistered = 0,
        /// Registered with the home network.
        Home = 1,
        /// Not registered, looking for a network.
        Searching = 2,
        /// Registration was denied.
        Denied = 3,
        /// Not known.
        Unknown = 4,
        /// Registered with another network.
        Roaming = 5,
    }
}

enumeration! {
    /// State of circuit switched calls.
    CircuitSwitchedStatus "circuit switched status" {
        /// No call.
        Inactive = 0,
        /// A call is coming in.
        IncomingCall = 1,
        /// A call is active.
        Active = 2,
    }
}

enumeration! {
    /// State of packet switched data. The values from 7 on came with version 2.
    PacketSwitchedStatus "packet switched status" {
        /// No data.
        Inactive = 0,
        /// GPRS.
        Gprs = 1,
        /// EDGE.
        Edge = 2,
        /// UMTS.
        Umts = 3,
        /// HSDPA.
        Hsdpa = 4,
        /// LTE.
        Lte = 5,
        /// CDMA.
        Cdma = 6,
        /// LTE, category M1.
        LteCatM1 = 7,
        /// Narrowband IoT, category NB1.
        NbIotNb1 = 8,
        /// Narrowband IoT, category NB2.
        NbIotNb2 = 9,
    }
}
