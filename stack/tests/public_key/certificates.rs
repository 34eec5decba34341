//! Certificates: the vectors, the profile, the chain, the store, requests.

use std::path::PathBuf;
use std::process::Command;

use dlms::id::SystemTitle;
use dlms::security::certificate::{
    Certificate, CertificateError, CertificateStore, Entity, FixedStore, Identification, Purpose, REQUEST_MAX, Stored,
    certification_request, export, find_by_entity, find_by_serial, import_anchor, import_certificate, remove,
    verify_chain,
};
use dlms::security::public_key::Curve;
use dlms::security::{Curves, RustCrypto, Suite};
use x509_cert::der::Decode as _;
use x509_cert::der::Encode as _;

use crate::der::{CERTIFICATE_SIGN, DIGITAL_SIGNATURE, KEY_AGREEMENT, Party, Spec, algorithm, extension, name, tlv};
use crate::vectors::{Ledger, Vector, named, section};

type Store = FixedStore<8, 768>;

/// 2030-01-01 00:00:00 UTC.
const NOW: u64 = 1_893_456_000;
const TITLE: SystemTitle = SystemTitle(*b"MMM\0\0\0\0\x01");
const TITLE_TEXT: &str = "4D4D4D0000000001";

fn purpose_of(vector: &Vector) -> Purpose {
    Purpose::from_value(vector.text("certificate_type").as_bytes()[0] - b'0').unwrap()
}

pub(crate) fn anchored() -> Store {
    let mut store = Store::new();
    import_anchor(&mut store, Suite::Suite1, &named("certificate", "cert-ca").octets("der")).unwrap();
    store
}

pub(crate) fn vectors<E: Curves>(ledger: &mut Ledger) {
    let store = anchored();
    for vector in section("certificate") {
        let der = vector.octets("der");
        if vector.id().starts_with("csr") {
            let mut out = [0; REQUEST_MAX];
            let title = SystemTitle::from_slice(&hex::decode(vector.text("subject_cn")).unwrap()).unwrap();
            let made = certification_request::<E>(&vector.private("private_key"), title, &mut out).unwrap();
            let info = |der: &[u8]| x509_cert::request::CertReq::from_der(der).unwrap();
            let (ours, given) = (info(&out[made]), info(&der));
            assert_eq!(ours.info.to_der().unwrap(), given.info.to_der().unwrap(), "{}", vector.id());
            assert_eq!(ours.algorithm, given.algorithm);
            ledger.insert(vector.id().to_owned());
            continue;
        }
        let certificate = Certificate::parse(&der).unwrap_or_else(|error| panic!("{}: {error}", vector.id()));
        assert_eq!(certificate.common_name(), Some(vector.text("subject_cn").as_bytes()));
        let serial = tlv(0x02, &[certificate.serial_number()]);
        assert_eq!(hex::encode_upper(serial), vector.text("serial_der_integer"));
        assert_eq!(hex::encode_upper(certificate.issuer()), vector.text("issuer_der_name"));
        assert_eq!(certificate.public_key(), &vector.public("public_key"));
        assert_eq!(E::public_key(&vector.private("private_key")).as_ref(), Ok(certificate.public_key()));
        let purpose = purpose_of(&vector);
        assert_eq!(certificate.purpose(), Some(purpose), "{}", vector.id());
        certificate.check(Suite::Suite1, purpose, None).unwrap_or_else(|error| panic!("{}: {error}", vector.id()));
        assert_eq!(certificate.check(Suite::Suite2, purpose, None), Err(CertificateError::Algorithm));
        for other in [Purpose::Signature, Purpose::KeyAgreement, Purpose::Tls, Purpose::Other] {
            assert_eq!(certificate.check(Suite::Suite1, other, None).is_ok(), other == purpose, "{}", vector.id());
        }
        verify_chain::<E>(&certificate, &store, Some(NOW)).unwrap_or_else(|error| panic!("{}: {error}", vector.id()));
        assert_eq!(verify_chain::<E>(&certificate, &Store::new(), Some(NOW)), Err(CertificateError::NoPath));
        for now in [0, 4_102_444_800] {
            assert_eq!(verify_chain::<E>(&certificate, &store, Some(now)), Err(CertificateError::Validity));
        }
        let entity = Entity::from_value(vector.text("entity").as_bytes()[0] - b'0').unwrap();
        assert_eq!(certificate.entity(TITLE), entity, "{}", vector.id());

        // What another parser reads.
        let other = x509_cert::Certificate::from_der(&der).unwrap();
        let fields = other.tbs_certificate();
        assert_eq!(fields.serial_number().as_bytes(), certificate.serial_number());
        assert_eq!(fields.subject().to_der().unwrap(), certificate.subject());
        assert_eq!(
            fields.subject_public_key_info().subject_public_key.raw_bytes()[1..],
            *certificate.public_key().as_bytes()
        );
        let validity = [fields.validity().not_before, fields.validity().not_after];
        let [from, to] = validity.map(|time| time.to_unix_duration().as_secs());
        assert_eq!((from, to), certificate.validity());
        ledger.insert(vector.id().to_owned());
    }
}
crate::vectors::on_every_engine!(every_certificate_is_read_checked_and_led_to_the_anchor, vectors);

#[test]
fn any_flipped_bit_of_a_certificate_breaks_it() {
    let store = anchored();
    let der = named("certificate", "cert-server-signature").octets("der");
    for octet in 0..der.len() {
        let mut forged = der.clone();
        forged[octet] ^= 1 << (octet % 8);
        let result = Certificate::parse(&forged).and_then(|certificate| {
            certificate.check(Suite::Suite1, Purpose::Signature, Some(TITLE))?;
            verify_chain::<RustCrypto>(&certificate, &store, Some(NOW))
        });
        assert!(result.is_err(), "octet {octet}");
    }
    for length in 0..der.len() {
        assert!(Certificate::parse(&der[..length]).is_err(), "{length} octets");
    }
    let mut longer = der.clone();
    longer.push(0);
    assert!(Certificate::parse(&longer).is_err());
}

fn hardware(serial: &[u8]) -> Vec<u8> {
    let module = tlv(0x30, &[&[0x06, 3, 0x2A, 3, 4], &tlv(0x04, &[serial])]);
    let other = tlv(0xA0, &[&[0x06, 8, 0x2B, 6, 1, 5, 5, 7, 8, 4], &tlv(0xA0, &[&module])]);
    extension(17, false, &tlv(0x30, &[&tlv(0x82, &[b"meter.example"]), &other]))
}

const SERVER_AUTH: &[u8] = &[0x30, 10, 0x06, 8, 0x2B, 6, 1, 5, 5, 7, 3, 1];

/// Every rule of the profile, broken one at a time.
#[test]
fn the_profile_is_kept_rule_by_rule() {
    use CertificateError as E;
    let (root, meter) = (Party::new("Root", Curve::P256, 1), Party::new(TITLE_TEXT, Curve::P256, 2));
    let check = |purpose, spec: Spec| {
        let der = spec.signed(&meter, &root);
        Certificate::parse(&der).and_then(|certificate| certificate.check(Suite::Suite1, purpose, Some(TITLE)))
    };
    let right = || Spec::entity(&meter, &root, DIGITAL_SIGNATURE);
    assert_eq!(check(Purpose::Signature, right()), Ok(()));
    assert_eq!(check(Purpose::KeyAgreement, Spec::entity(&meter, &root, KEY_AGREEMENT)), Ok(()));
    let tls = || {
        Spec::entity(&meter, &root, &[0x03, 2, 3, 0x88])
            .with(|s| s.replace(37, Some(extension(37, false, SERVER_AUTH))))
    };
    assert_eq!(check(Purpose::Tls, tls()), Ok(()));
    assert_eq!(check(Purpose::Other, Spec::authority(&meter, &root, Some(0))), Ok(()));

    let malformed = |what| E::Malformed { what };
    type Change = Box<dyn FnOnce(&mut Spec)>;
    let cases: Vec<(&str, CertificateError, Change)> = vec![
        ("version 1", E::Version, Box::new(|s| s.version = vec![])),
        ("version 2", E::Version, Box::new(|s| s.version = vec![0xA0, 3, 2, 1, 1])),
        ("serial 0", E::SerialNumber, Box::new(|s| s.serial = vec![2, 1, 0])),
        ("negative serial", E::SerialNumber, Box::new(|s| s.serial = vec![2, 1, 0x80])),
        ("serial of 21 octets", E::SerialNumber, Box::new(|s| s.serial = tlv(2, &[&[1; 21]]))),
        ("serial not minimal", E::SerialNumber, Box::new(|s| s.serial = vec![2, 2, 0, 1])),
        ("other algorithm inside", E::Algorithm, Box::new(|s| s.inner_algorithm = Some(algorithm(Curve::P384)))),
        (
            "parameters of the algorithm",
            E::Algorithm,
            Box::new(|s| {
                let mut with_null = algorithm(Curve::P256);
                with_null[1] += 2;
                with_null.extend([5, 0]);
                s.outer_algorithm = Some(with_null.clone());
                s.inner_algorithm = Some(with_null);
            }),
        ),
        ("compressed point", E::Algorithm, Box::new(|s| s.point_prefix = 2)),
        ("lower-case title", E::SystemTitle, Box::new(|s| s.subject = Some(TITLE_TEXT.to_lowercase()))),
        ("short title", E::SystemTitle, Box::new(|s| s.subject = Some("4D4D4D00000000".to_owned()))),
        ("another's title", E::SystemTitle, Box::new(|s| s.subject = Some("4D4D4D0000000002".to_owned()))),
        ("another title as hardware", E::SystemTitle, Box::new(|s| s.extensions.push(hardware(b"MMM\0\0\0\0\x02")))),
        ("hardware of 7 octets", E::SystemTitle, Box::new(|s| s.extensions.push(hardware(b"MMM\0\0\0\x01")))),
        ("no keyUsage", E::KeyUsage, Box::new(|s| s.replace(15, None))),
        (
            "keyUsage not critical",
            E::KeyUsage,
            Box::new(|s| s.replace(15, Some(extension(15, false, DIGITAL_SIGNATURE)))),
        ),
        ("two usages", E::KeyUsage, Box::new(|s| s.replace(15, Some(extension(15, true, &[3, 2, 3, 0x88]))))),
        (
            "an unrelated usage too",
            E::KeyUsage,
            Box::new(|s| s.replace(15, Some(extension(15, true, &[3, 2, 5, 0xA0])))),
        ),
        ("another usage", E::KeyUsage, Box::new(|s| s.replace(15, Some(extension(15, true, KEY_AGREEMENT))))),
        (
            "may sign certificates",
            E::KeyUsage,
            Box::new(|s| s.replace(15, Some(extension(15, true, CERTIFICATE_SIGN)))),
        ),
        ("extendedKeyUsage", E::ExtendedKeyUsage, Box::new(|s| s.extensions.push(extension(37, false, SERVER_AUTH)))),
        (
            "an entity as authority",
            E::BasicConstraints,
            Box::new(|s| s.extensions.push(extension(19, true, &[0x30, 3, 1, 1, 0xFF]))),
        ),
        ("no authority key identifier", E::KeyIdentifier, Box::new(|s| s.replace(35, None))),
        (
            "unknown critical extension",
            E::CriticalExtension,
            Box::new(|s| s.extensions.push(extension(99, true, &[5, 0]))),
        ),
        (
            "extension twice",
            E::DuplicateExtension,
            Box::new(|s| s.extensions.push(extension(15, true, DIGITAL_SIGNATURE))),
        ),
        (
            "DEFAULT written out as BER",
            malformed("extension"),
            Box::new(|s| s.extensions.push(tlv(0x30, &[&[6, 3, 0x55, 0x1D, 99], &[1, 1, 0x01], &tlv(4, &[&[5, 0]])]))),
        ),
    ];
    for (what, expected, change) in cases {
        assert_eq!(check(Purpose::Signature, right().with(change)), Err(expected), "{what}");
    }
    let unknown = right().with(|s| s.extensions.push(extension(99, false, &[5, 0])));
    assert_eq!(check(Purpose::Signature, unknown), Ok(()), "an unknown extension that is not critical");
    let both = right().with(|s| s.extensions.push(hardware(TITLE.as_bytes())));
    assert_eq!(check(Purpose::Signature, both), Ok(()), "both forms of the title");
    let only = right().with(|s| {
        s.subject = Some("Meter".to_owned());
        s.extensions.push(hardware(TITLE.as_bytes()));
    });
    assert_eq!(check(Purpose::Signature, only), Ok(()), "the title as hardware serial number alone");
    assert_eq!(check(Purpose::Tls, right()), Err(E::ExtendedKeyUsage));
    for (what, expected, last, by) in [
        ("no constraints", E::BasicConstraints, 19, None),
        ("constraints not critical", E::BasicConstraints, 19, Some(extension(19, false, &[0x30, 3, 1, 1, 0xFF]))),
        ("no authority", E::BasicConstraints, 19, Some(extension(19, true, &[0x30, 0]))),
        ("no subject key identifier", E::KeyIdentifier, 14, None),
    ] {
        let spec = Spec::authority(&meter, &root, None).with(|s| s.replace(last, by));
        assert_eq!(check(Purpose::Other, spec), Err(expected), "{what}");
    }
}

/// A root, authorities below it, and a meter.
struct Pki {
    parties: Vec<Party>,
    certificates: Vec<Vec<u8>>,
}

impl Pki {
    /// `authorities` certificates from the root down, and the meter's at the end.
    fn new(curve: Curve, authorities: u64) -> Self {
        let mut parties: Vec<Party> =
            (0..authorities).map(|number| Party::new(&format!("Authority {number}"), curve, 100 + number)).collect();
        parties.push(Party::new(TITLE_TEXT, curve, 200));
        let mut certificates = vec![Spec::authority(&parties[0], &parties[0], None).signed(&parties[0], &parties[0])];
        for pair in parties.windows(2) {
            let spec = if pair[1].name == TITLE_TEXT {
                Spec::entity(&pair[1], &pair[0], DIGITAL_SIGNATURE)
            } else {
                Spec::authority(&pair[1], &pair[0], None)
            };
            certificates.push(spec.signed(&pair[1], &pair[0]));
        }
        Self { parties, certificates }
    }

    fn store(&self, suite: Suite) -> Store {
        let mut store = Store::new();
        import_anchor(&mut store, suite, &self.certificates[0]).unwrap();
        for der in &self.certificates[1..self.certificates.len() - 1] {
            put(&mut store, der);
        }
        store
    }

    fn verify(&self, store: &Store) -> Result<(), CertificateError> {
        verify_chain::<RustCrypto>(&Certificate::parse(self.certificates.last().unwrap())?, store, Some(NOW))
    }
}

/// Past all checks, as somebody would who can write into the store.
fn put(store: &mut Store, der: &[u8]) {
    let stored = Stored { entity: Entity::Authority, purpose: Purpose::Other, anchor: false, der };
    store.put(None, stored).unwrap();
}

#[test]
fn a_path_has_at_most_four_certificates_and_only_authorities_on_it() {
    for (curve, suite) in [(Curve::P256, Suite::Suite1), (Curve::P384, Suite::Suite2)] {
        for authorities in 1..=4 {
            let pki = Pki::new(curve, authorities);
            let expected = if authorities <= 3 { Ok(()) } else { Err(CertificateError::NoPath) };
            assert_eq!(pki.verify(&pki.store(suite)), expected, "{authorities} authorities");
        }
    }
    let pki = Pki::new(Curve::P256, 2);
    let [root, sub, meter] = &pki.parties[..] else { panic!() };
    let with = |spec: Spec| {
        let mut store = Store::new();
        import_anchor(&mut store, Suite::Suite1, &pki.certificates[0]).unwrap();
        put(&mut store, &spec.signed(sub, root));
        pki.verify(&store)
    };
    let right = || Spec::authority(sub, root, Some(0));
    assert_eq!(with(right()), Ok(()));
    assert_eq!(with(Spec::entity(sub, root, DIGITAL_SIGNATURE)), Err(CertificateError::BasicConstraints));
    let no_usage = right().with(|s| s.replace(15, Some(extension(15, true, DIGITAL_SIGNATURE))));
    assert_eq!(with(no_usage), Err(CertificateError::KeyUsage));
    for validity in [["200101000000Z", "291231235959Z"], ["300101000001Z", "491231235959Z"]] {
        assert_eq!(with(right().with(|s| s.validity = validity)), Err(CertificateError::Validity));
    }
    let for_ever = right().with(|s| s.validity = ["240101000000Z", "99991231235959Z"]);
    assert_eq!(with(for_ever), Ok(()));
    let other_key = right().with(|s| s.replace(14, Some(extension(14, false, &tlv(4, &[b"other key"])))));
    assert_eq!(with(other_key), Err(CertificateError::NoPath));
    // Claimed by a stranger with the root's name and key identifier.
    let stranger = Party { name: root.name.clone(), id: root.id.clone(), ..Party::new("", Curve::P256, 300) };
    let mut store = Store::new();
    import_anchor(&mut store, Suite::Suite1, &pki.certificates[0]).unwrap();
    put(&mut store, &right().signed(sub, &stranger));
    assert_eq!(pki.verify(&store), Err(CertificateError::Signature));

    // A root that allows no authority below it, with one below it.
    let mut store = Store::new();
    import_anchor(&mut store, Suite::Suite1, &Spec::authority(root, root, Some(0)).signed(root, root)).unwrap();
    put(&mut store, &pki.certificates[1]);
    assert_eq!(pki.verify(&store), Err(CertificateError::BasicConstraints));
    // A meter that signs a certificate.
    let other = Party::new("4D4D4D0000000002", Curve::P256, 400);
    let forged = Spec::entity(&other, meter, DIGITAL_SIGNATURE).signed(&other, meter);
    let mut store = pki.store(Suite::Suite1);
    put(&mut store, &pki.certificates[2]);
    let result = verify_chain::<RustCrypto>(&Certificate::parse(&forged).unwrap(), &store, Some(NOW));
    assert_eq!(result, Err(CertificateError::BasicConstraints));
}

/// Two authorities that certify each other, and eight of one name, end the search all the same.
#[test]
fn a_search_in_circles_ends() {
    let [one, two, meter] =
        [("One", 1), ("Two", 2), (TITLE_TEXT, 3)].map(|(name, seed)| Party::new(name, Curve::P256, seed));
    let mut store = Store::new();
    put(&mut store, &Spec::authority(&one, &two, None).signed(&one, &two));
    put(&mut store, &Spec::authority(&two, &one, None).signed(&two, &one));
    let leaf = Spec::entity(&meter, &one, DIGITAL_SIGNATURE).signed(&meter, &one);
    let leaf = Certificate::parse(&leaf).unwrap();
    assert_eq!(verify_chain::<RustCrypto>(&leaf, &store, None), Err(CertificateError::NoPath));

    let mut store = Store::new();
    for serial in 1..=8 {
        let spec = Spec::authority(&one, &one, None).with(|s| s.serial = vec![2, 1, serial]);
        put(&mut store, &spec.signed(&one, &one));
    }
    assert_eq!(verify_chain::<RustCrypto>(&leaf, &store, None), Err(CertificateError::NoPath));
}

#[test]
fn certificates_are_found_by_entity_and_by_every_form_of_the_serial_number() {
    let mut store = anchored();
    let own = named("certificate", "cert-server-signature").octets("der");
    let import = |store: &mut Store, der: &[u8]| {
        import_certificate::<RustCrypto>(store, Suite::Suite1, TITLE, |_, _| true, Some(NOW), der)
    };
    for id in ["cert-client-signature", "cert-server-signature", "cert-server-key-agreement", "cert-server-tls"] {
        import(&mut store, &named("certificate", id).octets("der")).unwrap();
    }
    assert_eq!((0..8).filter(|slot| store.get(*slot).is_some()).count(), 5);
    // The same once more takes the same place.
    assert_eq!(import(&mut store, &own), Ok((Entity::Server, Purpose::Signature)));
    assert_eq!((0..8).filter(|slot| store.get(*slot).is_some()).count(), 5);

    let slot = find_by_entity(&store, Entity::Server, Purpose::Signature, TITLE.as_bytes()).unwrap();
    assert_eq!(store.get(slot).unwrap().der, own);
    assert_eq!(find_by_entity(&store, Entity::Client, Purpose::Signature, TITLE.as_bytes()), None);
    assert!(find_by_entity(&store, Entity::Authority, Purpose::Other, b"DLMS Test Sub-CA").is_some());
    let issuer = name("DLMS Test Sub-CA");
    for serial in [&[2, 2, 0x10, 2][..], &[0x10, 2], b"4098", b"1002", b"00001002"] {
        for issuer in [&issuer[..], b"DLMS Test Sub-CA", b"CN=DLMS Test Sub-CA"] {
            assert_eq!(find_by_serial(&store, serial, issuer), Some(slot), "{serial:02X?}");
        }
    }
    for serial in [&[2, 2, 0x10, 9][..], b"", b"-4098", b"+4098", &[2, 2, 0x10]] {
        assert_eq!(find_by_serial(&store, serial, &issuer), None, "{serial:02X?}");
    }
    assert_eq!(find_by_serial(&store, &[0x10, 2], b"Another"), None);

    let by_entity = |entity, purpose, title| Identification::Entity { entity, purpose, title };
    let own_id = by_entity(Entity::Server, Purpose::Signature, TITLE.as_bytes());
    assert_eq!(export(&store, &own_id), Ok(&own[..]));
    assert_eq!(remove(&mut store, &own_id), Err(CertificateError::NotRemovable));
    let anchor = Identification::Serial { serial: &[1], issuer: &issuer };
    assert_eq!(remove(&mut store, &anchor), Err(CertificateError::NotRemovable));
    let client = by_entity(Entity::Client, Purpose::Signature, b"MMM\0\0\xBC\x61\x4E");
    assert_eq!(remove(&mut store, &client), Ok(()));
    assert_eq!(remove(&mut store, &client), Err(CertificateError::NotFound));
    assert_eq!(export(&store, &client), Err(CertificateError::NotFound));
    // Of two anchors one may go.
    let other = Party::new("Other root", Curve::P256, 9);
    import_anchor(&mut store, Suite::Suite1, &Spec::authority(&other, &other, None).signed(&other, &other)).unwrap();
    assert_eq!(remove(&mut store, &anchor), Ok(()));
}

#[test]
fn an_import_that_fails_changes_nothing() {
    let own_key =
        *Certificate::parse(&named("certificate", "cert-server-signature").octets("der")).unwrap().public_key();
    let import = |store: &mut Store, der: &[u8]| {
        let own = |purpose, key: &_| purpose == Purpose::Signature && *key == own_key;
        import_certificate::<RustCrypto>(store, Suite::Suite1, TITLE, own, Some(NOW), der)
    };
    let mut store = anchored();
    let der = |id| named("certificate", id).octets("der");
    assert_eq!(import(&mut store, &der("cert-server-signature")), Ok((Entity::Server, Purpose::Signature)));
    assert_eq!(import(&mut store, &der("cert-server-key-agreement")), Err(CertificateError::ForeignKey));
    assert_eq!(import(&mut store, &der("cert-ca")), Err(CertificateError::NotRemovable));
    let stranger = Party::new("Stranger", Curve::P256, 5);
    let meter = Party::new("4D4D4D0000000009", Curve::P256, 6);
    let forged = Spec::entity(&meter, &stranger, DIGITAL_SIGNATURE).signed(&meter, &stranger);
    assert_eq!(import(&mut store, &forged), Err(CertificateError::NoPath));
    // Nor does a self-signed authority get in.
    let root = Spec::authority(&stranger, &stranger, None).signed(&stranger, &stranger);
    assert_eq!(import(&mut store, &root), Err(CertificateError::NoPath));
    assert_eq!((0..8).filter(|slot| store.get(*slot).is_some()).count(), 2);
    let mut small = FixedStore::<1, 768>::new();
    import_anchor(&mut small, Suite::Suite1, &der("cert-ca")).unwrap();
    let full = import_certificate::<RustCrypto>(
        &mut small,
        Suite::Suite1,
        TITLE,
        |_, _| true,
        None,
        &der("cert-client-signature"),
    );
    assert_eq!(full, Err(CertificateError::Full));
    assert_eq!(
        import_anchor(&mut FixedStore::<1, 100>::new(), Suite::Suite1, &der("cert-ca")),
        Err(CertificateError::Full)
    );
}

/// `openssl` of the machine, if there is one.
fn openssl(arguments: &[&str], files: &[(&str, &[u8])]) -> Option<String> {
    let folder =
        std::env::temp_dir().join(format!("dlms-certificates-{}-{}", std::process::id(), arguments.join("").len()));
    std::fs::create_dir_all(&folder).unwrap();
    for (file, octets) in files {
        std::fs::write(folder.join(file), octets).unwrap();
    }
    let output = Command::new("openssl").args(arguments).current_dir(&folder).output();
    let _: Result<(), _> = std::fs::remove_dir_all::<PathBuf>(folder);
    let output = output.ok()?;
    Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// What is written here is read and verified by a stack that was not: requests, and the certificates of these tests.
#[test]
fn another_stack_verifies_requests_and_chains() {
    for curve in [Curve::P256, Curve::P384] {
        let party = Party::new(TITLE_TEXT, curve, 1);
        let mut out = [0; REQUEST_MAX];
        let place = certification_request::<RustCrypto>(&party.key, TITLE, &mut out).unwrap();
        let request = &out[place];
        let parsed = x509_cert::request::CertReq::from_der(request).unwrap();
        assert_eq!(parsed.info.subject.to_string(), format!("CN={TITLE_TEXT}"));
        assert_eq!(parsed.to_der().unwrap(), request);
        let arguments = ["req", "-inform", "DER", "-in", "r", "-verify", "-noout", "-subject"];
        let Some(text) = openssl(&arguments, &[("r", request)]) else {
            eprintln!("no openssl here: only x509-cert has read the requests");
            return;
        };
        assert!(text.contains("verify OK") && text.contains(TITLE_TEXT), "{text}");

        let pki = Pki::new(curve, 2);
        let pem = pki.certificates.iter().map(|der| pem(der)).collect::<Vec<_>>();
        let files = [("root", pem[0].as_bytes()), ("sub", pem[1].as_bytes()), ("leaf", pem[2].as_bytes())];
        let arguments = ["verify", "-x509_strict", "-CAfile", "root", "-untrusted", "sub", "leaf"];
        let text = openssl(&arguments, &files).unwrap();
        assert!(text.contains("leaf: OK"), "{text}");
    }
}

fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let bits = three.iter().chain(&[0, 0]).take(3).fold(0, |bits: u32, octet| (bits << 8) | u32::from(*octet));
            for position in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * position)) as usize & 63];
                text.push(if position <= three.len() { char::from(digit) } else { '=' });
            }
        }
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}
