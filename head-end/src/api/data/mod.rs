//! The service Data.

mod export;
mod intervals;
mod latest;
mod subscribe;
mod telegram;

use std::pin::Pin;

use dlms::obis::ObisCode;
use dlms_proto::v1::{
    ExportReadingsRequest, ExportReadingsResponse, GetLatestReadingsRequest, GetLatestReadingsResponse,
    IngestTelegramRequest, IngestTelegramResponse, QueryIntervalsRequest, QueryIntervalsResponse, QueryReadingsRequest,
    QueryReadingsResponse, SubscribeReadingsRequest, SubscribeReadingsResponse, data_server::Data,
};
use futures_util::{Stream, stream};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use super::{
    Service, caller,
    capture::{self, CHUNK},
    parse::{self, Violations},
    status,
};
use crate::{
    head_end::HeadEnd,
    meter::MeterId,
    operation::MeterAccess,
    store::{CapturePage, CaptureQuery, Store, StoredCapture},
};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> Data for Service<S, A> {
    type QueryReadingsStream = Answers<QueryReadingsResponse>;

    async fn query_readings(
        &self,
        request: Request<QueryReadingsRequest>,
    ) -> Result<Response<Self::QueryReadingsStream>, Status> {
        let request = request.into_inner();
        let (query, objects) = parse_query(&request)?;
        let meter = query.meter.clone();
        let limit = if request.limit == 0 { u64::MAX } else { request.limit };
        let mut walk = Walk::new(self.0.head_end.clone(), query, objects, limit);
        // The first page is read before the answer begins, so that its errors are the call's.
        let first = walk.page().await?;
        if first.captures.is_empty() {
            self.check_known(&meter).await?;
        }
        let pages = stream::try_unfold((Some(first), walk), |(first, mut walk)| async move {
            let page = match first {
                Some(first) => first,
                None if walk.ended => return Ok(None),
                None => walk.page().await?,
            };
            Ok(Some((page, (None, walk))))
        });
        Ok(Response::new(Box::pin(pages)))
    }

    async fn get_latest_readings(
        &self,
        request: Request<GetLatestReadingsRequest>,
    ) -> Result<Response<GetLatestReadingsResponse>, Status> {
        let asked = latest::parse(&request.into_inner())?;
        Ok(Response::new(self.latest(asked).await?))
    }

    type QueryIntervalsStream = Answers<QueryIntervalsResponse>;

    async fn query_intervals(
        &self,
        request: Request<QueryIntervalsRequest>,
    ) -> Result<Response<Self::QueryIntervalsStream>, Status> {
        let asked = intervals::parse(&request.into_inner())?;
        let meter = asked.query.meter.clone();
        let head_end = self.0.head_end.clone();
        let mut intervals = asked.over(|query| Walk::new(head_end, query, Vec::new(), u64::MAX));
        let first = intervals.page().await?;
        if first.is_none() {
            self.check_known(&meter).await?;
        }
        let pages = stream::try_unfold((first, intervals), |(first, mut intervals)| async move {
            let page = match first {
                Some(first) => Some(first),
                None => intervals.page().await?,
            };
            Ok(page.map(|page| (page, (None, intervals))))
        });
        Ok(Response::new(Box::pin(pages)))
    }

    type SubscribeReadingsStream = Answers<SubscribeReadingsResponse>;

    async fn subscribe_readings(
        &self,
        request: Request<SubscribeReadingsRequest>,
    ) -> Result<Response<Self::SubscribeReadingsStream>, Status> {
        let subscription =
            subscribe::Subscription::new(self.0.head_end.clone(), &self.0.counts, &request.into_inner())?;
        let state = (subscription, self.0.stopping.clone());
        let parts = stream::try_unfold(state, |(mut subscription, stopping)| async move {
            match stopping.run_until_cancelled(subscription.part()).await {
                Some(part) => Ok(Some((part?, (subscription, stopping)))),
                None => Err(Status::unavailable("the head-end is shutting down; go on with the last resume_token")),
            }
        });
        Ok(Response::new(Box::pin(parts)))
    }

    type ExportReadingsStream = Answers<ExportReadingsResponse>;

    async fn export_readings(
        &self,
        request: Request<ExportReadingsRequest>,
    ) -> Result<Response<Self::ExportReadingsStream>, Status> {
        let export = export::Export::new(self.0.head_end.clone(), export::parse(&request.into_inner())?)?;
        let pieces =
            stream::try_unfold(
                export,
                |mut export| async move { Ok(export.piece().await?.map(|piece| (piece, export))) },
            );
        Ok(Response::new(Box::pin(pieces)))
    }

    async fn ingest_telegram(
        &self,
        request: Request<IngestTelegramRequest>,
    ) -> Result<Response<IngestTelegramResponse>, Status> {
        let tenant = caller::of(&request)?.tenant.clone();
        let (mut octets, sender) = telegram::parse(request.into_inner(), tenant)?;
        let taken = self.0.telegrams.take(&mut octets, &sender).await;
        taken.map(|taken| Response::new(telegram::answer(&taken))).map_err(|refused| telegram::status(&refused))
    }
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    /// NOT_FOUND for a name that is not registered, about which there are no readings either.
    async fn check_known(&self, meter: &MeterId) -> Result<(), Status> {
        let registry = self.0.head_end.registry();
        registry.get(meter).await.map(drop).map_err(|error| status::registry(&error, Some(meter)))
    }
}

/// The pages of a query, one after the other.
struct Walk<S, A> {
    head_end: HeadEnd<S, A>,
    query: CaptureQuery,
    objects: Vec<ObisCode>,
    missing: u64,
    ended: bool,
}

impl<S: Store, A: MeterAccess> Walk<S, A> {
    const fn new(head_end: HeadEnd<S, A>, query: CaptureQuery, objects: Vec<ObisCode>, limit: u64) -> Self {
        Self { head_end, query, objects, missing: limit, ended: false }
    }

    /// The next page that has captures, or an empty one at the end.
    async fn page(&mut self) -> Result<QueryReadingsResponse, Status> {
        let captures = self.captures().await?;
        Ok(QueryReadingsResponse { captures: captures.iter().map(|capture| self.selected(capture)).collect() })
    }

    /// The captures of the next page that has any, or none at the end.
    async fn captures(&mut self) -> Result<Vec<StoredCapture>, Status> {
        while !self.ended {
            let limit = usize::try_from(self.missing).unwrap_or(usize::MAX).min(CHUNK);
            // A filter on objects may pass few of them: whole chunks are read for it.
            self.query.limit = if self.objects.is_empty() { limit } else { CHUNK };
            let page = self.head_end.query(self.query.clone()).await;
            let CapturePage { mut captures, next } =
                page.map_err(|error| status::operation(&error, &self.query.meter))?;
            self.query.after = next;
            captures.retain(|capture| self.is_wanted(capture));
            captures.truncate(usize::try_from(self.missing).unwrap_or(usize::MAX));
            self.missing = self.missing.saturating_sub(captures.len() as u64);
            self.ended = next.is_none() || self.missing == 0;
            if !captures.is_empty() {
                return Ok(captures);
            }
        }
        Ok(Vec::new())
    }

    fn is_wanted(&self, capture: &StoredCapture) -> bool {
        self.objects.is_empty() || capture.columns.iter().any(|column| self.objects.contains(&column.obis))
    }

    fn selected(&self, capture: &StoredCapture) -> dlms_proto::v1::Capture {
        let mut answer = capture::stored(capture);
        if !self.objects.is_empty() {
            let mut columns = capture.columns.iter();
            answer.readings.retain(|_| columns.next().is_some_and(|column| self.objects.contains(&column.obis)));
        }
        answer
    }
}

fn parse_query(request: &QueryReadingsRequest) -> Result<(CaptureQuery, Vec<ObisCode>), Status> {
    let mut violations = Violations::default();
    let meter = violations.check("meter", parse::meter_name(&request.meter));
    let filter = violations.capture_filter(&request.profile, request.registers_only);
    let mut bound = |field, time: Option<&prost_types::Timestamp>, default| match time {
        None => Some(default),
        Some(time) => violations.check(field, parse::timestamp(time)),
    };
    let from = bound("from", request.from.as_ref(), Timestamp::MIN);
    let to = bound("to", request.to.as_ref(), Timestamp::MAX);
    violations.order(from, to);
    let objects = parse_objects(&mut violations, &request.objects);
    let query = (|| {
        let query = CaptureQuery {
            meter: meter?,
            filter: filter?,
            from: from?,
            to: to?,
            all_revisions: request.all_revisions,
            after: None,
            limit: CHUNK,
        };
        Some((query, objects?))
    })();
    violations.finish(query)
}

/// Objects that a question is limited to.
fn parse_objects(violations: &mut Violations, objects: &[String]) -> Option<Vec<ObisCode>> {
    if objects.len() > 256 {
        violations.add("objects", "at most 256");
    }
    let objects = objects.iter().enumerate();
    objects.map(|(n, object)| violations.check(format!("objects[{n}]"), parse::obis(object))).collect()
}
