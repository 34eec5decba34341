//! `head-end meters set-status`.

use clap::{Args, ValueEnum};
use dlms_proto::v1::{LifecycleStatus, SetLifecycleStatusRequest};
use tonic::Request;

use crate::cli::{ClientOptions, client};

/// Suspend a meter, let it go on, or take it out of service.
#[derive(Debug, Args)]
pub(in crate::cli) struct SetStatus {
    /// The meter
    #[arg(value_parser = client::meter_name)]
    meter: String,
    /// How it is to be; commissioned only where it was before
    #[arg(value_enum)]
    status: Status,
    /// Only if this is its etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Why, for the audit log
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub(super) client: ClientOptions,
}

/// A lifecycle status on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Registered,
    Commissioned,
    Suspended,
    Decommissioned,
}

impl SetStatus {
    pub(super) fn request(self) -> Request<SetLifecycleStatusRequest> {
        let status = match self.status {
            Status::Registered => LifecycleStatus::Registered,
            Status::Commissioned => LifecycleStatus::Commissioned,
            Status::Suspended => LifecycleStatus::Suspended,
            Status::Decommissioned => LifecycleStatus::Decommissioned,
        };
        self.client.request(SetLifecycleStatusRequest {
            name: self.meter,
            status: status.into(),
            etag: self.etag,
            request_id: uuid::Uuid::now_v7().to_string(),
            reason: self.reason,
        })
    }
}
