//! One life of the head-end: the real one, on its store, until it ends or is ended.

use std::{
    future::Future,
    path::Path,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use dlms_head_end::{
    HeadEnd,
    collection::{Collection, CollectionOptions},
    fleet::{Fleet, FleetOptions},
    jobs::{
        Codec, JobOptions, Jobs, Plan, Report,
        procedures::{Supply, SupplyAction},
    },
    meter::{Mechanism, MeterId, MeterSettings, PolicyBits, Secret, SecuritySettings, Timeouts},
    operation::RequestError,
    registry::{Change, Registry},
    store::{
        Hook, Hooked, StoreError,
        sqlite::{SqliteOptions, SqliteStore},
    },
    vault::{MasterKey, SecretRole, Vault},
};
use dlms_meter_server::simulator::Keys;
use tokio::task::coop::unconstrained;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    meter::RELAY,
    network::Lines,
    world::{TITLE, World},
};

pub(crate) type Store = Hooked<SqliteStore, Steps>;

/// Each call of the store is a step, before which and after which the head-end may die. In between no time passes: the
/// store's threads have their own, which does not follow from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Steps(World);

impl Hook for Steps {
    async fn call<T: Send>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.0.step(name).await;
        let pause = self.0.state().dice.between(0, 8);
        // Others go on meanwhile, as beside a disk that takes its time.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let result = at_once(unconstrained(call));
        self.0.step(name).await;
        result
    }
}

/// Waits here until the future is ready, whatever else the runtime has to do.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(ready) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return ready;
        }
        thread::park();
    }
}

/// Specifications are words.
struct Words;

impl Codec for Words {
    fn plan(&self, spec: &[u8]) -> Result<Plan, String> {
        let (kind, interrupts, action) = match spec {
            b"disconnect" => ("disconnect", true, SupplyAction::Disconnect),
            b"reconnect" => ("reconnect", false, SupplyAction::Reconnect),
            other => return Err(format!("{other:?} is no word")),
        };
        let procedure = Arc::new(Supply { object: RELAY, action, registers: Vec::new() });
        Ok(Plan { kind, mutating: true, interrupts, waves: None, procedure })
    }

    fn report(&self, _: &[u8], report: &Report) -> Vec<u8> {
        format!("{report:?}").into_bytes()
    }

    fn failure(&self, error: &RequestError) -> Vec<u8> {
        error.to_string().into_bytes()
    }
}

/// A running head-end.
pub(crate) struct Life {
    pub(crate) store: Arc<Store>,
    pub(crate) collection: Collection<Store, Fleet>,
    pub(crate) jobs: Jobs<Store, Fleet>,
    _engines: TaskTracker,
}

pub(crate) fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, SqliteOptions::default()).expect("the store opens")
}

async fn registry(world: &World, store: &SqliteStore) -> Arc<Registry<Store>> {
    let store = Arc::new(Hooked::new(store.clone(), Steps(world.clone())));
    let vault = Vault::new(&MasterKey::from_hex(&"11".repeat(32), "test").unwrap());
    Arc::new(Registry::open(store, vault, Timeouts::default(), Some(TITLE)).await.expect("the registry opens"))
}

impl Life {
    /// Starts the head-end on what is in the store.
    pub(crate) async fn start(world: &World, store: &SqliteStore) -> Self {
        let registry = registry(world, store).await;
        let (fleet, _) = Fleet::start(Arc::clone(&registry), Lines(world.clone()), FleetOptions::default()).unwrap();
        let store = Arc::clone(registry.store());
        let head_end = HeadEnd::new(registry, Arc::new(fleet));
        let (engines, stop, clock) = (TaskTracker::new(), CancellationToken::new(), Arc::new(world.clone()));
        let collection = Collection::new(head_end.clone(), clock.clone(), CollectionOptions::default());
        collection.start(&engines, stop.clone());
        let jobs = Jobs::start(head_end, Words, clock, JobOptions::default(), &engines, stop);
        Self { store, collection, jobs, _engines: engines }
    }
}

pub(crate) fn id(meter: usize) -> MeterId {
    format!("m{meter}").parse().unwrap()
}

/// Registers the meters of the world.
pub(crate) async fn register(world: &World, store: &SqliteStore) {
    let registry = registry(world, store).await;
    let meters = world.state().meters();
    for meter in 0..meters {
        let title = world.state().title(meter);
        let settings = MeterSettings {
            link: dlms_head_end::meter::LinkConfig::TcpWrapper {
                address: format!("meter:{}", meter + 1).parse().unwrap(),
            },
            client_sap: 1,
            mechanism: Mechanism::HlsGmac,
            security: Some(SecuritySettings {
                suite: 0,
                policy: PolicyBits { authenticated: true, encrypted: true },
                envelope: Default::default(),
                dedicated_key: false,
                client_title: None,
            }),
            system_title: Some(title),
            ..MeterSettings::default()
        };
        let secret = |octets: [u8; 16]| Some(Secret::new(octets.to_vec()));
        let secrets = [
            (SecretRole::EncryptionKey, secret(Keys::DEMONSTRATION_ENCRYPTION)),
            (SecretRole::AuthenticationKey, secret(Keys::DEMONSTRATION_AUTHENTICATION)),
        ];
        let change = Change { settings, secrets: secrets.into() };
        registry.create(id(meter), change, None).await.expect("a meter is registered");
    }
}
