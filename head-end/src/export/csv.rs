//! Comma-separated values (RFC 4180), one line for each value.

use super::{Encoder, ExportError, Page, row};

/// The columns, in order.
pub(super) const COLUMNS: [&str; 15] = [
    "meter",
    "profile",
    "capture_time",
    "meter_clock",
    "class_id",
    "obis",
    "attribute",
    "data_index",
    "value",
    "unit",
    "status",
    "flags",
    "source",
    "revision",
    "receive_time",
];

/// Writes lines; the one of headings first.
#[derive(Debug, Default)]
pub(super) struct Csv {
    begun: bool,
}

impl Csv {
    fn begin<'a>(&mut self, out: &'a mut Vec<u8>) -> Result<csv::Writer<&'a mut Vec<u8>>, ExportError> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        if !std::mem::replace(&mut self.begun, true) {
            writer.write_record(COLUMNS)?;
        }
        Ok(writer)
    }
}

impl Encoder for Csv {
    fn page(&mut self, page: &Page<'_>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        let mut writer = self.begin(out)?;
        for row in page.captures.iter().flat_map(row::rows) {
            let capture = row.capture;
            writer.write_record([
                capture.meter.as_str(),
                &capture.profile.map(|profile| profile.to_string()).unwrap_or_default(),
                &row::moment(capture.time),
                &capture.clock.map(|clock| clock.to_string()).unwrap_or_default(),
                &row.column.class.0.to_string(),
                &row.column.obis.to_string(),
                &row.column.attribute.0.to_string(),
                &row.column.data_index.to_string(),
                &row.text(),
                row.unit(),
                &capture.status.map(|status| status.to_string()).unwrap_or_default(),
                &row::flags(capture.flags),
                row::source(capture.source),
                &capture.revision.to_string(),
                &row::moment(capture.received),
            ])?;
        }
        Ok(writer.flush()?)
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        Ok(self.begin(out)?.flush()?)
    }
}
