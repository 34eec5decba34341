//! Arbitrary and nearly right octets in associations with short names: nothing panics, no answer is longer than the client
//! takes, and what was not asked for is not done.

mod pair;

use dlms::apdu::*;
use dlms::association::client::Config;
use dlms::axdr::{Data, Writer};
use dlms::id::{ServerSap, ShortName};
use pair::*;
use proptest::prelude::*;

fn config(ciphered: bool) -> Config {
    let base = if ciphered { management() } else { Config::public(ServerSap::MANAGEMENT) };
    let client = if ciphered { SHORT_NAME_MANAGEMENT } else { SHORT_NAME_PUBLIC };
    Config { client, max_pdu: 200, ..base.with_short_names() }
}

/// A variable that is likely to mean something.
fn variable() -> impl Strategy<Value = Vec<u8>> {
    let name = || prop_oneof![Just(0x0108_u16), Just(0x1008), Just(0x2C08), Just(0x3020), Just(0xFA58), any::<u16>()];
    let raw = proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        name().prop_map(|name| encoded(VariableAccess::named(ShortName(name)))),
        (name(), any::<u8>()).prop_map(|(name, selector)| {
            let name = ShortName(name).into();
            encoded(VariableAccess::Parameterized { name, selector, parameters: Data::OctetString(b"abc") })
        }),
        (0..4_u16).prop_map(|number| encoded(VariableAccess::BlockNumber(number))),
        (any::<bool>(), 0..4_u16, raw).prop_map(|(last, number, raw)| encoded(VariableAccess::ReadBlock {
            last,
            number,
            raw: &raw
        })),
        (any::<bool>(), 0..4_u16).prop_map(|(last, number)| encoded(VariableAccess::WriteBlock { last, number })),
    ]
}

/// The octets of one variable: those of a request with it alone, without tag and count.
fn encoded(variable: VariableAccess<'_>) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut out = Writer::new(&mut buffer);
    ReadRequest { variables: List::from(&[variable]) }.encode(&mut out).unwrap();
    out.written()[2..].to_vec()
}

/// A request that decodes, most of the time.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let values = prop_oneof![
        Just(b"\x09\x03abc".to_vec()),
        Just(b"\x09\x05\x01\x02\x01\x08\x01".to_vec()),
        Just(vec![0]),
        proptest::collection::vec(any::<u8>(), 0..20)
    ];
    let variables = proptest::collection::vec((variable(), values), 0..5);
    (0..4_u8, variables, any::<Option<u8>>()).prop_map(|(kind, variables, flip)| {
        let mut apdu = vec![[0x05, 0x06, 0x16, 0x05][usize::from(kind)], variables.len() as u8];
        variables.iter().for_each(|(variable, _)| apdu.extend(variable));
        if kind == 1 || kind == 2 {
            apdu.push(variables.len() as u8);
            variables.iter().for_each(|(_, value)| apdu.extend(value));
        }
        if let Some(at) = flip {
            let at = usize::from(at) % apdu.len();
            apdu[at] ^= 0x11;
        }
        apdu
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_requests_are_answered_within_the_limit(requests in proptest::collection::vec(request(), 1..12)) {
        let meter = Meter { rows: 40, row_octets: 20, ..Meter::default() };
        let mut pair = Pair::associated(config(false), meter);
        for apdu in requests {
            let answer = pair.answer(&apdu);
            prop_assert!(answer.len() <= 200, "{} octets for {}", answer.len(), hex::encode(&apdu));
            let unconfirmed = apdu[0] == 0x16;
            prop_assert_eq!(answer.is_empty(), unconfirmed, "{}", hex::encode(&apdu));
            if !unconfirmed {
                let decoded = Apdu::decode(&answer);
                let known = matches!(
                    decoded,
                    Ok(Apdu::ReadResponse(_) | Apdu::WriteResponse(_) | Apdu::ConfirmedServiceError(_)
                        | Apdu::ExceptionResponse(_))
                );
                prop_assert!(known, "{decoded:?}");
            }
        }
    }

    #[test]
    fn what_is_not_protected_does_nothing_in_a_ciphered_association(
        requests in proptest::collection::vec(request(), 1..12),
    ) {
        let mut pair = Pair::associated(config(true), Meter::default());
        for mut apdu in requests {
            let _ = pair.answer(&apdu);
            // The same under the tag of its ciphered form.
            apdu[0] |= 0x20;
            let _ = pair.answer(&apdu);
        }
        prop_assert_eq!((pair.meter.text.len(), pair.meter.invoked), (0, 0));
    }
}
