//! RLRQ and RLRE: the orderly end of an association.

use core::fmt;

use crate::axdr::{BufferFull, DecodeErrorKind, Writer};
use crate::wire::{Cursor, Refused, Wire, codec};

use super::aare::codes;
use super::{RLRE, RLRQ, ber};

codes!(
    /// Why an association is released, or how the release went.
    ReleaseReason {
        /// All is done.
        Normal = 0 "normal",
        /// RLRQ: in a hurry. RLRE: not finished.
        UrgentOrNotFinished = 1 "urgent or not finished",
        /// The application's own.
        UserDefined = 30 "user defined",
    }
);

macro_rules! release {
    ($(#[$doc:meta])* $name:ident, $tag:ident, $what:literal, $information:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        pub struct $name<'a> {
            /// The reason; often left out.
            pub reason: Option<ReleaseReason>,
            #[doc = $information]
            pub user_information: Option<&'a [u8]>,
        }

        codec!($name<'a>);

        impl<'a> Wire<'a> for $name<'a> {
            fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
                let mut release = Self::default();
                ber::read_fields(cursor, $what, $tag, &mut |cursor, tag| {
                    match tag {
                        0x80 => release.reason = Some(read_reason(cursor)?),
                        ber::USER_INFORMATION => release.user_information = Some(ber::user_information(cursor)?),
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                Ok(release)
            }

            fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
                ber::field(writer, $tag, &|writer| {
                    if let Some(reason) = self.reason {
                        writer.bytes(&[0x80, 0x01, reason.code()])?;
                    }
                    ber::octet_string_field(writer, ber::USER_INFORMATION, self.user_information)
                })
            }
        }
    };
}

release!(
    /// RLRQ: a client asks to end the association.
    Rlrq,
    RLRQ,
    "RLRQ",
    "An InitiateRequest, ciphered where the association is: it proves who asks."
);
release!(
    /// RLRE: a server's answer to an [`Rlrq`].
    Rlre,
    RLRE,
    "RLRE",
    "An InitiateResponse, ciphered where the association is."
);

fn read_reason(cursor: &mut Cursor<'_>) -> Result<ReleaseReason, Refused> {
    let at = cursor.offset();
    let code = cursor.u8()?;
    if cursor.is_empty() {
        Ok(code.into())
    } else {
        Err(cursor.refuse(at, DecodeErrorKind::InvalidLength { what: "release reason" }))
    }
}
