//! Class 72, M-Bus client: a meter for gas, water or heat behind the electricity meter.
//!
//! What version 2 changed is not verified (it came with edition 15 of the Blue Book, of which nothing is public): its
//! members are read as those of version 1, which the traffic seen allows.

use core::fmt;

use super::{Any, Array, FromData, ToData, TypeError, Zero};
use crate::axdr::{BufferFull, Data, Writer};
use crate::obis::ObisCode;

interface_class! {
    "M-Bus client" = 72, versions 0..=2, methods at 0x60;
    attributes {
        /// The port that is used.
        2 PortReference mbus_port_reference/set_mbus_port_reference, static: ObisCode;
        /// Which data of the device goes to the value objects: element i to value group E = i.
        3 CaptureDefinition capture_definition/set_capture_definition, static: Array<'a, Capture<'a>>;
        /// Seconds between two readings; 0 for reading on request.
        4 CapturePeriod capture_period/set_capture_period, static: u32;
        /// Primary address of the device.
        5 PrimaryAddress primary_address/set_primary_address, dynamic: u8;
        /// Number of the device, in binary coded decimal.
        6 IdentificationNumberV0 identification_number_v0/set_identification_number_v0 "identification_number",
            dynamic until 0: BcdNumber;
        /// Number of the device.
        6 IdentificationNumber identification_number/set_identification_number, dynamic since 1: u32;
        /// Manufacturer of the device: see [`manufacturer`].
        7 ManufacturerId manufacturer_id/set_manufacturer_id, dynamic: u16;
        /// Version of the device.
        8 DeviceVersion version/set_version, dynamic: u8;
        /// Kind of the device: 2 electricity, 3 gas, 4 heat, 6 warm water, 7 water, 12 heat (inlet), 13 heat and cooling.
        9 DeviceType device_type/set_device_type, dynamic: u8;
        /// Number of the last answer of the device.
        10 AccessNumber access_number, dynamic: u8;
        /// Status octet of the last answer.
        11 Status status, dynamic: u8;
        /// Alarm octet of the device.
        12 Alarm alarm, dynamic: u8;
        /// Configuration field of the last answer.
        13 Configuration configuration, dynamic since 1: u16;
        /// What is known of the device's key.
        14 EncryptionKeyStatus encryption_key_status, dynamic since 1: KeyStatus;
    }
    methods {
        /// Installs a device under a primary address; 0 lets the meter choose one.
        1 SlaveInstall slave_install: u8;
        /// Removes the device.
        2 SlaveDeinstall slave_deinstall: Zero;
        /// Reads the device.
        3 CaptureNow capture: Zero;
        /// Clears the device's alarm.
        4 ResetAlarm reset_alarm: Zero;
        /// Sets the device's clock.
        5 SynchronizeClock synchronize_clock: Zero;
        /// Sends data to the device.
        6 DataSend data_send: Array<'a, DataRecord<'a>>;
        /// Sets the key in the electricity meter; none deletes it.
        7 SetEncryptionKey set_encryption_key: &'a [u8];
        /// Sends a key, which is enciphered, to the device.
        8 TransferKey transfer_key: &'a [u8];
    }
}

structure! {
    /// Which data of a device is captured (EN 13757-3).
    Capture<'a> "structure of data and value information" {
        /// Data information block.
        data_information_block: &'a [u8],
        /// Value information block.
        value_information_block: &'a [u8],
    }
}

structure! {
    /// Data for a device (EN 13757-3).
    DataRecord<'a> "structure of data record" {
        /// Data information block.
        data_information_block: &'a [u8],
        /// Value information block.
        value_information_block: &'a [u8],
        /// The data.
        data: Any<'a>,
    }
}

enumeration! {
    /// What is known of the key of a device.
    KeyStatus "encryption key status" {
        /// No key.
        None = 0,
        /// Set in the electricity meter.
        Set = 1,
        /// Sent to the device.
        Transferred = 2,
        /// Both.
        SetAndTransferred = 3,
        /// In use.
        InUse = 4,
    }
}

/// A number of eight digits in binary coded decimal: 12345678 travels as 0x12345678.
///
/// Some meters send a plain number nevertheless; where that has a digit above nine it shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BcdNumber(pub u32);

impl BcdNumber {
    /// Codes a number of at most eight digits.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        let mut rest = number;
        let mut coded = 0;
        for shift in [0, 4, 8, 12, 16, 20, 24, 28] {
            coded |= (rest % 10) << shift;
            rest /= 10;
        }
        (rest == 0).then_some(Self(coded))
    }

    /// The number; `None` when a digit is above nine.
    #[must_use]
    pub fn number(self) -> Option<u32> {
        [28, 24, 20, 16, 12, 8, 4, 0].into_iter().try_fold(0_u32, |number, shift| {
            let digit = self.0 >> shift & 0x0F;
            number.checked_mul(10)?.checked_add(digit).filter(|_| digit < 10)
        })
    }
}

impl fmt::Debug for BcdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BcdNumber({:08X})", self.0)
    }
}

impl FromData<'_> for BcdNumber {
    const EXPECTED: &'static str = u32::EXPECTED;

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        u32::from_data(data).map(Self)
    }

    fn from_exact(data: &Data<'_>) -> Option<Self> {
        u32::from_exact(data).map(Self)
    }
}

impl ToData for BcdNumber {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.0.to_data(writer)
    }
}

/// The three letters of a manufacturer, as the FLAG association gives them out: five bits each.
#[must_use]
pub fn manufacturer(id: u16) -> [char; 3] {
    [10, 5, 0].map(|shift| {
        let letter = u8::try_from(id >> shift & 0x1F).unwrap_or_default();
        char::from(letter.saturating_add(b'@'))
    })
}

/// The number of a manufacturer's three capital letters; `None` for anything else.
#[must_use]
pub fn manufacturer_id(letters: &str) -> Option<u16> {
    let [a, b, c] = letters.as_bytes() else { return None };
    [a, b, c]
        .into_iter()
        .try_fold(0, |id, letter| letter.is_ascii_uppercase().then_some(id << 5 | u16::from(letter.wrapping_sub(b'@'))))
}
