//! The tables that classes, structures and enumerations are written as.

/// An interface class: its constants and a marker type for each attribute and method.
macro_rules! interface_class {
    (
        $name:literal = $id:literal, versions 0..=$version:literal;
        attributes {$(
            $(#[$attribute_doc:meta])*
            $attribute_id:literal $attribute:ident $attribute_name:literal $(since $attribute_since:literal)?: $value:ty;
        )*}
        methods {$(
            $(#[$method_doc:meta])*
            $method_id:literal $method:ident $method_name:literal $(since $method_since:literal)?:
                $parameter:ty => $reply:ty;
        )*}
    ) => {
        /// Identifier of the class.
        pub const CLASS_ID: $crate::id::ClassId = $crate::id::ClassId($id);
        /// Newest version of the class that is described here.
        pub const VERSION: u8 = $version;
        /// The class as data.
        pub const CLASS: $crate::cosem::Class = $crate::cosem::Class {
            id: CLASS_ID,
            name: $name,
            version: VERSION,
            attributes: &[$($crate::cosem::Member {
                id: $attribute_id,
                name: $attribute_name,
                since: 0 $(+ $attribute_since)?,
            }),*],
            methods: &[$($crate::cosem::Member {
                id: $method_id,
                name: $method_name,
                since: 0 $(+ $method_since)?,
            }),*],
        };
        $(
            $(#[$attribute_doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $attribute {}

            impl $crate::cosem::Attribute for $attribute {
                const CLASS_ID: $crate::id::ClassId = CLASS_ID;
                const ID: $crate::id::AttributeId = $crate::id::AttributeId($attribute_id);
                const NAME: &'static str = $attribute_name;
                const SINCE: u8 = 0 $(+ $attribute_since)?;
                type Value<'a> = $value;
            }
        )*
        $(
            $(#[$method_doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $method {}

            impl $crate::cosem::Method for $method {
                const CLASS_ID: $crate::id::ClassId = CLASS_ID;
                const ID: $crate::id::MethodId = $crate::id::MethodId($method_id);
                const NAME: &'static str = $method_name;
                const SINCE: u8 = 0 $(+ $method_since)?;
                type Parameter<'a> = $parameter;
                type Reply<'a> = $reply;
            }
        )*
    };
}

/// A structure of the Blue Book. Read with at least the members listed, further ones being dropped; written with
/// exactly those.
macro_rules! structure {
    (
        $(#[$doc:meta])*
        $name:ident $(<$life:lifetime>)? $text:literal {$(
            $(#[$member_doc:meta])*
            $member:ident: $type:ty,
        )*}
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name $(<$life>)? {$(
            $(#[$member_doc])*
            pub $member: $type,
        )*}

        structure!(@from $name $(<$life>)? $text {$($member)*});

        impl $(<$life>)? $crate::cosem::ToData for $name $(<$life>)? {
            fn to_data(&self, writer: &mut $crate::axdr::Writer<'_>) -> Result<(), $crate::axdr::BufferFull> {
                const MEMBERS: &[&str] = &[$(stringify!($member)),*];
                writer.structure(MEMBERS.len())?;
                $($crate::cosem::ToData::to_data(&self.$member, writer)?;)*
                Ok(())
            }
        }
    };
    (@from $name:ident <$life:lifetime> $text:literal $members:tt) => {
        structure!(@impl [$life] $name [<$life>] $text $members);
    };
    (@from $name:ident $text:literal $members:tt) => {
        structure!(@impl ['a] $name [] $text $members);
    };
    (@impl [$life:lifetime] $name:ident [$($generics:tt)*] $text:literal {$($member:ident)*}) => {
        impl<$life> $crate::cosem::FromData<$life> for $name $($generics)* {
            const EXPECTED: &'static str = $text;

            fn from_data(data: $crate::axdr::Data<$life>) -> Result<Self, $crate::cosem::TypeError> {
                let refused = $crate::cosem::TypeError::new($text, &data);
                let mut members = data.as_structure().ok_or(refused)?.iter();
                Ok(Self {
                    $($member: $crate::cosem::FromData::from_data(members.next().ok_or(refused)?)?,)*
                })
            }
        }
    };
}

/// An `enum` of the Blue Book; values that are not listed are kept.
macro_rules! enumeration {
    (
        $(#[$doc:meta])*
        $name:ident $text:literal {$(
            $(#[$value_doc:meta])*
            $variant:ident = $value:literal,
        )*}
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $variant,)*
            /// A value that the Blue Book does not list.
            Other(u8),
        }

        impl From<u8> for $name {
            fn from(value: u8) -> Self {
                match value {
                    $($value => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => $value,)*
                    $name::Other(other) => other,
                }
            }
        }

        impl $crate::cosem::FromData<'_> for $name {
            const EXPECTED: &'static str = $text;

            fn from_data(data: $crate::axdr::Data<'_>) -> Result<Self, $crate::cosem::TypeError> {
                data.as_u8().map(Self::from).ok_or($crate::cosem::TypeError::new($text, &data))
            }
        }

        impl $crate::cosem::ToData for $name {
            fn to_data(&self, writer: &mut $crate::axdr::Writer<'_>) -> Result<(), $crate::axdr::BufferFull> {
                writer.enumerated((*self).into())
            }
        }
    };
}
