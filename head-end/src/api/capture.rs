//! Captures and layouts for answers.

use std::sync::Arc;

use dlms::axdr::Value;
use dlms_proto::v1;

use super::{parse::to_timestamp, value};
use crate::{
    meter::TimeBasis,
    operation::{CaptureColumn, ModelObject, ObjectModel, ProfileLayout, RegisterReading},
    store::{CaptureFlags, Source, StoredCapture},
};

/// Captures in one message of a stream, at most.
pub(super) const CHUNK: usize = 200;

pub(super) fn stored(capture: &StoredCapture) -> v1::Capture {
    v1::Capture {
        meter: capture.meter.resource_name(),
        profile: capture.profile.map(|profile| profile.to_string()).unwrap_or_default(),
        capture_time: Some(to_timestamp(capture.time)),
        time_basis: time_basis(capture.time_basis).into(),
        clock: capture.clock.map(value::to_date_time),
        status: capture.status,
        source: match capture.source {
            Source::Polled => v1::Source::Polled,
            Source::Pushed => v1::Source::Pushed,
            Source::Telegram => v1::Source::Telegram,
        }
        .into(),
        revision: capture.revision,
        flags: flags(capture.flags),
        receive_time: Some(to_timestamp(capture.received)),
        readings: channels(&capture.columns, &capture.values),
    }
}

fn flags(of: CaptureFlags) -> Vec<i32> {
    let flag = |flag: CaptureFlags| match flag {
        CaptureFlags::MISSING => v1::CaptureFlag::Missing,
        CaptureFlags::DUPLICATE => v1::CaptureFlag::Duplicate,
        CaptureFlags::STATUS => v1::CaptureFlag::Status,
        CaptureFlags::CLOCK_SHIFT => v1::CaptureFlag::ClockShift,
        CaptureFlags::CLOCK_DOUBTFUL => v1::CaptureFlag::ClockDoubtful,
        CaptureFlags::NON_MONOTONIC => v1::CaptureFlag::NonMonotonic,
        CaptureFlags::OVERFLOW => v1::CaptureFlag::Overflow,
        _ => v1::CaptureFlag::Unspecified,
    };
    CaptureFlags::NAMES.into_iter().filter(|(one, _)| of.contains(*one)).map(|(one, _)| flag(one).into()).collect()
}

pub(super) fn channels(columns: &[CaptureColumn], values: &[Value]) -> Vec<v1::ChannelReading> {
    columns.iter().zip(values).map(|(column, value)| channel(column, value)).collect()
}

fn channel(column: &CaptureColumn, of: &Value) -> v1::ChannelReading {
    v1::ChannelReading {
        class_id: column.class.0.into(),
        obis: column.obis.to_string(),
        attribute: column.attribute.0.into(),
        data_index: column.data_index.into(),
        value: Some(value::to_proto(of)),
        scaler_unit: column.scaler_unit.map(value::to_scaler_unit),
        decimal: value::decimal(of, column.scaler_unit),
    }
}

pub(super) fn register(reading: &RegisterReading) -> v1::ChannelReading {
    let column = CaptureColumn {
        class: reading.attribute.class,
        obis: reading.attribute.obis,
        attribute: reading.attribute.attribute,
        data_index: 0,
        scaler_unit: reading.scaler_unit,
    };
    channel(&column, &reading.value)
}

pub(super) const fn time_basis(basis: TimeBasis) -> v1::TimeBasis {
    match basis {
        TimeBasis::MeterDeviation => v1::TimeBasis::MeterDeviation,
        TimeBasis::ConfiguredOffset => v1::TimeBasis::ConfiguredOffset,
        TimeBasis::Received => v1::TimeBasis::Received,
    }
}

pub(super) fn layout(layout: &ProfileLayout) -> v1::ProfileLayout {
    let column = |column: &CaptureColumn| v1::CaptureColumn {
        class_id: column.class.0.into(),
        obis: column.obis.to_string(),
        attribute: column.attribute.0.into(),
        data_index: column.data_index.into(),
        scaler_unit: column.scaler_unit.map(value::to_scaler_unit),
    };
    v1::ProfileLayout {
        profile: layout.profile.to_string(),
        columns: layout.columns.iter().map(column).collect(),
        capture_period_s: layout.capture_period_s,
        entries_in_use: layout.entries_in_use,
        profile_entries: layout.profile_entries,
    }
}

pub(super) fn model(model: &ObjectModel) -> v1::DiscoverObjectsResponse {
    let object = |object: &ModelObject| v1::CosemObject {
        class_id: object.class.0.into(),
        version: object.version.into(),
        obis: object.obis.to_string(),
        attributes: object.attributes.iter().map(|(id, mode)| access(id.0, *mode)).collect(),
        methods: object.methods.iter().map(|(id, mode)| access(id.0, *mode)).collect(),
        scaler_unit: object.scaler_unit.map(value::to_scaler_unit),
    };
    v1::DiscoverObjectsResponse {
        objects: model.objects.iter().map(object).collect(),
        profiles: model.profiles.iter().map(Arc::as_ref).map(layout).collect(),
        read_time: Some(to_timestamp(model.read)),
    }
}

fn access(id: i8, mode: u8) -> v1::Access {
    v1::Access { id: id.into(), mode: mode.into() }
}
