//! ReadProfile: rows by time or by position, whichever the meter understands.

mod layout;
mod rows;
mod search;
mod time;

use std::sync::Arc;

use dlms::{
    apdu::{Conformance, Selection},
    cosem::{
        Attribute, clock,
        profile_generic::{EntryDescriptor, Nulls, RangeDescriptor},
    },
    obis::ObisCode,
};
use jiff::{SignedDuration, Timestamp};

pub(super) use layout::read_layout;
pub(crate) use rows::profile_rows;
pub use rows::{Gap, gaps};
pub(crate) use time::moment;

use self::{
    rows::{Rows, RowsError, ordered},
    time::MeterClock,
};
use super::{directory::Directory, memory::Memory, registers::date_time, session::Session, work::Work};
use crate::operation::{
    CaptureRow, MeterAnswer, ProfileLayout, ProfileReading, ProfileSelection, ReadProfile, RequestError,
    RequestErrorKind as Kind,
};

/// Room for the parameters of a selection.
const SELECTION_OCTETS: usize = 128;

/// Reads rows of a profile.
///
/// The layout is read once and kept. When rows turn out not to be of it, the profile was set up anew in the meantime,
/// and both are read again.
pub(super) async fn read(
    session: &mut Session,
    memory: &mut Memory,
    directory: &dyn Directory,
    request: &ReadProfile,
    work: &Work<'_>,
) -> Result<ProfileReading, RequestError> {
    let meter = session.config().id.clone();
    let mut kept = directory.profile_layout(&meter, request.profile).await?;
    loop {
        let known = kept.is_some();
        let layout = match kept.take() {
            Some(layout) => layout,
            None => {
                let model = directory.object_model(&meter).await?;
                let read = read_layout(session, memory, model.as_deref(), request.profile, work).await?;
                let layout = Arc::new(read);
                directory.save_profile_layout(&meter, Arc::clone(&layout)).await?;
                layout
            }
        };
        let mut rows = Vec::new();
        let interrupted = match select(session, memory, &layout, request.selection, work, &mut rows).await {
            Ok(()) => None,
            Err(RowsError::Layout) if known => {
                tracing::info!(%meter, profile = %request.profile, "the profile was set up anew");
                memory.orders.remove(&request.profile);
                continue;
            }
            Err(RowsError::Layout) => return Err(inconsistent(request.profile)),
            // Nothing that was read is thrown away.
            Err(RowsError::Request(error)) if !rows.is_empty() => Some(error),
            Err(RowsError::Request(error)) => return Err(error),
        };
        let mut rows = ordered(rows);
        if let ProfileSelection::Newest(count) = request.selection {
            // All of them were read where the meter knows no positions.
            rows.drain(..rows.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX)));
        }
        let missing: u64 = gaps(&rows, layout.capture_period_s).iter().map(|gap| gap.missing).sum();
        if missing > 0 {
            tracing::info!(%meter, profile = %request.profile, missing, "the profile has gaps");
        }
        return Ok(ProfileReading { layout, rows, interrupted, received: Timestamp::now() });
    }
}

/// Reads the rows of a selection, in any order.
async fn select(
    session: &mut Session,
    memory: &mut Memory,
    layout: &ProfileLayout,
    selection: ProfileSelection,
    work: &Work<'_>,
    found: &mut Vec<CaptureRow>,
) -> Result<(), RowsError> {
    let order = layout::order(session, memory, layout.profile, work).await.map_err(RowsError::Request)?;
    let policy = session.config().time;
    let rows = Rows::new(layout, &policy, Nulls::as_before(layout.capture_period_s, order));
    match selection {
        ProfileSelection::All => rows.read(session, None, work, found).await,
        ProfileSelection::Entries { from, to } => entries(session, &rows, from, to, work, found).await,
        ProfileSelection::Newest(count) => search::newest(session, layout, &rows, order, count, work, found).await,
        ProfileSelection::Range { from, to } => {
            let read = match range(session, memory, &rows, from, to, work, found).await {
                Err(RowsError::Request(error)) if session.lost().is_none() && is_selection_refused(&error) => {
                    tracing::debug!(meter = %session.config().id, %error, "no range access, rows are searched for");
                    found.clear();
                    search::range(session, layout, &rows, order, from..to, work, found).await
                }
                read => read,
            };
            // Meters treat bounds in their own ways; some ignore them.
            found.retain(|row| from <= row.time && row.time < to);
            read
        }
    }
}

/// Entry access; `to` 0 stands for the last.
async fn entries(
    session: &mut Session,
    rows: &Rows<'_>,
    from: u32,
    to: u32,
    work: &Work<'_>,
    found: &mut Vec<CaptureRow>,
) -> Result<(), RowsError> {
    let mut room = [0; SELECTION_OCTETS];
    let selection = EntryDescriptor::rows(from.max(1), to).selection(&mut room).map_err(|_| too_long())?;
    rows.read(session, selectable(session, selection)?, work, found).await
}

/// Range access by the clock.
async fn range(
    session: &mut Session,
    memory: &mut Memory,
    rows: &Rows<'_>,
    from: Timestamp,
    to: Timestamp,
    work: &Work<'_>,
    found: &mut Vec<CaptureRow>,
) -> Result<(), RowsError> {
    let Some(column) = rows.clock_column() else {
        let message = "the profile has no column with the time of a clock, so that it has no ranges of time";
        return Err(RowsError::Request(super::failure::head_end(Kind::InvalidRequest, message)));
    };
    let clock = meter_clock(session, memory, work).await.map_err(RowsError::Request)?;
    let slack = SignedDuration::from_secs(clock.slack_s());
    let bound = |moment: Timestamp| clock.write(moment);
    let from = bound(from.checked_sub(slack).unwrap_or(Timestamp::MIN));
    let to = bound(to.checked_add(slack).unwrap_or(Timestamp::MAX));
    let mut room = [0; SELECTION_OCTETS];
    let selection = RangeDescriptor::between(column, &from, &to).selection(&mut room).map_err(|_| too_long())?;
    rows.read(session, selectable(session, selection)?, work, found).await
}

/// How the meter writes its times now.
async fn meter_clock(session: &mut Session, memory: &mut Memory, work: &Work<'_>) -> Result<MeterClock, RequestError> {
    let asked = [clock::Time::of(ObisCode::CLOCK)];
    let answer = session.get_many(memory, &asked, work).await.pop();
    let time = match answer {
        Some(Ok(value)) => date_time(&value),
        Some(Err(error)) if session.lost().is_some() => return Err(error),
        _ => None,
    };
    Ok(MeterClock::new(time.as_ref(), &session.config().time))
}

fn selectable<'a>(session: &Session, selection: Selection<'a>) -> Result<Option<Selection<'a>>, RowsError> {
    if session.offers(Conformance::SELECTIVE_ACCESS) {
        return Ok(Some(selection));
    }
    let error = dlms::association::client::UsageError::NotNegotiated { service: "selective-access" };
    Err(RowsError::Request(super::failure::from_usage(error)))
}

/// Whether the meter may have refused the kind of selection, rather than the profile.
fn is_selection_refused(error: &RequestError) -> bool {
    match error.kind() {
        // Without selective access.
        Kind::InvalidRequest => error.object().is_none(),
        // Type-unmatched, scope-of-access-violated, object-unavailable, other-reason and temporary-failure are all in
        // use for it, also where no row lies in the range.
        Kind::MeterRefused => !matches!(error.answer(), Some(MeterAnswer::DataAccess(3 | 4 | 9))),
        _ => false,
    }
}

fn too_long() -> RowsError {
    let error = dlms::association::client::UsageError::RequestTooLong;
    RowsError::Request(super::failure::from_usage(error))
}

fn inconsistent(profile: ObisCode) -> RequestError {
    use crate::operation::{Layer, ObjectRef};
    let message = "the rows of the profile have another number of columns than it has capture objects";
    RequestError::new(Kind::Protocol, Layer::Meter, message)
        .with_object(ObjectRef::Object { class: Some(dlms::cosem::profile_generic::CLASS_ID), obis: profile })
}
