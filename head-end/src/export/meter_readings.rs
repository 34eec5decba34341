//! MeterReadings of IEC 61968-9, in XML and in JSON.
//!
//! Names, namespace and nesting are those of messages that utilities' systems exchange in public examples; the
//! standard's schema was not at hand. Each page of captures becomes one MeterReading: rows of a profile with a
//! fixed period are IntervalBlocks, one for each reading type, and everything else is Readings. A value without
//! a reading type refers to its OBIS code instead, so that nothing is left out.

use std::collections::BTreeMap;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use serde::Serialize;

use super::{
    Encoder, ExportError, Page, ReadingType,
    row::{self, Row},
};

/// Namespace of the message (IEC 61968-9, second edition).
const NAMESPACE: &str = "http://iec.ch/TC57/2011/MeterReadings#";

/// What is known of one meter from one page.
#[derive(Debug, Default, Serialize)]
struct MeterReading {
    #[serde(rename = "IntervalBlocks", skip_serializing_if = "Vec::is_empty")]
    interval_blocks: Vec<IntervalBlock>,
    #[serde(rename = "Meter")]
    meter: Meter,
    #[serde(rename = "Readings", skip_serializing_if = "Vec::is_empty")]
    readings: Vec<Reading>,
}

#[derive(Debug, Default, Serialize)]
struct Meter {
    #[serde(rename = "mRID")]
    mrid: String,
}

#[derive(Debug, Serialize)]
struct IntervalBlock {
    #[serde(rename = "IntervalReadings")]
    readings: Vec<Reading>,
    #[serde(rename = "ReadingType")]
    reading_type: Reference,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reading {
    source: &'static str,
    time_stamp: String,
    value: String,
    #[serde(rename = "ReadingType", skip_serializing_if = "Option::is_none")]
    reading_type: Option<Reference>,
}

#[derive(Debug, Serialize)]
struct Reference {
    #[serde(rename = "ref")]
    to: String,
}

impl MeterReading {
    fn of(page: &Page<'_>) -> Self {
        let mut blocks: BTreeMap<String, Vec<Reading>> = BTreeMap::new();
        let mut reading = Self::default();
        if let Some(first) = page.captures.first() {
            reading.meter.mrid = first.meter.to_string();
        }
        for row in page.captures.iter().flat_map(row::rows) {
            // The clock column of a profile is the time stamp of the others.
            if row.sample().is_none() && row.column.class.0 == 8 {
                continue;
            }
            let period = row.capture.profile.and_then(|profile| page.periods.get(&profile).copied()).unwrap_or(0);
            let to = reference(&row, period);
            if period == 0 {
                reading.readings.push(value(&row, Some(Reference { to })));
            } else {
                blocks.entry(to).or_default().push(value(&row, None));
            }
        }
        let block = |(to, readings)| IntervalBlock { readings, reading_type: Reference { to } };
        reading.interval_blocks = blocks.into_iter().map(block).collect();
        reading
    }
}

fn reference(row: &Row<'_>, period: u32) -> String {
    let column = row.column;
    let whole_value = column.attribute.0 == 2 && column.data_index == 0;
    let unit = column.scaler_unit.map(|scaler_unit| scaler_unit.unit);
    match unit.filter(|_| whole_value).and_then(|unit| ReadingType::of(column.obis, unit, period)) {
        Some(reading_type) => reading_type.to_string(),
        None if whole_value => column.obis.to_string(),
        None => format!("{} attribute {}.{}", column.obis, column.attribute.0, column.data_index),
    }
}

fn value(row: &Row<'_>, reading_type: Option<Reference>) -> Reading {
    Reading {
        source: row::source(row.capture.source),
        time_stamp: row::moment(row.capture.time),
        value: row.text(),
        reading_type,
    }
}

/// Writes XML.
#[derive(Debug, Default)]
pub(super) struct Xml {
    begun: bool,
}

type Output<'a> = Writer<&'a mut Vec<u8>>;

impl Xml {
    fn begin<'a>(&mut self, out: &'a mut Vec<u8>) -> std::io::Result<Output<'a>> {
        let mut writer = Writer::new(out);
        if !std::mem::replace(&mut self.begun, true) {
            writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
            let root = BytesStart::new("MeterReadings").with_attributes([("xmlns", NAMESPACE)]);
            writer.write_event(Event::Start(root))?;
        }
        Ok(writer)
    }
}

impl Encoder for Xml {
    fn page(&mut self, page: &Page<'_>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        let mut writer = self.begin(out)?;
        let reading = MeterReading::of(page);
        writer.create_element("MeterReading").write_inner_content(|writer| {
            for block in &reading.interval_blocks {
                writer.create_element("IntervalBlocks").write_inner_content(|writer| {
                    block.readings.iter().try_for_each(|reading| write_reading(writer, "IntervalReadings", reading))?;
                    refer(writer, &block.reading_type)
                })?;
            }
            writer.create_element("Meter").write_inner_content(|writer| text(writer, "mRID", &reading.meter.mrid))?;
            reading.readings.iter().try_for_each(|reading| write_reading(writer, "Readings", reading))
        })?;
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        self.begin(out)?.write_event(Event::End(BytesEnd::new("MeterReadings")))?;
        Ok(())
    }
}

fn write_reading(writer: &mut Output<'_>, name: &str, reading: &Reading) -> std::io::Result<()> {
    writer.create_element(name).write_inner_content(|writer| {
        text(writer, "source", reading.source)?;
        text(writer, "timeStamp", &reading.time_stamp)?;
        text(writer, "value", &reading.value)?;
        reading.reading_type.as_ref().map_or(Ok(()), |reading_type| refer(writer, reading_type))
    })?;
    Ok(())
}

fn text(writer: &mut Output<'_>, name: &str, content: &str) -> std::io::Result<()> {
    // A meter may send any character; XML 1.0 has no place for most control characters, escaped or not.
    let clean = content.replace(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r'), "\u{FFFD}");
    writer.create_element(name).write_text_content(BytesText::new(&clean))?;
    Ok(())
}

fn refer(writer: &mut Output<'_>, reading_type: &Reference) -> std::io::Result<()> {
    writer.create_element("ReadingType").with_attribute(("ref", reading_type.to.as_str())).write_empty()?;
    Ok(())
}

/// Writes JSON: `{"MeterReadings": {"MeterReading": […]}}`, with the names of the XML.
#[derive(Debug, Default)]
pub(super) struct Json {
    begun: bool,
}

impl Json {
    /// Begins the document or the next element of its list.
    fn begin(&mut self, out: &mut Vec<u8>) -> bool {
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            out.extend_from_slice(b"{\"MeterReadings\":{\"MeterReading\":[");
        }
        first
    }
}

impl Encoder for Json {
    fn page(&mut self, page: &Page<'_>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        if !self.begin(out) {
            out.push(b',');
        }
        Ok(serde_json::to_writer(out, &MeterReading::of(page))?)
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), ExportError> {
        self.begin(out);
        out.extend_from_slice(b"]}}");
        Ok(())
    }
}
