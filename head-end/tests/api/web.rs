//! The API as scripts and web pages use it: JSON over HTTP by hand and by Python's own client, gRPC-Web by hand.

use std::{path::Path, process::Command};

use dlms_head_end::config::{Config, Options};
use dlms_proto::v1::{GetMeterRequest, Meter};
use prost::Message;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Running, plain};

async fn start(folder: &Path) -> Running {
    let options = Options::from_toml("cors_origins = \"https://dashboard.example\"").unwrap();
    Running::with(Config { data_dir: folder.join("data"), ..options.resolve() }).await
}

/// An answer: its first line and headers, and its body as it came.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.head))
    }
}

/// One request over a connection of its own, as octets.
async fn http(running: &Running, path: &str, headers: &str, body: &[u8]) -> Answer {
    let method = if headers.contains("access-control-request-method") { "OPTIONS" } else { "POST" };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).await.unwrap();
    let end = octets.windows(4).position(|part| part == b"\r\n\r\n").expect("the end of the headers");
    let head = String::from_utf8(octets[..end].to_vec()).unwrap().to_lowercase();
    let mut rest = &octets[end + 4..];
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        while let Some(line) = rest.windows(2).position(|part| part == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            body.extend_from_slice(&rest[line + 2..line + 2 + size]);
            rest = &rest[line + 4 + size..];
        }
    } else {
        body = rest.to_vec();
    }
    Answer { head, body }
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn the_same_api_speaks_json() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let post = async |method: &str, body: &str| {
        http(&running, &format!("/v1/dlms.headend.v1.{method}"), JSON, body.as_bytes()).await
    };

    let meter = json!({"meterId": "m1", "meter": {"displayName": "cellar", "link": {"tcpWrapper": {"address": "127.0.0.1:1"}},
        "timeouts": {"response": "2.500s"}}});
    let created = post("MeterRegistry/CreateMeter", &meter.to_string()).await;
    assert!(created.head.starts_with("http/1.1 200"), "{}", created.head);
    let created = created.json();
    assert_eq!((&created["name"], &created["displayName"]), (&json!("meters/m1"), &json!("cellar")));
    assert_eq!(created["timeouts"]["response"], "2.500s", "canonical form of durations");
    assert!(created["createTime"].as_str().unwrap().ends_with('Z'), "canonical form of moments");
    assert_eq!(created["route"], "", "fields with their default are there");
    let snake = post("MeterRegistry/GetMeter", r#"{"name": "meters/m1"}"#).await.json();
    assert_eq!(snake, created);
    assert_eq!(post("MeterRegistry/ListMeters", "").await.json()["meters"].as_array().unwrap().len(), 1);

    let missing = post("MeterRegistry/GetMeter", r#"{"name": "meters/m2"}"#).await;
    assert!(missing.head.starts_with("http/1.1 404"), "{}", missing.head);
    let error = missing.json();
    assert_eq!(error["code"], 5);
    let details = error["details"].as_array().unwrap();
    let info = details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo").unwrap();
    assert_eq!((&info["reason"], &info["domain"]), (&json!("NOT_FOUND"), &json!("headend.dlms")));
    for (body, code) in
        [("{", 400), (r#"{"nome": "x"}"#, 400), (r#"{"name": 5}"#, 400), ("{}{}", 400), ("[]", 400), ("\"\"", 400)]
    {
        let answer = post("MeterRegistry/GetMeter", body).await;
        assert!(answer.head.starts_with(&format!("http/1.1 {code}")), "{body}: {}", answer.head);
        assert_eq!(answer.json()["code"], 3, "{body}");
    }

    let stream = post("Data/QueryReadings", r#"{"meter": "meters/nobody"}"#).await;
    let text = String::from_utf8(stream.body).unwrap();
    assert!(text.contains("\"code\":5"), "{} {text}", stream.head);
    let nothing = post("MeterRegistry/Nothing", "{}").await;
    assert!(!nothing.head.starts_with("http/1.1 200"), "{}", nothing.head);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_own_client_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    running.create(plain("m1", "127.0.0.1:1")).await.unwrap();
    let script = "import json,sys,urllib.request as r\n\
        q=r.Request(sys.argv[1]+'/dlms.headend.v1.MeterRegistry/GetMeter',json.dumps({'name':'meters/m1'}).encode(),{'Content-Type':'application/json'})\n\
        print(json.load(r.urlopen(q,timeout=20))['link']['tcpWrapper']['address'])";
    let output = Command::new("python3").args(["-c", script, &format!("http://{}", running.address)]).output();
    let output = output.expect("Python, which the tests of peers want too");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "127.0.0.1:1", "{output:?}");
    running.stop().await;
}

#[tokio::test]
async fn pages_speak_grpc_web_where_their_origin_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    running.create(plain("m1", "127.0.0.1:1")).await.unwrap();
    let request = GetMeterRequest { name: "meters/m1".into() }.encode_to_vec();
    let frame = [&[0], u32::try_from(request.len()).unwrap().to_be_bytes().as_slice(), &request].concat();
    let path = "/dlms.headend.v1.MeterRegistry/GetMeter";
    let kind = "content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n";

    let listed = format!("{kind}origin: https://dashboard.example\r\n");
    let answer = http(&running, path, &listed, &frame).await;
    assert!(answer.head.starts_with("http/1.1 200"), "{}", answer.head);
    assert!(answer.head.contains("access-control-allow-origin: https://dashboard.example"), "{}", answer.head);
    let length = u32::from_be_bytes(answer.body[1..5].try_into().unwrap()) as usize;
    assert_eq!(Meter::decode(&answer.body[5..5 + length]).unwrap().name, "meters/m1");
    let trailers = &answer.body[5 + length..];
    assert_eq!(trailers[0], 0x80, "the trailers are a frame of their own");
    assert!(String::from_utf8_lossy(&trailers[5..]).contains("grpc-status:0"));

    for (headers, what) in [(kind, "gRPC-Web"), (JSON, "JSON")] {
        let foreign = format!("{headers}origin: https://evil.example\r\n");
        let refused = http(&running, path, &foreign, &frame).await;
        assert!(refused.head.starts_with("http/1.1 403"), "{what}: {}", refused.head);
        assert!(!refused.head.contains("access-control-allow-origin"), "{what}");
    }
    let ask = "origin: https://dashboard.example\r\naccess-control-request-method: POST\r\naccess-control-request-headers: \
        authorization,x-grpc-web\r\n";
    let preflight = http(&running, path, ask, b"").await;
    assert!(preflight.head.starts_with("http/1.1 204"), "{}", preflight.head);
    assert!(preflight.head.contains("access-control-allow-headers: authorization"), "{}", preflight.head);
    running.stop().await;
}
