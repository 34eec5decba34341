//! A logical device as firmware has it: a table that never changes, and state of a few octets.

use dlms::acse::Mechanism;
use dlms::apdu::Conformance;
use dlms::association::Referencing;
use dlms::id::{AttributeId, ClientSap, MethodId, ServerSap};
use dlms::security::Protection;
use dlms::unit::{ScalerUnit, Unit};

use super::*;
use crate::access::{AttributeAccess, MethodAccess};
use crate::moment::Moment;
use crate::objects::{DataObject, DisconnectControl, Register, SupplySwitch, Switch, SwitchEvent, SwitchState, Value};
use crate::table::Entry;

/// A meter that counts pulses and has a switch.
struct PulseMeter {
    pulses: u32,
    label: [u8; 4],
    switch: Switch,
}

impl SwitchState for PulseMeter {
    fn switch(&self) -> Switch {
        self.switch
    }

    fn set_control_mode(&mut self, mode: u8) -> Result<(), DataAccessResult> {
        if self.switch.set_mode(mode) { Ok(()) } else { Err(DataAccessResult::OtherReason) }
    }

    fn operate(&mut self, event: SwitchEvent, _: Moment) -> Result<(), ActionResult> {
        self.switch.apply(event);
        Ok(())
    }
}

struct Pulses;

impl Value<PulseMeter> for Pulses {
    fn get(
        &self,
        meter: &PulseMeter,
        _: &Context<'_, PulseMeter>,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        out.double_long_unsigned(meter.pulses).map_err(|_| DataAccessResult::OtherReason)
    }
}

struct Label;

impl Value<PulseMeter> for Label {
    fn get(
        &self,
        meter: &PulseMeter,
        _: &Context<'_, PulseMeter>,
        out: &mut Writer<'_>,
    ) -> Result<(), DataAccessResult> {
        out.octets(&meter.label).map_err(|_| DataAccessResult::OtherReason)
    }

    fn set(
        &self,
        meter: &mut PulseMeter,
        _: &Context<'_, PulseMeter>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        let Data::OctetString(octets) = value else { return Err(DataAccessResult::TypeUnmatched) };
        meter.label = octets.try_into().map_err(|_| DataAccessResult::TypeUnmatched)?;
        Ok(())
    }
}

const READ: AttributeAccess = AttributeAccess::READ;
const EVERYBODY: (ClientSap, Rights<'_>) = (ClientSap::PUBLIC, Rights::new(&[READ, READ, READ], &[]));

static ENERGY: Register<Pulses> = Register {
    instance: ObisCode::ACTIVE_IMPORT,
    value: Pulses,
    scaler_unit: ScalerUnit { scaler: -1, unit: Unit::WATT_HOUR },
};
static LABEL: DataObject<Label> = DataObject { instance: ObisCode::DEVICE_ID_1, value: Label };
static SWITCH: DisconnectControl = DisconnectControl { instance: ObisCode::DISCONNECT_CONTROL, place: SupplySwitch };

/// Everything in flash.
static TABLE: [Entry<'_, PulseMeter>; 3] = [
    Entry { object: &ENERGY, rights: &[EVERYBODY] },
    Entry {
        object: &LABEL,
        rights: &[(ClientSap::MANAGEMENT, Rights::new(&[READ, AttributeAccess::READ_WRITE], &[]))],
    },
    Entry {
        object: &SWITCH,
        rights: &[(
            ClientSap::MANAGEMENT,
            Rights::new(&[READ], &[MethodAccess::INVOKE.requiring(Protection::AUTHENTICATED)]),
        )],
    },
];

fn access(client: ClientSap, request: Protection) -> Access {
    Access {
        referencing: Referencing::LogicalName,
        client,
        server: ServerSap::MANAGEMENT,
        mechanism: Mechanism::Lowest,
        ciphered_context: false,
        request,
        broadcast: false,
        conformance: Conformance::GET,
        client_max_pdu: 128,
        server_max_pdu: 128,
        client_title: None,
    }
}

struct Asked {
    meter: PulseMeter,
    access: Access,
}

impl Asked {
    fn by(client: ClientSap) -> Self {
        let switch = Switch::new(4).unwrap();
        let meter = PulseMeter { pulses: 513, label: *b"none", switch };
        Self { meter, access: access(client, Protection::NONE) }
    }

    fn device(&mut self) -> LogicalDevice<'_, PulseMeter> {
        LogicalDevice { table: &TABLE, state: &mut self.meter, at: Moment::default() }
    }

    fn read(&mut self, class: u16, instance: ObisCode, attribute: i8) -> Result<Vec<u8>, DataAccessResult> {
        let access = self.access;
        let mut buffer = [0; 32];
        let mut out = Writer::new(&mut buffer);
        let attribute = AttributeDescriptor::new(ClassId(class), instance, AttributeId(attribute));
        self.device().read(&access, attribute, None, &mut Cursor::default(), &mut out)?;
        Ok(out.written().to_vec())
    }

    fn write(&mut self, class: u16, instance: ObisCode, value: Data<'_>) -> Result<(), DataAccessResult> {
        let access = self.access;
        let attribute = AttributeDescriptor::new(ClassId(class), instance, AttributeId(2));
        self.device().write(&access, attribute, None, value)
    }

    fn invoke(&mut self, class: u16, instance: ObisCode, method: i8) -> Result<(), ActionResult> {
        let access = self.access;
        let method = MethodDescriptor::new(ClassId(class), instance, MethodId(method));
        self.device().invoke(&access, method, None, &mut Writer::new(&mut []))
    }
}

#[test]
fn a_static_table_answers_from_a_few_octets_of_state() {
    let mut public = Asked::by(ClientSap::PUBLIC);
    assert_eq!(public.read(3, ObisCode::ACTIVE_IMPORT, 1).unwrap(), [9, 6, 1, 0, 1, 8, 0, 255]);
    assert_eq!(public.read(3, ObisCode::ACTIVE_IMPORT, 2).unwrap(), [6, 0, 0, 2, 1]);
    assert_eq!(public.read(3, ObisCode::ACTIVE_IMPORT, 3).unwrap(), [2, 2, 0x0F, 0xFF, 0x16, 30]);
}

#[test]
fn what_a_client_has_no_right_on_does_not_exist_for_it() {
    let mut public = Asked::by(ClientSap::PUBLIC);
    assert_eq!(public.read(1, ObisCode::DEVICE_ID_1, 2), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(
        public.write(1, ObisCode::DEVICE_ID_1, Data::OctetString(b"mine")),
        Err(DataAccessResult::ObjectUndefined)
    );
    assert_eq!(public.invoke(70, ObisCode::DISCONNECT_CONTROL, 1), Err(ActionResult::ObjectUndefined));
    let mut stranger = Asked::by(ClientSap(5));
    assert_eq!(stranger.read(3, ObisCode::ACTIVE_IMPORT, 2), Err(DataAccessResult::ObjectUndefined));
}

#[test]
fn rights_decide_before_the_object_is_asked() {
    let mut management = Asked::by(ClientSap::MANAGEMENT);
    assert_eq!(management.write(1, ObisCode::DEVICE_ID_1, Data::OctetString(b"roof")), Ok(()));
    assert_eq!(management.read(1, ObisCode::DEVICE_ID_1, 2).unwrap(), [9, 4, b'r', b'o', b'o', b'f']);
    assert_eq!(management.write(1, ObisCode::DEVICE_ID_1, Data::Null), Err(DataAccessResult::TypeUnmatched));
    assert_eq!(management.read(70, ObisCode::DISCONNECT_CONTROL, 2), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(management.invoke(70, ObisCode::DISCONNECT_CONTROL, 2), Err(ActionResult::ReadWriteDenied));
    assert_eq!(management.invoke(70, ObisCode::DISCONNECT_CONTROL, 1), Err(ActionResult::ScopeOfAccessViolated));
    assert!(management.meter.switch.is_connected());
    management.access.request = Protection::AUTHENTICATED;
    assert_eq!(management.invoke(70, ObisCode::DISCONNECT_CONTROL, 1), Ok(()));
    assert!(!management.meter.switch.is_connected());
}
