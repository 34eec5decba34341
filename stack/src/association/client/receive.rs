//! What arrives: answers, blocks of answers, notifications, exceptions.

use core::ops::Range;

use super::error::{ConnectionError, ProtocolError, RequestError};
use super::event::{Event, Response};
use super::notification::{is_ciphered_notification, is_unsolicited, to_confirm};
use super::request::{Pending, Service};
use super::{Connection, End, Place, Ready, Received, State, quirk};
use crate::apdu::{
    AccessResponse, ActionResponse, Apdu, BlockResult, ConfirmedServiceError, ExceptionResponse, GetDataResult,
    GetRequest, GetResponse, InvokeIdAndPriority, LongInvokeIdAndPriority, ReadResponse, ReadResult, SetResponse,
    WriteResponse, tag,
};
use crate::axdr::DecodeError;
use crate::deviation::{Deviation, Deviations};
use crate::link::{Link, LinkEvent, Storage};
use crate::security::general;
use crate::security::{Crypto, Protection, Random, SecurityError};

const BLOCKS_FROM_0: Deviations = Deviations::NONE.with(Deviation::BlockNumberZero);

/// What to do with a received APDU.
enum Verdict {
    /// Late, foreign or unknown: dropped, the wait goes on.
    Drop,
    /// The user is to see it; the request stays open for the block after `ask_next`.
    Show { ask_next: Option<u32> },
    /// A block of the request was acknowledged.
    Acknowledged { number: u32 },
    /// The request has failed.
    Fail(RequestError),
}

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Takes what the link has, until something waits for the user.
    pub(super) fn pump(&mut self) {
        if self.has_block()
            && let Err(error) = self.send_blocks()
        {
            self.fail(RequestError::Usage(error));
        }
        while matches!(self.ready, Ready::Nothing) {
            match self.link.poll_event() {
                None => return,
                Some(LinkEvent::Opened) => {
                    if matches!(self.state, State::LinkOpening) {
                        self.propose();
                    }
                }
                Some(LinkEvent::Closed) => {
                    let end = self.end.unwrap_or(End::Lost(ConnectionError::ClosedByPeer));
                    if !matches!(self.state, State::Idle) {
                        self.end_now(end);
                    }
                }
                Some(LinkEvent::Failed(error)) => {
                    let end = self.end.unwrap_or(End::Lost(ConnectionError::Link(error)));
                    if !matches!(self.state, State::Idle) {
                        self.end_now(end);
                    }
                }
                Some(LinkEvent::Apdu) => {
                    self.handle_apdu();
                    // What is to be seen in the link's own storage stays there.
                    let held = match &self.ready {
                        Ready::Apdu(Received { place, .. }) | Ready::Foreign { place, .. } => *place == Place::Link,
                        Ready::Block { .. } => true,
                        _ => false,
                    };
                    if !held {
                        self.link.release_apdu();
                        if self.is_streaming() {
                            self.link.expect(self.now);
                        }
                    }
                }
            }
        }
    }

    fn handle_apdu(&mut self) {
        let tag = self.link.apdu().first().copied().unwrap_or_default();
        match core::mem::replace(&mut self.state, State::LinkClosing) {
            State::AwaitAare { session, challenge } if tag == 0x61 => self.handle_aare(session, challenge),
            State::AwaitHls { session, challenge, server_challenge }
                if !is_unsolicited(tag) && !is_ciphered_notification(tag) && !is_refusal(tag) =>
            {
                self.handle_hls_reply(session, &challenge, &server_challenge);
            }
            state @ (State::AwaitAare { .. } | State::AwaitHls { .. }) => {
                self.state = state;
                self.show_unsolicited(tag);
                if is_refusal(tag) {
                    let error = decode_refusal(self.link.apdu());
                    self.finish(End::Lost(ConnectionError::Request(error)));
                }
            }
            // RLRE, or any refusal of the release: either way the link goes down.
            State::Releasing(session) => {
                self.state = State::Releasing(session);
                self.show_unsolicited(tag);
                if tag == 0x63 || is_refusal(tag) {
                    let met = self.release_deviations();
                    let end = match self.tolerate(met) {
                        Ok(()) => End::Released,
                        Err(error) => End::Lost(ConnectionError::Request(error)),
                    };
                    self.finish(end);
                }
            }
            State::Associated(session) => {
                self.state = State::Associated(session);
                if tag == tag::GENERAL_BLOCK_TRANSFER {
                    self.handle_block();
                } else {
                    let whole = 0..self.link.apdu().len();
                    self.handle_answer(Place::Link, whole);
                }
            }
            state => self.state = state,
        }
    }

    /// A notification outside an open association reaches the user all the same.
    fn show_unsolicited(&mut self, tag: u8) {
        let (place, plain) = (Place::Link, 0..self.link.apdu().len());
        if is_unsolicited(tag) {
            let protection = Protection::NONE;
            self.ready = Ready::Apdu(Received { place, plain, protection, list: 0, ask_next: None, confirm: None });
        } else if is_ciphered_notification(tag) {
            self.ready = Ready::Foreign { place, whole: plain };
        }
    }

    /// Takes a complete APDU.
    pub(super) fn handle_answer(&mut self, place: Place, whole: Range<usize>) {
        let ciphered = matches!(&self.state, State::Associated(session) if session.ciphered);
        let met = quirk::of_envelope(self.octets(place).get(whole.clone()).unwrap_or_default(), ciphered);
        if let Err(error) = self.tolerate(met) {
            return self.fail(error);
        }
        if self.is_of_another_transaction(place, &whole) {
            self.ready = Ready::Foreign { place, whole };
            return;
        }
        let (plain, protection) = match self.unwrap(place, whole.clone()) {
            Ok(unwrapped) => unwrapped,
            Err(_) if self.is_foreign(place, &whole) => {
                self.ready = Ready::Foreign { place, whole };
                return;
            }
            // An answer that cannot be believed fails the request; without one it is noise.
            Err(error) => return self.fail(RequestError::Security(error)),
        };
        let pending = self.pending;
        let Some(octets) = self.octets(place).get(plain.clone()) else { return };
        let notification = octets.first().copied().is_some_and(is_unsolicited);
        let confirm = to_confirm(octets);
        let verdict = judge(octets, pending.as_ref());
        match verdict {
            Verdict::Drop => self.count_late(),
            Verdict::Fail(error) => self.fail(error),
            Verdict::Show { ask_next } => {
                // What follows block 0 is asked for: the blocks are counted from 0.
                if ask_next == Some(0)
                    && let Err(error) = self.tolerate(BLOCKS_FROM_0)
                {
                    return self.fail(error);
                }
                let confirm = confirm.filter(|_| self.is_protected_enough(protection));
                let list = self.pending.map_or(0, |pending| pending.list);
                if !notification {
                    self.deadline = None;
                    self.pending = match ask_next {
                        Some(number) => self.pending.map(|p| Pending { expected_block: number.saturating_add(1), ..p }),
                        None => None,
                    };
                }
                self.ready = Ready::Apdu(Received { place, plain, protection, list, ask_next, confirm });
            }
            Verdict::Acknowledged { number } => self.acknowledged(number),
        }
    }

    /// Deciphers in place. Exceptions come in clear even inside a ciphered association: accepted as refusals,
    /// never as data. So do notifications, whose protection the user is told.
    fn unwrap(&mut self, place: Place, whole: Range<usize>) -> Result<(Range<usize>, Protection), SecurityError> {
        let State::Associated(session) = &mut self.state else { return Ok((0..0, Protection::NONE)) };
        let octets = match place {
            Place::Link => self.link.apdu(),
            Place::Long => self.long.as_mut(),
        };
        let apdu = octets.get_mut(whole.clone()).unwrap_or_default();
        let tag = apdu.first().copied().unwrap_or_default();
        let (plain, protection) = match &mut session.security {
            Some(secured) if !is_refusal(tag) && !is_unsolicited(tag) => secured.unwrap(self.general.as_ref(), apdu)?,
            None if general::is_protected(apdu) => return Err(SecurityError::NotExpected),
            _ => (0..apdu.len(), Protection::NONE),
        };
        let moved = |offset: usize| offset.saturating_add(whole.start);
        Ok((moved(plain.start)..moved(plain.end), protection))
    }

    fn acknowledged(&mut self, number: u32) {
        let Some(pending) = self.pending else { return };
        let error = match pending.sending {
            Some(sending) if sending.number == number => match self.send_next(pending, sending) {
                Ok(true) => return,
                Ok(false) => RequestError::Protocol(ProtocolError::UnexpectedApdu { found: "block acknowledgement" }),
                Err(error) => RequestError::Usage(error),
            },
            Some(sending) => {
                RequestError::Protocol(ProtocolError::BlockNumber { expected: sending.number, found: number })
            }
            None => RequestError::Protocol(ProtocolError::UnexpectedApdu { found: "block acknowledgement" }),
        };
        self.fail(error);
    }

    /// Fails the request under way, if there is one.
    pub(super) fn fail(&mut self, error: RequestError) {
        if self.pending.take().is_some() {
            self.exchange = None;
            self.deadline = None;
            self.failed = Some(error);
        }
    }

    /// Asks for the block after `number`.
    pub(super) fn ask_next(&mut self, number: u32) {
        let Some(pending) = self.pending else { return };
        let invoke = pending.invoke;
        let asked = match pending.service {
            Service::Action => {
                self.send_apdu(|out| crate::apdu::ActionRequest::NextPBlock { invoke, number }.encode(out))
            }
            Service::Read => self.ask_next_named(number),
            _ => self.send_apdu(|out| GetRequest::Next { invoke, number }.encode(out)),
        };
        if let Err(error) = asked {
            self.fail(RequestError::Usage(error));
        }
    }
}

/// Decides from the first octets; the rest is decoded when the user takes it.
fn judge(octets: &[u8], pending: Option<&Pending>) -> Verdict {
    let mut head = crate::axdr::Reader::new(octets);
    let Ok(tag) = head.u8() else { return Verdict::Drop };
    if is_unsolicited(tag) {
        return Verdict::Show { ask_next: None };
    }
    let Some(pending) = pending else { return Verdict::Drop };
    if is_refusal(tag) {
        return Verdict::Fail(decode_refusal(octets));
    }
    let service = match tag {
        0xC4 => Service::Get,
        0xC5 => Service::Set,
        0xC7 => Service::Action,
        tag::ACCESS_RESPONSE => return judge_access(&mut head, pending),
        tag::READ_RESPONSE => Service::Read,
        tag::WRITE_RESPONSE => Service::Write,
        _ => return Verdict::Fail(RequestError::Protocol(ProtocolError::UnexpectedApdu { found: name(octets) })),
    };
    let judged = match service {
        Service::Read | Service::Write => judge_named(&mut head, service, pending),
        _ => judge_answer(&mut head, service, pending),
    };
    match judged {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Fail(RequestError::Decode(error)),
    }
}

/// A late answer carries the long-invoke-id of a request that was given up.
fn judge_access(head: &mut crate::axdr::Reader<'_>, pending: &Pending) -> Verdict {
    match (head.u32().map(LongInvokeIdAndPriority), pending.service) {
        (Err(error), _) => Verdict::Fail(RequestError::Decode(error)),
        (Ok(found), Service::Access(invoke)) if invoke.matches(found) => Verdict::Show { ask_next: None },
        (Ok(_), _) => Verdict::Drop,
    }
}

/// The same for services without invoke-ids.
fn judge_named(
    head: &mut crate::axdr::Reader<'_>,
    service: Service,
    pending: &Pending,
) -> Result<Verdict, DecodeError> {
    if service != pending.service {
        return Ok(Verdict::Drop);
    }
    let count = head.length("results")?;
    let (number, last) = match (service, count, head.peek()) {
        (Service::Read, 1, Some(3)) | (Service::Write, 1, Some(2)) => {
            head.u8()?;
            let number = u32::from(head.u16()?);
            return Ok(Verdict::Acknowledged { number });
        }
        (Service::Read, 1, Some(2)) => {
            head.u8()?;
            let last = head.present()?;
            (u32::from(head.u16()?), last)
        }
        _ => return Ok(Verdict::Show { ask_next: None }),
    };
    let expected = pending.expects(number);
    if number != expected {
        let error = ProtocolError::BlockNumber { expected, found: number };
        return Ok(Verdict::Fail(RequestError::Protocol(error)));
    }
    if !last && head.length("raw-data")? == 0 {
        return Ok(Verdict::Fail(RequestError::Protocol(ProtocolError::EmptyBlock { number })));
    }
    Ok(Verdict::Show { ask_next: (!last).then_some(number) })
}

fn judge_answer(
    head: &mut crate::axdr::Reader<'_>,
    service: Service,
    pending: &Pending,
) -> Result<Verdict, DecodeError> {
    let variant = head.u8()?;
    let invoke = InvokeIdAndPriority(head.u8()?);
    // A late answer to a request that was given up carries that request's invoke-id.
    if service != pending.service || !pending.invoke.matches(invoke) {
        return Ok(Verdict::Drop);
    }
    let block = match (service, variant) {
        (Service::Get | Service::Action, 2) => true,
        (Service::Set, 2) | (Service::Action, 4) => {
            let number = head.u32()?;
            return Ok(Verdict::Acknowledged { number });
        }
        _ => false,
    };
    if !block {
        return Ok(Verdict::Show { ask_next: None });
    }
    let last = head.present()?;
    let number = head.u32()?;
    let expected = pending.expects(number);
    if number != expected {
        let error = ProtocolError::BlockNumber { expected, found: number };
        return Ok(Verdict::Fail(RequestError::Protocol(error)));
    }
    // A block that carries an error instead of data is the end, whatever its last-block octet says.
    let failed = service == Service::Get && head.peek() == Some(1);
    if service == Service::Get && !failed {
        head.u8()?;
    }
    if !last && !failed && head.length("raw-data")? == 0 {
        return Ok(Verdict::Fail(RequestError::Protocol(ProtocolError::EmptyBlock { number })));
    }
    Ok(Verdict::Show { ask_next: (!last && !failed).then_some(number) })
}

/// Decodes what the user is to see, and says which deviations were met.
pub(super) fn decode_event(octets: &[u8], protection: Protection, list: usize) -> (Event<'_>, Deviations) {
    if octets.first().copied().is_some_and(is_unsolicited) {
        return match Apdu::decode_with_deviations(octets) {
            Ok((apdu, met)) => (Event::Notification { apdu, protection }, met),
            Err(error) => (Event::Unreadable(error), Deviations::NONE),
        };
    }
    let mut met = Deviations::NONE;
    let event = match decode_response(octets, &mut met) {
        Ok(response) => match response.count() {
            Some(found) if found != list => {
                Event::Failed(RequestError::Protocol(ProtocolError::ResultCount { expected: list, found }))
            }
            _ => Event::Response(response),
        },
        Err(error) => Event::Failed(error),
    };
    (event, met)
}

/// Keeps the deviations apart from what was decoded.
fn noted<T>(decoded: Result<(T, Deviations), DecodeError>, met: &mut Deviations) -> Result<T, RequestError> {
    let (value, deviations) = decoded.map_err(RequestError::Decode)?;
    *met = deviations;
    Ok(value)
}

fn decode_response<'a>(octets: &'a [u8], met: &mut Deviations) -> Result<Response<'a>, RequestError> {
    let unexpected = |found| Err(RequestError::Protocol(ProtocolError::UnexpectedApdu { found }));
    Ok(match octets.first() {
        Some(0xC4) => match noted(GetResponse::decode_with_deviations(octets), met)? {
            GetResponse::Normal { result, .. } => Response::Get(result),
            GetResponse::WithList { results, .. } => Response::GetList(results),
            GetResponse::WithDataBlock { last, result: BlockResult::Raw(raw), .. } => Response::GetBlock { raw, last },
            GetResponse::WithDataBlock { result: BlockResult::Error(error), .. } => {
                Response::Get(GetDataResult::Error(error))
            }
        },
        Some(0xC5) => match noted(SetResponse::decode_with_deviations(octets), met)? {
            SetResponse::Normal { result, .. } | SetResponse::LastDataBlock { result, .. } => Response::Set(result),
            SetResponse::WithList { results, .. } | SetResponse::LastDataBlockWithList { results, .. } => {
                Response::SetList(results)
            }
            SetResponse::DataBlock { .. } => return unexpected("set-response-datablock"),
        },
        Some(&tag::ACCESS_RESPONSE) => {
            let response = noted(AccessResponse::decode_with_deviations(octets), met)?;
            let (expected, found) = (response.results.len(), response.data.len());
            if expected != found {
                return Err(RequestError::Protocol(ProtocolError::ResultCount { expected, found }));
            }
            Response::Access(response)
        }
        Some(&tag::READ_RESPONSE) => {
            let ReadResponse { results } = noted(ReadResponse::decode_with_deviations(octets), met)?;
            match results.get(0) {
                Some(ReadResult::Block { last, raw, .. }) if results.len() == 1 => Response::ReadBlock { raw, last },
                _ => Response::Read(results),
            }
        }
        Some(&tag::WRITE_RESPONSE) => {
            Response::Write(noted(WriteResponse::decode_with_deviations(octets), met)?.results)
        }
        _ => match noted(ActionResponse::decode_with_deviations(octets), met)? {
            ActionResponse::Normal { result, .. } => Response::Action(result),
            ActionResponse::WithList { results, .. } => Response::ActionList(results),
            ActionResponse::WithPBlock { block, .. } => Response::ActionBlock { raw: block.raw, last: block.last },
            ActionResponse::NextPBlock { .. } => return unexpected("action-response-next-pblock"),
        },
    })
}

/// ExceptionResponse and ConfirmedServiceError.
const fn is_refusal(tag: u8) -> bool {
    matches!(tag, 0xD8 | 0x0E)
}

fn decode_refusal(octets: &[u8]) -> RequestError {
    if octets.first() == Some(&0xD8) {
        ExceptionResponse::decode(octets).map_or_else(RequestError::Decode, RequestError::Exception)
    } else {
        ConfirmedServiceError::decode(octets).map_or_else(RequestError::Decode, RequestError::Service)
    }
}

fn name(octets: &[u8]) -> &'static str {
    Apdu::decode(octets).map_or("undecodable apdu", |apdu| apdu.name())
}
