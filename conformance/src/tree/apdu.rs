//! xDLMS and ACSE APDUs as trees. What is ciphered or nested is left to the caller, who has the keys.

use dlms::acse::{Aare, Aarq, Diagnostic, ProtocolVersion, Rlre, Rlrq};
use dlms::apdu::{
    AccessRequest, AccessResponse, AccessResult, AccessSpecification, ActionRequest, ActionResponse, Apdu,
    AttributeDescriptor, AttributeRequest, BlockResult, Conformance, DataAccessResult, DataBlock, GeneralHeader,
    GetDataResult, GetRequest, GetResponse, InitiateRequest, InitiateResponse, InvokeIdAndPriority, KeyInfo, List,
    LongInvokeIdAndPriority, MethodDescriptor, MethodResult, ReadResult, Selection, ServiceError, SetRequest,
    SetResponse, VariableAccess, WriteResult,
};
use dlms::axdr::{Data, Writer};
use dlms::obis::ObisCode;
use dlms::time::DateTime;
use serde_json::Value;

use super::data::data;
use super::{Parts, Place, Tree};

/// The tree of an APDU whose octets lie in `place`, without what is ciphered, signed or nested in it.
pub fn apdu(apdu: &Apdu<'_>, place: Place<'_>) -> Parts {
    let parts = Parts::of(apdu.name());
    match apdu {
        Apdu::Aarq(aarq) => self::aarq(parts, aarq),
        Apdu::Aare(aare) => self::aare(parts, aare),
        Apdu::Rlrq(Rlrq { reason, .. }) | Apdu::Rlre(Rlre { reason, .. }) => {
            parts.with_some("reason", reason.map(|reason| reason.code()))
        }
        Apdu::InitiateRequest(request) => initiate_request(parts, request),
        Apdu::InitiateResponse(response) => initiate_response(parts, response),
        Apdu::GetRequest(request) => get_request(parts, request, place),
        Apdu::GetResponse(response) => get_response(parts, response, place),
        Apdu::SetRequest(request) => set_request(parts, request, place),
        Apdu::SetResponse(response) => set_response(parts, response, place),
        Apdu::ActionRequest(request) => action_request(parts, request, place),
        Apdu::ActionResponse(response) => action_response(parts, response, place),
        Apdu::AccessRequest(request) => access_request(parts, request, place),
        Apdu::AccessResponse(response) => access_response(parts, response, place),
        Apdu::ReadRequest(request) => parts.with("items", list(&request.variables, |item| variable(&item, place))),
        Apdu::ReadResponse(response) => parts.with("items", list(&response.results, |item| read_result(&item, place))),
        Apdu::WriteRequest(request) => parts
            .with("items", list(&request.variables, |item| variable(&item, place)))
            .with("data", list(&request.values, |value| data(&value, place))),
        Apdu::UnconfirmedWriteRequest(request) => parts
            .with("items", list(&request.variables, |item| variable(&item, place)))
            .with("data", list(&request.values, |value| data(&value, place))),
        Apdu::WriteResponse(response) => parts.with("items", list(&response.results, write_result)),
        Apdu::InformationReport(report) => parts
            .with("time", report.time.map(Tree::hex))
            .with("items", list(&report.variables, |item| variable(&item, place)))
            .with("data", list(&report.values, |value| data(&value, place))),
        Apdu::EventNotification(event) => attribute(parts.with("time", event.time.map(time)), &event.attribute, None)
            .with("data", last(&event.value, place)),
        Apdu::DataNotification(push) => parts
            .with("long-invoke", long_invoke(push.invoke).at(place.at(1)))
            .with("date-time", push.time.map(|value| time(value).at(place.at(5))))
            .with("body", last(&push.body, place)),
        Apdu::DataNotificationConfirm(confirm) => {
            parts.with("long-invoke", long_invoke(confirm.invoke)).with("date-time", time_or_empty(confirm.time))
        }
        Apdu::ExceptionResponse(exception) => {
            let parts =
                parts.with("state-error", exception.state.code()).with("service-error", exception.service.code());
            match exception.service {
                ServiceError::InvocationCounterError(counter) => parts.with_some("invocation-counter", counter),
                _ => parts,
            }
        }
        Apdu::ConfirmedServiceError(error) => {
            parts.with("service", error.service).with("error-class", error.class).with("error", error.value)
        }
        Apdu::GeneralBlockTransfer(block) => parts
            .with("last", block.control.is_last())
            .with("streaming", block.control.is_streaming())
            .with("window", block.control.window())
            .with("block", block.number)
            .with("block-ack", block.acknowledged)
            .with("raw", octets(block.data, place)),
        Apdu::GeneralSigning(signing) => {
            general_header(parts, &signing.header).with("signature", Tree::hex(signing.signature))
        }
        Apdu::Ciphered(_) => parts,
        Apdu::Gateway(gateway) => parts.with("network", gateway.network).with("device", octets(gateway.device, place)),
    }
}

fn aarq(parts: Parts, aarq: &Aarq<'_>) -> Parts {
    parts
        .with_some("protocol-version", aarq.protocol_version.map(protocol_version))
        .with("application-context", aarq.context.identifier().to_string())
        .with_some("called-ap-title", aarq.called_ap_title.map(Tree::hex))
        .with_some("called-ae-qualifier", aarq.called_ae_qualifier.map(Tree::hex))
        .with_some("called-ap-invocation-id", aarq.called_ap_invocation_id)
        .with_some("called-ae-invocation-id", aarq.called_ae_invocation_id)
        .with_some("calling-ap-title", aarq.calling_ap_title.map(Tree::hex))
        .with_some("calling-ae-qualifier", aarq.calling_ae_qualifier.map(Tree::hex))
        .with_some("calling-ap-invocation-id", aarq.calling_ap_invocation_id)
        .with_some("calling-ae-invocation-id", aarq.calling_ae_invocation_id)
        .with_some("acse-requirements", aarq.authentication.map(requirements))
        .with_some("mechanism", aarq.mechanism.map(|mechanism| mechanism.identifier().to_string()))
        .with_some("calling-auth", aarq.authentication_value.map(|value| Tree::hex(value.as_bytes())))
        .with_some("implementation-information", aarq.implementation_information.map(Tree::hex))
}

fn aare(parts: Parts, aare: &Aare<'_>) -> Parts {
    let (source, diagnostic) = match aare.diagnostic {
        Diagnostic::ServiceUser(diagnostic) => ("user", diagnostic.code()),
        Diagnostic::ServiceProvider(diagnostic) => ("provider", diagnostic.code()),
    };
    parts
        .with_some("protocol-version", aare.protocol_version.map(protocol_version))
        .with("application-context", aare.context.identifier().to_string())
        .with("result", aare.result.code())
        .with("result-source", source)
        .with("diagnostic", diagnostic)
        .with_some("responding-ap-title", aare.responding_ap_title.map(Tree::hex))
        .with_some("responding-ae-qualifier", aare.responding_ae_qualifier.map(Tree::hex))
        .with_some("responding-ap-invocation-id", aare.responding_ap_invocation_id)
        .with_some("responding-ae-invocation-id", aare.responding_ae_invocation_id)
        .with_some("acse-requirements", aare.authentication.map(requirements))
        .with_some("mechanism", aare.mechanism.map(|mechanism| mechanism.identifier().to_string()))
        .with_some("responding-auth", aare.authentication_value.map(|value| Tree::hex(value.as_bytes())))
        .with_some("implementation-information", aare.implementation_information.map(Tree::hex))
}

/// BIT STRING contents: the number of unused bits, then the bits.
fn protocol_version(version: ProtocolVersion) -> Tree {
    Tree::hex(&[version.unused, version.bits])
}

fn requirements(authentication: bool) -> Tree {
    Tree::hex(&[7, if authentication { 0x80 } else { 0 }])
}

fn initiate_request(parts: Parts, request: &InitiateRequest<'_>) -> Parts {
    parts
        .with("dedicated-key", request.dedicated_key.map(Tree::hex))
        .with("response-allowed", request.response_allowed)
        .with("quality-of-service", request.quality_of_service)
        .with("dlms-version", request.version)
        .with("conformance", conformance(request.conformance))
        .with("max-pdu", request.max_receive_pdu)
}

fn initiate_response(parts: Parts, response: &InitiateResponse) -> Parts {
    parts
        .with("quality-of-service", response.quality_of_service)
        .with("dlms-version", response.version)
        .with("conformance", conformance(response.conformance))
        .with("max-pdu", response.max_receive_pdu)
        .with("vaa", Tree::hex(&response.vaa_name.to_be_bytes()))
}

fn conformance(bits: Conformance) -> Tree {
    let names: Vec<Tree> = bits.names().map(Tree::from).collect();
    Tree::Map(vec![("hex".into(), Tree::hex(&bits.to_bytes())), ("bits".into(), names.into())])
}

fn get_request(parts: Parts, request: &GetRequest<'_>, place: Place<'_>) -> Parts {
    let parts = parts.with("invoke", invoke(request.invoke()).at(place.at(2)));
    match request {
        GetRequest::Normal { request, .. } => attribute_request(parts, request, Some(place.at(3)), place),
        GetRequest::Next { number, .. } => parts.with("block", Tree::from(*number).at(place.at(3))),
        GetRequest::WithList { requests, .. } => {
            parts.with("items", list(requests, |item| attribute_request(Parts::default(), &item, None, place).into()))
        }
    }
}

fn get_response(parts: Parts, response: &GetResponse<'_>, place: Place<'_>) -> Parts {
    let parts = parts.with("invoke", invoke(response.invoke()).at(place.at(2)));
    match response {
        GetResponse::Normal { result: GetDataResult::Data(value), .. } => parts.with("data", last(value, place)),
        GetResponse::Normal { result: GetDataResult::Error(error), .. } => {
            parts.with("data-access-result", Tree::from(error.code()).at(place.at(4)))
        }
        GetResponse::WithDataBlock { last, number, result, .. } => {
            let parts = parts.with("last", *last).with("block", *number);
            match result {
                BlockResult::Raw(raw) => parts.with("raw", octets(raw, place)),
                BlockResult::Error(error) => parts.with("data-access-result", error.code()),
            }
        }
        GetResponse::WithList { results, .. } => {
            parts.with("items", list(results, |item| get_data_result(Parts::default(), &item, place).into()))
        }
    }
}

fn set_request(parts: Parts, request: &SetRequest<'_>, place: Place<'_>) -> Parts {
    let parts = parts.with("invoke", invoke(request.invoke()).at(place.at(2)));
    let items = |requests: &List<'_, AttributeRequest<'_>>| {
        list(requests, |item| attribute_request(Parts::default(), &item, None, place).into())
    };
    match request {
        SetRequest::Normal { request, value, .. } => {
            attribute_request(parts, request, Some(place.at(3)), place).with("data", last(value, place))
        }
        SetRequest::WithFirstDataBlock { request, block, .. } => {
            self::block(attribute_request(parts, request, Some(place.at(3)), place), block, place)
        }
        SetRequest::WithDataBlock { block, .. } => self::block(parts, block, place),
        SetRequest::WithList { requests, values, .. } => {
            parts.with("items", items(requests)).with("data", list(values, |value| data(&value, place)))
        }
        SetRequest::WithListAndFirstDataBlock { requests, block, .. } => {
            self::block(parts.with("items", items(requests)), block, place)
        }
    }
}

fn set_response(parts: Parts, response: &SetResponse<'_>, place: Place<'_>) -> Parts {
    let parts = parts.with("invoke", invoke(response.invoke()).at(place.at(2)));
    let results = |results: &List<'_, DataAccessResult>| list(results, |result| result.code().into());
    match response {
        SetResponse::Normal { result, .. } => parts.with("result", result.code()),
        SetResponse::DataBlock { number, .. } => parts.with("block", *number),
        SetResponse::LastDataBlock { result, number, .. } => parts.with("result", result.code()).with("block", *number),
        SetResponse::LastDataBlockWithList { results: codes, number, .. } => {
            parts.with("results", results(codes)).with("block", *number)
        }
        SetResponse::WithList { results: codes, .. } => parts.with("results", results(codes)),
    }
}

fn action_request(parts: Parts, request: &ActionRequest<'_>, place: Place<'_>) -> Parts {
    let parts = parts.with("invoke", invoke(request.invoke()).at(place.at(2)));
    let items =
        |methods: &List<'_, MethodDescriptor>| list(methods, |item| method(Parts::default(), &item, None).into());
    match request {
        ActionRequest::Normal { request, .. } => method(parts, &request.method, Some(place.at(3)))
            .with("data", request.parameter.map(|value| last(&value, place))),
        ActionRequest::NextPBlock { number, .. } => parts.with("block", *number),
        ActionRequest::WithList { methods, parameters, .. } => {
            parts.with("items", items(methods)).with("data", list(parameters, |value| data(&value, place)))
        }
        ActionRequest::WithFirstPBlock { method: first, block, .. } => {
            self::block(method(parts, first, Some(place.at(3))), block, place)
        }
        ActionRequest::WithListAndFirstPBlock { methods, block, .. } => {
            self::block(parts.with("items", items(methods)), block, place)
        }
        ActionRequest::WithPBlock { block, .. } => self::block(parts, block, place),
    }
}

fn action_response(parts: Parts, response: &ActionResponse<'_>, place: Place<'_>) -> Parts {
    let parts = parts.with("invoke", invoke(response.invoke()).at(place.at(2)));
    let result = |parts: Parts, result: &MethodResult<'_>| {
        let returned = result.data.map(|value| get_data_result(Parts::default(), &value, place));
        parts.with("result", result.result.code()).with_some("return", returned)
    };
    match response {
        ActionResponse::Normal { result: found, .. } => result(parts, found),
        ActionResponse::WithPBlock { block, .. } => self::block(parts, block, place),
        ActionResponse::WithList { results, .. } => {
            parts.with("items", list(results, |item| result(Parts::default(), &item).into()))
        }
        ActionResponse::NextPBlock { number, .. } => parts.with("block", *number),
    }
}

fn access_request(parts: Parts, request: &AccessRequest<'_>, place: Place<'_>) -> Parts {
    parts
        .with("long-invoke", long_invoke(request.invoke))
        .with("date-time", time_or_empty(request.time))
        .with("items", list(&request.specifications, |item| access_specification(&item, place)))
        .with("data", list(&request.data, |value| data(&value, place)))
}

fn access_response(parts: Parts, response: &AccessResponse<'_>, place: Place<'_>) -> Parts {
    let specifications = response.specifications.as_ref();
    parts
        .with("long-invoke", long_invoke(response.invoke))
        .with("date-time", time_or_empty(response.time))
        .with("request-items", specifications.map(|items| list(items, |item| access_specification(&item, place))))
        .with("data", list(&response.data, |value| data(&value, place)))
        .with("results", list(&response.results, access_result))
}

fn access_specification(item: &AccessSpecification<'_>, place: Place<'_>) -> Tree {
    let selected = |attribute: &AttributeDescriptor, selection: &Selection<'_>| {
        self::attribute(Parts::default(), attribute, None).with("access", self::selection(selection, place))
    };
    match item {
        AccessSpecification::Get(descriptor) => Tree::typed("get", attribute(Parts::default(), descriptor, None)),
        AccessSpecification::Set(descriptor) => Tree::typed("set", attribute(Parts::default(), descriptor, None)),
        AccessSpecification::Action(descriptor) => Tree::typed("action", method(Parts::default(), descriptor, None)),
        AccessSpecification::GetWithSelection { attribute, selection } => {
            Tree::typed("get", selected(attribute, selection))
        }
        AccessSpecification::SetWithSelection { attribute, selection } => {
            Tree::typed("set", selected(attribute, selection))
        }
    }
}

fn access_result(result: AccessResult) -> Tree {
    match result {
        AccessResult::Get(result) => Tree::typed("get", result.code()),
        AccessResult::Set(result) => Tree::typed("set", result.code()),
        AccessResult::Action(result) => Tree::typed("action", result.code()),
    }
}

fn variable(item: &VariableAccess<'_>, place: Place<'_>) -> Tree {
    let name = |name: i16| Tree::hex(&name.to_be_bytes());
    match item {
        VariableAccess::Name(short) => Tree::typed("variable-name", name(*short)),
        VariableAccess::Parameterized { name: short, selector, parameters } => Parts::default()
            .with("variable-name", name(*short))
            .with("selector", *selector)
            .with("parameters", data(parameters, place))
            .into(),
        VariableAccess::BlockNumber(number) => Tree::typed("block", *number),
        VariableAccess::ReadBlock { last, number, raw } => {
            Parts::default().with("last", *last).with("block", *number).with("raw", octets(raw, place)).into()
        }
        VariableAccess::WriteBlock { last, number } => {
            Parts::default().with("last", *last).with("block", *number).into()
        }
    }
}

fn read_result(item: &ReadResult<'_>, place: Place<'_>) -> Tree {
    match item {
        ReadResult::Data(value) => Tree::typed("data", data(value, place)),
        ReadResult::Error(error) => Tree::typed("data-access-result", error.code()),
        ReadResult::Block { last, number, raw } => {
            Parts::default().with("last", *last).with("block", *number).with("raw", octets(raw, place)).into()
        }
        ReadResult::BlockNumber(number) => Tree::typed("block", *number),
    }
}

fn write_result(item: WriteResult) -> Tree {
    match item {
        WriteResult::Success => Tree::typed("data-access-result", 0u8),
        WriteResult::Error(error) => Tree::typed("data-access-result", error.code()),
        WriteResult::BlockNumber(number) => Tree::typed("block", number),
    }
}

/// `start`: where the descriptor begins, if that is known.
fn attribute_request(parts: Parts, request: &AttributeRequest<'_>, start: Option<usize>, place: Place<'_>) -> Parts {
    attribute(parts, &request.attribute, start)
        .with("access", request.selection.map(|selection| self::selection(&selection, place)))
}

fn attribute(parts: Parts, descriptor: &AttributeDescriptor, start: Option<usize>) -> Parts {
    object(parts, descriptor.class.0, descriptor.instance, start)
        .with("attribute", behind(start, 8, descriptor.attribute.0.into()))
}

fn method(parts: Parts, descriptor: &MethodDescriptor, start: Option<usize>) -> Parts {
    object(parts, descriptor.class.0, descriptor.instance, start)
        .with("method", behind(start, 8, descriptor.method.0.into()))
}

fn object(parts: Parts, class: u16, instance: ObisCode, start: Option<usize>) -> Parts {
    parts.with("class", behind(start, 0, class.into())).with("obis", behind(start, 2, instance.to_string().into()))
}

fn behind(start: Option<usize>, octets: usize, tree: Tree) -> Tree {
    match start {
        Some(start) => tree.at(start + octets),
        None => tree,
    }
}

/// The value at the end of an APDU.
fn last(value: &Data<'_>, place: Place<'_>) -> Tree {
    let mut scratch = vec![0; place.len()];
    let mut writer = Writer::new(&mut scratch);
    match value.encode(&mut writer) {
        Ok(()) => data(value, place).at(place.at(place.len() - writer.len())),
        Err(_) => data(value, place),
    }
}

fn selection(selection: &Selection<'_>, place: Place<'_>) -> Tree {
    Parts::default().with("selector", selection.selector).with("parameters", data(&selection.parameters, place)).into()
}

fn get_data_result(parts: Parts, result: &GetDataResult<'_>, place: Place<'_>) -> Parts {
    match result {
        GetDataResult::Data(value) => parts.with("data", data(value, place)),
        GetDataResult::Error(error) => parts.with("data-access-result", error.code()),
    }
}

fn block(parts: Parts, block: &DataBlock<'_>, place: Place<'_>) -> Parts {
    parts.with("last", block.last).with("block", block.number).with("raw", octets(block.raw, place))
}

/// The fields that general-ciphering and general-signing share.
pub(crate) fn general_header(parts: Parts, header: &GeneralHeader<'_>) -> Parts {
    parts
        .with("transaction-id", Tree::hex(header.transaction_id))
        .with("originator", Tree::hex(header.originator))
        .with("recipient", Tree::hex(header.recipient))
        .with("date-time", Tree::hex(header.date_time))
        .with("other", Tree::hex(header.other_information))
}

/// How the key of a general-ciphering APDU is told.
pub(crate) fn key_info(key: &KeyInfo<'_>) -> Tree {
    match key {
        KeyInfo::Identified(id) => Tree::typed("identified-key", *id),
        KeyInfo::Wrapped { kek, key } => {
            let parts = Parts::default().with("kek-id", *kek).with("ciphered-data", Tree::hex(key));
            Tree::typed("wrapped-key", parts)
        }
        KeyInfo::Agreed { parameters, ciphered } => {
            let parts =
                Parts::default().with("parameters", Tree::hex(parameters)).with("ciphered-data", Tree::hex(ciphered));
            Tree::typed("agreed-key", parts)
        }
    }
}

fn octets(octets: &[u8], place: Place<'_>) -> Tree {
    match place.offset_of(octets) {
        Some(offset) => Tree::hex(octets).at(offset),
        None => Tree::hex(octets),
    }
}

fn invoke(invoke: InvokeIdAndPriority) -> Tree {
    Tree::hex(&[invoke.0])
}

fn long_invoke(invoke: LongInvokeIdAndPriority) -> Tree {
    Tree::hex(&invoke.0.to_be_bytes())
}

fn time(time: DateTime) -> Tree {
    Tree::hex(&time.to_bytes())
}

/// ACCESS and its relatives have a date-time that is empty rather than absent.
fn time_or_empty(value: Option<DateTime>) -> Tree {
    value.map_or_else(|| Tree::Leaf(Value::from("")), time)
}

fn list<L: Copy + IntoIterator>(items: &L, tree: impl Fn(L::Item) -> Tree) -> Tree {
    (*items).into_iter().map(tree).collect::<Vec<_>>().into()
}

/// A value for its own sake, not as a part of an APDU.
pub fn value(value: &Data<'_>, place: Place<'_>) -> Tree {
    Tree::typed("data", data(value, place))
}
