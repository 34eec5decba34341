//! The ACCESS service on both sides: first what others have recorded and published, then each rule alone.

mod pair;

use std::collections::VecDeque;
use std::path::PathBuf;

use dlms::Instant;
use dlms::apdu::*;
use dlms::association::client::{AccessItem, AccessOptions, Config, UsageError};
use dlms::association::server::{Access, Association, AssociationConfig, Cursor, Device, Progress};
use dlms::axdr::{Data, Value, Writer};
use dlms::id::{ClientSap, ServerSap, SystemTitle};
use dlms::security::RustCrypto;
use hex_literal::hex;
use pair::*;

/// The options of a request that is to be answered in full.
const ALL: AccessOptions = AccessOptions { break_on_error: false, self_descriptive: false };

/// A meter that gives what a recorded response has, in order, and notes what it is asked.
#[derive(Default)]
struct Recorded {
    values: VecDeque<(AccessResult, Vec<u8>)>,
    asked: Vec<String>,
}

impl Recorded {
    fn next(&mut self, asked: String, out: Option<&mut Writer<'_>>) -> AccessResult {
        self.asked.push(asked);
        let (result, data) = self.values.pop_front().expect("as many as were recorded");
        if let Some(out) = out.filter(|_| data != [0]) {
            out.bytes(&data).expect("room");
        }
        result
    }
}

fn outcome(result: AccessResult) -> Result<(), DataAccessResult> {
    match result {
        AccessResult::Get(DataAccessResult::Success) | AccessResult::Set(DataAccessResult::Success) => Ok(()),
        AccessResult::Get(result) | AccessResult::Set(result) => Err(result),
        AccessResult::Action(other) => panic!("an attribute is not {other}"),
    }
}

impl Device for Recorded {
    fn association(&self, _: ClientSap, _: ServerSap) -> Option<AssociationConfig<'_>> {
        Some(AssociationConfig::public(Conformance::ACCESS, 0xFFFF))
    }

    fn read(
        &mut self,
        _: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        _: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let result = self.next(format!("get {attribute:?} {selection:?}"), Some(out));
        outcome(result).map(|()| Progress::Done)
    }

    fn write(
        &mut self,
        _: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        outcome(self.next(format!("set {attribute:?} {selection:?} {value:?}"), None))
    }

    fn invoke(
        &mut self,
        _: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        match self.next(format!("invoke {method:?} {parameter:?}"), Some(out)) {
            AccessResult::Action(ActionResult::Success) => Ok(()),
            AccessResult::Action(result) => Err(result),
            other => panic!("a method is not {other:?}"),
        }
    }

    fn take_counter(&mut self, _: ServerSap, _: u8) -> Option<u32> {
        None
    }

    fn floor(&self, _: ServerSap, _: u8, _: SystemTitle) -> u32 {
        0
    }

    fn accept_counter(&mut self, _: ServerSap, _: u8, _: SystemTitle, _: u32) {}
}

/// What the items of a request would be noted as.
fn noted(request: &AccessRequest<'_>) -> Vec<String> {
    let items = request.specifications.iter().zip(request.data.iter());
    items
        .map(|(item, data)| match item {
            AccessSpecification::Get(attribute) => format!("get {attribute:?} None"),
            AccessSpecification::GetWithSelection { attribute, selection } => {
                format!("get {attribute:?} {:?}", Some(selection))
            }
            AccessSpecification::Set(attribute) => format!("set {attribute:?} None {data:?}"),
            AccessSpecification::SetWithSelection { attribute, selection } => {
                format!("set {attribute:?} {:?} {data:?}", Some(selection))
            }
            AccessSpecification::Action(method) => {
                format!("invoke {method:?} {:?}", Some(data).filter(|data| *data != Data::Null))
            }
        })
        .collect()
}

/// Items with their values: meters write true as 01 and as FF.
fn results(response: &[u8]) -> Vec<(AccessResult, Value)> {
    let response = AccessResponse::decode(response).expect("a response");
    response.items().map(|(result, data)| (result, Value::from(data))).collect()
}

/// Answers a recorded request and compares with the recorded response.
fn replay(id: &str, request: &[u8], response: &[u8]) {
    let mut request = request.to_vec();
    let decoded = AccessResponse::decode(response).expect("a response");
    let items = decoded.items();
    let values = items.map(|(result, data)| (result, Value::from(data).to_vec())).collect();
    let mut device = Recorded { values, ..Recorded::default() };
    let mut server = Association::<RustCrypto, _>::new(ClientSap(16), ServerSap(1), vec![0; 4_096]);
    let mut out = vec![0; 4_096];
    let mut aarq = hex!("601DA109060760857405080101BE10040E01000000065F1F0400000040FFFF").to_vec();
    server.handle(&mut aarq, Instant::from_millis(0), &mut device, &mut Counting(0), &mut out).expect("an AARE");

    let mut expected = response.to_vec();
    // The time is the meter's own to give.
    let time = usize::from(expected[5]);
    expected.splice(5..6 + time, [0]);
    let asked = noted(&AccessRequest::decode(&request).expect("a request"));
    let place = server
        .handle(&mut request, Instant::from_millis(0), &mut device, &mut Counting(0), &mut out)
        .expect("an answer");
    let answered = &out[place];
    assert_eq!(results(answered), results(&expected), "{id}");
    let differing = answered.iter().zip(&expected).filter(|pair| pair.0 != pair.1);
    assert!(differing.clone().all(|pair| pair == (&0xFF, &1) || pair == (&1, &0xFF)), "{id}: {answered:02X?}");
    assert_eq!(answered.len(), expected.len(), "{id}");
    assert_eq!(device.asked, asked, "{id}");
    assert!(device.values.is_empty(), "{id}");
}

#[test]
fn lesson_27_recorded_requests_get_the_recorded_responses() {
    // The example of the standard's clause.
    let request = hex!("D9 40000001 00 02 01 00080000010000FF02 02 00010000600100FF02 02 00 0600000001");
    replay("published", &request, &hex!("DA 40000001 00 00 02 090C07E9051D040A0F1E00FF8880 00 02 01 00 02 00"));

    let folder = std::env::var_os("DLMS_CAPTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures"), PathBuf::from);
    let mut requests = std::collections::BTreeMap::new();
    let mut count = 0;
    for file in ["apdu.jsonl", "wrapper.jsonl"] {
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else { continue };
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("a record");
            let Some(session) = record["session"].as_str() else { continue };
            let octets = hex::decode(record["hex"].as_str().expect("hex")).expect("hex");
            let octets = if file == "wrapper.jsonl" { &octets[8..] } else { &octets };
            let Some(plain) = innermost(octets) else { continue };
            match plain[0] {
                tag::ACCESS_REQUEST => {
                    requests.insert(session.to_owned(), plain.to_vec());
                }
                tag::ACCESS_RESPONSE => {
                    replay(session, requests.get(session).expect("its request"), plain);
                    count += 1;
                }
                _ => {}
            }
        }
    }
    println!("{count} recorded exchanges");
    assert!(count == 0 || count >= 8, "{count}");
}

/// The ACCESS APDU inside signing and authentication that leave it readable.
fn innermost(octets: &[u8]) -> Option<&[u8]> {
    match Apdu::decode(octets).ok()? {
        Apdu::AccessRequest(_) | Apdu::AccessResponse(_) => Some(octets),
        Apdu::GeneralSigning(signed) => innermost(signed.content),
        // Authenticated only.
        Apdu::Ciphered(Ciphered::General { protected: Protected { control: 0x11, text, .. }, .. }) => {
            innermost(&text[..text.len() - 12])
        }
        _ => None,
    }
}

fn get(attribute: AttributeDescriptor) -> AccessItem<'static> {
    AccessItem::Get(AttributeRequest::whole(attribute))
}

fn set(attribute: AttributeDescriptor, value: Data<'_>) -> AccessItem<'_> {
    AccessItem::Set(AttributeRequest::whole(attribute), value)
}

fn invoke<'a>(method: MethodDescriptor, parameter: Option<Data<'a>>) -> AccessItem<'a> {
    AccessItem::Action(MethodRequest { method, parameter })
}

fn read(result: DataAccessResult) -> AccessResult {
    AccessResult::Get(result)
}

#[test]
fn lesson_22_items_are_executed_in_order_whatever_the_protection() {
    use DataAccessResult::{ObjectUndefined, ReadWriteDenied, Success};
    let general = || {
        let mut config = management();
        config.security.as_mut().unwrap().general = true;
        config
    };
    let unknown = AttributeDescriptor { class: dlms::id::ClassId(99), ..REGISTER };
    for config in [management(), general(), reader(PASSWORD)] {
        let mut pair = Pair::associated(config, Meter { text: b"old".to_vec(), ..Meter::default() });
        let items = [
            get(TEXT),
            set(TEXT, Data::OctetString(b"new")),
            get(TEXT),
            invoke(ECHO, Some(Data::Unsigned(5))),
            invoke(ECHO, None),
            get(DENIED),
            get(unknown),
            set(REGISTER, Data::Null),
            get(REGISTER),
        ];
        pair.client.access(&items, ALL, pair.now).unwrap();
        let text = |text: &[u8]| Value::OctetString(text.to_vec());
        let expected = vec![
            (read(Success), text(b"old")),
            (AccessResult::Set(Success), Value::Null),
            (read(Success), text(b"new")),
            (AccessResult::Action(ActionResult::Success), Value::Unsigned(5)),
            (AccessResult::Action(ActionResult::Success), Value::Null),
            (read(ReadWriteDenied), Value::Null),
            (read(ObjectUndefined), Value::Null),
            (AccessResult::Set(ReadWriteDenied), Value::Null),
            (read(Success), Value::DoubleLongUnsigned(913)),
        ];
        assert_eq!(pair.drive(), [Happened::Access(expected)]);
        assert_eq!(pair.meter.invoked, 2);
    }
}

#[test]
fn a_service_without_a_tag_of_its_own_travels_in_a_general_envelope() {
    for (dedicated, tag) in [(None, 0xDB), (Some([0x33; 16]), 0xDC)] {
        let mut config = management();
        config.security.as_mut().unwrap().dedicated_key =
            dedicated.and_then(|key| dlms::association::Secret::new(&key));
        let mut pair = Pair::associated(config, Meter::default());
        pair.seen.clear();
        pair.client.access(&[get(REGISTER)], ALL, pair.now).unwrap();
        pair.drive();
        assert_eq!([pair.seen[0][0], pair.seen[1][0]], [tag, tag]);
    }
    let mut config = management();
    config.conformance = config.conformance.without(Conformance::GENERAL_PROTECTION);
    let mut pair = Pair::associated(config, Meter::default());
    let refused = Err(UsageError::NotNegotiated { service: "general-protection" });
    assert_eq!(pair.client.access(&[get(REGISTER)], ALL, pair.now), refused);
}

#[test]
fn nothing_behind_a_failure_is_executed_where_it_is_to_break() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    let items = [get(REGISTER), get(DENIED), set(TEXT, Data::OctetString(b"new")), invoke(ECHO, None), get(REGISTER)];
    let options = AccessOptions { break_on_error: true, ..ALL };
    pair.client.access(&items, options, pair.now).unwrap();
    let other = DataAccessResult::OtherReason;
    let expected = vec![
        (read(DataAccessResult::Success), Value::DoubleLongUnsigned(913)),
        (read(DataAccessResult::ReadWriteDenied), Value::Null),
        (AccessResult::Set(other), Value::Null),
        (AccessResult::Action(ActionResult::OtherReason), Value::Null),
        (read(other), Value::Null),
    ];
    assert_eq!(pair.drive(), [Happened::Access(expected)]);
    assert!(pair.meter.text.is_empty());
    assert_eq!(pair.meter.invoked, 0);
}

#[test]
fn a_self_descriptive_answer_repeats_the_items() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    let selection = Selection { selector: 2, parameters: Data::Unsigned(7) };
    let items = [get(REGISTER), AccessItem::Get(AttributeRequest { attribute: TEXT, selection: Some(selection) })];
    pair.seen.clear();
    pair.client.access(&items, AccessOptions { self_descriptive: true, ..ALL }, pair.now).unwrap();
    assert!(matches!(&pair.drive()[..], [Happened::Access(found)] if found.len() == 2));
    let response = AccessResponse::decode(&pair.seen[1]).unwrap();
    let request = AccessRequest::decode(&pair.seen[0]).unwrap();
    assert_eq!(response.specifications, Some(request.specifications));
    assert_eq!(response.invoke, request.invoke);

    pair.client.access(&items, ALL, pair.now).unwrap();
    pair.drive();
    assert_eq!(AccessResponse::decode(&pair.seen[3]).unwrap().specifications, None);
}

fn ask(pair: &mut Pair, apdu: &[u8]) -> Vec<u8> {
    let mut out = [0; 1_024];
    let place = pair.server.handle(&mut apdu.to_vec(), pair.now, &mut pair.meter, &mut pair.random, &mut out);
    place.map(|place| out[place].to_vec()).unwrap_or_default()
}

/// Recorded clients wait for the answer to a request whose service class is unconfirmed.
#[test]
fn an_unconfirmed_request_is_answered_too() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    let set = hex!("D9 00000001 00 01 02 0001 0000600103FF 02 01 09 01 41");
    assert_eq!(ask(&mut pair, &set), hex!("DA 00000001 00 00 01 00 01 02 00"));
    assert_eq!(pair.meter.text, b"A");
}

#[test]
fn a_value_that_is_missing_is_not_set() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    let set = hex!("D9 40000001 00 02 02 0001 0000600103FF 02 02 0001 0000600103FF 02 01 09 01 41");
    assert_eq!(ask(&mut pair, &set), hex!("DA 40000001 00 00 02 00 00 02 02 00 02 0C"));
    assert_eq!(pair.meter.text, b"A");
}

#[test]
fn access_needs_to_be_negotiated() {
    let mut config = reader(PASSWORD);
    config.conformance = config.conformance.without(Conformance::ACCESS);
    let mut pair = Pair::associated(config, Meter::default());
    let refused = Err(UsageError::NotNegotiated { service: "access" });
    assert_eq!(pair.client.access(&[get(REGISTER)], ALL, pair.now), refused);
    let request = hex!("D9 40000001 00 01 01 0003 0100010800FF 02 01 00");
    assert_eq!(ask(&mut pair, &request), hex!("D8 01 02"));
}

#[test]
fn lesson_35_what_does_not_fit_is_dropped_and_the_result_says_so() {
    let narrow = |max_pdu| Config { max_pdu, ..reader(PASSWORD) };
    // Whatever the length of the value in the middle, each item has a result.
    for length in 0..80 {
        let text = vec![0x55; length];
        let mut pair = Pair::associated(narrow(64), Meter { text: text.clone(), ..Meter::default() });
        pair.client.access(&[get(REGISTER), get(TEXT), get(REGISTER)], ALL, pair.now).unwrap();
        let register = (read(DataAccessResult::Success), Value::DoubleLongUnsigned(913));
        let dropped = (read(DataAccessResult::OtherReason), Value::Null);
        // 8 octets of head and 7 of results leave 49 for data: 5 of a register, 2 and its length of the text, and 1 at
        // least for the item behind.
        let kept = length <= 41;
        let expected = vec![
            register.clone(),
            if kept { (read(DataAccessResult::Success), Value::OctetString(text)) } else { dropped.clone() },
            if !kept || length <= 37 { register } else { dropped },
        ];
        assert_eq!(pair.drive(), [Happened::Access(expected)], "{length}");
        assert!(pair.seen.iter().all(|apdu| apdu.len() <= 64), "{length}");
    }
    // With no room for all results nothing is done.
    let mut pair = Pair::associated(narrow(64), Meter::default());
    let mut request = hex!("D9 40000001 00 1E").to_vec();
    (0..30).for_each(|_| request.extend(hex!("02 0001 0000600103FF 02")));
    request.push(30);
    (0..30).for_each(|_| request.extend(hex!("09 01 41")));
    assert_eq!(ask(&mut pair, &request), hex!("D8 01 04"));
    assert!(pair.meter.text.is_empty());
}

#[test]
fn an_answer_of_another_length_or_another_request_is_no_answer() {
    let mut pair = Pair::associated(reader(PASSWORD), Meter::default());
    pair.tamper = Some(|apdu| *apdu = hex!("DA C0000001 00 00 01 00 01 01 00").to_vec());
    pair.client.access(&[get(REGISTER), get(REGISTER)], ALL, pair.now).unwrap();
    assert!(matches!(&pair.drive()[..], [Happened::Failed(_)]));
    // The answer to the request before it came too late.
    pair.client.access(&[get(REGISTER)], ALL, pair.now).unwrap();
    let timed_out = dlms::association::client::RequestError::TimedOut;
    assert_eq!(pair.drive(), [Happened::Failed(timed_out)]);
    pair.tamper = None;
    pair.client.access(&[get(REGISTER)], ALL, pair.now).unwrap();
    assert!(matches!(&pair.drive()[..], [Happened::Access(found)] if found.len() == 1));
}

/// The results stand behind the data: whatever the sizes, a request that was executed has an answer that says so.
#[test]
fn nothing_is_executed_without_an_answer_that_fits() {
    let conformance = Conformance::ACCESS.union(Conformance::SET);
    for max_pdu in 64..=200 {
        let config = Config { max_pdu, conformance, ..Config::public(ServerSap::MANAGEMENT) };
        let mut pair = Pair::associated(config, Meter::default());
        for items in 1..=70_u8 {
            pair.meter.written = 0;
            let mut request = hex!("D9 40000001 00").to_vec();
            request.push(items);
            (0..items).for_each(|_| request.extend(hex!("02 0001 0000600103FF 02")));
            request.push(items);
            (0..items).for_each(|_| request.extend(hex!("09 01 41")));
            let answer = ask(&mut pair, &request);
            let executed = match Apdu::decode(&answer) {
                Ok(Apdu::AccessResponse(response)) => response.items().count() as u32,
                Ok(Apdu::ExceptionResponse(_)) => 0,
                other => panic!("{max_pdu}, {items}: {other:?}"),
            };
            assert_eq!(pair.meter.written, executed, "{max_pdu}, {items}");
            assert!(answer.len() <= usize::from(max_pdu));
        }
    }
}
