//! The service Reading.

pub(super) mod answer;
pub(super) mod ask;
mod diagnostics;
mod ping;

use std::pin::Pin;

use dlms_proto::v1::{
    BundleItem, CommsDiagnostics, DiscoverObjectsRequest, DiscoverObjectsResponse, GetAttributesRequest,
    GetAttributesResponse, GetCommsDiagnosticsRequest, InvokeMethodRequest, InvokeMethodResponse, PingMetersRequest,
    ReadBillingPeriodRequest, ReadBillingPeriodResponse, ReadProfileRequest, ReadProfileResponse, ReadRegistersRequest,
    ReadRegistersResponse, RunBundleRequest, RunBundleResponse, SetAttributesRequest, SetAttributesResponse,
    reading_server::Reading,
};
use futures_util::{Stream, stream};
use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Service, caller, capture, deadline, guard, jobs::outcome, once, parse, status};
use crate::{
    meter::MeterId,
    operation::{InvokeMethod, MeterAccess, Operation, Outcome, RequestError, RequestErrorKind, SetAttribute},
    store::{RequestKey, Store},
};

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> Reading for Service<S, A> {
    async fn read_registers(
        &self,
        request: Request<ReadRegistersRequest>,
    ) -> Result<Response<ReadRegistersResponse>, Status> {
        let deadline = self.deadline(&request);
        let request = request.into_inner();
        let (meter, registers) = ask::registers(&request)?;
        let asked: Vec<_> = registers.iter().map(|register| register.obis).collect();
        let read = self.0.head_end.read_registers(&meter, registers, deadline).await;
        let read = read.map_err(|error| status::operation(&error, &meter))?;
        Ok(Response::new(answer::registers(&asked, &read)))
    }

    type ReadProfileStream = Pin<Box<dyn Stream<Item = Result<ReadProfileResponse, Status>> + Send>>;

    async fn read_profile(
        &self,
        request: Request<ReadProfileRequest>,
    ) -> Result<Response<Self::ReadProfileStream>, Status> {
        let deadline = self.deadline(&request);
        let (meter, what) = ask::profile(request.get_ref())?;
        let read = self.0.head_end.read_profile(&meter, what, deadline).await;
        let read = read.map_err(|error| status::operation(&error, &meter))?;
        // Rows that came before a failure are answered before it is told.
        let interrupted = read.reading.interrupted.as_ref().map(|error| Err(status::operation(error, &meter)));
        Ok(Response::new(Box::pin(stream::iter(answer::profile(&meter, read).map(Ok).chain(interrupted)))))
    }

    async fn get_attributes(
        &self,
        request: Request<GetAttributesRequest>,
    ) -> Result<Response<GetAttributesResponse>, Status> {
        let deadline = self.deadline(&request);
        let (meter, attributes) = ask::attributes(request.get_ref())?;
        let asked: Vec<_> = attributes.iter().map(|asked| asked.attribute).collect();
        let results = self.0.head_end.get_attributes(&meter, attributes, deadline).await;
        let results = results.map_err(|error| status::operation(&error, &meter))?;
        Ok(Response::new(GetAttributesResponse { results: answer::attributes(&asked, &results) }))
    }

    async fn set_attributes(
        &self,
        request: Request<SetAttributesRequest>,
    ) -> Result<Response<SetAttributesResponse>, Status> {
        let (caller, deadline) = (caller::of(&request)?.clone(), self.deadline(&request));
        let request = request.into_inner();
        let (meter, assignments) = ask::assignments(&request)?;
        guard::on_demand(&caller, assignments.iter().find_map(SetAttribute::guard), &meter)?;
        let asked: Vec<_> = assignments.iter().map(|assignment| assignment.attribute).collect();
        let service = self.clone();
        let (for_work, for_unknown) = (meter.clone(), asked.clone());
        let work = move || async move { service.set(&for_work, assignments, &asked, deadline).await };
        let unknown = move || answer::set_failed(&for_unknown, &unfinished());
        let key = self.request_key(&caller, "SetAttributes", &request.request_id, &request);
        let response = self.mutate(key, &meter, unknown, work).await?;
        Ok(Response::new(response))
    }

    async fn invoke_method(
        &self,
        request: Request<InvokeMethodRequest>,
    ) -> Result<Response<InvokeMethodResponse>, Status> {
        let (caller, deadline) = (caller::of(&request)?.clone(), self.deadline(&request));
        let request = request.into_inner();
        let (meter, method) = ask::method(&request)?;
        guard::on_demand(&caller, method.guard(), &meter)?;
        let service = self.clone();
        let for_work = meter.clone();
        let work = move || async move { service.invoke(&for_work, method, deadline).await };
        let unknown = || answer::method(Err(unfinished()));
        let key = self.request_key(&caller, "InvokeMethod", &request.request_id, &request);
        let response = self.mutate(key, &meter, unknown, work).await?;
        Ok(Response::new(response))
    }

    async fn run_bundle(&self, request: Request<RunBundleRequest>) -> Result<Response<RunBundleResponse>, Status> {
        let (caller, deadline) = (caller::of(&request)?.clone(), self.deadline(&request));
        let request = request.into_inner();
        let (meter, bundle) = ask::bundle(&request)?;
        guard::on_demand(&caller, bundle.guard(), &meter)?;
        let service = self.clone();
        let key = self.request_key(&caller, "RunBundle", &request.request_id, &request);
        let items = request.bundle.unwrap_or_default().items;
        let (for_work, for_unknown) = (meter.clone(), items.clone());
        let work = move || async move { service.bundle(&for_work, bundle, &items, deadline).await };
        let unknown = move || answer::bundle_failed(&for_unknown, &unfinished());
        let response = self.mutate(key, &meter, unknown, work).await?;
        Ok(Response::new(response))
    }

    async fn read_billing_period(
        &self,
        request: Request<ReadBillingPeriodRequest>,
    ) -> Result<Response<ReadBillingPeriodResponse>, Status> {
        let deadline = self.deadline(&request);
        let (meter, profile, period) = ask::billing_period(request.get_ref())?;
        let read = self.0.head_end.read_billing_period(&meter, profile, period, deadline).await;
        let read = read.map_err(|error| status::operation(&error, &meter))?;
        Ok(Response::new(answer::billing_period(&meter, &read)))
    }

    async fn get_comms_diagnostics(
        &self,
        request: Request<GetCommsDiagnosticsRequest>,
    ) -> Result<Response<CommsDiagnostics>, Status> {
        let deadline = self.deadline(&request);
        Ok(Response::new(self.diagnostics(request.get_ref(), deadline).await?))
    }

    type PingMetersStream = ping::Answers;

    async fn ping_meters(&self, request: Request<PingMetersRequest>) -> Result<Response<ping::Answers>, Status> {
        let caller = caller::of(&request)?.clone();
        let (target, timeout) = ping::parse(request.get_ref())?;
        Ok(Response::new(ping::answers(self.clone(), target, caller.tenant, timeout).await?))
    }

    async fn discover_objects(
        &self,
        request: Request<DiscoverObjectsRequest>,
    ) -> Result<Response<DiscoverObjectsResponse>, Status> {
        let deadline = self.deadline(&request);
        let request = request.into_inner();
        let meter = parse::only_meter("meter", &request.meter)?;
        let failed = |error: RequestError| status::operation(&error, &meter);
        if !request.cached {
            let model = self.0.head_end.discover_objects(&meter, deadline).await.map_err(failed)?;
            return Ok(Response::new(capture::model(&model)));
        }
        match self.0.head_end.discovered_objects(&meter).await.map_err(failed)? {
            Some(model) => Ok(Response::new(capture::model(&model))),
            None => {
                let registry = self.0.head_end.registry();
                registry.get(&meter).await.map_err(|error| status::registry(&error, Some(&meter)))?;
                Err(status::precondition("NOT_DISCOVERED", "the objects of the meter were never read", &meter))
            }
        }
    }
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    pub(super) fn deadline<T>(&self, request: &Request<T>) -> Instant {
        deadline::of(request, self.0.default_timeout)
    }

    /// Carries out a request that changes the meter: with a request id at most once, and to its end
    /// even when the caller goes away.
    pub(super) async fn mutate<R, F>(
        &self,
        key: Option<RequestKey>,
        meter: &MeterId,
        unknown: impl FnOnce() -> R + Send + 'static,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<R, Status>
    where
        R: Message + Default + 'static,
        F: Future<Output = Result<R, Status>> + Send + 'static,
    {
        let Some(key) = key else { return work().await };
        let (store, meter) = (std::sync::Arc::clone(self.0.head_end.registry().store()), meter.clone());
        let task = tokio::spawn(async move { once::at_most_once(&*store, &meter, key, unknown, work).await });
        task.await.map_err(|_| Status::internal("the request was broken off inside the head-end"))?
    }

    async fn set(
        &self,
        meter: &MeterId,
        assignments: Vec<SetAttribute>,
        asked: &[crate::operation::AttributeRef],
        deadline: Instant,
    ) -> Result<SetAttributesResponse, Status> {
        match self.0.head_end.set_attributes(meter, assignments, deadline).await {
            Ok(results) => Ok(answer::set(asked, &results)),
            Err(error) if is_about_the_meter(&error) => Ok(answer::set_failed(asked, &error)),
            Err(error) => Err(status::operation(&error, meter)),
        }
    }

    async fn bundle(
        &self,
        meter: &MeterId,
        bundle: Operation,
        items: &[BundleItem],
        deadline: Instant,
    ) -> Result<RunBundleResponse, Status> {
        match self.0.head_end.perform(meter, bundle, deadline).await {
            Ok(Outcome::Bundle(outcomes)) => Ok(RunBundleResponse { items: outcome::bundle(items, &outcomes) }),
            Ok(_) => Err(Status::internal("the fleet answered a bundle with something else")),
            Err(error) if is_about_the_meter(&error) => Ok(answer::bundle_failed(items, &error)),
            Err(error) => Err(status::operation(&error, meter)),
        }
    }

    async fn invoke(
        &self,
        meter: &MeterId,
        method: InvokeMethod,
        deadline: Instant,
    ) -> Result<InvokeMethodResponse, Status> {
        match self.0.head_end.invoke_method(meter, method, deadline).await {
            Err(error) if !is_about_the_meter(&error) => Err(status::operation(&error, meter)),
            returned => Ok(answer::method(returned)),
        }
    }
}

/// Whether an error tells what became of a request at the meter: then it is a result and not the
/// status of the call.
fn is_about_the_meter(error: &RequestError) -> bool {
    match error.kind() {
        RequestErrorKind::UnknownOutcome => true,
        RequestErrorKind::MeterRefused => error.object().is_some() || error.layer() == crate::operation::Layer::Meter,
        _ => false,
    }
}

/// What is known about a request that was begun and has not ended.
fn unfinished() -> RequestError {
    RequestError::new(
        RequestErrorKind::UnknownOutcome,
        crate::operation::Layer::HeadEnd,
        "a request with this request_id was begun and its end is not known",
    )
    .with_sent(true)
}
