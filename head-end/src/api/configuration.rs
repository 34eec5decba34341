//! The service Configuration: each call is a job.

use dlms_proto::v1::{
    ApplyTemplateRequest, ConfigureLoadProfileRequest, ConfigurePushRequest, JobResponse, SetActivityCalendarRequest,
    SetSpecialDaysRequest, SynchronizeClockRequest, VerifyConfigurationRequest, configuration_server::Configuration,
    job_spec::Kind,
};
use tonic::{Request, Response, Status};

use super::Service;
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
