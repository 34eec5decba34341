//! ACCESS on the client's side: reading, writing and invoking in one request.

use super::error::UsageError;
use super::request::Service;
use super::{Connection, State};
use crate::Instant;
use crate::apdu::{
    AccessSpecification, AttributeRequest, Conformance, InvokeIdAndPriority, LongInvokeIdAndPriority, MethodRequest,
    ServiceTag, tag,
};
use crate::axdr::{BufferFull, Data, Writer};
use crate::link::{Link, Storage};
use crate::security::{Crypto, Envelope, Random};
use crate::wire::Wire;

/// One item of an ACCESS request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AccessItem<'a> {
    /// Read an attribute, or a part of it.
    Get(AttributeRequest<'a>),
    /// Set an attribute, or a part of it, to a value.
    Set(AttributeRequest<'a>, Data<'a>),
    /// Invoke a method.
    Action(MethodRequest<'a>),
}

impl<'a> AccessItem<'a> {
    /// The item's entry in the request's list of specifications.
    #[must_use]
    pub const fn specification(&self) -> AccessSpecification<'a> {
        match *self {
            Self::Get(AttributeRequest { attribute, selection: None }) => AccessSpecification::Get(attribute),
            Self::Get(AttributeRequest { attribute, selection: Some(selection) }) => {
                AccessSpecification::GetWithSelection { attribute, selection }
            }
            Self::Set(AttributeRequest { attribute, selection: None }, _) => AccessSpecification::Set(attribute),
            Self::Set(AttributeRequest { attribute, selection: Some(selection) }, _) => {
                AccessSpecification::SetWithSelection { attribute, selection }
            }
            Self::Action(MethodRequest { method, .. }) => AccessSpecification::Action(method),
        }
    }

    /// The item's entry in the request's list of data: value, parameter or null-data.
    #[must_use]
    pub const fn data(&self) -> Data<'a> {
        match *self {
            Self::Set(_, data) | Self::Action(MethodRequest { parameter: Some(data), .. }) => data,
            Self::Get(_) | Self::Action(_) => Data::Null,
        }
    }
}

/// How an ACCESS request is to be carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessOptions {
    /// Execute nothing behind the first item that fails.
    pub break_on_error: bool,
    /// Repeat the items in the answer.
    pub self_descriptive: bool,
}

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Reads, writes and invokes in one request, in the order of `items`;
    /// [`Response::Access`](super::Response::Access) brings a result and data for each.
    ///
    /// In a ciphered association the request travels in a general envelope, as the service has none of its own.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn access(&mut self, items: &[AccessItem<'_>], options: AccessOptions, now: Instant) -> Result<(), UsageError> {
        let (short, invoke) = self.begin_access(items, options, LongInvokeIdAndPriority::CONFIRMED, now)?;
        self.send_whole(Service::Access(invoke), short, items.len(), |out| write(invoke, items, out))
    }

    /// The same without an answer: what came of it is not known.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn access_unconfirmed(
        &mut self,
        items: &[AccessItem<'_>],
        options: AccessOptions,
        now: Instant,
    ) -> Result<(), UsageError> {
        let (_, invoke) = self.begin_access(items, options, 0, now)?;
        self.send_unanswered(|out| write(invoke, items, out))
    }

    /// Checks a request, and gives it its invoke-ids.
    fn begin_access(
        &mut self,
        items: &[AccessItem<'_>],
        options: AccessOptions,
        service_class: u32,
        now: Instant,
    ) -> Result<(InvokeIdAndPriority, LongInvokeIdAndPriority), UsageError> {
        self.need(Conformance::ACCESS, "access")?;
        if items.is_empty() {
            return Err(UsageError::InvalidList);
        }
        if self.is_ciphered() {
            self.need(Conformance::GENERAL_PROTECTION, "general-protection")?;
        }
        let short = self.begin(now)?;
        self.long_invoke_id = self.long_invoke_id.wrapping_add(1) & LongInvokeIdAndPriority::ID;
        let flag = |on: bool, flag| if on { flag } else { 0 };
        let invoke = LongInvokeIdAndPriority::new(
            self.long_invoke_id,
            service_class
                | LongInvokeIdAndPriority::HIGH_PRIORITY
                | flag(options.break_on_error, LongInvokeIdAndPriority::BREAK_ON_ERROR)
                | flag(options.self_descriptive, LongInvokeIdAndPriority::SELF_DESCRIPTIVE),
        );
        Ok((short, invoke))
    }

    fn is_ciphered(&self) -> bool {
        let State::Associated(session) = &self.state else { return false };
        session.security.as_ref().is_some_and(|secured| !secured.protection.is_none())
    }
}

/// Access-Request without a time.
fn write(invoke: LongInvokeIdAndPriority, items: &[AccessItem<'_>], out: &mut Writer<'_>) -> Result<(), BufferFull> {
    out.u8(tag::ACCESS_REQUEST)?;
    invoke.write(out)?;
    out.octet_string(&[])?;
    out.length(items.len())?;
    items.iter().try_for_each(|item| item.specification().write(out))?;
    out.length(items.len())?;
    items.iter().try_for_each(|item| item.data().encode(out))
}

/// The envelope for an APDU with this tag: a general one where the service has no tag of its own.
pub(super) const fn envelope_for(tag: u8, envelope: Envelope) -> Envelope {
    match envelope {
        Envelope::Global if ServiceTag::of(tag, false).is_none() => Envelope::GeneralGlobal,
        Envelope::Dedicated if ServiceTag::of(tag, true).is_none() => Envelope::GeneralDedicated,
        envelope => envelope,
    }
}
