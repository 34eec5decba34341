//! Association LN (class 15, version 1).

mod object_list;

use dlms::acse::{ApplicationContext, Mechanism};
use dlms::apdu::{Conformance, DLMS_VERSION, DataAccessResult};
use dlms::association::server::Progress;
use dlms::cosem::association_ln::{self, AssociatedPartners, AssociationStatus, XdlmsContext};
use dlms::cosem::{Answer, Attribute, Method};
use dlms::id::{AttributeId, ClientSap, MethodId, ServerSap};
use dlms::obis::ObisCode;

use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// What an association offers to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssociationDescription {
    /// The client.
    pub client: ClientSap,
    /// The logical device.
    pub server: ServerSap,
    /// Whether APDUs may be ciphered.
    pub ciphered: bool,
    /// How the client proves who it is.
    pub mechanism: Mechanism,
    /// Services.
    pub conformance: Conformance,
    /// Longest APDU that the server accepts, in octets.
    pub max_receive_pdu: u16,
    /// Longest APDU that the client accepts, in octets.
    pub max_send_pdu: u16,
    /// The security setup object, if the association has one.
    pub security_setup: Option<ObisCode>,
}

/// The associations of the meter.
pub trait AssociationState {
    /// The association of `client` as the meter is configured.
    fn description(&self, client: ClientSap) -> Option<AssociationDescription>;

    /// Whether `client` is associated with this logical device at this moment.
    fn is_associated(&self, client: ClientSap) -> bool;

    /// Changes the client's LLS password or HLS secret.
    ///
    /// # Errors
    /// What the client gets; the secret is unchanged then.
    fn set_secret(&mut self, client: ClientSap, secret: &[u8]) -> Result<(), DataAccessResult>;
}

/// Which association an object describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssociationOf {
    /// The one through which it is read.
    Current,
    /// That of a client.
    Client(ClientSap),
}

/// An association: what a client sees of the meter, and on which terms.
///
/// `reply_to_HLS_authentication` (method 1) never gets here: the stack answers it while the association is being
/// opened. The object list names only objects on which the client has a right.
#[derive(Clone, Copy, Debug)]
pub struct Association {
    /// Logical name.
    pub instance: ObisCode,
    /// Which association it describes.
    pub of: AssociationOf,
}

impl Association {
    /// The association through which it is read: 0.0.40.0.0.255.
    #[must_use]
    pub const fn current() -> Self {
        Self { instance: ObisCode::CURRENT_ASSOCIATION, of: AssociationOf::Current }
    }

    fn client<S: ?Sized>(&self, cx: &Context<'_, S>) -> ClientSap {
        match self.of {
            AssociationOf::Current => cx.access.client,
            AssociationOf::Client(client) => client,
        }
    }

    /// What was configured, and for the current association what was negotiated.
    fn describe<S: AssociationState + ?Sized>(
        &self,
        state: &S,
        cx: &Context<'_, S>,
    ) -> Result<AssociationDescription, DataAccessResult> {
        let configured = state.description(self.client(cx)).ok_or(DataAccessResult::ObjectUnavailable)?;
        Ok(match self.of {
            AssociationOf::Client(_) => configured,
            AssociationOf::Current => AssociationDescription {
                server: cx.access.server,
                ciphered: cx.access.ciphered_context,
                mechanism: cx.access.mechanism,
                conformance: cx.access.conformance,
                max_receive_pdu: cx.access.server_max_pdu,
                max_send_pdu: cx.access.client_max_pdu,
                ..configured
            },
        })
    }
}

serve!(association_ln: [S: AssociationState + ?Sized] Association);

impl<'c, S: AssociationState + ?Sized> association_ln::Server<S, Context<'c, S>> for Association {
    fn class_version(&self) -> u8 {
        1
    }

    /// The secret.
    #[inline(always)]
    fn takes(&self, attribute: AttributeId) -> bool {
        attribute == association_ln::Secret::ID
    }

    /// Neither objects nor users are added or removed.
    #[inline(always)]
    fn obeys(&self, method: MethodId) -> bool {
        method == association_ln::ReplyToHlsAuthentication::ID || method == association_ln::ChangeHlsSecret::ID
    }

    fn object_list_v1(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, association_ln::ObjectListV1>,
    ) -> Answered {
        object_list::read(cx, self.describe(state, cx)?.client, answer.into_part())
    }

    fn associated_partners_id(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, association_ln::AssociatedPartnersId>,
    ) -> Answered {
        let AssociationDescription { client, server, .. } = self.describe(state, cx)?;
        answer.value(&AssociatedPartners { client, server })
    }

    fn application_context_name(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, association_ln::ApplicationContextName>,
    ) -> Answered {
        let context = context(&self.describe(state, cx)?);
        answer.written(|out| out.octets(context.identifier().as_bytes()))
    }

    fn xdlms_context_info(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, association_ln::XdlmsContextInfo>,
    ) -> Answered {
        let association = self.describe(state, cx)?;
        answer.value(&XdlmsContext {
            conformance: association.conformance,
            max_receive_pdu_size: association.max_receive_pdu,
            max_send_pdu_size: association.max_send_pdu,
            dlms_version_number: DLMS_VERSION,
            // Quality of service and ciphering information carry nothing: neither is negotiated by this server.
            quality_of_service: 0,
            cyphering_info: &[],
        })
    }

    fn authentication_mechanism_name(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, association_ln::AuthenticationMechanismName>,
    ) -> Answered {
        let mechanism = self.describe(state, cx)?.mechanism;
        answer.written(|out| out.octets(mechanism.identifier().as_bytes()))
    }

    fn set_secret(&self, state: &mut S, cx: &Context<'c, S>, secret: &[u8]) -> Result<(), DataAccessResult> {
        state.set_secret(self.client(cx), secret)
    }

    fn association_status(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, association_ln::Status>,
    ) -> Answered {
        let client = self.describe(state, cx)?.client;
        let associated = self.of == AssociationOf::Current || state.is_associated(client);
        answer.value(&if associated { AssociationStatus::Associated } else { AssociationStatus::NonAssociated })
    }

    fn security_setup_reference(
        &self,
        state: &S,
        cx: &Context<'c, S>,
        answer: Answer<'_, '_, association_ln::SecuritySetupReference>,
    ) -> Answered {
        match self.describe(state, cx)?.security_setup {
            Some(setup) => answer.value(&setup),
            None => answer.written(|out| out.octets(&[])),
        }
    }
}

const fn context(association: &AssociationDescription) -> ApplicationContext {
    if association.ciphered { ApplicationContext::LogicalNameCiphered } else { ApplicationContext::LogicalName }
}
