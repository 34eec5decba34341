//! What the listeners tell as events: each thing about each meter once an hour, however often it happens.

use std::{collections::HashMap, net::SocketAddr, sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::Refused;
use crate::{
    events::OwnEvent,
    store::{DeviceIdentity, NewEvent},
};

/// How long nothing more is said about the same thing.
const QUIET: Duration = Duration::from_secs(3_600);
/// Things about meters that are remembered for that; of more nothing is said.
const METERS: usize = 4_096;
/// Things about strangers likewise: there may be as many as somebody likes, and each is a row in the store.
const STRANGERS: usize = 256;
/// Events that wait to be written.
const WAITING: usize = 64;

/// What is to be told, and what was.
#[derive(Debug, Default)]
pub(crate) struct Alerts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    meters: Told,
    strangers: Told,
    waiting: Vec<NewEvent>,
}

/// What was told, about whom, and when.
type Told = HashMap<(&'static str, String), Instant>;

impl Alerts {
    /// Something was refused.
    pub(crate) fn refused(&self, refused: &Refused, source: SocketAddr) {
        let (event, about, meter) = match refused {
            Refused::Security { meter, .. } => (OwnEvent::PushNotVerified, meter.to_string(), Some(meter)),
            Refused::Replay { meter, .. } => (OwnEvent::PushReplayed, meter.to_string(), Some(meter)),
            Refused::Plaintext => (OwnEvent::PlaintextRefused, source.ip().to_string(), None),
            _ => return,
        };
        self.tell(refused.reason(), about, || event.event(meter, format!("from {source}: {refused}")));
    }

    /// A device is new on the list of those that nobody claimed.
    pub(crate) fn unclaimed(&self, identity: DeviceIdentity, source: &str) {
        let text = identity.text();
        let event = || OwnEvent::UnclaimedDevice.event(None, format!("{text} from {source}"));
        self.tell("unclaimed", text.clone(), event);
    }

    /// Tells something about a meter or a stranger, unless it was told within the hour.
    pub(crate) fn tell(&self, what: &'static str, about: String, event: impl FnOnce() -> NewEvent) {
        let Ok(mut inner) = self.0.lock() else { return };
        let Inner { meters, strangers, waiting } = &mut *inner;
        let event = event();
        let (told, most) = if event.meter.is_some() { (meters, METERS) } else { (strangers, STRANGERS) };
        let (key, now) = ((what, about), Instant::now());
        let quiet = told.get(&key).is_some_and(|at| now - *at < QUIET);
        if quiet || waiting.len() >= WAITING {
            return;
        }
        if told.len() >= most {
            told.retain(|_, at| now - *at < QUIET);
        }
        if told.len() < most {
            told.insert(key, now);
            waiting.push(event);
        }
    }

    /// What is to be written.
    pub(crate) fn take(&self) -> Vec<NewEvent> {
        self.0.lock().map(|mut inner| std::mem::take(&mut inner.waiting)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::MeterId;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_told_once_an_hour_and_waiting_is_bounded() {
        let alerts = Alerts::default();
        let meter = MeterId::try_new("m1").unwrap();
        let replay = Refused::Replay { meter, counter: 1, last: 2 };
        let source = "192.0.2.1:1".parse().unwrap();
        alerts.refused(&replay, source);
        alerts.refused(&replay, source);
        assert_eq!(alerts.take().len(), 1);
        tokio::time::advance(QUIET).await;
        alerts.refused(&replay, source);
        alerts.refused(&Refused::Blocks, source);
        assert_eq!(alerts.take().len(), 1);
        for n in 0..1_000_u32 {
            alerts.refused(&Refused::Plaintext, (std::net::Ipv4Addr::from(n), 1).into());
        }
        assert_eq!(alerts.take().len(), WAITING);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_make_no_more_events_in_an_hour_than_there_is_room_for_and_hide_no_meter() {
        let alerts = Alerts::default();
        let mut events = 0;
        for n in 0..100_000_u32 {
            alerts.refused(&Refused::Plaintext, (std::net::Ipv4Addr::from(n), 1).into());
            events += if n % 50 == 0 { alerts.take().len() } else { 0 };
        }
        assert_eq!(events + alerts.take().len(), STRANGERS);
        let meter = MeterId::try_new("m1").unwrap();
        alerts.refused(&Refused::Replay { meter, counter: 1, last: 2 }, "192.0.2.1:1".parse().unwrap());
        assert_eq!(alerts.take().len(), 1);
        tokio::time::advance(QUIET).await;
        alerts.refused(&Refused::Plaintext, "192.0.2.1:1".parse().unwrap());
        assert_eq!(alerts.take().len(), 1);
    }
}
