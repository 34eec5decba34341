//! Typed attributes, parameters and replies of every interface class.

use dlms::axdr::{BufferFull, Data, Writer};
use dlms::cosem::{Attribute, Method, ToData};

use super::encoded;
use crate::bounded;

include!(concat!(env!("OUT_DIR"), "/classes.rs"));

/// What `write` writes of a value that was read, if anything: it must be read again, and written the same.
fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>) -> Option<Vec<u8>> {
    let octets = encoded(write);
    // The reply of a method that has none.
    if octets.is_empty() {
        return None;
    }
    Data::from_slice(&octets).expect("one value");
    Some(octets)
}

fn read(octets: &[u8]) -> Data<'_> {
    Data::from_slice(octets).expect("checked before")
}

fn attribute<A: Attribute>(octets: &[u8]) {
    let Ok(value) = bounded(0, || A::decode(read(octets))) else { return };
    let Some(first) = written(|writer| A::encode(&value, writer)) else { return };
    let again = A::decode(read(&first)).unwrap_or_else(|error| panic!("{}: {error}: {first:02X?}", A::NAME));
    assert_eq!(written(|writer| A::encode(&again, writer)).as_ref(), Some(&first), "{}", A::NAME);
}

fn method<M: Method>(octets: &[u8]) {
    if let Ok(value) = bounded(0, || M::decode(read(octets)))
        && let Some(first) = written(|writer| M::encode(&value, writer))
    {
        let again = M::decode(read(&first)).unwrap_or_else(|error| panic!("{}: {error}: {first:02X?}", M::NAME));
        assert_eq!(written(|writer| M::encode(&again, writer)).as_ref(), Some(&first), "{}", M::NAME);
    }
    if let Ok(value) = bounded(0, || M::decode_reply(read(octets)))
        && let Some(first) = written(|writer| value.to_data(writer))
    {
        let again = M::decode_reply(read(&first)).unwrap_or_else(|error| panic!("{}: {error}: {first:02X?}", M::NAME));
        assert_eq!(written(|writer| again.to_data(writer)).as_ref(), Some(&first), "{}", M::NAME);
    }
}

pub(super) fn run(octets: &[u8]) {
    let Some((id, octets)) = octets.split_first() else { return };
    if Data::from_slice(octets).is_ok() {
        class(*id, octets);
    }
}
