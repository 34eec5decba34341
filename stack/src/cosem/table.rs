//! The tables that classes, structures and enumerations are written as.

/// The name in the Blue Book of an attribute or method: that of the function, unless it is given.
macro_rules! member_name {
    ($function:ident) => {
        stringify!($function)
    };
    ($function:ident $name:literal) => {
        $name
    };
}

/// Whether the meter changes an attribute by itself.
macro_rules! nature {
    (static) => {
        $crate::cosem::Nature::Static
    };
    (dynamic) => {
        $crate::cosem::Nature::Dynamic
    };
    (secret) => {
        $crate::cosem::Nature::Secret
    };
}

/// Whether there is an optional part of a table.
macro_rules! present {
    () => {
        false
    };
    ($there:tt) => {
        true
    };
}

/// First and last version, as a table and its documentation have them.
macro_rules! versions {
    () => {
        0..=u8::MAX
    };
    (since $since:literal) => {
        $since..=u8::MAX
    };
    (until $until:literal) => {
        0..=$until
    };
    (since $since:literal until $until:literal) => {
        $since..=$until
    };
    (text) => {
        "all"
    };
    (text since $since:literal) => {
        concat!("from ", $since)
    };
    (text until $until:literal) => {
        concat!("to ", $until)
    };
    (text since $since:literal until $until:literal) => {
        concat!($since, " to ", $until)
    };
}

/// An interface class in all its versions: its description, a marker type for each attribute and method, and the trait
/// of an object in a server with what calls it.
///
/// ```text
/// interface_class! {
///     "Clock" = 8, versions 0..=0, methods at 0x60;
///     attributes {
///         /// Documentation.
///         2 Time time/set_time, dynamic: DateTime;
///     }
///     methods {
///         /// Documentation.
///         1 AdjustToQuarter adjust_to_quarter: Zero;
///     }
/// }
/// ```
///
/// An attribute: index, marker type, function that reads it, `/` and function that writes it (where the class lets a
/// client write it), name in the Blue Book where it differs from the function's, `static` (configuration), `dynamic`
/// (changed by the meter) or `secret` (never read), `select [1, 2]` for the selectors of selective access, and the type.
/// A method: index, marker type, function, name as above, type of the parameter, `=>` and type of the reply if any.
///
/// `since` and `until` name the first and the last version that has a member. A member whose type or meaning changes
/// between versions is one line per meaning, with the same index and the same name, each with its own marker type.
/// `methods at` is the offset of method 1 from the base name in short name referencing; where it changes,
/// `methods at 0x20, 0x40 since 1`.
macro_rules! interface_class {
    (
        $name:literal = $id:literal, versions 0..=$version:literal
        $(, methods at $offset:literal $(, $next_offset:literal since $next_since:literal)*)?;
        attributes {$(
            $(#[doc = $attribute_doc:literal])*
            $attribute_id:literal $attribute:ident $read:ident $(/ $write:ident)? $($attribute_name:literal)?,
                $nature:ident $(select [$($selector:literal),*])?
                $(since $attribute_since:literal)? $(until $attribute_until:literal)?: $value:ty;
        )*}
        methods {$(
            $(#[doc = $method_doc:literal])*
            $method_id:literal $method:ident $invoke:ident $($method_name:literal)?
                $(since $method_since:literal)? $(until $method_until:literal)?: $parameter:ty $(=> $reply:ty)?;
        )*}
    ) => {
        /// Identifier of the class.
        pub const CLASS_ID: $crate::id::ClassId = $crate::id::ClassId($id);
        /// Newest version of the class that is described here.
        pub const VERSION: u8 = $version;

        #[doc = concat!("Class ", $id, ", ", $name, ", as data.")]
        ///
        /// | attribute | name | type | versions | |
        /// |---|---|---|---|---|
        $(#[doc = concat!(
            "| ", $attribute_id, " | [`", member_name!($read $($attribute_name)?), "`](", stringify!($attribute),
            ") | `", stringify!($value), "` | ",
            versions!(text $(since $attribute_since)? $(until $attribute_until)?), " | ", stringify!($nature),
            $(", written by `", stringify!($write), "`",)? " |",
        )])*
        ///
        /// | method | name | parameter | versions |
        /// |---|---|---|---|
        $(#[doc = concat!(
            "| ", $method_id, " | [`", member_name!($invoke $($method_name)?), "`](", stringify!($method), ") | `",
            stringify!($parameter), "` | ",
            versions!(text $(since $method_since)? $(until $method_until)?), " |",
        )])*
        pub const CLASS: $crate::cosem::Class = $crate::cosem::Class {
            id: CLASS_ID,
            name: $name,
            version: VERSION,
            attributes: &[$($crate::cosem::AttributeInfo {
                id: $crate::id::AttributeId($attribute_id),
                name: member_name!($read $($attribute_name)?),
                since: *versions!($(since $attribute_since)? $(until $attribute_until)?).start(),
                until: *versions!($(since $attribute_since)? $(until $attribute_until)?).end(),
                nature: nature!($nature),
                writable: present!($($write)?),
                selectors: &[$($($selector),*)?],
                data_type: <<$attribute as $crate::cosem::Attribute>::Value<'static>
                    as $crate::cosem::FromData<'static>>::EXPECTED,
                about: concat!($($attribute_doc),*).trim_ascii(),
                check: |data| {
                    <<$attribute as $crate::cosem::Attribute>::Value<'_> as $crate::cosem::FromData<'_>>::check(&data)
                },
            }),*],
            methods: &[$($crate::cosem::MethodInfo {
                id: $crate::id::MethodId($method_id),
                name: member_name!($invoke $($method_name)?),
                since: *versions!($(since $method_since)? $(until $method_until)?).start(),
                until: *versions!($(since $method_since)? $(until $method_until)?).end(),
                parameter_type: <<$method as $crate::cosem::Method>::Parameter<'static>
                    as $crate::cosem::FromData<'static>>::EXPECTED,
                about: concat!($($method_doc),*).trim_ascii(),
                check: |data| {
                    <<$method as $crate::cosem::Method>::Parameter<'_> as $crate::cosem::FromData<'_>>::check(&data)
                },
            }),*],
            short_name_methods: &[$((0, $offset) $(, ($next_since, $next_offset))*)?],
        };
        $(
            $(#[doc = $attribute_doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $attribute {}

            impl $crate::cosem::Attribute for $attribute {
                const CLASS_ID: $crate::id::ClassId = CLASS_ID;
                const ID: $crate::id::AttributeId = $crate::id::AttributeId($attribute_id);
                const NAME: &'static str = member_name!($read $($attribute_name)?);
                const VERSIONS: core::ops::RangeInclusive<u8> =
                    versions!($(since $attribute_since)? $(until $attribute_until)?);
                type Value<'a> = $value;
            }
        )*
        $(
            $(#[doc = $method_doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $method {}

            impl $crate::cosem::Method for $method {
                const CLASS_ID: $crate::id::ClassId = CLASS_ID;
                const ID: $crate::id::MethodId = $crate::id::MethodId($method_id);
                const NAME: &'static str = member_name!($invoke $($method_name)?);
                const VERSIONS: core::ops::RangeInclusive<u8> =
                    versions!($(since $method_since)? $(until $method_until)?);
                type Parameter<'a> = $parameter;
                type Reply<'a> = interface_class!(@reply $($reply)?);
            }
        )*

        /// Indices and selectors of the class, without names and types.
        pub const SHAPE: $crate::cosem::Shape = $crate::cosem::Shape {
            attributes: &[$(($attribute_id, versions!($(since $attribute_since)? $(until $attribute_until)?),
                &[$($($selector),*)?])),*],
            methods: &[$(($method_id, versions!($(since $method_since)? $(until $method_until)?))),*],
        };

        #[doc = concat!("An object of class ", $id, ", ", $name, ", in a server.")]
        ///
        /// `S` is the state that requests read and change, `C` what else an object may want to know: who asks, and
        /// when. What is not overridden is refused.
        pub trait Server<S: ?Sized, C: ?Sized> {
            /// Version of the class that the object has. Members that the version does not have are never called.
            fn class_version(&self) -> u8 {
                VERSION
            }

            /// Whether clients can write this attribute of the object. What is false here is refused before its value is
            /// looked at, and the type of the value is not linked: firmware saves it where it overrides nothing.
            fn takes(&self, attribute: $crate::id::AttributeId) -> bool {
                let _ = attribute;
                true
            }

            /// The same for methods.
            fn obeys(&self, method: $crate::id::MethodId) -> bool {
                let _ = method;
                true
            }
            $(
                $(#[doc = $attribute_doc])*
                ///
                /// # Errors
                /// What the client gets instead of the value.
                fn $read(
                    &self,
                    state: &S,
                    cx: &C,
                    answer: $crate::cosem::Answer<'_, '_, $attribute>,
                ) -> Result<$crate::association::server::Progress, $crate::apdu::DataAccessResult> {
                    let _ = (state, cx, answer);
                    Err($crate::apdu::DataAccessResult::ReadWriteDenied)
                }
                $(
                    #[doc = concat!("Sets [`", stringify!($attribute), "`].")]
                    ///
                    /// # Errors
                    /// What the client gets; nothing was changed then.
                    fn $write(
                        &self,
                        state: &mut S,
                        cx: &C,
                        value: <$attribute as $crate::cosem::Attribute>::Value<'_>,
                    ) -> Result<(), $crate::apdu::DataAccessResult> {
                        let _ = (state, cx, value);
                        Err($crate::apdu::DataAccessResult::ReadWriteDenied)
                    }
                )?
            )*
            $(
                $(#[doc = $method_doc])*
                ///
                /// # Errors
                /// What the client gets; nothing was changed then.
                fn $invoke(
                    &self,
                    state: &mut S,
                    cx: &C,
                    parameter: <$method as $crate::cosem::Method>::Parameter<'_>
                    $(, reply: $crate::cosem::Reply<'_, '_, interface_class!(@first $method $reply)>)?
                ) -> Result<(), $crate::apdu::ActionResult> {
                    let _ = (state, cx, parameter);
                    $(let _: $crate::cosem::Reply<'_, '_, interface_class!(@first $method $reply)> = reply;)?
                    Err($crate::apdu::ActionResult::ReadWriteDenied)
                }
            )*
        }

        /// Answers one part of an attribute from 2 on.
        ///
        /// # Errors
        /// `ObjectUndefined` for an attribute that the object's version does not have, and what the object says.
        pub fn dispatch_get<S: ?Sized, C: ?Sized>(
            object: &(impl Server<S, C> + ?Sized),
            state: &S,
            cx: &C,
            attribute: $crate::id::AttributeId,
            part: $crate::cosem::Part<'_, '_>,
        ) -> Result<$crate::association::server::Progress, $crate::apdu::DataAccessResult> {
            $(
                if $crate::cosem::server::has_attribute::<$attribute>(object.class_version(), attribute) {
                    return object.$read(state, cx, part.into());
                }
            )*
            let _ = (state, cx, part, attribute, object.class_version());
            Err($crate::apdu::DataAccessResult::ObjectUndefined)
        }

        /// Sets an attribute.
        ///
        /// # Errors
        /// `ObjectUndefined` for an attribute that the object's version does not have, `ReadWriteDenied` for one that is
        /// never written, `TypeUnmatched` for a value of any other type than the class says, and what the object says.
        pub fn dispatch_set<S: ?Sized, C: ?Sized>(
            object: &(impl Server<S, C> + ?Sized),
            state: &mut S,
            cx: &C,
            attribute: $crate::id::AttributeId,
            value: $crate::axdr::Data<'_>,
        ) -> Result<(), $crate::apdu::DataAccessResult> {
            $(
                if $crate::cosem::server::has_attribute::<$attribute>(object.class_version(), attribute) {
                    if !object.takes($crate::id::AttributeId($attribute_id)) {
                        return Err($crate::apdu::DataAccessResult::ReadWriteDenied);
                    }
                    return interface_class!(@set (object, state, cx, value) $($write)?);
                }
            )*
            let _ = (state, cx, value, attribute, object.class_version());
            Err($crate::apdu::DataAccessResult::ObjectUndefined)
        }

        /// Invokes a method once; what it returns, if anything, is written to `out`.
        ///
        /// # Errors
        /// `ObjectUndefined` for a method that the object's version does not have, `TypeUnmatched` for a parameter of any
        /// other type than the class says, and what the object says.
        pub fn dispatch_invoke<S: ?Sized, C: ?Sized>(
            object: &(impl Server<S, C> + ?Sized),
            state: &mut S,
            cx: &C,
            method: $crate::id::MethodId,
            parameter: Option<$crate::axdr::Data<'_>>,
            out: &mut $crate::axdr::Writer<'_>,
        ) -> Result<(), $crate::apdu::ActionResult> {
            $(
                if $crate::cosem::server::has_method::<$method>(object.class_version(), method) {
                    if !object.obeys($crate::id::MethodId($method_id)) {
                        return Err($crate::apdu::ActionResult::ReadWriteDenied);
                    }
                    let parameter = $crate::cosem::server::exactly(&parameter.unwrap_or($crate::axdr::Data::Null))
                        .ok_or($crate::apdu::ActionResult::TypeUnmatched)?;
                    return object.$invoke(
                        state,
                        cx,
                        parameter
                        $(, $crate::cosem::Reply::<interface_class!(@first $method $reply)>::from(out))?
                    );
                }
            )*
            let _ = (state, cx, method, parameter, out, object.class_version());
            Err($crate::apdu::ActionResult::ObjectUndefined)
        }
    };
    (@set ($object:expr, $state:expr, $cx:expr, $value:expr)) => {
        Err($crate::apdu::DataAccessResult::ReadWriteDenied)
    };
    (@set ($object:expr, $state:expr, $cx:expr, $value:expr) $write:ident) => {
        match $crate::cosem::server::exactly(&$value) {
            Some(value) => $object.$write($state, $cx, value),
            None => Err($crate::apdu::DataAccessResult::TypeUnmatched),
        }
    };
    (@reply) => { () };
    (@reply $reply:ty) => { $reply };
    (@first $method:ident $reply:ty) => { $method };
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

        structure!(@from $name $(<$life>)? $text {$($member: $type,)*});

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
    (@impl [$life:lifetime] $name:ident [$($generics:tt)*] $text:literal {$($member:ident: $type:ty,)*}) => {
        impl<$life> $crate::cosem::FromData<$life> for $name $($generics)* {
            const EXPECTED: &'static str = $text;

            fn from_data(data: $crate::axdr::Data<$life>) -> Result<Self, $crate::cosem::TypeError> {
                let refused = || $crate::cosem::TypeError::new($text, &data);
                let mut members = $crate::cosem::typed::members(&data).ok_or_else(refused)?.iter();
                Ok(Self {
                    $($member: $crate::cosem::typed::next_member(&mut members, $text, &data)?,)*
                })
            }

            fn from_exact(data: &$crate::axdr::Data<$life>) -> Option<Self> {
                let mut members = $crate::cosem::typed::exact_members(data)?;
                let value = Self {
                    $($member: $crate::cosem::typed::next_exact(&mut members)?,)*
                };
                members.next().is_none().then_some(value)
            }

            fn check(data: &$crate::axdr::Data<$life>) -> Result<(), $crate::cosem::TypeError> {
                let refused = || $crate::cosem::TypeError::new($text, data);
                let mut members = $crate::cosem::typed::exact_members(data).ok_or_else(refused)?;
                $($crate::cosem::typed::check_next::<$type>(&mut members, $text, data)?;)*
                if members.next().is_some() { Err(refused()) } else { Ok(()) }
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

            fn from_exact(data: &$crate::axdr::Data<'_>) -> Option<Self> {
                if let $crate::axdr::Data::Enum(value) = *data { Some(value.into()) } else { None }
            }
        }

        impl $crate::cosem::ToData for $name {
            fn to_data(&self, writer: &mut $crate::axdr::Writer<'_>) -> Result<(), $crate::axdr::BufferFull> {
                writer.enumerated((*self).into())
            }
        }
    };
}
