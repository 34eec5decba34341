//! A head-end's listeners on loopback, and what meters send.

use std::{net::SocketAddr, path::Path, sync::Arc};

use dlms::{
    apdu::{DataNotification, LongInvokeIdAndPriority},
    axdr::{Data, Writer},
    id::SystemTitle,
    security::{Context, Envelope, HEADROOM, KeySet, Protection, RustCrypto, Suite},
    wrapper::{Header, encode_datagram},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    meter::{
        Envelope as MeterEnvelope, MeterId, MeterSettings, PolicyBits, PushSettings, Secret, SecuritySettings, Timeouts,
    },
    push::{Listeners, PushOptions, Seen},
    registry::{Change, Registry},
    store::{PushStore, Store, StoredPush, sqlite::SqliteStore},
    vault::{MasterKey, SecretRole, Vault},
};

pub(super) const TITLE: SystemTitle = SystemTitle(*b"SIM\0\0\0\0\x01");
pub(super) const HES: SystemTitle = SystemTitle(*b"HES\0\0\0\0\x01");
pub(super) const ENCRYPTION: [u8; 16] = [0x11; 16];
pub(super) const AUTHENTICATION: [u8; 16] = [0x22; 16];

/// Listeners over a store in a folder.
pub(super) struct Running {
    pub(super) registry: Arc<Registry<SqliteStore>>,
    pub(super) listeners: Listeners,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    /// With one listener of each sort: TCP, HDLC, UDP.
    pub(super) async fn start(folder: &Path, options: PushOptions) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let options = PushOptions { tcp: vec![any], udp: vec![any], hdlc_tcp: vec![any], ..options };
        let store = Arc::new(SqliteStore::open(folder, Default::default()).unwrap());
        let vault = Vault::new(&MasterKey::from_hex(&"5a".repeat(32), "test").unwrap());
        let registry = Registry::open(store, vault, Timeouts::default(), Some(HES)).await.unwrap();
        let (registry, tasks, stop) = (Arc::new(registry), TaskTracker::new(), CancellationToken::new());
        let (_, never) = tokio::sync::mpsc::channel(1);
        let listeners = Listeners::start(Arc::clone(&registry), Arc::default(), never, (options, false), &tasks, &stop)
            .await
            .unwrap();
        Self { registry, listeners, tasks, stop }
    }

    pub(super) fn tcp(&self) -> SocketAddr {
        self.listeners.addresses()[0]
    }

    pub(super) fn hdlc(&self) -> SocketAddr {
        self.listeners.addresses()[1]
    }

    pub(super) fn udp(&self) -> SocketAddr {
        self.listeners.addresses()[2]
    }

    pub(super) fn seen(&self) -> Seen {
        self.listeners.counts().seen()
    }

    /// Registers a meter with the keys of the tests.
    pub(super) async fn register(&self, name: &str, title: SystemTitle, push: PushSettings) -> MeterId {
        let id = MeterId::try_new(name).unwrap();
        let settings = MeterSettings {
            system_title: Some(title),
            security: Some(SecuritySettings {
                suite: 0,
                policy: PolicyBits { authenticated: true, encrypted: true },
                envelope: MeterEnvelope::General,
                dedicated_key: false,
                client_title: None,
            }),
            push,
            ..MeterSettings::default()
        };
        let secrets = [(SecretRole::EncryptionKey, ENCRYPTION), (SecretRole::AuthenticationKey, AUTHENTICATION)]
            .map(|(role, key)| (role, Some(Secret::new(key.to_vec()))))
            .into();
        self.registry.create(id.clone(), Change { settings, secrets }, None).await.unwrap();
        id
    }

    pub(super) async fn pushes(&self, meter: &MeterId) -> Vec<StoredPush> {
        self.registry.store().list_pushes(meter, None, 100).await.unwrap()
    }

    /// Waits until `done`.
    pub(super) async fn until(&self, done: impl Fn(&Seen) -> bool) -> Seen {
        let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let seen = self.seen();
            if done(&seen) {
                return seen;
            }
            assert!(tokio::time::Instant::now() < patience, "{seen:?}");
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.registry.store().close().await;
    }
}

/// A DataNotification of one number.
pub(super) fn notification(id: u32, value: u32) -> Vec<u8> {
    encode(LongInvokeIdAndPriority(id), value)
}

/// The same, to be confirmed: bit 30 of the long invoke-id.
pub(super) fn confirmed(id: u32, value: u32) -> Vec<u8> {
    encode(LongInvokeIdAndPriority(id | 1 << 30), value)
}

fn encode(invoke: LongInvokeIdAndPriority, value: u32) -> Vec<u8> {
    let mut out = [0; 64];
    let mut writer = Writer::new(&mut out);
    DataNotification { invoke, time: None, body: Data::DoubleLongUnsigned(value) }.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

fn context(own: SystemTitle, encryption: &[u8; 16]) -> Context<RustCrypto> {
    Context::new(own, &KeySet::new(Suite::Suite0, encryption, &AUTHENTICATION).unwrap()).unwrap()
}

/// `plain` in general-glo-ciphering, as the meter `title` sends it.
pub(super) fn ciphered(
    title: SystemTitle,
    key: &[u8; 16],
    protection: Protection,
    counter: u32,
    plain: &[u8],
) -> Vec<u8> {
    let mut out = vec![0; plain.len() + 128];
    let place = HEADROOM..HEADROOM + plain.len();
    out[place.clone()].copy_from_slice(plain);
    let context = context(title, key);
    let control = context.control(protection);
    let written = context.protect(Envelope::GeneralGlobal, control, counter, &mut out, place).unwrap();
    out[written].to_vec()
}

/// The usual: authenticated and encrypted with the right key.
pub(super) fn protected(counter: u32, plain: &[u8]) -> Vec<u8> {
    ciphered(TITLE, &ENCRYPTION, Protection::AUTHENTICATED_ENCRYPTED, counter, plain)
}

/// What the head-end sent, opened by the meter.
pub(super) fn opened(mut apdu: Vec<u8>) -> Vec<u8> {
    let mut context = context(TITLE, &ENCRYPTION);
    context.set_peer_title(HES);
    context.set_required(Protection::AUTHENTICATED_ENCRYPTED);
    let plain = context.unprotect(&mut apdu, |_| dlms::security::ReceiveFloor::new(0)).unwrap().plain;
    apdu[plain].to_vec()
}

pub(super) fn wrapped(apdu: &[u8]) -> Vec<u8> {
    let mut out = vec![0; apdu.len() + 8];
    let mut writer = Writer::new(&mut out);
    encode_datagram(Header { source: 1, destination: 1, length: 0 }, apdu, &mut writer).unwrap();
    out
}

/// The APDU of the next wrapped answer.
pub(super) async fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.unwrap();
    let mut apdu = vec![0; usize::from(Header::from_bytes(&header).unwrap().length)];
    stream.read_exact(&mut apdu).await.unwrap();
    apdu
}

pub(super) async fn send(to: SocketAddr, octets: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(octets).await.unwrap();
    stream
}
