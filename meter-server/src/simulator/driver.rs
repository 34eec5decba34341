//! Wakes meters when they have something to do, whether a client is connected or not.
//!
//! One task for a fleet, with the due moments of all its meters in order. It costs nothing per meter and tick: a meter
//! is looked at when it is due, or when a request has changed what is due.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::device::PhysicalDevice;
use super::meter::Notification;
use super::timeline::Timeline;
use crate::moment::Moment;

/// Meters that are looked at before other tasks get their turn.
const BATCH: usize = 256;
/// Longest sleep: a system that was suspended must not sleep on.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A meter of the fleet: number of its physical device, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MeterPlace {
    pub(crate) device: u32,
    pub(crate) meter: u32,
}

/// Access to the devices of a fleet by number.
pub(crate) trait Devices: Send + Sync + 'static {
    /// How many there are.
    fn count(&self) -> u32;

    /// Does something to device `number`, between two requests.
    fn with(&self, number: u32, act: &mut dyn FnMut(&mut PhysicalDevice));
}

/// Sends what meters push. Must not wait: it is called between the meters' turns.
pub(crate) trait Deliver: Send + 'static {
    /// Sends the notifications of one meter, the oldest first.
    fn deliver(&mut self, from: MeterPlace, notifications: VecDeque<Notification>);
}

/// Meters at which the driver has to look before it would: each of them once, as they say so once.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    places: Mutex<Vec<MeterPlace>>,
    any: Notify,
}

impl WakeList {
    fn take(&self) -> Vec<MeterPlace> {
        std::mem::take(&mut *self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a device calls the driver.
#[derive(Clone, Debug)]
pub(crate) struct Wake {
    pub(crate) list: Arc<WakeList>,
    /// Number of the device.
    pub(crate) device: u32,
}

impl Wake {
    /// Lets the driver look at a meter of this device soon.
    pub(crate) fn meter(&self, meter: usize) {
        let place = MeterPlace { device: self.device, meter: u32::try_from(meter).unwrap_or(u32::MAX) };
        self.list.places.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        self.list.any.notify_one();
    }
}

/// Starts the driver of a fleet; it ends with `cancel`.
pub(crate) fn start(
    devices: impl Devices,
    wake: Arc<WakeList>,
    deliver: impl Deliver,
    timeline: Timeline,
    cancel: CancellationToken,
    tasks: &TaskTracker,
) {
    let driver = Driver { devices, wake, deliver, timeline, due: BTreeSet::new() };
    tasks.spawn(async move {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = driver.run() => {}
        }
    });
}

struct Driver<A, S> {
    devices: A,
    wake: Arc<WakeList>,
    deliver: S,
    timeline: Timeline,
    /// One entry for each meter that has anything to do.
    due: BTreeSet<(Moment, MeterPlace)>,
}

impl<A: Devices, S: Deliver> Driver<A, S> {
    async fn run(mut self) {
        for device in 0..self.devices.count() {
            let mut meters = 0;
            self.devices.with(device, &mut |device| meters = device.len());
            for meter in 0..u32::try_from(meters).unwrap_or(u32::MAX) {
                self.look_first(MeterPlace { device, meter });
                if (meter as usize + device as usize).is_multiple_of(BATCH) {
                    tokio::task::yield_now().await;
                }
            }
        }
        loop {
            let pause = self.pause();
            tokio::select! {
                () = self.wake.any.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            let mut looked: usize = 0;
            for place in self.wake.take() {
                self.look(place);
                looked += 1;
                if looked.is_multiple_of(BATCH) {
                    tokio::task::yield_now().await;
                }
            }
            let now = self.timeline.now();
            while let Some((moment, place)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
                self.due.remove(&(moment, place));
                self.look(place);
                looked += 1;
                if looked.is_multiple_of(BATCH) {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// How long to sleep when nobody calls.
    fn pause(&self) -> Duration {
        let first = self.due.first().and_then(|(due, _)| self.timeline.until(*due));
        first.map_or(SLEEP_MAX, |pause| pause.min(SLEEP_MAX))
    }

    /// Notes when a meter is due that nobody has spoken to yet, without keeping it in memory until then.
    fn look_first(&mut self, place: MeterPlace) {
        let (mut made, mut first) = (false, None);
        self.devices.with(place.device, &mut |device| {
            made = device.is_made(place.meter as usize);
            first = if made { None } else { device.first_due(place.meter as usize) };
        });
        if made {
            self.look(place);
        }
        self.due.extend(first.map(|due| (due, place)));
    }

    /// Lets a meter do what is due, takes what it sends, and notes when it is due next.
    fn look(&mut self, place: MeterPlace) {
        let mut looked = None;
        self.devices.with(place.device, &mut |device| looked = device.run_due(place.meter as usize));
        let Some(turn) = looked else { return };
        if let Some(before) = turn.before {
            self.due.remove(&(before, place));
        }
        if let Some(next) = turn.next {
            self.due.insert((next, place));
        }
        if !turn.outgoing.is_empty() {
            self.deliver.deliver(place, turn.outgoing);
        }
    }
}

/// What came of looking at a meter.
#[derive(Debug)]
pub(crate) struct Turn {
    /// When the driver was to look at it.
    pub(crate) before: Option<Moment>,
    /// When it has to next.
    pub(crate) next: Option<Moment>,
    /// What it sends.
    pub(crate) outgoing: VecDeque<Notification>,
}
