//! Parameters of class 64's methods, and the other complete APDUs of the vectors.

use dlms::acse::{Aare, Aarq, Rlre, Rlrq};
use dlms::apdu::{ActionRequest, ConfirmedServiceError, ExceptionResponse, ServiceError};
use dlms::axdr::Data;
use dlms::id::ClassId;
use dlms::security::certificate::{
    Entity, FixedStore, Identification, Purpose, REQUEST_MAX, certification_request, export, import_certificate, remove,
};
use dlms::security::public_key::agreement::{EphemeralOffer, answer_offer};
use dlms::security::{Curves, KeyEncryptionKey, Random, RustCrypto, SecurityPolicy, Suite, unwrap_key};

use crate::certificates::anchored;
use crate::vectors::{Ledger, Vector, named, section};

fn octets<'a>(data: &Data<'a>) -> &'a [u8] {
    match data {
        Data::OctetString(octets) => octets,
        other => panic!("{other:?}"),
    }
}

fn value(data: &Data<'_>) -> u8 {
    match data {
        Data::Enum(value) => *value,
        other => panic!("{other:?}"),
    }
}

struct Given(Vec<u8>);

impl Random for Given {
    fn fill(&mut self, octets: &mut [u8]) {
        octets.copy_from_slice(&self.0[..octets.len()]);
    }
}

pub(crate) fn methods(ledger: &mut Ledger) {
    for vector in section("security_setup") {
        let (request, parameter) = (vector.octets("action_request"), vector.octets("parameter"));
        let Ok(ActionRequest::Normal { request, .. }) = ActionRequest::decode(&request) else {
            panic!("{}", vector.id());
        };
        assert_eq!((request.method.class, request.method.method.0), (ClassId(64), vector.number("method") as i8));
        let data = Data::from_slice(&parameter).unwrap();
        assert_eq!(request.parameter, Some(data), "{}", vector.id());
        match vector.number("method") {
            1 => activate(&vector, value(&data)),
            2 => transfer(&vector, &data),
            3 => agree(&vector, &data),
            4 => assert!(Purpose::from_value(value(&data)).is_some()),
            5 => request_certificate(&vector),
            6 => import(octets(&data)),
            7 | 8 => by_identification(&vector, &data),
            other => panic!("method {other}"),
        }
        ledger.insert(vector.id().to_owned());
    }
}

fn activate(vector: &Vector, policy: u8) {
    if vector.id().contains("v0") {
        assert_eq!(SecurityPolicy::from_v0(policy).unwrap().to_v0(), Some(policy));
    } else {
        let policy = SecurityPolicy::from_v1(policy).unwrap();
        assert!(policy.request.authenticated && policy.response.encrypted);
        assert_eq!(policy.request.signed && policy.response.signed, vector.id().ends_with("all"));
    }
}

fn transfer(vector: &Vector, data: &Data<'_>) {
    let suite = if vector.id().ends_with("suite2") { Suite::Suite2 } else { Suite::Suite1 };
    let kek: Vec<u8> = (0x60..0x60 + suite.key_length() as u8).collect();
    let kek = KeyEncryptionKey::from_slice(suite, &kek).unwrap();
    for element in data.as_array().unwrap() {
        let [key_id, wrapped] = element.as_members::<2>().unwrap();
        let key = unwrap_key::<RustCrypto>(suite, &kek, octets(&wrapped)).unwrap();
        let first = 0x80 + 0x10 * value(&key_id);
        assert_eq!(key.as_bytes()[0], first, "{}", vector.id());
    }
}

fn first<'a>(data: &Data<'a>) -> [Data<'a>; 2] {
    data.as_array().unwrap().into_iter().next().unwrap().as_members().unwrap()
}

/// Both halves as they were sent; with the ephemeral keys that they were made with both give one key.
fn agree(vector: &Vector, data: &Data<'_>) {
    let response = vector.octets("response_data");
    let response = Data::from_slice(&response).unwrap();
    let ([key_id, offered], [_, answered]) = (first(data), first(&response));
    let (key_id, offered, answered) = (value(&key_id), octets(&offered).to_vec(), octets(&answered).to_vec());
    let second = vector.id().ends_with("suite2");
    let (suite, kdf) = if second { (Suite::Suite2, "c-c2e0s-guek-suite2") } else { (Suite::Suite1, "gb-c2e0s-guek") };
    let kdf = named("kdf", kdf);
    let (client, server) = (kdf.title("party_u_info"), kdf.title("party_v_info"));
    let [client_key, server_key] = if second {
        let hls = |id| named("hls", id).private("private_key");
        [hls("c-hls7-p384-pass3"), hls("c-hls7-p384-pass4")]
    } else {
        let key = |id| named("ecdsa_verify", id).private("private_key");
        [key("gb-key-agreement-client-signature"), key("c-key-agreement-server-signature")]
    };
    let client_public = RustCrypto::public_key(&client_key).unwrap();
    let server_public = RustCrypto::public_key(&server_key).unwrap();
    let expected = kdf.octets("key");
    // The figures are from the server's view in suite 1 and from the client's in suite 2.
    let ephemeral = kdf.octets("own_private");
    if second {
        let offer = EphemeralOffer::new::<RustCrypto>(suite, key_id, &client_key, &mut Given(ephemeral)).unwrap();
        assert_eq!(hex::encode(offer.key_data().as_bytes()), hex::encode(&offered));
        let key = offer.complete::<RustCrypto>(client, server, &server_public, &answered).unwrap();
        assert_eq!(key.as_bytes(), expected);
    } else {
        let mut random = Given(ephemeral);
        let (data, key) = answer_offer::<RustCrypto>(
            suite,
            key_id,
            client,
            server,
            &client_public,
            &server_key,
            &offered,
            &mut random,
        )
        .unwrap();
        assert_eq!(hex::encode(data.as_bytes()), hex::encode(&answered));
        assert_eq!(key.as_bytes(), expected);
    }
}

fn request_certificate(vector: &Vector) {
    let response = vector.octets("response_data");
    let given = named("certificate", "csr-server-signature");
    assert_eq!(octets(&Data::from_slice(&response).unwrap()), given.octets("der"));
    let mut out = [0; REQUEST_MAX];
    let title = dlms::id::SystemTitle(*b"MMM\0\0\0\0\x01");
    let made = certification_request::<RustCrypto>(&given.private("private_key"), title, &mut out).unwrap();
    // Everything but the signature, whose nonce is another one.
    let info = 3 + 2 + 0x7D;
    assert_eq!(hex::encode(&out[made][2..info]), hex::encode(&given.octets("der")[2..info]));
}

fn import(der: &[u8]) {
    let server = dlms::id::SystemTitle(*b"MMM\0\0\0\0\x01");
    let mut store = anchored();
    let imported = import_certificate::<RustCrypto>(&mut store, Suite::Suite1, server, |_, _| false, None, der);
    assert_eq!(imported, Ok((Entity::Client, Purpose::Signature)));
}

fn by_identification(vector: &Vector, data: &Data<'_>) {
    let mut store: FixedStore<8, 768> = anchored();
    let der = named("certificate", "cert-client-signature").octets("der");
    let server = dlms::id::SystemTitle(*b"MMM\0\0\0\0\x01");
    import_certificate::<RustCrypto>(&mut store, Suite::Suite1, server, |_, _| false, None, &der).unwrap();
    let [kind, options] = data.as_members::<2>().unwrap();
    let identification = if value(&kind) == 0 {
        let [entity, purpose, title] = options.as_members::<3>().unwrap();
        let (entity, purpose) = (Entity::from_value(value(&entity)), Purpose::from_value(value(&purpose)));
        Identification::Entity { entity: entity.unwrap(), purpose: purpose.unwrap(), title: octets(&title) }
    } else {
        let [serial, issuer] = options.as_members::<2>().unwrap();
        Identification::Serial { serial: octets(&serial), issuer: octets(&issuer) }
    };
    if vector.number("method") == 7 {
        let response = vector.octets("response_data");
        assert_eq!(export(&store, &identification), Ok(octets(&Data::from_slice(&response).unwrap())));
    } else {
        assert_eq!(remove(&mut store, &identification), Ok(()));
    }
}

#[test]
fn parameters_of_every_method_do_what_they_say() {
    methods(&mut Ledger::new());
}

pub(crate) fn apdus(ledger: &mut Ledger) {
    for vector in section("acse") {
        let apdu = vector.octets("apdu");
        let read = match apdu[0] {
            0x60 => Aarq::decode(&apdu).is_ok(),
            0x61 => Aare::decode(&apdu).is_ok(),
            0x62 => Rlrq::decode(&apdu).is_ok(),
            0x63 => Rlre::decode(&apdu).is_ok(),
            other => panic!("{other:02X}"),
        };
        assert_eq!(read, vector.flag("well_formed"), "{}", vector.id());
        ledger.insert(vector.id().to_owned());
    }
    for vector in section("error_response") {
        let apdu = vector.octets("apdu");
        if apdu[0] == 0xD8 {
            let exception = ExceptionResponse::decode(&apdu).unwrap();
            let deciphering = exception.service == ServiceError::DecipheringError;
            assert_eq!(deciphering, vector.id() == "er-deciphering");
            if vector.id() == "er-invocation-counter" {
                assert_eq!(exception.service, ServiceError::InvocationCounterError(Some(0x0123_4568)));
            }
            let mut out = [0; 16];
            let mut writer = dlms::axdr::Writer::new(&mut out);
            exception.encode(&mut writer).unwrap();
            assert_eq!(writer.written(), apdu, "{}", vector.id());
        } else {
            ConfirmedServiceError::decode(&apdu).unwrap();
        }
        ledger.insert(vector.id().to_owned());
    }
}

#[test]
fn the_other_apdus_are_read() {
    apdus(&mut Ledger::new());
}
