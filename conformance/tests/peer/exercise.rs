//! What is asked of a peer, and what must come of it.

use dlms::apdu::{AttributeDescriptor, AttributeRequest, MethodDescriptor, Selection};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::link::Link;
use dlms::obis::ObisCode;
use serde_json::json;

use super::meter;
use super::ours::{Answer, Ours};
use super::reader::Reader;
use super::simulated::{Truth, View};

pub(crate) const LDN: ObisCode = ObisCode::new(0, 0, 42, 0, 0, 255);
pub(crate) const REGISTER: ObisCode = ObisCode::new(1, 0, 1, 8, 0, 255);
pub(crate) const RELAY: ObisCode = ObisCode::new(0, 0, 96, 3, 10, 255);
pub(crate) const PROFILE: ObisCode = ObisCode::new(1, 0, 99, 1, 0, 255);

pub(crate) fn attribute(class: u16, instance: ObisCode, attribute: i8) -> AttributeRequest<'static> {
    AttributeRequest::whole(AttributeDescriptor::new(ClassId(class), instance, AttributeId(attribute)))
}

/// Everything our client does with a meter: reads, lists, blocks, selective access, a write, methods, a refusal;
/// returns how many answers were as they must be.
pub(crate) fn exercise<L: Link>(ours: &mut Ours<L>, blocks: bool) -> usize {
    let mut answers = 0;
    let mut check = |found: Answer, expected: Answer| {
        assert_eq!(found, expected);
        answers += 1;
    };
    check(ours.associate(), Answer::Open);
    check(ours.get(attribute(1, LDN, 2)), Answer::Value(json!(hex::encode(meter::NAME))));
    check(
        ours.get_list(&[attribute(3, REGISTER, 2), attribute(3, REGISTER, 3)]),
        Answer::Values(vec![json!(meter::ENERGY), json!([-2, 30])]),
    );
    // 4: object undefined.
    check(ours.get(attribute(3, ObisCode::new(1, 0, 99, 99, 0, 255), 2)), Answer::Result(4));

    check(ours.get(attribute(7, PROFILE, 2)), Answer::Value(meter::rows(1, meter::ROWS)));
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
    check(ours.get(some), Answer::Value(meter::rows(3, 9)));

    check(ours.set(attribute(70, RELAY, 2), Data::Boolean(false)), Answer::Result(0));
    check(ours.get(attribute(70, RELAY, 2)), Answer::Value(json!(false)));
    let reconnect = MethodDescriptor::new(ClassId(70), RELAY, MethodId(2));
    check(ours.action(reconnect, Some(Data::Integer(0))), Answer::Result(0));
    check(ours.get(attribute(70, RELAY, 2)), Answer::Value(json!(true)));
    check(ours.release(), Answer::Released);
    answers
}

/// Everything that the model shows to a client, read by the other implementation, is what the model holds; returns
/// how many attributes that were.
pub(crate) fn read_all(reader: &mut Reader, truth: &Truth, view: View) -> usize {
    let mut read = 0;
    for (class, obis, attributes) in truth.objects(view) {
        for attribute in attributes {
            let load_profile = class == 7 && attribute == 2 && obis.0[0] == 1;
            // What an association changes by being there: counters, its status, the client's title. And its context
            // info, which depends on what this client proposes.
            let moving = (class == 1 && obis.0[2] == 43)
                || (class == 15 && matches!(attribute, 5 | 8))
                || (class == 64 && attribute == 4);
            if load_profile || moving {
                continue;
            }
            let expected = truth.read(view, class, obis, attribute, None).ok();
            let found = reader.read(class, obis.0, attribute, None).expect("an answer");
            assert_eq!(found, expected, "{view:?}: class {class}, {obis}, attribute {attribute}");
            read += 1;
        }
    }
    let profile = reader.read(7, PROFILE.0, 2, Some((5, 120))).expect("an answer");
    assert_eq!(profile, truth.entries(view, PROFILE, 5, 120).ok(), "{view:?}");
    read + 1
}
