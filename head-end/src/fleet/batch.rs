//! Many attributes in as few requests as the meter takes: by ACCESS, in lists, or one by one.

use dlms::{
    apdu::{AttributeDescriptor, AttributeRequest, Conformance},
    axdr::Value,
    cosem::{clock, demand_register, extended_register, register},
};

use super::{memory::Memory, session::Session, work::Work};
use crate::operation::{ItemResult, RequestError, RequestErrorKind as Kind};

/// Attributes in one list: what the strictest known profile allows (DSMR).
const LIST_MAX: usize = 16;
/// Attributes in one ACCESS request: their answers, which are gathered before they are shown, fit many times.
const ACCESS_MAX: usize = 64;
/// Octets of one attribute in a list, without selection.
const DESCRIPTOR_OCTETS: usize = 10;
/// Octets of one attribute in an ACCESS request: its tag, and null-data where a value would be.
const SPECIFICATION_OCTETS: usize = DESCRIPTOR_OCTETS + 2;
/// Octets of a request around its list, ciphering included.
const LIST_OVERHEAD: usize = 48;

/// How several attributes are read with one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Access,
    List,
}

impl Session {
    /// Reads `attributes`, several with one request where the meter takes that. One result for each; those after the
    /// loss of the association hold its error.
    pub(super) async fn get_many(
        &mut self,
        memory: &mut Memory,
        attributes: &[AttributeDescriptor],
        work: &Work<'_>,
    ) -> Vec<ItemResult<Value>> {
        let mut results = Vec::with_capacity(attributes.len());
        while let Some(rest) = attributes.get(results.len()..).filter(|rest| !rest.is_empty()) {
            let (way, count) = self.way(memory, rest);
            let (chunk, _) = rest.split_at(count);
            if count > 1 {
                let read = match way {
                    Way::Access => self.get_access(chunk, work).await,
                    Way::List => self.get_list(chunk, work).await,
                };
                match read {
                    Ok(list) => {
                        results.extend(list);
                        continue;
                    }
                    // The meter agreed to it and answers this one as a whole with an error: another way, then.
                    Err(error) if self.lost().is_none() && is_about_list(&error) => {
                        tracing::debug!(meter = %self.config().id, %error, "attributes are read in another way from now on");
                        match way {
                            Way::Access => memory.access_refused = true,
                            Way::List => memory.lists_refused = true,
                        }
                        if way == Way::Access {
                            continue;
                        }
                    }
                    Err(error) => {
                        results.extend(chunk.iter().map(|_| Err(error.clone())));
                        continue;
                    }
                }
            }
            for attribute in chunk {
                results.push(self.get(AttributeRequest::whole(*attribute), work).await);
            }
        }
        results
    }

    /// How the first of these attributes are read, and how many of them.
    fn way(&self, memory: &Memory, attributes: &[AttributeDescriptor]) -> (Way, usize) {
        let lists = match memory.lists_refused || !self.offers(Conformance::MULTIPLE_REFERENCES) {
            true => 1,
            false => self.room(DESCRIPTOR_OCTETS, LIST_MAX).min(attributes.len()),
        };
        // ACCESS has no blocks of its own, and in a ciphered association no envelope of its own.
        let demanded = match self.config().ciphering {
            Some(_) => Conformance::ACCESS.union(Conformance::GENERAL_PROTECTION),
            None => Conformance::ACCESS,
        };
        let usable = self.offers(demanded.union(Conformance::GENERAL_BLOCK_TRANSFER)) && !memory.access_refused;
        if usable {
            let short = attributes.iter().take_while(|attribute| is_short(attribute)).count();
            let by_access = self.room(SPECIFICATION_OCTETS, ACCESS_MAX).min(short);
            if by_access > lists {
                return (Way::Access, by_access);
            }
        }
        (Way::List, lists)
    }

    /// How many items of so many octets go into one request, from 1 to `most`.
    fn room(&self, octets: usize, most: usize) -> usize {
        let room = usize::from(self.negotiated().server_max_pdu).saturating_sub(LIST_OVERHEAD);
        (room / octets).clamp(1, most)
    }
}

/// Whether the value of an attribute is a few octets, whatever the meter: an answer to ACCESS is gathered as a whole, and
/// one that is too long for that ends the association.
fn is_short(attribute: &AttributeDescriptor) -> bool {
    let classes = [register::CLASS_ID, extended_register::CLASS_ID, demand_register::CLASS_ID, clock::CLASS_ID];
    classes.contains(&attribute.class)
}

fn is_about_list(error: &RequestError) -> bool {
    matches!(error.kind(), Kind::MeterRefused | Kind::Protocol | Kind::InvalidRequest)
}
