//! Frame counters of ciphered telegrams.
//!
//! A counter must never come twice with a key and a system title, whatever simulated time does: they go by the wall clock at
//! the start of the process and by the time that has passed since, and never run ahead of it, so that the next process
//! begins behind them. All ports of a process share them, whatever their dialects. Meters that remember something across
//! restarts keep how far they are as well, so that a wall clock that was set back between two processes repeats none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use dlms::id::SystemTitle;

use crate::counters::Counters as Kept;
use crate::simulator::meter::security::first_counter;
use crate::simulator::state::State;
use crate::simulator::timeline::Timeline;

/// How often it is looked whether the time of a counter has come: more often than they do.
const PAUSE: Duration = Duration::from_millis(20);

struct Counters {
    time: Timeline,
    /// By system title.
    titles: Mutex<BTreeMap<SystemTitle, Title>>,
}

/// The counters of one meter.
struct Title {
    last: u32,
    /// How far they are, by the folder in which that is kept.
    kept: BTreeMap<PathBuf, Option<Kept<State>>>,
}

static COUNTERS: LazyLock<Counters> =
    LazyLock::new(|| Counters { time: Timeline::real(), titles: Mutex::new(BTreeMap::new()) });

impl Counters {
    fn now(&self) -> u32 {
        first_counter(self.time.now())
    }

    /// Sets a counter aside. A process before this one may have used that of its start. `None` when all are used up, or
    /// when what was kept cannot be read or written.
    fn reserve(&self, title: SystemTitle, keeper: Option<Keeper<'_>>) -> Option<u32> {
        let mut titles = self.titles.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = titles
            .entry(title)
            .or_insert_with(|| Title { last: first_counter(self.time.start()), kept: BTreeMap::new() });
        let mut next = entry.last.checked_add(1)?.max(self.now());
        if let Some(Keeper { folder, serial }) = keeper {
            let kept = entry.kept.entry(folder.to_path_buf()).or_insert_with(|| {
                let opened = Kept::open(State::new(Some(folder), serial, "customer-port"), 0, 0);
                opened.inspect_err(|_| tracing::error!(serial, "the counters of the customer port are lost")).ok()
            });
            next = kept.as_mut()?.take_from(next)?;
        }
        entry.last = next;
        Some(next)
    }
}

/// Where a meter keeps how far its counters are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeper<'a> {
    pub(super) folder: &'a Path,
    pub(super) serial: &'a str,
}

/// The next counter of the meter with this title, when its time has come; `None` when all are used up, or when it cannot be
/// kept.
pub(super) async fn next_counter(title: SystemTitle, keeper: Option<Keeper<'_>>) -> Option<u32> {
    let counter = COUNTERS.reserve(title, keeper)?;
    // What is kept need not wait for the wall clock, which may have been set back for long.
    while keeper.is_none() && COUNTERS.now() < counter {
        tokio::time::sleep(PAUSE).await;
    }
    Some(counter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;

    fn process(wall: Moment) -> Counters {
        Counters { time: Timeline::new(wall, 1.0), titles: Mutex::new(BTreeMap::new()) }
    }

    #[test]
    fn lesson_01_a_wall_clock_that_was_set_back_repeats_no_counter_of_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let title = SystemTitle(*b"TSTMETR1");
        let keeper = || Some(Keeper { folder: folder.path(), serial: "1" });
        let today = Moment::from_seconds(1_790_000_000);
        let mut used = std::collections::BTreeSet::new();
        for wall in [today, today.plus_millis(-86_400_000), today.plus_millis(-3_600_000), today.plus_millis(1_000)] {
            let process = process(wall);
            for _ in 0..40 {
                let counter = process.reserve(title, keeper()).unwrap();
                assert!(used.insert(counter), "{counter} a second time");
            }
        }
        // Nothing leaves under a counter that is not known to be new.
        for slot in ["1.customer-port.0", "1.customer-port.1"] {
            std::fs::write(folder.path().join(slot), b"broken").unwrap();
        }
        assert_eq!(process(today).reserve(title, keeper()), None);
    }
}
