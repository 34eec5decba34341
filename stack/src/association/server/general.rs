//! General block transfer on the server's side.
//!
//! Requests gather in the association's storage and are answered once they are complete. An answer that is longer than
//! the client takes is kept there and cut; a ciphered one therefore has to fit, as its tag covers all of it. A GET in
//! clear is not kept: its blocks are read from the device as they are due, so that a profile of any length leaves with
//! one PDU buffer in memory.
//!
//! The server has no clock here: it answers a client that asks again, and [`Connection`](super::Connection) ends an
//! exchange that has gone silent.

use core::ops::Range;

use super::answer::{Answer, OTHER_REASON, PDU_TOO_LONG, SERVICE_NOT_ALLOWED, SERVICE_NOT_SUPPORTED};
use super::association::{Association, State, client_limit, refuse, send};
use super::device::Device;
use super::get::{Position, read_on};
use super::guard::Guard;
use super::transfer::{Transfer, Transfers};
use crate::apdu::{BlockControl, Conformance, ExceptionResponse, GeneralBlockTransfer, tag};
use crate::association::Referencing;
use crate::association::blocks::{Arrival, HEADER_MAX, Numbers, fragment};
use crate::axdr::Writer;
use crate::link::Storage;
use crate::security::{Crypto, Random};

/// Blocks that a client may send in one burst. Each is taken from the link before the next one, whose own storage and
/// flow control bound what can wait.
const WINDOW: u8 = 16;

/// An exchange of blocks with the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    numbers: Numbers,
    /// Tells a first block that is sent again from that of another request; 0 where the request came whole.
    first: u32,
    /// Tells the request from others that begin alike.
    whole: u32,
    /// Of a request that comes again: its last block in sequence so far, and what it is up to there.
    again: Option<(u16, u32)>,
    /// Something new has come since the last acknowledgement.
    moved: bool,
    /// Blocks that may still leave in this burst.
    burst: u8,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// So many octets of the request are in the storage.
    Gathering(usize),
    Answering(Answering),
    /// Nothing is to be answered.
    Silent,
}

/// An answer in blocks.
#[derive(Clone, Copy, Debug)]
struct Answering {
    /// Number of the block before the answer's first one.
    base: u16,
    /// The last block that the client was seen to have.
    seen: u16,
    /// Blocks behind it that are acknowledgements, before those of the answer.
    empty: u16,
    source: Source,
}

/// Where an answer's octets come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The storage holds so many.
    Stored(usize),
    /// The device; the storage holds so many octets of the GET request.
    Read { request: usize, acknowledged: Mark, next: Mark },
}

/// Where the block behind block `number` begins; `None` behind the last one.
#[derive(Clone, Copy, Debug)]
struct Mark {
    number: u16,
    at: Option<Position>,
}

impl Exchange {
    const fn new(first: u32) -> Self {
        let numbers = Numbers { sent: 0, acknowledged: 0, received: 0, window: 1 };
        Self { numbers, first, whole: SEED, again: None, moved: false, burst: 0, phase: Phase::Gathering(0) }
    }

    /// Whether a request is so long that its block numbers begin anew.
    const fn goes_round(&self) -> bool {
        matches!(self.phase, Phase::Gathering(1..)) && self.numbers.received == 0
    }

    /// Begins to answer, behind the acknowledgements that were sent.
    fn answer(&mut self, source: Source) {
        let (base, seen) = (self.numbers.sent, self.numbers.acknowledged);
        self.phase = Phase::Answering(Answering { base, seen, empty: base.wrapping_sub(seen), source });
        self.burst = self.numbers.window;
    }

    /// Whether a first block like that of the request, which is complete, begins another one: a client that has had
    /// something of the answer repeats nothing, nor does one that waits in the middle of a request or for no answer.
    const fn is_over(&self, control: BlockControl, acknowledged: u16) -> bool {
        let read = self.numbers.acknowledged != 0 && acknowledged == 0;
        match self.phase {
            Phase::Gathering(_) => false,
            Phase::Answering(_) => read || !(control.is_last() || control.is_streaming()),
            Phase::Silent => read || !control.is_last(),
        }
    }

    /// Compares a request that comes again, block by block, with the one that is answered.
    fn compare(&mut self, number: u16, control: BlockControl, data: &[u8]) -> Again {
        let last = control.is_last();
        let more = control.is_streaming() && !last;
        let sum = match self.again {
            _ if number == 1 => fingerprint(SEED, data),
            Some((before, sum)) if number == before.wrapping_add(1) => fingerprint(sum, data),
            // The client has seen that everything before was received, or repeats only what it sent last.
            None if last || self.numbers.acknowledged != 0 => return Again::Same,
            Some(_) if !more => return Again::Unknown,
            Some((before, _)) if number == before => return Again::Same,
            _ => {
                self.again = Some((0, 0));
                return Again::Same;
            }
        };
        self.again = Some((number, sum)).filter(|_| !last);
        if more || (last && sum == self.whole) { Again::Same } else { Again::Another }
    }
}

/// What a request that comes again is, as far as it has come.
enum Again {
    Same,
    /// It begins like the one that is answered, and its own octets were not kept.
    Another,
    /// A block of it is missing.
    Unknown,
}

impl Answering {
    /// Whether the block behind `sent` is an acknowledgement that the client has not seen: these have numbers too.
    const fn is_empty(&mut self, numbers: &Numbers) -> bool {
        self.empty = self.empty.saturating_sub(numbers.acknowledged.wrapping_sub(self.seen));
        self.seen = numbers.acknowledged;
        numbers.sent.wrapping_sub(self.seen) < self.empty
    }
}

impl<C: Crypto, B: Storage> Association<C, B> {
    /// Whether blocks are to be sent without waiting for the client: call [`next_block`](Self::next_block).
    #[must_use]
    pub const fn has_block(&self) -> bool {
        matches!(&self.exchange, Some(exchange) if exchange.burst > 0)
    }

    /// Whether an exchange of blocks with the client is under way.
    #[must_use]
    pub const fn is_exchanging(&self) -> bool {
        self.exchange.is_some()
    }

    /// Gives up an exchange of blocks, whose client has gone silent.
    pub const fn abandon_exchange(&mut self) {
        self.exchange = None;
    }

    /// Takes a block of the client; returns what is to be sent first.
    pub(super) fn block<D: Device>(
        &mut self,
        apdu: &mut [u8],
        device: &mut D,
        random: &mut dyn Random,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        let State::Associated(session) = &self.state else { return self.refuse(SERVICE_NOT_ALLOWED, device, out) };
        if !session.access.conformance.contains(Conformance::GENERAL_BLOCK_TRANSFER) {
            return self.refuse(SERVICE_NOT_SUPPORTED, device, out);
        }
        let Ok(block) = GeneralBlockTransfer::decode(apdu) else { return self.refuse(OTHER_REASON, device, out) };
        let (control, length) = (block.control, block.data.len());
        let first = fingerprint(SEED, block.data) | 1;
        let starts = self.exchange.as_ref().is_none_or(|exchange| {
            exchange.first != first && !exchange.goes_round() || exchange.is_over(control, block.acknowledged)
        });
        if starts && block.number == 1 && length > 0 {
            self.transfers.transfer = Transfer::None;
            self.exchange = Some(Exchange::new(first));
        }
        // A block of an exchange that is over: whoever waits for it has a clock.
        let exchange = self.exchange.as_mut()?;
        let gathered = match exchange.phase {
            Phase::Gathering(gathered) => Some(gathered),
            _ => None,
        };
        let arrival = exchange.numbers.take(&block, gathered.is_some());
        exchange.burst = 0;
        if gathered.is_none() && length > 0 {
            match exchange.compare(block.number, control, block.data) {
                Again::Same => {}
                Again::Another => return self.refuse(OTHER_REASON, device, out),
                Again::Unknown => return None,
            }
        }
        if let (Some(gathered), Arrival::Next) = (gathered, arrival) {
            exchange.moved = true;
            exchange.whole = fingerprint(exchange.whole, block.data);
            let start = apdu.len().saturating_sub(length);
            let end = gathered.saturating_add(length);
            if gathered == 0 && control.is_last() {
                let request = apdu.get_mut(start..)?;
                return self.answer_block(Request::Received(request), device, random, out);
            }
            let (Some(room), Some(data)) = (self.transfers.long.as_mut().get_mut(gathered..end), apdu.get(start..))
            else {
                return self.refuse(PDU_TOO_LONG, device, out);
            };
            room.copy_from_slice(data);
            exchange.phase = Phase::Gathering(end);
            if control.is_last() {
                return self.answer_block(Request::Gathered(end), device, random, out);
            }
        }
        if control.is_streaming() && !control.is_last() { None } else { self.turn(device, out) }
    }

    /// Ends the exchange with an answer for it as a whole.
    fn refuse<D: Device>(&mut self, exception: ExceptionResponse, device: &D, out: &mut [u8]) -> Option<Range<usize>> {
        self.exchange = None;
        let config = device.association(self.client, self.server);
        let referencing = config.map_or(Referencing::LogicalName, |config| config.referencing);
        refuse(&[], referencing, exception, out)
    }

    /// Answers a complete request that came in blocks.
    fn answer_block<D: Device>(
        &mut self,
        request: Request<'_>,
        device: &mut D,
        random: &mut dyn Random,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        let storage = self.transfers.long.as_mut();
        let room = Room::blocks(storage.len());
        let (apdu, long, gathered) = match request {
            Request::Received(apdu) => (apdu, storage, 0),
            Request::Gathered(length) => {
                let (apdu, rest) = storage.split_at_mut_checked(length)?;
                (apdu, rest, length)
            }
        };
        // The same association, with what is left of its storage.
        let mut inner = Association {
            client: self.client,
            server: self.server,
            state: core::mem::replace(&mut self.state, State::Idle),
            transfers: Transfers { transfer: Transfer::None, long, response: self.transfers.response },
            exchange: None,
            confirmation: None,
            guard: core::mem::replace(&mut self.guard, Guard::NEW),
            source: self.source,
            now: self.now,
        };
        let placed = inner.answer(room, apdu, device, random, out);
        (self.state, self.guard, self.confirmation) = (inner.state, inner.guard, inner.confirmation);
        (self.transfers.transfer, self.transfers.response) = (inner.transfers.transfer, inner.transfers.response);
        if !matches!(self.transfers.transfer, Transfer::None) {
            // What is kept for later was put behind the request.
            self.transfers.long.as_mut().copy_within(gathered.., 0);
        }
        self.place(placed, true, device, out)
    }

    /// Sends an answer as it is if the client takes it like that, else its first block. `placed` is where `out` has it.
    pub(super) fn place<D: Device>(
        &mut self,
        placed: Option<Range<usize>>,
        in_blocks: bool,
        device: &mut D,
        out: &mut [u8],
    ) -> Option<Range<usize>> {
        let State::Associated(session) = &self.state else { return placed };
        if !D::OFFER.has(Conformance::GENERAL_BLOCK_TRANSFER) {
            return placed;
        }
        let limit = client_limit(session.access.client_max_pdu);
        let source = match (&placed, self.transfers.transfer) {
            (_, Transfer::General { request }) => {
                self.transfers.transfer = Transfer::None;
                let at = Some(Position::default());
                let mark = Mark { number: 0, at };
                Some(Source::Read { request, acknowledged: mark, next: mark })
            }
            (Some(place), _) if in_blocks || place.len() > limit => {
                let apdu = out.get(place.clone())?;
                // An exception is for the APDU as a whole, and no answer that could be asked for again.
                if matches!(apdu.first(), Some(&tag::EXCEPTION_RESPONSE | &tag::CONFIRMED_SERVICE_ERROR)) {
                    self.exchange = None;
                    return placed;
                }
                // A block transfer of the service's own goes on with what the storage holds.
                let free = matches!(self.transfers.transfer, Transfer::None);
                let Some(room) = self.transfers.long.as_mut().get_mut(..place.len()).filter(|_| free) else {
                    self.exchange = None;
                    return if place.len() > limit { self.refuse(PDU_TOO_LONG, device, out) } else { placed };
                };
                room.copy_from_slice(apdu);
                Some(Source::Stored(place.len()))
            }
            _ => None,
        };
        let Some(mut source) = source else {
            // The client knows that nothing comes, and so it is when it asks again.
            if let Some(exchange) = &mut self.exchange {
                exchange.phase = Phase::Silent;
            }
            return placed;
        };
        let exchange = self.exchange.get_or_insert(Exchange::new(0));
        if let Source::Read { acknowledged, next, .. } = &mut source {
            (acknowledged.number, next.number) = (exchange.numbers.sent, exchange.numbers.sent);
        }
        exchange.answer(source);
        self.next_block(device, out)
    }

    /// The client has handed over: acknowledges what came of the request, or goes on behind what the client has.
    fn turn<D: Device>(&mut self, device: &mut D, out: &mut [u8]) -> Option<Range<usize>> {
        let exchange = self.exchange.as_mut()?;
        match exchange.phase {
            Phase::Silent => None,
            Phase::Gathering(_) => {
                // A client that has gone on has seen the acknowledgement before; not all of them say so.
                if core::mem::take(&mut exchange.moved) || exchange.numbers.sent == 0 {
                    exchange.numbers.sent = exchange.numbers.sent.wrapping_add(1);
                }
                let number = exchange.numbers.sent;
                let acknowledged = exchange.numbers.received;
                let control = BlockControl::new(false, false, WINDOW);
                let block = GeneralBlockTransfer { control, number, acknowledged, data: &[] };
                let mut answer = Answer::new(out, usize::MAX, 0);
                answer.encode(|out| block.encode(out));
                send(answer.plain())
            }
            Phase::Answering(_) => {
                exchange.numbers.sent = exchange.numbers.acknowledged;
                exchange.burst = exchange.numbers.window;
                self.next_block(device, out)
            }
        }
    }

    /// The next block of the answer that is under way, as long as the client takes more in this burst.
    ///
    /// `out` as for [`handle`](Self::handle); the result is its place there.
    pub fn next_block<D: Device>(&mut self, device: &mut D, out: &mut [u8]) -> Option<Range<usize>> {
        let State::Associated(session) = &self.state else { return None };
        let access = session.access;
        let exchange = self.exchange.as_mut().filter(|exchange| exchange.burst > 0)?;
        let Phase::Answering(answering) = &mut exchange.phase else { return None };
        let numbers = &mut exchange.numbers;
        let mut answer = Answer::new(out, client_limit(access.client_max_pdu), 0);
        let room = fragment(answer.limit());
        let header_max = answer.limit().saturating_sub(room);
        let empty = answering.is_empty(numbers);
        let filled = match &mut answering.source {
            _ if empty => Some(Ok((0, false))),
            Source::Stored(length) => {
                let start = usize::from(numbers.sent.wrapping_sub(answering.base)).saturating_mul(room);
                let end = start.saturating_add(room).min(*length);
                let octets = self.transfers.long.as_ref().get(start..end).filter(|octets| !octets.is_empty());
                octets.map(|octets| {
                    if let Some(body) = answer.body(header_max, room).get_mut(..octets.len()) {
                        body.copy_from_slice(octets);
                    }
                    Ok((octets.len(), end == *length))
                })
            }
            Source::Read { request, acknowledged, next } => {
                let stored = self.transfers.long.as_ref().get(..*request).unwrap_or_default();
                let mut step =
                    |mark: Mark| {
                        let at = mark.at?;
                        Some(read_on(stored, at, &access, device, answer.body(header_max, room)).map(|filled| {
                            (filled.length, Mark { number: mark.number.wrapping_add(1), at: filled.next })
                        }))
                    };
                // Back to behind the last block that the client has: read again up to there, and drop it.
                if numbers.acknowledged == next.number {
                    *acknowledged = *next;
                }
                let mut result = None;
                if numbers.sent != next.number {
                    *next = *acknowledged;
                    while numbers.sent != next.number && result.is_none() {
                        match step(*next) {
                            Some(Ok((_, mark))) => *next = mark,
                            Some(Err(error)) => result = Some(Err(error)),
                            None => break,
                        }
                    }
                    if numbers.acknowledged == next.number {
                        *acknowledged = *next;
                    }
                }
                result.or_else(|| {
                    step(*next).map(|filled| {
                        filled.map(|(length, mark)| {
                            *next = mark;
                            (length, mark.at.is_none())
                        })
                    })
                })
            }
        };
        let (length, last) = match filled {
            Some(Ok(filled)) => filled,
            // All of it was sent and is there.
            None => {
                exchange.burst = 0;
                return None;
            }
            Some(Err(_)) => return self.refuse(OTHER_REASON, device, out),
        };
        numbers.sent = numbers.sent.wrapping_add(1);
        exchange.burst = if last { 0 } else { exchange.burst.saturating_sub(1) };
        let mut header = [0; HEADER_MAX];
        let mut head = Writer::new(&mut header);
        head.bytes(&[tag::GENERAL_BLOCK_TRANSFER, BlockControl::new(last, exchange.burst > 0, WINDOW).0])
            .and_then(|()| head.u16(numbers.sent))
            .and_then(|()| head.u16(numbers.received))
            .and_then(|()| head.length(length))
            .ok()?;
        answer.finish(head.written(), header_max, length);
        send(answer.plain())
    }
}

/// A complete request.
enum Request<'a> {
    /// As it came, in one block.
    Received(&'a mut [u8]),
    /// So many octets of the storage.
    Gathered(usize),
}

/// How much a plain answer may have beside what the client takes in one APDU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Octets that can be kept and sent in blocks.
    storage: usize,
    /// Whether the answer has to be kept, because its request came in blocks.
    kept: bool,
}

impl Room {
    /// For a request in one APDU, where `storage` octets can be kept for its answer.
    pub(super) const fn whole(storage: usize) -> Self {
        Self { storage, kept: false }
    }

    const fn blocks(storage: usize) -> Self {
        Self { storage, kept: true }
    }

    pub(super) const fn is_kept(self) -> bool {
        self.kept
    }

    /// Most octets of an answer to a client that takes `limit` in one APDU.
    pub(super) const fn of(self, limit: usize) -> usize {
        if self.kept || self.storage > limit { self.storage } else { limit }
    }
}

/// What [`fingerprint`] begins with.
const SEED: u32 = 0x811C_9DC5;

/// Tells one octet string from another (FNV-1a), going on behind those that gave `sum`.
fn fingerprint(sum: u32, octets: &[u8]) -> u32 {
    octets.iter().fold(sum, |sum, octet| (sum ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
}
