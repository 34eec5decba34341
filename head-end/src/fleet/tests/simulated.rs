//! Operations against simulated meters over real sockets.

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId, ClientSap, MethodId},
    obis::ObisCode,
    unit::Unit,
};

use dlms_meter_server::simulator::FleetConfig;

use super::support::{IMPORT, LOAD_PROFILE, Setup, ciphering, config, get, management, model, ports, registers};
use crate::{
    fleet::FleetOptions,
    meter::{Authentication, Ciphering, Envelope, MeterConfig, Secret},
    operation::{
        AttributeRef, GetAttribute, InvokeMethod, Layer, MeterAnswer, ObjectRef, Operation, Outcome, RequestErrorKind,
        SetAttribute,
    },
};

#[tokio::test]
async fn registers_come_with_scaler_and_unit_over_an_encrypted_association() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let unknown = ObisCode([1, 0, 99, 99, 0, 255]);
    let Outcome::Registers(results) = setup.execute(&meter, registers(&[IMPORT, unknown])).await.unwrap() else {
        panic!("another outcome")
    };
    let reading = results[0].as_ref().unwrap();
    assert!(matches!(reading.value, Value::DoubleLongUnsigned(value) if value > 0), "{reading:?}");
    assert_eq!(reading.scaler_unit.unwrap().unit, Unit::WATT_HOUR);
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::MeterRefused);
    assert_eq!(error.answer(), Some(MeterAnswer::DataAccess(4)));
    assert!(error.to_string().contains("1.0.99.99.0.255"), "{error}");
}

#[tokio::test]
async fn objects_are_discovered_with_their_rights_and_layouts() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let Outcome::Objects(model) = setup.execute(&meter, Operation::DiscoverObjects).await.unwrap() else {
        panic!("another outcome")
    };
    assert!(model.objects.len() > 40, "{}", model.objects.len());
    let import = model.find(IMPORT).unwrap();
    assert_eq!(import.class.0, 3);
    assert!(import.attributes.iter().any(|(id, mode)| id.0 == 2 && *mode == 1), "{import:?}");
    let layout = model.profile(LOAD_PROFILE).unwrap();
    assert_eq!(layout.capture_period_s, 900);
    assert_eq!(layout.columns[0].class.0, 8);
    assert!(layout.columns.iter().any(|column| column.obis == IMPORT && column.scaler_unit.is_some()), "{layout:?}");
}

#[tokio::test]
async fn attributes_are_read_as_they_are() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let Outcome::Attributes(values) = setup.execute(&meter, get(1, ObisCode([0, 0, 42, 0, 0, 255]), 2)).await.unwrap()
    else {
        panic!("another outcome")
    };
    let name = setup.device(0).meters()[0].logical_device_name.clone();
    assert_eq!(values[0].as_ref().unwrap().value, Value::OctetString(name.into_bytes()));
}

#[tokio::test]
async fn what_is_written_can_be_read_back_and_what_is_denied_says_so() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let message = AttributeRef::new(ClassId(1), ObisCode([0, 0, 96, 13, 0, 255]), AttributeId(2));
    let serial = AttributeRef::new(ClassId(1), ObisCode([0, 0, 96, 1, 0, 255]), AttributeId(2));
    let set = |attribute| SetAttribute { attribute, selection: None, value: Value::OctetString(b"hello".to_vec()) };
    let Outcome::Set(results) =
        setup.execute(&meter, Operation::SetAttributes(vec![set(message), set(serial)])).await.unwrap()
    else {
        panic!("another outcome")
    };
    assert_eq!(results[0], Ok(()));
    let error = results[1].as_ref().unwrap_err();
    assert_eq!((error.kind(), error.answer()), (RequestErrorKind::MeterRefused, Some(MeterAnswer::DataAccess(3))));
    assert_eq!(error.object(), Some(ObjectRef::Attribute(serial)));
    let Outcome::Attributes(values) = setup.execute(&meter, get(1, message.obis, 2)).await.unwrap() else {
        panic!("another outcome")
    };
    assert_eq!(values[0].as_ref().unwrap().value, Value::OctetString(b"hello".to_vec()));
}

#[tokio::test]
async fn methods_are_invoked_once_and_refusals_carry_the_action_result() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let relay = ObisCode([0, 0, 96, 3, 10, 255]);
    let invoke = |obis, parameter| {
        Operation::InvokeMethod(InvokeMethod { class: ClassId(70), obis, method: MethodId(1), parameter })
    };
    let disconnected = setup.execute(&meter, invoke(relay, Some(Value::Integer(0)))).await.unwrap();
    assert!(matches!(disconnected, Outcome::Method(_)), "{disconnected:?}");
    let Outcome::Registers(state) = setup.execute(&meter, registers(&[relay])).await.unwrap() else {
        panic!("another outcome")
    };
    assert_eq!(state[0].as_ref().unwrap().value, Value::Boolean(false));

    let error = setup.execute(&meter, invoke(IMPORT, Some(Value::Integer(0)))).await.unwrap_err();
    assert!(matches!(error.answer(), Some(MeterAnswer::Action(_))), "{error:?}");
    assert_eq!((error.kind(), error.sent()), (RequestErrorKind::MeterRefused, true));
    assert!(matches!(error.object(), Some(ObjectRef::Method { .. })));
}

#[tokio::test]
async fn a_bundle_is_done_in_one_association_and_answered_item_by_item() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let relay = ObisCode([0, 0, 96, 3, 10, 255]);
    let disconnect = |obis| {
        let parameter = Some(Value::Integer(0));
        Operation::InvokeMethod(InvokeMethod { class: ClassId(70), obis, method: MethodId(1), parameter })
    };
    let bundle = Operation::bundle(vec![
        registers(&[IMPORT]),
        disconnect(IMPORT),
        disconnect(relay),
        Operation::bundle(vec![]),
        get(70, relay, 2),
    ]);
    assert!(bundle.is_mutating() && !Operation::bundle(vec![Operation::Ping]).is_mutating());
    let Outcome::Bundle(outcomes) = setup.execute(&meter, bundle).await.unwrap() else { panic!("another outcome") };
    let [
        Ok(Outcome::Registers(_)),
        Err(refused),
        Ok(Outcome::Method(None)),
        Err(nested),
        Ok(Outcome::Attributes(state)),
    ] = &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!(refused.kind(), RequestErrorKind::MeterRefused);
    assert_eq!(nested.kind(), RequestErrorKind::InvalidRequest);
    assert_eq!(state[0].as_ref().unwrap().value, Value::Boolean(false));
}

#[tokio::test]
async fn extended_registers_bring_status_and_capture_time() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let maximum = ObisCode([1, 0, 1, 6, 0, 255]);
    let Outcome::Registers(results) = setup.execute(&meter, registers(&[maximum])).await.unwrap() else {
        panic!("another outcome")
    };
    let reading = results[0].as_ref().unwrap();
    assert_eq!(reading.attribute.class, ClassId(4));
    assert!(reading.capture_time.is_some() && reading.status.is_some(), "{reading:?}");
    assert_eq!(reading.scaler_unit.unwrap().unit, Unit::WATT);
}

#[tokio::test]
async fn the_public_and_the_password_client_read_without_ciphering() {
    let setup = Setup::new(1).await;
    let public = setup.registered.add(config("public", &setup.tcp(0)));
    let clock = ObisCode([0, 0, 1, 0, 0, 255]);
    let Outcome::Registers(results) = setup.execute(&public, registers(&[clock, IMPORT])).await.unwrap() else {
        panic!("another outcome")
    };
    assert_eq!(results[0].as_ref().unwrap().attribute.class, ClassId(8));
    assert_eq!(results[1].as_ref().unwrap_err().kind(), RequestErrorKind::MeterRefused);

    let password = |text: &[u8]| Authentication::Lls { password: Secret::new(text.to_vec()) };
    let reader =
        |id, text| MeterConfig { client: ClientSap(17), authentication: password(text), ..config(id, &setup.tcp(0)) };
    let reader_id = setup.registered.add(reader("reader", b"12345678"));
    let Outcome::Registers(results) = setup.execute(&reader_id, registers(&[IMPORT])).await.unwrap() else {
        panic!("another outcome")
    };
    assert!(results[0].is_ok());
    let wrong = setup.registered.add(reader("wrong", b"87654321"));
    let error = setup.execute(&wrong, registers(&[IMPORT])).await.unwrap_err();
    assert_eq!((error.kind(), error.layer()), (RequestErrorKind::SecurityFailed, Layer::Security));
    assert!(matches!(error.answer(), Some(MeterAnswer::Association { result: 1, diagnostic: 13 })), "{error:?}");
}

#[tokio::test]
async fn general_ciphering_and_dedicated_keys_work_as_well() {
    let setup = Setup::new(1).await;
    for (id, envelope, dedicated_key) in [
        ("general", Envelope::General, false),
        ("dedicated", Envelope::ServiceSpecific, true),
        ("both", Envelope::General, true),
    ] {
        let ciphering = Some(Ciphering { envelope, dedicated_key, ..ciphering("shared") });
        let meter = setup.registered.add(MeterConfig { ciphering, ..management(id, &setup.tcp(0), None) });
        let Outcome::Registers(results) = setup.execute(&meter, registers(&[IMPORT])).await.unwrap() else {
            panic!("another outcome")
        };
        assert!(results[0].is_ok(), "{id}: {results:?}");
    }
}

#[tokio::test]
async fn a_list_whose_answer_takes_many_blocks_is_joined() {
    let setup = Setup::new(1).await;
    let meter = setup.managed(0);
    let attribute = |class, obis| {
        let attribute = AttributeRef::new(ClassId(class), obis, AttributeId(2));
        GetAttribute { attribute, selection: None }
    };
    let wanted = vec![
        attribute(3, IMPORT),
        attribute(15, ObisCode([0, 0, 40, 0, 0, 255])),
        attribute(3, ObisCode([1, 0, 99, 99, 0, 255])),
        attribute(8, ObisCode::CLOCK),
    ];
    let Outcome::Attributes(values) = setup.execute(&meter, Operation::GetAttributes(wanted)).await.unwrap() else {
        panic!("another outcome")
    };
    assert!(matches!(values[0].as_ref().unwrap().value, Value::DoubleLongUnsigned(_)));
    assert!(matches!(&values[1].as_ref().unwrap().value, Value::Array(objects) if objects.len() > 40));
    assert_eq!(values[2].as_ref().unwrap_err().answer(), Some(MeterAnswer::DataAccess(4)));
    assert!(matches!(&values[3].as_ref().unwrap().value, Value::OctetString(time) if time.len() == 12));
}

#[tokio::test]
async fn a_value_longer_than_an_apdu_is_written_in_blocks() {
    let config = FleetConfig { model: model("max-pdu = 1024", "max-pdu = 128"), ..ports() };
    let setup = Setup::with(config, FleetOptions::default()).await;
    let meter = setup.managed(0);
    let attribute = AttributeRef::new(ClassId(1), ObisCode([0, 0, 96, 13, 0, 255]), AttributeId(2));
    let text: Vec<u8> = (0..240).collect();
    let set = SetAttribute { attribute, selection: None, value: Value::OctetString(text.clone()) };
    let Outcome::Set(results) = setup.execute(&meter, Operation::SetAttributes(vec![set])).await.unwrap() else {
        panic!("another outcome")
    };
    assert_eq!(results, [Ok(())]);
    let Outcome::Attributes(values) = setup.execute(&meter, get(1, attribute.obis, 2)).await.unwrap() else {
        panic!("another outcome")
    };
    assert_eq!(values[0].as_ref().unwrap().value, Value::OctetString(text));
    // What fits nowhere is refused before anything is sent.
    let set = SetAttribute { attribute, selection: None, value: Value::OctetString(vec![0; 20_000]) };
    let Outcome::Set(results) = setup.execute(&meter, Operation::SetAttributes(vec![set])).await.unwrap() else {
        panic!("another outcome")
    };
    let error = results[0].as_ref().unwrap_err();
    assert_eq!((error.kind(), error.sent()), (RequestErrorKind::InvalidRequest, false), "{error:?}");
}
