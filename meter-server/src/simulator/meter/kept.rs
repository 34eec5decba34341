//! Attributes of class objects that stay until a client or a script writes them: shared by all meters of a model until
//! then.

use std::sync::Arc;

use dlms::apdu::DataAccessResult;
use dlms::axdr::{BufferFull, Writer};
use dlms::id::AttributeId;

use super::Meter;
use super::events::{LogKind, code};
use crate::object::Context;
use crate::objects::Kept;

/// Octets that a written attribute may have at most.
const OCTETS_MAX: usize = 4_096;

/// The attributes of one object of a model.
#[derive(Clone, Debug)]
pub(crate) struct KeptSlot {
    /// Number of the object in the model.
    pub(crate) slot: usize,
    /// What the model says, as A-XDR `Data` by attribute.
    pub(crate) initial: Arc<[(i8, Box<[u8]>)]>,
}

impl KeptSlot {
    /// What the model says. Empty for an attribute that the object has not.
    pub(crate) fn initial(&self, attribute: i8) -> &[u8] {
        self.initial.iter().find(|(number, _)| *number == attribute).map_or(&[], |(_, octets)| octets)
    }
}

impl Kept<Meter> for KeptSlot {
    fn kept<'a>(&'a self, meter: &'a Meter, attribute: AttributeId) -> &'a [u8] {
        if let Some(written) = meter.kept.get(&(self.slot, attribute.0)) {
            return written;
        }
        self.initial(attribute.0)
    }

    fn keep(
        &self,
        meter: &mut Meter,
        cx: &Context<'_, Meter>,
        attribute: AttributeId,
        write: &dyn Fn(&mut Writer<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), DataAccessResult> {
        let mut buffer = vec![0; OCTETS_MAX];
        let mut out = Writer::new(&mut buffer);
        write(&mut out).map_err(|_| DataAccessResult::OtherReason)?;
        meter.kept.insert((self.slot, attribute.0), out.written().into());
        meter.times_changed();
        meter.record(LogKind::Standard, cx.at, code::PARAMETERS_CHANGED);
        Ok(())
    }
}
