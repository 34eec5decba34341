//! The service Firmware: images, and campaigns that are jobs in waves.

mod campaign;
mod upload;

use std::pin::Pin;

use dlms_proto::v1::{
    self, AbortCampaignRequest, ActivateFirmwareRequest, Campaign, CreateCampaignRequest, DeleteImageRequest,
    DeleteImageResponse, FirmwareImage, GetCampaignRequest, GetFirmwareVersionsRequest, GetImageRequest, JobResponse,
    JobSpec, ListCampaignsRequest, ListCampaignsResponse, ListImagesRequest, ListImagesResponse, PauseCampaignRequest,
    ResumeCampaignRequest, UploadImageRequest, firmware_server::Firmware, job_spec::Kind,
};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Service, caller, deadline,
    parse::{self, Violations, to_timestamp},
    status,
};
use crate::{
    operation::MeterAccess,
    store::{ImageId, ImageRow, JobFilter, JobId, JobState, Store},
};

/// Images and campaigns on a page where the request does not say, and at most.
const PAGE: (usize, usize) = (50, 500);
/// Kind of the jobs that are campaigns.
const CAMPAIGN: &str = "update_firmware";
/// States of jobs that may need an image.
const OPEN: [JobState; 4] = [JobState::Expanding, JobState::AwaitingApproval, JobState::Running, JobState::Cancelling];

fn image_name(name: &str) -> Result<ImageId, String> {
    let id = name.strip_prefix("images/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| "is of the form images/{image}".to_owned())
}

fn image(row: &ImageRow) -> FirmwareImage {
    FirmwareImage {
        name: row.id.resource_name(),
        sha256: row.digest.to_vec(),
        size: row.size,
        identification: row.identification.clone(),
        version: row.version.clone(),
        signature: row.signature.clone(),
        description: row.description.clone(),
        creator: row.creator.clone(),
        create_time: Some(to_timestamp(row.created)),
    }
}

fn failed(error: crate::store::StoreError) -> Status {
    status::store(&error, None)
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    /// The image that a field names.
    async fn named_image(&self, field: &str, name: &str) -> Result<ImageRow, Status> {
        let mut violations = Violations::default();
        let id = violations.check(field, image_name(name));
        let id = violations.finish(id)?;
        let row = self.0.jobs.store().image(id).await.map_err(failed)?;
        row.ok_or_else(|| failed(crate::store::StoreError::NotFound(id.resource_name())))
    }

    /// The first job that has not ended and needs an image.
    async fn user_of(&self, image: &str) -> Result<Option<JobId>, Status> {
        let store = self.0.jobs.store();
        for state in OPEN {
            for job in store.open_jobs(state).await.map_err(failed)? {
                let Some(row) = store.job(job).await.map_err(failed)? else { continue };
                let needs = match JobSpec::decode(row.spec.as_slice()).ok().and_then(|spec| spec.kind) {
                    Some(Kind::UpdateFirmware(of)) => of.image == image,
                    Some(Kind::ActivateFirmware(of)) => of.image == image,
                    _ => false,
                };
                if needs {
                    return Ok(Some(job));
                }
            }
        }
        Ok(None)
    }
}

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> Firmware for Service<S, A> {
    async fn upload_image(
        &self,
        request: Request<Streaming<UploadImageRequest>>,
    ) -> Result<Response<FirmwareImage>, Status> {
        let (caller, deadline) = (caller::of(&request)?.clone(), deadline::of(&request, self.0.default_timeout));
        let parts = Pin::new(Box::new(request.into_inner()));
        let row = upload::store(self.0.jobs.store(), &caller, parts, deadline).await?;
        Ok(Response::new(image(&row)))
    }

    async fn list_images(&self, request: Request<ListImagesRequest>) -> Result<Response<ListImagesResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let after = match request.page_token.as_str() {
            "" => Some(None),
            token => violations.check("page_token", token.parse::<ImageId>()).map(Some),
        };
        let after = violations.finish(after)?;
        let size = parse::page_size(request.page_size, PAGE);
        let mut rows = self.0.jobs.store().images(after, size + 1).await.map_err(failed)?;
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = rows.last().filter(|_| more).map(|row| row.id.to_string()).unwrap_or_default();
        Ok(Response::new(ListImagesResponse { images: rows.iter().map(image).collect(), next_page_token }))
    }

    async fn get_image(&self, request: Request<GetImageRequest>) -> Result<Response<FirmwareImage>, Status> {
        let row = self.named_image("name", &request.get_ref().name).await?;
        Ok(Response::new(image(&row)))
    }

    async fn delete_image(
        &self,
        request: Request<DeleteImageRequest>,
    ) -> Result<Response<DeleteImageResponse>, Status> {
        let row = self.named_image("name", &request.get_ref().name).await?;
        let name = row.id.resource_name();
        if let Some(job) = self.user_of(&name).await? {
            return Err(status::in_use(&format!("{name} is needed by {}", job.resource_name())));
        }
        self.0.jobs.store().delete_image(row.id).await.map_err(failed)?;
        Ok(Response::new(DeleteImageResponse {}))
    }

    async fn create_campaign(&self, request: Request<CreateCampaignRequest>) -> Result<Response<Campaign>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let spec = request.spec.clone().unwrap_or_default();
        self.named_image("spec.image", &spec.image).await?;
        let mut instruction = request.instruction.clone().unwrap_or_default();
        campaign::check_times(&spec, &instruction)?;
        if instruction.priority() == v1::Priority::Unspecified {
            instruction.set_priority(v1::Priority::Low);
        }
        let kind = JobSpec { kind: Some(Kind::UpdateFirmware(spec)) };
        let target = request.target.as_ref();
        let job = self.make_job(&caller, "CreateCampaign", &request, target, &kind, Some(&instruction)).await?;
        Ok(Response::new(self.campaign(job).await?))
    }

    async fn get_campaign(&self, request: Request<GetCampaignRequest>) -> Result<Response<Campaign>, Status> {
        let job = self.seen_campaign(caller::of(&request)?, &request.get_ref().name).await?;
        Ok(Response::new(self.campaign(job).await?))
    }

    async fn list_campaigns(
        &self,
        request: Request<ListCampaignsRequest>,
    ) -> Result<Response<ListCampaignsResponse>, Status> {
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        let after = match request.page_token.as_str() {
            "" => Some(None),
            token => violations.check("page_token", token.parse::<JobId>()).map(Some),
        };
        let after = violations.finish(after)?;
        let size = parse::page_size(request.page_size, PAGE);
        let filter = JobFilter { tenant: caller.tenant, state: None, kind: Some(CAMPAIGN) };
        let mut rows = self.0.jobs.store().list_jobs(filter, after, size + 1).await.map_err(failed)?;
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = rows.last().filter(|_| more).map(|row| row.id.to_string()).unwrap_or_default();
        let mut campaigns = Vec::with_capacity(rows.len());
        for row in rows {
            campaigns.push(self.campaign(row.id).await?);
        }
        Ok(Response::new(ListCampaignsResponse { campaigns, next_page_token }))
    }

    async fn pause_campaign(&self, request: Request<PauseCampaignRequest>) -> Result<Response<Campaign>, Status> {
        let job = self.seen_campaign(caller::of(&request)?, &request.get_ref().name).await?;
        self.0.jobs.pause(job).await.map_err(|error| status::job(&error))?;
        Ok(Response::new(self.campaign(job).await?))
    }

    async fn resume_campaign(&self, request: Request<ResumeCampaignRequest>) -> Result<Response<Campaign>, Status> {
        let job = self.seen_campaign(caller::of(&request)?, &request.get_ref().name).await?;
        self.0.jobs.resume(job).await.map_err(|error| status::job(&error))?;
        Ok(Response::new(self.campaign(job).await?))
    }

    async fn abort_campaign(&self, request: Request<AbortCampaignRequest>) -> Result<Response<Campaign>, Status> {
        let job = self.seen_campaign(caller::of(&request)?, &request.get_ref().name).await?;
        self.0.jobs.cancel(job).await.map_err(|error| status::job(&error))?;
        Ok(Response::new(self.campaign(job).await?))
    }

    async fn get_firmware_versions(
        &self,
        request: Request<GetFirmwareVersionsRequest>,
    ) -> Result<Response<JobResponse>, Status> {
        self.job_call("GetFirmwareVersions", request, |request| {
            let spec = request.spec.clone().unwrap_or_default();
            (request.target.clone(), Kind::GetFirmwareVersions(spec), request.instruction.clone())
        })
        .await
    }

    async fn activate_firmware(
        &self,
        request: Request<ActivateFirmwareRequest>,
    ) -> Result<Response<JobResponse>, Status> {
        let image = request.get_ref().spec.as_ref().map(|spec| spec.image.clone()).unwrap_or_default();
        self.named_image("spec.image", &image).await?;
        self.job_call("ActivateFirmware", request, |request| {
            let spec = request.spec.clone().unwrap_or_default();
            (request.target.clone(), Kind::ActivateFirmware(spec), request.instruction.clone())
        })
        .await
    }
}
