use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::obis::ObisCode;
use crate::unit::Decimal;

/// A value to be written, with what reading it gives.
#[derive(Clone, Debug)]
enum Written {
    Number(i64, NumberFormat),
    Time([u8; 6], bool),
    Octets(Vec<u8>),
    Text(String),
}

fn value() -> impl Strategy<Value = Written> {
    let unit = prop::sample::select(std::vec![
        PrintedUnit::NONE,
        PrintedUnit::KILOWATT_HOUR,
        PrintedUnit::KILOWATT,
        PrintedUnit::KILOVAR,
        PrintedUnit::VOLT,
        PrintedUnit::CUBIC_METRE,
        PrintedUnit::GIGAJOULE,
    ]);
    let number = (-999_999_i64..1_000_000, 6_u8..20, 0_u8..6, unit).prop_map(|(digits, width, places, unit)| {
        Written::Number(digits, NumberFormat { digits: width, places, unit })
    });
    prop_oneof![
        number,
        (prop::array::uniform6(0_u8..100), any::<bool>()).prop_map(|(fields, summer)| Written::Time(fields, summer)),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Written::Octets),
        "[ \"-'*-.0-~]{0,20}".prop_map(Written::Text),
    ]
}

/// Writes a telegram of objects with their values. Numbers are given in the last place of their format.
fn write(objects: &[([u8; 6], Vec<Written>)], crc: bool) -> Vec<u8> {
    let mut buffer = std::vec![0; 65_536];
    let mut writer = TelegramWriter::new(&mut buffer, "TST5\\GENERATED").unwrap();
    for (code, values) in objects {
        writer.object(ObisCode(*code)).unwrap();
        for value in values {
            match value {
                Written::Number(digits, format) => {
                    let exponent = format.unit.power - i8::try_from(format.places).unwrap();
                    writer.number(Decimal { digits: (*digits).into(), exponent }, *format).unwrap()
                }
                Written::Time(fields, summer) => writer.time(time(fields, *summer)).unwrap(),
                Written::Octets(octets) => writer.octets(octets).unwrap(),
                Written::Text(text) => writer.text(text).unwrap(),
            };
        }
    }
    if crc { writer.finish() } else { writer.finish_without_crc() }.unwrap().to_vec()
}

fn time(fields: &[u8; 6], summer: bool) -> Timestamp {
    let mut text: String = fields.iter().map(|field| format!("{field:02}")).collect();
    text.push(if summer { 'S' } else { 'W' });
    Timestamp::from_text(&text).unwrap()
}

fn objects() -> impl Strategy<Value = Vec<([u8; 6], Vec<Written>)>> {
    prop::collection::vec((any::<[u8; 6]>(), prop::collection::vec(value(), 1..6)), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reading_is_the_inverse_of_writing(written in objects(), crc: bool) {
        let octets = write(&written, crc);
        let rule = if crc { CrcRule::Required } else { CrcRule::IfPresent };
        let telegram = Telegram::parse(&octets, rule).unwrap();
        prop_assert_eq!(telegram.identification(), "TST5\\GENERATED");
        prop_assert_eq!(telegram.lines().count(), written.len());
        for (object, (code, values)) in telegram.objects().zip(&written) {
            prop_assert_eq!(object.code(), ObisCode(*code));
            prop_assert_eq!(object.fields().count(), values.len());
            for (field, value) in object.fields().zip(values) {
                match value {
                    Written::Number(digits, format) => {
                        let read = Quantity::from_text(field.text()).unwrap();
                        let exponent = format.unit.power - i8::try_from(format.places).unwrap();
                        prop_assert_eq!(read.value, Decimal { digits: (*digits).into(), exponent });
                        prop_assert_eq!(read.unit, format.unit.unit);
                    }
                    Written::Time(fields, summer) => {
                        prop_assert_eq!(Timestamp::from_text(field.text()), Some(time(fields, *summer)));
                    }
                    Written::Octets(octets) => {
                        prop_assert_eq!(Hex::new(field.text()).unwrap().octets().collect::<Vec<_>>(), octets.as_slice());
                    }
                    Written::Text(text) => prop_assert_eq!(field.text(), text),
                }
            }
        }
    }

    /// Nothing that happens to a telegram with a check sum goes unseen.
    #[test]
    fn any_change_is_an_error(written in objects(), place: prop::sample::Index, to: u8, cut: prop::sample::Index) {
        let octets = write(&written, true);
        // Behind the check sum stands the end of the line, which does not matter.
        let checked = octets.len() - 2;
        let mut changed = octets.clone();
        let place = place.index(checked);
        changed[place] = to;
        if !changed[place].eq_ignore_ascii_case(&octets[place]) || place < checked - 4 && changed != octets {
            prop_assert!(Telegram::parse(&changed, CrcRule::Required).is_err());
        }
        prop_assert!(Telegram::parse(&octets[..cut.index(checked)], CrcRule::Required).is_err());
    }

    /// Whatever arrives, walking through all of it ends, and gives no more than it holds.
    #[test]
    fn no_octets_do_harm(octets in prop::collection::vec(any::<u8>(), 0..300), text in "[/!()*0-9:.\\-SW\r\n]{0,300}") {
        for octets in [&octets[..], text.as_bytes()] {
            for rule in [CrcRule::Required, CrcRule::IfPresent, CrcRule::Unpadded, CrcRule::Ignored] {
                let Ok(telegram) = Telegram::parse(octets, rule) else { continue };
                let values: Vec<_> =
                    telegram.objects().flat_map(|object| object.fields()).map(|field| field.value()).collect();
                prop_assert!(values.len() <= octets.len());
                let _ = (telegram.mbus_devices(), telegram.time(), telegram.version());
                let _ = (PowerFailures::of(&telegram).is_ok(), MonthlyPeaks::of(&telegram).is_ok());
            }
            let mut framer = Framer::new([0; 64], 10);
            let mut rest = octets;
            while !rest.is_empty() {
                let before = rest.len();
                rest = &rest[framer.handle_input(rest, crate::Instant::from_millis(0))..];
                let told = framer.poll_event();
                prop_assert!(rest.len() < before || told.is_some(), "no progress");
            }
        }
    }
}

/// The lines of the published examples, written value by value: octet for octet the same.
#[test]
fn published_lines_are_written_as_they_are_printed() {
    let format = |digits, places, unit| NumberFormat { digits, places, unit };
    let of = |digits, exponent| Decimal { digits, exponent };
    let time = |text| Timestamp::from_text(text).unwrap();
    let mut buffer = [0; 1024];
    let mut writer = TelegramWriter::new(&mut buffer, "ISk5\\2MT382-1000").unwrap();
    macro_rules! object {
        ($code:literal) => {
            writer.object(code($code)).unwrap()
        };
    }
    object!("0-0:96.1.1").octets(b"K8EG004046395507").unwrap();
    object!("0-0:17.0.0").number(of(16, 0), format(3, 0, PrintedUnit::AMPERE)).unwrap();
    object!("0-0:96.13.1").text("").unwrap();
    object!("0-1:24.1.0").text("3").unwrap();
    let gas = object!("0-1:24.3.0").time(time("090212160000")).unwrap().text("00").unwrap().text("60").unwrap();
    let gas = gas.text("1").unwrap().text("0-1:24.2.1").unwrap().text("m3").unwrap().next_line().unwrap();
    gas.number(of(1001, -3), format(8, 3, PrintedUnit::NONE)).unwrap();
    object!("0-1:24.4.0").text("1").unwrap();
    assert_eq!(std::str::from_utf8(writer.finish_without_crc().unwrap()), Ok(DSMR_3));

    let mut writer = TelegramWriter::new(&mut buffer, "ISk5\\2MT382-1000").unwrap();
    macro_rules! object {
        ($code:literal) => {
            writer.object(code($code)).unwrap()
        };
    }
    object!("1-3:0.2.8").text("50").unwrap();
    object!("0-0:1.0.0").time(time("101209113020W")).unwrap();
    object!("0-0:96.1.1").octets(b"K8EG004046395507").unwrap();
    object!("1-0:1.8.1").number(of(123_456_789, 0), format(9, 3, PrintedUnit::KILOWATT_HOUR)).unwrap();
    object!("0-0:96.14.0").text("0002").unwrap();
    object!("1-0:1.7.0").number(of(1193, 0), format(5, 3, PrintedUnit::KILOWATT)).unwrap();
    let log = object!("1-0:99.97.0").text("2").unwrap().text("0-0:96.7.19").unwrap();
    for (end, duration) in [("101208152415W", 240), ("101208151004W", 301)] {
        log.time(time(end)).unwrap().number(of(duration, 0), format(10, 0, PrintedUnit::SECOND)).unwrap();
    }
    object!("0-0:96.13.0").octets(b"012345").unwrap();
    object!("1-0:32.7.0").number(of(2201, -1), format(4, 1, PrintedUnit::VOLT)).unwrap();
    object!("1-0:31.7.0").number(of(1, 0), format(3, 0, PrintedUnit::AMPERE)).unwrap();
    object!("0-1:24.1.0").text("003").unwrap();
    object!("0-1:96.1.0").octets(b"2222ABCD123456789").unwrap();
    let gas = object!("0-1:24.2.1").time(time("101209112500W")).unwrap();
    gas.number(of(12_785_123, -3), format(8, 3, PrintedUnit::CUBIC_METRE)).unwrap();
    assert_eq!(writer.finish().unwrap(), with_crc(DSMR_5));
}

#[test]
fn the_writer_refuses_what_could_not_be_read_back() {
    let mut buffer = [0; 128];
    let format = |digits, places| NumberFormat { digits, places, unit: PrintedUnit::KILOWATT };
    let number = |digits, exponent, format| {
        let mut buffer = [0; 128];
        let mut writer = TelegramWriter::new(&mut buffer, "X").unwrap();
        writer.object(ObisCode::ACTIVE_IMPORT).unwrap().number(Decimal { digits, exponent }, format).map(|_| ())
    };
    assert_eq!(number(99_999, 0, format(5, 3)), Ok(()));
    assert_eq!(number(100_000, 0, format(5, 3)), Err(EncodeError::Number));
    assert_eq!(number(5, -1, format(5, 3)), Err(EncodeError::Number));
    assert_eq!(number(50, -1, format(5, 3)), Ok(()));
    assert_eq!(number(1, 0, format(3, 4)), Err(EncodeError::Number));
    assert_eq!(number(1, 127, format(5, 3)), Err(EncodeError::Number));
    assert_eq!(number(0, 0, format(255, 255)), Err(EncodeError::Number));

    assert_eq!(TelegramWriter::new(&mut buffer, "a/b").map(|_| ()), Err(EncodeError::Character));
    assert!(matches!(TelegramWriter::new(&mut [0; 3], "abc").map(|_| ()), Err(EncodeError::Full(_))));
    let mut writer = TelegramWriter::new(&mut buffer, "X").unwrap();
    assert_eq!(writer.text("a").map(|_| ()), Err(EncodeError::NoObject));
    assert_eq!(writer.next_line().map(|_| ()), Err(EncodeError::NoObject));
    writer.object(ObisCode::ACTIVE_IMPORT).unwrap();
    for text in ["(", ")", "!", "/", "\r", "\n", "\u{E9}"] {
        assert_eq!(writer.text(text).map(|_| ()), Err(EncodeError::Character), "{text:?}");
    }
}

/// Much of whatever could be looked at more than once. Were work to grow with the square of the length, this test would
/// take an hour; no clock is looked at.
#[test]
fn long_telegrams_of_anything_are_read_in_one_pass() {
    for part in [
        "1-0:1.8.0(1)\r\n",
        "(1)\r\n",
        "1-0:1.8.0",
        "((((",
        "()()",
        "\r\n\r\n",
        "0-1:24.2.1(",
        "1-0:99.97.0(1)(1)\n(1)\n",
        "0-3:96.1.0(3)\n",
        "/",
        "*",
    ] {
        for start in ["/X\r\n", "/X\r\n1-0:1.8.0(1)\r\n"] {
            let text = [start, &part.repeat(400_000 / part.len()), "\r\n!\r\n"].concat();
            let telegram = Telegram::parse(text.as_bytes(), CrcRule::IfPresent).unwrap();
            let fields: usize = telegram.objects().map(|object| object.fields().count()).sum();
            assert!(fields <= text.len());
            let _ = (telegram.mbus_devices(), telegram.version(), telegram.time());
            let _ = (PowerFailures::of(&telegram).is_ok(), MonthlyPeaks::of(&telegram).is_ok());
            let mut framer = Framer::new(std::vec![0; 500_000], 10);
            let mut rest = text.as_bytes();
            while !rest.is_empty() {
                rest = &rest[framer.handle_input(rest, crate::Instant::from_millis(0))..];
                framer.poll_event();
            }
        }
    }
}
