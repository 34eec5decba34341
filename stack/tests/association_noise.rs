//! Arbitrary and nearly right octets, at every step of an association, with time going on between them: nothing
//! panics, nothing is executed that was not asked for, and the peers find back to work or end with an error.

mod pair;

use dlms::apdu::AttributeRequest;
use dlms::association::client::{Config, Event, Response};
use dlms::axdr::Value;
use dlms::id::ServerSap;
use pair::*;
use proptest::prelude::*;

/// What happens to the octets between the two.
#[derive(Clone, Debug)]
enum Fault {
    Flip { at: usize, mask: u8 },
    Cut { length: usize },
    Extend { octets: Vec<u8> },
    Replace { octets: Vec<u8> },
    Drop,
    Double,
}

fn fault() -> impl Strategy<Value = Fault> {
    let octets = || proptest::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        (any::<usize>(), 1..=255_u8).prop_map(|(at, mask)| Fault::Flip { at, mask }),
        any::<usize>().prop_map(|length| Fault::Cut { length }),
        octets().prop_map(|octets| Fault::Extend { octets }),
        octets().prop_map(|octets| Fault::Replace { octets }),
        Just(Fault::Drop),
        Just(Fault::Double),
    ]
}

fn apply(fault: &Fault, octets: &mut Vec<u8>) {
    match fault {
        Fault::Flip { at, mask } if !octets.is_empty() => {
            let at = at % octets.len();
            octets[at] ^= mask;
        }
        Fault::Flip { .. } => {}
        Fault::Cut { length } => octets.truncate(length % (octets.len() + 1)),
        Fault::Extend { octets: more } => octets.extend(more),
        Fault::Replace { octets: other } => other.clone_into(octets),
        Fault::Drop => octets.clear(),
        Fault::Double => octets.extend(octets.clone()),
    }
}

fn configuration(ciphered: bool) -> Config {
    if ciphered { management() } else { Config::public(ServerSap::MANAGEMENT) }
}

/// Takes all events; whether there were any.
fn take_values(pair: &mut Pair, values: &mut Vec<Value>) -> bool {
    let mut any = false;
    while let Some(event) = pair.client.poll_event() {
        any = true;
        if let Event::Response(Response::Get(result)) = event
            && let Ok(data) = result.into_result()
        {
            values.push(Value::from(data));
        }
    }
    any
}

/// Carries octets until all is quiet, changing each transfer with the next fault.
fn drive(pair: &mut Pair, to_server: &mut Vec<Fault>, to_client: &mut Vec<Fault>) -> Vec<Value> {
    let mut values = Vec::new();
    for _ in 0..400 {
        take_values(pair, &mut values);
        let mut line = vec![0; 4_096];
        if let Some(length) = pair.client.poll_transmit(&mut line) {
            let mut apdu = line[8..length].to_vec();
            if let Some(fault) = to_server.pop() {
                apply(&fault, &mut apdu);
            }
            let mut out = vec![0; 4_096];
            let place = pair.server.handle(&mut apdu, pair.now, &mut pair.meter, &mut pair.random, &mut out);
            let mut answer = place.map(|place| out[place].to_vec()).unwrap_or_default();
            let mut wpdu = vec![0, 1, line[4], line[5], line[2], line[3]];
            wpdu.extend((answer.len() as u16).to_be_bytes());
            wpdu.append(&mut answer);
            if let Some(fault) = to_client.pop() {
                apply(&fault, &mut wpdu);
            }
            let mut rest = &wpdu[..];
            while !rest.is_empty() {
                let taken = pair.client.handle_input(rest, pair.now);
                rest = &rest[taken..];
                if !take_values(pair, &mut values) && taken == 0 {
                    break;
                }
            }
        } else if let Some(due) = pair.client.poll_timeout() {
            pair.now = due;
            pair.client.handle_timeout(due);
        } else {
            return values;
        }
    }
    panic!("the two do not come to rest");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn faults_on_the_way_end_in_order(
        ciphered: bool,
        mut to_server in proptest::collection::vec(fault(), 0..6),
        mut to_client in proptest::collection::vec(fault(), 0..6),
    ) {
        let mut pair = Pair::new(configuration(ciphered), Meter { rows: 30, row_octets: 20, ..Meter::default() });
        let _ = pair.client.associate(pair.now);
        drive(&mut pair, &mut to_server, &mut to_client);
        let _ = pair.client.get(AttributeRequest::whole(PROFILE), pair.now);
        drive(&mut pair, &mut to_server, &mut to_client);
        let _ = pair.client.get(AttributeRequest::whole(REGISTER), pair.now);
        let values = drive(&mut pair, &mut to_server, &mut to_client);
        // With ciphering nobody on the way can make up a value.
        if ciphered {
            prop_assert!(values.iter().all(|value| *value == Value::DoubleLongUnsigned(913)), "{values:?}");
        }
        prop_assert_eq!(pair.meter.invoked, 0);
        // And without faults all is well again.
        let (mut none, mut neither) = (Vec::new(), Vec::new());
        pair.client.close(pair.now);
        drive(&mut pair, &mut none, &mut neither);
        pair.client.associate(pair.now).unwrap();
        drive(&mut pair, &mut none, &mut neither);
        pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
        let values = drive(&mut pair, &mut none, &mut neither);
        prop_assert_eq!(values, vec![Value::DoubleLongUnsigned(913)]);
    }

    #[test]
    fn a_server_survives_any_apdus(
        ciphered: bool,
        associated: bool,
        apdus in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20),
        tags in proptest::collection::vec(any::<proptest::sample::Index>(), 20),
    ) {
        const TAGS: [u8; 16] =
            [0x60, 0x62, 0xC0, 0xC1, 0xC3, 0xC8, 0xC9, 0xCB, 0xD0, 0xDB, 0xDC, 0xD9, 0xE0, 0x01, 0x21, 0x05];
        let mut pair = Pair::new(configuration(ciphered), Meter { rows: 30, row_octets: 20, ..Meter::default() });
        if associated {
            pair.client.associate(pair.now).unwrap();
            prop_assert_eq!(pair.drive(), vec![Happened::Associated]);
        }
        let mut out = vec![0; 600];
        for (mut apdu, tag) in apdus.into_iter().zip(tags) {
            if let Some(first) = apdu.first_mut() {
                *first = TAGS[tag.index(TAGS.len())];
            }
            if let Some(place) = pair.server.handle(&mut apdu, pair.now, &mut pair.meter, &mut pair.random, &mut out) {
                prop_assert!(place.end <= out.len() && !place.is_empty());
            }
        }
        prop_assert_eq!(pair.meter.invoked, 0);
    }
}
