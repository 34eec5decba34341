//! Jobs over the real store, with meters of which all is known.

mod between;
mod keys;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::Path,
    sync::{Mutex as StdMutex, OnceLock},
    time::Duration,
};

use dlms::{
    axdr::Value,
    id::{AttributeId, ClassId, MethodId},
    obis::ObisCode,
};
use jiff::SignedDuration;
use tokio::time::Instant;

use super::{
    procedures::{Perform, Supply, SupplyAction},
    *,
};
use crate::{
    clock::TestClock,
    meter::{MeterSettings, Timeouts},
    operation::{
        AttributeRef, AttributeValue, InvokeMethod, Layer, Operation, Outcome, Pong, Priority,
        RequestErrorKind as Kind, SetAttribute, Terms,
    },
    registry::{Change, Registry},
    store::{
        JobState, JobStore, RequestKey, TaskFilter, TaskResult, TaskRow, TaskState,
        sqlite::{SqliteOptions, SqliteStore},
    },
    vault::{MasterKey, Vault},
};

/// Longer than anything takes; a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(20);
const RELAY: ObisCode = ObisCode([0, 0, 96, 3, 10, 255]);
const TEXT: ObisCode = ObisCode([0, 0, 96, 13, 0, 255]);

/// What goes wrong with one exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Unreachable,
    Security,
    /// The action is carried out and its answer lost.
    AnswerLost,
    /// The action is lost on its way, and nobody knows.
    RequestLost,
}

#[derive(Default)]
struct Meter {
    connected: bool,
    text: Option<Value>,
    /// Actions carried out.
    actions: u32,
    faults: VecDeque<Fault>,
}

/// Meters with a relay in mode 4 and a text.
#[derive(Default)]
struct Model {
    meters: StdMutex<HashMap<MeterId, Meter>>,
    order: StdMutex<Vec<MeterId>>,
}

impl Model {
    fn meter<T>(&self, meter: &MeterId, what: impl FnOnce(&mut Meter) -> T) -> T {
        let mut meters = self.meters.lock().unwrap();
        what(meters.entry(meter.clone()).or_insert_with(|| Meter { connected: true, ..Meter::default() }))
    }

    fn fault(&self, meter: &str, faults: &[Fault]) {
        self.meter(&meter.parse().unwrap(), |meter| meter.faults.extend(faults));
    }

    fn actions(&self, meter: &str) -> u32 {
        self.meter(&meter.parse().unwrap(), |meter| meter.actions)
    }

    fn answer(meter: &mut Meter, operation: &Operation) -> Result<Outcome, RequestError> {
        let attribute = |attribute: AttributeRef| match (attribute.obis, attribute.attribute.0) {
            (RELAY, 2) => Value::Boolean(meter.connected),
            (RELAY, 3) => Value::Enum(meter.connected.into()),
            (RELAY, _) => Value::Enum(4),
            _ => meter.text.clone().unwrap_or(Value::Null),
        };
        Ok(match operation {
            Operation::GetAttributes(wanted) => Outcome::Attributes(
                wanted
                    .iter()
                    .map(|get| {
                        let (attribute, value) = (get.attribute, attribute(get.attribute));
                        Ok(AttributeValue { attribute, value, received: Timestamp::UNIX_EPOCH })
                    })
                    .collect(),
            ),
            Operation::SetAttributes(assignments) => {
                meter.actions += 1;
                meter.text = assignments.last().map(|assignment| assignment.value.clone());
                Outcome::Set(assignments.iter().map(|_| Ok(())).collect())
            }
            Operation::InvokeMethod(method) => {
                meter.actions += 1;
                if method.obis == RELAY {
                    meter.connected = method.method == MethodId(2);
                }
                Outcome::Method(None)
            }
            Operation::Ping => Outcome::Pong(Pong {
                round_trip: Duration::ZERO,
                opening: None,
                server_max_pdu: 0,
                conformance: dlms::apdu::Conformance::default(),
                server_title: None,
            }),
            other => panic!("{other:?}"),
        })
    }
}

impl Model {
    fn execute(&self, id: &MeterId, operation: Operation) -> Result<Outcome, RequestError> {
        self.order.lock().unwrap().push(id.clone());
        let error = |kind| Err(RequestError::new(kind, Layer::Link, "as the test wants it"));
        self.meter(id, |meter| match meter.faults.pop_front() {
            Some(Fault::Unreachable) => error(Kind::Unreachable),
            Some(Fault::Security) => error(Kind::SecurityFailed),
            Some(fault) if operation.is_mutating() => {
                if fault == Fault::AnswerLost {
                    Self::answer(meter, &operation).unwrap();
                }
                error(Kind::UnknownOutcome)
            }
            fault => {
                // Kept for the next action.
                meter.faults.extend(fault);
                Self::answer(meter, &operation)
            }
        })
    }
}

/// One process's way to the meters: a dead one sends nothing.
#[derive(Default)]
struct Line {
    model: Arc<Model>,
    trap: OnceLock<Arc<trap::Trap>>,
}

impl Line {
    async fn step(&self) {
        if let Some(trap) = self.trap.get() {
            trap.step().await;
        }
    }
}

impl MeterAccess for Line {
    async fn execute(&self, id: &MeterId, operation: Operation, _: Terms) -> Result<Outcome, RequestError> {
        self.step().await;
        let result = self.model.execute(id, operation);
        self.step().await;
        result
    }

    fn invalidate(&self, _: &MeterId) {}
}

/// Specifications are words.
struct Words;

impl Codec for Words {
    fn plan(&self, spec: &[u8]) -> Result<Plan, String> {
        let supply = |action| -> Arc<dyn Procedure> { Arc::new(Supply { object: RELAY, action, registers: vec![] }) };
        let method = InvokeMethod { class: ClassId(9), obis: TEXT, method: MethodId(1), parameter: None };
        let text = SetAttribute {
            attribute: AttributeRef::new(ClassId(1), TEXT, AttributeId(2)),
            selection: None,
            value: Value::Unsigned(7),
        };
        let perform = |operation| -> Arc<dyn Procedure> { Arc::new(Perform(operation)) };
        let (kind, mutating, interrupts, procedure) = match spec {
            b"panic" => ("panic", false, false, perform(Operation::DiscoverObjects)),
            b"ping" => ("ping", false, false, perform(Operation::Ping)),
            b"method" => ("method", true, false, perform(Operation::InvokeMethod(method))),
            b"set" => ("set", true, false, perform(Operation::SetAttributes(vec![text]))),
            b"disconnect" => ("disconnect", true, true, supply(SupplyAction::Disconnect)),
            b"reconnect" => ("reconnect", true, false, supply(SupplyAction::Reconnect)),
            other => return Err(format!("{other:?} is no word")),
        };
        Ok(Plan { kind, mutating, interrupts, waves: None, procedure })
    }

    fn report(&self, _: &[u8], report: &Report) -> Vec<u8> {
        format!("{report:?}").into_bytes()
    }

    fn failure(&self, error: &RequestError) -> Vec<u8> {
        error.to_string().into_bytes()
    }
}

type TestJobs = Jobs<SqliteStore, Line>;

/// A store, meters and a clock, which outlive engines.
struct Scene {
    registry: Arc<Registry<SqliteStore>>,
    model: Arc<Model>,
    clock: Arc<TestClock>,
    options: JobOptions,
    _folder: tempfile::TempDir,
}

fn options() -> JobOptions {
    JobOptions { retry_floor: Duration::from_millis(5), approval_above: 3, ..JobOptions::default() }
}

impl Scene {
    async fn new(meters: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: &Path = folder.path();
        let store = Arc::new(SqliteStore::open(path, SqliteOptions::default()).unwrap());
        let vault = Vault::new(&MasterKey::from_hex(&hex::encode([1; 32]), "test").unwrap());
        let registry = Registry::open(store, vault, Timeouts::default(), None).await.unwrap();
        for meter in 0..meters {
            let labels = BTreeMap::from([("all".to_owned(), "yes".to_owned())]);
            let settings = MeterSettings { labels, ..MeterSettings::default() };
            let change = Change { settings, secrets: Default::default() };
            registry.create(name(meter).parse().unwrap(), change, None).await.unwrap();
        }
        let clock = Arc::new(TestClock::new("2026-11-22T00:00:00Z".parse().unwrap()));
        Self { registry: Arc::new(registry), model: Arc::default(), clock, options: options(), _folder: folder }
    }

    fn model(&self) -> &Model {
        &self.model
    }

    fn start(&self) -> Running {
        let (engines, stop) = (TaskTracker::new(), CancellationToken::new());
        let clock: Arc<dyn Clock> = self.clock.clone();
        let line = Arc::new(Line { model: Arc::clone(&self.model), trap: OnceLock::new() });
        let head_end = HeadEnd::new(Arc::clone(&self.registry), Arc::clone(&line));
        let jobs = Jobs::start(head_end, Words, clock, self.options.clone(), &engines, stop.clone());
        assert!(line.trap.set(Arc::clone(&jobs.shared.trap)).is_ok());
        Running { jobs, engines, stop }
    }

    fn job(&self, spec: &str, meters: &[usize]) -> NewJob {
        NewJob {
            tenant: None,
            creator: "ann".to_owned(),
            spec: spec.as_bytes().to_vec(),
            target: Target::Meters(meters.iter().map(|meter| name(*meter)).collect()),
            priority: Priority::Normal,
            not_before: None,
            expires: Some(self.clock.now() + SignedDuration::from_secs(3_600)),
            reason: String::new(),
            request: None,
        }
    }
}

fn name(meter: usize) -> String {
    format!("m{meter:03}")
}

struct Running {
    jobs: TestJobs,
    engines: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    async fn end(&self, job: JobId) -> Vec<TaskRow> {
        let row = self.jobs.wait(job, Instant::now() + PATIENCE).await.unwrap();
        let tasks = self.tasks(job).await;
        assert!(row.state.has_ended(), "{row:?} {tasks:?}");
        assert!(tasks.iter().all(|task| task.state == TaskState::Ended && task.result.is_some()), "{tasks:?}");
        tasks
    }

    async fn tasks(&self, job: JobId) -> Vec<TaskRow> {
        self.jobs.store().list_tasks(job, TaskFilter::default(), None, 1_000).await.unwrap()
    }

    async fn results(&self, job: JobId) -> Vec<TaskResult> {
        self.end(job).await.into_iter().filter_map(|task| task.result).collect()
    }

    async fn run(&self, new: NewJob) -> Vec<TaskResult> {
        let job = self.jobs.submit(new).await.unwrap();
        self.results(job).await
    }

    async fn stop(self) {
        self.stop.cancel();
        self.engines.close();
        tokio::time::timeout(PATIENCE, self.engines.wait()).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_is_done_with_each_of_its_meters_and_told_as_it_goes() {
    let scene = Scene::new(5).await;
    let running = scene.start();
    let all = Target::Labels(BTreeMap::from([("all".to_owned(), "yes".to_owned())]));
    let job = running.jobs.submit(NewJob { target: all, ..scene.job("ping", &[]) }).await.unwrap();
    let mut watch = running.jobs.watch(job, 0);
    let (mut ended, mut seqs) = (Vec::new(), Vec::new());
    while let Some(progress) = watch.next().await.unwrap() {
        ended.extend(progress.ended.iter().map(|task| task.meter.to_string()));
        seqs.push(progress.seq);
        assert_eq!(progress.counts.total(), 5);
    }
    ended.sort();
    assert_eq!(ended, (0..5).map(name).collect::<Vec<_>>());
    // Who comes back goes on from where it was.
    let last = *seqs.last().unwrap();
    let mut resumed = running.jobs.watch(job, last - 2);
    assert_eq!(resumed.next().await.unwrap().unwrap().ended.len(), 2);
    assert!(resumed.next().await.unwrap().is_none());
    assert_eq!(running.results(job).await, [TaskResult::Succeeded; 5]);
    running.stop().await;
}

#[tokio::test]
async fn meters_that_cannot_be_reached_are_tried_until_the_job_expires() {
    let scene = Scene::new(2).await;
    scene.model().fault("m000", &[Fault::Unreachable; 4]);
    scene.model().fault("m001", &[Fault::Unreachable; 10_000]);
    let running = scene.start();
    let job = running.jobs.submit(scene.job("ping", &[0, 1])).await.unwrap();
    let mut watch = running.jobs.watch(job, 0);
    while watch.next().await.unwrap().unwrap().counts.of(TaskResult::Succeeded) == 0 {}
    scene.clock.jump(SignedDuration::from_secs(4_000));
    running.jobs.shared.wake.notify_one();
    let tasks = running.end(job).await;
    assert_eq!((tasks[0].result, tasks[0].attempts), (Some(TaskResult::Succeeded), 4));
    assert_eq!(tasks[1].result, Some(TaskResult::Expired));
    // Why it did not succeed is not forgotten.
    assert_eq!(tasks[1].failure.as_deref(), Some(&b"as the test wants it"[..]));
    running.stop().await;
}

#[tokio::test]
async fn a_meter_that_refuses_our_keys_twice_is_left_alone_and_an_alarm_is_raised() {
    let scene = Scene::new(1).await;
    scene.model().fault("m000", &[Fault::Security; 5]);
    let running = scene.start();
    let mut alarms = running.jobs.alarms();
    assert_eq!(running.run(scene.job("ping", &[0])).await, [TaskResult::SecurityFailed]);
    let alarm = alarms.recv().await.unwrap();
    assert_eq!((alarm.meter.as_str(), alarm.kind), ("m000", AlarmKind::Security));
    assert_eq!(scene.model().order.lock().unwrap().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_read_back_and_never_sent_again_in_vain() {
    let scene = Scene::new(4).await;
    scene.model().fault("m000", &[Fault::AnswerLost]);
    scene.model().fault("m001", &[Fault::RequestLost]);
    scene.model().fault("m002", &[Fault::AnswerLost]);
    scene.model().fault("m003", &[Fault::AnswerLost]);
    let running = scene.start();
    assert_eq!(running.run(scene.job("disconnect", &[0, 1])).await, [TaskResult::Succeeded; 2]);
    assert_eq!(running.run(scene.job("set", &[2])).await, [TaskResult::Succeeded]);
    // Nothing that can be read tells what became of a method.
    assert_eq!(running.run(scene.job("method", &[3])).await, [TaskResult::UnknownOutcome]);
    for meter in 0..4 {
        assert_eq!(scene.model().actions(&name(meter)), 1, "{meter}");
    }
    running.stop().await;
}

#[tokio::test]
async fn changes_must_say_when_they_expire_and_are_not_sent_after_that() {
    let scene = Scene::new(1).await;
    let running = scene.start();
    let expired = running.jobs.submit(NewJob { expires: None, ..scene.job("set", &[0]) }).await;
    assert!(matches!(expired, Err(JobError::Invalid { field: "expires_at", .. })), "{expired:?}");
    let later = scene.clock.now() + SignedDuration::from_secs(600);
    let job = running.jobs.submit(NewJob { not_before: Some(later), ..scene.job("set", &[0]) }).await.unwrap();
    running.stop().await;
    // Nobody was there when it was due.
    scene.clock.jump(SignedDuration::from_secs(7_200));
    let running = scene.start();
    assert_eq!(running.results(job).await, [TaskResult::Expired]);
    assert_eq!(scene.model().actions("m000"), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_job_waits_for_its_time() {
    let scene = Scene::new(1).await;
    let running = scene.start();
    let later = scene.clock.now() + SignedDuration::from_secs(600);
    let job = running.jobs.submit(NewJob { not_before: Some(later), ..scene.job("set", &[0]) }).await.unwrap();
    // What comes after it is done before it.
    assert_eq!(running.run(scene.job("ping", &[0])).await, [TaskResult::Succeeded]);
    assert_eq!(running.tasks(job).await[0].state, TaskState::Waiting);
    scene.clock.jump(SignedDuration::from_secs(601));
    running.jobs.shared.wake.notify_one();
    assert_eq!(running.results(job).await, [TaskResult::Succeeded]);
    running.stop().await;
}

#[tokio::test]
async fn a_repeated_request_is_the_same_job() {
    let scene = Scene::new(1).await;
    let running = scene.start();
    let key = |digest| RequestKey { method: "Submit", id: "one".to_owned(), digest: [digest; 32] };
    let submit = |digest| running.jobs.submit(NewJob { request: Some(key(digest)), ..scene.job("method", &[0]) });
    let first = submit(1).await.unwrap();
    assert_eq!(submit(1).await.unwrap(), first);
    assert!(matches!(submit(2).await, Err(JobError::Store(StoreError::RequestMismatch(_)))));
    running.results(first).await;
    assert_eq!(submit(1).await.unwrap(), first);
    assert_eq!(scene.model().actions("m000"), 1);
    running.stop().await;
}

#[tokio::test]
async fn cutting_many_off_needs_a_second_person() {
    let scene = Scene::new(4).await;
    let running = scene.start();
    let job = running.jobs.submit(scene.job("disconnect", &[0, 1, 2, 3])).await.unwrap();
    let running = &running;
    let state = |job| async move { running.jobs.store().job(job).await.unwrap().unwrap().state };
    assert_eq!(state(job).await, JobState::AwaitingApproval);
    assert!(matches!(running.jobs.approve(job, "ann").await, Err(JobError::SamePerson(_))));
    // Three may be cut off by one person; what awaits approval has not begun.
    assert_eq!(running.run(scene.job("disconnect", &[0, 1, 2])).await, [TaskResult::Succeeded; 3]);
    assert_eq!(scene.model().actions("m003"), 0);
    running.jobs.approve(job, "bob").await.unwrap();
    assert_eq!(running.results(job).await, [TaskResult::Succeeded; 4]);
    assert_eq!(running.jobs.store().job(job).await.unwrap().unwrap().approver.as_deref(), Some("bob"));
    assert_eq!((0..4).map(|meter| scene.model().actions(&name(meter))).collect::<Vec<_>>(), [1; 4]);
}

#[tokio::test]
async fn more_than_may_be_cut_off_in_a_day_is_refused_whole() {
    let scene = Scene { options: JobOptions { interruptions_per_day: 3, ..options() }, ..Scene::new(4).await };
    let running = scene.start();
    let refused = running.jobs.submit(scene.job("disconnect", &[0, 1, 2, 3])).await;
    assert!(matches!(refused, Err(JobError::MassDisconnect { asked: 4, before: 0, most: 3 })), "{refused:?}");
    assert_eq!(running.run(scene.job("disconnect", &[0, 1])).await, [TaskResult::Succeeded; 2]);
    let refused = running.jobs.submit(scene.job("disconnect", &[2, 3])).await;
    assert!(matches!(refused, Err(JobError::MassDisconnect { asked: 2, before: 2, most: 3 })), "{refused:?}");
    // The next day is another one.
    scene.clock.jump(SignedDuration::from_hours(25));
    assert_eq!(running.run(scene.job("disconnect", &[2, 3])).await, [TaskResult::Succeeded; 2]);
    running.stop().await;
}

#[tokio::test]
async fn cutting_off_is_slowed_down_to_what_is_allowed_in_an_hour() {
    let scene = Scene { options: JobOptions { interruptions_per_hour: 2, ..options() }, ..Scene::new(3).await };
    let running = scene.start();
    let hours = scene.clock.now() + SignedDuration::from_hours(3);
    let new = NewJob { expires: Some(hours), ..scene.job("disconnect", &[0, 1, 2]) };
    let job = running.jobs.submit(new).await.unwrap();
    let mut watch = running.jobs.watch(job, 0);
    while watch.next().await.unwrap().unwrap().counts.of(TaskResult::Succeeded) < 2 {}
    let waiting = async || {
        let tasks = running.tasks(job).await;
        tasks.into_iter().find(|task| task.state == TaskState::Waiting)
    };
    let waits = loop {
        match waiting().await {
            Some(task) if task.failure.is_some() => break task,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(waits.due > scene.clock.now() + SignedDuration::from_secs(3_500), "{waits:?}");
    scene.clock.jump(SignedDuration::from_secs(3_601));
    running.jobs.shared.wake.notify_one();
    assert_eq!(running.results(job).await, [TaskResult::Succeeded; 3]);
    running.stop().await;
}

#[tokio::test]
async fn protected_customers_are_not_cut_off() {
    let scene = Scene::new(1).await;
    let labels = BTreeMap::from([(PROTECTED_LABEL.to_owned(), "yes".to_owned())]);
    let protect = move |settings: &MeterSettings| {
        let settings = MeterSettings { labels: labels.clone(), ..settings.clone() };
        Ok(Change { settings, secrets: Default::default() })
    };
    scene.registry.update(&name(0).parse().unwrap(), None, None, protect).await.unwrap();
    let running = scene.start();
    assert_eq!(running.run(scene.job("disconnect", &[0])).await, [TaskResult::Cancelled]);
    assert!(scene.model().order.lock().unwrap().is_empty(), "nothing was sent");
    // What gives supply back is not refused.
    assert_eq!(running.run(scene.job("reconnect", &[0])).await, [TaskResult::Succeeded]);
    running.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_ends_at_once_where_it_has_not_begun() {
    let scene = Scene::new(3).await;
    scene.model().fault("m000", &[Fault::Unreachable; 10_000]);
    let running = scene.start();
    let later = scene.clock.now() + SignedDuration::from_secs(600);
    let waits = running.jobs.submit(NewJob { not_before: Some(later), ..scene.job("set", &[1, 2]) }).await.unwrap();
    let retries = running.jobs.submit(scene.job("set", &[0])).await.unwrap();
    for job in [waits, retries] {
        running.jobs.cancel(job).await.unwrap();
        let results = running.results(job).await;
        assert!(results.iter().all(|result| *result == TaskResult::Cancelled), "{results:?}");
        assert_eq!(running.jobs.store().job(job).await.unwrap().unwrap().state, JobState::Cancelled);
        // Once more changes nothing.
        running.jobs.cancel(job).await.unwrap();
    }
    assert_eq!((0..3).map(|meter| scene.model().actions(&name(meter))).sum::<u32>(), 0);
    running.stop().await;
}

#[tokio::test]
async fn what_is_important_is_done_first() {
    let scene = Scene { options: JobOptions { in_flight: 1, ..options() }, ..Scene::new(3).await };
    // Asked for while nobody works.
    let idle = scene.start();
    idle.stop.cancel();
    idle.engines.close();
    idle.engines.wait().await;
    for (meter, priority) in [(0, Priority::Low), (1, Priority::Normal), (2, Priority::High)] {
        idle.jobs.submit(NewJob { priority, ..scene.job("ping", &[meter]) }).await.unwrap();
    }
    let running = scene.start();
    let last = running.jobs.store().list_jobs(Default::default(), None, 10).await.unwrap().pop().unwrap();
    running.results(last.id).await;
    let order: Vec<_> = scene.model().order.lock().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(order, [name(2), name(1), name(0)]);
    running.stop().await;
}

/// The process dies before and after each write and each exchange, and is started again on the same store.
#[tokio::test]
async fn whenever_the_process_dies_nothing_is_done_twice_and_everything_ends() {
    for (spec, faults) in [
        ("disconnect", &[][..]),
        ("disconnect", &[Fault::AnswerLost]),
        ("disconnect", &[Fault::RequestLost]),
        ("set", &[]),
        ("method", &[]),
    ] {
        let (mut steps, mut died) = (0, 1);
        while died > 0 {
            died = die_after(steps, spec, faults).await;
            steps += 1;
        }
        assert!(steps > 8, "{spec}: died {steps} times only");
    }
}

/// One life that ends after `steps`, and another one; whether the first one ended early.
async fn die_after(steps: usize, spec: &str, faults: &[Fault]) -> usize {
    let scene = Scene::new(1).await;
    scene.model().fault("m000", faults);
    let request = RequestKey { method: "Submit", id: "one".to_owned(), digest: [0; 32] };
    let new = || NewJob { request: Some(request.clone()), ..scene.job(spec, &[0]) };
    let wanted = new();
    let first = scene.start();
    first.jobs.shared.trap.set(steps);
    let life = async {
        let job = first.jobs.submit(wanted.clone()).await.unwrap();
        first.jobs.wait(job, Instant::now() + PATIENCE).await.unwrap();
    };
    let death = async {
        while !first.jobs.shared.trap.has_sprung() {
            tokio::task::yield_now().await;
        }
    };
    let died = tokio::select! {
        biased;
        () = life => 0,
        () = death => 1,
    };
    // The caller asks again, and the meter's own line is as it was.
    let second = scene.start();
    let job = second.jobs.submit(wanted).await.unwrap();
    let results = second.results(job).await;
    let actions = scene.model().actions("m000");
    assert!(actions <= 1, "{spec} {faults:?} after {steps} steps: done {actions} times");
    match (spec, results.as_slice()) {
        ("method", [TaskResult::UnknownOutcome]) => {}
        (_, [TaskResult::Succeeded]) => assert_eq!(actions, 1, "{spec} {faults:?} after {steps} steps"),
        (_, other) => panic!("{spec} {faults:?} after {steps} steps: {other:?}"),
    }
    second.stop().await;
    died
}
