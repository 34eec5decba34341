//! What a meter shows to others than its DLMS clients: the customer port and the display.

use dlms::acse::Mechanism;
use dlms::apdu::Conformance;
use dlms::association::Referencing;
use dlms::association::server::{Access, Cursor, Progress};
use dlms::axdr::{Value, Writer};
use dlms::id::{AttributeId, ClassId, ClientSap};
use dlms::obis::ObisCode;
use dlms::security::Protection;
use dlms::time::DateTime;

use super::Meter;
use crate::moment::Moment;
use crate::object::{Context, Read};
use crate::simulator::consumption::Quantity;
use crate::table::ObjectTable;

/// Octets of one part of a value.
const PART_OCTETS: usize = 1_024;
/// Parts of a value, such as rows.
const PARTS_MAX: u32 = 256;

impl Meter {
    /// Whether there is one phase only.
    pub(crate) fn is_single_phase(&self) -> bool {
        self.model.installation.single_phase
    }

    /// When the meter was installed.
    pub(crate) fn installed(&self) -> Moment {
        Moment::from_millis(self.consumption.installed_ms())
    }

    /// The energy register of a quantity and a rate.
    pub(crate) fn energy_at(&self, quantity: Quantity, rate: u8, at: Moment) -> i64 {
        self.consumption.energy(quantity, rate, at.as_millis(), self.tariff())
    }

    /// The rate in force.
    pub(crate) fn rate_at(&self, at: Moment) -> u8 {
        self.consumption.rate(at.as_millis(), self.tariff())
    }

    /// Average import of the running quarter of an hour.
    pub(crate) fn running_demand(&self, at: Moment) -> i64 {
        self.consumption.running_average(Quantity::ActiveImport, at.as_millis())
    }

    /// The highest quarter-hour average of import in a time: its end and its power.
    pub(crate) fn peak(&self, from: Moment, to: Moment) -> Option<(Moment, i64)> {
        let peak =
            self.consumption.maximum(Quantity::ActiveImport, 0, from.as_millis(), to.as_millis(), self.tariff())?;
        Some((Moment::from_millis(peak.end_ms), peak.power))
    }

    /// The start of the month in which the instant before `at` lies.
    pub(crate) fn month_before(&self, at: Moment) -> Moment {
        self.start_of_month(at.plus_millis(-1))
    }

    /// The moment of a local time.
    pub(crate) fn moment_of(&self, time: DateTime) -> Option<Moment> {
        self.clock.settings.utc(time)
    }

    /// Control state of the main switch, as attribute 3 of its object has it.
    pub(crate) fn switch_state(&self) -> u8 {
        u8::from(self.switch.state())
    }

    /// An attribute as its object has it, whatever clients may read; `None` when there is no such object.
    pub(crate) fn shown_value(&self, class: u16, instance: ObisCode, attribute: i8, at: Moment) -> Option<Value> {
        let table: &dyn ObjectTable<Self> = &*self.model;
        let object = table.object(table.find(ClassId(class), instance)?)?;
        let access = nobody(self);
        let cx = Context { access: &access, at, table };
        let (mut octets, mut part, mut cursor) = (Vec::new(), [0; PART_OCTETS], Cursor::default());
        for _ in 0..PARTS_MAX {
            let mut out = Writer::new(&mut part);
            let request = Read { attribute: AttributeId(attribute), selection: None };
            let progress = object.read(self, &cx, request, &mut cursor, &mut out).ok()?;
            octets.extend_from_slice(out.written());
            if progress == Progress::Done {
                return Value::from_slice(&octets).ok();
            }
            cursor.part += 1;
        }
        None
    }
}

/// Who asks when no client does.
const fn nobody(meter: &Meter) -> Access {
    Access {
        referencing: Referencing::LogicalName,
        client: ClientSap(0),
        server: meter.identity.server,
        mechanism: Mechanism::Lowest,
        ciphered_context: false,
        request: Protection::NONE,
        broadcast: false,
        conformance: Conformance::NONE,
        client_max_pdu: 0,
        server_max_pdu: 0,
        client_title: None,
    }
}
