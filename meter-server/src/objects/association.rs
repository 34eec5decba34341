//! Association LN (class 15, version 1).

mod object_list;

use dlms::acse::{ApplicationContext, Mechanism};
use dlms::apdu::{Conformance, DLMS_VERSION, DataAccessResult};
use dlms::association::server::{Cursor, Progress};
use dlms::axdr::{BitString, BufferFull, Data, Writer};
use dlms::id::{AttributeId, ClassId, ClientSap, ServerSap};
use dlms::obis::ObisCode;

use crate::object::{Context, Object, Read, done};

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

impl<S: AssociationState + ?Sized> Object<S> for Association {
    fn instance(&self) -> ObisCode {
        self.instance
    }

    fn class(&self) -> ClassId {
        ClassId(15)
    }

    fn version(&self) -> u8 {
        1
    }

    fn attributes(&self) -> i8 {
        9
    }

    fn methods(&self) -> i8 {
        4
    }

    fn selectors(&self, attribute: AttributeId) -> &'static [u8] {
        if attribute.0 == 2 { &[1, 2, 3, 4] } else { &[] }
    }

    fn read(
        &self,
        state: &S,
        cx: &Context<'_, S>,
        request: Read<'_>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Result<Progress, DataAccessResult> {
        let association = self.describe(state, cx)?;
        let written = match request.attribute.0 {
            2 => return object_list::read(cx, association.client, request.selection, cursor, out),
            3 => partners(&association, out),
            4 => out.octets(context(&association).identifier().as_bytes()),
            5 => xdlms_context(&association, out),
            6 => out.octets(association.mechanism.identifier().as_bytes()),
            8 => {
                let associated = self.of == AssociationOf::Current || state.is_associated(association.client);
                out.enumerated(if associated { 2 } else { 0 })
            }
            9 => match association.security_setup {
                Some(setup) => out.obis(setup),
                None => out.octets(&[]),
            },
            _ => return Err(DataAccessResult::ReadWriteDenied),
        };
        done(written)
    }

    fn write(
        &self,
        state: &mut S,
        cx: &Context<'_, S>,
        attribute: AttributeId,
        value: Data<'_>,
    ) -> Result<(), DataAccessResult> {
        match (attribute.0, value) {
            (7, Data::OctetString(secret)) => state.set_secret(self.client(cx), secret),
            (7, _) => Err(DataAccessResult::TypeUnmatched),
            _ => Err(DataAccessResult::ReadWriteDenied),
        }
    }
}

const fn context(association: &AssociationDescription) -> ApplicationContext {
    if association.ciphered { ApplicationContext::LogicalNameCiphered } else { ApplicationContext::LogicalName }
}

/// `associated_partners_id`: the client's SAP is an integer of eight bits, so that those over 127 appear negative.
fn partners(association: &AssociationDescription, out: &mut Writer<'_>) -> Result<(), BufferFull> {
    let [_, client] = association.client.0.to_be_bytes();
    out.structure(2)?;
    out.integer(client.cast_signed())?;
    out.long_unsigned(association.server.0)
}

/// `xDLMS_context_info`.
fn xdlms_context(association: &AssociationDescription, out: &mut Writer<'_>) -> Result<(), BufferFull> {
    let conformance = association.conformance.to_bytes();
    let bits = BitString::new(&conformance, 24).ok_or(BufferFull)?;
    out.structure(6)?;
    out.bit_string(&bits)?;
    out.long_unsigned(association.max_receive_pdu)?;
    out.long_unsigned(association.max_send_pdu)?;
    out.unsigned(DLMS_VERSION)?;
    // Quality of service and ciphering information carry nothing: neither is negotiated by this server.
    out.integer(0)?;
    out.octets(&[])
}
