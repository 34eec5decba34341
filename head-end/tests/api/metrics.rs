//! The endpoint for Prometheus.

use std::{collections::BTreeMap, net::SocketAddr};

use dlms_head_end::{config::Config, metrics::METRICS};
use dlms_proto::v1::{ReadRegistersRequest, RegisterSelector};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{PATIENCE, Running, managed, plain, quick, simulated, tcp};

/// Sends `head` and returns the whole answer.
async fn ask(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

/// The samples of the page by name and labels.
async fn samples(address: SocketAddr) -> BTreeMap<String, f64> {
    let answer = ask(address, "GET /metrics HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("application/openmetrics-text"), "{answer}");
    assert!(answer.contains("# EOF\n"), "{answer}");
    let lines = answer.lines().skip_while(|line| !line.is_empty()).filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| line.rsplit_once(' '));
    samples.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

async fn started(folder: &tempfile::TempDir) -> Running {
    let any = "127.0.0.1:0".parse().unwrap();
    Running::with(Config { metrics: Some(any), ..quick(folder.path()) }).await
}

fn energy(meter: &str) -> ReadRegistersRequest {
    let register = RegisterSelector { obis: "1-0:1.8.0".into(), ..Default::default() };
    ReadRegistersRequest { meter: format!("meters/{meter}"), registers: vec![register] }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_and_what_fails_is_counted_without_naming_a_meter() {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(1).await;
    let running = started(&folder).await;
    let metrics = running.metrics.unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    running.create(managed("m-known", &tcp(&meters, 0))).await.unwrap();
    running.create(plain("m-silent", &nobody)).await.unwrap();
    let mut wrong = managed("m-wrong", &tcp(&meters, 0));
    wrong.security.as_mut().unwrap().encryption_key = vec![7; 16];
    running.create(wrong).await.unwrap();
    for meter in ["m-known", "m-silent", "m-wrong", "m-absent"] {
        // What becomes of each is seen in the figures.
        let _ = running.reading().read_registers(energy(meter)).await;
    }

    let samples = samples(metrics).await;
    let at = |name: &str| *samples.get(name).unwrap_or_else(|| panic!("no {name} in {samples:#?}"));
    let operations =
        |outcome: &str| at(&format!("headend_operations_total{{operation=\"read_registers\",outcome=\"{outcome}\"}}"));
    assert_eq!((operations("SUCCEEDED"), operations("UNREACHABLE")), (1.0, 1.0));
    assert_eq!(operations("SECURITY_FAILED"), 1.0);
    assert_eq!(operations("NOT_FOUND"), 1.0);
    assert_eq!(at("headend_operation_seconds_count{operation=\"read_registers\"}"), 4.0);
    assert_eq!(at("headend_associations"), 1.0);
    assert_eq!(at("headend_associations_opened_total"), 1.0);
    assert_eq!(at("headend_associations_failed_total"), 2.0);
    assert_eq!(at("headend_link_failures_total{reason=\"refused\"}"), 1.0);
    let security = samples.iter().filter(|(name, _)| name.starts_with("headend_security_failures_total"));
    assert_eq!(security.map(|(_, count)| count).sum::<f64>(), 1.0);
    assert!(at("headend_sent_octets_total") > 100.0 && at("headend_received_octets_total") > 100.0);
    let created = "headend_api_calls_total{method=\"dlms.headend.v1.MeterRegistry/CreateMeter\",code=\"OK\"}";
    assert_eq!(at(created), 3.0);
    let missing = "headend_api_calls_total{method=\"dlms.headend.v1.Reading/ReadRegisters\",code=\"NOT_FOUND\"}";
    assert_eq!(at(missing), 1.0);
    assert_eq!(at("headend_store_changes_total"), 1.0);
    assert_eq!(at("headend_store_batch_writes_count{writer=\"readings\"}"), 1.0);
    assert!(at("headend_store_commit_seconds_count{writer=\"control\"}") >= 3.0);
    assert_eq!(at("headend_store_failures_total{writer=\"control\"}"), 0.0);
    #[cfg(target_os = "linux")]
    assert!(at("process_resident_memory_bytes") > 1e6 && at("process_open_fds") > 3.0);
    for name in ["m-known", "m-silent", "m-wrong", "m-absent", "127.0.0.1"] {
        assert!(!samples.keys().any(|key| key.contains(name)), "{name}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_list_is_on_the_page_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let running = started(&folder).await;
    let answer = ask(running.metrics.unwrap(), "GET /metrics HTTP/1.1").await;
    let typed: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let listed: Vec<_> = METRICS.iter().map(|metric| format!("{} {}", metric.name, metric.kind.name())).collect();
    assert_eq!(typed, listed);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_page_and_it_is_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let running = started(&folder).await;
    let address = running.metrics.unwrap();
    assert!(ask(address, "GET / HTTP/1.1").await.starts_with("HTTP/1.1 404 "));
    assert!(ask(address, "POST /metrics HTTP/1.1").await.starts_with("HTTP/1.1 405 "));
    let head = ask(address, "HEAD /metrics HTTP/1.1").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    let broken = ask(address, "GARBAGE").await;
    assert!(broken.starts_with("HTTP/1.1 400 "), "{broken}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_jobs_and_plans_is_counted_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let running = started(&folder).await;
    let address = running.metrics.unwrap();
    let counted = async {
        loop {
            let samples = samples(address).await;
            if let Some(paused) = samples.get("headend_plans{state=\"paused\"}") {
                return (*paused, samples);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let (paused, samples) = timeout(PATIENCE, counted).await.unwrap();
    assert_eq!(paused, 0.0);
    assert_eq!(samples.get("headend_jobs{state=\"running\"}"), Some(&0.0));
    assert_eq!(samples.get("headend_tasks{state=\"unknown_outcome\"}"), Some(&0.0));
    assert_eq!(samples.get("headend_plan_meters{state=\"late\"}"), Some(&0.0));
    assert!(samples["headend_sample_age_seconds"] >= 0.0);
    running.stop().await;
}
