//! Ranges of time in a profile that knows positions only: found by halving.

use std::ops::Range;

use dlms::cosem::{
    Attribute,
    profile_generic::{self, SortMethod},
};
use jiff::Timestamp;

use super::{
    entries, is_selection_refused,
    rows::{Rows, RowsError, dated},
};
use crate::{
    fleet::{session::Session, work::Work},
    operation::{CaptureRow, ProfileLayout},
};

/// Reads the rows of the `wanted` time by position. Single rows tell where the range begins and ends: twice the
/// logarithm of the rows in use. Where even that is not possible the whole buffer is read.
pub(super) async fn range(
    session: &mut Session,
    layout: &ProfileLayout,
    rows: &Rows<'_>,
    order: SortMethod,
    wanted: Range<Timestamp>,
    work: &Work<'_>,
    found: &mut Vec<CaptureRow>,
) -> Result<(), RowsError> {
    let count = match order {
        SortMethod::Fifo | SortMethod::Lifo => in_use(session, layout, work).await?,
        // Sorted by something else than time.
        _ => None,
    };
    let Some(count) = count else { return rows.read(session, None, work, found).await };
    if count == 0 {
        return Ok(());
    }
    let newest_first = order == SortMethod::Lifo;
    // In a LIFO profile the range begins with its newest row.
    let (first, last) = match newest_first {
        false => {
            let first = position(session, rows, count, work, |time| time >= wanted.start).await?;
            (first, position(session, rows, count, work, |time| time >= wanted.end).await?)
        }
        true => {
            let first = position(session, rows, count, work, |time| time < wanted.end).await?;
            (first, position(session, rows, count, work, |time| time < wanted.start).await?)
        }
    };
    match (first, last) {
        (Some(first), Some(end)) if first < end => entries(session, rows, first, end - 1, work, found).await,
        (Some(_), Some(_)) => Ok(()),
        // Entry access is refused as well.
        _ => rows.read(session, None, work, found).await,
    }
}

/// Reads the `count` newest rows by position, or all where the meter knows no positions.
pub(super) async fn newest(
    session: &mut Session,
    layout: &ProfileLayout,
    rows: &Rows<'_>,
    order: SortMethod,
    count: u32,
    work: &Work<'_>,
    found: &mut Vec<CaptureRow>,
) -> Result<(), RowsError> {
    let (first, last) = match (order, count) {
        (_, 0) => return Ok(()),
        (SortMethod::Lifo, count) => (1, count),
        (SortMethod::Fifo, count) => match in_use(session, layout, work).await? {
            Some(0) => return Ok(()),
            Some(in_use) => (in_use.saturating_sub(count).saturating_add(1), in_use),
            None => return rows.read(session, None, work, found).await,
        },
        // Sorted by something else than time.
        _ => return rows.read(session, None, work, found).await,
    };
    match entries(session, rows, first, last, work, found).await {
        Err(RowsError::Request(error)) if session.lost().is_none() && is_selection_refused(&error) => {
            found.clear();
            rows.read(session, None, work, found).await
        }
        read => read,
    }
}

/// How many rows are in use now.
async fn in_use(session: &mut Session, layout: &ProfileLayout, work: &Work<'_>) -> Result<Option<u32>, RowsError> {
    let asked = profile_generic::EntriesInUse::of(layout.profile);
    match session.get(dlms::apdu::AttributeRequest::whole(asked), work).await {
        Ok(value) => Ok(value.as_data().and_then(|data| data.as_u32())),
        Err(error) if session.lost().is_some() => Err(RowsError::Request(error)),
        Err(_) => Ok(None),
    }
}

/// The first entry, from 1, whose time satisfies `beyond`, which is false and then true along the profile; one behind
/// the last entry where none does. `None` where single entries cannot be read.
async fn position(
    session: &mut Session,
    rows: &Rows<'_>,
    count: u32,
    work: &Work<'_>,
    beyond: impl Fn(Timestamp) -> bool,
) -> Result<Option<u32>, RowsError> {
    let (mut low, mut high) = (1, count.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let mut read = Vec::new();
        match entries(session, rows, middle, middle, work, &mut read).await {
            Ok(()) => {}
            Err(RowsError::Request(error)) if session.lost().is_none() && !is_final(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some((time, _)) = read.first().and_then(dated) else { return Ok(None) };
        if beyond(time) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Some(low))
}

/// Whether another way of asking would fail just the same.
fn is_final(error: &crate::operation::RequestError) -> bool {
    use crate::operation::RequestErrorKind::{Cancelled, Expired, MeterRefused};
    matches!(error.kind(), Cancelled | Expired) || error.kind() != MeterRefused && error.sent()
}
