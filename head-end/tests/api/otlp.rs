//! Spans, as an OpenTelemetry collector gets them from the built program.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Instant,
};

use dlms_meter_server::simulator::Keys;
use dlms_proto::v1::{
    CreateMeterRequest, ReadRegistersRequest, RegisterSelector, meter_registry_client::MeterRegistryClient,
    reading_client::ReadingClient,
};
use futures_util::FutureExt;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value,
    trace::v1::Span,
};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Server},
};

use crate::{
    cli::{started, terminate},
    support::{PATIENCE, managed, plain, simulated, tcp},
};

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            self.0.lock().unwrap().extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?.value.as_ref()?;
    match value {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_a_meter_is_a_span_and_what_is_done_in_it_are_its_children() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let incoming = futures_util::stream::unfold(listener, |listener| async {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let service = TraceServiceServer::new(collector.clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, stopped.map(drop));
    let serving = tokio::spawn(serving);

    let meters = simulated(1).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_head-end"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "trace", "--otlp", &endpoint, "--data-dir"]);
    // More than a pipe holds.
    let log = folder.path().join("log");
    command.arg(folder.path().join("data")).stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
    let (child, server) = started(command).await;
    let channel = Channel::from_shared(format!("http://{server}")).unwrap().connect().await.unwrap();
    for meter in [managed("known", &tcp(&meters, 0)), plain("silent", &nobody)] {
        let request = CreateMeterRequest { meter: Some(meter), ..Default::default() };
        MeterRegistryClient::new(channel.clone()).create_meter(request).await.unwrap();
    }
    let mut reading = ReadingClient::new(channel);
    let mut read = async |meter: &str, obis: &str| {
        let register = RegisterSelector { obis: obis.into(), ..Default::default() };
        let request = ReadRegistersRequest { meter: format!("meters/{meter}"), registers: vec![register] };
        reading.read_registers(request).await.map(drop)
    };
    read("known", "1-0:1.8.0").await.unwrap();
    read("known", "1-0:2.8.0").await.unwrap();
    read("silent", "1-0:1.8.0").await.unwrap_err();
    // What waits is sent before the program ends.
    drop(reading);
    let ended = terminate(child).await;
    assert!(ended.status.success(), "{ended:?}");
    let begun = Instant::now();
    let spans = loop {
        let spans = collector.0.lock().unwrap().clone();
        if spans.iter().filter(|span| span.name == "session").count() == 2 {
            break spans;
        }
        assert!(begun.elapsed() < PATIENCE, "{spans:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();

    let session = |meter: &str| {
        let of = |span: &&Span| span.name == "session" && attribute(span, "meter").as_deref() == Some(meter);
        spans.iter().find(of).unwrap_or_else(|| panic!("no session with {meter}: {spans:#?}"))
    };
    let (known, silent) = (session("known"), session("silent"));
    assert!(known.parent_span_id.is_empty() && silent.parent_span_id.is_empty());
    assert!(attribute(known, "octets_sent").unwrap().parse::<u64>().unwrap() > 100, "{known:#?}");
    assert_eq!(attribute(known, "error"), None);
    assert!(attribute(silent, "error").unwrap().contains("refused"), "{silent:#?}");
    let done: Vec<_> = spans.iter().filter(|span| span.parent_span_id == known.span_id).collect();
    assert_eq!(done.len(), 2, "{spans:#?}");
    for operation in done {
        assert_eq!((operation.name.as_str(), operation.trace_id.as_slice()), ("operation", &known.trace_id[..]));
        assert_eq!(attribute(operation, "name").as_deref(), Some("read_registers"));
        assert!(operation.start_time_unix_nano >= known.start_time_unix_nano);
        assert!(operation.end_time_unix_nano <= known.end_time_unix_nano);
    }
    // Nothing of the calls that carry the spans, and no keys.
    assert!(spans.iter().all(|span| ["session", "operation"].contains(&span.name.as_str())), "{spans:#?}");
    let everything = format!("{spans:?}{}", std::fs::read_to_string(&log).unwrap()).to_lowercase();
    for key in [Keys::DEMONSTRATION_ENCRYPTION, Keys::DEMONSTRATION_AUTHENTICATION] {
        assert!(!everything.contains(&hex::encode(key)) && !everything.contains(&format!("{key:?}")));
    }
}
