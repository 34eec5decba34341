//! Rows of captures as the databases have them, and captures made of them.

use std::sync::Arc;

use dlms::{
    axdr::{Reader, Value},
    obis::ObisCode,
    time::DateTime,
};
use jiff::Timestamp;

use super::{CaptureCursor, CaptureFilter, CaptureFlags, CapturePage, StoredCapture, codes, pieces::NO_PROFILE};
use crate::{meter::MeterId, operation::CaptureColumn};

/// A row of captures.
pub(super) struct RawCapture {
    pub(super) profile: [u8; 6],
    pub(super) time_ms: i64,
    pub(super) revision: u32,
    pub(super) time_basis: i16,
    pub(super) clock: Option<[u8; 12]>,
    pub(super) status: Option<i64>,
    pub(super) source: i16,
    pub(super) received_ms: i64,
    pub(super) octets: Vec<u8>,
    pub(super) flags: u32,
}

impl RawCapture {
    /// The capture, or what is wrong with the row.
    pub(super) fn read(self, meter: &MeterId, columns: Arc<[CaptureColumn]>) -> Result<StoredCapture, String> {
        let values = decode(&self.octets, columns.len())
            .map_err(|reason| format!("capture at {} ms: {reason}", self.time_ms))?;
        let profile = ObisCode(self.profile);
        Ok(StoredCapture {
            meter: meter.clone(),
            profile: (profile != NO_PROFILE).then_some(profile),
            time: moment(self.time_ms),
            time_basis: codes::BASES
                .variant(self.time_basis)
                .ok_or_else(|| format!("{} is not a time basis", self.time_basis))?,
            clock: self.clock.map(|octets| DateTime::from_bytes(&octets)),
            status: self.status.map(i64::cast_unsigned),
            source: codes::SOURCES.variant(self.source).ok_or_else(|| format!("{} is not a source", self.source))?,
            revision: self.revision,
            received: moment(self.received_ms),
            columns,
            flags: CaptureFlags(self.flags),
            values,
        })
    }
}

/// The profile that a filter selects; `None` for all.
pub(super) fn profile(filter: CaptureFilter) -> Option<ObisCode> {
    match filter {
        CaptureFilter::All => None,
        CaptureFilter::Profile(profile) => Some(profile),
        CaptureFilter::Registers => Some(NO_PROFILE),
    }
}

/// A page of at most `limit` captures; a full one has another behind it.
pub(super) fn page(captures: Vec<StoredCapture>, limit: usize) -> CapturePage {
    let full = captures.len() >= limit;
    let next = captures.last().filter(|_| full).map(|last| CaptureCursor {
        time_ms: last.time.as_millisecond(),
        profile: last.profile.unwrap_or(NO_PROFILE),
        revision: last.revision,
    });
    CapturePage { captures, next }
}

fn decode(octets: &[u8], columns: usize) -> Result<Vec<Value>, String> {
    let mut reader = Reader::new(octets);
    let mut values = Vec::with_capacity(columns.min(octets.len()));
    while !reader.is_empty() {
        values.push(Value::decode(&mut reader).map_err(|error| error.to_string())?);
    }
    if values.len() == columns { Ok(values) } else { Err(format!("{} values for {columns} columns", values.len())) }
}

/// Stored times are whole milliseconds; a bound between two of them selects from the later one.
pub(super) fn ceiling_ms(time: Timestamp) -> i64 {
    let ms = time.as_millisecond();
    if moment(ms) < time { ms.saturating_add(1) } else { ms }
}

/// Every stored time came from a timestamp, so it is one again.
pub(super) fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
