//! ACCESS on the server's side: reading, writing and invoking in one request.

use super::answer::Answer;
use super::device::{Access, Cursor, Device, Progress};
use super::refused;
use crate::apdu::{
    AccessRequest, AccessResult, AccessSpecification, ActionResult, AttributeDescriptor, DataAccessResult, List,
    Selection,
};
use crate::axdr::{BufferFull, Data, Writer};
use crate::wire::Wire;

/// Octets of one result: choice and code.
const RESULT: usize = 2;
/// Octets of the count of results, at their most.
const COUNT_MAX: usize = 5;

/// Answers an ACCESS. The items are executed once and in the order of the request (Green Book, ACCESS service), so that
/// one that reads sees what the one before it has written.
///
/// Nothing is executed unless a result for each item fits; returns `false` then. What an item returns and leaves no room
/// for the results behind it is dropped, and the result says so.
pub(super) fn access<D: Device>(
    request: &AccessRequest<'_>,
    access: &Access,
    device: &mut D,
    answer: &mut Answer<'_>,
) -> bool {
    let limit = answer.limit();
    let written = execute(request, access, device, answer.body(0, limit));
    if let Some(length) = written {
        answer.finish(&[], 0, length);
    }
    written.is_some()
}

/// Executes the items and writes the response; returns its length.
///
/// Results follow all data, so they gather at the end of the buffer and close up when all is done.
fn execute<D: Device>(
    request: &AccessRequest<'_>,
    access: &Access,
    device: &mut D,
    buffer: &mut [u8],
) -> Option<usize> {
    let items = request.specifications;
    let tail = items.len().checked_mul(RESULT)?;
    let (front, results) = buffer.split_at_mut_checked(buffer.len().checked_sub(tail)?)?;
    let mut count = [0; COUNT_MAX];
    let mut out = Writer::new(&mut count);
    out.length(items.len()).ok()?;
    let count = out.into_written();
    let (front, _) = front.split_at_mut_checked(front.len().checked_sub(count.len())?)?;
    let mut out = Writer::new(front);
    write_head(request, &mut out).ok()?;
    let mut end = out.len();
    // Each item has at least null-data.
    let mut room = front.len().checked_sub(items.len())?;
    if end > room {
        return None;
    }

    let mut values = request.data.iter();
    let mut broken = false;
    for (item, place) in items.iter().zip(results.chunks_exact_mut(RESULT)) {
        let value = values.next();
        room = room.checked_add(1)?;
        let mut out = Writer::window(front.get_mut(end..room)?, 0);
        let result = if broken { Err(OTHER_REASON) } else { one(&item, value, access, device, &mut out) };
        let result = if out.overflow() > 0 { result.and(Err(OTHER_REASON)) } else { result };
        if result.is_err() || out.is_empty() {
            out.restart();
            Data::Null.encode(&mut out).ok()?;
        }
        end = end.checked_add(out.len())?;
        // What comes after an item that failed is not executed; how it is reported is not verified.
        broken |= result.is_err() && request.invoke.breaks_on_error();
        let result = answered(&item, result.err().unwrap_or(0));
        result.write(&mut Writer::new(place)).ok()?;
    }

    let close = end.checked_add(count.len())?;
    buffer.get_mut(end..close)?.copy_from_slice(count);
    buffer.copy_within(buffer.len().checked_sub(tail)?.., close);
    close.checked_add(tail)
}

/// Everything in front of the first item's data.
fn write_head(request: &AccessRequest<'_>, out: &mut Writer<'_>) -> Result<(), BufferFull> {
    out.u8(crate::apdu::tag::ACCESS_RESPONSE)?;
    request.invoke.write(out)?;
    // No time: the client has its own.
    out.octet_string(&[])?;
    let repeated: Option<List<'_, AccessSpecification<'_>>> =
        request.invoke.is_self_descriptive().then_some(request.specifications);
    repeated.write(out)?;
    out.length(request.specifications.len())
}

const OTHER_REASON: u8 = DataAccessResult::OtherReason.code();

/// How an item went, by the kind of the item.
fn answered(item: &AccessSpecification<'_>, code: u8) -> AccessResult {
    match item {
        AccessSpecification::Get(_) | AccessSpecification::GetWithSelection { .. } => {
            AccessResult::Get(DataAccessResult::from_code(code))
        }
        AccessSpecification::Set(_) | AccessSpecification::SetWithSelection { .. } => {
            AccessResult::Set(DataAccessResult::from_code(code))
        }
        AccessSpecification::Action(_) => AccessResult::Action(ActionResult::from_code(code)),
    }
}

/// Executes one item and writes what it returns, if anything. A failure is the code of its result.
fn one<D: Device>(
    item: &AccessSpecification<'_>,
    value: Option<Data<'_>>,
    access: &Access,
    device: &mut D,
    out: &mut Writer<'_>,
) -> Result<(), u8> {
    let read = |device: &mut D, attribute, selection, out: &mut Writer<'_>| {
        read_whole(device, access, attribute, selection, out).map_err(|result| result.code())
    };
    // The list of data may be shorter than that of the items.
    let given = value.ok_or(DataAccessResult::TypeUnmatched.code());
    match *item {
        AccessSpecification::Get(attribute) => read(device, attribute, None, out),
        AccessSpecification::GetWithSelection { attribute, selection } => read(device, attribute, Some(selection), out),
        AccessSpecification::Set(attribute) => {
            refused::write(device, access, attribute, None, given?).map_err(|result| result.code())
        }
        AccessSpecification::SetWithSelection { attribute, selection } => {
            refused::write(device, access, attribute, Some(selection), given?).map_err(|result| result.code())
        }
        AccessSpecification::Action(method) => {
            let parameter = Some(given?).filter(|data| *data != Data::Null);
            refused::invoke(device, access, method, parameter, out).map_err(|result| result.code())
        }
    }
}

/// Reads all parts of an attribute.
fn read_whole<D: Device>(
    device: &mut D,
    access: &Access,
    attribute: AttributeDescriptor,
    selection: Option<Selection<'_>>,
    out: &mut Writer<'_>,
) -> Result<(), DataAccessResult> {
    let mut cursor = Cursor::default();
    while out.overflow() == 0
        && refused::read(device, access, attribute, selection, &mut cursor, out)? == Progress::More
    {
        cursor.part = cursor.part.checked_add(1).ok_or(DataAccessResult::OtherReason)?;
    }
    Ok(())
}
