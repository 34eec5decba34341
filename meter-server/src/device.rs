//! A logical device: access rights in front of objects.

use dlms::apdu::{ActionResult, AttributeDescriptor, DataAccessResult, MemberDescriptor, MethodDescriptor, Selection};
use dlms::association::server::{Access, Cursor, Member, Progress};
use dlms::axdr::{Data, Writer};
use dlms::id::{ClassId, ShortName};
use dlms::obis::ObisCode;
use dlms::security::Protection;

use crate::access::Rights;
use crate::moment::Moment;
use crate::object::{Context, Object, Read, done};
use crate::table::ObjectTable;

/// One logical device while it answers one request.
pub struct LogicalDevice<'a, S: ?Sized> {
    /// The objects and rights.
    pub table: &'a dyn ObjectTable<S>,
    /// The meter's state.
    pub state: &'a mut S,
    /// The moment of the request.
    pub at: Moment,
}

impl<S: ?Sized> core::fmt::Debug for LogicalDevice<'_, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LogicalDevice").field("objects", &self.table.len()).field("at", &self.at).finish()
    }
}

impl<'a, S: ?Sized> LogicalDevice<'a, S> {
    /// The object and the client's rights on it. An object on which the client has no right at all does not
    /// exist for it, so that a public client cannot search for what a meter has.
    fn find(&self, access: &Access, class: ClassId, instance: ObisCode) -> Option<(&'a dyn Object<S>, Rights<'a>)> {
        find(self.table, access, class, instance)
    }

    /// Reads one part of an attribute.
    ///
    /// # Errors
    /// `ObjectUndefined` for an object that is not there or not there for this client, `ReadWriteDenied` for an
    /// attribute that is not there or not readable, `ScopeOfAccessViolated` for a request with less protection than
    /// the right demands, `TypeUnmatched` for a selector that the attribute does not offer, and what the object says.
    pub fn read(
        &self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let cx = Context { access, at: self.at, table: self.table };
        read_attribute(&cx, self.state, attribute, selection, cursor, out)
    }

    /// What a short name stands for.
    #[must_use]
    pub fn short_name(&self, name: ShortName) -> Option<MemberDescriptor> {
        self.table.named(name)
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// As [`read`](Self::read); `TypeUnmatched` also for any selector, because no class here offers selective
    /// access to what it lets a client write.
    pub fn write(
        &mut self,
        access: &Access,
        attribute: AttributeDescriptor,
        selection: Option<Selection<'_>>,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        let (object, rights) =
            self.find(access, attribute.class, attribute.instance).ok_or(DataAccessResult::ObjectUndefined)?;
        let id = attribute.attribute;
        let right = rights.attribute(id.0);
        if !right.writable() || !may_change(access, attribute.class) || id.0 > object.attributes() || id.0 == 1 {
            return Err(DataAccessResult::ReadWriteDenied);
        }
        if !access.request.covers(right.required()) {
            return Err(DataAccessResult::ScopeOfAccessViolated);
        }
        if selection.is_some() {
            return Err(DataAccessResult::TypeUnmatched);
        }
        let cx = Context { access, at: self.at, table: self.table };
        object.write(self.state, &cx, id, value)
    }

    /// Invokes a method.
    ///
    /// # Errors
    /// As [`read`](Self::read), for methods.
    pub fn invoke(
        &mut self,
        access: &Access,
        method: MethodDescriptor,
        parameter: Option<Data<'_>>,
        out: &mut Writer<'_>,
    ) -> Result<(), ActionResult> {
        let (object, rights) = self.find(access, method.class, method.instance).ok_or(ActionResult::ObjectUndefined)?;
        let right = rights.method(method.method.0);
        if !right.invocable() || !may_change(access, method.class) || method.method.0 > object.methods() {
            return Err(ActionResult::ReadWriteDenied);
        }
        if !access.request.covers(right.required()) {
            return Err(ActionResult::ScopeOfAccessViolated);
        }
        let cx = Context { access, at: self.at, table: self.table };
        object.invoke(self.state, &cx, method.method, parameter, out)
    }
}

fn find<'a, S: ?Sized>(
    table: &'a dyn ObjectTable<S>,
    access: &Access,
    class: ClassId,
    instance: ObisCode,
) -> Option<(&'a dyn Object<S>, Rights<'a>)> {
    let index = table.find(class, instance)?;
    let rights = table.rights(index, access.client);
    if !rights.any() {
        return None;
    }
    Some((table.object(index)?, rights))
}

/// Reads one part of an attribute, access rights first.
pub(crate) fn read_attribute<S: ?Sized>(
    cx: &Context<'_, S>,
    state: &S,
    attribute: AttributeDescriptor,
    selection: Option<Selection<'_>>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<Progress, DataAccessResult> {
    let (object, rights) =
        find(cx.table, cx.access, attribute.class, attribute.instance).ok_or(DataAccessResult::ObjectUndefined)?;
    let id = attribute.attribute;
    let right = rights.attribute(id.0);
    if !right.readable() || id.0 > object.attributes() {
        return Err(DataAccessResult::ReadWriteDenied);
    }
    if !cx.access.request.covers(right.required()) {
        return Err(DataAccessResult::ScopeOfAccessViolated);
    }
    if selection.is_some_and(|selection| !object.selectors(id).contains(&selection.selector)) {
        return Err(DataAccessResult::TypeUnmatched);
    }
    if id.0 == 1 {
        return done(out.obis(attribute.instance));
    }
    object.read(state, cx, Read { attribute: id, selection }, cursor, out)
}

/// Classes that obey requests under the broadcast key, which any meter of the group can forge: the clock, and the blocks
/// of a firmware image, which is verified as a whole.
const BROADCAST: [ClassId; 2] = [ClassId(8), ClassId(18)];

/// Whether an object of this class may be changed by this request.
fn may_change(access: &Access, class: ClassId) -> bool {
    !access.broadcast || BROADCAST.contains(&class)
}

/// Protection that the client's rights demand of the response about a member: what
/// [`Device::response_protection`](dlms::association::server::Device::response_protection) wants to know.
#[must_use]
pub fn response_protection<S: ?Sized>(table: &dyn ObjectTable<S>, access: &Access, member: Member) -> Protection {
    let (class, instance) = match member {
        Member::Attribute(attribute) => (attribute.class, attribute.instance),
        Member::Method(method) => (method.class, method.instance),
    };
    let Some(index) = table.find(class, instance) else { return Protection::NONE };
    let rights = table.rights(index, access.client);
    match member {
        Member::Attribute(attribute) => rights.attribute(attribute.attribute.0).response(),
        Member::Method(method) => rights.method(method.method.0).response(),
    }
}

#[cfg(test)]
mod tests;
