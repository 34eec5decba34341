//! Lists that meters push at their customer port: frames, names, order and types are those of captured pushes.
//!
//! `DLMS_CAPTURES` names a folder of captured traffic, to which the lists are compared as well.

mod support;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dlms::apdu::{Apdu, DataAccessResult, GeneralBlockTransfer};
use dlms::axdr::{Data, Value};
use dlms::id::SystemTitle;
use dlms::security::{Context, EncryptionKey, KeySet, Protection, ReceiveFloor, RustCrypto, Suite};
use dlms::{hdlc, mbus};
use dlms_meter_server::simulator::{BuiltInModel, FleetConfig, P1Config, P1Dialect, P1Keys};
use support::client::{management, tcp};
use support::{Server, elements, number, octets, stopped};

/// Ten seconds before a full hour: 2026-03-15 11:59:50 UTC.
const BEFORE_NOON: i64 = 1_773_575_990;

/// A push: addresses and control, or the M-Bus route, and what is inside.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    frame: String,
    /// Octets of the information field of each frame behind each other, where there are several.
    fields: Vec<usize>,
    /// The first octets of the APDU, up to the tag of the time, without what counts.
    head: String,
    body: Value,
}

/// Logical names and types of a value.
fn shape(value: &Value) -> String {
    match value {
        Value::Array(elements) | Value::Structure(elements) => {
            let parts: Vec<_> = elements.iter().map(shape).collect();
            format!("{}[{}]", value.type_name(), parts.join(" "))
        }
        Value::OctetString(octets) if octets.len() == 6 && octets[5] == 255 => {
            octets[..5].iter().map(u8::to_string).collect::<Vec<_>>().join(".")
        }
        other => other.type_name().to_owned(),
    }
}

/// The push in an APDU; a ciphered one opens with `key`.
fn opened(frame: String, apdu: &[u8], key: &[u8]) -> Seen {
    let mut octets = apdu.to_vec();
    if octets[0] == 0xDB {
        let keys =
            KeySet { encryption: EncryptionKey::from_slice(Suite::Suite0, key).unwrap(), ..keys_without_tag(key) };
        let mut context = Context::<RustCrypto>::new(SystemTitle([0; 8]), &keys).unwrap();
        context.set_required(Protection::ENCRYPTED);
        let plain = context.unprotect(&mut octets, |_| ReceiveFloor::new(0)).unwrap().plain;
        octets = octets[plain].to_vec();
    }
    let Ok(Apdu::DataNotification(sent)) = Apdu::decode(&octets) else { panic!("{octets:02X?}") };
    let head = format!("{:02X} {:02X} {:02X}", octets[0], octets[1], octets[5]);
    Seen { frame, fields: Vec::new(), head, body: Value::from(sent.body) }
}

fn keys_without_tag(key: &[u8]) -> KeySet {
    KeySet::new(Suite::Suite0, key, &[0; 16]).unwrap()
}

/// Lengths of the information fields of frames that follow each other, whose header ends at `header`.
fn fields(raw: &[u8], header: usize) -> Vec<usize> {
    let (mut fields, mut rest) = (Vec::new(), raw);
    while let [0x7E, rest_of_format @ ..] = rest {
        let [high @ 0xA0..=0xAF, low, ..] = rest_of_format else {
            rest = rest_of_format;
            continue;
        };
        let length = usize::from(u16::from_be_bytes([high & 7, *low]));
        // Without the header behind the flag, and the check sequence.
        fields.push(length + 1 - header - 2);
        rest = &rest[length + 1..];
    }
    fields
}

/// Takes pushes out of a stream.
enum Receiver {
    /// With the octets since the last push, and the blocks of one.
    Hdlc(Box<hdlc::Listener<Vec<u8>>>, Vec<u8>, Vec<Vec<u8>>),
    Mbus(Box<mbus::Listener<Vec<u8>>>),
}

impl Receiver {
    fn new(dialect: P1Dialect) -> Self {
        let storage = || vec![0; 4_096];
        match dialect {
            P1Dialect::KaifaAustria => Self::Mbus(Box::new(mbus::Listener::new(storage(), storage(), 60_000, false))),
            _ => Self::Hdlc(Box::new(hdlc::Listener::new(storage(), storage(), 60_000, true)), Vec::new(), Vec::new()),
        }
    }

    fn push(&mut self, octets: &[u8], key: &[u8]) -> Vec<Seen> {
        let now = dlms::Instant::from_millis(0);
        let mut seen = Vec::new();
        // One octet at a time: an event belongs to the octet that ended it.
        for octet in octets {
            match self {
                Self::Hdlc(listener, raw, blocks) => {
                    raw.push(*octet);
                    assert_eq!(listener.handle_input(&[*octet], now), 1);
                    if listener.poll_event().is_none() {
                        continue;
                    }
                    let mut apdu = listener.apdu().to_vec();
                    listener.release_apdu();
                    if apdu[0] == 0xE0 {
                        let block = GeneralBlockTransfer::decode(&apdu).unwrap();
                        assert_eq!((usize::from(block.number), block.acknowledged), (blocks.len() + 1, 0));
                        assert!(block.control.is_streaming() && block.control.window() == 0);
                        blocks.push(block.data.to_vec());
                        if !block.control.is_last() {
                            continue;
                        }
                        apdu = std::mem::take(blocks).concat();
                    }
                    // Up to the LLC header: format without the length, addresses, control.
                    let llc = raw.windows(3).position(|three| three == [0xE6, 0xE7, 0]).unwrap();
                    let start = raw[..llc].iter().rposition(|octet| *octet == 0x7E).unwrap();
                    let frame = hex::encode(&raw[start + 3..llc - 2]);
                    let fields = fields(&raw[start..], llc - start);
                    seen.push(Seen { fields, ..opened(frame, &apdu, key) });
                    raw.clear();
                    raw.push(*octet);
                }
                Self::Mbus(listener) => {
                    assert_eq!(listener.handle_input(&[*octet], now), 1);
                    if let Some(route) = listener.poll_event() {
                        let frame = format!("{:02x} {} {}", route.address, route.source, route.destination);
                        seen.push(opened(frame, listener.apdu(), key));
                        listener.release_apdu();
                    }
                }
            }
        }
        seen
    }
}

/// What a model's meter pushes around a full hour.
fn pushes(server: &Server, model: &str) -> Vec<Seen> {
    let dialect = BuiltInModel::find(model).unwrap().model().unwrap().customer_port().unwrap();
    let localhost: Option<SocketAddr> = Some("127.0.0.1:0".parse().unwrap());
    let config = P1Config { tcp: localhost, ..P1Config::new(dialect) };
    let address = server.runtime().block_on(server.fleet().open_p1(&config)).unwrap()[0];
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut receiver, mut seen, mut buffer) = (Receiver::new(dialect), Vec::new(), [0; 512]);
    // Enough to go past the hour whichever interval the lists have.
    while seen.len() < 14 {
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0);
        seen.extend(receiver.push(&buffer[..count], &P1Keys::DEMONSTRATION_ENCRYPTION));
    }
    seen
}

fn server(model: &str) -> Server {
    let model = Arc::new(BuiltInModel::find(model).unwrap().model().unwrap());
    let localhost = Some("127.0.0.1:0".parse().unwrap());
    Server::start(FleetConfig { tcp: localhost, model, speed: 60.0, ..stopped(7, BEFORE_NOON) })
}

/// What a push setup lists, behind its list, of which the first entry is the list itself: class, code and type of each value.
fn listed(setup: &str, objects: &[(u8, String, &str)]) -> String {
    let entry = |code: &str| format!("structure[long-unsigned {code} integer long-unsigned]");
    let codes = [setup].into_iter().chain(objects.iter().map(|(_, code, _)| code.as_str()));
    let list: Vec<_> = codes.map(entry).collect();
    let values: Vec<_> = objects.iter().map(|(_, _, kind)| *kind).collect();
    format!("structure[array[{}] {}]", list.join(" "), values.join(" "))
}

/// The lists of each make, in the order of their length: names and types as in captures.
fn expected(model: &str) -> Vec<String> {
    let number = "double-long-unsigned";
    let scaled = "structure[integer enum]";
    match model {
        "norway-aidon" => {
            let power = |c: u8| format!("structure[1.0.{c}.7.0 {number} {scaled}]");
            let mut list: Vec<_> = ["1.1.0.2.129", "0.0.96.1.0", "0.0.96.1.7"]
                .map(|code| format!("structure[{code} visible-string]"))
                .to_vec();
            list.extend((1..=4).map(power));
            list.extend([31, 51, 71].map(|c| format!("structure[1.0.{c}.7.0 long {scaled}]")));
            list.extend([32, 52, 72].map(|c| format!("structure[1.0.{c}.7.0 long-unsigned {scaled}]")));
            let mut hour = list.clone();
            hour.push("structure[0.0.1.0.0 octet-string]".to_owned());
            hour.extend((1..=4).map(|c| format!("structure[1.0.{c}.8.0 {number} {scaled}]")));
            [vec![power(1)], list, hour].map(|list| format!("array[{}]", list.join(" "))).to_vec()
        }
        "norway-kaifa" => {
            let mut list = vec!["octet-string"; 3];
            list.extend([number; 10]);
            let mut hour = list.clone();
            hour.push("octet-string");
            hour.extend([number; 4]);
            [vec![number], list, hour].map(|list| format!("structure[{}]", list.join(" "))).to_vec()
        }
        "switzerland-landis-gyr" => {
            let mut objects = vec![(40, "0.8.25.9.0".to_owned(), "0.8.25.9.0")];
            objects.push((1, "0.0.96.1.0".to_owned(), "octet-string"));
            objects.extend([1, 2].map(|c| (3, format!("1.0.{c}.7.0"), number)));
            objects.extend([1, 2, 5, 6, 7, 8].map(|c| (3, format!("1.1.{c}.8.0"), number)));
            objects.extend([31, 51, 71].map(|c| (3, format!("1.0.{c}.7.0"), "long-unsigned")));
            vec![listed("0.8.25.9.0", &objects)]
        }
        "switzerland-iskraemeco" => {
            let mut objects = vec![(40, "0.6.25.9.0".to_owned(), "0.6.25.9.0")];
            objects.extend(["0.0.42.0.0", "0.0.96.1.1"].map(|code| (1, code.to_owned(), "octet-string")));
            objects.push((8, "0.0.1.0.0".to_owned(), "octet-string"));
            objects.extend((1..=4).map(|c| (3, format!("1.1.{c}.7.0"), number)));
            for c in [1, 2, 5, 6, 7, 8] {
                objects.extend((0..=2).map(|rate| (3, format!("1.1.{c}.8.{rate}"), number)));
            }
            objects.push((3, "1.0.13.7.0".to_owned(), "long-unsigned"));
            vec![listed("0.6.25.9.0", &objects)]
        }
        "norway-kamstrup" => {
            let mut list: Vec<_> = ["visible-string", "1.1.0.0.5", "visible-string", "1.1.96.1.1", "visible-string"]
                .map(str::to_owned)
                .to_vec();
            list.extend([1, 2, 3, 4, 31, 51, 71].map(|c| format!("1.1.{c}.7.0 {number}")));
            list.extend([32, 52, 72].map(|c| format!("1.1.{c}.7.0 long-unsigned")));
            let mut hour = list.clone();
            hour.push("0.1.1.0.0 octet-string".to_owned());
            hour.extend((1..=4).map(|c| format!("1.1.{c}.8.0 {number}")));
            [list, hour].map(|list| format!("structure[{}]", list.join(" "))).to_vec()
        }
        _ => {
            let mut list = vec!["octet-string".to_owned()];
            let values = [(1, 8), (2, 8), (1, 7), (2, 7)].map(|(c, d)| format!("1.0.{c}.{d}.0 {number} {scaled}"));
            list.extend(values);
            list.extend([32, 52, 72, 31, 51, 71, 13].map(|c| format!("1.0.{c}.7.0 long-unsigned {scaled}")));
            list.push("octet-string".to_owned());
            vec![format!("structure[{}]", list.join(" "))]
        }
    }
}

const MODELS: [(&str, &str, &str); 6] = [
    ("norway-aidon", "41088313", "0F 40 00"),
    ("norway-kaifa", "01020110", "0F 40 09"),
    ("norway-kamstrup", "2b2113", "0F 00 0C"),
    ("austria-kaifa", "ff 1 103", "0F 80 0C"),
    ("switzerland-landis-gyr", "ceff0313", "0F 00 0C"),
    ("switzerland-iskraemeco", "cf022303", "0F 00 0C"),
];

/// Information fields of the captured pushes of Swiss meters, which lists as long are sent in.
const FIELDS: [(&str, &[usize]); 2] =
    [("switzerland-landis-gyr", &[122, 115, 128]), ("switzerland-iskraemeco", &[154, 154, 154, 154, 75])];

#[test]
fn lists_have_names_order_and_types_of_captured_ones() {
    for (model, frame, head) in MODELS {
        let server = server(model);
        let seen = pushes(&server, model);
        let mut shapes = Vec::new();
        for push in &seen {
            assert_eq!((push.frame.as_str(), push.head.as_str()), (frame, head), "{model}");
            if let Some((_, fields)) = FIELDS.iter().find(|(known, _)| *known == model) {
                assert_eq!(push.fields, *fields, "{model}");
            }
            let shape = shape(&push.body);
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        shapes.sort_by_key(String::len);
        assert_eq!(shapes, expected(model), "{model}");
        server.shutdown();
    }
}

#[test]
fn values_of_lists_are_those_of_the_registers() {
    let server = server("norway-kaifa");
    let seen = pushes(&server, "norway-kaifa");
    let hour = seen.iter().find(|push| elements(&push.body).len() == 18).expect("the list of the hour");
    let values = elements(&hour.body);
    assert_eq!(octets(&values[0]), b"KFM_001");
    assert_eq!(octets(&values[1]), b"0000000071000001");
    // Ten seconds after noon, 13:00:10 in Norway.
    assert_eq!(octets(&values[13])[..8], [0x07, 0xEA, 3, 15, 7, 13, 0, 10]);
    // Amperes times volts of three phases are about what the powers make.
    let apparent: i64 = (0..3).map(|phase| number(&values[7 + phase]) * number(&values[10 + phase]) / 10_000).sum();
    let (active, reactive) = (number(&values[3]) - number(&values[4]), number(&values[5]) - number(&values[6]));
    let square = active * active + reactive * reactive;
    assert!((apparent * apparent - square).abs() < square / 20 + 1_000, "{apparent} {active} {reactive}");
    // The energy of the full hour lies in the load profile's row, ten seconds before.
    let mut client = tcp(server.ports(0).tcp.unwrap(), management(), 1).associate().unwrap();
    let register = number(&client.get(3, "1.0.1.8.0.255", 2));
    assert!(number(&values[14]) <= register && register - number(&values[14]) < 1_000);
    client.release().unwrap();
    server.shutdown();
}

#[test]
fn a_client_says_what_a_swiss_meter_sends() {
    let server = server("switzerland-landis-gyr");
    let mut client = tcp(server.ports(0).tcp.unwrap(), management(), 1).associate().unwrap();
    let of = |class: u16, code: [u8; 6]| {
        let members = [Value::LongUnsigned(class), Value::OctetString(code.to_vec()), Value::Integer(2)];
        Value::Structure([&members[..], &[Value::LongUnsigned(0)]].concat())
    };
    let list = Value::Array(vec![of(1, [0, 0, 96, 1, 0, 255]), of(3, [1, 1, 1, 8, 0, 255])]).to_vec();
    let list = Data::from_slice(&list).unwrap();
    assert_eq!(client.set(40, "0.8.25.9.0.255", 2, list).unwrap(), DataAccessResult::Success);
    let seen = pushes(&server, "switzerland-landis-gyr");
    let [serial, energy] = elements(&seen[0].body) else { panic!("{:?}", seen[0]) };
    assert_eq!(octets(serial), b"74000001");
    let register = number(&client.get(3, "1.1.1.8.0.255", 2));
    assert!(number(energy) > 0 && (0..1_000).contains(&(register - number(energy))), "{energy:?} {register}");
    client.release().unwrap();
    // Others have no such push setup.
    let model = Arc::new(BuiltInModel::find("norway-kaifa").unwrap().model().unwrap());
    let other = Server::start(FleetConfig { model, ..stopped(7, BEFORE_NOON) });
    let config = P1Config { tcp: Some("127.0.0.1:0".parse().unwrap()), ..P1Config::new(P1Dialect::LandisGyr) };
    let refused = other.runtime().block_on(other.fleet().open_p1(&config)).unwrap_err();
    assert!(refused.to_string().contains("the dialect of the customer port must be one whose push setup"), "{refused}");
    other.shutdown();
    server.shutdown();
}

#[test]
fn captured_pushes_look_the_same() {
    let Some(folder) = std::env::var_os("DLMS_CAPTURES") else { return };
    let captures = [
        ("hdlc.jsonl", "ams-frames-aidon-tn-1", "norway-aidon"),
        ("hdlc.jsonl", "ams-frames-aidon-tn-2", "norway-aidon"),
        ("hdlc.jsonl", "ams-aidon-gh1119-1", "norway-aidon"),
        ("hdlc.jsonl", "ams-kaifa-gh180-1", "norway-kaifa"),
        ("hdlc.jsonl", "ams-kaifa-gh180-2", "norway-kaifa"),
        ("hdlc.jsonl", "obinsect-kamstrup-10s-list", "norway-kamstrup"),
        ("hdlc.jsonl", "obinsect-kamstrup-1h-list", "norway-kamstrup"),
        ("mbus.jsonl", "dlmsparser-mbus-netz-noe-p1", "austria-kaifa"),
        ("hdlc.jsonl", "ams-landis-gyr-gh740", "switzerland-landis-gyr"),
        ("hdlc.jsonl", "scs-am550", "switzerland-iskraemeco"),
    ];
    let mut compared = 0;
    for (file, id, model) in captures {
        let text = std::fs::read_to_string(Path::new(&folder).join(file)).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let Some(record) = records.into_iter().find(|record| record["id"] == id) else { continue };
        let captured = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let key = record["security"]["block_cipher_key"].as_str().map(|key| hex::decode(key).unwrap());
        let dialect = BuiltInModel::find(model).unwrap().model().unwrap().customer_port().unwrap();
        let seen = Receiver::new(dialect).push(&captured, &key.unwrap_or_default());
        // One capture lost its closing flag.
        if let [seen] = seen.as_slice() {
            let (_, frame, head) = MODELS.into_iter().find(|(known, ..)| *known == model).unwrap();
            assert_eq!((seen.frame.as_str(), seen.head.as_str()), (frame, head), "{id}");
            assert!(expected(model).contains(&shape(&seen.body)), "{id}: {}", shape(&seen.body));
            if let Some((_, fields)) = FIELDS.iter().find(|(known, _)| *known == model) {
                assert_eq!(seen.fields, *fields, "{id}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}
