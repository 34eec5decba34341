//! How a single access went.

use core::fmt;

use crate::axdr::{BufferFull, Data, Writer};
use crate::wire::{Cursor, Refused, Wire};

macro_rules! results {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$item])* $variant,)*
            /// A code that the standard does not have.
            Other(u8),
        }

        impl $name {
            /// The code on the wire.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// The result with this code.
            #[must_use]
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The name in the standard; `None` for a code it does not have.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($text),)*
                    Self::Other(_) => None,
                }
            }

            /// Whether the access succeeded.
            #[must_use]
            pub const fn is_success(self) -> bool {
                matches!(self, Self::Success)
            }
        }

        impl From<u8> for $name {
            fn from(code: u8) -> Self {
                Self::from_code(code)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "result {}", self.code()),
                }
            }
        }

        impl core::error::Error for $name {}

        /// A value that does not fit the place it is written to. A server's own writer never refuses octets, so only
        /// a caller with a fixed buffer sees it.
        impl From<BufferFull> for $name {
            fn from(_: BufferFull) -> Self {
                Self::OtherReason
            }
        }

        impl Wire<'_> for $name {
            fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
                cursor.u8().map(Self::from_code)
            }

            fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
                writer.u8(self.code())
            }
        }
    };
}

results!(
    /// Data-Access-Result: how reading or writing an attribute went (IEC 62056-5-3).
    DataAccessResult {
        /// It worked.
        Success = 0 "success",
        /// The hardware failed.
        HardwareFault = 1 "hardware-fault",
        /// Not at this moment.
        TemporaryFailure = 2 "temporary-failure",
        /// The access rights do not allow it.
        ReadWriteDenied = 3 "read-write-denied",
        /// There is no such object.
        ObjectUndefined = 4 "object-undefined",
        /// The object is of another class.
        ObjectClassInconsistent = 9 "object-class-inconsistent",
        /// The object cannot be reached.
        ObjectUnavailable = 11 "object-unavailable",
        /// The value is of the wrong type.
        TypeUnmatched = 12 "type-unmatched",
        /// The message was not protected well enough for this access.
        ScopeOfAccessViolated = 13 "scope-of-access-violated",
        /// The requested block is not there.
        DataBlockUnavailable = 14 "data-block-unavailable",
        /// The block transfer of a GET was ended.
        LongGetAborted = 15 "long-get-aborted",
        /// There is no block transfer of a GET to go on with.
        NoLongGetInProgress = 16 "no-long-get-in-progress",
        /// The block transfer of a SET was ended.
        LongSetAborted = 17 "long-set-aborted",
        /// There is no block transfer of a SET to go on with.
        NoLongSetInProgress = 18 "no-long-set-in-progress",
        /// The block number is not the next one.
        DataBlockNumberInvalid = 19 "data-block-number-invalid",
        /// None of the others.
        OtherReason = 250 "other-reason",
    }
);

results!(
    /// Action-Result: how invoking a method went (IEC 62056-5-3).
    ActionResult {
        /// It worked.
        Success = 0 "success",
        /// The hardware failed.
        HardwareFault = 1 "hardware-fault",
        /// Not at this moment.
        TemporaryFailure = 2 "temporary-failure",
        /// The access rights do not allow it.
        ReadWriteDenied = 3 "read-write-denied",
        /// There is no such object.
        ObjectUndefined = 4 "object-undefined",
        /// The object is of another class.
        ObjectClassInconsistent = 9 "object-class-inconsistent",
        /// The object cannot be reached.
        ObjectUnavailable = 11 "object-unavailable",
        /// The parameter is of the wrong type.
        TypeUnmatched = 12 "type-unmatched",
        /// The message was not protected well enough for this access.
        ScopeOfAccessViolated = 13 "scope-of-access-violated",
        /// The requested block is not there.
        DataBlockUnavailable = 14 "data-block-unavailable",
        /// The block transfer of an ACTION was ended.
        LongActionAborted = 15 "long-action-aborted",
        /// There is no block transfer of an ACTION to go on with.
        NoLongActionInProgress = 16 "no-long-action-in-progress",
        /// None of the others.
        OtherReason = 250 "other-reason",
    }
);

/// Get-Data-Result: a value, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GetDataResult<'a> {
    /// The value.
    Data(Data<'a>),
    /// Why there is none.
    Error(DataAccessResult),
}

impl<'a> GetDataResult<'a> {
    /// The value, or the reason as an error.
    ///
    /// # Errors
    /// The result that the server sent.
    pub const fn into_result(self) -> Result<Data<'a>, DataAccessResult> {
        match self {
            Self::Data(data) => Ok(data),
            Self::Error(reason) => Err(reason),
        }
    }
}

impl<'a> Wire<'a> for GetDataResult<'a> {
    const SMALLEST: usize = 2;

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let at = cursor.offset();
        match cursor.u8()? {
            0 => cursor.data().map(Self::Data),
            1 => DataAccessResult::read(cursor).map(Self::Error),
            found => Err(cursor.unexpected(at, "get-data-result", found)),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        match self {
            Self::Data(data) => {
                writer.u8(0)?;
                data.encode(writer)
            }
            Self::Error(result) => writer.bytes(&[1, result.code()]),
        }
    }
}
