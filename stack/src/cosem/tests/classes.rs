use super::*;
use crate::cosem::*;
use crate::id::{AttributeId, ClassId, MethodId};
use crate::time::{ClockStatus, DateTime};
use crate::unit::{ScalerUnit, Unit};
use hex_literal::hex;

#[test]
fn lesson_42_one_table_describes_a_class() {
    let wanted = profile_generic::CaptureObjects::of(ObisCode::LOAD_PROFILE_1);
    assert_eq!(wanted, AttributeDescriptor::new(ClassId(7), ObisCode::LOAD_PROFILE_1, AttributeId(3)));
    let action = disconnect_control::RemoteReconnect::of(ObisCode::DISCONNECT_CONTROL);
    assert_eq!(action, MethodDescriptor::new(ClassId(70), ObisCode::DISCONNECT_CONTROL, MethodId(2)));
    // Indices can be matched on.
    let name = match wanted.attribute {
        profile_generic::Buffer::ID => profile_generic::Buffer::NAME,
        profile_generic::CaptureObjects::ID => profile_generic::CaptureObjects::NAME,
        _ => "",
    };
    assert_eq!(name, "capture_objects");
}

#[test]
fn names() {
    assert_eq!(class_name(ClassId(7)), Some("Profile generic"));
    assert_eq!(class_name(ClassId(20)), Some("Activity calendar"));
    assert_eq!(class_name(ClassId(9999)), None);
    assert_eq!(attribute_name(ClassId(8), 0, AttributeId(2)), Some("time"));
    assert_eq!(attribute_name(ClassId(9999), 0, AttributeId(1)), Some("logical_name"));
    assert_eq!(attribute_name(ClassId(8), 0, AttributeId(10)), None);
    assert_eq!(method_name(ClassId(70), 0, MethodId(1)), Some("remote_disconnect"));
    // What a version does not have yet.
    assert_eq!(attribute_name(ClassId(15), 0, AttributeId(9)), None);
    assert_eq!(attribute_name(ClassId(15), 1, AttributeId(9)), Some("security_setup_reference"));
    assert_eq!(method_name(ClassId(64), 0, MethodId(3)), None);
    assert_eq!(method_name(ClassId(64), 1, MethodId(3)), Some("key_agreement"));
}

#[test]
fn tables_are_in_order_and_without_gaps() {
    let mut before = 0;
    for class in CLASSES {
        assert!(class.id.0 > before, "{}", class.name);
        before = class.id.0;
        for (index, attribute) in (2..).zip(class.attributes) {
            assert_eq!(attribute.id, index, "{} {}", class.name, attribute.name);
            assert!(attribute.since <= class.version, "{} {}", class.name, attribute.name);
        }
        for (index, method) in (1..).zip(class.methods) {
            assert_eq!(method.id, index, "{} {}", class.name, method.name);
            assert!(method.since <= class.version, "{} {}", class.name, method.name);
        }
    }
    // Attributes and methods as the Blue Book counts them, logical_name left out.
    let counts: Vec<_> = CLASSES.iter().map(|class| (class.attributes.len(), class.methods.len())).collect();
    assert_eq!(counts, [(1, 0), (2, 1), (4, 1), (8, 2), (7, 2), (8, 6), (10, 6), (1, 1), (5, 8), (3, 2)]);
}

#[test]
fn scaler_and_unit() {
    let energy = ScalerUnit { scaler: -3, unit: Unit::WATT_HOUR };
    assert_eq!(written(&energy), hex!("02 02 0F FD 16 1E"));
    assert_eq!(read(&hex!("02 02 0F FD 16 1E")), Ok(energy));
    // Missing, typed otherwise, longer than it should be.
    assert_eq!(read(&hex!("00")), Ok(ScalerUnit::NONE));
    assert_eq!(read(&hex!("02 02 10 FFFD 11 1E")), Ok(energy));
    assert_eq!(read(&hex!("02 03 0F FD 16 1E 00")), Ok(energy));
    let refused = TypeError { expected: "structure of scaler and unit", found: "structure" };
    assert_eq!(read::<ScalerUnit>(&hex!("02 01 0F FD")), Err(refused));
    assert_eq!(read::<ScalerUnit>(&hex!("02 02 12 0100 16 1E")), Err(refused));
}

#[test]
fn simple_types_are_written_as_the_class_says_and_read_as_they_come() {
    assert_eq!(written(&900_u32), hex!("06 00000384"));
    assert_eq!(read(&hex!("12 0384")), Ok(900_u32));
    assert_eq!(read::<u8>(&hex!("12 0384")), Err(TypeError { expected: "unsigned", found: "long-unsigned" }));
    assert_eq!(written(&-60_i16), hex!("10 FFC4"));
    assert_eq!(written(&true), hex!("03 01"));
    assert_eq!(written(&ObisCode::CLOCK), hex!("09 06 0000010000FF"));
    assert_eq!(written(&Text(b"ab")), hex!("0A 02 6162"));
    assert_eq!(written(&&b"ab"[..]), hex!("09 02 6162"));
    assert_eq!(written(&Some(5_i8)), hex!("0F 05"));
    assert_eq!(written(&None::<i8>), hex!("00"));
    assert_eq!(read(&hex!("00")), Ok(None::<i8>));
    assert_eq!(read(&hex!("0F 00")), Ok(()));
    assert_eq!(written(&ClockStatus::DAYLIGHT_SAVING), hex!("11 80"));
    assert_eq!(written(&Enumerated(3)), hex!("16 03"));
}

#[test]
fn dates_come_in_several_types() {
    let stamp: DateTime = "2025-05-29T10:15:30+02:00".parse().unwrap();
    assert_eq!(written(&stamp), hex!("09 0C 07E9051D040A0F1E00FF88FF"));
    for octets in [&hex!("09 0C 07E9051D040A0F1E00FF88FF")[..], &hex!("19 07E9051D040A0F1E00FF88FF")] {
        assert_eq!(read(octets), Ok(stamp));
    }
    assert_eq!(read(&hex!("00")), Ok(DateTime::UNSPECIFIED));
    assert_eq!(read(&hex!("09 00")), Ok(DateTime::UNSPECIFIED));
    let unix: DateTime = read(&hex!("06 68381762")).unwrap();
    assert_eq!(unix.to_unix_seconds(), Some(0x6838_1762));
    assert!(read::<DateTime>(&hex!("09 05 07E9051D04")).is_err());
}

#[test]
fn clock() {
    // Last Sunday of March, 02:00.
    let begin = hex!("09 0C FFFF 03 FE 07 02 00 00 00 8000 FF");
    let value = clock::DaylightSavingsBegin::decode(Data::from_slice(&begin).unwrap()).unwrap();
    assert_eq!((value.month(), value.day(), value.weekday()), (Some(3), Some(crate::time::Date::LAST_DAY), Some(7)));
    assert_eq!(written(&value), begin);
    assert_eq!(read(&hex!("16 02")), Ok(clock::ClockBase::Mains50Hz));
    assert_eq!(written(&clock::ClockBase::Other(77)), hex!("16 4D"));
    let preset = clock::PresetTime {
        preset_time: value,
        validity_interval_start: DateTime::UNSPECIFIED,
        validity_interval_end: DateTime::UNSPECIFIED,
    };
    let octets = written(&preset);
    assert_eq!(octets[..2], hex!("02 03"));
    assert_eq!(read(&octets), Ok(preset));
}

#[test]
fn sap_assignment() {
    let list = hex!("01 01 02 02 12 0001 09 04 41424344");
    let devices = sap_assignment::AssignmentList::decode(Data::from_slice(&list).unwrap()).unwrap();
    let device = devices.iter().next().unwrap().unwrap();
    assert_eq!((device.sap, device.logical_device_name), (1, &b"ABCD"[..]));
    assert_eq!(written(&devices), list);
    assert_eq!(written(&Array::from(&[device])), list);
}

#[test]
fn elements_of_the_wrong_type_are_single_errors() {
    let list = hex!("01 02 11 05 0A 01 41");
    let items: Vec<_> = read::<Array<'_, u8>>(&list).unwrap().iter().collect();
    assert_eq!(items, [Ok(5), Err(TypeError { expected: "unsigned", found: "visible-string" })]);
    assert_eq!(read::<Array<'_, u8>>(&hex!("02 00")).unwrap_err().found, "structure");
}

#[test]
fn security_setup() {
    let keys =
        [security_setup::KeyTransferData { key_id: security_setup::KeyId::Authentication, key_wrapped: &[0xAA; 24] }];
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    security_setup::KeyTransfer::encode(&Array::from(&keys), &mut writer).unwrap();
    assert_eq!(writer.written()[..8], hex!("01 01 02 02 16 02 09 18"));
    let read = security_setup::KeyTransfer::decode(Data::from_slice(writer.written()).unwrap()).unwrap();
    assert_eq!(read, Array::from(&keys));
}
