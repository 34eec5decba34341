//! Keys between old and new, and groups.

use std::collections::BTreeMap;

use super::*;
use crate::{
    group::{GroupRecord, Members},
    vault::{Sealed, SecretRole},
};

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn sealed(octet: u8) -> Sealed {
    Sealed::from_bytes(vec![octet; 3])
}

fn keys(rotation: &str, octet: u8) -> NewKeys {
    NewKeys {
        rotation: rotation.to_owned(),
        sealed: BTreeMap::from([(SecretRole::EncryptionKey, sealed(octet))]),
        made: now(),
        confirmed: false,
    }
}

async fn new_keys_stay_beside_the_old_ones_until_they_take_their_place(place: &impl Place) {
    let store = place.open().await;
    let m1 = id("m1");
    assert!(matches!(store.stage_keys(&m1, keys("r1", 2)).await, Err(StoreError::NotFound(_))));
    let secrets = vec![(SecretRole::EncryptionKey, Some(sealed(1))), (SecretRole::Password, Some(sealed(9)))];
    let mut new = NewMeter { secrets, ..meter("m1", 1) };
    new.record.updated = now();
    store.create_meter(new, None).await.unwrap();
    assert_eq!(store.new_keys(&m1).await.unwrap(), None);
    assert_eq!(store.stage_keys(&m1, keys("r1", 2)).await.unwrap(), keys("r1", 2));
    assert_eq!(store.stage_keys(&m1, keys("r1", 3)).await.unwrap(), keys("r1", 2), "the first ones stay");
    assert!(matches!(store.stage_keys(&m1, keys("r2", 3)).await, Err(StoreError::AlreadyExists(_))));
    store.confirm_keys(&m1, "r2").await.unwrap();
    assert!(!store.new_keys(&m1).await.unwrap().unwrap().confirmed);
    store.confirm_keys(&m1, "r1").await.unwrap();
    drop(store);
    let store = place.open().await;
    assert!(store.new_keys(&m1).await.unwrap().unwrap().confirmed);
    let in_use = async || store.meter(&m1).await.unwrap().unwrap();
    assert_eq!(in_use().await.secrets.get(&SecretRole::EncryptionKey), Some(&sealed(1)));
    let later = Timestamp::from_second(1_790_000_500).unwrap();
    assert!(!store.promote_keys(&m1, "r2", later).await.unwrap());
    assert!(store.promote_keys(&m1, "r1", later).await.unwrap());
    assert!(!store.promote_keys(&m1, "r1", later).await.unwrap());
    let promoted = in_use().await;
    assert_eq!(promoted.secrets.get(&SecretRole::EncryptionKey), Some(&sealed(2)));
    assert_eq!((promoted.record.revision, promoted.record.updated), (2, later));
    let times = store.key_times(&m1).await.unwrap();
    assert_eq!(times, BTreeMap::from([(SecretRole::EncryptionKey, Some(later)), (SecretRole::Password, Some(now()))]));
    store.stage_keys(&m1, keys("r3", 4)).await.unwrap();
    assert!(store.drop_keys(&m1, "r3").await.unwrap());
    assert!(!store.drop_keys(&m1, "r3").await.unwrap());
}

async fn groups_are_kept_once_and_listed_by_tenant(place: &impl Place) {
    let store = place.open().await;
    let group = |name: &str, tenant: Option<&str>| GroupRecord {
        id: name.parse().unwrap(),
        display_name: "Group".to_owned(),
        tenant: tenant.map(|name| name.parse().unwrap()),
        members: Members::Labels(BTreeMap::from([("area".to_owned(), "north".to_owned())])),
        created: now(),
    };
    store.create_group(group("b", None)).await.unwrap();
    store.create_group(group("a", Some("north"))).await.unwrap();
    assert!(matches!(store.create_group(group("a", None)).await, Err(StoreError::AlreadyExists(_))));
    assert_eq!(store.group("a").await.unwrap(), Some(group("a", Some("north"))));
    let names = async |after: Option<&str>, tenant: Option<&str>| {
        let tenant = tenant.map(|name| name.parse().unwrap());
        let groups = store.list_groups(after.map(str::to_owned), tenant, 10).await.unwrap();
        groups.into_iter().map(|group| group.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, None).await, ["a", "b"]);
    assert_eq!(names(Some("a"), None).await, ["b"]);
    assert_eq!(names(None, Some("north")).await, ["a"]);
    store.delete_group("a").await.unwrap();
    assert!(matches!(store.delete_group("a").await, Err(StoreError::NotFound(_))));
}

on_every_store! {
    new_keys_stay_beside_the_old_ones_until_they_take_their_place
    groups_are_kept_once_and_listed_by_tenant
}
