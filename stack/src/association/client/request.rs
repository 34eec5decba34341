//! Requests: GET, SET and ACTION, and long values in blocks.

use super::error::UsageError;
use super::{Connection, State};
use crate::Instant;
use crate::apdu::{
    ActionRequest, AttributeRequest, Conformance, DataBlock, GetRequest, InvokeIdAndPriority, List,
    LongInvokeIdAndPriority, MethodDescriptor, MethodRequest, SetRequest,
};
use crate::axdr::{BufferFull, Data, Writer};
use crate::link::{Link, Storage};
use crate::security::{Crypto, HEADROOM, Random, TAG_LENGTH};

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) invoke: InvokeIdAndPriority,
    pub(super) service: Service,
    /// How many attributes or methods were asked for; 0 stands for one outside a list.
    pub(super) list: usize,
    /// The block of the answer that is due; [`FIRST_BLOCK`] before any has come.
    pub(super) expected_block: u32,
    /// Blocks of the request that are still to be sent.
    pub(super) sending: Option<Sending>,
}

/// No block has come yet.
pub(super) const FIRST_BLOCK: u32 = 0;

impl Pending {
    /// The number that the next block must have where `found` came. Some meters count from 0 (field reports); from the
    /// first block on it goes one by one.
    pub(super) const fn expects(&self, found: u32) -> u32 {
        match (self.expected_block, found) {
            (FIRST_BLOCK, 0) => 0,
            (FIRST_BLOCK, _) => 1,
            (expected, _) => expected,
        }
    }
}

/// The services that a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Get,
    Set,
    Action,
    /// ACCESS has invoke-ids of its own.
    Access(LongInvokeIdAndPriority),
    Read,
    Write,
}

/// A long value on its way, in the connection's second storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) length: usize,
    pub(super) sent: usize,
    /// Number of the block that was sent last.
    pub(super) number: u32,
}

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Reads one attribute.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn get(&mut self, request: AttributeRequest<'_>, now: Instant) -> Result<(), UsageError> {
        self.need(Conformance::GET, "get")?;
        if request.selection.is_some() {
            self.need(Conformance::SELECTIVE_ACCESS, "selective-access")?;
        }
        let invoke = self.begin(now)?;
        self.send_whole(Service::Get, invoke, 0, |out| GetRequest::Normal { invoke, request }.encode(out))
    }

    /// Reads several attributes at once.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn get_list(&mut self, requests: &[AttributeRequest<'_>], now: Instant) -> Result<(), UsageError> {
        self.need(Conformance::GET, "get")?;
        self.need_list(requests.len())?;
        let invoke = self.begin(now)?;
        let requests = List::from(requests);
        self.send_whole(Service::Get, invoke, requests.len(), |out| {
            GetRequest::WithList { invoke, requests }.encode(out)
        })
    }

    /// Sets one attribute; a long value goes out in blocks.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn set(&mut self, request: AttributeRequest<'_>, value: Data<'_>, now: Instant) -> Result<(), UsageError> {
        self.need(Conformance::SET, "set")?;
        let invoke = self.begin(now)?;
        let whole = SetRequest::Normal { invoke, request, value };
        match self.send_whole(Service::Set, invoke, 0, |out| whole.encode(out)) {
            Err(UsageError::RequestTooLong) => {}
            done => return done,
        }
        self.need(Conformance::BLOCK_TRANSFER_WITH_SET, "block-transfer-with-set-or-write")?;
        let length = self.keep(|out| value.encode(out))?;
        self.send_first(Service::Set, invoke, 0, length, |block, out| {
            SetRequest::WithFirstDataBlock { invoke, request, block }.encode(out)
        })
    }

    /// Sets several attributes at once; long values go out in blocks.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn set_list(
        &mut self,
        requests: &[AttributeRequest<'_>],
        values: &[Data<'_>],
        now: Instant,
    ) -> Result<(), UsageError> {
        self.need(Conformance::SET, "set")?;
        self.need_list(requests.len())?;
        if requests.len() != values.len() {
            return Err(UsageError::InvalidList);
        }
        let invoke = self.begin(now)?;
        let (requests, values) = (List::from(requests), List::from(values));
        let whole = SetRequest::WithList { invoke, requests, values };
        match self.send_whole(Service::Set, invoke, requests.len(), |out| whole.encode(out)) {
            Err(UsageError::RequestTooLong) => {}
            done => return done,
        }
        self.need(Conformance::BLOCK_TRANSFER_WITH_SET, "block-transfer-with-set-or-write")?;
        let length = self.keep(|out| encode_list(values, out))?;
        self.send_first(Service::Set, invoke, requests.len(), length, |block, out| {
            SetRequest::WithListAndFirstDataBlock { invoke, requests, block }.encode(out)
        })
    }

    /// Invokes one method; a long parameter goes out in blocks.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn action(
        &mut self,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        now: Instant,
    ) -> Result<(), UsageError> {
        self.need(Conformance::ACTION, "action")?;
        let invoke = self.begin(now)?;
        let whole = ActionRequest::Normal { invoke, request: MethodRequest { method, parameter } };
        let parameter = match (self.send_whole(Service::Action, invoke, 0, |out| whole.encode(out)), parameter) {
            (Err(UsageError::RequestTooLong), Some(parameter)) => parameter,
            (done, _) => return done,
        };
        self.need(Conformance::BLOCK_TRANSFER_WITH_ACTION, "block-transfer-with-action")?;
        let length = self.keep(|out| parameter.encode(out))?;
        self.send_first(Service::Action, invoke, 0, length, |block, out| {
            ActionRequest::WithFirstPBlock { invoke, method, block }.encode(out)
        })
    }

    /// Invokes several methods at once; null-data stands for no parameter, long parameters go out in blocks.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn action_list(
        &mut self,
        methods: &[MethodDescriptor],
        parameters: &[Data<'_>],
        now: Instant,
    ) -> Result<(), UsageError> {
        self.need(Conformance::ACTION, "action")?;
        self.need_list(methods.len())?;
        if methods.len() != parameters.len() {
            return Err(UsageError::InvalidList);
        }
        let invoke = self.begin(now)?;
        let (methods, parameters) = (List::from(methods), List::from(parameters));
        let whole = ActionRequest::WithList { invoke, methods, parameters };
        match self.send_whole(Service::Action, invoke, methods.len(), |out| whole.encode(out)) {
            Err(UsageError::RequestTooLong) => {}
            done => return done,
        }
        self.need(Conformance::BLOCK_TRANSFER_WITH_ACTION, "block-transfer-with-action")?;
        let length = self.keep(|out| encode_list(parameters, out))?;
        self.send_first(Service::Action, invoke, methods.len(), length, |block, out| {
            ActionRequest::WithListAndFirstPBlock { invoke, methods, block }.encode(out)
        })
    }

    /// Checks that a service was negotiated.
    pub(super) fn need(&self, service: Conformance, name: &'static str) -> Result<(), UsageError> {
        let State::Associated(session) = &self.state else { return Err(UsageError::NotAssociated) };
        if session.negotiated.conformance.contains(service) {
            Ok(())
        } else {
            Err(UsageError::NotNegotiated { service: name })
        }
    }

    fn need_list(&self, count: usize) -> Result<(), UsageError> {
        if count == 0 {
            return Err(UsageError::InvalidList);
        }
        self.need(Conformance::MULTIPLE_REFERENCES, "multiple-references")
    }

    /// A fresh invoke-id, so that a late answer to an earlier request is recognised.
    pub(super) fn begin(&mut self, now: Instant) -> Result<InvokeIdAndPriority, UsageError> {
        if self.pending.is_some() {
            return Err(UsageError::RequestPending);
        }
        self.now = now;
        self.exchange = None;
        self.invoke_id = self.invoke_id.wrapping_add(1) & 0x0F;
        Ok(InvokeIdAndPriority::new(self.invoke_id, true, true))
    }

    pub(super) fn send_whole(
        &mut self,
        service: Service,
        invoke: InvokeIdAndPriority,
        list: usize,
        encode: impl Fn(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), UsageError> {
        match self.send_apdu(&encode) {
            Err(UsageError::RequestTooLong) if self.need(Conformance::GENERAL_BLOCK_TRANSFER, "").is_ok() => {
                return self.send_in_blocks(service, invoke, list, encode);
            }
            done => done?,
        }
        self.pending = Some(Pending { invoke, service, list, expected_block: FIRST_BLOCK, sending: None });
        Ok(())
    }

    /// Keeps a long value; returns its length.
    pub(super) fn keep(
        &mut self,
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<usize, UsageError> {
        self.pushed = None;
        let mut out = Writer::new(self.long.as_mut());
        encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
        Ok(out.len())
    }

    /// Sends the first block of the kept value behind the descriptors that `encode` writes.
    fn send_first(
        &mut self,
        service: Service,
        invoke: InvokeIdAndPriority,
        list: usize,
        length: usize,
        encode: impl Fn(DataBlock<'_>, &mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), UsageError> {
        let limit = self.request_limit();
        let mut head = Writer::new(self.out.as_mut().get_mut(HEADROOM..).unwrap_or_default());
        encode(DataBlock { last: false, number: 1, raw: &[] }, &mut head).map_err(|_| UsageError::RequestTooLong)?;
        // Two more octets for the length of the block.
        let room = limit.checked_sub(head.len().saturating_add(2)).filter(|room| *room > 0);
        let room = room.ok_or(UsageError::RequestTooLong)?.min(length);
        let plain = {
            let raw = self.long.as_ref().get(..room).unwrap_or_default();
            let mut out = Writer::new(self.out.as_mut().get_mut(HEADROOM..).unwrap_or_default());
            encode(DataBlock { last: room == length, number: 1, raw }, &mut out)
                .map_err(|_| UsageError::RequestTooLong)?;
            HEADROOM..HEADROOM.saturating_add(out.len())
        };
        self.transmit(plain)?;
        let sending = Some(Sending { length, sent: room, number: 1 });
        self.pending = Some(Pending { invoke, service, list, expected_block: FIRST_BLOCK, sending });
        Ok(())
    }

    /// Sends the next block of the kept value; `false` when all are sent.
    pub(super) fn send_next(&mut self, pending: Pending, sending: Sending) -> Result<bool, UsageError> {
        /// Tag, variant, invoke-id-and-priority, last-block, block-number, and the length at its longest.
        const HEADER_MAX: usize = 3 + 1 + 4 + 3;
        if sending.sent >= sending.length {
            return Ok(false);
        }
        if matches!(pending.service, Service::Read | Service::Write) {
            return self.send_named_block(pending.service, pending.list, sending).map(|()| true);
        }
        let room = self.request_limit().saturating_sub(HEADER_MAX);
        let end = sending.sent.saturating_add(room).min(sending.length);
        let number = sending.number.saturating_add(1);
        let invoke = pending.invoke;
        let plain = {
            let raw = self.long.as_ref().get(sending.sent..end).unwrap_or_default();
            let block = DataBlock { last: end == sending.length, number, raw };
            let mut out = Writer::new(self.out.as_mut().get_mut(HEADROOM..).unwrap_or_default());
            match pending.service {
                Service::Set => SetRequest::WithDataBlock { invoke, block }.encode(&mut out),
                _ => ActionRequest::WithPBlock { invoke, block }.encode(&mut out),
            }
            .map_err(|_| UsageError::RequestTooLong)?;
            HEADROOM..HEADROOM.saturating_add(out.len())
        };
        self.transmit(plain)?;
        let sending = Some(Sending { sent: end, number, ..sending });
        self.pending = Some(Pending { sending, ..pending });
        Ok(true)
    }

    /// Longest plain request: what the server takes and what the storage holds.
    pub(super) fn request_limit(&self) -> usize {
        match &self.state {
            State::Associated(session) | State::AwaitHls { session, .. } => {
                let overhead = session.overhead(self.general.as_ref());
                let stored = self.out.as_ref().len().saturating_sub(overhead.max(HEADROOM.saturating_add(TAG_LENGTH)));
                usize::from(session.negotiated.server_max_pdu).saturating_sub(overhead).min(stored)
            }
            _ => 0,
        }
    }

    /// Encodes a request, refuses one that is too long, and sends it.
    pub(super) fn send_apdu(
        &mut self,
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), UsageError> {
        let end = HEADROOM.saturating_add(self.request_limit());
        let mut out = Writer::new(self.out.as_mut().get_mut(HEADROOM..end).unwrap_or_default());
        encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
        let plain = HEADROOM..HEADROOM.saturating_add(out.len());
        self.transmit(plain)
    }

    /// Encodes a request that is not answered, and sends it.
    pub(super) fn send_unanswered(
        &mut self,
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), UsageError> {
        let end = HEADROOM.saturating_add(self.request_limit());
        let mut out = Writer::new(self.out.as_mut().get_mut(HEADROOM..end).unwrap_or_default());
        encode(&mut out).map_err(|_| UsageError::RequestTooLong)?;
        let plain = HEADROOM..HEADROOM.saturating_add(out.len());
        let placed = self.protect(plain)?;
        let apdu = self.out.as_ref().get(placed).unwrap_or_default();
        Ok(self.link.send_unconfirmed(apdu, self.now)?)
    }

    /// Protects the APDU in the storage and hands it to the link.
    pub(super) fn transmit(&mut self, plain: core::ops::Range<usize>) -> Result<(), UsageError> {
        let placed = self.protect(plain)?;
        let apdu = self.out.as_ref().get(placed).unwrap_or_default();
        self.link.send(apdu, self.now)?;
        self.deadline = Some(self.now.after_ms(self.config.response_timeout_ms));
        Ok(())
    }

    /// Protects the APDU in the storage; returns where it then is.
    fn protect(&mut self, plain: core::ops::Range<usize>) -> Result<core::ops::Range<usize>, UsageError> {
        let (State::Associated(session) | State::AwaitHls { session, .. }) = &mut self.state else {
            return Err(UsageError::NotAssociated);
        };
        let (general, counter, random) = (self.general.as_mut(), &mut self.counter, &mut self.random);
        session.protect(general, counter, random, self.out.as_mut(), plain)
    }
}

fn encode_list(values: List<'_, Data<'_>>, out: &mut Writer<'_>) -> Result<(), BufferFull> {
    out.length(values.len())?;
    values.iter().try_for_each(|value| value.encode(out))
}
