//! HLS 7, general-ciphering with every kind of key, general-signing, and pushes under them, with certificates that the
//! meter has.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use dlms::acse::Mechanism;
use dlms::apdu::Apdu;
use dlms::association::client::General;
use dlms::association::push::{PushError, Receiver, Sender};
use dlms::id::ClientSap;
use dlms::security::general::{Cipher, KeyChoice, Layers};
use dlms::security::{Context, Envelope, SecurityError};

use super::*;

const AE: Protection = Protection::AUTHENTICATED_ENCRYPTED;
/// The signed client of the test's model, and the same without ciphering.
const SIGNER: ClientSap = ClientSap(3);
const PLAIN_SIGNER: ClientSap = ClientSap(4);
const PUSH: &str = "0.5.25.9.0.255";

/// An authority, a client and the meter with a pair for each purpose.
struct World {
    suite: Suite,
    root: Party,
    client: [Party; 2],
    meter: [Party; 2],
}

impl World {
    fn new(suite: Suite) -> Self {
        let curve = suite.curve().unwrap();
        let pair = |name: &str, seed| [Party::new(name, curve, seed), Party::new(name, curve, seed + 1)];
        let root = Party::new("Test root", curve, 100);
        Self { suite, root, client: pair(CLIENT_NAME, 101), meter: pair(METER_NAME, 103) }
    }

    fn certificate(&self, subject: &Party, usage: &[u8]) -> Vec<u8> {
        Spec::entity(subject, &self.root, usage).signed(subject, &self.root)
    }

    /// The built-in model with everybody's certificates and two clients that prove themselves by HLS 7.
    fn model(&self) -> String {
        let usages = [DIGITAL_SIGNATURE, KEY_AGREEMENT];
        let parties = self.client.iter().chain(&self.meter).zip(usages.into_iter().cycle());
        let quoted = |octets: &[u8]| format!("\"{}\"", hex::encode(octets));
        let certificates: Vec<_> = parties.map(|(party, usage)| quoted(&self.certificate(party, usage))).collect();
        let private: Vec<_> = self.meter.iter().map(|party| quoted(party.key.as_bytes())).collect();
        let anchor = Spec::authority(&self.root, &self.root, None).signed(&self.root, &self.root);
        let public_key = format!(
            "[public-key]\ntrust-anchors = [{}]\ncertificates = [{}]\nprivate-keys = [{}]\n",
            quoted(&anchor),
            certificates.join(", "),
            private.join(", ")
        );
        let association = |name: &str, client: ClientSap, setup: &str| {
            format!(
                "[[association]]\nname = \"{name}\"\nclient = {}\nmechanism = \"hls-ecdsa\"\n{setup}conformance = \
                 [\"general-protection\", \"get\", \"action\", \"block-transfer-with-get-or-read\"]\nmax-pdu = 1024\n",
                client.0
            )
        };
        let associations =
            association("signer", SIGNER, "security-setup = 0\n") + &association("plain-signer", PLAIN_SIGNER, "");
        model(self.suite.id(), &(public_key + &associations))
            .replace("[access.push]", "[access.push-test]\nmanagement = \"all:RWae m1,m2:Xae\"\n\n[access.push]")
            .replace("[access.everyone]", "[access.everyone]\nsigner = \"2:R\"\nplain-signer = \"2:R\"")
    }

    /// Keys of the client, as the authority's certificates say.
    fn general(&self, next_transaction: u64) -> General {
        let public = |party: &Party| Some(RustCrypto::public_key(&party.key).unwrap());
        let private = |party: &Party| {
            Some(dlms::security::PrivateKey::from_slice(party.key.curve(), party.key.as_bytes()).unwrap())
        };
        let mut general = General::new(next_transaction);
        let kek: Vec<u8> = (0xE0..=0xFF).take(self.suite.key_length()).collect();
        general.kek = Some(KeyEncryptionKey::from_slice(self.suite, &kek).unwrap());
        (general.signing, general.agreement) = (private(&self.client[0]), private(&self.client[1]));
        (general.peer_signature, general.peer_agreement) = (public(&self.meter[0]), public(&self.meter[1]));
        general
    }

    fn config(&self) -> Config {
        client(self.suite, &encryption(self.suite.key_length()), CLIENT)
    }

    /// A client with HLS 7, in a context with or without ciphering.
    fn signer(&self, ciphered: bool) -> Config {
        let sap = if ciphered { SIGNER } else { PLAIN_SIGNER };
        let mut config = Config { client: sap, mechanism: Mechanism::Ecdsa, challenge_length: 32, ..self.config() };
        if !ciphered {
            (config.security, config.system_title) = (None, Some(CLIENT));
        }
        config
    }

    fn server(&self, state: Option<&Path>) -> Server {
        Server::start(meter(&self.model(), state))
    }
}

fn line(server: &Server, config: Config, counter: u32, general: General) -> Line {
    tcp(server.ports(0).tcp.unwrap(), config, counter).with_general(general)
}

#[test]
fn clients_prove_themselves_by_signatures_that_the_meters_certificates_verify() {
    for suite in [Suite::Suite1, Suite::Suite2] {
        let world = World::new(suite);
        let server = world.server(None);
        for (counter, ciphered) in [(1, true), (1_000, false)] {
            let mut line = line(&server, world.signer(ciphered), counter, world.general(1)).associate().unwrap();
            assert!(!octets(&line.get(1, "0.0.42.0.0.255", 2)).is_empty());
            line.release().unwrap();

            // Another private key; a title without a certificate.
            let mut wrong = world.general(1);
            wrong.signing = Some(Party::new("", suite.curve().unwrap(), 55).key);
            assert!(self::line(&server, world.signer(ciphered), counter + 100, wrong).associate().is_err());
            let mut stranger = world.signer(ciphered);
            let title = SystemTitle(*b"TSTCLNT9");
            match &mut stranger.security {
                Some(security) => security.system_title = title,
                None => stranger.system_title = Some(title),
            }
            assert!(self::line(&server, stranger, counter + 200, world.general(1)).associate().is_err());
        }
        server.shutdown();
    }
}

#[test]
fn a_client_is_heard_as_long_as_its_certificate_is_there_and_valid() {
    let world = World::new(Suite::Suite1);
    let right = hex::encode(world.certificate(&world.client[0], DIGITAL_SIGNATURE));
    let spec = Spec::entity(&world.client[0], &world.root, DIGITAL_SIGNATURE);
    let brief = spec.with(|spec| spec.validity = ["240101000000Z", "260401000000Z"]);
    let text = world.model().replace(&right, &hex::encode(brief.signed(&world.client[0], &world.root)));
    let server = Server::start(meter(&text, None));
    let heard = |counter| line(&server, world.signer(true), counter, world.general(1)).associate().is_ok();
    assert!(heard(1));
    server.jump("2026-04-01T03:00:00+02:00");
    assert!(!heard(1_000), "it has expired");

    let server = world.server(None);
    let heard = |counter| line(&server, world.signer(true), counter, world.general(1)).associate().is_ok();
    assert!(heard(1));
    let mut management = associated(&server, Suite::Suite1, 1_000);
    let own = by_entity(CertificateEntity::Client, CertificateType::DigitalSignature, CLIENT.as_bytes());
    call(&mut management, 8, &own).unwrap();
    assert!(!heard(2_000), "it is removed");
    management = associated(&server, Suite::Suite1, 2_500);
    import(&mut management, &world.certificate(&world.client[0], DIGITAL_SIGNATURE)).unwrap();
    assert!(heard(3_000), "it is back");

    // An association for somebody else.
    let bound = world.model().replace("client = 3\n", "client = 3\nclient-title = \"5453544C4F4E4731\"\n");
    let server = Server::start(meter(&bound, None));
    assert!(line(&server, world.signer(true), 1, world.general(1)).associate().is_err());
}

const KEYS: [KeyChoice; 4] = [KeyChoice::Unicast, KeyChoice::Wrapped, KeyChoice::OnePass, KeyChoice::StaticUnified];

#[test]
fn requests_in_general_ciphering_and_signed_are_answered_alike_and_once() {
    for suite in [Suite::Suite1, Suite::Suite2] {
        let world = World::new(suite);
        let server = world.server(None);
        let mut counter = 1;
        let mut transaction = 1_000;
        // With the wider curve each takes its time.
        let choices = if suite == Suite::Suite1 { &KEYS[..] } else { &KEYS[2..3] };
        for choice in choices.iter().copied() {
            for signed in [false, true] {
                let what = format!("{suite:?} {choice:?}, signed: {signed}");
                let config = || {
                    let mut config = world.config();
                    config.security.as_mut().unwrap().protection = if signed { AE.and_signed() } else { AE };
                    config
                };
                let general = |next| General { cipher: Some(choice), ..world.general(next) };
                let mut opened = line(&server, config(), counter, general(transaction)).associate().unwrap();
                assert_eq!(opened.get(64, SETUP, 3), Value::Enum(suite.id()), "{what}");
                opened.get(3, IMPORT, 2);
                let next = opened.connection.next_transaction().unwrap();
                opened.release().unwrap();

                // The same ids once more, with other counters: where nothing else keeps a message fresh, it is a replay.
                counter += 1_000;
                let again = line(&server, config(), counter, general(transaction)).associate();
                let read = again.and_then(|mut line| line.get_blocks(64, SETUP, 3, None).map(drop));
                assert_eq!(read.is_ok(), choice == KeyChoice::Unicast, "{what}");
                (counter, transaction) = (counter + 1_000, next);

                // Another key pair of key agreement, or of signature: nobody's.
                if choice == KeyChoice::StaticUnified || signed {
                    let mut wrong = general(transaction + 100);
                    let other = Party::new("", suite.curve().unwrap(), 77).key;
                    let place = if signed { &mut wrong.signing } else { &mut wrong.agreement };
                    *place = Some(other);
                    let refused = line(&server, config(), counter, wrong).associate();
                    let read = refused.and_then(|mut line| line.get_blocks(64, SETUP, 3, None).map(drop));
                    assert!(read.is_err(), "{what}");
                    (counter, transaction) = (counter + 1_000, transaction + 200);
                }
            }
        }
        server.shutdown();
    }
}

/// Ids that were taken stay taken when the power fails, and those that the meter gives go on.
#[test]
fn transactions_outlive_a_restart() {
    let world = World::new(Suite::Suite1);
    let folder = tempfile::tempdir().unwrap();
    let read = |server: &Server, counter, transaction| {
        let general = General { cipher: Some(KeyChoice::Wrapped), ..world.general(transaction) };
        let opened = line(server, world.config(), counter, general).associate();
        opened.and_then(|mut line| line.get_blocks(64, SETUP, 3, None).map(|_| line.connection.next_transaction()))
    };
    let server = world.server(Some(folder.path()));
    let next = read(&server, 1, 500).unwrap().unwrap();
    server.shutdown();
    let server = world.server(Some(folder.path()));
    assert!(read(&server, 1_000, 500).is_err(), "a replay of what the meter took before");
    assert!(read(&server, 2_000, next).is_ok());
    server.shutdown();

    // A memory of which nothing can be read: the meter stays out of order instead of beginning anew.
    for slot in 0..2 {
        let mut files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let path = files.find(|path| path.to_string_lossy().ends_with(&format!(".transactions.{slot}"))).unwrap();
        std::fs::write(path, b"broken").unwrap();
    }
    assert!(Server::try_start(meter(&world.model(), Some(folder.path()))).is_err());
}

fn protection(layers: &[(u8, &str)]) -> String {
    let layer = |(kind, key): &(u8, &str)| {
        format!(
            "structure(enum({kind}), structure(octet-string(), octet-string(), octet-string({}), octet-string(), \
             structure({key})))",
            hex::encode(CLIENT.as_bytes())
        )
    };
    format!("array({})", layers.iter().map(layer).collect::<Vec<_>>().join(", "))
}

/// The model with one more push setup, which asks for a confirmation.
fn pushing(world: &World, parameters: &str, to: &str) -> Server {
    let object = format!(
        "\n[[object]]\nobis = \"0.5.25.9.0\"\nclass = 40\nversion = 2\naccess = \"push-test\"\n[object.attributes]\n\
         push_object_list = \"array(structure(long-unsigned(1), logical-name(0.0.42.0.0), integer(2), long-unsigned(0), \
         structure(enum(0), null-data), array()))\"\n\
         send_destination_and_method = \"structure(enum(0), octet-string(), enum(0))\"\n\
         communication_window = \"array()\"\nrandomisation_start_interval = 0\nnumber_of_retries = 0\n\
         repetition_delay = \"structure(long-unsigned(60), long-unsigned(100), long-unsigned(60))\"\n\
         port_reference = \"logical-name(0.0.25.0.0)\"\npush_client_SAP = 1\n\
         push_protection_parameters = \"{parameters}\"\npush_operation_method = 2\n\
         confirmation_parameters = \"structure(date-time(FFFFFFFFFFFFFFFFFF8000FF), double-long-unsigned(0))\"\n"
    );
    let quiet = world.model().replace("at-start = true, ", "");
    let config = FleetConfig { push_to: Some(to.to_owned()), speed: 1.0, ..meter(&(quiet + &object), None) };
    Server::start(config)
}

/// Layers from the innermost, and what they come to.
type Case<'a> = (Vec<(u8, &'a str)>, Option<Cipher>, Protection);

#[test]
fn pushes_go_out_as_their_protection_parameters_say_and_are_confirmed() {
    let identified = "enum(0), enum(0)";
    let wrapped = "enum(1), structure(enum(0), octet-string())";
    let one_pass = "enum(2), structure(octet-string(01), octet-string())";
    let static_unified = "enum(2), structure(octet-string(02), octet-string())";
    let sign = (3, identified);
    let general = |choice| Some(Cipher::General(choice));
    let envelope = Some(Cipher::Envelope(Envelope::GeneralGlobal));
    for suite in [Suite::Suite1, Suite::Suite2] {
        let world = World::new(suite);
        let cases: &[Case<'_>] = &[
            (vec![(2, identified)], general(KeyChoice::Unicast), AE),
            (vec![(2, wrapped)], general(KeyChoice::Wrapped), AE),
            (vec![(2, one_pass)], general(KeyChoice::OnePass), AE),
            (vec![sign, (2, static_unified)], general(KeyChoice::StaticUnified), AE.and_signed()),
            // What the security setup of the client demands comes on top.
            (vec![sign], envelope, AE.and_signed()),
        ];
        let cases = if suite == Suite::Suite1 { cases } else { &cases[2..4] };
        for (layers, cipher, strength) in cases {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let server = pushing(&world, &protection(layers), &listener.local_addr().unwrap().to_string());
            let mut management = associated(&server, suite, 1);
            assert_eq!(management.action(40, PUSH, 1), ActionResult::Success);
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut header = [0; 8];
            stream.read_exact(&mut header).unwrap();
            let mut apdu = vec![0; usize::from(u16::from_be_bytes([header[6], header[7]]))];
            stream.read_exact(&mut apdu).unwrap();

            let length = suite.key_length();
            let keys = KeySet::new(suite, &encryption(length), &authentication(length)).unwrap();
            let sender =
                |keys: &KeySet| Sender::new(METER, Context::<RustCrypto>::new(CLIENT, keys).unwrap(), *strength, 0);
            let mut receiver = Receiver::new([sender(&keys).with_general(world.general(1), 0)]);
            let mut opened = apdu.clone();
            let received = receiver.open(&mut opened, None).unwrap_or_else(|error| panic!("{layers:?}: {error}"));
            assert!(matches!(received.apdu, Apdu::DataNotification(_)));
            let expected = Layers { cipher: *cipher, protection: *strength, ..received.layers };
            assert_eq!(received.layers, expected, "{layers:?}");
            let mut out = [0; 448];
            let confirmed = receiver.confirm_general(&received, || Ok(50_000), || Ok(9_000), &mut OsRandom, &mut out);
            let place = confirmed.unwrap();
            let mut wpdu = vec![0, 1, 0, 1, 0, 1];
            wpdu.extend(u16::try_from(place.len()).unwrap().to_be_bytes());
            wpdu.extend(&out[place]);
            stream.write_all(&wpdu).unwrap();
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "the meter is content");
            let replayed = receiver.open(&mut apdu, None).unwrap_err();
            let stale = |error| {
                matches!(error, PushError::Security(SecurityError::Counter { .. } | SecurityError::TransactionId))
            };
            assert!(stale(replayed), "{layers:?}: {replayed}");
            // The meter notes the moment once the line is closed.
            drop(stream);
            let mut management = associated(&server, suite, 60_000);
            let noted = |line: &mut Line| match line.get(40, PUSH, 13) {
                Value::DateTime(time) => time.to_unix_seconds().is_some(),
                other => panic!("{other:?}"),
            };
            let until = Instant::now() + Duration::from_secs(30);
            while !noted(&mut management) {
                assert!(Instant::now() < until, "{layers:?}: not confirmed");
                std::thread::sleep(Duration::from_millis(5));
            }
            server.shutdown();
        }
    }
}

/// A policy that demands signatures of responses signs pushes whose own parameters say nothing.
#[test]
fn a_policy_of_signed_responses_signs_answers_and_pushes() {
    let world = World::new(Suite::Suite1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = world.model().replacen(
        "policy = \"authenticated-encrypted\"",
        "policy = \"authenticated-encrypted\"\nresponse-policy = \"authenticated-encrypted-signed\"",
        1,
    );
    let to = Some(listener.local_addr().unwrap().to_string());
    let server =
        Server::start(FleetConfig { push_to: to, speed: 1.0, ..meter(&text.replace("at-start = true, ", ""), None) });
    let mut config = world.config();
    config.required_response = Some(AE.and_signed());
    let mut management = line(&server, config, 1, world.general(1)).associate().unwrap();
    assert_eq!(management.get(64, SETUP, 2), Value::Enum(0xEC));
    assert_eq!(management.action(40, "0.0.25.9.0.255", 1), ActionResult::Success);
    server.jump("2026-03-15T13:09:00+01:00");
    let (mut stream, _) = listener.accept().unwrap();
    let mut octets = [0; 9];
    stream.read_exact(&mut octets).unwrap();
    let mut apdu = vec![0; usize::from(u16::from_be_bytes([octets[6], octets[7]]))];
    apdu[0] = octets[8];
    stream.read_exact(&mut apdu[1..]).unwrap();
    let keys = KeySet::new(Suite::Suite1, &encryption(16), &authentication(16)).unwrap();
    let context = Context::<RustCrypto>::new(CLIENT, &keys).unwrap();
    let sender = Sender::new(METER, context, AE.and_signed(), 0).with_general(world.general(1), 0);
    let mut receiver = Receiver::new([sender]);
    assert!(receiver.open(&mut apdu, None).unwrap().protection.signed);
    server.shutdown();
}
