//! Which service a request in clear is of, and whether it may be asked for.

use super::answer::{Answer, OTHER_REASON, PDU_TOO_LONG, SERVICE_NOT_SUPPORTED};
use super::device::{Access, Device};
use super::member::Members;
use super::transfer::{Transfer, Transfers};
use crate::apdu::{
    AccessRequest, ActionRequest, Conformance, GetRequest, InvokeIdAndPriority, LongInvokeIdAndPriority, SetRequest,
    tag,
};
use crate::association::Referencing;
use crate::link::Storage;
use crate::security::Protection;

impl<B: Storage> Transfers<B> {
    /// Answers a request in clear.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn dispatch<D: Device>(
        &mut self,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        if D::OFFER.has_short_names() && access.referencing == Referencing::ShortName {
            // Only rights of objects with logical names can demand it.
            self.response = Protection::NONE;
            return self.dispatch_named(plain, access, device, answer);
        }
        let confirmed = match plain.first() {
            Some(0xC0) if access.has::<D>(Conformance::GET) => GetRequest::decode(plain).map(|request| {
                if self.begin(&request, Conformance::ATTRIBUTE_0_WITH_GET, access, device, answer) {
                    self.get(&request, plain, access, device, answer);
                }
                request.invoke().is_confirmed()
            }),
            Some(0xC1) if access.has::<D>(Conformance::SET) => SetRequest::decode(plain).map(|request| {
                if self.begin(&request, Conformance::ATTRIBUTE_0_WITH_SET, access, device, answer) {
                    self.set(&request, plain, access, device, answer);
                }
                request.invoke().is_confirmed()
            }),
            Some(0xC3) if access.has::<D>(Conformance::ACTION) => ActionRequest::decode(plain).map(|request| {
                if self.begin(&request, Conformance::NONE, access, device, answer) {
                    self.action(&request, plain, access, device, answer);
                }
                request.invoke().is_confirmed()
            }),
            Some(&tag::ACCESS_REQUEST) if access.has::<D>(Conformance::ACCESS) => {
                AccessRequest::decode(plain).map(|request| {
                    self.transfer = Transfer::None;
                    if self.begin(&request, Conformance::NONE, access, device, answer)
                        && !super::access::access(&request, access, device, answer)
                    {
                        answer.exception(PDU_TOO_LONG);
                    }
                    true
                })
            }
            _ => {
                answer.exception(SERVICE_NOT_SUPPORTED);
                Ok(true)
            }
        };
        match confirmed {
            Ok(true) => {}
            Ok(false) => answer.clear(),
            Err(_) => match unknown_variant(plain) {
                Some(response) => answer.write(response.as_slice()),
                None => answer.exception(OTHER_REASON),
            },
        }
        // Nor is an unconfirmed request that was refused.
        if expects_no_answer(plain) || access.broadcast {
            answer.clear();
            if let Transfer::General { .. } = self.transfer {
                self.transfer = Transfer::None;
            }
        }
    }

    /// Looks at what is asked for before anything is done; whether it goes on.
    fn begin<D: Device>(
        &mut self,
        request: &impl Members,
        all_attributes: Conformance,
        access: &Access,
        device: &D,
        answer: &mut Answer<'_>,
    ) -> bool {
        if request.is_first() {
            self.response =
                if access.ciphered_context { request.response_protection(access, device) } else { Protection::NONE };
        }
        let negotiated = request.is_negotiated(access.conformance, all_attributes);
        if !negotiated {
            self.transfer = Transfer::None;
            answer.exception(SERVICE_NOT_SUPPORTED);
        }
        negotiated
    }
}

/// The normal response to a variant of GET, SET or ACTION that does not exist: result 3, as conformance tests are said
/// to demand. `None` when something else is wrong with the request.
fn unknown_variant(plain: &[u8]) -> Option<Response> {
    /// read-write-denied.
    const DENIED: u8 = 3;
    let [tag, variant, invoke, ..] = *plain else { return None };
    match (tag, variant) {
        (0xC0, 1..=3) | (0xC1, 1..=5) | (0xC3, 1..=6) => None,
        (0xC0, _) => Some(Response { octets: [0xC4, 1, invoke, 1, DENIED], length: 5 }),
        (0xC1, _) => Some(Response { octets: [0xC5, 1, invoke, DENIED, 0], length: 4 }),
        (0xC3, _) => Some(Response { octets: [0xC7, 1, invoke, DENIED, 0], length: 5 }),
        _ => None,
    }
}

/// A response of a few octets.
struct Response {
    octets: [u8; 5],
    length: usize,
}

impl Response {
    fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// Whether a request in clear is of an unconfirmed service: it is executed or not, and never answered.
pub(super) fn expects_no_answer(plain: &[u8]) -> bool {
    match plain {
        [0x16 | 0x36 | 0x56, ..] => true,
        [0xC0 | 0xC1 | 0xC3, _, invoke, ..] => !InvokeIdAndPriority(*invoke).is_confirmed(),
        _ => false,
    }
}

/// Whether a request in clear is an ACCESS whose service class is unconfirmed. It is answered all the same, except to a
/// whole group: the meters of Great Britain and two other implementations ask like that, and wait for the answer.
pub(super) fn is_unconfirmed_access(plain: &[u8]) -> bool {
    let [tag::ACCESS_REQUEST, flags, ..] = plain else { return false };
    u32::from(*flags) << 24 & LongInvokeIdAndPriority::CONFIRMED == 0
}

/// Whether a long answer to a request in clear can go out in blocks of the service's own. Where it can, and the request
/// did not come in general blocks itself, it does: there are clients (the PyPI package dlms-cosem) that propose the
/// general transfer and know no block of it.
pub(super) fn has_own_blocks(plain: &[u8], negotiated: Conformance) -> bool {
    match plain.first() {
        Some(&tag::GET_REQUEST) => negotiated.contains(Conformance::BLOCK_TRANSFER_WITH_GET),
        Some(&tag::ACTION_REQUEST) => negotiated.contains(Conformance::BLOCK_TRANSFER_WITH_ACTION),
        _ => false,
    }
}
