//! Decode and encode are inverse, for every APDU type and any value it can hold.

mod arbitrary;
mod oracle;
mod peer;

use dlms::apdu::Apdu;
use dlms::axdr::{BufferFull, Writer};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

const ROOM: usize = 1 << 16;

/// What is encoded decodes to the same value without a deviation, and encodes to the same octets again.
fn inverse(apdu: Apdu<'static>) -> Result<(), TestCaseError> {
    let mut buffer = vec![0; ROOM];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room");
    let octets = writer.written();
    prop_assert_eq!(apdu.encoded_len(), Ok(octets.len()));

    let decoded = Apdu::decode_strict(octets);
    prop_assert_eq!(decoded.as_ref(), Ok(&apdu));
    let mut again = vec![0; ROOM];
    let mut writer = Writer::new(&mut again);
    decoded.expect("checked above").encode(&mut writer).expect("room");
    prop_assert_eq!(writer.written(), octets);

    // A buffer that is one octet too small is an error, not a shorter APDU.
    let mut small = vec![0; octets.len() - 1];
    prop_assert_eq!(apdu.encode(&mut Writer::new(&mut small)), Err(BufferFull));
    Ok(())
}

macro_rules! inverse {
    ($($name:ident),*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(apdu in arbitrary::$name()) {
                    inverse(apdu)?;
                }
            )*
        }

        /// Of every kind of APDU: every truncation, and every octet with the values that lengths go wrong with.
        #[test]
        fn damage_is_refused_or_understood() {
            let mut runner = proptest::test_runner::TestRunner::deterministic();
            $(
                for _ in 0..8 {
                    let apdu = arbitrary::$name().new_tree(&mut runner).expect("a value").current();
                    damage(&apdu);
                }
            )*
        }
    };
}

inverse!(
    aarq,
    aare,
    rlrq,
    rlre,
    initiate_request,
    initiate_response,
    get_request,
    get_response,
    set_request,
    set_response,
    action_request,
    action_response,
    access_request,
    access_response,
    read_request,
    read_response,
    write_request,
    write_response,
    unconfirmed_write_request,
    information_report,
    event_notification,
    data_notification,
    data_notification_confirm,
    exception_response,
    confirmed_service_error,
    general_block_transfer,
    general_signing,
    ciphered,
    gateway
);

proptest! {
    /// Any octets: a value whose encoding decodes, or an error.
    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..96)) {
        if let Ok(apdu) = Apdu::decode(&octets) {
            let mut buffer = vec![0; ROOM];
            let mut writer = Writer::new(&mut buffer);
            apdu.encode(&mut writer).expect("room");
            prop_assert!(Apdu::decode(writer.written()).is_ok());
        }
    }
}

fn damage(apdu: &Apdu<'_>) {
    let mut buffer = vec![0; ROOM];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room");
    let octets = writer.written().to_vec();
    let mut again = vec![0; ROOM];
    let mut check = |damaged: &[u8]| {
        if let Ok(understood) = Apdu::decode(damaged) {
            let mut writer = Writer::new(&mut again);
            understood.encode(&mut writer).expect("room");
            assert!(Apdu::decode(writer.written()).is_ok(), "{understood:?}");
        }
    };
    for length in 0..octets.len() {
        check(&octets[..length]);
    }
    for position in 0..octets.len() {
        for value in [0, 1, 127, 128, 255] {
            let mut damaged = octets.clone();
            damaged[position] = value;
            check(&damaged);
        }
    }
}
