use std::{collections::HashMap, sync::Arc};

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    unit::{ScalerUnit, Unit},
};
use jiff::{Timestamp, ToSpan};

use super::*;
use crate::{
    meter::{MeterId, TimeBasis},
    operation::CaptureColumn,
    store::{CaptureFlags, Source, StoredCapture},
};

const PROFILE: ObisCode = ObisCode([1, 0, 99, 1, 0, 255]);

fn column(class: u16, obis: [u8; 6], unit: Option<u8>) -> CaptureColumn {
    let scaler_unit = unit.map(|unit| ScalerUnit { scaler: -1, unit: Unit(unit) });
    CaptureColumn { class: ClassId(class), obis: ObisCode(obis), attribute: AttributeId(2), data_index: 0, scaler_unit }
}

fn captures() -> Vec<StoredCapture> {
    let columns: Arc<[CaptureColumn]> = Arc::from([
        column(8, [0, 0, 1, 0, 0, 255], None),
        column(3, [1, 0, 1, 8, 0, 255], Some(30)),
        column(1, [0, 0, 96, 1, 0, 255], None),
    ]);
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let row = |n: u32| StoredCapture {
        meter: MeterId::try_new("m1").unwrap(),
        profile: Some(PROFILE),
        time: begin + (15 * i64::from(n)).minutes(),
        time_basis: TimeBasis::MeterDeviation,
        clock: None,
        status: Some(8),
        flags: CaptureFlags::STATUS,
        source: Source::Polled,
        revision: 1,
        received: begin,
        columns: Arc::clone(&columns),
        values: vec![
            Value::OctetString(vec![0; 12]),
            Value::DoubleLongUnsigned(1234 + n),
            Value::VisibleString(b"<a>, \"b\"\0&".to_vec()),
        ],
    };
    (0..3).map(row).collect()
}

fn file(format: Format) -> Vec<u8> {
    let captures = captures();
    let mut encoder = format.encoder().unwrap();
    let mut out = Vec::new();
    let periods = HashMap::from([(PROFILE, 900)]);
    encoder.page(&Page { captures: &captures[..2], periods: &periods }, &mut out).unwrap();
    encoder.page(&Page { captures: &captures[2..], periods: &HashMap::new() }, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

#[test]
fn lines_of_csv_are_read_back_by_a_reader_of_csv() {
    let octets = file(Format::Csv);
    let mut reader = ::csv::Reader::from_reader(octets.as_slice());
    assert_eq!(reader.headers().unwrap(), &::csv::StringRecord::from(csv::COLUMNS.to_vec()));
    let lines: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 9);
    assert_eq!(&lines[1][2], "2026-03-01T00:00:00.000Z");
    assert_eq!((&lines[1][8], &lines[1][9], &lines[1][10], &lines[1][11]), ("123.4", "Wh", "8", "STATUS"));
    assert_eq!(&lines[2][8], "<a>, \"b\"\0&");
}

/// The elements of a document in order, with their texts and references.
fn elements(octets: &[u8]) -> Vec<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(octets);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => found.push(tag.name().as_ref().to_owned()),
            Event::Empty(tag) => {
                let attribute = tag.attributes().next().unwrap().unwrap();
                found.push(format!("@{}", attribute.value));
            }
            Event::Text(text) => found.push(format!("={}", &*text)),
            Event::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn meter_readings_in_xml_are_intervals_or_readings_and_lose_nothing() {
    let octets = file(Format::MeterReadingsXml);
    let found = elements(&octets);
    assert_eq!(&found[..4], ["MeterReadings", "MeterReading", "IntervalBlocks", "IntervalReadings"]);
    let count = |name: &str| found.iter().filter(|found| *found == name).count();
    // Two rows of two values each as intervals, one row as readings.
    assert_eq!((count("IntervalReadings"), count("Readings"), count("MeterReading")), (4, 2, 2));
    assert_eq!(count("@0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"), 1);
    assert_eq!(count("@0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"), 1);
    assert_eq!(count("=123.4") + count("=123.5") + count("=123.6"), 3);
    assert!(!octets.contains(&0), "no octet that XML has no place for");
}

#[test]
fn meter_readings_in_json_say_the_same() {
    let document: serde_json::Value = serde_json::from_slice(&file(Format::MeterReadingsJson)).unwrap();
    let readings = document["MeterReadings"]["MeterReading"].as_array().unwrap();
    assert_eq!(readings.len(), 2);
    assert_eq!(readings[0]["Meter"]["mRID"], "m1");
    let block = readings[0]["IntervalBlocks"].as_array().unwrap();
    assert!(block.iter().any(|block| block["ReadingType"]["ref"] == "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
        && block["IntervalReadings"][1]["value"] == "123.5"));
    assert_eq!(readings[1]["Readings"][0]["ReadingType"]["ref"], "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0");
}

#[test]
fn a_file_of_nothing_is_a_file() {
    for format in [Format::Csv, Format::MeterReadingsXml, Format::MeterReadingsJson] {
        let mut out = Vec::new();
        format.encoder().unwrap().finish(&mut out).unwrap();
        match format {
            Format::Csv => assert_eq!(::csv::Reader::from_reader(out.as_slice()).records().count(), 0),
            Format::MeterReadingsXml => assert_eq!(elements(&out), ["MeterReadings"]),
            _ => assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&out).unwrap()["MeterReadings"]["MeterReading"],
                serde_json::json!([])
            ),
        }
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_is_read_back_by_its_own_reader() {
    use ::parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::RowAccessor,
    };
    let octets = bytes::Bytes::from(file(Format::Parquet));
    let reader = SerializedFileReader::new(octets).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 9);
    assert_eq!(rows[1].get_string(0).unwrap(), "m1");
    assert_eq!(rows[1].get_timestamp_millis(2).unwrap(), captures()[0].time.as_millisecond());
    assert_eq!(rows[1].get_string(5).unwrap(), "1.0.1.8.0.255");
    assert_eq!((rows[1].get_double(8).unwrap(), rows[1].get_string(9).unwrap().as_str()), (123.4, "123.4"));
    assert!(rows[2].get_double(8).is_err(), "no number");
}
