//! A meter in memory alone: as little as a meter can be, and what its code is measured by.

mod image;

use dlms::acse::Mechanism;
use dlms::apdu::{ActionResult, AttributeDescriptor, DataAccessResult, MethodDescriptor, Selection};
use dlms::association::server::{Access, AssociationConfig, Cursor, Device, Offer, Progress, SecurityConfig};
use dlms::axdr::{Data, Writer};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms_meter_server::access::{AttributeAccess, MethodAccess, Rights};
use dlms_meter_server::objects::{
    Association, AssociationDescription, AssociationState, CaptureObject, Clock, ClockSettings, ClockState, DataObject,
    ImageTransfer, ProfileGeneric, Register, RowRange, Rows, Value,
};
use dlms_meter_server::{Context, Entry, LogicalDevice, Moment};

use super::common::{
    ALL, CLOCK, COLUMNS, DEVICE_NAME, ENERGY, FACTORY_CLOCK, FIRMWARE, IMAGE, LOWEST_COUNTER, PERIOD_SECONDS, PROFILE,
    READERS, READING, ROWS, SERVICES, SYSTEM_TITLE, Source, WATT_HOURS, counted, energy,
};
use image::{Bank, Receiver};

pub use super::common::PDU_OCTETS;

const ENCRYPTION_KEY: [u8; 16] = counted(0);
const AUTHENTICATION_KEY: [u8; 16] = counted(0xD0);
const PASSWORD: &[u8] = b"12345678";

/// All that changes in this meter. A product keeps counters and floors in flash.
pub struct Meter {
    /// Seconds since 1970, UTC, as the board's clock shows them.
    now: i64,
    clock: ClockSettings,
    image: Receiver,
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
        Self { now: 0, clock: FACTORY_CLOCK, image: Bank::receiver(), transmit_counter: 0, floor: None }
    }

    /// Says what the time is, in seconds since 1970, UTC.
    pub fn set_time(&mut self, seconds: i64) {
        self.now = seconds;
    }
}

impl Value<Meter> for Source {
    fn get(&self, meter: &Meter, cx: &Context<'_, Meter>, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        let floor = meter.floor.map_or(0, |(_, floor)| floor);
        self.write(cx.at, floor, meter.image.storage().active(), out).map_err(|_| DataAccessResult::OtherReason)
    }
}

/// The load profile: ten days of quarter-hours, every row a function of its number.
struct LoadProfile;

impl Rows<Meter> for LoadProfile {
    fn columns<'a>(&'a self, _: &'a Meter) -> &'a [CaptureObject] {
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

const INVOKE: Rights<'static> = Rights::new(&[AttributeAccess::READ; 7], &[MethodAccess::INVOKE; 4]);
const UPDATE: &[(ClientSap, Rights<'static>)] = &[(ClientSap::MANAGEMENT, INVOKE)];

/// Everything in the meter, and who may read it: the public client its name, its clock and the counter that the
/// management client needs to begin with. It stays in flash.
static TABLE: [Entry<'static, Meter>; 8] = [
    Entry { object: &DataObject { instance: DEVICE_NAME, value: Source::Name }, rights: ALL },
    Entry { object: &DataObject { instance: LOWEST_COUNTER, value: Source::LowestCounter }, rights: ALL },
    Entry { object: &Clock { instance: CLOCK }, rights: ALL },
    Entry { object: &Association::current(), rights: ALL },
    Entry { object: &Register { instance: ENERGY, value: Source::Energy, scaler_unit: WATT_HOURS }, rights: READERS },
    Entry { object: &ProfileGeneric { instance: PROFILE, rows: LoadProfile }, rights: READERS },
    Entry { object: &DataObject { instance: FIRMWARE, value: Source::Firmware }, rights: ALL },
    Entry { object: &ImageTransfer { instance: IMAGE }, rights: UPDATE },
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
        Some(AssociationConfig { mechanism, secret, security, ..AssociationConfig::public(SERVICES, PDU_OCTETS) })
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
