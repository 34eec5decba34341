//! The objects of a logical device and who may do what with them.

use dlms::id::{ClassId, ClientSap};
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

    /// Number of the object with this class and logical name.
    fn find(&self, class: ClassId, instance: ObisCode) -> Option<usize> {
        (0..self.len()).find(|index| {
            self.object(*index).is_some_and(|object| object.class() == class && object.instance() == instance)
        })
    }
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
