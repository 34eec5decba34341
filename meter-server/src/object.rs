//! The one trait through which the server reaches a COSEM object.

use dlms::apdu::{ActionResult, DataAccessResult, Selection};
use dlms::association::server::{Access, Cursor, Progress};
use dlms::axdr::{BufferFull, Data, Writer};
use dlms::cosem::ClassVersion;
use dlms::id::{AttributeId, ClassId, MethodId};
use dlms::obis::ObisCode;

use crate::moment::Moment;
use crate::table::ObjectTable;

/// One object of a logical device: an instance of a COSEM interface class.
///
/// Objects are descriptions that many meters (or a `static` table in flash) can share; what changes at run
/// time lives in the meter's state `S`. The dispatcher has looked at access rights, protection, the attribute
/// number and the selector before it asks an object, and answers attribute 1 (`logical_name`) itself. A class
/// that does not override a service refuses it.
pub trait Object<S: ?Sized> {
    /// Attribute 1.
    fn instance(&self) -> ObisCode;

    /// Interface class.
    fn class(&self) -> ClassId;

    /// Version of the interface class.
    fn version(&self) -> u8 {
        0
    }

    /// Number of attributes, `logical_name` included. By default those of the class.
    fn attributes(&self) -> i8 {
        self.described().map_or(1, |class| class.last_attribute().0)
    }

    /// Number of methods. By default those of the class.
    fn methods(&self) -> i8 {
        self.described().map_or(0, |class| class.last_method().0)
    }

    /// Selective access that an attribute offers. By default what the class knows.
    fn selectors(&self, attribute: AttributeId) -> &'static [u8] {
        self.described().and_then(|class| class.attribute(attribute)).map_or(&[], |attribute| attribute.selectors)
    }

    /// The description of the class in the version that the object has, for objects that do not say the above
    /// themselves. It comes with names and checks of all members: firmware overrides the three methods above instead,
    /// as the classes in [`objects`](crate::objects) do.
    fn described(&self) -> Option<ClassVersion> {
        None
    }

    /// Writes one part of an attribute as A-XDR `Data`; see [`Device::read`](dlms::association::server::Device::read)
    /// for what a part is.
    ///
    /// # Errors
    /// What the client gets instead of data.
    fn read(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        request: Read<'_>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let _ = (state, cx, request, cursor, out);
        Err(DataAccessResult::ReadWriteDenied)
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// What the client gets; the attribute is unchanged then.
    fn write(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        attribute: AttributeId,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        let _ = (state, cx, attribute, value);
        Err(DataAccessResult::ReadWriteDenied)
    }

    /// Invokes a method once and writes what it returns, if anything.
    ///
    /// # Errors
    /// What the client gets; nothing was changed then.
    fn invoke(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        method: MethodId,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        let _ = (state, cx, method, parameter, out);
        Err(ActionResult::ReadWriteDenied)
    }
}

/// What is to be read of an object.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// The attribute, from 2.
    pub attribute: AttributeId,
    /// Which part of it the client wants.
    pub selection: Option<Selection<'a>>,
}

impl Read<'_> {
    /// A whole attribute.
    #[must_use]
    pub const fn whole(attribute: i8) -> Self {
        Self { attribute: AttributeId(attribute), selection: None }
    }
}

/// Around a request: who asks, when, and what else there is in the logical device.
pub struct Context<'a, S: ?Sized> {
    /// Who asks.
    pub access: &'a Access,
    /// The moment that the answer describes.
    pub at: Moment,
    /// All objects of the logical device.
    pub table: &'a dyn ObjectTable<S>,
}

impl<S: ?Sized> Clone for Context<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for Context<'_, S> {}

impl<S: ?Sized> Context<'_, S> {
    /// The same request at another moment.
    #[must_use]
    pub const fn at(self, at: Moment) -> Self {
        Self { at, ..self }
    }
}

/// The end of a value that consists of one part.
pub(crate) fn done(written: Result<(), BufferFull>) -> Result<Progress, DataAccessResult> {
    written?;
    Ok(Progress::Done)
}
