//! General block transfer on the client's side.
//!
//! A request that is longer than the server takes is kept in the second storage, protected, and cut; with the first
//! block of the answer it is done with. An answer to GET in clear is shown block by block as it arrives. Any other answer
//! gathers in the second storage, because its tag covers all of it, and is shown whole.

use core::ops::Range;

use super::config::GeneralBlocks;
use super::error::{RequestError, UsageError};
use super::notification::is_unsolicited;
use super::request::{FIRST_BLOCK, Pending, Service};
use super::{Connection, Place, Ready, State};
use crate::Instant;
use crate::apdu::{BlockControl, Conformance, GeneralBlockTransfer, InvokeIdAndPriority, tag};
use crate::association::blocks::{Arrival, Joined, Joiner, Numbers, fragment};
use crate::axdr::{BufferFull, Writer};
use crate::link::{Link, Storage};
use crate::security::{Crypto, HEADROOM, Random, TAG_LENGTH};

/// An exchange of blocks with the server.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    numbers: Numbers,
    /// Where the request is in the second storage; empty when it went out whole.
    request: Range<usize>,
    /// Octets of it in each block but the last.
    fragment: usize,
    /// Blocks of it.
    total: u16,
    /// Blocks that may still be sent in this burst.
    burst: u8,
    answer: Answer,
    /// More blocks come without being asked for.
    streaming: bool,
    /// How often something was repeated since the last block that was new.
    attempts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing of it has come.
    Nothing,
    /// Shown as it comes.
    Shown,
    /// So many octets are in the second storage.
    Gathered(usize),
}

impl Exchange {
    const fn new(request: Range<usize>, fragment: usize, total: u16) -> Self {
        let numbers = Numbers { sent: 0, acknowledged: 0, received: 0, window: 1 };
        let (answer, streaming) = (Answer::Nothing, false);
        Self { numbers, request, fragment, total, burst: 0, answer, streaming, attempts: 0 }
    }

    /// Whether blocks of the request are still to be sent, or not known to have arrived.
    fn is_sending(&self) -> bool {
        self.answer == Answer::Nothing && self.numbers.acknowledged < self.total
    }

    /// Whether the second storage is in use.
    fn occupies_storage(&self) -> bool {
        self.is_sending() || matches!(self.answer, Answer::Gathered(_))
    }

    /// Goes on behind the last block that the server has.
    const fn rewind(&mut self) {
        self.numbers.sent = self.numbers.acknowledged;
        self.burst = self.numbers.window;
    }
}

/// What to do about a block of an answer.
enum Step {
    Nothing,
    /// The server's turn is over, or a block is missing.
    Acknowledge,
    /// The server waits for blocks of the request.
    Send,
    /// Octets of an answer to GET, from `skip` octets of the block's data on.
    Show {
        skip: usize,
        last: bool,
    },
    /// The answer is complete in the block.
    Whole,
    /// The answer is complete in so many octets of the second storage.
    Complete(usize),
    Fail(RequestError),
}

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Keeps a request that is longer than the server takes, and sends its first block. The server's window is not known
    /// before it has answered that.
    pub(super) fn send_in_blocks(
        &mut self,
        service: Service,
        invoke: InvokeIdAndPriority,
        list: usize,
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), UsageError> {
        let State::Associated(session) = &mut self.state else { return Err(UsageError::NotAssociated) };
        let limit = usize::from(session.negotiated.server_max_pdu).min(self.out.as_ref().len());
        let fragment = fragment(limit);
        self.pushed = None;
        let end = self.long.as_ref().len().saturating_sub(TAG_LENGTH);
        let mut out = Writer::new(self.long.as_mut().get_mut(HEADROOM..end).unwrap_or_default());
        encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
        let plain = HEADROOM..HEADROOM.saturating_add(out.len());
        // As many as numbers, so that those of the answer stay apart from them.
        let blocks = |octets: usize| octets.div_ceil(fragment.max(1)).try_into().ok().filter(|_| fragment > 0);
        blocks(plain.len().saturating_add(HEADROOM).saturating_add(TAG_LENGTH)).ok_or(UsageError::RequestTooLong)?;
        let request =
            session.protect(self.general.as_mut(), &mut self.counter, &mut self.random, self.long.as_mut(), plain)?;
        let total = blocks(request.len()).ok_or(UsageError::RequestTooLong)?;
        let mut exchange = Exchange::new(request, fragment, total);
        exchange.rewind();
        self.exchange = Some(exchange);
        self.pending = Some(Pending { invoke, service, list, expected_block: FIRST_BLOCK, sending: None });
        self.send_blocks().inspect_err(|_| (self.exchange, self.pending) = (None, None))
    }

    /// Sends blocks of the request, as many as the server takes in one burst and the link now.
    pub(super) fn send_blocks(&mut self) -> Result<(), UsageError> {
        while let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.burst > 0 && exchange.is_sending())
        {
            if !self.link.can_send() {
                break;
            }
            let numbers = &mut exchange.numbers;
            let start =
                usize::from(numbers.sent).saturating_mul(exchange.fragment).saturating_add(exchange.request.start);
            let end = start.saturating_add(exchange.fragment).min(exchange.request.end);
            let Some(data) = self.long.as_ref().get(start..end).filter(|data| !data.is_empty()) else {
                exchange.burst = 0;
                break;
            };
            let last = end == exchange.request.end;
            let burst = if last { 0 } else { exchange.burst.saturating_sub(1) };
            let block = GeneralBlockTransfer {
                control: BlockControl::new(last, burst > 0, self.config.general_blocks.window),
                number: numbers.sent.wrapping_add(1),
                acknowledged: numbers.received,
                data,
            };
            let mut out = Writer::new(self.out.as_mut());
            block.encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
            let apdu = out.into_written();
            if burst > 0 {
                self.link.send_unconfirmed(apdu, self.now)?;
            } else {
                self.link.send(apdu, self.now)?;
            }
            (numbers.sent, exchange.burst) = (block.number, burst);
            self.deadline = Some(self.now.after_ms(self.config.response_timeout_ms));
        }
        Ok(())
    }

    /// Whether blocks of the request wait for nothing but the link.
    pub(super) fn has_block(&self) -> bool {
        let waits = |exchange: &Exchange| exchange.burst > 0 && exchange.is_sending();
        self.pending.is_some() && self.exchange.as_ref().is_some_and(waits)
    }

    /// Whether further blocks of the answer come by themselves.
    pub(super) fn is_streaming(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.streaming)
    }

    /// Says which blocks of the answer have come.
    pub(super) fn acknowledge_blocks(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.streaming = false;
        let block = GeneralBlockTransfer {
            control: BlockControl::new(true, false, self.config.general_blocks.window),
            number: exchange.numbers.take_empty(),
            acknowledged: exchange.numbers.received,
            data: &[],
        };
        let mut out = Writer::new(self.out.as_mut());
        let sent = match block.encode(&mut out) {
            Ok(()) => self.link.send(out.into_written(), self.now).map_err(UsageError::Link),
            Err(_) => Err(UsageError::RequestTooLong),
        };
        self.deadline = Some(self.now.after_ms(self.config.response_timeout_ms));
        if let Err(error) = sent {
            self.fail(RequestError::Usage(error));
        }
    }

    /// The user has given a block back: goes on to the next one.
    pub(super) fn go_on(&mut self) {
        if self.is_streaming() {
            self.link.expect(self.now);
            self.deadline = Some(self.now.after_ms(self.config.response_timeout_ms));
        } else {
            self.acknowledge_blocks();
        }
    }

    /// Nothing has come in time: repeats what may have been lost. `false` when there is nothing to repeat, or it was
    /// repeated often enough.
    pub(super) fn repeat_blocks(&mut self, now: Instant) -> bool {
        let GeneralBlocks { retries, .. } = self.config.general_blocks;
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.attempts < retries) else {
            return false;
        };
        self.now = now;
        exchange.attempts = exchange.attempts.saturating_add(1);
        self.deadline = Some(now.after_ms(self.config.response_timeout_ms));
        if !exchange.is_sending() {
            self.acknowledge_blocks();
            return true;
        }
        exchange.rewind();
        if let Err(error) = self.send_blocks() {
            self.fail(RequestError::Usage(error));
        }
        true
    }

    /// Takes a block from the link.
    pub(super) fn handle_block(&mut self) {
        let next_pushed = self.pushed.filter(|_| self.exchange.is_none()).map(|joiner| joiner.next());
        let apdu = self.link.apdu();
        let Ok(block) = GeneralBlockTransfer::decode(apdu) else { return };
        let (control, length) = (block.control, block.data.len());
        let place = apdu.len().saturating_sub(length)..apdu.len();
        if self.pending.is_none() || is_pushed(&block, next_pushed) {
            // Nobody waits for it, and there is room for it only while nothing else is joined or cut.
            if self.pending.is_none_or(|pending| pending.sending.is_none())
                && self.exchange.as_ref().is_none_or(|exchange| !exchange.occupies_storage())
            {
                self.join_pushed();
            }
            return;
        }
        let negotiated = matches!(&self.state, State::Associated(session)
            if session.negotiated.conformance.contains(Conformance::GENERAL_BLOCK_TRANSFER));
        let Some(pending) = self.pending.filter(|_| negotiated) else { return };
        let step = self.judge_block(&pending);
        let more = control.is_streaming() && !control.is_last();
        match step {
            Step::Nothing => {}
            Step::Fail(error) => self.fail(error),
            Step::Acknowledge => self.acknowledge_blocks(),
            Step::Send => {
                if let Err(error) = self.send_blocks() {
                    self.fail(RequestError::Usage(error));
                }
            }
            Step::Show { skip, last } => {
                self.deadline = None;
                let raw = place.start.saturating_add(skip)..place.end;
                if last {
                    (self.pending, self.exchange) = (None, None);
                }
                self.ready = Ready::Block { raw, last };
            }
            Step::Whole => {
                self.exchange = None;
                self.handle_answer(Place::Link, place);
            }
            Step::Complete(length) => {
                self.exchange = None;
                self.handle_answer(Place::Long, 0..length);
            }
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.streaming = more;
        }
    }

    /// Moves the exchange on by the block that the link holds.
    fn judge_block(&mut self, pending: &Pending) -> Step {
        let clear = matches!(&self.state, State::Associated(session) if session.takes_clear());
        let Ok(block) = GeneralBlockTransfer::decode(self.link.apdu()) else { return Step::Nothing };
        let last = block.control.is_last();
        let turn = last || !block.control.is_streaming();
        let exchange = self.exchange.get_or_insert(Exchange::new(0..0, 0, 0));
        let (had, sending) = (exchange.numbers.acknowledged, exchange.is_sending());
        let begun = exchange.answer != Answer::Nothing;
        let arrival = exchange.numbers.take(&block, begun);
        // An empty last block ends an answer; before there was any of it, it only acknowledges.
        let answers = !block.data.is_empty() || (last && begun);
        // An empty block alone is none, nor is an acknowledgement of one of ours: both could come for ever.
        let moved = sending && exchange.numbers.acknowledged != had;
        let progress = moved || (arrival == Arrival::Next && answers);
        if progress {
            exchange.attempts = 0;
            self.deadline = Some(self.now.after_ms(self.config.response_timeout_ms));
        }
        match arrival {
            Arrival::Gap if turn && exchange.attempts < self.config.general_blocks.retries => {
                exchange.attempts = exchange.attempts.saturating_add(1);
                return Step::Acknowledge;
            }
            Arrival::Gap => return Step::Nothing,
            Arrival::Repeated if answers => return Step::Nothing,
            _ if !answers => {
                let again = arrival == Arrival::Next && exchange.attempts < self.config.general_blocks.retries;
                let send = turn && (moved || again) && exchange.is_sending();
                if send {
                    exchange.attempts = if moved { 0 } else { exchange.attempts.saturating_add(1) };
                    exchange.rewind();
                }
                return if send { Step::Send } else { Step::Nothing };
            }
            _ => {}
        }
        // The server answers: it has the whole request, and every acknowledgement before.
        exchange.numbers.peer_went_on();
        exchange.burst = 0;
        let (limit, octets) = (self.long.as_ref().len(), block.data);
        let gathered = match exchange.answer {
            Answer::Nothing if last => return Step::Whole,
            Answer::Nothing if !clear => 0,
            Answer::Nothing => match shown(octets, pending) {
                Shown::From(skip) => {
                    exchange.answer = Answer::Shown;
                    return Step::Show { skip, last };
                }
                Shown::Foreign => {
                    self.exchange = None;
                    return Step::Nothing;
                }
                Shown::Never => 0,
            },
            Answer::Shown => return Step::Show { skip: 0, last },
            Answer::Gathered(length) => length,
        };
        let end = gathered.saturating_add(octets.len());
        let Some(room) = self.long.as_mut().get_mut(gathered..end) else {
            return Step::Fail(RequestError::AnswerTooLong { limit });
        };
        room.copy_from_slice(octets);
        self.pushed = None;
        exchange.answer = Answer::Gathered(end);
        match (last, turn) {
            (true, _) => Step::Complete(end),
            (false, true) => Step::Acknowledge,
            (false, false) => Step::Nothing,
        }
    }

    /// Joins a notification's blocks.
    fn join_pushed(&mut self) {
        let Ok(block) = GeneralBlockTransfer::decode(self.link.apdu()) else { return };
        if block.number == 1 && self.pushed.is_none_or(|joiner| joiner.next() != 2) {
            self.pushed = Some(Joiner::new());
        }
        let Some(joiner) = &mut self.pushed else { return };
        match joiner.push(&block, self.long.as_mut()) {
            Joined::More => {}
            Joined::Lost => self.pushed = None,
            Joined::Complete(length) => {
                self.pushed = None;
                self.handle_answer(Place::Long, 0..length);
            }
        }
    }
}

/// Whether a block that comes while an answer is waited for belongs to a notification: such transfers have no window.
fn is_pushed(block: &GeneralBlockTransfer<'_>, next: Option<u16>) -> bool {
    let unsolicited = block.data.first().copied().is_some_and(is_unsolicited);
    let belongs = if block.number == 1 { unsolicited } else { next == Some(block.number) };
    belongs && block.control.window() == 0
}

/// Whether an answer can be shown block by block.
enum Shown {
    /// Yes, from here on.
    From(usize),
    /// It answers a request that was given up.
    Foreign,
    /// No.
    Never,
}

/// What can be shown are the data of one attribute and the results of a list, in clear, as in the blocks of GET.
fn shown(octets: &[u8], pending: &Pending) -> Shown {
    let &[tag::GET_RESPONSE, variant, invoke, choice, ..] = octets else { return Shown::Never };
    if pending.service != Service::Get || !pending.invoke.matches(InvokeIdAndPriority(invoke)) {
        return Shown::Foreign;
    }
    match (variant, choice) {
        (1, 0) => Shown::From(4),
        (3, _) => Shown::From(3),
        _ => Shown::Never,
    }
}
