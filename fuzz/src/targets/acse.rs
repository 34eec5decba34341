//! The BER of ACSE, and what it carries.

use dlms::acse::{Aare, Aarq, Rlre, Rlrq};
use dlms::apdu::Apdu;

use super::encoded;
use crate::bounded;

macro_rules! same_by_its_type {
    ($octets:ident, $apdu:ident: $($type:ident),*) => {$(
        let typed = bounded(0, || $type::decode($octets));
        assert_eq!(typed.is_ok(), matches!($apdu, Ok(Apdu::$type(_))), "{typed:?}");
        if let Ok(typed) = typed {
            let first = encoded(|writer| typed.encode(writer));
            let again = $type::decode(&first).expect("what was encoded can be decoded");
            assert_eq!(again, typed);
            if let Some(inner) = typed.user_information {
                super::apdu::run(inner);
            }
            let _ = format!("{typed:?}");
        }
    )*};
}

pub(super) fn run(octets: &[u8]) {
    super::apdu::run(octets);
    let apdu = Apdu::decode(octets);
    same_by_its_type!(octets, apdu: Aarq, Aare, Rlrq, Rlre);
}
