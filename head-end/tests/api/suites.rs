//! Meters of security suites 1 and 2, and those that are authenticated by digests and signatures.

use std::{path::Path, sync::Arc};

use base64::prelude::{BASE64_STANDARD, Engine};
use dlms::{
    id::SystemTitle,
    security::{PublicKey, Suite},
};
use dlms_head_end::{config::Config, meter::Timeouts};
use dlms_meter_server::simulator::{DEFAULT_MODEL, Fleet, FleetConfig, Keys, Model};
use dlms_proto::v1::{
    self, GetSigningKeyRequest, KeyKind, Meter, Result as MeterResult, RotateKeysRequest, RotateKeysSpec, SigningKey,
    authentication::Mechanism, meter_security_client::MeterSecurityClient,
};
use tonic::Code;

use crate::{
    der::{DIGITAL_SIGNATURE, Party, Spec},
    support::{PATIENCE, Running, fields, info, plain, quick, tcp},
};

const METER: SystemTitle = SystemTitle(*b"MMM\0\0\0\0\x01");
const METER_NAME: &str = "4D4D4D0000000001";

/// The built-in model in `suite`, with what `more` says in front of its associations; clients named in `readers` may read
/// what everybody may.
fn model(suite: Suite, more: &str, readers: &[&str]) -> String {
    let rights: String = readers.iter().map(|name| format!("{name} = \"2:R\"\n")).collect();
    DEFAULT_MODEL
        .replace("number = 0\npolicy", &format!("number = 0\nversion = 1\nsuite = {}\npolicy", suite.id()))
        .replace("management = \"2-5:R m1,m2:Xae\"", "management = \"2-6:R m1-8:X\"")
        .replace("[[association]]\nname = \"public\"", &format!("{more}\n[[association]]\nname = \"public\""))
        .replace("[access.everyone]\n", &format!("[access.everyone]\n{rights}"))
}

async fn meters(suite: Suite, model: &str) -> Fleet {
    let config = FleetConfig {
        model: Arc::new(Model::from_toml(model).unwrap_or_else(|error| panic!("{error}"))),
        keys: Arc::new(Keys::demonstration_of(suite)),
        tcp: Some("127.0.0.1:0".parse().unwrap()),
        system_title: Some(METER),
        ..FleetConfig::default()
    };
    Fleet::start(config).await.unwrap()
}

fn association(name: &str, client: u32, mechanism: &str, ciphered: bool) -> String {
    let setup = if ciphered { "security-setup = 0\n" } else { "" };
    format!(
        "[[association]]\nname = \"{name}\"\nclient = {client}\nmechanism = \"{mechanism}\"\n{setup}conformance = \
         [\"general-protection\", \"get\", \"action\", \"block-transfer-with-get-or-read\"]\nmax-pdu = 1024\n"
    )
}

/// A meter's key as the simulator counts it up.
fn key(first: u8, suite: Suite) -> Vec<u8> {
    (first..=u8::MAX).take(suite.key_length()).collect()
}

fn security(suite: Suite) -> v1::Security {
    v1::Security {
        suite: suite.id().into(),
        encryption_key: key(Keys::DEMONSTRATION_ENCRYPTION[0], suite),
        authentication_key: key(Keys::DEMONSTRATION_AUTHENTICATION[0], suite),
        master_key: key(Keys::DEMONSTRATION_MASTER[0], suite),
        ..Default::default()
    }
}

fn authenticated(id: &str, address: &str, client_sap: u32, mechanism: Mechanism) -> Meter {
    let authentication = v1::Authentication { mechanism: mechanism.into(), ..Default::default() };
    Meter { client_sap, authentication: Some(authentication), ..plain(id, address) }
}

/// Reads the logical device name, which everybody may.
async fn read(running: &Running, id: &str) -> Result<MeterResult, String> {
    let attribute = Some(v1::AttributeRef { class_id: 1, obis: "0-0:42.0.0".into(), attribute: 2 });
    let attributes = vec![v1::AttributeSelector { attribute, selection: None }];
    let request = v1::GetAttributesRequest { meter: format!("meters/{id}"), attributes };
    let read = running.reading().get_attributes(request).await;
    read.map(|read| read.into_inner().results[0].result()).map_err(|error| info(&error).reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_of_every_suite_are_read_and_their_keys_renewed() {
    for suite in [Suite::Suite0, Suite::Suite1, Suite::Suite2] {
        let folder = tempfile::tempdir().unwrap();
        let fleet = meters(suite, &model(suite, "", &[])).await;
        let running = Running::with(quick(folder.path())).await;
        let meter = |id: &str, security| Meter {
            security: Some(security),
            ..authenticated(id, &tcp(&fleet, 0), 1, Mechanism::HlsGmac)
        };
        for dedicated_key in [false, true] {
            let id = format!("m{dedicated_key}");
            let general = v1::security::Envelope::General.into();
            running
                .create(meter(&id, v1::Security { dedicated_key, envelope: general, ..security(suite) }))
                .await
                .unwrap();
            assert_eq!(read(&running, &id).await, Ok(MeterResult::Succeeded), "{suite:?}");
        }
        running.create(meter("m1", security(suite))).await.unwrap();
        let selection = Some(v1::read_profile_request::Selection::Entries(v1::EntryRange { from: 1, to: 40 }));
        let profile = v1::ReadProfileRequest { meter: "meters/m1".into(), profile: "1-0:99.1.0".into(), selection };
        let mut parts = running.reading().read_profile(profile).await.unwrap().into_inner();
        let mut rows = 0;
        while let Some(part) = parts.message().await.unwrap() {
            if let Some(v1::read_profile_response::Part::Summary(summary)) = part.part {
                rows = summary.rows;
            }
        }
        assert_eq!(rows, 40, "in blocks, {suite:?}");

        let mut keys = MeterSecurityClient::new(running.channel.clone());
        let expires_at = prost_types::Timestamp { seconds: jiff::Timestamp::now().as_second() + 3_600, nanos: 0 };
        let every = [KeyKind::Encryption, KeyKind::Authentication, KeyKind::Broadcast, KeyKind::Master];
        for kinds in [&every[..], &every[..2]] {
            let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
            let request = RotateKeysRequest {
                target: Some(v1::Target { kind: Some(v1::target::Kind::Meter("meters/m1".into())) }),
                spec: Some(RotateKeysSpec { keys: kinds, ..Default::default() }),
                instruction: Some(v1::Instruction { expires_at: Some(expires_at), ..Default::default() }),
            };
            let task = keys.rotate_keys(request).await.unwrap().into_inner().task.unwrap();
            assert_eq!(task.result(), MeterResult::Succeeded, "{suite:?}: {task:?}");
            assert_eq!(read(&running, "m1").await, Ok(MeterResult::Succeeded), "{suite:?}");
        }

        // Keys of another suite's length.
        let other = if suite == Suite::Suite2 { Suite::Suite0 } else { Suite::Suite2 };
        let wrong = v1::Security { suite: suite.id().into(), ..security(other) };
        let refused = running.create(meter("m2", wrong)).await.unwrap_err();
        let named = ["encryption_key", "authentication_key", "master_key"].map(|key| format!("meter.security.{key}"));
        assert_eq!(fields(&refused), named);
        // Another suite alone would leave keys of the wrong length.
        let update = v1::UpdateMeterRequest {
            meter: Some(Meter {
                name: "meters/m1".into(),
                security: Some(v1::Security { suite: other.id().into(), ..Default::default() }),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["security.suite".into()] }),
            ..Default::default()
        };
        assert_eq!(fields(&running.registry().update_meter(update).await.unwrap_err()), named[..2]);
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_that_know_digests_only_are_read_and_a_wrong_secret_is_refused() {
    let clients = [
        ("md5", 2, "hls-md5", Mechanism::HlsMd5, false),
        ("sha1", 3, "hls-sha1", Mechanism::HlsSha1, false),
        ("sha256", 4, "hls-sha256", Mechanism::HlsSha256, false),
        ("sha256-ciphered", 5, "hls-sha256", Mechanism::HlsSha256, true),
    ];
    let more: String =
        clients.iter().map(|(name, client, text, _, ciphered)| association(name, *client, text, *ciphered)).collect();
    let folder = tempfile::tempdir().unwrap();
    let fleet = meters(Suite::Suite0, &model(Suite::Suite0, &more, &clients.map(|client| client.0))).await;
    let running = Running::with(quick(folder.path())).await;
    for (name, client, _, mechanism, ciphered) in clients {
        let with = |id: &str, secret: &[u8]| {
            let mut meter = authenticated(id, &tcp(&fleet, 0), client, mechanism);
            meter.authentication.as_mut().unwrap().password = secret.to_vec();
            meter.security = ciphered.then(|| security(Suite::Suite0));
            meter
        };
        let created = running.create(with(name, Keys::DEMONSTRATION_PASSWORD)).await.unwrap();
        let authentication = created.authentication.unwrap();
        assert_eq!((authentication.mechanism(), authentication.password_set), (mechanism, true));
        assert!(authentication.password.is_empty(), "it is never returned");
        assert_eq!(read(&running, name).await, Ok(MeterResult::Succeeded), "{name}");
        running.create(with(&format!("{name}-wrong"), b"another secret")).await.unwrap();
        assert_eq!(read(&running, &format!("{name}-wrong")).await, Err("SECURITY_FAILED".to_owned()), "{name}");
        let none = running.create(with(&format!("{name}-none"), b"")).await.unwrap_err();
        assert_eq!(fields(&none), ["meter.authentication.password"]);
    }
    running.stop().await;
}

/// An authority, and a meter with a certificate of it.
struct World {
    suite: Suite,
    root: Party,
    meter: Party,
}

impl World {
    fn new(suite: Suite) -> Self {
        let party = |name, seed| Party::new(name, suite.curve().unwrap(), seed);
        Self { suite, root: party("Test root", 100), meter: party(METER_NAME, 103) }
    }

    fn anchor(&self) -> Vec<u8> {
        Spec::authority(&self.root, &self.root, None).signed(&self.root, &self.root)
    }

    fn certificate(&self) -> Vec<u8> {
        Spec::entity(&self.meter, &self.root, DIGITAL_SIGNATURE).signed(&self.meter, &self.root)
    }

    /// A head-end that believes the authority.
    async fn head_end(&self, folder: &Path) -> Running {
        let file = folder.join("meter-ca.pem");
        let lines = BASE64_STANDARD.encode(self.anchor());
        std::fs::write(&file, format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")).unwrap();
        // A signature takes a while where nothing is optimised, and longer on a busy machine.
        let timeouts = Timeouts { response: PATIENCE, ..Timeouts::default() };
        Running::with(Config { meter_ca_file: Some(file), timeouts, ..quick(folder) }).await
    }

    /// A meter that has a certificate of the head-end's key, and two clients with signatures: 3 with ciphering, 4 without.
    async fn meter(&self, key: &SigningKey) -> Fleet {
        let public = PublicKey::from_slice(self.suite.curve().unwrap(), &key.public_key).unwrap();
        let subject = Party::new("", self.suite.curve().unwrap(), 7);
        let title = hex::encode_upper(&key.system_title);
        let own = Spec::entity(&subject, &self.root, DIGITAL_SIGNATURE).signed_for(&title, &public, &self.root);
        let quoted = |octets: &[u8]| format!("\"{}\"", hex::encode(octets));
        let more = format!(
            "[public-key]\ntrust-anchors = [{}]\ncertificates = [{}, {}]\nprivate-keys = [{}]\n{}{}",
            quoted(&self.anchor()),
            quoted(&own),
            quoted(&self.certificate()),
            quoted(self.meter.key.as_bytes()),
            association("signer", 3, "hls-ecdsa", true),
            association("plain-signer", 4, "hls-ecdsa", false),
        );
        meters(self.suite, &model(self.suite, &more, &["signer", "plain-signer"])).await
    }

    /// The meter as it is registered, with a certificate of its own choice.
    fn registered(&self, id: &str, fleet: &Fleet, ciphered: bool, certificate: Vec<u8>) -> Meter {
        let mut meter = authenticated(id, &tcp(fleet, 0), if ciphered { 3 } else { 4 }, Mechanism::HlsEcdsa);
        meter.authentication.as_mut().unwrap().certificate = certificate;
        meter.security = ciphered.then(|| security(self.suite));
        meter
    }
}

async fn signing_key(running: &Running, suite: u32) -> Result<SigningKey, tonic::Status> {
    let request = GetSigningKeyRequest { suite, client_system_title: Vec::new() };
    let mut keys = MeterSecurityClient::new(running.channel.clone());
    keys.get_signing_key(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_that_demand_signatures_are_read_and_a_key_that_is_not_certified_opens_nothing() {
    for suite in [Suite::Suite1, Suite::Suite2] {
        let world = World::new(suite);
        let folder = tempfile::tempdir().unwrap();
        let running = world.head_end(folder.path()).await;
        let key = signing_key(&running, suite.id().into()).await.unwrap();
        let request = &key.certification_request;
        assert!(request.windows(key.public_key.len()).any(|octets| octets == key.public_key), "the request is for it");
        let fleet = world.meter(&key).await;
        for ciphered in [true, false] {
            let id = format!("m{ciphered}");
            let created = running.create(world.registered(&id, &fleet, ciphered, world.certificate())).await.unwrap();
            assert_eq!(created.authentication.unwrap().certificate, world.certificate());
            assert_eq!(read(&running, &id).await, Ok(MeterResult::Succeeded), "{suite:?} {ciphered}");
        }
        // The authority certified another key of this title: the meter cannot prove that it has it.
        let other = Party::new(METER_NAME, suite.curve().unwrap(), 200);
        let other = Spec::entity(&other, &world.root, DIGITAL_SIGNATURE).signed(&other, &world.root);
        running.create(world.registered("other", &fleet, true, other)).await.unwrap();
        assert_eq!(read(&running, "other").await, Err("SECURITY_FAILED".to_owned()));
        // A head-end that the meter has no certificate of.
        let elsewhere = tempfile::tempdir().unwrap();
        let stranger = world.head_end(elsewhere.path()).await;
        assert_ne!(signing_key(&stranger, suite.id().into()).await.unwrap().public_key, key.public_key);
        stranger.create(world.registered("m1", &fleet, true, world.certificate())).await.unwrap();
        assert_eq!(read(&stranger, "m1").await, Err("SECURITY_FAILED".to_owned()));
        stranger.stop().await;

        // The key outlives a restart.
        running.stop().await;
        let running = world.head_end(folder.path()).await;
        assert_eq!(signing_key(&running, suite.id().into()).await.unwrap(), key);
        assert_eq!(read(&running, "mtrue").await, Ok(MeterResult::Succeeded));
        running.stop().await;

        // An authority that is not believed any more opens nothing, although the meter is registered.
        let running = Running::with(quick(folder.path())).await;
        assert_eq!(read(&running, "mtrue").await, Err("SECURITY_FAILED".to_owned()));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_registered_only_where_it_leads_to_an_authority_that_is_trusted() {
    let world = World::new(Suite::Suite1);
    let folder = tempfile::tempdir().unwrap();
    let running = world.head_end(folder.path()).await;
    let key = signing_key(&running, 1).await.unwrap();
    let fleet = world.meter(&key).await;
    let refused = async |running: &Running, meter: Meter| {
        let status = running.create(meter).await.unwrap_err();
        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, vec!["meter.authentication.certificate".into()])
        );
        status.message().to_owned()
    };
    let with = |certificate| world.registered("m1", &fleet, true, certificate);
    let stranger = Party::new("Another root", world.suite.curve().unwrap(), 300);
    let spec = Spec::entity(&world.meter, &world.root, DIGITAL_SIGNATURE);
    let forged = Spec::entity(&world.meter, &stranger, DIGITAL_SIGNATURE).signed(&world.meter, &stranger);
    refused(&running, with(forged)).await;
    refused(&running, with(vec![0x30, 3, 2, 1, 0])).await;
    refused(&running, with(Vec::new())).await;
    let brief = spec.clone().with(|spec| spec.validity = ["240101000000Z", "240401000000Z"]);
    refused(&running, with(brief.signed(&world.meter, &world.root))).await;
    let mut wrong_title = with(world.certificate());
    wrong_title.system_title = b"MMM\0\0\0\0\x02".to_vec();
    refused(&running, wrong_title).await;
    let of_suite_2 = Meter { security: Some(security(Suite::Suite2)), ..with(world.certificate()) };
    let message = refused(&running, of_suite_2).await;
    assert!(message.contains("suite 1, not of suite 2"), "{message}");
    for suite in [0, 3] {
        assert_eq!(fields(&signing_key(&running, suite).await.unwrap_err()), ["suite"]);
    }
    running.stop().await;

    let elsewhere = tempfile::tempdir().unwrap();
    let running = Running::with(quick(elsewhere.path())).await;
    let message = refused(&running, with(world.certificate())).await;
    assert!(message.contains("--meter-ca"), "{message}");
    running.stop().await;
}
