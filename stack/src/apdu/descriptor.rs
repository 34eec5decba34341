//! Which attribute or method a request is about.

use crate::axdr::{BufferFull, Data, Writer};
use crate::id::{AttributeId, ClassId, MethodId};
use crate::obis::ObisCode;
use crate::wire::{Cursor, Refused, Wire};

/// COSEM-Attribute-Descriptor: class, object and attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeDescriptor {
    /// Interface class of the object.
    pub class: ClassId,
    /// Logical name of the object.
    pub instance: ObisCode,
    /// Attribute; 0 means all of them.
    pub attribute: AttributeId,
}

impl AttributeDescriptor {
    /// The descriptor of these three.
    #[must_use]
    pub const fn new(class: ClassId, instance: ObisCode, attribute: AttributeId) -> Self {
        Self { class, instance, attribute }
    }
}

impl Wire<'_> for AttributeDescriptor {
    const SMALLEST: usize = 9;

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        Ok(Self {
            class: ClassId(cursor.u16()?),
            instance: ObisCode(cursor.array()?),
            attribute: AttributeId(cursor.i8()?),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u16(self.class.0)?;
        writer.bytes(&self.instance.0)?;
        writer.i8(self.attribute.0)
    }
}

/// COSEM-Method-Descriptor: class, object and method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodDescriptor {
    /// Interface class of the object.
    pub class: ClassId,
    /// Logical name of the object.
    pub instance: ObisCode,
    /// Method, from 1.
    pub method: MethodId,
}

impl MethodDescriptor {
    /// The descriptor of these three.
    #[must_use]
    pub const fn new(class: ClassId, instance: ObisCode, method: MethodId) -> Self {
        Self { class, instance, method }
    }
}

impl Wire<'_> for MethodDescriptor {
    const SMALLEST: usize = 9;

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        Ok(Self { class: ClassId(cursor.u16()?), instance: ObisCode(cursor.array()?), method: MethodId(cursor.i8()?) })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u16(self.class.0)?;
        writer.bytes(&self.instance.0)?;
        writer.i8(self.method.0)
    }
}

/// What a short name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberDescriptor {
    /// An attribute.
    Attribute(AttributeDescriptor),
    /// A method.
    Method(MethodDescriptor),
}

/// Selective-Access-Descriptor: which part of an attribute is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection<'a> {
    /// The selector that the class defines, as 1 (by range) and 2 (by entry) of profile generic.
    pub selector: u8,
    /// Parameters of the selector.
    pub parameters: Data<'a>,
}

impl<'a> Wire<'a> for Selection<'a> {
    const SMALLEST: usize = 2;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        Ok(Self { selector: cursor.u8()?, parameters: cursor.data()? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.u8(self.selector)?;
        self.parameters.encode(writer)
    }
}

/// COSEM-Attribute-Descriptor-With-Selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttributeRequest<'a> {
    /// The attribute.
    pub attribute: AttributeDescriptor,
    /// The part of it that is wanted; `None` for all of it.
    pub selection: Option<Selection<'a>>,
}

impl AttributeRequest<'_> {
    /// All of `attribute`.
    #[must_use]
    pub const fn whole(attribute: AttributeDescriptor) -> Self {
        Self { attribute, selection: None }
    }
}

impl<'a> Wire<'a> for AttributeRequest<'a> {
    const SMALLEST: usize = 10;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        Ok(Self { attribute: AttributeDescriptor::read(cursor)?, selection: Option::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.attribute.write(writer)?;
        self.selection.write(writer)
    }
}

/// A method and its parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MethodRequest<'a> {
    /// The method.
    pub method: MethodDescriptor,
    /// Its parameter; `None` for none at all.
    pub parameter: Option<Data<'a>>,
}

impl<'a> Wire<'a> for MethodRequest<'a> {
    const SMALLEST: usize = 10;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        Ok(Self { method: MethodDescriptor::read(cursor)?, parameter: Option::read(cursor)? })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        self.method.write(writer)?;
        self.parameter.write(writer)
    }
}
