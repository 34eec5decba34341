use super::*;
use crate::time::{Date, DateTime, Time};
use proptest::prelude::*;
use proptest::strategy::Union;

fn octets() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

fn simple() -> impl Strategy<Value = Value> {
    let tags: Vec<BoxedStrategy<Value>> = std::vec![
        Just(Value::Null).boxed(),
        Just(Value::DontCare).boxed(),
        any::<bool>().prop_map(Value::Boolean).boxed(),
        proptest::collection::vec(any::<bool>(), 0..40)
            .prop_map(|bits| Value::BitString(bits.into_iter().collect()))
            .boxed(),
        any::<i32>().prop_map(Value::DoubleLong).boxed(),
        any::<u32>().prop_map(Value::DoubleLongUnsigned).boxed(),
        octets().prop_map(Value::OctetString).boxed(),
        octets().prop_map(Value::VisibleString).boxed(),
        octets().prop_map(Value::Utf8String).boxed(),
        any::<u8>().prop_map(Value::Bcd).boxed(),
        any::<i8>().prop_map(Value::Integer).boxed(),
        any::<i16>().prop_map(Value::Long).boxed(),
        any::<u8>().prop_map(Value::Unsigned).boxed(),
        any::<u16>().prop_map(Value::LongUnsigned).boxed(),
        any::<i64>().prop_map(Value::Long64).boxed(),
        any::<u64>().prop_map(Value::Long64Unsigned).boxed(),
        any::<u8>().prop_map(Value::Enum).boxed(),
        any::<f32>().prop_map(Value::Float32).boxed(),
        any::<f64>().prop_map(Value::Float64).boxed(),
        any::<[u8; 12]>().prop_map(|octets| Value::DateTime(DateTime::from_bytes(&octets))).boxed(),
        any::<[u8; 5]>().prop_map(|octets| Value::Date(Date::from_bytes(&octets))).boxed(),
        any::<[u8; 4]>().prop_map(|octets| Value::Time(Time::from_bytes(&octets))).boxed(),
        any::<i8>().prop_map(Value::DeltaInteger).boxed(),
        any::<i16>().prop_map(Value::DeltaLong).boxed(),
        any::<i32>().prop_map(Value::DeltaDoubleLong).boxed(),
        any::<u8>().prop_map(Value::DeltaUnsigned).boxed(),
        any::<u16>().prop_map(Value::DeltaLongUnsigned).boxed(),
        any::<u32>().prop_map(Value::DeltaDoubleLongUnsigned).boxed(),
        compact().boxed(),
    ];
    Union::new(tags)
}

fn compact() -> impl Strategy<Value = Value> {
    proptest::collection::vec((any::<u16>(), octets()), 0..5).prop_map(|rows| {
        let mut contents = std::vec![];
        for (number, octets) in rows {
            contents.extend(number.to_be_bytes());
            let mut length = [0; 5];
            let mut writer = Writer::new(&mut length);
            writer.length(octets.len()).unwrap();
            contents.extend(writer.written());
            contents.extend(octets);
        }
        let mut encoded = std::vec![0; contents.len() + 16];
        let mut writer = Writer::new(&mut encoded);
        writer.bytes(&[0x13, 0x02, 0x02, 0x12, 0x09]).unwrap();
        writer.octet_string(&contents).unwrap();
        Value::from_slice(writer.written()).unwrap()
    })
}

fn value() -> impl Strategy<Value = Value> {
    simple().prop_recursive(5, 64, 8, |inner| {
        let elements = proptest::collection::vec(inner, 0..8);
        prop_oneof![elements.clone().prop_map(Value::Array), elements.prop_map(Value::Structure)]
    })
}

/// Builds the value again from what it is shown.
struct Builder(Vec<(Container, Vec<Value>)>);

impl<'a> Visitor<'a> for Builder {
    fn value(&mut self, value: Data<'a>) {
        self.0.last_mut().unwrap().1.push(value.into());
    }

    fn enter(&mut self, container: Container, _: usize) {
        self.0.push((container, std::vec![]));
    }

    fn leave(&mut self) {
        let (container, elements) = self.0.pop().unwrap();
        let value = if container == Container::Structure { Value::Structure(elements) } else { Value::Array(elements) };
        self.0.last_mut().unwrap().1.push(value);
    }
}

/// The same value with its compact arrays written out.
fn expanded(data: Data<'_>) -> Value {
    match data {
        Data::Structure(elements) => Value::Structure(elements.iter().map(expanded).collect()),
        other => match other.as_array() {
            Some(elements) => Value::Array(elements.iter().map(expanded).collect()),
            None => other.into(),
        },
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(value in value()) {
        let octets = value.to_vec();
        let data = Data::from_slice(&octets).unwrap();
        prop_assert_eq!(&Value::from(data), &value);
        prop_assert_eq!(&Value::from_slice(&octets).unwrap().to_vec(), &octets);
        let mut buffer = std::vec![0; octets.len()];
        let mut writer = Writer::new(&mut buffer);
        data.encode(&mut writer).unwrap();
        prop_assert_eq!(writer.written(), &octets);
        // Not an octet less will do.
        let mut short = std::vec![0; octets.len() - 1];
        prop_assert_eq!(value.encode(&mut Writer::new(&mut short)), Err(BufferFull));
    }

    #[test]
    fn a_truncated_value_is_refused(value in value(), cut in any::<prop::sample::Index>()) {
        let octets = value.to_vec();
        refusal(&octets[..cut.index(octets.len())]);
    }

    #[test]
    fn walking_shows_what_decoding_gives(value in value()) {
        let octets = value.to_vec();
        let mut builder = Builder(std::vec![(Container::Array, std::vec![])]);
        walk(&mut Reader::new(&octets), &mut builder).unwrap();
        let built = builder.0.pop().unwrap().1.pop().unwrap();
        prop_assert_eq!(built, expanded(Data::from_slice(&octets).unwrap()));
    }

    #[test]
    fn any_octets_decode_or_are_refused_by_both_readers(octets in proptest::collection::vec(0_u8..0x24, 0..64)) {
        let mut decoding = Reader::new(&octets);
        let mut walking = Reader::new(&octets);
        let decoded = Data::decode(&mut decoding);
        let walked = walk(&mut walking, &mut Nothing);
        prop_assert_eq!(decoded.is_ok(), walked.is_ok());
        if let Ok(data) = decoded {
            prop_assert_eq!(decoding.remaining(), walking.remaining());
            let again = Value::from(data).to_vec();
            prop_assert_eq!(Value::from_slice(&again).unwrap().to_vec(), again);
        }
    }

    #[test]
    fn deltas_restore_what_they_compressed(now: i64, before: i64, small in -300_i64..300) {
        for (now, before) in [(now, before), (before.saturating_add(small), before)] {
            let (now, before) = (Data::Long64(now), Data::Long64(before));
            prop_assert_eq!(now.delta_compressed(&before).restored(&before), Some(now));
            prop_assert_eq!(now.compressed(&before).restored(&before), Some(now));
        }
    }
}
