//! The service Control: each call is a job.

use dlms_proto::v1::{
    self, ArmForReconnectionRequest, ControlResponse, ControlTask, DisconnectSupplyRequest, GetSupplyStatusRequest,
    ReconnectSupplyRequest, ResetDemandRequest, SetEmergencyLoadLimitRequest, SetLoadLimitRequest,
    SwitchAuxiliaryLoadRequest, control_server::Control, job_spec::Kind, task_outcome,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{Service, jobs::convert};
use crate::{operation::MeterAccess, store::Store};

impl<S: Store, A: MeterAccess> Service<S, A> {
    /// Makes the job of a call, and waits for it where it is for one meter.
    async fn control<T: Message>(
        &self,
        method: &'static str,
        request: Request<T>,
        parts: impl FnOnce(&T) -> (Option<v1::Target>, Kind, Option<v1::Instruction>),
    ) -> Result<Response<ControlResponse>, Status> {
        let (job, task) = self.job_of_call(method, request, parts).await?;
        let task = task.map(|task| control_task(convert::task(&task)));
        Ok(Response::new(ControlResponse { job: Some(job), task }))
    }
}

fn control_task(task: v1::Task) -> ControlTask {
    let (mut supply, mut attributes) = (None, Vec::new());
    match task.outcome.and_then(|outcome| outcome.kind) {
        Some(task_outcome::Kind::Supply(of)) => supply = Some(of),
        Some(task_outcome::Kind::Attributes(of)) => attributes = of.results,
        _ => {}
    }
    ControlTask { meter: task.meter, result: task.result, failure: task.failure, supply, attributes }
}

macro_rules! calls {
    ($($function:ident $name:ident $request:ident;)*) => {
        #[tonic::async_trait]
        impl<S: Store, A: MeterAccess> Control for Service<S, A> {
            $(async fn $function(&self, request: Request<$request>) -> Result<Response<ControlResponse>, Status> {
                self.control(stringify!($name), request, |request| {
                    let spec = request.spec.clone().unwrap_or_default();
                    (request.target.clone(), Kind::$name(spec), request.instruction.clone())
                })
                .await
            })*
        }
    };
}

calls! {
    disconnect_supply DisconnectSupply DisconnectSupplyRequest;
    reconnect_supply ReconnectSupply ReconnectSupplyRequest;
    arm_for_reconnection ArmForReconnection ArmForReconnectionRequest;
    get_supply_status GetSupplyStatus GetSupplyStatusRequest;
    set_load_limit SetLoadLimit SetLoadLimitRequest;
    set_emergency_load_limit SetEmergencyLoadLimit SetEmergencyLoadLimitRequest;
    switch_auxiliary_load SwitchAuxiliaryLoad SwitchAuxiliaryLoadRequest;
    reset_demand ResetDemand ResetDemandRequest;
}
