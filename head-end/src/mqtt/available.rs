//! Which meters are heard of.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::meter::MeterId;

/// What is known of a meter.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// When something of it was stored last, or since when we wait for it.
    heard: Instant,
    /// Whether that was anything at all.
    ever: bool,
    /// What this connection has been told.
    told: Option<bool>,
}

/// Which meters are heard of: one entry for each registered meter.
#[derive(Debug)]
pub(super) struct Available {
    meters: HashMap<MeterId, Known>,
    offline_after: Duration,
}

impl Available {
    pub(super) fn new(offline_after: Duration) -> Self {
        Self { meters: HashMap::new(), offline_after }
    }

    /// Waits for all of these, and forgets those that are registered no longer.
    pub(super) fn registered(&mut self, meters: Vec<MeterId>, now: Instant) {
        let mut before = std::mem::take(&mut self.meters);
        for meter in meters {
            let known = before.remove(&meter).unwrap_or(Known { heard: now, ever: false, told: None });
            self.meters.insert(meter, known);
        }
    }

    /// Something of a meter was stored.
    pub(super) fn heard(&mut self, meter: &MeterId, now: Instant) {
        match self.meters.get_mut(meter) {
            Some(known) => (known.heard, known.ever) = (now, true),
            None => {
                self.meters.insert(meter.clone(), Known { heard: now, ever: true, told: None });
            }
        }
    }

    /// A new connection has been told nothing.
    pub(super) fn nothing_told(&mut self) {
        self.meters.values_mut().for_each(|known| known.told = None);
    }

    /// What is to be told, at most `limit`. A meter that was not heard of since the start is neither, until it has been
    /// silent for long enough.
    pub(super) fn news(&self, now: Instant, limit: usize) -> Vec<(MeterId, bool)> {
        let news = self.meters.iter().filter_map(|(meter, known)| {
            let silent = now.saturating_duration_since(known.heard) >= self.offline_after;
            let state = if silent { Some(false) } else { known.ever.then_some(true) };
            state.filter(|state| known.told != Some(*state)).map(|state| (meter.clone(), state))
        });
        news.take(limit).collect()
    }

    /// That was told.
    pub(super) fn told(&mut self, news: &[(MeterId, bool)]) {
        for (meter, state) in news {
            if let Some(known) = self.meters.get_mut(meter) {
                known.told = Some(*state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_online_when_it_is_heard_and_offline_when_it_is_not() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let id = |text: &str| text.parse::<MeterId>().unwrap();
        let mut available = Available::new(Duration::from_secs(100));
        available.registered(vec![id("a"), id("b")], start);
        assert_eq!(available.news(at(1), 9), []);
        available.heard(&id("a"), at(10));
        let news = available.news(at(10), 9);
        assert_eq!(news, [(id("a"), true)]);
        available.told(&news);
        available.heard(&id("a"), at(20));
        assert_eq!(available.news(at(20), 9), [], "once");
        assert_eq!(available.news(at(100), 9), [(id("b"), false)], "never heard of");
        let mut news = available.news(at(120), 9);
        news.sort();
        assert_eq!(news, [(id("a"), false), (id("b"), false)]);
        assert_eq!(available.news(at(120), 1).len(), 1);
        available.told(&news);
        available.nothing_told();
        assert_eq!(available.news(at(120), 9).len(), 2, "a new connection is told all");
        available.registered(vec![id("b")], at(121));
        assert_eq!(available.news(at(121), 9), [(id("b"), false)]);
    }
}
