//! AARE: the answer to an AARQ.

use core::fmt;

use crate::axdr::{BufferFull, Writer};
use crate::wire::{Cursor, Refused, Wire, codec};

use super::aarq::{read_requirements, rest, write_authentication, write_end};
use super::{AARE, ApplicationContext, AuthenticationValue, Mechanism, ProtocolVersion, ber};

macro_rules! codes {
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
        }

        impl From<u8> for $name {
            fn from(code: u8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Other(code) => write!(f, "code {code}"),
                }
            }
        }
    };
}
pub(super) use codes;

codes!(
    /// Association-result: whether the association is open.
    AssociationResult {
        /// Open, or open for passes 3 and 4 of HLS only (see [`ServiceUserDiagnostic::AuthenticationRequired`]).
        Accepted = 0 "accepted",
        /// Refused; asking again in the same way is of no use.
        RejectedPermanent = 1 "rejected permanently",
        /// Refused at this moment.
        RejectedTransient = 2 "rejected transiently",
    }
);

codes!(
    /// Why the server application decided as it did.
    ServiceUserDiagnostic {
        /// Nothing to say.
        Null = 0 "no diagnostic",
        /// Refused without a reason.
        NoReasonGiven = 1 "no reason given",
        /// The application context is unknown or not configured for this client.
        ApplicationContextNameNotSupported = 2 "application context name not supported",
        /// The client's system title is missing or unknown.
        CallingApTitleNotRecognized = 3 "calling AP title not recognized",
        /// See its name.
        CallingApInvocationIdNotRecognized = 4 "calling AP invocation identifier not recognized",
        /// The client's certificate is unknown.
        CallingAeQualifierNotRecognized = 5 "calling AE qualifier not recognized",
        /// The user id is not in the user list.
        CallingAeInvocationIdNotRecognized = 6 "calling AE invocation identifier not recognized",
        /// See its name.
        CalledApTitleNotRecognized = 7 "called AP title not recognized",
        /// See its name.
        CalledApInvocationIdNotRecognized = 8 "called AP invocation identifier not recognized",
        /// See its name.
        CalledAeQualifierNotRecognized = 9 "called AE qualifier not recognized",
        /// See its name.
        CalledAeInvocationIdNotRecognized = 10 "called AE invocation identifier not recognized",
        /// The authentication mechanism is unknown.
        MechanismNameNotRecognised = 11 "authentication mechanism name not recognised",
        /// The client named no authentication mechanism but must.
        MechanismNameRequired = 12 "authentication mechanism name required",
        /// Wrong password or challenge.
        AuthenticationFailure = 13 "authentication failure",
        /// With result 0: HLS passes 3 and 4 must follow. Else: the client must authenticate.
        AuthenticationRequired = 14 "authentication required",
    }
);

codes!(
    /// Why the association control service decided as it did.
    ServiceProviderDiagnostic {
        /// Nothing to say.
        Null = 0 "no diagnostic",
        /// Refused without a reason.
        NoReasonGiven = 1 "no reason given",
        /// The protocol-version offered has no version 1.
        NoCommonAcseVersion = 2 "no common ACSE version",
    }
);

/// Result-source-diagnostic: who decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Diagnostic {
    /// The server application.
    ServiceUser(ServiceUserDiagnostic),
    /// The association control service.
    ServiceProvider(ServiceProviderDiagnostic),
}

impl Diagnostic {
    /// What an accepted association carries.
    pub const NULL: Self = Self::ServiceUser(ServiceUserDiagnostic::Null);

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refused> {
        const WHAT: &str = "result-source-diagnostic";
        let at = cursor.offset();
        let source = cursor.u8()?;
        let length = cursor.length(WHAT)?;
        let code = cursor.bounded(length, |cursor| ber::small_integer(cursor, WHAT))?;
        match source {
            0xA1 => Ok(Self::ServiceUser(code.into())),
            0xA2 => Ok(Self::ServiceProvider(code.into())),
            found => Err(cursor.unexpected(at, WHAT, found)),
        }
    }

    fn write(self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        let (tag, code) = match self {
            Self::ServiceUser(diagnostic) => (0xA1, diagnostic.code()),
            Self::ServiceProvider(diagnostic) => (0xA2, diagnostic.code()),
        };
        ber::integer_field(writer, tag, Some(i32::from(code)))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceUser(diagnostic) => diagnostic.fmt(f),
            Self::ServiceProvider(diagnostic) => diagnostic.fmt(f),
        }
    }
}

/// AARE: a server's answer to an [`Aarq`](super::Aarq).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aare<'a> {
    /// ACSE version; absent means version 1.
    pub protocol_version: Option<ProtocolVersion>,
    /// The context accepted, or the one the server supports.
    pub context: ApplicationContext,
    /// Whether the association is open.
    pub result: AssociationResult,
    /// Who decided, and why.
    pub diagnostic: Diagnostic,
    /// System title of the server.
    pub responding_ap_title: Option<&'a [u8]>,
    /// Certificate of the server (security suites 1 and 2).
    pub responding_ae_qualifier: Option<&'a [u8]>,
    /// Invocation of the server's process, rarely sent.
    pub responding_ap_invocation_id: Option<i32>,
    /// Invocation of the server's entity, rarely sent.
    pub responding_ae_invocation_id: Option<i32>,
    /// Responder-acse-requirements: whether the authentication unit is in use.
    pub authentication: Option<bool>,
    /// The mechanism in use.
    pub mechanism: Option<Mechanism>,
    /// Challenge of the server (HLS).
    pub authentication_value: Option<AuthenticationValue<'a>>,
    /// Implementation-information, rarely sent.
    pub implementation_information: Option<&'a [u8]>,
    /// An InitiateResponse or a ConfirmedServiceError, plain or ciphered. Rejections often lack it.
    pub user_information: Option<&'a [u8]>,
}

impl<'a> Aare<'a> {
    /// An answer without authentication and user-information.
    #[must_use]
    pub const fn new(context: ApplicationContext, result: AssociationResult, diagnostic: Diagnostic) -> Self {
        Self {
            protocol_version: None,
            context,
            result,
            diagnostic,
            responding_ap_title: None,
            responding_ae_qualifier: None,
            responding_ap_invocation_id: None,
            responding_ae_invocation_id: None,
            authentication: None,
            mechanism: None,
            authentication_value: None,
            implementation_information: None,
            user_information: None,
        }
    }

    /// Whether the association is open for passes 3 and 4 of HLS only.
    #[must_use]
    pub fn is_hls_pending(&self) -> bool {
        self.result == AssociationResult::Accepted
            && self.diagnostic == Diagnostic::ServiceUser(ServiceUserDiagnostic::AuthenticationRequired)
    }
}

codec!(Aare<'a>);

impl<'a> Wire<'a> for Aare<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Refused> {
        let start = cursor.offset();
        let (mut context, mut result, mut diagnostic) = (None, None, None);
        let mut aare = Self::new(ApplicationContext::LogicalName, AssociationResult::Accepted, Diagnostic::NULL);
        ber::read_fields(cursor, "AARE", AARE, &mut |cursor, tag| {
            match tag {
                0x80 => aare.protocol_version = Some(ProtocolVersion::read(cursor)?),
                0xA1 => context = Some(ApplicationContext::read(cursor)?),
                0xA2 => result = Some(ber::small_integer(cursor, "association result")?.into()),
                0xA3 => diagnostic = Some(Diagnostic::read(cursor)?),
                0xA4 => aare.responding_ap_title = Some(ber::octet_string(cursor, "responding-AP-title")?),
                0xA5 => aare.responding_ae_qualifier = Some(ber::octet_string(cursor, "responding-AE-qualifier")?),
                0xA6 => aare.responding_ap_invocation_id = Some(ber::integer(cursor, "responding-AP-invocation-id")?),
                0xA7 => aare.responding_ae_invocation_id = Some(ber::integer(cursor, "responding-AE-invocation-id")?),
                0x88 => aare.authentication = Some(read_requirements(cursor)?),
                0x89 => aare.mechanism = Some(Mechanism::read(cursor)?),
                0xAA => aare.authentication_value = Some(AuthenticationValue::read(cursor)?),
                0xBD => aare.implementation_information = Some(rest(cursor)?),
                ber::USER_INFORMATION => aare.user_information = Some(ber::user_information(cursor)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        aare.context = context.ok_or_else(|| ber::missing(cursor, start, "application context name of AARE"))?;
        aare.result = result.ok_or_else(|| ber::missing(cursor, start, "result of AARE"))?;
        aare.diagnostic = diagnostic.ok_or_else(|| ber::missing(cursor, start, "diagnostic of AARE"))?;
        Ok(aare)
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        ber::field(writer, AARE, &|writer| {
            if let Some(version) = self.protocol_version {
                version.write(writer)?;
            }
            ber::field(writer, 0xA1, &|writer| self.context.write(writer))?;
            ber::integer_field(writer, 0xA2, Some(i32::from(self.result.code())))?;
            ber::field(writer, 0xA3, &|writer| self.diagnostic.write(writer))?;
            ber::octet_string_field(writer, 0xA4, self.responding_ap_title)?;
            ber::octet_string_field(writer, 0xA5, self.responding_ae_qualifier)?;
            ber::integer_field(writer, 0xA6, self.responding_ap_invocation_id)?;
            ber::integer_field(writer, 0xA7, self.responding_ae_invocation_id)?;
            write_authentication(writer, 0x88, self.authentication, self.mechanism, self.authentication_value)?;
            write_end(writer, self.implementation_information, self.user_information)
        })
    }
}
