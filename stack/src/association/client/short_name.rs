//! Requests with short names: Read, Write, UnconfirmedWrite, and long ones in blocks.
//!
//! These services have no invoke-id: nothing tells a late answer from the one that is waited for. A request that timed
//! out therefore ends the association, and services that change something are never repeated.

use super::error::UsageError;
use super::request::{FIRST_BLOCK, Pending, Sending, Service};
use super::{Connection, State};
use crate::Instant;
use crate::apdu::{
    Conformance, InvokeIdAndPriority, List, ReadRequest, UnconfirmedWriteRequest, VariableAccess, WriteRequest,
};
use crate::association::Referencing;
use crate::axdr::{Data, Writer};
use crate::link::{Link, Storage};
use crate::security::{Crypto, HEADROOM, Random};

/// Octets in front of the raw data of a block of a request: tag, count, choice, last-block, block-number, and in a
/// WriteRequest the count and tag of the value; the length at its longest.
const HEADER_MAX: usize = 7 + 3;
/// The blocks of a request carry all of it but its tag.
const TAG: usize = 1;

impl<L: Link, C: Crypto, R: Random, B: Storage> Connection<L, C, R, B> {
    /// Reads variables, or invokes methods that return something. A long list of variables goes out in blocks.
    ///
    /// [`Response::Read`](super::Response::Read) or [`Response::ReadBlock`](super::Response::ReadBlock)s follow.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn read(&mut self, variables: &[VariableAccess<'_>], now: Instant) -> Result<(), UsageError> {
        self.need_named(Conformance::READ, "read", variables)?;
        self.begin_named(now)?;
        let variables = List::from(variables);
        let invoke = InvokeIdAndPriority(0);
        match self.send_whole(Service::Read, invoke, variables.len(), |out| ReadRequest { variables }.encode(out)) {
            Err(UsageError::RequestTooLong) => {}
            done => return done,
        }
        self.need(Conformance::BLOCK_TRANSFER_WITH_GET, "block-transfer-with-get-or-read")?;
        let length = self.keep(|out| ReadRequest { variables }.encode(out))?;
        self.send_named_block(Service::Read, variables.len(), Sending { length, sent: TAG, number: 0 })
    }

    /// Writes variables, or invokes methods that return nothing. What is too long for one APDU goes out in blocks.
    ///
    /// [`Response::Write`](super::Response::Write) follows.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn write(
        &mut self,
        variables: &[VariableAccess<'_>],
        values: &[Data<'_>],
        now: Instant,
    ) -> Result<(), UsageError> {
        self.need_named(Conformance::WRITE, "write", variables)?;
        if variables.len() != values.len() {
            return Err(UsageError::InvalidList);
        }
        self.begin_named(now)?;
        let (variables, values) = (List::from(variables), List::from(values));
        let invoke = InvokeIdAndPriority(0);
        let encode = |out: &mut Writer<'_>| WriteRequest { variables, values }.encode(out);
        match self.send_whole(Service::Write, invoke, variables.len(), encode) {
            Err(UsageError::RequestTooLong) => {}
            done => return done,
        }
        self.need(Conformance::BLOCK_TRANSFER_WITH_SET, "block-transfer-with-set-or-write")?;
        let length = self.keep(|out| WriteRequest { variables, values }.encode(out))?;
        self.send_named_block(Service::Write, variables.len(), Sending { length, sent: TAG, number: 0 })
    }

    /// Writes variables without an answer: whether it was done is not known.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was sent then.
    pub fn write_unconfirmed(
        &mut self,
        variables: &[VariableAccess<'_>],
        values: &[Data<'_>],
        now: Instant,
    ) -> Result<(), UsageError> {
        self.need_named(Conformance::UNCONFIRMED_WRITE, "unconfirmed-write", variables)?;
        if variables.len() != values.len() {
            return Err(UsageError::InvalidList);
        }
        self.begin_named(now)?;
        let (variables, values) = (List::from(variables), List::from(values));
        self.send_unanswered(|out| UnconfirmedWriteRequest { variables, values }.encode(out))
    }

    /// Checks that a service was negotiated, with what these variables need of it.
    fn need_named(
        &self,
        service: Conformance,
        name: &'static str,
        variables: &[VariableAccess<'_>],
    ) -> Result<(), UsageError> {
        self.need(service, name)?;
        if variables.len() > 1 {
            self.need(Conformance::MULTIPLE_REFERENCES, "multiple-references")?;
        }
        for variable in variables {
            match variable {
                VariableAccess::Name(_) => {}
                VariableAccess::Parameterized { .. } => {
                    self.need(Conformance::PARAMETERIZED_ACCESS, "parameterized-access")?;
                }
                // Blocks are made here.
                _ => return Err(UsageError::InvalidList),
            }
        }
        if variables.is_empty() { Err(UsageError::InvalidList) } else { Ok(()) }
    }

    fn begin_named(&mut self, now: Instant) -> Result<(), UsageError> {
        if self.pending.is_some() {
            return Err(UsageError::RequestPending);
        }
        self.now = now;
        Ok(())
    }

    fn await_named(&mut self, service: Service, list: usize, sending: Option<Sending>) {
        let invoke = InvokeIdAndPriority(0);
        self.pending = Some(Pending { invoke, service, list, expected_block: FIRST_BLOCK, sending });
    }

    /// Sends the block of the kept request behind what `sending` has sent already.
    pub(super) fn send_named_block(
        &mut self,
        service: Service,
        list: usize,
        sending: Sending,
    ) -> Result<(), UsageError> {
        let room = self.request_limit().checked_sub(HEADER_MAX).filter(|room| *room > 0);
        let end = sending.sent.saturating_add(room.ok_or(UsageError::RequestTooLong)?).min(sending.length);
        let number = sending.number.saturating_add(1);
        let short = u16::try_from(number).map_err(|_| UsageError::RequestTooLong)?;
        let last = end == sending.length;
        let plain = {
            let raw = self.long.as_ref().get(sending.sent..end).unwrap_or_default();
            let mut out = Writer::new(self.out.as_mut().get_mut(HEADROOM..).unwrap_or_default());
            let written = match service {
                Service::Write => {
                    let block = [VariableAccess::WriteBlock { last, number: short }];
                    let values = [Data::OctetString(raw)];
                    WriteRequest { variables: List::from(&block), values: List::from(&values) }.encode(&mut out)
                }
                _ => {
                    let block = [VariableAccess::ReadBlock { last, number: short, raw }];
                    ReadRequest { variables: List::from(&block) }.encode(&mut out)
                }
            };
            written.map_err(|_| UsageError::RequestTooLong)?;
            HEADROOM..HEADROOM.saturating_add(out.len())
        };
        self.transmit(plain)?;
        self.await_named(service, list, Some(Sending { sent: end, number, ..sending }));
        Ok(())
    }

    /// Asks for the block of a long answer behind block `number`.
    pub(super) fn ask_next_named(&mut self, number: u32) -> Result<(), UsageError> {
        // A client that has taken block 65535 cannot name a further one.
        let number = u16::try_from(number).map_err(|_| UsageError::RequestTooLong)?;
        let next = [VariableAccess::BlockNumber(number)];
        self.send_apdu(|out| ReadRequest { variables: List::from(&next) }.encode(out))
    }

    /// Whether the association refers to objects by short names, so that a late answer is not recognised.
    pub(super) fn is_short_name(&self) -> bool {
        matches!(self.state, State::Associated(_)) && self.config.referencing == Referencing::ShortName
    }
}
