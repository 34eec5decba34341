//! Keys that are replaced, clients that guess, and what a meter remembers of it when its simulator starts again.

mod support;

use std::path::Path;

use dlms::acse::{AssociationResult, Mechanism};
use dlms::apdu::{ActionResult, DataAccessResult, MethodDescriptor};
use dlms::association::client::{Config, ConnectionError, RequestError};
use dlms::association::server::{AuditEvent, Device, FailedAttempts, Source};
use dlms::axdr::{Data, Value, Writer};
use dlms::cosem::key_transfer::KeyTransferParameter;
use dlms::cosem::security_setup::KeyId;
use dlms::id::{ClientSap, MethodId};
use dlms::security::{InvocationCounter, KeyEncryptionKey, KeySet, Protection, RustCrypto, Suite};
use dlms_meter_server::simulator::{DEFAULT_MODEL, FleetConfig, Keys, Model};
use support::client::{Dialogue, Octets, Trouble, management, public, reader, tcp, with_keys};
use support::{NOW, Server, number, octets, stopped};

const SETUP: &str = "0.0.43.0.0.255";
const COUNTER: &str = "0.0.43.1.0.255";
const IMPORT: &str = "1.0.1.8.0.255";
const NEW_KEY: [u8; 16] = [0x5A; 16];
const TITLE: &[u8; 8] = b"TSTCLNT1";

fn meter(state: Option<&Path>) -> FleetConfig {
    FleetConfig { tcp: Some("127.0.0.1:0".parse().unwrap()), state: state.map(Path::to_path_buf), ..stopped(7, NOW) }
}

fn port(server: &Server) -> std::net::SocketAddr {
    server.ports(0).tcp.unwrap()
}

fn master() -> KeyEncryptionKey {
    KeyEncryptionKey::from_slice(Suite::Suite0, &Keys::DEMONSTRATION_MASTER).unwrap()
}

fn transfer(keys: &[(KeyId, &[u8])]) -> Vec<u8> {
    let mut parameter = KeyTransferParameter::new();
    for (key_id, key) in keys {
        parameter.add::<RustCrypto>(Suite::Suite0, &master(), *key_id, key).unwrap();
    }
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer);
    parameter.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

fn key_transfer<L: dlms::link::Link, T: Octets>(client: &mut Dialogue<L, T>, parameter: &[u8]) -> ActionResult {
    client.action_with(64, SETUP, 2, Data::from_slice(parameter).unwrap())
}

fn counter_refused(trouble: &Trouble) -> Option<u32> {
    match trouble {
        Trouble::Closed(ConnectionError::Request(RequestError::Exception(exception))) => match exception.service {
            dlms::apdu::ServiceError::InvocationCounterError(Some(floor)) => Some(floor),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn a_transferred_key_holds_behind_the_answer_and_counts_from_the_beginning() {
    let server = Server::start(meter(None));
    let address = port(&server);
    let mut client = tcp(address, management(), 500).associate().unwrap();
    assert_eq!(
        key_transfer(&mut client, &transfer(&[(KeyId::GlobalUnicastEncryption, &NEW_KEY)])),
        ActionResult::Success
    );

    // In the same association, with the new key.
    let keys = KeySet::new(Suite::Suite0, &NEW_KEY, &Keys::DEMONSTRATION_AUTHENTICATION).unwrap();
    client.connection.replace_keys(keys, Some(InvocationCounter::new(0, 100))).unwrap();
    client.get(3, IMPORT, 2);
    assert_eq!(client.get(1, COUNTER, 2), Value::DoubleLongUnsigned(2));
    assert_eq!(client.get(1, "0.0.96.11.0.255", 2), Value::Unsigned(48), "the event of changed keys");
    client.release().unwrap();

    // In later ones. Who still has the old key is not understood.
    let old = tcp(address, management(), 600).associate().map(|_| ()).unwrap_err();
    assert!(matches!(old, Trouble::Closed(ConnectionError::Request(RequestError::Exception(_)))), "{old:?}");
    let mut client = tcp(address, with_keys(&NEW_KEY, TITLE), 10).associate().unwrap();
    client.get(3, IMPORT, 2);
    client.release().unwrap();
}

#[test]
fn a_transfer_replaces_all_keys_or_none() {
    let server = Server::start(meter(None));
    let mut client = tcp(port(&server), management(), 1).associate().unwrap();
    let good = transfer(&[(KeyId::GlobalUnicastEncryption, &NEW_KEY), (KeyId::Authentication, &[0x66; 16])]);
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 1;
    let mut unknown = good.clone();
    unknown[5] = 9;
    let mut twice = good.clone();
    twice[5 + 28 + 2] = 0;
    assert_eq!(twice[5 + 28 + 1], 0x16, "the second key's identifier");
    let mut other_kek = KeyTransferParameter::new();
    let kek = KeyEncryptionKey::from_slice(Suite::Suite0, &[9; 16]).unwrap();
    other_kek.add::<RustCrypto>(Suite::Suite0, &kek, KeyId::GlobalUnicastEncryption, &NEW_KEY).unwrap();
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    other_kek.encode(&mut writer).unwrap();
    for (what, parameter) in [
        ("second key broken", broken.as_slice()),
        ("unknown key", &unknown),
        ("one key twice", &twice),
        ("another master key", writer.written()),
    ] {
        assert_eq!(key_transfer(&mut client, parameter), ActionResult::OtherReason, "{what}");
    }
    for parameter in [&[0x01, 0x00][..], &[0x09, 0x01, 0x41], &[0x01, 0x01, 0x02, 0x01, 0x16, 0x00]] {
        assert_eq!(key_transfer(&mut client, parameter), ActionResult::TypeUnmatched, "{parameter:02X?}");
    }
    // The keys are what they were.
    client.get(3, IMPORT, 2);
    client.release().unwrap();
    tcp(port(&server), management(), 100).associate().unwrap().release().unwrap();
}

/// The master key is replaced under itself; the next transfer wants the new one.
#[test]
fn a_new_master_key_wraps_what_comes_next() {
    let server = Server::start(meter(None));
    let mut client = tcp(port(&server), management(), 1).associate().unwrap();
    assert_eq!(key_transfer(&mut client, &transfer(&[(KeyId::Master, &[9; 16])])), ActionResult::Success);
    let authentication = [(KeyId::Authentication, &[0x66; 16][..])];
    assert_eq!(key_transfer(&mut client, &transfer(&authentication)), ActionResult::OtherReason);
    let mut parameter = KeyTransferParameter::new();
    let kek = KeyEncryptionKey::from_slice(Suite::Suite0, &[9; 16]).unwrap();
    parameter.add::<RustCrypto>(Suite::Suite0, &kek, KeyId::Authentication, &[0x66; 16]).unwrap();
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    parameter.encode(&mut writer).unwrap();
    assert_eq!(key_transfer(&mut client, writer.written()), ActionResult::Success);
    // The authentication key has no counter: those of the unicast key go on.
    let keys = KeySet::new(Suite::Suite0, &Keys::DEMONSTRATION_ENCRYPTION, &[0x66; 16]).unwrap();
    client.connection.replace_keys(keys, None).unwrap();
    client.get(3, IMPORT, 2);
    client.release().unwrap();
}

#[test]
fn keys_are_not_transferred_without_encryption() {
    let lax = DEFAULT_MODEL
        .replace("policy = \"authenticated-encrypted\"", "policy = \"authenticated\"")
        .replace("m1,m2:Xae", "m1,m2:X");
    let model = std::sync::Arc::new(Model::from_toml(&lax).unwrap());
    let server = Server::start(FleetConfig { model, ..meter(None) });
    let mut config = management();
    config.security.as_mut().unwrap().protection = Protection::AUTHENTICATED;
    let mut client = tcp(port(&server), config, 1).associate().unwrap();
    let keys = transfer(&[(KeyId::GlobalUnicastEncryption, &NEW_KEY)]);
    assert_eq!(key_transfer(&mut client, &keys), ActionResult::ReadWriteDenied);
    client.get(3, IMPORT, 2);
}

#[test]
fn lesson_01_a_restarted_simulator_remembers_counters_keys_and_policies() {
    let folder = tempfile::tempdir().unwrap();
    let lax = DEFAULT_MODEL.replace("policy = \"authenticated-encrypted\"", "policy = \"authenticated\"");
    let model = std::sync::Arc::new(Model::from_toml(&lax).unwrap());
    let config = || FleetConfig { model: std::sync::Arc::clone(&model), ..meter(Some(folder.path())) };

    let server = Server::start(config());
    let mut client = tcp(port(&server), management(), 41).associate().unwrap();
    assert_eq!(client.action_with(64, SETUP, 1, Data::Enum(3)), ActionResult::Success);
    let floor = number(&client.get(1, COUNTER, 2));
    client.release().unwrap();
    server.shutdown();

    // The floor: what was accepted before is a replay now.
    let server = Server::start(config());
    let mut visitor = tcp(port(&server), public(), 0).associate().unwrap();
    assert!(number(&visitor.get(1, COUNTER, 2)) > floor, "the counters of the get and the release came after");
    visitor.release().unwrap();
    let refused = tcp(port(&server), management(), 41).associate().map(|_| ()).unwrap_err();
    let floor = counter_refused(&refused).unwrap_or_else(|| panic!("{refused:?}"));
    assert!(floor > 41);
    // The policy: less than it is refused.
    let mut weak = management();
    weak.security.as_mut().unwrap().protection = Protection::AUTHENTICATED;
    assert!(tcp(port(&server), weak, 1_000).associate().is_err());
    // And keys that are transferred.
    let mut client = tcp(port(&server), management(), floor).associate().unwrap();
    assert_eq!(client.get(64, SETUP, 2), Value::Enum(3));
    assert_eq!(
        key_transfer(&mut client, &transfer(&[(KeyId::GlobalUnicastEncryption, &NEW_KEY)])),
        ActionResult::Success
    );
    drop(client);
    server.shutdown();

    let server = Server::start(config());
    assert!(tcp(port(&server), management(), 5_000).associate().is_err(), "the old key");
    let mut client = tcp(port(&server), with_keys(&NEW_KEY, TITLE), 0).associate().unwrap();
    client.get(3, IMPORT, 2);
    client.release().unwrap();
    server.shutdown();

    // No key lies open in what is kept.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let kept = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&kept).to_lowercase();
        assert!(!text.contains(&hex::encode(NEW_KEY)) && !kept.windows(16).any(|window| window == NEW_KEY));
    }
    // What is broken is not taken for a beginning.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let mut kept = std::fs::read(&path).unwrap();
        kept[8] ^= 1;
        std::fs::write(&path, kept).unwrap();
    }
    let refused = Server::try_start(config()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("state of meter 10000001"), "{refused}");
}

#[test]
fn a_client_that_guesses_is_locked_out_on_every_line_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(meter(Some(folder.path())));
    let guess = |server: &Server, password: &[u8]| match tcp(port(server), reader(password), 0).associate() {
        Ok(_) => None,
        Err(Trouble::Closed(ConnectionError::Rejected { result, .. })) => Some(result),
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(guess(&server, b"12345678"), None);
    for _ in 0..3 {
        assert_eq!(guess(&server, b"00000000"), Some(AssociationResult::RejectedPermanent));
    }
    assert_eq!(guess(&server, b"12345678"), Some(AssociationResult::RejectedTransient));
    // Others are not.
    tcp(port(&server), management(), 1).associate().unwrap().release().unwrap();
    server.shutdown();
    let server = Server::start(meter(Some(folder.path())));
    assert_eq!(guess(&server, b"12345678"), Some(AssociationResult::RejectedTransient));
}

/// Attackers with more sources than are told apart, and a client that succeeded when nobody failed.
#[test]
fn attackers_do_not_keep_out_who_succeeded_last_nor_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (client, meter_sap, none) = (ClientSap(17), dlms::id::ServerSap(1), FailedAttempts::NONE);
    let start = || Server::start(meter(Some(folder.path())));
    let set = |server: &Server, source, count| {
        let attempts = FailedAttempts { count, ..none };
        let device = &server.fleet().devices()[0];
        device.with(|device| device.set_failed_attempts(client, meter_sap, Source(source), attempts));
    };
    let count = |server: &Server, source| {
        let device = &server.fleet().devices()[0];
        device.with(|device| device.failed_attempts(client, meter_sap, Source(source)).count)
    };
    let server = start();
    set(&server, 1_000, 0);
    server.shutdown();
    let server = start();
    (0..20).for_each(|source| set(&server, source, 9));
    assert_eq!((count(&server, 1_000), count(&server, 999)), (0, 9));
    server.shutdown();
    let server = start();
    assert_eq!((count(&server, 1_000), count(&server, 999)), (0, 9));
    // Its own failures are kept as well.
    set(&server, 1_000, 1);
    server.shutdown();
    let server = start();
    assert_eq!((count(&server, 1_000), count(&server, 999)), (1, 9));
    server.shutdown();
}

/// Counts events that are logged unless somebody asks for more.
struct Shown(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl tracing::Subscriber for Shown {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Any client may ask for what it may not have as often as it likes.
#[test]
fn refusals_do_not_fill_the_log() {
    let server = Server::start(meter(None));
    let shown = std::sync::Arc::default();
    let (client, meter_sap) = (ClientSap(16), dlms::id::ServerSap(1));
    let attribute = support::attribute_of(3, IMPORT, 2);
    let method = MethodDescriptor { class: attribute.class, instance: attribute.instance, method: MethodId(1) };
    let (refused, denied) = (DataAccessResult::ReadWriteDenied, ActionResult::ReadWriteDenied);
    let audit = |event| server.fleet().devices()[0].with(|device| device.audit(event));
    tracing::subscriber::with_default(Shown(std::sync::Arc::clone(&shown)), || {
        audit(AuditEvent::AuthenticationFailed { client, server: meter_sap });
        audit(AuditEvent::ReadRefused { client, server: meter_sap, attribute, result: refused });
        audit(AuditEvent::WriteRefused { client, server: meter_sap, attribute, result: refused });
        audit(AuditEvent::ActionRefused { client, server: meter_sap, method, result: denied });
    });
    assert_eq!(shown.load(std::sync::atomic::Ordering::Relaxed), 1, "the failure alone");
}

/// Every mechanism with a secret, with and without ciphering, by the names that a model file has for them.
#[test]
fn a_model_may_ask_for_any_mechanism() {
    for (name, mechanism) in [
        ("hls2", Mechanism::Hls2),
        ("hls-md5", Mechanism::Md5),
        ("hls-sha1", Mechanism::Sha1),
        ("hls-sha256", Mechanism::Sha256),
    ] {
        let text = DEFAULT_MODEL
            .replace("mechanism = \"lls\"", &format!("mechanism = \"{name}\""))
            .replace("mechanism = \"hls-gmac\"", &format!("mechanism = \"{name}\""));
        let model = std::sync::Arc::new(Model::from_toml(&text).unwrap());
        let server = Server::start(FleetConfig { model, ..meter(None) });
        let secret = reader(b"12345678");
        let plain = Config { mechanism, system_title: Some(dlms::id::SystemTitle(*TITLE)), ..secret };
        let mut client = tcp(port(&server), plain, 0).associate().unwrap();
        client.get(3, IMPORT, 2);
        client.release().unwrap();
        let ciphered = Config { mechanism, secret: reader(b"12345678").secret, ..management() };
        let mut client = tcp(port(&server), ciphered, 1).associate().unwrap();
        assert_eq!(octets(&client.get(64, SETUP, 4)), TITLE);
        client.release().unwrap();
        assert_eq!(ClientSap(17), reader(b"x").client);
    }
}

/// Version 1 of the class has its policy in bits.
#[test]
fn version_1_of_the_security_setup() {
    let text = DEFAULT_MODEL.replace(
        "number = 0\npolicy = \"authenticated-encrypted\"",
        "number = 0\nversion = 1\npolicy = \"authenticated\"",
    );
    let model = std::sync::Arc::new(Model::from_toml(&text).unwrap());
    let server = Server::start(FleetConfig { model, ..meter(None) });
    let mut client = tcp(port(&server), management(), 1).associate().unwrap();
    assert_eq!(client.get(64, SETUP, 2), Value::Enum(0x24));
    for (policy, result) in [
        (0x03, ActionResult::OtherReason),
        (0x04, ActionResult::ReadWriteDenied),
        (0x48, ActionResult::ReadWriteDenied),
        (0x2C, ActionResult::Success),
        (0x6C, ActionResult::Success),
        (0x2C, ActionResult::ReadWriteDenied),
    ] {
        assert_eq!(client.action_with(64, SETUP, 1, Data::Enum(policy)), result, "{policy:02X}");
    }
    assert_eq!(client.get(64, SETUP, 2), Value::Enum(0x6C));
    client.release().unwrap();
}

/// A password that a client has set holds after a restart, and lies nowhere in clear.
#[test]
fn a_restarted_simulator_remembers_passwords() {
    let set = |server: &Server, counter| {
        let mut client = tcp(port(server), management(), counter).associate().unwrap();
        let set = client.set(15, "0.0.40.0.2.255", 7, Data::OctetString(b"another one")).unwrap();
        client.release().unwrap();
        set
    };
    let accepted = |server: &Server, password: &[u8]| tcp(port(server), reader(password), 0).associate().is_ok();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(meter(Some(folder.path())));
    assert_eq!(set(&server, 1), DataAccessResult::Success);
    assert!(accepted(&server, b"another one") && !accepted(&server, b"12345678"));
    server.shutdown();
    let server = Server::start(meter(Some(folder.path())));
    assert!(accepted(&server, b"another one") && !accepted(&server, b"12345678"));
    server.shutdown();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let kept = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&kept);
        assert!(!text.contains("another one") && !text.contains(&hex::encode(b"another one")));
    }
}

#[test]
fn keys_of_several_transfers_in_one_request_hold_together_and_count_on_after_a_restart() {
    const NEW_AUTHENTICATION: [u8; 16] = [0xA5; 16];
    let new = || {
        let keys = KeySet::new(Suite::Suite0, &NEW_KEY, &NEW_AUTHENTICATION).unwrap();
        let mut config = with_keys(&NEW_KEY, TITLE);
        config.security.as_mut().unwrap().keys = keys;
        config
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(meter(Some(folder.path())));
    let mut client = tcp(port(&server), management(), 500).associate().unwrap();
    let unicast = transfer(&[(KeyId::GlobalUnicastEncryption, &NEW_KEY)]);
    let authentication = transfer(&[(KeyId::Authentication, &NEW_AUTHENTICATION)]);
    let parameter = |octets| Data::from_slice(octets).unwrap();
    // The policy is kept behind the keys, and before they are in force.
    let results = client.action_list(&[
        (64, SETUP, 2, parameter(&unicast)),
        (64, SETUP, 2, parameter(&authentication)),
        (64, SETUP, 1, Data::Enum(3)),
    ]);
    assert_eq!(results, [ActionResult::Success; 3]);
    drop(client);
    let mut client = tcp(port(&server), new(), 10).associate().unwrap();
    client.get(3, IMPORT, 2);
    let sent = client.connection.receive_floor().unwrap();
    drop(client);
    server.shutdown();

    let server = Server::start(meter(Some(folder.path())));
    assert!(tcp(port(&server), new(), 10).associate().is_err(), "a replay");
    let client = tcp(port(&server), new(), 1_000).associate().unwrap();
    assert!(client.connection.receive_floor().unwrap() > sent, "no counter of the new key comes twice");
}
