//! Outcomes as answers.

use dlms::{axdr::Value, obis::ObisCode};
use dlms_proto::v1::{
    self, AttributeResult, CaptureList, InvokeMethodResponse, ReadBillingPeriodResponse, ReadProfileResponse,
    ReadProfileSummary, ReadRegistersResponse, RegisterResult, SetAttributesResponse, read_profile_response::Part,
};

use crate::{
    api::{
        capture::{self, CHUNK},
        jobs::outcome,
        parse::to_timestamp,
        result, value,
    },
    billing::BillingRead,
    head_end::{ProfileRead, RegistersRead},
    ingest::Kept,
    meter::MeterId,
    operation::{AttributeRef, AttributeValue, CaptureRow, ItemResult, ProfileLayout, RegisterReading, RequestError},
    store::{AppendOutcome, Appended},
};

pub(in crate::api) fn registers(asked: &[ObisCode], read: &RegistersRead) -> ReadRegistersResponse {
    let results = asked.iter().zip(&read.results).map(|(obis, item)| register(*obis, item)).collect();
    ReadRegistersResponse { results, stored: stored(&read.kept).is_some() }
}

pub(in crate::api) fn register(obis: ObisCode, item: &ItemResult<RegisterReading>) -> RegisterResult {
    let (result, failure) = result::of(item);
    let reading = item.as_ref().ok();
    RegisterResult {
        obis: obis.to_string(),
        result,
        failure,
        reading: reading.map(capture::register),
        status: reading.and_then(|reading| reading.status.as_ref()).map(value::to_proto),
        capture_time: reading.and_then(|reading| reading.capture_time).map(value::to_date_time),
        receive_time: reading.map(|reading| to_timestamp(reading.received)),
    }
}

/// The messages of a profile's stream. Rows are turned into messages as the stream is read.
pub(in crate::api) fn profile(
    meter: &MeterId,
    read: ProfileRead,
) -> impl Iterator<Item = ReadProfileResponse> + Send + use<> {
    let message = |part| ReadProfileResponse { part: Some(part) };
    let ProfileRead { reading, kept } = read;
    let counts = stored(&kept);
    let summary = ReadProfileSummary {
        rows: reading.rows.len() as u64,
        new_rows: counts.map_or(0, |counts| counts.new),
        revised_rows: counts.map_or(0, |counts| counts.revised),
        receive_time: Some(to_timestamp(reading.received)),
        stored: counts.is_some(),
    };
    let first = message(Part::Layout(capture::layout(&reading.layout)));
    let (layout, received, name) = (reading.layout, reading.received, meter.resource_name());
    let mut rows = reading.rows.into_iter().peekable();
    let lists = std::iter::from_fn(move || {
        rows.peek()?;
        let captures = rows.by_ref().take(CHUNK).map(|row| self::row(&name, &layout, &row, received)).collect();
        Some(message(Part::Captures(CaptureList { captures })))
    });
    std::iter::once(first).chain(lists).chain(std::iter::once(message(Part::Summary(summary))))
}

pub(in crate::api) fn billing_period(meter: &MeterId, read: &BillingRead) -> ReadBillingPeriodResponse {
    ReadBillingPeriodResponse {
        layout: Some(capture::layout(&read.layout)),
        capture: Some(row(&meter.resource_name(), &read.layout, &read.row, read.received)),
        start_time: read.start.map(to_timestamp),
        stored: stored(&read.kept).is_some(),
    }
}

fn row(meter: &str, layout: &ProfileLayout, row: &CaptureRow, received: jiff::Timestamp) -> v1::Capture {
    v1::Capture {
        meter: meter.to_owned(),
        profile: layout.profile.to_string(),
        capture_time: Some(to_timestamp(row.time)),
        time_basis: capture::time_basis(row.time_basis).into(),
        clock: row.clock.map(value::to_date_time),
        status: row.status,
        source: v1::Source::Polled.into(),
        // The revision is the store's to say, and QueryReadings says it.
        revision: 0,
        // What was noticed is the store's to say as well.
        flags: Vec::new(),
        receive_time: Some(to_timestamp(received)),
        readings: capture::channels(&layout.columns, &row.values),
    }
}

/// The counts of what the store has, or `None` while it waits in memory or was refused.
fn stored(kept: &Kept) -> Option<Appended> {
    match kept {
        Ok(AppendOutcome::Stored(counts)) => Some(*counts),
        Ok(AppendOutcome::Kept(_)) | Err(_) => None,
    }
}

pub(in crate::api) fn attributes(
    asked: &[AttributeRef],
    results: &[ItemResult<AttributeValue>],
) -> Vec<AttributeResult> {
    let answer = |(asked, item): (&AttributeRef, &ItemResult<AttributeValue>)| {
        let read = item.as_ref().ok();
        AttributeResult {
            value: read.map(|read| value::to_proto(&read.value)),
            receive_time: read.map(|read| to_timestamp(read.received)),
            ..item_result(*asked, item)
        }
    };
    asked.iter().zip(results).map(answer).collect()
}

pub(in crate::api) fn set(asked: &[AttributeRef], results: &[ItemResult<()>]) -> SetAttributesResponse {
    let results = asked.iter().zip(results).map(|(asked, item)| item_result(*asked, item)).collect();
    SetAttributesResponse { results }
}

/// The answer when all items share one fate.
pub(in crate::api) fn set_failed(asked: &[AttributeRef], error: &RequestError) -> SetAttributesResponse {
    let failed: ItemResult<()> = Err(error.clone());
    SetAttributesResponse { results: asked.iter().map(|asked| item_result(*asked, &failed)).collect() }
}

/// The answer when all items of a bundle share one fate.
pub(in crate::api) fn bundle_failed(items: &[v1::BundleItem], error: &RequestError) -> v1::RunBundleResponse {
    let failed: Vec<_> = items.iter().map(|_| Err(error.clone())).collect();
    v1::RunBundleResponse { items: outcome::bundle(items, &failed) }
}

pub(in crate::api) fn method(returned: Result<Option<Value>, RequestError>) -> InvokeMethodResponse {
    let (result, failure) = result::of(&returned);
    let return_value = returned.ok().flatten().map(|returned| value::to_proto(&returned));
    InvokeMethodResponse { result, failure, return_value }
}

fn item_result<T>(asked: AttributeRef, item: &ItemResult<T>) -> AttributeResult {
    let (result, failure) = result::of(item);
    let attribute = v1::AttributeRef {
        class_id: asked.class.0.into(),
        obis: asked.obis.to_string(),
        attribute: asked.attribute.0.into(),
    };
    AttributeResult { attribute: Some(attribute), result, failure, value: None, receive_time: None }
}
