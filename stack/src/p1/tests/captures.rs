//! Telegrams of real meters, from the folder of captures where there is one.

use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{env, fs};

use super::*;
use crate::security::{KeySet, ReceiveFloor, RustCrypto, SecurityError, Suite};
use crate::unit::Unit;

struct Record {
    id: String,
    octets: Vec<u8>,
    json: serde_json::Value,
}

fn records() -> Vec<Record> {
    records_of("p1.jsonl")
}

fn records_of(file: &str) -> Vec<Record> {
    let folder = env::var("DLMS_CAPTURES")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures").to_string());
    let file = Path::new(&folder).join(file);
    let Ok(text) = fs::read_to_string(&file) else {
        std::eprintln!("{} is not there: nothing tested", file.display());
        return Vec::new();
    };
    let record = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let octets = hex::decode(json["hex"].as_str().unwrap()).unwrap();
        Record { id: json["id"].as_str().unwrap().to_string(), octets, json }
    };
    text.lines().map(record).collect()
}

/// Every line and every value of every telegram, damaged ones under the rule that does not look at the check sum.
#[test]
fn lines_and_values_are_those_of_another_decoder() {
    let mut seen = 0;
    for Record { id, octets, json } in records() {
        let Ok(telegram) = Telegram::parse(&octets, CrcRule::Ignored) else {
            assert_eq!(json["malformed"]["layer"], "link-framing", "{id}");
            continue;
        };
        let expected = &json["expect"]["p1"];
        assert_eq!(telegram.identification(), expected["ident"].as_str().unwrap(), "{id}");
        // The other decoder knows no codes with a value group F.
        let objects: Vec<_> = telegram.objects().filter(|object| !object.printed_code().contains('*')).collect();
        let lines = expected["lines"].as_array().unwrap();
        assert_eq!(objects.len(), lines.len(), "{id}");
        for (object, line) in objects.iter().zip(lines) {
            assert_eq!(object.printed_code(), line["obis"].as_str().unwrap(), "{id}");
            let texts: Vec<_> = object.fields().map(|field| field.text()).collect();
            let expected: Vec<_> = line["values"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            assert_eq!(texts, expected, "{id} {}", object.code());
        }
        seen += 1;

        let right = Telegram::parse(&octets, CrcRule::Required).is_ok();
        assert_eq!(right, json["verified"]["p1_crc"] == true, "{id}");
    }
    assert!(seen == 0 || seen >= 29, "{seen}");
}

/// What is printed with a unit is a number, and what has a season is a time: none of them is left as text.
#[test]
fn every_number_and_time_is_typed() {
    for Record { id, octets, .. } in records() {
        let Ok(telegram) = Telegram::parse(&octets, CrcRule::Ignored) else { continue };
        for object in telegram.objects() {
            for field in object.fields() {
                let (text, value) = (field.text(), field.value());
                let typed = match value {
                    Value::Number(_) => text.contains('*') || text.bytes().all(|octet| octet != b'*'),
                    Value::Time(_) => text.len() >= 12,
                    _ => !text.contains('*') && !text.ends_with(['S', 'W']),
                };
                assert!(typed, "{id} {} {value:?}", object.code());
            }
        }
    }
}

#[test]
fn the_unpadded_check_sum_of_a_heat_gateway() {
    for Record { octets, .. } in records().into_iter().filter(|record| record.id == "dsmrparser-warmtelink") {
        assert_eq!(Telegram::parse(&octets, CrcRule::Required), Err(TelegramError::CrcDigits));
        let telegram = Telegram::parse(&octets, CrcRule::Unpadded).unwrap();
        assert_eq!(telegram.crc(), Some(0x0B9F));
        let [heat, ..] = telegram.mbus_devices();
        assert_eq!((heat.device_type, heat.reading.unwrap().quantity.unit), (Some(4), Unit(25)));
    }
}

/// All telegrams on one line, in chunks: the framer finds each.
#[test]
fn a_stream_of_all_telegrams() {
    let records = records();
    let whole = |record: &&Record| Telegram::parse(&record.octets, CrcRule::Ignored).is_ok();
    let stream: Vec<u8> = records.iter().filter(whole).flat_map(|record| record.octets.clone()).collect();
    let mut framer = Framer::new([0; TELEGRAM_OCTETS_MAX], 2_000);
    let mut found = Vec::new();
    for chunk in stream.chunks(97) {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = &rest[framer.handle_input(rest, crate::Instant::from_millis(0))..];
            match framer.poll_event() {
                Some(Event::Telegram) => {
                    let octets = framer.octets();
                    let telegram = Telegram::parse(octets, CrcRule::Ignored).unwrap();
                    found.push(telegram.identification().to_string());
                }
                Some(event) => panic!("{event:?}"),
                None => {}
            }
        }
    }
    let expected: Vec<_> = records.iter().filter(whole).map(|r| r.json["expect"]["p1"]["ident"].clone()).collect();
    assert_eq!(found, expected);
}

/// Ciphered telegrams out of a stream, with the keys that belong to them: plaintext and lines are those of other
/// decoders.
#[test]
fn ciphered_telegrams_of_other_stacks() {
    let ciphered: Vec<_> =
        records_of("apdu.jsonl").into_iter().filter(|r| r.json["expect"]["p1"].is_object()).collect();
    for Record { id, octets, json } in &ciphered {
        let key = |name: &str| hex::decode(json["security"][name].as_str().unwrap()).unwrap();
        let keys = KeySet::new(Suite::Suite0, &key("block_cipher_key"), &key("auth_key")).unwrap();
        let mut framer = Framer::new([0; TELEGRAM_OCTETS_MAX], 2_000);
        let stream = [&[0xDB, 8, 0, 1][..], octets, b"/"].concat();
        let mut rest = &stream[..];
        while framer.poll_event() != Some(Event::Ciphered) {
            assert!(!rest.is_empty(), "{id}");
            rest = &rest[framer.handle_input(rest, crate::Instant::from_millis(0))..];
        }
        assert_eq!(framer.octets(), octets, "{id}");
        let mut decipherer = Decipherer::<RustCrypto>::new(&keys, ReceiveFloor::new(0)).unwrap();
        let telegram = decipherer.open(framer.octets()).unwrap_or_else(|error| panic!("{id}: {error}"));
        let expected = &json["expect"]["p1"];
        assert_eq!(telegram.identification(), expected["ident"].as_str().unwrap(), "{id}");
        assert_eq!(telegram.objects().count(), expected["lines"].as_array().unwrap().len(), "{id}");
        // The key or the counter of another meter.
        let other = KeySet::new(Suite::Suite0, &[1; 16], &key("auth_key")).unwrap();
        let mut wrong = Decipherer::<RustCrypto>::new(&other, ReceiveFloor::new(0)).unwrap();
        assert_eq!(
            wrong.open(&mut octets.clone()).map(|_| ()),
            Err(CipheredError::Security(SecurityError::Tag)),
            "{id}"
        );
        assert!(decipherer.open(&mut octets.clone()).is_err(), "{id} is taken twice");
    }
    assert!(ciphered.is_empty() || ciphered.len() >= 2);
}

#[test]
fn gas_and_history_of_a_flemish_meter() {
    for Record { octets, .. } in records().into_iter().filter(|record| record.id == "dsmrparser-fluvius-171") {
        let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
        assert_eq!(telegram.version(), Some("50217"));
        let peaks: Vec<_> = MonthlyPeaks::of(&telegram).unwrap().unwrap().collect();
        let demands: Vec<_> = peaks.iter().map(|peak| peak.demand.value.digits).collect();
        assert_eq!(demands, [3695, 5980, 4318]);
        let [gas, water, ..] = telegram.mbus_devices();
        assert_eq!(gas.reading.unwrap().quantity.value.to_string(), "112.384");
        assert_eq!((water.device_type, water.reading.unwrap().quantity.value.digits), (Some(7), 872_234));
    }
}
