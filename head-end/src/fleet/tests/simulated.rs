//! Operations against simulated meters over real sockets.

use dlms::{axdr::Value, obis::ObisCode, unit::Unit};

use super::support::{IMPORT, Setup, get, registers};
use crate::operation::{MeterAnswer, Operation, Outcome, RequestErrorKind};

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
    let layout = model.profile(super::support::LOAD_PROFILE).unwrap();
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
