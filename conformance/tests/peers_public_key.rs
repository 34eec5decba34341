//! The PyPI package `gurux-dlms` as a client with a key pair: HLS 7 (ECDSA) with and without ciphering of suite 1, against
//! our server's side of an association, and all of a security setup's certificates. Needs the Python environment that `./test peers` makes, named by
//! `DLMS_PEERS_PYTHON`.

#[path = "../../stack/tests/pair/mod.rs"]
mod pair;
mod peer;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant as Clock};

use dlms::Instant;
use dlms::association::server::Connection;
use dlms::security::general::TransactionMemory;
use dlms::security::public_key::Curve;
use dlms::security::{Curves, KeyEncryptionKey, PrivateKey, Protection, PublicKey, RustCrypto, Suite};
use dlms::wrapper::server::Wrapper;
use dlms_meter_server::simulator::DEFAULT_MODEL;
use serde_json::{Value, json};

use pair::{CIPHERED_ECDSA, CLIENT_TITLE, Counting, Meter, MeterKeys, hls_client};
use peer::METER_TITLE;
use peer::python::Python;
use peer::simulated::MeterServer;

/// A suite with key pairs.
#[derive(Clone, Copy)]
struct Keyed {
    suite: Suite,
    curve: Curve,
}

const SUITES: [Keyed; 2] =
    [Keyed { suite: Suite::Suite1, curve: Curve::P256 }, Keyed { suite: Suite::Suite2, curve: Curve::P384 }];

/// Octets of the private keys: the client's, then the meter's.
const CLIENT_KEY: u8 = 0x31;
const METER_KEY: u8 = 0x42;

impl Keyed {
    /// A private key that is one octet over and over.
    fn octets(self, octet: u8) -> Vec<u8> {
        vec![octet; self.curve.width()]
    }

    fn private(self, octet: u8) -> PrivateKey {
        PrivateKey::from_slice(self.curve, &self.octets(octet)).expect("a key")
    }

    fn public(self, octet: u8) -> PublicKey {
        RustCrypto::public_key(&self.private(octet)).expect("a key")
    }

    /// A symmetric key counting up from an octet.
    fn key(self, first: u8) -> Vec<u8> {
        (first..).take(self.suite.key_length()).collect()
    }

    fn meter(self) -> Meter {
        let keys = MeterKeys {
            suite: self.suite,
            unicast: self.key(0),
            authentication: self.key(0xD0),
            kek: KeyEncryptionKey::from_slice(self.suite, &self.key(0x60)).expect("a length"),
            signing: self.private(METER_KEY),
            agreement: self.private(METER_KEY),
            client_signature: self.public(CLIENT_KEY),
            client_agreement: self.public(CLIENT_KEY),
            transactions: TransactionMemory::new(0),
            next_transaction: None,
            push_policy: Protection::NONE,
        };
        Meter { rows: 60, row_octets: 30, keys: Some(Box::new(keys)), max_pdu: 1_024, ..Meter::default() }
    }

    /// What a plan says of the suite and its keys.
    fn plan(self, port: u16, client: u16) -> Value {
        json!({
            "stack": "gurux-dlms", "host": "127.0.0.1", "port": port, "link": "wrapper", "client": client,
            "suite": self.suite.id(), "encryption_key": hex::encode(self.key(0)),
            "authentication_key": hex::encode(self.key(0xD0)), "client_title": hex::encode(CLIENT_TITLE.as_bytes()),
        })
    }
}

/// Serves one connection after the other on a free port; what a meter remembers stays.
fn serve(mut meter: Meter) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let mut random = Counting(1 << 40);
        for stream in listener.incoming() {
            let _ = converse(stream.expect("a connection"), &mut meter, &mut random);
        }
    });
    address
}

fn converse(mut stream: TcpStream, meter: &mut Meter, random: &mut Counting) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let link = Wrapper::new(vec![0; 2_048], vec![0; 2_048], 10_000);
    let mut server: Connection<_, RustCrypto, _, 1> = Connection::new(link, || vec![0; 8_192], vec![0; 8_192]);
    let started = Clock::now();
    let (mut chunk, mut frame) = (vec![0; 4_096], vec![0; 8_192]);
    loop {
        let count = stream.read(&mut chunk)?;
        let now = Instant::from_millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(0));
        let mut rest = &chunk[..count];
        loop {
            let taken = server.handle_input(rest, now, meter, random).map_err(peer::other)?;
            rest = &rest[taken..];
            while let Some(length) = server.poll_transmit(&mut frame) {
                stream.write_all(&frame[..length])?;
            }
            if rest.is_empty() {
                break;
            }
        }
        if count == 0 {
            server.close(meter);
            return Ok(());
        }
    }
}

/// The rows of the meter's profile.
fn rows() -> Value {
    (1..=60_u8).map(|row| json!([row, hex::encode([row; 30])])).collect()
}

#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn gurux_dlms_proves_itself_by_a_signature_and_verifies_ours() {
    let python = Python::new();
    // It has no signature with a key of suite 2.
    for keyed in &SUITES[..1] {
        let address = serve(keyed.meter());
        let mut counter = 1;
        for ciphered in [true, false] {
            // With the keys of both sides; with another private key; expecting another public key of the meter.
            for (own, others, right) in
                [(CLIENT_KEY, METER_KEY, true), (0x53, METER_KEY, false), (CLIENT_KEY, 0x53, false)]
            {
                let client = if ciphered { CIPHERED_ECDSA } else { hls_client(7) };
                let mut plan = keyed.plan(address.port(), client.0);
                plan["mechanism"] = json!("ecdsa");
                plan["max_pdu"] = json!(512);
                plan["signing_key"] = json!(hex::encode(keyed.octets(own)));
                plan["verifying_key"] = json!(hex::encode(keyed.public(others).as_bytes()));
                plan["invocation_counter"] = json!(counter);
                counter += 1_000;
                plan["requests"] = json!([
                    { "class": 3, "obis": "1.0.1.8.0.255", "attribute": 2 },
                    { "class": 7, "obis": "1.0.99.1.0.255", "attribute": 2 },
                    { "class": 1, "obis": "0.0.96.1.4.255", "attribute": 2 },
                ]);
                if !ciphered {
                    plan.as_object_mut().expect("an object").remove("encryption_key");
                }
                let report = python.report(&plan);
                let suite = keyed.suite;
                let what = format!("{suite:?}, ciphered: {ciphered}, keys {own:02X} and {others:02X}: {report}");
                if right {
                    assert!(report["error"].is_null(), "{what}");
                    assert_eq!(report["values"][0]["value"], 913, "{what}");
                    assert_eq!(report["values"][1]["value"], rows(), "{what}");
                    assert!(report["values"][2]["refused"].is_string(), "{what}");
                    println!("gurux-dlms  wrapper  HLS 7, {suite:?}, ciphered: {ciphered}");
                } else {
                    assert!(report["error"].is_string(), "{what}");
                    assert_eq!(report["values"], json!([]), "{what}");
                }
            }
        }
    }
}

/// Key pairs, certificates of an authority made by OpenSSL, and an agreed key, which both go on with.
#[test]
#[ignore = "needs a Python environment: ./test peers"]
fn gurux_dlms_commissions_a_meter_with_certificates_of_another_authority() {
    let python = Python::new();
    for (keyed, curve) in SUITES.into_iter().zip(["P-256", "P-384"]) {
        let suite = keyed.suite.id();
        let authority = python.folder().join("authority.pem");
        let anchor = python.script("commissioning.py", &[authority.as_os_str(), curve.as_ref()]);
        let model = DEFAULT_MODEL
            .replace("number = 0\npolicy", &format!("number = 0\nversion = 1\nsuite = {suite}\npolicy"))
            .replace("management = \"2-5:R m1,m2:Xae\"", "management = \"2-6:R m1-8:X\"")
            .replace(
                "[[association]]\nname = \"public\"",
                &format!("[public-key]\ntrust-anchors = [\"{}\"]\n[[association]]\nname = \"public\"", anchor.trim()),
            );
        let path = python.folder().join("model.toml");
        std::fs::write(&path, model).expect("a model");
        let (guek, gak, kek) = (keyed.key(0), keyed.key(0xD0), keyed.key(0x60));
        let server = MeterServer::start_with(&[
            "--model",
            path.to_str().expect("text"),
            "--guek",
            &hex::encode(guek),
            "--gak",
            &hex::encode(gak),
            "--kek",
            &hex::encode(kek),
        ]);
        let mut plan = keyed.plan(server.wrapper.port(), 1);
        plan["mechanism"] = json!("gmac");
        plan["commission"] = json!({
            "authority": authority, "curve": curve, "suite": suite,
            "client_title": hex::encode(CLIENT_TITLE.as_bytes()), "meter_title": hex::encode(METER_TITLE),
            "signing_key": hex::encode(keyed.octets(CLIENT_KEY)),
        });
        plan["requests"] = json!([{ "class": 3, "obis": "1.0.1.8.0.255", "attribute": 2 }]);
        let report = python.report(&plan);
        assert!(report["error"].is_null(), "suite {suite}: {report}");
        let name = format!("CN={}", hex::encode_upper(METER_TITLE));
        let expected = json!({
            "request 0": [true, name], "export 0": true, "request 1": [true, name], "export 1": true,
            "export client": true, "forged": true, "agreed": true, "removed": true,
        });
        assert_eq!(report["commissioned"], expected, "suite {suite}");
        // Under the agreed key.
        assert!(report["values"][0]["value"].is_u64(), "suite {suite}: {report}");
        println!("gurux-dlms  wrapper  commissioned with {curve}");
    }
}
