//! What the dispatchers of a class do with requests.

use super::*;
use crate::apdu::{ActionResult, DataAccessResult};
use crate::association::server::{Cursor, Progress};
use crate::cosem::*;
use crate::id::{AttributeId, MethodId};
use crate::time::DateTime;
use hex_literal::hex;

type Answered = Result<Progress, DataAccessResult>;

/// A clock of which only the time zone can be set, and moved.
struct Clock;

impl clock::Server<i16, ()> for Clock {
    fn time_zone(&self, zone: &i16, (): &(), answer: Answer<'_, '_, clock::TimeZone>) -> Answered {
        answer.value(zone)
    }

    fn set_time_zone(&self, zone: &mut i16, (): &(), value: i16) -> Result<(), DataAccessResult> {
        *zone = value;
        Ok(())
    }

    fn shift_time(&self, zone: &mut i16, (): &(), seconds: i16) -> Result<(), ActionResult> {
        *zone += seconds;
        Ok(())
    }

    fn preset_adjusting_time(&self, _: &mut i16, (): &(), preset: clock::PresetTime) -> Result<(), ActionResult> {
        assert_eq!(preset.preset_time, DateTime::UNSPECIFIED);
        Ok(())
    }
}

fn get(attribute: i8) -> Result<Vec<u8>, DataAccessResult> {
    let mut buffer = [0; 32];
    let mut out = Writer::new(&mut buffer);
    let part = Part { selection: None, cursor: &mut Cursor::default(), out: &mut out };
    assert_eq!(clock::dispatch_get(&Clock, &-60, &(), AttributeId(attribute), part)?, Progress::Done);
    Ok(out.written().to_vec())
}

fn set(attribute: i8, octets: &[u8]) -> Result<i16, DataAccessResult> {
    let mut zone = 0;
    let value = Data::from_slice(octets).unwrap();
    clock::dispatch_set(&Clock, &mut zone, &(), AttributeId(attribute), value).map(|()| zone)
}

fn invoke(method: i8, octets: Option<&[u8]>) -> Result<i16, ActionResult> {
    let mut zone = 0;
    let parameter = octets.map(|octets| Data::from_slice(octets).unwrap());
    let out = &mut Writer::new(&mut []);
    clock::dispatch_invoke(&Clock, &mut zone, &(), MethodId(method), parameter, out).map(|()| zone)
}

#[test]
fn what_an_object_has_is_answered_and_the_rest_refused() {
    assert_eq!(get(3), Ok(hex!("10 FFC4").to_vec()));
    assert_eq!(get(4), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(get(10), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(set(3, &hex!("10 0078")), Ok(120));
    assert_eq!(set(8, &hex!("03 01")), Err(DataAccessResult::ReadWriteDenied));
    // An attribute that the class never lets a client write is not even decoded.
    assert_eq!(set(4, &hex!("09 00")), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(set(0, &hex!("00")), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(invoke(6, Some(&hex!("10 0005"))), Ok(5));
    assert_eq!(invoke(1, None), Err(ActionResult::ReadWriteDenied));
    assert_eq!(invoke(7, None), Err(ActionResult::ObjectUndefined));
}

#[test]
fn values_of_other_types_are_unmatched_even_if_they_would_fit() {
    for octets in [&hex!("0F 05")[..], &hex!("12 0005"), &hex!("00"), &hex!("09 02 0005"), &hex!("02 01 10 0005")] {
        assert_eq!(set(3, octets), Err(DataAccessResult::TypeUnmatched), "{octets:02X?}");
        assert_eq!(invoke(6, Some(octets)), Err(ActionResult::TypeUnmatched), "{octets:02X?}");
    }
    assert_eq!(invoke(6, None), Err(ActionResult::TypeUnmatched));
    let never = hex!("09 0C FFFFFFFFFFFFFFFFFF8000FF");
    let preset = [&hex!("02 03")[..], &never, &never, &never].concat();
    assert_eq!(invoke(5, Some(&preset)), Ok(0));
    let four = [&hex!("02 04")[..], &never, &never, &never, &never].concat();
    let array = [&hex!("01 03")[..], &never, &never, &never].concat();
    for octets in [&four, &array] {
        assert_eq!(invoke(5, Some(octets)), Err(ActionResult::TypeUnmatched), "{octets:02X?}");
    }
}

/// An association of a version before the security setup's reference.
struct Old(u8);

impl association_ln::Server<(), ()> for Old {
    fn class_version(&self) -> u8 {
        self.0
    }

    fn object_list_v0(&self, (): &(), (): &(), answer: Answer<'_, '_, association_ln::ObjectListV0>) -> Answered {
        answer.value(&Array::EMPTY)
    }

    fn security_setup_reference(
        &self,
        (): &(),
        (): &(),
        answer: Answer<'_, '_, association_ln::SecuritySetupReference>,
    ) -> Answered {
        answer.value(&ObisCode::CLOCK)
    }

    fn reply_to_hls_authentication(
        &self,
        (): &mut (),
        (): &(),
        response: &[u8],
        reply: Reply<'_, '_, association_ln::ReplyToHlsAuthentication>,
    ) -> Result<(), ActionResult> {
        reply.value(&response)
    }
}

#[test]
fn lesson_17_an_object_answers_in_its_own_version() {
    let get = |version, attribute| {
        let mut buffer = [0; 32];
        let mut out = Writer::new(&mut buffer);
        let part = Part { selection: None, cursor: &mut Cursor::default(), out: &mut out };
        association_ln::dispatch_get(&Old(version), &(), &(), AttributeId(attribute), part)
    };
    assert_eq!(get(0, 2), Ok(Progress::Done));
    assert_eq!(get(1, 2), Err(DataAccessResult::ReadWriteDenied));
    assert_eq!(get(0, 9), Err(DataAccessResult::ObjectUndefined));
    assert_eq!(get(1, 9), Ok(Progress::Done));
}

#[test]
fn replies_are_written_by_their_type() {
    let mut buffer = [0; 8];
    let mut out = Writer::new(&mut buffer);
    let parameter = Some(Data::OctetString(&[1, 2]));
    association_ln::dispatch_invoke(&Old(0), &mut (), &(), MethodId(1), parameter, &mut out).unwrap();
    assert_eq!(out.written(), hex!("09 02 0102"));
}

/// Three logical devices.
struct Devices;

impl sap_assignment::Server<(), ()> for Devices {
    fn list(&self, (): &(), (): &(), answer: Answer<'_, '_, sap_assignment::AssignmentList>) -> Answered {
        answer.elements(3, |index| {
            Ok(sap_assignment::Assignment { sap: 1 + index as u16, logical_device_name: &[b'A', b'B', b'C'][..=index] })
        })
    }
}

#[test]
fn lesson_38_arrays_are_answered_element_by_element() {
    let (mut octets, mut cursor) = (std::vec![], Cursor::default());
    loop {
        let mut buffer = [0; 16];
        let mut out = Writer::new(&mut buffer);
        let part = Part { selection: None, cursor: &mut cursor, out: &mut out };
        let progress = sap_assignment::dispatch_get(&Devices, &(), &(), AttributeId(2), part).unwrap();
        octets.extend_from_slice(out.written());
        if progress == Progress::Done {
            break;
        }
        cursor.part += 1;
    }
    assert_eq!(octets, hex!("01 03 02 02 12 0001 09 01 41 02 02 12 0002 09 02 4142 02 02 12 0003 09 03 414243"));
    let list = sap_assignment::AssignmentList::decode(Data::from_slice(&octets).unwrap()).unwrap();
    assert_eq!(list.iter().filter_map(Result::ok).count(), 3);
}
