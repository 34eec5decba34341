//! Keys that are renewed while processes die and answers are lost: at each moment it can be found out which the meter has.

use dlms::security::{KeyEncryptionKey, RustCrypto, Suite, unwrap_key};

use super::*;
use crate::{
    jobs::procedures::{RecoverKeys, RotateKeys},
    meter::{Envelope, Mechanism, MeterConfig, PolicyBits, Secret, SecuritySettings},
    operation::MeterDirectory,
    vault::SecretRole,
};

const SETUP: ObisCode = ObisCode([0, 0, 43, 0, 0, 255]);
const METER: &str = "m000";
const ROLES: [SecretRole; 4] =
    [SecretRole::EncryptionKey, SecretRole::AuthenticationKey, SecretRole::MasterKey, SecretRole::BroadcastKey];

/// The keys that a meter has, by their identifiers.
struct Vessel {
    keys: [Vec<u8>; 4],
    /// Encryption keys that were ever sent to it.
    sent: std::collections::BTreeSet<Vec<u8>>,
    refuses: bool,
    /// Identifiers of keys that it takes before it refuses.
    takes: Vec<u8>,
    faults: VecDeque<Fault>,
    /// Associations that it refused.
    refused: u32,
}

impl Vessel {
    fn transfer(&mut self, parameter: &Value, taken: impl Fn(u8) -> bool) {
        let Value::Array(keys) = parameter else { panic!("{parameter:?}") };
        let master = KeyEncryptionKey::from_slice(Suite::Suite0, &self.keys[3]).unwrap();
        for key in keys {
            let Value::Structure(parts) = key else { panic!("{key:?}") };
            let [Value::Enum(id), Value::OctetString(wrapped)] = &parts[..] else { panic!("{parts:?}") };
            let key = unwrap_key::<RustCrypto>(Suite::Suite0, &master, wrapped).unwrap();
            if *id == 0 {
                self.sent.insert(key.as_bytes().to_vec());
            }
            if taken(*id) {
                self.keys[usize::from(*id)] = key.as_bytes().to_vec();
            }
        }
    }

    fn opens(&mut self, config: &MeterConfig) -> bool {
        let keys = &config.ciphering.as_ref().unwrap().keys;
        let opens = keys.encryption.expose() == self.keys[0] && keys.authentication.expose() == self.keys[2];
        self.refused += u32::from(!opens);
        opens
    }
}

/// One process's way to that meter, which tries keys as the fleet does.
struct KeyLine {
    registry: Arc<Registry<SqliteStore>>,
    vessel: Arc<StdMutex<Vessel>>,
    trap: OnceLock<Arc<trap::Trap>>,
}

impl KeyLine {
    async fn step(&self) {
        if let Some(trap) = self.trap.get() {
            trap.step().await;
        }
    }

    async fn open(&self, id: &MeterId) -> Result<(), RequestError> {
        let config = self.registry.meter(id).await?;
        let opens = |config: &MeterConfig| self.vessel.lock().unwrap().opens(config);
        let is_new = match &config.rotation {
            _ if opens(&config) => config.rotation.as_ref().is_some_and(|rotation| !rotation.other_is_new),
            Some(rotation) if opens(&rotation.other) => rotation.other_is_new,
            _ => return Err(RequestError::new(Kind::SecurityFailed, Layer::Security, "no key opens")),
        };
        if is_new {
            self.step().await;
            self.registry.keys_proved(id, &config.rotation.as_ref().unwrap().id).await?;
            self.step().await;
        }
        Ok(())
    }
}

impl MeterAccess for KeyLine {
    async fn execute(&self, id: &MeterId, operation: Operation, _: Terms) -> Result<Outcome, RequestError> {
        self.step().await;
        self.open(id).await?;
        let result = {
            let mut vessel = self.vessel.lock().unwrap();
            match &operation {
                Operation::Ping => Model::answer(&mut Meter::default(), &operation),
                Operation::InvokeMethod(method) if vessel.refuses => {
                    let takes = vessel.takes.clone();
                    vessel.transfer(method.parameter.as_ref().unwrap(), |id| takes.contains(&id));
                    Err(RequestError::new(Kind::MeterRefused, Layer::Meter, "as the test wants it"))
                }
                Operation::InvokeMethod(method) => {
                    let fault = vessel.faults.pop_front();
                    if fault != Some(Fault::RequestLost) {
                        vessel.transfer(method.parameter.as_ref().unwrap(), |_| true);
                    }
                    match fault {
                        None => Ok(Outcome::Method(None)),
                        Some(_) => Err(RequestError::new(Kind::UnknownOutcome, Layer::Link, "as the test wants it")),
                    }
                }
                other => panic!("{other:?}"),
            }
        };
        self.step().await;
        result
    }

    fn invalidate(&self, _: &MeterId) {}
}

struct KeyWords;

impl Codec for KeyWords {
    fn plan(&self, spec: &[u8]) -> Result<Plan, String> {
        let rotate = || RotateKeys { roles: ROLES.into(), setup: SETUP, association: SETUP };
        let (kind, mutating, procedure): (_, _, Arc<dyn Procedure>) = match spec {
            b"rotate" => ("rotate", true, Arc::new(rotate())),
            _ => ("recover", false, Arc::new(RecoverKeys)),
        };
        Ok(Plan { kind, mutating, interrupts: false, waves: None, procedure })
    }

    fn report(&self, _: &[u8], report: &Report) -> Vec<u8> {
        format!("{report:?}").into_bytes()
    }

    fn failure(&self, error: &RequestError) -> Vec<u8> {
        error.to_string().into_bytes()
    }
}

struct KeyScene {
    registry: Arc<Registry<SqliteStore>>,
    vessel: Arc<StdMutex<Vessel>>,
    clock: Arc<TestClock>,
    _folder: tempfile::TempDir,
}

struct Life {
    jobs: Jobs<SqliteStore, KeyLine>,
    engines: TaskTracker,
    stop: CancellationToken,
}

impl KeyScene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap());
        let vault = Vault::new(&MasterKey::from_hex(&hex::encode([1; 32]), "test").unwrap());
        let registry = Registry::open(store, vault, Timeouts::default(), None).await.unwrap();
        let keys = [vec![0x10; 16], vec![0x11; 16], vec![0x12; 16], vec![0x13; 16]];
        let secret = |id: usize| Some(Secret::new(keys[id].clone()));
        let secrets = [
            (SecretRole::EncryptionKey, secret(0)),
            (SecretRole::BroadcastKey, secret(1)),
            (SecretRole::AuthenticationKey, secret(2)),
            (SecretRole::MasterKey, secret(3)),
        ];
        let security = SecuritySettings {
            suite: 0,
            policy: PolicyBits { authenticated: true, encrypted: true },
            envelope: Envelope::ServiceSpecific,
            dedicated_key: false,
            client_title: None,
        };
        let settings =
            MeterSettings { mechanism: Mechanism::HlsGmac, security: Some(security), ..MeterSettings::default() };
        registry.create(METER.parse().unwrap(), Change { settings, secrets: secrets.into() }, None).await.unwrap();
        let vessel = Vessel {
            keys,
            sent: Default::default(),
            refuses: false,
            takes: vec![],
            faults: VecDeque::new(),
            refused: 0,
        };
        Self {
            registry: Arc::new(registry),
            vessel: Arc::new(StdMutex::new(vessel)),
            clock: Arc::new(TestClock::new("2026-11-22T00:00:00Z".parse().unwrap())),
            _folder: folder,
        }
    }

    fn start(&self) -> Life {
        let (engines, stop) = (TaskTracker::new(), CancellationToken::new());
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (registry, vessel) = (Arc::clone(&self.registry), Arc::clone(&self.vessel));
        let line = Arc::new(KeyLine { registry, vessel, trap: OnceLock::new() });
        let head_end = HeadEnd::new(Arc::clone(&self.registry), Arc::clone(&line));
        let jobs = Jobs::start(head_end, KeyWords, clock, options(), &engines, stop.clone());
        assert!(line.trap.set(Arc::clone(&jobs.shared.trap)).is_ok());
        Life { jobs, engines, stop }
    }

    fn job(&self, spec: &str, request: &str) -> NewJob {
        NewJob {
            tenant: None,
            creator: "ann".to_owned(),
            spec: spec.as_bytes().to_vec(),
            target: Target::Meters(vec![METER.to_owned()]),
            priority: Priority::Normal,
            not_before: None,
            expires: Some(self.clock.now() + SignedDuration::from_secs(3_600)),
            reason: String::new(),
            request: Some(RequestKey { method: "Submit", id: request.to_owned(), digest: [0; 32] }),
        }
    }

    /// The keys that are used are those that the meter has, and there are no others.
    async fn check(&self, context: &str) {
        let id: MeterId = METER.parse().unwrap();
        assert_eq!(self.registry.pending_keys(&id).await.unwrap(), None, "{context}");
        let config = self.registry.meter(&id).await.unwrap();
        let keys = &config.ciphering.as_ref().unwrap().keys;
        let vessel = self.vessel.lock().unwrap();
        assert_eq!(keys.encryption.expose(), vessel.keys[0], "{context}");
        assert_eq!(keys.authentication.expose(), vessel.keys[2], "{context}");
    }
}

impl Life {
    async fn run(&self, new: NewJob) -> TaskRow {
        let job = self.jobs.submit(new).await.unwrap();
        self.jobs.wait(job, Instant::now() + PATIENCE).await.unwrap();
        let mut tasks = self.jobs.store().list_tasks(job, TaskFilter::default(), None, 10).await.unwrap();
        tasks.remove(0)
    }

    async fn stop(self) {
        self.stop.cancel();
        self.engines.close();
        tokio::time::timeout(PATIENCE, self.engines.wait()).await.unwrap();
    }
}

/// The process dies before and after each write and each exchange of a rotation, and is started again.
#[tokio::test]
async fn whenever_the_process_dies_the_meter_has_one_new_key_and_it_is_known() {
    for faults in [&[][..], &[Fault::AnswerLost], &[Fault::RequestLost]] {
        let (mut steps, mut died) = (0, true);
        while died {
            let scene = KeyScene::new().await;
            scene.vessel.lock().unwrap().faults.extend(faults);
            let context = format!("{faults:?} after {steps} steps");
            let first = scene.start();
            first.jobs.shared.trap.set(steps);
            let death = async {
                while !first.jobs.shared.trap.has_sprung() {
                    tokio::task::yield_now().await;
                }
            };
            died = tokio::select! {
                biased;
                task = first.run(scene.job("rotate", "one")) => {
                    assert_eq!(task.result, Some(TaskResult::Succeeded), "{context}");
                    false
                }
                () = death => true,
            };
            let second = scene.start();
            let task = second.run(scene.job("rotate", "one")).await;
            assert_eq!(task.result, Some(TaskResult::Succeeded), "{context}: {task:?}");
            scene.check(&context).await;
            let (sent, key) = {
                let vessel = scene.vessel.lock().unwrap();
                (vessel.sent.len(), vessel.keys[0].clone())
            };
            assert_eq!(sent, 1, "{context}: one new key, however often it was sent");
            assert_ne!(key, [0x10; 16], "{context}");
            second.stop().await;
            steps += 1;
        }
        assert!(steps > 10, "died {steps} times only");
    }
}

#[tokio::test]
async fn a_meter_that_refuses_keeps_its_keys_and_nothing_stays_behind() {
    let scene = KeyScene::new().await;
    scene.vessel.lock().unwrap().refuses = true;
    let life = scene.start();
    let task = life.run(scene.job("rotate", "one")).await;
    assert_eq!(task.result, Some(TaskResult::MeterRefused), "{task:?}");
    scene.check("refused").await;
    assert_eq!(scene.vessel.lock().unwrap().keys[0], [0x10; 16]);
    // Keys are bound to rotations: another one makes others.
    scene.vessel.lock().unwrap().refuses = false;
    assert_eq!(life.run(scene.job("rotate", "two")).await.result, Some(TaskResult::Succeeded));
    scene.check("agreed").await;
    life.stop().await;
}

#[tokio::test]
async fn recovery_finds_out_which_keys_a_meter_has_by_one_attempt_each() {
    for (taken, state, refused) in [(true, "New", 1), (false, "Old", 0)] {
        let scene = KeyScene::new().await;
        let id: MeterId = METER.parse().unwrap();
        let staged = scene.registry.stage_keys(&id, "lost", &ROLES.into()).await.unwrap();
        if taken {
            let key =
                |(id, wrapped): (u8, Vec<u8>)| Value::Structure(vec![Value::Enum(id), Value::OctetString(wrapped)]);
            let keys = Value::Array(staged.wrapped.into_iter().map(key).collect());
            scene.vessel.lock().unwrap().transfer(&keys, |_| true);
        }
        let life = scene.start();
        let other = life.run(scene.job("rotate", "one")).await;
        assert_eq!(other.result, Some(TaskResult::Cancelled), "a rotation is pending: {other:?}");
        assert_eq!(scene.vessel.lock().unwrap().refused, 0, "and the meter hears nothing of another one");
        let task = life.run(scene.job("recover", "two")).await;
        assert_eq!(task.result, Some(TaskResult::Succeeded), "{task:?}");
        assert!(String::from_utf8(task.outcome.unwrap()).unwrap().contains(&format!("state: {state}")));
        scene.check(state).await;
        assert_eq!(scene.vessel.lock().unwrap().refused, refused);
        life.stop().await;
    }
}

/// What a meter answers to a transfer is not what it did with it.
#[tokio::test]
async fn keys_that_a_meter_refused_are_given_up_only_where_those_before_open() {
    let id: MeterId = METER.parse().unwrap();
    let refusing = async |takes: Vec<u8>| {
        let scene = KeyScene::new().await;
        {
            let mut vessel = scene.vessel.lock().unwrap();
            (vessel.refuses, vessel.takes) = (true, takes);
        }
        let life = scene.start();
        let task = life.run(scene.job("rotate", "one")).await;
        (scene, life, task)
    };
    // It has taken them all, and says no: as when it had them from an attempt whose answer was lost.
    let (scene, life, task) = refusing(vec![0, 1, 2, 3]).await;
    assert_eq!(task.result, Some(TaskResult::Succeeded), "{task:?}");
    scene.check("refused, and taken").await;
    life.stop().await;
    // Half of them: neither generation opens, and nothing that might open it one day is thrown away.
    let (scene, life, task) = refusing(vec![0]).await;
    assert_eq!(task.result, Some(TaskResult::MeterRefused), "{task:?}");
    let pending = scene.registry.pending_keys(&id).await.unwrap().expect("the only copy of the meter's key");
    assert!(pending.roles.contains(&SecretRole::EncryptionKey));
    life.stop().await;
}

/// A recovery that finds the keys before in use must not forget new ones that are about to be sent.
#[tokio::test]
async fn recovery_waits_for_a_rotation_that_is_under_way() {
    let scene = KeyScene::new().await;
    let id: MeterId = METER.parse().unwrap();
    let life = scene.start();
    let later = scene.clock.now() + SignedDuration::from_secs(600);
    let rotation = NewJob { not_before: Some(later), ..scene.job("rotate", "one") };
    let rotation = life.jobs.submit(rotation).await.unwrap();
    // It has made its keys, and has not sent them yet.
    let staged = scene.registry.stage_keys(&id, &rotation.to_string(), &ROLES.into()).await.unwrap();
    let recovery = life.jobs.submit(scene.job("recover", "two")).await.unwrap();
    let task = async |job| {
        let mut tasks = life.jobs.store().list_tasks(job, TaskFilter::default(), None, 10).await.unwrap();
        tasks.remove(0)
    };
    while task(recovery).await.attempts < 2 {
        assert_eq!(task(recovery).await.result, None);
        scene.clock.jump(SignedDuration::from_secs(1));
        life.jobs.shared.wake.notify_one();
        tokio::task::yield_now().await;
    }
    let kept = scene.registry.stage_keys(&id, &rotation.to_string(), &ROLES.into()).await.unwrap();
    assert_eq!(kept.wrapped, staged.wrapped, "the keys are still there");

    scene.clock.jump(SignedDuration::from_secs(600));
    life.jobs.shared.wake.notify_one();
    for job in [rotation, recovery] {
        while task(job).await.state != TaskState::Ended {
            scene.clock.jump(SignedDuration::from_secs(1));
            life.jobs.shared.wake.notify_one();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(task(job).await.result, Some(TaskResult::Succeeded));
    }
    scene.check("both ended").await;
    life.stop().await;
}
