use super::*;
use hex_literal::hex;
use std::{format, string::String};

/// Writes down what it is shown.
#[derive(Default)]
struct Protocol(String);

impl<'a> Visitor<'a> for Protocol {
    fn value(&mut self, value: Data<'a>) {
        self.0.push_str(&format!("{value:?} "));
    }

    fn enter(&mut self, container: Container, count: usize) {
        self.0.push_str(&format!("{container:?}{count}[ "));
    }

    fn leave(&mut self) {
        self.0.push_str("] ");
    }
}

fn walked(octets: &[u8]) -> (String, Result<usize, DecodeError>) {
    let mut protocol = Protocol::default();
    let mut reader = Reader::new(octets);
    let result = walk(&mut reader, &mut protocol).map(|()| reader.remaining());
    (protocol.0, result)
}

#[test]
fn values_come_in_order() {
    let (protocol, result) = walked(&hex!("01 02 02 02 1101 01 00 02 01 00 1102"));
    assert_eq!(protocol, "Array2[ Structure2[ Unsigned(1) Array0[ ] ] Structure1[ Null ] ] ");
    assert_eq!(result, Ok(2), "only the first value is taken");
}

#[test]
fn compact_arrays_are_entered() {
    let (protocol, result) = walked(&hex!("02 02 13 02 03 11 01 0002 00 0D 04 01 02 03 04 1107"));
    assert_eq!(
        protocol,
        "Structure2[ CompactArray2[ \
         Structure3[ Unsigned(1) Array2[ Null Null ] Bcd(2) ] \
         Structure3[ Unsigned(3) Array2[ Null Null ] Bcd(4) ] ] Unsigned(7) ] "
    );
    assert_eq!(result, Ok(0));
}

#[test]
fn what_came_before_an_error_was_shown() {
    let (protocol, result) = walked(&hex!("01 03 1101 1102 11"));
    assert_eq!(protocol, "Array3[ Unsigned(1) Unsigned(2) ");
    assert_eq!(result.unwrap_err().offset, 7);
}

/// Found by fuzzing: a container below the limit was shown before it was refused.
#[test]
fn nothing_below_the_limit_is_shown() {
    let deep = [&[0x01, 0x01].repeat(MAX_DEPTH + 1)[..], &[0x00]].concat();
    let (protocol, result) = walked(&deep);
    assert_eq!(protocol, "Array1[ ".repeat(MAX_DEPTH));
    assert_eq!(result.unwrap_err().kind, DecodeErrorKind::TooDeep);
}

#[test]
fn several_values_in_a_row() {
    let mut protocol = Protocol::default();
    let octets = hex!("1101 0100 1102");
    walk_values(&mut Reader::new(&octets), 2, &mut protocol).unwrap();
    assert_eq!(protocol.0, "Unsigned(1) Array0[ ] ");
}
