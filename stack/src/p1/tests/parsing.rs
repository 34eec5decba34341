use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::time::ClockStatus;
use crate::unit::{ScalerUnit, Unit};

fn quantity(text: &str) -> (std::string::String, Unit) {
    let quantity = Quantity::from_text(text).unwrap_or_else(|| panic!("{text}"));
    (quantity.value.to_string(), quantity.unit)
}

#[test]
fn the_check_sum_is_the_published_arc() {
    assert_eq!(crc16(b"123456789"), 0xBB3D);
    assert_eq!(crc16(b""), 0);
}

#[test]
fn values_are_typed_by_object_and_form() {
    let octets = with_crc(DSMR_5);
    let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
    assert_eq!(telegram.identification(), "ISk5\\2MT382-1000");
    assert_eq!(telegram.crc(), Some(crc16(DSMR_5.as_bytes())));
    assert_eq!(telegram.version(), Some("50"));
    let value = |text: &str, index| telegram.object(code(text)).unwrap().field(index).unwrap().value();

    let Value::Octets(id) = value("0-0:96.1.1", 0) else { panic!() };
    assert_eq!(id.to_string(), "K8EG004046395507");
    assert_eq!(id.write(&mut [0; 16]), Some(&b"K8EG004046395507"[..]));
    assert_eq!(id.write(&mut [0; 15]), None);
    let Value::Number(energy) = value("1-0:1.8.1", 0) else { panic!() };
    assert_eq!(energy.scaler_unit(), ScalerUnit { scaler: 0, unit: Unit::WATT_HOUR });
    assert_eq!(energy.value.digits, 123_456_789);
    assert_eq!(value("0-0:96.14.0", 0), Value::Text("0002"));
    assert_eq!(value("1-0:99.97.0", 1), Value::Obis(code("0-0:96.7.19")));
    let Value::Time(time) = value("0-1:24.2.1", 0) else { panic!() };
    assert_eq!(time.to_string(), "101209112500W");
    assert_eq!(telegram.time(), Timestamp::from_text("101209113020W"));
}

#[test]
fn numbers_are_exact_and_units_lose_their_prefix() {
    assert_eq!(quantity("000025.653*kWh"), ("25653".to_string(), Unit::WATT_HOUR));
    assert_eq!(quantity("006545766*Wh"), ("6545766".to_string(), Unit::WATT_HOUR));
    assert_eq!(quantity("00000044.813*kVArh"), ("44813".to_string(), Unit::VAR_HOUR));
    assert_eq!(quantity("069.0*kVA"), ("69000".to_string(), Unit::VOLT_AMPERE));
    assert_eq!(quantity("240.860*GJ"), ("240860000".to_string() + "000", Unit(25)));
    assert_eq!(quantity("33221.122*MJ"), ("33221122000".to_string(), Unit(25)));
    assert_eq!(quantity("00052185.7825309*kWh"), ("52185782.5309".to_string(), Unit::WATT_HOUR));
    assert_eq!(quantity("-063*A"), ("-63".to_string(), Unit::AMPERE));
    assert_eq!(quantity("50.00*Hz"), ("50.00".to_string(), Unit::HERTZ));
    assert_eq!(quantity("4.556"), ("4.556".to_string(), Unit::COUNT));
    assert_eq!(quantity("0.5*m3/h"), ("0.5".to_string(), Unit(15)));
    for text in ["", "*kWh", "1*furlong", "1.2.3", "--1", "1-", "+1", ".", "-", "1e3", "1*", "١"] {
        assert_eq!(Quantity::from_text(text), None, "{text}");
    }
    // 2^127 has 39 digits; more places than an exponent holds.
    assert_eq!(Quantity::from_text("170141183460469231731687303715884105728"), None);
    assert!(Quantity::from_text("-170141183460469231731687303715884105727").is_some());
    assert_eq!(Quantity::from_text(&("0.".to_string() + &"0".repeat(129))), None);
}

#[test]
fn lesson_13_times_keep_their_season() {
    let summer = Timestamp::from_text("200512135409S").unwrap();
    let moment = summer.date_time(-60).unwrap();
    assert_eq!((moment.deviation_minutes(), moment.status()), (Some(-120), Some(ClockStatus::DAYLIGHT_SAVING)));
    assert_eq!(moment.to_unix_seconds(), Some(1_589_284_449));
    let winter = Timestamp::from_text("101209113020W").unwrap().date_time(0).unwrap();
    assert_eq!((winter.deviation_minutes(), winter.hour()), (Some(0), Some(11)));
    // Without a letter the zone stays open.
    let bare = Timestamp::from_text("090212160000").unwrap();
    assert_eq!((bare.season(), bare.date_time(-60).unwrap().deviation_minutes()), (None, None));
    // No time at all, and a year with nothing in it.
    for text in ["632525252525W", "250000000000W"] {
        let time = Timestamp::from_text(text).unwrap();
        assert_eq!((time.local(), time.to_string().as_str()), (None, text));
    }
    for text in ["", "2005121354", "20051213540S", "200512135409X", "2005121354091", "20051213540aS", "200512135409SS"]
    {
        assert_eq!(Timestamp::from_text(text), None, "{text}");
    }
    assert_eq!(Timestamp::from_date_time(moment), Some(summer));
    assert_eq!(Timestamp::from_date_time(crate::time::DateTime::UNSPECIFIED), None);
}

#[test]
fn a_gas_reading_on_two_lines_is_one_object() {
    let telegram = Telegram::parse(DSMR_3.as_bytes(), CrcRule::IfPresent).unwrap();
    assert_eq!(telegram.lines().count(), 6);
    let gas = telegram.object(code("0-1:24.3.0")).unwrap();
    let texts: Vec<_> = gas.fields().map(|field| field.text()).collect();
    assert_eq!(texts, ["090212160000", "00", "60", "1", "0-1:24.2.1", "m3", "00001.001"]);
    let [device, second, ..] = telegram.mbus_devices();
    let reading = device.reading.unwrap();
    assert_eq!((device.device_type, device.valve, reading.code), (Some(3), Some(1), code("0-1:24.2.1")));
    assert_eq!((reading.quantity.value.to_string().as_str(), reading.quantity.unit), ("1.001", Unit::CUBIC_METRE));
    assert_eq!(reading.time.to_string(), "090212160000");
    assert!(second.is_absent());
    assert_eq!(telegram.object(code("0-0:96.13.1")).unwrap().field(0).unwrap().value(), Value::Empty);
    assert_eq!(telegram.version(), None);
}

#[test]
fn devices_on_several_channels() {
    let text = "/FLU5\\253769484_A\r\n\r\n0-1:24.1.0(003)\r\n0-1:96.1.1(37464C4F)\r\n0-1:96.1.2(3534)\r\n\
        0-1:24.2.3(200512134558S)(00112.384*m3)\r\n0-2:24.1.0(007)\r\n0-2:96.1.1()\r\n\
        0-2:24.2.1(632525252525W)(00000.000)\r\n0-4:24.2.1(200512134558S)(1*kWh)\r\n\
        0-4:24.2.1(200512134559S)(2*kWh)\r\n0-5:24.1.0(003)\r\n0-0:24.1.0(003)\r\n!";
    let octets = with_crc(text);
    let devices = Telegram::parse(&octets, CrcRule::Required).unwrap().mbus_devices();
    let [gas, water, none, electricity] = devices;
    assert_eq!((gas.device_type, gas.reading.unwrap().code), (Some(3), code("0-1:24.2.3")));
    assert_eq!(gas.equipment_id, Hex::new("37464C4F").map(Value::Octets));
    assert_eq!(gas.connection_id, Hex::new("3534").map(Value::Octets));
    assert_eq!((water.device_type, water.equipment_id, water.reading), (Some(7), Some(Value::Empty), None));
    assert!(none.is_absent());
    assert_eq!(electricity.reading.unwrap().quantity.value.digits, 2);
}

#[test]
fn logs() {
    let octets = with_crc(DSMR_5);
    let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
    let failures: Vec<_> = PowerFailures::of(&telegram).unwrap().unwrap().collect();
    assert_eq!(failures.len(), 2);
    assert_eq!((failures[1].end.to_string().as_str(), failures[1].duration_s), ("101208151004W", 301));
    assert!(MonthlyPeaks::of(&telegram).unwrap().is_none());

    let line = |text: &str| {
        let octets = with_crc(&("/X\r\n\r\n".to_string() + text + "\r\n!"));
        let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
        PowerFailures::of(&telegram).map(|log| log.unwrap().len())
    };
    for empty in ["1-0:99.97.0(0)()", "1-0:99.97.0(0)(0-0:96.7.19)", "1-0:99.97.0(0)", "1-0:99.97.0(00000)()"] {
        assert_eq!(line(empty), Ok(0), "{empty}");
    }
    assert_eq!(line("1-0:99.97.0(x)()"), Err(LogError::NoCount));
    assert_eq!(line("1-0:99.97.0(256)()"), Err(LogError::NoCount));
    assert_eq!(
        line("1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(240*s)"),
        Err(LogError::Count { announced: 2, found: 1 })
    );
    assert_eq!(
        line("1-0:99.97.0(1)(0-0:96.7.19)(101208152415W)(240*s)(101208152415W)"),
        Err(LogError::Entry { index: 1 })
    );
    assert_eq!(line("1-0:99.97.0(1)(0-0:96.7.19)(240*s)(101208152415W)"), Err(LogError::Entry { index: 0 }));
    assert_eq!(line("1-0:99.97.0(1)(0-0:96.7.19)(101208152415W)(2.5*s)"), Err(LogError::Entry { index: 0 }));

    let text = "/FLU5X\r\n\r\n0-0:98.1.0(2)(1-0:1.6.0)(1-0:1.6.0)(200501000000S)(200423192538S)(03.695*kW)\
        (200401000000S)(632525252525W)(00.000*kW)\r\n!";
    let octets = with_crc(text);
    let telegram = Telegram::parse(&octets, CrcRule::Required).unwrap();
    let peaks: Vec<_> = MonthlyPeaks::of(&telegram).unwrap().unwrap().collect();
    assert_eq!((peaks[0].demand.value.to_string().as_str(), peaks[0].demand.unit), ("3695", Unit::WATT));
    assert_eq!((peaks[1].peak.local(), peaks.len()), (None, 2));
}

#[test]
fn lines_that_are_no_data_lines_are_kept() {
    let text = "/ABC5X\n\n1-0:4:24.7.0(0000.000*kVAr)\n(orphan)\n1-0:1.8.0*255(7)\n1-0:1.8.0\n1-0:2.8.0(1\n1.8.0(2)\n!";
    let telegram = Telegram::parse(text.as_bytes(), CrcRule::IfPresent).unwrap();
    let lines: Vec<_> = telegram
        .lines()
        .map(|line| match line {
            Line::Object(object) => object.printed_code(),
            Line::Other(text) => text,
        })
        .collect();
    let other = ["1-0:4:24.7.0(0000.000*kVAr)", "(orphan)"];
    assert_eq!(lines, [&other[..], &["1-0:1.8.0*255", "1-0:1.8.0", "1-0:2.8.0(1", "1.8.0"]].concat());
    assert_eq!(telegram.object(code("1-0:1.8.0")).unwrap().quantity().unwrap().value.digits, 2);
}

#[test]
fn lesson_12_the_receiver_chooses_how_strict_the_check_sum_is() {
    let good = with_crc(DSMR_5);
    let crc = crc16(DSMR_5.as_bytes());
    let rules = [CrcRule::Required, CrcRule::IfPresent, CrcRule::Unpadded, CrcRule::Ignored];
    let outcomes = |octets: &[u8]| rules.map(|rule| Telegram::parse(octets, rule).map(|_| ()));
    assert_eq!(outcomes(&good), [Ok(()); 4]);
    let ends = |end: &str| [DSMR_5.as_bytes(), end.as_bytes()].concat();
    assert_eq!(outcomes(&ends("\r\n")), [Err(TelegramError::NoCrc), Ok(()), Ok(()), Ok(())]);
    let wrong = Err(TelegramError::Crc { printed: crc ^ 1, computed: crc });
    assert_eq!(outcomes(&ends(&format!("{:04X}\r\n", crc ^ 1))), [wrong, wrong, wrong, Ok(())]);
    let digits = Err(TelegramError::CrcDigits);
    assert_eq!(outcomes(&ends("12G4\r\n")), [digits, digits, digits, Ok(())]);
    assert_eq!(outcomes(&ends("12345\r\n")), [digits, digits, digits, Ok(())]);
    assert_eq!(outcomes(&with_crc(DSMR_5).to_ascii_lowercase()[..3]), [Err(TelegramError::NoEnd); 4]);
    // Lower case, no end of line, and zeros behind, as captures have them.
    let lower = ends(&format!("{crc:04x}\0\0"));
    assert_eq!(outcomes(&lower), [Ok(()); 4]);

    // A leading zero that was left out: 1 in 16 telegrams has one.
    let short = (0..).map(|n| format!("/X{n}\r\n\r\n!")).find(|text| crc16(text.as_bytes()) < 0x1000).unwrap();
    let printed = format!("{short}{:X}\r\n", crc16(short.as_bytes()));
    assert_eq!(outcomes(printed.as_bytes()), [digits, digits, Ok(()), Ok(())]);
}

#[test]
fn what_is_no_telegram_says_why() {
    let parse = |octets: &[u8]| Telegram::parse(octets, CrcRule::IfPresent).map(|_| ());
    assert_eq!(parse(b""), Err(TelegramError::NoEnd));
    assert_eq!(parse(b"abc!\r\n"), Err(TelegramError::NoStart));
    assert_eq!(parse(b"ab/\xFF!\r\n"), Err(TelegramError::NotText { offset: 3 }));
    assert_eq!(parse(b"\0\r\n/!"), Ok(()));
    let empty = Telegram::parse(b"/!", CrcRule::IfPresent).unwrap();
    assert_eq!((empty.identification(), empty.lines().count()), ("", 0));
    let objects: Vec<Object<'_>> = empty.objects().collect();
    assert_eq!(objects, vec![]);
}
