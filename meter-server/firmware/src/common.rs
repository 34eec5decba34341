//! What both meters are.

use dlms::apdu::Conformance;
use dlms::axdr::{BufferFull, Writer};
use dlms::id::{AttributeId, ClassId, ClientSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use dlms::unit::{ScalerUnit, Unit};
use dlms_meter_server::Moment;
use dlms_meter_server::access::{AttributeAccess, Rights};
use dlms_meter_server::objects::{CaptureObject, ClockSettings};

/// Longest APDU, in octets.
pub const PDU_OCTETS: u16 = 256;
/// The client that reads with a password.
pub const READING: ClientSap = ClientSap(2);
pub const SYSTEM_TITLE: SystemTitle = SystemTitle(*b"DLM\0\0\0\0\x01");
/// Logical device name.
pub const NAME: &[u8] = b"DLM0000000000001";

pub const ENERGY: ObisCode = ObisCode([1, 0, 1, 8, 0, 255]);
pub const PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);
pub const CLOCK: ObisCode = ObisCode([0, 0, 1, 0, 0, 255]);
pub const IMAGE: ObisCode = ObisCode([0, 0, 44, 0, 0, 255]);
/// The name of the firmware that runs.
pub const FIRMWARE: ObisCode = ObisCode([1, 0, 0, 2, 0, 255]);
/// The counter that the management client needs to begin with.
pub const LOWEST_COUNTER: ObisCode = ObisCode([0, 0, 43, 1, 0, 255]);
pub const DEVICE_NAME: ObisCode = ObisCode([0, 0, 42, 0, 0, 255]);
pub const WATT_HOURS: ScalerUnit = ScalerUnit { scaler: 0, unit: Unit(30) };

/// Seconds between two rows of the load profile.
pub const PERIOD_SECONDS: u32 = 900;
/// Rows that a client can count on: ten days of quarter-hours.
pub const ROWS: u32 = 960;
/// Columns of the load profile.
pub const COLUMNS: [CaptureObject; 2] =
    [CaptureObject::whole(ClassId(8), CLOCK, AttributeId(2)), CaptureObject::whole(ClassId(3), ENERGY, AttributeId(2))];

/// Reading only.
pub const SERVICES: Conformance = Conformance::GET
    .union(Conformance::ACTION)
    .union(Conformance::SELECTIVE_ACCESS)
    .union(Conformance::BLOCK_TRANSFER_WITH_GET);

const READ: Rights<'static> = Rights::new(&[AttributeAccess::READ; 9], &[]);
pub const ALL: &[(ClientSap, Rights<'static>)] =
    &[(ClientSap::PUBLIC, READ), (READING, READ), (ClientSap::MANAGEMENT, READ)];
pub const READERS: &[(ClientSap, Rights<'static>)] = &[(READING, READ), (ClientSap::MANAGEMENT, READ)];

/// The clock as the meter leaves the factory.
pub const FACTORY_CLOCK: ClockSettings = ClockSettings {
    time_zone_min: -60,
    daylight_begin: DateTime::UNSPECIFIED,
    daylight_end: DateTime::UNSPECIFIED,
    daylight_deviation_min: 60,
    daylight_enabled: false,
    clock_base: 1,
    measuring_period_seconds: PERIOD_SECONDS,
    preset: None,
};

/// Octets that begin with `first` and count up: the keys of this example.
pub const fn counted(first: u8) -> [u8; 16] {
    let mut octets = [first; 16];
    let mut index = 1;
    while index < octets.len() {
        octets[index] = first + index as u8;
        index += 1;
    }
    octets
}

/// Watt-hours up to a moment: a load of exactly 400 W.
pub fn energy(at: Moment) -> u32 {
    let hours_of_400_w = at.as_seconds().rem_euclid(1 << 30) / 9;
    u32::try_from(hours_of_400_w).unwrap_or(u32::MAX)
}

/// Where the values of the simple objects come from.
#[derive(Clone, Copy)]
pub enum Source {
    Name,
    Energy,
    LowestCounter,
    Firmware,
}

impl Source {
    /// Writes the value of a meter with this counter and firmware.
    pub fn write(self, at: Moment, counter: u32, firmware: &[u8], out: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Name => out.octets(NAME),
            Self::Energy => out.double_long_unsigned(energy(at)),
            Self::Firmware => out.octets(firmware),
            Self::LowestCounter => out.double_long_unsigned(counter),
        }
    }
}
