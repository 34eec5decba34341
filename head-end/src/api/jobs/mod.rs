//! The service Jobs, and the messages that jobs are stored as.

mod configuration;
pub(super) mod convert;
mod firmware;
mod lifecycle;
pub(super) mod outcome;
pub(super) mod spec;

use std::pin::Pin;

use dlms_proto::v1::{
    self, ApproveJobRequest, CancelJobRequest, GetJobRequest, Job, JobProgress, JobResponse, JobSpec, ListJobsRequest,
    ListJobsResponse, ListResultsRequest, ListResultsResponse, SubmitRequest, WatchJobRequest, job_spec, jobs_server,
    target,
};
use futures_util::{Stream, stream};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    Service, caller, deadline, guard,
    parse::{self, Violations},
    result, status,
};
use crate::{
    access::Caller,
    jobs::{Codec, JobError, Plan, Report},
    meter::MeterId,
    operation::{MeterAccess, RequestError},
    store::{JobFilter, JobId, JobRow, Store, TaskFilter, TaskRef, TaskRow},
};

/// Jobs on a page where the request does not say, and at most.
const JOBS: (usize, usize) = (50, 500);
/// Tasks likewise.
const TASKS: (usize, usize) = (100, 1_000);

/// Jobs are stored as the messages of this API.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiCodec;

impl Codec for ApiCodec {
    fn plan(&self, spec: &[u8]) -> Result<Plan, String> {
        let spec = JobSpec::decode(spec).map_err(|error| error.to_string())?;
        spec::plan(&spec)
    }

    fn report(&self, spec: &[u8], report: &Report) -> Vec<u8> {
        let spec = JobSpec::decode(spec).unwrap_or_default();
        outcome::of(&spec, report).encode_to_vec()
    }

    fn failure(&self, error: &RequestError) -> Vec<u8> {
        result::failure(error).encode_to_vec()
    }
}

fn job_name(name: &str) -> Result<JobId, String> {
    let id = name.strip_prefix("jobs/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| "is of the form jobs/{job}".to_owned())
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    /// The job of a request, if the caller sees it.
    async fn seen(&self, caller: &Caller, field: &'static str, name: &str) -> Result<JobRow, Status> {
        let mut violations = Violations::default();
        let id = violations.check(field, job_name(name));
        let id = violations.finish(id)?;
        let row = self.0.jobs.store().job(id).await.map_err(|error| status::store(&error, None))?;
        row.filter(|row| caller.sees(row.tenant.as_ref())).ok_or_else(|| status::job(&JobError::NotFound(id)))
    }

    pub(super) async fn job_message(&self, id: JobId) -> Result<Job, Status> {
        let failed = |error| status::store(&error, None);
        let row = self.0.jobs.store().job(id).await.map_err(failed)?;
        let row = row.ok_or_else(|| status::job(&JobError::NotFound(id)))?;
        let counts = self.0.jobs.store().count_tasks(id).await.map_err(failed)?;
        Ok(convert::job(&row, &counts))
    }

    /// Makes a job of a request.
    pub(super) async fn make_job(
        &self,
        caller: &Caller,
        method: &'static str,
        request: &impl Message,
        target: Option<&v1::Target>,
        spec: &JobSpec,
        instruction: Option<&v1::Instruction>,
    ) -> Result<JobId, Status> {
        let spec = &*self.with_template(caller, spec).await?;
        if spec::changes_keys(spec) {
            guard::keys(caller)?;
        }
        if spec::changes_registry(spec) {
            guard::registry(caller)?;
        }
        if spec::holds_keys(spec) {
            let problem = "changes keys: a job would keep them in clear; on demand they are not kept".to_owned();
            return Err(status::job(&JobError::Invalid { field: "spec", problem }));
        }
        let key = |id: &str| {
            let contents = request.encode_to_vec();
            self.0.head_end.registry().request_key(&caller.subject, method, id, &contents)
        };
        let new = convert::new_job(caller, target, spec, instruction, key)?;
        let jobs = self.0.jobs.clone();
        // A caller that goes away leaves no half of a job behind.
        let made = tokio::spawn(async move { jobs.submit(new).await }).await;
        let made = made.map_err(|_| Status::internal("the job was broken off inside the head-end"))?;
        made.map_err(|error| status::job(&error))
    }

    /// A call that makes a job, and waits for it where it is for one meter.
    pub(super) async fn job_call<T: Message>(
        &self,
        method: &'static str,
        request: Request<T>,
        parts: impl FnOnce(&T) -> (Option<v1::Target>, job_spec::Kind, Option<v1::Instruction>),
    ) -> Result<Response<JobResponse>, Status> {
        let (job, task) = self.job_of_call(method, request, parts).await?;
        Ok(Response::new(JobResponse { job: Some(job), task: task.map(|task| convert::task(&task)) }))
    }

    /// Makes the job of a call, and waits for it where it is for one meter: the job, and the task of that meter.
    pub(super) async fn job_of_call<T: Message>(
        &self,
        method: &'static str,
        request: Request<T>,
        parts: impl FnOnce(&T) -> (Option<v1::Target>, job_spec::Kind, Option<v1::Instruction>),
    ) -> Result<(Job, Option<TaskRow>), Status> {
        let (caller, deadline) = (caller::of(&request)?.clone(), deadline::of(&request, self.0.default_timeout));
        let request = request.into_inner();
        let (target, kind, instruction) = parts(&request);
        let spec = JobSpec { kind: Some(kind) };
        let job = self.make_job(&caller, method, &request, target.as_ref(), &spec, instruction.as_ref()).await?;
        let meter = match target.and_then(|target| target.kind) {
            Some(target::Kind::Meter(name)) => parse::meter_name(&name).ok(),
            _ => None,
        };
        let Some(meter) = meter else { return Ok((self.job_message(job).await?, None)) };
        self.0.jobs.wait(job, deadline).await.map_err(|error| status::job(&error))?;
        let task = self.0.jobs.store().task(TaskRef { job, meter }).await;
        let task = task.map_err(|error| status::store(&error, None))?;
        Ok((self.job_message(job).await?, task))
    }
}

type Progress = Pin<Box<dyn Stream<Item = Result<JobProgress, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> jobs_server::Jobs for Service<S, A> {
    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<Job>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let (spec, target) = (request.spec.clone().unwrap_or_default(), request.target.as_ref());
        let job = self.make_job(&caller, "Submit", &request, target, &spec, request.instruction.as_ref()).await?;
        Ok(Response::new(self.job_message(job).await?))
    }

    async fn get(&self, request: Request<GetJobRequest>) -> Result<Response<Job>, Status> {
        let row = self.seen(caller::of(&request)?, "name", &request.get_ref().name).await?;
        Ok(Response::new(self.job_message(row.id).await?))
    }

    async fn list(&self, request: Request<ListJobsRequest>) -> Result<Response<ListJobsResponse>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        let state = violations.check("state", convert::to_state(request.state));
        let after = match request.page_token.as_str() {
            "" => Some(None),
            token => violations.check("page_token", token.parse::<JobId>()).map(Some),
        };
        let (state, after) = violations.finish(state.zip(after))?;
        let size = parse::page_size(request.page_size, JOBS);
        let filter = JobFilter { tenant: caller.tenant, state, kind: None };
        let failed = |error| status::store(&error, None);
        let store = self.0.jobs.store();
        let mut rows = store.list_jobs(filter, after, size + 1).await.map_err(failed)?;
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = rows.last().filter(|_| more).map(|row| row.id.to_string()).unwrap_or_default();
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            let counts = store.count_tasks(row.id).await.map_err(failed)?;
            jobs.push(convert::job(&row, &counts));
        }
        Ok(Response::new(ListJobsResponse { jobs, next_page_token }))
    }

    type WatchStream = Progress;

    async fn watch(&self, request: Request<WatchJobRequest>) -> Result<Response<Progress>, Status> {
        let row = self.seen(caller::of(&request)?, "name", &request.get_ref().name).await?;
        let mut violations = Violations::default();
        let after = match request.get_ref().resume_token.as_str() {
            "" => Some(0),
            token => violations.check("resume_token", token.parse::<u64>().map_err(|_| "is not one of ours")),
        };
        let after = violations.finish(after)?;
        let watch = self.0.jobs.watch(row.id, after);
        let stopping = self.0.stopping.clone();
        let progress = stream::try_unfold((watch, stopping), async |(mut watch, stopping)| {
            let Some(progress) = stopping.run_until_cancelled(watch.next()).await else {
                return Err(Status::unavailable("the head-end is shutting down; go on with the last resume_token"));
            };
            let Some(progress) = progress.map_err(|error| status::job(&error))? else { return Ok(None) };
            let message = JobProgress {
                job: Some(convert::job(&progress.job, &progress.counts)),
                ended: progress.ended.iter().map(convert::task).collect(),
                resume_token: progress.seq.to_string(),
            };
            Ok(Some((message, (watch, stopping))))
        });
        Ok(Response::new(Box::pin(progress)))
    }

    async fn cancel(&self, request: Request<CancelJobRequest>) -> Result<Response<Job>, Status> {
        let row = self.seen(caller::of(&request)?, "name", &request.get_ref().name).await?;
        self.0.jobs.cancel(row.id).await.map_err(|error| status::job(&error))?;
        Ok(Response::new(self.job_message(row.id).await?))
    }

    async fn approve(&self, request: Request<ApproveJobRequest>) -> Result<Response<Job>, Status> {
        let caller = caller::of(&request)?.clone();
        let row = self.seen(&caller, "name", &request.get_ref().name).await?;
        self.0.jobs.approve(row.id, &caller.subject).await.map_err(|error| status::job(&error))?;
        Ok(Response::new(self.job_message(row.id).await?))
    }

    async fn list_results(
        &self,
        request: Request<ListResultsRequest>,
    ) -> Result<Response<ListResultsResponse>, Status> {
        let row = self.seen(caller::of(&request)?, "job", &request.get_ref().job).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let result = violations.check("result", convert::to_result(request.result));
        let after = match request.page_token.as_str() {
            "" => Some(None),
            token => violations.check("page_token", MeterId::try_new(token)).map(Some),
        };
        let (result, after) = violations.finish(result.zip(after))?;
        let size = parse::page_size(request.page_size, TASKS);
        let tasks = self.0.jobs.store().list_tasks(row.id, TaskFilter { result }, after, size + 1).await;
        let mut tasks = tasks.map_err(|error| status::store(&error, None))?;
        let more = tasks.len() > size;
        tasks.truncate(size);
        let next_page_token = tasks.last().filter(|_| more).map(|task| task.meter.to_string()).unwrap_or_default();
        let tasks = tasks.iter().map(convert::task).collect();
        Ok(Response::new(ListResultsResponse { tasks, next_page_token }))
    }
}
