//! What clients wrote to objects that are constants in the model.

use dlms::apdu::DataAccessResult;
use dlms::id::{AttributeId, ClassId};
use dlms::obis::ObisCode;

use super::Meter;
use super::events::{LogKind, code};
use crate::moment::Moment;
use crate::objects::ConstantState;
use crate::simulator::small_map::SmallMap;

/// Values by class, logical name and attribute; at most one for each attribute that the model lets a client write.
#[derive(Debug, Default)]
pub(crate) struct Written(pub(super) SmallMap<(ClassId, ObisCode, AttributeId), Box<[u8]>>);

impl ConstantState for Meter {
    fn written(&self, class: ClassId, instance: ObisCode, attribute: AttributeId) -> Option<&[u8]> {
        self.constants.0.get(&(class, instance, attribute)).map(AsRef::as_ref)
    }

    fn write(
        &mut self,
        class: ClassId,
        instance: ObisCode,
        attribute: AttributeId,
        value: &[u8],
        at: Moment,
    ) -> Result<(), DataAccessResult> {
        self.constants.0.insert((class, instance, attribute), value.into());
        self.record(LogKind::Standard, at, code::PARAMETERS_CHANGED);
        Ok(())
    }
}
