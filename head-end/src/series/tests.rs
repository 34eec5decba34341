use std::sync::Arc;

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId},
    obis::ObisCode,
    unit::{ScalerUnit, Unit},
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rust_decimal::Decimal;

use super::*;
use crate::{
    meter::{MeterId, TimeBasis},
    operation::CaptureColumn,
    store::{CaptureFlags, Source, StoredCapture},
};

const ENERGY: ObisCode = ObisCode([1, 0, 1, 8, 0, 255]);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn sample(time: Timestamp, value: &str) -> Sample {
    Sample { time, value: decimal(value), unit: Some(Unit(30)), modulus: None, status: None }
}

fn all(resampler: &mut Resampler, samples: impl IntoIterator<Item = Sample>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = samples.into_iter().filter_map(|sample| resampler.push(sample)).collect();
    buckets.extend(resampler.finish());
    buckets
}

fn capture(value: Value, scaler: i8) -> StoredCapture {
    let column = CaptureColumn {
        class: ClassId(3),
        obis: ENERGY,
        attribute: AttributeId(2),
        data_index: 0,
        scaler_unit: Some(ScalerUnit { scaler, unit: Unit(30) }),
    };
    StoredCapture {
        meter: MeterId::try_new("a").unwrap(),
        profile: None,
        time: at("2026-03-01T00:00:00Z"),
        time_basis: TimeBasis::MeterDeviation,
        clock: None,
        status: None,
        flags: CaptureFlags::default(),
        source: Source::Polled,
        revision: 1,
        received: at("2026-03-01T00:00:00Z"),
        columns: Arc::from([column]),
        values: vec![value],
    }
}

#[test]
fn values_are_exact_with_their_scaler() {
    let read = |value, scaler| Channel::value_of(ENERGY).sample(&capture(value, scaler)).map(|s| s.value.to_string());
    assert_eq!(read(Value::DoubleLongUnsigned(1_234_567), -3).as_deref(), Some("1234.567"));
    assert_eq!(read(Value::Long64Unsigned(u64::MAX), 3).as_deref(), Some("18446744073709551615000"));
    assert_eq!(read(Value::Float32(1.1), 0).as_deref(), Some("1.1"));
    assert_eq!(read(Value::Float64(f64::NAN), 0), None);
    assert_eq!(read(Value::OctetString(vec![1]), 0), None);
    assert_eq!(read(Value::Unsigned(1), 127), None);
    assert_eq!(read(Value::Unsigned(1), -128), None);
}

#[test]
fn a_day_in_spring_has_23_hours_and_one_in_autumn_25() {
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    for (noon, hours) in [("2026-03-29T10:00:00Z", 23), ("2026-10-25T11:00:00Z", 25), ("2026-06-01T10:00:00Z", 24)] {
        let (start, end) = Resolution::Day.around(at(noon), &zone).unwrap();
        assert_eq!(end.duration_since(start).as_hours(), hours, "{noon}");
        let mut count = 0;
        let mut moment = start;
        while moment < end {
            let (begin, next) = Resolution::Hour.around(moment + 1.minute(), &zone).unwrap();
            assert_eq!(begin, moment);
            moment = next;
            count += 1;
        }
        assert_eq!(count, hours, "{noon}");
    }
}

#[test]
fn a_capture_at_a_boundary_tells_of_the_time_before_it() {
    let utc = TimeZone::UTC;
    let midnight = at("2026-02-01T00:00:00Z");
    assert_eq!(Resolution::Day.around(midnight, &utc), Some((at("2026-01-31T00:00:00Z"), midnight)));
    assert_eq!(Resolution::Month.around(midnight, &utc), Some((at("2026-01-01T00:00:00Z"), midnight)));
    let quarter = Resolution::minutes(15).unwrap();
    assert_eq!(quarter.around(at("2026-02-01T00:07:00Z"), &utc), Some((midnight, at("2026-02-01T00:15:00Z"))));
    assert_eq!(Resolution::minutes(7), Err(ResolutionError(7)));
    assert_eq!(Resolution::minutes(0), Err(ResolutionError(0)));
}

#[test]
fn the_end_of_time_has_no_bucket_and_no_panic() {
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    for time in [Timestamp::MIN, Timestamp::MAX] {
        for resolution in [Resolution::Minutes(15), Resolution::Hour, Resolution::Day, Resolution::Month] {
            let _ = resolution.around(time, &zone);
            let mut resampler = Resampler::new(resolution, zone.clone(), Method::Sum);
            let _ = resampler.push(sample(time, "1"));
        }
    }
}

#[test]
fn consumption_of_a_year_by_month_is_what_the_register_counted() {
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    let mut time = "2025-12-31T23:00:00Z".parse::<Timestamp>().unwrap();
    let end = at("2026-12-31T23:00:00Z");
    let mut samples = Vec::new();
    let mut count = 0_i64;
    while time <= end {
        samples.push(sample(time, &count.to_string()));
        (time, count) = (time + 15.minutes(), count + 1);
    }
    let mut resampler = Resampler::new(Resolution::Month, zone, Method::Difference(Counter::default()));
    let buckets = all(&mut resampler, samples);
    // The reading at the very beginning closes a month of which nothing else is known.
    assert!(buckets[0].incomplete && buckets[0].value.is_none());
    let months = &buckets[1..];
    assert_eq!(months.len(), 12);
    assert!(months.iter().all(|month| !month.incomplete && month.anomaly.is_none()));
    let total: Decimal = months.iter().map(|month| month.value.unwrap()).sum();
    assert_eq!(total, Decimal::from(365 * 96));
    // March has an hour less, October one more.
    assert_eq!(months[2].value, Some(Decimal::from(31 * 96 - 4)));
    assert_eq!(months[9].value, Some(Decimal::from(31 * 96 + 4)));
}

#[test]
fn a_gap_over_a_boundary_leaves_both_sides_open_and_the_rest_whole() {
    let times = ["00:00", "01:00", "01:30", "02:30", "03:00", "04:00"];
    let samples =
        times.iter().enumerate().map(|(n, time)| sample(at(&format!("2026-01-01T{time}:00Z")), &n.to_string()));
    let mut resampler = Resampler::new(Resolution::Hour, TimeZone::UTC, Method::Difference(Counter::default()));
    let hours: Vec<_> = all(&mut resampler, samples).into_iter().map(|hour| (hour.value, hour.incomplete)).collect();
    let one = Some(Decimal::ONE);
    assert_eq!(hours, [(None, true), (one, false), (None, true), (None, true), (one, false)]);
}

#[test]
fn a_full_register_begins_again_and_a_reset_one_is_told() {
    let counter = Counter::default();
    let difference = |before: &str, after: &str| {
        counter.difference(&sample(at("2026-01-01T00:00:00Z"), before), &sample(at("2026-01-01T01:00:00Z"), after))
    };
    assert_eq!(difference("99999.8", "0.4"), Ok(decimal("0.6")));
    assert_eq!(difference("999999", "1"), Ok(decimal("2")));
    assert_eq!(difference("5000", "1"), Err(Anomaly::NonMonotonic));
    assert_eq!(difference("999999", "800000"), Err(Anomaly::NonMonotonic));
    let binary = |value: u32| Sample {
        modulus: Some(Decimal::from(1_u64 << 32)),
        ..sample(at("2026-01-01T00:00:00Z"), &value.to_string())
    };
    assert_eq!(counter.difference(&binary(u32::MAX - 1), &binary(8)), Ok(decimal("10")));
    let known = Counter { capacity: Some(decimal("6000")) };
    assert_eq!(known.difference(&binary(5000), &binary(1)), Ok(decimal("1001")));
    assert_eq!(known.difference(&binary(7000), &binary(1)), Err(Anomaly::NonMonotonic));
}

#[test]
fn what_went_back_has_no_difference() {
    let times = ["00:00", "00:30", "01:00", "02:00"];
    let samples = times.iter().zip(["50", "20", "30", "31"]);
    let samples = samples.map(|(time, value)| sample(at(&format!("2026-01-01T{time}:00Z")), value));
    let mut resampler = Resampler::new(Resolution::Hour, TimeZone::UTC, Method::Difference(Counter::default()));
    let hours = all(&mut resampler, samples);
    assert_eq!((hours[1].value, hours[1].anomaly), (None, Some(Anomaly::NonMonotonic)));
    assert_eq!(hours[2].value, Some(Decimal::ONE));
}

#[test]
fn methods_and_units() {
    let samples = || {
        ["00:15", "00:30", "01:00"]
            .iter()
            .zip(["4", "1", "4"])
            .map(|(time, value)| sample(at(&format!("2026-01-01T{time}:00Z")), value))
    };
    let of = |method| all(&mut Resampler::new(Resolution::Hour, TimeZone::UTC, method), samples()).remove(0);
    assert_eq!(of(Method::Sum).value, Some(decimal("9")));
    assert_eq!(of(Method::Mean).value, Some(decimal("3")));
    assert_eq!(of(Method::Minimum).value, Some(decimal("1")));
    assert_eq!(of(Method::Maximum).value, Some(decimal("4")));
    let last = of(Method::Last);
    assert_eq!((last.value, last.unit, last.samples), (Some(decimal("4")), Some(Unit(30)), 3));
    let mixed = samples().chain([Sample { unit: Some(Unit(27)), ..sample(at("2026-01-01T01:00:00Z"), "9") }]);
    // A second sample of the same moment is passed over.
    let bucket = all(&mut Resampler::new(Resolution::Hour, TimeZone::UTC, Method::Sum), mixed).remove(0);
    assert_eq!((bucket.value, bucket.unit), (Some(decimal("9")), Some(Unit(30))));
    let huge =
        [sample(at("2026-01-01T00:10:00Z"), "79228162514264337593543950335"), sample(at("2026-01-01T00:20:00Z"), "1")];
    let bucket = all(&mut Resampler::new(Resolution::Hour, TimeZone::UTC, Method::Sum), huge).remove(0);
    assert_eq!((bucket.value, bucket.anomaly), (None, Some(Anomaly::OutOfRange)));
}
