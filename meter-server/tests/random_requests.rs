//! Requests that no client would make: the meter answers each with a value or a result, and goes on.

mod support;

use dlms::apdu::{AttributeDescriptor, MethodDescriptor, Selection};
use dlms::association::server::{Cursor, Device};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::obis::ObisCode;
use proptest::prelude::*;
use support::{Client, NOW, start, stopped};

/// Objects that do most with what they are given.
const OBJECTS: [(u16, [u8; 6]); 9] = [
    (1, [0, 0, 96, 1, 4, 255]),
    (4, [1, 0, 1, 6, 2, 255]),
    (7, [1, 0, 99, 1, 0, 255]),
    (7, [0, 0, 99, 98, 0, 255]),
    (8, [0, 0, 1, 0, 0, 255]),
    (15, [0, 0, 40, 0, 0, 255]),
    (17, [0, 0, 41, 0, 0, 255]),
    (64, [0, 0, 43, 0, 0, 255]),
    (70, [0, 0, 96, 3, 10, 255]),
];

/// A-XDR data: structures like those of selective access, with any numbers and times in them, and anything else.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(vec![0]),
        any::<u8>().prop_map(|value| vec![0x16, value]),
        any::<u8>().prop_map(|value| vec![0x03, value]),
        any::<i8>().prop_map(|value| vec![0x0F, value.to_be_bytes()[0]]),
        any::<[u8; 2]>().prop_map(|value| [vec![0x12], value.to_vec()].concat()),
        any::<[u8; 2]>().prop_map(|value| [vec![0x10], value.to_vec()].concat()),
        any::<[u8; 4]>().prop_map(|value| [vec![0x06], value.to_vec()].concat()),
        any::<[u8; 12]>().prop_map(|value| [vec![0x09, 12], value.to_vec()].concat()),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|value| {
            let length = u8::try_from(value.len()).unwrap();
            [vec![0x09, length], value].concat()
        }),
        // The clock as restricting object.
        Just(vec![2, 4, 0x12, 0, 8, 9, 6, 0, 0, 1, 0, 0, 255, 0x0F, 2, 0x12, 0, 0]),
    ];
    leaf.prop_recursive(3, 24, 6, |element| {
        (1_u8..=2, proptest::collection::vec(element, 0..6)).prop_map(|(tag, elements)| {
            let count = u8::try_from(elements.len()).unwrap();
            [vec![tag, count], elements.concat()].concat()
        })
    })
}

/// A range of the clock with any two times.
fn range() -> impl Strategy<Value = Vec<u8>> {
    (any::<[u8; 12]>(), any::<[u8; 12]>(), any::<bool>()).prop_map(|(from, to, plausible)| {
        let mut octets = vec![2, 4, 2, 4, 0x12, 0, 8, 9, 6, 0, 0, 1, 0, 0, 255, 0x0F, 2, 0x12, 0, 0];
        for mut time in [from, to] {
            if plausible {
                time[0] = 7;
                time[2] %= 14;
            }
            octets.extend([9, 12]);
            octets.extend(time);
        }
        octets.extend([1, 0]);
        octets
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_panics_and_the_meter_goes_on(
        requests in proptest::collection::vec(
            (0..OBJECTS.len(), any::<i8>(), 0_u8..6, prop_oneof![data(), range()], 0_u32..4, any::<u64>()),
            1..20,
        )
    ) {
        let fleet = start(stopped(7, NOW));
        let management = Client::management(&fleet);
        for (object, id, selector, parameters, part, anchor) in requests {
            let (class, instance) = OBJECTS[object];
            let (class, instance) = (ClassId(class), ObisCode(instance));
            // Most numbers of attributes are small.
            let id = if part == 3 { id } else { id.rem_euclid(11) };
            let parameters = Data::from_slice(&parameters).unwrap();
            let selection = (selector < 5).then_some(Selection { selector, parameters });
            let mut buffer = [0; 2048];
            let mut out = Writer::window(&mut buffer, 0);
            // A cursor as if the answer had begun before, with whatever note.
            let mut cursor = Cursor { part, anchor, extent: anchor };
            let attribute = AttributeDescriptor::new(class, instance, AttributeId(id));
            let method = MethodDescriptor { class, instance, method: MethodId(id) };
            management.device.with(|device| {
                let _ = device.read(&management.access, attribute, selection, &mut cursor, &mut out);
                let _ = device.write(&management.access, attribute, None, parameters);
                let mut again = [0; 64];
                let mut out = Writer::window(&mut again, 0);
                let _ = device.invoke(&management.access, method, Some(parameters), &mut out);
            });
        }
        prop_assert!(management.read(1, "0.0.42.0.0.255", 2).is_ok());
        prop_assert!(management.read(8, "0.0.1.0.0.255", 2).is_ok());
        prop_assert!(management.read(7, "1.0.99.1.0.255", 7).is_ok());
    }
}
