//! Class 15, Association LN: what a client may see and do, and how it proves who it is.

mod access;
mod objects;

pub use access::{
    AttributeMode, AttributeModeOf, AttributeRights, MessageProtection, MethodMode, MethodModeOf, MethodRights,
};
pub use objects::{AccessRights, AttributeAccess, MethodAccess, ObjectId, ObjectListElement, v0, v1, v3};

use core::ops::RangeInclusive;

use super::{Array, Attribute, FromData, Text, ToData, TypeError};
use crate::apdu::Conformance;
use crate::axdr::{BufferFull, Data, Writer};
use crate::id::{AttributeId, ClassId, ClientSap, ServerSap};
use crate::obis::ObisCode;

interface_class! {
    "Association LN" = 15, versions 0..=3;
    attributes {
        /// The visible objects, with access rights.
        2 ObjectListV0 object_list_v0 "object_list", static select [1, 2, 3, 4] until 0:
            Array<'a, v0::ObjectListElement<'a>>;
        /// The visible objects, with access rights.
        2 ObjectListV1 object_list_v1 "object_list", static select [1, 2, 3, 4] since 1 until 2:
            Array<'a, v1::ObjectListElement<'a>>;
        /// The visible objects, with access rights.
        2 ObjectListV3 object_list_v3 "object_list", static select [1, 2, 3, 4] since 3:
            Array<'a, v3::ObjectListElement<'a>>;
        /// The client and the logical device.
        3 AssociatedPartnersId associated_partners_id, static: AssociatedPartners;
        /// Application context.
        4 ApplicationContextName application_context_name, static: RegisteredName;
        /// What was negotiated.
        5 XdlmsContextInfo xdlms_context_info "xDLMS_context_info", static: XdlmsContext<'a>;
        /// Authentication mechanism.
        6 AuthenticationMechanismName authentication_mechanism_name, static: RegisteredName;
        /// Password (low level security) or secret (high level security); only written.
        7 Secret secret/set_secret, secret: &'a [u8];
        /// Whether the association is open.
        8 Status association_status, dynamic: AssociationStatus;
        /// The Security setup object in use.
        9 SecuritySetupReference security_setup_reference, static since 1: ObisCode;
        /// The users that may open this association; none means that users are not told apart.
        10 UserList user_list, static since 2: Array<'a, User<'a>>;
        /// The user that opened it.
        11 CurrentUser current_user, dynamic since 2: User<'a>;
    }
    methods {
        /// Answers the server's challenge; the reply answers the client's.
        1 ReplyToHlsAuthentication reply_to_hls_authentication "reply_to_HLS_authentication": &'a [u8] => &'a [u8];
        /// Sets a new secret for high level security.
        2 ChangeHlsSecret change_hls_secret "change_HLS_secret": &'a [u8];
        /// Makes an object visible.
        3 AddObjectV0 add_object_v0 "add_object" until 0: v0::ObjectListElement<'a>;
        /// Makes an object visible.
        3 AddObjectV1 add_object_v1 "add_object" since 1 until 2: v1::ObjectListElement<'a>;
        /// Makes an object visible.
        3 AddObjectV3 add_object_v3 "add_object" since 3: v3::ObjectListElement<'a>;
        /// Makes an object invisible.
        4 RemoveObjectV0 remove_object_v0 "remove_object" until 0: v0::ObjectListElement<'a>;
        /// Makes an object invisible.
        4 RemoveObjectV1 remove_object_v1 "remove_object" since 1 until 2: v1::ObjectListElement<'a>;
        /// Makes an object invisible.
        4 RemoveObjectV3 remove_object_v3 "remove_object" since 3: v3::ObjectListElement<'a>;
        /// Adds a user.
        5 AddUser add_user since 2: User<'a>;
        /// Removes a user.
        6 RemoveUser remove_user since 2: User<'a>;
    }
}

/// The object list of an association whose version is not known yet: it is in the list. The modes come as they travel,
/// and mean nothing without the version.
#[derive(Clone, Copy, Debug)]
pub enum ObjectList {}

impl Attribute for ObjectList {
    const CLASS_ID: ClassId = CLASS_ID;
    const ID: AttributeId = ObjectListV0::ID;
    const NAME: &'static str = ObjectListV0::NAME;
    const VERSIONS: RangeInclusive<u8> = 0..=VERSION;
    type Value<'a> = Array<'a, ObjectListElement<'a>>;
}

/// Selectors of selective access to `object_list`.
pub mod object_list_selector {
    /// All objects; the parameter is null-data.
    pub const FULL: u8 = 1;
    /// The objects of some classes; the parameter is an array of class identifiers.
    pub const CLASS_LIST: u8 = 2;
    /// Some objects; the parameter is an array of [`ObjectId`](super::ObjectId).
    pub const OBJECT_ID_LIST: u8 = 3;
    /// One object with all its rights; the parameter is an [`ObjectId`](super::ObjectId).
    pub const OBJECT_ID: u8 = 4;
}

enumeration! {
    /// State of an association.
    AssociationStatus "association status" {
        /// Not associated.
        NonAssociated = 0,
        /// Between AARE and the end of high level security.
        Pending = 1,
        /// Associated.
        Associated = 2,
    }
}

structure! {
    /// A user of an association.
    User<'a> "structure of user" {
        /// Identifier, sent in the AARQ as calling-AE-invocation-id.
        id: u8,
        /// Name.
        name: Text<'a>,
    }
}

structure! {
    /// The negotiated xDLMS context.
    XdlmsContext<'a> "structure of xDLMS context" {
        /// Services both sides have.
        conformance: Conformance,
        /// Octets of the largest APDU that the server receives.
        max_receive_pdu_size: u16,
        /// Octets of the largest APDU that the server sends.
        max_send_pdu_size: u16,
        /// Version of DLMS, 6.
        dlms_version_number: u8,
        /// Not used.
        quality_of_service: i8,
        /// The dedicated key, when there is one. Meters leave it empty.
        cyphering_info: &'a [u8],
    }
}

/// Client and server of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssociatedPartners {
    /// Client SAP.
    pub client: ClientSap,
    /// Server SAP.
    pub server: ServerSap,
}

impl FromData<'_> for AssociatedPartners {
    const EXPECTED: &'static str = "structure of associated partners";

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        let refused = TypeError::new(Self::EXPECTED, &data);
        let mut members = data.as_structure().ok_or(refused)?.iter();
        let (client, server) = members.next().zip(members.next()).ok_or(refused)?;
        // The client's SAP has one octet with a sign, although it counts to 255.
        let client = match client {
            Data::Integer(value) => u16::from(value.cast_unsigned()),
            other => u16::from_data(other)?,
        };
        Ok(Self { client: ClientSap(client), server: ServerSap(u16::from_data(server)?) })
    }
}

impl ToData for AssociatedPartners {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.structure(2)?;
        match u8::try_from(self.client.0) {
            Ok(client) => writer.integer(client.cast_signed())?,
            // Wider than the class foresees; told rather than cut.
            Err(_) => writer.long_unsigned(self.client.0)?,
        }
        writer.long_unsigned(self.server.0)
    }
}

/// An object identifier of the DLMS User Association: 2.16.756.5.8, then branch and value.
///
/// Branch 1 is application contexts (1 logical names, 2 short names, 3 and 4 the same ciphered), branch 2 is
/// authentication mechanisms (0 lowest, 1 low level security, 2 to 7 high level security).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisteredName {
    /// Branch.
    pub branch: u8,
    /// Number in the branch.
    pub value: u8,
}

impl RegisteredName {
    /// joint-iso-ccitt(2) country(16) country-name(756) identified-organisation(5) DLMS-UA(8).
    const ARCS: [u64; 5] = [2, 16, 756, 5, 8];
    /// The same as BER encodes it.
    const CONTENTS: [u8; 5] = [0x60, 0x85, 0x74, 0x05, 0x08];

    fn read(data: &Data<'_>) -> Option<Self> {
        if let Some([contents @ .., branch, value]) = data.as_bytes() {
            return (contents == Self::CONTENTS).then_some(Self { branch: *branch, value: *value });
        }
        // Meters differ in the width of the numbers.
        let mut members = data.as_structure()?.iter();
        for arc in Self::ARCS {
            if members.next()?.as_u64()? != arc {
                return None;
            }
        }
        Some(Self { branch: members.next()?.as_u8()?, value: members.next()?.as_u8()? })
    }
}

impl FromData<'_> for RegisteredName {
    const EXPECTED: &'static str = "object identifier under 2.16.756.5.8";

    fn from_data(data: Data<'_>) -> Result<Self, TypeError> {
        Self::read(&data).ok_or(TypeError::new(Self::EXPECTED, &data))
    }
}

impl ToData for RegisteredName {
    fn to_data(&self, writer: &mut Writer<'_>) -> Result<(), BufferFull> {
        writer.structure(7)?;
        writer.unsigned(2)?;
        writer.unsigned(16)?;
        writer.long_unsigned(756)?;
        [5, 8, self.branch, self.value].into_iter().try_for_each(|arc| writer.unsigned(arc))
    }
}
