//! Limits of what meters share: serial lines, gateways, modem pools, and the head-end as a whole.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dashmap::DashMap;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::failure::head_end;
use crate::{
    meter::{LinkConfig, MeterConfig},
    operation::{RequestError, RequestErrorKind, RouteLoad},
};

/// A medium with room for a limited number of sessions.
#[derive(Debug)]
pub(super) struct Route {
    name: Arc<str>,
    places: Arc<Semaphore>,
    capacity: usize,
    waiting: AtomicUsize,
    wanted: Notify,
}

/// A place on a route, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    route: Arc<Route>,
    _permit: OwnedSemaphorePermit,
}

/// Counts one who waits, also when the wait is given up.
struct Waiting<'a>(&'a Route);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Route {
    fn new(name: Arc<str>, places: usize) -> Self {
        let (waiting, wanted) = (AtomicUsize::new(0), Notify::new());
        Self { name, places: Arc::new(Semaphore::new(places)), capacity: places, waiting, wanted }
    }

    /// What it is called.
    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn load(&self) -> RouteLoad {
        let sessions = self.capacity.saturating_sub(self.places.available_permits());
        let (capacity, waiting) = (self.capacity, self.waiting.load(Ordering::Relaxed));
        RouteLoad { name: self.name.to_string(), capacity, sessions, waiting }
    }

    /// Waits for a place. Those who hold one and do nothing with it are asked to leave.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    pub(super) async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<Place, RequestError> {
        let closed = || head_end(RequestErrorKind::ShuttingDown, format!("route {} is closed", self.name));
        let permit = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.waiting.fetch_add(1, Ordering::AcqRel);
                let _waiting = Waiting(self);
                self.wanted.notify_one();
                match timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await {
                    Ok(permit) => permit.map_err(|_| closed())?,
                    Err(_) => {
                        let message = format!("route {} was full until the deadline", self.name);
                        return Err(head_end(RequestErrorKind::Busy, message));
                    }
                }
            }
        };
        Ok(Place { route: Arc::clone(self), _permit: permit })
    }
}

impl Place {
    /// Whether somebody waits for a place.
    pub(super) fn is_wanted(&self) -> bool {
        self.route.waiting.load(Ordering::Acquire) > 0
    }

    /// Waits until somebody waits for a place.
    pub(super) async fn wanted(&self) {
        while !self.is_wanted() {
            self.route.wanted.notified().await;
        }
        // One notification wakes one holder; if this one turns out to be busy, the next must hear of it too.
        self.route.wanted.notify_one();
    }
}

/// The routes in use, by name.
#[derive(Debug)]
pub(super) struct Routes {
    named: usize,
    routes: DashMap<Arc<str>, Arc<Route>>,
}

impl Routes {
    /// `named` is how many sessions a configured route takes.
    pub(super) fn new(named: usize) -> Self {
        Self { named, routes: DashMap::new() }
    }

    /// The route of a meter; `None` where it shares nothing with others.
    pub(super) fn of(&self, config: &MeterConfig) -> Option<Arc<Route>> {
        let (name, places): (Arc<str>, usize) = match (&config.route, &config.link) {
            (Some(route), _) => (Arc::clone(route), self.named),
            // One line, one conversation.
            (None, LinkConfig::HdlcSerial { device, .. }) => (device.display().to_string().into(), 1),
            // A gateway with a line behind it.
            (None, LinkConfig::HdlcTcp { address, .. }) => (address.to_string().into(), 1),
            // A gateway hands one exchange at a time to its line.
            (None, LinkConfig::TcpWrapper { address } | LinkConfig::UdpWrapper { address })
                if config.gateway.is_some() =>
            {
                (address.to_string().into(), 1)
            }
            (None, LinkConfig::TcpWrapper { .. } | LinkConfig::UdpWrapper { .. } | LinkConfig::DialIn) => return None,
        };
        let route = self.routes.entry(Arc::clone(&name)).or_insert_with(|| Arc::new(Route::new(name, places)));
        Some(Arc::clone(&route))
    }

    /// How many routes there are, how many sessions they carry, and how many wait for a place.
    pub(super) fn load(&self) -> (usize, usize, usize) {
        self.routes.iter().fold((0, 0, 0), |(routes, sessions, waiting), route| {
            let load = route.load();
            (routes + 1, sessions + load.sessions, waiting + load.waiting)
        })
    }

    /// What goes on on the route of that name, while it is in use.
    pub(super) fn load_of(&self, name: &str) -> Option<RouteLoad> {
        self.routes.get(name).map(|route| route.load())
    }

    /// Forgets routes that nobody uses.
    pub(super) fn tidy(&self) {
        self.routes.retain(|_, route| Arc::strong_count(route) > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_route_is_an_error_with_its_name() {
        let route = Arc::new(Route::new("pool".into(), 1));
        let held = route.enter(soon()).await.unwrap();
        let error = route.enter(soon()).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Busy);
        assert!(error.to_string().contains("pool"), "{error}");
        assert!(!held.is_wanted(), "nobody waits any more");
        drop(held);
        route.enter(soon()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn holders_hear_of_those_who_wait() {
        let route = Arc::new(Route::new("pool".into(), 2));
        let first = route.enter(soon()).await.unwrap();
        let second = route.enter(soon()).await.unwrap();
        let waiting = tokio::spawn({
            let route = Arc::clone(&route);
            async move { route.enter(soon()).await.map(drop) }
        });
        // The first hears and stays; the second leaves.
        first.wanted().await;
        second.wanted().await;
        drop(second);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn unused_routes_are_forgotten() {
        let routes = Routes::new(1);
        let config = crate::fleet::tests::config("x", "127.0.0.1:1");
        assert!(routes.of(&config).is_none());
        let shared = MeterConfig { route: Some("pool".into()), ..config };
        let route = routes.of(&shared).unwrap();
        routes.tidy();
        assert_eq!(routes.routes.len(), 1);
        drop(route);
        routes.tidy();
        assert_eq!(routes.routes.len(), 0);
    }
}
