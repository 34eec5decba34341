//! The service MeterRegistry.

mod groups;
mod import;

use std::{pin::Pin, sync::Arc};

use dlms_proto::v1::{
    self, ClaimUnclaimedDeviceRequest, CommissionRequest, CreateGroupRequest, CreateMeterRequest, DecommissionRequest,
    DeleteGroupRequest, DeleteMeterRequest, GetGroupRequest, GetMeterRequest, Group, ImportMetersRequest,
    ImportMetersResponse, JobResponse, ListGroupsRequest, ListGroupsResponse, ListMetersRequest, ListMetersResponse,
    ListUnclaimedDevicesRequest, ListUnclaimedDevicesResponse, Meter, SetLifecycleStatusRequest, UpdateMeterRequest,
    job_spec::Kind, meter_registry_server::MeterRegistry,
};
use futures_util::Stream;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Service, caller, meter,
    parse::{self, Violations, to_timestamp},
    status,
};
use crate::{
    access::Caller,
    meter::{MeterId, MeterSettings, SettingsError, Tenant},
    operation::MeterAccess,
    registry::{Change, Registry, RegistryError},
    store::{DeviceIdentity, MeterFilter, RequestKey, Store, StoreError, UnclaimedDevice},
};

/// Meters on a page where the request does not say, and at most.
const PAGE: (usize, usize) = (100, 1000);

impl<S: Store, A: MeterAccess> Service<S, A> {
    fn registry(&self) -> &Registry<S> {
        self.0.head_end.registry()
    }

    /// The key of a request in the store, where the caller gave it an id.
    pub(super) fn request_key(
        &self,
        caller: &Caller,
        method: &'static str,
        id: &str,
        request: &impl Message,
    ) -> Option<RequestKey> {
        (!id.is_empty()).then(|| {
            let contents = zeroize::Zeroizing::new(request.encode_to_vec());
            self.registry().request_key(&caller.subject, method, id, &contents)
        })
    }
}

/// What an import answers.
type Imports = Pin<Box<dyn Stream<Item = Result<ImportMetersResponse, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> MeterRegistry for Service<S, A> {
    type ImportMetersStream = Imports;

    async fn import_meters(
        &self,
        request: Request<Streaming<ImportMetersRequest>>,
    ) -> Result<Response<Imports>, Status> {
        let tenant = caller::of(&request)?.tenant.clone();
        let registry = Arc::clone(self.0.head_end.registry());
        Ok(Response::new(Box::pin(import::Import::new(registry, tenant, request.into_inner()).run())))
    }

    async fn create_group(&self, request: Request<CreateGroupRequest>) -> Result<Response<Group>, Status> {
        let tenant = caller::of(&request)?.tenant.clone();
        let group = request.into_inner().group.unwrap_or_default();
        let record = groups::record(&group, tenant.as_ref())?;
        let created = self.registry().store().create_group(record.clone()).await;
        created.map_err(|error| status::store(&error, None))?;
        self.0.collection.groups_changed();
        Ok(Response::new(groups::to_proto(&record)))
    }

    async fn get_group(&self, request: Request<GetGroupRequest>) -> Result<Response<Group>, Status> {
        let id = groups::named(&request.get_ref().name)?;
        let found = self.registry().store().group(id.as_str()).await.map_err(|error| status::store(&error, None))?;
        let record = found.ok_or_else(|| status::store(&StoreError::NotFound(id.resource_name()), None))?;
        Ok(Response::new(groups::to_proto(&record)))
    }

    async fn list_groups(&self, request: Request<ListGroupsRequest>) -> Result<Response<ListGroupsResponse>, Status> {
        let tenant = caller::of(&request)?.tenant.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        let after = violations.check("page_token", from_token(&request.page_token));
        let after = violations.finish(after)?.map(|after| after.as_str().to_owned());
        let size = page(request.page_size);
        let store = self.registry().store();
        let mut groups =
            store.list_groups(after, tenant, size + 1).await.map_err(|error| status::store(&error, None))?;
        let more = groups.len() > size;
        groups.truncate(size);
        let next_page_token = groups.last().filter(|_| more).map(|last| hex::encode(last.id.as_str()));
        Ok(Response::new(ListGroupsResponse {
            groups: groups.iter().map(groups::to_proto).collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        }))
    }

    async fn delete_group(&self, request: Request<DeleteGroupRequest>) -> Result<Response<()>, Status> {
        let id = groups::named(&request.get_ref().name)?;
        let deleted = self.registry().store().delete_group(id.as_str()).await;
        deleted.map_err(|error| status::store(&error, None))?;
        self.0.collection.groups_changed();
        Ok(Response::new(()))
    }

    async fn create_meter(&self, request: Request<CreateMeterRequest>) -> Result<Response<Meter>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let given = request.meter.clone().unwrap_or_default();
        let id = match (request.meter_id.as_str(), given.name.as_str()) {
            ("", name) => violations.check("meter.name", parse::meter_name(name)),
            (id, "") => violations.check("meter_id", MeterId::try_new(id)),
            (id, name) if name == format!("meters/{id}") => violations.check("meter_id", MeterId::try_new(id)),
            _ => {
                violations.add("meter_id", "is not the last part of meter.name");
                None
            }
        };
        let change = match meter::change(&given) {
            Ok(change) => Some(change),
            Err(wrong) => {
                wrong.into_iter().for_each(|wrong| violations.add(format!("meter.{}", wrong.field), wrong.description));
                None
            }
        };
        let (id, change) = violations.finish(id.zip(change))?;
        let change = owned(change, caller.tenant.as_ref())
            .map_err(|wrong| status::registry(&RegistryError::Invalid(wrong), Some(&id)))?;
        let key = self.request_key(&caller, "CreateMeter", &request.request_id, &request);
        let record = self
            .registry()
            .create(id.clone(), change, key)
            .await
            .map_err(|error| status::registry(&error, Some(&id)))?;
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn list_unclaimed_devices(
        &self,
        request: Request<ListUnclaimedDevicesRequest>,
    ) -> Result<Response<ListUnclaimedDevicesResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let after = match request.page_token.as_str() {
            "" => Some(None),
            token => {
                let identity = DeviceIdentity::from_text(token).ok_or("is not a page token that was given out");
                violations.check("page_token", identity).map(Some)
            }
        };
        let after = violations.finish(after)?;
        let size = page(request.page_size);
        let store = self.registry().store();
        let mut devices =
            store.list_unclaimed(after, size.saturating_add(1)).await.map_err(|error| status::store(&error, None))?;
        let more = devices.len() > size;
        devices.truncate(size);
        let last = devices.last().filter(|_| more).map(|last| last.identity.text());
        Ok(Response::new(ListUnclaimedDevicesResponse {
            devices: devices.iter().map(unclaimed).collect(),
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn claim_unclaimed_device(
        &self,
        request: Request<ClaimUnclaimedDeviceRequest>,
    ) -> Result<Response<Meter>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let identity = request.name.strip_prefix("unclaimedDevices/").and_then(DeviceIdentity::from_text);
        let identity = violations.check("name", identity.ok_or("is of the form unclaimedDevices/{device}"));
        let id = violations.check("meter_id", MeterId::try_new(&request.meter_id));
        let mut given = request.meter.clone().unwrap_or_default();
        match identity {
            Some(DeviceIdentity::Title(title)) => given.system_title = title.0.to_vec(),
            Some(DeviceIdentity::Address(address)) => {
                given.push.get_or_insert_default().plaintext_from = address.to_string();
            }
            Some(DeviceIdentity::Equipment(equipment)) => {
                given.customer_port.get_or_insert_default().equipment_id = equipment.to_string();
            }
            Some(DeviceIdentity::Name(name)) => given.logical_device_name = name.to_string(),
            None => {}
        }
        let change = match meter::change(&given) {
            Ok(change) => Some(change),
            Err(wrong) => {
                wrong.into_iter().for_each(|wrong| violations.add(format!("meter.{}", wrong.field), wrong.description));
                None
            }
        };
        let fields = identity.zip(id).zip(change);
        let ((identity, id), change) = violations.finish(fields)?;
        let key = self.request_key(&caller, "ClaimUnclaimedDevice", &request.request_id, &request);
        let store = self.registry().store();
        let heard = store.unclaimed(identity).await.map_err(|error| status::store(&error, None))?;
        // A repetition comes when the device is off the list: the registry knows it by its request id.
        if heard.is_none() && key.is_none() {
            return Err(Status::not_found(format!("{} was not heard of, or is claimed", request.name)));
        }
        let record = self.registry().create(id.clone(), change, key).await;
        let record = record.map_err(|error| status::registry(&error, Some(&id)))?;
        store.forget_unclaimed(identity).await.map_err(|error| status::store(&error, None))?;
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn get_meter(&self, request: Request<GetMeterRequest>) -> Result<Response<Meter>, Status> {
        let id = parse::only_meter("name", &request.get_ref().name)?;
        let record = self.registry().get(&id).await.map_err(|error| status::registry(&error, Some(&id)))?;
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn list_meters(&self, request: Request<ListMetersRequest>) -> Result<Response<ListMetersResponse>, Status> {
        let tenant = caller::of(&request)?.tenant.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        let after = violations.check("page_token", from_token(&request.page_token));
        let after = violations.finish(after)?;
        let size = page(request.page_size);
        let filter = MeterFilter { labels: request.labels, tenant };
        // One more than the page tells whether there is a next one.
        let mut records = self
            .registry()
            .list(after, filter, size.saturating_add(1))
            .await
            .map_err(|error| status::registry(&error, None))?;
        let more = records.len() > size;
        records.truncate(size);
        let next_page_token = records.last().filter(|_| more).map(|last| to_token(&last.id)).unwrap_or_default();
        Ok(Response::new(ListMetersResponse { meters: records.iter().map(meter::to_proto).collect(), next_page_token }))
    }

    async fn update_meter(&self, request: Request<UpdateMeterRequest>) -> Result<Response<Meter>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let update = request.meter.clone().unwrap_or_default();
        let id = violations.check("meter.name", parse::meter_name(&update.name));
        let revision = violations.check("meter.etag", from_etag(&update.etag));
        let (id, revision) = violations.finish(id.zip(revision))?;
        let key = self.request_key(&caller, "UpdateMeter", &request.request_id, &request);
        let mask = request.update_mask.as_ref();
        let change = |current: &MeterSettings| {
            let merged = meter::merge(current, &update, mask).map_err(|wrong| {
                wrong
                    .into_iter()
                    .map(|wrong| SettingsError { field: wrong.field.into(), problem: wrong.description })
                    .collect::<Vec<_>>()
            });
            owned(merged?, caller.tenant.as_ref())
        };
        let record = self
            .registry()
            .update(&id, revision, key, change)
            .await
            .map_err(|error| status::registry(&error, Some(&id)))?;
        self.0.head_end.access().invalidate(&id);
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn set_lifecycle_status(
        &self,
        request: Request<SetLifecycleStatusRequest>,
    ) -> Result<Response<Meter>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        parse::reason(&mut violations, "reason", &request.reason);
        let id = violations.check("name", parse::meter_name(&request.name));
        let revision = violations.check("etag", from_etag(&request.etag));
        let status = violations.check("status", meter::to_lifecycle(request.status));
        let ((id, revision), to) = violations.finish(id.zip(revision).zip(status))?;
        let key = self.request_key(&caller, "SetLifecycleStatus", &request.request_id, &request);
        let changed = self.registry().set_lifecycle(&id, to, revision, key).await;
        let record = changed.map_err(|error| status::registry(&error, Some(&id)))?;
        self.0.head_end.access().invalidate(&id);
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn commission(&self, request: Request<CommissionRequest>) -> Result<Response<JobResponse>, Status> {
        self.job_call("Commission", request, |request| {
            let spec = request.spec.clone().unwrap_or_default();
            (request.target.clone(), Kind::Commission(spec), request.instruction.clone())
        })
        .await
    }

    async fn decommission(&self, request: Request<DecommissionRequest>) -> Result<Response<JobResponse>, Status> {
        self.job_call("Decommission", request, |request| {
            let spec = request.spec.clone().unwrap_or_default();
            (request.target.clone(), Kind::Decommission(spec), request.instruction.clone())
        })
        .await
    }

    async fn delete_meter(&self, request: Request<DeleteMeterRequest>) -> Result<Response<()>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let id = violations.check("name", parse::meter_name(&request.name));
        let revision = violations.check("etag", from_etag(&request.etag));
        let (id, revision) = violations.finish(id.zip(revision))?;
        let key = self.request_key(&caller, "DeleteMeter", &request.request_id, &request);
        let deleted: Result<(), RegistryError> = self.registry().delete(&id, revision, key).await;
        deleted.map_err(|error| status::registry(&error, Some(&id)))?;
        self.0.head_end.access().invalidate(&id);
        Ok(Response::new(()))
    }
}

/// Items of a page that a request asks for.
fn page(asked: u32) -> usize {
    match asked as usize {
        0 => PAGE.0,
        size => size.min(PAGE.1),
    }
}

/// Callers of a tenant register meters for it and for nobody else.
fn owned(mut change: Change, tenant: Option<&Tenant>) -> Result<Change, Vec<SettingsError>> {
    let stated = change.settings.tenant.as_ref();
    if let Some(own) = tenant {
        if stated.is_some_and(|stated| stated != own) {
            let problem = format!("callers of the tenant {own} cannot give meters to another");
            return Err(vec![SettingsError { field: "tenant".into(), problem }]);
        }
        change.settings.tenant = Some(own.clone());
    }
    Ok(change)
}

fn unclaimed(device: &UnclaimedDevice) -> v1::UnclaimedDevice {
    v1::UnclaimedDevice {
        name: format!("unclaimedDevices/{}", device.identity.text()),
        system_title: match device.identity {
            DeviceIdentity::Title(title) => title.0.to_vec(),
            _ => Vec::new(),
        },
        equipment_id: match device.identity {
            DeviceIdentity::Equipment(equipment) => equipment.to_string(),
            _ => String::new(),
        },
        logical_device_name: match device.identity {
            DeviceIdentity::Name(name) => name.to_string(),
            _ => String::new(),
        },
        source: device.source.clone(),
        first_seen_time: Some(to_timestamp(device.first_seen)),
        last_seen_time: Some(to_timestamp(device.last_seen)),
        count: device.count,
    }
}

/// The etag of a request: the revision that it was given out for, if any.
pub(super) fn from_etag(etag: &str) -> Result<Option<u64>, &'static str> {
    if etag.is_empty() {
        return Ok(None);
    }
    etag.parse().map(Some).map_err(|_| "is not an etag that was given out")
}

/// A page token is the name of the last meter on the page before, in hexadecimal digits.
fn to_token(last: &MeterId) -> String {
    hex::encode(last.as_str())
}

fn from_token(token: &str) -> Result<Option<MeterId>, &'static str> {
    if token.is_empty() {
        return Ok(None);
    }
    let octets = hex::decode(token).ok();
    let text = octets.and_then(|octets| String::from_utf8(octets).ok());
    text.and_then(|text| MeterId::try_new(&text).ok()).map(Some).ok_or("is not a page token that was given out")
}
