//! Every model that is part of the program, read whole over TCP by the stack's own client in each of its associations.

mod support;

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dlms::acse::Mechanism;
use dlms::apdu::{DataAccessResult, Selection};
use dlms::association::Secret;
use dlms::association::client::Config;
use dlms::axdr::{Data, Value};
use dlms::id::{AttributeId, ClassId, ClientSap};
use dlms::link::Link;
use dlms::obis::ObisCode;
use dlms_meter_server::simulator::{BuiltInModel, FleetConfig, Keys, MODELS, Model};
use support::client::{Dialogue, Octets, management, public, tcp};
use support::{Client, NOW, Server, elements, number, octets, rows, seconds, stopped};

/// Rows of a long profile that are read.
const ROWS: i64 = 6;

/// What a client of the model needs to get in.
fn config(model: &Model, client: ClientSap) -> Config {
    let (mechanism, ciphered) = model.mechanism(client).unwrap();
    let secret = match mechanism {
        Mechanism::Lowest | Mechanism::Gmac => public().secret,
        _ => Secret::new(Keys::DEMONSTRATION_PASSWORD).unwrap(),
    };
    let config = if ciphered { management() } else { public() };
    Config { client, mechanism, secret, ..config }
}

/// The entry descriptor for the first rows.
fn first_rows() -> Vec<u8> {
    let entry = [Value::DoubleLongUnsigned(1), Value::DoubleLongUnsigned(ROWS as u32)];
    let columns = [Value::LongUnsigned(1), Value::LongUnsigned(0)];
    Value::Structure([entry, columns].concat()).to_vec()
}

/// Reads all that the association's list shows; returns how many values were right.
fn read_all<L: Link, T: Octets>(client: &mut Dialogue<L, T>, who: &str) -> usize {
    let list = client.get(15, "0.0.40.0.0.255", 2);
    let mut right = 0;
    for element in elements(&list) {
        let [class, version, instance, rights] = elements(element) else { panic!("{who}: {element:?}") };
        let (class, version) = (u16::try_from(number(class)).unwrap(), u8::try_from(number(version)).unwrap());
        let instance = ObisCode::from_slice(octets(instance)).unwrap().to_string();
        let described = dlms::cosem::class_version(ClassId(class), version);
        let described = described.unwrap_or_else(|| panic!("{who}: {instance}: class {class} version {version}"));
        for right_of_attribute in elements(&elements(rights)[0]) {
            let [id, mode, _] = elements(right_of_attribute) else { panic!("{who}: {right_of_attribute:?}") };
            let id = i8::try_from(number(id)).unwrap();
            let place = format!("{who}: {class} {instance} attribute {id}");
            let selected = first_rows();
            let selection = Selection { selector: 2, parameters: Data::from_slice(&selected).unwrap() };
            let long = (class, id) == (7, 2) && number(&client.get(7, &instance, 7)) > ROWS;
            let (result, _) = client.get_blocks(class, &instance, id, long.then_some(selection)).unwrap();
            if ![1, 3, 4, 6].contains(&number(mode)) {
                assert_eq!(result, Err(DataAccessResult::ReadWriteDenied), "{place}");
                continue;
            }
            let value = result.unwrap_or_else(|error| panic!("{place}: {error}"));
            right += 1;
            if (class, id) == (15, 9) && octets(&value).is_empty() {
                // An association without ciphering refers to no security setup.
                continue;
            }
            let encoded = value.to_vec();
            let data = Data::from_slice(&encoded).unwrap();
            if let Some(info) = described.attribute(AttributeId(id)) {
                info.check(data).unwrap_or_else(|error| panic!("{place}: {error}"));
            } else {
                assert_eq!((id, ObisCode::from_slice(octets(&value)).unwrap().to_string()), (1, instance.clone()));
            }
            if (class, id) == (7, 2) {
                let columns = elements(&client.get(7, &instance, 3)).len();
                assert!(elements(&value).iter().all(|row| elements(row).len() == columns), "{place}");
                assert_eq!(elements(&value).len() as i64, number(&client.get(7, &instance, 7)).min(ROWS), "{place}");
            }
        }
    }
    right
}

fn read_model(built_in: &BuiltInModel) {
    let model = Arc::new(built_in.model().unwrap());
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let server = Server::start(FleetConfig { tcp: localhost, model: Arc::clone(&model), ..stopped(7, NOW) });
    let address = server.ports(0).tcp.unwrap();
    let mut counter = 1;
    for (name, sap) in model.clients() {
        let who = format!("{} {name}", built_in.name);
        let mut client =
            tcp(address, config(&model, sap), counter).associate().unwrap_or_else(|error| panic!("{who}: {error:?}"));
        let right = read_all(&mut client, &who);
        // A client that sees next to nothing would prove next to nothing.
        assert!(right >= 10, "{who}: {right}");
        println!("{who}: {right} values");
        client.release().unwrap();
        counter += 100_000;
    }
    server.shutdown();
}

#[test]
fn every_model_is_read_whole_by_each_of_its_clients() {
    // The one with short names has a test file of its own.
    for built_in in MODELS.iter().filter(|model| model.name != "short-names") {
        read_model(built_in);
    }
}

#[test]
fn constant_attributes_are_written_where_class_and_rights_allow_it() {
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    let server = Server::start(FleetConfig { tcp: localhost, ..stopped(7, NOW) });
    let mut client = tcp(server.ports(0).tcp.unwrap(), management(), 1).associate().unwrap();
    let ip = "0.0.25.1.0.255";
    assert_eq!(client.get(42, ip, 3), Value::DoubleLongUnsigned(0xC000_020A));
    assert_eq!(client.set(42, ip, 3, Data::DoubleLongUnsigned(7)).unwrap(), DataAccessResult::Success);
    assert_eq!(client.get(42, ip, 3), Value::DoubleLongUnsigned(7));
    // Of another type, and more than is kept.
    assert_eq!(client.set(42, ip, 3, Data::LongUnsigned(7)).unwrap(), DataAccessResult::TypeUnmatched);
    let (apn, long) = ("0.0.25.4.0.255", [0; 600]);
    assert_eq!(client.set(45, apn, 2, Data::OctetString(&long)).unwrap(), DataAccessResult::OtherReason);
    assert_eq!(client.set(45, apn, 2, Data::OctetString(b"x")).unwrap(), DataAccessResult::Success);
    assert_eq!(client.get(45, apn, 2), Value::OctetString(b"x".to_vec()));
    // What the class does not let a client write, and a password, which is not read.
    assert_eq!(client.set(28, "0.0.2.2.0.255", 4, Data::Enum(1)).unwrap(), DataAccessResult::ReadWriteDenied);
    let port = "0.0.20.0.0.255";
    assert_eq!(client.set(19, port, 7, Data::OctetString(b"secret")).unwrap(), DataAccessResult::Success);
    assert_eq!(client.get_blocks(19, port, 7, None).unwrap().0, Err(DataAccessResult::ReadWriteDenied));
    // A method that the model takes note of, and one that it does not offer.
    assert_eq!(client.action(29, "0.0.2.1.0.255", 1), dlms::apdu::ActionResult::Success);
    assert_eq!(client.action(42, ip, 3), dlms::apdu::ActionResult::ReadWriteDenied);
    // The neighbour with the same class has kept its own; each change is an event.
    assert_eq!(client.get(1, "0.0.96.11.0.255", 2), Value::Unsigned(47));
    client.release().unwrap();
    let mut reader = tcp(server.ports(0).tcp.unwrap(), support::client::reader(b"12345678"), 0).associate().unwrap();
    assert_eq!(reader.get(42, ip, 3), Value::DoubleLongUnsigned(7));
    reader.release().unwrap();
    server.shutdown();
}

/// The values of a profile's only or newest row, with the codes and attributes of its columns.
fn newest_row<L: Link, T: Octets>(client: &mut Dialogue<L, T>, profile: &str) -> Vec<(String, i64, Value)> {
    let buffer = client.get(7, profile, 2);
    let columns = client.get(7, profile, 3);
    let columns = elements(&columns).iter().map(|column| {
        let [_, instance, attribute, _] = elements(column) else { panic!("{column:?}") };
        (ObisCode::from_slice(octets(instance)).unwrap().to_string(), number(attribute))
    });
    let row = elements(elements(&buffer).last().unwrap()).to_vec();
    columns.zip(row).map(|((code, attribute), value)| (code, attribute, value)).collect()
}

#[test]
fn profiles_of_an_indian_meter_agree_with_its_registers_and_scalers() {
    for name in ["india-single-phase", "india-three-phase"] {
        let model = Arc::new(BuiltInModel::find(name).unwrap().model().unwrap());
        let localhost = Some("127.0.0.1:0".parse().unwrap());
        // On the second at which current values are captured, so that registers show the same.
        let server = Server::start(FleetConfig { tcp: localhost, model: Arc::clone(&model), ..stopped(7, NOW) });
        let config = config(&model, ClientSap(32));
        let mut client = tcp(server.ports(0).tcp.unwrap(), config, 1).associate().unwrap();
        let mut compared = 0;
        for (code, attribute, value) in newest_row(&mut client, "1.0.94.91.0.255") {
            let class = match code.split('.').collect::<Vec<_>>().as_slice() {
                ["0", "0", "1", "0", "0", _] => continue,
                ["1", "0", _, "6", ..] => 4,
                ["1", ..] | ["0", "0", "0", "1", "2", _] | ["0", "0", "94", "91", "8" | "14", _] => 3,
                ["0", "0", "96", "3", "10", _] => 70,
                ["0", "0", "17", ..] => 71,
                _ => 1,
            };
            assert_eq!(client.get(class, &code, i8::try_from(attribute).unwrap()), value, "{name} {code}");
            compared += 1;
        }
        assert!(compared >= 20, "{name}: {compared}");
        // Each scaler profile names registers of its profile, with their scaler and unit.
        for (scalers, profile) in
            [("3", "1.0.94.91.0"), ("4", "1.0.99.1.0"), ("5", "1.0.99.2.0"), ("6", "1.0.98.1.0"), ("7", "0.0.99.98.0")]
        {
            let captured = client.get(7, &format!("{profile}.255"), 3);
            let captured: Vec<_> = elements(&captured)
                .iter()
                .map(|column| ObisCode::from_slice(octets(&elements(column)[1])).unwrap().to_string())
                .collect();
            let row = newest_row(&mut client, &format!("1.0.94.91.{scalers}.255"));
            assert!(row.len() >= 4, "{name} {scalers}");
            for (code, attribute, value) in row {
                assert!(captured.contains(&code), "{name} {scalers}: {code} is not in {profile}");
                assert_eq!((attribute, elements(&value).len()), (3, 2), "{name} {code}");
            }
        }
        // The blocks of a day add up to what the registers moved from midnight to midnight.
        let days = rows(&client.get(7, "1.0.99.2.0.255", 2));
        let [.., before, after] = days.as_slice() else { panic!("{days:?}") };
        let [from, to] = [before, after].map(|row| seconds(&row[0]));
        let entry = [Value::DoubleLongUnsigned(1_580), Value::DoubleLongUnsigned(0)];
        let columns = [Value::LongUnsigned(1), Value::LongUnsigned(0)];
        let last = Value::Structure([entry, columns].concat()).to_vec();
        let selection = Selection { selector: 2, parameters: Data::from_slice(&last).unwrap() };
        let blocks = rows(&client.get_blocks(7, "1.0.99.1.0.255", 2, Some(selection)).unwrap().0.unwrap());
        let columns = client.get(7, "1.0.99.1.0.255", 3);
        let energy = elements(&columns).iter().position(|column| octets(&elements(column)[1]) == [1, 0, 1, 29, 0, 255]);
        let of_day: Vec<_> = blocks.iter().filter(|row| (from + 1..=to).contains(&seconds(&row[0]))).collect();
        assert_eq!(of_day.len(), 48);
        let sum: i64 = of_day.iter().map(|row| number(&row[energy.unwrap()])).sum();
        assert_eq!(sum, number(&after[1]) - number(&before[1]), "{name}");
        assert!(sum > 1_000, "{name}: {sum}");
        client.release().unwrap();
        server.shutdown();
    }
}

/// Calendar, billing, image transfer, limiter and alert push of the models whose makers describe them.
#[test]
fn the_dutch_and_indian_models_act() {
    for (name, manager, loader, activation, limiter, push) in [
        ("smr5", 1, 1, "0.0.14.0.0.255", None, "0.1.25.9.0.255"),
        ("india-single-phase", 48, 80, "0.0.14.0.1.255", Some(Data::DoubleLongUnsigned(0)), "0.4.25.9.0.255"),
        ("india-three-phase", 48, 80, "0.0.14.0.1.255", Some(Data::DoubleLong(-90_000)), "0.4.25.9.0.255"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let model = Arc::new(BuiltInModel::find(name).unwrap().model().unwrap());
        let push_to = Some(listener.local_addr().unwrap().to_string());
        let server = Server::start(FleetConfig { model, push_to, ..stopped(7, NOW) });
        let client = |sap| {
            let mut client = Client::management(server.fleet());
            client.access.client = ClientSap(sap);
            client
        };
        let (manager, loader) = (client(manager), client(loader));
        let mask = || octets(&manager.read(6, activation, 4).unwrap()).to_vec();
        // A Sunday at noon and in the afternoon; the next day's noon, and two o'clock at night in India.
        let (first, second) = if limiter.is_none() { (b"1", b"2") } else { (b"2", b"1") };
        assert_eq!(mask(), first, "{name}");
        server.jump("2026-03-15T21:00:00Z");
        if limiter.is_none() {
            server.jump("2026-03-16T11:00:00Z");
        }
        assert_eq!(mask(), second, "{name}");

        let billing = if limiter.is_none() { "0.0.98.1.0.255" } else { "1.0.98.1.0.255" };
        let newest = || seconds(&manager.rows(billing, None).last().unwrap()[0]);
        let before = newest();
        manager.invoke(9, "0.0.10.0.1.255", 1, Data::LongUnsigned(1)).unwrap();
        assert!(newest() > before, "{name}");

        let image = "0.0.44.0.0.255";
        loader.write(18, image, 5, Data::Boolean(true)).unwrap();
        let begin = Value::Structure(vec![Value::OctetString(b"image".to_vec()), Value::DoubleLongUnsigned(1_000)]);
        loader.invoke(18, image, 1, Data::from_slice(&begin.to_vec()).unwrap()).unwrap();
        assert_eq!(loader.read(18, image, 6).unwrap(), Value::Enum(1), "{name}");

        if let Some(threshold) = limiter {
            assert_eq!(manager.read(70, "0.0.96.3.10.255", 2).unwrap(), Value::Boolean(true), "{name}");
            manager.write(71, "0.0.17.0.0.255", 4, threshold).unwrap();
            server.jump("2026-03-15T21:05:00Z");
            assert_eq!(manager.read(70, "0.0.96.3.10.255", 2).unwrap(), Value::Boolean(false), "{name}");
        }

        manager.invoke(40, push, 1, Data::Integer(0)).unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let mut stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert!(Instant::now() < until, "{name}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut octets = [0; 9];
        stream.read_exact(&mut octets).unwrap();
        // From logical device 1, under the global key.
        assert_eq!((&octets[..4], octets[8]), (&[0, 1, 0, 1][..], 0xDB), "{name}");
        server.shutdown();
    }
}
