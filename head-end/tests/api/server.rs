use std::time::Duration;

use dlms_head_end::{
    config::Config,
    node::{Node, NodeError},
};
use dlms_proto::v1::{ReadRegistersRequest, RegisterSelector};
use tokio::net::TcpListener;
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::{Running, info, plain, quick};

#[tokio::test]
async fn health_knows_every_service() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let mut health = HealthClient::new(running.channel.clone());
    for service in [
        "",
        "dlms.headend.v1.Admin",
        "dlms.headend.v1.MeterRegistry",
        "dlms.headend.v1.Reading",
        "dlms.headend.v1.Data",
    ] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    running.stop().await;
}

#[tokio::test]
async fn reflection_lists_and_describes_the_services() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let mut reflection = ServerReflectionClient::new(running.channel.clone());
    let requests = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol("dlms.headend.v1.Meter".into()),
    ];
    let requests =
        requests.map(|request| ServerReflectionRequest { host: String::new(), message_request: Some(request) });
    let mut answers =
        reflection.server_reflection_info(futures_util::stream::iter(requests)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["dlms.headend.v1.MeterRegistry", "dlms.headend.v1.Reading", "dlms.headend.v1.Data"] {
        assert!(names.iter().any(|listed| listed == name), "{name} in {names:?}");
    }
    let Some(MessageResponse::FileDescriptorResponse(file)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no description")
    };
    assert!(!file.file_descriptor_proto.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn the_callers_deadline_ends_the_work_with_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::with(quick(folder.path())).await;
    // A meter that takes the connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    running.create(plain("m1", &silent.local_addr().unwrap().to_string())).await.unwrap();
    let mut request = Request::new(ReadRegistersRequest {
        meter: "meters/m1".into(),
        registers: vec![RegisterSelector { obis: "1-0:1.8.0".into(), class_id: 3 }],
    });
    request.set_timeout(Duration::from_millis(1500));
    let status = running.reading().read_registers(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(info(&status).reason, "EXPIRED");
    running.stop().await;
}

#[tokio::test]
async fn a_second_head_end_on_the_same_data_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let config = quick(folder.path());
    let second = Node::open(config, None).await;
    assert!(matches!(second, Err(NodeError::Store { .. })), "{second:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let data_dir = folder.path().join("data");
    let config = Config { listen, master_key_file: data_dir.join("key"), data_dir, ..Config::default() };
    let node = Node::open(config, None).await.unwrap();
    let error = node.listen().await.unwrap_err();
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
    node.close().await;
}

#[tokio::test]
async fn without_authentication_it_listens_on_loopback_only_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let listen = "0.0.0.0:0".parse().unwrap();
    let config = Config { listen, master_key_file: data_dir.join("key"), data_dir, ..Config::default() };
    let node = Node::open(config.clone(), None).await.unwrap();
    let error = node.listen().await.unwrap_err();
    assert!(matches!(error, NodeError::Unprotected { .. }), "{error}");
    assert!(error.to_string().contains("--insecure"), "{error}");
    node.close().await;
    let node = Node::open(Config { insecure: true, ..config }, None).await.unwrap();
    node.listen().await.unwrap();
    node.close().await;
}

#[tokio::test]
async fn a_method_that_is_not_in_the_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let mut client = tonic::client::Grpc::new(running.channel.clone());
    client.ready().await.unwrap();
    let path = "/dlms.headend.v1.MeterRegistry/Nothing".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let status = client.unary(Request::new(()), path, codec).await.unwrap_err();
    assert_eq!((status.code(), info(&status).reason.as_str()), (Code::Unimplemented, "NO_METHOD"));
    running.stop().await;
}
