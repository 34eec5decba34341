//! The objects of a logical device and who may do what with them.

use dlms::apdu::MemberDescriptor;
use dlms::cosem::short_name::NamedObject;
use dlms::id::{ClassId, ClientSap, ShortName};
use dlms::obis::ObisCode;

use crate::access::Rights;
use crate::object::Object;

/// All objects of a logical device with the rights of its clients.
pub trait ObjectTable<S: ?Sized> {
    /// Number of objects.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Object number `index`.
    fn object(&self, index: usize) -> Option<&dyn Object<S>>;

    /// What `client` may do with object number `index`.
    fn rights(&self, index: usize, client: ClientSap) -> Rights<'_>;

    /// Base name of object number `index`, where objects are referred to by short names; `None` for an object that
    /// clients with short names do not reach.
    fn base(&self, index: usize) -> Option<ShortName> {
        let _ = index;
        None
    }

    /// What a short name stands for.
    fn named(&self, name: ShortName) -> Option<MemberDescriptor> {
        (0..self.len()).find_map(|index| member(self.object(index)?, self.base(index)?, name))
    }

    /// Number of the object with this class and logical name.
    fn find(&self, class: ClassId, instance: ObisCode) -> Option<usize> {
        (0..self.len()).find(|index| {
            self.object(*index).is_some_and(|object| object.class() == class && object.instance() == instance)
        })
    }
}

/// What a short name stands for in an object with a base name.
pub(crate) fn member<S: ?Sized>(object: &dyn Object<S>, base: ShortName, name: ShortName) -> Option<MemberDescriptor> {
    NamedObject::new(base, object.class(), object.version(), object.instance()).member(
        name,
        object.attributes(),
        object.methods(),
    )
}

/// An object in a table that is a slice, for instance a `static` one in flash.
pub struct Entry<'a, S: ?Sized> {
    /// The object.
    pub object: &'a (dyn Object<S> + Sync),
    /// Rights by client; clients that are not listed have none.
    pub rights: &'a [(ClientSap, Rights<'a>)],
}

impl<S: ?Sized, const N: usize> ObjectTable<S> for [Entry<'_, S>; N] {
    fn len(&self) -> usize {
        N
    }

    fn object(&self, index: usize) -> Option<&dyn Object<S>> {
        self.get(index).map(|entry| entry.object as &dyn Object<S>)
    }

    fn rights(&self, index: usize, client: ClientSap) -> Rights<'_> {
        self.get(index)
            .and_then(|entry| entry.rights.iter().find(|(listed, _)| *listed == client))
            .map_or(Rights::NONE, |(_, rights)| *rights)
    }
}
