//! COSEM values between the wire of the API and the stack.

use dlms::{
    axdr::{BitBuf, BitString, MAX_DEPTH, Value},
    time::{Date, DateTime, Time},
    unit::ScalerUnit,
};
use dlms_proto::v1::{self, value::Kind};

use super::parse::to_timestamp;

/// The value of a request.
pub(super) fn from_proto(value: &v1::Value) -> Result<Value, String> {
    from_nested(value, MAX_DEPTH)
}

fn from_nested(value: &v1::Value, depth: usize) -> Result<Value, String> {
    let kind = value.kind.as_ref().ok_or("has no field set")?;
    let depth = depth.checked_sub(1).ok_or_else(|| format!("values nest at most {MAX_DEPTH} deep"))?;
    let elements = |list: &v1::ValueList| -> Result<Vec<Value>, String> {
        let element = |(n, value)| from_nested(value, depth).map_err(|error| format!("element {n}: {error}"));
        list.elements.iter().enumerate().map(element).collect()
    };
    Ok(match kind {
        Kind::Null(_) => Value::Null,
        Kind::Array(list) => Value::Array(elements(list)?),
        Kind::Structure(list) => Value::Structure(elements(list)?),
        Kind::Boolean(value) => Value::Boolean(*value),
        Kind::BitString(bits) => Value::BitString(bit_string(bits)?),
        Kind::DoubleLong(value) => Value::DoubleLong(*value),
        Kind::DoubleLongUnsigned(value) => Value::DoubleLongUnsigned(*value),
        Kind::OctetString(octets) => Value::OctetString(octets.clone()),
        Kind::VisibleString(octets) => Value::VisibleString(octets.clone()),
        Kind::Utf8String(octets) => Value::Utf8String(octets.clone()),
        Kind::Bcd(value) => Value::Bcd(fit(*value, "bcd")?),
        Kind::Integer(value) => Value::Integer(fit(*value, "integer")?),
        Kind::Long(value) => Value::Long(fit(*value, "long")?),
        Kind::Unsigned(value) => Value::Unsigned(fit(*value, "unsigned")?),
        Kind::LongUnsigned(value) => Value::LongUnsigned(fit(*value, "long-unsigned")?),
        Kind::CompactArray(array) => compact_array(array)?,
        Kind::Long64(value) => Value::Long64(*value),
        Kind::Long64Unsigned(value) => Value::Long64Unsigned(*value),
        Kind::Enumerated(value) => Value::Enum(fit(*value, "enum")?),
        Kind::Float32(value) => Value::Float32(*value),
        Kind::Float64(value) => Value::Float64(*value),
        Kind::DateTime(time) => Value::DateTime(date_time(time)?),
        Kind::Date(octets) => Value::Date(Date::from_slice(octets).ok_or("a date has five octets")?),
        Kind::Time(octets) => Value::Time(Time::from_slice(octets).ok_or("a time has four octets")?),
        Kind::DeltaInteger(value) => Value::DeltaInteger(fit(*value, "delta-integer")?),
        Kind::DeltaLong(value) => Value::DeltaLong(fit(*value, "delta-long")?),
        Kind::DeltaDoubleLong(value) => Value::DeltaDoubleLong(*value),
        Kind::DeltaUnsigned(value) => Value::DeltaUnsigned(fit(*value, "delta-unsigned")?),
        Kind::DeltaLongUnsigned(value) => Value::DeltaLongUnsigned(fit(*value, "delta-long-unsigned")?),
        Kind::DeltaDoubleLongUnsigned(value) => Value::DeltaDoubleLongUnsigned(*value),
        Kind::DontCare(_) => Value::DontCare,
    })
}

fn fit<T: TryFrom<N>, N: Copy + std::fmt::Display>(value: N, name: &str) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{value} is outside the range of {name}"))
}

fn bit_string(bits: &v1::BitString) -> Result<BitBuf, String> {
    let count = bits.bits as usize;
    let octets = count.div_ceil(8);
    if octets != bits.octets.len() {
        return Err(format!("a bit-string of {count} bits has {octets} octets, not {}", bits.octets.len()));
    }
    BitString::new(&bits.octets, count).map(BitBuf::from).ok_or_else(|| "is not a bit-string".to_owned())
}

/// A compact array is checked by decoding what it would be on the line.
fn compact_array(array: &v1::CompactArray) -> Result<Value, String> {
    let mut octets = vec![19];
    octets.extend_from_slice(&array.type_description);
    // The length in the form that always has four octets behind the count of them.
    octets.push(0x84);
    let length = u32::try_from(array.contents.len()).map_err(|_| "is too long".to_owned())?;
    octets.extend_from_slice(&length.to_be_bytes());
    octets.extend_from_slice(&array.contents);
    Value::from_slice(&octets).map_err(|error| format!("is not a compact array: {error}"))
}

fn date_time(time: &v1::DateTime) -> Result<DateTime, String> {
    if time.octets.is_empty() {
        return time.text.parse().map_err(|_| format!("{:?} is not a date and time", time.text));
    }
    DateTime::from_slice(&time.octets).ok_or_else(|| "a date-time has twelve octets".to_owned())
}

/// The value for an answer.
pub(super) fn to_proto(value: &Value) -> v1::Value {
    // Recursion is bounded: what was decoded or parsed nests at most `MAX_DEPTH` deep.
    let list = |elements: &[Value]| v1::ValueList { elements: elements.iter().map(to_proto).collect() };
    let kind = match value {
        Value::Null => Kind::Null(0),
        Value::Array(elements) => Kind::Array(list(elements)),
        Value::Structure(elements) => Kind::Structure(list(elements)),
        Value::Boolean(value) => Kind::Boolean(*value),
        Value::BitString(bits) => {
            let bits = bits.as_bits();
            let count = u32::try_from(bits.len()).unwrap_or(u32::MAX);
            Kind::BitString(v1::BitString { octets: bits.as_bytes().to_vec(), bits: count })
        }
        Value::DoubleLong(value) => Kind::DoubleLong(*value),
        Value::DoubleLongUnsigned(value) => Kind::DoubleLongUnsigned(*value),
        Value::OctetString(octets) => Kind::OctetString(octets.clone()),
        Value::VisibleString(octets) => Kind::VisibleString(octets.clone()),
        Value::Utf8String(octets) => Kind::Utf8String(octets.clone()),
        Value::Bcd(value) => Kind::Bcd((*value).into()),
        Value::Integer(value) => Kind::Integer((*value).into()),
        Value::Long(value) => Kind::Long((*value).into()),
        Value::Unsigned(value) => Kind::Unsigned((*value).into()),
        Value::LongUnsigned(value) => Kind::LongUnsigned((*value).into()),
        Value::CompactArray(array) => {
            let array = array.as_compact();
            Kind::CompactArray(v1::CompactArray {
                type_description: array.description().to_vec(),
                contents: array.contents().to_vec(),
            })
        }
        Value::Long64(value) => Kind::Long64(*value),
        Value::Long64Unsigned(value) => Kind::Long64Unsigned(*value),
        Value::Enum(value) => Kind::Enumerated((*value).into()),
        Value::Float32(value) => Kind::Float32(*value),
        Value::Float64(value) => Kind::Float64(*value),
        Value::DateTime(time) => Kind::DateTime(to_date_time(*time)),
        Value::Date(date) => Kind::Date(date.to_bytes().to_vec()),
        Value::Time(time) => Kind::Time(time.to_bytes().to_vec()),
        Value::DeltaInteger(value) => Kind::DeltaInteger((*value).into()),
        Value::DeltaLong(value) => Kind::DeltaLong((*value).into()),
        Value::DeltaDoubleLong(value) => Kind::DeltaDoubleLong(*value),
        Value::DeltaUnsigned(value) => Kind::DeltaUnsigned((*value).into()),
        Value::DeltaLongUnsigned(value) => Kind::DeltaLongUnsigned((*value).into()),
        Value::DeltaDoubleLongUnsigned(value) => Kind::DeltaDoubleLongUnsigned(*value),
        Value::DontCare => Kind::DontCare(v1::DontCare {}),
    };
    v1::Value { kind: Some(kind) }
}

pub(super) fn to_date_time(time: DateTime) -> v1::DateTime {
    let utc = time.to_unix_seconds().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    v1::DateTime {
        octets: time.to_bytes().to_vec(),
        text: time.to_string(),
        utc: utc.map(to_timestamp),
        deviation_min: time.deviation_minutes().map(Into::into),
        clock_status: time.status().map(|status| status.0.into()),
    }
}

pub(super) fn to_scaler_unit(of: ScalerUnit) -> v1::ScalerUnit {
    v1::ScalerUnit {
        scaler: of.scaler.into(),
        unit: of.unit.0.into(),
        symbol: of.unit.symbol().unwrap_or_default().to_owned(),
    }
}

/// The value times ten to the power of the scaler, as text; empty for what is not a number.
pub(super) fn decimal(value: &Value, scaler_unit: Option<ScalerUnit>) -> String {
    let scaler_unit = scaler_unit.unwrap_or(ScalerUnit::NONE);
    let Some(data) = value.as_data() else { return String::new() };
    match value {
        Value::Boolean(_) | Value::Enum(_) | Value::BitString(_) => String::new(),
        Value::Float32(_) | Value::Float64(_) => {
            data.as_f64().map_or_else(String::new, |value| scaler_unit.apply(value).to_string())
        }
        _ => data.as_i128().map_or_else(String::new, |value| scaler_unit.decimal(value).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use dlms::unit::Unit;

    use super::*;

    fn everything() -> Vec<Value> {
        vec![
            Value::Null,
            Value::Array(vec![Value::Unsigned(1), Value::Unsigned(255)]),
            Value::Structure(vec![Value::Null, Value::Structure(vec![])]),
            Value::Boolean(true),
            Value::BitString([true, false, true].into_iter().collect()),
            Value::DoubleLong(i32::MIN),
            Value::DoubleLongUnsigned(u32::MAX),
            Value::OctetString(vec![0, 255]),
            Value::VisibleString(b"ISK".to_vec()),
            Value::Utf8String("ä".as_bytes().to_vec()),
            Value::Bcd(0x99),
            Value::Integer(-128),
            Value::Long(i16::MIN),
            Value::Unsigned(255),
            Value::LongUnsigned(u16::MAX),
            Value::from_slice(&[19, 18, 4, 0, 1, 0, 2]).unwrap(),
            Value::Long64(i64::MIN),
            Value::Long64Unsigned(u64::MAX),
            Value::Enum(255),
            Value::Float32(1.5),
            Value::Float64(-0.1),
            Value::DateTime(DateTime::from_bytes(&[0xFF; 12])),
            Value::Date(Date::from_bytes(&[7, 0xEA, 11, 21, 6])),
            Value::Time(Time::from_bytes(&[1, 2, 3, 4])),
            Value::DeltaInteger(-1),
            Value::DeltaLong(-1),
            Value::DeltaDoubleLong(-1),
            Value::DeltaUnsigned(1),
            Value::DeltaLongUnsigned(1),
            Value::DeltaDoubleLongUnsigned(1),
            Value::DontCare,
        ]
    }

    #[test]
    fn every_type_goes_both_ways() {
        for value in everything() {
            assert_eq!(from_proto(&to_proto(&value)).as_ref(), Ok(&value));
        }
    }

    #[test]
    fn numbers_outside_their_type_are_refused() {
        let refused = |kind| from_proto(&v1::Value { kind: Some(kind) }).is_err();
        assert!(refused(Kind::Unsigned(256)) && refused(Kind::Integer(128)) && refused(Kind::Long(40_000)));
        assert!(refused(Kind::LongUnsigned(65_536)) && refused(Kind::Enumerated(256)) && refused(Kind::Bcd(256)));
        assert!(refused(Kind::Date(vec![0; 4])) && refused(Kind::Time(vec![0; 5])));
        assert!(refused(Kind::BitString(v1::BitString { octets: vec![0], bits: 9 })));
        assert!(refused(Kind::DateTime(v1::DateTime { octets: vec![0; 11], ..Default::default() })));
        assert!(refused(Kind::CompactArray(v1::CompactArray { type_description: vec![], contents: vec![1] })));
        assert!(from_proto(&v1::Value { kind: None }).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let nest = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Structure(vec![inner]));
        assert!(from_proto(&to_proto(&nest(MAX_DEPTH - 1))).is_ok());
        assert!(from_proto(&to_proto(&nest(MAX_DEPTH))).is_err());
    }

    #[test]
    fn decimals_are_exact_and_only_of_numbers() {
        let energy = Some(ScalerUnit { scaler: -3, unit: Unit(30) });
        assert_eq!(decimal(&Value::DoubleLongUnsigned(1_234_567), energy), "1234.567");
        assert_eq!(decimal(&Value::Long64Unsigned(u64::MAX), None), "18446744073709551615");
        assert_eq!(decimal(&Value::Float32(1.5), Some(ScalerUnit { scaler: 1, unit: Unit(30) })), "15");
        assert_eq!(decimal(&Value::OctetString(vec![1]), energy), "");
        assert_eq!(decimal(&Value::Boolean(true), energy), "");
    }
}
