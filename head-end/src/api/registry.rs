//! The service MeterRegistry.

use dlms_proto::v1::{
    CreateMeterRequest, DeleteMeterRequest, GetMeterRequest, ListMetersRequest, ListMetersResponse, Meter,
    UpdateMeterRequest, meter_registry_server::MeterRegistry,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    Service, meter,
    parse::{self, Violations},
    status,
};
use crate::{
    meter::{MeterId, MeterSettings, SettingsError},
    operation::MeterAccess,
    registry::{Registry, RegistryError},
    store::{MeterFilter, RequestKey, Store},
};

/// Meters on a page where the request does not say, and at most.
const PAGE: (usize, usize) = (100, 1000);

impl<S: Store, A: MeterAccess> Service<S, A> {
    fn registry(&self) -> &Registry<S> {
        self.0.head_end.registry()
    }

    fn request_key(&self, method: &'static str, id: &str, request: &impl Message) -> Option<RequestKey> {
        (!id.is_empty()).then(|| {
            let contents = zeroize::Zeroizing::new(request.encode_to_vec());
            self.registry().request_key(method, id, &contents)
        })
    }
}

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> MeterRegistry for Service<S, A> {
    async fn create_meter(&self, request: Request<CreateMeterRequest>) -> Result<Response<Meter>, Status> {
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
        let key = self.request_key("CreateMeter", &request.request_id, &request);
        let record = self
            .registry()
            .create(id.clone(), change, key)
            .await
            .map_err(|error| status::registry(&error, Some(&id)))?;
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn get_meter(&self, request: Request<GetMeterRequest>) -> Result<Response<Meter>, Status> {
        let id = parse::only_meter("name", &request.get_ref().name)?;
        let record = self.registry().get(&id).await.map_err(|error| status::registry(&error, Some(&id)))?;
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn list_meters(&self, request: Request<ListMetersRequest>) -> Result<Response<ListMetersResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let after = violations.check("page_token", from_token(&request.page_token));
        let after = violations.finish(after)?;
        let size = match request.page_size as usize {
            0 => PAGE.0,
            size => size.min(PAGE.1),
        };
        let filter = MeterFilter { labels: request.labels };
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
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let update = request.meter.clone().unwrap_or_default();
        let id = violations.check("meter.name", parse::meter_name(&update.name));
        let revision = violations.check("meter.etag", from_etag(&update.etag));
        let (id, revision) = violations.finish(id.zip(revision))?;
        let key = self.request_key("UpdateMeter", &request.request_id, &request);
        let mask = request.update_mask.as_ref();
        let change = |current: &MeterSettings| {
            meter::merge(current, &update, mask).map_err(|wrong| {
                wrong
                    .into_iter()
                    .map(|wrong| SettingsError { field: wrong.field.into(), problem: wrong.description })
                    .collect()
            })
        };
        let record = self
            .registry()
            .update(&id, revision, key, change)
            .await
            .map_err(|error| status::registry(&error, Some(&id)))?;
        self.0.head_end.access().invalidate(&id);
        Ok(Response::new(meter::to_proto(&record)))
    }

    async fn delete_meter(&self, request: Request<DeleteMeterRequest>) -> Result<Response<()>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let id = violations.check("name", parse::meter_name(&request.name));
        let revision = violations.check("etag", from_etag(&request.etag));
        let (id, revision) = violations.finish(id.zip(revision))?;
        let key = self.request_key("DeleteMeter", &request.request_id, &request);
        let deleted: Result<(), RegistryError> = self.registry().delete(&id, revision, key).await;
        deleted.map_err(|error| status::registry(&error, Some(&id)))?;
        self.0.head_end.access().invalidate(&id);
        Ok(Response::new(()))
    }
}

/// The etag of a request: the revision that it was given out for, if any.
fn from_etag(etag: &str) -> Result<Option<u64>, &'static str> {
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
