//! The service Admin.

use dlms_proto::v1::{self, QueryAuditLogRequest, QueryAuditLogResponse, admin_server::Admin};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use super::{
    Service, caller,
    parse::{self, Violations},
    status, trace,
};
use crate::{
    operation::MeterAccess,
    store::{AuditQuery, AuditedCall, Store},
};

/// Calls on a page where the request does not say, and at most.
const PAGE: (usize, usize) = (100, 999);

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> Admin for Service<S, A> {
    type TraceMeterStream = trace::Answers;

    async fn trace_meter(
        &self,
        request: Request<v1::TraceMeterRequest>,
    ) -> Result<Response<Self::TraceMeterStream>, Status> {
        let head_end = &self.0.head_end;
        trace::follow(head_end, &request.into_inner(), self.0.stopping.clone()).await.map(Response::new)
    }

    async fn query_audit_log(
        &self,
        request: Request<QueryAuditLogRequest>,
    ) -> Result<Response<QueryAuditLogResponse>, Status> {
        let tenant = caller::of(&request)?.tenant.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        let before = match request.page_token.as_str() {
            "" => Some(None),
            token => violations
                .check("page_token", token.parse().map(Some).map_err(|_| "is not a page token that was given out")),
        };
        let mut moment = |field: &str, time: Option<&prost_types::Timestamp>| {
            let time = time.map(parse::timestamp).transpose();
            violations.check(field, time).map(|time| time.map(Timestamp::as_millisecond))
        };
        let (from, to) = (moment("from", request.from.as_ref()), moment("to", request.to.as_ref()));
        let (before, from_ms, to_ms) =
            violations.finish(before.zip(from).zip(to).map(|((before, from), to)| (before, from, to)))?;
        let size = match request.page_size as usize {
            0 => PAGE.0,
            size => size.min(PAGE.1),
        };
        let query = AuditQuery {
            before,
            // One more than the page tells whether there is a next one.
            limit: size.saturating_add(1),
            subject: request.subject,
            tenant,
            method: request.method,
            target: request.target,
            from_ms,
            to_ms,
            open: request.open,
        };
        let store = self.0.head_end.registry().store();
        let mut calls = store.query_audit(query).await.map_err(|error| status::store(&error, None))?;
        let more = calls.len() > size;
        calls.truncate(size);
        let next_page_token = calls.last().filter(|_| more).map(|last| last.number.to_string()).unwrap_or_default();
        Ok(Response::new(QueryAuditLogResponse { calls: calls.into_iter().map(to_proto).collect(), next_page_token }))
    }
}

fn to_proto(call: AuditedCall) -> v1::AuditedCall {
    let moment = |ms| Timestamp::from_millisecond(ms).ok().map(parse::to_timestamp);
    let intent = call.intent;
    let (end, outcome) = call.outcome.unzip();
    v1::AuditedCall {
        number: call.number,
        time: moment(intent.time_ms),
        subject: intent.subject,
        tenant: intent.tenant.map(Into::into).unwrap_or_default(),
        method: intent.method,
        target: intent.target,
        details: intent.details,
        request_id: intent.request_id,
        peer: intent.peer,
        outcome: outcome.unwrap_or_default(),
        end_time: end.and_then(moment),
    }
}
