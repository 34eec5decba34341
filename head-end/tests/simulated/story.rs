//! What happens to one head-end and its meters, as a seed says, and what must be true at the end.

use std::time::Duration;

use dlms::axdr::Value;
use dlms_head_end::{
    clock::Clock,
    jobs::{NewJob, Target},
    operation::Priority,
    plan::{Cadence, PlanId, PlanSettings},
    store::{
        CaptureFilter, CaptureQuery, JobId, JobStore, PlanStore, ReadingStore, RequestKey, TaskFilter, TaskResult,
        sqlite::SqliteStore,
    },
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::{
    dice::Dice,
    life::{self, Life},
    meter::{self, LOAD},
    world::{Weather, World},
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// Seconds between two captures.
const PERIOD: i64 = 900;
/// How far back the first run reaches.
const BACKFILL_S: u32 = 12 * 3_600;
/// How long after the faults have ceased all has to be well.
const RECOVERY: u64 = 6 * HOUR;

/// Something that happens at a moment.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Somebody asks for a switch.
    Switch { meter: usize, connect: bool },
    /// The head-end's clock is set wrong, or right.
    Clock { ahead_ms: i64 },
    /// A meter starts anew.
    Reboot { meter: usize },
    /// A meter cannot be reached for a while.
    Away { meter: usize, for_ms: i64 },
    /// The head-end is killed.
    Kill,
    /// From here on nothing goes wrong.
    Heal,
}

/// A switch that was asked for.
#[derive(Debug)]
struct Asked {
    meter: usize,
    connect: bool,
    since_ms: i64,
    /// Once it was accepted.
    job: Option<JobId>,
}

/// What one seed is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Whether the head-end dies now and then.
    pub(crate) restarts: bool,
    /// Whether supplies are switched.
    pub(crate) switches: bool,
    /// Whether the head-end's clock jumps.
    pub(crate) clock: bool,
}

pub(crate) struct Story {
    pub(crate) world: World,
    kind: Kind,
    dice: Dice,
    folder: tempfile::TempDir,
    start_ms: i64,
    heal_ms: i64,
    script: Vec<(i64, Happening)>,
    next: usize,
    asked: Vec<Asked>,
    healed: bool,
    /// The step at which the first life ends, where that is not left to chance.
    first_death: Option<u64>,
    /// Steps of the last life.
    pub(crate) steps: u64,
}

fn millis(ms: u64) -> i64 {
    i64::try_from(ms).unwrap()
}

fn moment(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn plan() -> PlanId {
    "load".parse().unwrap()
}

impl Story {
    pub(crate) fn new(seed: u64, kind: Kind) -> Self {
        let dice = Dice::new(seed);
        let mut own = dice.apart(1);
        let start_ms = moment("2026-03-15T00:00:00Z") + millis(own.between(0, 24 * HOUR));
        let meters = own.between(1, 3);
        let world = World::new(dice.apart(2), u32::try_from(meters).unwrap(), start_ms);
        let troubled = own.between(HOUR, 3 * HOUR);
        let (heal_ms, meters) = (start_ms + millis(troubled), usize::try_from(meters).unwrap());
        let mut script = vec![(heal_ms, Happening::Heal)];
        let mut add = |own: &mut Dice, most: u64, what: &mut dyn FnMut(&mut Dice) -> Happening| {
            for _ in 0..own.between(0, most) {
                let at = start_ms + millis(own.between(0, troubled - 1));
                script.push((at, what(own)));
            }
        };
        let one = |own: &mut Dice| usize::try_from(own.between(0, meters as u64 - 1)).unwrap();
        add(&mut own, 2, &mut |own| Happening::Reboot { meter: one(own) });
        add(&mut own, 2, &mut |own| Happening::Away { meter: one(own), for_ms: millis(own.between(MINUTE, HOUR)) });
        if kind.switches {
            add(&mut own, 8, &mut |own| Happening::Switch { meter: one(own), connect: own.chance(500) });
        }
        if kind.restarts {
            add(&mut own, 2, &mut |_| Happening::Kill);
        }
        if kind.clock {
            const AHEAD: [i64; 9] =
                [0, 0, 1_000, -1_000, 5 * 60_000, -5 * 60_000, 3_600_000, -3_600_000, 26 * 3_600_000];
            add(&mut own, 4, &mut |own| Happening::Clock { ahead_ms: *own.pick(&AHEAD) });
        }
        script.sort_by_key(|(at, _)| *at);
        let rough = |own: &mut Dice, most| if own.chance(600) { own.between(0, most) } else { 0 };
        world.state().weather = Weather {
            refused: rough(&mut own, 200),
            unreachable: rough(&mut own, 200),
            slow: rough(&mut own, 150),
            slow_s: own.between(1, 90),
            silence: rough(&mut own, 60),
            reset: rough(&mut own, 60),
            closed: rough(&mut own, 40),
            pieces: rough(&mut own, 500),
            replay: rough(&mut own, 100),
        };
        Self::with(world, kind, own, (start_ms, heal_ms), script)
    }

    /// Nothing goes wrong with one meter that is read and switched, but that the head-end dies once, at a step.
    pub(crate) fn calm(death: Option<u64>) -> Self {
        let dice = Dice::new(1);
        let start_ms = moment("2026-03-15T06:10:00Z");
        let world = World::new(dice.apart(2), 1, start_ms);
        let (asked_ms, heal_ms) = (start_ms + 20_000, start_ms + 21_000);
        let script = vec![(asked_ms, Happening::Switch { meter: 0, connect: false }), (heal_ms, Happening::Heal)];
        let kind = Kind { restarts: false, switches: true, clock: false };
        Self { first_death: death, ..Self::with(world, kind, dice, (start_ms, heal_ms), script) }
    }

    fn with(world: World, kind: Kind, dice: Dice, times: (i64, i64), script: Vec<(i64, Happening)>) -> Self {
        // In memory where there is such a place: what is written is not to survive this machine.
        let shared = std::path::Path::new("/dev/shm");
        let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
        let (folder, asked, (start_ms, heal_ms)) = (folder.unwrap(), Vec::new(), times);
        let (next, healed, first_death, steps) = (0, false, None, 0);
        Self { world, kind, dice, folder, start_ms, heal_ms, script, next, asked, healed, first_death, steps }
    }

    /// Tells the story to its end.
    pub(crate) fn tell(&mut self) {
        self.live(None, async |story, store| {
            life::register(&story.world, store).await;
            let life = Life::start(&story.world, store).await;
            let settings = PlanSettings {
                profiles: vec![LOAD],
                cadence: Cadence::Seconds(3_600),
                window_s: 1,
                deadline_s: 1_800,
                grace_s: 1_200,
                backfill_s: BACKFILL_S,
                ..PlanSettings::default()
            };
            life.collection.create(plan(), settings, None).await.expect("a plan");
            // What comes before belongs to no plan yet.
            while life.store.plan_states(&plan(), None, 10).await.unwrap().len() < story.world.state().meters() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        loop {
            let steps = self.dice.between(1, 600);
            let by_chance = self.kind.restarts && !self.healed && self.dice.chance(700);
            let last_step = self.first_death.take().or(by_chance.then_some(steps));
            let done = self.live(last_step, async |story, store| {
                let life = Life::start(&story.world, store).await;
                story.drive(&life).await;
                story.verify(&life).await;
            });
            if done {
                return;
            }
        }
    }

    /// One life of the head-end; whether it came to its end by itself.
    fn live(&mut self, last_step: Option<u64>, what: impl AsyncFnOnce(&mut Self, &SqliteStore)) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (world, store) = (self.world.clone(), life::open(self.folder.path()));
        let (done, now) = runtime.block_on(async {
            world.begin(last_step);
            let done = tokio::select! {
                biased;
                () = world.death() => false,
                () = what(self, &store) => true,
            };
            world.kill();
            let state = world.state();
            self.steps = state.steps;
            (done, state.now_ms())
        });
        // Nothing is told that it ends: what it has on its lines and in its hands is gone.
        drop(runtime);
        let pause = millis(if done { 0 } else { self.dice.between(1_000, 15 * MINUTE) });
        world.end(now, pause);
        let closing = tokio::runtime::Builder::new_current_thread().build().unwrap();
        closing.block_on(async { dlms_head_end::store::Store::close(&store).await });
        done
    }

    async fn until(&self, at_ms: i64) {
        let left = at_ms - self.world.state().now_ms();
        sleep(Duration::from_millis(u64::try_from(left).unwrap_or(0))).await;
    }

    /// Lets happen what is to happen, until all is well again.
    async fn drive(&mut self, life: &Life) {
        while let Some((at_ms, what)) = self.script.get(self.next).copied() {
            self.until(at_ms).await;
            self.world.state().note(|| format!("{what:?}"));
            match what {
                Happening::Switch { meter, connect } => self.switch(life, meter, connect).await,
                Happening::Clock { ahead_ms } => self.world.state().ahead_ms = ahead_ms,
                Happening::Reboot { meter } => self.world.state().reboot(meter),
                Happening::Away { meter, for_ms } => {
                    let mut state = self.world.state();
                    state.away_until[meter] = state.now_ms() + for_ms;
                }
                Happening::Kill => {
                    self.next += 1;
                    self.world.kill();
                    return std::future::pending().await;
                }
                Happening::Heal => {
                    let mut state = self.world.state();
                    state.weather = Weather::default();
                    state.away_until.fill(0);
                    state.ahead_ms = 0;
                    if self.kind.restarts {
                        state.last_step = None;
                    }
                    self.healed = true;
                }
            }
            self.next += 1;
        }
        let limit = self.heal_ms + millis(RECOVERY);
        while self.world.state().now_ms() < limit && !self.is_well(life).await {
            sleep(Duration::from_secs(60)).await;
        }
    }

    /// Somebody asks for a switch, and asks again until it is accepted. One at a time for each meter.
    async fn switch(&mut self, life: &Life, meter: usize, connect: bool) {
        let last = self.asked.iter().rfind(|asked| asked.meter == meter);
        let repeated = last.is_some_and(|last| last.job.is_none());
        if let Some(job) = last.and_then(|last| last.job)
            && !life.store.job(job).await.unwrap().expect("an accepted job").state.has_ended()
        {
            return;
        }
        if !repeated {
            let since_ms = self.world.state().now_ms();
            self.asked.push(Asked { meter, connect, since_ms, job: None });
        }
        let number = self.asked.iter().rposition(|asked| asked.meter == meter).unwrap();
        let spec = if self.asked[number].connect { "reconnect" } else { "disconnect" };
        let new = NewJob {
            tenant: None,
            creator: "ann".to_owned(),
            spec: spec.as_bytes().to_vec(),
            target: Target::Meters(vec![life::id(meter).to_string()]),
            priority: Priority::Normal,
            not_before: None,
            expires: Some(self.world.now() + SignedDuration::from_mins(40)),
            reason: String::new(),
            request: Some(RequestKey { method: "Submit", id: format!("{number}"), digest: [0; 32] }),
        };
        let job = life.jobs.submit(new).await.expect("a job is accepted");
        self.asked[number].job = Some(job);
    }

    /// The last moment that is due, in seconds, and the first one.
    fn due(&self) -> (i64, i64) {
        let hour = |ms: i64| ms.div_euclid(3_600_000) * 3_600;
        (hour(self.start_ms) - i64::from(BACKFILL_S), hour(self.heal_ms))
    }

    async fn is_well(&self, life: &Life) -> bool {
        for asked in &self.asked {
            if let Some(job) = asked.job
                && !life.store.job(job).await.unwrap().expect("an accepted job").state.has_ended()
            {
                return false;
            }
        }
        let due = Timestamp::from_second(self.due().1).unwrap();
        let states = life.store.plan_states(&plan(), None, 10).await.unwrap();
        states.len() == self.world.state().meters()
            && states.iter().all(|state| state.watermark.is_some_and(|watermark| watermark >= due))
    }

    /// Compares what is held with what the meters have and did.
    async fn verify(&self, life: &Life) {
        let meters = self.world.state().meters();
        let mut broken = Vec::new();
        for meter in 0..meters {
            self.verify_captures(life, meter, &mut broken).await;
            self.verify_switches(life, meter, &mut broken).await;
        }
        self.world.state().truth.broken.extend(broken);
    }

    async fn verify_captures(&self, life: &Life, meter: usize, broken: &mut Vec<String>) {
        let (first, last) = self.due();
        let rows = self.world.state().with_device(meter, |device| meter::rows(device.device, first + 1, last));
        let query = CaptureQuery {
            meter: life::id(meter),
            filter: CaptureFilter::Profile(LOAD),
            from: Timestamp::from_second(first + 1).unwrap(),
            to: Timestamp::from_second(last + 1).unwrap(),
            all_revisions: true,
            after: None,
            limit: 10_000,
        };
        let held = life.store.query(query).await.unwrap().captures;
        let expected = usize::try_from((last - first) / PERIOD).unwrap();
        if rows.len() != expected {
            broken.push(format!("the model itself: meter {meter} has {} rows and not {expected}", rows.len()));
        }
        let held: Vec<(i64, Vec<Value>)> =
            held.into_iter().map(|capture| (capture.time.as_second(), capture.values)).collect();
        for (number, row) in rows.into_iter().enumerate() {
            let at = first + PERIOD * (i64::try_from(number).unwrap() + 1);
            let found: Vec<_> = held.iter().filter(|(time, _)| *time == at).collect();
            match found[..] {
                [] => broken.push(format!("meter {meter}: the interval that ends at {at} is lost")),
                [(_, values)] if *values != row => {
                    broken.push(format!("meter {meter}: the interval that ends at {at} is wrong: {values:?}, {row:?}"));
                }
                [_] => {}
                _ => {
                    broken.push(format!("meter {meter}: the interval that ends at {at} is held {} times", found.len()))
                }
            }
        }
        if held.len() != expected {
            broken.push(format!("meter {meter}: {} intervals are held instead of {expected}", held.len()));
        }
    }

    async fn verify_switches(&self, life: &Life, meter: usize, broken: &mut Vec<String>) {
        let asked: Vec<&Asked> = self.asked.iter().filter(|asked| asked.meter == meter).collect();
        let executed = self.world.state().truth.executed.clone();
        let mut connected = true;
        for (number, one) in asked.iter().enumerate() {
            let until_ms = asked.get(number + 1).map_or(i64::MAX, |next| next.since_ms);
            let of_this = |at_ms| (one.since_ms..until_ms).contains(&at_ms);
            let done = executed.iter().filter(|done| done.meter == meter && of_this(done.at_ms));
            let done: Vec<i8> = done.map(|done| done.method).collect();
            let wanted = if one.connect { 2 } else { 1 };
            if done.len() > 1 || done.iter().any(|method| *method != wanted) {
                broken.push(format!("meter {meter}: {one:?} was carried out {} times: {done:?}", done.len()));
            }
            let Some(job) = one.job else { continue };
            let tasks = life.store.list_tasks(job, TaskFilter::default(), None, 10).await.unwrap();
            let result = match &tasks[..] {
                [task] => task.result,
                _ => None,
            };
            match result {
                Some(TaskResult::Succeeded) => {
                    if done.is_empty() && connected != one.connect {
                        broken.push(format!("meter {meter}: {one:?} has succeeded, and nothing was done"));
                    }
                }
                Some(TaskResult::Expired) if done.is_empty() => {}
                other => broken.push(format!("meter {meter}: {one:?} ended as {other:?}, carried out {done:?}")),
            }
            connected = done.last().map_or(connected, |method| *method == 2);
        }
        let now = self.world.state().with_device(meter, |device| meter::is_connected(device.device));
        if now != connected {
            broken.push(format!("the model itself: meter {meter} is connected: {now}"));
        }
    }
}
