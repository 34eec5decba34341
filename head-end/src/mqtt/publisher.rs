//! The one task that publishes.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    BrokerOptions,
    available::Available,
    discovery,
    message::{Topics, channel, profile},
    session::{Broken, Flight, Session},
};
use crate::{
    head_end::HeadEnd,
    meter::MeterId,
    operation::MeterAccess,
    store::{CaptureFilter, CaptureQuery, Change, EventFilter, EventQuery, MeterFilter, Store, StoredCapture},
};

/// Names of the cursors.
const READINGS: &str = "mqtt.readings";
const EVENTS: &str = "mqtt.events";
/// Changes and events between two steps of their cursors.
const BATCH: usize = 64;
/// Captures that are looked up at once.
const PAGE: usize = 200;
/// How often the meters that are silent are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Meters on a page of the registry, and announcements between two looks at readings.
const METERS: usize = 1_000;
/// First and longest pause before another attempt.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Numbers that Home Assistant was told of on this connection; when there are more, all are told again.
const DESCRIBED: usize = 100_000;

struct Publisher<S, A> {
    head_end: HeadEnd<S, A>,
    options: Arc<BrokerOptions>,
    topics: Topics,
    client_id: String,
    newest: watch::Receiver<u64>,
    news: watch::Receiver<i64>,
    readings: u64,
    events: i64,
    available: Available,
    described: HashSet<String>,
    swept: Option<Instant>,
}

/// Publishes until `stop`.
pub(super) async fn run<S: Store, A: MeterAccess>(
    head_end: HeadEnd<S, A>,
    options: Arc<BrokerOptions>,
    stop: CancellationToken,
) {
    let client_id = options.client_id.clone().unwrap_or_else(|| format!("head-end-{}", head_end.registry().title()));
    let mut publisher = Publisher {
        newest: head_end.registry().store().newest_change(),
        news: head_end.events().watch(),
        topics: Topics::new(options.prefix.as_str()),
        client_id,
        readings: 0,
        events: 0,
        available: Available::new(options.offline_after),
        described: HashSet::new(),
        swept: None,
        head_end,
        options,
    };
    let (mut placed, mut pause) = (false, PAUSE.0);
    while !stop.is_cancelled() {
        let broken = match placed {
            true => publisher.connected(&stop, &mut pause).await,
            false => publisher.place().await.map(|()| placed = true),
        };
        let Err(error) = broken else { continue };
        let broker = &publisher.options.broker;
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(host = broker.host, port = broker.port, %error, source, ?pause, "MQTT is interrupted");
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = pause.saturating_mul(2).min(PAUSE.1);
    }
}

impl<S: Store, A: MeterAccess> Publisher<S, A> {
    /// Finds out where to go on. At the first start that is behind what is stored already, which is noted at once: what
    /// comes from now on is published, whenever there is a broker.
    async fn place(&mut self) -> Result<(), Broken> {
        let store = Arc::clone(self.head_end.registry().store());
        let newest = *self.newest.borrow();
        self.readings = match store.cursor(READINGS).await? {
            Some(position) if position <= newest => position,
            kept => {
                if let Some(position) = kept {
                    tracing::error!(position, newest, "the store is older than what was published of its readings");
                }
                store.keep_cursor(READINGS, newest).await?;
                newest
            }
        };
        let last = store.last_event().await?;
        let kept = store.cursor(EVENTS).await?.map(|position| i64::try_from(position).unwrap_or(i64::MAX));
        self.events = match kept {
            Some(position) if position <= last => position,
            kept => {
                if let Some(position) = kept {
                    tracing::error!(position, last, "the store is older than what was published of its events");
                }
                store.keep_cursor(EVENTS, last.unsigned_abs()).await?;
                last
            }
        };
        Ok(())
    }

    /// Publishes on one connection until it breaks or all is to end.
    async fn connected(&mut self, stop: &CancellationToken, pause: &mut Duration) -> Result<(), Broken> {
        let opening = Session::open(&self.options, &self.client_id, self.topics.own(false));
        let Some(opened) = stop.run_until_cancelled(opening).await else { return Ok(()) };
        let mut session = opened?;
        self.available.nothing_told();
        self.described.clear();
        let mut flight = session.flight();
        flight.send(self.topics.own(true)).await?;
        flight.settle().await?;
        let (host, port) = (&self.options.broker.host, self.options.broker.port);
        tracing::info!(host, port, readings = self.readings, events = self.events, "MQTT is connected");
        loop {
            // Marked before they are looked at: what comes meanwhile wakes us again.
            self.newest.mark_unchanged();
            self.news.mark_unchanged();
            let Some(worked) = stop.run_until_cancelled(self.work(&session)).await else { break };
            *pause = if worked? { PAUSE.0 } else { *pause };
            let (newest, news) = (&mut self.newest, &mut self.news);
            let idle = async {
                // A closed channel is a store that is closed, soon before the stop.
                tokio::select! {
                    _ = newest.changed() => {}
                    _ = news.changed() => {}
                    () = tokio::time::sleep(SWEEP) => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                broken = session.ended() => return Err(broken),
                () = idle => {}
            }
        }
        session.close(self.topics.own(false)).await;
        Ok(())
    }

    /// Publishes all that waits; whether there was anything.
    async fn work(&mut self, session: &Session) -> Result<bool, Broken> {
        let mut worked = false;
        loop {
            // Events first: somebody may have to act.
            let more = self.publish_events(session).await? | self.publish_readings(session).await?;
            let told = self.publish_availability(session).await?;
            if !more && !told {
                return Ok(worked);
            }
            worked = true;
        }
    }

    async fn publish_events(&mut self, session: &Session) -> Result<bool, Broken> {
        let store = Arc::clone(self.head_end.registry().store());
        let query =
            EventQuery { filter: EventFilter::default(), after: Some(self.events), descending: false, limit: BATCH };
        let events = store.query_events(query).await?;
        let Some(last) = events.last().map(|event| event.sequence) else { return Ok(false) };
        let mut flight = session.flight();
        for event in &events {
            flight.send(self.topics.event(event)).await?;
        }
        flight.settle().await?;
        store.keep_cursor(EVENTS, last.unsigned_abs()).await?;
        self.events = last;
        Ok(true)
    }

    async fn publish_readings(&mut self, session: &Session) -> Result<bool, Broken> {
        let store = Arc::clone(self.head_end.registry().store());
        let changes = store.changes(self.readings, BATCH).await?;
        let Some(last) = changes.last().map(|change| change.sequence) else { return Ok(false) };
        let mut flight = session.flight();
        for change in &changes {
            self.publish_change(&store, change, &mut flight).await?;
        }
        flight.settle().await?;
        store.keep_cursor(READINGS, last).await?;
        self.readings = last;
        let now = Instant::now();
        changes.iter().for_each(|change| self.available.heard(&change.meter, now));
        Ok(true)
    }

    async fn publish_change(&mut self, store: &S, change: &Change, flight: &mut Flight<'_>) -> Result<(), Broken> {
        let mut query = CaptureQuery {
            meter: change.meter.clone(),
            filter: change.profile.map_or(CaptureFilter::Registers, CaptureFilter::Profile),
            from: change.first,
            to: change.last.saturating_add(SignedDuration::from_millis(1)).unwrap_or(change.last),
            all_revisions: false,
            after: None,
            limit: PAGE,
        };
        loop {
            let page = store.query(query.clone()).await?;
            for capture in &page.captures {
                flight.send(self.topics.capture(capture)).await?;
            }
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        // A day ahead, for clocks that are.
        let end = Timestamp::now().max(change.last).saturating_add(SignedDuration::from_hours(24));
        let newest = store.latest(&change.meter, change.profile, end.unwrap_or(change.last)).await?;
        // What fills a gap is not the last value.
        match newest.filter(|newest| (change.first..=change.last).contains(&newest.time)) {
            Some(newest) => self.publish_newest(&newest, flight).await,
            None => Ok(()),
        }
    }

    async fn publish_newest(&mut self, newest: &StoredCapture, flight: &mut Flight<'_>) -> Result<(), Broken> {
        for message in self.topics.newest(newest) {
            flight.send(message).await?;
        }
        let Some(prefix) = self.options.discovery.clone() else { return Ok(()) };
        let mut name = None;
        for (place, column) in newest.columns.iter().enumerate() {
            let number = format!("{}/{}/{}", newest.meter, profile(newest), channel(column));
            if self.described.contains(&number) {
                continue;
            }
            let known = match &name {
                Some(name) => name,
                None => name.insert(self.name_of(newest).await),
            };
            if let Some(message) = discovery::sensor(prefix.as_str(), &self.topics, newest, place, known) {
                flight.send(message).await?;
            }
            if self.described.len() >= DESCRIBED {
                self.described.clear();
            }
            self.described.insert(number);
        }
        Ok(())
    }

    /// What people call a meter; one that is registered no longer has its name alone.
    async fn name_of(&self, capture: &StoredCapture) -> String {
        let record = self.head_end.registry().get(&capture.meter).await;
        let name = record.map(|record| record.settings.display_name.clone()).unwrap_or_default();
        if name.is_empty() { capture.meter.to_string() } else { name }
    }

    async fn publish_availability(&mut self, session: &Session) -> Result<bool, Broken> {
        let now = Instant::now();
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP) {
            self.available.registered(self.registered().await?, now);
            self.swept = Some(now);
        }
        let news = self.available.news(now, METERS);
        if news.is_empty() {
            return Ok(false);
        }
        let mut flight = session.flight();
        for (meter, online) in &news {
            flight.send(self.topics.meter(meter, *online)).await?;
        }
        flight.settle().await?;
        self.available.told(&news);
        Ok(true)
    }

    async fn registered(&self) -> Result<Vec<MeterId>, Broken> {
        let store = self.head_end.registry().store();
        let mut meters: Vec<MeterId> = Vec::new();
        loop {
            let page = store.list_meters(meters.last().cloned(), MeterFilter::default(), METERS).await?;
            let full = page.len() >= METERS;
            meters.extend(page.into_iter().map(|record| record.id));
            if !full {
                return Ok(meters);
            }
        }
    }
}
