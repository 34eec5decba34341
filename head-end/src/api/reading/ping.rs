//! PingMeters: many meters, each answered when its result is known.

use std::{pin::Pin, time::Duration};

use dlms_proto::v1::{PingMetersRequest, PingMetersResponse};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::time::Instant;
use tonic::Status;

use crate::{
    api::{
        Service,
        jobs::{convert, outcome},
        parse::Violations,
        result, status,
    },
    jobs::{JobError, Target},
    meter::{MeterId, Tenant},
    operation::{MeterAccess, Operation, Outcome, Terms},
    store::Store,
};

/// Meters of one call that are asked at the same time.
const TOGETHER: usize = 64;
/// How long a meter is waited for where the request does not say, and the limits of what it may say.
const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<PingMetersResponse, Status>> + Send>>;

pub(super) fn parse(request: &PingMetersRequest) -> Result<(Target, Duration), Status> {
    let mut violations = Violations::default();
    let target = convert::of_target(&mut violations, request.target.as_ref());
    let timeout = match request.timeout {
        None => Some(TIMEOUT),
        Some(of) => {
            let given = Duration::try_from(of).ok().filter(|timeout| TIMEOUTS.contains(timeout));
            violations.check("timeout", given.ok_or("is from 100 milliseconds to an hour"))
        }
    };
    violations.finish(target.zip(timeout))
}

/// The answers as they come. Dropping them withdraws what waits, and frees the meters that are being asked.
pub(super) async fn answers<S: Store, A: MeterAccess>(
    service: Service<S, A>,
    target: Target,
    tenant: Option<Tenant>,
    timeout: Duration,
) -> Result<Answers, Status> {
    let failed = |error: JobError| status::job(&error);
    let mut selection = service.0.jobs.select(target, tenant).await.map_err(failed)?;
    // The first page is read before the answer begins, so that its errors are the call's.
    let first = selection.page().await.map_err(failed)?;
    let stopping = service.0.stopping.clone();
    let pages = stream::try_unfold((Some(first), selection), move |(first, mut selection)| async move {
        let page = match first {
            Some(first) => first,
            None => selection.page().await.map_err(failed)?,
        };
        Ok::<_, Status>((!page.is_empty()).then_some((stream::iter(page).map(Ok), (None, selection))))
    });
    let pings = pages.try_flatten().map_ok(move |meter| {
        let service = service.clone();
        async move { Ok(ping(&service, &meter, timeout).await) }
    });
    Ok(Box::pin(pings.try_buffer_unordered(TOGETHER).take_until(stopping.cancelled_owned())))
}

async fn ping<S: Store, A: MeterAccess>(
    service: &Service<S, A>,
    meter: &MeterId,
    timeout: Duration,
) -> PingMetersResponse {
    let began = Instant::now();
    let asked = service.0.head_end.access().execute(meter, Operation::Ping, Terms::by(began + timeout)).await;
    let elapsed = prost_types::Duration::try_from(began.elapsed()).ok();
    let (result, failure) = result::of(&asked);
    let outcome = match &asked {
        Ok(Outcome::Pong(pong)) => Some(outcome::pong(pong)),
        _ => None,
    };
    PingMetersResponse { meter: meter.resource_name(), result, failure, outcome, elapsed }
}
