//! What the head-end does, as figures for Prometheus.
//!
//! Whoever does something counts it in atomics of its own (see [`measure`](crate::measure)); here they are gathered when
//! somebody asks. The one exception is what only the store knows: it is counted from time to time. All names are in
//! [`METRICS`], and explained in `docs/metrics.md`.

mod endpoint;
mod names;
mod page;
mod process;
mod sample;

use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    endpoint::{ListenError, listen},
    names::{Kind, METRICS, Metric},
};
use self::{
    names as name,
    page::Page,
    sample::{Sample, Standing},
};
use crate::{
    api::ApiCounts,
    collection::{Collection, Timeliness},
    dial_in,
    fleet::Fleet,
    push,
    store::{JobState, Store, TaskResult},
    telegram::Telegrams,
};

/// All figures of a head-end. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<registry::Registry>);

/// Whose figures they are.
#[derive(Debug)]
pub struct Sources<S> {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// The listeners for pushes.
    pub push: Arc<push::Counts>,
    /// The listeners for meters that connect.
    pub dial_in: Arc<dial_in::Counts>,
    /// What takes telegrams.
    pub telegrams: Telegrams<S, Fleet>,
    /// The API.
    pub api: Arc<ApiCounts>,
    /// The store.
    pub store: Arc<S>,
}

#[derive(Debug)]
struct Gatherer<S> {
    sources: Sources<S>,
    sample: watch::Receiver<Option<Arc<Sample>>>,
    runtime: Handle,
}

impl Metrics {
    /// The figures of `sources`; what has to be counted in the store is counted by one of `tasks` until `stop`. Must be
    /// called inside a tokio runtime.
    #[must_use]
    pub fn start<S: Store + fmt::Debug>(
        sources: Sources<S>,
        collection: Collection<S, Fleet>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (send, sample) = watch::channel(None);
        tasks.spawn(sample::run(Arc::clone(&sources.store), collection, send, stop));
        let mut registry = registry::Registry::default();
        registry.register_collector(Box::new(Gatherer { sources, sample, runtime: Handle::current() }));
        Self(Arc::new(registry))
    }

    /// The figures now, in the text format of OpenMetrics 1.0.
    ///
    /// # Errors
    /// When a metric breaks the rules of the format, which is a defect of this program.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

impl<S: Store + fmt::Debug> Collector for Gatherer<S> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(encoder);
        self.fleet(page)?;
        self.push(page)?;
        self.telegrams(page)?;
        self.api(page)?;
        self.store(page)?;
        let sample = self.sample.borrow().clone();
        work(page, sample.as_deref())?;
        process(page)?;
        page.one(&name::TASKS_ALIVE, self.runtime.metrics().num_alive_tasks() as u64)
    }
}

impl<S: Store> Gatherer<S> {
    fn fleet(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.sources.fleet.counts();
        page.by_two(&name::OPERATIONS, counts.operations())?;
        page.histograms(&name::OPERATION_SECONDS, counts.times())?;
        let (opened, failed) = counts.openings();
        page.one(&name::ASSOCIATIONS, counts.associations())?;
        page.one(&name::ASSOCIATIONS_OPENED, opened)?;
        page.one(&name::ASSOCIATIONS_FAILED, failed)?;
        page.histogram(&name::OPENING_SECONDS, counts.opening())?;
        let load = self.sources.fleet.load();
        page.one(&name::METERS, load.meters)?;
        page.one(&name::MAILBOX, load.waiting)?;
        page.one(&name::MAILBOX_LONGEST, load.longest)?;
        page.one(&name::ROUTES, load.routes)?;
        page.one(&name::ROUTE_SESSIONS, load.route_sessions)?;
        page.one(&name::ROUTE_WAITING, load.route_waiting)?;
        page.by(&name::LINE_FAILURES, counts.line_failures())?;
        page.by(&name::SECURITY_FAILURES, counts.security_failures())?;
        page.by(&name::DEVIATIONS, counts.deviations())?;
        let (sent, received) = counts.octets();
        page.one(&name::SENT, sent)?;
        page.one(&name::RECEIVED, received)?;
        page.one(&name::NOTIFICATIONS, counts.notifications())?;
        page.one(&name::COUNTERS_RAISED, counts.counters_raised())
    }

    fn push(&self, page: &mut Page<'_>) -> fmt::Result {
        let seen = self.sources.push.seen();
        let connections = [("taken", seen.connections), ("refused", seen.connections_refused)];
        page.by(&name::PUSH_CONNECTIONS, connections)?;
        page.one(&name::PUSHES_ACCEPTED, seen.accepted)?;
        page.one(&name::PUSHES_REPEATED, seen.repeated)?;
        page.by(&name::PUSHES_REFUSED, seen.refused)?;
        page.by(&name::PUSHES_READ, [("understood", seen.read), ("not_understood", seen.unread)])?;
        let others = self.sources.telegrams.counts().dropped() + self.sources.dial_in.dropped();
        let dropped = seen.unclaimed_dropped + others;
        page.one(&name::UNCLAIMED_DROPPED, dropped)
    }

    fn telegrams(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.sources.telegrams.counts();
        page.by(&name::DIAL_INS, self.sources.dial_in.outcomes())?;
        page.by(&name::DIAL_IN_ASSOCIATIONS, self.sources.fleet.counts().calls())?;
        page.by(&name::TELEGRAMS, counts.taken())?;
        page.by(&name::TELEGRAMS_REFUSED, counts.refused())?;
        page.by(&name::TELEGRAM_CONNECTIONS, counts.connections())
    }

    fn api(&self, page: &mut Page<'_>) -> fmt::Result {
        page.by_two(&name::CALLS, self.sources.api.calls())?;
        let newest = *self.sources.store.newest_change().borrow();
        let (followers, last) = self.sources.api.followers();
        page.one(&name::FOLLOWERS, followers)?;
        page.one(&name::FOLLOWER_LAG, last.map_or(0, |last| newest.saturating_sub(last)))?;
        page.one(&name::CHANGES, newest)
    }

    fn store(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = self.sources.store.counts();
        let writers = || counts.map(|counts| [("control", &counts.control), ("readings", &counts.readings)]);
        let writers = || writers().into_iter().flatten();
        page.histograms(&name::COMMIT_SECONDS, writers().map(|(name, writer)| (name, &writer.commits)))?;
        page.histograms(&name::BATCHES, writers().map(|(name, writer)| (name, &writer.batches)))?;
        page.by(&name::STORE_FAILURES, writers().map(|(name, writer)| (name, writer.failures.get())))
    }
}

/// What was counted in the store; nothing before the first time.
fn work(page: &mut Page<'_>, sample: Option<&Sample>) -> fmt::Result {
    let states = JobState::ALL.into_iter().filter(|state| !state.has_ended());
    let jobs = states.filter_map(|state| sample.and_then(|s| Some((job_state(state), *s.jobs.get(state as usize)?))));
    page.by(&name::JOBS, jobs)?;
    let tasks = sample.map(|sample| {
        let tasks = &sample.tasks;
        let open = [("waiting", tasks.waiting), ("held", tasks.held), ("running", tasks.running)];
        open.into_iter().chain(TaskResult::ALL.into_iter().map(|result| (result.name(), tasks.of(result))))
    });
    page.by(&name::TASKS, tasks.into_iter().flatten())?;
    let plans = sample.map(|sample| [("active", sample.plans_active), ("paused", sample.plans_paused)]);
    page.by(&name::PLANS, plans.into_iter().flatten())?;
    let meters = sample.map(|sample| {
        let Standing { waiting, due, late, failing, stopped } = sample.meters;
        [("waiting", waiting), ("due", due), ("late", late), ("failing", failing), ("stopped", stopped)]
    });
    page.by(&name::PLAN_METERS, meters.into_iter().flatten())?;
    let intervals = sample.map(|sample| {
        let Timeliness { due, by_deadline, held, absent, .. } = sample.intervals;
        [("due", due), ("held_by_deadline", by_deadline), ("held", held), ("absent", absent)]
    });
    page.by(&name::PLAN_INTERVALS, intervals.into_iter().flatten())?;
    // Not a number where nothing was counted yet, which a graph leaves out.
    page.one(&name::SAMPLE_SECONDS, sample.map_or(f64::NAN, |sample| sample.at.elapsed().as_secs_f64()))
}

fn process(page: &mut Page<'_>) -> fmt::Result {
    let Some(process) = process::read() else { return Ok(()) };
    page.one(&name::RESIDENT, process.resident_octets)?;
    page.one(&name::CPU, process.cpu_s)?;
    page.one(&name::FILES, process.files)?;
    page.one(&name::THREADS, process.threads)?;
    page.one(&name::STARTED, process.started_s)
}

const fn job_state(state: JobState) -> &'static str {
    match state {
        JobState::Expanding => "expanding",
        JobState::AwaitingApproval => "awaiting_approval",
        JobState::Running => "running",
        JobState::Cancelling => "cancelling",
        JobState::Finished => "finished",
        JobState::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of the page: name, kind and labels of each row.
    fn documented() -> Vec<(String, String, String)> {
        let page = include_str!("../../../docs/metrics.md");
        let rows = page.lines().filter(|line| line.starts_with("| `headend_") || line.starts_with("| `process_"));
        let cell = |cells: &[&str], n: usize| cells.get(n).unwrap_or(&"").trim().replace('`', "");
        rows.map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            (cell(&cells, 1), cell(&cells, 2), cell(&cells, 3))
        })
        .collect()
    }

    #[test]
    fn the_page_of_the_documentation_has_every_metric_with_its_kind_and_labels() {
        let known: Vec<_> = METRICS
            .iter()
            .map(|metric| (metric.exposed(), metric.kind.name().to_owned(), metric.labels.join(", ")))
            .collect();
        assert_eq!(documented(), known);
    }

    #[test]
    fn names_follow_one_rule() {
        for metric in METRICS {
            let valid = |text: &str| text.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_');
            assert!(valid(metric.name) && metric.labels.iter().all(|label| valid(label)), "{metric:?}");
            assert!(!metric.name.ends_with("_total") && !metric.help.ends_with('.'), "{metric:?}");
            assert!(metric.labels.iter().all(|label| !["meter", "tenant", "plan", "job", "route"].contains(label)));
        }
    }
}
