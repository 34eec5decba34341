//! Following what is said to a meter.

use std::time::Duration;

use dlms_proto::v1::{
    ReadRegistersRequest, RegisterSelector, TraceDirection, TraceFraming, TraceMeterRequest, TraceMeterResponse,
    admin_client::AdminClient, trace_meter_response::Said,
};
use tokio::time::timeout;
use tonic::{Code, Streaming};

use crate::support::{PATIENCE, Running, managed, quick, simulated, tcp};

async fn follow(running: &Running, meter: &str, octets: bool) -> Streaming<TraceMeterResponse> {
    let duration = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let request = TraceMeterRequest { meter: format!("meters/{meter}"), duration, octets };
    AdminClient::new(running.channel.clone()).trace_meter(request).await.unwrap().into_inner()
}

async fn read(running: &Running, meter: &str) {
    let register = RegisterSelector { obis: "1-0:1.8.0".into(), class_id: 3 };
    let request = ReadRegistersRequest { meter: format!("meters/{meter}"), registers: vec![register] };
    running.reading().read_registers(request).await.unwrap();
}

async fn next(entries: &mut Streaming<TraceMeterResponse>) -> TraceMeterResponse {
    timeout(PATIENCE, entries.message()).await.expect("something is said").unwrap().expect("the trace goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_followed_in_clear_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(2).await;
    let running = Running::with(quick(folder.path())).await;
    for (index, name) in ["followed", "other"].into_iter().enumerate() {
        running.create(managed(name, &tcp(&meters, index))).await.unwrap();
    }
    let mut entries = follow(&running, "followed", true).await;
    assert_eq!(next(&mut entries).await.said, Some(Said::Framing(TraceFraming::TcpWrapper.into())));
    read(&running, "other").await;
    read(&running, "followed").await;

    let (mut texts, mut line) = (Vec::new(), Vec::new());
    while !texts.iter().any(|text: &String| text.starts_with("< ") && text.contains("get-response")) {
        let entry = next(&mut entries).await;
        let arrow = if entry.direction() == TraceDirection::ToMeter { '>' } else { '<' };
        match entry.said.unwrap() {
            Said::Apdu(apdu) => texts.push(format!("{arrow} {}", apdu.text)),
            Said::Octets(octets) => line.push((arrow, octets)),
            Said::Framing(_) => panic!("told twice"),
        }
    }
    let said = texts.join("\n");
    assert!(texts[0].starts_with("> aarq") && texts.iter().any(|text| text.starts_with("< aare")), "{said}");
    // The passes of HLS are actions of the association: what they carry is masked.
    assert!(texts.iter().any(|text| text.contains("action-request-normal 15/") && text.contains("(masked)")), "{said}");
    assert!(texts.iter().any(|text| text.contains("get-request") && text.contains("3/1.0.1.8.0.255/2")), "{said}");
    assert!(texts.last().unwrap().contains("DoubleLongUnsigned"), "{said}");
    // The line has what was sent, ciphered: a wrapper, then the AARQ.
    assert_eq!(line.iter().find(|(arrow, _)| *arrow == '>').map(|(_, octets)| octets[8]), Some(0x60));
    assert!(line.iter().any(|(arrow, octets)| *arrow == '<' && octets[8] == 0x61));
    assert!(!line.iter().any(|(_, octets)| octets.get(8) == Some(&0xC0)), "a request in clear");
    drop(entries);
    read(&running, "followed").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_ends_with_its_time_and_with_the_head_end() {
    let folder = tempfile::tempdir().unwrap();
    let meters = simulated(1).await;
    let running = Running::with(quick(folder.path())).await;
    running.create(managed("m1", &tcp(&meters, 0))).await.unwrap();
    let mut admin = AdminClient::new(running.channel.clone());
    let of = |meter: &str, millis: i64| TraceMeterRequest {
        meter: meter.to_owned(),
        duration: prost_types::Duration::try_from(Duration::from_millis(millis.unsigned_abs())).ok(),
        octets: false,
    };
    let mut short = admin.trace_meter(of("meters/m1", 50)).await.unwrap().into_inner();
    next(&mut short).await;
    assert!(timeout(PATIENCE, short.message()).await.unwrap().unwrap().is_none());
    for (request, code) in [
        (of("meters/absent", 50), Code::NotFound),
        (of("m 1", 50), Code::InvalidArgument),
        (of("meters/m1", 0), Code::InvalidArgument),
        (of("meters/m1", 3_600_001), Code::InvalidArgument),
    ] {
        assert_eq!(admin.trace_meter(request).await.unwrap_err().code(), code);
    }
    let mut long = follow(&running, "m1", false).await;
    next(&mut long).await;
    let ended = tokio::spawn(async move { long.message().await });
    running.stop().await;
    // It ends in order, or with the connection.
    assert!(timeout(PATIENCE, ended).await.unwrap().unwrap().is_ok_and(|entry| entry.is_none()));
}
