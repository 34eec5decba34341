//! `Data` in all its forms: the borrowed view, the walk, the owned tree.

use dlms::axdr::{COMPACT_VALUES_PER_OCTET, Container, Data, MAX_DEPTH, Reader, Value, Visitor, walk};

use super::encoded;
use crate::bounded;

#[derive(Debug, Default, PartialEq)]
struct Seen {
    values: usize,
    containers: usize,
    depth: usize,
    deepest: usize,
}

impl<'a> Visitor<'a> for Seen {
    fn value(&mut self, _: Data<'a>) {
        self.values += 1;
    }

    fn enter(&mut self, _: Container, _: usize) {
        self.containers += 1;
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// The same by the iterators of the borrowed view.
fn count(data: Data<'_>, seen: &mut Seen) {
    let Some(elements) = data.as_sequence() else {
        seen.values += 1;
        return;
    };
    seen.enter(Container::Array, elements.len());
    let length = elements.len();
    let mut found = 0;
    for element in elements {
        count(element, seen);
        found += 1;
    }
    assert_eq!(length, found, "a sequence has as many elements as it says");
    assert_eq!(elements.get(length), None);
    seen.leave();
}

pub(super) fn run(octets: &[u8]) {
    let mut reader = Reader::new(octets);
    let mut walked = Seen::default();
    let walk_result = bounded(0, || walk(&mut reader, &mut walked));
    let decoded = bounded(0, || Data::from_slice(octets));
    assert!(walked.deepest <= MAX_DEPTH, "{walked:?}");
    let work = octets.len().saturating_mul(COMPACT_VALUES_PER_OCTET + 1);
    assert!(walked.values + walked.containers <= work, "{walked:?} for {} octets", octets.len());
    assert_eq!(decoded.is_ok(), walk_result.is_ok() && reader.is_empty(), "{decoded:?}, {walk_result:?}");

    let owned = bounded(octets.len() * size_of::<Value>(), || Value::from_slice(octets));
    assert_eq!(decoded.is_ok(), owned.is_ok());
    let (Ok(data), Ok(owned)) = (decoded, owned) else { return };
    let mut counted = Seen::default();
    bounded(0, || count(data, &mut counted));
    assert_eq!(counted, walked, "iterators and the walk see the same");

    let first = encoded(|writer| data.encode(writer));
    let again = Data::from_slice(&first).expect("what was encoded can be decoded");
    assert_eq!(encoded(|writer| again.encode(writer)), first, "encoding is stable");
    // The view keeps the octets of true, the tree writes 01.
    let canonical = owned.to_vec();
    let rebuilt = Value::from_slice(&canonical).expect("what was encoded can be decoded");
    assert_eq!(rebuilt.to_vec(), canonical, "encoding is stable");
    assert_eq!(Value::from(again).to_vec(), canonical, "the owned tree is the same value");

    if octets.len() < 256 {
        // Everything that can be asked of a value, and its text.
        let _ = (data.as_i128(), data.as_f64(), data.as_bool(), data.as_str(), data.as_obis());
        let _ = (data.as_date_time(), data.as_date(), data.as_time(), data.as_bits(), data.as_members::<4>());
        let _ = (format!("{data:?}"), format!("{owned:?}"));
    }
}
