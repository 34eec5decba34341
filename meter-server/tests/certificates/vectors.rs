//! What others computed: the certificates and requests of the stack's vectors, and a model that begins with them.

use dlms::axdr::Data;
use dlms::security::certificate::Certificate;
use dlms_meter_server::simulator::{Model, ModelError};
use toml::{Table, Value as Toml};

use super::*;

fn vector(section: &str, id: &str) -> Table {
    let file: Table = include_str!("../../../stack/tests/vectors/public-key.toml").parse().unwrap();
    let sections = file[section].as_array().unwrap();
    sections.iter().filter_map(Toml::as_table).find(|vector| vector["id"].as_str() == Some(id)).unwrap().clone()
}

fn text(section: &str, id: &str, name: &str) -> String {
    vector(section, id)[name].as_str().unwrap().to_owned()
}

fn octets_of(id: &str, name: &str) -> Vec<u8> {
    hex::decode(text("security_setup", id, name)).unwrap()
}

fn initial(certificates: &[&str], private_keys: &[&str]) -> String {
    let list = |ids: &[&str], name: &str| {
        let texts: Vec<_> = ids.iter().map(|id| format!("\"{}\"", text("certificate", id, name))).collect();
        texts.join(", ")
    };
    format!(
        "[public-key]\ntrust-anchors = [{}]\ncertificates = [{}]\nprivate-keys = [{}]\n",
        list(&["cert-ca"], "der"),
        list(certificates, "der"),
        list(private_keys, "private_key")
    )
}

#[test]
fn the_vectors_of_the_class() {
    let text_of_model = model(1, &initial(&["cert-server-signature"], &["cert-server-signature"]));
    let server = Server::start(meter(&text_of_model, None));
    let peer = SystemTitle(*b"MMM\0\0\xBC\x61\x4E");
    let config = client(Suite::Suite1, &encryption(16), peer);
    let mut line = tcp(server.ports(0).tcp.unwrap(), config, 1).associate().unwrap();
    let mut invoke = |id: &str| {
        let method = vector("security_setup", id)["method"].as_integer().unwrap() as i8;
        call(&mut line, method, &octets_of(id, "parameter"))
    };
    // A request for the pair that the model gave it: all but the signature, whose nonce is another one.
    let request = returned(invoke("ss-generate-csr-signature"));
    let given = octets_of("ss-generate-csr-signature", "response_data");
    let given = x509_cert::request::CertReq::from_der(octets(&Value::from(Data::from_slice(&given).unwrap()))).unwrap();
    let made = x509_cert::request::CertReq::from_der(&request).unwrap();
    assert_eq!(made.info.to_der().unwrap(), given.info.to_der().unwrap());
    for kind in ["agreement", "signature", "tls"] {
        assert_eq!(invoke(&format!("ss-generate-key-pair-{kind}")), Ok(None));
    }
    // The published offer of keys is signed by the client of the certificate.
    assert_eq!(invoke("ss-key-agreement-guek-suite1"), Err(ActionResult::OtherReason), "nobody knows it yet");
    assert_eq!(invoke("ss-import-certificate"), Ok(None));
    for id in ["ss-export-by-entity", "ss-export-by-serial-der"] {
        let expected = octets_of(id, "response_data");
        assert_eq!(invoke(id), Ok(Some(Value::from(Data::from_slice(&expected).unwrap()))), "{id}");
    }
    assert_eq!(invoke("ss-key-agreement-guek-suite2"), Err(ActionResult::OtherReason));
    assert_eq!(invoke("ss-remove-by-entity"), Ok(None));
    assert_eq!(invoke("ss-export-by-entity"), Err(ActionResult::OtherReason));
    assert_eq!(invoke("ss-import-certificate"), Ok(None));
    let answer = invoke("ss-key-agreement-guek-suite1").unwrap().unwrap();
    let data = octets(&elements(&elements(&answer)[0])[1]).to_vec();
    let (key, signature) = data.split_at(64);
    let signature = dlms::security::Signature::from_slice(Curve::P256, signature).unwrap();
    let der = hex::decode(text("certificate", "cert-server-signature", "der")).unwrap();
    let signer = *Certificate::parse(&der).unwrap().public_key();
    RustCrypto::verify(&signer, &[&[0], key], &signature).unwrap();
}

/// Of a fleet each meter has its own certificates only; what others are given, all have.
#[test]
fn meters_begin_with_what_their_model_says() {
    let ids = ["cert-client-signature", "cert-server-signature", "cert-server-key-agreement", "cert-server-tls"];
    let text = model(1, &initial(&ids, &ids[1..]));
    let server = Server::start(FleetConfig { meters: 2, ..meter(&text, None) });
    for (device, count) in [(0, 5), (1, 2)] {
        let config = client(Suite::Suite1, &encryption(16), CLIENT);
        let mut line = tcp(server.ports(device).tcp.unwrap(), config, 1).associate().unwrap();
        assert_eq!(listed_any(&mut line), count, "meter {device}");
        line.release().unwrap();
    }
}

fn listed_any(line: &mut Line) -> usize {
    elements(&line.get(64, SETUP, 6)).len()
}

#[test]
fn a_model_that_is_wrong_says_where() {
    let right = initial(&["cert-server-signature"], &["cert-server-signature"]);
    let error = |suite, text: &str| -> ModelError { Model::from_toml(&model(suite, text)).unwrap_err() };
    let der = text("certificate", "cert-server-signature", "der");
    for (suite, text, message) in [
        (0, right.clone(), "suite 0 has no public keys"),
        (2, right.clone(), "this trust anchor is refused: an algorithm or curve"),
        (3, String::new(), "there are security suites 0, 1 and 2, not 3"),
        (1, right.replace("trust-anchors = [\"30", "trust-anchors = [\"3x"), "a trust anchor is hexadecimal DER"),
        (1, right.replace(&der, "3000"), "this certificate is refused: malformed certificate"),
        (
            1,
            format!("[public-key]\ncertificates = [\"{der}\"]"),
            "this certificate is refused: no path to a trust anchor",
        ),
        (1, right.replace("private-keys = [\"", "private-keys = [\"00"), "a private key of suite 1 is 32 octets"),
        (
            1,
            initial(&["cert-server-signature"], &["cert-server-tls"]),
            "none of the certificates is for this private key",
        ),
        (1, right.replace("private-keys", "keys"), "unknown field"),
    ] {
        let error = error(suite, &text);
        assert!(error.message.contains(message) && error.line().is_some(), "{message}: {error}");
    }
    let old = model(1, "").replace("version = 1\n", "");
    assert!(Model::from_toml(&old).unwrap_err().message.contains("suite 1 needs version = 1"));
    // The meter's own, without the private key.
    let orphan = initial(&["cert-server-signature"], &[]);
    let refused = Server::try_start(meter(&model(1, &orphan), None)).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("a certificate of the model does not fit this meter"), "{refused}");
    // Keys of another length.
    let short = FleetConfig { keys: Arc::new(Keys::demonstration()), ..meter(&model(2, ""), None) };
    let refused = Server::try_start(short).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("32 in suite 2"), "{refused}");
}

/// Neither in what is kept nor in what is printed.
#[test]
fn no_private_key_lies_open() {
    let folder = tempfile::tempdir().unwrap();
    let text_of_model = model(1, &initial(&["cert-server-signature"], &["cert-server-signature"]));
    let server = Server::start(meter(&text_of_model, Some(folder.path())));
    let mut line = associated(&server, Suite::Suite1, 1);
    call(&mut line, 4, &[0x16, 1]).unwrap();
    line.release().unwrap();
    let secret = hex::decode(text("certificate", "cert-server-signature", "private_key")).unwrap();
    let shown = server.fleet().devices()[0].with(|device| format!("{device:?}")).to_lowercase();
    assert!(shown.contains("publickeys") && !shown.contains(&hex::encode(&secret)));
    assert!(!shown.contains(&format!("{}, {}, {}", secret[0], secret[1], secret[2])));
    server.shutdown();
    let mut seen = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let kept = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!kept.windows(8).any(|window| window == &secret[..8]));
        seen += usize::from(kept.len() > 400);
    }
    assert!(seen > 0, "the certificates are kept");
}
