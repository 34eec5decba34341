//! Every APDU, by its tag.

use dlms::apdu::Apdu;
use dlms::axdr::Writer;

use super::encoded;
use crate::bounded;

pub(super) fn run(octets: &[u8]) {
    let Ok((apdu, deviations)) = bounded(0, || Apdu::decode_with_deviations(octets)) else { return };
    let first = encoded(|writer| apdu.encode(writer));
    assert_eq!(apdu.encoded_len(), Ok(first.len()));
    let (again, left) = Apdu::decode_with_deviations(&first).expect("what was encoded can be decoded");
    // Only what lies in the value itself is left, such as a counter that is missing.
    assert_eq!(left.union(deviations), deviations, "{first:02X?} for {apdu:?}");
    assert_eq!(apdu.name(), again.name());
    assert_eq!(encoded(|writer| again.encode(writer)), first, "encoding is stable");
    assert_eq!(Apdu::decode_strict(octets).is_ok(), deviations.is_empty());
    if let Some(room) = first.len().checked_sub(1) {
        let mut small = vec![0; room];
        assert!(apdu.encode(&mut Writer::new(&mut small)).is_err(), "an octet too few is no room");
    }
    if octets.len() < 256 {
        let _ = format!("{apdu:?} {deviations}");
    }
}
