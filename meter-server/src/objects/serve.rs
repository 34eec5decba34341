//! From an object of the server to the trait of its class.

/// Lets objects answer through the trait that their class's table makes: numbers, types and versions come from there.
///
/// `serve!(register: [S: ?Sized, V: Value<S>] Register<V>)`
macro_rules! serve {
    ($class:ident: [$($generics:tt)*] $object:ty) => {
        impl<$($generics)*> $crate::object::Object<S> for $object {
            fn instance(&self) -> dlms::obis::ObisCode {
                self.instance
            }

            fn class(&self) -> dlms::id::ClassId {
                $class::CLASS_ID
            }

            fn version(&self) -> u8 {
                $class::Server::<S, $crate::object::Context<'_, S>>::class_version(self)
            }

            // The shape and not the whole description, which would link names and checks of all types.
            fn attributes(&self) -> i8 {
                $class::SHAPE.last_attribute($crate::object::Object::<S>::version(self))
            }

            fn methods(&self) -> i8 {
                $class::SHAPE.last_method($crate::object::Object::<S>::version(self))
            }

            fn selectors(&self, attribute: dlms::id::AttributeId) -> &'static [u8] {
                $class::SHAPE.selectors($crate::object::Object::<S>::version(self), attribute)
            }

            fn read(
                &self,
                state: &S,
                cx: &$crate::object::Context<'_, S>,
                request: $crate::object::Read<'_>,
                cursor: &mut dlms::association::server::Cursor,
                out: &mut dlms::axdr::Writer<'_>,
            ) -> Result<dlms::association::server::Progress, dlms::apdu::DataAccessResult> {
                let part = dlms::cosem::Part { selection: request.selection, cursor, out };
                $class::dispatch_get(self, state, cx, request.attribute, part)
            }

            fn write(
                &self,
                state: &mut S,
                cx: &$crate::object::Context<'_, S>,
                attribute: dlms::id::AttributeId,
                value: dlms::axdr::Data<'_>,
            ) -> Result<(), dlms::apdu::DataAccessResult> {
                $class::dispatch_set(self, state, cx, attribute, value)
            }

            fn invoke(
                &self,
                state: &mut S,
                cx: &$crate::object::Context<'_, S>,
                method: dlms::id::MethodId,
                parameter: Option<dlms::axdr::Data<'_>>,
                out: &mut dlms::axdr::Writer<'_>,
            ) -> Result<(), dlms::apdu::ActionResult> {
                $class::dispatch_invoke(self, state, cx, method, parameter, out)
            }
        }
    };
}
