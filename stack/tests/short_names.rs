//! Short-name referencing, both sides: names, methods, blocks in every direction, ciphering, refusals.

mod pair;

use dlms::apdu::*;
use dlms::association::client::{self, Config, ConnectionError, RequestError};
use dlms::axdr::{Data, Value};
use dlms::id::{ClientSap, ServerSap, ShortName};
use dlms::security::Protection;
use hex_literal::hex;
use pair::*;

const REGISTER_VALUE: ShortName = ShortName(0x2C08);
const PROFILE_BUFFER: ShortName = ShortName(0x1008);
const TEXT_VALUE: ShortName = ShortName(0x0108);
const DENIED_VALUE: ShortName = ShortName(0x0208);
const ECHO_METHOD: ShortName = ShortName(0x3020);

fn public() -> Config {
    Config { client: SHORT_NAME_PUBLIC, ..Config::public(ServerSap::MANAGEMENT).with_short_names() }
}

fn ciphered() -> Config {
    Config { client: SHORT_NAME_MANAGEMENT, ..management().with_short_names() }
}

fn named(name: ShortName) -> VariableAccess<'static> {
    VariableAccess::named(name)
}

fn with(name: ShortName, selector: u8, parameters: Data<'_>) -> VariableAccess<'_> {
    VariableAccess::Parameterized { name: name.into(), selector, parameters }
}

fn number(value: u32) -> Happened {
    Happened::Read(vec![Ok(Value::DoubleLongUnsigned(value))])
}

/// The octets that the Python client of another implementation sends (gurux-dlms 1.0.203), and the answers to them.
#[test]
fn octets_of_another_client_are_answered() {
    let mut pair = Pair::new(public(), Meter { max_pdu: 0xFFFF, ..Meter::default() });
    let proposal = hex!("601D A109 0607 60857405080102 BE10 040E 01000000065F1F04 001C0320 FFFF");
    let accepted = pair.answer(&proposal);
    assert_eq!(accepted[..4], hex!("6129 A109"));
    // Accepted, with the base name of the association object as vaa-name.
    assert!(accepted.ends_with(&hex!("0800065F1F04 001C0320 FFFF FA00")), "{}", hex::encode(&accepted));
    assert_eq!(pair.answer(&hex!("0501 02 2C08")), hex!("0C01 00 06 00000391"));
    assert_eq!(pair.answer(&hex!("0601 02 0108 01 0905 68656C6C6F")), hex!("0D01 00"));
    assert_eq!(pair.meter.text, b"hello");
    assert_eq!(pair.answer(&hex!("0501 02 0108")), hex!("0C01 00 0905 68656C6C6F"));
}

#[test]
fn the_proposal_is_that_of_another_client() {
    let conformance = Conformance::from_bytes([0x1C, 0x03, 0x20]);
    let mut pair = Pair::new(Config { conformance, ..public() }, Meter::default());
    pair.client.associate(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Associated]);
    assert_eq!(pair.seen[0], hex!("601DA109060760857405080102BE10040E01000000065F1F04001C0320FFFF"));
}

#[test]
fn lists_are_answered_item_by_item() {
    for config in [public(), ciphered()] {
        let mut pair = Pair::associated(config, Meter { text: b"abc".to_vec(), ..Meter::default() });
        let unknown = named(ShortName(0x7000));
        let variables = [named(REGISTER_VALUE), unknown, named(DENIED_VALUE), named(TEXT_VALUE)];
        pair.client.read(&variables, pair.now).unwrap();
        let expected = vec![
            Ok(Value::DoubleLongUnsigned(913)),
            Err(DataAccessResult::ObjectUndefined),
            Err(DataAccessResult::ReadWriteDenied),
            Ok(Value::OctetString(b"abc".to_vec())),
        ];
        assert_eq!(pair.drive(), [Happened::Read(expected)]);

        let values = [Data::OctetString(b"xyz"), Data::Unsigned(1), Data::Unsigned(2)];
        pair.client.write(&[named(TEXT_VALUE), named(TEXT_VALUE), unknown], &values, pair.now).unwrap();
        let expected = vec![Ok(()), Err(DataAccessResult::TypeUnmatched), Err(DataAccessResult::ObjectUndefined)];
        assert_eq!(pair.drive(), [Happened::Write(expected)]);
        assert_eq!(pair.meter.text, b"xyz");
    }
}

#[test]
fn methods_are_read_with_a_parameter_or_written() {
    for config in [public(), ciphered()] {
        let mut pair = Pair::associated(config, Meter::default());
        pair.client.read(&[with(ECHO_METHOD, 1, Data::OctetString(b"ping"))], pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Read(vec![Ok(Value::OctetString(b"ping".to_vec()))])]);
        // Without a parameter nothing comes back, and still has its place among the results.
        pair.client.read(&[named(ECHO_METHOD), named(REGISTER_VALUE)], pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Read(vec![Ok(Value::Null), Ok(Value::DoubleLongUnsigned(913))])]);
        pair.client.write(&[named(ECHO_METHOD)], &[Data::Unsigned(7)], pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Write(vec![Ok(())])]);
        assert_eq!(pair.meter.invoked, 3);
    }
}

#[test]
fn long_values_come_in_blocks() {
    for (config, max_pdu) in [(public(), 128), (public(), 0xFFFF), (ciphered(), 128), (ciphered(), 600)] {
        let meter = Meter { rows: 100, row_octets: 20, max_pdu: 0xFFFF, ..Meter::default() };
        let mut pair = Pair::associated(Config { max_pdu, ..config }, meter);
        pair.client.read(&[named(PROFILE_BUFFER)], pair.now).unwrap();
        let [Happened::Read(results)] = &pair.drive()[..] else { panic!("one answer") };
        let [Ok(Value::Array(rows))] = &results[..] else { panic!("an array, not {results:?}") };
        assert_eq!(rows.len(), 100);
        let last = vec![Value::DoubleLongUnsigned(100), Value::OctetString(vec![100; 20])];
        assert_eq!(rows.last().cloned(), Some(Value::Structure(last)));
        assert!(pair.seen.iter().skip(2).step_by(2).all(|apdu| apdu.len() <= usize::from(max_pdu)));

        // Several variables, one of them long.
        pair.client.read(&[named(REGISTER_VALUE), named(PROFILE_BUFFER), named(DENIED_VALUE)], pair.now).unwrap();
        let [Happened::Read(results)] = &pair.drive()[..] else { panic!("one answer") };
        assert_eq!(results.len(), 3);
        assert_eq!(results[0], Ok(Value::DoubleLongUnsigned(913)));
        assert_eq!(results[2], Err(DataAccessResult::ReadWriteDenied));
    }
}

#[test]
fn long_results_of_methods_come_in_blocks_and_are_invoked_once() {
    let mut pair = Pair::associated(Config { max_pdu: 128, ..public() }, Meter { max_pdu: 0xFFFF, ..Meter::default() });
    let text = [b'x'; 1000];
    pair.client.read(&[with(ECHO_METHOD, 1, Data::OctetString(&text))], pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Read(vec![Ok(Value::OctetString(text.to_vec()))])]);
    pair.client.read(&[named(REGISTER_VALUE), with(ECHO_METHOD, 1, Data::OctetString(&text))], pair.now).unwrap();
    let expected = vec![Ok(Value::DoubleLongUnsigned(913)), Ok(Value::OctetString(text.to_vec()))];
    assert_eq!(pair.drive(), [Happened::Read(expected)]);
    assert_eq!(pair.meter.invoked, 2);
}

#[test]
fn long_requests_go_out_in_blocks() {
    for config in [public(), ciphered()] {
        let mut pair = Pair::associated(config, Meter { max_pdu: 160, ..Meter::default() });
        let text = [b'y'; 700];
        pair.client
            .write(&[named(TEXT_VALUE), named(REGISTER_VALUE)], &[Data::OctetString(&text), Data::Null], pair.now)
            .unwrap();
        let expected = vec![Ok(()), Err(DataAccessResult::ReadWriteDenied)];
        assert_eq!(pair.drive(), [Happened::Write(expected)]);
        assert_eq!(pair.meter.text, text);

        pair.client.read(&[with(ECHO_METHOD, 1, Data::OctetString(&text)), named(REGISTER_VALUE)], pair.now).unwrap();
        let expected = vec![Ok(Value::OctetString(text.to_vec())), Ok(Value::DoubleLongUnsigned(913))];
        assert_eq!(pair.drive(), [Happened::Read(expected)]);
        assert_eq!(pair.meter.invoked, 1);
        assert!(pair.seen.iter().skip(4).step_by(2).all(|apdu| apdu.len() <= 160));
    }
}

#[test]
fn blocks_out_of_order_end_a_transfer() {
    let meter = Meter { rows: 50, row_octets: 20, ..Meter::default() };
    let mut pair = Pair::associated(Config { max_pdu: 128, ..public() }, meter);
    // Nothing is under way.
    assert_eq!(pair.answer(&hex!("0501 05 0001")), hex!("0C01 01 10"));
    let first = pair.answer(&hex!("0501 02 1008"));
    assert_eq!(first[..7], hex!("0C01 02 00 0001 75"));
    let second = pair.answer(&hex!("0501 05 0001"));
    assert_eq!(second[..6], hex!("0C01 02 00 0002"));
    // The block was lost: the same again.
    assert_eq!(pair.answer(&hex!("0501 05 0001")), second);
    assert_eq!(pair.answer(&hex!("0501 05 0009")), hex!("0C01 01 13"));
    assert_eq!(pair.answer(&hex!("0501 05 0002")), hex!("0C01 01 10"));
    // A long write that begins in the middle, and one that skips a block.
    assert_eq!(pair.answer(&hex!("0601 07 00 0002 01 0901 01")), hex!("0D01 01 13"));
    assert_eq!(pair.answer(&hex!("0601 07 00 0001 01 0903 01 02 01")), hex!("0D01 02 0001"));
    assert_eq!(pair.answer(&hex!("0601 07 00 0003 01 0901 01")), hex!("0D01 01 13"));
    // In three blocks: 01 02 0108 01 09 02 4142.
    assert_eq!(pair.answer(&hex!("0601 07 00 0001 01 0903 01 02 01")), hex!("0D01 02 0001"));
    assert_eq!(pair.answer(&hex!("0601 07 00 0002 01 0903 08 01 09")), hex!("0D01 02 0002"));
    assert_eq!(pair.answer(&hex!("0601 07 01 0003 01 0903 02 41 42")), hex!("0D01 00"));
    assert_eq!(pair.meter.text, b"AB");
}

#[test]
fn unconfirmed_writes_are_executed_and_never_answered() {
    for config in [public(), ciphered()] {
        let mut pair = Pair::associated(config, Meter::default());
        let before = pair.seen.len();
        pair.client.write_unconfirmed(&[named(TEXT_VALUE)], &[Data::OctetString(b"quiet")], pair.now).unwrap();
        assert_eq!(pair.drive(), []);
        assert_eq!(pair.meter.text, b"quiet");
        assert_eq!(pair.seen.len(), before + 1);
        // Nothing waits: the next request goes out at once.
        pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
        assert_eq!(pair.drive(), [number(913)]);
    }
    let mut pair = Pair::new(public(), Meter::default());
    assert_eq!(pair.answer(&hex!("1601 02 0108 01 0901 41")), []);
    assert_eq!(pair.meter.text, b"");
}

#[test]
fn what_is_refused_as_a_whole_is_a_confirmed_service_error() {
    let mut pair = Pair::new(public(), Meter::default());
    // No association yet.
    assert_eq!(pair.answer(&hex!("0501 02 2C08")), hex!("0E 05 03 02"));
    let mut pair = Pair::associated(public(), Meter::default());
    // A service of the other referencing, one that cannot be decoded, an empty list.
    assert_eq!(pair.answer(&hex!("C001C1 0003 0100010800FF 02 00")), hex!("0E 01 03 02"));
    assert_eq!(pair.answer(&hex!("0501 02 2C")), hex!("0E 05 03 00"));
    assert_eq!(pair.answer(&hex!("0500")), hex!("0E 05 03 02"));
    assert_eq!(pair.answer(&hex!("0601 02 2C08")), hex!("0E 06 03 00"));
    // The client says so.
    pair.tamper = Some(|apdu| *apdu = hex!("0E 05 03 02").to_vec());
    pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
    let error = ConfirmedServiceError { service: 5, class: 3, value: 2 };
    assert_eq!(pair.drive(), [Happened::Failed(RequestError::Service(error))]);

    let mut pair = Pair::associated(ciphered(), Meter::default());
    assert_eq!(pair.answer(&hex!("0501 02 2C08")), hex!("0E 05 00 06"));
}

#[test]
fn services_that_were_not_negotiated_are_neither_asked_for_nor_served() {
    let conformance = Conformance::READ;
    let mut pair = Pair::associated(Config { conformance, ..public() }, Meter::default());
    let now = pair.now;
    let refused = |service| Err(client::UsageError::NotNegotiated { service });
    assert_eq!(pair.client.read(&[named(REGISTER_VALUE), named(TEXT_VALUE)], now), refused("multiple-references"));
    assert_eq!(pair.client.read(&[with(ECHO_METHOD, 1, Data::Null)], now), refused("parameterized-access"));
    assert_eq!(pair.client.write(&[named(TEXT_VALUE)], &[Data::Null], now), refused("write"));
    assert_eq!(pair.client.write_unconfirmed(&[named(TEXT_VALUE)], &[Data::Null], now), refused("unconfirmed-write"));
    assert_eq!(pair.client.get(AttributeRequest::whole(REGISTER), now), refused("get"));
    assert_eq!(pair.answer(&hex!("0502 02 2C08 02 0108")), hex!("0E 05 03 02"));
    assert_eq!(pair.answer(&hex!("0501 04 3020 01 00")), hex!("0E 05 03 02"));
    assert_eq!(pair.answer(&hex!("0601 02 0108 01 00")), hex!("0E 06 03 02"));
    assert_eq!(pair.answer(&hex!("1601 02 0108 01 0901 41")), []);
    assert_eq!(pair.meter.text, b"");
}

#[test]
fn the_referencing_that_is_not_offered_is_refused() {
    for config in [
        Config { client: ClientSap::PUBLIC, ..public() },
        Config { client: SHORT_NAME_PUBLIC, ..Config::public(ServerSap::MANAGEMENT) },
    ] {
        let mut pair = Pair::new(config, Meter::default());
        pair.client.associate(pair.now).unwrap();
        let [Happened::Closed(ConnectionError::Rejected { .. })] = &pair.drive()[..] else { panic!("rejected") };
    }
}

#[test]
fn passes_3_and_4_travel_as_read() {
    let mut pair = Pair::associated(ciphered(), Meter::default());
    assert_eq!(pair.client.negotiated().unwrap().conformance, client::SHORT_NAME_CONFORMANCE);
    // AARQ, AARE, then glo-read-request and glo-read-response.
    assert_eq!(pair.seen.iter().map(|apdu| apdu[0]).collect::<Vec<_>>(), [0x60, 0x61, 0x25, 0x2C]);
    pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
    assert_eq!(pair.drive(), [number(913)]);
    assert_eq!(pair.seen.last().map(|apdu| apdu[0]), Some(0x2C));
    pair.client.release(pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Released]);
}

#[test]
fn every_envelope_carries_short_names() {
    for (general, dedicated, tags) in [
        (false, false, [0x25, 0x2C]),
        (false, true, [0x45, 0x4C]),
        (true, false, [0xDB, 0xDB]),
        (true, true, [0xDC, 0xDC]),
    ] {
        let mut config = ciphered();
        if let Some(security) = &mut config.security {
            security.general = general;
            security.dedicated_key = dedicated.then(|| dlms::association::Secret::new(&[0x55; 16]).unwrap());
        }
        let mut pair = Pair::associated(config, Meter::default());
        pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
        assert_eq!(pair.drive(), [number(913)]);
        let sent: Vec<u8> = pair.seen.iter().rev().take(2).rev().map(|apdu| apdu[0]).collect();
        assert_eq!(sent, tags);
    }
}

#[test]
fn a_late_answer_without_invoke_id_must_not_answer_the_next_request() {
    let mut pair = Pair::associated(public(), Meter::default());
    pair.silent = true;
    pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Closed(ConnectionError::Request(RequestError::TimedOut))]);
    assert!(!pair.client.is_associated());
}

#[test]
fn any_flipped_bit_of_a_protected_answer_fails_the_read() {
    for bit in 0..8 {
        let mut pair = Pair::associated(ciphered(), Meter::default());
        pair.tamper = Some(match bit {
            0 => |apdu| *apdu.last_mut().unwrap() ^= 1,
            1 => |apdu| *apdu.last_mut().unwrap() ^= 0x80,
            2 => |apdu| apdu[7] ^= 1,
            3 => |apdu| apdu[8] ^= 2,
            4 => |apdu| apdu[2] ^= 0x10,
            5 => |apdu| apdu[2] ^= 0x20,
            6 => |apdu| apdu[3] ^= 1,
            _ => |apdu| apdu[6] ^= 4,
        });
        pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
        let happened = pair.drive();
        assert!(matches!(happened[..], [Happened::Failed(RequestError::Security(_))]), "{bit}: {happened:?}");
    }
}

/// One client (gurux-dlms 1.0.203) writes the method's name in pass 3, and takes a ReadResponse for pass 4.
#[test]
fn pass_3_is_accepted_as_a_write_too() {
    for right in [true, false] {
        let meter = Meter { policy: Some(Protection::NONE), ..Meter::default() };
        let mut config = ciphered();
        config.security.as_mut().unwrap().protection = Protection::NONE;
        let mut pair = Pair::new(config, meter);
        pair.client.associate(pair.now).unwrap();
        assert!(pair.client.poll_event().is_none());
        let mut wpdu = [0; 256];
        let length = pair.client.poll_transmit(&mut wpdu).unwrap();
        let accepted = pair.answer(&wpdu[8..length]);
        pair.receive(&accepted);
        assert!(pair.client.poll_event().is_none());
        let length = pair.client.poll_transmit(&mut wpdu).unwrap();
        let pass_3 = &wpdu[8..length];
        assert_eq!(pass_3[..7], hex!("0501 04 FA58 01 09"));
        let mut written = hex!("0601 02 FA58 01").to_vec();
        written.extend_from_slice(&pass_3[6..]);
        if !right {
            *written.last_mut().unwrap() ^= 1;
            assert_eq!(pair.answer(&written), hex!("0D01 01 03"));
            continue;
        }
        let pass_4 = pair.answer(&written);
        assert_eq!(pass_4[..5], hex!("0C01 00 09 11"));
        pair.receive(&pass_4);
        assert_eq!(pair.drive(), [Happened::Associated]);
        pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
        assert_eq!(pair.drive(), [number(913)]);
    }
}

#[test]
fn other_mechanisms_exchange_their_passes_by_short_names_too() {
    let config = Config {
        client: SHORT_NAME_CIPHERED_SHA256,
        mechanism: dlms::acse::Mechanism::Sha256,
        secret: dlms::association::Secret::new(SECRET).unwrap(),
        ..ciphered()
    };
    let mut pair = Pair::associated(config, Meter::default());
    assert_eq!(pair.seen.iter().map(|apdu| apdu[0]).collect::<Vec<_>>(), [0x60, 0x61, 0x25, 0x2C]);
    pair.client.read(&[named(REGISTER_VALUE)], pair.now).unwrap();
    assert_eq!(pair.drive(), [number(913)]);
}

/// Where both sides want it, general block transfer takes the place of the blocks of Read and Write.
#[test]
fn general_blocks_carry_long_reads_and_writes() {
    for base in [public(), ciphered()] {
        let conformance = base.conformance.union(Conformance::GENERAL_BLOCK_TRANSFER);
        let config = Config { conformance, max_pdu: 200, ..base };
        let mut pair = Pair::associated(config, Meter { rows: 40, row_octets: 20, max_pdu: 200, ..Meter::default() });
        pair.client.read(&[named(PROFILE_BUFFER), named(REGISTER_VALUE)], pair.now).unwrap();
        let happened = pair.drive();
        let [Happened::Read(results)] = &happened[..] else { panic!("{happened:?}") };
        assert!(matches!(&results[0], Ok(Value::Array(rows)) if rows.len() == 40));
        assert_eq!(results[1], Ok(Value::DoubleLongUnsigned(913)));
        let text = [b'g'; 700];
        pair.client.write(&[named(TEXT_VALUE)], &[Data::OctetString(&text)], pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Write(vec![Ok(())])]);
        assert_eq!(pair.meter.text, text);
        let general = pair.seen.iter().filter(|apdu| apdu[0] == 0xE0).count();
        assert!(general > 10, "{general}");
        assert!(pair.seen.iter().all(|apdu| apdu.len() <= 200 || matches!(apdu[0], 0x60 | 0x61)));
    }
}

/// Each method that is invoked has a place in the answer, if only for an error: otherwise none is.
#[test]
fn a_read_of_methods_invokes_none_unless_a_result_for_each_fits() {
    let read = |count: u8| {
        let mut request = vec![0x05, count];
        (0..count)
            .for_each(|_| request.extend([&[4][..], &ECHO_METHOD.0.to_be_bytes(), &hex!("01 09 02 4142")].concat()));
        request
    };
    let conformance =
        Conformance::READ.union(Conformance::MULTIPLE_REFERENCES).union(Conformance::PARAMETERIZED_ACCESS);
    for count in 2..=120 {
        let mut pair = Pair::associated(Config { max_pdu: 64, conformance, ..public() }, Meter::default());
        let answer = pair.answer(&read(count));
        let invoked = if usize::from(count) <= (64 - 2) / 2 { count } else { 0 };
        assert_eq!(pair.meter.invoked, u32::from(invoked));
        match Apdu::decode(&answer).unwrap() {
            Apdu::ReadResponse(response) if invoked > 0 => assert_eq!(response.results.len(), usize::from(count)),
            other => assert_eq!(answer, hex!("0C01 01 FA"), "{other:?}"),
        }
    }
    // With blocks it is the storage that bounds.
    let mut pair = Pair::associated(Config { max_pdu: 64, ..public() }, Meter::default());
    pair.shrink_storage(128);
    assert_eq!(pair.answer(&read(100)), hex!("0C01 01 FA"));
    assert_eq!(pair.meter.invoked, 0);
    assert_eq!(pair.answer(&read(60))[..3], hex!("0C01 02"));
    assert_eq!(pair.meter.invoked, 60);
}
