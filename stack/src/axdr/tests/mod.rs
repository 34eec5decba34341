mod compact;
mod malformed;
#[cfg(feature = "alloc")]
mod properties;
mod vectors;
mod walking;

use super::*;
use std::vec::Vec;

fn encoded(data: &Data<'_>) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer);
    data.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

/// The reason why `octets` are refused, by decoding and by walking alike.
fn refusal(octets: &[u8]) -> DecodeError {
    let error = Data::from_slice(octets).unwrap_err();
    let mut reader = Reader::new(octets);
    let walked = walk(&mut reader, &mut Nothing).and_then(|()| reader.finish());
    assert_eq!(walked, Err(error));
    error
}

struct Nothing;

impl Visitor<'_> for Nothing {
    fn value(&mut self, _: Data<'_>) {}
}
