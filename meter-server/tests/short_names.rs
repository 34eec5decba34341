//! The simulated meter with short names, asked over TCP and HDLC by the stack's own client.

mod support;

use std::sync::Arc;

use dlms::apdu::{DataAccessResult, VariableAccess, WriteResult};
use dlms::axdr::{Data, Value};
use dlms::cosem::FromData;
use dlms::cosem::short_name::{LOGICAL_DEVICE_NAME, NamedObject, OBJECT_LIST};
use dlms::hdlc::Parameters;
use dlms::id::{AttributeId, ClassId, MethodId, ShortName};
use dlms::obis::ObisCode;
use dlms_meter_server::simulator::{FleetConfig, Model, SHORT_NAME_MODEL};
use support::client::{Dialogue, Octets, connect, hdlc, management, public, reader, tcp};
use support::{NOW, Server, elements, number, octets, rows, seconds, stopped};

fn server() -> Server {
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let model = Arc::new(Model::from_toml(SHORT_NAME_MODEL).unwrap());
    Server::start(FleetConfig { tcp: localhost, hdlc_tcp: localhost, model, ..stopped(7, NOW) })
}

fn one<L: dlms::link::Link, T: Octets>(
    client: &mut Dialogue<L, T>,
    variable: VariableAccess<'_>,
) -> (Result<Value, DataAccessResult>, usize) {
    let (mut results, blocks) = client.read(&[variable]).unwrap();
    assert_eq!(results.len(), 1);
    (results.remove(0), blocks)
}

/// The object list, as a client finds it without knowing anything of the meter.
fn object_list<L: dlms::link::Link, T: Octets>(client: &mut Dialogue<L, T>) -> Vec<NamedObject> {
    let (list, _) = one(client, VariableAccess::named(OBJECT_LIST));
    let list = list.unwrap();
    elements(&list)
        .iter()
        .map(|element| {
            let mut buffer = [0; 64];
            let mut writer = dlms::axdr::Writer::new(&mut buffer);
            element.encode(&mut writer).unwrap();
            NamedObject::from_data(Data::from_slice(writer.written()).unwrap()).unwrap()
        })
        .collect()
}

fn find(list: &[NamedObject], class: u16, instance: &str) -> NamedObject {
    let instance: ObisCode = instance.parse().unwrap();
    *list.iter().find(|object| object.class == ClassId(class) && object.instance == instance).unwrap()
}

/// Two entries of a profile, all columns.
const FIRST_TWO: [u8; 18] = [2, 4, 6, 0, 0, 0, 1, 6, 0, 0, 0, 2, 0x12, 0, 1, 0x12, 0, 0];

#[test]
fn everything_is_found_through_the_object_list() {
    let server = server();
    let ports = server.ports(0);
    let mut client = tcp(ports.tcp.unwrap(), reader(b"12345678").with_short_names(), 0).associate().unwrap();
    let name = one(&mut client, VariableAccess::named(LOGICAL_DEVICE_NAME)).0;
    assert_eq!(name, Ok(Value::OctetString(vec![0, 0, 42, 0, 0, 255])));
    let list = object_list(&mut client);
    assert!(list.len() > 12, "{}", list.len());
    let device = find(&list, 1, "0.0.42.0.0.255");
    let value = one(&mut client, VariableAccess::named(device.attribute(AttributeId(2)).unwrap())).0.unwrap();
    assert_eq!(octets(&value), b"SIMSN10020000001");
    let energy = find(&list, 3, "1.0.1.8.0.255");
    assert_eq!(energy.base, ShortName(0x2C00));
    let (results, _) =
        client.read(&[1, 2, 3].map(|id| VariableAccess::named(energy.attribute(AttributeId(id)).unwrap()))).unwrap();
    assert_eq!(results[0], Ok(Value::OctetString(vec![1, 0, 1, 8, 0, 255])));
    assert!(number(results[1].as_ref().unwrap()) > 1_000_000);

    // Rows by entry, and the whole buffer in blocks.
    let profile = find(&list, 7, "1.0.99.1.0.255");
    let buffer = profile.attribute(AttributeId(2)).unwrap();
    let parameters = Data::from_slice(&FIRST_TWO).unwrap();
    let selection = VariableAccess::Parameterized { name: buffer.into(), selector: 2, parameters };
    assert_eq!(rows(&one(&mut client, selection).0.unwrap()).len(), 2);
    let (whole, blocks) = one(&mut client, VariableAccess::named(buffer));
    let whole = rows(&whole.unwrap());
    assert_eq!(whole.len(), 2880);
    assert!(blocks > 10, "{blocks}");
    assert!(whole.windows(2).all(|pair| seconds(&pair[1][0]) - seconds(&pair[0][0]) == 900));
    client.release().unwrap();
}

#[test]
fn the_management_client_sets_and_switches_over_hdlc() {
    let server = server();
    let line = connect(server.ports(0).hdlc_tcp.unwrap());
    let mut client = hdlc(line, management().with_short_names(), 1, Parameters::DEFAULT).associate().unwrap();
    let list = object_list(&mut client);
    let label = find(&list, 1, "0.0.96.1.1.255").attribute(AttributeId(2)).unwrap();
    let long = [b'L'; 200];
    assert_eq!(client.write(VariableAccess::named(label), Data::OctetString(&long)).unwrap(), WriteResult::Success);
    assert_eq!(octets(&one(&mut client, VariableAccess::named(label)).0.unwrap()), long);

    let switch = find(&list, 70, "0.0.96.3.10.255");
    let state = VariableAccess::named(switch.attribute(AttributeId(2)).unwrap());
    assert_eq!(one(&mut client, state).0, Ok(Value::Boolean(true)));
    let disconnect = VariableAccess::named(switch.method(MethodId(1)).unwrap());
    assert_eq!(client.write(disconnect, Data::Integer(0)).unwrap(), WriteResult::Success);
    assert_eq!(one(&mut client, state).0, Ok(Value::Boolean(false)));

    // read_by_logicalname: a value, and null-data for what is not there.
    let asked = [
        [1, 2, 2, 3, 0x12].as_slice(),
        &[0, 1, 9, 6, 0, 0, 42, 0, 0, 255, 0x0F, 2],
        &[2, 3, 0x12, 0, 3, 9, 6, 9, 9, 9, 9, 9, 255, 0x0F, 2],
    ]
    .concat();
    let by_name = VariableAccess::Parameterized {
        name: ShortName(0xFA30).into(),
        selector: 1,
        parameters: Data::from_slice(&asked).unwrap(),
    };
    let found = one(&mut client, by_name).0.unwrap();
    assert_eq!(elements(&found), [Value::OctetString(b"SIMSN10020000001".to_vec()), Value::Null]);
    client.release().unwrap();
}

#[test]
fn a_public_client_sees_little_and_changes_nothing() {
    let server = server();
    let mut client = tcp(server.ports(0).tcp.unwrap(), public().with_short_names(), 0).associate().unwrap();
    let list = object_list(&mut client);
    assert!(!list.iter().any(|object| object.class == ClassId(3)));
    let energy = VariableAccess::named(ShortName(0x2C08));
    assert_eq!(one(&mut client, energy).0, Err(DataAccessResult::ObjectUndefined));
    // By class and by name; rights with them (attribute 3).
    let one_class =
        VariableAccess::Parameterized { name: OBJECT_LIST.into(), selector: 1, parameters: Data::LongUnsigned(8) };
    assert_eq!(elements(&one(&mut client, one_class).0.unwrap()).len(), 1);
    let rights = one(&mut client, VariableAccess::named(ShortName(0xFA10))).0.unwrap();
    assert_eq!(elements(&rights).len(), list.len());
}
