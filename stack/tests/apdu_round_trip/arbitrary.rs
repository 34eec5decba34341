//! Arbitrary values of every APDU type.
//!
//! The types borrow, and a strategy's values must own: slices are leaked, which a test process can afford.

use dlms::acse::{
    Aare, Aarq, ApplicationContext, AssociationResult, AuthenticationValue, Diagnostic, Mechanism, ObjectIdentifier,
    ProtocolVersion, ReleaseReason, Rlre, Rlrq,
};
use dlms::apdu::*;
use dlms::axdr::Data;
use dlms::id::{AttributeId, ClassId, MethodId, SystemTitle};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) type Any = BoxedStrategy<Apdu<'static>>;

fn leak<T>(values: Vec<T>) -> &'static [T] {
    values.leak()
}

fn octets(most: usize) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..=most).prop_map(leak)
}

fn length(count: usize) -> Vec<u8> {
    match u8::try_from(count).expect("short lists") {
        short @ 0..=127 => vec![short],
        long => vec![0x81, long],
    }
}

/// The encoding of any value without floats, whose NaN equals nothing.
fn encoded_data() -> impl Strategy<Value = Vec<u8>> {
    let fixed = |tag: u8, octets: usize| vec(any::<u8>(), octets).prop_map(move |value| [vec![tag], value].concat());
    let string =
        |tag: u8| vec(0x20..0x7F_u8, 0..200).prop_map(move |text| [vec![tag], length(text.len()), text].concat());
    let leaf = prop_oneof![
        Just(vec![0x00]),
        Just(vec![0x03, 0x01]),
        Just(vec![0x04, 0x05, 0xA8]),
        fixed(0x05, 4),
        fixed(0x06, 4),
        string(0x09),
        string(0x0A),
        string(0x0C),
        fixed(0x0F, 1),
        fixed(0x10, 2),
        fixed(0x11, 1),
        fixed(0x12, 2),
        fixed(0x14, 8),
        fixed(0x15, 8),
        fixed(0x16, 1),
        fixed(0x19, 12),
        fixed(0x1A, 5),
        fixed(0x1B, 4),
        Just(vec![0xFF]),
    ];
    leaf.prop_recursive(3, 24, 6, |element| {
        (1..=2_u8, vec(element, 0..6))
            .prop_map(|(tag, elements)| [vec![tag], length(elements.len()), elements.concat()].concat())
    })
}

fn data() -> impl Strategy<Value = Data<'static>> {
    encoded_data().prop_map(|encoding| Data::from_slice(leak(encoding)).expect("legal data"))
}

fn list<T: std::fmt::Debug + 'static>(item: impl Strategy<Value = T>) -> impl Strategy<Value = &'static [T]> {
    vec(item, 0..6).prop_map(leak)
}

/// Long enough for a count of two octets.
fn long_list<T: std::fmt::Debug + 'static>(item: impl Strategy<Value = T>) -> impl Strategy<Value = &'static [T]> {
    vec(item, 0..200).prop_map(leak)
}

fn time() -> impl Strategy<Value = Option<DateTime>> {
    option::of(any::<[u8; 12]>().prop_map(|octets| DateTime::from_bytes(&octets)))
}

fn invoke() -> impl Strategy<Value = InvokeIdAndPriority> {
    any::<u8>().prop_map(InvokeIdAndPriority)
}

fn long_invoke() -> impl Strategy<Value = LongInvokeIdAndPriority> {
    any::<u32>().prop_map(LongInvokeIdAndPriority)
}

fn attribute() -> impl Strategy<Value = AttributeDescriptor> {
    (any::<u16>(), any::<[u8; 6]>(), any::<i8>()).prop_map(|(class, instance, attribute)| AttributeDescriptor {
        class: ClassId(class),
        instance: ObisCode(instance),
        attribute: AttributeId(attribute),
    })
}

fn method() -> impl Strategy<Value = MethodDescriptor> {
    (any::<u16>(), any::<[u8; 6]>(), any::<i8>()).prop_map(|(class, instance, method)| MethodDescriptor {
        class: ClassId(class),
        instance: ObisCode(instance),
        method: MethodId(method),
    })
}

fn selection() -> impl Strategy<Value = Selection<'static>> {
    (any::<u8>(), data()).prop_map(|(selector, parameters)| Selection { selector, parameters })
}

fn request() -> impl Strategy<Value = AttributeRequest<'static>> {
    (attribute(), option::of(selection())).prop_map(|(attribute, selection)| AttributeRequest { attribute, selection })
}

fn access_result() -> impl Strategy<Value = DataAccessResult> {
    any::<u8>().prop_map(DataAccessResult::from_code)
}

fn action_result() -> impl Strategy<Value = ActionResult> {
    any::<u8>().prop_map(ActionResult::from_code)
}

fn get_data_result() -> impl Strategy<Value = GetDataResult<'static>> {
    prop_oneof![data().prop_map(GetDataResult::Data), access_result().prop_map(GetDataResult::Error)]
}

fn method_result() -> impl Strategy<Value = MethodResult<'static>> {
    (action_result(), option::of(get_data_result())).prop_map(|(result, data)| MethodResult { result, data })
}

fn block() -> impl Strategy<Value = DataBlock<'static>> {
    (any::<bool>(), any::<u32>(), octets(300)).prop_map(|(last, number, raw)| DataBlock { last, number, raw })
}

pub(crate) fn get_request() -> Any {
    prop_oneof![
        (invoke(), request()).prop_map(|(invoke, request)| GetRequest::Normal { invoke, request }),
        (invoke(), any::<u32>()).prop_map(|(invoke, number)| GetRequest::Next { invoke, number }),
        (invoke(), list(request()))
            .prop_map(|(invoke, requests)| GetRequest::WithList { invoke, requests: List::from(requests) }),
    ]
    .prop_map(Apdu::GetRequest)
    .boxed()
}

pub(crate) fn get_response() -> Any {
    let result = prop_oneof![octets(300).prop_map(BlockResult::Raw), access_result().prop_map(BlockResult::Error)];
    prop_oneof![
        (invoke(), get_data_result()).prop_map(|(invoke, result)| GetResponse::Normal { invoke, result }),
        (invoke(), any::<bool>(), any::<u32>(), result)
            .prop_map(|(invoke, last, number, result)| GetResponse::WithDataBlock { invoke, last, number, result }),
        (invoke(), list(get_data_result()))
            .prop_map(|(invoke, results)| GetResponse::WithList { invoke, results: List::from(results) }),
    ]
    .prop_map(Apdu::GetResponse)
    .boxed()
}

pub(crate) fn set_request() -> Any {
    prop_oneof![
        (invoke(), request(), data()).prop_map(|(invoke, request, value)| SetRequest::Normal {
            invoke,
            request,
            value
        }),
        (invoke(), request(), block()).prop_map(|(invoke, request, block)| SetRequest::WithFirstDataBlock {
            invoke,
            request,
            block
        }),
        (invoke(), block()).prop_map(|(invoke, block)| SetRequest::WithDataBlock { invoke, block }),
        (invoke(), list(request()), list(data())).prop_map(|(invoke, requests, values)| SetRequest::WithList {
            invoke,
            requests: List::from(requests),
            values: List::from(values),
        }),
        (invoke(), list(request()), block()).prop_map(|(invoke, requests, block)| {
            SetRequest::WithListAndFirstDataBlock { invoke, requests: List::from(requests), block }
        }),
    ]
    .prop_map(Apdu::SetRequest)
    .boxed()
}

pub(crate) fn set_response() -> Any {
    prop_oneof![
        (invoke(), access_result()).prop_map(|(invoke, result)| SetResponse::Normal { invoke, result }),
        (invoke(), any::<u32>()).prop_map(|(invoke, number)| SetResponse::DataBlock { invoke, number }),
        (invoke(), access_result(), any::<u32>()).prop_map(|(invoke, result, number)| SetResponse::LastDataBlock {
            invoke,
            result,
            number
        }),
        (invoke(), long_list(access_result()), any::<u32>()).prop_map(|(invoke, results, number)| {
            SetResponse::LastDataBlockWithList { invoke, results: List::from(results), number }
        }),
        (invoke(), long_list(access_result()))
            .prop_map(|(invoke, results)| SetResponse::WithList { invoke, results: List::from(results) }),
    ]
    .prop_map(Apdu::SetResponse)
    .boxed()
}

pub(crate) fn action_request() -> Any {
    let call = (method(), option::of(data())).prop_map(|(method, parameter)| MethodRequest { method, parameter });
    prop_oneof![
        (invoke(), call).prop_map(|(invoke, request)| ActionRequest::Normal { invoke, request }),
        (invoke(), any::<u32>()).prop_map(|(invoke, number)| ActionRequest::NextPBlock { invoke, number }),
        (invoke(), list(method()), list(data())).prop_map(|(invoke, methods, parameters)| ActionRequest::WithList {
            invoke,
            methods: List::from(methods),
            parameters: List::from(parameters),
        }),
        (invoke(), method(), block()).prop_map(|(invoke, method, block)| ActionRequest::WithFirstPBlock {
            invoke,
            method,
            block
        }),
        (invoke(), list(method()), block()).prop_map(|(invoke, methods, block)| {
            ActionRequest::WithListAndFirstPBlock { invoke, methods: List::from(methods), block }
        }),
        (invoke(), block()).prop_map(|(invoke, block)| ActionRequest::WithPBlock { invoke, block }),
    ]
    .prop_map(Apdu::ActionRequest)
    .boxed()
}

pub(crate) fn action_response() -> Any {
    prop_oneof![
        (invoke(), method_result()).prop_map(|(invoke, result)| ActionResponse::Normal { invoke, result }),
        (invoke(), block()).prop_map(|(invoke, block)| ActionResponse::WithPBlock { invoke, block }),
        (invoke(), list(method_result()))
            .prop_map(|(invoke, results)| ActionResponse::WithList { invoke, results: List::from(results) }),
        (invoke(), any::<u32>()).prop_map(|(invoke, number)| ActionResponse::NextPBlock { invoke, number }),
    ]
    .prop_map(Apdu::ActionResponse)
    .boxed()
}

fn access_specification() -> impl Strategy<Value = AccessSpecification<'static>> {
    prop_oneof![
        attribute().prop_map(AccessSpecification::Get),
        attribute().prop_map(AccessSpecification::Set),
        method().prop_map(AccessSpecification::Action),
        (attribute(), selection())
            .prop_map(|(attribute, selection)| AccessSpecification::GetWithSelection { attribute, selection }),
        (attribute(), selection())
            .prop_map(|(attribute, selection)| AccessSpecification::SetWithSelection { attribute, selection }),
    ]
}

pub(crate) fn access_request() -> Any {
    (long_invoke(), time(), list(access_specification()), list(data()))
        .prop_map(|(invoke, time, specifications, data)| {
            Apdu::AccessRequest(AccessRequest {
                invoke,
                time,
                specifications: List::from(specifications),
                data: List::from(data),
            })
        })
        .boxed()
}

pub(crate) fn access_response() -> Any {
    let result = prop_oneof![
        access_result().prop_map(AccessResult::Get),
        access_result().prop_map(AccessResult::Set),
        action_result().prop_map(AccessResult::Action),
    ];
    (long_invoke(), time(), option::of(list(access_specification())), list(data()), list(result))
        .prop_map(|(invoke, time, specifications, data, results)| {
            Apdu::AccessResponse(AccessResponse {
                invoke,
                time,
                specifications: specifications.map(List::from),
                data: List::from(data),
                results: List::from(results),
            })
        })
        .boxed()
}

fn variable() -> impl Strategy<Value = VariableAccess<'static>> {
    prop_oneof![
        any::<i16>().prop_map(VariableAccess::Name),
        (any::<i16>(), any::<u8>(), data()).prop_map(|(name, selector, parameters)| VariableAccess::Parameterized {
            name,
            selector,
            parameters
        }),
        any::<u16>().prop_map(VariableAccess::BlockNumber),
        (any::<bool>(), any::<u16>(), octets(200)).prop_map(|(last, number, raw)| VariableAccess::ReadBlock {
            last,
            number,
            raw
        }),
        (any::<bool>(), any::<u16>()).prop_map(|(last, number)| VariableAccess::WriteBlock { last, number }),
    ]
}

fn variables() -> impl Strategy<Value = List<'static, VariableAccess<'static>>> {
    list(variable()).prop_map(List::from)
}

fn values() -> impl Strategy<Value = List<'static, Data<'static>>> {
    list(data()).prop_map(List::from)
}

pub(crate) fn read_request() -> Any {
    variables().prop_map(|variables| Apdu::ReadRequest(ReadRequest { variables })).boxed()
}

pub(crate) fn read_response() -> Any {
    let result = prop_oneof![
        data().prop_map(ReadResult::Data),
        access_result().prop_map(ReadResult::Error),
        (any::<bool>(), any::<u16>(), octets(200)).prop_map(|(last, number, raw)| ReadResult::Block {
            last,
            number,
            raw
        }),
        any::<u16>().prop_map(ReadResult::BlockNumber),
    ];
    list(result).prop_map(|results| Apdu::ReadResponse(ReadResponse { results: List::from(results) })).boxed()
}

pub(crate) fn write_request() -> Any {
    (variables(), values())
        .prop_map(|(variables, values)| Apdu::WriteRequest(WriteRequest { variables, values }))
        .boxed()
}

pub(crate) fn write_response() -> Any {
    let result = prop_oneof![
        Just(WriteResult::Success),
        access_result().prop_map(WriteResult::Error),
        any::<u16>().prop_map(WriteResult::BlockNumber),
    ];
    list(result).prop_map(|results| Apdu::WriteResponse(WriteResponse { results: List::from(results) })).boxed()
}

pub(crate) fn unconfirmed_write_request() -> Any {
    (variables(), values())
        .prop_map(|(variables, values)| Apdu::UnconfirmedWriteRequest(UnconfirmedWriteRequest { variables, values }))
        .boxed()
}

pub(crate) fn information_report() -> Any {
    (option::of(octets(20)), variables(), values())
        .prop_map(|(time, variables, values)| Apdu::InformationReport(InformationReport { time, variables, values }))
        .boxed()
}

pub(crate) fn event_notification() -> Any {
    (time(), attribute(), data())
        .prop_map(|(time, attribute, value)| Apdu::EventNotification(EventNotification { time, attribute, value }))
        .boxed()
}

pub(crate) fn data_notification() -> Any {
    (long_invoke(), time(), data())
        .prop_map(|(invoke, time, body)| Apdu::DataNotification(DataNotification { invoke, time, body }))
        .boxed()
}

pub(crate) fn data_notification_confirm() -> Any {
    (long_invoke(), time())
        .prop_map(|(invoke, time)| Apdu::DataNotificationConfirm(DataNotificationConfirm { invoke, time }))
        .boxed()
}

pub(crate) fn exception_response() -> Any {
    let service = prop_oneof![
        Just(ServiceError::OperationNotPossible),
        Just(ServiceError::ServiceNotSupported),
        Just(ServiceError::OtherReason),
        Just(ServiceError::PduTooLong),
        Just(ServiceError::DecipheringError),
        any::<u32>().prop_map(|counter| ServiceError::InvocationCounterError(Some(counter))),
        (7..=255_u8).prop_map(ServiceError::Other),
    ];
    (any::<u8>().prop_map(StateError::from), service)
        .prop_map(|(state, service)| Apdu::ExceptionResponse(ExceptionResponse { state, service }))
        .boxed()
}

pub(crate) fn confirmed_service_error() -> Any {
    any::<(u8, u8, u8)>()
        .prop_map(|(service, class, value)| {
            Apdu::ConfirmedServiceError(ConfirmedServiceError { service, class, value })
        })
        .boxed()
}

pub(crate) fn general_block_transfer() -> Any {
    (any::<u8>(), any::<u16>(), any::<u16>(), octets(300))
        .prop_map(|(control, number, acknowledged, data)| {
            Apdu::GeneralBlockTransfer(GeneralBlockTransfer {
                control: BlockControl(control),
                number,
                acknowledged,
                data,
            })
        })
        .boxed()
}

fn header() -> impl Strategy<Value = GeneralHeader<'static>> {
    (octets(16), octets(8), octets(8), octets(12), octets(40)).prop_map(
        |(transaction_id, originator, recipient, date_time, other_information)| GeneralHeader {
            transaction_id,
            originator,
            recipient,
            date_time,
            other_information,
        },
    )
}

pub(crate) fn general_signing() -> Any {
    (header(), octets(300), octets(96))
        .prop_map(|(header, content, signature)| Apdu::GeneralSigning(GeneralSigning { header, content, signature }))
        .boxed()
}

fn protected() -> impl Strategy<Value = Protected<'static>> {
    (any::<u8>(), any::<u32>(), octets(300)).prop_map(|(control, counter, text)| Protected { control, counter, text })
}

pub(crate) fn ciphered() -> Any {
    let title = any::<[u8; 8]>().prop_map(|octets| Some(SystemTitle(octets)));
    let tags: Vec<_> = (0..=255).filter_map(ServiceTag::new).collect();
    let key = prop_oneof![
        any::<u8>().prop_map(KeyInfo::Identified),
        (any::<u8>(), octets(40)).prop_map(|(kek, key)| KeyInfo::Wrapped { kek, key }),
        (octets(2), octets(192)).prop_map(|(parameters, ciphered)| KeyInfo::Agreed { parameters, ciphered }),
    ];
    prop_oneof![
        (prop::sample::select(tags), protected()).prop_map(|(tag, protected)| Ciphered::Service { tag, protected }),
        (title.clone(), protected())
            .prop_map(|(system_title, protected)| Ciphered::GeneralGlobal { system_title, protected }),
        (title, protected())
            .prop_map(|(system_title, protected)| Ciphered::GeneralDedicated { system_title, protected }),
        (header(), option::of(key), protected()).prop_map(|(header, key, protected)| Ciphered::General {
            header,
            key,
            protected
        }),
    ]
    .prop_map(Apdu::Ciphered)
    .boxed()
}

pub(crate) fn gateway() -> Any {
    (any::<bool>(), any::<u8>(), octets(20), octets(300))
        .prop_map(|(response, network, device, apdu)| Apdu::Gateway(Gateway { response, network, device, apdu }))
        .boxed()
}

fn conformance() -> impl Strategy<Value = Conformance> {
    any::<u32>().prop_map(Conformance::from_bits)
}

pub(crate) fn initiate_request() -> Any {
    (option::of(octets(32)), any::<bool>(), any::<Option<i8>>(), any::<u8>(), conformance(), any::<u16>())
        .prop_map(|(dedicated_key, response_allowed, quality_of_service, version, conformance, max_receive_pdu)| {
            Apdu::InitiateRequest(InitiateRequest {
                dedicated_key,
                response_allowed,
                quality_of_service,
                version,
                conformance,
                max_receive_pdu,
            })
        })
        .boxed()
}

pub(crate) fn initiate_response() -> Any {
    (any::<Option<i8>>(), any::<u8>(), conformance(), any::<u16>(), any::<u16>())
        .prop_map(|(quality_of_service, version, conformance, max_receive_pdu, vaa_name)| {
            Apdu::InitiateResponse(InitiateResponse {
                quality_of_service,
                version,
                conformance,
                max_receive_pdu,
                vaa_name,
            })
        })
        .boxed()
}

fn identifier() -> impl Strategy<Value = ObjectIdentifier> {
    prop_oneof![
        (1..=2_u8, 0..=9_u8).prop_map(|(kind, last)| vec![0x60, 0x85, 0x74, 0x05, 0x08, kind, last]),
        vec(0..0x80_u8, 1..=16),
    ]
    .prop_map(|contents| ObjectIdentifier::from_slice(&contents).expect("1 to 16 octets"))
}

fn authentication_value() -> impl Strategy<Value = AuthenticationValue<'static>> {
    prop_oneof![
        octets(64).prop_map(AuthenticationValue::Charstring),
        octets(64).prop_map(AuthenticationValue::Bitstring),
    ]
}

prop_compose! {
    pub(crate) fn any_aarq()(
        version in option::of(Just(ProtocolVersion::VERSION_1)),
        (context, mechanism) in (identifier(), option::of(identifier())),
        titles in (option::of(octets(8)), option::of(octets(8))),
        qualifiers in (option::of(octets(8)), option::of(octets(300))),
        ids in any::<[Option<i32>; 4]>(),
        authentication in any::<Option<bool>>(),
        value in option::of(authentication_value()),
        (implementation, user) in (option::of(octets(20)), option::of(octets(300))),
    ) -> Aarq<'static> {
        Aarq {
            protocol_version: version,
            context: ApplicationContext::from(context),
            called_ap_title: titles.0,
            called_ae_qualifier: qualifiers.0,
            called_ap_invocation_id: ids[0],
            called_ae_invocation_id: ids[1],
            calling_ap_title: titles.1,
            calling_ae_qualifier: qualifiers.1,
            calling_ap_invocation_id: ids[2],
            calling_ae_invocation_id: ids[3],
            authentication,
            mechanism: mechanism.map(Mechanism::from),
            authentication_value: value,
            implementation_information: implementation,
            user_information: user,
        }
    }
}

prop_compose! {
    pub(crate) fn any_aare()(
        aarq in any_aarq(),
        result in any::<u8>(),
        (provider, diagnostic) in any::<(bool, u8)>(),
    ) -> Aare<'static> {
        let diagnostic = if provider {
            Diagnostic::ServiceProvider(diagnostic.into())
        } else {
            Diagnostic::ServiceUser(diagnostic.into())
        };
        Aare {
            protocol_version: aarq.protocol_version,
            context: aarq.context,
            result: AssociationResult::from(result),
            diagnostic,
            responding_ap_title: aarq.calling_ap_title,
            responding_ae_qualifier: aarq.calling_ae_qualifier,
            responding_ap_invocation_id: aarq.calling_ap_invocation_id,
            responding_ae_invocation_id: aarq.calling_ae_invocation_id,
            authentication: aarq.authentication,
            mechanism: aarq.mechanism,
            authentication_value: aarq.authentication_value,
            implementation_information: aarq.implementation_information,
            user_information: aarq.user_information,
        }
    }
}

pub(crate) fn aarq() -> Any {
    any_aarq().prop_map(Apdu::Aarq).boxed()
}

pub(crate) fn aare() -> Any {
    any_aare().prop_map(Apdu::Aare).boxed()
}

fn release() -> impl Strategy<Value = (Option<ReleaseReason>, Option<&'static [u8]>)> {
    (option::of(any::<u8>().prop_map(ReleaseReason::from)), option::of(octets(60)))
}

pub(crate) fn rlrq() -> Any {
    release().prop_map(|(reason, user_information)| Apdu::Rlrq(Rlrq { reason, user_information })).boxed()
}

pub(crate) fn rlre() -> Any {
    release().prop_map(|(reason, user_information)| Apdu::Rlre(Rlre { reason, user_information })).boxed()
}
