//! Classes as data.

use core::ops::RangeInclusive;

use super::TypeError;
use crate::axdr::Data;
use crate::id::{AttributeId, ClassId, MethodId};

/// What there is to know about an interface class without an object of it, in all its versions.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Identifier.
    pub id: ClassId,
    /// Name in the Blue Book.
    pub name: &'static str,
    /// Newest version described here; they count from 0.
    pub version: u8,
    /// Attributes from 2 on, of all versions; 1 is `logical_name` in every class.
    pub attributes: &'static [AttributeInfo],
    /// Methods, of all versions.
    pub methods: &'static [MethodInfo],
    /// Short name referencing: the offset of method 1 from the base name, and the first version that has it there.
    pub short_name_methods: &'static [(u8, u16)],
}

/// What a server has to know of an interface class: which members there are. A [`Class`] has their names and types too,
/// which firmware does not pay for.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Attributes from 2 on: index, versions, selectors.
    pub(super) attributes: &'static [(i8, RangeInclusive<u8>, &'static [u8])],
    /// Methods: index, versions.
    pub(super) methods: &'static [(i8, RangeInclusive<u8>)],
}

impl Shape {
    /// Highest index of an attribute in a version, `logical_name` included.
    #[must_use]
    pub fn last_attribute(&self, version: u8) -> i8 {
        let there = self.attributes.iter().filter(|(_, versions, _)| versions.contains(&version));
        there.map(|(id, ..)| *id).max().unwrap_or(1)
    }

    /// Highest index of a method in a version; 0 when there is none.
    #[must_use]
    pub fn last_method(&self, version: u8) -> i8 {
        let there = self.methods.iter().filter(|(_, versions)| versions.contains(&version));
        there.map(|(id, _)| *id).max().unwrap_or(0)
    }

    /// Selectors that an attribute knows in a version.
    #[must_use]
    pub fn selectors(&self, version: u8, attribute: AttributeId) -> &'static [u8] {
        let mut there = self.attributes.iter().filter(|(_, versions, _)| versions.contains(&version));
        there.find(|(id, ..)| *id == attribute.0).map_or(&[], |(.., selectors)| selectors)
    }
}

/// A class in one of its versions.
#[derive(Clone, Copy, Debug)]
pub struct ClassVersion {
    class: &'static Class,
    version: u8,
}

/// An attribute of a [`Class`].
#[derive(Clone, Copy, Debug)]
pub struct AttributeInfo {
    /// Index within the class.
    pub id: AttributeId,
    /// Name in the Blue Book.
    pub name: &'static str,
    /// First version of the class that has it, with this type and meaning.
    pub since: u8,
    /// Last version that has it so.
    pub until: u8,
    /// Whether the meter changes it by itself.
    pub nature: Nature,
    /// Whether clients may write it, where the meter's access rights allow it.
    pub writable: bool,
    /// Selectors of selective access that the class knows.
    pub selectors: &'static [u8],
    /// Its type, as a [`TypeError`](super::TypeError) names it.
    pub data_type: &'static str,
    /// What it holds.
    pub about: &'static str,
    pub(super) check: Check,
}

/// A method of a [`Class`].
#[derive(Clone, Copy, Debug)]
pub struct MethodInfo {
    /// Index within the class.
    pub id: MethodId,
    /// Name in the Blue Book.
    pub name: &'static str,
    /// First version of the class that has it, with this parameter and meaning.
    pub since: u8,
    /// Last version that has it so.
    pub until: u8,
    /// The type of its parameter, as a [`TypeError`](super::TypeError) names it.
    pub parameter_type: &'static str,
    /// What it does.
    pub about: &'static str,
    pub(super) check: Check,
}

/// Reads data as the type of a member.
pub(super) type Check = for<'a> fn(Data<'a>) -> Result<(), TypeError>;

impl AttributeInfo {
    /// Whether `data` is of the very type that the class says, to its last element.
    ///
    /// # Errors
    /// [`TypeError`] when it is not.
    pub fn check(&self, data: Data<'_>) -> Result<(), TypeError> {
        (self.check)(data).map_err(|error| error.of(self.name))
    }
}

impl MethodInfo {
    /// Whether `data` is of the very type that the class says for the parameter, to its last element.
    ///
    /// # Errors
    /// [`TypeError`] when it is not.
    pub fn check(&self, data: Data<'_>) -> Result<(), TypeError> {
        (self.check)(data).map_err(|error| error.of(self.name))
    }
}

/// Whether an attribute changes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nature {
    /// Configuration: changed by clients only.
    Static,
    /// Changed by the meter.
    Dynamic,
    /// Configuration that is never read: passwords and keys.
    Secret,
}

impl Class {
    /// The class in one version; `None` for a version that is not described.
    #[must_use]
    pub const fn in_version(&'static self, version: u8) -> Option<ClassVersion> {
        if version <= self.version { Some(ClassVersion { class: self, version }) } else { None }
    }
}

impl ClassVersion {
    /// The class.
    #[must_use]
    pub const fn class(self) -> &'static Class {
        self.class
    }

    /// The version.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.version
    }

    /// The attributes from 2 on.
    pub fn attributes(self) -> impl Iterator<Item = &'static AttributeInfo> {
        self.class.attributes.iter().filter(move |info| (info.since..=info.until).contains(&self.version))
    }

    /// The methods.
    pub fn methods(self) -> impl Iterator<Item = &'static MethodInfo> {
        self.class.methods.iter().filter(move |info| (info.since..=info.until).contains(&self.version))
    }

    /// An attribute from 2 on.
    #[must_use]
    pub fn attribute(self, id: AttributeId) -> Option<&'static AttributeInfo> {
        self.attributes().find(|info| info.id == id)
    }

    /// A method.
    #[must_use]
    pub fn method(self, id: MethodId) -> Option<&'static MethodInfo> {
        self.methods().find(|info| info.id == id)
    }

    /// Short name referencing: the offset of method 1 from the base name; `None` where no source tells, or tells it of an
    /// earlier version that had no attributes there yet.
    #[must_use]
    pub fn short_name_of_methods(self) -> Option<u16> {
        let (_, offset) = self.class.short_name_methods.iter().rev().find(|(since, _)| *since <= self.version)?;
        // Counted in steps of 8. Class 12 has no methods 1 and 2 where its last attributes are.
        let before_first = self.methods().map(|info| info.id.0).min().unwrap_or(1).checked_sub(1)?;
        let attributes = u16::try_from(self.last_attribute().0).ok()?;
        let first = (offset >> 3).checked_add(u16::try_from(before_first).ok()?)?;
        (first >= attributes).then_some(*offset)
    }

    /// Highest index of an attribute, `logical_name` included.
    #[must_use]
    pub fn last_attribute(self) -> AttributeId {
        self.attributes().map(|info| info.id).max().unwrap_or(super::LOGICAL_NAME)
    }

    /// Highest index of a method; 0 when there is none.
    #[must_use]
    pub fn last_method(self) -> MethodId {
        self.methods().map(|info| info.id).max().unwrap_or(MethodId(0))
    }
}
