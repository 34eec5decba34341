//! Apache Parquet: one row for each value.

use std::{mem, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use rust_decimal::prelude::ToPrimitive;

use super::{Encoder, ExportError, Page, row};

/// Rows that are gathered before they are written as a group: what an analyst's tool reads at once, and what is
/// held in memory.
const GROUP: usize = 64 * 1024;

const SCHEMA: &str = "message readings {
    REQUIRED BYTE_ARRAY meter (UTF8);
    OPTIONAL BYTE_ARRAY profile (UTF8);
    REQUIRED INT64 capture_time (TIMESTAMP(MILLIS, true));
    OPTIONAL BYTE_ARRAY meter_clock (UTF8);
    REQUIRED INT32 class_id;
    REQUIRED BYTE_ARRAY obis (UTF8);
    REQUIRED INT32 attribute;
    REQUIRED INT32 data_index;
    OPTIONAL DOUBLE value;
    REQUIRED BYTE_ARRAY text (UTF8);
    REQUIRED BYTE_ARRAY unit (UTF8);
    OPTIONAL INT64 status;
    REQUIRED BYTE_ARRAY flags (UTF8);
    REQUIRED BYTE_ARRAY source (UTF8);
    REQUIRED INT32 revision;
    REQUIRED INT64 receive_time (TIMESTAMP(MILLIS, true));
}";

/// A column that is being gathered; an optional one says for each row whether it has a value.
#[derive(Debug, Default)]
struct Column<T> {
    values: Vec<T>,
    present: Option<Vec<i16>>,
}

impl<T> Column<T> {
    fn optional() -> Self {
        Self { values: Vec::new(), present: Some(Vec::new()) }
    }

    fn push(&mut self, value: impl Into<Option<T>>) {
        let value = value.into();
        if let Some(present) = &mut self.present {
            present.push(value.is_some().into());
        }
        self.values.extend(value);
    }
}

/// The rows of a group, column by column.
#[derive(Debug)]
struct Group {
    rows: usize,
    meter: Column<ByteArray>,
    profile: Column<ByteArray>,
    capture_time: Column<i64>,
    meter_clock: Column<ByteArray>,
    class_id: Column<i32>,
    obis: Column<ByteArray>,
    attribute: Column<i32>,
    data_index: Column<i32>,
    value: Column<f64>,
    text: Column<ByteArray>,
    unit: Column<ByteArray>,
    status: Column<i64>,
    flags: Column<ByteArray>,
    source: Column<ByteArray>,
    revision: Column<i32>,
    receive_time: Column<i64>,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            rows: 0,
            meter: Column::default(),
            profile: Column::optional(),
            capture_time: Column::default(),
            meter_clock: Column::optional(),
            class_id: Column::default(),
            obis: Column::default(),
            attribute: Column::default(),
            data_index: Column::default(),
            value: Column::optional(),
            text: Column::default(),
            unit: Column::default(),
            status: Column::optional(),
            flags: Column::default(),
            source: Column::default(),
            revision: Column::default(),
            receive_time: Column::default(),
        }
    }
}

/// Gathers and writes groups.
pub(super) struct Parquet {
    writer: SerializedFileWriter<Vec<u8>>,
    group: Group,
}

impl Parquet {
    /// An empty file.
    ///
    /// # Errors
    /// [`ExportError`].
    pub(super) fn new() -> Result<Self, ExportError> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        Ok(Self {
            writer: SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?,
            group: Group::default(),
        })
    }

    fn write_group(&mut self) -> Result<(), ExportError> {
        let group = mem::take(&mut self.group);
        if group.rows == 0 {
            return Ok(());
        }
        let mut writer = self.writer.next_row_group()?;
        macro_rules! write {
            ($($column:ident: $kind:ty),* $(,)?) => {$(
                if let Some(mut next) = writer.next_column()? {
                    next.typed::<$kind>().write_batch(&group.$column.values, group.$column.present.as_deref(), None)?;
                    next.close()?;
                }
            )*};
        }
        write! {
            meter: ByteArrayType, profile: ByteArrayType, capture_time: Int64Type, meter_clock: ByteArrayType,
            class_id: Int32Type, obis: ByteArrayType, attribute: Int32Type, data_index: Int32Type, value: DoubleType,
            text: ByteArrayType, unit: ByteArrayType, status: Int64Type, flags: ByteArrayType, source: ByteArrayType, revision: Int32Type,
            receive_time: Int64Type,
        }
        writer.close()?;
        Ok(())
    }
}

impl Encoder for Parquet {
    fn page(&mut self, page: &Page<'_>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        let group = &mut self.group;
        for row in page.captures.iter().flat_map(row::rows) {
            let capture = row.capture;
            let text = |text: &str| ByteArray::from(text);
            group.rows += 1;
            group.meter.push(text(capture.meter.as_str()));
            group.profile.push(capture.profile.map(|profile| text(&profile.to_string())));
            group.capture_time.push(capture.time.as_millisecond());
            group.meter_clock.push(capture.clock.map(|clock| text(&clock.to_string())));
            group.class_id.push(i32::from(row.column.class.0));
            group.obis.push(text(&row.column.obis.to_string()));
            group.attribute.push(i32::from(row.column.attribute.0));
            group.data_index.push(i32::from(row.column.data_index));
            group.value.push(row.sample().and_then(|sample| sample.value.to_f64()));
            group.text.push(text(&row.text()));
            group.unit.push(text(row.unit()));
            // The bits are what is kept.
            group.status.push(capture.status.map(u64::cast_signed));
            group.flags.push(text(&row::flags(capture.flags)));
            group.source.push(text(row::source(capture.source)));
            group.revision.push(capture.revision.cast_signed());
            group.receive_time.push(capture.received.as_millisecond());
        }
        if group.rows >= GROUP {
            self.write_group()?;
            out.append(self.writer.inner_mut());
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        self.write_group()?;
        out.append(&mut self.writer.into_inner()?);
        Ok(())
    }
}
