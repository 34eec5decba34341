//! Services without an answer: SET and ACTION with service class unconfirmed.

use super::Connection;
use super::error::UsageError;
use crate::Instant;
use crate::apdu::{
    ActionRequest, AttributeRequest, Conformance, InvokeIdAndPriority, MethodDescriptor, MethodRequest, SetRequest,
};
use crate::axdr::Data;
use crate::link::{Link, Storage};
use crate::security::{Crypto, Random};

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Sets an attribute without an answer: whether it was done is not known. Never in blocks.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn set_unconfirmed(
        &mut self,
        request: AttributeRequest<'_>,
        value: Data<'_>,
        now: Instant,
    ) -> Result<(), UsageError> {
        self.need(Conformance::SET, "set")?;
        let invoke = self.begin_unconfirmed(now)?;
        self.send_unanswered(|out| SetRequest::Normal { invoke, request, value }.encode(out))
    }

    /// Invokes a method without an answer: whether it was done is not known. Never in blocks.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn action_unconfirmed(
        &mut self,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        now: Instant,
    ) -> Result<(), UsageError> {
        self.need(Conformance::ACTION, "action")?;
        let invoke = self.begin_unconfirmed(now)?;
        let request = MethodRequest { method, parameter };
        self.send_unanswered(|out| ActionRequest::Normal { invoke, request }.encode(out))
    }

    /// A fresh invoke-id whose service class is unconfirmed. Not while an answer is waited for: a line of one direction
    /// at a time could not carry it.
    pub(super) fn begin_unconfirmed(&mut self, now: Instant) -> Result<InvokeIdAndPriority, UsageError> {
        let confirmed = self.begin(now)?;
        Ok(InvokeIdAndPriority::new(confirmed.id(), false, confirmed.is_high_priority()))
    }
}
