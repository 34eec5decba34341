//! An open association: single requests and their answers.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use dlms::{
    apdu::{
        AccessResponse, AccessResult, AttributeDescriptor, AttributeRequest, Conformance, DataAccessResult,
        GetDataResult, GetResponse, MethodDescriptor, MethodResult,
    },
    association::client::{
        AccessItem, AccessOptions, Event, Negotiated, RequestError as StackError, Response, UsageError,
    },
    axdr::{Data, Value},
    security::InvocationCounter,
};
use tokio::time::Instant;

use super::{
    driver::{DriveError, Driver},
    failure::{after_sending, counter_refused_request, from_drive, from_stack, from_usage},
    work::Work,
};
use crate::{
    meter::MeterConfig,
    operation::{
        AttributeRef, Counters, Layer, MeterAnswer, ObjectRef, Opening, RequestError, RequestErrorKind as Kind,
    },
};

/// Octets that one value may have when it arrives in blocks: an object list of a large meter has tens of thousands.
const VALUE_OCTETS_MAX: usize = 1024 * 1024;

/// An open association with a meter.
pub(super) struct Session {
    driver: Driver,
    config: Arc<MeterConfig>,
    negotiated: Negotiated,
    /// How long its connection and its association took.
    opening: Opening,
    /// Why it can be used no more.
    lost: Option<RequestError>,
    /// Answers so far.
    answers: u64,
    /// The meter refused the counter of a request: the next session begins with a look at the meter's.
    counter_refused: Option<Option<u32>>,
}

/// What an answer's taker says.
type Taken<T> = ControlFlow<Result<T, RequestError>>;

impl Session {
    pub(super) fn new(driver: Driver, config: Arc<MeterConfig>, negotiated: Negotiated) -> Self {
        let (lost, counter_refused) = (None, None);
        Self { driver, config, negotiated, opening: Opening::default(), lost, answers: 0, counter_refused }
    }

    /// The same, with how long it took to be opened.
    pub(super) const fn opened_in(mut self, connection: Duration, association: Duration) -> Self {
        (self.opening.connection, self.opening.association) = (connection, association);
        self
    }

    /// How long its connection and its association took; the total is not known here.
    pub(super) const fn opening(&self) -> Opening {
        self.opening
    }

    /// What was agreed on.
    pub(super) const fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// The configuration that it was opened with.
    pub(super) fn config(&self) -> &MeterConfig {
        &self.config
    }

    /// Why it can be used no more.
    pub(super) const fn lost(&self) -> Option<&RequestError> {
        self.lost.as_ref()
    }

    /// How many requests were answered so far.
    pub(super) const fn answers(&self) -> u64 {
        self.answers
    }

    /// Whether the meter refused the counter of a request, and which one it would accept, where it said so.
    pub(super) const fn counter_refused(&self) -> Option<Option<u32>> {
        self.counter_refused
    }

    /// Octets that have left so far.
    pub(super) const fn octets_sent(&self) -> u64 {
        self.driver.octets_sent()
    }

    /// Notifications that arrived in it so far.
    pub(super) const fn notifications(&self) -> u64 {
        self.driver.notifications()
    }

    /// Lowest invocation counter that is acceptable from the meter.
    pub(super) fn receive_floor(&self) -> Option<u32> {
        self.driver.receive_floor()
    }

    /// Where the invocation counters of the key in use stand; `None` without ciphering.
    pub(super) fn counters(&mut self) -> Option<Counters> {
        self.config.ciphering.as_ref()?;
        let (next, reserved) = self.driver.counters();
        Some(Counters { next, reserved, receive_floor: self.receive_floor().unwrap_or(0) })
    }

    /// Waits until the association is lost; cancel safe.
    pub(super) async fn idle(&mut self) -> RequestError {
        from_drive(self.driver.idle().await, "while nothing was asked")
    }

    /// Releases the association; returns the counters that are left.
    pub(super) async fn close(mut self, deadline: Instant) -> InvocationCounter {
        self.driver.finish(deadline).await;
        self.driver.take_counter()
    }

    /// Reads one attribute.
    pub(super) async fn get(&mut self, request: AttributeRequest<'_>, work: &Work<'_>) -> Result<Value, RequestError> {
        let mut blocks = Blocks::default();
        self.stream(request, work, |part| match part {
            Part::Whole(data) => ControlFlow::Break(Ok(Value::from(data))),
            Part::Block { raw, last } => blocks.push(raw, last, |octets| decoded(Value::from_slice(octets))),
        })
        .await
    }

    /// Reads one attribute; `take` gets the answer as it arrives.
    pub(super) async fn stream<T>(
        &mut self,
        request: AttributeRequest<'_>,
        work: &Work<'_>,
        mut take: impl FnMut(Part<'_>) -> Taken<T>,
    ) -> Result<T, RequestError> {
        self.request(work, |connection, now| connection.get(request, now))
            .await
            .map_err(|e| about(e, request.attribute))?;
        let answer = self.answer(work, |response| match response {
            Response::Get(GetDataResult::Data(data)) => take(Part::Whole(data)),
            Response::Get(GetDataResult::Error(result)) => ControlFlow::Break(Err(refused(result))),
            Response::GetBlock { raw, last } => take(Part::Block { raw, last }),
            _ => ControlFlow::Break(Err(other_service())),
        });
        answer.await.map_err(|error| about(error, request.attribute))
    }

    /// Reads several attributes with one request.
    pub(super) async fn get_list(
        &mut self,
        attributes: &[AttributeDescriptor],
        work: &Work<'_>,
    ) -> Result<Vec<Result<Value, RequestError>>, RequestError> {
        let requests: Vec<_> = attributes.iter().copied().map(AttributeRequest::whole).collect();
        self.request(work, |connection, now| connection.get_list(&requests, now)).await?;
        let mut blocks = Blocks::default();
        self.answer(work, |response| match response {
            Response::GetList(list) => ControlFlow::Break(Ok(results(list.iter(), attributes))),
            Response::GetBlock { raw, last } => blocks.push(raw, last, |octets| list_of_blocks(octets, attributes)),
            _ => ControlFlow::Break(Err(other_service())),
        })
        .await
    }

    /// Reads several attributes with one ACCESS request.
    pub(super) async fn get_access(
        &mut self,
        attributes: &[AttributeDescriptor],
        work: &Work<'_>,
    ) -> Result<Vec<Result<Value, RequestError>>, RequestError> {
        let items: Vec<_> = attributes.iter().map(|of| AccessItem::Get(AttributeRequest::whole(*of))).collect();
        self.request(work, |connection, now| connection.access(&items, AccessOptions::default(), now)).await?;
        self.answer(work, |response| match response {
            Response::Access(response) => ControlFlow::Break(accessed(&response, attributes)),
            _ => ControlFlow::Break(Err(other_service())),
        })
        .await
    }

    /// Sets one attribute. Never repeated.
    pub(super) async fn set(
        &mut self,
        request: AttributeRequest<'_>,
        value: Data<'_>,
        work: &Work<'_>,
    ) -> Result<(), RequestError> {
        let before = self.driver.octets_sent();
        let started = self.request(work, |connection, now| connection.set(request, value, now));
        started.await.map_err(|error| about(error, request.attribute))?;
        let answer = self.answer(work, |response| {
            ControlFlow::Break(match response {
                Response::Set(DataAccessResult::Success) => Ok(()),
                Response::Set(result) => Err(refused(result)),
                _ => Err(other_service()),
            })
        });
        let answer = answer.await;
        let sent = self.driver.octets_sent() > before;
        answer.map_err(|error| about(after_sending(error, sent), request.attribute))
    }

    /// Invokes one method; returns what it gave back. Never repeated.
    pub(super) async fn action(
        &mut self,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        work: &Work<'_>,
    ) -> Result<Option<Value>, RequestError> {
        let object = ObjectRef::Method { class: method.class, obis: method.instance, method: method.method };
        let before = self.driver.octets_sent();
        let started = self.request(work, |connection, now| connection.action(method, parameter, now));
        started.await.map_err(|error| error.with_object(object))?;
        let mut blocks = Blocks::default();
        let answer = self.answer(work, |response| match response {
            Response::Action(result) => ControlFlow::Break(returned(result)),
            Response::ActionBlock { raw, last } => blocks.push(raw, last, |octets| {
                let result = MethodResult::from_blocks(octets).map_err(|e| from_stack(StackError::Decode(e)))?;
                returned(result)
            }),
            _ => ControlFlow::Break(Err(other_service())),
        });
        let answer = answer.await;
        let sent = self.driver.octets_sent() > before;
        answer.map_err(|error| after_sending(error, sent).with_object(object))
    }

    /// Whether the meter agreed to a service.
    pub(super) const fn offers(&self, service: Conformance) -> bool {
        self.negotiated.conformance.contains(service)
    }

    /// Gives the connection a request, unless there is a reason not to.
    async fn request(
        &mut self,
        work: &Work<'_>,
        command: impl FnOnce(&mut super::driver::StackConnection, dlms::Instant) -> Result<(), UsageError>,
    ) -> Result<(), RequestError> {
        if let Some(lost) = &self.lost {
            // What was lost with an earlier request was not sent with this one.
            let kind = if lost.kind() == Kind::UnknownOutcome { Kind::Unreachable } else { lost.kind() };
            return Err(lost.clone().with_kind(kind).with_sent(false));
        }
        work.check()?;
        self.driver.top_up().await.map_err(|error| from_drive(error, "before the request was sent"))?;
        self.driver.command(command).map_err(from_usage)
    }

    /// Waits for the answer to the request under way.
    ///
    /// An answer that does not come, and one that is broken off, end the session: a late answer must never be taken
    /// for the answer to the next request.
    async fn answer<T>(
        &mut self,
        work: &Work<'_>,
        mut take: impl FnMut(Response<'_>) -> Taken<T>,
    ) -> Result<T, RequestError> {
        let before = self.driver.octets_sent();
        let mut refusal = None;
        let driven = self.driver.drive(Some(work.deadline), |event| match event {
            Event::Response(response) => {
                let more = matches!(response, Response::GetBlock { last: false, .. });
                match take(response) {
                    // What is read for nobody is not read to its end: others wait for the meter.
                    ControlFlow::Continue(()) if more && (work.abandoned)() => {
                        let message = "the caller went away between two blocks of the answer";
                        let error = RequestError::new(Kind::Cancelled, Layer::HeadEnd, message);
                        ControlFlow::Break(Err(error.with_sent(true)))
                    }
                    taken => taken,
                }
            }
            Event::Failed(error) => {
                refusal = Some(error);
                ControlFlow::Break(Err(from_stack(error)))
            }
            _ => ControlFlow::Continue(()),
        });
        let result = match driven.await {
            Ok(result) => result,
            Err(error) => Err(self.lose(error)),
        };
        match refusal {
            None if self.lost.is_none() => self.answers += 1,
            None => {}
            Some(refusal) => {
                self.counter_refused = counter_refused_request(&refusal).or(self.counter_refused);
                if fatal(&refusal) {
                    self.lost = result.as_ref().err().cloned();
                } else {
                    self.answers += 1;
                }
            }
        }
        if self.lost.is_none() && self.driver.is_pending() {
            self.lost = Some(RequestError::new(Kind::Unreachable, Layer::HeadEnd, "the answer before was broken off"));
        }
        let sent = self.driver.octets_sent() > before;
        result.map_err(|error| if error.sent() { error } else { error.with_sent(sent) })
    }

    fn lose(&mut self, error: DriveError) -> RequestError {
        let error = from_drive(error, "before the answer came");
        self.lost = Some(error.clone());
        error
    }
}

/// Part of the value of an attribute.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// All of it.
    Whole(Data<'a>),
    /// Octets of its encoding.
    Block {
        /// The octets.
        raw: &'a [u8],
        /// Whether it is complete with them.
        last: bool,
    },
}

/// The blocks of one answer, joined.
#[derive(Default)]
struct Blocks(Vec<u8>);

impl Blocks {
    fn push<T>(&mut self, raw: &[u8], last: bool, decode: impl FnOnce(&[u8]) -> Result<T, RequestError>) -> Taken<T> {
        if self.0.len() + raw.len() > VALUE_OCTETS_MAX {
            let message = format!("the answer is longer than {VALUE_OCTETS_MAX} octets");
            return ControlFlow::Break(Err(RequestError::new(Kind::Protocol, Layer::Association, message)));
        }
        self.0.extend_from_slice(raw);
        if last { ControlFlow::Break(decode(&self.0)) } else { ControlFlow::Continue(()) }
    }
}

/// Whether nothing more can be had from the association after this.
fn fatal(error: &StackError) -> bool {
    match error {
        // The association stands: the meter answered, or nothing was sent.
        StackError::Exception(_) | StackError::Service(_) => counter_refused_request(error).is_some(),
        StackError::Usage(_) => false,
        // Who answers with wrong tags, illegal octets or not at all is not asked again on the same connection.
        _ => true,
    }
}

fn decoded<T>(result: Result<T, dlms::axdr::DecodeError>) -> Result<T, RequestError> {
    result.map_err(|error| from_stack(StackError::Decode(error)))
}

/// The joined blocks of an answer to a list: count and results, as they follow the header of a normal answer.
fn list_of_blocks(
    octets: &[u8],
    attributes: &[AttributeDescriptor],
) -> Result<Vec<Result<Value, RequestError>>, RequestError> {
    let mut whole = vec![0xC4, 3, 0xC1];
    whole.extend_from_slice(octets);
    match decoded(GetResponse::decode(&whole))? {
        GetResponse::WithList { results: list, .. } if list.len() == attributes.len() => {
            Ok(results(list.iter(), attributes))
        }
        _ => Err(other_service()),
    }
}

fn results<'a>(
    list: impl Iterator<Item = GetDataResult<'a>>,
    attributes: &[AttributeDescriptor],
) -> Vec<Result<Value, RequestError>> {
    let own = |(result, attribute): (GetDataResult<'_>, &AttributeDescriptor)| match result {
        GetDataResult::Data(data) => Ok(Value::from(data)),
        GetDataResult::Error(result) => Err(about(refused(result), *attribute)),
    };
    list.zip(attributes).map(own).collect()
}

/// What an answer to ACCESS has for each attribute.
fn accessed(
    response: &AccessResponse<'_>,
    attributes: &[AttributeDescriptor],
) -> Result<Vec<Result<Value, RequestError>>, RequestError> {
    let items: Vec<_> = response.items().collect();
    if items.len() != attributes.len() {
        return Err(other_service());
    }
    let own = |((result, data), attribute): ((AccessResult, Data<'_>), &AttributeDescriptor)| match result {
        AccessResult::Get(DataAccessResult::Success) => Ok(Value::from(data)),
        AccessResult::Get(result) => Err(about(refused(result), *attribute)),
        AccessResult::Set(_) | AccessResult::Action(_) => Err(about(other_service(), *attribute)),
    };
    Ok(items.into_iter().zip(attributes).map(own).collect())
}

fn returned(result: MethodResult<'_>) -> Result<Option<Value>, RequestError> {
    if !result.result.is_success() {
        return Err(RequestError::refused(MeterAnswer::Action(result.result.code())));
    }
    match result.data {
        Some(GetDataResult::Data(data)) => Ok(Some(Value::from(data))),
        // Done, although what it returns cannot be had.
        Some(GetDataResult::Error(_)) | None => Ok(None),
    }
}

fn refused(result: DataAccessResult) -> RequestError {
    RequestError::refused(MeterAnswer::DataAccess(result.code()))
}

fn other_service() -> RequestError {
    RequestError::new(Kind::Protocol, Layer::Association, "the meter answered another request than ours")
}

fn about(error: RequestError, attribute: AttributeDescriptor) -> RequestError {
    let AttributeDescriptor { class, instance, attribute } = attribute;
    error.with_object(ObjectRef::Attribute(AttributeRef::new(class, instance, attribute)))
}
