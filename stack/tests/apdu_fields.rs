//! Examples and the values they stand for: built by hand, encoded to the octets, decoded from them.

use dlms::acse::{
    Aare, Aarq, ApplicationContext, AssociationResult, AuthenticationValue, Diagnostic, Mechanism, ReleaseReason, Rlrq,
    ServiceUserDiagnostic,
};
use dlms::apdu::{
    AccessRequest, AccessResponse, AccessResult, AccessSpecification, ActionRequest, ActionResponse, ActionResult,
    Apdu, AttributeDescriptor, AttributeRequest, BlockControl, BlockResult, Ciphered, ConfirmedServiceError,
    Conformance, DataAccessResult, DataBlock, DataNotification, EventNotification, ExceptionResponse, Gateway,
    GeneralBlockTransfer, GeneralHeader, GeneralSigning, GetDataResult, GetRequest, GetResponse, InformationReport,
    InitiateRequest, InitiateResponse, InvokeIdAndPriority, KeyInfo, List, LongInvokeIdAndPriority, MethodDescriptor,
    MethodRequest, MethodResult, Protected, ReadRequest, ReadResponse, ReadResult, Selection, ServiceError, ServiceTag,
    SetRequest, SetResponse, StateError, VariableAccess, WriteRequest, WriteResponse, WriteResult, tag,
};
use dlms::axdr::{Data, Writer};
use dlms::id::{AttributeId, ClassId, MethodId, SystemTitle};
use dlms::obis::ObisCode;
use dlms::time::DateTime;

const INVOKE: InvokeIdAndPriority = InvokeIdAndPriority(0xC1);
const CLOCK: AttributeDescriptor = AttributeDescriptor::new(ClassId(8), ObisCode([0, 0, 1, 0, 0, 255]), AttributeId(2));
const ENERGY: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(3), ObisCode([1, 0, 1, 8, 0, 255]), AttributeId(2));
const VALUE: AttributeDescriptor =
    AttributeDescriptor::new(ClassId(1), ObisCode([0, 0, 96, 1, 0, 255]), AttributeId(2));
const DISCONNECT: MethodDescriptor = MethodDescriptor::new(ClassId(70), ObisCode([0, 0, 96, 3, 1, 255]), MethodId(1));
const TIME: [u8; 12] = [0x07, 0xE9, 5, 0x1D, 4, 10, 15, 30, 0, 0xFF, 0x88, 0x80];

fn octets(hex: &str) -> Vec<u8> {
    hex::decode(hex.split_whitespace().collect::<String>()).expect("hex in the test")
}

/// `hex` and `apdu` are the same thing.
fn is(hex: &str, apdu: Apdu<'_>) {
    let input = octets(hex);
    assert_eq!(Apdu::decode_strict(&input).unwrap_or_else(|error| panic!("{hex}: {error}")), apdu);
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room");
    assert_eq!(hex::encode_upper(writer.written()), hex::encode_upper(input), "{apdu:?}");
}

#[test]
fn get() {
    let whole = AttributeRequest::whole;
    is("C001C100080000010000FF0200", Apdu::GetRequest(GetRequest::Normal { invoke: INVOKE, request: whole(CLOCK) }));
    let entries = octets("0204 0600000001 060000000A 120001 120000");
    let parameters = Data::from_slice(&entries).expect("parameters");
    let attribute = AttributeDescriptor::new(ClassId(7), ObisCode([1, 0, 99, 1, 0, 255]), AttributeId(2));
    let request = AttributeRequest { attribute, selection: Some(Selection { selector: 2, parameters }) };
    is(
        "C001C100070100630100FF0201 02 0204 0600000001 060000000A 120001 120000",
        Apdu::GetRequest(GetRequest::Normal { invoke: INVOKE, request }),
    );
    let requests = [whole(CLOCK), whole(ENERGY)];
    is(
        "C003C102 00080000010000FF0200 00030100010800FF0200",
        Apdu::GetRequest(GetRequest::WithList { invoke: INVOKE, requests: List::from(&requests) }),
    );
    is("C002C100000001", Apdu::GetRequest(GetRequest::Next { invoke: INVOKE, number: 1 }));
    let energy = GetDataResult::Data(Data::DoubleLongUnsigned(913));
    is("C401C1000600000391", Apdu::GetResponse(GetResponse::Normal { invoke: INVOKE, result: energy }));
    let undefined = GetDataResult::Error(DataAccessResult::ObjectUndefined);
    is("C401C10104", Apdu::GetResponse(GetResponse::Normal { invoke: INVOKE, result: undefined }));
    let block =
        |last, number, result| Apdu::GetResponse(GetResponse::WithDataBlock { invoke: INVOKE, last, number, result });
    is("C402C1 00 00000001 00 05 0102030405", block(false, 1, BlockResult::Raw(&[1, 2, 3, 4, 5])));
    is("C402C1 01 00000002 01 13", block(true, 2, BlockResult::Error(DataAccessResult::DataBlockNumberInvalid)));
    let results = [energy, GetDataResult::Error(DataAccessResult::ReadWriteDenied)];
    is(
        "C403C102 00 0600000391 01 03",
        Apdu::GetResponse(GetResponse::WithList { invoke: INVOKE, results: List::from(&results) }),
    );
}

#[test]
fn set() {
    let request = AttributeRequest::whole(CLOCK);
    let value = Data::OctetString(&TIME);
    is(
        "C101C100080000010000FF0200 090C07E9051D040A0F1E00FF8880",
        Apdu::SetRequest(SetRequest::Normal { invoke: INVOKE, request, value }),
    );
    let raw = octets("090C07E9051D");
    let block = DataBlock { last: false, number: 1, raw: &raw };
    is(
        "C102C100080000010000FF0200 00 00000001 06 090C07E9051D",
        Apdu::SetRequest(SetRequest::WithFirstDataBlock { invoke: INVOKE, request, block }),
    );
    let block = DataBlock { last: true, number: 2, raw: &TIME[4..] };
    is("C103C1 01 00000002 08 040A0F1E00FF8880", Apdu::SetRequest(SetRequest::WithDataBlock { invoke: INVOKE, block }));
    let requests = [AttributeRequest::whole(VALUE), AttributeRequest::whole(CLOCK)];
    let values = [Data::OctetString(b"12"), value];
    is(
        "C104C102 00010000600100FF0200 00080000010000FF0200 02 09023132 090C07E9051D040A0F1E00FF8880",
        Apdu::SetRequest(SetRequest::WithList {
            invoke: INVOKE,
            requests: List::from(&requests),
            values: List::from(&values),
        }),
    );
    let block = DataBlock { last: false, number: 1, raw: &[2, 9, 2] };
    is(
        "C105C102 00010000600100FF0200 00080000010000FF0200 00 00000001 03 020902",
        Apdu::SetRequest(SetRequest::WithListAndFirstDataBlock {
            invoke: INVOKE,
            requests: List::from(&requests),
            block,
        }),
    );
    let result = DataAccessResult::Success;
    let results = [result, DataAccessResult::ReadWriteDenied];
    is("C501C100", Apdu::SetResponse(SetResponse::Normal { invoke: INVOKE, result }));
    is("C502C100000001", Apdu::SetResponse(SetResponse::DataBlock { invoke: INVOKE, number: 1 }));
    is("C503C1 00 00000002", Apdu::SetResponse(SetResponse::LastDataBlock { invoke: INVOKE, result, number: 2 }));
    is(
        "C504C1 02 0003 00000002",
        Apdu::SetResponse(SetResponse::LastDataBlockWithList {
            invoke: INVOKE,
            results: List::from(&results),
            number: 2,
        }),
    );
    is("C505C1020003", Apdu::SetResponse(SetResponse::WithList { invoke: INVOKE, results: List::from(&results) }));
}

#[test]
fn action() {
    let parameter = Data::Integer(0);
    let request = |parameter| {
        Apdu::ActionRequest(ActionRequest::Normal {
            invoke: INVOKE,
            request: MethodRequest { method: DISCONNECT, parameter },
        })
    };
    is("C301C100460000600301FF01 01 0F00", request(Some(parameter)));
    is("C301C100460000600301FF01 00", request(None));
    let methods = [DISCONNECT, MethodDescriptor { method: MethodId(2), ..DISCONNECT }];
    is(
        "C303C102 00460000600301FF01 00460000600301FF02 02 0F00 00",
        Apdu::ActionRequest(ActionRequest::WithList {
            invoke: INVOKE,
            methods: List::from(&methods),
            parameters: List::from(&[parameter, Data::Null]),
        }),
    );
    let block = DataBlock { last: false, number: 1, raw: &[2, 2, 9, 5] };
    is(
        "C304C100460000600301FF01 00 00000001 04 02020905",
        Apdu::ActionRequest(ActionRequest::WithFirstPBlock { invoke: INVOKE, method: DISCONNECT, block }),
    );
    is(
        "C305C102 00460000600301FF01 00460000600301FF02 00 00000001 04 02020905",
        Apdu::ActionRequest(ActionRequest::WithListAndFirstPBlock {
            invoke: INVOKE,
            methods: List::from(&methods),
            block,
        }),
    );
    is("C306C1 00 00000001 04 02020905", Apdu::ActionRequest(ActionRequest::WithPBlock { invoke: INVOKE, block }));
    is("C302C100000001", Apdu::ActionRequest(ActionRequest::NextPBlock { invoke: INVOKE, number: 1 }));

    let response = |result, data| {
        Apdu::ActionResponse(ActionResponse::Normal { invoke: INVOKE, result: MethodResult { result, data } })
    };
    is("C701C1 00 00", response(ActionResult::Success, None));
    let returned = GetDataResult::Data(Data::OctetString(&[0x11, 0x22]));
    is("C701C1 00 01 00 09021122", response(ActionResult::Success, Some(returned)));
    let undefined = GetDataResult::Error(DataAccessResult::ObjectUndefined);
    is("C701C1 00 01 01 04", response(ActionResult::Success, Some(undefined)));
    is("C701C1 03 00", response(ActionResult::ReadWriteDenied, None));
    is("C702C1 00 00000001 04 02020905", Apdu::ActionResponse(ActionResponse::WithPBlock { invoke: INVOKE, block }));
    let results = [
        MethodResult { result: ActionResult::Success, data: None },
        MethodResult { result: ActionResult::ReadWriteDenied, data: None },
    ];
    is(
        "C703C102 00 00 03 00",
        Apdu::ActionResponse(ActionResponse::WithList { invoke: INVOKE, results: List::from(&results) }),
    );
    is("C704C100000001", Apdu::ActionResponse(ActionResponse::NextPBlock { invoke: INVOKE, number: 1 }));
}

#[test]
fn joined_action_blocks_are_read_whichever_part_they_are_of() {
    let data = Data::OctetString(&[0x11, 0x22]);
    let success = MethodResult { result: ActionResult::Success, data: Some(GetDataResult::Data(data)) };
    for raw in ["00 01 00 09021122", "00 09021122", "09021122"] {
        let raw = octets(raw);
        assert_eq!(MethodResult::from_blocks(&raw), Ok(success), "{raw:02X?}");
    }
    let denied = MethodResult { result: ActionResult::ReadWriteDenied, data: None };
    assert_eq!(MethodResult::from_blocks(&[3, 0]), Ok(denied));
    assert!(MethodResult::from_blocks(&[9, 2, 0x11]).is_err());
}

#[test]
fn short_names() {
    let name = 0xFA10_u16.cast_signed();
    let part = VariableAccess::Parameterized { name, selector: 1, parameters: Data::Unsigned(0) };
    let objects = VariableAccess::Name(0xFA08_u16.cast_signed());
    is("0502 04FA10011100 02FA08", Apdu::ReadRequest(ReadRequest { variables: List::from(&[part, objects]) }));
    is("0501 05 0001", Apdu::ReadRequest(ReadRequest { variables: List::from(&[VariableAccess::BlockNumber(1)]) }));
    let block = VariableAccess::ReadBlock { last: true, number: 2, raw: &[1, 2] };
    is("0501 06 01 0002 02 0102", Apdu::ReadRequest(ReadRequest { variables: List::from(&[block]) }));
    let results = [
        ReadResult::Data(Data::DoubleLongUnsigned(913)),
        ReadResult::Error(DataAccessResult::ObjectUndefined),
        ReadResult::Block { last: false, number: 1, raw: &[1, 2, 3] },
        ReadResult::BlockNumber(4),
    ];
    is(
        "0C04 000600000391 0104 02 00 0001 03 010203 03 0004",
        Apdu::ReadResponse(ReadResponse { results: List::from(&results) }),
    );
    let block = VariableAccess::WriteBlock { last: false, number: 1 };
    is(
        "0601 07 00 0001 01 0903010203",
        Apdu::WriteRequest(WriteRequest {
            variables: List::from(&[block]),
            values: List::from(&[Data::OctetString(&[1, 2, 3])]),
        }),
    );
    let results =
        [WriteResult::Success, WriteResult::Error(DataAccessResult::ReadWriteDenied), WriteResult::BlockNumber(1)];
    is("0D03 00 0103 02 0001", Apdu::WriteResponse(WriteResponse { results: List::from(&results) }));
    is(
        "18 01 0E 3230323530353239313031353330 01 022C08 01 060000002A",
        Apdu::InformationReport(InformationReport {
            time: Some(b"20250529101530"),
            variables: List::from(&[VariableAccess::Name(0x2C08)]),
            values: List::from(&[Data::DoubleLongUnsigned(42)]),
        }),
    );
    // Detailed access is in the standard but not in DLMS.
    assert!(Apdu::decode(&octets("0501 03FA08")).is_err());
}

#[test]
fn access() {
    let specifications = [AccessSpecification::Get(CLOCK), AccessSpecification::Set(VALUE)];
    let invoke = LongInvokeIdAndPriority::new(1, LongInvokeIdAndPriority::CONFIRMED);
    is(
        "D9 40000001 00 02 01 00080000010000FF02 02 00010000600100FF02 02 00 0600000001",
        Apdu::AccessRequest(AccessRequest {
            invoke,
            time: None,
            specifications: List::from(&specifications),
            data: List::from(&[Data::Null, Data::DoubleLongUnsigned(1)]),
        }),
    );
    let results = [AccessResult::Get(DataAccessResult::Success), AccessResult::Action(ActionResult::OtherReason)];
    is(
        "DA 40000001 0C 07E9051D040A0F1E00FF8880 00 02 110A 00 02 01 00 03 FA",
        Apdu::AccessResponse(AccessResponse {
            invoke,
            time: Some(DateTime::from_bytes(&TIME)),
            specifications: None,
            data: List::from(&[Data::Unsigned(10), Data::Null]),
            results: List::from(&results),
        }),
    );
    let selection = Selection { selector: 2, parameters: Data::Null };
    let specifications = [
        AccessSpecification::Action(DISCONNECT),
        AccessSpecification::GetWithSelection { attribute: CLOCK, selection },
        AccessSpecification::SetWithSelection { attribute: VALUE, selection },
    ];
    is(
        "DA 40000001 00 01 03 03 00460000600301FF01 04 00080000010000FF02 02 00 05 00010000600100FF02 02 00 00 00",
        Apdu::AccessResponse(AccessResponse {
            invoke,
            time: None,
            specifications: Some(List::from(&specifications)),
            data: List::from(&[]),
            results: List::from(&[]),
        }),
    );
}

#[test]
fn notifications() {
    let time = Some(DateTime::from_bytes(&TIME));
    is(
        "0F000001DB 0C07E9051D040A0F1E00FF8880 060000002A",
        Apdu::DataNotification(DataNotification {
            invoke: LongInvokeIdAndPriority(0x1DB),
            time,
            body: Data::DoubleLongUnsigned(42),
        }),
    );
    is(
        "C2 01 0C07E9051D040A0F1E00FF8880 00010000600100FF02 0600000001",
        Apdu::EventNotification(EventNotification { time, attribute: VALUE, value: Data::DoubleLongUnsigned(1) }),
    );
}

#[test]
fn errors() {
    is(
        "D80106 00000010",
        Apdu::ExceptionResponse(ExceptionResponse {
            state: StateError::ServiceNotAllowed,
            service: ServiceError::InvocationCounterError(Some(16)),
        }),
    );
    is("0E010601", Apdu::ConfirmedServiceError(ConfirmedServiceError::VERSION_TOO_LOW));
    is("0E010006", Apdu::ConfirmedServiceError(ConfirmedServiceError::DECIPHERING_ERROR));
}

#[test]
fn wrappers() {
    let text = octets("411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B");
    let protected = Protected { control: 0x30, counter: 0x0123_4567, text: &text };
    let title = octets("4D4D4D0000BC614E");
    is(
        "C81E 30 01234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B",
        Apdu::Ciphered(Ciphered::Service { tag: ServiceTag::of(tag::GET_REQUEST, false).expect("a tag"), protected }),
    );
    is(
        "DC 08 4D4D4D0000BC614E 1E 30 01234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B",
        Apdu::Ciphered(Ciphered::GeneralDedicated { system_title: SystemTitle::from_slice(&title), protected }),
    );
    let header = GeneralHeader { transaction_id: &[1, 2], originator: &title, ..GeneralHeader::default() };
    let short = Protected { text: &[0xAA], ..protected };
    for (key, hex) in [
        (None, "00"),
        (Some(KeyInfo::Identified(1)), "01 00 01"),
        (Some(KeyInfo::Wrapped { kek: 0, key: &[7, 8] }), "01 01 00 02 0708"),
        (Some(KeyInfo::Agreed { parameters: &[2], ciphered: &[] }), "01 02 01 02 00"),
    ] {
        is(
            &format!("DD 02 0102 08 4D4D4D0000BC614E 00 00 00 {hex} 06 30 01234567 AA"),
            Apdu::Ciphered(Ciphered::General { header, key, protected: short }),
        );
    }
    is(
        "DF 02 0102 08 4D4D4D0000BC614E 00 00 00 03 D80102 02 0909",
        Apdu::GeneralSigning(GeneralSigning { header, content: &[0xD8, 1, 2], signature: &[9, 9] }),
    );
    is(
        "E0 C2 0003 0001 02 0909",
        Apdu::GeneralBlockTransfer(GeneralBlockTransfer {
            control: BlockControl::new(true, true, 2),
            number: 3,
            acknowledged: 1,
            data: &[9, 9],
        }),
    );
    is(
        "E7 00 02 1234 D80102",
        Apdu::Gateway(Gateway { response: true, network: 0, device: &[0x12, 0x34], apdu: &[0xD8, 1, 2] }),
    );
}

#[test]
fn association() {
    let initiate = octets("01000000065F1F0400007E1F04B0");
    let request = InitiateRequest::new(Conformance::from_bits(0x7E1F), 1200);
    is("01000000065F1F0400007E1F04B0", Apdu::InitiateRequest(request));
    let password = octets("3132333435363738");
    let aarq = Aarq::new(ApplicationContext::LogicalName, &initiate).with_authentication(Mechanism::Lls, &password);
    is(
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F\
         04B0",
        Apdu::Aarq(aarq),
    );
    let title = octets("4D4D4D0000BC614E");
    let challenge = b"P6wRJ21F";
    let information = octets("281F3001234567891214A0845E475738383A91BC197117581D85ADB648D979E2FB");
    let pending = Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationRequired);
    let aare = Aare {
        responding_ap_title: Some(&title),
        authentication: Some(true),
        mechanism: Some(Mechanism::Gmac),
        authentication_value: Some(AuthenticationValue::Charstring(challenge)),
        user_information: Some(&information),
        ..Aare::new(ApplicationContext::LogicalNameCiphered, AssociationResult::Accepted, pending)
    };
    assert!(aare.is_hls_pending());
    is(
        "6161A109060760857405080103A203020100A305A10302010EA40A04084D4D4D0000BC614E88020780890760857405080205AA0A8008\
         503677524A323146BE230421281F3001234567891214A0845E475738383A91BC197117581D85ADB648D979E2FB",
        Apdu::Aare(aare),
    );
    is(
        "0800065F1F040000501F01F40007",
        Apdu::InitiateResponse(InitiateResponse {
            quality_of_service: None,
            version: 6,
            conformance: Conformance::from_bits(0x501F),
            max_receive_pdu: 500,
            vaa_name: InitiateResponse::VAA_LOGICAL_NAME,
        }),
    );
    is("6203800100", Apdu::Rlrq(Rlrq { reason: Some(ReleaseReason::Normal), user_information: None }));
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let key = [0x5A; 16];
    let request = InitiateRequest { dedicated_key: Some(&key), ..InitiateRequest::new(Conformance::GET, 0) };
    let aarq = Aarq::new(ApplicationContext::LogicalName, &[]).with_authentication(Mechanism::Lls, b"ZZZZZZZZ");
    let printed = format!("{request:?} {aarq:?}");
    assert!(!printed.contains("90, 90") && !printed.contains("5A") && !printed.contains("ZZ"), "{printed}");
}

#[test]
fn user_ids_above_127_are_read_in_either_form() {
    for (field, id) in [("A903020105", 5), ("A9040202 00C8", 200), ("A9030201C8", 200)] {
        let input = octets(&format!("60{:02X}A109060760857405080101{field}", 11 + field.replace(' ', "").len() / 2));
        assert_eq!(Aarq::decode(&input).map(|aarq| aarq.user_id()), Ok(Some(id)), "{field}");
    }
}
