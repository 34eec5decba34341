//! Who follows what is said to which meter. Where nobody does, it costs one look at a number.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use jiff::Timestamp;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    meter::MeterId,
    operation::{Direction, Said, TRACE_ENTRIES, TRACES, Trace, TraceEntry, TraceError},
};

/// All who follow.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// How many there are.
    active: AtomicUsize,
    followers: Mutex<Vec<Follower>>,
}

#[derive(Debug)]
struct Follower {
    meter: MeterId,
    entries: mpsc::Sender<TraceEntry>,
    octets: bool,
    lost: u64,
}

impl Traces {
    /// Follows `meter`, with the octets of the line where they are wanted.
    pub(super) fn follow(&self, meter: MeterId, octets: bool) -> Result<Trace, TraceError> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_gone(&mut followers);
        if followers.len() >= TRACES {
            return Err(TraceError::TooMany);
        }
        let (send, entries) = mpsc::channel(TRACE_ENTRIES);
        followers.push(Follower { meter, entries: send, octets, lost: 0 });
        self.active.store(followers.len(), Ordering::Release);
        Ok(Trace { entries })
    }

    fn forget_gone(&self, followers: &mut Vec<Follower>) {
        followers.retain(|follower| !follower.entries.is_closed());
        self.active.store(followers.len(), Ordering::Release);
    }
}

/// What one session says, for those who follow its meter.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    meter: MeterId,
    traces: Arc<Traces>,
}

impl Tap {
    pub(super) const fn new(meter: MeterId, traces: Arc<Traces>) -> Self {
        Self { meter, traces }
    }

    /// Whether anybody may follow this meter: nothing has to be made ready where nobody does.
    pub(super) fn is_followed(&self) -> bool {
        if self.traces.active.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut followers = self.traces.followers.lock().unwrap_or_else(PoisonError::into_inner);
        self.traces.forget_gone(&mut followers);
        followers.iter().any(|follower| follower.meter == self.meter)
    }

    /// Tells those who follow. Nobody is waited for.
    pub(super) fn tell(&self, direction: Direction, said: &Said) {
        let at = Timestamp::now();
        let mut followers = self.traces.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let wants = |follower: &&mut Follower| {
            follower.meter == self.meter && (follower.octets || !matches!(said, Said::Octets(_)))
        };
        for follower in followers.iter_mut().filter(wants) {
            let entry = TraceEntry { at, direction, said: said.clone(), lost: follower.lost };
            match follower.entries.try_send(entry) {
                Ok(()) => follower.lost = 0,
                Err(TrySendError::Full(_)) => follower.lost += 1,
                Err(TrySendError::Closed(_)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(number: usize) -> Said {
        Said::Apdu { octets: number, ciphered: false, text: String::new() }
    }

    #[test]
    fn only_who_follows_a_meter_hears_of_it_and_only_then_is_anything_done() {
        let traces = Arc::new(Traces::default());
        let tap = |name: &str| Tap::new(MeterId::try_new(name).unwrap(), Arc::clone(&traces));
        let (one, other) = (tap("one"), tap("other"));
        assert!(!one.is_followed());
        let mut trace = traces.follow(MeterId::try_new("one").unwrap(), false).unwrap();
        assert!(one.is_followed() && !other.is_followed());
        one.tell(Direction::ToMeter, &said(1));
        one.tell(Direction::ToMeter, &Said::Octets(vec![1]));
        other.tell(Direction::ToMeter, &said(2));
        assert_eq!(trace.entries.try_recv().unwrap().said, said(1));
        assert!(trace.entries.try_recv().is_err());
        drop(trace);
        assert!(!one.is_followed());
        assert_eq!(traces.active.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_not_taken_in_time_is_counted_and_does_not_pile_up() {
        let traces = Arc::new(Traces::default());
        let meter = MeterId::try_new("one").unwrap();
        let tap = Tap::new(meter.clone(), Arc::clone(&traces));
        let mut trace = traces.follow(meter, true).unwrap();
        (0..TRACE_ENTRIES + 5).for_each(|number| tap.tell(Direction::FromMeter, &said(number)));
        for number in 0..TRACE_ENTRIES {
            assert_eq!(trace.entries.try_recv().unwrap().said, said(number));
        }
        tap.tell(Direction::FromMeter, &said(0));
        assert_eq!(trace.entries.try_recv().unwrap().lost, 5);
    }

    #[test]
    fn there_are_never_more_traces_than_may_be() {
        let traces = Traces::default();
        let meter = MeterId::try_new("one").unwrap();
        let mut kept: Vec<_> = (0..TRACES).map(|_| traces.follow(meter.clone(), true).unwrap()).collect();
        assert_eq!(traces.follow(meter.clone(), true).unwrap_err(), TraceError::TooMany);
        kept.pop();
        traces.follow(meter, true).unwrap();
    }
}
