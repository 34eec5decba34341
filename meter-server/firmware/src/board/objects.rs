//! The meter's objects, and who may do what with them.

use dlms::apdu::DataAccessResult;
use dlms::association::server::Device;
use dlms::axdr::Writer;
use dlms::id::{ClientSap, ServerSap};
use dlms::obis::ObisCode;
use dlms_meter_server::access::{AttributeAccess, MethodAccess, Rights};
use dlms_meter_server::flash::nor_flash::MultiwriteNorFlash;
use dlms_meter_server::objects::{
    Association, AssociationDescription, AssociationOf, AssociationState, CaptureObject, Clock, ClockSettings,
    ClockState, DataObject, ImageTransfer, ProfileGeneric, Register, RowRange, Rows, SecuritySetup, Value,
};
use dlms_meter_server::{Context, Entry, Moment};

use super::Meter;
use super::common::{
    ALL, CLOCK, COLUMNS, DEVICE_NAME, ENERGY, FIRMWARE, IMAGE, LOWEST_COUNTER, PERIOD_SECONDS, PROFILE, READERS,
    READING, ROWS, Source, WATT_HOURS,
};

const SECURITY: ObisCode = ObisCode([0, 0, 43, 0, 0, 255]);
/// A time in seconds and an energy in watt-hours.
pub(super) const ROW_OCTETS: usize = 8 + 4;

/// What a row says.
pub(super) fn row(octets: &[u8; ROW_OCTETS]) -> (i64, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *octets;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
}

impl<F: MultiwriteNorFlash + 'static> Value<Meter<F>> for Source {
    fn get(&self, meter: &Meter<F>, cx: &Context<'_, Meter<F>>, out: &mut Writer<'_>) -> Result<(), DataAccessResult> {
        let counter = meter.counters.highest_floor();
        self.write(cx.at, counter, meter.image.storage().active(), out).map_err(|_| DataAccessResult::OtherReason)
    }
}

/// The load profile, as it is in flash memory.
struct LoadProfile;

impl<F: MultiwriteNorFlash + 'static> Rows<Meter<F>> for LoadProfile {
    fn columns<'a>(&'a self, _: &'a Meter<F>) -> &'a [CaptureObject] {
        &COLUMNS
    }

    fn capture_period(&self, _: &Meter<F>) -> u32 {
        PERIOD_SECONDS
    }

    fn capacity(&self, _: &Meter<F>) -> u32 {
        ROWS
    }

    fn range(&self, meter: &Meter<F>, _: &Context<'_, Meter<F>>) -> RowRange {
        let spare = meter.rows.len().saturating_sub(ROWS);
        RowRange { first: meter.rows.first().saturating_add(spare).into(), count: meter.rows.len().min(ROWS) }
    }

    fn row_time(&self, meter: &Meter<F>, _: &Context<'_, Meter<F>>, number: u64) -> Moment {
        let found = u32::try_from(number).ok().and_then(|number| meter.rows.get(number));
        Moment::from_seconds(found.map_or(i64::MAX, |octets| row(&octets).0))
    }

    fn write_value(
        &self,
        meter: &Meter<F>,
        _: &Context<'_, Meter<F>>,
        number: u64,
        column: &CaptureObject,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        // A row that gave way to a new one meanwhile: what has left cannot go on.
        let octets = u32::try_from(number).ok().and_then(|number| meter.rows.get(number));
        let (time, energy) = row(&octets.ok_or(DataAccessResult::LongGetAborted)?);
        let written = if column.instance == CLOCK {
            let shown = Moment::from_seconds(time);
            out.date_time(&meter.settings().local(shown, dlms::time::ClockStatus::OK))
        } else {
            out.double_long_unsigned(energy)
        };
        written.map_err(|_| DataAccessResult::OtherReason)
    }
}

impl<F: MultiwriteNorFlash + 'static> ClockState for Meter<F> {
    fn settings(&self) -> &ClockSettings {
        &self.settings.shown.clock
    }

    fn settings_mut(&mut self) -> &mut ClockSettings {
        &mut self.settings.shown.clock
    }

    fn shown(&self, at: Moment) -> Moment {
        at.plus_millis(self.settings.shown.ahead_ms)
    }

    fn set_shown(&mut self, at: Moment, shown: Moment) {
        self.settings.shown.ahead_ms = shown.as_millis().saturating_sub(at.as_millis());
    }
}

impl<F: MultiwriteNorFlash + 'static> AssociationState for Meter<F> {
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
            security_setup: config.security.is_some().then_some(SECURITY),
        })
    }

    fn is_associated(&self, _: ClientSap) -> bool {
        false
    }

    fn set_secret(&mut self, client: ClientSap, secret: &[u8]) -> Result<(), DataAccessResult> {
        if client != READING {
            return Err(DataAccessResult::ReadWriteDenied);
        }
        self.settings.set_password(secret)
    }
}

const MANAGER: ClientSap = ClientSap::MANAGEMENT;
const GET: AttributeAccess = AttributeAccess::READ;
const READ: Rights<'static> = Rights::new(&[GET; 9], &[]);
/// The clock: time, time zone, daylight saving, and all its methods.
const ADJUST: Rights<'static> = {
    const SET: AttributeAccess = AttributeAccess::READ_WRITE;
    Rights::new(&[GET, SET, SET, GET, SET, SET, SET, SET, GET], &[MethodAccess::INVOKE; 6])
};
const CLOCKS: &[(ClientSap, Rights<'static>)] = &[(ClientSap::PUBLIC, READ), (READING, READ), (MANAGER, ADJUST)];
/// The password of the client that reads is written, and never read.
const PASSWORD: Rights<'static> = Rights::new(&[GET, GET, GET, GET, GET, GET, AttributeAccess::WRITE, GET, GET], &[]);
const PASSWORDS: &[(ClientSap, Rights<'static>)] = &[(MANAGER, PASSWORD)];
/// `key_transfer`.
const KEYS: &[(ClientSap, Rights<'static>)] =
    &[(MANAGER, Rights::new(&[GET; 5], &[MethodAccess::NONE, MethodAccess::INVOKE]))];
const UPDATE: &[(ClientSap, Rights<'static>)] =
    &[(MANAGER, Rights::new(&[GET, GET, GET, GET, AttributeAccess::READ_WRITE, GET, GET], &[MethodAccess::INVOKE; 4]))];

impl<F: MultiwriteNorFlash + 'static> Meter<F> {
    /// Everything in the meter, and who may read it: the public client its name, its clock and the counter that the
    /// management client needs to begin with. It stays in flash.
    pub(super) const TABLE: &'static [Entry<'static, Self>; 10] = &[
        Entry { object: &DataObject { instance: DEVICE_NAME, value: Source::Name }, rights: ALL },
        Entry { object: &DataObject { instance: LOWEST_COUNTER, value: Source::LowestCounter }, rights: ALL },
        Entry { object: &Clock { instance: CLOCK }, rights: CLOCKS },
        Entry { object: &Association::current(), rights: ALL },
        Entry {
            object: &Association { instance: ObisCode([0, 0, 40, 0, 2, 255]), of: AssociationOf::Client(READING) },
            rights: PASSWORDS,
        },
        Entry { object: &SecuritySetup { instance: SECURITY, version: 0 }, rights: KEYS },
        Entry {
            object: &Register { instance: ENERGY, value: Source::Energy, scaler_unit: WATT_HOURS },
            rights: READERS,
        },
        Entry { object: &ProfileGeneric { instance: PROFILE, rows: LoadProfile }, rights: READERS },
        Entry { object: &DataObject { instance: FIRMWARE, value: Source::Firmware }, rights: ALL },
        Entry { object: &ImageTransfer { instance: IMAGE }, rights: UPDATE },
    ];

    /// What the meter's clock shows at a moment of the board's, in seconds since 1970, UTC.
    pub(super) fn shown_seconds(&self, seconds: i64) -> i64 {
        self.shown(Moment::from_seconds(seconds)).as_seconds()
    }
}
