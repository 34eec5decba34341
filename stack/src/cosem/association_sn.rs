//! Class 12, Association SN: what a client of a meter with short names may see and do.

use super::action::MonitoredValue;
use super::association_ln::{ObjectId, User, v1, v3};
use super::short_name::NamedObject;
use super::{Any, Array};
use crate::id::ShortName;
use crate::obis::ObisCode;

interface_class! {
    // The later methods keep the offsets that they have in version 0.
    "Association SN" = 12, versions 0..=4, methods at 0x20;
    attributes {
        /// The visible objects and their base names.
        2 ObjectList object_list, static select [1, 2]: Array<'a, NamedObject>;
        /// What may be done with each object; modes as in version 1 of the association with logical names.
        3 AccessRightsListV2 access_rights_list_v2 "access_rights_list", static since 2 until 3:
            Array<'a, AccessRightsV2<'a>>;
        /// What may be done with each object; modes as in version 3 of the association with logical names.
        3 AccessRightsList access_rights_list, static since 4: Array<'a, AccessRights<'a>>;
        /// The Security setup object in use.
        4 SecuritySetupReference security_setup_reference, static since 2: ObisCode;
        /// The users that may open this association; none means that users are not told apart.
        5 UserList user_list, static since 3: Array<'a, User<'a>>;
        /// The user that opened it.
        6 CurrentUser current_user, dynamic since 3: User<'a>;
    }
    methods {
        /// The objects of a class.
        1 GetListByClassId getlist_by_classid until 0: u16 => Array<'a, NamedObject>;
        /// An object by its name.
        2 GetObjectByLogicalName getobj_by_logicalname until 0: ObjectId => NamedObject;
        /// Reads attributes by logical name.
        3 ReadByLogicalName read_by_logicalname: Array<'a, MonitoredValue> => Any<'a>;
        /// Sets a new password for low level security.
        5 ChangeLlsSecret change_lls_secret "change_LLS_secret": &'a [u8];
        /// Sets a new secret for high level security.
        6 ChangeHlsSecret change_hls_secret "change_HLS_secret": &'a [u8];
        /// Answers the server's challenge; the reply answers the client's.
        8 ReplyToHlsAuthentication reply_to_hls_authentication "reply_to_HLS_authentication": &'a [u8] => &'a [u8];
        /// Adds a user.
        9 AddUser add_user since 3: User<'a>;
        /// Removes a user.
        10 RemoveUser remove_user since 3: User<'a>;
    }
}

/// Selectors of selective access to `object_list`.
pub mod object_list_selector {
    /// The objects of one class; the parameter is its identifier.
    pub const CLASS: u8 = 1;
    /// One object; the parameter is an [`ObjectId`](super::ObjectId).
    pub const OBJECT_ID: u8 = 2;
}

structure! {
    /// What may be done with an object, in versions 2 and 3.
    AccessRightsV2<'a> "structure of access rights" {
        /// Base name.
        base_name: ShortName,
        /// Rights to each attribute.
        attributes: Array<'a, v1::AttributeAccess<'a>>,
        /// Rights to each method.
        methods: Array<'a, v1::MethodAccess>,
    }
}

structure! {
    /// What may be done with an object, in version 4.
    AccessRights<'a> "structure of access rights" {
        /// Base name.
        base_name: ShortName,
        /// Rights to each attribute.
        attributes: Array<'a, v3::AttributeAccess<'a>>,
        /// Rights to each method.
        methods: Array<'a, v3::MethodAccess>,
    }
}
