//! General block transfer on both sides: first what others publish and send, then every pattern of loss.

mod pair;

use dlms::apdu::*;
use dlms::association::UnconfirmedBlocks;
use dlms::association::client::{
    AccessItem, AccessOptions, Config, GeneralBlocks, ProtocolError, RequestError, UsageError,
};
use dlms::axdr::{Data, Value};
use dlms::id::{ServerSap, ShortName};
use dlms_cosem_rs::codec::{Decode, Encode, SliceWriter};
use dlms_cosem_rs::xdlms as other;
use hex_literal::hex;
use pair::*;
use proptest::prelude::*;

/// With general block transfer, and PDUs of `max_pdu` octets towards the client.
fn blocks(config: Config, max_pdu: u16) -> Config {
    let conformance = config.conformance.union(Conformance::GENERAL_BLOCK_TRANSFER);
    Config { conformance, max_pdu, ..config }
}

/// Without any other block transfer.
fn only(config: Config, max_pdu: u16) -> Config {
    let mut config = blocks(config, max_pdu);
    for own in [
        Conformance::BLOCK_TRANSFER_WITH_GET,
        Conformance::BLOCK_TRANSFER_WITH_SET,
        Conformance::BLOCK_TRANSFER_WITH_ACTION,
    ] {
        config.conformance = config.conformance.without(own);
    }
    config
}

/// A meter that takes PDUs of `max_pdu` octets.
fn meter(max_pdu: u16) -> Meter {
    Meter { max_pdu, rows: 100, row_octets: 30, text: vec![0x5A; 3_000], ..Meter::default() }
}

fn rows(meter: &Meter) -> Value {
    let row = |part: u32| {
        Value::Structure(vec![Value::DoubleLongUnsigned(part), Value::OctetString(vec![part as u8; meter.row_octets])])
    };
    Value::Array((1..=meter.rows).map(row).collect())
}

fn ask(pair: &mut Pair, apdu: &[u8]) -> Vec<Vec<u8>> {
    let mut out = vec![0; pair.out];
    let mut answers = Vec::new();
    let mut place = pair.server.handle(&mut apdu.to_vec(), pair.now, &mut pair.meter, &mut pair.random, &mut out);
    while let Some(found) = place {
        answers.push(out[found].to_vec());
        place = pair.server.next_block(&mut pair.meter, &mut out);
    }
    answers
}

/// The exchange that the standard's clause shows: one block up, a window of two down.
#[test]
fn lesson_27_the_published_download_is_served() {
    let mut pair = Pair::associated(only(reader(PASSWORD), 64), Meter { rows: 3, row_octets: 20, ..Meter::default() });
    let read = hex!("E0 82 0001 0000 0D C0 01 C1 0007 0100630100FF 02 00");
    let first = ask(&mut pair, &read);
    assert_eq!(first.len(), 2);
    let decoded: Vec<_> = first.iter().map(|octets| GeneralBlockTransfer::decode(octets).unwrap()).collect();
    let flags = |block: &GeneralBlockTransfer<'_>| (block.control.is_last(), block.control.is_streaming());
    assert_eq!((flags(&decoded[0]), decoded[0].number, decoded[0].acknowledged), ((false, true), 1, 1));
    assert_eq!((flags(&decoded[1]), decoded[1].number, decoded[1].acknowledged), ((true, false), 2, 1));
    assert!(first.iter().all(|block| block.len() <= 64));
    assert_eq!(first[0].len(), 64, "blocks are filled");
    assert_eq!(decoded[0].data[..6], hex!("C4 01 C1 00 01 03"));

    // A longer one: 80 rows.
    pair.meter.rows = 80;
    let mut number = 0;
    let mut joined = Vec::new();
    let mut answers = ask(&mut pair, &hex!("E0 82 0001 0000 0D C0 01 C2 0007 0100630100FF 02 00"));
    for own in 2.. {
        let last = answers.last().expect("blocks").clone();
        for octets in &answers {
            let block = GeneralBlockTransfer::decode(octets).unwrap();
            number += 1;
            assert_eq!((block.number, block.acknowledged), (number, own - 1));
            joined.extend_from_slice(block.data);
        }
        let control = GeneralBlockTransfer::decode(&last).unwrap().control;
        assert!(!control.is_streaming());
        if control.is_last() {
            break;
        }
        assert_eq!(answers.len(), 2);
        let [a, b] = number.to_be_bytes();
        let [c, d] = own.to_be_bytes();
        answers = ask(&mut pair, &[0xE0, 0x82, c, d, a, b, 0]);
    }
    let expected = rows(&pair.meter);
    match GetResponse::decode(&joined).unwrap() {
        GetResponse::Normal { result, .. } => assert_eq!(Value::from(result.into_result().unwrap()), expected),
        other => panic!("{other:?}"),
    }
}

/// What the PyPI package gurux-dlms sends for a long SET: blocks of an octet more than was negotiated, no
/// acknowledgements, and FFFF in the last one.
#[test]
fn lesson_27_a_client_that_acknowledges_nothing_sets_a_long_value() {
    let mut pair = Pair::associated(only(reader(PASSWORD), 200), Meter { max_pdu: 200, ..Meter::default() });
    let mut request = hex!("C1 01 C1 0001 0000600103FF 02 00 09 82 01F4").to_vec();
    request.extend((0..500).map(|octet| octet as u8));
    let pieces: Vec<_> = request.chunks(193).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let last = index + 1 == pieces.len();
        let mut block = vec![0xE0, if last { 0x81 } else { 0x01 }, 0, index as u8 + 1, 0, 0];
        if last {
            block[4..].fill(0xFF);
        }
        block.extend([0x81, piece.len() as u8]);
        block.extend_from_slice(piece);
        let answers = ask(&mut pair, &block);
        assert_eq!(answers.len(), 1);
        let answer = GeneralBlockTransfer::decode(&answers[0]).unwrap();
        assert_eq!((answer.number, answer.acknowledged), (index as u16 + 1, index as u16 + 1));
        assert_eq!(answer.data, if last { &hex!("C5 01 C1 00")[..] } else { &[] });
    }
    assert_eq!(pair.meter.text.len(), 500);
}

/// The crate dlms-cosem-rs cuts the request and joins the answer.
#[test]
fn lesson_27_another_implementation_sends_and_receives_blocks() {
    let mut pair = Pair::associated(only(reader(PASSWORD), 128), Meter { max_pdu: 128, ..Meter::default() });
    let text: Vec<u8> = (0..3_000_u16).map(|octet| octet as u8).collect();
    let mut request = hex!("C1 01 C1 0001 0000600103FF 02 00 09 82 0BB8").to_vec();
    request.extend_from_slice(&text);
    let mut sender = other::GbtSender::new(&request, 100, 1, false).unwrap();
    let mut frame = [0; 256];
    let mut answers = Vec::new();
    while let Some(length) = sender.next_block(&mut frame).unwrap() {
        answers = ask(&mut pair, &[&[0xE0], &frame[..length]].concat());
        let block = other::GeneralBlockTransfer::from_bytes(&answers[0][1..]).unwrap();
        sender.acknowledge(block.block_number_ack).unwrap();
    }
    assert!(sender.is_done());
    assert_eq!(answers[0][7..], hex!("C5 01 C1 00"));
    assert_eq!(pair.meter.text, text);

    for window in [1, 3, 63] {
        let mut storage = [0; 4_096];
        let mut receiver = other::GbtReceiver::new(&mut storage);
        let mut answers = ask(&mut pair, &hex!("C0 01 C1 0001 0000600103FF 02 00"));
        loop {
            let mut action = other::GbtAction::Await;
            for octets in &answers {
                action = receiver.push(&other::GeneralBlockTransfer::from_bytes(&octets[1..]).unwrap()).unwrap();
            }
            match action {
                other::GbtAction::Complete => break,
                other::GbtAction::Acknowledge => {}
                other::GbtAction::Await => panic!("the burst ended, and nobody is to speak"),
            }
            let length = receiver.acknowledgement(window, &mut frame).unwrap();
            answers = ask(&mut pair, &[&[0xE0], &frame[..length]].concat());
            assert!(answers.len() <= usize::from(window));
        }
        assert_eq!(receiver.apdu()[..8], hex!("C4 01 C1 00 09 82 0BB8"));
        assert_eq!(receiver.apdu()[8..], text);
    }
    let mut writer = SliceWriter::new(&mut frame);
    other::GeneralBlockTransfer::ack(7, 3).encode(&mut writer).unwrap();
}

/// A meter of a maker from Switzerland pushes like that (recorded): window 0, and every block says that it streams.
#[test]
fn a_notification_in_blocks_is_joined_whatever_else_is_asked() {
    let mut notification = hex!("0F 00000001 00 09 82 0190").to_vec();
    notification.extend([0x33; 400]);
    for config in [only(reader(PASSWORD), 128), reader(PASSWORD), only(management(), 128)] {
        let mut pair = Pair::associated(config, meter(512));
        let mut cut = UnconfirmedBlocks::new(&notification, 120);
        let mut out = [0; 120];
        let mut pushed = Vec::new();
        while let Some(length) = cut.next_block(&mut out) {
            pushed.push(out[..length].to_vec());
        }
        assert_eq!(pushed.len(), 4);
        assert_eq!(pushed[0][..7], hex!("E0 40 0001 0000 71"));
        assert_eq!(pushed[3][..6], hex!("E0 C0 0004 0000"));
        for block in &pushed {
            pair.push(block);
        }
        assert_eq!(pair.drive(), [Happened::Notification]);
        // One is lost: nothing arrives, and the next one is whole again.
        for block in pushed[..1].iter().chain(&pushed[2..]).chain(&pushed) {
            pair.push(block);
        }
        assert_eq!(pair.drive(), [Happened::Notification]);
        // While an answer is waited for.
        pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
        for block in &pushed {
            pair.push(block);
        }
        assert_eq!(pair.drive(), [Happened::Notification, Happened::Value(Value::DoubleLongUnsigned(913))]);
    }
}

/// Everything that is long, in both directions.
fn exercise(pair: &mut Pair) {
    let long = vec![0x77; 5_000];
    let expected = rows(&pair.meter);
    pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Value(expected.clone())]);
    let wanted = [PROFILE, REGISTER, DENIED, TEXT].map(AttributeRequest::whole);
    pair.client.get_list(&wanted, pair.now).unwrap();
    let values = vec![
        Ok(expected),
        Ok(Value::DoubleLongUnsigned(913)),
        Err(DataAccessResult::ReadWriteDenied),
        Ok(Value::OctetString(pair.meter.text.clone())),
    ];
    assert_eq!(pair.drive(), [Happened::Values(values)]);

    pair.client.set(AttributeRequest::whole(TEXT), Data::OctetString(&long), pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::Set(DataAccessResult::Success)]);
    assert_eq!(pair.meter.text, long);
    let text = AttributeRequest::whole(TEXT);
    pair.client.set_list(&[text, text], &[Data::OctetString(&long[1..]), Data::OctetString(&long)], pair.now).unwrap();
    assert_eq!(pair.drive(), [Happened::SetList(vec![DataAccessResult::Success; 2])]);

    let invoked = pair.meter.invoked;
    pair.client.action(ECHO, Some(Data::OctetString(&long)), pair.now).unwrap();
    let echoed = Value::OctetString(long.clone());
    assert_eq!(pair.drive(), [Happened::Action(ActionResult::Success, Some(echoed.clone()))]);
    assert_eq!(pair.meter.invoked, invoked + 1);

    let items = [
        AccessItem::Set(text, Data::OctetString(&long[7..])),
        AccessItem::Get(text),
        AccessItem::Action(MethodRequest { method: ECHO, parameter: Some(Data::OctetString(&long)) }),
    ];
    pair.client.access(&items, AccessOptions::default(), pair.now).unwrap();
    let items = vec![
        (AccessResult::Set(DataAccessResult::Success), Value::Null),
        (AccessResult::Get(DataAccessResult::Success), Value::OctetString(long[7..].to_vec())),
        (AccessResult::Action(ActionResult::Success), echoed),
    ];
    assert_eq!(pair.drive(), [Happened::Access(items)]);
    assert_eq!(pair.meter.invoked, invoked + 2);
}

#[test]
fn lesson_22_every_service_in_blocks_both_ways_with_and_without_ciphering() {
    let general = || {
        let mut config = management();
        config.security.as_mut().unwrap().general = true;
        config
    };
    for (name, config) in [("clear", reader(PASSWORD)), ("service", management()), ("general", general())] {
        for (max_pdu, window) in [(128, 1), (128, 63), (512, 4), (0xFFFF, 16)] {
            let mut config = only(reader(PASSWORD), max_pdu);
            config = match name {
                "clear" => config,
                _ => Config { ..only(if name == "general" { general() } else { management() }, max_pdu) },
            };
            config.general_blocks = GeneralBlocks { window, retries: 0 };
            let mut pair = Pair::associated(config, meter(max_pdu));
            pair.seen.clear();
            exercise(&mut pair);
            let limit = usize::from(max_pdu);
            assert!(pair.seen.iter().all(|apdu| apdu.len() <= limit), "{name} {max_pdu}");
            // Nothing is ever streamed beyond the window.
            let mut burst = 0;
            for apdu in &pair.seen {
                let Ok(block) = GeneralBlockTransfer::decode(apdu) else { continue };
                burst += 1;
                assert!(burst <= window.max(16), "{name} {max_pdu}");
                if !block.control.is_streaming() {
                    burst = 0;
                }
            }
        }
        drop(config);
    }
}

#[test]
fn lesson_38_a_profile_in_clear_needs_one_pdu_buffer_and_is_shown_as_it_comes() {
    let mut pair = Pair::associated(only(reader(PASSWORD), 128), Meter { rows: 2_000, ..meter(512) });
    // The server has room for one PDU with its head, and storage for one.
    pair.out = 128 + dlms::security::HEADROOM;
    pair.shrink_storage(128);
    pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
    let expected = rows(&pair.meter);
    assert_eq!(pair.drive(), [Happened::Value(expected)]);
    assert!(pair.blocks_shown > 600, "{} blocks", pair.blocks_shown);
}

#[test]
fn a_ciphered_answer_that_the_storage_does_not_hold_is_refused_or_goes_out_otherwise() {
    for own_blocks in [false, true] {
        let config = if own_blocks { blocks(management(), 256) } else { only(management(), 256) };
        let mut pair = Pair::associated(config, meter(512));
        pair.shrink_storage(1_000);
        pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
        let happened = pair.drive();
        if own_blocks {
            assert_eq!(happened, [Happened::Value(rows(&pair.meter))]);
        } else {
            assert_eq!(happened, [Happened::Refused(DataAccessResult::OtherReason)]);
        }
        // A request that does not fit either.
        let long = vec![1; 2_000];
        pair.client.action(ECHO, Some(Data::OctetString(&long)), pair.now).unwrap();
        match &pair.drive()[..] {
            [Happened::Failed(RequestError::Exception(error))] => assert_eq!(error.service, ServiceError::PduTooLong),
            other => panic!("{other:?}"),
        }
        assert_eq!(pair.meter.invoked, 0);
        pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Value(Value::DoubleLongUnsigned(913))]);
    }
}

#[test]
fn rows_that_are_gone_end_the_transfer() {
    for own_blocks in [false, true] {
        let config = if own_blocks { reader(PASSWORD) } else { only(reader(PASSWORD), 128) };
        let mut pair = Pair::associated(Config { max_pdu: 128, ..config }, meter(512));
        // What fits the buffer is read before anything leaves.
        pair.out = 256;
        pair.meter.changed_at = Some(50);
        pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
        match (own_blocks, &pair.drive()[..]) {
            (true, [Happened::Refused(DataAccessResult::LongGetAborted)]) => {}
            (false, [Happened::Failed(RequestError::Exception(error))]) => {
                assert_eq!(error.service, ServiceError::OtherReason);
            }
            (_, other) => panic!("{other:?}"),
        }
        pair.meter.changed_at = None;
        let expected = rows(&pair.meter);
        pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
        assert_eq!(pair.drive().last(), Some(&Happened::Value(expected)));
    }
}

#[test]
fn a_new_request_ends_what_is_half_done() {
    let mut pair = Pair::associated(only(reader(PASSWORD), 128), meter(512));
    assert_eq!(ask(&mut pair, &hex!("C0 01 C1 0007 0100630100FF 02 00")).len(), 1);
    assert!(pair.server.is_exchanging());
    assert_eq!(ask(&mut pair, &hex!("C0 01 C2 0003 0100010800FF 02 00")), [hex!("C4 01 C2 00 06 00000391").to_vec()]);
    assert!(!pair.server.is_exchanging());
    // Whoever goes on with the old exchange gets nothing of it.
    assert!(ask(&mut pair, &hex!("E0 81 0001 0001 00")).is_empty());
    // Half a request, then another one in blocks.
    assert_eq!(ask(&mut pair, &hex!("E0 01 0001 0000 05 C1 01 C1 00 01")).len(), 1);
    let other = ask(&mut pair, &hex!("E0 81 0001 0000 0D C0 01 C3 0003 0100010800FF 02 00"));
    assert_eq!(other[0][6..], hex!("09 C4 01 C3 00 06 00000391"));
}

#[test]
fn blocks_need_to_be_negotiated_and_an_association() {
    let mut pair = Pair::associated(reader(PASSWORD), meter(128));
    let block = hex!("E0 81 0001 0000 0D C0 01 C1 0003 0100010800FF 02 00");
    assert_eq!(ask(&mut pair, &block), [hex!("D8 01 02").to_vec()]);
    let mut config = reader(PASSWORD);
    config.conformance = config.conformance.without(Conformance::BLOCK_TRANSFER_WITH_SET);
    let mut pair = Pair::associated(config, meter(128));
    let long = vec![1; 2_000];
    let refused = pair.client.set(AttributeRequest::whole(TEXT), Data::OctetString(&long), pair.now);
    assert_eq!(refused, Err(UsageError::NotNegotiated { service: "block-transfer-with-set-or-write" }));
    let mut pair = Pair::new(reader(PASSWORD), meter(128));
    assert_eq!(ask(&mut pair, &block), [hex!("D8 01 01").to_vec()]);
    let mut pair = Pair::associated(only(reader(PASSWORD), 128), meter(128));
    assert_eq!(ask(&mut pair, &hex!("E0 81 0001 0000 0D C0")), [hex!("D8 01 03").to_vec()]);
}

#[test]
fn an_unconfirmed_request_in_blocks_is_executed_once_and_not_answered() {
    let mut pair = Pair::associated(only(reader(PASSWORD), 128), meter(128));
    let first = hex!("E0 40 0001 0000 0A C3 01 81 0009 00000A0000");
    let last = hex!("E0 C0 0002 0000 06 FF 01 01 11 05 00");
    assert!(ask(&mut pair, &first).is_empty());
    // One octet too many: the request cannot be decoded, and is not executed.
    ask(&mut pair, &last);
    assert_eq!(pair.meter.invoked, 0);
    let last = hex!("E0 C0 0002 0000 05 FF 01 01 11 05");
    assert!(ask(&mut pair, &hex!("E0 40 0001 0000 0A C3 01 82 0009 00000A0000")).is_empty());
    for _ in 0..3 {
        assert!(ask(&mut pair, &last).is_empty());
    }
    assert_eq!(pair.meter.invoked, 1);
}

/// More blocks than half of their numbers.
#[test]
fn an_answer_of_more_than_32768_blocks_loses_none() {
    let meter = Meter { rows: 40_000, row_octets: 50, ..Meter::default() };
    let mut pair = Pair::associated(only(reader(PASSWORD), 64), meter);
    pair.out = 256;
    let mut answers = ask(&mut pair, &hex!("E0 BF 0001 0000 0D C0 01 C1 0007 0100630100FF 02 00"));
    let (mut joined, mut number) = (Vec::new(), 0_u16);
    for own in 2_u16.. {
        assert!(!answers.is_empty(), "nothing behind block {number}");
        for octets in &answers {
            let block = GeneralBlockTransfer::decode(octets).unwrap();
            number += 1;
            assert_eq!(block.number, number);
            assert!(!block.data.is_empty(), "block {number} is empty");
            joined.extend_from_slice(block.data);
        }
        if GeneralBlockTransfer::decode(answers.last().unwrap()).unwrap().control.is_last() {
            break;
        }
        let ([a, b], [c, d]) = (own.to_be_bytes(), number.to_be_bytes());
        answers = ask(&mut pair, &[0xE0, 0xBF, a, b, c, d, 0]);
    }
    assert!(number > 0x8000, "only {number} blocks");
    match GetResponse::decode(&joined).unwrap() {
        GetResponse::Normal { result, .. } => {
            assert_eq!(Value::from(result.into_result().unwrap()), rows(&pair.meter));
        }
        other => panic!("{other:?}"),
    }
}

/// Short names without ciphering: nothing tells one request from the next but its octets.
fn named() -> Config {
    let mut config = Config::public(ServerSap::MANAGEMENT).with_short_names();
    config.client = SHORT_NAME_PUBLIC;
    config.conformance = config.conformance.union(Conformance::GENERAL_BLOCK_TRANSFER);
    Config { max_pdu: 128, ..config }
}

#[test]
fn a_request_that_begins_like_the_one_before_is_another_one() {
    let mut pair = Pair::associated(named(), meter(128));
    for (written, tail) in [b"one", b"two"].into_iter().enumerate() {
        let text = [&[0x33; 500][..], tail].concat();
        let name = VariableAccess::named(ShortName(0x0108));
        pair.client.write(&[name], &[Data::OctetString(&text)], pair.now).unwrap();
        assert_eq!(pair.drive(), [Happened::Write(vec![Ok(())])]);
        assert_eq!(pair.meter.text, text);
        assert_eq!(pair.meter.written, written as u32 + 1);
    }
    // The same long read twice, of a value that has changed between.
    for octets in [30, 40] {
        pair.meter.text = vec![octets; 20];
        let names = vec![VariableAccess::named(ShortName(0x0108)); 60];
        pair.client.read(&names, pair.now).unwrap();
        let value = Value::OctetString(pair.meter.text.clone());
        assert_eq!(pair.drive(), [Happened::Read(vec![Ok(value); 60])]);
    }
}

/// WriteRequest of TEXT in blocks of 60 octets, of which all but the last stream, or none does.
fn streamed(text: &[u8], streaming: bool) -> Vec<Vec<u8>> {
    let mut request = hex!("06 01 02 0108 01 09 81").to_vec();
    request.push(text.len() as u8);
    request.extend_from_slice(text);
    let pieces: Vec<_> = request.chunks(60).collect();
    let cut = pieces.iter().enumerate().map(|(index, piece)| {
        let control = match index + 1 == pieces.len() {
            true => 0x90,
            false if streaming => 0x50,
            false => 0x10,
        };
        let mut block = vec![0xE0, control, 0, index as u8 + 1, 0, 0, piece.len() as u8];
        block.extend_from_slice(piece);
        block
    });
    cut.collect()
}

#[test]
fn an_old_answer_is_not_given_to_a_request_that_acknowledges_nothing() {
    let success = hex!("0D 01 00");
    for streaming in [true, false] {
        let mut pair = Pair::associated(named(), meter(128));
        let send = |pair: &mut Pair, text: &[u8]| {
            let answers: Vec<_> = streamed(text, streaming).iter().flat_map(|block| ask(pair, block)).collect();
            answers.last().cloned().unwrap_or_default()
        };
        let (first, second) = ([&[0x33; 180][..], b"one"].concat(), [&[0x33; 180][..], b"two"].concat());
        assert!(send(&mut pair, &first).ends_with(&success));
        if streaming {
            // Repeated, because the answer was lost: answered again, and not executed.
            assert!(send(&mut pair, &first).ends_with(&success));
            assert_eq!(pair.meter.written, 1);
        }
        // What is answered with success was executed.
        let answered = send(&mut pair, &second).ends_with(&success);
        assert_eq!(answered, pair.meter.text == second, "streaming {streaming}");
        assert_eq!(answered, !streaming);
        assert!(answered || send(&mut pair, &second).ends_with(&success));
        assert_eq!(pair.meter.text, second);
        assert_eq!(pair.meter.written, 2);
        // Without its first block it says nothing of the rest.
        if streaming {
            let blocks = streamed(&second, true);
            assert!(blocks[1..].iter().all(|block| ask(&mut pair, block).is_empty()));
        }
    }
}

/// A server that only ever says that it is there.
#[test]
fn empty_blocks_do_not_keep_a_request_alive() {
    let config = || Config { general_blocks: GeneralBlocks { window: 1, retries: 3 }, ..only(reader(PASSWORD), 128) };
    let timeout = config().response_timeout_ms;
    for long in [false, true] {
        let mut pair = Pair::associated(config(), meter(128));
        let text = vec![0x44; if long { 1_000 } else { 10 }];
        pair.silent = true;
        pair.client.set(AttributeRequest::whole(TEXT), Data::OctetString(&text), pair.now).unwrap();
        let started = pair.now;
        let mut number = 0_u16;
        let mut line = vec![0; 1_000];
        let failed = (0..200).any(|_| {
            while pair.client.poll_transmit(&mut line).is_some() {}
            pair.now = pair.now.after_ms(timeout / 2);
            number += 1;
            let [a, b] = number.to_be_bytes();
            pair.receive(&[0xE0, 0x01, a, b, 0, 0, 0]);
            pair.client.handle_timeout(pair.now);
            matches!(pair.client.poll_event(), Some(dlms::association::client::Event::Failed(_)))
        });
        assert!(failed, "still waiting after {} ms, long {long}", pair.now.since_ms(started));
    }
}

/// Found by fuzzing: behind a block that nobody sent, the server's are all old, but each acknowledges what the client
/// asked last.
#[test]
fn repeated_blocks_do_not_keep_a_request_alive() {
    let config = Config { general_blocks: GeneralBlocks { window: 28, retries: 3 }, ..only(management(), 128) };
    let timeout = config.response_timeout_ms;
    let mut pair = Pair::associated(config, Meter { rows: 12, ..meter(128) });
    let started = pair.now;
    pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
    pair.push(&hex!("E0 04 001F 0000 00"));
    let happened = pair.drive();
    assert!(matches!(happened[..], [Happened::Failed(_)]), "{happened:?}");
    assert!(pair.now.since_ms(started) <= 5 * timeout, "{} ms", pair.now.since_ms(started));
}

#[test]
fn a_server_without_room_for_data_sends_no_empty_blocks() {
    let empty = |one: &Happened| matches!(one, Happened::Failed(RequestError::Protocol(_)));
    let refusal = DataAccessResult::LongGetAborted;
    let mut refused = [0; 3];
    for room in 0..64 {
        let configs = [reader(PASSWORD), management(), Config { max_pdu: 64, ..named() }];
        for (which, config) in configs.into_iter().enumerate() {
            let mut config = Config { max_pdu: 64, ..config };
            config.conformance = config.conformance.without(Conformance::GENERAL_BLOCK_TRANSFER);
            let mut pair = Pair::associated(config, Meter { rows: 3, row_octets: 30, ..Meter::default() });
            pair.out = dlms::security::HEADROOM + room;
            match which {
                2 => pair.client.read(&[VariableAccess::named(ShortName(0x1008))], pair.now).unwrap(),
                _ => pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap(),
            }
            let happened = pair.drive();
            assert!(!happened.iter().any(empty), "{room}: {happened:?}");
            let aborted = [Happened::Refused(refusal), Happened::Read(vec![Err(refusal)])];
            refused[which] += usize::from(aborted.iter().any(|one| happened.contains(one)));
        }
    }
    assert!(refused.iter().all(|times| *times > 0), "{refused:?}");
}

#[test]
fn a_server_that_sends_blocks_without_data_is_not_followed() {
    let failed = [Happened::Failed(RequestError::Protocol(ProtocolError::EmptyBlock { number: 1 }))];
    let answered = |pair: &mut Pair, apdu: &[u8]| {
        while pair.client.poll_transmit(&mut [0; 1_000]).is_some() {}
        pair.receive(apdu);
        pair.drive()
    };
    let mut pair = Pair::associated(reader(PASSWORD), meter(512));
    pair.seen.clear();
    pair.client.get(AttributeRequest::whole(REGISTER), pair.now).unwrap();
    pair.drive();
    let invoke = pair.seen[0][2];
    let next = |before: u8| 0xC0 | (before.wrapping_add(1) & 0x0F);
    pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
    assert_eq!(answered(&mut pair, &[0xC4, 2, next(invoke), 0, 0, 0, 0, 1, 0, 0]), failed);
    pair.client.action(ECHO, None, pair.now).unwrap();
    assert_eq!(answered(&mut pair, &[0xC7, 2, next(next(invoke)), 0, 0, 0, 0, 1, 0]), failed);

    let mut pair = Pair::associated(Config { max_pdu: 128, ..named() }, meter(512));
    pair.client.read(&[VariableAccess::named(ShortName(0x1008))], pair.now).unwrap();
    assert_eq!(answered(&mut pair, &hex!("0C 01 02 00 0001 00")), failed);
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![5 => Just(Fate::Arrives), 2 => Just(Fate::Lost), 1 => Just(Fate::Twice), 1 => Just(Fate::Late)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is lost, comes twice or too late: each request is executed at most once, an answer is the right one, and
    /// without one the client knows by its deadline.
    #[test]
    fn any_loss_delivers_once_or_fails_in_time(
        fates in proptest::collection::vec(fate(), 0..80),
        window in 1..=63_u8,
        ciphered: bool,
        max_pdu in prop_oneof![Just(128_u16), Just(200), Just(300)],
        which in 0..3_u8,
    ) {
        let mut config = only(if ciphered { management() } else { reader(PASSWORD) }, max_pdu);
        config.general_blocks = GeneralBlocks { window, retries: 3 };
        let timeout = config.response_timeout_ms;
        let mut pair = Pair::associated(config, meter(max_pdu));
        pair.meter.rows = 40;
        let long = vec![0x11; 1_500];
        let echoed = || Happened::Action(ActionResult::Success, Some(Value::OctetString(long.clone())));
        let expected = match which {
            0 => {
                pair.client.get(AttributeRequest::whole(PROFILE), pair.now).unwrap();
                Happened::Value(rows(&pair.meter))
            }
            1 => {
                pair.client.set(AttributeRequest::whole(TEXT), Data::OctetString(&long), pair.now).unwrap();
                Happened::Set(DataAccessResult::Success)
            }
            _ => {
                pair.client.action(ECHO, Some(Data::OctetString(&long)), pair.now).unwrap();
                echoed()
            }
        };
        let started = pair.now;
        let lost = fates.iter().filter(|fate| **fate != Fate::Arrives).count() as u64;
        pair.fates = fates.into_iter().collect();
        let happened = pair.drive();
        prop_assert!(happened == [expected] || matches!(happened[..], [Happened::Failed(_)]), "{happened:?}");
        prop_assert!(lost > 0 || !matches!(happened[..], [Happened::Failed(_)]));
        prop_assert!(pair.meter.invoked <= 1);
        prop_assert!(pair.meter.written <= 1, "written {} times", pair.meter.written);
        prop_assert!(happened != [Happened::Set(DataAccessResult::Success)] || pair.meter.text == long);
        prop_assert!(pair.now.since_ms(started) <= (lost + 1) * 4 * timeout);
        // What is left of it on the way does no harm to the next request.
        pair.fates.clear();
        pair.client.action(ECHO, Some(Data::OctetString(&long)), pair.now).unwrap();
        prop_assert_eq!(pair.drive(), [echoed()]);
    }
}
