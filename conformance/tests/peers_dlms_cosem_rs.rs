//! The crates.io package `dlms-cosem-rs` at the other end of a TCP connection: as a server against our client,
//! and as a client against `meter-server`.

mod peer;

use std::net::{SocketAddr, TcpListener};

use dlms::apdu::{AttributeDescriptor, AttributeRequest, MethodDescriptor, MethodRequest, Selection};
use dlms::association::client::AccessItem;
use dlms::axdr::{Data, Writer};
use dlms::hdlc::Parameters;
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::link::Link;
use dlms::obis::ObisCode;
use dlms_conformance::record::{Kind, Security};
use dlms_conformance::recorder::{self, Exchanged};
use dlms_conformance::values::Reported;
use dlms_cosem_rs::transport::hdlc::Parameters as Proposed;
use serde_json::json;

use peer::ours::{Answer, Ours};
use peer::reader::Reader;
use peer::simulated::{MeterServer, Truth, View};
use peer::{Access, Framing, meter, ours};

const LDN: ObisCode = ObisCode::new(0, 0, 42, 0, 0, 255);
const REGISTER: ObisCode = ObisCode::new(1, 0, 1, 8, 0, 255);
const RELAY: ObisCode = ObisCode::new(0, 0, 96, 3, 10, 255);
const PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);

fn attribute(class: u16, instance: ObisCode, attribute: i8) -> AttributeRequest<'static> {
    AttributeRequest::whole(AttributeDescriptor::new(ClassId(class), instance, AttributeId(attribute)))
}

/// Everything our client does with a meter: reads, lists, blocks, selective access, a write, methods, a refusal.
fn exercise<L: Link>(ours: &mut Ours<L>, blocks: bool) {
    assert_eq!(ours.associate(), Answer::Open);
    assert_eq!(ours.get(attribute(1, LDN, 2)), Answer::Value(json!(hex::encode(meter::NAME))));
    assert_eq!(
        ours.get_list(&[attribute(3, REGISTER, 2), attribute(3, REGISTER, 3)]),
        Answer::Values(vec![json!(meter::ENERGY), json!([-2, 30])])
    );
    // 4: object undefined.
    assert_eq!(ours.get(attribute(3, ObisCode::new(1, 0, 99, 99, 0, 255), 2)), Answer::Result(4));

    assert_eq!(ours.get(attribute(7, PROFILE, 2)), Answer::Value(meter::rows(1, meter::ROWS)));
    assert_eq!(ours.block_count > 1, blocks, "{} blocks", ours.block_count);
    let mut scratch = [0; 32];
    let mut writer = Writer::new(&mut scratch);
    writer.structure(4).expect("room");
    writer.double_long_unsigned(3).expect("room");
    writer.double_long_unsigned(9).expect("room");
    writer.long_unsigned(1).expect("room");
    writer.long_unsigned(0).expect("room");
    let parameters = Data::from_slice(writer.written()).expect("a value");
    let some = AttributeRequest { selection: Some(Selection { selector: 2, parameters }), ..attribute(7, PROFILE, 2) };
    assert_eq!(ours.get(some), Answer::Value(meter::rows(3, 9)));

    assert_eq!(ours.set(attribute(70, RELAY, 2), Data::Boolean(false)), Answer::Result(0));
    assert_eq!(ours.get(attribute(70, RELAY, 2)), Answer::Value(json!(false)));
    let reconnect = MethodDescriptor::new(ClassId(70), RELAY, MethodId(2));
    assert_eq!(ours.action(reconnect, Some(Data::Integer(0))), Answer::Result(0));
    assert_eq!(ours.get(attribute(70, RELAY, 2)), Answer::Value(json!(true)));
    // By one request, in the order of the items.
    let items = [
        AccessItem::Get(attribute(1, LDN, 2)),
        AccessItem::Set(attribute(70, RELAY, 2), Data::Boolean(false)),
        AccessItem::Get(attribute(70, RELAY, 2)),
        AccessItem::Action(MethodRequest { method: reconnect, parameter: Some(Data::Integer(0)) }),
        AccessItem::Get(attribute(70, RELAY, 2)),
        AccessItem::Get(attribute(3, ObisCode::new(1, 0, 99, 99, 0, 255), 2)),
    ];
    let expected = [
        ("Get(Success)", json!(hex::encode(meter::NAME))),
        ("Set(Success)", json!(null)),
        ("Get(Success)", json!(false)),
        ("Action(Success)", json!(null)),
        ("Get(Success)", json!(true)),
        ("Get(ObjectUndefined)", json!(null)),
    ];
    let expected = expected.map(|(result, value)| (result.to_owned(), value)).to_vec();
    assert_eq!(ours.access(&items), Answer::Access(expected));
    assert_eq!(ours.release(), Answer::Released);
}

fn against_server(framing: Framing, access: Access, client: u16, max_pdu: u16) {
    against_server_with(framing, access, client, max_pdu, Parameters::DEFAULT);
}

fn against_server_with(framing: Framing, access: Access, client: u16, max_pdu: u16, parameters: Parameters) {
    let (address, server) = meter::start(framing, access, client, max_pdu);
    // 240 rows of ten octets.
    let blocks = max_pdu < 2_400;
    match framing {
        Framing::Wrapper => {
            exercise(&mut Ours::connect(address, ours::wrapper(client), access, client, max_pdu), blocks);
        }
        Framing::Udp => {
            exercise(&mut Ours::connect_udp(address, ours::wrapper(client), access, client, max_pdu), blocks);
        }
        Framing::Hdlc => {
            let link = ours::hdlc(client, parameters);
            exercise(&mut Ours::connect(address, link, access, client, max_pdu), blocks);
        }
    }
    server.join().expect("no panic").expect("no error");
}

#[test]
fn our_client_reads_its_meter_over_the_wrapper() {
    for max_pdu in [128, 512, 0xFFFF] {
        against_server(Framing::Wrapper, Access::Public, 16, max_pdu);
        against_server(Framing::Wrapper, Access::Password, 17, max_pdu);
        against_server(Framing::Wrapper, Access::Ciphered { general: false }, 1, max_pdu);
    }
}

#[test]
fn our_client_reads_its_meter_in_datagrams() {
    for max_pdu in [128, 512, 2_048] {
        against_server(Framing::Udp, Access::Public, 16, max_pdu);
        against_server(Framing::Udp, Access::Password, 17, max_pdu);
        against_server(Framing::Udp, Access::Ciphered { general: false }, 1, max_pdu);
    }
}

#[test]
fn our_client_reads_its_meter_with_general_ciphering() {
    against_server(Framing::Wrapper, Access::Ciphered { general: true }, 1, 512);
}

/// lesson_33: their segments come back to back whatever window was agreed on.
#[test]
fn our_client_reads_its_meter_over_hdlc() {
    for max_pdu in [128, 512, 0xFFFF] {
        against_server(Framing::Hdlc, Access::Public, 16, max_pdu);
        against_server(Framing::Hdlc, Access::Ciphered { general: false }, 1, max_pdu);
    }
}

/// Windows of several frames with segments of several sizes, below blocks and without them.
#[test]
fn our_client_reads_its_meter_over_hdlc_in_windows() {
    for (information, window) in [(64, 2), (128, 7), (1_000, 3)] {
        for max_pdu in [512, 0xFFFF] {
            let parameters = Parameters::symmetric(information, window);
            against_server_with(Framing::Hdlc, Access::Public, 16, max_pdu, parameters);
        }
    }
}

/// Everything that the model shows to a client, read by the other implementation, is what the model holds.
fn against_meter_server(framing: Framing) {
    let server = MeterServer::start();
    let truth = Truth::new();
    let address = server.address(framing);
    let mut counter = 0;
    for access in [Access::Public, Access::Password, Access::Ciphered { general: false }] {
        for max_pdu in [1024, 256] {
            let view = View { access, max_pdu };
            // Over HDLC also with several frames before an acknowledgement.
            let window = if max_pdu == 1024 { 1 } else { 7 };
            let parameters = Proposed { window_tx: window, window_rx: window, ..Proposed::DEFAULT };
            let mut reader =
                Reader::open(address, framing, access, max_pdu, counter, parameters).expect("an association");
            let read = peer::exercise::read_all(&mut reader, &truth, view);
            let wanted = [(1, LDN), (3, REGISTER), (3, ObisCode::new(1, 0, 99, 99, 0, 255))];
            let answered = reader.read_access(&wanted.map(|(class, obis)| (class, obis.0, 2))).expect("an answer");
            assert_eq!(answered.len(), wanted.len());
            for ((class, obis), (result, value)) in wanted.into_iter().zip(answered) {
                let expected = truth.read(view, class, obis, 2, None).ok();
                assert_eq!(result.contains("Success"), expected.is_some(), "{access:?}: {obis} {result}");
                assert_eq!(value, expected.unwrap_or_default(), "{access:?}: {obis}");
            }
            assert!(read > 20, "only {read} attributes and parts of profiles");
            counter = reader.counter().max(counter);
            reader.close().expect("a release");
        }
    }
}

#[test]
fn its_client_reads_meter_server_over_the_wrapper() {
    against_meter_server(Framing::Wrapper);
}

#[test]
fn its_client_reads_meter_server_in_datagrams() {
    against_meter_server(Framing::Udp);
}

#[test]
fn its_client_reads_meter_server_over_hdlc() {
    against_meter_server(Framing::Hdlc);
}

/// Records exchanges of the two Rust implementations for the corpus: run by `peers/record.sh`.
#[test]
#[ignore = "rewrites conformance/corpus"]
fn record_corpus() {
    let security = Security {
        block_cipher_key: Some(peer::ENCRYPTION_KEY.to_vec().into()),
        auth_key: Some(peer::AUTHENTICATION_KEY.to_vec().into()),
        key_origin: Some("standard-example".to_owned()),
        ..Security::default()
    };
    let ciphered = Access::Ciphered { general: false };
    let general = Access::Ciphered { general: true };

    let server = MeterServer::start();
    for (name, framing, access, address) in [
        ("cosem-rs-client-wrapper-hls", Framing::Wrapper, ciphered, server.wrapper),
        ("cosem-rs-client-hdlc-lls", Framing::Hdlc, Access::Password, server.hdlc),
    ] {
        record(
            name,
            framing,
            access,
            address,
            &security,
            "dlms-cosem-rs 0.1.0 as client and this project's meter-server",
            |at| {
                let mut reader = Reader::open(at, framing, access, 256, 0, Proposed::DEFAULT).expect("an association");
                let mut reported = Vec::new();
                for (class, obis, attribute, entries) in [
                    (1, LDN, 2, None),
                    (3, REGISTER, 2, None),
                    (3, REGISTER, 3, None),
                    (8, ObisCode::new(0, 0, 1, 0, 0, 255), 2, None),
                    (7, PROFILE, 3, None),
                    (7, PROFILE, 2, Some((1, 24))),
                ] {
                    let value = reader.read(class, obis.0, attribute, entries).expect("an answer").expect("a value");
                    let selector = entries.map(|_| 2);
                    reported.push(Reported { class, obis: obis.to_string(), attribute, selector, value });
                }
                reader.close().expect("a release");
                reported
            },
        );
    }
    for (name, framing, access) in [
        ("cosem-rs-server-wrapper-hls", Framing::Wrapper, ciphered),
        ("cosem-rs-server-wrapper-general", Framing::Wrapper, general),
        ("cosem-rs-server-hdlc-public", Framing::Hdlc, Access::Public),
    ] {
        let client = access.client();
        let (address, thread) = meter::start(framing, access, client, 512);
        record(
            name,
            framing,
            access,
            address,
            &security,
            "this project's client and dlms-cosem-rs 0.1.0 as server",
            |at| {
                match framing {
                    Framing::Wrapper | Framing::Udp => {
                        exercise(&mut Ours::connect(at, ours::wrapper(client), access, client, 512), true)
                    }
                    Framing::Hdlc => {
                        let link = ours::hdlc(client, Parameters::DEFAULT);
                        exercise(&mut Ours::connect(at, link, access, client, 512), true);
                    }
                }
                let report = |class, obis: ObisCode, attribute, selector, value| Reported {
                    class,
                    obis: obis.to_string(),
                    attribute,
                    selector,
                    value,
                };
                // What the server was told to hold.
                vec![
                    report(1, LDN, 2, None, json!(hex::encode(meter::NAME))),
                    report(7, PROFILE, 2, None, meter::rows(1, meter::ROWS)),
                    report(7, PROFILE, 2, Some(2), meter::rows(3, 9)),
                    report(70, RELAY, 2, None, json!(false)),
                    report(70, RELAY, 2, None, json!(true)),
                ]
            },
        );
        thread.join().expect("no panic").expect("no error");
    }
}

fn record(
    name: &str,
    framing: Framing,
    access: Access,
    server: SocketAddr,
    security: &Security,
    who: &str,
    client: impl FnOnce(SocketAddr) -> Vec<Reported>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let proxy = std::thread::spawn(move || recorder::proxy(&listener, &server.to_string()));
    let reported = client(address);
    let octets = proxy.join().expect("no panic").expect("an exchange");
    let exchanged = Exchanged {
        session: name.to_owned(),
        kind: if framing == Framing::Hdlc { Kind::Hdlc } else { Kind::Wrapper },
        security: matches!(access, Access::Ciphered { .. }).then(|| security.clone()),
        document: format!("recorded between {who}"),
    };
    let mut records = recorder::records(&exchanged, &octets);
    recorder::annotate(&mut records, &reported, who).expect("the values agree");
    let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).expect("JSON") + "\n").collect();
    let path = format!("{}/corpus/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, lines.concat()).expect("written");
}
