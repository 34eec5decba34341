//! A fleet of simulated meters, running.

mod check;
mod error;
pub(crate) mod handle;
pub(crate) mod open;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{FleetConfig, Group, KeySource, SiteConfig};
use super::control::{self, Control};
use super::device::PhysicalDevice;
use super::driver::{self, Devices, WakeList};
use super::net::Shared;
use super::net::counts::{Counts, LineCounts};
use super::net::descriptors::{Descriptors, descriptor_limit};
use super::net::push::Sender;
use super::p1::{self, P1Config};
use super::population::Population;
use super::timeline::{Timeline, wall_clock};
use crate::moment::Moment;

pub use error::FleetError;
pub use handle::{DeviceHandle, LineAddress, Ports};

/// Running meters. They stop when this is dropped, or in good order with [`shutdown`](Self::shutdown).
#[derive(Debug)]
pub struct Fleet {
    devices: Arc<[DeviceHandle]>,
    shared: Arc<Shared>,
    population: Arc<Population>,
    told: ControlAddresses,
}

/// Where a fleet is controlled and watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlAddresses {
    /// The whole control interface.
    pub control: Option<SocketAddr>,
    /// Metrics alone.
    pub metrics: Option<SocketAddr>,
}

impl Fleet {
    /// Opens all ports and serves them until the fleet is shut down or dropped. Must be called within a tokio runtime
    /// with time and I/O.
    ///
    /// # Errors
    /// A setting outside its range, or a port that cannot be opened; no meter runs then.
    pub async fn start(config: FleetConfig) -> Result<Self, FleetError> {
        let group = config.group();
        Self::start_groups(config, vec![group]).await
    }

    /// The same with these groups of meters instead of the one that `config` describes: its model, number, seed, keys,
    /// system title and faults do not count.
    ///
    /// # Errors
    /// As [`Fleet::start`].
    pub async fn start_groups(config: FleetConfig, groups: Vec<Group>) -> Result<Self, FleetError> {
        check::fleet(&config)?;
        for group in &groups {
            let master_key = match &group.keys {
                KeySource::Shared(keys) => keys.master.is_some(),
                KeySource::Derived(_) => true,
            };
            check::group(group, master_key)?;
        }
        let sections = sections(&config, &groups);
        for (numbers, site) in &sections {
            check::site(site, numbers.end.saturating_sub(numbers.start))?;
        }
        let wall = wall_clock();
        let timeline = Timeline::new(config.start.unwrap_or(wall), config.speed);
        let population = Arc::new(Population::new(groups, timeline, wall, config.state).pushing_to(config.push_to));
        check::titles(&population)?;
        check::samples(&population)?;
        let listening = sections.iter().map(|(numbers, site)| open::sockets(numbers, site)).sum();
        let limit = config.limits.descriptors.or_else(descriptor_limit);
        let descriptors = Descriptors::new(limit, listening);
        let descriptors =
            descriptors.ok_or(FleetError::Descriptors { listening, limit: limit.unwrap_or(usize::MAX) })?;
        let counts = Arc::new(LineCounts::default());
        let shared = Arc::new(Shared {
            limits: config.limits,
            hdlc: config.hdlc,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            descriptors,
            counts,
        });
        // Dropped with an error, the guard ends what has been started.
        let guard = shared.cancel.clone().drop_guard();
        let wake = Arc::new(WakeList::default());
        let mut devices = Vec::new();
        for (numbers, site) in sections {
            let first = devices.len();
            devices.extend(open::section(&shared, &population, &wake, first, (numbers, &site)).await?);
        }
        let devices: Arc<[DeviceHandle]> = devices.into();
        let control =
            Control { devices: Arc::clone(&devices), population: Arc::clone(&population), shared: Arc::clone(&shared) };
        let mut told = ControlAddresses::default();
        if let Some(address) = config.control {
            let refused = |source| FleetError::Listen { protocol: "control", address, source };
            told.control = Some(control::serve(control.clone(), address).await.map_err(refused)?);
        }
        if let Some(address) = config.metrics {
            let refused = |source| FleetError::Listen { protocol: "metrics", address, source };
            told.metrics = Some(control::serve_metrics(control, address).await.map_err(refused)?);
        }
        guard.disarm();
        let sender = Sender::new(Arc::clone(&devices), Arc::clone(&shared));
        driver::start(Arc::clone(&devices), wake, sender, timeline, shared.cancel.clone(), &shared.tasks);
        shared.tasks.close();
        Ok(Self { devices, shared, population, told })
    }

    /// Opens customer ports, which are served until the fleet is shut down or dropped; returns where TCP connections are
    /// accepted, device by device.
    ///
    /// # Errors
    /// An interval outside its range, or a port that cannot be opened.
    pub async fn open_p1(&self, config: &P1Config) -> Result<Vec<SocketAddr>, FleetError> {
        p1::open(&self.shared, &self.devices, config).await
    }

    /// The physical devices: one for each meter, or one for all logical devices.
    #[must_use]
    pub fn devices(&self) -> &[DeviceHandle] {
        &self.devices
    }

    /// Who its meters are.
    pub(crate) fn population(&self) -> &Population {
        &self.population
    }

    /// The simulated time.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        self.population.timeline()
    }

    /// Where it is controlled and watched.
    #[must_use]
    pub const fn control_addresses(&self) -> ControlAddresses {
        self.told
    }

    /// What the lines of the fleet did since its start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts.snapshot()
    }

    /// Descriptors that the process may open, where that is limited, and connections that still fit into them.
    #[must_use]
    pub fn descriptors(&self) -> (Option<usize>, usize) {
        (self.shared.descriptors.limit(), self.shared.descriptors.free())
    }

    /// Moves the meters' time forward to `moment`, for tests that cannot wait: what is due by then happens when a meter is
    /// asked next. The driver that wakes meters without a client keeps its time.
    pub fn jump(&self, moment: Moment) {
        self.population.jump(moment);
    }

    /// Closes all connections and ports, and waits until they are closed.
    pub async fn shutdown(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}

impl Devices for Arc<[DeviceHandle]> {
    fn count(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    fn with(&self, number: u32, act: &mut dyn FnMut(&mut PhysicalDevice)) {
        if let Some(handle) = self.get(number as usize) {
            handle.with(act);
        }
    }
}

/// Groups that are reached in the same way and follow each other, by the numbers of their meters.
fn sections(config: &FleetConfig, groups: &[Group]) -> Vec<(Range<u32>, SiteConfig)> {
    let common = config.site();
    let mut sections: Vec<(Range<u32>, SiteConfig)> = Vec::new();
    let mut next: u32 = 0;
    for group in groups {
        let numbers = next..next.saturating_add(group.meters);
        next = numbers.end;
        let site = group.site.as_ref().unwrap_or(&common);
        match sections.last_mut().filter(|(_, last)| last == site) {
            Some((all, _)) => all.end = numbers.end,
            None => sections.push((numbers, site.clone())),
        }
    }
    sections
}
