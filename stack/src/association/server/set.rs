//! SET on the server's side: normal, with list, and long values by blocks.

use super::answer::{Answer, SERVICE_NOT_SUPPORTED};
use super::device::{Access, Device};
use super::long_request::{BlockRefused, LongRequest, values};
use super::refused;
use super::transfer::{Transfer, Transfers};
use crate::apdu::{AttributeRequest, Conformance, DataAccessResult, DataBlock, InvokeIdAndPriority, List, SetRequest};
use crate::axdr::{BufferFull, Data, DecodeError, Writer};
use crate::link::Storage;

/// Octets of a block number.
const BLOCK_NUMBER: usize = 4;

impl<B: Storage> Transfers<B> {
    /// Answers a SET; `plain` is the request's own octets, kept when more blocks follow.
    #[cfg_attr(feature = "small", inline(never))]
    pub(super) fn set<D: Device>(
        &mut self,
        request: &SetRequest<'_>,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let lists = access.has::<D>(Conformance::MULTIPLE_REFERENCES);
        let blocks = access.has::<D>(Conformance::BLOCK_TRANSFER_WITH_SET);
        match *request {
            SetRequest::Normal { invoke, request, value } => {
                self.transfer = Transfer::None;
                let result = set_one(device, access, request, value);
                answer.write(&[0xC5, 1, invoke.0, result.code()]);
            }
            SetRequest::WithList { invoke, requests, values } if lists => {
                self.transfer = Transfer::None;
                let fitted = answer.encode(|out| {
                    out.bytes(&[0xC5, 5, invoke.0])?;
                    set_list(device, access, requests, values.iter().map(Ok::<_, DecodeError>), 0, out)
                });
                if !fitted {
                    answer.write(&[0xC5, 1, invoke.0, DataAccessResult::OtherReason.code()]);
                }
            }
            SetRequest::WithFirstDataBlock { invoke, block, .. } if blocks => {
                self.set_first(invoke, block, plain, access, device, answer);
            }
            SetRequest::WithListAndFirstDataBlock { invoke, block, .. } if blocks && lists => {
                self.set_first(invoke, block, plain, access, device, answer);
            }
            SetRequest::WithDataBlock { invoke, block } if blocks => {
                let Transfer::Set(mut long) = self.transfer else {
                    answer.write(&[0xC5, 1, invoke.0, DataAccessResult::NoLongSetInProgress.code()]);
                    return;
                };
                let kept = long.append(&mut self.long, block.number, block.raw, access.request).map(|()| long);
                self.set_block(invoke, block, kept, access, device, answer);
            }
            _ => {
                answer.exception(SERVICE_NOT_SUPPORTED);
            }
        }
    }

    fn set_first<D: Device>(
        &mut self,
        invoke: InvokeIdAndPriority,
        block: DataBlock<'_>,
        plain: &[u8],
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        let kept = LongRequest::start(&mut self.long, plain, block.number, block.raw, access.request);
        self.set_block(invoke, block, kept, access, device, answer);
    }

    /// Acknowledges a block, or sets the value when it was the last.
    fn set_block<D: Device>(
        &mut self,
        invoke: InvokeIdAndPriority,
        block: DataBlock<'_>,
        kept: Result<LongRequest, BlockRefused>,
        access: &Access,
        device: &mut D,
        answer: &mut Answer<'_>,
    ) {
        self.transfer = Transfer::None;
        let long = match kept {
            Ok(long) => long,
            Err(refused) => {
                let result = match refused {
                    BlockRefused::WrongNumber => DataAccessResult::DataBlockNumberInvalid,
                    BlockRefused::TooLong | BlockRefused::Foreign => DataAccessResult::LongSetAborted,
                };
                answer.write(&[0xC5, 1, invoke.0, result.code()]);
                return;
            }
        };
        if !block.last {
            self.transfer = Transfer::Set(long);
            answer.encode(|out| {
                out.bytes(&[0xC5, 2, invoke.0])?;
                out.u32(block.number)
            });
            return;
        }
        let (first, raw) = long.parts(&self.long);
        match SetRequest::decode(first) {
            Ok(SetRequest::WithFirstDataBlock { request, .. }) => {
                let result = match Data::from_slice(raw) {
                    Ok(value) => set_one(device, access, request, value),
                    Err(_) => DataAccessResult::TypeUnmatched,
                };
                answer.encode(|out| {
                    out.bytes(&[0xC5, 3, invoke.0, result.code()])?;
                    out.u32(block.number)
                });
            }
            Ok(SetRequest::WithListAndFirstDataBlock { requests, .. }) => {
                let fitted = answer.encode(|out| {
                    out.bytes(&[0xC5, 4, invoke.0])?;
                    set_list(device, access, requests, values(raw), BLOCK_NUMBER, out)?;
                    out.u32(block.number)
                });
                if !fitted {
                    answer.write(&[0xC5, 1, invoke.0, DataAccessResult::OtherReason.code()]);
                }
            }
            _ => answer.write(&[0xC5, 1, invoke.0, DataAccessResult::LongSetAborted.code()]),
        }
    }
}

fn set_one<D: Device>(
    device: &mut D,
    access: &Access,
    request: AttributeRequest<'_>,
    value: Data<'_>,
) -> DataAccessResult {
    match refused::write(device, access, request.attribute, request.selection, value) {
        Ok(()) => DataAccessResult::Success,
        Err(result) => result,
    }
}

/// Sets a list and writes as many results as there are attributes: one without a value is unmatched. `behind` octets
/// must be left for what follows the results. Nothing is set unless all results fit.
fn set_list<'v, D: Device, E>(
    device: &mut D,
    access: &Access,
    requests: List<'_, AttributeRequest<'_>>,
    mut values: impl Iterator<Item = Result<Data<'v>, E>>,
    behind: usize,
    out: &mut Writer<'_>,
) -> Result<(), BufferFull> {
    out.length(requests.len())?;
    if out.free() < requests.len().saturating_add(behind) {
        return Err(BufferFull);
    }
    for request in requests.iter() {
        let result = match values.next() {
            Some(Ok(value)) => set_one(device, access, request, value),
            Some(Err(_)) | None => DataAccessResult::TypeUnmatched,
        };
        out.u8(result.code())?;
    }
    Ok(())
}
