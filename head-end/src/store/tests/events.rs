//! Events: once, in order, filtered, acknowledged.

use super::*;
use crate::{
    meter::TimeBasis,
    store::{Acknowledgement, EventCategory, EventFilter, EventOrigin, EventQuery, EventStore, NewEvent, StoreError},
};

pub(in crate::store) fn event(meter: &str, code: u32, second: i64) -> NewEvent {
    NewEvent {
        meter: Some(id(meter)),
        time: Timestamp::from_second(second).unwrap(),
        time_basis: TimeBasis::MeterDeviation,
        clock: None,
        origin: EventOrigin::Log,
        source: Some(ObisCode([0, 0, 99, 98, 1, 255])),
        code: Some(code),
        name: format!("event {code}"),
        category: if code < 40 { EventCategory::Power } else { EventCategory::Tamper },
        iec_code: String::new(),
        alarm: code >= 40,
        detail: String::new(),
        received: Timestamp::from_second(second + 1).unwrap(),
    }
}

fn query(filter: EventFilter, after: Option<i64>, descending: bool) -> EventQuery {
    EventQuery { filter, after, descending, limit: 10 }
}

async fn an_event_that_is_read_twice_is_there_once_and_a_reader_goes_on_behind_a_number(place: &impl Place) {
    let store = place.open().await;
    assert_eq!(store.last_event().await.unwrap(), 0);
    let both = vec![event("m1", 1, 100), event("m1", 44, 200)];
    assert_eq!(store.append_events(both.clone()).await.unwrap(), Some(2));
    assert_eq!(store.append_events(both.clone()).await.unwrap(), None);
    let other = NewEvent { meter: None, source: None, code: None, origin: EventOrigin::HeadEnd, ..event("m1", 1, 100) };
    let last = store.append_events(vec![event("m2", 1, 100), other.clone()]).await.unwrap().unwrap();
    assert_eq!(store.last_event().await.unwrap(), last);
    let all = store.query_events(query(EventFilter::default(), None, false)).await.unwrap();
    assert_eq!(all.iter().map(|event| event.event.clone()).collect::<Vec<_>>()[..2], both);
    assert_eq!(all[3].event, other);
    let behind = store.query_events(query(EventFilter::default(), Some(all[1].sequence), false)).await.unwrap();
    assert_eq!(behind, all[2..]);
    let latest = store.query_events(query(EventFilter::default(), Some(last), true)).await.unwrap();
    assert_eq!(latest[0], all[2]);
}

async fn filters_hold_together_and_an_acknowledgement_stays_the_first(place: &impl Place) {
    let store = place.open().await;
    store.append_events(vec![event("m1", 1, 100), event("m1", 44, 200), event("m2", 44, 300)]).await.unwrap();
    let found = async |filter| store.query_events(query(filter, None, false)).await.unwrap().len();
    let all = EventFilter::default;
    assert_eq!(found(EventFilter { meters: vec![id("m1")], ..all() }).await, 2);
    assert_eq!(found(EventFilter { categories: vec![EventCategory::Tamper], ..all() }).await, 2);
    assert_eq!(found(EventFilter { codes: vec![44], meters: vec![id("m2")], ..all() }).await, 1);
    assert_eq!(found(EventFilter { source: Some(ObisCode([0; 6])), ..all() }).await, 0);
    assert_eq!(found(EventFilter { from: Timestamp::from_second(200).ok(), ..all() }).await, 2);
    assert_eq!(found(EventFilter { to: Timestamp::from_second(200).ok(), ..all() }).await, 1);
    let open_alarms = || EventFilter { alarms_only: true, unacknowledged_only: true, ..all() };
    assert_eq!(found(open_alarms()).await, 2);
    let by = |who: &str| Acknowledgement {
        by: who.to_owned(),
        at: Timestamp::from_second(400).unwrap(),
        note: String::new(),
    };
    store.acknowledge_event(2, by("first")).await.unwrap();
    let again = store.acknowledge_event(2, by("second")).await.unwrap();
    assert_eq!(again.acknowledged, Some(by("first")));
    assert_eq!(found(open_alarms()).await, 1);
    assert!(matches!(store.acknowledge_event(99, by("nobody")).await, Err(StoreError::NotFound(_))));
}

async fn alarm_registers_remember_what_was_seen(place: &impl Place) {
    let register = ObisCode([0, 0, 97, 98, 20, 255]);
    let store = place.open().await;
    assert_eq!(store.swap_alarms(&id("m1"), register, 5).await.unwrap(), 0);
    assert_eq!(store.swap_alarms(&id("m2"), register, 1).await.unwrap(), 0);
    drop(store);
    assert_eq!(place.open().await.swap_alarms(&id("m1"), register, 0).await.unwrap(), 5);
}

async fn alarms_count_as_told_only_once_their_events_are_kept(place: &impl Place) {
    let register = ObisCode([0, 0, 97, 98, 0, 255]);
    let store = place.open().await;
    let standing = |bits: &[u32]| bits.iter().map(|bit| event("m1", *bit, 100)).collect();
    place.execute("ALTER TABLE events RENAME TO events_elsewhere").await.unwrap();
    store.append_alarms(&id("m1"), register, 5, standing(&[0, 2])).await.unwrap_err();
    place.execute("ALTER TABLE events_elsewhere RENAME TO events").await.unwrap();
    assert_eq!(store.append_alarms(&id("m1"), register, 5, standing(&[0, 2])).await.unwrap(), Some(2));
    let third = store.append_alarms(&id("m1"), register, 1 << 31 | 5, standing(&[0, 2, 31])).await.unwrap().unwrap();
    assert_eq!(store.append_alarms(&id("m1"), register, 5, standing(&[0, 2])).await.unwrap(), None);
    let events = store.query_events(query(EventFilter::default(), None, false)).await.unwrap();
    let codes: Vec<_> = events.iter().map(|stored| stored.event.code.unwrap()).collect();
    assert_eq!((codes, events[2].sequence), (vec![0, 2, 31], third));
}

on_every_store! {
    an_event_that_is_read_twice_is_there_once_and_a_reader_goes_on_behind_a_number
    filters_hold_together_and_an_acknowledgement_stays_the_first
    alarm_registers_remember_what_was_seen
    alarms_count_as_told_only_once_their_events_are_kept
}
