//! The life of a meter: by hand, and by the jobs that take it into service and out of it.

use dlms_proto::v1::{
    self, LifecycleStatus, Meter, QueryAuditLogRequest, SetLifecycleStatusRequest, admin_client::AdminClient,
};
use tonic::{Code, Status};

use crate::support::{Running, fields, info, plain};

const ADDRESS: &str = "127.0.0.1:4059";

async fn set(running: &Running, meter: &str, status: LifecycleStatus) -> Result<Meter, Status> {
    let request = SetLifecycleStatusRequest {
        name: format!("meters/{meter}"),
        status: status.into(),
        reason: "moved out".to_owned(),
        ..Default::default()
    };
    running.registry().set_lifecycle_status(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_person_suspends_meters_and_takes_them_out_but_commissions_none() {
    use LifecycleStatus::{Commissioned, Decommissioned, Registered, Suspended, Unspecified};
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path()).await;
    let created = running.create(Meter { service_point: "NMI 1".to_owned(), ..plain("m1", ADDRESS) }).await.unwrap();
    assert_eq!((created.lifecycle_status(), created.lifecycle_time), (Registered, None));
    let refused = set(&running, "m1", Commissioned).await.unwrap_err();
    assert_eq!((refused.code(), info(&refused).reason.as_str()), (Code::FailedPrecondition, "LIFECYCLE"));
    let suspended = set(&running, "m1", Suspended).await.unwrap();
    assert_eq!(suspended.lifecycle_status(), Suspended);
    assert!(suspended.lifecycle_time.is_some() && suspended.commission_time.is_none());
    // It was never commissioned: there is nothing to come back to.
    assert_eq!(info(&set(&running, "m1", Commissioned).await.unwrap_err()).reason, "LIFECYCLE");
    let out = set(&running, "m1", Decommissioned).await.unwrap();
    assert_eq!((out.lifecycle_status(), out.service_point.as_str()), (Decommissioned, "NMI 1"));
    assert_eq!(info(&set(&running, "m1", Suspended).await.unwrap_err()).reason, "LIFECYCLE");
    let again = set(&running, "m1", Decommissioned).await.unwrap();
    assert_eq!(again.lifecycle_time, out.lifecycle_time, "what is so already stays as it is");
    let back = set(&running, "m1", Registered).await.unwrap();
    assert_eq!((back.lifecycle_status(), back.service_point.as_str()), (Registered, ""));

    assert_eq!(fields(&set(&running, "m1", Unspecified).await.unwrap_err()), ["status"]);
    assert_eq!(set(&running, "m2", Suspended).await.unwrap_err().code(), Code::NotFound);
    let name = "meters/m1".to_owned();
    let stale = SetLifecycleStatusRequest { name, status: Suspended.into(), etag: created.etag, ..Default::default() };
    let refused = running.registry().set_lifecycle_status(stale).await.unwrap_err();
    assert_eq!(info(&refused).reason, "ETAG_MISMATCH");
    // An update says nothing of it.
    let update = Meter { name: "meters/m1".into(), display_name: "cellar".into(), ..Default::default() };
    let request = v1::UpdateMeterRequest { meter: Some(update), ..Default::default() };
    let updated = running.registry().update_meter(request).await.unwrap().into_inner();
    assert_eq!((updated.lifecycle_status(), updated.lifecycle_time), (Registered, back.lifecycle_time));
    let asked = QueryAuditLogRequest { method: "SetLifecycleStatus".into(), page_size: 1, ..Default::default() };
    let log = AdminClient::new(running.channel.clone()).query_audit_log(asked).await.unwrap().into_inner();
    assert_eq!((log.calls[0].target.as_str(), log.calls[0].outcome.as_str()), ("meters/m1", "ABORTED"));
    running.stop().await;
}
