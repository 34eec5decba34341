use dlms_proto::v1::{
    self, CreateMeterRequest, DeleteMeterRequest, GetMeterRequest, ListMetersRequest, Meter, UpdateMeterRequest,
};
use prost::Message;
use prost_types::FieldMask;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Running, fields, info, managed, plain};

const ADDRESS: &str = "127.0.0.1:4059";

async fn get(running: &Running, name: &str) -> Result<Meter, tonic::Status> {
    let request = GetMeterRequest { name: name.into() };
    running.registry().get_meter(request).await.map(tonic::Response::into_inner)
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

#[tokio::test]
async fn a_meter_is_returned_without_its_secrets_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let mut meter = managed("m1", ADDRESS);
    meter.labels.insert("site".into(), "a".into());
    let created = running.create(meter.clone()).await.unwrap();
    running.stop().await;
    let running = Running::start(folder.path()).await;
    let read = get(&running, "meters/m1").await.unwrap();
    assert_eq!(read, created);
    let security = read.security.clone().unwrap();
    assert!(security.keys_set && security.encryption_key.is_empty() && security.authentication_key.is_empty());
    let octets = read.encode_to_vec();
    let key = meter.security.unwrap().encryption_key;
    assert!(!octets.windows(key.len()).any(|part| part == key));
    assert_eq!((read.client_sap, read.server_sap, read.max_pdu_octets), (1, 1, 1024));
    assert_eq!(read.labels["site"], "a");
    running.stop().await;
}

#[tokio::test]
async fn defaults_are_filled_in_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let hdlc = v1::Hdlc { lower_address: Some(17), ..Default::default() };
    let kind = v1::link::Kind::HdlcTcp(v1::HdlcTcpLink { address: ADDRESS.into(), hdlc: Some(hdlc) });
    let meter = Meter { link: Some(v1::Link { kind: Some(kind) }), ..plain("m1", ADDRESS) };
    let created = running.create(meter).await.unwrap();
    let Some(v1::link::Kind::HdlcTcp(link)) = created.link.unwrap().kind else { panic!("another link") };
    let hdlc = link.hdlc.unwrap();
    assert_eq!((hdlc.address_octets, hdlc.window, hdlc.information_field_octets), (2, 1, 128));
    assert_eq!((created.client_sap, created.etag.as_str()), (16, "1"));
    running.stop().await;
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let mut meter = managed("m1", "nonsense");
    meter.client_sap = 70_000;
    meter.system_title = vec![1];
    let status = running.create(meter).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(fields(&status), ["meter.link.tcp_wrapper.address", "meter.client_sap", "meter.system_title"]);
    let mut meter = managed("m1", ADDRESS);
    meter.security.as_mut().unwrap().authentication_key = vec![0; 15];
    meter.security.as_mut().unwrap().suite = 3;
    let status = running.create(meter).await.unwrap_err();
    assert_eq!(fields(&status), ["meter.security.suite", "meter.security.authentication_key"]);
    let status = running.create(plain("no/slash", ADDRESS)).await.unwrap_err();
    assert_eq!(fields(&status), ["meter.name"]);
    running.stop().await;
}

#[tokio::test]
async fn taken_and_unknown_names_are_told_with_the_resource() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    running.create(plain("m1", ADDRESS)).await.unwrap();
    let status = running.create(plain("m1", ADDRESS)).await.unwrap_err();
    assert_eq!((status.code(), info(&status).reason.as_str()), (Code::AlreadyExists, "ALREADY_EXISTS"));
    assert_eq!(info(&status).domain, "headend.dlms");
    let status = get(&running, "meters/m2").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.get_error_details().resource_info().unwrap().resource_name, "meters/m2");
    running.stop().await;
}

#[tokio::test]
async fn lists_go_page_by_page_and_by_label() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    for n in 0..7 {
        let mut meter = plain(&format!("m{n}"), ADDRESS);
        meter.labels.insert("odd".into(), (n % 2 == 1).to_string());
        running.create(meter).await.unwrap();
    }
    let mut names = Vec::new();
    let mut request = ListMetersRequest { page_size: 3, ..Default::default() };
    let mut pages = 0;
    loop {
        let page = running.registry().list_meters(request.clone()).await.unwrap().into_inner();
        names.extend(page.meters.into_iter().map(|meter| meter.name));
        pages += 1;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!((names.len(), pages), (7, 3));
    assert!(names.is_sorted());
    let odd = ListMetersRequest { labels: [("odd".into(), "true".into())].into(), ..Default::default() };
    assert_eq!(running.registry().list_meters(odd).await.unwrap().into_inner().meters.len(), 3);
    let forged = ListMetersRequest { page_token: "zz".into(), ..Default::default() };
    let status = running.registry().list_meters(forged).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"]);
    running.stop().await;
}

#[tokio::test]
async fn updates_follow_the_mask_and_the_etag() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    running.create(managed("m1", ADDRESS)).await.unwrap();
    let update = async |meter: Meter, paths: &[&str]| {
        let meter = Meter { name: "meters/m1".into(), ..meter };
        let request = UpdateMeterRequest { meter: Some(meter), update_mask: mask(paths), ..Default::default() };
        running.registry().update_meter(request).await.map(tonic::Response::into_inner)
    };
    let named = Meter { display_name: "cellar".into(), client_sap: 99, ..Default::default() };
    let updated = update(named.clone(), &["display_name"]).await.unwrap();
    assert_eq!((updated.display_name.as_str(), updated.client_sap, updated.etag.as_str()), ("cellar", 1, "2"));
    assert!(updated.security.unwrap().keys_set);
    let stale = Meter { etag: "1".into(), ..named.clone() };
    let status = update(stale, &["display_name"]).await.unwrap_err();
    assert_eq!((status.code(), info(&status).reason.as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let status = update(named.clone(), &["nonsense"]).await.unwrap_err();
    assert_eq!(fields(&status), ["update_mask"]);
    let status = update(named, &["security.encryption_key"]).await.unwrap_err();
    assert_eq!(fields(&status), ["meter.security.encryption_key"], "a key that is needed may not be removed");
    let plain = update(Meter::default(), &["security", "authentication"]).await.unwrap();
    assert!(plain.security.is_none());
    running.stop().await;
}

#[tokio::test]
async fn repeated_requests_are_answered_like_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let request =
        CreateMeterRequest { meter: Some(managed("m1", ADDRESS)), request_id: "8d7d8b0e".into(), ..Default::default() };
    let first = running.registry().create_meter(request.clone()).await.unwrap().into_inner();
    running.stop().await;
    let running = Running::start(folder.path()).await;
    let again = running.registry().create_meter(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let mut other = request;
    other.meter.as_mut().unwrap().route = "elsewhere".into();
    let status = running.registry().create_meter(other).await.unwrap_err();
    assert_eq!(fields(&status), ["request_id"]);
    let delete = DeleteMeterRequest { name: "meters/m1".into(), request_id: "delete".into(), ..Default::default() };
    for _ in 0..2 {
        running.registry().delete_meter(delete.clone()).await.unwrap();
    }
    assert_eq!(get(&running, "meters/m1").await.unwrap_err().code(), Code::NotFound);
    running.stop().await;
}
