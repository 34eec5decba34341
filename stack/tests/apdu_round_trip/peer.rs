//! Every APDU as another implementation reads and writes it.
//!
//! Left out: AARQ and AARE, whose oracle is in `oracle.rs` (the peer knows the object identifiers of DLMS only);
//! DataNotification-Confirm, which the peer does not have; and ACCESS with a selection, in front of which the
//! peer expects a presence octet that the Green Book does not have.

use dlms::apdu::{AccessSpecification, Apdu};
use dlms::axdr::Writer;
use dlms_cosem_rs::codec::{Decode, Encode, Reader, SliceWriter};
use proptest::prelude::*;

use crate::{ROOM, arbitrary};

/// The octets after the peer has decoded and encoded them.
fn through_peer(octets: &[u8]) -> Result<Vec<u8>, dlms_cosem_rs::Error> {
    let mut reader = Reader::new(octets);
    let apdu = dlms_cosem_rs::Apdu::decode(&mut reader)?;
    let mut buffer = vec![0; ROOM];
    let mut writer = SliceWriter::new(&mut buffer);
    apdu.encode(&mut writer)?;
    Ok(writer.as_slice().to_vec())
}

fn agree(apdu: &Apdu<'_>) -> Result<(), TestCaseError> {
    let mut buffer = vec![0; ROOM];
    let mut writer = Writer::new(&mut buffer);
    apdu.encode(&mut writer).expect("room");
    prop_assert_eq!(through_peer(writer.written()), Ok(writer.written().to_vec()));
    Ok(())
}

/// Whether the peer can tell what this is: as many data as items, and no selection.
fn is_common_access(apdu: &Apdu<'_>) -> bool {
    let plain = |item: AccessSpecification<'_>| {
        !matches!(item, AccessSpecification::GetWithSelection { .. } | AccessSpecification::SetWithSelection { .. })
    };
    match apdu {
        Apdu::AccessRequest(request) => {
            request.specifications.len() == request.data.len() && request.specifications.iter().all(plain)
        }
        Apdu::AccessResponse(response) => {
            response.data.len() == response.results.len()
                && response.specifications.is_none_or(|list| list.iter().all(plain))
        }
        _ => true,
    }
}

macro_rules! agree {
    ($($name:ident),*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(apdu in arbitrary::$name().prop_filter("common ground", is_common_access)) {
                    agree(&apdu)?;
                }
            )*
        }
    };
}

agree!(
    rlrq,
    rlre,
    initiate_request,
    initiate_response,
    get_request,
    get_response,
    set_request,
    set_response,
    action_request,
    action_response,
    access_request,
    access_response,
    read_request,
    read_response,
    write_request,
    write_response,
    unconfirmed_write_request,
    information_report,
    event_notification,
    data_notification,
    exception_response,
    confirmed_service_error,
    general_block_transfer,
    general_signing,
    ciphered,
    gateway
);
