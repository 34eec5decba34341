//! The crates.io package `dlms-cosem-rs` at the other end of a TCP connection: as a server against our client,
//! and as a client against `meter-server`.

mod peer;

use dlms::apdu::{AttributeDescriptor, AttributeRequest, MethodDescriptor, Selection};
use dlms::axdr::{Data, Writer};
use dlms::hdlc::Parameters;
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::link::Link;
use dlms::obis::ObisCode;
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
    assert_eq!(ours.release(), Answer::Released);
}

fn against_server(framing: Framing, access: Access, client: u16, max_pdu: u16) {
    let (address, server) = meter::start(framing, access, client, max_pdu);
    // 240 rows of ten octets.
    let blocks = max_pdu < 2_400;
    match framing {
        Framing::Wrapper => {
            exercise(&mut Ours::connect(address, ours::wrapper(client), access, client, max_pdu), blocks);
        }
        Framing::Hdlc => {
            let link = ours::hdlc(client, Parameters::DEFAULT);
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

/// Everything that the model shows to a client, read by the other implementation, is what the model holds.
fn against_meter_server(framing: Framing) {
    let server = MeterServer::start();
    let truth = Truth::new();
    let address = if framing == Framing::Hdlc { server.hdlc } else { server.wrapper };
    let mut counter = 0;
    for access in [Access::Public, Access::Password, Access::Ciphered { general: false }] {
        for max_pdu in [1024, 256] {
            let view = View { access, max_pdu };
            let mut reader = Reader::open(address, framing, access, max_pdu, counter).expect("an association");
            let mut read = 0;
            for (class, obis, attributes) in truth.objects(view) {
                for attribute in attributes {
                    let load_profile = class == 7 && attribute == 2 && obis.0[0] == 1;
                    // What an association changes by being there: counters, its status, the client's title. And its
                    // context info, which depends on what this client proposes.
                    let moving = (class == 1 && obis.0[2] == 43)
                        || (class == 15 && matches!(attribute, 5 | 8))
                        || (class == 64 && attribute == 4);
                    if load_profile || moving {
                        continue;
                    }
                    let expected = truth.read(view, class, obis, attribute, None).ok();
                    let found = reader.read(class, obis.0, attribute, None).expect("an answer");
                    assert_eq!(found, expected, "{access:?} {max_pdu}: class {class}, {obis}, attribute {attribute}");
                    read += 1;
                }
            }
            let profile = reader.read(7, PROFILE.0, 2, Some((5, 120))).expect("an answer");
            assert_eq!(profile, truth.entries(view, PROFILE, 5, 120).ok(), "{access:?} {max_pdu}");
            assert!(read >= 20, "only {read} attributes");
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
fn its_client_reads_meter_server_over_hdlc() {
    against_meter_server(Framing::Hdlc);
}
