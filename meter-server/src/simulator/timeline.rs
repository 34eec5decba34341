//! Simulated time: starts somewhere and runs at some speed.

use std::time::{Duration, Instant};

use crate::moment::Moment;

/// The time of all meters of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    start: Moment,
    started: Instant,
    speed: f64,
}

impl Timeline {
    /// Time that is `start` now and runs `speed` times as fast as real time; 0 stops it.
    #[must_use]
    pub fn new(start: Moment, speed: f64) -> Self {
        Self { start, started: Instant::now(), speed }
    }

    /// The operating system's time, at real speed.
    #[must_use]
    pub fn real() -> Self {
        Self::new(wall_clock(), 1.0)
    }

    /// Simulated seconds in a real one.
    #[must_use]
    pub const fn speed(&self) -> f64 {
        self.speed
    }

    /// The moment at which it started.
    #[must_use]
    pub const fn start(&self) -> Moment {
        self.start
    }

    /// The simulated moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        // A saturating conversion: a century at a million times real speed is the end of time, not a wrap.
        self.start.plus_millis((self.started.elapsed().as_secs_f64() * 1000.0 * self.speed) as i64)
    }

    /// How long it takes in real time until a simulated moment; `None` when it never comes.
    #[must_use]
    pub fn until(&self, moment: Moment) -> Option<Duration> {
        let left_ms = moment.as_millis().saturating_sub(self.now().as_millis());
        if left_ms <= 0 {
            return Some(Duration::ZERO);
        }
        Duration::try_from_secs_f64(left_ms as f64 / 1000.0 / self.speed).ok()
    }
}

/// The operating system's time.
pub(crate) fn wall_clock() -> Moment {
    Moment::from_millis(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_multiplies_time_and_zero_stops_it() {
        let stopped = Timeline::new(Moment::from_seconds(5), 0.0);
        let fast = Timeline::new(Moment::from_seconds(5), 1e6);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(stopped.now(), Moment::from_seconds(5));
        assert!(fast.now() >= Moment::from_seconds(5 + 2_000));
        assert_eq!(stopped.until(Moment::from_seconds(6)), None);
        assert_eq!(fast.until(Moment::from_seconds(5)), Some(Duration::ZERO));
        let slow = Timeline::new(Moment::from_seconds(5), 0.5);
        assert!(slow.until(Moment::from_seconds(105)).is_some_and(|left| left > Duration::from_secs(100)));
    }
}
