//! GET on the server's side: normal, with list, and long answers by blocks.

use super::answer::{Answer, SERVICE_NOT_SUPPORTED};
use super::device::{Access, Cursor, Device, Progress};
use super::refused;
use super::short_name::attribute_at;
use super::transfer::{Transfer, Transfers};
use crate::apdu::{
    AttributeRequest, Conformance, DataAccessResult, GetRequest, InvokeIdAndPriority, List, VariableAccess,
};
use crate::axdr::Writer;
use crate::link::Storage;
use crate::security::Protection;

/// Octets in front of the data of `get-response-normal`: tag, variant, invoke-id-and-priority, choice.
const NORMAL_HEADER: usize = 4;
/// Most octets in front of the raw data of `get-response-with-datablock`.
const BLOCK_HEADER_MAX: usize = 14;

/// Where the raw data of a long answer stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// In general block transfer: whether the APDU's own header is written already.
    headed: bool,
    /// With a list: whether the count is written already.
    counted: bool,
    /// With a list: the item.
    item: usize,
    /// The part of the item's value.
    cursor: Cursor,
    /// Octets of that part that earlier blocks carried.
    skip: usize,
    /// With a list: the error that stands for the item, once a part of it may have left.
    failed: Option<DataAccessResult>,
}

/// A GET that is being answered by blocks; its request is kept in the association's storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongGet {
    /// Octets of the request in the storage.
    request: usize,
    /// Number of the block that was sent last.
    number: u32,
    /// Where that block began, to send it again.
    at: Position,
    /// Where the next one begins; `None` after the last.
    next: Option<Position>,
    /// How the GET was protected; nobody else gets its answer.
    protection: Protection,
}

/// What is read: one attribute, or a list of them.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    One(AttributeRequest<'a>),
    List(List<'a, AttributeRequest<'a>>),
    /// A list of short names.
    Names(List<'a, VariableAccess<'a>>),
}

impl<'a> Wanted<'a> {
    /// What stands in front of the data in the response, and how many octets that are.
    const fn header(self, invoke: InvokeIdAndPriority) -> ([u8; NORMAL_HEADER], usize) {
        match self {
            Self::One(_) => ([0xC4, 1, invoke.0, 0], NORMAL_HEADER),
            Self::List(_) | Self::Names(_) => ([0xC4, 3, invoke.0, 0], NORMAL_HEADER.saturating_sub(1)),
        }
    }

    fn of(request: &GetRequest<'a>) -> Option<Self> {
        match *request {
            GetRequest::Normal { request, .. } => Some(Self::One(request)),
            GetRequest::WithList { requests, .. } => Some(Self::List(requests)),
            GetRequest::Next { .. } => None,
        }
    }
}

impl<B: Storage> Transfers<B> {
    /// Answers a GET; `plain` is the request's own octets, kept if the answer needs blocks.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn get<D: Device>(
        &mut self,
        request: &GetRequest<'_>,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        match *request {
            GetRequest::Next { invoke, number } => self.get_next(invoke, number, access, device, answer),
            GetRequest::WithList { .. } if !access.has::<D>(Conformance::MULTIPLE_REFERENCES) => {
                answer.exception(SERVICE_NOT_SUPPORTED);
            }
            GetRequest::Normal { invoke, .. } | GetRequest::WithList { invoke, .. } => {
                self.transfer = Transfer::None;
                let Some(wanted) = Wanted::of(request) else { return };
                self.get_first(wanted, invoke, plain, access, device, answer);
            }
        }
    }

    fn get_first<D: Device>(
        &mut self,
        wanted: Wanted<'_>,
        invoke: InvokeIdAndPriority,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let (header, length) = wanted.header(invoke);
        let limit = answer.limit().saturating_sub(length);
        let filled = fill(device, access, wanted, Position::default(), answer.body(length, limit));
        match filled {
            Err(result) => answer.write(&[0xC4, 1, invoke.0, 1, result.code()]),
            Ok(Filled { length: body, next: None }) => {
                answer.finish(header.get(..length).unwrap_or_default(), length, body);
            }
            Ok(_) => {
                // A ciphered answer would have to be held whole for the general transfer: it goes out in blocks of the
                // service's own, each ciphered alone.
                let general = answer.can_be_read_on();
                let own = access.has::<D>(Conformance::BLOCK_TRANSFER_WITH_GET);
                let room = self.long.as_mut().get_mut(..plain.len()).filter(|_| general || own);
                let Some(room) = room else {
                    answer.write(&[0xC4, 1, invoke.0, 1, DataAccessResult::OtherReason.code()]);
                    return;
                };
                room.copy_from_slice(plain);
                let request = plain.len();
                if general {
                    self.transfer = Transfer::General { request };
                    return;
                }
                let (at, protection) = (Position::default(), access.request);
                let start = LongGet { request, number: 0, at, next: Some(at), protection };
                self.get_block(start, invoke, access, device, answer);
            }
        }
    }

    fn get_next<D: Device>(
        &mut self,
        invoke: InvokeIdAndPriority,
        number: u32,
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let Transfer::Get(long) = self.transfer else {
            refuse_block(answer, invoke, number, DataAccessResult::NoLongGetInProgress);
            return;
        };
        if long.protection != access.request {
            self.transfer = Transfer::None;
            refuse_block(answer, invoke, number, DataAccessResult::LongGetAborted);
        } else if number == long.number && long.next.is_some() {
            self.get_block(long, invoke, access, device, answer);
        } else if number == long.number.wrapping_sub(1) {
            // The block was lost on the way: the same one again, from where it began.
            let again = LongGet { number, next: Some(long.at), ..long };
            self.get_block(again, invoke, access, device, answer);
        } else {
            self.transfer = Transfer::None;
            refuse_block(answer, invoke, number, DataAccessResult::DataBlockNumberInvalid);
        }
    }

    /// Sends the block that begins at `long.next`.
    fn get_block<D: Device>(
        &mut self,
        long: LongGet,
        invoke: InvokeIdAndPriority,
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let number = long.number.saturating_add(1);
        let stored = self.long.as_ref().get(..long.request).unwrap_or_default();
        let wanted = GetRequest::decode(stored).ok().and_then(|request| Wanted::of(&request));
        let (Some(wanted), Some(at)) = (wanted, long.next) else {
            self.transfer = Transfer::None;
            refuse_block(answer, invoke, number, DataAccessResult::LongGetAborted);
            return;
        };
        let limit = answer.block_limit().saturating_sub(BLOCK_HEADER_MAX);
        if limit == 0 {
            // Blocks without data would have no end.
            self.transfer = Transfer::None;
            refuse_block(answer, invoke, number, DataAccessResult::LongGetAborted);
            return;
        }
        match fill(device, access, wanted, at, answer.body(BLOCK_HEADER_MAX, limit)) {
            Err(result) => {
                self.transfer = Transfer::None;
                refuse_block(answer, invoke, number, result);
            }
            Ok(Filled { length, next }) => {
                let mut header = [0; BLOCK_HEADER_MAX];
                let mut out = Writer::new(&mut header);
                let written = write_block_header(&mut out, invoke, next.is_none(), number)
                    .and_then(|()| out.u8(0))
                    .and_then(|()| out.length(length));
                if written.is_err() {
                    return;
                }
                answer.finish(out.written(), BLOCK_HEADER_MAX, length);
                self.transfer = Transfer::Get(LongGet { number, at, next, ..long });
            }
        }
    }
}

fn write_block_header(
    out: &mut Writer<'_>,
    invoke: InvokeIdAndPriority,
    last: bool,
    number: u32,
) -> Result<(), crate::axdr::BufferFull> {
    out.bytes(&[0xC4, 2, invoke.0, u8::from(last)])?;
    out.u32(number)
}

/// Ends a long GET with an error in a last block.
fn refuse_block(answer: &mut Answer<'_>, invoke: InvokeIdAndPriority, number: u32, result: DataAccessResult) {
    let mut block = [0; 10];
    let mut out = Writer::new(&mut block);
    let written = write_block_header(&mut out, invoke, true, number)
        .and_then(|()| out.u8(1))
        .and_then(|()| out.u8(result.code()));
    if written.is_ok() {
        answer.write(out.written());
    }
}

/// What came of filling a block.
pub(super) struct Filled {
    /// Octets written.
    pub(super) length: usize,
    /// Where the next block begins; `None` behind the last.
    pub(super) next: Option<Position>,
}

/// Fills `room` with the response APDU to the GET request `stored`, from `at` on.
pub(super) fn read_on<D: Device>(
    stored: &[u8],
    mut at: Position,
    access: &Access,
    device: &mut D,
    room: &mut [u8],
) -> Result<Filled, DataAccessResult> {
    let request = GetRequest::decode(stored).map_err(|_| DataAccessResult::LongGetAborted)?;
    let wanted = Wanted::of(&request).ok_or(DataAccessResult::LongGetAborted)?;
    if at.headed {
        return fill(device, access, wanted, at, room);
    }
    let (header, length) = wanted.header(request.invoke());
    let too_narrow = DataAccessResult::OtherReason;
    let (head, body) = room.split_at_mut_checked(length).ok_or(too_narrow)?;
    head.copy_from_slice(header.get(..length).ok_or(too_narrow)?);
    at.headed = true;
    let filled = fill(device, access, wanted, at, body)?;
    Ok(Filled { length: filled.length.saturating_add(length), ..filled })
}

/// Fills `room` with the value from `at` on, whole parts and pieces of them.
pub(super) fn fill<D: Device>(
    device: &mut D,
    access: &Access,
    wanted: Wanted<'_>,
    mut at: Position,
    room: &mut [u8],
) -> Result<Filled, DataAccessResult> {
    let mut length: usize = 0;
    loop {
        let free = room.get_mut(length..).unwrap_or_default();
        let mut out = Writer::window(free, at.skip);
        let next = write_piece(device, access, wanted, &mut at, &mut out)?;
        length = length.saturating_add(out.len());
        if out.overflow() > 0 {
            at.skip = at.skip.saturating_add(out.len());
            return Ok(Filled { length, next: Some(at) });
        }
        match next {
            Some(next) => at = next,
            None => return Ok(Filled { length, next: None }),
        }
    }
}

/// Writes one part (with a list: the count, or a choice and a part) and says where the next one begins.
fn write_piece<D: Device>(
    device: &mut D,
    access: &Access,
    wanted: Wanted<'_>,
    at: &mut Position,
    out: &mut Writer<'_>,
) -> Result<Option<Position>, DataAccessResult> {
    let next_part = |at: &Position| {
        let cursor = Cursor { part: at.cursor.part.saturating_add(1), ..at.cursor };
        Some(Position { cursor, skip: 0, ..*at })
    };
    let count = match wanted {
        Wanted::One(request) => {
            return match refused::read(device, access, request.attribute, request.selection, &mut at.cursor, out)? {
                Progress::Done => Ok(None),
                Progress::More => Ok(next_part(at)),
            };
        }
        Wanted::List(list) if D::OFFER.has(Conformance::MULTIPLE_REFERENCES) => list.len(),
        Wanted::Names(list) if D::OFFER.has_short_names() => list.len(),
        _ => return Err(DataAccessResult::OtherReason),
    };
    let full = |_| DataAccessResult::OtherReason;
    if !at.counted {
        out.length(count).map_err(full)?;
        return Ok((count > 0).then_some(Position { headed: at.headed, counted: true, ..Position::default() }));
    }
    let request = match wanted {
        Wanted::One(_) => None,
        Wanted::List(list) if D::OFFER.has(Conformance::MULTIPLE_REFERENCES) => list.get(at.item).map(Ok),
        Wanted::Names(list) if D::OFFER.has_short_names() => attribute_at(&list, at.item, access, device),
        _ => None,
    };
    let Some(request) = request else { return Ok(None) };
    let item = at.item.saturating_add(1);
    let next = Position { headed: at.headed, counted: true, item, ..Position::default() };
    let next_item = (item < count).then_some(next);
    if let Some(result) = at.failed {
        out.bytes(&[1, result.code()]).map_err(full)?;
        return Ok(next_item);
    }
    if at.cursor.part == 0 {
        out.u8(0).map_err(full)?;
    }
    let read = request
        .and_then(|request| refused::read(device, access, request.attribute, request.selection, &mut at.cursor, out));
    match read {
        Ok(Progress::Done) => Ok(next_item),
        Ok(Progress::More) => Ok(next_part(at)),
        // Nothing of this item has left yet: it becomes an error among the results.
        Err(result) if at.cursor.part == 0 && at.skip == 0 => {
            out.restart();
            at.failed = Some(result);
            out.bytes(&[1, result.code()]).map_err(full)?;
            Ok(next_item)
        }
        Err(result) => Err(result),
    }
}
