//! The service Configuration: templates, and calls that are jobs.

use dlms_proto::v1::{
    ApplyTemplateRequest, ConfigureLoadProfileRequest, ConfigurePushRequest, CreateTemplateRequest,
    DeleteTemplateRequest, DeleteTemplateResponse, GetTemplateRequest, JobResponse, ListTemplatesRequest,
    ListTemplatesResponse, SetActivityCalendarRequest, SetSpecialDaysRequest, StoredTemplate, SynchronizeClockRequest,
    VerifyConfigurationRequest, configuration_server::Configuration, job_spec::Kind,
};
use tonic::{Request, Response, Status};

use super::{Service, caller};
use crate::{operation::MeterAccess, store::Store};

macro_rules! calls {
    ($($function:ident $name:ident $request:ident;)*) => {
        #[tonic::async_trait]
        impl<S: Store, A: MeterAccess> Configuration for Service<S, A> {
            $(async fn $function(&self, request: Request<$request>) -> Result<Response<JobResponse>, Status> {
                self.job_call(stringify!($name), request, |request| {
                    let spec = request.spec.clone().unwrap_or_default();
                    (request.target.clone(), Kind::$name(spec), request.instruction.clone())
                })
                .await
            })*

            async fn create_template(
                &self,
                request: Request<CreateTemplateRequest>,
            ) -> Result<Response<StoredTemplate>, Status> {
                let caller = caller::of(&request)?.clone();
                Ok(Response::new(self.add_template(&caller, request.get_ref()).await?))
            }

            async fn get_template(
                &self,
                request: Request<GetTemplateRequest>,
            ) -> Result<Response<StoredTemplate>, Status> {
                let caller = caller::of(&request)?.clone();
                Ok(Response::new(self.stored_template(&caller, "name", &request.get_ref().name).await?))
            }

            async fn list_templates(
                &self,
                request: Request<ListTemplatesRequest>,
            ) -> Result<Response<ListTemplatesResponse>, Status> {
                let caller = caller::of(&request)?.clone();
                Ok(Response::new(self.stored_templates(&caller, request.get_ref()).await?))
            }

            async fn delete_template(
                &self,
                request: Request<DeleteTemplateRequest>,
            ) -> Result<Response<DeleteTemplateResponse>, Status> {
                let caller = caller::of(&request)?.clone();
                self.drop_template(&caller, &request.get_ref().name).await?;
                Ok(Response::new(DeleteTemplateResponse {}))
            }
        }
    };
}

calls! {
    synchronize_clock SynchronizeClock SynchronizeClockRequest;
    set_activity_calendar SetActivityCalendar SetActivityCalendarRequest;
    set_special_days SetSpecialDays SetSpecialDaysRequest;
    configure_load_profile ConfigureLoadProfile ConfigureLoadProfileRequest;
    configure_push ConfigurePush ConfigurePushRequest;
    apply_template ApplyTemplate ApplyTemplateRequest;
    verify_configuration VerifyConfiguration VerifyConfigurationRequest;
}
