//! Objects of any class whose attributes are constants until a client writes them.

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{Data, Writer};
use dlms::cosem::ClassVersion;
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::obis::ObisCode;

use crate::moment::Moment;
use crate::object::{Context, Object, Read, done};

/// Octets that a written value may have at most.
const WRITTEN_OCTETS_MAX: usize = 512;

/// The attributes of an object as A-XDR.
pub trait Constants {
    /// An attribute from 2 on.
    fn attribute(&self, id: AttributeId) -> Option<&[u8]>;

    /// Whether a method is taken note of, with no effect. Others are refused.
    fn accepts(&self, method: MethodId) -> bool {
        let _ = method;
        false
    }
}

impl Constants for &[(AttributeId, &[u8])] {
    fn attribute(&self, id: AttributeId) -> Option<&[u8]> {
        self.iter().find(|(known, _)| *known == id).map(|(_, value)| *value)
    }
}

/// What clients wrote to constant objects.
pub trait ConstantState {
    /// The value that replaces an attribute of object `class` at `instance`, as A-XDR.
    fn written(&self, class: ClassId, instance: ObisCode, attribute: AttributeId) -> Option<&[u8]>;

    /// Keeps a value, which is of the attribute's type, from a moment on.
    ///
    /// # Errors
    /// What the client gets; nothing was changed then.
    fn write(
        &mut self,
        class: ClassId,
        instance: ObisCode,
        attribute: AttributeId,
        value: &[u8],
        at: Moment,
    ) -> Result<(), DataAccessResult>;
}

/// An object of a class that does nothing by itself: communication parameters, identifiers, diagnostics.
///
/// What a client may write where its access rights allow it, and of which type, follows from the class.
#[derive(Clone, Copy, Debug)]
pub struct Constant<A> {
    /// Logical name.
    pub instance: ObisCode,
    /// The class.
    pub class: ClassVersion,
    /// Attributes from 2 on.
    pub attributes: A,
}

impl<S: ConstantState + ?Sized, A: Constants> Object<S> for Constant<A> {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        self.class.class().id
    }

    fn version(&self) -> u8 {
        self.class.version()
    }

    fn described(&self) -> Option<ClassVersion> {
        Some(self.class)
    }

    /// None: a value is always told whole.
    fn selectors(&self, _: AttributeId) -> &'static [u8] {
        &[]
    }

    fn read(
        &self,
        state: &S,
        _: &Context<'_, S>,
        request: Read<'_>,
        _: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let id = request.attribute;
        let constant = self.attributes.attribute(id).ok_or(DataAccessResult::ReadWriteDenied)?;
        let written = state.written(self.class.class().id, self.instance, id);
        done(out.bytes(written.unwrap_or(constant)))
    }

    fn write(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        attribute: AttributeId,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        let info = self.class.attribute(attribute).filter(|info| info.writable);
        let info = info.ok_or(DataAccessResult::ReadWriteDenied)?;
        info.check(value).map_err(|_| DataAccessResult::TypeUnmatched)?;
        let mut buffer = [0; WRITTEN_OCTETS_MAX];
        let mut writer = Writer::new(&mut buffer);
        value.encode(&mut writer).map_err(|_| DataAccessResult::OtherReason)?;
        state.write(self.class.class().id, self.instance, attribute, writer.written(), cx.at)
    }

    fn invoke(
        &self,
        _: &mut S,
        _: &Context<'_, S>,
        method: MethodId,
        parameter: Option<Data<'_>>,
        _: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        let info = self.class.method(method).filter(|_| self.attributes.accepts(method));
        let info = info.ok_or(ActionResult::ReadWriteDenied)?;
        info.check(parameter.unwrap_or(Data::Null)).map_err(|_| ActionResult::TypeUnmatched)
    }
}
