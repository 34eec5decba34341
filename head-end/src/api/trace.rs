//! TraceMeter: what is said between the head-end and one meter.

use std::{pin::Pin, time::Duration};

use dlms_proto::v1::{
    TraceDirection, TraceFraming, TraceMeterRequest, TraceMeterResponse, TracedApdu, trace_meter_response::Said as Wire,
};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    parse::{self, Violations, to_timestamp},
    status,
};
use crate::{
    head_end::HeadEnd,
    meter::LinkConfig,
    operation::{Direction, MeterAccess, Said, TraceEntry, TraceError},
    store::Store,
};

pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<TraceMeterResponse, Status>> + Send>>;

/// How long is followed where the request does not say, and at most.
const SPAN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));

/// Follows the meter of `request` until the time has passed, the caller goes away, or the head-end stops.
pub(super) async fn follow<S: Store, A: MeterAccess>(
    head_end: &HeadEnd<S, A>,
    request: &TraceMeterRequest,
    stopping: CancellationToken,
) -> Result<Answers, Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    let span = match request.duration {
        None => Some(SPAN.0),
        Some(given) => {
            let span = Duration::try_from(given).ok().filter(|span| !span.is_zero() && *span <= SPAN.1);
            violations.check("duration", span.ok_or("is not above 0 and at most an hour"))
        }
    };
    let (meter, span) = violations.finish(meter.zip(span))?;
    let record = head_end.registry().get(&meter).await.map_err(|error| status::registry(&error, Some(&meter)))?;
    let trace = head_end.access().trace(&meter, request.octets).map_err(|error| match error {
        TraceError::TooMany => Status::resource_exhausted(error.to_string()),
        TraceError::Unavailable => Status::unavailable(error.to_string()),
    })?;
    let until = Instant::now() + span;
    let entries = stream::unfold((trace, stopping), move |(mut trace, stopping)| async move {
        let entry = tokio::select! {
            entry = trace.entries.recv() => entry?,
            () = sleep_until(until) => return None,
            () = stopping.cancelled() => return None,
        };
        Some((Ok(to_proto(entry)), (trace, stopping)))
    });
    let begin = TraceMeterResponse {
        said: Some(Wire::Framing(framing(&record.settings.link).into())),
        ..TraceMeterResponse::default()
    };
    Ok(Box::pin(stream::iter([Ok(begin)]).chain(entries)))
}

const fn framing(link: &LinkConfig) -> TraceFraming {
    match link {
        LinkConfig::TcpWrapper { .. } | LinkConfig::DialIn => TraceFraming::TcpWrapper,
        LinkConfig::UdpWrapper { .. } => TraceFraming::UdpWrapper,
        LinkConfig::HdlcTcp { .. } | LinkConfig::HdlcSerial { .. } => TraceFraming::Hdlc,
    }
}

fn to_proto(entry: TraceEntry) -> TraceMeterResponse {
    let direction = match entry.direction {
        Direction::ToMeter => TraceDirection::ToMeter,
        Direction::FromMeter => TraceDirection::FromMeter,
    };
    let said = match entry.said {
        Said::Apdu { octets, ciphered, text } => {
            Wire::Apdu(TracedApdu { text, length: u32::try_from(octets).unwrap_or(u32::MAX), ciphered })
        }
        Said::Octets(octets) => Wire::Octets(octets),
    };
    TraceMeterResponse {
        time: Some(to_timestamp(entry.at)),
        direction: direction.into(),
        said: Some(said),
        lost: entry.lost,
    }
}
