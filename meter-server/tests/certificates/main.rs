//! Security setups of suites 1 and 2: key pairs, certificates, key agreement, and what is done with them, over TCP, with a
//! certification authority of the test.

#[path = "../../../stack/tests/public_key/der.rs"]
#[allow(dead_code, reason = "certificates made to order, as the stack's own tests make them")]
mod der;
mod general;
#[path = "../support/mod.rs"]
mod support;
mod vectors;

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use der::{CERTIFICATE_SIGN, DIGITAL_SIGNATURE, KEY_AGREEMENT, Party, Spec};
use dlms::apdu::ActionResult;
use dlms::association::client::Config;
use dlms::axdr::{Data, Value, Writer};
use dlms::cosem::ToData;
use dlms::cosem::key_transfer::KeyTransferParameter;
use dlms::cosem::security_setup::{CertificateEntity, CertificateIdentification, CertificateType, KeyId};
use dlms::id::SystemTitle;
use dlms::security::public_key::Curve;
use dlms::security::public_key::agreement::EphemeralOffer;
use dlms::security::{Curves, InvocationCounter, KeyEncryptionKey, KeySet, Protection, PublicKey, RustCrypto, Suite};
use dlms::wrapper::client::Wrapper;
use dlms_meter_server::simulator::{DEFAULT_MODEL, FleetConfig, Keys, Model};
use support::client::{Dialogue, OsRandom, management, tcp};
use support::{NOW, Server, elements, octets, stopped};
use x509_cert::der::{Decode, Encode};

/// What the stack's maker of certificates draws keys from.
mod curves {
    /// Octets that depend on the seed alone.
    pub(crate) struct Noise(pub(crate) u64);

    impl dlms::security::Random for Noise {
        fn fill(&mut self, octets: &mut [u8]) {
            for octet in octets {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *octet = (self.0 >> 33) as u8;
            }
        }
    }
}

const SETUP: &str = "0.0.43.0.0.255";
const IMPORT: &str = "1.0.1.8.0.255";
const METER: SystemTitle = SystemTitle(*b"MMM\0\0\0\0\x01");
const METER_NAME: &str = "4D4D4D0000000001";
const CLIENT: SystemTitle = SystemTitle(*b"TSTCLNT1");
const CLIENT_NAME: &str = "545354434C4E5431";

type Line = Dialogue<Wrapper<Vec<u8>>, TcpStream>;

/// The built-in model in `suite`, with what `more` says of public keys.
fn model(suite: u8, more: &str) -> String {
    DEFAULT_MODEL
        .replace("number = 0\npolicy", &format!("number = 0\nversion = 1\nsuite = {suite}\npolicy"))
        .replace("management = \"2-5:R m1,m2:Xae\"", "management = \"2-6:R m1-8:X\"")
        .replace("[[association]]\nname = \"public\"", &format!("{more}\n[[association]]\nname = \"public\""))
}

fn meter(model: &str, state: Option<&Path>) -> FleetConfig {
    let model = Arc::new(Model::from_toml(model).unwrap());
    let length = model.suite().key_length();
    let keys = Keys::of_suite(model.suite(), &encryption(length), &authentication(length), b"12345678").unwrap();
    FleetConfig {
        model,
        keys: Arc::new(keys.with_master(&(0xE0..=0xFF).take(length).collect::<Vec<_>>()).unwrap()),
        tcp: Some("127.0.0.1:0".parse().unwrap()),
        system_title: Some(METER),
        state: state.map(Path::to_path_buf),
        ..stopped(7, NOW)
    }
}

fn encryption(length: usize) -> Vec<u8> {
    (0..).take(length).collect()
}

fn authentication(length: usize) -> Vec<u8> {
    (0xD0..).take(length).collect()
}

/// The management client in `suite`, with its keys.
fn client(suite: Suite, encryption: &[u8], title: SystemTitle) -> Config {
    let mut config = management();
    let security = config.security.as_mut().unwrap();
    security.suite = suite;
    security.keys = KeySet::new(suite, encryption, &authentication(suite.key_length())).unwrap();
    security.system_title = title;
    config
}

fn associated(server: &Server, suite: Suite, counter: u32) -> Line {
    let config = client(suite, &encryption(suite.key_length()), CLIENT);
    tcp(server.ports(0).tcp.unwrap(), config, counter).associate().unwrap()
}

fn encoded(value: &impl ToData) -> Vec<u8> {
    let mut buffer = vec![0; 2_048];
    let mut writer = Writer::new(&mut buffer);
    value.to_data(&mut writer).unwrap();
    writer.written().to_vec()
}

fn call(line: &mut Line, method: i8, parameter: &[u8]) -> Result<Option<Value>, ActionResult> {
    line.action_reply(64, SETUP, method, Data::from_slice(parameter).unwrap())
}

fn import(line: &mut Line, der: &[u8]) -> Result<(), ActionResult> {
    call(line, 6, &encoded(&der)).map(|reply| assert_eq!(reply, None))
}

fn by_entity(entity: CertificateEntity, certificate_type: CertificateType, title: &[u8]) -> Vec<u8> {
    encoded(&CertificateIdentification::ByEntity { entity, certificate_type, system_title: title })
}

/// One octet-string that a method gives back.
fn returned(reply: Result<Option<Value>, ActionResult>) -> Vec<u8> {
    octets(&reply.unwrap().unwrap()).to_vec()
}

/// Entity, type and subject of what attribute 6 lists.
fn listed(line: &mut Line) -> Vec<(Value, Value, Vec<u8>)> {
    let list = line.get(64, SETUP, 6);
    let row = |row: &Value| match elements(row) {
        [entity, kind, serial, issuer, subject, alternative] => {
            assert!(octets(serial).starts_with(&[2]) && !octets(issuer).is_empty() && octets(alternative).is_empty());
            (entity.clone(), kind.clone(), octets(subject).to_vec())
        }
        other => panic!("{other:?}"),
    };
    elements(&list).iter().map(row).collect()
}

/// The authority of a test, and a client that it knows.
struct Authority {
    root: Party,
    client: Party,
}

impl Authority {
    fn new(curve: Curve) -> Self {
        Self { root: Party::new("Test root", curve, 1), client: Party::new(CLIENT_NAME, curve, 2) }
    }

    fn anchor(&self) -> Vec<u8> {
        Spec::authority(&self.root, &self.root, None).signed(&self.root, &self.root)
    }

    fn client_certificate(&self) -> Vec<u8> {
        let spec = Spec::entity(&self.client, &self.root, DIGITAL_SIGNATURE);
        spec.with(|spec| spec.serial = vec![2, 2, 0x30, 1]).signed(&self.client, &self.root)
    }

    fn model(&self) -> String {
        format!("[public-key]\ntrust-anchors = [\"{}\"]\n", hex::encode(self.anchor()))
    }

    /// Checks the request with another parser, its signature, and issues what it asks for.
    fn certify(&self, request: &[u8], usage: &[u8], serial: u8) -> (PublicKey, Vec<u8>) {
        let curve = self.root.key.curve();
        let parsed = x509_cert::request::CertReq::from_der(request).unwrap();
        let info = parsed.info.to_der().unwrap();
        let point = parsed.info.public_key.subject_public_key.raw_bytes();
        let key = PublicKey::from_slice(curve, &point[1..]).unwrap();
        let signature = fixed_width(parsed.signature.raw_bytes(), curve.width());
        let signature = dlms::security::Signature::from_slice(curve, &signature).unwrap();
        RustCrypto::verify(&key, &[&info], &signature).unwrap();
        assert_eq!(parsed.info.subject.to_der().unwrap(), der::name(METER_NAME));
        (key, self.issue(METER_NAME, &key, usage, serial))
    }

    /// A certificate for a key whose private half is somebody else's.
    fn issue(&self, name: &str, key: &PublicKey, usage: &[u8], serial: u8) -> Vec<u8> {
        let spec = Spec::entity(&Party::new(name, key.curve(), 77), &self.root, usage);
        let spec = spec.with(|spec| spec.serial = vec![2, 2, 0x20, serial]);
        spec.signed_for(name, key, &self.root)
    }
}

/// R and S of a DER signature.
fn fixed_width(der: &[u8], width: usize) -> Vec<u8> {
    let pair = <Vec<x509_cert::der::asn1::Uint>>::from_der(der).unwrap();
    let padded = |number: &x509_cert::der::asn1::Uint| {
        let mut half = vec![0; width - number.as_bytes().len()];
        half.extend(number.as_bytes());
        half
    };
    pair.iter().flat_map(padded).collect()
}

const TYPES: [(CertificateType, &[u8]); 2] =
    [(CertificateType::DigitalSignature, DIGITAL_SIGNATURE), (CertificateType::KeyAgreement, KEY_AGREEMENT)];

/// What a head-end does with a new meter: pairs, requests, certificates, and then keys that nobody has ever sent.
fn commissioning(curve: Curve, suite: Suite) {
    let authority = Authority::new(curve);
    let folder = tempfile::tempdir().unwrap();
    let text = model(suite.id(), &authority.model());
    let server = Server::start(meter(&text, Some(folder.path())));
    let mut line = associated(&server, suite, 1);
    assert_eq!(line.get(64, SETUP, 3), Value::Enum(suite.id()));
    assert_eq!(listed(&mut line), [(Value::Enum(2), Value::Enum(3), der::name("Test root"))]);

    // Without a pair there is nothing to ask a certificate for, nor to agree on keys with.
    assert_eq!(call(&mut line, 5, &[0x16, 0]), Err(ActionResult::OtherReason));
    let mut meter_keys = Vec::new();
    for (serial, (kind, usage)) in (0..).zip(TYPES) {
        assert_eq!(call(&mut line, 4, &encoded(&kind)), Ok(None));
        let request = returned(call(&mut line, 5, &encoded(&kind)));
        let (key, certificate) = authority.certify(&request, usage, serial);
        import(&mut line, &certificate).unwrap();
        let title = METER.as_bytes();
        let exported = returned(call(&mut line, 7, &by_entity(CertificateEntity::Server, kind, title)));
        assert_eq!(exported, certificate);
        meter_keys.push(key);
    }
    import(&mut line, &authority.client_certificate()).unwrap();
    assert_eq!(
        listed(&mut line)[1..],
        [
            (Value::Enum(0), Value::Enum(0), der::name(METER_NAME)),
            (Value::Enum(0), Value::Enum(1), der::name(METER_NAME)),
            (Value::Enum(1), Value::Enum(0), der::name(CLIENT_NAME)),
        ]
    );

    // A power cut before the keys are agreed on: pairs and certificates are still there.
    line.release().unwrap();
    server.shutdown();
    let server = Server::start(meter(&text, Some(folder.path())));
    let mut line = associated(&server, suite, 1_000);
    assert_eq!(listed(&mut line).len(), 4);

    // Two keys at once; the answer comes under the old ones.
    let offers: Vec<EphemeralOffer> = [0, 2].map(|key_id| offer(suite, key_id, &authority.client)).into();
    let reply = call(&mut line, 3, &offered(&offers)).unwrap().unwrap();
    let agreed: Vec<Vec<u8>> = offers
        .into_iter()
        .zip(elements(&reply))
        .map(|(offer, answer)| {
            assert_eq!(elements(answer)[0], Value::Enum(offer.key_id()));
            let data = octets(&elements(answer)[1]);
            let key = offer.complete::<RustCrypto>(CLIENT, METER, &meter_keys[0], data).unwrap();
            key.as_bytes().to_vec()
        })
        .collect();
    let keys = || KeySet::new(suite, &agreed[0], &agreed[1]).unwrap();
    line.connection.replace_keys(keys(), Some(InvocationCounter::new(0, 100))).unwrap();
    line.get(3, IMPORT, 2);
    line.release().unwrap();
    server.shutdown();

    // For good. The old keys open nothing.
    let server = Server::start(meter(&text, Some(folder.path())));
    let port = server.ports(0).tcp.unwrap();
    assert!(tcp(port, client(suite, &encryption(suite.key_length()), CLIENT), 9_000).associate().is_err());
    let mut config = client(suite, &agreed[0], CLIENT);
    config.security.as_mut().unwrap().keys = keys();
    let mut line = tcp(port, config, 100).associate().unwrap();
    line.get(3, IMPORT, 2);
    line.release().unwrap();
}

fn offer(suite: Suite, key_id: u8, signer: &Party) -> EphemeralOffer {
    EphemeralOffer::new::<RustCrypto>(suite, key_id, &signer.key, &mut OsRandom).unwrap()
}

/// The parameter of `key_agreement`.
fn offered(offers: &[EphemeralOffer]) -> Vec<u8> {
    let pairs: Vec<_> = offers.iter().map(|offer| (offer.key_id(), offer.key_data().as_bytes())).collect();
    agreement(&pairs)
}

fn agreement(pairs: &[(u8, &[u8])]) -> Vec<u8> {
    let mut buffer = vec![0; 2_048];
    let mut writer = Writer::new(&mut buffer);
    writer.array(pairs.len()).unwrap();
    for (key_id, data) in pairs {
        writer.structure(2).unwrap();
        writer.enumerated(*key_id).unwrap();
        writer.octets(data).unwrap();
    }
    writer.written().to_vec()
}

#[test]
fn a_meter_of_suite_1_is_given_certificates_and_agrees_on_keys() {
    commissioning(Curve::P256, Suite::Suite1);
}

#[test]
fn a_meter_of_suite_2_is_given_certificates_and_agrees_on_keys() {
    commissioning(Curve::P384, Suite::Suite2);
}

/// A meter of suite 1 that has been given its signature certificate, and the client's.
fn commissioned(authority: &Authority, more: &str) -> (Server, Line) {
    let server = Server::start(meter(&model(1, &(authority.model() + more)), None));
    let mut line = associated(&server, Suite::Suite1, 1);
    call(&mut line, 4, &[0x16, 0]).unwrap();
    let request = returned(call(&mut line, 5, &[0x16, 0]));
    import(&mut line, &authority.certify(&request, DIGITAL_SIGNATURE, 9).1).unwrap();
    import(&mut line, &authority.client_certificate()).unwrap();
    (server, line)
}

#[test]
fn an_import_is_refused_unless_the_certificate_is_right_in_everything() {
    let authority = Authority::new(Curve::P256);
    let (_server, mut line) = commissioned(&authority, "");
    let before = listed(&mut line);
    let stranger = Party::new("Stranger", Curve::P256, 5);
    let other = Party::new("4D4D4D0000000009", Curve::P256, 6);
    let entity = |spec: Spec| spec.signed(&other, &authority.root);
    let right = || Spec::entity(&other, &authority.root, DIGITAL_SIGNATURE);
    let own = Party::new(METER_NAME, Curve::P256, 8);
    let p384 = Authority::new(Curve::P384);
    let mut forged = entity(right());
    *forged.last_mut().unwrap() ^= 1;
    let refused = [
        ("not a certificate", b"x".to_vec()),
        ("a signature that is wrong", forged),
        ("another authority", Spec::entity(&other, &stranger, DIGITAL_SIGNATURE).signed(&other, &stranger)),
        ("an authority that nobody knows", Spec::authority(&stranger, &stranger, None).signed(&stranger, &stranger)),
        ("the anchor itself", authority.anchor()),
        (
            "the meter's title and a foreign key",
            Spec::entity(&own, &authority.root, DIGITAL_SIGNATURE).signed(&own, &authority.root),
        ),
        ("not yet valid", entity(right().with(|spec| spec.validity = ["300101000000Z", "491231235959Z"]))),
        ("no title", entity(right().with(|spec| spec.subject = Some("Meter".to_owned())))),
        ("an entity that signs certificates", entity(Spec::entity(&other, &authority.root, CERTIFICATE_SIGN))),
        ("no keyUsage", entity(right().with(|spec| spec.replace(15, None)))),
        ("another curve", p384.client_certificate()),
    ];
    for (what, der) in &refused {
        assert_eq!(import(&mut line, der), Err(ActionResult::OtherReason), "{what}");
    }
    assert_eq!(listed(&mut line), before);
    for parameter in [&[0x16, 0][..], &[0x01, 0]] {
        assert_eq!(call(&mut line, 6, parameter), Err(ActionResult::TypeUnmatched));
    }
    // The right one takes the next place; once more, the same one.
    import(&mut line, &entity(right())).unwrap();
    import(&mut line, &entity(right())).unwrap();
    assert_eq!(listed(&mut line).len(), before.len() + 1);
    // Until there is no place left: nothing is thrown out for it.
    let more = |number: u64| {
        let party = Party::new(&format!("4D4D4D00000001{number:02}"), Curve::P256, 100 + number);
        Spec::entity(&party, &authority.root, DIGITAL_SIGNATURE).signed(&party, &authority.root)
    };
    let results: Vec<_> = (0..8).map(|number| import(&mut line, &more(number))).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 6, "{results:?}");
    assert_eq!(results.last(), Some(&Err(ActionResult::OtherReason)));
    assert_eq!(listed(&mut line).len(), 10);
}

#[test]
fn a_new_pair_replaces_the_old_one_with_its_certificate_only() {
    let authority = Authority::new(Curve::P256);
    let (_server, mut line) = commissioned(&authority, "");
    let own = by_entity(CertificateEntity::Server, CertificateType::DigitalSignature, METER.as_bytes());
    let first = returned(call(&mut line, 7, &own));
    // Of two pairs that wait the second counts.
    call(&mut line, 4, &[0x16, 0]).unwrap();
    let forgotten = returned(call(&mut line, 5, &[0x16, 0]));
    call(&mut line, 4, &[0x16, 0]).unwrap();
    let request = returned(call(&mut line, 5, &[0x16, 0]));
    assert_ne!(forgotten, request);
    let (_, stale) = authority.certify(&forgotten, DIGITAL_SIGNATURE, 1);
    assert_eq!(import(&mut line, &stale), Err(ActionResult::OtherReason));
    // A pair for signatures is not one for key agreement.
    let (_, mixed) = authority.certify(&request, KEY_AGREEMENT, 1);
    assert_eq!(import(&mut line, &mixed), Err(ActionResult::OtherReason));
    // The old one is still in use, and its certificate can be renewed.
    let old = *dlms::security::certificate::Certificate::parse(&first).unwrap().public_key();
    import(&mut line, &authority.issue(METER_NAME, &old, DIGITAL_SIGNATURE, 2)).unwrap();
    assert_eq!(agree(&mut line, &authority.client, &old), Ok(()));
    // With its certificate the new one is.
    let (new, certificate) = authority.certify(&request, DIGITAL_SIGNATURE, 3);
    import(&mut line, &certificate).unwrap();
    assert_eq!(returned(call(&mut line, 7, &own)), certificate);
    assert_eq!(agree(&mut line, &authority.client, &new), Ok(()));
    // And the old one is gone.
    assert_eq!(import(&mut line, &first), Err(ActionResult::OtherReason));
}

/// Agrees on the broadcast key, which changes nothing for this association.
fn agree(line: &mut Line, signer: &Party, meter: &PublicKey) -> Result<(), ActionResult> {
    let offer = offer(Suite::Suite1, 1, signer);
    let reply = call(line, 3, &agreement(&[(1, offer.key_data().as_bytes())]))?.unwrap();
    let data = octets(&elements(&elements(&reply)[0])[1]).to_vec();
    offer.complete::<RustCrypto>(CLIENT, METER, meter, &data).unwrap();
    // The association takes the new generation of keys with its next request.
    let keys = KeySet::new(Suite::Suite1, &encryption(16), &authentication(16)).unwrap();
    line.connection.replace_keys(keys, None).unwrap();
    Ok(())
}

#[test]
fn own_certificates_and_the_last_anchor_stay() {
    let authority = Authority::new(Curve::P256);
    let other = Party::new("Other root", Curve::P256, 30);
    let two = authority.model().replace(
        "\"]",
        &format!("\", \"{}\"]", hex::encode(Spec::authority(&other, &other, None).signed(&other, &other))),
    );
    let server = Server::start(meter(&model(1, &two), None));
    let mut line = associated(&server, Suite::Suite1, 1);
    import(&mut line, &authority.client_certificate()).unwrap();
    let client = by_entity(CertificateEntity::Client, CertificateType::DigitalSignature, CLIENT.as_bytes());
    let anchor =
        |name: &str| by_entity(CertificateEntity::CertificationAuthority, CertificateType::OtherType, name.as_bytes());
    assert_eq!(call(&mut line, 8, &client), Ok(None));
    for method in [7, 8] {
        assert_eq!(call(&mut line, method, &client), Err(ActionResult::OtherReason), "it is gone");
        assert_eq!(call(&mut line, method, &[0x16, 0]), Err(ActionResult::TypeUnmatched));
        let nobody = by_entity(CertificateEntity::Other(9), CertificateType::Tls, b"");
        assert_eq!(call(&mut line, method, &nobody), Err(ActionResult::OtherReason));
    }
    assert_eq!(call(&mut line, 8, &anchor("Other root")), Ok(None));
    assert_eq!(call(&mut line, 8, &anchor("Test root")), Err(ActionResult::OtherReason), "the last one");
    assert_eq!(listed(&mut line).len(), 1);
    line.release().unwrap();

    let (_server, mut line) = commissioned(&authority, "");
    let own = by_entity(CertificateEntity::Server, CertificateType::DigitalSignature, METER.as_bytes());
    assert_eq!(call(&mut line, 8, &own), Err(ActionResult::OtherReason));
    // By the numbers that the list gives: the client's.
    let list = line.get(64, SETUP, 6);
    let row = elements(elements(&list).last().unwrap());
    let serial = CertificateIdentification::BySerial { serial_number: octets(&row[2]), issuer: octets(&row[3]) };
    assert_eq!(returned(call(&mut line, 7, &encoded(&serial))), authority.client_certificate());
    assert_eq!(call(&mut line, 8, &encoded(&serial)), Ok(None));
}

#[test]
fn key_agreement_wants_the_signature_of_a_client_that_is_known_and_takes_all_keys_or_none() {
    let authority = Authority::new(Curve::P256);
    let (_server, mut line) = commissioned(&authority, "");
    let unicast = offer(Suite::Suite1, 0, &authority.client);
    let good = unicast.key_data().as_bytes();
    let stranger = Party::new(CLIENT_NAME, Curve::P256, 40);
    let foreign = offer(Suite::Suite1, 2, &stranger);
    let spoiled = |at: usize| {
        let mut data = good.to_vec();
        data[at] ^= 1;
        data
    };
    let cases: [(&str, Vec<u8>); 8] = [
        ("a stranger's signature", agreement(&[(2, foreign.key_data().as_bytes())])),
        ("one key right and one not", agreement(&[(0, good), (2, foreign.key_data().as_bytes())])),
        ("the signature of another key", agreement(&[(2, good)])),
        ("another point", agreement(&[(0, &spoiled(5))])),
        ("a wrong signature", agreement(&[(0, &spoiled(100))])),
        ("too short", agreement(&[(0, &good[..127])])),
        ("an unknown key", agreement(&[(9, good)])),
        ("one key twice", agreement(&[(0, good), (0, good)])),
    ];
    for (what, parameter) in &cases {
        assert_eq!(call(&mut line, 3, parameter), Err(ActionResult::OtherReason), "{what}");
    }
    for parameter in [&[0x01, 0][..], &[0x16, 0], &[0x01, 1, 0x02, 1, 0x16, 0]] {
        assert_eq!(call(&mut line, 3, parameter), Err(ActionResult::TypeUnmatched), "{parameter:02X?}");
    }
    // All keys are as they were: in this association and in the next.
    line.get(3, IMPORT, 2);
    // Who is removed is no longer heard.
    let client = by_entity(CertificateEntity::Client, CertificateType::DigitalSignature, CLIENT.as_bytes());
    call(&mut line, 8, &client).unwrap();
    assert_eq!(call(&mut line, 3, &agreement(&[(0, good)])), Err(ActionResult::OtherReason));
    line.get(3, IMPORT, 2);
    line.release().unwrap();
}

/// The key encrypting key (key_id 3) too: what is wrapped with it is taken from then on, and nothing else.
#[test]
fn an_agreed_key_encrypting_key_unwraps_the_keys_that_are_transferred() {
    let authority = Authority::new(Curve::P256);
    let (_server, mut line) = commissioned(&authority, "");
    let own = by_entity(CertificateEntity::Server, CertificateType::DigitalSignature, METER.as_bytes());
    let certificate = returned(call(&mut line, 7, &own));
    let meter = *dlms::security::certificate::Certificate::parse(&certificate).unwrap().public_key();
    let transfer = |kek: &[u8]| {
        let kek = KeyEncryptionKey::from_slice(Suite::Suite1, kek).unwrap();
        let mut parameter = KeyTransferParameter::new();
        parameter.add::<RustCrypto>(Suite::Suite1, &kek, KeyId::GlobalBroadcastEncryption, &[0x5A; 16]).unwrap();
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer);
        parameter.encode(&mut writer).unwrap();
        writer.written().to_vec()
    };
    let kept = |line: &mut Line| {
        // The association takes the new generation of keys with its next request.
        let keys = KeySet::new(Suite::Suite1, &encryption(16), &authentication(16)).unwrap();
        line.connection.replace_keys(keys, None).unwrap();
    };
    assert_eq!(call(&mut line, 2, &transfer(&Keys::DEMONSTRATION_MASTER)), Ok(None));
    kept(&mut line);

    let offer = offer(Suite::Suite1, 3, &authority.client);
    let reply = call(&mut line, 3, &agreement(&[(3, offer.key_data().as_bytes())])).unwrap().unwrap();
    let answer = &elements(&reply)[0];
    assert_eq!(elements(answer)[0], Value::Enum(3));
    let kek = offer.complete::<RustCrypto>(CLIENT, METER, &meter, octets(&elements(answer)[1])).unwrap();
    kept(&mut line);
    assert_eq!(call(&mut line, 2, &transfer(&Keys::DEMONSTRATION_MASTER)), Err(ActionResult::OtherReason));
    assert_eq!(call(&mut line, 2, &transfer(kek.as_bytes())), Ok(None));
    kept(&mut line);
    line.get(3, IMPORT, 2);
    line.release().unwrap();
}

/// An answer in several APDUs would change the keys between two of them, and its reader could not read on.
#[test]
fn key_agreement_wants_room_for_the_whole_answer() {
    let authority = Authority::new(Curve::P256);
    let (server, mut line) = commissioned(&authority, "");
    line.release_line().map(drop).unwrap();
    let mut config = client(Suite::Suite1, &encryption(16), CLIENT);
    config.max_pdu = 400;
    line = tcp(server.ports(0).tcp.unwrap(), config, 1_000).associate().unwrap();
    let offers = [0, 2].map(|key_id| offer(Suite::Suite1, key_id, &authority.client));
    assert_eq!(call(&mut line, 3, &offered(&offers)), Err(ActionResult::OtherReason));
    assert!(call(&mut line, 3, &offered(&offers[1..])).is_ok());
}

#[test]
fn types_that_no_pair_is_for_are_refused_and_suite_0_has_none() {
    let authority = Authority::new(Curve::P256);
    let (_server, mut line) = commissioned(&authority, "");
    for kind in [3, 9] {
        for method in [4, 5] {
            assert_eq!(call(&mut line, method, &[0x16, kind]), Err(ActionResult::OtherReason), "method {method}");
            assert_eq!(call(&mut line, method, &[0x01, 0]), Err(ActionResult::TypeUnmatched), "method {method}");
        }
    }
    call(&mut line, 4, &[0x16, 2]).unwrap();
    line.release().unwrap();

    let server = Server::start(meter(&model(0, ""), None));
    let mut line = associated(&server, Suite::Suite0, 1);
    let own = by_entity(CertificateEntity::Server, CertificateType::Tls, METER.as_bytes());
    for (method, parameter) in [
        (3, agreement(&[(0, &[0; 128])])),
        (4, vec![0x16, 0]),
        (5, vec![0x16, 0]),
        (6, vec![9, 0]),
        (7, own.clone()),
        (8, own),
    ] {
        assert_eq!(call(&mut line, method, &parameter), Err(ActionResult::OtherReason), "method {method}");
    }
    assert_eq!(listed(&mut line), []);
    line.release().unwrap();
}

#[test]
fn without_encryption_none_of_it_is_done() {
    let authority = Authority::new(Curve::P256);
    let lax =
        model(1, &authority.model()).replace("policy = \"authenticated-encrypted\"", "policy = \"authenticated\"");
    let server = Server::start(meter(&lax, None));
    let mut config = client(Suite::Suite1, &encryption(16), CLIENT);
    config.security.as_mut().unwrap().protection = Protection::AUTHENTICATED;
    let mut line = tcp(server.ports(0).tcp.unwrap(), config, 1).associate().unwrap();
    let own = by_entity(CertificateEntity::Server, CertificateType::Tls, METER.as_bytes());
    for (method, parameter) in [
        (3, agreement(&[(0, &[0; 128])])),
        (4, vec![0x16, 0]),
        (5, vec![0x16, 0]),
        (6, vec![9, 0]),
        (7, own.clone()),
        (8, own),
    ] {
        assert_eq!(call(&mut line, method, &parameter), Err(ActionResult::ReadWriteDenied), "method {method}");
    }
    line.release().unwrap();
}

/// What was believed because of an anchor goes with it.
#[test]
fn who_is_certified_by_a_removed_anchor_is_no_longer_heard() {
    let authority = Authority::new(Curve::P256);
    let other = Party::new("Other root", Curve::P256, 30);
    let anchor = Spec::authority(&other, &other, None).signed(&other, &other);
    let two = authority.model().replace("\"]", &format!("\", \"{}\"]", hex::encode(anchor)));
    let server = Server::start(meter(&model(1, &two), None));
    let mut line = associated(&server, Suite::Suite1, 1);
    call(&mut line, 4, &[0x16, 0]).unwrap();
    let request = returned(call(&mut line, 5, &[0x16, 0]));
    let (key, certificate) = authority.certify(&request, DIGITAL_SIGNATURE, 1);
    import(&mut line, &certificate).unwrap();
    let client = &authority.client;
    import(&mut line, &Spec::entity(client, &other, DIGITAL_SIGNATURE).signed(client, &other)).unwrap();
    assert_eq!(agree(&mut line, client, &key), Ok(()));
    let other = by_entity(CertificateEntity::CertificationAuthority, CertificateType::OtherType, b"Other root");
    assert_eq!(call(&mut line, 8, &other), Ok(None));
    assert_eq!(agree(&mut line, client, &key), Err(ActionResult::OtherReason));
}

/// What cannot be kept has not happened.
#[test]
fn a_memory_that_fails_leaves_everything_as_it_was() {
    let authority = Authority::new(Curve::P256);
    let folder = tempfile::tempdir().unwrap();
    let text = model(1, &authority.model());
    let server = Server::start(meter(&text, Some(folder.path())));
    let mut line = associated(&server, Suite::Suite1, 1);
    import(&mut line, &authority.client_certificate()).unwrap();
    let before = listed(&mut line);
    // Where its files would be there are folders now.
    let serial = server.fleet().devices()[0].meters()[0].serial.clone();
    for slot in 0..2 {
        let path = folder.path().join(format!("{serial}.certificates.{slot}"));
        if path.exists() {
            std::fs::rename(&path, folder.path().join("aside")).unwrap();
        }
        std::fs::create_dir(path).unwrap();
    }
    let other = Party::new("4D4D4D0000000009", Curve::P256, 6);
    let certificate = Spec::entity(&other, &authority.root, DIGITAL_SIGNATURE).signed(&other, &authority.root);
    assert_eq!(import(&mut line, &certificate), Err(ActionResult::OtherReason));
    assert_eq!(call(&mut line, 4, &[0x16, 0]), Err(ActionResult::OtherReason));
    let client = by_entity(CertificateEntity::Client, CertificateType::DigitalSignature, CLIENT.as_bytes());
    assert_eq!(call(&mut line, 8, &client), Err(ActionResult::OtherReason));
    assert_eq!(listed(&mut line), before);
    assert_eq!(call(&mut line, 5, &[0x16, 0]), Err(ActionResult::OtherReason), "there is no pair");
    line.release().unwrap();
}

/// Certificates are longer than the APDUs of small meters and clients: they come and go in blocks.
#[test]
fn certificates_travel_in_blocks() {
    let authority = Authority::new(Curve::P256);
    let text = model(1, &authority.model()).replace("max-pdu = 1024", "max-pdu = 200");
    let server = Server::start(meter(&text, None));
    let mut config = client(Suite::Suite1, &encryption(16), CLIENT);
    config.max_pdu = 200;
    let mut line = tcp(server.ports(0).tcp.unwrap(), config, 1).associate().unwrap();
    let certificate = authority.client_certificate();
    assert!(certificate.len() > 300);
    import(&mut line, &certificate).unwrap();
    let client = by_entity(CertificateEntity::Client, CertificateType::DigitalSignature, CLIENT.as_bytes());
    assert_eq!(returned(call(&mut line, 7, &client)), certificate);
    call(&mut line, 4, &[0x16, 0]).unwrap();
    let request = returned(call(&mut line, 5, &[0x16, 0]));
    import(&mut line, &authority.certify(&request, DIGITAL_SIGNATURE, 1).1).unwrap();
    let (list, blocks) = line.get_blocks(64, SETUP, 6, None).unwrap();
    assert_eq!((elements(&list.unwrap()).len(), blocks), (3, 2));
    line.release().unwrap();
}
