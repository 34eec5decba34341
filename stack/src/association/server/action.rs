//! ACTION on the server's side: normal, with list, long parameters and long results by blocks.

use super::answer::{Answer, SERVICE_NOT_SUPPORTED};
use super::device::{Access, Device};
use super::long_request::{BlockRefused, LongRequest, values};
use super::refused;
use super::transfer::{Transfer, Transfers};
use crate::apdu::{
    ActionRequest, ActionResult, Conformance, DataBlock, InvokeIdAndPriority, List, MethodDescriptor, MethodRequest,
};
use crate::axdr::{BufferFull, Data, DecodeError, Writer};
use crate::link::Storage;
use crate::security::Protection;

/// Octets in front of returned data: tag, variant, invoke-id-and-priority, result, presence, choice.
const NORMAL_HEADER: usize = 6;
/// Most octets in front of the raw data of `action-response-with-pblock`.
const BLOCK_HEADER_MAX: usize = 13;

/// A result that is sent in blocks. The method was invoked once; what it returned is kept in the storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongResult {
    /// Octets of the result.
    length: usize,
    /// Number of the block that was sent last.
    number: u32,
    /// Where that block began, to send it again.
    at: usize,
    /// Where the next one begins.
    next: usize,
    /// How the method was asked for; nobody else gets what it returned.
    request: Protection,
}

impl<B: Storage> Transfers<B> {
    /// Answers an ACTION; `plain` is the request's own octets, kept when more blocks follow.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn action<D: Device>(
        &mut self,
        request: &ActionRequest<'_>,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let lists = access.has::<D>(Conformance::MULTIPLE_REFERENCES);
        let blocks = access.has::<D>(Conformance::BLOCK_TRANSFER_WITH_ACTION);
        match *request {
            ActionRequest::Normal { invoke, request } => {
                self.transfer = Transfer::None;
                self.action_one(invoke, request, access, device, answer);
            }
            ActionRequest::WithList { invoke, methods, parameters } if lists => {
                self.transfer = Transfer::None;
                let fitted = answer.encode(|out| {
                    out.bytes(&[0xC7, 3, invoke.0])?;
                    action_list(device, access, methods, parameters.iter().map(Ok::<_, DecodeError>), out)
                });
                if !fitted {
                    refuse(answer, invoke, ActionResult::OtherReason);
                }
            }
            ActionRequest::NextPBlock { invoke, number } if blocks => {
                self.action_next(invoke, number, access, answer);
            }
            ActionRequest::WithFirstPBlock { invoke, block, .. } if blocks => {
                let kept = LongRequest::start(&mut self.long, plain, block.number, block.raw, access.request);
                self.action_block(invoke, block, kept, access, device, answer);
            }
            ActionRequest::WithListAndFirstPBlock { invoke, block, .. } if blocks && lists => {
                let kept = LongRequest::start(&mut self.long, plain, block.number, block.raw, access.request);
                self.action_block(invoke, block, kept, access, device, answer);
            }
            ActionRequest::WithPBlock { invoke, block } if blocks => {
                let Transfer::Action(mut long) = self.transfer else {
                    refuse(answer, invoke, ActionResult::NoLongActionInProgress);
                    return;
                };
                let kept = long.append(&mut self.long, block.number, block.raw, access.request).map(|()| long);
                self.action_block(invoke, block, kept, access, device, answer);
            }
            _ => answer.exception(SERVICE_NOT_SUPPORTED),
        }
    }

    /// Acknowledges a block, or invokes the method when it was the last.
    fn action_block<D: Device>(
        &mut self,
        invoke: InvokeIdAndPriority,
        block: DataBlock<'_>,
        kept: Result<LongRequest, BlockRefused>,
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        self.transfer = Transfer::None;
        let Ok(long) = kept else {
            refuse(answer, invoke, ActionResult::LongActionAborted);
            return;
        };
        if !block.last {
            self.transfer = Transfer::Action(long);
            answer.encode(|out| {
                out.bytes(&[0xC7, 4, invoke.0])?;
                out.u32(block.number)
            });
            return;
        }
        let (first, raw) = long.parts(&self.long);
        let excess = match ActionRequest::decode(first) {
            Ok(ActionRequest::WithFirstPBlock { method, .. }) => match Data::from_slice(raw) {
                Ok(parameter) => {
                    let request = MethodRequest { method, parameter: Some(parameter) };
                    invoke_once(invoke, request, access, device, answer)
                }
                Err(_) => {
                    refuse(answer, invoke, ActionResult::TypeUnmatched);
                    None
                }
            },
            Ok(ActionRequest::WithListAndFirstPBlock { methods, .. }) => {
                let fitted = answer.encode(|out| {
                    out.bytes(&[0xC7, 3, invoke.0])?;
                    action_list(device, access, methods, values(raw), out)
                });
                if !fitted {
                    refuse(answer, invoke, ActionResult::OtherReason);
                }
                None
            }
            _ => {
                refuse(answer, invoke, ActionResult::LongActionAborted);
                None
            }
        };
        // The parameter was used: its storage is free for the result.
        if let Some(excess) = excess {
            self.send_long_result::<D>(excess, invoke, access, answer);
        }
    }

    fn action_one<D: Device>(
        &mut self,
        invoke: InvokeIdAndPriority,
        request: MethodRequest<'_>,
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        if let Some(excess) = invoke_once(invoke, request, access, device, answer) {
            self.send_long_result::<D>(excess, invoke, access, answer);
        }
    }

    /// Sends the first block of a result of `excess` octets: more than the client takes in one APDU, but all of it is in
    /// the answer's buffer.
    fn send_long_result<D: Device>(
        &mut self,
        excess: usize,
        invoke: InvokeIdAndPriority,
        access: &Access,
        answer: &mut Answer<'_>,
    ) {
        match self.long.as_mut().get_mut(..excess) {
            Some(room) if access.has::<D>(Conformance::BLOCK_TRANSFER_WITH_ACTION) => {
                room.copy_from_slice(answer.body(NORMAL_HEADER, excess));
                let long = LongResult { length: excess, number: 0, at: 0, next: 0, request: access.request };
                self.action_result_block(long, invoke, answer);
            }
            _ => refuse(answer, invoke, ActionResult::OtherReason),
        }
    }

    fn action_next(&mut self, invoke: InvokeIdAndPriority, number: u32, access: &Access, answer: &mut Answer<'_>) {
        let Transfer::ActionResult(long) = self.transfer else {
            refuse(answer, invoke, ActionResult::NoLongActionInProgress);
            return;
        };
        if long.request != access.request {
            self.transfer = Transfer::None;
            refuse(answer, invoke, ActionResult::LongActionAborted);
        } else if number == long.number && long.next < long.length {
            self.action_result_block(long, invoke, answer);
        } else if number == long.number.wrapping_sub(1) {
            self.action_result_block(LongResult { number, next: long.at, ..long }, invoke, answer);
        } else {
            self.transfer = Transfer::None;
            refuse(answer, invoke, ActionResult::LongActionAborted);
        }
    }

    /// Sends the block that begins at `long.next`. The raw data is the returned `Data` alone: of the
    /// readings that implementations show, the one of the most widespread client.
    fn action_result_block(&mut self, long: LongResult, invoke: InvokeIdAndPriority, answer: &mut Answer<'_>) {
        let number = long.number.saturating_add(1);
        let limit = answer.block_limit().saturating_sub(BLOCK_HEADER_MAX);
        if limit == 0 {
            // Blocks without data would have no end.
            self.transfer = Transfer::None;
            return refuse(answer, invoke, ActionResult::OtherReason);
        }
        let end = long.next.saturating_add(limit).min(long.length);
        let raw = self.long.as_ref().get(long.next..end).unwrap_or_default();
        let fitted = answer.encode(|out| {
            out.bytes(&[0xC7, 2, invoke.0, u8::from(end == long.length)])?;
            out.u32(number)?;
            out.octet_string(raw)
        });
        self.transfer = if fitted {
            Transfer::ActionResult(LongResult { number, at: long.next, next: end, ..long })
        } else {
            Transfer::None
        };
    }
}

fn refuse(answer: &mut Answer<'_>, invoke: InvokeIdAndPriority, result: ActionResult) {
    answer.write(&[0xC7, 1, invoke.0, result.code(), 0]);
}

/// Invokes a method and answers, unless what it returned is too long for one APDU but whole in the
/// buffer: then returns its length.
fn invoke_once<D: Device>(
    invoke: InvokeIdAndPriority,
    request: MethodRequest<'_>,
    access: &Access,
    device: &mut D,
    answer: &mut Answer<'_>,
) -> Option<usize> {
    let limit = answer.limit().saturating_sub(NORMAL_HEADER);
    let (result, length, overflow) = {
        let mut out = Writer::window(answer.body(NORMAL_HEADER, usize::MAX), 0);
        let result = refused::invoke(device, access, request.method, request.parameter, &mut out);
        (result, out.len(), out.overflow())
    };
    match result {
        Err(result) => refuse(answer, invoke, result),
        Ok(()) if overflow > 0 => refuse(answer, invoke, ActionResult::OtherReason),
        Ok(()) if length == 0 => answer.write(&[0xC7, 1, invoke.0, 0, 0]),
        Ok(()) if length <= limit => answer.finish(&[0xC7, 1, invoke.0, 0, 1, 0], NORMAL_HEADER, length),
        Ok(()) => return Some(length),
    }
    None
}

/// Invokes a list of methods and writes as many results. Nothing is invoked unless all results fit without their data;
/// data that would leave no room for the results behind it is dropped, and the result says so.
fn action_list<'v, D: Device, E>(
    device: &mut D,
    access: &Access,
    methods: List<'_, MethodDescriptor>,
    mut parameters: impl Iterator<Item = Result<Data<'v>, E>>,
    out: &mut Writer<'_>,
) -> Result<(), BufferFull> {
    /// Result, presence and choice.
    const RESULT: usize = 3;
    out.length(methods.len())?;
    let mut behind = methods.len().saturating_mul(RESULT);
    if out.free() < behind {
        return Err(BufferFull);
    }
    for method in methods.iter() {
        behind = behind.saturating_sub(RESULT);
        let start = out.len();
        let parameter = match parameters.next() {
            Some(Ok(Data::Null)) => Ok(None),
            Some(Ok(parameter)) => Ok(Some(parameter)),
            Some(Err(_)) | None => Err(ActionResult::TypeUnmatched),
        };
        // Result, presence and choice come before the data that decides about them; they are corrected after.
        out.bytes(&[0, 1, 0])?;
        let data = out.len();
        let result = parameter.and_then(|parameter| refused::invoke(device, access, method, parameter, out));
        let result = if out.free() < behind { result.and(Err(ActionResult::OtherReason)) } else { result };
        if result.is_err() || out.len() == data {
            out.truncate(start);
            out.bytes(&[result.err().map_or(0, ActionResult::code), 0])?;
        }
    }
    Ok(())
}
