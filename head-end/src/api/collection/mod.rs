//! The service Collection.

pub(super) mod answer;
mod ask;
mod plan;

use std::{pin::Pin, time::Duration};

use dlms_proto::v1::{
    BackfillGapsRequest, CreatePlanRequest, DeletePlanRequest, GetCollectionPerformanceRequest,
    GetCollectionPerformanceResponse, GetCoverageRequest, GetCoverageResponse, GetPlanRequest, GetPlanRunRequest,
    ListPlanStatesRequest, ListPlanStatesResponse, ListPlansRequest, ListPlansResponse, PausePlanRequest, Plan,
    PlanRun, ResumePlanRequest, RunNowRequest, UpdatePlanRequest, collection_server::Collection,
};
use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};

use super::{
    Service, caller,
    parse::{self, Violations},
    registry::from_etag,
    status,
};
use crate::{
    collection::CollectionError,
    operation::MeterAccess,
    plan::PlanId,
    store::{RequestKey, Store},
};

/// Items on a page where the request does not say, and at most.
const PAGE: (usize, usize) = (100, 1000);

/// At least so long between two messages about a run.
const PROGRESS: Duration = Duration::from_millis(200);

impl<S: Store, A: MeterAccess> Service<S, A> {
    fn collection(&self) -> &crate::collection::Collection<S, A> {
        &self.0.collection
    }

    async fn rest(
        &self,
        name: &str,
        paused: bool,
        request_id: &str,
        key: Option<RequestKey>,
    ) -> Result<Response<Plan>, Status> {
        let mut violations = Violations::default();
        parse::request_id(&mut violations, request_id);
        let id = violations.check("name", ask::plan_name(name));
        let id = violations.finish(id)?;
        let plan = self.collection().pause(&id, paused, key).await.map_err(|error| failed(&error))?;
        Ok(Response::new(plan::to_proto(&plan)))
    }
}

fn failed(error: &CollectionError) -> Status {
    status::collection(error)
}

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> Collection for Service<S, A> {
    async fn create_plan(&self, request: Request<CreatePlanRequest>) -> Result<Response<Plan>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let given = request.plan.clone().unwrap_or_default();
        let id = match (request.plan_id.as_str(), given.name.as_str()) {
            ("", name) => violations.check("plan.name", ask::plan_name(name)),
            (id, name) if name.is_empty() || name == format!("plans/{id}") => {
                violations.check("plan_id", id.parse::<PlanId>())
            }
            _ => {
                violations.add("plan_id", "is not the last part of plan.name");
                None
            }
        };
        let settings = plan::settings(&mut violations, &given);
        let (id, settings) = violations.finish(id.zip(settings))?;
        let key = self.request_key(&caller, "CreatePlan", &request.request_id, &request);
        let plan = self.collection().create(id, settings, key).await.map_err(|error| failed(&error))?;
        Ok(Response::new(plan::to_proto(&plan)))
    }

    async fn get_plan(&self, request: Request<GetPlanRequest>) -> Result<Response<Plan>, Status> {
        let id = ask::only_plan("name", &request.get_ref().name)?;
        let plan = self.collection().get(&id).await.map_err(|error| failed(&error))?;
        Ok(Response::new(plan::to_proto(&plan)))
    }

    async fn list_plans(&self, request: Request<ListPlansRequest>) -> Result<Response<ListPlansResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let after = violations.check("page_token", ask::from_token::<PlanId>(&request.page_token));
        let after = violations.finish(after)?;
        let size = ask::page_size(request.page_size, PAGE);
        // One more than the page tells whether there is a next one.
        let mut plans = self.collection().list(after, size + 1).await.map_err(|error| failed(&error))?;
        let more = plans.len() > size;
        plans.truncate(size);
        let next = plans.last().filter(|_| more).map(|last| ask::to_token(last.id.as_str()));
        let plans = plans.iter().map(plan::to_proto).collect();
        Ok(Response::new(ListPlansResponse { plans, next_page_token: next.unwrap_or_default() }))
    }

    async fn update_plan(&self, request: Request<UpdatePlanRequest>) -> Result<Response<Plan>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let update = request.plan.clone().unwrap_or_default();
        let id = violations.check("plan.name", ask::plan_name(&update.name));
        let revision = violations.check("plan.etag", from_etag(&update.etag));
        let (id, revision) = violations.finish(id.zip(revision))?;
        let key = self.request_key(&caller, "UpdatePlan", &request.request_id, &request);
        let mask = request.update_mask;
        let change = move |current| plan::merge(current, &update, mask.as_ref());
        let plan = self.collection().update(&id, revision, key, change).await.map_err(|error| failed(&error))?;
        Ok(Response::new(plan::to_proto(&plan)))
    }

    async fn delete_plan(&self, request: Request<DeletePlanRequest>) -> Result<Response<()>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let id = violations.check("name", ask::plan_name(&request.name));
        let revision = violations.check("etag", from_etag(&request.etag));
        let (id, revision) = violations.finish(id.zip(revision))?;
        let key = self.request_key(&caller, "DeletePlan", &request.request_id, &request);
        self.collection().delete(&id, revision, key).await.map_err(|error| failed(&error))?;
        Ok(Response::new(()))
    }

    async fn pause_plan(&self, request: Request<PausePlanRequest>) -> Result<Response<Plan>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let key = self.request_key(&caller, "PausePlan", &request.request_id, &request);
        self.rest(&request.name, true, &request.request_id, key).await
    }

    async fn resume_plan(&self, request: Request<ResumePlanRequest>) -> Result<Response<Plan>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let key = self.request_key(&caller, "ResumePlan", &request.request_id, &request);
        self.rest(&request.name, false, &request.request_id, key).await
    }

    async fn list_plan_states(
        &self,
        request: Request<ListPlanStatesRequest>,
    ) -> Result<Response<ListPlanStatesResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let plan = violations.check("plan", ask::plan_name(&request.plan));
        let after = violations.check("page_token", ask::from_token(&request.page_token));
        let (plan, after) = violations.finish(plan.zip(after))?;
        let size = ask::page_size(request.page_size, PAGE);
        let states = self.collection().states(&plan, after, size + 1).await;
        let mut states = states.map_err(|error| failed(&error))?;
        let more = states.len() > size;
        states.truncate(size);
        let next = states.last().filter(|_| more).map(|last| ask::to_token(last.meter.as_str()));
        let states = states.iter().map(answer::state).collect();
        Ok(Response::new(ListPlanStatesResponse { states, next_page_token: next.unwrap_or_default() }))
    }

    async fn run_now(&self, request: Request<RunNowRequest>) -> Result<Response<PlanRun>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let plan = violations.check("plan", ask::plan_name(&request.plan));
        let meters = ask::meters(&mut violations, &request.meters);
        let (plan, meters) = violations.finish(plan.zip(meters))?;
        let key = self.request_key(&caller, "RunNow", &request.request_id, &request);
        let run = self.collection().run_now(&plan, meters, None, key).await.map_err(|error| failed(&error))?;
        Ok(Response::new(answer::run(&run)))
    }

    async fn backfill_gaps(&self, request: Request<BackfillGapsRequest>) -> Result<Response<PlanRun>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        let plan = violations.check("plan", ask::plan_name(&request.plan));
        let meters = ask::meters(&mut violations, &request.meters);
        let from = violations.check("from", ask::required(request.from.as_ref()));
        let ((plan, meters), from) = violations.finish(plan.zip(meters).zip(from))?;
        let key = self.request_key(&caller, "BackfillGaps", &request.request_id, &request);
        let run = self.collection().run_now(&plan, meters, Some(from), key).await.map_err(|error| failed(&error))?;
        Ok(Response::new(answer::run(&run)))
    }

    async fn get_plan_run(&self, request: Request<GetPlanRunRequest>) -> Result<Response<PlanRun>, Status> {
        let (plan, id) = ask::only_run(&request.get_ref().name)?;
        let run = self.collection().run(&plan, id).await.map_err(|error| failed(&error))?;
        Ok(Response::new(answer::run(&run)))
    }

    type WatchPlanRunStream = Pin<Box<dyn Stream<Item = Result<PlanRun, Status>> + Send>>;

    async fn watch_plan_run(
        &self,
        request: Request<GetPlanRunRequest>,
    ) -> Result<Response<Self::WatchPlanRunStream>, Status> {
        let (plan, id) = ask::only_run(&request.get_ref().name)?;
        let mut progress = self.collection().watch();
        progress.mark_changed();
        let first = self.collection().run(&plan, id).await.map_err(|error| failed(&error))?;
        let service = self.clone();
        let messages = stream::unfold((Some(first), progress, false), move |(told, mut progress, ended)| {
            let (service, plan) = (service.clone(), plan.clone());
            async move {
                if ended {
                    return None;
                }
                loop {
                    service.0.stopping.run_until_cancelled(progress.changed()).await?.ok()?;
                    let run = match service.collection().run(&plan, id).await {
                        Ok(run) => run,
                        Err(error) => return Some((Err(failed(&error)), (None, progress, true))),
                    };
                    let ended = run.has_ended();
                    // The first message is what it is now, the others what has changed.
                    let known = told.as_ref().is_some_and(|told| *told == run && told.succeeded + told.failed > 0);
                    if !known || ended {
                        tokio::time::sleep(if ended { Duration::ZERO } else { PROGRESS }).await;
                        return Some((Ok(answer::run(&run)), (Some(run), progress, ended)));
                    }
                    tokio::time::sleep(PROGRESS).await;
                }
            }
        });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn get_coverage(
        &self,
        request: Request<GetCoverageRequest>,
    ) -> Result<Response<GetCoverageResponse>, Status> {
        let asked = ask::coverage(request.get_ref())?;
        let mut profiles = Vec::with_capacity(asked.profiles.len());
        for profile in asked.profiles {
            let map = self.collection().coverage(&asked.meter, profile, asked.span.clone(), &asked.zone).await;
            profiles.push(answer::coverage(&map.map_err(|error| failed(&error))?));
        }
        Ok(Response::new(GetCoverageResponse { profiles }))
    }

    async fn get_collection_performance(
        &self,
        request: Request<GetCollectionPerformanceRequest>,
    ) -> Result<Response<GetCollectionPerformanceResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let plan = violations.check("plan", ask::plan_name(&request.plan));
        let span = ask::span(&mut violations, request.from.as_ref(), request.to.as_ref());
        let (plan, span) = violations.finish(plan.zip(span))?;
        let performance = self.collection().performance(&plan, span).await.map_err(|error| failed(&error))?;
        Ok(Response::new(GetCollectionPerformanceResponse {
            all: Some(answer::timeliness(&performance.all)),
            available: Some(answer::timeliness(&performance.available)),
        }))
    }
}
