//! Frame counters of ciphered telegrams.
//!
//! A counter must never come twice with a key and a system title, whatever simulated time does: they go by the wall clock at
//! the start of the process and by the time that has passed since, and never run ahead of it, so that the next process
//! begins behind them. All ports of a process share them, whatever their dialects.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use dlms::id::SystemTitle;

use crate::simulator::meter::security::first_counter;
use crate::simulator::timeline::Timeline;

/// How often it is looked whether the time of a counter has come: more often than they do.
const PAUSE: Duration = Duration::from_millis(20);

struct Counters {
    time: Timeline,
    /// The last one, by system title.
    last: Mutex<BTreeMap<SystemTitle, u32>>,
}

static COUNTERS: LazyLock<Counters> =
    LazyLock::new(|| Counters { time: Timeline::real(), last: Mutex::new(BTreeMap::new()) });

impl Counters {
    fn now(&self) -> u32 {
        first_counter(self.time.now())
    }

    /// Sets a counter aside. A process before this one may have used that of its start. `None` when all are used up.
    fn reserve(&self, title: SystemTitle) -> Option<u32> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.entry(title).or_insert_with(|| first_counter(self.time.start()));
        *last = last.checked_add(1)?.max(self.now());
        Some(*last)
    }
}

/// The next counter of the meter with this title, when its time has come; `None` when all are used up.
pub(super) async fn next_counter(title: SystemTitle) -> Option<u32> {
    let counter = COUNTERS.reserve(title)?;
    while COUNTERS.now() < counter {
        tokio::time::sleep(PAUSE).await;
    }
    Some(counter)
}
