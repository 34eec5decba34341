//! What telegrams become: those of the field, and what is wrong with others.

use dlms::{
    axdr::Value,
    obis::ObisCode,
    p1::{CrcRule, Telegram, crc16},
};
use jiff::tz::TimeZone;

use super::reading;

/// A telegram with its check sum.
fn summed(lines: &str) -> Vec<u8> {
    let mut octets = lines.replace('\n', "\r\n").into_bytes();
    octets.push(b'!');
    let crc = crc16(&octets);
    octets.extend(format!("{crc:04X}\r\n").into_bytes());
    octets
}

fn zone() -> TimeZone {
    TimeZone::get("Europe/Brussels").unwrap()
}

/// Class, value, and scaler with unit.
type Cell = (u16, Value, Option<(i8, u8)>);

/// A column of a telegram with its value.
fn cell(cells: &reading::Cells, code: ObisCode, attribute: i8, index: u16) -> Option<Cell> {
    let of = |column: &crate::operation::CaptureColumn| {
        column.obis == code && column.attribute.0 == attribute && column.data_index == index
    };
    let place = cells.columns.iter().position(of)?;
    let column = &cells.columns[place];
    let unit = column.scaler_unit.map(|unit| (unit.scaler, unit.unit.0));
    Some((column.class.0, cells.values[place].clone(), unit))
}

/// Lines as meters of Fluvius print them (e-MUCS 1.7.1), and some of others.
const LINES: &str = "/FLU5\\253769484_A\n\n0-0:96.1.4(50217)\n0-0:96.1.1(3153414733313031303231363035)\n\
    0-0:1.0.0(231026154730S)\n1-0:1.8.1(000000.034*kWh)\n1-0:1.6.0(200509134558S)(02.589*kW)\n\
    0-0:98.1.0(3)(1-0:1.6.0)(1-0:1.6.0)(200501000000S)(200423192538S)(03.695*kW)\
    (200401000000S)(200305122139S)(05.980*kW)(200301000000W)(632525252525W)(00.000*kW)\n\
    0-0:96.14.0(0001)\n0-0:96.3.10(1)\n1-1:31.4.0(100*A)(-063*A)\n0-0:96.13.0()\n\
    1-0:99.97.0(2)(0-0:96.7.19)(230723125646S)(0000000712*s)(000101000024W)(2147483647*s)\n\
    0-1:24.1.0(003)\n0-1:96.1.1(37464C4F32313139303333373333)\n0-1:24.4.0(1)\n0-1:24.2.3(231026154558S)(00112.384*m3)\n\
    0-2:24.1.0(007)\n0-2:96.1.1(3853414731323334353637383930)\n0-2:24.2.1(231026154559S)(00872.234*m3)\n\
    1-0:1.8.1(000000.035*kWh)\n";

#[test]
fn lines_become_columns_with_class_unit_and_capture_time() {
    let octets = summed(LINES);
    let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
    assert_eq!(reading::identifier(&telegram).unwrap().as_str(), "1SAG3101021605");
    let devices = reading::devices(&telegram);
    assert_eq!(
        devices.iter().map(|device| device.equipment.to_string()).collect::<Vec<_>>(),
        ["7FLO2119033733", "8SAG1234567890"]
    );
    // The second device is a meter of its own.
    let cells = reading::of_meter(&telegram, &[2], &zone());
    let energy = cell(&cells, ObisCode([1, 0, 1, 8, 1, 255]), 2, 0);
    assert_eq!(energy, Some((3, Value::DoubleLongUnsigned(35), Some((0, 30)))), "the last of repeated lines, in Wh");
    let gas = ObisCode([0, 1, 24, 2, 3, 255]);
    assert_eq!(cell(&cells, gas, 2, 0), Some((4, Value::DoubleLongUnsigned(112_384), Some((-3, 13)))));
    let Some((4, Value::OctetString(at), None)) = cell(&cells, gas, 5, 0) else { panic!("{cells:?}") };
    assert_eq!(at, hex::decode("07E70A1A040F2D3A00FF8880").unwrap());
    assert!(cell(&cells, ObisCode([0, 2, 24, 2, 1, 255]), 2, 0).is_none());
    assert!(cell(&cells, ObisCode([0, 2, 24, 1, 0, 255]), 9, 0).is_none());
    let month = cell(&cells, ObisCode([1, 0, 1, 6, 0, 255]), 2, 0);
    assert_eq!(month, Some((4, Value::DoubleLongUnsigned(2_589), Some((0, 27)))));
    assert_eq!(cell(&cells, ObisCode([0, 0, 96, 3, 10, 255]), 3, 0), Some((70, Value::Enum(1), None)));
    assert_eq!(cell(&cells, ObisCode([0, 1, 24, 1, 0, 255]), 9, 0), Some((72, Value::Unsigned(3), None)));
    let tariff = Value::VisibleString(b"0001".to_vec());
    assert_eq!(cell(&cells, ObisCode([0, 0, 96, 14, 0, 255]), 2, 0), Some((1, tariff, None)));
    let limits = ObisCode([1, 1, 31, 4, 0, 255]);
    assert_eq!(cell(&cells, limits, 2, 1), Some((3, Value::DoubleLongUnsigned(100), Some((0, 33)))));
    assert_eq!(cell(&cells, limits, 2, 2), Some((3, Value::DoubleLong(-63), Some((0, 33)))));
    // Identifiers, clock, logs and what is empty are no columns.
    assert_eq!(cells.columns.len(), 11, "{:?}", cells.columns);
}

#[test]
fn peaks_of_past_months_are_rows_and_long_failures_events() {
    let octets = summed(LINES);
    let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
    let peaks = reading::peaks(&telegram, &zone());
    let rows: Vec<_> = peaks.iter().map(|row| (row.time.to_string(), row.values[1].clone())).collect();
    assert_eq!(
        rows,
        [
            ("2020-04-30T22:00:00Z".to_owned(), Value::DoubleLongUnsigned(3_695)),
            ("2020-03-31T22:00:00Z".to_owned(), Value::DoubleLongUnsigned(5_980)),
        ],
        "a month without a peak has no row"
    );
    let failures = reading::failures(&telegram, &zone());
    assert_eq!(failures.len(), 1, "the time before the meter was installed is no failure: {failures:?}");
    assert_eq!((failures[0].end.time.to_string().as_str(), failures[0].duration_s), ("2023-07-23T10:56:46Z", 712));
}

/// Every telegram of real meters gives readings with units; the captures are not part of this tree, `DLMS_CAPTURES`
/// names their folder.
#[test]
fn captured_telegrams_give_their_energies() {
    let Some(folder) = std::env::var_os("DLMS_CAPTURES") else { return };
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("p1.jsonl")).unwrap();
    let mut read = 0;
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let octets = hex::decode(record["hex"].as_str().unwrap()).unwrap();
        let Ok(telegram) = Telegram::parse(&octets, CrcRule::Unpadded) else { continue };
        let cells = reading::of_meter(&telegram, &[], &zone());
        assert_eq!(cells.columns.len(), cells.values.len());
        let registers = telegram.objects().filter(|object| matches!(object.code().0, [1, _, 1 | 2, 8, ..]));
        for object in registers {
            let Some(quantity) = object.quantity() else { continue };
            let found =
                cell(&cells, object.code(), 2, 0).unwrap_or_else(|| panic!("{} of {}", object.code(), record["id"]));
            assert_eq!(found.2, Some((quantity.value.exponent, quantity.unit.0)), "{}", record["id"]);
        }
        read += 1;
    }
    assert!(read >= 20, "{read}");
}
