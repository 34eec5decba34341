use super::*;
use crate::apdu::Conformance;
use crate::cosem::association_ln::*;
use crate::cosem::{Array, Attribute};
use crate::id::{AttributeId, ClassId, ClientSap, MethodId, ServerSap};
use crate::obis::ObisCode;
use hex_literal::hex;

#[test]
fn object_list_of_version_1() {
    let octets = hex!(
        "01 01 02 04 12 0007 11 01 09 06 0100630100FF
         02 02 01 02 02 03 0F 01 16 01 00
                     02 03 0F 02 16 04 01 02 0F 01 0F 02
               01 01 02 02 0F 01 16 02"
    );
    let list = ObjectList::decode(Data::from_slice(&octets).unwrap()).unwrap();
    let object = list.iter().next().unwrap().unwrap();
    assert_eq!((object.class_id, object.version), (ClassId(7), 1));
    assert_eq!(object.logical_name, ObisCode::LOAD_PROFILE_1);

    let attributes: Vec<_> = object.access_rights.attributes.iter().map(Result::unwrap).collect();
    assert_eq!(attributes[0].selectors, None);
    assert_eq!(attributes[1].attribute, AttributeId(2));
    let selectors: Vec<_> = attributes[1].selectors.unwrap().iter().map(Result::unwrap).collect();
    assert_eq!(selectors, [1, 2]);
    let rights = attributes[1].mode.rights(1).unwrap();
    assert!(rights.read && !rights.write && rights.request.authenticated && !rights.request.encrypted);

    let methods: Vec<_> = object.access_rights.methods.iter().map(Result::unwrap).collect();
    assert_eq!(methods, [MethodAccess { method: MethodId(1), mode: MethodMode::Mode(2) }]);
    assert_eq!(written(&list), octets);

    // The same from values.
    let access = |attribute, mode, selectors| AttributeAccess { attribute, mode: AttributeMode(mode), selectors };
    let attributes = [access(AttributeId(1), 1, None), access(AttributeId(2), 4, Some(Array::from(&[1_i8, 2])))];
    let object = ObjectListElement {
        access_rights: AccessRights { attributes: Array::from(&attributes), methods: Array::from(&methods[..]) },
        ..object
    };
    assert_eq!(written(&Array::from(&[object])), octets);
}

#[test]
fn method_access_is_a_boolean_in_version_0() {
    let octets = hex!("02 02 0F 01 03 01");
    let access: MethodAccess = read(&octets).unwrap();
    assert_eq!(access.mode, MethodMode::Flag(true));
    assert!(access.mode.rights(0).unwrap().access);
    assert_eq!(written(&access), octets);
}

#[test]
fn attribute_modes_by_version() {
    let rights = |version, mode| AttributeMode(mode).rights(version);
    let plain = |read, write| Some(AttributeRights { read, write, ..AttributeRights::default() });
    for version in 0..=3 {
        assert_eq!(rights(version, 0), plain(false, false));
        assert_eq!(rights(version, 1), plain(true, false));
        assert_eq!(rights(version, 2), plain(false, true));
        assert_eq!(rights(version, 3), plain(true, true));
    }
    let authenticated = |read, write| {
        let protection = MessageProtection::AUTHENTICATED;
        Some(AttributeRights { read, write, request: protection, response: protection })
    };
    assert_eq!(rights(0, 4), None);
    for version in 1..=2 {
        assert_eq!(rights(version, 4), authenticated(true, false));
        assert_eq!(rights(version, 5), authenticated(false, true));
        assert_eq!(rights(version, 6), authenticated(true, true));
        assert_eq!(rights(version, 7), None);
    }
    // The same number is something else in version 3: an authenticated request for nothing.
    let odd = rights(3, 4).unwrap();
    assert!(!odd.read && !odd.write && odd.request.authenticated && !odd.response.authenticated);
    let all = rights(3, 0xFF).unwrap();
    let signed = MessageProtection { authenticated: true, encrypted: true, signed: true };
    assert_eq!(all, AttributeRights { read: true, write: true, request: signed, response: signed });
    assert!(rights(3, 0x09).unwrap().request.encrypted);
    assert!(rights(3, 0x81).unwrap().response.signed);
}

#[test]
fn rights_become_the_mode_that_means_them() {
    for version in 0..=3 {
        for mode in 0..=255 {
            if let Some(rights) = AttributeMode(mode).rights(version) {
                assert_eq!(rights.mode(version), Some(AttributeMode(mode)), "version {version}");
            }
        }
        for mode in 0..=255 {
            let mode = if version == 0 { MethodMode::Flag(mode & 1 == 1) } else { MethodMode::Mode(mode) };
            if let Some(rights) = mode.rights(version)
                && let Some(again) = rights.mode(version)
            {
                assert_eq!(again.rights(version), Some(rights), "version {version}");
            }
        }
    }
    // What a version cannot say.
    let encrypted = MessageProtection { encrypted: true, ..MessageProtection::NONE };
    let rights = AttributeRights { read: true, request: encrypted, ..AttributeRights::default() };
    assert_eq!((rights.mode(0), rights.mode(2)), (None, None));
    assert_eq!(rights.mode(3), Some(AttributeMode(0x09)));
    let rights = MethodRights { access: true, request: encrypted, ..MethodRights::default() };
    assert_eq!((rights.mode(0), rights.mode(1), rights.mode(3)), (None, None, Some(MethodMode::Mode(0x09))));
    let rights = MethodRights {
        access: true,
        request: MessageProtection::AUTHENTICATED,
        response: MessageProtection::AUTHENTICATED,
    };
    assert_eq!((rights.mode(0), rights.mode(2)), (None, Some(MethodMode::Mode(2))));
}

#[test]
fn partners() {
    let partners = AssociatedPartners { client: ClientSap::PUBLIC, server: ServerSap::MANAGEMENT };
    assert_eq!(written(&partners), hex!("02 02 0F 10 12 0001"));
    assert_eq!(read(&hex!("02 02 0F 10 12 0001")), Ok(partners));
    // A client above 127 looks negative.
    let high = AssociatedPartners { client: ClientSap(200), ..partners };
    assert_eq!(written(&high), hex!("02 02 0F C8 12 0001"));
    assert_eq!(read(&hex!("02 02 0F C8 12 0001")), Ok(high));
    let wide = AssociatedPartners { client: ClientSap(300), ..partners };
    assert_eq!(read(&written(&wide)), Ok(wide));
}

#[test]
fn object_identifiers_in_both_forms() {
    let gmac = RegisteredName { branch: 2, value: 5 };
    assert_eq!(read(&hex!("09 07 60857405080205")), Ok(gmac));
    assert_eq!(written(&gmac), hex!("02 07 11 02 11 10 12 02F4 11 05 11 08 11 02 11 05"));
    assert_eq!(read(&written(&gmac)), Ok(gmac));
    // Other widths of the numbers.
    assert_eq!(read(&hex!("02 07 12 0002 11 10 06 000002F4 11 05 11 08 11 02 11 05")), Ok(gmac));
    // Another branch of the tree.
    assert!(read::<RegisteredName>(&hex!("09 07 60857405090205")).is_err());
    assert!(read::<RegisteredName>(&hex!("02 07 11 02 11 10 12 02F5 11 05 11 08 11 02 11 05")).is_err());
    assert!(read::<RegisteredName>(&hex!("09 01 05")).is_err());
}

#[test]
fn context() {
    let octets = hex!("02 06 04 18 00501F 12 01F4 12 01F4 11 06 0F 00 09 00");
    let context: XdlmsContext<'_> = read(&octets).unwrap();
    assert_eq!(context.conformance, Conformance::from_bits(0x00_501F));
    assert_eq!((context.max_receive_pdu_size, context.dlms_version_number), (500, 6));
    assert_eq!(written(&context), octets);
    assert_eq!(read(&hex!("16 02")), Ok(AssociationStatus::Associated));
}

#[test]
fn short_names_of_objects() {
    use crate::cosem::association_sn;
    use crate::cosem::short_name::NamedObject;
    use crate::id::ShortName;
    // Base names are numbers with a sign on the wire: FD00 looks negative.
    let octets = hex!(
        "01 02 02 04 10 0BB8 12 0008 11 00 09 06 0000010000FF
               02 04 10 FD00 12 0001 11 00 09 06 00002A0000FF"
    );
    let list = association_sn::ObjectList::decode(Data::from_slice(&octets).unwrap()).unwrap();
    let objects: Vec<_> = list.iter().map(Result::unwrap).collect();
    assert_eq!((objects[0].base, objects[1].base), (ShortName(0x0BB8), ShortName(0xFD00)));
    assert_eq!((objects[0].class, objects[0].instance), (ClassId(8), ObisCode::CLOCK));
    assert_eq!(written(&Array::from(&objects[..])), octets);
    // Other implementations send the base name without a sign.
    let unsigned: NamedObject = read(&hex!("02 04 12 FD00 12 0001 11 00 09 06 00002A0000FF")).unwrap();
    assert_eq!(unsigned, objects[1]);
}

#[test]
fn lesson_17_rights_of_short_name_associations_change_in_version_4() {
    use crate::cosem::association_sn;
    let octets = hex!("01 01 02 03 10 0BB8 01 01 02 03 0F 02 16 06 00 01 01 02 02 0F 01 16 01");
    let data = Data::from_slice(&octets).unwrap();
    let old = association_sn::AccessRightsListV2::decode(data).unwrap().iter().next().unwrap().unwrap();
    let new = association_sn::AccessRightsList::decode(data).unwrap().iter().next().unwrap().unwrap();
    let old = old.attributes.iter().next().unwrap().unwrap().mode.rights().unwrap();
    let new = new.attributes.iter().next().unwrap().unwrap().mode.rights().unwrap();
    assert!(old.read && old.write && !new.read && new.write);
    assert_eq!(association_sn::AccessRightsListV2::VERSIONS, 2..=3);
}
