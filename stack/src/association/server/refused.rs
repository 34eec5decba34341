//! What a device refuses is told to its audit, whatever service asked for it.

use super::device::{Access, AuditEvent, Cursor, Device, Progress};
use crate::apdu::{ActionResult, AttributeDescriptor, DataAccessResult, MethodDescriptor, Selection};
use crate::axdr::{Data, Writer};

/// [`Device::read`]; a refusal is audited.
pub(super) fn read<D: Device>(
    device: &mut D,
    access: &Access,
    attribute: AttributeDescriptor,
    selection: Option<Selection<'_>>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<Progress, DataAccessResult> {
    device.read(access, attribute, selection, cursor, out).inspect_err(|result| {
        let &Access { client, server, .. } = access;
        device.audit(AuditEvent::ReadRefused { client, server, attribute, result: *result });
    })
}

/// [`Device::write`]; a refusal is audited.
pub(super) fn write<D: Device>(
    device: &mut D,
    access: &Access,
    attribute: AttributeDescriptor,
    selection: Option<Selection<'_>>,
    value: Data<'_>,
) -> Result<(), DataAccessResult> {
    device.write(access, attribute, selection, value).inspect_err(|result| {
        let &Access { client, server, .. } = access;
        device.audit(AuditEvent::WriteRefused { client, server, attribute, result: *result });
    })
}

/// [`Device::invoke`]; a refusal is audited.
pub(super) fn invoke<D: Device>(
    device: &mut D,
    access: &Access,
    method: MethodDescriptor,
    parameter: Option<Data<'_>>,
    out: &mut Writer<'_>,
) -> Result<(), ActionResult> {
    device.invoke(access, method, parameter, out).inspect_err(|result| {
        let &Access { client, server, .. } = access;
        device.audit(AuditEvent::ActionRefused { client, server, method, result: *result });
    })
}
