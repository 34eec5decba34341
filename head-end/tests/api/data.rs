use dlms_proto::v1::QueryReadingsRequest;
use tonic::Code;

use crate::support::{Running, fields, plain};

#[tokio::test]
async fn questions_are_checked_field_by_field() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let request = QueryReadingsRequest {
        meter: "m1".into(),
        profile: "1-0:99.1.0".into(),
        registers_only: true,
        from: at(10),
        to: at(5),
        objects: vec!["1-0:1.8.0".into(), "x".into()],
        ..Default::default()
    };
    let status = running.data().query_readings(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(fields(&status), ["meter", "registers_only", "to", "objects[1]"]);
    running.stop().await;
}

#[tokio::test]
async fn a_meter_without_readings_is_empty_and_an_unknown_one_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    running.create(plain("m1", "127.0.0.1:4059")).await.unwrap();
    let query = async |meter: &str| {
        let request = QueryReadingsRequest { meter: meter.into(), ..Default::default() };
        running.data().query_readings(request).await
    };
    let mut pages = query("meters/m1").await.unwrap().into_inner();
    let captures: usize = match pages.message().await.unwrap() {
        Some(page) => page.captures.len(),
        None => 0,
    };
    assert_eq!(captures, 0);
    assert_eq!(query("meters/m2").await.unwrap_err().code(), Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn questions_for_intervals_and_files_are_checked_field_by_field() {
    use dlms_proto::v1::{ExportReadingsRequest, QueryIntervalsRequest, query_intervals_request::Resolution};
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let request = QueryIntervalsRequest {
        meter: "m1".into(),
        object: "x".into(),
        attribute: 1_000,
        data_index: 70_000,
        resolution: Some(Resolution::Minutes(7)),
        time_zone: "Europe/Atlantis".into(),
        capacity: "many".into(),
        ..Default::default()
    };
    let status = running.data().query_intervals(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let wrong = ["meter", "object", "attribute", "data_index", "from", "to", "minutes", "time_zone", "capacity"];
    assert_eq!(fields(&status), wrong);
    let request = ExportReadingsRequest { meters: vec!["a/b".into()], format: 77, ..Default::default() };
    let status = running.data().export_readings(request).await.unwrap_err();
    assert_eq!(fields(&status), ["meters[0]", "from", "to", "format"]);
    running.stop().await;
}
