//! Attributes of interface classes against what an independent implementation makes of the same values, and against
//! data of other types.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::LazyLock;

use dlms::axdr::{BitString, Data, Writer};
use dlms::cosem::action::{ActionItem, ActionSet, MonitoredValue};
use dlms::cosem::association_ln::ObjectId;
use dlms::cosem::common::{BaudRate, Window};
use dlms::cosem::profile_generic::{CaptureObject, SortMethod};
use dlms::cosem::{Array, Attribute, CLASSES, Enumerated, class_version};
use dlms::cosem::{
    activity_calendar, auto_answer, auto_connect, clock, demand_register, extended_register, hdlc_setup,
    image_transfer, local_port_setup, mbus_slave_port_setup, modem_configuration, profile_generic, register_activation,
    register_monitor, sap_assignment, schedule, script_table, single_action_schedule, special_days_table,
    utility_tables,
};
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;
use dlms::time::{ClockStatus, Date, DateTime, Time};
use dlms::unit::{ScalerUnit, Unit};
use hex_literal::hex;
use proptest::prelude::*;

static VECTORS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| toml::from_str(include_str!("vectors/classes.toml")).unwrap());

/// The value is written as the vector has it, and the vector read as the value.
fn agrees<A: Attribute>(name: &str, version: u8, value: A::Value<'_>)
where
    for<'a> A::Value<'a>: Debug,
{
    let octets = hex::decode(&VECTORS[&format!("{name}_{}", A::ID)]).unwrap();
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer);
    A::encode(&value, &mut writer).unwrap();
    assert_eq!(hex::encode(writer.written()), hex::encode(&octets), "{name} {}", A::NAME);
    let data = Data::from_slice(&octets).unwrap();
    let decoded = A::decode(data).unwrap();
    assert_eq!(format!("{decoded:?}"), format!("{value:?}"), "{name} {}", A::NAME);
    let described = class_version(A::CLASS_ID, version).unwrap().attribute(A::ID).unwrap();
    assert_eq!((described.name, described.check(data)), (A::NAME, Ok(())));
}

const SCRIPTS: ObisCode = ObisCode::new(0, 0, 10, 0, 106, 255);
const TARIFFS: ObisCode = ObisCode::new(0, 0, 10, 0, 100, 255);

/// Midnight of a day of 2026, without a weekday, in UTC.
fn midnight(month: u8, day: u8) -> DateTime {
    DateTime::from_bytes(&[0x07, 0xEA, month, day, 0xFF, 0, 0, 0, 0, 0, 0, 0])
}

fn date(month: u8, day: u8) -> Date {
    Date::from_bytes(&[0x07, 0xEA, month, day, 0xFF])
}

#[test]
fn register_activation() {
    let registers = [
        ObjectId { class_id: ClassId(3), logical_name: ObisCode::new(1, 0, 1, 8, 1, 255) },
        ObjectId { class_id: ClassId(4), logical_name: ObisCode::new(1, 0, 1, 8, 2, 255) },
    ];
    agrees::<register_activation::RegisterAssignment>("register_activation", 0, Array::from(&registers));
    let masks = [
        register_activation::RegisterMask { mask_name: b"R1", index_list: Array::from(&[1]) },
        register_activation::RegisterMask { mask_name: b"R2", index_list: Array::from(&[1, 2]) },
    ];
    agrees::<register_activation::MaskList>("register_activation", 0, Array::from(&masks));
    agrees::<register_activation::ActiveMask>("register_activation", 0, b"R2");
}

#[test]
fn script_table() {
    let disconnect = script_table::ActionSpecification {
        service: script_table::ScriptService::InvokeMethod,
        class_id: ClassId(70),
        logical_name: ObisCode::DISCONNECT_CONTROL,
        index: 1,
        parameter: Data::Integer(0),
    };
    let switch = script_table::ActionSpecification {
        service: script_table::ScriptService::WriteAttribute,
        class_id: ClassId(6),
        logical_name: ObisCode::new(0, 0, 14, 0, 1, 255),
        index: 4,
        parameter: Data::OctetString(b"R1"),
    };
    let (one, two) = ([disconnect], [switch, disconnect]);
    let scripts = [
        script_table::Script { script_identifier: 1, actions: Array::from(&one) },
        script_table::Script { script_identifier: 2, actions: Array::from(&two) },
    ];
    agrees::<script_table::Scripts>("script_table", 0, Array::from(&scripts));
}

#[test]
fn schedule_and_special_days() {
    let entry = schedule::ScheduleEntry {
        index: 7,
        enable: true,
        script_table: TARIFFS,
        script_selector: 3,
        switch_time: Time::from_bytes(&[6, 30, 0, 0]),
        validity_window: 0xFFFF,
        exec_weekdays: BitString::new(&[0b1000_0100], 8).unwrap(),
        exec_specdays: BitString::new(&[0b1010_0000], 3).unwrap(),
        begin_date: date(3, 1),
        end_date: date(10, 31),
    };
    agrees::<schedule::Entries>("schedule", 0, Array::from(&[entry]));
    let day = special_days_table::SpecialDay { index: 1, date: date(12, 25), day_id: 2 };
    agrees::<special_days_table::Entries>("special_days_table", 0, Array::from(&[day]));
}

#[test]
fn image_transfer() {
    use image_transfer::*;
    const NAME: &str = "image_transfer";
    agrees::<BlockSize>(NAME, 0, 200);
    agrees::<TransferredBlocksStatus>(NAME, 0, BitString::new(&[0b1110_0000], 4).unwrap());
    agrees::<FirstNotTransferredBlockNumber>(NAME, 0, 3);
    agrees::<TransferEnabled>(NAME, 0, true);
    agrees::<TransferStatus>(NAME, 0, ImageTransferStatus::Initiated);
    let image = ImageToActivate {
        image_to_activate_size: 700,
        image_to_activate_identification: b"FW-1",
        image_to_activate_signature: &[1, 2],
    };
    agrees::<ToActivateInfo>(NAME, 0, Array::from(&[image]));
}

#[test]
fn local_port_setup() {
    use local_port_setup::*;
    const NAME: &str = "local_port_setup";
    agrees::<DefaultMode>(NAME, 1, PortMode::Hdlc);
    agrees::<DefaultBaud>(NAME, 1, BaudRate::Baud300);
    agrees::<ProposedBaud>(NAME, 1, BaudRate::Baud9600);
    agrees::<ResponseTime>(NAME, 1, Enumerated(1));
    agrees::<DeviceAddress>(NAME, 1, b"12345");
    agrees::<Password1>(NAME, 1, b"11111111");
    agrees::<Password2>(NAME, 1, b"2");
    agrees::<PasswordW5>(NAME, 1, b"55");
    assert_eq!(BaudRate::Baud9600.bits_per_second(), Some(9600));
}

#[test]
fn activity_calendar() {
    use activity_calendar::*;
    const NAME: &str = "activity_calendar";
    let season = [Season { season_profile_name: b"S", season_start: midnight(4, 1), week_name: b"W" }];
    let week = [Week {
        week_profile_name: b"W",
        monday: 1,
        tuesday: 1,
        wednesday: 1,
        thursday: 1,
        friday: 1,
        saturday: 2,
        sunday: 3,
    }];
    let night = DayAction { start_time: Time::from_bytes(&[22, 0, 0, 0]), script_table: TARIFFS, script_selector: 2 };
    let actions = [night];
    let day = [Day { day_id: 1, day_schedule: Array::from(&actions) }];
    agrees::<CalendarNameActive>(NAME, 0, b"A");
    agrees::<SeasonProfileActive>(NAME, 0, Array::from(&season));
    agrees::<WeekProfileTableActive>(NAME, 0, Array::from(&week));
    agrees::<DayProfileTableActive>(NAME, 0, Array::from(&day));
    agrees::<CalendarNamePassive>(NAME, 0, b"P1");
    agrees::<SeasonProfilePassive>(NAME, 0, Array::from(&season));
    agrees::<WeekProfileTablePassive>(NAME, 0, Array::from(&week));
    agrees::<DayProfileTablePassive>(NAME, 0, Array::from(&day));
    agrees::<ActivatePassiveCalendarTime>(NAME, 0, midnight(5, 1));
}

#[test]
fn monitors_and_single_actions() {
    let monitored = MonitoredValue {
        class_id: ClassId(3),
        logical_name: ObisCode::new(1, 0, 1, 7, 0, 255),
        attribute_index: AttributeId(2),
    };
    agrees::<register_monitor::Monitored>("register_monitor", 0, monitored);
    let script = |script_selector| ActionItem { script_logical_name: SCRIPTS, script_selector };
    let actions = [ActionSet { action_up: script(1), action_down: script(2) }];
    // Sent as a structure, though the class has an array: read as what is meant.
    let octets = hex::decode(&VECTORS["register_monitor_4"]).unwrap();
    let read = register_monitor::Actions::decode(Data::from_slice(&octets).unwrap()).unwrap();
    assert_eq!(read, Array::from(&actions));

    use single_action_schedule::*;
    const NAME: &str = "single_action_schedule";
    let billing = ActionItem { script_logical_name: ObisCode::new(0, 0, 10, 0, 1, 255), script_selector: 1 };
    agrees::<ExecutedScript>(NAME, 0, billing);
    agrees::<Type>(NAME, 0, ScheduleType::OneWithWildcards);
    let times = [ExecutionTimeDate { time: Time::from_bytes(&[1, 2, 3, 0]), date: date(3, 1) }];
    agrees::<ExecutionTime>(NAME, 0, Array::from(&times));
}

#[test]
fn lesson_17_hdlc_setup_has_other_widths_in_version_0() {
    use hdlc_setup::*;
    const NAME: &str = "hdlc_setup";
    agrees::<CommSpeed>(NAME, 1, BaudRate::Baud9600);
    agrees::<WindowSizeTransmit>(NAME, 1, 1);
    agrees::<WindowSizeReceive>(NAME, 1, 7);
    agrees::<MaxInfoFieldLengthTransmit>(NAME, 1, 248);
    agrees::<MaxInfoFieldLengthReceive>(NAME, 1, 2030);
    agrees::<InterOctetTimeOut>(NAME, 1, 25);
    agrees::<InactivityTimeOut>(NAME, 1, 120);
    agrees::<DeviceAddress>(NAME, 1, 17);
    agrees::<MaxInfoFieldLengthTransmitV0>("hdlc_setup_v0", 0, 128);
    agrees::<MaxInfoFieldLengthReceiveV0>("hdlc_setup_v0", 0, 128);
}

#[test]
fn ports_tables_and_modems() {
    agrees::<mbus_slave_port_setup::DefaultBaud>("mbus_slave_port_setup", 0, BaudRate::Baud300);
    agrees::<mbus_slave_port_setup::AvailableBaud>("mbus_slave_port_setup", 0, BaudRate::Baud2400);
    let assigned = mbus_slave_port_setup::AddressState::Assigned;
    agrees::<mbus_slave_port_setup::State>("mbus_slave_port_setup", 0, assigned);
    agrees::<mbus_slave_port_setup::BusAddress>("mbus_slave_port_setup", 0, 9);
    agrees::<utility_tables::TableId>("utility_tables", 0, 23);
    agrees::<utility_tables::Length>("utility_tables", 0, 3);
    agrees::<utility_tables::Buffer>("utility_tables", 0, &[1, 2, 3]);

    agrees::<modem_configuration::CommSpeed>("modem_configuration", 1, BaudRate::Baud9600);
    let start = [modem_configuration::Initialization { request: b"ATZ", response: b"OK", delay_after_response: 500 }];
    agrees::<modem_configuration::InitializationString>("modem_configuration", 1, Array::from(&start));
    agrees::<modem_configuration::ModemProfile>("modem_configuration", 1, Array::from(&[&b"OK"[..], b"CONNECT"]));

    let window = [Window { start: midnight(1, 1), end: midnight(1, 2) }];
    agrees::<auto_answer::Mode>("auto_answer", 2, Enumerated(2));
    agrees::<auto_answer::ListeningWindow>("auto_answer", 2, Array::from(&window));
    agrees::<auto_answer::Status>("auto_answer", 2, auto_answer::AnswerStatus::Active);
    agrees::<auto_answer::NumberOfCalls>("auto_answer", 2, 3);
    agrees::<auto_answer::NumberOfRings>("auto_answer", 2, auto_answer::Rings { in_window: 1, outside_window: 6 });
    agrees::<auto_connect::Mode>("auto_connect", 2, Enumerated(1));
    agrees::<auto_connect::Repetitions>("auto_connect", 2, 3);
    agrees::<auto_connect::RepetitionDelay>("auto_connect", 2, 60);
    agrees::<auto_connect::CallingWindow>("auto_connect", 2, Array::from(&window));
    let destinations = [&b"10.0.0.1:4059"[..], b"host"];
    agrees::<auto_connect::DestinationList>("auto_connect", 2, Array::from(&destinations));
}

#[test]
fn measurement_and_time() {
    let start = midnight(1, 1);
    agrees::<demand_register::ScalerUnit>("demand_register", 0, ScalerUnit { scaler: -1, unit: Unit(27) });
    agrees::<demand_register::CaptureTime>("demand_register", 0, start);
    agrees::<demand_register::StartTimeCurrent>("demand_register", 0, start);
    agrees::<demand_register::Period>("demand_register", 0, 900);
    agrees::<demand_register::NumberOfPeriods>("demand_register", 0, 1);
    agrees::<extended_register::ScalerUnit>("extended_register", 0, ScalerUnit { scaler: 1, unit: Unit::WATT_HOUR });
    agrees::<extended_register::CaptureTime>("extended_register", 0, start);
    agrees::<clock::Time>("clock", 0, DateTime::from_bytes(&hex!("07EA051DFF0A0F1E00000000")));
    agrees::<clock::TimeZone>("clock", 0, -60);
    agrees::<clock::Status>("clock", 0, ClockStatus::OK);
    agrees::<clock::DaylightSavingsDeviation>("clock", 0, 60);
    agrees::<clock::DaylightSavingsEnabled>("clock", 0, true);
    agrees::<clock::Base>("clock", 0, clock::ClockBase::InternalCrystal);
    let columns = [CaptureObject::CLOCK, CaptureObject::whole(ClassId(3), ObisCode::ACTIVE_IMPORT, AttributeId(2))];
    agrees::<profile_generic::CaptureObjects>("profile_generic", 1, Array::from(&columns));
    agrees::<profile_generic::CapturePeriod>("profile_generic", 1, 900);
    agrees::<profile_generic::Sort>("profile_generic", 1, SortMethod::Fifo);
    agrees::<profile_generic::SortObject>("profile_generic", 1, CaptureObject::NONE);
    agrees::<profile_generic::EntriesInUse>("profile_generic", 1, 96);
    agrees::<profile_generic::ProfileEntries>("profile_generic", 1, 960);
    let devices = [
        sap_assignment::Assignment { sap: 1, logical_device_name: b"ABCD" },
        sap_assignment::Assignment { sap: 16, logical_device_name: b"EF" },
    ];
    agrees::<sap_assignment::AssignmentList>("sap_assignment", 0, Array::from(&devices));
}

/// Every type once, well formed, with contents that no class asks for.
const OTHERS: &[&[u8]] = &[
    &[0xFF],
    &hex!("01 01 FF"),
    &hex!("02 01 FF"),
    &hex!("02 02 0F 00 FF"),
    &hex!("13 FF 00"),
    &hex!("1F 01"),
    &hex!("17 3F800000"),
    &hex!("0D 12"),
];

#[test]
fn data_of_other_types_is_refused_in_the_attributes_name() {
    for class in CLASSES {
        for version in 0..=class.version {
            for attribute in class.in_version(version).unwrap().attributes() {
                for octets in OTHERS {
                    let result = attribute.check(Data::from_slice(octets).unwrap());
                    if ["data", "array"].contains(&attribute.data_type) && result.is_ok() {
                        continue;
                    }
                    let error = result.expect_err(attribute.name);
                    assert_eq!(error.member, Some(attribute.name), "{} {octets:02X?}", class.name);
                    assert!(error.to_string().starts_with(attribute.name));
                }
            }
        }
    }
}

/// Values of the vectors with one octet changed, or any octets at all.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let vectors: Vec<_> = VECTORS.values().map(|vector| hex::decode(vector).unwrap()).collect();
    let changed = (proptest::sample::select(vectors), any::<prop::sample::Index>(), 0_u8..0x20).prop_map(
        |(mut octets, place, octet)| {
            let place = place.index(octets.len());
            octets[place] = octet;
            octets
        },
    );
    prop_oneof![changed, proptest::collection::vec(0_u8..0x20, 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics_on_data_that_is_nearly_right(octets in nearly()) {
        let Ok(data) = Data::from_slice(&octets) else { return Ok(()) };
        for class in CLASSES {
            for attribute in class.attributes {
                if let Err(error) = attribute.check(data) {
                    prop_assert_eq!(error.member, Some(attribute.name));
                }
            }
            for method in class.methods {
                let _ = method.check(data);
            }
        }
    }
}
