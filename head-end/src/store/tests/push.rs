//! Pushes, the counters they came with, and devices that nobody knows.

use dlms::{id::SystemTitle, security::Protection};
use jiff::ToSpan;

use super::*;
use crate::meter::{CustomerPort, EquipmentId};

const KEY: CounterId = CounterId([5; 16]);

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn push(counter: Option<u32>, octet: u8) -> NewPush {
    NewPush {
        meter: id("m1"),
        counter: counter.map(|counter| (KEY, counter)),
        apdu: vec![15, octet],
        digest: [octet; 32],
        protection: Protection { authenticated: true, encrypted: true, signed: false },
        source: "tcp 192.0.2.1".to_owned(),
        received: now(),
    }
}

async fn a_counter_is_used_up_with_the_push_that_had_it(place: &impl Place) {
    let store = place.open().await;
    let Accepted::New(first) = store.accept_push(push(Some(10), 1)).await.unwrap() else { panic!("not new") };
    assert_eq!(store.accept_push(push(Some(10), 1)).await.unwrap(), Accepted::Repeated);
    assert_eq!(store.accept_push(push(Some(10), 2)).await.unwrap(), Accepted::Replayed { last: 10 });
    assert_eq!(store.accept_push(push(Some(9), 3)).await.unwrap(), Accepted::Replayed { last: 10 });
    let Accepted::New(second) = store.accept_push(push(Some(u32::MAX), 4)).await.unwrap() else { panic!("not new") };
    let Accepted::New(third) = store.accept_push(push(None, 5)).await.unwrap() else { panic!("not new") };
    drop(store);
    let store = place.open().await;
    assert_eq!(store.accept_push(push(Some(11), 1)).await.unwrap(), Accepted::Replayed { last: u32::MAX });
    assert!(place.execute("UPDATE receive_counters SET last = 1").await.is_err());
    assert!(place.execute("DELETE FROM receive_counters").await.is_err());
    let waiting = store.waiting_pushes(0, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|push| push.id).collect::<Vec<_>>(), [first, second, third]);
    assert_eq!((waiting[0].apdu.as_slice(), waiting[0].counter, waiting[2].counter), (&[15, 1][..], Some(10), None));
    assert_eq!((waiting[0].protection, waiting[0].received), (push(None, 1).protection, now()));
    let outcome = PushOutcome { state: PushState::Read, note: "by its template".to_owned() };
    store.finish_push(first, outcome.clone()).await.unwrap();
    assert_eq!(store.waiting_pushes(first, 10).await.unwrap().len(), 2);
    assert_eq!(store.forget_pushes(now(), 10).await.unwrap(), 0);
    let listed = store.list_pushes(&id("m1"), Some(second), 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].outcome.clone()), (1, outcome));
    assert_eq!(store.forget_pushes(now() + 1.second(), 10).await.unwrap(), 1, "what waits stays");
    assert_eq!(store.list_pushes(&id("m1"), None, 10).await.unwrap().len(), 2);
}

async fn meters_are_found_by_what_their_pushes_show(place: &impl Place) {
    let store = place.open().await;
    let title = SystemTitle(*b"ISK\0\0\0\0\x02");
    let mut titled = meter("titled", 1);
    titled.record.settings.system_title = Some(title);
    let mut plain = meter("plain", 1);
    plain.record.settings.push.plaintext_from = "2001:db8::1".parse().ok();
    let mut printed = meter("printed", 1);
    let equipment: EquipmentId = "K8EG004046395507".parse().unwrap();
    let port = CustomerPort { equipment_id: Some(equipment), ..CustomerPort::default() };
    printed.record.settings.customer_port = Some(port);
    let mut named = meter("named", 1);
    named.record.settings.logical_device_name = "ISK1030775211859".to_owned();
    for meter in [named, titled, plain, printed.clone(), meter("other", 1)] {
        store.create_meter(meter, None).await.unwrap();
    }
    let names = |found: Vec<StoredMeter>| found.into_iter().map(|found| found.record.id).collect::<Vec<_>>();
    assert_eq!(names(store.meters_by_title(title).await.unwrap()), [id("titled")]);
    assert_eq!(names(store.meters_by_title(SystemTitle([1; 8])).await.unwrap()), []);
    let address = "2001:db8::1".parse().unwrap();
    assert_eq!(names(store.meters_by_push_source(address).await.unwrap()), [id("plain")]);
    assert_eq!(names(store.meters_by_equipment(equipment).await.unwrap()), [id("printed")]);
    assert_eq!(names(store.meters_by_equipment("K8EG".parse().unwrap()).await.unwrap()), []);
    store.update_meter(meter("printed", 2), None).await.unwrap();
    assert_eq!(names(store.meters_by_equipment(equipment).await.unwrap()), []);
    assert_eq!(names(store.meters_by_device_name("ISK1030775211859").await.unwrap()), [id("named")]);
    assert_eq!(names(store.meters_by_device_name("").await.unwrap()), []);
    store.update_meter(meter("plain", 2), None).await.unwrap();
    assert_eq!(names(store.meters_by_push_source(address).await.unwrap()), []);
}

async fn the_list_of_unknown_devices_is_bounded(place: &impl Place) {
    let store = place.open().await;
    let device = |octet: u8| DeviceIdentity::Title(SystemTitle([octet; 8]));
    let seen = |octet: u8, second: i64| Sighting {
        identity: device(octet),
        source: "udp 192.0.2.7".to_owned(),
        count: 2,
        at: now() + second.seconds(),
    };
    for octet in 1..=3 {
        assert!(store.note_unclaimed(seen(octet, octet.into()), 3).await.unwrap());
    }
    assert!(!store.note_unclaimed(seen(1, 10), 3).await.unwrap());
    let first = store.unclaimed(device(1)).await.unwrap().unwrap();
    assert_eq!((first.count, first.first_seen, first.last_seen), (4, now() + 1.second(), now() + 10.seconds()));
    assert!(store.note_unclaimed(seen(4, 11), 3).await.unwrap());
    let listed = async |after| {
        let devices = store.list_unclaimed(after, 10).await.unwrap();
        devices.into_iter().map(|device| device.identity).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, [device(1), device(3), device(4)]);
    assert_eq!(listed(Some(device(3))).await, [device(4)]);
    let printed = DeviceIdentity::Equipment("K8EG004046395507".parse().unwrap());
    assert!(store.note_unclaimed(Sighting { identity: printed, ..seen(9, 12) }, 4).await.unwrap());
    assert_eq!(listed(Some(device(4))).await, [printed]);
    store.forget_unclaimed(device(3)).await.unwrap();
    assert_eq!(store.unclaimed(device(3)).await.unwrap(), None);
}

on_every_store! {
    a_counter_is_used_up_with_the_push_that_had_it
    meters_are_found_by_what_their_pushes_show
    the_list_of_unknown_devices_is_bounded
}
