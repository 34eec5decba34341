//! Many attributes in as few requests as the meter takes.

use dlms::{
    apdu::{AttributeDescriptor, AttributeRequest, Conformance},
    axdr::Value,
};

use super::{memory::Memory, session::Session, work::Work};
use crate::operation::{ItemResult, RequestError, RequestErrorKind as Kind};

/// Attributes in one request: what the strictest known profile allows (DSMR).
const LIST_MAX: usize = 16;
/// Octets of one attribute in a list, without selection.
const DESCRIPTOR_OCTETS: usize = 10;
/// Octets of a request around its list, ciphering included.
const LIST_OVERHEAD: usize = 48;

impl Session {
    /// Reads `attributes`, with lists where the meter takes them. One result for each; those after the loss of the
    /// association hold its error.
    pub(super) async fn get_many(
        &mut self,
        memory: &mut Memory,
        attributes: &[AttributeDescriptor],
        work: &Work<'_>,
    ) -> Vec<ItemResult<Value>> {
        let mut results = Vec::with_capacity(attributes.len());
        while let Some(rest) = attributes.get(results.len()..).filter(|rest| !rest.is_empty()) {
            let count = self.list_length(memory).min(rest.len());
            let (chunk, _) = rest.split_at(count);
            if count > 1 {
                match self.get_list(chunk, work).await {
                    Ok(list) => {
                        results.extend(list);
                        continue;
                    }
                    // The meter agreed to lists and answers this one as a whole with an error: one by one, then.
                    Err(error) if self.lost().is_none() && is_about_list(&error) => {
                        tracing::debug!(meter = %self.config().id, %error, "no lists of attributes from now on");
                        memory.lists_refused = true;
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

    /// How many attributes go into one request.
    fn list_length(&self, memory: &Memory) -> usize {
        if memory.lists_refused || !self.offers(Conformance::MULTIPLE_REFERENCES) {
            return 1;
        }
        let room = usize::from(self.negotiated().server_max_pdu).saturating_sub(LIST_OVERHEAD);
        (room / DESCRIPTOR_OCTETS).clamp(1, LIST_MAX)
    }
}

fn is_about_list(error: &RequestError) -> bool {
    matches!(error.kind(), Kind::MeterRefused | Kind::Protocol | Kind::InvalidRequest)
}
