//! The list of all metrics. `docs/metrics.md` has the same ones; a test compares them.

/// What sort of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows only, from 0 at the start of the process.
    Counter,
    /// As it is now.
    Gauge,
    /// How often values were how large.
    Histogram,
}

impl Kind {
    /// Its name in the exposition format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, for counters without `_total`.
    pub name: &'static str,
    /// What sort of number it is.
    pub kind: Kind,
    /// Its labels. The values of each are from a list that this program has.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Metric {
    /// Its name as Prometheus has it.
    #[must_use]
    pub fn exposed(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{suffix}", self.name)
    }
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal $labels:tt $help:literal;)*) => {
        $(pub(super) const $constant: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &$labels, help: $help };)*

        /// All metrics, in the order in which they are written.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    OPERATIONS: Counter "headend_operations" ["operation", "outcome"]
        "Operations on meters that ended, by what became of them";
    OPERATION_SECONDS: Histogram "headend_operation_seconds" ["operation"]
        "Time from a call to its answer, queueing and opening included";
    ASSOCIATIONS: Gauge "headend_associations" [] "Associations that are open";
    ASSOCIATIONS_OPENED: Counter "headend_associations_opened" [] "Associations that were opened";
    ASSOCIATIONS_FAILED: Counter "headend_associations_failed" [] "Associations that could not be opened";
    OPENING_SECONDS: Histogram "headend_association_opening_seconds" []
        "Time that opening an association took, connection included";
    METERS: Gauge "headend_live_meters" [] "Meters that have a task now";
    MAILBOX: Gauge "headend_mailbox_operations" [] "Operations that wait for their meters";
    MAILBOX_LONGEST: Gauge "headend_mailbox_longest_operations" [] "Operations that wait for the meter with the most";
    ROUTES: Gauge "headend_routes" [] "Routes in use: lines, gateways and pools that meters share";
    ROUTE_SESSIONS: Gauge "headend_route_sessions" [] "Sessions on routes";
    ROUTE_WAITING: Gauge "headend_route_waiting_sessions" [] "Sessions that wait for a place on a route";
    LINE_FAILURES: Counter "headend_link_failures" ["reason"] "Connections that failed or were not made";
    SECURITY_FAILURES: Counter "headend_security_failures" ["reason"] "Sessions that ended because of security";
    DEVIATIONS: Counter "headend_deviations" ["deviation"]
        "Departures of meters from the standard that were tolerated, counted when their session ends";
    SENT: Counter "headend_sent_octets" [] "Octets sent to meters, link layers included";
    RECEIVED: Counter "headend_received_octets" [] "Octets received of meters, link layers included";
    NOTIFICATIONS: Counter "headend_session_notifications" [] "Notifications that came inside sessions";
    COUNTERS_RAISED: Counter "headend_counters_raised" []
        "Invocation counters that were moved up to what their meter said";
    PUSH_CONNECTIONS: Counter "headend_push_connections" ["outcome"] "Connections to the listeners for pushes";
    PUSHES_ACCEPTED: Counter "headend_pushes_accepted" [] "Pushes that were verified and kept";
    PUSHES_REPEATED: Counter "headend_pushes_repeated" [] "Pushes that were kept before and confirmed again";
    PUSHES_REFUSED: Counter "headend_pushes_refused" ["reason"] "Pushes that were not believed or not taken";
    PUSHES_READ: Counter "headend_pushes_read" ["outcome"] "Pushes of which readings or events were made, and others";
    UNCLAIMED_DROPPED: Counter "headend_unclaimed_dropped" [] "Sightings of unknown devices that found no room";
    DIAL_INS: Counter "headend_dial_in_connections" ["outcome"] "Connections that meters made, or others";
    DIAL_IN_ASSOCIATIONS: Counter "headend_dial_in_associations" ["outcome"]
        "Associations on connections that were said to be of a meter";
    TELEGRAMS: Counter "headend_telegrams" ["outcome"]
        "Telegrams that were taken: stored, or of an interval that is held already";
    TELEGRAMS_REFUSED: Counter "headend_telegrams_refused" ["reason"] "Telegrams that were not believed or not taken";
    TELEGRAM_CONNECTIONS: Counter "headend_telegram_connections" ["outcome"]
        "Connections to listening ports for telegrams";
    CALLS: Counter "headend_api_calls" ["method", "code"] "Calls of the API that were answered, and streams begun";
    FOLLOWERS: Gauge "headend_reading_subscriptions" [] "Subscriptions of readings";
    FOLLOWER_LAG: Gauge "headend_reading_subscription_lag_changes" []
        "Changes of the store that the slowest subscription has still to be sent";
    CHANGES: Counter "headend_store_changes" [] "Changes of readings that the store has numbered, over all its life";
    COMMIT_SECONDS: Histogram "headend_store_commit_seconds" ["writer"] "Time until a transaction was durable";
    BATCHES: Histogram "headend_store_batch_writes" ["writer"]
        "Writes in one transaction: changes of the control database, or captures";
    STORE_FAILURES: Counter "headend_store_failures" ["writer"] "Transactions that failed";
    JOBS: Gauge "headend_jobs" ["state"] "Jobs that have not ended";
    TASKS: Gauge "headend_tasks" ["state"] "Tasks of jobs that have not ended, by state or result";
    PLANS: Gauge "headend_plans" ["state"] "Plans, by whether they rest";
    PLAN_METERS: Gauge "headend_plan_meters" ["state"] "Meters of plans that do not rest, by where they stand";
    PLAN_INTERVALS: Gauge "headend_plan_intervals" ["state"]
        "Intervals of profiles that plans had to bring in the last 24 hours, by what is held of them";
    SAMPLE_SECONDS: Gauge "headend_sample_age_seconds" []
        "Age of what is told about jobs, tasks and plans, which is counted from time to time";
    RESIDENT: Gauge "process_resident_memory_bytes" [] "Memory that the process has in use";
    CPU: Counter "process_cpu_seconds" [] "Time that the process has computed";
    FILES: Gauge "process_open_fds" [] "Files and sockets that the process has open";
    THREADS: Gauge "process_threads" [] "Threads of the process";
    STARTED: Gauge "process_start_time_seconds" [] "When the process was started, in seconds since 1970";
    TASKS_ALIVE: Gauge "headend_runtime_tasks" [] "Tasks of the runtime that are alive";
}
