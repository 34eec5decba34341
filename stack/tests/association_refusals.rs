//! What a server answers to requests that it cannot serve, row by row; and when it has had enough.

mod pair;

use dlms::Instant;
use dlms::apdu::{AttributeRequest, Conformance};
use dlms::association::client::{Config, PreEstablished, RequestError};
use dlms::association::server::{Connection, REFUSALS_MAX};
use dlms::axdr::Value;
use dlms::id::ServerSap;
use dlms::link::LinkError;
use dlms::security::{Context, Envelope, HEADROOM, KeySet, Protection, RustCrypto, Suite, TAG_LENGTH, is_protected};
use dlms::wrapper::server::Wrapper;
use hex_literal::hex;
use pair::*;

const REGISTER_VALUE: Happened = Happened::Value(Value::DoubleLongUnsigned(913));
const GET_REGISTER: &[u8] = &hex!("C001C100030100010800FF0200");

fn ask(pair: &mut Pair, apdu: &[u8]) -> Vec<u8> {
    let mut out = [0; 1_024];
    let place = pair.server.handle(&mut apdu.to_vec(), pair.now, &mut pair.meter, &mut pair.random, &mut out);
    place.map(|place| out[place].to_vec()).unwrap_or_default()
}

fn read(pair: &mut Pair) -> Vec<Happened> {
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    pair.drive()
}

/// One row: what is sent, and what must come back.
struct Row {
    situation: &'static str,
    request: &'static [u8],
    answer: &'static [u8],
}

const fn row(situation: &'static str, request: &'static [u8], answer: &'static [u8]) -> Row {
    Row { situation, request, answer }
}

/// Without ciphering, everything negotiated.
const PLAIN: &[Row] = &[
    row("APDU tag unknown", &hex!("FF00C1"), &hex!("D80102")),
    row("service known, not of this context", &hex!("050102FA00"), &hex!("D80102")),
    row("variant of GET unknown", &hex!("C007C1 0003 0100010800FF 02 00"), &hex!("C401C10103")),
    row("variant 0 of GET", &hex!("C000C1"), &hex!("C401C10103")),
    row("variant of SET unknown", &hex!("C109C2 0003 0100010800FF 02 00 00"), &hex!("C501C203")),
    row("variant of ACTION unknown", &hex!("C307C3 0009 00000A0000FF 01 00"), &hex!("C701C30300")),
    row("variant unknown, unconfirmed", &hex!("C00701"), &[]),
    row("truncated", &hex!("C001C10003"), &hex!("D80103")),
    row("truncated before the invoke-id", &hex!("C001"), &hex!("D80103")),
    row("object not found, GET", &hex!("C001C1 0003 0100630800FF 02 00"), &hex!("C401C10104")),
    row("object not found, SET", &hex!("C101C1 0003 0100630800FF 02 00 00"), &hex!("C501C103")),
    row("object not found, ACTION", &hex!("C301C1 0009 0000630000FF 01 00"), &hex!("C701C10400")),
    row("access denied", &hex!("C001C1 0001 0000600104FF 02 00"), &hex!("C401C10103")),
    row("attribute 0, GET", &hex!("C001C1 0003 0100010800FF 00 00"), &hex!("D80102")),
    row("attribute 0 in a list", &hex!("C003C1 02 0003 0100010800FF 02 00 0003 0100010800FF 00 00"), &hex!("D80102")),
    row("attribute 0, SET", &hex!("C101C1 0003 0100010800FF 00 00 00"), &hex!("D80102")),
    row("SET: type does not fit", &hex!("C101C1 0001 0000600103FF 02 00 11 05"), &hex!("C501C10C")),
    row("GET next, no transfer", &hex!("C002C100000001"), &hex!("C402C101000000010110")),
    row("SET block, none pending", &hex!("C103C1 01 00000002 01 00"), &hex!("C501C112")),
    row("ACTION next, none pending", &hex!("C302C100000001"), &hex!("C701C11000")),
    row("ACTION block, none pending", &hex!("C306C1 01 00000002 01 00"), &hex!("C701C11000")),
    row("unconfirmed SET is executed, not answered", &hex!("C10101 0001 0000600103FF 02 00 09 01 41"), &[]),
    row("ciphered request without ciphering", &hex!("C81E30000000010000"), &hex!("D80105")),
    row("invoke-id is echoed", &hex!("C001CF00030100010800FF0200"), &hex!("C401CF000600000391")),
    row("after all of that the association lives", GET_REGISTER, &hex!("C401C1000600000391")),
];

#[test]
fn every_row_of_refused_requests_without_ciphering() {
    let mut pair = Pair::associated(Config::public(ServerSap::MANAGEMENT), Meter::default());
    for Row { situation, request, answer } in PLAIN {
        assert_eq!(ask(&mut pair, request), *answer, "{situation}");
    }
    assert_eq!(pair.meter.text, b"A");
}

#[test]
fn what_was_not_negotiated_is_answered_as_not_supported() {
    let cases: &[(&str, Conformance, &[u8])] = &[
        ("SET", Conformance::GET, &hex!("C101C1 0001 0000600103FF 02 00 0900")),
        ("ACTION", Conformance::GET, &hex!("C301C1 0009 00000A0000FF 01 00")),
        ("GET", Conformance::SET, GET_REGISTER),
        ("a list", Conformance::GET, &hex!("C003C1 01 0003 0100010800FF 02 00")),
        ("selective access", Conformance::GET, &hex!("C001C1 0003 0100010800FF 02 01 01 00")),
        (
            "selective access in a list",
            Conformance::GET.union(Conformance::MULTIPLE_REFERENCES),
            &hex!("C003C1 01 0003 0100010800FF 02 01 01 00"),
        ),
        ("selective access, SET", Conformance::SET, &hex!("C101C1 0001 0000600103FF 02 01 01 00 0900")),
    ];
    for (what, conformance, request) in cases {
        let config = Config { conformance: *conformance, ..Config::public(ServerSap::MANAGEMENT) };
        let mut pair = Pair::associated(config, Meter::default());
        assert_eq!(ask(&mut pair, request), hex!("D80102"), "{what}");
        assert!(pair.server.is_open());
    }
}

#[test]
fn without_an_association_nothing_is_served() {
    let mut pair = Pair::new(Config::public(ServerSap::MANAGEMENT), Meter::default());
    assert_eq!(ask(&mut pair, GET_REGISTER), hex!("D80101"));
    assert_eq!(ask(&mut pair, &hex!("6200")), hex!("D80101"));
    assert!(ask(&mut pair, &[]).is_empty());
}

#[test]
fn while_hls_is_pending_a_second_other_request_ends_it() {
    let mut pair = Pair::associated(hls(hls_client(3), dlms::acse::Mechanism::Md5), Meter::default());
    let aarq = pair.seen[0].clone();
    assert_eq!(ask(&mut pair, &aarq)[0], 0x61);
    assert_eq!(ask(&mut pair, GET_REGISTER), hex!("D80101"));
    assert!(pair.server.is_open());
    assert_eq!(ask(&mut pair, GET_REGISTER), hex!("D80101"));
    assert!(!pair.server.is_open());
    // A release is allowed while pending.
    assert_eq!(ask(&mut pair, &aarq)[0], 0x61);
    assert_eq!(ask(&mut pair, &hex!("6200"))[0], 0x63);
    assert!(!pair.server.is_open());
}

/// Protects `plain` as the client of `pair` could, with a counter far above its own.
fn protected(envelope: Envelope, protection: Protection, counter: u32, broadcast: bool, plain: &[u8]) -> Vec<u8> {
    let keys = KeySet::new(Suite::Suite0, &GUEK, &GAK).unwrap().with_broadcast(&GBEK).unwrap();
    let mut context = Context::<RustCrypto>::new(CLIENT_TITLE, &keys).unwrap();
    context.set_dedicated_key(&[0x33; 16]).unwrap();
    let mut control = context.control(protection);
    if broadcast {
        control = control.with_broadcast_key();
    }
    let mut buffer = vec![0; HEADROOM + plain.len() + TAG_LENGTH];
    buffer[HEADROOM..HEADROOM + plain.len()].copy_from_slice(plain);
    let place = context.protect(envelope, control, counter, &mut buffer, HEADROOM..HEADROOM + plain.len()).unwrap();
    buffer[place].to_vec()
}

const AE: Protection = Protection::AUTHENTICATED_ENCRYPTED;

/// The matrix of what a server answers when protection is not as it must be.
#[test]
fn every_row_of_refused_protection() {
    let glo = |protection, counter| protected(Envelope::Global, protection, counter, false, GET_REGISTER);
    let mut flipped = glo(AE, 1_000);
    *flipped.last_mut().unwrap() ^= 1;
    let mut compressed = glo(AE, 1_000);
    compressed[2] |= 0x80;
    let mut suite_1 = glo(AE, 1_000);
    suite_1[2] |= 0x01;
    let mut title = protected(Envelope::GeneralGlobal, AE, 1_000, false, GET_REGISTER);
    title[5] ^= 1;
    let mut inner = glo(AE, 1_000);
    inner[0] = 0xC9;
    let rows: Vec<(&str, Vec<u8>, &[u8])> = vec![
        ("tag failure", flipped, &hex!("D80105")),
        ("compression bit", compressed, &hex!("D80105")),
        ("another suite", suite_1, &hex!("D80105")),
        ("unknown title", title, &hex!("D80105")),
        ("inner and outer tag differ", inner, &hex!("D80105")),
        ("weaker than required: encrypted", glo(Protection::ENCRYPTED, 1_000), &hex!("D80105")),
        ("weaker than required: authenticated", glo(Protection::AUTHENTICATED, 1_000), &hex!("D80105")),
        ("in clear", GET_REGISTER.to_vec(), &hex!("D80105")),
        (
            "dedicated without a dedicated key",
            protected(Envelope::Dedicated, AE, 1_000, false, GET_REGISTER),
            &hex!("D80105"),
        ),
        (
            "broadcast key where there is none",
            protected(Envelope::Global, AE, 1_000, true, GET_REGISTER),
            &hex!("D80105"),
        ),
        ("malformed", hex!("C802 30 00").to_vec(), &hex!("D80105")),
    ];
    for (situation, request, answer) in rows {
        // A new line for each: too many of them on one line end it.
        let mut pair = Pair::associated(management(), Meter::default());
        let before = pair.meter.floors.clone();
        assert_eq!(ask(&mut pair, &request), answer, "{situation}");
        assert_eq!(pair.meter.floors, before, "{situation}");
        assert!(pair.server.is_open(), "{situation}");
        assert_eq!(read(&mut pair), [REGISTER_VALUE], "{situation}");
    }
    let mut pair = Pair::associated(management(), Meter::default());
    let floor = pair.meter.floors[&CLIENT_TITLE];
    let expected = [&hex!("D80106")[..], &floor.to_be_bytes()].concat();
    for counter in [0, floor - 1, u32::MAX - 1] {
        let mut forged = glo(AE, counter.min(floor - 1));
        if counter > floor {
            // FFFFFFFF cannot even be made by our own side.
            forged[3..7].copy_from_slice(&u32::MAX.to_be_bytes());
        }
        assert_eq!(ask(&mut pair, &forged), expected, "counter {counter}");
    }
    // One is enough to move the floor, and the same octets are then a replay.
    let genuine = glo(AE, 1_000);
    assert!(is_protected(&ask(&mut pair, &genuine)));
    assert_eq!(ask(&mut pair, &genuine), hex!("D80106 000003E9"));
}

#[test]
fn too_many_apdus_that_cannot_be_deciphered_end_the_association() {
    let mut pair = Pair::associated(management(), Meter::default());
    let mut forged = protected(Envelope::Global, AE, 5_000, false, GET_REGISTER);
    *forged.last_mut().unwrap() ^= 1;
    for _ in 1..REFUSALS_MAX {
        assert_eq!(ask(&mut pair, &forged), hex!("D80105"));
        assert!(pair.server.is_open() && !pair.server.is_exhausted());
    }
    assert_eq!(ask(&mut pair, &forged), hex!("D80105"));
    assert!(!pair.server.is_open() && pair.server.is_exhausted());
    // Low counters are no forgeries, however many they are.
    let mut pair = Pair::associated(management(), Meter::default());
    let old = protected(Envelope::Global, AE, 0, false, GET_REGISTER);
    (0..50).for_each(|_| assert_eq!(ask(&mut pair, &old)[..3], hex!("D80106")));
    assert!(pair.server.is_open());
    // Nor is a new proposal a way to get more chances: what was counted stays counted.
    let mut aarq = pair.seen[0].clone();
    *aarq.last_mut().unwrap() ^= 1;
    let counter = aarq.windows(4).rposition(|window| window == hex!("00000001")).unwrap();
    aarq[counter] = 0x40;
    (0..5).for_each(|_| drop(ask(&mut pair, &forged)));
    (0..4).for_each(|_| assert_eq!(ask(&mut pair, &aarq), hex!("D80105")));
    assert!(!pair.server.is_exhausted());
    assert_eq!(ask(&mut pair, &aarq), hex!("D80105"));
    assert!(pair.server.is_exhausted());
}

#[test]
fn a_wrapper_connection_is_closed_after_too_many_of_them() {
    let link = Wrapper::new(vec![0; 512], vec![0; 512], 1_000);
    let mut line = Connection::<_, RustCrypto, _, 2>::new(link, || vec![0; 128], vec![0; 512]);
    let (mut meter, mut random) = (Meter::default(), Counting(0));
    let now = Instant::from_millis(0);
    let forged = hex!("0001 0034 0001 0012 C8 10 30 00000001 0102030405060708090A0B");
    let mut results = Vec::new();
    for _ in 0..REFUSALS_MAX {
        results.push(line.handle_input(&forged, now, &mut meter, &mut random));
        let mut out = [0; 64];
        while line.poll_transmit(&mut out).is_some() {}
    }
    assert_eq!(results.pop(), Some(Err(LinkError::Expelled)));
    assert!(results.iter().all(|result| *result == Ok(forged.len())));
}

#[test]
fn failures_are_told_of_at_a_bounded_rate() {
    let mut pair = Pair::new(reader(b"87654321"), Meter::default());
    let aarq = {
        pair.client.associate(pair.now).unwrap();
        pair.drive();
        pair.seen[0].clone()
    };
    pair.meter.audit.clear();
    // Refused for its context: nothing is guessed, nobody is locked out, and yet it is worth an event.
    let mut wrong = aarq;
    wrong[12] = 9;
    let start = pair.now;
    for _ in 0..100 {
        ask(&mut pair, &wrong);
    }
    assert!(pair.meter.audit.len() <= 10, "{}", pair.meter.audit.len());
    pair.now = start.after_ms(60_000);
    pair.meter.audit.clear();
    ask(&mut pair, &wrong);
    assert!(pair.meter.audit[0].starts_with("Suppressed"), "{:?}", pair.meter.audit);
    assert_eq!(pair.meter.audit.len(), 2);
}

/// A client of the association with keys that nobody proposes.
fn standing() -> Config {
    let mut config = Config {
        client: STANDING_CIPHERED,
        mechanism: dlms::acse::Mechanism::Lowest,
        pre_established: Some(PreEstablished { server_max_pdu: 500 }),
        ..management()
    };
    config.security.as_mut().unwrap().peer_title = Some(SERVER_TITLE);
    config
}

#[test]
fn the_broadcast_key_serves_unconfirmed_requests_only() {
    let mut pair = Pair::new(standing(), Meter::default());
    let set = hex!("C10101 0001 0000600103FF 02 00 09 01 42");
    let general = |counter, plain: &[u8]| protected(Envelope::GeneralGlobal, AE, counter, true, plain);
    assert!(ask(&mut pair, &general(7, &set)).is_empty());
    assert_eq!(pair.meter.text, b"B");
    assert!(pair.meter.broadcast, "the device is told");
    // Counters of this key are its own.
    assert_eq!(pair.meter.broadcast_floors[&CLIENT_TITLE], 8);
    assert!(pair.meter.floors.is_empty());
    assert_eq!(ask(&mut pair, &general(7, &set)), hex!("D80106 00000008"));
    // Nobody is answered under it, and nothing is read or set with confirmation.
    let confirmed = hex!("C101C1 0001 0000600103FF 02 00 09 01 43");
    assert!(ask(&mut pair, &general(8, &confirmed)).is_empty());
    assert!(ask(&mut pair, &general(9, GET_REGISTER)).is_empty());
    assert_eq!(pair.meter.text, b"B");
    // The unicast key goes on to work.
    assert!(ask(&mut pair, &protected(Envelope::Global, AE, 1, false, &set)).is_empty());
    assert!(!pair.meter.broadcast);
    let mut associated = Pair::associated(management(), Meter::default());
    let aarq = protected(Envelope::Global, AE, 1_000, true, GET_REGISTER);
    assert_eq!(ask(&mut associated, &aarq), hex!("D80105"), "no broadcast key in this setup");
}

/// Nor is anybody refused under it, by a meter that forgives nothing.
#[test]
fn what_a_group_asks_for_against_the_standard_is_not_answered_either() {
    let strict = Meter { quirks: Some(dlms::quirk::Quirks::STRICT), ..Meter::default() };
    let mut pair = Pair::new(standing(), strict);
    let general = |counter, plain: &[u8]| protected(Envelope::GeneralGlobal, AE, counter, true, plain);
    // The presence octet of the parameter is 02: confirmed, unconfirmed.
    for (counter, request) in
        [(7, hex!("C301C1 0009 00000A0000FF 01 02 09 01 41")), (8, hex!("C30181 0009 00000A0000FF 01 02 09 01 41"))]
    {
        assert!(ask(&mut pair, &general(counter, &request)).is_empty());
    }
    assert_eq!(pair.meter.invoked, 0);
    let own = protected(Envelope::Global, AE, 1, false, &hex!("C301C1 0009 00000A0000FF 01 02 09 01 41"));
    assert!(!ask(&mut pair, &own).is_empty());
}

/// Whoever holds the key of the group must not get a value of his own executed with the rights of a unicast block.
#[test]
fn the_broadcast_key_neither_starts_nor_continues_nor_ends_a_transfer() {
    let text = hex!("0001 0000600103FF 02 00");
    let (set_first, set_last) = (hex!("00 00000001 03 09 04 41"), hex!("C103C1 01 00000002 03 424344"));
    let foreign: [Vec<u8>; 8] = [
        [&hex!("C105 01 01")[..], &text, &hex!("00 00000001 04 01 09 01 58")].concat(),
        [&hex!("C102 01")[..], &text, &hex!("00 00000001 03 09 04 58")].concat(),
        [&hex!("C102 01")[..], &text, &hex!("01 00000001 03 09 01 58")].concat(),
        hex!("C103 01 00 00000002 03 585858").to_vec(),
        hex!("C103 01 01 00000002 03 585858").to_vec(),
        hex!("C305 01 01 0009 00000A0000FF 01 00 00000001 04 01 09 01 58").to_vec(),
        hex!("C304 01 0009 00000A0000FF 01 00 00000001 03 09 01 58").to_vec(),
        hex!("C001 01 0007 0100630100FF 02 00").to_vec(),
    ];
    for foreign in foreign {
        let mut pair = Pair::new(standing(), Meter { rows: 100, row_octets: 20, ..Meter::default() });
        let own = |counter, plain: &[u8]| protected(Envelope::Global, AE, counter, false, plain);
        let first = [&hex!("C102C1")[..], &text, &set_first].concat();
        assert!(is_protected(&ask(&mut pair, &own(1, &first))));
        assert!(ask(&mut pair, &protected(Envelope::GeneralGlobal, AE, 7, true, &foreign)).is_empty());
        assert_eq!((pair.meter.written, pair.meter.invoked), (0, 0), "{foreign:02X?}");
        assert!(is_protected(&ask(&mut pair, &own(2, &set_last))));
        assert_eq!(pair.meter.text, b"ABCD", "{foreign:02X?}");
        assert!(!pair.meter.broadcast);
    }
    // What is short is executed, and the transfer goes on behind it.
    let mut pair = Pair::new(standing(), Meter::default());
    let first = [&hex!("C102C1")[..], &text, &set_first].concat();
    ask(&mut pair, &protected(Envelope::Global, AE, 1, false, &first));
    let short = [&hex!("C101 01")[..], &text, &hex!("09 01 42")].concat();
    ask(&mut pair, &protected(Envelope::GeneralGlobal, AE, 7, true, &short));
    assert_eq!(pair.meter.text, b"B");
    ask(&mut pair, &protected(Envelope::Global, AE, 2, false, &set_last));
    assert_eq!(pair.meter.text, b"ABCD");
}

/// The rights of the last block execute the whole: none of it may have come with less protection.
#[test]
fn all_blocks_of_a_transfer_are_protected_alike() {
    let own = |counter, plain: &[u8]| protected(Envelope::Global, AE, counter, false, plain);
    let requests: [(&[u8], &[u8]); 4] = [
        (&hex!("C102C1 0001 0000600103FF 02 00 00 00000001 03 09 04 41"), &hex!("C103C1 01 00000002 03 424344")),
        (&hex!("C105C1 01 0001 0000600103FF 02 00 00 00000001 04 01 09 04 41"), &hex!("C103C1 01 00000002 03 424344")),
        (&hex!("C304C1 0009 00000A0000FF 01 00 00000001 03 09 04 41"), &hex!("C306C1 01 00000002 03 424344")),
        (&hex!("C305C1 01 0009 00000A0000FF 01 00 00000001 04 01 09 04 41"), &hex!("C306C1 01 00000002 03 424344")),
    ];
    for (first, last) in requests {
        for (first_is_protected, last_is_protected) in [(true, true), (false, false), (false, true), (true, false)] {
            let mut pair = Pair::associated(management(), Meter { policy: Some(Protection::NONE), ..Meter::default() });
            let apdu = |counter, plain: &[u8], wanted| if wanted { own(counter, plain) } else { plain.to_vec() };
            assert!(!ask(&mut pair, &apdu(1_000, first, first_is_protected)).is_empty());
            assert!(!ask(&mut pair, &apdu(1_001, last, last_is_protected)).is_empty());
            let executed = pair.meter.written + pair.meter.invoked;
            assert_eq!(executed, u32::from(first_is_protected == last_is_protected), "{first:02X?}");
        }
    }
    // Nor is the rest of a result handed out to who asks with less protection than the method was invoked with.
    let config = Config { max_pdu: 128, ..management() };
    let mut pair = Pair::associated(config, Meter { policy: Some(Protection::NONE), ..Meter::default() });
    let invoke = [&hex!("C301C1 0009 00000A0000FF 01 01 09 81C8")[..], &[0x58; 200]].concat();
    assert!(is_protected(&ask(&mut pair, &own(1_000, &invoke))));
    assert_eq!(ask(&mut pair, &hex!("C302C1 00000001")), hex!("C701C1 0F 00"));
    // Nor the rest of an attribute.
    let get = hex!("C001C1 0007 0100630100FF 02 00");
    pair.meter.rows = 20;
    pair.meter.row_octets = 20;
    for (protected, expected) in [(true, None), (false, Some(hex!("C402C1 01 00000001 01 0F")))] {
        assert!(is_protected(&ask(&mut pair, &own(1_010 + 3 * u32::from(!protected), &get))));
        let next = hex!("C002C1 00000001");
        let answer = ask(&mut pair, &if protected { own(1_012, &next) } else { next.to_vec() });
        match expected {
            None => assert!(is_protected(&answer)),
            Some(expected) => assert_eq!(answer, expected),
        }
    }
    assert_eq!(ask(&mut pair, &hex!("C302C1 00000001")), hex!("C701C1 10 00"));
}

#[test]
fn short_names_all_blocks_of_a_transfer_are_protected_alike() {
    let own = |counter, plain: &[u8]| protected(Envelope::Global, AE, counter, false, plain);
    let (first, last) = (hex!("0601 07 00 0001 01 0903 01 02 01"), hex!("0601 07 01 0002 01 0905 08 01 09 01 41"));
    for (first_is_protected, executed) in [(true, 1), (false, 0)] {
        let config = Config { client: SHORT_NAME_MANAGEMENT, ..management() }.with_short_names();
        let meter = Meter { policy: Some(Protection::NONE), ..Meter::default() };
        let mut pair = Pair::associated(config, meter);
        let first = if first_is_protected { own(1_000, &first) } else { first.to_vec() };
        assert!(!ask(&mut pair, &first).is_empty());
        assert!(is_protected(&ask(&mut pair, &own(1_001, &last))));
        assert_eq!(pair.meter.written, executed);
    }
}

#[test]
fn octets_behind_the_values_of_a_list_in_blocks_are_refused() {
    let mut pair = Pair::associated(Config::public(ServerSap::MANAGEMENT), Meter::default());
    let set = hex!("C105C1 01 0001 0000600103FF 02 00 01 00000001 05 01 09 01 41 00");
    assert_eq!(ask(&mut pair, &set), hex!("C504C1 01 0C 00000001"));
    let action = hex!("C305C1 01 0009 00000A0000FF 01 01 00000001 05 01 09 01 41 00");
    assert_eq!(ask(&mut pair, &action), hex!("C703C1 01 0C 00"));
    assert_eq!((pair.meter.written, pair.meter.invoked), (0, 0));
}

#[test]
fn a_pre_established_association_reports_no_authentication_that_never_took_place() {
    let config = Config { client: STANDING_MECHANISM, ..Config::public(ServerSap::MANAGEMENT) };
    let mut pair = Pair::new(config, Meter::default());
    assert_eq!(ask(&mut pair, &hex!("C101C1 0001 0000600103FF 02 00 09 01 41")), hex!("C501C100"));
    assert_eq!(pair.meter.mechanism, Some(dlms::acse::Mechanism::Lowest));
}

#[test]
fn responses_have_the_protection_that_policy_and_access_rights_demand() {
    // Requests may come in clear; responses must not go out so.
    let meter = || Meter { policy: Some(Protection::NONE), response_policy: Some(AE), ..Meter::default() };
    let mut config = management();
    config.security.as_mut().unwrap().protection = Protection::NONE;
    config.required_response = Some(AE);
    let mut pair = Pair::associated(config, meter());
    pair.seen.clear();
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    assert!(!is_protected(&pair.seen[0]));
    assert_eq!(pair.seen[1][..1], hex!("CC"));
    assert_eq!(pair.seen[1][2], 0x30);

    // Access rights of one attribute demand more than the policy; another attribute goes out in clear.
    let mut config = management();
    config.security.as_mut().unwrap().protection = Protection::NONE;
    let meter = Meter {
        policy: Some(Protection::NONE),
        register_response: Protection::AUTHENTICATED,
        text: b"x".to_vec(),
        ..Meter::default()
    };
    let mut pair = Pair::associated(config, meter);
    pair.seen.clear();
    assert_eq!(read(&mut pair), [REGISTER_VALUE]);
    assert_eq!((pair.seen[1][0], pair.seen[1][2]), (0xCC, 0x10));
    pair.seen.clear();
    pair.client.get(AttributeRequest::whole(TEXT), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Value(Value::OctetString(b"x".to_vec()))]);
    assert!(!is_protected(&pair.seen[1]));

    // A signature cannot be had, and nothing less is sent.
    let mut pair = Pair::associated(management(), Meter { register_response: Protection::SIGNED, ..Meter::default() });
    match &read(&mut pair)[..] {
        [Happened::Failed(RequestError::Exception(_))] => {}
        other => panic!("{other:?}"),
    }
}

/// Required against received: nothing less than what is required gets through, in either direction.
#[test]
fn lesson_28_no_combination_of_policy_and_protection_downgrades() {
    let all = [Protection::NONE, Protection::AUTHENTICATED, Protection::ENCRYPTED, AE];
    for required in all {
        for sent in all {
            let mut config = management();
            config.security.as_mut().unwrap().protection = sent;
            let mut pair = Pair::new(config, Meter { policy: Some(required), ..Meter::default() });
            pair.client.associate(pair.now).unwrap();
            let opened = pair.drive() == [Happened::Associated];
            assert_eq!(opened, sent.covers(required), "{sent} for {required}");
            if !opened {
                continue;
            }
            pair.seen.clear();
            assert_eq!(read(&mut pair), [REGISTER_VALUE], "{sent} for {required}");
            // The answer is protected as the request was.
            assert_eq!(is_protected(&pair.seen[1]), !sent.is_none());
            if !sent.is_none() {
                assert_eq!(pair.seen[0][2], pair.seen[1][2]);
            }
        }
    }
}

/// A request whose counter the meter cannot keep could be replayed after its restart: it is not executed.
#[test]
fn what_cannot_be_remembered_is_not_executed() {
    let mut pair = Pair::associated(management(), Meter::default());
    pair.meter.memory_fails = true;
    let set = hex!("C101C1 0001 0000600103FF 02 00 09 01 41");
    assert_eq!(ask(&mut pair, &protected(Envelope::Global, AE, 1_000, false, &set)), hex!("D80106 FFFFFFFF"));
    assert!(pair.meter.text.is_empty());
    // The last usable counter leaves the floor there too, and is served.
    let mut pair = Pair::associated(management(), Meter::default());
    let last = protected(Envelope::Global, AE, u32::MAX - 1, false, &set);
    assert!(is_protected(&ask(&mut pair, &last)));
    assert_eq!(pair.meter.text, b"A");
}

/// Every service tells the audit who was refused what, and nothing that was done.
#[test]
fn refusals_are_audited() {
    let public = || Config { conformance: Conformance::from_bits(0xFF_FFFF), ..Config::public(ServerSap::MANAGEMENT) };
    let rows: [(&str, &[u8], &[&str]); 8] = [
        ("GET", &hex!("C001C1 0001 0000600104FF 02 00"), &["ReadRefused", "ReadWriteDenied"]),
        ("GET, nothing there", &hex!("C001C1 0003 0100630800FF 02 00"), &["ReadRefused", "ObjectUndefined"]),
        ("GET, a list", &hex!("C003C1 02 0003 0100010800FF 02 00 0001 0000600104FF 02 00"), &["ReadRefused"]),
        ("SET", &hex!("C101C1 0003 0100630800FF 02 00 00"), &["WriteRefused"]),
        ("ACTION", &hex!("C301C1 0009 0000630000FF 01 00"), &["ActionRefused", "ObjectUndefined"]),
        ("ACCESS", &hex!("D9 20000001 00 01 01 0001 0000600104FF 02 01 00"), &["ReadRefused", "ReadWriteDenied"]),
        ("GET, granted", GET_REGISTER, &[]),
        ("ACTION, granted", &hex!("C301C1 0009 00000A0000FF 01 01 1105"), &[]),
    ];
    for (service, request, words) in rows {
        let mut pair = Pair::associated(public(), Meter::default());
        pair.meter.audit.clear();
        assert!(!ask(&mut pair, request).is_empty(), "{service}");
        let audit = &pair.meter.audit;
        assert_eq!(audit.len(), usize::from(!words.is_empty()), "{service}: {audit:?}");
        assert!(audit.iter().all(|line| words.iter().all(|word| line.contains(word))), "{service}: {audit:?}");
        assert!(audit.iter().all(|line| line.contains("ClientSap(16)")), "{service}: {audit:?}");
    }
}
