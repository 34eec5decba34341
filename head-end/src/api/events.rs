//! The service Events.

use std::pin::Pin;

use dlms_proto::v1::{self, events_server::Events};
use futures_util::{Stream, stream};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    Service, caller,
    parse::{self, Violations, to_timestamp},
    result, status, value,
};
use crate::{
    events::AlarmRegister,
    head_end::HeadEnd,
    meter::MeterId,
    operation::{MeterAccess, RequestError},
    store::{Acknowledgement, Event, EventCategory, EventFilter, EventOrigin, EventQuery, Store, StoreError},
};

/// Events on a page where the request does not say, and at most.
const PAGE: (usize, usize) = (100, 1_000);
/// Events in one message of a subscription, at most.
const CHUNK: usize = 200;
/// Items of a list in a filter.
const ITEMS: usize = 256;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Store, A: MeterAccess> Events for Service<S, A> {
    async fn query_events(
        &self,
        request: Request<v1::QueryEventsRequest>,
    ) -> Result<Response<v1::QueryEventsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let filter = filter(&mut violations, request.filter.as_ref());
        let after = violations.check("page_token", token(&request.page_token));
        let (filter, after) = violations.finish(filter.zip(after))?;
        let limit = match request.page_size as usize {
            0 => PAGE.0,
            size => size.min(PAGE.1),
        };
        // One more than the page tells whether there is a next one.
        let query = EventQuery { filter, after, descending: true, limit: limit.saturating_add(1) };
        let mut events = self.store().query_events(query).await.map_err(|error| status::store(&error, None))?;
        let more = events.len() > limit;
        events.truncate(limit);
        let last = events.last().filter(|_| more).map(|last| last.sequence.to_string());
        Ok(Response::new(v1::QueryEventsResponse {
            events: events.iter().map(to_proto).collect(),
            next_page_token: last.unwrap_or_default(),
        }))
    }

    type SubscribeEventsStream = Answers<v1::SubscribeEventsResponse>;

    async fn subscribe_events(
        &self,
        request: Request<v1::SubscribeEventsRequest>,
    ) -> Result<Response<Self::SubscribeEventsStream>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        let filter = filter(&mut violations, request.filter.as_ref());
        let after = violations.check("resume_token", token(&request.resume_token));
        let (filter, after) = violations.finish(filter.zip(after))?;
        // Watched before the store is asked: what comes in between is not missed.
        let news = self.0.head_end.events().watch();
        let after = match after {
            Some(after) => after,
            None => self.store().last_event().await.map_err(|error| status::store(&error, None))?,
        };
        let begin = v1::SubscribeEventsResponse { events: Vec::new(), resume_token: after.to_string() };
        let stopping = self.0.stopping.clone();
        let walk = Walk { head_end: self.0.head_end.clone(), filter, after, news, stopping };
        let rest = stream::try_unfold(walk, |mut walk| async move {
            let answer = walk.next().await?;
            Ok(answer.map(|answer| (answer, walk)))
        });
        Ok(Response::new(Box::pin(futures_util::StreamExt::chain(stream::iter([Ok(begin)]), rest))))
    }

    async fn acknowledge_alarm(
        &self,
        request: Request<v1::AcknowledgeAlarmRequest>,
    ) -> Result<Response<v1::Event>, Status> {
        let by = caller::of(&request)?.clone();
        let request = request.into_inner();
        let mut violations = Violations::default();
        parse::request_id(&mut violations, &request.request_id);
        if request.note.chars().count() > 1_000 {
            violations.add("note", "at most 1000 characters");
        }
        let sequence = violations.check("name", event_name(&request.name));
        let sequence = violations.finish(sequence)?;
        let by = Acknowledgement { by: by.subject.to_string(), at: Timestamp::now(), note: request.note };
        let event = self.store().acknowledge_event(sequence, by).await;
        event.map(|event| Response::new(to_proto(&event))).map_err(|error| match error {
            StoreError::NotFound(name) => Status::not_found(format!("there is no {name}")),
            error => status::store(&error, None),
        })
    }

    async fn read_alarm_register(
        &self,
        request: Request<v1::ReadAlarmRegisterRequest>,
    ) -> Result<Response<v1::AlarmRegister>, Status> {
        let deadline = self.deadline(&request);
        let request = request.into_inner();
        let (meter, number) = register(&request.meter, request.number, "")?;
        let read = self.0.head_end.read_alarms(&meter, number, deadline).await;
        read.map(|read| Response::new(alarms(&meter, &read))).map_err(|error| status::operation(&error, &meter))
    }

    async fn clear_alarm_register(
        &self,
        request: Request<v1::ClearAlarmRegisterRequest>,
    ) -> Result<Response<v1::AlarmRegister>, Status> {
        let deadline = self.deadline(&request);
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let (meter, number) = register(&request.meter, request.number, &request.request_id)?;
        let mask = request.mask.unwrap_or(u32::MAX);
        let (service, of) = (self.clone(), meter.clone());
        let work = move || async move {
            match service.0.head_end.clear_alarms(&of, number, mask, deadline).await {
                Ok(read) => Ok(alarms(&of, &read)),
                // Sent: a repetition must not send it again.
                Err(error) if error.sent() => Ok(failed(&of, number, &error)),
                Err(error) => Err(status::operation(&error, &of)),
            }
        };
        let known = meter.clone();
        let unknown = move || failed(&known, number, &unfinished());
        let key = self.request_key(&caller, "ClearAlarmRegister", &request.request_id, &request);
        Ok(Response::new(self.mutate(key, &meter, unknown, work).await?))
    }

    async fn set_alarm_filter(
        &self,
        request: Request<v1::SetAlarmFilterRequest>,
    ) -> Result<Response<v1::SetAlarmFilterResponse>, Status> {
        let deadline = self.deadline(&request);
        let caller = caller::of(&request)?.clone();
        let request = request.into_inner();
        let (meter, number) = register(&request.meter, request.number, &request.request_id)?;
        let mut violations = Violations::default();
        let filter = violations.check("filter", request.filter.ok_or("is required"));
        let filter = violations.finish(filter)?;
        let answer = |done: &Result<(), RequestError>| {
            let (result, failure) = result::of(done);
            v1::SetAlarmFilterResponse { result, failure }
        };
        let (service, of) = (self.clone(), meter.clone());
        let work = move || async move {
            let done = service.0.head_end.set_alarm_filter(&of, number, filter, deadline).await;
            match &done {
                Err(error) if !error.sent() && error.answer().is_none() => Err(status::operation(error, &of)),
                done => Ok(answer(done)),
            }
        };
        let unknown = move || answer(&Err(unfinished()));
        let key = self.request_key(&caller, "SetAlarmFilter", &request.request_id, &request);
        Ok(Response::new(self.mutate(key, &meter, unknown, work).await?))
    }
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    fn store(&self) -> &S {
        self.0.head_end.registry().store()
    }
}

/// A subscription: the store is asked for what comes behind a number, whenever there is news.
struct Walk<S, A> {
    head_end: HeadEnd<S, A>,
    filter: EventFilter,
    after: i64,
    news: watch::Receiver<i64>,
    /// Ends the subscription: the server stops.
    stopping: CancellationToken,
}

impl<S: Store, A: MeterAccess> Walk<S, A> {
    async fn next(&mut self) -> Result<Option<v1::SubscribeEventsResponse>, Status> {
        loop {
            self.news.mark_unchanged();
            let (filter, after) = (self.filter.clone(), Some(self.after));
            let query = EventQuery { filter, after, descending: false, limit: CHUNK };
            let store = self.head_end.registry().store();
            let events = store.query_events(query).await.map_err(|error| status::store(&error, None))?;
            if let Some(last) = events.last() {
                self.after = last.sequence;
                let resume_token = self.after.to_string();
                return Ok(Some(v1::SubscribeEventsResponse {
                    events: events.iter().map(to_proto).collect(),
                    resume_token,
                }));
            }
            tokio::select! {
                changed = self.news.changed() => if changed.is_err() {
                    return Ok(None);
                },
                () = self.stopping.cancelled() => return Ok(None),
            }
        }
    }
}

fn unfinished() -> RequestError {
    use crate::operation::{Layer, RequestErrorKind};
    RequestError::new(
        RequestErrorKind::UnknownOutcome,
        Layer::HeadEnd,
        "the request was begun before and has not ended",
    )
}

/// Meter and number of an alarm register, with the request id beside them checked.
fn register(meter: &str, number: u32, request_id: &str) -> Result<(MeterId, u8), Status> {
    let mut violations = Violations::default();
    parse::request_id(&mut violations, request_id);
    let meter = violations.check("meter", parse::meter_name(meter));
    let number = match number {
        0 => Some(1),
        number => violations.check("number", u8::try_from(number).ok().filter(|n| *n <= 10).ok_or("from 1 to 10")),
    };
    violations.finish(meter.zip(number))
}

fn alarms(meter: &MeterId, read: &AlarmRegister) -> v1::AlarmRegister {
    let (result, failure) = result::of(&read.register);
    let alarm = |alarm: &crate::events::Alarm| v1::Alarm { bit: alarm.bit.into(), display_name: alarm.name.clone() };
    v1::AlarmRegister {
        meter: meter.resource_name(),
        number: read.number.into(),
        register: read.register.as_ref().ok().copied(),
        filter: read.filter.as_ref().ok().copied(),
        descriptor: read.descriptor.as_ref().ok().copied(),
        alarms: read.alarms.iter().map(alarm).collect(),
        result,
        failure,
    }
}

fn failed(meter: &MeterId, number: u8, error: &RequestError) -> v1::AlarmRegister {
    let (result, failure) = result::of(&Err::<(), _>(error.clone()));
    let (meter, number) = (meter.resource_name(), number.into());
    v1::AlarmRegister { meter, number, result, failure, ..Default::default() }
}

fn token(text: &str) -> Result<Option<i64>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.map(Some).ok_or("is not a token that was given out")
}

fn event_name(name: &str) -> Result<i64, &'static str> {
    let number = name.strip_prefix("events/").and_then(|number| number.parse().ok());
    number.filter(|number| *number > 0).ok_or("is of the form events/{event}")
}

fn filter(violations: &mut Violations, filter: Option<&v1::EventFilter>) -> Option<EventFilter> {
    let Some(filter) = filter else { return Some(EventFilter::default()) };
    if filter.meters.len() > ITEMS {
        violations.add("filter.meters", "at most 256");
    }
    if filter.codes.len() > ITEMS {
        violations.add("filter.codes", "at most 256");
    }
    let meters: Option<Vec<MeterId>> = filter
        .meters
        .iter()
        .enumerate()
        .map(|(n, meter)| violations.check(format!("filter.meters[{n}]"), parse::meter_name(meter)))
        .collect();
    let known = |number: i32| v1::EventCategory::try_from(number).ok();
    let categories: Option<Vec<EventCategory>> = filter
        .categories
        .iter()
        .filter(|number| **number != 0)
        .map(|number| {
            let category = known(*number).and_then(from_category).ok_or(format!("{number} is not a category"));
            violations.check("filter.categories", category)
        })
        .collect();
    let source = match filter.source.as_str() {
        "" => Some(None),
        text => violations.check("filter.source", parse::obis(text)).map(Some),
    };
    let mut moment = |field: &str, time: Option<&prost_types::Timestamp>| match time {
        None => Some(None),
        Some(time) => violations.check(field, parse::timestamp(time)).map(Some),
    };
    let (from, to) = (moment("filter.from", filter.from.as_ref()), moment("filter.to", filter.to.as_ref()));
    Some(EventFilter {
        meters: meters?,
        categories: categories?,
        codes: filter.codes.clone(),
        source: source?,
        alarms_only: filter.alarms_only,
        unacknowledged_only: filter.unacknowledged_only,
        from: from?,
        to: to?,
    })
}

const CATEGORIES: [(v1::EventCategory, EventCategory); 13] = {
    use EventCategory as Own;
    use v1::EventCategory as Proto;
    [
        (Proto::Other, Own::Other),
        (Proto::Power, Own::Power),
        (Proto::Quality, Own::Quality),
        (Proto::Clock, Own::Clock),
        (Proto::Tamper, Own::Tamper),
        (Proto::Security, Own::Security),
        (Proto::Configuration, Own::Configuration),
        (Proto::Firmware, Own::Firmware),
        (Proto::Hardware, Own::Hardware),
        (Proto::Supply, Own::Supply),
        (Proto::SubMeter, Own::SubMeter),
        (Proto::Communication, Own::Communication),
        (Proto::Log, Own::Log),
    ]
};

fn from_category(category: v1::EventCategory) -> Option<EventCategory> {
    CATEGORIES.iter().find(|(proto, _)| *proto == category).map(|(_, own)| *own)
}

fn to_category(category: EventCategory) -> v1::EventCategory {
    CATEGORIES.iter().find(|(_, own)| *own == category).map_or(v1::EventCategory::Other, |(proto, _)| *proto)
}

fn to_proto(stored: &Event) -> v1::Event {
    let event = &stored.event;
    v1::Event {
        name: format!("events/{}", stored.sequence),
        meter: event.meter.as_ref().map(MeterId::resource_name).unwrap_or_default(),
        time: Some(to_timestamp(event.time)),
        clock: event.clock.map(value::to_date_time),
        receive_time: Some(to_timestamp(event.received)),
        origin: match event.origin {
            EventOrigin::Log => v1::EventOrigin::Log,
            EventOrigin::Pushed => v1::EventOrigin::Pushed,
            EventOrigin::AlarmRegister => v1::EventOrigin::AlarmRegister,
            EventOrigin::HeadEnd => v1::EventOrigin::HeadEnd,
        }
        .into(),
        source: event.source.map(|source| source.to_string()).unwrap_or_default(),
        code: event.code,
        display_name: event.name.clone(),
        category: to_category(event.category).into(),
        iec_code: event.iec_code.clone(),
        alarm: event.alarm,
        detail: event.detail.clone(),
        acknowledgement: stored.acknowledged.as_ref().map(|by| v1::Acknowledgement {
            subject: by.by.clone(),
            time: Some(to_timestamp(by.at)),
            note: by.note.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_goes_both_ways() {
        for category in EventCategory::ALL {
            assert_eq!(from_category(to_category(*category)), Some(*category));
        }
        assert_eq!(from_category(v1::EventCategory::Unspecified), None);
    }
}
