//! What the meter is: its objects, who may read them, and its state.

use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, Conformance, DataAccessResult, MethodDescriptor, Selection};
use dlms::association::server::{Access, AssociationConfig, Cursor, Device, Offer, Progress, SecurityConfig};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId, ClientSap, ServerSap, SystemTitle};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use dlms::unit::{ScalerUnit, Unit};
use dlms_meter_server::access::{AttributeAccess, MethodAccess, Rights};
use dlms_meter_server::objects::{
    Association, AssociationDescription, AssociationState, CaptureObject, Clock, ClockSettings, ClockState, DataObject,
    ImageTransfer, ProfileGeneric, Register, RowRange, Rows, Value,
};
use dlms_meter_server::{Context, Entry, LogicalDevice, Moment};

use crate::image::{Bank, Receiver};

const ENCRYPTION_KEY: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F";
const AUTHENTICATION_KEY: [u8; 16] = *b"\xD0\xD1\xD2\xD3\xD4\xD5\xD6\xD7\xD8\xD9\xDA\xDB\xDC\xDD\xDE\xDF";
/// The client that reads with a password.
pub const READING: ClientSap = ClientSap(2);
const PASSWORD: &[u8] = b"12345678";
const SYSTEM_TITLE: SystemTitle = SystemTitle(*b"DLM\0\0\0\0\x01");
const ENERGY: ObisCode = ObisCode([1, 0, 1, 8, 0, 255]);
const PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);
const CLOCK: ObisCode = ObisCode([0, 0, 1, 0, 0, 255]);
const PERIOD_SECONDS: u32 = 900;
const ROWS: u32 = 960;

const SERVICES: Conformance = Conformance::GET
    .union(Conformance::ACTION)
    .union(Conformance::SELECTIVE_ACCESS)
    .union(Conformance::BLOCK_TRANSFER_WITH_GET);

/// All that changes in this meter. A product keeps counters and floors in flash.
pub struct Meter {
    /// Seconds since 1970, UTC, as the board's clock shows them.
    now: i64,
    clock: ClockSettings,
    pub(crate) image: Receiver,
    transmit_counter: u32,
    floor: Option<(SystemTitle, u32)>,
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// A meter as it leaves the factory.
    pub fn new() -> Self {
        let clock = ClockSettings {
            time_zone_min: -60,
            daylight_begin: DateTime::UNSPECIFIED,
            daylight_end: DateTime::UNSPECIFIED,
            daylight_deviation_min: 60,
            daylight_enabled: false,
            clock_base: 1,
            measuring_period_seconds: PERIOD_SECONDS,
            preset: None,
        };
        Self { now: 0, clock, image: Bank::receiver(), transmit_counter: 0, floor: None }
    }

    /// Says what the time is, in seconds since 1970, UTC.
    pub fn set_time(&mut self, seconds: i64) {
        self.now = seconds;
    }

    /// The octets of this meter's identity, as its logical device name.
    const fn name() -> &'static [u8] {
        b"DLM0000000000001"
    }
}

/// Watt-hours up to a moment: a load of exactly 400 W.
fn energy(at: Moment) -> u32 {
    let hours_of_400_w = at.as_seconds().rem_euclid(1 << 30) / 9;
    u32::try_from(hours_of_400_w).unwrap_or(u32::MAX)
}

/// Where the values of the simple objects come from.
#[derive(Clone, Copy)]
enum Source {
    Name,
    Energy,
    LowestCounter,
    Firmware,
}

impl Value<Meter> for Source {
    fn get(&self, meter: &Meter, cx: &Context<'_, Meter>, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        match self {
            Self::Name => out.octets(Meter::name()),
            Self::Energy => out.double_long_unsigned(energy(cx.at)),
            Self::Firmware => out.octets(meter.image.storage().active()),
            Self::LowestCounter => out.double_long_unsigned(meter.floor.map_or(0, |(_, floor)| floor)),
        }
        .map_err(|_| DataAccessResult::OtherReason)
    }
}

/// The load profile: ten days of quarter-hours, every row a function of its number.
struct LoadProfile;

impl Rows<Meter> for LoadProfile {
    fn columns<'a>(&'a self, _: &'a Meter) -> &'a [CaptureObject] {
        const COLUMNS: [CaptureObject; 2] = [
            CaptureObject::whole(ClassId(8), CLOCK, AttributeId(2)),
            CaptureObject::whole(ClassId(3), ENERGY, AttributeId(2)),
        ];
        &COLUMNS
    }

    fn capture_period(&self, _: &Meter) -> u32 {
        PERIOD_SECONDS
    }

    fn capacity(&self, _: &Meter) -> u32 {
        ROWS
    }

    fn range(&self, _: &Meter, cx: &Context<'_, Meter>) -> RowRange {
        let now = cx.at.as_seconds().div_euclid(i64::from(PERIOD_SECONDS)).unsigned_abs();
        RowRange { first: now.saturating_sub(u64::from(ROWS) - 1), count: ROWS }
    }

    fn row_time(&self, _: &Meter, _: &Context<'_, Meter>, row: u64) -> Moment {
        Moment::from_seconds(i64::try_from(row).unwrap_or(i64::MAX).saturating_mul(i64::from(PERIOD_SECONDS)))
    }

    fn write_value(
        &self,
        meter: &Meter,
        cx: &Context<'_, Meter>,
        row: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        let at = self.row_time(meter, cx, row);
        let written = if column.instance == CLOCK {
            out.date_time(&meter.local_time(at))
        } else {
            out.double_long_unsigned(energy(at))
        };
        written.map_err(|_| DataAccessResult::OtherReason)
    }
}

impl ClockState for Meter {
    fn settings(&self) -> &ClockSettings {
        &self.clock
    }

    fn settings_mut(&mut self) -> &mut ClockSettings {
        &mut self.clock
    }

    fn shown(&self, at: Moment) -> Moment {
        at
    }

    /// The clock of this board cannot be set.
    fn set_shown(&mut self, _: Moment, _: Moment) {}
}

impl AssociationState for Meter {
    fn description(&self, client: ClientSap) -> Option<AssociationDescription> {
        let config = self.association(client, ServerSap::MANAGEMENT)?;
        Some(AssociationDescription {
            client,
            server: ServerSap::MANAGEMENT,
            ciphered: config.security.is_some(),
            mechanism: config.mechanism,
            conformance: config.conformance,
            max_receive_pdu: config.max_pdu,
            max_send_pdu: config.max_pdu,
            security_setup: None,
        })
    }

    fn is_associated(&self, _: ClientSap) -> bool {
        false
    }

    fn set_secret(&mut self, _: ClientSap, _: &[u8]) -> Result<(), DataAccessResult> {
        Err(DataAccessResult::ReadWriteDenied)
    }
}

const READ: Rights<'static> = Rights::new(&[AttributeAccess::READ; 9], &[]);
const ALL: &[(ClientSap, Rights<'static>)] =
    &[(ClientSap::PUBLIC, READ), (READING, READ), (ClientSap::MANAGEMENT, READ)];
const READERS: &[(ClientSap, Rights<'static>)] = &[(READING, READ), (ClientSap::MANAGEMENT, READ)];
const INVOKE: Rights<'static> = Rights::new(&[AttributeAccess::READ; 7], &[MethodAccess::INVOKE; 4]);
const UPDATE: &[(ClientSap, Rights<'static>)] = &[(ClientSap::MANAGEMENT, INVOKE)];
const WATT_HOURS: ScalerUnit = ScalerUnit { scaler: 0, unit: Unit(30) };

/// Everything in the meter, and who may read it: the public client its name, its clock and the counter that the
/// management client needs to begin with. It stays in flash.
static TABLE: [Entry<'static, Meter>; 8] = [
    Entry { object: &DataObject { instance: ObisCode([0, 0, 42, 0, 0, 255]), value: Source::Name }, rights: ALL },
    Entry {
        object: &DataObject { instance: ObisCode([0, 0, 43, 1, 0, 255]), value: Source::LowestCounter },
        rights: ALL,
    },
    Entry { object: &Clock { instance: CLOCK }, rights: ALL },
    Entry { object: &Association::current(), rights: ALL },
    Entry { object: &Register { instance: ENERGY, value: Source::Energy, scaler_unit: WATT_HOURS }, rights: READERS },
    Entry { object: &ProfileGeneric { instance: PROFILE, rows: LoadProfile }, rights: READERS },
    Entry { object: &DataObject { instance: ObisCode([1, 0, 0, 2, 0, 255]), value: Source::Firmware }, rights: ALL },
    Entry { object: &ImageTransfer { instance: ObisCode([0, 0, 44, 0, 0, 255]) }, rights: UPDATE },
];

impl Meter {
    fn device(&mut self) -> LogicalDevice<'_, Self> {
        let at = Moment::from_seconds(self.now);
        LogicalDevice { table: &TABLE, state: self, at }
    }
}

impl Device for Meter {
    const OFFER: Offer = Offer { services: SERVICES, ..Offer::MINIMAL };

    fn association(&self, client: ClientSap, server: ServerSap) -> Option<AssociationConfig<'_>> {
        let security = SecurityConfig::new(&ENCRYPTION_KEY, &AUTHENTICATION_KEY, SYSTEM_TITLE);
        let (mechanism, secret, security) = match (client, server) {
            (ClientSap::PUBLIC, ServerSap::MANAGEMENT) => (Mechanism::Lowest, &[][..], None),
            (READING, ServerSap::MANAGEMENT) => (Mechanism::Lls, PASSWORD, None),
            (ClientSap::MANAGEMENT, ServerSap::MANAGEMENT) => (Mechanism::Gmac, &[][..], Some(security)),
            _ => return None,
        };
        Some(AssociationConfig {
            mechanism,
            secret,
            security,
            ..AssociationConfig::public(SERVICES, crate::PDU_OCTETS)
        })
    }

    fn read(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        self.device().read(access, attribute, selection, cursor, out)
    }

    fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        self.device().write(access, attribute, selection, value)
    }

    fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        self.device().invoke(access, method, parameter, out)
    }

    fn take_counter(&mut self, _: ServerSap, _: u8) -> Option<u32> {
        self.transmit_counter = self.transmit_counter.checked_add(1)?;
        Some(self.transmit_counter)
    }

    fn floor(&self, _: ServerSap, _: u8, peer: SystemTitle) -> u32 {
        self.floor.filter(|(title, _)| *title == peer).map_or(0, |(_, floor)| floor)
    }

    /// One client with keys: a second one takes its place.
    fn accept_counter(&mut self, _: ServerSap, _: u8, peer: SystemTitle, counter: u32) {
        self.floor = Some((peer, self.floor(ServerSap::MANAGEMENT, 0, peer).max(counter.saturating_add(1))));
    }
}
