//! Tenants see their own meters alone, whatever the method; what is changed stands in the audit log.

use std::path::Path;

use dlms_head_end::{
    access::{METHODS, NewToken},
    api::SecurityFiles,
    config::Config,
};
use dlms_proto::v1::{
    self, AuditedCall, CreateMeterRequest, FILE_DESCRIPTOR_SET, ListMetersRequest, Meter, QueryAuditLogRequest,
    UpdateMeterRequest, admin_client::AdminClient, configuration_client::ConfigurationClient,
};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use tonic::{Code, Request, Status};

use crate::support::{Running, fields, info, managed, plain};

pub(crate) struct Tokens {
    all: NewToken,
    pub(crate) north: NewToken,
    pub(crate) south: NewToken,
}

/// A head-end with a caller for all tenants, and one for each of two, who may do everything.
pub(crate) async fn start(folder: &Path, more: &str) -> (Running, Tokens) {
    let draw = || NewToken::draw().unwrap();
    let tokens = Tokens { all: draw(), north: draw(), south: draw() };
    let entry = |token: &NewToken, subject: &str, tenant: &str| {
        let (id, hash) = (&token.id, token.hash.text());
        format!(
            "[[token]]\nid = {id:?}\nhash = {hash:?}\nsubject = {subject:?}\nroles = [\"administrator\"]\n{tenant}\n"
        )
    };
    let callers = entry(&tokens.all, "root", "")
        + &entry(&tokens.north, "anna", "tenant = \"north\"")
        + &entry(&tokens.south, "sven", "tenant = \"south\"");
    let path = folder.join("callers.toml");
    std::fs::write(&path, callers).unwrap();
    let security = SecurityFiles { callers: Some(path), ..Default::default() };
    let options = dlms_head_end::config::Options::from_toml(more).unwrap();
    (Running::with(Config { data_dir: folder.join("data"), security, ..options.resolve() }).await, tokens)
}

pub(crate) fn by<T>(token: &NewToken, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("Bearer {}", token.token.as_str());
    request.metadata_mut().insert("authorization", header.parse().unwrap());
    request
}

pub(crate) async fn create(running: &Running, token: &NewToken, meter: Meter) -> Result<Meter, Status> {
    let message = CreateMeterRequest { meter: Some(meter), ..Default::default() };
    running.registry().create_meter(by(token, message)).await.map(tonic::Response::into_inner)
}

/// Calls any method with one message; all octets of the answer.
async fn call(
    running: &Running,
    token: &NewToken,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(running.channel.clone());
    client.ready().await.unwrap();
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let mut request = by(token, futures_util::stream::iter([Raw(message.encode_to_vec())]));
    request.set_timeout(std::time::Duration::from_secs(5));
    let mut answers = client.streaming(request, path.parse().unwrap(), RawCodec).await?.into_inner();
    let mut octets = Vec::new();
    while let Some(Raw(part)) = answers.message().await? {
        octets.extend(part);
    }
    Ok(octets)
}

/// A message as its octets.
struct Raw(Vec<u8>);
struct RawCodec;

impl tonic::codec::Codec for RawCodec {
    type Encode = Raw;
    type Decode = Raw;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for RawCodec {
    type Item = Raw;
    type Error = Status;

    fn encode(&mut self, item: Raw, buffer: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item.0);
        Ok(())
    }
}

impl tonic::codec::Decoder for RawCodec {
    type Item = Raw;
    type Error = Status;

    fn decode(&mut self, buffer: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Raw>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(Raw(bytes::Buf::copy_to_bytes(buffer, length).to_vec())))
    }
}

/// Puts the name of a meter into the first field that takes one, however deep; whether there is such a field.
fn name_meter(message: &mut DynamicMessage, name: &str, depth: usize) -> bool {
    let of: MessageDescriptor = prost_reflect::ReflectMessage::descriptor(message);
    let registry = of.full_name().ends_with("MeterRequest") || of.name() == "Meter";
    let takes = |field: &FieldDescriptor| {
        matches!(field.kind(), Kind::String)
            && (matches!(field.name(), "meter" | "meters") || registry && field.name() == "name")
    };
    if let Some(field) = of.fields().find(|field| takes(field)) {
        let value = Value::String(name.to_owned());
        message.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
        return true;
    }
    for field in of.fields().filter(|_| depth > 0) {
        let Kind::Message(inner) = field.kind() else { continue };
        if field.is_map() || inner.full_name().starts_with("google.") {
            continue;
        }
        let mut below = DynamicMessage::new(inner);
        if name_meter(&mut below, name, depth - 1) {
            let value = Value::Message(below);
            message.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
            return true;
        }
    }
    false
}

#[tokio::test]
async fn no_method_reaches_or_shows_a_meter_of_another_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = start(folder.path(), "").await;
    create(&running, &tokens.north, plain("of-north", "127.0.0.1:1")).await.unwrap();
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut named = 0;
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let short = format!("{}/{}", method.parent_service().name(), method.name());
        let mut message = DynamicMessage::new(method.input());
        let names = name_meter(&mut message, "meters/of-north", 3);
        let scoped = METHODS.iter().find(|row| row.path.ends_with(&format!(".{short}"))).unwrap().scoped;
        if scoped && method.is_client_streaming() {
            // It answers line by line; what becomes of foreign meters is shown below.
            continue;
        }
        if !names && scoped {
            let shown = call(&running, &tokens.south, &method, &message).await;
            if method.input().fields().any(|field| matches!(field.name(), "name" | "job" | "template_id")) {
                // It is about one thing, which has to be named.
                assert_eq!(shown.expect_err(&short).code(), Code::InvalidArgument, "{short}");
                continue;
            }
            let shown = shown.unwrap();
            assert!(!shown.windows(8).any(|part| part == b"of-north"), "{short} shows a foreign meter");
            continue;
        }
        named += 1;
        let status = call(&running, &tokens.south, &method, &message).await.expect_err(&short);
        let refused = if method.is_client_streaming() || !names { Code::PermissionDenied } else { Code::NotFound };
        assert_eq!(status.code(), refused, "{short}: {status:?}");
        if short == "MeterRegistry/GetMeter" {
            call(&running, &tokens.north, &method, &message).await.expect("its owner sees it");
        }
    }
    assert!(named >= 10, "{named}");
    running.stop().await;
}

#[tokio::test]
async fn tenants_register_for_themselves_and_list_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = start(folder.path(), "").await;
    let own = create(&running, &tokens.north, plain("m1", "127.0.0.1:1")).await.unwrap();
    assert_eq!(own.tenant, "north");
    create(&running, &tokens.south, plain("m2", "127.0.0.1:1")).await.unwrap();
    create(&running, &tokens.all, plain("m3", "127.0.0.1:1")).await.unwrap();
    let wrong = Meter { tenant: "south".into(), ..plain("m4", "127.0.0.1:1") };
    assert_eq!(fields(&create(&running, &tokens.north, wrong).await.unwrap_err()), ["meter.tenant"]);

    let list = async |token: &NewToken| {
        let answer = running.registry().list_meters(by(token, ListMetersRequest::default())).await.unwrap();
        answer.into_inner().meters.into_iter().map(|meter| meter.name).collect::<Vec<_>>()
    };
    assert_eq!(list(&tokens.north).await, ["meters/m1"]);
    assert_eq!(list(&tokens.south).await, ["meters/m2"]);
    assert_eq!(list(&tokens.all).await, ["meters/m1", "meters/m2", "meters/m3"]);

    let give = |token: &NewToken, tenant: &str| {
        let meter = Meter { name: "meters/m1".into(), tenant: tenant.into(), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["tenant".into()] });
        let request = by(token, UpdateMeterRequest { meter: Some(meter), update_mask, ..Default::default() });
        let mut client = running.registry();
        async move { client.update_meter(request).await.map(|answer| answer.into_inner().tenant) }
    };
    assert_eq!(fields(&give(&tokens.north, "south").await.unwrap_err()), ["meter.tenant"]);
    assert_eq!(give(&tokens.north, "").await.unwrap(), "north", "nobody gives a meter away");
    assert_eq!(give(&tokens.all, "south").await.unwrap(), "south");
    assert_eq!(list(&tokens.north).await, [""; 0]);
    running.stop().await;
}

pub(crate) async fn audit(running: &Running, token: &NewToken, request: QueryAuditLogRequest) -> Vec<AuditedCall> {
    AdminClient::new(running.channel.clone()).query_audit_log(by(token, request)).await.unwrap().into_inner().calls
}

#[tokio::test]
async fn every_change_stands_in_the_audit_log_with_its_outcome_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = start(folder.path(), "").await;
    create(&running, &tokens.north, managed("m1", "127.0.0.1:1")).await.unwrap();
    create(&running, &tokens.north, managed("m1", "127.0.0.1:1")).await.unwrap_err();
    let delete = v1::DeleteMeterRequest { name: "meters/m1".into(), request_id: "r-1".into(), ..Default::default() };
    running.registry().delete_meter(by(&tokens.south, delete.clone())).await.unwrap_err();
    running.registry().delete_meter(by(&tokens.all, delete)).await.unwrap();
    running.registry().list_meters(by(&tokens.all, ListMetersRequest::default())).await.unwrap();

    let calls = audit(&running, &tokens.all, QueryAuditLogRequest::default()).await;
    let shown: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call.subject.as_str(),
                call.method.rsplit('/').next().unwrap(),
                call.target.as_str(),
                call.outcome.as_str(),
            )
        })
        .collect();
    // What was refused before it was looked at is no change; the meter of somebody else is not even there.
    assert_eq!(
        shown,
        [
            ("root", "DeleteMeter", "meters/m1", "OK"),
            ("anna", "CreateMeter", "meters/m1", "ALREADY_EXISTS"),
            ("anna", "CreateMeter", "meters/m1", "OK"),
        ]
    );
    assert_eq!((calls[0].request_id.as_str(), calls[1].tenant.as_str()), ("r-1", "north"));
    assert!(calls[0].peer.starts_with("127.0.0.1:") && calls[0].end_time.is_some());
    assert_eq!(audit(&running, &tokens.south, QueryAuditLogRequest::default()).await, [], "of another tenant");
    let page = QueryAuditLogRequest { page_size: 2, ..Default::default() };
    let first = AdminClient::new(running.channel.clone())
        .query_audit_log(by(&tokens.all, page.clone()))
        .await
        .unwrap()
        .into_inner();
    let next = QueryAuditLogRequest { page_token: first.next_page_token, ..page };
    assert_eq!((first.calls.len(), audit(&running, &tokens.all, next).await.len()), (2, 1));
    running.stop().await;

    let verified = std::process::Command::new(env!("CARGO_BIN_EXE_head-end"))
        .args(["audit", "verify", "--data-dir"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(verified.status.success() && verified.stdout.starts_with(b"6:"), "{verified:?}");
    let octets = std::fs::read(folder.path().join("data/control.sqlite3")).unwrap();
    let key = dlms_meter_server::simulator::Keys::DEMONSTRATION_ENCRYPTION;
    assert!(!octets.windows(16).any(|part| part == key), "a key in the store");
}

#[tokio::test]
async fn a_caller_who_calls_too_often_is_told_when_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = start(folder.path(), "call_rate = 1\ncall_burst = 3").await;
    let list = async |token: &NewToken| running.registry().list_meters(by(token, ListMetersRequest::default())).await;
    let mut refused = None;
    for _ in 0..20 {
        refused = refused.or(list(&tokens.north).await.err());
    }
    let status = refused.expect("more than three calls at once");
    assert_eq!((status.code(), info(&status).reason.as_str()), (Code::ResourceExhausted, "RATE_LIMIT"));
    let details = tonic_types::StatusExt::get_error_details(&status);
    assert!(details.retry_info().and_then(|info| info.retry_delay).is_some_and(|delay| !delay.is_zero()));
    list(&tokens.south).await.expect("another caller has a limit of its own");
    running.stop().await;
}

#[tokio::test]
async fn jobs_reach_the_meters_of_their_tenant_alone_however_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = start(folder.path(), "").await;
    for (token, meter) in [(&tokens.north, "of-north"), (&tokens.south, "of-south"), (&tokens.all, "of-nobody")] {
        create(&running, token, plain(meter, "127.0.0.1:1")).await.unwrap();
    }
    let expires = prost_types::Timestamp { seconds: jiff::Timestamp::now().as_second() + 3_600, nanos: 0 };
    // What a text says of meters opens no door.
    let instruction = v1::Instruction {
        reason: "meters/of-south".into(),
        request_id: "the-same".into(),
        expires_at: Some(expires),
        ..Default::default()
    };
    let kind = v1::job_spec::Kind::Ping(v1::PingSpec::default());
    let everybody = v1::Target { kind: Some(v1::target::Kind::Selector(v1::MeterSelector::default())) };
    let request = v1::SubmitRequest {
        target: Some(everybody),
        spec: Some(v1::JobSpec { kind: Some(kind) }),
        instruction: Some(instruction),
    };
    let jobs = || v1::jobs_client::JobsClient::new(running.channel.clone());
    let submit = async |token: &NewToken| jobs().submit(by(token, request.clone())).await.unwrap().into_inner().name;
    let meters = async |token: &NewToken, job: &str| {
        let request = v1::ListResultsRequest { job: job.to_owned(), ..Default::default() };
        let answer = jobs().list_results(by(token, request)).await?.into_inner();
        Ok::<_, Status>(answer.tasks.into_iter().map(|task| task.meter).collect::<Vec<_>>())
    };
    let (of_south, of_all) = (submit(&tokens.south).await, submit(&tokens.all).await);
    assert_ne!(of_south, of_all, "a request id is each caller's own");
    assert_eq!(submit(&tokens.south).await, of_south);
    assert_eq!(meters(&tokens.south, &of_south).await.unwrap(), ["meters/of-south"]);
    assert_eq!(meters(&tokens.all, &of_all).await.unwrap().len(), 3);
    assert_eq!(meters(&tokens.north, &of_south).await.unwrap_err().code(), Code::NotFound);
    let cancel = async |token: &NewToken| {
        let request = v1::CancelJobRequest { name: of_south.clone() };
        jobs().cancel(by(token, request)).await.map(tonic::Response::into_inner)
    };
    assert_eq!(cancel(&tokens.north).await.unwrap_err().code(), Code::NotFound);
    assert!(cancel(&tokens.south).await.is_ok());
    let plan = v1::Plan { name: "plans/p".into(), display_name: "meters/of-south".into(), ..Default::default() };
    let plan = v1::CreatePlanRequest { plan: Some(plan), ..Default::default() };
    let refused = v1::collection_client::CollectionClient::new(running.channel.clone())
        .create_plan(by(&tokens.south, plan))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    running.stop().await;
}

#[tokio::test]
async fn what_a_tenant_imports_is_its_own_and_nobody_elses() {
    use dlms_proto::v1::{ImportErrorReason, ImportMetersRequest, ImportOptions, import_meters_request::Part};

    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = start(folder.path(), "").await;
    create(&running, &tokens.south, plain("of-south", "127.0.0.1:1")).await.unwrap();
    let import = async |parts: Vec<Part>| {
        let parts = parts.into_iter().map(|part| ImportMetersRequest { part: Some(part) });
        let request = by(&tokens.north, futures_util::stream::iter(parts));
        let mut answers = running.registry().import_meters(request).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(message) = answers.message().await? {
            messages.push(message);
        }
        Ok::<_, Status>(messages)
    };
    let moved = plain("of-south", "127.0.0.1:2");
    let given = Meter { tenant: "south".into(), ..plain("given", "127.0.0.1:1") };
    let options = ImportOptions { update_existing: true, ..Default::default() };
    let records = [plain("own", "127.0.0.1:1"), moved.clone(), given].map(Part::Record);
    let messages = import([Part::Options(options)].into_iter().chain(records).collect()).await.unwrap();
    let counts = messages.last().unwrap().counts.unwrap();
    assert_eq!((counts.created, counts.updated, counts.refused), (1, 0, 2), "{messages:?}");
    let errors: Vec<_> = messages.iter().flat_map(|message| &message.errors).collect();
    assert!(errors.iter().all(|error| error.reason() == ImportErrorReason::OtherTenant), "{errors:?}");
    // Without options they are as little somebody else's.
    let alone = import(vec![Part::Record(moved)]).await.unwrap();
    assert_eq!(alone.last().unwrap().counts.unwrap().refused, 1);
    let other = ImportOptions { tenant: "south".into(), ..Default::default() };
    assert_eq!(fields(&import(vec![Part::Options(other)]).await.unwrap_err()), ["options.tenant"]);

    let all = running.registry().list_meters(by(&tokens.all, ListMetersRequest::default())).await.unwrap();
    let owned: Vec<_> = all.into_inner().meters.into_iter().map(|meter| (meter.name, meter.tenant)).collect();
    let owner = |name: &str, tenant: &str| (format!("meters/{name}"), tenant.to_owned());
    assert_eq!(owned, [owner("of-south", "south"), owner("own", "north")]);
    running.stop().await;
}

#[tokio::test]
async fn templates_of_one_tenant_are_not_there_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let (running, tokens) = start(folder.path(), "").await;
    let mut configuration = ConfigurationClient::new(running.channel.clone());
    let attribute = Some(v1::AttributeRef { class_id: 8, obis: "0-0:1.0.0".into(), attribute: 3 });
    let value = Some(v1::Value { kind: Some(v1::value::Kind::Long(-60)) });
    let assignment = v1::AttributeAssignment { attribute, selection: None, value };
    let template = v1::ConfigurationTemplate { name: "clock".into(), attributes: vec![assignment] };
    let create = v1::CreateTemplateRequest { template_id: "clock".into(), template: Some(template), revision: 0 };
    configuration.create_template(by(&tokens.north, create.clone())).await.unwrap();
    let get = || v1::GetTemplateRequest { name: "templates/clock".into() };
    assert_eq!(configuration.get_template(by(&tokens.north, get())).await.unwrap().into_inner().creator, "anna");
    for other in [&tokens.south, &tokens.all] {
        assert_eq!(configuration.get_template(by(other, get())).await.unwrap_err().code(), Code::NotFound);
        let list = by(other, v1::ListTemplatesRequest::default());
        assert_eq!(configuration.list_templates(list).await.unwrap().into_inner().templates, []);
        let delete = by(other, v1::DeleteTemplateRequest { name: "templates/clock".into() });
        assert_eq!(configuration.delete_template(delete).await.unwrap_err().code(), Code::NotFound);
        let own = configuration.create_template(by(other, create.clone())).await.unwrap().into_inner();
        assert_eq!(own.revision, 1, "a name of its own");
        let delete = by(other, v1::DeleteTemplateRequest { name: "templates/clock".into() });
        configuration.delete_template(delete).await.unwrap();
    }
    assert!(configuration.get_template(by(&tokens.north, get())).await.is_ok(), "it stays");
    running.stop().await;
}
