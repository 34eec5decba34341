use super::*;
use crate::cosem::*;
use crate::id::{AttributeId, ClassId, MethodId};
use crate::time::{ClockStatus, DateTime};
use crate::unit::{ScalerUnit, Unit};
use hex_literal::hex;
use std::string::ToString;

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

/// Classes whose methods are not counted without gaps: those of short name associations are partly reserved.
const GAPS: &[u16] = &[12];

#[test]
fn tables_are_in_order_and_without_gaps() {
    let mut before = 0;
    for class in CLASSES {
        assert!(class.id.0 > before, "{}", class.name);
        before = class.id.0;
        let mut attributes = 0;
        let mut methods = 0;
        for version in 0..=class.version {
            let described = class.in_version(version).unwrap();
            let ids: Vec<_> = described.attributes().map(|info| info.id.0).collect();
            let expected: Vec<_> = (2..).take(ids.len()).collect();
            assert_eq!(ids, expected, "{} version {version}", class.name);
            attributes += ids.len();
            let ids: Vec<_> = described.methods().map(|info| info.id.0).collect();
            if GAPS.contains(&class.id.0) {
                assert!(ids.is_sorted_by(|one, next| one < next), "{} version {version}", class.name);
            } else {
                let expected: Vec<_> = (1..).take(ids.len()).collect();
                assert_eq!(ids, expected, "{} version {version}", class.name);
            }
            methods += ids.len();
        }
        assert!(class.in_version(class.version + 1).is_none());
        // No line of a table that no version has.
        let described = |since: u8, until: u8| usize::from(until.min(class.version) - since + 1);
        let listed: usize = class.attributes.iter().map(|info| described(info.since, info.until)).sum();
        assert_eq!(attributes, listed, "{}", class.name);
        let listed: usize = class.methods.iter().map(|info| described(info.since, info.until)).sum();
        assert_eq!(methods, listed, "{}", class.name);
        for info in class.attributes {
            assert!(!info.about.is_empty() && !info.data_type.is_empty(), "{} {}", class.name, info.name);
        }
    }
}

#[test]
fn attributes_and_methods_are_as_many_as_the_blue_book_counts() {
    // Without logical_name.
    let counts = [
        (1, 0, 1, 0),
        (3, 0, 2, 1),
        (4, 0, 4, 1),
        (5, 0, 8, 2),
        (6, 0, 3, 3),
        (7, 0, 7, 2),
        (7, 1, 7, 2),
        (8, 0, 8, 6),
        (9, 0, 1, 1),
        (10, 0, 1, 3),
        (11, 0, 1, 2),
        (12, 1, 1, 4),
        (12, 2, 3, 4),
        (12, 3, 5, 6),
        (12, 4, 5, 6),
        (15, 0, 7, 4),
        (15, 1, 8, 4),
        (15, 2, 10, 6),
        (15, 3, 10, 6),
        (17, 0, 1, 1),
        (18, 0, 6, 4),
        (19, 0, 8, 0),
        (19, 1, 8, 0),
        (20, 0, 9, 1),
        (21, 0, 3, 0),
        (22, 0, 3, 0),
        (23, 0, 8, 0),
        (23, 1, 8, 0),
        (24, 0, 4, 0),
        (24, 1, 4, 0),
        (25, 0, 4, 0),
        (26, 0, 3, 0),
        (27, 0, 3, 0),
        (27, 1, 3, 0),
        (28, 0, 5, 0),
        (28, 2, 6, 0),
        (29, 0, 5, 0),
        (29, 1, 5, 1),
        (29, 2, 5, 1),
    ];
    for (class, version, attributes, methods) in counts {
        let described = class_version(ClassId(class), version).unwrap();
        let found = (described.attributes().count(), described.methods().count());
        assert_eq!(found, (attributes, methods), "class {class} version {version}");
    }
}

#[test]
fn a_description_says_what_the_table_says() {
    let buffer = class_version(ClassId(7), 1).unwrap().attribute(AttributeId(2)).unwrap();
    assert_eq!((buffer.name, buffer.nature, buffer.writable), ("buffer", Nature::Dynamic, false));
    assert_eq!((buffer.selectors, buffer.data_type), (&[1, 2][..], "data"));
    let period = class_version(ClassId(7), 1).unwrap().attribute(AttributeId(4)).unwrap();
    assert_eq!((period.nature, period.writable, period.data_type), (Nature::Static, true, "double-long-unsigned"));
    assert_eq!(period.about, "Seconds between rows; 0 when they are captured by events only.");
    let secret = class_version(ClassId(15), 0).unwrap().attribute(AttributeId(7)).unwrap();
    assert_eq!((secret.nature, secret.writable), (Nature::Secret, true));
}

#[test]
fn short_names_of_methods_come_from_the_tables() {
    let offset = |class, version| short_name::method_offset(ClassId(class), version);
    assert_eq!((offset(3, 0), offset(8, 0), offset(12, 4)), (Some(0x28), Some(0x60), Some(0x20)));
    assert_eq!((offset(64, 0), offset(64, 1)), (Some(0x28), Some(0x30)));
    assert_eq!((offset(1, 0), offset(15, 1)), (None, None));
}

#[test]
fn lesson_17_the_version_is_part_of_the_type() {
    // The same attribute means different things: no reader of one can read the other.
    let octets =
        hex!("01 01 02 04 12 0008 11 00 09 06 0000010000FF 02 02 01 01 02 03 0F 02 16 06 00 01 01 02 02 0F 06 16 01");
    let data = Data::from_slice(&octets).unwrap();
    let old = association_ln::ObjectListV1::decode(data).unwrap().iter().next().unwrap().unwrap();
    let new = association_ln::ObjectListV3::decode(data).unwrap().iter().next().unwrap().unwrap();
    let old = old.access_rights.attributes.iter().next().unwrap().unwrap().mode.rights().unwrap();
    let new = new.access_rights.attributes.iter().next().unwrap().unwrap().mode.rights().unwrap();
    assert!(old.read && old.write && old.request.authenticated);
    assert!(!new.read && new.write && new.request.authenticated);
    assert_eq!(association_ln::ObjectListV0::VERSIONS, 0..=0);
    assert_eq!(association_ln::ObjectListV1::VERSIONS, 1..=2);
    assert!(association_ln::v0::AttributeMode::new(old).is_none());
    assert_eq!(association_ln::v1::AttributeMode::new(old).unwrap().rights(), Some(old));
}

#[test]
fn unknown_classes_and_versions_stay_readable_as_data() {
    assert!(class(ClassId(9000)).is_none() && class_version(ClassId(8), 1).is_none());
    assert_eq!(attribute_name(ClassId(8), 1, AttributeId(2)), None);
    assert_eq!(attribute_name(ClassId(9000), 0, LOGICAL_NAME), Some("logical_name"));
    // What cannot be named can still be asked for, and what comes back be walked.
    let wanted = AttributeDescriptor::new(ClassId(9000), ObisCode::CLOCK, AttributeId(-3));
    assert_eq!((wanted.class, wanted.attribute), (ClassId(9000), AttributeId(-3)));
    let octets = hex!("02 03 11 05 1F 01 02 01 FF");
    let value: Any<'_> = read(&octets).unwrap();
    assert_eq!(written(&value), octets);
    assert_eq!(value.as_structure().unwrap().len(), 3);
}

#[test]
fn refusals_name_the_attribute() {
    let data = Data::from_slice(&[0x11, 0x05]).unwrap();
    let error = profile_generic::CaptureObjects::decode(data).unwrap_err();
    assert_eq!(error.to_string(), "capture_objects: expected array, found unsigned");
    let error = clock::PresetAdjustingTime::decode(data).unwrap_err();
    assert_eq!(error.member, Some("preset_adjusting_time"));
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
    let refused = TypeError { member: None, expected: "structure of scaler and unit", found: "structure" };
    assert_eq!(read::<ScalerUnit>(&hex!("02 01 0F FD")), Err(refused));
    assert_eq!(read::<ScalerUnit>(&hex!("02 02 12 0100 16 1E")), Err(refused));
}

#[test]
fn simple_types_are_written_as_the_class_says_and_read_as_they_come() {
    assert_eq!(written(&900_u32), hex!("06 00000384"));
    assert_eq!(read(&hex!("12 0384")), Ok(900_u32));
    assert_eq!(
        read::<u8>(&hex!("12 0384")),
        Err(TypeError { member: None, expected: "unsigned", found: "long-unsigned" })
    );
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
    assert_eq!(items, [Ok(5), Err(TypeError { member: None, expected: "unsigned", found: "visible-string" })]);
    assert_eq!(read::<Array<'_, u8>>(&hex!("11 00")).unwrap_err().found, "unsigned");
    // Structure and array are told apart by servers only.
    let structure = Data::from_slice(&hex!("02 01 11 05")).unwrap();
    assert_eq!(Array::<u8>::from_data(structure).unwrap().iter().next(), Some(Ok(5)));
    assert_eq!(Array::<u8>::from_exact(&structure), None);
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
