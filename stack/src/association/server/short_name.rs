//! Read, Write and UnconfirmedWrite on the server's side: names, parts of attributes, methods, and blocks both ways.

use super::answer::{Answer, OTHER_REASON, SERVICE_NOT_SUPPORTED};
use super::device::{Access, Device};
use super::get::{Filled, Position, Wanted, fill};
use super::long_request::{BlockRefused, LongRequest};
use super::refused;
use super::transfer::{Transfer, Transfers};
use crate::apdu::{
    AttributeRequest, Conformance, DataAccessResult, List, MemberDescriptor, MethodDescriptor, ReadRequest,
    ReadResponse, ReadResult, Selection, UnconfirmedWriteRequest, VariableAccess, WriteRequest, WriteResult,
};
use crate::axdr::{BufferFull, Data, Writer};
use crate::id::ShortName;
use crate::link::Storage;
use crate::security::Protection;

/// Octets in front of the data of a ReadResponse with one value: tag, count, choice.
const ONE_HEADER: usize = 3;
/// Octets in front of the list of a ReadResponse: the tag.
const LIST_HEADER: usize = 1;
/// Most octets in front of the raw data of a block: tag, count, choice, last-block, block-number, length.
const BLOCK_HEADER_MAX: usize = 3 + 1 + 2 + 5;
/// Tags of the requests, in front of which blocks are joined.
const READ: [u8; 1] = [0x05];
const WRITE: [u8; 1] = [0x06];

/// A Read that is answered by blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongRead {
    source: Source,
    /// Number of the block that was sent last.
    number: u16,
    /// How the Read was protected; nobody else gets its answer.
    request: Protection,
}

/// Where the octets of the blocks come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// Attributes, read anew for each block. The storage keeps the request, of so many octets.
    Attributes {
        request: usize,
        /// Where the last block began, to send it again.
        at: Position,
        /// Where the next one begins; `None` after the last.
        next: Option<Position>,
    },
    /// What methods returned, which were invoked once: so many octets in the storage.
    Kept { length: usize, at: usize, next: usize },
}

/// What a name stands for in a Read.
enum Target<'a> {
    Attribute(AttributeRequest<'a>),
    Method(MethodDescriptor, Option<Data<'a>>),
}

impl<B: Storage> Transfers<B> {
    /// Answers a request with short names in clear.
    pub(super) fn dispatch_named<D: Device>(
        &mut self,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let services = access.conformance;
        let decoded = match plain.first() {
            Some(0x05) if services.contains(Conformance::READ) => ReadRequest::decode(plain)
                .map(|request| self.read_request(request.variables, plain, access, device, answer)),
            Some(0x06) if services.contains(Conformance::WRITE) => WriteRequest::decode(plain)
                .map(|request| self.write_request(request.variables, request.values, access, device, answer)),
            Some(0x16) => {
                // There is no answer, whatever came of it.
                if let (Ok(request), true) =
                    (UnconfirmedWriteRequest::decode(plain), services.contains(Conformance::UNCONFIRMED_WRITE))
                    && admitted(&request.variables, access)
                {
                    self.transfer = Transfer::None;
                    let mut results = [0; 2];
                    for (variable, value) in request.variables.iter().zip(request.values.iter()) {
                        let _ = write_one(device, access, variable, value, &mut results);
                    }
                }
                answer.clear();
                return;
            }
            _ => return answer.refuse(access.referencing, plain.first().copied(), SERVICE_NOT_SUPPORTED),
        };
        if decoded.is_err() {
            answer.refuse(access.referencing, plain.first().copied(), OTHER_REASON);
        }
    }

    fn read_request<D: Device>(
        &mut self,
        variables: List<'_, VariableAccess<'_>>,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let blocks = access.conformance.contains(Conformance::BLOCK_TRANSFER_WITH_GET);
        match (variables.get(0), variables.len()) {
            (Some(VariableAccess::BlockNumber(number)), 1) if blocks => {
                return self.read_next(number, access, device, answer);
            }
            (Some(VariableAccess::ReadBlock { last, number, raw }), 1) if blocks => {
                return self.read_block_received(last, number, raw, access, device, answer);
            }
            _ => {}
        }
        self.transfer = Transfer::None;
        if !admitted(&variables, access) {
            return answer.refuse(access.referencing, plain.first().copied(), SERVICE_NOT_SUPPORTED);
        }
        match read_first(&variables, self.kept(access), access, device, answer) {
            First::Done => {}
            First::Blocks => match self.long.as_mut().get_mut(..plain.len()) {
                Some(room) => {
                    room.copy_from_slice(plain);
                    self.start_blocks(plain.len(), access, device, answer);
                }
                None => refuse_read(answer, DataAccessResult::OtherReason),
            },
            First::Kept { start, length } => self.keep_results(start, length, access, device, answer),
        }
    }

    /// A part of a long ReadRequest.
    fn read_block_received<D: Device>(
        &mut self,
        last: bool,
        number: u16,
        raw: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let long =
            match self.receive_block(READ, number, raw, matches!(self.transfer, Transfer::ReadRequest(_)), access) {
                Ok(long) => long,
                Err(result) => return refuse_read(answer, result),
            };
        if !last {
            self.transfer = Transfer::ReadRequest(long);
            let acknowledged = [ReadResult::BlockNumber(number)];
            answer.encode(|out| ReadResponse { results: List::from(&acknowledged) }.encode(out));
            return;
        }
        let whole = long.whole(&self.long);
        let length = whole.len();
        let first = match ReadRequest::decode(whole) {
            Ok(request) if admitted(&request.variables, access) => {
                read_first(&request.variables, self.kept(access), access, device, answer)
            }
            Ok(_) => return answer.refuse(access.referencing, READ.first().copied(), SERVICE_NOT_SUPPORTED),
            Err(_) => return answer.refuse(access.referencing, READ.first().copied(), OTHER_REASON),
        };
        match first {
            First::Done => {}
            First::Blocks => self.start_blocks(length, access, device, answer),
            First::Kept { start, length } => self.keep_results(start, length, access, device, answer),
        }
    }

    /// Joins a part of a long request with those before it.
    fn receive_block(
        &mut self,
        tag: [u8; 1],
        number: u16,
        raw: &[u8],
        continues: bool,
        access: &Access,
    ) -> Result<LongRequest, DataAccessResult> {
        let transfer = core::mem::replace(&mut self.transfer, Transfer::None);
        let kept = match transfer {
            Transfer::ReadRequest(mut long) | Transfer::WriteRequest(mut long) if continues && number > 1 => {
                long.append(&mut self.long, u32::from(number), raw, access.request).map(|()| long)
            }
            _ => LongRequest::start(&mut self.long, &tag, u32::from(number), raw, access.request),
        };
        kept.map_err(|refused| match refused {
            BlockRefused::WrongNumber => DataAccessResult::DataBlockNumberInvalid,
            BlockRefused::TooLong | BlockRefused::Foreign => DataAccessResult::LongSetAborted,
        })
    }

    /// Octets of results that can be kept to be sent in blocks.
    fn kept(&self, access: &Access) -> usize {
        let blocks = access.conformance.contains(Conformance::BLOCK_TRANSFER_WITH_GET);
        if blocks { self.long.as_ref().len() } else { 0 }
    }

    /// Answers by blocks the request of `request` octets that is in the storage.
    fn start_blocks<D: Device>(&mut self, request: usize, access: &Access, device: &mut D, answer: &mut Answer<'_>) {
        if access.conformance.contains(Conformance::BLOCK_TRANSFER_WITH_GET) {
            let source = Source::Attributes { request, at: Position::default(), next: Some(Position::default()) };
            self.read_block(LongRead { source, number: 0, request: access.request }, access, device, answer);
        } else {
            refuse_read(answer, DataAccessResult::OtherReason);
        }
    }

    /// Keeps what methods returned, to be sent in blocks.
    fn keep_results<D: Device>(
        &mut self,
        start: usize,
        length: usize,
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let blocks = access.conformance.contains(Conformance::BLOCK_TRANSFER_WITH_GET);
        match blocks.then(|| self.long.as_mut().get_mut(..length)).flatten() {
            Some(room) => {
                room.copy_from_slice(answer.body(start, length));
                let source = Source::Kept { length, at: 0, next: 0 };
                self.read_block(LongRead { source, number: 0, request: access.request }, access, device, answer);
            }
            None => refuse_read(answer, DataAccessResult::OtherReason),
        }
    }

    fn read_next<D: Device>(&mut self, number: u16, access: &Access, device: &mut D, answer: &mut Answer<'_>) {
        let Transfer::Read(long) = self.transfer else {
            return refuse_read(answer, DataAccessResult::NoLongGetInProgress);
        };
        if long.request != access.request {
            self.transfer = Transfer::None;
            refuse_read(answer, DataAccessResult::LongGetAborted);
        } else if number == long.number && long.source.has_next() {
            self.read_block(long, access, device, answer);
        } else if number == long.number.wrapping_sub(1) {
            // The block was lost on the way: the same one again, from where it began.
            self.read_block(LongRead { number, source: long.source.again(), ..long }, access, device, answer);
        } else {
            self.transfer = Transfer::None;
            refuse_read(answer, DataAccessResult::DataBlockNumberInvalid);
        }
    }

    /// Sends the next block. The joined raw data are the `Data` of one variable, as two other implementations read and
    /// write it, and count and results of several.
    fn read_block<D: Device>(&mut self, long: LongRead, access: &Access, device: &mut D, answer: &mut Answer<'_>) {
        self.transfer = Transfer::None;
        let Some(number) = long.number.checked_add(1) else {
            return refuse_read(answer, DataAccessResult::LongGetAborted);
        };
        let limit = answer.block_limit().saturating_sub(BLOCK_HEADER_MAX);
        if limit == 0 {
            // Blocks without data would have no end.
            return refuse_read(answer, DataAccessResult::LongGetAborted);
        }
        let (length, source) = match long.source {
            Source::Attributes { request, next, .. } => {
                let stored = self.long.as_ref().get(..request).unwrap_or_default();
                let wanted = ReadRequest::decode(stored).ok().map(|request| request.variables);
                let (Some(variables), Some(at)) = (wanted, next) else {
                    return refuse_read(answer, DataAccessResult::LongGetAborted);
                };
                let wanted = match wanted_of(&variables, access, device) {
                    Ok(wanted) => wanted,
                    Err(result) => return refuse_read(answer, result),
                };
                match fill(device, access, wanted, at, answer.body(BLOCK_HEADER_MAX, limit)) {
                    Ok(Filled { length, next }) => (length, Source::Attributes { request, at, next }),
                    Err(result) => return refuse_read(answer, result),
                }
            }
            Source::Kept { length, next, .. } => {
                let end = next.saturating_add(limit).min(length);
                let raw = self.long.as_ref().get(next..end).unwrap_or_default();
                let room = answer.body(BLOCK_HEADER_MAX, raw.len());
                room.copy_from_slice(raw);
                (raw.len(), Source::Kept { length, at: next, next: end })
            }
        };
        let mut header = [0; BLOCK_HEADER_MAX];
        let mut out = Writer::new(&mut header);
        let written = out
            .bytes(&[0x0C, 1, 2, u8::from(!source.has_next())])
            .and_then(|()| out.u16(number))
            .and_then(|()| out.length(length));
        if written.is_ok() {
            answer.finish(out.written(), BLOCK_HEADER_MAX, length);
            self.transfer = Transfer::Read(LongRead { source, number, ..long });
        }
    }

    fn write_request<D: Device>(
        &mut self,
        variables: List<'_, VariableAccess<'_>>,
        values: List<'_, Data<'_>>,
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let blocks = access.conformance.contains(Conformance::BLOCK_TRANSFER_WITH_SET);
        if let (Some(VariableAccess::WriteBlock { last, number }), 1, true) =
            (variables.get(0), variables.len(), blocks)
        {
            return match values.get(0) {
                Some(Data::OctetString(raw)) if values.len() == 1 => {
                    self.write_block_received(last, number, raw, access, device, answer);
                }
                _ => {
                    self.transfer = Transfer::None;
                    refuse_write(answer, DataAccessResult::TypeUnmatched);
                }
            };
        }
        self.transfer = Transfer::None;
        if admitted(&variables, access) {
            write_all(&variables, values.iter(), access, device, answer);
        } else {
            answer.refuse(access.referencing, WRITE.first().copied(), SERVICE_NOT_SUPPORTED);
        }
    }

    /// A part of a long WriteRequest.
    fn write_block_received<D: Device>(
        &mut self,
        last: bool,
        number: u16,
        raw: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let long =
            match self.receive_block(WRITE, number, raw, matches!(self.transfer, Transfer::WriteRequest(_)), access) {
                Ok(long) => long,
                Err(result) => return refuse_write(answer, result),
            };
        if !last {
            self.transfer = Transfer::WriteRequest(long);
            return write_result(answer, WriteResult::BlockNumber(number));
        }
        match WriteRequest::decode(long.whole(&self.long)) {
            Ok(request) if admitted(&request.variables, access) => {
                write_all(&request.variables, request.values.iter(), access, device, answer);
            }
            Ok(_) => answer.refuse(access.referencing, WRITE.first().copied(), SERVICE_NOT_SUPPORTED),
            Err(_) => answer.refuse(access.referencing, WRITE.first().copied(), OTHER_REASON),
        }
    }
}

impl Source {
    const fn has_next(&self) -> bool {
        match self {
            Self::Attributes { next, .. } => next.is_some(),
            Self::Kept { length, next, .. } => *next < *length,
        }
    }

    /// The block that was sent last, once more.
    const fn again(self) -> Self {
        match self {
            Self::Attributes { request, at, .. } => Self::Attributes { request, at, next: Some(at) },
            Self::Kept { length, at, .. } => Self::Kept { length, at, next: at },
        }
    }
}

/// How far the first answer to a Read came.
enum First {
    /// It is written.
    Done,
    /// It is too long, and can be read once more.
    Blocks,
    /// It is too long and cannot be had again: so many octets behind a header of `start` octets.
    Kept { start: usize, length: usize },
}

/// Whether the association allows what a request needs: several variables, selectors and parameters.
fn admitted(variables: &List<'_, VariableAccess<'_>>, access: &Access) -> bool {
    let parameterized = variables.iter().any(|variable| matches!(variable, VariableAccess::Parameterized { .. }));
    let services = access.conformance;
    !variables.is_empty()
        && (variables.len() == 1 || services.contains(Conformance::MULTIPLE_REFERENCES))
        && (!parameterized || services.contains(Conformance::PARAMETERIZED_ACCESS))
}

/// What a variable stands for.
fn target<'a, D: Device>(
    variable: VariableAccess<'a>,
    access: &Access,
    device: &mut D,
) -> Result<Target<'a>, DataAccessResult> {
    let (name, parameter) = match variable {
        VariableAccess::Name(name) => (name, None),
        VariableAccess::Parameterized { name, selector, parameters } => {
            (name, Some(Selection { selector, parameters }))
        }
        // A block has nothing to say among other variables.
        _ => return Err(DataAccessResult::OtherReason),
    };
    match device.short_name(access, ShortName::from(name)).ok_or(DataAccessResult::ObjectUndefined)? {
        MemberDescriptor::Attribute(attribute) => {
            Ok(Target::Attribute(AttributeRequest { attribute, selection: parameter }))
        }
        MemberDescriptor::Method(method) => Ok(Target::Method(method, parameter.map(|parameter| parameter.parameters))),
    }
}

/// The attribute that variable `index` stands for; `None` behind the last.
pub(super) fn attribute_at<'a, D: Device>(
    variables: &List<'a, VariableAccess<'a>>,
    index: usize,
    access: &Access,
    device: &mut D,
) -> Option<Result<AttributeRequest<'a>, DataAccessResult>> {
    Some(match target(variables.get(index)?, access, device) {
        Ok(Target::Attribute(request)) => Ok(request),
        // Methods are not read in pieces.
        Ok(Target::Method(..)) => Err(DataAccessResult::OtherReason),
        Err(result) => Err(result),
    })
}

/// Attributes to be read: one by itself, several as a list.
fn wanted_of<'a, D: Device>(
    variables: &List<'a, VariableAccess<'a>>,
    access: &Access,
    device: &mut D,
) -> Result<Wanted<'a>, DataAccessResult> {
    match variables.len() {
        1 => attribute_at(variables, 0, access, device).unwrap_or(Err(DataAccessResult::OtherReason)).map(Wanted::One),
        _ => Ok(Wanted::Names(*variables)),
    }
}

/// Answers a Read in one APDU, if it fits. Of what methods return `kept` octets can be kept for blocks.
fn read_first<D: Device>(
    variables: &List<'_, VariableAccess<'_>>,
    kept: usize,
    access: &Access,
    device: &mut D,
    answer: &mut Answer<'_>,
) -> First {
    let methods = variables.iter().any(|variable| matches!(target(variable, access, device), Ok(Target::Method(..))));
    if methods {
        return invoke_first(variables, kept, access, device, answer);
    }
    let (header, length) = match variables.len() {
        1 => ([0x0C, 1, 0], ONE_HEADER),
        _ => ([0x0C, 0, 0], LIST_HEADER),
    };
    let limit = answer.limit().saturating_sub(length);
    let filled = wanted_of(variables, access, device)
        .and_then(|wanted| fill(device, access, wanted, Position::default(), answer.body(length, limit)));
    match filled {
        Ok(Filled { length: body, next: None }) => {
            answer.finish(header.get(..length).unwrap_or_default(), length, body);
            First::Done
        }
        Ok(_) => First::Blocks,
        Err(result) => {
            refuse_read(answer, result);
            First::Done
        }
    }
}

/// Answers a Read that invokes methods, each once. All of it must fit into one answer, or into `kept` octets, whatever
/// the client's limit is; what does not fit is an error in its place. Nothing is invoked unless all errors would fit.
fn invoke_first<D: Device>(
    variables: &List<'_, VariableAccess<'_>>,
    kept: usize,
    access: &Access,
    device: &mut D,
    answer: &mut Answer<'_>,
) -> First {
    let limit = answer.limit().saturating_sub(LIST_HEADER);
    let mut out = Writer::new(answer.body(LIST_HEADER, limit.max(kept)));
    let mut results: usize = 0;
    let written = out.length(variables.len()).and_then(|()| {
        let count = out.len();
        if out.free() < variables.len().saturating_mul(2) {
            return Err(BufferFull);
        }
        for (index, variable) in variables.iter().enumerate() {
            // Choice and result code of each variable behind it.
            let behind = variables.len().saturating_sub(index).saturating_sub(1).saturating_mul(2);
            read_one(variable, behind, access, device, &mut out)?;
        }
        results = count;
        Ok(())
    });
    let length = out.len();
    // One value by itself is sent in blocks without its count and choice.
    let bare = variables.len() == 1 && out.written().get(1) == Some(&0);
    if written.is_err() {
        refuse_read(answer, DataAccessResult::OtherReason);
        First::Done
    } else if length <= limit {
        answer.finish(&[0x0C], LIST_HEADER, length);
        First::Done
    } else if bare {
        let front = results.saturating_add(1);
        First::Kept { start: LIST_HEADER.saturating_add(front), length: length.saturating_sub(front) }
    } else {
        First::Kept { start: LIST_HEADER, length }
    }
}

/// Writes choice and value, or choice and error, and leaves `behind` octets free.
fn read_one<D: Device>(
    variable: VariableAccess<'_>,
    behind: usize,
    access: &Access,
    device: &mut D,
    out: &mut Writer<'_>,
) -> Result<(), BufferFull> {
    let start = out.len();
    out.u8(0)?;
    let data = out.len();
    let result = match target(variable, access, device) {
        Ok(Target::Method(method, parameter)) => refused::invoke(device, access, method, parameter, out)
            .map_err(|result| DataAccessResult::from_code(result.code())),
        Ok(Target::Attribute(request)) => read_whole(request, access, device, out),
        Err(result) => Err(result),
    };
    // A method that returns nothing still has a place in the list.
    let result = match result {
        Ok(()) if out.len() == data => out.null().map_err(|_| DataAccessResult::OtherReason),
        result => result,
    };
    let result = if out.free() < behind { result.and(Err(DataAccessResult::OtherReason)) } else { result };
    if let Err(result) = result {
        out.truncate(start);
        out.bytes(&[1, result.code()])?;
    }
    Ok(())
}

/// Writes all parts of an attribute.
fn read_whole<D: Device>(
    request: AttributeRequest<'_>,
    access: &Access,
    device: &mut D,
    out: &mut Writer<'_>,
) -> Result<(), DataAccessResult> {
    use super::device::{Cursor, Progress};
    let mut cursor = Cursor::default();
    loop {
        match refused::read(device, access, request.attribute, request.selection, &mut cursor, out)? {
            Progress::Done => return Ok(()),
            Progress::More => cursor.part = cursor.part.checked_add(1).ok_or(DataAccessResult::OtherReason)?,
        }
    }
}

/// Writes variables and answers with their results. Nothing is written unless all results fit.
fn write_all<'v, D: Device>(
    variables: &List<'_, VariableAccess<'_>>,
    mut values: impl Iterator<Item = Data<'v>>,
    access: &Access,
    device: &mut D,
    answer: &mut Answer<'_>,
) {
    // What a method returns has no place in a WriteResponse; it goes behind the results and is dropped.
    let limit = answer.limit();
    let mut out = Writer::new(answer.body(0, limit));
    let fitted = out.u8(0x0D).and_then(|()| out.length(variables.len())).is_ok();
    let head = out.len();
    let needed = head.saturating_add(variables.len().saturating_mul(2));
    let room = answer.body(0, usize::MAX);
    let Some((answered, scratch)) = room.split_at_mut_checked(needed).filter(|_| fitted && needed <= limit) else {
        return refuse_write(answer, DataAccessResult::OtherReason);
    };
    let mut out = Writer::new(answered.get_mut(head..).unwrap_or_default());
    for variable in variables.iter() {
        let result = match values.next() {
            Some(value) => write_one(device, access, variable, value, scratch),
            None => DataAccessResult::TypeUnmatched,
        };
        let written = match result {
            DataAccessResult::Success => out.u8(0),
            result => out.bytes(&[1, result.code()]),
        };
        if written.is_err() {
            return;
        }
    }
    let length = head.saturating_add(out.len());
    answer.finish(&[], 0, length);
}

fn write_one<D: Device>(
    device: &mut D,
    access: &Access,
    variable: VariableAccess<'_>,
    value: Data<'_>,
    scratch: &mut [u8],
) -> DataAccessResult {
    let result = match target(variable, access, device) {
        Ok(Target::Attribute(request)) => refused::write(device, access, request.attribute, request.selection, value),
        Ok(Target::Method(method, None)) => {
            let parameter = (value != Data::Null).then_some(value);
            let mut returned = Writer::new(scratch);
            let invoked = refused::invoke(device, access, method, parameter, &mut returned);
            invoked.map_err(|result| DataAccessResult::from_code(result.code()))
        }
        Ok(Target::Method(_, Some(_))) => Err(DataAccessResult::TypeUnmatched),
        Err(result) => Err(result),
    };
    result.err().unwrap_or(DataAccessResult::Success)
}

fn refuse_read(answer: &mut Answer<'_>, result: DataAccessResult) {
    answer.write(&[0x0C, 1, 1, result.code()]);
}

fn refuse_write(answer: &mut Answer<'_>, result: DataAccessResult) {
    write_result(answer, WriteResult::Error(result));
}

fn write_result(answer: &mut Answer<'_>, result: WriteResult) {
    answer.encode(|out| {
        out.bytes(&[0x0D, 1])?;
        match result {
            WriteResult::Success => out.u8(0),
            WriteResult::Error(result) => out.bytes(&[1, result.code()]),
            WriteResult::BlockNumber(number) => {
                out.u8(2)?;
                out.u16(number)
            }
        }
    });
}
